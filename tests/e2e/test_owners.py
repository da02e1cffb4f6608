"""Whose the files of a mail system are when root starts it, as whom its roles run, and what root refuses to obey. Plays the attacker who is user `valise`."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

import harness
from helpers import deliver, letter, wait_for_mail

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="owners are root's to set")
CONFIG, NOPERM, NOUSER = 78, 77, 66


def ids(name):
    user = pwd.getpwnam(name)
    return user.pw_uid, user.pw_gid


def seen(path):
    st = path.lstat()
    return st.st_uid, st.st_gid, st.st_mode & 0o7777


def as_valise(lab, *args):
    uid, gid = ids("valise")
    return subprocess.run([harness.binary_for_others(), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, user=uid, group=gid,
                          extra_groups=[])


def serve(lab, status=None):
    """What it says when it does not start, with exit STATUS if that is given."""
    done = subprocess.run([lab.program, "serve", "--dir", str(lab.dir), "--port-offset", str(harness.free_offset())], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    assert done.returncode in ((status,) if status else (CONFIG, NOPERM)), f"{done.returncode} {done.stderr}"
    return done.stderr


def test_init_gives_each_what_it_needs(lab):
    (core, cores), (_, keepers) = ids("valise"), ids("valise-keeper")
    assert seen(lab.dir) == (0, cores, 0o750)
    for name, expected in {"valise.conf": (0, cores, 0o640), "ca.pem": (0, cores, 0o644), "keys": (0, keepers, 0o750),
                           "keys/ca.key": (0, keepers, 0o640), "keys/server.key": (0, keepers, 0o640), "store": (core, cores, 0o700),
                           "spool": (core, cores, 0o700), "tls": (core, cores, 0o755), "tls/server.pem": (core, cores, 0o644),
                           "lab-accounts.txt": (0, 0, 0o600), "serve.lock": (0, cores, 0o660)}.items():
        assert seen(lab.dir / name) == expected, name
    assert {p.lstat().st_uid for p in (lab.dir / "store").rglob("*")} == {core}
    lab.run("check", "--dir", str(lab.dir))


def test_each_kind_of_role_has_a_user_and_a_place_of_its_own(lab, alice):
    lab.start()
    assert seen(lab.dir / "control.sock") == (0, 0, 0o600)
    users = {"keeper": "valise-keeper", "mx": "valise-mx", "core": "valise"}

    def look():
        for pid in lab.roles():
            name = lab.role_command(pid).split()[-1]
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"^Uid:\s+(\d+)\s+\1\s+\1\s+\1$", status, re.M)[1] == str(ids(users[name])[0]), name
            assert re.search(r"^Groups:\s*$", status, re.M) and re.search(r"^CapEff:\s*0+$", status, re.M) and re.search(r"^CapPrm:\s*0+$", status, re.M)
            root = os.readlink(f"/proc/{pid}/root")
            if name == "keeper":
                assert root == str(lab.dir / "keys")
            elif name == "mx":
                assert root.endswith(" (deleted)") and os.listdir(f"/proc/{pid}/root") == []
    look()
    status = Path(f"/proc/{lab.process.pid}/status").read_text()
    keep = sum(1 << c for c in (5, 6, 7, 10, 18))   # KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        assert int(re.search(rf"^{kind}:\s*(\w+)$", status, re.M)[1], 16) == keep, kind
    for pid in lab.roles():
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: len(lab.roles()) == 3, 20, "all are started again")
    lab.wait(20)
    look()
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    lab.run("reload", "--dir", str(lab.dir))
    assert lab.stop() == 0


@pytest.mark.parametrize("name, owner, mode, told", [
    ("valise.conf", "valise", None, "valise upgrade"), ("valise.conf", None, 0o660, "chmod go-w"), ("valise.conf", None, 0o646, "chmod go-w"),
    ("keys", "valise", None, "valise upgrade"), ("keys", None, 0o770, "chmod go-w"), (".", "valise", None, "valise upgrade"),
    (".", None, 0o770, "chmod go-w"), ("store", "root", None, "valise upgrade"), ("tls", "valise-mx", None, "valise upgrade")])
def test_root_obeys_only_what_is_roots(lab, name, owner, mode, told):
    path = lab.dir / name
    if owner:
        os.chown(path, *ids(owner))
    if mode:
        os.chmod(path, mode)
    text = serve(lab)
    assert str(lab.dir) in text and told in text
    assert told == "chmod go-w" or lab.run("check", "--dir", str(lab.dir), check=False).returncode == 65
    lab.run("upgrade", "--owners", "--dir", str(lab.dir))
    lab.start()
    assert lab.stop() == 0


def test_links_are_no_configuration(lab):
    conf = lab.dir / "valise.conf"
    conf.rename(lab.dir / "other.conf")
    conf.symlink_to("other.conf")
    assert "no file" in serve(lab)


@pytest.mark.parametrize("user, told", [("", "user = \"valise\""), ("root", "user = \"valise\""), ("no-such-user", "useradd"), ("valise-mx", "useradd")])
def test_roles_never_run_as_root(lab, user, told):
    conf = lab.dir / "valise.conf"
    good = conf.read_text()
    conf.write_text(good.replace('user = "valise"', f'user = "{user}"'))
    assert told in serve(lab, CONFIG)
    conf.write_text(good)
    lab.start()
    conf.write_text(good.replace('user = "valise"', f'user = "{user}"'))
    done = lab.run("reload", "--dir", str(lab.dir), check=False)
    assert done.returncode == CONFIG and told in done.stderr
    if user in ("", "root"):
        os.chown(conf, *ids("valise"))
        conf.write_text(good)
        done = lab.run("reload", "--dir", str(lab.dir), check=False)
        assert done.returncode != 0 and "valise upgrade" in done.stderr
    assert lab.stop() == 0


def former(lab):
    """As valise before left it: everything user valise's."""
    for path in (lab.dir, *lab.dir.rglob("*")):
        os.chown(path, *ids("valise"), follow_symlinks=False)
    for name, mode in ((".", 0o755), ("valise.conf", 0o644), ("keys", 0o700), ("keys/ca.key", 0o600), ("keys/server.key", 0o600)):
        os.chmod(lab.dir / name, mode)


def test_upgrade_brings_an_installed_system_there(lab):
    former(lab)
    state = {p: seen(p) for p in (lab.dir, *lab.dir.glob("*"), *lab.dir.glob("keys/*"), *lab.dir.glob("tls/*")) if p.name != "serve.lock"}
    assert "valise upgrade" in serve(lab)
    told = lab.run("upgrade", "--dry-run", "--dir", str(lab.dir)).stdout
    assert "would set valise.conf: is valise:valise 0644, should be root:valise 0640" in told and "would set keys/ca.key" in told
    assert {p: seen(p) for p in state} == state, "a dry run changes nothing"
    check = lab.run("check", "--dir", str(lab.dir), check=False)
    assert check.returncode == 65 and "keys: is valise:valise 0700, should be root:valise-keeper 0750" in check.stdout
    reply = json.loads(lab.run("upgrade", "--dir", str(lab.dir), "--json").stdout)
    assert any(line.startswith("keys/ca.key: ") for line in reply["owners"])
    test_init_gives_each_what_it_needs(lab)
    assert json.loads(lab.run("upgrade", "--dir", str(lab.dir), "--json").stdout)["owners"] == []
    lab.start()
    assert lab.stop() == 0


def test_the_key_of_backups_is_roots(lab, tmp_path):
    """No role reads backups: `check` finds nothing wrong after an encrypted one, keeper may not have its key, and upgrade takes it from him."""
    phrase = tmp_path / "phrase"
    phrase.write_text("une phrase bien trop longue\n")
    lab.run("backup", str(lab.dir.parent / "b"), "--passphrase-file", str(phrase), "--dir", str(lab.dir))
    key, = (lab.dir / "keys").glob("backup-*.seal")
    assert seen(key) == (0, 0, 0o600)
    lab.run("check", "--dir", str(lab.dir))
    lab.run("upgrade", "--dir", str(lab.dir))
    assert seen(key) == (0, 0, 0o600)
    os.chown(key, *ids("valise-keeper"))
    key.chmod(0o640)
    told = lab.run("check", "--dir", str(lab.dir), check=False)
    assert told.returncode == 65 and "should be root:root 0600" in told.stdout
    lab.run("upgrade", "--dir", str(lab.dir))
    assert seen(key) == (0, 0, 0o600)


def test_upgrade_follows_nothing_that_user_valise_laid_out(lab, tmp_path):
    """Symbolic links where files were, and a second name of somebody else's file."""
    former(lab)
    target = tmp_path / "target"
    target.write_text("theirs")
    target.chmod(0o600)
    for name in ("keys/evil.key", "tls/evil.pem", "store/evil", "evil.conf"):
        (lab.dir / name).symlink_to(target)
    os.mkfifo(lab.dir / "keys" / "fifo.key")
    lab.run("upgrade", "--owners", "--dir", str(lab.dir))
    assert seen(target) == (0, 0, 0o600)
    for name in ("keys/evil.key", "tls/evil.pem", "store/evil", "evil.conf"):
        assert (lab.dir / name).is_symlink()
    foreign = lab.dir.parent / "foreign"
    foreign.write_text("theirs")
    os.chown(foreign, *ids("nobody"))
    os.link(foreign, lab.dir / "tls" / "second.pem")
    done = lab.run("upgrade", "--owners", "--dir", str(lab.dir), check=False)
    assert done.returncode != 0 and "another name" in done.stderr and foreign.stat().st_uid == ids("nobody")[0]


def test_user_valise_may_do_what_needs_no_root(lab):
    assert as_valise(lab, "user", "list", "--dir", str(lab.dir)).returncode == 0
    done = as_valise(lab, "user", "add", "new@mondomaine.fr", "--generate", "--dir", str(lab.dir))
    assert done.returncode == 0, done.stderr
    for args in (("cert", "issue", "--server", "two.mondomaine.fr"), ("upgrade", "--owners"), ("user", "legacy", "alice@mondomaine.fr", "on")):
        done = as_valise(lab, *args, "--dir", str(lab.dir))
        assert done.returncode != 0 and ("root" in done.stderr or "Permission denied" in done.stderr), args
    assert {p.lstat().st_uid for p in (lab.dir / "store").rglob("*")} == {ids("valise")[0]}


def test_commands_without_a_server_use_the_ca(lab):
    """Their process that reads the store cannot read keys/: an aide has them."""
    lab.run("cert", "issue", "--server", "two.mondomaine.fr", "--install", "--dir", str(lab.dir))
    assert seen(lab.dir / "keys" / "two.mondomaine.fr.key") == (0, ids("valise-keeper")[1], 0o640)
    assert seen(lab.dir / "tls" / "two.mondomaine.fr.pem") == (*ids("valise"), 0o644)
    assert seen(lab.dir / "valise.conf") == (0, ids("valise")[1], 0o640)
    lab.run("check", "--dir", str(lab.dir))
    lab.start()
    assert lab.stop() == 0


def test_core_shows_the_supervisor_no_way_out_of_tls(lab):
    """A link that core put in place of its certificate would have root read, and send to mx, another file."""
    chain = lab.dir / "tls" / "server.pem"
    secret = lab.dir / "keys" / "both.key"
    secret.write_text((lab.dir / "keys" / "server.key").read_text() + chain.read_text())
    lab.start()
    chain.unlink()
    chain.symlink_to("../keys/both.key")
    done = lab.run("reload", "--dir", str(lab.dir), check=False)
    assert done.returncode != 0 and "symbolic link" in done.stderr
    assert lab.stop() == 0


def test_below_a_home_that_nobody_else_may_enter():
    home = Path(tempfile.mkdtemp(prefix="valise-home-"))
    assert seen(home)[2] == 0o700
    lab = harness.Valise(home / "lab")
    try:
        lab.init().start()
        with socket.create_connection(("127.0.0.1", lab.ports["smtp"]), timeout=30) as s:
            assert s.makefile("rb").readline().startswith(b"220 ")
        assert lab.stop() == 0
    finally:
        if lab.process:
            lab.kill()
        shutil.rmtree(home)


def test_an_ordinary_user_needs_none_of_this():
    """All files and roles are his; what that leaves open is told."""
    place = harness.make_directory()
    os.chown(place, *ids("nobody"))
    lab = harness.Valise(place / "lab", harness.binary_for_others(), wrap=["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"])
    lab.log_path.touch()
    try:
        subprocess.run([*lab.wrap, lab.program, "init", "--lab", "--dir", str(lab.dir), "--domain", harness.DOMAIN, "--hostname", harness.HOSTNAME],
                       check=True, stdout=subprocess.DEVNULL)
        conf = lab.dir / "valise.conf"
        conf.write_text(conf.read_text().replace('user = "valise"', 'user = ""'))
        assert {p.lstat().st_uid for p in (lab.dir, *lab.dir.rglob("*"))} == {ids("nobody")[0]}
        lab.start()
        status = json.loads(lab.run("status", "--dir", str(lab.dir), "--json").stdout)
        assert status["sandbox"]["users"] == "one" and any("not started as root" in line for line in status["sandbox"]["open"])
        assert "not started as root" in lab.log() and [c for c in status["concerns"] if "administrator" not in c] == []
        assert lab.stop() == 0
        assert "root" in serve(lab), "root does not obey him"
        lab.run("check", "--dir", str(lab.dir))
        (lab.dir / "keys").chmod(0o755)
        assert "keys: is" in lab.run("check", "--dir", str(lab.dir), check=False).stdout
        lab.run("upgrade", "--dir", str(lab.dir))
        assert lab.dir.stat().st_uid == ids("nobody")[0], "left to him unless --owners is given"
    finally:
        if lab.process:
            lab.kill()
        shutil.rmtree(place)


def test_roots_backup_is_an_ordinary_users_to_restore(lab, tmp_path):
    """Keys that keeper's group could read were taken over so, which nobody could start with or mend."""
    place = harness.make_directory()
    lab.run("backup", str(place / "b"), "--dir", str(lab.dir))
    other = harness.Valise(place / "r", harness.binary_for_others(), wrap=["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"])
    other.log_path.touch()
    for path in (place, *place.rglob("*"), other.log_path):
        os.chown(path, *ids("nobody"))
    try:
        restore = subprocess.run([*other.wrap, other.program, "restore", str(place / "b"), "--dir", str(other.dir)], capture_output=True, text=True, check=False)
        assert restore.returncode == 0 and "chmod 600 it" in restore.stdout, restore
        assert seen(other.dir / "keys" / "server.key")[2] == 0o600
        done = subprocess.run([*other.wrap, other.program, "check", "--config", "--dir", str(other.dir)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        done = subprocess.run([*other.wrap, other.program, "upgrade", "--owners", "--dir", str(other.dir)], capture_output=True, text=True, check=False)
        assert done.returncode != 0 and "`valise check'" in done.stderr
        other.start()
        assert other.stop() == 0
    finally:
        if other.process:
            other.kill()
        shutil.rmtree(place)
