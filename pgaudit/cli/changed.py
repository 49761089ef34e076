"""``pgaudit changed``: scan or fix the record folders of some files, as pre-commit hooks name them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from pgaudit.errors import ExitCode, NothingToAudit
from pgaudit.report import FailOn


class Action(StrEnum):
    """What is done to each record folder."""

    SCAN = "scan"
    FIX = "fix"


def changed(
    action: Annotated[Action, typer.Argument(help="What to do to each record folder.")],
    files: Annotated[list[str], typer.Argument(help="Files that changed, from the root of the repository.")],
    fail_on: Annotated[FailOn, typer.Option(help="The weakest finding that gives exit status 10.")] = FailOn.ERROR,
) -> None:
    """Scan or fix the record folders that hold the files, for a pre-commit hook. The worst exit status counts."""
    from pgaudit.cli.fix import fix
    from pgaudit.cli.scan import scan
    from pgaudit.collect.layout import record_folders

    status = ExitCode.CLEAN
    run: Callable[[str], None] = partial(scan, fail_on=fail_on) if action is Action.SCAN else fix
    for folder in sorted(record_folders(files)):
        try:
            run(folder)
        except NothingToAudit:
            continue  # a folder with data alone, say; the others are still to be looked at
        except typer.Exit as end:
            status = max(status, ExitCode(end.exit_code))
    raise typer.Exit(status)
