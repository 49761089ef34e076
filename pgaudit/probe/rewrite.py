# ruff: noqa: N802, ARG002 -- the names and arguments of libcst's visitors
"""The submission's source with what the probe needs: devices of this machine, sizes that can be shrunk, sums that are seen.

Nothing of the arithmetic changes: a rewritten reduction calls the original one and hands its operand to the recorder.
"""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider

from pgaudit.probe.fstrings import joined
from pgaudit.probe.shrink import rule_for
from pgaudit.program.recursion import deep_recursion
from pgaudit.source.parse import parse, without_validation

PROBE = "__probe__"
"""The name that rewritten code calls; ``inside.recorder`` stands behind it."""
REDUCTIONS = frozenset({"sum", "mean", "item", "nansum"})
"""Methods and functions whose operand may be a vector of scores."""
LOSSES = frozenset({"cross_entropy", "nll_loss"})
COMPUTED = frozenset({"grad_accum_steps", "grad_accumulation_steps", "accum_steps"})
"""Sizes that are computed (``8 // world_size``) and shrunk all the same."""
DEVICES = {"cuda": "cpu", "nccl": "gloo"}
_NO_SCORE = (cst.Integer, cst.BaseString, cst.List, cst.Tuple)
LONGEST = 2_000_000
"""Characters of source that are rewritten."""
LONGEST_NAME = 80
"""Characters by which what is added to is known."""


class Unreadable(Exception):
    """The source has no syntax tree, or is longer than anything that is rewritten."""


def rewrite(text: str, *, sums: bool = True) -> str:
    """The source of one module for the probe, with its sums seen or as they are. Raises ``Unreadable`` with the reason."""
    if len(text) > LONGEST:
        raise Unreadable(f"longer than {LONGEST:,} characters")
    parsed = parse(text)
    if parsed.module is None:
        assert parsed.problem is not None
        raise Unreadable(f"line {parsed.problem.line}: {parsed.problem.message}")
    with without_validation(), deep_recursion():
        return MetadataWrapper(parsed.module, unsafe_skip_copy=True).visit(_Rewriter(sums)).code


class _Rewriter(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, sums: bool) -> None:
        super().__init__()
        self.sums = sums

    # Devices

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        value = original_node.raw_value
        kind, _, index = value.partition(":")
        if kind not in DEVICES or "b" in original_node.prefix:
            return updated_node
        replaced = f"{DEVICES[kind]}:{index}" if index else DEVICES[kind]
        return updated_node.with_changes(
            value=f"{original_node.prefix}{original_node.quote}{replaced}{original_node.quote}"
        )

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        if original_node.value == "cuda:":
            return updated_node.with_changes(value="cpu:")
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        if original_node.attr.value == "is_cuda":
            return updated_node.with_changes(attr=cst.Name("is_cpu"))
        return updated_node

    # Newer grammar

    def leave_FormattedString(
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.BaseExpression:
        return joined(updated_node)

    def leave_ConcatenatedString(
        self, original_node: cst.ConcatenatedString, updated_node: cst.ConcatenatedString
    ) -> cst.BaseExpression:
        """Adjacent literals, of which one is a call now."""
        left, right = updated_node.left, updated_node.right
        if not any(isinstance(part, (cst.Call, cst.BinaryOperation)) for part in (left, right)):
            return updated_node
        return cst.BinaryOperation(left, cst.Add(), right, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])

    # Sums

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        if m.matches(original_node.func, m.Attribute(attr=m.Name("add_argument"))):
            return _argument(updated_node)
        if len(updated_node.args) > 1 and (named := _constant(updated_node.args[0].value)):
            default = _sized(named, updated_node.args[1].value)
            updated_node = updated_node.with_changes(
                args=[updated_node.args[0], updated_node.args[1].with_changes(value=default), *updated_node.args[2:]]
            )
        if not self.sums:
            return updated_node
        name = _called(original_node)
        if name in LOSSES:
            return _probe("loss", self._line(original_node), updated_node.func, *updated_node.args)
        if name == "add_" and len(updated_node.args) == 1 and isinstance(original_node.func, cst.Attribute):
            seen = self._added(original_node, original_node.func.value, updated_node.args[0].value)
            return updated_node.with_changes(args=[updated_node.args[0].with_changes(value=seen)])
        if name in REDUCTIONS and isinstance(updated_node.func, cst.Attribute):
            func = updated_node.func
            return _probe("reduce", self._line(original_node), func.value, _string(name), *updated_node.args)
        return updated_node

    def leave_AugAssign(self, original_node: cst.AugAssign, updated_node: cst.AugAssign) -> cst.AugAssign:
        counts = isinstance(original_node.value, _NO_SCORE)
        if not self.sums or counts or not isinstance(original_node.operator, cst.AddAssign):
            return updated_node
        into = original_node.target
        return updated_node.with_changes(value=self._added(original_node, into, updated_node.value))

    def _added(self, node: cst.CSTNode, into: cst.BaseExpression, value: cst.BaseExpression) -> cst.BaseExpression:
        return _probe("add", self._line(node), _string(_code(into)), value)

    # Sizes

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        target = original_node.targets[0].target
        total = original_node.value
        if self.sums and isinstance(total, cst.BinaryOperation) and isinstance(total.operator, cst.Add):
            if total.left.deep_equals(target) and isinstance(updated_node.value, cst.BinaryOperation):
                seen = self._added(original_node, target, updated_node.value.right)
                return updated_node.with_changes(value=updated_node.value.with_changes(right=seen))
            return updated_node
        name = (
            target.value
            if isinstance(target, cst.Name)
            else target.attr.value
            if isinstance(target, cst.Attribute)
            else ""
        )
        if name in COMPUTED:
            return updated_node.with_changes(value=_call(f"{PROBE}.size", _string(name), updated_node.value))
        return updated_node.with_changes(value=_sized(name, updated_node.value)) if name else updated_node

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        target = original_node.target
        if not isinstance(target, cst.Name) or updated_node.value is None:
            return updated_node
        return updated_node.with_changes(value=_sized(target.value, updated_node.value))

    def leave_Param(self, original_node: cst.Param, updated_node: cst.Param) -> cst.Param:
        if updated_node.default is None:
            return updated_node
        return updated_node.with_changes(default=_sized(original_node.name.value, updated_node.default))

    def leave_DictElement(self, original_node: cst.DictElement, updated_node: cst.DictElement) -> cst.DictElement:
        return updated_node.with_changes(value=_sized(_constant(original_node.key), updated_node.value))

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.Comparison:
        """``weight.numel() > 65536`` tells what is worth quantising."""
        left = original_node.left
        if not (isinstance(left, cst.Call) and _called(left) == "numel"):
            return updated_node
        sized = [each.with_changes(comparator=_sized("numel", each.comparator)) for each in updated_node.comparisons]
        return updated_node.with_changes(comparisons=sized)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        if original_node.keyword is None:
            return updated_node
        return updated_node.with_changes(value=_sized(original_node.keyword.value, updated_node.value))

    def _line(self, node: cst.CSTNode) -> int:
        return int(self.get_metadata(PositionProvider, node).start.line)


def _called(call: cst.Call) -> str:
    func = call.func
    return func.attr.value if isinstance(func, cst.Attribute) else func.value if isinstance(func, cst.Name) else ""


def _constant(value: cst.BaseExpression) -> str:
    """The text of a plain string, or none."""
    return value.raw_value if isinstance(value, cst.SimpleString) else ""


def _argument(call: cst.Call) -> cst.Call:
    """``add_argument("--model-dim", default=512)`` names its default by its option."""
    option = _constant(call.args[0].value).lstrip("-").replace("-", "_") if call.args else ""
    changed = [
        arg.with_changes(value=_sized(option, arg.value)) if arg.keyword and arg.keyword.value == "default" else arg
        for arg in call.args
    ]
    return call.with_changes(args=changed)


def _sized(name: str, value: cst.BaseExpression) -> cst.BaseExpression:
    """A number of the source through the shrink rules, if it is one that has a name."""
    if not rule_for(name):
        return value
    if isinstance(value, cst.Call) and _called(value) in ("max", "min"):
        return value.with_changes(args=[arg.with_changes(value=_sized(name, arg.value)) for arg in value.args])
    if not _is_number(value):
        return value
    return _call(f"{PROBE}.size", _string(name), value)


def _is_number(value: cst.BaseExpression) -> bool:
    if isinstance(value, (cst.Integer, cst.Float)):
        return True
    return isinstance(value, cst.BinaryOperation) and _is_number(value.left) and _is_number(value.right)


def _probe(kind: str, line: int, *words: cst.BaseExpression | cst.Arg) -> cst.BaseExpression:
    """A call in parentheses: in ``else(a+b).sum()`` nothing else parts the words."""
    call = _call(f"{PROBE}.{kind}", cst.Integer(str(line)), *words)
    return call.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _call(name: str, *words: cst.BaseExpression | cst.Arg) -> cst.Call:
    args = [word if isinstance(word, cst.Arg) else cst.Arg(word) for word in words]
    return cst.Call(cst.parse_expression(name), args)


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)[:LONGEST_NAME]


def _string(text: str) -> cst.SimpleString:
    return cst.SimpleString(repr(text))
