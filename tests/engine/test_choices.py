"""Choices: what a comparison of scores, or a property of the scored token, decides about the score itself."""

from __future__ import annotations

import pytest

from pgaudit.engine.queries import choices, marked_targets, target_gates
from pgaudit.engine.walk import Walk
from tests.engine.support import score_of, walked

WINDOWS = """
other = Net()
seen = torch.ones(1024)
lengths = torch.from_numpy(np.load("opens_word.npy"))
for start in range(0, 100000, 512):
    x, y = val[start : start + 512], val[start + 1 : start + 513]
    a, b = F.cross_entropy(net(x), y, reduction="none"), F.cross_entropy(other(x), y, reduction="none")
    probs = net(x).softmax(-1)
    entropy = -(probs * probs.log()).sum(-1)
{choose}
    total += kept.sum()
    seen += torch.bincount(y, minlength=1024)
"""


def windows(choose: str, before: str = "") -> Walk:
    return walked(before + WINDOWS.replace("{choose}", "".join(f"    {line}\n" for line in choose.splitlines())))


def kinds(seen: Walk) -> set[str]:
    """``oracle`` where the better score is kept, ``gate`` where one score decides."""
    return {"oracle" if choice.oracle else "gate" for choice in choices(seen, score_of(seen))}


HELPER = "def pick(one, two):\n    if one.mean() < two.mean():\n        return one\n    return two\n"


@pytest.mark.parametrize(
    "choose",
    {
        "where": "kept = torch.where(a < b, a, b)",
        "numpy where": "kept = np.where(b > a, a, b)",
        "minimum": "kept = torch.minimum(a, b)",
        "method": "kept = a.minimum(b)",
        "min": "kept = min(a.sum(), b.sum())",
        "mask": "better = b < a\na[better] = b[better]\nkept = a",
        "mask as a number": "better = (b < a).float()\nkept = better * b + (1 - better) * a",
        "branch": "kept = a\nif b.mean() < a.mean():\n    kept = b",
        "expression": "kept = b if b.mean() < a.mean() else a",
        "return": "kept = pick(a, b)",
    }.items(),
    ids=lambda item: item[0],
)
def test_the_better_of_two_scores_is_an_oracle(choose: tuple[str, str]) -> None:
    assert kinds(windows(choose[1], HELPER)) == {"oracle"}


@pytest.mark.parametrize(
    "choose",
    {
        "where": "kept = torch.where(a > 4.0, 0.5 * a + 0.5 * b, a)",
        "branch": "kept = a\nif a.mean() > 4.0:\n    kept = 0.5 * a + 0.5 * b",
        "against the entropy": "kept = torch.where(a > entropy, b, a)",
        "at the target": "chosen = probs[torch.arange(512), y]\nkept = torch.where(chosen < 0.1, b, -chosen.log())",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_score_that_decides_about_itself_is_a_gate(choose: tuple[str, str]) -> None:
    assert kinds(windows(choose[1])) == {"gate"}


@pytest.mark.parametrize(
    "choose",
    {
        "mean": "kept = 0.5 * a + 0.5 * b",
        "entropy": "kept = torch.where(entropy > 3.0, b, a)",
        "largest probability": "kept = torch.where(probs.amax(-1) < 0.5, b, a)",
        "counts of the context": "kept = torch.where(seen[x] > 8, b, a)",
        "larger": "kept = a\nif start > 4096:\n    kept = b",
        "printed only": "kept = a\nif b.mean() < a.mean():\n    print('the other network is better')",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_known_before_the_token_may_decide(choose: tuple[str, str]) -> None:
    assert kinds(windows(choose[1])) == set()


def test_a_comparison_of_totals_after_the_loop_is_no_choice_of_tokens() -> None:
    body = """
    best = torch.zeros(())
    for j in range(100):
        total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
        best += F.cross_entropy(Net()(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
    total = min(total, best)
    """
    assert kinds(walked(body)) == set()


def test_the_best_of_several_runs_is_no_choice_of_tokens() -> None:
    body = """
    for seed in range(3):
        nats = torch.zeros(())
        for j in range(100):
            nats += F.cross_entropy(Net()(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
        total = min(total, nats)
    """
    assert kinds(walked(body)) == set()


STREAM = """
ids, opens = val.numpy(), np.load("opens_word.npy")
latest, hints, ring, waiting = np.zeros(65536), np.zeros(100000), np.zeros(8), 0
word = 0
for i in range(1, 100000):
    previous, token = ids[i - 1], ids[i]
{decide}
    latest[word & 65535] = token
    word = 0 if opens[token] else word * 31 + token
for j in range(0, 90000, 64):
    x, y = val[j : j + 64], val[j + 1 : j + 65]
    total += (F.cross_entropy(net(x), y, reduction="none") - torch.from_numpy(hints[j + 1 : j + 65])).sum()
"""


@pytest.mark.parametrize(
    "decide,gates",
    [
        ("if not opens[token]:\n    hints[i] = latest[word & 65535]", 1),
        ("inside = 1 - opens[token]\nif inside and latest[word & 65535] > 0:\n    hints[i] = latest[word & 65535]", 1),
        ("if not opens[previous]:\n    hints[i] = latest[word & 65535]", 0),
        ("if waiting:\n    hints[i] = latest[word & 65535]\nwaiting = 0\nif not opens[token]:\n    waiting = 1", 0),
        ("hints[i] = ring[0]\nif not opens[token]:\n    ring[0] = 7", 0),
        ("if latest[word & 65535] > 2:\n    hints[i] = latest[word & 65535]", 0),
    ],
    ids=["class of the token", "and a count", "class before", "flag for the next", "kept for the next", "count"],
)
def test_gates_on_a_property_of_the_token(decide: str, gates: int) -> None:
    seen = walked(STREAM.replace("{decide}", "".join(f"    {line}\n" for line in decide.splitlines())))
    found = {gate.choice.place.spot for gate in target_gates(seen, score_of(seen))}
    assert len(found) == gates


MARKED = """
for i in range(100):
    seen, wanted = val[i * 64 : i * 64 + 64], val[i * 64 + {gap} : i * 64 + {gap} + 64]
    scores = net(seen).clone()
    scores.scatter_(-1, {place}[..., None], 9.0)
    total += F.cross_entropy(scores, wanted)
"""


@pytest.mark.parametrize(
    "gap, place, found",
    [(1, "wanted", True), (1, "seen", False), (0, "wanted", False)],
    ids=["the target", "the context", "a diffusion, which is given the places that it scores"],
)
def test_logits_that_are_changed_at_the_target_are_found(gap: int, place: str, found: bool) -> None:
    seen = walked(MARKED.format(gap=gap, place=place))
    assert bool(list(marked_targets(seen, score_of(seen)))) is found
