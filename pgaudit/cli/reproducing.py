"""The steps of ``pgaudit reproduce`` between its options and its exit status."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pgaudit.cli.common import submissions, writing
from pgaudit.errors import ExitCode, NothingToAudit, PgauditError, TargetError
from pgaudit.output import Format
from pgaudit.submission import Collected, Origin

if TYPE_CHECKING:
    from pgaudit.report import Report
    from pgaudit.reproduce.calibration import Calibration
    from pgaudit.reproduce.jobs import Job, Place, Refused, Reproduced, Task
    from pgaudit.reproduce.machine import Wants
    from pgaudit.reproduce.runner import Observer
    from pgaudit.sandbox import Backend


class Scheduler(StrEnum):
    """Whom ``--emit`` writes for."""

    SLURM = "slurm"
    SKY = "sky"


ONLY = "submission"
"""The name of a job that is the only one."""
GPUS = 8
"""That a seed asks a cluster for where nothing else is said: those of the challenge."""


def job(name: str, collected: Collected, edition: datetime | None) -> Job:
    """What is to be re-run. Raises ``TargetError`` where that is more than one submission."""
    from pgaudit import policy
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.reproduce.jobs import Job

    if not collected.submissions:
        raise NothingToAudit(f"{collected.origin.source}: no record folder")
    if len(collected.submissions) > 1:
        names = ", ".join(each.folder for each in collected.submissions)
        raise TargetError(
            f"{collected.origin.source} holds more than one submission: {names}",
            hint="name one of these folders as the target",
        )
    chosen = policy.load().edition_at(edition.date() if edition else collected.origin.date)
    return Job(name, collected, Evidence(collected.submissions[0], chosen))


def pull_requests(repo: Path | None, prs: str, edition: datetime | None, *, other: object) -> list[Job | Refused]:
    """The pull requests that ``--prs`` names; one that cannot be read does not stop the rest."""
    from pgaudit.cli.sweep import select
    from pgaudit.collect.clone import GitClone
    from pgaudit.reproduce.jobs import Refused

    if other:
        raise TargetError("--prs already says what to read", hint="drop the target, --pr, --rev and --base")
    if repo is None:
        raise TargetError("--prs says which pull requests of a clone", hint="name the clone with --repo DIR")
    clone = GitClone(repo)  # not closed: the files are read later, and it goes when the last of them does
    numbers = select(prs, clone.pull_numbers())
    if not numbers:
        raise NothingToAudit(f"--prs {prs}: no such pull request in {repo}")
    found: list[Job | Refused] = []
    for number in numbers:
        try:
            found.append(job(f"pr{number}", clone.pull_request(number), edition))
        except PgauditError as problem:
            found.append(Refused(f"pr{number}", Origin(f"refs/pull/{number}/head", number), problem))
    return found


def write(path: Path | None, text: str) -> None:
    """Write a report. Raises ``TargetError`` where the disk does not take it; the ledger has kept what was measured."""
    try:
        with writing(path) as stream:
            stream.write(text)
    except OSError as error:
        if path is None:
            raise  # a closed pipe
        raise TargetError(f"{path}: cannot write: {error.strerror}", "--resume runs nothing again") from None


def bundled(preset: str | None, target: str | None, repo: Path | None, others: Mapping[str, str | int | None]) -> str:
    """The preset that is run; empty where another submission is named. Raises ``TargetError`` for both or half of one."""
    if target or repo:
        if preset is not None:
            raise TargetError("--preset is for the bundled reference trainer", hint="drop it, or the submission")
        return ""
    if named := next((name for name, value in others.items() if value is not None), None):
        raise TargetError(f"{named} is of a clone", hint="name the clone with --repo DIR")
    return preset or "baseline"


def reference(
    preset: str, runs: Path, numbers: tuple[int, ...], *, tiny: bool
) -> tuple[Collected, Path | None, Path | None]:
    """The bundled trainer as a submission, with the data of a tiny one."""
    from pgaudit.reproduce import reference

    name = f"{preset}-tiny-{hashlib.sha256(repr(numbers).encode()).hexdigest()[:8]}" if tiny else preset
    folder = runs / "reference" / name
    if tiny:
        typer.echo(f"reference trainer: {preset}, tiny, is trained once to have claims", err=True)
    reference.write(preset, folder, numbers, tiny=tiny)
    found = submissions(str(folder))
    return (found, *reference.tiny_data(folder, preset)) if tiny else (found, None, None)


@contextmanager
def place(
    ray: str | None, needs: str | None, wants: Wants, runs: Path, pace: Callable[[Backend], Calibration] | None
) -> Iterator[Place]:
    """Where seeds are run: a Ray cluster where one is named, else here."""
    from pgaudit.cli.progress import say

    if ray is not None:
        from pgaudit.reproduce.cluster import Cluster

        gpus = GPUS if wants.gpus is None else wants.gpus
        asked = resources(needs) if needs is not None else {"GPU": float(gpus)} if gpus else {"CPU": 1.0}
        with Cluster(ray, asked, replace(wants, gpus=gpus), runs, say) as cluster:
            yield cluster
        return
    if needs is not None:
        raise TargetError("--ray-needs is for a Ray cluster", hint="name one with --ray")
    from pgaudit.reproduce.jobs import Here
    from pgaudit.reproduce.machine import this

    yield Here(this(wants), wants, runs, watch, pace)


@contextmanager
def ended_by_term() -> Iterator[None]:
    """Schedulers end jobs by TERM: here as an interrupt does, so that what runs is ended and finished seeds are kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def calibration(
    found: Sequence[Job | Refused], runs: Path, wants: Wants, *, tiny: bool
) -> Callable[[Backend], Calibration]:
    """How the pace of this machine is taken."""
    from pgaudit import policy
    from pgaudit.reproduce import hardware
    from pgaudit.reproduce.calibration import calibrate
    from pgaudit.reproduce.jobs import Job

    machine, _ = hardware.find(wants.gpus)
    if not tiny and not machine.gpus:
        raise TargetError("there is no GPU to calibrate", hint="--tiny --calibrate shows the flow on a CPU")
    editions = [each.evidence.edition for each in found if isinstance(each, Job)]

    def take(backend: Backend) -> Calibration:
        typer.echo("calibration: the reference trainer, for a fixed number of steps", err=True)
        return calibrate(runs, backend, machine, (editions or [policy.load().edition_at(None)])[0], tiny=tiny)

    return take


def refuse_page(*, plan: bool, many: bool) -> None:
    """Raises ``TargetError`` where there would be nothing to make a page of."""
    if plan:
        raise TargetError("--html writes what was measured, and nothing is run", hint="drop it, or --plan and --emit")
    if many:
        raise TargetError("--html is the page of one submission", hint="drop it, or name one with --pr")


def refuse_file(option: str, path: Path | None) -> None:
    """Raises ``TargetError`` where no file could be written at the end."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise TargetError(f"{option} {path}: no file can be written there", hint="name a file in a folder that exists")


def watch(task: Task) -> Observer:
    """Progress of one task on standard error."""
    from pgaudit.cli.progress import progress, say

    if task.job.name != ONLY:
        say(f"{task.job.name}: {task.offer.plan.folder}")
    return progress(task.offer.plan)


def plans(place: Place, found: Sequence[Job | Refused], style: Format) -> Iterator[str]:
    """What would be run."""
    from pgaudit.output.reproduction import render_plan
    from pgaudit.reproduce.jobs import Job, Refused
    from pgaudit.reproduce.machine import Offer

    jobs = [each for each in found if isinstance(each, Job)]
    offers = dict(zip((job.name for job in jobs), place.offers(jobs), strict=True))
    for each in found:
        answer = each.problem if isinstance(each, Refused) else offers[each.name]
        if isinstance(answer, Offer):
            yield render_plan(answer.plan, answer.sandbox, style)
        elif each.name == ONLY:
            raise answer
        else:
            yield f"{each.name}: would not be run: {answer}\n"


def emitted(
    scheduler: Scheduler,
    found: Sequence[Job | Refused],
    source: tuple[str, ...],
    wants: Wants,
    edition: datetime | None,
    runs: Path,
    *,
    many: bool,
) -> str:
    """The file for a scheduler; what cannot be run is said on standard error and left out of it."""
    from pgaudit.cli.progress import say
    from pgaudit.reproduce import emit
    from pgaudit.reproduce.jobs import Job, Refused

    for each in found:
        if isinstance(each, Refused):
            say(f"{each.name}: left out: {each.problem}")
    jobs = [each for each in found if isinstance(each, Job)]
    if not jobs:
        raise NothingToAudit("none of these pull requests can be run")
    gpus = GPUS if wants.gpus is None else wants.gpus
    batch = emit.Batch(jobs, source, many, wants, gpus, f"{edition:%Y-%m-%d}" if edition else None, runs)
    return {Scheduler.SLURM: emit.slurm, Scheduler.SKY: emit.sky}[scheduler](batch)


def source(
    target: str | None, repo: Path | None, pr: int | None, rev: str | None, base: str | None, preset: str
) -> tuple[str, ...]:
    """The words by which another machine finds the same submission."""
    words = (
        [] if target is None else [str(Path(target).absolute()) if repo is None and Path(target).exists() else target]
    )
    options = {"--repo": absolute(repo), "--pr": pr, "--rev": rev, "--base": base}
    for name, value in options.items():
        words += [name, str(value)] if value is not None else []
    return tuple(words) or ("--preset", preset)


def reported(outcomes: Sequence[Reproduced | Refused], *, many: bool) -> list[tuple[Reproduced | Refused, Report]]:
    """Each with its report of the usual kind. Raises the problem of a submission that is the only one."""
    from pgaudit.reproduce.jobs import Refused
    from pgaudit.reproduce.report import report_of, report_of_refused

    found: list[tuple[Reproduced | Refused, Report]] = []
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            if not many:
                raise outcome.problem
            found.append((outcome, report_of_refused(outcome.origin, str(outcome.problem))))
        else:
            run, job = outcome.run, outcome.job
            scan = not run.bundled or bool(job.evidence.claims)
            found.append((outcome, report_of(run, job.collected, job.evidence.edition, scan=scan)))
    return found


def rendered(found: Sequence[tuple[Reproduced | Refused, Report]], style: Format, *, many: bool) -> str:
    """The report, or the table of many."""
    from pgaudit.output.reproduction import render
    from pgaudit.output.reproductions import render_all
    from pgaudit.reproduce.jobs import Refused

    if many:
        return render_all(found, style)
    ((outcome, report),) = found
    assert not isinstance(outcome, Refused)
    return render(outcome.run, report, style)


def page_of(found: Sequence[tuple[Reproduced | Refused, Report]], command: str) -> str:
    """The page of the only one."""
    from pgaudit.output.page.reproduction import page
    from pgaudit.reproduce.jobs import Refused

    ((outcome, report),) = found
    assert not isinstance(outcome, Refused)
    return page(outcome.run, report, outcome.job.evidence.edition, command)


def status(outcomes: Sequence[Reproduced | Refused]) -> ExitCode:
    """A claim that fails before what could not be decided, that before what holds."""
    from pgaudit.reproduce.jobs import Refused

    results = {"incomplete" if isinstance(outcome, Refused) else outcome.run.result.value for outcome in outcomes}
    if "fails" in results:
        return ExitCode.FINDINGS
    return ExitCode.CLEAN if results == {"holds"} else ExitCode.INCOMPLETE


def seeds(text: str) -> tuple[int, ...]:
    """The numbers of ``--seeds``. Raises ``TargetError``."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and word.isascii() and len(word) < 11 for word in words):
        raise TargetError(f"--seeds {text!r} is no list of numbers", hint="as 42,1337,2024")
    return tuple(dict.fromkeys(int(word) for word in words))


def launcher(text: str | None) -> tuple[str, ...] | None:
    """The words of ``--launcher``. Raises ``TargetError``."""
    try:
        return None if text is None else tuple(shlex.split(text))
    except ValueError as error:
        raise TargetError(f"--launcher {text!r} cannot be split into words: {error}") from None


def settings(pairs: Sequence[str]) -> dict[str, str]:
    """The variables of ``--set``. Raises ``TargetError``."""
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if wrong := [name for name in found if not name.isidentifier()]:
        raise TargetError(f"--set {wrong[0]!r} is not NAME=VALUE")
    return found


def resources(text: str) -> dict[str, float]:
    """The amounts of ``--ray-needs``. Raises ``TargetError``."""
    found = {}
    for pair in text.split(","):
        name, _, amount = pair.strip().partition("=")
        if not name or not amount.isdecimal() or not 0 < len(amount) < 10:
            raise TargetError(f"--ray-needs {pair.strip()!r} is not NAME=NUMBER", hint="as GPU=8 or GPU=8,CPU=64")
        found[name] = float(amount)
    return found


def absolute(path: Path | None) -> Path | None:
    """A path that is the same on other machines."""
    return path.absolute() if path else None


def variable(name: str) -> Path | None:
    """The path in a variable of the environment."""
    return Path(os.environ[name]) if os.environ.get(name) else None
