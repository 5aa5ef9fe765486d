"""What the new samples move: the pool before, the new samples alone, both together, and which samples did it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from replication.analysis.findings.engines import che
from replication.analysis.findings.question import Evidence
from replication.analysis.outcome import Estimate, Figure, Table
from replication.models.multilevel_results import leave_one_cluster_out

__all__ = ["leave_one_sample_out", "update_table"]


def leave_one_sample_out(found: Evidence, whole: Estimate) -> tuple[Table, Figure]:
    """The working model without each sample in turn, and how far that moves the estimate."""
    labels = dict(zip(found.rows["sample_id"], found.rows["label"], strict=True))
    rows, links = [], []
    for left in leave_one_cluster_out(che(found), found.samples):
        if left.fit is None:
            continue  # what remains carries no model; the table's note counts these
        value, low, high = np.tanh([left.fit.beta[0], *left.fit.interval()[0]]).tolist()
        rows.append((str(labels[left.label] or left.label), value, low, high, whole.value - value))
        links.append(left.label)
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
        note=f"{len(labels) - len(rows)} samples could not be left out: what remains carries no model.",
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
