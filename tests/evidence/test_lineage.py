"""Descent: functions told by what they do, the nearest ruled submission, and the corpus file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest

from pgaudit import policy
from pgaudit.errors import CorpusError
from pgaudit.evidence.corpus import Corpus, Ruled, load
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.functions import Known
from pgaudit.finding import Location
from tests.support import FOLDER, run_pgaudit, submission

SCORE = """
def score(model, tokens, sizes, window=1024):
    total, count = 0.0, 0.0
    for start in range(0, len(tokens) - 1, window):
        piece = tokens[start : start + window + 1]
        total += model(piece[:-1]).log_softmax(-1).gather(-1, piece[1:, None]).sum().item()
        count += sizes[piece[1:]].sum().item()
    return -total / count
"""


def fingerprints(text: str) -> set[str]:
    collected = submission(text)
    return set(Evidence(collected.submissions[0], policy.load().edition_at(None)).functions)


def test_names_literals_and_layout_do_not_matter() -> None:
    other = SCORE.replace("total", "nats").replace("piece", "chunk").replace("1024", "2048").replace("score(", "run(")
    assert fingerprints(SCORE) == fingerprints(f"# a comment\nif True:\n{indent(other, '    ')}")
    assert len(fingerprints(SCORE)) == 1


@pytest.mark.parametrize(
    "change", [("+=", "-="), ("log_softmax", "softmax"), ("piece[1:]", "piece[:1]"), ("total / count", "count / total")]
)
def test_what_is_computed_does(change: tuple[str, str]) -> None:
    assert fingerprints(SCORE).isdisjoint(fingerprints(SCORE.replace(*change)))


def test_a_builtin_is_no_name_of_the_author() -> None:
    assert fingerprints(SCORE).isdisjoint(fingerprints(SCORE.replace("len(tokens)", "sum(tokens)")))


def known(**sizes: int) -> dict[str, Known]:
    return {mark: Known(mark, size, Location("train_gpt.py")) for mark, size in sizes.items()}


def ruled(pr: int, *functions: str) -> Ruled:
    return Ruled(pr, FOLDER, "illegal", ("prequant-ttt",), "https://example.org", frozenset(functions))


def test_a_rare_function_tells_more_than_one_that_everybody_has() -> None:
    corpus = Corpus.of([ruled(1, "a", "b"), ruled(2, "a", "c"), ruled(3, "a", "d")])
    near = corpus.nearest(known(a=100, c=100), None, "records/mine")
    assert near is not None
    assert near.ruled.pr == 2
    assert near.share == 1.0
    assert near.shared == ("c", "a")
    far = corpus.nearest(known(a=100, e=100), None, "records/mine")
    assert far is not None
    assert far.share < 0.5


def test_a_submission_is_not_its_own_ancestor() -> None:
    assert Corpus.of([ruled(1, "a")]).nearest(known(a=100), 1, FOLDER) is None
    assert Corpus.of([ruled(1, "a")]).nearest(known(a=100), None, FOLDER) is None
    assert Corpus.of([ruled(1, "a")]).nearest(known(b=100), None, "records/mine") is None
    assert Corpus.of([ruled(1, "a")]).nearest({}, None, FOLDER) is None


def test_a_corpus_survives_its_file(tmp_path: Path) -> None:
    entries = [ruled(1, "a", "b"), replace(ruled(4, "c"), folder="records/a\u2028b")]
    (tmp_path / "corpus").write_text("".join(entry.line() for entry in entries))
    assert load(tmp_path / "corpus") == Corpus.of(entries)


@pytest.mark.parametrize(
    "line, complaint",
    [("{", "not JSON"), ("[]", "object"), ("{}", "'pr'"), (ruled(1).line().replace("1,", "true,", 1), "'pr'")],
)
def test_a_bad_corpus_names_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "corpus").write_text(f"{ruled(1).line()}\n{line}\n")
    with pytest.raises(CorpusError, match=rf"corpus:3: .*{complaint}"):
        load(tmp_path / "corpus")


def test_a_fork_is_named_in_scan_and_sweep(clone: Path, tmp_path: Path) -> None:
    rulings, corpus = tmp_path / "rulings", tmp_path / "corpus"
    rows = [{"pr": pr, "folder": FOLDER, "verdict": "illegal", "mechanisms": ["slot"]} for pr in (2, 4, 7)]
    rulings.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = run_pgaudit("corpus", "--repo", clone, "--rulings", rulings, "--output", corpus)
    assert made.status == 4  # one has no such folder, one is not in the clone
    assert [line.split(":")[1] for line in made.err.splitlines() if line.startswith("left out")] == [
        f" #4 {FOLDER}",
        f" #7 {FOLDER}",
    ]
    assert [entry.pr for entry in load(corpus).entries] == [2]

    scanned = run_pgaudit("scan", "--repo", clone, "--pr", "1", "--corpus", corpus, "--format", "json")
    (report,) = json.loads(scanned.out)["submissions"]
    (note,) = [finding for finding in report["findings"] if finding["rule"] == "lineage/ruled"]
    assert note["message"].startswith("100% of its functions are those of #2, which was ruled illegal (slot): https://")
    assert (scanned.status, report["verdict"]) == (0, "clean")

    swept = run_pgaudit("sweep", "--repo", clone, "--prs", "1,2", "--corpus", corpus).out.splitlines()
    found = [[finding["rule"] for finding in json.loads(line)["findings"]] for line in swept]
    assert ["lineage/ruled" in rules for rules in found] == [True, False]


def test_rulings_that_cannot_be_read(clone: Path, tmp_path: Path) -> None:
    rulings = tmp_path / "rulings"
    for text, status, words in (
        ('{"pr": "1"}\n', 2, "rulings:1: needs pr"),
        ("\nnot json\n", 2, "rulings:2: not JSON"),
        ("[" * 100_000 + "\n", 2, "rulings:1: not JSON"),
        ('{"pr": 1, "folder": "x", "verdict": "illegal", "mechanisms": null}\n', 2, "rulings:1: mechanisms"),
        (
            '{"pr": 1, "folder": "x", "verdict": "illegal", "source": 7}\n',
            2,
            "rulings:1: mechanisms is a list and source",
        ),
        ('{"pr": 99, "folder": "x", "verdict": "illegal"}\n', 3, "none of the 1 ruled submissions"),
    ):
        rulings.write_text(text)
        done = run_pgaudit("corpus", "--repo", clone, "--rulings", rulings)
        assert done.status == status
        assert words in done.err
    assert run_pgaudit("corpus", "--repo", clone, "--rulings", tmp_path / "none").status == 2
    assert run_pgaudit("scan", "--repo", clone, "--pr", "1", "--corpus", tmp_path / "none").status == 2
