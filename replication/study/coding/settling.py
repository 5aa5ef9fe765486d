"""Recording what was decided where coders differ."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from replication.dataset.cells import check_cells, stack
from replication.dataset.columns import SETTLED, TABLES, Table
from replication.dataset.problems import nearest
from replication.dataset.reading import RawTable
from replication.dataset.vocabulary import Vocabulary
from replication.errors import UserError
from replication.provenance import write_atomic
from replication.study.coding.comparing import Comparison, Disagreement
from replication.study.coding.reading import Settled

__all__ = ["record_settled"]


def record_settled(
    folder: Path, comparison: Comparison, vocabulary: Vocabulary, place: tuple[str, str, str], decided: Settled
) -> Disagreement:
    """Write one decision to `coders/settled.csv`; a later decision on the same cell takes its place.

    Parameters
    ----------
    folder : the work's folder.
    comparison : the coders of that work, compared.
    vocabulary : of the dataset, which the value must fit.
    place : table, row and column.
    decided : the value, who decided and why.

    Raises
    ------
    UserError
        when the coders do not differ there, or the value does not fit the column.
    """
    differing = {(d.table, d.row, d.column): d for d in comparison.disagreements}
    if place not in differing:
        known = [" ".join(entry) for entry in differing]
        raise UserError(f"the coders do not differ in {' '.join(place)}: {nearest(' '.join(place), known)}")
    table, _, column = place
    _fits(TABLES[table], column, decided.value, vocabulary)
    if not decided.who.strip() or not decided.why.strip():
        raise UserError("say who decided (--who) and why (--why); a later reader needs both")
    path = folder / "coders" / SETTLED.name
    rows = [row for row in _present(path) if tuple(row[:3]) != place]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SETTLED.by_name)
    writer.writerows([*rows, [*place, decided.value, decided.who, decided.why]])
    write_atomic(path, text.getvalue())
    return differing[place]


def _fits(table: Table, column: str, value: str, vocabulary: Vocabulary) -> None:
    """The value in the column, by the rules of the dataset's own check."""
    raw = RawTable("settled", (column,), ((value,),), (1,))
    for problem in check_cells(stack([raw], table), vocabulary):
        hint = f" → {problem.hint}" if problem.hint else ""
        raise UserError(f"found {problem.found} for {column}; expected {problem.expected}{hint}")


def _present(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [[row.get(name) or "" for name in SETTLED.by_name] for row in rows]
