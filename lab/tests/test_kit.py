# SPDX-License-Identifier: GPL-2.0
"""
What kit/collect packs on somebody's machine, with programs that stand in for
the real ones and would give that machine away.
"""

import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import context

COLLECT = context.LAB.parent / "kit" / "collect"
LSPCI = """\
0000:03:00.0 Non-Volatile memory controller: Maker Drive (rev 02)
\tSubsystem: Maker Drive
\tCapabilities: [100 v1] Device Serial Number aa-bb-cc-dd-ee-ff-00-11
\tCapabilities: [d0] Vital Product Data
\t\tProduct Name: A Drive
\t\tRead-only fields:
\t\t\t[SN] Serial number: SECRET1
\t\t\t[V0] Vendor specific: 02:00:00:SECRET2
\t\tEnd
\tCapabilities: [148 v1] Access Control Services
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+
\tKernel driver in use: nvme

0000:04:00.0 Ethernet controller: Maker Card
\tCapabilities: [140 v1] Device Serial Number 00-11-22-ff-ff-33-44-55
"""
DMESG = """\
[    0.0] Linux version 6.12.1-p2pdma (SECRET6@SECRET7) (gcc 12.2)
[    0.0] Command line: root=/dev/SECRET3 pci_p2pdma.host_bridges=8086:1234
[    1.0] nvme 0000:03:00.0: added peer-to-peer DMA memory
[    1.1] eth0: 02:00:00:SECRET4
"""
PROGRAMS = {
    "lspci": f"cat <<'END'\n{LSPCI}END",
    "dmesg": f"cat <<'END'\n{DMESG}END",
    "uname": "[ \"$1\" = -srvm ] && echo Linux 6.12 || echo SECRET5",
    "p2pctl": "[ \"$1\" != dump ] || { echo no right >&2; exit 3; }\n"
              "echo p2pctl \"$@\"",
}


class Collect(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)
        shutil.copy(COLLECT, self.directory)
        for name, text in PROGRAMS.items():
            program = self.directory / name
            program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            program.chmod(0o755)

    def collect(self, *options, answer=""):
        return subprocess.run(
            [str(self.directory / "collect"), *options], input=answer,
            cwd=self.directory, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"]})

    def archive(self):
        """name: text of what was packed, without the directory above."""
        path, = self.directory.glob("p2pdma-machine-*.tar.gz")
        with tarfile.open(path) as archive:
            return {member.name.partition("/")[2]:
                    archive.extractfile(member).read().decode()
                    for member in archive.getmembers() if member.isfile()}

    def test_nothing_secret_is_packed(self):
        self.assertEqual(self.collect("--yes").returncode, 0)
        files = self.archive()
        for name, text in files.items():
            self.assertNotIn("SECRET", text, name)
            self.assertNotIn("aa-bb-cc", text, name)
            self.assertNotIn("ff-ff-33", text, name)

    def test_what_is_wanted_is_there(self):
        self.collect("--yes")
        files = self.archive()
        self.assertIn("Serial Number (left out)", files["lspci.txt"])
        self.assertIn("Vital Product Data (left out)", files["lspci.txt"])
        self.assertIn("ReqRedir+", files["lspci.txt"])
        self.assertIn("Kernel driver in use: nvme", files["lspci.txt"])
        self.assertIn("added peer-to-peer DMA memory", files["dmesg.txt"])
        self.assertEqual(files["uname.txt"], "Linux 6.12\n")
        self.assertEqual(files["matrix.json"], "p2pctl matrix --all --json\n")

    def test_what_fails_is_noted_and_is_no_error(self):
        run = self.collect("--yes")
        self.assertEqual(run.returncode, 0)
        self.assertIn("machine.dump: not complete, no right", run.stdout)
        self.assertIn("no right", self.archive()["machine.dump"])

    def test_results_are_packed(self):
        (self.directory / "results").mkdir()
        (self.directory / "results" / "selftests.tap").write_text("ok 1\n")
        self.collect("--yes")
        self.assertEqual(self.archive()["results/selftests.tap"], "ok 1\n")

    def test_it_asks_first_and_takes_silence_for_no(self):
        run = self.collect()
        self.assertIn("This collects", run.stdout)
        self.assertIn("nothing was collected", run.stdout)
        self.assertEqual(list(self.directory.glob("*.tar.gz")), [])
        self.collect(answer="y\n")
        self.assertIn("uname.txt", self.archive())


if __name__ == "__main__":
    unittest.main()
