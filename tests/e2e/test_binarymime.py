"""BINARYMIME (RFC 3030): a part of any bytes comes in by BDAT, and every way out gives it back without a NUL on the wire that did not ask for it."""

import email
import os
import re

import helpers
from test_archive import content

PART = bytes(range(256)) * 300 + b"\r\n.\r\n\r\r\n\n\0"


def binary_letter(account, part=PART):
    subject = f"binaire {os.urandom(6).hex()}"
    head = (f"From: {helpers.STRANGER}\r\nTo: {account.address}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: multipart/mixed; boundary=limite\r\n\r\n--limite\r\n\r\nBonjour\r\n--limite\r\n"
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n").encode()
    return head + part + b"\r\n--limite--\r\n", subject


def send(server, account, message, chunk=20000):
    """By BDAT, in chunks cut anywhere; the answer to the last."""
    with helpers.Dialogue(server.ports["smtp"]) as smtp:
        smtp.reply()
        code, lines = smtp.smtp("EHLO client.example.net")
        assert any(line[4:] == "BINARYMIME" for line in lines)
        assert smtp.smtp(f"MAIL FROM:<{helpers.STRANGER}> BODY=BINARYMIME SIZE={len(message)}")[0] == 250
        assert smtp.smtp(f"RCPT TO:<{account.address}>")[0] == 250
        for at in range(0, len(message), chunk):
            piece = message[at:at + chunk]
            smtp.send(f"BDAT {len(piece)}{' LAST' if at + chunk >= len(message) else ''}\r\n".encode() + piece)
            answer = smtp.reply()
        return answer


def check(server, account, subject, part=PART):
    whole = helpers.wait_for_mail(server, account, subject)
    assert b"\0" not in whole
    assert email.message_from_bytes(whole).get_payload()[1].get_payload(decode=True) == part
    with helpers.imap(server, account) as session:
        number = str(helpers.subjects(session).index(subject) + 1)
        raw = helpers.ok(session.fetch(number, "(RFC822.SIZE BODY.PEEK[2] BODY.PEEK[TEXT])"))
        assert b"\0" not in b"".join(b"".join(p) if isinstance(p, tuple) else p for p in raw)
        assert int(re.search(rb"RFC822.SIZE (\d+)", raw[0][0]).group(1)) == len(whole)
        structure = helpers.ok(session.fetch(number, "(BODYSTRUCTURE)"))[0].lower()
        assert b'"base64"' in structure and b'"binary"' not in structure


def test_any_bytes_come_in_and_are_read_by_every_client(server, account):
    message, subject = binary_letter(account)
    assert send(server, account, message)[0] == 250
    check(server, account, subject)


def test_who_asks_for_binary_gets_the_bytes_as_they_came(server, account):
    message, subject = binary_letter(account)
    send(server, account, message)
    helpers.wait_for_mail(server, account, subject)
    with helpers.Dialogue(server.ports["imap"]) as client:
        helpers.login(client, server, account)
        client.imap("SELECT INBOX")
        client.send("b FETCH 1 BINARY.PEEK[2]\r\n")
        assert client.line() == f"* 1 FETCH (BINARY[2] ~{{{len(PART)}}}\r\n"
        while len(client.buffer) < len(PART):
            client.buffer += client.socket.recv(65536)
        assert client.buffer[:len(PART)] == PART
        client.buffer = client.buffer[len(PART):]
        assert client.line() == ")\r\n" and client.line().startswith("b OK")


def test_a_large_part_comes_in(server, account):
    part = os.urandom(3 << 20)
    message, subject = binary_letter(account, part)
    assert send(server, account, message, 500000)[0] == 250
    check(server, account, subject, part)


def test_archives_and_backups_keep_it(lab, alice, bob, scratch):
    lab.start()
    message, subject = binary_letter(alice)
    assert send(lab, alice, message)[0] == 250
    before = content(lab, alice)
    for form in ("mbox", "maildir"):
        lab.run("export", form, alice.address, str(scratch / form), "--dir", str(lab.dir))
    lab.run("import", "mbox", bob.address, str(scratch / "mbox"), "--dir", str(lab.dir))
    assert content(lab, bob) == before
    lab.run("backup", str(scratch / "backup"), "--dir", str(lab.dir))
    with helpers.imap(lab, alice) as session:
        session.select("INBOX")
        session.store("1", "+FLAGS", "(\\Deleted)")
        session.expunge()
    lab.run("restore", str(scratch / "backup"), "--account", alice.address, "--dir", str(lab.dir))
    check(lab, alice, subject)
    assert lab.check().returncode == 0


def test_a_maildir_with_nul_is_taken_in(server, account, scratch):
    for name in ("cur", "new", "tmp"):
        (scratch / "in" / name).mkdir(parents=True)
    message, _ = binary_letter(account)
    (scratch / "in" / "cur" / "1.a:2,S").write_bytes(message)
    (scratch / "in" / "cur" / "2.b:2,S").write_bytes(b"Subject: a\0b\n\nx\n")
    server.run("import", "maildir", account.address, str(scratch / "in"), "--dir", str(server.dir))
    with helpers.imap(server, account) as session:
        count = int(helpers.ok(session.select("INBOX"))[0])
        assert count == 2
        for number in ("1", "2"):
            assert b"\0" not in helpers.ok(session.fetch(number, "(BODY.PEEK[])"))[0][1]
