"""The submission card as text: for a terminal, for programs (JSON), for a pull request comment (Markdown)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pgaudit
from pgaudit.card.facts import Card, Category, Comparison, Fact, Figure
from pgaudit.finding import Location
from pgaudit.output import Format, escape
from pgaudit.output.json import gap, location
from pgaudit.submission import Origin

SCHEMA_VERSION = "1.0"
"""Minor: a key was added. Major: a key was removed, or means something else."""
ANSWERS = {True: "agrees", False: "differs", None: "not shown"}
STYLES = {"agrees": "green", "differs": "bold red"}


def render(
    cards: tuple[Card, ...], origin: Origin, style: Format, *, explain: bool = False, interactive: bool = False
) -> str:
    """The cards in one format. ``explain`` adds what set each value; ``interactive`` allows colour and the terminal's width."""
    if style is Format.JSON:
        return json.dumps(document(cards, origin), indent=2, allow_nan=False) + "\n"
    if style is Format.MARKDOWN:
        return "\n".join([*(line for card in cards for line in _markdown(card)), ""])
    return _terminal(cards, explain=explain, interactive=interactive)


def values(fact: Fact, *, sources: bool = False) -> str:
    """The parameters of a fact in words."""
    return ", ".join(
        f"{parameter.name} {parameter.value}" + (f" ({parameter.source})" if sources else "")
        for parameter in fact.parameters
    )


def answer(row: Comparison) -> str:
    """What became of a claim, in one or two words."""
    return "not claimed" if row.claimed is None else ANSWERS[row.agrees]


def _by_category(facts: Iterable[Fact]) -> Iterator[tuple[Category, list[Fact]]]:
    used = (fact for fact in facts if not fact.dormant)
    for category, group in groupby(used, key=lambda fact: fact.category):
        yield category, list(group)


def _dormant(card: Card) -> list[Fact]:
    return [fact for fact in card.facts if fact.dormant]


def _spot(place: Location) -> str:
    """A place without its layer, which the head of the card names."""
    return str(Location(place.path, place.line))


def _source(card: Card) -> str:
    """Which text the places of the code are in."""
    if card.script is None:
        return ""
    unpacked = f", unpacked by {card.script.layer}; lines count in that text" if card.script.layer else ""
    return f"script {card.script.path}{unpacked}"


def _claim(row: Comparison) -> str:
    return row.name if row.seed is None else f"{row.name}, seed {row.seed}"


def _figure(figure: Figure | None) -> str:
    return figure.value if figure else "–"


def _places(figure: Figure | None) -> str:
    return f"{_spot(figure.places[0])}{_more(figure)}" if figure and figure.places else ""


def _more(figure: Figure) -> str:
    """How many places there are beside the first."""
    more = len(figure.places) - 1
    return f" and {more} more" if more > 0 else ""


# --- terminal ------------------------------------------------------------------------------------------------------


def _terminal(cards: tuple[Card, ...], *, explain: bool, interactive: bool) -> str:
    from rich.console import Console

    from pgaudit.output.terminal import PLAIN_WIDTH

    stream = io.StringIO()
    width = None if interactive else PLAIN_WIDTH
    console = Console(file=stream, force_terminal=interactive, width=width, highlight=False)
    for card in cards:
        origin = " · ".join(
            filter(None, (f"PR #{card.pr}" if card.pr else "", f"head {card.head[:9]}" if card.head else ""))
        )
        _line(console, card.folder, "bold")
        for told in filter(None, (origin, _source(card))):
            _line(console, f"  {told}", "dim")
        for category, group in _by_category(card.facts):
            rows = [(fact.name, values(fact, sources=explain), _spot(fact.place), "") for fact in group]
            _table(console, category.value, rows)
        _table(console, "dormant", [(fact.name, fact.dormant, _spot(fact.place), "dim") for fact in _dormant(card)])
        _table(console, "claimed | found", [_compared(row) for row in card.comparisons])
        _table(console, "not read", [(item.check, item.reason, str(item.location or ""), "") for item in card.gaps])
        console.line()
    _line(console, f"pgaudit {pgaudit.__version__}", "dim")
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def _compared(row: Comparison) -> tuple[str, str, str, str]:
    said = answer(row)
    both = f"{_figure(row.claimed)} | {_figure(row.found)}"
    return f"{_claim(row)}: {said}", both, _places(row.found), STYLES.get(said, "")


def _line(console: Any, text: str, style: str) -> None:
    console.print(escape.plain(text), style=style, markup=False)


def _table(console: Any, title: str, rows: list[tuple[str, str, str, str]]) -> None:
    """Name, values and place of each row, in columns."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=2)
    grid.add_column(min_width=30)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    grid.expand = True
    for name, told, place, style in rows:
        grid.add_row(
            "", Text(escape.plain(name), style=style), Text(escape.plain(told)), Text(escape.plain(place), style="blue")
        )
    console.line()
    _line(console, title, "bold")
    console.print(grid)


# --- Markdown ------------------------------------------------------------------------------------------------------


def _markdown(card: Card) -> Iterator[str]:
    yield f"### Card: {escape.code(card.folder)}"
    yield ""
    if source := _source(card):
        yield escape.markdown(source)
        yield ""
    if any(not fact.dormant for fact in card.facts):
        yield "| | what | values | place |"
        yield "|---|---|---|---|"
        for category, group in _by_category(card.facts):
            for position, fact in enumerate(group):
                title = "" if position else f"**{category.value}**"
                yield _row(
                    title, escape.markdown(fact.name), escape.markdown(values(fact)), escape.code(_spot(fact.place))
                )
        yield ""
    if card.comparisons:
        yield "| claim | claimed | found | |"
        yield "|---|---|---|---|"
        for row in card.comparisons:
            found = escape.markdown(_figure(row.found))
            if row.found and row.found.places:
                found += f" {escape.code(_spot(row.found.places[0]))}{_more(row.found)}"
            yield _row(escape.markdown(_claim(row)), escape.markdown(_figure(row.claimed)), found, answer(row))
        yield ""
    for title, lines in (
        ("Dormant", [f"{fact.name}: {fact.dormant}, {_spot(fact.place)}" for fact in _dormant(card)]),
        ("Not read", [f"{item.check}: {item.reason}" for item in card.gaps]),
    ):
        if lines:
            yield f"**{title}**"
            yield ""
            yield from (f"- {escape.markdown(line)}" for line in lines)
            yield ""
    yield f"<sub>pgaudit {pgaudit.__version__}</sub>"
    yield ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


# --- JSON ----------------------------------------------------------------------------------------------------------


def document(cards: tuple[Card, ...], origin: Origin) -> dict[str, Any]:
    """The cards as JSON values, by the schema in ``card.schema.json`` beside this module."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "pgaudit", "version": pgaudit.__version__},
        "target": {
            "source": origin.source,
            "pr": origin.pr,
            "head": origin.head,
            "date": origin.date.isoformat() if origin.date else None,
        },
        "cards": [_card(card) for card in cards],
    }


def _card(card: Card) -> dict[str, Any]:
    return {
        "pr": card.pr,
        "folder": card.folder,
        "head": card.head,
        "script": location(card.script) if card.script else None,
        "facts": [_fact(fact) for fact in card.facts],
        "claims": [
            {
                "name": row.name,
                "seed": row.seed,
                "claimed": _side(row.claimed),
                "found": _side(row.found),
                "agrees": row.agrees,
            }
            for row in card.comparisons
        ],
        "gaps": [gap(item) for item in card.gaps],
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "category": fact.category.value,
        "name": fact.name,
        "parameters": [{"name": p.name, "value": p.value, "source": p.source} for p in fact.parameters],
        "location": location(fact.place),
        "dormant": fact.dormant,
    }


def _side(figure: Figure | None) -> dict[str, Any] | None:
    return {"value": figure.value, "locations": [location(place) for place in figure.places]} if figure else None
