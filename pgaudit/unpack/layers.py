"""From a shipped file to the layers that run: wrappers are opened one after the other, with bounds on depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from pgaudit.finding import Gap
from pgaudit.program import ir
from pgaudit.program.lower import lower
from pgaudit.source.script import Layer, Script
from pgaudit.source.text import decode
from pgaudit.unpack.wrapper import Executed, Payload, TooMuch, Wrapper

MAX_LAYERS = 8
TRIGGERS = re.compile(
    r"(?<![\w.])(?:exec|eval)\s*\(|\b(?:run_path|exec_module|load_module|subprocess|SourceFileLoader)\b|\bos\s*\.\s*(?:system|exec)"
    r"|getattr|__import__|\bbuiltins\b"
)
"""What a script that runs other code says somewhere; a script that says none of it is not looked at further."""
LEAST_CODE = 400
"""Characters; what is shorter is a helper made on the spot, not the script's work."""
OWN_WORK = 40
"""Statements; a script with more does work of its own, and what it executes besides is not its wrapping."""
FOREIGN = re.compile(
    r"#\s*include\s*[<\"]|\b__global__\b|\bextern\s+\"C\"|\b(?:static|void|double|float|int|uint\d+_t)\s+\*?\w+\s*\([^)]*\)\s*\{"
)
LEAST_FOREIGN = 200


def unpack(path: str, data: bytes, sibling: Callable[[str], bytes | None] = lambda name: None) -> Script:
    """Open a Python file. ``sibling`` gives the content of a file of the submission by its path, or ``None``."""
    layers = [Layer(path, decode(data).text)]
    environment: dict[str, str] = {}
    gaps: list[Gap] = []
    while len(layers) <= MAX_LAYERS:
        layer = layers[-1]
        inner = _open(
            layer, data if len(layers) == 1 else layer.text.encode("utf-8", "replace"), sibling, environment, gaps
        )
        if inner is None or any(seen.text == inner.text for seen in layers):
            break
        layers.append(inner)
    else:
        gaps.append(Gap("unpack", f"more than {MAX_LAYERS} nested layers", layers[-1].at(1)))
    return Script(path, tuple(layers), tuple(_embedded(layers[-1])), environment, tuple(gaps))


def _open(
    layer: Layer, data: bytes, sibling: Callable[[str], bytes | None], environment: dict[str, str], gaps: list[Gap]
) -> Layer | None:
    """The layer that a wrapper runs; ``None`` if it is no wrapper or cannot be opened (then there is a gap)."""
    if not TRIGGERS.search(layer.text) or layer.parsed.module is None:
        return None
    if len(layer.parsed.module.body) > OWN_WORK:
        return None
    body = lower(layer.parsed.module).body
    if _statements(body) > OWN_WORK:
        return None
    wrapper = Wrapper(layer.path, data, sibling)
    try:
        wrapper.run(body)
    except (TooMuch, RecursionError):
        gaps.append(Gap("unpack", "the wrapper computes more than can be followed", layer.at(1)))
    opened = [
        executed for executed in wrapper.executed if isinstance(executed.source, Payload) and _is_code(executed.source)
    ]
    if opened:
        environment.update(wrapper.environment)
        return _layer(layer, max(opened, key=lambda executed: len(executed.source.data)))
    closed = [executed for executed in wrapper.executed if not isinstance(executed.source, Payload)]
    if closed:
        reason = wrapper.problems[0] if wrapper.problems else "its origin could not be followed"
        gaps.append(
            Gap(
                "unpack",
                f"code handed to {closed[0].how.removeprefix('builtins.')} was not opened: {reason}",
                layer.at(closed[0].line),
            )
        )
    return None


def _layer(outer: Layer, executed: Executed) -> Layer:
    payload = executed.source
    text = payload.data if isinstance(payload.data, str) else decode(payload.data).text
    origin = outer.at(executed.line)
    if payload.path is not None and not payload.steps:
        return Layer(payload.path, text, (), origin)
    return Layer(payload.path or outer.path, text, (*outer.steps, *payload.steps), origin)


def _is_code(payload: Payload) -> bool:
    return len(payload.data) >= LEAST_CODE


def _statements(body: list[ir.Stmt]) -> int:
    """Statements of a module, those inside definitions included."""
    total = 0
    pending: list[object] = [body]
    while pending:
        part = pending.pop()
        if isinstance(part, list | tuple):
            pending.extend(part)
        elif isinstance(part, ir.Handler):
            pending.append(part.body)
        elif isinstance(part, ir.Stmt):
            total += 1
            pending.extend(
                getattr(part, name) for name in ("body", "orelse", "handlers", "final", "cases") if hasattr(part, name)
            )
    return total


def _embedded(layer: Layer) -> Iterator[Layer]:
    """C, C++ and CUDA sources inside string literals."""
    if not FOREIGN.search(layer.text):
        return
    for quote in ('"""', "'''"):
        marks = [match.start() for match in re.finditer(re.escape(quote), layer.text)]
        for start, end in list(pairwise(marks))[::2]:
            text = layer.text[start + 3 : end]
            if len(text) >= LEAST_FOREIGN and FOREIGN.search(text):
                line = layer.text.count("\n", 0, start) + 1
                yield Layer(layer.path, text, (*layer.steps, f"string at line {line}"), layer.at(line), "c")
