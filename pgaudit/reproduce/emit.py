"""Files for those who have Slurm or SkyPilot: one task per submission and seed. Nothing is run here.

Each task works on a disk of its own node, for SQLite is not safe on shared file systems, and copies its ledger and output to
the folder of results, the report last. ``gathering`` reads them there.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pgaudit
from pgaudit.errors import TargetError
from pgaudit.reproduce.hardware import Gpu, Hardware
from pgaudit.reproduce.jobs import Job
from pgaudit.reproduce.machine import Wants
from pgaudit.reproduce.plan import bounds

SLACK = 900.0
"""Seconds beside a run's own bounds: finding interpreter and data, hashing the validation split, copying results."""
REFERENCE = Gpu(0, "NVIDIA H100 80GB HBM3", 0, 81_559, 1_980)
LITERAL = "# shellcheck disable=SC2016"
"""A dollar in a quoted path is meant as it stands."""
RESULTS = "/pgaudit-results"
"""Where a SkyPilot task finds its bucket."""


@dataclass(frozen=True)
class Batch:
    """Seeds of submissions, as tasks of a scheduler."""

    jobs: Sequence[Job]
    source: tuple[str, ...]
    """How pgaudit finds the submission: words of its command line, without ``--pr``."""
    many: bool
    """Each job is a pull request of its own."""
    wants: Wants
    gpus: int
    edition: str | None
    runs: Path

    @property
    def tasks(self) -> list[tuple[str, int]]:
        """Name of the job and seed."""
        return [(job.name, seed) for job in self.jobs for seed in self.wants.wishes.seeds]

    @property
    def seconds(self) -> int:
        """What the longest task may take. On other than the reference hardware a plan allows more, and says so here."""
        hardware = Hardware((REFERENCE,) * self.gpus)
        found = [bounds(job.evidence, hardware, self.wants.wishes) for job in self.jobs]
        return int(max(each.total + 2 * each.grace for each in found) + SLACK)


def slurm(batch: Batch) -> str:
    """A script for ``sbatch``: an array with a task for each submission and seed. Raises ``TargetError``."""
    hours, minutes = divmod(-(-batch.seconds // 60), 60)
    gpus = [f"#SBATCH --gres=gpu:{batch.gpus}"] if batch.gpus else []
    python = shlex.quote(sys.executable)
    lines = [
        "#!/usr/bin/env bash",
        f"# Written by pgaudit {pgaudit.__version__}: {len(batch.tasks)} seeds, each on a node of its own. `sbatch` this file,",
        "# again if some are missing (what is done is skipped), and then report with:",
        f"#   {shlex.join(_gather(batch, batch.runs))}",
        "#SBATCH --job-name=pgaudit",
        f"#SBATCH --array=0-{len(batch.tasks) - 1}",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        *gpus,
        f"#SBATCH --time={hours:02}:{minutes:02}:00",
        "#SBATCH --requeue",
        LITERAL,
        "set -euo pipefail",
        'task=${SLURM_ARRAY_TASK_ID:?"start it with sbatch"}',
        *_body(batch, python, shlex.quote(str(batch.runs.absolute()))),
    ]
    return _checked(lines)


def sky(batch: Batch) -> str:
    """A SkyPilot task that runs the seed with the number ``PGAUDIT_TASK``. Raises ``TargetError``.

    Fields are those of SkyPilot's YAML reference; scalars are written as JSON, which YAML includes.
    """
    last = len(batch.tasks) - 1
    body = list(_body(batch, "~/pgaudit/bin/python", RESULTS))
    paths = [Path(word) for word in batch.source if word.startswith("/")]
    paths += [path for path in (batch.wants.data, batch.wants.tokenizer) if path]
    bucket = f"pgaudit-{hashlib.sha256(''.join(body).encode()).hexdigest()[:12]}"
    lines = [
        f"# Written by pgaudit {pgaudit.__version__}: {last + 1} seeds, each a managed job. Start them with",
        f"#   for task in $(seq 0 {last}); do sky jobs launch --yes --detach-run --env PGAUDIT_TASK=$task THIS_FILE; done",
        f"# copy the bucket {bucket} to a folder RESULTS, and report with",
        f"#   {shlex.join(_gather(batch, Path('RESULTS')))}",
        "name: pgaudit",
        "resources:",
        *([f"  accelerators: {json.dumps(f'H100:{batch.gpus}')}"] if batch.gpus else []),
        "  disk_size: 256",
        "envs:",
        '  PGAUDIT_TASK: "0"',
        "file_mounts:",
        *(f"  {json.dumps(str(path))}: {json.dumps(str(path))}" for path in paths if path.exists()),
        f"  {RESULTS}:",
        f"    name: {bucket}",
        "    mode: MOUNT",
        "setup: |",
        "  set -e",
        "  command -v bwrap || { sudo apt-get update && sudo apt-get install --yes bubblewrap; }",
        "  python3 -m venv ~/pgaudit",
        f"  ~/pgaudit/bin/pip install {shlex.quote(f'pgaudit[reproduce]=={pgaudit.__version__}')}",
        "run: |",
        *(f"  {line}" for line in (LITERAL, "set -euo pipefail", "task=$PGAUDIT_TASK", *body)),
    ]
    return _checked(lines)


def _body(batch: Batch, python: str, results: str) -> Iterator[str]:
    """Bash that runs the seed number ``$task``. A report means that the seed is done, whatever it says."""
    names, seeds = zip(*batch.tasks, strict=True)
    command = [python, "-m", "pgaudit", "reproduce", *map(shlex.quote, batch.source)]
    command += ["--pr", '"${jobs[task]#pr}"'] if batch.many else []
    command += ["--seeds", '"${seeds[task]}"', *map(shlex.quote, _options(batch)), "--runs", '"$work/runs"']
    command += ["--format", "json", "--output", '"$work/report.json"']
    yield f"jobs=({' '.join(names)})"
    yield f"seeds=({' '.join(map(str, seeds))})"
    yield f"results={results}"
    yield "part=$results/${jobs[task]}-seed${seeds[task]}"
    yield 'if [ -s "$part/report.json" ]; then exit 0; fi'
    yield 'work=$(mktemp -d "${TMPDIR:-/tmp}/pgaudit.XXXXXXXX")'
    yield "trap 'rm -rf \"$work\"' EXIT"
    yield "status=0"
    yield f"{' '.join(command)} || status=$?"
    yield 'if [ ! -s "$work/report.json" ]; then exit "$status"; fi'
    yield 'mkdir -p "$part"'
    yield 'cp "$work/runs/ledger.sqlite" "$work/runs/run1/seed${seeds[task]}/output.log" "$part"'
    yield 'cp "$work/report.json" "$part"'


def _options(batch: Batch) -> Iterator[str]:
    """The options that make a task plan as the caller wishes."""
    wants, wishes = batch.wants, batch.wants.wishes
    values = {
        "--python": wants.python,
        "--data": wants.data,
        "--tokenizer": wants.tokenizer,
        "--gpus": batch.gpus,
        "--launcher": None if wishes.launcher is None else shlex.join(wishes.launcher),
        "--train-limit": wishes.training,
        "--eval-limit": wishes.evaluation,
        "--silence-limit": wishes.silence,
        "--total-limit": wishes.total,
        "--grace": wishes.grace,
        "--max-processes": wishes.processes,
        "--image": wants.image,
        "--edition": batch.edition,
    }
    yield from (f"{name}={value}" for name, value in values.items() if value is not None)
    yield from (f"--set={name}={value}" for name, value in sorted(wishes.settings.items()))
    yield from ["--no-sandbox-i-accept-the-risk"] if wants.bare else []
    yield from ["--ignore-requirements"] if wants.ignore_missing else []


def _gather(batch: Batch, runs: Path) -> list[str]:
    numbers = ",".join(job.name.removeprefix("pr") for job in batch.jobs)
    words = ["pgaudit", "reproduce", *batch.source, *(["--prs", numbers] if batch.many else [])]
    seeds = ",".join(map(str, batch.wants.wishes.seeds))
    words += ["--seeds", seeds, *([f"--edition={batch.edition}"] if batch.edition else [])]
    return [*words, "--gather", "--runs", str(runs.absolute() if runs == batch.runs else runs)]


def _checked(lines: Sequence[str]) -> str:
    """The lines as a file. A line break or escape in a path would end a comment or a field."""
    for line in lines:
        if odd := next((c for c in line if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")), None):
            raise TargetError(f"a path or value holds {odd!r}, which cannot be written into a file of this kind")
    return "".join(f"{line}\n" for line in lines)
