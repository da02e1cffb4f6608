"""After a login nothing in the server's memory holds the password: neither it nor its base64."""

import base64
import smtplib

import pytest

import harness
from helpers import Dialogue, tls_context

ADDRESS = f"alice@{harness.DOMAIN}"
MARK = "Marque%sSeraitTrouvee47"  # long enough that no half of it is anything else


def memory_of(pid):
    """All that PID can write to."""
    pieces = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "w" not in rights:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            piece = bytearray()
            try:
                memory.seek(start)
                while len(piece) < end - start and (more := memory.read(end - start - len(piece))):
                    piece += more
            except (OSError, ValueError, OverflowError):
                pass    # not there, as pages of the kernel
            pieces.append(bytes(piece))
    return pieces


def traces(password):
    """What to look for: it, and the middle of its base64 at each alignment."""
    yield password.encode()
    for shift in range(3):
        coded = base64.b64encode(b"x" * shift + password.encode()).rstrip(b"=")
        yield coded[4:-4]


def found(lab, password):
    where = []
    for pid in harness.descendants(lab.process.pid) + [lab.process.pid]:
        name = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
        for piece in memory_of(pid):
            where += [(name, trace, piece[max(0, piece.find(trace) - 40):piece.find(trace) + 60]) for trace in traces(password) if trace in piece]
    return where


@pytest.fixture
def own(lab):
    lab.start()
    try:
        memory_of(lab.process.pid)
        for pid in harness.descendants(lab.process.pid):
            memory_of(pid)
    except PermissionError:
        pytest.skip("reading the memory of the roles needs root")
    yield lab
    lab.stop()


def by_smtp(mechanism):
    def login(lab, password, stay):
        smtp = smtplib.SMTP("localhost", lab.ports["submission"], timeout=60)
        stay.append(smtp)
        smtp.starttls(context=tls_context(lab))
        smtp.ehlo()
        smtp.user, smtp.password = ADDRESS, password
        assert smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower()))[0] == 235
    return login


def by_imap(*lines):
    """LINES with PASSWORD for the password, PLAIN for the message of that mechanism and N for its length; each waits for "+"."""
    def login(lab, password, stay):
        d = Dialogue(lab.ports["imaps"])
        stay.append(d)
        d.secure(lab)
        d.line()
        plain = base64.b64encode(f"\0{ADDRESS}\0{password}".encode()).decode()
        for i, line in enumerate(lines):
            d.send(line.replace("PASSWORD", password).replace("BASE64", plain).replace("N}", f"{len(password)}}}") + "\r\n")
            if i + 1 < len(lines):
                assert d.line().startswith("+")
        answer = d.line()
        while answer.startswith("*"):
            answer = d.line()
        assert answer.startswith("a OK"), answer
    return login


WAYS = {
    "SMTP AUTH PLAIN": by_smtp("PLAIN"),
    "SMTP AUTH LOGIN": by_smtp("LOGIN"),
    "IMAP LOGIN": by_imap(f'a LOGIN {ADDRESS} "PASSWORD"'),
    "IMAP LOGIN, literal": by_imap(f"a LOGIN {ADDRESS} {{N}}", "PASSWORD"),
    "IMAP AUTHENTICATE": by_imap("a AUTHENTICATE PLAIN", "BASE64"),
    "IMAP AUTHENTICATE, initial": by_imap("a AUTHENTICATE PLAIN BASE64"),
}


def test_the_memory_holds_no_password(own):
    stay = []
    for i, (way, login) in enumerate(WAYS.items()):
        password = MARK % f"{i}abcdef"
        done = own.run("user", "passwd", ADDRESS, "--password-stdin", "--dir", str(own.dir), input=password + "\n")
        assert done.returncode == 0
        login(own, password, stay)          # the connection stays open
        assert found(own, password) == [], way
        if i == 0:                          # a refused one leaves nothing either
            with pytest.raises(smtplib.SMTPAuthenticationError):
                login(own, MARK % "wrong", stay)
            assert found(own, MARK % "wrong") == []
    for connection in stay:
        connection.close()


def test_the_scan_finds_what_is_there(own):
    """A password in an unfinished line is in memory, so the scan would see one that stayed."""
    with Dialogue(own.ports["imaps"]) as d:
        d.secure(own)
        d.line()
        d.send('a LOGIN nobody "' + MARK % "unfinished")
        harness.wait_until(lambda: found(own, MARK % "unfinished"), 10, "the password in the input buffer")
