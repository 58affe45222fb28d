# SPDX-License-Identifier: GPL-2.0
"""The bench's picture: complete, to scale, and well-formed."""

import unittest
import xml.etree.ElementTree as ElementTree

import context
from runner import figures, plot

NAMESPACE = "{http://www.w3.org/2000/svg}"
KERNELS = {"stock": "6.12.1", "ours": "6.12.2"}


def draw(stock, ours):
    """The elements of the picture of these rows."""
    judged = figures.judge(stock, ours)
    text = plot.svg(figures.sections(judged), KERNELS)
    return ElementTree.fromstring(text)


def lifo(median):
    return {"lifo/1G/64K": {"median": median}}


class Picture(unittest.TestCase):
    def dots(self, image):
        """(x, colour) of the dots that are not the legend's."""
        found = [(float(dot.get("cx")), dot.get("fill"))
                 for dot in image.iter(NAMESPACE + "circle")]
        return found[3:]

    def words(self, image):
        return [text.text for text in image.iter(NAMESPACE + "text")]

    def test_dots_are_to_scale(self):
        image = draw(lifo(1000), lifo(10))
        stock, ours = self.dots(image)
        self.assertAlmostEqual(stock[0], plot.LABELS + plot.SCALE, 0)
        self.assertAlmostEqual(ours[0], plot.LABELS + plot.SCALE / 3, 0)
        self.assertEqual(ours[1], plot.COLOURS["ours"])

    def test_nothing_lies_left_of_the_scale(self):
        rows = {"find/warm/0x16": {"median": 0, "reads": 0}}
        for x, _ in self.dots(draw(rows, rows)):
            self.assertEqual(x, plot.LABELS)

    def test_a_miss_is_red_and_says_so(self):
        image = draw(lifo(339), lifo(131))
        self.assertEqual(self.dots(image)[1][1], plot.COLOURS["miss"])
        self.assertTrue(any("131  misses" in text
                            for text in self.words(image)))

    def test_titles_and_kernels_are_named(self):
        words = self.words(draw(lifo(339), lifo(9)))
        self.assertIn("allocate and free at once, 1 GiB pool, 64 KiB", words)
        self.assertTrue(any("6.12.1" in text and "6.12.2" in text
                            for text in words))

    def test_figures_that_are_missing_have_no_dot(self):
        self.assertEqual(len(self.dots(draw({}, lifo(5)))), 1)

    def test_powers_of_ten(self):
        self.assertEqual([plot.power_of_ten(i) for i in (0, 2, 3, 5, 7, 9)],
                         ["1", "100", "1 k", "100 k", "10 M", "1 G"])


if __name__ == "__main__":
    unittest.main()
