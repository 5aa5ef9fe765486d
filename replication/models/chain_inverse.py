"""The inverse of a diagonal plus a chain of nested rank-one terms, in closed form.

One idea: going from the finest groups to the coarsest, `B <- B + w u u'` within each group changes the inverse by one
rank (Sherman & Morrison 1950), so with `q = B^-1 u`, `e = u'q` and `gain = 1 + w e`,

    (B + w u u')^-1 a = B^-1 (a - u m) + q m / gain,   m = q'a / e,      log det grows by log gain.

Splitting `a` into its weighted group mean m and the rest loses no digits when w is huge. Everything is analytic in
the variances, so a complex step through it gives exact derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replication.models.covariance_structure import Chain, Term
from replication.models.grouping import Numbers, group_sum

__all__ = ["ChainInverse", "chain_inverse", "group_diagonal", "row_diagonal"]


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    term: Term
    weight: complex
    q: Numbers
    e: Numbers
    gain: Numbers

    @property
    def kappa(self) -> Numbers:
        """What the term takes off the inverse per group: `kappa q q'`."""
        return self.weight / self.gain


@dataclass(frozen=True, slots=True, eq=False)
class ChainInverse:
    """The inverse of `diag(diagonal)` plus the terms of `factors`, finest first, for the rows of `chain`."""

    chain: Chain
    diagonal: Numbers
    factors: tuple[_Factor, ...]

    @property
    def log_determinant(self) -> float:
        """Of the matrix, not of its inverse."""
        gains = sum(float(np.log(factor.gain.real).sum()) for factor in self.factors)
        return float(np.log(self.diagonal.real).sum()) + gains

    def apply(self, columns: Numbers) -> Numbers:
        """The inverse times each row of `columns (c, n)`."""
        return np.stack([_apply(self.diagonal, self.factors, column) for column in columns])


def chain_inverse(chain: Chain, row: int | None, theta: Numbers) -> ChainInverse:
    """The inverse at the variances `theta (q,)`; `row` is the component of single rows."""
    diagonal = chain.base if row is None else chain.base + theta[row]
    factors: list[_Factor] = []
    for term in chain.terms:
        weight = term.weight if term.component is None else theta[term.component]
        q = _apply(diagonal, factors, term.vector)
        e = group_sum(term.vector * q, term.codes, term.size)
        factors.append(_Factor(term, weight, q, e, 1.0 + weight * e))
    return ChainInverse(chain, diagonal, tuple(factors))


def _apply(diagonal: Numbers, factors: Sequence[_Factor], column: Numbers) -> Numbers:
    if not factors:
        return column / diagonal
    rest = column.astype(np.result_type(column, diagonal, *(factor.gain for factor in factors)))
    total = np.zeros_like(rest)
    for factor in reversed(factors):
        term = factor.term
        mean = group_sum(factor.q * rest, term.codes, term.size) / factor.e
        part = mean[term.codes]
        part *= term.vector
        rest -= part
        np.take(mean / factor.gain, term.codes, out=part, mode="clip")
        part *= factor.q
        total += part
    rest /= diagonal
    rest += total
    return rest


def group_diagonal(inverse: ChainInverse, component: int) -> Numbers:
    """`u_g' M^-1 u_g` for each group g `(m,)` of a chain component."""
    index = next(i for i, factor in enumerate(inverse.factors) if factor.term.component == component)
    own = inverse.factors[index]
    values = own.e / own.gain
    for outer in inverse.factors[index + 1 :]:
        shared = group_sum(own.term.vector * outer.q, own.term.codes, own.term.size)
        values = values - outer.kappa[outer.term.codes[own.term.first]] * shared**2
    return values


def row_diagonal(inverse: ChainInverse) -> Numbers:
    """The diagonal `(k,)` of the inverse."""
    values = 1.0 / inverse.diagonal
    for factor in inverse.factors:
        values = values - factor.kappa[factor.term.codes] * factor.q**2
    return values
