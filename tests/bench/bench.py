#!/usr/bin/env python3
"""`./dev bench`: Postern beside Debian's Postfix, in turn, in one run, on one disk, both durable before 250.

Load comes from Postfix's own smtp-source, mail for relaying goes to its smtp-sink. Each scenario runs A B A
B ...; medians and ratios are printed. Figures of one run on one machine are compared with each other only.
Flushes are those of the disk, by whomever; afterwards the system calls of smtpd and qmgr are counted with strace.
"""

import argparse
import math
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


def tree(root):
    """The process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
        except OSError:
            pass
    found, generation = {root}, {root}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation} - found
        found |= generation
    return found


def cpu_seconds(root):
    """Of the whole tree, and of those of it that ended."""
    ticks = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
        except OSError:
            pass
    return ticks / TICKS


def pss_kib(root):
    total = 0
    for pid in tree(root):
        try:
            match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(match.group(1)) if match else 0
        except OSError:
            pass
    return total


def device_flushes(directory):
    """How often the disk below `directory` was told to write back its cache so far; None: unknown."""
    device = os.stat(directory).st_dev
    where = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if (where / "partition").exists():
        where = where.parent  # flushes are counted for the whole disk
    try:
        fields = (where / "stat").read_text().split()
    except OSError:
        return None  # no block device: tmpfs, overlayfs
    return int(fields[15]) if len(fields) > 15 else None


class Postern:
    name = "postern"

    def __init__(self, directory, sink_port, relay):
        self.port = free_port()
        # Where nothing is to be delivered, the next hop refuses and is left alone from then on.
        target = sink_port if relay else 9
        self.process = subprocess.Popen(
            [BUILD / "tools" / "postern-instance", directory, "--smtp", f"127.0.0.1:{self.port}", "--domain", "bench.example",
             "--relay", f"sink.example=127.0.0.1:{target}", "--retry", "3600", "--set", "smtp.max_connections_per_client=1000",
             "--set", "smtp.max_messages_per_connection=0"], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("postern did not start")
        self.root = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


class Postfix:
    name = "postfix"

    def __init__(self, directory, sink_port, relay):
        self.port = free_port()
        self.config = Path(directory) / "etc"
        queue, data = Path(directory) / "queue", Path(directory) / "data"
        for path in (self.config, queue, data):
            path.mkdir(parents=True)
        shutil.chown(data, "postfix", "postfix")
        (self.config / "main.cf").write_text(
            "compatibility_level = 3.6\nmyhostname = mail.bench.example\nmydestination = bench.example\n"
            f"queue_directory = {queue}\ndata_directory = {data}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
            "mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nmaillog_file =\n"
            f"transport_maps = inline:{{sink.example=smtp:[127.0.0.1]:{sink_port}}}\n"
            + ("" if relay else "smtpd_recipient_restrictions = check_client_access static:HOLD, permit_mynetworks, reject\n"))
        services = Path("/usr/share/postfix/master.cf.dist").read_text()
        services = re.sub(r"^smtp      inet  n       -       y", f"127.0.0.1:{self.port} inet  n       -       n", services, flags=re.M)
        (self.config / "master.cf").write_text(re.sub(r"^(\S+\s+\S+\s+\S+\s+\S+\s+)y", r"\1n", services, flags=re.M))
        subprocess.run(["postfix", "-c", self.config, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)
        self.root = int((queue / "pid" / "master.pid").read_text())

    def stop(self):
        subprocess.run(["postfix", "-c", self.config, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Sink:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["smtp-sink", "-u", "postfix", f"127.0.0.1:{self.port}", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self):
        self.process.kill()
        self.process.wait()


def run_once(server_class, scenario, messages):
    """Messages per second, CPU seconds per thousand, KiB of PSS at the end, device flushes a message."""
    directory = tempfile.mkdtemp(prefix="postern-bench-", dir=os.environ.get("BENCH_DIR"))
    os.chmod(directory, 0o755)
    sink = Sink()
    server = None
    try:
        server = server_class(directory, sink.port, scenario["relay"])
        command = ["smtp-source", "-s", str(scenario["connections"]), "-m", str(messages), "-l", "4096", "-f", "sender@client.example",
                   "-t", "user@sink.example"] + (["-d"] if scenario["kept"] else []) + [f"127.0.0.1:{server.port}"]
        flushes = device_flushes(directory)
        before, start = cpu_seconds(server.root), time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        if scenario["relay"]:
            wait_until_drained(server, directory)
        seconds = time.monotonic() - start
        cpu = (cpu_seconds(server.root) - before) * 1000 / messages
        flushed = math.nan if flushes is None else (device_flushes(directory) - flushes) / messages
        return messages / seconds, cpu, pss_kib(server.root), flushed
    finally:
        if server is not None:
            server.stop()
        sink.stop()
        shutil.rmtree(directory, ignore_errors=True)


def wait_until_drained(server, directory):
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if server.name == "postfix":
            left = any(files for queue in ("incoming", "active", "maildrop") for _, _, files in os.walk(Path(directory) / "queue" / queue))
        else:
            listed = subprocess.run([BUILD / "tools" / "postern", "-c", f"{directory}/postern.toml", "queue", "list", "--limit", "1"],
                                    capture_output=True, text=True, check=True).stdout
            left = not listed.strip().endswith("0 active, 0 deferred, 0 held")
        if not left:
            return
        time.sleep(0.02)
    raise RuntimeError(f"{server.name} did not get rid of its mail")


SCENARIOS = [
    {"name": "accept to queue, 20 connections, one message each", "connections": 20, "kept": False, "relay": False, "messages": 2000},
    {"name": "accept to queue, 100 connections, one message each", "connections": 100, "kept": False, "relay": False, "messages": 3000},
    {"name": "accept to queue, 20 connections, kept", "connections": 20, "kept": True, "relay": False, "messages": 2000},
    {"name": "accept to queue, 100 connections, kept", "connections": 100, "kept": True, "relay": False, "messages": 3000},
    {"name": "relay into a sink, 20 connections", "connections": 20, "kept": False, "relay": True, "messages": 1500},
]


def main():
    arguments = argparse.ArgumentParser(description="Postern beside Postfix: messages per second and what they cost")
    arguments.add_argument("--pairs", type=int, default=3, help="how often each server runs a scenario")
    arguments.add_argument("--only", default="", help="scenarios whose name holds this")
    arguments.add_argument("--scale", type=float, default=1.0, help="times the messages")
    options = arguments.parse_args()
    for program in ("postfix", "smtp-source", "smtp-sink"):
        if not shutil.which(program):
            print(f"{program} is not installed: run ./dev deps", file=sys.stderr)
            return 1
    if os.geteuid() != 0:
        print("Postfix starts as root only: run ./dev bench as root", file=sys.stderr)
        return 1
    print(f"{'scenario':<52} {'server':<8} {'msg/s':>8} {'CPU s/1000':>11} {'PSS KiB':>8} {'flushes':>8}")
    for scenario in SCENARIOS:
        if options.only not in scenario["name"]:
            continue
        results = {"postfix": [], "postern": []}
        for _ in range(options.pairs):
            for server_class in (Postfix, Postern):
                # The faster one gets more, so that both run for a while.
                times = 6 if server_class is Postern else 1
                results[server_class.name].append(run_once(server_class, scenario, int(scenario["messages"] * options.scale) * times))
        medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in results.items()}
        for name, (rate, cpu, pss, flushed) in medians.items():
            print(f"{scenario['name']:<52} {name:<8} {rate:>8.0f} {cpu:>11.3f} {pss:>8.0f} {flushed:>8.3f}", flush=True)
        rate_ratio = medians["postern"][0] / medians["postfix"][0]
        cpu_ratio = medians["postfix"][1] / max(medians["postern"][1], 1e-9)
        print(f"{'':<52} {'ratio':<8} {rate_ratio:>7.1f}x {'1/' + format(cpu_ratio, '.1f'):>11}", flush=True)
    if not options.only:
        count_calls()
    return 0


def count_calls(messages=1000):
    """Prints what each connection with one message costs smtpd and qmgr in system calls."""
    if not shutil.which("strace"):
        print("system calls: strace is not installed")
        return
    sys.path.insert(0, str(TOP / "tests" / "integration"))
    from call_counter import CallCounter
    for role, connections in (("smtpd", 1), ("smtpd", 20), ("qmgr", 1), ("qmgr", 20)):
        with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
            os.chmod(directory, 0o755)
            server = Postern(directory, 9, relay=False)
            try:
                pid = next(pid for pid in tree(server.root)
                           if Path(f"/proc/{pid}/comm").read_text().strip() == role)
                counter = CallCounter(pid)
                subprocess.run(["smtp-source", "-s", str(connections), "-m", str(messages), "-l", "4096", "-f",
                                "sender@client.example", "-t", "user@sink.example", f"127.0.0.1:{server.port}"],
                               check=True, stdout=subprocess.DEVNULL, timeout=300)
                calls = counter.stop()
            finally:
                server.stop()
        each = ", ".join(f"{name} {count / messages:.2f}" for name, count in sorted(calls.items(), key=lambda item: -item[1]))
        print(f"system calls of {role}, one message a connection, {connections} at a time: "
              f"{sum(calls.values()) / messages:.1f} a message ({each})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
