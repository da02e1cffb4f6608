"""Which spellings of an address reach a mailbox, which are refused, and with what code (RFC 5321 sections 4.1.2, 4.1.3, 4.5.1, RFC 6531)."""

import unicodedata

import pytest

import helpers
from harness import DOMAIN

IDN = "château.example"
A_LABEL = "xn--chteau-xta.example"


@pytest.fixture(scope="module")
def spelled(server):
    """An account and its aliases: a quoted local part, UTF-8, an internationalized domain."""
    address = f"dupont@{DOMAIN}"
    server.add_user(address)
    server.run("domain", "add", IDN, "--dir", str(server.dir))
    for alias in (f'"jean dupont"@{DOMAIN}', f"élise@{DOMAIN}", f"elise@{IDN}"):
        server.run("alias", "add", alias, address, "--dir", str(server.dir))
    return helpers.Account(address, server.accounts[address])


def rcpt(server, path, utf8=False):
    with helpers.Dialogue(server.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        assert d.smtp(f"MAIL FROM:<{helpers.STRANGER}>{' SMTPUTF8' if utf8 else ''}")[0] == 250
        code, lines = d.smtp(f"RCPT TO:{path}")
        return code, lines[-1][4:9]


@pytest.mark.parametrize("path", [
    f"<dupont@{DOMAIN}>", f"<DuPont@{DOMAIN.upper()}>", f'<"dupont"@{DOMAIN}>', f'<"du\\pont"@{DOMAIN}>', f"<dupont+facture@{DOMAIN}>",
    f"<dupont+a+b@{DOMAIN}>", f"<@relay.example.net,@other.example:dupont@{DOMAIN}>", f'<"jean dupont"@{DOMAIN}>',
    f'<"jean\\ dupont"@{DOMAIN}>', f"<elise@{A_LABEL}>", f"<Elise@{A_LABEL.upper()}>", "<postmaster>", "<PostMaster>", f"<POSTMASTER@{DOMAIN}>",
    f"<postmaster@{A_LABEL}>", "<postmaster@[127.0.0.1]>", f"  <dupont@{DOMAIN}>",
], ids=str)
def test_ascii_spellings_are_taken(server, spelled, path):
    assert rcpt(server, path)[0] == 250


@pytest.mark.parametrize("local, domain", [("élise", DOMAIN), ("ÉLISE", DOMAIN), ("élise+x", DOMAIN), ("elise", IDN), ("elise", IDN.upper())])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_utf8_spellings_are_taken(server, spelled, local, domain, form):
    assert rcpt(server, f"<{unicodedata.normalize(form, local)}@{unicodedata.normalize(form, domain)}>", utf8=True)[0] == 250


@pytest.mark.parametrize("path, code, status", [
    (f"<élise@{DOMAIN}>", 553, "5.6.7"), (f"<dupont@{DOMAIN}.>", 501, "5.1.3"), (f"<dupont@.{DOMAIN}>", 501, "5.1.3"), (f"<.dupont@{DOMAIN}>", 501, "5.1.3"),
    (f"<du..pont@{DOMAIN}>", 501, "5.1.3"), (f"<dupont@@{DOMAIN}>", 501, "5.1.3"), (f"<jean dupont@{DOMAIN}>", 501, "5.1.3"), ("<dupont>", 501, "5.1.3"),
    ("<>", 501, "5.1.3"), ("<@>", 501, "5.1.3"), (f'<"dupont@{DOMAIN}>', 501, "5.1.3"), (f'<"dupont"x@{DOMAIN}>', 501, "5.1.3"), (f"<@{DOMAIN}>", 501, "5.1.3"),
    ("<dupont@[127.0.0.1>", 501, "5.1.3"), ("<dupont@[300.0.0.1]>", 501, "5.1.3"), ("<dupont@[IPv6:]>", 501, "5.1.3"), (f"<@relay dupont@{DOMAIN}>", 501, "5.1.3"),
    (f"dupont@{DOMAIN}", 501, "5.1.3"), (f"<personne@{DOMAIN}>", 550, "5.1.1"), (f"<{'x' * 65}@{DOMAIN}>", 550, "5.1.1"), ("<dupont@[127.0.0.1]>", 550, "5.7.1"), ("<dupont@[192.0.2.1]>", 550, "5.7.1"),
    ("<dupont@[IPv6:2001:db8::1]>", 550, "5.7.1"), ("<dupont@example.net>", 550, "5.7.1"), (f"<dupont%{DOMAIN}@example.net>", 550, "5.7.1"),
    (f"<dupont%example.net@{DOMAIN}>", 550, "5.7.1"), (f"<example.net!dupont@{DOMAIN}>", 550, "5.7.1"), (f'<"dupont@example.net"@{DOMAIN}>', 550, "5.7.1"),
    (f"<@{DOMAIN}:dupont@example.net>", 550, "5.7.1"), (f"<dupont@x.{DOMAIN}>", 550, "5.7.1"), (f"<{'x' * 300}@{DOMAIN}>", 501, "5.1.3"),
    (f"<dupont@{'x' * 64}.example>", 501, "5.1.3"),
], ids=str)
def test_others_are_refused_for_their_reason(server, spelled, path, code, status):
    assert rcpt(server, path) == (code, status)


def test_utf8_in_the_local_part_has_to_be_utf8(server, spelled):
    with helpers.Dialogue(server.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        d.smtp(f"MAIL FROM:<{helpers.STRANGER}> SMTPUTF8")
        d.send(b"RCPT TO:<\xe9lise@" + DOMAIN.encode() + b">\r\n")
        assert d.reply()[0] == 501


def test_every_spelling_is_the_same_mailbox(server, spelled):
    paths = [f"DUPONT+x@{DOMAIN}", f'"jean dupont"@{DOMAIN}', f"elise@{A_LABEL}"]
    message, subject = helpers.letter(spelled.address)
    with helpers.Dialogue(server.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        d.smtp("MAIL FROM:<>")
        for path in paths:
            assert d.smtp(f"RCPT TO:<{path}>")[0] == 250
        assert d.smtp("DATA")[0] == 354
        d.send(message + b"\r\n.\r\n")
        assert d.reply()[0] == 250
    assert helpers.wait_for_mail(server, spelled, subject).startswith(b"Return-Path: <>\r\n")
    with helpers.imap(server, spelled) as session:
        assert helpers.subjects(session).count(subject) == 1


@pytest.mark.parametrize("domain", [IDN, A_LABEL, A_LABEL.upper(), "Autre.example"], ids=["U-label", "A-label", "upper case", "other name"])
def test_commands_know_a_user_by_every_spelling(server, spelled, domain, tmp_path):
    """By the domain as people write it, as DNS has it, and by another name of the domain."""
    here = ("--dir", str(server.dir))
    if "Autre" in domain:
        server.run("domain", "alias", "add", "autre.example", IDN, *here)
    address = f"Anna@{domain}"
    added = server.run("user", "add", address, "--password-stdin", *here, input="le premier secret\n").stdout
    assert (" is added as anna@" in added) == ("Autre" in domain)   # who names another domain is told where it is
    try:
        server.run("user", "passwd", address, "--password-stdin", *here, input="un autre secret\n")
        for command in (("user", "disable"), ("user", "enable"), ("user", "history"), ("user", "app-password", "list"), ("lockout", "lift")):
            server.run(*command, address, *here)
        server.run("user", "quota", address, "--storage", "1G", *here)
        server.run("user", "app-password", "add", address, "phone", *here)
        assert "phone" in server.run("user", "app-password", "list", f"anna@{IDN}", *here).stdout
        server.run("user", "role", address, "admin", *here)
        server.run("group", "add", "cercle", *here)
        server.run("group", "member", "add", "cercle", address, *here)
        server.run("group", "member", "remove", "cercle", address, *here)
        server.run("group", "remove", "cercle", *here)
        server.run("alias", "add", f"annette@{IDN}", address, *here)
        server.run("alias", "remove", f"Annette@{domain}", *here)
        server.run("export", "maildir", address, str(tmp_path / "export"), *here)
        server.run("import", "maildir", address, str(tmp_path / "export"), *here)
        server.run("ca", "renew", *here)  # the domains were not there when it was made
        server.run("cert", "issue", "--user", address, "--p12", str(tmp_path / "anna.p12"), "--password-stdin", *here, input="du fichier\n")
        with helpers.imap(server, helpers.Account(f"anna@{A_LABEL}", "un autre secret")) as session:
            assert session.state == "AUTH"
    finally:
        server.run("user", "remove", address, *here)
        if "Autre" in domain:
            server.run("domain", "alias", "remove", "autre.example", *here)
