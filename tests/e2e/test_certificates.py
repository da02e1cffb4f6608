"""valise ca and valise cert: issued, listed, placed, imported, renewed and revoked, with the server running and stopped."""

import json
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from harness import DOMAIN, HOSTNAME, wait_until
from helpers import tls_context

USAGE, DATAERR, NOUSER, CANTCREAT, NOPERM = 64, 65, 67, 73, 77


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], check=False, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def valise(lab, *args, check=True, input=None):
    return lab.run(*map(str, args), "--dir", str(lab.dir), check=check, input=input)


def as_json(lab, *args, input=None):
    return json.loads(valise(lab, *args, "--json", input=input).stdout)


def shown(lab, name, version=None, port="imaps"):
    """The certificate that a client which asks for NAME sees, verified."""
    context = tls_context(lab)
    with socket.create_connection(("127.0.0.1", lab.ports[port]), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert()


def test_ca_show_and_export(lab):
    told = as_json(lab, "ca", "show")
    text = openssl("x509", "-in", lab.dir / "ca.pem", "-noout", "-fingerprint", "-sha256", "-subject", "-nameopt", "RFC2253").stdout
    assert told["fingerprint"] == text.split("Fingerprint=")[1].split()[0].replace(":", "").lower()
    assert f"subject={told['subject']}" in text and told["key"] == "ECDSA P-384"
    assert told["fingerprint"] in valise(lab, "ca", "show").stdout
    assert valise(lab, "ca", "export").stdout == (lab.dir / "ca.pem").read_text()
    out = lab.dir.parent / "ca.der"
    valise(lab, "ca", "export", "--der", "--out", out)
    assert openssl("x509", "-inform", "DER", "-in", out, "-noout", "-fingerprint", "-sha256").stdout in text


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_servers_are_issued_installed_listed_and_revoked(lab, running):
    name = f"two.{DOMAIN}"
    if running:
        lab.start()
    told = valise(lab, "cert", "issue", "--server", name, "--san", "127.0.0.1").stdout
    assert f'certificate "{name}" {{\n  chain = "tls/{name}.pem"\n}}' in told
    assert os.stat(lab.dir / "keys" / f"{name}.key").st_mode & 0o777 == (0o640 if os.geteuid() == 0 else 0o600)
    assert os.stat(lab.dir / "keys" / f"{name}.key").st_uid == os.stat(lab.dir / "keys" / "ca.key").st_uid
    assert valise(lab, "cert", "issue", "--server", name, check=False).returncode == CANTCREAT
    valise(lab, "cert", "issue", "--server", f"*.{DOMAIN}", "--key", "rsa", "--days", 30, "--install")
    done = openssl("verify", "-CAfile", lab.dir / "ca.pem", "-purpose", "sslserver", "-verify_hostname", f"x.{DOMAIN}", lab.dir / "tls" /
                   f"_.{DOMAIN}-rsa.pem")
    assert done.stdout.endswith("OK\n"), done.stdout
    listed = as_json(lab, "cert", "list")["certificates"]
    first = [c for c in listed if HOSTNAME in c["names"]]  # of init
    assert len(first) == 1 and first[0]["use"] == "server"
    listed.remove(first[0])
    assert sorted((c["names"], c["use"], c["days-left"]) for c in listed) == [([f"*.{DOMAIN}"], "server", 29), ([name, "127.0.0.1"], "server", 396)]
    serial = next(c["serial"] for c in listed if c["days-left"] == 29)
    assert f"serial={serial.upper()}" in openssl("x509", "-in", lab.dir / "tls" / f"_.{DOMAIN}-rsa.pem", "-noout", "-serial").stdout
    pem = (lab.dir / "tls" / f"_.{DOMAIN}-rsa.pem").read_text()
    assert as_json(lab, "cert", "show", serial)["certificate"] == pem == valise(lab, "cert", "show", serial, "--pem").stdout
    text = openssl("x509", "-in", lab.dir / "tls" / f"_.{DOMAIN}-rsa.pem", "-noout", "-text").stdout
    colons = ":".join(serial[i : i + 2] for i in range(0, len(serial), 2)).upper()
    assert valise(lab, "cert", "show", colons).stdout.endswith(text)
    valise(lab, "cert", "revoke", serial)
    assert valise(lab, "cert", "revoke", serial, check=False).returncode == CANTCREAT
    assert "revoked" in valise(lab, "cert", "list").stdout
    assert as_json(lab, "cert", "show", serial)["revoked-at"] > 0
    assert valise(lab, "cert", "show", "00", check=False).returncode == NOUSER
    if running:
        assert lab.stop() == 0
    assert len(as_json(lab, "cert", "list")["certificates"]) == 3
    assert lab.check().returncode == 0


def test_installed_beside_each_other(lab):
    """ECDSA and RSA for one new name, both installed into the running server."""
    lab.start()
    name = f"three.{DOMAIN}"
    for kind in ("ecdsa", "rsa"):
        valise(lab, "cert", "issue", "--server", name, "--key", kind, "--install")
    for kind, suite in (("ECDSA", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("RSA", "ECDHE-RSA-AES256-GCM-SHA384")):
        out = openssl("s_client", "-connect", f"127.0.0.1:{lab.ports['imaps']}", "-CAfile", lab.dir / "ca.pem", "-verify_return_error", "-tls1_2",
                      "-servername", name, "-verify_hostname", name, "-cipher", suite, input="").stdout
        assert f"Cipher    : {suite}" in out, (kind, out)
    assert lab.stop() == 0


@pytest.mark.parametrize("args, code", [
    ((), USAGE),
    (("--server", "x." + DOMAIN, "--user", "alice@" + DOMAIN), USAGE),
    (("--server", "mail.example.com"), NOPERM),
    (("--server", "a..b." + DOMAIN), DATAERR),
    (("--server", "x." + DOMAIN, "--days", "398"), USAGE),
    (("--server", "x." + DOMAIN, "--key", "dsa"), USAGE),
    (("--server", "../x." + DOMAIN), DATAERR),
    (("--user", "alice@" + DOMAIN), USAGE),
])
def test_refusals(lab, args, code):
    lab.start()
    done = valise(lab, "cert", "issue", *args, check=False)
    assert done.returncode == code, done.stderr
    assert [c["names"][0] for c in as_json(lab, "cert", "list")["certificates"]] == [HOSTNAME]
    assert sorted(p.name for p in (lab.dir / "keys").iterdir()) == ["ca.key", "ca.names", "server.key"]
    assert lab.stop() == 0


def in_nss(scratch, file, password, ca, address):
    """As Thunderbird imports it: NSS's own tools take key and chain, and find the certificate good for signing mail and for logging in."""
    database = f"sql:{scratch / 'nss'}"
    (scratch / "nss").mkdir()
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    done = subprocess.run(["pk12util", "-i", str(file), "-d", database, "-W", password, "-K", ""], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run(["certutil", "-A", "-d", database, "-n", "the CA", "-t", "TC,C,", "-i", str(ca)], check=True)
    keys = subprocess.run(["certutil", "-K", "-d", database], capture_output=True, text=True, check=True).stdout
    nickname = re.search(r"^< *0> .*[0-9a-f]{40} +(.*)$", keys, re.M)[1].strip()
    for usage in ("S", "R", "C"):
        done = subprocess.run(["certutil", "-V", "-d", database, "-n", nickname, "-u", usage], capture_output=True, text=True, check=False)
        assert "certificate is valid" in done.stdout, (usage, done.stdout + done.stderr)
    assert address in subprocess.run(["certutil", "-L", "-d", database, "-n", nickname], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("legacy", [False, True], ids=["aes", "3des"])
def test_users_get_pkcs12(lab, running, legacy, scratch):
    if running:
        lab.start()
    file = scratch / "alice.p12"
    valise(lab, "cert", "issue", "--user", f"alice@{DOMAIN}", "--p12", file, "--password-stdin", *(["--p12-legacy"] if legacy else []),
           input="Sésame 1\n")
    assert os.stat(file).st_mode & 0o777 == 0o600
    out = openssl("pkcs12", "-in", file, "-passin", "pass:Sésame 1", "-noenc", "-info").stdout
    assert ("pbeWithSHA1And3-KeyTripleDES-CBC" if legacy else "AES-256-CBC, Iteration 10000, PRF hmacWithSHA256") in out, out
    assert ("MAC: sha1" if legacy else "MAC: sha256") in out and out.count("BEGIN CERTIFICATE") == 2 and "BEGIN PRIVATE KEY" in out
    pem = scratch / "alice.pem"
    pem.write_text(out)
    done = openssl("verify", "-CAfile", lab.dir / "ca.pem", "-purpose", "smimesign", "-verify_email", f"alice@{DOMAIN}", pem)
    assert done.stdout.endswith("OK\n"), done.stdout
    assert valise(lab, "cert", "issue", "--user", f"alice@{DOMAIN}", "--p12", file, "--generate", check=False).returncode == CANTCREAT
    in_nss(scratch, file, "Sésame 1", lab.dir / "ca.pem", f"alice@{DOMAIN}")
    lost = scratch / "nobody.p12"
    assert valise(lab, "cert", "issue", "--user", f"nobody@{DOMAIN}", "--p12", lost, "--generate", check=False).returncode == NOUSER
    assert not lost.exists()
    told = as_json(lab, "cert", "issue", "--user", f"bob@{DOMAIN}", "--p12", scratch / "bob.p12", "--generate")
    assert openssl("pkcs12", "-in", scratch / "bob.p12", "-passin", f"pass:{told['password']}", "-nokeys").returncode == 0
    assert sorted(c["names"][0] for c in as_json(lab, "cert", "list")["certificates"]) == sorted(
        [HOSTNAME, f"alice@{DOMAIN}", f"bob@{DOMAIN}"])
    if running:
        assert lab.stop() == 0


def test_a_user_certificate_opens_a_listener_that_requires_one(lab, scratch):
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace("listener imaps {", 'listener imaps {\n  client-cert = "required"'))
    lab.start()
    valise(lab, "cert", "issue", "--user", f"alice@{DOMAIN}", "--p12", scratch / "a.p12", "--password-stdin", input="secret\n")
    pem = scratch / "a.pem"
    pem.write_text(openssl("pkcs12", "-in", scratch / "a.p12", "-passin", "pass:secret", "-noenc").stdout)
    context = tls_context(lab)
    context.load_cert_chain(pem)
    with socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            assert b"OK" in tls.recv(100)
    assert lab.stop() == 0


class Authority:
    """Another CA, with one between its root and its servers."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root.pem"
        self.make("root", "-x509", "-subj", "/CN=another root")
        self.make("between", "-x509", "-subj", "/CN=between", "-CA", self.root, "-CAkey", folder / "root.key", "-addext",
                  "basicConstraints=critical,CA:TRUE")

    def make(self, stem, *args):
        key = ["-key", self.folder / f"{stem}.key"] if (self.folder / f"{stem}.key").exists() else [
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", self.folder / f"{stem}.key"]
        done = openssl("req", *key, "-noenc", "-out", self.folder / f"{stem}.pem", "-days", 30, *args)
        assert done.returncode == 0, done.stdout
        os.chmod(self.folder / f"{stem}.key", 0o600)

    def issue(self, *names, fresh=True):
        """fullchain.pem and privkey.pem as certbot has them; FRESH: with a new key."""
        if fresh:
            (self.folder / "server.key").unlink(missing_ok=True)
        self.make("server", "-x509", "-subj", f"/CN={names[0]}", "-CA", self.folder / "between.pem", "-CAkey", self.folder / "between.key",
                  "-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
        chain = self.folder / "fullchain.pem"
        chain.write_text((self.folder / "server.pem").read_text() + (self.folder / "between.pem").read_text())
        (self.folder / "privkey.pem").unlink(missing_ok=True)
        os.link(self.folder / "server.key", self.folder / "privkey.pem")
        return ["--chain", chain, "--key", self.folder / "privkey.pem"]

    def seen(self, lab, name):
        """The serial number of what a client that trusts this CA is shown."""
        context = ssl.create_default_context(cafile=self.root)
        with socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                return tls.getpeercert()["serialNumber"].lower()

    def serial(self):
        return openssl("x509", "-in", self.folder / "fullchain.pem", "-noout", "-serial").stdout.strip().split("=")[1].lower()


def test_a_foreign_certificate_comes_and_is_replaced(lab, scratch):
    """New, renewed with its key, renewed with another, with other names: each time by one command, and the server shows it."""
    lab.start()
    ca, name = Authority(scratch), "mail.elsewhere.example"
    files = ca.issue(name)
    valise(lab, "cert", "import", name, *files, "--install")
    assert ca.seen(lab, name) == ca.serial()
    assert as_json(lab, "cert", "import", name, *ca.issue(name, fresh=False)) == {
        "ok": True, "installed": True, "replaced": True, "chain": f"{lab.dir}/tls/{name}.pem", "key": f"{lab.dir}/keys/{name}.key",
        "section": f'\ncertificate "{name}" {{\n  chain = "tls/{name}.pem"\n}}\n'}
    assert ca.seen(lab, name) == ca.serial()
    before = ca.serial()
    files = ca.issue(name, f"imap.{name}")
    refused = valise(lab, "cert", "import", name, *files, check=False)
    assert refused.returncode == CANTCREAT and "with another key; --replace" in refused.stderr and "renew" not in refused.stderr
    assert ca.seen(lab, name) == before
    told = valise(lab, "cert", "import", name, *files, "--replace").stdout
    assert "in place of the former ones" in told and "the server uses them" in told
    assert ca.seen(lab, name) == ca.seen(lab, f"imap.{name}") == ca.serial()
    files = ca.issue(name, fresh=False)
    refused = valise(lab, "cert", "import", name, *files, check=False)
    assert refused.returncode == CANTCREAT and f"is for imap.{name} too" in refused.stderr
    valise(lab, "cert", "import", name, *files, "--replace")
    assert ca.seen(lab, name) == ca.serial()
    assert sorted(p.name for p in (lab.dir / "keys").iterdir()) == ["ca.key", "ca.names", f"{name}.key", "server.key"]
    assert os.stat(lab.dir / "keys" / f"{name}.key").st_mode & 0o777 == (0o640 if os.geteuid() == 0 else 0o600)
    assert (lab.dir / "valise.conf").read_text().count(f'certificate "{name}"') == 1
    # What answers `renew' is `import', and the other way round there is no need.
    done = valise(lab, "cert", "renew", name, check=False)
    assert done.returncode == NOPERM and "not one of this CA" in done.stderr and "--replace" in done.stderr
    assert lab.stop() == 0
    # As after a power cut between the chain and its key: the new one lies beside the former.
    os.rename(lab.dir / "keys" / f"{name}.key", lab.dir / "keys" / f"{name}.new.key")
    lab.start()
    assert ca.seen(lab, name) == ca.serial()
    valise(lab, "cert", "import", name, *ca.issue(name), "--replace")
    assert ca.seen(lab, name) == ca.serial() and not (lab.dir / "keys" / f"{name}.new.key").exists()
    # Ours in its place only when that is meant.
    valise(lab, "ca", "allow", name)
    refused = valise(lab, "cert", "issue", "--server", name, check=False)
    assert refused.returncode == CANTCREAT and "of another CA; --replace" in refused.stderr
    assert lab.stop() == 0


def test_what_was_revoked_is_replaced(lab):
    """`renew' of a revoked one points at `issue --replace', which then does it."""
    lab.start()
    name = f"four.{DOMAIN}"
    valise(lab, "cert", "issue", "--server", name, "--install")
    first = shown(lab, name)["serialNumber"].lower()
    refused = valise(lab, "cert", "issue", "--server", name, check=False)
    assert refused.returncode == CANTCREAT and f"valise cert renew {name}" in refused.stderr and "--replace" in refused.stderr
    valise(lab, "cert", "revoke", first)
    refused = valise(lab, "cert", "renew", name, check=False)
    assert refused.returncode == NOPERM and "--replace" in refused.stderr
    valise(lab, "cert", "issue", "--server", name, "--replace")
    assert shown(lab, name)["serialNumber"].lower() not in (first, "")
    assert lab.stop() == 0


@pytest.mark.parametrize("setting, option, rsa", [(None, [], True), ("ecdsa", [], False), ("rsa", [], True), ("rsa", ["--key", "ecdsa"], False)])
def test_who_can_write_secretly_to_a_user(lab, scratch, setting, option, rsa):
    """With RSA, as in a lab, every program; with ECDSA those that know key agreement, which openssl smime is not."""
    conf = lab.dir / "valise.conf"
    assert 'user-key = "rsa"' in conf.read_text()
    if setting:
        conf.write_text(conf.read_text().replace('user-key = "rsa"', f'user-key = "{setting}"'))
    address = f"alice@{DOMAIN}"
    p12, pem, letter = scratch / "a.p12", scratch / "a.pem", scratch / "letter"
    valise(lab, "cert", "issue", "--user", address, "--p12", p12, "--password-stdin", *option, input="Sésame 1\n")
    assert openssl("pkcs12", "-in", p12, "-passin", "pass:Sésame 1", "-noenc", "-clcerts", "-out", pem).returncode == 0
    letter.write_text("secret\n")
    assert (openssl("smime", "-encrypt", "-aes256", "-in", letter, "-out", scratch / "by-smime", pem).returncode == 0) == rsa
    assert openssl("cms", "-encrypt", "-aes256", "-in", letter, "-out", scratch / "by-cms", pem).returncode == 0
    assert openssl("cms", "-decrypt", "-in", scratch / "by-cms", "-recip", pem, "-inkey", pem).stdout.strip() == "secret"
    help = valise(lab, "cert", "issue", "--help").stdout
    assert "openssl smime" in help and "user-key" in help


def test_certbots_deploy_hook(lab, scratch):
    hook = Path(__file__).resolve().parents[2] / "docs" / "examples" / "certbot-deploy-hook"
    ca, name = Authority(scratch), f"*.{DOMAIN}"
    valise(lab, "cert", "import", name, *ca.issue(name), "--install")
    lab.start()
    before = ca.seen(lab, f"x.{DOMAIN}")
    ca.issue(name, f"www.{DOMAIN}")
    (scratch / "bin").mkdir()
    (scratch / "bin" / "valise").symlink_to(os.path.abspath(lab.program))
    environment = dict(os.environ, PATH=f"{scratch / 'bin'}:{os.environ['PATH']}", VALISE_DIR=str(lab.dir), RENEWED_LINEAGE=str(scratch),
                       RENEWED_DOMAINS=f"{name} www.{DOMAIN}")
    done = subprocess.run([str(hook)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("in place") == 1, done.stdout
    assert ca.seen(lab, f"x.{DOMAIN}") == ca.serial() != before
    # One that is refused leaves the former in force, and certbot is told.
    (scratch / "fullchain.pem").write_text((scratch / "between.pem").read_text())
    done = subprocess.run([str(hook)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == NOPERM and "is a CA's" in done.stdout
    assert ca.seen(lab, f"x.{DOMAIN}") != before
    assert lab.stop() == 0


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_renewed_by_hand(lab, running):
    if running:
        lab.start()
        before = shown(lab, HOSTNAME)
    key = openssl("x509", "-in", lab.dir / "tls" / "server.pem", "-noout", "-pubkey").stdout
    old = (lab.dir / "tls" / "server.pem").read_text()
    valise(lab, "cert", "renew", "server")
    new = (lab.dir / "tls" / "server.pem").read_text()
    assert new != old and openssl("x509", "-in", lab.dir / "tls" / "server.pem", "-noout", "-pubkey").stdout == key
    assert valise(lab, "cert", "renew", "../ca", check=False).returncode == DATAERR
    if running:
        after = shown(lab, HOSTNAME)
        assert after["serialNumber"] != before["serialNumber"] and after["subjectAltName"] == before["subjectAltName"]
        assert lab.stop() == 0


def test_renewed_by_itself(lab):
    """Near its end a certificate of our CA is replaced under the running server, with the same names; one with time left stays."""
    name = f"short.{DOMAIN}"
    valise(lab, "cert", "issue", "--server", name, "--san", HOSTNAME, "--seconds", 600, "--install")
    lab.start()
    before, other = shown(lab, name), shown(lab, HOSTNAME)
    wait_until(lambda: shown(lab, name)["serialNumber"] != before["serialNumber"], 60, "the certificate is renewed")
    after = shown(lab, name)
    assert after["subjectAltName"] == before["subjectAltName"]
    assert ssl.cert_time_to_seconds(after["notAfter"]) - ssl.cert_time_to_seconds(before["notAfter"]) > 300 * 86400
    assert shown(lab, HOSTNAME) == other
    assert "event=certificate-renewed" in lab.log()
    assert len(as_json(lab, "cert", "list")["certificates"]) == 3
    assert lab.stop() == 0


def user_certificate(lab, scratch, address):
    """(certificate and key in one PEM file, serial)"""
    file = scratch / f"{address}.p12"
    told = as_json(lab, "cert", "issue", "--user", address, "--p12", file, "--generate")
    pem = scratch / f"{address}.pem"
    done = openssl("pkcs12", "-in", file, "-passin", f"pass:{told['password']}", "-noenc", "-out", pem)
    assert done.returncode == 0, done.stdout
    return pem, told["serial"]


def client_of(lab, pem):
    context = tls_context(lab)
    context.load_cert_chain(pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2    # the client's certificate is judged before the handshake ends
    return context


def welcome(lab, context, port, session=None):
    """(greeted over TLS, session)"""
    starttls = port == "smtp"
    try:
        with socket.create_connection(("127.0.0.1", lab.ports[port]), timeout=30) as plain:
            if starttls:
                reader = plain.makefile("rb")
                reader.readline()
                plain.sendall(b"EHLO x.example.org\r\n")
                while reader.readline()[3:4] == b"-":
                    pass
                plain.sendall(b"STARTTLS\r\n")
                assert reader.readline().startswith(b"220")
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                if starttls:
                    tls.sendall(b"EHLO x.example.org\r\n")
                return tls.recv(100).startswith((b"250", b"* OK")), tls.session
    except (ssl.SSLError, ConnectionError):
        return False, None


def test_a_revoked_user_is_unknown_at_once(lab, scratch):
    """On core's ports and on mx's, which has to ask; with a session from before, too. Another user's certificate goes on."""
    conf = lab.dir / "valise.conf"
    text = conf.read_text()
    for listener in ("imaps", "smtp"):
        text = text.replace(f"listener {listener} {{", f'listener {listener} {{\n  client-cert = "required"')
    conf.write_text(text)
    lab.start(wait=0)
    wait_until(lambda: "event=started" in lab.log(), 30, "the server starts")
    pem, serial = user_certificate(lab, scratch, f"alice@{DOMAIN}")
    alice, bob = client_of(lab, pem), client_of(lab, user_certificate(lab, scratch, f"bob@{DOMAIN}")[0])
    for port in ("imaps", "smtp"):
        assert welcome(lab, bob, port)[0] and welcome(lab, alice, port)[0], port
    session = welcome(lab, alice, "imaps")[1]
    assert welcome(lab, alice, "imaps", session)[0]
    valise(lab, "cert", "revoke", serial)
    for port in ("imaps", "smtp"):
        assert not welcome(lab, alice, port)[0], port
        assert welcome(lab, bob, port)[0], port
    assert not welcome(lab, alice, "imaps", session)[0]
    assert f"serial={serial}" in lab.log()
    assert lab.stop() == 0
