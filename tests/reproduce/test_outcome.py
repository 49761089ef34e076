"""Which claims hold, for runs that were never made: the hardware decides what a time can say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.output import Format
from pgaudit.output.reproduction import headline, render, render_plan
from pgaudit.reproduce.calibration import Calibration, pace
from pgaudit.reproduce.check import Status
from pgaudit.reproduce.hardware import Gpu, Hardware
from pgaudit.reproduce.interpreter import Interpreter
from pgaudit.reproduce.outcome import Reproduction, Result, hopeless, judge
from pgaudit.reproduce.plan import Plan, Wishes, make
from pgaudit.reproduce.reference import TrainerFailed
from pgaudit.reproduce.report import report_of
from pgaudit.reproduce.result import SeedResult
from pgaudit.submission import Collected, File, Origin, Submission
from pgaudit.verdict import Level, Verdict

H100 = Hardware(tuple(Gpu(index, "NVIDIA H100 80GB HBM3", 0, 81559, 1980) for index in range(8)))
H200 = Hardware((Gpu(0, "NVIDIA H200", 0, 143771, 1980),))
CPU = Hardware()
SEED = SeedResult(
    seed=42,
    ending="finished",
    explanation="",
    status=0,
    seconds=900.0,
    first_step=40.0,
    stepping=598.0,
    training=599.5,
    evaluation=120.0,
    compared=590.0,
    reported_compared=590.0,
    val_bpb=1.2,
    val_loss=2.04,
    steps=13_000,
    stop="wallclock cap",
    reported_training=599.9,
    reported_evaluation=119.0,
    reported_total_bytes=15_000_000,
    code_bytes=50_000,
    code_files=("train_gpt.py",),
    model_bytes=14_950_000,
    model_file="final_model.int8.ptz",
    other_compressed_bytes=0,
    altered=(),
    files_read=(),
    peak_bytes=2**30,
    peak_processes=9,
    gpu=None,
    left_running=0,
    output="run1/seed42/output.log",
)
SEEDS = (SEED, replace(SEED, seed=1337, val_bpb=1.2008), replace(SEED, seed=2024, val_bpb=1.1995))


def collected(claims: object = None, readme: str = "", day: date | None = None) -> Collected:
    """A submission of three small files."""
    claims = {"val_bpb": 1.2001, "bytes_total": 15_000_000} if claims is None else claims
    content = {"README.md": readme, "submission.json": json.dumps(claims), "train_gpt.py": "print('hello')\n"}
    files = {path: File(path, len(text), partial(text.encode, "utf-8")) for path, text in content.items()}
    origin = Origin("a test", date=day)
    return Collected(origin, (Submission("records/track_10min_16mb/2026-04-01_Example", files, origin),))


def evidence_of(found: Collected) -> Evidence:
    return Evidence(found.submissions[0], policy.load().edition_at(found.origin.date))


def plan_of(evidence: Evidence, hardware: Hardware, **wishes: float) -> Plan:
    interpreter = Interpreter(Path("/usr/bin/python3"), "3.11.7", (), ())
    return make(evidence, interpreter, hardware, None, Wishes((42, 1337, 2024), **wishes))  # type: ignore[arg-type]


def reproduction(
    hardware: Hardware,
    seeds: tuple[SeedResult, ...] = SEEDS,
    claims: object = None,
    day: date | None = None,
    **wishes: float,
) -> Reproduction:
    evidence = evidence_of(collected(claims, day=day))
    plan = plan_of(evidence, hardware, **wishes)
    checks, score, remarks = judge(evidence, plan, seeds)
    return Reproduction(plan, "bubblewrap", True, seeds, checks, score, remarks)


def statuses(run: Reproduction) -> dict[str, Status]:
    return {check.name: check.status for check in run.checks}


def each(**changes: object) -> tuple[SeedResult, ...]:
    return tuple(replace(seed, **changes) for seed in SEEDS)  # type: ignore[arg-type]


def test_on_the_reference_hardware_everything_can_hold() -> None:
    run = reproduction(H100)
    assert set(statuses(run).values()) == {Status.HOLDS}
    assert run.result is Result.HOLDS


@pytest.mark.parametrize("hardware", [CPU, H200, Hardware(H100.gpus[:4])])
def test_on_other_hardware_a_time_is_never_a_pass(hardware: Hardware) -> None:
    found = statuses(
        reproduction(hardware, each(stop="iterations reached", training=1.0, stepping=1.0, evaluation=1.0))
    )
    assert found["training time"] is found["evaluation time"] is Status.NOT_COMPARABLE
    slow = statuses(reproduction(hardware, each(training=5000.0, stepping=5000.0)))
    assert slow["training time"] is Status.NOT_COMPARABLE


def test_on_other_hardware_not_even_the_callers_limit_is_a_pass() -> None:
    assert statuses(reproduction(CPU, training=900.0))["training time"] is Status.NOT_COMPARABLE
    assert statuses(reproduction(CPU, training=100.0))["training time"] is Status.FAILS


def test_steps_that_go_on_after_the_limit_fail() -> None:
    assert statuses(reproduction(H100, each(stepping=600.5, training=601.0)))["training time"] is Status.FAILS
    assert statuses(reproduction(H100, each(stepping=600.1, training=600.15)))["training time"] is Status.HOLDS


def test_what_may_have_been_validation_is_not_decided() -> None:
    run = reproduction(H100, each(stepping=590.0, training=650.0))
    assert statuses(run)["training time"] is Status.NOT_DECIDED
    assert run.result is Result.INCOMPLETE


def test_a_slow_evaluation_is_not_decided_for_packing_may_be_in_it() -> None:
    assert statuses(reproduction(H100, each(evaluation=640.0)))["evaluation time"] is Status.NOT_DECIDED


def test_fewer_steps_on_slower_hardware_are_no_wrong_claim() -> None:
    worse = tuple(replace(seed, val_bpb=(seed.val_bpb or 0) + 0.03) for seed in SEEDS)
    run = reproduction(H200, worse)
    assert statuses(run)["val_bpb"] is Status.NOT_COMPARABLE
    assert run.result is Result.INCOMPLETE
    assert statuses(reproduction(H100, worse))["val_bpb"] is Status.FAILS
    by_steps = tuple(replace(seed, stop="iterations reached") for seed in worse)
    assert statuses(reproduction(H200, by_steps))["val_bpb"] is Status.FAILS


def test_a_better_score_than_claimed_is_left_to_a_person() -> None:
    better = tuple(replace(seed, val_bpb=(seed.val_bpb or 0) - 0.03) for seed in SEEDS)
    assert statuses(reproduction(H100, better))["val_bpb"] is Status.NOT_DECIDED


def test_seeds_that_hold_do_not_carry_a_score_that_is_not_their_mean() -> None:
    seeds = {str(seed.seed): {"val_bpb": seed.val_bpb} for seed in SEEDS}
    honest = reproduction(H100, claims={"val_bpb": 1.2001, "seed_results": seeds})
    assert honest.score is not None
    assert honest.score.paired
    assert statuses(honest)["val_bpb"] is Status.HOLDS
    wrong = reproduction(H100, claims={"val_bpb": 1.17, "seed_results": seeds})
    assert wrong.score is not None
    assert not wrong.score.paired
    assert statuses(wrong)["val_bpb"] is Status.FAILS


def test_without_a_claim_nothing_is_held_against_it() -> None:
    run = reproduction(H100, claims={})
    assert statuses(run)["val_bpb"] is Status.NOT_STATED
    assert run.result is Result.HOLDS


def test_without_a_loss_the_margin_cannot_be_applied() -> None:
    assert statuses(reproduction(H100, each(val_loss=None)))["val_bpb"] is Status.NOT_MEASURED


@pytest.mark.parametrize("total, status", [(16_000_000, Status.HOLDS), (16_000_001, Status.FAILS)])
def test_the_size_is_code_and_model(total: int, status: Status) -> None:
    assert statuses(reproduction(H100, each(model_bytes=total - 50_000)))["size"] is status


def test_no_model_is_not_measured() -> None:
    assert statuses(reproduction(H100, each(model_bytes=None, model_file="")))["size"] is Status.NOT_MEASURED


@pytest.mark.parametrize(
    "outside, status", [(590.9, Status.HOLDS), (600.0, Status.HOLDS), (615.0, Status.FAILS), (300.0, Status.HOLDS)]
)
def test_the_runs_own_clock(outside: float, status: Status) -> None:
    run = reproduction(H100, each(compared=outside))
    assert statuses(run)["reported times"] is status
    assert any("ran ahead" in remark for remark in run.remarks) is (outside == 300.0)


def record(*scores: float) -> tuple[SeedResult, ...]:
    """Seeds with these scores, at 1.7 nats per token for one bit per byte."""
    return tuple(replace(seed, val_bpb=bpb, val_loss=1.7 * bpb) for seed, bpb in zip(SEEDS, scores, strict=True))


@pytest.mark.parametrize(
    "scores, status",
    [
        ((1.0968, 1.0969, 1.0967), Status.NOT_SIGNIFICANT),  # 0.0011 bpb below 1.0979 are less than 0.005 nats
        ((1.0930, 1.0931, 1.0929), Status.HOLDS),
        ((1.0930, 1.0880, 1.0980), Status.NOT_SIGNIFICANT),  # far enough in the mean, by chance
        ((1.0990, 1.0991, 1.0989), Status.NOT_SIGNIFICANT),
        ((1.0930, 1.0930, 1.0930), Status.NOT_SIGNIFICANT),  # without a spread there is nothing to test
    ],
)
def test_the_step_over_the_record_of_the_day(scores: tuple[float, ...], status: Status) -> None:
    run = reproduction(H100, record(*scores), {"val_bpb": scores[0]}, date(2026, 4, 3))
    (check,) = [check for check in run.checks if check.name == "step over the record"]
    assert check.status is status
    assert "1.0979" in check.claimed
    assert Status.FAILS not in statuses(run).values()


def test_a_step_over_the_record_needs_a_day_and_comparable_steps() -> None:
    seeds = record(1.0930, 1.0931, 1.0929)
    assert "step over the record" not in statuses(reproduction(H100, seeds))
    assert statuses(reproduction(H200, seeds, day=date(2026, 4, 3)))["step over the record"] is Status.NOT_COMPARABLE


def test_what_cannot_be_changed_any_more_stops_early() -> None:
    evidence = evidence_of(collected())
    plan = plan_of(evidence, H100)
    assert hopeless(evidence, plan, SEEDS[:1]) == ""
    assert "size fails" in hopeless(evidence, plan, each(model_bytes=16_000_000)[:1])
    assert "did not finish: boom" in hopeless(evidence, plan, each(ending="crashed", explanation="boom")[:1])


def test_seeds_that_are_missing_keep_a_rerun_open_and_are_named() -> None:
    run = replace(reproduction(H100, SEEDS[:2]), stopped="seed 2024 was not run: no node is left that can")
    assert run.result is Result.INCOMPLETE
    assert headline(run) == "not decided: seed 2024 (not run)"
    report = report_of(run, collected(), policy.load().edition_at(None), scan=False)
    shown = render(run, report, Format.TERMINAL)
    assert "! seed 2024 was not run: no node is left that can" in shown
    assert "stopped early" not in shown


def test_a_time_that_was_not_seen_is_not_shown_as_none() -> None:
    run = reproduction(CPU, each(ending="crashed", stepping=0.0, training=None, evaluation=None))
    assert {check.measured for check in run.checks if check.name in ("training time", "evaluation time")} == {""}


def test_a_run_is_a_report_of_the_usual_kind() -> None:
    found = collected()
    edition = policy.load().edition_at(None)
    bad = report_of(reproduction(H100, each(model_bytes=16_000_000)), found, edition, scan=True)
    assert bad.submissions[0].verdict is Verdict.DEFECT
    assert bad.submissions[0].level is Level.RE_RUN
    none = report_of(reproduction(H100, ()), found, edition, scan=False)
    assert none.submissions[0].verdict is Verdict.INCOMPLETE
    assert none.submissions[0].level is not Level.RE_RUN


@pytest.mark.parametrize("style", list(Format))
def test_hostile_text_has_no_effect(style: Format) -> None:
    text = "\x1b[2J@openai ](http://evil) | \u202e"
    run = reproduction(H100, each(ending="crashed", explanation=text, model_file=text, output=text))
    report = report_of(run, collected(), policy.load().edition_at(None), scan=False)
    shown = render(run, report, style)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    if style is Format.MARKDOWN:
        assert "@openai" not in shown
        assert "](http" not in shown
    assert "\x1b" not in render_plan(run.plan, text, style)


def test_an_open_sandbox_is_said_in_the_comment() -> None:
    run = replace(reproduction(CPU), enclosed=False, sandbox="none")
    report = report_of(run, collected(), policy.load().edition_at(None), scan=False)
    assert "was not enclosed" in render(run, report, Format.MARKDOWN)


def test_the_pace_of_a_node_is_taken_from_outside() -> None:
    result = replace(SEED, steps=301, stepping=300 * 0.35, reported_compared=300 * 0.04)
    paced = pace(result, "1 x NVIDIA H200", tiny=False)
    assert paced.seconds_per_step == pytest.approx(0.35)
    assert paced.factor == pytest.approx(0.35 / 0.043544, rel=1e-4)
    assert pace(result, "CPU", tiny=True).factor is None
    with pytest.raises(TrainerFailed, match="did not finish: boom"):
        pace(replace(result, ending="crashed", explanation="boom"), "CPU", tiny=False)


def test_a_scaled_time_is_shown_and_never_a_pass() -> None:
    evidence = evidence_of(collected())
    plan = plan_of(evidence, H200)
    checks, _, _ = judge(evidence, plan, each(training=4800.0, stepping=4790.0), factor=8.0)
    (check,) = [check for check in checks if check.name == "training time"]
    assert check.status is Status.NOT_COMPARABLE
    assert "divided by the calibration's 8 it would be at most 600.0 s" in check.because
    on_reference, _, _ = judge(evidence, plan_of(evidence, H100), SEEDS, factor=8.0)
    assert not any("calibration" in check.because for check in on_reference)


def test_the_pace_is_in_every_report() -> None:
    run = replace(reproduction(H200), calibration=Calibration("1 x NVIDIA H200", 300, 0.35, 0.0435))
    found = collected()
    report = report_of(run, found, policy.load().edition_at(None), scan=True)
    for style in (Format.TERMINAL, Format.MARKDOWN):
        assert "350.00 ms per step" in render(run, report, style)
        assert "8.05 times" in render(run, report, style)
    document = json.loads(render(run, report, Format.JSON))["submissions"][0]["reproduction"]
    assert document["calibration"]["factor"] == pytest.approx(0.35 / 0.0435)
