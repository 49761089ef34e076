"""The rulebook itself: every example of every rule, and what every rule owes its readers."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import date

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.examples import Section, check, contract, sections
from pgaudit.examples.checking import content, folder_of
from pgaudit.finding import Severity
from pgaudit.standings import record_before
from pgaudit.submission import Collected, Origin
from tests.support import submission

BOOK = rulebook.load()


@pytest.mark.parametrize("section", sections(BOOK), ids=lambda section: f"{section.place} {section}")
def test_example(section: Section) -> None:
    assert check(section, BOOK) == []


def test_every_rule_has_examples_of_every_sign() -> None:
    assert contract(BOOK) == []


def only(rule: str) -> rulebook.Rulebook:
    return rulebook.Rulebook(BOOK.directory, tuple(entry for entry in BOOK if entry.rule.id == rule))


PART = b"val_tokens: 1048576\nfinal val_loss:2.06120413 val_bpb:1.22075880\n"


@pytest.mark.parametrize(
    "folder,claimed,decides",
    [
        ("records/track_10min_16mb/2026-04-01_Run", True, True),
        ("records/track_10min_16mb/2026-04-01_Run", False, False),
        ("records/track_non_record_16mb/2026-04-01_Run", True, False),
    ],
    ids=["record", "no claim", "non-record"],
)
def test_a_part_of_the_validation_text_is_no_record(folder: str, claimed: bool, decides: bool) -> None:
    files = {"train.log": PART, "submission.json": b'{"val_bpb": 1.2207588}' if claimed else b"{}"}
    (report,) = audit(submission("print()\n", files, folder), only("validation/subset"), policy.load()).submissions
    assert [finding.decides for finding in report.findings] == [decides]


def claim_of(day: date, bits: float, losses: tuple[float, ...]) -> Collected:
    """A record claim of three seeds, dated by its head commit; its tokens have 2.4 bytes on average."""
    seeds = dict(zip(("42", "1337", "2024"), losses, strict=True))
    stated = {"val_bpb": bits, "seed_results": {seed: {"val_loss": loss} for seed, loss in seeds.items()}}
    files = {"submission.json": json.dumps(stated).encode()}
    for seed, loss in seeds.items():
        files[f"train_seed{seed}.log"] = f"seed:{seed}\nfinal val_loss:{loss:.8f} val_bpb:{bits:.8f}\n".encode()
    collected = submission("print()\n", files)
    origin = replace(collected.origin, date=day)
    return replace(collected, origin=origin, submissions=(replace(collected.submissions[0], origin=origin),))


STOOD = record_before(date(2026, 3, 20), 1.1, None)
assert STOOD


@pytest.mark.parametrize(
    "bits,spread,said",
    [
        (STOOD.val_bpb - 0.02, 0.0005, None),
        (STOOD.val_bpb - 0.02, 0.03, "is not significant"),
        (STOOD.val_bpb - 0.001, 0.0005, "is not significant"),
        (STOOD.val_bpb + 0.02, 0.0005, "does not improve on"),
    ],
    ids=["clear step", "seeds too far apart", "step within the margin", "no step"],
)
def test_a_record_is_held_against_the_one_of_its_day(bits: float, spread: float, said: str | None) -> None:
    loss = bits * math.log(2) * 2.4
    claim = claim_of(date(2026, 3, 20), bits, (loss - spread, loss, loss + spread))
    (report,) = audit(claim, only("claims/significance"), policy.load()).submissions
    assert [said is not None and said in finding.message for finding in report.findings] == [True] * (said is not None)


def test_without_a_date_no_record_stood() -> None:
    claim = claim_of(date(2026, 3, 20), 1.3, (2.1, 2.1001, 2.0999))
    undated = replace(claim, submissions=(replace(claim.submissions[0], origin=Origin("a test")),))
    (report,) = audit(undated, only("claims/significance"), policy.load()).submissions
    assert report.findings == ()


SCRIPT = "import math\n" + "".join(f"def step_{number}(x):\n    return x + {number}\n" for number in range(80))


@pytest.mark.parametrize("changed,finds", [(1, False), (30, True)], ids=["a setting was changed", "another program"])
def test_the_source_in_a_log_is_the_shipped_one(changed: int, finds: bool) -> None:
    logged = SCRIPT
    for number in range(changed):
        logged = logged.replace(
            f"def step_{number}(x):\n    return x + {number}\n", f"def other_{number}(x):\n    pass\n"
        )
    log = f"{logged}{'=' * 100}\nseed:42\nfinal val_loss:2.06120413 val_bpb:1.22075880\n".encode()
    files = {"train_seed42.log": log, "submission.json": b'{"val_bpb": 1.2207588}'}
    (report,) = audit(submission(SCRIPT, files), only("log/other-script"), policy.load()).submissions
    assert [finding.location.path for finding in report.findings] == ["train_seed42.log"] * finds


@pytest.mark.parametrize(
    "removed,size,severity",
    [(0, 4_000_000, None), (30, 4_000_000, Severity.WARNING)],
    ids=["the text tells more than a size", "more was in it"],
)
def test_a_source_in_a_log_that_matches_is_believed(removed: int, size: int, severity: Severity | None) -> None:
    more = "".join(f"def gone_{number}(x):\n    return {number} * x\n" for number in range(removed))
    score = "final val_loss:2.06120413 val_bpb:1.22075880"
    log = f"{SCRIPT}{more}{'=' * 100}\nseed:42\nCode size: {size} bytes\n{score}\n".encode()
    files = {"train_seed42.log": log, "submission.json": b'{"val_bpb": 1.2207588}'}
    (report,) = audit(submission(SCRIPT, files), only("log/other-script"), policy.load()).submissions
    assert [finding.severity for finding in report.findings] == ([severity] if severity else [])


@pytest.mark.parametrize("day,finds", [("2026-02-01", False), ("2026-12-01", True)], ids=["before it", "after it"])
def test_a_log_is_no_copy_of_what_was_accepted_later(day: str, finds: bool) -> None:
    (section,) = (each for each in sections(BOOK) if str(each) == "Defect: another record's losses")
    files = {path: content(block) for path, block in folder_of(section).items()}
    collected = submission(files.pop("train_gpt.py").decode(), files, f"records/track_10min_16mb/{day}_Run")
    (report,) = audit(collected, only("log/copied"), policy.load()).submissions
    assert [finding.severity for finding in report.findings] == [Severity.ERROR if finds else Severity.NOTE]


@pytest.mark.parametrize("seconds,finds", [(600.04, True), (1200.04, False)], ids=["to the limit", "twice the limit"])
def test_what_follows_a_training_that_took_far_too_long_is_not_the_point(seconds: float, finds: bool) -> None:
    (section,) = (each for each in sections(BOOK) if str(each) == "Illegal: Hessians after the last step")
    files = {path: content(block) for path, block in folder_of(section).items()}
    time = f"cap train_time:{1000 * seconds:.0f}ms".encode()
    logs = {path: re.sub(rb"cap train_time:\d+ms", time, data) for path, data in files.items() if path.endswith(".log")}
    collected = submission(files.pop("train_gpt.py").decode(), {**files, **logs})
    (report,) = audit(collected, only("calibration/after-budget"), policy.load()).submissions
    assert bool(report.findings) is finds
