"""The stages of a run, from lines and the times at which they came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.reproduce.stages import Stage, Stages

STEP = "step:{}/4 train_loss:2.5 train_time:{}ms step_avg:9ms"


def follow(*lines: tuple[float, str]) -> Stages:
    """The stages after these lines."""
    stages = Stages()
    for now, line in lines:
        stages.take(line, now)
    return stages


def test_a_whole_run() -> None:
    stages = follow(
        (1.0, "model_params:17059912"),
        (10.0, STEP.format(1, 500)),
        (20.0, STEP.format(2, 10_500)),
        (30.0, STEP.format(4, 20_500)),
        (33.0, "step:4/4 val_loss:2.1 val_bpb:1.25 train_time:20500ms step_avg:9ms"),
        (35.0, "Serialized model int8+zlib: 15000000 bytes"),
        (95.0, "final_int8_zlib_roundtrip val_loss:2.06 val_bpb:1.22 eval_time:60000ms"),
    )
    assert stages.stage is Stage.SCORED
    assert stages.first_step == 10.0
    assert stages.stepping == stages.compared == 20.0
    assert stages.reported == 20.0
    assert stages.training == 23.0
    assert stages.evaluation == 62.0


def test_validation_during_training_is_not_training() -> None:
    stages = follow(
        (0.0, STEP.format(1, 100)),
        (1.0, STEP.format(2, 1_100)),
        (61.0, "step:2/4 val_loss:2.1 val_bpb:1.25 train_time:1100ms step_avg:9ms"),
        (62.0, STEP.format(3, 2_100)),
        (63.0, STEP.format(4, 3_100)),
    )
    assert stages.stepping == 2.0
    assert stages.compared == stages.reported == 2.0


def test_the_wallclock_cap_ends_training() -> None:
    stages = follow((0.0, STEP.format(1, 100)), (5.0, "stopping_early: wallclock_cap train_time:600028ms step:3/4"))
    assert stages.stage is Stage.EVALUATING
    assert stages.training == 5.0


def test_lines_before_the_first_step_end_nothing() -> None:
    stages = follow((0.0, "Serialized model: 9 bytes"), (1.0, "step:0/4 val_loss:6.9 val_bpb:4.1"))
    assert stages.stage is Stage.STARTING
    assert stages.trained is None


def test_an_evaluation_alone_is_no_training() -> None:
    stages = follow((3.0, "final_int8_zlib_roundtrip val_loss:2.06 val_bpb:1.22"))
    assert stages.training is None
    assert stages.evaluation is None


def test_a_clock_that_is_set_back_is_not_compared() -> None:
    stages = follow((0.0, STEP.format(1, 9_000)), (1.0, STEP.format(2, 100)), (2.0, STEP.format(3, 1_100)))
    assert stages.stepping == 2.0
    assert (stages.compared, stages.reported) == (1.0, 1.0)


@given(st.lists(st.tuples(st.floats(0, 9), st.text() | st.sampled_from([STEP.format(1, 5), "val_bpb:1.2 val_loss:2"]))))
def test_any_output_is_followed(lines: list[tuple[float, str]]) -> None:
    stages, now = Stages(), 0.0
    for wait, line in lines:
        now += wait
        stages.take(line, now)
    assert stages.lines == len(lines)
    assert stages.stepping <= now + 1e-6
    assert pytest.approx(stages.compared) == min(stages.compared, stages.stepping)
