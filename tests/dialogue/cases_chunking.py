"""BDAT (RFC 3030), whole and in every cut."""
from script import (CONTENT, ENVELOPE, HEADER, HELLO_HELO, MAIL, NOOP, QUIT, RCPT, RSET, case, cuts, each, play,
                    raw, say)

NEEDS = ("CHUNKING",)
BINARY = ("CHUNKING", "BINARYMIME")
OK = "250 2.0.0"
FAILED = "503 5.5.1"
PLAIN = b"Subject: chunks\r\n\r\n"


def chunk(octets, *expect, last=False, **more):
    """BDAT with its chunk, which holds nothing that is filled in."""
    assert b"$" not in octets
    return raw(b"BDAT %d%s\r\n%s" % (len(octets), b" LAST" if last else b"", octets), *(expect or (OK,)), **more)


def named(*chunks):
    """The chunks of a message whose header, with the token, comes first in a chunk of its own."""
    return (raw(b"$HEADER", OK), *chunks)


def parts(octets, at):
    """The octets in two chunks."""
    return chunk(octets[:at]), chunk(octets[at:], last=True)


TEXT = b"one\r\n.\r\n..two\r\nQUIT\r\n"

CASES = [
    case("a message in one chunk", "3030 §2", *ENVELOPE, *named(chunk(TEXT, last=True)), needs=NEEDS,
         stores=HEADER + TEXT),
    case("dots in chunks are text", "3030 §2", *ENVELOPE, *named(chunk(b"..\r\n.\r\n.x\r\n", last=True)), needs=NEEDS,
         stores=HEADER + b"..\r\n.\r\n.x\r\n"),
    case("CRLF . CRLF in a chunk ends nothing", "3030 §2", *ENVELOPE,
         *named(chunk(b"a\r\n.\r\nNOOP\r\n"), chunk(b"b\r\n", last=True)), needs=NEEDS,
         stores=HEADER + b"a\r\n.\r\nNOOP\r\nb\r\n"),
    case("an empty last chunk", "3030 §2", *ENVELOPE, *named(chunk(TEXT), say("BDAT 0 LAST", OK)), needs=NEEDS,
         stores=HEADER + TEXT),
    case("an empty chunk in the middle", "3030 §2", *ENVELOPE,
         *named(say("BDAT 0", OK), chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT,
         why="3030 §2: chunk-size is any number, also 0"),
    case("an empty message", "3030 §2", *ENVELOPE, say("BDAT 0 LAST", OK), needs=NEEDS),
    each("a message in two chunks, cut everywhere", "3030 §2", [
        play(f"at {at}", *ENVELOPE, *named(*parts(TEXT, at)), stores=HEADER + TEXT) for at in range(len(TEXT) + 1)],
         needs=NEEDS, why="3030 §2: chunk-size is any number, also 0"),
    case("a chunk for each octet", "3030 §2", *ENVELOPE,
         *named(*(chunk(TEXT[i:i + 1]) for i in range(len(TEXT))), say("BDAT 0 LAST", OK)), needs=NEEDS,
         stores=HEADER + TEXT),
    each("a pipelined message in chunks, cut everywhere", "3030 §4.2, 2920 §3.1", [
        play(label, step, stores=HEADER + b"NOOP\r\n.\r\n") for label, step in cuts(
            raw(b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\n$HEADERBDAT 5\r\nNOOP\rBDAT 4 LAST\r\n\n.\r\nNOOP\r\n",
                "250 2.1.0", "250 2.1.5", OK, OK, OK, OK))], needs=NEEDS),
    case("a whole session in one go", "2920 §3.1", raw(
        b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\n$HEADERBDAT 3 LAST\r\na\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n",
        "250 2.1.0", "250 2.1.5", OK, OK, "250 2.1.0", OK, "221 2.0.0", "close"), needs=NEEDS,
         stores=HEADER + b"a\r\n"),
    case("commands behind a chunk in one go", "3030 §2", *ENVELOPE,
         *named(raw(b"BDAT 3 LAST\r\na\r\nNOOP\r\nNOOP\r\n", OK, OK, OK)), needs=NEEDS, stores=HEADER + b"a\r\n"),
    case("commands in a chunk are not obeyed", "3030 §2", *ENVELOPE,
         *named(chunk(b"RSET\r\nQUIT\r\nDATA\r\n", last=True)), needs=NEEDS, stores=HEADER + b"RSET\r\nQUIT\r\nDATA\r\n"),
    case("bdat and last in lower case", "5321 §2.4", *ENVELOPE, *named(raw(b"bdat 3 last\r\na\r\n", OK)), needs=NEEDS,
         stores=HEADER + b"a\r\n"),
    case("a length with zeros in front", "3030 §2", *ENVELOPE, *named(raw(b"BDAT 0003 LAST\r\na\r\n", OK)), needs=NEEDS,
         stores=HEADER + b"a\r\n"),
    case("more than one space", "3030 §2", *ENVELOPE,
         *named(raw(b"BDAT  3  LAST\r\na\r\n", OK, also=(("501", "500"), ("501", "close")))), needs=NEEDS,
         stores=HEADER + b"a\r\n"),
    each("BDAT that has no length", "3030 §2", [
        play(line, *ENVELOPE, say(line, "501 5.5.4", "close", also=("501", "5xx", ("421", "close"), ("5xx", "close"))))
        for line in ("BDAT", "BDAT LAST", "BDAT x", "BDAT -1", "BDAT +1", "BDAT 0x10", "BDAT 1.5", "BDAT 5LAST",
                     "BDAT 5 FIRST", "BDAT 5 LAST x", "BDAT 99999999999999999999999",
                     "BDAT LAST 5")],
         needs=NEEDS, why="3030 §2: how much follows is not known, so nothing behind it can be told from commands"),
    case("a length of more digits than any chunk can have", "3030 §2", *ENVELOPE,
         say("BDAT 1234567890123456789", "501 5.5.4", "close"), server="ours"),
    case("a chunk before MAIL is read and refused", "3030 §2", chunk(b"NOOP\r\n", FAILED, last=True), NOOP, needs=NEEDS),
    case("a chunk before RCPT is read and refused", "3030 §2", MAIL,
         chunk(b"NOOP\r\n", FAILED, last=True, also=("554",)), NOOP, needs=NEEDS),
    case("a chunk when all recipients were refused", "3030 §2", MAIL, say("RCPT TO:<$UNKNOWN>", "550 5.1.1"),
         chunk(b"NOOP\r\n", "554 5.5.1", last=True, also=("503",)), NOOP, needs=NEEDS),
    case("a chunk in a session of HELO", "3030 §2", *ENVELOPE, say("BDAT 0 LAST", "250 2.0.0", also=("503", "502")),
         hello=HELLO_HELO),
    case("behind a failed chunk all fail until RSET", "3030 §2", MAIL, chunk(b"NOOP\r\n", FAILED, also=("554",)),
         say("RCPT TO:<$RCPT>", FAILED, also=("250",)), RSET, *ENVELOPE, *named(chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT),
    case("a pipelined group in which MAIL fails", "3030 §4.2", raw(
        b"MAIL FROM:<a@>\r\nRCPT TO:<$RCPT>\r\nBDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        "501 5.1.7", "503 5.5.1", FAILED, FAILED, OK,
        also=(("553|501", "503", "5xx", "5xx", "250"),)), needs=NEEDS, stores_nothing=True),
    case("a pipelined group in which RCPT fails", "3030 §4.2", raw(
        b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$UNKNOWN>\r\nBDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        "250 2.1.0", "550 5.1.1", "554 5.5.1", FAILED, OK,
        also=(("250", "550", "5xx", "5xx", "250"),)), needs=NEEDS, stores_nothing=True),
    case("DATA behind BDAT", "3030 §2", *ENVELOPE, chunk(PLAIN), say("DATA", FAILED), needs=NEEDS),
    case("RCPT behind BDAT", "3030 §2", *ENVELOPE, chunk(PLAIN), say("RCPT TO:<$RCPT2>", FAILED), needs=NEEDS),
    case("MAIL behind BDAT", "3030 §2", *ENVELOPE, chunk(PLAIN), say("MAIL FROM:<$SENDER>", FAILED), needs=NEEDS),
    case("NOOP and VRFY between chunks", "3030 §2", *ENVELOPE,
         *named(NOOP, say("VRFY x", "252|550|502|4xx"), chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT),
    case("DATA behind a refused DATA: the message goes on in chunks", "3030 §2", *ENVELOPE,
         *named(say("DATA", FAILED), chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT, server="ours"),
    case("RSET between chunks forgets them", "3030 §2", *ENVELOPE, chunk(b"forgotten\r\n"), RSET, *ENVELOPE,
         *named(chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT),
    case("EHLO between chunks forgets them", "5321 §4.1.4", *ENVELOPE, chunk(b"forgotten\r\n"),
         say("EHLO client.example", "250"), say("BDAT 0 LAST", FAILED, also=("554",)), needs=NEEDS),
    case("QUIT between chunks", "3030 §2", *ENVELOPE, *named(QUIT), needs=NEEDS, stores_nothing=True),
    case("a client that leaves between chunks", "3030 §2", *ENVELOPE, *named(), leaves=True, needs=NEEDS,
         stores_nothing=True),
    case("a client that leaves within a chunk", "3030 §2", *ENVELOPE, *named(raw(b"BDAT 100 LAST\r\nhalf of it")),
         leaves=True, needs=NEEDS, stores_nothing=True),
    case("a chunk behind the last one", "3030 §2", *ENVELOPE, *named(chunk(TEXT, last=True)),
         chunk(b"NOOP\r\n", FAILED, last=True, also=("554",)), NOOP, needs=NEEDS, stores=HEADER + TEXT),
    case("two messages in chunks", "3030 §2", *ENVELOPE, chunk(b"x\r\n", last=True), *ENVELOPE,
         *named(chunk(TEXT, last=True)), needs=NEEDS, stores=HEADER + TEXT),
    case("a message in chunks, and one with DATA", "3030 §2", *ENVELOPE, chunk(b"x\r\n", last=True), *ENVELOPE,
         say("DATA", "354 -"), raw(CONTENT + b".\r\n", OK), needs=NEEDS, stores=CONTENT),
    case("CR and LF in two chunks", "3030 §2", *ENVELOPE, *named(chunk(b"a\r"), chunk(b"\nb\r\n", last=True)),
         needs=NEEDS, stores=HEADER + b"a\r\nb\r\n"),
    each("a bare CR or LF in a chunk", "3030 §3", [
        play(repr(octets)[2:-1], *ENVELOPE, *named(chunk(octets, "554 5.6.0", last=True, also=("250", "550"))))
        for octets in (b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n", b"a\r", b"a\n\r")], needs=NEEDS,
         why="3030 §3: only BODY=BINARYMIME lifts the rule of lines; a server may refuse or mend"),
    case("a CR in one chunk and text in the next", "3030 §3", *ENVELOPE,
         *named(chunk(b"a\r"), chunk(b"b\r\n", "554 5.6.0", last=True, also=("250", "550"))), needs=NEEDS,
         why="3030 §3, as above"),
    case("a NUL in a chunk", "3030 §3", *ENVELOPE, *named(chunk(b"a\0b\r\n", "554 5.6.0", last=True, also=("250", "550"))),
         needs=NEEDS, why="3030 §3, as above"),
    case("8-bit octets in a chunk", "3030 §2, 6152", say("MAIL FROM:<$SENDER> BODY=8BITMIME", "250 2.1.0"), RCPT,
         *named(chunk(b"\xe4\xf6\x80\xff\r\n", last=True)), needs=NEEDS, stores=HEADER + b"\xe4\xf6\x80\xff\r\n"),
    case("BINARYMIME may hold anything", "3030 §3", say("MAIL FROM:<$SENDER> BODY=BINARYMIME", "250 2.1.0"), RCPT,
         *named(chunk(bytes(set(range(256)) - {ord("$")}), last=True)), needs=BINARY),
    case("BINARYMIME cannot go by DATA", "3030 §3", say("MAIL FROM:<$SENDER> BODY=BINARYMIME", "250 2.1.0"), RCPT,
         say("DATA", FAILED, also=("5xx",)), needs=BINARY),
    case("a chunk of 100 000 octets", "3030 §2", *ENVELOPE, *named(chunk((b"z" * 98 + b"\r\n") * 1000, last=True)),
         needs=NEEDS, stores=HEADER + (b"z" * 98 + b"\r\n") * 1000),
]
