"""What a C source declares, gathered before anything is lowered: structs, signatures, macros, and how pointers are used."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgaudit.program.native.types import CType, Types, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

ALLOCATORS = frozenset({"malloc", "calloc", "realloc", "aligned_alloc", "mmap", "_mm_malloc", "alloca", "valloc"})
STRUCTS = ("struct_specifier", "class_specifier", "union_specifier")
_SIZEOF = re.compile(r"sizeof\s*\(\s*(?:struct\s+)?(\w+)\s*\)|sizeof\s*\*?\s*(\w+)")
_KEPT = frozenset({
    *STRUCTS, "preproc_def", "preproc_function_def", "type_definition", "alias_declaration", "enum_specifier",
    "function_definition", "declaration", "field_declaration", "assignment_expression", "update_expression",
    "call_expression", "new_expression", "template_type", "init_declarator", "return_statement",
})  # fmt: skip


@dataclass(slots=True)
class Parameter:
    """One parameter of a C function."""

    name: str
    type: CType
    default: Node | None = None
    shifted: bool = False
    """A pointer into an array: its place in there is handed over as a second parameter, ``name@``."""


@dataclass(slots=True)
class Signature:
    """How a function is called."""

    parameters: list[Parameter]
    returns: CType
    pair: bool = False
    """It returns a pointer into an array, as ``(array, place)``."""


@dataclass(slots=True)
class Struct:
    """A struct or class.

    Where elements of an array are such structs, one object stands for the whole array and each number of the struct
    is an array of its own, so that ``table[h].count`` is ``table.count[h]``: counts stay apart from keys.
    """

    name: str
    node: Node
    fields: dict[str, CType] = field(default_factory=dict)
    defaults: dict[str, Node] = field(default_factory=dict)
    statics: dict[str, Node] = field(default_factory=dict)
    methods: dict[str, Node] = field(default_factory=dict)
    constructors: list[Node] = field(default_factory=list)
    arrayed: bool = False


class Survey:
    """The declarations of one source text."""

    def __init__(self, root: Node) -> None:
        self.types = Types()
        self.structs: dict[str, Struct] = {}
        self.functions: dict[str, Signature] = {}
        self._changed: set[str] = set()
        """Fields and variables that are changed in terms of themselves, fields with a dot before their name."""
        self.nodes: dict[str, list[Node]] = defaultdict(list)
        for node in descendants(root):
            if node.type in _KEPT:
                self.nodes[node.type].append(node)
        self._name_types()
        self._find_structs()
        self._find_arrays()
        self._find_functions()
        self._find_state()
        self._find_shifts()

    def struct(self, kind: CType | None) -> Struct | None:
        """The struct behind a type, whatever its depth."""
        return self.structs.get(kind.name) if kind is not None else None

    def is_state(self, struct: Struct | None, name: str) -> bool:
        """Is a number of a struct (or a global) changed in terms of itself? Then it is never a known constant."""
        if struct is None:
            return name in self._changed
        return f".{name}" in self._changed or (bool(struct.methods) and name in self._changed)

    def field_type(self, name: str) -> CType | None:
        """The type of a field of an unknown struct, if all structs agree."""
        found = {struct.fields[name] for struct in self.structs.values() if name in struct.fields}
        return found.pop() if len(found) == 1 else None

    # --- types -----------------------------------------------------------------------------------------------------

    def _name_types(self) -> None:
        for node in self.nodes["type_definition"]:
            inner, declarator = node.child_by_field_name("type"), node.child_by_field_name("declarator")
            if inner is not None and declarator is not None and inner.child_by_field_name("name") is None:
                self.types.anonymous[inner.start_byte] = text(declarator)
            declared = self.types.declared(declarator, self.types.read(inner))
            if declared.name and declared.name != declared.type.name and declared.parameters is None:
                self.types.aliases[declared.name] = declared.type
        for node in self.nodes["alias_declaration"]:
            self.types.aliases[text(node.child_by_field_name("name"))] = self.types.read(
                node.child_by_field_name("type")
            )
        for kind in STRUCTS:
            for node in self.nodes[kind]:
                if node.child_by_field_name("name") is None:
                    self.types.anonymous.setdefault(node.start_byte, f"struct at line {node.start_point[0] + 1}")

    def _find_structs(self) -> None:
        for kind in STRUCTS:
            for node in self.nodes[kind]:
                body = node.child_by_field_name("body")
                name = self.types.read(node).name
                if body is not None and name and name not in self.structs:
                    struct = self.structs[name] = Struct(name, node)
                    for member in members(body):
                        self._member(struct, member)

    def _member(self, struct: Struct, node: Node) -> None:
        if node.type == "function_definition":
            declared = self.types.declared(node.child_by_field_name("declarator"), CType(""))
            if declared.name == struct.name:
                struct.constructors.append(node)
            elif declared.name and not declared.name.startswith(("~", "operator")):
                struct.methods.setdefault(declared.name, node)
        if node.type != "field_declaration":
            return
        base = self.types.read(node.child_by_field_name("type"))
        default = node.child_by_field_name("default_value")
        for declarator in node.children_by_field_name("declarator"):
            declared = self.types.declared(declarator, base)
            if declared.parameters is not None and declared.type.depth == 0:
                continue
            if default is not None and any(text(child) == "static" for child in node.children):
                struct.statics[declared.name] = default
                continue
            struct.fields.setdefault(declared.name, declared.type)
            if default is not None:
                struct.defaults[declared.name] = default

    def _find_arrays(self) -> None:
        arrayed: set[str] = set()
        for node in [*self.nodes["declaration"], *self.nodes["field_declaration"]]:
            base = self.types.read(node.child_by_field_name("type"))
            if base.depth and base.inline:
                arrayed.add(base.name)
            for declarator in node.children_by_field_name("declarator"):
                if self.types.declared(declarator, base).type.inline:
                    arrayed.add(base.name)
        for node in self.nodes["new_expression"]:
            if node.child_by_field_name("declarator") is not None:
                arrayed.add(self.types.read(node.child_by_field_name("type")).name)
        for node in self.nodes["template_type"]:
            arrayed.add(self.types.read(node).name)
        for node in self.nodes["call_expression"]:
            function, source = text(node.child_by_field_name("function")), text(node.child_by_field_name("arguments"))
            if "sizeof" not in source or len(source) > 300 or function.startswith(("mem", "std::mem")):
                continue
            for match in _SIZEOF.finditer(source):
                if source.replace(match.group(), "").strip("(), ") not in ("", "1"):
                    arrayed.add(match.group(1) or "")
        pending = [name for name in arrayed if name in self.structs]
        while pending:
            struct = self.structs[pending.pop()]
            if not struct.arrayed:
                struct.arrayed = True
                inner = {kind.name for kind in struct.fields.values() if kind.depth == 0 or kind.inline}
                pending += [name for name in inner if name in self.structs]

    # --- functions -------------------------------------------------------------------------------------------------

    def _find_functions(self) -> None:
        for node in self.nodes["function_definition"]:
            declared = self.types.declared(
                node.child_by_field_name("declarator"), self.types.read(node.child_by_field_name("type"))
            )
            if declared.scope in self.structs and declared.name == declared.scope:
                self.structs[declared.scope].constructors.append(node)
            elif declared.scope in self.structs:
                self.structs[declared.scope].methods.setdefault(declared.name, node)
            if declared.name and declared.parameters is not None:
                found = list(self.parameters(declared.parameters))
                self.functions.setdefault(declared.name, Signature(found, declared.type))

    def parameters(self, node: Node) -> Iterator[Parameter]:
        """The parameters of a parameter list."""
        for child in node.named_children:
            if child.type in ("parameter_declaration", "optional_parameter_declaration"):
                base = self.types.read(child.child_by_field_name("type"))
                declared = self.types.declared(child.child_by_field_name("declarator"), base)
                if not declared.name and declared.type.name == "void" and not declared.type.depth:
                    continue
                kind = declared.type
                struct = self.struct(kind)
                yield Parameter(
                    declared.name or f"{child.start_byte}",
                    CType(kind.name, kind.depth, kind.reference),
                    child.child_by_field_name("default_value"),
                    shifted=struct is not None and struct.arrayed and kind.depth < 2,
                )

    def _find_state(self) -> None:
        for node in self.nodes["update_expression"]:
            self._changed.add(_last_name(text(node.child_by_field_name("argument"))))
        for node in self.nodes["assignment_expression"]:
            left, right = text(node.child_by_field_name("left")), text(node.child_by_field_name("right"))
            if text(node.child_by_field_name("operator")) != "=" or re.search(rf"\b{re.escape(left)}\b", right):
                self._changed.add(_last_name(left))

    def _find_shifts(self) -> None:
        """Pointer parameters that are given the inside of an array, and functions that return one."""
        for node in self.nodes["call_expression"]:
            called = re.split(r"[.>:]", text(node.child_by_field_name("function")))[-1].strip()
            signature = self.functions.get(called)
            arguments = node.child_by_field_name("arguments")
            if signature is None or arguments is None:
                continue
            for parameter, argument in zip(signature.parameters, arguments.named_children, strict=False):
                if parameter.type.depth == 1 and is_inside(argument) and not parameter.type.reference:
                    parameter.shifted = True
        for node in self.nodes["function_definition"]:
            declarator = node.child_by_field_name("declarator")
            declared = self.types.declared(declarator, self.types.read(node.child_by_field_name("type")))
            signature = self.functions.get(declared.name)
            body = node.child_by_field_name("body")
            if signature is None or body is None:
                continue
            returns = signature.returns
            if returns.depth == 1 and not returns.inline and not returns.reference:
                moved = moving(body)
                signature.pair |= any(
                    is_inside(child) or (child.type == "identifier" and text(child) in moved)
                    for back in descendants(body)
                    if back.type == "return_statement"
                    for child in back.named_children[:1]
                )
            elif returns.reference and returns.depth == 0:
                signature.pair |= any(
                    child.type == "subscript_expression"
                    for back in descendants(body)
                    if back.type == "return_statement"
                    for child in back.named_children[:1]
                )


def members(body: Node) -> Iterator[Node]:
    """The members of a class, through access sections, templates and both branches of conditionals."""
    for child in body.named_children:
        if child.type.startswith("preproc_") or child.type in ("template_declaration", "ERROR"):
            yield from members(child)
        else:
            yield child


def descendants(node: Node) -> Iterator[Node]:
    """Every named node of a tree, in source order."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(current.named_children))


def is_inside(node: Node | None) -> bool:
    """Is the expression ``&x[i]``, ``p + k`` or ``p - k``: a place inside an array (if it is a pointer at all)?"""
    while node is not None and node.type in ("parenthesized_expression", "cast_expression"):
        node = node.child_by_field_name("value") or (node.named_children[-1] if node.named_children else None)
    if node is None:
        return False
    if node.type == "pointer_expression":
        argument = node.child_by_field_name("argument")
        return text(node).startswith("&") and argument is not None and argument.type == "subscript_expression"
    return node.type == "binary_expression" and text(node.child_by_field_name("operator")) in "+-"


def moving(body: Node) -> set[str]:
    """Names that are moved or set to the inside of an array; only those of pointers matter."""
    names: set[str] = set()
    copies: list[tuple[str, str]] = []
    for node in descendants(body):
        if node.type == "update_expression":
            names.add(text(node.child_by_field_name("argument")))
            continue
        if node.type == "init_declarator":
            left, right = node.child_by_field_name("declarator"), node.child_by_field_name("value")
        elif node.type == "assignment_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        else:
            continue
        if left is not None and left.type == "pointer_expression":
            continue
        name = text(left).lstrip("*& ").removeprefix("restrict ").removeprefix("__restrict ").strip()
        if text(node.child_by_field_name("operator")) in ("+=", "-=") or is_inside(right):
            names.add(name)
        elif right is not None:
            copies.append((name, re.sub(r"^\(.*?\)\s*", "", text(right))))
    for _ in range(2):
        names.update(name for name, source in copies if source in names)
    return names


def _last_name(source: str) -> str:
    """``.count`` of ``st->count``, ``count`` of ``count``; nothing for array elements."""
    match = re.search(r"(->|\.)?\s*(\w+)$", source)
    return ("." if match.group(1) else "") + match.group(2) if match else ""
