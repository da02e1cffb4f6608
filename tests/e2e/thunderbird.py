"""Thunderbird without a screen, steered over Marionette: numbered JSON commands on a socket, each with its length in front."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import harness

PROGRAM = "/usr/lib/thunderbird/thunderbird"
FUNCTIONS = Path(__file__).with_name("thunderbird.js").read_text()

# No call home, no greeting: only what the tests ask for.
SETTINGS = {
    "app.update.enabled": False, "datareporting.policy.dataSubmissionEnabled": False, "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False, "extensions.blocklist.enabled": False, "services.settings.server": "data:,",
    "mail.shell.checkDefaultClient": False, "mailnews.start_page.enabled": False, "mail.spotlight.firstRunDone": True,
    "mail.provider.suppress_dialog_on_startup": True, "mail.chat.enabled": False, "mail.inappnotifications.enabled": False,
    "mail.server.default.check_all_folders_for_new": True, "mail.instrumentation.askUser": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "mail.compose.warned_about_customize_from": True,
}


class Thunderbird:
    """One profile and one process. DIRECTORY is its home; the server's CA is trusted as if imported by the user, and so is the certificate of
    the PKCS #12 file P12, whose password is P12_PASSWORD."""

    def __init__(self, directory, server, p12=None, p12_password=None):
        self.profile = Path(directory) / "profile"
        self.profile.mkdir()
        self.log = self.profile.with_name("thunderbird.log")
        self.number, self.buffer, self.socket = 0, b"", None
        database = f"sql:{self.profile}"
        subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
        subprocess.run(["certutil", "-A", "-d", database, "-n", "lab", "-t", "C,,", "-i", server.ca()], check=True)
        if p12:
            subprocess.run(["pk12util", "-i", p12, "-d", database, "-K", "", "-W", p12_password], check=True, stdout=subprocess.DEVNULL)
        port = harness.free_port()
        settings = {**SETTINGS, "marionette.port": port}
        (self.profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items()))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([PROGRAM, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile",
                                             str(self.profile)], env={**os.environ, "HOME": str(directory), "MOZ_HEADLESS": "1"},
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.socket = harness.wait_until(lambda: self._connect(port), 60, "Thunderbird listens")
        self._receive()
        self._command("WebDriver:NewSession", capabilities={})
        self._command("WebDriver:SetTimeouts", script=120000)
        self._command("Marionette:SetContext", value="chrome")

    def _connect(self, port):
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=150)
        except OSError:
            return None

    def _receive(self):
        while True:
            length, colon, rest = self.buffer.partition(b":")
            if colon and len(rest) >= int(length):
                self.buffer = rest[int(length):]
                return json.loads(rest[:int(length)])
            more = self.socket.recv(65536)
            assert more, "Thunderbird has closed its end: " + self.log.read_text(errors="replace")[-2000:]
            self.buffer += more

    def _command(self, name, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self._receive()
        assert error is None, f"{error['error']}: {error['message']}\n{error['stacktrace'][:1000]}"
        return result

    def call(self, function, **arguments):
        """What calls.FUNCTION of thunderbird.js returns for ARGUMENTS."""
        script = f"{FUNCTIONS}\nrun(arguments[0], arguments[1]).then(arguments[arguments.length - 1]);"
        result = self._command("WebDriver:ExecuteAsyncScript", script=script, args=[function, arguments])["value"]
        assert "error" not in result, f"{function}: {result['error']}"
        return result["value"]

    def close(self):
        if self.socket:
            self.socket.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
