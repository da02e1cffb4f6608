"""The CA speaks only for us: what the server refuses to issue and to renew, what a thief of the CA's key gains, and how an administrator gets to names
that came later. Verifiers that nobody here wrote judge: OpenSSL, GnuTLS, NSS."""

import json
import os
import subprocess

import pytest

import harness
from harness import DOMAIN, HOSTNAME
from test_certificates import as_json, openssl, shown, user_certificate, valise

DATAERR, NOUSER, CANTCREAT, NOPERM = 65, 67, 73, 77
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
SMTP_UTF8 = "1.3.6.1.5.5.7.8.9"


class Thief:
    """Has ca.key and signs what he likes with it, by OpenSSL's tool."""

    def __init__(self, lab, scratch):
        self.ca, self.key, self.scratch, self.n = lab.dir / "ca.pem", lab.dir / "keys" / "ca.key", scratch, 0

    def signs(self, sans, subject="/O=thief", usage="serverAuth", ca=False):
        self.n += 1
        key, request, cert, ext = (self.scratch / f"{self.n}{end}" for end in (".key", ".csr", ".pem", ".ext"))
        assert openssl("req", "-new", *EC, "-keyout", key, "-out", request, "-subj", subject).returncode == 0
        ext.write_text(f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}\nextendedKeyUsage={usage}\n"
                       f"keyUsage=critical,{'keyCertSign' if ca else 'digitalSignature'}\n" + (f"subjectAltName={sans}\n" if sans else ""))
        done = openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-days", 30, "-extfile", ext, "-out", cert)
        assert done.returncode == 0, done.stdout
        return cert


def by_openssl(ca, cert, usage):
    return openssl("verify", "-CAfile", ca, "-purpose", "sslserver" if usage == "serverAuth" else "smimesign", cert).returncode == 0


def by_gnutls(ca, cert, usage):
    done = subprocess.run(["certtool", "--verify", "--load-ca-certificate", str(ca), "--infile", str(cert), "--verify-profile", "medium",
                           "--verify-purpose", "1.3.6.1.5.5.7.3.1" if usage == "serverAuth" else "1.3.6.1.5.5.7.3.4"],
                          capture_output=True, text=True, check=False)
    return done.returncode == 0 and "The certificate is trusted" in done.stdout


def by_nss(ca, cert, usage):
    folder = cert.with_suffix(".nss")
    folder.mkdir()
    database = f"sql:{folder}"
    for args in (("-N", "--empty-password"), ("-A", "-n", "ca", "-t", "TC,C,", "-i", str(ca)), ("-A", "-n", "it", "-t", ",,", "-i", str(cert))):
        subprocess.run(["certutil", args[0], "-d", database, *args[1:]], check=True)
    done = subprocess.run(["certutil", "-V", "-d", database, "-n", "it", "-e", "-u", "V" if usage == "serverAuth" else "S"], capture_output=True,
                          text=True, check=False)
    return done.returncode == 0 and "certificate is valid" in done.stdout


def utf8(address):
    return f"@names\n[names]\notherName.0={SMTP_UTF8};FORMAT:UTF8,UTF8String:{address}"


def ca_notes(lab):
    return [n for n in as_json(lab, "check")["notes"] if "administrator" not in n]


def test_what_a_thief_of_the_key_gains(lab, scratch):
    """All verifiers agree on every name but URIs; only OpenSSL of the three knows SmtpUTF8Mailbox."""
    thief = Thief(lab, scratch)
    for sans, usage, good in (
            (f"DNS:www.{DOMAIN}", "serverAuth", True), (f"DNS:*.{DOMAIN}", "serverAuth", True), (f"DNS:{HOSTNAME}", "serverAuth", True),
            ("DNS:localhost,IP:127.0.0.1,IP:::1", "serverAuth", True), ("IP:10.1.2.3", "serverAuth", True),
            ("DNS:www.google.com", "serverAuth", False), ("DNS:*.com", "serverAuth", False), ("IP:8.8.8.8", "serverAuth", False),
            ("IP:2001:4860:4860::8888", "serverAuth", False), (f"DNS:{DOMAIN},DNS:www.google.com", "serverAuth", False),
            (f"DNS:not{DOMAIN}", "serverAuth", False), (f"DNS:{DOMAIN}.evil.example", "serverAuth", False),
            (f"email:alice@{DOMAIN}", "emailProtection", True), ("email:alice@gmail.com", "emailProtection", False),
            (f"email:alice@www.{DOMAIN}", "emailProtection", False)):
        cert = thief.signs(sans, usage=usage)
        for verifier in (by_openssl, by_gnutls, by_nss):
            assert verifier(lab.dir / "ca.pem", cert, usage) == good, (verifier.__name__, sans)
    for verifier in (by_openssl, by_nss):   # GnuTLS looks at no URI
        assert not verifier(lab.dir / "ca.pem", thief.signs(f"DNS:{HOSTNAME},URI:https://www.google.com/"), "serverAuth"), verifier.__name__
    for address, good in ((f"élise@{DOMAIN}", True), ("élise@gmail.com", False)):
        assert by_openssl(lab.dir / "ca.pem", thief.signs(utf8(address), usage="emailProtection"), "emailProtection") == good, address


def purposes(ca):
    return openssl("x509", "-in", ca, "-noout", "-ext", "extendedKeyUsage").stdout


def test_the_root_is_for_tls_and_mail_only(lab, scratch):
    """What the root says for those who look (OpenSSL and Windows do, GnuTLS and NSS go by how it was installed); an older one is told of and renewed."""
    assert purposes(lab.dir / "ca.pem").split("\n")[1].strip() == "TLS Web Server Authentication, TLS Web Client Authentication, E-mail Protection"
    assert as_json(lab, "ca", "show")["narrow"]
    new, cert = scratch / "new.pem", scratch / "cert.pem"
    new.write_text((lab.dir / "ca.pem").read_text())
    cert.write_text((lab.dir / "tls" / "server.pem").read_text())
    ext, owner = scratch / "former.cnf", os.stat(lab.dir / "ca.pem")
    ext.write_text("[x]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n"
                   "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nnameConstraints=critical,"
                   f"permitted;DNS:{DOMAIN},permitted;DNS:localhost,permitted;email:{DOMAIN},permitted;IP:127.0.0.0/255.0.0.0\n")

    def root_again(out):        # of the same name and key, with other extensions
        return openssl("x509", "-in", new, "-signkey", lab.dir / "keys" / "ca.key", "-days", 3650, "-clrext", "-extfile", ext, "-extensions", "x", "-out", out)

    done = root_again(lab.dir / "ca.pem")
    assert done.returncode == 0, done.stdout
    os.chown(lab.dir / "ca.pem", owner.st_uid, owner.st_gid)
    shown = as_json(lab, "ca", "show")
    assert shown["limited"] and not shown["narrow"] and "programs and URIs of ANYBODY" in valise(lab, "ca", "show").stdout
    assert any("sign programs" in n and "valise ca renew" in n for n in as_json(lab, "check")["notes"])
    valise(lab, "cert", "issue", "--server", f"x.{DOMAIN}")     # it goes on meanwhile
    valise(lab, "ca", "renew")
    assert as_json(lab, "ca", "show")["narrow"] and ca_notes(lab) == [] and purposes(lab.dir / "ca.pem") == purposes(new)
    for verifier in (by_openssl, by_gnutls, by_nss):
        assert verifier(lab.dir / "ca.pem", cert, "serverAuth"), verifier.__name__
    # OpenSSL holds the root to it: for what it does not name, nothing verifies.
    mail_only = scratch / "mail.pem"
    ext.write_text(ext.read_text() + "extendedKeyUsage=emailProtection\n")
    done = root_again(mail_only)
    assert done.returncode == 0 and not by_openssl(mail_only, cert, "serverAuth")


def test_a_thief_makes_no_ca_below_ours(lab, scratch):
    thief = Thief(lab, scratch)
    below = thief.signs("", subject="/CN=below", usage="serverAuth", ca=True)
    own = Thief(lab, scratch)
    own.ca, own.key, own.n = below, below.with_suffix(".key"), 50
    cert = own.signs(f"DNS:www.{DOMAIN}")
    assert openssl("verify", "-CAfile", lab.dir / "ca.pem", "-untrusted", below, cert).returncode != 0


def test_what_is_issued_verifies_everywhere(lab, scratch):
    lab.start()
    for name, more in ((f"two.{DOMAIN}", ("--san", "10.1.2.3", "--san", "fd00::25")), (f"*.{DOMAIN}", ()), ("192.168.1.1", ()), ("::1", ())):
        valise(lab, "cert", "issue", "--server", name, *more)
    for cert in (lab.dir / "tls").iterdir():
        copy = scratch / f"{cert.stem.replace(':', '_').replace('*', '_')}.pem"
        copy.write_text(cert.read_text())
        for verifier in (by_openssl, by_gnutls, by_nss):
            assert verifier(lab.dir / "ca.pem", copy, "serverAuth"), (verifier.__name__, cert.name)
            subprocess.run(["rm", "-rf", str(copy.with_suffix(".nss"))], check=True)
    both, _ = user_certificate(lab, scratch, f"alice@{DOMAIN}")
    pem = scratch / "only.pem"
    pem.write_text(openssl("x509", "-in", both).stdout)
    for verifier in (by_openssl, by_gnutls, by_nss):
        assert verifier(lab.dir / "ca.pem", pem, "emailProtection"), verifier.__name__
    assert lab.stop() == 0


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_what_is_not_issued(lab, running):
    if running:
        lab.start()
    for name in ("www.google.com", "*.com", "8.8.8.8", "2001:4860:4860::8888", f"*.web.{DOMAIN}"):
        done = valise(lab, "cert", "issue", "--server", name, check=False)
        assert done.returncode == NOPERM and f"may not issue for {name}" in done.stderr, done.stderr
        assert valise(lab, "cert", "issue", "--server", f"x.{DOMAIN}", "--san", name, check=False).returncode == NOPERM
    valise(lab, "ca", "allow", "203.0.113.7", "mail.elsewhere.net")
    done = valise(lab, "cert", "issue", "--server", "203.0.113.7", check=False)
    assert done.returncode == NOPERM and "`valise ca renew'" in done.stderr
    valise(lab, "ca", "renew")
    valise(lab, "cert", "issue", "--server", "203.0.113.7", "--san", "mail.elsewhere.net")
    assert openssl("verify", "-CAfile", lab.dir / "ca.pem", "-verify_ip", "203.0.113.7", lab.dir / "tls/203.0.113.7.pem").returncode == 0
    valise(lab, "ca", "deny", "203.0.113.7")
    done = valise(lab, "cert", "renew", "203.0.113.7", check=False)
    assert done.returncode == NOPERM and "valise ca allow 203.0.113.7" in done.stderr
    assert valise(lab, "ca", "deny", "203.0.113.7", check=False).returncode == NOUSER
    assert valise(lab, "ca", "allow", "a b", check=False).returncode == DATAERR
    names = {(n["kind"], n["name"]) for n in as_json(lab, "ca", "names")["names"]}
    assert ("host", "mail.elsewhere.net") in names and ("domain", DOMAIN) in names and ("address", "203.0.113.7") not in names
    if running:
        assert "event=issue-refused" in lab.log()
        assert lab.stop() == 0


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_domain_that_came_later(lab, scratch, running):
    """Added: allowed, but the root does not speak for it, which is told. Renewed: it does, and all that was issued goes on. Removed: nothing more."""
    if running:
        lab.start()
    name, former = "mail.zwei.example", scratch / "former.pem"
    former.write_text((lab.dir / "ca.pem").read_text())
    assert "`valise ca renew'" in valise(lab, "domain", "add", "Zwei.example").stdout
    assert "zwei.example" in valise(lab, "check").stdout and valise(lab, "check").returncode == 0
    assert valise(lab, "domain", "add", "zwei.example", check=False).returncode == CANTCREAT
    assert valise(lab, "cert", "issue", "--server", name, check=False).returncode == NOPERM
    before = as_json(lab, "ca", "show")
    told = as_json(lab, "ca", "renew")
    after = as_json(lab, "ca", "show")
    assert told["reloaded"] == running and told["fingerprint"] == after["fingerprint"] != before["fingerprint"]
    assert after["key-id"] == before["key-id"] and after["subject"] == before["subject"] and after["limited"]
    assert {"kind": "email", "name": "zwei.example"} in after["speaks-for"]
    assert ca_notes(lab) == []
    valise(lab, "cert", "issue", "--server", name, "--install")
    cert = lab.dir / "tls" / f"{name}.pem"
    assert openssl("verify", "-CAfile", lab.dir / "ca.pem", "-verify_hostname", name, cert).returncode == 0
    assert openssl("verify", "-CAfile", former, cert).returncode != 0
    for root in (former, lab.dir / "ca.pem"):       # what was issued before, under both
        assert openssl("verify", "-CAfile", root, lab.dir / "tls/server.pem").returncode == 0
    if running:
        assert (("commonName", name),) in shown(lab, name)["subject"]
        assert (("commonName", HOSTNAME),) in shown(lab, HOSTNAME)["subject"]
    valise(lab, "cert", "renew", name)
    valise(lab, "domain", "remove", "zwei.example")
    old = cert.read_text()
    done = valise(lab, "cert", "renew", name, check=False)
    assert done.returncode == NOPERM and name in done.stderr and cert.read_text() == old
    assert f"tls/{name}.pem will not be renewed" in "\n".join(as_json(lab, "check")["notes"])
    if running:
        concerns = as_json(lab, "status")["concerns"]
        assert any(f"tls/{name}.pem will not be renewed" in c for c in concerns), concerns
        assert "event=renewal-refused" in lab.log()
        assert lab.stop() == 0


def test_other_names_of_domains_are_followed(lab):
    valise(lab, "domain", "alias", "add", "autre.example", DOMAIN)
    assert {"kind": "domain", "name": "autre.example"} in as_json(lab, "ca", "names")["names"]
    valise(lab, "domain", "alias", "remove", "autre.example")
    assert {"kind": "domain", "name": "autre.example"} not in as_json(lab, "ca", "names")["names"]
    # refused changes leave the list alone
    assert valise(lab, "domain", "remove", DOMAIN, check=False).returncode != 0
    assert {"kind": "domain", "name": DOMAIN} in as_json(lab, "ca", "names")["names"]


def test_a_revoked_certificate_is_not_renewed_by_itself(lab):
    name = f"short.{DOMAIN}"
    valise(lab, "cert", "issue", "--server", name, "--seconds", 600, "--install")
    serial = next(c["serial"] for c in as_json(lab, "cert", "list")["certificates"] if c["names"] == [name])
    valise(lab, "cert", "revoke", serial)
    lab.start()
    harness.wait_until(lambda: "event=renewal-refused" in lab.log(), 60, "the renewal is refused")
    assert f"chain=tls/{name}.pem" in lab.log() and len(as_json(lab, "cert", "list")["certificates"]) == 2
    done = valise(lab, "cert", "renew", name, check=False)
    assert done.returncode == NOPERM and "was revoked on" in done.stderr and "valise cert issue" in done.stderr
    assert any("was revoked on" in c for c in as_json(lab, "status")["concerns"])
    assert any("was revoked on" in n for n in as_json(lab, "check")["notes"])
    assert lab.stop() == 0


def unlimited(lab):
    """The lab's CA as an older valise made it: no name constraints, one more CA below it allowed, no list."""
    key, ca = lab.dir / "keys" / "ca.key", lab.dir / "ca.pem"
    owner = os.stat(ca)
    ext = lab.dir.parent / "old.cnf"
    ext.write_text("[req]\ndistinguished_name=dn\nx509_extensions=x\n[dn]\n[x]\nbasicConstraints=critical,CA:TRUE,pathlen:1\n"
                   "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
    done = openssl("req", "-x509", "-new", "-key", key, "-days", 3650, "-subj", f"/OU=a lab, not for real mail/CN={DOMAIN} root CA", "-config", ext, "-out", ca)
    assert done.returncode == 0, done.stdout
    os.chown(ca, owner.st_uid, owner.st_gid)
    os.chmod(ca, 0o644)
    (lab.dir / "keys" / "ca.names").unlink()


def test_a_ca_of_an_older_valise(lab):
    """Goes on for its first domain without a list, gets one by `upgrade`, and is told how to be limited."""
    valise(lab, "domain", "add", "zwei.example")
    unlimited(lab)
    lab.start()
    valise(lab, "cert", "issue", "--server", f"x.{DOMAIN}")
    valise(lab, "cert", "renew", "server")
    assert valise(lab, "cert", "issue", "--server", "www.google.com", check=False).returncode == NOPERM
    assert valise(lab, "cert", "issue", "--server", "x.zwei.example", check=False).returncode == NOPERM
    notes = "\n".join(as_json(lab, "check")["notes"])
    assert "`valise upgrade' as root" in notes and "`valise ca renew' as root" in notes
    assert valise(lab, "check").returncode == 0
    assert "keys/ca.names: would be made" in valise(lab, "upgrade", "--dry-run").stdout and not (lab.dir / "keys/ca.names").exists()
    assert json.loads(valise(lab, "upgrade", "--json").stdout)["ca-domains"] == [DOMAIN, "zwei.example"]
    file, key = os.stat(lab.dir / "keys/ca.names"), os.stat(lab.dir / "keys/ca.key")
    assert (file.st_uid, file.st_gid, file.st_mode) == (key.st_uid, key.st_gid, key.st_mode)
    valise(lab, "cert", "issue", "--server", "x.zwei.example")
    assert "ANYBODY" in valise(lab, "ca", "show").stdout
    valise(lab, "ca", "renew")
    assert as_json(lab, "ca", "show")["limited"] and ca_notes(lab) == []
    for cert in (lab.dir / "tls").iterdir():
        assert openssl("verify", "-CAfile", lab.dir / "ca.pem", cert).returncode == 0, cert
    assert lab.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the keys to root")
def test_whoever_may_not_write_the_list_is_told(lab):
    """The server's own user cannot take in domains, nor anything else that the CA would speak for."""
    user = os.stat(lab.dir / "store")
    if user.st_uid == 0:
        pytest.skip("there is no user valise")
    for path in (lab.dir / "keys", *(lab.dir / "keys").iterdir()):
        os.chown(path, 0, user.st_gid)
        os.chmod(path, 0o750 if path.is_dir() else 0o640)
    for args in (("domain", "add", "zwei.example"), ("ca", "allow", "8.8.8.8"), ("ca", "renew")):
        done = subprocess.run([harness.binary_for_others(), *args, "--dir", str(lab.dir)], user=user.st_uid, group=user.st_gid, extra_groups=[],
                              capture_output=True, text=True, check=False)
        assert done.returncode == NOPERM and "run this as root" in done.stderr, (args, done)
    assert "zwei.example" not in valise(lab, "domain", "list").stdout


def test_init_takes_the_administrators_names(scratch):
    lab = harness.Valise(scratch / "lab")
    lab.run("init", "--dir", str(lab.dir), "--domain", DOMAIN, "--hostname", "mx.provider.example", "--san", "203.0.113.7", "--san",
            "mail.elsewhere.net", "--san", f"*.{DOMAIN}")
    server = lab.dir / "tls" / "server.pem"
    for check in (("-verify_hostname", "mx.provider.example"), ("-verify_ip", "203.0.113.7"), ("-verify_hostname", f"x.{DOMAIN}")):
        assert openssl("verify", "-CAfile", lab.dir / "ca.pem", *check, server).returncode == 0, check
    valise(lab, "cert", "renew", "server")
    done = harness.Valise(scratch / "no").run("init", "--dir", str(scratch / "no"), "--domain", DOMAIN, "--hostname", HOSTNAME, "--san", "*.com",
                                              check=False)
    assert done.returncode != 0 and "*.com" in done.stderr and not (scratch / "no").exists()


def test_a_renewed_ca_is_still_the_ca_of_its_backups(lab, scratch, monkeypatch):
    """What was revoked since is brought into what is restored, although the certificate of the CA has changed."""
    _, serial = user_certificate(lab, scratch, f"alice@{DOMAIN}")
    valise(lab, "backup", scratch / "b")
    valise(lab, "cert", "revoke", serial)
    valise(lab, "ca", "renew")
    monkeypatch.setenv("VALISE_DIR", str(lab.dir))
    (scratch / "b" / "ca.revoked").unlink(missing_ok=True)
    restored = harness.Valise(harness.make_directory() / "restored")
    told = restored.run("restore", str(scratch / "b"), "--dir", str(restored.dir)).stdout
    assert "1 certificate was revoked" in told
    assert as_json(restored, "cert", "show", serial)["revoked-at"] > 0
    done = valise(restored, "ca", "renew", check=False)
    assert done.returncode != 0 and "keys/ca.key is not there" in done.stderr
