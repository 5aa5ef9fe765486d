"""How far coders agree, field by field: percentage, Cohen's and weighted kappa, Fleiss' kappa, intraclass correlation.

Kappas are statsmodels'. The intraclass correlation is ICC(A,1), absolute agreement of single coders in a two-way
random model, with the interval of McGraw & Wong (1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from replication.models.fit import Array
from replication.models.probability import NORMAL_95, wilson_interval
from replication.study.coding.comparing import Comparison, FieldPairs
from replication.study.coding.same import same_value

__all__ = ["FieldAgreement", "Icc", "agreement_of", "icc_agreement"]

_ORDERED = {  # vocabularies whose words have an order: near misses count less in weighted kappa
    "school_level": ("preschool", "primary", "secondary", "higher"),
    "direction": ("-", "0", "+"),
    "screen": ("adjacent", "exclude", "doubtful"),
}


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """Agreement on one column. NaN means not defined for this kind of field; `note` says why where it should be.

    `n` cells at least one coder filled; `agreed` of them are the same for all, `low` to `high` is Wilson's interval.
    """

    table: str
    column: str
    n: int
    agreed: int
    low: float
    high: float
    kappa: float = math.nan
    kappa_low: float = math.nan
    kappa_high: float = math.nan
    weighted_kappa: float = math.nan
    icc: float = math.nan
    icc_low: float = math.nan
    icc_high: float = math.nan
    note: str = ""

    @property
    def share(self) -> float:
        """The share of cells that agree."""
        return self.agreed / self.n


@dataclass(frozen=True, slots=True)
class Icc:
    """An intraclass correlation with its interval."""

    value: float
    low: float
    high: float


def agreement_of(comparison: Comparison) -> tuple[FieldAgreement, ...]:
    """Agreement on every column that somebody filled."""
    return tuple(_field(field) for field in comparison.fields)


def _field(field: FieldPairs) -> FieldAgreement:
    together = list(zip(*field.cells, strict=True))
    agreed = sum(same_value(field.column, cells) for cells in together)
    # Wilson's interval holds near 100 %, where agreement usually lies and Wald's has no width.
    base = (field.table, field.column.name, len(together), agreed, *wilson_interval(agreed, len(together)))
    if field.column.kind in ("number", "integer"):
        return _with_icc(field, base)
    if field.column.kind == "word":
        return _with_kappa(field, base)
    return FieldAgreement(*base)


def _with_icc(field: FieldPairs, base: tuple[str, str, int, int, float, float]) -> FieldAgreement:
    complete = [cells for cells in zip(*field.cells, strict=True) if all(cells)]
    ratings = np.array([[float(cell) for cell in cells] for cells in complete])
    if len(complete) < 3 or np.ptp(ratings.mean(axis=1)) == 0:  # no cell differs from another: nothing to agree on
        return FieldAgreement(*base, note="too few different numbers for an intraclass correlation")
    icc = icc_agreement(ratings)
    return FieldAgreement(*base, icc=icc.value, icc_low=icc.low, icc_high=icc.high)


def _with_kappa(field: FieldPairs, base: tuple[str, str, int, int, float, float]) -> FieldAgreement:
    from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

    words = sorted({cell for cells in field.cells for cell in cells})
    if len(words) < 2:
        return FieldAgreement(*base, note="one word only: kappa is not defined")
    if len(field.coders) > 2:
        counts, _ = aggregate_raters(np.array(field.cells).T)
        return FieldAgreement(*base, kappa=float(fleiss_kappa(counts)), note="Fleiss' kappa, three or more coders")
    order = _ORDERED.get(field.column.vocabulary, ())
    ordered = bool(order) and set(words) <= set(order)
    # Weights go by the distance of levels, so unused ones are left out and the order is that of the vocabulary.
    levels = [word for word in order if word in words] if ordered else words
    table = _cross_table(field, levels)
    if table.sum() == np.trace(table):  # statsmodels' variance of a perfect kappa can fall below 0 by rounding
        return FieldAgreement(*base, kappa=1.0, kappa_low=1.0, kappa_high=1.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # no variance where one word makes up nearly everything
        result = cohens_kappa(table)
    spread = NORMAL_95 * float(result.std_kappa)
    weighted = (
        float(cohens_kappa(table, wt="linear", return_results=False)) if ordered and len(levels) > 2 else math.nan
    )
    kappa = float(result.kappa)
    return FieldAgreement(
        *base,
        kappa=kappa,
        kappa_low=max(-1.0, kappa - spread),
        kappa_high=min(1.0, kappa + spread),
        weighted_kappa=weighted,
    )


def _cross_table(field: FieldPairs, levels: list[str]) -> Array:
    place = {word: i for i, word in enumerate(levels)}
    table = np.zeros((len(levels), len(levels)))
    for a, b in zip(field.cells[0], field.cells[1], strict=True):
        table[place[a], place[b]] += 1
    return table


def icc_agreement(ratings: Array) -> Icc:
    """ICC(A,1) of `ratings (n, k)`, n cells by k coders, with its 95 % interval.

    Source: McGraw & Wong (1996), tables 4 and 7, case 2A.

    >>> ratings = np.array([[9.0, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> round(icc_agreement(ratings).value, 2)
    0.29
    """
    n, k = ratings.shape
    rows, columns, grand = ratings.mean(axis=1), ratings.mean(axis=0), ratings.mean()
    msr = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    msc = n * float(((columns - grand) ** 2).sum()) / (k - 1)
    rest = ratings - rows[:, None] - columns[None, :] + grand
    mse = float((rest**2).sum()) / ((n - 1) * (k - 1))
    icc = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    # Perfect agreement: the interval's formulas would divide by 0.
    if mse <= 1e-12 * msr and msc <= 1e-12 * msr:
        return Icc(1.0, 1.0, 1.0)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    df = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    upper, lower = stats.f.isf(0.025, n - 1, df), stats.f.isf(0.025, df, n - 1)
    noise = k * msc + (k * n - k - n) * mse
    low = n * (msr - upper * mse) / (upper * noise + n * msr)
    high = n * (lower * msr - mse) / (noise + n * lower * msr)
    return Icc(icc, float(low), float(high))
