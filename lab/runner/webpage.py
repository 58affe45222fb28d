# SPDX-License-Identifier: GPL-2.0
"""
The page of all results, build/report/index.html: one file that needs nothing
else, for a browser or a telephone.

Each function with the name of a section makes its HTML from what gathered.py
has found. A machine is drawn from its file; the matrix of its routes is what
the kernel told p2pctl at the end of the machine's latest run, the scenario
"routes" before others, because some scenarios leave a machine changed.
"""

import collections
import subprocess

from . import drawing, figures as judging, gathered, guest, machine
from . import markup, plot, route, session
from .errors import LabError
from .ktap import FAIL, PASS, SKIP
from .markup import chip, details, table, text

MACHINES = guest.HERE / "machines"
OUTPUT = session.ROOT / "build" / "report" / "index.html"
TITLE = "Peer-to-peer DMA for Linux 6.12: results"
SIGNS = {"bus-address": "\u25cf", "host-bridge": "\u25b2",
         "unsupported": "\u2715"}
LEGEND = {"bus-address": "directly", "host-bridge": "through the host bridge",
          "unsupported": "not at all"}
FOLDED_FROM = 24            # clients; a matrix of more is folded


def duration(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def scenarios_of(box, runs):
    """
    The machine's scenarios, and what else was run on it: the demonstration, or
    what its partner is for.
    """
    return [*box.scenarios,
            *(scenario for name, scenario in runs if name == box.name
              and scenario not in box.scenarios)]


def run_of(box, runs):
    """The run that tells the machine's routes, or None."""
    told = [run for scenario in sorted(scenarios_of(box, runs),
                                       key=lambda name: name != "routes")
            if (run := runs.get((box.name, scenario))) and run.routes]
    return told[0] if told else None


def places(box, run):
    """Names of the providers and of the clients, as far as they were there."""
    ends = [device for device in box.devices
            if not device.carries and device.name in run.addresses]
    return ([device.name for device in ends if device.memory],
            [device.name for device in ends])


def port_name(verdict, names):
    """The port that decides, by its name if the machine's file has one."""
    address = verdict["request_port"] or verdict["completion_port"]
    return names.get(address, address)


def cell(verdict, names):
    """One pair: a sign, the distance, and all words for who points at it."""
    kind = verdict["type"]
    words = (f"{LEGEND.get(kind, kind)}: "
             f"{route.REASON_WORDS.get(verdict['reason'], verdict['reason'])}")
    port = port_name(verdict, names)
    if port:
        words += f", at port {port}"
    shown = SIGNS.get(kind, "?")
    if kind != "unsupported":
        shown += f" {verdict['distance']}"
    if verdict["override"]:
        shown += " !"
    return kind, shown, words


def reasons(verdicts):
    """What the verdicts rest on, in words, as a telephone cannot point."""
    tally = collections.Counter((verdict["type"], verdict["reason"])
                                for verdict in verdicts)
    lines = [f'<li><span class="key {text(kind)}">{SIGNS.get(kind, "?")}</span> '
             f"{count:,} \u00d7 {text(route.REASON_WORDS.get(reason, reason))}"
             "</li>" for (kind, reason), count in tally.most_common()]
    return f"<ul>{''.join(lines)}</ul>"


def matrix(box, run):
    """Who reaches whose memory."""
    providers, clients = places(box, run)
    if not providers:
        return '<p class="dim">No device of it has memory to provide.</p>'
    names = {address: name for name, address in run.addresses.items()}
    told = {(names.get(entry["provider"]), names.get(entry["client"])): entry
            for entry in run.routes}
    rows, used = [], []
    for provider in providers:
        cells = [f"<td>{text(provider)}</td>"]
        for client in clients:
            verdict = told.get((provider, client))
            if not verdict:
                cells.append("<td></td>")
                continue
            used.append(verdict)
            kind, shown, words = cell(verdict, names)
            cells.append(f'<td class="{text(kind)}" title="{text(client)} to '
                         f'memory of {text(provider)}: {text(words)}">'
                         f"{shown}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{text(client)}</th>" for client in clients)
    content = ('<div class="wide" tabindex="0"><table class="matrix"><thead>'
               f"<tr><th>memory of \\ used by</th>{head}</tr></thead><tbody>"
               + "\n".join(rows) + "</tbody></table></div>")
    if len(clients) > FOLDED_FROM:
        content = details(f"{len(providers)} providers by {len(clients)} "
                          "clients", content)
    source = (f'<p class="dim">As at the end of {text(run.scenario)}, '
              f"{markup.when(run.ended)}.</p>")
    return content + reasons(used) + source


def one_machine(box, runs):
    """A machine: picture, routes, scenarios."""
    picture = markup.wide(drawing.svg(box), "picture",
                          f"What is plugged into what in {box.name}")
    run = run_of(box, runs)
    if run:
        told = matrix(box, run)
    elif box.scenarios:
        told = markup.absent(
            "No run has told its routes yet:", f"make lab MACHINE={box.name} "
            f"SCENARIO={box.scenarios[-1]}")
    else:
        told = '<p class="dim">It takes part in the runs of another.</p>'
    chips = []
    for scenario in scenarios_of(box, runs):
        done = runs.get((box.name, scenario))
        chips.append(chip(FAIL if done.failed else PASS, scenario) if done
                     else chip(SKIP, f"{scenario} was not run"))
    return details(f"<b>{text(box.name)}</b> {text(box.summary)}",
                   f"<p>{' '.join(chips)}</p>{picture}"
                   f"<h3>Who reaches whose memory</h3>{told}", is_open=True)


def machines(boxes, found):
    keys = "".join(f'<span><span class="key {kind}">{SIGNS[kind]}</span> '
                   f"{words}</span>" for kind, words in LEGEND.items())
    legend = ('<p>The pictures are drawn from lab/machines. In a matrix, the '
              "number is the distance, and ! stands for a route that is the "
              f'administrator\'s word.</p><p class="legend">{keys}</p>')
    return legend + "\n".join(one_machine(box, found.runs) for box in boxes)


def failures(results):
    """What did not pass, with all that was said about it."""
    lines = [markup.remarks(result) for result in results
             if result.outcome != PASS]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def labs(boxes, found):
    rows, bad = [], []
    for box in boxes:
        for scenario in scenarios_of(box, found.runs):
            run = found.runs.get((box.name, scenario))
            if not run:
                rows.append((chip(SKIP, "not run"), text(box.name),
                             text(scenario), "", "", "", "", ""))
                continue
            rows.append((
                chip(FAIL if run.failed else PASS), text(box.name),
                text(scenario), *(f"{run.count(outcome):,}" for outcome in (PASS, FAIL, SKIP)),
                duration(run.seconds), markup.when(run.ended)))
            listed = failures(run.results)
            if listed:
                bad.append(details(f"{text(box.name)}/{text(scenario)}",
                                   listed, is_open=run.failed))
    if not found.runs:
        return markup.absent("No scenario was run yet:", "make labs")
    kinds = ["", "", "name", "number", "number", "number", "number",
             "number"]
    return table(("result", "machine", "scenario", "passed", "failed",
                  "skipped", "time", "of"), rows, kinds) + "".join(bad)


def part(found):
    """A part that is a list of results."""
    every = "".join(markup.remarks(result) for result in found.results)
    return (f"<h3>{text(found.name)}</h3><p>{markup.counts(found)} "
            f'<span class="dim">{markup.when(found.made)}</span></p>'
            + failures(found.results)
            + details(f"All {len(found.results):,}", f"<ul>{every}</ul>"))


def tests(found):
    parts = [part(one) for one in (found.checks, found.p2pctl, found.judges)
             if one]
    return "".join(parts) or markup.absent("None were run yet:", "make test")


def kunit(found):
    if not found.suites:
        return markup.absent("The suites were not run yet:", "make kunit")
    lines = [f'<p class="dim">{markup.when(found.suites[0].made)}</p>']
    for suite in found.suites:
        cases = "".join(markup.remarks(result) for result in suite.results)
        lines.append(details(
            f"<b>{text(suite.name)}</b> {markup.counts(suite)}",
            f"<ul>{cases}</ul>", is_open=markup.verdict(suite) == FAIL))
    return "\n".join(lines)


def bench(found):
    if not found.bench:
        return markup.absent("Nothing was measured yet:", "make bench")
    every = judging.sections(found.bench.figures)
    rows = []
    for _, group in every:
        rows += [tuple(map(text, judging.cells(figure)[:5]))
                 + (chip(FAIL, "miss") if figure.miss else "",)
                 for figure in group]
    misses = [figure for figure in found.bench.figures if figure.miss]
    listed = "".join(
        f"<li>{chip(FAIL, 'miss')} {text(figure.title)}: "
        f"{judging.number(figure.ours)}, target {text(figure.goal)}</li>"
        for figure in misses)
    quick = " A quick run: not all was measured." if found.bench.quick else ""
    return (
        f"<p>Instructions, counted by QEMU, stock against ours.{quick} "
        f'<span class="dim">{markup.when(found.bench.made)}</span></p>'
        + (f"<ul>{listed}</ul>" if listed else "")
        + markup.wide(plot.svg(every, found.bench.kernels), "plot",
                      "Every figure on a logarithmic scale")
        + details("All figures", table(
            ("figure", "stock", "ours", "ratio", "target", ""), rows,
            ["", "number", "number", "number", "number", ""])))


def coverage(found):
    if not found.coverage:
        return markup.absent("It was not measured yet:", "make coverage")
    rows = []
    for name, (lines, covered) in sorted(found.coverage.files.items()):
        share = 100 * covered / lines if lines else 100
        rows.append((f"<code>{text(name)}</code>", f"{lines:,}",
                     f"{covered:,}", f"{share:.1f} %",
                     f'<meter max="100" value="{share:.1f}"></meter>'))
    return ('<p class="dim">Lines that the KUnit suites and scenarios of the '
            f"lab execute together, {markup.when(found.coverage.made)}</p>"
            + table(("file", "lines", "covered", "", ""), rows,
                    ["", "number", "number", "number", ""]))


def promises(found):
    head = list(found.promises[0])
    return table(head, [[text(entry[key]) for key in head]
                        for entry in found.promises])


def tile(heading, content):
    return f'<div class="tile"><b>{text(heading)}</b>{content}</div>'


def summary(found):
    """Everything in a few boxes."""
    tiles = [tile(one.name, markup.counts(one))
             for one in (found.checks, found.p2pctl, found.judges) if one]
    groups = [("KUnit suites", [suite.results for suite in found.suites]),
              ("lab scenarios", [run.results for run in found.runs.values()])]
    for heading, lists in groups:
        if lists:
            every = tuple(result for one in lists for result in one)
            tiles.append(tile(heading, markup.counts(
                gathered.Part(heading, 0, every))))
    if found.bench:
        judged = [figure for figure in found.bench.figures
                  if figure.target is not None]
        missed = sum(figure.miss for figure in judged)
        words = chip(FAIL, f"{missed} missed") + " " if missed else ""
        tiles.append(tile("targets of the bench", words + chip(
            PASS, f"{len(judged) - missed} reached")))
    if found.coverage:
        lines, covered = (sum(pair[index] for pair
                              in found.coverage.files.values())
                          for index in (0, 1))
        share = f"{100 * covered / lines:.1f} %" if lines else "no line"
        tiles.append(tile("lines covered", share))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def commit():
    """The commit of the repository, if git knows it."""
    try:
        result = subprocess.run(
            ["git", "-C", str(session.ROOT), "rev-parse", "--short", "HEAD"],
            capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return result.stdout.strip()


def introduction(found):
    """Which kernel and which commit it is about."""
    kernels = sorted({run.kernel for run in found.runs.values()
                      if run.kernel})
    words = ["Parts may be of different age; each tells its own."]
    if kernels:
        words.insert(0, f"Linux {', '.join(kernels)}.")
    if commit():
        words.insert(0, f"Made at commit {commit()}.")
    return f'<p class="dim">{text(" ".join(words))}</p>{summary(found)}'


def build(boxes, found):
    """The text of the page."""
    sections = [
        ("machines", "Machines and routes", machines(boxes, found)),
        ("labs", "Lab: machine by scenario", labs(boxes, found)),
        ("kunit", "KUnit suites", kunit(found)),
        ("tests", "Other tests", tests(found)),
        ("bench", "Bench, stock against ours", bench(found)),
        ("coverage", "Coverage", coverage(found)),
    ]
    if found.promises:
        sections.append(("promises", "Promises", promises(found)))
    return markup.page(TITLE, introduction(found), sections)


def run():
    """lab/run report; the exit status."""
    boxes = [machine.load(MACHINES, name) for name in machine.names(MACHINES)]
    page = build(boxes, gathered.gather(session.ROOT / "build"))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    partial = OUTPUT.with_suffix(".partial")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.rename(OUTPUT)
    except OSError as error:
        raise LabError(f"{OUTPUT} cannot be written ({error.strerror}); make "
                       "room, or make build/ writable.") from None
    print(f"wrote {OUTPUT}")
    return 0
