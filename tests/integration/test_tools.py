"""What people and programs type: sendmail and its other names, postern, and the instance itself, each
used as its manual page says, against a real server."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import postern
import smtp_client
import smtp_sink

TOOLS = postern.BUILD / "tools"
COMPLETION = postern.TOP / "tools" / "completion" / "postern.bash"
ABSENT = "0SAXQQADR3G00"  # well formed, and nobody's
MESSAGE = b"To: alice@example.org\nSubject: plain\n\ntext\n"

# sysexits.h
EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 67, 69, 75, 78


class Ran:
    """What a program did: status, out, err (texts), json (of out)."""

    def __init__(self, arguments, stdin=b"", env=None, user=None):
        done = subprocess.run([str(word) for word in arguments], input=stdin, capture_output=True,
                              timeout=60, env={**os.environ, **(env or {})}, user=user)
        self.status = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"Ran(status={self.status}, out={self.out!r}, err={self.err!r})"


class ToolCase(unittest.TestCase):
    """One server for all cases of a class. Mail for example.com waits: nobody listens there."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.hop, cls.sink_port = postern.free_port(), postern.free_port()
        cls.server = postern.Instance(
            domains=("example.org", "second.example"), retry=3600,
            relay={"example.com": f"127.0.0.1:{cls.hop}",
                               "sink.example": f"127.0.0.1:{cls.sink_port}"}, settings=cls.settings)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.config = cls.server.directory / "postern.toml"
        cls.links = pathlib.Path(tempfile.mkdtemp(prefix="postern-names-"))
        cls.addClassCleanup(shutil.rmtree, cls.links, True)
        for name in ("mailq", "newaliases"):
            (cls.links / name).symlink_to(TOOLS / "sendmail")

    def sendmail(self, *arguments, stdin=MESSAGE, config=None):
        return Ran([TOOLS / "sendmail", "-C", config or self.config, *arguments], stdin)

    def postern(self, *arguments, config=None, user=None):
        return Ran([TOOLS / "postern", "-c", config or self.config, *arguments], user=user)

    def subject(self):
        return f"{self.id().rpartition('.')[2]}-{postern.free_port()}"

    def waiting_message(self, recipient="carol@example.com", sender="alice@example.org"):
        """The id of a message that waits after an attempt that failed."""
        sent = self.sendmail("-v", "-f", sender, recipient, stdin=b"Subject: waits\n\ntext\n")
        self.assertEqual(sent.status, EX_OK, sent)
        queue_id = re.search(r"[0-9A-Z]{13}", sent.out).group(0)
        # Its next host is known to be down after the first such message; this tries nevertheless.
        self.assertEqual(self.postern("queue", "flush", queue_id).status, 0)
        postern.until(lambda: self.shown(queue_id)["recipients"][0]["status"], 30, "an attempt")
        return queue_id

    def shown(self, queue_id):
        return self.postern("queue", "show", queue_id, "--json").json

    def assertSays(self, ran, status, *words):
        """It failed so, and said so on standard error alone."""
        self.assertEqual(ran.status, status, ran)
        for word in words:
            self.assertIn(word, ran.err, ran)
        self.assertEqual(ran.out, "", ran)


class Sendmail(ToolCase):

    quick = True

    def test_recipients_come_from_the_header_and_bcc_goes(self):
        subject = self.subject()
        sent = self.sendmail("-t", stdin=f"To: A <alice@example.org>\nBcc: bob@example.org\n"
                                         f"Subject: {subject}\n\ntext\n".encode())
        self.assertEqual((sent.status, sent.out, sent.err), (EX_OK, "", ""))
        for user in ("alice", "bob"):
            content = self.server.wait_for_message(user, subject.encode())
            self.assertNotIn(b"bob@example.org\n", content.partition(b"\n\n")[0].partition(b"To: A")[2])
            self.assertNotIn(b"Bcc:", content)
            for field in (b"From: ", b"Date: ", b"Message-ID: <"):
                self.assertIn(b"\n" + field, content)

    def test_recipients_on_the_command_line_are_added_to_those_of_the_header(self):
        subject = self.subject()
        sent = self.sendmail("-ti", "bob", stdin=f"To: alice\nSubject: {subject}\n\n".encode())
        self.assertEqual(sent.status, EX_OK, sent)
        self.server.wait_for_message("alice", subject.encode())
        self.server.wait_for_message("bob", subject.encode())

    def test_a_lone_dot_ends_the_message_unless_i_is_given(self):
        for options, kept in (((), False), (("-i",), True), (("-oi",), True)):
            with self.subTest(options=options):
                subject = self.subject()
                sent = self.sendmail(*options, "alice", stdin=f"Subject: {subject}\n\nbefore\n.\n"
                                                              "after\n".encode())
                self.assertEqual(sent.status, EX_OK, sent)
                content = self.server.wait_for_message("alice", subject.encode())
                self.assertEqual(content.endswith(b"\nbefore\n.\nafter\n"), kept, content)
                self.assertEqual(content.endswith(b"\nbefore\n"), not kept, content)

    def test_the_sender_and_its_name_are_taken(self):
        for arguments, path, field in (
                (("-f", "bob@example.org"), b"<bob@example.org>", b"From: bob@example.org\n"),
                (("-fbob@example.org", "-FBob B."), b"<bob@example.org>",
                 b'From: "Bob B." <bob@example.org>\n'),
                (("-r", "bob@example.org"), b"<bob@example.org>", b"From: bob@example.org\n"),
                (("-f", "<>"), b"<>", b"\nFrom: "), (("-f", ""), b"<>", b"\nFrom: ")):
            with self.subTest(arguments=arguments):
                subject = self.subject()
                sent = self.sendmail(*arguments, "alice", stdin=f"Subject: {subject}\n\n".encode())
                self.assertEqual(sent.status, EX_OK, sent)
                content = self.server.wait_for_message("alice", subject.encode())
                self.assertTrue(content.startswith(b"Return-Path: " + path + b"\n"), content)
                self.assertIn(field, content)

    def test_without_a_sender_the_account_is_it(self):
        try:
            own = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            self.skipTest("the uid that runs the tests has no account")
        subject = self.subject()
        self.assertEqual(self.sendmail("alice", stdin=f"Subject: {subject}\n\n".encode()).status, EX_OK)
        content = self.server.wait_for_message("alice", subject.encode())
        self.assertTrue(content.startswith(f"Return-Path: <{own}@mail.example.org>\n".encode()), content)

    def test_each_mistake_has_its_status_and_words(self):
        usage, words = EX_USAGE, "usage: sendmail"
        for status, arguments, said in (
                (usage, (), "no recipients"),
                (usage, ("-Z", "alice"), "unknown option -Z"),
                (usage, ("alice", "-f"), "-f needs a value"),
                (usage, ("-bz",), "-bz is not supported"),
                (usage, ("-bd",), "service of its own"),
                (usage, ("-N", "sometimes", "alice"), "-N takes"),
                (usage, ("-R", "some", "alice"), "-R takes"),
                (usage, ("-qI",), "-qI needs a queue id")):
            with self.subTest(arguments=arguments):
                self.assertSays(self.sendmail(*arguments), status, "sendmail: ", said, words)
        for status, arguments, said in (
                (usage, ("-f", "a b", "alice"), "-f: a b is no address"),
                (EX_DATAERR, ("a@@b",), "a@@b is no address"),
                (EX_NOUSER, ("nobody",), "550 5.1.1 no such user here"),
                (EX_USAGE, ("-qI", "abc"), "abc is no queue id"),
                (EX_UNAVAILABLE, ("-qI", ABSENT), "no such message")):
            with self.subTest(arguments=arguments):
                self.assertSays(self.sendmail(*arguments), status, said)
        self.assertSays(self.sendmail("-t", stdin=b"Subject: nobody\n\n"), usage, "no recipients")

    def test_the_other_recipients_get_what_one_is_refused(self):
        subject = self.subject()
        sent = self.sendmail("nobody", "alice", "a@@b", stdin=f"Subject: {subject}\n\n".encode())
        self.assertSays(sent, EX_NOUSER, "<nobody@example.org>", "a@@b is no address")
        self.server.wait_for_message("alice", subject.encode())

    def test_dsn_options_reach_the_next_host(self):
        sink = smtp_sink.Sink(self.sink_port, extensions=smtp_sink.EXTENSIONS + ("DSN",))
        self.addCleanup(sink.close)
        sent = self.sendmail("-N", "failure,delay", "-R", "hdrs", "-V", "id=1", "dora@sink.example")
        self.assertEqual(sent.status, EX_OK, sent)
        mail, rcpt = sink.wait(1)[0].commands
        self.assertIn(" RET=HDRS ENVID=id+3D1", mail)
        self.assertIn(" NOTIFY=FAILURE,DELAY", rcpt)

    def test_utf8_addresses_travel(self):
        subject = self.subject()
        sent = self.sendmail("alice", "-f", "ü@example.net", stdin=f"Subject: {subject}\n\n".encode())
        self.assertEqual(sent.status, EX_OK, sent)
        content = self.server.wait_for_message("alice", subject.encode())
        self.assertTrue(content.startswith("Return-Path: <ü@example.net>\n".encode()), content)

    def test_a_dialogue_is_passed_through(self):
        subject = self.subject()
        script = ("EHLO me.example\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<alice@example.org>\r\n"
                  f"DATA\r\nSubject: {subject}\r\n\r\ntext\r\n.\r\nQUIT\r\n")
        served = self.sendmail("-bs", stdin=script.encode())
        self.assertEqual(served.status, EX_OK, served)
        final = [line[:4] for line in served.out.splitlines() if line[3:4] == " "]
        self.assertEqual(final, ["220 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "], served)
        self.server.wait_for_message("alice", subject.encode())

    def test_the_queue_is_listed_and_run_under_every_name(self):
        queue_id = self.waiting_message()
        for listed in (self.sendmail("-bp"),
                       Ran([self.links / "mailq"], env={"POSTERN_CONFIG": str(self.config)})):
            self.assertEqual(listed.status, EX_OK, listed)
            self.assertIn(queue_id, listed.out)
            self.assertIn("carol@example.com", listed.out)
        attempts = self.shown(queue_id)["attempts"]
        self.assertEqual(self.sendmail("-qI", queue_id).status, EX_OK)
        postern.until(lambda: self.shown(queue_id)["attempts"] > attempts, 30, "another attempt")
        attempts = self.shown(queue_id)["attempts"]
        self.assertEqual(self.sendmail("-q").status, EX_OK)
        postern.until(lambda: self.shown(queue_id)["attempts"] > attempts, 30, "one more attempt")
        self.assertEqual(self.postern("queue", "delete", queue_id).status, 0)

    def test_newaliases_has_nothing_to_do(self):
        for ran in (Ran([self.links / "newaliases"]), self.sendmail("-bi")):
            self.assertEqual((ran.status, ran.err), (EX_OK, ""), ran)
            self.assertIn("nothing to do", ran.out)

    def test_a_configuration_that_cannot_be_used_is_told(self):
        broken = self.links / "broken.toml"
        broken.write_text("hostname = 1\n")
        for arguments in (("alice",), ("-bp",), ("-bs",), ("-q",)):
            with self.subTest(arguments=arguments):
                self.assertSays(self.sendmail(*arguments, config="/nonexistent.toml"), EX_CONFIG,
                                "/nonexistent.toml", "POSTERN_CONFIG")
                self.assertSays(self.sendmail(*arguments, config=broken), EX_CONFIG,
                                f"{broken}:1:")

    def test_options_without_meaning_change_nothing(self):
        subject = self.subject()
        sent = self.sendmail("-oem", "-odi", "-Bx", "-G", "-U", "-m", "-n", "-O", "x=y", "-h", "3", "-L",
                             "tag", "-bm", "--", "alice", stdin=f"Subject: {subject}\n\n".encode())
        self.assertEqual(sent.status, EX_OK, sent)
        self.server.wait_for_message("alice", subject.encode())


class SendmailAtLimits(ToolCase):

    quick = True
    settings = {"smtp.max_recipients": "2", "smtp.max_message_octets": "64KiB"}

    def test_more_recipients_than_a_transaction_takes_all_get_it(self):
        subject = self.subject()
        sent = self.sendmail("alice", "bob", "alice@second.example", "bob@second.example", "nobody",
                             stdin=f"Subject: {subject}\n\n".encode())
        self.assertSays(sent, EX_NOUSER, "<nobody@example.org>")
        for user in ("alice", "bob"):
            postern.until(lambda: sum(subject.encode() in m for m in self.server.messages(user)) == 2,
                          30, f"two copies for {user}")

    def test_a_message_that_is_too_large_is_refused(self):
        sent = self.sendmail("alice", stdin=b"Subject: large\n\n" + b"0123456789\n" * 7000)
        self.assertSays(sent, EX_UNAVAILABLE, "552 5.3.4")


class Postern(ToolCase):

    quick = True

    def test_check_praises_a_good_file(self):
        for ran in (self.postern("check"), self.postern("check", self.config)):
            self.assertEqual((ran.status, ran.err), (0, ""), ran)
            self.assertIn("no problem", ran.out)
        self.assertEqual(self.postern("check", "--json").json, [])

    def test_check_names_every_mistake_with_its_place(self):
        broken = self.links / "mistakes.toml"
        broken.write_text('hostname = "mail.example.org"\n'
                          "[smtp]\n"
                          "max_recipientz = 3\n"
                          "  max_errors = 0\n"
                          'bare_newline = "keep"\n'
                          "[quue]\n"
                          'lifetime = "1s"\n')
        ran = self.postern("check", broken)
        self.assertEqual(ran.status, 1, ran)
        for place, words in (("3:1", "smtp.max_recipients"), ("4:16", "1 to 10000"),
                             ("5:16", '"reject", "normalise"'), ("6:", "queue")):
            self.assertRegex(ran.err, rf"(?m)^{re.escape(str(broken))}:{place}.*{words}", ran)
        told = self.postern("check", broken, "--json")
        self.assertEqual(told.status, 1)
        self.assertEqual([set(one) for one in told.json], [{"severity", "file", "line", "column", "message"}] * 4)
        self.assertEqual([one["line"] for one in told.json], [3, 4, 5, 6])
        self.assertSays(self.postern("check", "/nonexistent.toml"), 1, "/nonexistent.toml")

    def test_check_warns_when_nobody_is_postmaster(self):
        nobody = self.links / "nobody.toml"
        nobody.write_text('hostname = "mail.example.org"\n[local]\nusers = []\n')
        ran = self.postern("check", nobody)
        self.assertEqual(ran.status, 0, ran)
        self.assertIn(f"{nobody}: warning: local.users stands for no account", ran.err)
        told = self.postern("check", nobody, "--json").json
        self.assertEqual([one["severity"] for one in told], ["warning"])

    def test_explain_says_all_about_a_setting(self):
        ran = self.postern("explain", "smtp.max_recipients")
        self.assertEqual(ran.status, 0, ran)
        for words in ("default", "1000", "1 to 50000 recipients", "reload", "now"):
            self.assertIn(words, ran.out)
        one = self.postern("explain", "smtp.max_recipients", "--json").json
        self.assertEqual((one["key"], one["default"], one["unit"], one["now"]),
                         ("smtp.max_recipients", "1000", "recipients", "1000"))
        self.assertIn("smtp.listen\n", self.postern("explain", "smtp").out)
        keys = self.postern("explain").out.split()
        self.assertEqual(keys, [one["key"] for one in self.postern("explain", "--json").json])
        self.assertSays(self.postern("explain", "smtp.max_recipientz"), 1,
                        "did you mean smtp.max_recipients?")

    def test_ps_lists_every_process(self):
        ran = self.postern("ps")
        self.assertEqual(ran.status, 0, ran)
        listed = self.postern("ps", "--json").json
        self.assertLessEqual({"name", "pid", "uid", "state", "restarts", "since", "io", "layers", "counters"},
                             set(listed[0]))
        names = {one["name"].partition(".")[0] for one in listed}
        self.assertLessEqual({"master", "smtpd", "policyd", "resolvd", "qmgr", "smtpc", "locald", "bounced"},
                             names)
        self.assertEqual(listed[0]["pid"], self.server.pid())
        for one in listed:
            self.assertIn(f"{one['name']:<16} ", ran.out)
            self.assertTrue(postern.is_running(one["pid"]), one)
            if one["name"] != "master":
                self.assertIn("seccomp", one["layers"], one)

    def test_the_queue_is_listed_by_state_sender_and_recipient(self):
        mine = self.waiting_message("carol@example.com", "alice@example.org")
        other = self.waiting_message("dora@example.com", "bob@second.example")
        listed = self.postern("queue", "list", "--json").json
        self.assertLessEqual({"messages", "more", "active", "deferred", "held"}, set(listed))
        self.assertLessEqual({"id", "state", "sender", "arrival", "octets", "attempts", "next_attempt",
                              "recipients"}, set(listed["messages"][0]))
        def ids(*arguments):
            return {one["id"] for one in self.postern("queue", "list", "--json", *arguments).json["messages"]}
        self.assertLessEqual({mine, other}, ids("--state", "deferred"))
        self.assertEqual(ids("--state", "held"), set())
        self.assertIn(other, ids("--sender", "@second.example"))
        self.assertNotIn(mine, ids("--sender", "@second.example"))
        self.assertIn(mine, ids("--recipient", "carol@example.com"))
        self.assertNotIn(other, ids("--recipient", "carol@example.com"))
        self.assertEqual(len(ids("--limit", "1")), 1)
        self.assertIn("there are more", self.postern("queue", "list", "--limit", "1").out)
        for arguments in (("--state", "lost"), ("--limit", "-1"), ("--limit", "x")):
            self.assertSays(self.postern("queue", "list", *arguments), 2, arguments[0])
        self.assertEqual(self.postern("queue", "delete", mine, other).status, 0)

    def test_a_message_is_shown_held_released_tried_and_deleted(self):
        queue_id = self.waiting_message()
        shown = self.postern("queue", "show", queue_id)
        self.assertIn("<carol@example.com>: 4.4.1", shown.out)
        self.assertIn("Connection refused", self.shown(queue_id)["recipients"][0]["diagnostic"])
        content = self.postern("queue", "show", queue_id, "--content").out
        self.assertTrue(content.startswith("Received: from "), content)
        self.assertTrue(content.replace("\r\n", "\n").endswith("\n\ntext\n"), content)
        self.assertEqual(self.postern("queue", "show", queue_id, "--content", "--json").json["content"]
                         .replace("\r\n", "\n"), content.replace("\r\n", "\n"))

        held = self.postern("queue", "hold", queue_id, "--reason", "a look first")
        self.assertEqual((held.status, held.out), (0, "1 message\n"), held)
        self.assertEqual((self.shown(queue_id)["state"], self.shown(queue_id)["hold_reason"]),
                         ("held", "a look first"))
        self.assertIn("held: a look first", self.postern("queue", "list", "--state", "held").out)
        self.assertEqual(self.postern("queue", "release", queue_id, "--json").json,
                         {"count": 1, "errors": []})
        self.assertNotEqual(self.shown(queue_id)["state"], "held")

        for command in (("requeue", queue_id), ("flush",), ("flush", queue_id),
                        ("flush", "--destination", f"smtp://127.0.0.1:{self.hop}")):
            with self.subTest(command=command):
                attempts = self.shown(queue_id)["attempts"]
                told = self.postern("queue", *command, "--json")
                self.assertEqual((told.status, told.json["errors"]), (0, []), told)
                self.assertGreaterEqual(told.json["count"], 1)
                postern.until(lambda: self.shown(queue_id)["attempts"] > attempts, 30, "an attempt")
        hops = self.postern("queue", "destinations", "--json").json
        hop = next(one for one in hops if one["name"] == f"smtp://127.0.0.1:{self.hop}")
        self.assertIn("Connection refused", hop["last_error"])
        self.assertIn(hop["name"], self.postern("queue", "destinations").out)
        self.assertSays(self.postern("queue", "flush", "--destination", "smtp://nowhere.example:25"),
                        1, "no mail in the queue goes to smtp://nowhere.example:25")

        self.assertEqual(self.postern("queue", "delete", queue_id).out, "1 message\n")
        self.assertSays(self.postern("queue", "show", queue_id), 1, queue_id, "no such message")

    def test_a_deleted_message_is_explained_by_the_log(self):
        queue_id = self.waiting_message()
        why = self.postern("why", queue_id)
        self.assertEqual(why.status, 0, why)
        self.assertIn("accepted from <alice@example.org>", why.out)
        self.assertIn("Connection refused", why.out)
        self.assertIn("Now, in the queue:", why.out)
        events = self.postern("why", queue_id, "--json").json
        self.assertLessEqual({"time", "daemon", "pid", "severity", "event", "id"}, set(events[0]))
        self.assertEqual({one["id"] for one in events}, {queue_id})
        self.postern("queue", "delete", queue_id)
        self.assertIn("Now: not in the queue", self.postern("why", queue_id).out)

    def test_wrong_ids_are_told(self):
        for command in (("show",), ("hold",), ("release",), ("requeue",), ("delete",), ("flush",)):
            with self.subTest(command=command):
                self.assertSays(self.postern("queue", *command, "abc"), 2, "abc is no queue id")
                self.assertSays(self.postern("queue", *command, "../../../../x"), 2, "no queue id")
                gone = self.postern("queue", *command, ABSENT)
                self.assertSays(gone, 1, ABSENT, "no such message")
        self.assertSays(self.postern("why", "abc"), 2, "abc is no queue id")
        self.assertSays(self.postern("why", ABSENT), 1, ABSENT)
        told = self.postern("queue", "delete", ABSENT, "--json")
        self.assertEqual((told.status, told.json["count"], len(told.json["errors"])), (1, 0, 1), told)
        for command in ("hold", "release", "requeue", "delete"):
            self.assertSays(self.postern("queue", command), 2, "--all")
        self.assertSays(self.postern("queue", "hold", "--all", ABSENT), 2, "exclude each other")

    def test_all_messages_can_be_held_and_deleted(self):
        ids = {self.waiting_message(), self.waiting_message()}
        self.assertEqual(self.postern("queue", "hold", "--all").status, 0)
        held = self.postern("queue", "list", "--state", "held", "--json").json
        self.assertLessEqual(ids, {one["id"] for one in held["messages"]})
        self.assertEqual(self.postern("queue", "release", "--all").status, 0)
        self.assertEqual(self.postern("queue", "requeue", "--all").status, 0)
        self.assertGreaterEqual(self.postern("queue", "delete", "--all", "--json").json["count"], 2)
        self.assertEqual(self.postern("queue", "list", "--json").json["messages"], [])

    def test_a_mistyped_command_is_told_with_the_nearest(self):
        for arguments, words in ((("chekc",), "did you mean check?"), ((), "name a command"),
                                 (("queue", "lsit"), "did you mean list?"),
                                 (("queue",), "name a command"), (("xyzzy",), "there are:"),
                                 (("ps", "now"), "one argument too many"),
                                 (("ps", "--frob"), "unknown option --frob")):
            with self.subTest(arguments=arguments):
                self.assertSays(self.postern(*arguments), 2, "postern: ", words)

    def test_help_and_version(self):
        self.assertIn("queue", self.postern("--help").out)
        self.assertRegex(self.postern("--version").out, r"^\d+\.\d+")
        self.assertIn("--state", self.postern("queue", "list", "--help").out)

    def test_a_reload_takes_a_good_file_and_refuses_a_bad_one(self):
        text = self.config.read_text()
        self.addCleanup(self.postern, "reload")
        self.addCleanup(self.config.write_text, text)
        self.config.write_text(text + "\n[nonsense]\n")
        self.assertSays(self.postern("reload"), 1, f"{self.config}:", "nonsense")
        self.config.write_text(text.replace("[smtp]\n", '[smtp]\nbanner = "after reload"\n'))
        told = self.postern("reload", "--json")
        self.assertEqual((told.status, told.json["error"]), (0, None), told)

        def greeting():
            with smtp_client.Client(self.server.smtp_port) as client:
                return client.reply().text
        postern.until(lambda: "after reload" in greeting(), 30, "the new banner")

    def test_foreign_text_reaches_the_terminal_escaped(self):
        queue_id = self.waiting_message("carol@example.com", '"\\\\x\\"y"@example.net')
        self.assertIn('"\\\\x\\"y"@example.net', self.shown(queue_id)["sender"])
        for command in (("queue", "show"), ("why",)):
            out = self.postern(*command, queue_id).out
            self.assertFalse([c for c in out if ord(c) < 32 and c != "\n"], out)
        self.postern("queue", "delete", queue_id)


class NotReachable(ToolCase):
    """The server is down, or does not talk to everybody."""

    quick = True

    def test_a_server_that_is_down_is_told(self):
        down = postern.Instance()
        self.addCleanup(down.close)
        down.start()
        config = down.directory / "postern.toml"
        told = self.postern("stop", "--json", config=config)
        self.assertEqual((told.status, told.json["told"]), (0, "stop"), told)
        self.assertEqual(down.process.wait(60), 0)
        for command in (("ps",), ("reload",), ("stop",), ("queue", "list"), ("queue", "show", ABSENT),
                        ("queue", "destinations"), ("queue", "flush"), ("queue", "list", "--json")):
            with self.subTest(command=command):
                self.assertSays(self.postern(*command, config=config), 75, "does the server run",
                                str(down.directory))
        sent = self.sendmail("alice", config=config)
        self.assertSays(sent, EX_TEMPFAIL, "cannot reach the server", "does it run?")
        self.assertSays(self.sendmail("-bs", config=config), EX_TEMPFAIL, "cannot reach the server")
        self.assertSays(self.sendmail("-bp", config=config), EX_TEMPFAIL, "does the server run")
        self.assertSays(self.sendmail("-q", config=config), EX_TEMPFAIL, "does the server run")

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_other_users_may_submit_and_nothing_else(self):
        nobody = 65534
        for command in (("ps",), ("stop",), ("queue", "list"), ("queue", "delete", "--all")):
            with self.subTest(command=command):
                self.assertSays(self.postern(*command, user=nobody), 75, "own user")
        subject = self.subject()
        sent = Ran([TOOLS / "sendmail", "-C", self.config, "alice"],
                   f"Subject: {subject}\n\n".encode(), user=nobody)
        self.assertEqual(sent.status, EX_OK, sent)
        self.server.wait_for_message("alice", subject.encode())

    def test_no_socket_to_submit_to_is_a_matter_of_the_configuration(self):
        none = self.links / "none.toml"
        none.write_text(self.config.read_text().replace("[smtp]\n", '[smtp]\nsocket = ""\n'))
        self.assertSays(self.sendmail("alice", config=none), EX_CONFIG, "smtp.socket is empty")

    def test_a_configuration_that_is_not_there_is_told(self):
        for command in (("ps",), ("queue", "list"), ("why", ABSENT), ("reload",), ("check",)):
            with self.subTest(command=command):
                self.assertSays(self.postern(*command, config="/nonexistent.toml"), 1,
                                "/nonexistent.toml", "No such file")


class Fsck(unittest.TestCase):
    """A spool of a real server, whole and damaged."""

    def fsck(self, server, *arguments):
        return Ran([TOOLS / "postern", "-c", server.directory / "postern.toml", "queue", "fsck", *arguments])

    def test_damage_is_found_and_explained(self):
        with postern.Instance(relay={"example.com": f"127.0.0.1:{postern.free_port()}"}) as server:
            with smtp_client.Client(server.smtp_port) as client:
                client.hello()
                for number in range(3):
                    client.mail("sender@example.net", ["carol@example.com"],
                                b"Subject: %d\r\n\r\nwaits\r\n" % number)
            in_use = self.fsck(server)
            self.assertEqual((in_use.status, in_use.out), (1, ""), in_use)
            self.assertIn("stop the server first", in_use.err)
            self.assertEqual(server.stop(), 0)
            sound = self.fsck(server)
            self.assertEqual((sound.status, sound.err), (0, ""), sound)
            self.assertIn("sound: 3 messages", sound.out)
            segment = next(server.directory.glob("**/*.seg"))
            octets = bytearray(segment.read_bytes())
            octets[octets.index(b"Subject: 1")] ^= 1
            segment.write_bytes(octets)
            damaged = self.fsck(server)
            self.assertEqual(damaged.status, 1, damaged)
            self.assertRegex(damaged.out, r"damage: log/000000000001.seg at octet \d+: ")
            self.assertIn("is not whole", damaged.out)
            told = self.fsck(server, "--json", segment.parent.parent).json
            self.assertTrue(told[0]["damaged"])


class Completion(ToolCase):

    quick = True

    def complete(self, *words):
        """What bash proposes for the last of `words`."""
        script = (f"source {COMPLETION}\nCOMP_WORDS=(postern \"$@\")\nCOMP_CWORD=$#\n"
                  '_postern\nprintf "%s\\n" "${COMPREPLY[@]}"')
        ran = Ran(["bash", "--norc", "-eu", "-c", script, "bash", *words],
                  env={"PATH": f"{TOOLS}:{os.environ['PATH']}"})
        self.assertEqual((ran.status, ran.err), (0, ""), ran)
        return [word.strip() for word in ran.out.split()]

    def test_commands_and_options_are_proposed(self):
        self.assertEqual(self.complete("ch"), ["check"])
        self.assertLessEqual({"check", "explain", "ps", "reload", "stop", "why", "queue"},
                             set(self.complete("")))
        self.assertEqual(self.complete("queue", "re"), ["release", "requeue"])
        self.assertEqual(self.complete("queue", "list", "--st"), ["--state"])
        self.assertEqual(self.complete("queue", "list", "--state", "h"), ["held"])
        self.assertEqual(self.complete("explain", "smtp.max_rec"), ["smtp.max_recipients"])

    def test_ids_and_destinations_of_the_server_are_proposed(self):
        queue_id = self.waiting_message()
        options = ("-c", str(self.config))
        self.assertIn(queue_id, self.complete(*options, "queue", "show", ""))
        self.assertIn(queue_id, self.complete(*options, "why", queue_id[:5]))
        self.assertIn(f"smtp://127.0.0.1:{self.hop}",
                      self.complete(*options, "queue", "flush", "--destination", "smtp"))
        self.postern("queue", "delete", queue_id)


class Instance(unittest.TestCase):
    """./dev instance: its options, its directory, its end."""

    quick = True

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-own-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.directory.chmod(0o755)

    def run_instance(self, *arguments):
        return Ran([TOOLS / "postern-instance", *arguments])

    def started(self, arguments):
        """A server with exactly these arguments."""
        server = postern.Instance(self.directory / "own")
        server.arguments = [str(one) for one in arguments]
        self.addCleanup(lambda: server.output_path.unlink(missing_ok=True))
        self.addCleanup(server.close)
        return server.start()

    def test_every_option_does_what_it_says(self):
        first, second, dns = (postern.free_port() for _ in range(3))
        relay, smart = smtp_sink.Sink(), smtp_sink.Sink()
        self.addCleanup(relay.close)
        self.addCleanup(smart.close)
        server = self.started([
            "--smtp", f"127.0.0.1:{first}", "--smtp", f"[::1]:{second}", "--domain", "example.org",
            "--domain", "Second.Example", "--user", "alice", "--user", "bob",
            "--relay", f"example.com=127.0.0.1:{relay.port}", "--relay-for", "127.0.0.0/8",
            "--relay-for", "::1/128", "--smarthost", f"127.0.0.1:{smart.port}", "--dns",
            f"127.0.0.1:{dns}", "--retry", "7", "--io", "epoll", "--set", "smtp.max_recipients=3",
            "--set", "smtp.banner=its own words",
            "--set", "smtp.socket=own.sock"])
        self.assertEqual(server.pid(), server.process.pid)
        ps = Ran([TOOLS / "postern", "-c", server.directory / "postern.toml", "ps", "--json"]).json
        self.assertEqual({one["io"] for one in ps}, {"epoll"})
        now = {one["key"]: one["now"] for one in
               Ran([TOOLS / "postern", "-c", server.directory / "postern.toml", "explain", "--json"]).json}
        self.assertEqual((now["queue.retry_first"], now["queue.retry_longest"]), ('"7s"', '"7s"'))
        self.assertIn(f"127.0.0.1:{dns}", now["dns.servers"])
        self.assertEqual(now["hostname"], '"mail.example.org"')
        for host, port in (("127.0.0.1", first), ("::1", second)):
            with smtp_client.Client(port, host=host) as client:
                self.assertEqual(client.reply().text, "mail.example.org its own words")
                client.command("EHLO client.example.net")
                client.mail("x@example.net", ["alice@example.org", "BOB@second.example", "r@example.com"],
                            b"Subject: %s\r\n\r\n" % host.encode())
                client.mail("x@example.net", ["far@elsewhere.example"],
                            b"Subject: far %s\r\n\r\n" % host.encode())
                client.command("MAIL FROM:<x@example.net>")
                replies = [client.command(f"RCPT TO:<alice+{n}@example.org>").code for n in range(4)]
                self.assertEqual(replies, [250, 250, 250, 452])
            for user in ("alice", "bob"):
                server.wait_for_message(user, b"Subject: " + host.encode())
        self.assertEqual([one.recipients for one in relay.wait(2)], [["r@example.com"]] * 2)
        self.assertEqual([one.recipients for one in smart.wait(2)], [["far@elsewhere.example"]] * 2)
        self.assertTrue((server.directory / "own.sock").is_socket())
        sent = Ran([TOOLS / "sendmail", "-C", server.directory / "postern.toml", "alice"],
                   b"Subject: by the socket\n\n")
        self.assertEqual(sent.status, EX_OK, sent)
        server.wait_for_message("alice", b"by the socket")

    def test_postmaster_is_the_first_user_or_put_off(self):
        for users, code, enhanced in ((["--user", "carol", "--user", "alice"], 250, "2.1.5"),
                                      ([], 450, "4.3.5")):
            with self.subTest(users=users):
                port = postern.free_port()
                server = self.started(["--smtp", f"127.0.0.1:{port}", "--domain", "example.org", *users])
                with smtp_client.Client(port) as client:
                    client.hello()
                    client.command("MAIL FROM:<x@example.net>")
                    replies = [client.command(f"RCPT TO:<{one}>")
                               for one in ("Postmaster", "postmaster@EXAMPLE.org")]
                    self.assertEqual([(one.code, one.enhanced) for one in replies],
                                     [(code, enhanced)] * 2)
                    if users:
                        client.content(b"Subject: for postmaster\r\n\r\n")
                        server.wait_for_messages("carol", 2)
                self.assertEqual(server.stop(), 0)

    def test_a_level_keeps_the_log_short(self):
        port = postern.free_port()
        server = self.started(["--smtp", f"127.0.0.1:{port}", "--domain", "example.org", "--user", "alice",
                               "--set", "log.level=notice"])
        with smtp_client.Client(port) as client:
            client.hello()
            client.mail("x@example.net", ["alice@example.org"], b"Subject: quiet\r\n\r\n")
            server.wait_for_message("alice", b"quiet")
            config = server.directory / "postern.toml"
            config.write_text(config.read_text().replace('"notice"', '"info"'))
            told = Ran([TOOLS / "postern", "-c", config, "reload"])
            self.assertEqual(told.status, 0, told)
            quiet = server.log_lines(" info ", "id=")
            client.mail("x@example.net", ["alice@example.org"], b"Subject: loud\r\n\r\n")
            server.wait_for_message("alice", b"loud")
        self.assertEqual(quiet, [])
        postern.until(lambda: server.log_lines(" info ", "id="), 30, "lines of the second message")

    def test_a_directory_too_deep_for_sockets_is_told(self):
        ran = self.run_instance(self.directory / ("d" * 100), "--domain", "example.org")
        self.assertEqual(ran.status, 1, ran)
        self.assertIn("at most 107 octets", ran.err)
        self.assertIn("choose a shorter root", ran.err)

    def test_started_again_it_keeps_its_state_and_sigterm_ends_it(self):
        port, hop = postern.free_port(), postern.free_port()
        server = self.started(["--smtp", f"127.0.0.1:{port}", "--domain", "example.org", "--user", "alice",
                               "--relay", f"example.com=127.0.0.1:{hop}", "--retry", "3600"])
        with smtp_client.Client(port) as client:
            client.hello()
            client.mail("x@example.net", ["alice@example.org"], b"Subject: kept\r\n\r\n")
            client.mail("x@example.net", ["r@example.com"], b"Subject: waits\r\n\r\n")
        server.wait_for_message("alice", b"kept")
        tool = [TOOLS / "postern", "-c", server.directory / "postern.toml", "queue", "list", "--json"]
        before = {one["id"] for one in Ran(tool).json["messages"]}
        self.assertEqual(len(before), 1)
        pid_file = server.directory / "postern.pid"
        self.assertEqual(int(pid_file.read_text()), server.process.pid)
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        self.assertEqual(server.process.wait(60), 0)
        self.assertFalse(pid_file.exists() and postern.is_running(int(pid_file.read_text())))
        server.start()
        self.assertEqual(server.pid(), server.process.pid)
        self.assertEqual({one["id"] for one in Ran(tool).json["messages"]}, before)
        self.assertEqual(len(server.messages("alice")), 1)
        self.assertEqual(server.stop(), 0)

    def test_a_second_server_on_the_same_directory_is_refused(self):
        port = postern.free_port()
        server = self.started(["--smtp", f"127.0.0.1:{port}", "--domain", "example.org"])
        second = self.run_instance(server.directory, "--smtp", f"127.0.0.1:{postern.free_port()}",
                                   "--domain", "example.org")
        self.assertEqual(second.status, 1, second)
        self.assertNotEqual(second.err, "")
        self.assertEqual(server.pid(), server.process.pid)
        with smtp_client.Client(port) as client:
            client.hello()

    def test_a_port_that_is_taken_is_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ran = self.run_instance(self.directory / "own", "--smtp", f"127.0.0.1:{port}", "--domain",
                                    "example.org")
        self.assertEqual(ran.status, 1, ran)
        self.assertIn(f"127.0.0.1:{port}", ran.err)
        self.assertNotIn("ready", ran.out)

    def test_mistakes_are_told(self):
        own = self.directory / "own"
        for status, arguments, words in (
                (2, (), "no directory"),
                (2, (own, "--frob", "x"), "unknown option --frob"),
                (2, (own, "--smtp"), "--smtp needs a value"),
                (2, (own, "--relay", "example.com"), "--relay takes DOMAIN=HOST:PORT"),
                (2, (own, "--retry", "soon"), "--retry takes a number of seconds"),
                (2, (own, "--set", "io"), "--set takes KEY=VALUE"),
                (1, (own, "--smtp", "localhost:25"), "smtp.listen"),
                (1, (own, "--io", "kqueue"), '"auto", "uring", "epoll"'),
                (1, (own, "--relay-for", "10.0.0.0/33"), "relay.networks"),
                (1, (own, "--set", "smtp.max_recipientz=1"), "smtp.max_recipients?")):
            with self.subTest(arguments=arguments):
                ran = self.run_instance(*arguments)
                self.assertEqual(ran.status, status, ran)
                self.assertIn(words, ran.err)
                self.assertEqual(ran.out, "")
        self.assertIn("--smarthost", self.run_instance("--help").out)


if __name__ == "__main__":
    unittest.main()
