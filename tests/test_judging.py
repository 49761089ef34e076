"""From a question about a run to a verdict: how sure a finding is, and what keeps it from counting."""

from __future__ import annotations

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.finding import Confidence, Severity
from pgaudit.report import FolderReport
from pgaudit.rulebook import Rulebook
from pgaudit.verdict import Verdict
from tests.evidence.support import ADAPT, CLAIM, LOG, PRELUDE, SCORE, indented, script
from tests.support import submission

BOOK = rulebook.load()
ADAPTED = (
    PRELUDE
    + f"""\
def adapt(steps):
    print(f"adapting for {{steps}} steps")
{indented(ADAPT)}
def main():
    adapt(3)
{indented(SCORE)}
main()
"""
)
GATED = (
    PRELUDE
    + """\
hints, seen, opened, total = np.load("hints.npy"), np.zeros(1024), 0, 0.0
for start in range(0, 100000, 512):
    x, y = val[start : start + 512], val[start + 1 : start + 513]
    loss = F.cross_entropy(net(x), y, reduction="none")
    eased = loss.clone()
    for i in range(512):
        if hints[y[i]] > 0:
            opened += 1
            eased[i] = 0.5 * loss[i]
        seen[y[i]] += 1
    total += eased.sum()
print(f"the gate opened {opened} times")
print(f"final_score val_bpb:{total / 2:.4f}")
"""
)


def judged(rule: str, text: str, log: str, **files: str) -> FolderReport:
    """What one rule says of a script whose run printed ``log``."""
    others = {"submission.json": CLAIM, "train.log": log + LOG, **files}
    book = Rulebook(BOOK.directory, tuple(entry for entry in BOOK if entry.rule.id == rule))
    collected = submission(text, {path: content.encode() for path, content in others.items()})
    return audit(collected, book, policy.load()).submissions[0]


@pytest.mark.parametrize(
    "log,verdict,confidence",
    [
        ("adapting for 3 steps\n", Verdict.ILLEGAL, Confidence.HIGH),
        ("adapting for 12 steps\n", Verdict.ILLEGAL, Confidence.HIGH),
        ("seed:7\n", Verdict.REVIEW, Confidence.LOW),
    ],
    ids=["printed", "with another number", "missing"],
)
def test_code_whose_prints_are_missing_may_not_have_run(log: str, verdict: Verdict, confidence: Confidence) -> None:
    report = judged("ttt/prequant", ADAPTED, log)
    assert (report.verdict, {finding.confidence for finding in report.findings}) == (verdict, {confidence})


def test_a_print_that_announces_the_call_counts_as_well() -> None:
    called = ADAPTED.replace('    print(f"adapting for {steps} steps")\n', "")
    announced = called.replace("    adapt(3)\n", '    print("adaptation follows")\n    adapt(3)\n')
    assert judged("ttt/prequant", called, "").verdict is Verdict.ILLEGAL
    assert judged("ttt/prequant", announced, "adaptation follows\n").verdict is Verdict.ILLEGAL
    assert judged("ttt/prequant", announced, "").verdict is Verdict.REVIEW


def test_a_print_that_announces_an_outer_call_counts_as_well() -> None:
    inner = ADAPTED.replace("    adapt(3)\n", '    print("adaptation follows")\n    outer()\n').replace(
        "def main", "def outer():\n    adapt(3)\ndef main"
    )
    assert judged("ttt/prequant", inner, "adaptation follows\n").verdict is Verdict.ILLEGAL
    assert judged("ttt/prequant", inner, "").verdict is Verdict.REVIEW


@pytest.mark.parametrize(
    "log,verdict",
    [
        ("adapting for 3 steps\n", Verdict.ILLEGAL),
        ("adapting for 12 steps\n", Verdict.ILLEGAL),
        ("seed:7\n", Verdict.REVIEW),
        ("evaluating\n", Verdict.REVIEW),
    ],
)
def test_code_of_main_itself_is_told_by_the_prints_of_its_branch(log: str, verdict: Verdict) -> None:
    inline = f"""\
def say(text):
    print(text)
def main():
    say("evaluating")
    if int(os.environ.get("ADAPT", "1")):
        steps = int(os.environ.get("STEPS", "3"))
        say(f"adapting for {{steps}} steps")
{indented(indented(ADAPT))}
{indented(SCORE)}
main()
"""
    assert judged("ttt/prequant", PRELUDE + inline, log).verdict is verdict


@pytest.mark.parametrize(
    "line,severity", [("the gate opened 71 times\n", Severity.ERROR), ("the gate opened 0 times\n", Severity.NOTE)]
)
def test_a_gate_that_never_opened_is_dormant(line: str, severity: Severity) -> None:
    report = judged("mixing/target-gate", GATED, line)
    assert {(finding.severity, finding.dormant) for finding in report.findings} == {
        (severity, "train.log:1" if severity is Severity.NOTE else "")
    }


def test_the_log_of_another_script_makes_less_sure() -> None:
    report = judged("ttt/prequant", script(ADAPT), "", **{"train.log": "quantized_ensemble bpb=1.1 val_bpb:1.1000\n"})
    assert [finding.confidence for finding in report.findings] == [Confidence.MEDIUM]
    assert ["no shipped script holds" in gap.reason for gap in report.gaps] == [True]


@pytest.mark.parametrize(
    "path,verdict",
    [
        ('"data/fineweb_val_000001.bin"', Verdict.ILLEGAL),
        ("input()", Verdict.REVIEW),
        ('"data/fineweb_train_000001.bin"', Verdict.CLEAN),
    ],
    ids=["validation", "nobody knows", "training"],
)
def test_a_text_of_unknown_origin_accuses_nobody(path: str, verdict: Verdict) -> None:
    adapted = ADAPT.replace("val[", "text[")
    text = f'{PRELUDE}text = torch.from_numpy(np.fromfile({path}, dtype="<u2"))\n{adapted}{SCORE}'
    assert judged("ttt/prequant", text, "").verdict is verdict
