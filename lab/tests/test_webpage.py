# SPDX-License-Identifier: GPL-2.0
"""The page of all results, from samples of what the tests leave behind."""

import html.parser
import json
import pathlib
import tempfile
import unittest

import context
from runner import gathered, machine, promises, record, webpage
from runner.errors import LabError
from runner.ktap import FAIL, PASS, SKIP, Result

MACHINE = """
summary = "two & a half drives"
scenarios = ["copy", "routes"]
[[device]]
type = "root-port"
name = "rp0"
[[device]]
type = "nvme"
name = "src"
cmb = "16M"
disk = "2M"
[[device]]
type = "nvme"
name = "dst"
disk = "2M"
"""
TAP = """\
== check: a heading
ok 1 - checkpatch a.c
not ok 2 - gcc W=1 b.c
#   b.c:1: warning: <unused>
ok 3 - sparse # SKIP not installed
# check: 1 passed, 1 failed, 1 skipped
"""
LAB = """\
# testing the judges
ok 1 - judges: test_ktap.Judge.test_plan
ok 2 - switch/copy: the scenario runs to its end
"""
KUNIT = {"sub_groups": [{
    "name": "suite", "test_cases": [{"name": "one", "status": "PASS"},
                                    {"name": "two", "status": "ERROR"}],
    "sub_groups": [{"name": "many", "sub_groups": [], "test_cases": [
        {"name": "first", "status": "SKIP"}]}]}]}
BENCH = {"kernels": {"stock": "6.12.1", "ours": "6.12.2"}, "quick": False,
         "figures": [{"row": "lifo/1G/64K", "statistic": "median",
                      "title": "allocate & free", "stock": 339, "ours": 131,
                      "target": 130}]}
HELD = promises.Results()
HELD.add("kunit", "zero.holds", True)
PROMISES = promises.table([("never <silently> wrong", ["kunit zero"], [])],
                          HELD)
VOID = {"meta", "meter"}


def verdict(client, kind, reason, distance, port=None, override=False):
    return {"provider": "0000:00:03.0", "client": client, "type": kind,
            "reason": reason, "distance": distance, "override": override,
            "request_port": port, "completion_port": None}


ROUTES = (verdict("0000:00:03.0", "bus-address", "same-function", 0),
          verdict("0000:00:04.0", "host-bridge", "admin-says", 2,
                  "0000:00:02.0", True),
          verdict("0000:00:1f.2", "unsupported", "host-not-listed", 3))
ADDRESSES = {"rp0": "0000:00:02.0", "src": "0000:00:03.0",
             "dst": "0000:00:04.0"}


class Checker(html.parser.HTMLParser):
    """Elements are closed in order, names are not given twice."""

    def __init__(self):
        super().__init__()
        self.open, self.names, self.links, self.faults = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.names.append(attrs["id"])
        if "href" in attrs:
            self.links.append(attrs["href"])
        if "src" in attrs or tag == "link":
            self.faults.append(f"{tag} needs another file")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"{tag} is closed out of order")


class Build(unittest.TestCase):
    """A build directory with a bit of everything."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.build = pathlib.Path(temporary.name)
        self.box = machine.parse("switch.toml", MACHINE)

    def put(self, name, content):
        path = self.build / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content), encoding="utf-8")

    def put_run(self, scenario, outcome=PASS, routes=ROUTES):
        self.put(f"lab/switch-{scenario}/run.json", {
            "format": record.FORMAT, "machine": "switch",
            "scenario": scenario, "kernel": "6.12.2", "ended": 1e9,
            "seconds": 75.2, "addresses": ADDRESSES, "routes": routes,
            "results": [{"name": "a < b", "outcome": outcome,
                         "remarks": ["wanted: <1>"]}]})

    def put_all(self):
        self.put("log/test-check.log", TAP)
        self.put("log/test-p2pctl.log", TAP)
        self.put("log/test-lab.log", LAB)
        self.put("log/kunit-results.json", KUNIT)
        self.put("bench/bench.json", BENCH)
        self.put("coverage/summary.json",
                 {"files": {"drivers/pci/p2pdma.c": {"lines": 200,
                                                     "covered": 190}}})
        self.put("promises.json", PROMISES)
        self.put_run("routes")
        self.put_run("copy", FAIL)

    def gather(self):
        return gathered.gather(self.build)

    def page(self):
        text = webpage.build([self.box], self.gather())
        checker = Checker()
        checker.feed(text)
        checker.close()
        self.assertEqual((checker.open, checker.faults), ([], []))
        self.assertEqual(len(checker.names), len(set(checker.names)))
        for link in checker.links:
            self.assertIn(link.removeprefix("#"), checker.names)
        return text


class Gathering(Build):
    def test_lines_of_tap(self):
        self.put("log/test-check.log", TAP)
        self.assertEqual(self.gather().checks.results, (
            Result("checkpatch a.c", PASS),
            Result("gcc W=1 b.c", FAIL, ("b.c:1: warning: <unused>",)),
            Result("sparse", SKIP, ("not installed",))))

    def test_judges_are_told_from_scenarios(self):
        self.put("log/test-lab.log", LAB)
        self.assertEqual(self.gather().judges.results, (
            Result("test_ktap.Judge.test_plan", PASS),))

    def test_an_error_of_kunit_is_a_failure(self):
        self.put("log/kunit-results.json", KUNIT)
        suite, = self.gather().suites
        self.assertEqual(suite.results, (
            Result("one", PASS), Result("two", FAIL),
            Result("many: first", SKIP)))

    def test_a_damaged_file_is_named(self):
        self.put("bench/bench.json", "{")
        with self.assertRaisesRegex(LabError, "bench.json is damaged"):
            self.gather()

    def test_what_is_promised(self):
        self.assertEqual(self.gather().promises, ())
        self.put("promises.json", PROMISES)
        self.assertEqual(self.gather().promises, tuple(PROMISES))


class Page(Build):
    def test_of_nothing_says_how_to_make_it(self):
        text = self.page()
        for command in ("make labs", "make kunit", "make test", "make bench",
                        "make coverage", "make lab MACHINE=switch"):
            self.assertIn(command, text)
        self.assertNotIn("Promises", text)

    def test_of_everything(self):
        self.put_all()
        text = self.page()
        self.assertIn("two &amp; a half drives", text)
        self.assertIn("never &lt;silently&gt; wrong", text)
        self.assertIn("<td>kunit zero</td>", text)
        self.assertIn("b.c:1: warning: &lt;unused&gt;", text)
        self.assertIn("wanted: &lt;1&gt;", text)
        self.assertIn("95.0 %", text)
        self.assertIn("1 min 15 s", text)
        self.assertIn("1 missed", text)
        self.assertNotIn("make coverage", text)
        self.assertNotIn("http://localhost", text)

    def test_matrix(self):
        self.put_run("routes")
        text = webpage.matrix(self.box, webpage.run_of(self.box,
                                                       self.gather().runs))
        self.assertIn('<td class="bus-address" title="src to memory of src: '
                      'directly: provider and client are the same function">'
                      "\u25cf 0</td>", text)
        self.assertIn("\u25b2 2 !</td>", text)
        self.assertIn("at port rp0", text)
        self.assertNotIn("unsupported", text)   # no device of the machine

    def test_the_scenario_routes_comes_first(self):
        self.put_run("copy")
        runs = self.gather().runs
        self.assertEqual(webpage.run_of(self.box, runs).scenario, "copy")
        self.put_run("routes")
        runs = self.gather().runs
        self.assertEqual(webpage.run_of(self.box, runs).scenario, "routes")
        self.put_run("routes", routes=())
        runs = self.gather().runs
        self.assertEqual(webpage.run_of(self.box, runs).scenario, "copy")

    def test_what_else_was_run_on_a_machine(self):
        self.put_run("demo")
        self.put_run("no-more-there")
        self.assertEqual(webpage.scenarios_of(self.box, self.gather().runs),
                         ["copy", "routes", "demo"])

    def test_what_was_not_run_is_shown_as_such(self):
        self.put_run("routes")
        self.assertIn("not run", webpage.labs([self.box], self.gather()))
        self.assertIn("copy was not run", self.page())


if __name__ == "__main__":
    unittest.main()
