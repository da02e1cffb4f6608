"""What the sessions do: each choice becomes a command on the wire and an operation for the oracle."""

import re

from client import Lost, Wrong, as_set, numbers
from helpers import STRANGER
from oracle import Add, Answer, Copy, Create, Delete, Expunge, Message, Rename, Store, Subscribe

NAMES = ("a", "a/b", "a/b/c", "d", "d/e", "Archive", "Trash")
FLAGS = (r"\Seen", r"\Flagged", r"\Answered", r"\Deleted", r"\Draft", "$Un", "$Deux")
ENOUGH = 45                 # messages of a mailbox; above it more is removed than added


class Job:
    """An IMAP command that is about to be sent, and what the oracle makes of its answer."""

    def __init__(self, session, text, operation, literals=(), close=False, silent=None):
        self.session, self.text, self.literals = session, text, literals
        self.operation = operation
        self.operations = {session.owner: operation}
        self.close, self.silent = close, silent

    def abandon(self):
        """Never started: nothing to take back."""

    def start(self):
        try:
            self.session.start(self.text, self.literals)
        except Lost:
            pass

    def finish(self, may_be_lost):
        s = self.session
        try:
            if s.wire.dead:
                raise Lost("before it was sent")
            status, words = s.finish()
        except Lost:
            if not may_be_lost and not (s.bye and "deleted" in s.bye):
                raise Wrong(f"{s.name}: the connection ended during {self.text!r}: {s.bye}") from None
            return
        if status == "BAD":
            raise Wrong(f"{s.name}: {self.text!r}: BAD {words}")
        if "UNAVAILABLE" in words:
            if not may_be_lost:
                raise Wrong(f"{s.name}: {self.text!r}: {status} {words}")
            return
        self.operation.given = self.answer(status, words)
        if self.close and status == "OK":
            s.view = None
        elif self.silent and s.view:
            uids, mode, flags = self.silent
            uids = [u for u in uids if u not in self.operation.given.modified]
            if status == "OK":
                s.apply_silent(uids, mode, flags)
            else:
                s.forget(uids)

    def answer(self, status, words):
        untagged = " ".join(w[2].decode() for w in self.session.untagged if w[1] == b"OK" and len(w) > 2 and w[2][:1] == b"[")
        code = re.search(r"\[(APPENDUID|COPYUID) (\d+) (\S+?)(?: (\S+?))?\]", f"{words} {untagged}")
        modified = re.search(r"\[MODIFIED ([\d,:]+)\]", words)
        uids = None
        if code and code.group(1) == "APPENDUID":
            uids = tuple(numbers(code.group(3)))
        elif code:
            uids = tuple(zip(numbers(code.group(3)), numbers(code.group(4))))
        elif isinstance(self.operation, Copy):
            uids = ()
        changed = numbers(modified.group(1)) if modified else []
        if changed and not self.text.startswith("UID"):
            changed = [self.session.view.uids[n - 1] for n in changed]
        return Answer(status, int(code.group(2)) if code else None, uids, frozenset(changed))


class Delivery:
    """A message on its way to one or more accounts: an operation of each, one answer for all."""

    def __init__(self, session, message, operations):
        self.session, self.message, self.operations = session, message, operations

    def abandon(self):
        self.session.wire.close()

    def start(self):
        try:
            self.session.start(self.message)
        except Lost:
            pass

    def finish(self, may_be_lost):
        try:
            if self.session.wire.dead:
                raise Lost("before it was sent")
            code, text = self.session.finish()
        except Lost:
            code, text = 0, "end of the connection"
        if code == 250:
            for operation in self.operations.values():
                operation.given = Answer("OK")
        elif not may_be_lost or code >= 500:
            raise Wrong(f"{self.session.name}: {code} {text}")
        else:
            self.session.wire.close()


def prepare_delivery(world, session):
    """MAIL, RCPT and DATA; the text goes with the burst."""
    rng = world.rng
    names = rng.sample(sorted(n for n, room in world.room.items() if room is None), rng.choice((1, 1, 1, 2)))
    addresses = [world.accounts[n].address for n in names]
    sender = session.account.address if session.account else STRANGER
    key, message = world.new_message(", ".join(addresses), sender)
    session.prepare(sender, addresses, chunks=rng.random() < 0.3)
    return Delivery(session, message, {n: Add(name="INBOX", messages=[Message(key, frozenset())], room=None) for n in names})


# --- choices ---

def some_messages(rng, view):
    """(how they are named in a command, UID or not, their uids) of some of what the session knows."""
    uids = sorted(rng.sample(view.uids, rng.choice((1, 1, 2, 3, min(10, len(view.uids))) if len(view.uids) > 2 else (1,))))
    if rng.random() < 0.1:
        return "1:*", rng.random() < 0.5, list(view.uids)
    if rng.random() < 0.5:
        return as_set(uids), True, uids
    return as_set(view.uids.index(u) + 1 for u in uids), False, uids


def some_flags(rng, most=3):
    return frozenset(rng.sample(FLAGS, rng.randrange(1, most + 1)))


def flag_list(flags):
    return f"({' '.join(sorted(flags))})"


def append(world, session):
    rng, name = world.rng, world.rng.choice(("INBOX", *NAMES))
    messages, text, literals = [], f'APPEND "{name}"', []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        key, message = world.new_message(session.account.address)
        flags = some_flags(rng) if rng.random() < 0.5 else frozenset()
        messages.append(Message(key, flags))
        text += f" {flag_list(flags)} {{}}" if flags else " {}"
        literals.append(message)
    return Job(session, text, Add(name=name, messages=messages, room=world.room[session.owner]), literals)


def copy(world, session):
    rng, view = world.rng, session.view
    named, by_uid, uids = some_messages(rng, view)
    move, target = rng.random() < 0.5, rng.choice(("INBOX", *NAMES))
    operation = Copy(ident=view.ident, uids=uids, target=target, move=move, read_only=view.read_only, room=world.room[session.owner])
    return Job(session, f'{"UID " if by_uid else ""}{"MOVE" if move else "COPY"} {named} "{target}"', operation)


def store(world, session):
    rng, view = world.rng, session.view
    named, by_uid, uids = some_messages(rng, view)
    mode, flags, silent = rng.choice(("", "+", "+", "-")), some_flags(rng), rng.random() < 0.5
    since = rng.choice(list(view.modseqs.values())) if view.modseqs and session.condstore and rng.random() < 0.4 else None
    text = (f'{"UID " if by_uid else ""}STORE {named} {f"(UNCHANGEDSINCE {since}) " if since else ""}{mode}FLAGS'
            f'{".SILENT" if silent else ""} {flag_list(flags)}')
    operation = Store(ident=view.ident, uids=uids, mode=mode, flags=flags, unchanged_since=since, by_uid=by_uid, silent=silent,
                      read_only=view.read_only)
    return Job(session, text, operation, silent=(uids, mode, flags) if silent else None)


def expunge(world, session):
    rng, view = world.rng, session.view
    kind = rng.choice(("UID EXPUNGE", "EXPUNGE", "EXPUNGE", "CLOSE"))
    uids = sorted(rng.sample(view.uids, rng.randrange(1, len(view.uids) + 1))) if kind == "UID EXPUNGE" else list(view.uids)
    text = f"{kind} {as_set(uids)}" if kind == "UID EXPUNGE" else kind
    operation = Expunge(ident=view.ident, uids=frozenset(uids), read_only=view.read_only, close=kind == "CLOSE")
    return Job(session, text, operation, close=kind == "CLOSE")


def mailboxes(world, session):
    rng = world.rng
    name, to = rng.choice(NAMES), rng.choice(NAMES)
    kind = rng.choice(("CREATE", "CREATE", "CREATE", "DELETE", "RENAME", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE"))
    if kind == "CREATE":
        return Job(session, f'CREATE "{name}"', Create(name=name))
    if kind == "DELETE":
        return Job(session, f'DELETE "{name}"', Delete(name=name))
    if kind == "RENAME":
        name = "INBOX" if rng.random() < 0.1 else name
        return Job(session, f'RENAME "{name}" "{to}"', Rename(name=name, to=to))
    return Job(session, f'{kind} "{name}"', Subscribe(name=name, on=kind == "SUBSCRIBE"))


def choose(world, session):
    """A job for SESSION, which has been told the UIDs of all it knows."""
    rng, view = world.rng, session.view
    if view is None or not view.uids:
        return rng.choice((append, append, mailboxes))(world, session)
    if len(view.uids) > ENOUGH and not view.read_only:
        return rng.choice((store, expunge, expunge))(world, session)
    return rng.choices((append, copy, store, expunge, mailboxes), (3, 3, 10, 2, 1))[0](world, session)
