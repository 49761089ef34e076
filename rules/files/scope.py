"""Files that do not belong into a record folder.

## What it flags
Secrets (access tokens); weights and data shards that are committed; a folder whose name is not its date and a title.

## Why it is a defect
A token in a public pull request can be used by anybody. Weights and shards make every clone of the challenge larger, and nobody needs
them: the score is that of the code. The date in the name orders the records.

## How it decides
Forms of tokens that their issuers document (Hugging Face, GitHub, OpenAI and AWS: told by prefix and length); files
that end as weights and shards do, above a megabyte; `YYYY-MM-DD_Name` for folders below `records/track_…`.

## Known limits
Tokens without a form. Files outside the record folders are listed in the report itself.

## How to fix
Revoke the token, delete the files, rename the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.reading import is_readable
from pgaudit.finding import Finding, Location, Severity
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="wrong-folder",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-03-28",
            "#1031",
            "A pull request adds one clean record folder and nothing else.",
        ),
    ),
)

SECRET = re.compile(
    rb"(?<![A-Za-z0-9_-])(?:hf_[A-Za-z]{34}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{82}|sk-(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])(?:proj-)?[A-Za-z0-9_-]{40,}|AKIA[A-Z0-9]{16})(?![A-Za-z0-9_-])"
)
WEIGHTS = (".pt", ".pth", ".ptz", ".safetensors", ".ckpt", ".bin", ".npz")
LEAST_WEIGHTS = 1_000_000
"""Bytes; smaller files are tables that the script needs."""
TEXTS = (".py", ".sh", ".bash", ".md", ".txt", ".json", ".log", ".toml", ".yaml", ".yml", ".env", ".ipynb")
_NAME = re.compile(r"\d{4}-\d\d-\d\d_\S+")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look at the names, the sizes and the texts of the folder."""
    files = evidence.submission.files
    for path, file in files.items():
        if path.endswith(TEXTS) and is_readable(file) and SECRET.search(file.data):
            yield RULE.finding("this file holds an access token: revoke it", Location(path), severity=Severity.WARNING)
    large = [path for path, file in files.items() if path.endswith(WEIGHTS) and (file.size or 0) > LEAST_WEIGHTS]
    if large:
        yield RULE.finding(f"weights or data are committed: {', '.join(large[:3])}", Location(large[0]))
    folder = evidence.submission.folder
    if evidence.submission.track and not _NAME.fullmatch(folder.rpartition("/")[2]):
        yield RULE.finding("the folder is not called YYYY-MM-DD_Name", Location("."))
