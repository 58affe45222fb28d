# SPDX-License-Identifier: GPL-2.0
"""
The ledger, seen to fail: payload through the wrong memory, by the wrong
drive, too little or too much of it, to nowhere, and in failed commands.
"""

import unittest

import samples
from runner import ledger

DRIVES = {1: "src", 2: "dst"}
CMB, RAM, NOWHERE = 0xf8000000, 0x200000, 0x40000000


def command(verb, nsid, address, length, pieces=1):
    """What QEMU 7.2 traces for one command."""
    opname = f"NVME_NVM_CMD_{verb.upper()}"
    rw = f"cid 5 opname '{opname}'" if verb == "write" else "cid 5"
    lines = [
        f"pci_nvme_io_cmd cid 5 nsid 0x{nsid:x} sqid 1 opc 0x2 "
        f"opname '{opname}'",
        f"pci_nvme_{verb} {rw} nsid {nsid} nlb {length // 512} "
        f"count {length} lba 0x0",
    ]
    step = length // pieces
    lines += [f"pci_nvme_map_addr addr 0x{address + i * step:x} len {step}"
              for i in range(pieces)]
    return lines


def admin(address=RAM):
    return ["pci_nvme_admin_cmd cid 1 sqid 0 opc 0x2 "
            "opname 'NVME_ADM_CMD_GET_LOG_PAGE'",
            f"pci_nvme_map_addr addr 0x{address:x} len 4096"]


def watch(lines, via):
    return ledger.watch(lines, samples.topology(), DRIVES, {
        "label": "test", "via": via, "drive": "dst"})


def build(lines, via="src", size=8192):
    return ledger.build(lines, samples.topology(), DRIVES, {
        "label": "test", "via": via, "from": "src", "to": "dst",
        "bytes": size})


class Judge(unittest.TestCase):
    def assert_fault(self, book, *parts):
        text = "\n".join(book.judge())
        for part in parts:
            self.assertIn(part, text)

    def test_peer(self):
        book = build(command("read", 1, CMB, 8192, 2)
                     + command("write", 2, CMB, 8192, 2))
        self.assertEqual(book.judge(), [])
        self.assertEqual(book.through_system_memory, 0)
        self.assertEqual(
            [(r.verb, r.drive, r.memory, r.commands, r.bytes)
             for r in book.rows],
            [("read", "src", "src BAR 2", 1, 8192),
             ("write", "dst", "src BAR 2", 1, 8192)])

    def test_system(self):
        book = build(command("read", 1, RAM, 8192)
                     + command("write", 2, RAM, 8192), "system")
        self.assertEqual(book.judge(), [])
        self.assertEqual(book.through_system_memory, 16384)

    def test_time_stamps_do_not_matter(self):
        lines = command("read", 1, CMB, 8192) + command("write", 2, CMB, 8192)
        book = build([f"4711@1700000000.123456:{line}" for line in lines])
        self.assertEqual(book.judge(), [])

    def test_peer_copy_through_system_memory(self):
        book = build(command("read", 1, RAM, 8192)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "'src' moved 8192 payload bytes (read) "
                          "through system memory")

    def test_a_single_page_through_system_memory(self):
        book = build(command("read", 1, CMB, 4096)
                     + command("read", 1, RAM, 4096)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "4096 payload bytes (read) through system")
        self.assertEqual(book.through_system_memory, 4096)

    def test_system_copy_through_a_bar(self):
        book = build(command("read", 1, RAM, 8192)
                     + command("write", 2, CMB, 8192), "system")
        self.assert_fault(book, "through src BAR 2")

    def test_peer_copy_through_another_device(self):
        book = build(command("read", 1, CMB, 8192)
                     + command("write", 2, CMB, 8192), "rp0")
        self.assert_fault(book, "through src BAR 2")

    def test_nothing_moved(self):
        self.assert_fault(build([]), "read commands moved 0",
                          "write commands moved 0")

    def test_one_direction_only(self):
        self.assert_fault(build(command("read", 1, CMB, 8192)),
                          "write commands moved 0")

    def test_too_little(self):
        book = build(command("read", 1, CMB, 4096)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "read commands moved 4096")

    def test_too_much(self):
        book = build(command("read", 1, CMB, 8192) * 2
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "read commands moved 16384")

    def test_another_drive(self):
        book = build(command("read", 2, CMB, 8192)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "drive 'dst' had 8192 bytes of read")

    def test_unknown_namespace(self):
        book = build(command("read", 9, CMB, 8192)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "namespace 9")

    def test_nowhere(self):
        book = build(command("read", 1, NOWHERE, 8192)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "8192 bytes to or from", "0x40000000")

    def test_beyond_the_end_of_a_bar(self):
        book = build(command("read", 1, CMB + (64 << 20) - 4096, 8192)
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "no memory")

    def test_pieces_that_do_not_add_up(self):
        lines = command("read", 1, CMB, 8192, 2)[:-1]
        book = build(lines + command("write", 2, CMB, 8192))
        self.assert_fault(book, "for 8192 bytes, but its addresses are for "
                          "4096")

    def test_failed_command(self):
        book = build(command("read", 1, CMB, 8192)
                     + ["pci_nvme_err_req_status cid 5 nsid 1 status 0x4004 "
                        "opc 0x2"] + command("write", 2, CMB, 8192))
        self.assert_fault(book, "a drive reported an error: cid 5 nsid 1")

    def test_admin_commands_are_no_payload(self):
        book = build(command("read", 1, CMB, 8192) + admin()
                     + command("write", 2, CMB, 8192) + admin())
        self.assertEqual(book.judge(), [])

    def test_other_io_commands_end_a_command(self):
        flush = ["pci_nvme_io_cmd cid 6 nsid 0x2 sqid 1 opc 0x0 opname "
                 "'NVME_NVM_CMD_FLUSH'"]
        discard = ["pci_nvme_io_cmd cid 7 nsid 0x2 sqid 1 opc 0x9 opname "
                   "'NVME_NVM_CMD_DSM'",
                   f"pci_nvme_map_addr addr 0x{RAM:x} len 16"]
        book = build(command("read", 1, CMB, 8192) + discard
                     + command("write", 2, CMB, 8192) + flush)
        self.assertEqual(book.judge(), [])

    def test_trace_of_another_format(self):
        book = build(["pci_nvme_read cid 5 namespace 1"]
                     + command("write", 2, CMB, 8192))
        self.assert_fault(book, "not understood")


# The drive src of samples.py is 0000:03:00.0
ASKED = {
    "vtd": "vtd_dmar_translate dev 03:00.00 iova 0x{:x} -> gpa 0x{:x} "
           "mask 0xfff",
    "amdvi": "amdvi_translation_result devid: 03:00.0 gpa 0x{:x} hpa 0x{:x}",
    "amdvi, known": "amdvi_iotlb_hit hit iotlb devid 03:00.0 gpa 0x{:x} "
                    "hpa 0x{:x}",
    "virtio": "virtio_iommu_translate_out 0x{:x} -> 0x{:x} for sid=768",
}
IOVA = 0xffff0000


class Translated(unittest.TestCase):
    """Behind an IOMMU: samples.py has one drive, which is read and written."""

    def judge(self, lines, via="rp0", size=8192):
        book = ledger.build(lines, samples.topology(), {1: "src"}, {
            "label": "test", "via": via, "from": "src", "to": "src",
            "bytes": size}, translated=True)
        return book, "\n".join(book.judge())

    def test_every_iommu(self):
        for line in ASKED.values():
            lines = []
            for verb in ("read", "write"):
                lines += command(verb, 1, IOVA, 8192, 2)
                lines += [line.format(IOVA, RAM),
                          line.format(IOVA + 0x1000, RAM + 0x5000)]
            book, text = self.judge(lines, "system")
            self.assertEqual(text, "")
            self.assertEqual(book.through_system_memory, 16384)

    def test_one_line_with_an_offset(self):
        lines = command("read", 1, IOVA + 0xe00, 1024)
        lines += [ASKED["vtd"].format(IOVA, RAM),
                  ASKED["vtd"].format(IOVA + 0x1000, NOWHERE)]
        book, _ = self.judge(lines, "system", 1024)
        self.assertEqual({row.memory: row.bytes for row in book.rows},
                         {"system memory": 512, "nowhere": 512})

    def test_the_same_address_leads_elsewhere_later(self):
        lines = []
        for target in (RAM, 0xfe800000):
            lines += command("read", 1, IOVA, 4096)
            lines.append(ASKED["vtd"].format(IOVA, target))
        book, _ = self.judge(lines, "system")
        self.assertEqual({row.memory: row.bytes for row in book.rows},
                         {"system memory": 4096, "src BAR 0": 4096})

    def test_never_asked_for(self):
        _, text = self.judge(command("read", 1, IOVA, 8192), "system")
        self.assertIn("addresses that are no memory", text)

    def test_asked_for_by_another_device(self):
        lines = command("read", 1, IOVA, 4096)
        lines.append(ASKED["vtd"].replace("03:00", "04:00")
                     .format(IOVA, RAM))
        _, text = self.judge(lines, "system", 4096)
        self.assertIn("addresses that are no memory", text)

    def test_own_memory_needs_no_question(self):
        book, _ = self.judge(command("read", 1, CMB, 8192), "src")
        self.assertEqual([row.memory for row in book.rows], ["src BAR 2"])

    def test_system_memory_by_its_own_address(self):
        _, text = self.judge(command("read", 1, RAM, 8192), "system")
        self.assertIn("addresses that are no memory", text)

    def test_a_fault(self):
        fault = "vtd_dmar_fault sid 0x300 fault 5 addr 0xf8000000 write 1"
        _, text = self.judge([fault, fault])
        self.assertIn("the IOMMU refused an address: sid 0x300", text)
        self.assertIn("the IOMMU refused 2 addresses in all", text)

    def test_anothers_memory_by_an_untranslated_address(self):
        book = ledger.build(
            command("read", 2, CMB, 4096), samples.topology(),
            {1: "src", 2: "rp0"}, {"label": "test", "via": "src",
                                   "from": "rp0", "to": "src",
                                   "bytes": 4096}, translated=True)
        self.assertIn("src BAR 2 by an address that is not translated",
                      "\n".join(book.judge()))


class Watch(unittest.TestCase):
    both = (command("write", 2, CMB, 8192, 2)
            + command("read", 2, RAM, 4096)
            + command("read", 1, NOWHERE, 4096))

    def test_the_memory_that_was_named(self):
        book = watch(command("write", 2, CMB, 8192), "src")
        self.assertEqual(book.judge(), [])
        self.assertEqual(book.sums(), ["read_peer=0", "read_system=0",
                                       "write_peer=8192", "write_system=0"])

    def test_system_memory_that_was_not_named(self):
        self.assertIn("4096 payload bytes (read) through system memory",
                      "\n".join(watch(self.both, "src").judge()))

    def test_either(self):
        # what another drive does is of no interest
        book = watch(self.both, "src+system")
        self.assertEqual(book.judge(), [])
        self.assertEqual(book.sums(), ["read_peer=0", "read_system=4096",
                                       "write_peer=8192", "write_system=0"])

    def test_system_memory_only(self):
        self.assertIn("8192 payload bytes (write) through src BAR 2",
                      "\n".join(watch(self.both, "system").judge()))
        self.assertEqual(watch(command("read", 2, RAM, 4096),
                               "system").judge(), [])

    def test_nowhere(self):
        lines = command("read", 2, NOWHERE, 4096)
        for via in ("src", "system", "src+system"):
            self.assertTrue(watch(lines, via).judge())

    def test_behind_an_iommu(self):
        asked = ASKED["vtd"]
        lines = []
        for target in (RAM, CMB):
            lines += command("write", 1, IOVA, 4096)
            lines.append(asked.format(IOVA, target))
        fields = {"label": "test", "via": "src+system", "drive": "src"}
        book = ledger.watch(lines, samples.topology(), {1: "src"}, fields,
                            translated=True)
        self.assertEqual(book.judge(), [])
        self.assertEqual(book.sums(), ["read_peer=0", "read_system=0",
                                       "write_peer=4096",
                                       "write_system=4096"])

    def test_anothers_memory_by_an_untranslated_address(self):
        fields = {"label": "test", "via": "src", "drive": "rp0"}
        book = ledger.watch(command("read", 2, CMB, 4096), samples.topology(),
                            {1: "src", 2: "rp0"}, fields, translated=True)
        self.assertIn("src BAR 2 by an address that is not translated",
                      "\n".join(book.judge()))

    def test_nothing(self):
        self.assertEqual(watch([], "src").judge(),
                         ["drive 'dst' moved nothing"])


class Queues(unittest.TestCase):
    """What QEMU 7.2 traces when a drive is given queues."""
    line = ("pci_nvme_create_sq create submission queue, addr=0x{:x}, "
            "sqid={}, cqid={}, qsize=1023, qflags=1")
    made = "pci_nvme_admin_cmd cid 24 sqid 0 opc 0x1 opname " \
        "'NVME_ADM_CMD_CREATE_SQ'"

    def queues(self, *addresses):
        lines = []
        for number, address in enumerate(addresses, start=1):
            lines += [self.made, self.line.format(address, number, number)]
        return ledger.queues([*admin(), *lines], samples.topology())

    def test_in_the_drives_memory_and_not(self):
        made, problems = self.queues(CMB, RAM)
        self.assertEqual(problems, [])
        self.assertEqual([(q.number, q.bytes, q.memory) for q in made],
                         [(1, 65536, "src BAR 2"),
                          (2, 65536, "system memory")])

    def test_all_of_it_counts(self):
        made, _ = self.queues(CMB + (64 << 20) - 32768)
        self.assertEqual(made[0].memory, "nowhere")

    def test_none(self):
        self.assertEqual(self.queues(), ([], []))

    def test_time_stamps_do_not_matter(self):
        line = "4711@1700000000.123456:" + self.line.format(CMB, 1, 1)
        made, _ = ledger.queues([line], samples.topology())
        self.assertEqual(made[0].memory, "src BAR 2")

    def test_trace_of_another_format(self):
        _, problems = ledger.queues(["pci_nvme_create_sq addr 0xf8000000"],
                                    samples.topology())
        self.assertIn("not understood", problems[0])

    def test_a_queue_is_no_payload(self):
        book = build(command("read", 1, CMB, 8192)
                     + [self.made, self.line.format(RAM, 1, 1)]
                     + command("write", 2, CMB, 8192))
        self.assertEqual(book.judge(), [])


if __name__ == "__main__":
    unittest.main()
