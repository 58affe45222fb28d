# SPDX-License-Identifier: GPL-2.0
"""
The allocators as programs: how two processors of the host get on with one pool.

lab/bench/port/port.c is compiled twice, with the files of our pool and with the
allocator that stock's pools are made of, each as it is in the kernel.  Headers
of the kernel that they name are those of tools/include where that has them, and
lab/bench/port/shim.h otherwise.
"""

import pathlib
import re
import shutil
import subprocess

from . import figures, guest, session
from .errors import LabError

PORT = guest.HERE / "bench" / "port"
OUTPUT = session.ROOT / "build" / "bench" / "port"
TREE = session.ROOT / "build" / "linux"
STOCK = session.ROOT / "build" / "stock"
# Headers for which tools/include has what is needed.
NATIVE = ("align.h", "bitmap.h", "bitops.h", "bits.h", "compiler.h",
          "export.h", "list.h", "log2.h", "string.h", "types.h")
POOLS = (("64M", 64), ("1G", 1024))     # name, mebibytes
SOURCES = {
    "stock": (STOCK / "lib" / "genalloc.c",),
    "ours": tuple(TREE / "drivers" / "pci" / f"p2pdma_{part}.c"
                  for part in ("pool", "run", "front")),
}
OPTIONS = {
    "stock": ("-DPORT_STOCK=1", "-DCONFIG_ARCH_HAVE_NMI_SAFE_CMPXCHG"),
    "ours": ("-DPORT_STOCK=0", f"-I{TREE / 'drivers' / 'pci'}"),
}
# What the sources include beside what they say themselves.
HEADERS = {
    "stock": (STOCK / "include" / "linux" / "genalloc.h",),
    "ours": tuple(TREE / "drivers" / "pci" / f"p2pdma_{part}.h"
                  for part in ("pool", "run", "front", "fast")),
}


def make_headers(kernel, directory):
    """Stand-ins for the headers that the sources of a kernel name."""
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "linux").mkdir(parents=True)
    texts = [path.read_text(encoding="utf-8")
             for path in (*SOURCES[kernel], *HEADERS[kernel])]
    for name in re.findall(r"^#include <linux/(\w+\.h)>", "\n".join(texts),
                           re.M):
        if name not in NATIVE:
            (directory / "linux" / name).write_text('#include "shim.h"\n',
                                                    encoding="utf-8")
    if kernel == "stock":
        shutil.copyfile(HEADERS[kernel][0],
                        directory / "linux" / "genalloc.h")


def build(kernel):
    """Compile the program for a kernel; its path."""
    headers = OUTPUT / f"include-{kernel}"
    make_headers(kernel, headers)
    program = OUTPUT / kernel
    tools = TREE / "tools"
    result = subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-pthread", "-w",
         # what is never called may call what is not there
         "-ffunction-sections", "-Wl,--gc-sections",
         "-include", str(PORT / "shim.h"), *OPTIONS[kernel],
         f"-I{headers}", f"-I{PORT}", f"-I{tools / 'include'}",
         f"-I{tools / 'arch' / 'x86' / 'include'}", "-o", str(program),
         str(PORT / "port.c"), *map(str, SOURCES[kernel]),
         str(tools / "lib" / "find_bit.c")],
        capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"the {kernel} allocator does not compile as a "
                       f"program; lab/bench/port/shim.h lacks what it uses:\n"
                       f"{result.stderr}")
    return program


def measure(kernel, quick):
    """The rows of a kernel; none if the host has no two processors to spare."""
    program = pathlib.Path(build(kernel))
    rows = {}
    for name, mebibytes in POOLS:
        result = subprocess.run(
            [str(program), "7" if quick else "41", str(mebibytes), name],
            capture_output=True, text=True, check=False)
        if result.returncode:
            print(f"# left out: {result.stderr.strip()}", flush=True)
            return {}
        rows |= figures.parse_rows(result.stdout.splitlines())
    return rows
