"""Small submissions without torch that print what scripts of the challenge print, and the command that re-runs them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import run_pgaudit

SEEDS = (42, 1337, 2024)
SCORES = {42: 1.2004, 1337: 1.1997, 2024: 1.2001}
NATS_PER_BPB = 1.7
MARKER = "REPRODUCE_TEST_MARKER"

SCRIPT = f"""\
import os, random, sys, time

SEED = int(os.environ["SEED"])
BPB = {SCORES}[SEED]
STEPS, PACE, BYTES, CLOCK = 3, 0.02, 20_000, 1.0
# begin
began = time.perf_counter()
for step in range(1, STEPS + 1):
    time.sleep(PACE)
    # step
    spent = (time.perf_counter() - began) * CLOCK * 1000
    print(f"step:{{step}}/{{STEPS}} train_loss:2.5 train_time:{{spent:.0f}}ms step_avg:{{spent / step:.2f}}ms", flush=True)
# trained
with open("final_model.int8.ptz", "wb") as file:
    file.write(random.Random(SEED).randbytes(BYTES))
print(f"Serialized model int8+zlib: {{BYTES}} bytes")
code = os.path.getsize(__file__)
print(f"Code size: {{code}} bytes")
print(f"Total submission size int8+zlib: {{BYTES + code}} bytes")
print(f"final_int8_zlib_roundtrip val_loss:{{BPB * {NATS_PER_BPB}:.6f}} val_bpb:{{BPB:.6f}} eval_time:10ms", flush=True)
# end
"""


def write_folder(folder: Path, claimed: dict[int, float] | None = None, **replaced: str) -> Path:
    """A submission; each keyword is code that takes the place of the comment of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    script = SCRIPT
    for name, code in replaced.items():
        lines = script.splitlines(keepends=True)
        (at,) = [index for index, line in enumerate(lines) if line.strip() == f"# {name}"]
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at] = "".join(f"{indent}{line}\n" for line in code.splitlines())
        script = "".join(lines)
    (folder / "train_gpt.py").write_text(script)
    scores = claimed or SCORES
    claims = {
        "author": "ada",
        "val_bpb": sum(scores.values()) / len(scores),
        "bytes_total": 21_500,
        "seed_results": {str(seed): {"val_bpb": score} for seed, score in scores.items()},
    }
    (folder / "submission.json").write_text(json.dumps(claims, indent=2))
    (folder / "README.md").write_text("# Small\n\n```bash\nSEED=42 torchrun --nproc_per_node=8 train_gpt.py\n```\n")
    return folder


LOSSES = """\
import math, os, time
SEED, STEPS = int(os.environ["SEED"]), 60
def loss(step):
    return 2.1 + 3.5 * math.exp(-step / 12) + 0.03 * math.sin(7 * step + SEED)
"""
"""A curve with the noise of batches, which is the same whenever a seed is run."""


def write_folder_with_curves(folder: Path, *, apart_from: int = 10**9, gap: float = 0.15) -> Path:
    """A submission that prints a loss by step, and ships a log of each seed that lies lower from a step on."""
    write_folder(folder, begin="STEPS, PACE = 60, 0.002")
    script = (folder / "train_gpt.py").read_text()
    script = script.replace("train_loss:2.5", "train_loss:{loss(step):.4f}").replace("# trained", SCORED)
    (folder / "train_gpt.py").write_text(LOSSES + script)
    for seed in SEEDS:
        (folder / f"train_seed{seed}.log").write_text(_log(seed, apart_from, gap))
    return folder


SCORED = 'print(f"step:{STEPS}/{STEPS} val_loss:{loss(STEPS):.4f} val_bpb:{loss(STEPS) / 1.7:.4f}", flush=True)'


def _log(seed: int, apart_from: int, gap: float) -> str:
    space: dict[str, Any] = {"__name__": "losses"}
    source = LOSSES.replace('int(os.environ["SEED"])', str(seed))
    exec(source, space)
    steps = range(1, 61)
    losses = {step: space["loss"](step) - (gap if step >= apart_from else 0) for step in steps}
    lines = [f"seed:{seed}", *(f"step:{s}/60 train_loss:{losses[s]:.4f} train_time:{2 * s}ms" for s in steps)]
    lines.append(f"step:60/60 val_loss:{losses[60]:.4f} val_bpb:{losses[60] / 1.7:.4f}")
    score = SCORES[seed]
    lines.append(f"final_int8_zlib_roundtrip val_loss:{score * NATS_PER_BPB:.6f} val_bpb:{score:.6f} eval_time:10ms")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Done:
    """What a re-run came to."""

    status: int
    run: dict[str, Any]
    folder: dict[str, Any]
    err: str
    running: list[str]
    """Processes of the run that are still there."""

    def check(self, name: str) -> dict[str, Any]:
        """One check by name."""
        (found,) = [check for check in self.run["checks"] if check["name"] == name]
        return dict(found)

    @property
    def statuses(self) -> dict[str, str]:
        """The status of every check."""
        return {check["name"]: check["status"] for check in self.run["checks"]}

    def output(self, seed: int = 42) -> str:
        """What a seed printed."""
        (path,) = [each["output"] for each in self.run["seeds"] if each["seed"] == seed]
        return Path(path).read_text(errors="replace")


def reproduce(folder: Path, runs: Path, *options: str, seeds: str = "42") -> Done:
    """Re-run a folder, and look for what is left of it."""
    marker = uuid.uuid4().hex
    done = run_pgaudit(
        "reproduce", folder, "--runs", runs, "--seeds", seeds, "--format", "json", "--gpus", "0", "--grace", "0.3",
        "--set", f"{MARKER}={marker}", *options,
    )  # fmt: skip
    assert done.out, done.err
    submission = json.loads(done.out)["submissions"][0]
    return Done(done.status, submission["reproduction"], submission, done.err, list(still_running(marker)))


def still_running(marker: str) -> Iterator[str]:
    """Processes that have the marker in their environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    yield (entry / "cmdline").read_text()
            except OSError:
                continue


def commands() -> Iterator[str]:
    """The command lines of all processes."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_text(errors="replace")
        except OSError:
            continue


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
