"""MULTIAPPEND (RFC 3502) of any number of messages: all or none, whatever ends it, in bounded memory."""

import random
import re
import socket
import threading
import time

import pytest

from helpers import Dialogue, imap, letter, login, ok
from test_imap_floods import core_memory

WAITING_MAX = 12 << 20  # bytes of core's memory that 45 MB of messages may cost while they come, with room for the allocator
GROWTH_MAX = 100 << 20  # and while they are written: up to two write buffers of 16 MiB each for rows and for blobs, and a window of the file


def message(account, n, size=200):
    return letter(account.address, f"many {n:06}", body="x" * size + "\r\n")[0]


def command(account, numbers, size=200, flags=b""):
    """What follows the tag, without the last line's end."""
    return b"APPEND INBOX" + b"".join(b"%s {%d+}\r\n%s" % (b" (%s)" % flags if flags else b"", len(m), m)
                                      for m in (message(account, n, size) for n in numbers))


def answer(d, tag=b"m"):
    """The answer to TAG, which must be the next that comes."""
    line = d.line()
    assert line.startswith(tag.decode() + " "), line
    return line[len(tag) + 1:].strip()


def count(server, account):
    with imap(server, account) as session:
        return int(ok(session.select("INBOX", readonly=True))[0])


@pytest.fixture
def d(server, account):
    with Dialogue(server.ports["imap"], timeout=120) as dialogue:
        login(dialogue, server, account)
        yield dialogue


@pytest.mark.parametrize("n", [65, 500, 5000])
def test_any_number_in_one_command(server, account, d, n):
    d.send(b"m " + command(account, range(n), flags=rb"\Seen $Many") + b"\r\n")
    uids = re.fullmatch(r"OK \[APPENDUID \d+ (\S+)\] APPEND completed", answer(d))
    assert uids and uids[1] == f"1:{n}"
    with imap(server, account) as session:
        assert int(ok(session.select("INBOX"))[0]) == n
        data = ok(session.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        rows = [p for p in data if isinstance(p, tuple)]
        assert [int(re.search(rb"UID (\d+)", r[0])[1]) for r in rows] == list(range(1, n + 1))
        assert [r[1].split()[-1] for r in rows] == [b"%06d" % i for i in range(n)]
        assert all(rb"\Seen" in r[0] and b"$Many" in r[0] for r in rows)


def test_each_message_asked_for(server, account, d):
    """As a client without LITERAL+ sends them, and flags and dates of each."""
    d.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    d.send(b"m APPEND INBOX")
    for n in range(300):
        m = message(account, n)
        d.send(b' (\\Flagged) "03-Feb-2025 18:28:%02d +0000" {%d}\r\n' % (n % 60, len(m)))
        assert d.line().startswith("+")
        d.send(m)
    d.send(b"\r\n")
    assert "1:300]" in answer(d)
    with imap(server, account) as session:
        ok(session.select("INBOX"))
        assert len(ok(session.search(None, "FLAGGED"))[0].split()) == 300
        assert b":41 " in ok(session.fetch("102", "(INTERNALDATE)"))[0]


def test_memory_does_not_grow_with_the_number(server, account, d):
    """45 MB that wait for their end are on the disk; while they are appended the store has its buffers, and no more."""
    before, most, over = core_memory(server), 0, threading.Event()
    d.send(b"m " + command(account, range(11_000), size=3900))
    time.sleep(1)                           # the last of it is read
    assert core_memory(server) - before < WAITING_MAX

    def watch():
        nonlocal most
        while not over.is_set():
            most = max(most, core_memory(server))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        d.send(b"\r\n")
        assert answer(d).startswith("OK [APPENDUID")
    finally:
        over.set()
        watcher.join()
    print(f"core grew by {(most - before) >> 20} MiB")
    assert most - before < GROWTH_MAX


@pytest.mark.parametrize("bad, says", [
    (b" (\\Odd) {5+}\r\nhello", "BAD"),
    (b" {5+}\r\nhe\0lo", "NO [CANNOT]"),
    (b" {0+}\r\n", "NO [CANNOT]"),
    (b" {90000000+}\r\n" + b"x" * 90_000_000, "NO [TOOBIG]"),
    (b" more", "BAD"),
], ids=["flag", "nul", "empty", "large", "word"])
def test_one_bad_message_leaves_none(server, account, d, bad, says):
    d.send(b"m " + command(account, range(3000)) + bad)
    if says == "BAD" and bad == b" more":
        d.send(b"\r\n")
    else:
        d.send(command(account, range(3001, 3100)).removeprefix(b"APPEND INBOX") + b"\r\n")
    assert answer(d).startswith(says)
    assert d.imap("NOOP")[0].startswith("OK")
    assert count(server, account) == 0
    assert d.imap("STATUS INBOX (UIDNEXT)")[1] == ["* STATUS INBOX (UIDNEXT 1)"]


def test_who_is_told_of_an_error_need_not_send_the_rest(server, account, d):
    d.send(b"m APPEND INBOX {5+}\r\nhe\0lo {5}\r\n")
    assert answer(d).startswith("NO [CANNOT]")
    assert d.imap("NOOP")[0].startswith("OK")


def test_over_the_quota_there_is_none(server, account, d):
    server.run("user", "quota", account.address, "--messages", "400", "--dir", str(server.dir))
    d.send(b"m " + command(account, range(401)) + b"\r\n")
    assert answer(d).startswith("NO [OVERQUOTA]")
    assert count(server, account) == 0
    d.send(b"n " + command(account, range(400)) + b"\r\n")
    assert answer(d, b"n").startswith("OK")
    assert count(server, account) == 400


def test_too_many_to_count_are_refused(server, account, d):
    """A message counts with 1 KiB of the 50 MiB that an APPEND may have."""
    d.send(b"m APPEND INBOX" + b" {1+}\r\nx" * 60_000 + b"\r\n")
    assert answer(d).startswith("NO [LIMIT]")
    assert count(server, account) == 0


def test_a_connection_that_is_cut_leaves_none(server, account, d):
    d.send(b"m " + command(account, range(2000))[:-100])
    time.sleep(0.2)
    d.close()
    assert count(server, account) == 0


def test_killed_on_the_way_it_is_all_or_none(lab, alice):
    """kill -9 at some moment around the commits; the next start has all of each command or nothing of it, and nothing else is left."""
    rng = random.Random(8)
    lab.start()
    had = seen_none = 0
    for most in (0, 0.1, 0.4, 1.2):
        with Dialogue(lab.ports["imap"], timeout=120) as d:
            login(d, lab, alice)
            d.send(b"m " + command(alice, range(3000)))
            d.send(b"\r\n")
            time.sleep(rng.random() * most)
            lab.kill()
        lab.start()
        has = count(lab, alice)
        assert has - had in (0, 3000)
        seen_none += has == had
        had = has
        with imap(lab, alice) as session:   # a change takes back what was left
            ok(session.append("Archive", None, None, message(alice, 1)))
        check = lab.check()
        assert check.returncode == 0, check.stdout + check.stderr
    print(f"{seen_none} of 4 left nothing")
