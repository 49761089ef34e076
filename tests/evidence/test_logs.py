"""Logs: what a run printed, in the layouts that scripts of the challenge print."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.evidence.logs import MOST_KEPT, Log, Stop, is_log, read_log
from pgaudit.submission import File

OFFICIAL = """\
val_loader:shards pattern=./data/fineweb_val_*.bin tokens:62021632
train_loader:dataset:fineweb10B_sp1024 train_shards:80
world_size:8 grad_accum_steps:1
seed:1337
warmup_step:1/20
step:0/20000 val_loss:6.9357 val_bpb:4.1077 train_time:0ms step_avg:0.01ms
step:200/20000 train_loss:2.7724 train_time:8529ms step_avg:42.64ms
step:400/20000 train_loss:2.4011 train_time:17050ms step_avg:42.62ms
step:400/20000 val_loss:2.3901 val_bpb:1.4155 train_time:17061ms step_avg:42.65ms
Serialized model: 67224983 bytes
Code size: 47642 bytes
Total submission size: 67272625 bytes
Serialized model int8+zlib: 15820684 bytes (payload:17178912 raw_torch:17224025 payload_ratio:3.91x)
Total submission size int8+zlib: 15868326 bytes
final_int8_zlib_roundtrip val_loss:2.0286 val_bpb:1.2014 eval_time:2107ms
final_int8_zlib_roundtrip_exact val_loss:2.02857127 val_bpb:1.20143417
"""

DUMP = """\
2026-04-30T20:17:12Z Hyperparameters:
2026-04-30T20:17:12Z   seed: 42
2026-04-30T20:17:12Z   ttt_enabled: True
2026-04-30T20:17:12Z   tokenizer_path: ./data/a b.model
val_tokens: 40540160
100/20000 train_loss: 2.0122 train_time: 4.5m tok/s: 8125985
quantized val_loss:2.55479394 val_bpb:1.11042751 eval_time:25831ms
ttt_chunk [671/1893] bpb=1.127406 time=149.0s
ttt_sliding:done val_loss=2.41 val_bpb=1.08 elapsed=419.3s
total_eval_time:497.5s
"""


def log_of(content: str | bytes, path: str = "train.log") -> Log:
    data = content.encode() if isinstance(content, str) else content
    return read_log(File(path, len(data), lambda: data))


def test_the_official_layout() -> None:
    log = log_of(OFFICIAL)
    assert [reading.value for reading in (*log.val_tokens, *log.train_shards, *log.seeds)] == [62_021_632, 80, 1337]
    assert log.world_size
    assert log.world_size.value == 8
    assert [(step.step, step.total, step.train_loss, step.seconds, step.line) for step in log.train_steps] == [
        (200, 20000, 2.7724, 8.529, 7),
        (400, 20000, 2.4011, 17.05, 8),
    ]
    assert [(size.kind, size.bytes) for size in log.sizes] == [
        ("model", 67_224_983),
        ("code", 47_642),
        ("total", 67_272_625),
        ("model", 15_820_684),
        ("total", 15_868_326),
    ]
    assert [(metric.stage, metric.step) for metric in log.metrics] == [
        ("step", 0),
        ("step", 400),
        ("final_int8_zlib_roundtrip", None),
        ("final_int8_zlib_roundtrip_exact", None),
    ]


def test_the_final_score_is_the_last_one_after_training() -> None:
    final = log_of(OFFICIAL + "step:500/500 val_loss:2.0 val_bpb:1.1\n").final
    assert final
    assert final.val_bpb
    assert final.val_loss
    assert (final.val_bpb.value, final.val_bpb.decimals, final.location.line) == (1.20143417, 8, 16)
    assert final.tokens_per_byte == pytest.approx(0.41052, abs=1e-5)


def test_a_score_taken_during_training_is_final_if_there_is_no_other() -> None:
    final = log_of("step:5/9 val_loss:2.0 val_bpb:1.3\nstep:9/9 val_loss:1.9 val_bpb:1.2\n").final
    assert final
    assert final.step == 9


def test_the_layout_with_a_dump_of_settings() -> None:
    log = log_of(DUMP)
    assert log.settings["ttt_enabled"].value == "True"
    assert log.settings["ttt_enabled"].location.line == 3
    assert log.settings["tokenizer_path"].value == "./data/a b.model"
    assert log.train_steps[0].seconds == 270.0
    assert [metric.partial for metric in log.metrics] == [False, True, False]
    assert {timing.name: timing.seconds for timing in log.timings} == {
        "train_time": 270.0,
        "eval_time": 25.831,
        "elapsed": 419.3,
        "total_eval_time": 497.5,
    }


def test_settings_end_where_training_begins() -> None:
    log = log_of("lr:0.1 wd:0.2\nstep:1/9 train_loss:2.0 train_time:5ms\nresult: 7\n")
    assert {name: reading.value for name, reading in log.settings.items()} == {"lr": "0.1", "wd": "0.2"}


def test_the_training_time_of_the_run_is_the_last_one_printed() -> None:
    log = log_of(
        "step:1/2 val_loss:2.0 val_bpb:1.2 train_time:5ms\nstopping_early: wallclock_cap train_time:600028ms step:2/2\n"
    )
    assert [timing.seconds for timing in log.timings if timing.name == "train_time"] == [600.028]


@pytest.mark.parametrize(
    "text,seconds",
    [
        ("step:1/9 train_loss:2.0 train_time:5000ms\n", 5.0),
        (
            "2500/2500 train_loss: 3.1943 train_time: 37.1m tok/s: 884157\n2500/2500 val_loss: 3.1 val_bpb: 1.2\n",
            2226.0,
        ),
        ("step:9/9 train_loss:2.0 train_time:5ms\nstopping_early: wallclock_cap train_time:0ms step:9/9\n", 0.005),
        ("step:9/9 val_loss:1.9 val_bpb:1.3 train_time:600028ms\ntrain_time_s:  600\n", 600.028),
        ("s:40/90 tl:2.0 tt:5000ms\nstop tt:600028ms s:50/90\n", 600.028),
        ("step:9/9 val_bpb:1.4420 tokens:529M elapsed:541s\n", 541.0),
        ("step:9/9 val_loss:1.9 val_bpb:1.3 time:7000ms avg:5.0ms\n", 7.0),
        ("Step 9 | Train loss: 2.3797 | Time: 6456.7s\n", 6456.7),
        ("Training complete in 590s (2227 steps)\n", 590.0),
        ("Training done: 10000 steps, 101156.6s\n", 101156.6),
        ("Training Time: 30.8 minutes\n", 1848.0),
        ("Total wall-clock training: 9m 39.58s\n", 579.58),
        ("train_time (before calibration):593049ms\n", 593.049),
        ('  "training_seconds": 300.5,\n', 300.5),
        ("train_time:555056ms\ncalibrated post_time:42434ms total_train_time:597490ms\n", 597.49),
    ],
)
def test_ways_to_print_the_training_time(text: str, seconds: float) -> None:
    time = log_of(text).train_time
    assert time
    assert time.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "line",
    [
        "step:9/9 val_loss:1.9 val_bpb:1.3 time:35000ms",
        "Training for 5120 steps (~9m 41s estimated)",
        "Effective training: 595s",
        "budget_check train:586092ms + gptq:7503ms",
        "[POST] training done: 16140 steps, 1057.8M tokens",
        "training_time: <10min",
        "max_train_time: 600s",
        "step:0/9 val_loss:6.9 val_bpb:4.1 train_time:0ms",
        "ttt_epoch:2/2 loss:1.9404 time:311.0s",
    ],
)
def test_other_times_are_not_the_training_time(line: str) -> None:
    assert log_of(line).train_time is None


@pytest.mark.parametrize(
    "line,score",
    [
        ("Quantized BPB (no XSA): 1.018237", 1.018237),
        ("final_exact val_bpb 1.0500312", 1.0500312),
        ("eval_bits_per_byte=2.48898442", 2.48898442),
        ("candidate val_loss:3.3 val_bpb:1.311\ndelta_bpb=-0.055", 1.311),
        ('ttt val_bpb:1.2\n  "val_bpb": 1.3,', 1.2),
    ],
)
def test_ways_to_print_a_score(line: str, score: float) -> None:
    final = log_of(line).final
    assert final
    assert final.val_bpb
    assert final.val_bpb.value == score


def test_the_step_of_a_score_in_columns() -> None:
    (metric,) = log_of("step  1000 | val_loss 2.2290 | val_bpb 1.1216\n").metrics
    assert metric.val_loss
    assert (metric.step, metric.val_loss.value) == (1000, 2.229)


def test_the_score_of_a_model_that_was_trained_further_is_not_final() -> None:
    log = log_of("step:0/9 val_loss:6.9 val_bpb:4.1\nstep:1/9 train_loss:6.9 train_time:5ms\n")
    assert log.final is None
    assert len(log.metrics) == 1


AGAIN = """\
step:100/200 train_loss:2.9 train_time:9000ms
preempted: the run begins again
step:0/200 val_loss:6.9 val_bpb:4.1 train_time:0ms
step:1/200 train_loss:6.9 train_time:90ms
step:200/200 train_loss:2.8 train_time:18000ms
Total submission size int8+zlib: 15868326 bytes
final val_loss:2.8 val_bpb:1.6
"""


def test_of_several_runs_the_last_whole_one_counts() -> None:
    text = AGAIN + "seed:2\nstep:1/200 train_loss:6.9 train_time:95ms\nTotal submission size int8+zlib: 7 bytes\n"
    log = log_of(text)
    assert (log.runs, log.run) == (((1, 2), (3, 8), (9, 10)), (3, 8))
    assert log.final
    assert log.train_time
    assert (log.final.location.line, log.train_time.seconds) == (7, 18.0)
    assert [size.bytes for size in log.totals] == [15_868_326]


def test_scores_printed_again_are_no_run() -> None:
    log = log_of(AGAIN + "step:0/200 val_loss:6.9 val_bpb:4.1\nfinal val_loss:2.8 val_bpb:1.6\n")
    assert log.runs == ((1, 2), (3, 9))


def test_an_evaluation_after_training_has_the_time_of_that_training() -> None:
    log = log_of("step:9/9 train_loss:2.0 train_time:5000ms\nmodel_params:7\nfinal val_loss:2.0 val_bpb:1.2\n")
    assert log.train_time
    assert log.train_time.seconds == 5.0


STEP = "step:5/9 train_loss:2.0 train_time:5ms\n"


@pytest.mark.parametrize(
    "text,stop",
    [
        ("stopping_early: wallclock_cap train_time:600028ms step:2/20\n", Stop.WALLCLOCK),
        ("Wallclock limit reached (600s), will stop after this step\n", Stop.WALLCLOCK),
        ("stopping_early: max_steps_cap=100 train_time:77124ms step:100/200\n", Stop.ITERATIONS),
        (STEP + "step:9/9 train_loss:2.0 train_time:9ms\n", Stop.ITERATIONS),
        (STEP + "step:9/9 val_loss:2.0 val_bpb:1.2\n", Stop.ITERATIONS),
        (STEP + "Traceback (most recent call last)\n", Stop.CRASH),
        (STEP, None),
        ("ttt_chunk: time cap 460.2s > 460.0s, stopping at chunk 1668/1893\n", None),
    ],
)
def test_why_training_ended(text: str, stop: Stop | None) -> None:
    assert log_of(text).stop is stop


@dataclass(frozen=True)
class Generated(File):
    """A file that is never in memory as a whole."""

    lines: tuple[bytes, ...] = ()
    times: int = 1

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Repeated(b"".join(self.lines), self.times))  # type: ignore[type-var]  # for its readinto


class _Repeated(io.RawIOBase):
    """The same bytes many times."""

    def __init__(self, block: bytes, times: int) -> None:
        self.block, self.size, self.at = block, len(block) * times, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # narrower than any buffer
        start = self.at % len(self.block)
        piece = self.block[start : start + min(len(buffer), self.size - self.at)]
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


def test_of_a_very_long_log_a_bounded_number_of_facts_is_kept() -> None:
    lines = (
        b"step:1/9 train_loss:2.0 train_time:5ms\n",
        b"chunk 1/9 bpb:1.3 | seed:1 val_tokens:7 eval_time:5ms train_shards:80\n",
        b"final val_loss:2.0 val_bpb:1.2 eval_time:5ms\n",
        b"Total submission size: 15868326 bytes\nTraceback (most recent call last)\n",
    )
    times = 2 * MOST_KEPT
    log = read_log(Generated("train.log", None, bytes, lines=lines, times=times))
    assert log.lines == 5 * times
    kept = (log.train_steps, log.timings, log.sizes, log.seeds, log.val_tokens, log.train_shards, log.tracebacks)
    assert max(map(len, kept)) <= MOST_KEPT + 1
    assert len(log.metrics) <= 2 * MOST_KEPT
    assert log.final
    assert log.final.location.line == log.lines - 2
    assert log.train_steps[0].line == 1


@pytest.mark.parametrize("separator", ["\r", " "])
def test_a_very_long_line_is_read_in_pieces(separator: str) -> None:
    data = (separator.join(f"{number:09d}" for number in range(50_000)) + f"{separator}\nval_bpb:1.2\n").encode()
    log = log_of(data)
    assert log.final
    assert log.final.location.line == 2


def test_a_progress_bar_of_any_length_has_its_last_state() -> None:
    log = log_of("\r".join(["x" * 50] * 5_000 + ["final val_loss:2.0 val_bpb:1.2"]))
    assert log.final
    assert log.final.location.text == "final val_loss:2.0 val_bpb:1.2"


SOURCE = '''"""A script."""
import os

def report(val_loss):
    # val_loss:1.0000 val_bpb:0.5000 in a comment is no score
    print(f"val_loss:{val_loss:.4f}")

seed: int = 7
'''


@pytest.mark.parametrize("end", ["=" * 100 + "\n", "Running Python 3.12.3\n", "warmup_step:1/20\n"])
def test_source_in_the_log_is_left_out(end: str) -> None:
    log = log_of(SOURCE + end + OFFICIAL)
    assert log.embedded == ((2, SOURCE.count("\n")),)
    assert len(log.metrics) == 4
    assert [reading.value for reading in log.seeds] == [1337]


def test_a_log_that_is_all_source_has_no_score() -> None:
    log = log_of(SOURCE)
    assert log.embedded == ((2, 8),)
    assert log.final is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_line_ends_do_not_move_a_place(encoding: str, newline: str) -> None:
    log = log_of(OFFICIAL.replace("\n", newline).encode(encoding))
    assert log.final
    assert log.final.location.line == 16
    assert log.lines == 16


def test_progress_bars_share_the_line_they_overwrite() -> None:
    log = log_of("1%\r50%\rfinal val_loss:2.0 val_bpb:1.2\nnext val_loss:2.0 val_bpb:1.3\n")
    assert [(metric.stage, metric.location.line) for metric in log.metrics] == [("final", 1), ("next", 2)]


def test_terminal_colours_are_removed() -> None:
    (metric,) = log_of("\x1b[1;32mfinal\x1b[0m val_loss:2.0 \x1b[33mval_bpb:1.2\x1b[0m\n").metrics
    assert (metric.stage, metric.location.text) == ("final", "final val_loss:2.0 val_bpb:1.2")


@pytest.mark.parametrize(
    "line,tokens",
    [
        ("val_loader:tokens:62021632", 62_021_632),
        ("Validation tokens: 62,021,633", 62_021_633),
        ("train_loader:dataset:x train_shards:80 val_tokens:62021632", 62_021_632),
        ("final val_loss:3.2 val_bpb:1.1 eval_tokens:37146624 eval_bytes:151078879", 37_146_624),
    ],
)
def test_ways_to_print_the_size_of_the_split(line: str, tokens: int) -> None:
    assert [reading.value for reading in log_of(line).val_tokens] == [tokens]


@pytest.mark.parametrize(
    "line",
    [
        "train_batch_tokens:524288",
        "val_batch_tokens: 524288",
        "val_token_limit:1048576",
        "gptq_calibration_tokens: 720896",
    ],
)
def test_other_token_counts_are_not_the_split(line: str) -> None:
    assert log_of(line).val_tokens == ()


def test_a_line_that_states_tokens_and_bytes() -> None:
    (count,) = log_of("cond_ppm tokens=47851520 bytes=164594398 cond_mix_bpb=0.979547").denominators
    assert (count.tokens, count.bytes) == (47_851_520, 164_594_398)


@pytest.mark.parametrize(
    "line,sizes",
    [
        ("Total submission size int6+zlib:15933155bytes", [("total", 15_933_155)]),
        ("Total submission size: 15,852,125 bytes (147,875 bytes under)", [("total", 15_852_125)]),
        (
            "x compressed_model_bytes:15915703 code_bytes:49961 total_artifact_bytes:15965664",
            [("code", 49_961), ("total", 15_965_664)],
        ),
        ("model:15567567 code:53472 total:15621039 (15.62 MB)", [("code", 53_472), ("total", 15_621_039)]),
        ("Serialized model: 106313663 bytes  Code size: 49961 bytes", [("code", 49_961), ("model", 106_313_663)]),
        ("model_params:21778504 world_size:8", []),
        ("Serialized zstd-22: 15449423 bytes  Total: 15504722 bytes", [("total", 15_504_722)]),
        ("artifact: 15567435B model + 51283B code = 15618718B (1.75x)", [("code", 51_283), ("total", 15_618_718)]),
        ("artifact: 39746665 bytes (model:39699532 code:47133)", [("code", 47_133), ("total", 39_746_665)]),
        ("total:15962841B", [("total", 15_962_841)]),
        ("budget:15995705/16000000 (16.00/16.00MB) FITS", [("total", 15_995_705)]),
        ('  "bytes_total": 118013,', [("total", 118_013)]),
        ("code_bytes=17545\ntotal_bytes=15998150", [("code", 17_545), ("total", 15_998_150)]),
        ("total_bytes=151080891", []),
        ("raw model:98434727 code:40698 total:98475425", []),
        ("failed (exit code: 1)", []),
    ],
)
def test_ways_to_print_a_size(line: str, sizes: list[tuple[str, int]]) -> None:
    assert [(size.kind, size.bytes) for size in log_of(line).sizes] == sizes


def test_a_traceback_and_the_hardware_are_noticed() -> None:
    log = log_of("|   0  NVIDIA H100 80GB HBM3          On  |\nTraceback (most recent call last):\n  File\n")
    assert log.gpus == ("H100 80GB HBM3",)
    assert [place.line for place in log.tracebacks] == [2]


@pytest.mark.parametrize(
    "path,content,expected",
    [
        ("train.log", "", True),
        ("logs/seed42.txt", "step:1/9 train_loss:2.0", True),
        ("baseline.txt", "val_bpb: 1.2", True),
        ("requirements.txt", "torch==2.8.0", False),
        ("requirements.txt", "val_bpb: 1.2", False),
        ("notes.txt", "the loss went down", False),
        ("results.tsv", "val_bpb:1.2", False),
    ],
)
def test_which_files_are_logs(path: str, content: str, expected: bool) -> None:
    assert is_log(File(path, len(content), content.encode)) is expected


PIECES = st.sampled_from(
    [
        *OFFICIAL.splitlines(),
        *DUMP.splitlines(),
        "import os",
        "=" * 80,
        "\x1b[31m",
        "\r",
        "val_bpb:1e999",
        "val_loss:0",
        "tokens:1 bytes:2",
    ]
)


@given(st.lists(st.one_of(st.text(max_size=40), PIECES), max_size=30))
def test_every_place_is_the_line_that_it_names(parts: list[str]) -> None:
    text = "\n".join(parts).encode("utf-8", "replace").decode()
    lines = text.split("\n")
    log = log_of(text)
    assert log.lines <= len(lines)
    places = [metric.location for metric in log.metrics] + [size.location for size in log.sizes]
    places += [reading.location for reading in (*log.seeds, *log.val_tokens)] + [
        timing.location for timing in log.timings
    ]
    for place in places:
        assert place.line is not None
        assert place.text[:20].split("\x1b")[0] in lines[place.line - 1].replace("\x1b[31m", "")
    for metric in log.metrics:
        assert metric.tokens_per_byte is None or metric.tokens_per_byte > 0


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    assert log_of(data).lines <= data.count(b"\n") + 1


@pytest.mark.parametrize(
    "line",
    [
        "step:{0}/3 train_loss:2.5",
        "step:3/{0} train_loss:2.5",
        "step:{0}/3 val_loss:2.5 val_bpb:1.2",
        "seed:{0}",
        "train_shards:{0}",
        "world_size:{0}",
    ],
)
def test_a_number_that_no_run_counts_to_is_none(line: str) -> None:
    log = log_of(line.format("9" * 5000))
    assert (log.train_steps, log.seeds, log.train_shards, log.world_size) == ((), (), (), None)
    assert [metric.step for metric in log.metrics] in ([], [None])
