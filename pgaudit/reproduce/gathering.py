"""What the tasks of ``emit`` have left: read back, and judged together as the seeds of one machine are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pgaudit.errors import ExitCode, PgauditError
from pgaudit.reproduce.jobs import Done, Job, Judging, Refused, Reproduced
from pgaudit.reproduce.ledger import NAME, Ledger
from pgaudit.reproduce.machine import Offer
from pgaudit.reproduce.plan import digest_of
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.runner import OUTPUT


class NothingLeft(PgauditError):
    """No task has left a result of a submission."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True)
class Part:
    """One seed that a task has finished."""

    offer: Offer
    result: SeedResult


def gather(
    found: Sequence[Job | Refused], seeds: tuple[int, ...], results: Path, judging: Judging
) -> list[Reproduced | Refused]:
    """The re-run of each job from its parts. Raises ``LedgerError`` for one that cannot be read."""
    return [each if isinstance(each, Refused) else _together(each, seeds, results, judging) for each in found]


def _together(job: Job, seeds: tuple[int, ...], results: Path, judging: Judging) -> Reproduced | Refused:
    parts: list[Part] = []
    missing: list[str] = []
    files = digest_of(job.evidence)
    for seed in seeds:
        folder = results / f"{job.name}-seed{seed}"
        part = _part(folder, seed)
        if part is None:
            missing.append(f"seed {seed} has no result in {folder}")
        elif part.offer.plan.files != files:
            missing.append(f"seed {seed} is of other files than the submission has now")
        elif parts and part.offer.plan.digest != parts[0].offer.plan.digest:
            missing.append(f"seed {seed} was run otherwise: hardware, interpreter, data, limits or settings differ")
        else:
            parts.append(part)
    if not parts:
        return Refused(job.name, job.collected.origin, NothingLeft("; ".join(missing)))
    offer = replace(parts[0].offer, plan=replace(parts[0].offer.plan, seeds=seeds))
    return judging.judged(job, offer, Done([part.result for part in parts], "; ".join(missing)))


def _part(folder: Path, seed: int) -> Part | None:
    if not (folder / NAME).is_file():
        return None
    ledger = Ledger.open(folder)
    try:
        last = ledger.last(seed)
    finally:
        ledger.close()
    if last is None:
        return None
    offered, document = last
    try:
        return Part(Offer.read(offered), SeedResult.read(document | {"output": str(folder / OUTPUT)}))
    except (KeyError, TypeError):
        return None  # of another version
