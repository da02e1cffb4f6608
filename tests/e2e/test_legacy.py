"""CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831): for users flagged for them, on listeners that name them, with clients that somebody else wrote."""

import os
import base64
import hmac
import itertools
import random

import pytest

from harness import DOMAIN, HOSTNAME
from helpers import Account, Dialogue, client, letter, wait_for_mail
from test_certificates_tls import configure

ALICE = f"alice@{DOMAIN}"
BOB = f"bob@{DOMAIN}"
PASSWORD = "un vieux secret"
networks = (f"127.{a}.{b}.3" for a, b in itertools.product(range(random.randrange(1, 100), 255), range(1, 255)))


def legacy(lab, address, mode, password=None):
    words = ["user", "legacy", address, mode, "--dir", str(lab.dir)]
    return lab.run(*words, *(["--password-stdin"] if password else []), input=f"{password}\n" if password else None, check=False)


@pytest.fixture
def old(lab):
    """A lab with old listeners, alice flagged while it was stopped, running."""
    for name in "submission", "imap", "imaps":
        configure(lab, f"listener {name} {{", f'listener {name} {{\n  legacy = true\n  auth = {{"PLAIN", "CRAM-MD5", "DIGEST-MD5"}}')
    lab.run("user", "passwd", ALICE, "--password-stdin", "--dir", str(lab.dir), input=PASSWORD + "\n")
    assert legacy(lab, ALICE, "on", PASSWORD).returncode == 0
    return lab.start()


def secured(lab):
    """From an address that has not failed yet."""
    d = Dialogue(lab.ports["imaps"], source=next(networks))
    d.secure(lab)
    d.line()
    return d


def cram(lab, name, password):
    """What IMAP says in the end."""
    with secured(lab) as d:
        d.send("c AUTHENTICATE CRAM-MD5\r\n")
        challenge = base64.b64decode(d.line()[2:])
        digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
        d.send(base64.b64encode(f"{name} {digest}".encode()).decode() + "\r\n")
        return d.line().strip()


def test_listed_where_named(old):
    with secured(old) as d:
        offered = d.imap("CAPABILITY")[1][0].split()
        assert "AUTH=CRAM-MD5" in offered and "AUTH=DIGEST-MD5" in offered and "AUTH=SCRAM-SHA-256" not in offered
    with Dialogue(old.ports["smtps"]) as d:       # submissions does not name them
        d.secure(old)
        d.reply()
        assert "MD5" not in " ".join(d.smtp("EHLO client.example.org")[1])
        assert d.smtp("AUTH CRAM-MD5")[0] == 504


def test_by_hand(old):
    assert cram(old, ALICE, PASSWORD).startswith("c OK")
    assert cram(old, "alice", PASSWORD).startswith("c OK")


def test_who_is_not_flagged_is_like_nobody(old):
    wrong = {cram(old, ALICE, "faux"), cram(old, BOB, old.accounts[BOB]), cram(old, f"personne@{DOMAIN}", "faux"), cram(old, "?", "faux")}
    assert len(wrong) == 1 and wrong.pop().startswith("c NO [AUTHENTICATIONFAILED]")


def test_the_flag_needs_the_present_password(old):
    done = legacy(old, BOB, "on", "faux")
    assert done.returncode == 77 and "not the present password" in done.stderr
    assert legacy(old, f"personne@{DOMAIN}", "on", "faux").returncode == 67
    assert legacy(old, BOB, "perhaps").returncode == 64
    assert legacy(old, BOB, "cram-md5", old.accounts[BOB]).returncode == 0          # while the server runs
    assert cram(old, BOB, old.accounts[BOB]).startswith("c OK")
    users = old.run("user", "list", "--dir", str(old.dir)).stdout.splitlines()
    assert {u.split()[0] for u in users if u.endswith("  legacy")} == {ALICE, BOB}


def test_a_new_password_is_followed_until_the_flag_goes(old):
    old.run("user", "passwd", ALICE, "--password-stdin", "--dir", str(old.dir), input="un autre secret\n")
    assert cram(old, ALICE, PASSWORD).startswith("c NO")
    assert cram(old, ALICE, "un autre secret").startswith("c OK")
    assert legacy(old, ALICE, "off").returncode == 0
    assert cram(old, ALICE, "un autre secret").startswith("c NO")


def test_a_disabled_user_stays_out(old):
    old.run("user", "disable", ALICE, "--dir", str(old.dir))
    assert cram(old, ALICE, PASSWORD).startswith("c NO")


def test_the_store_does_not_hold_the_password(old):
    assert cram(old, ALICE, PASSWORD).startswith("c OK")
    old.stop()
    files = [p for p in old.dir.rglob("*") if p.is_file() and "lab-accounts" not in p.name]
    assert any(ALICE.encode() in p.read_bytes() for p in files)
    assert not any(PASSWORD.encode() in p.read_bytes() for p in files)
    key = old.dir / "keys" / "passwords.seal"
    assert key.stat().st_mode & 0o777 == (0o640 if os.geteuid() == 0 else 0o600) and key.stat().st_uid == (old.dir / "keys").stat().st_uid
    key.unlink()                                  # without the key it is gone for good, and others still log in
    old.start()
    with secured(old) as d:
        assert d.imap(f'LOGIN "{ALICE}" "{PASSWORD}"')[0].startswith("OK")
    assert cram(old, ALICE, PASSWORD).startswith("c NO [AUTHENTICATIONFAILED]")


def test_naming_needs_legacy(lab):
    configure(lab, "listener imap {", 'listener imap {\n  auth = {"CRAM-MD5"}')
    done = lab.run("serve", "--dir", str(lab.dir), check=False)
    assert done.returncode == 78 and "CRAM-MD5 needs legacy = true" in done.stderr


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5"])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(old, protocol, mechanism):
    port = old.ports["imap" if protocol == "imap" else "submission"]
    for password, right in (PASSWORD, True), ("faux", False):
        done = client("gsasl", f"--{protocol}", "--connect", f"localhost:{port}", "--x509-ca-file", old.ca(), "-m", mechanism, "-a", ALICE, "-z", ALICE,
                      "-p", password, "-r", DOMAIN, "--service", protocol, "--hostname", HOSTNAME, "--quality-of-protection", "qop-auth", "--quiet", input="")
        assert (done.returncode == 0) == right, done.stdout


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5"])
def test_swaks(old, mechanism):
    message, subject = letter(ALICE, sender=ALICE)
    extra = ["--auth-extra", f"realm={DOMAIN}"] if mechanism == "DIGEST-MD5" else []
    done = client("swaks", "--server", f"localhost:{old.ports['submission']}", "--tls", "--auth", mechanism, *extra, "--auth-user", ALICE,
                  "--auth-password", PASSWORD, "--from", ALICE, "--to", ALICE, "--header", f"Subject: {subject}")
    assert done.returncode == 0 and f"AUTH {mechanism}" in done.stdout, done.stdout
    wait_for_mail(old, Account(ALICE, PASSWORD), subject)


@pytest.mark.parametrize("mechanism", ["cram-md5", "digest-md5"])
def test_msmtp(old, mechanism, tmp_path):
    rc = tmp_path / "msmtprc"
    rc.write_text(f"account default\nhost localhost\nport {old.ports['submission']}\nfrom {ALICE}\nauth {mechanism}\nuser {ALICE}\n"
                  f'password "{PASSWORD}"\ntls on\ntls_starttls on\ntls_trust_file {old.ca()}\n')
    rc.chmod(0o600)
    message, subject = letter(ALICE, sender=ALICE)
    done = client("msmtp", "-C", rc, ALICE, input=message.decode().replace("\r\n", "\n"))
    assert done.returncode == 0, done.stdout
    wait_for_mail(old, Account(ALICE, PASSWORD), subject)


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5"])
def test_curl(old, mechanism):
    done = client("curl", "-sv", "--cacert", old.ca(), "-u", f"{ALICE}:{PASSWORD}", "--login-options", f"AUTH={mechanism}",
                  f"imaps://localhost:{old.ports['imaps']}/", "-X", "NOOP")
    assert done.returncode == 0 and f"AUTHENTICATE {mechanism}" in done.stdout, done.stdout


def test_fetchmail(old, tmp_path):
    rc = tmp_path / "fetchmailrc"
    rc.write_text(f"poll localhost service {old.ports['imaps']} protocol imap auth cram-md5 user \"{ALICE}\" password \"{PASSWORD}\" ssl sslcertck "
                  f"sslcertfile {old.ca()} mda cat\n")
    rc.chmod(0o600)
    done = client("fetchmail", "-f", rc, "-c", "-v", "--nosyslog", env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "FETCHMAILUSER": "root"})
    assert done.returncode in (0, 1) and "AUTHENTICATE CRAM-MD5" in done.stdout and "OK" in done.stdout, done.stdout     # 1: no new mail
