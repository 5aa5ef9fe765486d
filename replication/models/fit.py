"""The result every model returns: a frozen `Fit` with named choices, variance components and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from replication.labels import Label, Text
from replication.models.probability import t_ppf, t_sf
from replication.models.readable import Readable, in_columns, in_one_line

__all__ = ["Array", "Component", "ComponentKind", "Fit", "Heterogeneity", "Interval", "Note"]

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


# What a component is: only a variance has a standard deviation, and only variances add up.
ComponentKind = Literal["variance", "covariance", "correlation"]


@dataclass(frozen=True, slots=True)
class Component:
    """A variance on the variance scale (never its root), or a covariance or correlation of true effects, by `kind`.

    NaN `se` means: not defined, see the notes.
    """

    name: str
    estimate: float
    se: float = float("nan")
    interval: Interval | None = None
    at_boundary: bool = False
    kind: ComponentKind = "variance"


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Cochran's Q with its degrees of freedom and p; I2 in per cent (0-100); H2; R2 in per cent, with moderators."""

    Q: float
    df: int
    p: float
    I2: float
    H2: float
    R2: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fit(Readable):
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

    def _lines(self, depth: int) -> Iterator[str]:
        clusters = "" if self.clusters is None else f"; {self.clusters} clusters"
        choices = ", ".join(f"{name} {in_one_line(choice)}" for name, choice in self.method.items())
        yield f"k = {self.k}{clusters}; {choices}"
        rows = [("", "estimate", "se", f"{100 * self.level:g} % interval")]
        for name, beta, se, (low, high) in zip(self.names, self.beta, self.se, self.interval(), strict=True):
            rows.append((name, f"{beta:.6g}", f"{se:.6g}", f"[{low:.6g}, {high:.6g}]"))
        for part in self.components:
            # Pooled correlations and their variances go by one name.
            name = f"{part.kind} of {part.name}" if part.name in self.names else part.name
            low, high = (np.nan, np.nan) if part.interval is None else (part.interval.low, part.interval.high)
            ends = "" if np.isnan(low) else f"[{low:.6g}, {high:.6g}]"
            rows.append((name, f"{part.estimate:.6g}", "" if np.isnan(part.se) else f"{part.se:.6g}", ends))
        yield from in_columns(rows)
        if (q := self.heterogeneity) is not None:
            yield f"Q({q.df}) = {q.Q:.6g}, p = {q.p:.3g}; I2 = {q.I2:.4g} %"
        yield from (f"note, {note.code}: {note.message}" for note in self.notes)
