"""Failed logins: who guesses is locked out, also after kill -9; whom it is done to is not; an administrator sees it and ends it."""

import imaplib
import json
import smtplib
import socket
import time

import pytest

import harness
from helpers import Account, client, tls_context

ATTACKER, HOME, OFFICE = "127.0.9.9", "127.0.5.5", "127.0.7.7"
WRONG = smtplib.SMTPAuthenticationError


def configure(lab, *lines):
    path = lab.dir / "valise.conf"
    path.write_text(path.read_text() + "".join(line + "\n" for line in lines))


def run(lab, *args, **more):
    return lab.run(*args, "--dir", str(lab.dir), **more)


def submit(lab, account, password, source):
    """Logs in on the submission port from SOURCE; the code of the answer."""
    with smtplib.SMTP("localhost", lab.ports["submission"], timeout=60, source_address=(source, 0)) as smtp:
        smtp.starttls(context=tls_context(lab))
        smtp.ehlo()
        smtp.user, smtp.password = account.address, password
        try:
            return smtp.auth("PLAIN", smtp.auth_plain)[0]  # not login(), which tries one mechanism after the other
        except WRONG as refused:
            return refused.smtp_code


class ImapFrom(imaplib.IMAP4_SSL):
    """imaplib from an address of our choice."""

    def __init__(self, lab, source):
        self.source = source
        super().__init__("localhost", lab.ports["imaps"], ssl_context=tls_context(lab), timeout=60)

    def _create_socket(self, timeout):
        plain = socket.create_connection((self.host, self.port), timeout, (self.source, 0))
        return self.ssl_context.wrap_socket(plain, server_hostname=self.host)


def read(lab, account, password, source):
    session = ImapFrom(lab, source)
    try:
        session.login(account.address, password)
        return "OK"
    except imaplib.IMAP4.error as refused:
        return str(refused)
    finally:
        session.shutdown()


def lock_out(lab, account, source=ATTACKER):
    """Three wrong passwords are enough in these tests."""
    for i in range(3):
        assert submit(lab, account, f"guess {i}", source) == 535


def listed(lab):
    return json.loads(run(lab, "lockout", "list", "--json").stdout)["lockouts"]


@pytest.fixture
def strict(lab):
    path = lab.dir / "valise.conf"
    path.write_text(path.read_text().replace('limits-exempt = {"127.0.0.0/8", "::1"}', "limits-exempt = {}"))
    configure(lab, "login-failures-max = 3", "login-failures-per-network = 6")
    return lab.start()


def test_a_lockout_survives_kill_9(strict, alice, bob):
    lock_out(strict, alice)
    assert submit(strict, alice, alice.password, ATTACKER) == 454
    strict.kill()
    strict.start()
    assert submit(strict, alice, alice.password, ATTACKER) == 454
    assert "UNAVAILABLE" in read(strict, alice, alice.password, ATTACKER)
    # Elsewhere she logs in as ever, and others from there.
    assert submit(strict, alice, alice.password, HOME) == 235
    assert read(strict, alice, alice.password, HOME) == "OK"
    assert submit(strict, bob, bob.password, ATTACKER) == 235


def test_a_network_is_locked_out_but_not_for_whom_it_is_known(strict, alice, bob):
    assert submit(strict, alice, alice.password, ATTACKER) == 235
    for i in range(6):
        code = submit(strict, Account(f"nobody{i}@{harness.DOMAIN}", ""), "guess", ATTACKER)
        assert code == 535
    assert submit(strict, bob, bob.password, ATTACKER) == 454
    assert submit(strict, alice, alice.password, ATTACKER) == 235
    kinds = {(entry["kind"], entry.get("network")) for entry in listed(strict) if entry["locked-until"]}
    assert ("network", ATTACKER) in kinds
    status = json.loads(run(strict, "status", "--json").stdout)["logins"]
    assert status["networks-locked-out"] == 1 and status["turned-away"] >= 1
    assert "valise_locked_out_networks 1" in run(strict, "metrics").stdout


def refusals(lab, name, source):
    """What each way to log in answers to a wrong password from SOURCE."""
    said = []
    for mechanism in ("PLAIN", "LOGIN"):
        with smtplib.SMTP("localhost", lab.ports["submission"], timeout=60, source_address=(source, 0)) as smtp:
            smtp.starttls(context=tls_context(lab))
            smtp.ehlo()
            smtp.user, smtp.password = name, "wrong"
            with pytest.raises(WRONG) as refused:
                smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower()))
            said.append((refused.value.smtp_code, refused.value.smtp_error))
    said.append(read(lab, Account(name, ""), "wrong", source))
    for mechanism, answers in (
        ("PLAIN", [f"\0{name}\0wrong".encode()]),
        ("SCRAM-SHA-256", [f"n,,n={name},r=abc".encode(), None]),
    ):
        session = ImapFrom(lab, source)

        def answer(challenge, answers=iter(answers)):
            reply = next(answers)
            nonce = challenge.split(b",")[0]
            return reply if reply else b"c=biws," + nonce + b",p=" + b"A" * 43 + b"="

        with pytest.raises(imaplib.IMAP4.error) as refused:
            session.authenticate(mechanism, answer)
        said.append(str(refused.value))
        session.shutdown()
    return said


def test_a_closed_network_does_not_learn_who_is_known_there(strict, alice, bob):
    assert submit(strict, alice, alice.password, ATTACKER) == 235
    for i in range(6):
        submit(strict, Account(f"nobody{i}@{harness.DOMAIN}", ""), "guess", ATTACKER)
    known = refusals(strict, alice.address, ATTACKER)
    assert known == refusals(strict, bob.address, ATTACKER) == refusals(strict, f"nobody@{harness.DOMAIN}", ATTACKER)
    assert known[0][0] == 454 and all("UNAVAILABLE" in text for text in known[2:])
    # Her own count is not used up by the same wrong password, and the right one still opens.
    run(strict, "lockout", "lift", alice.address)
    assert submit(strict, alice, alice.password, ATTACKER) == 235


def test_an_administrator_lifts_it(strict, alice, bob):
    lock_out(strict, alice)
    lock_out(strict, bob, HOME)
    text = run(strict, "lockout", "list").stdout
    assert ATTACKER in text and alice.address in text and "locked out until" in text
    assert run(strict, "lockout", "lift", check=False).returncode == 64
    assert run(strict, "lockout", "lift", "nonsense", check=False).returncode == 65
    assert "lifted" in run(strict, "lockout", "lift", alice.address).stdout
    assert submit(strict, alice, alice.password, ATTACKER) == 235
    assert submit(strict, bob, bob.password, HOME) == 454
    run(strict, "lockout", "lift", "127.0.5.0/24")
    assert submit(strict, bob, bob.password, HOME) == 235
    lock_out(strict, alice, OFFICE)
    # Also with the server stopped.
    strict.stop()
    run(strict, "lockout", "lift", "--all")
    strict.start()
    assert listed(strict) == []
    assert submit(strict, alice, alice.password, OFFICE) == 235


def test_the_allow_list_is_read_at_reload(strict, alice):
    lock_out(strict, alice)
    configure(strict, f'login-allow = {{"{ATTACKER}", "10.0.0.0/8"}}')
    run(strict, "reload")
    assert submit(strict, alice, alice.password, ATTACKER) == 235
    for i in range(7):
        assert submit(strict, alice, f"guess {i}", ATTACKER) == 535
    configure(strict, 'login-allow = {"10.0.0.1/8"}')
    refused = run(strict, "reload", check=False)
    assert refused.returncode != 0 and "login-allow" in refused.stderr


def test_behind_a_webmail_accounts_are_guarded_and_the_network_is_nobody(lab, alice, bob):
    configure(lab, "login-failures-max = 3", "login-failures-per-network = 6")
    lab.start()
    for i in range(8):
        assert submit(lab, Account(f"nobody{i}@{harness.DOMAIN}", ""), "guess", "127.0.0.1") == 535
    assert submit(lab, bob, bob.password, "127.0.0.1") == 235
    lock_out(lab, alice, "127.0.0.1")
    assert submit(lab, alice, alice.password, "127.0.0.1") == 454
    assert submit(lab, bob, bob.password, "127.0.0.1") == 235
    assert {entry["kind"] for entry in listed(lab) if entry["locked-until"]} == {"login"}


def test_clients_are_told(strict, alice):
    lock_out(strict, alice, "127.0.0.1")
    swaks = client("swaks", "--server", "localhost", "--port", strict.ports["submission"], "--tls", "--tls-verify", "--tls-ca-path",
                   strict.ca(), "--auth", "PLAIN", "--auth-user", alice.address, "--auth-password", alice.password, "--quit-after",
                   "AUTH")
    assert "454 4.7.0 Too many failed logins" in swaks.stdout, swaks.stdout
    curl = client("curl", "-v", "--cacert", strict.ca(), "--url", f"imaps://localhost:{strict.ports['imaps']}/INBOX", "--user",
                  f"{alice.address}:{alice.password}")
    assert curl.returncode != 0 and "[UNAVAILABLE] Too many failed logins" in curl.stdout, curl.stdout


def test_a_forgotten_telephone_locks_nobody_out(strict, alice):
    for _ in range(5):
        assert submit(strict, alice, "the password of last year", HOME) == 535
    assert submit(strict, alice, alice.password, HOME) == 235


def test_history_tells_who_and_how(strict, alice):
    run(strict, "user", "app-password", "add", alice.address, "scanner")
    begin = time.time()
    assert submit(strict, alice, alice.password, HOME) == 235
    assert submit(strict, alice, alice.password, HOME) == 235
    assert read(strict, alice, alice.password, OFFICE) == "OK"
    lock_out(strict, alice)
    assert submit(strict, alice, alice.password, ATTACKER) == 454
    secret = run(strict, "user", "app-password", "add", alice.address, "fax").stdout.strip()
    assert submit(strict, alice, secret, HOME) == 235

    def history(*options):
        return json.loads(run(strict, "user", "history", alice.address, "--json", *options).stdout)["logins"]

    seen = history()
    strict.kill()
    strict.start()
    assert history() == seen
    twice = [e for e in seen if e["peer"] == HOME and not e["app-password"]]
    assert len(twice) == 1 and twice[0]["count"] == 2 and twice[0]["service"] == "submission" and twice[0]["result"] == "ok"
    assert twice[0]["mechanism"] and twice[0]["tls"].startswith("TLSv1.") and twice[0]["first"] >= begin - 1
    assert [e["app-password"] for e in seen if e["app-password"]] == ["fax"]
    assert {e["service"] for e in seen if e["peer"] == OFFICE} == {"imap"}
    failed = history("--failed")
    assert {(e["result"], e["peer"]) for e in failed} == {("wrong", ATTACKER), ("locked-out", ATTACKER)}
    assert sum(e["count"] for e in failed if e["result"] == "wrong") == 3
    assert history("--since", "1h") == seen and history("--since", "2999-01-01") == []
    assert "2 times since" in run(strict, "user", "history", alice.address).stdout
    assert run(strict, "user", "history", f"nobody@{harness.DOMAIN}", check=False).returncode == 67
    assert run(strict, "user", "history", alice.address, "--since", "yesterday", check=False).returncode == 64
