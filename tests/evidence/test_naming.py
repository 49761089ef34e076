"""What a submission calls itself and says of its run, where no command and no log decide."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.naming import Title, technique_of
from tests.evidence.support import ADAPT, indented, script

Make = Callable[[Mapping[str, str]], Evidence]

BLOCK = "if enabled:\n" + indented(ADAPT)


def switch(name: str, default: str = "0") -> str:
    return script(f'enabled = int(os.environ.get("{name}", "{default}"))\n' + BLOCK)


def adapts(make: Make, code: str, name: str = "Ten layers", readme: str = "", **files: str) -> bool:
    """Does the run that counts learn from what it scores?"""
    claims = json.dumps({"val_bpb": 1.1, "name": name})
    run = make({"train_gpt.py": code, "submission.json": claims, "README.md": readme, **files}).run
    assert run
    assert run.matched
    return bool(run.state_changes)


@pytest.mark.parametrize(
    "title,named",
    [
        ("Ten layers + SLOT", True),
        ("2026-03-29_SLOT_on_LeakyReLU", True),
        ("MuonSLOTEval", True),
        ("Ten layers, no SLOT", False),
        ("NoSLOT", False),
        ("pre-SLOT baseline", False),
        ("a SLOT-free run", False),
        ("Slotted weights", False),
        ("Ten layers", False),
    ],
)
def test_titles_that_name_a_technique(title: str, named: bool) -> None:
    assert Title(title, "somewhere").names("slot") is named


def test_compound_words_are_one() -> None:
    assert Title("Legal N-Gram", "somewhere").names("ngram")
    assert Title("PreQuant TTT", "somewhere").names("prequantttt")
    assert not Title("Grams", "somewhere").names("ngram")


@pytest.mark.parametrize("name", ["SLOT_ENABLED", "USE_SLOT", "ENABLE_SLOT", "SLOT", "--use-slot", "SLOT_STEPS"])
def test_what_a_switch_is_for(name: str) -> None:
    assert technique_of(name) == "slot"


def test_a_submission_named_after_a_technique_had_it_on(make_evidence: Make) -> None:
    assert adapts(make_evidence, switch("SLOT_ENABLED"), "Ten layers + SLOT")
    assert adapts(make_evidence, switch("SLOT_ENABLED"), readme="# SLOT over ten layers\n")
    assert not adapts(make_evidence, switch("SLOT_ENABLED"))
    assert not adapts(make_evidence, switch("SLOT_ENABLED"), "Ten layers without SLOT")


def test_what_names_it_is_said(make_evidence: Make) -> None:
    files = {"train_gpt.py": switch("SLOT_ENABLED"), "submission.json": '{"val_bpb": 1.1,\n "name": "With SLOT"}'}
    run = make_evidence(files).run
    assert run
    assert run.walk.settings["SLOT_ENABLED"] == ("on", "named by submission.json:2")


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "```bash\nSLOT_ENABLED=0 python train_gpt.py\n```\n"},
        {"train.log": "slot_enabled: False\nfinal_score val_bpb:1.1000\n"},
    ],
    ids=["command", "log"],
)
def test_a_command_and_a_log_know_better(make_evidence: Make, files: dict[str, str]) -> None:
    code = switch("SLOT_ENABLED")
    claims = '{"val_bpb": 1.1, "name": "SLOT"}'
    run = make_evidence({"train_gpt.py": code, "submission.json": claims, **files}).run
    assert run
    assert not run.state_changes


def test_of_two_commands_the_one_that_switches_it_on_counts(make_evidence: Make) -> None:
    readme = "# SLOT\n```bash\nSLOT_ENABLED=0 python train_gpt.py\nSLOT_ENABLED=1 python train_gpt.py\n```\n"
    assert adapts(make_evidence, switch("SLOT_ENABLED"), readme=readme)
    assert not adapts(make_evidence, switch("SLOT_ENABLED"), readme=readme.replace("# SLOT", "# Runs"))


def test_the_text_of_the_readme_switches_on(make_evidence: Make) -> None:
    code = switch("MODE_A")
    assert adapts(make_evidence, code, readme="Scored with `MODE_A=1` as usual.\n")
    assert not adapts(make_evidence, code, readme="Scored with `MODE_A=1`; `MODE_A=0` is the baseline.\n")
    assert not adapts(make_evidence, code, readme="```python\n`MODE_A=1`\n```\n")


def test_the_text_of_the_readme_switches_nothing_off(make_evidence: Make) -> None:
    assert adapts(make_evidence, switch("MODE_A", "1"), readme="`MODE_A=0` is the baseline.\n")


@pytest.mark.parametrize(
    "readme", ["# SLOT over ten layers\n", "Scored with `SLOT_ENABLED=1`.\n"], ids=["title", "text"]
)
def test_a_log_without_its_prints_denies_what_the_readme_says(make_evidence: Make, readme: str) -> None:
    told = BLOCK.replace("if enabled:\n", 'if enabled:\n    print("slot starts now")\n    print("slot is done")\n')
    code = script('enabled = int(os.environ.get("SLOT_ENABLED", "0"))\n' + told)
    score = "final_score val_bpb:1.1000\n"
    assert adapts(make_evidence, code, readme=readme)
    assert not adapts(make_evidence, code, readme=readme, **{"train.log": score})
    assert adapts(make_evidence, code, readme=readme, **{"train.log": "slot starts now\nslot is done\n" + score})
