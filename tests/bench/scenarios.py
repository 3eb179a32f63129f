"""What is measured, each by one function `run(server_class, scenario, messages)` that gives a dict of figures."""
import contextlib
import json
import math
import os
import shutil
import statistics
import subprocess
import tempfile
import time

import measure
import servers

FOREVER = 300  # seconds that no single run may take
DISK = os.environ.get("BENCH_DIR") or tempfile.gettempdir()
GENERATOR = servers.BUILD / "tests" / "bench" / "load_generator"


@contextlib.contextmanager
def started(server_class, relay=False, **options):
    """A server of its own, under a fresh directory on the disk that BENCH_DIR names."""
    directory = tempfile.mkdtemp(prefix="postern-bench-", dir=DISK)
    os.chmod(directory, 0o755)
    sink = servers.Sink() if relay else None
    server = None
    try:
        server = server_class(directory, sink.port if sink else None, relay, **options)
        yield server
    finally:
        if server is not None:
            server.stop()
        if sink:
            sink.stop()
        shutil.rmtree(directory, ignore_errors=True)


def smtp_source(port, connections, messages, octets=4096, kept=False):
    """Postfix's generator: each command waits for its reply."""
    subprocess.run(["smtp-source", "-s", str(connections), "-m", str(messages), "-l", str(octets),
                    "-f", "sender@client.example", "-t", "user@sink.example", *(["-d"] if kept else []),
                    f"127.0.0.1:{port}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=FOREVER)


def generate(port, *options):
    """Our own generator, which also tells how long each message took."""
    printed = subprocess.run([GENERATOR, str(port), *map(str, options)], check=True, timeout=FOREVER,
                             capture_output=True, text=True).stdout
    return json.loads(printed)


def count_files(directory):
    return len(os.listdir(directory)) if directory.is_dir() else 0


def wait_until(condition, what):
    end = time.monotonic() + FOREVER
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(what)
        time.sleep(0.02)


@contextlib.contextmanager
def watched(server, messages, figures):
    """Fills `figures` with what the block cost the server."""
    flushes = measure.device_flushes(DISK)
    peak, before, start = measure.PeakPss(server.root), measure.cpu_seconds(server.root), time.monotonic()
    try:
        yield
        seconds = time.monotonic() - start
    finally:
        peak_kib = peak.stop()
    figures.update(rate=messages / seconds, cpu=(measure.cpu_seconds(server.root) - before) * 1000 / messages,
                   pss=peak_kib,
                   flushes=math.nan if flushes is None else (measure.device_flushes(DISK) - flushes) / messages)


def accept(server_class, scenario, messages):
    """Accept to queue: nothing is delivered."""
    figures = {}
    with started(server_class) as server:
        with watched(server, messages, figures):
            smtp_source(server.port, scenario["connections"], messages, kept=scenario["kept"])
    return figures


def alone(server_class, scenario, messages):
    """One connection at a time, with the time each message takes."""
    figures = {}
    with started(server_class) as server:
        with watched(server, messages, figures):
            told = generate(server.port, "--messages", messages)
    figures.update(rate=messages / told["seconds"], latency=told["median_ms"])
    return figures


def relay(server_class, scenario, messages):
    figures = {}
    with started(server_class, relay=True) as server:
        with watched(server, messages, figures):
            smtp_source(server.port, scenario["connections"], messages)
            wait_until(server.is_drained, f"{server.name} did not get rid of its mail")
    return figures


def deliver(server_class, scenario, messages):
    """Into Maildirs, until the last message is there."""
    figures = {}
    with started(server_class) as server:
        def stored():
            return sum(count_files(new) for new in server.mailboxes().glob("*/new"))
        with watched(server, messages, figures):
            generate(server.port, "--connections", scenario["connections"], "--messages", messages,
                     "--recipient", "u%d@local.example")
            wait_until(lambda: stored() >= messages, f"{server.name} did not deliver all")
    return figures


def large(server_class, scenario, messages):
    figures = {}
    with started(server_class) as server:
        with watched(server, messages, figures):
            generate(server.port, "--connections", scenario["connections"], "--messages", messages, "--octets", servers.LARGE)
    figures["megabytes"] = figures["rate"] * servers.LARGE / 1e6
    return figures


def idle(server_class, scenario, connections):
    """KiB of all processes for each connection that has said EHLO and waits."""
    with started(server_class) as server:
        generate(server.port, "--connections", 20, "--messages", 40)  # everybody is warm
        before = measure.pss_kib(server.root)
        waiting = subprocess.Popen([GENERATOR, str(server.port), "--idle", "--connections", str(connections)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if waiting.stdout.readline().strip() != "idle":
                raise RuntimeError(f"{server.name}: the connections were not opened")
            grown = measure.pss_kib(server.root) - before
        finally:
            waiting.stdin.close()
            waiting.wait(timeout=FOREVER)
            waiting.stdout.close()
    return {"idle_kib": grown / connections}


def calls(server_class, scenario, messages):
    """System calls of all processes together, a message."""
    if not shutil.which("strace"):
        raise RuntimeError("strace is not installed: run ./dev deps")
    with started(server_class) as server:
        smtp_source(server.port, scenario["connections"], messages)  # everybody is warm
        count = measure.CallCount(server.root)
        smtp_source(server.port, scenario["connections"], messages)
        total = sum(count.stop().values())
    return {"calls": total / messages}


def deferred(server_class, scenario, messages):
    """A queue full of mail that cannot go anywhere: memory, start, and mail that can."""
    with started(server_class) as server:
        generate(server.port, "--connections", 100, "--messages", messages, "--kept", "--pipeline")
        qmgr = next(pid for pid in measure.tree(server.root) if measure.name_of(pid) == "qmgr")
        figures = {"qmgr_pss": measure.pss_of(qmgr)}

        def fresh(expected):
            """Seconds until one message for a mailbox is there."""
            began = time.monotonic()
            generate(server.port, "--recipient", "u0@local.example")
            wait_until(lambda: count_files(server.mailboxes() / "u0" / "new") >= expected, "fresh mail does not arrive")
            return time.monotonic() - began

        figures["fresh"] = statistics.median(fresh(number) for number in range(1, 6))
        server.stop()
        began = time.monotonic()
        server.start()
        fresh(6)
        figures["restart"] = time.monotonic() - began
    return figures


SCENARIOS = [
    {"name": "accept, 1 connection at a time", "run": alone, "messages": 500, "times": 4},
    {"name": "accept, 20 connections, one message each", "run": accept, "connections": 20, "kept": False, "messages": 2000},
    {"name": "accept, 100 connections, one message each", "run": accept, "connections": 100, "kept": False, "messages": 3000},
    {"name": "accept, 500 connections, one message each", "run": accept, "connections": 500, "kept": False, "messages": 3000},
    {"name": "accept, 20 connections, kept", "run": accept, "connections": 20, "kept": True, "messages": 2000},
    {"name": "accept, 100 connections, kept", "run": accept, "connections": 100, "kept": True, "messages": 3000, "limit": True},
    {"name": "accept, 500 connections, kept", "run": accept, "connections": 500, "kept": True, "messages": 3000},
    {"name": "relay into a sink, 20 connections", "run": relay, "connections": 20, "messages": 1500},
    {"name": "delivery to 20 Maildirs, 20 connections", "run": deliver, "connections": 20, "messages": 1500, "times": 3},
    {"name": "20 messages of 25 MB, 4 connections", "run": large, "connections": 4, "messages": 20, "times": 1},
    {"name": "idle connections after EHLO, 1000", "run": idle, "messages": 1000, "times": 1, "postfix_messages": 90},
    {"name": "idle connections after EHLO, 5000", "run": idle, "messages": 5000, "times": 1, "alone": True},
    {"name": "idle connections after EHLO, 20000", "run": idle, "messages": 20000, "times": 1, "alone": True},
    {"name": "100 000 deferred messages", "run": deferred, "messages": 100_000, "times": 1, "alone": True},
    {"name": "system calls, 20 connections, one message each", "run": calls, "connections": 20, "messages": 500, "times": 1},
]
