"""README and run scripts: the commands that start a run, and the scores stated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.evidence.readme import MAX_VALUE, Command, Copied, Readme, read_copies, read_readme, read_run_script
from pgaudit.submission import File


def file_of(text: str, path: str = "README.md") -> File:
    data = text.encode("utf-8", "replace")
    return File(path, len(data), lambda: data)


def readme_of(text: str) -> Readme:
    return read_readme(file_of(text))


def commands_of(script: str) -> tuple[Command, ...]:
    return read_run_script(file_of(script, "run.sh"))


def test_a_command_in_a_fenced_block() -> None:
    text = """# A run

```bash
# three seeds
RUN_ID=a "X=b c" SEED=42 \\
  torchrun --standalone --nproc_per_node=8 \\
  records/x/train_gpt.py --flag 1 && echo done
```
"""
    readme = readme_of(text)
    (command,) = readme.commands
    assert readme.title == "A run"
    assert command.environment == {"RUN_ID": "a", "X": "b c", "SEED": "42"}
    assert (command.script, command.arguments) == ("records/x/train_gpt.py", ("--flag", "1"))
    assert command.location.line == 5


def test_a_command_in_prose_or_in_a_block_of_another_language_is_none() -> None:
    assert readme_of("python train_gpt.py\n\n```python\nimport os\npython train_gpt.py\n```\n").commands == ()


def test_exported_variables_reach_the_commands_after_them() -> None:
    commands = commands_of(
        "export A=1 B=2\npython one.py\nC=3\nA=9 python3.12 two.py\nenv D=4 torchrun -m package.train\ntorchrun three.py\n"
    )
    assert [(command.script, command.environment) for command in commands] == [
        ("one.py", {"A": "1", "B": "2"}),
        ("two.py", {"A": "9", "B": "2", "C": "3"}),
        ("-m package.train", {"A": "1", "B": "2", "C": "3", "D": "4"}),
        ("three.py", {"A": "1", "B": "2", "C": "3"}),
    ]


def test_expansions_with_and_without_a_default() -> None:
    (command,) = commands_of('R=x\nSEED=${SEED:-42} TAG="$R-${R}" N=$UNKNOWN python train.py')
    assert command.environment == {"R": "x", "SEED": "42", "TAG": "x-x", "N": "$UNKNOWN"}


def test_a_loop_over_seeds_leaves_the_variable() -> None:
    (command,) = commands_of("for s in 42 1337; do\n  SEED=$s torchrun train_gpt.py\ndone\n")
    assert command.environment["SEED"] == "$s"
    assert command.location.line == 2


def test_the_rest_of_a_loop_line_is_read() -> None:
    (command,) = commands_of("for s in 42 1337; do SEED=$s torchrun train_gpt.py; done")
    assert (command.script, command.environment) == ("train_gpt.py", {"SEED": "$s"})


@pytest.mark.parametrize("shell", ["> train_seed$SEED.log 2>&1", ">>log 2> errors.txt", "&> log", "2>&1 | tee log"])
def test_where_the_output_goes_is_no_argument(shell: str) -> None:
    (command,) = commands_of(f"torchrun train_gpt.py --steps 2 {shell}")
    assert command.arguments == ("--steps", "2")


def test_a_placeholder_is_no_redirection() -> None:
    (command,) = commands_of("SEED=<seed> torchrun train_gpt.py --name a>b")
    assert (command.environment, command.arguments) == ({"SEED": "<seed>"}, ("--name", "a>b"))


def test_values_that_double_stay_bounded() -> None:
    (command,) = commands_of("X=ab\n" + "X=$X$X\n" * 60 + "python train.py\n")
    assert len(command.environment["X"]) == MAX_VALUE


@pytest.mark.parametrize(
    "line,score",
    [
        ("# Record: val_bpb 1.0810 (3 seeds)", 1.0810),
        ("| mean | **1.12495 BPB** |", 1.12495),
        ("val_bpb = `1.20143417`", 1.20143417),
    ],
)
def test_stated_scores(line: str, score: float) -> None:
    (reading,) = readme_of(f"first\n{line}\n").scores
    assert (reading.value, reading.location.line) == (score, 2)


@pytest.mark.parametrize("line", ["bpb fell by 0.5 percent", "11.0810 bpb", "version 1.0810"])
def test_other_numbers_are_no_scores(line: str) -> None:
    assert readme_of(line).scores == ()


@given(st.text(alphabet=st.sampled_from("$A={}\"'\\;&|` \n-python.y:#~123bp_"), max_size=200))
def test_any_text_is_read(text: str) -> None:
    lines = text.count("\n") + 1
    for command in (*readme_of(text).commands, *commands_of(text)):
        assert 1 <= (command.location.line or 0) <= lines


def test_arrays_of_words() -> None:
    commands = commands_of(
        'RUN=(\n  A=1 B=2  \n  # a comment\n  C="x y"\n)\nenv "${RUN[@]}" D=3 \\\n  python train_gpt.py --steps 5\nenv "${NONE[@]}" python two.py\n'
    )
    assert [(command.script, command.environment) for command in commands] == [
        ("train_gpt.py", {"A": "1", "B": "2", "C": "x y", "D": "3"}),
        ("two.py", {}),
    ]


def test_an_array_that_is_never_closed_costs_no_error() -> None:
    assert commands_of("RUN=(\n A=1\npython train_gpt.py\n") == ()


def copied(script: str) -> list[tuple[str, str]]:
    return [(copy.source, copy.target) for copy in read_copies(file_of(script, "run.sh"))]


def test_files_that_get_another_name() -> None:
    assert copied("mkdir -p d\nln -sf a.bin d/b.bin\nsudo cp x y && mv -v p q\n") == [
        ("a.bin", "d/b.bin"),
        ("x", "y"),
        ("p", "q"),
    ]
    assert copied("ls -l a b\ncp onlyone\n") == []
    readme = readme_of("```bash\nln -s a b\n```\nln -s c d\n")
    assert [(copy.source, copy.target) for copy in readme.copies] == [("a", "b")]
    assert isinstance(readme.copies[0], Copied)


def test_settings_that_the_text_states() -> None:
    text = "Run with `SLOT_ENABLED=1` and **`MATRIX_LR=0.003`**.\n\n```bash\n`X_Y=1`\n```\n`EPOCHS=2` or `EPOCHS=3`, `EPOCHS=2`.\n"
    settings = readme_of(text).settings
    assert {name: said.value for name, said in settings.items()} == {"SLOT_ENABLED": "1", "MATRIX_LR": "0.003"}
    assert settings["MATRIX_LR"].location.line == 1
