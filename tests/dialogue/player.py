"""Plays dialogue cases against a server and says how it answered."""
import concurrent.futures
import dataclasses
import errno
import itertools
import os
import pathlib
import re
import secrets
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import smtp_client  # noqa: E402  pylint: disable=wrong-import-position

import receive_queue  # noqa: E402  pylint: disable=wrong-import-position
import script  # noqa: E402  pylint: disable=wrong-import-position

OK, ALSO, DIFFERS, SKIPPED = "ok", "also", "DIFFERS", "skipped"
THREADS = 8  # below the connections a server lets one client have
POLL_SECONDS = 0.05
UNREAD_SECONDS = 0.5  # a server may be busy, and need not read before it has answered


@dataclasses.dataclass
class Target:
    """A server, and the addresses that mean something to it."""

    host: str
    port: int
    domain: str = "example.org"
    recipient: str = "alice@example.org"
    recipient2: str = "bob@example.org"
    unknown: str = ""
    outside: str = "someone@outside.example"
    sender: str = "sender@client.example"
    seconds: float = 30  # for one reply
    strict: bool = False  # it is ours: nothing but what is expected first, all extensions
    servers: tuple = ("default",)  # settings it was started with

    def __post_init__(self):
        self.unknown = self.unknown or f"no-such-user-here@{self.domain}"
        self.names = {
            b"$RCPT2": self.recipient2, b"$RCPT": self.recipient, b"$DOMAIN": self.domain,
            b"$LOCAL": self.recipient.rpartition("@")[0], b"$UNKNOWN": self.unknown,
            b"$OUTSIDE": self.outside, b"$SENDER": self.sender}


@dataclasses.dataclass
class Outcome:
    """How one play went. `heard` is a line for each reply, whatever came."""

    case: script.Case
    play: script.Play
    result: str
    why: str = ""
    token: str = ""
    heard: list = dataclasses.field(default_factory=list)
    at_step: int = -1  # the step that was answered otherwise
    codes: tuple = ()  # the replies to that step

    @property
    def name(self):
        return self.case.name + (f" [{self.play.label}]" if self.play.label else "")


class Mismatch(Exception):
    """An answer that is not expected."""


class Closed(Exception):
    """The server closed the connection behind its last answer, and might; its argument: OK or ALSO."""


def send_cut(client, octets, cut):
    """Sends in pieces, each when the one before has been read, so that the server meets the cut."""
    pieces = [octets[:cut], octets[cut:]] if cut > 0 else [octets[i:i + 1] for i in range(len(octets))]
    for number, piece in enumerate(pieces):
        if number and piece:
            deadline = time.monotonic() + UNREAD_SECONDS
            while receive_queue.unread_octets(client.socket) and time.monotonic() < deadline:
                os.sched_yield()
        client.send(piece)


def fits(pattern, reply, strict):
    """Whether a reply (None: the connection was closed) is what the pattern says."""
    if pattern == "close" or reply is None:
        return pattern == "close" and reply is None
    codes, _, enhanced = pattern.partition(" ")
    if not any(re.fullmatch(code.replace("x", r"\d"), str(reply.code)) for code in codes.split("|")):
        return False
    if not strict or not enhanced:
        return True
    return reply.enhanced == ("" if enhanced == "-" else enhanced)


class Dialogue:
    """One play on one connection."""

    numbers = itertools.count(1)
    run = secrets.token_hex(4)

    def __init__(self, target, case, play):
        self.target, self.case, self.play = target, case, play
        self.outcome = Outcome(case, play, OK, token=f"t{self.run}x{next(self.numbers)}x")
        self.extensions = {}
        self.texts = []  # of the last reply to each step
        self.closed = False
        self.hello_sent = True  # in what was sent last: its answer has no enhanced code
        self.may_close = None  # OK or ALSO: what it is if the server hangs up behind its last answer

    def fill(self, octets):
        names = dict(self.target.names)
        header = script.HEADER.decode().replace("$TOKEN", self.outcome.token)
        names[b"$HEADER"] = f"BDAT {len(header)}\r\n{header}"
        names[b"$TOKEN"] = self.outcome.token
        size = self.extensions.get("SIZE", "")
        names[b"$SIZE"] = size
        names[b"$TOOBIG"] = str(int(size) + 1) if size.isdigit() else ""
        for name, value in names.items():
            octets = octets.replace(name, value.encode())
        return octets

    def read(self, client):
        """The next reply; None at the end of the connection."""
        try:
            reply = client.reply()
        except (EOFError, ConnectionError):
            self.closed = True
            self.outcome.heard.append("(closed)")
            return None
        except TimeoutError:
            self.outcome.heard.append("(silence)")
            raise Mismatch(f"no reply in {self.target.seconds:.0f} s") from None
        self.outcome.heard.append(f"{reply.code} {reply.lines[-1]}".rstrip())
        self.check_form(reply)
        return reply

    def check_form(self, reply):
        """RFC 2034 §4: every 2yz, 4yz, 5yz but those to the hello, with one code in all its lines."""
        if "ENHANCEDSTATUSCODES" not in self.extensions or reply.code // 100 == 3:
            return
        if self.hello_sent and reply.code == 250:
            return
        found = {smtp_client.Reply(reply.code, [line]).enhanced for line in reply.lines}
        if len(found) != 1 or not next(iter(found)).startswith(str(reply.code)[0] + "."):
            raise Mismatch(f"RFC 2034 §4: enhanced codes {sorted(found)} in a reply {reply.code}")

    def send(self, client, octets, cut=0):
        self.hello_sent = octets[:5].upper() in (b"EHLO ", b"HELO ")
        try:
            if cut:
                send_cut(client, octets, cut)
            else:
                client.send(octets)
        except (ConnectionError, BrokenPipeError):
            pass  # the replies that came before tell more
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.ESHUTDOWN):
                raise

    def expect(self, client, step):
        """Reads the replies to a step; True if they are those that come first.

        The shortest of the allowed answers that fits is taken. Where it could go on with the end of
        the connection, that is seen when the next step meets a closed one.
        """
        ways = [step.expect] + ([] if self.target.strict else list(step.also))
        heard = []
        while all(len(way) > len(heard) for way in ways):
            reply = self.read(client)
            if reply is None and not heard and self.may_close is not None:
                raise Closed(self.may_close)
            heard.append(reply)
            self.outcome.codes = tuple("close" if one is None else str(one.code) for one in heard)
            left = [way for way in ways if fits(way[len(heard) - 1], reply, self.target.strict)]
            if not left:
                raise Mismatch(f"expected {' or '.join(', '.join(way) for way in ways)}; heard "
                               f"{', '.join(self.outcome.heard[-len(heard):])}")
            ways = left
        going_on = [way for way in ways if way[len(heard):] == ("close",)]
        self.may_close = (OK if going_on[0] is step.expect else ALSO) if going_on else None
        self.check_text(step, next((one for one in reversed(heard) if one), None))
        return step.expect in ways and len(step.expect) == len(heard)

    def check_text(self, step, reply):
        text = reply.text if reply else ""
        for words in step.has:
            words = self.fill(words.encode()).decode()
            if words not in text:
                raise Mismatch(f"{words!r} is not in {text!r}")
        for words in step.lacks:
            if words in text:
                raise Mismatch(f"{words!r} is in {text!r}")
        if step.lines and len(reply.lines) != step.lines:
            raise Mismatch(f"{len(reply.lines)} lines instead of {step.lines}")
        if step.like and self.texts[-step.like] != (reply.code, text):
            raise Mismatch(f"{self.texts[-step.like]} and {(reply.code, text)} differ")
        self.texts.append((reply.code if reply else 0, text))

    def begin(self, client):
        """The greeting and hello; what EHLO offers."""
        if self.play.hello == script.HELLO_SILENT:
            return
        greeting = self.read(client)
        if greeting is None or greeting.code != 220:
            raise Mismatch("no greeting")
        if self.play.hello == script.HELLO_NONE:
            return
        self.send(client, f"{self.play.hello} client.example\r\n".encode())
        reply = self.read(client)
        if reply is None or reply.code != 250:
            raise Mismatch(f"{self.play.hello} was refused")
        if self.play.hello == script.HELLO_EHLO:
            for line in reply.lines[1:]:
                keyword, _, value = line.partition(" ")
                self.extensions[keyword.upper()] = value
        self.outcome.heard.clear()

    def missing(self):
        lacking = [need for need in self.case.needs
                   if need not in self.extensions and not (need == "SIZE n" and
                                                           self.extensions.get("SIZE", "0") not in ("", "0"))]
        return ", ".join(lacking)

    def perform(self, client):
        self.begin(client)
        if self.play.hello == script.HELLO_EHLO and self.missing():
            self.outcome.result = DIFFERS if self.target.strict else SKIPPED
            self.outcome.why = f"does not offer {self.missing()}"
            return
        for number, step in enumerate(self.play.steps):
            self.outcome.at_step = number
            self.send(client, self.fill(step.octets), step.cut)
            if not self.expect(client, step):
                self.outcome.result = ALSO
                self.outcome.why = f"step {number + 1}: {', '.join(self.outcome.codes)}"
                if self.closed or "close" in step.expect and self.may_close is None:
                    return
        if not self.play.leaves and not self.closed:
            # Whatever was answered once too often shows here.
            self.outcome.at_step = len(self.play.steps)
            self.send(client, b"QUIT\r\n")
            self.expect(client, script.QUIT)

    def run_it(self):
        outcome = self.outcome
        try:
            with smtp_client.Client(self.target.port, self.target.host, self.target.seconds) as client:
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.perform(client)
        except Closed as closed:
            outcome.result = ALSO if ALSO in (outcome.result, *closed.args) else OK
        except (Mismatch, AssertionError, OSError) as error:
            outcome.result, outcome.why = DIFFERS, f"step {outcome.at_step + 1}: {error}"
        return outcome


def play_all(target, cases, note=lambda outcome: None):
    """Plays the cases that the target's settings allow, several at once; outcomes in their order."""
    todo = [(one, play) for one in cases if one.server in target.servers for play in one.plays]
    lock = threading.Lock()

    def perform(pair):
        outcome = Dialogue(target, *pair).run_it()
        with lock:
            note(outcome)
        return outcome

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(perform, todo))


class Mailbox:
    """The messages in a Maildir, by the tokens they hold; each file is read once."""

    def __init__(self, path):
        self.path, self.seen, self.by_token = pathlib.Path(path), set(), {}

    def look(self):
        for part in ("new", "cur"):
            folder = self.path / part
            for file in folder.iterdir() if folder.is_dir() else ():
                if file.name.partition(":")[0] in self.seen:
                    continue
                self.seen.add(file.name.partition(":")[0])
                message = file.read_bytes().replace(b"\r\n", b"\n")
                for token in set(re.findall(rb"t[0-9a-f]{8}x\d+x", message)):
                    self.by_token.setdefault(token.decode(), []).append(message)


def check_maildir(outcomes, path, seconds):
    """Marks the outcomes whose message did not reach the Maildir of $RCPT as it was sent.

    Every accepted message must be there once and end in what was sent; a Maildir has the line ends
    of the system. A message that must not have come is missed in the end, when all others are there.
    """
    mailbox = Mailbox(path)
    wanted = [one for one in outcomes if one.result == OK and one.play.stores is not None]
    deadline = time.monotonic() + seconds
    while True:
        mailbox.look()
        if all(one.token in mailbox.by_token for one in wanted) or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    for outcome in wanted:
        copies = mailbox.by_token.get(outcome.token, [])
        content = outcome.play.stores.replace(b"$TOKEN", outcome.token.encode()).replace(b"\r\n", b"\n")
        if len(copies) != 1:
            outcome.result, outcome.why = DIFFERS, f"{len(copies)} copies were delivered"
        elif not copies[0].endswith(b"\n" + content):
            outcome.result, outcome.why = DIFFERS, f"{content[-300:]!r} became {copies[0][-300:]!r}"
    for outcome in outcomes:
        if outcome.result == OK and outcome.play.stores_nothing and outcome.token in mailbox.by_token:
            outcome.result = DIFFERS
            outcome.why = f"it was delivered: {mailbox.by_token[outcome.token][0][-300:]!r}"
