"""The commands of somebody who hands in a file: take, tidy, matrix, form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from replication import paths
from replication.study.command_options import Data, Out, Work, ask_decimal, deliver, next_command

__all__ = ["form", "matrix", "practice", "take", "tidy"]


def take(
    file: Annotated[Path, typer.Argument(help="The workbook (.xlsx) or the file the form has saved (.json).")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the tables of a work that is in no released version yet.")
    ] = False,
    data: Data = None,
) -> None:
    """Turn a filled workbook, or the file of the form, into the work's folder; it must have nothing to mend."""
    from replication.study.handing_in import read_submission
    from replication.study.submission import submission_as_told, take_submission

    submission = read_submission(file)
    if sys.stdin.isatty():
        submission = submission_as_told(submission, ask_decimal)
    folder = take_submission(paths.dataset_of(data), submission, replace_work=replace)
    lines = (
        f"Made {folder} from {file.name}. See what it changes:",
        f"  {next_command('preview', folder.name, data)}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def form(out: Out = Path("study-form.html"), data: Data = None) -> None:
    """Write the form: one HTML file that opens from disk, in which a study is entered and saved for `take`."""
    from replication.dataset.loading import read_vocabulary
    from replication.study.form import form_html

    deliver(form_html(read_vocabulary(paths.dataset_of(data))), out, "The form:")


def practice(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")] = Path("practice"), data: Data = None
) -> None:
    """Make a folder to practise in: an invented article and a copy of the dataset in which nothing can be spoilt."""
    from replication.study.new import make_practice

    made = make_practice(paths.dataset_of(data), folder)
    sys.stdout.write(
        f"Made {made}: article.md is an invented article, references is a copy of the dataset.\n"
        f"Add --data {made / 'references'} to each command while you practise.\n"
    )


def tidy(work: Work, data: Data = None) -> None:
    """Store the tables of a work plainly (UTF-8, commas, decimal points), however a spreadsheet saved them."""
    from replication.study.checking import work_folder
    from replication.study.tables import tidied

    folder = work_folder(paths.dataset_of(data), work)
    changed = tidied(folder, ask_decimal if sys.stdin.isatty() else None)
    said = f"Stored plainly: {', '.join(changed)}." if changed else "All tables are stored plainly already."
    sys.stdout.write(said + "\n")


def matrix(
    work: Work,
    file: Annotated[str, typer.Argument(help="A text file with the table as pasted; - reads it from the terminal.")],
    variables: Annotated[
        str,
        typer.Option(
            help='What each variable is, in order: "positive=closeness@student, -, engagement=scale@teacher".'
        ),
    ] = "",
    sample: Annotated[str, typer.Option(help="sample_id; where the work has one sample it need not be given.")] = "",
    n: Annotated[str, typer.Option(help="Persons behind the correlations; the sample's n where not given.")] = "",
    design: Annotated[str, typer.Option(help="cross-sectional or longitudinal.")] = "",
    source: Annotated[str, typer.Option(help="Address or DOI.")] = "",
    locator: Annotated[str, typer.Option(help="Page and table.")] = "",
    reading: Annotated[str, typer.Option(help="Grade of reading.")] = "table",
    write: Annotated[bool, typer.Option("--write", help="Add the rows to effects.csv and descriptives.csv.")] = False,
    data: Data = None,
) -> None:
    """Turn a correlation matrix as printed, with M, SD and alpha beside it, into rows: one for each pair."""
    from replication.dataset import readable_dataset
    from replication.study.matrix import read_matrix, read_variables
    from replication.study.matrix_rows import MatrixPlace, matrix_rows, write_matrix
    from replication.writing import exclusive

    root = paths.dataset_of(data)
    # A table pasted at the terminal has used up what an answer would be read from.
    read = read_matrix(_pasted(file), ask_decimal if sys.stdin.isatty() and file != "-" else None)
    dataset = readable_dataset(root)
    # Shown first: what each variable is can only be said of variables one has seen numbered.
    if not variables:
        listed = "\n".join(f"  {i}. {label}" for i, label in enumerate(read.labels, 1))
        example = ", ".join(["positive=closeness@student", *["-"] * (len(read.labels) - 1)])
        sys.stdout.write(
            f"Read {len(read.labels)} variables and {len(read.pairs)} correlations{read.gaps}:\n{listed}\n"
            f'Say what each is, in this order, "-" for one to leave out:\n  --variables "{example}"\n'
        )
        return
    place = MatrixPlace(work=work, sample=sample, n=n, design=design, source=source, locator=locator, reading=reading)
    rows = matrix_rows(root, dataset, place, read, read_variables(variables, read, dataset.vocabulary))
    for row in rows.effects:
        pair = f"{row['var_a']} ({row['measure_a']}) with {row['var_b']} ({row['measure_b']})"
        sys.stdout.write(f"{row['effect_id']}: {pair}: r {row['value']}, n {row['n']} {row['flags']}".rstrip() + "\n")
    # A slip in one cell often shows in no cell alone, but in a matrix that cannot be.
    if read.impossible:
        sys.stdout.write("warning: no complete data can have all these correlations at once; look them up again\n")
    if write:
        with exclusive(root):  # ids are given anew: somebody may have taken them meanwhile
            said_of = read_variables(variables, read, dataset.vocabulary)
            rows = matrix_rows(root, readable_dataset(root), place, read, said_of)
            write_matrix(root, place, rows)
        said = f"Added {len(rows.effects)} rows to {work}/effects.csv and {len(rows.descriptives)} to descriptives.csv"
        sys.stdout.write(f"{said}; now check it: {next_command('check', work, data)}\n")
    else:
        sys.stdout.write("Nothing is written; --write adds the rows.\n")


def _pasted(file: str) -> str:
    from replication.errors import UserError

    if file == "-":
        return sys.stdin.read()
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); give a text file with the pasted table") from error
    from replication.dataset.spreadsheets import decode

    try:
        return decode(content)[0]
    except UnicodeDecodeError:
        raise UserError(f"{file} is no text; paste the table into a text file and save it as UTF-8") from None
