"""Tables: which counts stood in them before the score that is printed, and how they were written."""

from __future__ import annotations

import pytest

from pgaudit.engine.queries import rescored
from pgaudit.engine.walk import Walk
from tests.engine.support import orders, score_of, walked

COUNT = "np.add.at(table, (ids[start : start + 512], ids[start + 1 : start + 513]), 1.0)"
FIRST = "first += F.cross_entropy(net(val[start : start + 512]), val[start + 1 : start + 513])"
PASSES = """
ids, table, first = val.numpy(), np.ones((1024, 1024)), torch.zeros(())
def odds(start):
    known, targets = ids[start : start + 512], ids[start + 1 : start + 513]
    return table[known, targets] / table[known].sum(-1)
{before}
for start in range(0, 100000, 512):
    loss = F.cross_entropy(net(val[start : start + 512]), val[start + 1 : start + 513], reduction="none")
    total += -torch.log(0.8 * torch.exp(-loss) + 0.2 * torch.from_numpy(odds(start))).sum()
    {count}
"""


def passes(before: str = "", count: str = "pass") -> Walk:
    return walked(PASSES.replace("{before}", before).replace("{count}", count))


def loop(*body: str) -> str:
    return "for start in range(0, 100000, 512):\n" + "".join(f"    {line}\n" for line in body)


@pytest.mark.parametrize(
    "before,count,found",
    [
        (loop(FIRST, COUNT), "pass", True),
        (loop(FIRST, COUNT), COUNT, True),
        (loop(FIRST), COUNT, False),
        (loop(COUNT), "pass", False),
        (
            loop(FIRST, COUNT.replace("ids", "train")).replace("for", 'train = read("fineweb_train_*.bin")\nfor', 1),
            "pass",
            False,
        ),
        (loop(FIRST, COUNT) + "table = np.ones((1024, 1024))\n", COUNT, False),
    ],
    ids=["two passes", "counted twice", "one pass", "prefix", "training tokens", "begun anew"],
)
def test_a_second_pass_over_scored_tokens(before: str, count: str, found: bool) -> None:
    seen = passes(before, count)
    assert bool(list(rescored(seen, score_of(seen)))) is found


def test_leaving_the_own_count_out_is_a_second_pass() -> None:
    body = """
    ids, probs = val.numpy(), []
    for start in range(0, 100000, 512):
        probs.append(torch.exp(-F.cross_entropy(net(val[start : start + 512]), val[start + 1 : start + 513], reduction="none")))
    table = np.bincount(ids[:-1] * 1024 + ids[1:], minlength=1 << 20).reshape(1024, 1024)
    for number, neural in enumerate(probs):
        known, targets = ids[number * 512 : number * 512 + 512], ids[number * 512 + 1 : number * 512 + 513]
        own = table[known, targets] - 1.0
        total += -torch.log(0.8 * neural + 0.2 * torch.from_numpy(own / table[known].sum(-1))).sum()
    """
    seen = walked(body)
    assert list(rescored(seen, score_of(seen)))


SCATTER = """
table = torch.zeros(1024 * 1024)
for start in range(0, 100000, 512):
    x, y = val[start : start + 512], val[start + 1 : start + 513]
    {early}
    total += F.cross_entropy(net(x) + table.view(1024, 1024)[x], y, reduction="sum")
    {late}
"""


@pytest.mark.parametrize(
    "write",
    [
        "table.scatter_add_(0, x * 1024 + y, torch.ones(512))",
        "table.index_add_(0, x * 1024 + y, torch.ones(512))",
        "table.index_put_((x * 1024 + y,), torch.ones(512), accumulate=True)",
        "table.put_(index=x * 1024 + y, source=torch.ones(512), accumulate=True)",
        "table[x * 1024 + y] += 1",
    ],
    ids=["scatter_add_", "index_add_", "index_put_", "put_", "item"],
)
def test_methods_that_write_at_given_places_count(write: str) -> None:
    assert orders(walked(SCATTER.format(early=write, late="pass"))) == {"counted"}
    assert orders(walked(SCATTER.format(early="pass", late=write))) == set()


@pytest.mark.parametrize(
    "places,values,changes",
    [
        ("y", "torch.ones(512)", {"count"}),
        ("torch.arange(512)", "y.float()", {"fit"}),
        ("torch.arange(512)", "torch.ones(512)", set()),
    ],
    ids=["places", "values", "neither"],
)
def test_places_and_values_of_a_scatter_are_apart(places: str, values: str, changes: set[str]) -> None:
    seen = walked(f"y = val[:512]\nnet.head.bias.data.scatter_add_(0, {places}, {values})\n")
    assert {update.what for update in seen.updates} == changes
