"""Mutation: scoring that is moved behind the update is found, and what cannot be moved says why."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import libcst
import pytest

from pgaudit.examples.reading import Section, read
from pgaudit.rulebook import rules_directory
from tests.accuracy import mutation
from tests.accuracy.blocks import bodies, needed
from tests.accuracy.folders import Auditor, Folder, with_text
from tests.accuracy.support import example, folder
from tests.support import FOLDER, Repository


@pytest.fixture(scope="module")
def auditor() -> Auditor:
    return Auditor.load()


@pytest.fixture(scope="module")
def score_first() -> Section:
    return section("score first")


def as_logged(auditor: Auditor, of: Section) -> Folder:
    """The folder of an example that prints the line that the first log of the complete submission ends with."""
    one = example(auditor, of)
    assert one.main is not None
    return retold(auditor, one, one.main.body.text.replace("eval_time:9000ms", "eval_time:10457ms"))


def retold(auditor: Auditor, one: Folder, text: str) -> Folder:
    """The folder with another main script."""
    assert one.main is not None
    submission = with_text(one.submission, one.main.path, text)
    return one._replace(submission=submission, main=auditor.evidence(submission).main)


def section(title: str) -> Section:
    return next(each for each in read(rules_directory() / "ttt/prequant.md") if title in str(each))


def test_a_score_moved_behind_its_update_is_flagged(auditor: Auditor, score_first: Section) -> None:
    one = as_logged(auditor, score_first)
    assert mutation.judge(one, auditor).startswith("flagged: illegal prequant-ttt; lines 4")


def test_only_the_order_changes(auditor: Auditor, score_first: Section) -> None:
    one = as_logged(auditor, score_first)
    assert one.main is not None
    mutant = mutation.mutated(auditor.evidence(one.submission).run, one.main.body)
    assert sorted(mutant.text.split("\n")) == sorted(one.main.body.text.split("\n"))
    assert mutant.text.index("optimizer.step()") < mutant.text.index("with torch.no_grad()")


SHARED = """
        losses = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="none")
        loss_sum += losses.detach().double().sum()
        token_count += targets.numel()
        byte_count += sizes[targets].double().sum()
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
"""


def test_one_forward_pass_for_both_is_made_again_behind_the_update(auditor: Auditor, score_first: Section) -> None:
    one = as_logged(auditor, score_first)
    assert one.main is not None
    text = one.main.body.text
    start, end = text.index("        with torch.no_grad()"), text.index("    val_loss = ")
    again = retold(auditor, one, text[:start] + SHARED.lstrip("\n") + text[end:])
    assert mutation.judge(again, auditor).startswith("flagged: illegal prequant-ttt")
    assert again.main is not None
    mutant = mutation.mutated(auditor.evidence(again.submission).run, again.main.body)
    assert mutant.text.count("losses = F.cross_entropy") == 2
    assert mutant.text.count("loss_sum += ") == 1


def test_what_is_illegal_already_proves_nothing(auditor: Auditor) -> None:
    one = as_logged(auditor, section("adapted in main"))
    assert mutation.judge(one, auditor).startswith("could not mutate: called illegal prequant-ttt as it is")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("print(1)\n", "no validation score was seen"),
        ("def (:\n", "no validation score was seen"),
    ],
)
def test_what_cannot_be_mutated(auditor: Auditor, text: str, reason: str) -> None:
    assert mutation.judge(folder(auditor, text), auditor).startswith(f"could not mutate: {reason}")


def test_a_script_that_never_learns_cannot_be_mutated(auditor: Auditor) -> None:
    complete = next(iter(read(rules_directory() / "complete.md")))
    outcome = mutation.judge(example(auditor, complete), auditor)
    assert outcome == "could not mutate: no state change that uses validation tokens was seen; clean"


def test_a_campaign_takes_the_legal_gold_lines_of_its_class(
    auditor: Auditor, score_first: Section, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = as_logged(auditor, score_first)

    def write(root: Path) -> None:
        (root / FOLDER).mkdir(parents=True)
        for path, file in one.submission.files.items():
            (root / FOLDER / path).write_bytes(file.data)

    repository = Repository(tmp_path / "repo")
    for number in (7, 8):
        repository.pull_request(number, write)
    labels = tmp_path / "labels"
    rows = [(7, "legal", "gold"), (8, "legal", "silver")]
    labels.write_text(
        "".join(
            json.dumps(
                {"pr": pr, "folder": FOLDER, "verdict": verdict, "tier": tier, "channel": "code"}
                | {"mechanisms": [mutation.CLASS]}
            )
            + "\n"
            for pr, verdict, tier in rows
        )
    )
    assert mutation.main(["--repo", str(repository.path), "--labels", str(labels)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"#7 {FOLDER}: flagged")
    assert out[1:] == ["flagged: 1"]


def test_bodies_know_their_lines_and_names() -> None:
    text = "import a\n\n@a.mark(\n    1)\ndef f(x):\n    y = [x for x in x]\n    y[0] += z\n    for i in y:\n        self.k = i\n"
    outer, inner, loop = bodies(libcst.parse_module(text))
    assert [(each.first, each.last) for each in outer] == [(1, 1), (3, 9)]
    assert [(each.first, each.last) for each in (*inner, *loop)] == [(6, 6), (7, 7), (8, 9), (9, 9)]
    assert [(each.names.reads, each.names.writes) for each in inner] == [
        ({"x"}, {"y"}),
        ({"y", "z"}, {"y"}),
        ({"y"}, {"i", "self.k"}),
    ]


def test_what_one_branch_binds_may_come_from_outside() -> None:
    text = "if again:\n    x = 1\ny = x\nif again:\n    z = 1\nelse:\n    z = 2\ny = z\n"
    (loop, *_) = bodies(libcst.parse_module(f"for i in r:\n{textwrap.indent(text, '    ')}"))
    assert (loop[0].names.reads, loop[0].names.writes) == ({"r", "again", "x"}, {"i", "x", "y", "z"})


def test_what_a_statement_needs() -> None:
    (body,) = bodies(libcst.parse_module("a = 1\nb = 2\nc = a + 1\nd = b\nprint(c)\n"))
    assert needed(body, [4]) == {0, 2, 4}
