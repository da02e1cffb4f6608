"""An mx that was taken over: the test takes the descriptors of the running one and asks core and keeper in its place, as it likes."""
import array
import contextlib
import ctypes
import json
import os
import socket
import struct

import pytest

from helpers import deliver, letter, wait_for_mail
from test_roles_wiring import pids

PIDFD_OPEN, PIDFD_GETFD = 434, 438
LANE, SPOOL, TICKET_KEYS, AGAIN = 0, 3, 11, -7
LANES = 300

libc = ctypes.CDLL(None, use_errno=True)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taking another process's descriptors wants root")


def roots(pid):
    """Copies of its packet sockets but the link to the supervisor: the root lanes and lanes that it has open."""
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    assert pidfd >= 0, os.strerror(ctypes.get_errno())
    for name in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        if name <= 3 or not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        fd = libc.syscall(PIDFD_GETFD, pidfd, name, 0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        s = socket.socket(fileno=fd)
        if s.family == socket.AF_UNIX and s.type & 0xF == socket.SOCK_SEQPACKET:
            yield s
        else:
            s.close()
    os.close(pidfd)


def frame(kind):
    return struct.pack("<HhI", kind, 0, 0)


def lane(root):
    """A new lane over ROOT: our end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    root.sendmsg([frame(LANE)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
    theirs.close()
    return ours


def answer(kind, s):
    """Status and descriptors of the answer to a request without payload; None: the lane was closed."""
    try:
        s.send(frame(kind))
        data, extra, _, _ = s.recvmsg(200000, 1024)
    except OSError:
        return None
    if not data:
        return None
    fds = array.array("i")
    for _, _, got in extra:
        fds.frombytes(got)
    return struct.unpack("<HhI", data[:8])[1], list(fds)


def find(pid):
    """The root lanes to keeper and core, told by what is answered on a lane of each."""
    found = {}
    for root in roots(pid):
        for name, kind in ("keeper", TICKET_KEYS), ("core", SPOOL):
            with contextlib.suppress(OSError), lane(root) as s:
                got = answer(kind, s)
                if got and got[0] == 0:
                    found.setdefault(name, root)
                for fd in got[1] if got else []:
                    os.close(fd)
    return found


def everybody_is_served(lab, alice):
    """Mail comes in through the true mx, a login has its handshake signed."""
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    assert json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["ok"]


def test_false_mx(lab, alice):
    lab.start()
    ask = find(pids(lab)["mx"])
    assert set(ask) == {"keeper", "core"}

    # Every lane that it can have, asked on and on, no answer read: some lanes are refused, the others closed, nobody waits.
    held = []
    for name, kind in ("keeper", TICKET_KEYS), ("core", SPOOL):
        for _ in range(LANES):
            s = lane(ask[name])
            s.settimeout(0)
            held.append(s)
            with contextlib.suppress(OSError):
                for _ in range(500):
                    s.send(frame(kind))
    everybody_is_served(lab, alice)
    for s in held:
        s.close()

    # What is not for mx ends the lane it is asked on.
    for name, allowed in ("keeper", {10, 11}), ("core", {1, 2, 3, 4}):
        for kind in range(1, 40):
            with lane(ask[name]) as s:
                got = answer(kind, s)
                assert (got is not None) == (kind in allowed), (name, kind, got)
                for fd in got[1] if got else []:
                    os.close(fd)

    # Spool files: so many and no more, as long as it holds them.
    spools = []
    with lane(ask["core"]) as s:
        while (got := answer(SPOOL, s)) and got[0] == 0:
            spools += got[1]
            assert len(spools) <= 256
        assert got and got[0] < 0
        everybody_is_served(lab, alice)
        for fd in spools:
            os.close(fd)
        status, fds = answer(SPOOL, s)
        assert status == 0
        os.close(fds[0])
    assert lab.stop() == 0
