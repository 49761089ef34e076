"""What a rule is: a declaration with its rulings, and a ``check`` function beside it in the same file.

A rule file holds a docstring (its page), ``RULE = Rule.declare(__file__, __doc__, …)`` and
``check(evidence)``, a generator of findings and gaps. Its id comes from its path: ``rules/ttt/prequant.py``
is ``ttt/prequant``. Its legal and illegal twins are in the Markdown file of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step

LeadsTo = Literal["illegal", "defect"]


class Strength(StrEnum):
    """How much a citation carries, strongest first."""

    README = "README"
    MAINTAINER = "maintainer's comment"
    MERGE = "merge"
    FIELD_GUIDE = "field guide"
    COMMUNITY = "community"
    NONE = "no maintainer ruling"


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who decided what, when and where. Cite only what exists."""

    strength: Strength
    by: str
    date: str
    """ISO date; rulings quoted without one carry the date of the pull request's last change."""
    where: str
    """``README``, ``#779``, ``commit fc6332a9c`` … in openai/parameter-golf unless it says otherwise."""
    says: str
    """The decision in our own words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The declaration of one way of being illegal or unsound."""

    id: str
    title: str
    page: str
    mechanism: str
    """Slug of the catalogue of mechanisms, reported by every finding."""
    leads_to: LeadsTo
    severity: Severity
    conditions: tuple[str, ...]
    """Of C1 to C4, those that a hit breaks; empty for limits and files."""
    rulings: tuple[Ruling, ...]
    since: str

    @classmethod
    def declare(
        cls,
        file: str,
        doc: str | None,
        *,
        mechanism: str,
        leads_to: LeadsTo,
        rulings: tuple[Ruling, ...],
        conditions: tuple[str, ...] = (),
        severity: Severity = Severity.ERROR,
        since: str = "0.1",
    ) -> Rule:
        """Build the declaration of the rule in ``file``; the id comes from the path, title and page from ``doc``."""
        path = Path(file)
        page = (doc or "").strip()
        return cls(
            id=f"{path.parent.name}/{path.stem.replace('_', '-')}",
            title=page.partition("\n")[0].rstrip("."),
            page=page,
            mechanism=mechanism,
            leads_to=leads_to,
            severity=severity,
            conditions=conditions,
            rulings=rulings,
            since=since,
        )

    def finding(
        self,
        message: str,
        location: Location,
        *,
        steps: tuple[Step, ...] = (),
        severity: Severity | None = None,
        confidence: Confidence = Confidence.HIGH,
        facts: Mapping[str, object] | None = None,
        dormant: str = "",
    ) -> Finding:
        """A finding of this rule; ``severity`` defaults to the rule's own."""
        severity = severity or self.severity
        return Finding(
            self.id, self.mechanism, self.leads_to, severity, confidence, message, location, steps, facts or {}, dormant
        )

    def gap(self, reason: str, location: Location | None = None) -> Gap:
        """Say that this rule could not decide, and why."""
        return Gap(self.id, reason, location)
