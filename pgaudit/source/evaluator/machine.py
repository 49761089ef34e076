"""Walks a packed script on constants and collects the texts that it runs, layer inside layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from pgaudit.source.evaluator.effects import EFFECTS
from pgaudit.source.evaluator.expressions import OutOfSteps
from pgaudit.source.evaluator.files import Files
from pgaudit.source.evaluator.functions import FUNCTIONS, METHODS, ROOT
from pgaudit.source.evaluator.operators import FAULTS, apply
from pgaudit.source.evaluator.statements import Returned, Statements
from pgaudit.source.evaluator.values import Function, Known, Method, Name, Unknown, Value
from pgaudit.source.parse import parse
from pgaudit.source.script import Layer
from pgaudit.source.text import decode
from pgaudit.source.triggers import may_run_text

MAX_DEPTH = 8
"""Layers inside each other that are opened."""


@dataclass
class Run:
    """A text that the script runs, what that text runs in turn, and what could not be told."""

    layer: Layer
    module: str = ""
    """The name of the module object that it fills; empty where it runs as the script itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What has been set when it starts."""
    runs: list[Run] = field(default_factory=list)
    failures: list[tuple[Unknown, int]] = field(default_factory=list)
    """Runs of unknown text, with the line."""
    position: int = 0
    """Index of the top-level statement at work."""

    @property
    def line(self) -> int:
        """Line of the statement at work; computed when asked for, as it costs a pass over the tree."""
        module = self.layer.parsed.module
        if module is None or not module.body:
            return 1
        before = module.body[: self.position]
        lines_before = cst.Module(body=before).code.count("\n") if before else 0
        return len(module.header) + lines_before + len(module.body[self.position].leading_lines) + 1


class Machine(Statements):
    """Evaluates one script; ``start`` walks it and gives the tree of what it runs."""

    def __init__(self, layer: Layer, files: Files) -> None:
        super().__init__()
        self.files = files
        self._stack = [Run(layer)]
        self.scope |= {"__name__": Known("__main__"), "__file__": Known(f"{ROOT}/{layer.path}")}

    def start(self) -> Run:
        """Walk the script; what it runs is in the result."""
        run = self._stack[0]
        with warnings.catch_warnings(action="ignore"):  # of the escapes in the script's own strings
            self._walk(run)
        return run

    def run_text(self, source: Value, module: str = "") -> Value:
        """The script runs a text: as itself, or to fill the module object of that name."""
        outer = self._stack[-1]
        if isinstance(source, Known) and not isinstance(source.data, str | bytes):
            source = Unknown("is not text")
        if isinstance(source, Known) and len(self._stack) > MAX_DEPTH:
            source = Unknown("is packed too often", payload=True)
        if isinstance(source, Unknown):
            outer.failures.append((source, outer.line))
            return source
        text = source.data if isinstance(source.data, str) else decode(source.data).text
        if any(text == run.layer.text for run in self._stack):
            return Unknown("is what runs already")
        layer = self._layer(outer, text, source.steps)
        run = Run(layer, "" if module == "__main__" else module, dict(self.environment))
        outer.runs.append(run)
        self._stack.append(run)
        self._walk(run)
        self._stack.pop()
        return Known(None)

    def _layer(self, outer: Run, text: str, steps: tuple[str, ...]) -> Layer:
        if len(steps) == 1 and self.files.ships(steps[0]):
            return Layer(steps[0], text)
        return Layer(outer.layer.path, text, outer.layer.steps + (steps or ("literal",)), outer.layer.at(outer.line))

    def _walk(self, run: Run) -> None:
        module = run.layer.parsed.module if may_run_text(run.layer.text) else None
        try:
            for run.position, statement in enumerate(module.body if module else ()):
                self.execute(statement)
        except Returned:
            return
        except (OutOfSteps, RecursionError):
            run.failures.append((Unknown("is computed for too long", payload=True), run.line))

    def evaluate_text(self, text: str, source: Value) -> Value:
        """``eval``: the value of an expression; a program that ``compile`` has passed on is run."""
        module = parse(text.strip()).module
        match module.body if module else ():
            case [cst.SimpleStatementLine(body=[cst.Expr(expression)])]:
                return self.evaluate(expression)
        return self.run_text(source)

    def call(self, function: Value, arguments: list[Value], options: dict[str, Value]) -> Value:
        """The value of a call, with whatever it does."""
        if isinstance(function, Unknown):
            return function
        match function.data:
            case Function():
                return self.call_function(function.data, arguments, options)
            case Name(path) if path in EFFECTS:
                return self._effect(path, arguments, options)
            case Name(path) if path in FUNCTIONS:
                return apply(FUNCTIONS[path], arguments, options)
            case Name(path):
                return Unknown(f"is the result of {path.removeprefix('builtins.')}()")
            case Method(receiver, name):
                return self._method(receiver, name, arguments, options)
        return Unknown("calls something unknown")

    def _effect(self, path: str, arguments: list[Value], options: dict[str, Value]) -> Value:
        try:
            return EFFECTS[path](self, *arguments, **options)
        except FAULTS as error:
            return Unknown(f"{path}: {error}")

    def _method(self, receiver: Known, name: str, arguments: list[Value], options: dict[str, Value]) -> Value:
        for kind in type(receiver.data).__mro__:
            if f"{kind.__name__}.{name}" in EFFECTS:
                return self._effect(f"{kind.__name__}.{name}", [receiver, *arguments], options)
            if name in METHODS.get(kind, ()):
                return apply(METHODS[kind][name], [receiver, *arguments], options)
        return Unknown(f"is the result of .{name}()")
