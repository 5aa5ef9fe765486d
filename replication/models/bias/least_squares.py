"""Weighted least squares with one dispersion: the residual variance of effect i is `phi v_i`, phi estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from replication.models.fit import Fit
from replication.models.random_effects import fit_random_effects

__all__ = ["fit_weighted_least_squares"]


def fit_weighted_least_squares(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> Fit:
    """Least squares with weights `1 / v` and t tests: the common-effect fit with its covariance times phi.

    `y, v (k,)` effects and sampling variances, `x (k, p)` the design (None: an intercept). This is the unrestricted
    weighted least squares of Stanley & Doucouliagos (2015, Statistics in Medicine 34:2116).

    >>> fit = fit_weighted_least_squares([0.2, 0.6], [0.1, 0.1])
    >>> round(float(fit.beta[0]), 6), round(float(fit.se[0]), 6), float(fit.df[0])
    (0.4, 0.2, 1.0)
    """
    fit = fit_random_effects(y, v, x, method="EE", test="knha", names=names, level=level)
    notes = tuple(note for note in fit.notes if note.code != "scaled-common-effect")  # it is the model here
    return replace(fit, method={**fit.method, "model": "wls"}, notes=notes)
