"""Sylpheed in a window of a display that nobody sees: fetches, counts, writes and sends."""

import os
import subprocess

import pytest

from harness import wait_until
from helpers import client, deliver, letter, wait_for_mail

FOLDERS = """<?xml version="1.0" encoding="UTF-8"?>
<folderlist>
 <folder type="imap" name="essai" account_id="1" collapsed="0">
  <folderitem name="INBOX" type="inbox" path="INBOX" mtime="0" new="0" unread="0" total="0"/>
 </folder>
</folderlist>
"""


@pytest.fixture(scope="module")
def display():
    """The name of an X display of our own."""
    read, write = os.pipe()
    process = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"], pass_fds=[write],
                               stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as number:
        name = number.readline().strip()
    assert name, "Xvfb did not start"
    yield f":{name}"
    process.terminate()
    process.wait(30)


@pytest.fixture
def sylpheed(server, account, scratch, display):
    """Starts it for ACCOUNT; returns a function that gives commands to the running one, and the environment."""
    home = scratch / ".sylpheed-2.0"
    home.mkdir()
    (home / "accountrc").write_text(f"""[Account: 1]
account_name=essai
is_default=1
name=Essai
address={account.address}
protocol=3
receive_server=localhost
smtp_server=localhost
user_id={account.address}
password={account.password}
ssl_imap=1
ssl_smtp=1
use_smtp_auth=1
set_imapport=1
imap_port={server.ports['imaps']}
set_smtpport=1
smtp_port={server.ports['smtps']}
receive_at_get_all=1
""")
    (home / "folderlist.xml").write_text(FOLDERS)
    with open(server.ca(), "rb") as ca:
        (home / "certs.crt").write_bytes(ca.read())
    environment = {"HOME": str(scratch), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "DISPLAY": display, "TMPDIR": str(scratch)}
    log = open(scratch / "log", "wb")
    process = subprocess.Popen(["sylpheed"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def command(*args):
        done = client(*args, env=environment)
        assert done.returncode == 0, done.stdout + (scratch / "log").read_text()
        return done.stdout
    wait_until(lambda: client("xdotool", "search", "--onlyvisible", "--name", "Sylpheed", env=environment).returncode == 0, 30, "its window")
    yield command
    process.kill()      # asked to end, it would ask back
    process.wait(30)
    log.close()


def test_fetch(server, account, sylpheed):
    for _ in range(3):
        deliver(server, account.address, letter(account.address)[0])
    sylpheed("sylpheed", "--receive-all")
    # new, unread, all
    wait_until(lambda: ["3", "3", "3", "#imap/essai/INBOX"] in [line.split() for line in sylpheed("sylpheed", "--status-full").splitlines()],
               20, "three new messages")


def test_send(server, account, other, sylpheed):
    sylpheed("sylpheed", "--compose", f"mailto:{other.address}?subject=de%20sylpheed&body=Bonjour%20de%20sylpheed.")
    sylpheed("xdotool", "search", "--sync", "--onlyvisible", "--name", "Compose", "windowfocus", "--sync",
             "mousemove", "--window", "%1", "40", "45", "click", "1")     # on "Send"
    assert b"Bonjour de sylpheed." in wait_for_mail(server, other, "de sylpheed", seconds=20)
