# SPDX-License-Identifier: GPL-2.0
"""
The PCI tree and the memory map, as QEMU's monitor reports them.

The monitor is asked while the guest runs, so the tree has the bus numbers
that the guest's kernel gave out and the BAR addresses that it programmed.
The guest's own word is not needed for either: that makes this a witness
against which the guest can be judged.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Bar:
    """A memory BAR: addresses from first to last, both included."""
    number: int
    first: int
    size: int

    @property
    def last(self):
        return self.first + self.size - 1


@dataclasses.dataclass
class Function:
    """A PCI function and what is below it."""
    address: str            # 0000:bb:dd.f
    name: str               # of the machine file; "" for what is on the board
    bars: list
    children: list

    def walk(self):
        """This function and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def _function(reply):
    bars = []
    for region in reply["regions"]:
        # a BAR that is not enabled is reported at address -1
        if region["type"] == "memory" and region["address"] >= 0:
            bars.append(Bar(region["bar"], region["address"],
                            region["size"]))
    below = reply.get("pci_bridge", {}).get("devices", [])
    address = (f"0000:{reply['bus']:02x}:{reply['slot']:02x}"
               f".{reply['function']}")
    return Function(address, reply["qdev_id"], bars,
                    [_function(child) for child in below])


@dataclasses.dataclass
class Topology:
    """All host bridges' functions, and the ranges of system memory."""
    roots: list             # functions on root buses
    ram: list               # (first, last) pairs

    def functions(self):
        for root in self.roots:
            yield from root.walk()

    def by_name(self, name):
        """The function of that name, or None."""
        return next((fn for fn in self.functions() if fn.name == name), None)

    def memory_at(self, first, last):
        """
        What a range of bus addresses is: "system memory", a pair (function,
        BAR), or None for neither.
        """
        for low, high in self.ram:
            if low <= first and last <= high:
                return "system memory"
        for function in self.functions():
            for bar in function.bars:
                if bar.first <= first and last <= bar.last:
                    return function, bar
        return None


def parse_pci(reply):
    """The functions on the root buses, from QMP's query-pci."""
    return [_function(device) for bus in reply for device in bus["devices"]]


def parse_ram(text):
    """
    The ranges of system memory, from the monitor's "info mtree -f".

    Address spaces are printed as flat views; the one of the address space
    "memory" counts, which is what is there for all.  Neighbouring pieces are joined,
    firmware shadows (write-protected parts of RAM) included, so that a
    transfer across such an edge is not taken for one that goes nowhere.
    """
    pieces = []
    for view in text.split("FlatView #"):
        if not re.search(r'^ AS "memory", root: ', view, re.MULTILINE):
            continue
        for match in re.finditer(
                r"^\s*([0-9a-f]{16})-([0-9a-f]{16}) "
                r"\(prio -?[0-9]+, (?:ram|rom)\): pc\.ram", view,
                re.MULTILINE):
            pieces.append((int(match[1], 16), int(match[2], 16)))
    joined = []
    for first, last in sorted(pieces):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def present(monitor, name):
    """Is there a device of that name on any bus at this moment?"""
    tree = Topology(parse_pci(monitor.command("query-pci")), [])
    return tree.by_name(name) is not None


def ask(monitor):
    """The topology at this moment."""
    return Topology(parse_pci(monitor.command("query-pci")),
                    parse_ram(monitor.human("info mtree -f")))
