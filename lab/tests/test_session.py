# SPDX-License-Identifier: GPL-2.0
"""
A run's verdicts without a machine: the guest's requests as it sends them, and
drives' images as a copy leaves them.
"""

import dataclasses
import os
import pathlib
import tempfile
import types
import unittest
from unittest import mock

import samples
from runner import channel, demo, machine, qemu, route, session
from runner.errors import LabError
from runner.ktap import FAIL, PASS

MIB = 1 << 20
MACHINE = """
summary = "a test"
[[device]]
type = "nvme"
name = "src"
disk = "2M"
[[device]]
type = "nvme"
name = "dst"
disk = "2M"
[[device]]
type = "root-port"
name = "rp1"
[[device]]
type = "nvme"
name = "spare"
disk = "2M"
later = true
"""
BEGIN = ("label=one via=src from=src from_offset=0 to=dst to_offset=0 "
         f"bytes={MIB}")


class Answers(list):
    """The channel's side of a fake machine."""

    def write(self, text):
        self.append(text)


class Fixture(unittest.TestCase):
    """A session with images, and a machine that only takes answers."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)
        self.session = session.Session(machine.parse("x.toml", MACHINE),
                                       "copy", self.directory,
                                       lambda text: None)
        for path in self.session.disks.values():
            session.make_image(path, 2 * MIB)
        self.vm = types.SimpleNamespace(
            channel=Answers(), monitor=None,
            trace_size=lambda: 0, trace_lines=lambda first, last: [])
        patch = mock.patch("runner.topology.ask",
                           lambda monitor: samples.topology())
        patch.start()
        self.addCleanup(patch.stop)


class Run(Fixture):
    """What the guest asks for, and how its copies are judged."""

    def ask(self, line):
        over = self.session.handle(self.vm, channel.parse(line))
        self.assertFalse(over)
        return self.vm.channel[-1]

    def copy(self, change=lambda data: data):
        """Mark a copy, do it on the images, and give the data's result."""
        self.assertEqual(self.ask(f"@begin {BEGIN}"), "@end\n")
        data = bytearray(self.session.disks["src"].read_bytes()[:MIB])
        with open(self.session.disks["dst"], "r+b") as image:
            image.write(change(data))
        self.assertEqual(self.ask("@end label=one"), "@end\n")
        for copy in self.session.copies:
            copy.found = self.session._area(copy.fields, "to")
        return next(result for result in self.session._copy_results()
                    if result.name.startswith("data"))

    def test_equal_data(self):
        self.assertEqual(self.copy().outcome, PASS)

    def test_one_wrong_bit(self):
        def flip(data):
            data[123456] ^= 1
            return data
        self.assertEqual(self.copy(flip).outcome, FAIL)

    def test_data_that_was_there_before(self):
        path = self.session.disks["dst"]
        path.write_bytes(self.session.disks["src"].read_bytes())
        result = self.copy()
        self.assertEqual(result.outcome, FAIL)
        self.assertIn("nothing is proved", result.remarks[0])

    def test_a_copy_without_payload_fails_the_ledger(self):
        self.copy()
        result = next(result for result in self.session._copy_results()
                      if result.name.startswith("ledger"))
        self.assertEqual(result.outcome, FAIL)

    def test_a_copy_that_never_ends(self):
        self.ask(f"@begin {BEGIN}")
        self.assertEqual([r.outcome for r in self.session._copy_results()],
                         [FAIL])

    def compare(self, one_offset=0, other_offset=0):
        return self.ask(f"@compare bytes={MIB} one=src "
                        f"one_offset={one_offset} other=dst "
                        f"other_offset={other_offset}")

    def test_compare(self):
        data = bytearray(self.session.images["src"].read_bytes())
        with open(self.session.images["dst"], "r+b") as image:
            image.write(data)
        self.assertEqual(self.compare(MIB, MIB), "equal\n@end\n")
        data[MIB - 1] ^= 0x80
        self.session.images["dst"].write_bytes(data)
        self.assertEqual(self.compare(),
                         f"first difference at byte {MIB - 1}\n@end\n")
        self.assertEqual(self.compare(MIB, MIB), "equal\n@end\n")

    def test_compare_with_the_partner(self):
        question = (f"@compare bytes={MIB} one=src one_offset=0 other=far "
                    "other_offset=4096")
        self.assertIn("'far' has no contents", self.ask(question))
        far = self.directory / "far.img"
        self.session.side = types.SimpleNamespace(
            all_images=lambda: {**self.session.images, "far": far})
        data = bytes(4096) + self.session.images["src"].read_bytes()
        far.write_bytes(data)
        self.assertEqual(self.ask(question), "equal\n@end\n")
        far.write_bytes(data[:5000] + bytes(len(data) - 5000))
        self.assertIn("first difference at byte ", self.ask(question))

    def watch(self, lines):
        """Watch a drive while it does what the trace tells."""
        self.assertEqual(self.ask("@watch label=w drive=dst via=src"),
                         "@end\n")
        self.vm.trace_lines = lambda first, last: lines
        self.vm.trace_size = lambda: 1
        answer = self.ask("@unwatch label=w")
        return answer, self.session._watch_results()[-1].outcome

    def test_watch(self):
        answer, outcome = self.watch([
            "pci_nvme_write cid 5 nsid 3 nlb 8 count 4096 lba 0x0",
            "pci_nvme_map_addr addr 0xf8000000 len 4096"])
        self.assertEqual(answer, "read_peer=0\nread_system=0\n"
                         "write_peer=4096\nwrite_system=0\n@end\n")
        self.assertEqual(outcome, PASS)

    def test_watch_of_nothing(self):
        self.assertEqual(self.watch([])[1], FAIL)

    def test_a_watch_that_never_ends(self):
        self.ask("@watch label=w drive=dst via=src")
        self.assertIn("already", self.ask("@watch label=x drive=dst via=src"))
        self.assertIn("watched", self.ask("@unwatch label=x"))
        self.assertEqual([r.outcome for r in self.session._watch_results()],
                         [FAIL])

    def queued(self, line):
        self.assertEqual(self.ask("@queues drive=src"), "@end\n")
        self.vm.trace_lines = lambda first, last: [line]
        return self.ask("@queued drive=src")

    def test_queues(self):
        self.assertEqual(self.queued(
            "pci_nvme_create_sq create submission queue, addr=0xf8010000, "
            "sqid=2, cqid=2, qsize=1023, qflags=1"),
            "2 65536 src BAR 2\n@end\n")

    def test_queues_of_another_format(self):
        self.assertIn("not understood", self.queued("pci_nvme_create_sq 1"))

    def test_queues_that_nobody_watches(self):
        self.assertIn("not watched", self.ask("@queued drive=src"))
        self.ask("@queues drive=src")
        self.assertIn("not watched", self.ask("@queued drive=dst"))

    def test_queues_behind_an_iommu(self):
        self.session.machine = dataclasses.replace(
            self.session.machine, iommu={"model": "intel"})
        self.assertIn("IOMMU", self.ask("@queues drive=src"))

    def test_where(self):
        self.assertEqual(self.ask("@where"), "src 0000:03:00.0\n@end\n")

    def test_done(self):
        over = self.session.handle(self.vm, channel.parse("@done 0"))
        self.assertTrue(over)
        self.assertEqual(self.session.status, "0")

    def test_route(self):
        self.session.handle(self.vm, channel.parse(
            "@route provider=0000:03:00.0 client=0000:04:00.0 "
            "type=bus-address distance=4 reason=common-switch port=none"))
        self.assertEqual(self.session.verdicts[0].distance, 4)

    def test_refusals(self):
        for request, part in (
                ("@fetch coffee", "not a request"),
                ("@begin label=one", "'via' is missing"),
                (f"@begin {BEGIN}".replace("bytes=", "bytes=x"), "number"),
                (f"@begin {BEGIN}".replace("to=dst", "to=nvme7"), "no drive"),
                (f"@begin {BEGIN}".replace("to_offset=0", "to_offset=9999999"),
                 "beyond the end"),
                ("@end label=one", "no copy"),
                ("@compare one=src one_offset=0 other=dst other_offset=0",
                 "'bytes' is missing"),
                ("@compare bytes=x one=src one_offset=0 other=dst "
                 "other_offset=0", "bytes=x is not a number"),
                ("@watch label=w drive=dst", "'via' is missing"),
                ("@watch label=w drive=nvme7 via=src", "no drive 'nvme7'"),
                ("@queues drive=nvme7", "no drive 'nvme7'"),
                ("@queued", "'drive' is missing"),
                ("@tell ready", "no partner"),
                ("@compare bytes=1 one=src one_offset=0 other=rp1 "
                 "other_offset=0", "'rp1' has no contents"),
                ("@compare bytes=1 one=src one_offset=0 other=dst "
                 f"other_offset={2 * MIB}", "beyond the end"),
                ("@plug drive=src port=rp1", "no drive 'src' that can be"),
                ("@plug drive=spare port=dst", "no port 'dst'"),
                ("@plug drive=spare", "'port' is missing"),
                ("@unplug drive=dst", "no drive 'dst' that can be"),
                ("@inject device=rp1", "'error' is missing"),
                ("@inject device=dst error=DLP", "no port 'dst'"),
                ("@inject device=rp1 error=quit;", "not the name")):
            with self.subTest(request):
                answer = self.ask(request)
                self.assertTrue(answer.startswith("@error "), answer)
                self.assertIn(part, answer)

    def test_plug(self):
        asked = []
        self.vm.monitor = types.SimpleNamespace(
            command=lambda name, **words: asked.append((name, words["bus"])))
        self.assertEqual(self.ask("@plug drive=spare port=rp1"), "@end\n")
        self.assertEqual(asked, [("device_add", "rp1")])

    def test_plug_that_qemu_refuses(self):
        def command(name, **words):
            raise LabError("QEMU's monitor refused a command: bus full.")
        self.vm.monitor = types.SimpleNamespace(command=command)
        for request in ("@plug drive=spare port=rp1", "@unplug drive=spare"):
            self.assertIn("bus full", self.ask(request))

    def test_inject(self):
        told = []

        def human(line):
            told.append(line)
            return said
        self.vm.monitor = types.SimpleNamespace(human=human)
        said = "OK id: rp1 root bus: 0000:00, bus: 0 devfn: 1.0\n"
        self.assertEqual(self.ask("@inject device=rp1 error=DLP"), "@end\n")
        self.assertEqual(told, ["pcie_aer_inject_error rp1 DLP"])
        said = "failed to inject error\n"
        self.assertEqual(self.ask("@inject device=rp1 error=DLP"),
                         "@error failed to inject error\n")

    def unplug(self, present):
        self.vm.monitor = types.SimpleNamespace(
            command=lambda name, **words: None)
        with mock.patch("runner.topology.present",
                        lambda monitor, name: present.pop(0)), \
                mock.patch("runner.session.UNPLUG_PATIENCE", 0.3):
            return self.ask("@unplug drive=spare")

    def test_unplug(self):
        self.assertEqual(self.unplug([True, False]), "@end\n")

    def test_unplug_that_does_not_happen(self):
        self.assertIn("not let go of 'spare'", self.unplug([True] * 9))

    def test_two_copies_at_once(self):
        self.ask(f"@begin {BEGIN}")
        self.assertIn("already", self.ask(f"@begin {BEGIN}"))


class Ending(Fixture):
    """How the end of a scenario is judged."""

    def end(self, trouble, console="Linux version 6", status=None):
        self.session.status = status
        vm = types.SimpleNamespace(
            console_text=lambda: console, console="console.log",
            process=types.SimpleNamespace(returncode=1),
            messages=self.directory / "qemu.log")
        vm.messages.write_text("qemu: out of memory\n", encoding="utf-8")
        return self.session._end_results(vm, trouble, 240)[0]

    def test_status(self):
        self.assertEqual(self.end(None, status="0").outcome, PASS)
        self.assertEqual(self.end(None, status="1").outcome, FAIL)

    def test_panic(self):
        result = self.end("the machine stopped before the scenario was over",
                          "Kernel panic - not syncing: VFS: no root")
        self.assertEqual(result.outcome, FAIL)
        self.assertIn("panicked: VFS: no root", result.remarks[0])

    def test_hang(self):
        result = self.end("the machine hangs")
        self.assertEqual(result.outcome, FAIL)
        self.assertIn("240 s", result.remarks[0])

    def test_qemu_died(self):
        result = self.end("the machine stopped before the scenario was over")
        self.assertEqual(result.outcome, FAIL)
        self.assertIn("qemu: out of memory", result.remarks)

    def test_warning_in_the_log(self):
        console = "Linux version 6\n[ 1.0] WARNING: CPU: 0 PID: 1 at f+0x1"
        self.assertEqual(self.session._log_results(console)[0].outcome, FAIL)
        console = "Linux version 6\n[ 1.0] all is well"
        self.assertEqual(self.session._log_results(console)[0].outcome, PASS)

    def test_empty_log(self):
        self.assertEqual(self.session._log_results("")[0].outcome, FAIL)


class Demonstration(unittest.TestCase):
    """What makes the demonstration fail."""

    def outcome(self, results=()):
        return session.Outcome(list(results), [object()], [], None, "", 0.0)

    def verdict(self, kind):
        return route.parse(f"provider=a client=b type={kind} distance=4 "
                           "reason=common-switch port=none")

    def test_right(self):
        self.assertEqual(demo.faults_of(self.outcome(),
                                        self.verdict("bus-address")), [])

    def test_wrong_route(self):
        self.assertTrue(demo.faults_of(self.outcome(),
                                       self.verdict("host-bridge")))

    def test_no_route(self):
        self.assertTrue(demo.faults_of(self.outcome(), None))

    def test_failed_result(self):
        failed = session.Result("data of peer-to-peer", FAIL)
        self.assertIn("data of peer-to-peer", demo.faults_of(
            self.outcome([failed]), self.verdict("bus-address")))


class Environment(unittest.TestCase):
    """What the user's environment may get wrong."""

    def refused(self, variables, function, *parts):
        with mock.patch.dict(os.environ, variables):
            with self.assertRaises(LabError) as caught:
                function()
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_no_qemu(self):
        self.refused({"QEMU": "no-such-qemu"}, qemu.version, "no-such-qemu")

    def test_old_qemu(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "qemu"
            path.write_text("#!/bin/sh\necho QEMU emulator version 6.2.0\n",
                            encoding="utf-8")
            path.chmod(0o755)
            self.refused({"QEMU": str(path)}, qemu.version, "6.2.0", "7.2")

    def test_version(self):
        self.assertEqual(qemu.parse_version(
            "QEMU emulator version 7.2.22 (Debian 1:7.2)"), (7, 2, 22))
        self.assertEqual(qemu.parse_version("QEMU emulator version 10.0"),
                         (10, 0, 0))
        self.assertIsNone(qemu.parse_version("bash 5.2"))

    def test_no_kernel(self):
        self.refused({"LAB_KERNEL": "/no/kernel"}, session.kernel_image,
                     "/no/kernel", "make kernel")

    def test_accelerator(self):
        self.refused({"ACCEL": "warp"}, qemu.accelerator, "warp", "kvm")

    def test_time_limit(self):
        box = machine.parse("x.toml", MACHINE)
        with mock.patch.dict(os.environ, {"LAB_TIMEOUT": "2.5"}):
            self.assertEqual(session.time_limit(box), 1500)
        for text in ("fast", "0", "-1", "nan"):
            self.refused({"LAB_TIMEOUT": text},
                         lambda: session.time_limit(box), text)

    def test_patience(self):
        """Single steps are given more time, never less, in whole seconds."""
        run = types.SimpleNamespace(slowness=8)
        for text, wanted in (("0.5", 8), ("1", 8), ("1.3", 11)):
            with mock.patch.dict(os.environ, {"LAB_TIMEOUT": text}):
                self.assertEqual(session.Session.patience.fget(run), wanted)

    def test_route_line_of_another_format(self):
        with self.assertRaises(LabError):
            route.parse("provider=a client=b")


if __name__ == "__main__":
    unittest.main()
