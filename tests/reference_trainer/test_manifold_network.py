"""The network on the manifold: causality bit for bit, transport, gradients, export, size."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reference_trainer.artifact import CAP, read_artifact, write_artifact
from reference_trainer.layers import rotary_table
from reference_trainer.manifold.build import Manifold
from reference_trainer.manifold.network import Geometry, ManifoldNetwork, earlier
from reference_trainer.manifold.settings import ManifoldSettings
from reference_trainer.optimizer import build_optimizers
from reference_trainer.preset import OptimizerSettings
from reference_trainer.presets.manifold import PRESET
from reference_trainer.quantisation import PercentileClip, Quantised, quantise_rows, quantise_state

SMALL = ManifoldSettings(vocabulary=48, modes=12, svd_coordinates=4, width=24, mlp_width=64)
LENGTH = 40
CODE_BYTES = 100_000  # of a bundled script, rounded up


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def a_network(seed: int = 0) -> ManifoldNetwork:
    torch.manual_seed(seed)
    return ManifoldNetwork(SMALL, Manifold(torch.randn(SMALL.vocabulary, SMALL.spectral_dimensions)))


def randomised() -> ManifoldNetwork:
    """Outputs begin at zero, where nothing could leak."""
    network = a_network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.3)
    return network


def trained(steps: int = 6) -> ManifoldNetwork:
    network = a_network()
    optimizers = build_optimizers(network, OptimizerSettings())
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        tokens = torch.randint(SMALL.vocabulary, (4, LENGTH + 1), generator=generator)
        tokens[:, 1::2] = tokens[:, :-1:2]  # something to learn: every second token repeats the one before
        network.zero_grad()
        F.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        for optimizer in optimizers:
            optimizer.step()
    return network


def test_it_compiles_as_one_graph() -> None:
    torch.compiler.reset()
    network = randomised()
    tokens = torch.randint(SMALL.vocabulary, (2, LENGTH), generator=torch.Generator().manual_seed(2))
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(tokens), network(tokens))


@torch.no_grad()
def assert_causal(network: ManifoldNetwork, length: int) -> None:
    tokens = torch.randint(SMALL.vocabulary, (2, length), generator=torch.Generator().manual_seed(2))
    before = network(tokens)
    assert before.dtype == torch.float32
    assert before.shape == (2, length, SMALL.vocabulary)
    assert before.isfinite().all()
    for k in range(length):
        for shift in (1, 17):
            changed = tokens.clone()
            changed[0, k] = (tokens[0, k] + shift) % SMALL.vocabulary
            after = network(changed)
            assert torch.equal(before[0, :k], after[0, :k]), f"token {k} changes a logit before it"
            assert torch.equal(before[1], after[1]), "a sequence changes another one"
            assert (before[0, k:] != after[0, k:]).any(dim=-1).all(), f"token {k} is not seen by all from it on"


@pytest.mark.parametrize("length", [1, 2, LENGTH])
def test_a_token_changes_no_logit_before_it(length: int) -> None:
    assert_causal(randomised(), length)
    assert_causal(trained(), length)


@torch.no_grad()
def test_messages_come_from_strictly_earlier_positions_and_the_first_receives_none() -> None:
    network = randomised()
    tokens = torch.randint(SMALL.vocabulary, (1, LENGTH))
    geometry = network._geometry(tokens)
    x = torch.randn(1, LENGTH, SMALL.width)
    before = network.hop.messages(x, geometry)
    assert not before[:, 0].any()
    sender = network.hop.messages.message.weight.clone()
    network.hop.messages.message.weight.zero_()
    assert not network.hop.messages(x, geometry).any()  # nothing but messages passes
    network.hop.messages.message.weight.copy_(sender)
    x[0, 20] += 1
    after = network.hop.messages(x, geometry)
    assert torch.equal(before[0, :20], after[0, :20])


@pytest.mark.parametrize("part", ["messages", "attention"])
def test_a_missing_mask_is_noticed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The causality test can fail, and at either of the two ways between positions."""
    network = randomised()
    kept = network.hop.attention if part == "messages" else network.hop.messages
    kept.output.weight.data.zero_()
    everything = lambda length, device: torch.ones(length, length, dtype=torch.bool, device=device)  # noqa: E731
    monkeypatch.setattr("reference_trainer.manifold.network.earlier", everything)
    with pytest.raises(AssertionError, match="changes a logit before it"):
        assert_causal(network, LENGTH)


def a_geometry(length: int = 7) -> Geometry:
    points = F.normalize(torch.randn(1, 1, length, 6, dtype=torch.float64), dim=-1)
    return Geometry(points, points @ points.mT, rotary_table(length, 6, 10_000.0, torch.device("cpu")))


def carried_by_small_steps(start: Tensor, end: Tensor, vector: Tensor, steps: int = 20_000) -> Tensor:
    """Move along the great circle and project onto each next tangent space (Schild, in the limit)."""
    angle = torch.arccos(start @ end)
    length = vector.norm()
    for step in range(1, steps + 1):
        share = step / steps
        point = (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)
        vector = vector - (vector @ point) * point
        vector = vector / vector.norm() * length
    return vector


def test_transport_is_that_of_many_small_steps() -> None:
    torch.manual_seed(0)
    geometry = a_geometry(2)
    start, end = geometry.points[0, 0]
    message = torch.randn(6, dtype=torch.float64)
    tangent = message - (message @ start) * start
    weights = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double()[None, None]
    moved = geometry.transport(weights, torch.stack([message, message])[None, None])[0, 0, 1]
    torch.testing.assert_close(moved, carried_by_small_steps(start, end, tangent, 2_000), atol=1e-3, rtol=1e-3)


def test_transport_keeps_lengths_and_angles_and_adds_up() -> None:
    torch.manual_seed(1)
    geometry = a_geometry()
    messages = torch.randn(2, 1, 1, 7, 6, dtype=torch.float64)
    tangent = messages - (messages * geometry.points).sum(-1, keepdim=True) * geometry.points
    total = torch.zeros(7, 6).double()
    weights = torch.rand(1, 1, 7, 7).double()
    for sender in range(7):
        only = torch.zeros(1, 1, 7, 7).double()
        only[..., sender] = 1
        first, second = (geometry.transport(only, m)[0, 0] for m in messages)
        products = (tangent[0, 0, 0, sender] * tangent[1, 0, 0, sender]).sum()
        torch.testing.assert_close((first * second).sum(-1), products.expand(7))
        torch.testing.assert_close((first * geometry.points[0, 0]).sum(-1), torch.zeros(7).double())
        total += weights[0, 0, :, sender, None] * first
    torch.testing.assert_close(geometry.transport(weights, messages[0])[0, 0], total)


def test_transport_to_the_same_place_changes_nothing_and_to_the_opposite_one_stays_finite() -> None:
    points = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0]]).double()[None, None]
    geometry = Geometry(points, points @ points.mT, rotary_table(3, 2, 10_000.0, torch.device("cpu")))
    message = torch.tensor([0.0, 2.0, -1.0]).double().expand(1, 1, 3, 3)
    moved = geometry.transport(torch.tensor([1.0, 0, 0]).double().expand(1, 1, 3, 3), message)
    assert torch.equal(moved[0, 0, 1], message[0, 0, 0])
    assert moved.isfinite().all()


def test_every_parameter_learns() -> None:
    network = randomised()
    tokens = torch.randint(SMALL.vocabulary, (4, LENGTH + 1))
    F.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_the_manifold_is_frozen_and_part_of_the_state() -> None:
    network = a_network()
    assert "spectrum" in network.state_dict()
    assert "spectrum" not in dict(network.named_parameters())
    torch.testing.assert_close(trained().spectrum, network.spectrum, rtol=0, atol=0)


def test_first_predictions_are_nearly_uniform() -> None:
    tokens = torch.randint(SMALL.vocabulary, (2, LENGTH))
    entropy = torch.distributions.Categorical(logits=a_network()(tokens)).entropy()
    assert (entropy > 0.99 * torch.log(torch.tensor(SMALL.vocabulary))).all()


def test_training_is_deterministic() -> None:
    first, again = trained().state_dict(), trained().state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_packed_network_predicts_what_the_quantised_one_does(tmp_path: Path) -> None:
    network = trained()
    packed = quantise_state(network.state_dict(), PRESET.quantisation)
    kinds = {name: value.bits if isinstance(value, Quantised) else value.dtype for name, value in packed.items()}
    assert {name for name, kind in kinds.items() if kind != 8} == {
        "gains",
        *(f"hop.{part}.{scale}" for part in ("messages", "attention") for scale in ("gain", "guide")),
    }
    size = write_artifact(tmp_path / "model", packed, PRESET.quantisation.codec)
    assert size == (tmp_path / "model").stat().st_size
    before, after = a_network(), a_network()
    before.load_state_dict({k: v.dequantise() if isinstance(v, Quantised) else v for k, v in packed.items()})
    after.load_state_dict(read_artifact(tmp_path / "model"))
    tokens = torch.randint(SMALL.vocabulary, (2, LENGTH))
    assert torch.equal(before(tokens), after(tokens))


def test_the_mask_is_strict() -> None:
    assert earlier(3, torch.device("cpu")).tolist() == [[False] * 3, [True, False, False], [True, True, False]]


def test_as_many_parameters_as_fit(tmp_path: Path) -> None:
    """Normally distributed weights, of which a part of each shape is packed: trained rows have longer tails and pack smaller."""
    assert isinstance(PRESET.network, ManifoldSettings)
    with torch.device("meta"):
        state = ManifoldNetwork(PRESET.network, Manifold(torch.empty(1024, 320))).state_dict()
    total = 0.0
    for name, tensor in state.items():
        if tensor.ndim != 2:
            total += 4 * tensor.numel()
            continue
        rows = min(tensor.shape[0], max(1, 500_000 // tensor.shape[1]))
        sample = quantise_rows(torch.randn(rows, tensor.shape[1]), dict(PRESET.quantisation.formats)["*.weight"])
        size = write_artifact(tmp_path / "sample", {name: sample}, PRESET.quantisation.codec)
        total += size * tensor.shape[0] / rows
    assert 0.985 * CAP < total + CODE_BYTES < CAP


def test_five_percentiles() -> None:
    for _, row_format in PRESET.quantisation.formats:
        assert row_format.bits == 8
        assert isinstance(row_format.clip, PercentileClip)
        assert len(row_format.clip.candidates) == 5
    assert isinstance(PRESET.network, ManifoldSettings)
    assert PRESET.network.spectral_dimensions == 320
