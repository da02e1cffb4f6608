"""Postfix's own LMTP client hands mail to our LMTP listeners: whole messages, an answer for each recipient, reports from the answers, one connection for many."""

import email
import os
import smtplib

import pytest

import harness
import helpers
from postfix import Postfix
from test_lmtp import LISTENERS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="Postfix starts as root only")


@pytest.fixture
def server(lab):
    conf = lab.dir / "valise.conf"
    # Postfix's client has no group but its own.
    conf.write_text(conf.read_text() + LISTENERS.replace('"lmtp.sock"', '"lmtp.sock"\n  socket-group = "postfix"'))
    return lab.start()


def relay(server, scratch, kind="port", more=""):
    if kind == "port":
        target = f"inet:127.0.0.1:{24 + server.offset}"
    else:
        os.chmod(server.dir, 0o711)     # the client's own user has to reach the socket
        target = f"unix:{server.dir}/lmtp.sock"
    return Postfix(scratch / "postfix", target, more).start()


@pytest.fixture
def postfix(server, scratch):
    p = relay(server, scratch)
    yield p
    p.stop()


def accounts(server):
    return [helpers.Account(address, password) for address, password in list(server.accounts.items())[:2]]


def send(postfix, sender, to, message, mail_options=(), rcpt_options=()):
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as smtp:
        assert smtp.sendmail(sender, to, message, mail_options, rcpt_options) == {}


@pytest.mark.parametrize("kind", ["port", "socket"])
def test_a_message_arrives(server, scratch, kind):
    first, second = accounts(server)
    postfix = relay(server, scratch, kind)
    try:
        message, subject = helpers.letter(first.address, body="Été\r\n.\r\n..\r\n")
        send(postfix, helpers.STRANGER, [first.address, second.address], message, ["BODY=8BITMIME"])
        for account in (first, second):
            got = helpers.wait_for_mail(server, account, subject, seconds=20)
            assert got.startswith(f"Return-Path: <{helpers.STRANGER}>\r\n".encode()) and got.endswith("Été\r\n.\r\n..\r\n".encode())
            assert got.count(b"Received: ") == 2 and b" with LMTP\r\n" in got
    finally:
        postfix.stop()


def test_utf8_addresses(server, postfix):
    account, address = accounts(server)[0], f"élise@{harness.DOMAIN}"
    server.run("alias", "add", address, account.address, "--dir", str(server.dir))
    message, subject = helpers.letter(address)
    send(postfix, "rené@example.org", [address], message, ["SMTPUTF8", "BODY=8BITMIME"])
    got = helpers.wait_for_mail(server, account, subject, seconds=20)
    assert "Return-Path: <rené@example.org>".encode() in got and b" with UTF8LMTP\r\n" in got


def test_what_is_refused_comes_back(server, postfix):
    sender, other = accounts(server)
    message, subject = helpers.letter(other.address, sender=sender.address)
    send(postfix, sender.address, [other.address, f"personne@{harness.DOMAIN}"], message)
    helpers.wait_for_mail(server, other, subject, seconds=20)
    bounce = email.message_from_bytes(helpers.wait_for_mail(server, sender, "Undelivered Mail Returned to Sender", seconds=20))
    assert bounce.get_content_type() == "multipart/report"
    status = bounce.get_payload()[1].as_string()
    assert "550 5.1.1" in status and "personne@" in status and other.address not in status


def test_success_is_reported_by_the_client(server, scratch):
    """LMTP does not offer DSN: the client has an answer for each recipient and reports from that (lmtp_assume_final)."""
    sender, other = accounts(server)
    postfix = relay(server, scratch, more="lmtp_assume_final = yes")
    try:
        message, subject = helpers.letter(other.address, sender=sender.address)
        send(postfix, sender.address, [other.address], message, rcpt_options=["NOTIFY=SUCCESS"])
        report = helpers.wait_for_mail(server, sender, "Successful Mail Delivery Report", seconds=20)
        assert b"Action: delivered" in report and b"Status: 2.0.0" in report
    finally:
        postfix.stop()


def test_one_connection_carries_many_messages(server, postfix):
    account = accounts(server)[0]
    subjects = []
    for _ in range(8):
        message, subject = helpers.letter(account.address)
        send(postfix, helpers.STRANGER, [account.address], message)
        subjects.append(subject)
    for subject in subjects:
        helpers.wait_for_mail(server, account, subject, seconds=20)
    assert "conn_use=" in postfix.log(), "Postfix has reused no connection"


def test_one_full_mailbox_waits_and_the_other_has_its_copy_once(server, postfix):
    full, other = accounts(server)
    server.run("user", "quota", full.address, "--messages", "1", "--dir", str(server.dir))
    first, _ = helpers.letter(full.address)
    helpers.deliver(server, full.address, first)
    message, subject = helpers.letter(full.address)
    send(postfix, helpers.STRANGER, [full.address, other.address], message)
    helpers.wait_for_mail(server, other, subject, seconds=20)
    harness.wait_until(lambda: "452 4.2.2" in postfix.queue(), 20, "the full recipient in Postfix's queue")
    server.run("user", "quota", full.address, "--none", "--dir", str(server.dir))
    postfix.flush()
    helpers.wait_for_mail(server, full, subject, seconds=30)
    harness.wait_until(lambda: "Mail queue is empty" in postfix.queue(), 20, "an empty queue")
    for account in (full, other):
        with helpers.imap(server, account) as session:
            assert helpers.subjects(session).count(subject) == 1
