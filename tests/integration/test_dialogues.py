"""The dialogue suite (tests/dialogue) against the built server, with either way to wait for events."""
import json
import pathlib
import subprocess
import sys
import unittest

import postern

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "dialogue"))
import all_cases  # noqa: E402  pylint: disable=wrong-import-position
import player  # noqa: E402  pylint: disable=wrong-import-position
import servers  # noqa: E402  pylint: disable=wrong-import-position

MIN_CASES = 220  # so that none gets lost unnoticed


class Suite:
    """All cases, each against a server with the settings it asks for; one server a class of settings."""

    io = "auto"
    servers = {}

    @classmethod
    def server(cls, settings):
        if settings not in cls.servers:
            instance = postern.Instance(io=cls.io, settings=servers.SERVERS[settings])
            cls.addClassCleanup(instance.close)
            instance.start()
            cls.servers[settings] = instance
        return cls.servers[settings]

    @classmethod
    def setUpClass(cls):
        cls.servers = {}
        if cls.io == "uring" and "uring" not in cls.choices():
            raise unittest.SkipTest("no io_uring here: servers that may choose run on epoll")

    @staticmethod
    def choices():
        """On what the daemons of a server run that may choose."""
        with postern.Instance() as server:
            shown = subprocess.run([str(postern.BUILD / "tools" / "postern"), "-c", str(server.directory / "postern.toml"),
                                    "ps", "--json"], capture_output=True, text=True, timeout=60, check=True)
        return {one["io"] for one in json.loads(shown.stdout)}

    def play(self, cases, settings="default"):
        """Plays the cases; each that is answered otherwise is a failure of its own."""
        instance = self.server(settings)
        target = player.Target("127.0.0.1", instance.smtp_port, strict=True,
                               servers=(settings, "ours") if settings == "default" else (settings,))
        outcomes = player.play_all(target, cases)
        self.assertTrue(outcomes)
        player.check_maildir(outcomes, instance.mailbox("alice"), target.seconds)
        for outcome in outcomes:
            if outcome.result != player.OK:
                with self.subTest(case=outcome.name, rfc=outcome.case.rfc):
                    self.fail(f"{outcome.why}; heard {outcome.heard}")
        # What strangers say is no reason for a daemon to end.
        self.assertFalse(instance.log_lines("daemon.died"), instance.log()[-4000:])

    def test_order(self):
        self.play(all_cases.GROUPS["order"])

    def test_syntax(self):
        self.play(all_cases.GROUPS["syntax"])

    def test_limits(self):
        self.play(all_cases.GROUPS["limits"])

    def test_content(self):
        self.play(all_cases.GROUPS["content"])

    def test_chunking(self):
        self.play(all_cases.GROUPS["chunking"])

    def test_extensions(self):
        self.play(all_cases.GROUPS["extensions"])

    def test_other_settings(self):
        for settings in servers.SERVERS:
            if settings != "default":
                self.play(all_cases.ALL, settings)


class OnUring(Suite, unittest.TestCase):
    io = "uring"


class OnEpoll(Suite, unittest.TestCase):
    quick = True
    io = "epoll"


class Table(unittest.TestCase):
    """What must be true of the cases themselves."""

    quick = True

    def test_there_are_enough_cases_and_each_is_played_somewhere(self):
        self.assertGreaterEqual(len(all_cases.ALL), MIN_CASES)
        names = [case.name for case in all_cases.ALL]
        self.assertEqual(len(names), len(set(names)))
        for case in all_cases.ALL:
            self.assertIn(case.server, {*servers.SERVERS, "ours"}, case.name)
            self.assertTrue(case.plays, case.name)


if __name__ == "__main__":
    unittest.main()
