"""The servers that are compared, each started under a directory of its own on a free port of loopback."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tools"))
import kernel_layers  # noqa: E402  (from there)

BUILD = Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
MAILBOXES = 20  # u0 to u19 at local.example
LARGE = 25_000_000  # octets of a large message
NOBODY_LISTENS = 9  # port


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


class Postern:
    """Mail for sink.example waits in the queue, or with `relay` goes to the sink."""

    name = "postern"

    def __init__(self, directory, sink_port=None, relay=False, settings=()):
        self.directory = Path(directory)
        self.port = free_port()
        # Where nothing is to be delivered, the next hop refuses and is left alone from then on.
        target = sink_port if relay else NOBODY_LISTENS
        self.command = [
            BUILD / "tools" / "postern-instance", directory, "--smtp", f"127.0.0.1:{self.port}",
            "--domain", "local.example", "--relay", f"sink.example=127.0.0.1:{target}", "--retry", "3600",
            *(option for number in range(MAILBOXES) for option in ("--user", f"u{number}")),
            "--set", "smtp.max_connections_per_client=30000", "--set", "smtp.max_connections=30000",
            "--set", "smtp.max_messages_per_connection=0",
            *(option for setting in settings for option in ("--set", setting)), *kernel_layers.arguments()]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("postern did not start")
        self.root = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def tool(self, *arguments):
        return subprocess.run([BUILD / "tools" / "postern", "-c", self.directory / "postern.toml", *arguments],
                              capture_output=True, text=True, check=True).stdout

    def is_drained(self):
        return self.tool("queue", "list", "--limit", "1").strip().endswith("0 active, 0 deferred, 0 held")

    def mailboxes(self):
        return self.directory / "mail"


class Postfix:
    """Debian's, with its defaults and a configuration directory of its own."""

    name = "postfix"

    def __init__(self, directory, sink_port=None, relay=False):
        self.directory = Path(directory)
        self.port = free_port()
        self.config = self.directory / "etc"
        self.queue, data = self.directory / "queue", self.directory / "data"
        for path in (self.config, self.queue, data, self.mailboxes()):
            path.mkdir(parents=True)
        shutil.chown(data, "postfix", "postfix")
        shutil.chown(self.mailboxes(), "nobody")
        boxes = " ".join(f"{{u{number}@local.example = u{number}/}}" for number in range(MAILBOXES))
        hold = "" if relay else ("smtpd_recipient_restrictions = check_recipient_access inline:{sink.example=HOLD}, "
                                 "permit_mynetworks, reject\n")
        (self.config / "main.cf").write_text(
            "compatibility_level = 3.6\nmyhostname = mail.bench.example\nmydestination = bench.example\n"
            f"queue_directory = {self.queue}\ndata_directory = {data}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
            "mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nmaillog_file =\n"
            f"message_size_limit = {2 * LARGE}\nvirtual_mailbox_limit = 0\n"
            f"transport_maps = inline:{{sink.example=smtp:[127.0.0.1]:{sink_port or NOBODY_LISTENS}}}\n"
            "virtual_mailbox_domains = local.example\n"
            f"virtual_mailbox_base = {self.mailboxes()}\nvirtual_mailbox_maps = inline:{{{boxes}}}\n"
            "virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n" + hold)
        services = Path("/usr/share/postfix/master.cf.dist").read_text()
        services = re.sub(r"^smtp      inet  n       -       y", f"127.0.0.1:{self.port} inet  n       -       n", services, flags=re.M)
        (self.config / "master.cf").write_text(re.sub(r"^(\S+\s+\S+\s+\S+\s+\S+\s+)y", r"\1n", services, flags=re.M))
        subprocess.run(["postfix", "-c", self.config, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)
        self.root = int((self.queue / "pid" / "master.pid").read_text())

    def stop(self):
        subprocess.run(["postfix", "-c", self.config, "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_drained(self):
        return not any(files for queue in ("incoming", "active", "maildrop", "deferred")
                       for _, _, files in os.walk(self.queue / queue))

    def mailboxes(self):
        return self.directory / "mail"


class LimitModel:
    """limit_model.cc: what this machine can do."""

    name = "limit"

    def __init__(self, directory, sink_port=None, relay=False):
        self.port = free_port()
        self.process = subprocess.Popen([BUILD / "tests" / "bench" / "limit_model", str(self.port), Path(directory) / "store"],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("the limit model did not start")
        self.root = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()


class Sink:
    """Postfix's smtp-sink: takes everything, keeps nothing."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["smtp-sink", "-u", "postfix", f"127.0.0.1:{self.port}", "1000"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self):
        self.process.kill()
        self.process.wait()
