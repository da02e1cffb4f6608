"""What the server refuses, with the code that says why."""

import pytest

from harness import DOMAIN
from helpers import STRANGER, Dialogue, letter, login, transaction


def greeted(server, port="smtp"):
    d = Dialogue(server.ports[port])
    assert d.reply()[0] == 220
    assert d.smtp("EHLO client.example.org")[0] == 250
    return d


@pytest.mark.parametrize("recipient", ["someone@example.net", "someone%example.net@example.com", "<@example.com:a@example.net>", f"a%example.net@{DOMAIN}",
                                       f"\"someone@example.net\"@other.{DOMAIN}"])
def test_relaying(server, recipient):
    with greeted(server) as d:
        assert d.smtp(f"MAIL FROM:<{STRANGER}>")[0] == 250
        code, lines = d.smtp(f"RCPT TO:{recipient if recipient.startswith('<') else f'<{recipient}>'}")
        assert code == 550 and lines[-1].startswith("550 5.7.1"), lines
        assert d.smtp("DATA")[0] in (503, 554)


def test_unknown_user(server):
    with greeted(server) as d:
        assert d.smtp(f"MAIL FROM:<{STRANGER}>")[0] == 250
        code, lines = d.smtp(f"RCPT TO:<personne@{DOMAIN}>")
        assert code == 550 and lines[-1].startswith("550 5.1.1"), lines


def test_postmaster_is_always_known(server):
    with greeted(server) as d:
        assert d.smtp("MAIL FROM:<>")[0] == 250
        assert d.smtp(f"RCPT TO:<postmaster@{DOMAIN}>")[0] == 250 or d.smtp("RCPT TO:<Postmaster>")[0] == 250


@pytest.mark.parametrize("command, codes", [
    ("MAIL FROM:<a@example.org", (501,)), ("MAIL FROM:a@example.org", (501,)), ("MAIL FROM:<a b@example.org>", (501,)),
    ("MAIL FROM:<a@example.org> SIZE=x", (501,)), ("MAIL FROM:<a@example.org> NONSENSE=1", (555, 501)), ("VRFY alice", (252, 502, 550)),
    ("EXPN staff", (502, 550)), ("ETRN x", (500, 502, 458)), ("AUTH PLAIN", (502, 503, 504, 538, 530)), ("HELO", (501,)),
])
def test_syntax(server, command, codes):
    with greeted(server) as d:
        code, lines = d.smtp(command)
        assert code in codes, lines
        assert d.smtp("NOOP")[0] == 250


def test_line_too_long(server):
    with greeted(server) as d:
        d.send("NOOP " + "x" * 100_000 + "\r\n")
        assert d.reply()[0] in (500, 421, 0)


def test_endless_line_does_not_grow_the_server(server):
    with greeted(server) as d:
        try:
            for _ in range(200):
                d.send("x" * 65536)
        except OSError:
            return      # closed: as good as refused
        d.send("\r\n")
        assert d.reply()[0] in (500, 421, 0)


def test_errors_end_the_session(server):
    with greeted(server) as d:
        codes = [d.smtp("NONSENSE")[0]]
        while codes[-1] == 500 and len(codes) < 100:
            codes.append(d.smtp("NONSENSE")[0])
        assert codes[0] == 500 and codes[-1] == 421 and d.at_end()


def test_http_on_the_mail_port(server):
    """A browser that is made to post to a mail port does not get to speak SMTP."""
    with Dialogue(server.ports["smtp"]) as d:
        assert d.reply()[0] == 220
        d.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nEHLO x\r\nMAIL FROM:<a@example.org>\r\nQUIT\r\n")
        codes = []
        while codes[-1:] != [0]:
            codes.append(d.reply()[0])
        assert 250 not in codes, codes


def test_null_bytes_in_a_command(server):
    with greeted(server) as d:
        d.send(b"NO\0OP\r\n")
        assert d.reply()[0] in (500, 501)


def test_message_without_header_is_taken_or_refused_whole(server, account):
    with Dialogue(server.ports["smtp"]) as d:
        transaction(d, account.address)
        d.send("just text\r\n.\r\n")
        assert d.reply()[0] in (250, 550, 554)
        assert d.smtp("NOOP")[0] == 250


def test_imap_bad_commands(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        for command in ("NONSENSE", "SELECT", "FETCH 1 FLAGS", "SELECT INBOX extra junk (", "UID NONSENSE 1", "STORE 1 FLAGS"):
            assert d.imap(command)[0].startswith("BAD"), command
        assert d.imap("NOOP")[0].startswith("OK")


def test_imap_literal_too_large(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        answer, _ = d.imap("APPEND INBOX {99999999999}")
        assert answer.startswith(("NO", "BAD")), answer


def test_imap_line_too_long(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        try:
            d.send("x SEARCH " + "1," * 2_000_000 + "1\r\n")
        except OSError:
            return
        line = d.line()
        assert line.startswith(("x BAD", "* BYE", "* BAD")) or line == "", line
