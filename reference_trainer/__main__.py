"""`python -m reference_trainer PRESET`: runs a preset and writes its submission folder. torchrun starts it on several GPUs."""

import argparse
import os
import sys
from pathlib import Path

from reference_trainer.bundling import bundle
from reference_trainer.data import Files, default_files, write_data
from reference_trainer.distributed import Ranks, join_ranks
from reference_trainer.errors import BadInput
from reference_trainer.folder import Circumstances, write_folder
from reference_trainer.preset import Preset, tiny
from reference_trainer.presets.baseline import PRESET as BASELINE
from reference_trainer.presets.count_bigram import PRESET as COUNT_BIGRAM
from reference_trainer.presets.manifold import PRESET as MANIFOLD
from reference_trainer.presets.sp8192_sdclip import PRESET as SP8192_SDCLIP
from reference_trainer.presets.unet_ttt import PRESET as UNET_TTT
from reference_trainer.run import device_name, exit_status, refuse_overruns, run
from reference_trainer.text import write_documents

PRESETS = {preset.name: preset for preset in (BASELINE, COUNT_BIGRAM, UNET_TTT, SP8192_SDCLIP, MANIFOLD)}
TINY_TEXT_SEED = 0
TINY_DOCUMENTS = 500


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    return exit_status(lambda: work(options))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reference_trainer", description="Runs a reference submission.")
    parser.add_argument("preset", choices=sorted(PRESETS))
    parser.add_argument("--seeds", "--seed", type=seed_list, default=[1337], help="one or more, as 42,1337,2024")
    parser.add_argument("--tiny", action="store_true", help="a shrunken network on a generated text: seconds on a CPU")
    parser.add_argument("--out", type=Path, help="the submission folder (default: submission_PRESET)")
    parser.add_argument(
        "--data", type=Path, help="the folder with the token shards (default: DATA_PATH, or data/datasets/…)"
    )
    parser.add_argument(
        "--tokenizer", type=Path, help="the SentencePiece model (default: TOKENIZER_PATH, or data/tokenizers/…)"
    )
    options = parser.parse_args(arguments)
    if options.tiny and (options.data is None) != (options.tokenizer is None):
        parser.error("--data and --tokenizer belong together")
    return options


def seed_list(text: str) -> list[int]:
    seeds = text.split(",")
    if not all(seed.isdecimal() for seed in seeds):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers")
    numbers = [int(seed) for seed in seeds]
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text!r} repeats a seed: runs of one seed are one run")
    return numbers


def work(options: argparse.Namespace) -> None:
    preset = tiny(PRESETS[options.preset]) if options.tiny else PRESETS[options.preset]
    folder = submission_folder(options.out or Path(f"submission_{preset.name}"))
    # What a submission does not ship: weights, and the text of a tiny run.
    beside = folder.with_name(f"{folder.name}.work")
    script = bundle(preset)
    with join_ranks() as ranks:
        make_folders(folder, beside)
        refuse_other_logs(folder, options.seeds)
        files = find_files(options, preset, beside, ranks)
        results = [
            run(preset, seed, files, script, folder, beside / f"final_model_seed{seed}.bin", ranks)
            for seed in options.seeds
        ]
        if ranks.first:
            dataset = "a generated text" if generates_text(options) else files.data.absolute().name
            where = Circumstances(ranks.world_size, device_name(ranks.device), dataset)
            write_folder(folder, preset, script, results, where)
            print(f"submission folder: {folder}   weights: {beside}")
    refuse_overruns(results)


def submission_folder(named: Path) -> Path:
    """The folder by its own name, which `.` and `..` do not say; what is not shipped stands beside it."""
    folder = named.resolve()
    if not folder.name:
        raise BadInput(f"{named} is no place for a submission folder")
    return folder


def make_folders(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BadInput(f"cannot write {folder}: {problem.strerror}") from problem


def refuse_other_logs(folder: Path, seeds: list[int]) -> None:
    """A submission holds the logs of its own runs only."""
    others = {path.name for path in folder.glob("train_seed*.log")} - {f"train_seed{seed}.log" for seed in seeds}
    if others:
        raise BadInput(f"{folder} holds logs of other runs: {', '.join(sorted(others))}")


def generates_text(options: argparse.Namespace) -> bool:
    return options.tiny and options.data is None


def find_files(options: argparse.Namespace, preset: Preset, beside: Path, ranks: Ranks) -> Files:
    """The data that was named, or a text that is generated for a tiny run."""
    if generates_text(options):
        if ranks.first:
            write_data(write_documents(TINY_TEXT_SEED, TINY_DOCUMENTS), preset.network.vocabulary, beside / "data", 0.1)
        ranks.barrier()
        return default_files(beside / "data", preset.network.vocabulary)
    usual = default_files(Path("data"), preset.network.vocabulary)
    return Files(
        options.data or Path(os.environ.get("DATA_PATH", usual.data)),
        options.tokenizer or Path(os.environ.get("TOKENIZER_PATH", usual.tokenizer)),
    )


if __name__ == "__main__":
    sys.exit(main())
