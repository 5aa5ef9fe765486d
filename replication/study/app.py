"""`python -m replication.study`: the commands, and how errors are said."""

from __future__ import annotations

import sys

import typer

from replication.errors import UserError
from replication.study import commands_adding as adding
from replication.study import commands_keeping as keeping

__all__ = ["main"]

_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Add a study, check it, see what it changes; keep the dataset. Six steps stand in CONTRIBUTING.md.",
)
for _name, _command in (
    ("new", adding.new),
    ("check", adding.check),
    ("answer", adding.answer),
    ("convert", adding.convert),
    ("preview", adding.preview),
    ("agree", keeping.agree),
    ("settle", keeping.settle),
    ("compute", keeping.compute),
    ("todo", keeping.todo),
    ("versions", keeping.versions),
    ("export", keeping.export),
    ("codebook", keeping.codebook),
):
    _app.command(_name)(_command)


def main() -> None:
    """Run a command; a user's error is one plain message and exit code 1, never a traceback."""
    try:
        code = _app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        sys.exit(_say(str(error)))
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_say("stopped; nothing was written"))
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        sys.exit(_say(f"{error.format_message()} (see --help)"))


def _say(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1
