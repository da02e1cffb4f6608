"""Root's command line against a core that was taken over, and against what users put into folders that root is asked to read: nothing outside is read,
written or removed, and nothing hangs."""

import ctypes
import hashlib
import json
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

import harness
from helpers import letter

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="plays users against root, so it needs root")
SECRET = "the-secret-of-somebody-else"
libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    """Both names at once, as only the kernel can."""
    libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), 2)


class FalseCore:
    """Answers on control.sock what a test wants: `answers` maps commands to replies, or to functions of the request that give one; bytes are sent
    behind the line."""

    def __init__(self, lab, answers):
        self.answers = {"bulk.open": {"ok": True, "mailboxes": []}, "cert.revoked": {"ok": True, "certificates": []}, **answers}
        self.asked = []
        path = lab.dir / "control.sock"
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        os.chmod(path, 0o600)
        self.socket.listen(20)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rwb") as stream:
            for line in stream:
                request = json.loads(line)
                stream.read(request.get("bytes", 0))
                self.asked.append(request["command"])
                answer = self.answers.get(request["command"], {"ok": True})
                answer = answer(request) if callable(answer) else answer
                text, after = answer if isinstance(answer, tuple) else (answer, b"")
                try:
                    stream.write(json.dumps(text).encode() + b"\r\n" + after)
                    stream.flush()
                except OSError:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.fixture
def victim():
    """A folder that no command is told about."""
    path = Path(tempfile.mkdtemp(prefix="valise-victim-"))
    (path / "secret").write_text(SECRET)
    (path / "000001.sst").write_text(SECRET)
    os.chmod(path, 0o700)
    yield path
    shutil.rmtree(path)


def untouched(victim):
    return sorted(p.name for p in victim.iterdir()) == ["000001.sst", "secret"] and (victim / "secret").read_text() == SECRET


def holds_secret(folder):
    return [str(p) for p in Path(folder).rglob("*") if p.is_file() and SECRET in p.read_text(errors="replace")]


def run(lab, *args, **options):
    return lab.run(*args, "--dir", str(lab.dir), check=False, timeout=60, **options)


# --- backup ---

def test_backup_believes_no_path(lab, scratch, victim):
    """The reply names a folder elsewhere: it is neither copied nor removed."""
    for name in (f"../../{victim.name}", str(victim), "spool", ".", f"../{victim.name}"):
        with FalseCore(lab, {"backup.begin": {"ok": True, "path": os.path.relpath(victim, lab.dir) if name == "." else name}}):
            done = run(lab, "backup", str(scratch / "b"))
        assert done.returncode != 0 and "copy of the store" in done.stderr, done
        assert untouched(victim) and not holds_secret(scratch) and (lab.dir / "spool").is_dir()
        assert not list((scratch / "b").iterdir())


@pytest.mark.parametrize("kind", ["folder", "file", "fifo"])
def test_backup_follows_nothing_in_the_copy(lab, scratch, victim, kind):
    def begin(request):
        copy = lab.dir / "spool" / f"backup-{request['name']}"
        if kind == "folder":
            copy.symlink_to(victim)
            return {"ok": True}
        copy.mkdir()
        if kind == "file":
            (copy / "000001.sst").symlink_to(victim / "secret")
        else:
            os.mkfifo(copy / "000001.sst")
        (copy / "CURRENT").write_text("x")
        if os.geteuid() == 0:
            owner = (lab.dir / "spool").stat()
            os.chown(copy, owner.st_uid, owner.st_gid)
            os.chown(copy / "CURRENT", owner.st_uid, owner.st_gid)
        return {"ok": True}

    with FalseCore(lab, {"backup.begin": begin}):
        done = run(lab, "backup", str(scratch / "b"))
    assert (done.returncode == 0) == (kind != "folder"), done
    assert untouched(victim) and not holds_secret(scratch)
    assert not [p for p in (lab.dir / "spool").iterdir() if not p.is_symlink()]


def test_backup_while_the_copy_is_swapped(lab, scratch, victim):
    """A folder that is now the copy, now a link to somebody else's: what is read and removed is the copy."""
    stop = threading.Event()
    swappers = []

    def begin(request):
        copy, link = lab.dir / "spool" / f"backup-{request['name']}", lab.dir / "spool" / f"other-{request['name']}"
        copy.mkdir()
        for i in range(200):
            (copy / f"{i:06}.sst").write_text("mail")
        if os.geteuid() == 0:
            owner = (lab.dir / "spool").stat()
            for path in (copy, *copy.iterdir()):
                os.chown(path, owner.st_uid, owner.st_gid)
        link.symlink_to(victim)

        def swap():
            while not stop.is_set():
                exchange(copy, link)
        swappers.append(threading.Thread(target=swap))
        swappers[-1].start()
        return {"ok": True}

    with FalseCore(lab, {"backup.begin": begin}):
        for i in range(4):
            run(lab, "backup", str(scratch / f"b{i}"))
            stop.set()
            [t.join() for t in swappers]
            stop.clear()
            assert untouched(victim) and not holds_secret(scratch)


@root_only
def test_backup_reads_what_is_cores_with_its_rights(lab, scratch):
    """A file of root in the copy of the store is not read, though root asks."""
    owner = (lab.dir / "store").stat()
    if owner.st_uid == 0:
        pytest.skip("there is no user valise, so the lab is root's")

    def begin(request):
        copy = lab.dir / "spool" / f"backup-{request['name']}"
        copy.mkdir()
        os.chown(copy, owner.st_uid, owner.st_gid)
        (copy / "000001.sst").write_text(SECRET)
        os.chmod(copy / "000001.sst", 0o600)
        return {"ok": True}

    with FalseCore(lab, {"backup.begin": begin}):
        done = run(lab, "backup", str(scratch / "b"))
    assert done.returncode != 0 and "ermission denied" in done.stderr
    assert not holds_secret(scratch) and not list((scratch / "b").iterdir())


# --- export ---

MESSAGE = b"Subject: x\r\n\r\nx\r\n"


def export_answers(addresses, mailboxes):
    return {
        "user.list": {"ok": True, "users": [{"address": a} for a in addresses]},
        "bulk.open": {"ok": True, "mailboxes": [{"name": m, "messages": 1, "use": ""} for m in mailboxes]},
        "bulk.list": {"ok": True, "next": 0, "entries": [{"uid": 1, "size": len(MESSAGE), "received": 0, "flags": 0, "keywords": [], "email": 1}]},
        "bulk.digest": {"ok": True, "digests": [None]},
        "bulk.read": ({"ok": True, "bytes": len(MESSAGE)}, MESSAGE),
    }


@pytest.mark.parametrize("form", ["maildir", "mbox"])
@pytest.mark.parametrize("addresses, mailboxes", [
    (["../evil@x", "..", "a/../../evil@x", "/etc/evil@x", "", "a\u0000b@x"], ["INBOX"]),
    (["good@x"], ["..", ".", "../../../evil", "a/../../evil", "/evil", "", "a//b"]),
    (["good@x", None, 7, {"a": 1}], ["INBOX"]),
])
def test_export_stays_in_its_folder(lab, scratch, form, addresses, mailboxes):
    for address in addresses:
        for mailbox in mailboxes:
            inside = scratch / "deep" / "inside"
            shutil.rmtree(scratch / "deep", ignore_errors=True)
            inside.mkdir(parents=True)
            answers = export_answers([address], [mailbox])
            with FalseCore(lab, answers):
                done = run(lab, "export", form, "--all", str(inside / "out"))
            assert done.returncode in (0, 64, 65, 70, 73, 74, 77), (address, mailbox, done)
            assert [p.name for p in inside.iterdir()] == ["out"], (address, mailbox)
            assert [p.name for p in (scratch / "deep").iterdir()] == ["inside"], (address, mailbox)
            assert not Path("/etc/evil@x").exists()
            if done.returncode == 0:
                assert [p for p in (inside / "out").rglob("*") if p.is_file()], "what is exported is there"


@pytest.mark.parametrize("answers", [
    {"bulk.list": {"ok": True, "next": 1, "entries": []}},
    {"bulk.read": {"ok": True, "bytes": 10**15}},
    {"bulk.read": {"ok": True, "bytes": -1}},
    {"bulk.list": {"ok": True, "next": "x", "entries": {"a": [1, None, {"uid": "x"}]}}},
    {"bulk.list": {"ok": True, "entries": [None, 7, {}, {"email": None}, []]}},
    {"bulk.open": {"ok": True, "mailboxes": [None, {}, {"name": None}]}},
    {"bulk.digest": {"ok": True, "digests": []}},
    {"bulk.digest": {"ok": True, "digests": 7}},
    {"bulk.digest": {"ok": True, "digests": ["x" * 64, "x", None, {}]}},
    {"bulk.digest": {"ok": True, "digests": ["x" * 100000]}},
    {"bulk.digest": {"ok": False, "error": "corrupt"}},
    {"bulk.open": [], "user.list": {"ok": True, "users": 7}},
])
def test_answers_of_no_sense_end_the_command(lab, scratch, answers):
    with FalseCore(lab, {**export_answers(["u@x"], ["INBOX"]), **answers}):
        for i, words in enumerate((["export", "maildir", "u@x"], ["export", "mbox", "u@x"])):
            done = run(lab, *words, str(scratch / f"out{i}"))
            assert 0 <= done.returncode < 100 and "Sanitizer" not in done.stderr, done
        source = scratch / "in.mbox"
        source.write_text("From a Thu Jan  1 00:00:00 1970\nSubject: x\n\nx\n")
        done = run(lab, "import", "mbox", "u@x", str(source))
        assert 0 <= done.returncode < 100 and "Sanitizer" not in done.stderr, done


@pytest.mark.parametrize("reply", [[], "x", None, {"ok": True}, {"ok": True, "users": 7, "list": {}, "certificates": None, "aliases": [None, 7, {}], "groups": [[]]},
                                   {"ok": True, "users": [{"address": None, "role": 7}], "certificates": [{}], "list": [None], "domains": [{}], "aliases": [{}],
                                    "groups": [{"members": 7}], "lockouts": [{}], "events": [{}], "roles": [{}], "listeners": [{}], "store": 7},
                                   {"ok": False}, {"ok": False, "error": 7, "text": ["x"]}])
def test_lists_of_a_false_core_crash_nothing(lab, reply):
    commands = (["user", "list"], ["domain", "list"], ["alias", "list"], ["group", "list"], ["lockout", "list"], ["cert", "list"], ["cert", "show", "1"],
                ["status"], ["check"], ["upgrade", "--dry-run"], ["user", "history", "a@x"], ["user", "app-password", "list", "a@x"], ["metrics"], ["reload"])
    with FalseCore(lab, {}) as core:
        core.answers = type("Any", (dict,), {"get": lambda self, *_: reply})()
        for words in commands:
            done = run(lab, *words)
            assert 0 <= done.returncode < 100 and "Sanitizer" not in done.stderr, (words, done)


# --- import ---

@pytest.mark.parametrize("digest, known", [(hashlib.sha256(MESSAGE).hexdigest(), 1), (hashlib.sha256(MESSAGE + b"x").hexdigest(), 0), (None, 0)], ids=["same", "other", "damaged"])
def test_what_is_there_has_the_same_bytes(lab, scratch, digest, known):
    """The size alone says nothing, nor does a message that cannot be read any more."""
    source = scratch / "in.mbox"
    source.write_text("From a Thu Jan  1 00:00:00 1970\nSubject: x\n\nx\n")
    took = {"ok": True}
    with FalseCore(lab, {**export_answers(["u@x"], ["INBOX"]), "bulk.create": took, "bulk.append": took, "bulk.flush": took, "bulk.digest": {"ok": True, "digests": [digest]}}):
        done = json.loads(run(lab, "import", "mbox", "u@x", str(source), "--json").stdout)
    assert (done["added"], done["skipped"]) == (1 - known, known)


def maildir(path, messages=1):
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    for i in range(messages):
        message, _ = letter("alice@mondomaine.fr")
        (path / "cur" / f"{i}.M1.host:2,S").write_bytes(message.encode().replace(b"\r\n", b"\n") if isinstance(message, str) else message.replace(b"\r\n", b"\n"))
    return path


@pytest.mark.parametrize("swapped", [False, True], ids=["lies", "swapped"])
def test_import_reads_files_only(lab, alice, scratch, victim, swapped):
    lab.start()
    source = maildir(scratch / "M", 2)
    (source / "cur" / "link:2,").symlink_to(victim / "secret")
    os.mkfifo(source / "cur" / "fifo:2,")
    os.mkfifo(source / "dovecot-keywords")
    (source / "cur" / "folder:2,").mkdir()
    (source / ".Link").symlink_to(victim)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(source / "cur" / "socket:2,"))
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            exchange(source / "cur" / "0.M1.host:2,S", source / "cur" / "link:2,")
    thread = threading.Thread(target=swap)
    if swapped:
        thread.start()
    done = run(lab, "import", "maildir", alice.address, str(source), "--json")
    stop.set()
    if swapped:
        thread.join()
        run(lab, "import", "maildir", alice.address, str(source), "--json")
    else:
        assert done.returncode == 65 and json.loads(done.stdout)["added"] == 2 and json.loads(done.stdout)["left-out"] >= 4, done
        assert "find " in run(lab, "import", "maildir", alice.address, str(source)).stdout
    run(lab, "export", "maildir", alice.address, str(scratch / "out"))
    assert not holds_secret(scratch / "out")
    done = run(lab, "import", "mbox", alice.address, str(source / "cur" / "fifo:2,"))
    assert done.returncode == 77 and "regular file" in done.stderr
    tree = scratch / "mboxes"
    tree.mkdir()
    (tree / "Link.mbox").symlink_to(victim / "secret")
    os.mkfifo(tree / "Fifo.mbox")
    assert run(lab, "import", "mbox", alice.address, str(tree)).returncode == 65
    assert lab.stop() == 0


@root_only
def test_import_has_no_more_rights_than_the_owner(lab, alice, scratch, victim):
    lab.start()
    nobody = pwd.getpwnam("nobody")
    home = scratch / "home"
    source = maildir(home / "M")
    for path in (home, source, *source.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    hidden = source / "cur" / "9.M1.host:2,"
    hidden.write_text(SECRET)
    os.chmod(hidden, 0o600)
    done = run(lab, "import", "maildir", alice.address, str(source))
    assert done.returncode == 65 and "ermission denied" in done.stderr
    hidden.unlink()
    assert run(lab, "import", "maildir", alice.address, str(source)).returncode == 0
    (home / "link").symlink_to(victim)
    done = run(lab, "import", "maildir", alice.address, str(home / "link"))
    assert done.returncode == 77 and "symbolic link" in done.stderr
    assert lab.stop() == 0


@root_only
def test_export_gives_nobody_the_mail_by_his_folder(lab, alice, scratch):
    lab.start()
    nobody = pwd.getpwnam("nobody")
    home = scratch / "home"
    for path in (home, home / "empty"):
        path.mkdir()
        os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def owners(path):
        return {p.stat().st_uid for p in (path, *path.rglob("*"))}
    # An empty one of his is refused, with the way out; a new one in his folder is root's.
    for form in ("maildir", "mbox"):
        done = run(lab, "export", form, alice.address, str(home / "empty"))
        assert done.returncode == 77 and "belongs to nobody" in done.stderr and "--for nobody" in done.stderr, done
        assert not list((home / "empty").iterdir())
        assert run(lab, "export", form, alice.address, str(home / form)).returncode == 0
        assert owners(home / form) == {0} and (home / form).stat().st_mode & 0o777 == 0o700
    # Who is named has it, in his folder and in a new one of root's.
    for i, place in enumerate((home / "empty", home / "new", scratch / "new")):
        assert run(lab, "export", "maildir", alice.address, str(place), "--for", "nobody").returncode == 0
        assert owners(place) == {nobody.pw_uid}
    done = run(lab, "export", "maildir", alice.address, str(scratch / "other"), "--for", "no-such-user")
    assert done.returncode == 67 and "no-such-user" in done.stderr, done
    (scratch / "daemon").mkdir()
    os.chown(scratch / "daemon", pwd.getpwnam("daemon").pw_uid, -1)
    done = run(lab, "export", "maildir", alice.address, str(scratch / "daemon"), "--for", "nobody")
    assert done.returncode == 77 and "daemon" in done.stderr and not list((scratch / "daemon").iterdir()), done
    assert lab.stop() == 0


# --- restore ---

@root_only
def test_restore_parses_as_the_owner_and_removes_only_what_is_ours(lab, alice, scratch, victim):
    owner = (lab.dir / "store").stat().st_uid
    if owner == 0:
        pytest.skip("there is no user valise, so the lab is root's")
    nobody = pwd.getpwnam("nobody")
    assert run(lab, "backup", str(scratch / "b")).returncode == 0
    os.chmod(scratch, 0o755)
    for name in ("restore-x", "restore-y"):
        (scratch / "b" / name).mkdir()
        (scratch / "b" / name / "in").mkdir()
        (scratch / "b" / name / f".unfinished.{name}").touch()
    os.chown(scratch / "b" / "restore-x", nobody.pw_uid, nobody.pw_gid)
    (scratch / "b" / "restore-y" / "in" / "link").symlink_to(victim)
    process = subprocess.Popen([lab.program, "restore", str(scratch / "b"), "--account", alice.address, "--dir", str(lab.dir)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = set()
    while process.poll() is None:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if process.poll() is None else []:
            try:
                seen.add((os.stat(f"/proc/{child}").st_uid, stat.S_IMODE(os.stat(f"/proc/{child}").st_mode)))
                seen.add(tuple(Path(f"/proc/{child}/status").read_text().split("Uid:")[1].split()[:4]))
            except (OSError, IndexError):
                pass
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert (str(owner),) * 4 in seen, "a process that is the store's owner opened it"
    assert untouched(victim)
    left = sorted(p.name for p in (scratch / "b").iterdir())
    assert left[-1] == "restore-x" and len(left) == 2, "somebody else's folder stays, ours is gone"


# --- serve ---

def test_serve_prints_no_file_of_others(lab, victim):
    accounts = lab.dir / "lab-accounts.txt"
    (victim / "secret").write_text(f"alice@x {SECRET}\n")
    accounts.rename(lab.dir / "away")
    accounts.symlink_to(victim / "secret")
    lab.start()
    assert SECRET not in lab.log()
    assert lab.stop() == 0
    accounts.unlink()
    os.mkfifo(accounts)
    lab.start()
    assert lab.stop() == 0


@root_only
def test_serve_reads_the_accounts_with_the_owners_rights(lab, victim):
    if lab.dir.stat().st_uid == 0:
        pytest.skip("the directory is root's, and so is what is in it")
    (lab.dir / "lab-accounts.txt").write_text(f"alice@x {SECRET}\n")
    os.chown(lab.dir / "lab-accounts.txt", 0, 0)
    os.chmod(lab.dir / "lab-accounts.txt", 0o600)
    lab.start()
    assert SECRET not in lab.log()
    assert lab.stop() == 0


def test_a_live_socket_of_another_program_is_left_alone(lab, scratch):
    path = scratch / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(100)
        with open(lab.dir / "valise.conf", "a", encoding="utf-8") as config:
            config.write(f'\nlistener local {{ protocol = "lmtp" socket = "{path}" tls = "off" }}\n')
        lab.start(wait=0)
        assert lab.process.wait(30) not in (0, None)
        assert "another program listens at" in lab.log()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
    lab.process = None


# --- init ---

def test_init_reaches_into_no_other_folder(lab, scratch, victim):
    """Whoever owns the wanted directory puts a link in the way of what is built in it."""
    for i in range(4):
        wanted = scratch / f"wanted{i}"
        wanted.mkdir()
        stop = threading.Event()
        link = scratch / f"link{i}"
        link.symlink_to(victim)

        def swap():
            while not stop.is_set():
                exchange(wanted / ".init", link)
        thread = threading.Thread(target=swap)
        thread.start()
        lab.run("init", "--dir", str(wanted), "--domain", harness.DOMAIN, "--hostname", harness.HOSTNAME, "--lab", check=False)
        stop.set()
        thread.join()
        assert untouched(victim)


def test_check_gives_root_no_command_of_cores(lab):
    """Names of domains are core's words, and `check` tells root what to type."""
    evil = ["a.example; reboot", "$(reboot).example", "b.example' `reboot", "-x", "[127.0.0.1]", "x" * 5000, "c.example\nd", "\u202ex", "e.example && reboot"]
    report = {"ok": True, "problems": 0, "list": [], "notes": []}
    for domains in ({"domains": [*evil, "good.example"], "aliases": []}, {"domains": ["good.example"], "aliases": [{"alias": name} for name in evil]}):
        with FalseCore(lab, {"check": report, "domain.list": {"ok": True, **domains}}):
            done = lab.run("check", "--dir", str(lab.dir), "--json")
        notes = json.loads(done.stdout)["notes"]
        commands = [c for note in notes for c in re.findall("`(.*?)'", note)]
        assert "valise ca allow --domain good.example" in commands, notes
        assert len(notes) >= len(evil) + 1 and all(re.fullmatch(r"valise ca (allow --domain|deny) [a-z0-9]([a-z0-9.-]*[a-z0-9])?", c) for c in commands), commands
        assert not [note for note in notes if "$" in note or "&" in note or "\n" in note or "; r" in note], notes
        assert any("if this domain is yours" in note for note in notes) and max(map(len, notes)) < 400
    assert all("reboot" not in c for c in commands)
