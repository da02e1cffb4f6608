"""A second start finds yesterday's mail; a stop is orderly for those who are connected."""

from helpers import Dialogue, deliver, imap, letter, login, ok, subjects


def test_mail_flags_and_mailboxes_survive(lab, alice):
    lab.start()
    letters = [letter(alice.address) for _ in range(5)]
    for message, _ in letters:
        deliver(lab, alice.address, message)
    with imap(lab, alice) as session:
        ok(session.create('"Projet R&AOk-seaux"'))
        ok(session.select("INBOX"))
        ok(session.store("2", "+FLAGS", r"(\Flagged $Perso)"))
        ok(session.copy("3", '"Projet R&AOk-seaux"'))
        before = ok(session.status("INBOX", "(UIDVALIDITY UIDNEXT MESSAGES)"))
    assert lab.stop() == 0
    lab.start()
    with imap(lab, alice) as session:
        assert ok(session.status("INBOX", "(UIDVALIDITY UIDNEXT MESSAGES)")) == before
        assert subjects(session) == [subject for _, subject in letters]
        assert subjects(session, '"Projet R&AOk-seaux"') == [letters[2][1]]
        ok(session.select("INBOX"))
        flags = ok(session.fetch("2", "(FLAGS)"))[0]
        assert rb"\Flagged" in flags and b"$Perso" in flags
    assert lab.check().returncode == 0
    assert lab.stop() == 0


def test_commands_while_stopped(lab):
    """Without a running server the commands open the store themselves; the server then starts on what they left."""
    lab.add_user("hors-ligne@mondomaine.fr", "secret hors ligne")
    assert "hors-ligne@mondomaine.fr" in lab.run("user", "list", "--dir", str(lab.dir)).stdout
    assert lab.check().returncode == 0
    lab.start()
    deliver(lab, "hors-ligne@mondomaine.fr", letter("hors-ligne@mondomaine.fr")[0])
    assert lab.stop() == 0


def test_sessions_are_told_of_the_stop(lab, alice):
    lab.start()
    with Dialogue(lab.ports["imap"]) as reading, Dialogue(lab.ports["smtp"]) as sending, Dialogue(lab.ports["imap"]) as idling:
        login(reading, lab, alice)
        login(idling, lab, alice)
        idling.imap("SELECT INBOX")
        idling.send("i IDLE\r\n")
        assert idling.line().startswith("+")
        sending.reply()
        sending.smtp("EHLO client.example.org")
        assert lab.stop() == 0
        assert reading.line().startswith("* BYE")
        assert idling.line().startswith("* BYE")
        assert sending.reply()[0] == 421


def test_connections_are_refused_after_the_stop(lab):
    lab.start()
    ports = dict(lab.ports)
    assert lab.stop() == 0
    for port in ports.values():
        try:
            Dialogue(port).close()
        except ConnectionRefusedError:
            continue
        raise AssertionError(f"port {port} still listens")
