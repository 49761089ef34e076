"""From a shipped file to the code that runs: opens packed scripts by computing, within bounds, what they execute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pgaudit.finding import Gap
from pgaudit.source.foreign import embedded
from pgaudit.source.literals import without_literals
from pgaudit.source.script import Layer, Script
from pgaudit.source.text import decode
from pgaudit.source.triggers import may_run_text

if TYPE_CHECKING:
    from pgaudit.source.evaluator.files import Files
    from pgaudit.source.evaluator.machine import Run

_STUB = 4_000
"""Characters of code: a script with less, whose text to run is unknown, hides its main work there."""


def unpack(path: str, data: bytes, sibling: Callable[[str], bytes | None]) -> Script:
    """Open a Python file of a submission; ``sibling`` gives other files by their path relative to the record folder.

    Never executes anything. What cannot be opened is a gap of the script, if its main work lies in there.
    """
    shipped = Layer(path, decode(data).text)
    if not may_run_text(shipped.text) or shipped.parsed.module is None:
        return Script(path, (shipped,), embedded(shipped))

    from pgaudit.source.evaluator.files import Files
    from pgaudit.source.evaluator.machine import Machine

    files = Files(path, sibling)
    chain = list(_chain(Machine(shipped, files).start()))
    body = chain[-1]
    return Script(
        path,
        tuple(run.layer for run in chain),
        embedded(body.layer),
        body.environment,
        tuple(_gaps(body)),
        _modules(chain, files),
    )


def _chain(run: Run) -> Iterator[Run]:
    """From the shipped file inwards, as long as most of the code lies further in."""
    yield run
    own = len(without_literals(run.layer.text))
    inner = [part for part in run.runs if not part.module] or (run.runs if own < _STUB else [])
    largest = max(inner, key=lambda part: len(part.layer.text), default=None)
    if largest and len(largest.layer.text) >= own:
        yield from _chain(largest)


def _gaps(run: Run) -> Iterator[Gap]:
    """What the innermost opened layer runs without telling what; of little weight where it does its work itself."""
    own = len(without_literals(run.layer.text))
    for failure, line in run.failures:
        if own < _STUB or (failure.payload and len(run.layer.text) > 2 * own):
            yield Gap("input", f"the script runs code that could not be read: {failure.reason}", run.layer.at(line))


def _modules(chain: list[Run], files: Files) -> dict[str, Layer]:
    """Helper modules that the script builds in memory, or writes beside itself."""
    body = chain[-1].layer
    written = {
        name.removesuffix(".py").replace("/", "."): Layer(body.path, text, (*chain[0].layer.steps, *steps), body.origin)
        for name, text, steps in files.written_scripts()
        if text != body.text
    }
    return written | {
        part.module: part.layer for run in chain for part in run.runs if part.module and part not in chain
    }
