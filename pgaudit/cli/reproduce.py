"""``pgaudit reproduce``: does the submission do again, here, what it claims?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaudit.cli import reproducing as steps
from pgaudit.cli.common import (
    BaseRevision,
    CloneDirectory,
    EditionDate,
    OutputFile,
    PullRequest,
    Revision,
    submissions,
)
from pgaudit.errors import ExitCode, TargetError
from pgaudit.output import Format

if TYPE_CHECKING:
    from pgaudit.reproduce.jobs import Job, Refused

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
    prs: Annotated[
        str | None, typer.Option(help="Many pull requests of --repo: `1-500,1471`, or `@FILE`.", metavar="N,N-N,…")
    ] = None,
    seeds: Annotated[str, typer.Option(help="The seeds to run.", metavar="N,N,…")] = "42,1337,2024",
    preset: Annotated[
        str | None, typer.Option(help="Which of the bundled submissions (default: baseline).", show_default=False)
    ] = None,
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
    ray: Annotated[
        str | None,
        typer.Option(help="Run the seeds on a Ray cluster: HOST:6379, `auto`, or `local` for one of this machine."),
    ] = None,
    needs: Annotated[
        str | None, typer.Option("--ray-needs", help="What a seed asks of Ray (default: GPU=8).", metavar="NAME=N,…")
    ] = None,
    emit: Annotated[
        steps.Scheduler | None,
        typer.Option(help="Write a Slurm script or a SkyPilot task instead of running anything."),
    ] = None,
    gather: Annotated[
        bool, typer.Option("--gather", help="Report what the tasks of --emit left in --runs; run nothing.")
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
    from pgaudit.reproduce.jobs import Judging
    from pgaudit.reproduce.jobs import reproduce as reproduce_all
    from pgaudit.reproduce.machine import Wants, sandbox
    from pgaudit.reproduce.plan import Wishes

    if not 0 < margin < 10:
        raise TargetError(f"--margin {margin:g} is no margin in nats per token", hint="the policy's is 0.005")
    if sum((ray is not None, emit is not None, gather)) > 1:
        raise TargetError("--ray, --emit and --gather exclude each other")
    if (ray is not None or emit is not None or gather) and (swap_val or shuffle_docs or again or calibrate or scale):
        hint = "run one submission here with --swap-val, --shuffle-docs, --again, --calibrate or --scale-times"
        raise TargetError("other inputs and calibration are of one machine", hint=hint)
    if plan and (emit is not None or gather):
        raise TargetError("--plan shows what would be run, and nothing is", hint="drop it, or --emit and --gather")
    if html is not None:
        steps.refuse_page(plan=plan or emit is not None, many=prs is not None)
    steps.refuse_file("--html", html)  # before hours of GPU time
    steps.refuse_file("--output", output)
    numbers = steps.seeds(seeds)
    words = steps.launcher(launcher)
    bundled = steps.bundled(preset, target, repo, others={"--pr": pr, "--prs": prs, "--rev": rev, "--base": base})
    if tiny and emit is not None:
        raise TargetError("--tiny shows the flow on this machine", hint="drop --tiny or --emit")
    if tiny and not bundled:
        raise TargetError("--tiny is for the bundled reference trainer", hint="drop --tiny, or the folder")
    if bundled and ray is None and emit is None and not (plan or gather):
        sandbox(image, bare=bare)  # refused before the trainer is asked for its claims
    if bundled:
        collected, own_data, own_tokenizer = steps.reference(bundled, runs, numbers, tiny=tiny)
        data, tokenizer = data or own_data, tokenizer or own_tokenizer
        found: list[Job | Refused] = [steps.job(steps.ONLY, collected, edition)]
    elif prs is not None:
        found = steps.pull_requests(repo, prs, edition, other=target or pr or rev or base)
    else:
        found = [steps.job(steps.ONLY, submissions(target, repo, pr, rev, base), edition)]
    wishes = Wishes(
        numbers,
        steps.settings(settings or []),
        training,
        evaluation,
        silence,
        total,
        grace,
        processes,
        None,
        words,
    )
    data = data or steps.variable("DATA_PATH")
    if tokenizer and not data:
        raise TargetError("--tokenizer goes with the token shards", hint="name their folder with --data")
    wants = Wants(
        wishes,
        steps.absolute(python),
        steps.absolute(data),
        steps.absolute(tokenizer or steps.variable("TOKENIZER_PATH")),
        0 if tiny else gpus,
        image,
        bare,
        steps.absolute(swap_val),
        shuffle_docs,
        again,
        ignore_requirements,
        "the claims are those of a first run on this machine, made for this one" if tiny else "",
    )
    judging = Judging(margin, stop_early, bundled, scale)
    if emit is not None:
        source = steps.source(target, repo, pr, rev, base, bundled)
        steps.write(output, steps.emitted(emit, found, source, wants, edition, runs, many=prs is not None))
        raise typer.Exit(ExitCode.CLEAN)
    if gather:
        from pgaudit.reproduce.gathering import gather as gather_all

        outcomes = gather_all(found, numbers, runs, judging)
    else:
        pace = steps.calibration(found, runs, wants, tiny=tiny) if calibrate or scale else None
        with steps.ended_by_term(), steps.place(ray, needs, wants, runs, pace) as place:
            if plan:
                shown = "".join(steps.plans(place, found, style))
            else:
                outcomes = reproduce_all(place, found, runs, judging, resume=resume)
        if plan:
            steps.write(output, shown)
            raise typer.Exit(ExitCode.CLEAN)
    reported = steps.reported(outcomes, many=prs is not None)
    steps.write(output, steps.rendered(reported, style, many=prs is not None))
    if html is not None:
        steps.write(html, steps.page_of(reported, shlex.join(["pgaudit", *sys.argv[1:]])))
    raise typer.Exit(steps.status(outcomes))
