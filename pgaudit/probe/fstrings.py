"""f-strings of Python 3.12, which may hold any expression, as calls that every Python reads."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

CONVERSIONS = {"s": "str", "r": "repr", "a": "ascii"}


def joined(node: cst.FormattedString) -> cst.BaseExpression:
    """The f-string, or where an older Python cannot read it, ``"".join`` of its parts."""
    if not _is_newer(node):
        return node
    return _join(node, node.parts)


def _is_newer(node: cst.FormattedString) -> bool:
    """Whether an expression holds the quote of the string itself, a backslash, a comment or, in one line, a line break."""
    empty = cst.Module([])
    return any(
        node.quote[0] in text or "\\" in text or "#" in text or (len(node.quote) == 1 and "\n" in text)
        for part in node.parts
        if isinstance(part, cst.FormattedStringExpression)
        for text in (empty.code_for_node(part),)
    )


def _join(node: cst.FormattedString, parts: Sequence[cst.BaseFormattedStringContent]) -> cst.Call:
    elements = [cst.Element(text) for part in parts for text in _texts(node, part)]
    separator = cst.Attribute(cst.SimpleString('""'), cst.Name("join"))
    return cst.Call(separator, [cst.Arg(cst.List(elements))])


def _texts(node: cst.FormattedString, part: cst.BaseFormattedStringContent) -> list[cst.BaseExpression]:
    if isinstance(part, cst.FormattedStringText):
        prefix = node.prefix.lower().replace("f", "")
        text = part.value.replace("{{", "{").replace("}}", "}")
        return [cst.SimpleString(f"{prefix}{node.quote}{text}{node.quote}")]
    assert isinstance(part, cst.FormattedStringExpression)
    value, conversion = part.expression, part.conversion
    before = list[cst.BaseExpression]()
    if part.equal is not None:
        before.append(cst.SimpleString(repr(cst.Module([]).code_for_node(value) + "=")))
        conversion = conversion or (None if part.format_spec else "r")
    if conversion:
        value = cst.Call(cst.Name(CONVERSIONS[conversion]), [cst.Arg(value)])
    if isinstance(value, (cst.GeneratorExp, cst.NamedExpr, cst.Yield)) and not value.lpar:
        value = value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    given = [cst.Arg(value)]
    if part.format_spec:
        given.append(cst.Arg(_join(node, part.format_spec)))
    return [*before, cst.Call(cst.Name("format"), given)]
