"""First dialogues with the whole server: in by SMTP, into a Maildir, on to another server."""
import re
import unittest

import postern
import smtp_client
import smtp_sink

MESSAGE = (b"From: <sender@example.net>\r\nTo: <alice@example.org>\r\nSubject: %s\r\n"
           b"\r\nfirst line\r\n.a line that begins with a dot\r\n..and one with two\r\nlast\r\n")


def header_lines(message):
    """The header fields of a message, unfolded."""
    head = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
    return re.sub(rb"\r?\n[ \t]+", b" ", head).splitlines()


class WithOneInstance(unittest.TestCase):
    """All cases of a class talk to one server, each over a connection of its own."""

    quick = True

    @classmethod
    def setUpClass(cls):
        cls.server = postern.Instance()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def connect(self):
        client = smtp_client.Client(self.server.smtp_port)
        self.addCleanup(client.close)
        return client


class Dialogue(WithOneInstance):
    def test_ehlo_lists_the_extensions(self):
        reply = self.connect().hello()
        self.assertEqual(reply.code, 250)
        offered = {line.split(" ")[0].upper() for line in reply.lines[1:]}
        self.assertLessEqual({"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES",
                              "DSN", "CHUNKING", "BINARYMIME", "LIMITS"}, offered)

    def test_helo_answers_in_one_line(self):
        client = self.connect()
        self.assertEqual(client.reply().code, 220)
        reply = client.command("HELO client.example.net")
        self.assertEqual((reply.code, len(reply.lines)), (250, 1))

    def test_a_message_reaches_the_maildir_unchanged(self):
        client = self.connect()
        client.hello()
        content = MESSAGE % b"unchanged"
        client.mail("sender@example.net", ["alice@example.org"], content)
        self.assertEqual(client.command("QUIT").code, 221)
        stored = self.server.wait_for_message("alice", b"Subject: unchanged")
        # A Maildir keeps messages with the line ends of the system.
        self.assertTrue(stored.replace(b"\r\n", b"\n").endswith(content.replace(b"\r\n", b"\n")),
                        stored)

    def test_the_stored_message_names_its_way(self):
        client = self.connect()
        client.hello("way.example.net")
        client.mail("way@example.net", ["alice@example.org"], MESSAGE % b"trace")
        fields = header_lines(self.server.wait_for_message("alice", b"Subject: trace"))
        self.assertEqual(fields[0], b"Return-Path: <way@example.net>")
        received = [field for field in fields if field.startswith(b"Received: ")]
        self.assertEqual(len(received), 1, fields)
        self.assertIn(b"way.example.net", received[0])
        self.assertIn(b"127.0.0.1", received[0])

    def test_two_recipients_get_a_copy_each(self):
        client = self.connect()
        client.hello()
        client.mail("sender@example.net", ["alice@example.org", "bob@example.org"],
                    MESSAGE % b"both of you")
        self.server.wait_for_message("alice", b"Subject: both of you")
        self.server.wait_for_message("bob", b"Subject: both of you")

    def test_a_stranger_may_not_relay(self):
        client = self.connect()
        client.hello()
        _, reply = client.envelope("sender@example.net", "someone@example.com")
        self.assertEqual((reply.code, reply.enhanced), (550, "5.7.1"))

    def test_an_unknown_user_is_refused_at_rcpt(self):
        client = self.connect()
        client.hello()
        _, reply = client.envelope("sender@example.net", "nobody-here@example.org")
        self.assertEqual((reply.code, reply.enhanced), (550, "5.1.1"))

    def test_relay_tricks_are_refused(self):
        client = self.connect()
        client.hello()
        client.command("MAIL FROM:<sender@example.net>")
        for recipient in ("<someone%example.com@example.org>", "<example.com!someone@example.org>",
                          '<"someone@example.com"@example.org>',
                          "<@example.org:someone@example.com>"):
            with self.subTest(recipient=recipient):
                self.assertIn(client.command(f"RCPT TO:{recipient}").code, range(500, 560))

    def test_null_sender_and_bare_postmaster_are_taken(self):
        client = self.connect()
        client.hello()
        replies = client.envelope("", "Postmaster")
        self.assertEqual([reply.code for reply in replies], [250, 250])

    def test_commands_out_of_order_get_503(self):
        client = self.connect()
        client.hello()
        for command in ("RCPT TO:<alice@example.org>", "DATA"):
            with self.subTest(command=command):
                self.assertEqual(client.command(command).code, 503)

    def test_a_pipelined_transaction_is_answered_in_order(self):
        client = self.connect()
        client.hello()
        client.send(b"MAIL FROM:<sender@example.net>\r\nRCPT TO:<nobody-here@example.org>\r\n"
                    b"RCPT TO:<bob@example.org>\r\nDATA\r\n")
        self.assertEqual([client.reply().code for _ in range(4)], [250, 550, 250, 354])
        client.send(MESSAGE % b"pipelined" + b".\r\nRSET\r\nQUIT\r\n")
        self.assertEqual([client.reply().code for _ in range(3)], [250, 250, 221])
        self.server.wait_for_message("bob", b"Subject: pipelined")

    def test_content_in_chunks_is_joined(self):
        client = self.connect()
        client.hello()
        client.envelope("sender@example.net", "bob@example.org")
        first, second = b"Subject: chunks\r\n\r\none, ", b"two\r\n.\r\nthree\r\n"
        client.send(b"BDAT %d\r\n%s" % (len(first), first))
        self.assertEqual(client.reply().code, 250)
        client.send(b"BDAT %d LAST\r\n%s" % (len(second), second))
        self.assertEqual(client.reply().code, 250)
        stored = self.server.wait_for_message("bob", b"Subject: chunks").replace(b"\r\n", b"\n")
        self.assertTrue(stored.endswith(b"\n\none, two\n.\nthree\n"), stored)

    def test_vrfy_tells_nothing(self):
        client = self.connect()
        client.hello()
        known, unknown = client.command("VRFY alice"), client.command("VRFY nobody-here")
        self.assertEqual((known.code, known.text), (252, unknown.text))


class Smuggling(WithOneInstance):
    """Ends of DATA that other servers may take for one; for us only CRLF . CRLF is (S03)."""

    ENDS = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
            b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\r\n.\r\r\n", b"\n\n.\n\n")

    def test_no_form_opens_a_second_transaction(self):
        for end in self.ENDS:
            with self.subTest(end=end):
                client = self.connect()
                client.hello()
                client.envelope("sender@example.net", "alice@example.org")
                self.assertEqual(client.command("DATA").code, 354)
                client.send(b"Subject: outer\r\n\r\nouter" + end +
                            b"MAIL FROM:<forged@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
                            b"DATA\r\nSubject: smuggled\r\n\r\ninner\r\n.\r\nQUIT\r\n")
                codes = [reply.code for reply in client.replies_until_close()]
                self.assertNotIn(354, codes, "the inner DATA was taken for a command")
                self.assertLessEqual(codes.count(250), 1, codes)
        # Whatever was accepted before this one is older than it in the queue.
        client = self.connect()
        client.hello()
        client.mail("sender@example.net", ["bob@example.org"], MESSAGE % b"the last one")
        self.server.wait_for_message("bob", b"Subject: the last one")
        for message in self.server.messages("bob"):
            self.assertNotIn(b"Return-Path: <forged@example.org>", message)


class Relay(unittest.TestCase):
    """Mail for a relay domain goes on to its server, at once or when that is back."""

    quick = True

    def test_a_relay_domain_is_taken_from_anyone_and_sent_on(self):
        sink = smtp_sink.Sink()
        self.addCleanup(sink.close)
        with postern.Instance(relay={"example.com": f"127.0.0.1:{sink.port}"}) as server, \
                smtp_client.Client(server.smtp_port) as client:
            client.hello()
            client.mail("sender@example.net", ["carol@example.com"], MESSAGE % b"sent on")
            message = sink.wait(1)[0]
        self.assertEqual((message.sender, message.recipients),
                         ("sender@example.net", ["carol@example.com"]))
        self.assertTrue(message.content.endswith(MESSAGE % b"sent on"), message.content)
        self.assertFalse(any(field.startswith(b"Return-Path:")
                             for field in header_lines(message.content)), message.content)

    def test_a_network_of_ours_may_send_anywhere(self):
        sink = smtp_sink.Sink()
        self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{sink.port}") \
                as server, smtp_client.Client(server.smtp_port) as client:
            client.hello()
            client.mail("alice@example.org", ["far@example.com"], MESSAGE % b"far away")
            self.assertEqual(sink.wait(1)[0].recipients, ["far@example.com"])

    def test_accepted_mail_outlives_sigkill_of_everything(self):
        port = postern.free_port()  # nobody listens there yet
        server = postern.Instance(relay={"example.com": f"127.0.0.1:{port}"}, retry=1)
        self.addCleanup(server.close)
        server.start()
        with smtp_client.Client(server.smtp_port) as client:
            client.hello()
            client.mail("sender@example.net", ["carol@example.com"], MESSAGE % b"kept")
        server.kill()
        sink = smtp_sink.Sink(port)
        self.addCleanup(sink.close)
        server.start()
        self.assertIn(MESSAGE % b"kept", sink.wait(1)[0].content)

    def test_sigterm_ends_it_orderly(self):
        server = postern.Instance()
        self.addCleanup(server.close)
        server.start()
        daemons = server.children()
        self.assertTrue(daemons, "it runs no daemons")
        self.assertEqual(server.stop(), 0)
        self.assertFalse([pid for pid in daemons if postern.is_running(pid)])


if __name__ == "__main__":
    unittest.main()
