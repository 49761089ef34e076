"""The network may see tokens that come after the one it predicts.

## What it flags
Attention without a causal mask, and recurrent layers that run in both directions, in a network whose predictions are the reported score.

## Why it is illegal
The input of a window holds every target but the last. A layer that mixes positions backwards hands each prediction the token that it is
about, and what is scored is copying.

## How it decides
By its calls: `scaled_dot_product_attention` or a flash attention with neither a mask, a window that ends at the position, nor `causal` set, or
set to False; `nn.LSTM`, `nn.GRU`, `nn.RNN` with `bidirectional=True`. It is a warning: which axis is time, whether the layer is on the way
to the score, and whether targets are hidden from it (a diffusion), only a run can tell. Keys and values made from another argument than
the queries, a memory, are a fact.

## Known limits
Wrong triangles, convolutions padded on both sides, means over windows, states that are carried backwards, kernels of one's own. A layer that
nothing uses is reported as well.

## How to fix
`is_causal=True`, or a mask that hides later positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN
from pgaudit.finding import Finding, Severity, Step
from pgaudit.program import ir
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="noncausal-model",
    leads_to="illegal",
    severity=Severity.WARNING,
    conditions=("C1",),
    rulings=(
        Ruling(
            Strength.FIELD_GUIDE,
            "NoesisGenesis",
            "2026-03-28",
            "issue #1017",
            "C1: a probability depends on the artifact and on earlier tokens only.",
        ),
    ),
)

ATTENTION = frozenset(
    {
        "scaled_dot_product_attention",
        "flash_attn_func",
        "flash_attn_3_func",
        "flash_attn_varlen_func",
        "flash_attn_qkvpacked_func",
    }
)
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
MASKS = frozenset({"attn_mask", "mask", "block_mask"})
CAUSAL = ("is_causal", "causal")
MASK_POSITION = 3
SDPA_CAUSAL = 5
"""`scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal)`."""
FLASH_CAUSAL = 5
"""`flash_attn_func(q, k, v, dropout_p, softmax_scale, causal)`."""
POINTWISE = frozenset({"rms_norm", "layer_norm", "normalize"})
VIEWS = frozenset(
    {
        "view",
        "reshape",
        "transpose",
        "permute",
        "contiguous",
        "unflatten",
        "chunk",
        "split",
        "unbind",
        "to",
        "float",
        "bfloat16",
        "type_as",
    }
)
"""What keeps every position where it is (a head dimension is split off, axes change places)."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look through the networks of the script that printed the score."""
    run = evidence.run
    if run is None or run.score is None:
        return
    for function, call, what in _open_calls(run.nodes):
        place = run.at((MAIN, call.line))
        sources = _sources(function, call)
        memory = len(sources) > 1 and None not in sources
        yield RULE.finding(
            f"{what}: only a run can tell whether a target is among what it sees",
            place,
            steps=(Step(place, what), run.step(run.score, "the score is printed here")),
            severity=Severity.NOTE if memory else Severity.WARNING,
        )


def _open_calls(nodes: tuple[object, ...]) -> Iterator[tuple[ir.Function, ir.Call, str]]:
    """Calls that let positions see later ones, with the function around them and a description."""
    classes = [node for node in nodes if isinstance(node, ir.Class)]
    used = frozenset(_name(part) for owner in classes for part in ir.nodes(owner.body) if isinstance(part, ir.Name))
    methods = {part for owner in classes for part in owner.body if isinstance(part, ir.Function)}
    for function in (node for node in nodes if isinstance(node, ir.Function)):
        if function not in methods and function.name not in used:
            continue  # no network calls it
        for call in (part for part in ir.nodes(function.body) if isinstance(part, ir.Call)):
            if _name(call.func) not in ATTENTION | RECURRENT or any(argument.star for argument in call.args):
                continue
            named = {argument.keyword: argument.value for argument in call.args if argument.keyword}
            if _name(call.func) in ATTENTION and not _masked(call, named):
                yield function, call, "attention without a causal mask"
            if _name(call.func) in RECURRENT and _is(named.get("bidirectional"), True):
                yield function, call, "a recurrent layer in both directions"


def _masked(call: ir.Call, named: Mapping[str, ir.Expr]) -> bool:
    """Is there a mask, a window that ends at the position, or a causal argument that is not False?"""
    flash = _name(call.func) != "scaled_dot_product_attention"
    placed = [argument.value for argument in call.args if argument.keyword is None]
    masks = [named[name] for name in MASKS if name in named]
    causal = [named[name] for name in CAUSAL if name in named]
    if flash:
        causal += placed[FLASH_CAUSAL : FLASH_CAUSAL + 1]
        window = named.get("window_size")
        ends = window.items[-1] if isinstance(window, ir.Sequence) and window.items else window
        if ends is not None and not (isinstance(ends, ir.Unary) or (isinstance(ends, ir.Const) and ends.value != 0)):
            return True
    else:
        masks += placed[MASK_POSITION : MASK_POSITION + 1]
        causal += placed[SDPA_CAUSAL : SDPA_CAUSAL + 1]
    return any(not _is(mask, None) for mask in masks) or any(not _is(value, False) for value in causal)


def _sources(function: ir.Function, call: ir.Call) -> set[str | None]:
    """The arguments of the function whose projections queries, keys and values are views of; ``None`` for anything else."""
    assigned = [part for part in ir.nodes(function.body) if isinstance(part, ir.Assign) and part.line < call.line]
    values = {
        target.id: node.value
        for node in sorted(assigned, key=lambda node: node.line)
        if node.value is not None
        for target in _targets(node)
    }
    inputs = {param.name for param in function.params[1:]}
    return {_source(argument.value, values, inputs) for argument in call.args if argument.keyword is None}


def _targets(node: ir.Assign) -> Iterator[ir.Name]:
    """The names that an assignment binds, those in a tuple among them."""
    for target in node.targets:
        for part in ir.nodes([target]):
            if isinstance(part, ir.Name):
                yield part


def _source(value: ir.Expr, values: Mapping[str, ir.Expr], inputs: set[str], depth: int = 12) -> str | None:
    """The argument that a value is a view of a projection of; ``None`` where anything else happens on the way."""
    if depth == 0:
        return None
    if isinstance(value, ir.Name):
        if value.id in inputs and value.id not in values:
            return value.id
        return _source(values[value.id], values, inputs, depth - 1) if value.id in values else None
    if isinstance(value, ir.Subscript):
        return _source(value.value, values, inputs, depth - 1)
    if isinstance(value, ir.Call) and isinstance(value.func, ir.Attribute):
        of_self = isinstance(value.func.value, ir.Name) and value.func.value.id == "self"
        if of_self and len(value.args) == 1:
            return _source(value.args[0].value, values, inputs, depth - 1)
        if value.func.attr in VIEWS:
            return _source(value.func.value, values, inputs, depth - 1)
    if isinstance(value, ir.Call) and _name(value.func) in POINTWISE and value.args:
        return _source(value.args[0].value, values, inputs, depth - 1)
    return None


def _name(func: ir.Expr) -> str:
    return func.id if isinstance(func, ir.Name) else func.attr if isinstance(func, ir.Attribute) else ""


def _is(value: ir.Expr | None, wanted: bool | None) -> bool:
    return isinstance(value, ir.Const) and value.value is wanted
