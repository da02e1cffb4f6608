"""Sockets that a service manager opened: systemd's own program opens them, starts the server at the first client, and no client is lost."""

import socket
import threading

import pytest

import harness
from helpers import Dialogue, imap
from test_reload_listeners import add, listening, refuses, reload


def activate(lab, sockets, names, wait=30):
    lab.wrap = ["systemd-socket-activate", *[word for place in sockets for word in ("-l", place)], f"--fdname={names}"]
    lab.start(wait=0)
    harness.wait_until(lambda: all_listen(sockets), 20, "systemd-socket-activate listens")
    if wait:
        with socket.create_connection(("127.0.0.1", int(sockets[0].rpartition(":")[2]))):
            lab.wait(wait)


def all_listen(sockets):
    """By the kernel's list: a connection would start the server."""
    with open("/proc/net/tcp") as table:
        ports = {int(line.split()[1].rpartition(":")[2], 16) for line in table.readlines()[1:] if line.split()[3] == "0A"}
    return {int(s.rpartition(":")[2]) for s in sockets} <= ports


def test_the_client_that_started_it_is_served(lab, alice):
    """By name, where the address in the configuration is another; by address, where the name says nothing; the rest is bound as ever."""
    lab.offset = harness.free_offset()
    imaps, smtp = harness.free_port(), 25 + lab.offset
    activate(lab, [f"127.0.0.1:{imaps}", f"127.0.0.1:{smtp}"], "imaps:valise.socket", wait=0)
    greetings = []

    def first():
        with Dialogue(smtp) as d:
            greetings.append(d.reply())

    client = threading.Thread(target=first)
    client.start()
    harness.wait_until(lambda: lab.log().count("event=started"), 30, "the server starts")
    client.join(30)
    assert greetings and greetings[0][0] == 220
    assert refuses(lab.ports["imaps"]), "the listener has the sockets that came under its name, and no other"
    lab.ports["imaps"] = imaps
    with imap(lab, alice) as session, Dialogue(lab.ports["submission"]) as d:
        assert session.noop()[0] == "OK" and d.reply()[0] == 220
        before = listening(lab)
        reload(lab)
        assert listening(lab) == before and session.noop()[0] == "OK"
    with imap(lab, alice) as session:
        assert session.noop()[0] == "OK"
    assert lab.stop() == 0


def test_a_socket_of_nobody_is_told(lab):
    port = harness.free_port()
    activate(lab, [f"127.0.0.1:{port}"], "pop3", wait=0)
    socket.create_connection(("127.0.0.1", port)).close()
    assert lab.process.wait(30) == 78
    lab.process = None
    assert "pop3" in lab.log() and "FileDescriptorName" in lab.log()
