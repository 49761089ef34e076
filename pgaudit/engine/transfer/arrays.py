"""torch and numpy functions. The default for both packages is elementwise: the result depends on the arguments."""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine import choosing
from pgaudit.engine.calls import Arguments, cells_of
from pgaudit.engine.indexing import Bounds, count
from pgaudit.engine.indexing import read as read_index
from pgaudit.engine.labels import Depends, Iteration, Mixed, Spread, Stacked, Token
from pgaudit.engine.linear import ZERO
from pgaudit.engine.machine import Machine
from pgaudit.engine.transfer.builtins import copied, first, nothing, size
from pgaudit.engine.values import Const, Data, Network, Sequence, Value, known

Transfer = Callable[[Machine, Arguments, int], Value]


def constructor(m: Machine, args: Arguments, line: int) -> Value:
    """A new tensor with no data in it; trainable if it says so."""
    tensor = Data()
    if known(args.keywords.get("requires_grad")) is True:
        m.trainable(tensor)
    return tensor


def tensor_of(m: Machine, args: Arguments, line: int) -> Value:
    """A tensor made from data."""
    value = args.get(0, "data")
    result = Data(m.content(value) & ~m.labels.mask(Iteration))
    if isinstance(value, Data):
        result.linear, result.table = value.linear, value.table
    if known(args.keywords.get("requires_grad")) is True:
        m.trainable(result)
    return result


def same_address(m: Machine, args: Arguments, line: int) -> Value:
    """An elementwise function of one array: positions stay."""
    value = args.get(0, "input")
    result = Data(m.union(args.all()))
    if isinstance(value, Data):
        result.linear = value.linear
        result.table = value.table
    return result


def arange(m: Machine, args: Arguments, line: int) -> Value:
    """Positions: the linear form of the array is that of its first element."""
    bounds = args.positional
    tags = m.tags(m.union(bounds))
    if len(bounds) == 1:
        return Data(tags, linear=ZERO)
    return Data(tags, linear=m.linear(bounds[0]) if bounds else ZERO)


def concatenate(m: Machine, args: Arguments, line: int) -> Value:
    """The elements of several arrays."""
    value = args.get(0, "tensors")
    if isinstance(value, Sequence):
        items = value.store.items + ([value.store.rest] if value.store.rest is not None else [])
        labels = m.union(items) | choosing.stack(m, value.store.items, line)
        base = items[0] if len(items) == 1 else None
        return Data(labels, base=base)
    return Data(m.content(value))


def where(m: Machine, args: Arguments, line: int) -> Value:
    """``where(condition, a, b)``; with one argument the places where it holds, which keep the alignment."""
    if len(args.positional) == 1 and not args.keywords:
        return Sequence("tuple", [Data()], Data())
    return Data(m.union(args.all()))


def gather(m: Machine, args: Arguments, line: int) -> Value:
    """``gather(input, dim, index)``: a column choice."""
    base, index = args.get(0, "input"), args.get(2, "index")
    if isinstance(base, Data) and index is not None:
        return read_index(m, base, [Bounds(None, None, None), index], line)
    return Data(m.union(args.all()))


def take(m: Machine, args: Arguments, line: int) -> Value:
    """``take(array, indices)``."""
    base = args.get(0, "a")
    index = args.get(1, "indices") or args.keywords.get("dim") or Data()
    if isinstance(base, Data):
        return read_index(m, base, [index], line)
    return Data(m.union(args.all()))


def index_select(m: Machine, args: Arguments, line: int) -> Value:
    """``index_select(input, dim, index)``."""
    base, index = args.get(0, "input"), args.get(2, "index")
    if isinstance(base, Data) and index is not None:
        return read_index(m, base, [index], line)
    return Data(m.union(args.all()))


def accumulate_at(m: Machine, args: Arguments, line: int) -> Value:
    """``add.at(table, index, values)``."""
    table = args.get(0, "a")
    if isinstance(table, Data):
        count(m, table, m.union(args.positional[1:]) & m.labels.mask(Token), line)
    return Const(None)


def bincount(m: Machine, args: Arguments, line: int) -> Value:
    """Counts of token-dependent keys."""
    table = Data()
    count(m, table, m.union(args.all()) & m.labels.mask(Token), line)
    return table


def loss(m: Machine, args: Arguments, line: int) -> Value:
    """``cross_entropy(logits, targets)`` and its relatives."""
    logits, targets = args.get(0, "input"), args.get(1, "target")
    predictor = m.content(logits)
    chosen = m.content(targets) & m.labels.mask(Token)
    if not chosen:
        return Data((predictor | m.content(targets)) & ~m.labels.mask(Iteration))
    return Data(m.score(chosen, predictor, line))


def autograd(m: Machine, args: Arguments, line: int) -> Value:
    """``torch.autograd.grad(loss, inputs)``: gradients know what the loss knows."""
    losses = m.content(args.get(0, "outputs"))
    inputs = args.get(1, "inputs")
    gradient = Data(losses & ~m.labels.mask(Depends, Iteration))
    for cell in cells_of(m, [inputs] if inputs is not None else []):
        m.gradients[id(cell)] = m.gradients.get(id(cell), 0) | losses
    return Sequence("tuple", [gradient], gradient)


def backward(m: Machine, args: Arguments, line: int) -> Value:
    """``torch.autograd.backward(losses)``."""
    content = m.content(args.get(0, "tensors"))
    for cell in m.labels.of(content, Depends):
        m.gradients[cell.cell] = m.gradients.get(cell.cell, 0) | content
    return Const(None)


def transform(m: Machine, args: Arguments, line: int) -> Value:
    """``torch.func.functional_call`` and the like: a forward under other weights."""
    from pgaudit.engine.calls import call

    if args.positional and isinstance(args.positional[0], Network):
        inner = args.positional[2] if len(args.positional) > 2 else Data()
        inputs = inner.store.items if isinstance(inner, Sequence) else [inner]
        result = call(m, args.positional[0], Arguments(list(inputs), {}), line)
        if isinstance(result, Data):
            result.labels |= m.content(args.positional[1]) if len(args.positional) > 1 else 0
        return result
    return Data(m.union(args.all()))


def scatter(m: Machine, args: Arguments, line: int) -> Value:
    """``one_hot`` and other encodings of ids: still the ids."""
    return Data(m.union(args.all()))


def shapes(m: Machine, args: Arguments, line: int) -> Value:
    """A shape: a sequence of unknown numbers."""
    return Sequence("tuple", [], Data(scalar=True))


def predicate(answer: bool) -> Transfer:
    """A question about the machine whose answer is known."""

    def answered(m: Machine, args: Arguments, line: int) -> Value:
        return Const(answer)

    return answered


def _clone(m: Machine, args: Arguments, line: int) -> Value:
    return copied(m, args.positional[0]) if args.positional else Data()


def _split(m: Machine, args: Arguments, line: int) -> Value:
    labels = m.narrow(m.union(args.all()) & ~m.labels.mask(Iteration), None, None, 0)
    return Sequence("tuple", [], Data(labels, base=args.get(0, "input")))


def _meshgrid(m: Machine, args: Arguments, line: int) -> Value:
    return Sequence("tuple", [Data(m.content(arg)) for arg in args.positional])


def summed(m: Machine, args: Arguments, line: int) -> Value:
    """``logsumexp``: a sum over alternatives, if they were stacked."""
    labels = m.content(args.get(0, "input"))
    mixed = sum(m.labels.bit(Mixed(label.event)) for label in m.labels.of(labels, Stacked))
    return Data(labels & ~m.labels.mask(Iteration) | mixed)


def curved(m: Machine, args: Arguments, line: int) -> Value:
    """``exp``, ``log`` and the like: of a score's shares they make probabilities of their own."""
    result = same_address(m, args, line)
    shares = m.labels.of(result.labels, Spread)
    assert isinstance(result, Data)
    result.labels |= sum(m.labels.bit(Mixed(label.event)) for label in shares)
    return result


def smaller(m: Machine, args: Arguments, line: int) -> Value:
    """``minimum(a, b)``: a choice between scores."""
    left, right = args.get(0, "input"), args.get(1, "other")
    result = same_address(m, args, line)
    if left is not None and right is not None:
        result.labels |= choosing.choose(m, left, right, line, smaller=True)
    return result


def _logits_only(m: Machine, args: Arguments, line: int) -> Value:
    value = args.get(0, "input")
    return Data(m.content(value))


_NEW = ("zeros", "ones", "empty", "full", "rand", "randn", "randint", "randperm", "eye", "zeros_like", "ones_like",
        "empty_like", "full_like", "rand_like", "randn_like", "normal", "linspace", "tril", "triu")  # fmt: skip
_CURVED = ("exp", "log", "log1p", "log2", "expm1", "logaddexp", "sigmoid")
_ELEMENTWISE = ("abs", "sqrt", "square", "neg", "clip", "clamp", "maximum",
                "float32", "float64", "int64", "int32", "uint64", "uint32", "uint16", "int16", "bitwise_xor",
                "bitwise_and", "remainder", "tanh", "nan_to_num", "ascontiguousarray", "asarray", "array",
                "atleast_1d", "round", "power", "mod", "mul", "add", "sub", "div", "as_tensor")  # fmt: skip

FUNCTIONS: dict[str, Transfer] = {
    **{f"{package}.{name}": constructor for package in ("torch", "numpy") for name in _NEW},
    **{f"{package}.{name}": same_address for package in ("torch", "numpy") for name in _ELEMENTWISE},
    **{f"{package}.{name}": curved for package in ("torch", "numpy", "math") for name in _CURVED},
    **{
        f"{package}.{name}": concatenate
        for package in ("torch", "numpy")
        for name in ("cat", "concatenate", "stack", "hstack", "vstack")
    },
    **{f"{package}.{name}": where for package in ("torch", "numpy") for name in ("where", "nonzero", "flatnonzero")},
    **{f"{package}.arange": arange for package in ("torch", "numpy")},
    **{f"{package}.bincount": bincount for package in ("torch", "numpy")},
    "torch.tensor": tensor_of,
    "torch.nn.Parameter": lambda m, args, line: _parameter(m, args),
    "torch.nn.parameter.Parameter": lambda m, args, line: _parameter(m, args),
    "torch.from_numpy": first,
    "torch.clone": _clone,
    "torch.gather": gather,
    "torch.take_along_dim": take,
    "numpy.take_along_axis": take,
    "torch.take": take,
    "numpy.take": take,
    "torch.index_select": index_select,
    "torch.nn.functional.embedding": lambda m, args, line: take(
        m, Arguments(args.positional[1:2] + args.positional[:1], {}), line
    ),
    "numpy.add.at": accumulate_at,
    "numpy.maximum.at": accumulate_at,
    "torch.nn.functional.cross_entropy": loss,
    "torch.nn.functional.nll_loss": loss,
    "torch.nn.functional.binary_cross_entropy_with_logits": loss,
    "torch.nn.functional.one_hot": scatter,
    "torch.autograd.grad": autograd,
    "torch.autograd.backward": backward,
    "torch.func.functional_call": transform,
    "torch.nn.utils.stateless.functional_call": transform,
    "torch.softmax": _logits_only,
    "torch.log_softmax": _logits_only,
    "torch.nn.functional.softmax": _logits_only,
    "torch.nn.functional.log_softmax": _logits_only,
    "torch.logsumexp": summed,
    "scipy.special.logsumexp": summed,
    "torch.minimum": smaller,
    "numpy.minimum": smaller,
    "torch.fmin": smaller,
    "torch.split": _split,
    "torch.chunk": _split,
    "torch.broadcast_tensors": _split,
    "torch.meshgrid": _meshgrid,
    "torch.equal": size,
    "torch.allclose": size,
    "torch.numel": size,
    "numpy.shape": shapes,
    "numpy.size": size,
    "torch.cuda.is_available": predicate(True),
    "torch.cuda.device_count": lambda m, args, line: Const(8),
    "torch.is_grad_enabled": predicate(True),
    "torch.cuda.synchronize": nothing,
    "torch.compile": first,
    "torch.jit.script": first,
    "torch.compiler.disable": first,
    "torch._dynamo.disable": first,
    "torch.no_grad": first,
    "torch.inference_mode": first,
    "torch.enable_grad": first,
    "torch.nn.parallel.DistributedDataParallel": first,
    "torch.nn.DataParallel": first,
}


def _parameter(m: Machine, args: Arguments) -> Value:
    value = args.get(0, "data")
    parameter = Data(m.content(value) & ~m.labels.mask(Iteration))
    m.trainable(parameter)
    return parameter
