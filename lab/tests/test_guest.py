# SPDX-License-Identifier: GPL-2.0
"""What the guest is told about its machine."""

import unittest

import context  # noqa: F401
from runner import guest, machine

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
                         f"CPU=EPYC\nPROVIDER=src\n"
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

    def test_archive(self):
        archive = guest.Archive()
        archive.file("a", b"abc", 0o644)
        data = archive.finish()
        self.assertEqual(data[:6], b"070701")
        self.assertEqual(len(data) % 4, 0)
        self.assertIn(b"TRAILER!!!", data)


if __name__ == "__main__":
    unittest.main()
