"""The record of a run, read back. It was written beside the submission's code, so nothing in it is trusted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgaudit.probe.record import ARRAYS, DOCUMENT, RunRecord, Site

MOST_BYTES = 2**30
"""Of all arrays together, unpacked."""
MOST_TEXT = 64 * 2**20
"""Bytes of the document."""
LONGEST = 500
"""Characters of a sentence."""
MISSING = "no record: it took too long or ended itself"


class Unusable(ValueError):
    """A record that no recorder of ours has written."""


def read(folder: Path, name: str) -> RunRecord:
    """The record of one run; what is missing or unusable is a run that did not finish."""
    arrays, document = folder / ARRAYS, folder / DOCUMENT
    if any(path.is_symlink() or not path.is_file() for path in (arrays, document)):
        return _nothing(name, MISSING)
    try:
        return _record(name, _arrays(arrays), _document(document))
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile) as problem:
        return _nothing(name, f"its record cannot be used: {type(problem).__name__}")


def _nothing(name: str, ending: str) -> RunRecord:
    return RunRecord(name, ending, (), (), (), np.zeros(1, np.int64), np.zeros(0))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > MOST_BYTES:
            raise Unusable
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in ("values", "offsets", "calls")}


def _document(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_TEXT:
        raise Unusable
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise Unusable
    return found


def _record(name: str, arrays: dict[str, NDArray[Any]], document: dict[str, Any]) -> RunRecord:
    values, offsets, calls = (arrays[each] for each in ("values", "offsets", "calls"))
    sites = tuple(Site(str(path), int(line), str(kind), str(into)) for path, line, kind, into in document["sites"])
    fits = (
        values.dtype == np.float64
        and offsets.dtype == calls.dtype == np.int64
        and values.ndim == offsets.ndim == calls.ndim == 1
        and len(offsets) == len(calls) + 1
        and offsets[0] == 0
        and offsets[-1] == len(values)
        and bool((np.diff(offsets) >= 0).all())
        and bool(((calls >= 0) & (calls < len(sites))).all())
    )
    if not fits:
        raise Unusable
    return RunRecord(
        name,
        str(document["ending"])[:LONGEST],
        tuple((int(made), str(line)) for made, line in document["printed"]),
        sites,
        tuple(calls.tolist()),
        offsets,
        values,
        tuple(_change(change) for change in document["changes"]),
        tuple(str(each)[:LONGEST] for each in document["substituted"]),
        float(document["seconds"]),
    )


def _change(change: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: float(change[name]) for name in ("old", "new")}
    whole = {name: int(number) if number.is_integer() else number for name, number in numbers.items()}
    return {"name": str(change["name"])[:LONGEST], **whole, "reason": str(change["reason"])[:LONGEST]}
