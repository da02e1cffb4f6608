"""Logging in with a certificate of the lab's CA: SASL EXTERNAL (RFC 4422 appendix A), by clients that somebody else wrote and by hand."""

import base64
import json
import ssl

import pytest

from harness import DOMAIN
from helpers import Account, Dialogue, client, letter, tls_context, wait_for_mail
from test_certificates_tls import client_certificate, configure, made, s_client

ALICE = f"alice@{DOMAIN}"
LISTENERS = ("submission", "submissions", "imap", "imaps")


def issue(lab, address):
    """(key, certificate, serial) of a new certificate for ADDRESS, from the command line's PKCS #12 file."""
    base = lab.dir.parent / address.partition("@")[0]
    p12, key, cert = base.with_suffix(".p12"), base.with_suffix(".key"), base.with_suffix(".pem")
    done = lab.run("cert", "issue", "--user", address, "--p12", str(p12), "--password-stdin", "--json", "--dir", str(lab.dir), input="secret\n")
    made("pkcs12", "-in", p12, "-passin", "pass:secret", "-nodes", "-nocerts", "-out", key)
    made("pkcs12", "-in", p12, "-passin", "pass:secret", "-clcerts", "-nokeys", "-out", cert)
    return key, cert, json.loads(done.stdout)["serial"]


@pytest.fixture
def certified(lab):
    """A lab that asks for certificates, running."""
    for name in LISTENERS:
        configure(lab, f"listener {name} {{", f'listener {name} {{\n  client-cert = "request"')
    return lab.start()


def secured(lab, port, key=None, cert=None):
    d = Dialogue(lab.ports[port])
    context = tls_context(lab)
    if key:
        context.load_cert_chain(cert, key)
    if port == "submission":
        d.reply()
        d.smtp("EHLO client.example.org")
        assert d.smtp("STARTTLS")[0] == 220
    d.socket = context.wrap_socket(d.socket, server_hostname="localhost")
    if port == "imaps":
        d.line()
    return d


def mechanisms(d, imap):
    words = d.imap("CAPABILITY")[1][0].split() if imap else " ".join(d.smtp("EHLO client.example.org")[1]).split()
    return {w.removeprefix("AUTH=") for w in words}


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_offered_and_taken(certified):
    key, cert, _ = issue(certified, ALICE)
    with secured(certified, "imaps", key, cert) as d:
        assert "EXTERNAL" in mechanisms(d, imap=True)
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("OK")
        assert d.imap("SELECT INBOX")[0].startswith("OK")
    with secured(certified, "submission", key, cert) as d:
        assert "EXTERNAL" in mechanisms(d, imap=False)
        assert d.smtp("AUTH EXTERNAL")[0] == 334
        assert d.smtp("")[0] == 235
        assert d.smtp(f"MAIL FROM:<bob@{DOMAIN}>")[0] == 553
        assert d.smtp(f"MAIL FROM:<{ALICE}>")[0] == 250


def test_the_own_address_and_no_other(certified):
    key, cert, _ = issue(certified, ALICE)
    with secured(certified, "imaps", key, cert) as d:
        for other in f"bob@{DOMAIN}", f"nobody@{DOMAIN}", "x", "*":
            assert d.imap(f"AUTHENTICATE EXTERNAL {b64(other)}")[0].startswith("NO [AUTHENTICATIONFAILED]"), other
        assert d.imap(f"AUTHENTICATE EXTERNAL {b64('Alice@MONDOMAINE.fr')}")[0].startswith("OK")


def test_failures_are_counted(certified):
    key, cert, _ = issue(certified, ALICE)
    with secured(certified, "submission", key, cert) as d:
        d.smtp("EHLO client.example.org")
        wrong = f"AUTH EXTERNAL {b64(f'bob@{DOMAIN}')}"
        assert [d.smtp(wrong)[0] for _ in range(3)] == [535, 535, 535]
        assert d.reply()[0] == 421


def test_a_disabled_account_and_a_revoked_certificate(certified):
    key, cert, serial = issue(certified, ALICE)

    def offered():
        with secured(certified, "imaps", key, cert) as d:
            return "EXTERNAL" in mechanisms(d, imap=True) and d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("OK")

    assert offered()
    certified.run("user", "disable", ALICE, "--dir", str(certified.dir))
    assert not offered()
    certified.run("user", "enable", ALICE, "--dir", str(certified.dir))
    assert offered()
    with secured(certified, "imaps", key, cert) as d:       # revoked between the offer and the login
        assert "EXTERNAL" in mechanisms(d, imap=True)
        certified.run("cert", "revoke", serial, "--dir", str(certified.dir))
        assert d.line().startswith("* BYE ") and d.line() == ""
    with secured(certified, "imaps", key, cert) as d:
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO [")
        assert d.imap(f'LOGIN "{ALICE}" "{certified.accounts[ALICE]}"')[0].startswith("OK")     # served as anyone else
    assert not offered()


@pytest.mark.parametrize("port", ["imaps", "submission"])
def test_a_foreign_certificate_is_served_without_external(certified, port):
    with secured(certified, port, *client_certificate(certified, "alice", "self")) as d:
        imap = port == "imaps"
        assert "EXTERNAL" not in mechanisms(d, imap) and "PLAIN" in mechanisms(d, imap)
        if imap:
            assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO [CANNOT]")
        else:
            assert d.smtp("AUTH EXTERNAL =")[0] == 504


def test_a_certificate_of_an_alias_logs_in_nobody(certified):
    certified.run("alias", "add", f"vente@{DOMAIN}", ALICE, "--dir", str(certified.dir))
    key, cert, _ = issue(certified, f"vente@{DOMAIN}")
    with secured(certified, "imaps", key, cert) as d:
        assert "EXTERNAL" not in mechanisms(d, imap=True)


def test_a_program_submits_and_reads_nothing(certified):
    robot = f"robot@{DOMAIN}"
    certified.run("user", "add", robot, "--role", "program", "--dir", str(certified.dir))
    key, cert, _ = issue(certified, robot)
    with secured(certified, "submission", key, cert) as d:
        assert "EXTERNAL" in mechanisms(d, imap=False)
        assert d.smtp("AUTH EXTERNAL =")[0] == 235
        assert d.smtp(f"MAIL FROM:<{robot}>")[0] == 250
    with secured(certified, "imaps", key, cert) as d:
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO ")


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_curl(certified, tls):
    key, cert, _ = issue(certified, ALICE)
    message, subject = letter(ALICE, sender=ALICE)
    common = ("curl", "-sv", "--ssl-reqd", "--cacert", certified.ca(), "--cert", cert, "--key", key, "--login-options", "AUTH=EXTERNAL",
              f"--tlsv{tls}", "--tls-max", tls)
    done = client(*common, "-u", f"{ALICE}:", "--mail-from", ALICE, "--mail-rcpt", ALICE, "-T", "-",
                  f"smtp://localhost:{certified.ports['submission']}", input=message.decode())
    assert done.returncode == 0 and "AUTH EXTERNAL" in done.stdout, done.stdout
    wait_for_mail(certified, Account(ALICE, certified.accounts[ALICE]), subject)
    done = client(*common, "-u", f"{ALICE}:", f"imaps://localhost:{certified.ports['imaps']}/INBOX;MAILINDEX=1")
    assert done.returncode == 0 and subject in done.stdout and "AUTHENTICATE EXTERNAL" in done.stdout, done.stdout


def test_swaks(certified):
    key, cert, _ = issue(certified, ALICE)
    done = client("swaks", "--server", f"localhost:{certified.ports['submission']}", "--tls", "--tls-cert", cert, "--tls-key", key,
                  "--to", ALICE, "--quit-after", "EHLO")       # it has no EXTERNAL of its own
    assert done.returncode == 0 and "AUTH EXTERNAL " in done.stdout, done.stdout


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(certified, protocol):
    key, cert, _ = issue(certified, ALICE)
    port = certified.ports["imap" if protocol == "imap" else "submission"]
    done = client("gsasl", f"--{protocol}", "--connect", f"localhost:{port}", "--x509-ca-file", certified.ca(), "--x509-cert-file", cert,
                  "--x509-key-file", key, "-m", "EXTERNAL", "-z", ALICE, "--quiet", input="")
    assert done.returncode == 0, done.stdout


def test_openssl(certified):
    key, cert, _ = issue(certified, ALICE)
    out = s_client(certified, "-cert", cert, "-key", key)
    assert "AUTH=EXTERNAL" in out, out
    assert "AUTH=EXTERNAL" not in s_client(certified)


def test_named_only(lab):
    configure(lab, "listener imaps {", 'listener imaps {\n  client-cert = "request"\n  auth = {"EXTERNAL"}')
    lab.start()
    key, cert, _ = issue(lab, ALICE)
    with secured(lab, "imaps", key, cert) as d:
        offered = mechanisms(d, imap=True)
        assert "LOGINDISABLED" in offered and "EXTERNAL" in offered and not offered & {"PLAIN", "LOGIN", "SCRAM-SHA-256"}
        assert d.imap(f'LOGIN "{ALICE}" "{lab.accounts[ALICE]}"')[0].startswith("NO")
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("OK")
    assert lab.stop() == 0


def test_required_by_smtp_is_told_in_words(lab):
    """RFC 3207 section 4.1 under TLS, section 4 before it."""
    configure(lab, "listener submission {", 'listener submission {\n  client-cert = "required"')
    configure(lab, "listener smtp {", 'listener smtp {\n  client-cert = "required"')
    lab.start()
    key, cert, _ = issue(lab, ALICE)
    lack = (554, ["554 5.7.0 Command refused due to lack of security; connect with a client certificate that is accepted here"])
    for port in "smtp", "submission":
        for certificate in (), client_certificate(lab, "stranger", "self"):
            with Dialogue(lab.ports[port]) as d:
                d.reply()
                assert d.smtp("EHLO client.example.org")[0] == 250
                assert d.smtp("MAIL FROM:<>") == (530, ["530 5.7.0 Must issue a STARTTLS command first"])
                assert d.smtp("STARTTLS")[0] == 220
                context = tls_context(lab)
                if certificate:
                    context.load_cert_chain(certificate[1], certificate[0])
                d.socket = context.wrap_socket(d.socket, server_hostname="localhost")
                for command in "EHLO client.example.org", "MAIL FROM:<>", "NOOP", "NONSENSE":
                    assert d.smtp(command) == lack
                assert d.smtp("QUIT")[0] == 221
    with secured(lab, "submission", key, cert) as d:
        assert "EXTERNAL" in mechanisms(d, imap=False)
        assert d.smtp("AUTH EXTERNAL =")[0] == 235
    assert lab.stop() == 0


def test_too_old_a_tls_ends_in_the_handshake(lab):
    """An SMTP server that would say 554 instead would have opportunistic senders bounce mail that they could send in clear."""
    configure(lab, "listener smtp {", 'listener smtp {\n  min-tls = "1.3"')
    lab.start()
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        assert d.smtp("STARTTLS")[0] == 220
        context = tls_context(lab)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            context.wrap_socket(d.socket, server_hostname="localhost")
    assert lab.stop() == 0


def test_reload_changes_what_is_offered(lab):
    lab.start()

    def offered():
        with Dialogue(lab.ports["submission"]) as d:
            d.reply()
            d.smtp("EHLO client.example.org")
            assert d.smtp("STARTTLS")[0] == 220
            d.secure(lab)
            return next(line[9:] for line in d.smtp("EHLO client.example.org")[1] if line[4:].startswith("AUTH "))

    assert offered() == "SCRAM-SHA-256 PLAIN LOGIN"
    configure(lab, "listener submission {", 'listener submission {\n  auth = {"PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}')
    lab.run("reload", "--dir", str(lab.dir))
    assert offered() == "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"
    configure(lab, '"PLAIN", "SCRAM-SHA-256-PLUS"', '"NTLM"')
    done = lab.run("reload", "--dir", str(lab.dir), check=False)
    assert done.returncode == 78 and "no mechanism" in done.stderr and "NTLM" in done.stderr
    assert offered() == "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"
    assert lab.stop() == 0
