"""A terminal of 120 by 40 for programs that draw on one: keys go in, the screen comes out."""

import subprocess
import time
import uuid


class Terminal:
    """Runs ARGV with environment ENV in tmux, on a server of its own."""

    def __init__(self, argv, env, directory):
        self.socket = str(directory / f"tmux-{uuid.uuid4().hex[:8]}")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", str(directory), "env", "-i", "TERM=screen",
                   *(f"{k}={v}" for k, v in env.items()), *map(str, argv))

    def _tmux(self, *args):
        done = subprocess.run(["tmux", "-S", self.socket, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def screen(self):
        """What is to be seen; None when the program has ended."""
        code, text = self._tmux("capture-pane", "-p")
        return None if code else text

    def wait(self, text, seconds=30):
        """Waits until TEXT is to be seen."""
        deadline = time.monotonic() + seconds
        last = ""
        while time.monotonic() < deadline:
            now = self.screen()
            if now is None:
                raise AssertionError(f"the program ended before \"{text}\" was seen; last:\n{last}")
            if text in now:
                return now
            last = now
            time.sleep(0.1)
        raise AssertionError(f"\"{text}\" was not seen within {seconds} s:\n{last}")

    def type(self, text):
        self._tmux("send-keys", "-l", "--", text)

    def keys(self, *names):
        """Keys by tmux's names: Enter, C-x, Down."""
        self._tmux("send-keys", *names)

    def wait_end(self, seconds=20):
        deadline = time.monotonic() + seconds
        while self.screen() is not None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the program does not end:\n{self.screen()}")
            time.sleep(0.1)

    def close(self):
        self._tmux("kill-server")
