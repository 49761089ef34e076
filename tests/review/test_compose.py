"""What a review says, and that nothing submitted says it: no mention, link, markup or marker of its own takes effect."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pgaudit.evidence.measures import Measure
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.fix.repair import Replacement
from pgaudit.report import FailOn, Outcome, Report, SetAside
from pgaudit.review.compose import FINDING, SUMMARY, Comment, Review, compose
from pgaudit.review.places import Diff, hunks, read
from pgaudit.review.text import DISPUTES, MOST_BYTES
from pgaudit.waivers import Waiver
from tests.review.support import BOOK, HEAD, SCRIPT, STYLE, finding, report
from tests.support import FOLDER

DIFF = Diff({SCRIPT: (range(1, 100),)})
MARKDOWN = MarkdownIt("gfm-like", {"linkify": True, "html": True})
OWN_HTML = re.compile(
    r"<!-- pgaudit:(review [0-9a-f]{40}|finding [0-9a-f]{16}) -->|</?(details|code|sub|br)>"
    r"|<summary>(Trace, \d+ steps?|\d+ notes?, deciding nothing)</summary>|\n"
)
PIECES = (
    "@ada", "#12", "GH-12", "https://evil.example", "www.evil.example", "ada@evil.example", ":shipit:", "</details>", "<b>", "<!--",
    "-->", f"<!-- pgaudit:review {HEAD} -->", "<!-- pgaudit:finding 0123456789abcdef -->", "```", "`", "~~~", "|", "\\", "](x)",
    "[x](http://evil.example)", "![x](y)", "$x$", "**", "_", "\n", "\n\n", "\r\n# ", "\n- ", "\n> ", "    ", "\t", "\x1b[31m",
    "\u202e", "\u200b", "&lt;", "&#64;ada", "%00", "1. ", "- [x] ", "../", "?q=", "#L1", "é", "\U0001f600", "\ud800",
)  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=8).map(lambda parts: "a" + "".join(parts) + "z")


def hostile_report(text: str) -> Report:
    """One text in every place that a submitter can write to."""
    place = Location("train_gpt.py", 3, text=text)
    packed = Location(text, 4, layer=text, text=text)
    steps = (Step(place, text), Step(packed, text))
    findings = (
        finding(3, location=place, message=text, steps=steps),
        finding(4, location=packed, message=text, steps=steps, severity=Severity.WARNING),
        finding(5, location=packed, severity=Severity.NOTE, dormant=text),
        finding(6, location=packed, severity=Severity.NOTE, message=text),
    )
    made = report(*findings, gaps=[Gap(text, text, packed)], folder=FOLDER)
    waiver = Waiver("ngram/target-in-key", text, text, date(2099, 1, 1), folder=text)
    (folder,) = made.submissions
    other = replace(folder, folder=f"records/track_10min_16mb/{text}", waived=(SetAside(findings[1], waiver),))
    return replace(made, submissions=(folder, other), version=text, outside=(text,))


def texts(review: Review) -> list[str]:
    return [review.body, *(comment.body for comment in review.comments)]


def flat(text: str) -> list[Token]:
    return [each for token in MARKDOWN.parse(text) for each in (token, *(token.children or ()))]


def shape(text: str) -> list[str]:
    """Everything that has an effect: kinds of tokens, tags, HTML; not the words, nor where links lead."""
    return [f"{each.type} {each.tag} {each.info}" for each in flat(text) if each.type not in ("text", "text_special")]


@given(HOSTILE)
@settings(max_examples=60, database=None, phases=[Phase.generate])
def test_hostile_text_has_no_effect(text: str) -> None:
    review = compose(hostile_report(text), BOOK, DIFF, STYLE)
    harmless = compose(hostile_report("harmless"), BOOK, DIFF, STYLE)
    assert len(review.comments) == 1
    for shown, expected in zip(texts(review), texts(harmless), strict=True):
        # An address is only made of a name that git and reports write alike; without one there is no link.
        kinds = [kind for kind in shape(shown) if "link_" not in kind]
        assert kinds == [kind for kind in shape(expected) if "link_" not in kind]
        for token in flat(shown):
            if token.type == "link_open":
                assert str(token.attrs["href"]).startswith((f"{STYLE.repository}/blob/{HEAD}/records/", DISPUTES))
            if token.type.startswith("html"):
                assert OWN_HTML.sub("", token.content) == ""
            if token.type == "text":
                assert not re.search(r"@\w|#\d|\bgh-\d|://|www\.\w|:\w+:", token.content, re.IGNORECASE)
    match = SUMMARY.match(review.body)
    assert match
    assert match[1] == HEAD
    assert len(review.status.description) <= 140


@given(st.lists(HOSTILE, min_size=1, max_size=3))
def test_a_suggestion_holds_the_lines_as_they_are_or_is_not_made(lines: list[str]) -> None:
    offered = Replacement("train_gpt.py", 1, 2, tuple(lines), ("why",))
    review = compose(report(replacements=[offered]), BOOK, DIFF, STYLE)
    for comment in review.comments:
        (fence,) = [token for token in MARKDOWN.parse(comment.body) if token.type == "fence"]
        assert (fence.info, fence.content) == ("suggestion", "".join(f"{line}\n" for line in lines))


def test_only_what_is_mechanical_is_suggested() -> None:
    offered = Replacement("train_gpt.py", 1, 2, ("x = 1",), ("why",))
    illegal, fix = compose(report(finding(3), replacements=[offered]), BOOK, DIFF, STYLE).comments
    assert "suggestion" not in illegal.body
    assert "```suggestion" in fix.body
    outside = Replacement("README.md", 1, 2, ("x",), ("why",))
    assert compose(report(replacements=[outside]), BOOK, DIFF, STYLE).comments == ()


@pytest.mark.parametrize("text", ["x" * 400, "\U0001f600" * 400, "|" * 400, "@" * 400])
def test_no_text_is_longer_than_github_takes(text: str) -> None:
    many = [
        finding(number % 50 + 1, path="x.log" if number % 2 else "train_gpt.py", message=text, text=f"{number}{text}")
        for number in range(600)
    ]
    long = tuple(Step(Location(text, 1, text=text), text) for _ in range(500))
    made = report(replace(many[0], steps=long), *many, gaps=[Gap(text, text)] * 500)
    review = compose(made, BOOK, DIFF, replace(STYLE, most_inline=100))
    assert len(review.comments) == 100
    for shown in texts(review):
        assert len(shown.encode()) <= MOST_BYTES
        assert shown.count("<details>") == shown.count("</details>")
    assert "There is more than GitHub shows" in review.body
    assert DISPUTES in review.body
    (folder,) = made.submissions
    many_folders = replace(made, submissions=(replace(folder, findings=folder.findings[:9]),) * 300)
    assert len(compose(many_folders, BOOK, DIFF, STYLE).body.encode()) <= MOST_BYTES


def rows(review: Review, name: str) -> str:
    return next(line for line in review.body.splitlines() if line.startswith(f"| {name} |"))


def test_conditions() -> None:
    asking = finding(4, rule="mixing/oracle", confidence=Confidence.LOW, leads_to="illegal")
    review = compose(report(finding(3), asking), BOOK, DIFF, STYLE)
    assert "**broken**: <code>ngram/target-in-key</code>" in rows(review, "C1")
    assert "nothing found by" in rows(review, "C4")
    open_checks = compose(report(gaps=[Gap("ttt/last-epoch", "lost")]), BOOK, DIFF, STYLE)
    assert "not decided by 1 of" in rows(open_checks, "C4")
    for condition in ("C1", "C2", "C3", "C4"):
        (folder,) = report(gaps=[Gap("run", "no score")]).submissions
        unread = replace(report(), submissions=(replace(folder, score=None),))
        assert "not checked" in rows(compose(unread, BOOK, DIFF, STYLE), condition)


def test_what_only_asks_for_a_person_breaks_nothing() -> None:
    review = compose(report(finding(3, confidence=Confidence.LOW)), BOOK, DIFF, STYLE)
    assert "for a person to decide: <code>ngram/target-in-key</code>" in rows(review, "C1")
    assert "broken" not in review.body
    assert review.status.state == "success"


def test_limits() -> None:
    late = finding(3, rule="time/training", path="train.log")
    review = compose(report(late), BOOK, DIFF, STYLE)
    assert "**not met**: <code>time/training</code>" in rows(review, "Training")
    assert "16,000,000 B" in rows(review, "Code and compressed model")
    (folder,) = report().submissions
    slow = replace(report(), submissions=(replace(folder, track="non-record"),))
    assert "holds in the record track only" in rows(compose(slow, BOOK, DIFF, STYLE), "Training")
    one_seed = Measure("seeds", 1, Location("train.log", 1))
    in_time = Measure("train_seconds", 600.1, Location("train.log", 2))
    few = replace(report(), submissions=(replace(folder, measures=(one_seed, in_time)),))
    assert "1 seed at" in rows(compose(few, BOOK, DIFF, STYLE), "Seeds and significance")
    assert "not decided" in rows(compose(few, BOOK, DIFF, STYLE), "Seeds and significance")
    assert "nothing found" in rows(compose(few, BOOK, DIFF, STYLE), "Training")
    lost = replace(report(), submissions=(replace(folder, outcomes={"time/training": Outcome.CRASHED}),))
    assert "not decided" in rows(compose(lost, BOOK, DIFF, STYLE), "Training")


@pytest.mark.parametrize(
    "made, state, word",
    [
        (report(finding(3)), "failure", "illegal: ngram/target-in-key"),
        (report(finding(3, rule="time/training")), "failure", "defect: time/training"),
        (report(gaps=[Gap("run", "lost")]), "error", "incomplete"),
        (report(finding(3, confidence=Confidence.LOW)), "success", "review"),
        (report(finding(3, severity=Severity.NOTE)), "success", "clean"),
        (report(), "success", "clean"),
    ],
)
def test_status(made: Report, state: str, word: str) -> None:
    review = compose(made, BOOK, DIFF, STYLE)
    assert (review.status.state, review.status.description) == (state, word)
    assert f"## pgaudit: {word.partition(':')[0]}\n" in review.body
    assert "merge" not in review.body.lower()
    assert compose(made, BOOK, DIFF, replace(STYLE, fail_on=FailOn.NEVER)).status.state != "failure"


def test_what_is_known_blocks_nothing_and_is_said_to_be_known() -> None:
    review = compose(report(finding(3, known=True), finding(300, known=True)), BOOK, DIFF, STYLE)
    assert review.status.state == "success"
    assert review.body.count("**error** (known)") == 2
    assert "## pgaudit: illegal" in review.body


def test_equal_lines_are_told_apart_and_folders_too() -> None:
    twice = compose(report(finding(3, text="x"), finding(9, text="x")), BOOK, DIFF, STYLE)
    assert len({comment.key for comment in twice.comments}) == 2
    moved = compose(report(finding(4, text="x"), finding(10, text="x")), BOOK, DIFF, STYLE)
    assert [c.key for c in moved.comments] == [c.key for c in twice.comments]
    made = report(finding(3))
    (folder,) = made.submissions
    other = replace(folder, folder="records/track_10min_16mb/other")
    diff = Diff({SCRIPT: (range(1, 9),), f"{other.folder}/train_gpt.py": (range(1, 9),)})
    both = compose(replace(made, submissions=(folder, other)), BOOK, diff, STYLE)
    assert len({comment.key for comment in both.comments}) == 2
    for comment in both.comments:
        match = FINDING.match(comment.body)
        assert match
        assert match[1] == comment.key


def placed(*findings: Finding) -> list[tuple[str, int | None]]:
    comments: tuple[Comment, ...] = compose(report(*findings), BOOK, DIFF, STYLE).comments
    return [(comment.path, comment.line) for comment in comments]


def test_what_gets_a_comment() -> None:
    assert placed(finding(99), finding(100)) == [(SCRIPT, 99)]
    assert placed(finding(3, location=Location("train_gpt.py", 3, "base85 → lzma", "x"))) == []
    assert placed(finding(3, path="train_seed42.log"), finding(None)) == []
    assert placed(finding(3, severity=Severity.NOTE)) == []
    assert placed(finding(3, severity=Severity.NOTE, dormant="TTT=0, README.md:1")) == [(SCRIPT, 3)]


def test_lines_that_the_diff_shows() -> None:
    patch = "@@ -1,2 +1,3 @@ def f():\n a\n+@@ -9,9 +9,9 @@\n b\n@@ -20 +21 @@\n-c\n+d\n@@ -30,2 +30,0 @@\n-e\n-f"
    assert list(hunks(patch)) == [range(1, 4), range(21, 22), range(30, 30)]
    diff = read(
        [
            {"filename": "a.py", "status": "modified", "patch": patch},
            {"filename": "model.bin", "status": "added"},
            {"filename": "gone.py", "status": "removed", "patch": patch},
            {"filename": "odd\u202e.py", "status": "added", "patch": patch},
        ]
    )
    assert set(diff.hunks) == {"a.py", "model.bin"}
    assert diff.lines(".", "a.py", 2, 3) == ("a.py", 3)
    assert diff.lines(".", "a.py", 3, 21) is None
    assert diff.lines(".", "a.py", 30, 30) is None
    assert diff.lines(".", "model.bin", 1, 1) is None
