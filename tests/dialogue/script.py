"""What a dialogue case is: steps of octets sent and replies expected, as data.

A reply is written "250", "250 2.1.0" (with its enhanced code, RFC 3463), "354 -" (it must have none),
"503|554" (one or the other), "4xx" (any of the class), or "close" (the server hangs up). The enhanced
code is our own promise: of other servers the code alone is compared.

Octets may hold what the run fills in:
  $RCPT $RCPT2    addresses the server takes mail for; $LOCAL is the local part of the first
  $DOMAIN         the domain of $RCPT             $UNKNOWN  an address there that does not exist
  $OUTSIDE        an address elsewhere, to which a stranger may not relay
  $SENDER         where the mail claims to come from
  $TOKEN          a word that no other dialogue of the run has
  $HEADER         BDAT with a chunk that is HEADER, whose length depends on the token
  $SIZE $TOOBIG   the limit announced as SIZE, and one octet more
"""
import dataclasses

HELLO_NONE, HELLO_HELO, HELLO_EHLO, HELLO_SILENT = "none", "HELO", "EHLO", "silent"


@dataclasses.dataclass(frozen=True)
class Step:
    """`octets` go out at once, then as many replies are read as are expected."""

    octets: bytes
    expect: tuple
    also: tuple = ()  # other sequences that a conforming server may answer
    cut: int = 0  # send so many octets first, and the rest when those have been read; -1: one by one
    has: tuple = ()  # what the last reply's text must hold
    lacks: tuple = ()
    lines: int = 0  # how many lines the last reply must have; 0: any number
    like: int = 0  # word for word the reply to the step so many steps before


@dataclasses.dataclass(frozen=True)
class Play:
    """One connection. `label` tells the plays of a case apart."""

    label: str
    steps: tuple
    hello: str = HELLO_EHLO  # how far the session is when the first step begins
    stores: bytes = None  # the content that $RCPT gets, as sent
    stores_nothing: bool = False  # no message with the token may arrive
    leaves: bool = False  # the client vanishes at the end; otherwise QUIT must be answered with 221


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    rfc: str
    plays: tuple
    needs: tuple = ()  # extensions without which the case means nothing
    server: str = "default"  # the settings it takes: see SERVERS in servers.py
    why: str = ""  # what the RFC says about a different answer


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def _sequences(also):
    return tuple((one,) if isinstance(one, str) else tuple(one) for one in also)


def raw(octets, *expect, also=(), **more):
    """Octets as they are, and the replies to them."""
    return Step(_bytes(octets), expect, _sequences(also), **more)


def say(line, *expect, also=(), **more):
    """A command line, to which CRLF is added."""
    return raw(_bytes(line) + b"\r\n", *expect, also=also, **more)


def case(name, rfc, *steps, needs=(), server="default", why="", **play):
    """A case of one connection."""
    return Case(name, rfc, (Play("", steps, **play),), tuple(needs), server, why)


def each(name, rfc, plays, needs=(), server="default", why=""):
    """A case of several connections: `plays` made with play()."""
    return Case(name, rfc, tuple(plays), tuple(needs), server, why)


def play(label, *steps, **more):
    return Play(label, steps, **more)


def cuts(step, start=1, grows=80):
    """The step once for each position at which its octets can be cut in two, and octet by octet.

    `grows`: by how much it may become longer when it is filled in; a cut beyond the end is none.
    """
    for at in range(start, len(step.octets) + grows):
        yield f"cut at {at}", dataclasses.replace(step, cut=at)
    yield "octet by octet", dataclasses.replace(step, cut=-1)


def inserted(octets, extra, start=0, stop=None):
    """(label, octets) with `extra` put in at each position."""
    for at in range(start, len(octets) + 1 if stop is None else stop):
        yield f"at {at}", octets[:at] + extra + octets[at:]


MAIL = say("MAIL FROM:<$SENDER>", "250 2.1.0")
RCPT = say("RCPT TO:<$RCPT>", "250 2.1.5")
DATA = say("DATA", "354 -")
RSET = say("RSET", "250 2.0.0")
NOOP = say("NOOP", "250 2.0.0")
QUIT = say("QUIT", "221 2.0.0", "close")
ENVELOPE = (MAIL, RCPT)
HEADER = b"Subject: $TOKEN\r\n\r\n"
CONTENT = HEADER + b"text\r\n"


def content(octets=CONTENT, *expect, **more):
    """What follows 354, with its end."""
    return raw(_bytes(octets) + b".\r\n", *(expect or ("250 2.0.0",)), **more)
