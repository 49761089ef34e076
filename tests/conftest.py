"""Fixtures that many tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from jsonschema_rs import Validator, validator_for

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.report import Report
from pgaudit.rulebook import Rulebook
from pgaudit.waivers import Waivers
from tests.support import FOLDER, RULES, Repository, from_npm, submission, write_complete, write_rule

# How long an example takes depends on the machine and on what else runs there, so no test fails for it.
settings.register_profile("pgaudit", deadline=None)
settings.load_profile("pgaudit")


@pytest.fixture(scope="session")
def sarif_schema() -> Validator:
    """The JSON schema of SARIF 2.1.0."""
    schema = from_npm("@microsoft/sarif-multitool-linux/sarif-2.1.0.json")
    return validator_for(json.loads(schema.read_text("utf-8")), validate_formats=True)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A directory with three small rules."""
    directory = tmp_path / "rules"
    for rule_id in RULES:
        write_rule(directory, rule_id)
    return directory


@pytest.fixture
def book(rules: Path) -> Rulebook:
    """The rulebook of the three small rules."""
    return rulebook.load(rules)


@pytest.fixture
def judge(book: Rulebook) -> Callable[..., Report]:
    """Audit a script by the three small rules."""

    def run(text: str, waivers: Waivers | None = None) -> Report:
        return audit(submission(text), book, policy.load(), waivers)

    return run


@pytest.fixture
def clean_folder(tmp_path: Path) -> Path:
    """The complete clean submission on disk."""
    return write_complete(tmp_path / "checkout" / FOLDER)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone: #1 is clean, #2 has a broken submission.json, #4 touches no record folder, #5 holds two folders."""
    repository = Repository(tmp_path_factory.mktemp("clone") / "repo")
    repository.pull_request(1, lambda root: write_complete(root / FOLDER))
    repository.pull_request(2, lambda root: write_complete(root / FOLDER).joinpath("submission.json").write_text("{"))
    repository.pull_request(4, lambda root: (root / "README.md").write_text("# Challenge, better\n"))
    repository.pull_request(
        5, lambda root: [write_complete(root / FOLDER), write_complete(root / FOLDER.replace("Example", "Other"))]
    )
    return repository.path
