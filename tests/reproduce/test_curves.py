"""Curves of re-runs and logs: which log is held against a seed, and where two curves part."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log, Reader
from pgaudit.output.partings import in_words
from pgaudit.reproduce.curves import LEAST_DIFFERENCE, MOST_POINTS, Curve, Overlay, curve_of, overlay
from pgaudit.reproduce.result import SeedResult
from pgaudit.submission import File
from tests.reproduce.test_outcome import SEED, collected, evidence_of

STEPS = (*range(1, 11), *range(100, 10_001, 100))


def log_of(*lines: str) -> Log:
    reader = Reader("train.log")
    for number, line in enumerate(lines, 1):
        reader.take(number, line)
    return reader.log()


def printed(
    seed: int = 42, noise: float = 0.0, shift: Callable[[int], float] = lambda step: 0.0, steps: tuple[int, ...] = STEPS
) -> tuple[str, ...]:
    """The lines of a run: the noise of the batches is the same in every one, that of the machine is its own."""
    batches, own = random.Random(7), random.Random(seed)
    losses = {
        step: 2 + 5 * math.exp(-step / 50) + batches.gauss(0, 0.05) + own.gauss(0, noise) + shift(step)
        for step in steps
    }
    return (f"seed:{seed}", *(f"step:{step}/10000 train_loss:{loss:.4f}" for step, loss in losses.items()))


def against(log: tuple[str, ...], *rerun: str, seed: int = 42) -> Overlay:
    return overlay(evidence_with(log), seed, curve_of(log_of(*rerun)))


def evidence_with(*logs: tuple[str, ...]) -> Evidence:
    found = collected()
    files = dict(found.submissions[0].files)
    for number, lines in enumerate(logs):
        text = "\n".join(lines)
        files[f"train{number}.log"] = File(f"train{number}.log", len(text), partial(text.encode, "utf-8"))
    return evidence_of(replace(found, submissions=(replace(found.submissions[0], files=files),)))


def test_the_same_run_again_does_not_part() -> None:
    found = against(printed(), *printed())
    assert (found.train, found.validation, found.threshold) == (None, None, LEAST_DIFFERENCE)
    assert in_words(found, curve_of(log_of(*printed()))) == (
        f"The training losses are the same at all {len(STEPS)} common steps."
    )


@pytest.mark.parametrize("sign, direction", [(1, "above"), (-1, "below")])
def test_curves_part_where_they_stay_apart(sign: int, direction: str) -> None:
    rerun = printed(43, 0.01, lambda step: sign * 0.1 * (step >= 5000))
    found = against(printed(42, 0.01), *rerun)
    assert found.train is not None
    assert found.train.step == 5000
    assert found.train.after == pytest.approx(sign * 0.1, abs=0.01)
    assert f"part at step 5,000: {found.train.rerun:.4f} in the re-run" in in_words(found, curve_of(log_of(*rerun)))
    assert f"nats per token {direction} the log" in in_words(found, curve_of(log_of(*rerun)))


def test_noise_as_large_as_the_difference_hides_it() -> None:
    small = against(printed(42, 0.002), *printed(43, 0.002, lambda step: 0.04 * (step >= 5000)))
    large = against(printed(42, 0.2), *printed(43, 0.2, lambda step: 0.04 * (step >= 5000)))
    assert small.train is not None
    assert large.train is None
    assert (large.threshold or 0) > (small.threshold or 0)


def test_curves_that_come_together_again_do_not_part() -> None:
    assert against(printed(), *printed(shift=lambda step: 0.3 * (step <= 10))).train is None


@pytest.mark.parametrize("gap, parts", [(0.015, False), (0.025, True)])
def test_validation_losses_part_by_more_than_seeds_differ(gap: float, parts: bool) -> None:
    log = ("seed:42", *(f"step:{step}/300 val_loss:3.0 val_bpb:1.8" for step in (100, 200, 300)))
    found = against(log, "step:100/300 val_loss:3.0 val_bpb:1.8", f"step:200/300 val_loss:{3 + gap} val_bpb:1.8")
    assert (found.validation is not None) is parts
    assert found.validation is None or (found.validation.step, found.validation.steps) == (200, 1)


def test_few_common_steps_tell_nothing() -> None:
    found = against(printed(steps=(1, 2, 3, 4)), *printed(shift=lambda step: 9.0))
    assert (found.threshold, found.train) == (None, None)
    assert "4 steps in common, too few" in in_words(found, curve_of(log_of(*printed())))


def test_a_run_that_ends_earlier_is_said_to() -> None:
    rerun = printed(steps=STEPS[:60])
    assert in_words(against(printed(), *rerun), curve_of(log_of(*rerun))).endswith(
        "The re-run ends at step 5,000, the log at step 10,000."
    )


def test_the_log_of_the_seed_is_taken() -> None:
    evidence = evidence_with(printed(42), ("seed:1337", "no steps"), printed(2024))
    assert overlay(evidence, 2024, Curve()).log == "train2.log"
    assert overlay(evidence, 1337, Curve()).log == ""
    assert "ships no log of seed 7" in in_words(overlay(evidence, 7, Curve()), Curve())


def test_of_several_runs_in_a_log_the_one_that_counts_is_drawn() -> None:
    first = (*printed(shift=lambda step: 5.0), "final_int8_zlib_roundtrip val_loss:2.0 val_bpb:1.2")
    second = (*printed(), "final_int8_zlib_roundtrip val_loss:2.0 val_bpb:1.2")
    assert curve_of(log_of(*first, *second)) == curve_of(log_of(*printed(), *printed()))


def test_curves_are_thinned_to_common_steps() -> None:
    long, short = (curve_of(log_of(*printed(steps=tuple(range(1, last))))) for last in (9_000, 3_001))
    for curve, last in ((long, 8_999), (short, 3_000)):
        assert MOST_POINTS // 2 <= len(curve.train) <= MOST_POINTS
        assert curve.last_step == last
    common = {point.step for point in long.train} & {point.step for point in short.train}
    assert len(common) > len(short.train) // 5


def test_numbers_that_no_run_has_are_left_out_and_the_rest_survives_the_ledger() -> None:
    lines = ("step:1/9 train_loss:1e999", f"step:{10**12}/9 train_loss:2.5", "step:3/9 train_loss:2.5", "step:3/9 val_loss:1e99 val_bpb:1")  # fmt: skip
    curve = curve_of(log_of(*lines), [(3, 1.25)])
    assert [(point.step, point.observed) for point in curve.train] == [(3, 1.25)]
    assert curve.validation == ()
    kept = replace(SEED, curve=curve)
    assert SeedResult.read(json.loads(json.dumps(kept.document(), allow_nan=False))) == kept
