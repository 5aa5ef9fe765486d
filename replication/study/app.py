"""`python -m replication.study`: the commands, and how errors are said."""

from __future__ import annotations

import typer

from replication.command_line import run_command
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
    ("compute", keeping.compute),
    ("todo", keeping.todo),
    ("versions", keeping.versions),
    ("export", keeping.export),
    ("codebook", keeping.codebook),
):
    _app.command(_name)(_command)
# A value to settle may be a negative number, which is no option.
_app.command("settle", context_settings={"ignore_unknown_options": True})(keeping.settle)


def main() -> None:
    """Run a command."""
    run_command(_app, stopped="stopped; nothing was written")
