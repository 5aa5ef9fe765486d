"""Recording what was decided where coders differ, and the command that does it."""

from __future__ import annotations

import csv
import io
import re
import shlex
from pathlib import Path

from replication.dataset.cells import check_cells, stack
from replication.dataset.problems import nearest, shown
from replication.dataset.reading import RawTable
from replication.dataset.schema import SETTLED, TABLES, Table, Vocabulary
from replication.errors import UserError
from replication.study.coding.coders import DROP, KEEP, PRESENCE, Settled
from replication.study.coding.comparing import Alone, Comparison, Disagreement
from replication.study.keys import check_text
from replication.writing import write_atomic

__all__ = ["EVERY", "record_settled", "settle_command", "settle_many"]

EVERY = "all"
"""In place of a row or a column: every open one."""

_PLAIN = re.compile(r"[\w.,:/-]+", re.ASCII)
# Free of what a POSIX shell or Windows changes inside double quotes.
_QUOTABLE = re.compile(r'[^"$`\\!%]+')
_OPTIONS = {"who": "--who", "why": "--why", "settled": "the value"}


def settle_command(work: str, table: str, row: str, column: str, value: str = "VALUE") -> str:
    """The command that settles one cell, or whether a row belongs, to be copied to a terminal as it is.

    A number stands last, after `--`, so that it may begin with a minus.

    >>> settle_command("alpha2020", "measures.csv", "positive care", "row", "keep")
    'python -m replication.study settle alpha2020 "positive care" row keep --table measures.csv --who "…" --why "…"'
    """
    of = "" if table == "effects.csv" else f" --table {_quoted(table)}"
    command = f"python -m replication.study settle {_quoted(work)} {_quoted(row)} {_quoted(column)}"
    options = f'{of} --who "…" --why "…"'
    declared = TABLES[table].by_name.get(column) if table in TABLES else None
    # A value such as -.32 would be read as an option where nothing says that options have ended.
    signed = declared is not None and declared.kind in ("number", "printed")
    return f"{command}{options} -- {value}" if signed else f"{command} {value}{options}"


def record_settled(
    folder: Path, comparison: Comparison, vocabulary: Vocabulary, place: tuple[str, str, str], decided: Settled
) -> Disagreement | Alone:
    """Write one decision to `coders/settled.csv`; a later decision on the same cell takes its place.

    Parameters
    ----------
    folder : the work's folder.
    comparison : the coders of that work, compared.
    vocabulary : of the dataset, which the value must fit.
    place : table, row and column; the column `row` is whether a row belongs that not every coder has.
    decided : the value (`keep` or `drop` for a row), who decided and why.

    Raises
    ------
    UserError
        when the coders do not differ there, the value does not fit the column, or who and why cannot be kept.
    """
    entry = _differing(comparison, place)
    if isinstance(entry, Alone):
        _fits_presence(decided.value)
    else:
        _fits(TABLES[place[0]], place[2], decided.value, vocabulary)
    cells = _record(place, decided, vocabulary)
    path = folder / "coders" / SETTLED.name
    rows = [row for row in _present(path) if tuple(row[:3]) != place]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SETTLED.by_name)
    writer.writerows([*rows, cells])
    write_atomic(path, text.getvalue())
    return entry


def settle_many(
    folder: Path, comparison: Comparison, vocabulary: Vocabulary, columns: tuple[str, str], decided: Settled
) -> int:
    """Settle every open disagreement of a table in a column, or in all of them; how many there were.

    Parameters
    ----------
    columns : the table, and a column, `row` for rows that only some coders have, or `all`.
    decided : the value, or `@name` for what that coder wrote; for rows keep or drop.

    Raises
    ------
    UserError
        when nothing is open there, or no coder has that name; nothing is written then.
    """
    table, column = columns
    cells = [d for d in comparison.open if d.table == table and column in (EVERY, d.column)]
    rows = [entry for entry in comparison.undecided if entry.table == table and column == PRESENCE]
    if not cells and not rows:
        raise UserError(f"nothing is open in {table}, column {column}; python -m replication.study agree shows what is")
    # All values first: an unknown coder's name must stop the command before anything is written.
    values = [(entry, _value_of(entry, decided.value)) for entry in cells]
    for entry, value in values:
        place = (table, entry.row, entry.column)
        record_settled(folder, comparison, vocabulary, place, Settled(value, decided.who, decided.why))
    for alone in rows:
        record_settled(folder, comparison, vocabulary, (table, alone.row, PRESENCE), decided)
    return len(cells) + len(rows)


def _value_of(entry: Disagreement, value: str) -> str:
    """The value itself, or what the coder named after @ wrote."""
    if not value.startswith("@"):
        return value
    if value[1:] not in entry.values:
        raise UserError(f"no coder {shown(value[1:])} of {entry.row}: {nearest(value[1:], entry.values)}")
    return entry.values[value[1:]]


def _differing(comparison: Comparison, place: tuple[str, str, str]) -> Disagreement | Alone:
    """What is to be decided at a place; a UserError says what else is, or that nothing is."""
    known: dict[tuple[str, str, str], Disagreement | Alone] = {
        (entry.table, entry.row, entry.column): entry for entry in comparison.disagreements
    }
    known |= {(entry.table, entry.row, PRESENCE): entry for entry in comparison.alone}
    if place in known:
        return known[place]
    only = next((entry for entry in comparison.alone if (entry.table, entry.row) == place[:2]), None)
    if only is not None and not only.kept:
        keep = settle_command(comparison.work, only.table, only.row, PRESENCE, KEEP)
        raise UserError(
            f"only {', '.join(only.having)} has the row {shown(only.row)}; settle first whether it belongs, "
            f"by {KEEP} or {DROP}: {keep}"
        )
    names = [" ".join(entry) for entry in known]
    hint = nearest(" ".join(place), names) if names else "they differ in nothing, so there is nothing to settle"
    raise UserError(f"the coders do not differ in {' '.join(place)}: {hint}")


def _record(place: tuple[str, str, str], decided: Settled, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The row of `settled.csv`, by the rules of that file: what it would refuse is never written."""
    who, why = check_text("--who", decided.who), check_text("--why", decided.why)
    if not who or not why:
        raise UserError("say who decided (--who) and why (--why); a later reader needs both")
    cells = (*place, decided.value, who, why)
    raw = RawTable(SETTLED.name, tuple(SETTLED.by_name), (cells,), (1,))
    for problem in check_cells(stack([raw], SETTLED), vocabulary):
        name = _OPTIONS.get(problem.column, problem.column)
        raise UserError(f"found {problem.found} for {name}; expected {problem.expected} → {problem.hint}")
    return cells


def _fits_presence(value: str) -> None:
    if value not in (KEEP, DROP):
        hint = nearest(value, (KEEP, DROP))
        raise UserError(f"found {shown(value)} for the row; expected {KEEP} (it belongs) or {DROP} (not) → {hint}")


def _fits(table: Table, column: str, value: str, vocabulary: Vocabulary) -> None:
    """The value in the column, by the rules of the dataset's own check."""
    # A table of one cell, so that the rule is the check's own and not a second one like it.
    raw = RawTable("settled", (column,), ((value,),), (1,))
    for problem in check_cells(stack([raw], table), vocabulary):
        hint = f" → {problem.hint}" if problem.hint else ""
        raise UserError(f"found {problem.found} for {column}; expected {problem.expected}{hint}")


def _quoted(text: str) -> str:
    """A word as a shell takes it; double quotes where they do, for they work on every system."""
    if _PLAIN.fullmatch(text):
        return text
    return f'"{text}"' if _QUOTABLE.fullmatch(text) else shlex.quote(text)


def _present(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [[row.get(name) or "" for name in SETTLED.by_name] for row in rows]
