"""`python -m replication.run`: check the data, run every analysis, write `reports/latest/` and print the verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replication import paths
from replication.command_line import run_command
from replication.errors import UserError

__all__ = ["main"]

_app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@_app.command()
def run(
    ids: Annotated[list[str] | None, typer.Argument(help="Analyses to run; all when none is named.")] = None,
    *,
    listing: Annotated[bool, typer.Option("--list", help="List the analyses and stop.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Recompute and compare with the stored report; exit 2 on a difference.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report (default: reports/latest, or reports/partial when analyses are named)."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A project (a topic of your own), or a folder of works (default: data/references)."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 means one per core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random number.")] = 2024,
    sampling: Annotated[
        bool, typer.Option("--sampling/--no-sampling", help="Run the models that sample (PyMC); without, seconds.")
    ] = True,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="X.Y.Z", help="Use the dataset as it stood at that version.")
    ] = "",
    release: Annotated[
        str | None, typer.Option(metavar="X.Y.Z", help="Freeze the report as reports/vX.Y.Z and list it.")
    ] = None,
    withdraw: Annotated[
        str | None, typer.Option(metavar="X.Y.Z", help="Flag a released report as withdrawn; give a --reason.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why a release is withdrawn.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Renew analyses/kept, the slow results that a fresh checkout starts with.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Recompute the published numbers and write the report.

    Exit codes: 0 done, 1 something to mend (said in one line) or an analysis failed, 2 --check found a difference.
    """
    from replication import workflow

    dataset = paths.dataset_of(data)  # before anything else is asked of paths: it may name another project
    request = workflow.Request(
        ids=tuple(ids or ()),
        data=dataset,
        # A run of some analyses must not take the place of the whole report.
        out=out.absolute() if out else paths.reports_dir() / _folder(as_of, partial=bool(ids) and not check),
        jobs=jobs,
        seed=seed,
        sampling=sampling,
        as_of=as_of,
        quiet=quiet,
        keep=keep,
    )
    given = {"--list": listing, "--check": check, "--release": release is not None, "--withdraw": withdraw is not None}
    _refuse_together([name for name, asked in given.items() if asked])
    # A release elsewhere, or of other data, would stand in the list of this project's releases.
    if release is not None and (out is not None or dataset != paths.data_dir()):
        raise UserError("--release writes the project's own dataset to reports/vX.Y.Z: leave out --out and --data")
    if listing:
        workflow.print_analyses(request)
    elif check:
        raise typer.Exit(workflow.compare(request))
    elif withdraw is not None:
        workflow.withdraw_release(withdraw, reason)
    elif release is not None:
        raise typer.Exit(workflow.make_release(request, release))
    else:
        raise typer.Exit(workflow.make_report(request))


def _refuse_together(given: list[str]) -> None:
    """Options that each ask for another deed are refused together: one of them would be ignored in silence."""
    if len(given) > 1:
        raise UserError(f"{given[0]} and {given[1]} ask for two different things; run them one after the other")


def _folder(as_of: str, *, partial: bool) -> str:
    if as_of:
        return f"as-of-{as_of}"
    return "partial" if partial else "latest"


def main() -> None:
    """Run the command."""
    run_command(_app, stopped="stopped; the previous report is whole")


if __name__ == "__main__":
    main()
