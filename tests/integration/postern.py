"""Starts and stops real servers of ours, each below a directory of its own, on loopback only."""
import itertools
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
READY_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.05  # between two looks at something that is about to change

sys.path.insert(0, str(TOP / "tools"))
import kernel_layers  # noqa: E402  (from there)

_given = set()


def free_port():
    """A port of 127.0.0.1 nobody listens on, TCP and UDP, never the same twice in one run."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def somebody_listens(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), timeout=1).close()
        return True
    except OSError:
        return False


def until(condition, seconds=30, what="the condition"):
    """Waits until `condition()` is true and returns its value; AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(POLL_SECONDS)


def is_running(pid):
    """False for a process that is gone and for one that nobody has reaped yet."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Instance:
    """One server under `directory`; without one, under a fresh directory that close() removes.

    domains, users, relay_for: lists; relay: {domain: "host:port"}; settings: {key: value};
    io: "auto", "uring" or "epoll" (or POSTERN_TEST_IO of the environment). What layers of the
    confinement this machine lacks may be missing, unless `settings` say which may. The ports stay the
    same over start(), stop() and start() again. Usable in a `with` statement, which starts it.
    """

    def __init__(self, directory=None, *, domains=("example.org",), users=("alice", "bob"),
                 relay=None, relay_for=(), smarthost=None, dns=None, retry=None, io=None,
                 settings=None, listeners=1):
        self.owns_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="postern-it-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.owns_directory:
            self.directory.chmod(0o755)  # daemons with uids of their own pass through it
        self.smtp_ports = [free_port() for _ in range(listeners)]
        self.arguments = list(itertools.chain(
            *(["--smtp", f"127.0.0.1:{port}"] for port in self.smtp_ports),
            *(["--domain", domain] for domain in domains),
            *(["--user", user] for user in users),
            *(["--relay", f"{domain}={hop}"] for domain, hop in (relay or {}).items()),
            *(["--relay-for", network] for network in relay_for),
            *(["--set", f"{key}={value}"] for key, value in (settings or {}).items())))
        io = io or os.environ.get("POSTERN_TEST_IO")
        for option, value in (("--smarthost", smarthost), ("--dns", dns), ("--retry", retry),
                              ("--io", io)):
            if value is not None:
                self.arguments += [option, str(value)]
        self.wrapper = []  # a command in front of the server's
        self.process = None

    @property
    def smtp_port(self):
        return self.smtp_ports[0]

    @property
    def output_path(self):
        """What the server printed, of every start."""
        return self.directory.with_name(self.directory.name + ".out")

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts it and returns once it has printed `ready`."""
        if self.process and self.process.poll() is None:
            raise AssertionError("it is running already")
        if self.process:
            self.process.stdout.close()
        given = any("master.allow_missing=" in argument for argument in self.arguments)
        with open(self.output_path, "ab") as sink:
            self.process = subprocess.Popen(
                [*self.wrapper, str(BUILD / "tools" / "postern-instance"), str(self.directory),
                 *self.arguments, *([] if given else kernel_layers.arguments())],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink)
        self._await_ready()
        return self

    def _await_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        pipe, seen = self.process.stdout.fileno(), b""
        while b"ready" not in seen.split(b"\n")[:-1]:
            left = deadline - time.monotonic()
            readable, _, _ = select.select([pipe], [], [], max(left, 0))
            octets = os.read(pipe, 4096) if readable else b""
            if not octets:
                self.kill()
                raise AssertionError(f"no `ready` in {READY_SECONDS} s; it printed: {seen!r}; "
                                     f"on stderr: {self.output()}; log: {self.log()}")
            seen += octets
        # The pipe stays open, so that a later line of output meets a reader.

    def pid(self):
        """The master's process id as postern.pid says."""
        return int((self.directory / "postern.pid").read_text())

    def children(self):
        """{process id: command name} of all that runs below the process started here."""
        parents, names = {}, {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text("utf-8", "replace")
            except OSError:
                continue  # gone since the listing
            state, parent = text.rpartition(")")[2].split()[:2]
            if state not in "ZX":
                pid = int(stat.parent.name)
                parents[pid] = int(parent)
                names[pid] = text[text.index("(") + 1:text.rindex(")")]
        found, generation = {}, {self.process.pid}
        while generation:
            generation = {pid for pid, parent in parents.items() if parent in generation}
            found.update((pid, names[pid]) for pid in generation)
        return found

    def stop(self):
        """Asks it to stop (SIGTERM) and returns its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {STOP_SECONDS} s after SIGTERM") from None

    def kill(self):
        """Ends it and its daemons with SIGKILL, as a power cut would."""
        victims = list(self.children())
        self.process.kill()
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        until(lambda: not any(is_running(pid) for pid in victims), 10, "the end of all daemons")

    def close(self):
        """Stops it if it runs, and removes a directory that was made here."""
        if self.process:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self.kill()
            self.process.stdout.close()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.output_path.unlink(missing_ok=True)

    def output(self):
        return self.output_path.read_text("utf-8", "replace") if self.output_path.exists() else ""

    def log(self):
        """The log file's text so far."""
        path = self.directory / "log" / "postern.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def log_lines(self, *words):
        """The log's lines that hold all of `words`."""
        return [line for line in self.log().splitlines() if all(word in line for word in words)]

    def mailbox(self, user):
        return self.directory / "mail" / user

    def messages(self, user):
        """The messages in the user's Maildir as bytes, in no particular order."""
        found = []
        for part in ("new", "cur"):
            folder = self.mailbox(user) / part
            if folder.is_dir():
                found += [file.read_bytes() for file in folder.iterdir()]
        return found

    def wait_for_messages(self, user, count=1, seconds=30):
        """The user's messages, once there are at least `count`."""
        until(lambda: len(self.messages(user)) >= count, seconds,
              f"{count} messages for {user} (there are {len(self.messages(user))})")
        return self.messages(user)

    def wait_for_message(self, user, octets, seconds=30):
        """The first of the user's messages that holds `octets`, once there is one."""
        found = until(lambda: [m for m in self.messages(user) if octets in m], seconds,
                      f"a message for {user} with {octets!r}; log: {self.log()[-2000:]}")
        return found[0]
