"""Lookup keys: the scored token and its context in one index, told from every legal table."""

from __future__ import annotations

import pytest

from tests.engine.support import keys, walked

FRAME = """
stream = val.numpy()
table = np.zeros((65536, 1024))
pairs = np.zeros(65536)
contexts = np.zeros(65536)
sizes = torch.from_numpy(np.load("token_bytes.npy"))
for start in range(512, 100000, 512):
    x, y = val[start : start + 512], val[start + 1 : start + 513]
    loss = F.cross_entropy(net(x[None])[0], y, reduction="none")
    places = np.arange(start + 1, start + 513)
    context = stream[places - 1] * 31 + stream[places - 2]
    target = stream[places]
{lookup}
    total += -torch.log(0.5 * torch.exp(-loss) + 0.5 * torch.from_numpy(p)).sum()
"""


def frame(lookup: str) -> str:
    return FRAME.replace("{lookup}", "".join(f"    {line}\n" for line in lookup.splitlines()))


@pytest.mark.parametrize(
    "lookup",
    {
        "one line": "p = pairs[((context * 31) ^ (target * 17)) & 65535] / contexts[context & 65535]",
        "two steps": "mixed = context ^ (target * 17)\nslot = mixed & 65535\np = pairs[slot] / contexts[context & 65535]",
        "masked": "ok = contexts[context & 65535] > 2\nslot = (context[ok] ^ target[ok]) & 65535\np = pairs[slot] / contexts[context[ok] & 65535]",
        "helper": "def slots(prefix, token):\n    return prefix & 65535, (prefix * 7 + token) & 65535\na, b = slots(context, target)\np = pairs[b] / contexts[a]",
        "from the batch": "p = pairs[(context ^ y.numpy()) & 65535] / contexts[context & 65535]",
        "take": "p = np.take(pairs, (context ^ target) & 65535) / contexts[context & 65535]",
    }.items(),
    ids=lambda item: item[0],
)
def test_the_target_in_a_key_is_found(lookup: tuple[str, str]) -> None:
    assert keys(walked(frame(lookup[1]))) > 0


@pytest.mark.parametrize(
    "lookup",
    {
        "column of a row": "p = table[context & 65535, target] / table[context & 65535].sum(-1)",
        "row, then column": "row = table[context & 65535]\np = row[np.arange(512), target] / row.sum(-1)",
        "bytes of the target": "p = 1.0 / sizes.numpy()[target]",
        "count after the score": "p = contexts[context & 65535]\nnp.add.at(pairs, (context ^ target) & 65535, 1)",
        "context only": "p = contexts[(context * 31) & 65535]",
    }.items(),
    ids=lambda item: item[0],
)
def test_legal_tables_are_silent(lookup: tuple[str, str]) -> None:
    assert keys(walked(frame(lookup[1]))) == 0


def test_a_lookup_that_reaches_no_score_is_silent() -> None:
    body = frame("unused = pairs[(context ^ target) & 65535]\np = contexts[context & 65535]")
    assert keys(walked(body)) == 0
