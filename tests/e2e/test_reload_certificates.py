"""Certificates and settings that change under a running server: all roles take them or none, sessions keep what they began with."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import harness
from harness import HOSTNAME, wait_until
from helpers import Dialogue, imap, login, tls_context

CONFIG = 78


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def owned_like(path, model):
    st = os.stat(model)
    os.chown(path, st.st_uid, st.st_gid)
    os.chmod(path, st.st_mode & 0o777)


def new_certificate(lab, name="server2", days=90, with_key=True):
    """A chain in tls/NAME.pem signed by the lab's CA, its key in keys/NAME.key; the server does not use it yet."""
    key, chain, request = lab.dir / "keys" / f"{name}.key", lab.dir / "tls" / f"{name}.pem", lab.dir.parent / f"{name}.csr"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    os.chmod(key, 0o600)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={HOSTNAME}", "-out", request)
    extensions = lab.dir.parent / "extensions"
    extensions.write_text(f"subjectAltName=DNS:{HOSTNAME},DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", request, "-CA", lab.dir / "ca.pem", "-CAkey", lab.dir / "keys" / "ca.key", "-days", days, "-extfile",
            extensions, "-out", chain)
    owned_like(key, lab.dir / "keys" / "ca.key")
    owned_like(chain, lab.dir / "ca.pem")
    if not with_key:
        key.unlink()
    return chain.read_text()


def replace(lab, pem):
    (lab.dir / "tls" / "server.pem").write_text(pem)


def reload(lab, check=True):
    return lab.run("reload", "--dir", str(lab.dir), "--json", check=check)


def shown(lab, port="imaps"):
    """The certificate that a new connection sees, in DER."""
    with socket.create_connection(("127.0.0.1", lab.ports[port]), timeout=30) as s:
        if port == "smtp":
            reader = s.makefile("rb")
            reader.readline()
            s.sendall(b"EHLO x.example.org\r\n")
            while reader.readline()[3:4] == b"-":
                pass
            s.sendall(b"STARTTLS\r\n")
            assert reader.readline().startswith(b"220")
        with ssl.create_default_context(cafile=lab.ca()).wrap_socket(s, server_hostname="localhost") as t:
            return t.getpeercert(binary_form=True)


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem[:pem.index("-----END CERTIFICATE-----") + 25])


def test_new_certificate_for_new_connections(lab, alice):
    lab.start()
    old = (lab.dir / "tls" / "server.pem").read_text()
    assert shown(lab) == shown(lab, "smtp") == der(old)
    with imap(lab, alice) as session, Dialogue(lab.ports["imap"]) as idling:
        login(idling, lab, alice)
        idling.imap("SELECT INBOX")
        idling.send("i IDLE\r\n")
        assert idling.line().startswith("+")
        new = new_certificate(lab)
        replace(lab, new)
        assert shown(lab) == der(old), "only a reload changes it"
        reply = json.loads(reload(lab).stdout)
        assert reply["ok"] and reply["notes"] == []
        assert shown(lab) == shown(lab, "smtp") == der(new)
        assert session.noop()[0] == "OK"
        idling.send("DONE\r\n")
        assert idling.line().startswith("i OK")
        replace(lab, old)
        os.kill(lab.process.pid, signal.SIGHUP)
        wait_until(lambda: shown(lab) == der(old), 20, "SIGHUP reloads too")
        assert session.noop()[0] == "OK"
    assert lab.stop() == 0


def test_certificate_without_key_is_refused_by_all(lab):
    lab.start()
    old = (lab.dir / "tls" / "server.pem").read_text()
    replace(lab, new_certificate(lab, with_key=False))
    conf = lab.dir / "valise.conf"
    text = conf.read_text()
    conf.write_text(re.sub(r"message-size-max = \d+", "message-size-max = 1000000", text))
    done = reload(lab, check=False)
    assert done.returncode == CONFIG
    assert "tls/server.pem" in json.loads(done.stdout)["text"] and "private key" in json.loads(done.stdout)["text"]
    assert shown(lab) == shown(lab, "smtp") == der(old)
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        assert not any("SIZE 1000000" in line for line in d.smtp("EHLO x.example.org")[1]), "no role may take half of a refused reload"
    for bad in ("", "no certificate\n", old[:200]):
        replace(lab, bad)
        done = reload(lab, check=False)
        assert done.returncode == CONFIG and "tls/server.pem" in done.stderr
    (lab.dir / "tls" / "server.pem").unlink()
    done = reload(lab, check=False)
    assert done.returncode == CONFIG and "tls/server.pem" in done.stderr
    replace(lab, old)
    reload(lab)
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        assert any("SIZE 1000000" in line for line in d.smtp("EHLO x.example.org")[1])
    assert lab.stop() == 0


def test_unreadable_key_of_nobody_is_no_obstacle(lab):
    stray = lab.dir / "keys" / "stray.key"
    stray.write_text("not a key\n")
    lab.start()
    assert "event=key-unreadable" in lab.log() and "stray.key" in lab.log()
    reload(lab)
    assert lab.stop() == 0


def test_expired_certificate_is_told(lab):
    lab.start()
    now = (lab.dir / "tls" / "server.pem").read_text()
    replace(lab, new_certificate(lab, "old", days=0))
    assert any("expired" in note for note in json.loads(reload(lab).stdout)["notes"])
    assert "EXPIRED" in lab.run("status", "--dir", str(lab.dir)).stdout
    assert "expired" in lab.log()
    replace(lab, new_certificate(lab, "soon", days=5))
    assert any("expires in" in note for note in json.loads(reload(lab).stdout)["notes"])
    replace(lab, now)
    reload(lab)
    assert lab.stop() == 0


def test_settings_that_wait_are_told(lab):
    lab.start()
    conf = lab.dir / "valise.conf"
    text = conf.read_text()
    conf.write_text(text + "workers-max = 10\n")
    assert any(note.startswith("workers-max") for note in json.loads(reload(lab).stdout)["notes"])
    conf.write_text(text)
    assert reload(lab).returncode == 0
    assert lab.stop() == 0


def memory(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_many_reloads_cost_nothing(lab, alice, monkeypatch):
    """A snapshot goes with its last session. Here each is 600 KiB of text, so that keeping them all would show."""
    # The address sanitizer of a sanitized build keeps what is freed, which is not what is measured here.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text() + "# much to say\n" * 44000)
    lab.start()
    with imap(lab, alice) as session:
        for _ in range(10):
            reload(lab)
        before = {pid: (memory(pid), harness.descriptors(pid)) for pid in [lab.process.pid, *lab.roles()]}
        for _ in range(100):
            reload(lab)
            assert session.noop()[0] == "OK"
        for pid, (size, descriptors) in before.items():
            assert memory(pid) < size + 20000, "KiB"
            assert harness.descriptors(pid) <= descriptors + 4
    assert lab.stop() == 0
