"""WAAP-WLS: the weighted average of the adequately powered studies, or of all where too few have that power.

Sources: Stanley & Doucouliagos (2015, Statistics in Medicine 34:2116) for the unrestricted weighted least squares
average (WLS); Ioannidis, Stanley & Doucouliagos (2017, Economic Journal 127:F236) and Stanley, Doucouliagos &
Ioannidis (2017, Statistics in Medicine 36:1580) for the restriction to studies with 80 % power.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.labels import Label
from replication.models.bias.funnel_asymmetry import fit_weighted_least_squares
from replication.models.bias.inputs import BiasData, bias_data, cluster_robust, without_perfect_fit
from replication.models.fit import Fit, Interval, Note
from replication.models.prepare import list_rows
from replication.models.readable import Readable

__all__ = ["Waap", "waap_wls"]

# 1.96 + 0.84: an effect 2.8 standard errors from 0 is found with 80 % power at two-sided 5 % (the authors' constant).
POWERED = 2.8


@dataclass(frozen=True, slots=True, repr=False)
class Waap(Readable):
    """The average and what it rests on: `used` is "WAAP" (powered studies only) or "WLS" (all).

    `threshold` is the largest standard error with adequate power; `powered` holds the rows at or below it.
    """

    used: Literal["WAAP", "WLS"]
    estimate: float
    se: float
    df: float
    p: float
    interval: Interval
    threshold: float
    powered: tuple[int, ...]
    notes: tuple[Note, ...]
    fit: Fit
    all_studies: Fit


def waap_wls(
    y: ArrayLike,
    v: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Waap:
    """Average the studies with at least 80 % power to find the WLS average of all; all studies if fewer than two.

    `y, v (k,)` effects and sampling variances; `clusters (k,)` labels for a CR2 covariance; `level` of the interval.

    Raises `ModelError` for fewer than two effects or a sampling variance of 0.

    >>> result = waap_wls([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.001, 0.002])
    >>> result.used, result.powered, round(result.estimate, 4)
    ('WAAP', (2, 3), 0.2167)
    """
    data = bias_data(y, v, fewest=2, method="WAAP-WLS")
    everyone = _average(data, np.ones(data.k, dtype=bool), np.size(y), clusters, level)
    # The bar is the average of all studies: where selection has inflated it, power is overstated too.
    threshold = abs(float(everyone.beta[0])) / POWERED
    powered = data.se <= threshold
    # One study has no residuals, and with them no standard error.
    enough = bool(powered.sum() >= 2)
    fit = _average(data, powered, np.size(y), clusters, level) if enough else everyone
    low, high = fit.interval()[0]
    return Waap(
        used="WAAP" if enough else "WLS",
        estimate=float(fit.beta[0]),
        se=float(fit.se[0]),
        df=float(fit.df[0]),
        p=float(fit.p[0]),
        interval=Interval(float(low), float(high), level, "wald"),
        threshold=threshold,
        powered=_rows(data, powered),
        notes=data.notes + fit.notes + _power_notes(data, powered),
        fit=fit,
        all_studies=everyone,
    )


def _average(
    data: BiasData,
    used: NDArray[np.bool_],
    passed: int,
    clusters: ArrayLike | None,
    level: float,
) -> Fit:
    """Weighted least squares on the effects in use: weights `1 / v`, one dispersion, t test.

    The others become NaN rows, so that the fit's row numbers and the clusters stay those of the arrays `passed`.
    """
    y, v = np.full(passed, np.nan), np.full(passed, np.nan)
    rows = list(_rows(data, used))
    y[rows], v[rows] = data.y[used], data.v[used]
    fit = fit_weighted_least_squares(y, v, level=level)
    fit = replace(fit, notes=tuple(note for note in fit.notes if note.code != "excluded-rows"))
    fit = fit if clusters is None else cluster_robust(fit, clusters)
    return without_perfect_fit(fit, y, np.ones((passed, 1)))


def _rows(data: BiasData, chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(data.effects.rows[i] for i in np.flatnonzero(chosen))


def _power_notes(data: BiasData, powered: NDArray[np.bool_]) -> tuple[Note, ...]:
    count = int(powered.sum())
    if count < 2:
        message = f"{count} of {data.k} studies with adequate power, fewer than two: all are averaged."
        return (Note("few-powered", message, label=Label("note_few_powered", {"powered": count, "k": data.k})),)
    rows = _rows(data, ~powered)
    told = Label("note_underpowered", {"rows": len(rows)})
    return (Note("underpowered-rows", f"{list_rows(rows)} left out: too little power.", rows, told),) if rows else ()
