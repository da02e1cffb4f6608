"""The life of accounts and logins: what a removed user leaves behind, and sessions whose login is taken back while they wait."""

import base64
import contextlib
import itertools
import json
import shutil
import socket
import ssl

import pytest

import harness
from harness import DOMAIN
from helpers import Account, Dialogue, imap, letter, tls_context
from test_certificates_tls import configure, made
from test_external import LISTENERS, issue, secured

# Far above the second that it takes, far below every deadline of a session: nothing but the change can have ended it.
SOON = 20


def run(lab, *words, **more):
    return lab.run(*words, "--dir", str(lab.dir), **more)


def asking(lab):
    """LAB asks for certificates, and runs."""
    for name in LISTENERS:
        configure(lab, f"listener {name} {{", f'listener {name} {{\n  client-cert = "request"')
    return lab.start()


@pytest.fixture(scope="module")
def house():
    """One lab for all: every test has people of its own."""
    directory = harness.make_directory()
    lab = asking(harness.Valise(directory / "lab").init())
    yield lab
    check = lab.check()
    code = lab.stop()
    shutil.rmtree(directory, ignore_errors=True)
    assert code == 0
    assert check.returncode == 0, check.stdout + check.stderr


# --- one with an address, and the next ---

def test_the_next_one_with_an_address_has_nothing_of_the_former(house):
    """A certificate of the first, a session begun with it, a ticket of that session: none opens the second's mailbox."""
    address = f"chef@{DOMAIN}"
    house.add_user(address)
    key, cert, serial = issue(house, address)
    context = tls_context(house)
    context.load_cert_chain(cert, key)

    def connect(session=None):
        raw = socket.create_connection(("127.0.0.1", house.ports["imaps"]), timeout=30)
        d = Dialogue.__new__(Dialogue)
        d.socket, d.buffer = context.wrap_socket(raw, server_hostname="localhost", session=session), b""
        d.line()
        return d

    with connect() as first:
        assert first.imap("AUTHENTICATE EXTERNAL =")[0].startswith("OK")
        ticket = first.socket.session
        assert ticket is not None
        run(house, "group", "add", f"equipe@{DOMAIN}")
        run(house, "group", "member", "add", f"equipe@{DOMAIN}", address)
        run(house, "user", "quota", address, "--messages", "3")
        run(house, "user", "app-password", "add", address, "phone")
        run(house, "user", "remove", address)
        assert first.line().startswith("* BYE ")
        assert first.line() == ""
    password = house.add_user(address)
    shown = json.loads(run(house, "cert", "show", serial, "--json").stdout)
    assert shown["revoked-at"]
    for session in None, ticket:
        with connect(session) as d:
            assert d.socket.session_reused == (session is not None)
            assert "EXTERNAL" not in d.imap("CAPABILITY")[1][0]
            assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO")
            assert d.imap(f'LOGIN "{address}" "{password}"')[0].startswith("OK")
    with secured(house, "submission", key, cert) as d:
        assert "EXTERNAL" not in " ".join(d.smtp("EHLO client.example.org")[1])
    assert "phone" not in run(house, "user", "app-password", "list", address).stdout
    groups = json.loads(run(house, "group", "list", "--json").stdout)["groups"]
    assert [g["members"] for g in groups if g["group"] == f"equipe@{DOMAIN}"] == [[]]
    user = [u for u in json.loads(run(house, "user", "list", "--json").stdout)["users"] if u["address"] == address]
    assert user[0]["quota"] == {"bytes": 0, "messages": 0} and user[0]["messages"] == 0
    history = json.loads(run(house, "user", "history", address, "--json").stdout)
    assert "EXTERNAL" not in json.dumps(history)


def test_a_certificate_that_stayed_in_force_is_still_anothers(house):
    """Even one that nobody has revoked: it belongs to the account, not to the address. Registered by hand it is the present one's."""
    bob = f"bob@{DOMAIN}"
    key, cert, serial = issue(house, bob)
    run(house, "user", "remove", bob)
    house.add_user(bob)
    done = run(house, "cert", "register", str(cert), check=False)
    assert done.returncode != 0 and "revoked" in done.stderr
    with secured(house, "imaps", key, cert) as d:
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO")
    # Signed with the CA's key by other means: known to nobody until it is registered.
    base = house.dir.parent / "elsewhere"
    key, cert, csr, ext = (base.with_suffix(s) for s in (".key", ".pem", ".csr", ".ext"))
    ext.write_text(f"subjectAltName=email:{bob}\nextendedKeyUsage=clientAuth\nkeyUsage=critical,digitalSignature\n")
    made("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", "/CN=bob", "-out", csr)
    made("x509", "-req", "-in", csr, "-CA", house.dir / "ca.pem", "-CAkey", house.dir / "keys" / "ca.key", "-days", "30", "-extfile", ext,
         "-out", cert)
    with secured(house, "imaps", key, cert) as d:
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("NO")
    run(house, "cert", "register", str(cert))
    with secured(house, "imaps", key, cert) as d:
        assert d.imap("AUTHENTICATE EXTERNAL =")[0].startswith("OK")


def test_what_leads_to_a_name_is_in_the_way(house):
    gone, alias = f"marie@{DOMAIN}", f"vente@{DOMAIN}"
    run(house, "alias", "add", alias, gone, f"alice@{DOMAIN}")
    run(house, "domain", "catch-all", DOMAIN, gone)
    done = run(house, "user", "remove", gone, check=False)
    assert done.returncode != 0
    assert f"alias {alias}" in done.stderr and f"the catch-all of {DOMAIN}" in done.stderr and "--with-references" in done.stderr
    run(house, "user", "remove", gone, "--with-references")
    assert json.loads(run(house, "alias", "list", "--json").stdout)["aliases"] == [{"address": alias, "targets": [f"alice@{DOMAIN}"]}]
    house.add_user(gone)
    with Dialogue(house.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        d.smtp("MAIL FROM:<>")
        assert d.smtp(f"RCPT TO:<quiconque@{DOMAIN}>")[0] == 550
    run(house, "domain", "catch-all", DOMAIN, alias)
    done = run(house, "alias", "remove", alias, check=False)
    assert done.returncode != 0 and f"the catch-all of {DOMAIN}" in done.stderr
    run(house, "alias", "remove", alias, "--with-references")


# --- sessions whose login is taken back ---

def plain(address, password):
    return base64.b64encode(f"\0{address}\0{password}".encode()).decode()


class Person:
    """Somebody with a password, an application password and a certificate."""

    numbers = itertools.count(1)

    def __init__(self, lab, name):
        self.lab, self.address = lab, f"{name}{next(self.numbers)}@{DOMAIN}"
        self.password = lab.add_user(self.address)
        self.app = run(lab, "user", "app-password", "add", self.address, "phone").stdout.strip()
        self.key, self.cert, self.serial = issue(lab, self.address)

    def log_in(self, port, how):
        card = (self.key, self.cert) if how == "certificate" else ()
        d = secured(self.lab, port, *card)
        secret = self.app if how == "app" else self.password
        if port == "imaps":
            words = "AUTHENTICATE EXTERNAL =" if card else f"AUTHENTICATE PLAIN {plain(self.address, secret)}"
            assert d.imap(words)[0].startswith("OK")
        else:
            d.smtp("EHLO client.example.org")
            assert d.smtp("AUTH EXTERNAL =" if card else f"AUTH PLAIN {plain(self.address, secret)}")[0] == 235
        return d

    def park(self, where, how):
        """A session that waits: in IDLE, in the middle of APPEND, of DATA or of a chunk, or for a command."""
        d = self.log_in("imaps" if where in ("idle", "append", "imap", "fetch") else "submission", how)
        if where == "idle":
            assert d.imap("SELECT INBOX")[0].startswith("OK")
            d.send("x IDLE\r\n")
            assert d.line().startswith("+")
        elif where == "append":
            d.send("x APPEND INBOX {1000}\r\n")
            assert d.line().startswith("+")
            d.send("Subject: half\r\n")
        elif where in ("data", "bdat"):
            d.smtp(f"MAIL FROM:<{self.address}>")
            assert d.smtp(f"RCPT TO:<{self.address}>")[0] == 250
            if where == "data":
                assert d.smtp("DATA")[0] == 354
                d.send(f"From: <{self.address}>\r\nSubject: half\r\n")
            else:
                d.send("BDAT 1000 LAST\r\nSubject: half\r\n")
        return d

    def mail(self):
        with imap(self.lab, Account(self.address, self.password)) as session:
            return int(session.select("INBOX")[1][0])


def is_ended(d, where):
    """The last words, then the end."""
    d.socket.settimeout(SOON)
    words = d.line()
    assert words.startswith("* BYE " if where in ("idle", "append", "imap") else "421 4.7.0 "), (where, words)
    assert d.line() == "", where


def goes_on(d, where):
    d.socket.settimeout(SOON)
    if where == "idle":
        d.send("DONE\r\n")
        assert d.line().startswith("x OK")
    elif where == "append":
        d.send(b"a" * (1000 - 15) + b"\r\n")
        assert d.line().startswith("x OK")
    elif where == "data":
        d.send("\r\nwhole\r\n.\r\n")
        assert d.reply()[0] == 250
    elif where == "bdat":
        d.send("From: <a>\r\n\r\n" + "a" * (1000 - 15 - 13))
        assert d.reply()[0] in (250, 550, 554)
    elif where == "imap":
        assert d.imap("NOOP")[0].startswith("OK")
    else:
        assert d.smtp("NOOP")[0] == 250


PLACES = ("idle", "append", "imap", "data", "bdat", "submission")
# What is done, and by which credentials those who are ended had logged in.
CHANGES = {
    "disable": (lambda p: [("user", "disable", p.address)], {"password", "app", "certificate"}),
    "passwd": (lambda p: [("user", "passwd", p.address, "--generate")], {"password"}),
    "app-password": (lambda p: [("user", "app-password", "remove", p.address, "phone")], {"app"}),
    "revoke": (lambda p: [("cert", "revoke", p.serial)], {"certificate"}),
    "role": (lambda p: [("user", "role", p.address, "admin")], {"password", "app", "certificate"}),
    "remove": (lambda p: [("user", "remove", p.address)], {"password", "app", "certificate"}),
    "end": (lambda p: [("session", "end", "--user", p.address)], {"password", "app", "certificate"}),
    "back and forth": (lambda p: [("user", "disable", p.address), ("user", "enable", p.address)], {"password", "app", "certificate"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_login_that_is_taken_back_ends_its_sessions(house, change):
    commands, ended = CHANGES[change]
    person, neighbour = Person(house, "denis"), Person(house, "emma")
    with contextlib.ExitStack() as stack:
        sessions = [(p, where, how, stack.enter_context(p.park(where, how))) for p in (person, neighbour) for where in PLACES
                    for how in ("password", "app", "certificate")]
        for words in commands(person):
            run(house, *words)
        for p, where, how, d in sessions:
            if p is person and how in ended:
                is_ended(d, where)
            else:
                goes_on(d, where)
    if change in ("disable", "end"):
        run(house, "user", "enable", person.address)
        assert person.mail() == 0       # nothing half-way was taken


def test_a_peer_that_does_not_read_is_cut(house):
    """In the middle of a long answer there is no room for last words."""
    person = Person(house, "lent")
    body = "x" * 70 + "\r\n"
    message, _ = letter(person.address, sender=person.address, body=body * 200000)
    with imap(house, Account(person.address, person.password)) as session:
        assert session.append("INBOX", None, None, message)[0] == "OK"
    with person.log_in("imaps", "password") as d:
        assert d.imap("SELECT INBOX")[0].startswith("OK")
        d.send("x FETCH 1 BODY[]\r\n")
        assert d.line().startswith("* 1 FETCH")
        run(house, "user", "disable", person.address)
        harness.wait_until(lambda: person.address not in run(house, "session", "list").stdout, SOON, "the end of the session")
        d.socket.settimeout(SOON)
        got = 0
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            while more := d.socket.recv(1 << 16):
                got += len(more)
        assert got < len(message)


def test_an_answer_that_is_held_back_is_no_way_in(house):
    """The password changes while the answer to a right one waits: failures before have made it slow."""
    person = Person(house, "hugo")
    with secured(house, "submission") as d:
        d.smtp("EHLO client.example.org")
        for _ in range(2):
            assert d.smtp(f"AUTH PLAIN {plain(person.address, 'wrong')}")[0] == 535
        d.send(f"AUTH PLAIN {plain(person.address, person.password)}\r\n")
        run(house, "user", "passwd", person.address, "--generate")
        d.socket.settimeout(SOON)
        code = d.reply()[0]
        assert code in (235, 421, 535)
        if code == 235:                 # it was answered before the change
            assert d.reply()[0] == 421
        assert code == 535 or d.line() == ""


def test_sessions_are_listed_and_ended(house):
    person = Person(house, "rose")
    with person.park("idle", "password") as idle, person.park("submission", "certificate") as sender:
        listed = json.loads(run(house, "session", "list", "--user", person.address, "--json").stdout)["sessions"]
        rows = {s["protocol"]: s for s in listed}
        assert set(rows) == {"imap", "submission"} and len(listed) == 2
        assert rows["imap"]["listener"] == "imaps" and rows["imap"]["how"] == "PLAIN" and "certificate" not in rows["imap"]
        assert rows["submission"]["listener"] == "submission" and rows["submission"]["how"] == "EXTERNAL"
        assert rows["submission"]["certificate"] == person.serial
        for s in listed:
            assert s["address"] == person.address and s["peer"] == "127.0.0.1" and s["port"] and s["since"] and s["tls"].startswith("TLSv1.")
        text = run(house, "session", "list").stdout
        assert rows["imap"]["id"] in text and rows["submission"]["id"] in text and text.startswith("id ")
        assert run(house, "session", "end", rows["imap"]["id"]).stdout == "1 ended\n"
        is_ended(idle, "idle")
        goes_on(sender, "submission")
        again = run(house, "session", "end", rows["imap"]["id"], check=False)
        assert again.returncode != 0 and "session list" in again.stderr
        assert json.loads(run(house, "session", "end", "--user", person.address, "--json").stdout)["ended"] == 1
        is_ended(sender, "submission")
    assert run(house, "session", "list", "--user", person.address).stdout == "nobody is logged in\n"
    assert run(house, "session", "end", check=False).returncode == 64
    assert run(house, "session", "end", "x", "--user", person.address, check=False).returncode == 64
    assert run(house, "session", "list", "--user", f"personne@{DOMAIN}", check=False).returncode != 0


def test_rights_that_are_looked_up_need_no_end(house):
    """Groups and aliases: the next command knows, and the session goes on."""
    person, alias, group = Person(house, "gil"), f"service@{DOMAIN}", f"cercle@{DOMAIN}"
    run(house, "alias", "add", alias, person.address)
    run(house, "group", "add", group, "--from", "members")
    run(house, "group", "member", "add", group, person.address)
    with person.park("submission", "password") as d:
        assert d.smtp(f"MAIL FROM:<{alias}>")[0] == 250
        assert d.smtp(f"RCPT TO:<{group}>")[0] == 250
        d.smtp("RSET")
        run(house, "alias", "remove", alias)
        assert d.smtp(f"MAIL FROM:<{alias}>")[0] == 553
        assert d.smtp(f"MAIL FROM:<{person.address}>")[0] == 250
        run(house, "group", "member", "remove", group, person.address)
        assert d.smtp(f"RCPT TO:<{group}>")[0] == 550


def test_a_relay_whose_certificate_is_revoked_brings_no_further_message(lab):
    """mx has no logins, and asks core at each message; LMTP is core's own, and ends at once."""
    configure(lab, "listener smtp {", 'listener smtp {\n  client-cert = "required"')
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text() + 'listener lmtp {\n  protocol = "lmtp"\n  port = 24\n  tls = "required"\n  client-cert = "required"\n}\n')
    lab.start()
    person = Person(lab, "relais")
    context = tls_context(lab)
    context.load_cert_chain(person.cert, person.key)
    relays = []
    with contextlib.ExitStack() as stack:
        for port, hello in (lab.ports["smtp"], "EHLO"), (24 + lab.offset, "LHLO"):
            d = stack.enter_context(Dialogue(port))
            d.reply()
            d.smtp(f"{hello} relay.example.org")
            assert d.smtp("STARTTLS")[0] == 220
            d.socket = context.wrap_socket(d.socket, server_hostname="localhost")
            d.smtp(f"{hello} relay.example.org")
            assert d.smtp("MAIL FROM:<>")[0] == 250 and d.smtp("RSET")[0] == 250
            relays.append(d)
        run(lab, "cert", "revoke", person.serial)
        is_ended(relays[1], "lmtp")
        assert relays[0].smtp("MAIL FROM:<>")[0] == 421
        assert relays[0].line() == ""
    assert lab.stop() == 0


def test_a_revoked_certificate_ends_those_who_only_showed_it(house):
    """Logged in by password on a connection that was opened with the certificate: a thief of the key has that connection, too."""
    person = Person(house, "zoe")
    with secured(house, "imaps", person.key, person.cert) as d:
        assert d.imap(f'LOGIN "{person.address}" "{person.password}"')[0].startswith("OK")
        run(house, "cert", "revoke", person.serial)
        is_ended(d, "imap")
