"""Abstract values. Identity matters: two names for one tensor are one object, so a write through either is seen by both."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

from pgaudit.engine.linear import Linear
from pgaudit.program import ir

if TYPE_CHECKING:
    from pgaudit.engine.machine import Frame


class Value:
    """Anything a name can be bound to. ``labels`` is a set of labels (see ``LabelTable``)."""

    __slots__ = ("labels",)

    def __init__(self, labels: int = 0) -> None:
        self.labels = labels


class Const(Value):
    """A known Python constant; immutable. Labels are the loop iterations that chose it."""

    __slots__ = ("value",)

    def __init__(self, value: object, labels: int = 0) -> None:
        self.labels = labels
        self.value = value


class Data(Value):
    """A number, string, array or tensor that is not known."""

    __slots__ = ("answers", "base", "cell", "holes", "linear", "positive", "scalar", "summands", "table", "text")

    def __init__(
        self,
        labels: int = 0,
        *,
        linear: Linear | None = None,
        scalar: bool = False,
        base: Value | None = None,
        cell: Value | None = None,
        text: str | None = None,
        positive: bool = False,
    ) -> None:
        self.labels = labels
        self.positive = positive
        """A setting that is on: a number above zero, or a text that says yes."""
        self.linear = linear
        self.scalar = scalar
        """A Python number: ``x += y`` makes a new one instead of changing it in place."""
        self.base = base
        """What a write through this view also changes (``x[i]``, ``x.view(…)``)."""
        self.cell = cell
        """The network or tensor whose trainable state this is a part of; its labels are read through."""
        self.answers = False
        """What a comparison answered, place by place."""
        self.holes: tuple[int, ...] = ()
        """Labels of each unknown part of ``text``, where it was put together in one place."""
        self.text = text
        """Literal parts of a string whose rest is unknown, with ``\\0`` for each unknown part."""
        self.summands: tuple[int, int] | None = None
        """Labels of both sides of the sum that this is: ``row * width + column`` names a row and a column."""
        self.table = False
        """Counts were written into it at token-dependent places."""


class Sequence(Value):
    """A list, tuple or set. Views of one list share ``store``."""

    __slots__ = ("kind", "store")

    def __init__(self, kind: str, items: list[Value], rest: Value | None = None, labels: int = 0) -> None:
        self.labels = labels
        self.kind = kind
        self.store = Store(items, rest)

    def view(self, labels: int) -> Sequence:
        """The same elements under further labels (``rows[i]`` read inside a loop over ``i``)."""
        if not labels & ~self.labels:
            return self
        view = Sequence.__new__(Sequence)
        view.labels = self.labels | labels
        view.kind = self.kind
        view.store = self.store
        return view


_numbers = count()


def new_number() -> int:
    """A number that no other store, loop or symbol has."""
    return next(_numbers)


class Store:
    """The elements of a sequence: ``items`` in order, then any number of further ones summed up as ``rest``.

    ``number`` names the store in iteration labels and ``sampled`` keeps the k-th unknown element, so that two
    loops over one list see the same elements.
    """

    __slots__ = ("items", "number", "rest", "sampled")

    def __init__(self, items: list[Value], rest: Value | None) -> None:
        self.items = items
        self.rest = rest
        self.number = new_number()
        self.sampled: dict[int, Value] = {}


class Range(Value):
    """``range(start, stop, step)`` whose bounds are not all known."""

    __slots__ = ("start", "step", "stop")

    def __init__(self, start: Value, stop: Value, step: Value) -> None:
        self.labels = 0
        self.start = start
        self.stop = stop
        self.step = step


class Zipped(Value):
    """``zip(…)`` or ``enumerate(…)``: iterates over its sources in step."""

    __slots__ = ("sources",)

    def __init__(self, sources: list[Value]) -> None:
        self.labels = 0
        self.sources = sources


class Mapping(Value):
    """A dict: entries under known keys, and ``rest`` for all others. ``keys`` gathers the labels of unknown keys."""

    __slots__ = ("entries", "keys", "rest")

    def __init__(self, entries: dict[Any, Value], rest: Value | None = None, labels: int = 0) -> None:
        self.labels = labels
        self.entries = entries
        self.rest = rest
        self.keys: Value | None = None


class Function(Value):
    """A function of the script with the frame it closes over, bound to ``receiver`` if it is a method."""

    __slots__ = ("closure", "node", "receiver")

    def __init__(self, node: ir.Function, closure: Frame, receiver: Value | None = None) -> None:
        self.labels = 0
        self.node = node
        self.closure = closure
        self.receiver = receiver


class Class(Value):
    """A class of the script. ``kind`` says what its external bases make of it."""

    __slots__ = ("attrs", "bases", "kind", "name")

    def __init__(self, name: str, bases: list[Value], attrs: dict[str, Value], kind: str) -> None:
        self.labels = 0
        self.name = name
        self.bases = bases
        self.attrs = attrs
        self.kind = kind
        """``plain``, ``network`` (torch.nn.Module), ``optimizer``, ``autograd`` or ``dataclass``."""

    def find(self, name: str) -> Value | None:
        """An attribute of the class or of its bases, depth first."""
        if name in self.attrs:
            return self.attrs[name]
        for base in self.bases:
            if isinstance(base, Class) and (found := base.find(name)) is not None:
                return found
        return None


class Instance(Value):
    """An object of a class of the script, or a bag of attributes (a parsed command line)."""

    __slots__ = ("attrs", "cls")

    def __init__(self, cls: Class | None, attrs: dict[str, Value] | None = None) -> None:
        self.labels = 0
        self.cls = cls
        self.attrs = attrs if attrs is not None else {}


class Network(Instance):
    """A ``torch.nn.Module``. Its forward is never entered: ``labels`` is its trainable state."""

    __slots__ = ()


class Optimizer(Value):
    """An optimiser and the cells that its steps change."""

    __slots__ = ("cells",)

    def __init__(self, cells: list[Value]) -> None:
        self.labels = 0
        self.cells = cells


class Module(Value):
    """A module of the submission that was imported."""

    __slots__ = ("frame",)

    def __init__(self, frame: Frame) -> None:
        self.labels = 0
        self.frame = frame


class External(Value):
    """Something outside the submission, by its dotted name (``torch.nn.functional.cross_entropy``)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.labels = 0
        self.name = name


class Method(Value):
    """A method of a value that is not an object of the script (``tensor.backward``, ``list.append``)."""

    __slots__ = ("name", "receiver")

    def __init__(self, receiver: Value, name: str) -> None:
        self.labels = 0
        self.receiver = receiver
        self.name = name


class Partial(Value):
    """``functools.partial`` and everything that behaves like it."""

    __slots__ = ("args", "func", "keywords")

    def __init__(self, func: Value, args: list[Value], keywords: dict[str, Value]) -> None:
        self.labels = 0
        self.func = func
        self.args = args
        self.keywords = keywords


class Native(Value):
    """A callable that the engine made itself (a bound result such as ``future.result``)."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Value]) -> None:
        self.labels = 0
        self.call = call


class Field(Value):
    """``dataclasses.field(default_factory=…)``: what every new object calls for its own value."""

    __slots__ = ("factory",)

    def __init__(self, factory: Value) -> None:
        self.labels = 0
        self.factory = factory


class Either(Value):
    """One of several values, which one is not known. Reads join them, writes reach all."""

    __slots__ = ("options",)

    def __init__(self, options: list[Value]) -> None:
        self.labels = 0
        self.options = options


MAX_OPTIONS = 4


def join(first: Value, second: Value) -> Value:
    """The value of a name after two branches."""
    if first is second:
        return first
    if isinstance(first, Const) and isinstance(second, Const):
        same = type(first.value) is type(second.value) and first.value == second.value
        if same:
            return first if first.labels == second.labels else Const(first.value, first.labels | second.labels)
    if (
        isinstance(first, Const | Data)
        and isinstance(second, Const | Data)
        and not _is_none(first)
        and not _is_none(second)
    ):
        return _join_data(first, second)
    if isinstance(first, Sequence) and isinstance(second, Sequence) and _tuples_alike(first, second):
        items = [join(one, other) for one, other in zip(first.store.items, second.store.items, strict=True)]
        return Sequence("tuple", items, None, first.labels | second.labels)
    options: list[Value] = []
    for side in (first, second):
        for option in side.options if isinstance(side, Either) else [side]:
            if not any(_same(option, seen) for seen in options):
                options.append(option)
    if len(options) > MAX_OPTIONS:
        options = _condensed(options)
    return options[0] if len(options) == 1 else Either(options[:MAX_OPTIONS])


def _condensed(options: list[Value]) -> list[Value]:
    """The same alternatives with all data as one."""
    data = [option for option in options if isinstance(option, Const | Data) and not _is_none(option)]
    others = [option for option in options if option not in data]
    return [reduce(_join_data, data), *others] if data else others


def _tuples_alike(first: Sequence, second: Sequence) -> bool:
    """Tuples cannot be written to, so they can be joined place by place."""
    stores = first.store, second.store
    return (
        first.kind == second.kind == "tuple"
        and all(store.rest is None for store in stores)
        and len(stores[0].items) == len(stores[1].items)
    )


def _join_data(first: Value, second: Value) -> Data:
    joined = Data(first.labels | second.labels)
    joined.scalar = all(not isinstance(side, Data) or side.scalar for side in (first, second))
    for side in (first, second):
        if isinstance(side, Data):
            joined.cell = joined.cell or side.cell
            joined.table = joined.table or side.table
            joined.text = joined.text or side.text
            if not side.scalar:
                joined.base = side if joined.base is None else Either([joined.base, side])
    return joined


def _is_none(value: Value) -> bool:
    return isinstance(value, Const) and value.value is None


def _same(first: Value, second: Value) -> bool:
    if isinstance(first, Const) and isinstance(second, Const):
        return type(first.value) is type(second.value) and bool(first.value == second.value)
    return first is second


def known(value: Value | None, default: Any = None) -> Any:
    """The Python constant behind a value, or ``default``."""
    return value.value if isinstance(value, Const) else default
