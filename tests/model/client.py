"""IMAP and SMTP as a client that believes only what it is told: the view of a session is built from untagged answers alone, and each of them is
checked against the rules (RFC 3501 section 7, RFC 7162 section 3) when it comes."""

import base64
import re
import socket
import ssl


class Wrong(AssertionError):
    """The server has said what no server may say."""


class Lost(Exception):
    """The connection is gone."""


TOKEN = re.compile(rb'\(|\)|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s()"\[]+(?:\[[^\]]*\])?')
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


def tokens(line, literals):
    """A line with its literals taken out, as nested lists of bytes."""
    stack, rest = [[]], iter(literals)
    for token in TOKEN.findall(line):
        if token == b"(":
            stack.append([])
        elif token == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif token == b"{}":
            stack[-1].append(next(rest))
        elif token[:1] == b'"':
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token[1:-1]))
        else:
            stack[-1].append(token)
    return stack[0]


def numbers(text):
    """The numbers of a sequence set, in its order."""
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        out += range(int(first), int(last or first) + 1)
    return out


def as_set(uids):
    return ",".join(map(str, uids))


def flag_set(flags):
    r"""What is kept: \Recent is a session's own."""
    return frozenset(f.decode() for f in flags) - {r"\Recent"}


class Connection:
    """Bytes, lines, and a record of both."""

    def __init__(self, name, port, record, timeout=60):
        self.name, self.record, self.timeout = name, record, timeout
        self.buffer = b""
        self.dead = False
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        except OSError as e:
            raise Lost(str(e)) from e

    def secure(self, context):
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except OSError as e:
            raise Lost(str(e)) from e

    def close(self):
        self.dead = True
        self.socket.close()

    def send(self, data):
        self.record(self.name, ">", data)
        try:
            self.socket.sendall(data)
        except OSError as e:
            self.dead = True
            raise Lost(str(e)) from e

    def fill(self):
        try:
            more = self.socket.recv(262144)
        except TimeoutError as e:
            raise TimeoutError(f"{self.name}: no answer within {self.timeout} s") from e
        except OSError as e:
            more, self.failure = b"", e
        if not more:
            self.dead = True
            raise Lost("end of the connection")
        self.buffer += more

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def exactly(self, n):
        while len(self.buffer) < n:
            self.fill()
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def something_to_read(self):
        """Whether bytes are there or come within a moment."""
        if self.buffer:
            return True
        self.socket.settimeout(0.01)
        try:
            self.fill()
        except TimeoutError:
            return False
        finally:
            if not self.dead:
                self.socket.settimeout(self.timeout)
        return True


class View:
    """The selected mailbox as this session was told. `uids[i]` is None for a message that was announced and not yet asked for."""

    def __init__(self, read_only):
        self.read_only = read_only
        self.ident = None
        self.uids = []
        self.flags = {}         # uid -> flags
        self.modseqs = {}       # uid -> the highest modseq told
        self.uidvalidity = self.uidnext = self.highest = None

    def unknown(self):
        return [i + 1 for i, uid in enumerate(self.uids) if uid is None]

    def learn(self, seq, uid):
        """UID is the one of SEQ: not another than before, and in order."""
        at = seq - 1
        if self.uids[at] not in (None, uid):
            raise Wrong(f"message {seq} was UID {self.uids[at]} and is UID {uid} without EXPUNGE")
        below = [u for u in self.uids[:at] if u is not None]
        above = [u for u in self.uids[at + 1:] if u is not None]
        if (below and below[-1] >= uid) or (above and above[0] <= uid):
            raise Wrong(f"message {seq} has UID {uid} between {below[-1:]} and {above[:1]}")
        self.uids[at] = uid


class Imap:
    """One session. `untagged` of the last command: [(words, ...)]."""

    def __init__(self, name, port, context, account, record, condstore):
        self.wire = Connection(name, port, record)
        self.name, self.condstore = name, condstore
        self.account = account
        self.view = None
        self.command = None         # (tag, name) of what is under way
        self.count = 0
        self.told = set()           # uids whose flags came since the command was sent
        self.bye = None
        self.untagged = []
        self.wire.secure(context)
        self.wire.line()
        self.must(f'LOGIN "{account.address}" "{account.password}"')
        if condstore:
            self.must("ENABLE CONDSTORE")

    # --- commands ---

    def start(self, text, literals=()):
        """Sends a command without waiting. LITERALS follow TEXT, each announced by a {} in it (RFC 7888)."""
        self.count += 1
        tag = f"{self.name}.{self.count}"
        pieces = text.split("{}")
        data = f"{tag} {pieces[0]}".encode()
        for literal, piece in zip(literals, pieces[1:]):
            data += b"{%d+}\r\n" % len(literal) + literal + piece.encode()
        words = text.split()
        self.command = tag, " ".join(words[:2] if words[0] == "UID" else words[:1])
        self.untagged, self.told = [], set()
        self.wire.send(data + b"\r\n")

    def finish(self):
        """(status, text) of the command under way."""
        tag = self.command[0].encode()
        while True:
            words, line = self.response()
            if words[0] == tag:
                self.command = None
                return words[1].decode(), line.split(b" ", 2)[2].decode().strip()
            if words[0] == b"+":
                return "+", ""
            self.take(words, line)

    def ask(self, text, literals=()):
        self.start(text, literals)
        return self.finish()

    def must(self, text, literals=()):
        """A command that has to succeed; its untagged answers. Lost when the server is not able to just now."""
        status, words = self.ask(text, literals)
        if status == "NO" and "UNAVAILABLE" in words:
            raise Lost(words)
        if status not in ("OK", "+"):
            raise Wrong(f"{self.name}: {text}: {status} {words}")
        return self.untagged

    def response(self):
        line, literals = b"", []
        while True:
            line += self.wire.line()
            announced = LITERAL.search(line)
            if not announced:
                break
            literals.append(self.wire.exactly(int(announced.group(1))))
            line = line[:announced.start()] + b"{}"
        self.wire.record(self.name, "<", line)
        return tokens(line, literals), line

    # --- what is told unasked ---

    def take(self, words, line):
        if words[0] != b"*":
            raise Wrong(f"{self.name}: neither tagged nor untagged: {line!r}")
        self.untagged.append(words)
        if words[1] == b"BYE":
            self.bye = line.decode().strip()
        elif words[1] in (b"OK", b"NO") and len(words) > 2 and words[2][:1] == b"[":
            self.take_code(words[2][1:-1].decode().split())
        elif len(words) > 2 and words[1].isdigit() and self.view:
            self.take_number(int(words[1]), words[2], words[3:])

    def take_code(self, code):
        v = self.view
        if v and code[0] in ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ") and self.command and self.command[1] in ("SELECT", "EXAMINE"):
            setattr(v, {"UIDVALIDITY": "uidvalidity", "UIDNEXT": "uidnext", "HIGHESTMODSEQ": "highest"}[code[0]], int(code[1]))

    def take_number(self, number, what, rest):
        v = self.view
        if what == b"EXISTS":
            if number < len(v.uids):
                raise Wrong(f"{self.name}: EXISTS went from {len(v.uids)} to {number} without EXPUNGE")
            v.uids += [None] * (number - len(v.uids))
        elif what == b"EXPUNGE":
            if not 1 <= number <= len(v.uids):
                raise Wrong(f"{self.name}: EXPUNGE {number} of {len(v.uids)}")
            if self.command is None or self.command[1] in ("FETCH", "STORE", "SEARCH"):
                raise Wrong(f"{self.name}: EXPUNGE during {self.command} (RFC 3501 section 7.4.1)")
            v.uids.pop(number - 1)
        elif what == b"FETCH":
            if not 1 <= number <= len(v.uids):
                raise Wrong(f"{self.name}: FETCH {number} of {len(v.uids)}")
            self.take_fetch(number, dict(zip((w.upper() for w in rest[0][::2]), rest[0][1::2])))

    def take_fetch(self, seq, items):
        v = self.view
        if b"UID" in items:
            v.learn(seq, int(items[b"UID"]))
        uid = v.uids[seq - 1]
        if uid is None:
            return
        if b"MODSEQ" in items:
            modseq = int(items[b"MODSEQ"][0])
            if modseq < v.modseqs.get(uid, 0):
                raise Wrong(f"{self.name}: modseq of UID {uid} went from {v.modseqs[uid]} to {modseq}")
            v.modseqs[uid] = modseq
        if b"FLAGS" in items:
            v.flags[uid] = flag_set(items[b"FLAGS"])
            self.told.add(uid)

    # --- the mailbox ---

    def select(self, mailbox, read_only=False):
        """Selects, and learns what is in it; False when there is no such mailbox."""
        self.view = View(read_only)
        status, words = self.ask(f'{"EXAMINE" if read_only else "SELECT"} "{mailbox}"')
        if status != "OK":
            self.view = None
            if "UNAVAILABLE" in words:
                raise Lost(words)
            return False
        self.learn()
        return True

    def learn(self):
        """Asks for what was announced."""
        while self.view and self.view.unknown():
            seqs = self.view.unknown()
            self.must(f"FETCH {seqs[0]}:{seqs[-1]} (UID FLAGS{' MODSEQ' if self.condstore else ''})")

    def apply_silent(self, uids, mode, flags):
        """What the client works out itself after STORE .SILENT; what was told since comes first."""
        for uid in uids:
            if uid in self.told or uid not in self.view.flags:
                continue
            old = self.view.flags[uid]
            self.view.flags[uid] = {"": flags, "+": old | flags, "-": old - flags}[mode]

    def forget(self, uids):
        """A silent STORE was answered NO as some messages are gone: it cannot be known which of the others it changed."""
        for uid in uids:
            if uid not in self.told:
                self.view.flags.pop(uid, None)


class Smtp:
    """One session of a stranger (port 25) or of a user who submits. A message goes in two steps: all before its text, and the text."""

    def __init__(self, name, port, record, context=None, account=None):
        self.wire = Connection(name, port, record)
        self.name, self.account = name, account
        self.expect(self.reply(), 220)
        self.ask("EHLO client.example.org")
        if context:
            self.ask("STARTTLS", 220)
            self.wire.secure(context)
            self.ask("EHLO client.example.org")
        if account:
            words = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
            self.ask(f"AUTH PLAIN {words}", 235)

    def reply(self):
        while True:
            line = self.wire.line()
            self.wire.record(self.name, "<", line)
            if line[3:4] != b"-":
                return int(line[:3]), line.decode().strip()

    def expect(self, reply, code):
        if reply[0] in (421, 451, 454):
            self.wire.dead = True
            raise Lost(reply[1])
        if reply[0] != code:
            raise Wrong(f"{self.name}: {reply[1]} instead of {code}")

    def ask(self, command, code=250):
        self.wire.send(command.encode() + b"\r\n")
        self.expect(self.reply(), code)

    def prepare(self, sender, recipients, chunks):
        """MAIL, RCPT and, unless CHUNKS, DATA. True when the text may come."""
        self.ask(f"MAIL FROM:<{sender}>")
        for address in recipients:
            self.ask(f"RCPT TO:<{address}>")
        self.chunks = chunks
        if not chunks:
            self.ask("DATA", 354)

    def start(self, message):
        if self.chunks:
            half = len(message) // 2
            self.wire.send(b"BDAT %d\r\n" % half + message[:half] + b"BDAT %d LAST\r\n" % (len(message) - half) + message[half:])
        else:
            self.wire.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")

    def finish(self):
        """(code, text) after the last byte."""
        code, text = self.reply()
        return self.reply() if self.chunks and code == 250 else (code, text)


def verified(ca):
    return ssl.create_default_context(cafile=ca)
