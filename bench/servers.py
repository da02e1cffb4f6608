"""What scripts/bench measures: valise, and Debian's Postfix with Dovecot, each with private directories and high loopback ports."""

import contextlib
import crypt
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))
import harness  # noqa: E402

CGROUP = Path("/sys/fs/cgroup/cpuacct")


class Group:
    """CPU time and processes of one server.

    With cpuacct control groups the kernel adds up every process that ever ran in the group, also the short-lived ones (a Postfix
    smtpd, a Dovecot imap) that are gone when we look. Without, the times of the living processes of the tree are added with the times
    of the children that each has reaped (utime + stime + cutime + cstime): a child that was never reaped, or was reaped by init, is
    missed. `how` says which was used."""

    def __init__(self, name):
        self.roots = []
        self.path = CGROUP / f"valise-bench-{os.getpid()}-{name}"
        try:
            self.path.mkdir()
            (self.path / "cpuacct.usage").read_text()
            self.how = "cpuacct"
        except OSError:
            self.path = None
            self.how = "proc"

    def spawn(self, argv, **kwargs):
        """Starts a process inside the group."""
        def enter():
            os.setsid()
            if self.path:
                (self.path / "cgroup.procs").write_text(str(os.getpid()))
        process = subprocess.Popen(argv, preexec_fn=enter, **kwargs)
        self.roots.append(process.pid)
        return process

    def pids(self):
        if self.path:
            return [int(p) for p in (self.path / "cgroup.procs").read_text().split()]
        return [p for root in self.roots for p in [root, *harness.descendants(root)]]

    def cpu_seconds(self):
        if self.path:
            return int((self.path / "cpuacct.usage").read_text()) / 1e9
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(f) for f in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def pss_bytes(self):
        """Proportional set size of all processes: a page shared by n processes counts 1/n for each."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def syncs(self):
        """Counts the calls that wait for the disk, in all processes and those they start, until the returned function is called. By
        perf, which does not slow the calls down: strace would change how many commits share one."""
        names = ("fsync", "fdatasync", "sync_file_range", "syncfs", "sync", "msync")
        counter = subprocess.Popen(["perf", "stat", "-x", ",", "-e", ",".join(f"syscalls:sys_enter_{n}" for n in names),
                                    "-p", ",".join(map(str, self.pids()))],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(1)               # until it is attached to all of them

        def end():
            counter.send_signal(signal.SIGINT)
            return sum(int(line.split(",")[0]) for line in counter.communicate(timeout=20)[1].splitlines() if "sys_enter" in line)
        return end

    def close(self):
        for _ in range(100 if self.path else 0):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class Server:
    """The ports and account pattern that the generators need."""
    name = ""
    host = "127.0.0.1"
    smtp = imap = imaps = 0          # ports: SMTP with STARTTLS, IMAP without TLS, IMAP with implicit TLS
    user = f"user%d@{harness.DOMAIN}"
    password = "un-secret-de-banc"
    greeted_after = 0.0              # seconds from the start to the greetings of SMTP and IMAP

    def forget(self):
        """Lets go of the memory that earlier sessions had: theirs were processes of their own, and have ended."""

    def forget_logins(self):
        """Nothing is remembered of logins after this."""

    def await_greetings(self, begin):
        for port in (self.smtp, self.imap):
            while True:
                try:
                    with socket.create_connection((self.host, port), 5) as s:
                        if s.recv(64):
                            break
                except OSError:
                    time.sleep(0.002)
                if time.monotonic() - begin > 30:
                    raise TimeoutError(f"{self.name}: no greeting on port {port} within 30 s")
        self.greeted_after = time.monotonic() - begin


# A lab offers no login without TLS; the rows "plain" of the bench need one.
PLAIN_PORT = 144
PLAIN_LISTENER = f"""
listener bench {{
  protocol = "imap"
  port = {PLAIN_PORT}
  tls = "off"
  addresses = {{"127.0.0.1"}}
}}
"""


class Valise(Server):
    name = "valise"

    def __init__(self, directory, users, program=None):
        self.lab = harness.Valise(Path(directory) / self.name, program).init()
        with open(self.lab.dir / "valise.conf", "a") as conf:
            conf.write(PLAIN_LISTENER)
        for n in range(1, users + 1):
            self.lab.add_user(self.user.replace("%d", str(n)), self.password)
        self.group = Group(self.name)

    def start(self):
        lab = self.lab
        lab.offset = lab.offset or harness.free_offset()
        log = open(lab.log_path, "ab")
        begin = time.monotonic()
        lab.process = self.group.spawn([lab.program, "serve", "--dir", str(lab.dir), "--port-offset", str(lab.offset)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        lab.ports = {name: port + lab.offset for name, port in harness.PORTS.items()}
        self.smtp, self.imap, self.imaps = lab.ports["smtp"], PLAIN_PORT + lab.offset, lab.ports["imaps"]
        self.await_greetings(begin)
        lab.wait(30)

    def forget(self):
        self.lab.stop()
        self.start()

    def add_users(self, first, n):
        table = self.lab.dir.with_name("users.csv")
        names = (self.user.replace("%d", str(i)) for i in range(first, first + n))
        table.write_text("address,password\n" + "".join(f"{name},{self.password}\n" for name in names))
        self.lab.run("user", "add", "--from", str(table), "--dir", str(self.lab.dir), timeout=1800)

    def forget_logins(self):
        """As a reboot does: nothing that was remembered of logins is there any more."""
        conf = self.lab.dir / "valise.conf"
        text = conf.read_text()
        conf.write_text(text + "\nlogin-memory = 0\n")
        self.forget()
        conf.write_text(text)
        self.forget()

    def stop(self):
        self.lab.stop()
        self.group.close()


POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/log/postfix.log
maillog_file_prefixes = {dir}/log
myhostname = mailhost.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{dir}/postfix/users
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_security_level = may
"""

# Debian's master.cf without the parts that this server does not use; the chroot is off, as its files are elsewhere.
POSTFIX_MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
pickup    unix n - n 60    1 pickup
cleanup   unix n - n -     0 cleanup
qmgr      unix n - n 300   1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n -     - trivial-rewrite
bounce    unix - - n -     0 bounce
defer     unix - - n -     0 bounce
trace     unix - - n -     0 bounce
verify    unix - - n -     1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -     - proxymap
proxywrite unix - - n -    1 proxymap
smtp      unix - - n -     - smtp
error     unix - - n -     - error
retry     unix - - n -     - error
discard   unix - - n -     - discard
lmtp      unix - - n -     - lmtp
anvil     unix - - n -     1 anvil
scache    unix - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

# As shipped but for ports, places, and the limits that thousands of sessions need. The login processes run in Dovecot's
# "high-performance mode": its default keeps one more process for each TLS session, which would make the comparison easy.
DOVECOT = """\
base_dir = {dir}/run
log_path = {dir}/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
mail_location = sdbox:~/sdbox
mail_fsync = optimized
mail_max_userip_connections = 10000
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%u
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 10000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
namespace inbox {{
  inbox = yes
}}
"""


class Rival(Server):
    """Postfix hands over to Dovecot by LMTP; mail is kept in sdbox. Needs root: both change users."""
    name = "Postfix + Dovecot"

    def __init__(self, directory, users):
        if os.getuid() != 0:
            raise PermissionError("Postfix and Dovecot start as root only")
        for program in ("/usr/sbin/postfix", "/usr/sbin/dovecot"):
            if not os.path.exists(program):
                raise FileNotFoundError(f"{program} is missing: scripts/deps bench")
        self.dir = Path(directory) / "rival"
        self.smtp, self.imap, self.imaps, self.lmtp = (harness.free_port() for _ in range(4))
        self._directories()
        self._certificate()
        nobody = pwd.getpwnam("nobody")
        words = {"dir": self.dir, "domain": harness.DOMAIN, "smtp": self.smtp, "imap": self.imap, "imaps": self.imaps,
                 "lmtp": self.lmtp, "uid": nobody.pw_uid, "gid": nobody.pw_gid}
        (self.dir / "postfix" / "main.cf").write_text(POSTFIX_MAIN.format(**words))
        (self.dir / "postfix" / "master.cf").write_text(POSTFIX_MASTER.format(**words))
        (self.dir / "dovecot.conf").write_text(DOVECOT.format(**words))
        names = [self.user.replace("%d", str(n)) for n in range(1, users + 1)]
        self.add_users(1, users)
        (self.dir / "postfix" / "users").write_text("".join(f"{n} ok\n" for n in names))
        self.processes = []
        self.group = Group("rival")

    def add_users(self, first, n):
        hashed = crypt.crypt(self.password, crypt.mksalt(crypt.METHOD_SHA512))
        with open(self.dir / "users", "a") as users:
            users.writelines(f"{self.user.replace('%d', str(i))}:{{SHA512-CRYPT}}{hashed}\n" for i in range(first, first + n))

    def _directories(self):
        for name in ("postfix", "spool", "data", "log", "run", "mail"):
            (self.dir / name).mkdir(parents=True)
        shutil.chown(self.dir / "data", "postfix", "postfix")
        shutil.chown(self.dir / "mail", "nobody", "nogroup")
        spool = self.dir / "spool"
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"):
            (spool / name).mkdir(mode=0o700)
            shutil.chown(spool / name, "postfix", "root")
        (spool / "pid").mkdir(mode=0o755)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (spool / name).mkdir()
            os.chown(spool / name, pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid)
            os.chmod(spool / name, mode)

    def _certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", f"/CN=mailhost.{harness.DOMAIN}", "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        harness.raise_descriptor_limit()
        output = open(self.dir / "log" / "start.log", "ab")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        begin = time.monotonic()
        self.processes = [
            self.group.spawn(["/usr/sbin/dovecot", "-F", "-c", str(self.dir / "dovecot.conf")], **quiet),
            self.group.spawn(["/usr/lib/postfix/sbin/master", "-c", str(self.dir / "postfix"), "-d"], **quiet),
        ]
        output.close()
        self.await_greetings(begin)
        for port in (self.smtp, self.imap, self.imaps, self.lmtp):
            harness.wait_until(lambda p=port: not harness.port_is_free(p), 20, f"a listener on port {port}; see {self.dir}/log")

    def stop(self):
        pids = self.group.pids()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Postfix's services end by themselves when the master is gone, but only when they next look.
        for pid in pids:
            if harness.alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 15)
        self.group.close()
