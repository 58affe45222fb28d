# SPDX-License-Identifier: GPL-2.0
"""
Result lines, totals and colours.

Every test of every run is one line "ok N - NAME" or "not ok N - NAME", with
remarks after "#", so that the output of lab/run is TAP.  The last line is the
total that make test adds up.  Colours appear on a terminal only, and not if
NO_COLOR is set.
"""

import os
import sys

from .ktap import FAIL, PASS, SKIP

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33",
         "cyan": "36"}
MAX_REMARKS = 60


def colour(text, code, stream=None):
    """The text in a colour, where colours are wanted."""
    stream = stream or sys.stdout
    if not stream.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{CODES[code]}m{text}\033[0m"


class Report:
    """Prints results as they come and counts them."""

    def __init__(self):
        self.counts = {PASS: 0, FAIL: 0, SKIP: 0}

    def announce(self, text):
        """Something that is about to happen."""
        print(colour(f"# {text}", "dim"), flush=True)

    def add(self, prefix, result):
        self.counts[result.outcome] += 1
        number = sum(self.counts.values())
        name = f"{prefix}: {result.name}"
        remarks = result.remarks
        if result.outcome == FAIL:
            print(colour(f"not ok {number} - {name}", "red"))
        elif result.outcome == SKIP:
            why = " ".join(remarks)
            print(colour(f"ok {number} - {name} # SKIP {why}", "yellow"))
            remarks = ()
        else:
            print(f"ok {number} - {name}")
        for remark in remarks[:MAX_REMARKS]:
            print(f"#   {remark}")
        if len(remarks) > MAX_REMARKS:
            print(f"#   and {len(remarks) - MAX_REMARKS} more lines")
        sys.stdout.flush()

    def total(self):
        """Print the last line; the exit status for the command."""
        print(f"# lab: {self.counts[PASS]} passed, {self.counts[FAIL]} "
              f"failed, {self.counts[SKIP]} skipped")
        return 1 if self.counts[FAIL] or not self.counts[PASS] else 0
