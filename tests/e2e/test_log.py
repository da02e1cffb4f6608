"""The log: one line a session at level info, with all that an administrator asks of it; failures besides."""

import fcntl
import imaplib
import os
import re
import smtplib
import socket

import pytest

import harness
import helpers


def lines(lab, session):
    return [line for line in lab.log().splitlines() if f"session={session}" in line]


def ended(lab, pattern):
    """(id, line) of the session whose last line fits PATTERN."""
    line = harness.wait_until(lambda: re.search(rf".*event=session session=(\S+) .*{pattern}.*", lab.log()), 30, f"the line with {pattern}")
    return line.group(1), line.group(0)


def test_one_line_a_session(lab, alice):
    lab.start()
    message, _ = helpers.letter(alice.address)
    with helpers.imap(lab, alice) as session:
        helpers.ok(session.xatom("ID", '("name" "Mutt of ours" "version" "2.2")'))
        helpers.ok(session.append("INBOX", None, None, message))
        helpers.ok(session.select())
        helpers.ok(session.fetch("1", "(BODY[])"))
        helpers.ok(session.store("1", "+FLAGS", r"(\Deleted)"))
        helpers.ok(session.expunge())
    name, line = ended(lab, "listener=imaps .*user=alice")
    for part in ("level=info", "peer=127.0.0.1", "port=", "end=session", "ms=", "in=", "out=", "tls=TLSv1.3", f"user={alice.address}", "mechanism=",
                 'client="Mutt of ours/2.2"', "commands=", "fetched=1", "appended=1", "expunged=1"):
        assert part in line, (part, line)
    assert len(lines(lab, name)) == 1, lines(lab, name)

    with helpers.submission(lab, alice) as session:
        session.noop()
    name, line = ended(lab, "listener=submission .*user=alice")
    assert f"user={alice.address} mechanism=" in line and "messages=0 errors=0" in line, line
    assert len(lines(lab, name)) == 1, lines(lab, name)

    with socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30) as s:
        s.sendall(b"A1 LOGIN alice secret\r\n")
        while s.recv(1000):
            pass
    name, line = ended(lab, "end=tls-failed")
    assert "listener=imaps" in line and "end=tls-failed" in line and re.search(r'failure="?[a-zA-Z]', line), line
    assert len(lines(lab, name)) == 1, lines(lab, name)


def test_a_refused_login_has_a_line_of_its_own(lab, alice):
    lab.start()
    alice.password += "x"
    with pytest.raises(smtplib.SMTPAuthenticationError), helpers.submission(lab, alice):
        pass
    with pytest.raises(imaplib.IMAP4.error), helpers.imap(lab, alice):
        pass
    for event in ("imap-login-failed", "smtp-login-refused"):
        harness.wait_until(lambda event=event: re.search(rf"event={event} .*alice", lab.log()), 30, f"{event} is logged")


def test_what_is_refused_on_port_25_has_its_reason(lab, alice):
    lab.start()
    with smtplib.SMTP("127.0.0.1", lab.ports["smtp"], timeout=30) as session:
        session.ehlo("client.example.net")
        assert session.mail("a@client.example.net", ["SIZE=99999999999"])[0] == 552
        assert session.mail("a@client.example.net")[0] == 250
        assert session.rcpt("nobody@" + alice.address.partition("@")[2])[0] == 550
        assert session.rcpt(alice.address)[0] == 250
        assert session.data(b"Received: x\r\n" * 200 + b"Subject: round and round\r\n\r\n")[0] >= 500
    for event in ("smtp-sender-refused", "smtp-recipient-refused", "smtp-message-refused"):
        line = harness.wait_until(lambda event=event: re.search(rf"event={event} .*", lab.log()), 30, f"{event} is logged").group(0)
        assert re.search(r' code=5\d\d error="\w', line), line


@pytest.mark.skipif(not harness.SEES_DESCRIPTORS, reason="only root may look at the descriptors of roles")
def test_no_role_has_the_log(lab):
    """Whoever has a file open for writing can shorten it."""
    lab.start()
    own = lab.log_path.stat()
    for pid in lab.roles():
        names = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert names["0"] == "/dev/null" and names["1"].startswith("pipe:") and names["2"] == names["1"], names
        for fd in names:
            st = os.stat(f"/proc/{pid}/fd/{fd}")
            assert (st.st_dev, st.st_ino) != (own.st_dev, own.st_ino), names[fd]
    assert len({os.readlink(f"/proc/{pid}/fd/2") for pid in lab.roles()}) == len(lab.roles()), "each its own"
    assert lab.stop() == 0
    assert "role=core event=role-ended" in lab.log() and "event=stopped" in lab.log().splitlines()[-1]


def test_a_log_that_nobody_reads_stops_nothing(lab, alice):
    """Standard error is a pipe that is full, as when a terminal was stopped by Ctrl-S."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    lab.start(wait=False, stderr=writing)
    os.close(writing)
    try:
        lab.wait(30)
        message, subject = helpers.letter(alice.address)
        helpers.deliver(lab, alice.address, message)
        helpers.wait_for_mail(lab, alice, subject)
        assert lab.run("reload", "--dir", str(lab.dir)).returncode == 0
        assert lab.stop() == 0
    finally:
        os.close(reading)
