"""Which script is the one that trains and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pgaudit.evidence.evidence import Evidence

RUN = "```bash\ntorchrun --nproc_per_node=8 {}\n```\n"


@pytest.mark.parametrize(
    "paths,readme,main",
    [
        (["train_gpt.py", "helper.py", "train_old.py"], "", "train_gpt.py"),
        (["train_gpt.py", "eval_only.py"], RUN.format("eval_only.py"), "train_gpt.py"),
        (["old/train_gpt.py", "train_gpt.py"], "", "train_gpt.py"),
        (["src/train_gpt.py", "prepare.py"], "", "src/train_gpt.py"),
        (["train_gdn.py", "train_other.py"], RUN.format("records/x/train_gdn.py"), "train_gdn.py"),
        (["prepare_data.py", "run.py"], RUN.format("prepare_data.py") + RUN.format("./run.py"), "run.py"),
        (["train_gdn.py", "plot.py"], "", "train_gdn.py"),
        (["model.py", "prepare_data.py"], "", "model.py"),
        (["train_gpt_mlx.py", "train_gpt_cuda.py"], "", "train_gpt_cuda.py"),
        (["train_a.py", "train_b.py"], "", None),
        (["notes.md"], RUN.format("train_gpt.py"), None),
    ],
)
def test_the_main_script(
    make_evidence: Callable[[Mapping[str, str]], Evidence], paths: list[str], readme: str, main: str | None
) -> None:
    evidence = make_evidence({**dict.fromkeys(paths, "print(1)\n"), "README.md": readme})
    assert evidence.main_path == main


def test_an_empty_script_is_not_the_main_one(make_evidence: Callable[[Mapping[str, str]], Evidence]) -> None:
    assert make_evidence({"train_gpt.py": "", "train_real.py": "print(1)"}).main_path == "train_real.py"
