"""Labels that the code proves wrong, with the line that proves it: ``corrections.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.accuracy.lines import Key, Label

SHIPPED = Path(__file__).with_name("corrections.toml")
VERDICTS = ("illegal", "legal", "defect", "disputed")
KEYS = {"pr", "folder", "verdict", "mechanisms", "why"}

_PLACE = re.compile(r"\S+:\d+")
"""``FILE:LINE``: a correction without one is an opinion."""


class BadCorrection(Exception):
    """A correction that breaks the form, or that corrects nothing."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a labelled folder is, by its code."""

    verdict: str
    mechanisms: tuple[str, ...]
    why: str


Corrections = Mapping[Key, Correction]


def read_corrections(path: Path = SHIPPED) -> Corrections:
    """The corrections by folder. Raises ``BadCorrection``."""
    document = tomllib.loads(path.read_text("utf-8"))
    corrections: dict[Key, Correction] = {}
    for number, entry in enumerate(document.get("correction", []), 1):
        place = f"{path.name}: correction {number}"
        if entry.keys() != KEYS:
            raise BadCorrection(f"{place}: needs exactly {', '.join(sorted(KEYS))}; has {', '.join(sorted(entry))}")
        if entry["verdict"] not in VERDICTS:
            raise BadCorrection(f"{place}: the verdict is one of {', '.join(VERDICTS)}, not {entry['verdict']!r}")
        if not _PLACE.search(entry["why"]):
            raise BadCorrection(f"{place}: why names no FILE:LINE")
        key = Key.of(entry["pr"], entry["folder"])
        if key in corrections:
            raise BadCorrection(f"{place}: {key} is corrected twice")
        corrections[key] = Correction(entry["verdict"], tuple(entry["mechanisms"]), entry["why"])
    return corrections


def corrected(labels: Iterable[Label], corrections: Corrections) -> list[Label]:
    """The labels as the code has them."""
    return [_correct(label, corrections[label.key]) if label.key in corrections else label for label in labels]


def check_used(labels: Iterable[Label], corrections: Corrections) -> None:
    """Raises ``BadCorrection`` for one that no label needs: it names nothing, or the label has been corrected since."""
    by_key = {label.key: label for label in labels}
    for key, correction in corrections.items():
        label = by_key.get(key)
        if label is None:
            raise BadCorrection(f"{key}: there is no such label")
        if (label.verdict, label.mechanisms) == (correction.verdict, correction.mechanisms):
            raise BadCorrection(f"{key}: the label says the same by now")


def _correct(label: Label, correction: Correction) -> Label:
    return replace(label, verdict=correction.verdict, mechanisms=correction.mechanisms, why=correction.why)
