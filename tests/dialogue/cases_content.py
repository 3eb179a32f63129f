"""What comes between 354 and the dot."""
from script import (CONTENT, DATA, ENVELOPE, HEADER, NOOP, QUIT, case, content, cuts, each, inserted, play, raw, say)

REFUSED = "554 5.6.0"
TEXT = content()
BARE = ("550", "521", "421", "554", "250")  # by other servers, to content with a bare CR or LF
SHORT = b"Subject: $TOKEN\r\n\r\nab\r\n.c\r\n"
WHY_BARE = "§2.3.8: CR and LF stand together alone; a server may refuse, or mend before it passes the mail on"
FORGED = b"MAIL FROM:<forged@$DOMAIN>\r\nRCPT TO:<$RCPT>\r\nDATA\r\nSubject: forged\r\n\r\ninner"


def sent(name, rfc, stuffed, stored, **more):
    """A message that is accepted: `stuffed` as on the wire, `stored` as it must arrive."""
    return case(name, rfc, *ENVELOPE, DATA, content(HEADER + stuffed), stores=HEADER + stored, **more)


def smuggled(label, end):
    """Content with something near its end in the middle, then commands that must not be obeyed."""
    octets = HEADER + b"outer" + end + FORGED + b"\r\n.\r\nQUIT\r\n"
    return play(label, *ENVELOPE, DATA,
                raw(octets, REFUSED, "221 2.0.0", "close",
                    also=((f"{BARE[0]}|521|554|250", "221", "close"), ("5xx", "close"), ("421", "close"))),
                stores_nothing=True)


def refused_at(label, octets):
    """Content that is refused at its true end; the session goes on."""
    return play(label, *ENVELOPE, DATA, raw(octets + b"\r\n.\r\n", REFUSED, also=("550", "554", "250", ("521", "close"))),
                *ENVELOPE, DATA, TEXT, stores=CONTENT)


CASES = [
    sent("a message arrives unchanged", "5321 §4.1.1.4", b"one\r\n\r\ntwo\r\n", b"one\r\n\r\ntwo\r\n"),
    sent("a dot at the start of a line is taken off", "5321 §4.5.2", b"..dot\r\n", b".dot\r\n"),
    sent("a line of two dots becomes one of one", "5321 §4.5.2", b"..\r\nend\r\n", b".\r\nend\r\n"),
    sent("of three dots one is taken off", "5321 §4.5.2", b"...\r\n", b"..\r\n"),
    sent("a single dot before text is taken off, too", "5321 §4.5.2", b".text\r\n", b"text\r\n"),
    sent("dots inside a line stay", "5321 §4.5.2", b"a.b..c.\r\n", b"a.b..c.\r\n"),
    sent("a dot and a space is no end", "5321 §4.1.1.4", b". \r\nmore\r\n", b" \r\nmore\r\n"),
    sent("a space and a dot is no end", "5321 §4.1.1.4", b" .\r\nmore\r\n", b" .\r\nmore\r\n"),
    sent("commands in content are text", "5321 §4.1.1.4", b"QUIT\r\nRSET\r\nMAIL FROM:<a@b.example>\r\n",
         b"QUIT\r\nRSET\r\nMAIL FROM:<a@b.example>\r\n"),
    sent("white space at the ends of lines stays", "5321 §2.3.7", b"a \r\n\tb\t\r\n  \r\n", b"a \r\n\tb\t\r\n  \r\n"),
    sent("empty lines at the end stay", "5321 §2.3.7", b"a\r\n\r\n\r\n", b"a\r\n\r\n\r\n"),
    sent("control characters stay", "5321 §2.4", b"\x01\x07\x08\x0b\x0c\x1a\x1b\x7f\r\n",
         b"\x01\x07\x08\x0b\x0c\x1a\x1b\x7f\r\n"),
    sent("8-bit octets without BODY stay", "6152 §3", b"\x80\xe4\xff\r\n", b"\x80\xe4\xff\r\n"),
    sent("a line of 1000 octets", "5321 §4.5.3.1.6", b"x" * 998 + b"\r\n", b"x" * 998 + b"\r\n"),
    sent("a line of 1000 octets that begins with a dot", "5321 §4.5.3.1.6", b".." + b"x" * 997 + b"\r\n",
         b"." + b"x" * 997 + b"\r\n"),
    sent("lines beyond the limit are not broken", "5321 §4.5.3.1.6", b"x" * 50000 + b"\r\n", b"x" * 50000 + b"\r\n",
         why="§4.5.3.1 asks to take what is longer where possible; a line that is broken breaks signatures"),
    sent("a message of 64 KiB", "5321 §4.5.3.1.7", (b"y" * 70 + b"\r\n") * 900, (b"y" * 70 + b"\r\n") * 900),
    case("content that is a header alone", "5322 §2.1", *ENVELOPE, DATA, content(b"Subject: $TOKEN\r\n"),
         stores=b"Subject: $TOKEN\r\n"),
    case("empty content", "5321 §4.1.1.4", *ENVELOPE, DATA, content(b"")),
    case("content of one empty line", "5321 §4.1.1.4", *ENVELOPE, DATA, content(b"\r\n")),
    case("a long header line", "5322 §2.1.1", *ENVELOPE, DATA,
         content(b"Subject: $TOKEN\r\nX-Long: " + b"z" * 990 + b"\r\n\r\n.text\r\n".replace(b".", b"..")),
         stores=b"X-Long: " + b"z" * 990 + b"\r\n\r\n.text\r\n"),
    case("commands behind the dot in one go", "5321 §4.1.1.4, 2920 §3.1", *ENVELOPE, DATA,
         raw(CONTENT + b".\r\nNOOP\r\nRSET\r\nNOOP\r\n", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"),
         stores=CONTENT),
    case("the next transaction behind the dot in one go", "2920 §3.1", *ENVELOPE, DATA,
         raw(b"\r\n.\r\nMAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\nDATA\r\n", "250 2.0.0", "250 2.1.0", "250 2.1.5",
             "354 -"), TEXT, stores=CONTENT),
    each("the end of DATA, cut everywhere", "5321 §4.1.1.4", [
        play(label, *ENVELOPE, DATA, step, stores=CONTENT + b".\r\n")
        for label, step in cuts(content(CONTENT + b"..\r\n"), len(HEADER), 10)]),
    each("dots, cut everywhere", "5321 §4.5.2", [
        play(label, *ENVELOPE, DATA, step, stores=HEADER + b".\r\n.x\r\n\r\n")
        for label, step in cuts(content(HEADER + b"..\r\n..x\r\n\r\n"), len(HEADER), 10)]),
    each("a bare LF in content, at each position", "5321 §2.3.8",
         [refused_at(label, octets) for label, octets in inserted(SHORT, b"\n", 0, len(SHORT) - 1)], why=WHY_BARE),
    each("a bare CR in content, at each position", "5321 §2.3.8",
         [refused_at(label, octets) for label, octets in inserted(SHORT, b"\r", 0, len(SHORT) - 1)], why=WHY_BARE),
    each("a NUL in content, at each position", "5321 §2.4, 5322 §4",
         [refused_at(label, octets) for label, octets in inserted(SHORT[:-2], b"\0")],
         why="5322 §4: a NUL is not even in the obsolete grammar; a server may pass it on or take it out"),
    each("what is near CRLF . CRLF and does not end the content", "5321 §2.3.8, §4.1.1.4", [
        smuggled(repr(end)[2:-1], end) for end in
        (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\r\n.\r\r\n",
         b"\n\n.\n\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n")],
         why="§4.1.1.4: CRLF . CRLF alone ends the content. Whoever takes another form for it reads a second "
             "message where the sending server saw text (smuggling)"),
    case("a message refused for its content leaves the session", "5321 §4.2.5", *ENVELOPE, DATA,
         content(b"a\nb\r\n", REFUSED, also=("550", "250", ("521", "close"))), NOOP, QUIT, why=WHY_BARE),
    case("what follows a refused message is one of its own", "5321 §4.1.1.4", *ENVELOPE, DATA,
         content(b"a\nb\r\n", REFUSED, also=("550", "250", ("521", "close"))), say("RCPT TO:<$RCPT>", "503 5.5.1"),
         why=WHY_BARE),
]
