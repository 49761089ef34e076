"""The log as a witness: what shows that a setting was on in the run, and what shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pgaudit.evidence.evidence import Evidence
from tests.evidence.support import ADAPT, CLAIM, LOG, indented, script

Make = Callable[[Mapping[str, str]], Evidence]

FLAG = 'adapt = int(os.environ.get("ADAPT", "0"))\n'
LINE = "adapting to the stream now\n"


def when(test: str, message: str = LINE.strip()) -> str:
    return f"if {test}:\n" + indented(f'print("{message}")\n' + ADAPT)


def on(make: Make, middle: str, log: str) -> set[str]:
    """The settings that the run was found to have on, though their default is off."""
    run = make({"train_gpt.py": script(middle), "submission.json": CLAIM, "train.log": log + LOG}).run
    assert run
    assert run.matched
    shown = {name for name, (value, source) in run.walk.settings.items() if "train.log" in source and value != "0"}
    assert bool(run.state_changes) is bool(shown)
    return shown


@pytest.mark.parametrize(
    "read",
    [
        FLAG,
        'adapt = os.environ.get("ADAPT", "0") == "1"\n',
        'adapt = bool(int(os.getenv("ADAPT", 0)))\n',
        'adapt = os.environ.get("ADAPT", "false").lower() in ("1", "true")\n',
        'adapt = os.environ.get("ADAPT")\n',
        'class Settings:\n    adapt = int(os.environ.get("ADAPT", "0")) > 0\nadapt = Settings().adapt\n',
        'def setting(name, default):\n    raw = os.environ.get(name)\n    if raw is None:\n        return default\n    return int(raw)\nadapt = setting("ADAPT", 0)\n',
        'adapt = 3 if int(os.environ.get("ADAPT", "0")) else 0\n',
        'import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument("--ADAPT", action="store_true")\nadapt = parser.parse_args().ADAPT\n',
    ],
    ids=["number", "equal", "getenv", "words", "none", "class", "helper", "conditional", "argument"],
)
def test_a_line_that_only_a_block_prints_shows_that_it_ran(make_evidence: Make, read: str) -> None:
    assert {name.lstrip("-") for name in on(make_evidence, read + when("adapt"), LINE)} == {"ADAPT"}
    assert on(make_evidence, read + when("adapt"), "") == set()


@pytest.mark.parametrize(
    "block",
    [
        "if adapt:\n" + indented('print(f"adapting to {len(val)} tokens now")\n' + ADAPT),
        "if adapt:\n" + indented('print("adapting to " + str(len(val)) + " tokens now")\n' + ADAPT),
        "if not adapt:\n    pass\nelse:\n" + indented('print("adapting to", "12 tokens now")\n' + ADAPT),
        "for epoch in range(adapt):\n" + indented('print(f"adapting to tokens now, {epoch}")\n' + ADAPT),
        "def work():\n" + indented('print("adapting to 12 tokens now")\n' + ADAPT) + "if adapt:\n    work()\n",
        "def log0(text):\n    print(text, flush=True)\nif adapt:\n"
        + indented('log0("adapting to 12 tokens now")\n' + ADAPT),
    ],
    ids=["format", "sum", "else", "loop", "function", "printer"],
)
def test_every_form_of_a_block(make_evidence: Make, block: str) -> None:
    log = "adapting to tokens now, 0\n" if "epoch" in block else "adapting to 12 tokens now\n"
    assert on(make_evidence, FLAG + block, log) == {"ADAPT"}


def test_a_setting_that_was_on_may_show_the_next(make_evidence: Make) -> None:
    inner = 'print("adapting to the stream now")\ntwice = int(os.environ.get("TWICE", "0"))\nif twice:\n    print("a second time around")\n'
    middle = FLAG + "if adapt:\n" + indented(inner + ADAPT)
    assert on(make_evidence, middle, LINE + "a second time around\n") == {"ADAPT", "TWICE"}


BOTH = 'other = int(os.environ.get("OTHER", "0"))\n'


@pytest.mark.parametrize(
    "middle,log",
    [
        (
            FLAG + when("adapt"),
            'import os\nif older_flag:\n    print("adapting to the stream now", "again")\n' + "=" * 80 + "\n",
        ),
        (FLAG + when("adapt"), '    print("adapting to the stream now")\n'),
        (FLAG + when("adapt", "adapt_words: 12"), "adapt_words: 12\n"),
        (FLAG + when("adapt", "done"), "done\n"),
        (FLAG + BOTH + when("adapt or other"), LINE),
        (FLAG + BOTH + when("adapt") + f"if other:\n    print({LINE.strip()!r})\n", LINE),
        (FLAG + f"print({LINE.strip()!r})\n" + when("adapt"), LINE),
        (FLAG + when("adapt") + "if adapt:\n    os._exit(0)\n", LINE),
    ],
    ids=[
        "printed source",
        "a line of the source",
        "dump of settings",
        "too short",
        "one of two settings",
        "printed by two blocks",
        "printed anyway",
        "the score would not be printed",
    ],
)
def test_what_shows_nothing(make_evidence: Make, middle: str, log: str) -> None:
    assert on(make_evidence, middle, log) == set()


@pytest.mark.parametrize("shown,expected", [("3", {"ADAPT"}), ("0", set()), ("False", set()), ("off", set())])
def test_a_printed_value_may_contradict_the_default(make_evidence: Make, shown: str, expected: set[str]) -> None:
    middle = FLAG + 'print(f"will adapt ({adapt}) before scoring")\nif adapt:\n' + indented(ADAPT)
    assert on(make_evidence, middle, f"will adapt ({shown}) before scoring\n") == expected


@pytest.mark.parametrize(
    "word,expected", [("start", {"ADAPT"}), ("2", {"ADAPT"}), ("off", set()), ("skipped", set()), ("0", set())]
)
def test_a_setting_given_as_a_word_is_on(make_evidence: Make, word: str, expected: set[str]) -> None:
    assert on(make_evidence, FLAG + "if adapt:\n" + indented(ADAPT), f"ADAPT:{word}\n") == expected


def test_a_word_stays_a_word_where_words_are_expected(make_evidence: Make) -> None:
    middle = 'if os.environ.get("MODE", "plain") == "start":\n' + indented(ADAPT)
    assert on(make_evidence, middle, "MODE:start\n") == {"MODE"}


def test_a_mode_that_the_log_shows_may_be_any_but_the_default(make_evidence: Make) -> None:
    read = 'mode = os.environ.get("MODE", "standard")\n'
    assert on(make_evidence, read + when('mode == "adaptive"'), LINE) == {"MODE"}
    assert on(make_evidence, read + when('mode == "adaptive"'), "") == set()
