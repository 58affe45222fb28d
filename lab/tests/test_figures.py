# SPDX-License-Identifier: GPL-2.0
"""The bench's figures: rows are understood, and judged as the targets say."""

import re
import unittest

import context
from runner import bench, figures
from runner.errors import LabError

SOURCES = sorted(bench.BENCH.glob("*.c"))
# Where the scenario names the rows of p2pcost.
SCENARIO = bench.BENCH / "scenario"


def row(name, **statistics):
    return {name: statistics}


def lifo(median):
    return row("lifo/1G/64K", n=256, failed=0, median=median, mean=median,
               worst=median)


class Rows(unittest.TestCase):
    def test_rows_among_other_lines(self):
        rows = figures.parse_rows([
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
                figures.parse_rows([line])

    def test_same_row_twice(self):
        with self.assertRaisesRegex(LabError, "twice"):
            figures.parse_rows(["row register/4M n=1", "row register/4M n=2"])

    def test_titles(self):
        for name, words in (
                ("lifo/1G/128K",
                 "allocate and free at once, 1 GiB pool, 128 KiB"),
                ("aged/64M/95/4K",
                 "allocate, 64 MiB pool 95 % full and aged, 4 KiB"),
                ("map/p2p/1", "map provider memory, 1 segment"),
                ("request/64M/95/4K",
                 "allocate, map, unmap, free, 64 MiB pool 95 % full and aged, "
                 "4 KiB"),
                ("nvmet/read/peer/128K",
                 "read 128 KiB through an NVMe target, in peer memory"),
                ("distance/warm/16", "distance, verdict known, 16 clients"),
                ("find/warm/32x16",
                 "find, 32 providers, 16 clients, verdicts known")):
            self.assertEqual(figures.title(name), words)

    def test_row_without_a_title(self):
        with self.assertRaisesRegex(LabError, "'lofi/64M/4K'"):
            figures.title("lofi/64M/4K")

    def test_every_row_of_the_module_has_a_title(self):
        formats = [text for source in SOURCES
                   for text in re.findall(
                       r'series_report\([^",]+,\s*"([^"]+)"',
                       source.read_text(encoding="utf-8"))]
        self.assertGreater(len(formats), 10)
        for text in formats:
            if text.startswith(("map/", "unmap/")):
                names = [text.replace("%s", what).replace("%u", "16")
                         for what in ("dormant", "ram", "p2p", "two", "mixed")]
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
                    self.assertTrue(figures.title(name))


    def test_every_row_of_the_scenario_has_a_title(self):
        text = SCENARIO.read_text(encoding="utf-8")
        names = re.findall(r"^\t\t(read/\w+) ", text, re.M)
        self.assertEqual(len(names), 2)
        self.assertIn('"nvmet/$verb"', text)
        names += [f"nvmet/{verb}/{kind}" for verb in ("read", "write")
                  for kind in ("system", "peer")]
        for name in names:
            self.assertTrue(figures.title(f"{name}/4K"))

    def test_every_row_of_a_command_is_judged(self):
        text = SCENARIO.read_text(encoding="utf-8")
        names = re.findall(r"copied (\w+/\d+) ", text)
        self.assertEqual(len(names), 4)
        rows = {f"copy/{name}": {"least": 7} for name in names}
        found = {figure.row: figure.target
                 for figure in figures.judge({}, rows)}
        self.assertEqual(found, {"copy/dd/1": None, "copy/p2pctl/1": 7,
                                 "copy/fio/8": None, "copy/p2pctl/8": 7})

    def test_mapping_is_to_cost_a_fiftieth(self):
        figure, = figures.judge({"mmap/1G": {"median": 5000}},
                                {"mmap/1G": {"median": 101}})
        self.assertEqual((figure.title, figure.target, figure.miss),
                         ("map 1 GiB of provider memory in a process", 100,
                          True))
        figure, = figures.judge({}, {"mmap/zeros/1G": {"median": 101}})
        self.assertIsNone(figure.target)


class Judging(unittest.TestCase):
    def one(self, stock, ours, statistic):
        found = [figure for figure in figures.judge(stock, ours)
                 if figure.statistic == statistic]
        self.assertEqual(len(found), 1)
        return found[0]

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

    def test_half_of_stock_as_the_target(self):
        name = "request/1G/95/128K"
        stock = row(name, n=9, failed=3, mean=1001)
        for mean, miss in ((500, False), (501, True)):
            ours = row(name, n=12, failed=0, mean=mean)
            self.assertEqual(self.one(stock, ours, "mean").miss, miss)

    def test_what_stock_cannot_do_is_no_target(self):
        name = "request/1G/95/1M"
        figure = self.one(row(name, n=0, failed=12),
                          row(name, n=12, failed=0, mean=9), "mean")
        self.assertEqual((figure.target, figure.unknown, figure.goal),
                         (None, False, ""))

    def test_peer_memory_is_judged_by_our_own_system_memory(self):
        stock = row("nvmet/read/system/4K", tenth=900)
        for tenth, miss in ((700, False), (701, True)):
            ours = row("nvmet/read/system/4K", tenth=700) \
                | row("nvmet/read/peer/4K", tenth=tenth) \
                | row("nvmet/read/system/128K", tenth=1)
            found = {figure.row: figure
                     for figure in figures.judge(stock, ours)}
            peer = found["nvmet/read/peer/4K"]
            self.assertEqual((peer.stock, peer.target, peer.miss),
                             (None, 700, miss))
            self.assertIsNone(found["nvmet/read/system/4K"].target)

    def test_dormant_is_judged_by_the_kernel_without(self):
        ours = row("map/dormant/16", median=931) \
            | row("map/ram/16", median=964)
        stock = row("map/dormant/16", median=9999)
        found = figures.judge(stock, ours, row("map/dormant/16", median=931))
        self.assertEqual([(figure.target, figure.miss) for figure in found],
                         [(931, False), (963, True)])

    def test_without_that_kernel_there_is_no_judgement(self):
        for without in (None, {}, row("map/dormant/1", median=1)):
            figure, = figures.judge({}, row("map/dormant/16", median=9),
                                    without)
            self.assertEqual((figure.target, figure.miss, figure.goal),
                             (None, False, "not measured"))

    def test_not_to_fail_is_no_miss(self):
        stock = row("fail/1G/aged-95", n=9, failed=0, worst=38000)
        self.assertFalse(self.one(stock, {}, "worst").miss)

    def test_figure_without_a_target(self):
        figure = self.one(row("unmap/p2p/1", median=56),
                          row("unmap/p2p/1", median=99999), "median")
        self.assertIsNone(figure.target)
        self.assertFalse(figure.miss)


    def test_more_is_better_for_gains(self):
        stock = row("scale/pool/4K", median=500)
        for median, miss in ((500, False), (499, True)):
            figure = self.one(stock, row("scale/pool/4K", median=median),
                              "median")
            self.assertEqual(figure.miss, miss)
            self.assertEqual(figure.goal, "\u2265 500")

    def test_every_row_is_in_one_section(self):
        for name in ("lifo/1G/4K", "fail/1G/holes", "sgl-free/1G/empty/1M",
                     "map/mixed/16", "unmap/two/256", "distance/cold/1",
                     "find/warm/0x16", "register/first", "read/ram/4K",
                     "scale/control", "port/1G/4K", "request/1G/50/4K",
                     "nvmet/write/peer/4K"):
            ours = row(name, median=1, worst=1, reads=0)
            with self.subTest(name):
                self.assertEqual(
                    len(figures.sections(figures.judge({}, ours))), 1)


class Table(unittest.TestCase):
    def test_miss_is_shown(self):
        lines = figures.table(figures.judge(lifo(339), lifo(131)))
        self.assertRegex(lines[3], r"64 KiB +339 +131 +0\.386 +\u2264 130 +miss$")

    def test_failures_are_shown_where_there_are_any(self):
        name = "sgl-alloc/1G/holes/128K"
        stock, ours = row(name, failed=16), row(name, failed=0, median=9)
        self.assertRegex(figures.table(figures.judge(stock, ours))[4],
                         r", failures +16 +0 +\u2264 0$")
        lines = figures.table(figures.judge(ours, ours))
        self.assertEqual(len(lines), 4)

    def test_what_was_not_measured(self):
        lines = figures.table(figures.judge({}, row("map/ram/1", median=9)))
        self.assertRegex(lines[3], r"1 segment +- +9 +not measured$")

    def test_what_is_not_there(self):
        lines = figures.table(figures.judge({}, lifo(100)))
        self.assertRegex(lines[3], r"64 KiB +- +100 +\u2264 130$")


if __name__ == "__main__":
    unittest.main()
