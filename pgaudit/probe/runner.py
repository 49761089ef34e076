"""Runs texts through a submission's evaluation in the sandbox, and reads what was recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pgaudit
from pgaudit.evidence.evidence import Evidence
from pgaudit.probe import text as texts
from pgaudit.probe.experiment import PLAIN
from pgaudit.probe.reading import read
from pgaudit.probe.record import RunRecord
from pgaudit.probe.rewrite import rewrite
from pgaudit.probe.text import Text, Tokens
from pgaudit.reproduce.interpreter import Interpreter
from pgaudit.reproduce.runner import copy_files
from pgaudit.reproduce.supervise import Bounds, supervise
from pgaudit.reproduce.weigh import bytes_written
from pgaudit.sandbox import Backend, Box, Limits, Mount
from pgaudit.sandbox.box import PATH, TEMPORARY, WORK

CODE = "/pgaudit-probe"
GIB = 2**30
PROCESSES, DISK_BYTES = 256, 8 * GIB
"""Of all runs that go on together."""


@dataclass(frozen=True)
class Settings:
    """How a submission is run."""

    environment: Mapping[str, str]
    seconds: float = 90.0
    """Of one run."""
    jobs: int = 2


def run(
    evidence: Evidence,
    text: Text,
    variants: Mapping[str, Tokens],
    settings: Settings,
    backend: Backend,
    interpreter: Interpreter,
    folder: Path,
) -> dict[str, RunRecord]:
    """One record per variant of the validation text."""
    assert evidence.main is not None
    work, temporary = folder / "work", folder / "tmp"
    for made in (work, temporary):
        made.mkdir(parents=True)
        made.chmod(0o755)
    seen, plain = (rewrite(evidence.main.body.text, sums=sums) for sums in (True, False))
    variables: dict[str, str] = {}
    for name, validation in variants.items():
        own = work / name
        own.mkdir()
        copy_files(evidence.submission, own)
        (own / "train_gpt.py").write_text(plain if name == PLAIN else seen, "utf-8")
        variables = texts.write(text, validation, own)
    plan = {
        "runs": list(variants),
        "jobs": settings.jobs,
        "seconds": settings.seconds,
        "script": "train_gpt.py",
        "environment": {**settings.environment, **variables, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
        "kept": [],
    }
    (work / "plan.json").write_text(json.dumps(plan), "utf-8")
    package = Path(pgaudit.__file__).parent
    box = Box(
        (str(interpreter.path), "-m", "pgaudit.probe.inside", "plan.json"),
        work.absolute(),
        temporary.absolute(),
        {
            "PATH": f"{interpreter.path.parent}:{PATH}",
            "HOME": WORK,
            "PYTHONPATH": CODE,
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
            "TMPDIR": TEMPORARY,
        },
        (*interpreter.mounts, Mount(package, f"{CODE}/pgaudit")),
        Limits(memory_bytes=16 * GIB, processes=PROCESSES),
    )
    backend.prepare(box)
    total = settings.seconds * (1 + len(variants) / settings.jobs) + 60
    supervise(
        backend.command(box),
        {"PATH": os.environ.get("PATH", os.defpath)},
        folder / "output.log",
        Bounds(total, total, total, total, total, grace=5, processes=PROCESSES, disk_bytes=DISK_BYTES),
        lambda: bytes_written(work, temporary),
    )
    return {name: read(work / name, name) for name in variants}
