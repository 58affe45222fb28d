# SPDX-License-Identifier: GPL-2.0
"""What the demonstration of the NVMe target shows, and what makes it fail."""

import contextlib
import io
import types
import unittest
from unittest import mock

import context  # noqa: F401
from runner import cli, demo, demo_nvmet, ledger, machine, session
from runner.ktap import FAIL, PASS, Result

BOX = machine.parse("nvmet.toml", """
summary = "a test"
[[device]]
type = "nvme"
name = "dst"
disk = "2M"
""")


def watch(label, via, memory):
    return ledger.Watch(label, via, "dst", [
        ledger.Row("write", "dst", memory, 2, 8192, 0x1000),
        ledger.Row("read", "src", "system memory", 1, 512, 0x2000)], [])


class Demo(unittest.TestCase):
    def run_it(self, results, watches):
        outcome = session.Outcome(
            results, [], [], types.SimpleNamespace(roots=[]), "6.12.1", 3,
            watches, ["$ echo 1 > p2pmem", "> 1 0000:03:00.0 dma", "other"])
        output = io.StringIO()
        with mock.patch("runner.session.run", lambda *_: outcome), \
                mock.patch("runner.session.kernel_image"), \
                contextlib.redirect_stdout(output):
            status = demo_nvmet.run(BOX)
        return status, output.getvalue()

    def test_all_is_well(self):
        status, text = self.run_it([Result("data", PASS)], [
            watch("without", "system", "system memory"),
            watch("with", "src", "src BAR 2")])
        self.assertEqual(status, 0)
        for line in ("  $ echo 1 > p2pmem", "  1 0000:03:00.0 dma",
                     "payload bytes of the drive through system memory: 0"):
            self.assertIn(line, text)
        self.assertNotIn("other", text.split("administrator")[1].split(
            "ledger")[0])
        self.assertNotIn(" 512", text)

    def test_a_failure(self):
        status, text = self.run_it(
            [Result("data", FAIL, ("differs",))],
            [watch("without", "system", "system memory"),
             watch("with", "src", "src BAR 2")])
        self.assertEqual(status, 1)
        self.assertIn("differs", text)
        self.assertNotIn("What this shows", text)

    def test_nothing_was_watched(self):
        status, text = self.run_it([Result("the machine hangs", FAIL)], [])
        self.assertEqual(status, 1)
        self.assertIn("the machine hangs", text)

    def test_an_unknown_target(self):
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(cli.main(["demo", "spaceship"]), 2)
        self.assertIn(", ".join(demo.TARGETS), errors.getvalue())


if __name__ == "__main__":
    unittest.main()
