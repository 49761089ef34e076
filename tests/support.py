"""What tests are made of: small rules, submissions in memory and on disk, a clone, and the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from pgaudit.examples.reading import read
from pgaudit.rulebook import rules_directory
from pgaudit.submission import Collected, File, Origin, Submission

CHECKOUT = Path(__file__).parent.parent
EXAMPLE = CHECKOUT / "tests/example_submission"
FOLDER = "records/track_10min_16mb/2026-04-01_Example"

NPM_PACKAGES = CHECKOUT / ".ci/node_modules"

PAGE = '''"""{title}.

## What it flags
A word in the script.

## Why it is not allowed
It is loud.

## How it decides
It reads.

## Known limits
None.

## How to fix
Whisper.
"""

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="{mechanism}",
    leads_to="{leads_to}",
    conditions=("C1",),
    rulings=(Ruling(Strength.MAINTAINER, "ada", "2026-04-01", "#7", "no loud words"),),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    file = evidence.submission.files.get("train_gpt.py")
    lines = file.data.decode().splitlines() if file else []
    for number, line in enumerate(lines, 1):
        place = Location("train_gpt.py", number, text=line.strip())
{body}
'''

RULES = {
    "voice/shout": (
        "A word is shouted",
        "shouting",
        "illegal",
        """        if "SHOUT" in line:
            steps = (Step(Location("train_gpt.py", 1, text=lines[0]), "the script begins"), Step(place, "it is shouted"))
            yield RULE.finding(f"the script shouts on line {number}", place, steps=steps, facts={"words": 1, "loudness": float("nan")})""",
    ),
    "voice/mumble": (
        "A word is mumbled",
        "mumbling",
        "defect",
        """        if "MUMBLE" in line:
            yield RULE.finding("the script mumbles", place, confidence=Confidence.LOW)
        if "HUM" in line:
            yield RULE.finding("the script hums", place, severity=Severity.NOTE)
        if "GRUNT" in line:
            yield RULE.finding("the script grunts", place)""",
    ),
    "voice/silence": (
        "Nothing can be heard",
        "silence",
        "defect",
        """        if "SILENCE" in line:
            yield RULE.gap("nothing to hear", place)
        if "CRASH" in line:
            yield RULE.finding("heard before the crash", place, severity=Severity.NOTE)
            raise ValueError(line)""",
    ),
}

TWINS = """# {title}

## Legal: quiet

```python path=train_gpt.py
print("quiet")
```

## Illegal: loud

```python path=train_gpt.py
print("start")
print("{word}")
```

- finds `{rule}` at `train_gpt.py`: `{word}`

## Mutation: quiet

```diff path=train_gpt.py
-print("quiet")
+print("{word}")
```

- finds `{rule}` at `train_gpt.py`: `{word}`
"""


def write_rule(directory: Path, rule_id: str, word: str = "SHOUT") -> Path:
    """Write one of ``RULES`` with its twins below ``directory``; returns the rule file."""
    title, mechanism, leads_to, body = RULES[rule_id]
    file = directory / f"{rule_id}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PAGE.format(title=title, mechanism=mechanism, leads_to=leads_to, body=body))
    file.with_suffix(".md").write_text(TWINS.format(title=title, rule=rule_id, word=word))
    return file


def submission(text: str, others: Mapping[str, bytes] | None = None, folder: str = FOLDER) -> Collected:
    """One record folder in memory whose script is ``text``, as pull request 7."""
    content = {"train_gpt.py": text.encode(), **(others or {})}
    files = {path: File(path, len(data), partial(bytes, data)) for path, data in sorted(content.items())}
    origin = Origin("a test", pr=7, head="0123456789abcdef0123456789abcdef01234567")
    return Collected(origin, (Submission(folder, files, origin),))


@dataclass(frozen=True)
class Run:
    """What a command did."""

    status: int
    out: str
    err: str


def run_pgaudit(*arguments: str | Path, cwd: Path = CHECKOUT, stdin: str = "", **environment: str) -> Run:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pgaudit", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def write_complete(directory: Path) -> Path:
    """Write the complete clean submission to ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    (section,) = read(rules_directory() / "complete.md")
    for block in section.blocks:
        (directory / block.path).write_text(block.text)
    return directory


class Repository:
    """A small clone with pull request refs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        (path / "README.md").write_text("# Challenge\n")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        dates = {"GIT_AUTHOR_DATE": "2026-04-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-04-01T00:00:00Z"}
        subprocess.run(["git", *identity, *arguments], cwd=self.path, env={**os.environ, **dates}, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def pull_request(self, number: int, write: Callable[[Path], object]) -> None:
        """Record what ``write`` does to the checkout as the head of a pull request."""
        self.git("checkout", "-q", "--detach", "main")
        write(self.path)
        self.commit()
        self.git("update-ref", f"refs/pull/{number}/head", "HEAD")
        self.git("checkout", "-q", "main")


def from_npm(path: str) -> Path:
    """A file of CI's npm packages; without it the test is skipped, or fails where ``PGAUDIT_REQUIRE_NPM`` is set."""
    file = NPM_PACKAGES / path
    if not file.exists():
        if os.environ.get("PGAUDIT_REQUIRE_NPM"):
            pytest.fail(f"{file} is missing")
        pytest.skip(f"`npm ci --prefix .ci --ignore-scripts` brings {path}")
    return file
