#!/usr/bin/python3
"""run.py ROUNDS [--seed S]: eight IMAP and four SMTP sessions do random legal things, kill -9 strikes in between, an oracle judges. See README.md."""

import argparse
import collections
import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
from actions import choose, prepare_delivery  # noqa: E402
from client import Imap, Lost, Smtp, Wrong, as_set, verified  # noqa: E402
from look import Observer  # noqa: E402
from oracle import Unexplained, explain  # noqa: E402
from helpers import STRANGER, Account  # noqa: E402

SESSIONS = ("alice", "alice", "alice", "alice", "bob", "bob", "carol", "carol")
DELIVERIES = (("smtp", False), ("smtp", True), ("smtp", False), ("submission", True))
LIMITED, ROOM = "carol", 8      # who has a quota, and of how many messages
BURSTS = 25                 # of a round
AT_ONCE = 4                 # operations of one account under way at the same time: the oracle tries all their orders
TOO_LONG = (TimeoutError, subprocess.TimeoutExpired)
FAILURES = (Wrong, Unexplained, AssertionError, *TOO_LONG)


class Record:
    """The last lines of all dialogues, and all of them in a file."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.last = collections.deque(maxlen=120)
        self.started = time.monotonic()

    def __call__(self, name, direction, data):
        text = data if isinstance(data, str) else data.decode(errors="replace").rstrip("\r\n")
        if len(text) > 600:
            text = f"{text[:300]} ... {text[-200:]} ({len(text)} bytes)"
        line = f"{time.monotonic() - self.started:8.3f} {name} {direction} {text}"
        self.last.append(line)
        print(line, file=self.file, flush=True)

    def say(self, text):
        self("---", "-", text)


class World:
    """The server, its clients, and what the oracle knows."""

    def __init__(self, lab, rng, record):
        self.lab, self.rng, self.record = lab, rng, record
        self.context = verified(lab.ca())
        self.accounts = {n: Account(f"{n}@{harness.DOMAIN}", lab.accounts[f"{n}@{harness.DOMAIN}"]) for n in sorted(set(SESSIONS))}
        self.observers = {n: Observer(self, a) for n, a in self.accounts.items()}
        self.states = {}
        self.room = {n: ROOM if n == LIMITED else None for n in self.accounts}    # how many messages the quota allows
        self.imaps = [None] * len(SESSIONS)
        self.smtps = [None] * len(DELIVERIES)
        self.bodies = {}            # Message-ID -> (length, digest) of what was sent
        self.sent = self.operations = self.strikes = 0
        self.after_strike = False   # connections may be gone

    # --- sessions ---

    def imap(self, i):
        """Session I, connected anew when it has ended."""
        s = self.imaps[i]
        if s is None or s.wire.dead:
            owner = SESSIONS[i]
            s = self.imaps[i] = Imap(f"i{i}", self.lab.ports["imaps"], self.context, self.accounts[owner], self.record, i % 2 == 0)
            s.owner, s.idle = owner, False
        return s

    def smtp(self, i):
        s = self.smtps[i]
        if s is None or s.wire.dead:
            port, secure = DELIVERIES[i]
            account = self.accounts["bob"] if port == "submission" else None
            s = self.smtps[i] = Smtp(f"s{i}", self.lab.ports[port], self.record, self.context if secure else None, account)
        return s

    def retry(self, what):
        """WHAT(), again when the connection is lost or the server is not able to: it may still be coming back after a strike."""
        for left in range(20, -1, -1):
            try:
                return what()
            except Lost:
                if not left:
                    raise
                time.sleep(0.25)

    def new_message(self, to, sender=STRANGER):
        """(Message-ID, bytes)"""
        self.sent += 1
        key = f"<{self.sent}.{self.rng.randrange(1 << 32):x}@example.org>"
        size = self.rng.choice((30, 500, 4000, 70_000, 300_000)) if self.rng.random() < 0.2 else 200
        lines = ["." * self.rng.randrange(3) + "x" * self.rng.randrange(70) for _ in range(size // 36)]
        text = (f"From: {sender}\r\nTo: {to}\r\nSubject: lettre {self.sent}\r\nDate: Mon, 06 Jan 2025 10:20:30 +0100\r\n"
                f"Message-ID: {key}\r\n\r\n" + "".join(line + "\r\n" for line in lines)).encode()
        self.bodies[key] = len(text), hashlib.sha256(text).hexdigest()
        return key, text

    # --- looking ---

    def settle(self, name, operations, every=False):
        """What is there now has to be what the operations of account NAME lead to."""
        seen = self.retry(lambda: self.observers[name].look(self.states.get(name), every))
        if name in self.states:
            after = explain(self.states[name], operations, seen)
            self.observers[name].check_modseqs(self.states[name], after)
            self.states[name] = after
        else:
            self.states[name] = seen

    def start(self):
        for name in self.accounts:
            self.settle(name, [], every=True)


# --- views ---

def select_somewhere(world, session):
    """Selects a mailbox, known or not, and compares all that is told with the oracle."""
    state = world.states[session.owner]
    names = ["INBOX"] * 12 + [n for n, b in state.boxes.items() if b.messages] * 3 + [*state.boxes, "nowhere"]
    mailbox = world.rng.choice(names)
    there = session.select(mailbox, read_only=world.rng.random() < 0.15)
    if there != (mailbox in state.boxes):
        raise Wrong(f"{session.name}: SELECT {mailbox}: {'there' if there else 'not there'}")
    if not there:
        return
    box, view = state.boxes[mailbox], session.view
    view.ident = box.ident
    if (view.uidvalidity, view.uidnext) != (box.uidvalidity, box.uidnext):
        raise Wrong(f"{session.name}: SELECT {mailbox}: UIDVALIDITY {view.uidvalidity} UIDNEXT {view.uidnext}, expected {box.uidvalidity} {box.uidnext}")
    compare(session, box)


def compare(session, box):
    """The view of a session that has just been told everything, with the mailbox as it is."""
    view, uids = session.view, list(box.messages)
    if len(view.uids) != len(uids) or any(a not in (None, b) for a, b in zip(view.uids, uids)):
        raise Wrong(f"{session.name} was told that there are {view.uids}, and there are {uids}")
    for uid, message in box.messages.items():
        if view.flags.get(uid, message.flags) != message.flags:
            raise Wrong(f"{session.name} was told that UID {uid} has {sorted(view.flags[uid])}, and it has {sorted(message.flags)}")
        if session.condstore and view.modseqs.get(uid, message.modseq) != message.modseq:
            raise Wrong(f"{session.name} was told that UID {uid} has modseq {view.modseqs[uid]}, and it has {message.modseq}")


def end_of_deleted(world, session):
    """The selected mailbox is gone: the session is told so and ended, unless a strike came first."""
    try:
        if not session.idle:
            session.ask("NOOP")
        while True:
            session.take(*session.response())
    except Lost:
        session.wire.close()
    if (not session.bye or "deleted" not in session.bye) and not world.after_strike:
        raise Wrong(f"{session.name}: its mailbox was deleted and it was told {session.bye!r}")


def catch_up(world, session):
    """Lets a session be told everything, and compares."""
    if session.view is None:
        session.must("NOOP")
        return
    _, box = world.states[session.owner].named(session.view.ident)
    if box is None:
        end_of_deleted(world, session)
        return
    if session.idle:
        deadline = time.monotonic() + 60
        while True:
            while session.wire.something_to_read():
                session.take(*session.response())
            try:
                compare(session, box)
                break
            except Wrong:
                if time.monotonic() > deadline:
                    raise
    else:
        session.must("NOOP")
        compare(session, box)
        session.learn()
    compare(session, box)


def probe(world, session):
    """Reads in a view that may be behind: what is there is as it is now, what is not in the view is not shown."""
    _, box = world.states[session.owner].named(session.view.ident)
    if box is None or session.idle or not session.view.uids:
        return
    session.learn()
    view, rng = session.view, world.rng
    view_uids = [u for u in view.uids if u in box.messages]
    flag = rng.choice((r"\Seen", r"\Flagged", r"\Deleted", r"\Answered"))
    kind = rng.randrange(3)
    if kind == 0:
        yes = rng.random() < 0.5
        words = session.must(f"UID SEARCH {'' if yes else 'UN'}{flag[1:].upper()}")
        found = [int(w) for answer in words if answer[1] == b"SEARCH" for w in answer[2:] if w.isdigit()]
        expected = [u for u in view_uids if (flag in box.messages[u].flags) == yes]
        if [u for u in found if u in box.messages] != expected:
            raise Wrong(f"{session.name}: SEARCH {flag} {yes} found {found}, expected {expected}")
    elif kind == 1 and session.condstore and box.messages:
        since = rng.choice(list(box.messages.values())).modseq
        told = session.must(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")
        found = {int(w[3][w[3].index(b"UID") + 1]) for w in told if w[2:3] == [b"FETCH"] and b"UID" in w[3]}
        missing = {u for u in view_uids if box.messages[u].modseq > since} - found
        if missing:
            raise Wrong(f"{session.name}: CHANGEDSINCE {since} does not tell UIDs {as_set(sorted(missing))}")
    else:
        session.must("FETCH 1:* (UID FLAGS)")
        for uid in view_uids:
            if view.flags[uid] != box.messages[uid].flags:
                raise Wrong(f"{session.name}: FETCH says {sorted(view.flags[uid])} of UID {uid}, expected {sorted(box.messages[uid].flags)}")


# --- bursts ---

def prepare(world, who):
    """What session number WHO (eight of IMAP, then the deliveries) does next: a Job or a Delivery; None when it has nothing to do."""
    if who >= len(SESSIONS):
        return prepare_delivery(world, world.smtp(who - len(SESSIONS)))
    session = world.imap(who)
    if session.idle:
        if world.rng.random() < 0.6:
            return None
        session.idle = False
        session.wire.send(b"DONE\r\n")
        session.finish()
    if session.view and world.states[session.owner].named(session.view.ident)[1] is None:
        catch_up(world, session)
        session = world.imap(who)
    if session.view is None or world.rng.random() < (0.05 if session.view.uids else 0.5):
        select_somewhere(world, session)
    session.learn()
    if session.view and world.rng.random() < 0.08:
        session.must("IDLE")
        session.idle = True
        return None
    return choose(world, session)


def gather(world):
    """The jobs of a burst: often one, which is exact; often several at once."""
    size = 1 if world.rng.random() < 0.3 else world.rng.randrange(2, 8)
    jobs, load = [], collections.Counter()
    for who in world.rng.sample(range(len(SESSIONS) + len(DELIVERIES)), size):
        job = world.retry(lambda who=who: prepare(world, who))
        if job and all(load[name] < AT_ONCE for name in job.operations):
            jobs.append(job)
            load.update(job.operations.keys())
        elif job:
            job.abandon()
    return jobs


def burst(world, strike):
    """Sends all the jobs, kills something meanwhile when STRIKE, reads the answers, and has the oracle judge. What was killed, or None."""
    jobs = gather(world)
    struck = recover = None
    for job in jobs:
        world.operations += len(job.operations)
        job.start()
    if strike:
        time.sleep(world.rng.choice((0, 0.001, 0.003, 0.01, 0.03)))
        struck, recover = world.lab.strike(world.rng)
        world.strikes += 1
        world.record.say(f"strike: {struck}")
    for job in jobs:
        job.finish(may_be_lost=strike)
    if recover:
        recover()
    by_account = collections.defaultdict(list)
    for job in jobs:
        for name, operation in job.operations.items():
            by_account[name].append(operation)
    for name in world.accounts if strike else by_account:
        world.settle(name, by_account[name])
    return struck


def look_around(world, everybody):
    for session in world.imaps:
        if session is None or session.wire.dead or (not everybody and world.rng.random() < 0.75):
            continue
        try:
            if session.view and world.rng.random() < 0.5:
                probe(world, session)
            catch_up(world, session)
        except Lost:
            session.wire.close()
            if not world.after_strike:
                raise Wrong(f"{session.name}: the connection ended without a reason: {session.bye}") from None


def one_round(world):
    for n in range(BURSTS):
        last = n == BURSTS - 1
        world.after_strike = last
        struck = burst(world, strike=last)
        look_around(world, everybody=last)
    for name, observer in world.observers.items():
        world.settle(name, [], every=True)
        world.retry(lambda o=observer, n=name: o.check_bodies(world.states[n]))
    done = world.lab.check()
    if done.returncode != 0:
        raise Wrong(f"valise check: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return struck


def run(lab, options, seed, record):
    lab.init()
    lab.start()
    lab.add_user(f"{LIMITED}@{harness.DOMAIN}")
    lab.run("user", "quota", f"{LIMITED}@{harness.DOMAIN}", "--messages", str(ROOM), "--dir", str(lab.dir))
    world = World(lab, random.Random(seed), record)
    world.retry(world.start)
    for n in range(1, options.rounds + 1):
        record.say(f"round {n}")
        struck = one_round(world)
        print(f"round {n}: killed {struck}; {world.operations} operations, {world.sent} messages so far", flush=True)
    code = lab.stop()
    if code is None:
        raise TimeoutError("SIGTERM did not end valise in time")
    if code != 0:
        raise Wrong(f"SIGTERM ended valise with {code}")
    return world


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=10)
    parser.add_argument("--seed", type=int, help="repeats the choices of an earlier run (not the scheduler's)")
    parser.add_argument("--keep", action="store_true", help="keep the directory, also when all is well")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    directory = harness.make_directory("valise-model-")
    print(f"seed {seed}, directory {directory}", flush=True)
    record = Record(directory / "dialogue.log")
    lab = harness.Valise(directory / "lab")
    world, status = None, 1
    try:
        world = run(lab, options, seed, record)
    except (Lost, *FAILURES) as e:
        print("\n".join(record.last), file=sys.stderr)
        print(f"model: {type(e).__name__}: {e}", file=sys.stderr)
        status = harness.LATE if isinstance(e, TOO_LONG) else 1
    finally:
        if lab.process:
            lab.kill()
        if world and not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    if not world:
        print(f"model: FAILED (seed {seed}); {directory} is kept: the dialogue is in dialogue.log, the server's log in lab.log")
        return status
    print(f"model: {options.rounds} rounds, {world.operations} operations, {world.sent} messages, {world.strikes} strikes: all explained (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
