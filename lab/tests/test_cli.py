# SPDX-License-Identifier: GPL-2.0
"""Several scenarios at a time: each is run, what it has shown stays together."""

import contextlib
import io
import os
import threading
import types
import unittest
from unittest import mock

import context  # noqa: F401 pylint: disable=unused-import
from runner import cli, report
from runner.errors import LabError
from runner.ktap import FAIL, PASS, Result

BOXES = [types.SimpleNamespace(name=name) for name in ("a", "b", "c", "d")]
RUNS = [(box, "copy") for box in BOXES]


def outcome(*names):
    return types.SimpleNamespace(
        results=[Result(name, PASS) for name in names])


class Several(unittest.TestCase):
    def run_labs(self, run, jobs="2"):
        """What run_labs() yields with that for session.run(), and prints."""
        self.results = report.Report()
        printed = io.StringIO()
        with mock.patch.object(cli.session, "run", run), \
                mock.patch.object(cli.guest, "build_programs"), \
                mock.patch.dict(os.environ, {"LAB_JOBS": jobs}), \
                contextlib.redirect_stdout(printed):
            done = list(cli.run_labs(RUNS, self.results))
        return done, printed.getvalue()

    def test_as_many_as_asked_for(self):
        meeting = threading.Barrier(2, timeout=60)

        def run(box, scenario, announce, keep_images):
            meeting.wait()
            self.assertFalse(keep_images)
            return outcome("first", "second")

        done, text = self.run_labs(run)
        self.assertCountEqual(done, RUNS)
        lines = text.splitlines()
        self.assertEqual(len(lines), 8)
        for number, line in enumerate(lines):
            self.assertTrue(line.startswith(f"ok {number + 1} - "), line)
        for first, second in zip(lines[::2], lines[1::2]):
            self.assertEqual(first.partition(" - ")[2].replace("first", ""),
                             second.partition(" - ")[2].replace("second", ""))

    def test_one_after_the_other(self):
        alone = threading.Lock()

        def run(box, *_):
            self.assertTrue(alone.acquire(blocking=False))
            with contextlib.ExitStack() as stack:
                stack.callback(alone.release)
                return outcome(box.name)

        done, _ = self.run_labs(run, "1")
        self.assertEqual(done, RUNS)

    def test_one_that_cannot_be_run(self):
        def run(box, *_):
            if box.name == "b":
                raise LabError("there is no room.")
            return outcome("data")

        done, text = self.run_labs(run)
        self.assertCountEqual(done, [run for run in RUNS
                                     if run[0].name != "b"])
        self.assertIn("b/copy: can be run", text)
        self.assertIn("there is no room.", text)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(self.results.total(), 1)

    def test_interrupted(self):
        started = []
        stopped = threading.Event()

        def run(box, *_):
            started.append(box.name)
            if len(started) == 1:
                raise KeyboardInterrupt
            self.assertTrue(stopped.wait(timeout=60))
            return outcome()

        with mock.patch.object(cli.qemu.Qemu, "stop_all", stopped.set), \
                self.assertRaises(KeyboardInterrupt):
            self.run_labs(run, "1")
        self.assertTrue(stopped.is_set())
        self.assertLessEqual(len(started), 2)

    def test_numbers(self):
        for text in ("0", "-1", "two", "1.5", "", "100000"):
            with self.subTest(text), self.assertRaises(LabError), \
                    mock.patch.dict(os.environ, {"LAB_JOBS": text}):
                cli.jobs()


class Judges(unittest.TestCase):
    """What tests of the judges have found comes into the report."""

    class Sample(unittest.TestCase):
        def runTest(self):
            for number in (1, 2):
                with self.subTest(number=number):
                    self.assertEqual(number, 1)

    def test_subtests(self):
        results = report.Report()
        with contextlib.redirect_stdout(io.StringIO()):
            self.Sample().run(cli.JudgeResults(results))
        self.assertEqual(results.counts[FAIL], 1)
        self.assertEqual(results.counts[PASS], 0)


if __name__ == "__main__":
    unittest.main()
