"""Labels against results: what was found, what was accused wrongly, and where the two disagree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.accuracy.lines import MISSING, OPEN, Key, Label, Result
from tests.accuracy.mechanisms import FACTS, explained_by, kin


@dataclass(slots=True)
class Recall:
    """Illegal lines of one mechanism, in lines."""

    lines: int = 0
    found: int = 0
    """The verdict is ``illegal``."""
    named: int = 0
    """Found, by the mechanism or one of its family."""
    extra: int = 0
    """Found, and accused of something that no label of the line explains."""
    review: int = 0
    open: int = 0
    """``incomplete``, or no result."""


@dataclass(slots=True)
class Alarms:
    """Lines of one class that are not illegal."""

    lines: int = 0
    illegal: int = 0
    """False accusations."""
    defect: int = 0
    """False alarms on a legal line; the right answer on a defect line."""
    review: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A label, and the result that does not bear it out."""

    label: Label
    verdict: str
    result: Result | None


@dataclass(frozen=True, slots=True)
class Count:
    """Everything that is counted of one comparison."""

    recall: dict[str, Recall] = field(default_factory=lambda: defaultdict(Recall))
    """By mechanism; a line with two mechanisms is in both."""
    illegal: Recall = field(default_factory=Recall)
    """Every illegal line once."""
    alarms: dict[tuple[str, str], Alarms] = field(default_factory=lambda: defaultdict(Alarms))
    """By label verdict and class."""
    others: dict[str, Alarms] = field(default_factory=lambda: defaultdict(Alarms))
    """By label verdict, every line once."""
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By label verdict and result verdict."""
    disagreements: list[Disagreement] = field(default_factory=list)


def count(labels: Iterable[Label], results: Mapping[Key, Result]) -> Count:
    """Compare labels with results."""
    total = Count()
    for label in labels:
        result = results.get(label.key)
        verdict = result.verdict if result else MISSING
        total.confusion[label.verdict, verdict] += 1
        if label.verdict == "illegal":
            agrees = _count_illegal(total, label, verdict, frozenset(result.mechanisms if result else ()))
        else:
            agrees = _count_other(total, label, verdict)
        if not agrees:
            total.disagreements.append(Disagreement(label, verdict, result))
    return total


def _count_illegal(total: Count, label: Label, verdict: str, slugs: frozenset[str]) -> bool:
    found = verdict == "illegal"
    explained = explained_by(label.mechanisms)
    extra = bool(slugs - explained - FACTS)
    named = found and bool(slugs & explained - FACTS)
    _add(total.illegal, verdict, found=found, named=named, extra=found and extra)
    for slug in label.mechanisms:
        if not slug.startswith("clean-"):
            by_slug = found and bool(slugs & kin(slug))
            _add(total.recall[slug], verdict, found=found, named=by_slug, extra=found and extra)
    return named and not extra


def _add(row: Recall, verdict: str, *, found: bool, named: bool, extra: bool) -> None:
    row.lines += 1
    row.found += found
    row.named += named
    row.extra += extra
    row.review += verdict == "review"
    row.open += verdict in OPEN


def _count_other(total: Count, label: Label, verdict: str) -> bool:
    for row in (total.others[label.verdict], *(total.alarms[label.verdict, slug] for slug in label.mechanisms)):
        row.lines += 1
        row.illegal += verdict == "illegal"
        row.defect += verdict == "defect"
        row.review += verdict == "review"
        row.open += verdict in OPEN
    if label.verdict == "defect":
        return verdict == "defect"
    return verdict != "illegal" and (label.verdict != "legal" or verdict != "defect")
