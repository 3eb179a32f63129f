#!/usr/bin/env python3
"""Runs the integration tests: every test_*.py beside this file, one case after the other.

`--report FILE` gets one line of JSON a case, {"name", "outcome", "why"}, as each ends. A class with
`quick = True` also runs under --quick. A case may take CASE_SECONDS, or its class's `seconds`.
"""
import argparse
import json
import pathlib
import signal
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CASE_SECONDS = 180


class Result(unittest.TestResult):
    """Writes one line a case; a case whose sub-tests failed counts once."""

    def __init__(self, report):
        super().__init__()
        self.report = report
        self.failed_parts = []
        self.any_failed = False

    def startTest(self, test):
        super().startTest(test)
        self.failed_parts = []
        self.began = time.monotonic()
        signal.alarm(getattr(test, "seconds", CASE_SECONDS))

    def stopTest(self, test):
        signal.alarm(0)
        if self.failed_parts:  # unittest reports neither success nor failure of such a case
            self.note(test, "failed", "\n".join(self.failed_parts))
            self.failed_parts = []
        super().stopTest(test)

    def note(self, test, outcome, why=""):
        name = "integration: " + test.id()
        self.any_failed |= outcome == "failed"
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        word = {"passed": "ok", "failed": "FAILED", "skipped": "skip"}[outcome]
        print(f"{word:6} {name}, {seconds:.1f} s" + (f": {why}" if outcome == "skipped" else ""),
              flush=True)
        if self.report:
            self.report.write(json.dumps({"name": name, "outcome": outcome, "why": why}) + "\n")
            self.report.flush()
        elif outcome == "failed":
            print(why, flush=True)

    def addSuccess(self, test):
        self.note(test, "passed")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed_parts.append(f"{subtest.id()}\n{self._exc_info_to_string(err, test)}")

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def _fail(self, test, err):
        self.note(test, "failed",
                  "\n".join(self.failed_parts + [self._exc_info_to_string(err, test)]))
        self.failed_parts = []

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.note(test, "failed", "expected failures are not used here")

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "expected failures are not used here")


def cases_in(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases_in(item)
        else:
            yield item


def select(quick, wanted):
    chosen = unittest.TestSuite()
    for case in cases_in(unittest.defaultTestLoader.discover(str(HERE), "test_*.py", str(HERE))):
        broken = case.id().startswith("unittest.loader.")  # a file that cannot be imported: run it
        if quick and not broken and not getattr(case, "quick", False):
            continue
        if wanted and wanted not in ("integration: " + case.id()).lower():
            continue
        chosen.addTest(case)
    return chosen


def out_of_time(_signal, _frame):
    raise TimeoutError("the case took too long")


def asked_to_stop(_signal, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="runs the integration tests")
    parser.add_argument("--report", help="file for one JSON line a case")
    parser.add_argument("--quick", action="store_true", help="only classes marked quick")
    parser.add_argument("--filter", default="", help="only cases whose name holds this text")
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, asked_to_stop)
    sys.path.insert(0, str(HERE))

    report = open(arguments.report, "w", encoding="utf-8") if arguments.report else None
    result = Result(report)
    try:
        select(arguments.quick, arguments.filter.lower()).run(result)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if report:
            report.close()
    return 1 if result.any_failed else 0


if __name__ == "__main__":
    sys.exit(main())
