# SPDX-License-Identifier: GPL-2.0
"""
Judge of the kernel log: which lines make a run fail, whatever its tests say.
"""

import re

# What the kernel's own checkers print when they have found something.
_BAD = re.compile("|".join((
    r"\bWARNING: ",                         # WARN, and lockdep's reports
    r"\bBUG\b",                             # BUG, KASAN, KFENCE, bad page, ...
    r"\bOops\b",
    r"\bUBSAN: ",
    r"general protection fault",
    r"Kernel panic",
    r"INFO: task .* blocked for more than",
    r"INFO: (?:possible|trying to register|inconsistent)",
    r"inconsistent lock state",
    r"rcu: INFO: .*stall",
    r"DMA-API: (?!preallocated|debugging enabled|debug initialized)",
    r"refcount_t: ",
    r"list_(?:add|del) corruption",
    r"kmemleak: [1-9]",
    r"unreferenced object 0x",              # what kmemleak tells of a leak
    r"kmemleak: .*\b(?:disabled|unknown object|overlaps|pool empty)",
    # but for a part of an object, in place of which it then looks at all of it
    r"kmemleak: Cannot (?!allocate a scan area)",
    r"kmemleak: (?:Failed|Found object by alias|Scan area larger)",
    r"pagealloc: (?:memory corruption|single bit error)",
    r"ODEBUG: (?!selftest passed)",         # wrong use, or no memory to watch
    r"turning off the locking correctness validator",
    r"sysfs: cannot create duplicate filename",
    r"kobject.*tried to init",
)))

# Of an IOMMU.  Some machines are there to show what becomes of them.
_FAULT = re.compile(r"DMAR: .*fault")

# Lines of lockdep that name a lock and who took it, or takes it
_LOCK = re.compile(r", at: \w+\+")
_HELD = re.compile(r" #\d+: .*, at: \w+\+")
_PCIEHP_LOCK = re.compile(r"\((?:&ctrl->reset_lock(?:/\d+)?|"
                          r"pci_rescan_remove_lock)\).*, at: pciehp_")
_FREEZE_LOCK = re.compile(r"\(&q->q_usage_counter\(.*, at: nvme_start_freeze\+")

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_REPORT_LINES = 25


def judge(text, faults=False):
    """
    The reports in a kernel log: each a list of lines, the offending one first
    and what the kernel printed after it.  faults says that those of an IOMMU
    are expected.  What is known of the base is left out, see foreign().
    """
    return [report for report, known in _reports(text, faults) if not known]


def foreign(text):
    """What is known of the base and was reported: sentences."""
    return [known for _, known in _reports(text, True) if known]


def _pciehp_locks(report):
    """A cycle of two locks, wanted and held, both of them pciehp's."""
    locks = [line for line in report if _LOCK.search(line)][:2]
    chain = next((line for line in report if "-> #" in line), "")
    return ("possible circular locking dependency" in report[0]
            and "-> #1 " in chain and len(locks) == 2
            and all(map(_PCIEHP_LOCK.search, locks)))


def _nvme_freeze(report):
    """Queues of a drive that stay frozen, and no other lock."""
    locks = [line for line in report if _HELD.search(line)]
    return ("lock held when returning to user space" in report[0]
            and locks and all(map(_FREEZE_LOCK.search, locks)))


# Reports on what the base does, and the series has no part in
_FOREIGN = (
    (_pciehp_locks,
     "pciehp takes its reset_lock and the rescan lock in either order; "
     "lockdep looks at nothing from there on"),
    (_nvme_freeze,
     "who resets a drive by sysfs returns while nvme has it frozen, which "
     "lockdep takes for a lock held; it looks at nothing from there on"),
)


def _reports(text, faults):
    """Each report, and what is known of it or None."""
    lines = text.replace("\r", "").splitlines()
    reports = []
    position = 0
    while position < len(lines):
        end = position + 1
        if _BAD.search(lines[position]) or \
                not faults and _FAULT.search(lines[position]):
            while (end < len(lines) and end - position < _REPORT_LINES
                   and "---[ end trace" not in lines[end - 1]):
                end += 1
            report = lines[position:end]
            known = next((what for is_it, what in _FOREIGN if is_it(report)),
                         None)
            reports.append((report, known))
            if known:
                # Another may follow at once
                end = position + 1
        position = end
    return reports


def panic(text):
    """What the kernel said when it panicked, or None."""
    match = _PANIC.search(text)
    return match[1].strip() if match else None
