"""Who a message says it is from: what a user may not claim on submission, and what a stranger may not claim in the server's name."""

import base64
import smtplib

import pytest

from harness import DOMAIN
from helpers import deliver, imap, letter, submission, wait_for_mail


@pytest.mark.parametrize("fields, reason", [
    ("From: <{other}> <{own}>", "From: field has a second address without a comma"),
    ("From: {own}\r\nSender: {other}", "Sender: field names {other}"),
    ("From: {own}\r\nSender: {own}\r\nSender: {other}", "Sender: field is there twice"),
    ("From: {own}\r\nResent-From: {other}", "Resent-From: field names {other}"),
    ("From: <@relay.example:{own}>", "From: field has a route"),
    ("From: \"{other}\": {own};", "From: field names a group"),
    ("From: {own}\r\nFrom : {other}", "From: field has a space before its colon"),
    ("From: =?utf-8?b?{encoded}?= <{own}>", "From: field shows {other}"),
    ("From: {own} ({other})", "From: field shows {other}"),
    ("From: {own}\r\n \r\n , {other}", "From: field has a line of white space only"),
], ids=["two in one place", "sender", "two senders", "resent", "route", "group", "space", "encoded word", "comment", "blank line"])
def test_a_user_is_the_author_of_what_he_sends(server, account, other, fields, reason):
    encoded = base64.b64encode(other.address.encode()).decode()
    values = {"own": account.address, "other": other.address, "encoded": encoded}
    message = (fields.format(**values) + f"\r\nTo: {other.address}\r\nSubject: x\r\n\r\nx\r\n").encode()
    with submission(server, account) as smtp, pytest.raises(smtplib.SMTPDataError) as e:
        smtp.sendmail(account.address, [other.address], message)
    assert e.value.smtp_code == 550 and reason.format(**values) in e.value.smtp_error.decode()


def test_what_is_not_seen_hides_no_address(server, account, other):
    """Characters that show nothing, and those that look like others."""
    local, domain = other.address.split("@")
    shown = [text for hidden in "\u200b\u200c\u200d\u2060\u00ad\ufeff\u200e\u202e\u2066\ufe0f\u034f\U000e0041"
             for text in (f"{local[0]}{hidden}{local[1:]}@{domain}", f"{local}{hidden}@{hidden}{domain}", f"{local}@{domain[:2]}{hidden}{domain[2:]}")]
    shown += [local + "@" + domain.replace(".", "\u2024"), local + "\uff20" + domain, "".join(chr(ord(c) + 0xfee0) for c in other.address), other.address.upper()]
    with submission(server, account) as smtp:
        for text in shown:
            for name in (f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?=", f'"{text}"'):
                with pytest.raises(smtplib.SMTPDataError) as e:
                    smtp.sendmail(account.address, [other.address], f"From: {name} <{account.address}>\r\nSubject: x\r\n\r\nx\r\n".encode())
                assert e.value.smtp_code == 550 and b"From: field shows " in e.value.smtp_error, (ascii(name), e.value)
        # His own looks like his own, and names may have such characters.
        for name in (account.address.replace("@", "\u200b@"), "Zo\u00ad\u00e9 \U0001f9d1\u200d\U0001f4bb", "\ufe0f"):
            message, subject = letter(other.address, sender=f"=?utf-8?b?{base64.b64encode(name.encode()).decode()}?= <{account.address}>")
            smtp.sendmail(account.address, [other.address], message)
            wait_for_mail(server, other, subject)


def test_own_names_in_every_form_are_taken(server, account, other):
    alias = f"alias-{account.address}"
    server.run("alias", "add", alias, account.address, "--dir", str(server.dir))
    local = account.address.split("@")[0]
    for sender in (account.address, alias, f"\"{account.address}\" <{alias.upper()}>", f"J. R. Doe <\"{local}\"@{DOMAIN}> (at work)",
                   f"Zoé <{account.address}>", f"\"foreign@example.net\" <{account.address}>"):
        message, subject = letter(other.address, sender=sender)
        with submission(server, account) as smtp:
            smtp.sendmail(account.address, [other.address], message)
        wait_for_mail(server, other, subject)


def test_nobody_else_writes_trace_fields_in_our_name(server, account):
    message, subject = letter(account.address, headers="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
                              body="--b\r\n\r\nun\r\n--b\r\nContent-Type: text/html\r\n\r\ndeux\r\n--b--\r\n")
    hostname = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30).ehlo()[1].split()[0].decode()
    forged = (f"Return-Path: <forged@example.net>\r\nAuthentication-Results: {hostname}; dkim=pass\r\n"
              f"authentication-results : (a (b)) \"{hostname.upper()}.\" 1;\r\n spf=pass\r\n"
              f"Authentication-Results: {DOMAIN.replace('.', '。')}; dkim=pass\r\n").encode()
    kept = b"Authentication-Results: elsewhere.example.net; dkim=pass\r\n"
    deliver(server, account.address, forged + kept + message)
    stored = wait_for_mail(server, account, subject)
    assert stored.endswith(b"\r\n" + kept + message)
    top = stored[:-len(kept + message)].decode()
    assert top.count("Return-Path:") == 1 and "forged@" not in top and "uthentication" not in top.lower()
    with imap(server, account) as session:
        session.select()
        for part, text in (("1", b"un"), ("2", b"deux")):
            assert session.fetch("1", f"(BODY[{part}])")[1][0][1] == text
        assert b'"html"' in session.fetch("1", "(BODYSTRUCTURE)")[1][0].lower()
    assert "smtp-trace-removed" in server.log()
