#!/usr/bin/env python3
"""Runs every test there is and counts cases, not programs: what `./dev test` calls after building.

Unit tests and corpus replays come from meson's list of each build directory, the integration tests
from tests/integration/run.py. The last line is always `N passed, N failed, N skipped`; before it
stand the skipped cases with their reasons and the failed ones with what they printed.
Exit status: 0 all passed or skipped, 1 a case failed, 2 the filter fits nothing.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
INTEGRATION_SECONDS = 25 * 60
SANITIZER_SLOWDOWN = 3  # how many times longer a program may take with sanitizers
KEPT_OUTPUT_OCTETS = 6000  # of a failed program
SKIP_STATUS = 77  # of a program that is one case: automake's convention, meson's too


@dataclasses.dataclass
class Case:
    name: str
    outcome: str  # "passed", "failed" or "skipped"
    why: str = ""


LIVE = set()  # programs running now, so that an interrupted run leaves none behind


def run_bounded(argv, seconds, env, cwd):
    """Runs a program in a session of its own; returns (status, output); status None: too slow.

    Output goes through a file: a pipe would stay open in whatever the program left behind.
    """
    with tempfile.TemporaryFile() as sink:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink,
                                       stderr=subprocess.STDOUT, env=env, cwd=cwd,
                                       start_new_session=True)
        except OSError as error:
            return 127, f"cannot run {argv[0]}: {error}"
        LIVE.add(process)
        in_time = ends_within(process, seconds)
        kill_session(process)
        LIVE.discard(process)
        status = process.returncode if in_time else None
        sink.seek(0)
        return status, sink.read().decode("utf-8", "replace")


def ends_within(process, seconds):
    """Waits without reaping, so that the process id stays ours until its session is killed too."""
    descriptor = os.pidfd_open(process.pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def kill_session(process):
    """Ends what the program left running, and reaps the program."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def interrupted(signal_number, _frame):
    for process in list(LIVE):
        kill_session(process)
    os._exit(128 + signal_number)


def ending(status, seconds):
    if status is None:
        return f"still running after {seconds:.0f} s"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status}"


def tail(output):
    return output if len(output) <= KEPT_OUTPUT_OCTETS else "...\n" + output[-KEPT_OUTPUT_OCTETS:]


class Program:
    """One executable of meson's list: a GoogleTest program, or a case by itself."""

    def __init__(self, entry, sanitized):
        self.name = ("asan " if sanitized else "") + entry["name"]
        self.argv = entry["cmd"]
        self.cwd = entry.get("workdir") or None
        self.is_gtest = entry.get("protocol") == "gtest"
        self.is_parallel = entry.get("is_parallel", True)
        self.seconds = (entry.get("timeout") or 300) * (SANITIZER_SLOWDOWN if sanitized else 1)
        self.env = dict(os.environ)
        self.env.update(entry.get("env") or {})
        self.env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        symbolizer = "/usr/bin/llvm-symbolizer-19"
        if os.path.exists(symbolizer):
            self.env.setdefault("ASAN_SYMBOLIZER_PATH", symbolizer)

    def select(self, wanted):
        """Narrows to the cases whose names hold `wanted`; False if there are none."""
        if wanted in self.name.lower():
            return True
        if not self.is_gtest:
            return False
        _, listing = run_bounded(self.argv + ["--gtest_list_tests"], 60, self.env, self.cwd)
        suite, chosen = "", []
        for line in listing.splitlines():
            line = line.split("#")[0].rstrip()
            if line.startswith("  "):
                if wanted in (suite + line.strip()).lower():
                    chosen.append(suite + line.strip())
            elif line.endswith("."):
                suite = line
        self.env["GTEST_FILTER"] = ":".join(chosen)
        return bool(chosen)

    def run(self):
        if not self.is_gtest:
            return self._run_single()
        with tempfile.TemporaryDirectory(prefix="postern-test-") as folder:
            report = pathlib.Path(folder) / "report.json"
            self.env["GTEST_OUTPUT"] = f"json:{report}"
            status, output = run_bounded(self.argv, self.seconds, self.env, self.cwd)
            try:
                cases = self._read_report(json.loads(report.read_text("utf-8", "replace")), output)
            except (OSError, ValueError):
                cases = self._read_output(output)
        # A program may die after its cases, or between two of them; that is a failure of its own.
        if status != 0 and not any(case.outcome == "failed" for case in cases):
            cases.append(Case(f"{self.name}: whole program", "failed",
                              ending(status, self.seconds) + "\n" + tail(output)))
        if not cases:
            cases.append(Case(f"{self.name}: whole program", "failed", "it holds no test"))
        return cases

    def _run_single(self):
        status, output = run_bounded(self.argv, self.seconds, self.env, self.cwd)
        if status == 0:
            return [Case(self.name, "passed")]
        if status == SKIP_STATUS:
            return [Case(self.name, "skipped", output.strip().split("\n")[-1] or "no reason given")]
        return [Case(self.name, "failed", ending(status, self.seconds) + "\n" + tail(output))]

    def _read_report(self, report, output):
        cases = []
        for suite in report["testsuites"]:
            for test in suite["testsuite"]:
                full = f"{suite['name']}.{test['name']}"
                case = Case(f"{self.name}: {full}", "passed")
                if test.get("failures"):
                    case.outcome = "failed"
                    case.why = tail("\n".join(f["failure"] for f in test["failures"]))
                elif test.get("result") == "SKIPPED":
                    case.outcome, case.why = "skipped", skip_reason(output, full)
                elif test.get("status") == "NOTRUN":
                    if not test["name"].startswith("DISABLED_") and "GTEST_FILTER" in self.env:
                        continue
                    case.outcome, case.why = "skipped", "disabled in the source"
                cases.append(case)
        return cases

    def _read_output(self, output):
        """What can be told of a program that died before it wrote its report."""
        cases, running = [], None
        for line in output.splitlines():
            match = re.match(r"\[\s*(RUN|OK|FAILED|SKIPPED)\s*\] ([\w/.]+)", line)
            if not match:
                continue
            word, name = match.group(1).strip(), match.group(2)
            if word == "RUN":
                running = name
            elif name == running:
                running = None
                outcome = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[word]
                why = skip_reason(output, name) if word == "SKIPPED" else ""
                cases.append(Case(f"{self.name}: {name}", outcome, why))
        if running:
            cases.append(Case(f"{self.name}: {running}", "failed",
                              "the program ended in this case\n" + tail(output)))
        return cases


def skip_reason(output, full_name):
    """GoogleTest 1.12 leaves the reason out of its report, so it is read from what was printed."""
    start = output.find(f"[ RUN      ] {full_name}\n")
    end = output.find(f"[  SKIPPED ] {full_name}", start)
    if start < 0 or end < 0:
        return "no reason given"
    lines = [line.strip() for line in output[start:end].splitlines()[1:]]
    lines = [line for line in lines if line and not line.endswith(": Skipped")]
    return " ".join(lines) or "no reason given"


def list_programs(build, sanitized):
    listing = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                             stdout=subprocess.PIPE)
    return [Program(entry, sanitized) for entry in json.loads(listing.stdout)]


def show(name, cases, seconds):
    failed = sum(case.outcome == "failed" for case in cases)
    print(f"{'FAILED' if failed else 'ok':6} {name}: {len(cases)} cases"
          + (f", {failed} failed" if failed else "") + f", {seconds:.1f} s", flush=True)


def run_programs(programs):
    def timed(program):
        start = time.monotonic()
        cases = program.run()
        show(program.name, cases, time.monotonic() - start)
        return cases

    cases = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for some in pool.map(timed, [p for p in programs if p.is_parallel]):
            cases += some
    for program in programs:
        if not program.is_parallel:
            cases += timed(program)
    return cases


def run_integration(build, quick, wanted):
    with tempfile.TemporaryDirectory(prefix="postern-test-") as folder:
        report = pathlib.Path(folder) / "report.jsonl"
        argv = [sys.executable, str(TOP / "tests/integration/run.py"), "--report", str(report)]
        argv += ["--quick"] if quick else []
        argv += ["--filter", wanted] if wanted else []
        start = time.monotonic()
        env = dict(os.environ, POSTERN_BUILD=build)
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
        LIVE.add(process)
        in_time = ends_within(process, INTEGRATION_SECONDS)
        if not in_time:
            process.terminate()  # it stops its servers, as far as it can
            ends_within(process, 30)
        kill_session(process)
        LIVE.discard(process)
        status = process.returncode if in_time else None
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
    # One line a case, written as it ends: what ran before a time-out still counts.
    cases = [Case(**json.loads(line)) for line in lines]
    if status != 0 and not any(case.outcome == "failed" for case in cases):
        cases.append(Case("integration: whole program", "failed",
                          ending(status, time.monotonic() - start)))
    return cases


def summarise(cases):
    for outcome in ("skipped", "failed"):
        chosen = [case for case in cases if case.outcome == outcome]
        if chosen:
            print(f"\n{outcome}:")
        for case in chosen:
            lines = case.why.strip().splitlines() or [""]
            if outcome == "skipped":
                print(f"  {case.name}: {' '.join(lines)}")
            else:
                print(f"  {case.name}")
                print("".join(f"      {line}\n" for line in lines), end="")
    counts = [sum(case.outcome == o for case in cases) for o in ("passed", "failed", "skipped")]
    print("\n{} passed, {} failed, {} skipped".format(*counts), flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description="runs every test and counts cases")
    parser.add_argument("--build", required=True, help="the ordinary build directory")
    parser.add_argument("--sanitized", help="the build directory with ASan and UBSan")
    parser.add_argument("--quick", action="store_true", help="short integration tests only")
    parser.add_argument("--filter", default="", help="only cases whose name holds this text")
    arguments = parser.parse_args()
    wanted = arguments.filter.lower()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)

    programs = list_programs(arguments.build, sanitized=False)
    if arguments.sanitized:
        programs += list_programs(arguments.sanitized, sanitized=True)
    if wanted:
        programs = [program for program in programs if program.select(wanted)]
    cases = run_programs(programs)
    cases += run_integration(arguments.build, arguments.quick, wanted)
    if not cases:
        print(f"no test's name holds '{arguments.filter}'", file=sys.stderr)
        summarise(cases)
        return 2
    return 1 if summarise(cases)[1] else 0


if __name__ == "__main__":
    sys.exit(main())
