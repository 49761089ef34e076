"""Renaming: a script does the same under other names, whatever must not be renamed stays, and a change is told."""

from __future__ import annotations

import base64
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from pgaudit import policy
from pgaudit.rulebook import Rulebook
from tests.accuracy import renaming
from tests.accuracy.folders import Auditor
from tests.accuracy.support import folder

SCRIPT = '''"""A script that uses names in every way that there is."""
import argparse
import dataclasses
import functools
import json as notation
import os
from collections import OrderedDict as Ordered


@dataclasses.dataclass
class Settings:
    width: int = 3
    depth: int = int(os.environ.get("DEPTH", "4"))
    listed: str = "not a name"
    note: str = dataclasses.field(default="x")


class Base:
    shared = 5
    count = 1

    def __init__(self, width, *, gain=2, **rest):
        self.width = width
        self.gain = gain
        self.rest = rest
        self.layer_0 = 10

    def forward(self, value, scale=1):
        return value * self.gain * scale + self.shared

    def __call__(self, *values, **named):
        return self.forward(*values, **named)

    @property
    def doubled(self):
        return self.width * 2


class Derived(Base):
    def __init__(self, width, bonus=7):
        super().__init__(width, gain=bonus, extra=1)
        self.bonus = bonus

    def total(self, first, *, second=1):
        inner = 0

        def add(amount):
            nonlocal inner
            inner += amount
            return inner

        add(first)
        add(amount=second)
        return inner + self.doubled + getattr(self, f"layer_{0}") + getattr(self, "bonus")


COUNTER = 0


def bump(by=1):
    global COUNTER
    COUNTER += by
    return COUNTER


def key_of(pair):
    return pair[1]


def main():
    settings = Settings(width=8, note="y")
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=3)
    options = parser.parse_args([])
    model = Derived(settings.width, bonus=3)
    squares = {number: number**2 for number in range(settings.depth) if number}
    ordered = Ordered(sorted(squares.items(), key=key_of, reverse=True))
    (first, *others), size = list(ordered), len(ordered)
    partly = functools.partial(bump, by=5)
    with open(os.devnull) as nothing:
        text = nothing.read()
    try:
        raise ValueError("no")
    except ValueError as problem:
        reason = str(problem)
    scale = lambda factor: factor + size
    print(options.batch_size, model(2, scale=3), model.total(1, second=first), partly(), bump(by=2))
    print(f"{first=!r:>3}"[-3:], others, text, reason, scale(factor=1), (half := size / 2), half)
    print(notation.dumps(dict(width=settings.width)), settings.listed, [*map(str, model.rest)], vars(settings)["listed"])


if __name__ == "__main__":
    main()
'''


@pytest.fixture(scope="module")
def auditor() -> Auditor:
    return Auditor.load()


def said(text: str) -> str:
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout


def test_a_script_does_the_same_under_other_names(auditor: Auditor) -> None:
    one = folder(auditor, SCRIPT)
    assert one.main is not None
    text, number = renaming.renamed(one.main, one.submission)
    assert said(text) == said(SCRIPT)
    assert number >= 35
    assert len(text) == len(SCRIPT)
    assert len(text.splitlines()) == len(SCRIPT.splitlines())
    for gone in ("Settings", "Derived", "doubled", "shared", "COUNTER", "squares", "key_of", "self", "problem", "half"):
        assert gone not in text
    for kept in ("batch_size", "forward", "bonus", "DEPTH", "listed", "layer_0", "argparse", "Ordered"):
        assert kept in text


def test_the_same_verdict_is_no_news(auditor: Auditor) -> None:
    assert renaming.compare(folder(auditor, SCRIPT), auditor) == "same"


def test_a_rule_that_lives_off_a_name_is_told(book: Rulebook) -> None:
    auditor = Auditor(book, policy.load())
    outcome = renaming.compare(folder(auditor, "SHOUT = 1\nprint(SHOUT)\n"), auditor)
    assert outcome.startswith("changed: 1 names, illegal shouting -> clean\n  - error[voice/shout] train_gpt.py:1")


def test_the_same_verdict_for_another_reason_is_told(book: Rulebook) -> None:
    auditor = Auditor(book, policy.load())
    outcome = renaming.compare(folder(auditor, "SHOUT = 1\nprint('SHOUT!')\n"), auditor)
    assert outcome.startswith(
        "same verdict by other findings: 1 names, illegal shouting -> illegal shouting\n  - error"
    )


def test_names_that_a_helper_module_shares_stay(auditor: Auditor) -> None:
    one = folder(auditor, "from tools import run\nshared = 1\nalone = 2\nrun(shared)\n", tools="def run(shared): ...\n")
    assert one.main is not None
    text, number = renaming.renamed(one.main, one.submission)
    assert number == 1
    assert text.splitlines()[1] == "shared = 1"


def test_a_script_without_blanks_is_renamed(auditor: Auditor) -> None:
    one = folder(auditor, "first=1\nsecond=1 if(first)else-1\nprint(first or(second))\nprint((first)or second)\n")
    assert one.main is not None
    text, number = renaming.renamed(one.main, one.submission)
    assert (number, said(text)) == (2, "1\n1\n")


def test_a_packed_script_is_left_out(auditor: Auditor) -> None:
    payload = base64.b85encode(zlib.compress(SCRIPT.encode()))
    text = f"import base64, zlib\nexec(zlib.decompress(base64.b85decode({payload!r})))\n"
    assert renaming.compare(folder(auditor, text), auditor) == "packed"


def test_a_script_that_does_not_parse_is_left_out(auditor: Auditor) -> None:
    assert renaming.compare(folder(auditor, "def (:\n"), auditor).startswith("left out: could not be renamed")


def test_a_campaign_counts_every_folder_once(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert renaming.main(["--repo", str(clone), "--prs", "1-5"]) == 0
    assert capsys.readouterr().out == "same: 1, the same script again: 3\n"
