"""Mail on the move: Maildir++ that a real Dovecot wrote and reads, an mbox of 10 000 letters, and the bar that a person at a terminal sees."""

import imaplib
import json
import mailbox
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

import harness
from helpers import imap, letter, ok
from test_archive import content

sys.path.insert(0, str(harness.ROOT / "tests" / "ugly"))
import dovecot  # noqa: E402

FOLDERS = ("INBOX", "Sent", "Work", "Work.2026", "Re&AOc-us")
LETTERS = (("(\\Seen \\Answered $Forwarded NonJunk)", '"17-Jul-1996 02:44:25 +0000"'), ("(\\Flagged \\Draft)", '"01-Jan-2024 23:59:59 +0000"'),
           ("()", '"29-Feb-2024 12:00:00 +0000"'))


class MaildirDovecot(dovecot.Dovecot):
    def __init__(self, directory):
        super().__init__(directory)
        conf = self.dir / "dovecot.conf"
        conf.write_text(conf.read_text().replace("sdbox:~/sdbox", "maildir:~/Maildir"))
        self.maildir = self.dir / "mail" / dovecot.USER / "Maildir"

    def imap(self):
        session = imaplib.IMAP4("127.0.0.1", self.port, timeout=30)
        session.login(dovecot.USER, dovecot.PASSWORD)
        return session


@pytest.fixture
def other(scratch):
    server = MaildirDovecot(scratch / "dovecot")
    yield server
    server.stop()


def of_dovecot(session, separator="."):
    """As content() of test_archive gives it."""
    found = {}
    for line in ok(session.list('""', "*")):
        name = re.fullmatch(rb'\(.*\) "." "?([^"]*)"?', line).group(1).decode()
        if rb"\Noselect" in line:
            continue
        count = int(ok(session.select(f'"{name}"', readonly=True))[0])
        letters = []
        for number in range(1, count + 1):
            data = ok(session.fetch(str(number), "(FLAGS INTERNALDATE BODY.PEEK[])"))
            head = b" ".join(part if isinstance(part, bytes) else part[0] for part in data)
            flags = set(re.search(rb"FLAGS \(([^)]*)\)", head).group(1).split()) - {b"\\Recent"}
            letters.append((frozenset(flags), re.search(rb'INTERNALDATE "([^"]*)"', head).group(1), data[0][1]))
        found[name.replace(separator, "/")] = sorted(letters, key=lambda m: m[2])
    return found


def utc(found):
    """Dates as moments: Dovecot tells them in the zone of the machine."""
    when = lambda date: time.mktime(imaplib.Internaldate2tuple(b'INTERNALDATE "' + date + b'"'))
    return {name: [(flags, when(date), body) for flags, date, body in letters] for name, letters in found.items() if letters}


def test_what_dovecot_wrote_comes_in_and_goes_back(server, account, scratch, other):
    other.start()
    session = other.imap()
    for folder in FOLDERS[1:]:
        session.create(f'"{folder}"')
    for i, folder in enumerate(FOLDERS):
        for k, (flags, date) in enumerate(LETTERS):
            message, _ = letter(account.address, subject=f"{folder} {k}", body="From here\r\n.\r\n" + "x" * (30000 * k) + "\r\n")
            ok(session.append(f'"{folder}"', flags, date, message))
    before = of_dovecot(session)
    session.logout()
    other.stop()
    assert sum(len(v) for v in before.values()) == 15 and "Work/2026" in before
    done = json.loads(server.run("import", "maildir", account.address, str(other.maildir), "--dir", str(server.dir), "--json").stdout)
    assert (done["added"], done["skipped"]) == (15, 0)
    assert utc(content(server, account)) == utc(before)
    # And back: what valise exports, Dovecot serves.
    shutil.rmtree(other.maildir)
    server.run("export", "maildir", account.address, str(scratch / "out"), "--dir", str(server.dir))
    shutil.copytree(scratch / "out", other.maildir)
    owner = os.stat(other.dir / "mail")
    for path in (other.maildir, *other.maildir.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    other.start()
    session = other.imap()
    after = utc(of_dovecot(session))
    session.logout()
    assert after == utc(before)


@pytest.mark.parametrize("form", ["mbox:~/mail:INBOX=~/mail/INBOX", "maildir:~/mail:LAYOUT=fs", "sdbox:~/mail", "mdbox:~/mail"])
def test_what_dovecot_keeps_otherwise(server, account, scratch, form):
    """mbox and LAYOUT=fs are read as they are; dbox is refused with a command that works."""
    other = dovecot.Dovecot(scratch / "dovecot")
    conf = other.dir / "dovecot.conf"
    conf.write_text(conf.read_text().replace("sdbox:~/sdbox", form))
    home = other.dir / "mail" / dovecot.USER
    folders = ("INBOX", "Work", "Re&AOc-us", *(("Work/2026",) if "mbox:" not in form[:5] else ("Top/2026",)))
    other.start()
    try:
        with imaplib.IMAP4("127.0.0.1", other.port, timeout=30) as session:
            session.login(dovecot.USER, dovecot.PASSWORD)
            for folder in folders:
                session.create(f'"{folder}"')
                for k, (flags, date) in enumerate(LETTERS):
                    message, _ = letter(account.address, subject=f"{folder} {k}", body="From here\r\n\r\nFrom a@b Tue Nov 14 22:13:20 2023\r\n>From x\r\n.\r\n")
                    ok(session.append(f'"{folder}"', flags, date, message))
            before = {name: v for name, v in of_dovecot(session, "/").items() if v}
        source = home / "mail"
        if "dbox" in form:
            done = server.run("import", "maildir", account.address, str(source), "--dir", str(server.dir), check=False)
            command = re.search(r"`doveadm (backup -u USER maildir:)/some/new/directory(\S*)`", done.stderr)
            assert done.returncode == 65 and command, done.stderr
            source = home / "new"
            subprocess.run(["doveadm", "-c", str(conf), *command.group(1).replace("USER", dovecot.USER).split()[:-1], f"maildir:{source}{command.group(2)}"], check=True)
    finally:
        other.stop()
    assert sum(len(v) for v in before.values()) == 3 * len(folders)
    run = lambda: json.loads(server.run("import", "mbox" if form.startswith("mbox") else "maildir", account.address, str(source), "--dir", str(server.dir), "--json").stdout)
    done = run()
    assert (done["added"], done["failed"]) == (3 * len(folders), 0)
    after = utc(content(server, account))
    if form.startswith("mbox"):  # its line "From " has the date in the zone of the machine, and no \\Recent
        assert {name: [(flags, body) for flags, _, body in v] for name, v in after.items()} == {
            name: [(flags, body) for flags, _, body in v] for name, v in utc(before).items()}
    else:
        assert after == utc(before)
    assert run()["added"] == 0


def test_an_mbox_of_ten_thousand(server, account, scratch):
    path = scratch / "many.mbox"
    with open(path, "wb") as out:
        for i in range(10000):
            out.write(b"From a@b Mon Jan  6 10:20:30 2025\nFrom: a@b\nMessage-ID: <%d@many>\nSubject: %d\nStatus: RO\n\n>From the start\nx\n\n" % (i, i))
    run = lambda: json.loads(server.run("import", "mbox", account.address, str(path), "--dir", str(server.dir), "--json", timeout=300).stdout)
    done = run()
    assert (done["added"], done["skipped"]) == (10000, 0)
    with imap(server, account) as session:
        assert int(ok(session.select("many" if "many" in str(session.list()) else "INBOX", readonly=True))[0]) == 10000
        assert len(ok(session.search(None, "SEEN"))[0].split()) == 10000
        assert ok(session.fetch("10000", "(BODY.PEEK[])"))[0][1].endswith(b"\r\n\r\nFrom the start\r\nx\r\n")
    done = run()
    assert (done["added"], done["skipped"]) == (0, 10000)
    server.run("export", "mbox", account.address, str(scratch / "out"), "--dir", str(server.dir), timeout=300)
    assert sum(len(mailbox.mbox(p)) for p in (scratch / "out").rglob("*.mbox")) == 10000


def on_a_terminal(*argv):
    """What ARGV writes to standard error when that is a terminal, and its exit status."""
    master, slave = pty.openpty()
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    text = b""
    while True:
        if select.select([master], [], [], 60)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
    process.stdout.read()
    os.close(master)
    return text.decode(), process.wait(60)


def test_the_bar_is_for_a_terminal(server, account, scratch):
    letters = mailbox.mbox(scratch / "many")
    for i in range(1500):
        letters.add(f"From: a@b\nMessage-ID: <{i}@bar>\nSubject: {i}\n\n{'x' * 2000}\n".encode())
    letters.close()
    argv = [server.program, "import", "mbox", account.address, scratch / "many", "--dir", server.dir]
    text, status = on_a_terminal(*argv)
    assert status == 0
    steps = [(float(a), float(b)) for a, b in re.findall(r"\r\[[# ]{40}\] ([\d.]+) of ([\d.]+) MiB", text)]
    assert steps and steps == sorted(steps) and len({total for _, total in steps}) == 1, text[-500:]
    assert re.search(r"\r +\r$", text), "it is wiped at the end"
    text, status = on_a_terminal(*argv, "--json")
    assert (text, status) == ("", 0)
    done = server.run(*map(str, argv[1:]))
    assert done.stderr == ""
    for command in (("export", "mbox", account.address, scratch / "out"), ("backup", scratch / "b"), ("backup", "check", scratch / "b")):
        text, status = on_a_terminal(server.program, *command, "--dir", server.dir)
        assert status == 0 and text.endswith("\r"), (command, text)
