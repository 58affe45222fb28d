# SPDX-License-Identifier: GPL-2.0
"""The page of promises: only tests that were run, and passed, may be on it."""

import fnmatch
import json
import unittest

import context
from runner import machine, promises
from runner.errors import LabError
from test_stock import cases

KUNIT = json.dumps({"test_cases": [], "sub_groups": [
    {"name": "pool", "test_cases": [
        {"name": "one", "status": "PASS"}, {"name": "bad", "status": "FAIL"},
        {"name": "left_out", "status": "SKIP"}],
     "sub_groups": [{"name": "sizes", "sub_groups": [], "test_cases": [
         {"name": "4K", "status": "PASS"},
         {"name": "1M", "status": "PASS"}]}]},
    {"name": "pool_race", "sub_groups": [], "test_cases": [
        {"name": "one", "status": "PASS"}]}]})
KERNEL_LOG = """\
[    1.000000]     # Subtest: pool
[    1.100000]     # one: figure: cases=100000 faults=0
        # Subtest: sizes
    # sizes: figure: faults=4
        ok 1 4K
    # sizes: figure: faults=5
    # Subtest: pool_race
        # Subtest: one
    # one: no figure
"""
LAB = """\
ok 1 - judges: test_x.Y.test_z
# storm/storm: booting
ok 2 - storm/storm: cycle 1
ok 3 - storm/storm: no removal took longer than 30 seconds
#   figure: cycles=25 faults=0 slowest_ms=310
ok 4 - switch/copy: data # SKIP no time
not ok 5 - pmr/copy: data
ok 6 - pmr/storm: cycle 1
#   figure: cycles=1 slowest_ms=900
# lab: 4 passed, 1 failed, 1 skipped
"""


class Page(unittest.TestCase):
    def setUp(self):
        self.results = promises.Results()
        promises.add_kunit(self.results, KUNIT, KERNEL_LOG)
        promises.add_lab(self.results, LAB)

    def page(self, *tests, figures=()):
        return promises.page(promises.table(
            [("it holds", list(tests), list(figures))], self.results))

    def refused(self, part, *tests, figures=()):
        with self.assertRaises(LabError) as caught:
            self.page(*tests, figures=figures)
        self.assertIn(part, str(caught.exception))

    def test_page(self):
        text = self.page("kunit pool.sizes", "lab storm/storm")
        self.assertTrue(text.endswith(
            "   * - it holds\n     - ``kunit pool.sizes``\n     - 2 tests, faults 9\n"
            "   * -\n     - ``lab storm/storm``\n"
            "     - 2 tests, cycles 25, faults 0, slowest ms 310\n"), text)

    def test_figures_of_a_case(self):
        self.assertIn("- 1 test, cases 100,000, faults 0\n",
                      self.page("kunit pool.one"))
        self.assertIn("- 1 test\n", self.page("kunit pool_race.one"))
        self.assertIn("- 2 tests, faults 9\n", self.page("kunit pool.sizes"))

    def test_figures_that_are_demanded(self):
        self.page("kunit pool.sizes", figures=["faults"])
        self.refused("'kunit pool.one' has said no figure 'faults', or 0",
                     "kunit pool.one", figures=["faults"])
        self.refused("'lab storm/storm' has said no figure 'cases'",
                     "kunit pool.one", "lab storm/storm", figures=["cases"])
        self.refused("'kunit pool_race.one' has said no", "kunit pool_race.one",
                     figures=["cases"])

    def test_a_pattern(self):
        self.assertIn("- 3 tests, cycles 26, faults 0, slowest ms 900\n",
                      self.page("lab */storm"))

    def test_one_test_of_a_scenario(self):
        self.assertIn("- 1 test\n", self.page("lab storm/storm: cycle"))

    def test_a_suite_is_not_one_that_begins_alike(self):
        self.assertIn("- 1 test\n", self.page("kunit pool_race"))

    def test_what_is_not_there(self):
        for name in ("kunit pool.two", "kunit poo", "lab storm/copy",
                     "lab storm/storm: cycle 2", "lab judges"):
            self.refused(f"no test '{name}'", "kunit pool.one", name)

    def test_what_has_not_passed(self):
        self.refused("'pool.bad' has not passed", "kunit pool")
        self.refused("'pool.left_out' has not", "kunit pool.left_out")
        self.refused("'pmr/copy: data' has not", "lab pmr/copy")
        self.refused("'switch/copy: data' has not", "lab switch/copy")

    def test_the_last_run_counts(self):
        promises.add_lab(self.results, "ok 1 - pmr/copy: data\n")
        self.assertIn("- 1 test\n", self.page("lab pmr/copy"))
        promises.add_lab(self.results, "not ok 1 - storm/storm: cycle 1\n")
        self.refused("'storm/storm: cycle 1'", "lab storm/storm")

    def test_words_that_name_no_test(self):
        for name in ("storm/storm", "kunit", "lab ", "bench pool"):
            self.refused("names no test", name)

    def test_results_that_cannot_be_read(self):
        with self.assertRaises(LabError):
            promises.add_kunit(self.results, "{}")


class Source(unittest.TestCase):
    def test_mistakes(self):
        for text in ("", "[[promise]]\ntext = 'x'", "[[promise]]\ntests = ['x']",
                     "[[promise]]\ntext = 'x'\ntests = []", "promise"):
            with self.subTest(text), self.assertRaises(LabError):
                promises.parse(text)

    def test_the_tests_are_there(self):
        there = cases()
        there |= {case.partition(".")[0] for case in there}
        directory = context.LAB / "machines"
        runs = [f"{name}/{scenario}" for name in machine.names(directory)
                for scenario in machine.load(directory, name).scenarios]
        for _, tests, _ in promises.parse(promises.read(promises.SOURCE)):
            for words in tests:
                where, _, name = words.partition(" ")
                if where == "kunit":
                    self.assertIn(name, there)
                else:
                    place = name.partition(": ")[0]
                    self.assertTrue(fnmatch.filter(runs, place), words)

    def test_the_source(self):
        results = promises.Results()
        for text, tests, _ in promises.parse(promises.read(promises.SOURCE)):
            self.assertTrue(text.endswith("."), text)
            for words in tests:
                # raises if it is not the name of a test
                self.assertEqual(results.matching(words), [])


if __name__ == "__main__":
    unittest.main()
