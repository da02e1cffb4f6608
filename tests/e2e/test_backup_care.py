"""valise backup over time: what a small change costs, pruning, checking, interruption by kill -9, damage of every kind."""

import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import time

import pytest

import harness
from helpers import deliver, imap, letter, subjects
from test_archive import content, fill
from test_backup import run, second, wait_for_another_second

EX_USAGE, EX_DATAERR, EX_NOINPUT = 64, 65, 66


def backup(lab, target, *options):
    return json.loads(run(lab, "backup", str(target), "--json", *options).stdout)


def generations(target):
    return sorted(p.name for p in target.iterdir())


def on_disk(path):
    """Bytes on the disk, a file of several names counted once."""
    seen = {}
    for p in path.rglob("*"):
        st = p.lstat()
        seen[st.st_ino] = st.st_blocks * 512
    return sum(seen.values())


def grow(lab, address, count, size=60000):
    for _ in range(count):
        deliver(lab, address, letter(address, body="".join(secrets.token_hex(400) + "\r\n" for _ in range(size // 800)))[0])


def test_a_small_change_costs_little(lab, alice, scratch):
    lab.start()
    grow(lab, alice.address, 60)
    first = backup(lab, scratch / "b")
    whole = on_disk(scratch / "b")
    grow(lab, alice.address, 1, 2000)
    wait_for_another_second(scratch / "b")
    again = backup(lab, scratch / "b")
    assert first["copied-bytes"] > 3000000
    assert again["copied-bytes"] < first["copied-bytes"] / 10, again
    assert on_disk(scratch / "b") - whole < whole / 5
    assert lab.stop() == 0


def test_pruning(lab, alice, scratch):
    target = scratch / "b"
    for i in range(4):
        if i:
            wait_for_another_second(target)
        removed = backup(lab, target, *(["--keep", "3"] if i == 3 else []))["removed"]
    names = generations(target)
    assert len(names) == 3 and removed == 1
    listed = json.loads(run(lab, "backup", "list", str(target), "--json").stdout)["generations"]
    assert [g["generation"] for g in listed] == names and all(g["files"] > 5 for g in listed)
    assert names[0] in run(lab, "backup", "list", str(target)).stdout
    assert "1 removed" in run(lab, "backup", "prune", str(target), "--keep", "2").stdout
    assert generations(target) == names[1:]
    assert run(lab, "backup", "prune", str(target), check=False).returncode == EX_USAGE
    assert run(lab, "backup", "prune", str(scratch / "none"), "--keep", "1", check=False).returncode == EX_NOINPUT
    run(lab, "backup", "check", str(target), "--all")
    other = second(lab, scratch / "restored")
    other.run("restore", str(target), "--dir", str(other.dir))
    assert run(other, "check", "--deep").returncode == 0


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_told_whole(lab, alice, scratch):
    lab.start()
    grow(lab, alice.address, 3)
    backup(lab, scratch / "b")
    assert lab.stop() == 0
    generation = next((scratch / "b").iterdir())
    assert "as they were" in run(lab, "backup", "check", str(scratch / "b")).stdout
    files = generation / "files"
    store = sorted((files / "store").iterdir(), key=lambda p: -p.stat().st_size)
    damage(store[0])
    store[1].write_bytes(store[1].read_bytes()[:-1])
    (files / "ca.pem").unlink()
    done = run(lab, "backup", "check", str(scratch / "b"), check=False)
    assert done.returncode == EX_DATAERR
    assert store[0].name in done.stderr and "checksum" in done.stderr and store[1].name in done.stderr and "bytes instead of" in done.stderr
    assert "ca.pem" in done.stderr and "3 of" in done.stderr
    good = json.loads((generation / "manifest.json").read_text())
    foreign = {"path": "../../etc/passwd", "sha256": "", "size": 0}
    texts = ["", "{", "[]", '{"version": 9, "files": []}', json.dumps({**good, "files": [*good["files"], foreign]})]
    # Nothing to restore is no good backup.
    lists = [None, {}, "x", [], [foreign], [f for f in good["files"] if f["path"] != "valise.conf"], [f for f in good["files"] if not f["path"].startswith("store/")]]
    # Nor is one that names a file twice, or what a server would believe and no backup has.
    lists += [[*good["files"], {**good["files"][0], "path": path}] for path in ("valise.conf", "control.sock", "keys/a/b", "keys/", "suid")]
    for text in [*texts, '{"version": 1}', '{"version": 2}', *(json.dumps({**good, "files": files}) for files in lists)]:
        (generation / "manifest.json").write_text(text)
        done = run(lab, "backup", "check", str(generation), check=False)
        assert done.returncode not in (0, 139) and "manifest.json" in done.stderr, (text, done.stderr)
        done = lab.run("restore", str(generation), "--dir", str(scratch / "restored"), check=False)
        assert done.returncode != 0 and "manifest.json" in done.stderr and not (scratch / "restored").exists(), (text, done.stderr)


def killed_somewhere(lab, *argv):
    """Starts valise ARGV and kills it, and what it started, after a random while; whether it had come to its end."""
    process = subprocess.Popen([lab.program, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(random.uniform(0, 0.25))
    over = process.poll() is not None
    if not over:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return over


def test_kills_leave_nothing_half(lab, alice, scratch):
    """Ten backups and ten restores of everything and of an account, each killed at some moment; each time what there is is whole, and the next one
    cleans up."""
    lab.start()
    fill(lab, alice)
    grow(lab, alice.address, 40)
    before = content(lab, alice)
    target = scratch / "b"
    backup(lab, target)
    for _ in range(10):
        killed_somewhere(lab, "backup", str(target), "--dir", str(lab.dir))
        whole = [name for name in generations(target) if not name.endswith(".partial")]
        assert whole
        run(lab, "backup", "check", str(target / whole[-1]))
    wait_for_another_second(target)
    backup(lab, target)
    assert all(len(name) == 16 for name in generations(target)), generations(target)
    assert not [name for name in os.listdir(lab.dir / "spool") if name.startswith("backup-")]
    for _ in range(10):
        over = killed_somewhere(lab, "restore", str(target), "--dir", str(scratch / "restored"))
        assert over or not (scratch / "restored").exists() or run(second(lab, scratch / "restored"), "check").returncode == 0
        shutil.rmtree(scratch / "restored", ignore_errors=True)
    lab.run("restore", str(target), "--dir", str(scratch / "restored"))
    assert [p.name for p in scratch.iterdir() if "restore-" in p.name] == []
    assert run(second(lab, scratch / "restored"), "check", "--deep").returncode == 0
    for _ in range(10):
        killed_somewhere(lab, "restore", str(target), "--dir", str(lab.dir), "--account", alice.address)
    run(lab, "restore", str(target), "--dir", str(lab.dir), "--account", alice.address)
    assert content(lab, alice) == before, "what is there is not brought a second time"
    assert all(len(name) == 16 for name in generations(target)), generations(target)
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_a_stream_through_a_pipe(lab, alice, scratch):
    lab.start()
    fill(lab, alice)
    before = content(lab, alice)
    done = subprocess.run(f"set -o pipefail; {lab.program} backup - --dir {lab.dir} | gzip -1 | gzip -d | tar -C {scratch} -xf -", shell=True,
                          executable="/bin/bash", timeout=60, check=False)
    assert done.returncode == 0
    generation = next(scratch.iterdir())
    run(lab, "backup", "check", str(generation))
    other = second(lab, scratch / "restored")
    other.run("restore", str(generation), "--dir", str(other.dir))
    assert lab.stop() == 0
    other.start()
    assert content(other, alice) == before
    assert other.stop() == 0


def test_a_reader_that_leaves_is_an_error(lab, alice, scratch):
    lab.start()
    grow(lab, alice.address, 20)
    done = subprocess.run(f"{lab.program} backup - --dir {lab.dir} | head -c 1000 >/dev/null; exit ${{PIPESTATUS[0]}}", shell=True,
                          executable="/bin/bash", timeout=60, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode not in (0,), done.stderr
    assert not [name for name in os.listdir(lab.dir / "spool") if name.startswith("backup-")]
    assert run(lab, "backup", "-", "--keep", "3", check=False).returncode == EX_USAGE
    assert lab.stop() == 0


def test_two_at_a_time(lab, scratch):
    """Into one directory: the second says that another one works there, or is a backup of its own."""
    processes = [subprocess.Popen([lab.program, "backup", str(scratch / "b"), "--dir", str(lab.dir)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True) for _ in range(3)]
    codes = [(p.communicate()[1], p.returncode) for p in processes]
    assert any(code == 0 for _, code in codes), codes
    assert all(code == 0 or "another" in text or "File exists" in text or "not empty" in text for text, code in codes), codes
    run(lab, "backup", "check", str(scratch / "b"), "--all")


def leftover(folder, name, marked=True):
    """What an interrupted command leaves: a tree that says it is unfinished under the name it has."""
    tree = folder / name
    (tree / "files").mkdir(parents=True)
    (tree / "files" / "x").write_text("x")
    if marked:
        (tree / f".unfinished.{marked if isinstance(marked, str) else name}").touch()
    return tree


def test_only_what_says_that_it_is_unfinished_is_removed(lab, scratch):
    """Whoever may name things in the folder can call any tree as leftovers are called; it says inside what it is, and under which name."""
    backup(lab, scratch / "b")
    (whole,) = generations(scratch / "b")
    wait_for_another_second(scratch / "b")
    names = ("20200101T000000Z.partial", "restore-abc")
    for name in names:
        leftover(scratch / "b", name)
    empty = scratch / "b" / "20200101T000001Z.partial"     # ended before it could say so
    empty.mkdir()
    others = [leftover(scratch / "b", name, marked) for name, marked in (
        ("20200102T000000Z.partial", False), ("restore-def", False), ("20200103T000000Z.partial", "20200104T000000Z.partial"), ("restore-ghi", "restore-xyz"))]
    loose = leftover(scratch / "b", "restore-loose")        # others can write there
    loose.chmod(0o777)
    others.append(loose)
    backup(lab, scratch / "b")
    assert not empty.exists() and not any((scratch / "b" / name).exists() for name in names)
    for tree in others:
        assert (tree / "files" / "x").read_text() == "x", tree
    for tree in others:
        shutil.rmtree(tree)
    assert len(generations(scratch / "b")) == 2 and whole in generations(scratch / "b")
    assert not list((scratch / "b").rglob(".unfinished.*"))


def test_prune_removes_backups_only(lab, scratch):
    backup(lab, scratch / "b")
    other = leftover(scratch / "b", "20200101T000000Z", marked=False)
    done = lab.run("backup", "prune", str(scratch / "b"), "--keep", "1", check=False)
    assert done.returncode == 77 and "20200101T000000Z is no backup" in done.stderr, done
    assert (other / "files" / "x").exists() and len(generations(scratch / "b")) == 2


def test_who_can_open_the_folder_does_not_hold_its_lock(lab, scratch):
    """flock needs an open descriptor and no more, so it is a file that is locked which only we can open."""
    (scratch / "b").mkdir()
    held = [os.open(path, os.O_RDONLY) for path in (scratch / "b", lab.dir, lab.dir / "spool")]
    for fd in held:
        fcntl.flock(fd, fcntl.LOCK_EX)
    backup(lab, scratch / "b")
    lab.run("backup", "prune", str(scratch / "b"), "--keep", "1")
    for fd in held:
        os.close(fd)
    assert len(generations(scratch / "b")) == 1, "no lock is left"
    # One at a time all the same.
    for folder, name in ((scratch / "b", ".lock"), (lab.dir, "backup.lock")):
        fd = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        done = lab.run("backup", str(scratch / "b"), "--dir", str(lab.dir), check=False)
        assert done.returncode == 69, done
        os.close(fd)
    wait_for_another_second(scratch / "b")
    backup(lab, scratch / "b")              # what was left of the locks is taken over
    # One that others can open is not taken for ours.
    (scratch / "b" / ".lock").touch(0o644)
    (scratch / "b" / ".lock").chmod(0o644)
    done = lab.run("backup", str(scratch / "b"), "--dir", str(lab.dir), check=False)
    assert done.returncode == 77 and "remove it" in done.stderr, done


def test_files_that_are_mostly_holes(lab, scratch):
    """What core can write is measured before it is read."""
    hole = lab.dir / "tls" / "hole.pem"
    with open(hole, "wb") as f:
        f.truncate(1 << 40)
    for target, more in ((scratch / "b", ()), (scratch / "sealed", ("--passphrase-file", str(scratch / "word")))):
        (scratch / "word").write_text("a long passphrase of several words\n")
        done = lab.run("backup", str(target), "--dir", str(lab.dir), "--json", *more, check=False, timeout=60)
        result = json.loads(done.stdout)
        assert done.returncode == 65 and [f["name"] for f in result["failures"]] == ["tls/hole.pem"], done
    hole.unlink()
    restored = second(lab, scratch / "restored")
    lab.run("restore", str(scratch / "b"), "--dir", str(restored.dir))
    assert run(restored, "check").returncode == 0
