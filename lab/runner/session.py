# SPDX-License-Identifier: GPL-2.0
"""
One run: boot a machine, let the scenario talk, collect every verdict.

A run leaves everything in build/lab/MACHINE-SCENARIO/: console.log (kernel),
ktap.log (the scenario), trace.log (QEMU's trace), qemu.log, the command that
started QEMU, run.json (results and routes, see record.py), the drives' images,
and coverage.tgz if the kernel counted lines.  Images are large: when everything
is run in a row, those of a run that passed are removed.

Judged are, each as results of its own: the scenario's tests (ktap.py), how
the scenario ended, the ledger of each copy (ledger.py), the data of each copy
on the host's images, the kernel log (kernlog.py), and what the kernel's checkers
found afterwards (after.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import math
import os
import pathlib
import random
import shutil
import threading
import time

from . import after, channel, guest, kernel as kernels, kernlog, ktap, ledger
from . import machine as machines, pair, qemu, record, route, topology
from .errors import LabError
from .ktap import FAIL, PASS, Result

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "lab"
KERNEL = ROOT / "build" / "kernel" / "arch" / "x86" / "boot" / "bzImage"
# On a busy host the emulated timer interrupt may be late (no_timer_check), and
# an emulated processor may stand still for longer than RCU has patience for.
PARAMETERS = ("console=ttyS0", "panic=-1", "oops=panic", "no_timer_check",
              "rcupdate.rcu_cpu_stall_timeout=200")
LAST_LINES = 12
# The guest waits 5 s before it powers a slot off, for who pressed the button
# by mistake.
UNPLUG_PATIENCE = 60
ROOM_FOR_LOGS = 64 << 20
TAPE = "coverage.tgz"


def kernel_image():
    """The kernel to boot: ours, or LAB_KERNEL to compare with another."""
    path = pathlib.Path(os.environ.get("LAB_KERNEL", KERNEL))
    if not path.is_file():
        raise LabError(f"there is no kernel at {path}; run 'make kernel' "
                       "first.")
    return path


def factor():
    """LAB_TIMEOUT, which multiplies time limits for a slow or busy host."""
    text = os.environ.get("LAB_TIMEOUT", "1")
    try:
        scale = float(text)
    except ValueError:
        scale = 0
    if not 0 < scale <= 1000:
        raise LabError(f"LAB_TIMEOUT={text} is not a factor for time limits; "
                       "for example, LAB_TIMEOUT=3 triples them.")
    return scale


def time_limit(machine):
    """Seconds that a run may take."""
    return machine.timeout * factor()


@dataclasses.dataclass
class Copy:
    """A copy between two drives, from its mark on."""
    fields: dict
    topology: topology.Topology
    trace_start: int
    wanted: str             # digest of the source area before the copy
    before: str             # digest of the destination area before the copy
    found: str = ""         # digest of the destination area in the end
    ledger: ledger.Ledger | None = None


@dataclasses.dataclass
class Outcome:
    """All that a run has shown."""
    results: list
    copies: list
    verdicts: list
    topology: topology.Topology | None
    kernel: str             # the version that the kernel gave in its log
    seconds: float
    watches: list = dataclasses.field(default_factory=list)
    said: list = dataclasses.field(default_factory=list)    # remarks

    @property
    def passed(self):
        return all(result.outcome != FAIL for result in self.results)

    def verdict(self, provider, client):
        """The kernel's verdict for two addresses, or None."""
        return next((verdict for verdict in self.verdicts
                     if (verdict.provider, verdict.client)
                     == (provider, client)), None)


def area(path, offset, size):
    """The bytes of a part of an image."""
    with open(path, "rb") as image:
        image.seek(offset)
        data = image.read(size)
    if len(data) != size:
        raise channel.Refused(f"the area ends beyond the end of "
                              f"'{path.stem}'")
    return data


def digest(path, offset, size):
    """SHA-256 of a part of an image."""
    sha = hashlib.sha256()
    for start in range(offset, offset + size, 1 << 20):
        sha.update(area(path, start, min(1 << 20, offset + size - start)))
    return sha.hexdigest()


def make_image(path, size):
    """A file full of random bytes."""
    source = random.Random()
    with open(path, "wb") as image:
        while size:
            block = min(size, 1 << 20)
            image.write(source.randbytes(block))
            size -= block


def check_free_space(directory, images):
    """Complain before a full disk does so in the middle of a run."""
    needed = images + ROOM_FOR_LOGS
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise LabError(f"{directory} has {free >> 20} MiB of free space and "
                       f"the run needs {needed >> 20}; make room, for example "
                       "by removing build/lab.")


@contextlib.contextmanager
def run_directory(name):
    """The directory of a run, for this process alone."""
    directory = BUILD / name
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another run is using {directory}; wait until it "
                           "has ended.") from None
        yield directory


class Session:
    """The runner's side of one run."""

    def __init__(self, machine, scenario, directory, announce, side=None):
        self.machine = machine
        self.scenario = scenario
        self.directory = directory
        self.announce = announce
        self.images = {device.name: directory / f"{device.name}.img"
                       for device in machine.devices if device.image}
        self.disks = {drive.name: self.images[drive.name]
                      for drive in machine.drives() if drive.image}
        self.copies = []
        self.current = None
        self.watches = []
        self.watching = None
        self.queueing = None
        self.verdicts = []
        self.matrix = []        # pieces of it, see record.py
        self.topology = None
        self.lines = []
        self.status = None
        self.side = side        # of a pair, see pair.py
        self.deadline = None
        self.vm = None
        self.tested = None      # the kernel, unless it is of no interest
        self.after = {}
        self.tape = []

    @property
    def slowness(self):
        """How much longer than usual the kernel may take."""
        return self.tested.slowness if self.tested else 1

    @property
    def patience(self):
        """The same for the limits of single steps, a whole number."""
        return math.ceil(self.slowness * max(1, factor()))

    def start(self, interactive=False):
        """Prepare the files and start QEMU."""
        kernel = kernel_image()
        self.tested = kernels.Kernel(kernel)
        # of an earlier run
        (self.directory / TAPE).unlink(missing_ok=True)
        programs = guest.build_programs(BUILD / "guest")
        initramfs = self.directory / "initramfs.cpio"
        guest.build_initramfs(
            initramfs, self.machine, programs,
            guest.host_programs(self.machine, self.scenario),
            guest.kernel_modules(self.machine, self.scenario,
                                 self.tested.objects))
        sizes = {path: self.machine.device(name).image
                 for name, path in self.images.items()}
        check_free_space(self.directory, sum(sizes.values()))
        for path, size in sizes.items():
            make_image(path, size)
        parameters = " ".join([
            *PARAMETERS, "quiet" if interactive else "ignore_loglevel",
            *self.machine.kernel, f"lab.patience={self.patience}",
            f"lab.scenario={self.scenario}"])
        cable = self.side.cable if self.side else None
        machine = dataclasses.replace(
            self.machine, memory=self.machine.memory * self.tested.greed)
        return qemu.Qemu(
            machines.qemu_options(machine, self.images, cable), kernel,
            initramfs, parameters, self.directory, interactive,
            events=ledger.IOMMU_EVENTS.get(self.machine.iommu.get("model"),
                                           ()),
            inherited=[cable.fd] if cable else ())

    def _area(self, copy, side):
        return digest(self.disks[copy[side]], copy[f"{side}_offset"],
                      copy["bytes"])

    def _where(self, vm):
        self.topology = topology.ask(vm.monitor)
        lines = []
        for device in self.machine.devices:
            function = self.topology.by_name(device.name)
            if function:
                lines.append(f"{device.name} {function.address}")
        return lines

    def _drives(self):
        """Names of the drives by namespace number, for the ledger."""
        return {self.machine.namespace_id(name): name for name in self.disks}

    def _begin(self, vm, text):
        if self.current:
            raise channel.Refused("a copy is already under way")
        copy = channel.copy_fields(text, self.disks)
        self.announce(f"copying {copy['bytes'] >> 20} MiB: {copy['label']}")
        self.current = Copy(copy, topology.ask(vm.monitor), vm.trace_size(),
                            self._area(copy, "from"), self._area(copy, "to"))
        return []

    def _end(self, vm, text):
        label = channel.fields(text).get("label")
        copy = self.current
        if not copy or copy.fields["label"] != label:
            raise channel.Refused(f"no copy '{label}' is under way")
        lines = vm.trace_lines(copy.trace_start, vm.trace_size())
        copy.ledger = ledger.build(lines, copy.topology, self._drives(),
                                   copy.fields, self.machine.translated)
        self.copies.append(copy)
        self.current = None
        return []

    def _watch(self, vm, text):
        if self.watching:
            raise channel.Refused("a drive is being watched already")
        fields = channel.watch_fields(text, self.disks)
        self.announce(f"watching '{fields['drive']}': {fields['label']}")
        self.watching = (fields, topology.ask(vm.monitor), vm.trace_size())
        return []

    def _unwatch(self, vm, text):
        label = channel.fields(text).get("label")
        if not self.watching or self.watching[0]["label"] != label:
            raise channel.Refused(f"nothing is watched for '{label}'")
        fields, where, start = self.watching
        self.watching = None
        lines = vm.trace_lines(start, vm.trace_size())
        self.watches.append(ledger.watch(lines, where, self._drives(), fields,
                                         self.machine.translated))
        return self.watches[-1].sums()

    def _queues(self, vm, text):
        drive = channel.drive_field(text, self.disks)
        if self.machine.translated:
            raise channel.Refused("the addresses of queues are not followed "
                                  "through an IOMMU")
        self.queueing = (drive, vm.trace_size())
        return []

    def _queued(self, vm, text):
        drive = channel.drive_field(text, self.disks)
        if not self.queueing or self.queueing[0] != drive:
            raise channel.Refused(f"the queues of '{drive}' are not watched")
        lines = vm.trace_lines(self.queueing[1], vm.trace_size())
        self.queueing = None
        made, problems = ledger.queues(lines, topology.ask(vm.monitor))
        if problems:
            raise channel.Refused(problems[0])
        return [f"{queue.number} {queue.bytes} {queue.memory}"
                for queue in made]

    def _compare(self, text):
        images = self.side.all_images() if self.side else self.images
        first, second = (area(images[name], offset, size)
                         for name, offset, size
                         in channel.areas(text, images))
        if first == second:
            return ["equal"]
        place = next(index for index, (left, right)
                     in enumerate(zip(first, second)) if left != right)
        return [f"first difference at byte {place}"]

    def _partner(self, word, text):
        """Tell the partner something, or wait to be told."""
        if not self.side:
            raise channel.Refused("the machine has no partner")
        if word == "tell":
            self.side.tell(text)
        else:
            self.side.wait(text, self.deadline)
        return []

    def _plug(self, vm, text):
        drive, port = channel.plug_fields(text, self.machine)
        if not port:
            raise channel.Refused("'port' is missing")
        self.announce(f"plugging '{drive.name}' into '{port}'")
        arguments = machines.plug_arguments(drive, port)
        try:
            vm.monitor.command("device_add", **arguments)
        except LabError as error:
            raise channel.Refused(str(error)) from None
        return []

    def _unplug(self, vm, text):
        drive, _ = channel.plug_fields(text, self.machine)
        self.announce(f"unplugging '{drive.name}'")
        try:
            vm.monitor.command("device_del", id=drive.name)
        except LabError as error:
            raise channel.Refused(str(error)) from None
        # QEMU 7.2 keeps NVMe controllers in its memory and thus never reports
        # one as deleted; that it has left the bus is what counts.
        patience = UNPLUG_PATIENCE * self.patience
        deadline = time.monotonic() + patience
        while topology.present(vm.monitor, drive.name):
            if time.monotonic() > deadline:
                raise channel.Refused("the guest has not let go of "
                                      f"'{drive.name}' in {patience} s")
            time.sleep(0.2)
        return []

    def _inject(self, vm, text):
        device, error = channel.inject_fields(text, self.machine)
        said = vm.monitor.human(f"pcie_aer_inject_error {device} {error}")
        if not said.startswith("OK "):
            raise channel.Refused(said.strip() or "the emulator says nothing")
        return []

    def handle(self, vm, request):
        """Answer one request; True when the scenario is over."""
        if request.word == "done":
            self.status = request.text
            return True
        if request.word == "route":
            self.verdicts.append(route.parse(request.text))
            return False
        if request.word == "matrix":
            self.matrix.append(request.text)
            return False
        if request.word == "after":
            self.after = channel.fields(request.text)
            return False
        if request.word == "tape":
            self.tape.append(request.text)
            return False
        try:
            if request.word == "where":
                lines = self._where(vm)
            elif request.word == "begin":
                lines = self._begin(vm, request.text)
            elif request.word == "end":
                lines = self._end(vm, request.text)
            elif request.word == "watch":
                lines = self._watch(vm, request.text)
            elif request.word == "unwatch":
                lines = self._unwatch(vm, request.text)
            elif request.word == "queues":
                lines = self._queues(vm, request.text)
            elif request.word == "queued":
                lines = self._queued(vm, request.text)
            elif request.word == "compare":
                lines = self._compare(request.text)
            elif request.word in ("tell", "await"):
                lines = self._partner(request.word, request.text)
            elif request.word == "plug":
                lines = self._plug(vm, request.text)
            elif request.word == "unplug":
                lines = self._unplug(vm, request.text)
            elif request.word == "inject":
                lines = self._inject(vm, request.text)
            else:
                raise channel.Refused(f"'{request.word}' is not a request")
        except channel.Refused as refused:
            vm.channel.write(channel.refusal(refused))
        else:
            vm.channel.write(channel.answer(lines))
        return False

    def serve(self, vm, deadline):
        """
        Take lines until the scenario is over.  Returns what went wrong, or
        None; test lines are kept in self.lines.
        """
        while True:
            try:
                line = vm.channel.readline(deadline)
            except qemu.TimeLimit:
                return "the machine hangs"
            if line is None:
                vm.process.wait()
                return "the machine stopped before the scenario was over"
            request = channel.parse(line)
            if request is None:
                self.lines.append(line)
            elif self.handle(vm, request):
                return None

    def _end_results(self, vm, trouble, limit):
        """How the scenario ended."""
        name = "the scenario runs to its end"
        console = vm.console_text()
        if trouble is None:
            if self.status == "0":
                return [Result(name, PASS)]
            return [Result(name, FAIL, (f"exit status {self.status}",))]
        panic = kernlog.panic(console)
        if panic:
            remarks = [f"the kernel panicked: {panic}"]
        elif trouble == "the machine hangs":
            remarks = [f"{trouble}: not over after {limit:.0f} s (on a slow "
                       "host, LAB_TIMEOUT=3 gives it three times as long)"]
        else:
            remarks = [f"{trouble} (QEMU's exit status "
                       f"{vm.process.returncode})"]
            remarks += vm.messages.read_text(
                encoding="utf-8", errors="replace").splitlines()[-3:]
        if console:
            remarks.append(f"last lines of {vm.console}:")
            remarks += console.replace("\r", "").splitlines()[-LAST_LINES:]
        if self.lines:
            remarks.append(f"last line of the scenario: {self.lines[-1]}")
        return [Result(name, FAIL, tuple(remarks))]

    def _copy_results(self):
        results = []
        for copy in self.copies:
            label = copy.fields["label"]
            faults = copy.ledger.judge()
            via = copy.fields["via"]
            where = "all payload through system memory" \
                if via == ledger.VIA_SYSTEM else \
                f"all through memory of {via}, none through system memory"
            results.append(Result(
                f"ledger of {label}: {copy.fields['bytes']} bytes, {where}",
                FAIL if faults else PASS, tuple(faults)))
            name = f"data of {label}: equal on the host"
            if copy.before == copy.wanted:
                results.append(Result(name, FAIL, (
                    "the destination had the data before the copy, so that "
                    "nothing is proved",)))
            elif copy.found != copy.wanted:
                results.append(Result(name, FAIL, (
                    f"source      {copy.wanted}",
                    f"destination {copy.found}")))
            else:
                results.append(Result(name, PASS))
        if self.current:
            results.append(Result(
                f"ledger of {self.current.fields['label']}", FAIL,
                ("the copy was begun and never ended",)))
        return results

    def _watch_results(self):
        results = []
        for book in self.watches:
            faults = book.judge()
            provider = book.via.removesuffix(ledger.MIXED)
            where = "system memory" if book.via == ledger.VIA_SYSTEM else \
                f"memory of {provider}"
            if book.via.endswith(ledger.MIXED):
                where += " or system memory"
            results.append(Result(
                f"ledger of {book.label}: all payload of {book.drive} through "
                f"{where}", FAIL if faults else PASS, tuple(faults)))
        if self.watching:
            results.append(Result(
                f"ledger of {self.watching[0]['label']}", FAIL,
                ("the watch was begun and never ended",)))
        return results

    def _log_results(self, console):
        name = "the kernel log has no complaint"
        if "Linux version " not in console:
            return [Result(name, FAIL, ("the kernel has not said a word",))]
        reports = kernlog.judge(console,
                                self.machine.iommu.get("faults", False))
        remarks = [*(f"not ours: {what}" for what in kernlog.foreign(console)),
                   *(line for report in reports for line in report)]
        return [Result(name, FAIL if reports else PASS, tuple(remarks))]

    def run(self):
        """The whole run."""
        record.forget(self.directory)
        started = time.monotonic()
        self.announce("booting")
        with self.start() as vm:
            self.vm = vm
            limit = time_limit(self.machine) * self.slowness
            self.deadline = time.monotonic() + limit
            trouble = self.serve(vm, self.deadline)
            if trouble is None:
                vm.quit()
        for copy in self.copies:
            copy.found = self._area(copy.fields, "to")
        (self.directory / "ktap.log").write_text(
            "".join(f"{line}\n" for line in self.lines), encoding="utf-8")
        console = vm.console_text()
        results = [*ktap.judge(self.lines),
                   *self._end_results(vm, trouble, limit),
                   *self._copy_results(), *self._watch_results(),
                   *self._log_results(console)]
        if trouble is None and self.tested:
            results += after.judge(self.tested, self.after)
        if self.tape:
            (self.directory / TAPE).write_bytes(after.archive(self.tape))
        words = console.partition("Linux version ")[2].split()
        outcome = Outcome(results, self.copies, self.verdicts, self.topology,
                          words[0] if words else "",
                          time.monotonic() - started, self.watches,
                          [line[1:].strip() for line in self.lines
                           if line.startswith("#")])
        record.write(self.directory, self.machine.name, self.scenario,
                     outcome, record.unpack(self.matrix))
        return outcome

    def stop(self):
        """End the machine at once, from another thread."""
        if self.vm:
            self.vm.process.kill()

    def shell(self):
        """An interactive console; returns when the machine has ended."""
        with self.start(interactive=True) as vm:
            def serve():
                if self.serve(vm, None) is None:
                    vm.quit()
            # The console belongs to QEMU; the channel is served beside it.
            server = threading.Thread(target=serve, daemon=True)
            server.start()
            vm.process.wait()
            server.join(timeout=5)


def run(machine, scenario, announce, keep_images=True):
    """Run a scenario on a machine, and on its partner if it has one."""
    if machine.partner:
        return pair.run(machine, scenario, announce, keep_images)
    with run_directory(f"{machine.name}-{scenario}") as directory:
        session = Session(machine, scenario, directory, announce)
        outcome = session.run()
        if outcome.passed and not keep_images:
            for path in session.images.values():
                path.unlink()
        return outcome


def shell(machine):
    """Sit down at a machine's console."""
    with run_directory(f"{machine.name}-shell") as directory:
        Session(machine, "shell", directory, lambda text: None).shell()
