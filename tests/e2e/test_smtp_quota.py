"""Quotas seen from SMTP and LMTP: refused at RCPT where the size is known, never at the others' cost, and reported to a sender of ours."""

import smtplib

import pytest

import helpers
from test_dsn import read_report


def quota(server, account, *limits):
    server.run("user", "quota", account.address, *limits, "--dir", str(server.dir))


def fill(server, account):
    """One message, and room for no other."""
    message, _ = helpers.letter(account.address)
    assert helpers.deliver(server, account.address, message) == {}
    quota(server, account, "--messages", "1")


def stranger(server, size=None):
    d = helpers.Dialogue(server.ports["smtp"])
    d.reply()
    d.smtp("EHLO client.example.org")
    assert d.smtp(f"MAIL FROM:<{helpers.STRANGER}>{f' SIZE={size}' if size else ''}")[0] == 250
    return d


def rcpt(d, account):
    code, lines = d.smtp(f"RCPT TO:<{account.address}>")
    return code, lines[-1][4:9]


def count(server, account):
    with helpers.imap(server, account) as session:
        return len(helpers.subjects(session))


def test_a_full_mailbox_is_refused_and_the_others_are_served_once(server, account, other):
    fill(server, account)
    with stranger(server, 1000) as d:
        assert rcpt(d, account) == (452, "4.2.2")
        assert rcpt(d, other) == (250, "2.1.5")
        assert d.smtp("DATA")[0] == 354
        d.send("Subject: x\r\n\r\nx\r\n.\r\n")
        assert d.reply()[0] == 250
    assert count(server, account) == 1 and count(server, other) == 1
    quota(server, account, "--none")
    with stranger(server, 1000) as d:
        assert rcpt(d, account) == (250, "2.1.5")


def test_the_size_that_mail_says_has_to_fit(server, account):
    quota(server, account, "--storage", "100K")
    with stranger(server, 50000) as d:
        assert rcpt(d, account) == (250, "2.1.5")
    with stranger(server, 200000) as d:
        assert rcpt(d, account) == (552, "5.2.3")
    message, _ = helpers.letter(account.address, body="0123456789abcdef\r\n" * 4000)
    helpers.deliver(server, account.address, message)
    with stranger(server, 50000) as d:
        assert rcpt(d, account) == (452, "4.2.2")


def test_a_message_of_unknown_size_goes_to_one_that_may_be_full_alone(server, account, other):
    quota(server, account, "--storage", "100K")
    with stranger(server) as d:
        assert rcpt(d, other) == (250, "2.1.5")
        assert rcpt(d, account) == (452, "4.5.3")
        d.smtp("RSET")
        d.smtp(f"MAIL FROM:<{helpers.STRANGER}>")
        assert rcpt(d, account) == (250, "2.1.5")
        assert rcpt(d, other) == (452, "4.5.3")
        assert d.smtp("DATA")[0] == 354
        d.send("Subject: x\r\n\r\n" + "0123456789abcdef\r\n" * 6000 + ".\r\n")
        code, lines = d.reply()
        assert code == 552 and lines[-1].startswith("552 5.2.3"), lines
    assert count(server, account) == 0 and count(server, other) == 0


def test_a_size_that_was_a_lie_costs_nobody_a_second_copy(server, account, other):
    quota(server, account, "--storage", "100K")
    with stranger(server, 1000) as d:
        assert rcpt(d, account) == (250, "2.1.5") and rcpt(d, other) == (250, "2.1.5")
        assert d.smtp("DATA")[0] == 354
        d.send("Subject: x\r\n\r\n" + "0123456789abcdef\r\n" * 6000 + ".\r\n")
        assert d.reply()[0] == 552
    assert count(server, account) == 0 and count(server, other) == 0


def test_a_user_is_told_who_had_no_room(server, account, other):
    full = helpers.Account(f"plein.{other.address}", None)
    server.add_user(full.address)
    full.password = server.accounts[full.address]
    quota(server, full, "--storage", "20K")
    message, subject = helpers.letter(other.address, sender=account.address, body="0123456789abcdef\r\n" * 2000)
    with helpers.submission(server, account) as smtp:
        smtp.ehlo()
        smtp.mail(account.address)      # no SIZE: it shows at the end only
        assert smtp.rcpt(full.address)[0] == 250 and smtp.rcpt(other.address)[0] == 250
        assert smtp.data(message)[0] == 250
    helpers.wait_for_mail(server, other, subject)
    _, recipients, returned = read_report(helpers.wait_for_mail(server, account, "Your message was not delivered to everyone"))
    assert [(r["final-recipient"], r["action"], r["status"]) for r in recipients] == [(f"rfc822; {full.address}", "failed", "5.2.3")]
    assert returned.get_content_type() == "message/rfc822"
    assert count(server, full) == 0


def test_a_user_is_refused_at_once_where_nobody_has_room(server, account, other):
    fill(server, other)
    message, _ = helpers.letter(other.address, sender=account.address)
    with helpers.submission(server, account) as smtp, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        smtp.sendmail(account.address, [other.address], message)
    assert refused.value.recipients[other.address][0] == 452
    assert count(server, account) == 0


def test_full_is_final_where_it_is_configured(lab, alice):
    conf = lab.dir / "valise.conf"
    conf.write_text("refuse-over-quota = true\n" + conf.read_text())
    lab.start()
    fill(lab, alice)
    with stranger(lab, 1000) as d:
        assert rcpt(d, alice) == (552, "5.2.2")
