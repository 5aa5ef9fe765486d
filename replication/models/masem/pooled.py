"""What stage 1 hands to stage 2: one pooled correlation matrix with the sampling covariance of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.fit import Array, Note
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import pair_indices, pair_name, pair_names, symmetric, unknown_names

__all__ = ["PooledCorrelations", "pooled_correlations"]


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
    values = np.asarray(r, dtype=float)
    covariance = np.asarray(vcov, dtype=float)
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
    return PooledCorrelations(names, values, covariance, float(n), audit or Audit())
