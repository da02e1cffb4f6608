"""A Dovecot of one's own, from Debian: a directory, a port, one user. Needs no root: it runs as whoever starts it."""

import getpass
import grp
import os
import pwd
import subprocess
from pathlib import Path

import harness

PROGRAM = "/usr/sbin/dovecot"
USER, PASSWORD = "ugly", "un-secret-de-banc"

# chroots are off and everybody is the one who starts it, but for root, where Dovecot insists on users of its own for strangers.
CONFIGURATION = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = sdbox:~/sdbox
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap {{
  client_limit = 1
}}
namespace inbox {{
  inbox = yes
}}
"""


class Dovecot:
    def __init__(self, directory):
        self.dir = Path(directory)
        self.port = harness.free_port()
        self.process = None
        root = os.getuid() == 0
        who = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
        for name in ("run", "state", "mail"):
            (self.dir / name).mkdir(parents=True)
        os.chown(self.dir / "mail", who.pw_uid, who.pw_gid)
        me = getpass.getuser()
        words = {"dir": self.dir, "port": self.port, "uid": who.pw_uid, "gid": who.pw_gid, "internal": "dovecot" if root else me,
                 "internal_group": "dovecot" if root else grp.getgrgid(who.pw_gid).gr_name, "login": "dovenull" if root else me}
        (self.dir / "dovecot.conf").write_text(CONFIGURATION.format(**words))
        (self.dir / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "-F", "-c", str(self.dir / "dovecot.conf")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        harness.wait_until(lambda: not harness.port_is_free(self.port), 20, f"Dovecot listens; see {self.dir}/dovecot.log")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None
