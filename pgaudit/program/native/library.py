"""What functions of the C and C++ libraries are lowered to."""

from __future__ import annotations

MATHS = {
    name: name
    for name in (
        "log", "log2", "log10", "log1p", "exp", "exp2", "expm1", "sqrt", "pow", "floor", "ceil", "tanh", "sin", "cos", "fabs",
        "fmod", "ldexp", "cbrt", "erf", "lgamma", "hypot", "round", "trunc", "logb", "atan", "sinh", "cosh",
    )
}  # fmt: skip
MATHS |= {f"{name}f": name for name in MATHS} | {"abs": "fabs", "labs": "fabs", "llabs": "fabs"}
"""Functions of ``math``, by the name that C gives them."""
MATHS |= {f"__{name}": MATHS[name] for name in ("logf", "expf", "powf")}

EXTREMES = {"min": "min", "max": "max", "fmin": "min", "fmax": "max", "fminf": "min", "fmaxf": "max"}

IDENTITIES = frozenset(
    {"__builtin_expect", "move", "forward", "likely", "unlikely", "as_const", "ref", "launder", "to_underlying"}
)
"""The first argument is the result."""

IGNORED = frozenset({
    "free", "munmap", "memset", "fflush", "assert", "static_assert", "__builtin_prefetch", "_mm_prefetch", "madvise",
    "omp_set_num_threads", "omp_get_num_threads", "setvbuf", "fclose", "delete", "posix_memalign", "bzero",
})  # fmt: skip
"""No effect on data flow. ``memset`` clears, which no rule needs to know."""

COPIES = frozenset({"memcpy", "memmove", "__builtin_memcpy"})
"""``copy(to, from, size)``."""
PRINTS = {"printf": 0, "fprintf": 1, "puts": 0}
"""Where the template stands."""
EXITS = frozenset({"exit", "abort", "_exit", "__builtin_trap"})

# --- methods of containers -----------------------------------------------------------------------------------------

SAME = frozenset({"data", "begin", "end", "cbegin", "cend", "get", "data_ptr", "unchecked", "mutable_unchecked", "request",
                  "mutable_data", "contiguous", "view", "c_str", "value", "load", "accessor", "packed_accessor32"})  # fmt: skip
"""The object itself, or a view of it."""
READS = frozenset({"at", "find", "operator[]", "item"})
LENGTHS = frozenset({"size", "shape", "length", "numel", "ndim", "capacity", "empty"})
ENDS = frozenset({"back", "front", "top", "top_value"})
STORES = frozenset({"push_back", "emplace_back", "push", "push_front", "fill", "assign", "insert", "emplace", "store"})
SILENT = frozenset(
    {"clear", "reserve", "resize", "shrink_to_fit", "pop_back", "pop", "pop_front", "erase", "reset", "swap"}
)
