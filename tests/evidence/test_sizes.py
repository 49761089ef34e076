"""Sizes: what the log adds up, what is shipped, and what the script leans on."""

from __future__ import annotations

import pytest

from pgaudit.evidence.logs import read_log
from pgaudit.evidence.sizes import RunSize, measure, run_size
from pgaudit.submission import File, Origin, Submission

UNCOMPRESSED = "Serialized model: 67224983 bytes\nCode size: 1000 bytes\nTotal submission size: 67225983 bytes\n"


def size_of(text: str) -> RunSize | None:
    return run_size(read_log(File("train.log", len(text), text.encode)))


@pytest.mark.parametrize(
    "text,total,model",
    [
        (UNCOMPRESSED + "Total submission size int8+zlib: 15001000 bytes\n", 15_001_000, 15_000_000),
        (UNCOMPRESSED + "Serialized model int6+zstd: 15000000 bytes\n", 15_001_000, 15_000_000),
        (
            UNCOMPRESSED + "Serialized model rd+zstd: 15000000 bytes\nTotal submission size: 15001000 bytes\n",
            15_001_000,
            15_000_000,
        ),
        ("Total submission size int6+lzma: 16000001 bytes\n", 16_000_001, None),
        ("Total submission size: 15852125 bytes\n", 15_852_125, None),
    ],
)
def test_the_compressed_artifact_is_the_one_that_counts(text: str, total: int, model: int | None) -> None:
    run = size_of(text)
    assert run is not None
    assert (run.total.bytes, run.model) == (total, model)


@pytest.mark.parametrize("text", ["", UNCOMPRESSED, "Serialized model int8+zlib: 15000000 bytes\n"])
def test_a_log_that_does_not_say_it(text: str) -> None:
    assert size_of(text) is None


def test_of_two_exports_the_last_one_counts() -> None:
    text = "Total submission size int6+zstd: 17000000 bytes\nTotal submission size int5+zstd: 15000000 bytes\n"
    run = size_of(text)
    assert run
    assert run.total.bytes == 15_000_000


def test_what_is_shipped() -> None:
    sizes = {
        "train_gpt.py": 90_000,
        "train_gpt.py.lzma": 20_000,
        "kernel.cu": 500,
        "tilt.py": 700,
        "plot.py": 900,
        "final_model.int8.ptz": 15_000_000,
        "tokenizer.model": 250_000,
    }
    files = {path: File(path, size, bytes) for path, size in sorted(sizes.items())}
    folder = Submission("records/track_10min_16mb/x", files, Origin("a test"))
    measured = measure(folder, "train_gpt.py", "import tilt\nload('kernel.cu')\nreplot = 1\n", ())
    assert measured.script == 20_000
    assert measured.helpers == {"kernel.cu": 500, "tilt.py": 700}
    assert measured.artifacts == {"final_model.int8.ptz": 15_000_000, "train_gpt.py.lzma": 20_000}
    assert measured.runs == ()
