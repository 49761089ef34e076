"""What the differences between runs prove. Pure functions of the records; every comparison is bit for bit.

No place in the text has to be known: if each token is scored once, replacing every token from place ``k`` on can change no more
scores than there are tokens from there on. More than that is proof that a score saw a later token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgaudit.evidence.numbers import Figure
from pgaudit.probe import experiment
from pgaudit.probe.experiment import BASE, EARLY, LAST, PLAIN, REPEAT
from pgaudit.probe.record import Condition, Measurement, Outcome, RunRecord, Site
from pgaudit.probe.scores import Scores, claimed_scores, fits_between, is_cross_entropy, printed_metrics
from pgaudit.probe.shrink import SEQUENCE, VALIDATION
from pgaudit.probe.text import Text

Changed = NDArray[np.int64]
LOCAL = 2 * SEQUENCE
"""Scores before the replaced tokens that a network which looks ahead can move: those of one window, read twice at most.

With more, or with anything fitted between two scores, something was learned from tokens before they were scored."""
FAR = 4 * SEQUENCE
"""Scores beyond those of the changed tokens themselves that no window of the network reaches: something was remembered."""
COUNTS = "n-gram cache"
"""What the card calls an evaluation that counts; anything else that it learns by is fitted."""
SUSPICIOUS = 1.1
"""Estimated sum of all probabilities from which more tokens are measured."""
KNOWN_BYTES = 0.005
"""Relative: a printed score has at least four decimals, and a sum in 32 bits its own error."""
WRONG_BYTES = 0.01
"""Relative, as in the rule ``bytes/denominator``."""


@dataclass(frozen=True)
class Runs:
    """The runs of one submission and the scores of each."""

    records: Mapping[str, RunRecord]
    scores: Mapping[str, Scores]

    @property
    def base(self) -> Scores:
        """Of the text as it is."""
        return self.scores[BASE]

    def changed(self, name: str) -> Changed | None:
        """The scores that differ from the base; ``None`` where they cannot be compared."""
        other = self.scores.get(name)
        if other is None or other.site.place != self.base.site.place or len(other.values) != len(self.base.values):
            return None
        return np.flatnonzero(other.values != self.base.values)

    def moves(self, name: str) -> int:
        """How many scores differ from the base, as far as they can be compared."""
        changed = self.changed(name)
        return 0 if changed is None else len(changed)


def runs_of(records: Mapping[str, RunRecord], stage: str, text: Text) -> Runs:
    """Find the scores of every run, behind the metric that ``stage`` names."""
    found = {name: claimed_scores(record, stage, text.bytes) for name, record in records.items() if name != PLAIN}
    return Runs(records, {name: scores for name, scores in found.items() if scores})


def obstacle(runs: Runs) -> str:
    """Why nothing can be judged; empty if something can."""
    base = runs.records[BASE]
    if base.ending != "finished":
        return base.ending
    if BASE not in runs.scores:
        return "no sum of recorded numbers is the printed score"
    if not runs.base.complete:
        return f"the score is summed from {len(runs.base.values)} numbers, not from one for each token"
    if _printed(runs.records[PLAIN]) != _printed(base):
        return "the recorder changed what the submission prints"
    repeated = runs.changed(REPEAT)
    if repeated is None or len(repeated):
        return "a second run on the same text came to other scores"
    return ""


def _printed(record: RunRecord) -> list[tuple[str, Figure | None, Figure | None]]:
    """The scores that a run printed, to the last digit; other lines name the run and its times."""
    return [(metric.stage, metric.val_loss, metric.val_bpb) for _, metric in printed_metrics(record)]


def judge(runs: Runs, expected: str, text: Text) -> tuple[Measurement, ...]:
    """Every condition. ``expected`` names what the evaluation is known to learn by, from reading."""
    if why := obstacle(runs):
        return tuple(Measurement(condition, Outcome.COULD_NOT_RUN, why) for condition in Condition)
    early, late = _future(runs, expected)
    return early, _sum(runs, late, expected, text.vocabulary), late, _bytes(runs, text.bytes)


def _future(runs: Runs, expected: str) -> tuple[Measurement, Measurement]:
    """Causality within a window, and of what is learned during the evaluation."""
    base, site = runs.base, runs.base.site
    scored = int(np.count_nonzero(base.values))
    twice = max(0, scored - VALIDATION)
    worst: tuple[str, Changed, int] | None = None
    compared = 0
    for name, start in experiment.FROM.items():
        changed = runs.changed(name)
        if changed is None:
            continue
        compared += 1
        allowed = VALIDATION + 1 - start + twice
        if len(changed) > allowed and (worst is None or len(changed) - allowed > len(worst[1]) - worst[2]):
            worst = name, changed, allowed
    if not compared:
        why = "no run on a changed text gave scores that can be compared"
        return tuple(
            Measurement(each, Outcome.COULD_NOT_RUN, why, site) for each in (Condition.CAUSAL, Condition.SCORED_FIRST)
        )  # type: ignore[return-value]
    reach = runs.moves(EARLY)
    numbers = {"scores": scored, "reach_of_early_tokens": reach}
    if worst:
        name, changed, allowed = worst
        sentence = (
            f"with the tokens from place {experiment.FROM[name]} on replaced {len(changed)} of {scored} scores change, "
            f"where at most {allowed} belong to replaced tokens"
        )
        numbers |= {"changed": len(changed), "allowed": allowed, "from": experiment.FROM[name]}
        learned = fits_between(runs.records[BASE], base) > 0 or len(changed) - allowed > LOCAL
        broken = Measurement(
            Condition.SCORED_FIRST if learned else Condition.CAUSAL, Outcome.VIOLATED, sentence, site, numbers
        )
        other = Condition.CAUSAL if learned else Condition.SCORED_FIRST
        hidden = Measurement(
            other, Outcome.NOT_EXERCISED, "what was measured cannot tell it from the other condition", site
        )
        return (hidden, broken) if learned else (broken, hidden)
    if not reach or runs.moves(LAST) == 0:
        why = "no score depends on the tokens before it here: the shrunken network is blind"
        return (
            Measurement(Condition.CAUSAL, Outcome.NOT_EXERCISED, why, site, numbers),
            Measurement(Condition.SCORED_FIRST, Outcome.NOT_EXERCISED, why, site, numbers),
        )
    causal = Measurement(
        Condition.CAUSAL, Outcome.HOLDS,
        f"{scored} scores: replacing later tokens changes none; {reach} of them change with the first tokens", site, numbers,
    )  # fmt: skip
    fits = fits_between(runs.records[BASE], base)
    return causal, _learning(reach, fits, expected, site, {**numbers, "fits": fits})


def _learning(reach: int, fits: int, expected: str, site: Site, numbers: Mapping[str, object]) -> Measurement:
    """What the evaluation is known to do has to be seen, or its order was not put to the test."""
    far = reach > len(experiment.EARLY_TOKENS) + FAR

    def measured(outcome: Outcome, sentence: str) -> Measurement:
        return Measurement(Condition.SCORED_FIRST, outcome, sentence, site, numbers)

    if expected == COUNTS and not far:
        return measured(Outcome.NOT_EXERCISED, f"an {expected} is read, but early tokens change only {reach} scores")
    if expected and expected != COUNTS and not fits:
        return measured(Outcome.NOT_EXERCISED, f"{expected} is read, but nothing was fitted between two scores here")
    seen = f"fitted {fits} times between scores, " if fits else ""
    if fits or far:
        return measured(Outcome.HOLDS, f"{seen}early tokens change {reach} scores, later tokens none before them")
    return measured(Outcome.HOLDS, "nothing is learned while it is scored")


def _sum(runs: Runs, late: Measurement, expected: str, vocabulary: int) -> Measurement:
    """The probabilities that were measured at the last place, each for another token there."""
    site = runs.base.site
    own = runs.changed(LAST)
    if late.outcome is Outcome.VIOLATED:
        return Measurement(
            Condition.NORMALISED, Outcome.NOT_EXERCISED, "the scores depend on the token that is put in", site
        )
    if own is None or not len(own):
        return Measurement(
            Condition.NORMALISED, Outcome.COULD_NOT_RUN, "the score of the last token was not found", site
        )
    place, found = int(own[0]), chances(runs)
    total = sum(found.values())
    guess = round(estimate(found, vocabulary), 4)
    numbers = {"tokens": len(found), "sum": round(total, 6), "place": place, "estimate": guess}
    sentence = f"the probabilities of {len(found)} different tokens at the last place sum to {total:.4f}"
    if total > 1 + 1e-4:
        return Measurement(Condition.NORMALISED, Outcome.VIOLATED, sentence, site, numbers)
    if is_cross_entropy(runs.records[BASE], float(runs.base.values[place])):
        if expected == COUNTS:  # nothing was mixed in at this place, so that the mixture was not measured
            unmixed = f"an {expected} is read, but the last score is a plain cross entropy"
            return Measurement(Condition.NORMALISED, Outcome.NOT_EXERCISED, unmixed, site, numbers)
        return Measurement(Condition.NORMALISED, Outcome.HOLDS, f"a cross entropy of logits; {sentence}", site, numbers)
    if numbers["estimate"] > SUSPICIOUS:
        unproven = (
            f"{sentence}; by their mean all {vocabulary:,} may sum to {numbers['estimate']}, which proves nothing"
        )
        return Measurement(Condition.NORMALISED, Outcome.NOT_EXERCISED, unproven, site, numbers)
    return Measurement(Condition.NORMALISED, Outcome.HOLDS, sentence, site, numbers)


def chances(runs: Runs) -> dict[int, float]:
    """The probability of every token that was put in at the last place, as it was scored there."""
    own = runs.changed(LAST)
    if own is None or not len(own):
        return {}
    nats = {experiment.TRUE: float(runs.base.values[own[0]])}
    for name, scores in runs.scores.items():
        if experiment.is_sum(name) and len(scores.values) == len(runs.base.values):
            nats[experiment.token_of(name)] = float(scores.values[own[0]])
    return {token: math.exp(-each) for token, each in nats.items()}


def estimate(found: Mapping[int, float], vocabulary: int) -> float:
    """What all tokens may sum to, from the drawn ones: a hint where to measure more, never a verdict."""
    drawn = [chance for token, chance in found.items() if token != experiment.TRUE]
    known = sum(chance for token, chance in found.items() if token == experiment.TRUE)
    return known + (vocabulary - 1) * sum(drawn) / len(drawn) if drawn else known


def _bytes(runs: Runs, true_bytes: int) -> Measurement:
    """The divisor that the printed loss and score imply, against the bytes of the text."""
    metric, site = runs.base.metric, runs.base.site
    if not metric.val_loss or not metric.val_bpb or not metric.val_bpb.value:
        return Measurement(Condition.BYTES, Outcome.COULD_NOT_RUN, "no line states both val_loss and val_bpb", site)
    implied = metric.val_loss.value / math.log(2) / metric.val_bpb.value * VALIDATION
    error = metric.val_loss.error / abs(metric.val_loss.value) + metric.val_bpb.error / abs(metric.val_bpb.value)
    off = implied / true_bytes - 1
    numbers = {"implied": round(implied, 1), "true": true_bytes}
    sentence = f"the score divides by {implied:,.0f} bytes, the text has {true_bytes:,}"
    if abs(off) <= KNOWN_BYTES + error:
        return Measurement(Condition.BYTES, Outcome.HOLDS, sentence, site, numbers)
    if abs(off) > WRONG_BYTES + error and int(np.count_nonzero(runs.base.values)) == VALIDATION:
        return Measurement(Condition.BYTES, Outcome.VIOLATED, sentence, site, numbers)
    return Measurement(Condition.BYTES, Outcome.NOT_EXERCISED, sentence, site, numbers)
