"""Which messages import and restore take for the same: those that are the same byte for byte, as the store keeps them, and as often as they are there."""

import json
import os
from collections import Counter

import pytest

from helpers import imap, ok
from test_archive_strangers import DATE, bodies, crlf, mail, make_maildir, run

SCANS = [b"Subject: Scan %d\n\npage %d\n" % (i, i) for i in (1, 2, 3)]
TWINS = [b"Message-ID: <one@x>\nSubject: x\n\n" + body + b"\n" for body in (b"red", b"tan", b"sky")]
BINARY = b"MIME-Version: 1.0\nMessage-ID: <b@x>\nContent-Type: application/octet-stream\n\n" + bytes(range(256)) + b"\n"
QUOTED = b"Message-ID: <q@x>\nStatus: RO\nX-Status: F\nX-Mozilla-Status: 0001\nSubject: x\n\nFrom here\n>From there\n.\n"


def append(server, owner, letters, box="INBOX"):
    with imap(server, owner) as session:
        for letter in letters:
            ok(session.append(box, None, '"14-Nov-2023 22:13:20 +0000"', letter))


def expunge(server, owner, numbers):
    with imap(server, owner) as session:
        ok(session.select())
        ok(session.store(numbers, "+FLAGS", "(\\Deleted)"))
        ok(session.expunge())


def restore(server, owner, target, *more):
    done = json.loads(server.run("restore", str(target), "--account", owner.address, "--dir", str(server.dir), "--json", *more).stdout)
    return done["added"], done["skipped"]


def mbox(path, letters):
    path.write_bytes(b"".join(f"From a@b {DATE}\n".encode() + letter + b"\n" for letter in letters))
    return path


def source(form, path, letters):
    if form == "mbox":
        return mbox(path, letters)
    make_maildir(path, {f"{i}:2,": letter for i, letter in enumerate(letters)})
    for file in (path / "cur").iterdir():
        os.utime(file, (1700000000, 1700000000))
    return path


def imported(server, form, owner, path):
    done = run(server, form, owner, path)
    return done["added"], done["skipped"]


@pytest.mark.parametrize("letters", [SCANS, TWINS], ids=["no-id", "one-id"])
@pytest.mark.parametrize("gone", ["1", "2", "3", "1:2"])
def test_restore_brings_back_what_is_gone(server, account, scratch, letters, gone):
    """The size and the second are the same; what comes back is the one that was deleted, and no other twice."""
    letters = [crlf(letter) for letter in letters]
    append(server, account, letters)
    server.run("backup", str(scratch / "b"), "--dir", str(server.dir))
    expunge(server, account, gone)
    lacking = 3 - len(bodies(server, account))
    assert restore(server, account, scratch / "b") == (lacking, 3 - lacking)
    assert sorted(bodies(server, account)) == sorted(letters)
    assert restore(server, account, scratch / "b") == (0, 3)


def test_restore_counts_copies(server, account, other, scratch):
    """What was there three times, and once now, comes twice; a message of as many bytes that came since is not one of them."""
    scans = [crlf(letter) for letter in SCANS]
    append(server, account, [scans[0]] * 3 + [b"no last line end"])
    server.run("backup", str(scratch / "b"), "--dir", str(server.dir))
    expunge(server, account, "2:4")
    append(server, account, scans[1:])
    assert restore(server, account, scratch / "b") == (3, 1)
    assert Counter(bodies(server, account)) == Counter([scans[0]] * 3 + scans[1:] + [b"no last line end"])
    assert restore(server, account, scratch / "b", "--into", other.address) == (4, 0)
    assert restore(server, account, scratch / "b", "--into", other.address) == (0, 4)


@pytest.mark.parametrize("form", ["mbox", "maildir"])
@pytest.mark.parametrize("letters", [SCANS, TWINS], ids=["no-id", "one-id"])
def test_import_of_others_of_the_same_size(server, account, other, scratch, form, letters):
    a, b, c = letters
    first, second, both = (source(form, scratch / name, some) for name, some in (("1", [a]), ("2", [b]), ("3", [b, a, c, b])))
    assert imported(server, form, account, first) == (1, 0)
    assert imported(server, form, account, second) == (1, 0)
    assert bodies(server, account) == [crlf(a), crlf(b)]
    assert imported(server, form, account, both) == (2, 2)
    assert Counter(bodies(server, account)) == Counter(map(crlf, [a, b, b, c]))
    assert imported(server, form, other, first) == (1, 0)
    assert imported(server, form, other, both) == (3, 1)
    assert Counter(bodies(server, other)) == Counter(map(crlf, [a, b, b, c]))
    for path, n in ((first, 1), (second, 1), (both, 4)):
        assert imported(server, form, other, path) == (0, n)
    text = server.run("import", form, other.address, str(both), "--dir", str(server.dir)).stdout
    assert "4 were there already" in text


@pytest.mark.parametrize("form", ["mbox", "maildir"])
def test_import_again_of_what_import_changes(server, account, scratch, form):
    """Line ends, NULs, quoted lines and fields of status are others in the file than in the store."""
    letters = [*SCANS, *TWINS, BINARY, QUOTED, b"Subject: a\0b\n\nx\0\n", crlf(SCANS[0]), b"Subject: long\n\n" + b"y" * 100000 + b"\n"]
    path = source(form, scratch / "m", letters)
    assert imported(server, form, account, path) == (len(letters), 0)
    kept = Counter(bodies(server, account))
    assert len(kept) == len(letters) - 1
    assert imported(server, form, account, path) == (0, len(letters))
    other = source(form, scratch / "n", [crlf(letter) if b"\r" not in letter else letter for letter in letters])
    assert imported(server, form, account, other) == (0, len(letters))
    if form == "mbox":  # the status of a message is none of it
        path.write_bytes(path.read_bytes().replace(b"\nStatus: RO\nX-Status: F\nX-Mozilla-Status: 0001\n", b"\nStatus: O\n"))
        assert imported(server, form, account, path) == (0, len(letters))
    assert Counter(bodies(server, account)) == kept


@pytest.mark.parametrize("form", ["mbox", "maildir"])
def test_export_again_is_there_already(server, account, scratch, form):
    """What came over IMAP, by SMTP or from files goes out and is known again, with and without an end of its last line."""
    append(server, account, [crlf(letter) for letter in SCANS + TWINS + [QUOTED]] + [b"Subject: no end\r\n\r\nx", b"Subject: no body\r\n", b"Subject: x\r\n\r\nx", b"Subject: x\r\n\r\nx\r\n"])
    imported(server, "maildir", account, source("maildir", scratch / "m", [BINARY, b"Subject: a\0b\n\nx\0\n"]))
    before = mail(server, account)
    server.run("export", form, account.address, str(scratch / "out"), "--dir", str(server.dir))
    assert imported(server, form, account, scratch / "out") == (0, sum(map(len, before.values())))
    assert mail(server, account) == before


def test_without_a_server(lab, alice, scratch):
    """The store that a command opens by itself says the same."""
    lab.start()
    append(lab, alice, map(crlf, SCANS))
    path = mbox(scratch / "m", SCANS)
    assert run(lab, "mbox", alice, path, "--mailbox", "Elsewhere")["added"] == 3, "a mailbox says nothing of another"
    assert lab.stop() == 0
    assert run(lab, "mbox", alice, mbox(scratch / "n", SCANS[1:] + TWINS[:1]))["added"] == 1
    assert run(lab, "mbox", alice, path)["skipped"] == 3


@pytest.mark.parametrize("form", ["mbox", "maildir"])
def test_source_that_comes_back_to_a_mailbox(server, account, scratch, form):
    """INBOX has no case, and composed and decomposed are one name: what the run has brought itself is not there already."""
    top, boxes = scratch / "tree", ("INBOX", "Work", "caf\u00e9", "cafe\u0301", "inbox")
    top.mkdir()
    letters = [*SCANS, SCANS[0]]
    for name in boxes:
        if form == "mbox":
            mbox(top / name, letters)
        else:
            source(form, top / name, letters)
    done = run(server, form, account, top)
    assert (done["added"], done["skipped"], done["mailboxes"]) == (5 * len(letters), 0, 3)
    assert sorted(len(kept) for kept in mail(server, account).values()) == [4, 8, 8]
    done = run(server, form, account, top)
    assert (done["added"], done["skipped"], done["mailboxes"]) == (0, 5 * len(letters), 3)


@pytest.mark.parametrize("form", ["mbox", "maildir"])
def test_empty_messages_and_nuls_are_counted(server, account, other, scratch, form):
    """APPEND takes no empty message, and import neither; no mail program takes NULs."""
    path = source(form, scratch / "m", [SCANS[0], b"", b"Subject: a\0b\n\nx\0\n", b"", SCANS[1]])
    if form == "mbox":  # one that is empty but for what Thunderbird writes
        path.write_bytes(path.read_bytes() + f"From a@b {DATE}\nX-Mozilla-Status: 0001\n\n".encode())
    done = run(server, form, account, path)
    assert (done["added"], done["empty"], done["with-nul"], done["failed"]) == (3, 2 + (form == "mbox"), 1, 0)
    assert sorted(bodies(server, account)) == sorted([crlf(SCANS[0]), b"Subject: a?b\r\n\r\nx?\r\n", crlf(SCANS[1])])
    done = run(server, form, account, path)
    assert (done["added"], done["skipped"], done["with-nul"]) == (0, 3, 0)
    text = server.run("import", form, other.address, str(path), "--dir", str(server.dir)).stdout
    assert "messages are empty" in text and "1 message held NUL bytes" in text


def test_labels_that_cannot_be_read_make_no_mailbox(server, account, scratch):
    letter = lambda i, labels: f"From 15947823456780{i}@xxx Mon Jan 06 10:20:30 +0000 2025\nX-GM-THRID: {i}\nX-Gmail-Labels: {labels}\nReceived: by x\nSubject: {i}\n\nbody\n\n"
    (scratch / "takeout").write_text(letter(1, ",".join(f"label{i}" for i in range(20000))) + letter(2, "Work,Opened"))
    done = run(server, "mbox", account, scratch / "takeout", status=65)
    assert (done["added"], done["mailboxes"], done["failed"]) == (1, 1, 1)
    text = server.run("import", "mbox", account.address, str(scratch / "takeout"), "--dir", str(server.dir), check=False).stderr
    assert "takeout, message 1: its labels are too many or too long; --ignore-labels" in text
    assert run(server, "mbox", account, scratch / "takeout", "--ignore-labels", "--mailbox", "All")["added"] == 2
