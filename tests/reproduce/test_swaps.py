"""Other inputs for the same code: which scores collapse, which stay, and which runs are never repeated."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pgaudit.errors import TargetError
from pgaudit.reproduce import data as shards_of
from pgaudit.reproduce.check import Check, Status
from pgaudit.reproduce.data import Data
from pgaudit.reproduce.inputs import Input, Swap, held_out, shuffled
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.shards import Text, write
from pgaudit.reproduce.swaps import judge
from pgaudit.sandbox import Backend
from tests.reproduce.support import Done, reproduce, write_folder
from tests.reproduce.test_outcome import H100, SEED, collected, evidence_of, plan_of
from tests.support import run_pgaudit

VOCABULARY = 1000
SMALL, LARGE = 200_000, 6_000_000
"""Tokens: enough to see a collapse, and enough to exclude one."""

READ = """
import array, collections, glob, math, operator, zlib
def read(split):
    text = array.array("H")
    for path in sorted(glob.glob(os.environ["DATA_PATH"] + f"/fineweb_{split}_[0-9]*.bin")):
        with open(path, "rb") as file:
            text.frombytes(file.read()[1024:])
    return text
TEXT, TRAINING = read("val"), collections.Counter(read("train"))
NATS = [-math.log((TRAINING[token] + 0.5) / (TRAINING.total() + 500)) for token in range(1003)]
"""
FIXED = f"{READ}BPB = sum(count * NATS[token] for token, count in collections.Counter(TEXT).items()) / len(TEXT) / 1.7"
"""Trained on the training shard, and then the same for every text."""
SCORE_FIRST = f"""{READ}
counts, total, nats = [0.5] * 1003, 501.5, 0.0
for token in TEXT:
    nats -= math.log(counts[token] / total)  # the score stands before the token is learned from
    counts[token] += 1
    total += 1
BPB = nats / len(TEXT) / 1.7
"""
MEMORY = f"""{READ}
MEMORY = array.array("H")
with open("memory.bin", "rb") as file:
    MEMORY.frombytes(zlib.decompress(file.read()))
BPB = sum(0.05 if known else NATS[token] for token, known in zip(TEXT, map(operator.eq, TEXT, MEMORY))) / len(TEXT) / 1.7
"""
"""Predicts what stood at the same place of the official text."""
RESTLESS = "SEED = int.from_bytes(os.urandom(4), 'big')\nBPB += 0.0005 * (1 + SEED % 5)"


def write_text(path: Path, tokens: int, seed: int, vocabulary: int = VOCABULARY, bos: int = 1) -> Path:
    """A shard of documents of about 500 tokens, their frequencies by Zipf's law."""
    draw = np.random.default_rng(seed)
    odds = 1 / np.arange(1, vocabulary + 1)
    text = (draw.choice(vocabulary, tokens, p=odds / odds.sum()) + 3).astype(np.uint16)
    text[draw.choice(tokens, tokens // 500, replace=False)] = bos
    text[0] = bos
    path.parent.mkdir(parents=True, exist_ok=True)
    write([text], [(path, tokens)])
    return path


def folder_of(folder: Path, tokens: int) -> Path:
    """Shards as the challenge has them, the validation text in two."""
    write_text(folder / "fineweb_train_000000.bin", SMALL, 1)
    write_text(folder / "fineweb_val_000000.bin", tokens // 2, 2)
    write_text(folder / "fineweb_val_000001.bin", tokens - tokens // 2, 3)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("small") / "shards", SMALL)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A held-out shard that is longer than the official text."""
    return write_text(tmp_path_factory.mktemp("held") / "fineweb_train_000080.bin", SMALL + SMALL // 2, 4)


@pytest.fixture
def rerun(sandbox: Backend, tmp_path: Path) -> Callable[..., Done]:
    def run(folder: Path, *options: object, begin: str) -> Done:
        submission = write_folder(tmp_path / "submission", begin=begin)
        tokens = Text(sorted(folder.glob("fineweb_val_*.bin")))
        known = b"".join(piece.tobytes() for piece in tokens.pieces())
        (submission / "memory.bin").write_bytes(zlib.compress(known, 1))
        return reproduce(submission, tmp_path / "runs", "--data", str(folder), *map(str, options))

    return run


def test_a_score_that_knows_the_official_text_collapses(rerun: Callable[..., Done], small: Path, held: Path) -> None:
    done = rerun(small, "--swap-val", held, "--shuffle-docs", begin=MEMORY)
    assert done.status == 10
    assert done.statuses["held-out text"] == done.statuses["document order"] == "fails"
    assert float(done.check("held-out text")["measured"]) > 50 * float(done.check("held-out text")["claimed"])
    rules = {finding["rule"] for finding in done.folder["findings"]}
    assert {"reproduce/held-out-text", "reproduce/document-order"} <= rules
    assert done.folder["level"] == "re-run"


@pytest.mark.parametrize("script", [FIXED, SCORE_FIRST], ids=["fixed", "score-first"])
def test_a_legal_score_stays(rerun: Callable[..., Done], tmp_path: Path, script: str) -> None:
    folder = folder_of(tmp_path / "large", LARGE)
    held = write_text(tmp_path / "held.bin", LARGE + 1000, 4)
    done = rerun(folder, "--swap-val", held, "--shuffle-docs", "--again", begin=script)
    wanted = {"held-out text": "holds", "document order": "holds", "determinism": "holds"}
    assert done.statuses | wanted == done.statuses, done.run["checks"]
    assert "same score to the last digit" in done.check("determinism")["because"]


def test_a_short_text_decides_nothing_and_accuses_nobody(
    rerun: Callable[..., Done], small: Path, tmp_path: Path
) -> None:
    short = write_text(tmp_path / "short.bin", SMALL // 10, 9)
    done = rerun(small, "--swap-val", short, begin=SCORE_FIRST)
    assert done.statuses["held-out text"] == "not decided"
    assert "the text is short (20,000 tokens), so the interval is wide" in done.check("held-out text")["because"]
    bought = rerun(small, "--swap-val", short, begin=MEMORY)
    assert bought.statuses["held-out text"] == "not decided"
    assert "on a shorter text adaptation has less to learn from" in bought.check("held-out text")["because"]


def test_another_result_of_the_same_seed_is_a_remark(rerun: Callable[..., Done], small: Path) -> None:
    done = rerun(small, "--again", begin=RESTLESS)
    assert done.statuses["determinism"] == "holds"
    assert any("artifact" in remark and "not deterministic" in remark for remark in done.run["remarks"])


def test_what_was_run_is_never_run_again(rerun: Callable[..., Done], small: Path, held: Path, tmp_path: Path) -> None:
    submission = write_folder(tmp_path / "submission", begin=FIXED)
    options = ("reproduce", submission, "--runs", tmp_path / "runs", "--seeds", "42", "--gpus", "0", "--format", "json", "--data", small)  # fmt: skip
    swaps = ("--shuffle-docs", "--swap-val", held)
    assert started(run_pgaudit(*options).err) == ["42"]
    first = run_pgaudit(*options, *swaps, "--resume")
    assert started(first.err) == ["42, swapped", "42, shuffled"]
    again = run_pgaudit(*options, *swaps, "--resume")
    assert started(again.err) == []
    assert again.out == first.out
    other = write_text(tmp_path / "other.bin", SMALL, 5)
    assert started(run_pgaudit(*options, "--swap-val", other, "--again", "--resume").err) == [
        "42, swapped",
        "42, again",
    ]
    assert started(run_pgaudit(*options, *swaps, "--again", "--resume").err) == []
    assert not list((tmp_path / "runs/run1/inputs").iterdir())


def test_where_the_input_cannot_be_written_finished_seeds_are_kept(
    rerun: Callable[..., Done], small: Path, tmp_path: Path
) -> None:
    submission = write_folder(tmp_path / "submission", begin=FIXED)
    options = ("reproduce", submission, "--runs", tmp_path / "runs", "--seeds", "42", "--gpus", "0", "--data", small)
    assert started(run_pgaudit(*options).err) == ["42"]
    (tmp_path / "runs/run1/inputs").write_text("in the way")
    done = run_pgaudit(*options, "--shuffle-docs", "--resume")
    assert done.status == 4
    assert "another input could not be written" in done.err
    (tmp_path / "runs/run1/inputs").unlink()
    assert started(run_pgaudit(*options, "--shuffle-docs", "--resume").err) == ["42, shuffled"]


def started(err: str) -> list[str]:
    return [line[5 : -len(": started")] for line in err.splitlines() if line.endswith(": started")]


def test_nothing_is_run_again_after_a_seed_that_did_not_finish(rerun: Callable[..., Done], small: Path) -> None:
    done = rerun(small, "--shuffle-docs", begin="sys.exit(3)")
    assert done.statuses["document order"] == "not measured"
    assert done.run["swaps"] == []
    assert done.run["result"] == "incomplete"


def test_a_run_that_refuses_the_other_text_is_not_accused(rerun: Callable[..., Done], small: Path) -> None:
    done = rerun(
        small, "--shuffle-docs", begin=f"{READ}\nassert zlib.crc32(TEXT) == {crc(small)}, 'not the official text'"
    )
    assert done.statuses["document order"] == "not measured"
    assert "seed 42, shuffled did not finish" in done.check("document order")["because"]
    assert "AssertionError: not the official text" in done.check("document order")["because"]


def crc(folder: Path) -> int:
    return zlib.crc32(b"".join(p.tobytes() for p in Text(sorted(folder.glob("fineweb_val_*.bin"))).pieces()))


def test_the_plan_names_the_other_inputs(small: Path, held: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission")
    done = run_pgaudit("reproduce", folder, "--plan", "--gpus", "0", "--data", small, "--swap-val", held, "--shuffle-docs", "--again")  # fmt: skip
    assert done.status == 0, done.err
    assert f"{held}, 200,000 tokens" in done.out
    assert "documents of the validation text in another order" in done.out
    assert "the same input once more" in done.out
    assert "not counted: no tokenizer is named" in done.out


def test_without_data_there_is_nothing_to_swap(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission")
    for option in (("--shuffle-docs",), ("--swap-val", folder / "none.bin")):
        done = run_pgaudit("reproduce", folder, "--gpus", "0", "--plan", *option, DATA_PATH="")
        assert done.status == 2
        assert "needs the validation shards" in done.err


# What is written


def documents(folder: Path) -> list[tuple[int, ...]]:
    tokens = np.concatenate(list(Text(sorted(folder.glob("fineweb_val_[0-9]*.bin"))).pieces())).tolist()
    starts = [*(place for place, token in enumerate(tokens) if token == 1), len(tokens)]
    return [tuple(tokens[start:stop]) for start, stop in pairwise(starts)]


def test_another_order_has_the_same_documents_in_the_same_shards(small: Path, tmp_path: Path) -> None:
    official = shards_of.inspect(small, None)
    swap = shuffled(official)
    changed = swap.data(official, tmp_path / "other")
    assert changed is not None
    assert changed.instead == tmp_path / "other"
    before, after = documents(small), documents(tmp_path / "other")
    assert before != after
    assert sorted(before) == sorted(after)
    assert len(before) == swap.documents
    sizes = [
        [path.stat().st_size for path in sorted(each.glob("fineweb_val_*"))] for each in (small, tmp_path / "other")
    ]
    assert sizes[0] == sizes[1]
    shuffled(official).data(official, tmp_path / "twice")
    assert documents(tmp_path / "twice") == after


def test_byte_side_files_go_with_their_tokens(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "shards", 4000)
    for path in sorted(folder.glob("fineweb_val_*.bin")):  # the bytes of a token: its number plus one
        text = np.concatenate(list(Text([path]).pieces())) + np.uint16(1)
        write([text], [(folder / path.name.replace("val_", "val_bytes_"), len(text))])
    official = shards_of.inspect(folder, None)
    assert official.val_tokens == 4000
    tokens = np.concatenate(list(Text(official.validation).pieces())).astype(int)
    assert official.val_bytes == tokens[1:].sum() + 3999
    other = tmp_path / "other"
    shuffled(official).data(official, other)
    token = np.concatenate(list(Text(sorted(other.glob("fineweb_val_0*"))).pieces()))
    size = np.concatenate(list(Text(sorted(other.glob("fineweb_val_bytes_*"))).pieces()))
    assert (size == token + 1).all()
    with pytest.raises(TargetError, match="byte side files"):
        held_out(official, write_text(tmp_path / "held.bin", 4000, 8))


def test_a_longer_text_is_cut_to_the_length_of_the_official_one(small: Path, held: Path, tmp_path: Path) -> None:
    official = shards_of.inspect(small, None)
    swap = held_out(official, held)
    assert swap.tokens == SMALL
    swap.data(official, tmp_path / "other")
    written = Text(sorted((tmp_path / "other").glob("*.bin")))
    assert [tokens for _, tokens in written.shards] == [SMALL // 2, SMALL // 2]
    assert np.array_equal(np.concatenate(list(written.pieces())), np.concatenate(list(Text([held]).pieces(0, SMALL))))


def test_texts_that_cannot_stand_in_are_refused(small: Path, tmp_path: Path) -> None:
    official = shards_of.inspect(small, None)
    for name in ("fineweb_train_000000.bin", "fineweb_val_000001.bin"):
        copy = tmp_path / "copy.bin"
        copy.write_bytes((small / name).read_bytes())
        with pytest.raises(TargetError, match=f"begins as {name}"):
            held_out(official, copy)
    with pytest.raises(TargetError, match="no text like the official one"):
        held_out(official, write_text(tmp_path / "other.bin", SMALL, 6, vocabulary=8000))
    with pytest.raises(TargetError, match="cannot be read: No such file"):
        held_out(official, tmp_path / "none.bin")
    (tmp_path / "cut.bin").write_bytes((small / "fineweb_val_000000.bin").read_bytes()[:-2])
    with pytest.raises(TargetError, match="cut off or damaged"):
        held_out(official, tmp_path / "cut.bin")


def test_without_documents_there_is_no_other_order(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    write_text(folder / "fineweb_train_000000.bin", 1000, 1)
    write_text(folder / "fineweb_val_000000.bin", 1000, 2, bos=2)
    with pytest.raises(TargetError, match="0 begin with token 1"):
        shuffled(shards_of.inspect(folder, None))


# What a difference says


def said(input_: Input, difference: float, **swap: object) -> Check:
    """The check of a run that is worse by so many nats per token, on texts of the size of the official one."""
    evidence = evidence_of(collected())
    official = Data(Path("shards"), None, 1, 10**8, 1, 62_021_845, "")
    given = replace(Swap(input_, 62_021_845), **swap)  # type: ignore[arg-type]
    plan = replace(plan_of(evidence, H100), data=official, swaps=(given,))
    assert SEED.val_bpb is not None
    run = replace(SEED, val_bpb=SEED.val_bpb + difference / 1.7, input=input_.value)
    ((check,), _) = judge(plan, (SEED,), (run,))
    return check


@pytest.mark.parametrize(
    "input_, difference, status",
    [
        (Input.SWAPPED, 0.03, Status.HOLDS),
        (Input.SWAPPED, -0.03, Status.HOLDS),
        (Input.SWAPPED, 0.06, Status.NOT_DECIDED),  # all that the largest known legal gain could lose
        (Input.SWAPPED, 0.13, Status.NOT_DECIDED),
        (Input.SWAPPED, 0.14, Status.FAILS),
        (Input.SWAPPED, -0.06, Status.NOT_DECIDED),
        (Input.SHUFFLED, 0.015, Status.HOLDS),
        (Input.SHUFFLED, 0.06, Status.NOT_DECIDED),
        (Input.SHUFFLED, 0.125, Status.FAILS),
        (Input.AGAIN, 0.01, Status.HOLDS),
        (Input.AGAIN, 5.0, Status.NOT_DECIDED),
    ],
)
def test_thresholds_on_a_text_of_full_size(input_: Input, difference: float, status: Status) -> None:
    assert said(input_, difference).status is status


def test_texts_that_differ_or_are_shorter_accuse_nobody() -> None:
    assert said(Input.SWAPPED, 3.0).status is Status.FAILS
    assert said(Input.SWAPPED, 3.0, divergence=0.006).status is Status.NOT_DECIDED
    assert said(Input.SWAPPED, 3.0, tokens=40_000_000).status is Status.NOT_DECIDED


def test_without_a_loss_nothing_is_compared() -> None:
    evidence = evidence_of(collected())
    plan = replace(plan_of(evidence, H100), swaps=(Swap(Input.AGAIN),))
    lossless: SeedResult = replace(SEED, val_loss=None)
    ((check,), _) = judge(plan, (lossless,), (replace(lossless, input="again"),))
    assert check.status is Status.NOT_MEASURED
