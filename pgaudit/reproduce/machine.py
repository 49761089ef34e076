"""One machine that submissions are re-run on: what it has, the plan of a run on it, and the sandbox that works there.

This machine and each node of a cluster answer by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgaudit.errors import PgauditError, TargetError
from pgaudit.evidence.evidence import Evidence
from pgaudit.reproduce import hardware, interpreter, plan
from pgaudit.reproduce.data import Data, inspect
from pgaudit.reproduce.hardware import Hardware
from pgaudit.reproduce.inputs import Input, Swap, held_out, shuffled
from pgaudit.reproduce.plan import Plan, Wishes
from pgaudit.sandbox import Backend, SandboxUnavailable, find


@dataclass(frozen=True)
class Wants:
    """What the caller asks of a machine. Plain values: they cross to other machines."""

    wishes: Wishes
    python: Path | None = None
    """``None`` for the Python that runs pgaudit there."""
    data: Path | None = None
    tokenizer: Path | None = None
    gpus: int | None = None
    """At most; ``None`` for all that are free, up to eight."""
    image: str | None = None
    bare: bool = False
    held_out: Path | None = None
    """A shard in place of the validation text, for one more run of the first seed."""
    shuffle: bool = False
    """One more run of it on the documents in another order."""
    again: bool = False
    """One more run of it as it is."""
    ignore_missing: bool = False
    """Run although packages seem to be missing."""
    remark: str = ""
    """What every report is to say."""


@dataclass(frozen=True)
class Offer:
    """How a machine would run a submission. Plain values, as above."""

    plan: Plan
    sandbox: str
    enclosed: bool
    problem: PgauditError | None
    """Why it cannot: packages that are missing, no sandbox that works."""

    def document(self) -> dict[str, Any]:
        """An offer without a problem as JSON values."""
        return {"plan": self.plan.document(), "sandbox": self.sandbox, "enclosed": self.enclosed}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Offer:
        """Back from JSON values. Raises ``KeyError`` or ``TypeError`` for those of another version."""
        return cls(Plan.read(document["plan"]), document["sandbox"], document["enclosed"], None)


@dataclass(frozen=True)
class Machine:
    """What a machine has for a run."""

    hardware: Hardware
    data: Data | None
    sandbox: Backend | SandboxUnavailable
    swaps: tuple[Swap, ...]
    remarks: tuple[str, ...] = ()

    def offer(self, evidence: Evidence, wants: Wants) -> Offer:
        """The plan of one submission on this machine. Raises ``PgauditError`` where none can be made."""
        script = evidence.main.body.text if evidence.main else ""
        asked = interpreter.ask(wants.python, evidence.submission, script)
        made = plan.make(evidence, asked, self.hardware, self.data, wants.wishes, self.remarks)
        made = replace(made, swaps=self.swaps)
        problem = None if wants.ignore_missing else plan.what_is_missing(made)
        if isinstance(self.sandbox, SandboxUnavailable):
            return Offer(made, str(self.sandbox), enclosed=False, problem=problem or self.sandbox)
        return Offer(made, self.sandbox.name, self.sandbox.encloses, problem)


def this(wants: Wants) -> Machine:
    """This machine with its free GPUs. Raises ``TargetError`` for data that cannot be used."""
    found, remark = hardware.find(wants.gpus)
    return _with(wants, found, remark)


def handed(wants: Wants, count: int, indices: Sequence[int] | None) -> Machine:
    """This machine with the GPUs that a scheduler hands out: those of ``indices``, or before it has chosen any ``count``.

    Raises ``TargetError`` where there are fewer, or someone else computes on them.
    """
    present, remark = hardware.present() if count else ((), "")
    chosen = present[:count] if indices is None else tuple(gpu for gpu in present if gpu.index in indices)
    if len(chosen) < count:
        raise TargetError(f"{len(present)} GPUs where the scheduler counts {count}{remark and f': {remark}'}")
    if indices is not None and (busy := [str(gpu.index) for gpu in chosen if not gpu.is_free]):
        raise TargetError(f"GPUs in use by others: {', '.join(busy)}")
    return _with(wants, Hardware(chosen))


def sandbox(image: str | None, *, bare: bool) -> Backend:
    """The sandbox that works here. Raises ``SandboxUnavailable``."""
    if bare:
        from pgaudit.sandbox.bare import Bare

        return Bare()
    return find(image)


def _with(wants: Wants, found: Hardware, *remarks: str) -> Machine:
    backend: Backend | SandboxUnavailable
    try:
        backend = sandbox(wants.image, bare=wants.bare)
    except SandboxUnavailable as problem:
        backend = problem
    data = inspect(wants.data, wants.tokenizer) if wants.data else None
    return Machine(found, data, backend, _swaps(data, wants), tuple(filter(None, (*remarks, wants.remark))))


def _swaps(data: Data | None, wants: Wants) -> tuple[Swap, ...]:
    """The other inputs that were asked for, looked at before any time is spent."""
    if data is None and (wants.held_out or wants.shuffle):
        name = "--swap-val" if wants.held_out else "--shuffle-docs"
        raise TargetError(f"{name} needs the validation shards", hint="name their folder with --data")
    made = [held_out(data, wants.held_out)] if data and wants.held_out else []
    made += [shuffled(data)] if data and wants.shuffle else []
    return (*made, Swap(Input.AGAIN)) if wants.again else tuple(made)
