"""What to read next, as tables: each entry in the order of how much it would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from replication.analysis.outcome import Cell, Findings, Table
from replication.analysis.reading_list import ToRead

__all__ = ["reading_findings"]

KINDS = {
    "coefficient": "only its direction is known",
    "unreadable": "printed, but it could not be read",
    "check": "quoted by somebody else",
    "tables": "missing from what is held of the work",
}


def reading_findings(entries: Sequence[ToRead]) -> Findings:
    """One row an entry; studies that nobody has opened are counted, since they have a list of their own."""
    works = [entry for entry in entries if entry.kind != "lead"]
    leads = len(entries) - len(works)
    table = Table(
        id="reading-list",
        title="What to read, most telling first",
        columns=("work", "what", "where", "would weigh", "settles"),
        rows=tuple(_row(entry) for entry in works),
        links=tuple(entry.work for entry in works),
        note="Would weigh: the share of the pool's weight that a sample of that n would have; empty where no pool "
        "waits. An n in brackets is the median of the dataset, where the work's own is not known. Settles: claims. "
        f"{leads} studies that nobody has opened are listed as leads.",
    )
    return Findings(tables=(table,))


def _row(entry: ToRead) -> tuple[Cell, ...]:
    weighs = ""
    if math.isfinite(entry.tells):
        n = f"n {entry.n:,.0f}" if entry.n_known else f"(n {entry.n:,.0f})"
        weighs = f"{100 * entry.tells:.0f} % of {entry.question}, {n}"
    return (entry.work, f"{KINDS[entry.kind]}: {entry.what}", entry.where, weighs, len(entry.rows))
