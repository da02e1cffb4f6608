"""Who may log in, and what the others are told."""

import base64
import imaplib

import pytest

from helpers import Account, Dialogue, imap, tls_context


def refused(server, address, password):
    session = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=tls_context(server), timeout=30)
    with pytest.raises(imaplib.IMAP4.error) as e:
        session.login(address, password)
    session.logout()
    return str(e.value)


def test_wrong_password_and_unknown_user_are_told_the_same(server, account):
    wrong = refused(server, account.address, "faux")
    unknown = refused(server, "personne@mondomaine.fr", "faux")
    assert "AUTHENTICATIONFAILED" in wrong and wrong == unknown


@pytest.mark.parametrize("password", ["", " ", "\u00e9t\u00e9".encode().decode("latin-1"), "a" * 2000],
                         ids=["empty", "space", "utf-8", "long"])
def test_odd_passwords(server, account, password):
    session = Dialogue(server.ports["imaps"])
    session.secure(server)
    session.line()
    text = password.replace("\\", "\\\\").replace('"', '\\"').encode()
    session.send(b'a LOGIN "' + account.address.encode() + b'" {' + str(len(text)).encode() + b"+}\r\n" + text + b"\r\n")
    line = session.line()
    while line.startswith("+"):
        line = session.line()
    assert line.startswith(("a NO", "a BAD")), line
    session.close()


def test_failure_does_not_lock_the_session(server, account):
    with Dialogue(server.ports["imaps"]) as d:
        d.secure(server)
        d.line()
        assert d.imap(f'LOGIN "{account.address}" "faux"')[0].startswith("NO")
        assert d.imap(f'LOGIN "{account.address}" "{account.password}"')[0].startswith("OK")


def test_no_login_without_tls(server, account):
    with Dialogue(server.ports["imap"]) as d:
        d.line()
        untagged = d.imap("CAPABILITY")[1][0]
        assert "LOGINDISABLED" in untagged and "STARTTLS" in untagged and "AUTH=PLAIN" not in untagged
        answer = d.imap(f'LOGIN "{account.address}" "{account.password}"')[0]
        assert answer.startswith("NO"), answer
        assert d.imap("SELECT INBOX")[0].startswith(("BAD", "NO"))


def test_authenticate_plain(server, account):
    plain = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
    with Dialogue(server.ports["imaps"]) as d:
        d.secure(server)
        d.line()
        d.send("a AUTHENTICATE PLAIN\r\n")
        assert d.line().startswith("+")
        d.send(plain + "\r\n")
        line = d.line()
        while line.startswith("* "):
            line = d.line()
        assert line.startswith("a OK"), line


def test_authenticate_initial_response_and_cancel(server, account):
    plain = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
    with Dialogue(server.ports["imaps"]) as d:
        d.secure(server)
        d.line()
        d.send("a AUTHENTICATE PLAIN\r\n")
        assert d.line().startswith("+")
        d.send("*\r\n")
        assert d.line().startswith("a BAD")
        assert d.imap(f"AUTHENTICATE PLAIN {plain}")[0].startswith("OK")


def test_one_user_may_not_act_as_another(server, account, other):
    plain = base64.b64encode(f"{other.address}\0{account.address}\0{account.password}".encode()).decode()
    with Dialogue(server.ports["imaps"]) as d:
        d.secure(server)
        d.line()
        assert d.imap(f"AUTHENTICATE PLAIN {plain}")[0].startswith("NO")


def test_address_case_does_not_matter(server, account):
    with imap(server, Account(account.address.upper(), account.password)) as session:
        assert session.state == "AUTH"


def test_changed_password(server, account):
    server.run("user", "passwd", account.address, "--password-stdin", "--dir", str(server.dir), input="un nouveau secret\n")
    assert "AUTHENTICATIONFAILED" in refused(server, account.address, account.password)
    with imap(server, Account(account.address, "un nouveau secret")) as session:
        assert session.state == "AUTH"


def test_removed_user(server, account):
    assert account.address in server.run("user", "list", "--dir", str(server.dir)).stdout
    server.run("user", "remove", account.address, "--dir", str(server.dir))
    assert "AUTHENTICATIONFAILED" in refused(server, account.address, account.password)
    assert account.address not in server.run("user", "list", "--dir", str(server.dir)).stdout
