"""The ugly messages as they are kept, the two servers that are asked about them, and where differences are explained."""

import contextlib
import shutil
from pathlib import Path

import compare
import dovecot
import harness
import messages as generator
import wire

FOLDER = Path(__file__).resolve().parents[1] / "data" / "ugly"
EXPLANATIONS = FOLDER / "differences.txt"
# Debian's libpython3.11-testsuite: the test messages of Python's email package (PSF licence). Used from there, not copied.
PYTHON_FOLDER = Path("/usr/lib/python3.11/test/test_email/data")


def generated():
    return generator.all_messages()


def messages():
    """{name: bytes}: the committed ones, and Python's where they are installed, with CRLF."""
    found = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))}
    for path in sorted(PYTHON_FOLDER.glob("*.txt")):
        found[f"python-{path.stem}"] = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return found


@contextlib.contextmanager
def sides():
    """Valise and Dovecot, both running, as compare.Side."""
    directory = harness.make_directory("valise-ugly-")
    lab = harness.Valise(directory / "lab").init()
    address = f"ugly@{harness.DOMAIN}"
    password = lab.add_user(address)
    rival = dovecot.Dovecot(directory / "dovecot")
    try:
        lab.start()
        rival.start()
        with contextlib.ExitStack() as stack:
            ours = wire.Connection(lab.ports["imaps"], address, password, ca=lab.ca())
            stack.callback(ours.close)
            theirs = wire.Connection(rival.port, dovecot.USER, dovecot.PASSWORD)
            stack.callback(theirs.close)
            yield compare.Side(ours, "Ugly"), compare.Side(theirs, "Ugly")
    finally:
        rival.stop()
        if lab.process:
            lab.stop()
        shutil.rmtree(directory, ignore_errors=True)


def differences(wanted):
    with sides() as (ours, theirs):
        return compare.compare(ours, theirs, wanted)
