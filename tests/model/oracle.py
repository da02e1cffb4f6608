"""What an account may look like: a sequential model of RFC 3501 mailboxes, and the search for an order of operations that explains what is seen.

Each operation is a pure function of a state. Operations under way at the same time may have happened in any order, those that were not answered
also not at all; never by halves. `explain` looks for such an order in which every answer is the one that was given and the end is what is there
now: the definition of linearizability (Herlihy and Wing), by brute force, which a handful of operations allows."""

import dataclasses
import itertools
from typing import NamedTuple, Optional

DELETED = r"\Deleted"
STANDARD = ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")


class Message(NamedTuple):
    key: str                        # Message-ID: what was sent under it never changes
    flags: frozenset
    modseq: Optional[int] = None    # None: changed since the last look


@dataclasses.dataclass(frozen=True)
class Box:
    ident: object                   # which mailbox it is, under whatever name
    uidvalidity: Optional[int]      # None: made since the last look
    uidnext: int
    messages: dict                  # uid -> Message, ascending

    def with_messages(self, messages, uidnext=None):
        return dataclasses.replace(self, messages=messages, uidnext=uidnext or self.uidnext)


@dataclasses.dataclass(frozen=True)
class State:
    boxes: dict                     # name -> Box
    subscribed: frozenset

    def named(self, ident):
        """(name, box) of a mailbox that may have been renamed; (None, None) when it is gone."""
        for name, box in self.boxes.items():
            if box.ident == ident:
                return name, box
        return None, None

    def put(self, name, box):
        return dataclasses.replace(self, boxes={**self.boxes, name: box})

    def without(self, name):
        return dataclasses.replace(self, boxes={n: b for n, b in self.boxes.items() if n != name})

    def count(self):
        return sum(len(b.messages) for b in self.boxes.values())


class Answer(NamedTuple):
    """What an operation is answered; in `given` of an operation None stands for what the client was not told."""
    status: str                     # OK or NO
    uidvalidity: Optional[int] = None
    uids: Optional[tuple] = None    # of new messages; pairs (from, to) of copies
    modified: frozenset = frozenset()


OK = Answer("OK")
NO = Answer("NO")


def agrees(model, given):
    """Whether the answer of the model can be the one that was given."""
    if model.status != given.status or model.modified != given.modified:
        return False
    if given.uids is not None and (model.uids or ()) != given.uids:
        return False
    return given.uidvalidity is None or model.uidvalidity in (None, given.uidvalidity)


# --- operations ---

class Operation:
    """One command of a client. `given` is its answer, None when none came or it said that the outcome is unknown."""
    numbers = itertools.count(1)

    def __init__(self, **arguments):
        self.number = next(self.numbers)
        self.given = None
        self.__dict__.update(arguments)

    def apply(self, state):
        """(the state after it, its answer)"""
        raise NotImplementedError

    def halves(self, state):
        """What may be left of it when it was killed, besides all and nothing."""
        return []

    def box_uidvalidity(self, box):
        """A mailbox made meanwhile gets the UIDVALIDITY that the answer names."""
        if box.uidvalidity is None and self.given and self.given.uidvalidity:
            return dataclasses.replace(box, uidvalidity=self.given.uidvalidity)
        return box

    def __repr__(self):
        words = " ".join(f"{k}={v!r}" for k, v in self.__dict__.items() if k not in ("number", "given"))
        return f"{self.number}: {type(self).__name__} {words} -> {self.given}"


def add_all(box, messages):
    """Appends MESSAGES to BOX; (box, their uids)"""
    uids = tuple(range(box.uidnext, box.uidnext + len(messages)))
    return box.with_messages({**box.messages, **dict(zip(uids, messages))}, box.uidnext + len(messages)), uids


class Add(Operation):
    """APPEND of one or more messages (name, messages), or a delivery, which is not told UIDs."""

    def apply(self, state):
        box = state.boxes.get(self.name)
        if box is None or (self.room is not None and state.count() + len(self.messages) > self.room):
            return state, NO
        box, uids = add_all(self.box_uidvalidity(box), self.messages)
        return state.put(self.name, box), Answer("OK", box.uidvalidity, uids)


class Copy(Operation):
    """COPY or MOVE (ident, uids, target, move) from the mailbox that a session has selected."""

    def apply(self, state):
        name, source = state.named(self.ident)
        if source is None or self.target not in state.boxes or (self.move and self.read_only):
            return state, NO
        found = [u for u in self.uids if u in source.messages]
        copies = [source.messages[u]._replace(modseq=None) for u in found]
        if not self.move and self.room is not None and found and state.count() + len(copies) > self.room:
            return state, NO
        if not found:
            return state, OK
        target, uids = add_all(self.box_uidvalidity(state.boxes[self.target]), copies)
        state = state.put(self.target, target)
        if self.move:
            name, source = state.named(self.ident)      # it may be the target itself
            state = state.put(name, source.with_messages({u: m for u, m in source.messages.items() if u not in found}))
        return state, Answer("OK", target.uidvalidity, tuple(zip(found, uids)))


class Store(Operation):
    """STORE (ident, uids, mode, flags, unchanged_since, by_uid, silent). NO only when all that it names is gone, and never in silence."""

    def apply(self, state):
        name, box = state.named(self.ident)
        if box is None or self.read_only:
            return state, NO
        messages, modified, missing = dict(box.messages), set(), 0
        for uid in self.uids:
            message = messages.get(uid)
            if message is None:
                missing += 1
            elif self.unchanged_since is not None and (message.modseq is None or message.modseq > self.unchanged_since):
                modified.add(uid)
            else:
                flags = {"": self.flags, "+": message.flags | self.flags, "-": message.flags - self.flags}[self.mode]
                if flags != message.flags:
                    messages[uid] = message._replace(flags=flags, modseq=None)
        all_gone = missing and missing == len(set(self.uids))
        status = "NO" if all_gone and not self.by_uid and not self.silent else "OK"
        return state.put(name, box.with_messages(messages)), Answer(status, modified=frozenset(modified))


class Expunge(Operation):
    """EXPUNGE, UID EXPUNGE or CLOSE: UIDS are those that the session knows or names."""

    def apply(self, state):
        name, box = state.named(self.ident)
        if box is None or (self.read_only and not self.close):
            return state, NO
        if self.read_only:
            return state, OK
        keep = {u: m for u, m in box.messages.items() if u not in self.uids or DELETED not in m.flags}
        return state.put(name, box.with_messages(keep)), OK


def parents(name):
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


class Create(Operation):
    def apply(self, state):
        return make(self, state, self.name)


def make(operation, state, name):
    if name in state.boxes:
        return state, NO
    for level in [*parents(name), name]:
        if level not in state.boxes:
            state = state.put(level, Box((operation.number, level), None, 1, {}))
    return state, OK


class Delete(Operation):
    def apply(self, state):
        if self.name not in state.boxes or self.name == "INBOX":
            return state, NO
        return state.without(self.name), OK


class Rename(Operation):
    def apply(self, state):
        if self.name == "INBOX":
            return self.inbox(state)
        if self.name not in state.boxes or self.to.startswith(self.name + "/"):
            return state, NO
        moving = {n: self.to + n[len(self.name):] for n in state.boxes if n == self.name or n.startswith(self.name + "/")}
        if any(n in state.boxes for n in moving.values()):
            return state, NO
        boxes = {moving.get(n, n): b for n, b in state.boxes.items()}
        for level in parents(self.to):
            boxes.setdefault(level, Box((self.number, level), None, 1, {}))
        return dataclasses.replace(state, boxes=boxes), OK

    def halves(self, state):
        made, answer = make(self, state, self.to)
        return [made] if self.name == "INBOX" and answer == OK else []

    def inbox(self, state):
        """Its messages go to the new mailbox, INBOX stays (RFC 3501 section 6.3.5)."""
        state, answer = make(self, state, self.to)
        if answer == OK:
            inbox = state.boxes["INBOX"]
            to, _ = add_all(state.boxes[self.to], [m._replace(modseq=None) for m in inbox.messages.values()])
            state = state.put(self.to, to).put("INBOX", inbox.with_messages({}))
        return state, answer


class Subscribe(Operation):
    def apply(self, state):
        names = state.subscribed | {self.name} if self.on else state.subscribed - {self.name}
        return dataclasses.replace(state, subscribed=names), OK


# --- explaining ---

def differences(state, seen):
    """What of SEEN is not as STATE says, in words."""
    out = [f"{n}: {'there' if n in seen.boxes else 'not there'}" for n in sorted(state.boxes.keys() ^ seen.boxes.keys())]
    if state.subscribed != seen.subscribed:
        out.append(f"subscribed: {sorted(seen.subscribed ^ state.subscribed)} differ")
    for name in state.boxes.keys() & seen.boxes.keys():
        model, real = state.boxes[name], seen.boxes[name]
        if model.uidvalidity not in (None, real.uidvalidity):
            out.append(f"{name}: UIDVALIDITY {real.uidvalidity} instead of {model.uidvalidity}")
        if model.uidnext != real.uidnext:
            out.append(f"{name}: UIDNEXT {real.uidnext} instead of {model.uidnext}")
        for uid in sorted(model.messages.keys() | real.messages.keys()):
            a, b = model.messages.get(uid), real.messages.get(uid)
            if a is None or b is None:
                out.append(f"{name}: UID {uid} is {'there' if b else 'not there'}: {(a or b).key} {sorted((a or b).flags)}")
            elif (a.key, a.flags) != (b.key, b.flags):
                out.append(f"{name}: UID {uid} is {b.key} {sorted(b.flags)} instead of {a.key} {sorted(a.flags)}")
    return out


def adopt(state, seen):
    """STATE with what only a look can tell: UIDVALIDITY of new mailboxes, modseqs."""
    boxes = {}
    for name, box in state.boxes.items():
        real = seen.boxes[name]
        boxes[name] = dataclasses.replace(box, uidvalidity=real.uidvalidity, messages=real.messages)
    return dataclasses.replace(state, boxes=boxes)


class Unexplained(AssertionError):
    pass


def explain(state, operations, seen):
    """The state that an order of OPERATIONS leads to and that is what is SEEN. Raises Unexplained with the nearest miss."""
    nearest = None

    def search(state, left):
        nonlocal nearest
        if all(o.given is None for o in left):
            wrong = differences(state, seen)
            if not wrong:
                return state
            if nearest is None or len(wrong) < len(nearest):
                nearest = wrong
        for o in left:
            after, answer = o.apply(state)
            outcomes = [after]
            if o.given is None:
                outcomes = [s for s in (after, *o.halves(state)) if s != state]
            elif not agrees(answer, o.given):
                continue
            for outcome in outcomes:
                found = search(outcome, [p for p in left if p is not o])
                if found:
                    return found
        return None

    found = search(state, operations)
    if found:
        return adopt(found, seen)
    if nearest is None:
        nearest = ["no order of the operations gives these answers"]
    raise Unexplained("\n  ".join(["what is there has no explanation; the nearest order of operations leaves:", *nearest,
                                   "the operations were:", *map(repr, operations)]))
