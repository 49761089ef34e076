"""The commands of ``pgaudit`` and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from pgaudit.cli import card, corpus, fix, probe, reproduce, rules, scan, sweep


def version(asked: bool) -> None:
    """Print what decides a verdict: the program, the rulebook and the policy edition."""
    if not asked:
        return
    import pgaudit
    from pgaudit import policy, rulebook

    edition = policy.load().edition_at(None).since
    typer.echo(f"pgaudit {pgaudit.__version__}, rulebook {rulebook.load().digest}, policy edition {edition}")
    raise typer.Exit


app = typer.Typer(
    name="pgaudit",
    help="The referee for OpenAI's Parameter Golf: audits submissions without running them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,  # pgaudit.__main__ reports internal errors
)
app.command()(scan.scan)
app.command()(card.card)
app.command()(fix.fix)
app.command()(probe.probe)
app.command()(reproduce.reproduce)
app.command()(sweep.sweep)
app.command()(corpus.corpus)
app.add_typer(rules.app, name="rules")


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=version, is_eager=True, help="Name program, rulebook and policy edition."),
    ] = False,
) -> None:
    """Exit status: 0 clean, 1 internal error, 2 usage, 3 nothing to audit, 4 incomplete, 10 findings (--fail-on)."""
