"""valise export and import: folders, flags, keywords, dates and bytes survive both formats, with the server running and stopped; a second import adds
nothing."""

import json
import mailbox
import os
import re

import pytest

from helpers import imap, letter, ok

FOLDERS = ("INBOX", "Sent", "Work/2026.q1", "Re&AOc-us")
DATES = ('"17-Jul-1996 02:44:25 +0000"', '"01-Jan-2024 23:59:59 +0000"')


def quoted(name):
    return f'"{name}"'


def fill(server, account):
    """Letters with all that an archive has to keep."""
    with imap(server, account) as session:
        session.create(quoted("Work/2026.q1"))
        session.create(quoted("Re&AOc-us"))
        for i, folder in enumerate(FOLDERS):
            for k in range(3):
                body = "From here\r\n>From there\r\n\r\nFrom x@y Tue Nov 14 22:13:20 2023\r\n.\r\n" + "x" * (70000 * k) + "\r\n"
                message, _ = letter(account.address, subject=f"{folder} {k}", body=body, headers="Status: of the sender\r\n" if k == 1 else "")
                flags = ("(\\Seen \\Answered $Forwarded)", "(\\Flagged \\Draft)", "()")[k]
                ok(session.append(quoted(folder), flags, DATES[(i + k) % 2], message))


def content(server, account, below=""):
    """{folder: [(flags, date, bytes)]}"""
    found = {}
    with imap(server, account) as session:
        for line in ok(session.list(quoted(""), quoted("*"))):
            name = re.fullmatch(rb'\(.*\) "/" "?([^"]*)"?', line).group(1).decode()
            if not name.startswith(below):
                continue
            count = int(ok(session.select(quoted(name), readonly=True))[0])
            letters = []
            for number in range(1, count + 1):
                (head, body), *rest = [part for part in ok(session.fetch(str(number), "(FLAGS INTERNALDATE BODY.PEEK[])")) if isinstance(part, tuple)]
                head += b" ".join(part for part in ok(session.fetch(str(number), "(FLAGS)")) if isinstance(part, bytes))
                flags = set(re.search(rb"FLAGS \(([^)]*)\)", head).group(1).split()) - {b"\\Recent"}
                letters.append((frozenset(flags), re.search(rb'INTERNALDATE "([^"]*)"', head).group(1), body))
            found[name] = sorted(letters, key=lambda m: m[2])
    return found


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_there_and_back(lab, alice, bob, scratch, form, running):
    lab.start()
    fill(lab, alice)
    before = content(lab, alice)
    assert sum(len(v) for v in before.values()) == 12
    target = scratch / "out"
    if not running:
        assert lab.stop() == 0
    done = lab.run("export", form, alice.address, str(target), "--dir", str(lab.dir), "--json")
    assert json.loads(done.stdout)["messages"] == 12
    first = json.loads(lab.run("import", form, bob.address, str(target), "--dir", str(lab.dir), "--json").stdout)
    assert (first["added"], first["skipped"]) == (12, 0)
    again = json.loads(lab.run("import", form, bob.address, str(target), "--dir", str(lab.dir), "--json").stdout)
    assert (again["added"], again["skipped"]) == (0, 12)
    same = json.loads(lab.run("import", form, alice.address, str(target), "--dir", str(lab.dir), "--json").stdout)
    assert (same["added"], same["skipped"]) == (0, 12)
    if not running:
        lab.start()
    assert content(lab, bob) == before
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_export_touches_nothing_that_is_there(server, account, scratch):
    (scratch / "kept").write_text("x")
    done = server.run("export", "maildir", account.address, str(scratch), "--dir", str(server.dir), check=False)
    assert done.returncode == 73 and "empty directory" in done.stderr
    assert os.listdir(scratch) == ["kept"]
    done = server.run("export", "maildir", "nobody@mondomaine.fr", str(scratch / "new"), "--dir", str(server.dir), check=False)
    assert done.returncode == 67


def test_all_accounts(server, account, scratch):
    server.run("export", "mbox", "--all", str(scratch / "all"), "--dir", str(server.dir))
    assert (scratch / "all" / account.address / "INBOX.mbox").exists()
    done = server.run("export", "mbox", "--all", account.address, str(scratch / "more"), "--dir", str(server.dir), check=False)
    assert done.returncode == 64


def test_files_of_another_program(server, account, scratch):
    """What Python's mailbox module writes, into a mailbox by name."""
    box = mailbox.Maildir(scratch / "md", factory=None)
    message = mailbox.MaildirMessage(b"Subject: one\n\nbody\n")
    message.add_flag("SF")
    message.set_date(1700000000)
    box.add(message)
    box.add_folder("Sub").add(b"Subject: two\n\nbody\n")
    letters = mailbox.mbox(scratch / "old.mbox")
    letters.add(mailbox.mboxMessage(b"From: a@b\nSubject: three\n\nFrom me\n"))
    letters.add(mailbox.mboxMessage(b"From: a@b\nSubject: three\n\nFrom me\n"))
    letters.close()
    run = lambda *args: json.loads(server.run("import", *args, "--dir", str(server.dir), "--json").stdout)
    assert run("maildir", account.address, str(scratch / "md"), "--mailbox", "Old")["added"] == 2
    assert run("mbox", account.address, str(scratch / "old.mbox"), "--mailbox", "Old/mbox")["added"] == 2
    assert run("mbox", account.address, str(scratch / "old.mbox"), "--mailbox", "Old/mbox") ["skipped"] == 2
    found = content(server, account, "Old")
    assert {name: len(v) for name, v in found.items()} == {"Old": 1, "Old/Sub": 1, "Old/mbox": 2}
    flags, date, body = found["Old"][0]
    assert flags == {b"\\Seen", b"\\Flagged"} and date == b"14-Nov-2023 22:13:20 +0000" and body == b"Subject: one\r\n\r\nbody\r\n"
    assert found["Old/mbox"][0][2] == b"From: a@b\r\nSubject: three\r\n\r\nFrom me\r\n"


def test_mistakes(server, account, scratch):
    (scratch / "text").write_text("no mbox\n")
    run = lambda *args: server.run("import", *args, "--dir", str(server.dir), check=False)
    assert run("mbox", account.address, str(scratch / "text")).returncode == 65
    assert run("maildir", account.address, str(scratch)).returncode == 65
    assert run("mbox", account.address, str(scratch / "none")).returncode != 0
    assert run("mbox", "nobody@mondomaine.fr", str(scratch / "text")).returncode == 67


def test_many_small_letters(server, account, scratch):
    """More than one page and one commit."""
    letters = mailbox.mbox(scratch / "many")
    for i in range(450):
        letters.add(f"From: a@b\nMessage-ID: <{i}@many>\nSubject: {i}\n\nx\n".encode())
    letters.close()
    server.run("import", "mbox", account.address, str(scratch / "many"), "--dir", str(server.dir))
    done = json.loads(server.run("import", "mbox", account.address, str(scratch / "many"), "--dir", str(server.dir), "--json").stdout)
    assert (done["added"], done["skipped"]) == (0, 450)
    server.run("export", "maildir", account.address, str(scratch / "out"), "--dir", str(server.dir))
    assert len(os.listdir(scratch / "out" / "cur")) == 450


def test_folders_called_as_no_mailbox_is_come_in_beside(server, account, scratch):
    """cur, new and tmp, which programs that keep Maildirs cannot make, get another name, which is told; what is decomposed (macOS) becomes composed."""
    (scratch / "mbox" / "work").mkdir(parents=True)
    for name in ("new", "work/tmp", "ok", "cafe\u0301"):
        (scratch / "mbox" / name).write_bytes(b"From a@b.example Thu Jan  1 00:00:00 2026\nFrom: a@b.example\nSubject: " + name.encode() + b"\n\nText.\n\n")
    for turn in range(2):
        said = server.run("import", "mbox", account.address, str(scratch / "mbox"), "--dir", str(server.dir)).stdout
        assert "2 mailboxes have another name here" in said and ("new, which is new_" in said or "work/tmp, which is work/tmp_" in said)
        assert ("4 messages added" in said) == (turn == 0)
    with imap(server, account) as session:
        names = [line.decode().rsplit(" ", 1)[1] for line in ok(session.list())]
        assert {"new_", "work/tmp_", "ok", "caf&AOk-"} <= set(names) and not {"new", "work/tmp"} & set(names)
        for name in ("new_", "work/tmp_", "caf&AOk-", "cafe&AwE-"):
            assert ok(session.select(name, readonly=True)) == [b"1"]


def test_where_mail_would_not_be_found_or_not_fit(lab, alice, scratch):
    """A program's account reads no mail; a quota that is used up is told with how much came in, and the next run goes on."""
    def run(*words, status=0):
        done = lab.run(*words, "--dir", str(lab.dir), check=False)
        assert done.returncode == status, done
        return done

    robot = f"robot@{alice.address.partition('@')[2]}"
    run("user", "add", robot, "--role", "program")
    (scratch / "box").write_text("".join(f"From a@b Tue Nov 14 22:13:20 2023\nMessage-ID: <q{i}@x>\nSubject: {i}\n\n{'x' * 60}\n\n" for i in range(40)))
    said = run("import", "mbox", robot, str(scratch / "box"), status=77).stderr
    assert "is a program, which reads no mail" in said and f"valise user role {robot} user" in said
    run("user", "quota", alice.address, "--messages", "25")
    command = ["import", "mbox", alice.address, str(scratch / "box"), "--mailbox", "Q"]
    for count in 25, 0:
        said = run(*command, status=77).stderr
        assert f"the quota of {alice.address}, 25 messages, is used up; {count} messages came in" in said and f"valise user quota {alice.address}" in said, said
    run("user", "quota", alice.address, "--none")
    assert "15 messages added" in run(*command).stdout
    run("backup", str(scratch / "b"))
    back = ["restore", str(scratch / "b"), "--account", alice.address, "--into", robot]
    assert "is a program, which reads no mail" in run(*back, status=77).stderr
    run("user", "role", robot, "user")
    run("user", "quota", robot, "--messages", "10")
    assert f"the quota of {robot}, 10 messages, is used up; 10 messages came in" in run(*back, status=77).stderr
