"""neomutt: sends from the command line, and reads a mailbox with scripted keys."""

from helpers import client, deliver, imap, letter, ok, wait_for_mail


def neomutt(server, account, scratch, *args, input=None):
    settings = scratch / "muttrc"
    settings.write_text(f"""
set from="{account.address}" realname="Essai" use_from=yes envelope_from=yes hostname="mondomaine.fr"
set smtp_url="smtp://localhost:{server.ports['submission']}/" smtp_user="{account.address}" smtp_pass="{account.password}"
set imap_user="{account.address}" imap_pass="{account.password}"
set ssl_starttls=yes ssl_force_tls=yes certificate_file="{server.ca()}" ssl_use_system_certs=no
set folder="imaps://localhost:{server.ports['imaps']}/" spoolfile="+INBOX" record="" copy=no
set header_cache="" tmpdir="{scratch}" wait_key=no timeout=2 mail_check=1 confirmappend=no confirmcreate=no delete=yes
""")
    env = {"HOME": str(scratch), "TERM": "xterm", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return client("neomutt", "-n", "-F", settings, *args, input=input, env=env)


def test_send(server, account, other, scratch):
    done = neomutt(server, account, scratch, "-s", "de neomutt", "--", other.address, input="Bonjour de neomutt.\n")
    assert done.returncode == 0, done.stdout
    assert b"Bonjour de neomutt." in wait_for_mail(server, other, "de neomutt")


def test_send_with_attachment(server, account, other, scratch):
    attachment = scratch / "rapport.bin"
    attachment.write_bytes(bytes(range(256)) * 100)
    done = neomutt(server, account, scratch, "-s", "avec annexe", "-a", attachment, "--", other.address, input="Voir annexe.\n")
    assert done.returncode == 0, done.stdout
    assert b"rapport.bin" in wait_for_mail(server, other, "avec annexe")


def terminal(server, account, scratch, keys):
    """Runs neomutt on a terminal of script(1), types KEYS and returns when it has left."""
    neomutt(server, account, scratch, "-D")
    command = f"neomutt -n -F {scratch}/muttrc -e 'push {keys}'"
    return client("script", "-qec", command, "/dev/null", env={"HOME": str(scratch), "TERM": "xterm", "PATH": "/usr/bin:/bin",
                                                               "LANG": "C.UTF-8"}, input="")


def test_read_and_save(server, account, scratch):
    message, subject = letter(account.address)
    deliver(server, account.address, message)
    saved = scratch / "saved"
    done = terminal(server, account, scratch, f"<copy-message>{saved}<enter><quit>")
    assert saved.exists(), done.stdout[-2000:]
    assert subject in saved.read_text()


def test_delete(server, account, scratch):
    for _ in range(2):
        deliver(server, account.address, letter(account.address)[0])
    terminal(server, account, scratch, "<delete-message><sync-mailbox><quit>")
    with imap(server, account) as session:
        assert int(ok(session.select("INBOX"))[0]) == 1
