"""The rulebook: every rule found under ``rules/``, held to the invariants that make a finding worth reading."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pgaudit.errors import RulebookError
from pgaudit.finding import Finding, Gap, Severity
from pgaudit.rule import Rule

if TYPE_CHECKING:
    from pgaudit.evidence.evidence import Evidence

Check = Callable[["Evidence"], Iterable[Finding | Gap]]

HEADINGS = (
    r"What it flags",
    r"Why it is (not )?(allowed|illegal|a defect)",
    r"How it decides",
    r"Known limits",
    r"How to fix",
)
"""The sections of a rule's page, in order, as regular expressions."""

DIGESTED = {".py", ".toml", ".json"}
"""What decides a verdict: rules, policy editions and schemas. Examples do not."""


@dataclass(frozen=True)
class Entry:
    """One rule of the book: its declaration, its check and the file that holds both."""

    rule: Rule
    check: Check
    file: Path

    @property
    def examples(self) -> Path:
        """The Markdown file with the rule's legal and illegal twins."""
        return self.file.with_suffix(".md")


@dataclass(frozen=True)
class Rulebook:
    """The rules of one directory, sorted by id."""

    directory: Path
    entries: tuple[Entry, ...]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, rule_id: str) -> Entry | None:
        """The rule with this id, if the book has it."""
        return next((entry for entry in self.entries if entry.rule.id == rule_id), None)

    @cached_property
    def digest(self) -> str:
        """Identity of the rulebook: a hash of every rule, policy and schema file with its path."""
        total = sha256()
        for path in sorted(p for p in self.directory.rglob("*") if p.suffix in DIGESTED):
            name = path.relative_to(self.directory).as_posix()
            total.update(f"{name}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()[:12]


def rules_directory() -> Path:
    """Where the rules are: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return next((d for d in (package / "rules", package.parent / "rules") if d.is_dir()), package / "rules")


def load(directory: Path | None = None) -> Rulebook:
    """Read the rules under ``directory`` (default: pgaudit's own). Raises ``RulebookError`` naming the file."""
    directory = directory or rules_directory()
    if not directory.is_dir():
        raise RulebookError(f"{directory}: no rules here", hint="reinstall pgaudit")
    files = sorted(p for p in directory.glob("*/*.py") if p.stem.isidentifier() and not p.stem.startswith("_"))
    entries = (_load_rule(file) for file in files)
    return Rulebook(directory, tuple(sorted(entries, key=lambda entry: entry.rule.id)))


def _load_rule(file: Path) -> Entry:
    module = _import(file)
    rule, check = getattr(module, "RULE", None), getattr(module, "check", None)
    if not isinstance(rule, Rule) or not callable(check):
        raise RulebookError(f"{file}: a rule file declares RULE and check(evidence)")
    for complaint in _complaints(rule, file):
        raise RulebookError(f"{file}: {complaint}")
    return Entry(rule, check, file)


def _import(file: Path) -> ModuleType:
    name = f"pgaudit_rules.{file.parent.name}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise RulebookError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of a rule look their module up while it is being imported
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RulebookError(f"{file}: {type(error).__name__}: {error}") from error
    return module


def _complaints(rule: Rule, file: Path) -> Iterator[str]:
    """Each invariant that the rule breaks, in words."""
    if rule.id != (expected := f"{file.parent.name}/{file.stem.replace('_', '-')}"):
        yield f"the id {rule.id!r} does not match the path, which gives {expected!r}"
    headings = [line.removeprefix("## ").strip() for line in rule.page.splitlines() if line.startswith("## ")]
    if len(headings) < len(HEADINGS) or not all(map(re.fullmatch, HEADINGS, headings)):
        yield f"the docstring needs the headings {', '.join(HEADINGS)}, in this order; it has {headings}"
    if not rule.title or not rule.mechanism:
        yield "the rule needs a title (first line of the docstring) and a mechanism"
    if rule.severity is Severity.ERROR and not rule.rulings:
        yield "an error cites at least one ruling; say Strength.NONE where no maintainer ruled"
    if not file.with_suffix(".md").is_file():
        yield f"the examples are missing: {file.with_suffix('.md').name} belongs beside it"
