"""aerc: lists, reads, writes, moves and flags on a terminal."""

import pytest

from harness import wait_until
from helpers import deliver, imap, letter, ok, subjects, wait_for_mail
from terminal import Terminal


@pytest.fixture
def aerc(server, account, scratch):
    config = scratch / ".config" / "aerc"
    config.mkdir(parents=True)
    user = account.address.replace("@", "%40")
    accounts = config / "accounts.conf"
    accounts.write_text(f"""
[valise]
source = imaps://{user}:{account.password}@localhost:{server.ports['imaps']}
outgoing = smtps://{user}:{account.password}@localhost:{server.ports['smtps']}
from = Essai <{account.address}>
copy-to = Sent
default = INBOX
cache-headers = false
""")
    accounts.chmod(0o600)
    (config / "aerc.conf").write_text("[compose]\neditor=/bin/true\n[filters]\ntext/plain=cat\n[viewer]\npager=cat\n[ui]\nsidebar-width=20\n")
    environment = {"HOME": scratch, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SSL_CERT_FILE": server.ca(), "USER": "essai",
                   "XDG_CACHE_HOME": scratch / "cache", "XDG_RUNTIME_DIR": scratch, "XDG_DATA_HOME": scratch / "data"}
    terminals = []

    def start(shows):
        terminal = Terminal(["aerc"], environment, scratch)
        terminals.append(terminal)
        terminal.wait(shows)
        return terminal
    yield start
    for terminal in terminals:
        terminal.close()


def test_list_and_read(server, account, aerc):
    deliver(server, account.address, letter(account.address, "=?utf-8?q?R=C3=A9union?=", body="Ordre du jour.\r\n")[0])
    terminal = aerc("Réunion")
    terminal.keys("Enter")
    terminal.wait("Ordre du jour.")


def test_new_mail_is_announced(server, account, aerc):
    message, subject = letter(account.address)
    terminal = aerc("INBOX")
    deliver(server, account.address, message)
    terminal.wait(subject)


def test_send(server, account, other, aerc):
    terminal = aerc("INBOX")
    terminal.type(f":compose -H 'To: {other.address}' -H 'Subject: d aerc' 'Bonjour d aerc.'")
    terminal.keys("Enter")
    terminal.wait("Send this email?")
    terminal.type("y")
    assert b"Bonjour d aerc." in wait_for_mail(server, other, "d aerc", seconds=20)
    wait_for_mail(server, account, "d aerc", "Sent", seconds=20)


def test_move_flag_and_delete(server, account, aerc):
    with imap(server, account) as session:
        ok(session.create("Rangement"))
        for subject in ("un", "deux"):
            ok(session.append("INBOX", None, None, letter(account.address, f"lettre {subject}")[0]))
    terminal = aerc("lettre deux")
    terminal.type(":flag")
    terminal.keys("Enter")
    with imap(server, account) as session:
        ok(session.select("INBOX", readonly=True))
        wait_until(lambda: rb"\Flagged" in b"".join(ok(session.fetch("1:*", "(FLAGS)"))), 20, "a flag")
    terminal.type(":move Rangement")
    terminal.keys("Enter")
    with imap(server, account) as session:
        wait_until(lambda: len(subjects(session, "Rangement")) == 1 and len(subjects(session)) == 1, 20, "one is moved")
    terminal.type(":delete")
    terminal.keys("Enter")
    with imap(server, account) as session:
        wait_until(lambda: not subjects(session), 20, "the other is deleted")
