"""The test run itself: in a small tree with tests that fail now and then, always, or with what no noise explains."""

import os
import re
import shutil
import subprocess

import pytest

import harness

MESON = """\
project('small', 'c')
foreach where : ['bench', 'src', 'tests/unit/role', 'tests/unit/run']
  subdir(where)
endforeach
test('base/steady', find_program('steady.sh'), protocol: 'tap')
test('base/shaky', find_program('shaky.sh'), protocol: 'tap')
test('base/broken', find_program('broken.sh'), protocol: 'tap')
test('base/sanitized', find_program('sanitized.sh'), protocol: 'tap')
test('base/more', find_program('steady.sh'), protocol: 'tap')
"""
TARGET = "custom_target('{0}', output: '{0}', input: '{1}steady.sh', command: ['cp', '@INPUT@', '@OUTPUT@'])\n"
SHAKY = "[ -e {flag} ] && echo 'ok 1 - one' && exit 0\n touch {flag}\n"
PYTHON = '''\
from pathlib import Path

def test_steady():
    pass

def test_shaky():
    flag = Path({flag!r})
    before = flag.exists()
    flag.touch()
    assert before, "the first time is too slow"

def test_broken():
    assert False, "never well"

def test_panics():
    flag = Path({panic!r})
    before = flag.exists()
    flag.touch()
    assert before, "log: panic at ../src/base/buf.c:57: out of memory"

def test_more():
    pass

def test_even_more():
    pass
'''


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.fixture
def tree(scratch):
    top = scratch / "tree"
    script(top / "scripts" / "deps", "")
    shutil.copy(harness.ROOT / "scripts" / "test", top / "scripts" / "test")
    for name in ("layers", "headers", "rfc", "audit", "house"):
        script(top / "scripts" / f"check-{name}", "")
    script(top / "steady.sh", "echo 'ok 1 - one'\necho 'ok 2 - two'\necho 1..2\n")
    script(top / "shaky.sh", SHAKY.format(flag=scratch / "shaky") + "echo 'not ok 1 - one'\necho 1..1\nexit 1\n")
    script(top / "broken.sh", "echo 'ok 1 - one'\necho 'not ok 2 - two'\necho 1..2\nexit 1\n")
    script(top / "sanitized.sh", SHAKY.format(flag=scratch / "sanitized") + "echo '==1==ERROR: AddressSanitizer: heap-use-after-free' >&2\nexit 1\n")
    for where, name, back in ("src", "valise", "../"), ("bench", "smtp_load", "../"), ("tests/unit/run", "test_run_sandbox", "../../../"), ("tests/unit/run", "test_run_tls", "../../../"), \
            ("tests/unit/role", "test_role_sandbox", "../../../"):
        (top / where).mkdir(parents=True, exist_ok=True)
        test = "" if where in ("src", "bench") else f"test('{name[5:].replace('_', '/')}', find_program('{back}steady.sh'), protocol: 'tap')\n"
        with open(top / where / "meson.build", "a", encoding="utf-8") as f:
            f.write(TARGET.format(name, back) + test)
    (top / "meson.build").write_text(MESON)
    (top / "tests" / "e2e").mkdir()
    (top / "tests" / "e2e" / "test_small.py").write_text(PYTHON.format(flag=str(scratch / "e2e"), panic=str(scratch / "panic")))
    return top


def campaign(top, word, name, first, second):
    """A program that says WORD and ends with FIRST, and with SECOND when it is given the seed that it printed."""
    script(top / name, f"case \"$*\" in *'--seed 77') echo again >>{top}/again; exit {second};; esac\necho 'seed 77, directory x'\n"
                       f"echo '{word}: not within 5 s'\nexit {first}\n")


def run(top, *stages):
    """(exit status, output, its last lines from the lists of names on)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"E2E_WORKERS": "2"}
    done = subprocess.run([top / "scripts" / "test", *stages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                          env=environment)
    end = re.split(r"^(?=failed:|unstable )", done.stdout, maxsplit=1, flags=re.M)[-1].splitlines()
    return done.returncode, done.stdout, end


def test_what_fails_is_run_once_more(tree):
    campaign(tree, "crash", "scripts/crash", harness.LATE, 0)
    campaign(tree, "model", "tests/model/run.py", harness.LATE, harness.LATE)
    code, output, end = run(tree)
    assert code == 1 and "check: 5 passed, 0 failed" in output and "\nunstable (" in output, output
    split = end.index(next(line for line in end if line.startswith("unstable ")))
    failed, unstable = "\n".join(end[1:split]), "\n".join(end[split + 1:-1])
    for name, reason in ("base/broken", "two"), ("base/sanitized", "exit 1"), ("test_small.py::test_broken", "never well"), ("test_small.py::test_panics", "panic"), \
            ("model", "seed 77"):
        assert re.search(rf"{re.escape(name)}: .*{reason}", failed), (name, output)
        assert name not in unstable, output
    for name, reason in ("base/shaky", "one"), ("test_small.py::test_shaky", "too slow"), ("crash", "not within 5 s"):
        assert re.search(rf"{re.escape(name)}: .*{reason}", unstable), (name, output)
        assert name not in failed, output
    # 5 checks; of meson steady 2, more 2, broken 1, shaky 1, and 3 times 2 in both builds; steady, shaky and two more of pytest; crash.
    assert end[-1] == "28 passed, 5 failed", output
    assert (tree / "again").read_text() == "again\nagain\n"


def test_a_run_without_a_failure_has_no_lists(tree):
    for name in ("shaky", "e2e"):
        (tree.parent / name).touch()
    script(tree / "broken.sh", "echo 'ok 1 - one'\necho 1..1\n")
    script(tree / "sanitized.sh", "echo 'ok 1 - one'\necho 1..1\n")
    code, output, end = run(tree, "unit")
    assert code == 0 and "unstable" not in output and "once more" not in output, output
    assert end[-1] == "13 passed, 0 failed", output


def test_what_is_lost_stands(tree):
    campaign(tree, "crash", "scripts/crash", 1, 0)
    code, output, end = run(tree, "crash")
    assert code == 1 and end == ["failed:", "  crash: not within 5 s (seed 77)", "0 passed, 1 failed"], output
    assert not (tree / "again").exists()


def test_a_port_is_one_test_process_s():
    code = f"import sys; sys.path.insert(0, {str(harness.ROOT / 'tests' / 'e2e')!r}); import harness; harness.Lease([int(sys.argv[1])])"

    def other(n):
        return subprocess.run(["/usr/bin/python3", "-c", code, str(n)], stderr=subprocess.PIPE, text=True, check=False)

    port, lease = harness.lease(range(22000, 32000), lambda n: [n])
    assert "Address already in use" in other(port).stderr
    lease.end()
    assert other(port).returncode == 0
    port = harness.free_port()
    assert other(port).returncode == 1
    assert harness.port_is_free(port), "it is kept for a server of this process, not taken"
