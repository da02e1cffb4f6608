"""Manual pages and completion: made from the same tables as --help, without a warning of the programs that read them."""

import re
import subprocess

import pytest

import harness
from helpers import client

ROOT = harness.ROOT


def page(server, *options):
    return server.run("man", *options).stdout


def commands(server):
    text = server.run("--help").stdout
    return [m.group(1).strip() for m in re.finditer(r"^  ((?:[a-z]+ )?[a-z]+)(?: [A-Z|.-]+)* +\S", text, re.M) if not m.group(1).startswith("-")]


def test_pages_render_without_warnings(server, scratch):
    for options in ((), ("--conf",)):
        path = scratch / "page"
        path.write_text(page(server, *options))
        for argv in (["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(path)], ["groff", "-man", "-ww", "-Tutf8", "-z", str(path)]):
            done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 0 and not done.stderr, done.stderr


def test_page_has_every_command(server):
    text = page(server).replace("\\-", "-")
    names = commands(server)
    assert len(names) > 15
    for name in names:
        assert re.search(rf'^\.SS "valise {name}[ "]', text, re.M), name


def test_page_has_every_setting(server):
    """What the server reads and what the page tells are the same names."""
    source = (ROOT / "src" / "config" / "config.c").read_text()
    read = set(re.findall(r'CFG_(?:STR|INT|INT_CB|BOOL|FLOAT|STR_LIST|INT_LIST)\("([a-z-]+)"', source))
    limits = (ROOT / "src" / "config" / "limits.c").read_text()
    read |= set(re.findall(r'\{ "([a-z-]+)", \d', limits))
    told = set(re.findall(r"^\\fB([a-z\\-]+)\\fR = ", page(server, "--conf"), re.M))
    kinds = re.search(r"kind_names\[LIMIT_KINDS\] = \{(.*?)\}", (ROOT / "src" / "run" / "limit.c").read_text(), re.S).group(1)
    for kind in re.findall(r'"([a-z-]+)"', kinds):
        assert f"\\fB{kind}-per-".replace("-", "\\-") in page(server, "--conf"), kind
    assert read == {name.replace("\\-", "-") for name in told}, "src/cli/settings.c must name each setting of src/config/"


def rendered(server, scratch, *options):
    path = scratch / "rendered"
    path.write_text(page(server, *options))
    done = subprocess.run(["groff", "-man", "-Tutf8", "-P-c", "-P-u", "-P-b", str(path)], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def test_page_has_examples_files_and_lower_case_values(server, scratch):
    text = rendered(server, scratch)
    assert "FILES" in text and "lab-accounts.txt" in text and "EXAMPLES" in text and "valise user add marie@mondomaine.fr --generate" in text
    assert re.search(r"^ +valise user passwd address$", text, re.M), "operands"
    assert re.search(r"^ +--keep n$", text, re.M), "values of options"
    flat = " ".join(text.split())
    assert "mode is on, cram-md5" in flat and "MODE is on" not in flat, "and where the text speaks of them"
    conf = rendered(server, scratch, "--conf")
    assert "FILES" in conf and "EXAMPLES" in conf and 'protocol = "imap"' in conf


def test_the_example_of_valise_conf_is_right(server, scratch):
    """What the page shows is taken by the program."""
    lines = rendered(server, scratch, "--conf").partition("EXAMPLES")[2].partition("SEE ALSO")[0].splitlines()
    begin = next(i for i, line in enumerate(lines) if "hostname =" in line)
    own = scratch / "example"
    own.mkdir()
    (own / "valise.conf").write_text("\n".join(lines[begin:]) + "\n")
    (own / "tls").mkdir()
    (own / "tls" / "server.pem").write_text((server.dir / "tls" / "server.pem").read_text())
    subprocess.run(["cp", "-a", str(server.dir / "keys"), str(own / "keys")], check=True)  # with the owners
    done = server.run("check", "--config", "--dir", str(own), check=False)
    assert "3 listeners, 1 certificate" in done.stdout, done.stdout + done.stderr


def test_help_fits_80_columns(server):
    names = re.findall(r"^        '([^']+)'\) options=", server.run("completion", "bash").stdout, re.M)
    topics = re.findall(r"\(valise help ([a-z]+)\):$", server.run("help").stdout, re.M)
    assert len(names) > 60 and len(topics) >= 8
    asked = [["--help"], ["help"], *(["help", t] for t in topics), *([*n.split(), "--help"] for n in names), *(["help", *n.split()] for n in names[:9])]
    for words in asked:
        done = server.run(*words)
        long = [line for line in done.stdout.splitlines() if len(line) > 80 and " " in line.strip()]
        assert not long and not done.stderr, (words, long)
    everything = " ".join(server.run("--help").stdout.split())
    assert all(f" {n} " in everything for n in names), "each command is in a topic"


def test_help_has_examples_and_guesses(server):
    assert "valise user add marie@mondomaine.fr --generate" in server.run("help", "users").stdout
    assert "valise user add marie@mondomaine.fr --generate" in server.run("user", "add", "--help").stdout
    assert server.run("help", "user", "add").stdout == server.run("user", "add", "--help").stdout
    done = server.run("help", "usres", check=False)
    assert done.returncode == 64 and "did you mean `valise help users`?" in done.stderr


def complete(server, *words):
    script = server.run("completion", "bash").stdout
    call = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _valise; echo \"${{COMPREPLY[@]}}\""
    done = client("bash", "-c", script + call.replace("_last_", "''"))
    assert done.returncode == 0, done.stdout
    return done.stdout.split()


def test_completion(server):
    assert complete(server, "valise", "rel") == ["reload"]
    assert complete(server, "valise", "user", "pass") == ["passwd"]
    assert set(complete(server, "valise", "alias", "''")) == {"add", "remove", "list"}
    assert "--password-stdin" in complete(server, "valise", "user", "passwd", "--")
    assert "--json" in complete(server, "valise", "check", "--")
    assert server.run("completion", "csh", check=False).returncode == 64


def test_completion_goes_down_to_the_last_word(server):
    assert set(complete(server, "valise", "user", "app-password", "''")) == {"add", "remove", "list"}
    assert "--keep" in complete(server, "valise", "backup", "prune", "--")
    assert "check" in complete(server, "valise", "backup", "''"), "a command that others begin with"
    assert "--account" in complete(server, "valise", "restore", "x", "--")


@pytest.mark.parametrize("words, wanted", [(["rel"], "reload"), (["user", "pass"], "passwd"), (["user", "app-password", ""], "list"),
                                           (["cert", "issue", "--p12-"], "--p12-legacy")])
def test_completion_of_fish(server, scratch, words, wanted):
    path = scratch / "valise.fish"
    path.write_text(server.run("completion", "fish").stdout)
    done = client("fish", "--no-config", "-c", f"source {path}; complete -C 'valise {' '.join(words)}'")
    assert done.returncode == 0 and wanted in [line.split("\t")[0] for line in done.stdout.splitlines()], done.stdout
    assert any("\t" in line for line in done.stdout.splitlines()), "each with its help"


@pytest.mark.parametrize("words, wanted", [([""], "reload"), (["user", ""], "passwd"), (["user", "app-password", ""], "list"),
                                           (["cert", "issue", "--"], "--p12-legacy")])
def test_completion_of_zsh(server, scratch, words, wanted):
    """What the function offers; the last step of zsh's own, which needs a terminal, is played."""
    path = scratch / "_valise"
    path.write_text(server.run("completion", "zsh").stdout)
    play = ("compdef() { }; _files() { print FILES }; _describe() { print -l -- ${(P)2} };"
            f"source {path}; words=(valise {' '.join(repr(w) for w in words)}); CURRENT={len(words) + 1}; _valise")
    done = client("zsh", "-f", "-c", play)
    assert done.returncode == 0 and wanted in [line.split(":")[0] for line in done.stdout.splitlines()], done.stdout


def test_mandoc_finds_no_fault(server, scratch):
    for options in ((), ("--conf",)):
        path = scratch / "page"
        path.write_text(page(server, *options))
        done = client("mandoc", "-T", "lint", "-W", "warning", path)
        found = [line for line in done.stdout.splitlines() if "missing date" not in line]   # the page is of a version, not of a day
        assert not found, found
