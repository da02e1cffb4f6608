"""A Postfix of one's own, with directories and ports of its own: whatever it takes in for our domain it hands over by LMTP. Starts as root only, as Postfix
changes users."""

import contextlib
import grp
import os
import pwd
import shutil
import subprocess

import harness

DAEMONS = "/usr/lib/postfix/sbin"

MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/log/postfix.log
maillog_file_prefixes = {dir}/log
myhostname = relais.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
import_environment = MAIL_CONFIG={dir}/etc
virtual_mailbox_domains = {domain}
virtual_mailbox_maps =
virtual_transport = lmtp:{target}
local_recipient_maps =
smtputf8_enable = yes
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
lmtp_connection_cache_destinations = static:all
lmtp_destination_concurrency_limit = 1
{more}
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """TARGET is what its LMTP client connects to: inet:HOST:PORT or unix:PATH."""

    def __init__(self, directory, target, more=""):
        self.dir, self.port = directory, harness.free_port()
        words = {"dir": directory, "daemons": DAEMONS, "domain": harness.DOMAIN, "target": target, "more": more, "port": self.port}
        owner, drop = pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid
        for name in ("etc", "spool", "data", "log"):
            (directory / name).mkdir(parents=True)
        shutil.chown(directory / "data", "postfix", "postfix")
        spool = directory / "spool"
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"):
            (spool / name).mkdir(mode=0o700)
            os.chown(spool / name, owner, 0)
        (spool / "pid").mkdir(mode=0o755)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (spool / name).mkdir()
            os.chown(spool / name, owner, drop)
            os.chmod(spool / name, mode)
        (directory / "etc" / "main.cf").write_text(MAIN.format(**words))
        (directory / "etc" / "master.cf").write_text(MASTER.format(**words))
        self.master = None

    def start(self):
        with open(self.dir / "log" / "start.log", "ab") as output:
            self.master = subprocess.Popen([f"{DAEMONS}/master", "-c", str(self.dir / "etc"), "-d"], stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=output, start_new_session=True)
        harness.wait_until(lambda: not harness.port_is_free(self.port), 20, f"Postfix on port {self.port}; see {self.dir}/log")
        return self

    def stop(self):
        pids = harness.descendants(self.master.pid)
        self.master.terminate()
        self.master.wait(20)
        for pid in pids:    # its services end by themselves, but only when they next look
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 15)

    def queue(self):
        """What waits, as `postqueue -p` shows it."""
        return subprocess.run(["/usr/sbin/postqueue", "-c", str(self.dir / "etc"), "-p"], capture_output=True, text=True, timeout=30, check=False).stdout

    def flush(self):
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.dir / "etc"), "-f"], capture_output=True, timeout=30, check=False)

    def log(self):
        path = self.dir / "log" / "postfix.log"
        return path.read_text() if path.exists() else ""
