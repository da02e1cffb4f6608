"""imaplib: messages are stored, fetched, flagged, searched, copied, moved and expunged."""

import calendar
import imaplib
import time

import pytest

from helpers import imap, letter, ok, subjects

MULTIPART = (b"From: Marie <marie@example.org>\r\nTo: bob@example.org\r\nSubject: deux parties\r\n"
             b"Date: Mon, 06 Jan 2025 10:20:30 +0100\r\nMessage-ID: <mp@example.org>\r\nMIME-Version: 1.0\r\n"
             b"Content-Type: multipart/mixed; boundary=\"frontiere\"\r\n\r\npreambule\r\n"
             b"--frontiere\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nla premiere\r\n"
             b"--frontiere\r\nContent-Type: application/octet-stream; name=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
             b"AAECAwQ=\r\n--frontiere--\r\n")


@pytest.fixture
def session(server, account):
    """Logged in, INBOX selected, five messages numbered in their subjects."""
    with imap(server, account) as opened:
        for n in range(1, 6):
            ok(opened.append("INBOX", None, None, letter(account.address, f"numero {n}", body=f"corps {n}\r\n")[0]))
        ok(opened.select("INBOX"))
        yield opened


def flags(session, number):
    return ok(session.fetch(str(number), "(FLAGS)"))[0]


def test_capabilities(session):
    have = set(session.capabilities)
    assert {"IMAP4REV1", "IDLE", "MOVE", "UIDPLUS", "NAMESPACE", "UNSELECT"} <= have
    assert have & {"LITERAL+", "LITERAL-"}
    assert "STARTTLS" not in have


def test_append_returns_what_was_stored(server, account):
    with imap(server, account) as session:
        message, _ = letter(account.address)
        answer = session.append("INBOX", r"(\Flagged kind)", '"06-Jan-2025 10:20:30 +0100"', message)
        assert b"APPENDUID" in ok(answer)[0]
        ok(session.select("INBOX"))
        line, body = ok(session.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))[0]
        assert body == message and f"RFC822.SIZE {len(message)}".encode() in line
        assert rb"\Flagged" in line and b"kind" in line
        assert time.mktime(imaplib.Internaldate2tuple(line)) == calendar.timegm((2025, 1, 6, 9, 20, 30))


def test_body_sets_seen_and_peek_does_not(session):
    ok(session.fetch("1", "(BODY.PEEK[])"))
    assert rb"\Seen" not in flags(session, 1)
    ok(session.fetch("1", "(BODY[TEXT])"))
    assert rb"\Seen" in flags(session, 1)


def test_partial(session):
    assert ok(session.fetch("2", "(BODY.PEEK[TEXT]<2.3>)"))[0][1] == b"rps"
    line = ok(session.fetch("2", "(BODY.PEEK[TEXT]<1000.3>)"))
    assert line[0][1] == b"" if isinstance(line[0], tuple) else b'""' in line[0]


def test_structure_and_parts(server, account):
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, MULTIPART))
        ok(session.select("INBOX"))
        structure = ok(session.fetch("1", "(BODYSTRUCTURE)"))[0].upper()
        assert b'"TEXT" "PLAIN"' in structure and b'"BASE64"' in structure and b'"MIXED"' in structure
        assert ok(session.fetch("1", "(BODY.PEEK[1])"))[0][1] == b"la premiere"
        assert ok(session.fetch("1", "(BODY.PEEK[2])"))[0][1] == b"AAECAwQ="
        assert b'name="a.bin"' in ok(session.fetch("1", "(BODY.PEEK[2.MIME])"))[0][1]
        envelope = ok(session.fetch("1", "(ENVELOPE)"))[0]
        assert b'"deux parties"' in envelope and b'"Marie" NIL "marie" "example.org"' in envelope


def test_flags(session):
    ok(session.store("1:3", "+FLAGS", r"(\Seen $Important)"))
    assert rb"\Seen" in flags(session, 2) and b"$Important" in flags(session, 2)
    ok(session.store("2", "-FLAGS", r"(\Seen)"))
    assert rb"\Seen" not in flags(session, 2)
    ok(session.store("2", "FLAGS", r"(\Answered)"))
    assert rb"\Answered" in flags(session, 2) and b"$Important" not in flags(session, 2)
    assert ok(session.store("1", "+FLAGS.SILENT", r"(\Draft)")) == [None]


def test_read_only(session):
    ok(session.select("INBOX", readonly=True))
    session.store("1", "+FLAGS", r"(\Seen)")
    ok(session.fetch("2", "(BODY[])"))
    ok(session.select("INBOX"))
    assert rb"\Seen" not in flags(session, 1) and rb"\Seen" not in flags(session, 2)


def test_search(session):
    ok(session.store("2", "+FLAGS", r"(\Seen)"))

    def found(*criteria):
        return ok(session.search(None, *criteria))[0].decode()
    assert found("ALL") == "1 2 3 4 5"
    assert found("UNSEEN") == "1 3 4 5"
    assert found("SUBJECT", '"numero 3"') == "3"
    assert found("BODY", '"corps 4"') == "4"
    assert found("OR", "SEEN", "SUBJECT", '"numero 5"') == "2 5"
    assert found("NOT", "SUBJECT", '"NUMERO 1"') == "2 3 4 5"
    assert found("UID", "4:*") == "4 5"
    assert found("SENTSINCE", "1-Jan-2025", "SENTBEFORE", "7-Jan-2025") == "1 2 3 4 5"
    assert found("LARGER", "100000") == ""
    assert ok(session.uid("SEARCH", "HEADER", "SUBJECT", "numero"))[0] == b"1 2 3 4 5"


def test_search_beyond_ascii(server, account):
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, letter(account.address, "=?utf-8?q?r=C3=A9seau?=")[0]))
        ok(session.select("INBOX"))
        session.literal = "Réseau".encode()
        assert ok(session.search("UTF-8", "SUBJECT"))[0] == b"1"


def test_copy(session):
    ok(session.create("Copies"))
    ok(session.store("2", "+FLAGS", r"(\Flagged)"))
    ok(session.copy("2:3", "Copies"))
    assert subjects(session, "Copies") == ["numero 2", "numero 3"]
    assert rb"\Flagged" in flags(session, 1)
    assert len(subjects(session, "INBOX")) == 5


def test_copy_to_nowhere(session):
    status, data = session.copy("1", "Nulle-part")
    assert status == "NO" and b"TRYCREATE" in data[0]


def test_move(session):
    ok(session.create("Archives"))
    ok(session._simple_command("MOVE", "2,4", "Archives"))
    assert subjects(session, "Archives") == ["numero 2", "numero 4"]
    assert subjects(session, "INBOX") == ["numero 1", "numero 3", "numero 5"]


def test_expunge(session):
    ok(session.store("2,4", "+FLAGS", r"(\Deleted)"))
    assert len(ok(session.expunge())) == 2
    assert subjects(session, "INBOX") == ["numero 1", "numero 3", "numero 5"]


def test_uid_expunge(session):
    ok(session.store("1:5", "+FLAGS", r"(\Deleted)"))
    ok(session.uid("EXPUNGE", "3"))
    assert subjects(session, "INBOX") == ["numero 1", "numero 2", "numero 4", "numero 5"]


def test_close_expunges_and_unselect_does_not(session):
    ok(session.store("1", "+FLAGS", r"(\Deleted)"))
    ok(session.unselect())
    ok(session.select("INBOX"))
    assert len(subjects(session)) == 5
    ok(session.select("INBOX"))
    ok(session.close())
    assert len(subjects(session)) == 4


def test_uids_are_never_reused(session):
    ok(session.store("5", "+FLAGS", r"(\Deleted)"))
    ok(session.expunge())
    ok(session.append("INBOX", None, None, letter("x@example.org")[0]))
    assert ok(session.uid("SEARCH", "ALL"))[0] == b"1 2 3 4 6"


def test_fetch_by_uid_of_missing_messages_is_empty(session):
    assert ok(session.uid("FETCH", "1000:2000", "(FLAGS)")) == [None]


def test_large_append(server, account):
    message, _ = letter(account.address, body=("0123456789abcdef" * 4 + "\r\n") * 60_000)
    with imap(server, account) as session:
        ok(session.append("INBOX", None, None, message))
        ok(session.select("INBOX"))
        assert ok(session.fetch("1", "(BODY.PEEK[])"))[0][1] == message
