"""valise reload: a mistake is refused with file and line and the old settings stay; a change takes effect without a restart."""

import re

from helpers import Dialogue, deliver, letter, wait_for_mail

EX_CONFIG = 78


def size_limit(lab):
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        lines = d.smtp("EHLO client.example.org")[1]
        return int(next(line.split()[1] for line in lines if line[4:].startswith("SIZE")))


def test_mistake_is_refused_with_its_line(lab, alice):
    lab.start()
    conf = lab.dir / "valise.conf"
    good = conf.read_text()
    limit = size_limit(lab)
    for mistake in ("no-such-setting = 1\n", "message-size-max = \"much\"\n", "listener x {\n"):
        conf.write_text(good + mistake)
        done = lab.run("reload", "--dir", str(lab.dir), check=False)
        line = good.count("\n") + 1
        assert done.returncode == EX_CONFIG, done.stdout + done.stderr
        assert re.search(rf"valise\.conf:({line}|{line + 1})\b", done.stdout + done.stderr), done.stdout + done.stderr
        assert size_limit(lab) == limit
    message, subject = letter(alice.address)
    deliver(lab, alice.address, message)
    wait_for_mail(lab, alice, subject)
    conf.write_text(good)
    assert lab.run("reload", "--dir", str(lab.dir)).returncode == 0
    assert lab.stop() == 0


def test_change_takes_effect_and_sessions_go_on(lab):
    lab.start()
    conf = lab.dir / "valise.conf"
    with Dialogue(lab.ports["smtp"]) as d:
        d.reply()
        d.smtp("EHLO client.example.org")
        text, n = re.subn(r"message-size-max = \d+", "message-size-max = 1000000", conf.read_text())
        assert n == 1
        conf.write_text(text)
        lab.run("reload", "--dir", str(lab.dir))
        assert d.smtp("NOOP")[0] == 250
    assert size_limit(lab) == 1000000
    assert lab.stop() == 0


def test_serve_refuses_a_bad_configuration(lab):
    conf = lab.dir / "valise.conf"
    good = conf.read_text()
    conf.write_text(good + "no-such-setting = 1\n")
    lab.start(wait=0)
    assert lab.process.wait(30) == EX_CONFIG
    lab.process = None
    assert re.search(rf"valise\.conf:{good.count(chr(10)) + 1}\b", lab.log()), lab.log()


def test_two_servers_on_one_directory(lab):
    lab.start()
    second = lab.run("serve", "--dir", str(lab.dir), "--port-offset", "31500", check=False)
    assert second.returncode not in (0, None)
    assert str(lab.dir) in second.stdout + second.stderr
    assert lab.stop() == 0
