"""Names that somebody else chose, with all that a terminal obeys or hides: no command and no log lets them through."""

import base64
import json
import os
import re
import smtplib
import subprocess

import harness
from helpers import STRANGER, deliver, imap, letter

# CSI, line separator, overrides and isolates, zero width, tags; what a reader does not see or a terminal obeys.
EVIL = "x\u009b31m\u2028\u202e\u2066\u200b\u061c\u200f\ufeff\U000e0041y"
HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")


def assert_plain(data, what):
    text = data.decode()  # broken UTF-8 fails here
    assert not HIDDEN.search(text), f"{what}: {HIDDEN.search(text)!r} in {text!r}"


def run(lab, *args):
    """Runs a command as bytes; whatever it says, it is fit to be read."""
    args = [a if isinstance(a, bytes) else a.encode() for a in (*args, "--dir", str(lab.dir))]
    done = subprocess.run([os.fsencode(harness.binary()), *args], capture_output=True, timeout=120)
    assert_plain(done.stdout, args)
    assert_plain(done.stderr, args)
    return done


def both(lab, *args):
    """The command for people, then in JSON."""
    return run(lab, *args), run(lab, *args, "--json")


def test_names_are_shown_safely(server, account, tmp_path):
    domain = account.address.split("@")[1]
    user, alias, group = (f"{kind}.of.names@{domain}" for kind in ("user", "alias", "group"))
    # Addresses that nobody can tell apart are not made (unit/directory); what is said of them is fit to be read.
    for args in ("user", "add", f"u{EVIL}@{domain}", "--generate"), ("alias", "add", f"a{EVIL}@{domain}", account.address), ("group", "add", f"g{EVIL}@{domain}"):
        refused = run(server, *args)
        assert refused.returncode != 0 and b"that nobody sees" in refused.stderr, refused
    for made in (
        run(server, "user", "add", user, "--name", "Name " + EVIL, "--generate"),
        run(server, "alias", "add", alias, user),
        run(server, "group", "add", group),
        run(server, "group", "member", "add", group, user),
        run(server, "user", "app-password", "add", user, "phone " + EVIL),
        run(server, "domain", "catch-all", domain, user),
        run(server, "user", "quota", user, "--messages", "1000"),
    ):
        assert made.returncode == 0, made.stderr
    shown = 0
    for args in (
        ("user", "list"), ("alias", "list"), ("group", "list"), ("domain", "list"), ("user", "app-password", "list", user),
        ("user", "quota", user), ("user", "history", user), ("lockout", "list"), ("cert", "list"), ("status",), ("check",),
        ("metrics",), ("backup", "list", str(tmp_path)),
    ):
        text, parsed = both(server, *args)
        assert text.returncode in (0, 64, 66), (args, text.stderr)
        if parsed.returncode == 0:
            assert parsed.stdout.isascii()
            reply = json.dumps(json.loads(parsed.stdout), ensure_ascii=False)
            shown += EVIL in reply
            assert EVIL not in reply or b"\\xc2\\x9b31m" in text.stdout, args
    # Other tests ask this server for names that nobody has.
    assert run(server, "domain", "catch-all", domain, "--none").returncode == 0
    assert shown >= 2  # the person and his telephone
    assert_plain(server.log_path.read_bytes(), "log")


def test_errors_and_unknown_names(server, account, tmp_path):
    for args in (
        ("user", "passwd", f"nobody{EVIL}@{harness.DOMAIN}"), ("user", "add", EVIL), ("group", "add", EVIL), ("nonsense" + EVIL,),
        ("user", "add", "a b" + EVIL, "--generate"), ("domain", "add", EVIL), ("lockout", "lift", EVIL), ("status", "--" + EVIL),
        ("import", "maildir", account.address, str(tmp_path / EVIL)), ("cert", "issue", "--server", EVIL), ("cert", "show", EVIL),
        ("export", "mbox", account.address, f"/nonexistent/{EVIL}"), ("restore", f"/nonexistent/{EVIL}"),
        ("backup", "check", f"/nonexistent/{EVIL}"), ("user", "add", b"\x9b\xff\xc3@" + harness.DOMAIN.encode(), "--generate"),
        (b"\xff\x9b",), ("import", "mbox", account.address, b"/nonexistent/\x9b\xff\x1b[2J"),
    ):
        text, parsed = both(server, *args)
        assert text.returncode != 0 and text.stderr
        assert json.loads(parsed.stdout)["ok"] is False, args


def test_mailboxes_files_and_mail(server, account, tmp_path):
    deliver(server, account.address, letter(account.address)[0].replace(b"Subject: ", b"Subject: " + EVIL.encode()))
    utf7 = "x&" + base64.b64encode("\u202e\u2066\u200b\u061c\ufeff".encode("utf-16-be")).rstrip(b"=").decode().replace("/", ",") + "-y"
    with imap(server, account) as session:
        refused, why = session.create(f'"{utf7}"')  # the store takes no such name; what it says is fit to be read
        assert refused == "NO" and not HIDDEN.search(why[0].decode())
    source = tmp_path / "source"
    for folder in ("cur", "new", "tmp"):
        (source / folder).mkdir(parents=True)
    (source / "new" / f"1{EVIL}:2,S").write_text("From: a@b.example\r\nSubject: " + EVIL + "\r\n\r\nText.\r\n")
    (source / "new" / "2\x1b[2J\r").write_bytes(b"no message \x9b\xff")
    os.symlink("/etc/passwd", os.fsencode(source / "new") + b"/3\xff\x9b")
    for folder in ("cur", "new", "tmp"):
        (source / ".4\nvalise: 0 messages were left out" / folder).mkdir(parents=True)
    (source / ".4\nvalise: 0 messages were left out" / "new" / "5").write_text("Subject: 5\r\n\r\nText.\r\n")
    both(server, "import", "maildir", account.address, str(source))
    told = run(server, "import", "maildir", account.address, str(source)).stderr
    assert b"4\\x0avalise: 0 messages" in told and b"\nvalise: 0 messages" not in told, told  # no line that a name has made
    run(server, "export", "maildir", account.address, str(tmp_path / f"out{EVIL}"))
    run(server, "export", "mbox", account.address, str(tmp_path / "mbox"))
    backup = tmp_path / f"backups{EVIL}"
    backup.mkdir()
    both(server, "backup", str(backup))
    both(server, "backup", "list", str(backup))
    both(server, "check", "--deep")


def test_replies_and_logs_of_the_network(server, account):
    with smtplib.SMTP("localhost", server.ports["smtp"], timeout=60) as smtp:
        for line in (b"EHLO a\x9b.example", b"NOOP \xc2\x9b", b"MAIL FROM:<a\xe2\x80\xae@b.example>", b"\x9b\xff", b"VRFY \x1b[2J"):
            smtp.send(line + b"\r\n")
            code, said = smtp.getreply()
            assert not HIDDEN.search(said.decode().replace("\n", "").replace("\r", "")), line
        smtp.ehlo("a.example")
        smtp.sendmail(STRANGER, [account.address], letter(account.address, subject="names")[0])
    with imap(server, account) as session:
        for line in (b"a \x9b", b'b SELECT "\xc2\x9b"', b'c CREATE "x\xe2\x80\xae"', b'd LIST "" \xff\x1b'):
            session.send(line + b"\r\n")
            assert not HIDDEN.search(session.readline().decode().rstrip("\r\n"))
    assert_plain(server.log_path.read_bytes(), "log")
