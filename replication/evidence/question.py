"""Which rows bear on a question, oriented so that their sign means one thing.

Rows of a negative relationship are turned when both relationships are asked for together: the value is then that of
relationship quality. Every candidate that is not used is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.dataset import Dataset, Selection, select
from replication.effects.covariance import constant_correlation
from replication.evidence.pooling import effect_sizes
from replication.models.fit import Array

__all__ = ["Evidence", "Question", "Source", "evidence", "sample_means"]

Source = Literal["samples45", "new", "together"]
RELATIONSHIPS = ("positive", "negative")
FROM_AFAR = ("abstract", "second-hand note", "title page")  # not read in the work itself
ALTERNATIVE = {
    ("victimization", "bullied-item"): "one of the items of the victimization measure in the same sample",
    ("positive", "teachint"): "teacher enthusiasm: not a relationship measure in the strict sense",
    ("victimization", "is3g20a-f"): "another scoring of the same answers: the survey's own scale counts",
    ("engagement", "s-schpart"): "civic participation: not engagement in learning",
    ("engagement", "s-valparts"): "civic participation: not engagement in learning",
}


@dataclass(frozen=True, slots=True)
class Question:
    """An association asked about: relationship constructs, the outcome, and a label. `quality` turns negative ones."""

    id: str
    label: str
    relationships: tuple[str, ...]
    outcome: str

    @property
    def quality(self) -> bool:
        """Whether positive and negative relationships are taken together, the negative ones turned."""
        return len(self.relationships) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Rows of one source for a question: oriented Fisher z `y (k,)`, variances `v (k,)` and the sample of each row.

    `rows` has the columns of `effects` and, of the measures on both sides, `form_rel`, `form_out` and `facet`.
    """

    question: Question
    source: Source
    selection: Selection
    rows: pd.DataFrame
    y: Array
    v: Array

    @property
    def samples(self) -> Array:
        """The sample of each row `(k,)`."""
        return self.rows["sample_id"].to_numpy()

    def take(self, mask: NDArray[np.bool_]) -> Evidence:
        """The same for some rows only."""
        kept = Selection(self.selection.rows[mask].reset_index(drop=True), self.selection.excluded)
        rows = self.rows[mask].reset_index(drop=True)
        return Evidence(self.question, self.source, kept, rows, self.y[mask], self.v[mask])


def evidence(data: Dataset, question: Question, source: Source) -> Evidence:
    """The rows of `source` that bear on `question`, with every exclusion on the way."""
    found = [_candidates(data, relationship, question.outcome, source) for relationship in question.relationships]
    rows = pd.concat([s.rows for s in found], ignore_index=True)
    selection = Selection(rows, tuple(e for s in found for e in s.excluded))
    y, v = effect_sizes(selection)
    turned = _relationship_side(rows, "var") == "negative" if question.quality else np.zeros(len(rows), dtype=bool)
    sign = np.where(turned, -1.0, 1.0)
    return Evidence(question, source, selection, _with_measures(data, rows).assign(sign=sign), sign * y, v)


def sample_means(found: Evidence, rho: float = 0.6) -> Evidence:
    """One row a sample: the mean of its z, with the variance of a mean of rows that correlate by `rho`.

    The rows of a sample share their persons; their sampling errors correlate. 0.6 is the value of the robust variance
    literature (Tanner-Smith & Tipton, 2014) and is varied in the working models beside this one.
    """
    groups = [np.flatnonzero(found.samples == s) for s in pd.unique(found.rows["sample_id"])]
    first = [int(g[0]) for g in groups]
    y = np.array([found.y[g].mean() for g in groups])
    v = np.array([_mean_variance(found.v[g], rho) for g in groups])
    kept = Selection(found.selection.rows.iloc[first].reset_index(drop=True), found.selection.excluded)
    return Evidence(found.question, found.source, kept, found.rows.iloc[first].reset_index(drop=True), y, v)


def _mean_variance(v: Array, rho: float) -> float:
    return float(constant_correlation(v, rho).sum()) / len(v) ** 2


def _candidates(data: Dataset, relationship: str, outcome: str, source: Source) -> Selection:
    everything = select(data, pair=(relationship, outcome))
    selection = everything.keep(
        lambda r: ~r["reading"].isin(FROM_AFAR),
        "coded from an abstract: a convenience set, too few and too skewed to pool",
    )
    public = selection.rows["work"] == "roorda2011"
    in_source = {"samples45": public, "new": ~public, "together": public | ~public}[source]
    selection = Selection(selection.rows[in_source].reset_index(drop=True), selection.excluded)
    selection = selection.keep(lambda r: r["subgroup_of"] == "", "a part of another sample: it would count twice")
    for (variable, measure), reason in ALTERNATIVE.items():
        selection = selection.keep(partial(_without, variable, measure), reason)
    return selection


def _without(variable: str, measure: str, rows: pd.DataFrame) -> pd.Series:
    one = (rows["var_a"] == variable) & (rows["measure_a"] == measure)
    return ~(one | ((rows["var_b"] == variable) & (rows["measure_b"] == measure)))


def _relationship_side(rows: pd.DataFrame, column: str) -> Array:
    """The cell of `column`_a or `column`_b, whichever is the relationship's side."""
    first = rows["var_a"].isin(RELATIONSHIPS)
    return np.where(first, rows[f"{column}_a"], rows[f"{column}_b"])


def _outcome_side(rows: pd.DataFrame, column: str) -> Array:
    first = rows["var_a"].isin(RELATIONSHIPS)
    return np.where(first, rows[f"{column}_b"], rows[f"{column}_a"])


def _with_measures(data: Dataset, rows: pd.DataFrame) -> pd.DataFrame:
    measures = data.measures
    known = {
        (work, variable, measure): (form, facet)
        for work, variable, measure, form, facet in zip(
            *(measures[c] for c in ("work", "variable", "measure", "form", "facet")), strict=True
        )
    }

    def look(side: str, at: int) -> Sequence[str]:
        pick = _relationship_side if side == "rel" else _outcome_side
        keys = zip(rows["work"], pick(rows, "var"), pick(rows, "measure"), strict=True)
        return [known.get(key, ("", ""))[at] for key in keys]

    return rows.assign(
        relationship=_relationship_side(rows, "var"),
        form_rel=look("rel", 0),
        form_out=look("out", 0),
        facet=look("out", 1),
    )
