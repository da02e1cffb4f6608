"""A hundred and more mistakes of administrators, each with the next step that its message must name (test_typos.py has those of the keyboard)."""

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from harness import DOMAIN, HOSTNAME

ALICE, BOB, NOBODY, STAFF, INFO = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "nobody", "staff", "info"))
USERS, GROUPS, DOMAINS, ALL = "`valise user list` lists", "`valise group list` lists", "`valise domain list` lists", "`valise user list`, `valise alias list`"
SIZES, TAKEN = 'write bytes, or as 50M or "2 GiB"', "take another name"


def valise(*words, text=""):
    return subprocess.run([harness.binary(), *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def place():
    """A lab without a server, with a user, a group, an alias and a second domain, and a folder beside it for files."""
    directory = harness.make_directory()
    own = harness.Valise(directory / "lab").init()
    own.files = directory / "files"
    own.files.mkdir()
    for words in (["group", "add", STAFF, "--from", "members"], ["group", "member", "add", STAFF, ALICE], ["alias", "add", INFO, ALICE],
                  ["domain", "alias", "add", "alt.example", DOMAIN], ["user", "app-password", "add", ALICE, "phone"]):
        done = valise(*words, "--dir", str(own.dir))
        assert done.returncode == 0, done.stderr
    yield own
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def running(place):
    """The same with its server, so that many commands can be given at once."""
    place.start()
    yield place
    place.stop()


def missed(lab, cases, at_once=4):
    """Each case is (words, next step[, standard input]); those that do not fail, or do not say it."""
    def one(case):
        words, step, text = (*case, "")[:3]
        words = [str(word) for word in words]
        done = valise(*words, *([] if "--dir" in words else ["--dir", str(lab.dir)]), text=text)
        bad = done.returncode == 0 or step not in done.stderr or "Traceback" in done.stderr
        return f"{' '.join(words)}: {done.returncode} {done.stderr or done.stdout}\n   wanted: {step}" if bad else None
    with ThreadPoolExecutor(at_once) as pool:
        return "\n".join(bad for bad in pool.map(one, cases) if bad)


# --- without a server ---

def test_no_server_and_wrong_directories(place):
    files = place.files
    (files / "file").write_text("x")
    (files / "full").mkdir()
    (files / "full" / "x").write_text("x")
    init = ["init", "--domain", "x.example", "--hostname", "m.x.example"]
    cases = [([*words], "`valise serve") for words in (["reload"], ["status"], ["metrics"], ["session", "list"], ["session", "end", "--user", ALICE])]
    cases += [
        (["user", "list", "--dir", files / "nowhere"], "`valise init` makes a directory"), (["user", "list", "--dir", files], "`valise init` makes a directory"),
        (["user", "list", "--dir", files / "file"], "`valise init` makes a directory"), (["init", "--domain", "x.example"], "--hostname mailhost.mondomaine.fr"),
        ([*init, "--dir", files / "full"], "give it a new or an empty directory"), ([*init, "--dir", files / "no" / "where"], "make it with mkdir -p"),
        ([*init, "--dir", files / "new", "--san", "foo bar"], "write it as mail.example.org or 192.0.2.1"),
        (["init", "--domain", "not a domain", "--hostname", "m.x.example", "--dir", files / "new"], "write it as example.org"),
        (["init", "--domain", "192.0.2.1", "--hostname", "m.x.example", "--dir", files / "new"], "write it as example.org"),
        (["init", "--domain", "x.example", "--hostname", "a b", "--dir", files / "new"], "write it as mail.example.org"),
        (["serve", "--port-offset", "100000"], "a number from 0 to 65000"), (["serve", "--port-offset", "many"], "a number from 0 to 65000")]
    assert missed(place, cases) == ""
    assert not (files / "new" / "valise.conf").exists()


CONF = [  # what is written at the end of valise.conf, and what is said about it
    ("nonsense", "`man valise.conf` lists them"), ("mesage-size-max = 5", "did you mean message-size-max?"), ("hostname =", "write it to its end"),
    ("version = 2", "install that, or restore the file"), ('version = "x"', "write a number"), ('hostname = "a b"', "letters, digits, dots and hyphens"),
    ("mx-processes = 0", "between 1 and 64"), ("mx-processes = many", "write a number"), ("message-size-max = 5X", SIZES), ("message-size-max = -1", SIZES),
    ("message-size-max = 2000000 GiB", 'stands in quotes, as "2 GiB"'), ('limits-exempt = {"300.0.0.0/8"}', 'write "192.0.2.0/24"'),
    ('limits-exempt = {"10.0.0.0/99"}', "a number from 0 to 32"), ('log-level = "loud"', 'one of "debug", "info"'), ('user-key = "dsa"', '"ecdsa", "rsa"'),
    ("connections-max = 0", "between 10 and 1000000"), ('login-lockout = "5 fortnights"', "write a number of seconds"), ("= 5", "write name = value"),
    ("}", "leave it out"), ("log-level = 'info", "close it with '"), ('hostname = "mail.example.org', 'close it with "'), ("/* a comment", "close it with */"),
    ("hostname = \"a.b\"\0", "restore it from a backup"), ("listener x { }", 'write protocol = "smtp"'), ('listener x { protocol = "imap" }', "write port = 993"),
    ('listener x { protocol = "pop3" port = 110 }', '"smtp", "submission", "imap"'), ('listener x { protocl = "imap" }', "did you mean protocol?"),
    ('listener x { protocol = "imap" port = 0 }', "between 1 and 65535"), ('listener x { protocol = "imap" port = 70000 }', "between 1 and 65535"),
    ('listener x { protocol = "imap" port = 2993 tls = "maybe" }', '"off", "opportunistic"'), ('listener x { protocol = "imap" port = 2993', "close it with }"),
    ('listener x { protocol = "imap" port = 2993 tls = "implicit" addresses = {"localhost"} }', "write numbers, not a name"),
    ('listener x { protocol = "imap" port = 993 tls = "implicit" addresses = {"127.0.0.1"} }', "as listener imaps has; give it another"),
    ('listener x { protocol = "imap" port = 993 tls = "implicit" addresses = {"0.0.0.0"} }', "as listener imaps has of 127.0.0.1; give it another"),
    ('listener x { protocol = "imap" port = 2993 tls = "implicit" addresses = {"::1", "0::1"} }', "take one out"),
    ('listener imap { protocol = "imap" port = 2993 tls = "implicit" }', "give this section another name"),
    ('listener x { protocol = "imap" port = 2993 tls = "implicit" auth = {"GSSAPI"} }', "there are EXTERNAL, SCRAM-SHA-256-PLUS"),
    ('listener x { protocol = "imap" port = 2993 tls = "implicit" auth = {"CRAM-MD5"} }', "needs legacy = true"),
    ('listener x { protocol = "imap" port = 2993 tls = "implicit" auth = {"EXTERNAL"} }', 'needs client-cert = "request"'),
    ('listener x { protocol = "metrics" port = 9425 tls = "implicit" }', "leave tls out"), ('listener x { protocol = "smtp" port = 2025 auth = {"PLAIN"} }', "nobody logs in by smtp"),
    ("certificate x { }", 'no chain = "file.pem"'), ('certificate x { chain = "tls/none.pem" }', "is the name right?"),
    ('certificate x { chain = "../x.pem" }', "`valise cert import` brings one there"), ('certificate x { chain = "/etc/hostname" }', "`valise cert import` brings one there"),
    ('certificate x { chain = "tls" }', "`valise cert import` brings one there"), ("limits imapp { }", "limits smtp, limits submission and limits imap"),
    ("limits imap { connections-per-adress = 5 }", "did you mean connections-per-address?"),
    ('limits imap { connections-per-address = "5/minute" }', "0 for no limit"), ("limits imap { connection-rate-per-address = 5 }", 'as "100/minute"')]


def test_lines_of_valise_conf(place):
    conf = place.dir / "valise.conf"
    good, bad = conf.read_text(), []
    cases = [(good + line + "\n", step, line) for line, step in CONF]
    cases += [("", 'hostname = "mail.example.org" is missing', "nothing"), (good.partition("certificate default")[0], "certificate default {", "no certificate"),
              ('hostname = "m.example.org"\n', "`man valise.conf` has an example", "no listener")]
    if os.geteuid() == 0:
        cases += [(good + f'user = "{user}"\n', step, user) for user, step in (("nobodyatall", "useradd --system"), ("root", 'write user = "valise"'))]
    for text, step, what in cases:
        conf.write_text(text)
        done = valise("check", "--config", "--dir", str(place.dir))
        if done.returncode == 0 or step not in done.stderr:
            bad.append(f"{what}: {done.returncode} {done.stderr or done.stdout}\n   wanted: {step}")
    conf.write_text(good)
    done = valise("check", "--config", "--dir", str(place.dir))
    assert done.returncode == 0 and not bad, "\n".join(bad) + done.stderr


def test_what_a_start_would_fail_at_is_found_before(place):
    """Keys that keeper cannot use, and a welcome that cannot be sent: `check --config` said that all was right."""
    keys, welcome = place.dir / "keys", place.dir / "welcome.txt"
    key = keys / "server.key"
    mode = key.stat().st_mode & 0o777

    def check():
        done = valise("check", "--config", "--dir", str(place.dir))
        return done.returncode, done.stdout + done.stderr

    assert check()[0] == 0
    key.chmod(0o644)
    for words in ["check", "--config"], ["serve", "--port-offset", str(harness.free_offset())]:
        done = valise(*words, "--dir", str(place.dir))
        assert done.returncode == 78 and "server.key is open to others; chmod 6" in done.stderr and "no file keys" not in done.stderr, done.stderr
    key.chmod(mode)
    if os.geteuid() == 0:
        group = key.stat().st_gid
        os.chown(key, 0, 0)
        status, said = check()
        assert status == 78 and "keeper may not read the key file keys/server.key" in said and "upgrade --owners" in said, said
        os.chown(key, 0, group)
    key.rename(keys / "aside")
    assert check()[0] == 78 and "no file keys/*.key holds its private key" in check()[1]
    shutil.copy(keys / "ca.key", key)
    assert check()[0] == 78 and "keys/server.key is another certificate's private key" in check()[1]
    (keys / "aside").rename(keys / "another name.key")
    assert check()[0] == 0, check()
    (keys / "another name.key").rename(key)
    welcome.write_bytes("Bienvenue à bord".encode("latin1"))
    assert check()[0] != 0 and "welcome.txt is not UTF-8" in check()[1]
    welcome.write_text("{nom}, { x }, {}, {name} {address} {domain} {hostname} {imap} {smtp} {postmaster} {hello}")
    (place.dir / "welcome.fr.txt").write_text("{nom}")
    status, said = check()
    assert status == 0 and [line.partition(" is sent as it stands")[0] for line in said.splitlines()[:-1]] == ["welcome.txt: {nom}", "welcome.fr.txt: {nom}"], said
    welcome.unlink()
    (place.dir / "welcome.fr.txt").unlink()
    assert check()[0] == 0


def test_a_busy_port(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = valise("serve", "--dir", str(place.dir), "--port-offset", str(taken.getsockname()[1] - 993))
    assert done.returncode != 0 and "another program has 127.0.0.1 port" in done.stderr and "ss -ltnp" in done.stderr, done.stderr


# --- with a server ---

def test_without_the_key_of_the_ca(running):
    """It may lie in a safe; what is not done meanwhile is told with the next step."""
    key = running.dir / "keys" / "ca.key"
    assert "ca.key" not in valise("status", "--dir", str(running.dir)).stdout
    key.rename(running.files / "safe")
    try:
        cases = [(["cert", "issue", "--user", ALICE, "--p12", running.files / "n.p12", "--generate"], "bring it from your safe"), (["cert", "renew", "server"], "bring it from your safe"),
                 (["ca", "renew"], "bring it from your safe")]
        assert missed(running, cases) == ""
        for command in "status", "check":
            assert "keys/ca.key, is not there" in valise(command, "--dir", str(running.dir)).stdout
    finally:
        (running.files / "safe").rename(key)


def test_users_and_passwords(running):
    files = running.files
    tables = {"none": None, "password": f"address,name\nx@{DOMAIN},X\n", "quote": f'address,name\nx@{DOMAIN},"open\n', "empty": "", "utf16": "\ufeffa"}
    for name, text in tables.items():
        if text is not None:
            (files / f"{name}.csv").write_text(text, "utf-16" if name == "utf16" else "utf-8")
    (files / "there.csv").write_text("x")
    x = f"x@{DOMAIN}"
    cases = [
        (["user", "add", "x@nowhere.example", "--generate"], "add it first"), (["user", "add", ALICE, "--generate"], TAKEN), (["user", "add", INFO, "--generate"], TAKEN),
        (["user", "add", STAFF, "--generate"], TAKEN), (["user", "add", f"a b@{DOMAIN}", "--generate"], "write it as you@example.org"),
        (["user", "add", x], "give --password-stdin or --generate"), (["user", "add", x, "--password-stdin"], "have one made: --generate"),
        (["user", "add", x, "--password-stdin"], "at least 10 are needed", "short\n"), (["user", "add", x, "--password-stdin"], "take another", "password1234\n"),
        (["user", "add", x, "--password-stdin", "--generate"], "give one of them", "x\n"),
        (["user", "add", x, "--generate", "--role", "boss"], "user, admin or program"), (["user", "add", ""], "is a variable of the shell not set?"),
        (["user", "add", "--from", files / "none.csv"], "is the name right?"), (["user", "add", "--from", files / "password.csv"], "--generate makes one"),
        (["user", "add", "--from", files / "quote.csv"], "within quotes two stand for one"), (["user", "add", "--from", files / "empty.csv"], "address,name,password"),
        (["user", "add", "--from", files / "utf16.csv"], "save it as CSV UTF-8"), (["user", "add", "--from", files], "give a file, not a directory"),
        (["user", "add", "--from", files / "password.csv", "--generate", "--passwords", files / "there.csv"], "give a new name"),
        (["user", "passwd", NOBODY, "--generate"], USERS), (["user", "passwd", ALICE], "give --password-stdin or --generate"),
        (["user", "passwd", ALICE, "--password-stdin"], "take another", "alice12345\n"), (["user", "passwd", ALICE, "--password-stdin"], "choose another", "a\x01bcdefghijkl\n"),
        (["user", "role", ALICE, "king"], "user, admin or program"), (["user", "remove", NOBODY, "--yes"], USERS), (["user", "remove", ALICE], "--with-references"),
        (["user", "undelete", NOBODY], "`valise user list --removed' shows"), (["user", "rename", ALICE, BOB], TAKEN), (["user", "rename", ALICE, "x@nowhere.example"], "add it first"),
        (["user", "rename", NOBODY, x], USERS), (["user", "legacy", ALICE, "X"], "say on, off, cram-md5 or digest-md5"), (["user", "history", NOBODY], USERS),
        (["user", "history", ALICE, "--since", "tomorrow"], "12h or 7d"), (["user", "app-password", "add", ALICE, "phone"], "or remove that one first"),
        (["user", "app-password", "add", ALICE, "x" * 300], "1 to 64 bytes"), (["user", "app-password", "remove", ALICE, "tablet"], "`valise user app-password list ADDRESS` lists"),
        (["user", "app-password", "list", NOBODY], USERS), (["user", "list", "--domain", "nowhere.example"], DOMAINS), (["user", "list", "--domain", "x y"], "write it as example.org"),
        (["user", "enable", NOBODY], USERS), (["user", "quota", NOBODY, "--none"], USERS), (["user", "quota", ALICE, "--storage", "5XB"], SIZES),
        (["user", "quota", ALICE, "--storage", "-5M"], SIZES), (["user", "quota", ALICE, "--messages", "5M"], "a number from 1 to"),
        (["user", "quota", ALICE, "--none", "--storage", "5M"], "exclude each other"), (["lockout", "lift", "nonsense"], "as 192.0.2.7"),
        (["session", "end", "nothing"], "`valise session list' shows them"), (["status", "--wait", "5 fortnights"], "or write it as 90s")]
    assert missed(running, cases) == ""


def test_groups_aliases_and_domains(running):
    cases = [
        (["group", "add", "a b"], "letters, digits"), (["group", "add", STAFF], TAKEN), (["group", "add", "x@nowhere.example"], "add it first"),
        (["group", "member", "add", f"nothing@{DOMAIN}", ALICE], GROUPS), (["group", "member", "add", STAFF, NOBODY], "`valise user list` and `valise group list` list those"),
        (["group", "member", "add", STAFF, STAFF], "name a user or another group"), (["group", "member", "add", STAFF, ALICE], "`valise group list` shows who"),
        (["group", "member", "remove", STAFF, BOB], "`valise group list` shows who"), (["group", "member", "add", STAFF, "--from", running.files / "none.txt"], "is the name right?"),
        (["group", "from", STAFF, "everybody"], "anyone, members or domain"), (["group", "quota", f"nothing@{DOMAIN}", "--none"], GROUPS),
        (["group", "quota", STAFF, "--storage", "5q"], SIZES), (["group", "quota", STAFF, "--storage", "2", "Go"], "'Go' is too much: "), (["group", "remove", f"nothing@{DOMAIN}"], GROUPS), (["group", "list", "--domain", "nowhere.example"], DOMAINS),
        (["alias", "add", INFO, BOB], f"{INFO} is there already, as an alias; "), (["alias", "add", BOB, ALICE], f"{BOB} is there already, as a user; "), (["alias", "add", "x@nowhere.example", ALICE], "add it first"),
        (["alias", "add", f"y@{DOMAIN}", "a@gmail.com"], "a user, a group or an alias of this server"), (["alias", "add", "nonsense", ALICE], "write it as you@example.org"),
        (["alias", "add", f"loop@{DOMAIN}", f"loop@{DOMAIN}"], ALL), (["alias", "remove", f"nothing@{DOMAIN}"], "`valise alias list` lists"),
        (["alias", "list", "--domain", "x y"], "write it as example.org"), (["domain", "add", DOMAIN], TAKEN), (["domain", "add", "a_b..c"], "write it as example.org"),
        (["domain", "add", "[192.0.2.1]"], "give a name, as example.org"), (["domain", "add", "192.0.2.1"], "give a name, as example.org"),
        (["domain", "remove", DOMAIN], "remove them first"), (["domain", "remove", "alt.example"], "`valise domain alias remove alt.example' takes that name away"),
        (["domain", "alias", "add", "alt2.example", "nowhere.example"], DOMAINS), (["domain", "alias", "add", "alt3.example", "alt.example"], "name that one"),
        (["domain", "alias", "remove", "nothing.example"], "`valise domain list` shows them"), (["domain", "catch-all", DOMAIN], "or give --none"),
        (["domain", "catch-all", DOMAIN, NOBODY], ALL), (["domain", "quota", "nowhere.example", "--none"], DOMAINS), (["domain", "quota", DOMAIN], "--storage, --messages or --none")]
    assert missed(running, cases) == ""


@pytest.fixture(scope="module")
def pem(place):
    """Certificates and keys as authorities, browsers and operating systems hand them out, and what people make of them."""
    folder = place.files / "pem"
    folder.mkdir()
    ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    subject = f"-subj /CN={HOSTNAME} -addext subjectAltName=DNS:{HOSTNAME}"
    script = f"""
        openssl req -x509 {ec} -keyout ca.key -out ca.pem -subj /CN=CA -addext basicConstraints=critical,CA:TRUE -days 30
        openssl req {ec} -keyout good.key -out request.pem {subject}
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out good.pem -days 30 -copy_extensions copy
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out old.pem -days -1 -copy_extensions copy
        openssl req -x509 {ec} -keyout other.key -out other.pem -subj /CN=www.example -addext subjectAltName=DNS:www.example -addext basicConstraints=critical,CA:FALSE
        openssl req -x509 -newkey rsa:1024 -nodes -keyout weak.key -out weak.pem {subject}
        cat ca.pem good.pem >swapped.pem
        openssl x509 -in good.pem -outform DER -out good.der
        openssl pkey -in good.key -outform DER -out key.der
        openssl pkcs8 -topk8 -in good.key -out sealed.key -passout pass:secret
        openssl pkcs12 -export -in good.pem -inkey good.key -out good.p12 -passout pass:x
        head -3 good.pem >cut.pem
        : >empty.pem
        cp good.key open.key
        chmod 600 *
        chmod 644 open.key"""
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def test_certificates(running, pem):
    files = [
        ("good.pem", "other.key", "that this certificate was asked for with"), ("good.der", "good.key", "openssl x509 -inform DER"),
        ("good.pem", "key.der", "openssl pkey -inform DER"), ("good.pem", "sealed.key", "without: openssl pkey -in"), ("old.pem", "good.key", "have it renewed first"),
        ("swapped.pem", "good.key", "must be the first, then the one that has signed it"), ("ca.pem", "ca.key", "the server's own comes first"),
        ("other.pem", "other.key", "take the one for that name"), ("cut.pem", "good.key", "is it the right file, and whole?"), ("empty.pem", "good.key", "have it made again"),
        ("none.pem", "good.key", "is the name right?"), ("good.pem", "none.key", "is the name right?"), ("good.p12", "good.key", "openssl pkcs12 -in"),
        ("weak.pem", "weak.key", "openssl genpkey"), ("good.pem", "open.key", "chmod 600"), ("request.pem", "good.key", "what the CA has answered to it"),
        (".", "good.key", "give a file, not a directory"), ("good.key", "good.pem", "swapped?")]  # though a certificate is open to others
    cases = [(["cert", "import", HOSTNAME, "--chain", pem / chain, "--key", pem / key], step) for chain, key, step in files]
    issue = ["cert", "issue", "--user", ALICE]
    cases += [
        (["cert", "import"], "`valise cert import --help` tells more"), (["cert", "show", "nothing"], "`valise cert list` lists"), (["cert", "revoke", "ffff"], "`valise cert list` lists"),
        (["cert", "renew", "nothing"], "is the name right?"), (["cert", "register", pem / "good.pem"], "`valise cert issue --user` makes those"),
        (["cert", "register", pem / "good.der"], "openssl x509 -inform der"), (["cert", "issue"], "one of --server NAME and --user ADDRESS"),
        (["cert", "issue", "--server", "www.nowhere.example"], "`valise ca allow www.nowhere.example'"), (["cert", "issue", "--server", HOSTNAME, "--days", "0"], "as --days 90"),
        (["cert", "issue", "--server", HOSTNAME, "--days", "398"], "at most 397 days"), ([*issue, "--generate"], "--p12 FILE is needed"),
        (["cert", "issue", "--user", NOBODY, "--p12", pem / "n.p12", "--generate"], USERS), ([*issue, "--p12", pem / "no" / "n.p12", "--generate"], "is the name right?"),
        ([*issue, "--p12", pem / "n.p12"], "give --password-stdin or --generate"), ([*issue, "--p12", pem / "n.p12", "--key", "dsa", "--generate"], "ecdsa or rsa"),
        (["ca", "export", "--out", pem / "no" / "ca.pem"], "is the name right?"), (["ca", "allow", "nonsense name"], "as A-labels"), (["ca", "deny", "never.example"], "`valise ca names' shows it")]
    assert missed(running, cases) == ""


def test_backups_and_archives(running):
    files, lab = running.files, str(running.dir)
    (files / "dirty").mkdir()
    (files / "dirty" / "x").write_text("x")
    (files / "plain").write_text("no backup, no mbox, no certificate")
    good = files / "good"
    assert valise("backup", str(good), "--dir", lab).returncode == 0
    cases = [
        (["backup"], "valise backup [OPTION]... TARGET"), (["backup", files / "plain"], "give a directory"), (["backup", lab], "best on another disk"),
        (["backup", f"{lab}/store"], "best on another disk"), (["backup", f"{lab}/backups"], "best on another disk"), (["backup", files / "no" / "where"], "is the name right?"),
        (["backup", "--keep", "-1", good], "a number from 0 to"), (["backup", "prune", good], "--keep N is needed, at least 1"),
        (["backup", "--encrypt-to", files / "plain", files / "b1"], "in PEM form"), (["backup", "--encrypt-to", running.dir / "keys" / "server.key", files / "b1"], "--encrypt-to wants its certificate"),
        (["backup", "--encrypt-to", files / "none.pem", files / "b1"], "is the name right?"),
        (["backup", "--passphrase-file", files / "none", files / "b1"], "is the name right?"), (["backup", "list", files / "nowhere"], "is the name right?"),
        (["backup", "check", files / "dirty"], "that `valise backup` has written to"), (["restore", files / "nowhere", "--dir", files / "r"], "is the name right?"),
        (["restore", files / "dirty", "--dir", files / "r"], "that `valise backup` has written to"), (["restore", good, "--dir", files / "dirty"], "goes into a new or empty directory"),
        (["restore", good], "goes into a new or empty directory"), (["restore", good, "--mailbox", "INBOX"], "go with --account"),
        (["restore", good, "--account", NOBODY], "an older backup may have it"), (["restore", good, "--account", "nonsense"], "write it as you@example.org"),
        (["restore", good, "--account", ALICE, "--mailbox", "Nowhere"], "is the name right?"), (["export", "mbox", ALICE], "an address and a directory"),
        (["export", "mbox", ALICE, files / "plain"], "give a new or empty directory"), (["export", "maildir", ALICE, files / "dirty"], "new or empty directory"),
        (["export", "mbox", NOBODY, files / "e"], USERS), (["import", "mbox", ALICE, files / "plain"], "is it the right file?"),
        (["import", "mbox", ALICE, files / "nowhere"], "is the name right?"), (["import", "mbox", ALICE, files / "bare"], "give the mbox file itself"),
        (["import", "maildir", ALICE, files / "dirty"], "`valise import mbox` reads"), (["import", "maildir", ALICE, files / "plain"], "`valise import mbox` reads"),
        (["import", "mbox", NOBODY, files / "plain"], USERS), (["import", "pst", ALICE, files / "plain"], "these there are:"), (["help", "nonsense"], "`valise help` lists them"),
        (["completion", "tcsh"], "bash, zsh or fish"), (["man", "5"], "`valise man --help` tells more")]
    (files / "bare").mkdir()
    assert missed(running, cases, at_once=1) == ""  # one backup of a directory is made at a time
    assert not list(running.dir.glob("backups"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a filesystem")
def test_a_full_or_read_only_disk(running):
    mount = running.files / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", str(mount)], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this place has no mounts")
    try:
        assert missed(running, [(["backup", mount / "b"], "make room on that disk (df -h shows it)")]) == ""
        subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
        assert missed(running, [(["backup", mount / "c"], "mount it for writing, or give another place")]) == ""
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_an_import_over_quota_names_whose_and_the_command(running):
    maildir = running.files / "over"
    for sub in ("cur", "new", "tmp"):
        (maildir / sub).mkdir(parents=True)
    for i in range(3):
        (maildir / "cur" / f"{i}:2,").write_text(f"From: a@example.net\nSubject: {i}\n\nx\n")
    lab = str(running.dir)
    assert valise("user", "quota", BOB, "--messages", "1", "--dir", lab).returncode == 0
    done = valise("import", "maildir", BOB, str(maildir), "--dir", lab)
    assert done.returncode == 77 and f"the quota of {BOB}, 1 message, is used up; 1 message came in; raise it by `valise user quota {BOB}'" in done.stderr, done
    assert valise("user", "quota", BOB, "--none", "--dir", lab).returncode == 0
    done = valise("import", "maildir", BOB, str(maildir), "--dir", lab)
    assert done.returncode == 0 and "already" in done.stdout, done


def test_bounds_and_names_of_a_new_lab(scratch):
    for args, step in ((["--students", "0"], "a number from 1 to 1000, not '0'"), (["--students", "1000000"], "a number from 1 to 1000, not '1000000'"),
                       (["--hostname", "mail"], f"write it whole, as mail.{DOMAIN}")):
        done = valise("init", "--lab", "--domain", DOMAIN, "--hostname", HOSTNAME, *args, "--dir", str(scratch / "l"))
        assert done.returncode != 0 and step in done.stderr and not (scratch / "l").exists(), done
    twice = scratch / "twice.csv"
    twice.write_text(f"address,name,name\nx@{DOMAIN},a,b\n")
    done = valise("init", "--lab", "--domain", DOMAIN, "--hostname", HOSTNAME, "--from", str(twice), "--dir", str(scratch / "l"))
    assert done.returncode == 65 and "line 1: 'name' is a column that is there already" in done.stderr, done
