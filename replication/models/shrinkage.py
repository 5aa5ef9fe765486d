"""Each study's own true effect, drawn towards the model: best linear unbiased predictions (BLUPs)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.models.fit import Array, Fit
from replication.models.prepare import effect_data
from replication.models.probability import t_ppf

__all__ = ["Blups", "blups"]


@dataclass(frozen=True, slots=True, eq=False)
class Blups:
    """Per effect `(k,)`: predicted true `effect` with `se` and `interval (k, 2)`, and its `deviation` from the model

    with `deviation_se`.
    """

    rows: tuple[int, ...]
    effect: Array
    se: Array
    interval: Array
    deviation: Array
    deviation_se: Array


def blups(fit: Fit) -> Blups:
    """Empirical Bayes predictions: observed effect and fitted value, weighed by tau2 and v (Raudenbush & Bryk 1985).

    The standard errors count the uncertainty of the coefficients, not that of tau2.

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], test="z")
    >>> blups(fit).effect.round(6).tolist()
    [0.186177, 0.243385, 0.267901, 0.219497]
    """
    data = effect_data(fit)
    tau2 = fit.component("tau2").estimate
    share = tau2 / (tau2 + data.v) if tau2 > 0 else np.zeros_like(data.v)
    fitted = data.x @ fit.beta
    fitted_variance = np.vecdot(data.x @ fit.vcov, data.x)
    effect = share * data.y + (1.0 - share) * fitted
    se = np.sqrt(share * data.v + (1.0 - share) ** 2 * fitted_variance)
    half = float(t_ppf(0.5 + 0.5 * fit.level, fit.df.min())) * se
    return Blups(
        data.rows,
        effect,
        se,
        np.column_stack([effect - half, effect + half]),
        effect - fitted,
        np.sqrt(share * data.v + share**2 * fitted_variance),
    )
