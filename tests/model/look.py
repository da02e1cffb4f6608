"""Looking at what is there: a session of its own that reads a whole account, and what has to hold between two looks."""

import hashlib

from client import Imap, Wrong, as_set, flag_set
from oracle import Box, Message, State

ITEMS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE")


class Observer:
    """Reads one account, and remembers what no change may touch."""

    def __init__(self, world, account):
        self.world, self.account = world, account
        self.session = None
        self.keys = {}          # (uidvalidity, name, uid) -> Message-ID: for ever
        self.sizes = {}         # Message-ID, uid ... -> RFC822.SIZE
        self.status = {}        # name -> STATUS at the last look
        self.highest = {}       # which mailbox -> HIGHESTMODSEQ

    def connected(self):
        if self.session is None or self.session.wire.dead:
            w = self.world
            self.session = Imap("look", w.lab.ports["imaps"], w.context, self.account, w.record, True)
        return self.session

    # --- reading ---

    def look(self, known, every):
        """The account as it is. Mailboxes whose STATUS is as before are taken from KNOWN unless EVERY."""
        session = self.connected()
        session.view = None
        told = session.must(f'LIST "" "*" RETURN (STATUS ({" ".join(ITEMS)}))')
        names = [w[4].decode() for w in told if w[1] == b"LIST" and not {b"\\Noselect", b"\\NonExistent"} & set(w[2])]
        status = {w[2].decode(): self.items(w[3]) for w in told if w[1] == b"STATUS"}
        if sorted(status) != sorted(names):
            raise Wrong(f"LIST names {sorted(names)}, STATUS was told of {sorted(status)}")
        told = session.must('LIST (SUBSCRIBED) "" "*"')
        subscribed = frozenset(w[4].decode() for w in told if w[1] == b"LIST")
        boxes = {}
        for name in names:
            before = known.boxes.get(name) if known else None
            if every or before is None or self.status.get(name) != status[name]:
                boxes[name] = self.read(session, name, status[name], every)
            else:
                boxes[name] = before
        self.status = status
        return State(boxes, subscribed)

    @staticmethod
    def items(words):
        return {k.decode(): int(v) for k, v in zip(words[::2], words[1::2])}

    def read(self, session, name, status, every):
        if not session.select(name, read_only=True):
            raise Wrong(f"{name} is listed and cannot be selected")
        v = session.view
        if (v.uidvalidity, v.uidnext, len(v.uids)) != (status["UIDVALIDITY"], status["UIDNEXT"], status["MESSAGES"]):
            raise Wrong(f"{name}: SELECT and STATUS {status} differ")
        self.read_keys(session, name, [u for u in v.uids if every or (v.uidvalidity, name, u) not in self.keys])
        messages = {u: Message(self.keys[v.uidvalidity, name, u], v.flags[u], v.modseqs[u]) for u in v.uids}
        unseen = sum(r"\Seen" not in m.flags for m in messages.values())
        size = sum(self.sizes[v.uidvalidity, name, u] for u in v.uids)
        if (unseen, size) != (status["UNSEEN"], status["SIZE"]):
            raise Wrong(f"{name}: {unseen} unseen, {size} bytes, STATUS says {status}")
        top = max([1, *v.modseqs.values()])
        if status["HIGHESTMODSEQ"] < top or v.highest < top:
            raise Wrong(f"{name}: HIGHESTMODSEQ {status['HIGHESTMODSEQ']} in STATUS, {v.highest} in SELECT, below {top} of a message")
        return Box((v.uidvalidity, name), v.uidvalidity, v.uidnext, messages)

    def read_keys(self, session, name, uids):
        """Asks for the Message-IDs; what was read before may not differ."""
        if not uids:
            return
        found = set()
        for words in session.must(f"UID FETCH {as_set(uids)} (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"):
            if words[2:3] != [b"FETCH"]:
                continue
            items = dict(zip(words[3][::2], words[3][1::2]))
            uid, key = int(items[b"UID"]), items[b"BODY[HEADER.FIELDS (MESSAGE-ID)]"].decode().partition(":")[2].strip()
            where = session.view.uidvalidity, name, uid
            if self.keys.setdefault(where, key) != key:
                raise Wrong(f"{name}: UID {uid} was {self.keys[where]} and is {key}")
            if self.sizes.setdefault(where, int(items[b"RFC822.SIZE"])) != int(items[b"RFC822.SIZE"]):
                raise Wrong(f"{name}: UID {uid} has another size than before")
            found.add(uid)
        if found != set(uids):
            raise Wrong(f"{name}: FETCH of UIDs {as_set(uids)} told only {sorted(found)}")

    # --- judging ---

    def check_modseqs(self, before, after):
        """Modseqs only go up, and whatever changed is above all that was there (RFC 7162 section 3.1)."""
        for name, box in after.boxes.items():
            old_name, old = before.named(box.ident)
            highest = self.status[name]["HIGHESTMODSEQ"]
            floor = self.highest.get(box.ident, 0)
            if highest < floor:
                raise Wrong(f"{name}: HIGHESTMODSEQ went from {floor} to {highest}")
            for uid, message in box.messages.items():
                was = old.messages.get(uid) if old else None
                if was and was.flags == message.flags and message.modseq < was.modseq:
                    raise Wrong(f"{name}: modseq of UID {uid} went from {was.modseq} to {message.modseq}")
                if old and (was is None or was.flags != message.flags) and message.modseq <= floor:
                    raise Wrong(f"{name}: UID {uid} changed and its modseq {message.modseq} is not above {floor}")
            self.highest[box.ident] = highest

    def check_bodies(self, state):
        """Some messages of each mailbox are what was sent, to the byte. SMTP puts trace fields before it."""
        session, rng = self.connected(), self.world.rng
        for name, box in state.boxes.items():
            if not box.messages:
                continue
            if not session.select(name, read_only=True):
                raise Wrong(f"{name} cannot be selected")
            uids = sorted(rng.sample(sorted(box.messages), min(8, len(box.messages))))
            for words in session.must(f"UID FETCH {as_set(uids)} (FLAGS BODY.PEEK[])"):
                if words[2:3] != [b"FETCH"]:
                    continue
                items = dict(zip(words[3][::2], words[3][1::2]))
                uid, body = int(items[b"UID"]), items[b"BODY[]"]
                length, digest = self.world.bodies[box.messages[uid].key]
                if hashlib.sha256(body[len(body) - length:]).hexdigest() != digest:
                    raise Wrong(f"{name}: UID {uid} is not what was sent")
                if flag_set(items[b"FLAGS"]) != box.messages[uid].flags:
                    raise Wrong(f"{name}: UID {uid}: other flags than a moment ago")
