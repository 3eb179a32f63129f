#!/usr/bin/env python3
"""`./dev bench`: Postern beside Debian's Postfix, in turn, in one run, on one disk, both durable before 250.

Each scenario runs A B A B ...; medians and ratios are printed, then the figures that the project is held to. Figures
of one run on one machine are compared with each other only. Flushes are those of the disk, by whomever. BENCH_DIR
names a directory on the disk to use.
"""

import argparse
import json
import os
import shutil
import statistics
import sys

import chart
import scenarios
import servers
from figures import print_figures

SERVERS = {"postfix": servers.Postfix, "postern": servers.Postern, "limit": servers.LimitModel}
# A key of the figures, its head in the table, its form.
COLUMNS = [("rate", "msg/s", "8.0f"), ("cpu", "CPU s/1000", "10.3f"), ("pss", "PSS KiB", "9.0f"), ("flushes", "flushes", "8.3f"),
           ("latency", "median ms", "9.2f"), ("megabytes", "MB/s", "7.0f"), ("idle_kib", "KiB each", "8.2f"), ("calls", "calls", "7.1f"),
           ("qmgr_pss", "qmgr KiB", "8.0f"), ("fresh", "fresh s", "7.2f"), ("restart", "start s", "7.2f")]


def run_scenario(scenario, pairs, scale):
    """{server: {figure: median}}."""
    names = ["postern"] if scenario.get("alone") else ["postfix", "postern"]
    if scenario.get("limit"):
        names.append("limit")
    runs = {name: [] for name in names}
    for _ in range(pairs):
        for name in names:
            # The faster one gets more, so that both run for a while.
            if name == "postfix":
                messages = scenario.get("postfix_messages", scenario["messages"])
            else:
                messages = scenario["messages"] * scenario.get("times", 6)
            runs[name].append(scenario["run"](SERVERS[name], scenario, max(int(messages * scale), 1)))
    return {name: {key: statistics.median(run[key] for run in results) for key in results[0]}
            for name, results in runs.items()}


def print_scenario(scenario, medians):
    for name, figures in medians.items():
        columns = "  ".join(f"{head} {format(figures[key], form).strip()}" for key, head, form in COLUMNS if key in figures)
        print(f"{scenario['name']:<48} {name:<8} {columns}", flush=True)
    if {"postfix", "postern"} <= medians.keys() and "rate" in medians["postern"]:
        faster = medians["postern"]["rate"] / medians["postfix"]["rate"]
        cheaper = medians["postfix"]["cpu"] / max(medians["postern"]["cpu"], 1e-9)
        print(f"{'':<48} {'ratio':<8} {faster:.1f} times the messages, 1/{cheaper:.1f} of the CPU", flush=True)


def main():
    arguments = argparse.ArgumentParser(description="Postern beside Postfix: messages per second and what they cost")
    arguments.add_argument("--pairs", type=int, default=3, help="how often each server runs a scenario")
    arguments.add_argument("--only", default="", help="scenarios whose name holds this")
    arguments.add_argument("--scale", type=float, default=1.0, help="times the messages")
    arguments.add_argument("--chart", metavar="FILE", help="write an SVG of the results there")
    arguments.add_argument("--json", metavar="FILE", help="write the medians there")
    options = arguments.parse_args()
    for program in ("postfix", "smtp-source", "smtp-sink"):
        if not shutil.which(program):
            print(f"{program} is not installed: run ./dev deps", file=sys.stderr)
            return 1
    if os.geteuid() != 0:
        print("Postfix starts as root only: run ./dev bench as root", file=sys.stderr)
        return 1
    chosen = [scenario for scenario in scenarios.SCENARIOS if options.only in scenario["name"]]
    if not chosen:
        print(f"no scenario is called like '{options.only}'; there are:", *(s["name"] for s in scenarios.SCENARIOS),
              sep="\n  ", file=sys.stderr)
        return 2
    results = {}
    for scenario in chosen:
        results[scenario["name"]] = run_scenario(scenario, options.pairs, options.scale)
        print_scenario(scenario, results[scenario["name"]])
    print()
    print_figures(results)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    if options.chart:
        with open(options.chart, "w", encoding="utf-8") as file:
            file.write(chart.draw(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
