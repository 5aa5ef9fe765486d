"""Henmi & Copas: an interval around the common-effect mean that stays valid under heterogeneity and selection.

Source: Henmi & Copas (2010, Statistics in Medicine 29:2969). The common-effect mean is moved less by small studies
than the random-effects one, so it centres the interval; its width allows for tau2. With weights `w = 1 / v`,
`theta` their mean of y and `Wr = sum w^r`:

- `U = (theta_hat - theta) / sqrt(V)` with `V = (W1 + tau2 W2) / W1^2` is standard normal;
- given U = u, Cochran's Q is a quadratic form in normals; a gamma variable with its mean and variance stands for it;
- the interval `theta_hat +- t sqrt(V_hat)`, V at the DerSimonian-Laird tau2, misses when `Q < q(u / t)`; t is the
  multiple at which that has probability `1 - level`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, optimize, special

from replication.models.bias.inputs import bias_data
from replication.models.fit import Array, Interval, Note
from replication.models.prepare import check_level
from replication.models.probability import normal_isf
from replication.models.readable import Readable

__all__ = ["HenmiCopas", "henmi_copas"]


@dataclass(frozen=True, slots=True, repr=False)
class HenmiCopas(Readable):
    """The common-effect mean, its standard error under heterogeneity, and the interval `estimate +- multiple * se`."""

    estimate: float
    se: float
    interval: Interval
    multiple: float
    tau2: float
    k: int
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Pivot:
    """What the law of Q given U = u needs: its mean `m0 + m2 u^2` and variance `s0 + s2 u^2`; `q` turns u / t into Q.

    `shrink` is `sqrt(W1 / (W1 + tau2 W2))`, the share of V that is left at tau2 = 0.
    """

    m0: float
    m2: float
    s0: float
    s2: float
    df: int
    slope: float
    shrink: float


def henmi_copas(y: ArrayLike, v: ArrayLike, *, level: float = 0.95) -> HenmiCopas:
    """The Henmi-Copas estimate and interval.

    `y, v (k,)` effects and sampling variances; `level` of the interval.

    Raises `ModelError` for fewer than two effects or a sampling variance of 0.

    >>> result = henmi_copas([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> round(result.estimate, 4), [round(end, 3) for end in (result.interval.low, result.interval.high)]
    (0.2176, [0.056, 0.379])
    """
    data = bias_data(y, v, fewest=2, method="the Henmi-Copas interval")
    check_level(level)
    scale = float(np.median(data.v))  # work at variances near 1, so that no power of w overflows
    v_scaled = data.v / scale
    w = 1.0 / v_scaled
    estimate = float(w @ data.y / w.sum())
    q = float((w * (data.y - estimate) ** 2).sum() / scale)
    # DerSimonian-Laird and no other: the law of Q below turns a value of Q into a value of this estimator.
    tau2 = max(0.0, (q - (data.k - 1)) / _slope(w))
    multiple = _multiple(_pivot(w, v_scaled, tau2), 1.0 - level)
    se = float(np.sqrt(scale * _variance(w, tau2)))
    half = multiple * se
    return HenmiCopas(
        estimate=estimate,
        se=se,
        interval=Interval(estimate - half, estimate + half, level, "henmi-copas"),
        multiple=multiple,
        tau2=scale * tau2,
        k=data.k,
        notes=data.notes,
    )


def _slope(w: Array) -> float:
    """DerSimonian & Laird's `W1 - W2 / W1`: how fast E(Q) grows with tau2."""
    return float(w.sum() - (w * w).sum() / w.sum())


def _variance(w: Array, tau2: float) -> float:
    """`V`: variance of the common-effect mean when the effects have variance `tau2`."""
    return float((w.sum() + tau2 * (w * w).sum()) / w.sum() ** 2)


def _pivot(w: Array, v: Array, tau2: float) -> _Pivot:
    """Moments of Q given U: the deviations are normal with mean `c u` and covariance `diag(s) - b b'`."""
    V = _variance(w, tau2)
    s = v + tau2
    b = w * s / (w.sum() * np.sqrt(V))
    # U holds part of every effect; what is left of it in y_i - theta_hat once U = u is this multiple of u.
    c = b - np.sqrt(V)
    wb2 = float((w * b * b).sum())
    return _Pivot(
        m0=float((w * s).sum()) - wb2,
        m2=float((w * c * c).sum()),
        s0=2.0 * (float((w * s) @ (w * s)) - 2.0 * float((w * w * s * b * b).sum()) + wb2**2),
        s2=4.0 * (float((w * w * s * c * c).sum()) - float((w * b * c).sum()) ** 2),
        df=len(w) - 1,
        slope=_slope(w) * w.sum() / float((w * w).sum()),
        shrink=float(np.sqrt(1.0 / (w.sum() * V))),
    )


def _multiple(pivot: _Pivot, alpha: float) -> float:
    """The `t` at which the interval misses with probability `alpha`."""
    # The normal quantile is the natural first guess, so the bracket grows out from it.
    normal = float(normal_isf(alpha / 2.0))
    high = normal
    while _miss(high, pivot) > alpha:
        high *= 2.0
    low = normal
    while _miss(low, pivot) < alpha:
        low /= 2.0
    return float(optimize.brentq(lambda t: _miss(t, pivot) - alpha, low, high, xtol=1e-12)) if low < high else normal


def _miss(t: float, pivot: _Pivot) -> float:
    """Probability that `|theta_hat - theta| > t sqrt(V_hat)`: for each u the chance that Q is too small to cover it."""

    def density(u: float) -> float:
        q = max(0.0, pivot.df + pivot.slope * ((u / (t * pivot.shrink)) ** 2 - 1.0))
        mean, variance = pivot.m0 + pivot.m2 * u * u, pivot.s0 + pivot.s2 * u * u
        # A gamma with this mean and variance has shape mean^2 / variance and scale variance / mean.
        return float(np.exp(-0.5 * u * u) * special.gammainc(mean * mean / variance, q * mean / variance))

    start = t * pivot.shrink
    # Below `start` even the narrowest interval, at tau2 = 0, covers; 40 standard deviations on, nothing is left to add.
    value, _ = integrate.quad(density, start, start + 40.0, epsabs=1e-12, epsrel=1e-11, limit=400)
    return float(value * np.sqrt(2.0 / np.pi))
