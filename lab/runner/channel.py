# SPDX-License-Identifier: GPL-2.0
"""
The words that guest and runner exchange over the second serial line.

The guest's side is lab/guest/lib.sh.  Lines that begin with @ are for the
runner, all others are the scenario's test output:

    @where                          which address has each device?
    @begin label=... via=...        a copy is about to begin
           from=... from_offset=... to=... to_offset=... bytes=...
    @end label=...                  it has ended
    @compare bytes=...              are the contents of two devices, drives or
             one=... one_offset=... memory, the same on the host there? The
             other=... other_offset=...   answer is "equal", or where not
    @watch label=... drive=...      from now on: through which memory do the
           via=...                  data of this drive go?
    @unwatch label=...              until now; the answer has the sums
    @queues drive=...               this drive, and no other, is about to be
                                    given its queues
    @queued drive=...               it has them; the answer has a line for each
                                    submission queue but the administrator's:
                                    number, bytes, memory
    @plug drive=... port=...        plug a drive into a port
    @unplug drive=...               ask the guest to let go of it, and take it
                                    out
    @inject device=... error=...    a port reports an error (AER), by the name
                                    that the emulator has for it
    @tell WORD                      to the partner's scenario: something is so
    @await WORD                     has the partner told this? wait until then
    @route provider=... ...         a verdict of the kernel, as traced
    @matrix BASE64                  a piece of what p2pctl tells of all pairs
    @tape TEXT, @after WORD=N ...   what is left when it is over, see after.py
    @done STATUS                    the scenario is over

All but the last four lines are questions.  The guest waits for the answer, lines
that end with "@end", or "@error TEXT"; so whatever the runner notes while
answering, such as how long QEMU's trace is, it notes while the scenario is at
rest.
"""

import dataclasses
import re

COPY_NUMBERS = ("from_offset", "to_offset", "bytes")
COPY_KEYS = ("label", "via", "from", "to", *COPY_NUMBERS)
AREA_NUMBERS = ("one_offset", "other_offset", "bytes")
AREA_KEYS = ("one", "other", *AREA_NUMBERS)
WATCH_KEYS = ("label", "drive", "via")


class Refused(Exception):
    """A request that cannot be answered; the text goes to the guest."""


@dataclasses.dataclass(frozen=True)
class Request:
    word: str
    text: str


def parse(line):
    """The request in a line, or None if it is test output."""
    if not line.startswith("@"):
        return None
    word, _, text = line[1:].partition(" ")
    return Request(word, text)


def fields(text):
    """key=value words as a dictionary."""
    pairs = [word.partition("=") for word in text.split()]
    return {key: value for key, _, value in pairs}


def _checked(text, keys, numbers=()):
    """The words of a request that has these keys."""
    words = fields(text)
    for key in keys:
        if not words.get(key):
            raise Refused(f"'{key}' is missing")
    for key in numbers:
        if not words[key].isdigit():
            raise Refused(f"{key}={words[key]} is not a number")
        words[key] = int(words[key])
    return words


def _check_drive(name, drives):
    if name not in drives:
        raise Refused(f"the machine has no drive '{name}'")


def copy_fields(text, drives):
    """The parameters of a copy, checked."""
    words = _checked(text, COPY_KEYS, COPY_NUMBERS)
    for key in ("from", "to"):
        _check_drive(words[key], drives)
    return words


def watch_fields(text, drives):
    """The parameters of a watch, checked."""
    words = _checked(text, WATCH_KEYS)
    _check_drive(words["drive"], drives)
    return words


def drive_field(text, drives):
    """The drive that a request is about, checked."""
    name = _checked(text, ("drive",))["drive"]
    _check_drive(name, drives)
    return name


def areas(text, images):
    """(name, offset, bytes) of the two areas that are to be compared."""
    words = _checked(text, AREA_KEYS, AREA_NUMBERS)
    for key in ("one", "other"):
        if words[key] not in images:
            raise Refused(f"'{words[key]}' has no contents on the host")
    return [(words[key], words[f"{key}_offset"], words["bytes"])
            for key in ("one", "other")]


def plug_fields(text, machine):
    """The drive and the port of a request to plug, checked; or no port."""
    words = fields(text)
    drive = next((dev for dev in machine.drives()
                  if dev.later and dev.name == words.get("drive")), None)
    if not drive:
        raise Refused(f"the machine has no drive '{words.get('drive')}' that "
                      "can be plugged in")
    port = words.get("port")
    if port and not any(dev.name == port and dev.carries
                        for dev in machine.devices):
        raise Refused(f"the machine has no port '{port}'")
    return drive, port


def inject_fields(text, machine):
    """The port and the error of a request to inject one, checked."""
    words = _checked(text, ("device", "error"))
    if not any(dev.name == words["device"] and dev.carries
               for dev in machine.devices):
        raise Refused(f"the machine has no port '{words['device']}'")
    if not re.fullmatch(r"[A-Z_]+", words["error"]):
        raise Refused(f"error={words['error']} is not the name of an error")
    return words["device"], words["error"]


def answer(lines):
    """The text that answers a question with these lines."""
    return "".join(f"{line}\n" for line in [*lines, "@end"])


def refusal(text):
    return f"@error {text}\n"
