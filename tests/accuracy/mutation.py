"""Moves the scoring of legal test-time training behind the update, and asks whether that is found.

python -m tests.accuracy.mutation --repo CLONE --labels LABELS
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pgaudit.engine.events import Place, Spot
from pgaudit.engine.queries import scores_of
from pgaudit.evidence.run import MAIN, Run
from pgaudit.program.recursion import deep_recursion
from pgaudit.report import FolderReport
from pgaudit.source.parse import parse
from pgaudit.source.script import Layer
from pgaudit.verdict import Verdict
from tests.accuracy.blocks import Body, bodies, needed
from tests.accuracy.folders import Auditor, Folder, folders, opened, says, with_text
from tests.accuracy.lines import read_labels

CLASS = "clean-score-first-ttt"


class CannotMutate(Exception):
    """Why a script was left as it is."""


class Apart(NamedTuple):
    """Where the way to a score and the way to a state change part: two lines of one function of the main script."""

    score: int
    update: int


class Mutant(NamedTuple):
    """A script that scores after it has trained."""

    text: str
    moved: tuple[int, ...]
    """Lines where the statements that were moved had begun."""
    behind: int
    """The line where the statement that changes state had begun."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what became of every mutant. Exit status 1: one was not flagged."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.mutation", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    options = parser.parse_args(arguments)
    wanted = {
        label.key
        for label in read_labels(options.labels)
        if (label.verdict, label.tier) == ("legal", "gold") and CLASS in label.mechanisms
    }
    outcomes: Counter[str] = Counter()
    auditor = Auditor.load()
    with opened(options.repo) as clone:
        for folder in folders(clone, sorted({key.pr for key in wanted}), auditor):
            if folder.key in wanted:
                outcome = judge(folder, auditor)
                outcomes[outcome.partition(": ")[0]] += 1
                print(f"{folder.key}: {outcome}", flush=True)
    print(", ".join(f"{kind}: {number}" for kind, number in sorted(outcomes.items())))
    return 1 if outcomes["not flagged"] else 0


def judge(folder: Folder, auditor: Auditor) -> str:
    """``flagged``, ``not flagged`` or ``could not mutate``, and the details.

    A packed script is compared as the text that runs, in place of the file that unpacks it.
    """
    if folder.main is None:
        return "could not mutate: no main script"
    plain = with_text(folder.submission, folder.main.path, folder.main.body.text)
    before = auditor(plain)
    if before.verdict is Verdict.ILLEGAL:
        return f"could not mutate: called {says(before)} as it is"
    try:
        mutant = mutated(auditor.evidence(plain).run, folder.main.body)
    except CannotMutate as reason:
        return f"could not mutate: {reason}; {says(before)}{_gaps(before)}"
    after = auditor(with_text(plain, folder.main.path, mutant.text))
    lines = f"lines {', '.join(map(str, mutant.moved))} behind line {mutant.behind}"
    if after.verdict is Verdict.ILLEGAL:
        return f"flagged: {says(after)}; {lines}"
    return f"not flagged: {says(before)} -> {says(after)}; {lines}{_gaps(after)}"


def _gaps(report: FolderReport) -> str:
    return "".join(f"\n  gap {gap.check}: {gap.reason}" for gap in report.gaps)


def mutated(run: Run | None, body: Layer) -> Mutant:
    """The text that runs, unpacked, with the reported score behind the state change. Raises ``CannotMutate``."""
    if run is None or run.score is None or body.parsed.module is None:
        raise CannotMutate("no validation score was seen to reach a print")
    if not run.walk.updates:
        raise CannotMutate("no state change that uses validation tokens was seen")
    pairs = set(partings(run))
    if not pairs:
        raise CannotMutate("no state change was seen behind a reported score in one round of a loop")
    with deep_recursion():
        for statements in reversed(list(bodies(body.parsed.module))):
            if mutant := _swapped(body, statements, pairs):
                return mutant
    raise CannotMutate(
        "the score comes before the state change in no common body: " + "; ".join(f"{a}, {b}" for a, b in pairs)
    )


def partings(run: Run) -> Iterator[Apart]:
    """Where reported scores part from the state changes that follow them in the same round of a loop."""
    assert run.score is not None
    for score in scores_of(run.walk, run.score.labels):
        for update in run.walk.updates:
            shared = set(score.place.loops) & set(update.place.loops)
            if shared and score.number < update.number and (apart := _parting(score.place, update.place)):
                yield apart


def _parting(score: Place, update: Place) -> Apart | None:
    for mine, theirs in zip(_way(score), _way(update), strict=False):
        if mine != theirs:
            return Apart(mine[1], theirs[1]) if mine[0] == theirs[0] == MAIN else None
    return None


def _way(place: Place) -> tuple[Spot, ...]:
    return (*place.calls, place.spot)


def _swapped(layer: Layer, body: Body, pairs: Collection[Apart]) -> Mutant | None:
    """The text with the scores of ``body`` behind its last state change; ``None`` where it does not hold both."""
    scores, updates = set[int](), set[int]()
    for pair in pairs:
        score, update = _index(body, pair.score), _index(body, pair.update)
        if score is not None and update is not None and score < update:
            scores.add(score)
            updates.add(update)
    scores -= updates
    if not scores:
        return None
    behind, training = max(updates), needed(body, updates)
    group = _scoring(body, scores, training, behind)
    gone = {number for index in group if index not in training for number in body[index].lines}
    end = body[behind].last
    head = [line for number, line in enumerate(layer.lines[:end], 1) if number not in gone]
    block = [layer.lines[number - 1] for index in group for number in body[index].lines]
    text = "\n".join([*head, *block, *layer.lines[end:]])
    if problem := parse(text).problem:
        raise CannotMutate(f"the mutant does not parse: line {problem.line}: {problem.message}")
    return Mutant(text, tuple(body[index].first for index in group), body[behind].first)


def _index(body: Body, line: int) -> int | None:
    return next((index for index, statement in enumerate(body) if line in statement.lines), None)


def _scoring(body: Body, scores: Collection[int], training: Collection[int], behind: int) -> list[int]:
    """The statements to run behind the state change: the scores, what only they need, and what needs them.

    A score that the state change needs as well (one forward pass for both) stays, and is computed again behind it.
    """
    group = {*scores, *(needed(body, scores) - set(training))}
    written = {name for index in group for name in body[index].names.writes}
    for index in range(min(group) + 1, behind):
        names = body[index].names
        if index not in group and index not in training and names.reads & written:
            group.add(index)
            written |= names.writes
    return sorted(group)


if __name__ == "__main__":
    sys.exit(main())
