# SPDX-License-Identifier: GPL-2.0
"""The pictures of machines: everything is in them, and they fit into a page."""

import unittest
import xml.etree.ElementTree as ElementTree

import context
from runner import drawing, machine

MACHINE = """
summary = "a test"
cpu = "EPYC"
[iommu]
model = "intel"
translated = false
[roles]
provider = "mem0"
[[device]]
type = "root-port"
name = "rp0"
[[device]]
type = "nvme"
name = "mem"
below = "rp0"
slot = 0
functions = 2
cmb = "16M"
disk = "2M"
[[device]]
type = "edu"
name = "lone"
[[device]]
type = "nvme"
name = "spare"
disk = "2M"
later = true
"""


def box():
    return machine.parse("x.toml", MACHINE)


class Drawing(unittest.TestCase):
    def test_functions_of_one_device_are_one_box(self):
        groups = [[device.name for device in group]
                  for group in drawing.functions(box().devices)]
        self.assertEqual(groups, [["rp0"], ["mem0", "mem1"], ["lone"],
                                  ["spare"]])

    def test_functions_that_differ_stay_apart(self):
        text = MACHINE.replace('functions = 2', 'function = 0').replace(
            'name = "lone"', 'name = "lone"\nbelow = "rp0"\nslot = 0\n'
            'function = 1').replace('"mem0"', '"mem"')
        groups = drawing.functions(machine.parse("x.toml", text).devices)
        self.assertEqual([len(group) for group in groups], [1, 1, 1, 1])

    def test_everything_is_drawn_and_connected(self):
        text = drawing.dot(box())
        self.assertIn("mem0 to mem1 (provider)\n2 NVMe drives in one device\n"
                      "16 MiB of memory each", text)
        self.assertIn('"root" -> "rp0"', text)
        self.assertIn('"rp0" -> "mem0"', text)
        self.assertIn('"root" -> "lone"', text)
        self.assertIn("Intel IOMMU, passes all through", text)
        self.assertNotIn('-> "spare"', text)
        self.assertIn('class="end later"', text)

    def test_what_is_no_part_of_a_page_is_left_out(self):
        text = drawing.bare('<?xml version="1.0"?><!DOCTYPE svg>\n<!-- a -->'
                            '<svg width="1pt"><title>x</title><!-- b\nc -->'
                            '<g id="node1" class="node"/></svg>')
        self.assertEqual(text, '<svg width="1pt"><g class="node"/></svg>')

    def test_the_picture_is_well_formed(self):
        image = ElementTree.fromstring(drawing.svg(box()))
        words = [node.text for node in image.iter(
            "{http://www.w3.org/2000/svg}text")]
        self.assertIn("root port rp0", words)
        self.assertIn("CPU EPYC", words)

    def test_sizes(self):
        self.assertEqual([drawing.size_words(size) for size in
                          (1 << 30, 16 << 20, 1536 << 10, 100)],
                         ["1 GiB", "16 MiB", "1536 KiB", "100 bytes"])


if __name__ == "__main__":
    unittest.main()
