# SPDX-License-Identifier: GPL-2.0
"""
The bench: what peer-to-peer DMA costs, in instructions, stock against ours.

lab/bench/p2pdma_bench.c is compiled against both kernels from one source and
loaded in the same machines (lab/bench/*.toml), in which the time stamp counter
counts instructions.  It prints rows,

    row NAME n=... failed=... median=... mean=... worst=... reads=...

of which TITLES says what the names mean and TARGETS which figures are to be
reached.  Each figure becomes one line of the table, with stock, ours, their
ratio and the target; a figure that misses its target says so.

The figures go to the terminal and to build/bench/bench.json.  Exit status: 0
if every target was reached, 1 if one was missed, 2 if nothing was measured.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

from . import guest, machine as machines, qemu, session
from .errors import LabError
from .ktap import FAIL
from .report import colour

BENCH = guest.HERE / "bench"
BUILD = session.ROOT / "build"
OUTPUT = BUILD / "bench"
KERNELS = {                     # name: (objects, how to build them)
    "stock": (BUILD / "base" / "kernel", "scripts/build-stock"),
    "ours": (BUILD / "kernel", "scripts/build-kernel"),
}
# Options of peer-to-peer DMA itself, and the allocator that only stock's uses.
MAY_DIFFER = re.compile(r"P2PDMA|^CONFIG_GENERIC_ALLOCATOR=")
MACHINES = ("pool", "wide")
MODULE_SOURCES = ("p2pdma_bench.c", "Kbuild")
FUNCTIONS_A_PORT = 8

# One tick of the time stamp counter is one instruction.
COUNTING = ("-icount", "shift=0,sleep=off,align=off",
            "-rtc", "clock=vm,base=2024-01-01")
COUNTING_PARAMETERS = ("tsc=reliable", "clocksource=tsc")

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
    (r"unmap/dormant/(\d+)",
     "unmap ordinary memory, no provider, {0} segments"),
    (r"unmap/ram/(\d+)",
     "unmap ordinary memory, with providers, {0} segments"),
    (r"unmap/p2p/(\d+)", "unmap provider memory, {0} segments"),
    (r"unmap/two/(\d+)", "unmap memory of two providers, {0} segments"),
    (r"distance/warm/(\d+)", "distance, verdict known, {0} clients"),
    (r"distance/cold/(\d+)", "distance, verdict not known, {0} clients"),
    (r"find/warm/0x(\d+)", "find, no provider, {0} clients"),
    (r"find/warm/(\d+)x(\d+)",
     "find, {0} providers, {1} clients, verdicts known"),
    (r"find/cold/(\d+)x(\d+)",
     "find, {0} providers, {1} clients, verdicts not known"),
    (r"register/first", "register the first memory of all"),
    (r"register/(\w+)", "register {0} of memory"),
)

# A target that is not a number: what stock needs.
STOCK = "stock"

# Which figures of a row are shown, and what each of them may be at most; None
# is a figure without a target.  The first pattern that matches counts.  Where
# the target depends on a number in the name it is a function of that number.
TARGETS = (
    (r"lifo/.*", {"median": 130}),
    (r"fifo-alloc/.*", {"mean": 200, "worst": 2000, "failed": 0}),
    (r"(?:filled|holes)/.*", {"mean": 200, "worst": 2000, "failed": 0}),
    # that a pool full of fragments has no run of this length is no fault
    (r"aged/.*", {"mean": 200, "worst": 2000, "failed": None}),
    (r"fail/.*", {"worst": 500}),
    (r"sgl-alloc/\w+/holes/128K", {"median": 1500, "failed": 0}),
    (r"sgl-alloc/.*", {"median": None, "failed": 0}),
    # what the same kernel needs when it is built without peer-to-peer DMA,
    # and two instructions more a segment once there are providers
    (r"map/dormant/1", {"median": 106}),
    (r"map/dormant/16", {"median": 931}),
    (r"map/dormant/256", {"median": 14131}),
    (r"map/ram/1", {"median": 106 + 2}),
    (r"map/ram/16", {"median": 931 + 32}),
    (r"map/ram/256", {"median": 14131 + 512}),
    (r"map/p2p/1", {"median": 120}),
    (r"map/p2p/16", {"median": 800}),
    (r"map/p2p/256", {"median": 11000}),
    (r"map/two/256", {"median": 15000}),
    (r"distance/warm/(\d+)",
     {"median": lambda clients: 90 * clients, "reads": 0}),
    (r"distance/cold/.*", {"median": STOCK, "reads": STOCK}),
    (r"find/warm/0x.*", {"median": 50, "reads": 0}),
    (r"find/warm/32x16", {"median": 50000, "reads": 0}),
    (r"find/cold/.*", {"median": STOCK, "reads": STOCK}),
    (r"register/.*", {"median": STOCK}),
    (r".*", {"median": None}),
)
# What is shown after the title for a figure other than the usual one.
WORDS = {"median": "", "mean": ", mean", "worst": ", worst case",
         "failed": ", failures", "reads": ", config reads"}

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
    target: int | None      # at most; None: no target

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
        return self.ours is None or self.ours > self.target

    @property
    def number(self):
        """Does it count instructions, and not events?"""
        return self.statistic in ("median", "mean", "worst")


def parse_rows(lines):
    """{name: {statistic: number}} of the rows among these lines."""
    rows = {}
    for line in lines:
        if not line.startswith("row "):
            continue
        match = _ROW.fullmatch(line)
        if not match:
            raise LabError(f"the bench printed a row that is not one: '{line}'"
                           "; lab/bench and lab/runner/bench.py disagree.")
        name, words = match[1], match[2].split()
        if name in rows:
            raise LabError(f"the bench printed the row '{name}' twice; the "
                           "names in lab/bench/p2pdma_bench.c must differ.")
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
                   "it to TITLES in lab/runner/bench.py.")


def targets(name):
    """{statistic: target} of a row."""
    for pattern, figures in TARGETS:
        match = re.fullmatch(pattern, name)
        if match:
            return {statistic: target(*map(int, match.groups()))
                    if callable(target) else target
                    for statistic, target in figures.items()}
    return {}


def judge(stock, ours):
    """
    The figures of two sets of rows, in the order of the rows.  A figure that
    our kernel does not give is a miss if it has a target, except for what it
    cost to fail: not to fail is better.
    """
    figures = []
    for name in [*ours, *(name for name in stock if name not in ours)]:
        theirs, mine = stock.get(name, {}), ours.get(name, {})
        for statistic, target in targets(name).items():
            if target == STOCK:
                target = theirs.get(statistic)
            if name.startswith("fail/") and not mine:
                target = None
            figures.append(Figure(
                name, statistic, title(name) + WORDS[statistic],
                theirs.get(statistic), mine.get(statistic), target))
    return figures


def number(value):
    return "-" if value is None else f"{value:,}"


def table(figures):
    """The lines of the table; where nothing ever failed it does not say so."""
    rows = [("instructions, unless it says otherwise", "stock", "ours",
             "ratio", "at most", "")]
    for figure in figures:
        if figure.statistic == "failed" and not (figure.stock or figure.ours):
            continue
        ratio = "" if figure.ratio is None or not figure.number \
            else f"{figure.ratio:.3f}"
        rows.append((figure.title, number(figure.stock), number(figure.ours),
                     ratio, "" if figure.target is None
                     else number(figure.target),
                     "miss" if figure.miss else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width
                  in zip(row[1:5], widths[1:5])]
        cells.append(row[5])
        lines.append("  ".join(cells).rstrip())
    return lines


def expand(path):
    """
    The machine that a file of lab/bench describes.  Its groups of equal
    devices are put below a switch with as many ports as they need (with ACS,
    as real ones have it), in the words of the usual kind of machine file.
    """
    text = path.read_text(encoding="utf-8")
    top, *groups = text.split("[[group]]\n")
    devices = ['[[device]]\ntype = "root-port"\nname = "rp0"',
               '[[device]]\ntype = "switch"\nname = "sw0"\nbelow = "rp0"']
    ports = 0
    for group in groups:
        words = dict(re.findall(r'^(\w+) *= *"?(\w+)"?$', group, re.M))
        for i in range(int(words["count"])):
            function = i % FUNCTIONS_A_PORT
            if function == 0:
                devices.append(
                    f'[[device]]\ntype = "switch-port"\nname = "dn{ports}"\n'
                    'below = "sw0"\nacs = true')
                ports += 1
            devices.append(
                f'[[device]]\ntype = "ivshmem"\nname = "{words["name"]}{i}"\n'
                f'below = "dn{ports - 1}"\nmemory = "{words["memory"]}"\n'
                f"slot = 0\nfunction = {function}")
    return machines.parse(str(path), "\n".join([top, *devices]))


class Bench(session.Session):
    """One run of the module in one machine with one kernel."""

    def __init__(self, machine, kernel, quick, directory, announce):
        super().__init__(machine, "bench", directory, announce)
        self.kernel = kernel
        self.quick = quick

    def start(self, interactive=False):
        """Prepare the files and start QEMU, which counts instructions."""
        initramfs = self.directory / "initramfs.cpio"
        guest.build_initramfs(initramfs, self.machine, [])
        # the kernel takes one archive after the other
        extra = guest.Archive()
        extra.directory("lab/bench")
        extra.file("lab/bench/p2pdma_bench.ko",
                   (OUTPUT / self.kernel / "p2pdma_bench.ko").read_bytes())
        extra.file("lab/bench/options",
                   b"quick=1\n" if self.quick else b"quick=0\n")
        extra.file("lab/scenarios/bench", (BENCH / "scenario").read_bytes())
        with open(initramfs, "ab") as archive:
            archive.write(extra.finish())
        parameters = " ".join([
            *session.PARAMETERS, *COUNTING_PARAMETERS, *self.machine.kernel,
            "lab.scenario=bench"])
        return qemu.Qemu(
            [*machines.qemu_options(self.machine, {}), *COUNTING],
            image(self.kernel), initramfs, parameters, self.directory)


def image(kernel):
    return KERNELS[kernel][0] / "arch" / "x86" / "boot" / "bzImage"


def read_config(kernel):
    """The options of a kernel that are set, but for those of MAY_DIFFER."""
    text = (KERNELS[kernel][0] / ".config").read_text(encoding="utf-8")
    return {line for line in text.splitlines()
            if line.startswith("CONFIG_") and not MAY_DIFFER.search(line)}


def check_kernels():
    """Both are there, of one base, and configured alike."""
    for kernel, (objects, how) in KERNELS.items():
        if not image(kernel).is_file() or \
           not (objects / "Module.symvers").is_file():
            raise LabError(f"there is no complete kernel in {objects}; run "
                           f"'{how}' first.")
    differ = sorted(read_config("stock") ^ read_config("ours"))
    if differ:
        raise LabError("the two kernels are configured differently ("
                       f"{', '.join(differ[:4])}), so that a comparison would "
                       "say nothing; build both again.")


def release(kernel):
    """The kernel's version as it gives it."""
    path = KERNELS[kernel][0] / "include" / "config" / "kernel.release"
    return path.read_text(encoding="utf-8").strip()


def build_module(kernel):
    """Compile the module against a kernel."""
    directory = OUTPUT / kernel
    directory.mkdir(parents=True, exist_ok=True)
    for name in MODULE_SOURCES:
        shutil.copyfile(BENCH / name, directory / name)
    # nothing of the user's environment may steer the compiler
    environment = {name: os.environ[name] for name in ("PATH", "HOME")
                   if name in os.environ} | {"LC_ALL": "C"}
    result = subprocess.run(
        ["make", "-C", str(KERNELS[kernel][0]), f"M={directory}",
         "ARCH=x86_64", "modules"],
        capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        raise LabError("the bench's module does not compile against the "
                       f"{kernel} kernel:\n{result.stderr}")


def measure(name, kernel, quick):
    """The rows of one machine and one kernel."""
    machine = expand(BENCH / f"{name}.toml")
    print(colour(f"# measuring the {kernel} kernel: {machine.summary}", "dim"),
          flush=True)
    with session.run_directory(f"bench-{name}-{kernel}") as directory:
        run = Bench(machine, kernel, quick, directory, lambda text: None)
        outcome = run.run()
    failed = [result for result in outcome.results if result.outcome == FAIL]
    # What the stock kernel complains about is not our concern, as long as the
    # figures are there; our own must not complain.
    if failed and (kernel == "ours" or not parse_rows(run.lines)):
        remarks = [f"{result.name}: {remark}" for result in failed
                   for remark in result.remarks or ("failed",)]
        raise LabError(f"the {kernel} kernel could not be measured; the logs "
                       f"are in {directory}:\n" + "\n".join(remarks[:20]))
    return parse_rows(run.lines)


def as_json(figures, quick):
    """What build/bench/bench.json holds."""
    return {
        "kernels": {kernel: release(kernel) for kernel in KERNELS},
        "qemu": qemu.version(),
        "quick": quick,
        "figures": [
            dataclasses.asdict(figure)
            | {"ratio": figure.ratio, "miss": figure.miss}
            for figure in figures],
    }


def run(quick):
    """lab/run bench; the exit status."""
    if qemu.accelerator() != "tcg":
        raise LabError("only QEMU's emulation counts instructions; run the "
                       "bench without ACCEL.")
    qemu.version()
    check_kernels()
    for kernel in KERNELS:
        build_module(kernel)
    rows = {kernel: {} for kernel in KERNELS}
    for name in MACHINES:
        for kernel in KERNELS:
            # rows of several machines have different names
            rows[kernel] |= measure(name, kernel, quick)
    figures = judge(rows["stock"], rows["ours"])
    path = OUTPUT / "bench.json"
    path.write_text(json.dumps(as_json(figures, quick), indent=1) + "\n",
                    encoding="utf-8")
    head, *lines = table(figures)
    print(colour(head, "bold"))
    for line in lines:
        print(colour(line, "red") if line.endswith("  miss") else line)
    misses = sum(figure.miss for figure in figures)
    judged = sum(figure.target is not None for figure in figures)
    print(f"# bench: {judged} figures have a target, {misses} miss it; all "
          f"figures are in {pathlib.Path(os.path.relpath(path))}")
    return 1 if misses else 0
