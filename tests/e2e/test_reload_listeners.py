"""Listeners that change under a running server: added, moved, removed, given other TLS; sessions go on, and a port that cannot be had changes nothing."""

import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from harness import free_port
from helpers import Dialogue, imap, tls_context
from test_certificates_tls import client_certificate, configure, greeting, imaps_option


def reload(lab, check=True):
    return lab.run("reload", "--dir", str(lab.dir), check=check)


def add(lab, text):
    with open(lab.dir / "valise.conf", "a") as conf:
        conf.write(text)


def refuses(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def port_below(lab):
    """A free port, and what stands for it in valise.conf."""
    while True:
        port = free_port()
        if port > lab.offset:
            return port, port - lab.offset


def listening(lab):
    """Listening sockets of the supervisor, by the kernel's own list."""
    out = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    return sorted(line.split()[3] for line in out.splitlines() if f"pid={lab.process.pid}," in line)


def test_added_moved_and_removed(lab, alice):
    lab.start()
    text = (lab.dir / "valise.conf").read_text()
    (there, port), (elsewhere, moved) = port_below(lab), port_below(lab)
    add(lab, f'listener second {{\n protocol = "imap"\n port = {port}\n tls = "implicit"\n}}\n'
             f'listener local {{\n protocol = "lmtp"\n socket = "lmtp.sock"\n tls = "off"\n}}\n')
    reload(lab)
    lab.ports["imaps"], former = there, lab.ports["imaps"]
    assert (lab.dir / "lmtp.sock").is_socket()
    with imap(lab, alice) as session:
        configure(lab, f"port = {port}", f"port = {moved}")
        reload(lab)
        assert refuses(there), "moved away"
        lab.ports["imaps"] = elsewhere
        with imap(lab, alice) as other:
            assert other.noop()[0] == session.noop()[0] == "OK"
            (lab.dir / "valise.conf").write_text(text)
            reload(lab)
            assert refuses(elsewhere) and not (lab.dir / "lmtp.sock").exists()
            assert other.noop()[0] == session.noop()[0] == "OK", "sessions on a listener that is gone go on"
    lab.ports["imaps"] = former
    with imap(lab, alice) as session:
        assert session.noop()[0] == "OK"
    assert lab.stop() == 0


def test_from_one_address_to_all_and_back(lab):
    """0.0.0.0 holds the port that 127.0.0.1 has until then."""
    lab.start()
    for old, new in (("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")):
        conf = lab.dir / "valise.conf"
        conf.write_text(conf.read_text().replace(f'addresses = {{"{old}"}}', f'addresses = {{"{new}"}}'))
        reload(lab)
        with Dialogue(lab.ports["smtp"]) as d, Dialogue(lab.ports["imap"]) as i:
            assert d.reply()[0] == 220 and "OK" in i.line()
        assert f"{new}:{lab.ports['smtp']}" in listening(lab) and f"{old}:{lab.ports['smtp']}" not in listening(lab)
        with socket.socket() as other, pytest.raises(OSError):
            other.bind(("127.0.0.1", lab.ports["smtp"]))
            other.listen()
    assert lab.stop() == 0


def test_another_role_takes_over_a_port(lab):
    lab.start()
    configure(lab, 'listener smtp {\n  protocol = "smtp"', 'listener smtp {\n  protocol = "submission"')
    reload(lab)
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        assert d.smtp("EHLO x.example.org")[0] == 250
        assert d.smtp("MAIL FROM:<a@example.org>")[0] == 530, "submission wants a login"
    assert lab.stop() == 0


def test_a_port_that_cannot_be_had_changes_nothing(lab):
    lab.start()
    before = listening(lab)
    with socket.socket() as other:
        there, port = port_below(lab)
        _, free = port_below(lab)
        other.bind(("127.0.0.1", there))
        other.listen()
        good = (lab.dir / "valise.conf").read_text()
        text, n = re.subn(r"message-size-max = \d+", "message-size-max = 1000000", good)
        assert n == 1
        (lab.dir / "valise.conf").write_text(text)
        add(lab, f'listener first {{\n protocol = "imap"\n port = {free}\n tls = "implicit"\n}}\n'
                 f'listener second {{\n protocol = "imap"\n port = {port}\n tls = "implicit"\n}}\n')
        done = reload(lab, check=False)
        assert done.returncode != 0 and f"127.0.0.1 port {there}" in done.stderr and "second" in done.stderr, done.stderr
        assert listening(lab) == before
        with Dialogue(lab.ports["smtp"]) as d:
            d.reply()
            assert not any("SIZE 1000000" in line for line in d.smtp("EHLO x.example.org")[1])
    reload(lab)
    assert not refuses(there) and not refuses(free + lab.offset)
    (lab.dir / "valise.conf").write_text(good)
    add(lab, f'listener again {{\n protocol = "imap"\n port = 993\n tls = "implicit"\n}}\n')
    done = reload(lab, check=False)
    assert done.returncode == 78 and "as listener imaps has; give it another" in done.stderr, done.stderr
    assert lab.stop() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates_and_least_version(lab, version):
    lab.start()
    key, cert = client_certificate(lab)
    assert b"OK" in greeting(lab, version=version)
    imaps_option(lab, 'client-cert = "required"')
    reload(lab)
    assert isinstance(greeting(lab, version=version), Exception)
    assert b"OK" in greeting(lab, key, cert, version=version)
    configure(lab, 'client-cert = "required"', 'client-cert = "request"\n  min-tls = "1.3"')
    reload(lab)
    assert (b"OK" in greeting(lab, version=version)) if version == ssl.TLSVersion.TLSv1_3 else isinstance(greeting(lab, version=version), Exception)
    configure(lab, 'client-cert = "request"\n  min-tls = "1.3"', "")
    reload(lab)
    assert b"OK" in greeting(lab, version=version)
    assert lab.stop() == 0


def test_tls_comes_and_goes(lab):
    lab.start()
    configure(lab, 'protocol = "imap"\n  port = 143\n  tls = "required"', 'protocol = "imap"\n  port = 143\n  tls = "implicit"')
    reload(lab)
    with socket.create_connection(("127.0.0.1", lab.ports["imap"]), timeout=30) as plain, tls_context(lab).wrap_socket(plain, server_hostname="localhost") as tls:
        assert tls.recv(100).startswith(b"* OK")
    configure(lab, 'protocol = "imap"\n  port = 143\n  tls = "implicit"', 'protocol = "imap"\n  port = 143\n  tls = "off"')
    reload(lab)
    with Dialogue(lab.ports["imap"]) as d:
        assert "STARTTLS" not in d.line()
    assert lab.stop() == 0


def test_a_role_that_comes_back_has_the_new_listeners(lab, alice):
    lab.start()
    there, port = port_below(lab)
    add(lab, f'listener second {{\n protocol = "imap"\n port = {port}\n tls = "implicit"\n}}\n')
    reload(lab)
    core = next(pid for pid in lab.roles() if "core" in lab.role_command(pid))
    os.kill(core, signal.SIGKILL)
    lab.wait()
    lab.ports["imaps"] = there
    with imap(lab, alice) as session:
        assert session.noop()[0] == "OK"
    assert lab.stop() == 0
