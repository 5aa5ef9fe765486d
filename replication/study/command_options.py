"""What several commands share: their options, questions at a terminal, and handing a text to a file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Data", "Out", "Work", "ask_decimal", "deliver", "next_command"]

Data = Annotated[
    Path | None, typer.Option(help="A project (a topic of your own), or a folder of works (default: data/references).")
]
Out = Annotated[Path | None, typer.Option(help="Write to this file.")]
Work = Annotated[str, typer.Argument(help="Key of the work, e.g. smith2024.")]


def deliver(text: str, out: Path | None, said: str = "The page:") -> None:
    """To a file, said in a line, or to standard output.

    Raises
    ------
    UserError
        when the file cannot be written.
    """
    # Imported here: `--help` should not wait for anything it does not need.
    from replication.errors import UserError
    from replication.writing import write_atomic

    if out is None:
        sys.stdout.write(text)
        return
    if out.is_dir():
        raise UserError(f"{out} is a folder; name a file to write to, e.g. --out {out / 'page.html'}")
    try:
        write_atomic(out, text)
    except OSError as error:
        reason = (error.strerror or "it cannot be written").lower()
        raise UserError(f"{out} cannot be written ({reason}); name another file with --out") from error
    sys.stdout.write(f"{said} {out}\n")


def next_command(command: str, subject: object, data: Path | None) -> str:
    """The command to run next, as it is typed: about the same dataset as the one that was just run.

    >>> next_command("check", "smith2024", Path("practice/references"))
    'python -m replication.study check smith2024 --data practice/references'
    """
    where = [] if data is None else ["--data", str(data)]
    return shlex.join(["python", "-m", "replication.study", command, str(subject), *where])


def ask_decimal(place: str, cell: str) -> bool:
    """Whether the comma of a number is a decimal comma, as whoever sits at the terminal says."""
    from replication.dataset.spreadsheets import readings

    decimal, thousands = readings(cell)
    question = f"{place}: {cell} is {decimal} with a decimal comma, {thousands} with a comma of thousands. Which one"
    answer = ""
    while answer not in (decimal, thousands):  # no usual answer: one that is taken unread would be a guess
        answer = str(typer.prompt(question)).strip()
    return answer == decimal
