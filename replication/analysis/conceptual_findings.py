"""What open files say to a cited study's question: stored results, set against the direction the study reports.

The verdicts of printed numbers are not used here: another sample and other measures cannot MATCH a number. A result
agrees, points the other way, or its interval holds zero and says neither.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from replication.analysis.outcome import Cell, Findings, Label, Ref, Sentence, Table, numbers
from replication.dataset import Dataset
from replication.dataset.conceptual_records import ConceptualRecord, agreement

__all__ = ["conceptual_findings"]

Row = Mapping[str, Any]
_COLUMNS = ("outcome", "cut", "scale", "term", "estimate", "low", "high", "n", "clusters", "expected", "agreement")


def conceptual_findings(data: Dataset, work: str) -> Findings:
    """A table for each record of the work and a sentence that counts what agrees; nothing where there is no record."""
    records = data.conceptual.get(work, ())
    rows = list(data.columns("conceptual.csv").of_works([work]).records())
    tables = tuple(_table(record, [row for row in rows if row["record"] == record.id]) for record in records)
    # A record nobody has computed yet has no results to show.
    tables = tuple(table for table in tables if table.rows)
    if not tables:
        return Findings()
    said = Counter(agreement(row["expected"], row["ci_low"], row["ci_high"]) for row in rows)
    counts = {word: said[word] for word in ("agrees", "opposite", "inconclusive")}
    values = numbers({"k": sum(counts.values()), **counts}, Ref("table", tables[0].id))
    return Findings(tables=tables, sentences=(Sentence("conceptual.summary", values),))


def _table(record: ConceptualRecord, rows: Sequence[Row]) -> Table:
    same, differs = "; ".join(record.same), "; ".join(record.differs)
    return Table(
        id=f"conceptual-{record.id}",
        title=record.question,
        columns=_COLUMNS,
        rows=tuple(_cells(row) for row in rows),
        note=Label(
            "conceptual_note",
            {
                "source": f"{record.source} ({'; '.join(record.file)})",
                "same": same,
                "differs": differs,
                "scales": f"conceptual_scales_{record.model}",
                "level": 0.95,
            },
        ),
    )


def _cells(row: Row) -> tuple[Cell, ...]:
    cut, clusters = row["cut"], row["clusters"]
    numbers = (float(row["estimate"]), float(row["ci_low"]), float(row["ci_high"]))
    said = agreement(row["expected"], row["ci_low"], row["ci_high"])
    return (
        row["outcome"],
        None if math.isnan(cut) else float(cut),
        row["scale"],
        row["term"],
        *numbers,
        int(row["n"]),
        None if math.isnan(clusters) else int(clusters),
        row["expected"],
        said,
    )
