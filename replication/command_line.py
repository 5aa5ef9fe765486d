"""Running a command: a user's error is one plain message and exit code 1, never a traceback."""

from __future__ import annotations

import os
import sys

import typer

from replication.errors import UserError

__all__ = ["run_command"]


def run_command(app: typer.Typer, stopped: str) -> None:
    """Run a command and exit with its code, or with one plain message and 1; `stopped` is said when interrupted."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        sys.exit(_say(str(error)))
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_say(stopped))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # who read the output has gone; nothing more can be said there
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(_say(f"{place}{error.strerror or error}; check that it exists and may be written to"))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        sys.exit(_say(f"{error.format_message()} (see --help)"))


def _say(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1
