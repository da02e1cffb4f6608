"""Users who are removed and come back, get another address, or come by the hundred from a spreadsheet's table."""

import json
import os
import re
import shutil

import pytest

import harness
from harness import DOMAIN
from helpers import Account, deliver, imap, letter, subjects
from terminal import Terminal

USAGE, DATAERR, NOUSER, CANTCREAT, NOPERM = 64, 65, 67, 73, 77


@pytest.fixture(scope="module")
def house():
    """One lab for all: every test has people of its own."""
    directory = harness.make_directory()
    lab = harness.Valise(directory / "lab").init().start()
    yield lab
    check = lab.check()
    code = lab.stop()
    shutil.rmtree(directory, ignore_errors=True)
    assert code == 0
    assert check.returncode == 0, check.stdout + check.stderr


def run(lab, *words, **more):
    return lab.run(*map(str, words), "--dir", str(lab.dir), **more)


def as_json(lab, *words, **more):
    return json.loads(run(lab, *words, "--json", **more).stdout)


def arrive(lab, address):
    message, subject = letter(address)
    deliver(lab, address, message)
    return subject


def logs_in(lab, address, password):
    try:
        with imap(lab, Account(address, password)):
            return True
    except Exception as refused:
        assert "AUTHENTICATIONFAILED" in str(refused), refused
        return False


def users(lab):
    return {u["address"]: u for u in as_json(lab, "user", "list")["users"]}


def removed(lab, address):
    return [u for u in as_json(lab, "user", "list", "--removed")["users"] if u["address"] == address]


# --- removed, and back ---

def test_a_removed_user_comes_back_with_everything(house):
    address = f"anna@{DOMAIN}"
    password = house.add_user(address)
    app = as_json(house, "user", "app-password", "add", address, "phone")["password"]
    run(house, "group", "add", "choir")
    run(house, "group", "member", "add", "choir", address)
    subject = arrive(house, address)
    p12 = house.dir.parent / "anna.p12"
    serial = as_json(house, "cert", "issue", "--user", address, "--p12", p12, "--generate")["serial"]
    emails = as_json(house, "check")["emails"]
    told = run(house, "user", "remove", address).stdout
    assert as_json(house, "check")["emails"] == emails  # what is kept is verified too
    assert "mail is kept until" in told and "undelete" in told
    assert not logs_in(house, address, password) and address not in users(house)
    with pytest.raises(Exception, match="550"):
        arrive(house, address)
    assert as_json(house, "cert", "show", serial)["revoked-at"]
    (entry,) = removed(house, address)
    assert entry["messages"] == 1 and entry["erased-at"] - entry["removed-at"] == 14 * 86400
    assert address in run(house, "user", "list", "--removed").stdout and "erased" in run(house, "user", "list", "--removed").stdout
    house.kill()
    house.start()
    told = run(house, "user", "undelete", address).stdout
    assert f"{address} is back" in told
    assert removed(house, address) == []
    with imap(house, Account(address, password)) as session:
        assert subjects(session) == [subject]
    assert logs_in(house, address, app)
    groups = {g["group"]: g["members"] for g in as_json(house, "group", "list")["groups"]}
    assert address in groups["choir"]
    assert as_json(house, "cert", "show", serial)["revoked-at"]
    again = run(house, "user", "undelete", address, check=False)
    assert again.returncode == NOUSER and "--removed" in again.stderr


def test_the_address_may_be_taken_meanwhile(house):
    address, other = f"boris@{DOMAIN}", f"boris.one@{DOMAIN}"
    first = house.add_user(address)
    mine = arrive(house, address)
    run(house, "user", "remove", address)
    second = house.add_user(address)
    theirs = arrive(house, address)
    refused = run(house, "user", "undelete", address, check=False)
    assert refused.returncode == CANTCREAT and "--as ADDRESS" in refused.stderr
    assert run(house, "user", "undelete", address, "--as", other).stdout.startswith(f"{other} is back")
    for who, password, subject in ((address, second, theirs), (other, first, mine)):
        with imap(house, Account(who, password)) as session:
            assert subjects(session) == [subject]
    # Two of one address: the id says which.
    run(house, "user", "remove", address)
    house.add_user(address)
    run(house, "user", "remove", address)
    refused = run(house, "user", "undelete", address, check=False)
    assert refused.returncode == NOPERM and "--removed" in refused.stderr
    entry = next(e for e in removed(house, address) if e["messages"] == 1)
    run(house, "user", "undelete", entry["id"])
    with imap(house, Account(address, second)) as session:
        assert subjects(session) == [theirs]


def test_now_erases(house):
    address = f"clara@{DOMAIN}"
    house.add_user(address)
    arrive(house, address)
    run(house, "user", "remove", address)
    refused = run(house, "user", "remove", removed(house, address)[0]["id"], check=False)
    assert refused.returncode == USAGE and "--now" in refused.stderr
    run(house, "user", "remove", removed(house, address)[0]["id"], "--now")
    assert removed(house, address) == []
    assert run(house, "user", "undelete", address, check=False).returncode == NOUSER
    house.add_user(address)
    run(house, "user", "remove", address, "--now")
    assert removed(house, address) == []


def test_a_terminal_is_asked(house):
    address = f"denis@{DOMAIN}"
    house.add_user(address)
    for answer, there in (("n", True), ("", True), ("oui", False)):
        terminal = Terminal(["sh", "-c", f"{os.path.abspath(house.program)} user remove {address} --dir {house.dir}; cat"], os.environ,
                            house.dir.parent)
        try:
            terminal.wait("[y/N]")
            terminal.type(answer)
            terminal.keys("Enter")
            terminal.wait("nothing was changed" if there else "is removed")
        finally:
            terminal.close()
        assert (address in users(house)) == there


# --- another address ---

@pytest.mark.parametrize("alias", [True, False], ids=["alias", "free"])
def test_a_renamed_user_keeps_everything(house, alias):
    old, new = f"eva.{alias}@{DOMAIN}".lower(), f"eva.martin.{alias}@{DOMAIN}".lower()
    password = house.add_user(old)
    app = as_json(house, "user", "app-password", "add", old, "phone")["password"]
    serial = as_json(house, "cert", "issue", "--user", old, "--p12", house.dir.parent / f"{old}.p12", "--generate")["serial"]
    run(house, "alias", "add", f"contact.{alias}@{DOMAIN}".lower(), old)
    before = arrive(house, old)
    with imap(house, Account(old, password)) as session:
        told = run(house, "user", "rename", old, new, *(["--alias"] if alias else [])).stdout
        assert f"{old} is {new} now" in told
        with pytest.raises(Exception):  # it was ended
            session.noop()
            session.noop()
    assert logs_in(house, new, password) and logs_in(house, new, app) and not logs_in(house, old, password)
    subjects_now = [before, arrive(house, new), arrive(house, f"contact.{alias}@{DOMAIN}".lower())]
    if alias:
        subjects_now.append(arrive(house, old))
    else:
        with pytest.raises(Exception, match="550"):
            arrive(house, old)
    with imap(house, Account(new, password)) as session:
        assert sorted(subjects(session)) == sorted(subjects_now)
    assert bool(as_json(house, "cert", "show", serial).get("revoked-at")) == (not alias)
    assert run(house, "user", "rename", old, new, check=False).returncode == NOUSER
    assert run(house, "user", "rename", new, f"alice@{DOMAIN}", check=False).returncode == CANTCREAT


# --- many ---

def table(lab, text, name="users.csv"):
    path = lab.dir.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_users_come_from_a_spreadsheet(lab, running):
    """As Excel saves it in France: a mark, semicolons, CRLF, quotes."""
    if running:
        lab.start()
    run(lab, "group", "add", "class")
    run(lab, "group", "add", f"staff@{DOMAIN}")
    file = table(lab, b"\xef\xbb\xbf" + "\r\n".join([
        "Adresse;Nom;Mot de passe;Groupes",
        f'"zoé@{DOMAIN}";"Zoé ""la"" Prof";"Un mot; de passe";"class, staff@{DOMAIN}"',
        f"tom@{DOMAIN};Tom;;class",
        ";;;",
        f"lea@{DOMAIN};;;",
        "",
    ]).encode())
    refused = run(lab, "user", "add", "--from", file, check=False)
    assert refused.returncode == DATAERR and "line 3: the password is missing" in refused.stderr and "line 5:" in refused.stderr
    assert "nothing was changed" in refused.stderr and f"tom@{DOMAIN}" not in users(lab)
    dry = run(lab, "user", "add", "--from", file, "--generate", "--dry-run").stdout
    assert dry == "3 users would be added\n" and f"tom@{DOMAIN}" not in users(lab)
    told = run(lab, "user", "add", "--from", file, "--generate").stdout
    made = dict(line.split(" ") for line in told.splitlines()[1:])
    assert told.splitlines()[0] == "3 users are added" and sorted(made) == [f"lea@{DOMAIN}", f"tom@{DOMAIN}"]
    there = users(lab)
    assert there[f"zoé@{DOMAIN}"]["name"] == 'Zoé "la" Prof' and there[f"tom@{DOMAIN}"]["name"] == "Tom"
    groups = {g["group"]: sorted(g["members"]) for g in as_json(lab, "group", "list")["groups"]}
    assert groups == {"class": sorted([f"tom@{DOMAIN}", f"zoé@{DOMAIN}"]), f"staff@{DOMAIN}": [f"zoé@{DOMAIN}"]}
    # The same file again, with one more.
    file = table(lab, file.read_bytes() + f"max@{DOMAIN}\r\n".encode())
    refused = run(lab, "user", "add", "--from", file, "--generate", check=False)
    assert refused.returncode == DATAERR and refused.stderr.count("there already") == 3
    secrets = lab.dir.parent / "passwords"
    again = run(lab, "user", "add", "--from", file, "--generate", "--skip-existing", "--passwords", secrets).stdout
    assert again == "1 user is added, 3 are there already\n"
    assert os.stat(secrets).st_mode & 0o777 == 0o600
    address, password = secrets.read_text().split()
    assert address == f"max@{DOMAIN}"
    if not running:
        lab.start()
    assert logs_in(lab, address, password) and logs_in(lab, f"tom@{DOMAIN}", made[f"tom@{DOMAIN}"])
    assert lab.stop() == 0


def test_each_mistake_in_a_table_is_told_with_its_line(house):
    lines = [
        f"good@{DOMAIN},Good,A.fine.Pass.1,",
        f"alice@{DOMAIN},there,A.fine.Pass.1,",
        "who@elsewhere.example,x,A.fine.Pass.1,",
        "no address,x,A.fine.Pass.1,",
        f"short@{DOMAIN},x,abc,",
        f"nogroup@{DOMAIN},x,A.fine.Pass.1,nobodies",
        f"GOOD@{DOMAIN},twice,A.fine.Pass.1,",
        f"many@{DOMAIN},x,A.fine.Pass.1,,fr,more",
        ",x,A.fine.Pass.1,",
        f"nopass@{DOMAIN},x,,",
        f"klingon@{DOMAIN},x,A.fine.Pass.1,,tlh",
    ]
    file = table(house, "\n".join(lines) + "\n")
    done = run(house, "user", "add", "--from", file, check=False)
    assert done.returncode == DATAERR
    assert [int(n) for n in re.findall(r"line (\d+): ", done.stderr)] == list(range(2, 12)), done.stderr
    for words in ("there already", "not one of ours", "not a mail address", "at least 10 are needed", "no group nobodies", "in line 1 already", "more fields",
                  "address is missing", "password is missing", "a language is en or fr, not 'tlh'"):
        assert words in done.stderr, (words, done.stderr)
    answer = json.loads(run(house, "user", "add", "--from", file, "--json", check=False).stdout)
    assert answer["ok"] is False and [e["line"] for e in answer["errors"]] == list(range(2, 12))
    assert f"good@{DOMAIN}" not in users(house)
    for text, words in ((b"a@b,\"x\n", "a quote is opened"), ("é".encode("latin-1"), "UTF-8"), ("address,shoe\n", "no column 'shoe'"),
                        (b"\xff\xfea\0", "UTF-16"), ("", "no address")):
        done = run(house, "user", "add", "--from", table(house, text), check=False)
        assert done.returncode == DATAERR and words in done.stderr, (text, done.stderr)
    assert run(house, "user", "add", check=False).returncode == USAGE
    assert run(house, "user", "add", f"x@{DOMAIN}", "--from", file, check=False).returncode == USAGE
    assert run(house, "user", "add", f"x@{DOMAIN}", "--dry-run", check=False).returncode == USAGE


def test_members_come_from_a_table(house):
    run(house, "group", "add", "list")
    house.add_user(f"gilles@{DOMAIN}")
    file = table(house, f"address\ngilles@{DOMAIN}\nalice@{DOMAIN}\nnobody@{DOMAIN}\n", "members.csv")
    refused = run(house, "group", "member", "add", "list", "--from", file, check=False)
    assert refused.returncode == DATAERR and "line 4: there is no account" in refused.stderr
    file = table(house, f"gilles@{DOMAIN}\nalice@{DOMAIN}\n", "members.csv")
    assert run(house, "group", "member", "add", "list", "--from", file, "--dry-run").stdout == "2 members would be added\n"
    assert run(house, "group", "member", "add", "list", "--from", file).stdout == "2 members are added\n"
    assert run(house, "group", "member", "add", "list", "--from", file).stdout == "0 members are added, 2 are there already\n"
    groups = {g["group"]: sorted(g["members"]) for g in as_json(house, "group", "list")["groups"]}
    assert groups["list"] == [f"alice@{DOMAIN}", f"gilles@{DOMAIN}"]
    assert run(house, "group", "member", "add", "nolist", "--from", file, check=False).returncode == DATAERR
    assert run(house, "group", "member", "add", "list", check=False).returncode == USAGE


def test_a_nul_in_a_table_is_told_with_its_line(house):
    for command, text in (["user", "add"], f"u1@{DOMAIN},One,Correct-Horse-7,\nu2@{DOMAIN},Tw\0o,Correct-Horse-7,\n"), (["group", "member", "add", "staff"], f"alice@{DOMAIN}\nal\0ice@{DOMAIN}\n"):
        refused = run(house, *command, "--from", table(house, text, "nul.csv"), check=False)
        assert refused.returncode == DATAERR and "nul.csv: line 2: a field holds a NUL byte" in refused.stderr


def test_more_than_one_request_holds(house):
    """300 members and as many users' lines: in several requests, each line once."""
    lines = "".join(f"pupil{i}@{DOMAIN};{'x' * 100};;\n" for i in range(250))
    dry = run(house, "user", "add", "--from", "-", "--generate", "--dry-run", input=lines).stdout
    assert dry == "250 users would be added\n"
    bad = run(house, "user", "add", "--from", "-", "--generate", "--dry-run", input=lines + f"alice@{DOMAIN};;;\n", check=False)
    assert bad.returncode == DATAERR and "line 251: " in bad.stderr
