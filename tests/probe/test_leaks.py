"""Planted leaks are proved with the right condition; their honest twins hold, with proof that they were put to the test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.enclosed import sandbox_or_skip
from tests.probe.leaks import CASES, Case
from tests.support import run_pgaudit

pytest.importorskip("torch")
pytest.importorskip("sentencepiece")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_leak_is_proved_and_its_twin_holds(case: Case, tmp_path: Path) -> None:
    sandbox_or_skip()
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "train_gpt.py").write_text(case.script)
    (folder / "README.md").write_text("# A small submission\n")
    done = run_pgaudit("probe", folder, "--format", "json")
    found = json.loads(done.out)["submissions"][0]
    outcomes = {each["condition"]: each["outcome"] for each in found["probe"]["measurements"]}
    sentences = {each["condition"]: each["sentence"] for each in found["probe"]["measurements"]}
    violated = {condition for condition, outcome in outcomes.items() if outcome == "violated"}
    assert violated == ({case.violated} if case.violated else set()), sentences
    assert found["level"] == "probed"
    if case.violated:
        assert found["verdict"] == "illegal"
        assert done.status == 10
    else:
        assert set(outcomes.values()) == {"holds"}, sentences
    assert found["probe"]["changes"]


def test_a_run_that_writes_its_own_record_is_not_believed(tmp_path: Path) -> None:
    sandbox_or_skip()
    folder = tmp_path / "submission"
    folder.mkdir()
    script = "import os\nfor name in ('record.npz', 'record.json'):\n    open(name, 'w').write('[]')\nos._exit(0)\n"
    (folder / "train_gpt.py").write_text(script)
    done = run_pgaudit("probe", folder, "--format", "json")
    probe = json.loads(done.out)["submissions"][0]["probe"]
    assert {each["outcome"] for each in probe["measurements"]} == {"could not run"}
    assert "its record cannot be used" in probe["measurements"][0]["sentence"]
    assert not probe["judged"]
