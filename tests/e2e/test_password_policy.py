"""Which new passwords are accepted, by default and as the configuration says."""

import pytest


def passwd(lab, address, password):
    return lab.run("user", "passwd", address, "--password-stdin", "--dir", str(lab.dir), input=password + "\n", check=False)


@pytest.mark.parametrize("password, reason", [("court", "at least 10"), ("Password2024!", "tried first"), ("abcdefghijk", "regular")])
def test_weak_passwords_are_refused_with_the_reason(server, account, password, reason):
    done = passwd(server, account.address, password)
    assert done.returncode != 0 and reason in done.stderr, done.stderr


def test_the_configuration_decides_after_a_reload(lab):
    address = next(iter(lab.accounts))
    assert passwd(lab, address, "court").returncode != 0          # the server is stopped: the defaults hold
    lab.start()
    assert passwd(lab, address, "deux mots").returncode != 0
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text() + "password-length-min = 8\npassword-need-mixed = true\n")
    lab.run("reload", "--dir", str(lab.dir))
    assert "letters, digits" in passwd(lab, address, "deux mots").stderr
    assert passwd(lab, address, "deux mots 2").returncode == 0
    lab.stop()
