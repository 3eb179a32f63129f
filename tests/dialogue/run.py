#!/usr/bin/env python3
"""Plays the dialogue cases against any SMTP server and says how it answered.

    tests/dialogue/run.py mx.example.net:25 --domain example.net --recipient someone@example.net

The server must not relay for us. A case is `ok` (answered as ours answers), `also` (otherwise, and
an RFC allows it), DIFFERS, or skipped (an extension is not offered). Nothing but mail to the
recipients named is caused. Exit status: 0 nothing differs, 1 something does, 2 nothing was played.
"""
import argparse
import collections
import dataclasses
import json
import pathlib
import sys

import all_cases
import player
import servers


def arguments_of(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0],
                                     epilog=__doc__.split("\n", 2)[2], allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", metavar="HOST:PORT")
    parser.add_argument("--domain", help="a domain of the server (that of --recipient)")
    parser.add_argument("--recipient", help="an address it takes mail for (alice@DOMAIN)")
    parser.add_argument("--recipient2", help="another (postmaster@DOMAIN)")
    parser.add_argument("--unknown", help="an address there that does not exist")
    parser.add_argument("--outside", default="someone@outside.example",
                        help="an address to which it must not relay (%(default)s)")
    parser.add_argument("--sender", default="sender@client.example", help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="to wait for a reply (%(default)s)")
    parser.add_argument("--settings", choices=sorted(servers.SERVERS), default="default",
                        help="the settings the server was started with (tests/dialogue/servers.py)")
    parser.add_argument("--strict", action="store_true",
                        help="it is Postern: nothing but its own answers, enhanced codes too")
    parser.add_argument("--maildir", type=pathlib.Path, help="where the recipient's mail arrives: look at it")
    parser.add_argument("--filter", default="", help="only cases whose name or group holds this text")
    parser.add_argument("--all", action="store_true", help="list what is ok, too")
    parser.add_argument("--json", action="store_true", help="one JSON object a case instead of the table")
    arguments = parser.parse_args(argv)
    host, _, port = arguments.server.rpartition(":")
    if not host or not port.isdigit():
        parser.error("the server is HOST:PORT")
    arguments.host, arguments.port = host.strip("[]"), int(port)
    arguments.domain = arguments.domain or (arguments.recipient or "@example.org").rpartition("@")[2]
    return arguments


def chosen(wanted):
    """The cases whose group or name holds the text."""
    return [case for group, cases in all_cases.GROUPS.items() for case in cases
            if wanted.lower() in f"{group}: {case.name}".lower()]


def target_of(arguments):
    domain = arguments.domain
    return player.Target(
        arguments.host, arguments.port, domain=domain, recipient=arguments.recipient or f"alice@{domain}",
        recipient2=arguments.recipient2 or f"postmaster@{domain}", unknown=arguments.unknown or "",
        outside=arguments.outside, sender=arguments.sender, seconds=arguments.seconds, strict=arguments.strict,
        servers=(arguments.settings,) + (("ours",) if arguments.strict and arguments.settings == "default" else ()))


def show(outcomes, everything):
    """The table: a line for each play that is not ok, and the count of all."""
    for outcome in outcomes:
        if outcome.result != player.OK or everything:
            print(f"{outcome.result:8} {outcome.name} (RFC {outcome.case.rfc})"
                  + (f": {outcome.why}" if outcome.why else ""))
    counts = collections.Counter(outcome.result for outcome in outcomes)
    names = {id(outcome.case) for outcome in outcomes}
    print(f"{len(names)} cases, {len(outcomes)} dialogues: "
          + ", ".join(f"{counts[word]} {word}" for word in (player.OK, player.ALSO, player.DIFFERS, player.SKIPPED)))


def main(argv=None):
    arguments = arguments_of(argv)
    outcomes = player.play_all(target_of(arguments), chosen(arguments.filter))
    if arguments.maildir:
        player.check_maildir(outcomes, arguments.maildir, arguments.seconds)
    if arguments.json:
        for outcome in outcomes:
            print(json.dumps({"case": outcome.case.name, "play": outcome.play.label, "rfc": outcome.case.rfc,
                              "result": outcome.result, "why": outcome.why, "heard": outcome.heard}))
    else:
        show(outcomes, arguments.all)
    if not outcomes:
        print("no case fits", file=sys.stderr)
        return 2
    return 1 if any(outcome.result == player.DIFFERS for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
