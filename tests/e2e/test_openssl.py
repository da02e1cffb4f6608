"""openssl s_client: the certificate chains up to the lab's CA on every port, and only modern TLS is spoken."""

import pytest

from helpers import client

LISTENERS = [("smtp", "smtp"), ("submission", "smtp"), ("imap", "imap"), ("smtps", None), ("imaps", None)]


def s_client(server, port, starttls, *args, input=""):
    upgrade = ["-starttls", starttls] if starttls else []
    return client("openssl", "s_client", "-connect", f"localhost:{server.ports[port]}", "-CAfile", server.ca(), "-verify_return_error",
                  "-verify_hostname", "localhost", *upgrade, *args, input=input).stdout


@pytest.mark.parametrize("port, starttls", LISTENERS)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_certificate_is_verified(server, port, starttls, version):
    out = s_client(server, port, starttls, version)
    assert "Verify return code: 0 (ok)" in out
    assert ("TLSv1.3" if version == "-tls1_3" else "TLSv1.2") in out


@pytest.mark.parametrize("port, starttls", LISTENERS)
def test_old_tls_is_refused(server, port, starttls):
    out = s_client(server, port, starttls, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "Cipher is (NONE)" in out or "alert protocol version" in out


def test_hostname_of_the_server_is_in_the_certificate(server):
    out = client("openssl", "s_client", "-connect", f"localhost:{server.ports['imaps']}", "-CAfile", server.ca(),
                 "-verify_return_error", "-verify_hostname", "mailhost.mondomaine.fr", input="").stdout
    assert "Verify return code: 0 (ok)" in out


def test_dialogue_after_starttls(server):
    out = s_client(server, "submission", "smtp", "-quiet", "-crlf", "-ign_eof", input="EHLO client.example.org\nQUIT\n")
    assert "AUTH" in out and "221" in out
    assert "STARTTLS" not in out.partition("250-")[2], "STARTTLS is not offered within TLS (RFC 3207 section 4.2)"


def test_imap_dialogue(server):
    out = s_client(server, "imaps", None, "-quiet", "-crlf", "-ign_eof", input="a CAPABILITY\nb LOGOUT\n")
    assert "* OK" in out and "IMAP4rev1" in out and "\na OK" in out and "* BYE" in out and "\nb OK" in out


def test_unknown_alpn_is_refused(server):
    out = s_client(server, "imaps", None, "-alpn", "h2")
    assert "no application protocol" in out


@pytest.mark.parametrize("port, starttls, ours", [("smtp", "smtp", "smtp"), ("submission", "smtp", "smtp"), ("smtps", None, "smtp"), ("imap", "imap", "imap"),
                                                  ("imaps", None, "imap")])
def test_no_protocol_is_taken_for_another(server, port, starttls, ours):
    """A listener's ALPN is what it speaks: a client that was led to the wrong port gets no session (ALPACA)."""
    for name in ("http/1.1", "h2", "ftp", "imap", "smtp"):
        out = s_client(server, port, starttls, "-alpn", name)
        assert (f"ALPN protocol: {name}" in out) == (name == ours), (port, name, out)
        assert ("no application protocol" in out) == (name != ours)
