"""VRFY and EXPN (RFC 5321 section 3.5): answers for administrators who are logged in, none for others."""

import smtplib

from harness import DOMAIN
from helpers import tls_context


def submission(server, address, password):
    smtp = smtplib.SMTP("localhost", server.ports["submission"], timeout=30)
    smtp.starttls(context=tls_context(server))
    smtp.login(address, password)
    return smtp


def test_an_administrator_is_told(lab):
    alice, bob = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
    lab.run("user", "role", alice, "admin", "--dir", str(lab.dir))
    lab.run("alias", "add", f"equipe@{DOMAIN}", alice, bob, "--dir", str(lab.dir))
    lab.start()
    with submission(lab, alice, lab.accounts[alice]) as smtp:
        assert smtp.verify("bob") == (250, f"2.1.5 <{bob}>".encode())
        assert smtp.verify(f"<{bob}>") == (250, f"2.1.5 <{bob}>".encode())
        assert smtp.verify("personne")[0] == 550
        assert smtp.verify("bob@example.org")[0] == 550
        code, text = smtp.expn("equipe")
        assert code == 250 and sorted(line.split()[-1] for line in text.decode().splitlines()) == [f"<{alice}>", f"<{bob}>"]
        assert smtp.expn("bob")[0] == 550
        lab.run("group", "add", f"choeur@{DOMAIN}", "--dir", str(lab.dir))
        lab.run("group", "member", "add", f"choeur@{DOMAIN}", bob, "--dir", str(lab.dir))
        assert smtp.expn("choeur") == (250, f"2.1.5 <{bob}>".encode())
        lab.run("domain", "add", "second.example", "--dir", str(lab.dir))
        lab.add_user("bob@second.example")
        code, text = smtp.verify("bob")
        assert code == 553 and b"<bob@second.example>" in text
    with submission(lab, bob, lab.accounts[bob]) as smtp:
        assert smtp.verify("alice")[0] == 252 and smtp.verify("personne")[0] == 252
        assert smtp.expn("equipe")[0] == 502
    with smtplib.SMTP("localhost", lab.ports["smtp"], timeout=30) as smtp:
        smtp.ehlo()
        assert smtp.verify("alice")[0] == 252 and smtp.expn("equipe")[0] == 502
    assert lab.stop() == 0
