"""The explained differences (tests/data/ugly/differences.txt) against those that were seen.

The file has blocks, an empty line between:

    messages: globs of message names
    items: one glob of items a line, more with further lines of this kind
    example: a message, a bar, an item
    ours: what valise says to it, or how that begins
    theirs: what Dovecot says
    because: the reason, with the rule; further lines are indented

A difference is explained by the first block of which a message glob and an item glob match it. The example has to be one of them."""

import fnmatch


class Block:
    def __init__(self, line):
        self.line = line
        self.messages, self.items, self.because = [], [], ""
        self.example = self.ours = self.theirs = ""
        self.used = set()

    def explains(self, name, item):
        for message in self.messages:
            if not fnmatch.fnmatchcase(name, message):
                continue
            for pattern in self.items:
                if fnmatch.fnmatchcase(item, pattern.replace("[", "[[]")):
                    self.used |= {message, pattern}
                    return True
        return False

    def unused(self):
        return [glob for glob in self.messages + self.items if glob not in self.used]


def read(path):
    blocks, block, key = [], None, None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            block = None
            continue
        if block is None:
            block = Block(number)
            blocks.append(block)
        if line.startswith(" "):
            if key == "because":
                block.because += " " + line.strip()
            elif key == "messages":
                block.messages += line.split()
            continue
        key, _, value = line.partition(": ")
        if key == "messages":
            block.messages += value.split()
        elif key == "items":
            block.items.append(value)
        elif key == "because":
            block.because = value
        elif key in ("example", "ours", "theirs"):
            setattr(block, key, value)
        else:
            raise ValueError(f"{path}:{number}: no such word: {key}")
    for block in blocks:
        if not (block.messages and block.items and block.because):
            raise ValueError(f"{path}:{block.line}: messages, items and because are needed")
    return blocks


def example_holds(block, differences):
    name, _, item = block.example.partition(" | ")
    return any((name, item) == d[:2] and d[2].startswith(block.ours) and d[3].startswith(block.theirs) for d in differences)


def judge(differences, blocks):
    """(differences that nobody explains, [(line, glob)] of explanations that explain nothing and examples that are not so)."""
    explainers = [next((block for block in blocks if block.explains(d[0], d[1])), None) for d in differences]
    left = [d for d, block in zip(differences, explainers) if not block]
    stale = [(block.line, glob) for block in blocks for glob in block.unused()]
    for block in blocks:
        if not example_holds(block, [d for d, by in zip(differences, explainers) if by is block]):
            stale.append((block.line, f"example: {block.example}"))
    return left, stale
