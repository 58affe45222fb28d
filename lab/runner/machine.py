# SPDX-License-Identifier: GPL-2.0
"""
Machines: what a file in lab/machines/ may say, and what QEMU is told.

A machine is a TOML file.  Top level:

    summary    one line for 'lab/run list'
    cpu        QEMU's CPU model                      (default "max")
    smp        number of CPUs                        (default 2)
    memory     RAM, e.g. "768M"                      (default "768M")
    timeout    seconds for boot and scenario, after
               which the run counts as hung          (default 600)
    kernel     list of further kernel parameters
    scenarios  list of the scenarios that fit this machine
    partner    name of another machine that is booted along, for the same
               scenario; what has an image has different names in the two

[roles] names the devices by what they do in a scenario (provider, source,
destination).  [iommu] has model = "intel", "amd" or "virtio", and
options = "..." for what QEMU's device takes; translated = false if the kernel
is told to let addresses pass as they are; faults = true if some that it refuses
are what the machine is there to show.

Each [[device]] has a type, a name, and the name of the device that it is
plugged into (below; left out, it sits in the root complex).  slot and
function fix its place, which makes multi-function devices.  The types are in
DEVICE_TYPES, with the keys that each takes.  A drive with functions = N stands
for N drives, which are the functions 0 to N-1 of one device in that slot; 0
to N-1 is appended to its name.  A drive with metadata = N has so many bytes of
it for each block, in a buffer of its own; cmb and pmr give a drive a controller
memory buffer and a persistent memory region of that size.  Shared memory with
file = true is a file on the host, full of random bytes, beside the drives'
images.  A drive with path-to = "NAME" is a second controller of the drive of
that name, which stands before it, and has no disk but that one's: two paths to
the same data.  A drive with later = true is not there when the machine boots; the
scenario plugs it into a port, and the ports of such a machine do hotplug as
hardware does, not through the firmware.  A switch port with room = "32M" has
addresses for that much memory of a drive to come.  A network card with
cable = true is connected to that of the partner.

Each [[route]] is the expected verdict of the kernel for one provider and one
client: type, and distance unless the type is "unsupported"; reason if the
machine exists to show that reason, and port, the port that decides, likewise.
provider and client may be patterns such as "b[0-3]" or "*"; the route is then
expected of every device that can be in that place: all endpoints as clients,
all that have memory as providers.

A mistake is reported with the file's name and the key that is wrong.
"""

import dataclasses
import fnmatch
import pathlib
import re
import tomllib

from .errors import LabError

ROUTE_TYPES = ("bus-address", "host-bridge", "unsupported")
ROLES = ("provider", "source", "destination")
IOMMU_DEVICES = {
    "intel": "intel-iommu",
    "amd": "amd-iommu",
    "virtio": "virtio-iommu-pci",
}
TOP_KEYS = {
    "summary": str, "cpu": str, "smp": int, "memory": str, "timeout": int,
    "partner": str, "kernel": list, "scenarios": list, "roles": dict,
    "iommu": dict, "device": list, "route": list,
}
ROUTE_KEYS = {"provider": str, "client": str, "type": str, "distance": int,
              "reason": str, "port": str}
COMMON_KEYS = {"type": str, "name": str, "below": str, "slot": int,
               "function": int}
BLOCK = 512                 # bytes of a drive's
MAX_FUNCTIONS = 8           # of one device, without virtual functions


@dataclasses.dataclass(frozen=True)
class DeviceType:
    """One value of a device's 'type' key."""
    words: str              # for people, in trees and lists
    carries: bool           # may other devices be plugged into it?
    keys: dict              # keys besides COMMON_KEYS


DEVICE_TYPES = {
    "host-bridge": DeviceType("host bridge", True,
                              {"bus-number": int, "bypass-iommu": bool}),
    "root-port": DeviceType("root port", True, {}),
    "switch": DeviceType("switch", True, {}),
    "switch-port": DeviceType("switch port", True,
                              {"acs": bool, "room": str}),
    "pci-bridge": DeviceType("PCIe-to-PCI bridge", True, {}),
    "nvme": DeviceType("NVMe drive", False,
                       {"cmb": str, "disk": str, "functions": int,
                        "later": bool, "metadata": int, "path-to": str,
                        "pmr": str}),
    "ivshmem": DeviceType("shared memory device", False,
                          {"memory": str, "file": bool}),
    "edu": DeviceType("DMA test device", False, {}),
    "e1000e": DeviceType("network card", False, {"cable": bool}),
}


@dataclasses.dataclass(frozen=True)
class Device:
    """One device of a machine."""
    name: str
    type: str
    below: str              # "" for the root complex
    place: str              # QEMU's addr= value, or ""
    settings: dict          # the keys that only this type has

    @property
    def words(self):
        return DEVICE_TYPES[self.type].words

    @property
    def later(self):
        """Is it plugged in by the scenario only?"""
        return self.settings.get("later", False)

    @property
    def memory(self):
        """Bytes of memory that it can provide."""
        return self.settings.get("cmb") or self.settings.get("pmr") \
            or self.settings.get("memory", 0)

    @property
    def image(self):
        """Bytes of the file on the host that its contents are in; 0: none."""
        if self.settings.get("file"):
            return self.settings["memory"]
        size = self.settings.get("disk", 0)
        if "metadata" in self.settings:
            # Of whole pages, or the kernel reads single blocks of it at first,
            # whose metadata share a cache line: DMA debugging complains
            size -= size % (BLOCK * (BLOCK + self.settings["metadata"]))
        return size

    @property
    def carries(self):
        return DEVICE_TYPES[self.type].carries


@dataclasses.dataclass(frozen=True)
class Route:
    """The verdict that the kernel should give for provider and client."""
    provider: str
    client: str
    type: str
    distance: int | None
    reason: str | None
    port: str | None        # name of the port that decides


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    summary: str
    cpu: str
    smp: int
    memory: int
    timeout: int
    partner: str
    kernel: tuple
    scenarios: tuple
    roles: dict
    iommu: dict
    devices: tuple
    routes: tuple

    def device(self, name):
        """The device of that name."""
        return next(dev for dev in self.devices if dev.name == name)

    def drives(self):
        """NVMe drives, in the order in which namespaces are numbered."""
        return [dev for dev in self.devices if dev.type == "nvme"]

    def namespace_id(self, name):
        """
        The NVMe namespace number of a drive, different for each drive of the
        machine: QEMU's trace names the namespace of a command but not the
        controller, so this number is what tells the controllers apart.  A
        drive that is plugged in later has the first one, because QEMU gives
        it no other.
        """
        order = sorted(self.drives(), key=lambda dev: not dev.later)
        return 1 + [dev.name for dev in order].index(name)

    def has_paths(self, name):
        """Is there more than one path to a drive's data?"""
        return any(dev.settings.get("path-to") == name
                   for dev in self.devices)

    @property
    def translated(self):
        """Does an IOMMU translate the addresses that drives are told?"""
        return bool(self.iommu) and self.iommu.get("translated", True)

    def roles_of(self, name):
        return [role for role in ROLES if self.roles.get(role) == name]


def parse_size(text):
    """'64M' and the like in bytes; None if it is not a size."""
    match = re.fullmatch(r"([1-9][0-9]*)([KMG])", text)
    if not match:
        return None
    return int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]]


class _Reader:
    """Takes a parsed TOML file apart and complains by file name and key."""

    def __init__(self, path):
        self.path = path

    def fail(self, text):
        raise LabError(f"{self.path}: {text}")

    def check_keys(self, where, table, allowed):
        for key, value in table.items():
            if key not in allowed:
                self.fail(f"{where}: unknown key '{key}'; "
                          f"known are: {', '.join(sorted(allowed))}")
            # bool is an int to Python, but not to the reader of the file
            if type(value) is not allowed[key]:
                self.fail(f"{where}: '{key}' must be a "
                          f"{allowed[key].__name__}, not {value!r}")

    def need(self, where, table, *keys):
        for key in keys:
            if key not in table:
                self.fail(f"{where}: key '{key}' is missing")

    def size(self, where, table, key, default=None):
        text = table.get(key, default)
        if text is None:
            return None
        size = parse_size(text)
        if size is None:
            self.fail(f"{where}: '{key}' must be a size such as \"64M\", "
                      f"not {text!r}")
        return size

    def strings(self, table, key):
        values = table.get(key, [])
        if not all(isinstance(value, str) for value in values):
            self.fail(f"top level: '{key}' must be a list of strings")
        return tuple(values)

    def device(self, table, known):
        where = f"device {table.get('name', '(without a name)')}"
        self.need(where, table, "type", "name")
        if table["type"] not in DEVICE_TYPES:
            self.fail(f"{where}: unknown type '{table['type']}'; "
                      f"known are: {', '.join(DEVICE_TYPES)}")
        kind = DEVICE_TYPES[table["type"]]
        self.check_keys(where, table, COMMON_KEYS | kind.keys)
        if not re.fullmatch(r"[a-z][a-z0-9]*", table["name"]):
            self.fail(f"{where}: a name is a small letter followed by small "
                      "letters and digits")
        below = table.get("below", "")
        if below and below not in known:
            self.fail(f"{where}: below = \"{below}\", but no device of that "
                      "name stands before it in the file")
        if below and not DEVICE_TYPES[known[below].type].carries:
            self.fail(f"{where}: nothing can be plugged into '{below}', "
                      f"which is a device of type {known[below].type}")
        above = known[below].type if below else ""
        if (table["type"] == "switch-port") != (above == "switch"):
            self.fail(f"{where}: switch ports, and only they, go directly "
                      "below a device of type switch")
        place = ""
        if "slot" in table or "function" in table:
            self.need(where, table, "slot", "functions" if "functions" in table
                      else "function")
            place = f"{table['slot']:x}.{table.get('function', 0):x}"
        settings = {key: table[key] for key in kind.keys if key in table}
        for key in ("cmb", "disk", "memory", "pmr", "room"):
            if key in settings:
                settings[key] = self.size(where, settings, key)
        if table["type"] == "nvme":
            if "path-to" in table:
                self.check_path(where, table, known)
            else:
                self.need(where, table, "disk")
            if settings.get("cmb", 1 << 20) % (1 << 20):
                self.fail(f"{where}: 'cmb' must be whole mebibytes")
            if settings.get("pmr", 1).bit_count() != 1:
                self.fail(f"{where}: 'pmr' must be a power of two")
            self.check_later(where, table, known)
        if "room" in table and not table.get("acs"):
            self.fail(f"{where}: 'room' needs acs = true, because QEMU's "
                      "other switch ports cannot reserve any")
        if table["type"] == "host-bridge":
            self.need(where, table, "bus-number")
        if table["type"] == "ivshmem":
            self.need(where, table, "memory")
        return Device(table["name"], table["type"], below, place, settings)

    def check_later(self, where, table, known):
        if not table.get("later"):
            return
        for key in ("below", "slot", "functions"):
            if key in table:
                self.fail(f"{where}: '{key}' makes no sense with later = "
                          "true; the scenario says where it is plugged in")
        if any(dev.later for dev in known.values()):
            self.fail(f"{where}: only one drive can be plugged in later")

    def check_path(self, where, table, known):
        for key in ("disk", "functions", "later", "metadata"):
            if key in table:
                self.fail(f"{where}: '{key}' and 'path-to' exclude each other")
        first = known.get(table["path-to"])
        if not first or first.type != "nvme" or first.later \
                or "disk" not in first.settings:
            self.fail(f"{where}: path-to = \"{table['path-to']}\", but no "
                      "drive of that name, with a disk, stands before it in "
                      "the file")

    def functions(self, dev, table):
        """The devices that one table describes."""
        if "functions" not in table:
            return [dev]
        where = f"device {dev.name}"
        self.need(where, table, "slot")
        if "function" in table:
            self.fail(f"{where}: 'function' and 'functions' exclude each "
                      "other")
        if not 2 <= table["functions"] <= MAX_FUNCTIONS:
            self.fail(f"{where}: 'functions' must be 2 to {MAX_FUNCTIONS}, "
                      f"not {table['functions']}")
        return [dataclasses.replace(dev, name=f"{dev.name}{number}",
                                    place=f"{table['slot']:x}.{number:x}")
                for number in range(table["functions"])]

    def routes(self, number, table, known):
        """The routes that one table describes."""
        where = f"route {number}"
        self.check_keys(where, table, ROUTE_KEYS)
        self.need(where, table, "provider", "client", "type")
        if table["type"] not in ROUTE_TYPES:
            self.fail(f"{where}: unknown type '{table['type']}'; "
                      f"known are: {', '.join(ROUTE_TYPES)}")
        if table["type"] != "unsupported":
            self.need(where, table, "distance")
        if "port" in table and table["port"] not in known:
            self.fail(f"{where}: port = \"{table['port']}\", but the machine "
                      "has no device of that name")
        ends = {}
        for key in ("provider", "client"):
            ends[key] = [
                dev.name for dev in known.values()
                if fnmatch.fnmatchcase(dev.name, table[key])
                and not dev.carries and not dev.later
                and (key == "client" or dev.memory)]
            if not ends[key]:
                self.fail(f"{where}: {key} = \"{table[key]}\", but when the "
                          "machine boots it has no device of that name that "
                          f"can be a {key}")
        return [Route(provider, client, table["type"], table.get("distance"),
                      table.get("reason"), table.get("port"))
                for provider in ends["provider"] for client in ends["client"]]

    def all_routes(self, top, known):
        """The routes of all tables; each pair once."""
        routes = {}
        for number, table in enumerate(top.get("route", []), start=1):
            for route in self.routes(number, table, known):
                pair = (route.provider, route.client)
                if pair in routes:
                    self.fail(f"route {number}: the route between provider "
                              f"'{pair[0]}' and client '{pair[1]}' is in the "
                              "file already")
                routes[pair] = route
        return tuple(routes.values())

    def machine(self, name, top):
        self.check_keys("top level", top, TOP_KEYS)
        self.need("top level", top, "summary", "device")
        known = {}
        for table in top["device"]:
            dev = self.device(table, known)
            for function in self.functions(dev, table):
                if function.name in known:
                    self.fail(f"device {dev.name}: the name '{function.name}' "
                              "is taken by another device")
                known[function.name] = function
        roles = top.get("roles", {})
        self.check_keys("roles", roles, dict.fromkeys(ROLES, str))
        for role, dev in roles.items():
            if dev not in known:
                self.fail(f"roles: {role} = \"{dev}\", but the machine has "
                          "no device of that name")
        iommu = top.get("iommu", {})
        self.check_keys("iommu", iommu, {"model": str, "options": str,
                                         "faults": bool,
                                         "translated": bool})
        if iommu:
            self.need("iommu", iommu, "model")
            if iommu["model"] not in IOMMU_DEVICES:
                self.fail(f"iommu: unknown model '{iommu['model']}'; "
                          f"known are: {', '.join(IOMMU_DEVICES)}")
        return Machine(
            name=name, summary=top["summary"], cpu=top.get("cpu", "max"),
            smp=top.get("smp", 2),
            memory=self.size("top level", top, "memory", "768M"),
            timeout=top.get("timeout", 600),
            partner=top.get("partner", ""),
            kernel=self.strings(top, "kernel"),
            scenarios=self.strings(top, "scenarios"),
            roles=roles, iommu=iommu, devices=tuple(known.values()),
            routes=self.all_routes(top, known))


def parse(path, text):
    """The machine that the text of a file describes."""
    reader = _Reader(path)
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        reader.fail(f"not a TOML file: {err}")
    return reader.machine(pathlib.Path(path).stem, top)


def names(directory):
    """The names of the machines in a directory."""
    return sorted(path.stem for path in pathlib.Path(directory).glob("*.toml"))


def load(directory, name):
    """The machine of that name."""
    if name not in names(directory):
        raise LabError(f"there is no machine '{name}'; there are: "
                       f"{', '.join(names(directory))}.")
    path = pathlib.Path(directory) / f"{name}.toml"
    return parse(path, path.read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True)
class Cable:
    """This machine's end of the cable to its partner."""
    fd: int                 # of a socket
    address: str            # Ethernet address of the card at this end


def _device_options(machine, dev, number, disk, cable):
    """QEMU's options for one device; disk is the path of its image."""
    bus = dev.below or "pcie.0"
    tail = f",bus={bus}"
    if dev.place:
        tail += f",addr={dev.place},multifunction=on"
    port = f",chassis={number},slot={number}"
    name, settings = dev.name, dev.settings

    if dev.type == "host-bridge":
        bypass = "on" if settings.get("bypass-iommu") else "off"
        return ["-device", f"pxb-pcie,id={name},"
                f"bus_nr={settings['bus-number']},"
                f"bypass_iommu={bypass}{tail}"]
    if dev.type == "root-port":
        return ["-device", f"pcie-root-port,id={name}{port}{tail}"]
    if dev.type == "switch":
        return ["-device", f"x3130-upstream,id={name}{tail}"]
    if dev.type == "switch-port":
        # QEMU 7.2's own switch ports have no ACS capability.  A root port
        # below the switch is enumerated as a port with one.
        model = "pcie-root-port" if settings.get("acs") \
            else "xio3130-downstream"
        if "room" in settings:
            port += f",pref64-reserve={settings['room']}"
        return ["-device", f"{model},id={name}{port}{tail}"]
    if dev.type == "pci-bridge":
        return ["-device", f"pcie-pci-bridge,id={name}{tail}"]
    if dev.type == "nvme":
        image = [
            # Nobody reads it but through the host's page cache, and a busy
            # disk could keep the emulator waiting for longer than its guest.
            "-blockdev", f"driver=file,filename={disk},"
            f"node-name={name}-file,cache.no-flush=on",
            "-blockdev", f"driver=raw,file={name}-file,"
            f"node-name={name}-disk",
        ]
        if dev.later:
            return image
        cmb = settings.get("cmb", 0) >> 20
        nsid = machine.namespace_id(name)
        first = settings.get("path-to", name)
        shared, subsystem, member = "off", [], ""
        if machine.has_paths(first):
            shared = "on"
            subsystem = ["-device", f"nvme-subsys,id={first}-subsystem"]
            member = f",subsys={first}-subsystem"
        pmr, pmrdev = [], ""
        if "pmr" in settings:
            pmr = ["-object", f"memory-backend-ram,id={name}-pmr,share=on,"
                   f"size={settings['pmr']}"]
            pmrdev = f",pmrdev={name}-pmr"
        controller = [
            *pmr, "-device", f"nvme,id={name},serial={first},"
            f"cmb_size_mb={cmb}{pmrdev}{member}{tail}",
        ]
        if first != name:
            return controller
        return [
            *image, *subsystem, *controller,
            "-device", f"nvme-ns,bus={name},drive={name}-disk,nsid={nsid},"
            f"shared={shared},ms={settings.get('metadata', 0)}",
        ]
    if dev.type == "ivshmem":
        backend = f"memory-backend-file,mem-path={disk}" \
            if settings.get("file") else "memory-backend-ram"
        return [
            "-object", f"{backend},id={name}-memory,share=on,"
            f"size={settings['memory']}",
            "-device", f"ivshmem-plain,id={name},memdev={name}-memory{tail}",
        ]
    if dev.type == "e1000e":
        # without a partner there is nobody at the other end
        kind = "hubport,hubid=0" if cable is None else f"socket,fd={cable.fd}"
        address = "" if cable is None else f",mac={cable.address}"
        return [
            "-netdev", f"{kind},id={name}-net",
            "-device", f"e1000e,id={name},netdev={name}-net,romfile="
            f"{address}{tail}",
        ]
    # edu; its mask of addresses is 28 bits wide unless it is told otherwise
    return ["-device", f"edu,id={name},dma_mask=0xffffffffffffffff{tail}"]


def plug_arguments(dev, port):
    """
    What QEMU's monitor is told to plug this drive into a port.  share-rw,
    because QEMU 7.2 never quite forgets the controller that the image had
    when it was plugged in before.
    """
    return {"driver": "nvme", "id": dev.name, "serial": dev.name,
            "cmb_size_mb": dev.settings.get("cmb", 0) >> 20,
            "drive": f"{dev.name}-disk", "share-rw": True, "bus": port}


def qemu_options(machine, disks, cable=None):
    """
    The part of QEMU's command line that makes this machine; disks maps the
    name of each device that has an image to the path of that, and cable is for
    the network cards that have one.
    """
    board = "q35"
    if machine.iommu.get("model") == "intel":
        # what interrupt remapping needs; harmless without it
        board += ",kernel-irqchip=split"
    options = ["-machine", board, "-cpu", machine.cpu,
               "-smp", str(machine.smp), "-m", f"{machine.memory >> 20}M"]
    if machine.iommu:
        extra = machine.iommu.get("options", "")
        options += ["-device", IOMMU_DEVICES[machine.iommu["model"]]
                    + (f",{extra}" if extra else "")]
    if any(dev.later for dev in machine.devices):
        options += ["-global",
                    "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    for number, dev in enumerate(machine.devices, start=1):
        options += _device_options(
            machine, dev, number, disks.get(dev.name),
            cable if dev.settings.get("cable") else None)
    return options
