"""The state of one walk: frames, labels, events, budget; and the few operations on labels that everything else uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import NamedTuple

from pgaudit.engine.events import (
    Event,
    LookupEvent,
    Loops,
    Place,
    ReportEvent,
    ScoreEvent,
    Spot,
    UpdateEvent,
)
from pgaudit.engine.labels import (
    Activation,
    Decided,
    Depends,
    Iteration,
    LabelTable,
    Lookup,
    Score,
    Token,
    Unset,
    Update,
)
from pgaudit.engine.linear import ZERO, Linear, distance
from pgaudit.engine.values import (
    Const,
    Data,
    Either,
    Instance,
    Network,
    Sequence,
    Value,
    Zipped,
    join,
    new_number,
)
from pgaudit.engine.values import (
    Mapping as MappingValue,
)
from pgaudit.program import ir

MAX_STEPS = 600_000
"""Statements and calls of one walk; the largest real script needs about a sixth."""
MAX_ADDRESSES = 128
"""A value that depends on more slices than this keeps them as they are when it is sliced again."""
TRAINING_DATA = "train"
"""Origin of tokens whose place in the stream never matters."""
UNKNOWN_ORIGIN = "unknown"
"""Origin of tokens from a file whose path was lost."""
LEAST_MILLISECONDS = 10_000
"""A larger limit of elapsed time is meant in milliseconds: no phase of the challenge lasts hours."""
MAX_DEPTH = 40
MAX_RECURSION = 2


class BudgetExceeded(Exception):
    """The walk was cut off; what it saw until then stands, and the report says so."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the effective configuration and what set it."""

    value: str | None
    """``None``: it is on, with a value that is not known."""
    source: str


class Frame:
    """The names of one function call, class body or module."""

    __slots__ = ("closure", "env", "outer", "returns", "shared", "source", "yields")

    def __init__(self, source: str, closure: Frame | None = None) -> None:
        self.env: dict[str, Value] = {}
        self.source = source
        """Name of the module whose text this is."""
        self.closure = closure
        """The frame in which the function was defined; ``None`` for a module."""
        self.shared: dict[str, Frame] = {}
        """Names declared ``global`` or ``nonlocal``, with the frame that holds them."""
        self.returns: list[Value] = []
        self.yields: list[Value] = []

    def module(self) -> Frame:
        """The frame of the module."""
        frame = self
        while frame.closure is not None:
            frame = frame.closure
        return frame

    def find(self, name: str) -> Value | None:
        """The value of a name, looked up as Python does (class bodies are not told apart)."""
        frame: Frame | None = self
        while frame is not None:
            if (value := frame.env.get(name)) is not None:
                return value
            frame = frame.closure
        return None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A block that did not run because settings stand at their off-defaults."""

    settings: tuple[str, ...]
    body: list[ir.Stmt]
    module: str


class Condition(NamedTuple):
    """An arm of an undecided branch."""

    test: str
    """Its operators and literals."""
    values: tuple[Value, ...]
    """What its names stood for; values are equal only to themselves."""
    answer: bool


class Limit(NamedTuple):
    """A comparison of a clock with a known number of seconds."""

    seconds: float
    number: int
    """How many events had come before the first of them."""


@dataclass(slots=True)
class Machine:
    """One walk over one script."""

    environment: dict[str, Setting]
    """Environment variables of the run; the script may add to them."""
    arguments: Mapping[str, Setting]
    """Command line options of the run, by option name without dashes."""
    sibling: Callable[[str], ir.Module | None]
    """The module of a name that lies beside the script."""
    foreign: Callable[[], Many[ir.Module]] = tuple
    """The sources in C and C++ that are shipped or embedded."""
    labels: LabelTable = field(default_factory=LabelTable)
    events: list[Event] = field(default_factory=list)
    frame: Frame = field(default_factory=lambda: Frame("__main__"))
    calls: list[Spot] = field(default_factory=list)
    loops: list[tuple[int, int, int]] = field(default_factory=list)
    sampled: int = 0
    """Depth of enclosing loops of which not every iteration is walked."""
    uncertain: int = 0
    """Depth of enclosing branches that may not be taken."""
    conditions: list[Condition] = field(default_factory=list)
    """The arms of the enclosing branches that are undecided tests."""
    tested: int = 0
    """How many of the branches that may not be taken they stand for."""
    under: dict[int, tuple[Condition, ...]] = field(default_factory=dict)
    """The same at the time of an update, by the number of its event."""
    control: int = 0
    """Choices that the enclosing branches rest on."""
    handlers: int = 0
    """Depth of enclosing ``try`` statements with handlers."""
    steps: int = 0
    line: int = 0
    active: dict[int, int] = field(default_factory=dict)
    escapes: list[list[dict[str, Value]]] = field(default_factory=list)
    """Environments at uncertain breaks and continues of the enclosing loops."""
    gradients: dict[int, int] = field(default_factory=dict)
    cells: dict[int, Value] = field(default_factory=dict)
    hooks: dict[int, list[Value]] = field(default_factory=dict)
    """Functions that a network calls with what its layers compute, by cell."""
    modules: dict[str, Value] = field(default_factory=dict)
    loop_numbers: dict[int, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    """What the script saved: path, ``\\0`` for what is not known of it, to the labels of the content."""
    trained: list[tuple[int, Loops]] = field(default_factory=list)
    """Steps on training data: how many events came before, and the loops around."""
    created: set[str] = field(default_factory=set)
    """Paths that it opened for writing."""
    read: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Settings that the code asked for: name → (value used, what set it)."""
    limits: dict[Spot, Limit] = field(default_factory=dict)
    """Comparisons of a clock with a known number of seconds, by place."""
    decider: Value | None = None
    """The test that ended the current block, until the block takes note of it."""
    skipped: dict[int, Skipped] = field(default_factory=dict)
    """Blocks that the code's own off-defaults keep from running, by the node they belong to."""
    decisions: dict[ir.Node, set[bool]] = field(default_factory=dict)
    """The answers that the tests of branches may have, by the branch."""
    problems: dict[str, Spot] = field(default_factory=dict)
    """What the walk could not follow, with the first place."""
    _narrowed: dict[tuple[int, Linear | None, Linear | None, int], int] = field(default_factory=dict)

    # --- bookkeeping -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Count one statement or call against the budget."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BudgetExceeded

    def problem(self, reason: str) -> None:
        """Note something that the walk could not follow."""
        self.problems.setdefault(reason, (self.frame.source, self.line))

    def skip(self, decider: Value, node: ir.Node, body: list[ir.Stmt]) -> None:
        """Note a block that does not run, if an off-default decided that."""
        if body and (unset := self.labels.of(decider.labels, Unset)):
            names = tuple(label.setting for label in unset)
            self.skipped.setdefault(id(node), Skipped(names, body, self.frame.source))

    def decide(self, node: ir.Node, *answers: bool) -> None:
        """Note which arms of a branch may run."""
        self.decisions.setdefault(node, set()).update(answers)

    def place(self, line: int) -> Place:
        """Here, at ``line`` of the current text."""
        return Place((self.frame.source, line), tuple(self.calls), tuple(self.loops))

    def loop_number(self, node: object) -> int:
        """The number of a loop statement or comprehension in iteration labels."""
        number = self.loop_numbers.get(id(node))
        if number is None:
            number = self.loop_numbers[id(node)] = new_number()
        return number

    # --- labels ----------------------------------------------------------------------------------------------------

    def content(self, value: Value | None, depth: int = 4) -> int:
        """Everything that a value depends on, through containers and into the state of cells."""
        kind = type(value)
        if value is None or kind is Const:
            return value.labels if value is not None else 0
        labels = value.labels
        if kind is Data:
            return labels | value.cell.labels if value.cell is not None else labels  # type: ignore[attr-defined]
        if depth == 0 or kind is Network:
            return labels
        for part in parts(value):
            labels |= self.content(part, depth - 1)
        return labels

    def union(self, values: Iterable[Value]) -> int:
        """The content of several values."""
        labels = 0
        for value in values:
            labels |= self.content(value)
        return labels

    def tags(self, labels: int) -> int:
        """The iteration labels of a set."""
        return labels & self.labels.mask(Iteration)

    def tagged(self, value: Value, tags: int) -> Value:
        """The value as seen under further iteration labels."""
        if not tags & ~value.labels and not isinstance(value, Either):
            return value
        if isinstance(value, Const):
            return Const(value.value, value.labels | tags)
        if isinstance(value, Sequence):
            return value.view(tags)
        if isinstance(value, Either):
            return Either([self.tagged(option, tags) for option in value.options])
        if isinstance(value, Data):
            copy = Data(
                value.labels | tags,
                linear=self.linear(value) if value.scalar else value.linear,
                scalar=value.scalar,
                base=value.base if value.scalar else value,
                cell=value.cell,
                text=value.text,
            )
            copy.table = value.table
            return copy
        return value

    def linear(self, value: Value | None) -> Linear | None:
        """The linear form of an integer; an unknown scalar becomes a symbol of its own."""
        if type(value) is Const:
            return Linear(value.value) if isinstance(value.value, int) else None
        if type(value) is Data:
            if value.linear is None and value.scalar:
                value.linear = Linear(0, ((new_number(), 1),))
            return value.linear
        return None

    def narrow(self, labels: int, start: Linear | None, end: Linear | None, tags: int) -> int:
        """The labels of ``x[start:end]``: tokens move, scores are bounded, loop labels of the bounds join the address."""
        addressed = labels & self.labels.mask(Token, Activation, Score)
        if not addressed or addressed.bit_count() > MAX_ADDRESSES:
            return labels
        key = (labels, start, end, tags)
        narrowed = self._narrowed.get(key)
        if narrowed is None:
            narrowed = labels & ~addressed
            more = frozenset(self.labels.of(tags, Iteration))
            for label in self.labels.addresses(labels):
                if label.origin == TRAINING_DATA:
                    narrowed |= self.labels.bit(label)
                    continue
                stop = _shift(label.start, end) if end is not None else label.end
                moved = label._replace(tags=label.tags | more, start=_shift(label.start, start), end=stop)
                if isinstance(moved, Token) and not moved.tags and (kept := distance(start or ZERO, end)) is not None:
                    moved = moved._replace(cap=min(kept, moved.cap or kept))
                narrowed |= self.labels.bit(moved)
            for score in self.labels.of(labels, Score):
                narrowed |= self.labels.bit(
                    Score(score.event, _shift(score.start, start), _shift(score.start, end) or score.end)
                )
            self._narrowed[key] = narrowed
        return narrowed

    def tokens_behind(self, labels: int) -> int:
        """Token and activation labels of a set, through its scores to their targets."""
        tokens = labels & self.labels.mask(Token, Activation)
        for score in self.labels.of(labels, Score):
            event = self.events[score.event]
            assert isinstance(event, ScoreEvent)
            tokens |= event.targets
        return tokens

    def learns_from_evaluation(self, labels: int) -> bool:
        """Do any tokens in the set come from elsewhere than training files?"""
        tokens = self.tokens_behind(labels)
        return any(label.origin != TRAINING_DATA for label in self.labels.addresses(tokens))

    # --- events ----------------------------------------------------------------------------------------------------

    def score(self, targets: int, predictor: int, line: int) -> int:
        """Record that ``targets`` were scored; returns the labels of the loss."""
        tokens = targets & self.labels.mask(Token)
        number = len(self.events)
        self.events.append(ScoreEvent(number, self.place(line), tokens, predictor))
        carried = predictor & self.labels.mask(Depends, Lookup, Decided)
        return self.labels.bit(Score(number, Linear(0), None)) | carried

    def update(self, cell: Value, what: str, uses: int, line: int) -> None:
        """Record that the state of ``cell`` changed using ``uses``, if those come from evaluation data."""
        if not self.learns_from_evaluation(uses):
            self.trained.append((len(self.events), tuple(self.loops)))
            return
        number = len(self.events)
        self.under[number] = tuple(self.conditions)
        fresh = not isinstance(cell, Network)
        self.events.append(UpdateEvent(number, self.place(line), what, uses, fresh))
        cell.labels |= self.labels.bit(Update(number))

    def fit(self, cell: Value, uses: int, line: int) -> None:
        """Record that the state of ``cell`` was set from statistics of tokens or activations, training data included."""
        number = len(self.events)
        self.events.append(UpdateEvent(number, self.place(line), "fit", uses, False))
        cell.labels |= self.labels.bit(Update(number))

    def limit(self, bound: float, line: int) -> None:
        """Record that elapsed time is compared with ``bound``, in seconds or milliseconds."""
        seconds = bound / 1000 if bound >= LEAST_MILLISECONDS else bound
        self.limits.setdefault((self.frame.source, line), Limit(seconds, len(self.events)))

    def lookup(self, components: tuple[int, ...], table: int, source: Value, line: int) -> int:
        """Record a table lookup; returns the labels of its result."""
        number = len(self.events)
        tokens = self.labels.mask(Token)
        self.events.append(LookupEvent(number, self.place(line), tuple(c & tokens for c in components), table, source))
        kept = table & ~self.labels.mask(Token, Activation, Iteration)
        return self.labels.bit(Lookup(number)) | kept

    def report(self, template: str, values: Iterable[Value], line: int) -> None:
        """Record something printed."""
        values = list(values)
        holes = tuple(hole for value in values for hole in (value.holes if isinstance(value, Data) else ()))
        told = holes if len(holes) == template.count("\0") else ()
        self.events.append(ReportEvent(len(self.events), self.place(line), template, self.union(values), told))

    # --- writes ----------------------------------------------------------------------------------------------------

    def write(self, target: Value, labels: int, line: int, *, replace: bool = False, address: bool = False) -> None:
        """Change a value in place, and whatever it is a view of.

        Iteration labels are dropped unless the content may serve as an ``address`` (numbers gathered in a tensor).
        """
        if not address:
            labels &= ~self.labels.mask(Iteration)
        if isinstance(target, Data) and target.table:
            labels &= ~self.labels.mask(
                Lookup, Decided
            )  # what a table was told is its state; how that was found is past
        else:
            labels |= self.control
        seen: set[int] = set()
        pending = [target]
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Either):
                pending.extend(value.options)
                continue
            cell = value if isinstance(value, Network) else value.cell if isinstance(value, Data) else None
            if cell is not None:
                self._write_cell(cell, labels, line)
            if isinstance(value, Data):
                strong = replace and value is target and not self.uncertain and value.base is None and cell is None
                value.labels = labels | (value.labels & self.labels.mask(Depends)) if strong else value.labels | labels
                if value.base is not None:
                    pending.append(value.base)

    def _write_cell(self, cell: Value, labels: int, line: int) -> None:
        learned = labels & self.labels.mask(Token, Activation, Score)
        if learned & self.labels.mask(Score):
            self.update(cell, "write", labels, line)
        elif learned:
            self.fit(cell, learned, line)
        cell.labels |= labels & ~self.labels.mask(Token, Activation, Score, Depends, Decided)

    def outlived(self, labels: int) -> int:
        """The labels of a state that a load here does not end for certain.

        In an undecided branch it ends the updates that were made under the same tests: where they ran, so does the load.
        """
        if not self.uncertain:
            return 0
        if self.uncertain > self.tested:
            return labels
        for update in self.labels.of(labels, Update):
            if set(self.conditions) <= set(self.under.get(update.event, ())):
                labels &= ~self.labels.bit(update)
        return labels

    def trainable(self, value: Value) -> int:
        """The bit of dependence on a cell; a tensor becomes a cell when it is asked for."""
        bit = self.labels.bit(Depends(id(value)))
        self.cells[id(value)] = value
        value.labels |= bit
        return bit


def parts(value: Value) -> Iterable[Value]:
    """The values inside a container, object or alternative."""
    if isinstance(value, Sequence):
        return value.store.items[:32] + ([value.store.rest] if value.store.rest is not None else [])
    if isinstance(value, MappingValue):
        return list(value.entries.values())[:32] + ([value.rest] if value.rest is not None else [])
    if isinstance(value, Either):
        return value.options
    if isinstance(value, Zipped):
        return value.sources
    if isinstance(value, Instance):
        return list(value.attrs.values())[:32]
    return ()


def each(value: Value, apply: Callable[[Value], Value]) -> Value:
    """Apply an operation to every alternative and join the results."""
    if not isinstance(value, Either):
        return apply(value)
    result = apply(value.options[0])
    for option in value.options[1:]:
        result = join(result, apply(option))
    return result


def _shift(base: Linear | None, by: Linear | None) -> Linear | None:
    return base.plus(by) if base is not None and by is not None else None
