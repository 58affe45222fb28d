# SPDX-License-Identifier: GPL-2.0
"""The tests that lab/stock.rst names are there."""

import re
import unittest

import context
from runner import machine

ROOT = context.LAB.parent
SUITES = (*(ROOT / "drivers" / "pci" / "tests").glob("*_test.c"),
          *(ROOT / "drivers" / "nvme").glob("*/*_test.c"))


def cases():
    """The KUnit cases that there are, as SUITE.CASE."""
    found = set()
    for path in SUITES:
        text = path.read_text(encoding="utf-8")
        suite = re.search(r"^static struct kunit_suite .*?"
                          r'^\t\.name = "(\w+)"', text, re.M | re.S)
        if suite:
            found.update(f"{suite[1]}.{case}" for case in
                         re.findall(r"\bKUNIT_CASE\w*\((\w+)", text))
    return found


class Page(unittest.TestCase):
    def setUp(self):
        page = (context.LAB / "stock.rst").read_text(encoding="utf-8")
        self.table = page.partition(".. list-table::")[2]
        self.commands = page.partition(".. list-table::")[0]

    def assert_scenario(self, name, scenario):
        directory = context.LAB / "machines"
        self.assertIn(name, machine.names(directory))
        self.assertIn(scenario, machine.load(directory, name).scenarios)

    def test_each_line_has_a_test(self):
        lines = self.table.split("\n   * - ")[2:]
        self.assertGreater(len(lines), 10)
        for line in lines[:-1]:
            self.assertRegex(line, r"``\S+[./]\S+``")

    def test_kunit_cases(self):
        there = cases()
        named = re.findall(r"``(\w+\.\w+)``", self.table)
        self.assertTrue(named)
        for case in named:
            self.assertIn(case, there)

    def test_scenarios(self):
        named = re.findall(r"``([\w-]+)/([\w-]+)``", self.table)
        self.assertTrue(named)
        for name, scenario in named:
            self.assert_scenario(name, scenario)

    def test_commands(self):
        named = re.findall(r"lab/run lab (\S+) (\S+)", self.commands)
        self.assertTrue(named)
        for name, scenario in named:
            self.assert_scenario(name, scenario)


if __name__ == "__main__":
    unittest.main()
