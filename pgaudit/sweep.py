"""The audit of many pull requests of one clone: all cores, results in order, and no failure stops the rest."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from pgaudit.errors import PgauditError
from pgaudit.evidence.corpus import Corpus
from pgaudit.finding import Gap
from pgaudit.report import FolderReport
from pgaudit.verdict import Level, Verdict
from pgaudit.waivers import Waivers

SECONDS_PER_PULL_REQUEST = 60.0
"""A pull request that takes longer is reported as incomplete; the slowest real one takes a few seconds."""


@dataclass(frozen=True)
class Settings:
    """What every worker needs to know. Plain values: they cross a process border."""

    repo: Path
    rules: Path
    waivers: Waivers = field(default_factory=Waivers)
    on: date | None = None
    """Judge by the policy edition of this date instead of each head's own."""
    corpus: Corpus | None = None
    """Submissions with a ruling."""


def sweep(
    numbers: Iterable[int], settings: Settings, jobs: int, seconds: float = SECONDS_PER_PULL_REQUEST
) -> Iterator[list[FolderReport]]:
    """The reports on the record folders of each pull request, in the order asked.

    A pull request without a record folder, or one that could not be audited (no such ref, out of time, worker
    killed), gives one report with folder ``.``, verdict ``incomplete`` and the reason as its gap.
    """
    idle: SimpleQueue[Worker] = SimpleQueue()
    workers = [Worker(settings) for _ in range(jobs)]
    for worker in workers:
        idle.put(worker)

    def run(number: int) -> list[FolderReport]:
        worker = idle.get()
        try:
            return worker.audit(number, seconds)
        finally:
            idle.put(worker)

    try:
        with ThreadPoolExecutor(jobs) as threads:
            yield from threads.map(run, numbers)
    finally:
        for worker in workers:
            worker.stop()


class Worker:
    """A process that audits one pull request at a time, and is replaced when it dies or hangs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.settings), daemon=True)
        self.process.start()
        theirs.close()

    def audit(self, number: int, seconds: float) -> list[FolderReport]:
        """The reports on one pull request; whatever goes wrong becomes a report as well."""
        try:
            self.connection.send(number)
            if self.connection.poll(seconds):
                answer: list[FolderReport] = self.connection.recv()
                return answer
            reason = f"not audited within {seconds:g} s"
        except (EOFError, OSError):
            self.process.join()
            reason = f"the audit process died ({death(self.process.exitcode)})"
        self.stop()
        self._start()
        return [unaudited(number, reason)]

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def serve(connection: Connection, settings: Settings) -> None:
    """The life of a worker: audit the numbers that arrive, until the other end closes."""
    from pgaudit import policy, rulebook
    from pgaudit.audit import audit, crashed
    from pgaudit.collect.clone import GitClone

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    gc.disable()
    book, editions = rulebook.load(settings.rules), policy.load()
    with GitClone(settings.repo) as clone:
        while (number := _receive(connection)) is not None:
            try:
                report = audit(
                    clone.pull_request(number), book, editions, settings.waivers, settings.on, settings.corpus
                )
                answer = list(report.submissions) or [unaudited(number, "no record folder")]
            except PgauditError as error:
                answer = [unaudited(number, str(error))]
            except Exception as error:  # noqa: BLE001 -- one pull request never stops the rest
                answer = [unaudited(number, crashed(error))]
            connection.send(answer)
            gc.collect()


def _receive(connection: Connection) -> int | None:
    try:
        number: int = connection.recv()
    except EOFError:
        return None
    return number


def death(status: int | None) -> str:
    """How a process ended, in words: an exit status, or the signal that killed it."""
    if status is None or status >= 0:
        return f"exit status {status}"
    return f"killed by {signal.Signals(-status).name}"


def unaudited(number: int, reason: str) -> FolderReport:
    """The report on a pull request of which nothing could be audited."""
    return FolderReport(
        pr=number,
        folder=".",
        verdict=Verdict.INCOMPLETE,
        mechanisms=(),
        level=Level.CLAIMED,
        findings=(),
        gaps=(Gap("collect", reason),),
    )
