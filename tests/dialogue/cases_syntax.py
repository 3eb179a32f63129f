"""The form of commands and addresses."""
from script import (CONTENT, DATA, ENVELOPE, HELLO_NONE, MAIL, NOOP, QUIT, RCPT, RSET, case, content,
                    each, inserted, play, raw, say)

MAILBOX = "5321 §4.1.2"
CUT_OFF = ("554 5.5.2", "close")  # ours, for a bare CR or LF in a command
# What else may be said to a line with a bare CR or LF. §2.3.8 forbids to take it for two lines.
ALSO_CUT = (("5xx", "close"), ("421", "close"), "500", "501", "502", "250")


def senders(answer, paths, also=()):
    """A play for each reverse-path, in a session of its own."""
    return [play(label, say(b"MAIL FROM:" + path.encode() if isinstance(path, str) else
                            b"MAIL FROM:" + path, answer, also=also)) for label, path in paths]


def recipients(answer, paths, also=()):
    return [play(label, MAIL, say(f"RCPT TO:{path}", answer, also=also)) for label, path in paths]


def long_domain(octets):
    """A domain name of so many octets."""
    name = ("d" * 60 + ".") * (octets // 61 + 1)
    return name[:octets - 8].rstrip(".").ljust(octets - 8, "x") + ".example"


GOOD_SENDERS = [
    ("null", "<>"), ("plain", "<a@client.example>"), ("dots", "<a.b.c@client.example>"),
    ("plus", "<a+tag@client.example>"),
    ("all of atext", "<!#$%&'*+-/=?^_`{|}~@client.example>"),
    ("digits", "<123@456.example>"), ("capitals", "<A@CLIENT.EXAMPLE>"),
    ("hyphen", "<a@client-x.example>"), ("one octet each", "<a@b.cd>"),
    ("label of 63", f"<a@{'d' * 63}.example>"), ("local part of 64", f"<{'l' * 64}@client.example>"),
]
QUOTED_SENDERS = [
    ("space", '<"a b"@client.example>'), ("at", '<"a@b"@client.example>'),
    ("escaped quote", r'<"a\"b"@client.example>'), ("escaped backslash", r'<"a\\b"@client.example>'),
    ("angle", '<"a>b"@client.example>'), ("needless", '<"ab"@client.example>'),
    ("dots", '<"..a.."@client.example>'), ("comma and colon", '<"a,b:c"@client.example>'),
]
LITERALS = [
    ("IPv4", "<a@[192.0.2.1]>"), ("IPv6", "<a@[IPv6:2001:db8::1]>"), ("tag in capitals", "<a@[IPV6:::1]>"),
    ("IPv6 with IPv4", "<a@[IPv6:::ffff:192.0.2.1]>"),
]
BAD_SENDERS = [
    ("no domain behind the at", "<a@>"), ("no local part", "<@client.example>"),
    ("two ats", "<a@b@client.example>"),
    ("open bracket only", "<a@client.example"), ("space in local part", "<a b@client.example>"),
    ("space in domain", "<a@client .example>"), ("empty label", "<a@client..example>"),
    ("open quote", '<"a@client.example>'), ("text behind the quote", '<"a"b@client.example>'),
    ("bad IPv4 literal", "<a@[192.0.2.300]>"), ("open literal", "<a@[192.0.2.1>"),
    ("bad IPv6 literal", "<a@[IPv6:12345::]>"), ("comment", "<a(c)@client.example>"),
    ("two addresses", "<a@client.example,b@client.example>"), ("bracket inside", "<a<b@client.example>"),
    ("control character", b"<a\x01b@client.example>"), ("delete", b"<a\x7fb@client.example>"),
    ("tab", b"<a\tb@client.example>"),
]
LENIENT_SENDERS = [
    ("dot first", "<.a@client.example>"), ("dot last", "<a.@client.example>"),
    ("two dots", "<a..b@client.example>"), ("domain begins with a hyphen", "<a@-client.example>"),
    ("domain ends in a hyphen", "<a@client-.example>"), ("domain begins with a dot", "<a@.client.example>"),
    ("domain ends in a dot", "<a@client.example.>"), ("no domain", "<a>"),
    ("literal without IPv6:", "<a@[2001:db8::1]>"), ("literal of an unknown tag", "<a@[x-y:z]>"),
]

CASES = [
    each("reverse-paths that are right", MAILBOX, senders("250 2.1.0", GOOD_SENDERS)),
    each("quoted local parts", MAILBOX, senders("250 2.1.0", QUOTED_SENDERS)),
    each("address literals", "5321 §4.1.3", senders("250 2.1.0", LITERALS)),
    case("a source route before the sender is taken and ignored", "5321 App. C",
         say("MAIL FROM:<@r1.example,@r2.example:$SENDER>", "250 2.1.0")),
    each("reverse-paths that are wrong", MAILBOX, senders("501 5.1.7", BAD_SENDERS, also=("553", "550", "500")),
         why="§4.1.2: no Reverse-path; §4.2.3 gives 501 (or 553) for it"),
    each("reverse-paths that are wrong, and mended by some", MAILBOX,
         senders("501 5.1.7", LENIENT_SENDERS, also=("553", "550", "250")),
         why="§4.1.2: not in the grammar; a server that takes them will pass on what others refuse"),
    case("a reverse-path without brackets", "5321 §3.3",
         say("MAIL FROM:$SENDER", "501 5.1.7", also=("250",)),
         why="§4.1.2: Path begins with \"<\"; to take it all the same does no harm"),
    case("a reverse-path without its first bracket", "5321 §3.3", say("MAIL FROM:$SENDER>", "501 5.1.7"),
         why="§4.1.2: Path begins with \"<\""),
    case("text behind the path, without a space", "5321 §4.1.2",
         say("MAIL FROM:<$SENDER>SIZE=1", "501 5.5.4"),
         why="§4.1.1.2 has SP before the parameters"),
    case("two reverse-paths", "5321 §4.1.1.2", say("MAIL FROM:<$SENDER> <$SENDER>", "501 5.5.4", also=("555",))),
    case("a space behind the colon", "5321 §3.3", say("MAIL FROM: <$SENDER>", "250 2.1.0", also=("501",)),
         why="§3.3 forbids the space to clients; servers may let it pass"),
    case("spaces at the end of the line", "5321 §4.1.1", say("MAIL FROM:<$SENDER>  ", "250 2.1.0")),
    each("MAIL without a path", "5321 §4.1.1.2", [
        play(line, say(line, "501 5.5.4")) for line in ("MAIL", "MAIL FROM", "MAIL TO:<$SENDER>", "MAIL <$SENDER>")]),
    case("MAIL FROM: and nothing", "5321 §4.1.1.2", say("MAIL FROM:", "501 5.1.7")),
    each("RCPT without a path", "5321 §4.1.1.3", [
        play(line, MAIL, say(line, "501 5.5.4")) for line in ("RCPT", "RCPT TO", "RCPT FROM:<$RCPT>", "RCPT <$RCPT>")]),
    case("RCPT TO: and nothing", "5321 §4.1.1.3", MAIL, say("RCPT TO:", "501 5.1.3")),
    case("RCPT to the null path", "5321 §4.1.1.3", MAIL, say("RCPT TO:<>", "501 5.1.3", also=("5xx",))),
    each("forward-paths that are wrong", MAILBOX, recipients("501 5.1.3", [
        ("no domain", "<$LOCAL@>"), ("no local part", "<@$DOMAIN>"), ("open", "<$RCPT"),
        ("space", "<$LOCAL x@$DOMAIN>"), ("empty label", "<$LOCAL@a..$DOMAIN>"), ("empty route", "<@:$RCPT>"),
        ("route without colon", "<@a.example $RCPT>"), ("open quote", '<"$RCPT>')], also=("553", "550", "554")),
         why="§4.1.2: no Forward-path; A-d-l has at least one domain"),
    each("postmaster needs no domain", "5321 §4.5.1", recipients("250 2.1.5", [
        ("lower", "<postmaster>"), ("mixed", "<Postmaster>"), ("upper", "<POSTMASTER>")])),
    case("postmaster of the domain", "5321 §4.5.1", MAIL, say("RCPT TO:<postmaster@$DOMAIN>", "250 2.1.5")),
    case("no other recipient goes without a domain", "5321 §2.3.5", MAIL,
         say("RCPT TO:<$LOCAL>", "501 5.1.3", also=("250", "550", "4xx")),
         why="§2.3.5: only postmaster; Postfix adds its own domain for what local programs send"),
    case("the recipient's domain in capitals", "5321 §2.4", MAIL, say("RCPT TO:<$LOCAL@EXAMPLE.ORG>", "250 2.1.5"),
         server="ours"),
    case("a quoted local part is the same mailbox", "5321 §4.1.2", MAIL,
         say('RCPT TO:<"$LOCAL"@$DOMAIN>', "250 2.1.5"), DATA, content(), stores=CONTENT),
    case("a quoted pair is the character", "5321 §4.1.2", MAIL,
         say('RCPT TO:<"\\a\\l\\i\\c\\e"@$DOMAIN>', "250 2.1.5"), DATA, content(), stores=CONTENT, server="ours"),
    case("a source route before our recipient is ignored", "5321 §3.3, App. C", MAIL,
         say("RCPT TO:<@elsewhere.example,@far.example:$RCPT>", "250 2.1.5", also=("550", "553", "501")),
         DATA, content(), stores=CONTENT),
    case("an address that does not exist", "5321 §4.2.3", MAIL, say("RCPT TO:<$UNKNOWN>", "550 5.1.1")),
    case("a stranger may not relay", "5321 §7.9", MAIL, say("RCPT TO:<$OUTSIDE>", "550 5.7.1", also=("554", "551", "454"))),
    each("a stranger may not relay in disguise", "5321 §3.6.1, App. C", recipients("5xx", also=("454",), paths=[
        ("route through us", "<@$DOMAIN:$OUTSIDE>"), ("two hops", "<@$DOMAIN,@$DOMAIN:$OUTSIDE>"),
        ("percent", "<someone%outside.example@$DOMAIN>"), ("bang", "<outside.example!someone@$DOMAIN>"),
        ("quoted at", '<"$OUTSIDE"@$DOMAIN>'), ("quoted percent", '<"someone%outside.example"@$DOMAIN>'),
        ("literal", "<someone@[192.0.2.1]>")])),
    each("EHLO with a name that is right", "5321 §4.1.3", [
        play(name[:20], say(f"EHLO {name}", "250"), hello=HELLO_NONE) for name in
        ("client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "x", "CLIENT.EXAMPLE", "a-b.example")]),
    each("EHLO with a name that is wrong but harmless", "5321 §4.1.4", [
        play(name, say(f"EHLO {name}", "250", also=("501", "550")), hello=HELLO_NONE) for name in
        ("under_score.example", "two..dots", "-hyphen", "192.0.2.1", "[192.0.2", "localhost.")],
         why="§4.1.4: a server MUST NOT refuse mail because the name does not verify"),
    each("EHLO without a name", "5321 §4.1.1.1", [
        play(repr(line), say(line, "501 5.5.4"), hello=HELLO_NONE) for line in ("EHLO", "EHLO ", "HELO", "HELO  ")]),
    each("EHLO with what is no name", "5321 §4.1.1.1", [
        play(label, say(b"EHLO " + name, "501 5.5.4", also=("250", "5xx")), hello=HELLO_NONE) for label, name in
        (("two words", b"client example"), ("control character", b"cli\x01ent"), ("tab", b"cli\tent"),
         ("half a UTF-8 character", b"cli\xc3"), ("Latin-1", b"cli\xe4nt.example"))]),
    case("EHLO with a name of 255 octets", "5321 §4.5.3.1.2", say("EHLO " + long_domain(255), "250"), hello=HELLO_NONE),
    case("EHLO with a name of 256 octets", "5321 §4.5.3.1.2",
         say("EHLO " + long_domain(256), "501 5.5.4", also=("250", "500")), hello=HELLO_NONE),
    each("verbs in any case", "5321 §2.4", [
        play(label, say(form("ehlo client.example"), "250"), say(form("mail from:") + "<$SENDER>", "250 2.1.0"),
             say(form("rcpt to:") + "<$RCPT>", "250 2.1.5"), say(form("noop"), "250 2.0.0"),
             say(form("vrfy") + " x", "252|550|502|4xx"), say(form("data"), "354 -"), content(),
             say(form("rset"), "250 2.0.0"), say(form("quit"), "221 2.0.0", "close"), hello=HELLO_NONE, stores=CONTENT)
        for label, form in (("lower", str.lower), ("upper", str.upper), ("mixed", lambda t: t.title().swapcase()))]),
    each("a verb that does not exist", "5321 §4.2.4", [
        play(repr(line), say(line, "500 5.5.2", also=("502", "503", ("221", "close"))), NOOP) for line in
        ("XYZZY", "MAILFROM:<$SENDER>", "NOOPX", "EHLOclient.example", "RCPT\tTO:<$RCPT>")]),
    case("an empty line", "5321 §4.1.1", say("", "500 5.5.2", also=("502", "501")), NOOP),
    case("a line of spaces", "5321 §4.1.1", say("    ", "500 5.5.2", also=("502", "501")), NOOP),
    case("a space before the verb", "5321 §4.1.1", say(" NOOP", "500 5.5.2", also=("250", "502")),
         why="§4.1.1 has no space there; no harm in taking it"),
    case("several spaces behind the verb", "5321 §4.1.1", say("MAIL   FROM:<$SENDER>", "250 2.1.0", also=("501",))),
    case("a tab behind a verb is white space at the end", "5321 §4.1.1", say("NOOP\t", "250 2.0.0", also=("500", "501"))),
    each("octets that no verb has", "5321 §4.1.1", [
        play(repr(verb), say(verb, "500 5.5.2", also=("502", "501", ("5xx", "close"), ("221", "close"))))
        for verb in (b"\x80\x81\x82\x83", b"N\xd6OP", b"\x01NOOP", b"\x16\x03\x01\x02\x00", b"\xff" * 40)]),
    each("NUL in a command", "5321 §4.1.1", [
        play(repr(line), say(line, "5xx", also=("250",))) for line in
        (b"\0", b"NO\0OP", b"NOOP \0", b"MAIL FROM:<a\0@client.example>", b"EHLO \0", b"DATA\0")],
         why="§4.1.1: no command has a NUL; what stands behind it may be read differently by others"),
    case("NOOP with words behind", "5321 §4.1.1.9", say("NOOP some words here", "250 2.0.0", also=("501",))),
    case("NOOP with UTF-8 behind", "5321 §4.1.1.9", say("NOOP grüße", "250 2.0.0", also=("500", "501"))),
    each("arguments where none belong", "5321 §4.1.1", [
        play(verb, *steps, say(f"{verb} now", "501 5.5.4", also=also), *more) for verb, steps, also, more in
        (("DATA", ENVELOPE, (), (DATA, content())),
         ("RSET", ENVELOPE, ("250",), (DATA, content())), ("QUIT", (), (("221", "close"),), (NOOP,)))],
         why="§4.1.1: DATA, RSET and QUIT take none, and a server SHOULD reject them with one"),
    case("VRFY without an argument", "5321 §4.1.1.6", say("VRFY", "501 5.5.4", also=("502",))),
    case("HELP with a topic", "5321 §4.1.1.8", say("HELP MAIL", "214 2.0.0", also=("502", "500"))),
    case("HELP with a topic that does not exist", "5321 §4.1.1.8",
         say("HELP XYZZY", "504 5.5.4", also=("214", "502", "500"))),
    each("a bare LF in a command, at each position", "5321 §2.3.8", [
        play(label, raw(line, *CUT_OFF, also=ALSO_CUT)) for label, line in inserted(b"NOOP wait\r\n", b"\n", 0, 10)],
         why="§2.3.8: a line ends in CRLF alone, and LF stands nowhere else; who takes LF for an end reads "
             "two commands where others read one"),
    each("a bare CR in a command, at each position", "5321 §2.3.8", [
        play(label, raw(line, *CUT_OFF, also=ALSO_CUT)) for label, line in inserted(b"NOOP wait\r\n", b"\r", 0, 9)],
         why="§2.3.8: CR stands before LF alone"),
    case("two CR before LF", "5321 §2.3.8", raw(b"NOOP\r\r\n", *CUT_OFF, also=ALSO_CUT)),
    each("a command that ends otherwise than in CRLF", "5321 §2.3.8", [
        play(label, raw(b"NOOP" + end + b"RSET\r\n", *CUT_OFF, also=ALSO_CUT))
        for label, end in (("LF", b"\n"), ("CR", b"\r"), ("LF CR", b"\n\r"), ("vertical tab", b"\r\x0b\n"))],
         why="§2.3.8: a server MUST NOT take a lone LF or CR for the end of a line"),
    case("behind a bare LF no command is obeyed", "5321 §2.3.8",
         raw(b"NOOP\nMAIL FROM:<forged@$DOMAIN>\r\nRCPT TO:<$RCPT>\r\nDATA\r\n" + CONTENT + b".\r\n", *CUT_OFF,
             also=(("250", "250", "250", "354", "250"), ("250", "250", "250", "354"), "500", "501", "502")),
         stores_nothing=True,
         why="§2.3.8; what a filter before us took for one line would be two"),
]
