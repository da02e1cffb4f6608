"""smtplib: receiving and submission as a program sees them."""

import smtplib

import pytest

from harness import DOMAIN
from helpers import STRANGER, deliver, imap, letter, ok, submission, subjects, wait_for_mail


def stranger(server):
    return smtplib.SMTP("127.0.0.1", server.ports["smtp"], local_hostname="client.example.org", timeout=30)


def test_extensions(server):
    with stranger(server) as smtp:
        smtp.ehlo()
        assert {"size", "8bitmime", "pipelining", "enhancedstatuscodes", "starttls"} <= set(smtp.esmtp_features)
        assert "auth" not in smtp.esmtp_features


def test_message_arrives_unchanged_below_its_trace(server, account):
    body = ".\r\n..\r\n.point\r\n\r\n" + "x" * 990 + "\r\nfin sans ligne vide\r\n"
    message, subject = letter(account.address, body=body)
    deliver(server, account.address, message)
    stored = wait_for_mail(server, account, subject)
    assert stored.endswith(message)
    trace = stored[:-len(message)].decode()
    assert trace.startswith(f"Return-Path: <{STRANGER}>\r\n")
    assert f"for <{account.address}>" in trace and "Received: from" in trace


def test_eight_bit_body(server, account):
    message, subject = letter(account.address, body="é à ü\r\n", headers="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: 8bit\r\n")
    with stranger(server) as smtp:
        smtp.sendmail(STRANGER, [account.address], message, mail_options=["BODY=8BITMIME"])
    assert "é à ü".encode() in wait_for_mail(server, account, subject)


def test_large_message(server, account):
    message, subject = letter(account.address, body=("0123456789abcdef" * 4 + "\r\n") * 80_000)
    deliver(server, account.address, message)
    assert wait_for_mail(server, account, subject, seconds=30).endswith(message)


def test_announced_size_is_checked(server, account):
    with stranger(server) as smtp:
        smtp.ehlo()
        limit = int(smtp.esmtp_features["size"])
        code, text = smtp.mail(STRANGER, [f"SIZE={limit + 1}"])
        assert code == 552 and text.startswith(b"5.3.4")
        assert smtp.mail(STRANGER, [f"SIZE={limit}"])[0] == 250


def test_several_recipients_one_unknown(server, account, other):
    message, subject = letter(account.address)
    with stranger(server) as smtp:
        refused = smtp.sendmail(STRANGER, [account.address, f"personne@{DOMAIN}", other.address], message)
    assert list(refused) == [f"personne@{DOMAIN}"] and refused[f"personne@{DOMAIN}"][0] == 550
    wait_for_mail(server, account, subject)
    wait_for_mail(server, other, subject)


def test_same_recipient_twice_gets_one_copy(server, account):
    message, subject = letter(account.address)
    with stranger(server) as smtp:
        smtp.sendmail(STRANGER, [account.address, account.address.upper()], message)
    wait_for_mail(server, account, subject)
    with imap(server, account) as session:
        assert subjects(session) == [subject]


def test_null_sender(server, account):
    message, subject = letter(account.address)
    deliver(server, account.address, message, sender="")
    assert wait_for_mail(server, account, subject).startswith(b"Return-Path: <>\r\n")


def test_alias(server, account, other):
    alias = f"equipe-{account.address}"
    server.run("alias", "add", alias, account.address, other.address, "--dir", str(server.dir))
    message, subject = letter(alias)
    deliver(server, alias, message)
    wait_for_mail(server, account, subject)
    wait_for_mail(server, other, subject)
    assert alias in server.run("alias", "list", "--dir", str(server.dir)).stdout
    server.run("alias", "remove", alias, "--dir", str(server.dir))
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        deliver(server, alias, message)


def test_several_messages_on_one_connection(server, account):
    sent = []
    with stranger(server) as smtp:
        for _ in range(20):
            message, subject = letter(account.address)
            smtp.sendmail(STRANGER, [account.address], message)
            sent.append(subject)
        smtp.rset()
        assert smtp.noop()[0] == 250
    with imap(server, account) as session:
        assert subjects(session) == sent


def test_commands_out_of_order(server, account):
    with stranger(server) as smtp:
        assert smtp.docmd("MAIL", "FROM:<a@example.org>")[0] == 503
        smtp.ehlo()
        assert smtp.docmd("DATA")[0] == 503
        assert smtp.rcpt(account.address)[0] == 503
        assert smtp.docmd("NONSENSE")[0] == 500
        assert smtp.mail("a@example.org")[0] == 250
        assert smtp.mail("a@example.org")[0] == 503
        assert smtp.docmd("QUIT", "")[0] == 221


def test_submission(server, account, other):
    message, subject = letter(other.address, sender=account.address)
    with submission(server, account) as smtp:
        smtp.sendmail(account.address, [other.address], message)
    wait_for_mail(server, other, subject)


def test_submission_needs_login(server, account):
    with submission(server) as smtp:
        smtp.ehlo()
        assert smtp.mail(account.address)[0] == 530
    with smtplib.SMTP("localhost", server.ports["submission"], timeout=30) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.mail(account.address)[0] == 530


def test_submission_with_a_wrong_password(server, account):
    with submission(server) as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as e:
        smtp.login(account.address, account.password + "x")
    assert e.value.smtp_code == 535 and e.value.smtp_error.startswith(b"5.7.8")


def test_concurrent_deliveries(server, account):
    sessions = [stranger(server) for _ in range(20)]
    sent = []
    for smtp in sessions:
        smtp.ehlo()
        assert smtp.mail(STRANGER)[0] == 250
    for smtp in sessions:
        assert smtp.rcpt(account.address)[0] == 250
    for smtp in sessions:
        message, subject = letter(account.address)
        assert smtp.data(message)[0] == 250
        sent.append(subject)
    for smtp in sessions:
        smtp.quit()
    with imap(server, account) as session:
        assert sorted(subjects(session)) == sorted(sent)
        assert ok(session.status("INBOX", "(MESSAGES UIDNEXT)"))[0].endswith(b"(MESSAGES 20 UIDNEXT 21)")
