# SPDX-License-Identifier: GPL-2.0
#
# What can be done here, one target each; `make help` prints them. The work is in
# scripts/ and lab/run; everything generated goes to build/.
#
# Variables:
#   KERNEL_SRC=DIR-or-tarball   base other than Debian's linux-source-6.12 (6.12.y)
#   ACCEL=kvm                   hardware acceleration for the lab (default: tcg)
#   DEBUG=1                     kunit with KASAN, lockdep, kmemleak and other checkers;
#                               DEBUG=kcsan: with KCSAN instead
#   MACHINE=, SCENARIO=         for lab and shell; names of files in lab/
#   MUTATIONS=                  for mutations; names of files in scripts/mutations, without
#                               .patch; all of them if it is empty
#   TARGET=nvmet                for demo: the NVMe target instead of a copy
#   CONFIG=small or a file      for deb: another configuration than Debian's
#   PART="docs llvm"            for check-series: these parts only

ACCEL ?= tcg
KERNEL_SRC ?=
MACHINE ?=
SCENARIO ?=
TARGET ?= copy
CONFIG ?= debian
MUTATIONS ?=
PART ?=
export ACCEL KERNEL_SRC

# The parts lean on each other and use all processors themselves.
.NOTPARALLEL:
.PHONY: help deps tree kernel demo test test-debug coverage p2pctl kunit labs lab bench \
	bench-quick bench-page bench-kernels shell check series clean distclean need-scenario \
	need-machine kit deb report mutations promises check-series deps-series

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: KERNEL_SRC=DIR-or-tarball (a 6.12.y of your own), ACCEL=kvm (default: tcg),"
	@echo "           DEBUG=1 (kunit with KASAN, lockdep, kmemleak and others), DEBUG=kcsan"

deps: ## install the Debian packages that are missing (root)
	@scripts/install-deps

tree: ## unpack stock Linux 6.12.y and lay our files and patches over it
	@scripts/assemble

kernel: tree ## build the kernel of the lab
	@scripts/build-kernel

demo: deps kernel ## copy between two NVMe drives peer to peer and show the path (start here)
	@lab/run demo "$(TARGET)"

test: ## run all tests: check, p2pctl, kunit, labs; the last line has the counts
	@scripts/test

test-debug: ## KUnit suites and labs in kernels full of checkers: hours
	@scripts/test-debug

coverage: ## which lines of our files the tests execute: build/coverage/index.html
	@scripts/coverage

p2pctl: ## build the administrator's command, which tells who reaches whose memory
	@scripts/p2pctl build

kunit: tree ## run the KUnit suites under QEMU
	@scripts/kunit

mutations: tree ## break the kernel in many ways and demand that a KUnit case notices each
	@scripts/mutate $(MUTATIONS)

labs: kernel ## run every scenario on every machine it is made for
	@lab/run all

lab: need-scenario kernel ## run one scenario on one machine: MACHINE=... SCENARIO=...
	@lab/run lab "$(MACHINE)" "$(SCENARIO)"

bench: bench-kernels ## measure what everything costs, stock against ours: build/bench/
	@scripts/build-without
	@lab/run bench

bench-quick: bench-kernels ## the same with fewer rounds, in a few minutes
	@lab/run bench --quick

bench-page: ## write lab/bench/results.rst from the figures of the last "make bench"
	@lab/run bench-page

report: ## write a page with the latest results of all tests: build/report/index.html
	@lab/run report

promises: ## write the page of what is promised and which test holds it, from the last "make test"
	@scripts/promises

# The other kernels share the compiler's cache with ours, which is built first.
bench-kernels: kernel
	@scripts/build-stock

shell: need-machine kernel ## open a console in a machine: MACHINE=...
	@lab/run shell "$(MACHINE)"

# Asked before the kernel is built, not after.
need-scenario:
	@if [ -z "$(MACHINE)" ] || [ -z "$(SCENARIO)" ]; then \
		echo "make lab needs MACHINE=NAME and SCENARIO=NAME, for example:" \
			"make lab MACHINE=switch SCENARIO=copy" >&2; exit 1; fi

need-machine:
	@if [ -z "$(MACHINE)" ]; then \
		echo "make shell needs MACHINE=NAME, for example: make shell MACHINE=switch" >&2; exit 1; fi

check: tree ## checkpatch --strict, sparse, W=1, kernel-doc, shellcheck, users of the interface
	@scripts/check

series: tree ## make the mails of the series in build/series and prove that git am takes them
	@scripts/series

deb: tree ## build Debian packages of the kernel with the series: CONFIG=small is quick
	@scripts/install-deps --for deb
	@scripts/deb "$(CONFIG)"

kit: tree ## pack p2pctl, selftests and a guide for machines with real switches: build/kit
	@scripts/kit

check-series: deps-series tree series ## compile each commit; other compilers, machines, configurations; documentation
	@scripts/check-series $(PART)

# Compilers and tools that nothing else needs.
deps-series:
	@scripts/install-deps --for check-series

clean: ## remove what was built; keeps the unpacked stock kernel
	@scripts/clean

distclean: ## remove all of build/, the unpacked stock kernel included
	@scripts/clean --all
