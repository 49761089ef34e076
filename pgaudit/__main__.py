"""Entry point of the ``pgaudit`` command: runs it, and turns what goes wrong into one line and an exit status."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback

from pgaudit.errors import ExitCode, PgauditError

ISSUES = "please report it with the command you ran; PGAUDIT_DEBUG=1 shows where"


def main() -> None:
    """Run the command line. Ends in ``SystemExit`` with an ``ExitCode``."""
    # A scan lives for half a second and makes next to no cycles; collecting would be a third of libcst's import.
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 still gets the whole report
    from pgaudit.cli.app import app

    try:
        app()
    except PgauditError as error:
        fail(str(error), error.hint, error.exit_code)
    except Exception as error:  # noqa: BLE001 -- the last resort: one line instead of a traceback
        fail(f"internal error: {type(error).__name__}: {error}", ISSUES, ExitCode.INTERNAL)
    finally:
        gc.freeze()  # the interpreter's last collection would walk every syntax tree once more


def fail(message: str, hint: str, status: ExitCode) -> None:
    """End with one line on standard error and, where there is one, a way out."""
    from pgaudit.output.escape import plain

    if os.environ.get("PGAUDIT_DEBUG"):
        traceback.print_exc()
    print(f"pgaudit: {plain(message)}", file=sys.stderr)
    if hint:
        print(f"  hint: {plain(hint)}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
