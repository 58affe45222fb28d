#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Tests of p2pctl: tests/run.py PROGRAM [MUTATIONS]

Runs the program on dumps of small machines (machines.py) and checks exit
status, text, JSON and drawings; on dumps of virtual machines, for which the
answers of their kernel are recorded (recorded/); then on dumps that were damaged on purpose, by
hand and MUTATIONS times at random (200 if not given; the same ones each time).
Expectations follow from PCIe r6.x sec 6.12.3, not from what the program said
once.  Prints KTAP; exits with 1 if a test failed.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import machines as m  # pylint: disable=wrong-import-position

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
HERE = os.path.dirname(os.path.abspath(__file__))
MUTATIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
DIRECT, HOST, NONE, ERROR = 0, 1, 2, 3
TESTS = []


class Skip(Exception):
    """This test cannot be run here."""


def p2pctl(args, dump=None, locale="C", **kwargs):
    """Run the program, on a dump if one is given."""
    if dump is not None:
        args = ["--from", "-"] + args
        kwargs["input"] = dump.encode()
    env = dict(os.environ, LC_ALL=locale)
    env.update(kwargs.pop("env", {}))
    done = subprocess.run([PROGRAM] + args, env=env, timeout=60, check=False,
                          stdout=kwargs.pop("stdout", subprocess.PIPE),
                          stderr=subprocess.PIPE, **kwargs)
    done.out = (done.stdout or b"").decode()
    done.err = done.stderr.decode()
    done.words = " ".join((done.out + " " + done.err).split())
    return done


def test(title):
    """Decorator: a function that returns None, or what is wrong."""
    def add(function):
        TESTS.append((title, function))
        return function
    return add


def expect(done, status, present=(), absent=()):
    """What is wrong with a run, if anything; blanks and line ends are equal."""
    if done.returncode != status:
        return f"exit status {done.returncode}, not {status}: {done.words}"
    for text in present:
        if text not in done.words:
            return f"'{text}' is missing in: {done.words}"
    for text in absent:
        if text in done.words:
            return f"'{text}' should not be in: {done.words}"
    return None


def why(title, machine, client, provider, status, reason, present=(),
        absent=(), **dump_args):
    """A test of one verdict: exit status, text, and the same in JSON."""
    def check():
        dump = m.dump(machine, **dump_args)
        args = ["why", client, provider]
        wrong = expect(p2pctl(args, dump), status, present, absent)
        if wrong:
            return wrong
        done = p2pctl(["--json"] + args, dump)
        if done.returncode != status:
            return f"with --json, exit status {done.returncode}"
        verdict = json.loads(done.out)["verdict"]
        types = {DIRECT: "bus-address", HOST: "host-bridge",
                 NONE: "unsupported", ERROR: "unknown"}
        if (verdict["type"], verdict["reason"]) != (types[status], reason):
            return f"JSON says {verdict}"
        return None

    TESTS.append((title, check))


REDIRECT = {"acs": m.SV | m.RR | m.CR | m.UF}
BOTH = {"client_port": REDIRECT, "provider_port": REDIRECT}
PAIR = ("04:00.0", "03:00.0")
BOOT = '"pci=disable_acs_redir=0000:02:01.0;0000:02:00.0"'

# One switch
why("ports without ACS route directly", m.switch(), *PAIR, DIRECT,
    "common-switch",
    ["0000:04:00.0 reaches 0000:03:00.0 directly, distance 4",
     "0000:01:00.0 upstream port, no ACS ^ here the paths meet"],
    ["boot with", "WARNING"])
why("full address", m.switch(), "0000:04:00.0", "0000:03:00.0", DIRECT,
    "common-switch")
why("ACS with redirection off", m.switch({"acs": m.SV | m.UF},
    {"acs": m.SV | m.UF}), *PAIR, DIRECT, "common-switch",
    ["ACS SV+ TB- RR- CR- UF+ EC- DT-"])
why("both ports redirect, host not listed", m.switch(**BOTH), *PAIR, NONE,
    "host-not-listed",
    [BOOT, "0000:02:01.0 downstream port, ACS SV+ TB- RR+ CR+ UF+ EC- DT- "
     "^ redirects requests", "^ redirects completions",
     "setpci -s 0000:02:01.0 ECAP_ACS+6.w=0:2c",
     "setpci -s 0000:02:00.0 ECAP_ACS+6.w=0:2c",
     "pci_p2pdma.host_bridges=8086:29c0", "WARNING: this overrides"])
why("both ports redirect, host listed", m.switch(**BOTH, ident="8086:2020"),
    *PAIR, HOST, "host-forwards",
    ["through the host bridge, distance 4", BOOT], ["WARNING"])
why("both ports redirect, AMD CPU that forwards", m.switch(**BOTH), *PAIR,
    HOST, "cpu-forwards", cpu="AuthenticAMD 23")
why("both ports redirect, AMD CPU before Zen", m.switch(**BOTH), *PAIR, NONE,
    "host-not-listed", cpu="AuthenticAMD 22")
why("only requests are redirected", m.switch({"acs": m.RR}), *PAIR, NONE,
    "host-not-listed", ['"pci=disable_acs_redir=0000:02:01.0"'])
why("only completions are redirected", m.switch(None, {"acs": m.CR}), *PAIR,
    NONE, "host-not-listed", ['"pci=disable_acs_redir=0000:02:00.0"'])
why("redirection of the other direction does not matter",
    m.switch({"acs": m.CR}, {"acs": m.RR}), *PAIR, DIRECT, "common-switch")
why("redirection above the switch does not matter",
    m.switch(root_port=REDIRECT), *PAIR, DIRECT, "common-switch")
why("same function", m.switch(**BOTH), "03:00.0", "03:00.0", DIRECT,
    "same-function", ["distance 0"])
why("a port and what is below it", m.switch(**BOTH), "04:00.0", "02:01.0",
    DIRECT, "common-switch", ["distance 1"])

# Egress control: the target is the number of the provider's port
EGRESS = [{"acs": m.EC, "vector": 1 << 3}, {"port": 3}]
why("egress control forbids", m.switch(*EGRESS), *PAIR, NONE, "acs-violation",
    ["^ blocks requests", '"pci=config_acs=x0x000x@0000:02:01.0"',
     "ECAP_ACS+6.w=0:2e"])
why("egress control allows", m.switch({"acs": m.EC | m.RR, "vector": 1 << 2},
    {"port": 3}), *PAIR, DIRECT, "common-switch")
why("egress control redirects", m.switch({"acs": m.EC | m.RR, "vector": 8},
    {"port": 3}), *PAIR, NONE, "host-not-listed")
why("egress control beyond the vector", m.switch({"acs": m.EC}, {"port": 9}),
    *PAIR, NONE, "port-unreadable", (), ["boot with"])

# Translated requests
ATS = {"ats": True}
why("direct translated", m.switch({"acs": m.RR | m.DT}, client=ATS), *PAIR,
    HOST, "direct-translated")
why("direct translated, client without ATS", m.switch({"acs": m.RR | m.DT}),
    *PAIR, NONE, "host-not-listed")
why("direct translated, bus addresses that differ",
    m.switch({"acs": m.RR | m.DT}, client=ATS,
             provider={"bar": (0x4000000000, 0x80000000)}), *PAIR, NONE,
    "host-not-listed")
why("direct translated, bus addresses that are equal",
    m.switch({"acs": m.RR | m.DT}, client=ATS,
             provider={"bar": (0x4000000000, 0x4000000000)}), *PAIR, HOST,
    "direct-translated")
why("translation blocking", m.switch({"acs": m.TB}, client=ATS), *PAIR, NONE,
    "acs-violation", ['"pci=config_acs=x0x000x@0000:02:01.0"'])

# Nested switches
why("redirection below the inner switch does not matter", m.nested(REDIRECT),
    "06:00.0", "08:00.0", DIRECT, "common-switch", ["distance 6"])
why("redirection where the paths part", m.nested(None, REDIRECT), "06:00.0",
    "08:00.0", NONE, "host-not-listed",
    ['"pci=disable_acs_redir=0000:02:00.0"'])
why("redirected, and passed on", m.nested(REDIRECT, {"acs": m.UF}), "06:00.0",
    "07:00.0", HOST, "cpu-forwards", cpu="AuthenticAMD 25")
why("redirected, but not passed on", m.nested(REDIRECT, {"acs": m.RR}),
    "06:00.0", "07:00.0", NONE, "not-sent-up",
    ["It gets stuck at 0000:02:00.0"], cpu="AuthenticAMD 25")

# Root complexes
why("root ports, host not listed", m.root_ports(), "02:00.0", "01:00.0", NONE,
    "host-not-listed", ["root complex where the paths meet"], ["setpci"])
why("root ports, host listed", m.root_ports("8086:2020"), "02:00.0", "01:00.0",
    HOST, "host-forwards")
why("root ports, the administrator's word", m.root_ports(), "02:00.0",
    "01:00.0", HOST, "admin-says", ["alone: verify the data"],
    host_bridges="8086:29c0")
why("root ports, the administrator's word on another", m.root_ports(),
    "02:00.0", "01:00.0", NONE, "host-not-listed",
    ["pci_p2pdma.host_bridges=8086:29c0,8086:1234@same"],
    host_bridges="8086:1234@same")
why("kernel without the parameter", m.root_ports(), "02:00.0", "01:00.0",
    NONE, "host-not-listed", ["of that machine has no such parameter"],
    host_bridges=None)
why("hypervisor vouches", m.root_ports(clique=5), "02:00.0", "01:00.0", HOST,
    "hypervisor-says", cpu="GenuineIntel 6 hypervisor")
why("devices vouch for themselves", m.root_ports(clique=5), "02:00.0", "01:00.0",
    NONE, "host-not-listed")
why("two host bridges, listed for one only", m.two_hosts("8086:3c00"),
    "81:00.0", "01:00.0", NONE, "host-bridges-apart",
    ["pci_p2pdma.host_bridges=8086:3c00"])
why("two host bridges, listed", m.two_hosts("8086:09a2"), "81:00.0",
    "01:00.0", HOST, "host-forwards")
why("a domain beyond 16 bits", m.two_hosts("8086:09a2", "10000:00"),
    "10000:01:00.0", "01:00.0", HOST, "host-forwards")

# Functions of one device, conventional PCI
why("functions of one device", m.functions(), "01:00.1", "01:00.0", DIRECT,
    "same-device", ["distance 2"])
why("functions of one device, redirecting", m.functions(m.RR), "01:00.1",
    "01:00.0", NONE, "host-not-listed")
why("virtual function", m.functions(virtual=True), "02:10.0", "01:00.0",
    DIRECT, "same-device")
why("conventional PCI bus", m.conventional(), "02:02.0", "02:01.0", DIRECT,
    "common-segment")

# What cannot be read
why("port that does not answer", m.switch({"gone": True}), *PAIR, NONE,
    "port-unreadable", ["does not answer", "decides, but cannot be read"],
    ["boot with"])
why("provider that does not answer", m.switch(provider={"gone": True}), *PAIR,
    NONE, "port-unreadable")
why("configuration space cut at 64 bytes", m.switch({"readable": 64}), *PAIR,
    ERROR, "config-unread",
    ["0000:02:01.0 can be read up to byte 64 of 4096 only: make the dump as root",
     "ACS unknown (needs root)"])
why("configuration space that could not be read at all",
    m.switch(client={"readable": 0}), *PAIR, ERROR, "config-unread")


MACHINES = {
    "switch": m.dump(m.switch()),
    "redirect": m.dump(m.switch(**BOTH)),
    "amd": m.dump(m.switch(**BOTH), cpu="AuthenticAMD 25"),
    "nested": m.dump(m.nested(REDIRECT, REDIRECT)),
    "override": m.dump(m.root_ports(), host_bridges="8086:*"),
    "hosts": m.dump(m.two_hosts("8086:3c00", "10000:00")),
    "functions": m.dump(m.functions(m.RR)),
    "conventional": m.dump(m.conventional()),
    "cut": m.dump(m.switch({"readable": 64})),
    "gone": m.dump(m.switch({"gone": True})),
    "large": m.dump(m.large()),
    "empty": m.dump([]),
}
COMMANDS = [[], ["matrix"], ["matrix", "--all"], ["providers"]]


def endpoints(dump):
    """Names of all functions that are no bridges."""
    return re.findall(r"^function (\S+)\n(?:parent|physfn)(?:.*\n)+?class (?!06)",
                      dump, re.M)


@test("output fits 80 columns, in ASCII and in UTF-8, and has no loose ends")
def columns():
    for name, dump in MACHINES.items():
        runs = COMMANDS + [["why"] + endpoints(dump)[:2][::-1]]
        for args in runs if endpoints(dump) else COMMANDS:
            for locale in "C", "C.UTF-8":
                done = p2pctl(args, dump, locale)
                for line in done.out.splitlines():
                    if len(line) > 80 or line != line.rstrip():
                        return f"{name} {args}: '{line}'"
                if locale == "C" and not done.out.isascii():
                    return f"{name} {args}: not ASCII"
                if done.returncode == ERROR and args[:1] != ["why"]:
                    return f"{name} {args}: {done.err}"
    return None


@test("the tree is drawn by the locale")
def drawing():
    dump = MACHINES["switch"]
    return (expect(p2pctl([], dump), 0, ["`-- 0000:00:01.0 root port",
                                         "|-- 0000:02:00.0 downstream port",
                                         "P1: 64 MiB, 32 MiB free, published",
                                         "-> P1 direct"])
            or expect(p2pctl([], dump, "C.UTF-8"), 0,
                      ["\u2514\u2500\u2500 0000:00:01.0 root port"]))


@test("--json is JSON, of all machines and commands")
def is_json():
    for name, dump in MACHINES.items():
        for args in COMMANDS:
            done = p2pctl(["--json"] + args, dump)
            tool = subprocess.run([sys.executable, "-m", "json.tool"],
                                  input=done.stdout, check=False,
                                  capture_output=True)
            if done.returncode or tool.returncode:
                return f"{name} {args}: {tool.stderr.decode()}{done.err}"
    return None


@test("--json has the keys that the manual page names")
def keys():
    with open(os.path.join(HERE, "..", "p2pctl.8"), encoding="ascii") as file:
        named = set(re.findall(r"^\.It Li (\w+)$", file.read(), re.M))
    seen = set()

    def collect(value):
        if isinstance(value, dict):
            seen.update(value)
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (dict, list)):
                collect(item)

    for args in COMMANDS + [["why", *PAIR]]:
        collect(json.loads(p2pctl(["--json"] + args,
                                  MACHINES["redirect"]).out))
    if seen != named:
        return f"only in one of them: {sorted(seen ^ named)}"
    return None


@test("matrix and why agree on every pair")
def agreement():
    letters = {"D": DIRECT, "S": DIRECT, "H": HOST, "-": NONE, "?": ERROR}
    for name in "nested", "override", "cut", "functions":
        dump = MACHINES[name]
        done = p2pctl(["matrix", "--all"], dump)
        rows = [line.split() for line in
                re.sub(r" (\d+)", r":\1", done.out).splitlines()]
        head = next(row for row in rows if row[:1] == ["client"])
        for row in rows:
            if len(row) != len(head) or row == head or row[0][0] != "0":
                continue
            for provider, cell in zip(head[1:], row[1:]):
                status = p2pctl(["why", row[0], provider], dump).returncode
                if status != letters[cell[0].upper()]:
                    return f"{name}: {row[0]} to {provider}: {cell}, {status}"
    return None


@test("recorded machines: the verdicts are those that their kernel gave")
def recorded():
    place = os.path.join(HERE, "recorded")
    names = sorted(name[:-5] for name in os.listdir(place)
                   if name.endswith(".dump"))
    for name in names:
        done = p2pctl(["--from", os.path.join(place, name + ".dump"), "--json",
                       "matrix", "--all"])
        if done.returncode:
            return f"{name}: {done.err}"
        here = {" ".join(str(route[key]) for key in
                         ("client", "provider", "type", "reason", "distance",
                          "override", "request_port", "completion_port"))
                for route in json.loads(done.out)["routes"]}
        with open(os.path.join(place, name + ".routes"), encoding="ascii") as file:
            kernel = {line.strip() for line in file if line[0] != "#"}
        if here != kernel:
            return f"{name}: in one of them only: {sorted(here ^ kernel)}"
    return None if names else "there are no recordings"


@test("the matrix of many functions has every pair once")
def many():
    dump = MACHINES["large"]
    clients = endpoints(dump)
    routes = json.loads(p2pctl(["--json", "matrix", "--all"], dump).out)["routes"]
    pairs = {(route["client"], route["provider"]) for route in routes}
    if len(clients) != 64 or len(routes) != 64 * 64 or len(pairs) != 64 * 64:
        return f"{len(clients)} clients, {len(routes)} routes"
    text = p2pctl(["matrix", "--all"], dump).out
    if len(re.findall(r" [DSH]\d+| -", text.split("\nD: ")[0])) < 64 * 64:
        return "the text has fewer"
    return None


@test("providers are listed with who reaches them")
def providers():
    return (expect(p2pctl(["providers"], MACHINES["switch"]), 0,
                   ["0000:03:00.0", "64 MiB, 32 MiB free, published",
                    "directly: 0000:04:00.0"])
            or expect(p2pctl(["providers"], MACHINES["redirect"]), 0,
                      ["not: 0000:04:00.0"])
            or expect(p2pctl(["providers"], MACHINES["empty"]), 0,
                      ["No function provides"]))


@test("the line for /etc/default/grub does what it says")
def grub():
    out = p2pctl(["why", *PAIR], MACHINES["redirect"]).out
    lines = re.search(r"^  (GRUB_CMDLINE_LINUX=.*\n.*)$", out, re.M).group(1)
    script = f'GRUB_CMDLINE_LINUX=quiet\n{lines}\nprintf %s "$GRUB_CMDLINE_LINUX"'
    done = subprocess.run(["sh", "-c", script], capture_output=True,
                          text=True, check=False)
    if done.stdout != f"quiet {BOOT}" or done.stderr:
        return f"the shell makes '{done.stdout}' of it {done.stderr}"
    return None


@test("--dot draws, and marks route and ports")
def dot():
    done = p2pctl(["--dot", "why", *PAIR], MACHINES["redirect"])
    wrong = expect(done, NONE, ["digraph", "redirects requests",
                                "penwidth=4"])
    for name, dump in MACHINES.items():
        done = p2pctl(["--dot"], dump)
        if done.returncode or done.out.count("{") != done.out.count("}"):
            return f"{name}: {done.out}"
    return wrong


@test("--svg is what graphviz draws")
def svg():
    if not shutil.which("dot"):
        raise Skip("graphviz is not installed")
    for args in [], ["why", *PAIR]:
        done = p2pctl(["--svg"] + args, MACHINES["amd"])
        if done.returncode != bool(args) or "</svg>" not in done.out:
            return f"{args}: {done.returncode} {done.err}"
    return None


@test("--svg without graphviz says what to install")
def no_graphviz():
    return expect(p2pctl(["--svg"], MACHINES["amd"], env={"PATH": "/nowhere"}),
                  ERROR, ["install the package graphviz"])


@test("mistakes in the command line get a clear message")
def mistakes():
    dump = MACHINES["switch"]
    for args, message in [
            (["why", "1:2:3:4", "03:00.0"], "not the address of a PCI function"),
            (["why", "nvme0", "03:00.0"], "not the address of a PCI function"),
            (["why", "04:00.8", "03:00.0"], "not the address of a PCI function"),
            (["why", "04:20.0", "03:00.0"], "not the address of a PCI function"),
            (["why", "04:00.0", "99:00.0"], "there is no PCI function 99:00.0"),
            (["why", "04:00.0"], "use it as 'p2pctl why CLIENT PROVIDER'"),
            (["matrix", "x"], "use it as 'p2pctl matrix'"),
            (["frobnicate"], "there is no command 'frobnicate'"),
            (["--svg", "matrix"], "there is no drawing of 'matrix'"),
            (["--all"], "--all is for 'matrix'"),
            (["--frobnicate"], "unrecognized option"),
            (["dump", "x"], "leave out the options")]:
        wrong = expect(p2pctl(args, dump), ERROR, [message])
        if wrong:
            return f"{args}: {wrong}"
    return expect(p2pctl(["--from", "/nonexistent"]), ERROR,
                  ["cannot open /nonexistent: No such file"])


@test("--help and --version")
def information():
    return (expect(p2pctl(["--help"]), 0, ["Usage: p2pctl", "Exit status"])
            or expect(p2pctl(["--version"]), 0, ["p2pctl 1."]))


@test("a full disk is noticed")
def full():
    with open("/dev/full", "wb") as file:
        return expect(p2pctl([], MACHINES["switch"], stdout=file), ERROR,
                      ["No space left"])


def damaged(good, pattern, replacement):
    """A dump with one change, and the line in which it is."""
    bad, count = re.subn(pattern, replacement, good, count=1, flags=re.M)
    assert count == 1, pattern
    for number, (a, b) in enumerate(zip(good.split("\n"), bad.split("\n"))):
        if a != b:
            return bad, number + 1
    raise AssertionError(pattern)


@test("a damaged dump is refused with line and reason")
def broken():
    good = MACHINES["switch"]
    for pattern, replacement, message in [
            (r"\Ap2pctl-dump 2", "hello", "this is not a dump"),
            (r"\Ap2pctl-dump 2", "p2pctl-dump 1", "reads version 2"),
            (r"^cpu GenuineIntel 6", "cpu GenuineIntel x", "'x' is not a valid CPU"),
            (r"^cpu GenuineIntel 6", "cpu GenuineIntel 6 x", "'x' is no feature"),
            (r"^host-bridges none", "host-bridges 8086", "not a list of host bridges"),
            (r"^class 010802", "colour 010802", "'colour' is not a keyword"),
            (r"^class 010802", "class 1010802", "not a valid class"),
            (r"^class 010802", "class 010802 1", "'1' is more than belongs here"),
            (r"^function 0000:04:00.0", "function 0000:03:00.0", "is there twice"),
            (r"^function 0000:04:00.0", "function 0000:04:20.0", "not a PCI address"),
            (r"^parent 0000:02:01.0", "parent 0000:77:00.0", "there is no parent"),
            (r"^parent 0000:02:01.0", "parent 0000:04:00.0", "is above itself"),
            (r"^parent 0000:02:01.0", "# parent", "has no parent"),
            (r"^parent pci0000:00", 'parent pci"0000:00', "is not the name of"),
            (r"^id 1b36:0010", "id 1b36-0010", "not of the form"),
            (r"^p2pmem 67108864", "p2pmem -1", "not a valid size"),
            (r"^config-size 1000 1000", "config-size 2000 1000", "not a valid size"),
            (r"^config-size 1000 1000", "config-size 1000 2000", "not a valid size"),
            (r"^config-size 1000 1000", "config-size 10 10", "no config space is as small"),
            (r"^config-size 1000 1000", "# config-size", "config space before its size"),
            (r"^config 140:", "config ffc:", "more config space than there is"),
            (r"^config 140:", "config 140", "not an offset and a colon"),
            (r"^config 040: 10", "config 040: 1g", "'1g' is not a byte"),
            (r"^end 7", "end 8", "7 functions are here, but 8 should be"),
            (r"^end 7", "# end", "the dump is cut short"),
            (r"^end 7\n", "end 7\nend 7\n", "something follows the end")]:
        bad, line = damaged(good, pattern, replacement)
        wrong = expect(p2pctl([], bad), ERROR, [message])
        if wrong:
            return f"{replacement}: {wrong}"
        where = re.search(r"standard input:(\d+): ", p2pctl([], bad).err)
        # A parent is looked up later: the line is the function's
        off = {"is above itself": 1, "there is no parent": 1, "has no parent": 1,
               "config space before its size": -1}
        if not where or int(where.group(1)) + off.get(message, 0) != line:
            return f"{replacement}: line {line}, but {p2pctl([], bad).err}"
    return expect(p2pctl([], ""), ERROR, ["the dump is empty"])


@test("structures that cannot be are refused")
def impossible():
    port = m.Function("0000:00:01.0", "pci0000:00", m.ROOT)
    for functions, message in [
            ([m.host(), port,
              m.Function("0000:01:00.0", "0000:00:01.0", m.ENDPOINT),
              m.Function("0000:01:00.1", "pci0000:00", m.ENDPOINT)],
             "another bus than others"),
            ([m.host(), port, m.Function("0000:00:02.0", "pci0000:00", m.ROOT),
              m.Function("0000:01:00.0", "0000:00:01.0", m.ENDPOINT),
              m.Function("0000:01:00.1", "0000:00:02.0", m.ENDPOINT)],
             "have different parents"),
            ([port, m.Function("0000:01:00.0", "0000:00:01.0", m.ENDPOINT),
              m.Function("0000:01:00.1", "0000:00:01.0", m.ROOT,
                         physfn="0000:01:00.0"),
              m.Function("0000:02:00.0", "0000:01:00.1", m.ENDPOINT)],
             "a virtual function cannot be its parent"),
            ([port, m.Function("0000:01:00.0", "0000:00:01.0", m.ENDPOINT,
                               physfn="0000:09:00.0")],
             "there is no physical function"),
            ([m.Function(f"{i >> 8:04x}:{i & 255:02x}:00.0",
                         f"{i - 1 >> 8:04x}:{i - 1 & 255:02x}:00.0" if i else
                         "pci0000:00", m.DOWN, size=0x40)
              for i in range(300)],
             "more bridges than there can be")]:
        wrong = expect(p2pctl([], m.dump(functions)), ERROR, [message])
        if wrong:
            return wrong
    return None


@test(f"{MUTATIONS} dumps damaged at random do no harm")
def mutations():
    chance = random.Random(1)
    good = list(MACHINES.values())
    for number in range(MUTATIONS):
        text = bytearray(chance.choice(good[:-2]).encode())
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(len(text))
            kind = chance.randrange(5)
            if kind == 0:
                del text[at:]
                if chance.randrange(2):
                    text += f"\nend {text.count(b'function')}\n".encode()
            elif kind == 1:
                text[at] = chance.randrange(256)
            elif kind == 2:
                text[at] = chance.choice(b"0123456789abcdef: \n")
            elif kind == 3:
                del text[at:at + chance.randrange(1, 100)]
            else:
                end = at + chance.randrange(1, 100)
                text[at:at] = text[at:end]
            if not text:
                break
        # Registers that lie: capabilities chained at random
        if chance.randrange(2):
            text = re.sub(rb"(?m)^(config [0-9a-f]{3}:)(.*)$", lambda line:
                          line.group(1) + b"".join(
                              b" %02x" % chance.randrange(256)
                              if not chance.randrange(8) else b" " + byte
                              for byte in line.group(2).split()), bytes(text))
        args = chance.choice(COMMANDS + [["why", *PAIR], ["--dot"],
                                         ["--json", "why", *PAIR]])
        done = subprocess.run([PROGRAM, "--from", "-"] + args,
                              input=bytes(text), check=False, timeout=60,
                              capture_output=True)
        if done.returncode not in (DIRECT, HOST, NONE, ERROR) or \
                (done.returncode == ERROR and not done.stderr) or \
                b"runtime error" in done.stderr or b"Sanitizer" in done.stderr:
            with tempfile.NamedTemporaryFile(delete=False) as file:
                file.write(text)
            return (f"{number}: {args} on {file.name}: status "
                    f"{done.returncode} {done.stderr[-600:]}")
    return None


def live():
    """The functions of this machine, if it has any."""
    try:
        names = os.listdir("/sys/bus/pci/devices")
    except FileNotFoundError:
        names = []
    if not names:
        raise Skip("this machine has no PCI functions")
    return sorted(names)


@test("this machine, and its own dump, are the same")
def round_trip():
    live()
    dump = p2pctl(["dump", "-"]).out
    for args in COMMANDS:
        now = json.loads(p2pctl(["--offline", "--json"] + args).out)
        later = json.loads(p2pctl(["--json"] + args, dump).out)
        if (now.pop("source"), later.pop("source")) != ("config", "dump"):
            return "it does not say where it looked"
        if now != later:
            return f"{args}: {now} {later}"
    return None


@test("without root, what is not known is called so")
def not_root():
    name = live()[0]
    if os.geteuid() or os.path.exists("/dev/pci-p2pdma"):
        raise Skip("needs root, and a kernel that cannot be asked")
    if os.stat(f"/sys/bus/pci/devices/{name}/config").st_size <= 64:
        raise Skip("nothing is hidden here")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        copy = shutil.copy(PROGRAM, place)
        done = subprocess.run([copy, "why", name, name], user=65534, cwd="/",
                              capture_output=True, text=True, check=False)
    if done.returncode != ERROR or "run p2pctl as root" not in done.stderr:
        return f"{done.returncode} {done.stderr}"
    return None


# Commands that move data.  Files stand for drives, which needs a place that
# takes direct I/O; memory of providers is what the lab's machines have.

def refused(args, *parts):
    """Is this command line refused, and the message helpful?"""
    done = p2pctl(args)
    if done.returncode != ERROR:
        return f"{args}: status {done.returncode}"
    missing = [part for part in parts if part not in done.words]
    return f"{args}: {done.words}" if missing else None


@test("options of verify, copy and stat are checked")
def moving_options():
    live()
    for args, *parts in (
            (["copy", "a"], "use it as 'p2pctl copy SOURCE TARGET'"),
            (["verify", "a"], "use it as 'p2pctl verify DRIVE PROVIDER'"),
            (["copy", "a", "b", "--count", "1"], "--count is not for 'copy'"),
            (["copy", "a", "b", "--scratch", "0,1M"], "not for 'copy'"),
            (["verify", "a", "b", "--via", "c"], "not for 'verify'"),
            (["stat", "--force"], "--force is not for 'stat'"),
            (["matrix", "--bytes", "1"], "--bytes is not for 'matrix'"),
            (["copy", "a", "b", "--block", "0"], "--block takes a number"),
            (["copy", "a", "b", "--block", "1000"], "multiple of 4096"),
            (["copy", "a", "b", "--block", "2G"], "from 1 to 1073741824"),
            (["copy", "a", "b", "--depth", "4097"], "from 1 to 4096"),
            (["copy", "a", "b", "--bytes", "12Q"], "not '12Q'"),
            (["copy", "a", "b", "--bytes", "99999999999999999999"], "not '9"),
            (["copy", "a", "b", "--source-offset", "-1"], "not '-1'"),
            (["copy", "--json", "a", "b"], "leave out --from and --json"),
            (["copy", "--from", "x", "a", "b"], "leave out --from"),
            (["verify", "a", "b", "--scratch", "1M"], "like 1G,16M"),
            (["verify", "a", "b", "--scratch", "1M,0"], "like 1G,16M"),
            (["verify", "a", "ff:1f.7"], "no PCI function ff:1f.7"),
            (["copy", "a", "b", "--via", "ffff:ff:1f.7"], "no PCI function"),
            (["copy", "--via", "system", "/nowhere/a", "/nowhere/b"],
             "cannot open /nowhere/a: No such file"),
            (["copy", "--via", "system", "/proc/version", "/dev/null"],
             "takes no direct I/O")):
        wrong = refused(args, *parts)
        if wrong:
            return wrong
    name = next((name for name in live() if not os.path.exists(
        f"/sys/bus/pci/devices/{name}/p2pmem")), None)
    return name and (refused(["verify", "a", name], "provides no memory") or
                     refused(["copy", "a", "b", "--via", name],
                             "provides no memory"))


class Drives:
    """Two files in a place that takes direct I/O."""
    BYTES = (3 << 20) + 512

    def __enter__(self):
        live()
        place = os.path.dirname(PROGRAM)
        self.place = tempfile.TemporaryDirectory(dir=place)
        self.one = os.path.join(self.place.name, "one")
        self.two = os.path.join(self.place.name, "two")
        chance = random.Random(2)
        with open(self.one, "wb") as file:
            file.write(chance.randbytes(self.BYTES))
        with open(self.two, "wb") as file:
            file.write(b"")
        try:
            os.close(os.open(self.one, os.O_RDONLY | os.O_DIRECT))
        except OSError:
            self.place.cleanup()
            raise Skip(f"{place} takes no direct I/O") from None
        return self

    def __exit__(self, *_):
        self.place.cleanup()

    def contents(self):
        with open(self.one, "rb") as one, open(self.two, "rb") as two:
            return one.read(), two.read()


def no_ring(done):
    if "io_uring" in done.err:
        raise Skip("nobody may use io_uring here")


@test("copies whole files, and says whether they are equal")
def copies_files():
    for options in ([], ["--block", "4K", "--depth", "1"],
                    ["--block", "64K", "--depth", "7"],
                    ["--block", "16M", "--depth", "2"]):
        with Drives() as drives:
            done = p2pctl(["copy", "--via", "system", "--checksum", *options,
                           drives.one, drives.two])
            no_ring(done)
            one, two = drives.contents()
            if done.returncode or one != two:
                return f"{options}: {done.returncode} {done.words}"
            if "through system memory" not in done.out or \
                    "both ends are equal, CRC-32C" not in done.out:
                return done.out
    return None


@test("copies a part to another place")
def copies_parts():
    with Drives() as drives:
        done = p2pctl(["copy", "--via", "system", "--source-offset", "64K",
                       "--target-offset", "1M", "--bytes", "128K",
                       drives.one, drives.two])
        no_ring(done)
        one, two = drives.contents()
        if done.returncode or len(two) != (1 << 20) + (128 << 10):
            return f"{done.returncode} {len(two)} {done.words}"
        if two[1 << 20:] != one[64 << 10:192 << 10] or any(two[:1 << 20]):
            return "the data is wrong"
        return refused(["copy", "--via", "system", "--bytes", "4M", drives.one,
                        drives.two], "has only 3146240 bytes") or \
            refused(["copy", "--via", "system", "--source-offset", "100",
                     "--bytes", "512", drives.one, drives.two],
                    "multiples of 512")


@test("says where on the drive it could not write")
def where_it_failed():
    with Drives() as drives:
        # No file is that long
        done = p2pctl(["copy", "--via", "system", "--depth", "1",
                       "--target-offset", "8388607T", drives.one, drives.two])
        no_ring(done)
        return expect(done, ERROR, [f"at {8388607 << 40} of {drives.two}"])


@test("the CRC is CRC-32C")
def checksum():
    with Drives() as drives:
        # RFC 3720, B.4: 32 bytes of 0, 1, ..., 31, here 16 times
        with open(drives.one, "wb") as file:
            file.write(bytes(range(32)) * 16)
        done = p2pctl(["copy", "--via", "system", "--checksum", drives.one,
                       drives.two])
        no_ring(done)
        crc = 0xffffffff
        for byte in bytes(range(32)) * 16:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
        if f"CRC-32C {crc ^ 0xffffffff:08x}" not in done.out:
            return f"{crc ^ 0xffffffff:08x} {done.out}"
    return None


@test("what is no drive is told of")
def no_drive():
    with Drives() as drives:
        if not os.path.exists("/dev/full"):
            raise Skip("no /dev/full")
        done = p2pctl(["copy", "--via", "system", drives.one, "/dev/full"])
        if done.returncode != ERROR or not done.err:
            return f"{done.returncode} {done.words}"
    return None


def main():
    """Run all tests."""
    if not PROGRAM:
        print(__doc__, file=sys.stderr)
        return 2

    failed = 0
    print(f"KTAP version 1\n1..{len(TESTS)}")
    for number, (title, function) in enumerate(TESTS, 1):
        try:
            wrong, skipped = function(), ""
        except Skip as reason:
            wrong, skipped = None, f" # SKIP {reason}"
        except Exception as error:  # pylint: disable=broad-except
            wrong, skipped = f"{type(error).__name__}: {error}", ""
        if wrong:
            print("# " + str(wrong).replace("\n", "\n# "))
        print(f"{'not ok' if wrong else 'ok'} {number} - {title}{skipped}",
              flush=True)
        failed += bool(wrong)

    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
