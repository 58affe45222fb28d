# SPDX-License-Identifier: GPL-2.0
"""What the guest is told about its machine."""

import pathlib
import tempfile
import unittest

import context  # noqa: F401
from runner import guest, machine
from runner.errors import LabError

MACHINE = """
summary = "a test"
cpu = "EPYC"
[roles]
provider = "src"
[[device]]
type = "root-port"
name = "rp0"
[[device]]
type = "nvme"
name = "src"
below = "rp0"
cmb = "16M"
disk = "1M"
[[device]]
type = "edu"
name = "dma"
[[device]]
type = "ivshmem"
name = "mem"
memory = "4M"
[[route]]
provider = "src"
client = "src"
type = "bus-address"
distance = 0
[[route]]
provider = "src"
client = "dma"
type = "unsupported"
reason = "host-not-listed"
port = "rp0"
[[route]]
provider = "mem"
client = "src"
type = "unsupported"
"""


class Words(unittest.TestCase):
    box = machine.parse("x.toml", MACHINE)

    def test_machine(self):
        self.assertEqual(guest.machine_words(self.box),
                         f"MACHINE=x\nCPU=EPYC\nPROVIDER=src\n"
                         f"PROVIDER_DISK={1 << 20}\n"
                         f"PROVIDER_BYTES={16 << 20}\n")

    def test_routes(self):
        self.assertEqual(
            guest.route_words(self.box),
            "drive src src bus-address 0 - -\n"
            "edu src dma unsupported - host-not-listed rp0\n"
            "none mem src unsupported - - -\n")

    def test_scenarios_tell_what_they_do(self):
        for name in guest.scenario_names():
            self.assertTrue(guest.scenario_summary(name), name)

    def test_libraries(self):
        self.assertEqual(guest.parse_libraries("""\
\tlinux-vdso.so.1 (0x00007fff)
\tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fbd)
\t/lib64/ld-linux-x86-64.so.2 (0x00007fbe)
"""), ["/lib/x86_64-linux-gnu/libmnl.so.0", "/lib64/ld-linux-x86-64.so.2"])
        self.assertEqual(guest.parse_libraries("\tnot a dynamic executable"),
                         [])

    def test_a_program_comes_with_its_libraries(self):
        archive = guest.Archive()
        guest.add_host_programs(archive, ["bash"])
        data = archive.finish()
        for name in (b"lab/bin/bash\0", b"libc.so.6\0",
                     b"lib64/ld-linux-x86-64.so.2\0"):
            self.assertIn(name, data)

    def test_a_program_that_is_missing(self):
        with self.assertRaisesRegex(LabError, "no-such-program"):
            guest.add_host_programs(guest.Archive(), ["no-such-program"])

    def test_programs_that_are_wanted(self):
        box = machine.parse("x.toml", MACHINE.replace(
            '[roles]', 'scenarios = ["routes", "fio", "offload"]\n[roles]'))
        for scenario, wanted in (
                ("routes", []), ("fio", ["fio"]),
                ("shell", ["fio", "ip", "nvme", "rdma"])):
            self.assertEqual(guest.host_programs(box, scenario), wanted)

    def test_modules_that_are_wanted(self):
        box = machine.parse("x.toml", MACHINE.replace(
            '[roles]', 'scenarios = ["routes", "examples"]\n[roles]'))
        with tempfile.TemporaryDirectory() as name:
            objects = pathlib.Path(name).resolve()
            modules = [objects / "samples" / "p2pdma" / f"p2pdma_{which}.ko"
                       for which in ("client", "orchestrator", "provider")]
            for path in modules:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(path.name.encode())
            for scenario, wanted in (
                    ("routes", []), ("examples", modules),
                    ("shell", modules)):
                self.assertEqual(
                    guest.kernel_modules(box, scenario, objects), wanted)
            archive = objects / "initramfs"
            guest.build_initramfs(archive, box, [], modules=modules)
            for path in modules:
                self.assertIn(f"lab/modules/{path.name}\0".encode(),
                              archive.read_bytes())
            modules[1].unlink()
            with self.assertRaisesRegex(LabError, "p2pdma_orchestrator.ko"):
                guest.kernel_modules(box, "examples", objects)

    def test_archive(self):
        archive = guest.Archive()
        archive.file("a", b"abc", 0o644)
        data = archive.finish()
        self.assertEqual(data[:6], b"070701")
        self.assertEqual(len(data) % 4, 0)
        self.assertIn(b"TRAILER!!!", data)


if __name__ == "__main__":
    unittest.main()
