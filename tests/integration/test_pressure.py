"""Too little of something: disk, inodes, descriptors, time of a process, too many connections. No process dies, whoever
is refused hears 4yz with a reason, and all is well again when the pressure has gone."""
import contextlib
import os
import pathlib
import re
import resource
import selectors
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import postern
import smtp_client
import test_faults
from test_faults import Submitter

LONG = bool(os.environ.get("POSTERN_TEST_LONG"))
STOPPED_SECONDS = 30 if LONG else 2
RELIEF_SECONDS = 5
GENERATOR = postern.BUILD / "tests" / "bench" / "load_generator"
DAEMONS = ("smtpd.0", "policyd.0", "resolvd.0", "qmgr.0", "smtpc.0", "locald.0", "bounced.0")


def daemons(server):
    """Process ids by name, of those that live as long as the server."""
    return {name: pid for name, pid in test_faults.daemons(server).items() if name != "deliver"}


def all_daemons(server):
    """The same once the log has told of all of them."""
    return postern.until(lambda: (found := daemons(server)) and len(found) == len(DAEMONS) and found, what="all daemons")


def pss_mib(server):
    total = 0
    for pid in server.children():
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found.group(1)) if found else 0
    return total / 1024


def send(port, recipient, content=b"Subject: x\r\n\r\nx\r\n"):
    """The reply that decided: to RCPT, DATA or the content."""
    with smtp_client.Client(port) as client:
        client.hello()
        for reply in client.envelope("sender@example.net", recipient):
            if reply.code >= 400:
                return reply
        reply = client.command("DATA")
        if reply.code >= 400:
            return reply
        client.send(content + b".\r\n")
        return client.reply()


class Stopped(unittest.TestCase):
    """A process that gets no time (SIGSTOP): the others keep their bounds, and recover with it."""

    seconds = 900 if LONG else 240

    def test_each_daemon_in_turn(self):
        with postern.Instance(retry=1) as server:
            clients = [Submitter(server, number) for number in range(4)]
            for client in clients:
                client.start()
            before = all_daemons(server)
            for name in DAEMONS:
                os.kill(before[name], signal.SIGSTOP)
                try:
                    end = time.monotonic() + STOPPED_SECONDS
                    while time.monotonic() < end:
                        self.assertLess(pss_mib(server), 256, f"while {name} is stopped")
                        time.sleep(postern.POLL_SECONDS)
                finally:
                    os.kill(before[name], signal.SIGCONT)
                accepted = sum(len(client.accepted) for client in clients)
                postern.until(lambda accepted=accepted: sum(len(client.accepted) for client in clients) > accepted,
                              60, f"mail is accepted again after {name}")
            for client in clients:
                client.done.set()
            for client in clients:
                client.join(timeout=60)
            self.assertEqual([], [wrong for client in clients for wrong in client.wrong], "our trouble is 4yz")
            self.assertEqual(daemons(server), before, "a process was started anew")
            accepted = {name for client in clients for name in client.accepted}

            def stored():
                return {re.search(rb"^Subject: (\S+)", message, re.M).group(1).decode()
                        for message in server.messages("alice")}
            postern.until(lambda: accepted <= stored(), 60, "every accepted message in the mailbox")


class FullDisk(unittest.TestCase):
    """The spool on a small file system of its own."""

    def start(self, options, settings):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a small file system")
        directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-full-"))
        self.addCleanup(lambda: subprocess.run(["rm", "-rf", directory], check=False))
        directory.chmod(0o755)
        spool = directory / "small"
        spool.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "postern-test", spool],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"no small file system to be had: {mounted.stderr.strip()}")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", spool], check=False))
        # Nobody listens at the next hop: mail stays in the queue.
        server = postern.Instance(directory / "server", relay={"example.com": f"127.0.0.1:{postern.free_port()}"},
                                  settings={"queue.directories": f"{spool}/queue", "queue.segment_octets": "1MiB",
                                            "queue.reserve_octets": "4MiB", **settings})
        self.addCleanup(server.close)
        # The queue's user makes what it needs in there.
        spool.chmod(0o777)
        return server.start()

    def postern(self, server, *arguments):
        return subprocess.run([postern.BUILD / "tools" / "postern", "-c", server.directory / "postern.toml", *arguments],
                              capture_output=True, text=True)

    def fill_and_relieve(self, server, content):
        before = all_daemons(server)
        # The small ones fill what is too little for a large one.
        for octets in (content, b"Subject: small\r\n\r\n" + (b"x" * 998 + b"\r\n") * 3):
            for sent in range(2000):
                reply = send(server.smtp_port, "carol@example.com", octets)
                if reply.code != 250:
                    break
        self.assertEqual((reply.code, reply.enhanced[:4]), (452, "4.3."), reply)
        self.assertTrue(reply.text.strip(), "no reason")
        # Room is asked for once a second.
        postern.until(lambda: send(server.smtp_port, "carol@example.com").code == 452 and server.log_lines("queue.full"),
                      what="queue.full")
        # What is known of old mail can still be written down.
        held = self.postern(server, "queue", "hold", "--all")
        self.assertEqual(held.returncode, 0, held)
        deleted = self.postern(server, "queue", "delete", "--all")
        self.assertEqual(deleted.returncode, 0, deleted)
        postern.until(lambda: send(server.smtp_port, "carol@example.com").code == 250, RELIEF_SECONDS * 4,
                      "mail is taken again")
        postern.until(lambda: server.log_lines("queue.room"), what="queue.room")
        self.assertEqual(daemons(server), before, "a process was started anew")

    def test_no_room_for_octets(self):
        server = self.start("size=16m", {})
        self.fill_and_relieve(server, b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * 150)

    def test_no_room_for_files(self):
        # Large messages are files of their own: there are a few inodes more than the queue needs itself.
        server = self.start("size=64m,nr_inodes=60", {"queue.inline_octets": "4KiB"})
        self.fill_and_relieve(server, b"Subject: file\r\n\r\n" + (b"x" * 998 + b"\r\n") * 20)


class ManyConnections(unittest.TestCase):
    """Idle ones, slow ones, and an honest client among them."""

    idle = 10_000
    slow = 1_000

    def setUp(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = self.idle + 2 * self.slow + 500
        if hard != resource.RLIM_INFINITY and hard < needed:
            self.skipTest(f"{needed} descriptors are needed, and the limit is {hard}")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, before))

    def test_ten_thousand_idle_and_a_thousand_slow(self):
        limit = self.idle + self.slow + 100
        with postern.Instance(settings={"smtp.max_connections": limit, "smtp.max_connections_per_client": limit}) as server:
            before = all_daemons(server)
            smallest = pss_mib(server)
            waiting = subprocess.Popen([GENERATOR, str(server.smtp_port), "--idle", "--connections", str(self.idle)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(waiting.stdout.readline().strip(), "idle")
                with self.slow_ones(server.smtp_port) as drip:
                    for _ in range(5):
                        drip()
                        self.assertEqual(send(server.smtp_port, "alice@example.org").code, 250)
                    each = (pss_mib(server) - smallest) * 1024 / (self.idle + self.slow)
                    if smallest:
                        print(f"{each:.2f} KiB of PSS a connection", flush=True)
                        self.assertLess(each, 4)
                    else:
                        print("only root may ask what memory the daemons use: not measured", flush=True)
            finally:
                waiting.stdin.close()
                waiting.wait(timeout=60)
                waiting.stdout.close()
            self.assertEqual(daemons(server), before, "a process was started anew")
            server.wait_for_messages("alice", 5)

    @contextlib.contextmanager
    def slow_ones(self, port):
        """Connections that send an octet of EHLO with each call of what this gives."""
        sockets = []
        try:
            for _ in range(self.slow):
                sockets.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            for one in sockets:
                self.assertTrue(one.recv(100).startswith(b"220"))  # or it would have talked too early
            position = 0

            def drip():
                nonlocal position
                for one in sockets:
                    one.send(b"EHLO a-very-slow-client.example.net\r\n"[position:position + 1])
                position += 1
            yield drip
        finally:
            for one in sockets:
                one.close()

    def test_no_descriptor_left_for_a_connection(self):
        """smtpd may open a few more only: whoever is first is served, the rest waits or hears 421."""
        server = postern.Instance()
        self.addCleanup(server.close)
        server.wrapper = ["prlimit", "--nofile=64:64"]
        with server:
            before = all_daemons(server)
            held = [socket.create_connection(("127.0.0.1", server.smtp_port), timeout=30) for _ in range(100)]
            try:
                greeted = 0
                with selectors.DefaultSelector() as selector:
                    for one in held:
                        selector.register(one, selectors.EVENT_READ)
                    postern.until(lambda: len(selector.select(0)) >= 10, what="some are served")
                    greeted = len(selector.select(0))
                self.assertLess(greeted, 64)
            finally:
                for one in held:
                    one.close()
            postern.until(lambda: send(server.smtp_port, "alice@example.org").code == 250, RELIEF_SECONDS * 4, "service")
            self.assertEqual(daemons(server), before, "a process was started anew")


if __name__ == "__main__":
    unittest.main()
