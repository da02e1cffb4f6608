"""What a limit of descriptors leaves room for: idle connections never get at those of the store, the control socket and deliveries."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
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


def role(lab, name):
    """What status says of the role NAME."""
    return next(r for r in status(lab)["roles"] if r["name"] == name)


def set_limit(role, limit):
    """The limit of a process that runs; the hard one stays, so that it can be raised again. As its own user: root may lack CAP_SYS_RESOURCE."""
    text = Path(f"/proc/{role['pid']}/status").read_text()
    own = {key: int(re.search(rf"^{name}:\t(\d+)", text, re.M)[1]) for key, name in (("user", "Uid"), ("group", "Gid"))} if os.geteuid() == 0 else {}
    subprocess.run(["prlimit", f"--pid={role['pid']}", f"--nofile={limit}:"], check=True, **own)


@contextlib.contextmanager
def run_out(lab, name):
    """The role NAME has all descriptors open that it may, and its limit back afterwards. Status says so and what to do, at every moment."""
    before = role(lab, name)
    set_limit(before, before["descriptors"] - 1)
    try:
        for _ in range(3):
            now = status(lab)
            told = [c for c in now["concerns"] if c.startswith(f"{name} (pid {before['pid']}) has ")]
            assert told and f" of its {before['descriptors'] - 1} descriptors open" in told[0] and "LimitNOFILE=" in told[0]
        yield
        assert status(lab)["version"]
    finally:
        set_limit(before, before["descriptors-max"])
    assert not [c for c in status(lab)["concerns"] if "descriptors open" in c]


def answered_later(lab, listener, stack):
    """Connects until nobody is accepted there any more (what is open may have higher numbers than the limit); the one that waits in the queue."""
    for _ in range(200):
        s = stack.enter_context(socket.create_connection(("127.0.0.1", lab.ports[listener]), timeout=30))
        failed = lambda: re.search(rf"event=accept-failed listener={listener} .*errno=24", lab.log())
        harness.wait_until(lambda: select.select([s], [], [], 0)[0] or failed(), 20, "an answer, or accept fails")
        if not select.select([s], [], [], 0)[0]:
            return s
    raise AssertionError("all were accepted")


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


def test_a_front_without_descriptors(lab, alice):
    """Who is there sends on, who comes waits, and is served when there are some again."""
    limited(lab, 1024, 1024)
    lab.start()
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)  # a lane to core is open
    with Dialogue(lab.ports["smtp"]) as mx, contextlib.ExitStack() as stack:
        assert select.select([mx.socket], [], [], 30)[0]  # accepted
        with run_out(lab, "mx"):
            late = answered_later(lab, "smtp", stack)
            transaction(mx, alice.address)
            mx.send("Subject: without\r\n\r\nsmall\r\n.\r\n")
            assert mx.reply()[0] == 250
        assert late.recv(512).startswith(b"220 ")
    wait_for_mail(lab, alice, "without")
    wait_for_mail(lab, alice, subject)
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    assert lab.stop() == 0


def test_a_store_without_descriptors(lab, alice):
    """The administrator is answered by the one that is kept for him, mail is taken, sessions go on."""
    limited(lab, 1024, 1024)
    lab.start()
    with Dialogue(lab.ports["smtp"]) as mx, Dialogue(lab.ports["imap"]) as core, contextlib.ExitStack() as stack:
        core.line()
        assert select.select([mx.socket], [], [], 30)[0]  # accepted
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        with run_out(lab, "core"):
            late = answered_later(lab, "imap", stack)
            transaction(mx, alice.address)
            mx.send("Subject: without\r\n\r\nsmall\r\n.\r\n")
            assert mx.reply()[0] == 250
            assert core.imap("NOOP")[0].startswith("OK")
            lab.run("user", "list", "--dir", str(lab.dir))
        assert late.recv(512).startswith(b"* OK")
    wait_for_mail(lab, alice, "without")
    wait_for_mail(lab, alice, subject)
    assert lab.check().returncode == 0 and lab.stop() == 0


def test_a_keeper_without_descriptors(lab, alice):
    """It opens none to sign a handshake and to look at a password."""
    limited(lab, 1024, 1024)
    lab.start()
    with run_out(lab, "keeper"):
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        wait_for_mail(lab, alice, subject)  # TLS and a login
    assert lab.stop() == 0


def test_a_supervisor_without_descriptors(lab, alice):
    """It reads no configuration then, says why, and the old one stays; a role that dies meanwhile is back when there are some again."""
    limited(lab, 1024, 1024)
    lab.start()
    with run_out(lab, "supervisor"):
        done = lab.run("reload", "--dir", str(lab.dir), check=False)
        assert done.returncode != 0 and "Too many open files" in done.stderr, done
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        wait_for_mail(lab, alice, subject)
        mx = role(lab, "mx")
        os.kill(mx["pid"], signal.SIGKILL)
        harness.wait_until(lambda: role(lab, "mx")["pid"] == 0, 20, "mx has ended")
        assert any(c.startswith("mx does not run") for c in status(lab)["concerns"])
    harness.wait_until(lambda: role(lab, "mx")["pid"], 40, "mx is started again")
    lab.run("reload", "--dir", str(lab.dir))
    lab.wait()
    assert lab.stop() == 0


def test_metrics_tell_what_is_used(lab):
    limited(lab, 1024, 2000)
    lab.start()
    def numbers(name):
        return dict(re.findall(rf'^{name}{{process="([a-z0-9-]+)"}} (\d+)$', lab.run("metrics", "--dir", str(lab.dir)).stdout, re.M))
    assert numbers("valise_role_descriptors_max") == dict.fromkeys(("supervisor", "keeper", "mx-0", "core"), "2000")
    before = numbers("valise_role_descriptors")
    with idle(lab, "smtp", 100):
        during = numbers("valise_role_descriptors")
    assert int(during["mx-0"]) >= int(before["mx-0"]) + 90
    if harness.SEES_DESCRIPTORS:
        assert {r["name"]: r["descriptors"] for r in status(lab)["roles"] if r["name"] in ("keeper", "supervisor")} == \
            {r["name"]: harness.descriptors(r["pid"]) for r in status(lab)["roles"] if r["name"] in ("keeper", "supervisor")}
    assert lab.stop() == 0


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
