"""Only CRLF.CRLF ends a message: no other sequence may start a second one (SMTP smuggling, CVE-2023-51764 and its kin)."""

import base64

import pytest

from helpers import Dialogue, imap, subjects, transaction

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
        b"\n\n.\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\r\n .\r\n", b"\x85.\x85"]


def as_user(d, server, account):
    """EHLO to DATA on submission, logged in."""
    d.reply()
    d.smtp("EHLO client.example.org")
    assert d.smtp("STARTTLS")[0] == 220
    d.secure(server)
    d.smtp("EHLO client.example.org")
    secret = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
    assert d.smtp(f"AUTH PLAIN {secret}")[0] == 235
    assert d.smtp(f"MAIL FROM:<{account.address}>")[0] == 250
    assert d.smtp(f"RCPT TO:<{account.address}>")[0] == 250
    assert d.smtp("DATA")[0] == 354


@pytest.mark.parametrize("port", ["smtp", "submission"])
@pytest.mark.parametrize("end", ENDS, ids=lambda e: e.hex())
def test_smuggled_message_is_not_delivered(server, account, end, port):
    smuggled = (f"MAIL FROM:<admin@mondomaine.fr>\r\nRCPT TO:<{account.address}>\r\nDATA\r\n"
                "Subject: smuggled\r\n\r\nx\r\n.\r\n").encode()
    with Dialogue(server.ports[port]) as d:
        if port == "smtp":
            transaction(d, account.address)
        else:
            as_user(d, server, account)
        d.send(f"From: {account.address}\r\nSubject: carrier\r\n\r\nbody".encode() + end + smuggled)
        code = d.reply()[0]
        assert code == 250 or 500 <= code < 600 or code == 421, code
        if code != 421:
            d.send("NOOP\r\n")
            after, lines = d.reply()
            assert after in (250, 421, 0), lines
            if after == 250:
                d.send("QUIT\r\n")
                assert d.reply()[0] == 221, "more answers than commands: something was smuggled"
    with imap(server, account) as session:
        assert "smuggled" not in subjects(session)
        assert len(subjects(session)) == (1 if code == 250 else 0)


@pytest.mark.parametrize("end", ENDS, ids=lambda e: e.hex())
def test_a_chunk_ends_where_its_length_says(server, account, end):
    """In BDAT nothing in the bytes ends a message, the real end of DATA least of all."""
    text = f"Subject: carrier\r\n\r\nbody{{}}MAIL FROM:<a@example.org>\r\nRCPT TO:<{account.address}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    for inside in (end, b"\r\n.\r\n"):
        before, after = text.encode().split(b"{}")
        message = before + inside + after
        with Dialogue(server.ports["smtp"]) as d:
            d.reply()
            d.smtp("EHLO client.example.org")
            assert d.smtp("MAIL FROM:<a@example.org>")[0] == 250
            assert d.smtp(f"RCPT TO:<{account.address}>")[0] == 250
            d.send(f"BDAT {len(message)} LAST\r\n".encode() + message)
            code = d.reply()[0]
            assert code in (250, 550) and (code == 250 or inside == end)
            assert d.smtp("NOOP")[0] == 250
    with imap(server, account) as session:
        assert "smuggled" not in subjects(session)


def test_bare_newlines_are_refused_or_kept_out(server, account):
    """A body with bare LF either is refused or is stored with none (RFC 5321 section 2.3.8)."""
    with Dialogue(server.ports["smtp"]) as d:
        transaction(d, account.address)
        d.send(b"Subject: lf\r\n\r\none\ntwo\r\n.\r\n")
        code = d.reply()[0]
    with imap(server, account) as session:
        count = int(session.select("INBOX")[1][0])
        assert count == (1 if code == 250 else 0)
        if count:
            body = session.fetch("1", "(BODY.PEEK[])")[1][0][1]
            assert b"\n" not in body.replace(b"\r\n", b"")


def test_dot_stuffing_across_every_split(server, account):
    """The dialogue's end, cut at each byte into two writes, always ends exactly one message."""
    end = b"a\r\n..b\r\n.\r\n"
    with Dialogue(server.ports["smtp"]) as d:
        assert d.reply()[0] == 220
        d.smtp("EHLO client.example.org")
        for cut in range(1, len(end)):
            assert d.smtp("MAIL FROM:<a@example.org>")[0] == 250
            assert d.smtp(f"RCPT TO:<{account.address}>")[0] == 250
            assert d.smtp("DATA")[0] == 354
            d.send(b"Subject: cut\r\n\r\n" + end[:cut])
            d.send(end[cut:])
            assert d.reply()[0] == 250
    with imap(server, account) as session:
        count = int(session.select("INBOX")[1][0])
        assert count == len(end) - 1
        for n in range(1, count + 1):
            assert session.fetch(str(n), "(BODY.PEEK[TEXT])")[1][0][1] == b"a\r\n.b\r\n"
