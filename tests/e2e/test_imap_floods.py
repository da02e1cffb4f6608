"""IMAP clients that send too much of everything: the answer is a refusal or the truth, never more memory, time or a broken session."""

import json
import socket
import time
from pathlib import Path

import pytest

from helpers import Dialogue, imap, login, ok

GROWTH_MAX = 48 << 20       # bytes of the core's memory that one peer may cost: its queues and arena, with room for the allocator


def core_memory(server):
    roles = json.loads(server.run("status", "--dir", str(server.dir), "--json").stdout)["roles"]
    pid = next(r["pid"] for r in roles if r["name"] == "core")
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.fixture
def session(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        d.imap("SELECT INBOX")
        yield d


def test_a_flood_of_commands_waits_for_its_reader(server, account, other, session):
    """Who sends commands and does not read is not read from any more; all is answered in order when it reads again."""
    session.imap("NOOP")
    before = core_memory(server)
    line, sent = b"n NOOP\r\n", 0
    session.socket.settimeout(1)
    try:
        for _ in range(400):
            session.socket.sendall(line * 10_000)
            sent += 10_000
    except (TimeoutError, socket.timeout):
        pass
    assert sent < 4_000_000, "the server took everything without being read"
    assert core_memory(server) - before < GROWTH_MAX
    with imap(server, other) as bystander:
        ok(bystander.select("INBOX"))
    session.socket.settimeout(30)
    for _ in range(min(sent, 20_000)):
        assert session.line() == "n OK NOOP completed\r\n"


OVERLONG = {
    "tag": lambda: "t" * 5000 + " NOOP",
    "command": lambda: "a " + "N" * 20_000,
    "atom": lambda: "a STATUS " + "m" * 40_000 + " (MESSAGES)",
    "quoted": lambda: 'a STATUS "' + "m" * 40_000 + '" (MESSAGES)',
    "line": lambda: "a NOOP" + " " * 200_000,
    "levels": lambda: "a CREATE " + "/".join("m" * 200),
    "set": lambda: "a FETCH " + ",".join(str(n) for n in range(1, 12_000)) + " FLAGS",
    "section": lambda: "a FETCH 1 BODY[" + ".".join("1" * 2000) + "]",
    "sections": lambda: "a FETCH 1 (" + " ".join(f"BODY.PEEK[{n}]" for n in range(1, 3000)) + ")",
    "fields": lambda: "a FETCH 1 BODY[HEADER.FIELDS (" + " ".join(f"X-{n}" for n in range(8000)) + ")]",
    "parentheses": lambda: "a SEARCH " + "(" * 20_000 + "ALL" + ")" * 20_000,
    "not": lambda: "a SEARCH " + "NOT " * 12_000 + "ALL",
    "or": lambda: "a SEARCH " + "OR ALL " * 8000 + "ALL",
    "keys": lambda: "a SEARCH " + " ".join(["ALL"] * 12_000),
    "keywords": lambda: "a STORE 1 +FLAGS (" + " ".join(f"k{n}" for n in range(8000)) + ")",
    "keyword": lambda: "a STORE 1 +FLAGS (" + "k" * 20_000 + ")",
    "pattern": lambda: 'a LIST "" "' + "*a%" * 10_000 + '"',
    "patterns": lambda: 'a LIST "" (' + " ".join(f"m{n}*" for n in range(8000)) + ")",
    "identification": lambda: "a ID (" + " ".join(f'"f{n}" "v"' for n in range(3000)) + ")",
    "capabilities": lambda: "a ENABLE " + " ".join(f"X{n}" for n in range(8000)),
    "sync-point": lambda: "a SELECT INBOX (QRESYNC (1 1 " + ",".join(str(2 * n) for n in range(1, 10_000)) + "))",
    "literal": lambda: "a STATUS {4000000000+}",
}


@pytest.mark.parametrize("what", OVERLONG)
def test_overlong_everything(server, session, what):
    before, since = core_memory(server), time.monotonic()
    if what == "literal":
        session.send("a STATUS {4000000000}\r\n")
    else:
        session.send(OVERLONG[what]() + "\r\n")
    line = session.line()
    while line.startswith("* ") and not line.startswith("* BAD"):
        line = session.line()
    assert line.split(" ", 2)[1] in ("OK", "NO", "BAD"), line[:200]
    assert session.imap("NOOP")[0].startswith("OK")
    assert core_memory(server) - before < GROWTH_MAX
    assert time.monotonic() - since < 30


def test_a_pattern_of_wildcards_takes_no_exponential_time(server, session):
    """Each wildcard can match anywhere in the name: a matcher that tries all of it would not come to an end."""
    name = "a" * 300
    assert session.imap(f"CREATE {name}")[0].startswith("OK")
    since = time.monotonic()
    for pattern in ("*a" * 40 + "b", "%a" * 40 + "b", "*%" * 60 + "b"):
        assert session.imap(f'LIST "" "{pattern}"') == ("OK LIST completed", [])
    assert time.monotonic() - since < 30
