"""An analysis as published, as of a dataset version, and as of today: what differs, and what moved the estimate."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from replication.analysis import Analysis
from replication.analysis.difference import Difference, RowChange, Step, compare, row_changes, steps
from replication.dataset import Dataset
from replication.errors import UserError
from replication.study.previewing import run_quickly, shown_estimate
from replication.study.rendering import figure_parts, page, table, worded

__all__ = ["History", "compare_states", "history_html", "history_lines"]


@dataclass(frozen=True, slots=True)
class History:
    """Two states of the dataset under one analysis: the rows it uses that differ. `steps` are by estimate id."""

    before: str
    after: str
    difference: Difference
    rows: tuple[RowChange, ...]
    steps: dict[str, tuple[Step, ...]]


def compare_states(analysis: Analysis, states: tuple[tuple[str, Dataset], tuple[str, Dataset]]) -> History:
    """Run the analysis on an earlier and a later state and take the difference apart.

    Parameters
    ----------
    analysis : which one.
    states : name and dataset of the earlier and of the later state.

    Raises
    ------
    UserError
        when neither state can carry the analysis.
    """
    (old_name, before), (new_name, after) = states
    old, new = run_quickly(analysis, before), run_quickly(analysis, after)
    if old is None and new is None:
        raise UserError(f"{analysis.id} cannot be computed {old_name}, nor {new_name}")
    changes = row_changes(before, after)
    difference = compare(old, new, changes)
    used = [set(e.rows) for outcome in (old, new) if outcome for e in outcome.estimates]
    # Rows this analysis never uses may have changed as well, and would only hide those that matter.
    rows = set().union(*used)
    own = [change for change in changes if change.row in rows]
    moved = steps(before, after, partial(_values, analysis), own)
    return History(old_name, new_name, difference, tuple(own), moved)


def _values(analysis: Analysis, dataset: Dataset) -> dict[str, float]:
    outcome = run_quickly(analysis, dataset)
    return {estimate.id: estimate.value for estimate in outcome.estimates} if outcome else {}


def history_lines(history: History) -> Iterator[str]:
    """The comparison for a terminal."""
    yield f"{worded(history.difference.title)}: {history.before}, then {history.after}"
    counts = {kind: sum(row.change == kind for row in history.rows) for kind in ("new", "gone", "changed")}
    yield f"rows: {counts['new']} new, {counts['gone']} gone, {counts['changed']} changed"
    if not history.difference:
        yield "No estimate and no verdict differs."
    for change in history.difference.estimates:
        yield f"\n{worded(change.label)}"
        yield f"  {history.before}: {shown_estimate(change.before)}"
        yield f"  {history.after}: {shown_estimate(change.after)}"
        for step in history.steps.get(change.id, ()):
            yield f"    {step.moved:+.3f} by {step.work} ({step.rows} rows), which gives {step.value:.3f}"
    for verdict in history.difference.verdicts:
        yield f"{verdict.claim}: {verdict.before or '(not there)'} → {verdict.after or '(gone)'}"


def history_html(history: History) -> str:
    """The comparison as a page."""
    heads = ("Estimate", history.before, history.after)
    rows = [(worded(c.label), shown_estimate(c.before), shown_estimate(c.after)) for c in history.difference.estimates]
    parts = [table(heads, rows) if rows else "<p>No estimate differs.</p>"]
    for change in history.difference.estimates:
        if history.steps.get(change.id):
            moves = [(s.work, str(s.rows), f"{s.moved:+.4f}", f"{s.value:.4f}") for s in history.steps[change.id]]
            parts.append(f"<h2>What moved: {html.escape(worded(change.label))}</h2>")
            parts.append(table(("Rows of", "rows", "moved by", "estimate then"), moves))
    parts += figure_parts(history.difference.figures, 2)
    if history.rows:
        listed = [(r.row, r.work, r.change, r.before, r.after) for r in history.rows]
        parts += ["<h2>Rows that differ</h2>", table(("Row", "Work", "", history.before, history.after), listed)]
    return page(f"{worded(history.difference.title)}: {history.before}, then {history.after}", parts, figures=True)
