"""Sizes and numbers, at their edges: of any server, and of one with small limits (SERVERS in servers.py)."""
from script import (CONTENT, DATA, ENVELOPE, HEADER, HELLO_HELO, HELLO_NONE, MAIL, NOOP, RCPT, RSET, case, content, each,
                    play, raw, say)

SIZED = ("SIZE n",)
SMALL = "small"
TOO_BIG = "552 5.3.4"
HOP = b"Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n"


def of_octets(octets, verb="NOOP "):
    """A command line of so many octets with its CRLF."""
    return verb + "x" * (octets - len(verb) - 2)


def path(local, octets):
    """A path of so many octets with its brackets."""
    domain = octets - 3 - local
    labels = ("d" * 62 + ".") * 4
    return f"<{'l' * local}@{labels[:domain - 2].rstrip('.').ljust(domain - 2, 'e')}.e>"


def body(octets):
    """Content of so many octets behind a header that is as long as it is written here."""
    header = b"Subject: big\r\n\r\n"
    lines = (b"z" * 98 + b"\r\n") * (octets // 100 + 1)
    return header + lines[:octets - len(header) - 2] + b"\r\n"


def size(label, value, answer, also=()):
    return play(label, say(f"MAIL FROM:<$SENDER> SIZE{value}", answer, also=also))


def sized(stuff, *expect, also=()):
    """BDAT LAST with the octets."""
    return raw(b"BDAT %d LAST\r\n%s" % (len(stuff), stuff), *expect, also=also)


CASES = [
    case("a command line of 512 octets", "5321 §4.5.3.1.4", say(of_octets(512), "250 2.0.0", also=("500", "501")), NOOP,
         why="§4.5.3.1.4: 512 octets MUST be taken; that NOOP may refuse its words (501) is §4.1.1.9's"),
    case("a MAIL of 512 octets", "5321 §4.5.3.1.4",
         say("MAIL FROM:<$SENDER>" + " " * 470, "250 2.1.0")),
    case("a command line of 2048 octets", "5321 §4.5.3.1.4, 3461 §4", say(of_octets(2048), "250 2.0.0", also=("500",)), NOOP,
         why="extensions raise the limit (1186 by those offered here); more is free"),
    each("a command line beyond the limit", "5321 §4.5.3.1.4, §4.5.3.1.9", [
        play(f"{octets} octets", say(of_octets(octets), "500 5.5.2",
                                     also=("250", "501", ("421", "close"), ("5xx", "close"), ("close",))), NOOP)
        for octets in (2049, 2050, 4096, 100_000)], why="§4.5.3.1.9: 500 says so; a server may take longer lines"),
    case("a line beyond the limit opens and changes nothing", "5321 §4.5.3.1.9", MAIL,
         say(of_octets(3000, "RCPT TO:<$RCPT> "), "500 5.5.2", also=("555", "501", "250", ("421", "close"))),
         say("RSET", "250 2.0.0")),
    case("a line that does not end is cut off", "5321 §7.8", raw(b"x" * (1 << 20) + b"y" * 2, "500 5.5.2", "close",
                                                                also=(("421", "close"), ("close",))), server="ours"),
    each("a local part at its limit", "5321 §4.5.3.1.1", [
        play("64 octets", say(f"MAIL FROM:<{'l' * 64}@client.example>", "250 2.1.0")),
        play("65 octets", say(f"MAIL FROM:<{'l' * 65}@client.example>", "501 5.1.7", also=("250", "500", "553"))),
        play("RCPT, 64 octets", MAIL, say(f"RCPT TO:<{'l' * 64}@$DOMAIN>", "550 5.1.1")),
        play("RCPT, 65 octets", MAIL, say(f"RCPT TO:<{'l' * 65}@$DOMAIN>", "501 5.1.3", also=("550", "553")))],
         why="§4.5.3.1: what is within the limit MUST be taken, what is beyond may be"),
    each("a path at its limit", "5321 §4.5.3.1.3", [
        play("256 octets", say("MAIL FROM:" + path(1, 256), "250 2.1.0")),
        play("257 octets", say("MAIL FROM:" + path(2, 257), "501 5.1.7", also=("250", "500", "553")))],
         why="§4.5.3.1, as above"),
    each("a label at its limit", "1035 §2.3.4", [
        play("63 octets", say(f"MAIL FROM:<a@{'d' * 63}.example>", "250 2.1.0")),
        play("64 octets", say(f"MAIL FROM:<a@{'d' * 64}.example>", "501 5.1.7", also=("250", "553")))],
         why="1035 §2.3.4: no such name can exist"),
    case("100 recipients in one message", "5321 §4.5.3.1.8",
         raw(b"MAIL FROM:<$SENDER>\r\n" + b"RCPT TO:<$RCPT>\r\n" * 100, "250 2.1.0", *["250 2.1.5"] * 100), RSET,
         needs=("PIPELINING",)),
    case("1000 commands in one go", "2920 §3.1", raw(b"NOOP\r\n" * 1000, *["250 2.0.0"] * 1000), needs=("PIPELINING",),
         why="no RFC bounds them; a server may count what leads to no mail as an error"),
    case("20 transactions in one session", "5321 §3.3", *(ENVELOPE + (DATA, content(b"\r\n"))) * 20),
    # SIZE (RFC 1870).
    each("SIZE= within the limit", "1870 §6.1", [
        size("nothing", "=0", "250 2.1.0"), size("one", "=1", "250 2.1.0"), size("zeros", "=000100", "250 2.1.0"),
        size("most", "=$SIZE", "250 2.1.0")], needs=SIZED),
    each("SIZE= beyond the limit", "1870 §6.1", [
        size("one more", "=$TOOBIG", TOO_BIG), size("20 digits", "=99999999999999999999", TOO_BIG, also=("501", "452")),
        size("2 to the 64th", "=18446744073709551616", TOO_BIG, also=("501", "452")),
        size("2 to the 64th and 100", "=18446744073709551716", TOO_BIG, also=("501", "452"))], needs=SIZED,
         why="1870 §4: up to 20 digits; §6.1: 552 for what is beyond the fixed limit"),
    each("SIZE= that is no number", "1870 §4", [
        size(label, value, "501 5.5.4", also=("555", "552")) for label, value in (
            ("no value", ""), ("empty", "="), ("letters", "=abc"), ("minus", "=-1"), ("plus", "=+1"), ("hex", "=0x10"),
            ("fraction", "=1.5"), ("21 digits", "=000000000000000000001"), ("thousands", "=1,000"), ("unit", "=10k"))],
         needs=("SIZE",), why="1870 §4: size-value is 1 to 20 digits; 5321 §4.2.3 has 501 for it, or 555"),
    case("SIZE= given twice", "5321 §4.1.1.11", say("MAIL FROM:<$SENDER> SIZE=1 SIZE=2", "501 5.5.4", also=("250", "555")),
         needs=("SIZE",), why="no RFC forbids it"),
    case("size= in lower case", "5321 §2.4", say("MAIL FROM:<$SENDER> size=100", "250 2.1.0"), needs=("SIZE",)),
    case("a MAIL refused for its SIZE= opens nothing", "1870 §6.1", say("MAIL FROM:<$SENDER> SIZE=$TOOBIG", TOO_BIG),
         say("RCPT TO:<$RCPT>", "503 5.5.1"), *ENVELOPE, DATA, content(), needs=SIZED, stores=CONTENT,
         why="5321 §4.1.1.2: each MAIL starts anew; a SIZE that was refused is not that of the next"),
    case("SIZE= smaller than the message", "1870 §6.3", say("MAIL FROM:<$SENDER> SIZE=1", "250 2.1.0"), RCPT, DATA,
         content(CONTENT, "250 2.0.0", also=("552",)), needs=("SIZE",), stores=CONTENT),
    case("SIZE= larger than the message", "1870 §6.3", say("MAIL FROM:<$SENDER> SIZE=50000", "250 2.1.0"), RCPT, DATA,
         content(), needs=("SIZE",), stores=CONTENT),
    # The rest wants a server whose limits are known.
    case("EHLO announces the limits", "1870 §4, 9422 §4", say("EHLO client.example", "250", has=(
        "SIZE 65536", "LIMITS RCPTMAX=5 MAILMAX=4")), hello=HELLO_NONE, server=SMALL),
    case("a message of the greatest size", "1870 §6.3", *ENVELOPE, DATA, content(body(65536)), server=SMALL),
    case("a message one octet beyond", "1870 §6.3", *ENVELOPE, DATA, content(body(65537), TOO_BIG), server=SMALL),
    case("a lie about SIZE is found out", "1870 §6.3", say("MAIL FROM:<$SENDER> SIZE=100", "250 2.1.0"), RCPT, DATA,
         content(body(1_000_000), TOO_BIG), server=SMALL),
    case("dots that are taken off do not count", "1870 §3", *ENVELOPE, DATA,
         content(body(65000) + b"..\r\n" * 100), server=SMALL),
    case("a message that was too big leaves the session", "1870 §6.3", *ENVELOPE, DATA, content(body(70000), TOO_BIG),
         *ENVELOPE, DATA, content(), server=SMALL, stores=CONTENT),
    case("a chunk of the greatest size", "3030 §2", *ENVELOPE, sized(body(65536), "250 2.0.0"), server=SMALL),
    case("a chunk one octet beyond", "3030 §2", *ENVELOPE, sized(body(65537), TOO_BIG), server=SMALL),
    case("chunks whose sum is too big", "3030 §2", *ENVELOPE, raw(b"BDAT 40000\r\n" + body(40000), "250 2.0.0"),
         raw(b"BDAT 40000\r\n" + body(40000), TOO_BIG), raw(b"BDAT 6 LAST\r\nNOOP\r\n", "503 5.5.1"), *ENVELOPE, DATA,
         content(), server=SMALL, stores=CONTENT),
    case("a chunk beyond the limit is read to its end", "3030 §2", *ENVELOPE,
         raw(b"BDAT 200000 LAST\r\n" + b"QUIT\r\n" * 33333 + b"\r\nNOOP\r\n", TOO_BIG, "250 2.0.0"), server=SMALL),
    case("recipients beyond the limit are deferred", "5321 §4.5.3.1.10", MAIL, *[RCPT] * 5,
         say("RCPT TO:<$RCPT>", "452 4.5.3"), say("RCPT TO:<$RCPT2>", "452 4.5.3"), DATA, content(), server=SMALL),
    case("a refused recipient takes no place", "5321 §4.5.3.1.10", MAIL, say("RCPT TO:<$UNKNOWN>", "550 5.1.1"),
         *[RCPT] * 5, say("RCPT TO:<$RCPT>", "452 4.5.3"), server=SMALL),
    case("the next transaction has all places again", "5321 §4.5.3.1.10", MAIL, *[RCPT] * 5,
         say("RCPT TO:<$RCPT>", "452 4.5.3"), RSET, *ENVELOPE, DATA, content(), server=SMALL, stores=CONTENT),
    case("more transactions than announced", "9422 §4", *(MAIL, RSET) * 4, say("MAIL FROM:<$SENDER>", "421 4.7.0", "close"),
         server=SMALL),
    case("too many errors end the session", "5321 §7.8", *[say("XYZZY", "500 5.5.2")] * 4,
         say("XYZZY", "500 5.5.2", "421 4.7.0", "close"), server=SMALL),
    case("refused recipients are errors", "5321 §7.8", MAIL, *[say("RCPT TO:<$UNKNOWN>", "550 5.1.1")] * 4,
         say("RCPT TO:<$UNKNOWN>", "550 5.1.1", "421 4.7.0", "close"), server=SMALL),
    case("what is deferred is no error", "5321 §4.5.3.1.10", MAIL, *[RCPT] * 5,
         *[say("RCPT TO:<$RCPT>", "452 4.5.3")] * 10, DATA, content(), server=SMALL),
    case("as many hops as may be", "5321 §6.3", *ENVELOPE, DATA, content(HOP * 10 + CONTENT), server=SMALL, stores=CONTENT),
    case("one hop more is a loop", "5321 §6.3", *ENVELOPE, DATA, content(HOP * 11 + CONTENT, "554 5.4.6"), server=SMALL,
         stores_nothing=True),
    case("Received in the body is no hop", "5321 §6.3", *ENVELOPE, DATA, content(CONTENT + HOP * 11), server=SMALL,
         stores=CONTENT + HOP * 11),
    case("a header of the greatest size", "5321 §7.8", *ENVELOPE, DATA,
         content(b"X-A: " + b"h" * 4000 + b"\r\n\r\ntext\r\n"), server=SMALL),
    case("a header that is too large", "5321 §7.8", *ENVELOPE, DATA,
         content((b"X-A: " + b"h" * 90 + b"\r\n") * 100 + b"\r\ntext\r\n", TOO_BIG), server=SMALL),
    case("a body may be larger than a header", "5321 §7.8", *ENVELOPE, DATA, content(body(60000)), server=SMALL),
    # Time: nothing is sent, so that no clock of ours matters.
    case("who says nothing is sent away", "5321 §4.5.3.2.7", raw(b"", "421 4.4.2", "close"), hello=HELLO_NONE,
         server="hasty commands"),
    case("half a line buys no time", "5321 §4.5.3.2.7", raw(b"EHLO clie", "421 4.4.2", "close"), hello=HELLO_NONE,
         server="hasty commands"),
    case("content that stops is not waited for", "5321 §4.5.3.2.5", *ENVELOPE, DATA, raw(HEADER, "421 4.4.2", "close"),
         server="hasty content", stores_nothing=True),
    case("a chunk that stops is not waited for", "5321 §4.5.3.2.5", *ENVELOPE,
         raw(b"BDAT 100 LAST\r\n$TOKEN", "421 4.4.2", "close"), server="hasty content", stores_nothing=True),
    case("parameters in a session of HELO", "5321 §4.1.1.11", say("MAIL FROM:<$SENDER> SIZE=10", "555 5.5.4",
                                                                also=("250", "501", "504")), hello=HELLO_HELO,
         why="§4.1.1.11 lets a server refuse parameters of a client that did not say EHLO"),
]
