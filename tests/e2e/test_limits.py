"""Limits by address, network and account over the whole server, and listeners that serve some networks only. Clients come from
several loopback addresses."""

import contextlib
import imaplib
import json
import re
import smtplib
import socket
import ssl

import pytest

import harness
import helpers

FLOOD = "127.0.0.2"
OTHER = "127.0.0.3"


def configure(lab, text, exempt="", listener=None, processes=1):
    """Adds TEXT to valise.conf; LISTENER: (name, line) for one of its listeners."""
    path = lab.dir / "valise.conf"
    conf = re.sub(r"limits-exempt = .*", f"limits-exempt = {{{exempt}}}", path.read_text())
    conf = re.sub(r"mx-processes = \d+", f"mx-processes = {processes}", conf)
    if listener:
        conf = conf.replace(f"listener {listener[0]} {{\n", f"listener {listener[0]} {{\n  {listener[1]}\n")
    path.write_text(conf + "\n" + text + "\n")


def greeting(lab, listener, source, keep=None):
    """The first line that LISTENER says to SOURCE; the connection goes to KEEP, or is closed."""
    s = socket.create_connection(("127.0.0.1", lab.ports[listener]), timeout=30, source_address=(source, 0))
    line = s.makefile("rb").readline().decode()
    if keep is None:
        s.close()
    else:
        keep.append(s)
    return line


def status(lab):
    return json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)


def strikes(lab, protocol, limit):
    return next(v["strikes"] for v in status(lab)["limits"]["limits"] if (v["protocol"], v["limit"]) == (protocol, limit))


@contextlib.contextmanager
def held():
    connections = []
    try:
        yield connections
    finally:
        for s in connections:
            s.close()


@pytest.mark.parametrize("processes", [1, 3])
def test_a_flood_from_one_address_leaves_the_others_served(lab, processes):
    """Also with three processes: they keep one common limit, not one each."""
    configure(lab, "limits smtp { connections-per-address = 20 connections-per-network = 0 }", processes=processes)
    lab.start()
    with held() as connections:
        lines = [greeting(lab, "smtp", FLOOD, connections) for _ in range(300)]
        served = [line for line in lines if line.startswith("220")]
        refused = [line for line in lines if line and not line.startswith("220")]
        assert len(served) == 20
        assert refused and all(line.startswith("421 4.7.0 Too many connections from your address, 20 at a time") for line in refused)
        assert greeting(lab, "smtp", OTHER).startswith("220")
        message, subject = helpers.letter(f"alice@{harness.DOMAIN}")
        helpers.deliver(lab, f"alice@{harness.DOMAIN}", message)
        report = status(lab)["limits"]
        peer = next(p for p in report["peers"] if p["who"] == FLOOD)
        assert (peer["connections"], peer["limited"]) == (20, ["connections-per-address"])
        assert strikes(lab, "smtp", "connections-per-address") == 280
        text = lab.run("status", "--dir", str(lab.dir)).stdout
        assert re.search(r"smtp +connections-per-address +20 +280\n", text), text
        assert re.search(FLOOD + r" +20 connections, struck 280 times, LIMITED NOW by connections-per-address", text), text
        metrics = lab.run("metrics", "--dir", str(lab.dir)).stdout
        assert 'valise_limit_strikes_total{protocol="smtp",limit="connections-per-address"} 280\n' in metrics
        assert "valise_limit_limited 1\n" in metrics
    harness.wait_until(lambda: greeting(lab, "smtp", FLOOD).startswith("220"), 30, "the address is served again")
    assert "event=limit" in lab.log() and "event=conn-refused" in lab.log()


def test_a_killed_process_takes_its_counts_along(lab):
    configure(lab, "limits smtp { connections-per-address = 2 }")
    lab.start()
    with held() as connections:
        assert [greeting(lab, "smtp", FLOOD, connections)[:3] for _ in range(3)] == ["220", "220", "421"]
        mx = next(p for p in lab.roles() if "mx" in lab.role_command(p))
        harness.os.kill(mx, harness.signal.SIGKILL)

        def again():
            with contextlib.suppress(OSError):
                return greeting(lab, "smtp", FLOOD).startswith("220")
        harness.wait_until(again, 30, "the new process serves the address")


def test_a_rate_recovers(lab):
    configure(lab, 'limits smtp { connection-rate-per-address = "3/2 seconds" }')
    lab.start()
    lines = [greeting(lab, "smtp", FLOOD)[:3] for _ in range(40)]
    assert lines[0] == "220" and "421" in lines
    harness.wait_until(lambda: greeting(lab, "smtp", FLOOD).startswith("220"), 30, "the rate has gone down")


@pytest.mark.parametrize("processes", [1, 2])
def test_guesses_of_one_a_connection_meet_the_limit(lab, processes):
    """Twenty connections that guess one name each learn of five, and nothing of a name that is there after them."""
    configure(lab, 'limits smtp { unknown-rate-per-address = "5/hour" }', processes=processes)
    lab.start()
    answers = []
    for name in [f"guess{i}" for i in range(20)] + ["alice"]:
        with helpers.Dialogue(lab.ports["smtp"]) as d:
            assert d.reply()[0] == 220 and d.smtp("HELO client.example")[0] == 250 and d.smtp("MAIL FROM:<>")[0] == 250
            answers.append(d.smtp(f"RCPT TO:<{name}@{harness.DOMAIN}>")[0])
    assert answers == [550] * 5 + [421] * 16
    assert strikes(lab, "smtp", "unknown-rate-per-address") == 16


def test_exempt_networks_are_not_limited(lab):
    configure(lab, "limits smtp { connections-per-address = 1 connections-per-network = 1 }", exempt=f'"{FLOOD}"')
    lab.start()
    with held() as connections:
        assert all(greeting(lab, "smtp", FLOOD, connections).startswith("220") for _ in range(5))
        assert greeting(lab, "smtp", OTHER, connections).startswith("220")
        assert greeting(lab, "smtp", OTHER, connections).startswith("421 4.7.0 Too many connections")
    text = lab.run("status", "--dir", str(lab.dir)).stdout
    assert re.search(r"not for +" + FLOOD + "\n", text), text


def test_limits_change_with_a_reload(lab):
    configure(lab, "limits smtp { connections-per-address = 1 }")
    lab.start()
    with held() as connections:
        assert [greeting(lab, "smtp", FLOOD, connections)[:3] for _ in range(2)] == ["220", "421"]
        path = lab.dir / "valise.conf"
        path.write_text(path.read_text().replace("connections-per-address = 1 ", "connections-per-address = 2 "))
        lab.run("reload", "--dir", str(lab.dir))
        assert [greeting(lab, "smtp", FLOOD, connections)[:3] for _ in range(2)] == ["220", "421"]


def test_submission_of_an_account_is_limited(lab, alice):
    configure(lab, 'limits submission { message-rate-per-account = "2/day" recipient-rate-per-account = "3/day" }', exempt='"127.0.0.0/8"')
    lab.start()
    with helpers.submission(lab, alice) as smtp:
        for n in range(2):
            message, _ = helpers.letter(alice.address, sender=alice.address)
            smtp.sendmail(alice.address, [alice.address], message)
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            smtp.sendmail(alice.address, [alice.address], message)
        assert refused.value.smtp_code == 451
        assert refused.value.smtp_error == b"4.7.1 Too many messages for your account, 2 in a day are allowed; try again later"
    peer = next(p for p in status(lab)["limits"]["peers"] if p["scope"] == "account")
    assert (peer["who"], peer["limited"]) == (alice.address, ["message-rate-per-account"])
    assert peer["counts"]["recipient-rate-per-account"] == 2


def test_sessions_of_an_account_are_limited_in_imap(lab, alice):
    configure(lab, "limits imap { connections-per-account = 1 }", exempt='"127.0.0.0/8"')
    lab.start()
    with helpers.imap(lab, alice):
        with pytest.raises(imaplib.IMAP4.error, match=r"\[LIMIT\] Too many connections for your account, 1 at a time"):
            with helpers.imap(lab, alice):
                pass
    with helpers.imap(lab, alice):
        pass


def test_under_implicit_tls_the_reason_is_told_as_well(lab):
    configure(lab, "limits imap { connections-per-address = 1 }")
    lab.start()
    context = helpers.tls_context(lab)

    def line():
        raw = socket.create_connection(("127.0.0.1", lab.ports["imaps"]), timeout=30, source_address=(FLOOD, 0))
        s = context.wrap_socket(raw, server_hostname="localhost")
        return s, s.makefile("rb").readline()
    first, served = line()
    assert served.startswith(b"* OK")
    answers = []
    for _ in range(60):
        try:
            s, told = line()
            s.close()
            answers.append(told)
        except ssl.SSLError as e:   # once the handshakes for refusals of this second are spent: an alert
            answers.append(str(e).encode())
    first.close()
    assert any(a.startswith(b"* BYE [LIMIT] Too many connections from your address, 1 at a time") for a in answers)
    assert all(a.startswith(b"* BYE [LIMIT]") or b"ACCESS_DENIED" in a.upper() for a in answers), answers


def test_a_listener_serves_its_networks_only(lab):
    configure(lab, "", listener=("smtp", f'networks = {{"{OTHER}", "2001:db8::/32"}}'))
    path = lab.dir / "valise.conf"
    path.write_text(path.read_text().replace("listener imap {\n", f'listener imap {{\n  networks = {{"{OTHER}"}}\n'))
    lab.start()
    assert greeting(lab, "smtp", OTHER).startswith("220")
    assert greeting(lab, "imap", OTHER).startswith("* OK")
    assert greeting(lab, "smtp", FLOOD) == "554 5.7.1 Your address is not in a network that is served here; ask the administrator\r\n"
    assert greeting(lab, "imap", FLOOD) == "* BYE Your address is not in a network that is served here; ask the administrator\r\n"
    # At most one line a second tells of those who were refused.
    harness.wait_until(lambda: greeting(lab, "smtp", FLOOD) and re.search(rf"event=conn-refused .*peer={FLOOD} listener=smtp", lab.log()),
                       30, "the log tells")
    with smtplib.SMTP("127.0.0.1", lab.ports["submission"], timeout=30) as smtp:
        assert smtp.noop()[0] == 250
