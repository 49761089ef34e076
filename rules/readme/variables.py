"""The run command does not do what the README says.

## What it flags
Variables that the README's run command sets and no shipped file ever reads; and a technique that a heading of the README names while
the script's switch for it is off by default and neither the command nor a log turns it on.

## Why it is a defect
Whoever runs the command gets another run than the one that is described. Reviewers ask for it again and again.

## How it decides
A variable counts as read if its name stands anywhere in the shipped code. Variables of Python, torch, CUDA and the launchers are left
out. A switch counts as one that the README names if its own words stand together in a heading.

## Known limits
Variables that the code puts together from parts. Switches whose name is not the technique's.

## How to fix
Take the command from the shell history of the run, and say in it what the run had on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.engine.transfer.runtime import DEFAULT, ON, is_off
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.naming import Title, technique_of
from pgaudit.evidence.reading import Reading, is_readable
from pgaudit.evidence.readme import Readme
from pgaudit.finding import Confidence, Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength
from pgaudit.source.text import decode

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="documentation",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.COMMUNITY,
            "Copilot",
            "2026-03-22",
            "#485",
            "The command as written does not run the described method: its switch is off by default.",
        ),
        Ruling(
            Strength.COMMUNITY,
            "Copilot",
            "2026-04-08",
            "#1471",
            "The command sets DATA_PATH, and the script reads DATA_DIR only.",
        ),
    ),
)

AMBIENT = re.compile(
    r"^(?:CUDA|NCCL|OMP|MKL|PYTORCH|TORCH|PYTHON|TRITON|HF|HUGGINGFACE|WANDB|GLOO|CUBLAS|TOKENIZERS|XLA|LD|MASTER|UV|PIP|NVIDIA|MLX)_"
    r"|^(?:PATH|HOME|PYTHONPATH|RANK|LOCAL_RANK|WORLD_SIZE|NPROC_PER_NODE|TMPDIR|VIRTUAL_ENV)$"
)
"""Variables that something else than the script reads."""
_WORD = re.compile(r"[A-Za-z_]\w*")
LEAST_LETTERS = 3
"""Shorter words name too much."""
CODE = (".sh", ".bash", ".c", ".cc", ".cpp", ".cu", ".rs", ".yaml", ".yml", ".toml", ".json")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the commands with what the shipped code reads, and the headings with what it leaves off."""
    readme = evidence.readme
    shipped = {path.rpartition("/")[2] for path in evidence.submission.files}
    own = [command for command in (readme.commands if readme else ()) if command.script.rpartition("/")[2] in shipped]
    words = _words(evidence) if any(command.environment for command in own) else frozenset()
    for command in own:
        unread = [name for name in command.environment if not AMBIENT.search(name) and name not in words]
        if unread and evidence.texts:
            yield RULE.finding(
                f"the run command sets {', '.join(unread)}, which no shipped file reads",
                command.location,
                facts={"unread": unread},
            )
            break
    yield from _left_off(evidence)


def _left_off(evidence: Evidence) -> Iterator[Finding]:
    """Switches that are off by default, though a heading names them, or the log shows that they were on."""
    run, readme = evidence.run, evidence.readme
    if run is None or readme is None:
        return
    for name, (value, source) in sorted(run.walk.settings.items()):
        steps = tuple(Step(command.location, f"the run command does not set {name}") for command in readme.commands[:1])
        if value == ON and steps:
            yield RULE.finding(
                f"{name} is off by default and the run command leaves it so: {source}",
                readme.commands[0].location,
                steps=steps,
                facts={"switch": name},
            )
        elif source == DEFAULT and is_off(value) and (heading := _heading(readme, name)):
            yield RULE.finding(
                f"a heading names {heading.value!r}, and nothing switches it on: {name} is {value} by default",
                heading.location,
                steps=steps,
                confidence=Confidence.MEDIUM,
                facts={"switch": name, "default": value},
            )


def _heading(readme: Readme, switch: str) -> Reading[str] | None:
    """The heading that names what a switch turns on."""
    technique = technique_of(switch)
    named = (heading for heading in readme.headings if Title(heading.value, "").names(technique))
    return next(named, None) if len(technique) >= LEAST_LETTERS else None


def _words(evidence: Evidence) -> frozenset[str]:
    """Every word of the shipped code and of the files that configure it."""
    files = evidence.submission.files.items()
    others = (
        decode(file.data).text
        for path, file in files
        if path.endswith(CODE) and path != "submission.json" and is_readable(file)
    )
    return frozenset(
        word for text in (*(layer.text for layer in evidence.texts), *others) for word in _WORD.findall(text)
    )
