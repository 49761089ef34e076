"""What supervision costs: the same tiny run bare, and in the sandbox under the supervisor, in turns.

    python -m tests.reproduce.overhead [PAIRS]

Prints the wall-clock ratio of each pair and their median with its 95 % bootstrap interval, the processor time of the supervising
process as a share of the run, and its peak memory. The machine should do nothing else.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from pgaudit import policy
from pgaudit.collect import collect
from pgaudit.evidence.evidence import Evidence
from pgaudit.reproduce import interpreter, reference
from pgaudit.reproduce.data import inspect
from pgaudit.reproduce.hardware import Hardware
from pgaudit.reproduce.plan import Plan, Wishes, make
from pgaudit.reproduce.runner import Observer, copy_files, run_seed
from pgaudit.sandbox import Backend, Box, find
from pgaudit.sandbox.bare import Bare

SEED = 42
RESAMPLES = 2000


def main(pairs: int) -> None:
    """Measure, and print as it goes."""
    backend = find()
    with tempfile.TemporaryDirectory(prefix="pgaudit-overhead-") as scratch:
        folder = Path(scratch, "tiny")
        reference.write("baseline", folder, (SEED,), tiny=True)
        evidence = Evidence(collect(str(folder)).submissions[0], policy.load().edition_at(None))
        asked = interpreter.ask(None, evidence.submission, evidence.main.body.text if evidence.main else "")
        plan = make(evidence, asked, Hardware(), inspect(*reference.tiny_data(folder, "baseline")), Wishes((SEED,)))
        ratios, shares = [], []
        for number in range(pairs):
            runs = [bare, supervised] if number % 2 else [supervised, bare]
            seconds = {run: run(plan, evidence, backend, Path(scratch, str(number))) for run in runs}
            wall, own = seconds[supervised]
            ratios.append(wall / seconds[bare][0])
            shares.append(own / wall)
            print(f"bare {seconds[bare][0]:.2f} s, supervised {wall:.2f} s, ratio {ratios[-1]:.4f}", flush=True)
    low, high = interval(ratios)
    print(f"wall-clock ratio: median {median(ratios):.4f}, 95 % interval {low:.4f} to {high:.4f}, {pairs} pairs")
    print(f"supervisor: {median(shares):.2%} of one core, {peak_mib():.0f} MiB")


def supervised(plan: Plan, evidence: Evidence, backend: Backend, folder: Path) -> tuple[float, float]:
    """Seconds of a run as ``reproduce`` makes it, and processor seconds of this process in it."""
    before, began = time.process_time(), time.perf_counter()
    result = run_seed(plan, SEED, evidence, backend, folder / "supervised", Observer())
    assert result.finished, result.explanation
    return time.perf_counter() - began, time.process_time() - before


def bare(plan: Plan, evidence: Evidence, _backend: Backend, folder: Path) -> tuple[float, float]:
    """Seconds of the same command as a person would start it."""
    work, temporary = folder / "bare", folder / "tmp"
    work.mkdir(parents=True)
    temporary.mkdir()
    copy_files(evidence.submission, work)
    assert plan.data
    box = Box(plan.command(SEED), work, temporary, plan.variables(SEED), plan.data.mounts)
    Bare().prepare(box)
    # The limits of a sandbox are part of what is measured, so that a bare run has none.
    environment = {name: value.replace("/submission", str(work)) for name, value in box.environment.items()}
    began = time.perf_counter()
    with (work / "output.log").open("wb") as log:
        subprocess.run(box.command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
    return time.perf_counter() - began, 0.0


def interval(ratios: list[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return medians[round(0.025 * RESAMPLES)], medians[round(0.975 * RESAMPLES) - 1]


def peak_mib() -> float:
    """The largest resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
