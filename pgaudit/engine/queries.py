"""Questions about a walk. Rules are made of these; each answer names the events that a trace needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum, StrEnum
from typing import NamedTuple

from pgaudit.engine.events import (
    ChoiceEvent,
    Event,
    LookupEvent,
    ReportEvent,
    ScoreEvent,
    SpreadEvent,
    StackEvent,
    UpdateEvent,
)
from pgaudit.engine.labels import Activation, Artifact, Bytes, Decided, Iteration, Lookup, Mixed, Score, Token, Update
from pgaudit.engine.linear import Linear, distance
from pgaudit.engine.walk import Walk

METRIC_WORDS = (("bpb", "bits_per_byte", "bits per byte"), ("loss",))
"""Words that name the metric, the telling ones first."""


UNPLACED = frozenset({"train", "network"})
"""Origins of tokens whose place in their stream says nothing."""
LEAST_LETTERS = 3
"""A template with fewer literal letters fits any line."""


class Overlap(IntEnum):
    """How two slices of one token stream relate."""

    DISJOINT = 0
    MAY = 1
    SAME = 2


class Order(StrEnum):
    """How a state change on the scored tokens came to stand before the score that counts."""

    FITTED = "fitted"
    """A tensor made by the evaluation was fitted on them (SLOT)."""
    CALIBRATED = "calibrated"
    """Statistics of them went into the weights (a quantiser's calibration)."""
    COUNTED = "counted"
    """A table had counted them (a cache built in an earlier pass)."""
    LATER_EPOCH = "later epoch"
    """Each pass scores first, but a later pass over the same tokens is the one that counts."""
    IN_LOOP = "in loop"
    """The loop that scores them trains on them first."""
    BEFORE = "before"
    """They were trained on before the evaluation began."""


class StateBeforeScore(NamedTuple):
    """A reported score whose predictor had learned from the tokens that it scores."""

    score: ScoreEvent
    update: UpdateEvent
    overlap: Overlap


class TargetInKey(NamedTuple):
    """A lookup that feeds a reported score, one index component of which holds the scored token and its context."""

    lookup: LookupEvent
    component: int
    scored: Token
    context: Token


class Reported(NamedTuple):
    """The print that carries the submission's score."""

    event: ReportEvent
    matched: bool
    """It can have printed a log line that holds the claimed number, or there is no such line to compare with."""


def reported(walk: Walk, score_lines: tuple[str, ...] = ()) -> Reported | None:
    """Find the print that carries the score: it depends on validation scores and can have printed one of ``score_lines``.

    Where none of those lines (the log lines that hold the claimed number) fits, it is the last print that names the metric.
    """
    candidates = [
        event for event in reversed(walk.reports) if any(_evaluates(walk, s) for s in scores_of(walk, event.labels))
    ]
    for event in candidates:
        if any(prints(event.template, line) for line in score_lines):
            return Reported(event, True)
    for words in METRIC_WORDS:
        for event in candidates:
            if any(word in event.template.lower() for word in words):
                return Reported(event, not score_lines)
    return None


def prints(template: str, line: str) -> bool:
    """Can the template have printed the line? Its literal parts must stand there in order, and say something."""
    at = 0
    parts = [part.strip() for part in template.split("\0")]
    for part in parts:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return says_something(template)


def shape_of(template: str) -> re.Pattern[str]:
    """What lines of the template look like, with a group for each part that is not known."""
    return re.compile("(.*?)".join(re.escape(part) for part in template.split("\0")) + r"\s*$")


def says_something(template: str) -> bool:
    """A template needs some literal letters to be told from any other."""
    return sum(map(str.isalpha, template)) >= LEAST_LETTERS


def _evaluates(walk: Walk, score: ScoreEvent) -> bool:
    return any(token.origin != "train" for token in walk.labels.of(score.targets, Token))


def scores_of(walk: Walk, labels: int) -> list[ScoreEvent]:
    """The score events in a set of labels."""
    events = [walk.events[label.event] for label in walk.labels.of(labels, Score)]
    return [event for event in events if isinstance(event, ScoreEvent)]


def scored_origins(walk: Walk, report: ReportEvent) -> set[str]:
    """Where the targets of the reported scores come from."""
    scores = scores_of(walk, report.labels)
    return {token.origin for score in scores for token in walk.labels.of(score.targets, Token)}


def state_before_score(walk: Walk, report: ReportEvent) -> Iterator[StateBeforeScore]:
    """Reported scores whose predictor carries an update on the same tokens (C3), or may carry one (C1).

    An update in a loop that also scores is legal when the loop iterations in the addresses keep both apart, or when
    it follows a reported score of that loop: then it can only have seen what was scored.
    """
    counted = [(label, walk.events[label.event]) for label in walk.labels.of(report.labels, Score)]
    for label, score in counted:
        assert isinstance(score, ScoreEvent)
        if not _evaluates(walk, score):
            continue
        for update in updates_behind(walk, score.state):
            overlap = overlap_of(walk, update.uses, label, score)
            if overlap is Overlap.SAME or (
                overlap is Overlap.MAY and not _follows_score(update, score, [s for _, s in counted])
            ):
                yield StateBeforeScore(score, update, overlap)


def order_of(walk: Walk, hit: StateBeforeScore) -> Order:
    """Which shape a state change before its score has."""
    score, update, _ = hit
    if update.what == "count":
        return Order.COUNTED
    if update.what == "fit":
        return Order.CALIBRATED
    if update.fresh:
        return Order.FITTED
    shared = {loop[:2] for loop in score.place.loops} & {loop[:2] for loop in update.place.loops}
    if not shared:
        return Order.BEFORE
    scored_before = any(
        earlier.number < update.number
        and earlier.place.spot == score.place.spot
        and _same_targets(walk, earlier, score)
        and shared & {loop[:2] for loop in earlier.place.loops}
        for earlier in walk.scores
    )
    return Order.LATER_EPOCH if scored_before else Order.IN_LOOP


class Choice(NamedTuple):
    """A reported value that was chosen by comparing scores of the same tokens."""

    choice: ChoiceEvent
    score: ScoreEvent
    oracle: bool
    """Both sides score the tokens: the better of two is kept. Otherwise one score is held against something else."""


def choices(walk: Walk, report: ReportEvent) -> Iterator[Choice]:
    """Choices behind the reported score that rest on scores of the iteration in which they are made (C1).

    A comparison of totals after the loop (the best of several runs, early stopping) is a choice of another kind, and one
    of tokens that were scored before is adaptation.
    """
    counted = scores_of(walk, report.labels)
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        left, right = ([s for s in scores_of(walk, side) if _evaluates(walk, s)] for side in event.sides)
        found = [
            score
            for score in (*left, *right)
            if _made_with(score, event)
            and any(score is o or (o.number > event.number and _same_targets(walk, score, o)) for o in counted)
        ]
        if found:
            both = event.smaller or any(
                one is other or _same_targets(walk, one, other) for one in left for other in right
            )
            yield Choice(event, found[0], both)


def _made_with(score: ScoreEvent, choice: ChoiceEvent) -> bool:
    """Both happened in the same iteration of every loop around the score."""
    return bool(score.place.loops) and score.place.loops == choice.place.loops[: len(score.place.loops)]


def paid_for(walk: Walk, report: ReportEvent) -> Iterator[ChoiceEvent]:
    """Losses behind the report that are set to zero where the target equals a token that a shipped file holds."""
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        if event.cleared and event.sides[1] & walk.labels.mask(Artifact):
            yield event


def kept_weights(walk: Walk, report: ReportEvent) -> Iterator[tuple[ScoreEvent, ScoreEvent]]:
    """Reported scores of weights that were not read back from a file, after weights that were had been scored."""
    read = walk.labels.mask(Artifact)
    returned = [score for score in walk.scores if _evaluates(walk, score) and score.state & read]
    for score in scores_of(walk, report.labels):
        if _evaluates(walk, score) and not score.state & read:
            before = [other for other in returned if other.number < score.number and not _share_loop(other, score)]
            if before:
                yield score, before[-1]


class Gate(NamedTuple):
    """A reported value that depends on a lookup by the very token that the iteration is about."""

    choice: ChoiceEvent
    lookup: LookupEvent
    update: UpdateEvent


def target_gates(walk: Walk, report: ReportEvent) -> Iterator[Gate]:
    """Branches behind the reported score that rest on a property of the token being scored (C1).

    The token being scored is the newest that enters a table in the same iteration; the one before it is context.
    """
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        if not event.emitted or (event.sides[0] | event.sides[1]) & walk.labels.mask(Score):
            continue  # what it decides for later tokens only is what was counted of this one
        for lookup in (walk.events[found.event] for found in walk.labels.of(event.sides[0], Lookup)):
            assert isinstance(lookup, LookupEvent)
            tokens = [token for part in lookup.components for token in _of_evaluation(walk, part)]
            if _counts(walk, lookup):
                continue  # counts, not a property of the token
            if update := next((u for u in walk.updates if _takes_in(walk, u, event, tokens)), None):
                yield Gate(event, lookup, update)


def _takes_in(walk: Walk, update: UpdateEvent, choice: ChoiceEvent, tokens: list[Token]) -> bool:
    """Does the update, later in the same iteration, count one of the tokens as the newest?"""
    depth = len(choice.place.loops)
    if update.what != "count" or update.number < choice.number or update.place.loops[:depth] != choice.place.loops:
        return False
    taken = _of_evaluation(walk, update.uses)
    gaps = [[distance(token.start, other.start) for other in taken if token.tags == other.tags] for token in tokens]
    return bool(gaps) and all(0 in ahead and max(gap or 0 for gap in ahead) == 0 for ahead in gaps)


class UnscoredPart(NamedTuple):
    """A mixture one part of which is no probability of the scored token."""

    stack: StackEvent
    score: ScoreEvent


def spread_scores(walk: Walk, report: ReportEvent) -> Iterator[SpreadEvent]:
    """Scores of tokens that were spread over their bytes and made into byte probabilities behind the report (C2)."""
    for label in walk.labels.of(report.labels, Mixed):
        event = walk.events[label.event]
        if not isinstance(event, SpreadEvent) or not _is_property(walk, event):
            continue
        if any(_evaluates(walk, score) for score in scores_of(walk, event.score)):
            yield event


def _counts(walk: Walk, lookup: LookupEvent) -> bool:
    """Does the table count tokens, now or later?"""
    return bool((lookup.table | lookup.source.labels) & walk.labels.mask(Update))


def _is_property(walk: Walk, spread: SpreadEvent) -> bool:
    """Is a score divided by something that a fixed table (not counts) says of the scored token alone: its bytes?"""
    if spread.share & walk.labels.mask(Bytes):
        return True
    scored = [token.start for token in _scored_positions(walk, spread.score)]
    lookups = [walk.events[label.event] for label in walk.labels.of(spread.share, Lookup)]
    return any(
        isinstance(lookup, LookupEvent)
        and not _counts(walk, lookup)
        and all(token.start in scored for part in lookup.components for token in _of_evaluation(walk, part))
        for lookup in lookups
    )


def unscored_parts(walk: Walk, report: ReportEvent) -> Iterator[UnscoredPart]:
    """Mixtures behind the reported score that add up scores and something that the network says of no token (C2)."""
    plain = walk.labels.mask(Score, Lookup, Token)
    for label in walk.labels.of(report.labels, Mixed):
        event = walk.events[label.event]
        if not isinstance(event, StackEvent):
            continue
        scores = [score for part in event.parts for score in scores_of(walk, part) if _evaluates(walk, score)]
        if scores and any(part & walk.labels.mask(Activation) and not part & plain for part in event.parts):
            yield UnscoredPart(event, scores[0])


def calibrated_on_training(walk: Walk, report: ReportEvent) -> Iterator[StateBeforeScore]:
    """Reported scores of weights that were set from statistics of training tokens."""
    for score in scores_of(walk, report.labels):
        for update in updates_behind(walk, score.state) if _evaluates(walk, score) else ():
            if update.what == "fit" and any(a.origin == "train" for a in walk.labels.addresses(update.uses)):
                yield StateBeforeScore(score, update, Overlap.DISJOINT)


def updates_behind(walk: Walk, labels: int) -> list[UpdateEvent]:
    """The updates that a state carries, latest first."""
    events = [walk.events[label.event] for label in walk.labels.of(labels, Update)]
    return [event for event in reversed(events) if isinstance(event, UpdateEvent)]


def _follows_score(update: UpdateEvent, score: ScoreEvent, counted: Iterable[object]) -> bool:
    shared = {loop[:2] for loop in score.place.loops} & {loop[:2] for loop in update.place.loops}
    return any(
        isinstance(earlier, ScoreEvent)
        and earlier.number < update.number
        and shared & {loop[:2] for loop in earlier.place.loops}
        for earlier in counted
    )


def overlap_of(walk: Walk, uses: int, label: Score, score: ScoreEvent) -> Overlap:
    """Did ``uses`` contain the tokens that ``score`` scores?"""
    strongest = Overlap.DISJOINT
    targets = walk.labels.of(score.targets, Token)
    for used, window in _used_tokens(walk, uses):
        if window is not None and _bounded_before(window, label):
            continue
        for target in targets:
            if _ends_before(used, target, label):
                continue
            strongest = max(strongest, _compare(walk, used, target))
            if strongest is Overlap.SAME:
                return strongest
    return strongest


def _used_tokens(walk: Walk, uses: int) -> Iterator[tuple[Token | Activation, Score | None]]:
    for address in walk.labels.addresses(uses):
        yield address, None
    for label in walk.labels.of(uses, Score):
        event = walk.events[label.event]
        assert isinstance(event, ScoreEvent)
        for token in walk.labels.of(event.targets, Token):
            yield token, label


def _bounded_before(used: Score, scored: Score) -> bool:
    """The fit ends, within each window, where the score begins."""
    gap = distance(used.end, scored.start)
    return gap is not None and gap >= 0


def _ends_before(used: Token | Activation, target: Token, scored: Score) -> bool:
    """The slice that was used ends where the scored part of the window begins."""
    if target.start is None or scored.start is None:
        return False
    gap = distance(used.end, target.start.plus(scored.start))
    return gap is not None and gap >= 0


def _compare(walk: Walk, used: Token | Activation, target: Token) -> Overlap:
    if not {used.origin, target.origin}.isdisjoint(UNPLACED):
        return Overlap.DISJOINT
    mine, theirs = _by_loop(used.tags), _by_loop(target.tags)
    shared = mine.keys() & theirs.keys()
    if any(not mine[loop] & theirs[loop] for loop in shared):
        return Overlap.DISJOINT
    # Positions gathered from several iterations say nothing about any one of them, nor does a loop walked only once.
    telling = shared & walk.loops_told_apart
    same = bool(telling) and all(len(mine[loop]) == len(theirs[loop]) == 1 for loop in telling)
    return Overlap.SAME if same or (not mine and not theirs) else Overlap.MAY


def _same_targets(walk: Walk, one: ScoreEvent, other: ScoreEvent) -> bool:
    """Do two scores share a slice?"""
    theirs = walk.labels.of(other.targets, Token)
    return any(
        _compare(walk, mine, target) is Overlap.SAME for mine in walk.labels.of(one.targets, Token) for target in theirs
    )


def _by_loop(tags: frozenset[Iteration]) -> dict[int, set[int]]:
    loops: dict[int, set[int]] = {}
    for tag in tags:
        loops.setdefault(tag.loop, set()).add(tag.position)
    return loops


def target_in_key(walk: Walk, report: ReportEvent) -> Iterator[TargetInKey]:
    """Lookups behind the reported score whose index mixes the scored token with its context (C1).

    A component that holds scored tokens only (a byte table read at the targets) is a choice of column.
    """
    lookups = lookups_behind(walk, report)
    scored = {
        (token.origin, token.start) for token in _scored_positions(walk, report.labels) if token.start is not None
    }
    for lookup in lookups:
        for index, component in enumerate(lookup.components):
            tokens = [token for token in _of_evaluation(walk, component) if token.start is not None]
            if not tokens or _read_later(walk, lookup, tokens):
                continue
            targets = [token for token in tokens if (token.origin, token.start) in scored]
            context = [token for token in tokens if (token.origin, token.start) not in scored]
            if targets and context:
                yield TargetInKey(lookup, index, targets[0], context[0])


def _read_later(walk: Walk, lookup: LookupEvent, tokens: list[Token]) -> bool:
    """Does the same iteration look up or count a token after all of these? Then none of them is the one being scored."""
    beside = [
        *(component for other in walk.lookups if _beside(other, lookup) for component in other.components),
        *(update.uses for update in walk.updates if update.what == "count" and _beside(update, lookup)),
    ]
    return any(
        all((distance(token.start, one.start) or 0) > 0 for token in tokens)
        for labels in beside
        for one in _of_evaluation(walk, labels)
    )


def _beside(one: Event, other: Event) -> bool:
    """Did both happen in one call and one iteration of its loops?"""
    return bool(one.place.loops) and (one.place.loops, one.place.calls) == (other.place.loops, other.place.calls)


def pair_lookups(walk: Walk, report: ReportEvent) -> Iterator[TargetInKey]:
    """Pairs of lookups behind the reported score, made together, whose keys differ by exactly the newest token (C1).

    This is ``pairs[hash(context, target)] / contexts[hash(context)]`` where the position of the target was lost. Where
    positions are index arrays, the target is the token that the loop over the context does not touch.
    """
    lookups = lookups_behind(walk, report)
    for pair in lookups:
        for context in lookups:
            if context is pair or (context.place.calls, context.place.loops) != (pair.place.calls, pair.place.loops):
                continue
            for index, (longer, shorter) in enumerate(zip(pair.components, context.components, strict=False)):
                known, tokens = (dict.fromkeys(_of_evaluation(walk, part)) for part in (shorter, longer))
                added = [token for token in tokens if token not in known]
                if added and known and known.keys() < tokens.keys() and all(_newest(t, known) for t in added):
                    yield TargetInKey(pair, index, added[0], next(iter(known)))


def lookups_behind(walk: Walk, report: ReportEvent) -> list[LookupEvent]:
    """The lookups that a report rests on, oldest first."""
    events = [walk.events[label.event] for label in walk.labels.of(report.labels, Lookup)]
    return [event for event in events if isinstance(event, LookupEvent)]


def _of_evaluation(walk: Walk, component: int) -> list[Token]:
    """The tokens of an index component that are no training tokens."""
    return [token for token in walk.labels.of(component, Token) if token.origin != "train"]


def _newest(token: Token, others: Iterable[Token]) -> bool:
    """Does a token come after the others; or, where positions are lost alike, apart from the loop that gathers them?"""
    gathering = frozenset.intersection(*(frozenset(tag.loop for tag in other.tags) for other in others))
    apart = bool(gathering - {tag.loop for tag in token.tags})
    for other in others:
        gap = distance(other.start, token.start)
        if gap is None and (other.start is not None or token.start is not None):
            return False
        if not (gap or 0) > 0 and not (apart and not gap):
            return False
    return True


class Rescored(NamedTuple):
    """A lookup behind the reported score in a table that had counted tokens after they were scored once."""

    score: ScoreEvent
    update: UpdateEvent
    lookup: LookupEvent


def rescored(walk: Walk, report: ReportEvent) -> Iterator[Rescored]:
    """Lookups behind the reported score in tables that another loop had filled with tokens already scored (C4).

    A table that is filled with the prefix of the stream before anything is scored has no earlier score of its own.
    """
    counted = [score for score in scores_of(walk, report.labels) if _evaluates(walk, score)]
    for lookup in lookups_behind(walk, report):
        for update in updates_behind(walk, lookup.table):
            if update.what != "count" or update.number > lookup.number or _share_loop(update, lookup):
                continue
            if not any(a.origin != "train" for a in walk.labels.addresses(update.uses)):
                continue
            earlier = [score for score in walk.scores if score.number < update.number and _share_loop(score, update)]
            earlier += [s for s in counted if s.number < update.number and not _share_loop(s, lookup)]
            if evaluated := [score for score in earlier if _evaluates(walk, score)]:
                yield Rescored(evaluated[0], update, lookup)


def _share_loop(one: Event, other: Event) -> bool:
    """Did both happen in one execution of a loop?"""
    return bool({loop[:2] for loop in one.place.loops} & {loop[:2] for loop in other.place.loops})


def _scored_positions(walk: Walk, labels: int) -> Iterator[Token]:
    """The tokens that the scores of a set predict, moved to where each score was sliced."""
    for label in walk.labels.of(labels, Score):
        event = walk.events[label.event]
        assert isinstance(event, ScoreEvent)
        for token in walk.labels.of(event.targets, Token):
            yield token
            if label.start is not None and token.start is not None and label.start != Linear(0):
                yield Token(token.origin, token.tags, token.start.plus(label.start))
