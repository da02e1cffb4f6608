"""msmtp: what a script's sendmail does: submission with STARTTLS and with implicit TLS, certificate verified."""

import pytest

from helpers import client, letter, wait_for_mail


def msmtp(server, account, port, *args, input, password=None):
    starttls = "off" if port == "smtps" else "on"
    return client("msmtp", "--file=/dev/null", "--host=localhost", f"--port={server.ports[port]}", "--tls=on",
                  f"--tls-starttls={starttls}", f"--tls-trust-file={server.ca()}", "--auth=on", f"--user={account.address}",
                  f"--passwordeval=echo '{password or account.password}'", f"--from={account.address}", *args, input=input)


@pytest.mark.parametrize("port", ["submission", "smtps"])
def test_send(server, account, other, port):
    message, subject = letter(other.address, sender=account.address)
    done = msmtp(server, account, port, other.address, input=message.decode().replace("\r\n", "\n"))
    assert done.returncode == 0, done.stdout
    assert b"une lettre." in wait_for_mail(server, other, subject)


def test_wrong_password(server, account):
    done = msmtp(server, account, "submission", account.address, input="Subject: x\n\nx\n", password="faux")
    assert done.returncode == 77 and "535" in done.stdout, done.stdout      # EX_NOPERM


def test_server_information(server, account):
    done = msmtp(server, account, "submission", "--serverinfo", input="")
    assert done.returncode == 0 and "SIZE" in done.stdout and "PIPELINING" in done.stdout, done.stdout
