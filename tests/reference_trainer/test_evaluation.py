"""Every target is scored once, with the context that it should have, and bits per byte are what they mean."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from reference_trainer.data import ValidationText
from reference_trainer.distributed import Ranks
from reference_trainer.evaluation import Score, score_positions, score_text, windows
from reference_trainer.preset import EvaluationSettings
from tests.reference_trainer.networks import Averaging, Local

VOCABULARY = 50
ALONE = Ranks(0, 1, torch.device("cpu"))


def random_text(length: int, seed: int = 0) -> ValidationText:
    generator = torch.Generator().manual_seed(seed)
    return ValidationText(
        torch.randint(VOCABULARY, (length,), generator=generator), torch.randint(1, 6, (length,), generator=generator)
    )


def score(network: nn.Module, text: ValidationText, sequence: int, stride: int | None, batch: int = 3) -> Score:
    return score_text(network, text, EvaluationSettings(sequence, stride, batch), ALONE)


def losses_from_scratch(network: nn.Module, tokens: Tensor, contexts: list[int]) -> float:
    """Nats of all targets; the one after position i is predicted from tokens contexts[i]..i by a pass of its own."""
    total = 0.0
    with torch.no_grad():
        for position, start in enumerate(contexts):
            logits = network(tokens[None, start : position + 1])[0, -1].double().tolist()
            highest = max(logits)
            normaliser = highest + math.log(sum(math.exp(logit - highest) for logit in logits))
            total += normaliser - logits[int(tokens[position + 1])]
    return total


# Windows

cases = st.integers(1, 40).flatmap(
    lambda sequence: st.tuples(st.just(sequence), st.integers(1, sequence), st.integers(sequence, 300))
)


@given(cases)
def test_every_position_is_scored_once(case: tuple[int, int, int]) -> None:
    sequence, stride, positions = case
    scored = [p for window in windows(0, positions, sequence, stride) for p in range(window.first, window.stop)]
    assert scored == list(range(positions))


@given(cases)
def test_windows_are_full_and_stay_in_the_text(case: tuple[int, int, int]) -> None:
    sequence, stride, positions = case
    for window in windows(0, positions, sequence, stride):
        assert 0 <= window.start <= window.first < window.stop <= positions
        assert window.stop - window.start == sequence


@given(cases)
def test_every_position_has_the_context_that_the_stride_leaves(case: tuple[int, int, int]) -> None:
    sequence, stride, positions = case
    for window in windows(0, positions, sequence, stride):
        for position in range(window.first, window.stop):
            assert position - window.start + 1 > min(sequence - stride, position)


@given(cases, st.integers(1, 300))
def test_chunks_score_every_position_once_and_look_at_no_later_chunk(case: tuple[int, int, int], chunk: int) -> None:
    sequence, stride, positions = case
    scored: list[int] = []
    for first in range(0, positions, chunk):
        last = min(first + chunk, positions)
        for window in windows(first, last, sequence, stride):
            assert 0 <= window.start <= window.first < window.stop <= last
            assert window.stop - window.start <= sequence
            scored += range(window.first, window.stop)
    assert scored == list(range(positions))


def test_side_by_side() -> None:
    bounds = [(window.start, window.first, window.stop) for window in windows(0, 10, 4, 4)]
    assert bounds == [(0, 0, 4), (4, 4, 8), (6, 8, 10)]


def test_sliding() -> None:
    bounds = [(window.start, window.first, window.stop) for window in windows(0, 9, 4, 2)]
    assert bounds == [(0, 0, 4), (2, 4, 6), (4, 6, 8), (5, 8, 9)]


# Scores


@pytest.mark.parametrize("length", [9, 17, 24, 25, 26, 40])
@pytest.mark.parametrize("stride", [None, 1, 3, 8])
def test_against_a_computation_from_scratch(length: int, stride: int | None) -> None:
    """Loss and bits per byte of every length of the last window; targets one by one, in Python's floats."""
    network, text = Averaging(VOCABULARY), random_text(length)
    contexts = [0] * (length - 1)
    for window in windows(0, length - 1, 8, stride or 8):
        contexts[window.first : window.stop] = [window.start] * (window.stop - window.first)
    nats = losses_from_scratch(network, text.tokens, contexts)
    got = score(network, text, 8, stride)
    assert (got.tokens, got.bytes) == (length - 1, sum(text.bytes.tolist()[1:]))
    assert got.nats == pytest.approx(nats, rel=1e-6)
    assert got.val_loss == pytest.approx(nats / (length - 1), rel=1e-6)
    assert got.val_bpb == pytest.approx(nats / math.log(2) / sum(text.bytes.tolist()[1:]), rel=1e-6)
    assert got.val_bpb == pytest.approx(got.val_loss / math.log(2) * got.tokens / got.bytes, rel=1e-12)


def test_a_uniform_network_pays_the_logarithm_of_the_vocabulary() -> None:
    network = Averaging(VOCABULARY)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    assert score(network, random_text(100), 16, 4).val_loss == pytest.approx(math.log(VOCABULARY), rel=1e-6)


@pytest.mark.parametrize("stride", [1, 5, 32])
def test_a_text_of_one_window_is_computed_in_full(stride: int) -> None:
    network, text = Averaging(VOCABULARY), random_text(33)
    full = losses_from_scratch(network, text.tokens, [0] * 32)
    assert score(network, text, 32, stride).nats == pytest.approx(full, rel=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 5, 11])
def test_sliding_equals_the_full_computation_where_the_window_holds_all_that_the_network_sees(stride: int) -> None:
    text = random_text(150)
    network = Local(VOCABULARY, reach=16 - stride + 1)
    full = losses_from_scratch(network, text.tokens, [0] * 149)
    assert score(network, text, 16, stride).nats == pytest.approx(full, rel=1e-6)
    assert score(Local(VOCABULARY, reach=16 - stride + 3), text, 16, stride).nats != pytest.approx(full, rel=1e-6)


def test_the_last_partial_window_counts() -> None:
    network, text = Averaging(VOCABULARY), random_text(24)
    changed = ValidationText(text.tokens.clone(), text.bytes)
    changed.tokens[-1] = (changed.tokens[-1] + 1) % VOCABULARY
    assert score(network, text, 8, None).nats != score(network, changed, 8, None).nats


@pytest.mark.parametrize("stride", [None, 3])
def test_a_later_token_changes_no_earlier_score(stride: int | None) -> None:
    """The whole evaluation is causal: the nats of a prefix do not depend on what follows it."""
    network, text = Averaging(VOCABULARY), random_text(60)
    settings = EvaluationSettings(8, stride, 4)
    for changed_at in (1, 8, 9, 30, 59):
        changed = ValidationText(text.tokens.clone(), text.bytes)
        changed.tokens[changed_at] = (changed.tokens[changed_at] + 7) % VOCABULARY
        for position in range(59):
            before, after = (
                score_positions(network, t, position, position + 1, settings, ALONE)[0] for t in (text, changed)
            )
            assert (before == after) == (position + 1 < changed_at), (changed_at, position)
            if position + 1 >= changed_at:
                break


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_the_batch_size_changes_nothing_but_rounding(batch: int) -> None:
    network, text = Averaging(VOCABULARY), random_text(200)
    assert score(network, text, 16, 4, batch).nats == pytest.approx(score(network, text, 16, 4, 3).nats, rel=1e-7)


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_ranks_share_the_batches_and_each_is_computed_once(world_size: int) -> None:
    """Without a process group `sum` would ask for one, so the ranks' own parts are added up here."""
    network, text = Averaging(VOCABULARY), random_text(200)
    settings = EvaluationSettings(16, 4, 3)

    class Part(Ranks):
        def sum(self, tensor: Tensor) -> Tensor:
            return tensor

    parts = [
        score_positions(network, text, 0, 199, settings, Part(rank, world_size, torch.device("cpu")))
        for rank in range(world_size)
    ]
    whole = score_positions(network, text, 0, 199, settings, ALONE)
    assert sum(parts)[1:].tolist() == whole[1:].tolist()  # type: ignore[index]
    assert sum(parts)[0].item() == pytest.approx(whole[0].item(), rel=1e-12)  # type: ignore[index]


def test_evaluation_leaves_the_network_as_it_was() -> None:
    network, text = Averaging(VOCABULARY), random_text(50)
    weights = [weight.clone() for weight in network.parameters()]
    for training in (True, False):
        network.train(training)
        score(network, text, 16, 4)
        assert network.training is training
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))
    assert all(weight.grad is None for weight in network.parameters())
