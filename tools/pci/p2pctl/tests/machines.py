# SPDX-License-Identifier: GPL-2.0
"""
Machines for the tests of p2pctl, as dumps.

A machine is a list of functions, each with a small configuration space: header,
PCI Express capability at 0x40, a vendor-specific capability at 0x80 where a
hypervisor speaks, ACS at 0x100, ATS at 0x140.  The offsets are the tests' own;
p2pctl has to find the capabilities by their chains.
"""

ENDPOINT, ROOT, UP, DOWN, PCI_BRIDGE, INTEGRATED = 0x0, 0x4, 0x5, 0x6, 0x7, 0x9
CONVENTIONAL = None

SV, TB, RR, CR, UF, EC, DT = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40

NVME = 0x010802
BRIDGE = 0x060400
HOST = 0x060000


class Function:
    """One function; acs is the value of its ACS control register."""

    def __init__(self, name, parent, kind, acs=None, port=0, vector=0,
                 vector_size=8, ats=False, ident="1b36:0010", pci_class=None,
                 memory=None, physfn=None, clique=None, bar=None, size=0x1000,
                 readable=None, gone=False):
        if pci_class is None:
            pci_class = NVME if kind in (ENDPOINT, INTEGRATED) else BRIDGE
        self.lines = [f"function {name}", f"parent {parent}"]
        if physfn:
            self.lines.append(f"physfn {physfn}")
        self.lines += [f"id {ident}", f"class {pci_class:06x}"]
        if bar:
            self.lines.append(f"bar 0 {bar[0]:x} 140204")
        if memory:
            self.lines.append(f"p2pmem {memory} {memory // 2} 1")
        if readable is None:
            readable = size
        self.lines.append(f"config-size {size:x} {readable:x}")

        config = bytearray(size)
        vendor, device = (int(part, 16) for part in ident.split(":"))
        put(config, 0x00, vendor | device << 16, 4)
        put(config, 0x09, pci_class, 3)
        put(config, 0x0e, int(pci_class == BRIDGE), 1)
        if bar:
            put(config, 0x10, bar[1] & 0xffffffff | 4, 4)
            put(config, 0x14, bar[1] >> 32, 4)
        chain = []
        if kind is not CONVENTIONAL:
            chain.append((0x40, 0x10, (2 | kind << 4) << 16, 4))
            put(config, 0x4c, port << 24, 4)
        if clique is not None:
            chain.append((0x80, 0x09, 8 << 16 | ord("P") << 24, 4))
            put(config, 0x84, ord("2") | ord("P") << 8 | clique << 19, 4)
        if chain:
            put(config, 0x06, 0x10, 1)
            put(config, 0x34, chain[0][0], 1)
        for i, (at, ident_, rest, width) in enumerate(chain):
            after = chain[i + 1][0] if i + 1 < len(chain) else 0
            put(config, at, ident_ | after << 8 | rest, width)
        if size > 0x100:
            # A capability that nobody asks for leads to those that matter
            put(config, 0x100, 0x0001 | 1 << 16 | 0x180 << 20, 4)
            if acs is not None:
                put(config, 0x180, 0x000d | 1 << 16 | 0x140 << 20, 4)
                put(config, 0x184, vector_size << 8 | 0x7f | acs << 16, 4)
                put(config, 0x188, vector, 4)
            else:
                put(config, 0x180, 0x0003 | 1 << 16 | 0x140 << 20, 4)
            put(config, 0x140, 0x000f | 1 << 16, 4)
            put(config, 0x144, 0x80000000 if ats else 0, 4)
        if gone:
            config = bytearray(b"\xff" * size)

        for at in range(0, readable, 16):
            row = config[at:min(at + 16, readable)]
            if any(row):
                self.lines.append(f"config {at:03x}: " + row.hex(" "))


def put(config, at, value, width):
    """Store a little-endian number."""
    config[at:at + width] = value.to_bytes(width, "little")


def dump(functions, cpu="GenuineIntel 6", host_bridges="none"):
    """The text of a dump."""
    lines = ["p2pctl-dump 2", "# made by tests/machines.py", f"cpu {cpu}"]
    if host_bridges:
        lines.append(f"host-bridges {host_bridges}")
    for function in functions:
        lines += function.lines
    return "\n".join(lines + [f"end {len(functions)}", ""])


def host(ident="8086:29c0", name="0000:00:00.0", root="pci0000:00"):
    """The function that stands for a root complex."""
    return Function(name, root, CONVENTIONAL, ident=ident, pci_class=HOST,
                    size=0x100)


def switch(client_port=None, provider_port=None, client=None, provider=None,
           ident="8086:29c0", root_port=None):
    """Provider 03:00.0 and client 04:00.0 below one switch."""
    return [
        host(ident),
        Function("0000:00:01.0", "pci0000:00", ROOT, **(root_port or {})),
        Function("0000:01:00.0", "0000:00:01.0", UP),
        Function("0000:02:00.0", "0000:01:00.0", DOWN,
                 **(provider_port or {})),
        Function("0000:02:01.0", "0000:01:00.0", DOWN, **(client_port or {})),
        Function("0000:03:00.0", "0000:02:00.0", ENDPOINT, memory=64 << 20,
                 **(provider or {})),
        Function("0000:04:00.0", "0000:02:01.0", ENDPOINT, **(client or {})),
    ]


def root_ports(ident="8086:29c0", **endpoint):
    """Provider 01:00.0 and client 02:00.0 below two root ports."""
    return [
        host(ident),
        Function("0000:00:01.0", "pci0000:00", ROOT),
        Function("0000:00:02.0", "pci0000:00", ROOT),
        Function("0000:01:00.0", "0000:00:01.0", ENDPOINT, memory=64 << 20,
                 **endpoint),
        Function("0000:02:00.0", "0000:00:02.0", ENDPOINT, **endpoint),
    ]


def two_hosts(ident, domain="0000:80"):
    """Provider 01:00.0, and client 81:00.0 below a second host bridge."""
    number = domain.split(":")[0]
    bus = int(domain.split(":")[1], 16)
    return [
        host(ident),
        host(ident, f"{domain}:00.0", f"pci{domain}"),
        Function("0000:00:01.0", "pci0000:00", ROOT),
        Function(f"{domain}:01.0", f"pci{domain}", ROOT),
        Function("0000:01:00.0", "0000:00:01.0", ENDPOINT, memory=64 << 20),
        Function(f"{number}:{bus + 1:02x}:00.0", f"{domain}:01.0", ENDPOINT),
    ]


def nested(far=None, near=None, edge=None):
    """
    A switch below a port of another.  06:00.0 and 07:00.0 are below the inner
    one, 08:00.0 is the provider, below the outer one.  The ports of the inner
    switch are far, the outer port above it is near, the provider's is edge.
    """
    return [
        host(),
        Function("0000:00:01.0", "pci0000:00", ROOT),
        Function("0000:01:00.0", "0000:00:01.0", UP),
        Function("0000:02:00.0", "0000:01:00.0", DOWN, **(near or {})),
        Function("0000:02:01.0", "0000:01:00.0", DOWN, **(edge or {})),
        Function("0000:03:00.0", "0000:02:00.0", UP),
        Function("0000:04:00.0", "0000:03:00.0", DOWN, **(far or {})),
        Function("0000:04:01.0", "0000:03:00.0", DOWN, **(far or {})),
        Function("0000:06:00.0", "0000:04:00.0", ENDPOINT),
        Function("0000:07:00.0", "0000:04:01.0", ENDPOINT, memory=8 << 20),
        Function("0000:08:00.0", "0000:02:01.0", ENDPOINT, memory=64 << 20),
    ]


def conventional():
    """Two devices on a PCI bus below a PCIe-to-PCI bridge."""
    return [
        host(),
        Function("0000:00:01.0", "pci0000:00", ROOT),
        Function("0000:01:00.0", "0000:00:01.0", PCI_BRIDGE),
        Function("0000:02:01.0", "0000:01:00.0", CONVENTIONAL, size=0x100,
                 pci_class=0x058000, memory=4 << 20),
        Function("0000:02:02.0", "0000:01:00.0", CONVENTIONAL, size=0x100,
                 pci_class=0x020000),
    ]


def functions(acs=None, virtual=False):
    """Two functions of one device, or a physical and a virtual one."""
    second = "0000:01:00.1" if not virtual else "0000:02:10.0"
    return [
        host(),
        Function("0000:00:01.0", "pci0000:00", ROOT),
        Function("0000:01:00.0", "0000:00:01.0", ENDPOINT, acs=acs,
                 memory=64 << 20),
        Function(second, "0000:00:01.0", ENDPOINT, acs=acs,
                 physfn="0000:01:00.0" if virtual else None),
    ]


def large(switches=8, ports=8):
    """Switches with many ports, every third endpoint being a provider."""
    result = [host("8086:2020")]
    bus = 1
    for i in range(switches):
        root = f"0000:00:{i + 1:02x}.0"
        up, down = bus, bus + 1
        result += [Function(root, "pci0000:00", ROOT),
                   Function(f"0000:{up:02x}:00.0", root, UP)]
        bus += 2
        for j in range(ports):
            port = f"0000:{down:02x}:{j:02x}.0"
            result += [
                Function(port, f"0000:{up:02x}:00.0", DOWN,
                         acs=RR | CR if j % 4 == 3 else None),
                Function(f"0000:{bus:02x}:00.0", port, ENDPOINT,
                         memory=(64 << 20) if j % 3 == 0 else None),
            ]
            bus += 1
    return result
