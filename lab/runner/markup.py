# SPDX-License-Identifier: GPL-2.0
"""
Pieces of HTML for the page of all results.

Text becomes HTML in one place, text(); everything else takes and gives HTML.
What is wide is put into a box of its own that scrolls, so that the page never
does: it has to be right on a telephone.
"""

import html
import pathlib
import time

from .ktap import FAIL, PASS, SKIP

STYLE = pathlib.Path(__file__).resolve().parent / "webpage.css"
# Not by colour alone: a sign and a word for each.
SIGNS = {PASS: ("\u2713", "passed"), FAIL: ("\u2717", "failed"),
         SKIP: ("\u2013", "skipped")}


def text(words):
    """Any text as HTML."""
    return html.escape(str(words))


def when(seconds):
    """A time in UTC, so that pages from different places can be compared."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def chip(outcome, words=None):
    """A result, as a sign with words."""
    sign, name = SIGNS[outcome]
    return f'<span class="chip {outcome}">{sign} ' \
        f'{text(name if words is None else words)}</span>'


def counts(part):
    """How many passed, failed and were skipped, as far as there are any."""
    found = [chip(outcome, f"{part.count(outcome):,} {SIGNS[outcome][1]}")
             for outcome in (FAIL, SKIP, PASS) if part.count(outcome)]
    return " ".join(found) or chip(FAIL, "nothing")


def verdict(part):
    """A part as one result: something passed and nothing failed."""
    return FAIL if part.count(FAIL) or not part.count(PASS) else PASS


def table(head, rows, kinds=(), classes=""):
    """
    A table in a box that scrolls. kinds has a class for each column, "number"
    for what is aligned on the right.
    """
    kinds = [*kinds, *[""] * (len(head) - len(kinds))]

    def row(tag, cells):
        return "<tr>" + "".join(
            f'<{tag} class="{kind}">{cell}</{tag}>' if kind else
            f"<{tag}>{cell}</{tag}>" for cell, kind in zip(cells, kinds)) \
            + "</tr>"

    return (f'<div class="wide" tabindex="0"><table class="{classes}"><thead>'
            f"{row('th', head)}</thead><tbody>"
            + "\n".join(row("td", cells) for cells in rows)
            + "</tbody></table></div>")


def wide(content, name, words):
    """Something wide in its box, with words for who cannot see it."""
    return (f'<div class="wide {name}" tabindex="0" role="img" '
            f'aria-label="{text(words)}">{content}</div>')


def details(summary, content, is_open=False):
    """Something that can be folded."""
    return (f"<details{' open' if is_open else ''}><summary>{summary}"
            f"</summary>{content}</details>")


def remarks(result):
    """A result with its remarks."""
    lines = f"<pre>{text(chr(10).join(result.remarks))}</pre>" \
        if result.remarks else ""
    return f"<li>{chip(result.outcome)} {text(result.name)}{lines}</li>"


def section(name, heading, content):
    return (f'<section id="{name}"><h2>{text(heading)}</h2>\n{content}\n'
            "</section>\n")


def absent(what, command):
    """What is not there, and how to make it."""
    return f'<p class="absent">{text(what)} <code>{text(command)}</code></p>'


def page(title, introduction, sections):
    """The page: sections are (name, heading, HTML) in their order."""
    links = "".join(f'<a href="#{name}">{text(heading)}</a>'
                    for name, heading, _ in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,'
        'initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style></head><body>\n"
        f"<header><h1>{text(title)}</h1>\n{introduction}\n"
        f"<nav>{links}</nav></header>\n<main>\n"
        + "".join(section(*parts) for parts in sections)
        + "</main></body></html>\n")
