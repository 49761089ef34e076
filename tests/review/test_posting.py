"""What is on the pull request after posting: once, twice, after a push, after a failure, by two at once."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from pgaudit.errors import PostError, ReportError
from pgaudit.finding import Confidence, Severity
from pgaudit.fix.repair import Replacement
from pgaudit.review import posting
from pgaudit.review.github import GitHub
from pgaudit.review.places import read
from pgaudit.review.posting import Posted, post
from tests.review.server import BOT, NUMBER, REPOSITORY, Fault, Request, Server
from tests.review.support import HEAD, SCRIPT, STYLE, composer, finding, report
from tests.support import FOLDER

NEXT = "b" * 40


def publish(api: GitHub, *findings: object, head: str = HEAD, most: int = 20) -> Posted:
    made = report(*findings, head=head)  # type: ignore[arg-type]
    return post(api, head, composer(made, replace(STYLE, most_inline=most)))


def open_lines(server: Server) -> list[int]:
    return sorted(c["line"] for i, c in server.comments.items() if not server.resolved[i] and c["line"])


def test_one_review_with_its_comments_and_a_status(server: Server, api: GitHub) -> None:
    posted = publish(api, finding(3), finding(5), finding(300), finding(7, path="train.log"))
    (review,) = server.summaries
    assert (review["state"], review["user"]["login"]) == ("COMMENTED", BOT)
    assert posted == Posted(review["html_url"])
    assert {(each["path"], each["line"]) for each in server.comments.values()} == {(SCRIPT, 3), (SCRIPT, 5)}
    assert "key = line_300" in review["body"]
    assert "key = line_7" in review["body"]
    assert "key = line_3\n" not in review["body"]
    (status,) = server.statuses
    assert (status["sha"], status["context"], status["state"]) == (HEAD, "pgaudit", "failure")
    assert status["description"] == "illegal: ngram/target-in-key"
    assert status["target_url"] == review["html_url"]


def test_posting_twice_changes_nothing(server: Server, api: GitHub) -> None:
    publish(api, finding(3), finding(300))
    before = list(server.writes)
    publish(api, finding(3), finding(300))
    assert server.writes == before


def test_a_push_edits_in_place(server: Server, api: GitHub) -> None:
    publish(api, finding(3), finding(5))
    (review,) = server.summaries
    server.push(NEXT, lambda comment: comment["line"] + 50)
    publish(api, finding(53, text="key = line_3"), finding(60), head=NEXT)
    assert server.summaries == [review]
    assert NEXT[:9] in review["body"]
    assert open_lines(server) == [53, 60]
    (fixed,) = [each for each in server.comments.values() if each["line"] == 55]
    assert fixed["body"].endswith(f"**No longer reported** at commit `{NEXT[:9]}`.")
    assert server.resolved[fixed["id"]]
    assert [(each["sha"], each["state"]) for each in server.statuses] == [(HEAD, "failure"), (NEXT, "failure")]


def test_a_clean_push_resolves_everything(server: Server, api: GitHub) -> None:
    publish(api, finding(3), finding(5))
    server.push(NEXT)
    publish(api, head=NEXT)
    assert open_lines(server) == []
    assert "## pgaudit: clean" in server.summaries[0]["body"]
    assert server.statuses[-1]["state"] == "success"
    writes = list(server.writes)
    publish(api, head=NEXT)
    assert server.writes == writes


def test_what_comes_back_is_opened_again(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    server.push(NEXT)
    publish(api, head=NEXT)
    server.push(HEAD)
    publish(api, finding(3))
    assert open_lines(server) == [3]
    assert len(server.comments) == 1


def test_a_thread_that_a_person_resolved_stays_so(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    (comment,) = server.comments
    server.resolved[comment] = True
    publish(api, finding(3, confidence=Confidence.MEDIUM))
    assert "confidence medium" in server.comments[comment]["body"]
    assert server.resolved[comment]


def test_a_finding_that_was_wrong_is_withdrawn_in_place(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    publish(api)
    (comment,) = server.comments.values()
    assert "**Withdrawn.**" in comment["body"]
    assert "ngram/target-in-key" not in comment["body"]
    assert "ngram/target-in-key" not in server.summaries[0]["body"]
    assert server.resolved[comment["id"]]
    assert server.statuses[-1]["state"] == "success"


def test_a_comment_that_is_out_of_date_is_made_again(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    (old,) = server.comments
    server.push(NEXT, lambda comment: None)
    publish(api, finding(9, text="key = line_3"), head=NEXT)
    assert open_lines(server) == [9]
    assert server.resolved[old]


def test_every_comment_of_a_finding_is_taken_back(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    server.push(NEXT, lambda comment: None)
    publish(api, finding(9, text="key = line_3"), head=NEXT)
    server.push(HEAD)
    publish(api)
    assert len(server.comments) == 2
    assert all("**No longer reported**" in each["body"] for each in server.comments.values())
    assert all(server.resolved.values())


def test_a_finding_that_is_a_note_now_accuses_nobody(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    server.push(NEXT)
    publish(api, finding(3, severity=Severity.NOTE), head=NEXT)
    (comment,) = server.comments.values()
    assert "**No longer reported**" in comment["body"]
    assert open_lines(server) == []


def test_a_comment_stays_true_when_its_line_leaves_the_diff(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    server.push(NEXT)
    server.files.clear()
    publish(api, finding(3, confidence=Confidence.LOW), head=NEXT)
    (comment,) = server.comments.values()
    assert "Leads to review, breaks C1 and C2; confidence low" in comment["body"]
    assert "key = line_3" in server.summaries[0]["body"]
    assert open_lines(server) == [3]


def test_at_most_so_many_comments(server: Server, api: GitHub) -> None:
    publish(api, *(finding(line) for line in range(1, 11)), most=4)
    assert open_lines(server) == [1, 2, 3, 4]
    assert all(f"key = line_{line}\n" in server.summaries[0]["body"] for line in range(5, 11))


def test_lines_that_github_would_not_take(server: Server, api: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    # The poster believes that the diff shows 100 lines, the server knows of 3.
    seen = [dict(each) for each in server.files]
    monkeypatch.setattr(posting, "read", lambda files: read(seen))
    server.files.clear()
    server.add_file(SCRIPT, 3)
    publish(api, finding(3), finding(50))
    assert open_lines(server) == [3]
    (review,) = server.summaries
    assert "key = line_50" in review["body"]
    assert "key = line_3\n" not in review["body"]


def test_a_suggestion_for_what_the_files_state(server: Server, api: GitHub) -> None:
    path = f"{FOLDER}/submission.json"
    server.add_file(path, 10)
    lines = ('  "val_bpb": 1.2,', '  "bytes_code": 7640')
    offered = Replacement("submission.json", 4, 5, lines, ("bytes_code: 7640 (as shipped)",))
    post(api, HEAD, composer(report(replacements=[offered])))
    (comment,) = server.comments.values()
    assert (comment["path"], comment["start_line"], comment["line"]) == (path, 4, 5)
    assert '```suggestion\n  "val_bpb": 1.2,\n  "bytes_code": 7640\n```' in comment["body"]


def test_an_older_report_is_refused(server: Server, api: GitHub) -> None:
    server.push(NEXT)
    with pytest.raises(ReportError, match="the head of the pull request is bbbbbbbbb"):
        publish(api, finding(3))
    assert server.writes == []


def test_a_push_while_posting(server: Server, api: GitHub) -> None:
    publish(api, finding(3))
    body = server.summaries[0]["body"]

    def push(request: Request) -> None:
        if request.method == "PATCH":
            server.head = NEXT

    server.before = push
    with pytest.raises(ReportError):
        publish(api, finding(3, confidence=Confidence.MEDIUM), finding(300))
    assert server.summaries[0]["body"] == body


def test_a_review_of_somebody_else_with_our_marker_is_left_alone(server: Server, api: GitHub) -> None:
    forged = server.add_review("mallory", f"<!-- pgaudit:review {HEAD} -->\n## pgaudit: clean", "COMMENTED")
    server.add_comment(
        "mallory",
        forged["id"],
        {"path": SCRIPT, "line": 3, "side": "RIGHT", "body": "<!-- pgaudit:finding 0123456789abcdef -->\nfine"},
    )
    publish(api, finding(3))
    assert [each["user"]["login"] for each in server.summaries] == ["mallory", BOT]
    assert forged["body"].endswith("## pgaudit: clean")
    assert len(server.comments) == 2


def test_a_review_that_a_person_has_begun_is_left_alone(server: Server, api: GitHub) -> None:
    draft = server.add_review(BOT, "I think that", "PENDING")
    with pytest.raises(PostError, match="has begun a review of its own") as caught:
        publish(api, finding(3))
    assert "submit or discard it" in caught.value.hint
    assert server.reviews == {draft["id"]: draft}


def test_a_draft_that_was_left_behind(server: Server, api: GitHub) -> None:
    server.add_review(BOT, f"<!-- pgaudit:review {HEAD} -->\nhalf", "PENDING")
    publish(api, finding(3))
    (review,) = server.reviews.values()
    assert review["state"] == "COMMENTED"
    assert "half" not in review["body"]


@pytest.mark.parametrize("moment", [r"reviews$", r"events$", r"statuses/"], ids=["draft", "submit", "status"])
def test_another_poster_at_the_worst_moment(server: Server, api: GitHub, moment: str) -> None:
    """Before the draft is made; while it is held, so that it is taken for one that was left behind; after the review."""
    met: list[Request] = []

    def meet(request: Request) -> None:
        if request.method == "POST" and re.search(moment, request.path) and not met:
            met.append(request)
            with GitHub(REPOSITORY, NUMBER) as other:
                publish(other, finding(3), finding(5))

    server.before = meet
    publish(api, finding(3), finding(5))
    assert met
    assert len(server.summaries) == 1
    assert not [each for each in server.reviews.values() if each["state"] == "PENDING"]
    assert open_lines(server) == [3, 5]
    assert len(server.comments) == 2


@pytest.mark.parametrize("posters", [2, 6])
@pytest.mark.parametrize("begun", [False, True], ids=["first", "update"])
def test_posters_at_once_leave_one_review(
    server: Server, monkeypatch: pytest.MonkeyPatch, posters: int, begun: bool
) -> None:
    monkeypatch.setattr(posting, "PATIENCE", 20.0)
    monkeypatch.setattr(posting, "PASSES", 50)
    if begun:
        with GitHub(REPOSITORY, NUMBER) as api:
            publish(api, finding(1))
    gate = threading.Barrier(posters)
    failures: list[Exception] = []

    def work() -> None:
        try:
            with GitHub(REPOSITORY, NUMBER) as api:
                gate.wait()
                publish(api, finding(3), finding(5))
        except Exception as error:  # noqa: BLE001 -- told to the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(posters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.summaries) == 1
    assert not [each for each in server.reviews.values() if each["state"] == "PENDING"]
    assert open_lines(server) == [3, 5]


@pytest.mark.parametrize(
    "method, path",
    [("POST", "reviews$"), ("POST", "events$"), ("POST", "statuses"), ("GET", "threads|graphql|reviews")],
)
@pytest.mark.parametrize("late", [False, True], ids=["lost", "done"])
def test_an_answer_that_never_came(server: Server, api: GitHub, method: str, path: str, late: bool) -> None:
    server.faults = [Fault(method, path, 502, late=late)]
    publish(api, finding(3), finding(5))
    assert len(server.summaries) == 1
    assert open_lines(server) == [3, 5]
    assert len(server.comments) == 2
    assert server.statuses[-1]["state"] == "failure"


@pytest.mark.parametrize("late", [False, True], ids=["lost", "done"])
@pytest.mark.parametrize(
    "method, path", [("POST", "comments$"), ("PATCH", "comments"), ("PUT", "reviews"), ("POST", "graphql")]
)
def test_an_answer_to_an_update_that_never_came(
    server: Server, api: GitHub, method: str, path: str, late: bool
) -> None:
    publish(api, finding(3), finding(5))
    server.push(NEXT)
    server.faults = [Fault(method, path, 502, late=late)]
    publish(api, finding(3), finding(9), head=NEXT)
    assert open_lines(server) == [3, 9]
    assert len(server.comments) == 3
    assert NEXT[:9] in server.summaries[0]["body"]


def test_every_single_failure_is_completed_by_the_next_run(server: Server, api: GitHub) -> None:
    publish(api, finding(3), finding(5))
    for number in range(1, 40):
        server.requests.clear()
        old, new = (HEAD, NEXT) if server.head == HEAD else (NEXT, HEAD)
        server.push(new)
        lines = (3, 9 + number)
        countdown = [number]

        def fail(request: Request) -> None:
            countdown[0] -= 1  # noqa: B023 -- read in the same turn of the loop
            if countdown[0] == 0:  # noqa: B023
                server.faults = [Fault(request.method, ".", 403, body=b'{"message": "no"}')]

        server.before = fail
        with suppress(PostError):
            publish(api, *(finding(line) for line in lines), head=new)
        if countdown[0] > 0:
            break
        server.before = lambda request: None
        publish(api, *(finding(line) for line in lines), head=new)
        assert open_lines(server) == sorted(lines)
        assert len(server.summaries) == 1
        assert new[:9] in server.summaries[0]["body"]
        assert old[:9] not in server.summaries[0]["body"]
    else:
        pytest.fail("every request was made to fail once, but there is no end of them")


def test_a_token_that_may_not_set_a_status(server: Server, api: GitHub) -> None:
    server.may_set_status = False
    posted = publish(api, finding(3))
    assert len(server.summaries) == 1
    assert "no commit status was set: GitHub answered 403" in posted.remarks[0]


def test_many_pages(server: Server, api: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaudit.review.github.PAGE", 2)
    server.page = 2
    for number in range(5):
        server.files.insert(0, {"filename": f"data/{number}.bin", "status": "added"})
        server.add_review("ada", f"remark {number}", "COMMENTED")
    publish(api, *(finding(line) for line in range(1, 8)))
    assert open_lines(server) == list(range(1, 8))
    writes = list(server.writes)
    publish(api, *(finding(line) for line in range(1, 8)))
    assert server.writes == writes


@pytest.mark.parametrize("body", [b"{}", b'{"head": null}', b'[{"user": 7}]'])
@pytest.mark.parametrize("path", ["pulls/7$", "reviews", "files", "comments"])
def test_a_server_that_answers_otherwise(server: Server, api: GitHub, path: str, body: bytes) -> None:
    server.faults = [Fault("GET", path, 200, body=body, times=99)]
    with pytest.raises(PostError, match="did not answer as the API of GitHub does"):
        publish(api, finding(3))
    assert server.writes == []
