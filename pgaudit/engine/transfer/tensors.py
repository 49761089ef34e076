"""Methods and attributes of tensors, arrays and unknown objects."""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine import choosing
from pgaudit.engine.calls import Arguments, call
from pgaudit.engine.indexing import Bounds, count
from pgaudit.engine.indexing import read as read_index
from pgaudit.engine.labels import Decided, Depends, Iteration, Score, Token
from pgaudit.engine.machine import Machine
from pgaudit.engine.transfer import containers, files
from pgaudit.engine.transfer.arrays import curved, smaller, summed
from pgaudit.engine.transfer.networks import call_optimizer, register_hook
from pgaudit.engine.values import Const, Data, Function, Method, Network, Optimizer, Sequence, Value

VIEWS = frozenset({
    "view", "reshape", "squeeze", "unsqueeze", "flatten", "transpose", "permute", "t", "ravel", "view_as", "numpy",
    "contiguous", "expand", "expand_as", "swapaxes", "movedim", "unflatten", "requires_grad_", "pin_memory", "data_ptr", "data_as",
})  # fmt: skip
CONVERSIONS = frozenset({
    "to", "cpu", "cuda", "float", "double", "half", "bfloat16", "int", "long", "short", "bool", "type", "astype",
    "type_as", "copy", "clone", "tolist", "abs", "neg", "clamp", "clamp_min", "clip", "sqrt", "round",
})  # fmt: skip
CURVES = frozenset({"exp", "log", "log1p", "expm1", "logaddexp", "sigmoid"})
SHAPES = frozenset(
    {"size", "numel", "dim", "element_size", "storage_offset", "get_device", "stride", "nelement", "ndimension"}
)
SELECTIONS = frozenset(
    {"nonzero", "argmax", "argsort", "any", "all", "argmin", "eq", "ne", "lt", "gt", "le", "ge", "isnan", "isfinite"}
)
SHAPE_ATTRIBUTES = frozenset({"shape", "ndim", "dtype", "device", "nbytes", "itemsize", "is_cuda", "is_floating_point"})
VIEW_ATTRIBUTES = frozenset({"data", "T", "mT", "flat", "real", "ctypes"})
OF_MODULES = frozenset(
    {
        "sum",
        "mean",
        "norm",
        "pow",
        "eval",
        "train",
        "zero_grad",
        "named_parameters",
        "children",
        "buffers",
        "load_state_dict",
    }
)
HOOKS = frozenset({"register_forward_hook", "register_forward_pre_hook"})
SCATTERS = {"scatter_add_": 1, "scatter_": 1, "scatter_reduce_": 1, "index_add_": 1, "index_put_": 0, "put_": 0}
"""Methods that write at given places, and which argument the places are."""
STRONG = frozenset({"zero_", "fill_", "copy_", "fill"})


def tensor_attribute(m: Machine, value: Data, name: str) -> Value:
    """``tensor.name``."""
    if name in VIEW_ATTRIBUTES:
        return _view(m, value)
    if name in SHAPE_ATTRIBUTES:
        return Data()
    if name == "grad":
        cell = value.cell or value
        return Data(m.gradients.get(id(cell), 0) & ~m.labels.mask(Depends))
    if isinstance(value.cell, Network) and not _is_method(name):
        return Data(cell=value.cell)  # a part of a part: ``net.head.weight``
    return Method(value, name)


def _is_method(name: str) -> bool:
    return (
        name.endswith("_")
        or name in VIEWS | CONVERSIONS | SHAPES | SELECTIONS | CURVES | HOOKS | OF_MODULES
        or name in SPECIAL
    )


def _view(m: Machine, value: Data) -> Data:
    view = Data(value.labels, linear=value.linear, base=value, cell=value.cell, text=value.text)
    view.table = value.table
    view.summands = value.summands
    return view


def call_method(m: Machine, receiver: Data, name: str, args: Arguments, line: int) -> Value:
    """``tensor.name(args)``."""
    if name in VIEWS:
        return _view(m, receiver)
    if name in CONVERSIONS:
        return _converted(m, receiver, name, args)
    if name in CURVES:
        return curved(m, Arguments([receiver], {}), line)
    if name in SHAPES:
        return Data(scalar=True)
    if name in SELECTIONS:
        return Data(m.content(receiver) & m.labels.mask(Score, Decided))
    if name in HOOKS and isinstance(receiver.cell, Network):
        return register_hook(m, receiver.cell, args)
    if name == "step" and args.positional and isinstance(args.positional[0], Optimizer):
        return call_optimizer(m, args.positional[0], name, Arguments([], {}), line)
    if args.positional and isinstance(args.positional[0], Sequence) and f"random.{name}" in containers.FUNCTIONS:
        return containers.FUNCTIONS[f"random.{name}"](m, args, line)  # of a generator with a seed of its own
    special = SPECIAL.get(name)
    if special is not None:
        return special(m, receiver, args, line)
    if (name.endswith("_") and not name.endswith("__")) or name == "fill":
        return _in_place(m, receiver, name, args, line)
    if receiver.positive and name in ("lower", "strip", "upper"):
        return receiver
    if receiver.text is not None and (path := files.path_method(m, receiver, name, args, line)) is not None:
        return path
    labels = (m.content(receiver) | m.union(args.all())) & ~m.labels.mask(Iteration)
    _call_back(m, args, line)
    return Data(labels, scalar=name == "item")


def _converted(m: Machine, receiver: Data, name: str, args: Arguments) -> Value:
    result = Data(m.content(receiver), linear=receiver.linear, scalar=receiver.scalar, text=receiver.text)
    if name in ("to", "float", "cpu", "cuda", "contiguous"):
        result.base = receiver if not receiver.scalar else None
        result.cell = receiver.cell
        result.labels = receiver.labels
    result.table = receiver.table
    result.summands = receiver.summands
    return result


def _call_back(m: Machine, args: Arguments, line: int) -> None:
    for value in args.all():
        if isinstance(value, Function) and not value.node.params:
            call(m, value, Arguments([], {}), line)


def _in_place(m: Machine, receiver: Data, name: str, args: Arguments, line: int) -> Value:
    place = args.get(SCATTERS[name], "index") if name in SCATTERS else None
    stored = [value for value in args.all() if value is not place]
    m.write(receiver, m.union(stored), line, replace=name in STRONG)
    if m.content(place) & m.labels.mask(Token):
        count(m, receiver, m.union(args.all()), line)
    return receiver


def _item(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return Data(m.content(receiver), linear=receiver.linear, scalar=True)


def _detach(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    detached = Data(m.content(receiver) & ~m.labels.mask(Depends), linear=receiver.linear, base=receiver)
    detached.table = receiver.table
    return detached


def _backward(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    content = m.content(receiver)
    for cell in m.labels.of(content, Depends):
        m.gradients[cell.cell] = m.gradients.get(cell.cell, 0) | content
    return Const(None)


def _gather(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    index = args.get(1, "index")
    return (
        read_index(m, receiver, [Bounds(None, None, None), index], line)
        if index is not None
        else Data(m.content(receiver))
    )


def _index_select(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    index = args.get(1, "index")
    return read_index(m, receiver, [index], line) if index is not None else Data(m.content(receiver))


def _take(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    index = args.get(0, "indices")
    return read_index(m, receiver, [index], line) if index is not None else Data(m.content(receiver))


def _narrow(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    start, length = args.get(1, "start"), args.get(2, "length")
    if start is None:
        return _view(m, receiver)
    end = None
    if length is not None:
        from pgaudit.engine.expressions import binary

        end = binary(m, "+", start, length)
    return read_index(m, receiver, [Bounds(start, end, None)], line)


def _split(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    labels = m.narrow(receiver.labels, None, None, 0)  # each part is a slice of its own, which one is not known
    return Sequence("tuple", [], Data(labels, base=receiver, cell=receiver.cell, scalar=receiver.scalar))


def _total(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    """``sum``, ``mean``: how often a comparison of scores held is a statistic, and chooses nothing by itself."""
    labels = (m.content(receiver) | m.union(args.all())) & ~m.labels.mask(Iteration)
    return Data(labels & ~choosing.comparisons(m, labels) if receiver.answers else labels)


def _read(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return Data(m.content(receiver))


def _state(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return Data(m.content(receiver), cell=receiver.cell)


def _format(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return Data(m.content(receiver) | m.union(args.all()), scalar=True, text=receiver.text or "\0")


def _summed(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return summed(m, Arguments([receiver], {}), line)


def _smaller(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return smaller(m, Arguments([receiver, *args.positional], {}), line) if args.positional else _view(m, receiver)


def _to_file(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return files.saved(m, Arguments([receiver, *args.positional], {}), line)


def _write_text(m: Machine, receiver: Data, args: Arguments, line: int) -> Value:
    return files.written(m, receiver, args, line)


SPECIAL: dict[str, Callable[[Machine, Data, Arguments, int], Value]] = {
    "item": _item,
    "detach": _detach,
    "backward": _backward,
    "gather": _gather,
    "take_along_dim": _take,
    "index_select": _index_select,
    "take": _take,
    "narrow": _narrow,
    "sum": _total,
    "mean": _total,
    "logsumexp": _summed,
    "minimum": _smaller,
    "split": _split,
    "chunk": _split,
    "unbind": _split,
    "read": _read,
    "state_dict": _state,
    "parameters": _state,
    "format": _format,
    "write": _write_text,
    "tofile": _to_file,
    "writelines": _write_text,
    "info": lambda m, receiver, args, line: files.logged(m, args, line),
}
