"""The marginal covariance `M = V + sum_l theta_l Z_l Z_l'` of a multilevel model, taken apart so that it inverts fast.

Four ideas:

1. What varies row by row is a diagonal. Levels nested in one another form a chain; each adds, for every group, a
   multiple of `u u'`, where `u` is 1 on the group's rows. An assumed correlation adds `rho s s'`, `s = sqrt(v)`.
   A chain inverts group by group (`chain_inverse.py`), in time and memory linear in k.
2. Given dense blocks of V become diagonal in the coordinates of their eigenvectors; `u` is rotated along.
3. Whatever does not nest is a crossed factor and enters by the Woodbury identity (`crossed_inverse.py`).
4. Many rows are cut, between clusters, into pieces that fit the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replication.errors import ModelError
from replication.models.block_covariance import BlockV
from replication.models.fit import Array
from replication.models.grouping import Codes, first_rows, group_codes, refines, rows_by_size
from replication.models.levels import Level
from replication.models.prepare import list_rows

__all__ = ["Chain", "CovarianceStructure", "CrossedColumns", "Term", "covariance_structure", "rotate", "rotate_back"]

# Rows in a piece: its few arrays of 8 or 16 bytes a row stay in a cache of a megabyte.
PIECE = 2**14

# Entries up to which crossed columns are dense: sparse matrices cost more to handle than they save.
DENSE = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """For each of `size` groups a multiple of `u u'`, u being `vector (k,)` on the group's rows and 0 elsewhere.

    The multiple is the variance of `component`, or `weight` where that is None. `first (m,)` is a row of each group.
    """

    codes: Codes
    size: int
    first: Codes
    vector: Array
    component: int | None
    weight: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Rows `start` to `stop` of the structure's coordinates: `base` on the diagonal, `terms` from fine to coarse."""

    start: int
    stop: int
    base: Array
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CrossedColumns:
    """The levels outside the chain: indicator columns `Z (k, r)` and the component `owner (r,)` of each column.

    Z is dense while small. Columns that share no cluster of the chain stay in separate blocks: `block (r,)` numbers
    them. `groups` are the indicator matrices `(k, m)` of the chain's terms.
    """

    Z: Array | sparse.csr_array
    owner: Codes
    block: Codes
    groups: tuple[sparse.csr_array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CovarianceStructure:
    """`M = diag(base + theta[row]) + chain terms + crossed columns`, a `Chain` a piece.

    Its coordinates are the rows, multiplied by `rotation` where V has given blocks, then put in `order`. `row` is the
    component of single rows, if the model has it.
    """

    chains: tuple[Chain, ...]
    row: int | None
    crossed: CrossedColumns | None
    rotation: sparse.csr_array | None
    order: Codes | None
    components: int


def covariance_structure(V: BlockV, levels: Sequence[Level]) -> CovarianceStructure:
    """Sort the levels into row component, chain and crossed factors, beside what is known of V."""
    k = V.k
    base, rotation = _diagonalised(V)
    unit = np.ones(k) if rotation is None else np.asarray(rotation @ np.ones(k))
    row = next((i for i, level in enumerate(levels) if level.size == k), None)
    terms = _known_terms(V)
    anchor = None if V.is_diagonal or V.given is None else V.codes
    crossed = []
    for i in sorted(range(len(levels)), key=lambda j: -levels[j].size):
        level = levels[i]
        if i == row:
            continue
        if (anchor is None or refines(anchor, level.codes)) and all(_nest(level.codes, term.codes) for term in terms):
            terms.append(Term(level.codes, level.size, first_rows(level.codes, level.size), unit, i))
        else:
            crossed.append(i)
    terms.sort(key=lambda term: (-term.size, term.component is not None))
    columns = _crossed_columns([levels[i] for i in crossed], crossed, terms, anchor, rotation) if crossed else None
    whole = Chain(0, k, base, tuple(terms))
    if crossed or k <= PIECE:
        return CovarianceStructure((whole,), row, columns, rotation, None, len(levels))
    order, chains = _pieces(whole)
    return CovarianceStructure(chains, row, None, rotation, order, len(levels))


def _pieces(whole: Chain) -> tuple[Codes, tuple[Chain, ...]]:
    """The rows ordered by cluster and cut between clusters into pieces of about `PIECE` rows."""
    outer = whole.terms[-1].codes if whole.terms else np.arange(whole.stop)
    order = np.argsort(outer, kind="stable")
    ends = np.cumsum(np.bincount(outer))
    cuts = ends[np.unique(np.searchsorted(ends, np.arange(PIECE, whole.stop + PIECE, PIECE)).clip(max=len(ends) - 1))]
    starts = np.concatenate([[0], cuts[:-1]])
    return order, tuple(_piece(whole, order, int(a), int(b)) for a, b in zip(starts, cuts, strict=True))


def _piece(whole: Chain, order: Codes, start: int, stop: int) -> Chain:
    rows = order[start:stop]
    terms = []
    for term in whole.terms:
        codes = group_codes(term.codes[rows], len(rows), "term")
        size = int(codes.max()) + 1
        terms.append(Term(codes, size, first_rows(codes, size), term.vector[rows], term.component, term.weight))
    return Chain(start, stop, whole.base[rows], tuple(terms))


def rotate(structure: CovarianceStructure, values: Array) -> Array:
    """`values (k, ...)` in the coordinates of the structure."""
    turned = values if structure.rotation is None else np.asarray(structure.rotation @ values)
    return turned if structure.order is None else turned[structure.order]


def rotate_back(structure: CovarianceStructure, values: Array) -> Array:
    """`values (k, ...)` in the coordinates of the rows."""
    rows = values
    if structure.order is not None:
        rows = np.empty_like(values)
        rows[structure.order] = values
    return rows if structure.rotation is None else np.asarray(structure.rotation.T @ rows)


def _nest(a: Codes, b: Codes) -> bool:
    return refines(a, b) or refines(b, a)


def _known_terms(V: BlockV) -> list[Term]:
    """The term `rho s s'` of an assumed correlation."""
    if V.is_diagonal or V.given is not None or V.codes is None:
        return []
    size = int(V.codes.max(initial=-1)) + 1
    return [Term(V.codes, size, first_rows(V.codes, size), np.sqrt(V.variances), None, V.rho)]


def _diagonalised(V: BlockV) -> tuple[Array, sparse.csr_array | None]:
    """What V leaves on the diagonal, and the rotation that makes given blocks diagonal."""
    if V.is_diagonal:
        return V.variances, None
    if V.given is None or V.codes is None:
        return (1.0 - V.rho) * V.variances, None
    base = np.empty(V.k)
    entries, rows, columns = [], [], []
    for index in rows_by_size(V.codes):
        values, vectors = np.linalg.eigh(V.sub_blocks(index))
        _refuse_indefinite(values, index)
        base[index] = values
        entries.append(vectors.swapaxes(1, 2).ravel())
        n = index.shape[1]
        rows.append(np.repeat(index, n, axis=1).ravel())
        columns.append(np.tile(index, (1, n)).ravel())
    position = (np.concatenate(rows), np.concatenate(columns))
    return base, sparse.csr_array((np.concatenate(entries), position), shape=(V.k, V.k))


def _refuse_indefinite(values: Array, index: NDArray[np.intp]) -> None:
    bad = values[:, 0] <= 1e-14 * values[:, -1]
    if bad.any():
        rows = list_rows(index[int(np.flatnonzero(bad)[0])].tolist())
        raise ModelError(
            f"the block of V with {rows} is no covariance matrix (smallest eigenvalue {values[bad][0, 0]:.3g}); "
            "check its correlations, or use BlockV.constant_correlation."
        )


def _crossed_columns(
    levels: Sequence[Level],
    components: Sequence[int],
    terms: Sequence[Term],
    anchor: Codes | None,
    rotation: sparse.csr_array | None,
) -> CrossedColumns:
    k = len(levels[0].codes)
    Z = sparse.hstack([_indicator(level.codes, level.size) for level in levels], format="csr")
    owner = np.repeat(components, [level.size for level in levels])
    clusters = terms[-1].codes if terms else anchor
    if clusters is None:
        clusters = np.arange(k)
    touched = sparse.csr_array(_indicator(clusters, int(clusters.max()) + 1).T @ Z)
    block = sparse.csgraph.connected_components(touched.T @ touched, directed=False)[1]
    rotated = sparse.csr_array(Z if rotation is None else rotation @ Z)
    groups = tuple(_indicator(term.codes, term.size) for term in terms)
    columns = rotated.toarray() if k * len(owner) <= DENSE else rotated
    return CrossedColumns(columns, owner, np.asarray(block, dtype=np.intp), groups)


def _indicator(codes: Codes, size: int) -> sparse.csr_array:
    k = len(codes)
    return sparse.csr_array((np.ones(k), codes, np.arange(k + 1)), shape=(k, size))
