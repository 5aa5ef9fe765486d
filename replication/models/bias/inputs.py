"""What every bias method asks of its effects: complete rows, variances above zero, enough of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Note
from replication.models.prepare import EffectData, list_rows, prepare_effects

__all__ = ["BiasData", "bias_data", "cluster_robust", "without_perfect_fit"]

# Residuals below this share of the largest effect are what rounding leaves of an exact fit (some tens of ulp).
DUST = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class BiasData:
    """Complete rows with their standard errors `se (k,)`, and the notes on the rows left out."""

    effects: EffectData
    se: Array
    notes: tuple[Note, ...]

    @property
    def y(self) -> Array:
        """Effects `(k,)`."""
        return self.effects.y

    @property
    def v(self) -> Array:
        """Sampling variances `(k,)`."""
        return self.effects.v

    @property
    def k(self) -> int:
        """Number of effects."""
        return len(self.effects.y)


def bias_data(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    *,
    fewest: int,
    method: str,
) -> BiasData:
    """Leave out rows with a NaN and check that `method` can work on the rest.

    Raises `ModelError` for fewer than `fewest` effects or a sampling variance of 0; the message names the rows.

    >>> data = bias_data([0.1, 0.2, float("nan")], [0.04, 0.01, 0.01], fewest=2, method="the rank test")
    >>> data.se.tolist(), data.notes[0].rows
    ([0.2, 0.1], (2,))
    """
    effects, notes = prepare_effects(y, v, x, names)
    # A pooled mean can take an exact effect; here its weight or z would be infinite and drown all others.
    zero = [effects.rows[i] for i in np.flatnonzero(effects.v == 0)]
    if zero:
        raise ModelError(
            f"{list_rows(zero)} with sampling variance 0: {method} weighs by precision; "
            "correct the variance or leave the rows out."
        )
    if len(effects.y) < fewest:
        raise ModelError(f"{method} needs at least {fewest} effects and found {len(effects.y)}; report it as not done.")
    return BiasData(effects, np.sqrt(effects.v), notes)


def cluster_robust(fit: Fit, clusters: ArrayLike) -> Fit:
    """The fit with a CR2 covariance and Satterthwaite df, which hold when effects of one cluster depend on each other.

    `clusters` are labels for the rows as they were first passed. Source: Pustejovsky & Tipton (2018).
    """
    from replication.models.multilevel.robust import robust

    return robust(fit, kind="CR2", clusters=clusters)


def without_perfect_fit(fit: Fit, y: ArrayLike, x: ArrayLike) -> Fit:
    """The fit, with a covariance of NaN and a note where every effect lies on the model.

    Residuals are then rounding dust, and a standard error made of them would be 0 or 1e-17 and its p value 0. How
    precise the coefficients are cannot be told from such effects. Only for standard errors made of residuals: least
    squares, Knapp-Hartung, cluster-robust. `y (k,)` and the design `x (k, p)` are as passed to the fit.
    """
    effects = np.asarray(y, dtype=float)
    residuals = effects - np.asarray(x, dtype=float) @ fit.beta
    # Written as `not <=`, so that coefficients of NaN leave the fit as it is.
    if not np.nanmax(np.abs(residuals)) <= DUST * np.nanmax(np.abs(effects)):
        return fit
    message = "every effect lies on the fitted model: no standard error can be estimated, so tests are NaN."
    notes = (*(note for note in fit.notes if note.code != "perfect-fit"), Note("perfect-fit", message))
    return replace(fit, vcov=np.full_like(fit.vcov, np.nan), notes=notes)
