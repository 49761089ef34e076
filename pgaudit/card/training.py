"""How the weights are found: optimisers, averages, schedules, regularisation."""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.card.facts import Category, Fact
from pgaudit.card.knobs import parameters
from pgaudit.card.reach import Program
from pgaudit.card.settings import Settings, identifier
from pgaudit.card.shapes import argument, same, value_of
from pgaudit.program import ir

GIVEN = ("lr", "betas", "momentum", "eps", "weight_decay", "nesterov")
MUON = (
    "lr=MATRIX_LR|MUON_LR,momentum=MUON_MOMENTUM,iterations=MUON_BACKEND_STEPS|MUON_STEPS,beta2=MUON_BETA2,"
    "weight decay=MUON_WD|MUON_WEIGHT_DECAY|WEIGHT_DECAY,row normalisation=MUON_ROW_NORMALIZE"
)
ADAM = "lr of embeddings=TIED_EMBED_LR|EMBED_LR,lr of scalars=SCALAR_LR"
TRANSPOSES = frozenset({"T", "mT", "H", "mH"})
DROPOUTS = frozenset({"Dropout", "dropout"})


def facts(program: Program, settings: Settings, adapting: frozenset[ir.Function]) -> Iterator[Fact]:
    """What training does; optimisers made in ``adapting`` functions belong to test-time training."""
    orthogonalising = {function for function in program.functions if _is_newton_schulz(function)}
    for call, name in program.calls():
        if name.startswith("torch.optim.lr_scheduler."):
            yield program.fact(Category.SCHEDULE, name.rpartition(".")[2], call)
        elif name == "torch.optim.swa_utils.AveragedModel":
            yield program.fact(Category.AVERAGING, "averaged copy of the network", call)
        elif name.startswith("torch.optim.") and name.rpartition(".")[2][:1].isupper():
            adapts = program.around[call].function in adapting
            yield _optimizer(program, settings, call, name.rpartition(".")[2], adapts=adapts)
        elif isinstance(call.func, ir.Name) and program.derives(program.classes.get(call.func.id), "Optimizer"):
            yield _own_optimizer(program, settings, call, orthogonalising)
        yield from _average(program, settings, call)
        yield from _regulariser(program, settings, call, name)
        if identifier(call.func) == "cos" and name.startswith(("math.", "numpy.")):
            category = Category.TEST_TIME if program.around[call].function in adapting else Category.SCHEDULE
            yield program.fact(category, "cosine decay", call)
        if name == "torch.compile":
            yield program.fact(Category.OTHER, "torch.compile", call)


def _optimizer(program: Program, settings: Settings, call: ir.Call, name: str, *, adapts: bool) -> Fact:
    """An optimiser of torch, with what it is given by name."""
    given = [value_of(settings, key.replace("_", " "), argument(call, key)) for key in GIVEN]
    rates = parameters(settings, ADAM) if name.startswith("Adam") and not adapts else ()
    return program.fact(Category.TEST_TIME if adapts else Category.OPTIMIZER, name, call, (*given, *rates))


def _own_optimizer(program: Program, settings: Settings, call: ir.Call, orthogonalising: set[ir.Function]) -> Fact:
    """An optimiser that the script defines: Muon is what it does, not what it is called."""
    name = identifier(call.func)
    names = {identifier(node) for node in ir.nodes(program.classes[name].body)}
    is_muon = any(
        function.name in names or program.functions[function].owner is program.classes[name]
        for function in orthogonalising
    )
    shown = "Muon" if is_muon else f"optimiser of its own ({name})"
    return program.fact(Category.OPTIMIZER, shown, call, parameters(settings, MUON) if is_muon else ())


def _is_newton_schulz(function: ir.Function) -> bool:
    """Does a loop multiply a matrix with its own transpose, over and over?"""
    loops = (part for part in ir.nodes(function.body) if isinstance(part, ir.For))
    return any(
        isinstance(part, ir.Binary) and part.op == "@" and _is_gram(part.left, part.right)
        for loop in loops
        for part in ir.nodes(loop.body)
    )


def _is_gram(left: ir.Expr, right: ir.Expr) -> bool:
    for one, other in ((left, right), (right, left)):
        turned = other.func if isinstance(other, ir.Call) else other
        if isinstance(turned, ir.Attribute) and same(turned.value, one):
            return turned.attr in TRANSPOSES or turned.attr in ("transpose", "t")
    return False


def _average(program: Program, settings: Settings, call: ir.Call) -> Iterator[Fact]:
    """``average.mul_(d).add_(weights, alpha=1 - d)`` and ``average.lerp_(weights, 1 - d)``, outside optimisers."""
    if program.derives(program.around[call].owner, "Optimizer"):
        return
    decay: ir.Expr | None = None
    if identifier(call.func) == "add_" and isinstance(call.func, ir.Attribute):
        inner, kept = call.func.value, _complement(argument(call, "alpha"))
        scaled = (
            argument(inner, "other", 0) if isinstance(inner, ir.Call) and identifier(inner.func) == "mul_" else None
        )
        decay = kept if kept is not None and same(kept, scaled) else None
    elif identifier(call.func) == "lerp_":
        decay = _complement(argument(call, "weight", 1))
    if decay is not None:
        value = value_of(settings, "decay", decay)
        given = (value,) if value else parameters(settings, "decay=EMA_DECAY")
        yield program.fact(Category.AVERAGING, "EMA", call, given)


def _complement(node: ir.Expr | None) -> ir.Expr | None:
    """The ``d`` of ``1 - d``."""
    is_one = isinstance(node, ir.Binary) and node.op == "-" and isinstance(node.left, ir.Const) and node.left.value == 1
    return node.right if is_one and isinstance(node, ir.Binary) else None


def _regulariser(program: Program, settings: Settings, call: ir.Call, name: str) -> Iterator[Fact]:
    last = name.rpartition(".")[2]
    if last in DROPOUTS and name.startswith("torch.nn"):
        rate = value_of(settings, "rate", argument(call, "p", 0 if last == "Dropout" else 1))
        yield program.fact(Category.REGULARISATION, "dropout", call, (rate,))
    smoothing = value_of(settings, "amount", argument(call, "label_smoothing"))
    if smoothing and smoothing.value not in ("0", "0.0"):
        yield program.fact(Category.REGULARISATION, "label smoothing", call, (smoothing,))
