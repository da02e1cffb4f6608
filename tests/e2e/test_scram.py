"""SCRAM (RFC 5802, RFC 7677) with clients that somebody else wrote, with channel binding (RFC 9266), and by hand."""

import base64
import hashlib
import hmac
import itertools
import random
import re
import secrets
import shutil
import ssl
import subprocess

import pytest

import harness
from helpers import Account, Dialogue, client, imap, letter, tls_context, wait_for_mail

networks = (f"127.{a}.{b}.2" for a, b in itertools.product(range(random.randrange(1, 100), 255), range(1, 255)))


def b64(data):
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def server():
    """A server that takes SCRAM over SHA-1 too."""
    directory = harness.make_directory()
    lab = harness.Valise(directory / "lab").init()
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text() + "\nscram-sha-1 = true\n")
    yield lab.start()
    assert lab.stop() == 0
    shutil.rmtree(directory, ignore_errors=True)


class Scram:
    """A client's side, computed by hand. `answer` takes each challenge and gives the response."""

    def __init__(self, name, password, hash="sha256", gs2="n,,", binding=b""):
        self.name, self.password, self.hash = name, password.encode(), hash
        self.gs2, self.binding = gs2, binding
        self.nonce = secrets.token_hex(9)
        self.bare = f"n={name},r={self.nonce}"
        self.signature = None

    def hmac(self, key, text):
        return hmac.digest(key, text if isinstance(text, bytes) else text.encode(), self.hash)

    def first(self):
        return b64((self.gs2 + self.bare).encode())

    def final(self, challenge):
        server_first = base64.b64decode(challenge).decode()
        self.fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert self.fields["r"].startswith(self.nonce) and len(self.fields["r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(self.fields["s"]), int(self.fields["i"]))
        without_proof = f"c={b64(self.gs2.encode() + self.binding)},r={self.fields['r']}"
        auth = f"{self.bare},{server_first},{without_proof}"
        client_key = self.hmac(salted, "Client Key")
        signature = self.hmac(hashlib.new(self.hash, client_key).digest(), auth)
        self.signature = "v=" + b64(self.hmac(self.hmac(salted, "Server Key"), auth))
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return b64(f"{without_proof},p={b64(proof)}".encode())


def secured(server):
    """From an address that has not failed yet: failures slow down where they come from."""
    d = Dialogue(server.ports["imaps"], source=next(networks))
    d.secure(server)
    d.line()
    return d


def smtp(server):
    d = Dialogue(server.ports["submission"])
    d.reply()
    d.smtp("EHLO client.example.org")
    assert d.smtp("STARTTLS")[0] == 220
    d.secure(server)
    return d


def imap_scram(d, scram, mechanism="SCRAM-SHA-256"):
    """The tagged line."""
    d.send(f"s AUTHENTICATE {mechanism} {scram.first()}\r\n")
    line = d.line()
    if not line.startswith("+ "):
        return line
    d.send(scram.final(line[2:].strip()) + "\r\n")
    line = d.line()
    if line.startswith("+ "):
        assert base64.b64decode(line[2:]).decode() == scram.signature     # the server has proved itself
        d.send("\r\n")
        line = d.line()
    return line


@pytest.mark.parametrize("hash", ["sha256", "sha1"])
def test_imap_by_hand(server, account, hash):
    with secured(server) as d:
        mechanism = {"sha256": "SCRAM-SHA-256", "sha1": "SCRAM-SHA-1"}[hash]
        line = imap_scram(d, Scram(account.address, account.password, hash), mechanism)
        assert line.startswith("s OK"), line
        assert d.imap("SELECT INBOX")[0].startswith("OK")


def test_blanks_around_a_name_mean_nothing(server, account):
    """Telephones' keyboards write a blank behind a word that they complete. A password is what it is."""
    name = f" {account.address} "
    plain = lambda *fields: base64.b64encode("\0".join(fields).encode()).decode()
    with secured(server) as d:
        line = imap_scram(d, Scram(name, account.password))
        assert line.startswith("s OK"), line
    for command in (f'LOGIN "{name}" "{account.password}"', "AUTHENTICATE PLAIN " + plain("", name, account.password),
                    "AUTHENTICATE PLAIN " + plain(name, name, account.password)):
        with secured(server) as d:
            assert d.imap(command)[0].startswith("OK"), command
    with secured(server) as d:
        assert d.imap(f'LOGIN "{name}" "{account.password} "')[0].startswith("NO [AUTHENTICATIONFAILED]")
    with smtp(server) as d:
        d.smtp("EHLO client.example.org")
        assert d.smtp("AUTH PLAIN " + plain("", name, account.password))[0] == 235


def test_smtp_by_hand(server, account):
    with smtp(server) as d:
        lines = d.smtp("EHLO client.example.org")[1]
        assert any("AUTH " in line and "SCRAM-SHA-256 " in line for line in lines)
        scram = Scram(account.address, account.password)
        code, lines = d.smtp("AUTH SCRAM-SHA-256 " + scram.first())
        assert code == 334
        code, lines = d.smtp(scram.final(lines[0][4:]))
        assert code == 334 and base64.b64decode(lines[0][4:]).decode() == scram.signature
        assert d.smtp("")[0] == 235
        assert d.smtp(f"MAIL FROM:<{account.address}>")[0] == 250


def test_no_login_without_the_last_response(server, account):
    with smtp(server) as d:
        d.smtp("EHLO client.example.org")
        scram = Scram(account.address, account.password)
        lines = d.smtp("AUTH SCRAM-SHA-256 " + scram.first())[1]
        assert d.smtp(scram.final(lines[0][4:]))[0] == 334
        assert d.smtp("*")[0] == 501
        assert d.smtp(f"MAIL FROM:<{account.address}>")[0] == 530


def test_a_wrong_password_and_an_unknown_name_look_alike(server, account):
    answers, salts = [], []
    for name in account.address, "personne@mondomaine.fr", "personne@mondomaine.fr":
        with secured(server) as d:
            scram = Scram(name, "faux mot de passe")
            answers.append(imap_scram(d, scram))
            salts.append((len(scram.fields["s"]), scram.fields["i"], scram.fields["s"]))
    assert answers[0].startswith("s NO [AUTHENTICATIONFAILED]") and answers[0] == answers[1] == answers[2]
    assert salts[0][:2] == salts[1][:2] and salts[1] == salts[2]


def test_sha1_only_where_it_is_asked_for(lab):
    """Neither offered nor taken, and no keys are made; a login that sends the password makes them once it is."""
    lab.start()
    alice = Account("alice@mondomaine.fr", lab.accounts["alice@mondomaine.fr"])

    def sha1():
        with secured(lab) as d:
            offered = d.imap("CAPABILITY")[1][0].split()
            return "AUTH=SCRAM-SHA-1" in offered, imap_scram(d, Scram(alice.address, alice.password, "sha1"), "SCRAM-SHA-1")

    offered, answer = sha1()
    assert not offered and answer.startswith("s NO [CANNOT]")
    conf = lab.dir / "valise.conf"
    before = conf.read_text()
    conf.write_text(before.replace("listener imaps {", 'listener imaps {\n  auth = {"SCRAM-SHA-1"}'))
    refused = lab.run("reload", "--dir", str(lab.dir), check=False)
    assert refused.returncode != 0 and "scram-sha-1 = true" in refused.stderr
    conf.write_text(before + "\nscram-sha-1 = true\n")
    lab.run("reload", "--dir", str(lab.dir))
    offered, answer = sha1()
    assert offered and answer.startswith("s NO [AUTHENTICATIONFAILED]")
    with imap(lab, alice):
        pass
    assert sha1()[1].startswith("s OK")
    # Forgotten again at the next login that sends it.
    conf.write_text(before)
    lab.run("reload", "--dir", str(lab.dir))
    lab.stop()
    lab.start()
    with imap(lab, alice):
        pass
    conf.write_text(before + "\nscram-sha-1 = true\n")
    lab.run("reload", "--dir", str(lab.dir))
    assert sha1()[1].startswith("s NO [AUTHENTICATIONFAILED]")
    assert lab.stop() == 0


def test_the_salt_of_an_unknown_name_survives_a_restart(lab):
    def salt():
        with secured(lab) as d:
            scram = Scram("personne@mondomaine.fr", "faux")
            imap_scram(d, scram)
            return scram.fields["s"]
    lab.start()
    before = salt()
    lab.stop()
    lab.start()
    assert salt() == before


def test_plus_is_bound_to_the_channel(server, account):
    """Another channel's name is refused; the right one needs a TLS library that tells it: gsasl's tests below."""
    with secured(server) as d:
        assert "-PLUS" not in d.imap("CAPABILITY")[1][0]     # taken, not listed: src/sasl/settings.c says why
        scram = Scram(account.address, account.password, gs2="p=tls-exporter,,", binding=b"x" * 32)
        assert imap_scram(d, scram, "SCRAM-SHA-256-PLUS").startswith("s NO [AUTHENTICATIONFAILED]")


def end_point(tls):
    """RFC 5929 section 4.1: the hash of the server's certificate, by the hash of its signature."""
    der = tls.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der, stdout=subprocess.PIPE, check=True).stdout.decode()
    hash = re.search(r"Signature Algorithm: ecdsa-with-SHA(\d+)", text)[1]
    return hashlib.new(f"sha{hash}", der).digest()


@pytest.mark.parametrize("hash,mechanism", [("sha256", "SCRAM-SHA-256-PLUS"), ("sha1", "SCRAM-SHA-1-PLUS")])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_plus_over_the_end_point(server, account, hash, mechanism, version):
    """As clients do whose TLS library tells them the server's certificate and nothing else."""
    def plus(gs2, change=lambda b: b, password=account.password):
        d = Dialogue(server.ports["imaps"], source=next(networks))
        context = tls_context(server)
        context.maximum_version = version
        d.socket = context.wrap_socket(d.socket, server_hostname="localhost")
        d.line()
        with d:
            return imap_scram(d, Scram(account.address, password, hash, gs2, change(end_point(d.socket))), mechanism)

    assert plus("p=tls-server-end-point,,").startswith("s OK")
    assert plus(f"p=tls-server-end-point,a={account.address},").startswith("s OK")
    assert plus("p=tls-server-end-point,,", lambda b: bytes(len(b))).startswith("s NO [AUTHENTICATIONFAILED]")
    assert plus("p=tls-server-end-point,,", password="faux").startswith("s NO [AUTHENTICATIONFAILED]")
    assert plus("p=tls-server-end-point,a=bob@mondomaine.fr,").startswith("s NO [AUTHORIZATIONFAILED]")
    assert plus("p=tls-unique,,").startswith("s BAD")


def test_smtp_plus_over_the_end_point(server, account):
    with smtp(server) as d:
        d.smtp("EHLO client.example.org")
        scram = Scram(account.address, account.password, gs2="p=tls-server-end-point,,", binding=end_point(d.socket))
        lines = d.smtp("AUTH SCRAM-SHA-256-PLUS " + scram.first())[1]
        code, lines = d.smtp(scram.final(lines[0][4:]))
        assert code == 334 and base64.b64decode(lines[0][4:]).decode() == scram.signature
        assert d.smtp("")[0] == 235


def test_listed_plus_makes_a_cut_offer_visible(lab):
    """RFC 5802 section 6: where -PLUS is listed, "I could bind, but you did not offer it" is somebody's lie."""
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace("listener imaps {", 'listener imaps {\n  auth = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}'))
    lab.start()
    alice = "alice@mondomaine.fr"
    for gs2, answer in ("n,,", "s OK"), ("y,,", "s BAD"):
        with secured(lab) as d:
            offered = d.imap("CAPABILITY")[1][0].split()
            assert "AUTH=SCRAM-SHA-256-PLUS" in offered and "AUTH=SCRAM-SHA-1" not in offered and "LOGINDISABLED" in offered
            assert imap_scram(d, Scram(alice, lab.accounts[alice], gs2=gs2)).startswith(answer)
    assert lab.stop() == 0


def test_not_before_tls(server, account):
    with Dialogue(server.ports["imap"]) as d:
        d.line()
        assert "AUTH=SCRAM" not in d.imap("CAPABILITY")[1][0]
        assert imap_scram(d, Scram(account.address, account.password)).startswith("s NO [PRIVACYREQUIRED]")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "PLAIN", "LOGIN"])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(server, account, protocol, mechanism):
    port = server.ports["imap" if protocol == "imap" else "submission"]
    argv = ["gsasl", f"--{protocol}", "--connect", f"localhost:{port}", "--x509-ca-file", server.ca(), "-m", mechanism, "-a", account.address,
            "-z", "", "-p", account.password, "--no-client-first" if mechanism == "LOGIN" else "--quiet"]
    if not mechanism.endswith("-PLUS"):
        argv.append("--no-cb")
    done = client(*argv, input="")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "scram-sha-1"])
def test_msmtp(server, account, mechanism, tmp_path):
    rc = tmp_path / "msmtprc"
    rc.write_text(f"account default\nhost localhost\nport {server.ports['submission']}\nfrom {account.address}\nauth {mechanism}\n"
                  f"user {account.address}\npassword {account.password}\ntls on\ntls_starttls on\ntls_trust_file {server.ca()}\n")
    rc.chmod(0o600)
    message, subject = letter(account.address, sender=account.address)
    done = client("msmtp", "-C", rc, account.address, input=message.decode().replace("\r\n", "\n"))
    assert done.returncode == 0, done.stdout
    wait_for_mail(server, account, subject)


def test_a_new_password_is_a_new_key(server, account):
    server.run("user", "passwd", account.address, "--password-stdin", "--dir", str(server.dir), input="un autre secret\n")
    with secured(server) as d:
        assert imap_scram(d, Scram(account.address, "un autre secret")).startswith("s OK")
    with imap(server, Account(account.address, "un autre secret")) as session:
        assert session.state == "AUTH"
