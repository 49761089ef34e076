"""The rulebook holds every rule file to its invariants, and names the file that breaks one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pgaudit import rulebook
from pgaudit.errors import RulebookError
from pgaudit.rulebook import Rulebook
from tests.support import write_rule


def test_rules_are_found_by_path_and_sorted_by_id(book: Rulebook) -> None:
    assert [entry.rule.id for entry in book] == ["voice/mumble", "voice/shout", "voice/silence"]
    entry = book.get("voice/shout")
    assert entry is not None
    assert entry.rule.title == "A word is shouted"
    assert entry.examples.name == "shout.md"
    assert book.get("voice/song") is None


def test_an_underscore_in_the_file_name_is_a_hyphen_in_the_id(rules: Path) -> None:
    for suffix in (".py", ".md"):
        (rules / "voice/shout").with_suffix(suffix).rename((rules / "voice/loud_shout").with_suffix(suffix))
    assert rulebook.load(rules).get("voice/loud-shout") is not None


def test_files_that_are_no_rules_are_left_alone(rules: Path) -> None:
    (rules / "voice/_shared.py").write_text("raise RuntimeError")
    (rules / "voice/shout.example.py").write_text("raise RuntimeError")
    (rules / "top.py").write_text("raise RuntimeError")
    assert len(rulebook.load(rules)) == 3


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("RULE = ", "OTHER = ", "declares RULE"),
        ("def check(", "def look(", "declares RULE"),
        ("## Known limits", "## Limits", "headings"),
        ("## How to fix\nWhisper.\n", "", "headings"),
        ('rulings=(Ruling(Strength.MAINTAINER, "ada", "2026-04-01", "#7", "no loud words"),)', "rulings=()", "ruling"),
        ('mechanism="shouting"', 'mechanism=""', "mechanism"),
        (
            "RULE = Rule.declare(\n    __file__",
            'RULE = Rule.declare(\n    "rules/voice/whisper.py"',
            "does not match the path",
        ),
        ("from pgaudit.rule import", "from pgaudit.nothing import", "ModuleNotFoundError"),
        ("def check(", "def check(((", "SyntaxError"),
    ],
)
def test_a_broken_invariant_names_the_file(rules: Path, old: str, new: str, complaint: str) -> None:
    file = rules / "voice/shout.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(RulebookError, match=complaint) as caught:
        rulebook.load(rules)
    assert str(file) in str(caught.value)


def test_a_rule_without_examples_is_refused(rules: Path) -> None:
    (rules / "voice/shout.md").unlink()
    with pytest.raises(RulebookError, match=r"shout\.md belongs beside it"):
        rulebook.load(rules)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match="no rules here"):
        rulebook.load(tmp_path / "nowhere")


def test_the_digest_follows_what_decides_and_nothing_else(rules: Path) -> None:
    before = rulebook.load(rules).digest
    (rules / "voice/shout.md").write_text("# other examples")
    assert rulebook.load(rules).digest == before
    (rules / "policy").mkdir()
    (rules / "policy/editions.toml").write_text("limit = 1")
    with_policy = rulebook.load(rules).digest
    (rules / "voice/shout.py").write_text((rules / "voice/shout.py").read_text() + "# changed\n")
    assert len({before, with_policy, rulebook.load(rules).digest}) == 3


def test_the_digest_is_the_same_wherever_the_rules_are(rules: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere/rules"
    for rule_id in ("voice/silence", "voice/mumble", "voice/shout"):
        write_rule(elsewhere, rule_id)
    assert rulebook.load(elsewhere).digest == rulebook.load(rules).digest


def test_loading_our_own_rules_does_not_import_the_parser() -> None:
    code = "import sys; from pgaudit import rulebook; assert len(rulebook.load()); print('libcst' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
