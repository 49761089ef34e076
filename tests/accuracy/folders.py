"""Record folders of a clone, audited in this process, as they are or with another main script."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pgaudit import policy, rulebook
from pgaudit.audit import audit_folder
from pgaudit.collect.clone import GitClone
from pgaudit.errors import PgauditError
from pgaudit.evidence.evidence import Evidence
from pgaudit.report import FolderReport
from pgaudit.source.script import Script
from pgaudit.submission import Submission
from pgaudit.waivers import Waivers
from tests.accuracy.lines import KEPT_BACK, Key


class Folder(NamedTuple):
    """A record folder and the script that trains and scores."""

    key: Key
    submission: Submission
    main: Script | None


@dataclass(frozen=True)
class Auditor:
    """The whole audit of one folder, by the rules of this checkout."""

    book: rulebook.Rulebook
    editions: policy.Policy

    @staticmethod
    def load() -> Auditor:
        """The rulebook and the limits as shipped."""
        return Auditor(rulebook.load(), policy.load())

    def without(self, family: str) -> Auditor:
        """The same without the rules of one family."""
        entries = tuple(entry for entry in self.book if not entry.rule.id.startswith(f"{family}/"))
        return Auditor(rulebook.Rulebook(self.book.directory, entries), self.editions)

    def __call__(self, submission: Submission) -> FolderReport:
        """The report, by the limits of the head's own date."""
        return audit_folder(self.evidence(submission), self.book, Waivers())

    def evidence(self, submission: Submission) -> Evidence:
        """What the rules would look at."""
        return Evidence(submission, self._edition(submission))

    def _edition(self, submission: Submission) -> policy.Edition:
        return self.editions.edition_at(submission.origin.date)


def folders(clone: GitClone, numbers: Iterable[int], auditor: Auditor) -> Iterator[Folder]:
    """The record folders of pull requests; one that cannot be read has none."""
    for number in numbers:
        if number % KEPT_BACK == 0:
            continue
        try:
            submissions = clone.pull_request(number).submissions
        except PgauditError:
            continue
        for submission in submissions:
            key = Key.of(number, submission.folder)
            yield Folder(key, submission, auditor.evidence(submission).main)
        gc.collect()


def is_packed(script: Script) -> bool:
    """The file as shipped is not the text that runs."""
    return len(script.layers) > 1


def with_text(submission: Submission, path: str, text: str) -> Submission:
    """The folder with another text in one of its files."""
    data = text.encode()
    file = replace(submission.files[path], size=len(data), fetch=lambda: data)
    return replace(submission, files={**submission.files, path: file})


def says(report: FolderReport) -> str:
    """Verdict and mechanisms in one line."""
    return " ".join((report.verdict.value, *report.mechanisms))


@contextmanager
def opened(repo: Path) -> Iterator[GitClone]:
    """The clone. The collector stays off, as in a sweep: syntax trees are large and without garbage."""
    gc.disable()
    try:
        with GitClone(repo) as clone:
            yield clone
    finally:
        gc.enable()
