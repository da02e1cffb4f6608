"""fetchmail: takes the mail away, over STARTTLS and over implicit TLS."""

import os

import pytest

from helpers import client, deliver, imap, letter, subjects


@pytest.mark.parametrize("port", ["imap", "imaps"])
def test_takes_mail_away(server, account, scratch, port):
    sent = [letter(account.address) for _ in range(3)]
    for message, _ in sent:
        deliver(server, account.address, message)
    out = scratch / "out"
    ssl = "ssl" if port == "imaps" else "sslproto 'auto'"
    settings = scratch / "fetchmailrc"
    settings.write_text(f"""
poll localhost protocol IMAP port {server.ports[port]}
  user "{account.address}" password "{account.password}" {ssl} sslcertck sslcertfile {server.ca()}
  mda "cat >> {out}" no keep fetchall
""")
    settings.chmod(0o600)
    done = client("fetchmail", "--fetchmailrc", settings, "--nosyslog", "--pidfile", scratch / "pid", "-v",
                  env={"HOME": str(scratch), "FETCHMAILHOME": str(scratch), "PATH": os.environ["PATH"], "USER": "essai"})
    assert done.returncode == 0, done.stdout
    text = out.read_text()
    assert all(f"Subject: {subject}" in text for _, subject in sent)
    with imap(server, account) as session:
        assert subjects(session) == []
