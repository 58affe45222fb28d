# SPDX-License-Identifier: GPL-2.0
"""
The bench: what peer-to-peer DMA costs, stock against ours.

lab/bench is compiled against both kernels from one source and run in the same
machines.  In most of them the time stamp counter counts instructions; in one,
two processors run at a time, which says something about ratios only.  What is
measured and judged is told in figures.py.

A third kernel, ours built without peer-to-peer DMA, shows what that costs who
does not use it.  It takes long to build for so few figures, so that a quick run
leaves it out.

The figures go to the terminal and to build/bench: as the same text
(bench.txt), for programs (bench.json) and as a picture (bench.svg).  Exit
status: 0 if every target was reached, 1 if one was missed, 2 if nothing was
measured.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

from . import figures as judging, guest, machine as machines, plot, port
from . import qemu, session
from .errors import LabError
from .ktap import FAIL
from .report import colour

BENCH = guest.HERE / "bench"
BUILD = session.ROOT / "build"
OUTPUT = BUILD / "bench"
P2PCTL = OUTPUT / "p2pctl"
KERNELS = {                     # name: (objects, how to build them)
    "stock": (BUILD / "base" / "kernel", "scripts/build-stock"),
    "ours": (BUILD / "kernel", "scripts/build-kernel"),
    "without": (BUILD / "kernel-without", "scripts/build-without"),
}
# Options of peer-to-peer DMA itself, and the allocator that only stock's uses.
MAY_DIFFER = re.compile(r"P2PDMA|P2PMEM|^CONFIG_GENERIC_ALLOCATOR=")
MACHINES = ("pool", "wide", "drives", "target", "pair")
COMPARED = ("stock", "ours")
# Where the third kernel runs.
DORMANT = "pool"
# Where an NVMe target is, and where drives are used by programs.
TARGET = "target"
DRIVES = "drives"
# What they need of the host's programs.
PROGRAMS = {TARGET: ("ip", "nvme", "rdma"), DRIVES: ("dd", "fio")}
# Two processors at a time: a machine that cannot count.
PAIR = "pair"
FUNCTIONS_A_PORT = 8

# One tick of the time stamp counter is one instruction.
COUNTING = ("-icount", "shift=0,sleep=off,align=off",
            "-rtc", "clock=vm,base=2024-01-01")
COUNTING_PARAMETERS = ("tsc=reliable", "clocksource=tsc")
# A thread for each processor.  Such a machine now and then dies at boot, see
# qemu.ACCELERATORS, and is then started again.
THREADS = "tcg,thread=multi"
ATTEMPTS = 4
# How long a drive takes depends on when QEMU's threads run, and is much the same
# all through a boot.  The least of several boots is nearest to what is executed.
# Two processors are not always at work at the same time, and then hinder each
# other less than they would: there the least is what they gain at worst.
BOOTS = {DRIVES: 3, PAIR: 3}


def expand(path):
    """
    The machine that a file of lab/bench describes.  Its groups of equal
    devices are put below a switch with as many ports as they need (with ACS,
    as real ones have it), in the words of the usual kind of machine file.  A
    file without groups is of the usual kind itself.
    """
    text = path.read_text(encoding="utf-8")
    top, *groups = text.split("[[group]]\n")
    if not groups:
        return machines.parse(str(path), text)
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
    """One run in one machine with one kernel."""

    def __init__(self, machine, kernel, quick, directory):
        super().__init__(machine, "bench", directory, lambda text: None)
        self.kernel = kernel
        self.options = {"quick": int(quick)}
        if machine.name in PROGRAMS:
            self.options["peer"] = int(kernel == "ours")
        else:
            self.options |= {"scale": int(self.threaded),
                             "dormant": int(kernel == "without")}

    @property
    def threaded(self):
        return self.machine.name == PAIR

    def start(self, interactive=False):
        """Prepare the files and start QEMU."""
        initramfs = self.directory / "initramfs.cpio"
        guest.build_initramfs(initramfs, self.machine, [],
                              PROGRAMS.get(self.machine.name, ()))
        # the kernel takes one archive after the other
        extra = guest.Archive()
        extra.directory("lab/bench")
        extra.file("lab/bench/p2pdma_bench.ko",
                   (OUTPUT / self.kernel / "p2pdma_bench.ko").read_bytes())
        extra.file("lab/bin/p2pcost", (OUTPUT / "p2pcost").read_bytes())
        extra.file("lab/bin/p2pctl", (P2PCTL / "p2pctl").read_bytes())
        extra.file("lab/bench/options", "".join(
            f"{key}={value}\n" for key, value
            in self.options.items()).encode())
        extra.file("lab/scenarios/bench", (BENCH / "scenario").read_bytes())
        with open(initramfs, "ab") as archive:
            archive.write(extra.finish())
        for name, path in self.images.items():
            session.make_image(path, self.machine.device(name).image)
        counting = () if self.threaded else COUNTING
        parameters = " ".join([
            *session.PARAMETERS, *(() if self.threaded
                                   else COUNTING_PARAMETERS),
            *self.machine.kernel, "lab.scenario=bench"])
        return qemu.Qemu(
            [*machines.qemu_options(self.machine, self.images), *counting],
            image(self.kernel), initramfs, parameters, self.directory,
            accel=THREADS if self.threaded else None)


def image(kernel):
    return KERNELS[kernel][0] / "arch" / "x86" / "boot" / "bzImage"


def read_config(kernel):
    """The options of a kernel that are set, but for those of MAY_DIFFER."""
    text = (KERNELS[kernel][0] / ".config").read_text(encoding="utf-8")
    return {line for line in text.splitlines()
            if line.startswith("CONFIG_") and not MAY_DIFFER.search(line)}


def check_kernels(kernels):
    """They are there, of one base, and configured alike."""
    for kernel in kernels:
        objects, how = KERNELS[kernel]
        if not image(kernel).is_file() or \
           not (objects / "Module.symvers").is_file():
            raise LabError(f"there is no complete kernel in {objects}; run "
                           f"'{how}' first.")
    for kernel in kernels:
        differ = sorted(read_config(kernel) ^ read_config("ours"))
        if differ:
            raise LabError(f"the kernels '{kernel}' and 'ours' are configured "
                           f"differently ({', '.join(differ[:4])}), so that a "
                           "comparison would say nothing; build both again.")


def release(kernel):
    """The kernel's version as it gives it."""
    path = KERNELS[kernel][0] / "include" / "config" / "kernel.release"
    return path.read_text(encoding="utf-8").strip()


def compiler():
    """The compiler of our kernel, as its version says."""
    path = KERNELS["ours"][0] / "include" / "generated" / "compile.h"
    match = re.search(r'LINUX_COMPILER\s+"([^,"]*)',
                      path.read_text(encoding="utf-8"))
    return match[1].strip() if match else "unknown"


def build_module(kernel):
    """Compile the module against a kernel."""
    directory = OUTPUT / kernel
    directory.mkdir(parents=True, exist_ok=True)
    for path in [BENCH / "Kbuild", *BENCH.glob("*.[ch]")]:
        shutil.copyfile(path, directory / path.name)
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


def build_programs():
    """Compile the program that counts, and p2pctl."""
    source = BENCH / "drive" / "p2pcost.c"
    result = subprocess.run(
        ["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror",
         "-D_GNU_SOURCE", f"-I{guest.GUEST}", "-o", str(OUTPUT / "p2pcost"),
         str(source)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{source} does not compile:\n{result.stderr}")
    guest.build_p2pctl(P2PCTL)


def attempt(machine, kernel, quick):
    """One boot: the rows, and what failed."""
    with session.run_directory(f"bench-{machine.name}-{kernel}") as directory:
        run = Bench(machine, kernel, quick, directory)
        outcome = run.run()
        for path in run.images.values():
            path.unlink(missing_ok=True)
    failed = [f"{result.name}: {remark}" for result in outcome.results
              if result.outcome == FAIL
              for remark in result.remarks or ("failed",)]
    return judging.parse_rows(run.lines), failed, directory


def least(rows, more):
    """
    Of each row the one that is less, by the first of these figures that it has.
    """
    def figure(row):
        return next(row[statistic] for statistic
                    in ("least", "tenth", "median") if statistic in row)

    return {name: min(row, more.get(name, row), key=figure)
            for name, row in rows.items()}


def measure(name, kernel, quick):
    """The rows of one machine and one kernel."""
    machine = expand(BENCH / f"{name}.toml")
    print(colour(f"# measuring the {kernel} kernel: {machine.summary}", "dim"),
          flush=True)
    for _ in range(ATTEMPTS if name == PAIR else 1):
        rows, failed, directory = attempt(machine, kernel, quick)
        if rows:
            break
    for _ in range(1, 1 if quick else BOOTS.get(name, 1)):
        more, complaints, directory = attempt(machine, kernel, quick)
        # a boot that such a machine died of is not counted
        failed += complaints if more else []
        rows = least(rows, more)
    # What the stock kernel complains about is not our concern, as long as the
    # figures are there; our own must not complain.
    if not rows or failed and kernel != "stock":
        raise LabError(f"the {kernel} kernel could not be measured; the logs "
                       f"are in {directory}:\n" + "\n".join(failed[:20]))
    return rows


def as_json(figures, quick):
    """What build/bench/bench.json holds."""
    return {
        "kernels": {kernel: release(kernel) for kernel in COMPARED},
        "qemu": qemu.version(),
        "compiler": compiler(),
        "quick": quick,
        "figures": [
            dataclasses.asdict(figure)
            | {"ratio": figure.ratio, "miss": figure.miss}
            for figure in figures],
    }


def write(figures, quick):
    """The files in build/bench; what goes to the terminal."""
    lines = judging.table(figures)
    document = as_json(figures, quick)
    for name, text in (
            ("bench.json", json.dumps(document, indent=1)),
            ("bench.txt", "\n".join(lines)),
            ("bench.svg", plot.svg(judging.sections(figures),
                                   document["kernels"]))):
        (OUTPUT / name).write_text(text.rstrip("\n") + "\n",
                                   encoding="utf-8")
    return lines


def run(quick):
    """lab/run bench; the exit status."""
    if qemu.accelerator() != "tcg":
        raise LabError("only QEMU's emulation counts instructions; run the "
                       "bench without ACCEL.")
    qemu.version()
    kernels = COMPARED if quick else tuple(KERNELS)
    check_kernels(kernels)
    for kernel in kernels:
        build_module(kernel)
    build_programs()
    rows = {kernel: {} for kernel in KERNELS}
    for name in MACHINES:
        for kernel in COMPARED:
            # rows of several machines have different names
            rows[kernel] |= measure(name, kernel, quick)
    if not quick:
        rows["without"] |= measure(DORMANT, "without", quick)
    print(colour("# measuring the allocators on this host", "dim"), flush=True)
    for kernel in COMPARED:
        rows[kernel] |= port.measure(kernel, quick)
    figures = judging.judge(rows["stock"], rows["ours"], rows["without"])
    for line in write(figures, quick):
        print(colour(line, "red") if line.endswith("  miss") else line)
    misses = sum(figure.miss for figure in figures)
    judged = sum(figure.target is not None for figure in figures)
    unknown = sum(figure.unknown for figure in figures)
    left = f" {unknown} more could not be judged;" if unknown else ""
    where = pathlib.Path(os.path.relpath(OUTPUT))
    print(f"# bench: {judged} figures have a target, {misses} miss it;{left} "
          f"all figures are in {where}/bench.txt, .json and .svg")
    return 1 if misses else 0
