"""mbsync (isync): a mailbox and its local copy become equal, in both directions."""

import mailbox

import two_way
from helpers import client, deliver, imap, letter, ok, subjects


def mbsync(server, account, scratch):
    local = scratch / "mail"
    local.mkdir(exist_ok=True)
    settings = scratch / "mbsyncrc"
    settings.write_text(f"""
FSync no

IMAPAccount valise
Host localhost
Port {server.ports['imaps']}
User {account.address}
Pass "{account.password}"
SSLType IMAPS
CertificateFile {server.ca()}

IMAPStore far
Account valise

MaildirStore near
Path {local}/
Inbox {local}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")
    done = client("mbsync", "--config", settings, "--all", timeout=1200)
    assert done.returncode == 0, done.stdout
    return local


def test_two_way(server, account, scratch):
    letters = [letter(account.address) for _ in range(3)]
    for message, _ in letters:
        deliver(server, account.address, message)
    local = mbsync(server, account, scratch)
    box = mailbox.Maildir(local / "INBOX", create=False)
    assert sorted(m["Subject"] for m in box) == sorted(s for _, s in letters)

    # here: one deleted, one new; there: one flagged
    victim = next(k for k, m in box.items() if m["Subject"] == letters[0][1])
    box.remove(victim)
    added, added_subject = letter(account.address)
    box.add(added.replace(b"\r\n", b"\n"))
    with imap(server, account) as session:
        ok(session.select("INBOX"))
        number = subjects(session).index(letters[1][1]) + 1
        ok(session.select("INBOX"))
        ok(session.store(str(number), "+FLAGS.SILENT", r"(\Flagged)"))
    mbsync(server, account, scratch)
    with imap(server, account) as session:
        assert sorted(subjects(session)) == sorted([letters[1][1], letters[2][1], added_subject])
    box = mailbox.Maildir(local / "INBOX", create=False)
    flagged = [m["Subject"] for m in box if "F" in m.get_flags()]
    assert flagged == [letters[1][1]]


def test_folders(server, account, scratch):
    with imap(server, account) as session:
        ok(session.create('"Projet R&AOk-seaux"'))
        ok(session.append('"Projet R&AOk-seaux"', None, None, letter(account.address, "dans le dossier")[0]))
    local = mbsync(server, account, scratch)
    (local / "Nouveau" / "cur").mkdir(parents=True)
    (local / "Nouveau" / "new").mkdir()
    (local / "Nouveau" / "tmp").mkdir()
    mailbox.Maildir(local / "Nouveau").add(letter(account.address, "venu d'ici")[0].replace(b"\r\n", b"\n"))
    folders = [p.name for p in local.iterdir()]
    assert any(name.startswith("Projet R") for name in folders), folders
    mbsync(server, account, scratch)
    with imap(server, account) as session:
        assert subjects(session, "Nouveau") == ["venu d'ici"]


def test_second_run_changes_nothing(server, account, scratch):
    deliver(server, account.address, letter(account.address)[0])
    local = mbsync(server, account, scratch)
    before = sorted(str(p) for p in local.rglob("*"))
    mbsync(server, account, scratch)
    assert sorted(str(p) for p in local.rglob("*")) == before


def test_two_way_over_5000(server, account, scratch):
    (scratch / "mail").mkdir()
    two_way.run(server, account, scratch / "mail" / "INBOX", lambda: mbsync(server, account, scratch))
