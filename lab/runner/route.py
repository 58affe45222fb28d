# SPDX-License-Identifier: GPL-2.0
"""
The kernel's verdicts on routes, as its tracepoint p2pdma:p2pdma_route prints
them, and what they mean in plain words.
"""

import dataclasses
import re

from .errors import LabError

_LINE = re.compile(
    r"provider=(?P<provider>\S+) client=(?P<client>\S+) type=(?P<type>\S+) "
    r"distance=(?P<distance>-?\d+) reason=(?P<reason>\S+) port=(?P<port>\S+)")

TYPE_WORDS = {
    "bus-address": "direct",
    "host-bridge": "up through the host bridge and down again",
    "unsupported": "none, the kernel refuses the transfer",
}

REASON_WORDS = {
    "same-function": "provider and client are the same function",
    "same-device": "both are functions of one device",
    "common-segment": "both share a conventional PCI segment",
    "common-switch": "a switch above both connects them, and no access "
                     "control at its ports forbids it",
    "direct-translated": "requests with translated addresses are routed "
                         "directly, although others are redirected",
    "cpu-forwards": "processors of this family forward traffic between "
                    "their root ports",
    "host-forwards": "this host bridge is known to forward such traffic",
    "hypervisor-says": "the hypervisor vouches for this pair",
    "admin-says": "the administrator allowed this host bridge, against what "
                  "the kernel knows",
    "no-pci-client": "the client is not connected through PCI",
    "port-unreadable": "a port that decides cannot be read",
    "acs-violation": "egress control of a port forbids it",
    "not-sent-up": "what a port redirects is not passed on to the root "
                   "complex",
    "host-not-listed": "the way leads through a host bridge that is not "
                       "known to forward such traffic",
    "host-bridges-apart": "the two are below different host bridges",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    provider: str
    client: str
    type: str
    distance: int
    reason: str
    port: str               # the deciding port, or "none"


def parse(text):
    """One line of the trace."""
    match = _LINE.search(text)
    if not match:
        raise LabError("the kernel printed a route that the lab does not "
                       f"understand: '{text}'; lab/runner/route.py has to "
                       "follow include/trace/events/p2pdma.h.")
    fields = match.groupdict()
    fields["distance"] = int(fields["distance"])
    return Verdict(**fields)


def words(verdict):
    """The verdict and its reason in plain words."""
    text = (f"{TYPE_WORDS.get(verdict.type, verdict.type)}, because "
            f"{REASON_WORDS.get(verdict.reason, verdict.reason)}")
    if verdict.port != "none":
        text += f" (decided at port {verdict.port})"
    return text + "."
