"""The dialogue suite (tests/dialogue) against the built server, with either way to wait for events."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import postern
import smtp_sink

DIALOGUE = pathlib.Path(__file__).resolve().parent.parent / "dialogue"
sys.path.insert(0, str(DIALOGUE))
import all_cases  # noqa: E402  pylint: disable=wrong-import-position
import player  # noqa: E402  pylint: disable=wrong-import-position
import script  # noqa: E402  pylint: disable=wrong-import-position
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


class Player(unittest.TestCase):
    """That a wrong answer is seen, whatever is wrong about it."""

    quick = True

    def outcome(self, answer, *expect, strict=False, also=(), seconds=10, **more):
        """How one NOOP fares at a server that gives this answer to it."""
        sink = smtp_sink.Sink(answers={"NOOP": answer})
        self.addCleanup(sink.close)
        target = player.Target("127.0.0.1", sink.port, seconds=seconds, strict=strict)
        case = script.case("a case", "5321", script.say("NOOP", *expect, also=also, **more))
        return player.play_all(target, [case])[0]

    def test_an_answer_is_ok_also_or_differs(self):
        two, enhanced = "250 2.0.0 one\r\n250 2.0.0 two", "250 2.0.0 OK"
        for answer, expect, strict, also, result in (
                (enhanced, ("250 2.0.0",), True, (), player.OK),
                (enhanced, ("250 2.0.1",), True, (), player.DIFFERS),
                (enhanced, ("250 2.0.1",), False, (), player.OK),
                (enhanced, ("250 -",), True, (), player.DIFFERS),
                (enhanced, ("251|250",), True, (), player.OK),
                (enhanced, ("5xx",), False, (), player.DIFFERS),
                (enhanced, ("500",), False, ("2xx",), player.ALSO),
                (enhanced, ("500",), True, ("2xx",), player.DIFFERS),
                (enhanced, ("500",), False, (("250", "close"), "250"), player.ALSO),
                (two, ("250", "250"), True, (), player.OK),
                (two, ("250",), True, (), player.DIFFERS),  # seen at QUIT
                (two, ("250", "500"), True, (), player.DIFFERS),
                (None, ("close",), True, (), player.OK),
                (None, ("250",), False, ("close",), player.ALSO),
                (None, ("250",), True, (), player.DIFFERS),
                ("not a reply", ("250",), False, (), player.DIFFERS)):
            with self.subTest(answer=answer, expect=expect, strict=strict, also=also):
                outcome = self.outcome(answer, *expect, strict=strict, also=also)
                self.assertEqual(outcome.result, result, (outcome.why, outcome.heard))

    def test_who_should_hang_up_and_does_not_is_missed(self):
        self.assertEqual(self.outcome("250 2.0.0 OK", "250", "close", seconds=0.5).result, player.DIFFERS)

    def test_the_words_of_an_answer_are_looked_at(self):
        for more, result in (({"has": ("wor",)}, player.OK), ({"has": ("no",)}, player.DIFFERS),
                             ({"lacks": ("no",)}, player.OK), ({"lacks": ("wor",)}, player.DIFFERS),
                             ({"lines": 1}, player.OK), ({"lines": 2}, player.DIFFERS)):
            with self.subTest(**more):
                self.assertEqual(self.outcome("250 words", "250", **more).result, result)

    def test_what_the_mailbox_lacks_is_missed(self):
        with tempfile.TemporaryDirectory(prefix="postern-dialogue-") as folder:
            new = pathlib.Path(folder) / "new"
            new.mkdir()

            def result(stored, **wanted):
                play = script.play("", **wanted)
                outcome = player.Outcome(script.each("a case", "5321", [play]), play, player.OK, token="t00000000x1x")
                for file in new.iterdir():
                    file.unlink()
                for number, text in enumerate(stored):
                    (new / str(number)).write_bytes(text)
                player.check_maildir([outcome], folder, 0)
                return outcome.result

            as_sent, sent = b"Received: x\nt00000000x1x\n\ntext\n", b"$TOKEN\r\n\r\ntext\r\n"
            self.assertEqual(result([as_sent], stores=sent), player.OK)
            self.assertEqual(result([], stores=sent), player.DIFFERS)
            self.assertEqual(result([as_sent, as_sent], stores=sent), player.DIFFERS)
            self.assertEqual(result([as_sent + b"."], stores=sent), player.DIFFERS)
            self.assertEqual(result([as_sent], stores_nothing=True), player.DIFFERS)
            self.assertEqual(result([], stores_nothing=True), player.OK)

    def test_the_command_counts_and_says_by_its_status(self):
        sink = smtp_sink.Sink()
        self.addCleanup(sink.close)

        def command(*arguments):
            return subprocess.run([sys.executable, DIALOGUE / "run.py", f"127.0.0.1:{sink.port}", *arguments],
                                  capture_output=True, text=True, timeout=120, check=False)

        good = command("--filter", "a message arrives unchanged")
        self.assertEqual((good.returncode, good.stdout, good.stderr), (0, "1 cases, 1 dialogues: 1 ok, 0 also, 0 DIFFERS, 0 skipped\n", ""))
        bad = command("--filter", "stranger may not relay", "--json")
        self.assertEqual(bad.returncode, 1, bad.stdout)
        self.assertEqual({json.loads(line)["result"] for line in bad.stdout.splitlines()}, {player.DIFFERS})
        self.assertEqual(command("--filter", "no such case").returncode, 2)
        self.assertEqual(command("--nonsense").returncode, 2)


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
