"""imaplib: mailboxes are made, listed, renamed, subscribed and deleted."""

import imaplib

import pytest

from helpers import Dialogue, imap, letter, login, ok, subjects

NETWORKS = '"Projet R&AOk-seaux"'


def names(session, *args):
    return [line.decode() for line in ok(session.list(*args)) if line]


def test_a_new_account_has_its_inbox(server, account):
    with imap(server, account) as session:
        assert any(line.endswith(("INBOX", '"INBOX"')) for line in names(session))
        assert int(ok(session.select("inbox"))[0]) == 0


def test_special_use(server, account):
    with imap(server, account) as session:
        listed = "\n".join(names(session))
        for attribute in (r"\Sent", r"\Drafts", r"\Trash", r"\Junk"):
            assert attribute in listed


def test_name_beyond_ascii(server, account):
    message, subject = letter(account.address)
    with imap(server, account) as session:
        ok(session.create(NETWORKS))
        ok(session.append(NETWORKS, None, None, message))
    with imap(server, account) as session:
        assert any(NETWORKS in line for line in names(session))
        assert subjects(session, NETWORKS) == [subject]
        ok(session.rename(NETWORKS, '"Projets/R&AOk-seaux"'))
        assert subjects(session, '"Projets/R&AOk-seaux"') == [subject]
        assert session.select(NETWORKS)[0] == "NO"


@pytest.mark.parametrize("name", ["R&AOk", "R&!-", "R&AOk-&-&"])
def test_bad_modified_utf7_is_refused(server, account, name):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        assert d.imap(f'CREATE "{name}"')[0].startswith(("NO", "BAD"))
        assert d.imap("NOOP")[0].startswith("OK")


def test_hierarchy(server, account):
    with imap(server, account) as session:
        ok(session.create('"a/b/c"'))
        listed = "\n".join(names(session, '""', '"a/%"'))
        assert "a/b" in listed and "a/b/c" not in listed
        assert "a/b/c" in "\n".join(names(session, '""', '"a/*"'))
        ok(session.rename("a", "z"))
        assert "z/b/c" in "\n".join(names(session, '""', '"z/*"'))


def test_create_twice_and_delete(server, account):
    with imap(server, account) as session:
        ok(session.create("Essai"))
        assert session.create("Essai")[0] == "NO"
        ok(session.delete("Essai"))
        assert session.delete("Essai")[0] == "NO"
        assert session.delete("INBOX")[0] == "NO"


def test_recreated_mailbox_has_another_uidvalidity(server, account):
    with imap(server, account) as session:
        def uidvalidity():
            return ok(session.status("Essai", "(UIDVALIDITY)"))[0]
        ok(session.create("Essai"))
        first = uidvalidity()
        ok(session.delete("Essai"))
        ok(session.create("Essai"))
        assert uidvalidity() != first


def test_subscriptions(server, account):
    with imap(server, account) as session:
        ok(session.create("Essai"))
        ok(session.subscribe("Essai"))
        assert any(b"Essai" in line for line in ok(session.lsub()) if line)
        ok(session.unsubscribe("Essai"))
        assert not any(b"Essai" in line for line in ok(session.lsub()) if line)


def test_rename_inbox_moves_its_messages(server, account):
    message, subject = letter(account.address)
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, message))
        ok(session.rename("INBOX", "Ancien"))
        assert subjects(session, "Ancien") == [subject]
        assert subjects(session, "INBOX") == []


def test_status(server, account):
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, letter(account.address)[0]))
        ok(session.append("INBOX", r"(\Seen)", None, letter(account.address)[0]))
        answer = ok(session.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)"))[0].decode()
        assert "MESSAGES 2" in answer and "UNSEEN 1" in answer and "UIDNEXT 3" in answer


def test_unknown_mailbox(server, account):
    with imap(server, account) as session:
        assert session.select("Nulle-part")[0] == "NO"
        status, data = session.append("Nulle-part", None, None, letter(account.address)[0])
        assert status == "NO" and b"TRYCREATE" in data[0]
        with pytest.raises(imaplib.IMAP4.error):
            session.fetch("1", "(FLAGS)")
