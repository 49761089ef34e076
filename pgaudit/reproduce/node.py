"""What happens on a node of a cluster: its plans are made and its seeds are run by the functions of the local command.

Nothing here knows the scheduler. What goes in and comes out are plain values that cross to another machine.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pgaudit
from pgaudit.errors import PgauditError
from pgaudit.evidence.evidence import Evidence
from pgaudit.policy import Edition
from pgaudit.reproduce.jobs import offers
from pgaudit.reproduce.machine import Offer, Wants, handed
from pgaudit.reproduce.runner import Observer, run_seed
from pgaudit.sandbox import SandboxUnavailable
from pgaudit.submission import File, Submission, UnreadableFile

MOST_OUTPUT = 64 * 2**20
"""Bytes of a run's output that come back; all of it stays on the node."""


@dataclass(frozen=True)
class Parcel:
    """A submission on its way to a node."""

    submission: Submission
    edition: Edition

    @property
    def evidence(self) -> Evidence:
        """What is read of it there."""
        return Evidence(self.submission, self.edition)


@dataclass(frozen=True)
class Survey:
    """What a node says before anything is run."""

    host: str
    version: str
    problem: str
    """Why nothing can be run there; empty if something can."""
    offers: tuple[Offer | PgauditError, ...] = ()


@dataclass(frozen=True)
class Begun:
    """A seed begins."""

    host: str


@dataclass(frozen=True)
class Unfit:
    """The node, not the submission, kept a seed from being run."""

    host: str
    why: str


@dataclass(frozen=True)
class Finished:
    """What a seed came to."""

    host: str
    document: dict[str, Any]
    output: bytes
    """Compressed by zlib."""


Said = Begun | Unfit | Finished


def parcel(evidence: Evidence) -> Parcel:
    """The submission with its files in memory, for its source (a clone, a folder) stays behind."""
    found = evidence.submission
    files = {path: _in_memory(file) for path, file in found.files.items()}
    return Parcel(Submission(found.folder, files, found.origin), evidence.edition)


def survey(wants: Wants, gpus: int, folder: Path, *parcels: Parcel) -> Survey:
    """Look at the node: GPUs, data, interpreter, sandbox, and whether runs can be kept in ``folder``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        machine = handed(wants, gpus, None)
    except (OSError, PgauditError) as problem:
        return Survey(socket.gethostname(), pgaudit.__version__, str(problem))
    if isinstance(machine.sandbox, SandboxUnavailable):
        return Survey(socket.gethostname(), pgaudit.__version__, str(machine.sandbox))
    found = offers(machine, [each.evidence for each in parcels], wants)
    return Survey(socket.gethostname(), pgaudit.__version__, "", tuple(found))


def run(
    sent: Parcel, wants: Wants, gpus: int, indices: Sequence[int] | None, digest: str, seed: int, folder: Path
) -> Iterator[Said]:
    """Run one seed: ``Begun`` and ``Finished``, or ``Unfit`` where the plan on this node is not that of ``digest``."""
    host, evidence = socket.gethostname(), sent.evidence
    try:
        machine = handed(wants, gpus, indices)
        offer = machine.offer(evidence, wants)
        if offer.problem or isinstance(machine.sandbox, SandboxUnavailable):
            yield Unfit(host, str(offer.problem))
            return
        if offer.plan.digest != digest:
            yield Unfit(host, "hardware, interpreter or data differ from those that the run was planned for")
            return
        yield Begun(host)
        result = run_seed(offer.plan, seed, evidence, machine.sandbox, folder, Observer())
    except PgauditError as problem:
        yield Unfit(host, str(problem))
    else:
        yield Finished(host, result.document(), _output(Path(result.output), host))


def _in_memory(file: File) -> File:
    try:
        content = file.data
    except UnreadableFile as problem:
        return File(file.path, file.size, bytes, problem.reason, file.changed)
    return File(file.path, file.size, partial(bytes, content), "", file.changed)


def _output(path: Path, host: str) -> bytes:
    with path.open("rb") as stream:
        text = stream.read(MOST_OUTPUT)
        if len(text) < os.fstat(stream.fileno()).st_size:
            text += f"\n[cut here; all of it is on {host}: {path}]\n".encode()
    return zlib.compress(text)
