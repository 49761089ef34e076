"""From what GitHub shows to what it should show: read, compare, change. Every step is safe to stop after and to repeat.

*One review.* An account can have one draft of a review per pull request; GitHub refuses a second. So the draft is the lock: who
could make it looks again whether a review is there by now, and either submits the draft or drops it. A poster that died
between leaves a draft behind, which the next one deletes when it has stood still for ``PATIENCE``.

*Comments* that two posters add at once are deleted down to the oldest by each of them after its own additions: the last to add sees all.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pgaudit.errors import PostError, ReportError
from pgaudit.review.compose import FINDING, SUMMARY, Comment, Review
from pgaudit.review.github import GitHub, Refused, Uncertain
from pgaudit.review.places import Diff, read

PASSES = 4
"""Readings of the pull request before what keeps changing is left to the next run."""
PATIENCE = 30.0
"""Seconds after which the draft of another poster counts as left behind."""
LOOK = 2.0
"""Seconds between looks at it."""
CONTEXT = "pgaudit"
"""The name of the commit status."""
GONE = "**No longer reported** at commit `{head}`."
WITHDRAWN = (
    "**Withdrawn.** pgaudit reported something here and no longer does, although the commit `{head}` is the same."
)
TAKEN_BACK = ("**No longer reported**", "**Withdrawn.**")

Composer = Callable[[Diff, frozenset[str]], Review]
"""Makes the review for a diff, given the keys of comments that GitHub would not place."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of it."""

    address: str
    """Of the review."""
    remarks: tuple[str, ...] = ()
    """What could not be done and does not change what the review says."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the account has on the pull request."""

    review: dict[str, Any] | None
    drafts: tuple[dict[str, Any], ...]
    comments: dict[str, list[dict[str, Any]]]
    """By key, oldest first."""
    threads: dict[int, tuple[str, bool]]

    @property
    def head(self) -> str:
        """The commit that the review is about."""
        match = SUMMARY.match(_text(self.review)) if self.review else None
        return match[1] if match else ""


class _Changed(Exception):
    """Somebody else changed the pull request meanwhile."""


def post(api: GitHub, head: str, compose: Composer) -> Posted:
    """Bring the pull request to what ``compose`` says about ``head``.

    Raises ``ReportError`` where ``head`` is not the head any more, and ``PostError`` where GitHub fails; then nothing that was
    posted is wrong, and posting again completes it.
    """
    poster = _Poster(api, head, compose)
    failure: Exception | None = None
    for _ in range(PASSES):
        try:
            return poster.reconcile()
        except (Uncertain, _Changed) as error:
            failure = error
        except (KeyError, TypeError, AttributeError) as error:
            raise PostError(f"the server did not answer as the API of GitHub does: {error!r}") from error
    if isinstance(failure, Uncertain):
        raise failure
    raise PostError(f"the pull request keeps changing: {failure}", hint="run it again when that is done")


class _Poster:
    def __init__(self, api: GitHub, head: str, compose: Composer) -> None:
        self._api = api
        self._head = head
        self._compose = compose
        self._refused: set[str] = set()

    def reconcile(self) -> Posted:
        """One pass; in the order that leaves the truth if it ends early: comments, then the summary, then the status."""
        self._refuse_other_head()
        diff = read(self._api.files())
        standing = self._standing()
        review = self._compose(diff, frozenset(self._refused))
        if standing.review is None:
            self._create(review, standing.drafts)
            if self._api.previews:
                return Posted("", tuple(self._status(review, "")))
            standing = self._standing()
            if standing.review is None:
                raise _Changed("the review that was posted is not listed")
        self._update_comments(review, standing)
        review = self._compose(diff, frozenset(self._refused))
        if not _same(_text(standing.review), review.body):
            self._refuse_other_head()
            self._api.edit_review(standing.review["id"], review.body)
        address = str(standing.review["html_url"])
        return Posted(address, tuple(self._status(review, address)))

    def _refuse_other_head(self) -> None:
        there = str(self._api.pull()["head"]["sha"])
        if there != self._head:
            raise ReportError(
                f"the report is about commit {self._head[:9]}, the head of the pull request is {there[:9]}",
                hint="scan again and post the new report",
            )

    def _standing(self) -> _Standing:
        if not self._api.known:
            return _Standing(None, (), {}, {})
        account, threads = self._api.threads()
        own = [each for each in self._api.reviews() if (each["user"] or {}).get("login") == account]
        drafts = tuple(each for each in own if each["state"] == "PENDING")
        shown = [each for each in own if each["state"] != "PENDING" and SUMMARY.match(_text(each))]
        comments: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for comment in sorted(self._api.comments(), key=lambda each: each["id"]):
            match = FINDING.match(_text(comment))
            if match and (comment["user"] or {}).get("login") == account:
                comments[match[1]].append(comment)
        return _Standing(min(shown, key=lambda each: each["id"], default=None), drafts, comments, threads)

    def _create(self, review: Review, drafts: tuple[dict[str, Any], ...]) -> None:
        """Post the review with all its comments at once. Raises ``_Changed`` where somebody else did."""
        if drafts:
            self._clear(drafts[0])
        draft = self._draft(review)
        number = draft.get("id", 0)
        if self._standing().review is not None:
            self._drop(number)
            raise _Changed("another poster made a review")
        try:
            self._api.submit(number, review.body)
        except Refused as refusal:
            if refusal.status in (404, 422):  # somebody took it for one that was left behind
                raise _Changed(str(refusal)) from None
            raise

    def _draft(self, review: Review) -> dict[str, Any]:
        """The draft with all comments; without any where GitHub would not place one, for it does not say which."""
        for comments in dict.fromkeys((review.comments, ())):
            try:
                return self._api.draft(self._head, review.body, [_request(comment) for comment in comments])
            except Refused as refusal:
                if refusal.status != 422:
                    raise
                now = self._standing()
                if now.drafts or now.review:
                    raise _Changed("another poster was faster") from None
                failure = refusal
        raise failure

    def _clear(self, draft: dict[str, Any]) -> None:
        """Wait for the poster that made the draft, and delete what it left behind."""
        if not SUMMARY.match(_text(draft)):
            raise PostError(
                "the account of GITHUB_TOKEN has begun a review of its own on this pull request, and GitHub allows one",
                hint="submit or discard it first",
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(LOOK)
            if draft["id"] not in {each["id"] for each in self._standing().drafts}:
                raise _Changed("another poster was at work")
        self._drop(draft["id"])

    def _drop(self, draft: int) -> None:
        try:
            self._api.drop(draft)
        except Refused as refusal:
            if refusal.status not in (404, 422):  # gone, or submitted meanwhile
                raise

    def _update_comments(self, review: Review, standing: _Standing) -> None:
        added = [comment.key for comment in review.comments if self._show(comment, standing)]
        shown = {comment.key for comment in review.comments}
        for key, comments in standing.comments.items():
            for comment in comments if key not in shown else ():
                if key in review.standing:
                    self._edit(comment, review.standing[key], standing)
                else:
                    self._take_back(comment, standing)
            for outdated in (each for each in comments if key in added and not each["line"]):
                self._resolve(outdated, standing)
        if not added:
            return
        for comments in self._standing().comments.values():
            for double in [each for each in comments if each["line"]][1:]:
                self._delete(double["id"])

    def _show(self, comment: Comment, standing: _Standing) -> bool:
        """Have a finding shown where it is now; true where that took a new comment."""
        there = [each for each in standing.comments.get(comment.key, ()) if each["line"]]  # the others are out of date
        if not there:
            try:
                self._api.comment(self._head, _request(comment))
            except Refused as refusal:
                if refusal.status != 422:
                    raise
                self._refused.add(comment.key)
                return False
            return True
        self._edit(there[0], comment.body, standing)
        return False

    def _edit(self, comment: dict[str, Any], body: str, standing: _Standing) -> None:
        """Have a comment say something else; one that was taken back is opened again."""
        said = _text(comment)
        if _same(said, body):
            return
        if said.startswith(TAKEN_BACK, said.find("\n") + 1):
            thread, resolved = standing.threads.get(comment["id"], ("", False))
            if resolved:
                self._api.resolve(thread, resolved=False)
        self._api.edit_comment(comment["id"], body)

    def _take_back(self, comment: dict[str, Any], standing: _Standing) -> None:
        """Say in place that something is not found any more, and resolve the thread."""
        marker, _, said = _text(comment).partition("\n")
        if not said.startswith(TAKEN_BACK):
            wording = WITHDRAWN if standing.head == self._head else GONE
            self._api.edit_comment(comment["id"], f"{marker}\n{wording.format(head=self._head[:9])}")
        self._resolve(comment, standing)

    def _resolve(self, comment: dict[str, Any], standing: _Standing) -> None:
        thread, resolved = standing.threads.get(comment["id"], ("", True))
        if not resolved:
            self._api.resolve(thread, resolved=True)

    def _delete(self, comment: int) -> None:
        try:
            self._api.delete_comment(comment)
        except Refused as refusal:
            if refusal.status != 404:  # the other poster was faster
                raise

    def _status(self, review: Review, address: str) -> Iterator[str]:
        """Set the commit status where it is not what it should be; a token that may not is worth a remark."""
        wanted = {"state": review.status.state, "description": review.status.description, "target_url": address}
        try:
            newest = next((each for each in self._api.statuses(self._head) if each["context"] == CONTEXT), None)
            if newest is None or any(newest[name] != value for name, value in wanted.items() if value):
                given = {name: value for name, value in wanted.items() if value}
                self._api.set_status(self._head, context=CONTEXT, **given)
        except Refused as refusal:
            if refusal.status not in (403, 404):
                raise
            yield f"no commit status was set: {refusal}"


def _request(comment: Comment) -> dict[str, Any]:
    """A comment as GitHub takes it: on the new side of the diff."""
    place: dict[str, Any] = {"path": comment.path, "body": comment.body, "line": comment.line, "side": "RIGHT"}
    return place | ({"start_line": comment.first, "start_side": "RIGHT"} if comment.first else {})


def _text(thing: dict[str, Any]) -> str:
    return str(thing.get("body") or "").replace("\r\n", "\n")


def _same(shown: str, wanted: str) -> bool:
    """Whether GitHub shows what it was given: it may drop blanks at the ends."""
    return [line.rstrip() for line in shown.rstrip().split("\n")] == [
        line.rstrip() for line in wanted.rstrip().split("\n")
    ]
