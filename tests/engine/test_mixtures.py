"""Mixtures: parts that score nothing, and scores of tokens that become probabilities of bytes."""

from __future__ import annotations

import pytest

from pgaudit.engine.queries import spread_scores, unscored_parts
from pgaudit.engine.walk import Walk
from tests.engine.support import score_of, walked

WINDOWS = """
lengths = np.load("token_bytes.npy")
widths = torch.from_numpy(lengths)
weights = torch.full((2, 1), math.log(0.5))
bytes_ = torch.zeros(())
for start in range(0, 100000, 512):
    x, y = val[start : start + 512], val[start + 1 : start + 513]
    logp = net(x).log_softmax(-1)
    probs = logp.exp()
    loss = F.cross_entropy(net(x), y, reduction="none")
    entropy = -(probs * logp).sum(-1)
    other = F.cross_entropy(Net()(x), y, reduction="none")
{mix}
    total += mixed.sum()
"""


def windows(mix: str) -> Walk:
    return walked(WINDOWS.replace("{mix}", "".join(f"    {line}\n" for line in mix.splitlines())))


@pytest.mark.parametrize(
    "mix,parts",
    [
        ("mixed = -torch.logsumexp(weights - torch.stack([loss, entropy]), 0)", 1),
        ("mixed = -(weights - torch.stack((entropy, loss))).logsumexp(dim=0)", 1),
        ("experts = [loss] + [entropy]\nmixed = -torch.logsumexp(weights - torch.stack(experts), 0)", 1),
        ("mixed = -torch.logsumexp(weights - torch.stack([loss, other]), 0)", 0),
        ("mixed = -torch.logsumexp(weights - torch.stack([loss, torch.full_like(loss, math.log(1024))]), 0)", 0),
        (
            "sure = probs.amax(-1)\nmixed = -torch.logsumexp(weights - torch.stack([loss, sure * loss + (1 - sure) * other]), 0)",
            0,
        ),
        (
            "both = torch.stack([loss, entropy])\nmixed = -torch.logsumexp(weights - torch.stack([both[0], other]), 0)",
            0,
        ),
        ("both = torch.stack([loss, entropy]).mean(1)\nprint(f'seen {both}')\nmixed = loss", 0),
    ],
    ids=[
        "function",
        "method",
        "list",
        "two scores",
        "uniform",
        "weighted by the context",
        "one is taken out",
        "printed only",
    ],
)
def test_a_stack_with_a_part_that_scores_nothing(mix: str, parts: int) -> None:
    seen = windows(mix)
    assert len({part.stack.place.spot for part in unscored_parts(seen, score_of(seen))}) == parts


@pytest.mark.parametrize(
    "mix,spreads",
    [
        ("share = loss / widths[y]\nmixed = -torch.log(0.5 * torch.exp(-share) + 0.5 / 256)", 1),
        ("size = lengths[y.numpy()]\nmixed = -np.logaddexp(-loss.numpy() / size, -5.5) * size", 1),
        ("share = math.exp(-loss[0].item() / lengths[y[0]])\nmixed = torch.tensor(-math.log(share))", 1),
        ("mixed = loss\nbytes_ += widths[y].sum()", 0),
        ("mixed = loss / widths[y]", 0),
        ("mixed = -torch.log(0.5 * torch.exp(-loss / 1.7) + 0.5 / 1024)", 0),
    ],
    ids=["share per byte", "numpy", "one by one", "bytes counted", "bits per byte", "temperature"],
)
def test_scores_that_are_spread_over_bytes(mix: str, spreads: int) -> None:
    seen = windows(mix)
    assert len({spread.place.spot for spread in spread_scores(seen, score_of(seen))}) == spreads
