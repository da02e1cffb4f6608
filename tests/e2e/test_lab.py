"""A lab for a class: reachable in its network, an account and a sheet for each student, passwords that are seen on the wire where that is the lesson."""

import base64
import ctypes
import imaplib
import json
import os
import re
import smtplib
import socket
import subprocess
import threading

import pytest

import harness
from harness import DOMAIN, HOSTNAME
from helpers import letter, tls_context

CLONE_NEWNET = 0x40000000
ON = "insecure-lesson is on"


class Wire:
    """A proxy before PORT that keeps what it carries, as who listens on the network does."""

    def __init__(self, port):
        self.seen = b""
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.target = port
        threading.Thread(target=self.run, daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def run(self):
        client, _ = self.server.accept()
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=self.carry, args=(server, client), daemon=True)
            back.start()
            self.carry(client, server)
            back.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


@pytest.fixture
def place():
    """A path for a lab that is not there yet, which is killed in the end if it runs."""
    directory = harness.make_directory()
    own = harness.Valise(directory / "lab")
    yield own
    if own.process:
        own.kill()
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def init(own, *options, check=True):
    done = own.run("init", "--dir", str(own.dir), "--domain", DOMAIN, "--hostname", HOSTNAME, *options, check=check)
    if done.returncode == 0 and "--lab" in options:
        for line in (own.dir / "lab-accounts.txt").read_text().splitlines():
            address, _, password = line.partition(" ")
            own.accounts[address] = password
    return done


def configure(own, before, after):
    path = own.dir / "valise.conf"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def check_config(own):
    return own.run("check", "--config", "--dir", str(own.dir), check=False)


def test_a_lesson_shows_passwords_on_the_wire(place):
    done = init(place, "--lab", "--students", "3", "--insecure-lesson")
    assert ON in done.stdout
    assert place.accounts == {f"user{n}@{DOMAIN}": f"user{n}" for n in (1, 2, 3)}
    assert "insecure-lesson = true" in (place.dir / "valise.conf").read_text()
    place.start()
    message, subject = letter(f"user2@{DOMAIN}", sender=f"user1@{DOMAIN}")
    with Wire(place.ports["submission"]) as wire, smtplib.SMTP("127.0.0.1", wire.port, timeout=30) as smtp:
        smtp.login(f"user1@{DOMAIN}", "user1")
        smtp.sendmail(f"user1@{DOMAIN}", [f"user2@{DOMAIN}"], message)
        smtp.quit()
        assert base64.b64encode(b"\0user1@" + DOMAIN.encode() + b"\0user1") in wire.seen and subject.encode() in wire.seen
    with Wire(place.ports["imap"]) as wire:
        session = imaplib.IMAP4("127.0.0.1", wire.port, timeout=30)
        session.login(f"user2@{DOMAIN}", "user2")
        session.select()
        assert subject.encode() in session.fetch("1", "(BODY[])")[1][0][1]
        session.logout()
        assert b'"user2"' in wire.seen and b"une lettre." in wire.seen
    with Wire(place.ports["imaps"]) as wire:  # the comparison: nothing of it under TLS
        session = imaplib.IMAP4_SSL("localhost", wire.port, ssl_context=tls_context(place), timeout=30)
        session.login(f"user2@{DOMAIN}", "user2")
        session.select()
        assert subject.encode() in session.fetch("1", "(BODY[])")[1][0][1]
        session.logout()
        assert b"user2" not in wire.seen and b"une lettre." not in wire.seen and len(wire.seen) > 1000
    place.run("user", "passwd", f"user3@{DOMAIN}", "--password-stdin", "--dir", str(place.dir), input="abc\n")
    assert place.stop() == 0


def test_a_lesson_is_told_wherever_one_looks(place):
    init(place, "--lab", "--insecure-lesson", "--students", "12")
    place.start()
    status = place.run("status", "--dir", str(place.dir)).stdout
    assert "needs attention" in status and ON in status
    assert json.loads(place.run("status", "--json", "--dir", str(place.dir)).stdout)["insecure-lesson"] is True
    assert "level=warning" in place.log() and ON in next(line for line in place.log().splitlines() if "config-note" in line)
    banner = place.log()
    assert f"*** {ON}" in banner and f"tcp port {place.ports['imap']}" in banner and f"tcp port {place.ports['submission']}" in banner
    assert "and 2 more: valise lab sheet" in banner
    assert ON in check_config(place).stdout
    configure(place, "insecure-lesson = true", "insecure-lesson = false")
    done = place.run("reload", "--dir", str(place.dir), check=False)
    assert done.returncode != 0 and "submission" in done.stderr and "nobody can log in" in done.stderr, done.stderr
    for _ in range(2):
        configure(place, 'tls = "off"\n  auth = {"PLAIN", "LOGIN"}', 'tls = "required"')
    place.run("reload", "--dir", str(place.dir))
    assert ON not in place.run("status", "--dir", str(place.dir)).stdout
    with smtplib.SMTP("127.0.0.1", place.ports["submission"], timeout=30) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth") and smtp.docmd("AUTH PLAIN AGEAYg==")[0] in (530, 538)
    assert place.stop() == 0


def test_a_lesson_is_impossible_outside_a_lab(place):
    init(place)
    configure(place, 'log-level = "info"', 'log-level = "info"\ninsecure-lesson = true')
    done = check_config(place)
    assert done.returncode == 78 and "insecure-lesson is refused here" in done.stderr and "valise init --lab" in done.stderr
    done = place.run("serve", "--dir", str(place.dir), "--port-offset", str(harness.free_offset()), check=False)
    assert done.returncode == 78 and "insecure-lesson is refused here" in done.stderr
    (place.dir / "lab-accounts.txt").write_text(f"alice@{DOMAIN} x\n")  # what makes a lab is in its root certificate
    assert "insecure-lesson is refused here" in check_config(place).stderr
    (place.dir / "ca.pem").rename(place.dir / "elsewhere.pem")
    assert "insecure-lesson is refused here" in check_config(place).stderr


def test_a_running_server_does_not_become_a_lesson(place):
    init(place)
    (place.dir / "valise.conf").write_text((place.dir / "valise.conf").read_text().replace('{"0.0.0.0", "::"}', '{"127.0.0.1"}'))
    place.start()
    configure(place, 'log-level = "info"', 'log-level = "info"\ninsecure-lesson = true')
    done = place.run("reload", "--dir", str(place.dir), check=False)
    assert done.returncode != 0 and "insecure-lesson is refused here" in done.stderr
    assert ON not in place.run("status", "--dir", str(place.dir)).stdout
    assert place.stop() == 0


def test_a_lab_may_begin_and_end_a_lesson_and_stays_a_lab(lab):
    configure(lab, 'log-level = "info"', 'log-level = "info"\ninsecure-lesson = true')
    assert check_config(lab).returncode == 0
    lab.run("ca", "renew", "--dir", str(lab.dir))
    assert check_config(lab).returncode == 0
    subject = subprocess.run(["openssl", "x509", "-in", lab.ca(), "-noout", "-subject"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "a lab, not for real mail" in subject and f"{DOMAIN} root CA" in subject


@pytest.mark.parametrize("protocol, addresses, said", [
    ("submission", '"127.0.0.1"', "nobody can log in"), ("submission", '"0.0.0.0"', "nobody can log in"),
    ("imap", '"0.0.0.0"', "others read the passwords"), ("imap", '"127.0.0.1", "::"', "others read the passwords"),
    ("imap", '"127.0.0.1", "::1"', None)])
def test_listeners_without_tls_elsewhere(lab, protocol, addresses, said):
    with open(lab.dir / "valise.conf", "a") as conf:
        conf.write(f'\nlistener clear {{\n  protocol = "{protocol}"\n  port = 1143\n  tls = "off"\n  addresses = {{{addresses}}}\n}}\n')
    done = check_config(lab)
    assert done.returncode == (78 if said else 0), done.stderr
    assert not said or (said in done.stderr and "listener clear" in done.stderr and "--insecure-lesson" in done.stderr)


def test_a_lesson_stays_in_its_network(lab):
    configure(lab, 'log-level = "info"', 'log-level = "info"\ninsecure-lesson = true')
    with open(lab.dir / "valise.conf", "a") as conf:
        conf.write('\nlistener clear {\n  protocol = "imap"\n  port = 1143\n  tls = "off"\n  addresses = {"0.0.0.0"}\n}\n')
    done = check_config(lab)
    assert done.returncode == 78 and "which network the lesson is for" in done.stderr
    configure(lab, 'addresses = {"0.0.0.0"}', 'addresses = {"0.0.0.0"}\n  networks = {"192.168.1.0/24"}')
    assert check_config(lab).returncode == 0


STUDENTS = 'adresse;nom;mot de passe\nanna;Anna Müller;\nben@mondomaine.fr;"Ben; le grand";Correct-Horse-7\n'


def test_students_from_a_table_and_their_sheets(place, scratch):
    table = scratch / "class.csv"
    table.write_text(STUDENTS, encoding="utf-8")
    init(place, "--lab", "--from", str(table), "--network", "127.0.0.0/8")
    assert set(re.findall(r"networks = (.*)", (place.dir / "valise.conf").read_text())) == {'{"127.0.0.0/8"}'}
    assert list(place.accounts) == [f"anna@{DOMAIN}", f"ben@{DOMAIN}"]
    assert place.accounts[f"ben@{DOMAIN}"] == "Correct-Horse-7" and len(place.accounts[f"anna@{DOMAIN}"]) == 19
    sheets = place.run("lab", "sheet", "--dir", str(place.dir), "--port-offset", "10000").stdout.split("8< - -")
    assert len(sheets) == 3
    anna, ben = sheets[:2]
    assert "Anna Müller" in anna and f"anna@{DOMAIN}" in anna and place.accounts[f"anna@{DOMAIN}"] in anna and "10993" in anna and "STARTTLS" in anna
    assert "Ben; le grand" in ben and "Correct-Horse-7" in ben and "Anna" not in ben.split("\n", 1)[1]
    assert f"127.0.0.1  {HOSTNAME} mail.{DOMAIN} smtp.{DOMAIN} imap.{DOMAIN}" in ben
    fingerprint = json.loads(place.run("ca", "show", "--json", "--dir", str(place.dir)).stdout)["fingerprint"]
    assert fingerprint in anna
    french = place.run("lab", "sheet", "--language", "fr", "--dir", str(place.dir)).stdout
    assert "Certificat racine à approuver" in french and "Mot de passe" in french and "    993" in re.sub(r"port +", "    ", french)
    found = json.loads(place.run("lab", "sheet", "--json", "--dir", str(place.dir)).stdout)["sheets"]
    assert [(s["name"], s["address"]) for s in found] == [("Anna Müller", f"anna@{DOMAIN}"), ("Ben; le grand", f"ben@{DOMAIN}")]
    place.start()  # what the sheet says is so, and the sheets come from a running server as well
    assert place.accounts[f"anna@{DOMAIN}"] in place.run("lab", "sheet", "--dir", str(place.dir)).stdout
    session = imaplib.IMAP4_SSL("localhost", place.ports["imaps"], ssl_context=tls_context(place), timeout=30)
    session.login(f"ben@{DOMAIN}", "Correct-Horse-7")
    session.logout()
    assert place.stop() == 0


def test_no_sheet_without_a_lab(place):
    init(place)
    done = place.run("lab", "sheet", "--dir", str(place.dir), check=False)
    assert done.returncode != 0 and "valise init --lab" in done.stderr


@pytest.mark.parametrize("options, said", [
    (["--students", "3"], "give --lab too"), (["--insecure-lesson"], "give --lab too"), (["--network", "10.0.0.0/8"], "give --lab too"),
    (["--lab", "--students", "3", "--from", "x"], "give one of them"), (["--lab", "--students", "0"], "from 1 to 1000"),
    (["--lab", "--students", "1001"], "1000"), (["--lab", "--network", "0.0.0.0/0"], "too wide"),
    (["--lab", "--network", "192.168.1.5/24"], "192.168.1.0/24"), (["--lab", "--network", "here"], "is no network"),
    (["--lab", "--network", "240.1.2.0/24"], "no address in 240.1.2.0/24; its addresses are 127.0.0.1"),
    (["--lab", "--from", "/nowhere/x.csv"], "x.csv")], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_does_not_go_together(place, options, said):
    done = init(place, *options, check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr
    assert not place.dir.exists()


@pytest.mark.parametrize("text, said", [
    ("anna\nanna\n", "line 2: the address is in line 1"), ("anna\nx@elsewhere.example\n", "line 2: "), ("anna\nbad address\n", "line 2: "),
    ("address,groups\nanna,team\n", "there are no groups in a new lab"), ("anna\nanna@mondomaine.fr\n", "line 2: "), ("", "there is no address in it")])
def test_mistakes_in_the_table_make_nothing(place, scratch, text, said):
    table = scratch / "class.csv"
    table.write_text(text)
    done = init(place, "--lab", "--from", str(table), check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr
    assert not place.dir.exists()


def test_in_a_network_of_its_own(place):
    """As in the classroom: the server has an address there, its certificate names it, who is elsewhere is not served."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip("a network of one's own takes root")
    try:
        for words in ("link set lo up", "addr add 203.0.113.10/24 dev lo", "addr add 192.168.77.1/24 dev lo"):
            subprocess.run(["ip", *words.split()], check=True)
        init(place, "--lab", "--network", "203.0.113.0/24", "--students", "1")
        place.start()
        session = imaplib.IMAP4_SSL("203.0.113.10", place.ports["imaps"], ssl_context=tls_context(place), timeout=30)
        session.login(f"user1@{DOMAIN}", place.accounts[f"user1@{DOMAIN}"])
        session.logout()
        with smtplib.SMTP("203.0.113.10", place.ports["submission"], timeout=30) as smtp:
            smtp.starttls(context=tls_context(place))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("192.168.77.1", place.ports["imaps"]))
        with socket.create_connection(("203.0.113.10", place.ports["imap"]), source_address=("192.168.77.1", 0)) as stranger:
            assert stranger.recv(200).startswith(b"* BYE")
        assert f"203.0.113.10  {HOSTNAME}" in place.run("lab", "sheet", "--dir", str(place.dir)).stdout
        allowed = place.run("ca", "names", "--dir", str(place.dir)).stdout
        assert "203.0.113.0/24" in allowed
        assert place.stop() == 0
    finally:
        assert libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def test_make_run_takes_the_class(scratch):
    """scripts/run-lab, which make run calls with NETWORK, STUDENTS, STUDENTS_FILE and LESSON."""
    environment = {**os.environ, "NETWORK": "127.0.0.0/8", "STUDENTS": "2", "LESSON": "1"}
    lab, offset = scratch / "lab", str(harness.free_offset())

    def run():
        process = subprocess.Popen([harness.ROOT / "scripts/run-lab", harness.binary(), str(lab), offset], env=environment, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C stops" in line:
                break
        for child in harness.children(process.pid):
            os.kill(child, 15)
        assert process.wait(30) == 0, said
        process.stdout.close()
        return said
    said = run()
    assert "cannot open" not in said and "No such file" not in said  # the log that is not there the first time
    assert f"user2@{DOMAIN}" in said and ON in said and f"lab sheet --dir {lab} --port-offset {offset}" in said
    assert "is there already" in run()
