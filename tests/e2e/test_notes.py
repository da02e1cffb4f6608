"""What valise writes to its users: that a quota is nearly used up, a welcome, reports; each in the language of the account."""

import email
import email.policy
import json
import re

import pytest

import harness
from harness import DOMAIN, HOSTNAME, wait_until
from helpers import Account, deliver, imap, letter, ok, submission

KIB = "x" * 62 + "\r\n"


def add(lab, name, *options, password="Kraken-Tee-7"):
    address = f"{name}@{DOMAIN}"
    lab.run("user", "add", address, "--password-stdin", *options, "--dir", str(lab.dir), input=password + "\n")
    return Account(address, password)


def letters(lab, account):
    """All messages of the INBOX, parsed, in order."""
    with imap(lab, account) as session:
        session.select(readonly=True)
        numbers = session.search(None, "ALL")[1][0].split()
        return [email.message_from_bytes(ok(session.fetch(n.decode(), "(BODY.PEEK[])"))[0][1], policy=email.policy.default) for n in numbers]


def notes(lab, account, word):
    return [m for m in letters(lab, account) if word in m["Subject"] and m["Auto-Submitted"] == "auto-generated"]


def check_form(note, account, language):
    assert note["Return-Path"] == "<>" and note["From"] == f"postmaster@{DOMAIN}" and note["To"] == account.address
    assert note["Date"] and re.fullmatch(rf"<\S+@{re.escape(HOSTNAME)}>", note["Message-ID"]) and note["Content-Language"] == language
    assert note["Content-Transfer-Encoding"] == "quoted-printable" and note.get_content_charset() == "utf-8"


def fill(lab, account, kib):
    message, _ = letter(account.address, body=KIB * 16 * kib)
    deliver(lab, account.address, message)


def settle(lab, account, word, n):
    wait_until(lambda: len(notes(lab, account, word)) == n, 20, f"{n} notes about {word}")


def over(lab):
    users = json.loads(lab.run("user", "list", "--over", "--json", "--dir", str(lab.dir)).stdout)["users"]
    return [u["address"].partition("@")[0] for u in users]


def counted(lab):
    return [q["users"] for q in json.loads(lab.run("status", "--json", "--dir", str(lab.dir)).stdout)["quotas"]]


def warnings_on(lab):
    """As init makes it; the harness turns them off for others."""
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace("quota-warnings = false", "quota-warnings = true"))


def test_init_turns_warnings_on(scratch):
    own = harness.Valise(scratch / "lab")
    own.run("init", "--lab", "--dir", str(own.dir), "--domain", DOMAIN, "--hostname", HOSTNAME)
    assert "quota-warnings = true" in (own.dir / "valise.conf").read_text()


def test_a_quota_is_told_at_80_and_95_percent_once_each(lab):
    warnings_on(lab)
    lab.start()
    marie = add(lab, "anne", "--language", "fr", "--name", "Anne Été")
    lab.run("user", "quota", marie.address, "--storage", "100K", "--dir", str(lab.dir))
    fill(lab, marie, 70)
    assert over(lab) == [] and counted(lab) == [0, 0]
    fill(lab, marie, 12)
    settle(lab, marie, "pleine", 1)
    note = notes(lab, marie, "pleine")[0]
    check_form(note, marie, "fr")
    assert "Bonjour Anne Été," in note.get_content() and f"postmaster@{DOMAIN}" in note.get_content() and re.search("8\\d\u00a0Kio sur 100\u00a0Kio", note.get_content())
    assert re.search(r"pleine à 8\d\u00a0%", note["Subject"]), note["Subject"]
    assert over(lab) == ["anne"] and counted(lab) == [1, 0]
    assert "% used" in lab.run("user", "list", "--dir", str(lab.dir)).stdout and "1 user over 80 %" in lab.run("status", "--dir", str(lab.dir)).stdout
    fill(lab, marie, 1)                      # above 80 still: nothing more is said
    fill(lab, marie, 11)
    settle(lab, marie, "pleine", 2)
    assert re.search(r"pleine à 9[5-9]\u00a0%", notes(lab, marie, "pleine")[1]["Subject"]) and counted(lab) == [1, 1]
    assert lab.stop() == 0
    lab.start()                              # what was told is known after a restart
    with imap(lab, marie) as session:        # she makes room: all is told anew when it fills again
        session.select()
        session.store("1", "+FLAGS", r"(\Deleted)")
        session.expunge()
    wait_until(lambda: counted(lab) == [0, 0], 20, "the use is below the marks again")
    assert over(lab) == [] and len(notes(lab, marie, "pleine")) == 2
    fill(lab, marie, 55)
    settle(lab, marie, "pleine", 3)
    assert lab.stop() == 0


def test_a_number_of_messages_is_told_too_and_what_imap_adds(lab, alice):
    warnings_on(lab)
    lab.start()
    lab.run("user", "quota", alice.address, "--messages", "20", "--dir", str(lab.dir))
    with imap(lab, alice) as session:
        for _ in range(16):
            session.append("INBOX", None, None, letter(alice.address)[0])
    settle(lab, alice, "full", 1)
    note = notes(lab, alice, "full")[0]
    check_form(note, alice, "en")
    assert "80 % full: 16 of 20 messages." in note.get_content() and "When nothing more fits, mail for you waits" in note.get_content() and note.get_content().startswith("Hello,")
    assert lab.stop() == 0


def test_who_is_full_is_told_what_becomes_of_his_mail_now(lab, alice):
    """Over the limit already, and with refuse-over-quota: neither in the future nor as waiting."""
    warnings_on(lab)
    conf = lab.dir / "valise.conf"
    conf.write_text("refuse-over-quota = true\n" + conf.read_text())
    lab.start()
    with imap(lab, alice) as session:
        for _ in range(3):
            session.append("INBOX", None, None, letter(alice.address)[0])
    lab.run("user", "quota", alice.address, "--messages", "1", "--dir", str(lab.dir))
    with imap(lab, alice) as session:
        session.select()
        session.store("1", "+FLAGS", r"(\Deleted)")
        session.expunge()
    settle(lab, alice, "full", 1)
    told = notes(lab, alice, "full")[0].get_content()
    assert "200 % full: 2 of 1 message." in told and "Nothing more fits: mail for you is refused." in told, told
    assert lab.stop() == 0


def test_warnings_can_be_turned_off(lab, alice):
    lab.start()
    lab.run("user", "quota", alice.address, "--messages", "1", "--dir", str(lab.dir))
    deliver(lab, alice.address, letter(alice.address)[0])
    wait_until(lambda: counted(lab) == [1, 1], 20, "the use is counted")
    assert len(letters(lab, alice)) == 1
    assert lab.stop() == 0


def welcome_on(lab):
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace("welcome = false", "welcome = true"))


def test_new_users_are_welcomed_in_their_language(lab, scratch):
    welcome_on(lab)
    before = add(lab, "anne", "--language", "fr", "--name", "Anne")     # without a server
    lab.start()
    ben = add(lab, "ben")
    table = scratch / "users.csv"
    table.write_text("address,language,password,name\ncara@mondomaine.fr,fr,Kraken-Tee-8,Cara\n", encoding="utf-8")
    lab.run("user", "add", "--from", str(table), "--dir", str(lab.dir))
    lab.run("user", "add", f"printer@{DOMAIN}", "--role", "program", "--dir", str(lab.dir))
    anne, = letters(lab, before)
    check_form(anne, before, "fr")
    assert anne["Subject"] == f"Bienvenue sur {DOMAIN}" and "Bonjour Anne," in anne.get_content() and "boîte aux lettres" in anne.get_content()
    note, = letters(lab, ben)
    check_form(note, ben, "en")
    assert note["Subject"] == f"Welcome to {DOMAIN}" and f"{HOSTNAME}, port {lab.ports['imaps']}, SSL/TLS" in note.get_content()
    assert "{" not in note.get_content() + anne.get_content()
    cara, = letters(lab, Account(f"cara@{DOMAIN}", "Kraken-Tee-8"))
    assert "Bonjour Cara," in cara.get_content()
    assert lab.check().returncode == 0 and lab.stop() == 0


def test_a_welcome_of_ones_own(lab):
    welcome_on(lab)
    lab.start()
    (lab.dir / "welcome.fr.txt").write_text("Subject: À bord, {name} !\n\nVoilà {address}, serveur {hostname}, {unknown}.\n", encoding="utf-8")
    (lab.dir / "welcome.txt").write_text("Just this, {name}.\r\n")
    lab.adopt()
    anne, ben = add(lab, "anne", "--language", "fr", "--name", "Anne"), add(lab, "ben", "--name", "Ben")
    note, = letters(lab, anne)
    assert note["Subject"] == "À bord, Anne !" and note.get_content() == f"Voilà {anne.address}, serveur {HOSTNAME}, {{unknown}}.\r\n"
    note, = letters(lab, ben)
    assert note["Subject"] == f"Welcome to {DOMAIN}" and note.get_content() == "Just this, Ben.\r\n"
    (lab.dir / "welcome.txt").write_bytes("é".encode("latin1"))
    done = lab.run("user", "add", f"dora@{DOMAIN}", "--generate", "--dir", str(lab.dir), check=False)
    assert done.returncode != 0 and "welcome.txt is not UTF-8" in done.stderr and "iconv" in done.stderr
    (lab.dir / "welcome.txt").write_text("x" * 4097)
    done = lab.run("user", "add", f"dora@{DOMAIN}", "--generate", "--dir", str(lab.dir), check=False)
    assert done.returncode != 0 and "shorten it" in done.stderr
    assert lab.stop() == 0


def test_no_welcome_where_it_is_off(lab):
    lab.start()
    assert "welcome = false" in (lab.dir / "valise.conf").read_text()   # as a lab begins
    assert letters(lab, add(lab, "anne")) == []
    assert lab.stop() == 0


def test_the_language_of_an_account_and_of_the_server(lab, alice, bob):
    def language():
        users = json.loads(lab.run("user", "list", "--json", "--dir", str(lab.dir)).stdout)["users"]
        return next(u for u in users if u["address"] == alice.address).get("language")

    def report():
        message, _ = letter(bob.address, sender=alice.address)
        with submission(lab, alice) as smtp:
            smtp.sendmail(alice.address, [bob.address], message, rcpt_options=["NOTIFY=SUCCESS"])
        return letters(lab, alice)[-1]
    lab.start()
    assert language() is None and report()["Subject"] == "Your message was delivered"
    lab.run("user", "language", alice.address, "fr", "--dir", str(lab.dir))
    assert language() == "fr" and report()["Subject"] == "Votre message a été remis"
    assert "Il se trouve dans la boîte aux lettres de" in report().get_payload()[0].get_content()
    lab.run("user", "language", alice.address, "default", "--dir", str(lab.dir))
    assert language() is None
    conf = lab.dir / "valise.conf"
    conf.write_text(conf.read_text().replace('language = "en"', 'language = "fr"'))
    lab.run("reload", "--dir", str(lab.dir))
    assert "Votre message" in report()["Subject"]
    lab.run("user", "rename", alice.address, f"alicia@{DOMAIN}", "--dir", str(lab.dir))
    assert lab.stop() == 0


@pytest.mark.parametrize("words, said", [
    (["user", "add", f"x@{DOMAIN}", "--generate", "--language", "de"], "a language is en or fr, not 'de'"),
    (["user", "language", f"alice@{DOMAIN}", "french"], "a language is en or fr, not 'french'"),
    (["user", "language", f"nobody@{DOMAIN}", "fr"], "nobody@")])
def test_mistakes_with_languages(lab, words, said):
    done = lab.run(*words, "--dir", str(lab.dir), check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr
