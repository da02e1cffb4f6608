"""Who has logged in needs no Argon2 again, whatever was started anew; and what is remembered ends with the password, the user, the time limit."""

import json
import os
import signal
import sys

import pytest

from harness import alive, wait_until
from helpers import imap


def status(lab):
    return json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)


def keeper(lab):
    return next(r for r in status(lab)["roles"] if r["name"] == "keeper")


def remembered(lab):
    return keeper(lab)["remembered-logins"]


def in_kernel(lab):
    """Whether this machine lets us: in a container the kernel's keyring is often forbidden."""
    return not any("keyring" in gap for gap in status(lab)["sandbox"]["open"])


def hashes(lab):
    return status(lab)["logins"]["argon2"]


def log_in(lab, who):
    with imap(lab, who):
        pass


def strike(lab, name):
    """kill -9 of a role, and the server is whole again."""
    before = lab.roles()
    pid = next(p for p in before if name in lab.role_command(p))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), 10, f"{name} ends")
    wait_until(lambda: len(lab.roles()) >= len(before), 40, f"{name} is started again")
    lab.wait()


def test_over_restarts(lab, alice, bob):
    lab.start()
    if not in_kernel(lab):
        lab.stop()
        pytest.skip("this machine gives us no keys in the kernel")
    log_in(lab, alice)
    assert hashes(lab) == 1
    strike(lab, "core")
    log_in(lab, alice)
    assert hashes(lab) == 0, "core is new, keeper knows"
    wait_until(lambda: remembered(lab) == {"accounts": 1, "in-kernel": True}, 10, "keeper has written it down")
    strike(lab, "keeper")
    strike(lab, "core")
    log_in(lab, alice)
    assert hashes(lab) == 0, "both are new, the kernel knows"
    assert lab.stop() == 0
    lab.start()
    log_in(lab, alice)
    assert hashes(lab) == 0
    lab.kill()
    lab.start()
    log_in(lab, alice)
    log_in(lab, bob)
    assert hashes(lab) == 1, "bob is new"
    assert lab.stop() == 0


def test_what_ends_it(lab, alice, bob):
    lab.start()
    log_in(lab, alice)
    log_in(lab, bob)
    assert remembered(lab)["accounts"] == 2
    lab.run("user", "passwd", alice.address, "--password-stdin", "--dir", str(lab.dir), input="quite another 17\n")
    lab.run("user", "disable", bob.address, "--dir", str(lab.dir))
    assert remembered(lab)["accounts"] == 0
    strike(lab, "core")
    with pytest.raises(Exception, match="(?i)authenticationfailed|failed"):
        log_in(lab, alice)
    with pytest.raises(Exception, match="(?i)authenticationfailed|failed"):
        log_in(lab, bob)
    assert lab.stop() == 0


def test_switched_off(lab, alice):
    lab.start()
    log_in(lab, alice)
    assert remembered(lab)["accounts"] == 1
    config = lab.dir / "valise.conf"
    text = config.read_text()
    config.write_text(text + "login-memory = 0\n")
    lab.run("reload", "--dir", str(lab.dir))
    assert remembered(lab) == {"accounts": 0, "in-kernel": False}
    strike(lab, "core")
    log_in(lab, alice)
    assert hashes(lab) == 1
    assert remembered(lab)["accounts"] == 0
    config.write_text(text + "login-memory-in-kernel = false\n")
    lab.run("reload", "--dir", str(lab.dir))
    strike(lab, "core")
    log_in(lab, alice)
    assert remembered(lab) == {"accounts": 1, "in-kernel": False}
    assert lab.stop() == 0
    lab.start()
    log_in(lab, alice)
    assert hashes(lab) == 1, "it was in memory only"
    assert lab.stop() == 0


NO_KEYS = """
import ctypes, os, platform, struct, sys
add_key, keyctl = {"x86_64": (248, 250)}.get(platform.machine(), (217, 219))
code = b"".join(struct.pack("=HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 2, 0, add_key), (0x15, 1, 0, keyctl), (0x06, 0, 0, 0x7FFF0000),
                                                   (0x06, 0, 0, 0x00050001)))
program = ctypes.create_string_buffer(code)
filters = ctypes.create_string_buffer(struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filters, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_where_the_kernel_gives_no_keys(lab, alice):
    """As a container does: a filter that refuses the calls."""
    lab.wrap = [sys.executable, "-c", NO_KEYS]
    lab.start()
    assert any("keyring: Operation not permitted" in gap for gap in status(lab)["sandbox"]["open"])
    log_in(lab, alice)
    assert remembered(lab) == {"accounts": 1, "in-kernel": False}
    assert "until the server is started anew" in lab.run("status", "--dir", str(lab.dir)).stdout
    strike(lab, "core")
    log_in(lab, alice)
    assert hashes(lab) == 0
    assert lab.stop() == 0
