"""A store of the first format: what `valise upgrade` tells of it, how a server brings it up by itself, and that every message and login survives."""

import hashlib
import json
import os
import subprocess

import pytest

import harness
from helpers import Account, deliver, imap, letter, subjects
from test_archive import content


@pytest.fixture
def old(scratch):
    """tests/data/store-1.tar.xz, made by the program before formats were counted."""
    subprocess.run(["tar", "-C", str(scratch), "-xf", str(harness.ROOT / "tests/data/store-1.tar.xz"), "--no-same-owner"], check=True)
    directory = scratch / "old"
    server = harness.Valise(directory)
    server.adopt()
    server.expected = json.loads((directory / "expected.json").read_text())
    yield server
    if server.process:
        server.kill()


def upgrade(server, *options):
    return json.loads(server.run("upgrade", "--dir", str(server.dir), "--json", *options).stdout)


def test_dry_run_tells_and_does_nothing(old):
    text = old.run("upgrade", "--dry-run", "--dir", str(old.dir)).stdout
    assert "format 1, would become 4" in text and "no way back but a backup" in text and "space needed: 1024 KiB" in text and "valise.conf" in text
    for _ in range(2):
        plan = upgrade(old, "--dry-run")
        assert (plan["from"], plan["to"], len(plan["steps"])) == (1, 4, 3)
    assert "format 1, became 4" in old.run("upgrade", "--dir", str(old.dir)).stdout
    assert "format 4, nothing to do" in old.run("upgrade", "--dry-run", "--dir", str(old.dir)).stdout
    assert upgrade(old)["steps"] == []
    assert old.run("check", "--deep", "--dir", str(old.dir)).returncode == 0


def test_the_server_brings_it_up_and_all_is_there(old):
    old.start()
    assert "event=store-upgraded" in old.log() and "format=2" in old.log() and "format=3" in old.log() and "format=4" in old.log()
    alice = Account(f"alice@{harness.DOMAIN}", old.expected["password"])
    # bob's password is in the file that the lab keeps for people; a new one does as well
    old.run("user", "passwd", f"bob@{harness.DOMAIN}", "--password-stdin", "--dir", str(old.dir), input="Quatre.Vingt.Dix9\n")
    for account in (alice, Account(f"bob@{harness.DOMAIN}", "Quatre.Vingt.Dix9")):
        found = {name: [[sorted(f.decode() for f in flags), date.decode(), hashlib.sha256(body).hexdigest()] for flags, date, body in letters]
                 for name, letters in content(old, account).items()}
        assert found == old.expected["content"][account.address]
    with imap(old, Account(alice.address, old.expected["app-password"])) as session:
        assert session.noop()[0] == "OK"
    message, subject = letter("info@example.net")
    deliver(old, "info@example.net", message)
    with imap(old, alice) as session:
        assert subject in subjects(session)
    users = {u["address"]: u["enabled"] for u in json.loads(old.run("user", "list", "--dir", str(old.dir), "--json").stdout)["users"]}
    assert users[f"marie@{harness.DOMAIN}"] is False and users[alice.address] is True
    # The certificate of its `init', which was not on record then, is so soon.
    def certificates():
        return json.loads(old.run("cert", "list", "--dir", str(old.dir), "--json").stdout)["certificates"]

    harness.wait_until(lambda: len(certificates()) == 2, 60, "the server's certificate is on record")
    assert sum(harness.HOSTNAME in c["names"] for c in certificates()) == 1
    assert upgrade(old)["steps"] == []
    assert old.stop() == 0
    assert old.run("check", "--deep", "--dir", str(old.dir)).returncode == 0


def test_a_new_store_is_of_the_present_format(lab):
    assert upgrade(lab, "--dry-run")["steps"] == []


def test_a_configuration_of_a_newer_program(lab):
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace("version = 1", "version = 2"))
    lab.start(wait=0)
    assert lab.process.wait(30) == 78
    lab.process = None
    assert "newer valise" in lab.log() and "version 2" in lab.log()
