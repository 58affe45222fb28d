# SPDX-License-Identifier: GPL-2.0
"""
A machine as a picture: what is plugged into what, drawn by graphviz as SVG.

The picture has no colours of its own but classes, which the page's style sheet
gives colours for light and dark: "memory" for what can provide memory, "end" for
other endpoints, "way" for ports, switches and bridges, "root" for the root
complex, "later" for what is plugged in while the machine runs.
"""

import re
import shutil
import subprocess

from .errors import LabError

IOMMU_WORDS = {"intel": "Intel IOMMU", "amd": "AMD IOMMU",
               "virtio": "virtio IOMMU"}
HEAD = """\
digraph machine {
rankdir=LR bgcolor=transparent nodesep=0.12 ranksep=0.28 pad=0.05
node [shape=box style=filled fontname=Helvetica fontsize=11 height=0.3
      margin="0.12,0.05"]
edge [dir=none]
"""


def size_words(size):
    """16 MiB for 16 << 20."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> shift and not size % (1 << shift):
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


def functions(devices):
    """
    Lists of devices that are drawn as one: neighbours in the file that are
    functions of one device and differ in nothing but that.
    """
    groups = []
    for device in devices:
        last = groups[-1][-1] if groups else None
        if last and not device.carries and device.place and last.place \
                and device.place.split(".")[0] == last.place.split(".")[0] \
                and (device.type, device.below, device.settings) \
                == (last.type, last.below, last.settings):
            groups[-1].append(device)
        else:
            groups.append([device])
    return groups


def label(machine, group):
    """The lines in a box."""
    device = group[0]
    if device.carries:
        words = "" if device.type == "switch-port" else f"{device.words} "
        acs = ", access control" if device.settings.get("acs") else ""
        return [f"{words}{device.name}{acs}"]
    name = device.name if len(group) == 1 else \
        f"{device.name} to {group[-1].name}"
    kind = device.words if len(group) == 1 else \
        f"{len(group)} {device.words}s in one device"
    lines = [name, kind]
    roles = sorted({role for member in group
                    for role in machine.roles_of(member.name)})
    if roles:
        lines[0] += f" ({', '.join(roles)})"
    if device.memory:
        each = " each" if len(group) > 1 else ""
        lines.append(f"{size_words(device.memory)} of memory{each}")
    if device.later:
        lines.append("plugged in later")
    return lines


def kind_of(device):
    if device.carries:
        return "way"
    words = "memory" if device.memory else "end"
    return f"{words} later" if device.later else words


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def dot(machine):
    """The machine in graphviz's language."""
    root = ["root complex", f"CPU {machine.cpu}"]
    if machine.iommu:
        state = "" if machine.translated else ", passes all through"
        root.append(IOMMU_WORDS[machine.iommu["model"]] + state)
    parts = [f'root [class=root label={quoted(chr(10).join(root))}]']
    for group in functions(machine.devices):
        device = group[0]
        text = "\n".join(label(machine, group))
        parts.append(f"{quoted(device.name)} [class={quoted(kind_of(device))} "
                     f"label={quoted(text)}]")
        if not device.later:
            parts.append(f"{quoted(device.below or 'root')} -> "
                         f"{quoted(device.name)}")
    return HEAD + "\n".join(parts) + "\n}\n"


def bare(text):
    """
    What of graphviz's file can stand in a page: without prologue, comments and
    names, which must be different in all of a page.
    """
    text = text[text.index("<svg"):]
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<title>.*?</title>\s*", "", text, flags=re.DOTALL)
    return re.sub(r' id="[^"]*"', "", text)


def svg(machine):
    """The picture."""
    if not shutil.which("dot"):
        raise LabError("graphviz is needed to draw the machines and is not "
                       "installed; run 'scripts/install-deps'.")
    result = subprocess.run(["dot", "-Tsvg"], input=dot(machine), text=True,
                            capture_output=True, check=False)
    if result.returncode:
        raise LabError(f"graphviz does not draw machine '{machine.name}':\n"
                       f"{result.stderr}")
    return bare(result.stdout)
