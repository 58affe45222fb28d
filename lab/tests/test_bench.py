# SPDX-License-Identifier: GPL-2.0
"""The bench: its kernels and its machines."""

import pathlib
import tempfile
import unittest
from unittest import mock

import context
from runner import bench, machine
from runner.errors import LabError

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


class Boots(unittest.TestCase):
    def test_least(self):
        rows = {"a": {"tenth": 9, "mean": 9}, "b": {"tenth": 3, "mean": 4}}
        more = {"a": {"tenth": 5, "mean": 8}, "b": {"tenth": 4, "mean": 3}}
        self.assertEqual(bench.least(rows, more),
                         {"a": more["a"], "b": rows["b"]})
        self.assertEqual(bench.least({"c": {"median": 2}},
                                     {"c": {"median": 1}}),
                         {"c": {"median": 1}})
        self.assertEqual(bench.least({"d": {"least": 2}}, {"d": {"least": 3}}),
                         {"d": {"least": 2}})
        # a boot that failed adds nothing
        self.assertEqual(bench.least(rows, {}), rows)


class Kernels(unittest.TestCase):
    def check(self, stock, ours, without=None):
        """Kernels with these configurations, checked."""
        with tempfile.TemporaryDirectory() as directory:
            kernels = {}
            configs = {"stock": stock, "ours": ours}
            if without is not None:
                configs["without"] = without
            for name, config in configs.items():
                objects = pathlib.Path(directory, name)
                boot = objects / "arch" / "x86" / "boot"
                boot.mkdir(parents=True)
                (boot / "bzImage").touch()
                (objects / "Module.symvers").touch()
                (objects / ".config").write_text(config, encoding="utf-8")
                kernels[name] = (objects, f"build-{name}")
            with mock.patch.object(bench, "KERNELS", kernels):
                bench.check_kernels(tuple(configs))

    def test_what_belongs_to_the_subject_may_differ(self):
        self.check("CONFIG_PCI=y\nCONFIG_GENERIC_ALLOCATOR=y\n",
                   "CONFIG_PCI=y\nCONFIG_PCI_P2PDMA_NEW=y\n# a remark\n")

    def test_anything_else_may_not(self):
        with self.assertRaisesRegex(LabError, "CONFIG_SLUB_TINY=y"):
            self.check("CONFIG_PCI=y\n",
                       "CONFIG_PCI=y\nCONFIG_SLUB_TINY=y\n")

    def test_the_third_one_is_checked_too(self):
        ours = "CONFIG_PCI=y\nCONFIG_PCI_P2PDMA=y\n"
        self.check("CONFIG_PCI=y\n", ours, "CONFIG_PCI=y\n")
        with self.assertRaisesRegex(LabError, "'without' .*CONFIG_SMP=y"):
            self.check("CONFIG_PCI=y\n", ours, "CONFIG_PCI=y\nCONFIG_SMP=y\n")

    def test_compiler(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "include", "generated", "compile.h")
            path.parent.mkdir(parents=True)
            path.write_text('#define LINUX_COMPILE_BY\t"lab"\n'
                            '#define LINUX_COMPILER\t\t"gcc (Debian 12) 12.2, '
                            'GNU ld 2.40"\n', encoding="utf-8")
            kernels = {"ours": (pathlib.Path(directory), "build")}
            with mock.patch.object(bench, "KERNELS", kernels):
                self.assertEqual(bench.compiler(), "gcc (Debian 12) 12.2")

    def test_missing_kernel(self):
        objects = pathlib.Path("/nonexistent")
        with mock.patch.object(bench, "KERNELS",
                               {"stock": (objects, "build-stock")}):
            with self.assertRaisesRegex(LabError, "run 'build-stock' first"):
                bench.check_kernels(("stock",))


class Options(unittest.TestCase):
    def options(self, machine_name, kernel):
        """What is asked of a machine with a kernel."""
        box = bench.expand(bench.BENCH / f"{machine_name}.toml")
        return bench.Bench(box, kernel, False, pathlib.Path("x")).options

    def test_peer_memory_is_asked_of_our_target_only(self):
        self.assertEqual(self.options("target", "ours")["peer"], 1)
        self.assertEqual(self.options("target", "stock")["peer"], 0)
        self.assertEqual(self.options("drives", "ours")["peer"], 1)
        self.assertEqual(self.options("drives", "stock")["peer"], 0)

    def test_without_the_feature_nothing_is_asked_of_it(self):
        self.assertEqual(self.options("pool", "without")["dormant"], 1)
        self.assertEqual(self.options("pool", "ours")["dormant"], 0)

    def test_parameters_are_those_of_the_module(self):
        source = (bench.BENCH / "main.c").read_text(encoding="utf-8")
        for name in ("pool", "wide", "pair"):
            for option in self.options(name, "ours"):
                self.assertIn(f"module_param({option}, bool", source)


class Runs(unittest.TestCase):
    """What a run measures, with which kernels."""

    def run_bench(self, quick):
        measured = []

        def measure(name, kernel, _):
            measured.append((name, kernel))
            return {"map/dormant/1": {"median": 7}} \
                if name == bench.DORMANT else {}

        with mock.patch.multiple(
                bench, measure=measure, write=mock.DEFAULT,
                check_kernels=mock.DEFAULT, build_module=mock.DEFAULT,
                build_programs=mock.DEFAULT, port=mock.DEFAULT,
                qemu=mock.DEFAULT, print=mock.DEFAULT,
                create=True) as mocks:
            mocks["qemu"].accelerator.return_value = "tcg"
            mocks["port"].measure.return_value = {}
            mocks["write"].return_value = []
            self.assertEqual(bench.run(quick), 0)
        checked, = mocks["check_kernels"].call_args.args
        judged = mocks["write"].call_args.args[0]
        return measured, checked, judged[0]

    def test_whole_run(self):
        measured, checked, figure = self.run_bench(quick=False)
        self.assertIn((bench.DORMANT, "without"), measured)
        self.assertIn("without", checked)
        self.assertEqual((figure.target, figure.unknown), (7, False))

    def test_quick_run_has_no_third_kernel(self):
        measured, checked, figure = self.run_bench(quick=True)
        self.assertNotIn("without", [kernel for _, kernel in measured])
        self.assertNotIn("without", checked)
        self.assertTrue(figure.unknown)


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
            # only one processor at a time can be counted
            self.assertEqual(box.smp, 2 if name == bench.PAIR else 1)
            disks = {drive.name: "disk" for drive in box.drives()}
            self.assertTrue(machine.qemu_options(box, disks))


if __name__ == "__main__":
    unittest.main()
