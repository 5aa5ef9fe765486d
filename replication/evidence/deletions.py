"""Leaving samples out of a pool, one at a time: which carry the mean and which the heterogeneity, drawn and listed.

Called by `finding`. A fit without each sample serves the table, both figures and Cook's distances: it is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Figure, Label, Table, Text, of, refs
from replication.effects.correlation import back_to_r
from replication.evidence.plots import paged, sample_names
from replication.evidence.question import Evidence
from replication.models.fit import Fit
from replication.models.multilevel.cluster_influence import cluster_influence, cluster_pull
from replication.models.multilevel.results import LeftOut, leave_one_cluster_out

__all__ = ["Deletions", "deletions", "influence_table", "leave_one_out_figures"]

# Of more samples than these those are left out that move the mean most and that carry most heterogeneity.
MOST_LEFT_OUT = 120
MOST_MOVING, MOST_CARRYING = 40, 20


@dataclass(frozen=True, slots=True, eq=False)
class Deletions:
    """The fits `without` samples, one at a time; the `others` that were not left out move r by at most `most` each.

    That limit is at the variances of the whole fit. With few samples every one is left out, and there are no others.
    """

    without: tuple[LeftOut, ...]
    others: int = 0
    most: float = 0.0


def deletions(found: Evidence, fit: Fit) -> Deletions:
    """The same model without each sample in turn, or without those that matter, where there are hundreds.

    A fit without each of k samples takes k times the time of one, and nobody reads k lines: beyond `MOST_LEFT_OUT` it
    is those that move the mean most and those that carry most of the heterogeneity, both by one formula for all.
    """
    names = set(found.samples.tolist())
    if len(names) <= MOST_LEFT_OUT:
        return Deletions(leave_one_cluster_out(fit, found.samples))
    pull = cluster_pull(fit, found.samples)
    moves = np.abs(back_to_r(fit.beta[0]) - back_to_r(fit.beta[0] - pull.change[:, 0]))
    moving, carrying = np.argsort(-moves, kind="stable"), np.argsort(-pull.heterogeneity, kind="stable")
    chosen = np.isin(np.arange(len(moves)), [*moving[:MOST_MOVING], *carrying[:MOST_CARRYING]])
    without = leave_one_cluster_out(fit, found.samples, only={pull.labels[c] for c in np.flatnonzero(chosen)})
    return Deletions(without, int((~chosen).sum()), float(moves[~chosen].max()))


def leave_one_out_figures(found: Evidence, left_out: Deletions, whole: Estimate) -> tuple[Table, tuple[Figure, ...]]:
    """The fits without samples in turn, and how far each moves the mean: a table, and the figure over its pages."""
    names, rows, links = sample_names(found), [], []
    for left in left_out.without:
        if left.fit is None:
            continue  # what remains carries no model; the table's note counts these
        value, low, high = back_to_r([left.fit.beta[0], *left.fit.interval()[0]]).tolist()
        rows.append((names[left.label], value, low, high, whole.value - value))
        links.append(left.label)
    order = sorted(range(len(rows)), key=lambda i: -abs(rows[i][4]))
    rows, links = [rows[i] for i in order], [links[i] for i in order]
    key = f"{found.question.id}-{found.source}"
    title = of(found.question.label, "without_each_sample")
    missing = len(names) - len(rows)
    note: Text = Label("not_left_out", {"missing": missing}) if missing else ""
    if left_out.others:
        note = Label("left_out_chosen", {"shown": len(rows), "n": len(names), "others": missing, "most": left_out.most})
    table = Table(
        id=f"leave-one-out-{key}",
        title=title,
        columns=("without", "r", "low", "high", "sample_moves_r"),
        rows=tuple(rows),
        links=refs("row", links),
        note=note,
    )
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("label", "value", "low", "high"))}
    settings: dict[str, Cell] = {"metric": "r", "summary": whole.value, "summary_low": whole.low,
                                 "summary_high": whole.high, "estimate": whole.id}  # fmt: skip
    figure = Figure(id=f"leave-one-out-{key}", kind="leave_one_out", title=title, settings=settings,
                    columns={**columns, "row": links}, note=note if left_out.others else "")  # fmt: skip
    return table, paged(figure)


def influence_table(found: Evidence, fit: Fit, left_out: Deletions) -> tuple[Table, Figure]:
    """Which samples carry the heterogeneity and which the mean: Baujat's plot and Cook's distance by sample.

    Of the samples that were left out; shares of heterogeneity are of that of all.
    """
    names, result = sample_names(found), cluster_influence(fit, found.samples, left_out.without)
    labels = [names.get(label, label) for label in result.labels]
    shares = 100 * result.heterogeneity / result.heterogeneity.sum()
    # In r, as the page is; the change itself is on z.
    moves = back_to_r(fit.beta[0]) - back_to_r(fit.beta[0] - result.change[:, 0])
    tried = {left.label for left in left_out.without}
    order = [i for i in np.argsort(-np.nan_to_num(result.cook, nan=-1.0), kind="stable") if result.labels[i] in tried]
    drawn = sorted(order)
    others = {"shown": len(order), "n": len(labels), "share": 100.0 - float(shares[order].sum())}
    note = Label("influential_chosen", others) if left_out.others else "influential_note"
    key = f"{found.question.id}-{found.source}"
    rows = tuple(
        (labels[i], float(shares[i]), *_defined(moves[i], result.cook[i]), "yes" if result.influential[i] else "no")
        for i in order
    )
    table = Table(
        id=f"influence-{key}",
        title=of(found.question.label, "which_samples_carry"),
        columns=("sample", "per_cent_of_heterogeneity", "moves_r_by", "cooks_distance", "influential"),
        rows=rows,
        links=refs("row", (result.labels[i] for i in order)),
        note=note,
    )
    columns: dict[str, Sequence[Cell]] = {
        "label": [labels[i] for i in drawn],
        "x": shares[drawn].tolist(),
        "y": result.influence[drawn].tolist(),
        "row": [result.labels[i] for i in drawn],
    }
    figure = Figure(id=f"baujat-{key}", kind="baujat", title=of(found.question.label, "baujat_by_sample"),
                    columns=columns, note=note if left_out.others else "")  # fmt: skip
    return table, figure


def _defined(*numbers: float) -> tuple[Cell, ...]:
    return tuple(float(number) if np.isfinite(number) else None for number in numbers)
