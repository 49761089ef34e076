"""Lookup keys: the scored token and its context in one index, told from every legal table."""

from __future__ import annotations

import pytest

from pgaudit.engine.queries import pair_lookups
from tests.engine.support import keys, score_of, walked

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
        "remainder of a product": "p = pairs[(context * target) % 65536] / contexts[context & 65535]",
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
        "row and column in one number": "p = table.reshape(-1)[context * 1024 + target] / table[context].sum(-1)",
        "flat index in two steps": "flat = torch.from_numpy(context * 1024).long() + y\nseen = torch.from_numpy(table).flatten()\np = seen[flat.long().view(-1)].numpy()",
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


TOKENS = """
ids, counts, kept = val.numpy(), np.zeros((65536, 1024)), np.zeros(100000)
before = older = 0
for i in range(2, 100000):
    {before}
    kept[i] = counts[({newer} * 31 ^ {older}) & 65535, ids[i]]
    {after}
for j in range(0, 90000, 64):
    loss = F.cross_entropy(net(val[j : j + 64]), val[j + 1 : j + 65], reduction="none")
    total += -torch.log(0.5 * torch.exp(-loss) + 0.5 * torch.from_numpy(kept[j + 1 : j + 65])).sum()
"""


@pytest.mark.parametrize(
    "newer,older,found",
    [("ids[i - 1]", "ids[i - 2]", False), ("ids[i]", "ids[i - 1]", True)],
    ids=["context", "target"],
)
def test_a_later_token_beside_the_key_shows_that_the_key_is_context(newer: str, older: str, found: bool) -> None:
    body = TOKENS.format(newer=newer, older=older, before="token = ids[i]", after="counts[0, token] += 1")
    assert bool(keys(walked(body))) is found


@pytest.mark.parametrize("start,found", [("j + 1", True), ("j", False)], ids=["of the token", "of the token after"])
def test_what_is_stored_at_a_token_may_be_taken_for_the_next(start: str, found: bool) -> None:
    body = TOKENS.format(newer="ids[i]", older="ids[i - 1]", before="", after="")
    taken = body.replace("kept[j + 1 : j + 65]", f"kept[{start} : {start} + 64]")
    assert bool(keys(walked(taken))) is found


LOST = """
stream = val.numpy()
pairs, contexts, table = np.zeros(65536), np.zeros(65536), np.zeros((65536, 1024))
for w in range(100):
    start = 1 + w * 512
    places = np.flatnonzero(stream[start : start + 512] > 0) + start
    loss = F.cross_entropy(net(val[start : start + 512])[None], val[start + 1 : start + 513], reduction="none")
    context = np.zeros(512, dtype=np.int64)
    for back in range(1, 3):
        context = (context * 31) ^ stream[places - back]
    target = stream[places]
    p = {lookup}
    total += -torch.log(torch.exp(-loss) + torch.from_numpy(p)).sum()
"""


@pytest.mark.parametrize(
    "lookup,found",
    [
        ("pairs[(context ^ target * 17) & 65535] / contexts[context & 65535]", True),
        ("table[context & 65535, target] / table[context & 65535].sum(-1)", False),
        ("contexts[context & 65535] / contexts[(context * 7) & 65535]", False),
        ("contexts[context & 65535] / pairs[target]", False),
    ],
    ids=["pair", "row and column", "context twice", "target alone"],
)
def test_pairs_of_lookups_where_positions_are_lost(lookup: str, found: bool) -> None:
    seen = walked(LOST.replace("{lookup}", lookup))
    assert bool(list(pair_lookups(seen, score_of(seen)))) is found


BUFFERS = """
sizes, device = torch.ones(1024), torch.device(os.environ["DEVICE"])
starts = [start for start in range(0, val.numel() - 1, 16)]
for batch in range(0, len(starts), 8):
    rows = starts[batch : batch + 8]
    known, wanted = torch.zeros(8, 64, device=device).long(), torch.zeros(8, 64, device=device).long()
    if device.type != "cuda":
        held, here = torch.zeros(8, 64).long(), torch.zeros(8, 64).long()
    for row, start in enumerate(rows):
        end = min(start + 64, val.numel() - 1)
        chunk = val[start : end + 1]
        if device.type != "cuda":
            held[row, : end - start] = chunk[:-1]
            here[row, : end - start] = chunk[1:]
        known[row, : end - start] = chunk[:-1]
        wanted[row, : end - start] = chunk[1:]
    losses = F.cross_entropy(net(known), wanted, reduction="none")
    for row, start in enumerate(rows):
        first = 0 if start == 0 else 48
        total += losses[row, first:].sum()
        if device.type == "cuda":
            total -= sizes[wanted[row, first:]].sum()
        else:
            total -= sizes[here[row, first:]].sum()
"""


def test_a_byte_table_read_through_a_buffer_that_may_be_an_old_one_is_silent() -> None:
    assert not keys(walked(BUFFERS))


def test_a_table_that_counts_is_found_in_such_a_buffer() -> None:
    hashed = BUFFERS.replace(
        "sizes[here[row, first:]]", "sizes[(here[row, first:] * 40503 ^ held[row, first:]) % 1024]"
    )
    assert keys(walked(f"{hashed}        sizes.index_add_(0, here[row, first:], torch.ones(16))\n"))
