# SPDX-License-Identifier: GPL-2.0
"""
Judge of the guest's test lines (KTAP).

Silence is no success: a scenario must announce how many tests it has ("1..N",
N not 0), and each of them must report, once and in order.  What is missing
becomes a failed test here.
"""

import dataclasses
import re

_PLAN = re.compile(r"^1\.\.(\d+)\s*$")
_RESULT = re.compile(r"^(ok|not ok) (\d+)(?: -)?(?: (.*?))?\s*$")
_SKIP = re.compile(r"^(.*?)\s*# SKIP\b\s*(.*)$", re.IGNORECASE)

PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclasses.dataclass(frozen=True)
class Result:
    """One test: its name, what became of it, and remarks."""
    name: str
    outcome: str
    remarks: tuple = ()


def judge(lines):
    """The results that these lines stand for."""
    results, problems = [], []
    planned = None
    seen = 0
    for line in lines:
        plan = _PLAN.match(line)
        if plan:
            if planned is not None:
                problems.append("the tests were announced twice")
            planned = int(plan[1])
            continue
        if line.startswith("Bail out!"):
            problems.append(f"the scenario gave up: {line[9:].strip()}")
            continue
        found = _RESULT.match(line)
        if not found:
            # remarks follow the test that they belong to
            if results and line.startswith("#"):
                last = results[-1]
                results[-1] = dataclasses.replace(
                    last, remarks=last.remarks + (line[1:].strip(),))
            continue
        seen += 1
        if int(found[2]) != seen:
            problems.append(f"test {found[2]} reported where test {seen} was "
                            "expected")
        name, outcome = found[3] or f"test {found[2]}", PASS
        skip = _SKIP.match(name)
        if found[1] == "not ok":
            outcome = FAIL
        elif skip:
            results.append(Result(skip[1], SKIP, (skip[2],)))
            continue
        results.append(Result(name, outcome))
    if planned is None:
        problems.append("the number of tests was never announced (1..N)")
    elif planned == 0:
        problems.append("the scenario has no tests")
    elif seen != planned:
        problems.append(f"{planned} tests were announced and {seen} reported")
    results += [Result(text, FAIL) for text in problems]
    return results
