"""`python -m replication.roles --data FILE`: the model of bullying roles on your own file of students.

The file stays where it is; nothing of it is kept. What it must hold stands in `--columns`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from replication import paths
from replication.command_line import run_command, typer_command
from replication.errors import ModelError, UserError

__all__ = ["main"]

_app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@_app.command()
def roles(
    data: Annotated[Path | None, typer.Option(help="A CSV file, one student a row.")] = None,
    *,
    columns: Annotated[bool, typer.Option("--columns", help="Print what the file must hold and stop.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler.")] = 2024,
) -> None:
    """Bully, victim and bully/victim against uninvolved: relationship and climate (Thornberg et al. 2022).

    Exit codes: 0 done, 1 something to mend (said in one line).
    """
    if columns:
        _print_columns()
    elif data is None:
        raise UserError("name a file of students with --data FILE; --columns prints what it must hold")
    else:
        _print_posterior(data, seed)


def _print_columns() -> None:
    from replication.dataset.roles_table import ROLES

    for column in ROLES.columns:
        sys.stdout.write(f"{column.name:16} {column.meaning}\n")


def _print_posterior(data: Path, seed: int) -> None:
    from dataclasses import fields

    from replication.dataset.roles_table import load_roles
    from replication.models.bayes.sampled.diagnostics import Failed
    from replication.models.bayes.sampled.roles import sample_roles
    from replication.models.bayes.sampled.roles_data import roles_data
    from replication.models.bayes.sampled.sampling import Settings

    table = load_roles(data)
    # The table's fields are named as roles_data takes them; file and lines are for messages only.
    columns = {f.name: getattr(table, f.name) for f in fields(table) if f.name not in ("file", "lines")}
    try:
        students = roles_data(**columns)
    except ModelError as error:
        raise UserError(f"{data}: {error}") from None
    posterior = sample_roles(students, settings=Settings(seed=seed), compile_dir=paths.cache_dir() / "compiled")
    if isinstance(posterior, Failed):
        # A posterior whose chains disagree is not an estimate with a warning: it is none.
        raise UserError("the fit failed its checks and has no estimate: " + posterior.why)
    sys.stdout.write(f"{'log odds against uninvolved':44} {'mean':>7} {'low':>7} {'high':>7} {'MC error':>9}\n")
    for p in posterior.parameters:
        low, high = p.quantile(0.025), p.quantile(0.975)
        sys.stdout.write(f"{p.name:44} {p.mean:7.3f} {low:7.3f} {high:7.3f} {p.mcse_mean:9.4f}\n")
    for note in (*students.notes, *posterior.notes):
        sys.stdout.write(f"note: {note.message}\n")


def main() -> None:
    """Run the command."""
    run_command(typer_command(_app), stopped="stopped; nothing was kept")


if __name__ == "__main__":
    main()
