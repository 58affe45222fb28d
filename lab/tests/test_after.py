# SPDX-License-Identifier: GPL-2.0
"""What is looked at when a run is over, and how long a kernel may take."""

import base64
import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest

import context
from runner import after, channel, guest, kernel, machine, session
from runner.errors import LabError
from runner.ktap import FAIL, PASS

DEBUG = "CONFIG_KASAN=y\nCONFIG_DEBUG_KMEMLEAK=y\nCONFIG_PROVE_LOCKING=y\n"


class Fixture(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name).resolve()

    def kernel(self, options):
        image = self.directory / "arch" / "x86" / "boot" / "bzImage"
        image.parent.mkdir(parents=True, exist_ok=True)
        (self.directory / ".config").write_text(options, encoding="utf-8")
        return kernel.Kernel(image)


class Kernel(Fixture):
    def test_an_ordinary_one(self):
        for options in ("CONFIG_PCI=y\n# CONFIG_KASAN is not set\n", ""):
            found = self.kernel(options)
            self.assertFalse(found.has("KASAN"))
            self.assertEqual((found.slowness, found.greed), (1, 1))

    def test_an_image_alone(self):
        found = kernel.Kernel(self.directory / "a" / "b" / "c" / "bzImage")
        self.assertEqual((found.slowness, found.greed), (1, 1))

    def test_checkers(self):
        found = self.kernel(DEBUG)
        self.assertEqual(found.objects, self.directory)
        self.assertGreater(found.slowness, 1)
        self.assertGreater(found.greed, 1)
        self.assertGreater(found.slowness,
                           self.kernel("CONFIG_KCSAN=y\n").slowness)


class Judge(Fixture):
    def outcomes(self, options, **words):
        return [result.outcome
                for result in after.judge(self.kernel(options), words)]

    def test_nothing_is_asked_of_an_ordinary_kernel(self):
        self.assertEqual(self.outcomes("CONFIG_PCI=y\n"), [])

    def test_leaks(self):
        self.assertEqual(self.outcomes(DEBUG, kmemleak="0"), [PASS])
        self.assertEqual(self.outcomes(DEBUG, kmemleak="2"), [FAIL])

    def test_who_has_not_looked_fails(self):
        self.assertEqual(self.outcomes(DEBUG), [FAIL])
        self.assertEqual(self.outcomes(DEBUG, kmemleak="off"), [FAIL])
        self.assertEqual(self.outcomes(DEBUG, kcsan="5"), [FAIL])

    def test_counters_that_stand_still_fail(self):
        for option, word in (("KCSAN", "kcsan"), ("GCOV_KERNEL", "coverage")):
            options = f"CONFIG_{option}=y\n"
            self.assertEqual(self.outcomes(options, **{word: "7"}), [PASS])
            self.assertEqual(self.outcomes(options, **{word: "0"}), [FAIL])

    def test_archive(self):
        data = bytes(range(256)) * 3
        lines = base64.encodebytes(data).decode().splitlines()
        self.assertEqual(after.archive(lines), data)
        with self.assertRaises(LabError):
            after.archive([*lines, "@done 0"])


class Run(Fixture):
    """The guest's words on their way."""

    def test_words_and_tape_are_kept(self):
        run = session.Session(
            machine.parse("x.toml", 'summary = "a"\ndevice = []\n'),
            "copy", self.directory, lambda text: None)
        self.assertEqual(run.slowness, 1)
        for line in ("@tape QUJD", "@tape REVG", "@after kmemleak=0 kcsan=3"):
            self.assertFalse(run.handle(None, channel.parse(line)))
        self.assertEqual(run.after, {"kmemleak": "0", "kcsan": "3"})
        self.assertEqual(after.archive(run.tape), b"ABCDEF")

    def test_kunit_file_system(self):
        path = self.directory / "initramfs"
        guest.build_kunit_initramfs(path)
        data = path.read_bytes()
        for name in ("init", "lab/after.sh", "bin/busybox", "dev/console"):
            self.assertIn(f"{name}\0".encode(), data)
        self.assertIn(b"reboot -f", data)

    def test_kunit_report_reads_what_user_space_told(self):
        path = context.LAB.parent / "scripts" / "kunit-report"
        loader = importlib.machinery.SourceFileLoader("kunit_report",
                                                      str(path))
        report = importlib.util.module_from_spec(
            importlib.util.spec_from_loader("kunit_report", loader))
        loader.exec_module(report)
        self.kernel(DEBUG)
        told = self.directory / "after.log"
        for text, outcome in (("@after kmemleak=0\r\n@done 0\n", PASS),
                              ("@after kmemleak=1\n", FAIL), ("", FAIL)):
            told.write_text(text, encoding="utf-8")
            self.assertEqual(
                [result.outcome for result
                 in report.looked_after(self.directory, told)], [outcome])
        told.unlink()
        self.assertEqual(
            [result.outcome for result
             in report.looked_after(self.directory, told)], [FAIL])


if __name__ == "__main__":
    unittest.main()
