"""The figures that the project is held to, each taken from the medians of a run."""


def times(scenario, key="rate"):
    """Postern's, as a multiple of Postfix's."""
    return lambda results: results[scenario]["postern"][key] / results[scenario]["postfix"][key]


def fraction(scenario, key="cpu"):
    """Postfix's, as a multiple of Postern's: how many times less we need."""
    return lambda results: results[scenario]["postfix"][key] / results[scenario]["postern"][key]


def plain(scenario, key, scale=1.0):
    return lambda results: results[scenario]["postern"][key] * scale


ONE_EACH = "accept, 100 connections, one message each"
KEPT = "accept, 100 connections, kept"
ALONE = "accept, 1 connection at a time"
RELAY = "relay into a sink, 20 connections"
MAILDIRS = "delivery to 20 Maildirs, 20 connections"
LARGE = "20 messages of 25 MB, 4 connections"
DEFERRED = "100 000 deferred messages"

# What, where it is taken from, what it must reach, the goal; the sign says which side is good.
FIGURES = [
    ("messages/s against Postfix, 100 connections, one each", times(ONE_EACH), ">=", 10, 14),
    ("CPU a message, of Postfix 1/...", fraction(ONE_EACH), ">=", 12, 25),
    ("messages/s against Postfix, 100 connections, kept", times(KEPT), ">=", 15, 25),
    ("CPU a message, of Postfix 1/...", fraction(KEPT), ">=", 18, 40),
    ("messages/s against Postfix, one connection", times(ALONE), ">=", 2.5, 4),
    ("median latency, of Postfix 1/...", fraction(ALONE, "latency"), ">=", 2, None),
    ("relay, messages/s against Postfix", times(RELAY), ">=", 8, 15),
    ("relay, CPU a message, of Postfix 1/...", fraction(RELAY), ">=", 8, None),
    ("Maildirs, messages/s against Postfix", times(MAILDIRS), ">=", 4, 8),
    ("Maildirs, CPU a message, of Postfix 1/...", fraction(MAILDIRS), ">=", 5, None),
    ("25 MB, MB/s against Postfix", times(LARGE, "megabytes"), ">=", 1.5, 2),
    ("25 MB, CPU, of Postfix 1/...", fraction(LARGE), ">=", 3, None),
    ("25 MB, peak PSS of all, MiB", plain(LARGE, "pss", 1 / 1024), "<=", 64, None),
    ("device flushes a message, 100 connections", plain(KEPT, "flushes"), "<=", 0.1, 0.03),
    ("peak PSS of all at 100 connections, MiB", plain(KEPT, "pss", 1 / 1024), "<=", 64, 40),
    ("idle connection, KiB of PSS", plain("idle connections after EHLO, 5000", "idle_kib"), "<=", 4, 2),
    ("100 000 deferred, qmgr's PSS, MiB", plain(DEFERRED, "qmgr_pss", 1 / 1024), "<=", 64, 32),
    ("100 000 deferred, restart to first delivery, s", plain(DEFERRED, "restart"), "<=", 2, None),
    ("100 000 deferred, a fresh message, s", plain(DEFERRED, "fresh"), "<=", 1, None),
    ("of the limit model's messages/s, kept",
     lambda results: results[KEPT]["postern"]["rate"] / results[KEPT]["limit"]["rate"], ">=", 0.5, 0.8),
    ("system calls a message, all processes",
     plain("system calls, 20 connections, one message each", "calls"), "<=", 40, 20),
]


def print_figures(results):
    """One line each for those whose scenarios were run."""
    for name, take, sign, must, goal in FIGURES:
        try:
            value = take(results)
        except KeyError:
            continue  # not among the scenarios of this run

        def holds(bound):
            return value >= bound if sign == ">=" else value <= bound
        verdict = "NOT REACHED" if not holds(must) else "goal" if goal is not None and holds(goal) else "holds"
        wanted = f"{sign} {must:g}" + (f", goal {goal:g}" if goal is not None else "")
        print(f"{name:<58} {value:>9.2f}   {wanted:<20} {verdict}")
