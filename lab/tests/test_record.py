# SPDX-License-Identifier: GPL-2.0
"""What a run records, and what is read of it again."""

import base64
import gzip
import json
import pathlib
import tempfile
import unittest

import samples
from runner import channel, machine, record, session
from runner.ktap import FAIL, PASS, SKIP, Result

ROUTES = [{"provider": "0000:03:00.0", "client": "0000:04:00.0",
           "type": "bus-address", "reason": "common-switch", "distance": 4,
           "override": False, "request_port": None,
           "completion_port": None}]


def pieces(document):
    """As the guest sends it."""
    packed = base64.b64encode(gzip.compress(json.dumps(document).encode()))
    return [packed[start:start + 76].decode()
            for start in range(0, len(packed), 76)]


class Unpacking(unittest.TestCase):
    def test_what_the_guest_sends(self):
        self.assertEqual(record.unpack(pieces({"routes": ROUTES})), ROUTES)

    def test_nothing_complete_is_nothing(self):
        whole = pieces({"routes": ROUTES * 50})
        self.assertGreater(len(whole), 1)
        for bad in ([], whole[:-1], ["%"], pieces([]), pieces({}),
                    pieces(None), [base64.b64encode(b"no gzip").decode()]):
            self.assertEqual(record.unpack(bad), [], bad)


class Recording(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)

    def write(self, name, results, routes=()):
        directory = self.directory / name
        directory.mkdir()
        outcome = session.Outcome(list(results), [], [], samples.topology(),
                                  "6.12.1", 12.5)
        record.write(directory, *name.split("-"), outcome, list(routes))
        return directory

    def test_what_is_written_is_read(self):
        self.write("switch-copy", [Result("one", PASS),
                                   Result("two", FAIL, ("because",)),
                                   Result("three", SKIP, ("no drive",))],
                   ROUTES)
        (key, run), = record.all_runs(self.directory).items()
        self.assertEqual(key, ("switch", "copy"))
        self.assertEqual(run.results[1].remarks, ("because",))
        self.assertEqual([run.count(outcome)
                          for outcome in (PASS, FAIL, SKIP)], [1, 1, 1])
        self.assertEqual(run.addresses["src"], "0000:03:00.0")
        self.assertEqual((run.kernel, run.seconds), ("6.12.1", 12.5))
        self.assertEqual(list(run.routes), ROUTES)
        self.assertTrue(run.failed)

    def test_nothing_passed_is_a_failure(self):
        self.write("switch-copy", [Result("three", SKIP)])
        self.assertTrue(record.all_runs(self.directory)["switch",
                                                        "copy"].failed)

    def test_an_old_run_is_forgotten(self):
        directory = self.write("switch-copy", [Result("one", PASS)])
        record.forget(directory)
        record.forget(directory)
        self.assertEqual(record.all_runs(self.directory), {})

    def test_another_format_is_left_alone(self):
        directory = self.write("switch-copy", [Result("one", PASS)])
        path = directory / record.NAME
        document = json.loads(path.read_text())
        document["format"] += 1
        path.write_text(json.dumps(document))
        self.assertEqual(record.all_runs(self.directory), {})

    def test_the_session_collects_the_pieces(self):
        box = machine.parse("x.toml", 'summary = "a test"\n[[device]]\n'
                            'type = "edu"\nname = "lone"')
        lone = session.Session(box, "copy", self.directory, print)
        for piece in pieces({"routes": ROUTES}):
            request = channel.parse(f"@matrix {piece}")
            self.assertFalse(lone.handle(None, request))
        self.assertEqual(record.unpack(lone.matrix), ROUTES)


if __name__ == "__main__":
    unittest.main()
