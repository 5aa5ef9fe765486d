"""What stage 1 hands to stage 2: one pooled correlation matrix with the sampling covariance of its cells.

Sampling covariances of the correlations of one study, and the four rules for the correlations they rest on.

The large-sample covariance of two correlations of one sample needs the population correlations of up to four
variables. They are replaced by the study's own correlations, or by a mean over the studies; that choice moves the
results (see `SamplingRule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.covariance import olkin_siotani
from replication.errors import ModelError
from replication.models.fit import Array, Note
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import (
    CorrelationSet,
    number_at,
    numbers_at,
    pair_indices,
    pair_name,
    pair_names,
    symmetric,
    unknown_names,
)
from replication.models.options import SamplingRule, check_choice

__all__ = [
    "PooledCorrelations",
    "average_correlations",
    "pooled_correlations",
    "sampling_covariances",
    "unit_covariance",
]


@dataclass(frozen=True, slots=True, eq=False)
class PooledCorrelations:
    """Pooled correlations `r (p,)` of named variables, their covariance `vcov (p, p)`, and all persons `n`."""

    variables: tuple[str, ...]
    r: Array
    vcov: Array
    n: float
    audit: Audit = field(default_factory=Audit)
    notes: tuple[Note, ...] = ()

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names `(p,)` of the pairs of variables."""
        return pair_names(self.variables)

    @property
    def matrix(self) -> Array:
        """The correlation matrix `(v, v)`."""
        return symmetric(self.r)

    def subset(self, variables: Sequence[str]) -> PooledCorrelations:
        """Only these variables, in this order."""
        unknown = [name for name in variables if name not in self.variables]
        if unknown:
            raise unknown_names(unknown, self.variables, "variables")
        place = np.array([self.variables.index(name) for name in variables])
        count = len(self.variables)
        table = np.zeros((count, count), dtype=int)
        first, second = pair_indices(count)
        table[first, second] = table[second, first] = np.arange(len(first))
        i, j = pair_indices(len(place))
        cells = table[place[i], place[j]]
        return PooledCorrelations(
            tuple(variables), self.r[cells], self.vcov[np.ix_(cells, cells)], self.n, self.audit, self.notes
        )


def pooled_correlations(
    variables: Sequence[str], r: ArrayLike, vcov: ArrayLike, n: float, audit: Audit | None = None
) -> PooledCorrelations:
    """Pooled correlations from elsewhere (a printed table, say), checked for stage 2.

    Parameters
    ----------
    variables : v names
    r : (p,) correlations in the order of `pair_names(variables)`
    vcov : (p, p) their sampling covariance, or (p,) their variances where covariances are not known
    n : all persons behind them, for RMSEA and BIC

    >>> pooled_correlations(["x", "y"], [0.3], [0.01], 100).pairs
    ('x~~y',)
    """
    names = tuple(variables)
    values = numbers_at(r, lambda at: f"pooled correlation {at[0] if at else 0} (from 0)")
    covariance = numbers_at(vcov, lambda at: f"vcov at {', '.join(map(str, at))} (from 0)")
    # Papers print standard errors but rarely covariances: zeros are then the only choice left.
    covariance = np.diag(covariance) if covariance.ndim == 1 else covariance
    p = len(names) * (len(names) - 1) // 2
    if len(set(names)) != len(names) or p == 0 or values.shape != (p,) or covariance.shape != (p, p):
        raise ModelError(
            f"{len(names)} variables need {p} correlations and a ({p}, {p}) covariance; found shapes {values.shape} "
            f"and {covariance.shape}, names {list(names)!r}."
        )
    if not (np.isfinite(values).all() and np.isfinite(covariance).all()):
        first, second = pair_indices(len(names))
        lacking = [pair_name(names[first[c]], names[second[c]]) for c in np.flatnonzero(~np.isfinite(values))]
        raise ModelError(f"pooled correlations or covariances are not finite ({', '.join(lacking) or 'vcov'}).")
    return PooledCorrelations(names, values, covariance, number_at(n, "n"), audit or Audit())


def unit_covariance(matrix: Array) -> Array:
    """The large-sample covariance `(..., p, p)` of the correlations of one sample, for one person: divide it by n.

    Parameters
    ----------
    matrix : (..., v, v) population correlations

    >>> unit_covariance(symmetric([0.6])).round(4).tolist()  # (1 - 0.6 ** 2) ** 2
    [[0.4096]]
    """
    first, second = pair_indices(matrix.shape[-1])
    return olkin_siotani(matrix, first[:, None], second[:, None], first[None, :], second[None, :])


def average_correlations(data: CorrelationSet, rule: SamplingRule) -> Array:
    """The mean correlations `(p,)` behind the sampling covariances; NaN where no study gives a pair.

    "weighted": by n, over the studies that give the correlation, used or not. "unweighted": their plain mean.
    "weighted-missing-as-zero": the sum of n r over the n of *all* studies, so that a missing correlation counts as 0
    (metaSEM up to 1.2.5). "individual" has no mean of its own; the weighted one fills its gaps.
    """
    known = np.isfinite(data.given)
    r = np.where(known, data.given, 0.0)
    with np.errstate(invalid="ignore"):
        if rule == "unweighted":
            return np.asarray(r.sum(axis=0) / known.sum(axis=0))
        if rule == "weighted-missing-as-zero":
            # kept because published numbers rest on it; see the traps of the dataset
            return np.where(known.any(axis=0), data.n @ r / data.n.sum(), np.nan)
        return np.asarray(data.n @ r / (data.n @ known))


def sampling_covariances(data: CorrelationSet, rule: SamplingRule) -> tuple[Array, tuple[Note, ...]]:
    """The sampling covariance `(k, p, p)` of the correlations of every study, with notes on what was filled in.

    Cells that belong to correlations a study does not use are there too (with a mean rule) and carry no meaning.
    A pair that no study gives counts as 0 where the covariance of two other pairs needs it.
    """
    check_choice(rule, SamplingRule, "sampling")
    mean = average_correlations(data, rule)
    notes = _unknown_pairs(data, mean)
    # One NaN among the correlations would make every covariance that needs it NaN, also of pairs that are known.
    mean = np.where(np.isfinite(mean), mean, 0.0)
    if rule != "individual":
        return unit_covariance(symmetric(mean)) / data.n[:, None, None], notes
    # Olkin & Siotani's formula needs every correlation among the variables in use
    own = np.where(data.used, data.given, mean)
    filled = _filled_gaps(data)
    if filled:
        notes = (*notes, Note("sampling-filled", _fill_message(filled)))
    return unit_covariance(symmetric(own)) / data.n[:, None, None], notes


def _unknown_pairs(data: CorrelationSet, mean: Array) -> tuple[Note, ...]:
    unknown = [pair for pair, value in zip(data.pairs, mean, strict=True) if not np.isfinite(value)]
    if not unknown:
        return ()
    message = f"no study gives {', '.join(unknown)}; where sampling covariances of other pairs need it, it counts as 0."
    return (Note("sampling-filled", message),)


def _filled_gaps(data: CorrelationSet) -> list[str]:
    """Pairs a study lacks although both of its variables are in use: other covariances of the study need them."""
    first, second = pair_indices(len(data.variables))
    used = data.used
    measured = np.zeros((len(data.studies), len(data.variables)), dtype=bool)
    study, pair = np.nonzero(used)
    measured[study, first[pair]] = measured[study, second[pair]] = True
    gap = measured[:, first] & measured[:, second] & ~used
    return [f"{data.pairs[p]} in study {data.studies[i]}" for i, p in zip(*np.nonzero(gap), strict=True)]


def _fill_message(filled: list[str]) -> str:
    shown = ", ".join(filled[:5]) + (f" and {len(filled) - 5} more" if len(filled) > 5 else "")
    return f"sampling covariances need correlations that are not there; the weighted mean stands in for {shown}."
