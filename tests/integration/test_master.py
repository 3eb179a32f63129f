"""master: reload, restart, stop, the service manager's protocols, who runs as whom."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import postern
import smtp_client
from postern import kernel_layers

MESSAGE = b"From: <sender@example.net>\r\nSubject: %s\r\n\r\ntext\r\n"
RELOADED, REFUSED = "config.reloaded", "config.refused"


def tool(server, *arguments):
    """`postern ...` about that server; the completed process, with its output as text."""
    return subprocess.run([str(postern.BUILD / "tools" / "postern"), "-c", str(server.directory / "postern.toml"),
                           *arguments], capture_output=True, text=True, timeout=60)


def processes(server):
    """What `postern ps --json` says, by name."""
    answer = tool(server, "ps", "--json")
    if answer.returncode != 0:
        raise AssertionError(f"ps: {answer.stderr}")
    return {one["name"]: one for one in json.loads(answer.stdout)}


def when_ready(server, *names, count=None):
    """The processes, once those named are ready (all, if none is named)."""
    def look():
        found = processes(server)
        wanted = names or list(found)
        ready = all(name in found and found[name]["state"] == "ready" for name in wanted)
        return found if ready and (count is None or len(found) == count) else None
    return postern.until(look, 30, f"readiness of {names or 'all'}")


def edit(server, *pairs):
    """Replaces text in the configuration, or appends it: (old, new), (None, new)."""
    path = server.directory / "postern.toml"
    text = path.read_text()
    for old, new in pairs:
        if old is not None and old not in text:
            raise AssertionError(f"{old!r} is not in the configuration:\n{text}")
        text = text + new if old is None else text.replace(old, new, 1)
    path.write_text(text)


def set_key(server, section, line):
    """Adds `line` to a section, replacing the key's present line."""
    path = server.directory / "postern.toml"
    key = line.split("=")[0].strip()
    lines = path.read_text().splitlines()
    head = f"[{section}]"
    if head not in lines:
        lines += [head]
    at = lines.index(head)
    end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    body = [one for one in lines[at + 1:end] if not re.match(rf"{key}\s*=", one)]
    path.write_text("\n".join(lines[:at + 1] + [line] + body + lines[end:]) + "\n")


def reload(server):
    """By signal; waits for the log's line."""
    before = len(server.log_lines(RELOADED)) + len(server.log_lines(REFUSED, "file="))
    os.kill(server.pid(), signal.SIGHUP)
    postern.until(lambda: len(server.log_lines(RELOADED)) + len(server.log_lines(REFUSED, "file=")) > before,
                  30, "the reload")


class WithServers(unittest.TestCase):
    def start(self, **options):
        server = postern.Instance(**options)
        self.addCleanup(server.close)
        return server.start()

    def connect(self, port):
        client = smtp_client.Client(port)
        self.addCleanup(client.close)
        return client

    def greeted(self, port):
        client = self.connect(port)
        client.hello()
        return client


class Reload(WithServers):
    quick = True

    def test_a_session_goes_on_and_meets_the_new_settings(self):
        server = self.start()
        old = self.greeted(server.smtp_port)
        self.assertEqual(old.command("MAIL FROM:<a@example.net>").code, 250)
        set_key(server, "smtp", "max_recipients = 1")
        answer = tool(server, "reload")
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        self.assertIn("in force", answer.stdout)
        self.assertEqual(old.command("RCPT TO:<alice@example.org>").code, 250)
        self.assertEqual(old.content(MESSAGE % b"old session").code, 250)
        new = self.greeted(server.smtp_port)
        self.assertEqual([r.code for r in new.envelope("a@example.net", "alice@example.org", "bob@example.org")],
                         [250, 250, 452])
        server.wait_for_message("alice", b"Subject: old session")

    def test_a_bad_file_changes_nothing_and_is_said(self):
        server = self.start()
        before = server.children()
        edit(server, (None, "\n[nonsense]\nx = 1\n"))
        answer = tool(server, "reload")
        self.assertEqual(answer.returncode, 1)
        self.assertRegex(answer.stderr, r"postern\.toml:\d+:\d+: ")
        reload(server)
        refused = server.log_lines(REFUSED)
        self.assertEqual(len(refused), 1, "one by signal; the tool saw it itself")
        self.assertRegex(refused[0], r"postern\.toml:\d+:\d+: ")
        self.assertFalse(server.log_lines(RELOADED))
        self.assertEqual(server.children(), before)
        self.assertEqual(self.greeted(server.smtp_port).command("NOOP").code, 250)

    def test_an_address_in_use_refuses_the_whole_reload(self):
        server = self.start()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        set_key(server, "smtp", f'listen = ["127.0.0.1:{server.smtp_port}", "127.0.0.1:{port}"]')
        set_key(server, "smtp", "max_recipients = 1")
        answer = tool(server, "reload")
        self.assertEqual(answer.returncode, 1)
        self.assertIn(f"listen on 127.0.0.1:{port}: Address already in use", answer.stderr)
        client = self.greeted(server.smtp_port)
        self.assertEqual([r.code for r in client.envelope("a@example.net", "alice@example.org", "bob@example.org")],
                         [250, 250, 250], "the limit of the refused file is not in force")

    def test_listeners_come_and_go_and_the_others_stay(self):
        server = self.start(listeners=2)
        stays, goes = server.smtp_ports
        comes = postern.free_port()
        on_stays, on_goes = self.greeted(stays), self.greeted(goes)
        set_key(server, "smtp", f'listen = ["127.0.0.1:{stays}", "127.0.0.1:{comes}"]')
        answer = tool(server, "reload")
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        self.greeted(comes).mail("a@example.net", ["alice@example.org"], MESSAGE % b"new listener")
        postern.until(lambda: not postern.somebody_listens(goes), 10, "the end of the listener")
        on_goes.mail("a@example.net", ["alice@example.org"], MESSAGE % b"gone listener")
        on_stays.mail("a@example.net", ["alice@example.org"], MESSAGE % b"kept listener")
        self.greeted(stays)
        for subject in (b"new listener", b"gone listener", b"kept listener"):
            server.wait_for_message("alice", b"Subject: " + subject)
        # And back again.
        set_key(server, "smtp", f'listen = ["127.0.0.1:{stays}", "127.0.0.1:{goes}"]')
        self.assertEqual(tool(server, "reload").returncode, 0)
        self.greeted(goes)

    def test_what_needs_a_restart_is_named_and_stays_as_it_was(self):
        server = self.start()
        set_key(server, "queue", 'directories = ["spool/elsewhere"]')
        answer = tool(server, "reload", "--json")
        self.assertEqual(answer.returncode, 0)
        self.assertEqual(json.loads(answer.stdout)["needs_restart"], ["queue.directories"])
        self.assertIn("needs_restart=queue.directories", server.log_lines(RELOADED)[-1])
        # Also for a process that starts now.
        os.kill(processes(server)["qmgr.0"]["pid"], signal.SIGKILL)
        postern.until(lambda: processes(server)["qmgr.0"]["restarts"] == 1, 20, "the restart")
        when_ready(server)
        self.greeted(server.smtp_port).mail("a@example.net", ["alice@example.org"], MESSAGE % b"same spool")
        server.wait_for_message("alice", b"Subject: same spool")
        self.assertFalse((server.directory / "spool" / "elsewhere").exists())

    def test_the_log_turns_to_json(self):
        server = self.start()
        set_key(server, "log", 'format = "json"')
        self.assertEqual(tool(server, "reload").returncode, 0)
        self.greeted(server.smtp_port).command("QUIT")
        postern.until(lambda: [line for line in server.log_lines("smtp.disconnect") if line.startswith("{")], 10,
                      "a line of JSON from smtpd")
        self.assertTrue([line for line in server.log_lines(RELOADED) if line.startswith("{")])

    def test_dns_settings_replace_the_resolver_in_order(self):
        server = self.start(dns="127.0.0.1:1")
        before = processes(server)["resolvd.0"]
        set_key(server, "dns", 'servers = ["127.0.0.1:2"]')
        self.assertEqual(tool(server, "reload").returncode, 0)
        postern.until(lambda: processes(server)["resolvd.0"]["pid"] not in (0, before["pid"]), 20, "a new resolvd")
        after = when_ready(server)["resolvd.0"]
        self.assertEqual(after["restarts"], 0, "nothing went wrong")
        self.assertFalse(server.log_lines("daemon.died") + server.log_lines("daemon.restarting"))


class Workers(WithServers):
    def counts(self, server, role, counter):
        found = processes(server)
        return [int(re.search(rf"\b{counter}=(\d+)", one["counters"]).group(1))
                for name, one in sorted(found.items()) if name.startswith(role + ".") and counter in one["counters"]]

    def test_every_smtpd_serves_whatever_their_number(self):
        for number in (1, 2, 4, 8):
            with self.subTest(workers=number):
                server = self.start(settings={"smtp.workers": number, "smtp.max_connections_per_client": 1000})
                # Held open, so that no worker can serve them all one after the other.
                clients = [self.greeted(server.smtp_port) for _ in range(8 * number)]
                def all_busy():
                    more = self.greeted(server.smtp_port)
                    clients.append(more)
                    counts = self.counts(server, "smtpd", "sessions")
                    return counts if len(counts) == number and min(counts) > 0 else None
                counts = postern.until(all_busy, 60, "sessions at every worker")
                self.assertEqual(sum(counts), len(clients))
                clients[-1].mail("a@example.net", ["alice@example.org"], MESSAGE % b"served")
                server.wait_for_message("alice", b"Subject: served")
                server.close()

    def test_every_smtpc_sends_whatever_their_number(self):
        import smtp_sink
        for number in (1, 2, 4, 8):
            with self.subTest(workers=number):
                sink = smtp_sink.Sink()
                self.addCleanup(sink.close)
                server = self.start(relay={"example.com": f"127.0.0.1:{sink.port}"},
                                    settings={"outbound.workers": number})
                client = self.greeted(server.smtp_port)
                for i in range(6 * number):
                    client.mail("a@example.net", [f"u{i}@example.com"], MESSAGE % b"out")
                sink.wait(6 * number)
                counts = postern.until(
                    lambda: (lambda c: c if sum(c) == 6 * number else None)(self.counts(server, "smtpc", "transferred")),
                    20, "the counters")
                self.assertEqual(len(counts), number)
                self.assertGreater(min(counts), 0, f"work is spread: {counts}")
                server.close()

    def test_a_reload_changes_their_number_and_no_session_ends(self):
        server = self.start(settings={"smtp.workers": 1, "smtp.max_connections_per_client": 1000})
        before = processes(server)
        first = self.greeted(server.smtp_port)
        set_key(server, "smtp", "workers = 3")
        set_key(server, "outbound", "workers = 2")
        answer = tool(server, "reload")
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        self.assertNotIn("restart", answer.stdout)
        found = when_ready(server, "smtpd.1", "smtpd.2", "smtpc.1")
        self.assertEqual({name: found[name]["pid"] for name in before}, {n: p["pid"] for n, p in before.items()})
        clients = []
        def all_busy():
            clients.append(self.greeted(server.smtp_port))
            return min(self.counts(server, "smtpd", "sessions")) > 0
        postern.until(all_busy, 60, "sessions at the new workers")
        set_key(server, "smtp", "workers = 1")
        set_key(server, "outbound", "workers = 1")
        self.assertEqual(tool(server, "reload").returncode, 0)
        # Their sessions go on; when the last has ended they go.
        self.assertEqual({c.command("NOOP").code for c in [first, *clients]}, {250})
        self.assertEqual({processes(server)[name]["state"] for name in ("smtpd.1", "smtpd.2")}, {"draining"})
        new = self.greeted(server.smtp_port)
        for client in clients:
            client.mail("a@example.net", ["alice@example.org"], MESSAGE % b"draining")
            self.assertEqual(client.command("QUIT").code, 221)
        new.mail("a@example.net", ["alice@example.org"], MESSAGE % b"after")
        new.command("QUIT")
        postern.until(lambda: not {"smtpd.1", "smtpd.2", "smtpc.1"} & set(processes(server)), 30,
                      "the end of the surplus workers")
        self.assertEqual(first.command("NOOP").code, 250)
        server.wait_for_message("alice", b"Subject: after")
        self.assertFalse(server.log_lines("daemon.died"))


class Restart(WithServers):
    def test_a_killed_daemon_comes_back_and_is_joined_again(self):
        server = self.start(settings={"smtp.workers": 2, "smtp.max_connections_per_client": 1000})
        session = self.greeted(server.smtp_port)
        for name in ("policyd.0", "qmgr.0", "locald.0", "smtpc.0", "resolvd.0", "bounced.0"):
            with self.subTest(name=name):
                os.kill(processes(server)[name]["pid"], signal.SIGKILL)
                postern.until(lambda name=name: processes(server)[name]["restarts"] == 1, 20, "its restart")
                when_ready(server, name)
                subject = f"after {name}".encode()
                postern.until(lambda subject=subject: self.accepts(session, subject), 20, "the session goes on")
                server.wait_for_message("alice", b"Subject: " + subject)
        found = processes(server)
        self.assertEqual([found[n]["restarts"] for n in ("smtpd.0", "smtpd.1", "master")], [0, 0, 0])

    def accepts(self, session, subject):
        replies = session.envelope("a@example.net", "alice@example.org")
        if [r.code for r in replies] == [250, 250] and session.content(MESSAGE % subject).code == 250:
            return True
        session.command("RSET")
        return False

    def test_one_smtpd_dies_and_the_sessions_of_the_other_go_on(self):
        server = self.start(settings={"smtp.workers": 2, "smtp.max_connections_per_client": 1000})
        sessions = []
        def both():
            sessions.append(self.greeted(server.smtp_port))
            found = processes(server)
            return all("sessions=0" not in found[n]["counters"] for n in ("smtpd.0", "smtpd.1"))
        postern.until(both, 30, "sessions at both")
        os.kill(processes(server)["smtpd.0"]["pid"], signal.SIGKILL)
        alive = []
        for session in sessions:
            try:
                alive.append(session.command("NOOP").code == 250)
            except (EOFError, OSError):
                alive.append(False)
        self.assertIn(True, alive)
        self.assertIn(False, alive)
        self.greeted(server.smtp_port).mail("a@example.net", ["alice@example.org"], MESSAGE % b"meanwhile")
        server.wait_for_message("alice", b"Subject: meanwhile")

    def test_each_death_in_a_row_waits_longer(self):
        server = self.start()
        for count in (1, 2, 3):
            os.kill(when_ready(server, "policyd.0")["policyd.0"]["pid"], signal.SIGKILL)
            postern.until(lambda count=count: processes(server)["policyd.0"]["restarts"] == count, 20, "the restart")
        when_ready(server, "policyd.0")
        delays = [float(re.search(r"delay_ms=([\d.]+)", line).group(1))
                  for line in server.log_lines("daemon.restarting", "policyd.0")]
        self.assertEqual(delays, [100, 200, 400])


class Stop(WithServers):
    quick = True

    def test_a_message_under_way_is_finished(self):
        server = self.start()
        client = self.greeted(server.smtp_port)
        idle = self.greeted(server.smtp_port)
        client.envelope("a@example.net", "alice@example.org")
        self.assertEqual(client.command("DATA").code, 354)
        client.send(b"Subject: under way\r\n\r\nfirst\r\n")
        os.kill(server.pid(), signal.SIGTERM)
        self.assertEqual(idle.reply().code, 421)
        os.kill(server.pid(), signal.SIGTERM)  # once is enough, twice is no harm
        client.send(b"last\r\n.\r\n")
        self.assertEqual(client.reply().code, 250)
        self.assertEqual(server.process.wait(30), 0)
        self.assertFalse((server.directory / "postern.pid").exists())
        server.start()
        server.wait_for_message("alice", b"last")

    def test_what_takes_too_long_is_cut_off_with_421(self):
        server = self.start(settings={"master.stop_timeout": "1s"})
        client = self.greeted(server.smtp_port)
        client.envelope("a@example.net", "alice@example.org")
        self.assertEqual(client.command("DATA").code, 354)
        client.send(b"Subject: never ends\r\n\r\n")
        os.kill(server.pid(), signal.SIGTERM)
        self.assertEqual([r.code for r in client.replies_until_close()], [421])
        self.assertEqual(server.process.wait(30), 0)

    def test_postern_stop_ends_it(self):
        server = self.start()
        daemons = server.children()
        self.assertEqual(tool(server, "stop").returncode, 0)
        self.assertEqual(server.process.wait(30), 0)
        self.assertFalse([pid for pid in daemons if postern.is_running(pid)])
        self.assertEqual(tool(server, "ps").returncode, 75)


class Master:
    """master itself, with an environment and descriptors of the test's making."""

    def __init__(self, test, settings="", as_user=None, directory=None, listen=None, instance=True):
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="postern-it-"))
        self.directory.chmod(0o755)
        test.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.port = postern.free_port()
        listen = f'["127.0.0.1:{self.port}"]' if listen is None else listen
        (self.directory / "postern.toml").write_text(
            f'hostname = "mail.example.net"\ndomains = ["example.org"]\nroot = "{self.directory}"\n'
            f'master.allow_missing = {json.dumps(list(kernel_layers.missing()))}\n{settings}\n'
            f'[local]\nusers = ["alice"]\n[smtp]\nlisten = {listen}\n[dns]\nservers = ["127.0.0.1:1"]\n')
        if as_user is not None:
            for path in (self.directory, self.directory / "postern.toml"):
                os.chown(path, as_user, as_user)
        self.prefix = [] if as_user is None else ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups"]
        self.arguments = ["--config", str(self.directory / "postern.toml")] + (["--instance"] if instance else [])
        self.test, self.process = test, None

    def start(self, environment=None, **options):
        self.process = subprocess.Popen(
            [*self.prefix, str(postern.BUILD / "daemons" / "master" / "master"), *self.arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, **options)
        self.test.addCleanup(self.close)
        return self

    def await_ready(self):
        line = self.process.stdout.readline()
        self.test.assertEqual(line, b"ready\n", self.process.stderr.read() if not line else "")
        return self

    def fails(self):
        """It ends by itself with status 1; what it said."""
        _, said = self.process.communicate(timeout=60)
        self.test.assertEqual(self.process.returncode, 1, said)
        return said.decode()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class ServiceManager(unittest.TestCase):
    def manager(self, abstract):
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.settimeout(30)
        if abstract:
            receiver.bind(f"\0postern-test-{os.getpid()}-{time.monotonic_ns()}")
            return receiver, "@" + receiver.getsockname()[1:].decode()
        directory = tempfile.mkdtemp(prefix="postern-it-")
        self.addCleanup(shutil.rmtree, directory)
        receiver.bind(directory + "/notify")
        return receiver, directory + "/notify"

    def test_it_hears_of_readiness_reload_life_and_stop(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                receiver, address = self.manager(abstract)
                master = Master(self).start({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}).await_ready()
                heard = []
                def next_but_watchdog():
                    while True:
                        heard.append(receiver.recv(4096).decode())
                        if heard[-1] != "WATCHDOG=1":
                            return heard[-1]
                self.assertEqual(next_but_watchdog(), "READY=1")
                heard.clear()
                for _ in range(3):  # it goes on by itself
                    self.assertEqual(receiver.recv(4096), b"WATCHDOG=1")
                # A daemon that hangs does not make it look as if master did.
                victim = processes(master)["policyd.0"]["pid"]
                os.kill(victim, signal.SIGSTOP)
                for _ in range(5):
                    self.assertEqual(receiver.recv(4096), b"WATCHDOG=1")
                os.kill(victim, signal.SIGCONT)
                # But if master hangs, it is silent.
                os.kill(master.process.pid, signal.SIGSTOP)
                receiver.settimeout(1.5)
                with self.assertRaises(socket.timeout):
                    while True:
                        receiver.recv(4096)
                os.kill(master.process.pid, signal.SIGCONT)
                receiver.settimeout(30)
                before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                master.process.send_signal(signal.SIGHUP)
                said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", next_but_watchdog())
                self.assertGreaterEqual(int(said.group(1)), before)
                self.assertLessEqual(int(said.group(1)), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
                self.assertEqual(next_but_watchdog(), "READY=1")
                master.process.terminate()
                self.assertEqual(next_but_watchdog(), "STOPPING=1")
                self.assertEqual(master.process.wait(30), 0)

    # Becomes the program with the sockets as 3, 4, ... and itself as LISTEN_PID, as systemd does.
    LAUNCH = ("import os, sys; n = int(sys.argv[1]); os.environ['LISTEN_PID'] = str(os.getpid()); "
              "os.environ['LISTEN_FDS'] = str(n); os.execv(sys.argv[2], sys.argv[2:])")

    def activate(self, master, sockets, names=None):
        fds = [os.dup2(one.fileno(), 200 + i) for i, one in enumerate(sockets)]
        def place():
            for i, fd in enumerate(fds):
                os.dup2(fd, 3 + i)
        environment = {} if names is None else {"LISTEN_FDNAMES": names}
        try:
            master.process = subprocess.Popen(
                [sys.executable, "-c", self.LAUNCH, str(len(fds)), str(postern.BUILD / "daemons" / "master" / "master"),
                 *master.arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, **environment}, preexec_fn=place, close_fds=False)
        finally:
            for fd in fds:
                os.close(fd)
        self.addCleanup(master.close)
        return master

    def listening(self, port):
        one = socket.socket()
        self.addCleanup(one.close)
        one.bind(("127.0.0.1", port))
        one.listen(16)
        return one

    def test_sockets_it_passed_are_served_and_stay_its_own(self):
        master = Master(self)
        ours = self.listening(master.port)
        self.activate(master, [ours]).await_ready()
        with smtp_client.Client(master.port) as client:
            client.hello()
            client.mail("a@example.net", ["alice@example.org"], MESSAGE % b"passed")
        master.process.terminate()
        self.assertEqual(master.process.wait(30), 0)
        # It still listens here: the next connection waits for the next start.
        with smtp_client.Client(master.port) as client:
            again = self.activate(Master.__new__(Master).like(master), [ours]).await_ready()
            self.assertEqual(client.hello().code, 250)
            again.process.terminate()
            self.assertEqual(again.process.wait(30), 0)

    def test_a_socket_for_another_address_is_refused_with_its_name(self):
        master, other = Master(self), postern.free_port()
        said = self.activate(master, [self.listening(other)], "smtp-in").fails()
        self.assertIn(f"socket activation: the service manager passed 127.0.0.1:{other}, which neither smtp.listen", said)

    def test_what_does_not_listen_is_refused_with_its_name(self):
        master = Master(self)
        one = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(one.close)
        one.bind(("127.0.0.1", master.port))
        said = self.activate(master, [self.listening(postern.free_port()), one], "good:bad").fails()
        self.assertIn("socket activation: descriptor 4 (bad): it is no stream socket that listens", said)


def _like(self, other):
    """Another start of the same server."""
    self.__dict__.update(other.__dict__)
    return self


Master.like = _like


class Start(WithServers):
    def test_ps_says_who_runs_how(self):
        server = self.start()
        found = processes(server)
        self.assertEqual(set(found), {"master", "smtpd.0", "policyd.0", "resolvd.0", "qmgr.0", "smtpc.0", "locald.0",
                                      "bounced.0"})
        for name, one in found.items():
            status = pathlib.Path(f"/proc/{one['pid']}/status").read_text()
            self.assertEqual(int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1)), one["uid"], name)
            self.assertIn(one["io"], ("epoll", "uring"), name)
            self.assertRegex(one["since"], r"^\d{4}-\d\d-\d\dT", name)
            self.assertEqual((one["state"], one["restarts"]), ("ready", 0), name)
            if name != "master":
                self.assertRegex(one["layers"], r"seccomp:\d+", name)
                self.assertRegex(status, r"Seccomp:\s+2\n", name)
        plain = tool(server, "ps")
        self.assertEqual(plain.returncode, 0)
        for word in ("PID", "UID", "SINCE", "RESTARTS", "IO", "smtpd.0", str(found["smtpd.0"]["pid"]), "seccomp:"):
            self.assertIn(word, plain.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_keeps_what_it_needs_and_gives_numbers_without_touching_passwd(self):
        before = [pathlib.Path(p).stat().st_mtime_ns for p in ("/etc/passwd", "/etc/group")]
        server = self.start(settings={"master.uid_base": 300000})
        found = processes(server)
        uids = [one["uid"] for name, one in found.items() if name != "master"]
        self.assertEqual(len(set(uids)), len(uids), "one uid each")
        self.assertTrue(all(300000 <= uid < 300064 for uid in uids), uids)
        status = pathlib.Path(f"/proc/{server.pid()}/status").read_text()
        kept = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 31
        self.assertEqual(int(re.search(r"CapEff:\s+(\w+)", status).group(1), 16) & ~kept, 0)
        self.assertEqual(int(re.search(r"CapBnd:\s+(\w+)", status).group(1), 16) & ~(kept & ~(1 << 10 | 1 << 31)), 0)
        self.greeted(server.smtp_port).mail("a@example.net", ["alice@example.org"], MESSAGE % b"as alice")
        server.wait_for_message("alice", b"Subject: as alice")
        self.assertEqual(before, [pathlib.Path(p).stat().st_mtime_ns for p in ("/etc/passwd", "/etc/group")])

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
    def test_without_root_everything_is_one_user(self):
        master = Master(self, as_user=65534).start().await_ready()
        found = processes(master)
        self.assertEqual({one["uid"] for one in found.values()}, {65534})
        with smtp_client.Client(master.port) as client:
            client.hello()
            client.mail("a@example.net", ["alice@example.org"], MESSAGE % b"unprivileged")
        mailbox = master.directory / "mail" / "alice" / "new"
        stored = postern.until(lambda: list(mailbox.iterdir()) if mailbox.is_dir() else [], 20, "the message")
        self.assertEqual(stored[0].stat().st_uid, 65534)

    def test_a_second_start_is_refused_and_harms_nothing(self):
        server = self.start()
        config = (server.directory / "postern.toml").read_bytes()
        for program in ([str(postern.BUILD / "tools" / "postern-instance"), str(server.directory), "--domain", "other.example"],
                        [str(postern.BUILD / "daemons" / "master" / "master"), "--config",
                         str(server.directory / "postern.toml"), "--instance"]):
            second = subprocess.run(program, capture_output=True, text=True, timeout=60)
            self.assertEqual(second.returncode, 1, second)
            self.assertRegex(second.stderr, rf"a server runs in \S+ already: process {server.pid()}\n")
        self.assertEqual((server.directory / "postern.toml").read_bytes(), config)
        self.assertEqual(when_ready(server)["master"]["pid"], server.pid())
        self.greeted(server.smtp_port).mail("a@example.net", ["alice@example.org"], MESSAGE % b"unharmed")
        server.wait_for_message("alice", b"Subject: unharmed")
        queue = tool(server, "queue", "list")
        self.assertEqual(queue.returncode, 0, queue.stderr)

    def test_what_a_killed_server_leaves_is_no_hindrance(self):
        server = self.start()
        run = server.directory / "run" / "postern"
        self.assertEqual(int((run / "master.pid").read_text()), server.pid())
        os.kill(server.pid(), signal.SIGKILL)  # master alone: the others end because it is gone
        server.process.wait()
        self.assertTrue((run / "master.sock").exists() and (server.directory / "postern.pid").exists())
        server.start()
        self.assertEqual(int((server.directory / "postern.pid").read_text()), server.process.pid)
        self.greeted(server.smtp_port)
        self.assertEqual(server.stop(), 0)
        self.assertEqual([path.name for path in run.iterdir()], [])

    def test_a_port_in_use_is_one_clear_error(self):
        master = Master(self)
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", master.port))
        taken.listen()
        self.assertEqual(master.start().fails(), f"listen on 127.0.0.1:{master.port}: Address already in use\n")

    def test_every_problem_of_the_file_is_a_line(self):
        master = Master(self, settings='smpt = 1\nio = "fast"')
        said = master.start().fails().splitlines()
        self.assertEqual(len(said), 2, said)
        for line in said:
            self.assertRegex(line, r"postern\.toml:\d+:\d+: ")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
    def test_a_root_that_cannot_be_used_is_said(self):
        parent = pathlib.Path(tempfile.mkdtemp(prefix="postern-it-"))
        self.addCleanup(shutil.rmtree, parent, ignore_errors=True)
        parent.chmod(0o755)
        config = parent / "postern.toml"
        def said_as_nobody(root):
            config.write_text(f'hostname = "mail.example.net"\ndomains = ["example.org"]\nroot = "{root}"\n'
                              '[smtp]\nlisten = []\n')
            config.chmod(0o644)
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                   str(postern.BUILD / "daemons" / "master" / "master"), "--config", str(config)],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done)
            return done.stderr
        self.assertEqual(said_as_nobody(parent / "missing"),
                         f"make directory {parent}/missing/run: Permission denied\n")
        (parent / "rootly" / "run" / "postern").mkdir(parents=True)
        self.assertEqual(said_as_nobody(parent / "rootly"),
                         f"directory {parent}/rootly/run/postern of user 0 cannot be written by user 65534: "
                         "Permission denied\n")
        (parent / "file").write_text("")
        self.assertEqual(said_as_nobody(parent / "file"), f"make directory {parent}/file/run: Not a directory\n")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_spool_of_another_user_is_refused(self):
        master = Master(self)
        spool = master.directory / "spool" / "postern"
        spool.mkdir(parents=True)
        os.chown(spool, 12345, 12345)
        self.assertRegex(master.start().fails(), rf"^spool {spool} belongs to user 12345, but the queue manager is user \d+: ")

    def test_a_daemon_that_cannot_start_ends_the_start(self):
        master = Master(self)
        spool = master.directory / "spool" / "postern"
        spool.mkdir(parents=True)
        (spool / "format").mkdir()  # recovery cannot read that
        (spool / "log").mkdir()
        text = (master.directory / "postern.toml").read_text()
        (master.directory / "postern.toml").write_text(text + 'trust_anchor = "/nonexistent/root.key"\n')
        said = master.start().fails()
        self.assertIn("/nonexistent/root.key", said)
        self.assertIn("resolvd.0 cannot start (exit status 1); the log says more: ", said)

    def test_users_keep_their_mailboxes_when_the_list_changes(self):
        server = self.start(users=("alice", "bob"))
        self.greeted(server.smtp_port).mail("a@example.net", ["bob@example.org"], MESSAGE % b"first")
        server.wait_for_message("bob", b"Subject: first")
        owner = server.mailbox("bob").stat().st_uid
        edit(server, ('"alice", ', ""))
        self.assertEqual(tool(server, "reload").returncode, 0)
        self.greeted(server.smtp_port).mail("a@example.net", ["bob@example.org"], MESSAGE % b"second")
        server.wait_for_message("bob", b"Subject: second")
        self.assertEqual(server.mailbox("bob").stat().st_uid, owner)


if __name__ == "__main__":
    unittest.main()
