"""Passwords for single programs: shown once, used instead of the user's own, removed one by one."""

import imaplib
import json

import pytest

from helpers import Account, imap, submission


def app_password(server, *words, check=True):
    return server.run("user", "app-password", *words, "--dir", str(server.dir), check=check).stdout


def test_made_used_listed_removed(server, account):
    secret = app_password(server, "add", account.address, "the phone").strip()
    assert "used never" in app_password(server, "list", account.address)
    with imap(server, Account(account.address, secret)) as session:
        assert session.state == "AUTH"
    with submission(server, Account(account.address, secret.replace("-", "").upper())) as smtp:
        assert smtp.noop()[0] == 250
    listed = json.loads(app_password(server, "list", account.address, "--json"))["app-passwords"]
    assert [p["name"] for p in listed] == ["the phone"] and listed[0]["used"] >= listed[0]["created"]
    app_password(server, "remove", account.address, "the phone")
    assert app_password(server, "list", account.address) == ""
    with pytest.raises(imaplib.IMAP4.error):
        with imap(server, Account(account.address, secret)):
            pass
    with imap(server, account) as session:
        assert session.state == "AUTH"


def test_a_name_is_given_once(server, account):
    app_password(server, "add", account.address, "x")
    again = server.run("user", "app-password", "add", account.address, "x", "--dir", str(server.dir), check=False)
    assert again.returncode == 73 and "already" in again.stderr


def test_it_survives_a_kill(lab):
    address = next(iter(lab.accounts))
    lab.start()
    secret = app_password(lab, "add", address, "robot").strip()
    lab.kill()
    lab.start()
    with imap(lab, Account(address, secret)) as session:
        assert session.state == "AUTH"
    lab.stop()
