"""Two IMAP sessions of one user see each other's changes; IDLE hears of deliveries."""

from harness import wait_until
from helpers import Dialogue, deliver, imap, letter, login, ok


def noop(session):
    """Untagged EXISTS, EXPUNGE and FETCH that a NOOP brought."""
    for name in ("EXISTS", "EXPUNGE", "FETCH"):
        session.untagged_responses.pop(name, None)
    ok(session.noop())
    return {name: session.untagged_responses.get(name) for name in ("EXISTS", "EXPUNGE", "FETCH")}


def test_changes_of_one_reach_the_other(server, account):
    with imap(server, account) as one, imap(server, account) as two:
        ok(one.append("INBOX", None, None, letter(account.address)[0]))
        ok(one.select("INBOX"))
        ok(two.select("INBOX"))
        ok(one.append("INBOX", None, None, letter(account.address)[0]))
        assert noop(two)["EXISTS"] == [b"2"]
        ok(one.store("1", "+FLAGS", r"(\Deleted)"))
        assert rb"\Deleted" in noop(two)["FETCH"][0]
        ok(one.expunge())
        assert noop(two)["EXPUNGE"] == [b"1"]


def test_expunged_messages_keep_their_numbers_until_told(server, account):
    with imap(server, account) as one, imap(server, account) as two:
        for n in range(3):
            ok(one.append("INBOX", None, None, letter(account.address, f"n{n}")[0]))
        ok(one.select("INBOX"))
        ok(two.select("INBOX"))
        ok(one.store("1", "+FLAGS", r"(\Deleted)"))
        ok(one.expunge())
        # FETCH may not send EXPUNGE (RFC 9051 section 7.5.1): number 3 is still the third message
        data = ok(two.fetch("3", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        assert b"n2" in data[0][1]
        assert noop(two)["EXPUNGE"] == [b"1"]


def test_idle_hears_of_a_delivery(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        d.imap("SELECT INBOX")
        d.send("i IDLE\r\n")
        assert d.line().startswith("+")
        deliver(server, account.address, letter(account.address)[0])
        assert d.line() == "* 1 EXISTS\r\n"
        d.send("DONE\r\n")
        line = d.line()
        while line.startswith("* "):       # RECENT, if the server still tells it
            line = d.line()
        assert line.startswith("i OK")


def test_idle_hears_of_flags_and_expunge(server, account):
    with Dialogue(server.ports["imap"]) as d, imap(server, account) as other:
        ok(other.append("INBOX", None, None, letter(account.address)[0]))
        ok(other.select("INBOX"))
        login(d, server, account)
        d.imap("SELECT INBOX")
        d.send("i IDLE\r\n")
        assert d.line().startswith("+")
        ok(other.store("1", "+FLAGS", r"(\Deleted)"))
        assert "\\Deleted" in d.line()
        ok(other.expunge())
        assert d.line() == "* 1 EXPUNGE\r\n"
        d.send("DONE\r\n")
        assert d.line().startswith("i OK")


def test_commands_in_one_write(server, account):
    with Dialogue(server.ports["imap"]) as d:
        login(d, server, account)
        d.send("p1 NOOP\r\np2 STATUS INBOX (MESSAGES)\r\np3 NOOP\r\n")
        lines = [d.line() for _ in range(4)]
        assert [line.split()[0] for line in lines] == ["p1", "*", "p2", "p3"]


def test_many_sessions_of_one_user(server, account):
    dialogues = [Dialogue(server.ports["imap"]) for _ in range(30)]
    try:
        for d in dialogues:
            login(d, server, account)
            assert d.imap("SELECT INBOX")[0].startswith("OK")
        deliver(server, account.address, letter(account.address)[0])
        for d in dialogues:
            wait_until(lambda d=d: "* 1 EXISTS" in d.imap("NOOP")[1] or "* 1 EXISTS" in d.imap("NOOP")[1], 10, "EXISTS in each session")
    finally:
        for d in dialogues:
            d.close()
