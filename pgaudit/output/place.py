"""Where a finding is in the repository: what shows files as they were shipped knows neither record folders nor packed layers."""

from __future__ import annotations

from pgaudit.collect.layout import ROOT
from pgaudit.finding import Location


def in_repository(folder: str, place: Location) -> str:
    """Path of the shipped file from the root of the repository, as far as the target was named from there."""
    return "/".join(part for part in (folder, place.path) if part != ROOT) or ROOT


def located(text: str, place: Location) -> str:
    """The text, and for a place that the shipped file does not show itself, where it is and what stands there."""
    if not place.layer:
        return text
    where = f"line {place.line} of {place.path} ({place.layer})" if place.line else str(place)
    return f"{text}. At {where}: {place.text}" if place.text else f"{text}. At {where}"
