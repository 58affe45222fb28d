# SPDX-License-Identifier: GPL-2.0
"""The PCI tree and memory map, from what QEMU 7.2's monitor printed."""

import unittest

import samples
from runner import topology


class Tree(unittest.TestCase):
    def setUp(self):
        self.tree = samples.topology()

    def test_names_and_addresses(self):
        self.assertEqual(self.tree.by_name("src").address, "0000:03:00.0")
        self.assertEqual(self.tree.by_name("dn0").address, "0000:02:00.0")
        self.assertIsNone(self.tree.by_name("nobody"))

    def test_who_is_below_whom(self):
        port = next(fn for fn in self.tree.roots if fn.name == "rp0")
        self.assertEqual([fn.name for fn in port.walk()],
                         ["rp0", "sw0", "dn0", "src"])

    def test_io_bars_are_left_out(self):
        sata = next(fn for fn in self.tree.functions()
                    if fn.address == "0000:00:1f.2")
        self.assertEqual([bar.number for bar in sata.bars], [5])


class Memory(unittest.TestCase):
    def setUp(self):
        self.tree = samples.topology()

    def test_ram_is_joined_across_firmware_shadows(self):
        self.assertEqual(self.tree.ram, [(0, 0x0fffffff)])

    def test_other_views_do_not_count(self):
        text = samples.MTREE.replace('AS "memory"', 'AS "nvme"')
        self.assertEqual(topology.parse_ram(text), [])

    def test_system_memory(self):
        self.assertEqual(self.tree.memory_at(0x1000, 0x1fff),
                         "system memory")

    def test_bar(self):
        function, bar = self.tree.memory_at(0xf8000000, 0xf8000fff)
        self.assertEqual((function.name, bar.number), ("src", 2))

    def test_last_byte_of_a_bar_and_the_next(self):
        self.assertIsNotNone(self.tree.memory_at(0xfbffffff, 0xfbffffff))
        self.assertIsNone(self.tree.memory_at(0xfbffffff, 0xfc000000))

    def test_nowhere(self):
        self.assertIsNone(self.tree.memory_at(0x40000000, 0x40000fff))


if __name__ == "__main__":
    unittest.main()
