"""Fail-safe N: how many unseen null results would undo a finding. History, not evidence.

Kept because older syntheses print it. It assumes that hidden studies average exactly zero and says nothing on
heterogeneity or on whether studies are hidden (Becker 2005; Scargle 2000), so every result carries a note to that end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bias.inputs import bias_data
from replication.models.fit import Note
from replication.models.probability import normal_isf

__all__ = ["FailSafe", "fail_safe_orwin", "fail_safe_rosenberg", "fail_safe_rosenthal"]

HISTORY = Note("history", "fail-safe N is reported for comparison with older work; it is no test of publication bias.")


@dataclass(frozen=True, slots=True)
class FailSafe:
    """`n` hidden studies of mean effect 0 bring the pooled p to `alpha`, or (Orwin) the mean to `target`.

    `mean` is the average effect the count rests on and `p` the pooled p value; NaN where the method has none.
    """

    kind: Literal["Rosenthal", "Orwin", "Rosenberg"]
    n: int
    k: int
    mean: float
    p: float
    alpha: float
    target: float
    notes: tuple[Note, ...]


def fail_safe_rosenthal(y: ArrayLike, v: ArrayLike, *, alpha: float = 0.05) -> FailSafe:
    """Studies with z = 0 that raise Stouffer's one-sided p to `alpha` (Rosenthal 1979, Psych. Bull. 86:638).

    `y, v (k,)` effects and sampling variances; `k (Z / z_alpha)^2 - k` rounded up, at least 0.

    >>> fail_safe_rosenthal([0.2, 0.4, 0.6], [0.01, 0.04, 0.04]).n
    16
    """
    data = bias_data(y, v, fewest=1, method="fail-safe N")
    stouffer = abs(float((data.y / data.se).sum())) / np.sqrt(data.k)
    n = data.k * (stouffer / _quantile(alpha)) ** 2 - data.k
    nan = float("nan")
    p = float(special.ndtr(-stouffer))
    return FailSafe("Rosenthal", _up(n), data.k, nan, p, alpha, nan, (*data.notes, HISTORY))


def fail_safe_orwin(y: ArrayLike, v: ArrayLike | None = None, *, target: float | None = None) -> FailSafe:
    """Studies of effect 0 that bring the mean effect down to `target`, half of it by default (Orwin 1983).

    `y (k,)` effects; `v (k,)` variances to weight the mean by `1 / v` (None: plain mean, as Orwin).

    >>> fail_safe_orwin([0.2, 0.4, 0.6], target=0.1).n
    9
    """
    effects = np.asarray(y, dtype=float)
    data = bias_data(effects, np.ones(effects.shape) if v is None else v, fewest=1, method="fail-safe N")
    mean = float(np.average(data.y, weights=1.0 / data.v))
    goal = mean / 2.0 if target is None else float(target)
    if goal == 0.0 or goal * mean < 0.0:
        raise ModelError(f"target={goal!r} must lie on the side of the mean effect ({mean:.4g}) and not be 0.")
    nan = float("nan")
    return FailSafe("Orwin", _up(data.k * (mean - goal) / goal), data.k, mean, nan, nan, goal, (*data.notes, HISTORY))


def fail_safe_rosenberg(y: ArrayLike, v: ArrayLike, *, alpha: float = 0.05) -> FailSafe:
    """Average-weight studies of effect 0 that raise the common-effect two-sided p to `alpha` (Rosenberg 2005).

    `y, v (k,)` effects and sampling variances. Source: Evolution 59:464.

    >>> fail_safe_rosenberg([0.2, 0.4, 0.6], [0.01, 0.04, 0.04]).n
    8
    """
    data = bias_data(y, v, fewest=1, method="fail-safe N")
    w = 1.0 / data.v
    total = float(w @ data.y)
    n = data.k * ((total / _quantile(alpha / 2.0)) ** 2 - w.sum()) / w.sum()
    p = float(2.0 * special.ndtr(-abs(total) / np.sqrt(w.sum())))
    nan = float("nan")
    return FailSafe("Rosenberg", _up(n), data.k, total / float(w.sum()), p, alpha, nan, (*data.notes, HISTORY))


def _quantile(tail: float) -> float:
    if not 0.0 < tail < 0.5:
        raise ModelError(f"a tail probability of {tail!r} leaves no test; pass alpha=0.05 or another small level.")
    return float(normal_isf(tail))


def _up(n: float) -> int:
    """Rounded up to whole studies, at least 0; what rounding noise lifts above a whole number does not count."""
    whole = round(n)
    return max(0, whole if abs(n - whole) <= 1e-9 * max(1.0, abs(n)) else int(np.ceil(n)))
