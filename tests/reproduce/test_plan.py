"""What would be run: command, environment, data, GPUs. Nothing is run here."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from pgaudit.errors import TargetError
from pgaudit.reproduce import data, hardware, machine
from pgaudit.reproduce.hardware import Hardware
from pgaudit.reproduce.interpreter import ask
from pgaudit.reproduce.plan import Plan, Wishes, what_is_missing
from pgaudit.reproduce.weigh import bytes_written, inventory, weigh
from pgaudit.sandbox.box import WORK
from tests.reproduce.support import write_folder
from tests.reproduce.test_outcome import CPU, H100, collected, evidence_of, plan_of
from tests.support import run_pgaudit, submission

README = """# A run

```bash
export MATRIX_LR=0.03
LD_PRELOAD=/evil.so DATA_PATH=$SOMEWHERE SEED=42 NUM_LAYERS=11 torchrun --nproc_per_node=8 train_gpt.py --seed 42 --fast
```
"""


def test_the_command_comes_from_the_readme() -> None:
    plan = plan_of(evidence_of(collected(readme=README)), H100)
    assert plan.command(7)[1:] == (
        *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=8"),
        *("train_gpt.py", "--seed", "7", "--fast"),
    )
    assert plan.command_source.startswith("README.md:5")
    variables = plan.variables(7)
    assert variables["MATRIX_LR"] == "0.03"
    assert variables["NUM_LAYERS"] == "11"
    assert variables["SEED"] == "7"
    assert variables["CUDA_VISIBLE_DEVICES"] == "0,1,2,3,4,5,6,7"
    assert "LD_PRELOAD" not in variables
    assert "DATA_PATH" not in variables  # only a shell knows its value
    assert len(plan.remarks) == 2


def test_without_gpus_one_process_is_started() -> None:
    assert plan_of(evidence_of(collected(readme=README)), CPU).command(1)[1] == "train_gpt.py"


def test_limits_follow_the_policy_and_the_hardware() -> None:
    evidence = evidence_of(collected())
    assert plan_of(evidence, H100).bounds.training == 600
    assert plan_of(evidence, CPU).bounds.training == 9600
    assert plan_of(evidence, CPU, training=5.0).bounds.training == 5


def test_a_plan_outlives_its_process(tmp_path: Path) -> None:
    write_shard(tmp_path / "fineweb_train_000000.bin", 10)
    write_shard(tmp_path / "fineweb_val_000000.bin", 7)
    plan = replace(plan_of(evidence_of(collected(readme=README)), H100), data=data.inspect(tmp_path, None))
    again = Plan.read(json.loads(json.dumps(plan.document())))
    assert (again, again.digest, again.command(7)) == (plan, plan.digest, plan.command(7))
    of_another_version = plan.document()
    del of_another_version["bounds"]["silence"]
    with pytest.raises(KeyError):
        Plan.read(of_another_version)


def test_a_plan_does_not_depend_on_which_gpus_are_free() -> None:
    plan = plan_of(evidence_of(collected()), H100)
    other = tuple(replace(gpu, index=gpu.index + 8, used_mib=700) for gpu in H100.gpus)
    assert replace(plan, hardware=Hardware(other)).digest == plan.digest
    assert replace(plan, hardware=Hardware(other[:4])).digest != plan.digest


def test_a_plan_is_the_same_for_other_seeds_only() -> None:
    evidence = evidence_of(collected())
    plan = plan_of(evidence, CPU)
    assert plan.digest == plan_of(evidence_of(collected()), CPU).digest
    assert plan.digest != plan_of(evidence, H100).digest
    assert plan.digest != plan_of(evidence_of(collected({})), CPU).digest


def test_what_is_missing_is_said_before_anything_runs() -> None:
    script = "import json\nimport torch_of_tomorrow.nn\ntry:\n    import maybe\nexcept ImportError:\n    pass\n"
    found = submission(script, {"requirements.txt": b"no-such-package>=1 # soon\n--find-links x\n", "helper.py": b""})
    interpreter = ask(None, found.submissions[0], f"{script}import helper\n")
    assert interpreter.missing == ("no-such-package", "module torch_of_tomorrow")
    plan = plan_of(evidence_of(collected()), CPU)
    object.__setattr__(plan, "interpreter", interpreter)
    problem = what_is_missing(plan)
    assert problem is not None
    assert "lacks what the submission needs: no-such-package" in str(problem)


def test_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="is no Python"):
        ask(tmp_path / "python", submission("").submissions[0], "")


def write_shard(path: Path, tokens: int, length: int | None = None) -> None:
    path.write_bytes(struct.pack("<3i", 20240520, 1, tokens).ljust(1024, b"\0") + bytes(2 * (length or tokens)))


def test_data_are_counted_and_hashed(tmp_path: Path) -> None:
    for name, tokens in (
        ("fineweb_train_000000.bin", 10),
        ("fineweb_train_000001.bin", 5),
        ("fineweb_val_000000.bin", 7),
    ):
        write_shard(tmp_path / name, tokens)
    found = data.inspect(tmp_path, None)
    assert (found.train_shards, found.train_tokens, found.val_tokens) == (2, 15, 7)
    assert len(found.val_sha256) == 64
    assert found.mounts[0].target == f"{WORK}/data/datasets/{tmp_path.name}"


def test_data_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no fineweb_train"):
        data.inspect(tmp_path, None)
    write_shard(tmp_path / "fineweb_train_000000.bin", 10)
    with pytest.raises(TargetError, match="no fineweb_val"):
        data.inspect(tmp_path, None)
    write_shard(tmp_path / "fineweb_val_000000.bin", 10, 9)
    with pytest.raises(TargetError, match="cut off or damaged"):
        data.inspect(tmp_path, None)
    (tmp_path / "fineweb_val_000000.bin").write_bytes(b"\0" * 2000)
    with pytest.raises(TargetError, match="does not begin with"):
        data.inspect(tmp_path, None)
    with pytest.raises(TargetError, match="no such tokenizer"):
        data.inspect(tmp_path, tmp_path / "tokenizer.model")


def test_a_scheduler_hands_out_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "".join(f"{at}, NVIDIA H100 80GB HBM3, {60000 * (at == 3)}, 81559, 1980\n" for at in range(4))
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{table}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wants = machine.Wants(Wishes((42,)), bare=True)

    def indices(found: machine.Machine) -> list[int]:
        return [gpu.index for gpu in found.hardware.gpus]

    assert indices(machine.handed(wants, 4, None)) == [0, 1, 2, 3]  # before any is taken, one in use is no obstacle
    assert indices(machine.handed(wants, 2, [1, 2])) == [1, 2]
    assert indices(machine.handed(wants, 0, [])) == []
    with pytest.raises(TargetError, match="in use by others: 3"):
        machine.handed(wants, 2, [2, 3])
    with pytest.raises(TargetError, match="4 GPUs where the scheduler counts 8"):
        machine.handed(wants, 8, None)


def test_gpus_in_use_by_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "0, NVIDIA H100 80GB HBM3, 4, 81559, 1980\n1, NVIDIA H100 80GB HBM3, 60000, 81559, 1980\nnonsense"
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{table}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found, remark = hardware.find(None)
    assert found.name == "1 x NVIDIA H100 80GB HBM3"
    assert not found.is_reference
    assert remark == "GPUs in use by others: 1"
    assert hardware.find(0)[0].name == "CPU"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert hardware.find(None) == (hardware.Hardware(), "nvidia-smi failed with status 9")


def test_the_largest_compressed_file_is_the_model(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "work", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    noise = b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(300))
    (folder / "shipped.xz").write_bytes(noise * 2)
    before = inventory(folder)
    (folder / "final_model.pt").write_bytes(b"\0\x3f\x80\0" * 50_000)
    (folder / "model.bin").write_bytes(noise)
    (folder / "notes.txt").write_text("step:1/10 train_loss:2.5\n" * 5000)
    (folder / "part.txt").write_bytes(noise[:5000])
    (folder / "link.ptz").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(noise * 20)
    evidence = evidence_of(collected())
    weighed = weigh(folder, before, evidence.sizes, "train_gpt.py", temporary)
    assert (weighed.model_file, weighed.model) == ("model.bin", len(noise))
    assert weighed.code == len("print('hello')\n")
    assert weighed.others == 5000
    assert weighed.altered == ()
    (temporary / "hidden.ptz").write_bytes(noise + b"more")
    assert weigh(folder, before, evidence.sizes, "train_gpt.py", temporary).model_file == "/tmp/hidden.ptz"
    assert bytes_written(folder, temporary) > 200_000


def test_a_plan_is_shown_and_nothing_runs(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", begin="open('ran', 'w')")
    done = run_pgaudit("reproduce", folder, "--plan", "--gpus", "0", "--runs", tmp_path / "runs", "--set", "A=1")
    assert done.status == 0
    assert "would be run, nothing was" in done.out
    assert "train_gpt.py" in done.out
    assert "A=1  (--set)" in done.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (("--seeds", "42,x"), "is no list of numbers"),
        (("--tiny",), "--tiny is for the bundled reference trainer"),
        (("--set", "A B=1"), "is not NAME=VALUE"),
        (("--margin", "0"), "is no margin"),
        (("--data", "nowhere"), "no fineweb_train"),
        (("--python", "/no/python"), "is no Python"),
        (("--resume",), "holds no run of this plan"),
        (("--launcher", "-m 'x"), "cannot be split into words"),
        (("--tokenizer", "nowhere"), "--tokenizer goes with the token shards"),
        (("--preset", "baseline"), "--preset is for the bundled reference trainer"),
        (("--output", "/no/such/folder/report.json"), "no file can be written there"),
        (("--emit", "slurm", "--plan"), "--plan shows what would be run"),
    ],
)
def test_usage(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    folder = write_folder(tmp_path / "submission")
    sandboxed = ("--no-sandbox-i-accept-the-risk",)  # --resume looks for the sandbox first; nothing is run
    done = run_pgaudit(
        "reproduce", folder, "--runs", tmp_path / "runs", "--gpus", "0", *sandboxed, *options, DATA_PATH=""
    )
    assert done.status == 2, done.err
    assert message in done.err
    assert done.out == ""
    assert not (tmp_path / "runs" / "run1").exists()


@pytest.mark.parametrize("option", ["--pr", "--prs", "--rev", "--base"])
def test_what_is_of_a_clone_does_not_start_the_bundled_trainer(tmp_path: Path, option: str) -> None:
    done = run_pgaudit("reproduce", option, "4", "--runs", tmp_path / "runs")
    assert done.status == 2
    assert f"{option} is of a clone" in done.err
    assert not (tmp_path / "runs").exists()


def test_an_unknown_preset_and_an_empty_folder(tmp_path: Path) -> None:
    bare = "--no-sandbox-i-accept-the-risk"
    assert run_pgaudit("reproduce", "--preset", "best", bare, "--runs", tmp_path / "runs").status == 2
    (tmp_path / "empty").mkdir()
    assert run_pgaudit("reproduce", tmp_path / "empty").status == 3


def test_without_a_sandbox_nothing_is_run(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", begin="open('ran', 'w')")
    done = run_pgaudit("reproduce", folder, "--runs", tmp_path / "runs", "--gpus", "0", PATH=str(tmp_path))
    assert done.status == 4
    assert "no sandbox works here" in done.err
    assert "apt-get install bubblewrap" in done.err
    assert not (tmp_path / "runs").exists()
