# SPDX-License-Identifier: GPL-2.0
"""
Coverage: which lines of our files the tests have executed.

Two kernels count, in our own files only (profile_ours in scripts/lib.sh): that
of the KUnit suites and that of the lab.  User space sends gcov's counters out
when a run is over (after.py), gcov says which lines they stand for, and here
they are added up line by line, so that it does not matter that the two kernels
differ in everything else.

Each of our files is to reach TARGET per cent of the lines that were compiled
in it.  Every error path beyond that has to be executed too, or to be excused
in lab/coverage-exceptions with the reason:

    drivers/pci/p2pdma.c: pci_p2pdma_setup: return -ENOMEM;
        why no test comes here

that is file, function and the line itself, or * for all of the function.
One entry stands for all such lines of that function.  An entry that excuses
nothing any more is an error: it would hide the next line that looks like it.

An error path is a line that leaves a function, or jumps, for a reason that
its own text shows (ERROR_PATH).  What is undone behind a label is reached by
such a jump, and thus needs no rule of its own.
"""

import dataclasses
import io
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile

from .errors import LabError
from .ktap import FAIL, PASS, Result

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXCEPTIONS = ROOT / "lab" / "coverage-exceptions"
# Not include/trace: its lines are macros that make functions elsewhere.
DIRECTORIES = ("block", "drivers", "include/linux", "kernel", "lib", "mm")
TARGET = 90
ALL = "*"
ERROR_PATH = re.compile(
    r"\s*(?:return (?:-E[A-Z0-9]+\b|ERR_\w+\(|PTR_ERR\w*\(|dev_err_probe\(|"
    r"(?:NULL|err|error|rc|ret|status);)|goto \w+;)")
_FUNCTION = re.compile(r"^(?:[A-Za-z_].*?[\s*])?([A-Za-z_]\w*)\(")
_ENTRY = re.compile(r"^(\S+): (\w+): (\S.*)$")


def our_files(root=ROOT):
    """Files of ours that the kernel is made of, without the tests' own."""
    files = [path.relative_to(root)
             for directory in DIRECTORIES
             for path in (root / directory).rglob("*.[ch]")]
    return sorted(str(path) for path in files
                  if "tests" not in path.parts
                  and "kunit" not in path.stem.split("_")
                  and not path.stem.endswith(("_test", "_stage")))


def ours(path, known):
    """Which of our files a path of gcov's means, or None."""
    parts = pathlib.PurePath(path).parts
    for first in range(len(parts)):
        name = "/".join(parts[first:])
        if name in known:
            return name
    return None


def read_gcov(text, known):
    """{file: {line: count}} of what gcov has printed for one object."""
    counts = {}
    for entry in json.loads(text)["files"]:
        name = ours(entry["file"], known)
        if not name:
            continue
        lines = counts.setdefault(name, {})
        for line in entry["lines"]:
            number = line["line_number"]
            lines[number] = lines.get(number, 0) + line["count"]
    return counts


def merge(total, counts):
    """Add counts to total."""
    for name, lines in counts.items():
        into = total.setdefault(name, {})
        for number, count in lines.items():
            into[number] = into.get(number, 0) + count


def unpack(data):
    """{path: bytes} of the counters in an archive."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            return {member.name: archive.extractfile(member).read()
                    for member in archive if member.isfile()}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LabError("what a guest sent of its counters cannot be unpacked "
                       f"({error}); run 'make coverage' again.") from None


def ask_gcov(name, directory):
    """What gcov says of an object's counters, or of its notes alone."""
    stem = directory / pathlib.PurePath(name).stem
    data = stem.with_suffix(".gcda")
    try:
        result = subprocess.run(
            ["gcov", "--json-format", "--stdout",
             str(data if data.exists() else stem.with_suffix(".gcno"))],
            cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LabError("gcov is needed and not installed; run "
                       "'scripts/install-deps'.") from None
    if result.returncode or "mismatch" in result.stderr:
        raise LabError(f"the counters of {name} do not fit the kernel that "
                       f"was built ({result.stderr.strip()}); run "
                       "'make coverage' again.")
    return result.stdout


def gather(data, objects, known):
    """
    {file: {line: count}} of one run: data is its archive, objects where its
    kernel was built.
    """
    counters = {}
    for path, content in unpack(data).items():
        name = ours(str(pathlib.PurePath(path).with_suffix(".c")), known)
        if name:
            counters[name] = content
    total = {}
    for name in (name for name in known if name.endswith(".c")):
        notes = (objects / name).with_suffix(".gcno")
        if not notes.is_file():
            continue        # not part of this kernel
        with tempfile.TemporaryDirectory() as scratch:
            directory = pathlib.Path(scratch)
            (directory / notes.name).write_bytes(notes.read_bytes())
            if name in counters:
                (directory / notes.name).with_suffix(".gcda").write_bytes(
                    counters[name])
            merge(total, read_gcov(ask_gcov(name, directory), known))
    return total


@dataclasses.dataclass(frozen=True)
class Excuse:
    """One entry of lab/coverage-exceptions."""
    file: str
    function: str
    text: str
    reason: str
    number: int             # of its line

    def fits(self, path):
        return (self.file, self.function) == (path.file, path.function) and \
            (self.text == path.text or self.text == ALL)


@dataclasses.dataclass(frozen=True)
class Path:
    """Uncovered lines of a function that read the same."""
    file: str
    function: str
    text: str
    error: bool             # is it an error path?
    numbers: tuple

    def __str__(self):
        return f"{self.file}: {self.function}: {self.text}"


def parse_excuses(text, source="lab/coverage-exceptions"):
    """The entries of such a file."""
    excuses = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t":
            if not excuses:
                raise LabError(f"{source}:{number}: a reason stands before "
                               "the first entry; entries begin in the first "
                               "column.")
            reason = f"{excuses[-1].reason} {line.strip()}".strip()
            excuses[-1] = dataclasses.replace(excuses[-1], reason=reason)
            continue
        entry = _ENTRY.match(line)
        if not entry:
            raise LabError(f"{source}:{number}: '{line}' is not of the form "
                           "'FILE: FUNCTION: LINE'.")
        excuses.append(Excuse(entry[1], entry[2], entry[3].strip(), "",
                              number))
    for excuse in excuses:
        if not excuse.reason:
            raise LabError(f"{source}:{excuse.number}: the reason is missing; "
                           "write it below, indented.")
    return excuses


def functions(lines):
    """
    The function that each line belongs to; "" outside.  In kernel style a
    function's brace stands in the first column, below its head.
    """
    names, current, head = [], "", ""
    for line in lines:
        if line.startswith("{"):
            current = head
        elif not current:
            found = _FUNCTION.match(line)
            if found:
                head = found[1]
        names.append(current)
        if line.startswith("}"):
            current = head = ""
    return names


def uncovered(name, counts, lines):
    """The uncovered paths of a file whose text is in lines."""
    belongs = functions(lines)
    found = {}
    for number in sorted(counts):
        if counts[number] or number > len(lines):
            continue
        text = lines[number - 1]
        key = (belongs[number - 1], text.strip(),
               bool(ERROR_PATH.match(text)))
        found.setdefault(key, []).append(number)
    return [Path(name, function, text, error, tuple(numbers))
            for (function, text, error), numbers in found.items()]


@dataclasses.dataclass(frozen=True)
class File:
    """What is known of one of our files."""
    name: str
    lines: tuple            # its text
    counts: dict            # of those of its lines that were compiled
    paths: tuple            # uncovered ones

    @property
    def covered(self):
        return sum(1 for count in self.counts.values() if count)

    @property
    def percent(self):
        return 100 * self.covered / len(self.counts)


def files(total, known, root=ROOT):
    """All of our files that have lines to execute."""
    result = []
    for name in known:
        if not total.get(name):
            continue
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        result.append(File(name, tuple(lines), total[name],
                           tuple(uncovered(name, total[name], lines))))
    return result


def unlisted(found, excuses):
    """The error paths that were neither executed nor excused."""
    return [path for file in found for path in file.paths if path.error
            and not any(excuse.fits(path) for excuse in excuses)]


def judge(found, known, excuses):
    """The results: each file, each error path, each stale excuse."""
    results = []
    compiled = {file.name for file in found}
    for name in known:
        if name.endswith(".c") and name not in compiled:
            results.append(Result(f"{name}: counted", FAIL, (
                "no kernel with counters has this file; add the option that "
                "builds it to tools/testing/kunit/configs/p2pdma.config or "
                "lab/kernel.config",)))
    for file in found:
        results.append(Result(
            f"{file.name}: {TARGET} % of its lines were executed",
            PASS if file.percent >= TARGET else FAIL,
            (f"{file.percent:.1f} %, {file.covered} of {len(file.counts)}",)))
    for path in unlisted(found, excuses):
        lines = ", ".join(map(str, path.numbers))
        results.append(Result(f"error path: {path}", FAIL, (
            f"line {lines}: let a test come here, or give the reason in "
            "lab/coverage-exceptions",)))
    for excuse in excuses:
        used = any(excuse.fits(path)
                   for file in found for path in file.paths)
        name = f"exception: {excuse.file}: {excuse.function}: {excuse.text}"
        results.append(Result(name, PASS if used else FAIL, () if used else (
            f"lab/coverage-exceptions:{excuse.number} excuses nothing any "
            "more; remove it",)))
    return results


def entries(paths):
    """The entries that lab/coverage-exceptions would need, less reasons."""
    return "".join(f"{path}\n" for path in paths)


def selection(boxes):
    """
    What is run in the lab: every machine once at least, and every scenario.
    More of the same takes time and executes the same lines.
    """
    chosen, done = [], set()
    for box in boxes:
        if not box.scenarios:
            continue        # a partner, which is booted along
        scenario = next((name for name in box.scenarios if name not in done),
                        box.scenarios[0])
        chosen.append((box, scenario))
        done.add(scenario)
    for box in boxes:
        for scenario in box.scenarios:
            if scenario not in done:
                chosen.append((box, scenario))
                done.add(scenario)
    return chosen


def summary(found):
    """For the page of all results (gathered.py): lines by file."""
    return {"files": {file.name: {"lines": len(file.counts),
                                  "covered": file.covered}
                      for file in found}}


def table(found):
    """The lines of the table."""
    width = max([len(file.name) for file in found], default=0)
    lines = [f"{'file':{width}}  lines  executed        %"]
    for file in found:
        lines.append(f"{file.name:{width}}  {len(file.counts):5}  "
                     f"{file.covered:8}  {file.percent:7.1f}")
    count = sum(len(file.counts) for file in found)
    covered = sum(file.covered for file in found)
    if count:
        lines.append(f"{'all':{width}}  {count:5}  {covered:8}  "
                     f"{100 * covered / count:7.1f}")
    return lines
