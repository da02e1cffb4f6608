"""alpine: reads, sends, files and deletes on a terminal."""

import pytest

from helpers import deliver, imap, letter, ok, subjects, wait_for_mail
from harness import wait_until
from terminal import Terminal


@pytest.fixture
def alpine(server, account, scratch):
    """Starts alpine and logs in; returns its terminal, showing INBOX."""
    far = f"{{localhost:{server.ports['imaps']}/ssl/user={account.address}}}"
    (scratch / "pinerc").write_text(f"""
personal-name=Essai
user-domain=mondomaine.fr
customized-hdrs=From: {account.address}
smtp-server=localhost:{server.ports['smtps']}/ssl/user={account.address}
inbox-path={far}INBOX
folder-collections=Courrier {far}[]
default-fcc={far}Sent
default-saved-msg-folder=Rangement
feature-list=quit-without-confirm,allow-changing-from,expunge-without-confirm,disable-password-caching,disable-password-file-saving
last-version-used=6.26
""")
    environment = {"HOME": scratch, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SSL_CERT_FILE": server.ca(), "USER": "essai"}
    terminals = []

    def start():
        terminal = Terminal(["alpine", "-p", scratch / "pinerc", "-i"], environment, scratch)
        terminals.append(terminal)
        terminal.wait("ENTER PASSWORD")
        terminal.type(account.password)
        terminal.keys("Enter")
        terminal.wait("Folder: INBOX")
        return terminal
    yield start
    for terminal in terminals:
        terminal.close()


def test_read(server, account, alpine):
    message, subject = letter(account.address, "=?utf-8?q?R=C3=A9union?=", body="Ordre du jour.\r\n")
    deliver(server, account.address, message)
    terminal = alpine()
    terminal.wait("Réunion")
    terminal.keys("Enter")
    terminal.wait("Ordre du jour.")
    with imap(server, account) as session:
        ok(session.select("INBOX", readonly=True))
        wait_until(lambda: rb"\Seen" in ok(session.fetch("1", "(FLAGS)"))[0], 20, "the message is read")


def test_send(server, account, other, alpine):
    terminal = alpine()
    terminal.type("c")
    terminal.wait("COMPOSE MESSAGE")
    terminal.type(other.address)
    terminal.keys("Enter", "Enter", "Enter")
    terminal.type("d'alpine")
    terminal.keys("Enter")
    terminal.type("Bonjour d'alpine.")
    terminal.keys("C-x")
    terminal.wait("Send message?")
    terminal.type("y")
    terminal.wait("ENTER PASSWORD")
    terminal.type(account.password)
    terminal.keys("Enter")
    terminal.wait("Message sent")
    assert b"Bonjour d'alpine." in wait_for_mail(server, other, "d'alpine")
    assert b"Bonjour d'alpine." in wait_for_mail(server, account, "d'alpine", "Sent")


def test_save_and_delete(server, account, alpine):
    for subject in ("premier", "dernier"):
        deliver(server, account.address, letter(account.address, subject)[0])
    with imap(server, account) as session:
        ok(session.create("Rangement"))
    terminal = alpine()
    terminal.wait("dernier")
    terminal.keys("Home")
    terminal.type("s")
    terminal.wait("SAVE")
    terminal.keys("Enter")
    terminal.wait(" DEL ")                  # what was saved is marked deleted; how that is said depends on how long it took
    terminal.type("x")
    terminal.wait("xpunged")
    with imap(server, account) as session:
        left, kept = subjects(session), subjects(session, "Rangement")
    assert len(kept) == 1 and sorted(left + kept) == ["dernier", "premier"]
