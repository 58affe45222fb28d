# SPDX-License-Identifier: GPL-2.0
"""
The emulator: one QEMU process with its monitor, its serial lines, its trace.

Monitor and channel are socket pairs that QEMU inherits: no port is opened, no
socket file can be left behind, and when QEMU ends both read end of file.  The
processors are emulated (TCG).  ACCEL=kvm in the environment asks for KVM, for
who knows that it works on his machine.
"""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import time

from . import ledger
from .errors import LabError

OLDEST = (7, 2)


class TimeLimit(Exception):
    """Nothing arrived until the deadline."""


def binary():
    """The path of QEMU."""
    name = os.environ.get("QEMU", "qemu-system-x86_64")
    path = shutil.which(name)
    if not path:
        raise LabError(f"QEMU is needed and '{name}' is not installed; "
                       "run 'scripts/install-deps'.")
    return path


def parse_version(text):
    match = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def version():
    """QEMU's version, which has to be new enough."""
    path = binary()
    result = subprocess.run([path, "--version"], capture_output=True,
                            text=True, check=False)
    found = parse_version(result.stdout)
    if not found:
        raise LabError(f"{path} does not tell its version; is it QEMU?")
    if found[:2] < OLDEST:
        raise LabError(f"{path} is QEMU {'.'.join(map(str, found))}; the lab "
                       f"needs {'.'.join(map(str, OLDEST))} or newer.")
    return ".".join(map(str, found))


# Emulated processors take turns in one thread.  With a thread for each, code
# that the kernel patches on one (static keys) is now and then executed half
# patched on another: "Oops: int3" at boot.
ACCELERATORS = {"tcg": "tcg,thread=single", "kvm": "kvm"}


def accelerator():
    """QEMU's accelerator: emulation unless the user wants otherwise."""
    accel = os.environ.get("ACCEL", "tcg")
    if accel not in ACCELERATORS:
        raise LabError(f"ACCEL={accel} is not known; it can be tcg (the "
                       "default) or kvm.")
    return accel


class LineSocket:
    """Lines of text over a socket; a deadline of None is none."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.buffer = b""

    def readline(self, deadline):
        """The next line without its end; None at end of file."""
        while b"\n" not in self.buffer:
            if deadline is not None:
                remaining = max(0, deadline - time.monotonic())
                if not select.select([self.ours], [], [], remaining)[0]:
                    raise TimeLimit
            data = self.ours.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def write(self, text):
        try:
            self.ours.sendall(text.encode())
        except (BrokenPipeError, ConnectionResetError):
            pass    # the next read says that QEMU has ended

    def close(self):
        self.ours.close()
        self.theirs.close()


class Monitor:
    """QEMU's machine protocol (QMP)."""
    PATIENCE = 120          # seconds; a busy host is slow to answer

    def __init__(self, line_socket):
        self.socket = line_socket
        self.ready = False

    def _reply(self):
        deadline = time.monotonic() + self.PATIENCE
        while True:
            try:
                line = self.socket.readline(deadline)
            except TimeLimit:
                raise LabError("QEMU's monitor does not answer.") from None
            if line is None:
                raise LabError("QEMU ended while its monitor was asked.")
            message = json.loads(line)
            if "error" in message:
                raise LabError("QEMU's monitor refused a command: "
                               f"{message['error']['desc']}.")
            if "return" in message:
                return message["return"]

    def command(self, name, **arguments):
        """Run a command and return its result."""
        if not self.ready:
            self.ready = True
            self.command("qmp_capabilities")
        self.socket.write(json.dumps({"execute": name,
                                      "arguments": arguments}) + "\n")
        return self._reply()

    def human(self, line):
        """The text that the monitor prints for a human's command."""
        text = self.command("human-monitor-command", **{"command-line": line})
        return text.replace("\r\n", "\n")


class Qemu:
    """
    A running machine; a context manager that never leaves it behind.  events
    are those that are traced besides the ledger's, inherited are file
    descriptors that QEMU is to have.
    """
    _processes = set()      # of machines that run

    @classmethod
    def stop_all(cls):
        """End all machines at once, from another thread than theirs."""
        for process in list(cls._processes):
            process.kill()

    def __init__(self, options, kernel, initramfs, parameters, directory,
                 interactive=False, events=(), accel=None, inherited=()):
        self.console = directory / "console.log"
        self.trace = directory / "trace.log"
        self.messages = directory / "qemu.log"
        for path in (self.console, self.trace, self.messages):
            path.write_bytes(b"")
        self.channel = LineSocket()
        monitor = LineSocket()
        self.monitor = Monitor(monitor)
        self._sockets = (self.channel, monitor)
        command = [
            binary(), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-accel", accel or ACCELERATORS[accelerator()],
            *options,
            "-kernel", str(kernel), "-initrd", str(initramfs),
            "-append", parameters,
            "-chardev", f"socket,id=monitor,fd={monitor.theirs.fileno()}",
            "-mon", "chardev=monitor,mode=control",
            "-serial", "mon:stdio" if interactive else f"file:{self.console}",
            "-chardev", f"socket,id=lab,fd={self.channel.theirs.fileno()}",
            "-serial", "chardev:lab", "-D", str(self.trace),
        ]
        for event in (*ledger.EVENTS, *events):
            command += ["-trace", f"enable={event}"]
        (directory / "command").write_text(
            " \\\n    ".join(f"'{word}'" for word in command) + "\n",
            encoding="utf-8")
        with open(self.messages, "wb") as messages:
            self.process = subprocess.Popen(
                command, stderr=messages,
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=None if interactive else messages,
                pass_fds=[*inherited, *(sock.theirs.fileno()
                                        for sock in self._sockets)])
        self._processes.add(self.process)
        for sock in self._sockets:
            sock.theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._processes.discard(self.process)
        for sock in self._sockets:
            sock.close()

    def quit(self):
        """End the machine in good order; drive images are complete then."""
        self.monitor.command("quit")
        try:
            self.process.wait(timeout=600)
        except subprocess.TimeoutExpired:
            raise LabError("QEMU does not end when it is told to.") from None

    def console_text(self):
        return self.console.read_text(encoding="utf-8", errors="replace")

    def trace_size(self):
        return self.trace.stat().st_size

    def trace_lines(self, first, last):
        """The lines between two sizes that the trace has had."""
        with open(self.trace, "rb") as trace:
            trace.seek(first)
            return trace.read(last - first).decode().splitlines()
