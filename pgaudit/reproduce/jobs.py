"""Submissions to be re-run, one or many: planned by a place, run there, judged here. None stops the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pgaudit.errors import PgauditError
from pgaudit.evidence.evidence import Evidence
from pgaudit.reproduce import swaps
from pgaudit.reproduce.calibration import Calibration
from pgaudit.reproduce.curves import overlay
from pgaudit.reproduce.ledger import Ledger
from pgaudit.reproduce.machine import Machine, Offer, Wants
from pgaudit.reproduce.outcome import Reproduction, hopeless, judge
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.runner import Observer, run_seeds, run_swaps
from pgaudit.sandbox import Backend, SandboxUnavailable
from pgaudit.submission import Collected, Origin

Stop = Callable[[Sequence[SeedResult]], str]
"""Why the seeds that are done make more of them useless; empty if they do not."""


@dataclass(frozen=True)
class Job:
    """One submission to be re-run."""

    name: str
    """``pr1471``, or ``submission`` where there is but one. Part of file names."""
    collected: Collected
    evidence: Evidence


@dataclass(frozen=True)
class Refused:
    """A submission that is not re-run."""

    name: str
    origin: Origin
    problem: PgauditError


@dataclass(frozen=True)
class Reproduced:
    """A submission that was re-run."""

    job: Job
    run: Reproduction


@dataclass(frozen=True)
class Done:
    """What the seeds of a job came to."""

    results: Sequence[SeedResult]
    """In the order of the seeds."""
    stopped: str = ""
    """Why some are missing; empty if none is."""
    swaps: tuple[SeedResult, ...] = ()
    """Of the first seed on other inputs."""
    calibration: Calibration | None = None
    """The pace of the machine."""


@dataclass(frozen=True)
class Task:
    """A job that was planned and has its run in the ledger."""

    job: Job
    offer: Offer
    ledger: Ledger
    stop: Stop


class Place(Protocol):
    """Where jobs are run: this machine, or a cluster."""

    def offers(self, jobs: Sequence[Job]) -> list[Offer | PgauditError]:
        """How each job would be run, or why it cannot. Raises ``PgauditError`` where nothing can be run at all."""

    def run(self, tasks: Sequence[Task]) -> list[Done]:
        """Run the seeds that the ledgers do not know, and write each down when it is done."""


@dataclass(frozen=True)
class Judging:
    """How results are judged."""

    margin: float
    stop_early: bool = False
    bundled: str = ""
    """The preset of the bundled reference trainer, if that is what is run."""
    scale: bool = False
    """Show times divided by the factor of the calibration too."""

    def stop(self, job: Job, offer: Offer) -> Stop:
        """When to stop a job."""
        if not self.stop_early:
            return lambda _done: ""

        def why(done: Sequence[SeedResult]) -> str:
            found = hopeless(job.evidence, offer.plan, done, self.margin)
            return found and f"stopped early: {found}"

        return why

    def judged(self, job: Job, offer: Offer, done: Done) -> Reproduced:
        """What the results say together."""
        plan, results, pace = offer.plan, done.results, done.calibration
        checks, score, remarks = judge(
            job.evidence, plan, results, self.margin, pace.factor if pace and self.scale else None
        )
        more, odd = swaps.judge(plan, results, done.swaps, self.margin)
        run = Reproduction(
            plan,
            offer.sandbox,
            offer.enclosed,
            tuple(results),
            (*checks, *more),
            score,
            (*plan.remarks, *remarks, *odd),
            done.stopped,
            self.bundled,
            overlays=tuple(overlay(job.evidence, result.seed, result.curve) for result in results),
            swaps=done.swaps,
            calibration=pace,
        )
        return Reproduced(job, run)


def reproduce(
    place: Place, found: Sequence[Job | Refused], runs: Path, judging: Judging, *, resume: bool
) -> list[Reproduced | Refused]:
    """What became of each, in their order. Raises ``LedgerError`` where results cannot be kept."""
    jobs = [each for each in found if isinstance(each, Job)]
    offered = place.offers(jobs) if jobs else []
    ready = [
        (job, offer)
        for job, offer in zip(jobs, offered, strict=True)
        if isinstance(offer, Offer) and offer.problem is None
    ]
    done = _run_all(place, ready, runs, judging, resume=resume) if ready else {}
    outcomes: dict[str, Reproduced | Refused] = {
        job.name: judging.judged(job, offer, done[job.name])
        if isinstance(offer, Offer) and offer.problem is None
        else Refused(job.name, job.collected.origin, problem_of(offer))
        for job, offer in zip(jobs, offered, strict=True)
    }
    return [each if isinstance(each, Refused) else outcomes[each.name] for each in found]


def _run_all(
    place: Place, ready: Sequence[tuple[Job, Offer]], runs: Path, judging: Judging, *, resume: bool
) -> dict[str, Done]:
    """The results of each job, by its name."""
    with ExitStack() as stack:
        ledger = Ledger.open(runs)
        stack.callback(ledger.close)
        if resume and not any(ledger.knows(offer.plan.digest) for _, offer in ready):
            ledger.resume(ready[0][1].plan.digest)  # a changed option must not repeat everything
        tasks = []
        for job, offer in ready:
            own = Ledger(ledger.path, ledger.connection)
            stack.callback(own.release)
            _enter(own, offer, resume=resume)
            tasks.append(Task(job, offer, own, judging.stop(job, offer)))
        return {task.job.name: done for task, done in zip(tasks, place.run(tasks), strict=True)}


def _enter(ledger: Ledger, offer: Offer, *, resume: bool) -> None:
    """Set a ledger to the run of a plan."""
    plan = offer.plan
    if resume and ledger.knows(plan.digest):
        ledger.resume(plan.digest)
    else:
        ledger.begin(plan.digest, json.dumps(offer.document()))


def problem_of(offer: Offer | PgauditError) -> PgauditError:
    """Why a job is not run."""
    problem = offer.problem if isinstance(offer, Offer) else offer
    assert problem is not None
    return problem


@dataclass(frozen=True)
class Here:
    """This machine: one seed after the other."""

    machine: Machine
    wants: Wants
    runs: Path
    watch: Callable[[Task], Observer]
    calibrate: Callable[[Backend], Calibration] | None = None
    """Takes the pace of this machine before the first seed."""

    def offers(self, jobs: Sequence[Job]) -> list[Offer | PgauditError]:
        return offers(self.machine, [job.evidence for job in jobs], self.wants)

    def run(self, tasks: Sequence[Task]) -> list[Done]:
        pace = self.calibrate(self._backend) if self.calibrate else None
        return [replace(self._seeds(task), calibration=pace) for task in tasks]

    @property
    def _backend(self) -> Backend:
        assert not isinstance(self.machine.sandbox, SandboxUnavailable)
        return self.machine.sandbox

    def _seeds(self, task: Task) -> Done:
        plan, evidence, watch = task.offer.plan, task.job.evidence, self.watch(task)
        results, stopped = run_seeds(plan, evidence, self._backend, task.ledger, self.runs, watch, task.stop)
        if stopped or not results[0].finished or task.stop(results):
            return Done(results, stopped)
        others = run_swaps(plan, evidence, self._backend, task.ledger, self.runs, watch)
        return Done(results, stopped, tuple(others))


def offers(machine: Machine, submissions: Sequence[Evidence], wants: Wants) -> list[Offer | PgauditError]:
    """How a machine would run each submission, or why it cannot."""
    found: list[Offer | PgauditError] = []
    for evidence in submissions:
        try:
            found.append(machine.offer(evidence, wants))
        except PgauditError as problem:
            found.append(problem)
    return found
