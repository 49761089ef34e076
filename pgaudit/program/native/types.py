"""Types as far as data flow needs them: a name, how many times to dereference, and whether the storage is in place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

INTEGERS = frozenset({
    "char", "short", "int", "long", "signed", "unsigned", "bool", "_Bool", "size_t", "ssize_t", "ptrdiff_t", "wchar_t",
    "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "__uint128_t", "__int128",
    "uint", "u8", "u16", "u32", "u64", "i32", "i64", "off_t", "uint_fast32_t", "uint_fast64_t", "uchar", "ulong",
})  # fmt: skip
FLOATS = frozenset({"float", "double", "half", "__half", "_Float16", "float_t", "double_t", "f32", "f64"})
CONTAINERS = frozenset({"vector", "array", "span", "deque", "valarray", "unique_ptr", "shared_ptr", "initializer_list"})
MAPS = frozenset({"map", "unordered_map", "flat_hash_map"})
ARRAYS = frozenset({"ndarray", "array_t", "tensor", "Tensor", "array_view", "TensorAccessor", "PackedTensorAccessor32"})


@dataclass(frozen=True, slots=True)
class CType:
    """A type: ``uint16_t *x`` is ``uint16_t`` of depth 1."""

    name: str
    depth: int = 0
    """Levels of pointers, arrays and containers."""
    reference: bool = False
    inline: bool = False
    """An array or container: the elements belong to the variable, nothing else points at them by assignment."""

    @property
    def integer(self) -> bool:
        """A whole number."""
        return self.depth == 0 and self.name in INTEGERS

    @property
    def floating(self) -> bool:
        """A number with a fraction."""
        return self.depth == 0 and self.name in FLOATS

    @property
    def number(self) -> bool:
        """Copied when it is assigned, unlike pointers and objects."""
        return self.integer or self.floating

    def element(self) -> CType:
        """What a subscript gives."""
        return CType(self.name, max(self.depth - 1, 0), inline=self.inline and self.depth > 1)

    def pointer(self) -> CType:
        """The type of the address of such a variable."""
        return CType(self.name, self.depth + 1)


INT, DOUBLE = CType("int"), CType("double")


@dataclass(frozen=True, slots=True)
class Declared:
    """One declarator: the name that it binds, its type, and the parameter list if it declares a function."""

    name: str
    type: CType
    parameters: Node | None = None
    scope: str = ""
    """``Cls`` of ``Cls::name``."""


def text(node: Node | None) -> str:
    """The source of a node."""
    return node.text.decode("utf-8", "replace") if node is not None and node.text is not None else ""


class Types:
    """The type names of one source and how declarations use them."""

    def __init__(self) -> None:
        self.aliases: dict[str, CType] = {}
        self.anonymous: dict[int, str] = {}
        """Names of structs that have none, by the place where they start."""

    def read(self, node: Node | None) -> CType:
        """The type that a type specifier names."""
        if node is None:
            return CType("")
        if node.type == "type_descriptor":
            base = self.read(node.child_by_field_name("type"))
            levels = text(node.child_by_field_name("declarator"))
            return replace(base, depth=base.depth + levels.count("*"), reference="&" in levels)
        if node.type in ("struct_specifier", "class_specifier", "union_specifier", "enum_specifier"):
            if node.type == "enum_specifier":
                return INT
            name = node.child_by_field_name("name")
            return CType(text(name) if name is not None else self.anonymous.get(node.start_byte, ""))
        if node.type == "qualified_identifier":
            return self.read(node.child_by_field_name("name"))
        if node.type == "template_type":
            return self._template(node)
        words = text(node).split()
        if node.type == "sized_type_specifier":
            return DOUBLE if "double" in words else INT
        name_ = words[-1] if words else ""
        if name_ in ARRAYS:
            return CType("float", 1)
        return self.aliases.get(name_, CType(name_))

    def _template(self, node: Node) -> CType:
        name = text(node.child_by_field_name("name"))
        arguments = node.child_by_field_name("arguments")
        types = [child for child in arguments.named_children if child.type == "type_descriptor"] if arguments else []
        if name in ARRAYS:
            return CType(self.read(types[0]).name if types else "float", 1)
        if (name in CONTAINERS and types) or (name in MAPS and len(types) > 1):
            inner = self.read(types[1 if name in MAPS else 0])
            return CType(inner.name, inner.depth + 1, inline=not name.endswith("_ptr"))
        return self.aliases.get(name, CType(name))

    def declared(self, declarator: Node | None, base: CType) -> Declared:
        """The name and type of a declarator of ``base``."""
        kind, parameters, scope = base, None, ""
        while declarator is not None:
            inner = declarator.child_by_field_name("declarator")
            if declarator.type in ("pointer_declarator", "abstract_pointer_declarator"):
                kind = replace(kind, depth=kind.depth + 1)
            elif declarator.type in ("array_declarator", "abstract_array_declarator"):
                kind = replace(kind, depth=kind.depth + 1, inline=True)
            elif declarator.type in ("reference_declarator", "abstract_reference_declarator"):
                kind = replace(kind, reference=True)
                inner = declarator.named_children[0] if declarator.named_children else None
            elif declarator.type == "function_declarator":
                parameters = declarator.child_by_field_name("parameters")
            elif declarator.type in ("parenthesized_declarator", "attributed_declarator"):
                inner = declarator.named_children[0] if declarator.named_children else None
            elif declarator.type == "qualified_identifier":
                scope = text(declarator.child_by_field_name("scope")) or scope
                inner = declarator.child_by_field_name("name")
            elif inner is None:
                return Declared(text(declarator), kind, parameters, scope)
            declarator = inner
        return Declared("", kind, parameters, scope)
