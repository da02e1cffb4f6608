"""What a limit of descriptors leaves room for: idle connections never get at those of the store, the control socket and deliveries."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import harness
from helpers import Dialogue, deliver, letter, transaction, wait_for_mail

pytestmark = pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit (util-linux) sets the limits")


def limited(lab, soft, hard, text=""):
    lab.wrap = ["prlimit", f"--nofile={soft}:{hard}"]
    conf = lab.dir / "valise.conf"
    conf.write_text(re.sub(r"limits-exempt = .*", 'limits-exempt = {"127.0.0.0/8"}', conf.read_text()) + "\n" + text + "\n")


def status(lab):
    return json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)


def open_one(lab, listener, source):
    """A connection and the first line that it was told; empty when it was closed."""
    s = socket.create_connection(("127.0.0.1", lab.ports[listener]), timeout=30, source_address=(source, 0))
    try:
        return s, s.recv(512).decode()
    except ConnectionResetError:
        return s, ""


@contextlib.contextmanager
def idle(lab, listener, n):
    """N connections from two addresses that say nothing; how many were welcomed."""
    connections, welcomed = [], 0
    try:
        for i in range(n):
            s, line = open_one(lab, listener, f"127.0.0.{2 + i % 2}")
            connections.append(s)
            welcomed += line.startswith(("220", "* OK"))
        yield welcomed
    finally:
        for s in connections:
            s.close()


def test_two_addresses_with_idle_connections_stop_nothing(lab, alice):
    limited(lab, 1024, 1024)
    lab.start()
    with idle(lab, "imap", 400) as many, idle(lab, "smtp", 400) as more:
        assert (many, more) == (400, 400)
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        wait_for_mail(lab, alice, subject)
        assert status(lab)["descriptors"]["limit"] == 1024
    assert "accept-failed" not in lab.log() and lab.stop() == 0


@pytest.mark.parametrize("limit", [256, 1024])
def test_what_is_full_of_connections_still_works(lab, alice, limit):
    """More come than can be: some are welcomed, the others told so; who was there goes on, the store takes mail, the administrator is answered."""
    limited(lab, limit, limit)
    lab.start()
    with Dialogue(lab.ports["smtp"]) as mx, Dialogue(lab.ports["imap"]) as core:
        core.line()
        with idle(lab, "imap", limit) as many, idle(lab, "smtp", limit) as more:
            assert 20 <= many < limit and 20 <= more < limit
            assert status(lab)["store"]["writable"]
            transaction(mx, alice.address)
            mx.send("Subject: full\r\n\r\n" + ("y" * 70 + "\r\n") * 20000 + ".\r\n")  # so large that it takes a spool file
            assert mx.reply()[0] == 250
            assert core.imap("NOOP")[0].startswith("OK")
            lab.run("user", "list", "--dir", str(lab.dir))
    wait_for_mail(lab, alice, "full")
    assert "accept-failed" not in lab.log() and lab.stop() == 0


def test_the_limit_is_raised_as_far_as_it_goes(lab):
    limited(lab, 300, 4000)
    lab.start()
    seen = [re.search(r"Max open files +(\d+) +(\d+)", Path(f"/proc/{pid}/limits").read_text()).groups()
            for pid in (lab.process.pid, *lab.roles())]
    assert seen == [("4000", "4000")] * 4


def test_what_does_not_fit_is_told(lab):
    limited(lab, 1024, 1024, "connections-max = 5000")
    lab.start()
    told = "connections-max is 5000, but 1024 descriptors leave room for "
    assert told in lab.log() and any(told in c for c in status(lab)["concerns"])
    assert told in lab.run("check", "--dir", str(lab.dir)).stdout
    assert lab.stop() == 0
    done = subprocess.run(["prlimit", "--nofile=128:128", lab.program, "serve", "--dir", str(lab.dir), "--port-offset", str(harness.free_offset())],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    assert done.returncode != 0 and "128 descriptors are too few, at least " in done.stderr and "LimitNOFILE=" in done.stderr
