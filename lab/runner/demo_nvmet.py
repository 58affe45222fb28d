# SPDX-License-Identifier: GPL-2.0
"""
The demonstration of the NVMe target: the same work twice, with its data in
system memory and in a drive's memory, told to somebody who sees it for the
first time.

Shows the machine, the commands by which the target was set up, what the target
says of itself, and the ledger of the drive behind it.  What is printed comes
from the run; only if data, ledger and the target's counters are right is the
exit status 0.
"""

from . import demo
from .report import colour

MACHINE = "nvmet-rdma"
SCENARIO = "demo-nvmet"
WITHOUT, WITH = "without", "with"
TITLES = {WITHOUT: "p2pmem is 0", WITH: "p2pmem is set"}
# Marks in the scenario's remarks: what was typed, and what came of it.
TYPED, PRINTED = "$ ", "> "


def shown(said):
    """The remarks that are for the reader, as they are to be printed."""
    return [colour(line, "bold") if line.startswith(TYPED)
            else line.removeprefix(PRINTED)
            for line in said if line.startswith((TYPED, PRINTED))]


def print_session(said):
    demo.heading("What the administrator does")
    for line in shown(said):
        print(f"  {line}")


def print_ledger(watches):
    demo.heading("The ledger: what the drive was told, from QEMU's trace")
    demo.print_rows("target", [(TITLES[label], watches[label].own)
                               for label in (WITHOUT, WITH)])


def print_conclusion(watches):
    demo.heading("What this shows")
    peer = watches[WITH]
    moved = sum(row.bytes for row in peer.own)
    demo.wrapped("  ", "The initiator wrote and read the same data twice, and "
                 "the images on the host are equal to it. With p2pmem the "
                 f"drive took and left all {demo.count(moved)} bytes in memory "
                 "of the other drive below the switch.")
    demo.wrapped("  ", "Here the CPU stands in for an RDMA card and copies "
                 "between network and peer memory. A card would do it by DMA, "
                 "by the same code of the target.")
    system = sum(peer.total(verb, "system") for verb in ("read", "write"))
    print(colour(f"payload bytes of the drive through system memory: {system}",
                 "bold"))


def run(machine):
    """The exit status of the demonstration."""
    outcome = demo.run_told(
        machine, SCENARIO,
        "An NVMe target that keeps its data out of system memory")
    watches = {watch.label: watch for watch in outcome.watches}
    if outcome.topology and set(watches) == {WITHOUT, WITH}:
        print(f"  done in {outcome.seconds:.0f} s, Linux {outcome.kernel}")
        demo.print_topology(outcome, machine)
        print_session(outcome.said)
        print_ledger(watches)
    faults = demo.failures_of(outcome)
    if faults:
        return demo.print_faults(faults, f"{machine.name}-{SCENARIO}")
    print_conclusion(watches)
    return 0
