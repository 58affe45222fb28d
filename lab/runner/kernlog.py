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

# Reports on what the base does, and the series has no part in: a line that only they
# have, near the beginning, and what they are about.
_FOREIGN = (
    (re.compile(r"\((?:&ctrl->reset_lock(?:/\d+)?|pci_rescan_remove_lock)\).*, "
                r"at: pciehp_(?:un)?configure_device\+"),
     "pciehp takes its reset_lock and the rescan lock in either order; "
     "lockdep looks at nothing from there on"),
    (re.compile(r"\(&q->q_usage_counter.*, at: nvme_start_freeze\+"),
     "who resets a drive by sysfs returns while nvme has it frozen, which "
     "lockdep takes for a lock held; it looks at nothing from there on"),
)
_FOREIGN_LINES = 6

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_REPORT_LINES = 25


def judge(text, faults=False):
    """
    The reports in a kernel log: each a list of lines, the offending one first
    and what the kernel printed after it.  faults says that those of an IOMMU
    are expected.  What is known of the base is left out, see foreign().
    """
    return [report for report in _reports(text, faults)
            if not _foreign(report)]


def foreign(text):
    """What is known of the base and was reported: sentences."""
    return [sentence for report in _reports(text, True)
            if (sentence := _foreign(report))]


def _foreign(report):
    return next((sentence for line, sentence in _FOREIGN
                 if any(line.search(text)
                        for text in report[:_FOREIGN_LINES])), None)


def _reports(text, faults):
    lines = text.replace("\r", "").splitlines()
    reports = []
    position = 0
    while position < len(lines):
        if _BAD.search(lines[position]) or \
                not faults and _FAULT.search(lines[position]):
            end = position + 1
            while (end < len(lines) and end - position < _REPORT_LINES
                   and "---[ end trace" not in lines[end - 1]):
                end += 1
            reports.append(lines[position:end])
            position = end
        else:
            position += 1
    return reports


def panic(text):
    """What the kernel said when it panicked, or None."""
    match = _PANIC.search(text)
    return match[1].strip() if match else None
