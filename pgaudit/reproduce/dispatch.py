"""The seeds that are on a cluster: begun, finished, lost and begun again, given up.

A seed is begun again elsewhere when its node or worker is lost, a bounded number of times; how a submission ends is its
result and repeats nothing. Ray's own retries are off, so that what is repeated is said and counted here.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from pgaudit.reproduce.cluster import Cluster
from pgaudit.reproduce.jobs import Done, Task
from pgaudit.reproduce.node import Begun, Finished, Said, Unfit
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.runner import OUTPUT, RunFailed

RETRIES = 2
"""Times that a lost seed is begun again."""
PATIENCE = 60.0
"""Seconds without any node that could run a seed until it is given up; a cluster may replace its nodes."""
TICK = 1.0
ENDING = 15.0
"""Seconds for seeds to be ended by their supervisors; then their workers are killed, which ends them as well."""


@dataclass
class Seed:
    """One seed on the cluster. It changes as the cluster answers."""

    task: Task
    number: int
    host: str = ""
    """Where it runs; empty while it waits."""
    losses: int = 0
    stranded: float | None = None
    """Since when no node could run it."""

    @property
    def job(self) -> str:
        return self.task.job.name

    def __str__(self) -> str:
        return f"{self.job} seed {self.number}"


@dataclass
class Dispatch:
    """All seeds of some tasks."""

    cluster: Cluster
    tasks: Sequence[Task]
    running: dict[Any, Seed] = field(default_factory=dict)
    """By the stream of what each says; waiting ones too."""
    results: dict[tuple[str, int], SeedResult] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    """By job: why seeds of it were not run."""

    def run(self) -> list[Done]:
        """Run what the ledgers do not know. Whatever happens, nothing is left running."""
        try:
            for task in self.tasks:
                for number in task.offer.plan.seeds:
                    if known := task.ledger.finished(number):
                        self.results[task.job.name, number] = SeedResult.read(known)
                    else:
                        self._submit(Seed(task, number))
            while self.running:
                ready, _ = ray.wait(list(self.running), num_returns=1, timeout=TICK)
                for stream in ready:
                    self._listen(stream)
                self._give_up_stranded()
        finally:
            self._end(list(self.running))
        return [Done(self._done(task), "; ".join(self.missing.get(task.job.name, ()))) for task in self.tasks]

    def _done(self, task: Task) -> list[SeedResult]:
        known = ((task.job.name, number) for number in task.offer.plan.seeds)
        return [self.results[key] for key in known if key in self.results]

    def _folder(self, seed: Seed) -> Path:
        return self.cluster.runs / f"run{seed.task.ledger.run}" / f"seed{seed.number}"

    def _submit(self, seed: Seed) -> None:
        seed.host = ""
        digest = seed.task.offer.plan.digest
        self.running[self.cluster.submit(seed.job, digest, seed.number, self._folder(seed))] = seed

    def _listen(self, stream: Any) -> None:
        """Take the next that a seed says; a lost one raises instead."""
        seed = self.running[stream]
        try:
            where, said = ray.get(next(stream))
        except RayTaskError as error:  # pgaudit's own code failed there, and would again
            del self.running[stream]
            self._give_up(seed, f"internal error on a node: {_last_line(error)}")
        except (RayError, StopIteration) as error:
            del self.running[stream]
            self._lost(seed, type(error).__name__)
        else:
            self._heard(stream, seed, where, said)

    def _heard(self, stream: Any, seed: Seed, where: str, said: Said) -> None:
        match said:
            case Begun(host):
                seed.host = host
                seed.task.ledger.start(seed.number)
                self.cluster.tell(f"{seed}: started on {host}")
            case Unfit(host, why):
                del self.running[stream]
                self.cluster.unfit[seed.job].add(where)
                self.cluster.tell(f"{seed}: {host} cannot run it: {why}")
                self._submit(seed)
            case Finished(host):
                del self.running[stream]
                result = self._keep(seed, said)
                score = f", val_bpb {result.val_bpb:.6f}" if result.val_bpb is not None else ""
                self.cluster.tell(f"{seed}: {result.ending} after {result.seconds:.0f} s on {host}{score}")
                others = [each for each, other in self.running.items() if other.task is seed.task]
                if others and (why := seed.task.stop(self._done(seed.task))):
                    self._missing(seed, why)
                    self._end(others)

    def _keep(self, seed: Seed, said: Finished) -> SeedResult:
        """Write down what a seed came to, its output first: the ledger must not name a file that is not there."""
        output = self._folder(seed) / OUTPUT
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(zlib.decompress(said.output))
        except OSError as error:
            raise RunFailed(f"{output}: cannot be written: {error.strerror}", "free the disk, then --resume") from None
        document = said.document | {"output": str(output)}
        seed.task.ledger.finish(seed.number, document)
        result = SeedResult.read(document)
        self.results[seed.job, seed.number] = result
        return result

    def _lost(self, seed: Seed, how: str) -> None:
        seed.losses += 1
        where = f" on {seed.host}" if seed.host else ""
        if seed.losses > RETRIES:
            self._give_up(seed, f"lost {seed.losses} times, the last time{where} ({how})")
        else:
            self.cluster.tell(f"{seed}: lost{where} ({how}); begins again, {seed.losses} of {RETRIES} times")
            self._submit(seed)

    def _give_up(self, seed: Seed, why: str) -> None:
        self._missing(seed, f"seed {seed.number} was not run: {why}")
        self.cluster.tell(f"{seed}: given up: {why}")

    def _missing(self, seed: Seed, why: str) -> None:
        self.missing.setdefault(seed.job, []).append(why)

    def _give_up_stranded(self) -> None:
        now, alive = time.monotonic(), set(self.cluster.nodes())
        for stream, seed in list(self.running.items()):
            if seed.host or alive - self.cluster.unfit[seed.job]:
                seed.stranded = None
            elif now - (seed.stranded or now) < PATIENCE:
                seed.stranded = seed.stranded or now
            else:
                self._end([stream])
                self._give_up(seed, "no node is left that can")

    def _end(self, streams: Iterable[Any]) -> None:
        """Have supervisors end their runs; kill the workers of those that do not."""
        ending = {stream: self.running.pop(stream) for stream in streams}
        until = time.monotonic() + ENDING
        for stream in ending:
            ray.cancel(stream, force=False)
        for stream in ending:
            if not _ended(stream, until):
                ray.cancel(stream, force=True)
                _ended(stream, until + ENDING)


def _ended(stream: Any, until: float) -> bool:
    """Whether a cancelled task came to its end in time."""
    with suppress(StopIteration, RayError):
        while ray.wait([stream], timeout=max(until - time.monotonic(), 0.0))[0]:
            ray.get(next(stream))
        return False
    return True


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
