"""Other people's programs as senders and as next hops: Postfix, Dovecot's LMTP, swaks, smtplib."""
import os
import pathlib
import shutil
import smtplib
import socket
import subprocess
import tempfile
import unittest

import postern
import postfix_server

MESSAGE = "Subject: {}\r\nFrom: <a@client.example>\r\nTo: <x@example.org>\r\n\r\nline one\r\n.dot\r\n\xe4\xf6\r\nend\r\n"


def need(*programs):
    """Skips the test by the name of what is missing; the paths otherwise."""
    found = [shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/dovecot") for program in programs]
    for program, path in zip(programs, found):
        if not path:
            raise unittest.SkipTest(f"{program} is not installed")
    return found


def wait_for_port(port):
    postern.until(lambda: postern.somebody_listens(port), what=f"somebody listens on {port}")


def send(port, recipient, subject, encoding="utf-8"):
    with smtplib.SMTP("127.0.0.1", port, timeout=20, local_hostname="client.example") as client:
        client.ehlo()
        client.sendmail("a@client.example", [recipient], MESSAGE.format(subject).encode(encoding), mail_options=["BODY=8BITMIME"])


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-peer-"))
        self.directory.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.directory, True)

    def postfix(self, settings):
        """The port of a Postfix of our own."""
        if postfix_server.missing():
            self.skipTest(postfix_server.missing())
        server = postfix_server.Postfix(self.directory, settings)
        self.addCleanup(server.stop)
        server.start()
        return server.port


class PostfixPeer(WithDirectory):
    def test_postfix_sends_to_us(self):
        server = postern.Instance()
        self.addCleanup(server.close)
        server.start()
        port = self.postfix(f"relayhost = [127.0.0.1]:{server.smtp_port}\n")
        for number in range(20):
            send(port, "alice@example.org", f"from postfix {number}", "latin-1")
        for number in range(20):
            stored = server.wait_for_message("alice", f"Subject: from postfix {number}\n".encode())
            self.assertTrue(stored.endswith(b"line one\n.dot\n\xe4\xf6\nend\n"), stored)

    def test_postfix_takes_mail_from_us(self):
        if os.geteuid() != 0:
            self.skipTest("Postfix starts as root only")
        boxes = self.directory / "boxes"
        boxes.mkdir()
        nobody = 65534
        os.chown(boxes, nobody, nobody)
        port = self.postfix("virtual_mailbox_domains = peer.example\n"
                            f"virtual_mailbox_base = {boxes}\nvirtual_mailbox_maps = inline:{{carol@peer.example=carol/}}\n"
                            f"virtual_uid_maps = static:{nobody}\nvirtual_gid_maps = static:{nobody}\n")
        server = postern.Instance(relay={"peer.example": f"127.0.0.1:{port}"})
        self.addCleanup(server.close)
        server.start()
        for number in range(20):
            send(server.smtp_port, "carol@peer.example", f"to postfix {number}", "latin-1")
        send(server.smtp_port, "nobody@peer.example", "refused there")
        found = postern.until(lambda: (files := list((boxes / "carol" / "new").glob("*"))) and len(files) == 20 and files, what="twenty messages at Postfix")
        for file in found:
            self.assertTrue(file.read_bytes().endswith(b"line one\n.dot\n\xe4\xf6\nend\n"), file)
        # The refusal became a notice to the sender, which has no mailbox here: it is bounced in the log.
        postern.until(lambda: server.log_lines("message.bounced", "nobody@peer.example"), what="the bounce")


class DovecotPeer(WithDirectory):
    def test_lmtp_delivers_into_dovecot(self):
        program, = need("dovecot")
        if os.geteuid() != 0 or not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
            self.skipTest("needs root and dovecot-lmtpd")
        port = postern.free_port()
        config = self.directory / "dovecot.conf"
        boxes = self.directory / "boxes"
        boxes.mkdir(mode=0o777)
        boxes.chmod(0o777)
        config.write_text(
            f"base_dir = {self.directory}/run\nstate_dir = {self.directory}/state\nlog_path = {self.directory}/dovecot.log\n"
            "protocols = lmtp\nlisten = 127.0.0.1\nssl = no\nmail_location = maildir:" + str(boxes) + "/%u\n"
            "first_valid_uid = 1\nuserdb {\n driver = static\n args = uid=65534 gid=65534 home=" + str(boxes) + "/%u\n}\n"
            "passdb {\n driver = static\n args = nopassword=y\n}\n"
            f"service lmtp {{\n inet_listener lmtp {{\n  address = 127.0.0.1\n  port = {port}\n }}\n}}\n"
            "service stats {\n}\n")
        process = subprocess.Popen([program, "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_for_port(port)
        server = postern.Instance(relay={"lmtp.example": f"lmtp://127.0.0.1:{port}"})
        self.addCleanup(server.close)
        server.start()
        send(server.smtp_port, "dora@lmtp.example", "by lmtp", "latin-1")
        found = postern.until(lambda: list(boxes.glob("*/new/*")), what="the message in Dovecot's Maildir")
        text = found[0].read_bytes().replace(b"\r\n", b"\n")
        self.assertIn(b"Subject: by lmtp\n", text)
        self.assertTrue(text.endswith(b"line one\n.dot\n\xe4\xf6\nend\n"), text)


class SwaksPeer(unittest.TestCase):
    def test_swaks_pipelines_and_uses_utf8(self):
        program, = need("swaks")
        with postern.Instance() as server:
            done = subprocess.run([program, "--server", f"127.0.0.1:{server.smtp_port}", "--to", "alice@example.org,bob@example.org",
                                   "--from", "x@client.example", "--pipeline", "--header", "Subject: by swaks"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)
            server.wait_for_message("alice", b"Subject: by swaks")
            server.wait_for_message("bob", b"Subject: by swaks")


class LargeMessages(unittest.TestCase):
    """A message of many megabytes goes through a file of its own, whole, with little memory."""

    def test_25_megabytes_reach_mailbox_and_next_hop(self):
        with postern.Instance(users=("alice",)) as far, \
                postern.Instance(relay={"far.example": f"127.0.0.1:{far.smtp_port}"}) as near:
            body = "".join(f"{number:07d} {'x' * 70}\r\n" for number in range(320_000))
            self.send_large(near.smtp_port, "alice@example.org", body)
            self.check_large(near, "alice", body)
            self.send_large(near.smtp_port, "alice@far.example", body)
            # The far server is no server for far.example: it refuses, and so shows that it was asked.
            postern.until(lambda: near.log_lines("message.bounced", "alice@far.example"), what="the far server's answer")
            with postern.Instance(relay={"example.org": f"127.0.0.1:{far.smtp_port}"}, domains=("near.example",)) as relay:
                self.send_large(relay.smtp_port, "alice@example.org", body)
                self.check_large(far, "alice", body)
                self.check_spool_is_empty(relay)

    @staticmethod
    def send_large(port, recipient, body):
        with smtplib.SMTP("127.0.0.1", port, timeout=60, local_hostname="client.example") as client:
            client.sendmail("a@client.example", [recipient], "Subject: large\r\n\r\n" + body)

    def check_large(self, server, user, body):
        stored = server.wait_for_message(user, b"Subject: large")
        self.assertTrue(stored.endswith(body.replace("\r\n", "\n").encode()))

    def check_spool_is_empty(self, server):
        postern.until(lambda: not list((pathlib.Path(server.directory) / "spool").rglob("content/*")), what="the content file is gone")


if __name__ == "__main__":
    unittest.main()
