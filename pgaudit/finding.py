"""Findings: what a rule saw, where, and how sure it is; and gaps, what could not be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pgaudit.fingerprint import fingerprint


class Severity(StrEnum):
    """How bad it is if true. SARIF's own words, so nothing has to be mapped."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Confidence(StrEnum):
    """How sure the analysis is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a submission."""

    path: str
    """Relative to the record folder; of the outer file for a place in a packed layer."""
    line: int | None = None
    """1-based, counted in the layer's text where ``layer`` is set; ``None`` for the file as a whole."""
    layer: str = ""
    """How the text was decoded from the file, e.g. ``base85 → lzma``; empty for the file as shipped."""
    text: str = ""
    """The line itself, stripped and cut to a readable length."""
    payload_line: int | None = None
    """Of the file as shipped, where ``layer`` is set: the line that holds the packed text."""

    @property
    def shipped_line(self) -> int | None:
        """The line of the file as shipped, for what shows that file: 1-based, ``None`` for the file as a whole."""
        return self.payload_line if self.layer else self.line

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place} ({self.layer})" if self.layer else place


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trace: what happens at a place."""

    location: Location
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, a place and the trace that a person can follow line by line."""

    rule: str
    mechanism: str
    leads_to: str
    """The verdict that an error of the rule leads to: ``illegal`` or ``defect``."""
    severity: Severity
    confidence: Confidence
    message: str
    """One sentence of fact; no adverbs, no accusation."""
    location: Location
    steps: tuple[Step, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    """Numbers and names behind the message, JSON values."""
    dormant: str = ""
    """What switches the code off in the run (``TTT_ENABLED=0, README.md:12``), where its own default would run it."""
    occurrence: int = 0
    """Among the findings of the folder that only the line tells apart, counted from above (``pgaudit.fingerprint``)."""
    known: bool | None = None
    """Whether the baseline has it already; ``None`` where there is no baseline."""

    @property
    def decides(self) -> bool:
        """An error of high or medium confidence gives the rule's verdict; anything less asks for a person."""
        return self.severity is Severity.ERROR and self.confidence is not Confidence.LOW

    @property
    def fingerprint(self) -> str:
        """Identity across edits, within the record folder."""
        return fingerprint(self)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not checked, and why: the reason a verdict is not ``clean``."""

    check: str
    """The rule id, or the input, that could not be decided."""
    reason: str
    location: Location | None = None
