"""Changes to the text of a JSON object that leave everything else as its author wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BLANK = re.compile(r"[ \t\r\n]*")
ORDER = (
    "author",
    "github_id",
    "name",
    "blurb",
    "date",
    "track",
    "val_loss",
    "val_bpb",
    "bytes_total",
    "bytes_code",
    "seeds",
)
"""The order in which most files state these keys."""


@dataclass(frozen=True, slots=True)
class Member:
    """One ``"key": value`` of the outermost object, by offsets in the text."""

    key: str
    before: int
    """Where the blanks before the key begin."""
    start: int
    value: int
    end: int


def members(text: str) -> list[Member]:
    """The members of the object that ``text`` is; the text is known to parse."""
    decoder = json.JSONDecoder()
    found: list[Member] = []
    position = text.index("{") + 1
    while True:
        start = _skip(text, position)
        if text[start] == "}":
            return found
        key, after = decoder.raw_decode(text, start)
        value = _skip(text, _skip(text, after) + 1)
        _, end = decoder.raw_decode(text, value)
        found.append(Member(key, position, start, value, end))
        position = _skip(text, end)
        if text[position] == "}":
            return found
        position += 1


def edited(text: str, changes: Mapping[str, str]) -> str:
    """The text with members replaced, or added where most files have them; ``changes`` maps keys to JSON text.

    A key that is there more than once is replaced where it counts: the last time.
    """
    for key, value in changes.items():
        there = [member for member in members(text) if member.key == key]
        text = text[: there[-1].value] + value + text[there[-1].end :] if there else _added(text, key, value)
    return text


def _added(text: str, key: str, value: str) -> str:
    found = members(text)
    if not found:
        opening = text.index("{") + 1
        return f'{text[:opening]}\n  "{key}": {value}\n{text[_skip(text, opening) :]}'
    styled = found[min(1, len(found) - 1)]
    blanks = text[styled.before : styled.start] or ("" if len(found) > 1 else " ")
    colon = text[_skip_string(text, styled) : styled.value]
    anchor = _anchor(found, key)
    return f'{text[: anchor.end]},{blanks}"{key}"{colon}{value}{text[anchor.end :]}'


def _anchor(found: Sequence[Member], key: str) -> Member:
    """The member that a new one follows: the nearest that most files have before it, or the last of all."""
    earlier = ORDER[: ORDER.index(key)] if key in ORDER else ()
    for name in reversed(earlier):
        if there := [member for member in found if member.key == name]:
            return there[-1]
    return found[-1]


def _skip(text: str, position: int) -> int:
    match = BLANK.match(text, position)
    return match.end() if match else position


def _skip_string(text: str, member: Member) -> int:
    return json.JSONDecoder().raw_decode(text, member.start)[1]
