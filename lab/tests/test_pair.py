# SPDX-License-Identifier: GPL-2.0
"""Two machines that meet, without machines."""

import socket
import threading
import time
import types
import unittest
from unittest import mock

import context  # noqa: F401
from runner import channel, machine, pair, session
from runner.errors import LabError
from runner.ktap import FAIL, PASS, Result


class Meeting(unittest.TestCase):
    def setUp(self):
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        self.one, self.other = pair.connect(ends)

    def wait(self, word, seconds):
        self.one.wait(word, time.monotonic() + seconds)

    def test_told_before(self):
        self.other.tell("ready")
        self.wait("ready", 0)
        self.wait("ready", 0)

    def test_told_while_waiting(self):
        timer = threading.Timer(0.1, self.other.tell, ("ready",))
        timer.start()
        self.wait("ready", 60)
        timer.join()

    def test_told_something_else(self):
        self.other.tell("busy")
        with self.assertRaisesRegex(channel.Refused, "not told 'ready'"):
            self.wait("ready", 0.1)

    def test_nobody_waits_for_himself(self):
        self.one.tell("ready")
        with self.assertRaises(channel.Refused):
            self.wait("ready", 0.1)

    def test_the_other_one_ended(self):
        self.other.tell("ready")
        self.other.end()
        self.wait("ready", 60)
        with self.assertRaisesRegex(channel.Refused, "ended without"):
            self.wait("done", 60)

    def test_addresses_differ(self):
        self.assertNotEqual(self.one.cable.address, self.other.cable.address)
        self.assertNotEqual(self.one.cable.fd, self.other.cable.fd)


class Outcomes(unittest.TestCase):
    def combined(self, second):
        sides = []
        for name in ("first", "second"):
            side = pair.Side(None)
            side.session = types.SimpleNamespace(
                machine=types.SimpleNamespace(name=name))
            sides.append(side)

        def outcome(result):
            if isinstance(result, Exception):
                return result
            return session.Outcome([Result("works", result)], [], [], None,
                                   "", 0)
        return pair._combine(sides, {sides[0]: outcome(PASS),
                                     sides[1]: outcome(second)}, True)

    def test_both_count(self):
        found = self.combined(FAIL)
        self.assertFalse(found.passed)
        self.assertEqual([(r.name, r.outcome) for r in found.results],
                         [("works", PASS), ("second: works", FAIL)])
        self.assertTrue(self.combined(PASS).passed)

    def test_whatever_goes_wrong_is_kept(self):
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        for error in (LabError("no room"), ValueError("a fault")):
            side, other = pair.connect(ends)
            side.session = types.SimpleNamespace(
                run=mock.Mock(side_effect=error))
            outcomes = {}
            thread = threading.Thread(target=pair._run, args=(side, outcomes))
            thread.start()
            thread.join()
            self.assertIs(outcomes[side], error)
            self.assertTrue(side.over)
            with self.assertRaises(type(error)):
                pair._combine([side, other], outcomes, True)

    def test_one_cannot_run(self):
        with self.assertRaisesRegex(LabError, "no room"):
            self.combined(LabError("no room"))


class Machines(unittest.TestCase):
    def test_partners_exist(self):
        directory = context.LAB / "machines"
        names = machine.names(directory)
        for name in names:
            box = machine.load(directory, name)
            if not box.partner:
                continue
            other = machine.load(directory, box.partner)
            self.assertFalse(other.partner, name)
            for one in (box, other):
                self.assertTrue(any(dev.settings.get("cable")
                                    for dev in one.devices), one.name)

    def test_cable(self):
        box = machine.parse("x.toml", """
summary = "a test"
partner = "y"
[[device]]
type = "e1000e"
name = "nic"
cable = true
[[device]]
type = "e1000e"
name = "spare"
""")
        found = " ".join(machine.qemu_options(
            box, {}, machine.Cable(7, "02:00:00:00:00:01")))
        self.assertIn("socket,fd=7,id=nic-net", found)
        self.assertIn("mac=02:00:00:00:00:01", found)
        self.assertIn("hubport,hubid=0,id=spare-net", found)


if __name__ == "__main__":
    unittest.main()
