"""Score-first: nothing that a position's own chunk or later text holds reaches its score."""

import copy
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer import evaluation, test_time_training
from reference_trainer.data import ValidationText
from reference_trainer.distributed import Ranks
from reference_trainer.evaluation import Window, score_positions, score_text
from reference_trainer.preset import EvaluationSettings, TestTimeTraining
from reference_trainer.presets.unet_ttt import PRESET as UNET_TTT
from reference_trainer.test_time_training import score_first
from tests.reference_trainer.networks import Averaging

VOCABULARY = 50
ALONE = Ranks(0, 1, torch.device("cpu"))
EVALUATION = EvaluationSettings(sequence=8, stride=4, batch_windows=4)
ADAPTATION = TestTimeTraining(chunk=16, epochs=2, lr=0.1, momentum=0.9, sequences_per_step=8, batch_windows=4)


def repetitive_text(length: int) -> ValidationText:
    """Something to learn: the same forty tokens again and again."""
    phrase = torch.randint(VOCABULARY, (40,), generator=torch.Generator().manual_seed(1))
    return ValidationText(phrase.repeat(length // 40 + 1)[:length], torch.ones(length, dtype=torch.int64))


def nats_by_chunk(text: ValidationText, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The first-pass sum of every chunk, in order."""
    seen: list[float] = []

    def listening(*arguments: object) -> Tensor:
        sums: Tensor = score_positions(*arguments)  # type: ignore[arg-type]
        seen.append(sums[0].item())
        return sums

    with monkeypatch.context() as patch:
        patch.setattr(test_time_training, "score_positions", listening)
        total = score_first(Averaging(VOCABULARY), text, EVALUATION, ADAPTATION, ALONE)
    assert total.nats == sum(seen)
    return seen


def test_it_learns_from_what_it_has_scored() -> None:
    text = repetitive_text(400)
    adapted = score_first(Averaging(VOCABULARY), text, EVALUATION, ADAPTATION, ALONE)
    fixed = score_text(Averaging(VOCABULARY), text, EVALUATION, ALONE)
    assert (adapted.tokens, adapted.bytes) == (fixed.tokens, fixed.bytes) == (399, 399)
    assert adapted.val_loss < fixed.val_loss - 0.5


def test_without_a_learning_rate_it_is_the_plain_score() -> None:
    text = repetitive_text(203)
    still = TestTimeTraining(chunk=16, epochs=1, lr=0.0, momentum=0.0)
    adapted = score_first(Averaging(VOCABULARY), text, EVALUATION, still, ALONE)
    assert adapted.nats == pytest.approx(score_text(Averaging(VOCABULARY), text, EVALUATION, ALONE).nats, rel=1e-7)


@pytest.mark.parametrize("changed_at", [1, 16, 17, 40, 64, 98, 99])
def test_a_token_changes_no_score_of_an_earlier_chunk_and_is_scored_before_it_is_learned(
    changed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = repetitive_text(100)
    changed = ValidationText(text.tokens.clone(), text.bytes)
    changed.tokens[changed_at] = (changed.tokens[changed_at] + 7) % VOCABULARY
    before, after = (nats_by_chunk(each, monkeypatch) for each in (text, changed))
    own = (changed_at - 1) // ADAPTATION.chunk  # the chunk in which it is a target
    assert before[:own] == after[:own]
    assert before[own] != after[own]
    assert all(a != b for a, b in zip(before[own + 1 :], after[own + 1 :], strict=True))  # they learned from it


def test_each_chunk_is_scored_by_weights_that_saw_only_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain loop: score the chunk, then step on it by hand."""
    text = repetitive_text(100)
    network = Averaging(VOCABULARY)
    optimizer = torch.optim.SGD(network.parameters(), lr=ADAPTATION.lr, momentum=ADAPTATION.momentum)
    wanted = []
    for first in range(0, 99, 16):
        last = min(first + 16, 99)
        wanted.append(score_positions(network, text, first, last, EVALUATION, ALONE)[0].item())
        for _ in range(ADAPTATION.epochs if last < 99 else 0):
            inputs, targets = text.tokens[first:last].view(2, 8), text.tokens[first + 1 : last + 1].view(2, 8)
            optimizer.zero_grad()
            F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten()).backward()
            optimizer.step()
    assert nats_by_chunk(text, monkeypatch) == pytest.approx(wanted, rel=1e-6)


def test_the_last_chunk_is_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Tensor] = []

    def listening(network: nn.Module, optimizer: object, tokens: Tensor, *_: object) -> None:
        trained.append(tokens)

    monkeypatch.setattr(test_time_training, "adapt", listening)
    for length in (17, 18, 33, 34, 100):
        trained.clear()
        text = repetitive_text(length)
        score_first(Averaging(VOCABULARY), text, EVALUATION, ADAPTATION, ALONE)
        last_chunk = (length - 2) // 16 * 16
        learned = [token for tokens in trained for token in tokens[1:].tolist()]
        assert learned == text.tokens[1 : last_chunk + 1].tolist()


def test_scores_are_taken_in_inference_mode_and_steps_are_not() -> None:
    modes: list[tuple[bool, bool]] = []

    class Watching(Averaging):
        def forward(self, tokens: Tensor) -> Tensor:
            modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
            return super().forward(tokens)

    score_first(Watching(VOCABULARY), repetitive_text(33), EVALUATION, ADAPTATION, ALONE)
    scored, stepped = (True, False), (False, True)
    assert modes == [scored, stepped, stepped, scored]  # the second chunk is the last


def test_steps_are_shared_by_the_ranks() -> None:
    """The gradients of two ranks add up to that of one that sees all rows."""
    text = repetitive_text(65)
    inputs, targets = text.tokens[:64].view(8, 8), text.tokens[1:65].view(8, 8)
    gradients: list[list[Tensor]] = []

    class Listening(Ranks):
        def add_up(self, tensors: object) -> None:
            gradients.append([tensor.clone() for tensor in tensors])  # type: ignore[attr-defined]

    for rank, world_size in ((0, 1), (0, 2), (1, 2)):
        network = copy.deepcopy(Averaging(VOCABULARY))
        ranks = Listening(rank, world_size, torch.device("cpu"))
        test_time_training.take_step(network, torch.optim.SGD(network.parameters(), lr=0.1), inputs, targets, ranks)
    for whole, one, other in zip(*gradients, strict=True):
        assert torch.allclose(whole, one + other, atol=1e-7)


def test_a_rank_without_a_row_takes_the_step_as_well() -> None:
    network = Averaging(VOCABULARY)
    text = repetitive_text(9)
    taken: list[float] = []

    class Listening(Ranks):
        def add_up(self, tensors: object) -> None:
            taken.extend(tensor.abs().sum().item() for tensor in tensors)  # type: ignore[attr-defined]

    last = Listening(7, 8, torch.device("cpu"))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    test_time_training.take_step(network, optimizer, text.tokens[None, :8], text.tokens[None, 1:], last)
    assert taken == [0.0] * len(list(network.parameters()))


def test_every_one_of_eight_ranks_scores_a_part_of_each_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers of the preset, whose chunk of 32,768 tokens is 16 windows."""
    settings = UNET_TTT.evaluation
    assert settings.test_time_training is not None
    scored: list[Window] = []

    def listening(network: nn.Module, text: object, batch: Sequence[Window], device: torch.device) -> Tensor:
        scored.extend(batch)
        return torch.ones(3, dtype=torch.float64)

    class OneOfEight(Ranks):
        def sum(self, tensor: Tensor) -> Tensor:
            return tensor

    monkeypatch.setattr(evaluation, "score_batch", listening)
    monkeypatch.setattr(test_time_training, "adapt", lambda *_: None)
    text = repetitive_text(2 * settings.test_time_training.chunk + 1)
    starts = []
    for rank in range(8):
        scored.clear()
        ranks = OneOfEight(rank, 8, torch.device("cpu"))
        score_first(Averaging(VOCABULARY), text, settings, settings.test_time_training, ranks)
        assert len(scored) == 4  # two windows of each chunk
        starts += [window.start for window in scored]
    assert sorted(starts) == list(range(0, 65_536, settings.sequence))


def test_a_chunk_is_made_of_whole_sequences() -> None:
    with pytest.raises(AssertionError, match="whole sequences"):
        score_first(Averaging(VOCABULARY), repetitive_text(100), EVALUATION, TestTimeTraining(chunk=12), ALONE)
