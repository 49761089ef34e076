"""The card of one submission: a pure function of its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgaudit.card import architecture, artifact, evaluation, knobs, training
from pgaudit.card.comparison import compare
from pgaudit.card.derived import derive
from pgaudit.card.facts import Card, Category, Fact, Parameter
from pgaudit.card.reach import Program
from pgaudit.card.settings import Settings
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN, Run
from pgaudit.finding import Gap
from pgaudit.policy import Policy
from pgaudit.submission import Collected

ORDER = {category: position for position, category in enumerate(Category)}


def cards_of(collected: Collected, policy: Policy) -> tuple[Card, ...]:
    """The card of every record folder of a target."""
    edition = policy.edition_at(collected.origin.date)
    return tuple(card_of(Evidence(submission, edition)) for submission in collected.submissions)


def card_of(evidence: Evidence) -> Card:
    """What a submission is made of. What cannot be read is a gap of the card, never a missing fact without notice."""
    run = evidence.run
    submission = evidence.submission
    return Card(
        pr=submission.origin.pr,
        folder=submission.folder,
        head=submission.origin.head,
        script=run.layers[MAIN].at(None) if run else None,
        facts=tuple(_sorted(_merged(facts_of(run)))) if run else (),
        comparisons=compare(evidence),
        gaps=tuple(_gaps(evidence, run)),
    )


def facts_of(run: Run) -> Iterator[Fact]:
    """Everything that the code of a run shows, as often as it does."""
    settings = Settings(run)
    derive(settings)
    program = Program(run, settings)
    yield from architecture.facts(program, settings)
    yield from training.facts(program, settings, evaluation.adapting(program))
    yield from artifact.facts(program, settings)
    yield from evaluation.facts(program, settings)
    yield from knobs.facts(program, settings)


def _gaps(evidence: Evidence, run: Run | None) -> Iterator[Gap]:
    yield from evidence.gaps
    if run is None:
        unread = (
            f"{evidence.main_path} cannot be read as Python" if evidence.main_path else "no script trains or scores"
        )
        yield Gap("card", f"{unread}, so that the card shows nothing of the code")


def _merged(facts: Iterable[Fact]) -> Iterator[Fact]:
    """One fact for each name: the places that run count before those that do not, the first of them is shown.

    Of several reasons why none of them runs, one that names a setting is shown.
    """
    groups: dict[tuple[Category, str], list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.category, fact.name), []).append(fact)
    for group in groups.values():
        used = [fact for fact in group if not fact.dormant] or [min(group, key=lambda fact: "=" not in fact.dormant)]
        first = used[0]
        given = dict.fromkeys(parameter for fact in used for parameter in fact.parameters)
        yield Fact(first.category, first.name, first.place, tuple(_joined(given)), first.dormant)


def _joined(parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """One parameter for each name; several values of it beside each other."""
    names: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        names.setdefault(parameter.name, []).append(parameter)
    for name, group in names.items():
        values = " / ".join(dict.fromkeys(parameter.value for parameter in group))
        yield Parameter(name, values, ", ".join(dict.fromkeys(parameter.source for parameter in group)))


def _sorted(facts: Iterable[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: (ORDER[fact.category], bool(fact.dormant), fact.name.lower()))
