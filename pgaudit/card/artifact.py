"""What becomes of the weights: how many bits are kept of them, and what packs those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product

from pgaudit.card.facts import Category, Fact, Parameter
from pgaudit.card.knobs import parameters
from pgaudit.card.reach import Program
from pgaudit.card.settings import Settings, identifier, known
from pgaudit.card.shapes import argument, calls_in, same
from pgaudit.program import ir

COMPRESSORS = {
    "zlib.compress": "zlib",
    "zlib.compressobj": "zlib",
    "lzma.compress": "LZMA",
    "lzma.LZMACompressor": "LZMA",
    "bz2.compress": "bzip2",
    "gzip.compress": "gzip",
    "brotli.compress": "Brotli",
    "brotli.Compressor": "Brotli",
    "zstandard.ZstdCompressor": "zstd",
    "zstandard.compress": "zstd",
    "zstd.compress": "zstd",
    "zstd.ZstdCompressor": "zstd",
}
LEVELS = ("level", "preset", "quality")
GPTQ = "calibration batches=GPTQ_CALIBRATION_BATCHES|GPTQ_CALIB_BATCHES,block=GPTQ_BLOCK_SIZE,reserved seconds=GPTQ_RESERVE_SECONDS"
CLAMPS = frozenset({"clamp", "clamp_", "clip"})
ROUNDS = frozenset({"round", "round_", "rint"})
REDUCTIONS = frozenset({"amax", "max", "quantile", "std", "mean", "norm", "abs_max", "kthvalue"})
MOST_BITS = 8
MOST_CHOICES = 16
"""Combinations of values that are tried for one expression."""

DEEPEST_CALLER = 2
"""Callers of callers whose values are followed."""

Range = tuple[int, int]
Choices = dict[str, list[object]]
"""Names to what they may hold."""


def facts(program: Program, settings: Settings) -> Iterator[Fact]:
    """How the artifact is made."""
    for call, name in program.calls():
        if packer := COMPRESSORS.get(name):
            yield program.fact(Category.COMPRESSION, packer, call, _level(settings, call))
        around = program.body(program.around[call].function)
        if name == "torch.linalg.cholesky" and any(identifier(node) == "cholesky_inverse" for node in around):
            yield program.fact(Category.QUANTISATION, "GPTQ", call, parameters(settings, GPTQ))
    for function in program.functions:
        yield from _rounding(program, settings, function)


def _level(settings: Settings, call: ir.Call) -> tuple[Parameter, ...]:
    keyword = next((given for given in LEVELS if argument(call, given) is not None), "")
    compressor = identifier(call.func) in ("ZstdCompressor", "LZMACompressor", "compressobj")
    node = argument(call, keyword) if keyword else argument(call, "", 0 if compressor else 1)
    named = next(iter(settings.named_in(node)), None)
    value = settings.value(node)
    if isinstance(value, int):
        return (Parameter("level", str(value), named.source if named else "code"),)
    return ()


def _rounding(program: Program, settings: Settings, function: ir.Function) -> Iterator[Fact]:
    """A value is rounded and kept within the range of a few bits."""
    inside = program.body(function)
    clamps = [
        node for node in inside if isinstance(node, ir.Call) and identifier(node.func) in CLAMPS and _rounds(node)
    ]
    in_training = _passes_gradients(inside) or _is_forward(program, function)
    rows = " per-row" if any(_by_row(settings, node) for node in inside) else ""
    for clamp in clamps:
        for low, high in sorted(_ranges(program, settings, function, clamp)):
            if name := _bits(low, high):
                yield _kept(program, clamp, f"{name}{rows}", in_training)
    if not clamps and any(isinstance(node, ir.Attribute) and node.attr == "int8" for node in inside):
        rounded = next((node for node in inside if isinstance(node, ir.Call) and identifier(node.func) in ROUNDS), None)
        high_found = max((_divisor(node) for node in inside), default=0)
        if rounded is not None and (name := _bits(-high_found, high_found)):
            yield _kept(program, rounded, f"{name}{rows}", in_training)


def _kept(program: Program, node: ir.Node, name: str, in_training: bool) -> Fact:
    return program.fact(Category.QUANTISATION, f"QAT, {name}" if in_training else name, node)


def _rounds(call: ir.Call) -> bool:
    """Is what is clamped the result of rounding?"""
    inside = [call.func, *(given.value for given in call.args[:1])]
    return any(True for node in inside for _ in calls_in(node, *ROUNDS))


def _passes_gradients(inside: list[ir.Node]) -> bool:
    """``w + (q - w).detach()``: rounding that training sees."""
    return any(
        isinstance(node, ir.Binary)
        and node.op == "+"
        and any(
            isinstance(call.func, ir.Attribute)
            and isinstance(call.func.value, ir.Binary)
            and same(call.func.value.right, node.left)
            for call in calls_in(node.right, "detach")
        )
        for node in inside
    )


def _is_forward(program: Program, function: ir.Function) -> bool:
    owner = program.functions[function].owner
    return function.name == "forward" and any(program.derives(owner, base) for base in ("Module", "Function", "Linear"))


def _by_row(settings: Settings, node: ir.Node) -> bool:
    """A reduction over the last or second axis alone."""
    if not isinstance(node, ir.Call) or identifier(node.func) not in REDUCTIONS:
        return False
    return settings.value(argument(node, "dim") or argument(node, "axis")) in (1, -1)


def _divisor(node: object) -> int:
    """The literal that something is divided by, where it is the largest number of some bits."""
    if isinstance(node, ir.Binary) and node.op == "/" and isinstance(node.right, ir.Const):
        value = node.right.value
        return int(value) if isinstance(value, int | float) and _bits(-int(value), int(value)) else 0
    return 0


def _bits(low: int, high: int) -> str:
    """The name of a range of whole numbers: ``int6`` for -32..31 and -31..31."""
    if (low, high) == (-1, 1):
        return "ternary"
    for bits in range(2, MOST_BITS + 1):
        if high == 2 ** (bits - 1) - 1 and low in (-high, -high - 1):
            return f"int{bits}"
        if low == 0 and high == 2**bits - 1:
            return f"int{bits}, unsigned"
    return ""


def _ranges(program: Program, settings: Settings, function: ir.Function, clamp: ir.Call) -> set[Range]:
    """The ranges that a clamp has under the values that the function is called with."""
    method = isinstance(clamp.func, ir.Attribute) and program.name(clamp.func.value) not in ("torch", "numpy")
    low, high = (argument(clamp, key, place - method) for key, place in (("min", 1), ("max", 2)))
    if low is None or high is None:
        return set()
    both = ir.Sequence(clamp.line, "tuple", [low, high])
    return {
        (int(least), int(most))
        for local in _choices(both, choices_of(program, settings, function))
        for least, most in [(settings.value(low, local), settings.value(high, local))]
        if isinstance(least, int | float) and isinstance(most, int | float)
    }


def choices_of(program: Program, settings: Settings, function: ir.Function, depth: int = DEEPEST_CALLER) -> Choices:
    """What the names of a function may hold, where literals, settings and the calls that run tell."""
    choices: Choices = {}
    for position, param in enumerate(function.params):
        choices[param.name] = _given(program, settings, function, param, position, depth)
    bound = [node for node in program.body(function) if isinstance(node, ir.Assign)]
    running = [node for node in bound if not program.around[node].dormant] or bound
    for node in sorted(running, key=lambda node: node.line):
        if (name := identifier(node.targets[0])) and node.value is not None:
            choices[name] = list(dict.fromkeys([*choices.get(name, []), *_values(settings, node.value, choices)]))
    return {name: values for name, values in choices.items() if values}


def _values(settings: Settings, node: ir.Expr, choices: Choices) -> list[object]:
    """The known values of an expression; both arms of a conditional that nothing decides."""
    if isinstance(node, ir.Conditional) and not known(settings.value(node.test)):
        return [*_values(settings, node.body, choices), *_values(settings, node.orelse, choices)]
    found = (settings.value(node, local) for local in _choices(node, choices))
    return list(dict.fromkeys(value for value in found if isinstance(value, int | float | str)))


def _choices(node: ir.Expr, choices: Choices) -> Iterator[Mapping[str, object]]:
    """Every way to choose the names of an expression."""
    names = dict.fromkeys(part.id for part in ir.nodes([node]) if isinstance(part, ir.Name) and choices.get(part.id))
    for chosen in islice(product(*(choices[name] for name in names)), MOST_CHOICES):
        yield dict(zip(names, chosen, strict=True))


def _given(
    program: Program, settings: Settings, function: ir.Function, param: ir.Parameter, position: int, depth: int
) -> list[object]:
    """The known values that a parameter is given by calls that run, and its default where one leaves it out."""
    owner = program.functions[function].owner
    values: list[object] = []
    for call in program.calls_of(function.name) if depth else ():
        node = argument(call, param.name, position - (owner is not None)) or param.default
        caller = program.around[call].function
        if node is not None:
            around = choices_of(program, settings, caller, depth - 1) if caller is not None and _names(node) else {}
            values += _values(settings, node, around)
    return list(dict.fromkeys(values))


def _names(node: ir.Expr) -> bool:
    return any(isinstance(part, ir.Name) for part in ir.nodes([node]))
