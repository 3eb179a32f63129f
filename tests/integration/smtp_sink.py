"""A small SMTP server that keeps what it is sent: the remote side of relay tests."""
import dataclasses
import socket
import threading


@dataclasses.dataclass
class Received:
    sender: str
    recipients: list
    content: bytes  # dots unstuffed, CRLF line ends


class Sink:
    """Listens on a free port of 127.0.0.1 (or `port`) from construction to close().

    `answers` maps a verb, or "." for the end of DATA, to a reply line given instead of acceptance.
    It offers PIPELINING, 8BITMIME and SIZE, not CHUNKING, so content comes by DATA.
    """

    def __init__(self, port=0, answers=None):
        self.answers = dict(answers or {})
        self.messages = []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", port))
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
                pass  # the client's way of ending it

    def _say(self, stream, line):
        stream.write(line.encode() + b"\r\n")
        stream.flush()

    def _converse(self, stream):
        sender, recipients = "", []
        self._say(stream, "220 sink.example.org ESMTP")
        while line := stream.readline(4096):
            command = line.decode("utf-8", "replace").strip()
            verb = command.split(" ")[0].split(":")[0].upper()
            answer = self.answers.get(verb)
            if verb == "EHLO" and not answer:
                answer = "250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE"
            elif verb == "MAIL" and not answer:
                sender, recipients = command[command.index("<") + 1:command.index(">")], []
            elif verb == "RCPT" and not answer:
                recipients.append(command[command.index("<") + 1:command.index(">")])
            elif verb == "DATA" and not answer:
                answer = self._content(stream, sender, recipients)
            elif verb == "QUIT":
                self._say(stream, "221 bye")
                return
            self._say(stream, answer or "250 ok")

    def _content(self, stream, sender, recipients):
        if not recipients:
            return "554 no recipients"
        self._say(stream, "354 go on")
        lines = []
        while (line := stream.readline(1 << 20)) != b".\r\n":
            if not line:
                raise ConnectionError("closed within DATA")
            lines.append(line[1:] if line.startswith(b".") else line)
        if "." in self.answers:
            return self.answers["."]
        with self.changed:
            self.messages.append(Received(sender, recipients, b"".join(lines)))
            self.changed.notify_all()
        return None
