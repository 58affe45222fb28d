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

Behind an IOMMU that translates, a drive is told I/O virtual addresses, which
say nothing of where they lead.  QEMU's trace of the IOMMU does: when the drive
uses a page, there is a line with the requester, the page that it asked for and
the page that it got.  Memory is then that of the answer.  Only its own memory
does a drive use without asking.  A page that was never asked for moved nothing,
and a fault of the IOMMU is an error of the ledger.

A copy passes only if its reads and its writes each add up to the number of
bytes that it was to copy, all by the drives that it names, and if every byte
went through the memory that it was to go through: a BAR of the provider that
the copy names, or system memory.

Where nobody can say beforehand how much will be moved, one drive is watched for
a while: all of its payload has to go through the memory that was named, or
through that and system memory if the scenario expects both.  The guest is told
the sums and compares them with what its kernel has counted.

Where the queues of commands lie is told by the admin command that makes one:

    pci_nvme_create_sq create submission queue, addr=0xf8000000, sqid=1,
        cqid=1, qsize=1023, qflags=1                (on one line)

It names no drive, so that only one may be given queues while they are watched.
"""

import collections
import dataclasses
import re

EVENTS = ("pci_nvme_admin_cmd", "pci_nvme_io_cmd", "pci_nvme_read",
          "pci_nvme_write", "pci_nvme_map_addr", "pci_nvme_err_req_status",
          "pci_nvme_create_sq")
# What the IOMMUs of QEMU 7.2 trace of a translation and of a fault.
IOMMU_EVENTS = {
    "intel": ("vtd_dmar_translate", "vtd_dmar_fault"),
    "amd": ("amdvi_translation_result", "amdvi_iotlb_hit",
            "amdvi_page_fault"),
    "virtio": ("virtio_iommu_translate_out", "virtio_iommu_report_fault"),
}
FAULTS = tuple(events[-1] for events in IOMMU_EVENTS.values())
PAGE = 4096
SYSTEM_MEMORY = "system memory"
NOWHERE = "nowhere"
VIA_SYSTEM = "system"       # what a copy through system memory calls its way
MIXED = "+system"           # appended to a provider's name: or system memory

# The prefix is empty unless QEMU was told to print time stamps.
_LINE = re.compile(r"^(?:[0-9]+@[0-9.]+:)?"
                   r"((?:pci_nvme|vtd|amdvi|virtio_iommu)_\w+) (.*)$")
_VTD = re.compile(r"^dev (\w\w):(\w\w)\.(\w\w) iova 0x(\w+) -> gpa 0x(\w+) ")
_AMDVI = re.compile(
    r"\bdevid:? (\w+):(\w+)\.(\w) gpa 0x(\w+) hpa 0x(\w+)")
_VIRTIO = re.compile(r"^0x(\w+) -> 0x(\w+) for sid=(\d+)$")
_RW = re.compile(r"\bnsid (\d+) nlb \d+ count (\d+) lba")
_ADDR = re.compile(r"^addr 0x([0-9a-f]+) len (\d+)$")
_CREATE_SQ = re.compile(r"^create submission queue, addr=0x([0-9a-f]+), "
                        r"sqid=(\d+), .*\bqsize=(\d+)\b")
QUEUE_ENTRY = 64            # bytes of a command in a submission queue


@dataclasses.dataclass
class Piece:
    """A part of a command's memory."""
    address: int            # as the drive was told
    length: int
    translated: int | None = None   # where it leads, if the IOMMU was asked


@dataclasses.dataclass
class Command:
    """One read or write command of a drive."""
    verb: str               # "read" or "write", as the drive was told
    nsid: int
    length: int
    pieces: list


@dataclasses.dataclass(frozen=True)
class Row:
    """Payload of one drive, one verb, one memory."""
    verb: str
    drive: str
    memory: str
    commands: int
    bytes: int
    lowest: int             # address


def translation(event, text):
    """
    (requester, page asked for, page got) of a line on a translation, or None.
    The requester is bus, device and function in one number.
    """
    if event == "vtd_dmar_translate" and (match := _VTD.match(text)):
        bus, slot, function, iova, result = (int(x, 16)
                                             for x in match.groups())
        requester = bus << 8 | slot << 3 | function
    elif event in ("amdvi_translation_result", "amdvi_iotlb_hit") \
            and (match := _AMDVI.search(text)):
        bus, slot, function, iova, result = (int(x, 16)
                                             for x in match.groups())
        requester = bus << 8 | slot << 3 | function
    elif event == "virtio_iommu_translate_out" \
            and (match := _VIRTIO.match(text)):
        iova, result = int(match[1], 16), int(match[2], 16)
        requester = int(match[3])
    else:
        return None
    return requester, iova // PAGE, result // PAGE


def requester_id(address):
    """Bus, device and function in one number, from 0000:bb:dd.f."""
    _, bus, rest = address.split(":")
    slot, function = rest.split(".")
    return int(bus, 16) << 8 | int(slot, 16) << 3 | int(function, 16)


class _Pending:
    """Pieces that wait for the IOMMU to be asked."""

    def __init__(self, requesters):
        self.requesters = requesters    # of namespaces
        self.pieces = collections.defaultdict(list)

    def add(self, nsid, piece):
        key = (self.requesters.get(nsid), piece.address // PAGE)
        self.pieces[key].append(piece)

    def answer(self, requester, asked, got):
        for piece in self.pieces.pop((requester, asked), ()):
            piece.translated = got * PAGE + piece.address % PAGE


def _by_page(address, length):
    """The pieces of a range, none of which crosses a page."""
    while length:
        part = min(length, PAGE - address % PAGE)
        yield Piece(address, part)
        address += part
        length -= part


def parse(lines, requesters=None):
    """
    The read and write commands in a trace, and what was wrong with it.
    requesters maps namespace numbers to requesters where an IOMMU translates.
    """
    commands, problems = [], []
    current = None
    pending = _Pending(requesters or {})
    faults = 0
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
            address, length = int(fields[1], 16), int(fields[2])
            if requesters is None:
                current.pieces.append(Piece(address, length))
                continue
            for piece in _by_page(address, length):
                current.pieces.append(piece)
                pending.add(current.nsid, piece)
        elif event in FAULTS:
            faults += 1
            if faults == 1:
                problems.append(f"the IOMMU refused an address: {text.strip()}")
        elif answer := translation(event, text.strip()):
            pending.answer(*answer)
        elif event == "pci_nvme_err_req_status":
            problems.append(f"a drive reported an error: {text.strip()}")
    if faults > 1:
        problems.append(f"the IOMMU refused {faults} addresses in all")
    for command in commands:
        total = sum(piece.length for piece in command.pieces)
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


def _translated_words(topology, drive, piece):
    """The same behind an IOMMU."""
    words = _memory_words(topology, piece.address, piece.length)
    if words.startswith(f"{drive} BAR "):
        return words
    if words not in (SYSTEM_MEMORY, NOWHERE):
        return f"{words} by an address that is not translated"
    if piece.translated is None:
        return NOWHERE
    return _memory_words(topology, piece.translated, piece.length)


@dataclasses.dataclass(frozen=True)
class Queue:
    """A submission queue that a drive was given."""
    number: int
    bytes: int
    memory: str             # in the words of a row


def queues(lines, topology):
    """
    The I/O submission queues that were made in a part of the trace, and what
    was wrong with it.  The addresses must not be translated.
    """
    made, problems = [], []
    for line in lines:
        match = _LINE.match(line)
        if not match or match[1] != "pci_nvme_create_sq":
            continue
        fields = _CREATE_SQ.match(match[2].strip())
        if not fields:
            problems.append(f"a line of QEMU's trace is not understood: "
                            f"{line.strip()}")
            continue
        # the number of entries is told as the last one's, counted from zero
        size = (int(fields[3]) + 1) * QUEUE_ENTRY
        made.append(Queue(int(fields[2]), size, _memory_words(
            topology, int(fields[1], 16), size)))
    return made, problems


def is_memory_of(name, memory):
    """Is this memory, in the words of a row, one of the device's BARs?"""
    return re.fullmatch(rf"{name} BAR \d", memory) is not None


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
        return is_memory_of(self.via, row.memory)

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


@dataclasses.dataclass
class Watch:
    """The entries of one drive that was watched."""
    label: str
    via: str                # a provider's name, with MIXED or not; VIA_SYSTEM
    drive: str
    rows: list
    problems: list

    def place(self, row):
        """"peer", "system", or None for what should not have been used."""
        if row.memory == SYSTEM_MEMORY:
            return "system"
        provider = self.via.removesuffix(MIXED)
        return "peer" if is_memory_of(provider, row.memory) else None

    @property
    def own(self):
        return [row for row in self.rows if row.drive == self.drive]

    def total(self, verb, place):
        return sum(row.bytes for row in self.own
                   if row.verb == verb and self.place(row) == place)

    def sums(self):
        """What the guest is told."""
        return [f"{verb}_{place}={self.total(verb, place)}"
                for verb in ("read", "write") for place in ("peer", "system")]

    def judge(self):
        """What is wrong; nothing if the list is empty."""
        faults = list(self.problems)
        if not self.own:
            faults.append(f"drive '{self.drive}' moved nothing")
        for row in self.own:
            place = self.place(row)
            if place is None or (place == "system" and
                                 self.via != VIA_SYSTEM and
                                 not self.via.endswith(MIXED)):
                faults.append(f"drive '{row.drive}' moved {row.bytes} payload "
                              f"bytes ({row.verb}) through {row.memory}, "
                              f"address 0x{row.lowest:x} the lowest")
        return faults


def watch(lines, topology, drives, fields, translated=False):
    """
    The entries of one watched drive; fields has label, via and drive.  The
    rest is as for build().
    """
    rows, problems = tally(lines, topology, drives, translated)
    return Watch(fields["label"], fields["via"], fields["drive"], rows,
                 problems)


def build(lines, topology, drives, copy, translated=False):
    """
    The ledger of one copy.  lines is the trace between its marks, drives maps
    namespace numbers to names, copy has label, via, from, to and bytes.
    translated says that an IOMMU translates for the drives.
    """
    rows, problems = tally(lines, topology, drives, translated)
    return Ledger(copy["label"], copy["via"], copy["from"], copy["to"],
                  copy["bytes"], rows, problems)


def tally(lines, topology, drives, translated):
    """The rows of a part of the trace, and what was wrong with it."""
    requesters = None
    if translated:
        requesters = {nsid: requester_id(topology.by_name(name).address)
                      for nsid, name in drives.items()
                      if topology.by_name(name)}
    commands, problems = parse(lines, requesters)
    moved = collections.Counter()
    told = collections.defaultdict(set)
    lowest = {}
    for number, command in enumerate(commands):
        drive = drives.get(command.nsid, f"namespace {command.nsid}")
        for piece in command.pieces:
            memory = _translated_words(topology, drive, piece) if translated \
                else _memory_words(topology, piece.address, piece.length)
            key = (command.verb, drive, memory)
            moved[key] += piece.length
            told[key].add(number)
            lowest[key] = min(piece.address, lowest.get(key, piece.address))
    return [Row(*key, len(told[key]), moved[key], lowest[key])
            for key in sorted(moved)], problems
