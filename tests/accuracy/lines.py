"""The two tables that accuracy is made of: labels, and the lines of a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

KEPT_BACK = 3
"""Pull requests with a number divisible by this are there to test on (README: how accuracy is measured): never opened."""

MISSING = "missing"
"""The verdict of a label without a result."""

VERDICTS = ("illegal", "defect", "incomplete", "review", "clean", MISSING)
"""What a result can say, in the order of the confusion matrix."""

OPEN = ("incomplete", MISSING)
"""Verdicts that leave the question open."""

CODE_CHANNELS = "code,code+config"
"""The channels in which reading can decide; illegal lines of other channels need data, logs or a run."""


class Key(NamedTuple):
    """One record folder of one pull request."""

    pr: int
    folder: str

    @staticmethod
    def of(pr: int, folder: str) -> Key:
        """The key however the folder was written."""
        return Key(pr, folder.rstrip("/"))

    def __str__(self) -> str:
        return f"#{self.pr} {self.folder}"


@dataclass(frozen=True, slots=True)
class Label:
    """What a folder is, as far as people could tell."""

    key: Key
    verdict: str
    """``illegal``, ``legal``, ``defect`` or ``disputed``."""
    mechanisms: tuple[str, ...]
    """What makes it illegal; for a legal line the look-alike that it is (``clean-…``)."""
    tier: str
    channel: str
    """Where the decision is visible."""
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a sweep."""

    key: Key
    head: str
    """Commit id that was read; empty where nothing was."""
    verdict: str
    mechanisms: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...] = ()
    """As the sweep writes them: rule, severity, confidence, location, message, steps."""
    gaps: tuple[Mapping[str, Any], ...] = ()


def read_labels(path: Path) -> list[Label]:
    """The lines of a label file, in its order."""
    return [
        Label(
            Key.of(line["pr"], line["folder"]),
            line["verdict"],
            tuple(line["mechanisms"]),
            line["tier"],
            line["channel"],
            line.get("where") or "",
            line.get("why") or "",
        )
        for line in _read(path)
    ]


def read_results(path: Path) -> dict[Key, Result]:
    """The lines of a sweep by folder."""
    found = (
        Result(
            Key.of(line["pr"], line["folder"]),
            line.get("head") or "",
            line["verdict"],
            tuple(line["mechanisms"]),
            tuple(line.get("findings", ())),
            tuple(line.get("gaps", ())),
        )
        for line in _read(path)
    )
    return {result.key: result for result in found}


def chosen(labels: Iterable[Label], tier: str, channels: str, only: frozenset[Key] | None) -> list[Label]:
    """The labels of a tier (or ``all``); illegal ones of certain channels (or ``all``); those of ``only``, if given."""
    visible = frozenset(channels.split(","))
    return [
        label
        for label in labels
        if tier in ("all", label.tier)
        and (channels == "all" or label.verdict != "illegal" or label.channel in visible)
        and (only is None or label.key in only)
    ]


def read_keys(path: Path) -> frozenset[Key]:
    """Lines of ``pr<TAB>folder``."""
    rows = (line.split("\t") for line in path.read_text("utf-8").splitlines() if line)
    return frozenset(Key.of(int(pr), folder) for pr, folder in rows)


def write_keys(path: Path, keys: Iterable[Key]) -> None:
    """What ``read_keys`` reads, sorted."""
    path.write_text("".join(f"{key.pr}\t{key.folder}\n" for key in sorted(keys)), "utf-8")


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
