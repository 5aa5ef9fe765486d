"""Where data and statistics meet: selected rows -> Fisher z with variances -> fit -> `Estimate`.

Correlations are pooled on Fisher's z with variance 1 / (n - 3), where n is the effective n if the row has one, and
shown as r. tau2 stays on the z scale and says so.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import Estimate, Figure, Text
from replication.dataset import Selection
from replication.effects.correlation import back_to_r, fisher_z_variance, n_for_variance, to_fisher_z
from replication.errors import DataError
from replication.models.fit import Array, Fit
from replication.models.options import Tau2Method, TestMethod
from replication.models.prediction import prediction_interval
from replication.models.probability import NORMAL_95
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["Pooled", "effect_sizes", "estimate_r", "forest", "pool"]

_SMALLEST_N = 4


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """A pool: the rows, their z and variances `(k,)`, the fit on the z scale and the estimate in r."""

    selection: Selection
    y: Array
    v: Array
    fit: Fit
    estimate: Estimate


def effect_sizes(selection: Selection) -> tuple[Array, Array]:
    """Fisher z `(k,)` and variances `(k,)` of the selected correlations.

    Raises
    ------
    DataError
        for units mixed, a correlation of exactly 1, or an n below 4; the message names the row.
    """
    rows = selection.rows
    # Asked again here, where it counts, although a selection cannot mix units either.
    units = sorted(set(rows["unit"]))
    if len(units) > 1:
        raise DataError(f"rows of different units ({', '.join(units)}) are never pooled; select one unit")
    n = n_for_variance(rows["n"], rows["n_effective"])
    r = rows["value"].to_numpy(float)
    for bad, why in ((n < _SMALLEST_N, "has an n below 4"), (np.abs(r) >= 1, "is a correlation of 1 or beyond")):
        if bad.any():
            row = rows.loc[bad, "effect_id"].iloc[0]
            raise DataError(f"{row} {why}, so it has no Fisher z variance; exclude it with a reason")
    return to_fisher_z(r), fisher_z_variance(n)


def pool(
    selection: Selection,
    *,
    id: str,  # noqa: A002
    label: Text,
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    group: str = "",
) -> Pooled:
    """Random-effects pool of one row per sample.

    Raises
    ------
    DataError
        when a sample has more than one row: they share persons and need a multilevel model.
    """
    repeated = selection.rows["sample_id"][selection.rows["sample_id"].duplicated()]
    if len(repeated):
        raise DataError(f"sample {repeated.iloc[0]} has several rows; they share persons: use a multilevel model")
    y, v = effect_sizes(selection)
    fit = fit_random_effects(y, v, method=method, test=test)
    return Pooled(selection, y, v, fit, estimate_r(fit, selection, id=id, label=label, group=group))


def estimate_r(
    fit: Fit,
    selection: Selection,
    *,
    id: str,  # noqa: A002
    label: Text,
    group: str = "",
    extra: Mapping[str, Text] | None = None,
) -> Estimate:
    """The intercept of a fit on Fisher z as an `Estimate` in r; tau2, its interval and the se stay on the z scale.

    With several levels tau2 is the sum of their variances, and has no interval.
    """
    low, high = back_to_r(fit.interval()[0])
    prediction = prediction_interval(fit)
    tau2 = [component.estimate for component in fit.components if np.isfinite(component.estimate)]
    # Intervals of single variances do not add up to one of their sum.
    interval = fit.components[0].interval if len(fit.components) == 1 else None
    rows = selection.rows
    return Estimate(
        id=id,
        label=label,
        metric="r",
        value=float(back_to_r(fit.beta[0])),
        low=float(low),
        high=float(high),
        se=float(fit.se[0]),
        p=float(fit.p[0]),
        prediction_low=float(back_to_r(prediction.low)),
        prediction_high=float(back_to_r(prediction.high)),
        tau2=float(sum(tau2)) if tau2 else float("nan"),
        tau2_low=interval.low if interval else float("nan"),
        tau2_high=interval.high if interval else float("nan"),
        I2=fit.heterogeneity.I2 if fit.heterogeneity else float("nan"),
        k=fit.k,
        samples=len(selection.sample_sizes),
        n=selection.persons,
        level=fit.level,
        group=group,
        method={**fit.method, "scale": "scale_z_with_tau2", **(extra or {})},
        notes=tuple(note.text for note in fit.notes),
        rows=tuple(str(row) for row in rows["effect_id"]),
    )


def forest(pooled: Pooled, *, id: str, title: Text, note: Text = "") -> Figure:  # noqa: A002
    """The forest plot of a pool in r: a row per effect with its weight, the summary with its prediction interval."""
    rows, fit = pooled.selection.rows, pooled.fit
    weights = 1.0 / (pooled.v + max(0.0, pooled.estimate.tau2))
    half = NORMAL_95 * np.sqrt(pooled.v)
    estimate = pooled.estimate
    columns = {
        "row": [str(e) for e in rows["effect_id"]],
        "label": [_label(row) for row in rows[["label", "sample_id"]].to_dict("records")],
        "value": back_to_r(pooled.y).tolist(),
        "low": back_to_r(pooled.y - half).tolist(),
        "high": back_to_r(pooled.y + half).tolist(),
        "weight": (100 * weights / weights.sum()).tolist(),
        "n": rows["n"].tolist(),
    }
    settings: dict[str, str | float | int | bool | None] = {
        "metric": "r",
        "summary": estimate.value,
        "summary_low": estimate.low,
        "summary_high": estimate.high,
        "prediction_low": estimate.prediction_low,
        "prediction_high": estimate.prediction_high,
        "estimate": estimate.id,
        "k": fit.k,
    }
    return Figure(id=id, kind="forest", title=title, columns=columns, settings=settings, note=note)


def _label(row: Mapping[Hashable, str]) -> str:
    return str(row["label"] or row["sample_id"])
