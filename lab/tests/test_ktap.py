# SPDX-License-Identifier: GPL-2.0
"""The judge of test lines: every way to pass without having tested fails."""

import unittest

import context  # noqa: F401
from runner import ktap
from runner.ktap import FAIL, PASS, SKIP


def outcomes(text):
    return [result.outcome for result in ktap.judge(text.splitlines())]


class Judge(unittest.TestCase):
    def test_good(self):
        results = ktap.judge(["KTAP version 1", "1..2", "ok 1 - one",
                              "ok 2 - two"])
        self.assertEqual([(r.name, r.outcome) for r in results],
                         [("one", PASS), ("two", PASS)])

    def test_failure_keeps_its_remarks(self):
        results = ktap.judge(["1..1", "not ok 1 - one", "# wanted: 1",
                              "# found:  2"])
        self.assertEqual(results[0].outcome, FAIL)
        self.assertEqual(results[0].remarks, ("wanted: 1", "found:  2"))

    def test_skip(self):
        results = ktap.judge(["1..1", "ok 1 - one # SKIP no drive"])
        self.assertEqual((results[0].outcome, results[0].remarks),
                         (SKIP, ("no drive",)))

    def test_a_failed_skip_is_a_failure(self):
        self.assertEqual(outcomes("1..1\nnot ok 1 - one # SKIP no"), [FAIL])

    def test_silence(self):
        self.assertEqual(outcomes(""), [FAIL])

    def test_no_plan(self):
        self.assertEqual(outcomes("ok 1 - one"), [PASS, FAIL])

    def test_plan_of_nothing(self):
        self.assertEqual(outcomes("1..0"), [FAIL])

    def test_two_plans(self):
        self.assertIn(FAIL, outcomes("1..1\n1..1\nok 1 - one"))

    def test_missing_test(self):
        self.assertEqual(outcomes("1..2\nok 1 - one"), [PASS, FAIL])

    def test_too_many_tests(self):
        self.assertIn(FAIL, outcomes("1..1\nok 1 - one\nok 2 - two"))

    def test_repeated_number(self):
        self.assertIn(FAIL, outcomes("1..2\nok 1 - one\nok 1 - one"))

    def test_bail_out(self):
        self.assertIn(FAIL, outcomes("1..1\nok 1 - one\nBail out! no drive"))


if __name__ == "__main__":
    unittest.main()
