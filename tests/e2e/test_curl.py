"""curl: sending over SMTP and SMTPS, reading, listing and storing over IMAP."""

from helpers import client, deliver, imap, letter, ok, subjects, wait_for_mail


def curl(server, *args, input=None):
    return client("curl", "-sS", "--cacert", server.ca(), *args, input=input)


def send(server, account, url, to, *args):
    message, subject = letter(to, sender=account.address)
    done = curl(server, *args, "--url", url, "--user", f"{account.address}:{account.password}", "--mail-from", account.address,
                "--mail-rcpt", to, "--upload-file", "-", input=message.decode())
    assert done.returncode == 0, done.stdout
    return subject


def test_send_smtps(server, account, other):
    subject = send(server, account, f"smtps://localhost:{server.ports['smtps']}", other.address)
    assert b"une lettre." in wait_for_mail(server, other, subject)


def test_send_starttls(server, account, other):
    subject = send(server, account, f"smtp://localhost:{server.ports['submission']}", other.address, "--ssl-reqd")
    wait_for_mail(server, other, subject)


def test_send_with_each_mechanism(server, account, other):
    for mechanism in ("PLAIN", "LOGIN"):
        subject = send(server, account, f"smtps://localhost:{server.ports['smtps']}", other.address, "--login-options",
                       f"AUTH={mechanism}")
        wait_for_mail(server, other, subject)


def test_wrong_password(server, account):
    done = curl(server, "--url", f"smtps://localhost:{server.ports['smtps']}", "--user", f"{account.address}:faux", "--mail-from",
                account.address, "--mail-rcpt", account.address, "--upload-file", "-", input="x\n")
    assert done.returncode == 67, done.stdout       # CURLE_LOGIN_DENIED


def test_fetch(server, account):
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    done = curl(server, "--user", f"{account.address}:{account.password}",
                f"imaps://localhost:{server.ports['imaps']}/INBOX;MAILINDEX=1")
    assert done.returncode == 0 and f"Subject: {subject}" in done.stdout


def test_fetch_section_over_starttls(server, account):
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    done = curl(server, "--ssl-reqd", "--user", f"{account.address}:{account.password}",
                f"imap://localhost:{server.ports['imap']}/INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert done.returncode == 0 and done.stdout.strip() == f"Subject: {subject}"


def test_list(server, account):
    done = curl(server, "--user", f"{account.address}:{account.password}", f"imaps://localhost:{server.ports['imaps']}/")
    assert done.returncode == 0 and "* LIST" in done.stdout and "INBOX" in done.stdout


def test_search(server, account):
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    done = curl(server, "--user", f"{account.address}:{account.password}",
                f"imaps://localhost:{server.ports['imaps']}/INBOX?SUBJECT%20%22{subject.split()[1]}%22")
    assert done.returncode == 0 and done.stdout.strip() == "* SEARCH 1"


def test_append(server, account, scratch):
    message, subject = letter(account.address)
    (scratch / "letter").write_bytes(message)       # APPEND announces a size: curl takes no pipe here
    done = curl(server, "--user", f"{account.address}:{account.password}", "--upload-file", scratch / "letter",
                f"imaps://localhost:{server.ports['imaps']}/INBOX")
    assert done.returncode == 0, done.stdout
    with imap(server, account) as session:
        assert subjects(session) == [subject]
        assert ok(session.fetch("1", "(BODY.PEEK[])"))[0][1] == message
