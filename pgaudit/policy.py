"""The limits of the challenge, as dated editions with their sources: data in ``rules/policy/editions.toml``."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pgaudit.errors import RulebookError
from pgaudit.rule import Ruling, Strength

LIMITS = (
    "artifact_bytes",
    "train_seconds",
    "train_grace_seconds",
    "eval_seconds",
    "improvement_nats",
    "p_value",
    "seeds",
)
"""Every limit by name; each edition has them all."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One number of an edition, in the unit that its name ends with."""

    name: str
    written: float
    """What the official text says."""
    applied: float
    """What maintainers accepted at the time; the reading that a finding fails on."""
    ruling: Ruling
    """Where ``applied`` comes from."""


@dataclass(frozen=True, slots=True)
class Edition:
    """The limits in force from a date on."""

    since: date
    title: str
    limits: dict[str, Limit]

    def __getitem__(self, name: str) -> Limit:
        return self.limits[name]


@dataclass(frozen=True, slots=True)
class Policy:
    """Every edition, oldest first."""

    editions: tuple[Edition, ...]

    def edition_at(self, day: date | None) -> Edition:
        """The edition in force on a day: the latest for ``None``, the first for a day before the challenge began."""
        if day is None:
            return self.editions[-1]
        return next((edition for edition in reversed(self.editions) if edition.since <= day), self.editions[0])


def load(path: Path | None = None) -> Policy:
    """Read the editions. Raises ``RulebookError`` if the file breaks its own form."""
    path = path or shipped_policy("editions.toml")
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulebookError(f"{path}: {error}") from None
    editions: list[Edition] = []
    for entry in document.get("edition", []):
        editions.append(_edition(path, entry, editions[-1] if editions else None))
    if not editions:
        raise RulebookError(f"{path}: holds no [[edition]]")
    return Policy(tuple(editions))


def shipped_policy(name: str) -> Path:
    """A file of ``rules/policy``: beside the package in a wheel, above it in a checkout."""
    here = Path(__file__).parent
    return next(
        (path for root in (here, here.parent) if (path := root / "rules/policy" / name).is_file()),
        here / "rules/policy" / name,
    )


def _edition(path: Path, entry: dict[str, Any], before: Edition | None) -> Edition:
    """One edition: the limits of the one before with those of ``entry`` in their place."""
    since = entry.get("since")
    if not isinstance(since, date):
        raise RulebookError(f"{path}: an [[edition]] needs since = YYYY-MM-DD")
    if before and since <= before.since:
        raise RulebookError(f"{path}: edition {since} does not come after {before.since}")
    limits = dict(before.limits) if before else {}
    for name, table in entry.get("limits", {}).items():
        limits[name] = _limit(f"{path}: edition {since}: {name}", name, table)
    if missing := [name for name in LIMITS if name not in limits]:
        raise RulebookError(f"{path}: edition {since} lacks {', '.join(missing)}")
    return Edition(since, str(entry.get("title", "")), limits)


def _limit(where: str, name: str, table: dict[str, Any]) -> Limit:
    if name not in LIMITS:
        raise RulebookError(f"{where} is not a limit (known: {', '.join(LIMITS)})")
    values: dict[str, float] = {}
    for reading in ("written", "applied"):
        value = table.get(reading)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise RulebookError(f"{where}: {reading} must be a number, not negative")
        values[reading] = value
    try:
        ruling = Ruling(Strength(table["strength"]), table["by"], str(table["date"]), table["where"], table["says"])
    except (KeyError, ValueError) as error:
        raise RulebookError(f"{where}: {error} (each limit needs strength, by, date, where, says)") from None
    return Limit(name, values["written"], values["applied"], ruling)
