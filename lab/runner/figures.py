# SPDX-License-Identifier: GPL-2.0
"""
Figures: what the rows of the bench mean, and which of them are good enough.

The bench prints rows,

    row NAME n=... failed=... median=... mean=... worst=... reads=...

once on each kernel.  TITLES says what the names mean, TARGETS which figures
are to be reached; each figure becomes one line of the table, with stock, ours,
their ratio and the target.  A figure that misses its target says so.

There are three sets of rows: of the stock kernel, of ours, and of ours built
without peer-to-peer DMA.  The last one is there to be compared with only, and a
quick run does without it; what would be judged by it is then not judged, and
its target is "not measured".
"""

import dataclasses
import re

from .errors import LabError

# Names of rows, as regular expressions, and what they are to a reader.
TITLES = (
    (r"lifo/(\w+)/(\w+)", "allocate and free at once, {0} pool, {1}"),
    (r"fifo-alloc/(\w+)/(\w+)", "allocate, 128 outstanding, {0} pool, {1}"),
    (r"fifo-free/(\w+)/(\w+)", "free, 128 outstanding, {0} pool, {1}"),
    (r"filled/(\w+)/(\d+)/(\w+)",
     "allocate, {0} pool {1} % filled from one end, {2}"),
    (r"aged/(\w+)/(\d+)/(\w+)",
     "allocate, {0} pool {1} % full and aged, {2}"),
    (r"holes/(\w+)/(\w+)",
     "allocate, {0} pool, every other page free and room at its end, {1}"),
    (r"request/(\w+)/(\d+)/(\w+)",
     "allocate, map, unmap, free, {0} pool {1} % full and aged, {2}"),
    (r"fail/(\w+)/holes", "fail to allocate, {0} pool, every other page free"),
    (r"fail/(\w+)/aged-(\d+)", "fail to allocate, {0} pool {1} % full, aged"),
    (r"sgl-alloc/(\w+)/empty/(\w+)", "scatter list, empty {0} pool, {1}"),
    (r"sgl-alloc/(\w+)/holes/(\w+)",
     "scatter list, {0} pool, every other page free, {1}"),
    (r"sgl-free/(\w+)/empty/(\w+)",
     "free a scatter list, empty {0} pool, {1}"),
    (r"sgl-free/(\w+)/holes/(\w+)",
     "free a scatter list, {0} pool, every other page free, {1}"),
    (r"map/dormant/(\d+)", "map ordinary memory, no provider, {0} segments"),
    (r"map/ram/(\d+)", "map ordinary memory, with providers, {0} segments"),
    (r"map/p2p/(\d+)", "map provider memory, {0} segments"),
    (r"map/two/(\d+)", "map memory of two providers in turn, {0} segments"),
    (r"map/mixed/(\d+)",
     "map provider and ordinary memory in turn, {0} segments"),
    (r"unmap/dormant/(\d+)",
     "unmap ordinary memory, no provider, {0} segments"),
    (r"unmap/ram/(\d+)",
     "unmap ordinary memory, with providers, {0} segments"),
    (r"unmap/p2p/(\d+)", "unmap provider memory, {0} segments"),
    (r"unmap/two/(\d+)", "unmap memory of two providers, {0} segments"),
    (r"unmap/mixed/(\d+)",
     "unmap provider and ordinary memory, {0} segments"),
    (r"distance/warm/(\d+)", "distance, verdict known, {0} clients"),
    (r"distance/cold/(\d+)", "distance, verdict not known, {0} clients"),
    (r"find/warm/0x(\d+)", "find, no provider, {0} clients"),
    (r"find/warm/(\d+)x(\d+)",
     "find, {0} providers, {1} clients, verdicts known"),
    (r"find/cold/(\d+)x(\d+)",
     "find, {0} providers, {1} clients, verdicts not known"),
    (r"mmap/zeros/(\w+)",
     "map {0} of provider memory in a process, and write zeros to it"),
    (r"munmap/zeros/(\w+)", "unmap what zeros were written to, {0}"),
    (r"mmap/(\w+)", "map {0} of provider memory in a process"),
    (r"munmap/(\w+)", "unmap {0} of provider memory in a process"),
    (r"register/first", "register the first memory of all"),
    (r"register/(\w+)", "register {0} of memory"),
    (r"read/p2p/(\w+)", "read {0} with O_DIRECT into provider memory"),
    (r"read/ram/(\w+)", "read {0} with O_DIRECT into ordinary memory"),
    (r"copy/p2pctl/(\d+)",
     "copy 1 MiB drive to drive with p2pctl, transfers of 128 KiB: {0}"),
    (r"copy/(\w+)/(\d+)",
     "the same through system memory with {0}, transfers: {1}"),
    (r"nvmet/(\w+)/system/(\w+)",
     "{0} {1} through an NVMe target, in system memory"),
    (r"nvmet/(\w+)/peer/(\w+)",
     "{0} {1} through an NVMe target, in peer memory"),
    (r"scale/control", "a loop that shares nothing, two emulated processors"),
    (r"scale/pool/(\w+)",
     "allocate and free {0}, two emulated processors on one pool"),
    (r"port/(\w+)/control",
     "a loop that shares nothing, two processors of the host, beside {0}"),
    (r"port/(\w+)/(\w+)",
     "allocate and free {1}, two processors of the host on a {0} pool"),
)


@dataclasses.dataclass(frozen=True)
class Of:
    """A target that is not a number: what another figure is."""
    kernel: str             # whose
    row: str | None = None  # None: the same row
    part: float = 1
    more: int = 0


STOCK = Of("stock")
HALF = Of("stock", part=0.5)
# What ours has, built without peer-to-peer DMA.
WITHOUT = Of("without")

# Rows whose figures are not instructions, where more is better: thousandths
# of what one processor does.
GAINS = re.compile(r"(scale|port)/")

# Which figures of a row are shown, and what each of them may be at most (or
# has to be at least, where more is better); None is a figure without a target.
# The first pattern that matches counts.  Where the target depends on the name
# it is a function of the groups of the pattern, which are numbers if they look
# like it.
TARGETS = (
    (r"lifo/.*", {"median": 130}),
    (r"fifo-alloc/.*", {"mean": 200, "worst": 2000, "failed": 0}),
    (r"(?:filled|holes)/.*", {"mean": 200, "worst": 2000, "failed": 0}),
    # that a pool full of fragments has no run of this length is no fault
    (r"aged/.*", {"mean": 200, "worst": 2000, "failed": None}),
    (r"fail/.*", {"worst": 500}),
    (r"sgl-alloc/\w+/holes/128K", {"median": 1500, "failed": 0}),
    (r"sgl-alloc/.*", {"median": None, "failed": 0}),
    (r"request/.*", {"mean": HALF, "failed": 0}),
    # not one instruction more than without peer-to-peer DMA, and two more a
    # segment once there are providers
    (r"map/dormant/.*", {"median": WITHOUT}),
    (r"map/ram/(\d+)",
     {"median": lambda segments: Of("without", f"map/dormant/{segments}",
                                    more=2 * segments)}),
    (r"map/p2p/1", {"median": 120}),
    (r"map/p2p/16", {"median": 800}),
    (r"map/p2p/256", {"median": 11000}),
    (r"map/two/256", {"median": 15000}),
    (r"map/mixed/.*", {"median": STOCK}),
    (r"distance/warm/(\d+)",
     {"median": lambda clients: 90 * clients, "reads": 0}),
    (r"distance/cold/.*", {"median": STOCK, "reads": STOCK}),
    (r"find/warm/0x.*", {"median": 50, "reads": 0}),
    (r"find/warm/32x16", {"median": 50000, "reads": 0}),
    (r"find/cold/.*", {"median": STOCK, "reads": STOCK}),
    (r"register/.*", {"median": STOCK}),
    (r"read/.*", {"tenth": STOCK}),
    # stock writes no zeros
    (r"(?:mmap|munmap)/zeros/.*", {"median": None}),
    (r"mmap/.*", {"median": Of("stock", part=0.02)}),
    (r"munmap/.*", {"median": STOCK}),
    # as many transfers at a time, of the same size
    (r"copy/p2pctl/1", {"least": Of("ours", "copy/dd/1")}),
    (r"copy/p2pctl/8", {"least": Of("ours", "copy/fio/8")}),
    (r"copy/.*", {"least": None}),
    (r"nvmet/(\w+)/peer/(\w+)",
     {"tenth": lambda verb, size: Of("ours", f"nvmet/{verb}/system/{size}")}),
    (r"nvmet/.*", {"tenth": None}),
    (r"scale/pool/.*", {"median": STOCK}),
    (r"port/\w+/control", {"median": None}),
    (r"port/.*", {"median": 1800}),
    (r".*", {"median": None}),
)
# What is shown after the title for a figure other than the usual one.
WORDS = {"median": "", "tenth": "", "least": "", "mean": ", mean", "worst": ", worst case",
         "failed": ", failures", "reads": ", config reads"}

# What belongs together in a table, by the first word of the name.
SECTIONS = (
    ("Buffers", ("lifo", "fifo-alloc", "fifo-free", "filled", "aged", "holes",
                 "fail")),
    ("Scatter lists", ("sgl-alloc", "sgl-free")),
    ("Requests of an NVMe target", ("request",)),
    ("Two processors, in thousandths of one", ("scale", "port")),
    ("Mapping for a device", ("map", "unmap")),
    ("Routes", ("distance", "find")),
    ("Registration", ("register",)),
    ("Mapping in a process", ("mmap", "munmap")),
    ("Reading from a drive", ("read",)),
    ("Copying from drive to drive (ours; per MiB, without starting the program)",
     ("copy",)),
    ("NVMe target and initiator, software RDMA (stock: system memory only)",
     ("nvmet",)),
)

_ROW = re.compile(r"row (\S+)((?: \w+=\d+)+)")
_SIZE = re.compile(r"(\d+)([KMG])")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table."""
    row: str                # the name of the row
    statistic: str
    title: str
    stock: int | None       # None: not to be had from this kernel
    ours: int | None
    target: int | None      # None: no target, or not measured
    at_least: bool = False  # the target; it is "at most" otherwise
    unknown: bool = False   # there is a target, which was not measured

    @property
    def ratio(self):
        """Ours as a part of stock's; None where that says nothing."""
        if not self.stock or self.ours is None:
            return None
        return self.ours / self.stock

    @property
    def miss(self):
        if self.target is None:
            return False
        if self.ours is None:
            return True
        return self.ours < self.target if self.at_least \
            else self.ours > self.target

    @classmethod
    def from_json(cls, entry):
        """The figure that bench.json has an entry for."""
        return cls(**{field.name: entry[field.name]
                      for field in dataclasses.fields(cls)
                      if field.name in entry})

    @property
    def goal(self):
        """The target as a table shows it."""
        if self.unknown:
            return "not measured"
        if self.target is None:
            return ""
        return ("\u2265 " if self.at_least else "\u2264 ") + number(self.target)

    @property
    def number(self):
        """Does it measure something, and not count events?"""
        return self.statistic in ("median", "tenth", "least", "mean",
                                  "worst")

    @property
    def silent(self):
        """Is it about failures where there were none?"""
        return self.statistic == "failed" and not (self.stock or self.ours)


def parse_rows(lines):
    """{name: {statistic: number}} of the rows among these lines."""
    rows = {}
    for line in lines:
        if not line.startswith("row "):
            continue
        match = _ROW.fullmatch(line)
        if not match:
            raise LabError(f"the bench printed a row that is not one: '{line}'"
                           "; lab/bench and lab/runner/figures.py disagree.")
        name, words = match[1], match[2].split()
        if name in rows:
            raise LabError(f"the bench printed the row '{name}' twice; the "
                           "names in lab/bench must differ.")
        rows[name] = {key: int(value) for key, value
                      in (word.split("=") for word in words)}
    return rows


def title(name):
    """What a row is, in words."""
    for pattern, words in TITLES:
        match = re.fullmatch(pattern, name)
        if match:
            parts = [_SIZE.sub(r"\1 \2iB", part) for part in match.groups()]
            text = words.format(*parts)
            return re.sub(r"\b1 (segment|client)s\b", r"1 \1", text)
    raise LabError(f"the bench printed a row '{name}' that has no title; add "
                   "it to TITLES in lab/runner/figures.py.")


def targets(name):
    """{statistic: target} of a row."""
    for pattern, figures in TARGETS:
        match = re.fullmatch(pattern, name)
        if match:
            words = [int(word) if word.isdigit() else word
                     for word in match.groups()]
            return {statistic: target(*words) if callable(target) else target
                    for statistic, target in figures.items()}
    return {}


def find(target, rows, name, statistic):
    """
    (what a target is, is it unknown?), where it is another figure.  What stock
    cannot do is no target.
    """
    row = rows[target.kernel].get(target.row or name, {})
    if statistic not in row:
        return None, target.kernel != "stock"
    return int(row[statistic] * target.part) + target.more, False


def judge(stock, ours, without=None):
    """
    The figures of two sets of rows, in the order of the rows, and judged by a
    third one if there is one.  A figure that our kernel does not give is a miss
    if it has a target, except for what it cost to fail: not to fail is better.
    """
    rows = {"stock": stock, "ours": ours, "without": without or {}}
    figures = []
    for name in [*ours, *(name for name in stock if name not in ours)]:
        theirs, mine = stock.get(name, {}), ours.get(name, {})
        for statistic, target in targets(name).items():
            unknown = False
            if isinstance(target, Of):
                target, unknown = find(target, rows, name, statistic)
            if name.startswith("fail/") and not mine:
                target = None
            figures.append(Figure(
                name, statistic, title(name) + WORDS[statistic],
                theirs.get(statistic), mine.get(statistic), target,
                bool(GAINS.match(name)), unknown))
    return figures


def sections(figures):
    """(heading, figures) of what there is to show."""
    found = []
    for heading, words in SECTIONS:
        group = [figure for figure in figures if not figure.silent
                 and figure.row.partition("/")[0] in words]
        if group:
            found.append((heading, group))
    return found


def number(value):
    return "-" if value is None else f"{value:,}"


def cells(figure):
    """The columns of a table: title, stock, ours, ratio, target, remark."""
    ratio = "" if figure.ratio is None or not figure.number \
        else f"{figure.ratio:.3f}"
    return (figure.title, number(figure.stock), number(figure.ours), ratio,
            figure.goal, "miss" if figure.miss else "")


def table(figures):
    """The lines of the table."""
    head = ("instructions, unless it says otherwise", "stock", "ours",
            "ratio", "target", "")
    groups = [(heading, [cells(figure) for figure in group])
              for heading, group in sections(figures)]
    rows = [head, *(row for _, group in groups for row in group)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]

    def line(row):
        words = [row[0].ljust(widths[0])]
        words += [cell.rjust(width) for cell, width
                  in zip(row[1:5], widths[1:5])]
        return "  ".join([*words, row[5]]).rstrip()

    lines = [line(head)]
    for heading, group in groups:
        lines += ["", heading, *map(line, group)]
    return lines
