"""A client that sends exactly the octets it is told, for dialogues smtplib would tidy up."""
import re
import socket


class Reply:
    """One SMTP reply: `code`, `lines` without code and separator, `text` of all lines."""

    def __init__(self, code, lines):
        self.code = code
        self.lines = lines

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        """The enhanced status code (RFC 3463) of the last line, or ""."""
        match = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?= |$)", self.lines[-1])
        return match.group(0) if match else ""

    def __repr__(self):
        return f"Reply({self.code}, {self.lines!r})"


class Client:
    """Connects at once. Every read is bounded by `seconds`; a closed connection is an EOFError."""

    def __init__(self, port, host="127.0.0.1", seconds=30):
        self.socket = socket.create_connection((host, port), timeout=seconds)
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def reply(self):
        lines = []
        while True:
            line = self.reader.readline(8192)
            if not line:
                raise EOFError("the server closed the connection")
            match = re.fullmatch(rb"([2-5]\d\d)([ -])(.*)\r\n|([2-5]\d\d)\r\n", line)
            if not match:
                raise AssertionError(f"not a reply line: {line!r}")
            code = int(match.group(1) or match.group(4))
            lines.append((match.group(3) or b"").decode("utf-8", "replace"))
            if match.group(2) != b"-":
                return Reply(code, lines)

    def replies_until_close(self):
        """All further replies; the peer must close, or socket.timeout comes up."""
        replies = []
        while True:
            try:
                replies.append(self.reply())
            except (EOFError, ConnectionError):
                return replies

    def command(self, line):
        """Sends `line` with CRLF and returns its reply."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def hello(self, name="client.example.net"):
        """Reads the greeting and says EHLO; returns the reply to EHLO."""
        greeting = self.reply()
        if greeting.code != 220:
            raise AssertionError(f"greeted with {greeting}")
        return self.command(f"EHLO {name}")

    def envelope(self, sender, *recipients):
        """MAIL, and RCPT for each; returns the replies to them."""
        replies = [self.command(f"MAIL FROM:<{sender}>")]
        return replies + [self.command(f"RCPT TO:<{recipient}>") for recipient in recipients]

    def content(self, octets):
        """DATA, the octets with dots stuffed, and the end; returns the last reply."""
        go_on = self.command("DATA")
        if go_on.code != 354:
            return go_on
        stuffed = re.sub(rb"(?m)^\.", b"..", octets)
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()

    def mail(self, sender, recipients, octets):
        """A whole transaction that is to be accepted; returns the last reply."""
        replies = self.envelope(sender, *recipients) + [self.content(octets)]
        refused = [reply for reply in replies if reply.code not in (250, 251)]
        if refused:
            raise AssertionError(f"refused: {refused}")
        return replies[-1]
