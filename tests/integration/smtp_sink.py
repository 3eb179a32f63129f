"""A small SMTP or LMTP server that keeps what it is sent: the remote side of relay tests."""
import dataclasses
import os
import socket
import threading

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE")


@dataclasses.dataclass
class Received:
    sender: str
    recipients: list
    content: bytes  # dots unstuffed, CRLF line ends
    commands: list  # MAIL and RCPT as they came


class Sink:
    """Listens on `address` at a free port (or `port`), or on a Unix socket at `path`, from
    construction to close().

    `answers` maps a verb, "." for the end of DATA or "GREETING" to what is given instead of
    acceptance: a reply line, None to close the connection there, or a function of the command line
    (for ".", of the recipient or None) that returns a reply line, or "" for acceptance.
    `extensions` are its EHLO keywords; without CHUNKING content comes by DATA.
    """

    def __init__(self, port=0, answers=None, address="127.0.0.1", extensions=EXTENSIONS,
                 lmtp=False, path=None):
        self.answers = dict(answers or {})
        self.extensions = extensions
        self.lmtp = lmtp
        self.messages = []
        self.commands = []  # every command line of every connection, in order of arrival
        self.changed = threading.Condition()
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            os.chmod(path, 0o666)
            self.listener.listen()
            self.port = None
        else:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self.listener = socket.create_server((address, port), family=family)
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # shutdown first: close alone leaves a thread that is in accept() waiting.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def wait(self, count, seconds=30):
        """The messages, once there are at least `count`."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, seconds):
                raise AssertionError(f"{len(self.messages)} messages came in {seconds} s,"
                                     f" not {count}")
            return list(self.messages)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(60)
        with connection, connection.makefile("rwb") as stream:
            try:
                self._converse(stream)
            except OSError:
                pass  # the client's way of ending it, or ours

    def _say(self, stream, line):
        stream.write(line.encode() + b"\r\n")
        stream.flush()

    def _answer(self, key, argument):
        """What is to be said instead of acceptance; "" for acceptance."""
        answer = self.answers.get(key, "")
        if callable(answer):
            answer = answer(argument)
        if answer is None:
            raise ConnectionError("told to close here")
        return answer

    def _converse(self, stream):
        sender, recipients, commands = "", [], []
        greeting = self._answer("GREETING", "")
        self._say(stream, greeting or "220 sink.example.org ESMTP")
        while line := stream.readline(4096):
            command = line.decode("utf-8", "replace").strip()
            self.commands.append(command)
            verb = command.split(" ")[0].split(":")[0].upper()
            if verb == "QUIT":
                self._say(stream, "221 2.0.0 bye")
                return
            answer = self._answer(verb, command)
            if verb in ("EHLO", "LHLO") and not answer:
                lines = ["sink.example.org", *self.extensions]
                answer = "".join(f"250-{text}\r\n" for text in lines[:-1]) + f"250 {lines[-1]}"
            elif verb == "MAIL" and not answer:
                sender, recipients = command[command.index("<") + 1:command.index(">")], []
                commands = [command]
            elif verb == "RCPT" and not answer:
                recipients.append(command[command.index("<") + 1:command.index(">")])
                commands.append(command)
            elif verb == "DATA" and not answer:
                self._content(stream, sender, recipients, commands)
                continue
            self._say(stream, answer or "250 ok")

    def _content(self, stream, sender, recipients, commands):
        if not recipients:
            self._say(stream, "554 no recipients")
            return
        self._say(stream, "354 go on")
        lines = []
        while (line := stream.readline(1 << 20)) != b".\r\n":
            if not line:
                raise ConnectionError("closed within DATA")
            lines.append(line[1:] if line.startswith(b".") else line)
        # LMTP (RFC 2033) answers for each recipient, SMTP for all at once.
        answers = [(recipient, self._answer(".", recipient) or "250 ok")
                   for recipient in (recipients if self.lmtp else [None])]
        taken = [recipient for recipient, answer in answers if answer.startswith("2")]
        if taken:
            with self.changed:
                self.messages.append(Received(sender, taken if self.lmtp else recipients,
                                              b"".join(lines), commands))
                self.changed.notify_all()
        for _, answer in answers:
            self._say(stream, answer)
