# SPDX-License-Identifier: GPL-2.0
"""
The picture of the figures, as SVG.

One line a figure: a grey dot for stock, a coloured one for ours, a bar between
them, and a mark at the target.  The scale is logarithmic, as figures of one
table differ by a factor of a million; a figure of zero is at its left end.
What misses its target is red, and says so.
"""

import math
from xml.sax.saxutils import escape

LINE = 17               # pixels a figure
HEADING = 30            # pixels before the first figure of a section
LABELS = 530            # width of the titles, in wide fonts too
SCALE = 460             # width of the scale
REMARKS = 190           # width of the numbers
TOP = 96
BOTTOM = 30
COLOURS = {"stock": "#9a9a9a", "ours": "#1b6ca8", "miss": "#c62828",
           "target": "#2e7d32", "grid": "#e4e4e4", "text": "#222222"}


def logarithm(value):
    return math.log10(max(value, 1))


class Scale:
    """Where a number is on the horizontal axis."""

    def __init__(self, values):
        self.decades = max(1, math.ceil(max(map(logarithm, values),
                                            default=1)))

    def x(self, value):
        return LABELS + SCALE * logarithm(value) / self.decades


def element(name, text="", **attributes):
    """An element; '_' in the names of its attributes stands for '-'."""
    words = "".join(f' {key.replace("_", "-")}="{value}"'
                    for key, value in attributes.items())
    return f"<{name}{words}/>" if not text else \
        f"<{name}{words}>{escape(text)}</{name}>"


def label(x, y, text, colour="text", **attributes):
    return element("text", text, x=f"{x:.0f}", y=f"{y:.0f}",
                   fill=COLOURS[colour], **attributes)


def dot(x, y, colour):
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4,
                   fill=COLOURS[colour])


def power_of_ten(exponent):
    """10 k for 4, and the like."""
    thousands = min(exponent // 3, 3)
    return f"{10 ** (exponent - 3 * thousands)}{('', ' k', ' M', ' G')[thousands]}"


def grid(scale, top, bottom):
    """A line for each power of ten."""
    parts = []
    for exponent in range(scale.decades + 1):
        x = scale.x(10 ** exponent)
        parts.append(element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=top,
                             y2=bottom, stroke=COLOURS["grid"]))
        parts.append(label(x, top - 6, power_of_ten(exponent),
                           text_anchor="middle", font_size=11))
    return parts


def figure_line(figure, scale, y):
    """What is drawn for one figure."""
    middle = y - 4
    colour = "miss" if figure.miss else "ours"
    parts = [label(LABELS - 12, y, figure.title, text_anchor="end")]
    if figure.stock is not None and figure.ours is not None:
        parts.append(element(
            "line", x1=f"{scale.x(figure.stock):.1f}",
            x2=f"{scale.x(figure.ours):.1f}", y1=f"{middle}", y2=f"{middle}",
            stroke=COLOURS[colour], stroke_opacity="0.35", stroke_width=3))
    if figure.target is not None:
        x = scale.x(figure.target)
        parts.append(element("line", x1=f"{x:.1f}", x2=f"{x:.1f}",
                             y1=f"{middle - 7}", y2=f"{middle + 7}",
                             stroke=COLOURS["target"], stroke_width=2))
    for value, name in ((figure.stock, "stock"), (figure.ours, colour)):
        if value is not None:
            parts.append(dot(scale.x(value), middle, name))
    words = "-" if figure.ours is None else f"{figure.ours:,}"
    if figure.miss:
        words += f"  misses {figure.goal}"
    parts.append(label(LABELS + SCALE + 14, y, words, colour))
    return parts


def legend(y):
    """What dots and marks mean."""
    parts = []
    x = LABELS
    for name, words, width in (("stock", "stock", 70), ("ours", "ours", 62),
                               ("miss", "ours, misses its target", 180)):
        parts += [dot(x, y - 4, name), label(x + 9, y, words)]
        x += width
    parts.append(element("line", x1=x, x2=x, y1=y - 11, y2=y + 3,
                         stroke=COLOURS["target"], stroke_width=2))
    return [*parts, label(x + 9, y, "target")]


def svg(sections, kernels):
    """The picture: sections as judging.sections() gives them."""
    groups = [(heading, [figure for figure in group if figure.number])
              for heading, group in sections]
    groups = [(heading, group) for heading, group in groups if group]
    values = [value for _, group in groups for figure in group
              for value in (figure.stock, figure.ours, figure.target)
              if value is not None]
    scale = Scale(values)
    parts = []
    y = TOP
    for heading, group in groups:
        y += HEADING
        parts.append(label(LABELS - 12, y, heading, text_anchor="end",
                           font_weight="bold"))
        for figure in group:
            y += LINE
            parts += figure_line(figure, scale, y)
    bottom = y + 10
    width, height = LABELS + SCALE + REMARKS, bottom + BOTTOM
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        element("rect", width=width, height=height, fill="#ffffff"),
        label(20, 30, "Peer-to-peer DMA in instructions, on a logarithmic "
              "scale; less is better unless it says otherwise",
              font_size=16, font_weight="bold"),
        label(20, 50, f"stock: Linux {kernels['stock']}; ours: Linux "
              f"{kernels['ours']} with this series"),
        *legend(70), *grid(scale, TOP, bottom), *parts, "</svg>"])
