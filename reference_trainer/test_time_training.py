"""Score-first test-time training: the network learns from validation tokens only after their score has been taken."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.autocast import autocast
from reference_trainer.data import ValidationText
from reference_trainer.distributed import Ranks
from reference_trainer.evaluation import Score, score_positions
from reference_trainer.preset import EvaluationSettings, TestTimeTraining


def score_first(
    network: nn.Module, text: ValidationText, settings: EvaluationSettings, adaptation: TestTimeTraining, ranks: Ranks
) -> Score:
    """Scores the text chunk by chunk, and trains on each chunk once its score stands.

    The score is the sum of these first passes; no position is scored again. Nothing comes behind the last chunk, so
    nothing is learned from it. All ranks take the same steps.
    """
    assert adaptation.chunk % settings.sequence == 0, "a chunk is trained on in whole sequences"
    # A chunk is few windows: in batches as large as those of a whole text most ranks would have none of them.
    settings = replace(settings, batch_windows=adaptation.batch_windows)
    optimizer = torch.optim.SGD(network.parameters(), lr=adaptation.lr, momentum=adaptation.momentum)
    positions = len(text.tokens) - 1
    total = torch.zeros(3, dtype=torch.float64, device=ranks.device)
    for first in range(0, positions, adaptation.chunk):
        last = min(first + adaptation.chunk, positions)
        total += score_positions(network, text, first, last, settings, ranks)
        if last < positions:
            adapt(network, optimizer, text.tokens[first : last + 1], settings.sequence, adaptation, ranks)
    nats, tokens, counted = total.tolist()
    return Score(nats, tokens, counted)


def adapt(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    sequence: int,
    adaptation: TestTimeTraining,
    ranks: Ranks,
) -> None:
    """Several epochs over one chunk that has been scored, (chunk + 1,)."""
    inputs = tokens[:-1].view(-1, sequence).to(ranks.device)
    targets = tokens[1:].view(-1, sequence).to(ranks.device)
    for _ in range(adaptation.epochs):
        for start in range(0, len(inputs), adaptation.sequences_per_step):
            rows = slice(start, start + adaptation.sequences_per_step)
            take_step(network, optimizer, inputs[rows], targets[rows], ranks)


def take_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor, ranks: Ranks
) -> None:
    """One step on the mean loss of all rows; each rank has the gradient of every world-size-th of them."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)  # a rank without a row adds nothing
    own = slice(ranks.rank, None, ranks.world_size)
    if len(inputs[own]):
        with autocast(ranks.device):
            logits = network(inputs[own])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), targets[own].flatten(), reduction="sum")
        (loss / targets.numel()).backward()
    ranks.add_up([weight.grad for weight in weights if weight.grad is not None])
    optimizer.step()
