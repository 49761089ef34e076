"""The walk of one script, from its first line, and what it saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pgaudit.engine.events import Event, LookupEvent, Loops, ReportEvent, ScoreEvent, Spot, UpdateEvent
from pgaudit.engine.labels import Iteration, LabelTable
from pgaudit.engine.machine import BudgetExceeded, Limit, Machine, Setting, Skipped
from pgaudit.engine.statements import run
from pgaudit.engine.values import Const
from pgaudit.program import ir
from pgaudit.program.recursion import deep_recursion

PROCESS_GROUP = {
    "RANK": Setting("0", "rank 0 of 8"),
    "LOCAL_RANK": Setting("0", "rank 0 of 8"),
    "WORLD_SIZE": Setting("8", "rank 0 of 8"),
}
"""The run that counts is one of 8 processes; rank 0 prints the score."""


@dataclass(frozen=True)
class Walk:
    """What the engine saw."""

    labels: LabelTable
    events: list[Event]
    settings: Mapping[str, tuple[str, str]]
    """Settings that the code asked for: name → (value, what set it)."""
    problems: Mapping[str, Spot]
    """What could not be followed, with the first place."""
    skipped: Sequence[Skipped]
    """Blocks that the code's own off-defaults keep from running."""
    decisions: Mapping[ir.Node, set[bool]]
    """The answers that the test of an ``if`` or a conditional expression may have had; branches never met are not there."""
    limits: Mapping[Spot, Limit]
    """Comparisons of a clock with a known number, in seconds, by place."""
    trained: Sequence[tuple[int, Loops]]
    """Steps on training data: how many events came before, and the loops around."""
    steps: int

    @cached_property
    def loops_told_apart(self) -> frozenset[int]:
        """Loops of which more than one iteration left labels."""
        positions = Counter(label.loop for label in self.labels.of(self.labels.mask(Iteration), Iteration))
        return frozenset(loop for loop, count in positions.items() if count > 1)

    @property
    def scores(self) -> list[ScoreEvent]:
        """Losses computed, in order."""
        return [event for event in self.events if isinstance(event, ScoreEvent)]

    @property
    def updates(self) -> list[UpdateEvent]:
        """State changes, in order."""
        return [event for event in self.events if isinstance(event, UpdateEvent)]

    @property
    def lookups(self) -> list[LookupEvent]:
        """Table lookups at token-dependent places, in order."""
        return [event for event in self.events if isinstance(event, LookupEvent)]

    @property
    def reports(self) -> list[ReportEvent]:
        """What was printed, in order."""
        return [event for event in self.events if isinstance(event, ReportEvent)]


def walk(
    module: ir.Module,
    *,
    environment: Mapping[str, Setting] | None = None,
    arguments: Mapping[str, Setting] | None = None,
    sibling: Callable[[str], ir.Module | None] = lambda name: None,
    foreign: Callable[[], Sequence[ir.Module]] = tuple,
) -> Walk:
    """Walk a lowered script as one of 8 processes under the given configuration.

    ``sibling`` gives the lowered module of a name that lies beside the script, ``foreign`` the sources in C and C++ that
    come with it.
    """
    m = Machine(PROCESS_GROUP | dict(environment or {}), arguments or {}, sibling, foreign)
    m.frame.env["__name__"] = Const("__main__")
    m.frame.env["__file__"] = Const("train_gpt.py")
    try:
        with deep_recursion():
            run(m, module.body)
    except BudgetExceeded:
        m.problem("the walk was cut off after its step budget")
    except RecursionError:
        m.problem("the walk was cut off: nested too deeply")
    return Walk(
        m.labels, m.events, m.read, m.problems, tuple(m.skipped.values()), m.decisions, m.limits, m.trained, m.steps
    )
