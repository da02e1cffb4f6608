"""Everything that can be too long, too much or too many in SMTP: refused with the code that says so, and the session goes on or ends with a word."""

import pytest

import helpers
from harness import DOMAIN


def opened(server, *commands):
    d = helpers.Dialogue(server.ports["smtp"])
    d.reply()
    for command in ("EHLO client.example.org", *commands):
        assert d.smtp(command)[0] == 250, command
    return d


FROM = f"MAIL FROM:<{helpers.STRANGER}>"


@pytest.mark.parametrize("line, code", [
    ("EHLO " + "a." * 200 + "example", 501), ("HELO " + "x" * 256, 501), ("x" * 3000, 500), ("NOOP " + "x" * 3000, 500), ("MAIL FROM:<" + "x" * 3000, 500),
    (f"MAIL FROM:<{'x' * 256}@example.org>", 501), (f"MAIL FROM:<a@{'x.' * 150}example>", 501), (f"{FROM} SIZE=123456789012345678901", 501),
    (f"{FROM} SIZE=99999999999999999999", 501), (f"{FROM} SIZE=18446744073709551615", 552), (f"{FROM} {'X' * 64}=1", 555), (f"{FROM} {'X' * 65}=1", 501), (f"{FROM}{' SMTPUTF8' * 100}", 501),
    (f"MAIL FROM:<{'@a.example,' * 120}@b.example:a@example.org>", 250), ("HELP " + "x" * 1000, 214), ("VRFY " + "x" * 1000, 252),
    ("BDAT " + "9" * 100, 554), ("\0" * 10, 500), ("EHLO \0", 500), ("MAIL FROM:<a\0b@example.org>", 500),
], ids=lambda v: str(v)[:40].replace("\0", "NUL"))
def test_command(server, line, code):
    with opened(server) as d:
        answer = d.smtp(line)
        assert answer[0] == code, answer
        if code != 554:
            assert d.smtp("NOOP")[0] == 250
        else:
            assert d.at_end()


@pytest.mark.parametrize("parameter, code", [
    ("NOTIFY=" + "SUCCESS," * 200, 555), ("ORCPT=rfc822;" + "x" * 1000, 555), ("X" * 64 + "=1", 555), ("X" * 65 + "=1", 501),
], ids=lambda v: str(v)[:20])
def test_recipient_parameter(server, account, parameter, code):
    with opened(server, FROM) as d:
        assert d.smtp(f"RCPT TO:<{account.address}> {parameter}")[0] == code
        assert d.smtp(f"RCPT TO:<{account.address}>")[0] == 250


@pytest.mark.parametrize("message, code", [
    (b"Subject: " + b"x" * 65000 + b"\r\n\r\nx\r\n", 250), (b"Subject: " + b"x" * 66000 + b"\r\n\r\nx\r\n", 550), (b"A: b\r\n\r\n" + b"x" * 65500 + b"\r\n", 250),
    (b"A: b\r\n\r\n" + b"x" * 70000 + b"\r\n", 550), (b"A: bbbbbbbbbb\r\n" * 18000 + b"\r\nx\r\n", 550), (b"A: b\r\n" * 30000 + b"\r\nx\r\n", 250),
    (b"Received: x\r\n" * 101 + b"\r\nx\r\n", 554), (b"Received: x\r\n" * 99 + b"\r\nx\r\n", 250), (b"A: " + b"\0" * 100000 + b"\r\n\r\n", 550),
], ids=lambda v: str(v)[:16])
def test_message(server, account, message, code):
    with helpers.Dialogue(server.ports["smtp"]) as d:
        helpers.transaction(d, account.address)
        d.send(message + b".\r\n")
        answer = d.reply()
        assert answer[0] == code, answer
        assert d.smtp("NOOP")[0] == 250
    assert server.check().returncode == 0 if code == 250 else True


def test_too_many_recipients(server, account):
    """RFC 5321 section 4.5.3.1.10: 452, and those before it get the message. LIMITS has said how many (RFC 9422)."""
    local, _, domain = account.address.partition("@")
    with helpers.Dialogue(server.ports["smtp"]) as d:
        d.reply()
        limits = next(line for line in d.smtp("EHLO client.example.org")[1] if line[4:10] == "LIMITS")
        most = int(limits.partition("RCPTMAX=")[2])
        d.smtp(FROM)
        d.send("".join(f"RCPT TO:<{local}+{n}@{domain}>\r\n" for n in range(most + 1)))
        codes = [d.reply()[0] for _ in range(most + 1)]
        assert codes == [250] * most + [452]
        assert d.smtp("DATA")[0] == 354
        d.send("Subject: x\r\n\r\n.\r\n")
        assert d.reply()[0] == 250


def test_a_flood_of_nonsense_ends(server):
    with opened(server) as d:
        d.send("NONSENSE\r\n" * 100000)
        codes = [500]
        while codes[-1] == 500:
            codes.append(d.reply()[0])
        assert codes[-1] in (421, 0) and len(codes) < 100


def test_a_flood_of_unknown_recipients_ends(server):
    with opened(server, FROM) as d:
        codes = [550]
        for n in range(200):
            if codes[-1] != 550:
                break
            codes.append(d.smtp(f"RCPT TO:<personne{n}@{DOMAIN}>")[0])
        assert codes[-1] == 421 and d.at_end(), codes


def test_a_chunk_far_too_large_is_not_read(server, account):
    with opened(server, FROM, f"RCPT TO:<{account.address}>") as d:
        assert d.smtp("BDAT 9999999999999")[0] == 552
        assert d.at_end()
