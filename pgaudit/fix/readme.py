"""Blank cells of the README's tables, filled from the logs; every other byte stays as its author wrote it."""

from __future__ import annotations

from pgaudit.evidence.blanks import blanks, seed_of
from pgaudit.evidence.evidence import Evidence
from pgaudit.fix.repair import Change, Repair


def repair(evidence: Evidence) -> Repair | None:
    """The README with its blank cells filled; ``None`` without one, and for one that is not UTF-8."""
    readme = evidence.readme
    if readme is None:
        return None
    try:
        text = evidence.submission.files[readme.path].data.decode("utf-8")
    except UnicodeDecodeError:
        return None  # its bytes could not be kept; submission.json can be repaired all the same
    lines = text.split("\n")
    changes = []
    for blank in blanks(readme.rows, evidence.logs):
        number = blank.row.location.line
        assert number is not None
        lines[number - 1] = filled(lines[number - 1], blank.column, blank.text)
        place = f"seed {seed_of(blank.row)}, {blank.head}"
        changes.append(Change(place, blank.text, f"printed at {blank.source}"))
    return Repair(readme.path, text, "\n".join(lines), tuple(changes), ())


def filled(line: str, column: int, text: str) -> str:
    """A row of a table with another text in a column, as wide as before where it fits."""
    cells = line.split("|")
    cells[column + 1] = f" {text} ".ljust(len(cells[column + 1]))
    return "|".join(cells)
