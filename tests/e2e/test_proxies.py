"""The client behind a load balancer or a relay: PROXY headers by HAProxy, curl and by hand, XCLIENT by swaks. From listed networks only."""

import concurrent.futures
import imaplib
import re
import smtplib
import socket
import ssl
import struct
import subprocess

import pytest

import harness
import helpers

V2 = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "203.0.113.9"


def configure(lab, lines, general="limits-exempt = {}"):
    """Puts LINES (listener: line) into the listeners of valise.conf."""
    path = lab.dir / "valise.conf"
    conf = re.sub(r"limits-exempt = .*", general, path.read_text())
    for listener, line in lines.items():
        conf = conf.replace(f"listener {listener} {{\n", f"listener {listener} {{\n  {line}\n")
    path.write_text(conf)


@pytest.fixture
def proxied(lab):
    line = 'proxy-from = {"127.0.0.0/8"}'
    configure(lab, {name: line for name in ("smtp", "submission", "submissions", "imap", "imaps")})
    return lab.start()


def v2(peer=CLIENT, port=4242):
    return V2 + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton(peer) + socket.inet_aton("198.51.100.2") + struct.pack("!HH", port, 25)


def session_of(lab, address, event="session"):
    """The line of the log about a session from ADDRESS, which comes when it has ended."""
    return harness.wait_until(lambda: re.search(rf"event={event} .*peer={re.escape(address)}\b.*", lab.log()), 30,
                              f"{event} of {address} is logged").group(0)


def dial(lab, listener, header, source="127.0.0.1"):
    s = socket.create_connection(("127.0.0.1", lab.ports.get(listener, 465 + lab.offset)), timeout=30, source_address=(source, 0))
    s.sendall(header)
    return s


def ends(s):
    """The server closes without a word; a reset is as good."""
    try:
        return s.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("header", [b"PROXY TCP4 203.0.113.9 198.51.100.2 4242 25\r\n", v2()])
def test_a_header_names_the_client_everywhere(proxied, alice, header):
    message, subject = helpers.letter(alice.address)
    with smtplib.SMTP() as smtp:
        smtp.sock = dial(proxied, "smtp", header)
        smtp.file = None
        assert smtp.getreply()[0] == 220
        smtp._host = "localhost"
        smtp.sendmail(helpers.STRANGER, [alice.address], message)
    for listener, greeting in (("submission", b"220"), ("imap", b"* OK")):
        with dial(proxied, listener, header) as s:
            assert s.makefile("rb").readline().startswith(greeting)
    context = helpers.tls_context(proxied)
    for listener, greeting in (("submissions", b"220"), ("imaps", b"* OK")):    # the header is in front of TLS
        with context.wrap_socket(dial(proxied, listener, header), server_hostname="localhost") as s:
            assert s.makefile("rb").readline().startswith(greeting)
    assert "port=4242" in session_of(proxied, CLIENT)


def test_without_a_header_a_proxy_is_not_served(proxied):
    with dial(proxied, "smtp", b"EHLO client.example.net\r\n") as s:
        assert ends(s)
    harness.wait_until(lambda: "event=proxy-header-bad" in proxied.log(), 30, "the log tells")


@pytest.mark.parametrize("header", [b"PROXY TCP4 203.0.113.9 198.51.100.2 4242 99999\r\n", b"PROXY " + b"x" * 200,
                                    V2 + b"\x21\x11\0\x13" + b"\1" * 12 + b"\3\0\4zzzz", V2 + b"\x21\x11\xff\xff"])
def test_a_bad_header_ends_the_connection(proxied, header):
    with dial(proxied, "imap", header) as s:
        assert ends(s)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0", V2 + b"\x21\0\0\0"])
def test_a_proxy_may_ask_for_itself(proxied, header):
    with dial(proxied, "smtp", header) as s:
        assert s.makefile("rb").readline().startswith(b"220")


def test_a_header_may_come_byte_by_byte(proxied):
    s = socket.create_connection(("127.0.0.1", proxied.ports["smtp"]), timeout=30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in v2("203.0.113.77"):
        s.sendall(bytes([byte]))
    assert s.makefile("rb").readline().startswith(b"220")
    s.close()
    session_of(proxied, "203.0.113.77")


def test_from_others_a_header_is_none(lab):
    configure(lab, {"smtp": 'proxy-from = {"127.0.0.2"}'})
    lab.start()
    with dial(lab, "smtp", b"PROXY TCP4 203.0.113.9 198.51.100.2 4242 25\r\n", source="127.0.0.3") as s:
        lines = s.makefile("rb")
        assert lines.readline().startswith(b"220") and lines.readline().startswith(b"500")
    assert "peer=203.0.113.9" not in lab.log()


def test_limits_are_those_of_the_client(lab):
    configure(lab, {"smtp": 'proxy-from = {"127.0.0.1"}'})
    path = lab.dir / "valise.conf"
    path.write_text(path.read_text() + "\nlimits smtp { connections-per-address = 1 }\n")
    lab.start()
    kept = dial(lab, "smtp", v2())
    assert kept.makefile("rb").readline().startswith(b"220")
    with dial(lab, "smtp", v2()) as s:
        assert s.makefile("rb").readline().startswith(b"421 4.7.0 Too many connections from your address")
    with dial(lab, "smtp", v2("203.0.113.10")) as s:
        assert s.makefile("rb").readline().startswith(b"220")
    kept.close()


def test_failed_logins_are_the_clients(proxied, alice):
    """What delays one client's logins leaves another's alone, though both come by one balancer."""
    context = helpers.tls_context(proxied)
    for address, password, status in ((CLIENT, "wrong", b"NO"), ("203.0.113.10", alice.password, b"OK")):
        with context.wrap_socket(dial(proxied, "imaps", v2(address)), server_hostname="localhost") as s, s.makefile("rb") as lines:
            assert lines.readline().startswith(b"* OK")
            s.sendall(f'a LOGIN {alice.address} "{password}"\r\n'.encode())
            assert lines.readline().startswith(b"a " + status)
    session_of(proxied, CLIENT, "imap-login-failed")
    assert re.search(r"\bvia=127\.0\.0\.\d+ user=\S+ mechanism=", session_of(proxied, "203.0.113.10"))


def test_one_who_has_many_networks_is_one_guesser(lab, alice):
    """Sixty guesses at once, each from another /64 of one /48: not three from each, but four times three from all."""
    configure(lab, {"imaps": 'proxy-from = {"127.0.0.0/8"}'})
    path = lab.dir / "valise.conf"
    path.write_text(path.read_text() + "\nlogin-failures-max = 3\n")
    lab.start()

    def guess(i, site="2001:db8:1", password=None):
        header = f"PROXY TCP6 {site}:{i:x}::9 2001:db8::1 4242 993\r\n".encode()
        plain = dial(lab, "imaps", header)
        plain.settimeout(60)
        with helpers.tls_context(lab).wrap_socket(plain, server_hostname="localhost") as s:
            text = s.makefile("rwb")
            text.readline()
            text.write(f'a LOGIN {alice.address} "{password or f"guess {i}"}"\r\n'.encode())
            text.flush()
            answer = text.readline()
            while answer.startswith(b"*"):
                answer = text.readline()
            return answer

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(guess, range(256, 256 * 61, 256)))
    # Two more at most were being checked when the twelfth failed.
    assert 12 <= sum(b"AUTHENTICATIONFAILED" in a for a in answers) <= 14
    assert all(b"AUTHENTICATIONFAILED" in a or b"[UNAVAILABLE] Too many failed logins" in a for a in answers)
    assert b"[UNAVAILABLE]" in guess(0xffff, password=alice.password)
    assert guess(1, "2001:db8:2", alice.password).startswith(b"a OK")
    assert "2001:db8:1::/48" in lab.run("lockout", "list", "--dir", str(lab.dir)).stdout


# --- with programs that are not ours ---

@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy(proxied, alice, scratch, send):
    frontends = {name: harness.free_port() for name in ("smtp", "imaps")}
    text = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
    for name, port in frontends.items():
        text += (f"frontend f-{name}\n  bind 127.0.0.1:{port}\n  unique-id-format %[uuid]\n  default_backend b-{name}\n"
                 f"backend b-{name}\n  server valise 127.0.0.1:{proxied.ports[name]} {send}\n")
    (scratch / "haproxy.cfg").write_text(text)
    with open(scratch / "haproxy.log", "wb") as log:
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(scratch / "haproxy.cfg")], stdout=log, stderr=log)
    try:
        harness.wait_until(lambda: not harness.port_is_free(frontends["imaps"]), 30, "haproxy listens")
        message, subject = helpers.letter(alice.address)
        with smtplib.SMTP("127.0.0.1", frontends["smtp"], timeout=30, source_address=("127.0.0.9", 0)) as smtp:
            smtp.starttls(context=ssl._create_unverified_context())
            smtp.sendmail(helpers.STRANGER, [alice.address], message)
        with imaplib.IMAP4_SSL("localhost", frontends["imaps"], ssl_context=helpers.tls_context(proxied), timeout=30) as session:
            session.login(alice.address, alice.password)
            helpers.ok(session.select())
            number = helpers.ok(session.search(None, "SUBJECT", f'"{subject}"'))[0].split()[0]
            header = helpers.ok(session.fetch(number, "(BODY[HEADER])"))[0][1].decode()
        assert "([127.0.0.9])" in header, header
    finally:
        haproxy.terminate()
        haproxy.wait(30)


def test_curl(proxied, alice):
    """curl names its own address: a version 1 header in front of implicit TLS."""
    done = subprocess.run(["curl", "-sS", "--haproxy-protocol", "--interface", "127.0.0.8", "--cacert", proxied.ca(), "--user",
                           f"{alice.address}:{alice.password}", f"imaps://localhost:{proxied.ports['imaps']}/INBOX", "-X", "NOOP"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert f"user={alice.address}" in session_of(proxied, "127.0.0.8")


def swaks(lab, to, *args):
    return subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(lab.ports["smtp"]), "--from", helpers.STRANGER, "--to", to, *args],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)


def test_swaks_says_xclient(lab, alice):
    configure(lab, {"smtp": 'xclient-from = {"127.0.0.1"}'})
    lab.start()
    done = swaks(lab, alice.address, "--xclient-addr", CLIENT, "--xclient-name", "host.example.net", "--xclient-port", "4242",
                 "--ehlo", "client.example.net", "--header", "Subject: xclient")
    assert done.returncode == 0, done.stdout
    assert re.search(r"-> XCLIENT .*\n<-  220 ", done.stdout), done.stdout
    with helpers.imap(lab, alice) as session:
        helpers.ok(session.select())
        number = helpers.ok(session.search(None, "SUBJECT", "xclient"))[0].split()[0]
        header = helpers.ok(session.fetch(number, "(BODY[HEADER])"))[0][1].decode()
    assert f"from client.example.net (host.example.net [{CLIENT}])" in header, header
    assert re.search(r"port=4242 listener=smtp .*via=127\.0\.0\.1 helo=client\.example\.net", session_of(lab, CLIENT))
    refused = swaks(lab, alice.address, "--local-interface", "127.0.0.3", "--xclient-addr", CLIENT)
    assert refused.returncode != 0 and "XCLIENT" not in re.sub(r"\*\*\*.*", "", refused.stdout), refused.stdout
