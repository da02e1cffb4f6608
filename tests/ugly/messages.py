"""The ugly messages: every way we know in which a header, an address, a MIME tree or an encoding goes wrong, one at a time.

`all_messages` gives {name: bytes}; a name is its class, a dash, and what is wrong. scripts/ugly-mail writes them to tests/data/ugly, where they are
committed, so that a change here shows as a change of data."""

import base64

NL = b"\r\n"
SENT = b"Mon, 23 Nov 2026 10:20:30 +0100"
MESSAGES = {}


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def add(name, data):
    assert name not in MESSAGES, name
    MESSAGES[name] = as_bytes(data)


def letter(fields=(), body="Hello, needle.\r\n", without=()):
    """A message with From, To, Subject and Date unless WITHOUT them, FIELDS behind, then BODY (None: not even the empty line)."""
    plain = [("From", b"From: Anne <anne@example.org>"), ("To", b"To: bob@example.net"), ("Subject", b"Subject: ugly"), ("Date", b"Date: " + SENT)]
    fields = [fields] if isinstance(fields, (str, bytes)) else fields
    lines = [line for name, line in plain if name not in without] + [as_bytes(f) for f in fields]
    head = b"".join(line + NL for line in lines)
    return head if body is None else head + NL + as_bytes(body)


def replace(name, field, body="Hello, needle.\r\n"):
    """A message whose field NAME is FIELD instead."""
    return letter(field, body, without=(name,))


def typed(content_type, body="Hello, needle.\r\n", *more):
    return letter(["MIME-Version: 1.0", b"Content-Type: " + as_bytes(content_type), *more], body)


def multipart(parts, boundary="b", subtype="mixed", preamble="", epilogue="", close=True, parameter=None):
    """The body of a multipart: PARTS are whole parts, header and all."""
    mark = as_bytes(boundary)
    out = as_bytes(preamble)
    for part in parts:
        out += b"--" + mark + NL + as_bytes(part) + NL
    return out + (b"--" + mark + b"--" + NL if close else b"") + as_bytes(epilogue)


TEXT = "Content-Type: text/plain\r\n\r\nneedle in a part"
HTML = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>needle</p>"


def add_headers():
    body = b"Hello, needle.\r\n"
    for name, line in {
        "no-colon": "This line has no colon", "empty-name": ": value without a name", "space-before-colon": "X-Space : needle",
        "tab-before-colon": "X-Tab\t: needle", "spaces-before-colon": "Subject2  \t : needle", "no-space-after-colon": "X-Tight:needle",
        "tab-after-colon": "X-After:\tneedle", "many-spaces": "X-Wide:      needle     ", "empty-value": "X-Empty:", "blank-value": "X-Blank:   ",
        "only-colon": ":", "name-with-space": "X Header: needle", "name-8bit": "X-Caf\u00e9: needle", "name-with-control": "X-\x01Bell: needle",
        "name-with-specials": "X-(a)<b>@c: needle", "name-digits": "12345: needle", "name-long": "X-" + "n" * 300 + ": needle",
        "value-8bit-utf8": "X-Value: caf\u00e9 needle", "value-8bit-latin": b"X-Value: caf\xe9 needle", "value-control": "X-Value: a\x07b\x1bc\x7f needle",
        "value-long": "X-Long: " + "needle " * 400, "folded": "X-Folded: nee\r\n dle", "folded-tab": "X-Folded: one\r\n\ttwo",
        "folded-blank-line": "X-Folded: one\r\n \r\n two", "folded-at-once": "X-Folded:\r\n needle", "folded-many": "X-Folded: a" + "\r\n b" * 200,
        "folded-deep": "X-Folded: one\r\n            two", "mbox-from-inside": "From anne@example.org Mon Nov 23 10:20:30 2026",
        "escaped-mbox-from": ">From anne@example.org Mon Nov 23 10:20:30 2026", "two-colons": "X-Two:: needle", "dash-name": "-: needle",
        "dot-only": ".", "looks-like-boundary": "--b", "duplicate-of-itself": "X-Same: one\r\nX-Same: two\r\nx-same: needle",
        "fields-in-odd-case": "mime-VERSION: 1.0\r\ncontent-TYPE: TEXT/HTML; CHARSET=UTF-8",
    }.items():
        add(f"header-{name}", letter(line))
    for field in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "Sender", "Reply-To", "In-Reply-To", "Bcc"):
        value = SENT.decode() if field == "Date" else f"<{field.lower()}-1@example.org>"
        add(f"header-two-{field.lower()}", letter([f"{field}: {value}", f"{field}: {value.replace('1', '2')}"], without=(field,)))
    for field in ("From", "To", "Subject", "Date"):
        add(f"header-without-{field.lower()}", letter(without=(field,)))
        add(f"header-empty-{field.lower()}", replace(field, f"{field}:"))
        add(f"header-blank-folded-{field.lower()}", replace(field, f"{field}:\r\n \r\n "))
    for field in ("Sender", "Reply-To", "Cc", "Message-ID", "In-Reply-To"):
        add(f"header-empty-{field.lower()}", letter(f"{field}:"))
    add("header-none", NL + body)
    add("header-none-and-no-empty-line", body)
    add("header-only", letter(body=None))
    add("header-only-without-end", letter(body=None)[:-2])
    add("header-only-with-empty-line", letter(body=""))
    add("header-only-empty-line", NL)
    add("header-two-empty-lines", NL + NL)
    add("header-one-byte", b"x")
    add("header-one-line-without-end", b"Subject: alone")
    add("header-starts-with-space", b" leading\r\n" + letter())
    add("header-starts-with-mbox-from", b"From anne@example.org Mon Nov 23 10:20:30 2026\r\n" + letter())
    add("header-starts-with-escaped-from", b">From anne\r\n" + letter())
    add("header-starts-with-empty-line", NL + letter())
    add("header-ends-in-spaces", letter(body=None) + b"   \r\n" + body)
    add("header-thousand-fields", letter([f"X-{n}: {n}" for n in range(1000)]))
    add("header-line-of-998", letter("X-Line: " + "l" * 990))
    add("header-line-of-20000", letter("X-Line: " + "l" * 20000))
    add("header-subject-of-20000", replace("Subject", "Subject: " + "needle " * 2900))
    add("header-received-many", letter([f"Received: from h{n}.example.org by h{n + 1}.example.org;\r\n\t{SENT.decode()}" for n in range(100)]))
    add("header-resent", letter(["Resent-From: carol@example.org", "Resent-To: dave@example.org", "Resent-Date: " + SENT.decode()]))
    add("header-crlf-cr", letter(body=None) + b"X-Cr: a\rb\r\n\r\n" + body)


ADDRESSES = {
    "plain": "anne@example.org", "angle": "<anne@example.org>", "phrase": "Anne Martin <anne@example.org>", "quoted-phrase": '"Martin, Anne" <anne@example.org>',
    "quoted-pairs": r'"A \"n\" \\ e" <anne@example.org>', "comment-name": "anne@example.org (Anne Martin)", "comment-everywhere": "(a) Anne (b) <(c) anne (d) @ (e) example.org (f)> (g)",
    "comment-nested": "anne@example.org (Anne (the (second)))", "comment-open": "anne@example.org (Anne", "comment-close": "anne@example.org Anne)",
    "quote-open": '"Anne <anne@example.org>', "angle-open": "Anne <anne@example.org", "angle-close": "Anne anne@example.org>", "angle-empty": "<>", "angle-blank": "Anne < >",
    "angle-twice": "Anne <<anne@example.org>>", "angle-two": "Anne <anne@example.org> <bob@example.net>", "no-domain": "anne", "no-domain-angle": "Anne <anne>",
    "no-local": "@example.org", "no-local-angle": "Anne <@example.org>", "at-only": "@", "at-two": "anne@home@example.org", "at-end": "anne@", "name-only": "Anne Martin",
    "dots": "a.n.n.e@example.org", "dot-first": ".anne@example.org", "dot-last": "anne.@example.org", "dot-double": "an..ne@example.org", "domain-dot-last": "anne@example.org.",
    "domain-spaces": "anne @ example . org", "domain-literal": "anne@[192.0.2.1]", "domain-literal-ipv6": "anne@[IPv6:2001:db8::1]", "domain-literal-open": "anne@[192.0.2.1",
    "quoted-local": '"anne martin"@example.org', "quoted-local-at": '"a@b"@example.org', "quoted-local-empty": '""@example.org', "quoted-local-dots": '"a".b."c"@example.org',
    "route": "<@a.example,@b.example:anne@example.org>", "route-phrase": "Anne <@a.example:anne@example.org>", "route-empty": "Anne <:anne@example.org>",
    "list": "anne@example.org, bob@example.net", "list-tight": "anne@example.org,bob@example.net", "list-empty-items": ",, anne@example.org,, bob@example.net,,",
    "list-commas-only": ",,,", "list-semicolons": "anne@example.org; bob@example.net", "list-spaces": "anne@example.org bob@example.net", "list-folded": "anne@example.org,\r\n bob@example.net",
    "list-hundred": ", ".join(f"u{n} <u{n}@example.org>" for n in range(100)), "group": "team: anne@example.org, bob@example.net;", "group-empty": "undisclosed-recipients:;",
    "group-spaces": "undisclosed recipients : ;", "group-open": "team: anne@example.org, bob@example.net", "group-two": "a: x@example.org;, b: y@example.org;", "group-quoted": '"the team": anne@example.org;',
    "group-nested": "a: b: anne@example.org;;", "group-and-more": "a: x@example.org;, anne@example.org", "group-glued": "a: x@example.org; anne@example.org", "group-nameless": ": anne@example.org;",
    "group-comment": "team (ours): anne@example.org (Anne); (end)", "group-of-nothing-but-commas": "team: ,,,;", "encoded": "=?utf-8?q?Ann=C3=A9?= <anne@example.org>",
    "encoded-quoted": '"=?utf-8?q?Ann=C3=A9?=" <anne@example.org>', "encoded-comment": "anne@example.org (=?utf-8?q?Ann=C3=A9?=)", "encoded-address": "=?utf-8?q?anne=40example=2Eorg?=",
    "encoded-comma": "=?utf-8?q?Martin=2C_Anne?= <anne@example.org>", "encoded-raw-comma": "=?utf-8?q?Martin,_Anne?= <anne@example.org>", "phrase-8bit": "Ann\u00e9 <anne@example.org>",
    "phrase-latin": b"Ann\xe9 <anne@example.org>", "phrase-dots": "J. R. R. Anne <anne@example.org>", "phrase-dot-end": "Anne Jr. <anne@example.org>", "phrase-at": "anne@home <anne@example.org>",
    "phrase-apostrophes": "'Anne' <anne@example.org>", "phrase-specials": "Anne [x] \\ <anne@example.org>", "phrase-folded": "Anne\r\n Martin\r\n <anne@example.org>", "phrase-spaces": "Anne    \t  Martin   <anne@example.org>",
    "phrase-mixed": 'Anne "the" Martin <anne@example.org>', "phrase-quotes-glued": '"Anne""Martin" <anne@example.org>', "phrase-control": "An\x01ne <anne@example.org>", "phrase-colon": "Re: Anne <anne@example.org>",
    "local-8bit": "ann\u00e9@example.org", "domain-8bit": "anne@ex\u00e4mple.org", "local-spaces": "anne martin@example.org", "mailto": "mailto:anne@example.org", "angle-mailto": "<mailto:anne@example.org>",
    "percent": "anne%example.net@example.org", "bang": "example.net!anne", "long": "a" * 900 + "@example.org", "semicolon-end": "anne@example.org;", "backslash-end": "anne@example.org\\",
    "quoted-pair-at-end": '"anne\\', "unqualified-list": "anne, bob", "numbers": "1@2", "underscore-domain": "anne@my_host.example", "quoted-cr": '"An\r\n ne" <anne@example.org>',
}


def add_addresses():
    for name, value in ADDRESSES.items():
        add(f"address-from-{name}", replace("From", b"From: " + as_bytes(value)))
    for name in ("group", "group-empty", "group-open", "list", "list-empty-items", "comment-everywhere", "route", "no-domain", "name-only", "encoded"):
        add(f"address-to-{name}", replace("To", b"To: " + as_bytes(ADDRESSES[name])))
    for field in ("Sender", "Reply-To", "Cc", "Bcc"):
        for name in ("group-empty", "list", "angle-empty", "name-only"):
            add(f"address-{field.lower()}-{name}", letter(f"{field}: {ADDRESSES[name]}"))


def add_dates():
    for name, value in {
        "plain": "Mon, 23 Nov 2026 10:20:30 +0100", "no-weekday": "23 Nov 2026 10:20:30 +0100", "wrong-weekday": "Fri, 23 Nov 2026 10:20:30 +0100", "no-seconds": "Mon, 23 Nov 2026 10:20 +0100",
        "no-zone": "Mon, 23 Nov 2026 10:20:30", "zone-name": "Mon, 23 Nov 2026 10:20:30 EST", "zone-military": "Mon, 23 Nov 2026 10:20:30 Z", "zone-ut": "Mon, 23 Nov 2026 10:20:30 UT", "zone-comment": "Mon, 23 Nov 2026 10:20:30 +0100 (CET)",
        "zone-unknown": "Mon, 23 Nov 2026 10:20:30 MEZ", "zone-huge": "Mon, 23 Nov 2026 10:20:30 +9999", "zone-colon": "Mon, 23 Nov 2026 10:20:30 +01:00", "two-digit-year": "Mon, 23 Nov 26 10:20:30 +0100", "two-digit-old": "Mon, 23 Nov 98 10:20:30 +0100",
        "three-digit-year": "Mon, 23 Nov 126 10:20:30 +0100", "year-1899": "Thu, 23 Nov 1899 10:20:30 +0100", "year-9999": "Tue, 23 Nov 9999 10:20:30 +0100", "year-10000": "Tue, 23 Nov 10000 10:20:30 +0100", "day-0": "Mon, 0 Nov 2026 10:20:30 +0100",
        "day-32": "Mon, 32 Nov 2026 10:20:30 +0100", "day-31-november": "Mon, 31 Nov 2026 10:20:30 +0100", "february-30": "Mon, 30 Feb 2026 10:20:30 +0100", "hour-25": "Mon, 23 Nov 2026 25:20:30 +0100", "second-60": "Mon, 23 Nov 2026 23:59:60 +0000",
        "asctime": "Mon Nov 23 10:20:30 2026", "iso": "2026-11-23T10:20:30+01:00", "american": "11/23/2026 10:20:30 AM", "full-month": "Mon, 23 November 2026 10:20:30 +0100", "upper": "MON, 23 NOV 2026 10:20:30 +0100", "comments": "Mon (a), 23 (b) Nov (c) 2026 10:20:30 +0100",
        "folded": "Mon,\r\n 23 Nov 2026\r\n 10:20:30 +0100", "spaces": "  Mon,   23   Nov   2026   10:20:30   +0100  ", "dashes": "Mon, 23-Nov-2026 10:20:30 +0100", "garbage": "yesterday, I think", "epoch": "1795425630", "eightbit": "Mon, 23 Nov\u00e9 2026 10:20:30 +0100",
        "quoted": '"Mon, 23 Nov 2026 10:20:30 +0100"', "long": "Mon, 23 Nov 2026 10:20:30 +0100 (" + "c" * 500 + ")",
    }.items():
        add(f"date-{name}", replace("Date", "Date: " + value))


def add_subjects():
    for name, value in {
        "q": "=?utf-8?q?caf=C3=A9_needle?=", "b": "=?utf-8?b?Y2Fmw6kgbmVlZGxl?=", "latin": "=?iso-8859-1?Q?caf=E9?=", "upper-charset": "=?UTF-8?Q?CAF=C3=89?=", "language": "=?utf-8*fr?q?caf=C3=A9?=", "two-joined": "=?utf-8?q?caf?= =?utf-8?q?=C3=A9?=",
        "two-folded": "=?utf-8?q?caf?=\r\n =?utf-8?q?=C3=A9?=", "split-character": "=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "split-base64": "=?utf-8?b?Y2Fmww==?= =?utf-8?b?qQ==?=", "word-between": "=?utf-8?q?caf=C3=A9?= and =?utf-8?q?th=C3=A9?=", "glued": "a=?utf-8?q?caf=C3=A9?=b",
        "glued-two": "=?utf-8?q?caf?==?utf-8?q?=C3=A9?=", "unknown-charset": "=?x-unknown?q?caf=E9?=", "empty-charset": "=??q?cafe?=", "unknown-encoding": "=?utf-8?x?cafe?=", "empty-text": "=?utf-8?q??=", "unfinished": "=?utf-8?q?caf=C3=A9", "unfinished-2": "=?utf-8?q?caf=C3=A9?",
        "bad-hex": "=?utf-8?q?caf=C?=", "bad-hex-2": "=?utf-8?q?caf=ZZ?=", "bad-base64": "=?utf-8?b?Y2Fm*w6k=?=", "base64-no-pad": "=?utf-8?b?Y2Fmw6k?=", "base64-pad-inside": "=?utf-8?b?Y2Fm=w6k=?=", "space-inside": "=?utf-8?q?caf=C3=A9 needle?=", "invalid-utf8": "=?utf-8?q?caf=E9_needle?=",
        "nul": "=?utf-8?q?a=00b?=", "newline": "=?utf-8?q?a=0D=0Ab?=", "iso-2022-jp": "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "gb18030": "=?gb18030?B?1tDOxA==?=", "koi8-r": "=?koi8-r?B?8NLJ18XU?=", "windows-1252": "=?windows-1252?q?=80_50?=", "utf-7": "=?utf-7?q?caf+AOk-?=", "utf-16": "=?utf-16?b?AGMAYQBmAOk=?=",
        "raw-utf8": "caf\u00e9 needle", "raw-latin": b"caf\xe9 needle", "raw-mixed": b"caf\xe9 \xc3\xa9", "long-word": "=?utf-8?q?" + "=C3=A9" * 200 + "?=", "hundred-words": "\r\n ".join(["=?utf-8?q?=C3=A9?="] * 100), "in-quotes": '"=?utf-8?q?caf=C3=A9?="', "decomposed": "=?utf-8?q?cafe=CC=81?=",
        "turkish": "=?utf-8?q?=C4=B0stanbul?=", "sharp-s": "=?utf-8?q?Stra=C3=9Fe?=", "emoji": "=?utf-8?b?8J+Ygg==?=", "underscore": "=?utf-8?q?two_words?=", "question": "=?utf-8?q?what??=", "tabs": "a\tb\t\tc", "fold-in-word": "=?utf-8?q?caf\r\n =C3=A9?=", "re-prefix": "Re: [list] =?utf-8?q?caf=C3=A9?=",
        "backslash": "a \\ b \"c\" d", "control": "a\x01b\x08c", "spaces": "   needle   ", "trailing-fold": "needle\r\n ",
    }.items():
        add(f"subject-{name}", replace("Subject", b"Subject: " + as_bytes(value)))


def add_identifiers():
    for name, line in {
        "plain": "Message-ID: <a.b@example.org>", "no-angles": "Message-ID: a.b@example.org", "spaces": "Message-ID: < a.b @ example.org >", "comment": "Message-ID: <a.b@example.org> (one)", "two": "Message-ID: <a@example.org> <b@example.org>", "open": "Message-ID: <a.b@example.org", "empty": "Message-ID: <>",
        "8bit": "Message-ID: <caf\u00e9@example.org>", "quoted": 'Message-ID: <"a b"@example.org>', "literal": "Message-ID: <a@[192.0.2.1]>", "folded": "Message-ID:\r\n <a.b@example.org>", "long": "Message-ID: <" + "i" * 900 + "@example.org>", "in-reply-to-many": "In-Reply-To: <a@example.org> <b@example.org>\r\n <c@example.org>",
        "in-reply-to-text": 'In-Reply-To: Your message of "Mon, 23 Nov 2026" <a@example.org>', "references-broken": "References: <a@example.org <b@example.org> c", "in-reply-to-folded": "In-Reply-To:\r\n\t<a@example.org>\r\n\t<b@example.org>", "no-host": "Message-ID: <abc>",
    }.items():
        add(f"identifier-{name}", letter(line))


CONTENT_TYPES = {
    "plain": "text/plain", "upper": "TEXT/PLAIN; CHARSET=US-ASCII", "no-subtype": "text", "slash-only": "/", "empty": "", "no-type": "/plain", "type-slash": "text/", "three": "text/plain/more", "spaces": "text / plain ; charset = utf-8", "comments": "text (a) / (b) plain (c); (d) charset (e) = (f) utf-8 (g)",
    "quoted-value": 'text/plain; charset="utf-8"', "quoted-pairs": r'text/plain; name="a\"b\\c"', "quote-open": 'text/plain; name="open', "no-value": "text/plain; charset=", "no-equals": "text/plain; charset", "empty-parameter": "text/plain;;; charset=utf-8;", "semicolon-end": "text/plain; charset=utf-8;", "no-semicolon": "text/plain charset=utf-8",
    "comma": "text/plain, charset=utf-8", "two-charsets": "text/plain; charset=utf-8; charset=iso-8859-1", "space-in-value": "text/plain; name=my file.txt", "specials-in-value": "text/plain; name=a@b(c).txt", "8bit-value": 'text/plain; name="caf\u00e9.txt"', "8bit-type": "t\u00e9xt/plain", "unknown": "x-what/x-ever; a=b", "single-word-x": "x-unknown",
    "folded": "text/plain;\r\n\tcharset=utf-8;\r\n name=x", "html": "text/html; charset=utf-8", "star": "text/*", "long": "text/plain; name=" + "n" * 2000, "many-parameters": "text/plain; " + "; ".join(f"p{n}={n}" for n in range(50)), "encoded-word-name": 'application/pdf; name="=?utf-8?q?caf=C3=A9.pdf?="',
    "equals-in-value": "text/plain; a=b=c", "single-quotes": "text/plain; charset='utf-8'", "value-with-slash": "text/plain; name=a/b", "control": "text/\x01plain", "message-partial": 'message/partial; id="x@example.org"; number=1; total=2', "external-body": 'message/external-body; access-type=anon-ftp; site="ftp.example.org"; name=x',
    "delivery-status": "message/delivery-status", "application": "application/octet-stream", "image": "image/png; name=x.png", "rfc822-name": "message/RFC822", "empty-quoted": 'text/plain; charset=""', "newline-in-quotes": 'text/plain; name="a\r\n b"', "parameter-8bit-latin": b'text/plain; name="caf\xe9"',
}


def add_types():
    for name, value in CONTENT_TYPES.items():
        add(f"type-{name}", typed(value))
    add("type-twice", letter(["MIME-Version: 1.0", "Content-Type: text/html", "Content-Type: text/plain"]))
    add("type-without-version", letter("Content-Type: text/html; charset=utf-8"))
    add("type-version-odd", letter(["MIME-Version: 2.7 (who knows)", "Content-Type: text/html; charset=utf-8"]))
    for name, line in {
        "id": "Content-ID: <part@example.org>", "id-bare": "Content-ID: part", "description": "Content-Description: caf\u00e9 and =?utf-8?q?th=C3=A9?=", "description-folded": "Content-Description: one\r\n two", "md5": "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "language": "Content-Language: fr, en", "language-comments": "Content-Language: fr (French), , en",
        "language-one": "Content-Language: fr", "language-empty": "Content-Language:", "location": "Content-Location: http://example.org/a b", "location-folded": "Content-Location: http://example.org/\r\n path", "disposition": "Content-Disposition: inline", "disposition-attachment": 'Content-Disposition: attachment; filename="x y.txt"; size=12', "disposition-empty": "Content-Disposition:",
        "disposition-parameters-only": "Content-Disposition: ; filename=x", "disposition-upper": "Content-Disposition: ATTACHMENT; FILENAME=X", "disposition-token": "Content-Disposition: attachment; filename=a b.txt", "disposition-date": 'Content-Disposition: attachment; creation-date="Mon, 23 Nov 2026 10:20:30 +0100"', "encoding-comment": "Content-Transfer-Encoding: (why) 7bit",
        "encoding-twice": "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64", "id-empty": "Content-ID:", "md5-empty": "Content-MD5:", "duration": "Content-Duration: 12", "disposition-quoted": 'Content-Disposition: "attachment"; filename=x',
    }.items():
        add(f"field-{name}", typed("text/plain; charset=utf-8", "Hello, needle.\r\n", line))


def add_continuations():
    for name, value in {
        "charset": "name*=utf-8''caf%C3%A9.txt", "charset-language": "name*=iso-8859-1'fr'caf%E9.txt", "no-charset": "name*=''cafe.txt", "no-quotes": "name*=cafe.txt", "bad-percent": "name*=utf-8''caf%C.txt", "bad-percent-2": "name*=utf-8''caf%ZZ.txt", "unknown-charset": "name*=x-what''caf%E9.txt", "quoted": "name*=\"utf-8''caf%C3%A9.txt\"",
        "two-pieces": 'name*0="one"; name*1="two.txt"', "pieces-reversed": 'name*1="two.txt"; name*0="one"', "pieces-gap": 'name*0="one"; name*2="three.txt"', "pieces-without-first": 'name*1="two"; name*2="three.txt"', "pieces-twice": 'name*0="one"; name*0="eno"; name*1=two', "pieces-encoded": "name*0*=utf-8''caf%C3%A9; name*1=.txt",
        "pieces-encoded-all": "name*0*=utf-8''caf%C3%A9; name*1*=%20th%C3%A9.txt", "pieces-split-character": "name*0*=utf-8''caf%C3; name*1*=%A9.txt", "pieces-late-charset": "name*0=a; name*1*=utf-8''caf%C3%A9", "both": "name=plain.txt; name*=utf-8''caf%C3%A9.txt", "both-reversed": "name*=utf-8''caf%C3%A9.txt; name=plain.txt",
        "many-pieces": "; ".join(f"name*{n}=p{n}" for n in range(40)), "leading-zero": "name*00=one; name*01=two", "big-index": "name*99999999999=x", "negative": "name*-1=x", "star-only": "*=utf-8''x", "star-zero-only": "*0=x", "charset-parameter": "charset*=us-ascii'en'utf-8", "nul": "name*=utf-8''a%00b", "newline": "name*=utf-8''a%0D%0Ab", "mixed-names": "a*0=1; b*0=2; a*1=3; b*1=4",
    }.items():
        add(f"continued-{name}", typed(f"text/plain; {value}"))
        if name in ("charset", "two-pieces", "pieces-encoded-all", "both", "pieces-gap"):
            add(f"continued-disposition-{name}", typed("text/plain", "Hello, needle.\r\n", "Content-Disposition: attachment; " + value.replace("name", "filename")))


def add_boundaries():
    def mixed(name, body, boundary="b"):
        add(f"boundary-{name}", typed(f"multipart/mixed; boundary={boundary}", body))
    two = [TEXT, HTML]
    mixed("plain", multipart(two))
    mixed("preamble-epilogue", multipart(two, preamble="preamble needle\r\n", epilogue="epilogue needle\r\n"))
    mixed("no-close", multipart(two, close=False))
    mixed("no-close-no-end", multipart(two, close=False)[:-2])
    mixed("close-without-end", multipart(two)[:-2])
    mixed("never", "no boundary here, only a needle\r\n")
    mixed("close-only", "--b--\r\n")
    mixed("open-only", "--b\r\n")
    mixed("open-only-without-end", "--b")
    mixed("empty-body", "")
    mixed("empty-parts", "--b\r\n\r\n--b\r\n--b\r\n\r\n\r\n--b--\r\n")
    mixed("part-without-header", multipart(["\r\nneedle without a header"]))
    mixed("part-header-only", multipart(["Content-Type: text/html"]))
    mixed("part-header-without-empty-line", "--b\r\nContent-Type: text/html\r\n--b\r\n\r\nneedle\r\n--b--\r\n")
    mixed("part-starts-with-text", multipart(["this is no header\r\nneedle\r\n"]))
    mixed("trailing-space", multipart(two).replace(b"--b\r\n", b"--b  \t\r\n"))
    mixed("close-trailing-space", multipart(two).replace(b"--b--", b"--b-- "))
    mixed("trailing-text", multipart(two).replace(b"--b\r\n", b"--b and more\r\n"))
    mixed("close-trailing-text", multipart(two, epilogue="needle\r\n").replace(b"--b--\r\n", b"--b-- end\r\n"))
    mixed("prefix-of-line", multipart(["\r\n--bb\r\nneedle", TEXT]))
    mixed("prefix-dash", multipart(["\r\n--b-\r\nneedle", TEXT]))
    mixed("prefix-close-arrow", multipart(two, boundary="Enmime-Test-100", epilogue="needle\r\n").replace(b"-100--\r", b"-100-->\r"), "Enmime-Test-100")
    mixed("prefix-many-dashes", multipart(two, epilogue="needle\r\n").replace(b"--b--", b"--b-----"))
    mixed("leading-space", multipart(two).replace(b"--b\r\n", b" --b\r\n"))
    mixed("inside-line", multipart(["\r\nthe --b needle --b--", TEXT]))
    mixed("single-dash", multipart(two).replace(b"--b\r\n", b"-b\r\n"))
    mixed("three-dashes", multipart(two).replace(b"--b\r\n", b"---b\r\n"))
    mixed("other-case", multipart(two, boundary="B"))
    mixed("after-close", multipart(two) + multipart([TEXT]))
    mixed("close-twice", multipart(two) + b"--b--\r\n")
    mixed("glued-to-text", multipart(two).replace(b"part\r\n--b", b"part--b"))
    mixed("first-line", multipart(two))
    mixed("empty-line-before-first", NL + multipart(two))
    mixed("quoted", multipart(two, boundary="a b"), '"a b"')
    mixed("quoted-trailing-space", multipart(two, boundary="b "), '"b "')
    mixed("quoted-pair", multipart(two, boundary='a"b'), r'"a\"b"')
    mixed("empty-quoted", multipart(two, boundary=""), '""')
    mixed("of-70", multipart(two, boundary="x" * 70), "x" * 70)
    mixed("of-71", multipart(two, boundary="x" * 71), "x" * 71)
    mixed("of-200", multipart(two, boundary="x" * 200), "x" * 200)
    mixed("specials", multipart(two, boundary="=_?:/()"), '"=_?:/()"')
    mixed("specials-unquoted", multipart(two, boundary="=_b:1"), "=_b:1")
    mixed("8bit", multipart(two, boundary="b\u00e9"), '"b\u00e9"')
    mixed("dashes", multipart(two, boundary="--"), '"--"')
    mixed("ends-in-dashes", multipart(two, boundary="b--"), '"b--"')
    mixed("plain-and-continued", multipart(two, boundary="onetwo"), 'x; boundary*0="one"; boundary*1="two"')
    add("boundary-continued", typed('multipart/mixed; boundary*0="one"; boundary*1="two"', multipart(two, boundary="onetwo")))
    add("boundary-star", typed("multipart/mixed; boundary*=us-ascii''b", multipart(two)))
    mixed("twice", multipart(two), "b; boundary=c")
    add("boundary-missing", typed("multipart/mixed", multipart(two)))
    add("boundary-no-value", typed("multipart/mixed; boundary=", multipart(two)))
    add("boundary-hundred-parts", typed("multipart/mixed; boundary=b", multipart([f"\r\npart {n}" for n in range(100)])))
    add("boundary-base64-multipart", typed("multipart/mixed; boundary=b", base64.encodebytes(multipart(two)).replace(b"\n", NL), "Content-Transfer-Encoding: base64"))
    add("boundary-quoted-printable-multipart", typed("multipart/mixed; boundary=b", multipart(two), "Content-Transfer-Encoding: quoted-printable"))
    add("boundary-8bit-multipart", typed("multipart/mixed; boundary=b", multipart(["Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\u00e9"]), "Content-Transfer-Encoding: 8bit"))


def add_nests():
    def nest(levels, make):
        part = TEXT.encode()
        for n in range(levels, 0, -1):
            part = make(n, part)
        return part
    def wrap(n, part):
        return f"Content-Type: multipart/mixed; boundary=n{n}\r\n\r\n".encode() + multipart([part], boundary=f"n{n}")
    def forward(_, part):
        return b"Content-Type: message/rfc822\r\n\r\nFrom: f@example.org\r\nSubject: inner\r\n" + part
    inner = letter(["MIME-Version: 1.0", "Content-Type: text/plain"], "inner needle\r\n", without=("Subject",)).replace(b"From", b"Subject: inner needle\r\nFrom", 1)
    for levels in (2, 5, 20, 60, 150):
        add(f"nest-multipart-{levels}", letter(["MIME-Version: 1.0", nest(levels, wrap).split(NL, 1)[0]], nest(levels, wrap).split(NL + NL, 1)[1]))
    for levels in (2, 5, 20, 60):
        whole = nest(levels, forward)
        add(f"nest-message-{levels}", letter(["MIME-Version: 1.0", whole.split(NL, 1)[0]], whole.split(NL + NL, 1)[1]))
    rfc822 = b"Content-Type: message/rfc822\r\n\r\n"
    for name, parts in {
        "message": [rfc822 + inner], "message-and-text": [TEXT, rfc822 + inner], "message-empty": [rfc822], "message-header-only": [rfc822 + b"Subject: x"], "message-of-multipart": [rfc822 + typed("multipart/alternative; boundary=i", multipart([TEXT, HTML], boundary="i"))],
        "message-of-multipart-unclosed": [rfc822 + typed("multipart/alternative; boundary=i", multipart([TEXT, HTML], boundary="i", close=False)), TEXT], "message-base64": [b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner).replace(b"\n", NL)],
        "message-quoted-printable": [b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + inner], "message-8bit": [b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner], "message-without-header": [rfc822 + b"\r\nneedle"], "message-in-message": [rfc822 + letter(["MIME-Version: 1.0", "Content-Type: message/rfc822"], inner)],
        "message-twice": [rfc822 + inner, rfc822 + inner], "message-starts-with-mbox-from": [rfc822 + b"From x Mon Nov 23 10:20:30 2026\r\n" + inner], "same-boundary": [b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + multipart([TEXT], boundary="b")],
        "boundary-prefix-of-inner-unclosed": [b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n" + multipart([TEXT, HTML], boundary="bb", close=False), TEXT],
        "boundary-prefix": [b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n" + multipart([TEXT], boundary="bb")], "inner-unclosed": [b"Content-Type: multipart/alternative; boundary=i\r\n\r\n" + multipart([TEXT, HTML], boundary="i", close=False), TEXT], "inner-without-boundary": [b"Content-Type: multipart/mixed\r\n\r\n" + multipart([TEXT], boundary="i"), TEXT],
        "inner-empty": [b"Content-Type: multipart/mixed; boundary=i\r\n\r\n", TEXT], "outer-closes-in-inner": [b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nneedle\r\n--b--\r\nmore\r\n--i--"], "report": ["Content-Type: text/plain\r\n\r\nFailed.", b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; y\r\n", b"Content-Type: text/rfc822-headers\r\n\r\nSubject: needle\r\n"],
    }.items():
        add(f"nest-{name}", typed("multipart/mixed; boundary=b", multipart(parts)))
    for subtype, parts in {
        "digest": [b"\r\n" + inner, b"\r\n" + inner], "digest-typed": [TEXT, rfc822 + inner], "digest-empty": [b"\r\n"], "signed": [TEXT, "Content-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----"], "encrypted": ["Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1", "Content-Type: application/octet-stream\r\n\r\nxx"],
        "alternative": [TEXT, HTML], "related": [HTML, "Content-Type: image/png\r\nContent-ID: <i@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="], "parallel": [TEXT, HTML], "form-data": ['Content-Disposition: form-data; name="a"\r\n\r\nneedle'], "x-unknown": [TEXT, HTML],
    }.items():
        add(f"nest-multipart-{subtype}", typed(f"multipart/{subtype.split('-')[0] if subtype.startswith('digest') else subtype}; boundary=b; micalg=pgp-sha256", multipart(parts)))
    add("nest-top-message", letter(["MIME-Version: 1.0", "Content-Type: message/rfc822"], inner))
    add("nest-top-message-empty", letter(["MIME-Version: 1.0", "Content-Type: message/rfc822"], ""))
    add("nest-top-message-base64", letter(["MIME-Version: 1.0", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"], base64.encodebytes(inner).replace(b"\n", NL)))
    add("nest-top-digest-unclosed", typed("multipart/digest; boundary=b", multipart([b"\r\n" + inner], close=False)))
    add("nest-digest-in-mixed", typed("multipart/mixed; boundary=b", multipart([TEXT, b"Content-Type: multipart/digest; boundary=d\r\n\r\n" + multipart([b"\r\n" + inner, b"\r\n" + inner], boundary="d")])))


def add_encodings():
    def encoded(name, encoding, body, content_type="text/plain; charset=utf-8"):
        add(f"encoding-{name}", typed(content_type, body, f"Content-Transfer-Encoding: {encoding}"))
    good = base64.encodebytes("café needle\r\n".encode() * 20).replace(b"\n", NL)
    for name, body in {
        "plain": good, "one-line": good.replace(NL, b"") + NL, "no-pad": b"Y2Fmw6kgbmVlZGxl\r\nYQ\r\n", "pad-too-much": b"Y2Fmw6k=====\r\n", "pad-inside": b"Y2Fmw6k=\r\nbmVlZGxl\r\n", "pad-first": b"====\r\n", "garbage-inside": b"Y2F*mw6$kgb!mVlZGxl\r\n", "spaces": b"Y2 Fm w6 kg bm Vl ZG xl\r\n",
        "one-character": b"Y\r\n", "three-characters": b"Y2F\r\n", "dashes": b"Y2Fm-w6k_\r\n", "empty": b"", "only-newlines": b"\r\n\r\n\r\n", "footer": good + b"-- \r\nmailing list footer, not encoded!\r\n", "header": b"This is base64:\r\n" + good, "8bit": b"Y2Fm\xe9w6k=\r\n", "nul-inside": b"YQBi\r\n", "lf-text": base64.b64encode(b"one\ntwo needle\n") + NL,
    }.items():
        encoded(f"base64-{name}", "base64", body)
    for name, body in {
        "plain": "caf=C3=A9 needle=\r\n joined\r\n", "lower-hex": "caf=c3=a9 needle\r\n", "bad-hex": "caf=ZZ needle\r\n", "one-hex": "caf=C\r\n", "equals-end": "needle=", "equals-alone": "a = b needle\r\n", "soft-with-spaces": "nee=  \t\r\ndle\r\n", "trailing-spaces": "needle   \t\r\n", "long-line": "needle " * 1000 + "\r\n", "8bit": "caf\u00e9 needle\r\n",
        "soft-only": "=\r\n=\r\n=\r\n", "empty": "", "nul-inside": "a=00b needle\r\n", "newline-inside": "a=0D=0Ab=0Ac needle\r\n", "equals-equals": "a==b needle\r\n", "no-end": "caf=C3=A9 needle", "utf8-split": "caf=C3=\r\n=A9 needle\r\n",
    }.items():
        encoded(f"qp-{name}", "quoted-printable", body)
    for name, value in {"upper": "BASE64", "quoted": '"base64"', "comment": "base64 (yes)", "spaces": "  base64  ", "semicolon": "base64;", "empty": "", "unknown": "x-what", "two-words": "base 64", "8-bit": "8-bit", "uuencode": "x-uuencode", "uue": "uuencode", "binary": "binary", "8bit": "8bit", "7bit-upper": "7BIT", "hex": "hex", "latin-value": "quoted-printable\u00e9"}.items():
        body = good if "64" in value else "begin 644 x\r\n#86)C\r\n`\r\nend\r\n" if "uu" in value else "caf\u00e9 needle\r\n"
        encoded(f"name-{name}", value, body)
    encoded("base64-image", "base64", good, "image/png")
    encoded("base64-html", "base64", base64.encodebytes("<p>caf&eacute; <b>nee</b>dle Zürich</p>".encode()).replace(b"\n", NL), "text/html; charset=utf-8")


def add_charsets():
    text = "Zürich café needle"
    for name, charset, codec, words in (
        ("utf-8", "utf-8", "utf-8", text), ("latin1", "iso-8859-1", "iso-8859-1", text), ("latin9", "iso-8859-15", "iso-8859-15", text + " €"), ("windows-1252", "windows-1252", "cp1252", text + " €"), ("cp850", "cp850", "cp850", text), ("macintosh", "macintosh", "mac_roman", text), ("koi8-r", "koi8-r", "koi8-r", "Привет needle"),
        ("windows-1251", "windows-1251", "cp1251", "Привет needle"), ("iso-8859-5", "iso-8859-5", "iso-8859-5", "Привет needle"), ("iso-8859-7", "iso-8859-7", "iso-8859-7", "Καλημέρα needle"), ("iso-8859-8", "iso-8859-8-i", "iso-8859-8", "שלום needle"), ("windows-1256", "windows-1256", "cp1256", "سلام needle"), ("iso-2022-jp", "iso-2022-jp", "iso2022_jp", "日本語 needle"),
        ("euc-jp", "euc-jp", "euc_jp", "日本語 needle"), ("shift-jis", "shift_jis", "shift_jis", "日本語 needle"), ("gb2312", "gb2312", "gb2312", "中文 needle"), ("gb18030", "gb18030", "gb18030", "中文 needle"), ("big5", "big5", "big5", "中文 needle"), ("euc-kr", "euc-kr", "euc_kr", "한국어 needle"), ("utf-7", "utf-7", "utf-7", text),
    ):
        body = words.encode(codec)
        encoding = "7bit" if max(body) < 128 else "8bit"
        add(f"charset-{name}", typed(f"text/plain; charset={charset}", body + NL, f"Content-Transfer-Encoding: {encoding}"))
    for name, charset, body in (
        ("unknown", "x-unknown", "café needle"), ("none-8bit", "", "café needle"), ("ascii-8bit", "us-ascii", "café needle"), ("wrong", "utf-8", "café needle".encode("latin-1")), ("upper", "UTF-8", "CAFÉ NEEDLE"), ("spaces", '" utf-8 "', "café needle"), ("utf8", "utf8", "café needle"), ("ansi", "ansi_x3.4-1968", "cafe needle"), ("binary", "binary", "café needle"),
        ("decomposed", "utf-8", "cafe\u0301 needle"), ("sharp-s", "utf-8", "STRASSE Straße"), ("turkish", "utf-8", "İstanbul ISTANBUL ıstanbul"), ("sigma", "utf-8", "ΟΔΥΣΣΕΥΣ"), ("ligature", "utf-8", "\ufb01nd the needle"), ("fullwidth", "utf-8", "ｎｅｅｄｌｅ"), ("surrogates", "utf-8", b"a\xed\xa0\x80b needle"), ("overlong", "utf-8", b"a\xc0\xafb needle"), ("beyond", "utf-8", b"a\xf4\x90\x80\x80b needle"), ("bom", "utf-8", "\ufeffcafé needle"), ("zero-width", "utf-8", "nee\u200bdle"),
    ):
        add(f"charset-{name}", typed(f"text/plain; charset={charset}" if charset else "text/plain", as_bytes(body) + NL, "Content-Transfer-Encoding: 8bit"))
    for name, codec, charset in (("utf-16", "utf-16", "utf-16"), ("utf-16le", "utf-16-le", "utf-16le"), ("utf-32", "utf-32", "utf-32")):
        add(f"charset-{name}-base64", typed(f"text/plain; charset={charset}", base64.encodebytes("café needle".encode(codec)).replace(b"\n", NL), "Content-Transfer-Encoding: base64"))


def add_bodies():
    for name, body in {
        "empty": "", "one-newline": "\r\n", "no-end": "needle", "only-newlines": "\r\n" * 50, "dots": ".\r\n..\r\n...needle\r\n.\r\n", "from-lines": "From here on needle\r\n>From there\r\n", "long-line": "needle " * 1500 + "\r\n", "long-line-without-end": "x" * 5000, "trailing-spaces": "needle   \r\n   \r\n", "tabs": "\tneedle\t\r\n", "control": "nee\x01dle \x1b[31m \x7f\r\n", "8bit": "café needle\r\n", "latin": b"caf\xe9 needle\r\n",
        "bare-cr": b"one\rtwo needle\r\n", "bare-lf": b"one\ntwo needle\r\n", "bare-lf-all": b"one\ntwo\nneedle\n", "cr-cr-lf": b"one\r\r\nneedle\r\n", "lf-cr": b"one\n\rneedle\r\n", "cr-end": b"needle\r", "lf-end": b"needle\n", "words-across-lines": "nee\r\ndle\r\n", "format-flowed": "a needle \r\nin a flow \r\n", "many-lines": "line needle\r\n" * 500, "form-feed": "one\fneedle\r\n", "all-bytes": bytes(b for b in range(1, 256) if b not in (10, 13)) + NL,
    }.items():
        add(f"body-{name}", letter(body=body))
    add("line-all-lf", letter().replace(NL, b"\n"))
    add("line-all-cr", letter().replace(NL, b"\r"))
    add("line-lf-header", letter(body=None).replace(NL, b"\n") + b"\r\nHello, needle.\r\n")
    add("line-lf-boundary", typed("multipart/mixed; boundary=b", multipart([TEXT, HTML]).replace(NL, b"\n")))
    add("line-mixed-boundary", typed("multipart/mixed; boundary=b", multipart([TEXT, HTML]).replace(b"--b\r\n", b"--b\n")))
    add("nul-body", letter(body=b"a\x00b needle\r\n"))
    add("nul-header", letter(b"X-Nul: a\x00b"))
    add("nul-alone", b"\x00")


def all_messages():
    if not MESSAGES:
        for part in (add_headers, add_addresses, add_dates, add_subjects, add_identifiers, add_types, add_continuations, add_boundaries, add_nests, add_encodings, add_charsets, add_bodies):
            part()
    return MESSAGES
