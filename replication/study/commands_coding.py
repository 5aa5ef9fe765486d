"""The commands of coders who read the same work: agree, settle."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replication import paths
from replication.study.command_options import Data, Out, Work, deliver

if TYPE_CHECKING:
    from replication.study.coding import Coders, Comparison

__all__ = ["agree", "settle"]


def agree(
    work: Work,
    write: Annotated[
        bool, typer.Option("--write", help="Write the agreed and settled rows to the work's tables.")
    ] = False,
    out: Out = None,
    data: Data = None,
) -> int:
    """How far the coders of a work agree, field by field, and every disagreement with what was settled.

    Exit codes: 0 everything is settled, 1 something is open.
    """
    from replication.study.checking import work_folder
    from replication.study.coding import merged_tables
    from replication.study.coding.agreement import agreement_of
    from replication.study.coding.showing import agreement_html, agreement_lines, merged_line
    from replication.writing import exclusive, write_together

    root = paths.dataset_of(data)
    # Reading alone needs no lock: two coders may look at once.
    with exclusive(root) if write else nullcontext():
        coders, comparison = _coders(root, work)
        fields = agreement_of(comparison)
        sys.stdout.write("\n".join(agreement_lines(comparison, fields)) + "\n")
        if out is not None:
            deliver(agreement_html(comparison, fields), out)
        if write:
            made = merged_tables(work_folder(root, work), coders, comparison)
            write_together(root, {f"{work}/{merged.table}": merged.text for merged in made})
            sys.stdout.writelines(f"{merged_line(work, merged)}\n" for merged in made)
    return 1 if comparison.open or comparison.undecided else 0


def settle(
    work: Work,
    row: Annotated[str, typer.Argument(help="Id of the row; all for every row.")],
    column: Annotated[
        str,
        typer.Argument(
            help="The column on which the coders differ; row, where only some have the row; all for every one."
        ),
    ],
    value: Annotated[
        str,
        typer.Argument(
            help='What it should be, "" for an empty cell, after -- where it begins with a minus; '
            "keep or drop for a row; @name for what that coder wrote."
        ),
    ],
    who: Annotated[str, typer.Option(help="Who decided.")] = "",
    why: Annotated[str, typer.Option(help="Why.")] = "",
    table: Annotated[str, typer.Option(help="The table.")] = "effects.csv",
    data: Data = None,
) -> None:
    """Record what was decided where coders differ: a cell, or whether a row belongs that only some of them have."""
    from replication.dataset import readable_dataset
    from replication.study.checking import work_folder
    from replication.study.coding import record_settled, settle_many
    from replication.study.coding.coders import Settled
    from replication.study.coding.settling import EVERY
    from replication.writing import exclusive

    root = paths.dataset_of(data)
    with exclusive(root):
        _, comparison = _coders(root, work)
        vocabulary = readable_dataset(root).vocabulary
        decided = Settled(value, who, why)
        if row == EVERY:
            count = settle_many(work_folder(root, work), comparison, vocabulary, (table, column), decided)
        else:
            record_settled(work_folder(root, work), comparison, vocabulary, (table, row, column), decided)
            count = 1
    sys.stdout.write(f"Recorded in {work}/coders/settled.csv{f': {count} decisions' if count > 1 else ''}.\n")


def _coders(root: Path, work: str) -> tuple[Coders, Comparison]:
    from replication.dataset import format_problems, readable_dataset
    from replication.errors import DataError
    from replication.study.checking import work_folder
    from replication.study.coding import compare_coders, matched, read_coders

    folder = work_folder(root, work)
    coders, problems = read_coders(folder, readable_dataset(root).vocabulary)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise DataError(f"mend this first:\n{format_problems(errors)}", tuple(errors))
    coders = matched(coders)
    return coders, compare_coders(coders)
