"""A client that comes back (RFC 7162): what happened meanwhile is told in one answer, also when the server died between."""

import re

from helpers import Dialogue, imap, letter, login, ok


def test_what_happened_meanwhile_survives_a_crash(lab, alice):
    lab.start()
    with imap(lab, alice) as session:
        for _ in range(6):
            ok(session.append("INBOX", None, None, letter(alice.address)[0]))
    with Dialogue(lab.ports["imap"]) as d:
        login(d, lab, alice)
        lines = "\n".join(d.imap("SELECT INBOX (CONDSTORE)")[1])
        uidvalidity = re.search(r"UIDVALIDITY (\d+)", lines).group(1)
        modseq = re.search(r"HIGHESTMODSEQ (\d+)", lines).group(1)
    with imap(lab, alice) as session:
        ok(session.select("INBOX"))
        ok(session.store("2,5", "+FLAGS", r"(\Deleted)"))
        ok(session.expunge())
        ok(session.uid("STORE", "4", "+FLAGS", r"(\Flagged)"))
    lab.kill()
    lab.start()
    with Dialogue(lab.ports["imap"]) as d:
        login(d, lab, alice)
        assert d.imap("ENABLE QRESYNC")[1] == ["* ENABLED QRESYNC"]
        answer, lines = d.imap(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
        assert answer.startswith("OK [READ-WRITE]")
        assert [line for line in lines if "VANISHED" in line] == ["* VANISHED (EARLIER) 2,5"]
        changed = [line for line in lines if "FETCH" in line]
        assert len(changed) == 1 and re.match(r"\* 3 FETCH \(UID 4 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)", changed[0])
    assert lab.stop() == 0
