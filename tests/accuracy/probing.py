"""What the probe comes to on real pull requests, beside their labels.

python -m tests.accuracy.probing RESULTS [--repo CLONE --prs @OPEN --half tune|test] [--labels LABELS]

With ``--repo`` probes pull requests and adds a JSON line each to RESULTS, those that are in it already left out; then prints the
table of RESULTS. Scripts fall into halves by the digest of their text: ``tune`` was looked at while the probe was built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pgaudit.cli.sweep import select
from pgaudit.errors import PgauditError
from tests.accuracy.folders import Auditor, opened
from tests.accuracy.lines import KEPT_BACK, Key, Label, read_labels

SECONDS = 900
"""Until the probe of one pull request is given up."""
LONGEST_REASON = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Probe what is asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.probing", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--repo", type=Path)
    parser.add_argument("--prs", help="numbers and ranges, or @FILE")
    parser.add_argument("--half", choices=("tune", "test"), default="tune")
    parser.add_argument("--labels", type=Path)
    options = parser.parse_args(arguments)
    if options.repo:
        known = {line["pr"] for line in lines(options.results)}
        with options.results.open("a", encoding="utf-8") as stream:
            for number in distinct(options.repo, options.prs, options.half):
                if number not in known:
                    stream.write(json.dumps(probed(options.repo, number)) + "\n")
                    stream.flush()
    labels = {label.key: label for label in read_labels(options.labels)} if options.labels else {}
    print("\n".join(table(lines(options.results), labels)))
    return 0


def distinct(repo: Path, prs: str, half: str) -> Iterator[int]:
    """Pull requests of one submission whose script, unpacked, is in this half and was not seen in another before."""
    auditor, seen = Auditor.load(), set[str]()
    with opened(repo) as clone:
        for number in select(prs, clone.pull_numbers()):
            if number % KEPT_BACK == 0:
                continue
            try:
                (submission,) = clone.pull_request(number).submissions
            except (PgauditError, ValueError):
                continue
            main = auditor.evidence(submission).main
            digest = hashlib.sha256(main.body.text.encode("utf-8", "surrogatepass")).hexdigest() if main else ""
            if digest and digest not in seen and half == ("test" if int(digest[:8], 16) % 2 else "tune"):
                seen.add(digest)
                yield number


def probed(repo: Path, number: int) -> dict[str, Any]:
    """One pull request, as the command reports on it."""
    command = [sys.executable, "-m", "pgaudit", "probe", "--repo", str(repo), "--pr", str(number), "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        (folder,) = json.loads(done.stdout)["submissions"]
    except (subprocess.TimeoutExpired, ValueError) as error:
        return {"pr": number, "folder": ".", "probe": None, "error": type(error).__name__}
    return {"pr": number, "folder": folder["folder"], "verdict": folder["verdict"], "probe": folder["probe"]}


def lines(results: Path) -> list[dict[str, Any]]:
    """The lines of RESULTS so far."""
    if not results.is_file():
        return []
    return [json.loads(line) for line in results.read_text("utf-8").splitlines()]


def table(found: Sequence[dict[str, Any]], labels: dict[Key, Label]) -> Iterator[str]:
    """How many were judged, what was violated by label, and why the rest was not judged."""
    rows: dict[str, Counter[str]] = {}
    reasons, seconds = Counter[str](), list[float]()
    for line in found:
        label = labels.get(Key.of(line["pr"], line["folder"]))
        row = rows.setdefault(label.verdict if label else "no label", Counter())
        row["scripts"] += 1
        probe = line["probe"] or {"judged": False, "measurements": [], "seconds": 0.0}
        row["judged"] += probe["judged"]
        outcomes = {each["condition"]: each for each in probe["measurements"]}
        broken = [name for name, each in outcomes.items() if each["outcome"] == "violated"]
        row["violated"] += bool(broken)
        row.update(broken)
        if probe["judged"]:
            seconds.append(probe["seconds"])
        else:
            said = next((each["sentence"] for each in outcomes.values()), line.get("error", "no submission"))
            reasons[said[:LONGEST_REASON]] += 1
    for name, row in sorted(rows.items()):
        yield f"{name}: " + ", ".join(f"{number} {what}" for what, number in row.items())
    if seconds:
        yield f"longest run of a script: median {median(seconds):.1f} s, most {max(seconds):.1f} s"
    yield from (f"not judged, {number}: {why}" for why, number in reasons.most_common())


if __name__ == "__main__":
    sys.exit(main())
