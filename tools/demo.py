#!/usr/bin/env python3
"""The demonstration behind `./dev demo`: the real server on loopback.

A mail comes in by SMTP, is queued durably and delivered into a Maildir; another is relayed to a second
server, found through a real DNS server (nsd). Each step is shown with the process that did it and that
process's sandbox. Exit status 0 if every step happened, 1 if not; --keep leaves everything running.
"""

import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kernel_layers

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
LIMIT_SECONDS = 30
BOLD, DIM, GREEN, RED, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5)


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n{BOLD}{text}{PLAIN}")


def free_port(address="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def until(what, seconds=LIMIT_SECONDS):
    """Waits until what() is true; its value, or None when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    return None


class Demo:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.processes = []  # (name, Popen), ended in reverse order
        self.failed = []

    def check(self, ok, text):
        say(f"  {GREEN + 'ok' if ok else RED + 'MISSING'}{PLAIN}  {text}")
        if not ok:
            self.failed.append(text)
        return ok

    # Servers.

    def start_dns(self):
        """An authoritative server for remote.example, whose mail goes to mx.remote.example."""
        program = shutil.which("nsd") or "/usr/sbin/nsd"
        if not os.access(program, os.X_OK):
            say("nsd is not installed: run ./dev deps build")
            return None
        where = self.directory / "dns"
        where.mkdir()
        port = free_port()
        (where / "remote.example").write_text(
            "$ORIGIN remote.example.\n$TTL 60\n"
            "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n@ MX 10 mx\n"
            "ns A 127.0.0.1\nmx A 127.0.0.2\n")
        (where / "nsd.conf").write_text(
            f"server:\n ip-address: 127.0.0.1@{port}\n do-ip6: no\n username: \"\"\n chroot: \"\"\n"
            f" zonesdir: \"{where}\"\n database: \"\"\n pidfile: \"{where}/nsd.pid\"\n"
            f" xfrdfile: \"{where}/xfrd.state\"\n zonelistfile: \"{where}/zone.list\"\n logfile: \"{where}/nsd.log\"\n"
            "remote-control:\n control-enable: no\n"
            "zone:\n name: remote.example\n zonefile: remote.example\n")
        process = subprocess.Popen([program, "-d", "-c", str(where / "nsd.conf")],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(("nsd", process))
        return port

    def start_server(self, name, arguments):
        directory = self.directory / name
        process = subprocess.Popen([str(BUILD / "tools" / "postern-instance"), str(directory), *arguments,
                                    "--set", "log.format=json", *kernel_layers.arguments()], stdout=subprocess.PIPE, text=True)
        self.processes.append((name, process))
        ready = process.stdout.readline().strip() == "ready"
        return directory, ready

    def stop(self):
        for _, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process in reversed(self.processes):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # What is shown.

    @staticmethod
    def events(directory):
        """The log of a server, parsed."""
        log = directory / "log" / "postern.log"
        found = []
        for line in log.read_text().splitlines() if log.exists() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass  # the line is being written
        return found

    def show_processes(self, directory):
        for event in self.events(directory):
            if event.get("event") != "daemon.ready":
                continue
            pid = event.get("child")
            try:
                status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            except OSError:
                continue
            say(f"  {event['role']:<12} pid {pid:<7} uid {status['Uid'].split()[0]:<6} "
                f"seccomp mode {status['Seccomp']}  {DIM}{event.get('io')}: {event.get('sandbox')}{PLAIN}")

    def show_story(self, directory, queue_id):
        """Each step of one message, with the process that took it."""
        for event in self.events(directory):
            if event.get("id") != queue_id and event.get("about") != queue_id:
                continue
            who = f"{event.get('daemon', '?')}[{event.get('pid', '?')}]"
            rest = " ".join(f"{key}={value}" for key, value in event.items()
                            if key not in ("time", "daemon", "index", "pid", "severity", "event", "id"))
            say(f"  {who:<20} {event['event']:<20} {DIM}{rest}{PLAIN}")

    def send(self, port, recipient, subject):
        """Sends a mail by SMTP; its queue id, or None."""
        text = (f"From: Ada <ada@client.example>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n\r\n"
                "Mail in, mail out.\r\n")
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=LIMIT_SECONDS) as client:
            client.ehlo()
            client.mail("ada@client.example")
            client.rcpt(recipient)
            code, reply = client.data(text)
        say(f"  {DIM}{code} {reply.decode(errors='replace')}{PLAIN}")
        return reply.decode(errors="replace").split()[-1] if code == 250 else None

    @staticmethod
    def delivered(directory, user, subject):
        for file in (directory / "mail" / user / "new").glob("*"):
            if f"Subject: {subject}" in file.read_text(errors="replace"):
                return file
        return None

    def has_event(self, directory, queue_id, name):
        return until(lambda: any(e.get("id") == queue_id and e.get("event") == name for e in self.events(directory)))

    def run(self):
        heading("Starting a DNS server, a remote mail server, and the server itself")
        dns = self.start_dns()
        if not self.check(dns is not None, "nsd serves remote.example"):
            return
        remote_port = free_port("127.0.0.2")
        remote, ready = self.start_server("remote", ["--smtp", f"127.0.0.2:{remote_port}", "--domain", "remote.example", "--user", "grace"])
        if not self.check(ready, f"remote server on 127.0.0.2:{remote_port}, mailbox grace@remote.example"):
            return
        port = free_port()
        server, ready = self.start_server("server", [
            "--smtp", f"127.0.0.1:{port}", "--domain", "local.example", "--user", "alan", "--relay-for", "127.0.0.0/8",
            "--dns", f"127.0.0.1:{dns}", "--retry", "2", "--set", f"outbound.port={remote_port}",
            "--set", "dns.insecure_domains=remote.example"])
        if not self.check(ready, f"server on 127.0.0.1:{port}, mailbox alan@local.example"):
            return
        self.port, self.server = port, server

        heading("Its processes, each with its own confinement")
        self.show_processes(server)

        heading("A mail for alan@local.example: in by SMTP, into the queue, into his Maildir")
        queue_id = self.send(port, "alan@local.example", "to a mailbox")
        self.check(queue_id is not None, "accepted after the commit to disk (250)")
        file = until(lambda: self.delivered(server, "alan", "to a mailbox"))
        removed = queue_id and self.has_event(server, queue_id, "message.removed")
        self.show_story(server, queue_id)
        self.check(file is not None, f"delivered: {file}")
        self.check(bool(removed), "and gone from the queue")

        heading("A mail for grace@remote.example: relayed to the host its MX record names")
        queue_id = self.send(port, "grace@remote.example", "to another server")
        self.check(queue_id is not None, "accepted after the commit to disk (250)")
        file = until(lambda: self.delivered(remote, "grace", "to another server"))
        removed = queue_id and self.has_event(server, queue_id, "message.removed")
        self.show_story(server, queue_id)
        self.check(file is not None, f"delivered at the remote server: {file}")
        self.check(bool(removed), "and gone from the queue")

        heading("A mail for somebody else's domain from outside would be refused; an unknown user is:")
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=LIMIT_SECONDS) as client:
            client.ehlo()
            client.mail("ada@client.example")
            code, reply = client.rcpt("nobody@local.example")
        self.check(code == 550, f"{code} {reply.decode(errors='replace')}")


def main():
    keep = "--keep" in sys.argv[1:]
    unknown = [argument for argument in sys.argv[1:] if argument != "--keep"]
    if unknown:
        say(f"demo: unknown argument {unknown[0]}; it takes --keep alone")
        return 2
    directory = tempfile.mkdtemp(prefix="postern-demo-")
    os.chmod(directory, 0o755)
    demo = Demo(directory)
    try:
        demo.run()
        if keep and not demo.failed:
            heading("Everything keeps running; Ctrl-C ends it")
            say(f"  swaks --server 127.0.0.1:{demo.port} --to alan@local.example")
            say(f"  {BUILD}/tools/postern -c {demo.server}/postern.toml ps")
            say(f"  tail -f {demo.server}/log/postern.log")
            try:
                signal.pause()
            except KeyboardInterrupt:
                pass
    except (OSError, smtplib.SMTPException) as error:
        demo.check(False, f"{type(error).__name__}: {error}")
    finally:
        demo.stop()
        if demo.failed:
            say(f"\n{RED}Not everything happened{PLAIN}: {len(demo.failed)} missing; the logs are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
            say(f"\n{GREEN}Every step happened.{PLAIN}")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
