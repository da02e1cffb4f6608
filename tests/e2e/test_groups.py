"""Groups, catch-all, other names of a domain and quotas, as clients and an administrator meet them."""

import json
import smtplib

import pytest

import harness
from helpers import Account, client, deliver, imap, letter, ok, submission, subjects, wait_for_mail

OTHER = "autre-domaine.fr"


def run(lab, *args, **more):
    return lab.run(*args, "--dir", str(lab.dir), **more)


@pytest.fixture
def open_lab(lab):
    return lab.start()


@pytest.fixture
def marie(lab):
    address = f"marie@{harness.DOMAIN}"
    return Account(address, lab.accounts[address])


def swaks(lab, to, *more):
    return client("swaks", "--server", "127.0.0.1", "--port", lab.ports["smtp"], "--from", "inconnu@example.org", "--to", to, *more)


def test_mail_for_a_group_reaches_each_member_once(open_lab, alice, bob, marie):
    team = f"equipe@{harness.DOMAIN}"
    run(open_lab, "group", "add", "bureau")
    run(open_lab, "group", "member", "add", "bureau", bob.address, marie.address)
    run(open_lab, "group", "add", team)
    run(open_lab, "group", "member", "add", team, alice.address, bob.address, "bureau")
    run(open_lab, "group", "member", "add", "bureau", team)  # a loop
    assert f"{team} (from anyone): {alice.address} {bob.address} bureau" in run(open_lab, "group", "list").stdout
    sent = swaks(open_lab, team, "--header", "Subject: pour tous")
    assert sent.returncode == 0, sent.stdout
    for account in (alice, bob, marie):
        wait_for_mail(open_lab, account, "pour tous")
        with imap(open_lab, account) as session:
            assert subjects(session).count("pour tous") == 1
    # Being in it is no right to send in its name.
    with submission(open_lab, alice) as smtp, pytest.raises(smtplib.SMTPSenderRefused):
        smtp.sendmail(team, [bob.address], letter(bob.address, sender=team)[0])
    run(open_lab, "group", "member", "remove", team, "bureau")
    run(open_lab, "group", "remove", team)
    assert "550" in swaks(open_lab, team).stdout


def test_a_group_may_be_closed(open_lab, alice, bob, marie):
    board = f"conseil@{harness.DOMAIN}"
    run(open_lab, "group", "add", board, "--from", "members")
    run(open_lab, "group", "member", "add", board, alice.address, marie.address)
    refused = swaks(open_lab, board)
    assert "550 5.7.1 You may not write to this group" in refused.stdout, refused.stdout
    message, subject = letter(board, sender=bob.address)
    with submission(open_lab, bob) as smtp, pytest.raises(smtplib.SMTPRecipientsRefused):
        smtp.sendmail(bob.address, [board], message)
    message, subject = letter(board, sender=alice.address)
    with submission(open_lab, alice) as smtp:
        smtp.sendmail(alice.address, [board], message)
    wait_for_mail(open_lab, marie, subject)
    run(open_lab, "group", "from", board, "domain")
    message, subject = letter(board, sender=bob.address)
    with submission(open_lab, bob) as smtp:
        smtp.sendmail(bob.address, [board], message)
    wait_for_mail(open_lab, marie, subject)
    wrong = run(open_lab, "group", "from", board, "friends", check=False)
    assert wrong.returncode == 65 and "anyone, members or domain" in wrong.stderr


def test_catch_all(open_lab, bob):
    nobody = f"personne@{harness.DOMAIN}"
    assert "550 5.1.1" in swaks(open_lab, nobody).stdout
    run(open_lab, "domain", "catch-all", harness.DOMAIN, bob.address)
    assert f"catch-all {bob.address}" in run(open_lab, "domain", "list").stdout
    message, subject = letter(nobody)
    assert deliver(open_lab, nobody, message) == {}
    wait_for_mail(open_lab, bob, subject)
    with submission(open_lab, bob) as smtp, pytest.raises(smtplib.SMTPSenderRefused):
        smtp.sendmail(nobody, [bob.address], letter(bob.address, sender=nobody)[0])
    run(open_lab, "domain", "catch-all", harness.DOMAIN, "--none")
    assert "550 5.1.1" in swaks(open_lab, nobody).stdout
    assert run(open_lab, "domain", "catch-all", harness.DOMAIN, check=False).returncode == 64
    assert run(open_lab, "domain", "catch-all", harness.DOMAIN, nobody, check=False).returncode == 67


def test_another_name_of_a_domain(open_lab, alice, bob):
    run(open_lab, "domain", "alias", "add", "Été.fr", harness.DOMAIN)
    run(open_lab, "domain", "alias", "add", OTHER, harness.DOMAIN)
    assert f"{OTHER} -> {harness.DOMAIN}" in run(open_lab, "domain", "list").stdout
    for domain in (OTHER, "xn--t-9fab.fr"):
        here = f"alice@{domain}"
        message, subject = letter(here)
        assert deliver(open_lab, here, message) == {}
        wait_for_mail(open_lab, Account(here, alice.password), subject)
        message, subject = letter(bob.address, sender=here)
        with submission(open_lab, Account(here, alice.password)) as smtp:
            smtp.sendmail(here, [bob.address], message)
        wait_for_mail(open_lab, bob, subject)
    # curl, by the other name.
    listed = client("curl", "-s", "--cacert", open_lab.ca(), "--url", f"imaps://localhost:{open_lab.ports['imaps']}/", "--user",
                    f"alice@{OTHER}:{alice.password}")
    assert "INBOX" in listed.stdout
    assert run(open_lab, "domain", "remove", harness.DOMAIN, check=False).returncode != 0
    assert f"is added as x@{harness.DOMAIN}" in run(open_lab, "user", "add", f"x@{OTHER}", "--generate").stdout
    run(open_lab, "user", "remove", f"x@{OTHER}", "--now")
    run(open_lab, "domain", "alias", "remove", OTHER)
    assert "550 5.7.1" in swaks(open_lab, f"alice@{OTHER}").stdout


def quota_of(lab, account):
    """(bytes, messages) as IMAP says; 0: no limit."""
    with imap(lab, account) as session:
        roots = session.getquotaroot("INBOX")
        text = b" ".join(part for group in roots[1] for part in group if part).decode()
    limits = {"STORAGE": 0, "MESSAGE": 0}
    words = text.replace("(", " ").replace(")", " ").split()
    for name in limits:
        if name in words:
            limits[name] = int(words[words.index(name) + 2])
    return limits["STORAGE"] * 1024, limits["MESSAGE"]


def test_quotas_by_domain_group_and_user(open_lab, alice, bob):
    run(open_lab, "domain", "quota", harness.DOMAIN, "--storage", "100M", "--messages", "1000")
    assert quota_of(open_lab, alice) == (100 << 20, 1000)
    # Also for whoever is added later.
    late = Account(f"tard@{harness.DOMAIN}", open_lab.add_user(f"tard@{harness.DOMAIN}"))
    assert quota_of(open_lab, late) == (100 << 20, 1000)
    run(open_lab, "group", "add", "grands")
    run(open_lab, "group", "quota", "grands", "--storage", "2G")
    run(open_lab, "group", "member", "add", "grands", alice.address)
    assert quota_of(open_lab, alice) == (2 << 30, 0)
    assert quota_of(open_lab, bob) == (100 << 20, 1000)
    run(open_lab, "user", "quota", alice.address, "--messages", "2")
    assert quota_of(open_lab, alice) == (0, 2)
    for i in range(2):
        assert deliver(open_lab, alice.address, letter(alice.address)[0]) == {}
    refused = swaks(open_lab, alice.address)
    assert refused.returncode != 0 and ("452" in refused.stdout or "552" in refused.stdout), refused.stdout
    assert "in 2 messages; quota: 2 messages" in run(open_lab, "user", "quota", alice.address).stdout
    users = {u["address"]: u for u in json.loads(run(open_lab, "user", "list", "--json").stdout)["users"]}
    assert users[alice.address]["quota"] == {"bytes": 0, "messages": 2} and users[alice.address]["messages"] == 2
    assert "quota 100.0 MiB, 1000 messages" in run(open_lab, "user", "list").stdout
    run(open_lab, "user", "quota", alice.address, "--default")
    assert quota_of(open_lab, alice) == (2 << 30, 0)
    run(open_lab, "group", "remove", "grands")
    assert quota_of(open_lab, alice) == (100 << 20, 1000)
    run(open_lab, "user", "quota", alice.address, "--none")
    assert quota_of(open_lab, alice) == (0, 0)
    for words in (["--storage", "2X"], ["--storage", "1G", "--none"], ["--messages", "0"]):
        assert run(open_lab, "user", "quota", alice.address, *words, check=False).returncode == 64
    assert run(open_lab, "domain", "quota", harness.DOMAIN, check=False).returncode == 64
