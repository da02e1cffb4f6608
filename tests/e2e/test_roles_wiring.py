"""Roles that die in every order and together: what is left goes on, what comes back is connected again, nothing leaks."""

import ctypes
import itertools
import json
import os
import signal
import socket
import time

import pytest

import harness
from harness import alive, wait_until
from helpers import Dialogue, deliver, imap, letter, submission, transaction, wait_for_mail

ROLES = ("keeper", "core", "mx")


def pids(lab):
    found = {}
    for pid in lab.roles():
        try:
            found[lab.role_command(pid).split()[-1]] = pid
        except OSError:     # gone meanwhile
            pass
    return found


def kill(lab, *names, wait=True):
    former = pids(lab)
    for name in names:
        os.kill(former[name], signal.SIGKILL)
    if wait:
        wait_until(lambda: all(pids(lab).get(n) not in (None, former[n]) for n in names), 30, f"{names} are started again")
        lab.wait(30)


def everything_works(lab, alice, bob):
    """Port 25, STARTTLS, submission with login, IMAP over TLS."""
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    message, subject = letter(bob.address, sender=alice.address)
    with submission(lab, alice) as smtp:
        smtp.sendmail(alice.address, [bob.address], message)
    wait_for_mail(lab, bob, subject)
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO x.example.org")
        assert d.smtp("STARTTLS")[0] == 220
        d.secure(lab)
        assert d.smtp("EHLO x.example.org")[0] == 250


def test_every_two_at_once(lab, alice, bob):
    lab.start()
    for names in itertools.permutations(ROLES, 2):
        kill(lab, *names)
        everything_works(lab, alice, bob)
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_all_at_once(lab, alice, bob):
    lab.start()
    kill(lab, *ROLES)
    everything_works(lab, alice, bob)
    assert lab.stop() == 0


@pytest.mark.parametrize("other", ["mx", "core"])
def test_start_without_keeper(lab, alice, bob, other):
    """A role that comes back while keeper is away offers TLS all the same, and has it when keeper is back."""
    lab.start()
    for _ in range(4):      # its back-off grows beyond that of the other
        kill(lab, "keeper")
    former = pids(lab)[other]
    kill(lab, "keeper", other, wait=False)
    wait_until(lambda: pids(lab).get(other) not in (None, former), 20, f"{other} is back")
    wait_until(lambda: len(pids(lab)) == 3, 30, "keeper is back")
    lab.wait(30)
    everything_works(lab, alice, bob)
    assert lab.stop() == 0


def test_mail_while_core_is_away_is_put_off(lab, alice):
    lab.start()
    for _ in range(3):
        kill(lab, "core")
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO x.example.org")
        d.smtp("MAIL FROM:<a@example.org>")
        kill(lab, "core", wait=False)
        wait_until(lambda: "core" not in pids(lab), 10, "core is gone")
        assert d.smtp(f"RCPT TO:<{alice.address}>")[0] // 100 in (2, 4), "never a refusal for good"
        lab.wait(30)
        assert d.smtp(f"RCPT TO:<{alice.address}>")[0] == 250
    assert lab.stop() == 0


@pytest.mark.skipif(not harness.SEES_DESCRIPTORS, reason="only root may look at the descriptors of roles")
def test_descriptors_do_not_grow(lab, alice, bob):
    lab.start()

    def count():
        lab.wait(30)
        return {name: harness.descriptors(pid) for name, pid in [("supervisor", lab.process.pid), *pids(lab).items()]}

    kill(lab, *ROLES)
    everything_works(lab, alice, bob)
    before = count()
    for _ in range(4):
        for name in ROLES:
            kill(lab, name)
    everything_works(lab, alice, bob)
    # An idle lane or a connection being closed may come and go.
    wait_until(lambda: all(n <= before[name] + 4 for name, n in count().items()), 20, f"as few as {before}: {count()}")
    assert lab.stop() == 0


def test_stop_during_back_off(lab):
    lab.start()
    for _ in range(5):
        kill(lab, "core", "mx")
    kill(lab, "core", wait=False)
    wait_until(lambda: "core" not in pids(lab), 10, "core is gone")
    assert lab.stop() == 0


def test_stuck_role(lab, alice, bob):
    """An mx that does not answer, as one that was taken over, keeps neither status nor a reload nor the end from coming: it is started anew."""
    lab.start()
    stuck = pids(lab)["mx"]
    os.kill(stuck, signal.SIGSTOP)
    for _ in range(2):
        assert json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["ok"]
    assert lab.run("reload", "--dir", str(lab.dir), timeout=60).returncode == 0
    lab.wait(30)
    assert pids(lab)["mx"] not in (0, stuck)
    assert lab.run("reload", "--dir", str(lab.dir)).returncode == 0
    assert lab.run("status", "--dir", str(lab.dir)).returncode == 0
    everything_works(lab, alice, bob)
    assert lab.stop() == 0


def test_stuck_keeper(lab, alice, bob):
    """A keeper that does not answer has a reload refused, and late answers are taken for no others."""
    lab.start()
    stuck = pids(lab)["keeper"]
    os.kill(stuck, signal.SIGSTOP)
    try:
        for _ in range(2):
            assert json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["ok"]
        assert "keeper" in lab.run("reload", "--dir", str(lab.dir), check=False, timeout=60).stderr
    finally:
        os.kill(stuck, signal.SIGCONT)
    lab.wait(30)
    assert lab.run("reload", "--dir", str(lab.dir)).returncode == 0
    everything_works(lab, alice, bob)
    assert lab.stop() == 0


def cut_off(pid):
    """Breaks the line between the role and its supervisor: descriptor 3 there (role/role.h)."""
    fd = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(pid), 3, 0)   # pidfd_getfd
    assert fd >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=fd) as line:
        line.shutdown(socket.SHUT_RDWR)


@pytest.mark.skipif(not harness.SEES_DESCRIPTORS, reason="only root may reach into a role")
@pytest.mark.parametrize("hung", [False, True], ids=["running", "hung"])
def test_a_role_that_is_cut_off_ends_and_is_replaced(lab, alice, bob, hung):
    """No role lives on without its line to the supervisor, not even one that hangs."""
    lab.start()
    for name in ROLES:
        former = pids(lab)[name]
        if hung:
            os.kill(former, signal.SIGSTOP)
        cut_off(former)
        wait_until(lambda: pids(lab).get(name) not in (None, former), 30, f"{name} is started anew")
        assert not alive(former)
        lab.wait(30)
    assert lab.run("reload", "--dir", str(lab.dir)).returncode == 0
    everything_works(lab, alice, bob)
    assert hung or lab.log().count("event=role-cut-off") == 3
    assert lab.stop() == 0


@pytest.mark.skipif(not harness.SEES_DESCRIPTORS, reason="only root may reach into a role")
@pytest.mark.parametrize("name", ["keeper", "mx"])
def test_a_reload_replaces_a_role_that_is_cut_off(lab, alice, bob, name):
    """It is not refused because one cannot be asked."""
    lab.start()
    former = pids(lab)[name]
    os.kill(former, signal.SIGSTOP)
    cut_off(former)
    assert lab.run("reload", "--dir", str(lab.dir), timeout=60).returncode == 0
    assert pids(lab)[name] not in (0, former)
    everything_works(lab, alice, bob)
    assert lab.stop() == 0


def test_stop_during_a_message(lab, alice):
    """Whoever is in the middle of DATA is heard out or told to come again."""
    lab.start()
    with Dialogue(lab.ports["smtp"]) as d:
        message, subject = letter(alice.address)
        transaction(d, alice.address)
        d.send(message[:40])
        lab.process.terminate()
        time.sleep(0.3)
        d.send(message[40:] + b"\r\n.\r\n")
        code = d.reply()[0]
        assert code in (250, 421), code
    assert lab.process.wait(30) == 0
    lab.process = None
    lab.start()
    with imap(lab, alice) as session:
        count = int(session.select("INBOX")[1][0])
    assert count == (1 if code == 250 else 0), "acknowledged or not, and nothing between"
    assert lab.stop() == 0


def test_second_signal_hurries(lab, alice):
    lab.start()
    with imap(lab, alice), Dialogue(lab.ports["smtp"]) as d:
        transaction(d, alice.address)
        roles = lab.roles()
        lab.process.send_signal(signal.SIGINT)
        wait_until(lambda: "event=stopping" in lab.log(), 10, "it stops")
        lab.process.send_signal(signal.SIGINT)
        assert lab.process.wait(30) == 0
        lab.process = None
        wait_until(lambda: not any(alive(pid) for pid in roles), 10, "no role is left")


def test_a_thousand_recipients(lab, alice):
    """An envelope longer than one frame between mx and core."""
    lab.start()
    domain = f"{'x' * 60}.{'y' * 60}.example.org"
    lab.run("domain", "add", domain, "--dir", str(lab.dir))
    local = "-".join(["tres-longue-adresse"] * 3)
    aliases = [f"{local}-{n}@{domain}" for n in range(10)]
    for address in aliases:
        lab.run("alias", "add", address, alice.address, "--dir", str(lab.dir))
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO x.example.org")
        assert d.smtp("MAIL FROM:<a@example.org>")[0] == 250
        for n in range(1000):
            # Upper and lower case make different recipients of one address.
            name, _, host = aliases[n % 10].partition("@")
            address = "".join(c.upper() if n >> i & 1 else c for i, c in enumerate(name)) + "@" + host
            code, lines = d.smtp(f"RCPT TO:<{address}>")
            assert code == 250, lines
        assert d.smtp("DATA")[0] == 354
        message, subject = letter(alice.address)
        d.send(message + b"\r\n.\r\n")
        code, lines = d.reply()
        assert code == 250, lines
    wait_for_mail(lab, alice, subject)
    assert lab.stop() == 0
