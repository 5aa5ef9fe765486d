"""The result every model returns: a frozen `Fit` with named choices, variance components and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication.labels import Label, Text
from replication.models.probability import t_ppf, t_sf

__all__ = ["Array", "Component", "Fit", "Heterogeneity", "Interval", "Note"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader must know about a fit. `code` is one fixed word: boundary, excluded-rows, not-converged, ...

    `message` says it in English with its numbers; `label` is the same for a report, which words it in its language.
    """

    code: str
    message: str
    rows: tuple[int, ...] = ()
    label: Label | None = None

    @property
    def text(self) -> Text:
        """What a report shows: the label, or the English message of a note that has none."""
        return self.label or self.message


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval and how it was made. An end that does not exist is NaN and `reason` says why."""

    low: float
    high: float
    level: float
    method: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One variance component on the variance scale (never its root). NaN `se` means: not defined, see the notes."""

    name: str
    estimate: float
    se: float = float("nan")
    interval: Interval | None = None
    at_boundary: bool = False


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Cochran's Q with its degrees of freedom and p; I2 in per cent (0-100); H2; R2 in per cent, with moderators."""

    Q: float
    df: int
    p: float
    I2: float
    H2: float
    R2: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted meta-analytic model.

    `beta (p,)` are the coefficients named by `names`, `vcov (p, p)` their covariance (never its inverse), `df (p,)`
    the degrees of freedom of each t test (`inf` means normal). `components` are the variances. `loglik` is NaN where
    the estimator has none. `k` effects in `clusters` clusters (None: no clusters). `method` names every choice made.
    `data` is what the model was fitted to, so that `Fit -> Fit` functions (robust inference, leave one out) need
    nothing else; its type belongs to the model family.
    """

    method: Mapping[str, str]
    names: tuple[str, ...]
    beta: Array
    vcov: Array
    df: Array
    components: tuple[Component, ...]
    loglik: float
    k: int
    clusters: int | None = None
    level: float = 0.95
    heterogeneity: Heterogeneity | None = None
    notes: tuple[Note, ...] = ()
    data: object = field(default=None, repr=False)

    @property
    def se(self) -> Array:
        """Standard errors `(p,)`: the roots of the diagonal of `vcov`."""
        return np.sqrt(np.diag(self.vcov))

    @property
    def statistic(self) -> Array:
        """Wald statistics `(p,)`, t or z by `df`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.beta / self.se

    @property
    def p(self) -> Array:
        """Two-sided p values `(p,)`."""
        return np.asarray(2.0 * t_sf(np.abs(self.statistic), self.df))

    def interval(self, level: float | None = None) -> Array:
        """Wald intervals `(p, 2)` at `level` (the fit's own by default)."""
        crit = t_ppf(0.5 + (level or self.level) / 2.0, self.df)
        half = crit * self.se
        return np.column_stack([self.beta - half, self.beta + half])

    def component(self, name: str) -> Component:
        """The variance component called `name`."""
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"no component {name!r}; this fit has {', '.join(c.name for c in self.components) or 'none'}")
