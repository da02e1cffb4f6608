"""Thunderbird: an account is set up, mail goes out and comes in, flags and folders go both ways, search runs on the server."""

import json
import re
import shutil

import pytest

import harness
from conftest import new_account
from helpers import Account, deliver, imap, letter, ok, subjects, wait_for_mail
from test_certificates_tls import configure
from thunderbird import Thunderbird


@pytest.fixture(scope="module")
def program(server):
    directory = harness.make_directory("valise-thunderbird-")
    thunderbird = Thunderbird(directory, server)
    yield thunderbird
    thunderbird.close()
    shutil.rmtree(directory, ignore_errors=True)


def set_up(program, server, account, socket="SSL", password=None, method="passwordCleartext"):
    ports = {"SSL": ("imaps", "smtps"), "alwaysSTARTTLS": ("imap", "submission")}[socket]
    return program.call("setUp", address=account.address, password=account.password if password is None else password, imap=server.ports[ports[0]],
                        smtp=server.ports[ports[1]], socket=socket, method=method)


class User:
    """The account that Thunderbird is set up for; calls go to it."""

    def __init__(self, program, account):
        self.program, self.account = program, account
        self.address = account.address

    def __getattr__(self, function):
        return lambda **arguments: self.program.call(function, address=self.address, **arguments)


@pytest.fixture(scope="module")
def user(program, server):
    account = new_account(server)
    assert set_up(program, server, account) == "ready"
    return User(program, account)


def flags_on_server(server, account, subject, mailbox="INBOX"):
    with imap(server, account) as session:
        number = subjects(session, mailbox).index(subject) + 1
        return ok(session.fetch(str(number), "(FLAGS)"))[0].decode()


def mailboxes_on_server(server, account):
    with imap(server, account) as session:
        return [line.decode().rpartition('"/" ')[2].strip('"') for line in ok(session.list())]


def test_set_up_with_starttls(program, server):
    assert set_up(program, server, new_account(server), socket="alwaysSTARTTLS") == "ready"


def test_set_up_refuses_a_wrong_password(program, server):
    assert set_up(program, server, new_account(server), password="pas celui-là") == "refused"


def test_folders_of_a_new_account(user):
    harness.wait_until(lambda: "INBOX" in user.folders() or "Inbox" in user.folders(), 20, "INBOX")


def test_send(user, server):
    to = new_account(server)
    user.send(to=to.address, subject="Été de Thunderbird", body="Bonjour, écrit là-bas.\n")
    message = wait_for_mail(server, to, "=?UTF-8?Q?=C3=89t=C3=A9_de_Thunderbird?=")
    assert "Bonjour, écrit là-bas.".encode() in message or b"=C3=A9crit" in message
    # the copy goes to the server
    harness.wait_until(lambda: user.count(name="Sent") == 1, 20, "a copy in Sent")


def test_send_html_with_attachment(user, server, scratch):
    to = new_account(server)
    attachment = scratch / "rapport.pdf"
    attachment.write_bytes(bytes(range(256)) * 2000)
    user.send(to=to.address, subject="avec annexe", body="<p>Voir <b>annexe</b>.</p>", html=True, attachment=str(attachment))
    message = wait_for_mail(server, to, "avec annexe")
    assert b"rapport.pdf" in message and b"multipart/mixed" in message


def test_receive_by_idle(user, server):
    user.open(name="INBOX")
    message, subject = letter(user.address)
    deliver(server, user.address, message)
    user.waitAnnounced(name="INBOX", subject=subject)


def test_read_what_came(user, server):
    body = "Grüße aus Köln\r\n".encode().hex(" ").upper().split()
    parts = ("--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
             "".join("=" + h for h in body if h not in ("0D", "0A")) + "\r\n"
             "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.bin\r\n"
             "Content-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQ==\r\n--b--\r\n")
    message, _ = letter(user.address, "=?iso-8859-1?q?Pi=E8ce_jointe?=", sender="=?utf-8?b?w4lsaXNl?= <elise@example.org>", body=parts,
                        headers="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
    deliver(server, user.address, message)
    seen = user.read(name="INBOX", subject="Pièce jointe")
    assert seen["author"].startswith("Élise")
    assert "Grüße aus Köln" in seen["body"]
    assert [a[:2] for a in seen["attachments"]] == [["résumé.bin", "application/octet-stream"]]


def test_flags_set_here_are_seen_there(user, server):
    message, subject = letter(user.address)
    deliver(server, user.address, message)
    user.mark(name="INBOX", subject=subject, read=True, flagged=True, keyword="$label1")
    harness.wait_until(lambda: {r"\Seen", r"\Flagged", "$label1"} <= set(
        flags_on_server(server, user.account, subject).partition("(FLAGS (")[2].rstrip(")").split()), 20, "flags on the server")
    user.mark(name="INBOX", subject=subject, read=False, flagged=False)
    harness.wait_until(lambda: r"\Flagged" not in flags_on_server(server, user.account, subject), 20, "the flag is gone")


def test_flags_set_there_are_seen_here(user, server):
    message, subject = letter(user.address)
    deliver(server, user.address, message)
    assert user.flags(name="INBOX", subject=subject) == {"read": False, "flagged": False, "keywords": "", "answered": False}
    with imap(server, user.account) as session:
        number = subjects(session).index(subject) + 1
        ok(session.select("INBOX"))
        ok(session.store(str(number), "+FLAGS", r"(\Seen \Flagged \Answered Urgent)"))
    harness.wait_until(lambda: user.flags(name="INBOX", subject=subject) ==
                       {"read": True, "flagged": True, "keywords": "urgent", "answered": True}, 20, "flags in Thunderbird")


def test_folders_are_made_renamed_and_deleted(user, server):
    user.createFolder(parent=None, name="Projets d'été")
    user.createFolder(parent="Projets d'été", name="Réseaux & co")
    assert "Projets d'&AOk-t&AOk-/R&AOk-seaux &- co" in mailboxes_on_server(server, user.account)
    user.renameFolder(name="Réseaux & co", to="Anciens")
    harness.wait_until(lambda: "Projets d'&AOk-t&AOk-/Anciens" in mailboxes_on_server(server, user.account), 20, "the new name")
    user.deleteFolder(name="Anciens")
    harness.wait_until(lambda: "Projets d'&AOk-t&AOk-/Anciens" not in mailboxes_on_server(server, user.account), 20, "it is gone")


def test_folder_made_there_is_seen_here(user, server):
    with imap(server, user.account) as session:
        ok(session.create('"Venu d\'ailleurs"'))
        ok(session.subscribe('"Venu d\'ailleurs"'))
    user.expand()
    harness.wait_until(lambda: "Venu d'ailleurs" in user.folders(), 20, "the folder")


def test_copy_and_move(user, server):
    message, subject = letter(user.address)
    deliver(server, user.address, message)
    user.createFolder(parent=None, name="Rangé")
    user.move(name="INBOX", subject=subject, to="Rangé", isMove=False)
    with imap(server, user.account) as session:
        assert subject in subjects(session, "Rang&AOk-") and subject in subjects(session)
    user.remove(name="Rangé", subject=subject)
    user.move(name="INBOX", subject=subject, to="Rangé", isMove=True)
    with imap(server, user.account) as session:
        assert subject in subjects(session, "Rang&AOk-") and subject not in subjects(session)


def test_delete_and_empty_the_trash(user, server):
    message, subject = letter(user.address)
    deliver(server, user.address, message)
    user.remove(name="INBOX", subject=subject)
    with imap(server, user.account) as session:
        assert subject not in subjects(session) and subject in subjects(session, "Trash")
    user.emptyTrash()
    with imap(server, user.account) as session:
        harness.wait_until(lambda: subject not in subjects(session, "Trash"), 20, "the trash is empty")


def test_search_on_the_server(user, server):
    hidden = ("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n")
    deliver(server, user.address, letter(user.address, "recette", body="Le bl=E9 noir de Bretagne\r\n", headers=hidden)[0])
    deliver(server, user.address, letter(user.address, "=?utf-8?q?Bl=C3=A9_dur?=", body="Rien.\r\n")[0])
    deliver(server, user.address, letter(user.address, "autre", body="Rien non plus.\r\n")[0])
    user.flags(name="INBOX", subject="autre")
    assert user.search(name="INBOX", attribute="Body", text="blé noir") == ["recette"]
    assert user.search(name="INBOX", attribute="Subject", text="BLÉ") == ["Blé dur"]
    assert user.search(name="INBOX", attribute="Sender", text="personne") == []


def test_local_folders_are_imported(program, server, scratch):
    """What Thunderbird keeps on the machine, as it is there."""
    account = new_account(server)
    path = program.call("localFolders", subjects=["one", "two", "three"])
    shutil.copytree(path, scratch / "local")
    flags = {"one": {b"\\Seen"}, "two": {b"\\Flagged", b"$label2"}, "three": {b"\\Answered"}}
    for added in (6, 0):
        done = json.loads(server.run("import", "mbox", account.address, str(scratch / "local"), "--dir", str(server.dir), "--mailbox", "Local", "--json").stdout)
        assert (done["added"], done["failed"], done["doubtful-taken"]) == (added, 0, 0)
    with imap(server, account) as session:
        for mailbox in ("Local/Work", "Local/Work/Projects"):
            ok(session.select(mailbox, readonly=True))
            for number, (subject, wanted) in enumerate(flags.items(), 1):
                (head, body), *rest = ok(session.fetch(str(number), "(FLAGS BODY.PEEK[])"))
                assert set(re.search(rb"FLAGS \(([^)]*)\)", head + b"".join(p for p in rest if isinstance(p, bytes))).group(1).split()) - {b"\\Recent"} == wanted
                assert body.startswith(b"Message-ID: <") and f"Subject: {subject}\r\n".encode() in body and body.endswith(b"\r\n\r\nFrom here\r\non\r\n")


def test_certificate_instead_of_a_password(lab, scratch):
    """IMAP only: Thunderbird shows its certificate to SMTP servers too, but does not speak AUTH EXTERNAL to them."""
    alice = Account(f"alice@{harness.DOMAIN}", "")
    configure(lab, "listener imaps {", 'listener imaps {\n  client-cert = "request"')
    lab.start()
    lab.run("cert", "issue", "--user", alice.address, "--p12", str(scratch / "alice.p12"), "--password-stdin", "--dir", str(lab.dir),
            input="secret\n")
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    thunderbird = Thunderbird(scratch, lab, p12=scratch / "alice.p12", p12_password="secret")
    try:
        assert set_up(thunderbird, lab, alice, method="External") == "ready"
        assert "Bonjour" in thunderbird.call("read", address=alice.address, name="INBOX", subject=subject)["body"]
    finally:
        thunderbird.close()
