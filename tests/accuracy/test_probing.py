"""The table of probes, from results that were never measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.accuracy import probing

FOLDER = "records/track_10min_16mb/x"


def result(pr: int, *outcomes: str, sentence: str = "a fact") -> dict[str, object]:
    conditions = ("C1 causal", "C2 normalised", "C3/C4 scored first", "byte count")
    measured = [
        {"condition": condition, "outcome": outcome, "sentence": sentence}
        for condition, outcome in zip(conditions, outcomes, strict=True)
    ]
    judged = any(outcome in ("violated", "holds") for outcome in outcomes[:3])
    return {"pr": pr, "folder": FOLDER, "probe": {"judged": judged, "measurements": measured, "seconds": 2.0 * pr}}


def test_outcomes_are_counted_by_label_and_the_rest_by_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        result(1, "not exercised", "not exercised", "violated", "holds"),
        result(2, "holds", "violated", "holds", "holds"),
        result(4, "holds", "holds", "holds", "holds"),
        result(5, *["could not run"] * 4, sentence="needs a kernel"),
        {"pr": 7, "folder": ".", "probe": None, "error": "TimeoutExpired"},
    ]
    labels = [
        {"pr": pr, "folder": FOLDER, "verdict": verdict, "mechanisms": [], "tier": "gold", "channel": "code", "where": "", "why": ""}
        for pr, verdict in ((1, "illegal"), (2, "illegal"), (4, "legal"))
    ]  # fmt: skip
    results, labelled = tmp_path / "results.jsonl", tmp_path / "labels.jsonl"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    labelled.write_text("".join(json.dumps(label) + "\n" for label in labels))
    assert probing.main([str(results), "--labels", str(labelled)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "illegal: 2 scripts, 2 judged, 2 violated, 1 C3/C4 scored first, 1 C2 normalised",
        "legal: 1 scripts, 1 judged, 0 violated",
        "no label: 2 scripts, 0 judged, 0 violated",
        "longest run of a script: median 4.0 s, most 8.0 s",
        "not judged, 1: needs a kernel",
        "not judged, 1: TimeoutExpired",
    ]
