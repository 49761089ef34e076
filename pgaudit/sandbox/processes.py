"""The processes that a run has started, by ``/proc``: how many, how much memory, and how to end every one of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")
ROUNDS = 200
PAUSE = 0.02
SANDBOX = frozenset({"bwrap"})
"""Names of the processes that enclose a run and belong to it no more than pgaudit does."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as ``/proc`` shows it."""

    pid: int
    parent: int
    name: str
    threads: int
    resident_bytes: int
    zombie: bool


def adopt_orphans() -> None:
    """Become the parent of whatever a run leaves behind, so that it can be found and ended. Linux only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(root: int) -> list[Process]:
    """A process and all its descendants."""
    children: dict[int, list[Process]] = {}
    own: list[Process] = []
    for process in _all():
        children.setdefault(process.parent, []).append(process)
        own += [process] if process.pid == root else []
    found, pending = own, [root]
    while pending:
        more = children.get(pending.pop(), [])
        found += more
        pending += [process.pid for process in more]
    return found


def ask_to_end(root: int) -> None:
    """TERM for every descendant. The sandbox itself is left out: it would take the run with it before that can tidy up."""
    for process in below(root):
        if process.name not in SANDBOX and not process.zombie:
            _signal(process, signal.SIGTERM)


def end(group: int, left_by: frozenset[int]) -> int:
    """KILL for a process group, for what descends from it and for orphans of this process that are not ``left_by`` others.

    Returns how many processes were still there when it began. A sandbox that is on its way out is none of them: what is
    inside it can become no child of this process.
    """
    first: int | None = None
    for _ in range(ROUNDS):
        alive = [p for p in below(group) if not p.zombie]
        orphans = [p for p in _all() if p.parent == os.getpid() and p.pid != group and p.pid not in left_by]
        for orphan in orphans:
            alive += [p for p in below(orphan.pid) if not p.zombie]
        if first is None:  # before anything is killed here
            sandbox = [p for p in alive if p.name in SANDBOX and p.parent in (group, os.getpid())]
            first = len(alive) - len(sandbox)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for process in alive:
            _signal(process, signal.SIGKILL)
        for orphan in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan.pid, os.WNOHANG)
        if not alive and not orphans:
            break
        time.sleep(PAUSE)
    return first or 0


def children() -> frozenset[int]:
    """The children of this process."""
    return frozenset(process.pid for process in _all() if process.parent == os.getpid())


def count() -> int:
    """Processes and threads on this machine, as far as they are seen from here."""
    return sum(process.threads for process in _all())


def _signal(process: Process, number: signal.Signals) -> None:
    """Signal the process that was seen, not one that got its number since."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        again = _read(process.pid)
        if again is not None and again.parent in (process.parent, os.getpid(), 1):
            signal.pidfd_send_signal(handle, number)
    except OSError:
        pass
    finally:
        os.close(handle)


def _all() -> Iterator[Process]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 -- names only, many times a second
        if entry.isdecimal() and (process := _read(int(entry))):
            yield process


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), name, int(fields[17]), int(fields[21]) * PAGE, fields[0] == "Z")
