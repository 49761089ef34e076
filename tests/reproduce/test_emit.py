"""Files for Slurm and SkyPilot: what they say, that a shell runs them, and that what they leave is judged as one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgaudit.sandbox import Backend
from tests.reproduce.support import SEEDS, write_folder
from tests.support import CHECKOUT, Repository, run_pgaudit

RECORDS = "records/track_10min_16mb"
AWKWARD = 'it\'s $HOME & `a` "b" #c'
SKY_FIELDS = {"name", "resources", "envs", "file_mounts", "setup", "run"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Two pull requests, at a path that a shell would love to expand."""
    (tmp_path / AWKWARD).mkdir()
    clone = Repository(tmp_path / AWKWARD / "clone")
    clone.pull_request(4, lambda path: write_folder(path / RECORDS / "2026-04-01_Good"))
    clone.pull_request(
        5, lambda path: write_folder(path / RECORDS / "2026-04-02_Wrong", {42: 1.1, 1337: 1.1, 2024: 1.1})
    )
    return clone.path


def emit(scheduler: str, clone: Path, results: Path, *options: str) -> str:
    done = run_pgaudit(
        "reproduce", "--repo", clone, "--prs", "4,5", "--runs", results, "--emit", scheduler, *options,
        "--set", f"NOTE={AWKWARD}",
    )  # fmt: skip
    assert done.status == 0, done.err
    return done.out


def run_task(script: Path, task: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "SLURM_ARRAY_TASK_ID": str(task)}
    return subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False)


def gathered(clone: Path, results: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    done = run_pgaudit(
        "reproduce", "--repo", clone, "--prs", "4,5", "--runs", results, "--gather", "--format", "json", *options
    )
    return done.status, [json.loads(line) for line in done.out.splitlines()]


def test_tasks_of_a_slurm_array_are_one_run_when_gathered(sandbox: Backend, tmp_path: Path, clone: Path) -> None:
    results, script = tmp_path / AWKWARD / "results", tmp_path / "array.sh"
    script.write_text(emit("slurm", clone, results, "--gpus", "0"))
    assert "#SBATCH --array=0-5\n" in script.read_text()
    for task in (0, 1, 3, 4, 5):
        done = run_task(script, task)
        assert done.returncode == 0, done.stderr
    status, (good, wrong) = gathered(clone, results)
    assert status == 10
    run = good["submissions"][0]["reproduction"]
    assert run["result"] == "incomplete"
    assert run["stopped"] == f"seed 2024 has no result in {results}/pr4-seed2024"
    assert wrong["submissions"][0]["reproduction"]["result"] == "fails"
    assert run_task(script, 2).returncode == 0
    before = (results / "pr4-seed42" / "ledger.sqlite").stat().st_mtime_ns
    assert "started" not in run_task(script, 0).stderr  # what is done is skipped
    assert (results / "pr4-seed42" / "ledger.sqlite").stat().st_mtime_ns == before
    status, (good, _) = gathered(clone, results)
    run = good["submissions"][0]["reproduction"]
    assert run["result"] == "holds"
    assert [seed["seed"] for seed in run["seeds"]] == list(SEEDS)
    assert all("step:3/3" in Path(seed["output"]).read_text() for seed in run["seeds"])
    assert {given["name"]: given["value"] for given in run["plan"]["environment"]}["NOTE"] == AWKWARD
    assert sorted(path.name for path in (results / "pr4-seed42").iterdir()) == [
        "ledger.sqlite",
        "output.log",
        "report.json",
    ]


def test_a_task_that_could_not_run_leaves_no_result(sandbox: Backend, tmp_path: Path, clone: Path) -> None:
    script = tmp_path / "array.sh"
    script.write_text(emit("slurm", clone, tmp_path / "results", "--gpus", "0", "--data", str(tmp_path / "absent")))
    done = run_task(script, 0)
    assert done.returncode == 2
    assert "no fineweb_train" in done.stderr
    status, (good, _) = gathered(clone, tmp_path / "results")
    assert status == 4
    assert "seed 42 has no result" in good["submissions"][0]["gaps"][0]["reason"]


def test_results_of_other_files_or_limits_are_not_mixed(sandbox: Backend, tmp_path: Path) -> None:
    folder, results = write_folder(tmp_path / "submission"), tmp_path / "results"
    for seed, limit in ((42, "100"), (1337, "200")):
        script = tmp_path / "array.sh"
        options = ("--gpus", "0", "--seeds", str(seed), "--train-limit", limit, "--emit", "slurm", "--output", script)
        assert run_pgaudit("reproduce", folder, "--runs", results, *options).status == 0
        assert run_task(script, 0).returncode == 0
    gather = ("reproduce", folder, "--runs", results, "--seeds", "42,1337", "--gather", "--format", "json")
    run = json.loads(run_pgaudit(*gather).out)["submissions"][0]["reproduction"]
    assert [seed["seed"] for seed in run["seeds"]] == [42]
    assert run["stopped"].startswith("seed 1337 was run otherwise")
    write_folder(tmp_path / "submission", step="pass")
    changed = run_pgaudit(*gather)
    assert changed.status == 4
    assert "seed 42 is of other files than the submission has now" in changed.err


@pytest.mark.parametrize("scheduler", ["slurm", "sky"])
def test_the_shell_is_clean(scheduler: str, tmp_path: Path, clone: Path) -> None:
    text = emit(scheduler, clone, tmp_path / AWKWARD, "--image", "a;b", "--launcher", "-m 'x y'")
    task = yaml.safe_load(text) if scheduler == "sky" else {}
    scripts = [f"#!/bin/bash\n{task[part]}" for part in ("setup", "run") if part in task] or [text]
    linter = Path(sys.executable).with_name("shellcheck")
    for script in scripts:
        checked = subprocess.run([linter, "-"], input=script, capture_output=True, text=True, check=False)
        assert checked.stdout == ""


def test_a_slurm_array_asks_for_what_its_seeds_need(tmp_path: Path, clone: Path) -> None:
    text = emit("slurm", clone, tmp_path / "results", "--total-limit", "3600", "--grace", "30")
    assert "#SBATCH --gres=gpu:8\n" in text
    assert "#SBATCH --time=01:16:00\n" in text  # the bound, its grace twice, and a quarter of an hour
    assert "#SBATCH --requeue\n" in text
    assert "#SBATCH --gres=gpu:4\n" in emit("slurm", clone, tmp_path / "results", "--gpus", "4")


def test_a_sky_task_has_the_fields_of_its_reference(tmp_path: Path, clone: Path) -> None:
    task = yaml.safe_load(emit("sky", clone, tmp_path / "results"))
    assert set(task) == SKY_FIELDS
    assert task["resources"] == {"accelerators": "H100:8", "disk_size": 256}
    assert task["envs"] == {"PGAUDIT_TASK": "0"}
    bucket = task["file_mounts"].pop("/pgaudit-results")
    assert set(bucket) == {"name", "mode"}
    assert bucket["mode"] == "MOUNT"
    assert task["file_mounts"] == {str(clone): str(clone)}


def test_what_cannot_be_written_is_refused(tmp_path: Path, clone: Path) -> None:
    asked = ("reproduce", "--repo", clone, "--emit", "slurm", "--prs")
    broken = run_pgaudit(*asked, "4", "--runs", tmp_path / "a\nrm -rf b")
    assert (broken.status, broken.out) == (2, "")
    assert r"holds '\n'" in broken.err
    none = run_pgaudit(*asked, "9")
    assert none.status == 3
    assert "pr9: left out" in none.err
    assert run_pgaudit("reproduce", "--tiny", "--emit", "sky").status == 2
