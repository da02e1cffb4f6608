"""What the service manager is told: ready when it serves, reloading and ready again, stopping."""

import signal
import socket


def states(sock):
    """Datagrams so far, first lines."""
    sock.settimeout(10)
    return sock.recv(4096).decode().splitlines()


def test_service_manager_is_told(lab, scratch, monkeypatch):
    path = str(scratch / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        lab.start()
        monkeypatch.delenv("NOTIFY_SOCKET")
        assert states(sock) == ["READY=1"]
        lab.run("reload", "--dir", str(lab.dir))
        reloading = states(sock)
        assert reloading[0] == "RELOADING=1" and reloading[1].startswith("MONOTONIC_USEC=")
        assert states(sock) == ["READY=1"]
        conf = lab.dir / "valise.conf"
        conf.write_text(conf.read_text() + "nonsense = 1\n")
        assert lab.run("reload", "--dir", str(lab.dir), check=False).returncode != 0  # refused before the server is asked
        lab.process.send_signal(signal.SIGHUP)
        assert states(sock)[0] == "RELOADING=1"
        assert states(sock) == ["READY=1"], "a refused reload leaves it ready"
        assert lab.stop() == 0
        assert states(sock) == ["STOPPING=1"]


def test_no_service_manager(lab, scratch, monkeypatch):
    """A socket that is not there stops nobody."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(scratch / "nobody"))
    lab.start()
    assert lab.stop() == 0


def test_signs_of_life(lab, scratch, monkeypatch):
    """As often as the service manager wants, and none to it when it wants none (the tests above)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(scratch / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(scratch / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        lab.start()
        monkeypatch.delenv("NOTIFY_SOCKET")
        monkeypatch.delenv("WATCHDOG_USEC")
        assert states(sock) == ["READY=1"]
        assert [states(sock) for _ in range(5)] == [["WATCHDOG=1"]] * 5
        assert lab.stop() == 0
