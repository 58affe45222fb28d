# SPDX-License-Identifier: GPL-2.0
"""
The laboratory: boot a declared machine in QEMU, run a scenario in it, judge it.

  machine.py    what a machine file may say, and the QEMU options it becomes
  guest.py      the programs and the initial file system that run inside
  qemu.py       the emulator: one process, its monitor and its serial lines
  channel.py    the words that guest and runner exchange while a scenario runs
  topology.py   the PCI tree and the memory map, as QEMU's monitor reports them
  ledger.py     who moved how many payload bytes to or from which memory
  route.py      what the kernel said about the way between two devices
  ktap.py       judge of the guest's test lines
  kernlog.py    judge of the kernel log
  kernel.py     what a kernel full of checkers needs: time and memory
  after.py      what such a kernel found, looked at when all is over
  session.py    one run: boots, talks, and collects every verdict
  demo.py       the same run, told to somebody who sees it for the first time
  bench.py      instructions of the stock kernel and of ours, side by side
  coverage.py   which lines of our files were executed; what excuses the others
  coveragepage.py  the same as pages for a browser
  promises.py   what is promised, and which test holds it
  report.py     result lines, totals and colours
  cli.py        the command line of lab/run

Everything uses only the Python standard library.
"""
