"""Thousands of silent and trickling peers cost no thread and slow down nobody else."""

import contextlib
import socket
import statistics
import time

import pytest

import harness
from harness import PORTS, threads
from helpers import Dialogue, deliver, imap, letter, login, ok, transaction

THREADS_MAX = 70            # workers-max is 64 by default; the store's own come on top
# A TLS 1.2 record header that announces 512 bytes of ClientHello, and its first bytes.
HALF_HELLO = bytes.fromhex("1603010200010001fc0303")


def connect(port, data=b""):
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    s.sendall(data)
    return s


def silent(lab, account, n):
    """Connected, and nothing more."""
    return [connect(lab.ports[list(PORTS)[i % len(PORTS)]]) for i in range(n)]


def in_handshake(lab, account, n):
    return [connect(lab.ports[("imaps", "smtps")[i % 2]], HALF_HELLO) for i in range(n)]


def in_command(lab, account, n):
    return [connect(lab.ports[("smtp", "imap", "submission")[i % 3]], (b"EHLO cli", b"a CAPABIL", b"EHL")[i % 3]) for i in range(n)]


def in_body(lab, account, n):
    dialogues = [Dialogue(lab.ports["smtp"]) for _ in range(n)]
    for d in dialogues:
        transaction(d, account.address)
        d.send("Subject: jamais fini\r\n\r\nune lig")
    return [d.socket for d in dialogues]


def in_literal(lab, account, n):
    """In the middle of a message that they append, and of a password that they announced."""
    dialogues = []
    for i in range(n):
        d = Dialogue(lab.ports["imap"])
        if i % 2:
            login(d, lab, account)
            d.send("a APPEND INBOX {1000000+}\r\nSubject: jamais fini\r\n\r\nune lig")
        else:
            d.line()
            d.send("a LOGIN {400+}\r\nune par")
        dialogues.append(d)
    return [d.socket for d in dialogues]


def not_reading(lab, account, n):
    """Asks for megabytes and takes none."""
    message, _ = letter(account.address, body=("0123456789abcdef" * 4 + "\r\n") * 15_000)
    with imap(lab, account) as session:
        for _ in range(4):
            ok(session.append("INBOX", None, None, message))
    dialogues = []
    for _ in range(n):
        d = Dialogue(lab.ports["imap"])
        d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        login(d, lab, account)
        d.imap("SELECT INBOX")
        d.send("f FETCH 1:* (BODY.PEEK[])\r\n")
        dialogues.append(d)
    return [d.socket for d in dialogues]


PHASES = [(silent, 2000), (in_handshake, 2000), (in_command, 2000), (in_body, 500), (in_literal, 120), (not_reading, 60)]


def one_turn(lab, account):
    """What an ordinary user does, in seconds: a delivery comes, the user reads it."""
    begin = time.monotonic()
    deliver(lab, account.address, letter(account.address)[0])
    with imap(lab, account) as session:
        count = int(ok(session.select("INBOX"))[0])
        ok(session.fetch(str(count), "(FLAGS BODY.PEEK[])"))
    return time.monotonic() - begin


def median_turn(lab, account, trickle=()):
    times = []
    for n in range(11):
        for s in trickle[n::11]:        # a byte now and then keeps a slow peer within its deadlines
            with contextlib.suppress(OSError):
                s.send(b"x")
        times.append(one_turn(lab, account))
    return statistics.median(times)


@pytest.mark.parametrize("phase, n", PHASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_others_are_not_slowed_down(lab, alice, bob, phase, n):
    assert harness.raise_descriptor_limit() >= n + 500, "the limit of open files is too low for this test"
    lab.start()
    median_turn(lab, bob)
    before = median_turn(lab, bob)
    slow = phase(lab, alice, n)
    try:
        after = median_turn(lab, bob, trickle=slow if phase in (in_command, in_body, in_literal) else ())
        counts = {lab.role_command(pid): threads(pid) for pid in lab.roles()}
        assert max(counts.values()) <= THREADS_MAX, counts
        assert after <= before * 8, f"{before * 1000:.1f} ms before, {after * 1000:.1f} ms with {n} slow peers"
    finally:
        for s in slow:
            s.close()
    assert one_turn(lab, bob) > 0
    assert lab.stop() == 0
