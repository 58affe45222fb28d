# SPDX-License-Identifier: GPL-2.0
"""
The page of promises: what is promised, and which test holds it.

lab/promises.toml has the promises, each with the tests that hold it, by name:

    kunit SUITE             all cases of a suite
    kunit SUITE.CASE        one case, with all its parameters
    lab MACHINE/SCENARIO    all tests of a scenario on a machine
    lab MACHINE/SCENARIO: NAME    those whose names begin so

MACHINE can be a pattern such as "*".  What became of the tests is read from the
logs of the latest run.  A test that is not in them, or has not passed, is an
error, and no page is written: nothing on it is anybody's word.

The figures are the number of cases that the test had, and what it said itself
in lines "figure: cycles=25 faults=0".  A promise may demand of each of its tests
that it has said some, and not 0, by "figures".
"""

import fnmatch
import json
import pathlib
import re
import sys
import tomllib

from .errors import LabError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "lab" / "promises.toml"
LOGS = ROOT / "build" / "log"
KUNIT = LOGS / "kunit-results.json"
KUNIT_LOG = LOGS / "kunit-kernel.log"
LAB = LOGS / "test-lab.log"
PAGE = ROOT / "Documentation" / "admin-guide" / "p2pdma-promises.rst"
# The same for the page of all results, see gathered.py.
ROWS = ROOT / "build" / "promises.json"

HEAD = """\
.. SPDX-License-Identifier: GPL-2.0
.. Made by "make promises" from the logs of "make test": do not edit.

==============================
What peer-to-peer DMA promises
==============================

Each promise is held by tests, which run on emulated machines and on declared PCI
trees. A test that is named here was run, and all its cases passed.

.. list-table::
   :header-rows: 1
   :widths: 40 40 20

   * - promise
     - test
     - figure
"""

_RESULT = re.compile(r"^(ok|not ok) \d+ - ([^:]+/[^:]+): (.*?)( # SKIP.*)?$")
_LAB_FIGURE = re.compile(r"^#\s+figure: (.*)$")
_SUITE = re.compile(r"^(?:\[[^]]*\] )? {4}# Subtest: (\w+)")
_KUNIT_FIGURE = re.compile(r"\s# (\w+): figure: (.*)$")
_PAIR = re.compile(r"(\w+)=(\d+)")


class Results:
    """What became of tests: [name, passed, figures] by where they were run."""

    def __init__(self):
        self.found = {"kunit": [], "lab": []}

    def add(self, where, name, passed):
        self.found[where].append([name, passed, []])

    def matching(self, words):
        """The results of a test as it is named in the source."""
        where, _, name = words.partition(" ")
        if where not in self.found or not name:
            raise LabError(f"'{words}' names no test; write 'kunit "
                           "SUITE.CASE' or 'lab MACHINE/SCENARIO'.")
        if where == "kunit":
            return [result for result in self.found[where]
                    if result[0] == name or result[0].startswith(f"{name}.")]
        place, _, title = name.partition(": ")
        matches = []
        for result in self.found[where]:
            found, _, rest = result[0].partition(": ")
            if fnmatch.fnmatchcase(found, place) and rest.startswith(title):
                matches.append(result)
        return matches


def read(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}; run 'make test' first.") \
            from None


def add_kunit(results, text, log=""):
    """The cases of kunit.py's JSON, and what they said in the kernel log."""
    def walk(group, path):
        for case in group["test_cases"]:
            results.add("kunit", ".".join([*path, case["name"]]),
                        case["status"] == "PASS")
        for sub in group["sub_groups"]:
            walk(sub, [*path, sub["name"]])

    try:
        for suite in json.loads(text)["sub_groups"]:
            walk(suite, [suite["name"]])
    except (ValueError, KeyError):
        raise LabError("the results of KUnit cannot be read; run 'make kunit' "
                       "again.") from None
    suite = ""
    for line in log.splitlines():
        found = _SUITE.match(line)
        if found:
            suite = found[1]
        found = _KUNIT_FIGURE.search(line)
        if found:
            name = f"{suite}.{found[1]}"
            # With parameters, a case is a group: the sum is what counts
            for result in results.matching(f"kunit {name}")[:1]:
                result[2].append(found[2])


def add_lab(results, text):
    """
    The lines of lab/run.  Of a scenario that was run more than once, in logs
    that follow each other, the last run counts.
    """
    fresh, last = [], None
    for line in text.splitlines():
        found = _RESULT.match(line)
        if found:
            last = [f"{found[2]}: {found[3]}",
                    found[1] == "ok" and not found[4], []]
            fresh.append(last)
            continue
        found = _LAB_FIGURE.match(line)
        if found and last:
            last[2].append(found[1])
    again = {result[0].partition(": ")[0] for result in fresh}
    results.found["lab"] = [
        result for result in results.found["lab"]
        if result[0].partition(": ")[0] not in again] + fresh


def sums(matches):
    """What a test said, added up; of what is slowest, the slowest."""
    found = {}
    for _, _, said in matches:
        for key, value in _PAIR.findall(" ".join(said)):
            join = max if key.startswith("slowest") else int.__add__
            found[key] = join(found.get(key, 0), int(value))
    return found


def figure(matches):
    """The text for a test: cases, and what it said."""
    cases = len(matches)
    words = [f"{cases} test{'s' if cases > 1 else ''}"]
    words += [f"{key.replace('_', ' ')} {value:,}"
              for key, value in sums(matches).items()]
    return ", ".join(words)


def parse(text):
    """The promises of the source: (text, tests, figures) each."""
    try:
        promises = tomllib.loads(text).get("promise", [])
    except tomllib.TOMLDecodeError as error:
        raise LabError(f"{SOURCE.name} is not a TOML file: {error}") from None
    for number, promise in enumerate(promises, start=1):
        if set(promise) - {"figures"} != {"text", "tests"} \
                or not promise["text"] or not promise["tests"] \
                or not isinstance(promise.get("figures", []), list):
            raise LabError(f"{SOURCE.name}: promise {number} needs 'text' and "
                           "'tests', may have a list 'figures', and nothing "
                           "else.")
    if not promises:
        raise LabError(f"{SOURCE.name} has no promise.")
    return [(promise["text"], promise["tests"], promise.get("figures", []))
            for promise in promises]


def table(promises, results):
    """
    The rows of the page, a dictionary each, or an error that names every test
    that does not hold.
    """
    rows, faults = [], []
    for text, tests, figures in promises:
        first = text
        for words in tests:
            matches = results.matching(words)
            if not matches:
                faults.append(f"there is no test '{words}' in the logs of the "
                              "latest run")
            faults += [f"'{name}' has not passed"
                       for name, passed, _ in matches if not passed]
            said = sums(matches)
            faults += [f"'{words}' has said no figure '{key}', or 0"
                       for key in figures if not said.get(key)]
            rows.append({"promise": first, "test": words,
                         "figure": figure(matches)})
            first = ""
    if faults:
        raise LabError("these promises are not held:\n  "
                       + "\n  ".join(faults))
    return rows


def page(rows):
    """The text of the page."""
    lines = []
    for row in rows:
        lines += [f"   * - {row['promise']}".rstrip(),
                  f"     - ``{row['test']}``", f"     - {row['figure']}"]
    return HEAD + "".join(f"{line}\n" for line in lines)


def main(arguments):
    """scripts/promises [LOG...]: further logs of lab/run, read after its own."""
    try:
        results = Results()
        add_kunit(results, read(KUNIT),
                  read(KUNIT_LOG) if KUNIT_LOG.exists() else "")
        for path in [LAB, *map(pathlib.Path, arguments)]:
            add_lab(results, read(path))
        rows = table(parse(read(SOURCE)), results)
    except LabError as error:
        print(f"promises: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(page(rows), encoding="utf-8")
    ROWS.write_text(json.dumps(rows), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(rows)} tests")
    return 0
