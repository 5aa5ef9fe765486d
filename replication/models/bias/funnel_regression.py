"""Regress effects on their imprecision: the one model under Egger's test, PET and PEESE.

The predictor is what the effects are suspected to depend on: their standard error (Egger, PET), their variance
(PEESE), or a function of sample size. With `model="wls"` the residual variance is `phi v_i` with phi estimated (least
squares with weights `1 / v`, t tests); with `model="mixed"` it is `tau2 + v_i`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bias.inputs import bias_data, cluster_robust
from replication.models.bias.least_squares import fit_weighted_least_squares
from replication.models.fit import Array, Fit
from replication.models.literals import FunnelModel, FunnelPredictor, Tau2Method, TestMethod, check_choice
from replication.models.random_effects import fit_random_effects

__all__ = ["fit_funnel_regression"]

# Predictors closer together than this share of their size cannot carry a slope.
SAME = 1e-8


def fit_funnel_regression(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    predictor: FunnelPredictor = "se",
    model: FunnelModel = "wls",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    n: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Fit:
    """Regress `y` on a measure of imprecision, with an intercept or the design `x` beside it.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    x : (k, p) design before the predictor joins it, intercept included; None is the intercept alone
    predictor : "se", "variance", or "n", "inverse_n", "sqrt_inverse_n" of the sample sizes `n (k,)`
    model : "wls" (one dispersion, as Egger et al. 1997) or "mixed" (random effects, as Sterne & Egger 2005)
    method, test : for "mixed", as in `fit_random_effects`
    clusters : (k,) labels; with them the covariance is CR2 with Satterthwaite df (Pustejovsky & Tipton 2018)

    Returns the `Fit` whose last coefficient bears the predictor's name.

    Raises `ModelError` for fewer effects than coefficients plus one, equal predictors, or missing `n`.

    >>> fit = fit_funnel_regression([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.01, 0.0225])
    >>> fit.names, round(float(fit.beta[1]), 4)
    (('intercept', 'se'), 1.3333)
    """
    check_choice(predictor, FunnelPredictor, "predictor")
    check_choice(model, FunnelModel, "model")
    effects = bias_data(y, v, x, names, fewest=1, method="a funnel regression").effects
    column = _predictor(predictor, np.asarray(v, dtype=float), n)
    _refuse_equal(column[list(effects.rows)], predictor)
    labels = (*effects.names, predictor)
    design = np.column_stack([np.ones(len(column)) if x is None else x, column])
    bias_data(y, v, design, labels, fewest=len(labels) + 1, method=f"a regression on {' and '.join(labels)}")
    if model == "wls":
        fit = fit_weighted_least_squares(y, v, design, names=labels, level=level)
    else:
        fit = fit_random_effects(y, v, design, method=method, test=test, names=labels, level=level)
    fit = replace(fit, method={**fit.method, "model": model, "predictor": predictor})
    return fit if clusters is None else cluster_robust(fit, clusters)


def _predictor(predictor: FunnelPredictor, v: Array, n: ArrayLike | None) -> Array:
    if predictor == "variance":
        return v
    if predictor == "se":
        return np.sqrt(v)
    if n is None:
        raise ModelError(f"predictor={predictor!r} needs the sample sizes; pass n, one an effect.")
    sizes = np.asarray(n, dtype=float)
    if sizes.shape != v.shape or (sizes <= 0).any():
        raise ModelError("n must hold one sample size above 0 an effect; use NaN to leave a row out.")
    return np.asarray({"n": sizes, "inverse_n": 1.0 / sizes, "sqrt_inverse_n": 1.0 / np.sqrt(sizes)}[predictor])


def _refuse_equal(column: Array, predictor: str) -> None:
    if np.nanmax(column) - np.nanmin(column) <= SAME * np.nanmax(column):
        raise ModelError(
            f"every effect has the same {predictor}: whether effects depend on it cannot be told; "
            "report the test as not possible here."
        )
