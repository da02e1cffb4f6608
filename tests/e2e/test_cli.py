"""The command line: help, exit statuses of sysexits.h, errors for people and for programs, the same with the server running and stopped."""

import json
import os
import pwd
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from harness import DOMAIN, HOSTNAME

USAGE, DATAERR, NOINPUT, NOUSER, UNAVAILABLE, CANTCREAT, NOPERM, CONFIG = 64, 65, 66, 67, 69, 73, 77, 78
COMMANDS = ["init", "serve", "reload", "status", "check", "domain add", "domain remove", "domain list", "user add", "user passwd", "user remove",
            "user enable", "user disable", "user list", "alias add", "alias remove", "alias list"]


@pytest.fixture
def empty():
    """A lab that is not even made, in a directory of its own."""
    directory = harness.make_directory()
    yield harness.Valise(directory / "lab")
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def init(lab, *more, directory=None, check=False):
    return lab.run("init", "--dir", directory or str(lab.dir), "--domain", DOMAIN, "--hostname", HOSTNAME, *more, check=check)


def refused(done, status):
    """A failed command with --json: the object, which says the same as standard error."""
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}{done.stderr}"
    reply = json.loads(done.stdout)
    assert reply["ok"] is False and reply["error"] and reply["text"], reply
    assert reply["text"] in done.stderr
    return reply["text"]


# --- usage ---

@pytest.mark.parametrize("command", COMMANDS)
def test_help(empty, command):
    done = empty.run(*command.split(), "--help")
    assert done.stdout.startswith(f"usage: valise {command}") and not done.stderr
    assert all(f"--{option}" in done.stdout for option in ("dir", "json", "help"))


@pytest.mark.parametrize("family", ["user", "domain", "alias"])
def test_help_of_a_family(empty, family):
    listed = [c for c in COMMANDS if c.startswith(family + " ")]
    done = empty.run(family, "--help")
    assert all(c in done.stdout for c in listed)
    done = empty.run(family, check=False)
    assert done.returncode == USAGE and all(c in done.stderr for c in listed)


@pytest.mark.parametrize("words", [["nonsense"], ["user", "nonsense"], ["--dir", "x", "status"], ["status", "--nonsense"], ["status", "--wait"],
                                   ["status", "--wait", "soon"], ["status", "operand"], ["user", "add"], ["check", "--deep=1"], ["user", "list", "-x"],
                                   ["init", "--domain", DOMAIN], ["serve", "--port-offset", "70000"], ["alias", "add", "a@b.fr"]],
                         ids=" ".join)
def test_wrong_command_lines(empty, words):
    refused(empty.run(*words, "--json", check=False), USAGE)
    assert empty.run(*words, check=False).stdout == ""


# --- init ---

@pytest.mark.parametrize("option, value", [("--domain", "bad domain"), ("--domain", ""), ("--domain", "a..b"), ("--hostname", "-x.fr"),
                                           ("--hostname", "h st"), ("--hostname", "h\nuser = \"root\""), ("--san", "a b"), ("--san", "*.*.fr"),
                                           ("--san", "1.2.3.4.5x!")])
def test_init_refuses_bad_names(empty, option, value):
    text = refused(init(empty, option, value, "--json"), DATAERR)
    assert option in text
    assert not empty.dir.exists() and list(empty.dir.parent.iterdir()) == []


def test_init_into_what_exists(empty):
    empty.dir.mkdir()
    precious = empty.dir / "precious"
    precious.write_text("keep")
    assert "not empty" in refused(init(empty, "--json"), CANTCREAT)
    assert [p.name for p in empty.dir.iterdir()] == ["precious"] and precious.read_text() == "keep"
    precious.unlink()
    inode = empty.dir.stat().st_ino
    init(empty, directory=str(empty.dir) + "//", check=True)
    assert empty.dir.stat().st_ino == inode, "an empty directory is used as it is"
    assert "not empty" in refused(init(empty, "--json"), CANTCREAT)
    refused(init(empty, "--json", directory=str(empty.dir / "valise.conf")), CANTCREAT)


def test_init_into_the_current_directory(empty):
    empty.dir.mkdir()
    done = subprocess.run([empty.program, "init", "--dir", ".", "--domain", DOMAIN, "--hostname", HOSTNAME, "--lab"], cwd=empty.dir,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in empty.dir.iterdir()} == {"keys", "tls", "ca.pem", "store", "spool", "lab-accounts.txt", "serve.lock", "valise.conf"}
    assert empty.check().returncode == 0


def test_init_without_a_parent(empty):
    text = refused(init(empty, "--json", directory=str(empty.dir / "a" / "b")), NOINPUT)
    assert "mkdir -p" in text and not empty.dir.exists()


def test_init_interrupted_leaves_nothing(empty):
    process = subprocess.Popen([empty.program, "init", "--dir", str(empty.dir), "--domain", DOMAIN, "--hostname", HOSTNAME, "--lab"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    harness.wait_until(lambda: empty.dir.exists() or process.poll() is not None, 20, "init has begun")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    if process.returncode != 0:     # else it was faster than we
        assert list(empty.dir.parent.iterdir()) == []


def test_init_as_json(empty):
    reply = json.loads(init(empty, "--lab", "--san", "courrier.example.org", "--json", check=True).stdout)
    assert reply["ok"] and reply["domain"] == DOMAIN
    assert sorted(a["address"] for a in reply["accounts"]) == [f"{n}@{DOMAIN}" for n in ("alice", "bob", "marie")]
    text = subprocess.run(["openssl", "x509", "-in", str(empty.dir / "tls" / "server.pem"), "-noout", "-text"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    assert "DNS:courrier.example.org" in text and "DNS:localhost" in text
    others = 0o27 if os.getuid() == 0 else 0o77      # keeper's group reads root's keys
    assert (empty.dir / "keys").stat().st_mode & others == 0 and (empty.dir / "keys" / "ca.key").stat().st_mode & others == 0


# --- the directory and the server ---

def test_a_directory_that_is_none(empty):
    for words in (["serve"], ["user", "list"], ["check"]):
        text = refused(empty.run(*words, "--dir", str(empty.dir), "--json", check=False), NOINPUT)
        assert str(empty.dir) in text and "valise init" in text


def test_server_not_running(lab):
    for words in (["status"], ["reload"], ["status", "--wait", "0"]):
        assert str(lab.dir) in refused(lab.run(*words, "--dir", str(lab.dir), "--json", check=False), UNAVAILABLE)


def test_port_in_use_is_named(lab):
    lab.offset = harness.free_offset()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 587 + lab.offset))
        taken.listen()
        text = refused(lab.run("serve", "--dir", str(lab.dir), "--port-offset", str(lab.offset), "--json", check=False), UNAVAILABLE)
    assert "submission" in text and str(587 + lab.offset) in text


def test_missing_key_is_named_at_start(lab):
    (lab.dir / "keys" / "server.key").rename(lab.dir / "keys" / "server.gone")
    text = refused(lab.run("serve", "--dir", str(lab.dir), "--port-offset", str(harness.free_offset()), "--json", check=False), CONFIG)
    assert "tls/server.pem" in text and "private key" in text


def test_stale_control_socket(lab):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(lab.dir / "control.sock"))
    os.chmod(lab.dir / "control.sock", 0o666)
    assert "alice@" in lab.run("user", "list", "--dir", str(lab.dir)).stdout
    lab.start()
    assert (lab.dir / "control.sock").stat().st_mode & 0o77 == 0
    assert lab.stop() == 0
    assert not (lab.dir / "control.sock").exists()


def dialogue(lab):
    """What a series of commands says; free of what differs between two directories."""
    steps = [(["domain", "add", "autre.fr"], 0), (["domain", "add", "autre.fr"], CANTCREAT), (["domain", "add", "bad domain"], DATAERR),
             (["user", "add", "luc@autre.fr", "--password-stdin"], 0), (["user", "add", "luc@autre.fr", "--password-stdin"], CANTCREAT),
             (["user", "add", "luc@ailleurs.fr", "--password-stdin"], NOPERM), (["user", "passwd", "nul@autre.fr", "--password-stdin"], NOUSER),
             (["alias", "add", "info@autre.fr", "luc@autre.fr"], 0), (["alias", "list"], 0), (["user", "disable", "luc@autre.fr"], 0),
             (["user", "list"], 0), (["user", "list", "--domain", "autre.fr"], 0), (["user", "enable", "luc@autre.fr"], 0),
             (["domain", "remove", "autre.fr"], NOPERM), (["check", "--deep"], 0), (["alias", "remove", "info@autre.fr"], 0),
             (["user", "remove", "luc@autre.fr", "--now"], 0), (["user", "remove", "luc@autre.fr"], NOUSER), (["domain", "remove", "autre.fr"], 0),
             (["domain", "list"], 0)]
    said = []
    for words, status in steps:
        for form in ([], ["--json"]) if words[-1] in ("list", "--deep", "autre.fr") and words[1] == "list" else (["--json"],):
            done = lab.run(*words, *form, "--dir", str(lab.dir), input="mot de passe\n", check=False)
            assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
            said.append((words, form, json.loads(done.stdout) if form else done.stdout))
    return said


def test_the_same_running_and_stopped(lab):
    stopped = dialogue(lab)
    lab.start()
    running = dialogue(lab)
    assert lab.stop() == 0
    for a, b in zip(stopped, running):
        assert a == b


def test_generated_password(lab):
    reply = json.loads(lab.run("user", "add", f"lea@{DOMAIN}", "--generate", "--json", "--dir", str(lab.dir)).stdout)
    assert len(reply["password"]) == 19
    done = lab.run("user", "add", f"lea@{DOMAIN}", "--generate", "--dir", str(lab.dir), check=False)
    assert done.returncode == CANTCREAT and "password:" not in done.stdout, "no password is shown that is not in force"


@pytest.mark.parametrize("running", [False, True])
def test_commands_at_the_same_time(lab, running):
    if running:
        lab.start()
    addresses = [f"c{n}@{DOMAIN}" for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda a: lab.run("user", "add", a, "--password-stdin", "--dir", str(lab.dir), input="mot de passe\n"), addresses))
    assert all(d.returncode == 0 for d in done)
    listed = lab.run("user", "list", "--dir", str(lab.dir)).stdout
    assert all(a in listed for a in addresses)
    if running:
        assert lab.stop() == 0


def test_status(lab):
    lab.start()
    v = json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)
    assert [r["name"] for r in v["roles"]] == ["supervisor", "keeper", "core", "mx"] and all(r["pid"] for r in v["roles"])
    assert v["certificates"][0]["chain"] == "tls/server.pem" and 390 < v["certificates"][0]["days-left"] <= 397
    assert {item["name"]: item["port"] for item in v["listeners"]}["imaps"] == lab.ports["imaps"]
    text = lab.run("status", "--dir", str(lab.dir)).stdout
    assert "imaps" in text and "days left" in text and HOSTNAME in text
    assert lab.stop() == 0


# --- whose files they are ---

def as_user(lab, name, *args):
    user = pwd.getpwnam(name)
    return subprocess.run([harness.binary_for_others(), *args, "--dir", str(lab.dir), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, user=user.pw_uid, group=user.pw_gid, extra_groups=[])


def owners(lab):
    return {p.lstat().st_uid for p in [lab.dir, *lab.dir.rglob("*")]}


def test_owner_and_others(lab):
    """An ordinary user's directory is his whoever starts commands and server. Of one that root made, the server's user may use commands without a
    server; with one, and elsewhere, root is needed, and that is told (test_owners.py: whose the files are)."""
    if os.getuid() != 0:
        for step in (lambda: lab.run("user", "list", "--dir", str(lab.dir)), lab.start):
            step()
            assert owners(lab) == {os.getuid()}, "also the control socket and the lock"
        assert lab.stop() == 0
        return
    lab.run("user", "list", "--dir", str(lab.dir))
    for step in (lambda: None, lab.start):
        step()
        assert "root" in refused(as_user(lab, "nobody", "user", "list"), NOPERM)
        done = as_user(lab, "valise", "user", "list")
        assert json.loads(done.stdout)["ok"] if not lab.process else "root" in refused(done, NOPERM)
    assert lab.stop() == 0
    assert json.loads(as_user(lab, "valise", "user", "list").stdout)["ok"]
