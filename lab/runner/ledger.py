# SPDX-License-Identifier: GPL-2.0
"""
The ledger: who moved how many payload bytes to or from which memory.

The witness is QEMU's trace of its NVMe model, not the guest.  For each I/O
command the model writes, one after the other and from one thread:

    pci_nvme_io_cmd cid 5 nsid 0x1 sqid 1 opc 0x2 opname 'NVME_NVM_CMD_READ'
    pci_nvme_read cid 5 nsid 1 nlb 256 count 131072 lba 0x0
    pci_nvme_map_addr addr 0xf8000000 len 4096        (for each piece)

The namespace tells the controller, because each drive of a machine has a
namespace number of its own.  The addresses are those of the data pointer:
the queues' entries and the lists of addresses that a long command refers to
(PRP lists) are fetched by other means and are not in these lines, so all that
is counted is payload.  An admin command maps addresses too; its line ends the
command before it, and what it maps is counted as no payload.

Every command is checked: its pieces must add up to the length that the
command has, and a command that failed is an error of the ledger, because its
bytes would be counted and not moved.

A copy passes only if its reads and its writes each add up to the number of
bytes that it was to copy, all by the drives that it names, and if every byte
went through the memory that it was to go through: a BAR of the provider that
the copy names, or system memory.
"""

import collections
import dataclasses
import re

EVENTS = ("pci_nvme_admin_cmd", "pci_nvme_io_cmd", "pci_nvme_read",
          "pci_nvme_write", "pci_nvme_map_addr", "pci_nvme_err_req_status")
SYSTEM_MEMORY = "system memory"
NOWHERE = "nowhere"
VIA_SYSTEM = "system"       # what a copy through system memory calls its way

# The prefix is empty unless QEMU was told to print time stamps.
_LINE = re.compile(r"^(?:[0-9]+@[0-9.]+:)?(pci_nvme_\w+) (.*)$")
_RW = re.compile(r"\bnsid (\d+) nlb \d+ count (\d+) lba")
_ADDR = re.compile(r"^addr 0x([0-9a-f]+) len (\d+)$")


@dataclasses.dataclass
class Command:
    """One read or write command of a drive."""
    verb: str               # "read" or "write", as the drive was told
    nsid: int
    length: int
    pieces: list            # (address, length)


@dataclasses.dataclass(frozen=True)
class Row:
    """Payload of one drive, one verb, one memory."""
    verb: str
    drive: str
    memory: str
    commands: int
    bytes: int
    lowest: int             # address


def parse(lines):
    """The read and write commands in a trace, and what was wrong with it."""
    commands, problems = [], []
    current = None
    for line in lines:
        match = _LINE.match(line)
        if not match:
            continue
        event, text = match.groups()
        if event in ("pci_nvme_admin_cmd", "pci_nvme_io_cmd"):
            current = None
        elif event in ("pci_nvme_read", "pci_nvme_write"):
            fields = _RW.search(text)
            if not fields:
                problems.append(f"a line of QEMU's trace is not understood: "
                                f"{line.strip()}")
                current = None
                continue
            current = Command(event.removeprefix("pci_nvme_"),
                              int(fields[1]), int(fields[2]), [])
            commands.append(current)
        elif event == "pci_nvme_map_addr" and current:
            fields = _ADDR.match(text.strip())
            if not fields:
                problems.append(f"a line of QEMU's trace is not understood: "
                                f"{line.strip()}")
                continue
            current.pieces.append((int(fields[1], 16), int(fields[2])))
        elif event == "pci_nvme_err_req_status":
            problems.append(f"a drive reported an error: {text.strip()}")
    for command in commands:
        total = sum(length for _, length in command.pieces)
        if total != command.length:
            problems.append(
                f"a {command.verb} command of namespace {command.nsid} is for "
                f"{command.length} bytes, but its addresses are for {total}")
    return commands, problems


def _memory_words(topology, address, length):
    place = topology.memory_at(address, address + length - 1)
    if place is None:
        return NOWHERE
    if place == SYSTEM_MEMORY:
        return SYSTEM_MEMORY
    function, bar = place
    return f"{function.name or function.address} BAR {bar.number}"


@dataclasses.dataclass
class Ledger:
    """The entries of one copy."""
    label: str
    via: str                # a provider's name, or VIA_SYSTEM
    source: str
    destination: str
    wanted: int             # bytes that the copy was to move
    rows: list
    problems: list

    def total(self, verb):
        return sum(row.bytes for row in self.rows if row.verb == verb)

    @property
    def through_system_memory(self):
        """Payload bytes that were written to or read from system memory."""
        return sum(row.bytes for row in self.rows
                   if row.memory == SYSTEM_MEMORY)

    def is_the_way(self, row):
        """Is the memory of a row the one that the copy was to go through?"""
        if self.via == VIA_SYSTEM:
            return row.memory == SYSTEM_MEMORY
        return row.memory.startswith(f"{self.via} BAR ")

    def judge(self):
        """What is wrong with the copy; nothing if the list is empty."""
        faults = list(self.problems)
        for verb, drive in (("read", self.source),
                            ("write", self.destination)):
            moved = self.total(verb)
            if moved != self.wanted:
                faults.append(f"{self.wanted} bytes were to be copied, but "
                              f"{verb} commands moved {moved}")
            for row in self.rows:
                if row.verb == verb and row.drive != drive:
                    faults.append(f"drive '{row.drive}' had {row.bytes} bytes "
                                  f"of {verb} commands; only '{drive}' should")
        for row in self.rows:
            if row.memory == NOWHERE:
                faults.append(f"drive '{row.drive}' was told to {row.verb} "
                              f"{row.bytes} bytes to or from addresses that "
                              f"are no memory, 0x{row.lowest:x} the lowest")
            elif not self.is_the_way(row):
                faults.append(f"drive '{row.drive}' moved {row.bytes} payload "
                              f"bytes ({row.verb}) through {row.memory}")
        return faults


def build(lines, topology, drives, copy):
    """
    The ledger of one copy.  lines is the trace between its marks, drives maps
    namespace numbers to names, copy has label, via, from, to and bytes.
    """
    commands, problems = parse(lines)
    moved = collections.Counter()
    told = collections.defaultdict(set)
    lowest = {}
    for number, command in enumerate(commands):
        drive = drives.get(command.nsid, f"namespace {command.nsid}")
        for address, length in command.pieces:
            key = (command.verb, drive,
                   _memory_words(topology, address, length))
            moved[key] += length
            told[key].add(number)
            lowest[key] = min(address, lowest.get(key, address))
    rows = [Row(*key, len(told[key]), moved[key], lowest[key])
            for key in sorted(moved)]
    return Ledger(copy["label"], copy["via"], copy["from"], copy["to"],
                  copy["bytes"], rows, problems)
