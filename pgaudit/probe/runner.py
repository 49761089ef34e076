"""Runs texts through a submission's evaluation in the sandbox, and reads what was recorded."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import pgaudit
from pgaudit.evidence.evidence import Evidence
from pgaudit.probe import text as texts
from pgaudit.probe.experiment import PLAIN
from pgaudit.probe.record import RunRecord, Site
from pgaudit.probe.rewrite import rewrite
from pgaudit.probe.text import Text, Tokens
from pgaudit.reproduce.interpreter import Interpreter
from pgaudit.reproduce.runner import copy_files
from pgaudit.reproduce.supervise import Bounds, supervise
from pgaudit.sandbox import Backend, Box, Limits, Mount
from pgaudit.sandbox.box import PATH, TEMPORARY, WORK

CODE = "/pgaudit-probe"
GIB = 2**30


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
        Limits(memory_bytes=16 * GIB, processes=256),
    )
    backend.prepare(box)
    total = settings.seconds * (1 + len(variants) / settings.jobs) + 60
    supervise(
        backend.command(box),
        {"PATH": os.environ.get("PATH", os.defpath)},
        folder / "output.log",
        Bounds(start=total, training=total, evaluation=total, silence=total, total=total, grace=5, processes=256),
    )
    return {name: read(work / name, name) for name in variants}


def read(folder: Path, name: str) -> RunRecord:
    """The record of one run; one that wrote none was ended by its limit or took itself down."""
    path = folder / "record.npz"
    if not path.is_file():
        return RunRecord(
            name, "no record: it took too long or ended itself", (), (), (), np.zeros(1, np.int64), np.zeros(0)
        )
    with np.load(path, allow_pickle=False) as found:
        document = ast.literal_eval(str(found["document"]))
        return RunRecord(
            name,
            document["ending"],
            tuple(map(tuple, document["printed"])),
            tuple(Site(*site) for site in document["sites"]),
            tuple(found["calls"].tolist()),
            found["offsets"],
            found["values"],
            tuple(document["changes"]),
            tuple(document["substituted"]),
            document["seconds"],
        )
