"""Runs a chapter of docs/guide as its reader would: one shell, block after block as printed, and looks whether what comes out is what the chapter shows.

What a fenced block is, is said by its language:

  sh        commands; they must succeed, but for those with "# exit status N" behind them
  text      what the block before it prints: "..." stands for anything in a line, or, alone in one, for any lines
  dialogue  "$ command", then "S: " what the peer says ("S: ..." for any lines) and "C: " what is typed
  zone      records of the domain; from then on the name server of the test has them

and by a comment in front of it, which a reader does not see:

  <!-- settings -->                    the values are the reader's: the test has its own for the same names
  <!-- in a terminal of its own -->    the commands run on while others do
  <!-- file: PATH -->                  the content of a file; <!-- append to: PATH -->: what is added to it
  <!-- not run: REASON -->             why it cannot be

A block that is none of these is a mistake. Whatever the test's own values are is turned back in what comes out (a directory, a port) before it is compared."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import harness

FENCE = re.compile(r"^```(\S*)\s*$")
NOTE = re.compile(r"^<!-- (settings|in a terminal of its own|file: .+|append to: .+|not run: .+) -->$")
HEADING = re.compile(r"^(#{1,4}) (.+)$")
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
ASSIGNMENT = re.compile(r"\b([A-Z][A-Z_]*)=(\S+)")
STATUS = re.compile(r"# (?:exit status|statut de sortie) (\d+)")
PRINTED = re.compile(r"^(?:password: )?((?:[a-z0-9]{4}-){3,5}[a-z0-9]{4})$", re.M)
COMMENT = re.compile(r"(^|\s)#\s.*$")


class Wrong(AssertionError):
    """A chapter that does not do what it says, with file and line."""


@dataclass
class Block:
    language: str
    note: str
    line: int
    lines: list = field(default_factory=list)

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def bare(self):
        """What must be the same in every language: all but comments."""
        lines = self.lines
        if self.language in ("sh", "zone"):
            lines = [COMMENT.sub("", line).rstrip() for line in lines]
        return self.language, self.note, [line for line in lines if line]


class Chapter:
    """A file, taken apart: `blocks`, `headings` (level, words), `links` (target, line)."""

    def __init__(self, path, text=None):
        self.path = Path(path)
        self.blocks, self.headings, self.links = [], [], []
        block, note = None, ""
        for number, line in enumerate((text or self.path.read_text()).splitlines(), 1):
            fence = FENCE.match(line.strip()) if line.lstrip().startswith("```") else None
            if block is not None:
                if fence and not fence.group(1):
                    self.blocks.append(block)
                    block, note = None, ""
                else:
                    block.lines.append(line)
            elif fence:
                block = Block(fence.group(1), note, number)
            elif line.strip():
                remark = NOTE.match(line)
                if line.startswith("<!--") and not remark:
                    raise Wrong(f"{self.path}:{number}: the runner knows no comment as this: {line}")
                note = remark.group(1) if remark else ""
                heading = HEADING.match(line)
                if heading:
                    self.headings.append((len(heading.group(1)), heading.group(2).strip()))
                self.links += [(target, number) for target in LINK.findall(line)]
        if block is not None:
            raise Wrong(f"{self.path}:{block.line}: the block does not end")
        self.judge()

    def judge(self):
        """Each block is run, shows what one prints, or says why not."""
        before = None
        for block in self.blocks:
            excused = block.note.startswith(("not run: ", "file: ", "append to: "))
            known = block.language in ("sh", "dialogue", "zone") or (block.language == "text" and before == "sh")
            if not excused and not known:
                raise Wrong(f"{self.path}:{block.line}: a block of \"{block.language or 'nothing'}\" is neither run nor says why not")
            before = None if block.note and block.note != "settings" else block.language

    def anchors(self):
        """As GitHub makes them of headings."""
        return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for _, words in self.headings}


def pattern(lines):
    """A regular expression of what a block of text shows."""
    parts = []
    for line in lines:
        parts.append("(?:.*\n)*?" if line.strip() == "..." else ".*".join(re.escape(p) for p in line.rstrip().split("...")) + " *\n")
    return re.compile("".join(parts) + r"\Z")


class Reader:
    """Who works through chapters: a shell in a directory of its own. SETTINGS: the test's values for the names that chapters set; ON_ZONE is given
    the text of each zone."""

    def __init__(self, directory, path, settings, env=None, on_zone=None, timeout=30):
        self.dir, self.settings, self.on_zone, self.timeout = Path(directory), settings, on_zone, timeout
        self.back = {}              # our value -> the reader's
        self.token = f"@@{os.getpid()}@@"
        self.scripts = Path(tempfile.mkdtemp(prefix="guide-", dir=directory))
        self.password = ""
        self.buffer, self.more = b"", threading.Condition()
        home = self.dir / "home"
        home.mkdir(exist_ok=True)
        full = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb", "TMPDIR": str(self.dir), **(env or {})}
        self.shell = subprocess.Popen(["bash", "--noprofile", "--norc"], cwd=home, env=full, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        threading.Thread(target=self.listen, daemon=True).start()
        self.type("set -E -o pipefail; trap '__failed=\"$__failed $?\"' ERR")

    def listen(self):
        while True:
            data = os.read(self.shell.stdout.fileno(), 65536)
            with self.more:
                self.buffer = self.buffer + data if data else self.buffer + self.token.encode() + b" ended\n"
                self.more.notify()
            if not data:
                return

    def type(self, line):
        try:
            self.shell.stdin.write(line.encode() + b"\n")
            self.shell.stdin.flush()
        except BrokenPipeError:
            pass

    def line(self, deadline):
        """The next line that comes out; None when there is none by then."""
        with self.more:
            while b"\n" not in self.buffer:
                if not self.more.wait(max(0, deadline - time.monotonic())):
                    return None
            line, _, self.buffer = self.buffer.partition(b"\n")
            return line.decode(errors="replace").rstrip("\r")

    def translated(self, text):
        """As the reader would see it."""
        for ours, theirs in sorted(self.back.items(), key=lambda pair: -len(pair[0])):
            text = re.sub(rf"(?<![\w.]){re.escape(ours)}(?![\w])", lambda _, theirs=theirs: theirs, text)
        return text

    def close(self):
        """Ends whatever the chapter started."""
        pids = harness.descendants(self.shell.pid)
        self.shell.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        self.shell.wait(20)
        harness.wait_until(lambda: not any(harness.alive(p) for p in pids), 30, "what a chapter started ends")

    # --- one chapter ---

    def work_through(self, chapter):
        shown = ""                  # what the last block printed
        for block in chapter.blocks:
            where = f"{chapter.path}:{block.line}"
            kind, _, operand = block.note.partition(": ")
            if kind == "not run":
                continue
            if kind in ("file", "append to"):
                self.put(operand, block.text, kind == "append to", where)
            elif block.language == "zone":
                self.on_zone(block.text)
            elif block.language == "dialogue":
                self.converse(block, where)
            elif block.language == "text":
                if not pattern(block.lines).match(shown):
                    raise Wrong(f"{where}: the chapter shows\n{block.text}and it printed\n{shown}")
            else:
                shown = self.run(block, where)

    def ours(self, text, where):
        """Settings with the test's values in place of the reader's."""
        def change(match):
            name, theirs = match.groups()
            if name not in self.settings:
                raise Wrong(f"{where}: the test has no setting {name}")
            value = str(self.settings[name])
            self.back[value] = theirs
            return f"{name}={value}"
        return ASSIGNMENT.sub(change, text)

    def put(self, path, text, append, where):
        """A file of the reader's, with the test's values in it: PATH as the shell expands it."""
        source = self.scripts / f"{len(list(self.scripts.iterdir()))}.file"
        for ours, theirs in self.back.items() if not path.endswith("valise.conf") else ():    # whose ports serve moves
            text = re.sub(rf"(?<![\w./]){re.escape(theirs)}(?![\w])", lambda _, ours=ours: ours, text)
        source.write_text(text)
        self.shell_block(f'cat "{source}" {">>" if append else ">"} {path}\n', where)

    def shell_block(self, text, where):
        """Starts TEXT in the shell; it ends with a line of the token."""
        script = self.scripts / f"{len(list(self.scripts.iterdir()))}.sh"
        script.write_text(text + ":\n")     # so that the status of the last command is not that of `source' too
        self.type(f'__failed=; source "{script}"; printf \'\\n%s%s\\n\' "{self.token}" "$__failed"')
        if "read -rs" in text:
            self.type(self.password)
        return self.until_token(where)

    def until_token(self, where, said=None):
        said, deadline = said or [], time.monotonic() + self.timeout
        while True:
            line = self.line(deadline)
            if line is None:
                raise Wrong(f"{where}: not at its end after {self.timeout} s; it printed\n" + "\n".join(said))
            if line.startswith(self.token):
                return said, line[len(self.token):].split()
            said.append(line)

    def run(self, block, where):
        text = self.ours(block.text, where) if block.note == "settings" else block.text
        if block.note == "in a terminal of its own":
            self.shell_block("{\n" + text + f"}} </dev/null >{self.scripts}/terminal.log 2>&1 &\n", where)
            return ""
        said, failed = self.shell_block(text, where)
        wanted = STATUS.findall(text)
        output = self.translated("\n".join(said).rstrip() + "\n")
        if failed != wanted:
            log = self.scripts / "terminal.log"
            raise Wrong(f"{where}: of\n{text}the exit status is {' '.join(failed) or '0'}, not {' '.join(wanted) or '0'}; it printed\n{output}"
                        + (f"and beside it\n{log.read_text()[-2000:]}" if log.exists() else ""))
        for found in PRINTED.findall(output):
            self.password = found
        return "" if output == "\n" else output

    def converse(self, block, where):
        commands = [line[2:] for line in block.lines if line.startswith("$ ")]
        lines = [line for line in block.lines if not line.startswith("$ ")]
        if len(commands) != 1 or not all(re.match(r"[CS]:( |$)", line) for line in lines):
            raise Wrong(f"{where}: a dialogue is a line with $, and lines with C: and S:")
        script = self.scripts / f"{len(list(self.scripts.iterdir()))}.sh"
        script.write_text(commands[0] + "\n:\n")
        self.type(f'__failed=; source "{script}"; printf \'\\n%s%s\\n\' "{self.token}" "$__failed"')
        skip = False
        said = []
        for number, line in enumerate(lines):
            who, text = line[:2], line[3:]
            if who == "C:":
                self.type(self.expanded(text))
                skip = False
            elif text == "...":
                skip = True
            else:
                self.hear(text, skip, said, f"{where}+{number + 2}")
                skip = False
        known = len(said)
        said, _ = self.until_token(where, said)
        if not skip and any(line for line in said[known:]):
            raise Wrong(f"{where}: the peer said more than the chapter shows\n" + "\n".join(said[known:]))

    def expanded(self, text):
        """What is typed: <the password> is typed as what was printed last."""
        return re.sub(r"<[a-z' ]*password[a-z' ]*>", lambda _: self.password, text)

    def hear(self, text, skip, said, where):
        """The next line of the peer has to be TEXT; any before it are passed over where SKIP says so."""
        wanted = re.compile(".*".join(re.escape(p) for p in text.rstrip().split("...")) + r"\s*")
        deadline = time.monotonic() + self.timeout
        while True:
            line = self.line(deadline)
            if line is None or line.startswith(self.token):
                raise Wrong(f"{where}: \"{text}\" was not said, but\n" + "\n".join(said))
            said.append(self.translated(line))
            if wanted.fullmatch(said[-1]):
                return
            if not skip:
                raise Wrong(f"{where}: the chapter shows\n{text}\nand the peer said\n" + "\n".join(said))
