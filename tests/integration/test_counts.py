"""What a message costs, counted: system calls of smtpd and commits of qmgr."""
import os
import shutil
import threading
import unittest

import postern
import smtp_client
from call_counter import CallCounter

# MAIL, RCPT and DATA in one group, the content and QUIT in another, as RFC 2920 lets a client do.
ENVELOPE = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
CONTENT = b"Subject: counted\r\n\r\n" + b"x" * 78 + b"\r\n.\r\nQUIT\r\n"


def deliver_one_waiting(port):
    """The same by a client that waits for each reply, with 4 KiB of content."""
    with smtp_client.Client(port) as client:
        client.hello()
        for line in ENVELOPE.splitlines(keepends=True):
            client.send(line)
            client.reply()
        client.send(b"Subject: counted\r\n\r\n" + (b"x" * 78 + b"\r\n") * 51 + b".\r\n")
        accepted = client.reply()
        client.send(b"QUIT\r\n")
        client.replies_until_close()
        return accepted


def deliver_one(port):
    """One connection, one message; the reply to its content."""
    with smtp_client.Client(port) as client:
        client.hello()
        client.send(ENVELOPE)
        if [client.reply().code for _ in range(3)] != [250, 250, 354]:
            raise AssertionError("refused")
        client.send(CONTENT)
        accepted = client.reply()
        client.replies_until_close()
        return accepted


class Counts(unittest.TestCase):
    MESSAGES = 100

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root may look into a daemon")
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")

    def count(self, io, role, clients, deliver=deliver_one):
        """The calls of `role` while `clients` at a time bring MESSAGES messages."""
        with postern.Instance(io=io) as server:
            deliver(server.smtp_port)
            pid = next(pid for pid, name in server.children().items() if name == role)
            counter = CallCounter(pid)
            try:
                failures = []

                def run():
                    try:
                        for _ in range(self.MESSAGES // clients):
                            self.assertEqual(deliver(server.smtp_port).code, 250)
                    except Exception as failure:  # of a thread: told to the test
                        failures.append(failure)
                threads = [threading.Thread(target=run) for _ in range(clients)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(failures, [])
                if role == "qmgr":
                    server.wait_for_messages("alice", self.MESSAGES)
            finally:
                calls = counter.stop()
        self.assertGreater(sum(calls.values()), 0)
        return calls

    def test_smtpd_needs_few_calls_for_a_connection(self):
        # One client at a time: nothing is shared between connections. On a ring, that is; without
        # one each receive and each send is a call of its own.
        for deliver in (deliver_one, deliver_one_waiting):
            with self.subTest(deliver.__name__):
                calls = self.count("auto", "smtpd", clients=1, deliver=deliver)
                if "epoll_pwait" in calls:
                    self.skipTest("no io_uring here")
                self.assertLessEqual(sum(calls.values()) / self.MESSAGES, 12, calls)

    def test_qmgr_syncs_once_for_many(self):
        # One at a time each waits for its own commit; side by side they share them.
        alone = self.count("epoll", "qmgr", clients=1)
        together = self.count("epoll", "qmgr", clients=20)
        self.assertGreaterEqual(alone["fdatasync"], self.MESSAGES)
        self.assertLess(together["fdatasync"], self.MESSAGES, together)
        for calls in (alone, together):
            self.assertLessEqual(calls["fdatasync"], calls["pwrite64"], "one a batch")


if __name__ == "__main__":
    unittest.main()
