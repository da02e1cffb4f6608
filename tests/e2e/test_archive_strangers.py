"""valise import of what other programs wrote, well and badly: where messages begin, their status, trees of folders, labels of Google; and that one bad file,
message or folder ends nothing."""

import base64
import json
import mailbox
import os
import random
import re
import subprocess

import pytest

import harness
from helpers import imap, ok
from test_archive_foreign import on_a_terminal

DATE = "Tue Nov 14 22:13:20 2023"


def run(server, form, account, source, *more, status=0):
    done = server.run("import", form, account.address, str(source), "--dir", str(server.dir), "--json", *more, check=False, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def refused(server, form, account, source):
    """What import says to SOURCE, which makes no mailbox."""
    before = boxes(server, account)
    done = server.run("import", form, account.address, str(source), "--dir", str(server.dir), check=False)
    assert done.returncode == 65 and boxes(server, account) == before, done.stdout + done.stderr
    return done.stderr


def boxes(server, account):
    with imap(server, account) as session:
        return sorted(re.fullmatch(rb'\(.*\) "/" "?([^"]*)"?', line).group(1).decode() for line in ok(session.list('""', "*")))


def mail(server, account):
    """{mailbox: [(flags, keywords and bytes)]} of those that have messages, in the order of UIDs."""
    found = {}
    for name in boxes(server, account):
        with imap(server, account) as session:
            if int(ok(session.select(f'"{name}"', readonly=True))[0]) == 0:
                continue
            parts = ok(session.fetch("1:*", "(FLAGS BODY.PEEK[])"))
        heads = [part for part in parts if isinstance(part, tuple)]
        found[name] = [(frozenset(re.search(rb"FLAGS \(([^)]*)\)", head).group(1).decode().split()) - {"\\Recent"}, body) for head, body in heads]
    return found


def bodies(server, account, name="INBOX"):
    return [body for _, body in mail(server, account).get(name, [])]


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# --- where messages begin ---

def test_separators_of_bad_writers(server, account, scratch):
    letter = lambda i: f"From: a@b\nSubject: {i}\nMessage-ID: <{i}@x>\n\nIt says:\n\nFrom here on:\ndown.\n"
    marks = {"bare": ["From \n"] * 3, "first": [f"From a@b {DATE}\n", "From \n", "From \n"], "address": ["From a@b\n", "From c@d\n", "From -\n"],
             "tight": [f"From a@b {DATE}\n"] * 3, "odd": ["From a@b on some day\n"] * 3}
    for i, (name, lines) in enumerate(marks.items()):
        gap = "" if name == "tight" else "\n"
        (scratch / name).write_text(gap.join(mark + letter(f"{name}{k}") for k, mark in enumerate(lines)))
    done = run(server, "mbox", account, scratch, "--mailbox", "Bad")
    found = mail(server, account)
    assert {box: len(v) for box, v in found.items()} == {f"Bad/{name}": 3 for name in marks} and done["added"] == 15
    for name in marks:
        assert [body for _, body in found[f"Bad/{name}"]] == [crlf(letter(f"{name}{k}").encode()) for k in range(3)]
    assert done["doubtful-left"] == 15 and done["doubtful-taken"] == 3 + 2 + 3 + 3
    assert run(server, "mbox", account, scratch, "--mailbox", "Bad")["added"] == 0
    text = server.run("import", "mbox", account.address, str(scratch / "bare"), "--dir", str(server.dir), "--mailbox", "Bad/bare").stdout
    assert "6 lines \"From ...\" are doubtful: 3 were taken" in text and "bare at byte 0" in text


def random_letter(rng, number):
    """Header and body, LF, with a Message-ID or without, and lines that look like separators."""
    head = [f"Subject: {rng.choice(['x', 'From me', '=?utf-8?q?=C3=A9?='])} {number}", "From: a@b"]
    if rng.random() < 0.8:
        head.append(f"Message-ID: <{number}.{rng.random()}@x>")
    if rng.random() < 0.3:
        head.append("X-Long: a\n\tb\n c")
    rng.shuffle(head)
    lines = [rng.choice(["text", "", "", ">From x", ">>From y", "From here on:", "From", "from a@b", ".", "é" * 20, "x" * 300, f"From a@b {DATE}"])
             for _ in range(rng.randrange(12))]
    return ("\n".join(head) + "\n\n" + "".join(line + "\n" for line in lines)).encode()


def quote(letter, pattern):
    head, _, body = letter.partition(b"\n\n")
    return head + b"\n\n" + re.sub(pattern, rb">\g<0>", body, flags=re.M)


def with_length(letter):
    head, _, body = letter.partition(b"\n\n")
    return head + b"\nContent-Length: %d\n\n" % len(body) + body


def write(form, letters):
    """The bytes of an mbox and the letters that it must give back."""
    mark = f"From a@b {DATE}\n".encode()
    if form == "mboxrd":
        return b"".join(mark + quote(x, rb"^>*From ") + b"\n" for x in letters), letters
    if form == "mboxo":  # what was quoted already cannot be told from what the writer quoted
        letters = [re.sub(rb"^>+From ", b"x", x, flags=re.M) for x in letters]
        return b"".join(mark + quote(x, rb"^From ") + b"\n" for x in letters), letters
    if form == "mboxcl":
        letters = [re.sub(rb"^>+From ", b"x", x, flags=re.M) for x in letters]
        return b"".join(mark + with_length(quote(x, rb"^From ")) + b"\n" for x in letters), letters
    if form == "mboxcl2":  # quotes of the text are as they are where an unquoted line shows that nobody quotes
        letters = [re.sub(rb"^>+From ", b"x", x, flags=re.M) for x in letters]
        return b"".join(mark + with_length(x) + b"\n" for x in letters), letters
    if form == "crlf":
        return b"".join(crlf(mark + quote(x, rb"^>*From ") + b"\n") for x in letters), letters
    if form == "tight":  # no empty line between messages, so that the last line must be there
        letters = [x + b"end\n" for x in letters]
        return b"".join(mark + quote(x, rb"^>*From ") for x in letters), letters
    assert form == "bare"
    return b"".join(b"From \n" + quote(x, rb"^>*From ") + b"\n" for x in letters), letters


FORMS = ("mboxrd", "mboxo", "mboxcl", "mboxcl2", "crlf", "tight", "bare")


def test_random_mailboxes_of_each_form(server, account, scratch):
    rng = random.Random(20231114)
    expected = {}
    for form in FORMS:
        letters = [random_letter(rng, f"{form}{i}") for i in range(60)]
        data, expected[f"Any/{form}"] = write(form, letters)
        (scratch / f"{form}.mbox").write_bytes(data)
    for cls in (mailbox.mbox,):
        box = cls(scratch / "python.mbox")
        letters = [re.sub(rb"^>+From ", b"x", random_letter(rng, f"py{i}"), flags=re.M) for i in range(60)]
        for x in letters:
            box.add(x)
        box.close()
        expected["Any/python"] = letters
    done = run(server, "mbox", account, scratch, "--mailbox", "Any")
    found = mail(server, account)
    for name, letters in expected.items():
        got = [body for _, body in found[name]]
        assert len(got) == len(letters), name
        for i, (a, b) in enumerate(zip(got, letters)):
            assert a == crlf(b), (name, i)
    assert done["added"] == 60 * len(expected) and done["failed"] == 0
    again = run(server, "mbox", account, scratch, "--mailbox", "Any")
    assert (again["added"], again["skipped"]) == (0, 60 * len(expected))


# --- status ---

def test_status_of_other_programs(server, account, scratch):
    mark = f"From - {DATE}\n"
    rows = [("X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys:                 \n", {"\\Seen"}),
            ("X-Mozilla-Status: 1007\nX-Mozilla-Keys: $label3 nonjunk\n", {"\\Seen", "\\Answered", "\\Flagged", "$Forwarded", "$label3", "nonjunk"}),
            ("X-UID: 4\nStatus: RO\nX-Status: AF\nX-Keywords: work $Label1          \n", {"\\Seen", "\\Answered", "\\Flagged", "work", "$Label1"}),
            ("X-Evolution: 00000017-0010\n", {"\\Seen"}), ("Status: O\n", set())]
    pine = "From: Mail System Internal Data <a@b>\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2 work\nStatus: RO\n\nThis text is not mail.\n"
    (scratch / "box").write_text(mark + pine + "".join(f"\n{mark}{head}Subject: {i}\n\nx\n" for i, (head, _) in enumerate(rows)))
    done = run(server, "mbox", account, scratch / "box")
    assert (done["added"], done["internal"]) == (len(rows), 1)
    assert mail(server, account)["INBOX"] == [(frozenset(flags), f"Subject: {i}\r\n\r\nx\r\n".encode()) for i, (_, flags) in enumerate(rows)]
    # As Python's mailbox writes them
    box = mailbox.mbox(scratch / "python")
    for flags in ("", "R", "RO", "ROAF", "DT"):
        message = mailbox.mboxMessage(f"Subject: {flags}\n\nx\n".encode())
        message.set_flags(flags)
        box.add(message)
    box.close()
    run(server, "mbox", account, scratch / "python", "--mailbox", "P")
    assert [flags for flags, _ in mail(server, account)["P"]] == [set(), {"\\Seen"}, {"\\Seen"}, {"\\Seen", "\\Answered", "\\Flagged"}, {"\\Deleted", "\\Draft"}]


def test_what_thunderbird_has_deleted(server, account, scratch):
    """It stays in the file until the folder is compacted, and in no list of messages."""
    letter = lambda i, status: f"From - {DATE}\nX-Mozilla-Status: {status}\nX-Mozilla-Status2: 00000000\nSubject: {i}\n\nx\n\n"
    (scratch / "box").write_text("".join(letter(i, status) for i, status in enumerate(("0001", "0009", "0000", "0008"))))
    done = run(server, "mbox", account, scratch / "box")
    assert (done["added"], done["expunged"]) == (2, 2)
    assert [body for _, body in mail(server, account)["INBOX"]] == [b"Subject: 0\r\n\r\nx\r\n", b"Subject: 2\r\n\r\nx\r\n"]
    text = server.run("import", "mbox", account.address, str(scratch / "box"), "--dir", str(server.dir)).stdout
    assert "2 were there already" in text and "2 messages were deleted in Thunderbird" in text and "--with-expunged" in text
    done = run(server, "mbox", account, scratch / "box", "--with-expunged")
    assert (done["added"], done["skipped"], done["expunged"]) == (2, 2, 0)
    assert sorted(map(sorted, (flags for flags, _ in mail(server, account)["INBOX"]))) == [[], ["\\Deleted"], ["\\Deleted", "\\Seen"], ["\\Seen"]]


def test_labels_are_no_more_than_where_mail_came_from(server, account, other, scratch):
    """What its owner has moved since stays where he has put it, by way of valise's own export and of Thunderbird."""
    letter = lambda i, labels: f"From 15947823456780{i}@xxx Mon Jan 06 10:20:30 +0000 2025\nX-GM-THRID: {i}\nX-Gmail-Labels: {labels}\nReceived: by x\nSubject: {i}\nMessage-ID: <m{i}@x>\n\nbody\n\n"
    (scratch / "takeout").write_text(letter(1, "Inbox,Unread") + letter(2, "Work,Opened,Starred"))
    assert run(server, "mbox", account, scratch / "takeout")["added"] == 2
    with imap(server, account) as session:
        ok(session.create("Kept"))
        for box in ("INBOX", "Work"):
            ok(session.select(box))
            ok(session.store("1", "FLAGS", "(\\Answered)"))
            ok(session._simple_command("MOVE", "1", "Kept"))
    moved = mail(server, account)
    assert {box: len(v) for box, v in moved.items()} == {"Kept": 2}
    server.run("export", "mbox", account.address, str(scratch / "out"), "--dir", str(server.dir))
    assert run(server, "mbox", other, scratch / "out")["added"] == 2
    assert mail(server, other) == moved
    tree = scratch / "Local"
    tree.mkdir()
    for name, mark in (("Rewritten", "From - "), ("Copied", "From 159478234567801@xxx ")):
        (tree / name).write_text(f"{mark}{DATE}\nX-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nX-Gmail-Labels: Trash\nSubject: x\n\nx\n")
    assert run(server, "mbox", other, tree, "--mailbox", "TB")["added"] == 2
    assert {box: len(v) for box, v in mail(server, other).items()} == {"Kept": 2, "TB/Rewritten": 1, "TB/Copied": 1}


def test_copies_of_takeout_have_the_same_message_id(server, account, scratch):
    """Numbers are those of one account of Google; without a Message-ID the words tell."""
    letter = lambda number, extra, body: f"From {number}@xxx Mon Jan 06 10:20:30 +0000 2025\nX-Gmail-Labels: Work,Later\n{extra}Subject: x\n\n{body}\n\n"
    rows = [letter(1, "Message-ID: <a@x>\n", "a"), letter(1, "Message-ID: <b@x>\n", "b"), letter(1, "", "c"), letter(1, "", "d"), letter(2, "Message-ID: <a@x>\n", "e")]
    (scratch / "box").write_text("".join(rows + rows))
    done = run(server, "mbox", account, scratch / "box")
    assert (done["added"], done["copies"]) == (5, 5)
    assert sorted(body[-3:-2] for body in bodies(server, account, "Work")) == [b"a", b"b", b"c", b"d", b"e"]


def test_labels_of_takeout(server, account, scratch):
    rows = [("Inbox,Unread,Important,Work", "INBOX", {"$Important"}), ("Archived,Opened,Starred", "Archive", {"\\Seen", "\\Flagged"}),
            ("Sent,Opened", "Sent", {"\\Seen"}), ("Work/Projects,Opened,Later", "Work/Projects", {"\\Seen"}), ("Trash,Unread,Work", "Trash", set()),
            ("Spam,Category Promotions", "Junk", {"\\Seen"}), ("Drafts", "Drafts", {"\\Seen", "\\Draft"}),
            ("=?UTF-8?Q?Bo=C3=AEte_de_r=C3=A9ception,Non_lus?=", "INBOX", set()),
            ("=?UTF-8?Q?Messages_archiv=C3=A9s,Ouvert,\"R=C3=A9union,_etc=2E\"?=", "R&AOk-union, etc.", {"\\Seen"})]
    letter = lambda i, labels: (f"From 15947823456780{i}@xxx Mon Jan 06 10:20:3{i % 10} +0000 2025\nX-GM-THRID: {i}\nX-Gmail-Labels: {labels}\n"
                                f"Received: by x\nFrom: a@b\nSubject: {i}\nMessage-ID: <t{i}@x>\n\nbody\n\n")
    text = "".join(letter(i, labels) for i, (labels, _, _) in enumerate(rows)) * 2  # Takeout writes one file a label, and a message into each
    path = scratch / "All mail Including Spam and Trash.mbox"
    path.write_bytes(crlf(text.encode()))
    done = run(server, "mbox", account, path)
    assert (done["added"], done["copies"], done["failed"]) == (len(rows), len(rows), 0)
    found = mail(server, account)
    assert sorted((box, flags) for box, v in found.items() for flags, _ in v) == sorted((box, frozenset(flags)) for _, box, flags in rows)
    assert all(b"X-GM-THRID: " in body and b"X-Gmail-Labels: " in body for v in found.values() for _, body in v)
    assert run(server, "mbox", account, path)["added"] == 0
    # By choice, all into one
    assert run(server, "mbox", account, path, "--ignore-labels", "--mailbox", "Flat")["added"] == 2 * len(rows)
    assert len(mail(server, account)["Flat"]) == 2 * len(rows)
    # A sender's own field of that name means nothing
    (scratch / "plain").write_text(f"From a@b {DATE}\nReceived: by x\nX-Gmail-Labels: Trash\nMessage-ID: <sly@x>\n\nx\n")
    run(server, "mbox", account, scratch / "plain", "--mailbox", "Mine")
    assert len(mail(server, account)["Mine"]) == 1


# --- trees ---

def test_a_tree_of_thunderbird(server, account, scratch):
    root = scratch / "Local Folders"
    (root / "Work.sbd" / "Projects.sbd").mkdir(parents=True)
    (root / "Archives.sbd").mkdir()
    for name in ("Inbox", "Work", "Work.sbd/Projects", "Work.sbd/Projects.sbd/100%25", "Archives.sbd/2024", "notes.log"):
        (root / name).write_text(f"From - {DATE}\nX-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nMessage-ID: <{name.replace(' ', '')}@tb>\nSubject: {name}\n\nx\n")
        (root / f"{name}.msf").write_text("// <!-- <mdb:mork:z v=\"1.4\"/> -->\n")
    for name in ("Trash", "Drafts"):
        (root / name).write_text("")
    for name, text in (("msgFilterRules.dat", "version=\"9\"\n"), ("popstate.dat", "x"), ("filterlog.html", "<html>")):
        (root / name).write_text(text)
    done = run(server, "mbox", account, root, "--mailbox", "TB")
    assert (done["added"], done["failed"]) == (6, 0)
    assert sorted(mail(server, account)) == sorted(["TB", "TB/Work", "TB/Work/Projects", "TB/Work/Projects/100%25", "TB/Archives/2024", "TB/notes.log"])
    assert "TB/Trash" in boxes(server, account)
    profile = scratch / "abc.default"
    (profile / "Mail").mkdir(parents=True)
    (profile / "prefs.js").write_text("")
    os.rename(root, profile / "Mail" / "Local Folders")
    assert "one account" in refused(server, "mbox", account, profile)


def test_an_apple_mailbox(server, account, scratch):
    (scratch / "Old stuff.mbox").mkdir()
    (scratch / "Old stuff.mbox" / "mbox").write_text(f"From a@b {DATE}\nSubject: x\n\nx\n")
    (scratch / "Old stuff.mbox" / "table_of_contents").write_bytes(b"\0\1")
    assert run(server, "mbox", account, scratch)["added"] == 1
    assert list(mail(server, account)) == ["Old stuff"]
    for path in (scratch / "Old stuff.mbox", f"{scratch}/Old stuff.mbox/"):  # by itself
        assert run(server, "mbox", account, path)["skipped"] == 1
    assert list(mail(server, account)) == ["Old stuff"] and "mbox" not in boxes(server, account)
    assert run(server, "mbox", account, scratch / "Old stuff.mbox", "--mailbox", "Apple")["added"] == 1
    assert sorted(mail(server, account)) == ["Apple/Old stuff", "Old stuff"]


def make_maildir(path, letters, keywords=None):
    """A Maildir with {file name: bytes}."""
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    for name, data in letters.items():
        (path / "cur" / name).write_bytes(data)
    if keywords:
        (path / "courierimapkeywords").mkdir()
        (path / "courierimapkeywords" / ":list").write_text(keywords)


def test_keywords_of_courier_and_layout_fs(server, account, scratch):
    letter = lambda i: f"Subject: {i}\nMessage-ID: <{i}@md>\n\nx\n".encode()
    make_maildir(scratch / "M", {"1.a:2,S": letter(1), "2.b:2,PF": letter(2)}, "work\n$Label1\n\n1.a:0 1\n")
    (scratch / "M" / "courierimapkeywords" / "2.b").write_text("later\n")  # as maildirkw and imapd leave it until they look again
    (scratch / "M" / "courierimapkeywords" / ".5986839.2.b").write_text("")
    make_maildir(scratch / "M" / "Work", {"3.c:2,": letter(3)})
    make_maildir(scratch / "M" / "Top" / "Re&AOc-us", {"4.d:2,R": letter(4)})
    make_maildir(scratch / "M" / ".Plus.2026", {"5.e:2,T": letter(5)})
    (scratch / "M" / "sieve").mkdir()
    done = run(server, "maildir", account, scratch / "M")
    assert (done["added"], done["failed"]) == (5, 0)
    found = {name: [flags for flags, _ in v] for name, v in mail(server, account).items()}
    assert found == {"INBOX": [{"\\Seen", "work", "$Label1"}, {"\\Flagged", "$Forwarded", "later"}], "Work": [set()], "Top/Re&AOc-us": [{"\\Answered"}],
                     "Plus/2026": [{"\\Deleted"}]}
    # Without an INBOX
    os.rename(scratch / "M" / "Top", scratch / "Top")
    assert run(server, "maildir", account, scratch / "Top", "--mailbox", "X")["added"] == 1
    assert list(mail(server, account))[-1] == "X/Re&AOc-us"


# --- what cannot be read is refused before anything is made ---

def test_other_forms_are_refused_with_a_way_out(server, account, scratch):
    def put(name, data=b""):
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path
    make_maildir(scratch / "maildir", {"1:2,": b"Subject: x\n\nx\n"})
    make_maildir(scratch / "several" / ".a", {})
    (put("cyrus/cyrus.header"), put("cyrus/1.", b"Subject: x\r\n\r\nx\r\n"), put("dbox/mailboxes/INBOX/dbox-Mails/u.1", b"2 M1e\n"))
    (put("mh/1", b"Subject: x\n\nx\n"), put("mh/.mh_sequences"))
    mmdf, babyl = mailbox.MMDF(put("mmdf")), mailbox.Babyl(put("babyl"))
    for box in (mmdf, babyl):
        box.add(b"Subject: x\n\nx\n")
        box.close()
    for form, name, says in (("mbox", "maildir", "import maildir"), ("mbox", "cyrus", "mbsync"), ("mbox", "dbox", "doveadm backup"), ("mbox", "mh", "mailbox.MH"),
                             ("maildir", "cyrus", "mbsync"), ("maildir", "dbox", "doveadm backup"), ("maildir", "mh", "mailbox.MH"), ("mbox", "mmdf", "mailbox.MMDF"),
                             ("mbox", "babyl", "mailbox.Babyl"), ("maildir", "mmdf", "import mbox")):
        assert says in refused(server, form, account, scratch / name), name
    for name, data, says in (("x.gz", b"\x1f\x8b\x08\0", "gunzip"), ("x.pst", b"!BDN\0", "readpst"), ("x.zip", b"PK\3\4", "unzip"),
                             ("one.eml", b"Subject: x\n\nx\n", "no mbox"), ("mac", f"From a@b {DATE}\rSubject: x\r\rx\r".encode(), "tr "), ("nul", b"\0" * 5000, "no mbox")):
        assert says in refused(server, "mbox", account, put(name, data)), name
    (scratch / "empty").mkdir()
    assert "no mbox file" in refused(server, "mbox", account, scratch / "empty")
    assert "no Maildir" in refused(server, "maildir", account, scratch / "empty")


# --- nothing is left behind without a word ---

def test_a_maildir_from_one_directory_too_high(server, account, scratch):
    """It was taken for a mailbox "Maildir", and its folders were skipped in silence."""
    good = lambda i: {"1:2,": f"Subject: {i}\nMessage-ID: <{i}@high>\n\nx\n".encode()}
    for user in ("home/marie", "home/jean"):
        for folder in ("Maildir", "Maildir/.Sent", "Maildir/.Clients.Dupont"):
            make_maildir(scratch / user / folder, good(folder))
    for source in ("home/marie", "home"):
        said = refused(server, "maildir", account, scratch / source)
        assert f"{scratch}/home/{'jean' if source == 'home' else 'marie'}/Maildir: name that" in said, said
    assert run(server, "maildir", account, scratch / "home/marie/Maildir")["added"] == 3
    assert sorted(mail(server, account)) == ["Clients/Dupont", "INBOX", "Sent"]
    # Folders where none can be, in a Maildir that is read
    root = scratch / "mixed"
    for folder in ("", ".A", ".A/below", "old", "old/.Sent", ".B/deep"):
        make_maildir(root / folder, good(f"m{folder}"))
    done = run(server, "maildir", account, root, "--mailbox", "Mixed", status=65)
    assert sorted(failure["name"] for failure in done["failures"]) == [".A/below", ".B", "old/.Sent"]
    assert all("--mailbox NAME" in failure["reason"] for failure in done["failures"])
    assert (done["added"], done["failed"]) == (3, 3)


def test_hidden_mboxes_are_told(server, account, scratch):
    letter = f"From a@b {DATE}\nMessage-ID: <h@x>\n\nx\n"
    (scratch / "m" / ".old").mkdir(parents=True)
    for name in ("seen", ".Drafts", ".old/2001"):
        (scratch / "m" / name).write_text(letter)
    (scratch / "m" / ".DS_Store").write_text("x")
    done = run(server, "mbox", account, scratch / "m", status=65)
    assert sorted(failure["name"] for failure in done["failures"]) == [".Drafts", ".old"] and done["added"] == 1


def test_names_of_an_imap_server_in_thunderbird(server, account, scratch):
    names = ("Entw&APw-rfe", "R&-D", "Q&A", "Q&A-Sessions", "Gel\u00f6scht", "plain")
    wanted = ["Entwürfe", "R&D", "Q&A", "Q&A-Sessions", "Gelöscht", "plain"]
    def fill(folder, ends):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(f"From - {DATE}\nMessage-ID: <{folder.name}@tb>\n\nx\n")
            for end in ends:
                (folder / f"{name}{end}").write_text("// <!-- <mdb:mork:z v=\"1.4\"/> -->\n")
    host = scratch / "ImapMail" / "imap.example.org"
    fill(host / "INBOX.sbd", [".msf"])
    fill(scratch / "ImapMail" / "bare", [])
    fill(scratch / "plain", [])
    for source, below, decoded in ((host, "INBOX", True), (host / "INBOX.sbd", "", True), (scratch / "ImapMail" / "bare", "", True), (scratch / "plain", "", False)):
        target = f"t{source.name.replace('.', '')}"
        run(server, "mbox", account, source, "--mailbox", target)
        expected = {imap_name("/".join(filter(None, (target, below if source == host else "", name)))) for name in (wanted if decoded else names)}
        assert expected <= set(boxes(server, account)), (source, boxes(server, account))


def imap_name(name):
    """As LIST shows it to who has not enabled UTF8."""
    out = []
    for run_of in re.findall(r"[\x20-\x7e]+|[^\x20-\x7e]+", name):
        plain = run_of.isascii()
        out.append(run_of.replace("&", "&-") if plain else "&" + base64.b64encode(run_of.encode("utf-16-be")).rstrip(b"=").decode().replace("/", ",") + "-")
    return "".join(out)


# --- one bad thing ends nothing ---

def test_a_maildir_with_bad_things_in_it(server, account, scratch):
    good = lambda i: f"Subject: {i}\nMessage-ID: <{i}@bad>\n\nx\n".encode()
    root = scratch / "M"
    make_maildir(root, {"1:2,": good(1), "2:2,": b"\x1f\x8b\x08\0\0", "9:2,S": good(9)})
    for folder in (".Bad&Name", ".Trash.", "." + "x." * 30 + "x", ".Z"):
        make_maildir(root / folder, {"1:2,": good(folder)})
    (root / ".Z" / "cur" / "folder").mkdir()
    os.mkfifo(root / ".Z" / "cur" / "fifo")
    done = run(server, "maildir", account, root, status=65)
    names = [failure["name"] for failure in done["failures"]]
    assert (done["added"], done["failed"], done["left-out"], done["ok"]) == (3, 5, 1, False)
    assert sorted(names) == sorted(["cur/2:2,", ".Bad&Name/", ".Trash./", "." + "x." * 30 + "x/", ".Z/cur/folder"])
    assert {name: len(v) for name, v in mail(server, account).items()} == {"INBOX": 2, "Z": 1}
    done = server.run("import", "maildir", account.address, str(root), "--dir", str(server.dir), check=False)
    assert done.returncode == 65 and "0 messages added" in done.stdout and "left out: .Bad&Name/: " in done.stderr and "5 messages, files or folders" in done.stderr


def test_more_keywords_than_fit(server, account, scratch):
    mark = f"From a@b {DATE}\n"
    (scratch / "box").write_text("".join(f"{mark}X-Keywords: both k{i}\nMessage-ID: <k{i}@x>\n\nx\n\n" for i in range(80)))
    done = run(server, "mbox", account, scratch / "box", status=65)
    assert (done["added"], done["failed"]) == (80, 0) and done["keywords-lost"] == 80 - 55
    flags = [flags for flags, _ in mail(server, account)["INBOX"]]
    assert all("both" in f for f in flags) and len(set().union(*flags)) == 56
    done = run(server, "mbox", account, scratch / "box")
    assert (done["added"], done["skipped"]) == (0, 80)


def test_a_tree_of_mboxes_with_bad_things_in_it(server, account, scratch):
    good = f"From a@b {DATE}\nSubject: x\n\nx\n"
    (scratch / "a").mkdir()
    (scratch / "a" / "text").write_text("no mbox\n")
    (scratch / "a" / "good").write_text(good)
    make_maildir(scratch / "a" / "maildir", {})
    (scratch / "a" / ("long" * 50)).write_text(good)
    deep = scratch / "a" / ("l" * 200) / ("l" * 200) / "x"
    deep.parent.mkdir(parents=True)
    deep.write_text(good)
    done = run(server, "mbox", account, scratch / "a", status=65)
    assert sorted(failure["name"][-7:] for failure in done["failures"]) == sorted(["text", "maildir", "llllll/x"[-7:]])
    assert sorted(mail(server, account)) == sorted(["good", "long" * 50])


def test_the_bar_counts_what_is_left_out(server, account, scratch):
    """What is skipped counts, what is not looked at does not: at the end all is done, and never more."""
    big = b"x" * 99 + b"\n"
    (scratch / "mbox").mkdir()
    for name, data in (("Inbox", f"From a@b {DATE}\nSubject: x\n\n".encode() + big * 9000), ("Inbox.msf", big * 30000), ("text", big * 5000)):
        (scratch / "mbox" / name).write_bytes(data)
    good = b"Subject: x\n\n" + big * 4000
    make_maildir(scratch / "maildir", {"1:2,": good, "2:2,": b"\x1f\x8b" + good})
    for folder in (".Bad&Name", ".Good", "Work", "Work/" + "x" * 200 + "/" + "y" * 250):
        make_maildir(scratch / "maildir" / folder, {"1:2,": good})
    (scratch / "maildir" / "dovecot.index.cache").write_bytes(big * 20000)
    for form in ("mbox", "maildir"):
        text, status = on_a_terminal(server.program, "import", form, account.address, scratch / form, "--dir", server.dir)
        steps = [(float(a), float(b)) for a, b in re.findall(r"\r\[[# ]{40}\] ([\d.]+) of ([\d.]+) MiB", text)]
        assert status == 65 and steps == sorted(steps) and steps[-1][0] == steps[-1][1] > 1, (form, steps, text[-400:])
        assert re.search(r"\r +\rvalise: left out: ", text), "the bar is wiped before a line"


# --- what is there already ---

def test_identity_is_that_of_what_is_kept(server, account, scratch):
    """NULs become something else in the store; messages of many parts have structures of many kilobytes."""
    many = "MIME-Version: 1.0\nMessage-ID: <many@x>\nContent-Type: multipart/mixed; boundary=b\n\n" + "--b\nContent-Type: text/plain; name=\"" + "n" * 60 + "\"\n\nx\n" * 1500 + "--b--\n"
    letters = {"1:2,": b"Subject: nul\nMessage-ID: <nul@x>\n\na\0b\n", "2:2,": b"Subject: a\0b\n\nx\n", "3:2,": b"Subject: no id\n\nx\0\n", "4:2,": many.encode(),
               "5:2,": b"MIME-Version: 1.0\nContent-Type: application/octet-stream\nMessage-ID: <b@x>\n\n" + bytes(range(256)) + b"\n", "6:2,": b"", "7:2,": b"\n"}
    make_maildir(scratch / "M", letters)
    for _ in range(2):
        done = run(server, "maildir", account, scratch / "M")
    assert (done["added"], done["skipped"], done["empty"]) == (0, len(letters) - 1, 1)
    (scratch / "box").write_bytes(b"".join(b"From a@b\n" + data + b"\n" for data in (letters["1:2,"], b"From: x\nSubject: no date\n\nx\0\n")))
    for _ in range(2):
        done = run(server, "mbox", account, scratch / "box", "--mailbox", "B")
    assert (done["added"], done["skipped"]) == (0, 2)


# --- files that are not what they seem, and that change ---

def test_files_of_nothing_are_not_read_to_their_end(server, account, scratch):
    """A terabyte that takes no space: the message or the file is named, the others come in."""
    good = b"From a@b Thu Jan  1 00:00:00 1970\nSubject: good\n\nx\n\n"
    make_maildir(scratch / "M", {"1:2,": b"Subject: x\n\nx\n", "2:2,": b"Subject: hole\n\n", "3:2,": b"Subject: smaller hole\n\n"})
    os.truncate(scratch / "M" / "cur" / "2:2,", 1 << 40)
    os.truncate(scratch / "M" / "cur" / "3:2,", 100 << 20)
    done = run(server, "maildir", account, scratch / "M", status=65)
    assert done["added"] == 1 and sorted(f["name"] for f in done["failures"]) == ["cur/2:2,", "cur/3:2,"]
    assert "larger than" in str(done["failures"]) and "never written" in str(done["failures"])
    tree = scratch / "tree"
    tree.mkdir()
    for name in ("a", "b", "c"):
        (tree / name).write_bytes(good)
    os.truncate(tree / "b", 1 << 40)
    done = run(server, "mbox", account, tree, "--mailbox", "T", status=65)
    assert done["added"] == 2 and [f["name"] for f in done["failures"]] == ["b"] and "never written" in done["failures"][0]["reason"]


def test_an_mbox_that_is_shortened_meanwhile(server, account, scratch):
    """What is not there any more is named; nothing crashes."""
    box = scratch / "box"
    with open(box, "wb") as f:
        for n in range(3000):
            f.write(b"From a@b Thu Jan  1 00:00:00 1970\nSubject: %d\n\n" % n + b"x" * 40000 + b"\n\n")
    size = box.stat().st_size
    process = subprocess.Popen([server.program, "import", "mbox", account.address, str(box), "--dir", str(server.dir), "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    with imap(server, account) as session:
        harness.wait_until(lambda: process.poll() is not None or int(ok(session.status("INBOX", "(MESSAGES)"))[0].split()[-1].rstrip(b")")) > 0, 60, "it is begun")
    os.truncate(box, size // 4)
    out, err = process.communicate(timeout=120)
    result = json.loads(out)
    assert process.returncode in (0, 65), (process.returncode, err)
    assert result["added"] + result["failed"] == 3000 or process.returncode == 0, result
    assert all("shorter" in f["reason"] for f in result.get("failures", []))


def test_messages_that_end_where_a_part_of_the_file_does(server, account, scratch):
    """A file is read in parts of 1 MiB: messages around their ends, and larger than they, come in whole."""
    box, sizes = scratch / "box", [(1 << 20) - 60, 1, (1 << 20) - 150, 3 << 20, 10, 1 << 20, 700, 5 << 20, 2]
    with open(box, "wb") as f:
        for n, size in enumerate(sizes):
            f.write(b"From a@b Thu Jan  1 00:00:%02d 1970\nSubject: %d\n\n" % (n, n) + (b"y" * 69 + b"\n") * (size // 70) + b"z" * (size % 70) + b"\n\n")
    done = run(server, "mbox", account, box)
    assert done["added"] == len(sizes) and done["bytes"] > sum(sizes)
    assert run(server, "mbox", account, box)["skipped"] == len(sizes)
    with imap(server, account) as session:
        session.select()
        for n, size in enumerate(sizes):
            body = ok(session.fetch(str(n + 1), "(BODY.PEEK[TEXT])"))[0][1]
            assert body == (b"y" * 69 + b"\r\n") * (size // 70) + b"z" * (size % 70) + b"\r\n", n


# --- and out again ---

def test_names_that_are_in_each_others_way(server, account, other, scratch):
    """Every mailbox comes out and in again by its name; one that no file can be called after keeps neither its owner's others nor other accounts from it."""
    names, message = ["x", "x.mbox", "x.mbox/y", "x.mbox/y.mbox/z", "x%2Embox/y", ".mbox/a", "%"], b"Subject: x\r\n\r\nx\r\n"
    long = "\u00e9" * 130
    for owner in (account, other):
        with imap(server, owner) as session:
            for name in names:
                session.create(f'"{name}"')
                ok(session.append(f'"{name}"', None, None, message))
    with imap(server, account) as session:
        session._encoding = "utf-8"
        ok(session.enable("UTF8=ACCEPT"))
        ok(session.create(f'"{long}"'))
        ok(session.append(f'"{long}"', None, None, message))
    done = server.run("export", "mbox", "--all", str(scratch / "all"), "--dir", str(server.dir), "--json", check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 65 and [f["name"] for f in result["failures"]] == [f"mailbox {long}, 1 message"], done
    for owner in (account, other):
        assert len([p for p in (scratch / "all" / owner.address).rglob("*.mbox") if p.is_file() and p.stat().st_size]) == len(names)
    assert run(server, "mbox", other, scratch / "all" / account.address, "--mailbox", "back")["added"] == len(names)
    with imap(server, other) as session:
        for name in names:
            assert ok(session.select(f'"back/{name}"')) == [b"1"], name
    with imap(server, account) as session:  # others export this server whole
        session._encoding = "utf-8"
        ok(session.enable("UTF8=ACCEPT"))
        ok(session.delete(f'"{long}"'))


def test_export_goes_on_without_a_mailbox_that_no_file_can_be(server, account, scratch):
    long, message = "a" * 200 + "/" + "b" * 150, b"Subject: x\r\n\r\nx\r\n"
    with imap(server, account) as session:
        for name in (long, "c", "c.mbox/d", "z"):
            session.create(f'"{name}"')
            ok(session.append(f'"{name}"', None, None, message))
    done = server.run("export", "maildir", account.address, str(scratch / "maildir"), "--dir", str(server.dir), "--json", check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 65 and result["ok"] is False and result["messages"] == 3, done.stdout
    assert [failure["name"].split(",")[0] for failure in result["failures"]] == [f"mailbox {long}"]
    result = json.loads(server.run("export", "mbox", account.address, str(scratch / "mbox"), "--dir", str(server.dir), "--json").stdout)
    assert result["messages"] == 4 and (scratch / "mbox" / "c.mbox").is_file() and (scratch / "mbox" / "c%2Embox" / "d.mbox").is_file()
    with imap(server, account) as session:  # others export this server whole
        ok(session.delete('"c.mbox/d"'))
        ok(session.delete(f'"{long}"'))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_that_may_not_be_read(server, account, scratch):
    make_maildir(scratch / "maildir", {"1:2,": b"Subject: x\n\nx\n", "2:2,": b"Subject: y\n\ny\n"})
    make_maildir(scratch / "maildir" / ".Shut", {})
    (scratch / "mbox").mkdir()
    for name in ("a", "b"):
        (scratch / "mbox" / name).write_text(f"From a@b {DATE}\nSubject: x\n\nx\n")
    shut = [scratch / "maildir" / "cur" / "1:2,", scratch / "maildir" / ".Shut" / "cur", scratch / "mbox" / "a"]
    for path in shut:
        path.chmod(0)
    try:
        done = run(server, "maildir", account, scratch / "maildir", status=65)
        assert (done["added"], sorted(failure["name"] for failure in done["failures"])) == (1, [".Shut/cur/", "cur/1:2,"])
        done = run(server, "mbox", account, scratch / "mbox", status=65)
        assert (done["added"], [failure["name"] for failure in done["failures"]]) == (1, ["a"])
    finally:
        for path in shut:
            path.chmod(0o700)
