"""Who may log in, and what the others are told.

Failures slow down the address they come from, so each test here comes from an address of its own (all of 127.0.0.0/8 is ours)."""

import base64
import itertools
import random

import pytest

from helpers import Account, Dialogue, imap

# One network each: neighbours may be counted together.
networks = (f"127.{a}.{b}.1" for a, b in itertools.product(range(random.randrange(1, 100), 255), range(1, 255)))


@pytest.fixture
def far(server):
    """An IMAP dialogue over TLS from an address that has not failed yet."""
    with Dialogue(server.ports["imaps"], source=next(networks)) as d:
        d.secure(server)
        d.line()
        yield d


def login(d, address, password):
    return d.imap(f'LOGIN "{address}" "{password}"')[0]


def test_wrong_password_and_unknown_user_are_told_the_same(far, account):
    wrong = login(far, account.address, "faux")
    unknown = login(far, "personne@mondomaine.fr", "faux")
    assert wrong.startswith("NO [AUTHENTICATIONFAILED]") and wrong == unknown


@pytest.mark.parametrize("password", ["", " ", "\u00e9t\u00e9", "a" * 2000],
                         ids=["empty", "space", "utf-8", "long"])
def test_odd_passwords(far, account, password):
    text = password.encode()
    far.send(b'a LOGIN "' + account.address.encode() + b'" {' + str(len(text)).encode() + b"+}\r\n" + text + b"\r\n")
    line = far.line()
    assert line.startswith(("a NO", "a BAD")), line
    assert login(far, account.address, account.password).startswith("OK")


def test_failure_does_not_lock_the_session(far, account):
    assert login(far, account.address, "faux").startswith("NO")
    assert login(far, account.address, account.password).startswith("OK")


def test_failures_elsewhere_do_not_lock_out_the_owner(server, far, account):
    for _ in range(3):
        assert login(far, account.address, "faux").startswith("NO")
    with imap(server, account) as session:
        assert session.state == "AUTH"


def test_no_login_without_tls(server, account):
    with Dialogue(server.ports["imap"]) as d:
        d.line()
        untagged = d.imap("CAPABILITY")[1][0]
        assert "LOGINDISABLED" in untagged and "STARTTLS" in untagged and "AUTH=PLAIN" not in untagged
        answer = d.imap(f'LOGIN "{account.address}" "{account.password}"')[0]
        assert answer.startswith("NO"), answer
        assert d.imap("SELECT INBOX")[0].startswith(("BAD", "NO"))


def plain(authorize, account):
    return base64.b64encode(f"{authorize}\0{account.address}\0{account.password}".encode()).decode()


def test_authenticate_plain(far, account):
    far.send("a AUTHENTICATE PLAIN\r\n")
    assert far.line().startswith("+")
    far.send(plain("", account) + "\r\n")
    line = far.line()
    while line.startswith("* "):
        line = far.line()
    assert line.startswith("a OK"), line


def test_authenticate_cancelled_then_initial_response(far, account):
    far.send("a AUTHENTICATE PLAIN\r\n")
    assert far.line().startswith("+")
    far.send("*\r\n")
    assert far.line().startswith("a BAD")
    assert far.imap(f"AUTHENTICATE PLAIN {plain('', account)}")[0].startswith("OK")


def test_one_user_may_not_act_as_another(far, account, other):
    assert far.imap(f"AUTHENTICATE PLAIN {plain(other.address, account)}")[0].startswith("NO")


def test_address_case_does_not_matter(server, account):
    with imap(server, Account(account.address.upper(), account.password)) as session:
        assert session.state == "AUTH"


def test_changed_password(server, far, account):
    server.run("user", "passwd", account.address, "--password-stdin", "--dir", str(server.dir), input="un nouveau secret\n")
    assert login(far, account.address, account.password).startswith("NO [AUTHENTICATIONFAILED]")
    with imap(server, Account(account.address, "un nouveau secret")) as session:
        assert session.state == "AUTH"


def test_a_password_is_the_same_however_it_is_typed(server, far, account):
    """Composed or decomposed, with the space of another keyboard: by LOGIN, PLAIN and what is set."""
    server.run("user", "passwd", account.address, "--password-stdin", "--dir", str(server.dir), input="un caf\u00e9\u00a0noir\n")
    for typed in ("un caf\u00e9 noir", "un cafe\u0301 noir", "un cafe\u0301\u00a0noir"):
        text = typed.encode()
        with Dialogue(server.ports["imaps"], source=next(networks)) as d:
            d.secure(server)
            d.line()
            d.send(b'a LOGIN "' + account.address.encode() + b'" {' + str(len(text)).encode() + b"+}\r\n" + text + b"\r\n")
            assert d.line().startswith("a OK"), typed
        with Dialogue(server.ports["imaps"], source=next(networks)) as d:
            d.secure(server)
            d.line()
            assert d.imap("AUTHENTICATE PLAIN " + plain("", Account(account.address, typed)))[0].startswith("OK"), typed
    assert login(far, account.address, "un cafe noir").startswith("NO [AUTHENTICATIONFAILED]")
    refused = server.run("user", "passwd", account.address, "--password-stdin", "--dir", str(server.dir), input="un\tcaf\u00e9 noir\n",
                         check=False)
    assert refused.returncode != 0 and "control characters" in refused.stderr and "choose another" in refused.stderr


def test_removed_user(server, far, account):
    assert account.address in server.run("user", "list", "--dir", str(server.dir)).stdout
    server.run("user", "remove", account.address, "--dir", str(server.dir))
    assert login(far, account.address, account.password).startswith("NO [AUTHENTICATIONFAILED]")
    assert account.address not in server.run("user", "list", "--dir", str(server.dir)).stdout
