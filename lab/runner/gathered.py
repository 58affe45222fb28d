# SPDX-License-Identifier: GPL-2.0
"""
What tests and measurements have left below build/, for the page of all results.

Nothing here runs anything. What is not there is None, and the page says how to
make it; what is there tells when it was made, because parts of different age may
stand side by side.

    build/log/test-check.log, test-p2pctl.log    "make test": lines of TAP
    build/log/test-lab.log                       the tests of the lab's judges
    build/log/kunit-results.json                 "make kunit": suites and cases
    build/lab/*/run.json                         every run of the lab (record.py)
    build/bench/bench.json                       "make bench"
    build/coverage/summary.json                  "make coverage": lines by file
    build/promises.json                          "make promises": rows of its page
"""

import dataclasses
import json
import re

from . import figures, guest, record
from .errors import LabError
from .ktap import FAIL, PASS, SKIP, Result

_LINE = re.compile(r"^(ok|not ok) \d+ - (.*?)(?:\s+# SKIP\b\s*(.*))?$")
_REMARK = re.compile(r"^#   (.*)$")
JUDGES = "judges: "
KUNIT_OUTCOMES = {"PASS": PASS, "SKIP": SKIP}


@dataclasses.dataclass(frozen=True)
class Part:
    """A group of results."""
    name: str
    made: float             # seconds since 1970
    results: tuple

    def count(self, outcome):
        return sum(result.outcome == outcome for result in self.results)


@dataclasses.dataclass(frozen=True)
class Bench:
    made: float
    kernels: dict
    quick: bool
    figures: tuple


@dataclasses.dataclass(frozen=True)
class Coverage:
    made: float
    files: dict             # path: (lines, lines covered)


@dataclasses.dataclass(frozen=True)
class Gathered:
    checks: Part | None
    p2pctl: Part | None
    judges: Part | None
    suites: tuple           # of KUnit, a Part each
    runs: dict              # (machine, scenario): record.Run
    bench: Bench | None
    coverage: Coverage | None
    promises: tuple         # dictionaries


def tap(text):
    """The results in lines that scripts and lab/run print."""
    results = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            outcome = FAIL if found[1] == "not ok" else \
                PASS if found[3] is None else SKIP
            results.append(Result(found[2], outcome,
                                  (found[3],) if found[3] else ()))
            continue
        remark = _REMARK.match(line)
        if remark and results:
            last = results[-1]
            results[-1] = dataclasses.replace(
                last, remarks=(*last.remarks, remark[1]))
    return tuple(results)


def tap_part(path, name):
    """The part of a log; None without results."""
    if not path.is_file():
        return None
    results = tap(path.read_text(encoding="utf-8", errors="replace"))
    return Part(name, path.stat().st_mtime, results) if results else None


def judges(path):
    """Of the lab's log, the tests of the lab itself."""
    part = tap_part(path, "the lab's judges")
    if part is None:
        return None
    own = tuple(dataclasses.replace(result,
                                    name=result.name.removeprefix(JUDGES))
                for result in part.results if result.name.startswith(JUDGES))
    return dataclasses.replace(part, results=own) if own else None


def _json(path):
    """The document in a file; None if there is no such file."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LabError(f"{path} is damaged ({error}); remove it, or make it "
                       "again.") from None


def _cases(group, prefix=""):
    for case in group["test_cases"]:
        yield Result(prefix + case["name"],
                     KUNIT_OUTCOMES.get(case["status"], FAIL))
    for below in group["sub_groups"]:
        yield from _cases(below, f"{prefix}{below['name']}: ")


def suites(path):
    """KUnit's suites; what neither passed nor was skipped has failed."""
    document = _json(path)
    if document is None:
        return ()
    made = path.stat().st_mtime
    return tuple(Part(group["name"], made, tuple(_cases(group)))
                 for group in document["sub_groups"])


def bench(path):
    document = _json(path)
    if document is None:
        return None
    return Bench(path.stat().st_mtime, document["kernels"], document["quick"],
                 tuple(figures.Figure.from_json(entry)
                       for entry in document["figures"]))


def coverage(path):
    document = _json(path)
    if document is None:
        return None
    return Coverage(path.stat().st_mtime,
                    {name: (entry["lines"], entry["covered"])
                     for name, entry in document["files"].items()})


def promises(path):
    """The rows that promises.py has written."""
    return tuple(_json(path) or ())


def runs(directory):
    """The runs of the lab's scenarios, not those of the bench."""
    known = guest.scenario_names()
    return {key: run for key, run in record.all_runs(directory).items()
            if run.scenario in known}


def gather(build):
    """Everything below build/."""
    log = build / "log"
    return Gathered(
        tap_part(log / "test-check.log", "static checks"),
        tap_part(log / "test-p2pctl.log", "p2pctl"),
        judges(log / "test-lab.log"),
        suites(log / "kunit-results.json"),
        runs(build / "lab"),
        bench(build / "bench" / "bench.json"),
        coverage(build / "coverage" / "summary.json"),
        promises(build / "promises.json"))
