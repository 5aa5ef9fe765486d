"""What the new samples move: the pool before, the new samples alone, both together, and which samples did it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replication.analysis.findings.engines import che, in_r
from replication.analysis.findings.question import Evidence
from replication.analysis.outcome import Estimate, Figure, Table

__all__ = ["leave_one_sample_out", "update_table"]


def leave_one_sample_out(found: Evidence, whole: Estimate) -> tuple[Table, Figure]:
    """The working model without each sample in turn, and how far that moves the estimate."""
    rows, links = [], []
    for sample in dict.fromkeys(found.samples):
        rest = in_r(che(found.take(found.samples != sample)), found, f"without-{sample}", str(sample))
        label = str(found.rows.loc[found.samples == sample, "label"].iloc[0] or sample)
        rows.append((label, rest.value, rest.low, rest.high, whole.value - rest.value))
        links.append(str(sample))
    order = np.argsort([-abs(row[4]) for row in rows])
    rows, links = [rows[i] for i in order], [links[i] for i in order]
    key = f"{found.question.id}-{found.source}"
    title = f"{found.question.label}: without each sample in turn"
    table = Table(
        id=f"leave-one-out-{key}",
        title=title,
        columns=("without", "r", "low", "high", "this sample moves r by"),
        rows=tuple(rows),
        links=tuple(links),
    )
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("label", "value", "low", "high"))}
    figure = Figure(
        id=f"leave-one-out-{key}",
        kind="leave_one_out",
        title=title,
        columns={**columns, "row": links},
        settings={"metric": "r", "summary": whole.value, "summary_low": whole.low, "summary_high": whole.high},
    )
    return table, figure


def update_table(key: str, label: str, steps: Sequence[tuple[str, Estimate]]) -> Table:
    """Before, new, together: the same model on each body of evidence."""
    rows = tuple((name, e.value, e.low, e.high, e.tau2, e.k, e.samples, e.n) for name, e in steps)
    columns = ("evidence", "r", "low", "high", "tau2 (z)", "effects", "samples", "students")
    links = tuple(e.id for _, e in steps)
    return Table(id=f"update-{key}", title=f"{label}: what the update moves", columns=columns, rows=rows, links=links)
