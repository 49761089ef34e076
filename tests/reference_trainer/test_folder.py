"""The submission folder of a tiny run, by the command line."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.collect.folder import from_path
from reference_trainer import preset as preset_module
from reference_trainer.__main__ import PRESETS, main
from reference_trainer.bundling import bundle
from reference_trainer.data import Files, default_files, write_shard
from reference_trainer.folder import Circumstances, readme, submission, why_no_claim
from reference_trainer.preset import tiny
from reference_trainer.run import RunResult

INHERENT = {"validation/subset"}  # the text is not that of the challenge


@pytest.fixture(scope="module", params=PRESETS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `python -m reference_trainer PRESET --tiny --out FOLDER` leaves, after eight steps."""
    path = tmp_path_factory.mktemp(request.param) / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preset_module, "TINY_STEPS", 8)
        assert main([request.param, "--tiny", "--seed", "42", "--out", str(path)]) == 0
    return path


def last_line(log: str) -> str:
    return log.splitlines()[-1]


def test_the_folder_holds_what_a_submission_needs(folder: Path) -> None:
    names = {"README.md", "submission.json", "train_seed42.log", "train_gpt.py", "requirements.txt"}
    assert {path.name for path in folder.iterdir()} == names


def test_the_log_begins_with_the_shipped_script(folder: Path) -> None:
    log = (folder / "train_seed42.log").read_text("utf-8")
    assert log.startswith((folder / "train_gpt.py").read_text("utf-8") + "=" * 100 + "\n")


def test_submission_json_states_what_the_log_shows(folder: Path) -> None:
    stated = json.loads((folder / "submission.json").read_text("utf-8"))
    log = (folder / "train_seed42.log").read_text("utf-8")
    assert last_line(log).endswith(f"val_loss:{stated['val_loss']:.8f} val_bpb:{stated['val_bpb']:.8f}")
    assert f": {stated['bytes_total']} bytes" in log
    assert stated["bytes_code"] == (folder / "train_gpt.py").stat().st_size
    assert (stated["track"], stated["seeds"]) == ("none", [42])


def test_the_folder_makes_no_claim(folder: Path) -> None:
    for name in ("README.md", "submission.json"):
        text = (folder / name).read_text("utf-8")
        assert "makes no claim on any track" in text
        assert "its data are a generated text" in text


def test_the_auditor_finds_nothing_in_the_code(folder: Path) -> None:
    report = audit(from_path(str(folder)), rulebook.load(), policy.load())
    (audited,) = report.submissions
    assert {finding.rule for finding in audited.findings} == INHERENT
    assert audited.gaps == ()


def test_the_bundled_script_runs_by_itself_to_the_same_score(folder: Path, tmp_path: Path) -> None:
    files = default_files(folder.with_name("out.work") / "data", 512)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "DATA_PATH": str(files.data),
        "TOKENIZER_PATH": str(files.tokenizer),
        "SEED": "42",
    }
    (tmp_path / "train_gpt.py").write_bytes((folder / "train_gpt.py").read_bytes())
    subprocess.run([sys.executable, "-I", "train_gpt.py"], cwd=tmp_path, env=environment, check=True, timeout=120)
    own = (tmp_path / "logs" / "train_seed42.log").read_text("utf-8")
    assert last_line(own) == last_line((folder / "train_seed42.log").read_text("utf-8"))
    weights = folder.with_name("out.work") / "final_model_seed42.bin"
    assert (tmp_path / "final_model.bin").read_bytes() == weights.read_bytes()


def test_the_bundled_script_refuses_bad_input_with_one_line(tmp_path: Path) -> None:
    script = tmp_path / "train_gpt.py"
    script.write_text(bundle(tiny(PRESETS["baseline"])), "utf-8")
    for variable, value, words in (
        ("SEED", "many", "SEED is 'many'"),
        ("TOKENIZER_PATH", "nowhere", "nowhere is no SentencePiece model"),
        ("WORLD_SIZE", "3", "3 processes cannot share"),
    ):
        environment = {**os.environ, variable: value}
        command = [sys.executable, str(script)]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"error: {words}")
        assert len(ended.stderr.splitlines()) == 1


def test_several_seeds(tmp_path: Path, few_steps: None) -> None:
    assert main(["baseline", "--tiny", "--seeds", "1,2", "--out", str(tmp_path / "out")]) == 0
    stated = json.loads((tmp_path / "out" / "submission.json").read_text("utf-8"))
    scores = [stated["seed_results"][seed]["val_bpb"] for seed in ("1", "2")]
    assert stated["seeds"] == [1, 2]
    assert scores[0] != scores[1]
    assert stated["val_bpb"] == pytest.approx(sum(scores) / 2, abs=1e-8)
    assert (tmp_path / "out" / "train_seed1.log").exists()
    assert (tmp_path / "out" / "train_seed2.log").exists()
    assert "| mean |" in (tmp_path / "out" / "README.md").read_text("utf-8")


# A full run


def result(seed: int, bpb: float, overruns: tuple[str, ...] = ()) -> RunResult:
    return RunResult(seed, 2 * bpb, bpb, 80_000, 15_000_000 + seed, 14_000, 598.0, 60.0, overruns)


OFFICIAL = Circumstances(8, "NVIDIA H100 80GB HBM3", "fineweb10B_sp1024")


def test_a_full_run_is_sent_to_the_record_track() -> None:
    stated = submission(PRESETS["baseline"], [result(1, 1.2), result(2, 1.3), result(3, 1.4)], OFFICIAL)
    assert stated["track"] == "10min_16mb"
    assert (stated["val_bpb"], stated["val_loss"]) == (pytest.approx(1.3), pytest.approx(2.6))
    assert stated["bytes_total"] == 15_080_003
    assert stated["hardware"] == "8 x NVIDIA H100 80GB HBM3"
    assert "claim" not in json.dumps(stated) + readme(PRESETS["baseline"], [result(1, 1.2)], OFFICIAL)


OVERRUN = ("evaluation took 612.0 s of 600 s",)
WITHOUT_CLAIM = {
    "too few ranks": (False, replace(OFFICIAL, ranks=4), (), "it ran on 4 x NVIDIA H100 80GB HBM3, not on 8 x H100"),
    "other GPUs": (False, replace(OFFICIAL, device="NVIDIA H200"), (), "it ran on 8 x NVIDIA H200, not on 8 x H100"),
    "other data": (
        False,
        replace(OFFICIAL, dataset="novels"),
        (),
        "its data are novels, not an export of FineWeb by the challenge (fineweb10B_*)",
    ),
    "an overrun of one seed": (
        False,
        OFFICIAL,
        OVERRUN,
        "seed 2 is over the budget: evaluation took 612.0 s of 600 s",
    ),
    "a shrunken network": (
        True,
        OFFICIAL,
        (),
        "its network is shrunken and takes a fixed number of steps, so that its val_bpb compares with nothing",
    ),
}


@pytest.mark.parametrize("small, where, overruns, reason", WITHOUT_CLAIM.values(), ids=WITHOUT_CLAIM)
def test_a_run_that_cannot_claim_the_track_says_why(
    small: bool, where: Circumstances, overruns: tuple[str, ...], reason: str
) -> None:
    preset = tiny(PRESETS["baseline"]) if small else PRESETS["baseline"]
    results = [result(1, 1.2), result(2, 1.3, overruns)]
    assert why_no_claim(preset, results, where) == [reason]
    stated = submission(preset, results, where)
    assert stated["track"] == "none"
    assert stated["blurb"] == f"{preset.summary} This run makes no claim on any track: {reason}."
    text = readme(preset, results, where)
    assert f"**This run makes no claim on any track:**\n\n- {reason}\n" in text
    assert "without a claim" in text.splitlines()[0]


def test_every_reason_is_given() -> None:
    reasons = why_no_claim(
        tiny(PRESETS["baseline"]), [result(1, 1.2, OVERRUN * 2)], Circumstances(1, "CPU", "a generated text")
    )
    assert len(reasons) == 5


def test_a_tiny_run_on_a_text_of_ones_own_is_not_called_generated(
    tmp_path: Path, few_steps: None, files: Files
) -> None:
    (tmp_path / "novels").symlink_to(files.data)
    arguments = ["baseline", "--tiny", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "novels")]
    assert main([*arguments, "--tokenizer", str(files.tokenizer)]) == 0
    for name in ("README.md", "submission.json"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert "its data are novels, not an export of FineWeb" in text
        assert "generated" not in text


# Bad input


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command ends."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_no_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Files) -> None:
    arguments = ["baseline", "--tiny", "--out", str(tmp_path / "out"), "--tokenizer", str(files.tokenizer)]
    line = refused([*arguments, "--data", str(tmp_path)], capsys)
    assert line == f"error: no shards {tmp_path}/fineweb_val_*.bin"


def test_a_damaged_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Files) -> None:
    arguments = ["baseline", "--tiny", "--out", str(tmp_path / "out"), "--tokenizer", str(files.tokenizer)]
    write_shard(tmp_path / "fineweb_val_000000.bin", [1, 2, 3])
    whole = (tmp_path / "fineweb_val_000000.bin").read_bytes()
    for damaged, words in ((b"\x01" + whole[1:], "is not a token shard"), (whole[:-1], "is cut off or damaged")):
        (tmp_path / "fineweb_val_000000.bin").write_bytes(damaged)
        assert words in refused([*arguments, "--data", str(tmp_path)], capsys)


def test_a_tokenizer_of_another_vocabulary(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Files) -> None:
    arguments = ["baseline", "--out", str(tmp_path / "out"), "--data", str(files.data)]
    line = refused([*arguments, "--tokenizer", str(files.tokenizer)], capsys)
    assert line.endswith("has 512 pieces, the preset's vocabulary 1024")


def test_a_world_that_does_not_divide_eight(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert "3 processes cannot share" in refused(["baseline", "--tiny", "--out", str(tmp_path / "out")], capsys)


def test_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    line = refused(["baseline", "--tiny", "--out", str(tmp_path / "file" / "out")], capsys)
    assert line.startswith(f"error: cannot write {tmp_path}/file/out")


@pytest.mark.parametrize("out", [".", "", "inner/..", "inner/../../here"])
def test_the_folder_has_its_own_name(
    out: str, tmp_path: Path, few_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert main(["baseline", "--tiny", "--seed", "42", "--out", out]) == 0
    assert (tmp_path / "here" / "submission.json").exists()
    assert (tmp_path / "here.work" / "final_model_seed42.bin").exists()


def test_a_folder_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    for out in ("/", "/.."):
        assert (
            refused(["baseline", "--tiny", "--out", out], capsys) == f"error: {out} is no place for a submission folder"
        )


@pytest.mark.parametrize("preset", ["count-bigram", "manifold"])
def test_a_training_token_beyond_the_vocabulary(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Files
) -> None:
    """Where tokens are counted before the first batch."""
    for shard in files.data.glob("fineweb_val_*.bin"):
        (tmp_path / shard.name).symlink_to(shard)
    write_shard(tmp_path / "fineweb_train_000000.bin", [1, 600] * 5000)
    arguments = [preset, "--tiny", "--out", str(tmp_path / "out"), "--tokenizer", str(files.tokenizer)]
    line = refused([*arguments, "--data", str(tmp_path)], capsys)
    assert line == f"error: token 600 in {tmp_path}, but the vocabulary has 512"


def test_logs_of_other_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train_seed7.log").write_text("a run of another day")
    line = refused(["baseline", "--tiny", "--seed", "42", "--out", str(tmp_path)], capsys)
    assert line == f"error: {tmp_path} holds logs of other runs: train_seed7.log"
    assert (tmp_path / "train_seed7.log").read_text() == "a run of another day"


@pytest.mark.parametrize("seeds", ["", "one", "1,,2", "1 2", "-1"])
def test_seeds_that_are_no_numbers(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["baseline", f"--seeds={seeds}"])
    assert ended.value.code == 2
    assert "is no list of numbers" in capsys.readouterr().err


@pytest.mark.parametrize("seeds", ["1,1", "7,42,07"])
def test_repeated_seeds(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["baseline", f"--seeds={seeds}"])
    assert ended.value.code == 2
    assert f"'{seeds}' repeats a seed" in capsys.readouterr().err
