"""The report as JSON, by the schema in ``report.schema.json`` beside this module, and back. The same input gives the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pgaudit.errors import ReportError
from pgaudit.evidence.measures import Measure
from pgaudit.finding import Finding, Gap, Location
from pgaudit.fix.repair import Replacement
from pgaudit.report import FolderReport, Report, SetAside
from pgaudit.rule import Rule
from pgaudit.waivers import Waiver

SCHEMA_VERSION = "2.0"
"""Minor: a key was added. Major: a key was removed, or means something else."""
MOST_BYTES = 32 * 1024 * 1024
"""A larger file is no report: 25,000 findings with full traces stay below it."""
SHOWN = 200
"""Characters of what is wrong with a file."""
HINT = "a report is what `pgaudit scan --format json` of this version wrote"


def read(path: Path) -> object:
    """The JSON values in a file. Raises ``ReportError``."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ReportError(f"{path}: larger than {MOST_BYTES:,} bytes", HINT)
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON: {str(error)[:SHOWN]}", HINT) from error


def checked(loaded: object, where: str) -> dict[str, Any]:
    """The same values, if they are a report by the schema. Raises ``ReportError`` with the first place that is not."""
    from jsonschema_rs import Draft202012Validator

    schema = json.loads(resources.files("pgaudit.output").joinpath("report.schema.json").read_text("utf-8"))
    # A checked format makes a date that is none an error here and not a crash where it is read.
    for error in Draft202012Validator(schema, validate_formats=True).iter_errors(loaded):
        place = "/".join(map(str, error.instance_path)) or "the whole document"
        raise ReportError(f"{where}: not a report: {place[:SHOWN]}: {error.message[:SHOWN]}", HINT)
    assert isinstance(loaded, dict)
    return loaded


def render(report: Report) -> str:
    """The whole report. ASCII only, so that no text of a submission reaches a terminal raw."""
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    origin = report.origin
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "pgaudit", "version": report.version, "rulebook": report.rulebook, "edition": report.edition},
        "target": {
            "source": origin.source,
            "pr": origin.pr,
            "head": origin.head,
            "date": origin.date.isoformat() if origin.date else None,
            "repository": origin.repository,
        },
        "submissions": [submission(folder) for folder in report.submissions],
        "rules": {rule_id: declaration(rule) for rule_id, rule in sorted(report.rules.items())},
        "outside": list(report.outside),
        "deleted": list(report.deleted),
        "waivers": {
            "unused": [waiver(w) for w in report.unused_waivers],
            "expired": [waiver(w) for w in report.expired_waivers],
        },
    }


def key_facts(folder: FolderReport) -> dict[str, Any]:
    """What a table of verdicts needs of one record folder; every line of a sweep begins with the same keys."""
    return {
        "pr": folder.pr,
        "folder": folder.folder,
        "verdict": folder.verdict.value,
        "mechanisms": list(folder.mechanisms),
        "level": folder.level.value,
    }


def submission(folder: FolderReport) -> dict[str, Any]:
    """One record folder."""
    return key_facts(folder) | {
        "findings": [finding(f) for f in folder.findings],
        "gaps": [gap(g) for g in folder.gaps],
        "waived": [set_aside(w) for w in folder.waived],
        "outcomes": {rule_id: outcome.value for rule_id, outcome in sorted(folder.outcomes.items())},
        "track": folder.track,
        "head": folder.head,
        "score": location(folder.score) if folder.score else None,
        "measures": [measure(m) for m in folder.measures],
        "replacements": [replacement(r) for r in folder.replacements],
    }


def measure(item: Measure) -> dict[str, Any]:
    """What was read for one limit."""
    return {"limit": item.limit, "value": value(item.value), "location": location(item.location)}


def replacement(item: Replacement) -> dict[str, Any]:
    """Lines that `pgaudit fix` would write."""
    return {
        "path": item.path,
        "first": item.first,
        "last": item.last,
        "lines": list(item.lines),
        "because": list(item.because),
    }


def finding(item: Finding) -> dict[str, Any]:
    """One finding with its trace."""
    return {
        "rule": item.rule,
        "mechanism": item.mechanism,
        "leads_to": item.leads_to,
        "severity": item.severity.value,
        "confidence": item.confidence.value,
        "decides": item.decides,
        "message": item.message,
        "location": location(item.location),
        "steps": [{"location": location(step.location), "message": step.message} for step in item.steps],
        "facts": value(item.facts),
        "dormant": item.dormant,
        "fingerprint": item.fingerprint,
        "known": item.known,
    }


def gap(item: Gap) -> dict[str, Any]:
    """Something that was not checked."""
    return {
        "check": item.check,
        "reason": item.reason,
        "location": location(item.location) if item.location else None,
    }


def location(place: Location) -> dict[str, Any]:
    """A place; ``line`` is 1-based and counts in the decoded text where ``layer`` is not empty."""
    return {"path": place.path, "line": place.line, "layer": place.layer, "text": place.text}


def declaration(rule: Rule) -> dict[str, Any]:
    """What a reader of a finding needs of its rule."""
    rulings = [
        {"strength": r.strength.value, "by": r.by, "date": r.date, "where": r.where, "says": r.says}
        for r in rule.rulings
    ]
    return {"title": rule.title, "conditions": list(rule.conditions), "rulings": rulings}


def set_aside(item: SetAside) -> dict[str, Any]:
    """A waived finding and the decision behind it."""
    return {"finding": finding(item.finding), "waiver": waiver(item.waiver)}


def waiver(item: Waiver) -> dict[str, Any]:
    """One decision of the referee."""
    return {
        "rule": item.rule,
        "pr": item.pr,
        "folder": item.folder,
        "fingerprint": item.fingerprint,
        "reason": item.reason,
        "author": item.author,
        "expires": item.expires.isoformat(),
    }


def value(item: object) -> Any:
    """A fact as a JSON value: JSON has no NaN or infinity, and submissions claim both."""
    if isinstance(item, Mapping):
        return {str(key): value(entry) for key, entry in item.items()}
    if isinstance(item, list | tuple):
        return [value(entry) for entry in item]
    if isinstance(item, float) and not math.isfinite(item):
        return str(item)
    return item if item is None or isinstance(item, bool | int | float | str) else str(item)
