"""A plain IMAP connection and a parser of its answers: what a client library would smooth over is what is compared here."""

import itertools
import socket
import ssl


class Refused(Exception):
    """The server answered NO or BAD, with this, or it went away."""


class Reader:
    """RFC 3501 section 9 values in BYTES: lists become lists, NIL None, numbers int, strings and atoms bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def peek(self):
        return self.data[self.at:self.at + 1]

    def skip_space(self):
        while self.peek() == b" ":
            self.at += 1

    def value(self):
        self.skip_space()
        c = self.peek()
        if c == b"(":
            return self.list()
        if c == b'"':
            return self.quoted()
        if c == b"{" or self.data[self.at:self.at + 2] == b"~{":
            return self.literal()
        return self.atom()

    def list(self):
        self.at += 1
        items = []
        while True:
            self.skip_space()
            if self.peek() == b")":
                self.at += 1
                return items
            if not self.peek():
                raise ValueError(f"list without end: {self.data!r}")
            items.append(self.value())

    def quoted(self):
        self.at += 1
        out = bytearray()
        while True:
            c = self.peek()
            if not c:
                raise ValueError(f"string without end: {self.data!r}")
            self.at += 1
            if c == b'"':
                return bytes(out)
            if c == b"\\":
                c = self.peek()
                self.at += 1
            out += c

    def literal(self):
        start = self.data.index(b"{", self.at) + 1
        end = self.data.index(b"}\r\n", start)
        size = int(self.data[start:end])
        self.at = end + 3 + size
        return self.data[end + 3:self.at]

    def atom(self):
        start, depth = self.at, 0
        while self.at < len(self.data):
            c = self.peek()
            depth += (c == b"[") - (c == b"]")
            if depth == 0 and c in (b" ", b")", b"("):
                break
            self.at += 1
        word = self.data[start:self.at]
        if not word:
            raise ValueError(f"nothing at {start}: {self.data!r}")
        return None if word.upper() == b"NIL" else int(word) if word.isdigit() else word


class Connection:
    """CA: the certificate of a server that is spoken to over TLS."""

    def __init__(self, port, user, password, ca=None):
        self.port, self.user, self.password, self.ca = port, user, password, ca
        self.tags = itertools.count(1)
        self.selected = None
        self.open()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        if self.ca:
            self.socket = ssl.create_default_context(cafile=self.ca).wrap_socket(self.socket, server_hostname="localhost")
        self.stream = self.socket.makefile("rb")
        self.unit()
        self.command(b'LOGIN "%s" "%s"' % (self.user.encode(), self.password.encode()))

    def select(self, mailbox):
        self.selected = mailbox
        self.command(b"SELECT " + mailbox)

    def close(self):
        self.socket.close()

    def unit(self):
        """One response, its literals in place, without the last CRLF."""
        out = b""
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            out += line
            if not line.endswith(b"}\r\n") or b"{" not in line:
                return out[:-2]
            size = line[line.rindex(b"{") + 1:-3]
            if not size.isdigit():
                return out[:-2]
            out += self.stream.read(int(size))

    def command(self, *pieces):
        """Sends PIECES (a tuple stands for a literal of its only member) and returns the untagged responses; Refused."""
        tag = b"t%d" % next(self.tags)
        out = tag + b" "
        for piece in pieces:
            out += b"{%d+}\r\n%s" % (len(piece[0]), piece[0]) if isinstance(piece, tuple) else piece
        self.socket.sendall(out + b"\r\n")
        try:
            return self.answer(tag)
        except ConnectionError:
            if not self.selected:
                raise
        self.close()
        self.open()
        self.select(self.selected)
        raise Refused("the server closed the connection")

    def answer(self, tag):
        untagged = []
        while True:
            unit = self.unit()
            if not unit.startswith(tag + b" "):
                untagged.append(unit)
            elif unit[len(tag) + 1:].upper().startswith(b"OK"):
                return untagged
            else:
                raise Refused(unit[len(tag) + 1:].decode(errors="replace"))

    def fetch(self, number, items):
        """{item in upper case: value} of one message."""
        for unit in self.command(b"FETCH %d (%s)" % (number, items)):
            head = b"* %d FETCH " % number
            if unit.startswith(head):
                pairs = Reader(unit[len(head):]).value()
                if len(pairs) % 2:
                    raise ValueError(f"items and values do not match: {unit!r}")
                return {bytes(name).upper(): value for name, value in zip(pairs[::2], pairs[1::2])}
        raise Refused("no FETCH response")

    def search(self, *pieces):
        for unit in self.command(b"SEARCH CHARSET UTF-8 ", *pieces):
            if unit.startswith(b"* SEARCH"):
                return {int(n) for n in unit[8:].split()}
        return set()
