"""The part of torch, numpy and Python that byte tables are made with, on tables and on the counts of sampled tokens."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from pgaudit.evidence.byte_tables.state import State, inverted
from pgaudit.evidence.byte_tables.values import (
    External,
    Lanes,
    Opaque,
    Span,
    Table,
    as_table,
    cast,
    is_number,
)
from pgaudit.evidence.byte_tables.vocabulary import SIZE, Tokenizer
from pgaudit.source.evaluator.codecs import Undecodable
from pgaudit.source.evaluator.functions import FUNCTIONS as PURE
from pgaudit.source.evaluator.operators import MAX_ITEMS

Arguments = list[Any]
Options = dict[str, Any]

MOST_TOKENS = 4 * SIZE
"""Of a list by token: whatever stands behind the sample vocabulary is left out."""

_LAYOUT = {"cuda", "cpu", "numpy", "clone", "detach", "contiguous", "copy", "view", "reshape", "flatten", "ravel"}
_LAYOUT |= {"squeeze", "unsqueeze", "item", "pin_memory", "requires_grad_", "tolist", "sum", "expand", "view_as"}
_NUMERIC = {"float", "double", "half", "bfloat16", "long", "int", "short", "byte"}
_CASTS = {"to", "type", "astype"}
SAME = (_LAYOUT - {"sum"}) | _NUMERIC | _CASTS
"""Methods after which an unknown value is still the same for a lookup."""

_TRUTH = ("bool", "bool_", "bool8")


def dtype_of(arguments: Arguments, options: Options) -> bool | None:
    """Does an explicit type ask for truth values? ``None`` where none is given."""
    for value in (options.get("dtype"), *arguments):
        if isinstance(value, External):
            name = value.path.rpartition(".")[2]
            if name in _TRUTH:
                return True
            if name.startswith(("int", "uint", "float", "bfloat", "long", "double", "short", "half")):
                return False
    return None


def _converted(array: Table | Lanes, boolean: bool | None) -> Table | Lanes:
    if boolean is None:
        return array

    def one(value: Any) -> Any:
        return cast(value, True) if boolean else int(value) if isinstance(value, bool) else value

    changed = array.map(one)
    if isinstance(changed, Table):
        changed.boolean = boolean
    return changed


def array_method(state: State, array: Table | Lanes, name: str, arguments: Arguments, options: Options) -> Any:
    """A method of a table, or of counts."""
    if name in ("bool", *_NUMERIC):
        return _converted(array, name == "bool")
    if name in _CASTS:
        return _converted(array, dtype_of(arguments, options))
    if name in ("gather", "index_select", "take", "take_along_dim") and isinstance(array, Table):
        index = options.get("index", arguments[-1] if arguments else None)
        return state.look_up(array, index) if isinstance(index, Opaque) and as_table(array) else state.fresh()
    if name in _IN_PLACE or name in _ELEMENTWISE:
        return _elementwise(state, array, name, arguments, options)
    if isinstance(array, Table):
        if name == "tolist":
            return list(array.items)
        if name in ("numel", "__len__"):
            return len(array.items)
        if name == "sum":
            return state.fresh()
        return Table(list(array.items), array.boolean, list(array.spots)) if name in _LAYOUT else state.fresh()
    if name in _LAYOUT:
        return array.total() if name == "sum" else array
    state.use(array)
    return state.fresh()


_ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "logical_not": operator.not_,
    "bitwise_not": inverted,
    "logical_and": lambda one, other: bool(one and other),
    "logical_or": lambda one, other: bool(one or other),
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "add": operator.add,
    "sub": operator.sub,
    "subtract": operator.sub,
    "mul": operator.mul,
    "multiply": operator.mul,
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "maximum": max,
    "clamp_min": max,
    "minimum": min,
    "clamp_max": min,
}
_IN_PLACE = {f"{name}_": name for name in _ELEMENTWISE}


def _elementwise(state: State, array: Table | Lanes, name: str, arguments: Arguments, options: Options) -> Any:
    if options or any(isinstance(other, Opaque) for other in arguments):
        state.use(array)
        return state.fresh()
    result = state.elementwise(_ELEMENTWISE[_IN_PLACE.get(name, name)], array, *arguments)
    if name in _IN_PLACE and isinstance(array, Table) and isinstance(result, Table):
        array.items[:] = result.items
    return result


# --- functions -----------------------------------------------------------------------------------------------------


def _filled(fill: float | None) -> Callable[[State, Arguments, Options], Any]:
    """``zeros``, ``ones`` and the like: a table if the size is one number, known or not."""

    def made(state: State, arguments: Arguments, options: Options) -> Any:
        shape = options.get("size", options.get("shape", arguments[0] if arguments else None))
        value: Any = fill
        if fill is None:
            value = options.get("fill_value", arguments[1] if len(arguments) > 1 else 0)
        if isinstance(shape, tuple | list) and len(shape) == 1:
            shape = shape[0]
        several = fill is not None and len(arguments) > 1 and is_number(arguments[1])
        if isinstance(shape, tuple | list | External | None) or several:
            return cast(value, bool(dtype_of([], options))) if shape in ((), []) else state.fresh()
        size = min(shape, MOST_TOKENS) if isinstance(shape, int) else SIZE
        boolean = bool(dtype_of(arguments[1:], options))
        return Table([cast(value, boolean)] * max(size, 0), boolean)

    return made


def _like(fill: float) -> Callable[[State, Arguments, Options], Any]:
    def made(state: State, arguments: Arguments, options: Options) -> Any:
        model = arguments[0] if arguments else None
        if isinstance(model, Lanes):
            return Lanes((fill,) * len(model.values))
        if not isinstance(model, Table):
            return state.fresh()
        boolean = dtype_of([], options)
        boolean = model.boolean if boolean is None else boolean
        return Table([cast(fill, boolean)] * len(model.items), boolean)

    return made


def _array(state: State, arguments: Arguments, options: Options) -> Any:
    """``tensor``, ``array``, ``from_numpy``: the values themselves."""
    source = arguments[0] if arguments else options.get("data", options.get("object"))
    boolean = dtype_of(arguments[1:], options)
    if isinstance(source, list | tuple) and not any(isinstance(item, list | tuple) for item in source):
        truth = bool(source) and all(isinstance(item, bool) for item in source)
        source = Table(list(source), truth)
    if isinstance(source, Table | Lanes):
        copied = Table(list(source.items), source.boolean, list(source.spots)) if isinstance(source, Table) else source
        return _converted(copied, boolean)
    return source if isinstance(source, Opaque | int | float) else state.fresh()


def _where(state: State, arguments: Arguments, _options: Options) -> Any:
    if len(arguments) != 3 or not isinstance(arguments[0], Lanes | Table):
        for value in arguments:
            state.use(value)
        return state.fresh()
    return state.elementwise(lambda test, one, other: one if test else other, *arguments)


def _gathered(state: State, arguments: Arguments, _options: Options) -> Any:
    """``torch.gather(table, 0, index)``, ``np.take(table, index)``, ``F.embedding(index, table)``."""
    table = next((found for value in arguments if (found := as_table(value))), None)
    index = next((value for value in arguments if isinstance(value, Opaque)), None)
    return state.look_up(table, index) if table and index else state.fresh()


def _summed(state: State, arguments: Arguments, _options: Options) -> Any:
    value = arguments[0] if arguments else None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.total() if isinstance(value, Lanes) else state.opaque("sum", value)


def _laid_out(state: State, arguments: Arguments, options: Options) -> Any:
    """``pad``, ``stack``, ``cat``: counts stay the counts that they are."""
    if arguments and isinstance(arguments[0], Lanes) and "value" not in options:
        return arguments[0]
    for value in arguments:
        state.use(value)
    return state.fresh()


def _range(state: State, arguments: Arguments, _options: Options) -> Any:
    if any(isinstance(bound, Table | Lanes) for bound in arguments):
        return state.fresh()
    if all(isinstance(bound, int) for bound in arguments):
        return list(range(*arguments)[:MOST_TOKENS])
    start = arguments[0] if len(arguments) > 1 else 0
    return Span(start) if isinstance(start, int) and len(arguments) < 3 else state.opaque("range", arguments)


def _length(state: State, arguments: Arguments, _options: Options) -> Any:
    match arguments:
        case [Tokenizer()]:
            return SIZE
        case [Table(items)]:
            return len(items)
        case [str() | bytes() | list() | tuple() | dict() | set()]:
            return len(arguments[0])
    return state.opaque("len", arguments)


def _numeral(kind: Callable[[Any], Any]) -> Callable[[State, Arguments, Options], Any]:
    """``int``, ``float``: the unknown stays what it is."""

    def call(state: State, arguments: Arguments, options: Options) -> Any:
        match arguments:
            case [Opaque()]:
                return arguments[0]
            case [Lanes()]:
                return arguments[0].map(lambda value: kind(value) if is_number(value) else value)
        return pure(state, kind, arguments, options)

    return call


def pure(state: State, function: Callable[..., Any], arguments: Arguments, options: Options) -> Any:
    """A pure function of known values."""
    values = [*arguments, *options.values()]
    if any(not isinstance(value, str | bytes | int | float | None | list | tuple | dict | set) for value in values):
        for value in values:
            state.use(value)
        return state.opaque("call", getattr(function, "__name__", "function"), values)
    return state.compute(lambda *given: _sized(function(*given, **options)), *arguments)


def _known(function: Callable[..., Any]) -> Callable[[State, Arguments, Options], Any]:
    return lambda state, arguments, options: pure(state, function, arguments, options)


def _extreme(function: Callable[..., Any]) -> Callable[[State, Arguments, Options], Any]:
    """``min``, ``max``: of counts, for each sampled token."""

    def call(state: State, arguments: Arguments, options: Options) -> Any:
        if len(arguments) == 2 and any(isinstance(side, Lanes) for side in arguments):
            return state.elementwise(function, *arguments)
        return pure(state, function, arguments, options)

    return call


def _sized(value: Any) -> Any:
    if isinstance(value, list | tuple | dict | set | str) and len(value) > MAX_ITEMS:
        raise Undecodable("collects too many elements")
    return value


def _element_function(name: str) -> Callable[[State, Arguments, Options], Any]:
    def call(state: State, arguments: Arguments, options: Options) -> Any:
        if arguments and isinstance(arguments[0], Table | Lanes):
            return array_method(state, arguments[0], name, arguments[1:], options)
        return state.opaque(name, arguments)

    return call


_ARRAYS: dict[str, Callable[[State, Arguments, Options], Any]] = {
    "zeros": _filled(0),
    "ones": _filled(1),
    "empty": _filled(0),
    "full": _filled(None),
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "where": _where,
    "gather": _gathered,
    "index_select": _gathered,
    "take": _gathered,
    "nn.functional.embedding": _gathered,
    "sum": _summed,
    **dict.fromkeys(("tensor", "array", "asarray", "as_tensor", "from_numpy", "ascontiguousarray", "Tensor"), _array),
    **dict.fromkeys(("IntTensor", "LongTensor", "FloatTensor", "BoolTensor"), _array),
    **{name: _element_function(name) for name in _ELEMENTWISE},
}
FUNCTIONS: Mapping[str, Callable[[State, Arguments, Options], Any]] = {
    **{f"{module}.{name}": function for module in ("torch", "numpy") for name, function in _ARRAYS.items()},
    **{path: _known(function) for path, function in PURE.items() if path.startswith("builtins.")},
    "builtins.len": _length,
    "builtins.range": _range,
    "builtins.sum": _summed,
    "builtins.int": _numeral(int),
    "builtins.float": _numeral(float),
    "builtins.min": _extreme(min),
    "builtins.max": _extreme(max),
    "math.log": _known(math.log),
    "numpy.log": _known(math.log),
    "math.log2": _known(math.log2),
    "builtins.set": _known(set),
    "builtins.frozenset": _known(set),
    "builtins.abs": _known(abs),
    **dict.fromkeys(
        ("torch.nn.functional.pad", "torch.stack", "torch.cat", "numpy.stack", "numpy.concatenate"), _laid_out
    ),
}
"""Functions by qualified name."""

CONSTANTS: Mapping[str, Any] = {"math.e": math.e, "math.pi": math.pi, "numpy.e": math.e}
