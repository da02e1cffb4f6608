"""getmail: fetches new mail into a Maildir, once, and deletes on the server when told."""

import mailbox
import os
import shutil

import pytest

from helpers import client, deliver, imap, letter, ok, subjects


@pytest.fixture
def getmail(server, account, scratch):
    def run(delete=False):
        local = scratch / "Maildir"
        for part in ("cur", "new", "tmp"):
            (local / part).mkdir(parents=True, exist_ok=True)
        user = ""
        if os.geteuid() == 0:       # it does not write mail as root
            user = "user = nobody"
            for path in (local, *local.iterdir()):
                shutil.chown(path, "nobody")
        (scratch / "getmailrc").write_text(f"""
[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = {server.ports['imaps']}
username = {account.address}
password = {account.password}
ca_certs = {server.ca()}
mailboxes = ("INBOX", "Listes")
[destination]
type = Maildir
path = {local}/
{user}
[options]
delete = {delete}
read_all = false
delivered_to = false
received = false
""")
        done = client("getmail", "--getmaildir", scratch, "--rcfile", scratch / "getmailrc", env={"HOME": str(scratch), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0 and "rror" not in done.stdout, done.stdout
        return mailbox.Maildir(local, create=False)
    return run


def test_fetches_each_message_once(server, account, getmail):
    with imap(server, account) as session:
        ok(session.create("Listes"))
        ok(session.append("Listes", None, None, letter(account.address, "de la liste")[0]))
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    assert sorted(m["Subject"] for m in getmail()) == sorted([subject, "de la liste"])
    second, second_subject = letter(account.address)
    deliver(server, account.address, second)
    assert sorted(m["Subject"] for m in getmail()) == sorted([subject, "de la liste", second_subject])


def test_body_is_the_same(server, account, getmail):
    with imap(server, account) as session:
        ok(session.create("Listes"))
    body = "Été, 8 bits\r\n.\r\n..deux points\r\n" + "x" * 900 + "\r\n"
    message, _ = letter(account.address, body=body, headers="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                                            "Content-Transfer-Encoding: 8bit\r\n")
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, message))
    box = getmail()
    fetched = box.get_bytes(box.keys()[0]).replace(b"\r\n", b"\n")
    assert fetched.partition(b"\n\n")[2] == message.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_deletes_when_told(server, account, getmail):
    with imap(server, account) as session:
        ok(session.create("Listes"))
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    assert [m["Subject"] for m in getmail(delete=True)] == [subject]
    with imap(server, account) as session:
        assert subjects(session) == []
