"""The network fails in the middle of everything: a short cut is waited out, peers that vanish without a word cost nobody anything.

In a network of its own, whose loopback can be taken down: root only."""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import time

import pytest

from harness import wait_until
from helpers import Dialogue, deliver, imap, letter, login, ok, subjects, transaction, wait_for_mail

CLONE_NEWNET = 0x40000000
TCP_REPAIR = 19
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True)
def island():
    """This thread and what it starts have a network of their own while the test runs."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip("a network of one's own takes root")
    try:
        network(True)
        yield
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def network(up):
    subprocess.run(["ip", "link", "set", "lo", "up" if up else "down"], check=True)


@contextlib.contextmanager
def cut(seconds=0.0):
    network(False)
    try:
        yield
        time.sleep(seconds)
    finally:
        network(True)


def vanish(dialogue):
    """Ends without FIN or RST, as when the machine loses its power: the other side is not told."""
    raw = dialogue.socket.detach() if hasattr(dialogue.socket, "detach") else dialogue.socket.fileno()
    with socket.socket(fileno=raw) as s:
        s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)


def large_letter(address):
    return letter(address, body=("0123456789abcdef" * 4 + "\r\n") * 120_000)


def in_body(lab, account):
    d = Dialogue(lab.ports["smtp"])
    transaction(d, account.address)
    message, subject = letter(account.address)
    d.send(message[:-20])
    return d, message[-20:], subject


def idling(lab, account):
    d = Dialogue(lab.ports["imap"])
    login(d, lab, account)
    d.imap("SELECT INBOX")
    d.send("i IDLE\r\n")
    assert d.line().startswith("+")
    return d


def fetching(lab, account, window=4096):
    """In the middle of an answer of megabytes."""
    d = Dialogue(lab.ports["imap"])
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    login(d, lab, account)
    d.imap("SELECT Archive")
    d.send("f FETCH 1 (BODY.PEEK[])\r\n")
    assert "FETCH" in d.line()
    return d


def put_large(lab, account):
    message, _ = large_letter(account.address)
    with imap(lab, account) as session:
        ok(session.append("Archive", None, None, message))
    return message


def connections(lab, port):
    """How many connections the server's side has on PORT."""
    out = subprocess.run(["ss", "-Htn", "state", "established", f"sport = :{lab.ports[port]}"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return len(out.splitlines())


def test_a_short_cut_is_waited_out(lab, alice):
    lab.start()
    message = put_large(lab, alice)
    body, rest, subject = in_body(lab, alice)
    idler, reader = idling(lab, alice), fetching(lab, alice, window=1 << 18)
    late = threading.Timer(0.5, body.send, (rest + b".\r\n",))
    with cut(1.5):
        late.start()
    late.join()
    assert body.reply()[0] == 250
    assert any("EXISTS" in idler.line() for _ in range(3))
    rest = reader.read_until(b"\r\nf OK")
    assert rest.startswith(message)
    assert subject in wait_for_mail(lab, alice, subject).decode()
    assert lab.stop() == 0


def test_peers_that_vanish_hold_nobody_up(lab, alice, bob):
    lab.start()
    put_large(lab, alice)
    letters = [in_body(lab, alice) for _ in range(20)]
    idlers = [idling(lab, alice) for _ in range(20)]
    readers = [fetching(lab, alice) for _ in range(20)]
    with cut():
        for d in [d for d, _, _ in letters] + idlers + readers:
            vanish(d)
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    # Who was told something has no peer to take it, and is gone; nothing was delivered of what was cut off.
    wait_until(lambda: connections(lab, "imap") <= len(readers), 60, "sessions that talk to nobody end")
    with imap(lab, alice) as session:
        assert subjects(session) == [subject]
    deliver(lab, bob.address, letter(bob.address, subject="autre")[0])
    wait_for_mail(lab, bob, "autre")
    assert lab.check().returncode == 0
    assert lab.stop() == 0, "peers that are gone do not hold the end up"
