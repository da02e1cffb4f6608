"""What was sent, what was acknowledged, and whether it is there: the load and the verification of scripts/crash and tests/powercut.

For every message and flag that the server has acknowledged:
  1. a message answered with 250 or OK is in its mailbox, once, with the bytes that were sent;
  2. a flag that STORE acknowledged is set or cleared as it was told last;
  3. a message whose EXPUNGE was acknowledged is gone;
  4. no UID changes its message, no UIDVALIDITY changes;
  5. `valise check` finds nothing.
What was under way when the kill or the cut came may have happened or not."""

import collections
import contextlib
import hashlib
import imaplib
import random
import re
import smtplib
import threading

from helpers import imap, letter, ok, tls_context

CONNECTION_LOST = (OSError, EOFError, imaplib.IMAP4.error, smtplib.SMTPException, ValueError)
WORK = "Travail"            # the mailbox that the IMAP writers use; SMTP delivers into INBOX


class Loss(AssertionError):
    """Something acknowledged is not as it was told."""


class PowerCut(OSError):
    """The answer came after the cut: whoever was told does not count."""


class Letter:
    """What we know about one message."""

    def __init__(self, body):
        self.digest = hashlib.sha256(body).hexdigest()
        self.tail = len(body)               # SMTP puts trace fields before what was sent
        self.acked = False
        self.flags = set()                  # acknowledged
        self.unsure = set()                 # flags whose last change was not answered
        self.expunged = None                # None, "asked", "acked"


class Knowledge:
    """Everything that was sent, by mailbox and Message-ID. Writers add; the verifier reads when they have ended."""

    def __init__(self):
        self.lock = threading.RLock()
        self.cut = False        # answers from now on come from what will not have been
        self.letters = collections.defaultdict(dict)
        self.uids = collections.defaultdict(dict)       # (address, mailbox) -> {uid: Message-ID} seen so far
        self.validity = {}
        self.messages = self.changes = 0

    def send(self, address, mailbox, message):
        entry = Letter(message)
        with self.lock:
            self.letters[address, mailbox][message_id(message)] = entry
        return entry

    @contextlib.contextmanager
    def answered(self, messages=0, changes=0):
        """Around what an answer makes known; PowerCut when it came too late."""
        with self.lock:
            if self.cut:
                raise PowerCut("the power has failed")
            yield
            self.messages += messages
            self.changes += changes

    def power(self, on):
        with self.lock:
            self.cut = not on


def message_id(message):
    return re.search(rb"(?im)^message-id:\s*(\S+)", message).group(1).decode()


def new_message(rng, address):
    size = rng.choice((50, 500, 4000, 70_000, 300_000)) if rng.random() < 0.3 else 800
    return letter(address, body="".join(rng.choices("abcdefgh ", k=60)).strip() + "\r\n" + ("x" * 70 + "\r\n") * (size // 72))[0]


# --- writers: each ends at the first broken connection, or when told ---

def smtp_writer(lab, known, accounts, seed, stop):
    rng = random.Random(seed)
    try:
        with smtplib.SMTP("localhost", lab.ports["smtp"], local_hostname="client.example.org", timeout=20) as smtp:
            if rng.random() < 0.4:
                smtp.starttls(context=tls_context(lab))
            while not stop.is_set():
                to = rng.choice(accounts).address
                message = new_message(rng, to)
                entry = known.send(to, "INBOX", message)
                smtp.sendmail("inconnu@example.org", [to], message)
                with known.answered(messages=1):
                    entry.acked = True
    except CONNECTION_LOST:
        pass


def change_one(session, known, rng, mine):
    uid, entry = rng.choice(mine)
    if rng.random() < 0.1:
        entry.expunged = "asked"
        mine.remove((uid, entry))
        ok(session.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
        ok(session.uid("EXPUNGE", uid))
        with known.answered(changes=1):
            entry.expunged = "acked"
        return
    flag = rng.choice((r"\Seen", r"\Flagged", r"\Answered", "$Un", "$Deux", "$Trois"))
    sign = "-" if flag in entry.flags else "+"
    entry.unsure.add(flag)
    ok(session.uid("STORE", uid, sign + "FLAGS.SILENT", f"({flag})"))
    with known.answered(changes=1):
        (entry.flags.add if sign == "+" else entry.flags.discard)(flag)
        entry.unsure.discard(flag)


def imap_writer(lab, known, account, seed, stop):
    rng = random.Random(seed)
    mine = []
    try:
        with imap(lab, account) as session:
            ok(session.select(WORK))
            while not stop.is_set():
                if len(mine) < 3 or rng.random() < 0.4:
                    message = new_message(rng, account.address)
                    entry = known.send(account.address, WORK, message)
                    answer = ok(session.append(WORK, None, None, message))[0].decode()
                    with known.answered(messages=1):
                        entry.acked = True
                    mine.append((re.search(r"APPENDUID \d+ (\d+)", answer).group(1), entry))
                else:
                    change_one(session, known, rng, mine)
    except (AssertionError, *CONNECTION_LOST):
        pass


def imap_reader(lab, known, account, stop):
    """What one session is shown has to stay: nothing is shown that could still be lost."""
    try:
        with imap(lab, account) as session:
            ok(session.select("INBOX"))
            seen = 0
            while not stop.wait(0.02):
                data = ok(session.uid("FETCH", f"{seen + 1}:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))
                for part in data:
                    if not isinstance(part, tuple):
                        continue
                    uid, name = int(FETCHED.search(part[0]).group(1)), message_id(part[1])
                    with known.answered():
                        known.letters[account.address, "INBOX"][name].acked = True
                        known.uids[account.address, "INBOX"].setdefault(uid, name)
                    seen = max(seen, uid)
    except (AssertionError, *CONNECTION_LOST):
        pass


# --- verification ---

FETCHED = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


def fetch_all(session, mailbox):
    """{uid: (Message-ID, flags)} of a whole mailbox, and its UIDVALIDITY."""
    count = int(ok(session.select(mailbox, readonly=True))[0])
    validity = session.response("UIDVALIDITY")[1][0]
    found = {}
    data = ok(session.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")) if count else []
    for i, part in enumerate(data):
        if isinstance(part, tuple):
            tail = data[i + 1] if i + 1 < len(data) and isinstance(data[i + 1], bytes) else b""
            words = part[0] + tail
            found[int(FETCHED.search(words).group(1))] = (message_id(part[1]), {f.decode() for f in FLAGS.search(words).group(1).split()})
    if len(found) != count:
        raise Loss(f"{mailbox}: {count} messages announced, {len(found)} fetched")
    return found, validity


def verify_body(session, uid, entry, name):
    body = ok(session.uid("FETCH", str(uid), "(BODY.PEEK[])"))[0][1]
    if hashlib.sha256(body[len(body) - entry.tail:]).hexdigest() != entry.digest:
        raise Loss(f"{name}: the content is not what was sent")


def verify_mailbox(session, known, address, mailbox, rng):
    found, validity = fetch_all(session, mailbox)
    where = f"{address}/{mailbox}"
    if known.validity.setdefault((address, mailbox), validity) != validity:
        raise Loss(f"{where}: UIDVALIDITY changed")
    letters, seen = known.letters[address, mailbox], known.uids[address, mailbox]
    by_id = {}
    for uid, (name, flags) in found.items():
        if name in by_id:
            raise Loss(f"{where}: {name} is there twice (UID {by_id[name][0]} and {uid})")
        if name not in letters:
            raise Loss(f"{where}: {name} was never sent")
        if seen.setdefault(uid, name) != name:
            raise Loss(f"{where}: UID {uid} was {seen[uid]}, is {name}")
        by_id[name] = uid, flags
    fresh = []
    for name, entry in letters.items():
        if name not in by_id:
            if entry.acked and not entry.expunged:
                raise Loss(f"{where}: {name} was acknowledged and is not there")
            if entry.expunged:
                entry.expunged = "acked"        # now that it was seen to be gone it may not come back
            continue
        if entry.expunged == "acked":
            raise Loss(f"{where}: {name} was expunged and is there again")
        uid, flags = by_id[name]
        wrong = {f for f in (flags - {r"\Recent", r"\Deleted"}) ^ entry.flags} - entry.unsure
        if wrong:
            raise Loss(f"{where}: {name}: flags {sorted(flags)} instead of {sorted(entry.flags)} (unanswered: {sorted(entry.unsure)})")
        entry.flags = flags - {r"\Recent", r"\Deleted"}      # what was unsure is now known
        entry.unsure = set()
        entry.acked, entry.expunged = True, None        # seen after a restart: from now on it has to stay
        fresh.append((uid, entry, name))
    for uid, entry, name in rng.sample(fresh, min(40, len(fresh))) + fresh[-20:]:
        verify_body(session, uid, entry, f"{where}: {name}")


def writers(lab, known, accounts, rng, stop):
    """Threads, not yet started: three that deliver, and one of each account that appends, flags and expunges."""
    out = [threading.Thread(target=smtp_writer, args=(lab, known, accounts, rng.random(), stop)) for _ in range(3)]
    return out + [threading.Thread(target=imap_writer, args=(lab, known, account, rng.random(), stop)) for account in accounts]


def make_mailboxes(lab, accounts):
    for account in accounts:
        with imap(lab, account) as session:
            ok(session.create(WORK))


def verify(lab, known, accounts, rng):
    for account in accounts:
        with imap(lab, account) as session:
            for mailbox in ("INBOX", WORK):
                verify_mailbox(session, known, account.address, mailbox, rng)
    done = lab.check()
    if done.returncode != 0:
        raise Loss(f"valise check: exit {done.returncode}\n{done.stdout}{done.stderr}")
