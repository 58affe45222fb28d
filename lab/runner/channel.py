# SPDX-License-Identifier: GPL-2.0
"""
The words that guest and runner exchange over the second serial line.

The guest's side is lab/guest/lib.sh.  Lines that begin with @ are for the
runner, all others are the scenario's test output:

    @where                          which address has each device?
    @begin label=... via=...        a copy is about to begin
           from=... from_offset=... to=... to_offset=... bytes=...
    @end label=...                  it has ended
    @route provider=... ...         a verdict of the kernel, as traced
    @done STATUS                    the scenario is over

The first three are questions.  The guest waits for the answer, lines that end
with "@end", or "@error TEXT"; so whatever the runner notes while answering,
such as how long QEMU's trace is, it notes while the guest is at rest.
"""

import dataclasses

NUMBERS = ("from_offset", "to_offset", "bytes")
COPY_KEYS = ("label", "via", "from", "to", *NUMBERS)


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


def copy_fields(text, drives):
    """The parameters of a copy, checked."""
    copy = fields(text)
    for key in COPY_KEYS:
        if not copy.get(key):
            raise Refused(f"'{key}' is missing")
    for key in NUMBERS:
        if not copy[key].isdigit():
            raise Refused(f"{key}={copy[key]} is not a number")
        copy[key] = int(copy[key])
    for key in ("from", "to"):
        if copy[key] not in drives:
            raise Refused(f"the machine has no drive '{copy[key]}'")
    return copy


def answer(lines):
    """The text that answers a question with these lines."""
    return "".join(f"{line}\n" for line in [*lines, "@end"])


def refusal(text):
    return f"@error {text}\n"
