# SPDX-License-Identifier: GPL-2.0
"""
What is looked at when a run is over: what the kernel's checkers found or counted
that is not in the kernel log by itself.

lab/guest/after.sh looks, in machines of the lab and after KUnit suites, and says

    @after WORD=NUMBER ...      the numbers that it found
    @tape TEXT                  a line of an archive, gzipped and in base 64

A kernel whose configuration has such a checker has to come up with its number:
one that does not has not looked, which is a failure too.  Nothing else in the
kernel log of a run without reports would tell the two apart.
"""

import base64
import binascii
import dataclasses

from .errors import LabError
from .ktap import FAIL, PASS, Result


@dataclasses.dataclass(frozen=True)
class Check:
    """One number: which option has it counted, and what it has to be."""
    option: str
    name: str               # of the result
    zero: bool              # must it be zero, or must it not?


CHECKS = {
    "kmemleak": Check("DEBUG_KMEMLEAK", "no memory is lost (kmemleak)", True),
    "kcsan": Check("KCSAN", "accesses were watched for races (kcsan)", False),
    "coverage": Check("GCOV_KERNEL", "executed lines were counted (gcov)",
                      False),
}


def judge(kernel, words):
    """The results for a kernel; words are what the guest has found."""
    results = []
    for word, check in CHECKS.items():
        if not kernel.has(check.option):
            continue
        text = words.get(word, "")
        if not text.isdigit():
            remark = f"the guest has not said how much: '{text}'" if text \
                else "the guest could not look"
        elif (int(text) == 0) != check.zero:
            remark = f"wanted {'none' if check.zero else 'some'}, " \
                     f"found {text}"
        else:
            results.append(Result(check.name, PASS))
            continue
        results.append(Result(check.name, FAIL, (remark,)))
    return results


def archive(lines):
    """The bytes of an archive that arrived in these lines."""
    try:
        return base64.b64decode("".join(lines), validate=True)
    except binascii.Error:
        raise LabError("what a guest sent of its counters is damaged; run "
                       "'make coverage' again.") from None
