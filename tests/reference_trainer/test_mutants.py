"""One edit of the reference trainer per illegal mechanism: the auditor finds it, and nothing in the unedited trainer."""

from dataclasses import dataclass
from functools import cache

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.finding import Severity
from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from tests.support import submission

NO_RUN = {"files/missing"}  # a script alone shows no run


@dataclass(frozen=True)
class Mutant:
    """An edit of a bundled script, as pairs of texts that each stand in one place, and the rule that it breaks."""

    name: str
    preset: str
    rule: str
    edits: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.name


SCORE = '    nats = F.cross_entropy(logits[scored].float(), targets[scored], reduction="none")\n'
FORWARD = "        logits = network(inputs)  # (B, L, V)\n"
BATCH = "def score_batch("
SCORE_FIRST = """\
        total += score_positions(network, text, first, last, settings, ranks)
        if last < positions:
            adapt(network, optimizer, text.tokens[first : last + 1], settings.sequence, adaptation, ranks)
"""
TRAIN_FIRST = """\
        adapt(network, optimizer, text.tokens[first : last + 1], settings.sequence, adaptation, ranks)
        total += score_positions(network, text, first, last, settings, ranks)
"""
CHUNKS = "    for first in range(0, positions, adaptation.chunk):\n"
MIXED = "    nats = -torch.log(0.9 * torch.exp(-nats) + 0.1 * {share})\n"
FIT = """\
            with torch.enable_grad():
                F.cross_entropy((logits.detach() + {delta})[scored].float(), targets[scored]).backward()
            torch.optim.SGD([{delta}], lr=0.1).step()
            logits = logits + {delta}
"""

MUTANTS = (
    Mutant("a chunk is trained on before it is scored", "unet-ttt", "ttt/prequant", ((SCORE_FIRST, TRAIN_FIRST),)),
    Mutant(
        "the whole text is trained on before any of it is scored",
        "unet-ttt",
        "ttt/prequant",
        ((CHUNKS, "    adapt(network, optimizer, text.tokens, settings.sequence, adaptation, ranks)\n" + CHUNKS),),
    ),
    Mutant(
        "a second pass over all chunks is the one that counts",
        "unet-ttt",
        "ttt/last-epoch",
        (
            (
                CHUNKS + "        last = min(first + adaptation.chunk, positions)\n" + SCORE_FIRST,
                "    for _ in range(2):\n        total.zero_()\n"
                + "".join(
                    f"    {line}\n"
                    for line in (
                        CHUNKS
                        + "        last = min(first + adaptation.chunk, positions)\n"
                        + SCORE_FIRST.replace("        if last < positions:\n    ", "")
                    ).splitlines()
                ),
            ),
        ),
    ),
    Mutant(
        "a shift of the logits is fitted on the tokens that it is scored on",
        "baseline",
        "ttt/slot",
        (
            (
                FORWARD,
                FORWARD
                + "            delta = torch.zeros(logits.size(-1), device=device, requires_grad=True)\n".replace(
                    "            ", "        ", 1
                )
                + FIT.replace("            ", "        ").format(delta="delta"),
            ),
        ),
    ),
    Mutant(
        "one shift for overlapping windows",
        "count-bigram",
        "ttt/slot",
        (
            (BATCH, "DELTA = torch.zeros(1024, requires_grad=True)\n\n\n" + BATCH),
            (FORWARD, FORWARD + FIT.replace("            ", "        ").format(delta="DELTA")),
        ),
    ),
    Mutant(
        "the better of two predictions",
        "baseline",
        "mixing/oracle",
        (
            (
                SCORE,
                SCORE
                + '    nats = torch.minimum(nats, F.cross_entropy(logits[scored].float() / 2, targets[scored], reduction="none"))\n',
            ),
        ),
    ),
    Mutant(
        "help where the loss is high",
        "baseline",
        "mixing/target-gate",
        ((SCORE, SCORE + "    nats = torch.where(nats > 4.0, 0.5 * nats, nats)\n"),),
    ),
    Mutant(
        "the target is taken out of a mask",
        "baseline",
        "mixing/target-gate",
        (
            (
                SCORE,
                "    masked = logits < logits.amax(-1, keepdim=True) - 8\n"
                "    masked.scatter_(-1, targets[..., None], False)\n"
                "    logits = logits.masked_fill(masked, -math.inf)\n" + SCORE,
            ),
        ),
    ),
    Mutant(
        "the target in the key of a cache",
        "sp8192-sdclip",
        "ngram/target-in-key",
        (
            ("    covering = list(", "    table = torch.zeros(65_536, dtype=torch.float64)\n    covering = list("),
            ("batches[number], ranks.device)", "batches[number], ranks.device, table)"),
            ("Sequence[Window], device: torch.device)", "Sequence[Window], device: torch.device, table: Tensor)"),
            (
                SCORE,
                SCORE
                + "    key = (inputs[scored] * 36_313 ^ targets[scored]) % len(table)\n"
                + MIXED.format(share="table[key] / (1 + table.sum())")
                + "    table.index_add_(0, key, torch.ones_like(nats))\n",
            ),
        ),
    ),
    Mutant(
        "a cache that has counted the whole text",
        "baseline",
        "ngram/two-pass",
        (
            (BATCH, "TABLE = torch.zeros(1024, 1024, dtype=torch.float64)\n\n\n" + BATCH),
            (
                SCORE,
                SCORE
                + MIXED.format(share="(TABLE / (1 + TABLE.sum(1, keepdim=True)))[inputs[scored], targets[scored]]"),
            ),
            (
                '    """The whole validation text under fixed weights."""\n',
                (
                    "    score_positions(network, text, 0, len(text.tokens) - 1, settings, ranks)\n"
                    "    for place in range(len(text.tokens) - 1):\n"
                    "        TABLE[text.tokens[place], text.tokens[place + 1]] += 1\n"
                ),
            ),
        ),
    ),
    Mutant(
        "the leading space is counted twice",
        "baseline",
        "bytes/table",
        (("len(piece.removeprefix(BLANK).replace(", "len(piece.replace("),),
    ),
    Mutant(
        "the space marker is counted as it is spelt",
        "baseline",
        "bytes/table",
        (('.replace(BLANK, " ").encode())', ".encode()) + 2 * piece.startswith(BLANK)"),),
    ),
    Mutant("the mask is missing", "baseline", "network/looks-ahead", (("is_causal=True, ", ""),)),
    Mutant(
        "the trained weights are scored, not those of the artifact",
        "baseline",
        "artifact/kept-weights",
        (
            (
                "    trained.network.load_state_dict(read_artifact(artifact))\n",
                (
                    "    kept = {name: weight.clone() for name, weight in trained.network.state_dict().items()}\n"
                    "    trained.network.load_state_dict(read_artifact(artifact))\n"
                    '    log(f"roundtrip val_bpb:{score_artifact(trained.network, text, preset, ranks).val_bpb:.4f}")\n'
                    "    trained.network.load_state_dict(kept)\n"
                ),
            ),
        ),
    ),
    Mutant(
        "the quantiser is calibrated on validation tokens",
        "sp8192-sdclip",
        "calibration/validation",
        (
            (
                "        inputs, _ = stream.next_batch(sequences_per_part(settings), settings.sequence)\n",
                '        inputs = read_tokens(required_shards(Path("data"), "val"))[: settings.sequence][None]\n',
            ),
        ),
    ),
    Mutant(
        "training reads the validation shards",
        "baseline",
        "ttt/prequant",
        (('self.paths = required_shards(folder, "train")', 'self.paths = required_shards(folder, "val")'),),
    ),
)


@cache
def found(script: str) -> frozenset[str]:
    """The rules that accuse a script or have something for a person to look at; with what could not be decided."""
    report = audit(submission(script), rulebook.load(), policy.load()).submissions[0]
    rules = {finding.rule for finding in report.findings if finding.severity is not Severity.NOTE}
    return frozenset((rules | {gap.check for gap in report.gaps}) - NO_RUN)


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_is_found_in_the_trainer(preset: str) -> None:
    assert found(bundle(PRESETS[preset])) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_an_edit_is_found(mutant: Mutant) -> None:
    script = bundle(PRESETS[mutant.preset])
    for old, new in mutant.edits:
        assert script.count(old) == 1, old
        script = script.replace(old, new)
    compile(script, "train_gpt.py", "exec")
    assert found(script) == {mutant.rule}
