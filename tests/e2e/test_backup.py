"""valise backup and restore: consistent while mail comes in, small the second time, whole when it comes back, one account or mailbox into a running server."""

import json
import os
import secrets
import shutil
import subprocess
import tarfile
import threading

import pytest

import harness
from helpers import deliver, imap, letter, ok, subjects
from test_archive import content, fill


def run(lab, *args, **options):
    return lab.run(*args, "--dir", str(lab.dir), **options)


def second(lab, directory):
    """A server on DIRECTORY with the users of LAB."""
    other = harness.Valise(directory)
    other.accounts = lab.accounts
    return other


def wait_for_another_second(target):
    """Generations are named by the second."""
    names = sorted(p.name for p in target.iterdir())
    harness.wait_until(lambda: subprocess.run(["date", "-u", "+%Y%m%dT%H%M%SZ"], capture_output=True, text=True).stdout.strip() > names[-1], 5, "a second")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_whole(lab, alice, scratch, running):
    lab.start()
    fill(lab, alice)
    message, _ = letter(alice.address, body="".join(secrets.token_hex(400) + "\r\n" for _ in range(400)))
    deliver(lab, alice.address, message)
    before = content(lab, alice)
    if not running:
        assert lab.stop() == 0
    first = json.loads(run(lab, "backup", str(scratch / "b"), "--json").stdout)
    assert first["copied-bytes"] > 200000 and first["shared-bytes"] == 0
    wait_for_another_second(scratch / "b")
    again = json.loads(run(lab, "backup", str(scratch / "b"), "--json").stdout)
    assert again["shared-bytes"] > again["copied-bytes"]
    assert not [name for name in os.listdir(lab.dir / "spool") if name.startswith("backup-")]
    if running:
        assert lab.stop() == 0
    other = second(lab, scratch / "restored")
    other.run("restore", str(scratch / "b"), "--dir", str(other.dir))
    assert run(other, "check", "--deep").returncode == 0
    other.start()
    assert content(other, alice) == before
    assert other.stop() == 0
    assert run(lab, "restore", str(scratch / "b"), check=False).returncode == 73


def test_consistent_while_mail_comes_in(lab, alice, scratch):
    lab.start()
    stop = threading.Event()
    sent = []

    def send():
        while not stop.is_set():
            message, subject = letter(alice.address, body="x" * 3000 + "\r\n")
            deliver(lab, alice.address, message)
            sent.append(subject)

    sender = threading.Thread(target=send)
    sender.start()
    harness.wait_until(lambda: len(sent) > 5, 20, "some mail")
    durable = list(sent)
    run(lab, "backup", str(scratch / "b"))
    stop.set()
    sender.join()
    assert lab.stop() == 0
    other = second(lab, scratch / "restored")
    other.run("restore", str(scratch / "b"), "--dir", str(other.dir))
    assert run(other, "check", "--deep").returncode == 0
    other.start()
    with imap(other, alice) as session:
        found = subjects(session)
    assert found == sent[:len(found)] and len(found) >= len(durable)
    assert other.stop() == 0


def test_account_and_mailbox_into_a_running_server(lab, alice, bob, scratch):
    lab.start()
    fill(lab, alice)
    before = content(lab, alice)
    run(lab, "backup", str(scratch / "b"))
    with imap(lab, alice) as session:
        for folder in ("INBOX", "Sent"):
            ok(session.select(f'"{folder}"'))
            ok(session.store("1:*", "+FLAGS", "(\\Deleted)"))
            ok(session.expunge())
        ok(session.delete('"Work/2026.q1"'))
    done = json.loads(run(lab, "restore", str(scratch / "b"), "--account", alice.address, "--mailbox", "Sent", "--json").stdout)
    assert (done["added"], done["skipped"]) == (3, 0)
    now = content(lab, alice)
    assert now["Sent"] == before["Sent"] and now["INBOX"] == []
    done = json.loads(run(lab, "restore", str(scratch / "b"), "--account", alice.address, "--json").stdout)
    assert (done["added"], done["skipped"]) == (6, 6)
    assert content(lab, alice) == before
    run(lab, "restore", str(scratch / "b"), "--account", alice.address, "--into", bob.address)
    assert content(lab, bob) == before
    assert run(lab, "restore", str(scratch / "b"), "--account", "nobody@mondomaine.fr", check=False).returncode == 67
    assert run(lab, "restore", str(scratch / "b"), "--account", alice.address, "--mailbox", "None", check=False).returncode == 67
    assert lab.check().returncode == 0
    assert lab.stop() == 0
    assert sorted(os.listdir(scratch / "b"))[0].endswith("Z") and len(os.listdir(scratch / "b")) == 1
    other = second(lab, scratch / "restored")
    other.run("restore", str(scratch / "b"), "--dir", str(other.dir))
    assert run(other, "check", "--deep").returncode == 0, "restoring an account left the backup as it was"


def test_stream(lab, alice, scratch):
    lab.start()
    fill(lab, alice)
    before = content(lab, alice)
    with open(scratch / "b.tar", "wb") as out:
        subprocess.run([lab.program, "backup", "-", "--dir", str(lab.dir)], stdout=out, check=True, timeout=60)
    assert lab.stop() == 0
    subprocess.run(["tar", "-C", str(scratch), "-xf", str(scratch / "b.tar")], check=True)
    with tarfile.open(scratch / "b.tar") as tar:
        root = tar.getnames()[0].split("/")[0]
    other = second(lab, scratch / "restored")
    other.run("restore", str(scratch / root), "--dir", str(other.dir))
    assert run(other, "check", "--deep").returncode == 0
    other.start()
    assert content(other, alice) == before
    assert other.stop() == 0


def test_damage_is_found(lab, alice, scratch):
    run(lab, "backup", str(scratch / "b"))
    generation = next((scratch / "b").iterdir())
    victim = max((generation / "files" / "store").iterdir(), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    done = lab.run("restore", str(generation), "--dir", str(scratch / "restored"), check=False)
    assert done.returncode == 65 and victim.name in done.stderr
    assert not (scratch / "restored").exists()
    shutil.rmtree(generation)
    assert lab.run("restore", str(scratch / "b"), "--dir", str(scratch / "restored"), check=False).returncode == 67
