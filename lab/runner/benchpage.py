# SPDX-License-Identifier: GPL-2.0
"""
The page with the latest figures, lab/bench/results.rst and its picture.

Made from build/bench/bench.json, so that what is committed is what was
measured: nobody types a figure.
"""

import json
import shutil

from . import bench, figures as judging
from .errors import LabError

PAGE = bench.BENCH / "results.rst"
PICTURE = bench.BENCH / "results.svg"
COLUMNS = ("", "stock", "ours", "ratio", "target", "")

HEAD = """\
.. SPDX-License-Identifier: GPL-2.0
.. Made by "make bench-page" from build/bench/bench.json: do not edit.

What peer-to-peer DMA costs: stock and this series
==================================================

Stock is Linux {stock}, ours is Linux {ours} with this series, both built by
{compiler} at -O2 from one configuration (lab/kernel.config), and run in the
same machines of QEMU {qemu}.

One module, which uses only the public interface, measures both kernels. Figures
are instructions, counted by QEMU (``-icount``), with interrupts off around each
operation, unless the line says otherwise. They are exact and come out the same
on every host, but they are not time: a locked operation, a cache miss and a read
of configuration space count as one instruction each. A ratio below 1 means that
ours needs less, and "-" that there is no figure because the kernel cannot do it.

What is mapped while there is no provider is judged by a third kernel, ours built
without ``CONFIG_PCI_P2PDMA``. A target that says "not measured" is of that kind.

Reads and writes of whole requests are not as exact: they vary by some per cent with
how quickly QEMU serves its drives. Those that are compared with each other take
turns, so that the difference varies much less. Target and initiator of the NVMe
target are in one machine, and the figures have both sides in them, the network too.
No hardware does the RDMA but the CPU (siw), which copies to and from the memory of
the other drive: what is compared is the cost of the memory, over one transport.

With two processors nothing can be counted. Those lines give thousandths of what
one processor does alone, on a host that has a core for each: 2000 is the best
that there can be, and more is better.

{verdict}

.. image:: results.svg
   :alt: Every figure on a logarithmic scale, stock and ours, with the targets
"""

TAIL = """
How to reproduce
----------------

On Debian 12, as root in this repository::

    make bench          # three kernels, then every figure; build/bench/bench.txt
    make bench-quick    # fewer rounds, for daily use
    make bench-page     # this page, from what "make bench" has measured

How each line is measured is told in lab/bench/main.c, lab/bench/drive/p2pcost.c
and lab/bench/port/port.c, and which targets there are in lab/runner/figures.py.
"""


def simple_table(rows):
    """A table in the form that reStructuredText calls simple."""
    widths = [max(1, *(len(row[column]) for row in rows))
              for column in range(len(COLUMNS))]
    rule = "  ".join("=" * width for width in widths)

    def line(row):
        words = [row[0].ljust(widths[0])]
        words += [cell.rjust(width) for cell, width
                  in zip(row[1:5], widths[1:5])]
        # the first column of a row must not be empty
        return "  ".join([*words, row[5]]).rstrip()

    head, *body = rows
    return [rule, line(head), rule, *map(line, body), rule]


def page(document):
    """The text of the page."""
    if document["quick"]:
        raise LabError("build/bench/bench.json is of a quick run, which leaves "
                       "figures out; run 'make bench' first.")
    figures = [judging.Figure.from_json(entry)
               for entry in document["figures"]]
    misses = sum(figure.miss for figure in figures)
    judged = sum(figure.target is not None for figure in figures)
    verdict = f"{judged} figures have a target, and all of them reach it." \
        if not misses else \
        f"{judged} figures have a target; {misses} of them miss it, and say so."
    parts = [HEAD.format(
        stock=document["kernels"]["stock"], ours=document["kernels"]["ours"],
        qemu=document["qemu"], compiler=document["compiler"],
        verdict=verdict)]
    for heading, group in judging.sections(figures):
        rows = [("figure", *COLUMNS[1:]),
                *(judging.cells(figure) for figure in group)]
        parts.append("\n".join(["", heading, "-" * len(heading), "",
                                *simple_table(rows), ""]))
    return "".join([*parts, TAIL])


def run():
    """lab/run bench-page; the exit status."""
    source = bench.OUTPUT / "bench.json"
    if not source.is_file():
        raise LabError(f"there is no {source}; run 'make bench' first.")
    text = page(json.loads(source.read_text(encoding="utf-8")))
    PAGE.write_text(text, encoding="utf-8")
    shutil.copyfile(bench.OUTPUT / "bench.svg", PICTURE)
    print(f"wrote {PAGE.relative_to(bench.session.ROOT)} and "
          f"{PICTURE.relative_to(bench.session.ROOT)}")
    return 0
