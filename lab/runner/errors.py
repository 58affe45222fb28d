# SPDX-License-Identifier: GPL-2.0
"""
Errors that end a command.

A LabError carries one sentence for the user: what is wrong and what to do.
The command line prints it and exits with status 2; a failed test is not an
error but a result (see report.py).
"""


class LabError(Exception):
    """The command cannot go on; the text says why and what to do."""
