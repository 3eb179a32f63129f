#!/usr/bin/env python3
"""Plays the dialogue cases against Debian's Postfix and Postern side by side, and writes how their answers differ.

    tests/dialogue/differences.py docs/dialogue-differences.md

Needs root (Postfix does) and a build. Exit status 1 if a difference has no explanation in its case.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import postern  # noqa: E402  pylint: disable=wrong-import-position
import postfix_server  # noqa: E402  pylint: disable=wrong-import-position

import all_cases  # noqa: E402  pylint: disable=wrong-import-position
import player  # noqa: E402  pylint: disable=wrong-import-position

HEAD = """# How Postern's dialogues differ from Postfix's

Written by `tests/dialogue/differences.py`, which plays the cases of `tests/dialogue` against both; run it again after a
change of either. Postfix {version} of Debian 12 has its defaults, but for its own directory, one virtual mailbox domain
and no network that may relay. {counts}

A row shows the first replies that differ, for all dialogues of a case (positions, values) that differ alike.
"""
TABLE = """
| case | dialogues | RFC | Postern | Postfix | what the RFC says |
| --- | --- | --- | --- | --- | --- |
"""
FORBIDDEN = """
## Where Postfix answers otherwise than the case asks

The RFC supports Postern, unless the last column says that it leaves the point open.
"""
ALLOWED = """
## Where the RFC lets a server answer either way
"""


def play_postfix():
    """Outcomes of Postfix, which takes mail for alice and bob at example.org and relays nothing."""
    with tempfile.TemporaryDirectory(prefix="postern-dialogue-") as folder:
        directory = pathlib.Path(folder)
        directory.chmod(0o755)
        boxes = directory / "boxes"
        boxes.mkdir(mode=0o777)
        boxes.chmod(0o777)
        settings = (f"mynetworks =\nvirtual_mailbox_domains = example.org\nvirtual_mailbox_base = {boxes}\n"
                    "virtual_mailbox_maps = inline:{{alice@example.org=alice/}, {bob@example.org=bob/}, "
                    "{postmaster@example.org=bob/}}\n"
                    "virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nlocal_header_rewrite_clients =\n")
        with postfix_server.Postfix(directory, settings) as server:
            outcomes = player.play_all(player.Target("127.0.0.1", server.port, seconds=10), all_cases.ALL)
            player.check_maildir(outcomes, boxes / "alice", 120)
    return outcomes


def play_postern():
    with postern.Instance() as server:
        target = player.Target("127.0.0.1", server.smtp_port, strict=True)
        return player.play_all(target, all_cases.ALL)


def version():
    shown = subprocess.run(["postconf", "-h", "mail_version"], capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def plain(text, octets=60):
    """A reply or a label for the table: short, without what differs from run to run."""
    text = re.sub(r"<[^<>]{30,}>", "<...>", text)
    text = re.sub(r"(queued as|accepted as) \S+", r"\1 ...", text)
    text = re.sub(r"t[0-9a-f]{8}x\d+x", "TOKEN", text)
    text = text if len(text) <= octets else text[:octets - 3] + "..."
    return text.replace("|", "\\|").replace("<", "\\<")


def differing_replies(ours, theirs):
    """The replies in which two dialogues differ: the one that was not as asked, or the first by code."""
    def pair(index):
        return [one.heard[index] if index < len(one.heard) else "(nothing more)" for one in (ours, theirs)]

    if theirs.result == player.DIFFERS:
        if not theirs.why.startswith("step"):
            return ["(as sent)", theirs.why]
        return pair(len(theirs.heard) - 1)
    for index in range(max(len(ours.heard), len(theirs.heard))):
        if pair(index)[0][:3] != pair(index)[1][:3]:
            return pair(index)
    return pair(0)


def table(ours, theirs, result):
    """The rows for one result: {(case name, codes): [case, replies, labels]}."""
    rows = {}
    for one, other in zip(ours, theirs):
        if other.result == result:
            pair = differing_replies(one, other)
            row = rows.setdefault((one.case.name, pair[0][:3], pair[1][:3]), [one.case, pair, []])
            row[2].append(one.play.label)
    return rows


def written(rows):
    lines = []
    for case, pair, labels in rows.values():
        shown = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        lines.append(f"| {case.name} | {plain(shown, 80)} | {case.rfc} | {plain(pair[0])} | {plain(pair[1])} | "
                     f"{case.why} |\n")
    return TABLE + "".join(lines)


def main():
    if len(sys.argv) != 2 or postfix_server.missing():
        print(postfix_server.missing() or __doc__, file=sys.stderr)
        return 2
    theirs, ours = play_postfix(), play_postern()
    results = [outcome.result for outcome in theirs]
    counts = (f"Of {len(theirs)} dialogues of {len({id(one.case) for one in theirs})} cases Postfix answers "
              f"{results.count(player.OK)} with the same codes,\n{results.count(player.ALSO)} otherwise as an RFC allows, "
              f"{results.count(player.DIFFERS)} otherwise; {results.count(player.SKIPPED)} need an extension it lacks.")
    forbidden, allowed = (table(ours, theirs, result) for result in (player.DIFFERS, player.ALSO))
    skipped = sorted({outcome.why for outcome in theirs if outcome.result == player.SKIPPED})
    pathlib.Path(sys.argv[1]).write_text(
        HEAD.format(version=version(), counts=counts) + FORBIDDEN + written(forbidden) + ALLOWED + written(allowed)
        + "\nSkipped: Postfix " + "; ".join(skipped) + ".\n", "utf-8")
    print(counts)
    wrong = [f"no explanation: {case.name} {labels}: {pair}" for case, pair, labels in forbidden.values() if not case.why]
    wrong += [f"Postern: {one.name}: {one.why}" for one in ours if one.result != player.OK]
    print("".join(line + "\n" for line in wrong), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
