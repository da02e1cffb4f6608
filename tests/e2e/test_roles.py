"""kill -9 of any role: the supervisor starts it again, nothing that was acknowledged is lost."""

import os
import signal

from harness import alive, wait_until
from helpers import deliver, imap, letter, subjects, wait_for_mail


def test_every_role_comes_back(lab, alice):
    lab.start()
    sent = []
    roles = {lab.role_command(pid): pid for pid in lab.roles()}
    assert len(roles) >= 3, f"roles: {roles}"
    for name, pid in roles.items():
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        sent.append(subject)
        if not alive(pid):      # a role may be restarted together with another
            continue
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid) and pid not in lab.roles(), 20, f"{name} is gone")
        wait_until(lambda: {lab.role_command(p) for p in lab.roles()} == set(roles), 20, f"{name} is started again")
        lab.wait(20)
        message, subject = letter(alice.address)
        deliver(lab, alice.address, message)
        sent.append(subject)
        wait_for_mail(lab, alice, subject)
    with imap(lab, alice) as session:
        assert subjects(session) == sent
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_supervisor_killed_takes_its_roles_along(lab):
    lab.start()
    roles = lab.roles()
    os.kill(lab.process.pid, signal.SIGKILL)
    lab.process.wait(10)
    lab.process = None
    wait_until(lambda: not any(alive(pid) for pid in roles), 10, "no role outlives the supervisor")
    lab.start()
    assert lab.stop() == 0


def test_sandbox(lab):
    """Every role runs without new privileges, under a seccomp filter, and without the supervisor's user when that is root."""
    lab.start()
    for pid in lab.roles():
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", lab.role_command(pid)
        assert int(status["CapEff"], 16) == 0, lab.role_command(pid)
        assert status["Uid"].split()[0] != "0" or os.getuid() != 0, f"{lab.role_command(pid)} runs as root"
    lab.stop()
