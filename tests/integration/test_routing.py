"""Where mail goes: MX records of a real name server, failover, next hops, LMTP, and what is said when
it cannot go anywhere. Servers stand on several loopback addresses at one port."""
import email
import email.policy
import pathlib
import shutil
import socket
import tempfile
import unittest

import postern
import smtp_client
import smtp_sink
from name_server import NameServer

ZONES = {
    # Hosts of 127.0.1.N; what stands there is each test's matter.
    "hosts.example": "".join(f"h{n} A 127.0.1.{n}\n" for n in range(1, 7)) +
                     "six AAAA ::1\nalias CNAME h1\nnone TXT x\n",
    "order.example": "@ MX 20 h2.hosts.example.\n@ MX 10 h1.hosts.example.\n",
    "equal.example": "@ MX 10 h1.hosts.example.\n@ MX 10 h2.hosts.example.\n",
    "implicit.example": "@ A 127.0.1.1\n",
    "six.example": "@ MX 10 six.hosts.example.\n",
    "null.example": "@ MX 0 .\n",
    "alias.example": "www CNAME order.example.\n",
    "own.example": "@ MX 5 h3.hosts.example.\n@ MX 10 us.example.\n@ MX 20 h1.hosts.example.\n",
    "loop.example": "@ MX 10 us.example.\n@ MX 20 h1.hosts.example.\n",
    "bare.example": "@ MX 10 none.hosts.example.\n",
    "signed.example": "@ MX 10 mx\nmx A 127.0.1.1\n",
    "bogus.example": "@ MX 10 mx\nmx A 127.0.1.1\n",
}
TEXT = b"Subject: %s\r\nFrom: <alice@example.org>\r\n\r\ntext\r\n"


def notice_parts(octets):
    """The delivery-status fields of a notice: (per message, [per recipient])."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    report = next(part for part in message.walk()
                  if part.get_content_type() == "message/delivery-status")
    first, *others = report.get_payload()
    return first, others


class Routing(unittest.TestCase):
    """One server and one name server for all cases; each brings its own remote sides."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-dns-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, True)
        cls.directory.chmod(0o755)
        cls.names = NameServer(cls.directory, ZONES, signed={"signed.example"},
                               broken={"bogus.example"})
        cls.addClassCleanup(cls.names.close)
        cls.port = postern.free_port()
        cls.server = postern.Instance(
            relay_for=["127.0.0.0/8"], dns=f"127.0.0.1:{cls.names.port}", retry=1,
            settings={"hostname": "us.example", "outbound.port": cls.port,
                      "outbound.loopback_allowed": "true", "outbound.idle_timeout": "0s",
                      "dns.trust_anchor": cls.names.anchors, "dns.timeout": "5s"})
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def sink(self, host, **options):
        """A server at 127.0.1.`host`, or at the address itself."""
        address = host if isinstance(host, str) else f"127.0.1.{host}"
        sink = smtp_sink.Sink(self.port, address=address, **options)
        self.addCleanup(sink.close)
        return sink

    def submit(self, recipient, sender="alice@example.org", mail="", rcpt="", content=None,
               after_hello=None):
        """Submits one message and returns its subject, which is unlike all others'."""
        subject = f"{self.id().rpartition('.')[2]}-{postern.free_port()}"
        with smtp_client.Client(self.server.smtp_port) as client:
            client.hello()
            replies = [client.command(f"MAIL FROM:<{sender}> {mail}".rstrip())]
            for one in [recipient] if isinstance(recipient, str) else recipient:
                replies.append(client.command(f"RCPT TO:<{one}> {rcpt}".rstrip()))
            replies.append(client.content(content or TEXT % subject.encode()))
            self.assertEqual([reply.code for reply in replies if reply.code != 250], [], replies)
        return subject

    def notice(self, about):
        """The notice alice gets that holds `about`."""
        return self.server.wait_for_message("alice", about.encode())

    # Which host.

    def test_the_lowest_preference_comes_first(self):
        first, second = self.sink(1), self.sink(2)
        self.submit("x@order.example")
        first.wait(1)
        self.assertEqual(second.messages, [])

    def test_the_next_host_is_tried_when_the_first_is_not_there(self):
        second = self.sink(2)
        self.submit("x@order.example")
        second.wait(1)

    def test_the_next_host_is_tried_when_the_first_has_no_time(self):
        for name, answers in (("421 at the greeting", {"GREETING": "421 4.3.2 busy"}),
                              ("554 at the greeting", {"GREETING": "554 5.3.2 no mail here"}),
                              ("closed at EHLO", {"EHLO": None, "HELO": None}),
                              ("451 at MAIL", {"MAIL": "451 4.3.0 later"}),
                              ("closed at MAIL", {"MAIL": None})):
            with self.subTest(name):
                first, second = self.sink(1, answers=answers), self.sink(2)
                self.submit("x@order.example")
                try:
                    second.wait(1)
                    self.assertEqual(first.messages, [])
                finally:
                    self.doCleanups()  # the next case's stand at the same addresses

    def test_hosts_of_equal_preference_share(self):
        sinks = self.sink(1), self.sink(2)
        for _ in range(24):  # all the same way: once in eight million runs
            self.submit("x@equal.example")
        postern.until(lambda: sum(len(sink.messages) for sink in sinks) == 24, what="all arrive")
        self.assertTrue(all(sink.messages for sink in sinks))

    def test_a_domain_without_mx_is_its_own_host(self):
        host = self.sink(1)
        self.submit("x@implicit.example")
        host.wait(1)

    def test_a_domain_that_is_an_alias_is_followed(self):
        host = self.sink(1)
        self.submit("x@www.alias.example")
        self.assertEqual(host.wait(1)[0].recipients, ["x@www.alias.example"])

    def test_ipv6_is_used(self):
        host = self.sink("::1")
        self.submit("x@six.example")
        host.wait(1)

    def test_an_address_literal_is_used_as_it_is(self):
        host = self.sink(4)
        self.submit("x@[127.0.1.4]")
        host.wait(1)

    def test_a_backup_server_sends_to_better_hosts_only(self):
        better, worse = self.sink(3), self.sink(1)
        self.submit("x@own.example")
        better.wait(1)
        self.assertEqual(worse.messages, [])

    def test_a_backup_server_waits_for_better_hosts(self):
        worse = self.sink(1)
        subject = self.submit("x@own.example")
        self.wait_for_deferral("x@own.example")
        better = self.sink(3)
        self.assertIn(subject.encode(), better.wait(1)[0].content)
        self.assertEqual(worse.messages, [])

    def wait_for_deferral(self, recipient):
        postern.until(lambda: self.server.log_lines("message.deferred", recipient),
                      what=f"{recipient} deferred")

    # Nowhere to go.

    def test_domains_that_take_no_mail_are_told_at_once(self):
        for domain, status in (("null.example", "5.1.10"), ("nowhere.null.example", "5.1.2"),
                               ("loop.example", "5.4.6")):
            with self.subTest(domain):
                subject = self.submit(f"x@{domain}")
                _, recipients = notice_parts(self.notice(subject))
                self.assertEqual(recipients[0]["Status"], status)
                self.assertEqual(recipients[0]["Action"], "failed")
                self.assertEqual(recipients[0]["Final-Recipient"], f"rfc822;x@{domain}")

    def test_what_is_not_known_now_is_tried_again(self):
        for domain in ("bare.example", "unserved.example", "bogus.example"):
            with self.subTest(domain):  # no address; REFUSED by the server; signatures that fail
                self.submit(f"x@{domain}")
                self.wait_for_deferral(f"x@{domain}")
                self.assertEqual(self.server.log_lines("message.bounced", f"x@{domain}"), [])

    def test_a_signed_zone_is_believed(self):
        host = self.sink(1)
        self.submit("x@signed.example")
        host.wait(1)

    # What the remote side says.

    def test_each_recipient_has_its_own_fate(self):
        def answer(command):
            return "550 5.1.1 who?" if "bad@" in command else \
                "450 4.2.1 later" if "slow@" in command and not again else ""
        again = []
        host = self.sink(1, answers={"RCPT": answer})
        subject = self.submit(["good@implicit.example", "bad@implicit.example",
                               "slow@implicit.example"])
        self.assertEqual(host.wait(1)[0].recipients, ["good@implicit.example"])
        _, recipients = notice_parts(self.notice(subject))
        self.assertEqual([one["Final-Recipient"] for one in recipients],
                         ["rfc822;bad@implicit.example"])
        self.assertEqual(recipients[0]["Status"], "5.1.1")
        self.assertIn("550 5.1.1 who?", recipients[0]["Diagnostic-Code"])
        again.append(True)
        self.assertEqual(host.wait(2)[1].recipients, ["slow@implicit.example"])

    def test_a_server_that_hangs_up_within_the_message_gets_it_again(self):
        def answer(_):
            calls.append(1)
            return None if len(calls) == 1 else ""
        calls = []
        host = self.sink(1, answers={".": answer})
        subject = self.submit("x@implicit.example")
        self.assertIn(subject.encode(), host.wait(1)[0].content)
        self.assertEqual(len(calls), 2)

    def test_ehlo_refused_falls_back_to_helo(self):
        host = self.sink(1, answers={"EHLO": "502 5.5.1 what?"})
        self.submit("x@implicit.example")
        host.wait(1)
        self.assertIn("HELO us.example", host.commands)

    def test_a_message_beyond_the_announced_size_is_not_sent(self):
        host = self.sink(1, extensions=("PIPELINING", "SIZE 100"))
        subject = self.submit("x@implicit.example")
        _, recipients = notice_parts(self.notice(subject))
        self.assertEqual(recipients[0]["Status"], "5.3.4")
        self.assertEqual(host.messages, [])

    def test_eight_bit_and_utf8_mail_needs_a_server_that_takes_it(self):
        host = self.sink(1, extensions=("PIPELINING",))
        for mail, sender, content, status in (
                ("BODY=8BITMIME", "alice@example.org", b"Subject: %s\r\n\r\n\xc3\xa4\r\n", "5.6.3"),
                ("SMTPUTF8", "alice@example.org", b"Subject: %s \xc3\xa4\r\n\r\nx\r\n", "5.6.7")):
            with self.subTest(mail):
                subject = f"narrow-{status}"
                self.submit("x@implicit.example", sender=sender, mail=mail,
                            content=content % subject.encode())
                _, recipients = notice_parts(self.notice(subject))
                self.assertEqual(recipients[0]["Status"], status)
        self.assertEqual(host.messages, [])

    # Delivery status notifications (RFC 3461).

    def test_notification_parameters_are_passed_on(self):
        host = self.sink(1, extensions=("PIPELINING", "DSN"))
        self.submit("x@implicit.example", mail="RET=HDRS ENVID=abc+2B1",
                    rcpt="NOTIFY=SUCCESS,DELAY ORCPT=rfc822;y+2Bz@implicit.example")
        commands = host.wait(1)[0].commands
        self.assertIn("RET=HDRS", commands[0])
        self.assertIn("ENVID=abc+2B1", commands[0])
        self.assertIn("NOTIFY=SUCCESS,DELAY", commands[1])
        self.assertIn("ORCPT=rfc822;y+2Bz@implicit.example", commands[1])

    def test_success_is_told_where_the_next_server_will_not(self):
        self.sink(1)
        subject = self.submit("x@implicit.example", rcpt="NOTIFY=SUCCESS", mail="ENVID=e1")
        message, recipients = notice_parts(self.notice(subject))
        self.assertEqual(recipients[0]["Action"], "relayed")
        self.assertEqual(message["Original-Envelope-Id"], "e1")

    def test_success_is_told_of_a_local_mailbox(self):
        subject = self.submit("bob@example.org", rcpt="NOTIFY=SUCCESS")
        self.assertEqual(notice_parts(self.notice(subject))[1][0]["Action"], "delivered")

    def test_never_is_never(self):
        subject = self.submit("x@null.example", rcpt="NOTIFY=NEVER")
        told = self.submit("x@null.example")  # with its notice comes the end of waiting
        self.notice(told)
        self.assertEqual([m for m in self.server.messages("alice") if subject.encode() in m], [])

    def test_headers_alone_come_back_when_asked(self):
        subject = f"headers-{postern.free_port()}"
        self.submit("x@null.example", mail="RET=HDRS",
                    content=f"Subject: {subject}\r\n\r\nnot this line\r\n".encode())
        notice = self.notice(subject)
        self.assertNotIn(b"not this line", notice)
        self.assertIn(b"text/rfc822-headers", notice)


class NextHops(unittest.TestCase):
    def submit(self, server, recipients):
        with smtp_client.Client(server.smtp_port) as client:
            client.hello()
            client.mail("alice@example.org", recipients, TEXT % b"hop")

    def test_lmtp_answers_for_each_recipient(self):
        def answer(recipient):
            return "550 5.2.2 full" if recipient == "b@example.com" else ""
        sink = smtp_sink.Sink(lmtp=True, answers={".": answer})
        self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], retry=1, settings={
                "outbound.routes": f"example.com=lmtp://127.0.0.1:{sink.port}"}) as server:
            self.submit(server, ["a@example.com", "b@example.com"])
            self.assertEqual(sink.wait(1)[0].recipients, ["a@example.com"])
            self.assertIn("LHLO", sink.commands[0])
            notice = server.wait_for_message("alice", b"hop")
            _, recipients = notice_parts(notice)
            self.assertEqual([one["Final-Recipient"] for one in recipients],
                             ["rfc822;b@example.com"])

    def test_routes_come_before_the_smarthost(self):
        routed, below, smart = smtp_sink.Sink(), smtp_sink.Sink(), smtp_sink.Sink()
        for sink in (routed, below, smart):
            self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{smart.port}", settings={
                "outbound.routes": f"example.com=127.0.0.1:{routed.port},"
                                   f".example.com=127.0.0.1:{below.port}"}) as server:
            self.submit(server, ["a@example.com", "b@deep.example.com", "c@other.example"])
            self.assertEqual(routed.wait(1)[0].recipients, ["a@example.com"])
            self.assertEqual(below.wait(1)[0].recipients, ["b@deep.example.com"])
            self.assertEqual(smart.wait(1)[0].recipients, ["c@other.example"])

    def test_connections_are_used_again(self):
        sink = smtp_sink.Sink()
        self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{sink.port}") as server:
            for count in range(1, 6):
                self.submit(server, ["a@example.com"])
                sink.wait(count)
            self.assertEqual(len([c for c in sink.commands if c.startswith("EHLO")]), 1)

    def test_a_silent_server_does_not_hold_up_another(self):
        silent = socket.create_server(("127.0.0.1", 0))  # connects, and says nothing
        self.addCleanup(silent.close)
        sink = smtp_sink.Sink()
        self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{sink.port}", settings={
                "master.stop_timeout": "5m",
                "outbound.routes": f"silent.example=127.0.0.1:{silent.getsockname()[1]}"}) as server:
            for _ in range(30):
                self.submit(server, ["a@silent.example"])
            self.submit(server, ["a@example.com"])
            sink.wait(1)
            # Nor the stop: whoever waits for a greeting has given nothing away.
            self.assertEqual(server.stop(), 0)

    def test_no_wait_is_longer_than_the_longest(self):
        # Growing from one second without end, the ninth attempt would come after minutes.
        sink = smtp_sink.Sink(answers={"MAIL": "451 4.3.0 later"})
        self.addCleanup(sink.close)
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{sink.port}",
                              retry=1) as server:
            self.submit(server, ["a@example.com"])
            postern.until(lambda: len([c for c in sink.commands if c.startswith("MAIL")]) >= 9,
                          what="nine attempts")

    def test_mail_that_is_too_old_comes_back(self):
        with postern.Instance(relay_for=["127.0.0.0/8"], smarthost=f"127.0.0.1:{postern.free_port()}",
                              retry=1, settings={"queue.lifetime": "4s",
                                                    "queue.delay_notice": "1s"}) as server:
            self.submit(server, ["a@example.com"])
            for action, status in (("delayed", "4.4.1"), ("failed", "4.4.7")):
                notice = server.wait_for_message("alice", b"Action: " + action.encode())
                _, recipients = notice_parts(notice)
                self.assertEqual(recipients[0]["Action"], action)
                self.assertEqual(recipients[0]["Status"].split(".")[1:], status.split(".")[1:])


if __name__ == "__main__":
    unittest.main()
