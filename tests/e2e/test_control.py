"""The control socket: who may open it, what it does with nonsense, and that nobody on it holds up the others."""

import json
import os
import socket
import subprocess
import threading

import pytest

from harness import threads
from helpers import deliver, letter


def connect(lab):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(lab.dir / "control.sock"))
    return s


def ask(lab, data):
    """What comes back for DATA until the first line's end, or the connection's."""
    with connect(lab) as s:
        s.sendall(data)
        got = b""
        while not got.endswith(b"\n"):
            more = s.recv(65536)
            if not more:
                break
            got += more
    return got


@pytest.fixture
def running(lab):
    lab.start()
    yield lab
    assert lab.stop() == 0


@pytest.mark.parametrize("data", [b"\r\n", b"[]\r\n", b"{}\r\n", b"{\"command\": 7}\r\n", b"{\"command\": \"user.add\"}\r\n", b"\xff\xfe\r\n",
                                  b"[" * 5000 + b"\r\n", b"{\"command\": \"user.add\", \"address\": \"a\\u0000b@mondomaine.fr\"}\r\n",
                                  b"{\"command\": \"alias.add\", \"address\": \"x@mondomaine.fr\", \"targets\": 3}\r\n",
                                  b"{\"command\": \"alias.add\", \"address\": \"x@mondomaine.fr\", \"targets\": ["
                                  + b",".join([b"\"y@mondomaine.fr\""] * 101) + b"]}\r\n"],
                         ids=lambda d: d[:24].decode("latin-1").strip())
def test_nonsense_is_refused(running, data):
    reply = json.loads(ask(running, data))
    assert reply["ok"] is False and reply["error"]


@pytest.mark.parametrize("line", [b"x" * 1000000 + b"\r\n", b"{\"command\": \"domain.list\"}\n", b"\0\r\n"], ids=["long", "bare-lf", "nul"])
def test_what_is_no_line_ends_the_connection(running, line):
    assert ask(running, line) == b""
    assert running.run("status", "--dir", str(running.dir)).returncode == 0


def test_several_requests_on_one_connection(running):
    with connect(running) as s:
        s.sendall(b"{\"command\": \"domain.list\"}\r\n" * 50)
        with s.makefile("rb") as reader:
            assert all(json.loads(reader.readline())["domains"] == ["mondomaine.fr"] for _ in range(50))


def test_silent_askers_cost_no_threads(running, alice):
    core = next(pid for pid in running.roles() if "core" in running.role_command(pid))
    silent = [connect(running) for _ in range(100)]
    for s in silent[:50]:
        s.sendall(b"{\"command\": \"che")
    before = threads(core)
    deliver(running, alice.address, letter(alice.address)[0])
    assert running.run("status", "--dir", str(running.dir)).returncode == 0
    assert threads(core) <= before + 4 and before < 50
    for s in silent:
        s.close()


def test_mail_goes_on_during_checks(running, alice):
    """Deep checks, one after the other, beside deliveries and changes of users."""
    for _ in range(20):
        deliver(running, alice.address, letter(alice.address)[0])
    done, codes, said = threading.Event(), [], []

    def check():
        while not done.is_set():
            checked = running.run("check", "--deep", "--dir", str(running.dir), check=False)
            codes.append(checked.returncode)
            said.append(checked.stdout + checked.stderr)

    checker = threading.Thread(target=check)
    checker.start()
    try:
        for n in range(10):
            deliver(running, alice.address, letter(alice.address)[0])
            running.add_user(f"c{n}@mondomaine.fr", "mot de passe")
            running.run("user", "remove", f"c{n}@mondomaine.fr", "--dir", str(running.dir))
    finally:
        done.set()
        checker.join()
    assert codes and set(codes) == {0}, said


def test_who_may_open_it(running):
    st = os.stat(running.dir / "control.sock")
    assert st.st_mode & 0o777 == 0o600
    assert st.st_uid == os.stat(running.dir).st_uid


def test_output_that_cannot_be_written(running):
    """A full disk behind standard output is not success."""
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([running.program, "user", "list", "--dir", str(running.dir)], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 74
