#!/usr/bin/python3
"""powercut/run.py ROUNDS: SMTP and IMAP load, the power fails at a random moment, the server starts on what the disk has kept, and a look at what is there.

Root only: it mounts. See README.md; what is looked for is in tests/e2e/ledger.py."""

import argparse
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
from helpers import Account  # noqa: E402
from ledger import Knowledge, Loss, imap_reader, make_mailboxes, verify, writers  # noqa: E402

MEGABYTES = 500


def run(*argv):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


class Disk:
    """A disk that forgets (disk.c), a loop device on it, ext4 on that, mounted at `mount`."""

    def __init__(self, directory, number, image=None):
        self.file, self.mount = directory / f"disk{number}", directory / "mnt"
        self.process = self.loop = None
        self.mounted = False
        self.file.touch()
        self.mount.mkdir(exist_ok=True)
        source = image or directory / "new"
        if not image:
            with open(source, "wb") as f:
                f.truncate(MEGABYTES << 20)
        program = os.environ.get("POWERCUT_DISK") or harness.ROOT / "build" / "tests" / "disk"
        self.process = subprocess.Popen([program, self.file, source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if self.process.stdout.readline() != "ready\n":
                raise AssertionError("the disk does not start")
            self.loop = run("losetup", "--find", "--show", self.file)
            if not image:
                run("mkfs.ext4", "-q", "-E", "nodiscard", self.loop)
            run("mount", "-t", "ext4", self.loop, self.mount)
            self.mounted = True
            os.chmod(self.mount, 0o755)
        except BaseException:
            self.close()
            raise

    def cut(self, seed, image):
        """Leaves in file IMAGE what a power cut would leave now; says what was lost."""
        self.process.stdin.write(f"cut {seed} {image}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        if self.mounted:
            harness.wait_until(lambda: subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL, check=False).returncode == 0, 20, "umount")
        if self.loop:
            run("losetup", "--detach", self.loop)
        subprocess.run(["umount", "--lazy", self.file], stderr=subprocess.DEVNULL, check=False)
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.file.unlink()


class Bench:
    """The directory of a run: the disk that is in now, and the server on it."""

    def __init__(self, directory, rng):
        self.directory, self.rng = directory, rng
        self.disk = Disk(directory, 0)
        self.lab = harness.Valise(self.disk.mount / "lab")
        self.lab.log_path = directory / "lab.log"       # not on the disk: it outlives it
        self.image = directory / "image"

    def one_round(self, known, accounts, number):
        stop = threading.Event()
        load = writers(self.lab, known, accounts, self.rng, stop)
        load += [threading.Thread(target=imap_reader, args=(self.lab, known, account, stop)) for account in accounts]
        for t in load:
            t.start()
        time.sleep(self.rng.uniform(0.3, 2.0))
        known.power(False)
        lost = self.disk.cut(self.rng.randrange(1, 1 << 62), self.image)
        stop.set()
        self.lab.kill()
        for t in load:
            t.join(60)
        if any(t.is_alive() for t in load):
            raise Loss("a client neither ended nor went on after the cut")
        self.disk.close()
        self.disk = Disk(self.directory, number, self.image)
        known.power(True)
        self.lab.start()
        verify(self.lab, known, accounts, self.rng)
        return lost

    def close(self):
        if self.lab.process:
            self.lab.kill()
        if self.disk:
            self.disk.close()


def rounds(bench, count):
    lab = bench.lab.init()
    lab.start()
    accounts = [Account(address, password) for address, password in lab.accounts.items()]
    known = Knowledge()
    make_mailboxes(lab, accounts)
    for n in range(1, count + 1):
        lost = bench.one_round(known, accounts, n)
        print(f"round {n}: {lost}; {known.messages} messages, {known.changes} changes acknowledged so far", flush=True)
    code = lab.stop()
    if code != 0:
        raise Loss(f"SIGTERM ended valise with {code}")
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=24)
    parser.add_argument("--seed", type=int, help="repeats the choices of an earlier run (not the scheduler's)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("powercut: skipped: it mounts a disk of its own, which wants root and /dev/fuse")
        return 0
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    directory = harness.make_directory("valise-powercut-")
    print(f"seed {seed}, directory {directory}", flush=True)
    bench = known = None
    try:
        bench = Bench(directory, random.Random(seed))
        known = rounds(bench, options.rounds)
    except (Loss, AssertionError, TimeoutError) as e:
        print(f"powercut: {e}", file=sys.stderr)
    finally:
        if bench:
            bench.close()
    if not known:
        print(f"powercut: FAILED (seed {seed}); {directory} is kept: image is what the last cut left, lab.log the server's log")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    print(f"powercut: {options.rounds} cuts, {known.messages} messages and {known.changes} changes acknowledged, none lost (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
