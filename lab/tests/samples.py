# SPDX-License-Identifier: GPL-2.0
"""
What QEMU 7.2 answers for one switch with one drive that has a 64 MiB buffer,
cut down to what is looked at: query-pci and "info mtree -f".
"""

import context  # noqa: F401
from runner import topology as topologies


def _device(bus, slot, function, name, regions=(), below=None):
    reply = {"bus": bus, "slot": slot, "function": function, "qdev_id": name,
             "regions": list(regions)}
    if below is not None:
        reply["pci_bridge"] = {"bus": {}, "devices": below}
    return reply


def _memory(bar, address, size):
    return {"bar": bar, "address": address, "size": size, "type": "memory",
            "prefetch": True, "mem_type_64": True}


DRIVE = _device(3, 0, 0, "src", [
    _memory(0, 0xfe800000, 0x4000), _memory(2, 0xf8000000, 64 << 20)])
PCI = [{"bus": 0, "devices": [
    _device(0, 0, 0, ""),
    _device(0, 1, 0, "rp0", [_memory(0, 0xfea00000, 0x1000)], [
        _device(1, 0, 0, "sw0", [], [
            _device(2, 0, 0, "dn0", [], [DRIVE])])]),
    _device(0, 31, 2, "", [
        {"bar": 4, "address": 0xc040, "size": 32, "type": "io"},
        _memory(5, 0xfea01000, 0x1000)]),
]}]

MTREE = """\
FlatView #0
 AS "I/O", root: io
 Root memory region: io
  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan

FlatView #1
 AS "memory", root: system
 AS "cpu-memory-0", root: system
 AS "nvme", root: bus master container
 Root memory region: system
  0000000000000000-00000000000c2fff (prio 0, ram): pc.ram
  00000000000c3000-00000000000e7fff (prio 0, rom): pc.ram @00000000000c3000
  00000000000e8000-00000000000effff (prio 0, ram): pc.ram @00000000000e8000
  00000000000f0000-00000000000fffff (prio 0, rom): pc.ram @00000000000f0000
  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000
  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio
  00000000f8000000-00000000fbffffff (prio 1, i/o): nvme-cmb
  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios
"""


def topology():
    return topologies.Topology(topologies.parse_pci(PCI),
                               topologies.parse_ram(MTREE))
