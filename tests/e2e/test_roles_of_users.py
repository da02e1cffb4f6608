"""Roles of users: a program sends mail and reads none, and logs in with application passwords only; administrators are seen as such."""

import imaplib
import json
import smtplib

import pytest

import harness
from helpers import Account, imap, letter, submission, wait_for_mail


def run(server, *args, **more):
    return server.run(*args, "--dir", str(server.dir), **more)


def test_a_program_sends_and_reads_nothing(server, account):
    robot = f"robot@{harness.DOMAIN}"
    assert "app-password" in run(server, "user", "add", robot, "--role", "program").stdout
    secret = run(server, "user", "app-password", "add", robot, "cron").stdout.strip()
    message, subject = letter(account.address, sender=robot)
    with submission(server, Account(robot, secret)) as smtp:
        smtp.sendmail(robot, [account.address], message)
    wait_for_mail(server, account, subject)
    with pytest.raises(imaplib.IMAP4.error, match="NOPERM"):
        with imap(server, Account(robot, secret)):
            pass
    refused = run(server, "user", "passwd", robot, "--generate", check=False)
    assert refused.returncode == 77 and "app-password" in refused.stderr
    assert run(server, "user", "add", f"x@{harness.DOMAIN}", "--role", "program", "--generate", check=False).returncode == 64


def test_a_role_is_given_and_listed(server, account):
    def listed():
        users = json.loads(run(server, "user", "list", "--json").stdout)["users"]
        return next(user["role"] for user in users if user["address"] == account.address)

    assert listed() == "user"
    run(server, "user", "role", account.address, "admin")
    assert listed() == "admin"
    # As a program the password counts for nothing; it is there again afterwards.
    run(server, "user", "role", account.address, "program")
    with pytest.raises(smtplib.SMTPAuthenticationError):
        with submission(server, account):
            pass
    run(server, "user", "role", account.address, "user")
    with submission(server, account):
        pass
    wrong = run(server, "user", "role", account.address, "king", check=False)
    assert wrong.returncode == 65 and "user, admin or program" in wrong.stderr
