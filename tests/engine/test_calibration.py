"""Calibration: weights that are set from statistics, and the clock that training is held against."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pgaudit.engine.queries import calibrated_on_training
from pgaudit.engine.walk import Walk
from tests.engine.support import orders, score_of, walked

EVALUATE = """
for j in range(100):
    total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
"""
SET = """
state = net.state_dict()
state["head"] = state["head"] * torch.stack(met).mean(0)
net.load_state_dict(state)
"""


def calibrated(seen: Walk) -> set[str]:
    """``calibrated`` where the weights were set from what is scored, ``trained`` where training tokens went in."""
    return orders(seen) | {"trained" for _ in calibrated_on_training(seen, score_of(seen))}


@pytest.mark.parametrize(
    "source,expected",
    [
        ("val[:4096]", {"calibrated"}),
        ('read("data/fineweb_train_*.bin")[:4096]', {"trained"}),
        ("torch.randint(1024, (4, 64))", set()),
    ],
    ids=["validation", "training", "invented"],
)
@pytest.mark.parametrize(
    "register",
    ["net.register_forward_hook", "net.head.register_forward_hook", "net.register_forward_pre_hook"],
    ids=["network", "layer", "before"],
)
def test_what_a_hook_sees_is_what_the_weights_are_set_from(register: str, source: str, expected: set[str]) -> None:
    hook = f"met = []\n{register}(lambda layer, given, made=None: met.append(given[0].abs().mean(0)))\nnet({source})\n"
    assert calibrated(walked(hook + SET + EVALUATE)) == expected


def test_a_hook_that_was_removed_sees_nothing() -> None:
    hook = "met = [torch.ones(64)]\nhandle = net.register_forward_hook(lambda layer, given, made: met.append(made.abs().mean(0)))\n"
    assert calibrated(walked(hook + "net(val[:4096])\n" + SET + EVALUATE)) == {"calibrated"}
    assert calibrated(walked(hook + "handle.remove()\nnet(val[:4096])\n" + SET + EVALUATE)) == set()


def test_a_hook_that_comes_and_goes_in_one_branch_sees_what_is_between() -> None:
    body = """
    met = [torch.ones(64)]
    while os.getpid() % 2:
        if os.getpid() % 3:
            handle = net.register_forward_hook(lambda layer, given, made: met.append(made.abs().mean(0)))
            net(torch.randint(1024, (4, 64)))
            handle.remove()
        net(val[:4096])
    """
    assert calibrated(walked(dedent(body) + SET + EVALUATE)) == set()
    kept = dedent(body).replace("        handle.remove()\n", "        pass\n")
    assert calibrated(walked(kept + SET + EVALUATE)) == {"calibrated"}


@pytest.mark.parametrize(
    "write",
    [
        "for part in net.parameters():\n    part.data.mul_(scale)\n",
        "net.head.weight.copy_(net.head.weight * scale)\n",
        "net.load_state_dict({name: part * scale for name, part in net.state_dict().items()})\n",
    ],
    ids=["parameters", "one weight", "state"],
)
def test_every_way_to_write_weights_is_a_calibration(write: str) -> None:
    assert calibrated(walked("scale = net(val[:4096]).abs().amax(0)\n" + write + EVALUATE)) == {"calibrated"}


SEARCH = """
weights = net.state_dict()["head"]
error = (net({source}).abs().mean(0) * weights).sum().item()
best, chosen = 1e9, weights
for clip in (1.0, 0.9, 0.8):
    candidate = weights.clamp(-clip, clip)
    error = ({seen} * (weights - candidate) ** 2).sum().item()
    {choice}
net.load_state_dict({{"head": chosen}})
"""
CHOICES = {
    "branch": "if error < best:\n        best, chosen = error, candidate",
    "expression": "chosen = torch.where(torch.tensor(error < best), candidate, chosen)",
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_what_an_error_on_validation_activations_chooses_is_calibrated(choice: str) -> None:
    def search(seen: str) -> set[str]:
        return calibrated(walked(SEARCH.format(source="val[:64]", seen=seen, choice=choice) + EVALUATE))

    assert search("net(val[:4096]).abs().mean(0)") == {"calibrated"}
    assert search("weights.abs()") == set()


@pytest.mark.parametrize(
    "path,expected",
    [
        ('"seen.pt"', {"calibrated"}),
        ('"weights.pt"', set()),
        ('f"{os.getcwd()}.pt"', {"calibrated"}),
        ('f"{os.getcwd()}.txt"', set()),
    ],
    ids=["the same", "another", "perhaps the same", "never the same"],
)
def test_a_file_holds_what_was_written_to_its_path(path: str, expected: set[str]) -> None:
    write = f'torch.save(torch.ones(4), "seen.pt")\ntorch.save(net(val[:4096]).abs().mean(0), {path})\n'
    read = 'net.load_state_dict({"head": torch.load("seen.pt")})\n'
    assert calibrated(walked(write + read + EVALUATE)) == expected


def test_a_file_that_another_program_made_may_hold_anything_that_was_written() -> None:
    write = 'torch.save(net(val[:4096]).abs().mean(0), "seen.raw")\nsubprocess.run(["pack", "seen.raw"])\n'
    read = 'net.load_state_dict({"head": torch.load("seen.packed")})\n'
    assert calibrated(walked(write + read + EVALUATE)) == {"calibrated"}


def test_a_checkpoint_that_the_validation_score_chooses_is_no_calibration() -> None:
    choose = """
    best, kept = 1e9, net.state_dict()
    for step in range(3):
        loss = F.cross_entropy(net(val[:64]), val[1:65]).item()
        if loss < best:
            best, kept = loss, net.state_dict()
    net.load_state_dict(kept)
    """
    assert calibrated(walked(dedent(choose) + EVALUATE)) == set()


def test_a_renamed_file_keeps_its_content() -> None:
    write = 'with open("tmp.bin", "wb") as file:\n    file.write(net(val[:4096]).abs())\nos.replace("tmp.bin", "seen.bin")\n'
    read = 'with open("seen.bin", "rb") as file:\n    net.load_state_dict({"head": file.read()})\n'
    assert calibrated(walked(write + read + EVALUATE)) == {"calibrated"}


def test_a_calibration_after_the_score_is_silent() -> None:
    assert calibrated(walked(EVALUATE + "met = [net(val[:4096]).abs()]\n" + SET)) == set()


def test_a_score_in_a_checkpoint_is_no_part_of_the_weights() -> None:
    through = 'torch.save({"net": net.state_dict(), "loss": total}, "c.pt")\nnet.load_state_dict(torch.load("c.pt")["net"])\ntotal = 0\n'
    assert calibrated(walked(EVALUATE + through + EVALUATE)) == set()


@pytest.mark.parametrize(
    "test,seconds",
    [
        ("time.time() - began > 590.5", 590.5),
        ("1000 * (time.perf_counter() - began) >= float(os.environ.get('CAP', '599')) * 1000", 599.0),
        ("570 < time.monotonic() - began", 570.0),
        ("step > 570", None),
    ],
)
def test_limits_of_time(test: str, seconds: float | None) -> None:
    seen = walked(
        f"import time\nbegan = time.time()\nfor step in range(20000):\n    if {test}:\n        break\n" + EVALUATE
    )
    assert [limit.seconds for limit in seen.limits.values()] == ([seconds] if seconds else [])
