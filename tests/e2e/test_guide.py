"""docs/guide: what it tells to type is typed, what it shows is compared, and its two languages say the same."""

import imaplib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import dns.message
import dns.rrset
import dns.zone
import pytest

import harness
from guide import Chapter, Reader, Wrong
from helpers import letter

sys.path.insert(0, str(harness.ROOT / "tests" / "ugly"))
import dovecot  # noqa: E402

GUIDE = harness.ROOT / "docs" / "guide"
NAMES = sorted(path.name for path in (GUIDE / "en").glob("*.md"))
CHAPTERS = [name for name in NAMES if name != "README.md"]
LANGUAGES = ("en", "fr")


class NameServer:
    """Answers for the records of the guide, from what the guide itself prints."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.sets = {}
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, text):
        zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
        for name, records in zone.iterate_rdatasets():
            self.sets[(name, records.rdtype)] = dns.rrset.from_rdata_list(name, records.ttl, records)

    def serve(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            asked = query.question[0]
            if (asked.name, asked.rdtype) in self.sets:
                answer.answer.append(self.sets[(asked.name, asked.rdtype)])
            self.socket.sendto(answer.to_wire(), peer)

    def close(self):
        self.socket.close()


# What `systemctl' does here: the directory is served on loopback, on ports that are free. The unit itself is tried by `make test-deb'.
SYSTEMCTL = """\
#!/bin/sh
set -eu
case "$1 ${{2-}}" in
    "start valise")
        sed -i 's/addresses = {{"0.0.0.0", "::"}}/addresses = {{"127.0.0.1"}}/' "$VALISE_DIR/valise.conf"
        valise serve --port-offset {offset} </dev/null >>{dir}/serve.log 2>&1 &
        echo $! >{dir}/serve.pid
        valise status --wait 30 >/dev/null;;
    "stop valise") kill "$(cat {dir}/serve.pid)"; tail --pid="$(cat {dir}/serve.pid)" -f /dev/null;;
    "enable --now") ;;
    "start valise-backup.service") . {nightly}; {backup} >{dir}/nightly.log 2>&1;;
    *) echo "systemctl $*: not known to the test" >&2; exit 1;;
esac
"""


# What `certbot' leaves behind and whom it calls, with an authority of the test's own in the place of Let's Encrypt.
CERTBOT = """\
#!/bin/sh
set -eu
cd {dir}/letsencrypt
case "$1" in
    certonly) while [ "$1" != -d ]; do shift; done; echo "$2" >name;;
    renew) ;;
    *) echo "certbot $1: not known to the test" >&2; exit 1;;
esac
name=$(cat name)
live=$PWD/live/$name
mkdir -p "$live"
new() {{ openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1" -out request.pem -subj "/CN=$2" 2>/dev/null; }}
sign() {{ printf "$1" >extensions; openssl x509 -req -in request.pem -CA "$2.pem" -CAkey "$2.key" -days 90 -extfile extensions 2>/dev/null; }}
if [ ! -e between.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj "/CN=an authority" 2>/dev/null
    new between.key between
    sign 'basicConstraints=critical,CA:TRUE' ca >between.pem
fi
new "$live/privkey.pem" "$name"
sign "subjectAltName=DNS:$name\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth" between >"$live/fullchain.pem"
cat between.pem >>"$live/fullchain.pem"
if [ "$1" = renew ]; then
    for hook in renewal-hooks/deploy/*; do RENEWED_DOMAINS=$name RENEWED_LINEAGE=$live "$hook"; done
fi
"""

# A system as the first chapter leaves it, for the chapters that go on from there.
ALONE = ("first-domain.md", "classroom.md")
PASSWORD = "trois-lettres-bleues"


def nightly_backup():
    """What systemd/valise-backup.service does, after the file of settings was read."""
    unit = (harness.ROOT / "systemd" / "valise-backup.service.in").read_text().replace("\\\n", " ")
    command = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", unit, re.M).group(1)
    return command.replace("@sbindir@/", "").replace("--dir /var/lib/valise", "").replace("exec ", "")


class OldServer(dovecot.Dovecot):
    """The Dovecot that somebody moves from: Maildir, TLS, and letters of years."""

    def __init__(self, directory, chain, key):
        super().__init__(directory)
        conf = self.dir / "dovecot.conf"
        text = conf.read_text().replace("sdbox:~/sdbox", "maildir:~/Maildir").replace("ssl = no", f"ssl = required\nssl_cert = <{chain}\nssl_key = <{key}")
        text = text.replace("port = 0", f"port = {self.port}\n    ssl = yes").replace(f"port = {self.port}", "port = 0", 1)
        conf.write_text(text)
        (self.dir / "users").write_text("".join(f"{user}@example.org:{{PLAIN}}{PASSWORD}\n" for user in ("marie", "paul", "lea")))

    def fill(self, authority):
        for user in ("marie@example.org", "lea@example.org"):
            with imaplib.IMAP4_SSL("localhost", self.port, ssl_context=ssl.create_default_context(cafile=authority), timeout=30) as session:
                session.login(user, PASSWORD)
                session.create("Work")
                for folder, count in (("INBOX", 3), ("Work", 4)):
                    for number in range(count):
                        session.append(folder, "(\\Seen)", '"17-Jul-2019 02:44:25 +0000"', letter(user, subject=f"{folder} {number}")[0])


class Desk:
    """A directory, ports, a name server and the programs of one reader."""

    def __init__(self, directory):
        self.dir, self.offset = directory, harness.free_offset()
        self.names = NameServer()
        self.authority, self.old = directory / "letsencrypt" / "ca.pem", None
        self.bin = directory / "bin"
        self.bin.mkdir()
        if os.geteuid() == 0:
            (self.bin / "valise").symlink_to(os.path.abspath(harness.binary()))
        else:   # only root sets owners, and only his system needs it
            self.program("valise", f'#!/bin/sh\n[ "$*" = "upgrade --owners" ] || exec {os.path.abspath(harness.binary())} "$@"\n')
        self.program("systemctl", SYSTEMCTL.format(dir=directory, offset=self.offset, nightly=directory / "nightly",
                                                      backup=nightly_backup()))
        self.program("certbot", CERTBOT.format(dir=directory))
        (directory / "letsencrypt" / "renewal-hooks" / "deploy").mkdir(parents=True)
        (directory / "home").mkdir()
        (directory / "home" / ".digrc").write_text(f"@127.0.0.1 -p {self.names.port}\n")
        (directory / "safe").mkdir()
        self.settings = {
            "VALISE_DIR": directory / "valise", "BACKUPS": directory / "backups", "SAFE": directory / "safe", "CERTIFICATE": directory / "backup.pem",
            "NIGHTLY": directory / "nightly", "LETSENCRYPT": directory / "letsencrypt", "EXAMPLES": harness.ROOT / "docs" / "examples",
            "ADDRESS": "127.0.0.1", "HOST": "localhost", "SERVER": "127.0.0.1", "NETWORK": "127.0.0.0/8",
            "OFFSET": self.offset, "SUBMISSIONS": 465 + self.offset, "LMTP": 24 + self.offset,
            **{name.upper(): port + self.offset for name, port in harness.PORTS.items()}}

    def program(self, name, text):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def prepare(self, reader):
        """A domain, marie with one letter, and the server."""
        text = (GUIDE / "en" / "first-domain.md").read_text()
        reader.password = PASSWORD
        reader.shell_block(f"""
            export VALISE_DIR={self.settings["VALISE_DIR"]}
            {re.search("^valise init.*", text, re.M).group(0)} --san localhost
            echo {PASSWORD} | {re.search("^valise user add marie.*", text, re.M).group(0).replace("--generate", "--password-stdin")}
            systemctl start valise
            printf 'From: <paul@example.net>\\nSubject: of old\\nMessage-ID: <1@example.net>\\n\\nHello.\\n' |
              curl -sS smtp://127.0.0.1:{self.settings["SMTP"]} --mail-from paul@example.net --mail-rcpt marie@example.org --crlf -T -
            unset VALISE_DIR\n""", "the first chapter")

    def old_server(self):
        """A Dovecot at localhost, with a certificate of the authority that stands for Let's Encrypt; paul's mail is in its dbox."""
        subprocess.run([self.bin / "certbot", "certonly", "-d", "localhost"], check=True)
        live = self.dir / "letsencrypt" / "live" / "localhost"
        self.old = OldServer(self.dir / "dovecot", live / "fullchain.pem", live / "privkey.pem").start()
        self.old.fill(self.authority)
        self.program("doveadm", f'#!/bin/sh\nexec /usr/bin/doveadm -c {self.old.dir}/dovecot.conf -o mail_location=sdbox:~/sdbox "$@"\n')
        subprocess.run([self.bin / "doveadm", "save", "-u", "paul@example.org"], input=letter("paul@example.org")[0], check=True)
        self.settings |= {"OLD": "localhost", "OLD_IMAPS": self.old.port, "VMAIL": self.old.dir / "mail"}

    def reader(self):
        return Reader(self.dir, f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", self.settings, env={"SSL_CERT_FILE": self.authority}, on_zone=self.names.add)

    def close(self):
        self.names.close()
        if self.old:
            self.old.stop()
        pid = self.dir / "serve.pid"
        if pid.exists() and harness.alive(int(pid.read_text())):
            tree = [int(pid.read_text()), *harness.descendants(int(pid.read_text()))]
            os.kill(tree[0], 15)
            harness.wait_until(lambda: not any(harness.alive(p) for p in tree), 30, "the server of the guide ends")


@pytest.fixture
def desk():
    directory = harness.make_directory("valise-guide-")
    own = Desk(directory)
    yield own
    own.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter(desk, name):
    chapter = Chapter(GUIDE / "en" / name)
    assert any(block.language == "sh" and not block.note for block in chapter.blocks)
    if name == "moving-in.md":
        desk.old_server()
    reader = desk.reader()
    try:
        if name not in ALONE:
            desk.prepare(reader)
        reader.work_through(chapter)
    finally:
        reader.close()


# --- two languages ---

def test_both_languages_have_the_same_chapters():
    assert NAMES and NAMES == sorted(path.name for path in (GUIDE / "fr").glob("*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_headings_and_blocks_match_one_to_one(name):
    english, french = (Chapter(GUIDE / language / name) for language in LANGUAGES)
    assert [level for level, _ in english.headings] == [level for level, _ in french.headings]
    for ours, theirs in zip(english.blocks, french.blocks):
        assert ours.bare() == theirs.bare(), f"{name}, lines {ours.line} (en) and {theirs.line} (fr)"
    assert len(english.blocks) == len(french.blocks)
    assert [target.partition("#")[0] for target, _ in english.links] == [target.partition("#")[0] for target, _ in french.links]


def test_the_guide_begins_in_both():
    assert [target for target, _ in Chapter(GUIDE / "README.md").links] == [f"{language}/README.md" for language in LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_has_every_chapter_once(language):
    listed = [target for target, line in Chapter(GUIDE / language / "README.md").links if target in CHAPTERS]
    assert sorted(listed) == CHAPTERS


@pytest.mark.parametrize("change", [("valise init", "valise inti"), ("C: QUIT", "C: EXIT"), ("25.113.0.203", "25.113.0.230"), ("port 993", "port 943"),
                                    ("settings -->", "not run: no -->")])
def test_a_change_in_one_language_is_seen(change):
    text = (GUIDE / "fr" / "first-domain.md").read_text()
    assert change[0] in text
    former, changed = ([block.bare() for block in Chapter(GUIDE / "fr" / "first-domain.md", t).blocks] for t in (text, text.replace(*change)))
    assert former != changed


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(language):
    for path in (GUIDE / language).glob("*.md"):
        for target, line in Chapter(path).links:
            if target.startswith("https://"):
                continue
            file, _, anchor = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            assert other.is_file(), f"{path}:{line}: there is no {file}"
            assert GUIDE in other.parents, f"{path}:{line}: the package has the guide alone"
            assert not anchor or anchor in Chapter(other).anchors(), f"{path}:{line}: no heading of {other.name} is #{anchor}"


def prose(path):
    """(number, line) of what is written, without code."""
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and not line.startswith("<!--"):
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", "x", line)


def test_french_typography():
    """A space that does not break stands before ; : ! ? and inside of guillemets; apostrophes are curved; three dots are one sign."""
    wrong = re.compile(r"[^\u00a0\u202f\s][;:!?»](?=\s|$)|[ \t][;:!?»]|«[^\u00a0\u202f]|\w'\w|\.\.\.|\"")
    for path in (GUIDE / "fr").glob("*.md"):
        for number, line in prose(path):
            found = wrong.search(line)
            assert not found, f"{path}:{number}: \"{line[max(0, found.start() - 20):found.end() + 10]}\""


# --- the runner can fail ---

CHAPTER = """\
# A chapter

```sh
printf 'one 1\\ntwo 2\\nthree\\n'
false  # exit status 1
```
```text
one ...
...
three
```

```dialogue
$ sh -c 'echo ready; read -r word; echo "no" "$word"; echo bye'
S: ready
C: moon
S: no moon
S: bye
```
"""


def works(desk, text):
    path = desk.dir / "chapter.md"
    path.write_text(text)
    reader = desk.reader()
    reader.timeout = 5
    try:
        reader.work_through(Chapter(path))
    finally:
        reader.close()


def test_the_runner_takes_what_is_right(desk):
    works(desk, CHAPTER)


@pytest.mark.parametrize("right, typo", [("printf", "prinft"), ("printf 'one", "printf 'on"), ("false  #", "true  #"), ("status 1", "status 2"),
                                         ("one ...", "two ..."), ("\nthree\n```", "\nfour\n```"), ("...\nthree", "three"), ("C: moon", "C: mon"),
                                         ("S: bye", "S: good bye"), ("```sh", "```bash"), ("```text", "```txt"), ("# A chapter", "<!-- do not run -->"), ("$ sh -c", "$ ssh -c"),
                                         ("S: bye\n", "")])
def test_a_typo_fails(desk, right, typo):
    assert right in CHAPTER
    with pytest.raises(Wrong):
        works(desk, CHAPTER.replace(right, typo, 1))


@pytest.mark.parametrize("right, typo", [("valise init", "valise inti"), ("--role admin", "--role amdin"), ("RCPT TO:<marie@", "RCPT TO:<maire@"),
                                         ("mail               A ", "mial               A ")])
def test_a_typo_in_the_guide_fails(desk, right, typo):
    text = (GUIDE / "en" / "first-domain.md").read_text()
    assert right in text
    with pytest.raises(Wrong):
        works(desk, text.replace(right, typo, 1))
