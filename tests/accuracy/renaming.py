"""Renames everything that a script names itself, and asks whether the verdict stays: no rule may live off a name.

python -m tests.accuracy.renaming --repo CLONE --prs 1-20,44
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import libcst as cst

from pgaudit.cli.sweep import select
from pgaudit.finding import Finding
from pgaudit.program.recursion import deep_recursion
from pgaudit.report import FolderReport
from pgaudit.source.parse import parse, without_validation
from pgaudit.source.script import Script
from pgaudit.submission import Submission, UnreadableFile
from tests.accuracy.folders import Auditor, Folder, folders, is_packed, opened, says, with_text
from tests.accuracy.names import Renaming, last_name, renaming, root, words


class CannotRename(Exception):
    """Why a script was left out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every change of a verdict. Exit status 1: there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.renaming", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--prs", required=True, help="numbers and ranges, or @FILE")
    options = parser.parse_args(arguments)
    outcomes: Counter[str] = Counter()
    auditor, seen = Auditor.load().without("log"), set[str]()  # a log prints the script under its old names
    with opened(options.repo) as clone:
        for folder in folders(clone, select(options.prs, clone.pull_numbers()), auditor):
            text = folder.main.body.text if folder.main else ""
            outcome = "the same script again" if text and text in seen else compare(folder, auditor)
            seen.add(text)
            kind, _, rest = outcome.partition(": ")
            outcomes[kind] += 1
            if rest:
                print(f"{folder.key}: {rest}", flush=True)
    print(", ".join(f"{kind}: {number}" for kind, number in sorted(outcomes.items())))
    return 1 if outcomes["changed"] else 0


def compare(folder: Folder, auditor: Auditor) -> str:
    """What renaming did to the verdict: a word, and for a change or a script left out what there is to tell."""
    try:
        if folder.main is None:
            return "without main script"
        if is_packed(folder.main):
            return "packed"
        text, number = renamed(folder.main, folder.submission)
    except CannotRename as reason:
        return f"left out: could not be renamed: {reason}"
    before = auditor(folder.submission)
    after = auditor(with_text(folder.submission, folder.main.path, text))
    told = f"{number} names, {says(before)} -> {says(after)}{''.join(differences(before, after))}"
    if says(before) != says(after):
        return f"changed: {told}"
    return "same" if _places(before) == _places(after) else f"same verdict by other findings: {told}"


def renamed(script: Script, submission: Submission) -> tuple[str, int]:
    """The script with its own names replaced, line by line where it was, and how many. Raises ``CannotRename``."""
    module = script.body.parsed.module
    if module is None:
        raise CannotRename("it does not parse")
    with deep_recursion(), without_validation():
        plan = renaming(module, _words_beside(script, submission))
        text = module.visit(_Renamer(plan)).code
    if text.count("\n") != module.code.count("\n"):
        raise CannotRename("lines moved")
    if problem := parse(text).problem:
        raise CannotRename(f"the result does not parse: line {problem.line}: {problem.message}")
    return text, len(plan.names.keys() | plan.attributes.keys())


def _words_beside(script: Script, submission: Submission) -> frozenset[str]:
    """What the other Python files of the folder may share with the script, if it imports any of them."""
    stems = {path.rpartition("/")[2].removesuffix(".py") for path in submission.files if path.endswith(".py")}
    own = script.path.rpartition("/")[2].removesuffix(".py")
    if not any(f"import {stem}" in script.body.text or f"from {stem}" in script.body.text for stem in stems - {own}):
        return frozenset()
    found: set[str] = set()
    for path, file in submission.files.items():
        if path.endswith(".py") and path != script.path:
            try:
                found |= words(file.data.decode("utf-8", "replace"))
            except UnreadableFile:
                continue
    return frozenset(found)


def differences(before: FolderReport, after: FolderReport) -> Iterator[str]:
    """Findings and gaps that only one of two reports has, one indented line each."""
    mine, theirs = set(_lines(before)), set(_lines(after))
    yield from (f"\n  - {line}" for line in _lines(before) if line not in theirs)
    yield from (f"\n  + {line}" for line in _lines(after) if line not in mine)


def _lines(report: FolderReport) -> list[str]:
    return [*map(_finding, report.findings), *(f"gap {gap.check}: {gap.reason}" for gap in report.gaps)]


def _places(report: FolderReport) -> set[tuple[str, int | None, str]]:
    """Where each rule found something, and how sure it is; messages may quote names."""
    return {(finding.rule, finding.location.line, finding.confidence) for finding in report.findings}


def _finding(finding: Finding) -> str:
    return f"{finding.severity}[{finding.rule}] {finding.location}: {finding.message} ({finding.confidence})"


class _Renamer(cst.CSTTransformer):
    """Writes the new names; what hangs on an import, and keywords of foreign calls, stay."""

    def __init__(self, plan: Renaming) -> None:
        super().__init__()
        self._plan = plan
        self._fixed: set[int] = set()

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._fixed.add(id(node.attr))

    def visit_Arg(self, node: cst.Arg) -> None:
        if node.keyword:
            self._fixed.add(id(node.keyword))

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        new = self._plan.names.get(original_node.value)
        return updated_node.with_changes(value=new) if new and id(original_node) not in self._fixed else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        new = self._plan.attributes.get(original_node.attr.value)
        if new is None or root(original_node.value) in self._plan.imported:
            return updated_node
        return updated_node.with_changes(attr=updated_node.attr.with_changes(value=new))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        own = last_name(original_node.func) in self._plan.keywords_of
        if not own or root(original_node.func) in self._plan.imported:
            return updated_node
        return updated_node.with_changes(args=[self._argument(argument) for argument in updated_node.args])

    def _argument(self, node: cst.Arg) -> cst.Arg:
        new = self._plan.names.get(node.keyword.value) if node.keyword else None
        return node.with_changes(keyword=cst.Name(new)) if new else node


if __name__ == "__main__":
    sys.exit(main())
