"""A full disk: mail is refused for now, what is there can be read, and all goes on when there is room, without a restart. Its owners can empty it, by an
ordinary mail program, and administrators can do what does not wait."""

import base64
import json
import os
import shutil
import smtplib
import subprocess

import pytest

import harness
from helpers import Account, deliver, imap, letter, ok, subjects

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system takes root")
SIZE = 128 * 1024 * 1024


@pytest.fixture
def small():
    """A lab on a file system of its own."""
    directory = harness.make_directory()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", directory], check=False).returncode != 0:
        shutil.rmtree(directory)
        pytest.skip("a tmpfs cannot be mounted here")
    own = harness.Valise(directory / "lab")
    own.log_path = directory.with_name(directory.name + ".log")     # the log is not what fills the disk
    try:
        yield own.init().start()
    finally:
        if own.process:
            own.kill()
        subprocess.run(["umount", "-l", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)
        own.log_path.unlink(missing_ok=True)


def fill(directory, leave):
    """Takes all room but LEAVE bytes."""
    ballast = directory.parent / "ballast"
    free = os.statvfs(directory)
    with open(ballast, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize - leave)
    return ballast


def refusal(small, alice, message):
    """(code, text) of a delivery that has to be refused for now; None when it is taken."""
    try:
        deliver(small, alice.address, message)
    except smtplib.SMTPDataError as e:
        return e.smtp_code, e.smtp_error
    except (smtplib.SMTPSenderRefused,) as e:
        return e.smtp_code, e.smtp_error
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))
    return None


def taken(small, alice):
    return refusal(small, alice, letter(alice.address, "de nouveau")[0]) is None


@pytest.mark.parametrize("leave", [0, 24 * 1024 * 1024], ids=["at-once", "while-mail-comes-in"])
def test_full_and_free_again(small, leave):
    address = f"alice@{harness.DOMAIN}"
    alice = Account(address, small.accounts[address])
    kept = [letter(address) for _ in range(3)]
    for message, _ in kept:
        deliver(small, address, message)
    ballast = fill(small.dir, leave)
    large, _ = letter(address, "grand", body=base64.encodebytes(os.urandom(750_000)).decode().replace("\n", "\r\n"))
    accepted, answer = 0, None
    while answer is None and accepted < 60:
        answer = refusal(small, alice, large)
        accepted += answer is None
    assert answer is not None and answer[0] == 452 and answer[1].startswith(b"4.3.1"), answer

    with imap(small, alice) as session:
        status, data = session.append("INBOX", None, None, large)
        assert status == "NO" and b"UNAVAILABLE" in data[0].upper() or b"OVERQUOTA" in data[0].upper(), data
        have = subjects(session)
        assert have[:3] == [subject for _, subject in kept] and have.count("grand") == accepted
        ok(session.select("INBOX", readonly=True))
        assert ok(session.fetch("1", "(BODY.PEEK[])"))[0][1].endswith(kept[0][0])

    pid, roles = small.process.pid, sorted(small.roles())
    ballast.unlink()
    harness.wait_until(lambda: taken(small, alice), 30, "mail is taken again when there is room")
    assert small.process.pid == pid and sorted(small.roles()) == roles, "nothing was restarted"
    with imap(small, alice) as session:
        ok(session.append("INBOX", None, None, letter(address, "par APPEND")[0]))
        have = subjects(session)
        assert have[:3] == [subject for _, subject in kept] and have[-1] == "par APPEND" and have.count("grand") == accepted
    assert small.check().returncode == 0
    assert small.stop() == 0


def test_emptied_by_a_mail_program(small):
    """Nothing but the mail goes: space comes back at once, not after a grace time."""
    address = f"alice@{harness.DOMAIN}"
    alice = Account(address, small.accounts[address])
    bob = Account(f"bob@{harness.DOMAIN}", small.accounts[f"bob@{harness.DOMAIN}"])
    with imap(small, alice) as session:
        ok(session.create("Projets"))
    large, _ = letter(address, "grand", body=base64.encodebytes(os.urandom(750_000)).decode().replace("\n", "\r\n"))
    for _ in range(4):
        deliver(small, bob.address, large)
    here = ["--dir", str(small.dir)]
    issued = json.loads(small.run("cert", "issue", "--user", address, "--p12", str(small.dir / "alice.p12"), "--generate", "--json", *here).stdout)
    fill(small.dir, 28 * 1024 * 1024)
    with imap(small, alice) as session:
        ok(session.append("Projets", None, None, large))
    accepted, answer = 0, None
    while answer is None and accepted < 60:
        answer = refusal(small, alice, large)
        accepted += answer is None
    assert answer is not None and answer[0] == 452, answer
    assert accepted >= 4, accepted

    small.run("user", "quota", address, "--storage", "100M", *here)
    small.run("user", "passwd", bob.address, "--password-stdin", *here, input="un autre secret de Bob\n")
    small.run("user", "disable", bob.address, *here)
    small.run("cert", "revoke", issued["serial"], *here)
    with imap(small, alice) as session:
        ok(session.select("INBOX"))
        assert session.append("INBOX", None, None, large)[0] == "NO"
        small.run("user", "remove", bob.address, *here)
        ok(session.copy("1", "Trash"))                          # as programs do that do not know MOVE
        ok(session.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
        ok(session.expunge())
        ok(session.uid("MOVE", "1:*", "Trash"))
        ok(session.delete("Projets"))
        ok(session.select("Trash"))
        ok(session.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
        ok(session.expunge())
    harness.wait_until(lambda: refusal(small, alice, large) is None, 60, "mail is taken again when mail was deleted")
    with imap(small, alice) as session:
        ok(session.append("INBOX", None, None, large))
    assert small.check().returncode == 0
    assert small.stop() == 0
