# SPDX-License-Identifier: GPL-2.0
"""
Coverage as pages for a browser: a table of our files, and each of them with
its lines, what was executed, how often, and what was not and why.
"""

import html

from . import coverage

STYLE = """
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
td, th { padding: .2em .8em; text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr.missed td { background: #fbd5d0; }
pre { line-height: 1.3; }
pre span { display: block; }
.hit { background: #e2f3e2; }
.miss { background: #fbd5d0; }
.excused { background: #fdf0c4; }
.count { color: #777; }
"""


def page(title, body):
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
            f"</head>\n<body><h1>{html.escape(title)}</h1>\n{body}</body>"
            "</html>\n")


def file_name(name):
    """The name of a file's page."""
    return name.replace("/", "-") + ".html"


def index(found):
    """The table of all files."""
    rows = []
    for file in found:
        missed = file.percent < coverage.TARGET
        rows.append(
            f"<tr{' class=missed' if missed else ''}><td>"
            f"<a href=\"{file_name(file.name)}\">{html.escape(file.name)}</a>"
            f"</td><td>{len(file.counts)}</td><td>{file.covered}</td>"
            f"<td>{file.percent:.1f}</td></tr>\n")
    return page("Executed lines of our files",
                "<p>By the KUnit suites and scenarios of the lab together; "
                f"the target is {coverage.TARGET} % of each file. Red lines "
                "were not executed, yellow ones neither, for the reason that "
                "they show when pointed at.</p>\n<table><tr><th>file</th>"
                "<th>lines</th><th>executed</th><th>%</th></tr>\n"
                + "".join(rows) + "</table>\n")


def source(file, excuses):
    """The lines of one file."""
    reasons = {number: excuse.reason for path in file.paths
               for excuse in excuses if excuse.fits(path)
               for number in path.numbers}
    rows = []
    for number, text in enumerate(file.lines, start=1):
        count = file.counts.get(number)
        kind = title = ""
        if count is None:
            shown = ""
        else:
            shown = str(count)
            kind = "hit" if count else "miss"
            if number in reasons:
                kind = "excused"
                title = f" title=\"{html.escape(reasons[number])}\""
        rows.append(f"<span class=\"{kind}\"{title}><span class=\"count\" "
                    f"style=\"display: inline\">{number:5} {shown:>9} </span>"
                    f"{html.escape(text) or ' '}</span>")
    return page(file.name, f"<p>{file.covered} of {len(file.counts)} lines, "
                f"{file.percent:.1f} %. <a href=\"index.html\">All files</a>"
                f"</p>\n<pre>{''.join(rows)}</pre>\n")


def write(directory, found, excuses):
    """Write all pages; the path of the first one."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in found:
        (directory / file_name(file.name)).write_text(
            source(file, excuses), encoding="utf-8")
    first = directory / "index.html"
    first.write_text(index(found), encoding="utf-8")
    return first
