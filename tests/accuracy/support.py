"""Folders for the campaigns, made in memory."""

from __future__ import annotations

from functools import partial

from pgaudit.examples.checking import content, folder_of
from pgaudit.examples.reading import Section
from pgaudit.submission import File, Origin, Submission
from tests import support
from tests.accuracy.folders import Auditor, Folder
from tests.accuracy.lines import Key


def folder(auditor: Auditor, text: str, **others: str) -> Folder:
    """A record folder with this script, and others by their name without the ending."""
    beside = {f"{name}.py": other.encode() for name, other in others.items()}
    (submission,) = support.submission(text, beside).submissions
    return Folder(Key.of(7, submission.folder), submission, auditor.evidence(submission).main)


def example(auditor: Auditor, section: Section) -> Folder:
    """The record folder of an example of the rulebook."""
    data = {path: content(block) for path, block in folder_of(section).items()}
    files = {path: File(path, len(each), partial(bytes, each)) for path, each in sorted(data.items())}
    submission = Submission(support.FOLDER, files, Origin(section.place))
    return Folder(Key.of(7, support.FOLDER), submission, auditor.evidence(submission).main)
