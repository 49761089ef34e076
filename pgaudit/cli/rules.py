"""``pgaudit rules``: list, explain and test the rulebook."""

from __future__ import annotations

from typing import Annotated

import typer

from pgaudit.errors import ExitCode, NothingToAudit, TargetError

app = typer.Typer(help="The rulebook: list, explain, test.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_rules() -> None:
    """Every rule: its id, what it leads to, and its title."""
    from pgaudit import rulebook

    book = rulebook.load()
    width = max((len(entry.rule.id) for entry in book), default=0)
    for entry in book:
        rule = entry.rule
        typer.echo(f"{rule.id:{width}}  {rule.severity.value:7}  {rule.leads_to:7}  {rule.title}")


@app.command()
def explain(rule_id: Annotated[str, typer.Argument(metavar="ID", help="For example ngram/target-in-key.")]) -> None:
    """One rule: what it flags, why, by which rulings, how it decides, how to fix it."""
    from pgaudit import rulebook
    from pgaudit.output.wording import citation

    entry = rulebook.load().get(rule_id)
    if entry is None:
        raise TargetError(f"there is no rule {rule_id!r}", hint="`pgaudit rules list` names them all")
    rule = entry.rule
    typer.echo(f"{rule.id}\n\n{rule.page}\n\n## Rulings")
    for ruling in rule.rulings:
        typer.echo(f"- {citation(ruling)}")
    typer.echo(f"\n## Examples\n{entry.examples}")


@app.command("test")
def check_examples(
    which: Annotated[str | None, typer.Argument(metavar="[ID|PATH]", help="One rule, or one Markdown file.")] = None,
) -> None:
    """Check the rulebook against its own legal and illegal twins."""
    from pgaudit import examples, rulebook

    book = rulebook.load()
    chosen = examples.sections(book, which)
    if not chosen:
        raise NothingToAudit(f"no examples for {which or book.directory}")
    failures = [failure for section in chosen for failure in examples.check(section, book)]
    failures += examples.contract(book) if which is None else []
    for failure in failures:
        typer.echo(failure)
    typer.echo(f"{len(chosen)} examples, {len(failures)} failures")
    raise typer.Exit(ExitCode.INTERNAL if failures else ExitCode.CLEAN)
