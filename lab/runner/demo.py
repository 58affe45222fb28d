# SPDX-License-Identifier: GPL-2.0
"""
The demonstration: one run, told to somebody who sees it for the first time.

Shows the machine as a tree with the roles of its devices, the way the kernel
chose and why, the path of the data in both copies, and the ledger.  What is
printed comes from the run (QEMU's monitor and trace, the kernel's tracepoint,
checksums of the images on the host); only if data, route and ledger are right
is the exit status 0.
"""

import itertools
import sys
import textwrap

from . import qemu, route, session
from .ktap import FAIL
from .report import colour

MACHINE = "switch"
SCENARIO = "demo"
TARGETS = ("copy", "nvmet")     # what can be demonstrated; see demo_nvmet.py
PEER, SYSTEM = "peer-to-peer", "system-memory"
TITLES = {PEER: "peer to peer", SYSTEM: "through system memory"}
# How the kernel should route between the two drives of this machine.
ROUTE_TYPE = "bus-address"
WIDTH = 78

ROLE_WORDS = {
    "source": "SOURCE",
    "destination": "DESTINATION",
    "provider": "PROVIDER of the memory between them",
}
ROLE_COLOURS = {"source": "cyan", "destination": "yellow",
                "provider": "green"}


def heading(text):
    print()
    print(colour(f"{text} ".ljust(WIDTH, "-"), "bold"))


def wrapped(first, text):
    """Text with a first column, broken into lines that fit."""
    print(textwrap.fill(text, WIDTH, initial_indent=first,
                        subsequent_indent=" " * len(first),
                        break_on_hyphens=False))


def mebibytes(size):
    return f"{size >> 20} MiB"


def count(number):
    """33,554,432"""
    return f"{number:,}"


def name_of(function, machine):
    """What a function is, for the tree."""
    return f"{machine.device(function.name).words} '{function.name}'"


def memory_bar(function, machine):
    """The BAR with a drive's controller memory buffer, or None."""
    size = machine.device(function.name).settings.get("cmb")
    return next((bar for bar in function.bars if bar.size == size), None)


def notes(function, machine):
    """Remarks below a function of the tree: its memory and its roles."""
    roles = machine.roles_of(function.name)
    lines = []
    if "source" in roles or "destination" in roles:
        size = machine.device(function.name).settings["disk"]
        lines += [colour(f"{ROLE_WORDS[role]}, {mebibytes(size)} disk",
                         ROLE_COLOURS[role])
                  for role in ("source", "destination") if role in roles]
    if "provider" in roles:
        bar = memory_bar(function, machine)
        lines.append(colour(ROLE_WORDS["provider"], ROLE_COLOURS["provider"]))
        lines.append(f"{mebibytes(bar.size)} of its own memory, BAR "
                     f"{bar.number} at 0x{bar.first:x}")
    return lines


def print_tree(functions, machine, indent="  "):
    for number, function in enumerate(functions):
        last = number == len(functions) - 1
        branch, trunk = ("`- ", "   ") if last else ("+- ", "|  ")
        print(f"{indent}{branch}{function.address} "
              f"{name_of(function, machine)}")
        below = "|  " if function.children else "   "
        for note in notes(function, machine):
            print(f"{indent}{trunk}{below}           {note}")
        print_tree(function.children, machine, indent + trunk)


def print_topology(outcome, machine):
    heading("The machine, as QEMU's monitor sees it")
    print("  CPU, system memory and root complex")
    # what is soldered to the board has no name in the machine's file
    print_tree([root for root in outcome.topology.roots if root.name],
               machine)


def picture(book):
    """The way of a copy's payload through the machine, from its ledger."""
    ends = f"[{book.source}]".ljust(10) + f"[{book.destination}]"
    if book.through_system_memory:
        return [
            "+-----------------+",
            "|  system memory  |",
            "+-----------------+",
            "    ^         |",
            ".---|---------|---.",
            "|   |  switch |   |",
            "|   |         |   |",
            "'---|---------|---'",
            "    |         v",
            f"  {ends}",
        ]
    return [
        "+-----------------+",
        "|  system memory  |",
        "+-----------------+",
        "",
        ".-----------------.",
        "|      switch     |",
        "|   .---------.   |",
        "'---|---------|---'",
        "    |         v",
        f"  {ends}",
    ]


def captions(book):
    """What stands below a picture: the stations, and what each hop moved."""
    lines = []
    for row in book.rows:
        arrow = f"{row.drive} -> {row.memory}" if row.verb == "read" \
            else f"{row.memory} -> {row.drive}"
        lines += [arrow, f"  {count(row.bytes)} bytes"]
    return lines


def print_pictures(copies):
    heading("The way of the payload")
    columns = [[TITLES[label], "", *picture(copies[label].ledger), "",
                *captions(copies[label].ledger)] for label in (PEER, SYSTEM)]
    for left, right in itertools.zip_longest(*columns, fillvalue=""):
        print(f"  {left:38}{right}".rstrip())


def print_route(verdict, provider, client):
    heading("The route, as the kernel decided it")
    wrapped("  pair      ", f"memory of {provider.name} "
            f"({provider.address}), used by {client.name} "
            f"({client.address})")
    if not verdict:
        wrapped("  verdict   ", "the kernel decided nothing: it was never "
                "asked, or has no tracepoint p2pdma_route")
        return
    wrapped("  verdict   ", f"{verdict.type}, distance {verdict.distance}, "
            f"reason {verdict.reason}")
    wrapped("  that is   ", route.words(verdict))


def print_rows(column, groups):
    """A table of rows of a ledger; groups are (what they are of, rows)."""
    width = max(len(first) for first, _ in groups)
    print(f"  {column:{width}}  {'drive':5} {'verb':5}  {'memory':13} "
          f"{'commands':>8} {'payload bytes':>14}")
    for first, rows in groups:
        for row in rows:
            through = row.memory == "system memory"
            line = (f"  {first:{width}}  {row.drive:5} {row.verb:5}  "
                    f"{row.memory:13} {count(row.commands):>8} "
                    f"{count(row.bytes):>14}")
            print(colour(line, "yellow" if through else "green"))
            first = ""


def print_ledger(copies):
    heading("The ledger: what the drives were told, from QEMU's trace")
    print_rows("copy", [(TITLES[label], copies[label].ledger.rows)
                        for label in (PEER, SYSTEM)])


def print_checksums(copies):
    heading("The data: SHA-256 of the images on the host")
    peer, system = copies[PEER], copies[SYSTEM]
    print(f"  source drive, before the copies\n    {peer.wanted}")
    for copy, label in ((peer, PEER), (system, SYSTEM)):
        verdict = "equal" if copy.found == copy.wanted else "DIFFERENT"
        print(f"  destination drive, {TITLES[label]}: {verdict}\n"
              f"    {copy.found}")


def failures_of(outcome):
    """The tests of a run that failed, with what was said about them."""
    faults = []
    for result in outcome.results:
        if result.outcome == FAIL:
            faults.append(result.name)
            faults += [f"  {remark}" for remark in result.remarks]
    return faults


def faults_of(outcome, verdict):
    """Everything that makes the demonstration fail."""
    faults = failures_of(outcome)
    if outcome.copies and (not verdict or verdict.type != ROUTE_TYPE):
        faults.append(f"the route between the drives should be {ROUTE_TYPE} "
                      f"and is {verdict.type if verdict else 'not reported'}")
    return faults


def print_faults(faults, name):
    """What went wrong, and where to look; the exit status."""
    print()
    sys.stdout.flush()
    print(colour("The demonstration failed:", "red"))
    for fault in faults:
        print(f"  {fault}")
    print("Everything that the run left behind is in "
          f"{session.BUILD / name}.")
    return 1


def print_conclusion(copies):
    """What was shown, in plain words; the last lines of the output."""
    peer, system = copies[PEER].ledger, copies[SYSTEM].ledger
    heading("What this shows")
    wrapped("  ", f"Both copies are equal to the source, {count(peer.wanted)} "
            "bytes each.")
    wrapped("  ", "Through system memory every byte crossed the CPU's memory "
            f"twice: {count(system.through_system_memory)} payload bytes.")
    wrapped("  ", "Peer to peer, the drives exchanged the same bytes below "
            "the switch:")
    print(colour("payload bytes through system memory: "
                 f"{peer.through_system_memory}", "bold"))


def run_told(machine, scenario, title):
    """Run a scenario, and tell how far it is."""
    emulator = qemu.version()
    session.kernel_image()
    print(colour(title, "bold"))
    wrapped("", f"Machine '{machine.name}': {machine.summary}. QEMU "
            f"{emulator}, {qemu.accelerator().upper()}.")
    return session.run(machine, scenario,
                       lambda text: print(f"  {text} ...", flush=True))


def run(machine):
    """The exit status of the demonstration."""
    outcome = run_told(machine, SCENARIO,
                       "Peer-to-peer DMA between two NVMe drives")
    copies = {copy.fields["label"]: copy for copy in outcome.copies}
    verdict = None
    if outcome.topology and PEER in copies and SYSTEM in copies:
        provider, client = (outcome.topology.by_name(machine.roles[role])
                            for role in ("provider", "destination"))
        verdict = outcome.verdict(provider.address, client.address)
        print(f"  done in {outcome.seconds:.0f} s, Linux {outcome.kernel}")
        print_topology(outcome, machine)
        print_route(verdict, provider, client)
        print_pictures(copies)
        print_ledger(copies)
        print_checksums(copies)
    faults = faults_of(outcome, verdict)
    if faults:
        return print_faults(faults, f"{machine.name}-{SCENARIO}")
    print_conclusion(copies)
    return 0
