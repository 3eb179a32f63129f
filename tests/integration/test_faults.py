"""Processes that die, and a configuration that is wrong, while clients send mail."""
import os
import random
import re
import signal
import smtplib
import threading
import time
import unittest

import postern


def daemons(server):
    """Process ids of the running daemons by name ("qmgr.0")."""
    found = {}
    for line in server.log_lines("daemon.ready"):
        match = re.search(r"role=(\S+) child=(\d+)", line)
        if match and postern.is_running(int(match.group(2))):
            found[match.group(1)] = int(match.group(2))
    return found


class Submitter(threading.Thread):
    """Sends numbered messages until told to stop; knows which were answered with 250."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.accepted, self.attempts = [], 0
        self.done = threading.Event()
        self.wrong = []

    def run(self):
        while not self.done.is_set():
            self.attempts += 1
            name = f"fault-{self.number}-{self.attempts}"
            text = f"Subject: {name}\r\n\r\n" + "x" * random.randrange(5000) + "\r\nlast line\r\n"
            try:
                with smtplib.SMTP("127.0.0.1", self.server.smtp_port, timeout=20, local_hostname="client.example") as client:
                    client.sendmail("sender@example.net", ["alice@example.org"], text)
                self.accepted.append(name)
            except smtplib.SMTPResponseException as error:
                if error.smtp_code >= 500:
                    self.wrong.append((error.smtp_code, error.smtp_error))
            except smtplib.SMTPRecipientsRefused as error:
                self.wrong += [reply for reply in error.recipients.values() if reply[0] >= 500]
            except (OSError, smtplib.SMTPException):
                pass  # cut off: it was not accepted


class Kills(unittest.TestCase):
    """Every message answered with 250 is delivered whole, whichever process is killed meanwhile."""

    # ./dev test --long: two hundred kills of each kind.
    rounds_in_turn, rounds_of_all = (29, 200) if os.environ.get("POSTERN_TEST_LONG") else (3, 3)
    seconds = 3600 if os.environ.get("POSTERN_TEST_LONG") else 180
    io = None

    def stored(self, server):
        names = []
        for message in server.messages("alice"):
            match = re.search(rb"^Subject: (\S+)", message, re.M)
            if match:
                self.assertTrue(message.endswith(b"\nlast line\n"), f"{match.group(1)} is cut off")
                names.append(match.group(1).decode())
        return names

    def storm(self, kill):
        server = postern.Instance(retry=1, io=self.io, settings={"master.restart_delay_longest": "500ms"})
        self.addCleanup(server.close)
        server.start()
        clients = [Submitter(server, number) for number in range(4)]
        for client in clients:
            client.start()
        def accepted_so_far():
            return sum(len(client.accepted) for client in clients)
        kill(server, accepted_so_far)
        # However slow the machine was meanwhile, it must have something to lose.
        postern.until(lambda: accepted_so_far() > 20, seconds=60, what="twenty messages accepted")
        for client in clients:
            client.done.set()
        for client in clients:
            client.join(timeout=60)
        accepted = {name for client in clients for name in client.accepted}
        self.assertEqual([], [wrong for client in clients for wrong in client.wrong], "our trouble is 4yz")
        postern.until(lambda: accepted <= set(self.stored(server)), seconds=60, what="every accepted message in the mailbox")
        stored = self.stored(server)
        print(f"{len(accepted)} accepted, {len(stored)} stored, {len(stored) - len(set(stored))} of them again", flush=True)

    def test_each_daemon_in_turn(self):
        def kill(server, _):
            for _ in range(self.rounds_in_turn):
                for name in ("smtpd.0", "policyd.0", "resolvd.0", "qmgr.0", "smtpc.0", "locald.0", "bounced.0"):
                    pid = postern.until(lambda name=name: daemons(server).get(name), seconds=20, what=f"{name} runs")
                    time.sleep(random.uniform(0.02, 0.15))
                    os.kill(pid, signal.SIGKILL)
            for name in ("smtpd.0", "qmgr.0", "locald.0"):
                postern.until(lambda name=name: daemons(server).get(name), seconds=20, what=f"{name} is back")
        self.storm(kill)

    def test_all_at_once(self):
        def kill(server, accepted_so_far):
            for _ in range(self.rounds_of_all):
                before = accepted_so_far()
                postern.until(lambda before=before: accepted_so_far() > before, what="mail is accepted")
                time.sleep(random.uniform(0.1, 0.4))  # the moment of the kill is anybody's
                server.kill()
                server.start()
        self.storm(kill)


class KillsOnEpoll(Kills):
    io = "epoll"


class Reloads(unittest.TestCase):
    """SIGHUP takes a good file and changes nothing for a bad one; sessions go on."""

    def test_a_reload_keeps_sessions_and_takes_new_settings(self):
        with postern.Instance() as server:
            client = smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20, local_hostname="client.example")
            self.addCleanup(client.close)
            client.ehlo()
            self.assertEqual(client.mail("sender@example.net")[0], 250)
            self.assertEqual(client.rcpt("carol@example.org")[0], 550)
            config = os.path.join(server.directory, "postern.toml")
            with open(config, encoding="utf-8") as file:
                text = file.read()
            with open(config, "w", encoding="utf-8") as file:
                file.write(text.replace('"bob"', '"bob", "carol"'))
            os.kill(server.pid(), signal.SIGHUP)
            postern.until(lambda: server.log_lines("config.reloaded"), what="the reload")
            postern.until(lambda: client.rcpt("carol@example.org")[0] == 250, what="the new user, in the same session")
            self.assertEqual(client.data("Subject: after\r\n\r\nx\r\n")[0], 250)

    def test_a_bad_file_changes_nothing(self):
        with postern.Instance() as server:
            config = os.path.join(server.directory, "postern.toml")
            with open(config, "a", encoding="utf-8") as file:
                file.write("\n[smtp]\nmax_recipents = 3\n")
            os.kill(server.pid(), signal.SIGHUP)
            lines = postern.until(lambda: server.log_lines("config.refused"), what="the refusal")
            self.assertRegex(lines[0], r"postern\.toml:\d+:\d+:")
            with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20, local_hostname="client.example") as client:
                client.sendmail("sender@example.net", ["alice@example.org"], "Subject: still\r\n\r\nx\r\n")
            server.wait_for_message("alice", b"Subject: still")


if __name__ == "__main__":
    unittest.main()
