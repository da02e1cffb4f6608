"""One lab for all tests; a new user for each that asks for one; a lab of its own for each that breaks things."""

import itertools
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import harness  # noqa: E402
from helpers import Account  # noqa: E402

numbers = itertools.count(1)
TROUBLE = re.compile(r"level=error|panic|AddressSanitizer|runtime error|assert")


# What takes longest is begun first: beside it the rest goes on, and none of it is left alone in the end.
LONG = ("test_lives", "test_offlineimap", "test_tls_scans", "test_roles_wiring", "test_lockout", "test_mbsync", "test_proxies", "test_scram", "test_owners",
        "test_reload_certificates", "test_certificates", "test_external", "test_legacy", "test_false_core", "test_backup_sealed")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


def trouble(server):
    """Log lines that no test of a healthy server may leave."""
    return [line for line in server.log().splitlines() if TROUBLE.search(line)]


@pytest.fixture(scope="session")
def server():
    directory = harness.make_directory()
    lab = harness.Valise(directory / "lab").init().start()
    yield lab
    check = lab.check()
    code = lab.stop()
    problems = trouble(lab)
    shutil.rmtree(directory, ignore_errors=True)
    assert check.returncode == 0, check.stdout + check.stderr
    assert code == 0, f"SIGTERM ended valise with {code}"
    assert not problems, "\n".join(problems)


def new_account(lab):
    address = f"u{next(numbers)}@{harness.DOMAIN}"
    return Account(address, lab.add_user(address))


@pytest.fixture
def account(server):
    """A new user with empty mailboxes."""
    return new_account(server)


@pytest.fixture
def other(server):
    """A second new user."""
    return new_account(server)


@pytest.fixture(scope="session")
def made():
    """A lab as `init` leaves it, to be copied."""
    directory = harness.make_directory()
    yield harness.Valise(directory / "lab").init()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lab(made):
    """A lab of this test's own, made but not started. It is killed in the end if it still runs."""
    directory = harness.make_directory()
    own = harness.Valise(directory / "lab").init_like(made)
    yield own
    if own.process:
        own.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def alice(lab):
    address = f"alice@{harness.DOMAIN}"
    return Account(address, lab.accounts[address])


@pytest.fixture
def bob(lab):
    address = f"bob@{harness.DOMAIN}"
    return Account(address, lab.accounts[address])


@pytest.fixture
def scratch():
    """A directory for a client's files."""
    directory = harness.make_directory("valise-client-")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
