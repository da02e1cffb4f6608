"""A large mailbox and its local copy, changed on both sides: what any program that keeps the two equal has to bring about."""

import mailbox
import re

from helpers import imap, letter, ok

HALF = 2500     # on each side at first
CHANGED = 100   # of each kind of change on each side

FLAGS = {r"\Answered": "R", r"\Flagged": "F", r"\Seen": "S", r"\Draft": "D", r"\Deleted": "T"}


def numbered(account, where, n):
    return letter(account.address, f"{where} {n:05}")[0]


def fill_server(server, account):
    """HALF messages in INBOX, many to one command (MULTIAPPEND)."""
    with imap(server, account) as session:
        for first in range(0, HALF, 50):
            messages = [numbered(account, "far", n) for n in range(first, first + 50)]
            rest = b"".join(b" {%d+}\r\n" % len(m) + m for m in messages)
            tag = session._new_tag()
            session.send(tag + b" APPEND INBOX" + rest + b"\r\n")
            while not (line := session.readline()).startswith(tag):
                assert line, "the server closed"
            assert line.startswith(tag + b" OK"), line
            session.tagged_commands.pop(tag, None)


def fill_maildir(account, path):
    box = mailbox.Maildir(path)
    for n in range(HALF):
        box.add(numbered(account, "near", n).replace(b"\r\n", b"\n"))


def on_server(server, account):
    """{subject: letters of flags} of INBOX."""
    found = {}
    with imap(server, account) as session:
        count = int(ok(session.select("INBOX", readonly=True))[0])
        if not count:
            return found
        data = ok(session.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        flags = None
        for part in data:
            if isinstance(part, tuple):
                flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])
                subject = part[1].decode().partition(":")[2].strip()
                assert subject not in found, f"{subject} is there twice"
                found[subject] = letters(flags[1].decode().split())
    return found


def letters(flags):
    return "".join(sorted(FLAGS[f] for f in flags if f in FLAGS))


def in_maildir(path):
    found = {}
    for m in mailbox.Maildir(path, create=False):
        assert m["Subject"] not in found, f"{m['Subject']} is there twice"
        found[m["Subject"]] = "".join(sorted(set(m.get_flags()) & set("RFSDT")))
    return found


def change_server(server, account):
    """Deletes, flags, adds; what they were, by subject."""
    gone = [f"near {n:05}" for n in range(0, CHANGED)]
    marked = [f"far {n:05}" for n in range(CHANGED, 2 * CHANGED)]
    with imap(server, account) as session:
        ok(session.select("INBOX"))
        data = ok(session.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        uids = {p[1].decode().partition(":")[2].strip(): re.search(rb"UID (\d+)", p[0])[1].decode() for p in data if isinstance(p, tuple)}
        ok(session.uid("STORE", ",".join(uids[s] for s in marked), "+FLAGS.SILENT", r"(\Flagged \Seen)"))
        ok(session.uid("STORE", ",".join(uids[s] for s in gone), "+FLAGS.SILENT", r"(\Deleted)"))
        ok(session.expunge())
        for n in range(CHANGED):
            ok(session.append("INBOX", None, None, numbered(account, "new far", n)))
    return gone, marked


def change_maildir(account, path):
    box = mailbox.Maildir(path, create=False)
    gone = {f"far {n:05}" for n in range(0, CHANGED)}
    marked = {f"near {n:05}" for n in range(CHANGED, 2 * CHANGED)}
    for key, m in list(box.items()):
        if m["Subject"] in gone:
            box.remove(key)
        elif m["Subject"] in marked:
            m.set_subdir("cur")
            m.set_flags("FRS")
            box[key] = m
    for n in range(CHANGED):
        box.add(numbered(account, "new near", n).replace(b"\r\n", b"\n"))
    return gone, marked


def run(server, account, path, synchronise):
    """SYNCHRONISE() makes INBOX and the Maildir PATH equal: at first, after changes on both sides, and again without any."""
    fill_server(server, account)
    fill_maildir(account, path)
    synchronise()
    far, near = on_server(server, account), in_maildir(path)
    assert len(far) == 2 * HALF
    assert far == near
    gone_far, marked_far = change_server(server, account)
    gone_near, marked_near = change_maildir(account, path)
    synchronise()
    far, near = on_server(server, account), in_maildir(path)
    assert len(far) == 2 * HALF
    assert not set(far) & {*gone_far, *gone_near}
    assert all(far[s] == "FS" for s in marked_far) and all(far[s] == "FRS" for s in marked_near)
    assert far == near
    synchronise()
    assert on_server(server, account) == far and in_maildir(path) == far
