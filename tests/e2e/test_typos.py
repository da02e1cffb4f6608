"""Mistakes on the command line: each message names the next step. Every command and every option that `valise completion` knows is mistyped."""

import json
import os
import re
import subprocess
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from harness import DOMAIN, HOSTNAME

USAGE = 64


def completion():
    """Every command with its options, as the completion of bash knows them."""
    script = subprocess.run([harness.binary(), "completion", "bash"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: options.split() for name, options in re.findall(r"^        '([^']+)'\) options=\"([^\"]*)\"", script, re.M)}


def valise(*words):
    return subprocess.run([harness.binary(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, check=False)


def typos(word):
    """A letter left out, two swapped, one doubled: as fingers do it."""
    i = len(word) // 2
    found = {word[:i] + word[i + 1:], word[:i - 1] + word[i] + word[i - 1] + word[i + 1:], word[:i] + word[i] + word[i:]}
    return sorted(t for t in found if t and t != word)


def run_all(cases):
    """Runs (words, what standard error must match) pairs; those that say something else."""
    def one(case):
        words, wanted = case
        done = valise(*words)
        return None if done.returncode == USAGE and re.search(wanted, done.stderr) else f"{' '.join(words)}: {done.returncode} {done.stderr}"
    with ThreadPoolExecutor(4) as pool:
        return [bad for bad in pool.map(one, cases) if bad]


def test_a_typo_in_every_command():
    commands = completion()
    assert len(commands) > 60
    cases = []
    for name in commands:
        words = name.split()
        for k, word in enumerate(words):
            for typo in typos(word):
                typed = [*words[:k], typo, *words[k + 1:]]
                if not any(" ".join(typed).startswith(c) for c in commands):  # another command's name is no typo
                    cases.append((typed, rf"did you mean (`valise [a-z -]+` or )?`valise {name}`( or `valise [a-z -]+`)?\?"))
    assert "\n".join(run_all(cases)) == ""


def test_a_typo_in_every_option():
    cases = []
    for name, options in completion().items():
        assert {"--dir", "--json", "--help"} <= set(options)
        for option in options:
            typo = next(t for t in typos(option[2:]) if f"--{t}" not in options)
            cases.append(([*name.split(), f"--{typo}"], rf"did you mean {option}\?"))
    assert "\n".join(run_all(cases)) == ""


@pytest.mark.parametrize("words, meant", [
    (["start"], "valise serve"), (["adduser"], "valise user add"), (["user", "delete", "x"], "valise user remove"),
    (["add", "user", "x"], "valise user add"), (["user-add", "x"], "valise user add"), (["alias", "rm", "x"], "valise alias remove"),
    (["user", "app-password", "delete", "x"], "valise user app-password remove"), (["-h"], "valise --help"), (["--hlep"], "valise --help"),
    (["-V"], "valise --version"), (["status", "-json"], "--json"), (["USER", "list"], "valise user list"), (["usr"], "valise user")],
    ids=lambda v: " ".join(v) if isinstance(v, list) else v.replace(" ", "-"))
def test_what_other_programs_call_it(words, meant):
    done = valise(*words)
    assert done.returncode == USAGE and f"did you mean {meant}?" in done.stderr.replace("`", ""), done.stderr


@pytest.mark.parametrize("words, step", [
    (["nonsense"], "valise --help"), (["status", "--nonsense"], "`valise status --help` lists"), (["user"], "user passwd ADDRESS"),
    (["user", "passwd"], "valise user passwd [OPTION]... ADDRESS"), (["serve", "now"], "`valise serve --help` tells more"),
    (["user", "add", "--role"], "--role ROLE, user (the default), admin or program"), (["check", "--deep=1"], "leave out =1"),
    (["backup", "-k"], "options begin with two dashes")], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_lines_say_what_is_right(words, step):
    done = valise(*words)
    assert done.returncode == USAGE and step in done.stderr, done.stderr


def test_no_server_says_how_to_start_one(lab):
    done = valise("status", "--dir", str(lab.dir))
    assert f"no server runs in {lab.dir}; `valise serve --dir {lab.dir}` starts it" in done.stderr
    done = valise("status", "--dir", f"{lab.dir}/nowhere")
    assert f"there is no directory {lab.dir}/nowhere" in done.stderr and "--dir" in done.stderr and "valise init" in done.stderr
    done = valise("status", "--dir", str(lab.dir.parent))
    assert "holds no valise.conf" in done.stderr and "--dir" in done.stderr


def test_a_file_that_is_not_there(lab):
    done = valise("cert", "register", f"{lab.dir}/nowhere.pem", "--dir", str(lab.dir))
    assert "nowhere.pem: No such file or directory; is the name right?" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root is let in everywhere")
def test_permission_denied_names_the_owner(lab):
    (lab.dir / "store").chmod(0)
    done = valise("user", "list", "--dir", str(lab.dir))
    (lab.dir / "store").chmod(0o700)
    assert "yours, but its mode is 0000: chmod u+rwX" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_permission_denied_names_who_may(lab):
    lab.dir.chmod(0o700)
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", harness.binary_for_others(), "user", "list", "--dir",
                           str(lab.dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 77 and f"{lab.dir} belongs to root: run this as root" in done.stderr, done.stderr


def test_a_typo_in_valise_conf(lab):
    conf = lab.dir / "valise.conf"
    line = len(conf.read_text().splitlines()) + 1
    conf.write_text(conf.read_text() + "mesage-size-max = 1000000\n")
    done = valise("serve", "--dir", str(lab.dir), "--port-offset", "20000")
    assert done.returncode == 78 and f"valise.conf:{line}: " in done.stderr and "did you mean message-size-max?" in done.stderr, done.stderr


@pytest.mark.parametrize("words, step", [
    (["domain", "quota", DOMAIN, "--storage", "50X"], "'50X' is no size; write bytes, or as 50M"),
    (["status", "--wait", "soon"], "a number alone counts seconds, or write it as 90s"),
    (["cert", "issue", "--server", HOSTNAME, "--days", "398"], "at most 397 days"),
    (["cert", "issue", "--user", f"alice@{DOMAIN}", "--p12", "x", "--generate", "--days", "1097"], "at most 1096 days"),
    (["backup", "--keep", "many", "x"], "--keep needs a number from 0"),
    (["user", "history", f"alice@{DOMAIN}", "--since", "yesterday"], "or 12h or 7d for that long ago")],
    ids=lambda v: " ".join(v[:2]) if isinstance(v, list) else "")
def test_numbers_say_their_form(lab, words, step):
    done = valise(*words, "--dir", str(lab.dir))
    assert done.returncode == USAGE and step in done.stderr, done.stderr


@pytest.mark.parametrize("size, kib", [("52428800", 51200), ("50M", 51200), ("2 GiB", 2097152), ("1g", 1048576)])
def test_sizes_have_units(lab, size, kib):
    valise("domain", "quota", DOMAIN, "--storage", size, "--dir", str(lab.dir))
    done = valise("domain", "list", "--json", "--dir", str(lab.dir))
    assert f'"bytes": {kib * 1024}' in done.stdout, done.stdout


def test_times_have_units(lab):
    """36 hours are a day and a half."""
    p12 = lab.dir.parent / "alice.p12"
    done = valise("cert", "issue", "--user", f"alice@{DOMAIN}", "--p12", str(p12), "--generate", "--days", "36h", "--dir", str(lab.dir))
    assert done.returncode == 0, done.stderr
    certificates = json.loads(valise("cert", "list", "--json", "--dir", str(lab.dir)).stdout)
    ours = [c for c in certificates["certificates"] if c["use"] == "user"]
    assert 36 * 3600 - 60 <= ours[0]["not-after"] - ours[0]["not-before"] <= 36 * 3600 + 7200, ours


def test_a_damaged_certificate_names_file_and_line(lab):
    chain = lab.dir / "tls" / "server.pem"
    lines = chain.read_text().splitlines()
    lines[2] = "!" + lines[2][1:]
    chain.write_text("\n".join(lines) + "\n")
    done = valise("serve", "--dir", str(lab.dir), "--port-offset", "20000")
    assert done.returncode == 78 and "tls/server.pem: line 3 holds what is no Base64" in done.stderr, done.stderr
    mistaken = lab.dir.parent / "mistaken.pem"
    mistaken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    done = valise("cert", "register", str(mistaken), "--dir", str(lab.dir))
    assert done.returncode == 65 and "mistaken.pem: line 1 begins a PRIVATE KEY; a CERTIFICATE is wanted" in done.stderr, done.stderr


@pytest.mark.parametrize("words, step", [
    (["user", "role", f"alice@{DOMAIN}", "admn"], "user, admin or program"), (["group", "add", f"all@{DOMAIN}", "--from", "membrs"], "members or domain"),
    (["completion", "bsh"], "bash, zsh or fish"), (["alias", "add", f"x@{DOMAIN}", f"nobody@{DOMAIN}"], "`valise user list`, `valise alias list`"),
    (["user", "disable", f"nobody@{DOMAIN}"], "`valise user list` lists those that there are"),
    (["domain", "remove", "nowhere.fr"], "`valise domain list` lists"), (["group", "remove", "nothing"], "`valise group list` lists"),
    (["alias", "remove", f"nobody@{DOMAIN}"], "`valise alias list` lists")],
    ids=lambda v: " ".join(v[:2]) if isinstance(v, list) else "-")
def test_words_that_are_a_choice(lab, words, step):
    done = valise(*words, "--dir", str(lab.dir))
    assert done.returncode != 0 and step in done.stderr, done.stderr


# --- check --config, columns, two backups in one second ---

def test_check_config_without_a_server(lab):
    done = valise("check", "--config", "--dir", str(lab.dir))
    assert done.returncode == 0 and "valise.conf is right: 5 listeners" in done.stdout, done.stdout + done.stderr
    assert json.loads(valise("check", "--config", "--json", "--dir", str(lab.dir)).stdout)["listeners"] == 5
    conf = lab.dir / "valise.conf"
    good = conf.read_text()
    conf.write_text(good + "log-level = \"loud\"\n")
    done = valise("check", "--config", "--dir", str(lab.dir))
    assert done.returncode == 78 and f"valise.conf:{len(good.splitlines()) + 1}: log-level must be one of" in done.stderr, done.stderr
    conf.write_text(good)
    (lab.dir / "tls" / "server.pem").unlink()
    done = valise("check", "--config", "--dir", str(lab.dir))
    assert done.returncode != 0 and "tls/server.pem: No such file or directory" in done.stderr, done.stderr
    done = valise("check", "--config", "--dir", f"{lab.dir}/nowhere")
    assert done.returncode == 66 and "is the name right?" in done.stderr, done.stderr


def test_columns_are_those_of_the_terminal(lab):
    names = ["plain", "t\u00e9l\u00e9phone", "te\u0301le\u0301phone 2", "\u96fb\u8a71"]
    for name in names:
        assert valise("user", "app-password", "add", f"alice@{DOMAIN}", name, "--dir", str(lab.dir)).returncode == 0
    lines = valise("user", "app-password", "list", f"alice@{DOMAIN}", "--dir", str(lab.dir)).stdout.splitlines()
    def columns(text):
        return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    assert len(lines) == len(names) and {columns(line.partition(" made ")[0]) for line in lines} == {40}, lines


def test_two_backups_in_one_second(lab):
    target = lab.dir.parent / "backups"
    for _ in range(3):
        done = valise("backup", str(target), "--dir", str(lab.dir))
        assert done.returncode == 0, done.stderr
    listed = json.loads(valise("backup", "list", str(target), "--json").stdout)
    assert len(listed["generations"]) == 3, listed
