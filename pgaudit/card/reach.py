"""Which parts of a script run under the effective configuration, and what keeps the others from running.

The walk says which branches it took. It does not enter networks and optimisers; there, a test of settings is answered from
the settings, and any other leaves both branches. A function runs if code that runs names it: too many run rather than too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pgaudit.card.facts import Category, Fact, Parameter
from pgaudit.card.settings import Settings, identifier, known
from pgaudit.evidence.run import Run
from pgaudit.finding import Location
from pgaudit.program import ir

CALLED_BY_TORCH = frozenset({"forward", "backward", "step", "setup_context", "jvp", "vmap"})
"""Methods that a library calls."""
LONGEST_QUOTE = 60
"""Lines of more characters are named by their number alone."""
NEVER_NAMED = "nothing that runs calls it"


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What stands around a node."""

    module: str
    function: ir.Function | None = None
    owner: ir.Class | None = None
    """The class of the method."""
    loop: bool = False
    dormant: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One node with what stands around it."""

    node: object
    context: Context


class Program:
    """Every node of a run's modules once, those that run first."""

    def __init__(self, run: Run, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        self.parts: list[Part] = []
        self.classes: dict[str, ir.Class] = {}
        self.aliases: dict[str, str] = {}
        """Bound name to what was imported under it."""
        self.functions: dict[ir.Function, Context] = {}
        self._definitions: dict[str, list[tuple[ir.Function | ir.Class, Context]]] = {}
        self._rejected: list[tuple[list[object], Context]] = []
        self._pending: list[tuple[list[object], Context]] = []
        self._seen: set[object] = set()
        for name, module in run.modules.items():
            self._pending.append(([*module.body], Context(name)))
        self._drain()
        bound = {target for part in self.parts if isinstance(part.node, ir.Assign) for target in part.node.targets}
        used = (part.node for part in self.parts if part.node not in bound)
        self.read = frozenset(map(identifier, used)) - {""}
        """Names that code which runs reads."""
        while self._rejected:
            self._pending.append(self._rejected.pop(0))
            self._drain()
        for definitions in list(self._definitions.values()):
            for definition, context in definitions:
                self._enter(definition, Context(context.module, owner=context.owner, dormant=NEVER_NAMED))
        self._drain()
        self.around = {part.node: part.context for part in self.parts}
        """What stands around each node."""
        self._bodies: dict[ir.Function, list[ir.Node]] = {}
        for part in self.parts:
            if part.context.function is not None and isinstance(part.node, ir.Node):
                self._bodies.setdefault(part.context.function, []).append(part.node)
        self._calls: dict[str, list[ir.Call]] = {}
        self._users: dict[str, set[ir.Function | None]] = {}
        for part in self.parts:
            if part.context.dormant:
                continue
            if isinstance(part.node, ir.Call):
                self._calls.setdefault(identifier(part.node.func), []).append(part.node)
            if name := identifier(part.node):
                self._users.setdefault(name, set()).add(part.context.function)

    def calls(self) -> Iterator[tuple[ir.Call, str]]:
        """Every call with the full name of what is called: ``torch.nn.functional.linear``, ``x.square``."""
        return ((part.node, self.name(part.node.func)) for part in self.parts if isinstance(part.node, ir.Call))

    def body(self, function: ir.Function | None) -> list[ir.Node]:
        """The nodes of a function's own body."""
        return self._bodies.get(function, []) if function is not None else []

    def calls_of(self, name: str) -> list[ir.Call]:
        """The calls, in code that runs, of what has a name."""
        return self._calls.get(name, [])

    def users_of(self, name: str) -> set[ir.Function | None]:
        """The functions whose running code names something; ``None`` for the text of a module."""
        return self._users.get(name, set())

    def at(self, node: ir.Node) -> Location:
        """Where a node stands."""
        return self.run.at((self.around[node].module, node.line))

    def fact(self, category: Category, name: str, node: ir.Node, given: Iterable[Parameter | None] = ()) -> Fact:
        """A fact that a node shows, dormant as the node is."""
        known_ones = tuple(parameter for parameter in given if parameter is not None)
        return Fact(category, name, self.at(node), known_ones, self.around[node].dormant)

    def name(self, node: object) -> str:
        """The dotted name of an expression, with imported names written out; ``?`` for a part that is computed."""
        if isinstance(node, ir.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ir.Attribute):
            return f"{self.name(node.value)}.{node.attr}"
        return "?"

    def derives(self, owner: ir.Class | None, base: str) -> bool:
        """Does a class derive from one whose name ends in ``base``, by way of classes of the script?"""
        pending, seen = [owner], set[object]()
        while pending:
            cls = pending.pop()
            if cls is None or cls in seen:
                continue
            seen.add(cls)
            names = [identifier(part) for part in cls.bases]
            if base in names:
                return True
            pending += [self.classes.get(name) for name in names]
        return False

    # --- reaching --------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        while self._pending:
            block, context = self._pending.pop()
            for node in block:
                self._visit(node, context)

    def _visit(self, node: object, context: Context) -> None:
        if isinstance(node, list | tuple):
            self._block(list(node), context)
        elif isinstance(node, ir.Function) and node.name != "<lambda>":
            self._define(node, context)
            self._visit([*node.decorators, *(param.default for param in node.params)], context)
        elif isinstance(node, ir.Class):
            self._class(node, context)
        elif isinstance(node, ir.Node | ir.Argument | ir.Generator | ir.Handler):
            self._node(node, context)

    def _block(self, block: list[object], context: Context) -> None:
        for position, node in enumerate(block, 1):
            self._visit(node, context)
            if isinstance(node, ir.If) and (answer := self._answer(node, node.test)) is not None:
                taken = node.body if answer else node.orelse
                if taken and isinstance(taken[-1], ir.Return):
                    self._reject(block[position:], node.test, answer, context)
                    return

    def _node(self, node: ir.Node | ir.Argument | ir.Generator | ir.Handler, context: Context) -> None:
        self.parts.append(Part(node, context))
        if isinstance(node, ir.Import):
            self._import(node)
        if name := identifier(node):
            self._use(name, context)
        if isinstance(node, ir.If | ir.Conditional):
            self._branch(node, context)
            return
        inside = _replace(context, loop=True) if isinstance(node, ir.For | ir.While) else context
        for child in ir.children(node):
            self._visit(child, inside)

    def _branch(self, node: ir.If | ir.Conditional, context: Context) -> None:
        self._visit(node.test, context)
        answer = self._answer(node, node.test)
        for arm, chosen in ((node.body, True), (node.orelse, False)):
            block = arm if isinstance(arm, list) else [arm]
            if answer is None or answer is chosen:
                self._visit(block, context)
            else:
                self._reject([*block], node.test, answer, context)

    def _answer(self, node: ir.Node, test: ir.Expr) -> bool | None:
        """The only answer that a branch's test has in the run."""
        answers = self.run.walk.decisions.get(node, set())
        if len(answers) == 1 and not _asks_for_none(test):
            return next(iter(answers))
        value = self.settings.value(test)
        if known(value):
            return bool(value)
        return next(iter(answers)) if len(answers) == 1 else None

    def _reject(self, block: list[object], test: ir.Expr, answer: bool, context: Context) -> None:
        if block:
            decided = "; ".join(dict.fromkeys(map(str, self.settings.named_in(test))))
            reason = context.dormant or decided or self._told(context, test, answer)
            self._rejected.append((block, _replace(context, dormant=reason)))

    def _told(self, context: Context, test: ir.Expr, answer: bool) -> str:
        """A test and its answer in words; the line itself where it is short."""
        where = self.run.at((context.module, test.line))
        shown = f"`{where.text}`" if len(where.text) <= LONGEST_QUOTE else "the test"
        return f"{shown} at {Location(where.path, where.line)} is {'true' if answer else 'false'}"

    def _define(self, node: ir.Function | ir.Class, context: Context) -> None:
        self._definitions.setdefault(node.name, []).append((node, context))
        if isinstance(node, ir.Function):
            self.functions[node] = context
            torch = node.name.startswith("__") or node.name in CALLED_BY_TORCH
            if context.owner is not None and torch:
                self._enter(node, context)
        if node.name in self._seen:
            self._enter(node, context)

    def _class(self, node: ir.Class, context: Context) -> None:
        """A class body runs where it stands; its methods when they are named."""
        self.classes[node.name] = node
        self.parts.append(Part(node, context))
        self._define(node, context)
        self._visit([*node.bases, *node.decorators], context)

    def _use(self, name: str, context: Context) -> None:
        """A name was used: what is defined under it runs."""
        if not context.dormant:
            self._seen.add(name)
        for definition, defined in self._definitions.get(name, ()):
            self._enter(definition, _replace(defined, dormant=context.dormant))

    def _enter(self, node: ir.Function | ir.Class, context: Context) -> None:
        if node in self._seen:
            return
        self._seen.add(node)
        if isinstance(node, ir.Class):
            self._pending.append(([*node.body], _replace(context, owner=node)))
        else:
            self._pending.append(([node.body], _replace(context, function=node, loop=False)))

    def _import(self, node: ir.Import) -> None:
        if node.bound and not node.names:
            self.aliases[node.bound] = (
                node.module if "." not in node.module or node.bound != node.module.partition(".")[0] else node.bound
            )
        for bound, imported in node.names.items():
            self.aliases[bound] = f"{node.module}.{imported}"


def _asks_for_none(test: ir.Expr) -> bool:
    """``model.head is not None``: the walk, which does not enter networks, takes every attribute of one for there."""
    return isinstance(test, ir.Compare) and test.ops[0] in ("is", "is not") and isinstance(test.left, ir.Attribute)


def _replace(context: Context, **changes: object) -> Context:
    values = {name: getattr(context, name) for name in Context.__slots__}
    return Context(**{**values, **changes})
