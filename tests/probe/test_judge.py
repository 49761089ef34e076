"""What the differences between runs prove, on records that were never made by a run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pgaudit.probe import experiment, judge
from pgaudit.probe.experiment import BASE, EARLY, HALF, LAST, LATE, PLAIN, REPEAT
from pgaudit.probe.record import Condition, Measurement, Outcome, RunRecord, Site, Vector
from pgaudit.probe.shrink import VALIDATION
from pgaudit.probe.text import Text

BYTES = 2000
TOKENS = np.zeros(VALIDATION + 1, np.uint16)
TEXT = Text(1024, b"", TOKENS, TOKENS, BYTES)
NATS: Vector = np.linspace(2.0, 6.0, VALIDATION)
SUM, FIT = Site("train_gpt.py", 10, "add", "loss_sum"), Site("train_gpt.py", 5, "fit")


def record(
    name: str, values: Vector = NATS, *, fits: int = 0, byte_count: int = BYTES, words: str = "final"
) -> RunRecord:
    """A run that fitted something, added up its scores in one line, and printed their mean."""
    loss = float(values.mean())
    line = f"{words} val_loss:{loss:.8f} val_bpb:{loss * len(values) / math.log(2) / byte_count:.8f}"
    half = len(values) // 2
    parts = [values[:half], *[np.ones(1)] * fits, values[half:]]
    offsets = np.cumsum([0, *map(len, parts)])
    return RunRecord(
        name, "finished", ((len(parts), line),), (SUM, FIT), (0, *[1] * fits, 0), offsets, np.concatenate(parts)
    )


def changed(start: int, stop: int = VALIDATION) -> Vector:
    values = NATS.copy()
    values[start:stop] += 0.25
    return values


def honest(**changes: Vector) -> dict[str, RunRecord]:
    """Runs of an evaluation that remembers what it has read; each text may be given other scores."""
    usual = {BASE: NATS, PLAIN: NATS, REPEAT: NATS, EARLY: changed(0)}
    usual |= {name: changed(start - 1) for name, start in experiment.FROM.items()}
    return {name: record(name, values) for name, values in {**usual, **changes}.items()}


def judged(records: dict[str, RunRecord], expected: str = "", stage: str = "") -> dict[Condition, Measurement]:
    found = judge.judge(judge.runs_of(records, stage, TEXT), expected, TEXT)
    return {each.condition: each for each in found}


def outcomes(records: dict[str, RunRecord], expected: str = "") -> list[Outcome]:
    return [each.outcome for each in judged(records, expected).values()]


def test_scores_that_see_nothing_later_hold() -> None:
    found = judged(honest(), judge.COUNTS)
    assert found[Condition.CAUSAL].outcome is found[Condition.SCORED_FIRST].outcome is Outcome.HOLDS
    assert found[Condition.BYTES].outcome is Outcome.HOLDS
    assert found[Condition.CAUSAL].site == SUM
    assert found[Condition.CAUSAL].numbers["scores"] == VALIDATION


@pytest.mark.parametrize("name", [LAST, LATE, HALF])
def test_one_score_more_than_tokens_is_a_violation(name: str) -> None:
    start = experiment.FROM[name]
    assert judged(honest(**{name: changed(start - 1)}))[Condition.CAUSAL].outcome is Outcome.HOLDS
    assert judged(honest(**{name: changed(start - 2)}))[Condition.CAUSAL].outcome is Outcome.VIOLATED


def test_what_moves_everything_was_learned_from_everything() -> None:
    found = judged(honest(**{LAST: changed(0)}))
    assert found[Condition.SCORED_FIRST].outcome is Outcome.VIOLATED
    assert found[Condition.CAUSAL].outcome is found[Condition.NORMALISED].outcome is Outcome.NOT_EXERCISED


def test_what_was_fitted_between_scores_is_not_blamed_on_the_network() -> None:
    records = honest(**{LATE: changed(experiment.FROM[LATE] - 20)})
    assert judged(records)[Condition.CAUSAL].outcome is Outcome.VIOLATED
    records[BASE] = record(BASE, fits=3)
    assert judged(records)[Condition.SCORED_FIRST].outcome is Outcome.VIOLATED


def test_what_is_read_in_the_code_has_to_be_seen() -> None:
    near = honest(**{EARLY: changed(0, 100)})
    assert judged(near)[Condition.SCORED_FIRST].outcome is Outcome.HOLDS
    assert judged(near, judge.COUNTS)[Condition.SCORED_FIRST].outcome is Outcome.NOT_EXERCISED
    assert judged(honest(), "test-time training")[Condition.SCORED_FIRST].outcome is Outcome.NOT_EXERCISED
    fitted = {**honest(), BASE: record(BASE, fits=2)}
    assert judged(fitted, "test-time training")[Condition.SCORED_FIRST].outcome is Outcome.HOLDS


def test_a_blind_network_proves_nothing() -> None:
    found = judged(honest(**{EARLY: NATS}))
    assert found[Condition.CAUSAL].outcome is found[Condition.SCORED_FIRST].outcome is Outcome.NOT_EXERCISED


@pytest.mark.parametrize(
    "name, spoiled, why",
    [
        (REPEAT, record(REPEAT, changed(5, 6)), "second run"),
        (PLAIN, record(PLAIN, changed(5, 6)), "recorder changed"),
        (BASE, replace(record(BASE), ending="ValueError: boom"), "boom"),
        (BASE, record(BASE, NATS[: VALIDATION // 2]), "not from one for each token"),
    ],
)
def test_what_cannot_be_trusted_is_not_judged(name: str, spoiled: RunRecord, why: str) -> None:
    found = judged({**honest(), name: spoiled})
    assert {each.outcome for each in found.values()} == {Outcome.COULD_NOT_RUN}
    assert why in found[Condition.CAUSAL].sentence


def test_another_metric_never_stands_in_for_the_claimed_one() -> None:
    first = record(BASE)
    claimed = (len(first.calls), "claimed val_loss:1.23456789 val_bpb:0.91234567")
    both = replace(first, printed=(*first.printed, claimed))
    records = {**honest(), BASE: both, PLAIN: both}
    assert "no sum of recorded numbers" in judged(records)[Condition.CAUSAL].sentence
    assert judged(records, stage="final")[Condition.CAUSAL].outcome is Outcome.HOLDS


def test_a_sum_above_one_of_measured_tokens_is_a_proof_and_an_estimate_is_none() -> None:
    few = {f"token{token}": record(f"token{token}", _last(0.3)) for token in range(4)}
    found = judged({**honest(), **few})[Condition.NORMALISED]
    assert found.outcome is Outcome.VIOLATED
    assert found.numbers["sum"] == pytest.approx(4 * 0.3 + math.exp(-6.0), abs=1e-4)
    likely = {f"token{token}": record(f"token{token}", _last(0.1)) for token in range(4)}
    assert judged({**honest(), **likely})[Condition.NORMALISED].outcome is Outcome.NOT_EXERCISED
    rare = {f"token{token}": record(f"token{token}", _last(0.0005)) for token in range(4)}
    assert judged({**honest(), **rare})[Condition.NORMALISED].outcome is Outcome.HOLDS


def _last(chance: float) -> Vector:
    values = NATS.copy()
    values[-1] = -math.log(chance)
    return values


@pytest.mark.parametrize(
    "byte_count, outcome", [(BYTES, Outcome.HOLDS), (2012, Outcome.NOT_EXERCISED), (2100, Outcome.VIOLATED)]
)
def test_the_bytes_that_the_score_divides_by(byte_count: int, outcome: Outcome) -> None:
    records = {name: record(name, byte_count=byte_count) for name in (BASE, PLAIN, REPEAT)}
    assert judged({**honest(), **records})[Condition.BYTES].outcome is outcome


def test_a_cache_that_mixed_nothing_in_was_not_measured() -> None:
    base = record(BASE)
    softmax = replace(base, sites=(Site("train_gpt.py", 9, "loss"), *base.sites[1:]))
    records = {name: replace(each, sites=softmax.sites) for name, each in honest().items()}
    few = {f"token{token}": replace(record(f"token{token}", _last(0.0005)), sites=softmax.sites) for token in range(2)}
    assert judged({**records, **few})[Condition.NORMALISED].outcome is Outcome.HOLDS
    assert judged({**records, **few}, judge.COUNTS)[Condition.NORMALISED].outcome is Outcome.NOT_EXERCISED
