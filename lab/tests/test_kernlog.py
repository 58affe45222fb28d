# SPDX-License-Identifier: GPL-2.0
"""The judge of kernel logs: what each checker prints, and what is harmless."""

import unittest

import context  # noqa: F401
from runner import kernlog

COMPLAINTS = (
    "[    1.0] WARNING: CPU: 0 PID: 1 at drivers/pci/p2pdma.c:7 f+0x1/0x2",
    "[    1.0] WARNING: possible circular locking dependency detected",
    "[    1.0] WARNING: suspicious RCU usage",
    "[    1.0] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",
    "[    1.0] BUG: kernel NULL pointer dereference, address: 0",
    "[    1.0] BUG: sleeping function called from invalid context",
    "[    1.0] kernel BUG at mm/gup.c:1!",
    "[    1.0] Oops: 0000 [#1] PREEMPT SMP",
    "[    1.0] Oops: general protection fault, maybe for address 0x0",
    "[    1.0] UBSAN: shift-out-of-bounds in lib/x.c:1:2",
    "[    1.0] DMA-API: nvme 0000:03:00.0: device driver tries to free DMA "
    "memory it has not allocated",
    "[    1.0] DMA-API: exceeded 7 overlapping mappings of cacheline 0x1",
    "[    1.0] INFO: task sh:1 blocked for more than 120 seconds.",
    "[    1.0] INFO: trying to register non-static key.",
    "[    1.0] rcu: INFO: rcu_sched self-detected stall on CPU",
    "[    1.0] refcount_t: underflow; use-after-free.",
    "[    1.0] list_del corruption, 0->next is LIST_POISON1",
    "[    1.0] kmemleak: 3 new suspected memory leaks",
    "unreferenced object 0xffff888003d5a1c0 (size 32):",
    "[    1.0] kmemleak: Kernel memory leak detector disabled",
    "[    1.0] kmemleak: Memory pool empty, consider increasing "
    "CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE",
    "[    1.0] kmemleak: Freeing unknown object at 0x1",
    "[    1.0] kmemleak: Cannot allocate a kmemleak_object structure",
    "[    1.0] BUG: KCSAN: data-race in pci_p2pdma_a / pci_p2pdma_b",
    "[    1.0] BUG: Bad page state in process sh  pfn:00001",
    "[    1.0] BUG kmalloc-64 (Not tainted): Poison overwritten",
    "[    1.0] BUG: MAX_LOCKDEP_ENTRIES too low!",
    "[    1.0] turning off the locking correctness validator.",
    "[    1.0] pagealloc: memory corruption",
    "[    1.0] ODEBUG: free active (active state 0) object: 0 type: "
    "timer_list hint: f+0x0/0x1",
    "[    1.0] ODEBUG: Out of memory. ODEBUG disabled",
    "[    1.0] DMA-API: debugging out of memory - disabling",
    "[    1.0] sysfs: cannot create duplicate filename '/class/a'",
    "[    1.0] DMAR: [DMA Write NO_PASID] Request device [03:00.0] fault addr",
    "[    1.0] Kernel panic - not syncing: Attempted to kill init!",
)
HARMLESS = (
    "[    0.0] DMA-API: preallocated 65536 debug entries",
    "[    0.0] DMA-API: debugging enabled by kernel config",
    "[    0.0] DMAR: IOMMU enabled",
    "[    0.0] [Firmware Bug]: TSC frequency mismatch",
    "[    0.0] mem auto-init: stack:off, heap alloc:off, heap free:off",
    "[    0.0] kmemleak: Kernel memory leak detector initialized (mem pool "
    "available: 15699)",
    "[    1.0] kmemleak: Cannot allocate a scan area, scanning the full "
    "object",
    "[    0.0] ODEBUG: selftest passed",
    "[    0.0] kcsan: enabled early",
    "[    0.0] page_owner is enabled",
    "[    0.0] printk: console [ttyS0] enabled, debug build",
    "[    1.0] nvme 0000:03:00.0: added peer-to-peer DMA memory",
)

RESET = "(&ctrl->reset_lock/1)"
RESCAN = "(pci_rescan_remove_lock)"
CYCLE = "\n".join((
    "[    1.0] WARNING: possible circular locking dependency detected",
    "[    1.0] 6.12.117 #1 Not tainted",
    "[    1.0] ------------------------------------------------------",
    "[    1.0] irq/25-pciehp/52 is trying to acquire lock:",
    f"[    1.0] ffff888 {RESET}{{.+.+}}-{{3:3}}, at: "
    "pciehp_configure_device+0x180/0x2c0",
    "[    1.0] ",
    "[    1.0] but task is already holding lock:",
    f"[    1.0] ffff888 {RESCAN}{{+.+.}}-{{3:3}}, at: "
    "pciehp_configure_device+0x7b/0x2c0",
    "[    1.0] the existing dependency chain (in reverse order) is:",
    f"[    1.0] -> #1 {RESCAN}{{+.+.}}-{{3:3}}:",
    f"[    1.0] -> #0 {RESET}{{.+.+}}-{{3:3}}:",
))
FROZEN = "\n".join((
    "[    1.0] WARNING: lock held when returning to user space!",
    "[    1.0] 6.12.117 #1 Not tainted",
    "[    1.0] sh/88 is leaving the kernel with locks still held!",
    "[    1.0] 1 lock held by sh/88:",
    "[    1.0]  #0: ffff888 (&q->q_usage_counter(io)#2){++++}-{0:0}, at: "
    "nvme_start_freeze+0xbe/0x130",
))


class Judge(unittest.TestCase):
    def test_each_complaint(self):
        for line in COMPLAINTS:
            with self.subTest(line):
                self.assertEqual(len(kernlog.judge(line)), 1)

    def test_nothing_harmless(self):
        self.assertEqual(kernlog.judge("\r\n".join(HARMLESS)), [])

    def test_a_report_ends_where_it_ends(self):
        text = "\n".join([HARMLESS[0], COMPLAINTS[0], "Call Trace:", " f+1",
                          "---[ end trace 0 ]---", HARMLESS[-1],
                          COMPLAINTS[3]])
        reports = kernlog.judge(text)
        self.assertEqual(len(reports), 2)
        self.assertEqual(reports[0][-1], "---[ end trace 0 ]---")

    def test_faults_that_are_expected(self):
        fault = next(line for line in COMPLAINTS if "DMAR" in line)
        self.assertEqual(kernlog.judge(fault, True), [])
        self.assertEqual(len(kernlog.judge(COMPLAINTS[0], True)), 1)

    def test_panic(self):
        self.assertEqual(kernlog.panic(COMPLAINTS[-1]),
                         "Attempted to kill init!")
        self.assertIsNone(kernlog.panic(HARMLESS[0]))

    def expect_foreign(self, text):
        self.assertEqual(kernlog.judge(text), [])
        self.assertEqual(len(kernlog.foreign(text)), 1)

    def expect_ours(self, text):
        self.assertEqual(len(kernlog.judge(text)), 1)
        self.assertEqual(kernlog.foreign(text), [])

    def test_locks_of_pciehp(self):
        """A report that is known of the base does not fail; no other one."""
        self.expect_foreign(CYCLE)
        self.expect_foreign(CYCLE.replace(RESET, "swap").replace(RESCAN, RESET)
                            .replace("swap", RESCAN))
        for name in (RESET, RESCAN):
            self.expect_ours(CYCLE.replace(name, "(&buffer->lock)", 1))
        longer = CYCLE.replace("-> #1 ", "-> #2 (&pool->lock){}:\n-> #1 ")
        self.expect_ours(longer)
        # Who sleeps under a lock, while pciehp's are held as well
        self.expect_ours(CYCLE.replace(
            "WARNING: possible circular locking dependency detected",
            "BUG: sleeping function called from invalid context"))

    def test_a_drive_frozen(self):
        self.expect_foreign(FROZEN)
        self.expect_ours(FROZEN + "\n[    1.0]  #1: ffff888 (&pool->lock)"
                         "{+.+.}-{3:3}, at: p2pdma_pool_kill+0x1/0x2")
        self.expect_ours(FROZEN.replace(
            "WARNING: lock held when returning to user space!",
            "BUG: scheduling while atomic: sh/88/0x00000002"))

    def test_what_follows_a_known_report(self):
        for known in (CYCLE, FROZEN):
            both = known + "\n" + COMPLAINTS[0]
            self.assertEqual(len(kernlog.judge(both)), 1)
            self.assertEqual(len(kernlog.foreign(both)), 1)


if __name__ == "__main__":
    unittest.main()
