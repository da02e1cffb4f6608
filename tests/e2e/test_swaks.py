"""swaks: STARTTLS, AUTH, a wrong password, and what a stranger may not do. Its exit codes: 0 sent, 24 RCPT refused, 28 AUTH refused."""

import pytest

from helpers import client, wait_for_mail


def swaks(server, port, to, *args):
    return client("swaks", "--server", "127.0.0.1", "--port", server.ports[port], "--to", to, "--from", "inconnu@example.org",
                  "--helo", "client.example.org", "--timeout", "30", *args)


def test_stranger_delivers(server, account):
    done = swaks(server, "smtp", account.address, "--header", "Subject: swaks en clair")
    assert done.returncode == 0, done.stdout
    assert b"Received:" in wait_for_mail(server, account, "swaks en clair")


def test_stranger_delivers_over_tls(server, account):
    done = swaks(server, "smtp", account.address, "--tls", "--header", "Subject: swaks chiffre")
    assert done.returncode == 0, done.stdout
    assert b"ESMTPS" in wait_for_mail(server, account, "swaks chiffre")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_submission(server, account, other, mechanism):
    done = swaks(server, "submission", other.address, "--from", account.address, "--tls", "--auth", mechanism, "--auth-user",
                 account.address, "--auth-password", account.password, "--header", f"Subject: swaks {mechanism}")
    assert done.returncode == 0, done.stdout
    assert b"ESMTPSA" in wait_for_mail(server, other, f"swaks {mechanism}")


def test_implicit_tls(server, account, other):
    done = swaks(server, "smtps", other.address, "--from", account.address, "--tlsc", "--auth", "PLAIN", "--auth-user",
                 account.address, "--auth-password", account.password)
    assert done.returncode == 0, done.stdout


def test_wrong_password(server, account):
    done = swaks(server, "submission", account.address, "--tls", "--auth", "PLAIN", "--auth-user", account.address, "--auth-password",
                 "faux")
    assert done.returncode == 28 and " 535 5.7.8" in done.stdout, done.stdout


def test_no_auth_without_tls(server, account):
    done = swaks(server, "submission", account.address, "--auth", "PLAIN", "--auth-user", account.address, "--auth-password",
                 account.password)
    assert done.returncode == 28 and "AUTH" not in "".join(l for l in done.stdout.splitlines() if l.startswith("<-  250"))


def test_relay_is_refused(server):
    done = swaks(server, "smtp", "someone@example.net")
    assert done.returncode == 24 and "<** 550 5.7.1" in done.stdout, done.stdout


def test_pipelining(server, account):
    done = swaks(server, "smtp", account.address, "--pipeline", "--header", "Subject: swaks pipeline")
    assert done.returncode == 0, done.stdout
    wait_for_mail(server, account, "swaks pipeline")
