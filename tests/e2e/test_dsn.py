"""Reports on delivery (RFC 3461): a user of ours asks for them and finds them in the mailbox; strangers are not promised any."""

import email
import email.policy
import smtplib

import helpers


def read_report(message):
    """The parts of a multipart/report, as Python's parser sees them: (fields of the message, of each recipient, returned part)."""
    report = email.message_from_bytes(message, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    assert report["return-path"] == "<>" and report["auto-submitted"] == "auto-replied"
    words, status, returned = report.iter_parts()
    assert words.get_content_type() == "text/plain"
    about, *recipients = status.iter_parts()
    return about, recipients, returned


def wait_for_report(server, account):
    return helpers.wait_for_mail(server, account, "Your message was delivered")


def test_success_is_reported_to_the_sender(server, account, other):
    message, subject = helpers.letter(other.address, sender=account.address)
    with helpers.submission(server, account) as smtp:
        assert smtp.has_extn("dsn")
        smtp.sendmail(account.address, [other.address], message, mail_options=["RET=FULL", "ENVID=Q+2B7"],
                      rcpt_options=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{other.address}"])
        # the answer to DATA came after the report was kept: it is there now
        with helpers.imap(server, account) as session:
            assert "Your message was delivered" in helpers.subjects(session)
    helpers.wait_for_mail(server, other, subject)
    about, recipients, returned = read_report(wait_for_report(server, account))
    assert about["original-envelope-id"] == "Q+7" and about["reporting-mta"].startswith("dns; ")
    assert len(recipients) == 1 and recipients[0]["action"] == "delivered"
    assert recipients[0]["final-recipient"] == f"rfc822; {other.address}"
    assert recipients[0]["original-recipient"] == f"rfc822; {other.address}"
    assert returned.get_content_type() == "text/rfc822-headers" and subject in returned.get_payload()


def test_msmtp_asks_for_a_report(server, account, other):
    message, subject = helpers.letter(other.address, sender=account.address)
    result = helpers.client("msmtp", "--host=localhost", f"--port={server.ports['submission']}", "--tls=on", "--tls-starttls=on",
                            f"--tls-trust-file={server.ca()}", "--auth=plain", f"--user={account.address}",
                            f"--passwordeval=echo {account.password}", f"--from={account.address}", "--dsn-notify=success",
                            "--dsn-return=headers", other.address, input=message.decode().replace("\r\n", "\n"))
    assert result.returncode == 0, result.stdout
    _, recipients, _ = read_report(wait_for_report(server, account))
    assert [r["action"] for r in recipients] == ["delivered"]


def test_nothing_is_reported_without_a_wish(server, account, other):
    message, subject = helpers.letter(other.address, sender=account.address)
    with helpers.submission(server, account) as smtp:
        smtp.sendmail(account.address, [other.address], message)
    helpers.wait_for_mail(server, other, subject)
    with helpers.imap(server, account) as session:
        assert helpers.subjects(session) == []


def test_strangers_are_promised_nothing(server, account):
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("dsn")
        assert smtp.docmd("MAIL", f"FROM:<{helpers.STRANGER}> RET=HDRS")[0] == 555
