# SPDX-License-Identifier: GPL-2.0
"""Lets the tests import the runner, from wherever they are started."""

import pathlib
import sys

LAB = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(LAB))
