"""TLS of listeners: ECDSA and RSA side by side, a certificate for each name, certificates of clients, a least version."""

import json
import os
import socket
import ssl
import subprocess

import pytest

from harness import DOMAIN, HOSTNAME
from helpers import Dialogue, tls_context


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], check=False, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def made(*args):
    done = openssl(*args)
    assert done.returncode == 0, done.stdout


def sign(lab, name, extensions, algorithm, ca=None):
    """A key and a certificate of the lab's CA in the lab's parent directory; their paths."""
    key, request, cert, ext = (lab.dir.parent / f"{name}{end}" for end in (".key", ".csr", ".pem", ".ext"))
    made("genpkey", *algorithm, "-out", key)
    made("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
    ext.write_text(extensions)
    if ca == "self":
        made("x509", "-req", "-in", request, "-signkey", key, "-days", 30, "-extfile", ext, "-out", cert)
    else:
        made("x509", "-req", "-in", request, "-CA", lab.dir / "ca.pem", "-CAkey", lab.dir / "keys" / "ca.key", "-days", 30, "-extfile", ext,
             "-out", cert)
    return key, cert


EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def place(lab, name, key, cert):
    for path, folder, end in ((key, "keys", "key"), (cert, "tls", "pem")):
        target = lab.dir / folder / f"{name}.{end}"
        target.write_bytes(path.read_bytes())
        os.chmod(target, 0o600 if end == "key" else 0o644)
    lab.adopt()


def client_certificate(lab, name="alice", ca=None):
    return sign(lab, name, f"extendedKeyUsage=clientAuth\nsubjectAltName=email:{name}@{DOMAIN}\n", EC, ca)


def configure(lab, old, new):
    conf = lab.dir / "valise.conf"
    text = conf.read_text()
    assert old in text
    conf.write_text(text.replace(old, new))


def imaps_option(lab, option):
    configure(lab, "listener imaps {", f"listener imaps {{\n  {option}")


def s_client(lab, *args):
    return openssl("s_client", "-connect", f"127.0.0.1:{lab.ports['imaps']}", "-CAfile", lab.dir / "ca.pem", "-verify_return_error", "-ign_eof",
                   *args, input="a logout\r\n").stdout


def test_both_kinds_of_key_under_one_name(lab):
    names = f"subjectAltName=DNS:{HOSTNAME},DNS:localhost\n"
    place(lab, "rsa", *sign(lab, "rsa", names, RSA))
    configure(lab, 'chain = "tls/server.pem"', 'chain = {"tls/server.pem", "tls/rsa.pem"}')
    lab.start()
    for kind, algorithms in (("RSA-PSS", "RSA-PSS+SHA256"), ("ECDSA", "ECDSA+SHA256")):
        out = s_client(lab, "-tls1_3", "-servername", HOSTNAME, "-sigalgs", algorithms)
        assert f"Peer signature type: {kind}" in out and "BYE" in out, out
    for kind, suites in (("RSA", "ECDHE-RSA-AES256-GCM-SHA384"), ("ECDSA", "ECDHE-ECDSA-AES256-GCM-SHA384")):
        out = s_client(lab, "-tls1_2", "-servername", HOSTNAME, "-cipher", suites)
        assert f"Cipher    : {suites}" in out and "BYE" in out, (kind, out)
    assert lab.stop() == 0


def test_each_name_gets_its_certificate(lab):
    second, third = f"mail.second.{DOMAIN}", f"mail.third.{DOMAIN}"
    place(lab, "second", *sign(lab, second, f"subjectAltName=DNS:{second}\n", EC))
    place(lab, "third", *sign(lab, third, f"subjectAltName=DNS:{third}\n", RSA))
    with open(lab.dir / "valise.conf", "a") as conf:
        conf.write(f'certificate {second} {{ chain = "tls/second.pem" }}\n'
                   f'certificate the-third {{ name = "{third}"  chain = "tls/third.pem" }}\n')
    lab.start()
    for asked, subject in ((HOSTNAME, HOSTNAME), (f"MAIL.second.{DOMAIN}", second), (third, third),
                           ("unknown.example", HOSTNAME)):
        with socket.create_connection(("127.0.0.1", lab.ports["imaps"])) as plain:
            context = tls_context(lab)
            context.check_hostname = False
            with context.wrap_socket(plain, server_hostname=asked) as tls:
                assert (("commonName", subject),) in tls.getpeercert()["subject"], asked
    assert lab.stop() == 0


def greeting(lab, key=None, cert=None, version=None):
    """What a client with this certificate is greeted with; the exception when it is refused."""
    context = tls_context(lab)
    if key:
        context.load_cert_chain(cert, key)
    if version:
        context.maximum_version = version
    try:
        with socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.recv(100)
    except (ssl.SSLError, ConnectionError) as refusal:
        return refusal


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates_requested(lab, version):
    imaps_option(lab, 'client-cert = "request"')
    lab.start()
    for certificate in ((), client_certificate(lab), client_certificate(lab, "stranger", "self")):
        assert b"OK" in greeting(lab, *certificate, version=version)
    assert lab.stop() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates_required(lab, version):
    imaps_option(lab, 'client-cert = "required"')
    lab.start()
    assert b"OK" in greeting(lab, *client_certificate(lab), version=version)
    assert isinstance(greeting(lab, version=version), Exception)
    assert isinstance(greeting(lab, *client_certificate(lab, "stranger", "self"), version=version), Exception)
    with Dialogue(lab.ports["imap"]) as d:       # the other listeners ask for nothing
        assert "OK" in d.line()
    assert lab.stop() == 0


def test_least_version(lab):
    imaps_option(lab, 'min-tls = "1.3"')
    lab.start()
    assert isinstance(greeting(lab, version=ssl.TLSVersion.TLSv1_2), Exception)
    assert b"OK" in greeting(lab, version=ssl.TLSVersion.TLSv1_3)
    assert lab.stop() == 0


def test_keys_of_strangers_and_of_users_apart(lab):
    """shown-to: port 25 shows one certificate, all else the other, of two kinds of key; each role has its signatures, counted."""
    place(lab, "strangers", *sign(lab, "strangers", f"subjectAltName=DNS:{HOSTNAME},DNS:localhost\n", RSA))
    configure(lab, 'chain = "tls/server.pem"\n', 'chain = "tls/server.pem"\n  shown-to = "users"\n')
    with open(lab.dir / "valise.conf", "a") as conf:
        conf.write('certificate strangers {\n  name = "default"\n  chain = "tls/strangers.pem"\n  shown-to = "strangers"\n}\n')
    lab.start()
    shown = {}
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = tls_context(lab)
        context.minimum_version = context.maximum_version = version
        with Dialogue(lab.ports["smtp"]) as d:
            d.reply()
            d.smtp("EHLO x.example")
            assert d.smtp("STARTTLS")[0] == 220
            with context.wrap_socket(d.socket, server_hostname="localhost") as tls:
                shown["smtp"] = tls.getpeercert(True)
        with socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30) as s, context.wrap_socket(s, server_hostname="localhost") as tls:
            shown["imaps"] = tls.getpeercert(True)
        for name, path in ("smtp", "strangers"), ("imaps", "server"):
            assert shown[name] == ssl.PEM_cert_to_DER_cert((lab.dir / "tls" / f"{path}.pem").read_text().split("-----END CERTIFICATE-----")[0]
                                                           + "-----END CERTIFICATE-----\n")
    keeper = next(r for r in json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["roles"] if r["name"] == "keeper")
    for role in ("mx", "core"):
        assert keeper["signatures"][role]["made"] >= 2
        assert keeper["signatures"][role]["refused"] == 0
    metrics = lab.run("metrics", "--dir", str(lab.dir)).stdout
    assert 'valise_signatures_total{process="keeper",for="mx",result="made"} 2' in metrics
    rights = json.loads(lab.run("role", "rights", "--json").stdout)["rights"]
    assert {r["purpose"] for r in rights if r["role"] == "mx"} == {"tls of mx", "tickets of mx"}
    assert "signed for core" in lab.run("status", "--dir", str(lab.dir)).stdout
    assert "ca " in lab.run("role", "rights").stdout
