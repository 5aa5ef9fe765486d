"""The commands of somebody who keeps the dataset: agree, settle, compute, todo, versions, export, codebook."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replication import paths
from replication.study.commands_adding import Data, Out, Work, deliver

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.study.coding import Coders, Comparison

__all__ = ["agree", "codebook", "compute", "export", "settle", "todo", "versions"]


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
    from replication.provenance import write_atomic
    from replication.study.checking import work_folder
    from replication.study.coding import merged_tables
    from replication.study.coding.agreement import agreement_of
    from replication.study.coding.showing import agreement_html, agreement_lines, merged_line

    root = data or paths.data_dir()
    coders, comparison = _coders(root, work)
    fields = agreement_of(comparison)
    sys.stdout.write("\n".join(agreement_lines(comparison, fields)) + "\n")
    if out is not None:
        deliver(agreement_html(comparison, fields), out)
    if write:
        folder = work_folder(root, work)
        for merged in merged_tables(folder, coders, comparison):
            write_atomic(folder / merged.table, merged.text)
            sys.stdout.write(f"{merged_line(work, merged)}\n")
    return 1 if comparison.open or comparison.undecided else 0


def settle(
    work: Work,
    row: Annotated[str, typer.Argument(help="Id of the row.")],
    column: Annotated[
        str, typer.Argument(help="The column on which the coders differ; row, where only some have the row.")
    ],
    value: Annotated[
        str,
        typer.Argument(
            help='What it should be, "" for an empty cell, after -- where it begins with a minus; '
            "keep or drop for a row."
        ),
    ],
    who: Annotated[str, typer.Option(help="Who decided.")] = "",
    why: Annotated[str, typer.Option(help="Why.")] = "",
    table: Annotated[str, typer.Option(help="The table.")] = "effects.csv",
    data: Data = None,
) -> None:
    """Record what was decided where coders differ: a cell, or whether a row belongs that only some of them have."""
    from replication.study.checking import work_folder
    from replication.study.coding import record_settled
    from replication.study.coding.reading import Settled

    root = data or paths.data_dir()
    _, comparison = _coders(root, work)
    vocabulary = _readable(root).vocabulary
    record_settled(work_folder(root, work), comparison, vocabulary, (table, row, column), Settled(value, who, why))
    sys.stdout.write(f"Recorded in {work}/coders/settled.csv.\n")


def compute(
    sample: Annotated[str, typer.Argument(help="sample_id of the survey sample, e.g. timss2019_tur_g5.")],
    file: Annotated[
        list[Path], typer.Option(help="The public file you have (.sav .dta .rda .csv); again for a second one.")
    ],
    write: Annotated[bool, typer.Option("--write", help="Add the rows that are not in the dataset yet.")] = False,
    data: Data = None,
) -> int:
    """Recompute a survey sample's correlations from the public file, by its recipe, beside what is stored.

    Exit codes: 0 as stored (or new), 1 something stored comes out otherwise or not at all.
    """
    from replication.dataset.columns import TABLES
    from replication.study import computing
    from replication.study.tables import add_rows

    root = data or paths.data_dir()
    dataset = _readable(root)
    work, recipe = computing.recipe_of(dataset, sample)
    found = computing.compare_with_stored(dataset, work, recipe, file, sample)
    sys.stdout.write("\n".join(computing.computed_lines(found)) + "\n")
    if write:
        taken = set(dataset.effects["effect_id"])
        rows = computing.effect_rows(found.rows, recipe, dataset.version, taken)
        add_rows(root / work / "effects.csv", TABLES["effects.csv"], rows)
        sys.stdout.write(f"Added {len(rows)} rows to {work}/effects.csv.\n")
    return 0 if found.reproduced else 1


def todo(
    work: Annotated[str, typer.Argument(help="Make the coding sheet of this work.")] = "",
    leads: Annotated[bool, typer.Option("--leads", help="Show studies nobody has opened, too.")] = False,
    out: Out = None,
    data: Data = None,
) -> None:
    """What is still to be read, where it stands, and how much it would tell; or one work's coding sheet."""
    from replication.analysis.reading_list import reading_list
    from replication.dataset import load_dataset
    from replication.study.todo import coding_sheet, todo_lines

    dataset = load_dataset(data or paths.data_dir())
    entries = reading_list(dataset)
    text = coding_sheet(entries, dataset, work) if work else "\n".join(todo_lines(entries, dataset, leads=leads)) + "\n"
    deliver(text, out, "Wrote")


def versions(
    analysis: Annotated[str, typer.Argument(help="Id of the analysis, e.g. engagement.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Compare today with this dataset version, e.g. 1.0.0.")] = "",
    published: Annotated[str, typer.Option(help="Compare today with the rows this published work used.")] = "",
    out: Out = None,
    data: Data = None,
) -> None:
    """An analysis as published or as of a version, and as of today: rows that differ, and what moved the estimate."""
    from replication.analysis import analysis_files, choose, load_analysis
    from replication.dataset import load_dataset
    from replication.errors import UserError
    from replication.study.history import compare_states, history_html, history_lines

    if bool(as_of) == bool(published):
        raise UserError("give either --as-of VERSION or --published WORK")
    today = load_dataset(data or paths.data_dir())
    before = today.as_of(as_of) if as_of else today.as_published(published)
    name = f"as of {as_of}" if as_of else f"as published in {published}"
    path = choose(analysis_files(paths.analyses_dir()), [analysis])[analysis]
    history = compare_states(load_analysis(path), ((name, before), ("today", today)))
    sys.stdout.write("\n".join(history_lines(history)) + "\n")
    if out is not None:
        deliver(history_html(history), out)


def export(
    out: Annotated[Path, typer.Option(help="Folder of the export; an earlier export there is replaced.")] = Path(
        "export"
    ),
    as_of: Annotated[str, typer.Option("--as-of", help="Export this dataset version.")] = "",
    data: Data = None,
) -> None:
    """Write the dataset as a Frictionless data package, with files for metafor and metaSEM and an R script."""
    from replication.dataset import load_dataset
    from replication.study.exporting import export_dataset

    root = data or paths.data_dir()
    dataset = load_dataset(root)
    exported = export_dataset(dataset.as_of(as_of) if as_of else dataset, out, root / "references.bib")
    listed = ", ".join(f"{rows} {name}" for name, rows in exported.rows.items())
    sys.stdout.write(f"Wrote {exported.folder}: {listed}.\n")


def codebook(
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the files are up to date; exit 1 if not.")
    ] = False,
    data: Data = None,
) -> int:
    """Write the codebook (README.md of the dataset) and the JSON Schemas for editors."""
    from replication.provenance import write_atomic
    from replication.study import codebook as book
    from replication.study.schemas import schema_files

    root = data or paths.data_dir()
    vocabulary = _readable(root).vocabulary
    files = {root / "README.md": book.codebook(vocabulary)}
    files |= {root.parent / "schemas" / name: text for name, text in schema_files(vocabulary).items()}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            write_atomic(path, files[path])
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path}\n")
    return 1 if check and stale else 0


def _coders(root: Path, work: str) -> tuple[Coders, Comparison]:
    from replication.dataset import format_problems
    from replication.errors import DataError
    from replication.study.checking import work_folder
    from replication.study.coding import compare_coders, read_coders

    folder = work_folder(root, work)
    coders, problems = read_coders(folder, _readable(root).vocabulary)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise DataError(f"mend this first:\n{format_problems(errors)}", tuple(errors))
    return coders, compare_coders(coders)


def _readable(root: Path) -> Dataset:
    """The dataset as far as it can be read."""
    from replication.dataset import check_dataset, format_problems
    from replication.errors import DataError

    checked = check_dataset(root, [])
    if checked.readable is None:
        raise DataError(format_problems(checked.problems), checked.problems)
    return checked.readable
