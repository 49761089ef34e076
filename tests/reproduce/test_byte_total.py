"""The bytes of the validation text, by its tokenizer; and the bytes that the printed loss and bpb imply."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgaudit.reproduce import data as shards_of
from pgaudit.reproduce import shards
from pgaudit.reproduce.check import Check, Status
from pgaudit.reproduce.data import Data
from pgaudit.reproduce.outcome import judge
from reference_trainer.data import Files, write_data
from reference_trainer.text import write_documents
from tests.reproduce.support import NATS_PER_BPB, write_folder
from tests.reproduce.test_outcome import H100, SEED, collected, evidence_of, plan_of
from tests.support import run_pgaudit

VALIDATION = 5
DOCUMENTS = write_documents(3, 50)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Shards of known documents; the first five are the validation text."""
    return write_data(DOCUMENTS, 400, tmp_path_factory.mktemp("data"), VALIDATION / len(DOCUMENTS))


def test_the_bytes_are_those_of_the_documents(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    text = sum(len(document.encode()) for document in DOCUMENTS[:VALIDATION])
    assert shards_of.inspect(files.data, files.tokenizer).val_bytes == text
    monkeypatch.setattr(shards, "PIECE", 7)  # the leading space depends on the token before, in another piece too
    assert shards_of.inspect(files.data, files.tokenizer).val_bytes == text


def test_why_there_is_no_count(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shards_of.inspect(files.data, None).val_bytes_how == "no tokenizer is named"
    other = tmp_path / "tokenizer.json"
    other.write_text("{}")
    assert shards_of.inspect(files.data, other).val_bytes_how == "the tokenizer is no SentencePiece model"
    smaller = write_data(DOCUMENTS, 330, tmp_path, 0.1)
    assert "is none of the tokenizer's 330 pieces" in shards_of.inspect(files.data, smaller.tokenizer).val_bytes_how
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    found = shards_of.inspect(files.data, files.tokenizer)
    assert (found.val_bytes, found.val_bytes_how) == (None, "sentencepiece is not installed")


def test_a_plan_shows_the_count(files: Files, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission")
    done = run_pgaudit("reproduce", folder, "--plan", "--gpus", "0", "--data", files.data, "--tokenizer", files.tokenizer)  # fmt: skip
    text = sum(len(document.encode()) for document in DOCUMENTS[:VALIDATION])
    assert f"{text:,} B, counted by the pieces of the tokenizer; the official text has 151,080,891 B" in done.out


def said(factor: float, rounding: float = 1e-5, others: float = 1.0, loss: float | None = 2.04) -> list[Check]:
    """The check of a run that divides by ``factor`` times the bytes of the text, and elsewhere by ``others`` times."""
    evidence = evidence_of(collected())
    text = Data(Path("shards"), None, 1, 10**8, 1, 10_001, "", 24_360, "by hand")
    plan = replace(plan_of(evidence, H100), data=text)
    per_token = 2.436 * factor
    bpb = 2.04 / math.log(2) / per_token
    run = replace(SEED, val_bpb=bpb, val_loss=loss, rounding=rounding, tokens_per_byte=1 / (2.436 * others))
    return [check for check in judge(evidence, plan, (SEED_OF_TEXT, run))[0] if check.name == "byte count"]


SEED_OF_TEXT = replace(SEED, val_bpb=2.04 / math.log(2) / 2.436, val_loss=2.04)


@pytest.mark.parametrize(
    "factor, others, rounding, status",
    [
        (1.0, 1.0, 1e-5, Status.HOLDS),
        (1.0029, 1.0, 1e-5, Status.HOLDS),  # the tail that the official loader drops, and more
        (1.006, 1.006, 1e-5, Status.NOT_DECIDED),  # a tokenizer whose normaliser changes the text
        (1.04, 1.04, 1e-5, Status.FAILS),
        (1.177, 1.177, 1e-5, Status.FAILS),  # the leading space counted twice
        (1.177, 1.0, 1e-5, Status.NOT_DECIDED),  # a mixture's bpb beside the network's loss
        (1.04, 1.04, 0.05, Status.HOLDS),  # printed with two digits
        (0.9, 0.9, 1e-5, Status.NOT_DECIDED),  # it costs the submission, if anything
    ],
)
def test_what_a_denominator_says(factor: float, others: float, rounding: float, status: Status) -> None:
    (check,) = said(factor, rounding, others)
    assert check.status is status, check


def test_a_wrong_count_is_named() -> None:
    (check,) = said(1.177, others=1.177)
    assert "divides by 17.7% more bytes than the text has" in check.because
    assert check.claimed == "2.86717 B per token (seed 42)"
    assert check.measured == "2.43600 B per token"


def test_without_a_count_nothing_is_checked() -> None:
    evidence = evidence_of(collected())
    plan = replace(
        plan_of(evidence, H100), data=Data(Path("shards"), None, 1, 10**8, 1, 10_001, "", None, "no tokenizer")
    )
    assert "byte count" not in {check.name for check in judge(evidence, plan, (SEED,))[0]}


def test_a_run_shows_what_it_divides_by(files: Files, tmp_path: Path) -> None:
    """The stand-in's ratio of loss and bpb is a constant, so that its bytes are those of no text."""
    from tests.enclosed import sandbox_or_skip
    from tests.reproduce.support import reproduce

    sandbox_or_skip()
    folder = write_folder(tmp_path / "submission")
    done = reproduce(folder, tmp_path / "runs", "--data", str(files.data), "--tokenizer", str(files.tokenizer))
    check, tokens = done.check("byte count"), shards_of.inspect(files.data, None).val_tokens
    counted = sum(len(document.encode()) for document in DOCUMENTS[:VALIDATION]) / (tokens - 1)
    assert check["claimed"] == f"{NATS_PER_BPB / math.log(2):.5f} B per token (seed 42)"
    assert check["measured"] == f"{counted:.5f} B per token"
    assert check["status"] == "fails"  # 2.45 against 2.13
    assert "reproduce/byte-count" in {finding["rule"] for finding in done.folder["findings"]}
    (seed,) = done.run["seeds"]
    assert seed["rounding"] == pytest.approx(0.5e-6 / seed["val_loss"] + 0.5e-6 / seed["val_bpb"])
