"""Commands that came in the clear together with STARTTLS are never run inside TLS (CVE-2011-0411)."""

import ssl

import pytest

from helpers import Dialogue


def begin(d, server):
    """The handshake; False when the server has dropped the connection instead."""
    try:
        d.secure(server)
    except (ssl.SSLError, OSError):
        return False
    return True


@pytest.mark.parametrize("port", ["smtp", "submission"])
def test_smtp(server, port):
    with Dialogue(server.ports[port]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        d.send("STARTTLS\r\nRSET\r\nNOOP\r\n")
        assert d.reply()[0] in (220, 501, 554, 421)
        assert d.buffer == b"", "an answer to an injected command in the clear"
        if not begin(d, server):
            return
        code, lines = d.smtp("EHLO client.example.org")
        assert code == 250 and len(lines) > 1, lines
        assert d.smtp("NOOP")[0] == 250
        d.send("QUIT\r\n")
        assert d.reply()[0] == 221 and d.at_end()


def test_imap(server):
    with Dialogue(server.ports["imap"]) as d:
        d.line()
        d.send("a STARTTLS\r\nb NOOP\r\n")
        assert d.line().startswith(("a OK", "a BAD", "* BYE"))
        if not begin(d, server):
            return
        answer, untagged = d.imap("CAPABILITY")
        assert answer.startswith("OK") and untagged[0].startswith("* CAPABILITY") and len(untagged) == 1


def test_smtp_session_starts_anew(server, account):
    """What was said before TLS is forgotten (RFC 3207 section 4.2)."""
    with Dialogue(server.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        assert d.smtp("MAIL FROM:<a@example.org>")[0] == 250
        assert d.smtp("STARTTLS")[0] == 220
        d.secure(server)
        assert d.smtp(f"RCPT TO:<{account.address}>")[0] == 503
