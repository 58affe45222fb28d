# SPDX-License-Identifier: GPL-2.0
"""The bench: rows are understood, and judged as the targets say."""

import pathlib
import re
import tempfile
import unittest
from unittest import mock

import context
from runner import bench, machine
from runner.errors import LabError

SOURCE = bench.BENCH / "p2pdma_bench.c"
GROUPS = """\
summary = "a test"
smp = 1

[[group]]
name = "provider"
count = 9
memory = "4M"

[[group]]
name = "client"
count = 2
memory = "1M"
"""


def row(name, **statistics):
    return {name: statistics}


def lifo(median):
    return row("lifo/1G/64K", n=256, failed=0, median=median, mean=median,
               worst=median)


class Rows(unittest.TestCase):
    def test_rows_among_other_lines(self):
        rows = bench.parse_rows([
            "1..1", "ok 1 - the module measures",
            "row lifo/64M/4K n=256 failed=0 median=339 mean=340 worst=455",
            "row find/warm/0x16 n=16 failed=0 median=9 mean=9 worst=9 reads=0",
            "# row of trees"])
        self.assertEqual(rows["lifo/64M/4K"], {
            "n": 256, "failed": 0, "median": 339, "mean": 340, "worst": 455})
        self.assertEqual(rows["find/warm/0x16"]["reads"], 0)
        self.assertEqual(len(rows), 2)

    def test_row_cut_in_two(self):
        for line in ("row lifo/64M/4K", "row lifo/64M/4K n=256 median=",
                     "row lifo/64M/4K n=256 median=x"):
            with self.assertRaisesRegex(LabError, "not one"):
                bench.parse_rows([line])

    def test_same_row_twice(self):
        with self.assertRaisesRegex(LabError, "twice"):
            bench.parse_rows(["row register/4M n=1", "row register/4M n=2"])

    def test_titles(self):
        for name, words in (
                ("lifo/1G/128K",
                 "allocate and free at once, 1 GiB pool, 128 KiB"),
                ("aged/64M/95/4K",
                 "allocate, 64 MiB pool 95 % full and aged, 4 KiB"),
                ("map/p2p/1", "map provider memory, 1 segment"),
                ("distance/warm/16", "distance, verdict known, 16 clients"),
                ("find/warm/32x16",
                 "find, 32 providers, 16 clients, verdicts known")):
            self.assertEqual(bench.title(name), words)

    def test_row_without_a_title(self):
        with self.assertRaisesRegex(LabError, "'lofi/64M/4K'"):
            bench.title("lofi/64M/4K")

    def test_every_row_of_the_module_has_a_title(self):
        formats = re.findall(r'series_report\([^",]+,\s*"([^"]+)"',
                             SOURCE.read_text(encoding="utf-8"))
        self.assertGreater(len(formats), 10)
        for text in formats:
            if text.startswith(("map/", "unmap/")):
                names = [text.replace("%s", what).replace("%u", "16")
                         for what in ("dormant", "ram", "p2p", "two")]
            elif text.startswith(("distance/", "find/")):
                names = [text.replace("%s", what).replace("%d", "16")
                         for what in ("warm", "cold")]
            elif text.startswith("sgl-"):
                names = [text.replace("%s", "1G", 1).replace("%s", what, 1)
                         .replace("%s", "4K") for what in ("empty", "holes")]
            else:
                names = [text.replace("%s", "64M").replace("%u", "95")]
            for name in names:
                with self.subTest(name):
                    self.assertTrue(bench.title(name))


class Judging(unittest.TestCase):
    def one(self, stock, ours, statistic):
        figures = [figure for figure in bench.judge(stock, ours)
                   if figure.statistic == statistic]
        self.assertEqual(len(figures), 1)
        return figures[0]

    def test_target_reached(self):
        figure = self.one(lifo(339), lifo(130), "median")
        self.assertFalse(figure.miss)
        self.assertAlmostEqual(figure.ratio, 130 / 339)

    def test_one_instruction_too_many(self):
        self.assertTrue(self.one(lifo(339), lifo(131), "median").miss)

    def test_better_than_stock_is_not_enough(self):
        self.assertTrue(self.one(lifo(9000), lifo(8000), "median").miss)

    def test_missing_figure_is_a_miss(self):
        self.assertTrue(self.one(lifo(339), {}, "median").miss)

    def test_failures_count(self):
        def holes(**statistics):
            return row("sgl-alloc/1G/holes/128K", n=0, **statistics)
        figure = self.one(holes(failed=16), holes(failed=1, median=9),
                          "failed")
        self.assertTrue(figure.miss)
        self.assertTrue(
            self.one(holes(failed=16), holes(failed=16), "median").miss)

    def test_worst_case_is_judged_beside_the_mean(self):
        name = "filled/1G/95/4K"
        ours = row(name, n=16, failed=0, median=90, mean=99, worst=2001)
        self.assertFalse(self.one({}, ours, "mean").miss)
        self.assertTrue(self.one({}, ours, "worst").miss)

    def test_target_grows_with_the_clients(self):
        for clients, target in ((1, 90), (16, 1440)):
            ours = row(f"distance/warm/{clients}", median=target, reads=0)
            figure = self.one({}, ours, "median")
            self.assertEqual((figure.target, figure.miss), (target, False))

    def test_one_config_read_is_a_miss(self):
        ours = row("find/warm/32x16", median=1, reads=1)
        self.assertTrue(self.one({}, ours, "reads").miss)

    def test_stock_as_the_target(self):
        stock = row("distance/cold/1", median=900, reads=4)
        for median, miss in ((900, False), (901, True)):
            ours = row("distance/cold/1", median=median, reads=4)
            self.assertEqual(self.one(stock, ours, "median").miss, miss)

    def test_not_to_fail_is_no_miss(self):
        stock = row("fail/1G/aged-95", n=9, failed=0, worst=38000)
        self.assertFalse(self.one(stock, {}, "worst").miss)

    def test_figure_without_a_target(self):
        figure = self.one(row("unmap/p2p/1", median=56),
                          row("unmap/p2p/1", median=99999), "median")
        self.assertIsNone(figure.target)
        self.assertFalse(figure.miss)


class Table(unittest.TestCase):
    def test_miss_is_shown(self):
        lines = bench.table(bench.judge(lifo(339), lifo(131)))
        self.assertRegex(lines[1], r"64 KiB +339 +131 +0\.386 +130 +miss$")

    def test_failures_are_shown_where_there_are_any(self):
        name = "sgl-alloc/1G/holes/128K"
        stock, ours = row(name, failed=16), row(name, failed=0, median=9)
        self.assertRegex(bench.table(bench.judge(stock, ours))[2],
                         r", failures +16 +0 +0$")
        lines = bench.table(bench.judge(ours, ours))
        self.assertEqual(len(lines), 2)

    def test_what_is_not_there(self):
        lines = bench.table(bench.judge({}, lifo(100)))
        self.assertRegex(lines[1], r"64 KiB +- +100 +130$")


class Kernels(unittest.TestCase):
    def check(self, stock, ours):
        """Two kernels with these configurations, checked."""
        with tempfile.TemporaryDirectory() as directory:
            kernels = {}
            for name, config in (("stock", stock), ("ours", ours)):
                objects = pathlib.Path(directory, name)
                boot = objects / "arch" / "x86" / "boot"
                boot.mkdir(parents=True)
                (boot / "bzImage").touch()
                (objects / "Module.symvers").touch()
                (objects / ".config").write_text(config, encoding="utf-8")
                kernels[name] = (objects, f"build-{name}")
            with mock.patch.object(bench, "KERNELS", kernels):
                bench.check_kernels()

    def test_what_belongs_to_the_subject_may_differ(self):
        self.check("CONFIG_PCI=y\nCONFIG_GENERIC_ALLOCATOR=y\n",
                   "CONFIG_PCI=y\nCONFIG_PCI_P2PDMA_NEW=y\n# a remark\n")

    def test_anything_else_may_not(self):
        with self.assertRaisesRegex(LabError, "CONFIG_SLUB_TINY=y"):
            self.check("CONFIG_PCI=y\n",
                       "CONFIG_PCI=y\nCONFIG_SLUB_TINY=y\n")

    def test_missing_kernel(self):
        objects = pathlib.Path("/nonexistent")
        with mock.patch.object(bench, "KERNELS",
                               {"stock": (objects, "build-stock")}):
            with self.assertRaisesRegex(LabError, "run 'build-stock' first"):
                bench.check_kernels()


class BenchMachines(unittest.TestCase):
    def expand(self, text):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "x.toml"
            path.write_text(text, encoding="utf-8")
            return bench.expand(path)

    def test_groups(self):
        box = self.expand(GROUPS)
        self.assertEqual(
            [dev.name for dev in box.devices if dev.type == "switch-port"],
            ["dn0", "dn1", "dn2"])
        ninth = box.device("provider8")
        self.assertEqual((ninth.below, ninth.place), ("dn1", "0.0"))
        self.assertEqual(box.device("client1").place, "0.1")

    def test_machines_of_the_bench(self):
        wide = self.expand(
            (bench.BENCH / "wide.toml").read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(wide.devices), 126)
        for name in bench.MACHINES:
            box = bench.expand(bench.BENCH / f"{name}.toml")
            self.assertEqual(box.smp, 1)
            self.assertTrue(machine.qemu_options(box, {}))


if __name__ == "__main__":
    unittest.main()
