# SPDX-License-Identifier: GPL-2.0
"""
The laboratory: boot a declared machine in QEMU, run a scenario in it, judge it.

  machine.py    what a machine file may say, and the QEMU options it becomes
  pair.py       two machines at a time, connected by a network cable
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
  record.py     what a run leaves for the page of all results
  report.py     result lines, totals and colours
  errors.py     errors that end a command, in one sentence
  cli.py        the command line of lab/run

What is made of such runs:

  demo.py       a run, told to somebody who sees it for the first time
  demo_nvmet.py the same of the NVMe target
  bench.py      instructions of the stock kernel and of ours, side by side
  port.py       what the host's own processors do with the allocators
  figures.py    what the figures mean, and what is to be reached
  plot.py       their picture
  benchpage.py  the page with the latest of them, lab/bench/results.rst
  coverage.py   which lines of our files were executed; what excuses the others
  coveragepage.py  the same as pages for a browser
  promises.py   what is promised, and which test holds it
  gathered.py   what all tests and measurements have left
  webpage.py    the page of all that, build/report/index.html
  markup.py     pieces of HTML for it
  drawing.py    its pictures of machines

Everything uses only the Python standard library.
"""
