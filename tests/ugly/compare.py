"""Two servers, the same messages, the same questions: every answer in pieces that can be compared one by one.

`answers` gives {item: text} of a message on one server; an item is "SIZE", "ENVELOPE subject", "BODYSTRUCTURE 1.2 parameters", "BODY[1.MIME]",
"SEARCH BODY café" and so on. What is compared is what the answer means: quoted or literal, NIL or nil, order of parameters kept."""

from wire import Refused

ENVELOPE = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
FIELDS = b"FROM TO SUBJECT X-SPACE X-FOLDED X-SAME CONTENT-TYPE DATE"
PARTIALS = ((0, 1), (0, 100), (7, 20), (100, 50), (0, 1000000), (1000000, 10))
DEPTH_MAX = 4
PARTS_MAX = 12

# (key, field or None, what is looked for): asked of the whole mailbox at once.
PROBES = [(key, None, needle) for key in ("BODY", "TEXT") for needle in (
    "needle", "NEEDLE", "café", "CAFÉ", "Zürich", "zurich", "привет", "日本", "中文", "한국어", "Καλημέρα", "שלום", "€", "strasse", "straße", "istanbul", "οδυσσευς", "find the", "joined", "inner", "preamble", "epilogue", "boundary", "<p>", "Content-Type", "xx yy zz")]
PROBES += [("SUBJECT", None, needle) for needle in ("ugly", "café", "CAFÉ", "needle", "日本", "中文", "Привет", "€", "istanbul", "strasse", "=?utf-8", "two words", "inner", "😂", "and", "")]
PROBES += [(key, None, needle) for key in ("FROM", "TO", "CC", "BCC") for needle in ("anne", "Anné", "example.org", "martin, anne", "team", "undisclosed", "@", "")]
PROBES += [("HEADER", field, needle) for field, needle in (
    ("X-Space", "needle"), ("X-Folded", "needle"), ("X-Folded", "two"), ("X-Same", "needle"), ("X-Same", "one"), ("X-Empty", ""), ("X-Value", "café"), ("Message-ID", "a.b@example.org"), ("In-Reply-To", "b@example.org"), ("Content-Type", "café.pdf"),
    ("Content-Type", "boundary=b"), ("Content-Description", "thé"), ("Date", "Nov 2026"), ("Subject2", "needle"), ("X-Missing", ""), ("Received", "h99"), ("X-Nul", "b"))]
DATES = [b"SENTON 23-Nov-2026", b"SENTBEFORE 23-Nov-2026", b"SENTSINCE 24-Nov-2026"]


def show(value):
    """A value as one line of text that tells everything."""
    if isinstance(value, list):
        return "(" + " ".join(show(v) for v in value) + ")"
    if isinstance(value, bytes):
        return '"' + value.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"') + '"'
    return "NIL" if value is None else str(value)


def lowered(value):
    return value.lower() if isinstance(value, bytes) else value


def parameters(value):
    """Parameter names have no case."""
    if not isinstance(value, list):
        return show(value)
    return show([lowered(v) if n % 2 == 0 else v for n, v in enumerate(value)])


def disposition(value):
    if not isinstance(value, list) or len(value) != 2:
        return show(value)
    return f"{show(lowered(value[0]))} {parameters(value[1])}"


def structure(value, name, path, out):
    """Takes a body structure apart; PATH is the section number of the part, () of the message."""
    def put(what, text):
        out[f"{name} {'.'.join(map(str, path)) or 'root'} {what}"] = text
    value = list(value)
    if value and isinstance(value[0], list):
        children = []
        while value and isinstance(value[0], list):
            children.append(value.pop(0))
        put("type", f"multipart/{show(lowered(value.pop(0)))} of {len(children)}")
        for what, write in zip(("parameters", "disposition", "language", "location"), (parameters, disposition, show, show)):
            if value:
                put(what, write(value.pop(0)))
        for n, child in enumerate(children, 1):
            structure(child, name, (*path, n), out)
        return
    path = path or (1,)
    put("type", f"{show(lowered(value[0]))}/{show(lowered(value[1]))}")
    put("parameters", parameters(value[2]))
    for what, piece in zip(("id", "description", "encoding", "size"), value[3:7]):
        put(what, show(lowered(piece) if what == "encoding" else piece))
    rest = value[7:]
    kind, subtype = lowered(value[0]), lowered(value[1])
    if kind == b"message" and subtype == b"rfc822" and rest and isinstance(rest[0], list):
        envelope(rest[0], f"{name} {'.'.join(map(str, path))} envelope", out)
        inner = rest[1]
        structure(inner, name, path if isinstance(inner[0], list) else (*path, 1), out)
        put("lines", show(rest[2]))
        rest = rest[3:]
    elif kind == b"text" and rest:
        put("lines", show(rest[0]))
        rest = rest[1:]
    for what, write, piece in zip(("md5", "disposition", "language", "location"), (show, disposition, show, show), rest):
        put(what, write(piece))


def envelope(value, name, out):
    for what, piece in zip(ENVELOPE, value):
        out[f"{name} {what}"] = show(piece)


def sections(value, path=(), message=True):
    """(section, whether it holds a message) of each part, () left out."""
    value = list(value)
    found = []
    if value and isinstance(value[0], list):
        for n, child in enumerate(value, 1):
            if not isinstance(child, list):
                break
            found += sections(child, (*path, n), False)
        return found
    if message:
        path = (*path, 1)
    inner = len(value) > 8 and lowered(value[0]) == b"message" and lowered(value[1]) == b"rfc822" and isinstance(value[8], list)
    found.append((path, inner))
    if inner:
        found += sections(value[8], path, True)
    return found


def numbers(found):
    short = [(path, inner) for path, inner in found if len(path) <= DEPTH_MAX]
    return short[:PARTS_MAX]


def ask(connection, number, items, out):
    """Fetches ITEMS at once, or one by one when the server refuses; each under its own name."""
    try:
        values = connection.fetch(number, b" ".join(items))
    except Refused as why:
        if len(items) == 1:
            out[items[0].decode().replace(".PEEK", "")] = "crash" if "closed the connection" in str(why) else "refused"
            return {}
        values = {}
        for item in items:
            values.update(ask(connection, number, [item], out))
        return values
    for name, value in values.items():
        if name.startswith((b"BODY[", b"BINARY")):
            out[name.decode()] = show(value)
    return values


def answers(connection, number, found=None):
    """(items, sections) of message NUMBER; FOUND: the sections to ask for, of the other server too."""
    out = {}
    values = ask(connection, number, [b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE"], out)
    out["SIZE"] = show(values.get(b"RFC822.SIZE"))
    mine = []
    if b"ENVELOPE" in values:
        envelope(values[b"ENVELOPE"], "ENVELOPE", out)
    if b"BODYSTRUCTURE" in values:
        structure(values[b"BODYSTRUCTURE"], "BODYSTRUCTURE", (), out)
        mine = numbers(sections(values[b"BODYSTRUCTURE"]))
    if b"BODY" in values:
        structure(values[b"BODY"], "STRUCTURE", (), out)
    found = sorted(set(mine) | set(found or []))
    ask(connection, number, [b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"BODY.PEEK[HEADER.FIELDS (%s)]" % FIELDS, b"BODY.PEEK[HEADER.FIELDS.NOT (%s)]" % FIELDS], out)
    for offset, count in PARTIALS:
        cut = b"<%d.%d>" % (offset, count)
        ask(connection, number, [b"BODY.PEEK[]" + cut, b"BODY.PEEK[HEADER]" + cut, b"BODY.PEEK[TEXT]" + cut, b"BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)]" + cut], out)
    for path, inner in found:
        dotted = ".".join(map(str, path)).encode()
        items = [b"BODY.PEEK[%s]" % dotted, b"BODY.PEEK[%s.MIME]" % dotted, b"BODY.PEEK[%s]<3.9>" % dotted]
        if inner:
            items += [b"BODY.PEEK[%s.%s]" % (dotted, text) for text in (b"HEADER", b"TEXT", b"HEADER.FIELDS (SUBJECT)")]
        ask(connection, number, items, out)
        ask(connection, number, [b"BINARY.SIZE[%s]" % dotted], out)
        ask(connection, number, [b"BINARY.PEEK[%s]" % dotted], out)
    return out, found


def searches(connection):
    """{item: set of message numbers} over the selected mailbox."""
    out = {}
    for key, field, needle in PROBES:
        front = b"HEADER %s " % field.encode() if field else key.encode() + b" "
        out[f"SEARCH {key}{' ' + field if field else ''} \"{needle}\""] = connection.search(front, (needle.encode(),))
    for key in DATES:
        out[f"SEARCH {key.decode()}"] = connection.search(key)
    return out


class Side:
    """One server with all messages in one mailbox."""

    def __init__(self, connection, mailbox):
        self.connection, self.mailbox = connection, mailbox.encode()
        self.numbers = {}

    def append(self, messages):
        self.connection.command(b"CREATE " + self.mailbox)
        refused = {}
        for name, data in messages.items():
            try:
                self.connection.command(b"APPEND %s " % self.mailbox, (data,))
                self.numbers[name] = len(self.numbers) + 1
            except Refused as why:
                refused[name] = str(why)
        self.connection.select(self.mailbox)
        return refused


def compare(ours, theirs, messages):
    """[(message, item, what we say, what they say)] of every difference."""
    differences = []
    refused = [side.append(messages) for side in (ours, theirs)]
    for name in messages:
        if (name in refused[0]) != (name in refused[1]):
            differences.append((name, "APPEND", *("refused" if name in r else "taken" for r in refused)))
    both = [name for name in messages if name in ours.numbers and name in theirs.numbers]
    for name in both:
        _, found = answers(theirs.connection, theirs.numbers[name])
        one, found = answers(ours.connection, ours.numbers[name], found)
        two, _ = answers(theirs.connection, theirs.numbers[name], found)
        for item in sorted(set(one) | set(two)):
            if one.get(item) != two.get(item):
                differences.append((name, item, one.get(item, "nothing"), two.get(item, "nothing")))
    results = [searches(side.connection) for side in (ours, theirs)]
    for item in results[0]:
        for name in both:
            found = [side.numbers[name] in result[item] for side, result in zip((ours, theirs), results)]
            if found[0] != found[1]:
                differences.append((name, item, *("found" if f else "not found" for f in found)))
    return differences
