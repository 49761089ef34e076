"""submission.json does not state what it has to.

## What it flags
A submission.json that is not a JSON object, or whose score is impossible; and, as warnings and notes, keys that are missing or
hold something else than they should.

## Why it is not allowed
The leaderboard row is made from this file: who, what, when and the score. A score that is not a number cannot be listed.

## How it decides
Against the JSON Schema beside this rule (`submission.schema.json`). Error: not parsable, not an object, or a val_bpb that is no score
(null without any other score in the file or at the end of a log, words, zero or less, above 10). Warning: a number written as a string, another key of the
wrong type, duplicate keys. Note: a missing or null key, because merged rows lack each of them (the size of the code among them); a
val_bpb under another name counts.

## Known limits
It does not compare the file with the logs: that is another rule.

## How to fix
Write author, github_id, name, date and val_bpb (a number), and put everything else beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgaudit.evidence.claims import Claims
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.finding import Finding, Severity
from pgaudit.rule import Rule, Ruling, Strength

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="metadata-defect",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "submission.json holds the name, the GitHub id, val_bpb and related metadata.",
        ),
    ),
)

SHOWN = 60
"""Values quoted in messages are cut to this many characters."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Validate submission.json; a missing one is the business of another rule."""
    claims = evidence.claims
    if claims is None:
        return
    if claims.problem:
        yield RULE.finding(f"{claims.path} is not a JSON object: {claims.problem.message}", claims.problem.location)
        return
    for key in sorted(set(claims.duplicates)):
        yield RULE.finding(
            f'"{key}" is there more than once; the last one counts', claims.at(key), severity=Severity.WARNING
        )
    in_log = any(log.final and log.final.val_bpb for log in evidence.logs)
    yield from _against_schema(claims, in_log=in_log)
    script = evidence.submission.files.get(evidence.main_path or "")
    if claims.get("bytes_code") is None and not claims.per_seed("bytes_code") and script and script.size:
        yield RULE.finding(
            f'"bytes_code" is missing: the script as shipped has {script.size:,} bytes',
            claims.at(),
            severity=Severity.NOTE,
        )


def _against_schema(claims: Claims, *, in_log: bool) -> Iterator[Finding]:
    # jsonschema-rs: the import takes a fifth of that of jsonschema, which a whole scan would feel.
    from jsonschema_rs import Draft202012Validator

    schema = json.loads((Path(__file__).parent / "submission.schema.json").read_text("utf-8"))
    reported: set[str] = set()
    for error in Draft202012Validator(schema).iter_errors(_finite(claims.document)):
        key = _key(error)
        if key in reported:
            continue
        reported.add(key)
        should = schema["properties"][key]["description"]
        if not error.instance_path:
            if claims.get(key) is None:
                yield RULE.finding(f'"{key}" is missing: {should}', claims.at(), severity=Severity.NOTE)
            continue
        shown = json.dumps(error.instance, ensure_ascii=False)[:SHOWN]
        yield RULE.finding(
            f'"{key}" is {shown}; it should be {should}', claims.at(key), severity=_severity(claims, key, in_log=in_log)
        )


def _key(error: ValidationError) -> str:
    """The top-level key that an error is about."""
    return str(error.instance_path[0]) if error.instance_path else str(getattr(error.kind, "property", ""))


def _severity(claims: Claims, key: str, *, in_log: bool) -> Severity:
    """Only an impossible score is an error, and only if the file states no other.

    A null is a key that was left out; where a log ends with a score, that can be listed.
    """
    assert isinstance(claims.document, dict)
    value = claims.document[key]
    if key != "val_bpb":
        return Severity.NOTE if value is None else Severity.WARNING
    others = [number(claim.value) for claim in claims.stated if claim.name == "val_bpb" and claim.key != key]
    if value is None or isinstance(value, (dict, list)):
        if value is None and in_log:
            return Severity.NOTE
        return Severity.WARNING if any(others) else Severity.ERROR
    stated = number(value)
    return Severity.WARNING if stated is not None and 0 < stated <= 10 else Severity.ERROR


def _finite(document: Any) -> Any:
    """The document with NaN and Infinity, which JSON does not have, as the words that they were written as."""
    if not isinstance(document, dict):
        return document
    return {
        key: str(value) if isinstance(value, float) and number(value) is None else value
        for key, value in document.items()
    }
