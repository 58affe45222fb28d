# SPDX-License-Identifier: GPL-2.0
"""
What runs inside a machine: the guest's programs and its initial file system.

The programs in lab/guest/*.c and p2pctl (tools/pci/p2pctl) are linked
statically, so that busybox is the only other thing a guest needs.  The initial
file system is a cpio archive in the "newc" format, written here: that needs
neither root, for the console's device node, nor further tools.

A scenario learns about its machine from /lab/machine (shell variables CPU: the
processor's model; PROVIDER, SOURCE and DESTINATION: the devices that play the
roles; PROVIDER_BYTES: the size of the provider's memory) and
/lab/routes (one expected verdict a line, "-" for what is not expected; the
first word is the witness who can try that route with data, see witness()).
"""

import pathlib
import shutil
import stat
import subprocess

from .errors import LabError

HERE = pathlib.Path(__file__).resolve().parent.parent
GUEST = HERE / "guest"
P2PCTL = HERE.parent / "tools" / "pci" / "p2pctl"
SCENARIOS = HERE / "scenarios"
USERS = """\
root:x:0:0::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh
"""


def scenario_names():
    return sorted(path.name for path in SCENARIOS.iterdir() if path.is_file())


def scenario_summary(name):
    """The '# summary:' line of a scenario."""
    for line in (SCENARIOS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# summary: "):
            return line.removeprefix("# summary: ")
    raise LabError(f"{SCENARIOS / name} has no line '# summary: ...'.")


def build_programs(directory):
    """Compile the guest's programs that are older than what they are of."""
    directory.mkdir(parents=True, exist_ok=True)
    headers = list(GUEST.glob("*.h"))
    programs = []
    for source in sorted(GUEST.glob("*.c")):
        program = directory / source.stem
        programs.append(program)
        newest = max(path.stat().st_mtime for path in [source, *headers])
        if program.exists() and program.stat().st_mtime > newest:
            continue
        compiler = shutil.which("gcc")
        if not compiler:
            raise LabError("gcc is needed to build the lab's programs and is "
                           "not installed; run 'scripts/install-deps'.")
        # into place only when complete: an interrupted build leaves nothing
        partial = program.with_suffix(".partial")
        result = subprocess.run(
            [compiler, "-static", "-O2", "-Wall", "-Wextra", "-Werror",
             "-D_GNU_SOURCE", "-o", str(partial), str(source)],
            capture_output=True, text=True, check=False)
        if result.returncode:
            raise LabError(f"{source} does not compile:\n{result.stderr}")
        partial.rename(program)
    return [*programs, build_p2pctl(directory / "p2pctl")]


def build_p2pctl(directory):
    """p2pctl has its own Makefile, which knows what is to be compiled."""
    directory.mkdir(exist_ok=True)
    result = subprocess.run(
        ["make", "-s", "-C", str(P2PCTL), f"O={directory}/", "STATIC=1"],
        capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{P2PCTL} does not compile:\n{result.stderr}")
    return directory / "p2pctl"


class Archive:
    """A cpio archive in the making."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def _entry(self, name, mode, data=b"", major=0, minor=0):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major,
                  minor, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (header + encoded, data):
            self.parts.append(part + b"\0" * (-len(part) % 4))

    def directory(self, name):
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self._entry(name, stat.S_IFREG | mode, data)

    def console(self):
        """The kernel opens /dev/console for the first process."""
        self._entry("dev/console", stat.S_IFCHR | 0o600, major=5, minor=1)

    def finish(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def machine_words(machine):
    """/lab/machine: shell assignments."""
    lines = [f"CPU={machine.cpu}"]
    for role, name in machine.roles.items():
        lines.append(f"{role.upper()}={name}")
    if "provider" in machine.roles:
        provider = machine.device(machine.roles["provider"])
        lines.append(f"PROVIDER_BYTES={provider.memory}")
    return "".join(line + "\n" for line in lines)


def witness(provider, client):
    """
    Who can try a route with data: "drive" if a drive is the client of another
    one's memory; "edu" if the DMA test device is the client, which can be told
    to do DMA without any driver; "none" otherwise.
    """
    if client.type == "nvme" and provider.type == "nvme":
        return "drive"
    return "edu" if client.type == "edu" else "none"


def route_words(machine):
    """/lab/routes: witness, provider, client, type, distance, reason, port."""
    lines = []
    for route in machine.routes:
        tried = witness(machine.device(route.provider),
                        machine.device(route.client))
        distance = "-" if route.distance is None else route.distance
        lines.append(f"{tried} {route.provider} {route.client} {route.type} "
                     f"{distance} {route.reason or '-'} {route.port or '-'}\n")
    return "".join(lines)


def build_initramfs(path, machine, programs):
    """Write the initial file system of this machine."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise LabError("busybox is needed inside the lab's machines and is "
                       "not installed; run 'scripts/install-deps'.")
    archive = Archive()
    for name in ("dev", "bin", "etc", "lab", "lab/bin", "lab/scenarios"):
        archive.directory(name)
    archive.console()
    archive.file("bin/busybox", pathlib.Path(busybox).read_bytes())
    archive.file("init", (GUEST / "init").read_bytes())
    for name in ("lib.sh", "welcome"):
        archive.file(f"lab/{name}", (GUEST / name).read_bytes(), 0o644)
    archive.file("etc/passwd", USERS.encode(), 0o644)
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    archive.file("lab/machine", machine_words(machine).encode(), 0o644)
    archive.file("lab/routes", route_words(machine).encode(), 0o644)
    for name in scenario_names():
        archive.file(f"lab/scenarios/{name}", (SCENARIOS / name).read_bytes())
    for program in programs:
        archive.file(f"lab/bin/{program.name}", program.read_bytes())
    path.write_bytes(archive.finish())
