"""Mail to send, sessions to read it, and a raw dialogue for what no client would say."""

import contextlib
import imaplib
import itertools
import smtplib
import socket
import ssl
import subprocess
import uuid

import harness

STRANGER = "inconnu@example.org"


class Account:
    def __init__(self, address, password):
        self.address, self.password = address, password


def letter(to, subject=None, sender=STRANGER, body="Bonjour,\r\nune lettre.\r\n", headers=""):
    """(message, subject): complete, with CRLF; the subject is unique when none is given."""
    subject = subject or f"lettre {uuid.uuid4().hex[:12]}"
    text = (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 06 Jan 2025 10:20:30 +0100\r\n"
            f"Message-ID: <{uuid.uuid4().hex}@example.org>\r\n{headers}\r\n{body}")
    return text.encode(), subject


def tls_context(server):
    return ssl.create_default_context(cafile=server.ca())


def deliver(server, to, message, sender=STRANGER):
    """As a stranger would: port 25, no login."""
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as smtp:
        return smtp.sendmail(sender, [to], message)


@contextlib.contextmanager
def imap(server, account):
    """A session of imaplib over implicit TLS, certificate verified."""
    session = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=tls_context(server), timeout=30)
    try:
        session.login(account.address, account.password)
        yield session
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            session.logout()


@contextlib.contextmanager
def submission(server, account=None):
    with smtplib.SMTP("localhost", server.ports["submission"], timeout=30) as smtp:
        smtp.starttls(context=tls_context(server))
        if account:
            smtp.login(account.address, account.password)
        yield smtp


def ok(answer):
    """The data of an imaplib answer that has to be OK."""
    status, data = answer
    assert status == "OK", data
    return data


def subjects(session, mailbox="INBOX"):
    """The Subject of each message, in order."""
    count = int(ok(session.select(mailbox, readonly=True))[0])
    if not count:
        return []
    data = ok(session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    return [part[1].decode().partition(":")[2].strip() for part in data if isinstance(part, tuple)]


def wait_for_mail(server, account, subject, mailbox="INBOX", seconds=10):
    """Waits until a message with SUBJECT is in MAILBOX and returns its bytes."""
    with imap(server, account) as session:
        harness.wait_until(lambda: subject in subjects(session, mailbox), seconds, f"\"{subject}\" in {mailbox}")
        number = subjects(session, mailbox).index(subject) + 1
        return ok(session.fetch(str(number), "(BODY.PEEK[])"))[0][1]


def client(*argv, input=None, timeout=60, env=None):
    """Runs a client; its completed process with text output. A missing client is a failure, not a skip: scripts/deps test."""
    return subprocess.run([str(a) for a in argv], input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False, env=env, errors="replace")


class Dialogue:
    """A socket and lines. `reply` reads an SMTP reply, `tagged` an IMAP command's whole answer."""

    tags = itertools.count(1)

    def __init__(self, port, timeout=30, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """One line with its end; what is left at the end of the connection ("" when nothing is)."""
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                more = b""
            if not more:
                rest, self.buffer = self.buffer, b""
                return rest.decode(errors="replace")
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return (line + b"\n").decode(errors="replace")

    def read_until(self, end):
        """Bytes up to and with END; all there is when it does not come."""
        while end not in self.buffer[-(1 << 20):]:
            more = self.socket.recv(1 << 19)
            if not more:
                break
            self.buffer += more
        got, found, self.buffer = self.buffer.partition(end)
        return got + found

    def reply(self):
        """(code, lines) of one SMTP reply; (0, []) at the end of the connection."""
        lines = []
        while True:
            line = self.line()
            if not line:
                return 0, lines
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return int(line[:3]), lines

    def smtp(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def imap(self, command):
        """Sends a command; (its completion without the tag, the untagged lines before it)."""
        tag = f"d{next(self.tags)}"
        self.send(f"{tag} {command}\r\n")
        untagged = []
        while True:
            line = self.line()
            if not line:
                return "", untagged
            if line.startswith(tag + " "):
                return line[len(tag) + 1:].strip(), untagged
            untagged.append(line.rstrip("\r\n"))

    def secure(self, server):
        """The TLS handshake, now."""
        self.socket = tls_context(server).wrap_socket(self.socket, server_hostname="localhost")

    def at_end(self):
        """The peer has closed, or closes before it says another word."""
        return self.line() == ""


def transaction(dialogue, to, sender=STRANGER):
    """EHLO to DATA; the body may follow."""
    assert dialogue.reply()[0] == 220
    assert dialogue.smtp("EHLO client.example.org")[0] == 250
    assert dialogue.smtp(f"MAIL FROM:<{sender}>")[0] == 250
    assert dialogue.smtp(f"RCPT TO:<{to}>")[0] == 250
    assert dialogue.smtp("DATA")[0] == 354


def login(dialogue, server, account):
    """IMAP over STARTTLS, logged in."""
    dialogue.line()
    assert dialogue.imap("STARTTLS")[0].startswith("OK")
    dialogue.secure(server)
    answer = dialogue.imap(f'LOGIN "{account.address}" "{account.password}"')[0]
    assert answer.startswith("OK"), answer
