"""C, C++ and CUDA sources inside the strings of a Python script, recognised by what they contain."""

from __future__ import annotations

import re

from pgaudit.source.literals import strings
from pgaudit.source.script import Layer

_TYPE = r"(?:void|bool|char|short|int|long|float|double|half|auto|size_t|u?int(?:8|16|32|64)_t|torch::Tensor|at::Tensor|std::\w+)"
_DEFINITION = re.compile(_TYPE + r"(?:\s*<[^;{}()]*>)?[\s*&]+\w+\s*\([^;{}]*\)\s*(?:const\s*)?\{")
_HINTS = (
    *("#include", "__global__", "__device__", "extern ", "static inline", "int main", "float* ", "float *"),
    *("size_t", "int64_t", "int32_t", "cdef(", "load_inline"),
)
"""One of these is in every such source; a text without any is not searched."""


def embedded(layer: Layer) -> tuple[Layer, ...]:
    """The C family sources in the string literals of a Python layer, in order: those that define a function."""
    if not any(hint in layer.text for hint in _HINTS):
        return ()
    return tuple(
        Layer(layer.path, text, (*layer.steps, "literal"), layer.at(line), "c")
        for line, text in strings(layer.text)
        if _DEFINITION.search(text)
    )
