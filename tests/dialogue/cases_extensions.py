"""PIPELINING, ENHANCEDSTATUSCODES, 8BITMIME, SMTPUTF8, DSN: their parameters, and when they are allowed."""
from script import (CONTENT, DATA, ENVELOPE, HEADER, HELLO_HELO, HELLO_NONE, MAIL, NOOP, QUIT, RCPT, RSET, case, content,
                    cuts, each, inserted, play, raw, say)

BAD = "501 5.5.4"
UNKNOWN = "555 5.5.4"
EARLY = ("554 5.5.0", "close")
WHY_EARLY = ("2920 §3.1 lets a client send ahead only when EHLO has offered it, and nothing behind EHLO, DATA or the like; "
             "what a server does with those who do is its own affair")
PIPED = ("PIPELINING",)
DSN = ("DSN",)
UTF8 = ("SMTPUTF8",)
BODY = ("8BITMIME",)


def mails(answer, parameters, also=()):
    """A play for each parameter of MAIL."""
    return [play(label[:40], say("MAIL FROM:<$SENDER> " + text, answer, also=also)) for label, text in _labelled(parameters)]


def rcpts(answer, parameters, also=()):
    return [play(label[:40], MAIL, say("RCPT TO:<$RCPT> " + text, answer, also=also)) for label, text in _labelled(parameters)]


def _labelled(parameters):
    return [(one, one) if isinstance(one, str) else one for one in parameters]


GROUP = raw(b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\nNOOP\r\nRCPT TO:<$UNKNOWN>\r\nRCPT TO:<$RCPT2>\r\nDATA\r\n",
            "250 2.1.0", "250 2.1.5", "250 2.0.0", "550 5.1.1", "250 2.1.5", "354 -")

CASES = [
    *[case(f"EHLO offers {keyword}", rfc, say("EHLO client.example", "250", has=("\n" + keyword,)), hello=HELLO_NONE,
           server="ours") for keyword, rfc in (
               ("PIPELINING", "2920 §3.2"), ("SIZE ", "1870 §3"), ("8BITMIME", "6152 §2"), ("SMTPUTF8", "6531 §3.1"),
               ("ENHANCEDSTATUSCODES", "2034 §3"), ("DSN", "3461 §3"), ("CHUNKING", "3030 §2"), ("BINARYMIME", "3030 §3"),
               ("LIMITS RCPTMAX=", "9422 §4"))],
    # PIPELINING.
    case("replies to a group come in order", "2920 §3.2", GROUP, content(), needs=PIPED, stores=CONTENT),
    each("a group, cut everywhere", "2920 §3.2", [
        play(label, step, content(), stores=CONTENT) for label, step in cuts(GROUP)], needs=PIPED),
    case("a group that ends in a refused DATA", "2920 §3.1",
         raw(b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$UNKNOWN>\r\nDATA\r\n", "250 2.1.0", "550 5.1.1", "554 5.5.1",
             also=(("250", "550", "503"),)), RSET, *ENVELOPE, DATA, content(), needs=PIPED, stores=CONTENT),
    case("a group whose MAIL is refused", "2920 §3.1",
         raw(b"MAIL FROM:<a@>\r\nRCPT TO:<$RCPT>\r\nDATA\r\n", "501 5.1.7", "503 5.5.1", "503 5.5.1",
             also=(("501|553", "503", "503|554"),)), NOOP, needs=PIPED),
    case("RSET before MAIL in one go", "2920 §3.1", raw(b"RSET\r\nMAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\nDATA\r\n",
                                                       "250 2.0.0", "250 2.1.0", "250 2.1.5", "354 -"), content(),
         needs=PIPED, stores=CONTENT),
    case("an unknown command in a group", "2920 §3.2", raw(b"NOOP\r\nXYZZY\r\nNOOP\r\n", "250 2.0.0", "500 5.5.2", "250 2.0.0",
                                                         also=(("250", "502", "250"),)), needs=PIPED),
    case("QUIT in a group is the last command", "5321 §4.1.1.10",
         raw(b"NOOP\r\nQUIT\r\nNOOP\r\nMAIL FROM:<$SENDER>\r\n", "250 2.0.0", "221 2.0.0", "close"), needs=PIPED),
    case("half a line behind a group waits", "2920 §3.2", raw(b"NOOP\r\nNO", "250 2.0.0"), raw(b"OP\r\n", "250 2.0.0"),
         needs=PIPED),
    case("content sent behind DATA", "2920 §3.1", *ENVELOPE, raw(b"DATA\r\n" + CONTENT + b".\r\n", *EARLY,
                                                               also=(("354", "250"), ("354", "554"))),
         needs=PIPED, why=WHY_EARLY, stores_nothing=False),
    case("commands behind a DATA that is refused", "2920 §3.1", MAIL,
         raw(b"DATA\r\nRCPT TO:<$RCPT>\r\n", "503 5.5.1", "close", also=(("503|554", "250"),)), needs=PIPED, why=WHY_EARLY),
    case("commands behind EHLO", "2920 §3.1", raw(b"EHLO client.example\r\nMAIL FROM:<$SENDER>\r\n", *EARLY,
                                                 also=(("250", "250"),)), hello=HELLO_NONE, why=WHY_EARLY),
    case("commands behind a second EHLO", "2920 §3.1", raw(b"EHLO client.example\r\nNOOP\r\n", *EARLY, also=(("250", "250"),)),
         why=WHY_EARLY),
    case("pipelining in a session of HELO", "2920 §3.1", raw(b"MAIL FROM:<$SENDER>\r\nRCPT TO:<$RCPT>\r\n", *EARLY,
                                                           also=(("250", "250"),)), hello=HELLO_HELO, why=WHY_EARLY),
    case("pipelining before any hello", "2920 §3.1", raw(b"NOOP\r\nNOOP\r\n", *EARLY, also=(("250", "250"),)),
         hello=HELLO_NONE, why=WHY_EARLY),
    each("a line, cut everywhere", "5321 §2.3.8", [
        play(label, step, NOOP) for label, step in cuts(say("MAIL FROM:<$SENDER> SIZE=100 BODY=8BITMIME", "250 2.1.0"),
                                                        1, 15)], needs=("SIZE", "8BITMIME")),
    # ENHANCEDSTATUSCODES: the player looks at the form of every reply; here are the codes.
    case("every line of a reply has its enhanced code", "2034 §4", say("HELP", "214 2.0.0", also=("500", "502"))),
    case("EHLO and 354 have none", "2034 §4", say("EHLO client.example", "250 -"), *ENVELOPE, DATA, content(), stores=CONTENT),
    # 8BITMIME, BINARYMIME.
    each("BODY=", "6152 §2", mails("250 2.1.0", ("BODY=7BIT", "BODY=8BITMIME", "body=8bitmime", "Body=7bit")), needs=BODY),
    each("BODY= with what does not exist", "6152 §2", mails(BAD, ("BODY=9BIT", "BODY=", "BODY", "BODY=8BITMIME,7BIT",
                                                                 "BODY=8 BITMIME"), also=("555", "504")), needs=BODY),
    case("BODY= twice", "5321 §4.1.1.11", say("MAIL FROM:<$SENDER> BODY=7BIT BODY=8BITMIME", BAD, also=("250", "555")),
         needs=BODY, why="no RFC forbids it"),
    case("8-bit text with BODY=8BITMIME", "6152 §3", say("MAIL FROM:<$SENDER> BODY=8BITMIME", "250 2.1.0"), RCPT, DATA,
         content(HEADER + "grüße ☂\r\n".encode()), needs=BODY, stores=HEADER + "grüße ☂\r\n".encode()),
    case("8-bit text with BODY=7BIT", "6152 §3", say("MAIL FROM:<$SENDER> BODY=7BIT", "250 2.1.0"), RCPT, DATA,
         content(HEADER + b"\xe4\r\n", "250 2.0.0", also=("554", "550")), needs=BODY, stores=HEADER + b"\xe4\r\n"),
    # SMTPUTF8.
    each("UTF-8 in the sender with SMTPUTF8", "6531 §3.3", [
        play(label, say(f"MAIL FROM:<{address}> SMTPUTF8", "250 2.1.0")) for label, address in (
            ("local part", "grüße@client.example"), ("domain", "a@bücher.example"), ("both", "用户@例子.example"),
            ("quoted", '"grü ße"@client.example'), ("none", "a@client.example"), ("A-label", "a@xn--bcher-kva.example"))],
         needs=UTF8),
    each("UTF-8 in the sender without SMTPUTF8", "6531 §3.5", [
        play(label, say(f"MAIL FROM:<{address}>", "553 5.6.7", also=("550", "501", "5xx"))) for label, address in (
            ("local part", "grüße@client.example"), ("domain", "a@bücher.example"), ("quoted", '"grü ße"@client.example'))],
         why="6531 §3.5: without SMTPUTF8 the address is not valid and is refused (553 5.6.7, or 550)"),
    each("what is no UTF-8, with SMTPUTF8", "6531 §3.3", [
        play(label, say(b"MAIL FROM:<" + address + b"@client.example> SMTPUTF8", "501 5.1.7", also=("5xx",)))
        for label, address in (("Latin-1", b"gr\xfc\xdfe"), ("cut off", b"a\xc3"), ("overlong", b"a\xc0\xaf"),
                               ("surrogate", b"\xed\xa0\x80"), ("beyond", b"\xf4\x90\x80\x80"), ("continuation", b"\x80"))],
         needs=UTF8),
    case("SMTPUTF8 takes no value", "6531 §3.4", say("MAIL FROM:<$SENDER> SMTPUTF8=YES", BAD, also=("555", "501")), needs=UTF8),
    case("smtputf8 in lower case", "5321 §2.4", say("MAIL FROM:<grüße@client.example> smtputf8", "250 2.1.0"), needs=UTF8),
    case("SMTPUTF8 behind other parameters", "6531 §3.4",
         say("MAIL FROM:<grüße@client.example> BODY=8BITMIME SIZE=10 SMTPUTF8", "250 2.1.0"), needs=UTF8),
    case("SMTPUTF8 inside the quoted sender is no parameter", "6531 §3.4",
         say('MAIL FROM:<"ü SMTPUTF8 "@client.example>', "553 5.6.7", also=("5xx",)), needs=UTF8,
         why="6531 §3.5, as above"),
    case("UTF-8 in a recipient with SMTPUTF8", "6531 §3.3", say("MAIL FROM:<$SENDER> SMTPUTF8", "250 2.1.0"),
         say("RCPT TO:<grüße@$DOMAIN>", "550 5.1.1"), needs=UTF8),
    case("UTF-8 in a recipient without SMTPUTF8", "6531 §3.5", MAIL,
         say("RCPT TO:<grüße@$DOMAIN>", "553 5.6.7", also=("550", "501"))),
    case("SMTPUTF8 holds for one transaction", "6531 §3.4", say("MAIL FROM:<$SENDER> SMTPUTF8", "250 2.1.0"), RSET, MAIL,
         say("RCPT TO:<grüße@$DOMAIN>", "553 5.6.7", also=("550", "501")), needs=UTF8),
    case("SMTPUTF8 in a session of HELO", "6531 §3.2", say("MAIL FROM:<$SENDER> SMTPUTF8", UNKNOWN, also=("250", "501", "504")),
         hello=HELLO_HELO, why="§4.1.1.11 of 5321 lets a server refuse parameters of a client that did not say EHLO"),
    case("UTF-8 in a header with SMTPUTF8", "6531 §3.6", say("MAIL FROM:<grüße@client.example> SMTPUTF8", "250 2.1.0"), RCPT, DATA,
         content(b"Subject: $TOKEN \xc3\xbc\r\n\r\ntext\r\n"), needs=UTF8, stores=b"Subject: $TOKEN \xc3\xbc\r\n\r\ntext\r\n"),
    case("VRFY with UTF-8", "6531 §3.7.4.2", say("VRFY grüße", "252 2.1.5", also=("550", "553", "501", "502", "500", "4xx")),
         say("VRFY $LOCAL SMTPUTF8", "252 2.1.5", also=("550", "502", "501", "4xx")), needs=UTF8),
    # DSN.
    each("RET=", "3461 §4.3", mails("250 2.1.0", ("RET=FULL", "RET=HDRS", "ret=hdrs", "Ret=Full")), needs=DSN),
    each("RET= that is wrong", "3461 §4.3", mails(BAD, ("RET=", "RET", "RET=NONE", "RET=FULL,HDRS", "RET=HDRS RET=FULL",
                                                        "RET=FULL RET=FULL"), also=("555",)), needs=DSN,
         why="3461 §4.3: FULL or HDRS, and at most once"),
    each("ENVID=", "3461 §4.4", mails("250 2.1.0", ("ENVID=QQ314159", "ENVID=a+2Bb+3Dc", "envid=x", "ENVID=" + "e" * 100,
                                                    ("space", "ENVID=a+20b"))), needs=DSN),
    each("ENVID= that is wrong", "3461 §4.4", mails(BAD, (
        "ENVID=", "ENVID", "ENVID=+", "ENVID=+2", "ENVID=+zz", "ENVID=+2b", ("101 octets", "ENVID=" + "e" * 101), "ENVID=a=b",
        "ENVID=x ENVID=y", ("NUL", "ENVID=+00"), ("line break", "ENVID=a+0D+0Ab"), ("8 bits", "ENVID=+E4")),
        also=("555", "250")), needs=DSN,
         why="3461 §4.4: xtext of printable ASCII in upper-case hex, at most 100; what is taken here ends up in a header "
             "field of a notice"),
    each("NOTIFY=", "3461 §4.1", rcpts("250 2.1.5", (
        "NOTIFY=NEVER", "NOTIFY=SUCCESS", "NOTIFY=FAILURE", "NOTIFY=DELAY", "NOTIFY=SUCCESS,FAILURE",
        "NOTIFY=DELAY,FAILURE,SUCCESS", "notify=failure", "Notify=Never")), needs=DSN),
    each("NOTIFY= that is wrong", "3461 §4.1", rcpts(BAD, (
        "NOTIFY=", "NOTIFY", "NOTIFY=ALWAYS", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SUCCESS,NEVER", "NOTIFY=SUCCESS,",
        "NOTIFY=,SUCCESS", "NOTIFY=SUCCESS;FAILURE", "NOTIFY=SUCCESS NOTIFY=DELAY", "NOTIFY=NEVER,NEVER,DELAY"),
        also=("555", "250")), needs=DSN, why="3461 §4.1: NEVER alone, or a list of the others, once"),
    each("ORCPT=", "3461 §4.2", rcpts("250 2.1.5", (
        "ORCPT=rfc822;bob@example.net", "ORCPT=RFC822;bob+2Btag@example.net", "orcpt=rfc822;x", "ORCPT=x400;+2FC+3Dus",
        ("500 octets", "ORCPT=rfc822;" + "o" * 493))), needs=DSN),
    each("ORCPT= that is wrong", "3461 §4.2", rcpts(BAD, (
        "ORCPT=", "ORCPT", "ORCPT=rfc822", "ORCPT=;bob@example.net", "ORCPT=rfc822;", "ORCPT=rfc822;a+", "ORCPT=rfc822;a+2",
        "ORCPT=rfc822;a+zz", "ORCPT=rfc822;a+2b", "ORCPT=rfc822;a=b", ("501 octets", "ORCPT=rfc822;" + "o" * 494),
        ("line break", "ORCPT=rfc822;a+0D+0Ab"), ("type with a space", "ORCPT=rfc+20822;a"),
        "ORCPT=rfc822;a ORCPT=rfc822;b"), also=("555", "250")), needs=DSN,
         why="3461 §4.2: type, semicolon, xtext, at most 500 octets, once"),
    each("ORCPT=utf-8", "6533 §3", [
        play(label, say("MAIL FROM:<$SENDER>" + mail, "250 2.1.0"), say("RCPT TO:<$RCPT> ORCPT=utf-8;" + address, answer,
                                                                     also=("501", "250")))
        for label, mail, address, answer in (
            ("escaped", " SMTPUTF8", r"a\x{FC}b@example.net", "250 2.1.5"), ("plain", " SMTPUTF8", "aüb@example.net", "250 2.1.5"),
            ("escaped, without SMTPUTF8", "", r"a\x{FC}b@example.net", "250 2.1.5"),
            ("plain, without SMTPUTF8", "", "aüb@example.net", BAD),
            ("not closed", " SMTPUTF8", r"a\x{FCb", BAD), ("no character", " SMTPUTF8", r"a\x{D800}", BAD))],
         needs=DSN + UTF8, why="6533 §3"),
    case("all parameters at once", "3461 §4", say("MAIL FROM:<$SENDER> SIZE=500 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x", "250 2.1.0"),
         say("RCPT TO:<$RCPT> NOTIFY=FAILURE,DELAY ORCPT=rfc822;$RCPT", "250 2.1.5"), DATA, content(), needs=DSN + UTF8 + BODY,
         stores=CONTENT),
    case("a MAIL and RCPT as long as the extensions make them", "3461 §4",
         say("MAIL FROM:<$SENDER> ENVID=" + "e" * 100 + " " * 500, "250 2.1.0"),
         say("RCPT TO:<$RCPT> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + "o" * 493 + " " * 400, "250 2.1.5"), needs=DSN),
    each("parameters of MAIL at RCPT", "5321 §4.1.1.11", rcpts(UNKNOWN, (
        "SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=x"), also=("501", "504"))),
    each("parameters of RCPT at MAIL", "5321 §4.1.1.11", mails(UNKNOWN, ("NOTIFY=NEVER", "ORCPT=rfc822;a"), also=("501", "504"))),
    each("parameters that nobody knows", "5321 §4.1.1.11", mails(UNKNOWN, ("X", "X=1", "XYZZY=a", "SIZEE=1", "8BITMIME", "MT-PRIORITY=3",
                                                                          "HOLDFOR=60", "REQUIRETLS", "BY=120;R"),
                                                                also=("501", "504"))),
    each("parameters that nobody knows at RCPT", "5321 §4.1.1.11", rcpts(UNKNOWN, ("X", "X=1", "NOTIFYY=NEVER", "RRVS=2014"),
                                                                        also=("501", "504"))),
    each("parameters that are no parameters", "5321 §4.1.2", mails(BAD, ("=", "=x", "-x=1", "SIZE=1=2", "a_b=1", "a.b", "SIZE =1",
                                                                        "SIZE= 1", "<>", '"x"'), also=("555", "504"))),
    each("an octet that belongs in no parameter", "5321 §4.1.2", [
        play(label, raw(octets, BAD, also=("555", "5xx"))) for label, octets in
        inserted(b"MAIL FROM:<a@client.example> ENVID=x\r\n", b"\x01", 35, 37)], needs=DSN),
    case("a parameter refused leaves MAIL undone", "5321 §4.1.1.11", say("MAIL FROM:<$SENDER> X=1", UNKNOWN, also=("501", "504")),
         say("RCPT TO:<$RCPT>", "503 5.5.1"), *ENVELOPE, DATA, content(), stores=CONTENT),
    case("a parameter refused leaves the transaction as it was", "5321 §4.1.1.11", *ENVELOPE,
         say("RCPT TO:<$RCPT2> X=1", UNKNOWN, also=("501", "504")), DATA, content(), stores=CONTENT),
    case("AUTH= where it is not offered", "4954 §5", say("MAIL FROM:<$SENDER> AUTH=<>", UNKNOWN, also=("501", "503", "250"))),
    case("several spaces between parameters", "5321 §4.1.2", say("MAIL FROM:<$SENDER>  SIZE=1   BODY=7BIT", "250 2.1.0",
                                                                also=("501", "555")), needs=("SIZE", "8BITMIME")),
    case("QUIT is answered before the connection ends", "5321 §4.1.1.10", QUIT),
]
