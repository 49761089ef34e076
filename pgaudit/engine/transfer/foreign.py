"""Libraries in C and C++: where their source is shipped, calls of their functions are entered like any other."""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine.calls import Arguments
from pgaudit.engine.machine import Frame, Machine
from pgaudit.engine.transfer.builtins import first
from pgaudit.engine.values import Data, Module, Value

LIBRARY = "<foreign>"
C_NUMBERS = ("int", "long", "longlong", "uint", "ulong", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
             "size_t", "float", "double", "void_p", "char_p", "bool")  # fmt: skip


def library(m: Machine, args: Arguments, line: int) -> Value:
    """A loaded library: the functions of every foreign source that is shipped. Opaque where there is none."""
    loaded = m.modules.get(LIBRARY)
    if loaded is None:
        loaded = m.modules[LIBRARY] = _load(m)
    return loaded


def _load(m: Machine) -> Value:
    from pgaudit.engine.statements import run

    sources = m.foreign()
    if not sources:
        return Data()
    everything = Frame(LIBRARY)
    for source in sources:
        frame = Frame(source.name)
        outer, m.frame = m.frame, frame
        run(m, source.body)
        m.frame = outer
        everything.env.update(frame.env)
    return Module(everything)


FUNCTIONS: dict[str, Callable[[Machine, Arguments, int], Value]] = {
    "ctypes.CDLL": library,
    "ctypes.PyDLL": library,
    "ctypes.cdll.LoadLibrary": library,
    "torch.utils.cpp_extension.load": library,
    "torch.utils.cpp_extension.load_inline": library,
    "ctypes.cast": first,
    "ctypes.byref": first,
    "ctypes.pointer": first,
    **{f"ctypes.c_{name}": first for name in C_NUMBERS},
}
