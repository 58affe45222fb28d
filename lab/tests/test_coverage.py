# SPDX-License-Identifier: GPL-2.0
"""Coverage: from the counters of a real program to the verdict."""

import io
import json
import pathlib
import subprocess
import tarfile
import tempfile
import types
import unittest

import context  # noqa: F401
from runner import coverage, coveragepage, gathered
from runner.errors import LabError
from runner.ktap import FAIL

SOURCE = """\
#include <stdlib.h>
#include "../../include/linux/thing.h"

static int thing_check(int value)
{
	if (value > 3)
		return -12;
	if (value < 0)
		goto out;
	return 0;
out:
	return -EINVAL;
}

int main(int argc, char **argv)
{
	void *mem = malloc(thing_double(argc));

	if (!mem)
		return -ENOMEM;
	free(mem);
	return thing_check(argc);
}
"""
HEADER = """\
#define EINVAL 22
#define ENOMEM 12
static inline int thing_double(int value)
{
	return 2 * value;
}
"""
C = "drivers/thing/thing.c"
H = "include/linux/thing.h"
KNOWN = [C, H]
# As scripts/lib.sh has them: without these, lines of error paths disappear.
FLAGS = ("-O2", "-fprofile-arcs", "-ftest-coverage", "-fno-early-inlining",
         "-fno-tree-ccp", "-fno-tree-copy-prop", "-fno-tree-fre",
         "-fno-tree-forwprop", "-fno-tree-vrp")
UNLISTED = f"{C}: thing_check: return -EINVAL;"


class Fixture(unittest.TestCase):
    """A program of one of our files, compiled and run as often as wanted."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = pathlib.Path(temporary.name).resolve()
        for name, text in ((C, SOURCE), (H, HEADER)):
            (cls.root / name).parent.mkdir(parents=True)
            (cls.root / name).write_text(text, encoding="utf-8")
        cls.objects = cls.root / "objects"
        (cls.objects / C).parent.mkdir(parents=True)
        stem = (cls.objects / C).with_suffix("")
        subprocess.run(["gcc", *FLAGS, "-c", f"../{C}", "-o",
                        stem.with_suffix(".o").relative_to(cls.objects)],
                       cwd=cls.objects, check=True)
        subprocess.run(["gcc", "--coverage", stem.with_suffix(".o"),
                        "-o", cls.root / "thing"], check=True)
        cls.data = stem.with_suffix(".gcda")
        cls.known = KNOWN

    def archive(self, *runs):
        """What a guest would send that had executed this."""
        self.data.unlink(missing_ok=True)
        for arguments in runs:
            subprocess.run([self.root / "thing", *arguments], check=False)
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            if runs:
                archive.add(self.data, f".{self.data}")
        return file.getvalue()

    def found(self, *runs):
        total = coverage.gather(self.archive(*runs), self.objects, self.known)
        return coverage.files(total, self.known, self.root)


class Gather(Fixture):
    def counts(self, *runs):
        return coverage.gather(self.archive(*runs), self.objects, self.known)

    def line(self, text):
        return 1 + next(number for number, line
                        in enumerate(SOURCE.splitlines()) if text in line)

    def test_lines_of_file_and_header(self):
        counts = self.counts(["1"], ["1", "2"])
        self.assertEqual(set(counts), {C, H})
        self.assertEqual(counts[C][self.line("free(mem)")], 2)
        self.assertEqual(counts[C][self.line("return -ENOMEM")], 0)
        self.assertEqual(counts[C][self.line("return -12")], 0)
        self.assertEqual(set(counts[H].values()), {2})
        counts = self.counts(["1", "2", "3", "4"])
        self.assertEqual(counts[C][self.line("return -12")], 1)

    def test_what_never_ran_counts_nothing(self):
        counts = self.counts()
        self.assertGreater(len(counts[C]), 5)
        self.assertEqual(set(counts[C].values()), {0})

    def test_runs_add_up(self):
        total = self.counts(["1"])
        coverage.merge(total, self.counts(["1", "2", "3", "4"]))
        self.assertEqual(total[C][self.line("free(mem)")], 2)
        self.assertEqual(total[C][self.line("return -12")], 1)

    def test_counters_of_another_build(self):
        self.archive([])
        data = bytearray(self.data.read_bytes())
        data[8] ^= 1        # the stamp that the notes have too
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            entry = tarfile.TarInfo(f".{self.data}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        with self.assertRaisesRegex(LabError, "do not fit"):
            coverage.gather(file.getvalue(), self.objects, self.known)

    def test_half_an_archive(self):
        data = self.archive(["1"])
        with self.assertRaisesRegex(LabError, "cannot be unpacked"):
            coverage.unpack(data[:len(data) // 2])
        with self.assertRaises(LabError):
            coverage.unpack(b"")


class Judge(Fixture):
    def failed(self, found, excuses="", known=None):
        return [result.name for result in coverage.judge(
            found, known or self.known, coverage.parse_excuses(excuses))
            if result.outcome == FAIL]

    def test_functions(self):
        names = coverage.functions(SOURCE.splitlines())
        self.assertEqual(names[0], "")
        self.assertEqual(names[5], "thing_check")
        self.assertEqual(names[-2], "main")
        names = coverage.functions(
            ["static struct thing *", "thing_make(int size,", "\t   int n)",
             "\t__must_hold(&lock)", "{", "\treturn NULL;", "}", "int x;"])
        self.assertEqual(names[4:], ["thing_make"] * 3 + [""])

    def test_error_paths_and_lines(self):
        found = self.found(["1"])
        failed = self.failed(found)
        self.assertIn(f"{C}: 90 % of its lines were executed", failed)
        self.assertNotIn(f"{H}: 90 % of its lines were executed", failed)
        for text in ("thing_check: return -EINVAL;", "thing_check: goto out;",
                     "main: return -ENOMEM;"):
            self.assertIn(f"error path: {C}: {text}", failed)
        self.assertNotIn(f"error path: {C}: thing_check: return -12;",
                         failed)
        self.assertIn(f"{UNLISTED}\n", coverage.entries(
            coverage.unlisted(found, [])))

    def test_excuses(self):
        found = self.found(["1"])
        excuses = (f"# a comment\n{UNLISTED}\n\tno caller has\n\tless than 0\n"
                   f"{C}: main: *\n  malloc() does not fail\n")
        self.assertEqual(coverage.parse_excuses(excuses)[0].reason,
                         "no caller has less than 0")
        failed = self.failed(found, excuses)
        self.assertNotIn(f"error path: {UNLISTED}", failed)
        self.assertNotIn(f"error path: {C}: main: return -ENOMEM;", failed)
        self.assertIn(f"error path: {C}: thing_check: goto out;", failed)
        self.assertFalse([name for name in failed if "exception" in name])

    def test_stale_excuses(self):
        found = self.found(["1"])
        for path in (f"{C}: main: free(mem);", f"{C}: gone: return -EINVAL;",
                     f"{H}: thing_double: *"):
            self.assertIn(f"exception: {path}",
                          self.failed(found, f"{path}\n\ta reason\n"))

    def test_a_file_that_no_kernel_has(self):
        other = "drivers/thing/other.c"
        self.assertIn(f"{other}: counted",
                      self.failed(self.found(["1"]), known=[*KNOWN, other]))

    def test_bad_excuses(self):
        for text, word in (("\ta reason\n", "before the first"),
                           ("drivers/a.c: f\n\ta reason\n", "form"),
                           (f"{UNLISTED}\n", "reason is missing")):
            with self.assertRaisesRegex(LabError, word):
                coverage.parse_excuses(text)

    def test_the_excuses_that_there_are(self):
        coverage.parse_excuses(
            coverage.EXCEPTIONS.read_text(encoding="utf-8"))

    def test_table(self):
        lines = coverage.table(self.found(["1"]))
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[2], rf"^{H} +\d+ +\d+ +100\.0$")
        self.assertEqual(lines[-1].split()[0], "all")

    def test_summary_is_what_the_report_reads(self):
        path = self.root / "summary.json"
        path.write_text(json.dumps(coverage.summary(self.found(["1"]))),
                        encoding="utf-8")
        read = gathered.coverage(path).files
        self.assertEqual(sorted(read), [C, H])
        lines, covered = read[H]
        self.assertEqual(lines, covered)
        lines, covered = read[C]
        self.assertLess(covered, lines)

    def test_pages(self):
        found = self.found(["1"])
        excuses = coverage.parse_excuses(f"{UNLISTED}\n\ttoo <hard>\n")
        directory = self.root / "pages"
        first = coveragepage.write(directory, found, excuses)
        text = first.read_text(encoding="utf-8")
        for file in found:
            self.assertIn(f'href="{coveragepage.file_name(file.name)}"', text)
        text = (directory / coveragepage.file_name(C)).read_text(
            encoding="utf-8")
        self.assertIn("&lt;stdlib.h&gt;", text)
        self.assertIn('class="excused" title="too &lt;hard&gt;"', text)
        self.assertIn('class="miss"', text)
        self.assertIn('class="hit"', text)


class Selection(unittest.TestCase):
    def test_every_machine_and_every_scenario(self):
        boxes = [types.SimpleNamespace(name=name, scenarios=scenarios)
                 for name, scenarios in (("a", ("x", "y")), ("b", ("x",)),
                                         ("c", ()), ("d", ("x", "z", "w")))]
        chosen = [(box.name, scenario)
                  for box, scenario in coverage.selection(boxes)]
        self.assertEqual(chosen, [("a", "x"), ("b", "x"), ("d", "z"),
                                  ("a", "y"), ("d", "w")])

    def test_our_files(self):
        known = coverage.our_files()
        self.assertIn("drivers/pci/p2pdma.c", known)
        self.assertIn("include/linux/p2pdma.h", known)
        self.assertFalse([name for name in known
                          if "test" in name or "kunit" in name])

    def test_paths_of_gcov(self):
        for path in ("../linux/drivers/pci/p2pdma.c",
                     "/a/drivers/pci/p2pdma.c", "drivers/pci/p2pdma.c"):
            self.assertEqual(coverage.ours(path, ["drivers/pci/p2pdma.c"]),
                             "drivers/pci/p2pdma.c")
        self.assertIsNone(coverage.ours("../linux/drivers/pci/pci.c",
                                        ["drivers/pci/p2pdma.c"]))


if __name__ == "__main__":
    unittest.main()
