"""The run that counts: which log shows it, which script printed its score, and how that script was started."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from tests.evidence.support import ADAPT, CLAIM, LOG, PRELUDE, indented, script

Make = Callable[[Mapping[str, str]], Evidence]

EARLY, LATE = "final_score val_bpb:1.3000\n", "final_score val_bpb:1.1000\n"
STEP = "step:5/9 val_loss:2.0 val_bpb:1.1000\n"


def run_of(evidence: Evidence) -> Run:
    run = evidence.run
    assert run is not None
    return run


@pytest.mark.parametrize(
    "claims,logs,expected",
    [
        ('{"val_bpb": 1.1}', {"a.log": EARLY, "b.log": LATE}, "b.log"),
        ('{"val_bpb": 1.10003}', {"a.log": EARLY, "b.log": LATE}, "b.log"),
        ('{"seed_results": {"7": {"val_bpb": 1.1}}}', {"a.log": EARLY, "b.log": LATE}, "b.log"),
        ('{"val_bpb": 1.25, "notes": {"runs": [{"bits": 1.1}]}}', {"a.log": EARLY, "b.log": LATE}, "b.log"),
        ('{"val_bpb": 1.3, "notes": {"runs": [{"bits": 1.1}]}}', {"a.log": EARLY, "b.log": LATE}, "a.log"),
        ('{"val_bpb": 1.2}', {"a.log": EARLY, "b.log": LATE}, "a.log"),
        ("{}", {"a.log": "seed:7\n", "b.log": LATE}, "b.log"),
        ("{}", {"a.log": "seed:7\n", "b.log": "seed:8\n"}, "a.log"),
        ('{"val_bpb": 1.1}', {"a.log": STEP + EARLY, "b.log": LATE}, "b.log"),
    ],
    ids=[
        "claimed",
        "rounded",
        "of a seed",
        "stated",
        "claimed and stated",
        "first",
        "finished",
        "none finished",
        "in training",
    ],
)
def test_which_log_is_the_scored_one(make_evidence: Make, claims: str, logs: dict[str, str], expected: str) -> None:
    log = make_evidence({"submission.json": claims, **logs}).scored_log
    assert log
    assert log.path == expected


SAVE = (
    'F.cross_entropy(net(val[:64]), val[1:65]).backward()\ntorch.save(net.state_dict(), "model.pt")\nprint("trained")\n'
)


def test_an_evaluation_kept_apart_printed_the_score(make_evidence: Make) -> None:
    files = {"submission.json": CLAIM, "train.log": LOG, "train_gpt.py": PRELUDE + SAVE}
    run = run_of(make_evidence({**files, "eval.py": script()}))
    assert run.matched
    assert run.score
    assert run.at(run.score.place.spot).path == "eval.py"


def test_the_main_script_comes_first_where_both_could_have_printed_it(make_evidence: Make) -> None:
    run = run_of(
        make_evidence({"submission.json": CLAIM, "train.log": LOG, "train_gpt.py": script(), "eval.py": script()})
    )
    assert run.score
    assert run.at(run.score.place.spot).path == "train_gpt.py"


EITHER = 'if os.environ.get("STAGE") == "score":\n' + indented(script()) + 'else:\n    print("trained")\n'


@pytest.mark.parametrize(
    "readme,matched",
    [
        ("STAGE=score python train_gpt.py\n", True),
        ("STAGE=train python train_gpt.py\nSTAGE=score python train_gpt.py\n", True),
        ("STAGE=train python train_mine.py\nSTAGE=score python train_mine.py\n", True),
        ("STAGE=train python train_gpt.py\nSTAGE=score python train_mine.py\n", False),
        ("STAGE=train python train_gpt.py\n", False),
        ("".join(f"STAGE={n} python train_gpt.py\n" for n in "abcd") + "STAGE=score python train_gpt.py\n", False),
    ],
    ids=["one", "second", "renamed", "renamed beside the name", "never", "too many"],
)
def test_commands_are_tried_until_the_score_is_printed(make_evidence: Make, readme: str, matched: bool) -> None:
    files = {"submission.json": CLAIM, "train.log": LOG, "train_gpt.py": "import os\n" + EITHER}
    run = run_of(make_evidence({**files, "README.md": f"```bash\n{readme}```\n"}))
    assert run.matched is matched
    if matched:
        assert run.configuration.environment["STAGE"].value == "score"


def test_a_score_that_a_wrapper_repeats_in_its_own_words(make_evidence: Make) -> None:
    files = {"submission.json": "{}", "train_gpt.py": script()}
    assert run_of(make_evidence({**files, "train.log": LOG + "summary of everything: val_bpb:1.1000\n"})).matched
    assert not run_of(make_evidence({**files, "train.log": LOG + "summary of everything: val_bpb:1.2000\n"})).matched


def test_the_log_of_another_script(make_evidence: Make) -> None:
    files = {"submission.json": CLAIM, "train_gpt.py": script(ADAPT)}
    own = run_of(make_evidence({**files, "train.log": LOG}))
    other = run_of(make_evidence({**files, "train.log": "quantized_ensemble bpb=1.1000 val_bpb:1.1000\n"}))
    near = run_of(make_evidence({**files, "train.log": "the val_bpb: was 1.1000, val_bpb:1.1000\n"}))
    assert (own.matched, own.foreign_log) == (True, False)
    assert (other.matched, other.foreign_log) == (False, True)
    assert (near.matched, near.foreign_log) == (False, False)
