"""Deliveries that come at the same time share the disk's syncs: far fewer of them than messages, counted by the server and by strace."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import harness
from helpers import Account, Dialogue, imap, ok, tls_context

SESSIONS, MESSAGES = 40, 10
SYNC_CALLS = "fsync,fdatasync,sync_file_range,msync"


def store_counts(lab):
    return json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["store"]


def core_pid(lab):
    roles = json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["roles"]
    return next(r["pid"] for r in roles if r["name"] == "core")


def attach_strace(pid, report):
    """strace on PID and its threads, or None where tracing another process is not allowed."""
    if not shutil.which("strace"):
        return None
    tracer = subprocess.Popen(["strace", "-f", "-e", f"trace={SYNC_CALLS}", "-o", str(report), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    return tracer if tracer.poll() is None else None


def send_all(lab):
    """Sends from all sessions at once; how many syncs the server has counted meanwhile."""
    before = store_counts(lab)
    load = subprocess.run([str(harness.ROOT / "build" / "bench" / "smtp_load"), "--port", str(lab.ports["smtp"]), "--to", next(iter(lab.accounts)),
                           "--sessions", str(SESSIONS), "--messages", str(MESSAGES), "--json"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=120)
    assert json.loads(load.stdout)["accepted"] == SESSIONS * MESSAGES
    return store_counts(lab)["syncs"] - before["syncs"]


def test_syncs_are_shared(lab):
    lab.start()
    sent = SESSIONS * MESSAGES
    syncs = send_all(lab)
    assert 0 < syncs <= sent * 9 / 10, f"{sent} messages took {syncs} syncs"
    # Whether the server counts what it does; traced, its sessions hardly meet any more.
    report = Path(str(lab.dir) + ".strace")
    tracer = attach_strace(core_pid(lab), report)
    if tracer:
        syncs = send_all(lab)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        calls = sum("sync" in line and "unfinished" not in line for line in report.read_text().splitlines())
        # The store's table files add a few of their own, and one may be under way at either end.
        assert syncs - 2 <= calls <= syncs * 1.1 + 20, f"{calls} sync calls by strace, {syncs} by the server's count"
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_pipelined_appends_share_syncs(lab):
    """One connection that does not wait for its answers waits for the disk far less often than it has messages."""
    count = 200
    lab.start()
    address, password = next(iter(lab.accounts.items()))
    message = b"Subject: uploaded\r\n\r\n" + b"x" * 1000 + b"\r\n"
    with Dialogue(lab.ports["imaps"]) as session:
        session.socket = tls_context(lab).wrap_socket(session.socket, server_hostname="localhost")
        session.line()
        assert session.imap(f'LOGIN "{address}" "{password}"')[0].startswith("OK")
        before = store_counts(lab)
        session.send(b"".join(b"p%d APPEND INBOX {%d+}\r\n%s\r\n" % (n, len(message), message) for n in range(count)))
        for n in range(count):
            line = session.line()
            assert line.startswith(f"p{n} OK [APPENDUID "), line
        syncs = store_counts(lab)["syncs"] - before["syncs"]
        print(f"{count} pipelined APPENDs: {syncs} syncs")
        assert 0 < syncs <= count / 3
        assert session.imap("STATUS INBOX (MESSAGES)")[1] == [f"* STATUS INBOX (MESSAGES {count})"]
    # What was acknowledged is there after a kill -9.
    lab.kill()
    assert lab.check().returncode == 0
    lab.start()
    with imap(lab, Account(address, password)) as session:
        assert int(ok(session.select("INBOX"))[0]) == count
    assert lab.stop() == 0
