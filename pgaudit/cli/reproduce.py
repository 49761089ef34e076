"""``pgaudit reproduce``: does the submission do again, here, what it claims?"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaudit.cli.common import (
    BaseRevision,
    CloneDirectory,
    EditionDate,
    OutputFile,
    PullRequest,
    Revision,
    submissions,
    writing,
)
from pgaudit.errors import ExitCode, TargetError
from pgaudit.output import Format

if TYPE_CHECKING:
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.policy import Edition
    from pgaudit.reproduce.calibration import Calibration
    from pgaudit.reproduce.data import Data
    from pgaudit.reproduce.hardware import Hardware
    from pgaudit.reproduce.inputs import Swap
    from pgaudit.reproduce.outcome import Reproduction
    from pgaudit.reproduce.plan import Plan
    from pgaudit.sandbox import Backend
    from pgaudit.submission import Collected

Seconds = float | None


def reproduce(
    target: Annotated[
        str | None,
        typer.Argument(help="Record folder, checkout or OWNER/REPO#N (default: the bundled reference trainer)."),
    ] = None,
    repo: CloneDirectory = None,
    pr: PullRequest = None,
    rev: Revision = None,
    base: BaseRevision = None,
    seeds: Annotated[str, typer.Option(help="The seeds to run.", metavar="N,N,…")] = "42,1337,2024",
    preset: Annotated[str, typer.Option(help="Which of the bundled submissions.")] = "baseline",
    tiny: Annotated[
        bool, typer.Option("--tiny", help="The bundled trainer, shrunken: the whole flow on a CPU.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be run, and run nothing of it.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run of this plan in --runs.")] = False,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="Stop after the first seed that decides against a claim.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Where the ledger, outputs and artifacts are kept.")] = Path(
        "pgaudit-runs"
    ),
    data: Annotated[Path | None, typer.Option(help="Folder with the token shards (default: DATA_PATH).")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="SentencePiece model (default: TOKENIZER_PATH).")] = None,
    python: Annotated[Path | None, typer.Option(help="The Python that runs it (default: this one).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A variable of its environment.", metavar="NAME=VALUE")
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(help="Arguments of Python before the script (default: torch.distributed.run, one rank per GPU)."),
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="Use at most so many GPUs (default: all free, 8).")] = None,
    training: Annotated[Seconds, typer.Option("--train-limit", min=0.1, help="Seconds; holds on any hardware.")] = None,
    evaluation: Annotated[
        Seconds, typer.Option("--eval-limit", min=0.1, help="Seconds; holds on any hardware.")
    ] = None,
    silence: Annotated[Seconds, typer.Option("--silence-limit", min=0.1, help="Seconds without output.")] = None,
    total: Annotated[Seconds, typer.Option("--total-limit", min=0.1, help="Seconds of one seed.")] = None,
    grace: Annotated[Seconds, typer.Option(min=0.0, help="Seconds beyond a limit, and from TERM to KILL.")] = None,
    processes: Annotated[int | None, typer.Option("--max-processes", min=8, help="Processes and threads.")] = None,
    swap_val: Annotated[
        Path | None,
        typer.Option(
            help="Run the first seed once more on this held-out shard as its validation text.", metavar="SHARD"
        ),
    ] = None,
    shuffle_docs: Annotated[
        bool,
        typer.Option("--shuffle-docs", help="Run the first seed once more with the validation documents reordered."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Run the first seed once more as it is: same artifact, same score?")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="First time the reference trainer on this node, for a fixed number of steps."),
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale-times", help="Show times divided by the calibration's factor too; never a pass.")
    ] = False,
    margin: Annotated[float, typer.Option(help="Of the equivalence test, nats per token.")] = 0.005,
    image: Annotated[str | None, typer.Option(help="Run in a container of this image (docker or podman).")] = None,
    bare: Annotated[
        bool, typer.Option("--no-sandbox-i-accept-the-risk", help="Run it with your rights, network and files.")
    ] = False,
    ignore_requirements: Annotated[
        bool, typer.Option("--ignore-requirements", help="Run although packages seem to be missing.")
    ] = False,
    style: Annotated[Format, typer.Option("--format", help="How to write the report.")] = Format.TERMINAL,
    output: OutputFile = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page with the curves and pictures here as well.", metavar="FILE"),
    ] = None,
    edition: EditionDate = None,
) -> None:
    """Re-run a submission in a sandbox, measure it from outside, and say which claims hold.

    Exit status 10 says that a claim fails, 4 that something could not be run or decided.
    """
    from pgaudit import policy
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.output.reproduction import render, render_plan
    from pgaudit.reproduce import hardware, interpreter
    from pgaudit.reproduce import plan as planning
    from pgaudit.reproduce.data import check

    if not 0 < margin < 10:
        raise TargetError(f"--margin {margin:g} is no margin in nats per token", hint="the policy's is 0.005")
    if html is not None:
        _refuse_page(html, plan=plan)  # before hours of GPU time
    numbers = _seeds(seeds)
    bundled = "" if target or repo else preset
    if tiny and not bundled:
        raise TargetError("--tiny is for the bundled reference trainer", hint="drop --tiny, or the folder")
    if bundled and not plan:
        _sandbox(bare=bare, image=image)  # refused before the trainer is asked for its claims
    if bundled:
        collected, own_data, own_tokenizer = _reference(preset, runs, numbers, tiny=tiny)
        data, tokenizer = data or own_data, tokenizer or own_tokenizer
    else:
        collected = submissions(target, repo, pr, rev, base)
        if len(collected.submissions) > 1:
            names = ", ".join(each.folder for each in collected.submissions)
            raise TargetError(
                f"{collected.origin.source} holds more than one submission: {names}",
                hint="name one of these folders as the target",
            )
    chosen = policy.load().edition_at(edition.date() if edition else collected.origin.date)
    evidence = Evidence(collected.submissions[0], chosen)
    data, tokenizer = data or _variable("DATA_PATH"), tokenizer or _variable("TOKENIZER_PATH")
    machine, remark = hardware.find(0 if tiny else gpus)
    remarks = [remark, "the claims are those of a first run on this machine, made for this one" if tiny else ""]
    wishes = planning.Wishes(
        numbers,
        _settings(settings or []),
        training,
        evaluation,
        silence,
        total,
        grace,
        processes,
        None,
        tuple(shlex.split(launcher)) if launcher is not None else None,
    )
    script = evidence.main.body.text if evidence.main else ""
    asked = interpreter.ask(python, evidence.submission, script)
    made = planning.make(
        evidence, asked, machine, check(data, tokenizer) if data else None, wishes, tuple(filter(None, remarks))
    )
    made = replace(made, swaps=_swaps(made.data, swap_val, shuffle=shuffle_docs, again=again))
    if plan:
        with writing(output) as stream:
            stream.write(render_plan(made, _planned_sandbox(bare=bare, image=image), style))
        raise typer.Exit(ExitCode.CLEAN)
    if not ignore_requirements:
        planning.refuse_missing(made)
    backend = _sandbox(bare=bare, image=image)
    pace = _calibrate(runs, backend, machine, chosen, tiny=tiny) if calibrate or scale else None
    factor = pace.factor if pace and scale else None
    run = _run(made, evidence, backend, runs, margin, factor, resume=resume, stop_early=stop_early)
    run = replace(run, bundled=bundled, calibration=pace)
    from pgaudit.reproduce.report import report_of

    report = report_of(run, collected, chosen, scan=tiny or not bundled)
    with writing(output) as stream:
        stream.write(render(run, report, style))
    if html is not None:
        from pgaudit.output.page.reproduction import page

        with writing(html) as stream:
            stream.write(page(run, report, chosen, shlex.join(["pgaudit", *sys.argv[1:]])))
    raise typer.Exit({"holds": ExitCode.CLEAN, "fails": ExitCode.FINDINGS}.get(run.result.value, ExitCode.INCOMPLETE))


def _run(
    plan: Plan,
    evidence: Evidence,
    backend: Backend,
    runs: Path,
    margin: float,
    factor: float | None,
    *,
    resume: bool,
    stop_early: bool,
) -> Reproduction:
    """Every seed that the ledger does not know yet, and what they say together."""
    import json

    from pgaudit.cli.progress import progress
    from pgaudit.reproduce import swaps
    from pgaudit.reproduce.curves import overlay
    from pgaudit.reproduce.ledger import Ledger
    from pgaudit.reproduce.outcome import Reproduction, hopeless, judge
    from pgaudit.reproduce.runner import run_seeds, run_swaps

    observer = progress(plan)
    ledger = Ledger.open(runs)
    try:
        if resume:
            ledger.resume(plan.digest)
        else:
            ledger.begin(plan.digest, json.dumps(plan.describe(), default=str))
        results, stopped = run_seeds(
            plan,
            evidence,
            backend,
            ledger,
            runs,
            observer,
            lambda done: hopeless(evidence, plan, done, margin) if stop_early else "",
        )
        decided = stopped or not results[0].finished or (stop_early and hopeless(evidence, plan, results, margin))
        others = () if decided else tuple(run_swaps(plan, evidence, backend, ledger, runs, observer))
    finally:
        ledger.close()
    checks, score, remarks = judge(evidence, plan, results, margin, factor)
    more, odd = swaps.judge(plan, results, others, margin)
    return Reproduction(
        plan,
        backend.name,
        backend.encloses,
        tuple(results),
        (*checks, *more),
        score,
        (*plan.remarks, *remarks, *odd),
        stopped,
        overlays=tuple(overlay(evidence, result.seed, result.curve) for result in results),
        swaps=others,
    )


def _swaps(data: Data | None, shard: Path | None, *, shuffle: bool, again: bool) -> tuple[Swap, ...]:
    """The other inputs that were asked for, looked at before any time is spent."""
    from pgaudit.reproduce.inputs import Input, Swap, held_out, shuffled

    if data is None and (shard or shuffle):
        name = "--swap-val" if shard else "--shuffle-docs"
        raise TargetError(f"{name} needs the validation shards", hint="name their folder with --data")
    made = [held_out(data, shard)] if data and shard else []
    made += [shuffled(data)] if data and shuffle else []
    return (*made, Swap(Input.AGAIN)) if again else tuple(made)


def _calibrate(runs: Path, backend: Backend, machine: Hardware, edition: Edition, *, tiny: bool) -> Calibration:
    from pgaudit.reproduce.calibration import calibrate

    if not tiny and not machine.gpus:
        raise TargetError("there is no GPU to calibrate", hint="--tiny --calibrate shows the flow on a CPU")
    typer.echo("calibration: the reference trainer, for a fixed number of steps", err=True)
    return calibrate(runs, backend, machine, edition, tiny=tiny)


def _sandbox(*, bare: bool, image: str | None) -> Backend:
    if bare:
        from pgaudit.sandbox.bare import Bare

        return Bare()
    from pgaudit.sandbox import find

    return find(image)


def _planned_sandbox(*, bare: bool, image: str | None) -> str:
    """The sandbox that would be used; a plan is shown even where none works."""
    from pgaudit.sandbox import SandboxUnavailable

    try:
        return _sandbox(bare=bare, image=image).name
    except SandboxUnavailable as problem:
        return f"{problem}"


def _reference(
    preset: str, runs: Path, seeds: tuple[int, ...], *, tiny: bool
) -> tuple[Collected, Path | None, Path | None]:
    """The bundled trainer as a submission, with the data of a tiny one."""
    from pgaudit.reproduce import reference

    name = f"{preset}-tiny-{hashlib.sha256(repr(seeds).encode()).hexdigest()[:8]}" if tiny else preset
    folder = runs / "reference" / name
    if tiny:
        typer.echo(f"reference trainer: {preset}, tiny, is trained once to have claims", err=True)
    reference.write(preset, folder, seeds, tiny=tiny)
    found = submissions(str(folder))
    return (found, *reference.tiny_data(folder, preset)) if tiny else (found, None, None)


def _refuse_page(path: Path, *, plan: bool) -> None:
    if plan:
        raise TargetError("--html writes what was measured, and --plan runs nothing", hint="drop one of them")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise TargetError(f"--html {path}: no file can be written there", hint="name a file in a folder that exists")


def _seeds(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and word.isascii() and len(word) < 11 for word in words):
        raise TargetError(f"--seeds {text!r} is no list of numbers", hint="as 42,1337,2024")
    return tuple(dict.fromkeys(int(word) for word in words))


def _settings(pairs: list[str]) -> dict[str, str]:
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if wrong := [name for name in found if not name.isidentifier()]:
        raise TargetError(f"--set {wrong[0]!r} is not NAME=VALUE")
    return found


def _variable(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None
