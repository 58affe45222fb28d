# SPDX-License-Identifier: GPL-2.0
"""
Two machines at a time, connected by a network cable.

Both run the same scenario, which finds out by the variable MACHINE on which
of the two it is.  Each is a session of its own, with a directory, a channel
and results of its own; the second one runs in a thread.  They meet here: a
scenario tells its partner a word, or waits until it has been told one, so that
neither has to guess how far the other is.  Whoever waits for a partner that has
ended, or beyond its own time limit, is refused and can say so.

The cable is a pair of connected sockets that the two QEMUs inherit: what a card
at one end sends arrives at the other and nowhere else.
"""

import contextlib
import dataclasses
import socket
import threading
import time

from . import channel, guest, machine as machines, session
from .errors import LabError

# Ethernet addresses of the cards, locally administered.
ADDRESSES = ("02:00:00:00:00:01", "02:00:00:00:00:02")


class Side:
    """One of the two, as its session sees the pair."""

    def __init__(self, cable):
        self.cable = cable
        self.partner = None
        self.session = None
        self.condition = None   # shared by both
        self.told = set()       # words that this side has told
        self.over = False

    def all_images(self):
        """The images of both machines by the devices' names."""
        return {**self.session.images, **self.partner.session.images}

    def tell(self, word):
        with self.condition:
            self.told.add(word)
            self.condition.notify_all()

    def wait(self, word, deadline):
        """Until the partner has told this."""
        with self.condition:
            self.condition.wait_for(
                lambda: word in self.partner.told or self.partner.over,
                max(0, deadline - time.monotonic()))
            if word not in self.partner.told:
                raise channel.Refused(
                    f"the other machine ended without telling '{word}'"
                    if self.partner.over else
                    f"the other machine has not told '{word}' in time")

    def end(self):
        with self.condition:
            self.over = True
            self.condition.notify_all()


def connect(ends):
    """The two sides, which know each other."""
    sides = [Side(machines.Cable(end.fileno(), address))
             for end, address in zip(ends, ADDRESSES)]
    sides[0].condition = sides[1].condition = threading.Condition()
    sides[0].partner, sides[1].partner = sides[1], sides[0]
    return sides


def _run(side, outcomes):
    """One side's session; its outcome, or what kept it from having one."""
    try:
        outcomes[side] = side.session.run()
    except Exception as error:  # pylint: disable=broad-exception-caught
        # also a fault of the runner itself: it is raised when both have ended,
        # and not lost with the thread
        outcomes[side] = error
    finally:
        side.end()


def run(machine, scenario, announce, keep_images):
    """Run a scenario on a machine and its partner; the machine's outcome."""
    boxes = (machine, machines.load(guest.HERE / "machines", machine.partner))
    names, others = ({dev.name for dev in box.devices if dev.image}
                     for box in boxes)
    if names & others:
        raise LabError(f"the machines '{boxes[0].name}' and '{boxes[1].name}' "
                       f"both have a '{min(names & others)}' with an image; "
                       "give one of them another name.")
    # programs are built once, not by both at the same time
    guest.build_programs(session.BUILD / "guest")
    with contextlib.ExitStack() as stack:
        ends = socket.socketpair()
        for end in ends:
            stack.callback(end.close)
        sides = connect(ends)
        for side, box in zip(sides, boxes):
            directory = stack.enter_context(session.run_directory(
                f"{machine.name}-{scenario}" if box is machine else
                f"{machine.name}-{scenario}-{box.name}"))
            side.session = session.Session(
                box, scenario, directory,
                lambda text, name=box.name: announce(f"{name}: {text}"), side)
        outcomes = {}
        second = threading.Thread(target=_run, args=(sides[1], outcomes))
        second.start()
        try:
            _run(sides[0], outcomes)
        except BaseException:
            # interrupted: nobody waits for the other machine any more
            sides[1].session.stop()
            raise
        finally:
            second.join()
        return _combine(sides, outcomes, keep_images)


def _combine(sides, outcomes, keep_images):
    for side in sides:
        if isinstance(outcomes.get(side), Exception):
            raise outcomes[side]
    first, second = (outcomes[side] for side in sides)
    name = sides[1].session.machine.name
    results = first.results + [
        dataclasses.replace(result, name=f"{name}: {result.name}")
        for result in second.results]
    if first.passed and second.passed and not keep_images:
        for path in sides[0].all_images().values():
            path.unlink()
    return dataclasses.replace(first, results=results)
