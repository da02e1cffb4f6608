"""valise status says first whether all is well, and what is not."""

import json
import os
import re
import signal

from harness import DOMAIN, wait_until
from test_reload_certificates import new_certificate, reload, replace


def status(lab):
    return lab.run("status", "--dir", str(lab.dir)).stdout


def concerns(lab):
    return json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)["concerns"]


def test_what_wants_attention_comes_first(lab):
    lab.start()
    assert re.match(r"valise \S+ on \S+, up 0 d 0 h 0 min: needs attention\n  ! nobody is an administrator: ", status(lab)), status(lab)
    assert "note: nobody is an administrator" in lab.run("check", "--dir", str(lab.dir)).stdout
    lab.run("user", "role", f"alice@{DOMAIN}", "admin", "--dir", str(lab.dir))
    assert "administrator" not in lab.run("check", "--dir", str(lab.dir)).stdout
    assert re.match(r"valise \S+ on \S+, up 0 d 0 h 0 min: all is well\n", status(lab)), status(lab)
    assert concerns(lab) == []
    core = next(pid for pid in lab.roles() if "core" in lab.role_command(pid))
    os.kill(core, signal.SIGKILL)
    lab.wait()
    assert "needs attention\n  ! core had to be started again 0 minutes ago" in status(lab)
    replace(lab, new_certificate(lab, "soon", days=5))
    reload(lab)
    wait_until(lambda: any("tls/server.pem ends in" in line for line in concerns(lab)), 10, "the certificate is told of")
    replace(lab, new_certificate(lab, "old", days=0))
    reload(lab)
    wait_until(lambda: any("tls/server.pem has expired" in line for line in concerns(lab)), 10, "the certificate is told of")
    assert lab.stop() == 0
