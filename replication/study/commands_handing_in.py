"""The commands of somebody who hands in a file: take, tidy, matrix, form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from replication import paths
from replication.study.command_options import Data, Work

__all__ = ["take", "tidy"]


def take(
    file: Annotated[Path, typer.Argument(help="The workbook (.xlsx) or the file the form has saved (.json).")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the tables of a work that is in no released version yet.")
    ] = False,
    data: Data = None,
) -> None:
    """Turn a filled workbook, or the file of the form, into the work's folder; it must have nothing to mend."""
    from replication.study.handing_in import read_submission
    from replication.study.submission import take_submission

    submission = read_submission(file)
    folder = take_submission(data or paths.data_dir(), submission, replace_work=replace)
    lines = (
        f"Made {folder} from {file.name}. See what it changes:",
        f"  python -m replication.study preview {folder.name}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


def tidy(work: Work, data: Data = None) -> None:
    """Store the tables of a work plainly (UTF-8, commas, decimal points), however a spreadsheet saved them."""
    from replication.study.checking import work_folder
    from replication.study.tables import tidied

    folder = work_folder(data or paths.data_dir(), work)
    changed = tidied(folder)
    said = f"Stored plainly: {', '.join(changed)}." if changed else "All tables are stored plainly already."
    sys.stdout.write(said + "\n")
