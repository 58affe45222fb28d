# SPDX-License-Identifier: GPL-2.0
"""
The command line of lab/run.

Exit status: 0 if everything passed, 1 if a test failed, 2 if the command
could not be carried out (one sentence says why and what to do).
"""

import concurrent.futures
import json
import os
import pathlib
import sys
import traceback
import unittest

from . import after, bench, benchpage, channel, coverage, coveragepage, demo
from . import demo_nvmet, guest, machine, qemu, report, session, webpage
from .errors import LabError
from .kernel import Kernel
from .ktap import FAIL, PASS, SKIP, Result

MACHINES = guest.HERE / "machines"
# What the KUnit suites have executed (COVERAGE=1 scripts/kunit), and the pages
KUNIT_TAPE = session.ROOT / "build" / "log" / "kunit-coverage-after.log"
KUNIT_OBJECTS = session.ROOT / "build" / "kunit-coverage"
COVERAGE = session.ROOT / "build" / "coverage"
TESTS = guest.HERE / "tests"

USAGE = """\
Usage: lab/run COMMAND

  demo [nvmet]          copy between two emulated NVMe drives, peer to peer
                        and through system memory, and show what happened;
                        nvmet: let an NVMe target do it for an initiator
  lab MACHINE SCENARIO  run one scenario on one machine
  all                   test the lab's judges, then run every scenario on
                        every machine that it fits
  bench [--quick]       count the instructions of the stock kernel and of ours;
                        --quick leaves out what takes long to prepare, and
                        the comparison with ours without the feature
  bench-page            write lab/bench/results.rst from the latest figures
  report                write build/report/index.html, a page with the latest
                        results of all tests and of the bench
  shell MACHINE         an interactive console in a machine
  list                  machines and scenarios
  coverage              run scenarios in a kernel that counts lines, add what
                        the KUnit suites have executed (make coverage)
  kunit-init FILE       write the initial file system that looks, after KUnit
                        suites, what the kernel's checkers found (scripts/kunit)

Environment:
  LAB_TIMEOUT=FACTOR    multiply the time limits (slow or busy host)
  LAB_JOBS=NUMBER       scenarios that all and coverage run at a time (1)
  LAB_KERNEL=IMAGE      boot another kernel than build/kernel's; one that is full
                        of checkers gets more time and memory by itself
  QEMU=PROGRAM          another QEMU than qemu-system-x86_64
  ACCEL=kvm             KVM instead of emulation
  NO_COLOR=1            no colours on a terminal
"""


def run_lab(box, scenario, results, keep_images):
    """One scenario on one machine; the report learns how it goes along."""
    return session.run(
        box, scenario,
        lambda text: results.announce(f"{box.name}/{scenario}: {text}"),
        keep_images)


def jobs():
    """How many scenarios run at a time."""
    text = os.environ.get("LAB_JOBS", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise LabError(f"LAB_JOBS={text} is not a number of scenarios to run "
                       "at a time; for example, LAB_JOBS=2 runs two.")
    return int(text)


def run_labs(runs, results):
    """
    Scenarios on machines, the next one when one has ended.  What each has shown
    goes to the report in one piece; those that could be run are yielded then.
    """
    number = jobs()
    # not by all at the same time
    guest.build_programs(session.BUILD / "guest")
    pool = concurrent.futures.ThreadPoolExecutor(number)
    try:
        under_way = {pool.submit(run_lab, box, scenario, results, False):
                     (box, scenario) for box, scenario in runs}
        for run in concurrent.futures.as_completed(under_way):
            box, scenario = under_way[run]
            name = f"{box.name}/{scenario}"
            try:
                outcome = run.result()
            except LabError as error:
                # the other machines may still have something to say
                results.add(name, Result("can be run", FAIL, (str(error),)))
                continue
            for result in outcome.results:
                results.add(name, result)
            yield box, scenario
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        qemu.Qemu.stop_all()
        raise
    finally:
        pool.shutdown()


class JudgeResults(unittest.TestResult):
    """Passes what unittest finds on to the report."""

    def __init__(self, results):
        super().__init__()
        self.report = results

    def _add(self, test, outcome, remarks=()):
        self.report.add("judges", Result(test.id(), outcome, tuple(remarks)))

    def addSuccess(self, test):
        self._add(test, PASS)

    def addFailure(self, test, err):
        self._add(test, FAIL, [
            line for text in traceback.format_exception(*err)
            for line in text.splitlines()])

    # An error is a failure to whoever reads the report.
    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err:
            self.addFailure(subtest, err)

    def addSkip(self, test, reason):
        self._add(test, SKIP, (reason,))


def run_judge_tests(results):
    """The unit tests of the runner itself."""
    results.announce("testing the judges")
    suite = unittest.defaultTestLoader.discover(str(TESTS))
    if not suite.countTestCases():
        raise LabError(f"there are no tests in {TESTS}.")
    suite.run(JudgeResults(results))


def run_all():
    results = report.Report()
    qemu.version()
    session.kernel_image()
    boxes = [machine.load(MACHINES, name) for name in machine.names(MACHINES)]
    run_judge_tests(results)
    for _ in run_labs([(box, scenario) for box in boxes
                       for scenario in box.scenarios], results):
        pass
    return results.total()


def kunit_archive():
    """The counters of the KUnit suites."""
    try:
        lines = KUNIT_TAPE.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise LabError(f"there is no {KUNIT_TAPE}; run 'make coverage', which "
                       "runs the KUnit suites first.") from None
    requests = [channel.parse(line.rstrip("\r")) for line in lines]
    return after.archive([request.text for request in requests
                          if request and request.word == "tape"])


def run_coverage():
    results = report.Report()
    qemu.version()
    kernel = Kernel(session.kernel_image())
    if not kernel.has("GCOV_KERNEL"):
        raise LabError(f"{kernel.image} does not count lines; run 'make "
                       "coverage', which builds a kernel that does.")
    known = coverage.our_files()
    excuses = coverage.parse_excuses(
        coverage.EXCEPTIONS.read_text(encoding="utf-8"))
    total = coverage.gather(kunit_archive(), KUNIT_OBJECTS, known)
    boxes = [machine.load(MACHINES, name) for name in machine.names(MACHINES)]
    for box, scenario in run_labs(coverage.selection(boxes), results):
        run = f"{box.name}-{scenario}"
        for name in (run, f"{run}-{box.partner}"):
            tape = session.BUILD / name / session.TAPE
            if tape.is_file():
                coverage.merge(total, coverage.gather(
                    tape.read_bytes(), kernel.objects, known))
    found = coverage.files(total, known)
    first = coveragepage.write(COVERAGE, found, excuses)
    (COVERAGE / "unlisted").write_text(
        coverage.entries(coverage.unlisted(found, excuses)), encoding="utf-8")
    (COVERAGE / "summary.json").write_text(
        json.dumps(coverage.summary(found)), encoding="utf-8")
    for result in coverage.judge(found, known, excuses):
        results.add("coverage", result)
    print("\n".join(["", *coverage.table(found), ""]))
    print(f"pages: {os.path.relpath(first)}; error paths that are neither "
          f"executed nor excused: {os.path.relpath(COVERAGE / 'unlisted')}")
    return results.total()


def purposes(box):
    """What a machine is for, in words."""
    return ", ".join(box.scenarios) or "the scenarios of its partner"


def run_one(machine_name, scenario):
    results = report.Report()
    box = machine.load(MACHINES, machine_name)
    if scenario not in guest.scenario_names():
        raise LabError(f"there is no scenario '{scenario}'; there are: "
                       f"{', '.join(guest.scenario_names())}.")
    if scenario not in box.scenarios:
        raise LabError(
            f"scenario '{scenario}' does not fit machine '{machine_name}', "
            f"which is for: {purposes(box)}.")
    qemu.version()
    session.kernel_image()
    outcome = run_lab(box, scenario, results, keep_images=True)
    for result in outcome.results:
        results.add(f"{box.name}/{scenario}", result)
    return results.total()


def run_shell(machine_name):
    box = machine.load(MACHINES, machine_name)
    qemu.version()
    session.kernel_image()
    print(f"Booting '{machine_name}': {box.summary}.")
    print("To leave: 'exit', or Ctrl-A and then X.", flush=True)
    session.shell(box)
    return 0


def run_list():
    print("Machines (lab/machines/), each with the scenarios that fit it:")
    names, scenarios = machine.names(MACHINES), guest.scenario_names()
    width = max(map(len, [*names, *scenarios]))
    for name in names:
        box = machine.load(MACHINES, name)
        print(f"  {name:{width}} {box.summary}")
        print(f"  {'':{width}} {purposes(box)}")
    print("Scenarios (lab/scenarios/):")
    for name in scenarios:
        print(f"  {name:{width}} {guest.scenario_summary(name)}")
    return 0


def run_demo(target="copy"):
    if target not in demo.TARGETS:
        raise LabError(f"'{target}' cannot be demonstrated; what can is: "
                       f"{', '.join(demo.TARGETS)}.")
    chosen = demo if target == "copy" else demo_nvmet
    return chosen.run(machine.load(MACHINES, chosen.MACHINE))


def run_bench(option=""):
    return bench.run(quick=option == "--quick")


def run_kunit_init(path):
    guest.build_kunit_initramfs(pathlib.Path(path))
    return 0


COMMANDS = {        # name: (function, number of arguments)
    "demo": (run_demo, 0),
    "demo TARGET": (run_demo, 1),
    "lab": (run_one, 2),
    "all": (run_all, 0),
    "shell": (run_shell, 1),
    "list": (run_list, 0),
    "coverage": (run_coverage, 0),
    "kunit-init": (run_kunit_init, 1),
    "bench": (run_bench, 0),
    "bench-page": (benchpage.run, 0),
    "bench --quick": (run_bench, 1),
    "report": (webpage.run, 0),
}


def main(arguments):
    """The exit status of the command."""
    if arguments in (["help"], ["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    name, *rest = arguments or [""]
    if arguments == ["bench", "--quick"]:
        name = "bench --quick"
    if name == "demo" and rest:
        name = "demo TARGET"
    if name not in COMMANDS or len(rest) != COMMANDS[name][1]:
        print(USAGE, end="", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name][0](*rest)
    except LabError as error:
        print(f"lab/run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlab/run: interrupted; the machine was stopped.",
              file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone
        sys.stderr.close()
        return 2
