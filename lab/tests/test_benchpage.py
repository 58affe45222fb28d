# SPDX-License-Identifier: GPL-2.0
"""The bench's page: what was measured, and nothing else."""

import dataclasses
import re
import unittest

import context
from runner import benchpage, figures
from runner.errors import LabError


def document(stock, ours, quick=False):
    return {"kernels": {"stock": "6.12.1", "ours": "6.12.2"}, "qemu": "7.2.0",
            "compiler": "gcc 12", "quick": quick,
            "figures": [dataclasses.asdict(figure) for figure
                        in figures.judge(stock, ours)]}


def lifo(median):
    return {"lifo/1G/64K": {"median": median}}


class Page(unittest.TestCase):
    def test_figures_and_versions(self):
        text = benchpage.page(document(lifo(339), lifo(99)))
        self.assertRegex(text, r"64 KiB +339 +99 +0\.292 +\u2264 130\n")
        self.assertIn("all of them reach it", text)
        for version in ("6.12.1", "6.12.2", "QEMU 7.2.0", "gcc 12"):
            self.assertIn(version, text)

    def test_a_miss_is_shown_as_a_miss(self):
        text = benchpage.page(document(lifo(339), lifo(131)))
        self.assertRegex(text, r"131 +0\.386 +\u2264 130 +miss\n")
        self.assertIn("1 of them miss it", text)

    def test_a_quick_run_is_not_for_the_page(self):
        with self.assertRaisesRegex(LabError, "make bench"):
            benchpage.page(document(lifo(339), lifo(99), quick=True))

    def test_no_cell_sticks_out_of_its_column(self):
        text = benchpage.page(document(lifo(1234567), lifo(99)))
        table = re.search(r"^(=+(?:  =+)+)\n.*\n\1\n((?:.*\n)*?)\1$", text,
                          re.M)
        starts = [match.start() for match in re.finditer(r"=+", table[1])]
        for line in table[2].splitlines():
            for start in starts[1:]:
                self.assertEqual(line[start - 2:start].strip(), "")


if __name__ == "__main__":
    unittest.main()
