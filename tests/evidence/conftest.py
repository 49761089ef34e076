"""Files and evidence in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.submission import File, Origin, Submission

MakeFile = Callable[..., File]
MakeEvidence = Callable[[Mapping[str, str | bytes]], Evidence]


@pytest.fixture
def make_file() -> MakeFile:
    """A file of a submission with the given content."""

    def make(content: str | bytes, path: str = "file", problem: str = "") -> File:
        data = content.encode() if isinstance(content, str) else content
        return File(path, len(data), lambda: data, problem)

    return make


@pytest.fixture
def make_evidence(make_file: MakeFile) -> MakeEvidence:
    """The evidence of a record folder with the given files."""

    def make(files: Mapping[str, str | bytes]) -> Evidence:
        content = {path: make_file(files[path], path) for path in sorted(files)}
        submission = Submission("records/track_10min_16mb/2026-04-01_Test", content, Origin("a test"))
        return Evidence(submission, policy.load().edition_at(None))

    return make
