#!/usr/bin/env python3
"""`./dev coverage`: how much of each parser its corpus reaches, in lines.

A target says in a comment line `// Covers: FILE...` which sources it is there for. Each target of the coverage
build replays its seeds and past crashes, and what the fuzzer learnt if it ever ran here (--learnt).
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
GOAL = 85  # per cent of lines


def covered_sources(name):
    text = (TOP / "fuzz" / f"{name}_fuzz.cc").read_text()
    return [TOP / path for line in re.findall(r"^// Covers: (.*)$", text, re.M) for path in line.split()]


def measure(name, build, learnt):
    """{source: (lines reached, lines)}."""
    program = build / "fuzz" / f"{name}_fuzz"
    folders = [TOP / "fuzz" / "corpus" / name, TOP / "fuzz" / "crashes" / name]
    if learnt:
        folders.append(Path(learnt) / name)
    with tempfile.TemporaryDirectory() as directory:
        raw, merged = Path(directory, "raw"), Path(directory, "merged")
        subprocess.run([program, *folders], check=True, env={**os.environ, "LLVM_PROFILE_FILE": str(raw)},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["llvm-profdata-19", "merge", "-sparse", raw, "-o", merged], check=True)
        told = subprocess.run(["llvm-cov-19", "export", "-summary-only", f"-instr-profile={merged}", program],
                              check=True, capture_output=True, text=True).stdout
    lines = {Path(os.path.realpath(file["filename"])): file["summary"]["lines"] for file in json.loads(told)["data"][0]["files"]}
    return {source: (lines[source]["covered"], lines[source]["count"]) for source in covered_sources(name) if source in lines}


def main():
    arguments = argparse.ArgumentParser(description="line coverage of each parser from its corpus")
    arguments.add_argument("--build", required=True, type=Path)
    arguments.add_argument("--learnt", help="the fuzzing build's corpus folder")
    arguments.add_argument("targets", nargs="+")
    options = arguments.parse_args()
    low = []
    print(f"{'target':<16} {'lines':>11} {'reached':>8}")
    for name in options.targets:
        sources = covered_sources(name)
        measured = measure(name, options.build, options.learnt)
        missing = [source for source in sources if source not in measured]
        if not sources or missing:
            print(f"{name}: says to cover {missing or 'nothing'}, which it is not linked with", file=sys.stderr)
            return 1
        reached, lines = (sum(column) for column in zip(*measured.values()))
        percent = 100 * reached / lines
        print(f"{name:<16} {reached:>5}/{lines:<5} {percent:>7.1f}%")
        for source, (some, all_lines) in sorted(measured.items()):
            print(f"    {str(source.relative_to(TOP)):<45} {some:>5}/{all_lines:<5} {100 * some / all_lines:>5.1f}%")
        if percent < GOAL:
            low.append(name)
    if low:
        print(f"below {GOAL}%: {' '.join(low)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
