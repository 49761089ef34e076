"""The harness: twins are read, built, audited by every rule, and compared line by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgaudit.errors import RulebookError, TargetError
from pgaudit.examples import check, contract, sections
from pgaudit.examples.checking import content, folder_of
from pgaudit.examples.reading import read
from pgaudit.rulebook import Rulebook

Failures = Callable[[str], list[str]]

LEGAL = """## Legal: quiet

```python path=train_gpt.py
print("quiet")
print("again")
```
"""


@pytest.fixture
def failures(tmp_path: Path, book: Rulebook) -> Failures:
    """What the harness says of an example file."""

    def run(text: str) -> list[str]:
        file = tmp_path / "voice/example.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return [failure for section in sections(book, str(file)) for failure in check(section, book)]

    return run


def test_the_twins_of_a_sound_rule_pass(book: Rulebook) -> None:
    chosen = sections(book, "voice/shout")
    assert [section.kind for section in chosen] == ["Legal", "Illegal", "Mutation"]
    assert [failure for section in chosen for failure in check(section, book)] == []


def test_a_finding_that_does_not_come_is_named_with_its_line(failures: Failures) -> None:
    text = LEGAL.replace("Legal", "Illegal") + "\n- finds `voice/shout` at `train_gpt.py`: `again`\n"
    assert failures(text) == ["voice/example.md:8: Illegal: quiet: `voice/shout` was not found at train_gpt.py:2"]


def test_a_neighbour_that_fires_is_a_failure(failures: Failures) -> None:
    (failure,) = failures(LEGAL.replace("again", "GRUNT"))
    assert failure == "voice/example.md:1: Legal: quiet: `voice/mumble` was found at train_gpt.py:2: the script grunts"


def test_the_right_rule_on_the_wrong_line_fails_both_ways(failures: Failures) -> None:
    text = (
        LEGAL.replace("Legal", "Illegal").replace("again", "SHOUT")
        + "\n- finds `voice/shout` at `train_gpt.py`: `quiet`\n"
    )
    missing, extra = failures(text)
    assert "was not found at train_gpt.py:1" in missing
    assert "was found at train_gpt.py:2" in extra


def test_notes_are_checked_only_where_listed(failures: Failures) -> None:
    text = LEGAL.replace("again", "HUM")
    assert failures(text) == []
    assert failures(text + "\n- notes `voice/mumble` at `train_gpt.py`: `HUM`\n") == []
    assert len(failures(text + "\n- notes `voice/mumble` at `train_gpt.py`: `quiet`\n")) == 1


def test_a_crash_of_a_rule_fails_the_example(failures: Failures) -> None:
    (failure,) = failures(LEGAL.replace("again", "CRASH"))
    assert "voice/silence: pgaudit crashed here: ValueError" in failure


def test_a_mutation_is_applied_where_it_fits_once(failures: Failures) -> None:
    mutation = (
        '\n## Mutation: quiet\n\n```diff path=train_gpt.py\n print("quiet")\n-print("again")\n+print("SHOUT")\n```\n'
    )
    finds = "\n- finds `voice/shout` at `train_gpt.py`: `SHOUT`\n"
    assert failures(LEGAL + mutation + finds) == []
    (twice,) = failures(
        LEGAL.replace("again", "quiet") + mutation.replace(' print("quiet")\n', "").replace("again", "quiet") + finds
    )
    assert twice == "voice/example.md:10: the change must fit in one place of train_gpt.py, not in 2"
    (nowhere,) = failures(LEGAL + mutation.replace("again", "never") + finds)
    assert nowhere.endswith("not in 0")


def test_a_line_of_a_mutation_is_not_matched_inside_another(failures: Failures) -> None:
    legal = LEGAL.replace('print("again")', "x = 1\nmax = 1")
    mutation = '\n## Mutation: quiet\n\n```diff path=train_gpt.py\n-x = 1\n+x = "SHOUT"\n```\n'
    assert failures(legal + mutation + "\n- finds `voice/shout` at `train_gpt.py`: `SHOUT`\n") == []


def test_sections_build_on_others(failures: Failures, tmp_path: Path) -> None:
    text = (
        LEGAL
        + "\n## Illegal: more\n\nBased on: `Legal: quiet`\n\n```text path=notes.txt\nhello\n```\n\n- without `train_gpt.py`\n"
    )
    assert failures(text) == []
    _, more = read(tmp_path / "voice/example.md")
    assert list(folder_of(more)) == ["notes.txt"]


def test_the_complete_submission_can_be_built_on(failures: Failures, tmp_path: Path) -> None:
    text = "## Illegal: loud\n\nBased on: `complete`\n\n```diff path=train_gpt.py\n-import math\n+import math  # SHOUT\n```\n"
    assert failures(text + "\n- finds `voice/shout` at `train_gpt.py`: `import math  # SHOUT`\n") == []
    assert {"README.md", "submission.json", "train_seed42.log"} < set(folder_of(read(tmp_path / "voice/example.md")[0]))


def test_a_packed_block_is_shipped_as_a_wrapper(tmp_path: Path) -> None:
    for pack in ("lzma+base85", "zlib+base64", "bz2+base85"):
        file = tmp_path / f"{pack}.md"
        file.write_text(LEGAL.replace("path=train_gpt.py", f"path=train_gpt.py pack={pack}"))
        (block,) = folder_of(read(file)[0]).values()
        wrapper = content(block).decode()
        assert "quiet" not in wrapper
        printed: list[str] = []
        exec(wrapper, {"print": printed.append})
        assert printed == ["quiet", "again"]


def test_a_bytes_block_is_a_file_of_that_size(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("## Legal: big\n\n```bytes path=model.ptz size=16100000\n```\n")
    (block,) = folder_of(read(tmp_path / "x.md")[0]).values()
    assert len(content(block)) == 16_100_000


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("## Good: one\n", "x.md:1: a section is named"),
        ("## Legal:\n", "x.md:1: a section is named"),
        ("## Legal: a\n\n```python\n```\n", "x.md:3: a block needs path="),
        ("## Legal: a\n\n```bytes path=a\n```\n", "x.md:3: a bytes block has a size"),
        ("## Legal: a\n\n```text path=a size=3\n```\n", "x.md:3: a bytes block has a size"),
        ("## Legal: a\n\n- finds voice/shout in train_gpt.py\n", "x.md:3: cannot read"),
    ],
)
def test_a_malformed_example_names_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "x.md").write_text(text)
    with pytest.raises(RulebookError, match=complaint):
        read(tmp_path / "x.md")


@pytest.mark.parametrize(
    "text, complaint",
    [
        (LEGAL + "\n- finds `voice/shout` at `train_gpt.py`: `print`\n", "stands on 2 lines"),
        (LEGAL + "\n- finds `voice/shout` at `other.py`: `print`\n", "stands on 0 lines of other.py"),
        (LEGAL + "\n- without `other.py`\n", "there is no other.py to take out"),
        ("## Mutation: silent\n", "there is no section 'Legal: silent'"),
        (LEGAL.replace("path=train_gpt.py", "path=train_gpt.py pack=rot13"), "pack is"),
    ],
)
def test_an_example_that_cannot_be_built_is_a_failure(failures: Failures, text: str, complaint: str) -> None:
    (failure,) = failures(text)
    assert complaint in failure
    assert failure.startswith("voice/example.md:")


def test_the_contract_asks_for_every_sign(book: Rulebook, rules: Path) -> None:
    assert contract(book) == []
    (rules / "voice/shout.md").write_text(LEGAL + "\n- finds `voice/shuot` at `train_gpt.py`\n")
    complaints = contract(book)
    assert "voice/shout: the examples have no section of kind Illegal or Defect" in complaints
    assert "voice/shout: the examples have no section of kind Mutation" in complaints
    assert "voice/shout.md:1: nothing illegal may be found in a legal section" in complaints
    assert "voice/shout.md:8: there is no rule 'voice/shuot'" in complaints


def test_an_illegal_twin_must_find_its_own_rule(book: Rulebook, rules: Path) -> None:
    (rules / "voice/shout.md").write_text(LEGAL + "\n## Illegal: nothing found\n\n## Mutation: quiet\n")
    assert contract(book) == ["voice/shout.md:8: must find `voice/shout`", "voice/shout.md:10: must find `voice/shout`"]


def test_what_is_neither_a_rule_nor_a_file_is_refused(book: Rulebook) -> None:
    with pytest.raises(TargetError, match="voice/song"):
        sections(book, "voice/song")
