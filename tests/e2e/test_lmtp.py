"""LMTP (RFC 2033) as another mail server on the same machine would speak it: over a port and over a Unix socket."""

import itertools
import os
import smtplib
import stat
import subprocess

import pytest

import helpers

LISTENERS = """
listener lmtp {
  protocol = "lmtp"
  port = 24
  tls = "off"
}

listener lmtp-socket {
  protocol = "lmtp"
  tls = "off"
  socket = "lmtp.sock"
}
"""


@pytest.fixture
def lmtp_lab(lab):
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text() + LISTENERS)
    return lab.start()


def connections(server):
    """What smtplib.LMTP is given for each of the two listeners."""
    return [("127.0.0.1", 24 + server.offset), (str(server.dir / "lmtp.sock"), 0)]


def send(lmtp, addresses, message):
    """The codes of RCPT and, for those accepted, of the message; smtplib reads but the first answer after the dot."""
    lmtp.ehlo_or_helo_if_needed()
    lmtp.mail(helpers.STRANGER)
    rcpt = [lmtp.rcpt(address)[0] for address in addresses]
    data = [lmtp.data(message)[0]]
    data += [lmtp.getreply()[0] for _ in range(rcpt.count(250) - 1)]
    return rcpt, data


def lab_accounts(server):
    return [helpers.Account(address, password) for address, password in list(server.accounts.items())[:2]]


def test_each_recipient_is_answered_and_gets_the_message(lmtp_lab):
    first, second = lab_accounts(lmtp_lab)
    for host, port in connections(lmtp_lab):
        message, subject = helpers.letter(first.address)
        with smtplib.LMTP(host, port) as lmtp:
            stranger = "personne@" + first.address.partition("@")[2]
            assert send(lmtp, [first.address, stranger, second.address], message) == ([250, 550, 250], [250, 250])
        for account in (first, second):
            helpers.wait_for_mail(lmtp_lab, account, subject)


def test_two_addresses_of_one_mailbox_get_one_copy_and_two_answers(lmtp_lab):
    account = lab_accounts(lmtp_lab)[0]
    local, _, domain = account.address.partition("@")
    message, subject = helpers.letter(account.address)
    host, port = connections(lmtp_lab)[0]
    with smtplib.LMTP(host, port) as lmtp:
        lmtp.ehlo()
        lmtp.mail(helpers.STRANGER)
        for address in (account.address, f"{local}+detail@{domain}"):
            assert lmtp.rcpt(address)[0] == 250
        code, text = lmtp.data(message)
        assert code == 250 and account.address.encode() in text
        code, text = lmtp.getreply()
        assert code == 250 and b"+detail" in text
    helpers.wait_for_mail(lmtp_lab, account, subject)
    with helpers.imap(lmtp_lab, account) as session:
        assert helpers.subjects(session).count(subject) == 1


def test_chunks_are_answered_for_each_recipient(lmtp_lab):
    first, second = lab_accounts(lmtp_lab)
    message, subject = helpers.letter(first.address)
    host, port = connections(lmtp_lab)[1]
    with smtplib.LMTP(host, port) as lmtp:
        lmtp.ehlo()
        assert lmtp.has_extn("chunking") and lmtp.has_extn("pipelining") and lmtp.has_extn("enhancedstatuscodes")
        lmtp.mail(helpers.STRANGER)
        for account in (first, second):
            assert lmtp.rcpt(account.address)[0] == 250
        half = len(message) // 2
        lmtp.send(f"BDAT {half}\r\n".encode() + message[:half])
        assert lmtp.getreply()[0] == 250
        lmtp.send(f"BDAT {len(message) - half} LAST\r\n".encode() + message[half:])
        assert [lmtp.getreply()[0] for _ in range(2)] == [250, 250]
    for account in (first, second):
        assert helpers.wait_for_mail(lmtp_lab, account, subject)


def test_strangers_are_not_relayed_for(lmtp_lab):
    host, port = connections(lmtp_lab)[0]
    with smtplib.LMTP(host, port) as lmtp:
        lmtp.ehlo()
        lmtp.mail(helpers.STRANGER)
        assert lmtp.rcpt("quelquun@example.org")[0] == 550
        assert lmtp.docmd("EHLO x")[0] == 500


def socket_of(lab):
    found = (lab.dir / "lmtp.sock").lstat()
    return stat.S_IMODE(found.st_mode), found.st_gid


def test_the_socket_is_for_a_group(lab):
    """Not for everybody on the machine; which mode and which group is said in valise.conf."""
    conf = lab.dir / "valise.conf"
    before = conf.read_text()
    own = lab.dir.stat().st_gid
    groups = [own] if os.geteuid() else [own, 12345]
    conf.write_text(before + LISTENERS)
    lab.start()
    assert socket_of(lab) == (0o660, own)
    lab.stop()
    for mode, group in itertools.product(("0600", "0666"), groups):
        conf.write_text(before + LISTENERS.replace('"lmtp.sock"', f'"lmtp.sock"\n  socket-mode = "{mode}"\n  socket-group = "{group}"'))
        lab.start()
        assert socket_of(lab) == (int(mode, 8), group)
        lab.stop()
    for line, why in (
        ('socket-mode = "0777"', "socket-mode"), ('socket-mode = "0060"', "socket-mode"), ('socket-mode = "rw"', "socket-mode"),
        ('socket-group = "no-such-group"', "no group no-such-group"),
    ):
        conf.write_text(before + LISTENERS.replace('"lmtp.sock"', '"lmtp.sock"\n  ' + line))
        refused = lab.run("serve", "--dir", str(lab.dir), "--port-offset", str(lab.offset), check=False)
        assert refused.returncode != 0 and why in refused.stderr
    conf.write_text(before + LISTENERS.replace("port = 24", 'port = 24\n  socket-mode = "0660"'))
    refused = lab.run("serve", "--dir", str(lab.dir), "--port-offset", str(lab.offset), check=False)
    assert refused.returncode != 0 and "for a listener with a socket" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_others_on_the_machine_cannot_deliver(lmtp_lab):
    path = lmtp_lab.dir / "lmtp.sock"
    for folder in (lmtp_lab.dir, lmtp_lab.dir.parent):
        os.chmod(folder, 0o711)
    done = subprocess.run(["/usr/bin/python3", "-c", "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", str(path)],
                          user=12346, group=12346, extra_groups=[], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "PermissionError" in done.stderr


def test_the_socket_is_replaced_after_a_crash(lmtp_lab):
    account = lab_accounts(lmtp_lab)[0]
    lmtp_lab.kill()
    assert (lmtp_lab.dir / "lmtp.sock").exists()
    lmtp_lab.start()
    message, subject = helpers.letter(account.address)
    host, port = connections(lmtp_lab)[1]
    with smtplib.LMTP(host, port) as lmtp:
        assert send(lmtp, [account.address], message) == ([250], [250])
    helpers.wait_for_mail(lmtp_lab, account, subject)
