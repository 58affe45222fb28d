# SPDX-License-Identifier: GPL-2.0
"""
What a run leaves for the page of all results (webpage.py): run.json in its
directory, with results, time, addresses of the devices and who reaches whom.

A run that did not get to an end leaves none: the one of the run before is
removed when it begins, so that nobody takes old results for those of a run that
was interrupted.
"""

import base64
import binascii
import dataclasses
import gzip
import json
import time
import zlib

from .ktap import FAIL, PASS, Result

NAME = "run.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Run:
    """One scenario on one machine, as it was recorded."""
    machine: str
    scenario: str
    kernel: str
    ended: float            # seconds since 1970
    seconds: float
    results: tuple
    addresses: dict         # of the machine's devices, by name
    routes: tuple           # p2pctl's, a dictionary each; () if it told none

    def count(self, outcome):
        return sum(result.outcome == outcome for result in self.results)

    @property
    def failed(self):
        return bool(self.count(FAIL)) or not self.count(PASS)


def forget(directory):
    """Remove what the run before has recorded."""
    (directory / NAME).unlink(missing_ok=True)


def unpack(pieces):
    """
    The routes in p2pctl's JSON, which was packed by gzip and base64; none if it
    is not complete, as for a kernel that cannot be asked.
    """
    try:
        text = gzip.decompress(base64.b64decode("".join(pieces),
                                                validate=True))
        return json.loads(text)["routes"]
    except (binascii.Error, OSError, EOFError, zlib.error, ValueError,
            KeyError, TypeError):
        return []


def write(directory, machine, scenario, outcome, routes):
    """Record a run, all of it or nothing."""
    where = outcome.topology.functions() if outcome.topology else []
    document = {
        "format": FORMAT, "machine": machine, "scenario": scenario,
        "kernel": outcome.kernel, "ended": time.time(),
        "seconds": outcome.seconds,
        "results": [dataclasses.asdict(result) for result in outcome.results],
        "addresses": {function.name: function.address for function in where
                      if function.name},
        "routes": routes,
    }
    partial = directory / f"{NAME}.partial"
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.rename(directory / NAME)


def read(path):
    """The run of a file; None if it is of another format."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("format", None) != FORMAT:
        return None
    document["results"] = tuple(
        Result(entry["name"], entry["outcome"], tuple(entry["remarks"]))
        for entry in document["results"])
    document["routes"] = tuple(document["routes"])
    return Run(**document)


def all_runs(directory):
    """{(machine, scenario): run} of what is below build/lab."""
    found = {}
    for path in sorted(directory.glob(f"*/{NAME}")):
        run = read(path)
        if run:
            found[run.machine, run.scenario] = run
    return found
