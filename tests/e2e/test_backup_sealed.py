"""Encrypted backups: to certificates and a passphrase; nothing of mail or keys is seen in them; every damage and every wrong key is told; they share what
did not change. The CA's key is in a backup on request only. Revocations come back with a restored system."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

import harness
from helpers import deliver, imap, letter
from terminal import Terminal
from test_archive import content, fill
from test_backup import run, second, wait_for_another_second
from test_backup_care import backup, damage, generations, grow
from test_false_core import FalseCore

EX_DATAERR, EX_NOPERM = 65, 77
PASSPHRASE = "une phrase bien trop longue"
MARKER = "marker-of-the-message-8e1f5a"


def openssl(*args, **options):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **options).stdout


@pytest.fixture
def keys(scratch):
    """Two key pairs and a passphrase's file: {name: path}."""
    named = {"phrase": scratch / "phrase"}
    named["phrase"].write_text(PASSPHRASE + "\n")
    for kind, how in (("rsa", ["rsa:2048"]), ("ec", ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"])):
        named[kind], named[kind + "-cert"] = scratch / f"{kind}.key", scratch / f"{kind}.pem"
        openssl("req", "-x509", "-newkey", *how, "-nodes", "-keyout", named[kind], "-out", named[kind + "-cert"], "-days", 30, "-subj", f"/CN=safe {kind}")
    named["p12"] = scratch / "ec.p12"
    openssl("pkcs12", "-export", "-inkey", named["ec"], "-in", named["ec-cert"], "-passout", "pass:" + PASSPHRASE, "-out", named["p12"])
    return named


def to_both(keys):
    return ["--encrypt-to", str(keys["rsa-cert"]), "--encrypt-to", str(keys["ec-cert"])]


def to_all(keys):
    return [*to_both(keys), "--passphrase-file", str(keys["phrase"])]


def ways(keys):
    return {"rsa": ["--key", str(keys["rsa"])], "ec": ["--key", str(keys["ec"])], "p12": ["--p12", str(keys["p12"]), "--passphrase-file", str(keys["phrase"])],
            "passphrase": ["--passphrase-file", str(keys["phrase"])]}


def forget(lab):
    """The server has no key of its backups any more, as on another machine."""
    for path in (lab.dir / "keys").glob("backup-*.seal"):
        path.unlink()


def everything(folder):
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()) + "\n".join(str(p) for p in folder.rglob("*")).encode()


def test_there_and_back(lab, alice, scratch, keys):
    lab.start()
    fill(lab, alice)
    deliver(lab, alice.address, letter(alice.address, body=(MARKER + "\r\n") * 4)[0])
    before = content(lab, alice)
    told = backup(lab, scratch / "b", *to_all(keys), "--with-ca-key")
    assert told["encrypted"] and told["ca-key"]
    secrets = [MARKER.encode(), alice.address.encode(), b"rocksdb", b"BEGIN", b"ca.pem"]
    for path in (lab.dir / "keys").glob("*.key"):
        text = path.read_bytes()
        secrets.append(text if b"PRIVATE" not in text else text.split(b"\n")[1])
    bytes_of = everything(scratch / "b")
    assert len(bytes_of) > 30000 and not [s for s in secrets if s in bytes_of]
    backup(lab, scratch / "clear", "--with-ca-key")
    assert not [s for s in secrets[1:] if s not in everything(scratch / "clear")], "in the clear they are found (mail is compressed)"
    shutil.rmtree(scratch / "clear")
    forget(lab)
    assert lab.stop() == 0
    for name, how in ways(keys).items():
        other = second(lab, scratch / name)
        told = json.loads(other.run("restore", str(scratch / "b"), "--dir", str(other.dir), "--json", *how).stdout)
        assert told["ca-key"]
        if name in ("rsa", "passphrase"):
            other.start()
            assert content(other, alice) == before
            assert other.stop() == 0
        for path in (lab.dir / "keys").glob("*.key"):
            assert (other.dir / "keys" / path.name).read_bytes() == path.read_bytes()
        assert run(other, "check", "--deep").returncode == 0


def test_an_account_comes_back_and_leaves_nothing_in_the_clear(lab, alice, scratch, keys):
    lab.start()
    deliver(lab, alice.address, letter(alice.address, body=MARKER + "\r\n")[0])
    before = content(lab, alice)
    backup(lab, scratch / "b", *to_both(keys))
    with imap(lab, alice) as session:
        session.select()
        session.store("1:*", "+FLAGS", "(\\Deleted)")
        session.expunge()
    there = everything(scratch / "b")
    done = run(lab, "restore", str(scratch / "b"), "--account", alice.address)  # by the server's own key
    assert "1 message came back" in done.stdout and content(lab, alice) == before
    forget(lab)
    done = run(lab, "restore", str(scratch / "b"), "--account", alice.address, check=False)
    assert done.returncode == EX_NOPERM and "for 2 certificates;" in done.stderr and "--key" in done.stderr
    done = run(lab, "restore", str(scratch / "b"), "--account", alice.address, *ways(keys)["ec"])
    assert "1 was there" in done.stdout
    assert everything(scratch / "b") == there
    assert not [p for p in os.listdir(lab.dir) if p.startswith("restore-")]
    assert lab.stop() == 0


def test_wrong_keys(lab, scratch, keys):
    backup(lab, scratch / "b", "--encrypt-to", str(keys["rsa-cert"]), "--passphrase-file", str(keys["phrase"]))
    forget(lab)
    wrong = scratch / "wrong"
    wrong.write_text("another phrase of some length\n")
    for how, words in ((["--key", str(keys["ec"])], "not encrypted to this key"), (["--passphrase-file", str(wrong)], "passphrase is wrong"),
                       (["--p12", str(keys["p12"]), "--passphrase-file", str(wrong)], "password is wrong"),
                       (["--key", str(keys["rsa-cert"])], "no private key"), (["--key", str(scratch / "none")], "none")):
        for command in (["restore", str(scratch / "b"), "--dir", str(scratch / "restored")], ["backup", "check", str(scratch / "b")]):
            done = lab.run(*command, *how, check=False)
            assert done.returncode not in (0, 70, 139) and words in done.stderr, (command, done.stderr)
            assert not (scratch / "restored").exists()
    wrong.write_text("short\n")
    done = run(lab, "backup", str(scratch / "c"), "--passphrase-file", str(wrong), check=False)
    assert done.returncode == EX_NOPERM and "too short" in done.stderr and not (scratch / "c").exists()
    done = run(lab, "backup", str(scratch / "c"), "--encrypt-to", str(keys["ec"]), check=False)
    assert done.returncode != 0 and "--encrypt-to wants its certificate" in done.stderr and not (scratch / "c").exists()


def test_it_shares_what_did_not_change(lab, alice, scratch, keys):
    lab.start()
    grow(lab, alice.address, 60)
    target = scratch / "b"
    first = backup(lab, target, *to_both(keys))
    names = [p.name for p in (lab.dir / "keys").glob("backup-*.seal")]
    assert len(names) == 1 and (lab.dir / "keys" / names[0]).stat().st_mode & 0o777 == 0o600
    grow(lab, alice.address, 1, 2000)
    wait_for_another_second(target)
    again = backup(lab, target, *to_both(keys))
    assert again["copied-bytes"] < first["copied-bytes"] / 10 and again["shared-bytes"] > 3000000
    now = [p.name for p in (lab.dir / "keys").glob("backup-*.seal")]
    assert len(now) == 1 and now != names, "a key of the server opens its latest backup only"
    old, new = generations(target)[:2]
    assert "unread" in json.loads(run(lab, "backup", "check", str(target / old), "--json").stdout)
    assert json.loads(run(lab, "backup", "check", str(target / old), "--json").stdout)["unread"] > 0
    assert json.loads(run(lab, "backup", "check", str(target / new), "--json").stdout)["unread"] == 0
    # One in the clear, and one after that, share nothing with those of the other kind.
    wait_for_another_second(target)
    assert backup(lab, target)["shared-bytes"] == 0
    wait_for_another_second(target)
    assert backup(lab, target, *to_both(keys))["shared-bytes"] == 0
    listed = json.loads(run(lab, "backup", "list", str(target), "--json").stdout)["generations"]
    assert [g["encrypted"] for g in listed] == [True, True, False, True]
    assert listed[0]["certificates"] == 2 and listed[0]["passphrases"] == 0 and listed[2]["ca-key"] is False
    assert "encrypted" in run(lab, "backup", "list", str(target), *ways(keys)["rsa"]).stdout
    run(lab, "backup", "prune", str(target), "--keep", "3")
    forget(lab)
    # The one in the clear is not what somebody with a key asks about, wherever it came from.
    done = run(lab, "backup", "check", str(target), "--all", *ways(keys)["ec"], check=False)
    assert done.returncode == EX_NOPERM and "not encrypted, but a key" in done.stderr
    shutil.rmtree(target / generations(target)[1])
    run(lab, "backup", "check", str(target), "--all", *ways(keys)["ec"])
    # A password from a descriptor is read once for all of them.
    lab.run("backup", "check", str(target), "--all", "--p12", str(keys["p12"]), "--passphrase-file", "-", input=PASSPHRASE + "\n")
    assert lab.stop() == 0


def test_damage_names_file_and_chunk(lab, alice, scratch, keys):
    lab.start()
    grow(lab, alice.address, 8)
    backup(lab, scratch / "b", *to_both(keys))
    assert lab.stop() == 0
    forget(lab)
    generation = next(p for p in (scratch / "b").iterdir() if p.is_dir())
    how = ways(keys)["ec"]
    assert "as they were" in run(lab, "backup", "check", str(generation), *how).stdout
    told = run(lab, "backup", "check", str(generation)).stdout
    assert "as they were" not in told and "encrypted files have the checksums" in told
    largest, second_largest, *_ = sorted((generation / "pieces").iterdir(), key=lambda p: -p.stat().st_size)
    whole, other = largest.read_bytes(), second_largest.read_bytes()
    assert len(whole) > 3 * 65552
    cuts = {"chunk 2": whole[:16 + 65552] + bytes([whole[16 + 65552] ^ 1]) + whole[17 + 65552:],
            "chunk 1 ": whole[:16] + whole[16 + 65552:16 + 2 * 65552] + whole[16:16 + 65552] + whole[16 + 2 * 65552:],
            "the last": whole[:16 + 2 * 65552], "chunk 3": whole[:-1] if len(whole) < 16 + 3 * 65552 else whole[:16 + 2 * 65552 + 5] + b"x" + whole[16 + 2 * 65552 + 6:],
            "chunk 1": other, "is missing": whole[:10]}
    for words, changed in cuts.items():
        largest.write_bytes(changed)
        done = run(lab, "backup", "check", str(generation), *how, check=False)
        assert done.returncode == EX_DATAERR and largest.name in done.stderr and "store/" in done.stderr and words in done.stderr, (words, done.stderr)
        done = run(lab, "backup", "check", str(generation), check=False)
        assert done.returncode == EX_DATAERR and largest.name in done.stderr, "seen without a key too"
        done = lab.run("restore", str(generation), "--dir", str(scratch / "restored"), *how, check=False)
        assert done.returncode == EX_DATAERR and largest.name in done.stderr and not (scratch / "restored").exists()
    largest.write_bytes(whole)
    for name in ("manifest", "keybox"):
        text = (generation / name).read_bytes()
        damage(generation / name)
        done = run(lab, "backup", "check", str(generation), *how, check=False)
        assert done.returncode != 0 and (name in done.stderr or "list of recipients is damaged" in done.stderr), done.stderr
        done = run(lab, "backup", "check", str(generation), check=False)
        assert done.returncode == EX_DATAERR or name == "keybox", "seen without a key too"
        (generation / name).write_bytes(text)
    run(lab, "backup", "check", str(generation), *how)
    # An older one under a newer name is no newer one.
    renamed = generation.rename(generation.parent / "29991231T235959Z")
    done = lab.run("restore", str(generation.parent), "--dir", str(scratch / "restored"), *how, check=False)
    assert done.returncode == EX_DATAERR and f"made as {generation.name}" in done.stderr and not (scratch / "restored").exists()
    for path in (f"{renamed}/", f"{renamed}//", f"{renamed}/.", f"{renamed}/pieces/..", "."):
        done = subprocess.run([os.path.abspath(lab.program), "restore", path, "--dir", scratch / "restored", *how], cwd=renamed, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == EX_DATAERR and f"made as {generation.name}" in done.stderr and not (scratch / "restored").exists(), path
    other_name = renamed.rename(generation.parent / "the-latest")
    done = lab.run("restore", str(other_name), "--dir", str(scratch / "restored"), *how, check=False)
    assert done.returncode == EX_DATAERR and "is called the-latest" in done.stderr and not (scratch / "restored").exists()
    other_name.rename(generation)
    (scratch / "link").symlink_to(generation)
    for path in (generation, f"{generation}/.", scratch / "link"):
        run(lab, "backup", "check", str(path), *how)


def test_one_in_the_clear_is_not_taken_for_an_encrypted_one(lab, alice, scratch, keys):
    """Whoever can write into the folder of the backups replaces the encrypted one by his own; the key that was given is the sign that it is not meant."""
    backup(lab, scratch / "b")
    generation = next(p for p in (scratch / "b").iterdir() if p.is_dir())
    for how in ways(keys).values():
        for command in (["restore", str(scratch / "b"), "--dir", str(scratch / "restored")], ["restore", str(scratch / "b"), "--dir", str(lab.dir), "--account", alice.address],
                        ["backup", "check", str(generation), "--dir", str(lab.dir)], ["backup", "check", str(scratch / "b"), "--all", "--dir", str(lab.dir)]):
            done = lab.run(*command, *how, check=False)
            assert done.returncode == EX_NOPERM and "not encrypted, but a key or a passphrase was given" in done.stderr and "give none" in done.stderr, (command, done.stderr)
            assert not (scratch / "restored").exists()
    told = lab.run("restore", str(scratch / "b"), "--dir", str(scratch / "restored")).stdout
    at = generation.name
    assert f"made at {at[:4]}-{at[4:6]}-{at[6:8]} {at[9:11]}:{at[11:13]} UTC, and is not encrypted" in told


def test_a_stream(lab, alice, scratch, keys):
    lab.start()
    fill(lab, alice)
    before = content(lab, alice)
    with open(scratch / "b.tar", "wb") as out:
        subprocess.run([lab.program, "backup", "-", "--dir", str(lab.dir), *to_both(keys)], stdout=out, check=True, timeout=60)
    assert lab.stop() == 0
    assert not list((lab.dir / "keys").glob("backup-*.seal"))
    (scratch / "x").mkdir()
    subprocess.run(["tar", "-C", str(scratch / "x"), "-xf", str(scratch / "b.tar")], check=True)
    unpacked = next((scratch / "x").iterdir())
    renamed = unpacked.rename(unpacked.parent / "29991231T235959Z")
    assert "somebody has renamed it" in run(lab, "backup", "check", str(renamed), *ways(keys)["rsa"], check=False).stderr
    unpacked = renamed.rename(unpacked.parent / "unpacked")  # as whoever unpacks it likes
    other = second(lab, scratch / "restored")
    other.run("restore", str(unpacked), "--dir", str(other.dir), *ways(keys)["rsa"])
    other.start()
    assert content(other, alice) == before
    assert other.stop() == 0


def test_the_passphrase_is_asked_for_twice(lab, scratch):
    terminal = Terminal(["sh", "-c", f"{os.path.abspath(lab.program)} backup {scratch / 'b'} --dir {lab.dir} --passphrase; echo ended with $?; cat"], os.environ, scratch)
    try:
        terminal.wait("Passphrase of the backup:")
        terminal.type(PASSPHRASE)
        terminal.keys("Enter")
        terminal.wait("Once more:")
        terminal.type(PASSPHRASE)
        terminal.keys("Enter")
        assert PASSPHRASE not in terminal.wait("ended with 0")
    finally:
        terminal.close()
    (scratch / "phrase").write_text(PASSPHRASE)
    forget(lab)
    run(lab, "backup", "check", str(scratch / "b"), "--passphrase-file", str(scratch / "phrase"))
    done = run(lab, "backup", str(scratch / "c"), "--passphrase", check=False, input="")
    assert done.returncode != 0 and "--passphrase-file" in done.stderr


def foreign_reader(generation, key, cert):
    """{path: bytes}: by what src/archive/README.md says, with openssl and Python's cryptography."""
    from cryptography.hazmat.primitives.ciphers import aead
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    def unseal(stream, secret):
        assert stream[:16] == b"valise-sealed-1\n"
        chunks = [stream[i:i + 65552] for i in range(16, len(stream), 65552)]
        return b"".join(aead.AESGCM(secret).decrypt(n.to_bytes(11, "big") + bytes([n == len(chunks) - 1]), chunk, stream[:16]) for n, chunk in enumerate(chunks))

    secret = openssl("cms", "-decrypt", "-inform", "DER", "-in", generation / "keybox", "-inkey", key, "-recip", cert)
    salt = hashlib.sha256((generation / "keybox").read_bytes()).digest()
    manifest = unseal((generation / "manifest").read_bytes(), HKDF(hashes.SHA256(), 32, salt, b"valise backup manifest").derive(secret))
    return {f["path"]: unseal((generation / "pieces" / f["piece"]).read_bytes(), bytes.fromhex(f["key"])) for f in json.loads(manifest)["files"]}


def test_another_program_reads_it(lab, alice, scratch, keys):
    lab.start()
    grow(lab, alice.address, 3)
    backup(lab, scratch / "b", *to_both(keys))
    assert lab.stop() == 0
    generation = next(p for p in (scratch / "b").iterdir() if p.is_dir())
    for kind in ("rsa", "ec"):
        files = foreign_reader(generation, keys[kind], keys[kind + "-cert"])
        assert files["ca.pem"] == (lab.dir / "ca.pem").read_bytes() and "keys/ca.key" not in files and len(files) > 8


# --- the CA's key ---


def test_the_ca_key_on_request_only(lab, scratch):
    name = f"new.{harness.DOMAIN}"
    told = run(lab, "backup", str(scratch / "b")).stdout
    generation = next(p for p in (scratch / "b").iterdir() if p.is_dir())
    assert "keys/ca.key in a safe" in told and not (generation / "files" / "keys" / "ca.key").exists()
    key = (lab.dir / "keys" / "ca.key").read_text().split("\n")[1]
    assert key.encode() not in everything(scratch / "b")
    other = second(lab, scratch / "restored")
    told = other.run("restore", str(scratch / "b"), "--dir", str(other.dir)).stdout
    assert "without the CA's key" in told and f"{other.dir}/keys/ca.key" in told
    other.start()
    done = run(other, "cert", "issue", "--server", name, check=False)
    assert done.returncode != 0 and "ca.key" in done.stderr, done.stderr
    neighbour = next((other.dir / "keys").iterdir()).stat()
    shutil.copy(lab.dir / "keys" / "ca.key", other.dir / "keys" / "ca.key")
    os.chown(other.dir / "keys" / "ca.key", neighbour.st_uid, neighbour.st_gid)
    run(other, "cert", "issue", "--server", name)
    assert other.stop() == 0
    told = run(lab, "backup", str(scratch / "with"), "--with-ca-key").stdout
    assert "safe" not in told
    generation = next(p for p in (scratch / "with").iterdir() if p.is_dir())
    assert key in (generation / "files" / "keys" / "ca.key").read_text()
    assert json.loads(run(lab, "backup", "list", str(scratch / "with"), "--json").stdout)["generations"][0]["ca-key"] is True
    told = lab.run("restore", str(scratch / "with"), "--dir", str(scratch / "again")).stdout
    assert "without the CA's key" not in told


# --- revocations ---


def issue(lab, address, scratch, name):
    told = json.loads(run(lab, "cert", "issue", "--user", address, "--p12", str(scratch / name), "--generate", "--json").stdout)
    return told["serial"]


def revoked(lab):
    return {c["serial"] for c in json.loads(run(lab, "cert", "list", "--json").stdout)["certificates"] if c.get("revoked-at")}


@pytest.mark.parametrize("source", ["present", "present-running", "beside", "top", "none"])
def test_what_was_revoked_stays_revoked(lab, alice, bob, scratch, source, monkeypatch):
    monkeypatch.delenv("VALISE_DIR", raising=False)
    first, target = issue(lab, alice.address, scratch, "a.p12"), scratch / "b"
    run(lab, "backup", str(target))
    old = generations(target)[0]
    later = issue(lab, bob.address, scratch, "b.p12")
    run(lab, "cert", "revoke", first)
    run(lab, "cert", "revoke", later)
    how, other = [], second(lab, scratch / "restored")
    if source.startswith("present"):
        how = ["--revoked-from", str(lab.dir)]
        if source == "present-running":
            lab.start()
    elif source == "top":
        assert {first, later} == set(re.findall(r'"serial": "([0-9a-f]+)"', (lab.dir / "ca.revoked").read_text()))
        other.dir.mkdir()
        shutil.copy(lab.dir / "ca.revoked", other.dir)
    elif source == "beside":
        wait_for_another_second(target)
        run(lab, "backup", str(target))
        assert set(re.findall(r'"serial": "([0-9a-f]+)"', (target / "ca.revoked").read_text())) == {first, later}
        assert alice.address not in (target / "ca.revoked").read_text()
    told = other.run("restore", str(target / old), "--dir", str(other.dir), *how).stdout
    if source == "none":
        assert "No list of certificates revoked since" in told and revoked(other) == set()
        return
    assert "2 certificates were revoked since" in told and revoked(other) == {first, later}
    assert run(other, "check").returncode == 0
    if lab.process:
        assert lab.stop() == 0
    # The restored system hands on what it knows.
    run(other, "backup", str(scratch / "c"))
    assert {first, later} == set(re.findall(r'"serial": "([0-9a-f]+)"', (scratch / "c" / "ca.revoked").read_text()))


def test_the_usual_system_is_asked_by_itself(lab, alice, scratch, monkeypatch):
    serial = issue(lab, alice.address, scratch, "a.p12")
    run(lab, "backup", str(scratch / "b"))
    run(lab, "cert", "revoke", serial)
    run(lab, "ca", "renew")  # the same key, so the same CA
    monkeypatch.setenv("VALISE_DIR", str(lab.dir))
    other = second(lab, scratch / "restored")
    assert "1 certificate was revoked" in other.run("restore", str(scratch / "b"), "--dir", str(other.dir)).stdout
    assert revoked(other) == {serial}
    # Its store is lost: its file says as much, and that is told.
    shutil.rmtree(lab.dir / "store")
    (lab.dir / "store").mkdir()
    (lab.dir / "store" / "CURRENT").write_text("no such thing\n")
    other = second(lab, scratch / "another")
    done = other.run("restore", str(scratch / "b"), "--dir", str(other.dir))
    assert "1 certificate was revoked" in done.stdout and "could not be read to the end" in done.stderr
    assert revoked(other) == {serial}


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_the_list_names_those_of_removed_users(lab, bob, scratch, running):
    serial = issue(lab, bob.address, scratch, "b.p12")
    if running:
        lab.start()
    run(lab, "user", "remove", bob.address)
    assert serial in (lab.dir / "ca.revoked").read_text()
    if running:
        assert lab.stop() == 0


def test_a_foreign_list_does_no_harm(lab, alice, scratch):
    serial = issue(lab, alice.address, scratch, "a.p12")
    run(lab, "backup", str(scratch / "b"))
    generation = next(p for p in (scratch / "b").iterdir() if p.is_dir())
    path = scratch / "b" / "ca.revoked"
    for text in ("", "{", "[]", '{"version": 2}', '{"version": 1}', '{"version": 1, "revoked": [7]}', '{"version": 1, "revoked": [{"serial": "../x", "revoked-at": 1}]}',
                 '{"version": 1, "revoked": [{"serial": "%s"}]}' % ("0" * 100)):
        path.write_text(text)
        done = lab.run("restore", str(generation), "--dir", str(scratch / "restored"), check=False)
        assert done.returncode not in (0, 139) and done.stderr and not (scratch / "restored").exists(), (text, done.stderr)
    path.write_text(json.dumps({"version": 1, "revoked": [{"serial": serial, "revoked-at": 5, "use": "user"}]}))
    other = second(lab, scratch / "restored")
    other.run("restore", str(generation), "--dir", str(other.dir))
    assert revoked(other) == {serial}


def test_a_false_core_lists_what_it_likes(lab, scratch):
    """What it says of revoked certificates harms nobody, and has an end."""
    entry = {"serial": "aa", "use": "user", "revoked-at": 1, "certificate": "x"}
    for answer in ({"ok": True}, {"ok": True, "certificates": 7}, {"ok": True, "certificates": [7, None, {}], "more": True},
                   {"ok": True, "certificates": [entry] * 20000, "more": True}, {"ok": False, "error": 5}):
        with FalseCore(lab, {"backup.begin": {"ok": True}, "cert.revoked": answer}):
            done = run(lab, "cert", "revoke", "00", check=False)
            assert done.returncode not in (70, 139, -11, -6), (answer, done)
    assert not (lab.dir / "ca.revoked").exists() or json.loads((lab.dir / "ca.revoked").read_text())["version"] == 1
