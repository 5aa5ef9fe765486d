"""Inverse and determinant of a multilevel covariance in closed form: a chain of nested groups, then crossed factors.

Nested: going from the finest groups to the coarsest, `B <- B + w u u'` within each group changes the inverse by one
rank (Sherman & Morrison 1950), so with `q = B^-1 u`, `e = u'q` and `gain = 1 + w e`,

    (B + w u u')^-1 a = B^-1 (a - u m) + q m / gain,   m = q'a / e,      log det grows by log gain.

Splitting `a` into its weighted group mean m and the rest loses no digits when w is huge. Everything is analytic in
the variances, so a complex step through it gives exact derivatives.

Crossed (Woodbury 1950): with `N` the chain's matrix, `Z (k, r)` the indicator columns of the crossed factors and
`T = diag(their variances)`,

    (N + Z T Z')^-1 = N^-1 - N^-1 Z R Z' N^-1,   R = T (I + C T)^-1,   C = Z' N^-1 Z.

`R` (`crossed_core`) is dense only within blocks of columns that share a cluster of the chain; the largest factor sits
in the chain, so r counts the levels of the smaller ones. No `k x k` matrix is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from replication.models.multilevel.crossed_core import CholeskyCore, Core, Matrix, core_of
from replication.models.multilevel.groups import Codes, Level, Numbers, first_rows, group_codes, group_sum
from replication.models.multilevel.structure import Chain, CovarianceStructure, CrossedColumns, Term

__all__ = [
    "ChainInverse",
    "Inverse",
    "chain_inverse",
    "component_diagonal",
    "component_groups",
    "component_spread",
    "component_sums",
    "component_trace",
    "group_diagonal",
    "invert",
    "multiply",
    "row_diagonal",
]


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
        """The log determinant of the matrix, not of its inverse."""
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
        # Sherman-Morrison, one term at a time: a coarser term meets the inverse that holds the finer ones already.
        q = _apply(diagonal, factors, term.vector)
        e = group_sum(term.vector * q, term.codes, term.size)
        factors.append(_Factor(term, weight, q, e, 1.0 + weight * e))
    return ChainInverse(chain, diagonal, tuple(factors))


def _apply(diagonal: Numbers, factors: Sequence[_Factor], column: Numbers) -> Numbers:
    if not factors:
        return column / diagonal
    # Imaginary steps pass through here: a real column must be able to hold them.
    rest = column.astype(np.result_type(column, diagonal, *(factor.gain for factor in factors)))
    total = np.zeros_like(rest)
    # From the coarsest term in, each takes its groups' means out of what is left, in place: rows may be a million.
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
    # Only coarser terms reach into a group of this one; finer ones are in its `e` already.
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


@dataclass(frozen=True, slots=True, eq=False)
class _Woodbury:
    NZ: Matrix
    C: Matrix
    core: Core


@dataclass(frozen=True, slots=True, eq=False)
class Inverse:
    """`M^-1` at given variances: a chain a piece and, with crossed factors, the Woodbury part of the only piece."""

    structure: CovarianceStructure
    dtype: np.dtype[Any]
    chains: tuple[ChainInverse, ...]
    woodbury: _Woodbury | None

    @property
    def log_determinant(self) -> float:
        """The log determinant of `M`."""
        return sum(chain.log_determinant for chain in self.chains) + (
            0.0 if self.woodbury is None else self.woodbury.core.log_determinant
        )

    def apply(self, columns: Numbers) -> Numbers:
        """`M^-1` times each row of `columns (c, k)`."""
        # A complex step makes the inverse complex even for real columns: the result must hold both.
        plain = np.empty(columns.shape, dtype=np.result_type(columns, self.dtype))
        for inverse in self.chains:
            start, stop = inverse.chain.start, inverse.chain.stop
            plain[:, start:stop] = inverse.apply(columns[:, start:stop])
        if self.woodbury is None:
            return plain
        NZ = self.woodbury.NZ
        return np.asarray(plain - (NZ @ self.woodbury.core.times(NZ.T @ columns.T)).T)


def invert(structure: CovarianceStructure, theta: Numbers) -> Inverse:
    """The inverse of `M` at the variances `theta (q,)`."""
    chains = tuple(chain_inverse(chain, structure.row, theta) for chain in structure.chains)
    crossed = structure.crossed
    # Crossed factors tie all rows, so there is one chain: the Woodbury identity adds them to it.
    woodbury = None if crossed is None else _woodbury(chains[0], crossed, theta[crossed.owner])
    return Inverse(structure, theta.dtype, chains, woodbury)


def multiply(structure: CovarianceStructure, theta: Numbers, column: Numbers) -> Numbers:
    """`M a (k,)` at the variances `theta (q,)`: what the inverse must undo."""
    parts = []
    for chain in structure.chains:
        part = column[chain.start : chain.stop]
        total = chain.base * part
        # Terms without a component are known covariance: their weight is given and not searched for.
        for term in (term for term in chain.terms if term.component is None):
            total = total + term.weight * term.vector * group_sum(term.vector * part, term.codes, term.size)[term.codes]
        parts.append(total)
    product = np.concatenate(parts)
    for component in range(structure.components):
        sums = component_sums(structure, component, column)
        product = product + theta[component] * component_spread(structure, component, sums)
    return product


def component_groups(structure: CovarianceStructure, level: Level) -> Codes:
    """The groups of a `level` in the order `(m,)` in which sums over it come out."""
    if structure.order is None:
        return np.arange(level.size)
    codes = level.codes[structure.order]
    # Groups are numbered as they first appear in the sorted rows, not as their labels sort.
    appearance: Codes = codes[first_rows(group_codes(codes, len(codes), level.name), level.size)]
    return appearance


def component_sums(structure: CovarianceStructure, component: int, column: Numbers) -> Numbers:
    """`Z_l' a (m,)` for the component l."""
    if component == structure.row:
        return column
    if not _in_chain(structure, component):
        return np.asarray(_own_columns(structure, component).T @ column)
    pieces = ((_term(chain, component), column[chain.start : chain.stop]) for chain in structure.chains)
    return np.concatenate([group_sum(term.vector * part, term.codes, term.size) for term, part in pieces])


def component_spread(structure: CovarianceStructure, component: int, sums: Numbers) -> Numbers:
    """`Z_l b (k,)` for the component l."""
    if component == structure.row:
        return sums
    if not _in_chain(structure, component):
        return np.asarray(_own_columns(structure, component) @ sums)
    terms = [_term(chain, component) for chain in structure.chains]
    parts = np.split(sums, np.cumsum([term.size for term in terms])[:-1])
    return np.concatenate([term.vector * part[term.codes] for term, part in zip(terms, parts, strict=True)])


def component_trace(inverse: Inverse, component: int) -> Numbers:
    """`tr(Z_l' M^-1 Z_l)` for the component l; `structure.row` or -1 means single rows."""
    if inverse.woodbury is None:
        return np.asarray(_chain_diagonal(inverse, component).sum())
    own = _own_levels(inverse, component)
    if own is not None:
        return np.asarray(own.sum())
    F = _coupling(inverse, component)
    return np.asarray(_chain_diagonal(inverse, component).sum() - inverse.woodbury.core.total(F.T @ F))


def component_diagonal(inverse: Inverse, component: int) -> Numbers:
    """The diagonal `(m,)` of `Z_l' M^-1 Z_l` for the component l."""
    plain = _chain_diagonal(inverse, component)
    if inverse.woodbury is None:
        return plain
    own = _own_levels(inverse, component)
    # Woodbury takes from the diagonal of the chain what the crossed factors explain.
    return plain - inverse.woodbury.core.quadratic(_coupling(inverse, component)) if own is None else own


def _own_levels(inverse: Inverse, component: int) -> Numbers | None:
    """The diagonal of `Z_l' M^-1 Z_l` where the core has it without any products; None where it has not."""
    structure, woodbury = inverse.structure, inverse.woodbury
    assert woodbury is not None and structure.crossed is not None
    own = np.flatnonzero(structure.crossed.owner == component)
    core = woodbury.core
    # A factor of variance 0 has no root to divide by, so its diagonal is made by products.
    if isinstance(core, CholeskyCore) and len(own) and core.root[own[0]] > 0.0:
        return core.own_diagonal(own)
    return None


def _term(chain: Chain, component: int) -> Term:
    return next(term for term in chain.terms if term.component == component)


def _in_chain(structure: CovarianceStructure, component: int) -> bool:
    return any(term.component == component for term in structure.chains[0].terms)


def _own_columns(structure: CovarianceStructure, component: int) -> Matrix:
    crossed = structure.crossed
    assert crossed is not None
    own: Matrix = crossed.Z[:, np.flatnonzero(crossed.owner == component)]
    return own


def _chain_diagonal(inverse: Inverse, component: int) -> Numbers:
    structure = inverse.structure
    if component in (structure.row, -1):
        return np.concatenate([row_diagonal(chain) for chain in inverse.chains])
    if _in_chain(structure, component):
        return np.concatenate([group_diagonal(chain, component) for chain in inverse.chains])
    assert inverse.woodbury is not None and structure.crossed is not None
    own = structure.crossed.owner == component
    return np.asarray(inverse.woodbury.C.diagonal()[own])


def _coupling(inverse: Inverse, component: int) -> Matrix:
    """`Z_l' N^-1 Z (m, r)`."""
    structure, woodbury = inverse.structure, inverse.woodbury
    assert woodbury is not None and structure.crossed is not None
    if component in (structure.row, -1):
        return woodbury.NZ
    coupling: Matrix
    if _in_chain(structure, component):
        terms = structure.chains[0].terms
        at = next(i for i, term in enumerate(terms) if term.component == component)
        coupling = structure.crossed.groups[at].T @ _scaled(terms[at].vector, woodbury.NZ)
    else:
        coupling = woodbury.C[np.flatnonzero(structure.crossed.owner == component)]
    return coupling


def _scaled(factors: Numbers, rows: Matrix) -> Matrix:
    """Each row times its factor."""
    if isinstance(rows, np.ndarray):
        return np.asarray(factors[:, None] * rows)
    return sparse.csr_array(sparse.diags_array(factors) @ rows)


def _woodbury(chain: ChainInverse, crossed: CrossedColumns, variances: Numbers) -> _Woodbury:
    Z = crossed.Z
    NZ = _scaled(1.0 / chain.diagonal, Z)
    for factor, groups in zip(chain.factors, crossed.groups, strict=True):
        # Term by term as in the chain, on all columns of Z at once: Z is sparse, and so are these sums.
        sums = groups.T @ _scaled(factor.q, Z)
        NZ = NZ - _scaled(factor.q, groups @ _scaled(factor.kappa, sums))
    C = Z.T @ NZ
    return _Woodbury(NZ, C if isinstance(C, np.ndarray) else sparse.csr_array(C), core_of(C, crossed.block, variances))
