"""Ranks in real processes over gloo, and what torchrun may ask for."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reference_trainer.distributed import join_ranks
from reference_trainer.errors import BadInput

ROOT = Path(__file__).parents[2]

WORKER = """
import json, sys
import torch
from reference_trainer.data import ValidationText
from reference_trainer.distributed import join_ranks
from reference_trainer.evaluation import score_text
from reference_trainer.preset import EvaluationSettings, TestTimeTraining
from reference_trainer.test_time_training import score_first
from tests.reference_trainer.networks import Averaging

torch.set_num_threads(1)
with join_ranks() as ranks:
    generator = torch.Generator().manual_seed(0)
    text = ValidationText(torch.randint(50, (1000,), generator=generator), torch.randint(1, 6, (1000,), generator=generator))
    found = {"rank": ranks.rank, "sum": ranks.sum(torch.tensor([0.1, ranks.rank + 1.0])).tolist()}
    found["mean"] = ranks.mean(ranks.rank + 0.5)
    added = [torch.full((2, 3), ranks.rank + 1.0), torch.tensor(ranks.rank + 10.0)]
    ranks.add_up(added)
    found["added"] = [tensor.tolist() for tensor in added]
    for name, settings in (("chunked", EvaluationSettings(16, None, 3)), ("sliding", EvaluationSettings(16, 4, 5))):
        score = score_text(Averaging(50), text, settings, ranks)
        found[name] = [score.val_loss.hex(), score.val_bpb.hex(), score.tokens, score.bytes]
    adaptation = TestTimeTraining(chunk=48, epochs=2, lr=0.1, sequences_per_step=2)
    network = Averaging(50)
    score = score_first(network, text, EvaluationSettings(16, 4, 5), adaptation, ranks)
    found["ttt"] = [score.val_loss, score.val_bpb]
    found["weights"] = [weight.double().sum().item().hex() for weight in network.parameters()]
    print(json.dumps(found))
"""


def run_ranks(world_size: int, code: str) -> list[dict[str, object]]:
    """What each of the processes printed last."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "RANK": str(rank),
                "WORLD_SIZE": str(world_size),
                "MASTER_ADDR": "localhost",
                "MASTER_PORT": str(port),
                "CUDA_VISIBLE_DEVICES": "",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world_size)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * world_size
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.fixture(scope="module")
def one() -> dict[str, object]:
    return run_ranks(1, WORKER)[0]


@pytest.fixture(scope="module")
def two() -> list[dict[str, object]]:
    return run_ranks(2, WORKER)


def test_sums_are_in_float64(two: list[dict[str, object]]) -> None:
    tenth = float(torch.tensor(0.1))  # as float32
    assert [found["sum"] for found in two] == [[tenth * 2, 3.0]] * 2


def test_ranks_agree_on_a_number(one: dict[str, object], two: list[dict[str, object]]) -> None:
    assert one["mean"] == 0.5
    assert [found["mean"] for found in two] == [1.0, 1.0]


def test_many_tensors_are_added_up_at_once(two: list[dict[str, object]]) -> None:
    assert [found["added"] for found in two] == [[[[3.0] * 3] * 2, 21.0]] * 2


@pytest.mark.parametrize("evaluation", ["chunked", "sliding"])
def test_the_score_is_the_same_bit_for_bit_for_one_rank_and_two(
    evaluation: str, one: dict[str, object], two: list[dict[str, object]]
) -> None:
    assert two[0][evaluation] == two[1][evaluation] == one[evaluation]
    assert one["chunked"] != one["sliding"]


def test_test_time_training_takes_the_same_steps_on_all_ranks(
    one: dict[str, object], two: list[dict[str, object]]
) -> None:
    assert two[0]["weights"] == two[1]["weights"]
    assert two[0]["ttt"] == two[1]["ttt"]
    assert two[0]["ttt"] == pytest.approx(one["ttt"], rel=1e-6)  # gradients are added up in another order


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with join_ranks() as ranks:
        assert (ranks.rank, ranks.world_size, ranks.first) == (0, 1, True)
        assert ranks.sum(torch.tensor([1.5])).tolist() == [1.5]


@pytest.mark.parametrize("world_size", [3, 5, 6, 7, 9, 16, 0])
def test_a_world_that_does_not_divide_the_batch(world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    with pytest.raises(BadInput, match=f"{world_size} processes cannot share .* use 1, 2, 4 or 8"), join_ranks():
        pass
