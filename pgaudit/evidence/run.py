"""What the engine saw when it walked the main script under the effective configuration, and which print is the score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from pgaudit.engine.events import Event, Place, ReportEvent, Spot
from pgaudit.engine.queries import StateBeforeScore, reported, state_before_score
from pgaudit.engine.walk import Walk, walk
from pgaudit.evidence.configuration import Configuration
from pgaudit.finding import Location, Step
from pgaudit.program import ir
from pgaudit.source.script import Layer, Script

MAIN = "__main__"


@dataclass(frozen=True)
class Run:
    """One walk of the main script."""

    walk: Walk
    score: ReportEvent | None
    """The print that carries the submission's score; ``None`` if no validation score reaches any print."""
    matched: bool
    """That print can have written the log line with the claimed number; otherwise it is only the likeliest one."""
    configuration: Configuration
    layers: Mapping[str, Layer]
    """Module name to the text that was walked."""

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
    script: Script, configuration: Configuration, sibling: Callable[[str], Script | None], score_lines: Iterable[str]
) -> Run | None:
    """Walk a script; ``None`` if it has no syntax tree. ``score_lines`` are log lines that print the claimed score."""
    from pgaudit.program.lower import lower  # libcst is a fifth of a second that ``--help`` must not pay

    body = script.body
    if body.parsed.module is None:
        return None
    layers = {MAIN: body}

    def find(name: str) -> ir.Module | None:
        beside = sibling(name.replace(".", "/") + ".py")
        layer = script.modules.get(name) or (beside.body if beside is not None else None)
        if layer is None or layer.parsed.module is None:
            return None
        layers[name] = layer
        return lower(layer.parsed.module, name)

    seen = walk(
        lower(body.parsed.module),
        environment=configuration.environment,
        arguments=configuration.arguments,
        sibling=find,
    )
    found = reported(seen, tuple(score_lines))
    return Run(seen, found.event if found else None, found is not None and found.matched, configuration, layers)
