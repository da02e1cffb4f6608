"""Manual pages, completion and metrics: made from the same tables as --help, without a warning of the programs that read them."""

import re
import subprocess

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
    source = (ROOT / "src" / "role" / "config.c").read_text()
    read = set(re.findall(r'CFG_(?:STR|INT|BOOL|FLOAT|STR_LIST|INT_LIST)\("([a-z-]+)"', source))
    told = set(re.findall(r"^\\fB([a-z\\-]+)\\fR = ", page(server, "--conf"), re.M))
    assert read == {name.replace("\\-", "-") for name in told}, "src/cli/settings.c must name each setting of src/role/config.c"


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


def test_metrics(server):
    text = server.run("metrics", "--dir", str(server.dir)).stdout
    values = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) valise_[a-z_]+ \S", line), line
            continue
        match = re.fullmatch(r'(valise_[a-z_]+)(\{[a-z]+="[^"\\]*"\})? (-?[0-9.]+)', line)
        assert match, line
        values[(match.group(1), match.group(2))] = float(match.group(3))
    assert values[("valise_store_writable", None)] == 1
    assert ("valise_store_commits_total", None) in values
    assert values[("valise_role_connections_accepted_total", '{role="core"}')] >= 1
    assert ("valise_role_restarts_total", '{role="keeper"}') in values
    families = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert len(families) == len(set(families))
