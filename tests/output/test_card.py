"""The card in its three formats: by the schema, readable, and deaf to hostile text."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt

from pgaudit.card.card import card_of
from pgaudit.evidence.evidence import Evidence
from pgaudit.output import Format
from pgaudit.output.card import document, render
from pgaudit.policy import load
from pgaudit.submission import Collected
from tests.support import CHECKOUT, EXAMPLE, FOLDER, run_pgaudit, submission

HOSTILE = '{"val_bpb": "1.1 \\u001b[31m|@openai<script>"}'
SCRIPT = (
    'import os\nimport zlib\nlevel = os.environ.get("NUM_LAYERS", "\\u001b[31m|`@openai <b>")\nzlib.compress(b"")\n'
)


def hostile() -> tuple[Collected, str, str]:
    found = submission(SCRIPT, {"submission.json": HOSTILE.encode()})
    cards = tuple(card_of(Evidence(folder, load().edition_at(None))) for folder in found.submissions)
    return found, render(cards, found.origin, Format.TERMINAL), render(cards, found.origin, Format.MARKDOWN)


@pytest.mark.parametrize("target", [EXAMPLE, None])
def test_the_document_is_by_the_schema(target: Path | None, clone: Path) -> None:
    schema = json.loads(resources.files("pgaudit.output").joinpath("card.schema.json").read_text("utf-8"))
    where = (target,) if target else ("--repo", clone, "--pr", "5")
    done = run_pgaudit("card", *where, "--format", "json")
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(json.loads(done.out))
    assert done.out.isascii()


def test_a_schema_violation_would_be_noticed() -> None:
    found, _, _ = hostile()
    schema = json.loads(resources.files("pgaudit.output").joinpath("card.schema.json").read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document((), found.origin), schema)


def test_hostile_text_has_no_effect() -> None:
    _, terminal, markdown = hostile()
    assert "\x1b" not in terminal + markdown
    assert "@openai" not in markdown
    assert "<script>" not in markdown
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) % 4 == 0


def test_the_terminal_says_what_where_and_whether_the_claims_hold() -> None:
    out = run_pgaudit("card", EXAMPLE).out
    assert out.startswith("records/track_10min_16mb/2026-04-02_HashedNgramCache\n")
    assert "n-gram cache" in out
    assert "train_gpt.py:" in out
    assert "val_bpb: agrees" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_explain_names_what_set_a_value() -> None:
    assert "lr 0.001 (code)" in run_pgaudit("card", EXAMPLE, "--explain").out


@pytest.mark.parametrize("style", list(Format))
def test_the_same_input_gives_the_same_bytes(style: Format, tmp_path: Path) -> None:
    first = run_pgaudit("card", EXAMPLE, "--format", style, PYTHONHASHSEED="1", COLUMNS="200")
    run_pgaudit("card", EXAMPLE, "--format", style, "--output", tmp_path / "card", PYTHONHASHSEED="2")
    assert (tmp_path / "card").read_text("utf-8") == first.out


def test_the_readme_shows_the_card_as_it_is() -> None:
    shown = (CHECKOUT / "README.md").read_text("utf-8").partition("<!-- card -->\n```text\n")[2].partition("```\n")[0]
    assert shown == run_pgaudit("card", EXAMPLE).out.rpartition("pgaudit ")[0].rstrip("\n") + "\n"


def test_exit_status(clean_folder: Path, tmp_path: Path, clone: Path) -> None:
    assert run_pgaudit("card", clean_folder).status == 0
    assert run_pgaudit("card", "--repo", clone, "--pr", "1").out.startswith(FOLDER)
    assert run_pgaudit("card", "--repo", clone, "--pr", "4").status == 3
    assert run_pgaudit("card", tmp_path / "nowhere").status == 2
    assert run_pgaudit("card", "--format", "sarif").status == 2
    (clean_folder / "train_gpt.py").write_text("def (:\n")
    assert run_pgaudit("card", clean_folder).status == 4
