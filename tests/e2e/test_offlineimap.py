"""OfflineIMAP: a mailbox of 5 000 and its Maildir become equal, in both directions."""

import pytest

import two_way
from helpers import client, imap, letter, ok, subjects


@pytest.fixture
def offlineimap(server, account, scratch):
    settings = scratch / "offlineimaprc"
    settings.write_text(f"""
[general]
accounts = valise
metadata = {scratch}/metadata
socktimeout = 60
fsync = no
[Account valise]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {scratch}/mail
sep = /
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.ports['imaps']}
ssl = yes
sslcacertfile = {server.ca()}
remoteuser = {account.address}
remotepass = {account.password}
maxconnections = 3
expunge = yes
""")

    def run():
        done = client("offlineimap", "-c", settings, "-o", "-u", "basic", env={"HOME": str(scratch), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                      timeout=1200)
        assert done.returncode == 0 and "ERROR" not in done.stdout, done.stdout[-3000:]
        return scratch / "mail"
    return run


def test_two_way_over_5000(server, account, scratch, offlineimap):
    (scratch / "mail").mkdir()
    two_way.run(server, account, scratch / "mail" / "INBOX", offlineimap)


def test_folders(server, account, scratch, offlineimap):
    with imap(server, account) as session:
        ok(session.create('"Projet R&AOk-seaux"'))
        ok(session.append('"Projet R&AOk-seaux"', None, None, letter(account.address, "dans le dossier")[0]))
    local = offlineimap()
    for part in ("cur", "new", "tmp"):
        (local / "Nouveau" / part).mkdir(parents=True)
    (local / "Nouveau" / "new" / "1.1.localhost").write_bytes(letter(account.address, "venu d'ici")[0].replace(b"\r\n", b"\n"))
    offlineimap()
    with imap(server, account) as session:
        assert subjects(session, "Nouveau") == ["venu d'ici"]
