"""Bodies of statements with the lines they stand on and the names they use: enough to move a few of them about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

GRADIENTS = "<gradients>"
"""What a backward pass leaves for the step, without a name in the script."""


@dataclass(frozen=True)
class Statement:
    """One statement of a body, on whole lines."""

    node: cst.BaseStatement
    first: int
    """1-based; the first decorator's line where there is one."""
    last: int

    @property
    def lines(self) -> range:
        """The numbers of its lines."""
        return range(self.first, self.last + 1)

    @cached_property
    def names(self) -> _Names:
        """What the statement reads and binds."""
        names = _Names()
        self.node.visit(names)
        return names


Body = Sequence[Statement]


def bodies(module: cst.Module) -> Iterator[Body]:
    """Every body of the module, outer ones first."""
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    positions = wrapper.resolve(PositionProvider)

    def body(node: cst.Module | cst.IndentedBlock) -> list[Statement]:
        found = []
        for statement in node.body:
            assert isinstance(statement, cst.BaseStatement)
            decorators = getattr(statement, "decorators", ())
            start = positions[decorators[0] if decorators else statement].start.line
            found.append(Statement(statement, start, positions[statement].end.line))
        return found

    pending: list[cst.CSTNode] = [wrapper.module]
    while pending:
        node = pending.pop(0)
        if isinstance(node, cst.Module | cst.IndentedBlock):
            yield body(node)
        if not isinstance(node, cst.SimpleStatementLine | cst.BaseExpression):
            pending += node.children


def needed(body: Body, wanted: Collection[int]) -> frozenset[int]:
    """The statements of ``wanted``, and those before them that bind what they read, step by step."""
    found = set(wanted)
    reads = {name for index in found for name in body[index].names.reads}
    for index in range(max(found) - 1, -1, -1):
        if index in found or body[index].names.writes & reads:
            found.add(index)
            reads |= body[index].names.reads
    return frozenset(found)


class _Names(cst.CSTVisitor):
    """Names and ``self.x`` chains in the order of execution: what is read from outside, and what is bound.

    What is bound in part (``x[i] = …``, ``x += …``) is read as well, and so is what only one branch binds before it is read.
    Loops are taken for run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self._bound: set[str] = set()
        """What every way to here has bound."""
        self._local: set[str] = set()

    def visit_Name(self, node: cst.Name) -> None:
        self._read(node.value)

    def visit_Call(self, node: cst.Call) -> None:
        method = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
        if method in ("backward", "zero_grad"):
            self._write(GRADIENTS)
        elif method == "step":
            self._read(GRADIENTS)

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        self._read(_chain(node))
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:
        node.value.visit(self)
        return False

    def visit_Annotation(self, node: cst.Annotation) -> bool:
        return False

    def visit_Assign(self, node: cst.Assign) -> bool:
        node.value.visit(self)
        for target in node.targets:
            self._bind(target.target)
        return False

    def visit_AnnAssign(self, node: cst.AnnAssign) -> bool:
        if node.value:
            node.value.visit(self)
            self._bind(node.target)
        return False

    def visit_AugAssign(self, node: cst.AugAssign) -> bool:
        node.value.visit(self)
        node.target.visit(self)
        self._bind(node.target)
        return False

    def visit_NamedExpr(self, node: cst.NamedExpr) -> bool:
        node.value.visit(self)
        self._bind(node.target)
        return False

    def visit_If(self, node: cst.If) -> bool:
        node.test.visit(self)
        before = set(self._bound)
        node.body.visit(self)
        after, self._bound = self._bound, before
        if node.orelse:
            node.orelse.visit(self)
        self._bound &= after
        return False

    def visit_For(self, node: cst.For) -> bool:
        node.iter.visit(self)
        self._bind(node.target)
        for part in (node.body, node.orelse):
            if part:
                part.visit(self)
        return False

    def visit_AsName(self, node: cst.AsName) -> bool:
        self._bind(node.name)
        return False

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        self._write(node.name.value)
        self._local |= {each.name.value for each in (*node.params.posonly_params, *node.params.params)}
        self._local |= {each.name.value for each in node.params.kwonly_params}
        node.body.visit(self)
        return False

    def visit_Lambda(self, node: cst.Lambda) -> None:
        self._local |= {each.name.value for each in node.params.params}

    def visit_ListComp(self, node: cst.ListComp) -> bool:
        return self._comprehension(node.for_in, node.elt)

    def visit_SetComp(self, node: cst.SetComp) -> bool:
        return self._comprehension(node.for_in, node.elt)

    def visit_GeneratorExp(self, node: cst.GeneratorExp) -> bool:
        return self._comprehension(node.for_in, node.elt)

    def visit_DictComp(self, node: cst.DictComp) -> bool:
        return self._comprehension(node.for_in, node.key, node.value)

    def _comprehension(self, loop: cst.CompFor, *results: cst.BaseExpression) -> bool:
        loop.iter.visit(self)
        self._local |= {each.value for each in _plain_names(loop.target)}
        for test in loop.ifs:
            test.visit(self)
        if loop.inner_for_in:
            return self._comprehension(loop.inner_for_in, *results)
        for result in results:
            result.visit(self)
        return False

    def _read(self, chain: str) -> None:
        if chain and chain not in self._bound and chain not in self._local:
            self.reads.add(chain)

    def _bind(self, node: cst.BaseExpression) -> None:
        if isinstance(node, cst.Tuple | cst.List):
            for element in node.elements:
                self._bind(element.value)
        elif isinstance(node, cst.Subscript):
            node.visit(self)
            self._bind(node.value)
        elif chain := _chain(node):
            self._write(chain)

    def _write(self, name: str) -> None:
        self.writes.add(name)
        self._bound.add(name)


def _plain_names(node: cst.BaseExpression) -> list[cst.Name]:
    if isinstance(node, cst.Tuple | cst.List):
        return [name for element in node.elements for name in _plain_names(element.value)]
    return [node] if isinstance(node, cst.Name) else []


def _chain(node: cst.BaseExpression) -> str:
    """``a.b.c`` of names only; empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute) and (front := _chain(node.value)):
        return f"{front}.{node.attr.value}"
    return ""
