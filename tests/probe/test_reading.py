"""A record is read back as it was written; one that something else wrote is a run that did not finish, and never an error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from pgaudit.probe import reading
from pgaudit.probe.inside.recorder import Recorder
from pgaudit.probe.reading import MISSING, read
from pgaudit.probe.record import ARRAYS, DOCUMENT, Site
from pgaudit.probe.shrink import Shrinker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that has added up two numbers and printed one."""
    recorder = Recorder(Shrinker())
    recorder.note("train_gpt.py", 7, "add", np.array([0.5, 1.5]), "loss_sum")
    recorder.says("val_loss:1.0")
    changes = [{"name": "MODEL_DIM", "old": 512, "new": 64, "reason": "an eighth"}]
    recorder.save(tmp_path, ending="finished", seconds=1.5, changes=changes, substituted=["torch"])
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    record = read(folder, "base")
    assert (record.name, record.ending, record.seconds, record.substituted) == ("base", "finished", 1.5, ("torch",))
    assert record.printed == ((1, "val_loss:1.0"),)
    assert record.sites == (Site("train_gpt.py", 7, "add", "loss_sum"),)
    assert record.values.tolist() == [0.5, 1.5]
    assert record.changes[0]["new"] == 64


def with_arrays(folder: Path, **replaced: object) -> None:
    with np.load(folder / ARRAYS) as found:
        arrays = {name: found[name] for name in found.files}
    np.savez(folder / ARRAYS, **{**arrays, **replaced})


def with_document(folder: Path, **replaced: object) -> None:
    document = json.loads((folder / DOCUMENT).read_text())
    (folder / DOCUMENT).write_text(json.dumps({**document, **replaced}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / ARRAYS).write_bytes(b"PK\x03\x04 no archive"),
        lambda folder: (folder / DOCUMENT).write_text("[" * 100_000),
        lambda folder: (folder / DOCUMENT).write_text("[]"),
        lambda folder: with_arrays(folder, offsets=np.array([0, 3], np.int64)),
        lambda folder: with_arrays(folder, offsets=np.array([2, 0], np.int64)),
        lambda folder: with_arrays(folder, calls=np.array([1], np.int64)),
        lambda folder: with_arrays(folder, calls=np.array([-1], np.int64)),
        lambda folder: with_arrays(folder, values=np.array(["a", "b"])),
        lambda folder: with_arrays(folder, values=np.array([[0.5], [1.5]])),
        lambda folder: with_document(folder, sites=[["train_gpt.py"]]),
        lambda folder: with_document(folder, printed=[["x", 1]]),
        lambda folder: with_document(folder, changes=[{"name": "A", "old": "many", "new": 1, "reason": ""}]),
        lambda folder: with_document(folder, seconds=None),
    ],
)
def test_what_no_recorder_has_written_is_not_used(folder: Path, spoil: Callable[[Path], object]) -> None:
    spoil(folder)
    record = read(folder, "base")
    assert record.ending.startswith("its record cannot be used")
    assert len(record.values) == 0


def test_arrays_that_unpack_to_more_than_any_run_sums_are_not_unpacked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    assert read(folder, "base").ending == "finished"
    np.savez_compressed(folder / ARRAYS, values=np.zeros(1000), offsets=np.array([0, 1000]), calls=np.array([0]))
    assert (folder / ARRAYS).stat().st_size < 1000
    assert read(folder, "base").ending == "its record cannot be used: Unusable"


@pytest.mark.parametrize("name", [ARRAYS, DOCUMENT])
def test_links_and_pipes_are_not_followed(folder: Path, name: str) -> None:
    elsewhere = folder / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    assert read(folder, "base").ending == MISSING
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert read(folder, "base").ending == MISSING
