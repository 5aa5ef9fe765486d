"""From coders' tables to the work's own: what all agree on, and what was settled."""

from __future__ import annotations

import csv
import io

from replication.dataset.columns import TABLES
from replication.errors import UserError
from replication.study.coding.comparing import Comparison
from replication.study.coding.reading import Coders

__all__ = ["merged_tables"]


def merged_tables(coders: Coders, comparison: Comparison) -> dict[str, str]:
    """The text of each double-coded table, ready to write.

    Raises
    ------
    UserError
        while a cell is not settled, or a row is not with every coder.
    """
    if comparison.open or comparison.alone:
        raise UserError(
            f"{len(comparison.open)} disagreements are not settled and {len(comparison.alone)} rows are not with every "
            f"coder; settle them first: python -m replication.study settle {coders.work} …"
        )
    tables = sorted({field.table for field in comparison.fields})
    return {table: _merged(coders, table) for table in tables}


def _merged(coders: Coders, table: str) -> str:
    rows = coders.tables[table][coders.names(table)[0]]
    used = {name for row in rows.values() for name, cell in row.items() if cell}
    used |= {column for name, _, column in coders.settled if name == table}
    required = {column.name for column in TABLES[table].columns if column.required}
    header = [name for name in TABLES[table].by_name if name in used | required]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row, cells in rows.items():
        decided = {name: coders.settled.get((table, row, name)) for name in header}
        writer.writerow([decision.value if (decision := decided[name]) else cells.get(name, "") for name in header])
    return text.getvalue()
