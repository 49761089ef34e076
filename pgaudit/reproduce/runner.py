"""Runs the seeds of a plan, then its swaps, one after the other in folders of their own, and writes down each that is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pgaudit.errors import ExitCode, PgauditError
from pgaudit.evidence.evidence import Evidence
from pgaudit.reproduce import reads
from pgaudit.reproduce.inputs import Swap
from pgaudit.reproduce.ledger import Ledger
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult, result_of
from pgaudit.reproduce.sampling import Sampler
from pgaudit.reproduce.stages import Stages
from pgaudit.reproduce.supervise import supervise
from pgaudit.reproduce.weigh import bytes_written, inventory, weigh
from pgaudit.sandbox import Backend, Box
from pgaudit.submission import Submission, UnreadableFile

OUTPUT = "output.log"


class RunFailed(PgauditError):
    """The machine, not the submission, kept a seed from being run."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True)
class Observer:
    """Who watches: called when a seed begins, with every line of output, and when a seed is done."""

    begin: Callable[[str], None] = lambda _label: None
    line: Callable[[Stages, float], None] = lambda _stages, _now: None
    done: Callable[[SeedResult], None] = lambda _result: None


def run_seeds(
    plan: Plan,
    evidence: Evidence,
    backend: Backend,
    ledger: Ledger,
    runs: Path,
    observer: Observer,
    stop: Callable[[Sequence[SeedResult]], str],
) -> tuple[list[SeedResult], str]:
    """The results in the order of the seeds, and why the later ones were not run (empty if all were)."""
    results: list[SeedResult] = []
    for seed in plan.seeds:
        known = ledger.finished(seed)
        if known is not None:
            results.append(SeedResult.read(known))
        else:
            ledger.start(seed)
            observer.begin(str(seed))
            result = run_seed(plan, seed, evidence, backend, runs / f"run{ledger.run}" / f"seed{seed}", observer)
            ledger.finish(seed, result.document())
            observer.done(result)
            results.append(result)
        if seed != plan.seeds[-1] and (why := stop(results)):
            return results, why
    return results, ""


def run_swaps(
    plan: Plan, evidence: Evidence, backend: Backend, ledger: Ledger, runs: Path, observer: Observer
) -> list[SeedResult]:
    """The first seed once more for each swap of the plan."""
    return [
        _run_swap(plan, swap, evidence, backend, ledger, runs / f"run{ledger.run}", observer) for swap in plan.swaps
    ]


def _run_swap(
    plan: Plan, swap: Swap, evidence: Evidence, backend: Backend, ledger: Ledger, folder: Path, observer: Observer
) -> SeedResult:
    seed, given = plan.seeds[0], (swap.input.value, swap.sha256)
    known = ledger.finished(seed, given)
    if known is not None:
        return SeedResult.read(known)
    ledger.start(seed, given)
    observer.begin(f"{seed}, {swap.input}")
    written = folder / "inputs" / swap.name
    try:
        shutil.rmtree(written, ignore_errors=True)
        changed = replace(plan, data=swap.data(plan.data, written))
    except OSError as error:
        raise RunFailed(
            f"another input could not be written to {written}: {error.strerror}",
            "finished seeds are kept; --resume goes on",
        ) from None
    own = folder / f"seed{seed}-{swap.name}"
    result = replace(run_seed(changed, seed, evidence, backend, own, observer), input=swap.input.value)
    shutil.rmtree(written, ignore_errors=True)  # as large as the validation shards, and made again in seconds
    ledger.finish(seed, result.document(), given)
    observer.done(result)
    return result


def run_seed(
    plan: Plan, seed: int, evidence: Evidence, backend: Backend, folder: Path, observer: Observer
) -> SeedResult:
    """Run one seed. Raises ``RunFailed`` where the disk or the sandbox does not let it."""
    try:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
        work, temporary = folder / "work", folder / "tmp"
        temporary.mkdir(parents=True)
        work.mkdir()
        for private in (folder, work, temporary):
            private.chmod(0o755)
        copy_files(evidence.submission, work)
        recorded = reads.are_recorded(folder)
        reads.forget(work, inventory(work))
        box = _box(plan, seed, work, temporary)
        backend.prepare(box)
        before = inventory(work)
        with Sampler(plan.hardware) as gpus, _ended(backend, box):
            seen = supervise(
                backend.command(box),
                {"PATH": os.environ.get("PATH", os.defpath)}
                | ({"HOME": os.environ.get("HOME", "/")} if not backend.encloses else {}),
                folder / OUTPUT,
                plan.bounds,
                lambda: bytes_written(work, temporary),
                observer.line,
                gpus.take,
            )
    except OSError as error:
        raise RunFailed(
            f"seed {seed} could not be run in {folder}: {error.strerror}", "finished seeds are kept; --resume goes on"
        ) from None
    read = reads.since(work, before) if recorded else None  # before the files are weighed, which reads them
    weighed = weigh(work, before, evidence.sizes, plan.main, temporary, read)
    return result_of(seed, seen, weighed, gpus.use(), str(folder / OUTPUT))


def copy_files(submission: Submission, folder: Path) -> None:
    """The submission's files, in a folder of the run's own; what cannot be read is left out, as everywhere."""
    for path, file in submission.files.items():
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts:
            continue
        try:
            content = file.data
        except UnreadableFile:
            continue
        target = folder / pure
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


@contextmanager
def _ended(backend: Backend, box: Box) -> Iterator[None]:
    try:
        yield
    finally:
        backend.end(box)


def _box(plan: Plan, seed: int, work: Path, temporary: Path) -> Box:
    readable = (*plan.interpreter.mounts, *(plan.data.mounts if plan.data else ()))
    return Box(
        plan.command(seed),
        work.absolute(),
        temporary.absolute(),
        plan.variables(seed),
        readable,
        plan.limits,
        plan.hardware.devices,
    )
