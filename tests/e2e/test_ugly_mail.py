"""Hundreds of broken messages, asked of valise and of Dovecot: each difference is explained, each explanation holds (tests/data/ugly)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ugly"))
import corpus  # noqa: E402
import explained  # noqa: E402


def test_what_is_committed_is_what_is_generated():
    kept = {path.stem: path.read_bytes() for path in corpus.FOLDER.glob("*.eml")}
    assert kept == corpus.generated(), "scripts/ugly-mail write"
    assert len(kept) >= 300


@pytest.fixture(scope="module")
def judged():
    blocks = explained.read(corpus.EXPLANATIONS)
    return explained.judge(corpus.differences(corpus.messages()), blocks)


def test_every_difference_is_explained(judged):
    left, _ = judged
    assert not left, "\n".join(f"{name}: {item}: we say {ours[:200]}, they say {theirs[:200]}" for name, item, ours, theirs in left[:40])


def test_every_explanation_is_needed(judged):
    _, stale = judged
    assert not stale, "\n".join(f"differences.txt:{line}: explains nothing any more: {glob}" for line, glob in stale)


def test_a_difference_that_nobody_explains_is_found():
    block = explained.Block(1)
    block.messages, block.items, block.example = ["a-*"], ["BODY[1]"], "a-b | BODY[1]"
    differences = [("a-b", "BODY[1]", "x", "y"), ("a-b", "BODY[2]", "x", "y"), ("c", "BODY[1]", "x", "y")]
    left, stale = explained.judge(differences, [block])
    assert [d[:2] for d in left] == [("a-b", "BODY[2]"), ("c", "BODY[1]")] and not stale
    block.messages.append("gone-*")
    assert explained.judge(differences, [block])[1] == [(1, "gone-*")]
