"""Metrics over HTTP, by clients nobody here wrote: what is counted, how the text is made, and what the listener does with everything else."""

import http.client
import re
import shutil
import socket
import subprocess

import pytest

import harness
from helpers import Dialogue, deliver, imap, letter
from test_reload_listeners import add, port_below, reload


@pytest.fixture
def metrics(lab):
    lab.offset = harness.free_offset()
    there, port = port_below(lab)
    add(lab, f'listener watch {{\n protocol = "metrics"\n port = {port}\n}}\n')
    lab.start()
    yield there
    assert lab.stop() == 0


def fetch(port, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def parse(text):
    """{(name, labels): value}, after looking at every line as a reader of the format does."""
    values, types, last = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} comes twice"
            types[name], last = kind, name
        elif line.startswith("#"):
            assert re.fullmatch(r"# HELP valise_[a-z_]+ \S.*", line), line
        else:
            found = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\})? (-?[0-9.]+)', line)
            assert found, line
            name, labels, value = found.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name) if types[last] == "histogram" else name
            assert family == last, f"{line} stands under {last}"
            key = name, frozenset(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels or ""))
            assert key not in values, line
            values[key] = float(value)
    for name, kind in types.items():
        if kind == "histogram":
            series = {labels for (n, labels) in values if n == f"{name}_count"}
            for labels in series:
                buckets = [v for (n, ls), v in values.items() if n == f"{name}_bucket" and {x for x in ls if x[0] != "le"} == labels]
                assert buckets == sorted(buckets) and buckets[-1] == values[(f"{name}_count", labels)]
        elif kind == "counter":
            assert name.endswith("_total")
    return values


def get(values, name, **labels):
    return sum(v for (n, ls), v in values.items() if n == name and set(labels.items()) <= ls)


def test_what_is_counted(lab, alice, metrics):
    before = parse(fetch(metrics)[1])
    message, _ = letter(alice.address, body="x" * 5000 + "\r\n")
    deliver(lab, alice.address, message)
    with imap(lab, alice) as session:
        session.select("INBOX")
        session.fetch("1", "(BODY[])")
    with Dialogue(lab.ports["imap"]) as d:
        d.line()
    from helpers import login  # a wrong password
    with Dialogue(lab.ports["imap"]) as d, pytest.raises(AssertionError):
        login(d, lab, type(alice)(alice.address, "wrong"))
    answer, text = fetch(metrics)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    after = parse(text)
    grown = lambda name, **labels: get(after, name, **labels) - get(before, name, **labels)
    assert grown("valise_connections_accepted_total", listener="smtp", protocol="smtp", process="mx-0") == 1
    assert grown("valise_connections_accepted_total", listener="imaps", protocol="imap") >= 1
    assert grown("valise_received_bytes_total", listener="smtp") > 5000
    assert grown("valise_sent_bytes_total", listener="imaps") > 5000
    assert grown("valise_deliveries_total", result="ok") == 1 and grown("valise_delivery_seconds_count") == 1
    assert grown("valise_logins_total", service="mailboxes", result="ok") == 1
    assert grown("valise_logins_total", service="mailboxes", result="refused") == 1 and grown("valise_login_seconds_count") == 2
    assert grown("valise_tls_handshakes_total", version="TLSv1.3") >= 2
    assert grown("valise_turn_seconds_count", listener="smtp") > 3
    assert grown("valise_store_commits_total") >= 1 and get(after, "valise_store_free_bytes") > 0
    assert get(after, "valise_role_up") == 4 and get(after, "valise_role_restarts_total") == 0
    expiry = next(v for (n, ls), v in after.items() if n == "valise_certificate_not_after_seconds" and ("name", "default") in ls)
    assert expiry > 1.7e9
    assert parse(lab.run("metrics", "--dir", str(lab.dir)).stdout).keys() == parse(fetch(metrics)[1]).keys()


def test_curl_keeps_the_connection(metrics):
    url = f"http://127.0.0.1:{metrics}/metrics"
    done = subprocess.run(["curl", "-sS", "-v", "-o", "/dev/null", "-o", "/dev/null", url, url], capture_output=True, text=True, check=True)
    assert done.stderr.count("HTTP/1.1 200 OK") == 2 and "Re-using existing connection" in done.stderr
    head = subprocess.run(["curl", "-sSI", url], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^Content-Length: [1-9]\d+\r?$", head, re.M)


def test_nothing_else_is_there(metrics):
    for path, method, status in (("/", "GET", 404), ("/metrics/", "GET", 404), ("/metrics", "POST", 405), ("/../valise.conf", "GET", 404),
                                 ("/metrics", "TRACE", 405), ("/" + "x" * 5000, "GET", 414)):
        assert fetch(metrics, path, method)[0].status == status, (path, method)
    with socket.create_connection(("127.0.0.1", metrics), timeout=30) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10000)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 431 ")


def test_promtool_finds_no_fault(metrics):
    if not shutil.which("promtool"):
        pytest.skip("no promtool (Debian's package prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=fetch(metrics)[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mistakes_in_the_configuration(lab):
    add(lab, 'listener watch {\n protocol = "metrics"\n port = 9000\n tls = "implicit"\n}\n')
    lab.start(wait=0)
    assert lab.process.wait(30) == 78 and "metrics have no TLS" in lab.log()
    lab.process = None


def test_it_comes_with_a_reload(lab):
    lab.start()
    there, port = port_below(lab)
    add(lab, f'listener watch {{\n protocol = "metrics"\n port = {port}\n}}\n')
    reload(lab)
    assert fetch(there)[0].status == 200
    assert lab.stop() == 0
