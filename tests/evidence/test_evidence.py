"""Evidence: what is read of a folder, and what could not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.submission import File, Origin, Submission

Make = Callable[[Mapping[str, str]], Evidence]


def test_an_empty_folder_has_no_facts_and_no_gaps(make_evidence: Make) -> None:
    evidence = make_evidence({})
    assert (evidence.claims, evidence.readme, evidence.main, evidence.logs, evidence.commands) == (
        None,
        None,
        None,
        (),
        (),
    )
    assert evidence.gaps == ()


def test_commands_of_the_readme_come_before_those_of_scripts(make_evidence: Make) -> None:
    evidence = make_evidence({"a.sh": "python b.py", "README.md": "```\npython a.py\n```\n"})
    assert [command.script for command in evidence.commands] == ["a.py", "b.py"]


def test_a_file_that_is_called_nearly_submission_json(make_evidence: Make) -> None:
    claims = make_evidence({"submission_ternary.json": '{"val_bpb": 1.1}'}).claims
    assert claims is not None
    assert claims.path == "submission_ternary.json"
    assert make_evidence({"submission_a.json": "{}", "submission_b.json": "{}"}).claims is None


def test_what_cannot_be_read_is_a_gap() -> None:
    names = ("README.md", "run.sh", "submission.json", "train.log", "train_gpt.py")
    files = {name: File(name, 10, bytes, problem="not in this clone") for name in names}
    evidence = Evidence(Submission("records/x", files, Origin("a test")), policy.load().edition_at(None))
    assert sorted(gap.location.path for gap in evidence.gaps if gap.location) == sorted(names)
    assert all("not in this clone" in gap.reason for gap in evidence.gaps)
    assert evidence.claims is None
