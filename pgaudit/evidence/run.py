"""What the engine saw when it walked the main script under the effective configuration, and which print is the score."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import takewhile

from pgaudit.engine.events import Event, Place, ReportEvent, Spot
from pgaudit.engine.machine import Setting
from pgaudit.engine.queries import StateBeforeScore, prints, reported, says_something, state_before_score
from pgaudit.engine.walk import Walk, walk
from pgaudit.evidence.configuration import Configuration
from pgaudit.evidence.naming import Statement, settings_named
from pgaudit.evidence.witness import settings_proven
from pgaudit.finding import Location, Step
from pgaudit.program import ir
from pgaudit.source.script import Layer, Script

MAIN = "__main__"
MOST_ROUNDS = 3
"""A setting that was on may show the block of another."""


@dataclass(frozen=True)
class Witness:
    """The log of the run that counts."""

    path: str
    read: Callable[[], tuple[str, ...]]
    """Its lines; asked for only when something was skipped."""
    sources: tuple[tuple[int, int], ...] = ()
    """First and last line of each source text in it."""
    settings: frozenset[int] = frozenset()
    """The lines that dump settings: they are printed whatever is on."""

    def lines(self, layers: Iterable[Layer]) -> tuple[str, ...]:
        """Its lines, empty where they repeat the source (many scripts print themselves first) or dump settings."""
        source = {line.strip() for layer in layers for line in layer.text.splitlines()}
        shown = ["" if line.strip() in source else line for line in self.read()]
        for first, last in self.sources:
            shown[first - 1 : last] = [""] * (last - first + 1)
        return tuple("" if number in self.settings else line for number, line in enumerate(shown, 1))


@dataclass(frozen=True)
class Run:
    """One walk of the main script."""

    walk: Walk
    score: ReportEvent | None
    """The print that carries the submission's score; ``None`` if no validation score reaches any print."""
    matched: bool
    """That print can have written the log line with the claimed number; otherwise it is only the likeliest one."""
    foreign_log: bool
    """No shipped script holds the words of that line: the log is another script's, and this one stands for itself."""
    configuration: Configuration
    layers: Mapping[str, Layer]
    """Module name to the text that was walked."""
    modules: Mapping[str, ir.Module]
    """The same, lowered."""

    @cached_property
    def nodes(self) -> tuple[object, ...]:
        """Every node of the main script, for rules that look at its text and not at its walk."""
        return tuple(ir.nodes(self.modules[MAIN].body))

    def branches(self, module: str) -> Iterator[tuple[int, int]]:
        """First and last line of what runs under each test of a module."""
        for node in ir.nodes(self.modules[module].body):
            for body in (node.body, node.orelse) if isinstance(node, ir.If) else ():
                lines = [part.line for part in ir.nodes(body) if isinstance(part, ir.Node)]
                if lines:
                    yield min(lines), max(lines)

    @cached_property
    def state_changes(self) -> tuple[StateBeforeScore, ...]:
        """Reported scores whose state had learned from the scored tokens."""
        return tuple(state_before_score(self.walk, self.score)) if self.score is not None else ()

    def at(self, spot: Spot) -> Location:
        """The location of a module's line."""
        module, line = spot
        return self.layers[module].at(line)

    def step(self, event: Event, message: str) -> Step:
        """A step of a trace."""
        return Step(self.at(event.place.spot), message)

    def entered(self, place: Place, after: Place | None = None) -> tuple[Step, ...]:
        """The calls that lead from ``main`` to a place, without those that had led to the place ``after``."""
        shared = 1
        if after is not None:
            shared = sum(
                1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(place.calls, after.calls, strict=False))
            )
        return tuple(Step(self.at(spot), "calls") for spot in place.calls[shared:])


def run_script(
    script: Script,
    configuration: Configuration,
    sibling: Callable[[str], Script | None],
    foreign: Callable[[], Iterable[Layer]],
    score_lines: tuple[str, ...],
    lowered: Callable[[Layer, str], ir.Module],
    witness: Witness | None = None,
    statement: Statement | None = None,
    *,
    foreign_log: bool = False,
) -> Run | None:
    """Walk a script; ``None`` if it has no syntax tree. ``score_lines`` are log lines that print the claimed score.

    Where the log of the run (``witness``) shows that a setting was on, or the submission's own ``statement`` says so and the
    log does not deny it, the script is walked again with it.
    """
    from pgaudit.program.native import binds, lower_native

    body = script.body
    if body.parsed.module is None:
        return None
    statement = statement or Statement()
    layers = {MAIN: body}
    modules = {MAIN: lowered(body, MAIN)}

    def find(name: str) -> ir.Module | None:
        if name in modules:
            return modules[name]
        beside = sibling(name.replace(".", "/") + ".py")
        layer = script.modules.get(name) or (beside.body if beside is not None else None)
        if layer is None and (extension := next((x for x in foreign() if binds(x.text, name)), None)):
            layers[name] = extension
            modules[name] = lower_native(extension.text, name)
            return modules[name]
        if layer is None or layer.parsed.module is None:
            return None
        layers[name] = layer
        modules[name] = lowered(layer, name)
        return modules[name]

    @cache
    def libraries() -> tuple[ir.Module, ...]:
        sources = {str(layer.at(None)): layer for layer in foreign()}
        layers.update(sources)
        return tuple(lower_native(layer.text, name) for name, layer in sources.items())

    def walk_with(chosen: Configuration) -> Walk:
        return walk(
            modules[MAIN],
            environment=chosen.environment,
            arguments=chosen.arguments,
            sibling=find,
            foreign=libraries,
        )

    def shown_on(walk: Walk) -> dict[str, Setting]:
        return settings_proven(walk, modules, witness.lines(layers.values()), witness.path) if witness else {}

    def said_on(walk: Walk) -> dict[str, Setting]:
        decided = {**configuration.environment, **configuration.arguments}
        text = {name: setting for name, setting in statement.settings.items() if name in walk.settings}
        named = settings_named(walk, statement.titles, decided)
        return {name: setting for name, setting in {**named, **text}.items() if name not in decided}

    def denied(walk: Walk, before: Walk) -> bool:
        """Does the log lack most of what the walk prints more than the one before?"""
        more = {report.template for report in walk.reports} - {report.template for report in before.reports}
        # The numbers of the run need not be those of the configuration that is known.
        telling = {re.sub(r"\d+", "\0", template) for template in more if says_something(template)}
        lines = witness.lines(layers.values()) if witness and telling else ()
        printed = sum(any(prints(template, line) for line in lines) for template in telling)
        return bool(lines) and 2 * printed < len(telling)

    seen = walk_with(configuration)
    for switched_on in (shown_on, said_on):
        for _ in range(MOST_ROUNDS):
            settings = switched_on(seen)
            if not settings:
                break
            more = configuration.with_settings(settings)
            again = walk_with(more)
            found, before = reported(again, score_lines), reported(seen, score_lines)
            if before and before.matched and not (found and found.matched):
                break  # a text that other code prints as well: with the setting on, the score line has no print
            if switched_on is said_on and denied(again, seen):
                break
            seen, configuration = again, more
    found = reported(seen, score_lines)
    matched = found is not None and found.matched
    elsewhere = foreign_log and not matched
    return Run(seen, found.event if found else None, matched, elsewhere, configuration, layers, modules)
