"""What a submission calls itself, as a source of the effective configuration.

A score that is published under the name of a technique was made with it. Where the script's switch for that technique is
off by default and neither a command nor a log says how the run set it, the name does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pgaudit.engine.machine import Setting
from pgaudit.engine.walk import Walk

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SWITCHING = frozenset({"enable", "enabled", "use", "run", "do", "with", "on", "epochs", "steps"})
"""Words of a switch that are not the technique's: ``SLOT_ENABLED``, ``USE_TTT``, ``TTT_EPOCHS``."""
_DENYING = frozenset({"no", "non", "not", "without", "pre", "minus", "vs", "zero"})
"""Before a technique's name: it was not used."""
_UNDOING = frozenset({"free", "off", "disabled"})
"""The same, after it."""


LONGEST_TITLE = 2_000
"""Characters that are read of a name; a list of techniques may be long."""


@dataclass(frozen=True, slots=True)
class Title:
    """What a submission calls itself: its name and techniques in submission.json, the README's heading."""

    text: str
    source: str
    """Where it stands, for people."""

    def names(self, technique: str) -> bool:
        """Does the title name a technique, given as one lower-case word? ``N-Gram`` is ``ngram``, ``NoTTT`` names none."""
        words = [word.lower() for word in _WORD.findall(self.text[:LONGEST_TITLE])]
        return any(
            not _DENYING.intersection(words[max(start - 1, 0) : start])
            and not _UNDOING.intersection(words[stop : stop + 1])
            for start, stop in _runs(words, technique)
        )


def _runs(words: list[str], technique: str) -> Iterator[tuple[int, int]]:
    """Where words that stand together make up a technique's name."""
    for start in range(len(words)):
        joined = ""
        for stop in range(start, len(words)):
            joined += words[stop]
            if joined == technique:
                yield start, stop + 1
            if not technique.startswith(joined):
                break


@dataclass(frozen=True)
class Statement:
    """What a submission says of its own run, beside commands and logs."""

    titles: tuple[Title, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """What the README's text says was switched on, as `` `NAME=VALUE` ``. A text also says what a comparison left out, so
    that it switches nothing off."""


def technique_of(switch: str) -> str:
    """What a switch turns on, as one lower-case word: ``slot`` of ``SLOT_ENABLED`` and of ``--use-slot``."""
    words = (word.lower() for word in _WORD.findall(switch))
    return "".join(word for word in words if word not in _SWITCHING)


def namer(switch: str, titles: Iterable[Title]) -> Title | None:
    """The first title that names what a switch turns on."""
    technique = technique_of(switch)
    return next((title for title in titles if technique and title.names(technique)), None)


def settings_named(walk: Walk, titles: Iterable[Title], decided: Mapping[str, Setting]) -> dict[str, Setting]:
    """The switches that kept a block from running, though the submission is named after what they turn on.

    What a command, a wrapper or a log has ``decided`` stays as it is.
    """
    found: dict[str, Setting] = {}
    for skipped in walk.skipped:
        for switch in skipped.settings:
            title = namer(switch, titles) if switch.removeprefix("--") not in decided else None
            if title is not None:
                found[switch] = Setting(None, f"named by {title.source}")
    return found
