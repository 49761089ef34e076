"""The network: what its layers compute, and how it starts."""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.card.facts import Category, Fact, Parameter
from pgaudit.card.knobs import number, parameters
from pgaudit.card.reach import Program
from pgaudit.card.settings import Settings, identifier
from pgaudit.card.shapes import argument, calls_in, same, value_of
from pgaudit.program import ir

LAYERS = "NUM_LAYERS|N_LAYERS|N_LAYER|LAYERS|DEPTH"
WIDTH = "MODEL_DIM|D_MODEL|N_EMBD|WIDTH|HIDDEN_SIZE"
HEADS = "NUM_HEADS|N_HEADS|N_HEAD|HEADS"
KV_HEADS = "NUM_KV_HEADS|N_KV_HEADS|KV_HEADS"
DIMENSIONS = f"layers={LAYERS},width={WIDTH},heads={HEADS},KV heads={KV_HEADS},MLP factor=MLP_MULT,MLP width=MLP_HIDDEN,vocabulary=VOCAB_SIZE"
ACTIVATIONS = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "gelu": "GELU", "silu": "SiLU", "softplus": "softplus"}
NORMS = frozenset({"rms_norm", "RMSNorm", "layer_norm", "LayerNorm", "normalize", "norm"})
LAYER_CALLS = {
    "torch.nn.functional.rms_norm": "RMSNorm",
    "torch.nn.RMSNorm": "RMSNorm",
    "torch.nn.LayerNorm": "LayerNorm",
    "torch.nn.functional.layer_norm": "LayerNorm",
    "torch.nn.Conv1d": "convolution",
    "torch.nn.functional.conv1d": "convolution",
    "torch.nn.LSTM": "LSTM",
    "torch.nn.GRU": "GRU",
    "torch.bitwise_xor": "bigram hash embedding",
}
ATTENTION = {
    "scaled_dot_product_attention": "scaled-dot-product attention",
    "flash_attn_func": "FlashAttention",
    "flash_attn_varlen_func": "FlashAttention over documents",
    "flex_attention": "FlexAttention",
    "MultiheadAttention": "multi-head attention",
}
INITIALISERS = {
    "orthogonal_": "orthogonal",
    "normal_": "normal",
    "trunc_normal_": "truncated normal",
    "zeros_": "zeros",
    "xavier_uniform_": "Xavier uniform",
    "kaiming_uniform_": "Kaiming uniform",
    "uniform_": "uniform",
}


def facts(program: Program, settings: Settings) -> Iterator[Fact]:
    """What the network is made of."""
    yield from _dimensions(settings)
    embeddings = _embeddings(program)
    for call, name in program.calls():
        yield from _layer(program, settings, call, name)
        yield from _initialiser(program, settings, call, name)
        if name.endswith("functional.linear") and _is_tied(argument(call, "weight", 1), embeddings):
            yield _fact("tied embeddings", program, call)
    for part in program.parts:
        if isinstance(part.node, ir.Binary):
            yield from _soft_cap(program, settings, part.node)
        if isinstance(part.node, ir.Assign) and len(part.node.targets) == 1:
            target, value = part.node.targets[0], part.node.value
            if identifier(target) == "weight" and _is_tied(value, embeddings):
                yield _fact("tied embeddings", program, part.node)
    for function, context in program.functions.items():
        yield from _function(program, settings, program.body(function), in_class=context.owner is not None)


def _fact(name: str, program: Program, node: ir.Node, *given: Parameter | None) -> Fact:
    return program.fact(Category.ARCHITECTURE, name, node, given)


def _dimensions(settings: Settings) -> Iterator[Fact]:
    for names in (LAYERS, WIDTH, "VOCAB_SIZE"):
        if setting := settings.get(*names.split("|")):
            yield Fact(Category.ARCHITECTURE, "dimensions", setting.place, parameters(settings, DIMENSIONS))
            break
    few, many = settings.get(*KV_HEADS.split("|")), settings.get(*HEADS.split("|"))
    groups, heads = number(few), number(many)
    if few and groups and heads and groups < heads:
        given = parameters(settings, f"heads={HEADS},KV heads={KV_HEADS}")
        yield Fact(Category.ARCHITECTURE, "grouped-query attention", few.place, given)


def _embeddings(program: Program) -> set[str]:
    """Names that hold an embedding table."""
    return {
        identifier(part.node.targets[0])
        for part in program.parts
        if isinstance(part.node, ir.Assign)
        and isinstance(part.node.value, ir.Call)
        and identifier(part.node.value.func) == "Embedding"
    } - {""}


def _is_tied(weight: ir.Expr | None, embeddings: set[str]) -> bool:
    """Is it the table of an embedding (converted, maybe)?"""
    return any(
        isinstance(part, ir.Attribute) and part.attr == "weight" and identifier(part.value) in embeddings
        for part in ir.nodes([weight])
    )


def _layer(program: Program, settings: Settings, call: ir.Call, name: str) -> Iterator[Fact]:
    if found := LAYER_CALLS.get(name):
        yield _fact(found, program, call)
    last = name.rpartition(".")[2]
    if last in ATTENTION and last != name:
        causal = value_of(settings, "causal", argument(call, "is_causal") or argument(call, "causal"))
        window = value_of(settings, "window", argument(call, "window_size"))
        yield _fact(ATTENTION[last], program, call, causal, window)


def _initialiser(program: Program, settings: Settings, call: ir.Call, name: str) -> Iterator[Fact]:
    found = INITIALISERS.get(name.rpartition(".")[2])
    if found and name.startswith("torch.nn.init."):
        given = [value_of(settings, key, argument(call, key)) for key in ("std", "gain")]
        yield program.fact(Category.INITIALISATION, found, call, given)


def _soft_cap(program: Program, settings: Settings, node: ir.Binary) -> Iterator[Fact]:
    """``cap * tanh(x / cap)``."""
    for cap, other in ((node.left, node.right), (node.right, node.left)):
        if node.op == "*" and isinstance(other, ir.Call) and identifier(other.func) == "tanh":
            inside = (
                other.args[0].value
                if other.args
                else other.func.value
                if isinstance(other.func, ir.Attribute)
                else None
            )
            if isinstance(inside, ir.Binary) and inside.op == "/" and same(inside.right, cap):
                yield _fact("logit soft-cap", program, node, value_of(settings, "cap", cap))
                return


def _function(program: Program, settings: Settings, inside: list[ir.Node], *, in_class: bool) -> Iterator[Fact]:
    """What shows only in a whole function: activations and what is done to them, attention, skips, positions."""
    names = {identifier(part.func): part for part in inside if isinstance(part, ir.Call)}
    if in_class:
        yield from _activation(program, settings, inside)
        yield from _skips(program, inside)
        yield from _shifted(program, settings, inside)
    if "cos" in names and "sin" in names and ("outer" in names or "inv_freq" in names or "einsum" in names):
        yield from _rotary(program, settings, names["cos"])
    kernel = next((call for name, call in names.items() if name in ATTENTION or name.startswith("flash_attn")), None)
    if kernel is not None:
        yield from _query_norm(program, inside, kernel)


def _activation(program: Program, settings: Settings, inside: list[ir.Node]) -> Iterator[Fact]:
    bound: dict[str, ir.Call] = {}
    for node in inside:
        if (
            isinstance(node, ir.Assign)
            and isinstance(node.value, ir.Call)
            and identifier(node.value.func) in ACTIVATIONS
        ):
            bound[identifier(node.targets[0])] = node.value
    squared = {call for node in inside if (call := _squared(node, bound)) is not None}
    gating = {call for node in inside if isinstance(node, ir.Binary) and node.op == "*" for call in _direct(node)}
    for node in inside:
        kind = identifier(node.func) if isinstance(node, ir.Call) else ""
        if isinstance(node, ir.Call) and kind in ACTIVATIONS:
            name = "SwiGLU" if kind == "silu" and node in gating else ACTIVATIONS[kind]
            slope = argument(node, "negative_slope", 1) if kind == "leaky_relu" else None
            name += " squared" if node in squared else ""
            yield _fact(name, program, node, value_of(settings, "slope", slope))


def _squared(node: object, bound: dict[str, ir.Call]) -> ir.Call | None:
    """The activation that is squared here: ``relu(x).square()``, ``relu(x) ** 2``, or by way of a name."""
    base: object = None
    if isinstance(node, ir.Call) and identifier(node.func) == "square":
        base = node.func.value if isinstance(node.func, ir.Attribute) and not node.args else node.args[0].value
    elif isinstance(node, ir.Call) and identifier(node.func) == "pow" and isinstance(node.func, ir.Attribute):
        base = node.func.value
    elif isinstance(node, ir.Binary) and (
        (node.op == "**" and isinstance(node.right, ir.Const) and node.right.value == 2)
        or (node.op == "*" and same(node.left, node.right))
    ):
        base = node.left
    if isinstance(base, ir.Call) and identifier(base.func) in ACTIVATIONS:
        return base
    return bound.get(base.id) if isinstance(base, ir.Name) else None


def _direct(node: ir.Binary) -> list[ir.Call]:
    return [side for side in (node.left, node.right) if isinstance(side, ir.Call)]


def _skips(program: Program, inside: list[ir.Node]) -> Iterator[Fact]:
    """One loop puts activations on a stack, another takes them off."""
    loops = [node for node in inside if isinstance(node, ir.For)]
    pushed = {_owner(call) for loop in loops for call in calls_in(loop, "append")}
    for loop in loops:
        for call in calls_in(loop, "pop"):
            if _owner(call) in pushed - {""}:
                yield _fact("U-Net skips", program, call)
                return


def _owner(call: ir.Call) -> str:
    return identifier(call.func.value) if isinstance(call.func, ir.Attribute) else ""


def _shifted(program: Program, settings: Settings, inside: list[ir.Node]) -> Iterator[Fact]:
    """Activations are joined with themselves, one position later: ``cat([zeros, x[:, :-1]])``."""
    for node in inside:
        if isinstance(node, ir.Call) and identifier(node.func) in ("cat", "pad"):
            for part in ir.nodes([*node.args[:1]]):
                if isinstance(part, ir.Subscript) and _drops_last(settings, part.index):
                    yield _fact("activations shifted by one token", program, node)
                    return


def _drops_last(settings: Settings, index: ir.Expr) -> bool:
    """``[:, :-1]``."""
    last = index.items[1] if isinstance(index, ir.Sequence) and len(index.items) > 1 else None
    return isinstance(last, ir.Slice) and last.lower is None and settings.value(last.upper) == -1


def _rotary(program: Program, settings: Settings, call: ir.Call) -> Iterator[Fact]:
    width, heads = (number(settings.get(*names.split("|"))) for names in (WIDTH, HEADS))
    turned = settings.get("ROPE_DIMS", "PARTIAL_ROPE_DIMS")
    part = number(turned)
    partial = bool(part and width and heads and 0 < part < width / heads)
    wanted = "dimensions=ROPE_DIMS|PARTIAL_ROPE_DIMS,base=ROPE_BASE" if partial else "base=ROPE_BASE"
    yield _fact("partial RoPE" if partial else "RoPE", program, call, *parameters(settings, wanted))


def _query_norm(program: Program, inside: list[ir.Node], kernel: ir.Call) -> Iterator[Fact]:
    """Queries and keys are normalised in the function that attends."""
    attended = {part.id for given in kernel.args[:2] for part in ir.nodes([given.value]) if isinstance(part, ir.Name)}
    normalised = {
        identifier(node.targets[0]): node
        for node in inside
        if isinstance(node, ir.Assign) and any(True for _ in calls_in(node.value, *NORMS))
    }
    found = [normalised[name] for name in attended if name in normalised]
    if len(found) > 1:
        yield _fact("QK norm", program, min(found, key=lambda node: node.line))
