"""Where a finding is in the repository: what shows files as they were shipped knows neither record folders nor packed layers."""

from __future__ import annotations

from pgaudit.collect.layout import ROOT
from pgaudit.finding import Location


def in_repository(folder: str, place: Location) -> str:
    """Path of the shipped file from the root of the repository, as far as the target was named from there."""
    return "/".join(part for part in (folder, place.path) if part != ROOT) or ROOT


def inside(place: Location) -> str:
    """Where in a packed file the place is, with its text (``line 12 of train_gpt.py (base85 → lzma): …``); empty for
    a place that the shipped file shows itself.
    """
    if not place.layer:
        return ""
    text = f": {place.text}" if place.text else ""
    return f"line {place.line} of {place.path} ({place.layer}){text}" if place.line else f"{place}{text}"
