# SPDX-License-Identifier: GPL-2.0
"""
What runs inside a machine: the guest's programs and its initial file system.

The programs in lab/guest/*.c, p2pctl (tools/pci/p2pctl) and the kernel's
selftests of peer-to-peer memory (tools/testing/selftests/p2pdma, from the
assembled tree, which has the headers that they include) are linked statically,
so that busybox is the only other thing a guest needs.  The initial
file system is a cpio archive in the "newc" format, written here: that needs
neither root, for the console's device node, nor further tools.

A scenario learns about its machine from /lab/machine (shell variables MACHINE:
its name; CPU: the processor's model; PROVIDER, SOURCE and DESTINATION: the
devices that play the roles, and with _DISK appended the bytes on them;
PROVIDER_BYTES: the size of the provider's memory)
and /lab/routes (one expected verdict a line, "-" for what is not expected; the
first word is the witness who can try that route with data, see witness()).

A line "# programs: fio ip" in a scenario has programs of the host put into its
machine, with the libraries that they are linked with; a line "# modules:
samples/p2pdma/p2pdma_client" modules of the kernel, in /lab/modules.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from .errors import LabError

HERE = pathlib.Path(__file__).resolve().parent.parent
GUEST = HERE / "guest"
P2PCTL = HERE.parent / "tools" / "pci" / "p2pctl"
SCENARIOS = HERE / "scenarios"
SELFTESTS = HERE.parent / "build" / "linux" / "tools" / "testing" \
    / "selftests" / "p2pdma"
UAPI = HERE.parent / "include" / "uapi"
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


def wanted_by(machine, scenario, what):
    """
    What a scenario wants, from its lines '# WHAT: ...'; for who sits at the
    console, what all scenarios of the machine want.
    """
    known = scenario_names()
    wanted = set()
    for name in [scenario] if scenario in known else machine.scenarios:
        for line in (SCENARIOS / name).read_text(
                encoding="utf-8").splitlines():
            if line.startswith(f"# {what}: "):
                wanted.update(line.removeprefix(f"# {what}: ").split())
    return sorted(wanted)


def host_programs(machine, scenario):
    """Programs of the host that are to be in the machine."""
    return wanted_by(machine, scenario, "programs")


def kernel_modules(machine, scenario, objects):
    """The modules that are to be in the machine, of the kernel built there."""
    paths = [objects / f"{name}.ko"
             for name in wanted_by(machine, scenario, "modules")]
    for path in paths:
        if not path.is_file():
            raise LabError(f"there is no module {path}; run 'make kernel' "
                           "first, or give LAB_KERNEL the image where it was "
                           "built.")
    return paths


def build_program(source, program, options):
    """Compile a program if it is older than what it is made of."""
    headers = source.parent.glob("*.h")
    newest = max(path.stat().st_mtime for path in [source, *headers])
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("gcc")
    if not compiler:
        raise LabError("gcc is needed to build the lab's programs and is not "
                       "installed; run 'scripts/install-deps'.")
    # into place only when complete: an interrupted build leaves nothing
    partial = program.with_suffix(".partial")
    result = subprocess.run(
        [compiler, "-static", "-O2", "-Wall", "-Werror", *options,
         "-o", str(partial), str(source), "-lpthread"],
        capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{source} does not compile:\n{result.stderr}")
    partial.rename(program)
    return program


def build_programs(directory):
    """All of the guest's programs."""
    directory.mkdir(parents=True, exist_ok=True)
    programs = [
        build_program(source, directory / source.stem,
                      ["-Wextra", "-D_GNU_SOURCE", f"-I{UAPI}"])
        for source in sorted(GUEST.glob("*.c"))]
    programs += [
        build_program(source, directory / source.stem, [f"-I{UAPI}"])
        for source in sorted(SELFTESTS.glob("*.c"))]
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


def find_program(name):
    """
    The path of one of the host's programs.  Some are in directories that only
    root has in his path.
    """
    path = shutil.which(name, path=os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if not path:
        raise LabError(f"{name} is needed inside the lab's machines and is not "
                       "installed; run 'scripts/install-deps'.")
    return path


def parse_libraries(text):
    """The paths in what ldd prints: libraries and the dynamic linker."""
    return re.findall(r"(?:=> |^\s*)(/\S+) \(0x", text, re.MULTILINE)


def libraries(program):
    """What a program of the host is linked with."""
    result = subprocess.run(["ldd", program], capture_output=True, text=True,
                            check=False)
    if result.returncode:
        raise LabError(f"ldd does not tell what {program} needs:\n"
                       f"{result.stderr}")
    return parse_libraries(result.stdout)


def add_host_programs(archive, names):
    """
    Add programs of the host and the libraries that they are linked with, each
    where its user looks for it; the programs in a directory that comes before
    busybox's.
    """
    needed = set()
    for name in names:
        path = find_program(name)
        archive.file(f"lab/bin/{name}", pathlib.Path(path).read_bytes())
        needed.update(libraries(path))
    known = set()
    for library in sorted(needed):
        for above in reversed(pathlib.PurePath(library).parents):
            if above.name and above not in known:
                archive.directory(str(above).lstrip("/"))
                known.add(above)
        archive.file(library.lstrip("/"), pathlib.Path(library).read_bytes())


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
    lines = [f"MACHINE={machine.name}", f"CPU={machine.cpu}"]
    for role, name in machine.roles.items():
        lines.append(f"{role.upper()}={name}")
        disk = machine.device(name).settings.get("disk")
        if disk:
            lines.append(f"{role.upper()}_DISK={disk}")
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


def user_space(init, directories=()):
    """An archive with busybox, and with what runs first and last."""
    busybox = shutil.which("busybox")
    if not busybox:
        raise LabError("busybox is needed inside the lab's machines and is "
                       "not installed; run 'scripts/install-deps'.")
    archive = Archive()
    for name in ("dev", "bin", "lab", *directories):
        archive.directory(name)
    archive.console()
    archive.file("bin/busybox", pathlib.Path(busybox).read_bytes())
    archive.file("init", (GUEST / init).read_bytes())
    archive.file("lab/after.sh", (GUEST / "after.sh").read_bytes(), 0o644)
    return archive


def build_kunit_initramfs(path):
    """Write the file system for a kernel that has run its KUnit suites."""
    path.write_bytes(user_space("init-kunit").finish())


def build_initramfs(path, machine, programs, wanted=(), modules=()):
    """
    Write the initial file system of this machine, with the lab's programs,
    those of the host that are wanted, and modules of the kernel.
    """
    archive = user_space("init", ("etc", "lab/bin", "lab/modules",
                                  "lab/scenarios"))
    for name in ("lib.sh", "nvmet.sh", "storm.sh", "welcome"):
        archive.file(f"lab/{name}", (GUEST / name).read_bytes(), 0o644)
    archive.file("etc/passwd", USERS.encode(), 0o644)
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    archive.file("lab/machine", machine_words(machine).encode(), 0o644)
    archive.file("lab/routes", route_words(machine).encode(), 0o644)
    for name in scenario_names():
        archive.file(f"lab/scenarios/{name}", (SCENARIOS / name).read_bytes())
    for program in programs:
        archive.file(f"lab/bin/{program.name}", program.read_bytes())
    for module in modules:
        archive.file(f"lab/modules/{module.name}", module.read_bytes(), 0o644)
    add_host_programs(archive, wanted)
    path.write_bytes(archive.finish())
