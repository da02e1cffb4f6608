"""A valise in a directory of its own: made, started, asked, killed and looked at. Used by the tests, scripts/bench and scripts/crash."""

import atexit
import functools
import os
import random
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORTS = {"smtp": 25, "smtps": 465, "submission": 587, "imap": 143, "imaps": 993}
DOMAIN = "mondomaine.fr"
HOSTNAME = "mailhost.mondomaine.fr"
SEES_DESCRIPTORS = os.geteuid() == 0
LATE = 75   # exit status of scripts/crash and tests/model/run.py: something did not come in time, which may be the machine's fault


def binary():
    """The program under test: $VALISE, or what meson built."""
    if "VALISE" in os.environ:
        return os.environ["VALISE"]
    candidates = [ROOT / "build" / "src" / "valise", ROOT / "build" / "valise"]
    for path in candidates:
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"no valise: set VALISE, or build it ({candidates[0]})")


@functools.cache
def binary_for_others():
    """The same where every user can run it: a copy of it when it lies below a directory that not everybody may enter, as in root's home."""
    path = Path(binary()).resolve()
    if all(above.stat().st_mode & 0o001 for above in (path, *path.parents)):
        return str(path)
    folder = Path(tempfile.mkdtemp(prefix="valise-program-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    shutil.copy2(path, folder / path.name)
    (folder / path.name).chmod(0o755)
    return str(folder / path.name)


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Lease:
    """Ports that no other test process of this machine is given while this object lives: between "it is free" and the server's bind lie seconds. What
    holds them are abstract sockets named by the port: the kernel knows who has one, in each network namespace apart, and forgets it with the process."""

    def __init__(self, ports):
        self.held = []
        try:
            for port in ports:
                self.held.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                self.held[-1].bind(f"\0valise-test-port-{port}")
                if not port_is_free(port):
                    raise OSError(f"port {port} is in use")
        except OSError:
            self.end()
            raise

    def end(self):
        for s in self.held:
            s.close()
        self.held = []

    __del__ = end


leases = []     # of ports that a test asked for by number: they stay its process's until that ends


def lease(numbers, ports_of):
    """(n, Lease): one of NUMBERS by chance, whose ports `ports_of(n)` are free."""
    raise_descriptor_limit()
    while True:
        n = random.SystemRandom().choice(numbers)
        try:
            return n, Lease(ports_of(n))
        except OSError:
            pass


# Below the ephemeral range, so that no outgoing connection takes a port before its server does; and above all ports with an offset, so that each can
# be written as a port below that offset.
def free_port():
    port, held = lease(range(22000, 32000), lambda n: [n])
    leases.append(held)
    return port


def lease_offset():
    """(offset, Lease): an offset that leaves all default ports free, LMTP's too."""
    return lease(range(11000, 21000), lambda n: [n + p for p in (24, *PORTS.values())])


def free_offset():
    offset, held = lease_offset()
    leases.append(held)
    return offset


def make_directory(prefix="valise-e2e-"):
    """A new temporary directory that the user of the roles can enter too, when root runs the tests."""
    path = tempfile.mkdtemp(prefix=prefix)
    os.chmod(path, 0o755)
    return Path(path)


def raise_descriptor_limit(wanted=20000):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(soft, limit)


# --- processes ---

def children(pid):
    """Direct children of PID: what `pgrep -P` prints."""
    out = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True, check=False).stdout
    return [int(p) for p in out.split()]


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        for child in children(todo.pop()):
            found.append(child)
            todo.append(child)
    return found


def alive(pid):
    """PID runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors(pid):
    """How many descriptors PID has open. Roles are not dumpable, so that only root may look: 0 for anybody else (`SEES_DESCRIPTORS`)."""
    return len(os.listdir(f"/proc/{pid}/fd")) if SEES_DESCRIPTORS else 0


def threads(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Threads:"):
            return int(line.split()[1])
    raise ValueError(f"no thread count of {pid}")


def wait_until(condition, seconds, what):
    """The first true value of CONDITION(), tried until SECONDS have passed; TimeoutError then."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


# --- the server ---

class Valise:
    """One lab. `ports` maps smtp, smtps, submission, imap and imaps to numbers; `accounts` maps addresses to passwords."""

    def __init__(self, directory, program=None, wrap=()):
        self.dir = Path(directory)
        self.program = program or binary()
        self.wrap = list(wrap)          # words before the program when it serves
        self.offset = None
        self.lease = None               # of its ports, while this object lives
        self.ports = {}
        self.accounts = {}
        self.process = None
        self.log_path = self.dir.with_name(self.dir.name + ".log")

    def run(self, *args, input=None, check=True, timeout=60):
        """`valise ARGS`, with its output as text."""
        done = subprocess.run([self.program, *args], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"valise {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def init(self):
        self.run("init", "--dir", str(self.dir), "--domain", DOMAIN, "--hostname", HOSTNAME, "--lab")
        conf = self.dir / "valise.conf"   # tests count letters: those of the server itself are for who asks for them (test_notes.py)
        conf.write_text(conf.read_text().replace("quota-warnings = true", "quota-warnings = false"))
        for line in (self.dir / "lab-accounts.txt").read_text().splitlines():
            address, _, password = line.partition(" ")
            if "@" in address:
                self.accounts[address] = password.strip()
        return self

    def init_like(self, made):
        """As `init`, by copying the lab MADE, which was never started: keys, certificate and passwords are the same, and it costs a tenth of the time."""
        subprocess.run(["cp", "-a", str(made.dir), str(self.dir)], check=True)
        self.accounts = dict(made.accounts)
        return self

    def adopt(self):
        """Files that a test put there get the owners and modes that a server of root's wants."""
        if os.geteuid() == 0:
            self.run("upgrade", "--owners", "--dir", str(self.dir))

    def start(self, wait=30, stderr=None):
        if not self.offset:
            self.offset, self.lease = lease_offset()
        self.ports = {name: port + self.offset for name, port in PORTS.items()}
        raise_descriptor_limit()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.wrap, self.program, "serve", "--dir", str(self.dir), "--port-offset",
                                             str(self.offset)], stdin=subprocess.DEVNULL, stdout=log, stderr=log if stderr is None else stderr)
        if wait:
            self.wait(wait)
        return self

    def wait(self, seconds=30):
        done = self.run("status", "--dir", str(self.dir), "--wait", str(seconds), check=False, timeout=seconds + 30)
        if done.returncode != 0:
            ended = self.process is None or self.process.poll() is not None
            raise (AssertionError if ended else TimeoutError)(f"valise did not come up (status exits {done.returncode})\n{done.stdout}{done.stderr}\n"
                                                              f"{self.log()[-4000:]}")

    def stop(self, timeout=30):
        """SIGTERM; the exit code. Kills the whole tree and returns None when it does not end in time."""
        if self.process is None:
            return 0
        tree = descendants(self.process.pid)
        self.process.terminate()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        self.process = None
        wait_until(lambda: not any(alive(p) for p in tree), 10, "the roles end with their supervisor")
        return code

    def kill(self):
        """kill -9 of the supervisor and every role at once, as when the power fails (the page cache survives)."""
        tree = [self.process.pid, *descendants(self.process.pid)]
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(30)
        wait_until(lambda: not any(alive(p) for p in tree), 10, "killed processes end")
        self.process = None

    def strike(self, rng):
        """Kills -9 a role, or all of them with the supervisor. (which, a function that waits until the server is back)"""
        roles = self.roles()
        if rng.random() < 0.4 or not roles:
            self.kill()
            return "all", self.start
        pid = rng.choice(roles)
        name = self.role_command(pid)
        os.kill(pid, signal.SIGKILL)

        def back():
            wait_until(lambda: not alive(pid), 10, f"{name} ends")
            wait_until(lambda: len(self.roles()) >= len(roles), 40, f"{name} is started again")
            self.wait(40)
        return name, back

    def roles(self):
        """The supervisor's children by process id."""
        return children(self.process.pid)

    def role_command(self, pid):
        """What tells one role from another: its name and command line."""
        comm = Path(f"/proc/{pid}/comm").read_text().strip()
        return comm + " " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()

    def add_user(self, address, password=None):
        password = password or secrets.token_urlsafe(12)
        self.run("user", "add", address, "--password-stdin", "--dir", str(self.dir), input=password + "\n")
        self.accounts[address] = password
        return password

    def check(self, timeout=120):
        """`valise check`: the completed process; exit code 0 means clean."""
        return self.run("check", "--dir", str(self.dir), check=False, timeout=timeout)

    def log(self):
        """The log. What a role wrote before it answered may be on its way through the supervisor: it is waited for until nothing more comes."""
        text, before = None, -1
        while self.log_path.exists() and self.log_path.stat().st_size != before:
            before = self.log_path.stat().st_size
            time.sleep(0.05)
            text = self.log_path.read_text(errors="replace")
        return text or ""

    def ca(self):
        return str(self.dir / "ca.pem")
