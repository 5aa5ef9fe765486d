"""Covariance of dependent effects: how V is stored, and how `M = V + sum theta Z Z'` inverts fast.

What is known, `BlockV`:

1. A block is stored by what it rests on: variances alone, variances with one assumed correlation `rho` inside a
   cluster (`V_ij = rho sqrt(v_i v_j)`, k numbers in all), or given dense blocks. The `k x k` matrix is never built.
2. Rows keep the caller's order; `codes (k,)` says which block a row is in.

The marginal covariance, `CovarianceStructure`:

1. What varies row by row is a diagonal. Levels nested in one another form a chain; each adds, for every group, a
   multiple of `u u'`, where `u` is 1 on the group's rows. An assumed correlation adds `rho s s'`, `s = sqrt(v)`.
   A chain inverts group by group (`inverse.py`), in time and memory linear in k.
2. Given dense blocks of V become diagonal in the coordinates of their eigenvectors; `u` is rotated along.
3. Whatever does not nest is a crossed factor and enters by the Woodbury identity.
4. Many rows are cut, between clusters, into pieces that fit the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from replication.effects.covariance import constant_correlation, least_correlation
from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.multilevel.groups import (
    Codes,
    Level,
    first_rows,
    group_codes,
    refines,
    rows_by_group,
    rows_by_size,
)
from replication.models.prepare import as_numbers, list_rows

__all__ = [
    "BlockV",
    "Chain",
    "CovarianceStructure",
    "CrossedColumns",
    "GivenBlocks",
    "Term",
    "as_block_v",
    "covariance_structure",
    "rotate",
    "rotate_back",
]


@dataclass(frozen=True, slots=True, eq=False)
class GivenBlocks:
    """Dense blocks laid end to end in `entries`: block b starts at `starts[b]` and is `widths[b]` wide.

    `places (k,)` is the place of each row within its block.
    """

    entries: Array
    starts: Codes
    widths: Codes
    places: Codes


@dataclass(frozen=True, slots=True, eq=False)
class BlockV:
    """A block-diagonal sampling covariance matrix of k effects.

    `variances (k,)` is its diagonal; `codes (k,)` numbers the block of each row (None: every row on its own). Within a
    block the correlation is `rho`, or `given` holds the block. Build it with `diagonal`, `constant_correlation`,
    `from_blocks` or `from_matrix`.

    >>> V = BlockV.constant_correlation([0.04, 0.01, 0.09], cluster=["a", "a", "b"], rho=0.5)
    >>> V.dense().round(3).tolist()
    [[0.04, 0.01, 0.0], [0.01, 0.01, 0.0], [0.0, 0.0, 0.09]]
    """

    variances: Array
    codes: Codes | None = None
    rho: float = 0.0
    given: GivenBlocks | None = None

    @classmethod
    def diagonal(cls, variances: ArrayLike) -> BlockV:
        """Independent effects with sampling `variances (k,)`."""
        return cls(_vector(variances))

    @classmethod
    def constant_correlation(cls, variances: ArrayLike, cluster: ArrayLike, rho: float) -> BlockV:
        """Effects of one `cluster (k,)` correlate by the same assumed `rho`: `V_ij = rho sqrt(v_i v_j)`.

        Source: Pustejovsky & Tipton (2022), the correlated-effects working model.

        Raises
        ------
        ModelError
            `rho` is not below 1 or so negative that a block is not a covariance matrix; a label is missing.
        """
        v = _vector(variances)
        codes = group_codes(cluster, len(v), "cluster")
        if (codes < 0).any():
            rows = list_rows(np.flatnonzero(codes < 0).tolist())
            raise ModelError(f"cluster has no label in {rows}; label the rows or leave them out.")
        # The largest cluster decides: the more effects share one correlation, the less negative it can be.
        low = least_correlation(int(np.bincount(codes).max(initial=1)))
        if not low < rho < 1.0:
            raise ModelError(f"rho={rho!r} is not possible here; choose a value above {low:.4g} and below 1.")
        return cls(v, codes, float(rho))

    @classmethod
    def from_blocks(cls, blocks: Sequence[ArrayLike], rows: Sequence[ArrayLike] | None = None) -> BlockV:
        """Dense `blocks`, in the order of the rows; or `rows` gives the row numbers of each block.

        Raises
        ------
        ModelError
            A block is not square, not symmetric, or the rows are not each in exactly one block.
        """
        dense = [_symmetric(block, f"block {b} of V") for b, block in enumerate(blocks)]
        sizes = [len(block) for block in dense]
        k = sum(sizes)
        members = [np.asarray(r, dtype=np.intp).ravel() for r in rows] if rows is not None else []
        index = np.concatenate(members) if members else np.arange(k)
        wrong = rows is not None and [len(r) for r in members] != sizes
        if wrong or not np.array_equal(np.sort(index), np.arange(k)):
            raise ModelError(f"rows must name each of the {k} rows once, as many for a block as it is wide.")
        widths = np.asarray(sizes, dtype=np.intp)
        codes, places = np.empty(k, dtype=np.intp), np.empty(k, dtype=np.intp)
        codes[index] = np.repeat(np.arange(len(dense)), sizes)
        places[index] = np.concatenate([np.arange(n) for n in sizes])
        variances = np.empty(k)
        variances[index] = np.concatenate([np.diag(block) for block in dense])
        entries = np.concatenate([block.ravel() for block in dense])
        return cls(variances, codes, 0.0, GivenBlocks(entries, np.cumsum(widths**2) - widths**2, widths, places))

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> BlockV:
        """A full `matrix (k, k)`, split into its independent blocks."""
        V = _symmetric(matrix, "V")
        # Effects that covary through a third belong together, whatever order the rows come in.
        codes = sparse.csgraph.connected_components(sparse.csr_array(V != 0.0), directed=False)[1]
        # The diagonal form inverts without any blocks.
        if codes.max(initial=-1) + 1 == len(V):
            return cls.diagonal(np.diag(V))
        members = rows_by_group(codes.astype(np.intp))
        return cls.from_blocks([V[np.ix_(rows, rows)] for rows in members], members)

    @property
    def k(self) -> int:
        """Number of effects."""
        return len(self.variances)

    @property
    def is_diagonal(self) -> bool:
        """No two effects correlate."""
        return self.codes is None or (self.given is None and self.rho == 0.0)

    @property
    def choice(self) -> dict[str, str]:
        """What the covariances rest on, as choices of a fit: `V`, and `rho` where one correlation makes them all."""
        if self.is_diagonal:
            return {"V": "diagonal"}
        return {"V": "constant_correlation", "rho": f"{self.rho:g}"} if self.given is None else {"V": "given_blocks"}

    def take(self, rows: NDArray[np.intp]) -> BlockV:
        """The covariance of the effects at `rows`, in that order, each row once."""
        if self.codes is None:
            return BlockV(self.variances[rows])
        codes = np.unique(self.codes[rows], return_inverse=True)[1].astype(np.intp)
        if self.given is None:
            return BlockV(self.variances[rows], codes, self.rho)
        batches = rows_by_size(codes)
        blocks = [block for batch in batches for block in self.sub_blocks(rows[batch])]
        return BlockV.from_blocks(blocks, [index for batch in batches for index in batch])

    def scaled(self, factor: float) -> BlockV:
        """Every covariance times `factor`."""
        g = self.given
        given = None if g is None else GivenBlocks(g.entries * factor, g.starts, g.widths, g.places)
        return BlockV(self.variances * factor, self.codes, self.rho, given)

    def missing(self) -> NDArray[np.bool_]:
        """Rows with a missing (NaN) variance, or missing covariances with rows whose variance is there `(k,)`."""
        bad = np.isnan(self.variances)
        if self.given is not None and self.codes is not None and np.isnan(self.given.entries).any():
            for index in rows_by_size(self.codes):
                known = np.where(bad[index][:, None, :], 0.0, self.sub_blocks(index))
                bad[index] |= np.isnan(known).any(axis=-1)
        return bad

    def sub_blocks(self, rows: NDArray[np.intp]) -> Array:
        """Dense covariances `(b, n, n)` of b sets of n rows each, `rows (b, n)`."""
        v = self.variances[rows]
        diagonal = v[:, :, None] * np.eye(rows.shape[1])
        if self.codes is None or self.is_diagonal:
            return np.asarray(diagonal)
        codes = self.codes[rows]
        same = codes[:, :, None] == codes[:, None, :]
        if self.given is None:
            return np.where(same, constant_correlation(v, self.rho), 0.0)
        g, places = self.given, self.given.places[rows]
        at = (g.starts[codes] + places * g.widths[codes])[:, :, None] + places[:, None, :]
        return np.where(same, g.entries[np.where(same, at, 0)], 0.0)

    def dense(self) -> Array:
        """The full matrix `(k, k)`: for small data and tests."""
        return np.asarray(self.sub_blocks(np.arange(self.k, dtype=np.intp)[None, :])[0])


def as_block_v(V: BlockV | ArrayLike) -> BlockV:
    """A `BlockV` from itself, from variances `(k,)` or from a full matrix `(k, k)`."""
    if isinstance(V, BlockV):
        return V
    array = as_numbers(V, "V")
    return BlockV.diagonal(array) if array.ndim <= 1 else BlockV.from_matrix(array)


def _vector(values: ArrayLike) -> Array:
    array = np.atleast_1d(as_numbers(values, "V"))
    if array.ndim != 1:
        raise ModelError(f"variances must be one number per row; found an array of shape {array.shape}.")
    return array


def _symmetric(block: ArrayLike, name: str) -> Array:
    array = np.atleast_2d(as_numbers(block, name))
    if np.isinf(array).any():
        raise ModelError(f"{name} holds an infinite covariance; correct it, or make it NaN to leave its rows out.")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ModelError(f"{name} must be square; found shape {array.shape}.")
    gap = np.nan_to_num(np.abs(array - array.T))
    if gap.max(initial=0.0) > 1e-10 * np.nanmax(np.abs(array), initial=0.0):
        i, j = (int(n) for n in np.unravel_index(int(gap.argmax()), gap.shape))
        raise ModelError(f"{name} is not symmetric: ({i}, {j}) is {array[i, j]:.6g} but ({j}, {i}) {array[j, i]:.6g}.")
    return np.asarray((array + array.T) / 2.0)


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
    # A level with as many groups as rows is a diagonal, which costs nothing to invert.
    row = next((i for i, level in enumerate(levels) if level.size == k), None)
    terms = _known_terms(V)
    anchor = None if V.is_diagonal or V.given is None else V.codes
    crossed = []
    # The finest first: a level joins the chain when it nests with all that are in it, else it counts as crossed.
    for i in sorted(range(len(levels)), key=lambda j: -levels[j].size):
        level = levels[i]
        if i == row:
            continue
        if (anchor is None or refines(anchor, level.codes)) and all(_nest(level.codes, term.codes) for term in terms):
            terms.append(Term(level.codes, level.size, first_rows(level.codes, level.size), unit, i))
        else:
            crossed.append(i)
    # Of two terms of one size the known covariance comes first: it does not change during a search.
    terms.sort(key=lambda term: (-term.size, term.component is not None))
    columns = _crossed_columns([levels[i] for i in crossed], crossed, terms, anchor, rotation) if crossed else None
    whole = Chain(0, k, base, tuple(terms))
    # Crossed factors tie rows of every cluster, so there is nothing to cut between.
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
    # One array for terms that load on one column, as in the whole: by that it is known that they do.
    vectors = {id(term.vector): term.vector[rows] for term in whole.terms}
    terms = []
    for term in whole.terms:
        codes = group_codes(term.codes[rows], len(rows), "term")
        size = int(codes.max()) + 1
        vector = vectors[id(term.vector)]
        terms.append(Term(codes, size, first_rows(codes, size), vector, term.component, term.weight))
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
        # In the eigenvectors of its block V is diagonal, and stays so whatever variance of single rows is added.
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
    # Relative to the largest: a block with a singular direction has no inverse in double precision.
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
    # Columns that meet in no cluster never meet in the inverse, so each such set has a block of its own.
    touched = sparse.csr_array(_indicator(clusters, int(clusters.max()) + 1).T @ Z)
    block = sparse.csgraph.connected_components(touched.T @ touched, directed=False)[1]
    rotated = sparse.csr_array(Z if rotation is None else rotation @ Z)
    groups = tuple(_indicator(term.codes, term.size) for term in terms)
    columns = rotated.toarray() if k * len(owner) <= DENSE else rotated
    return CrossedColumns(columns, owner, np.asarray(block, dtype=np.intp), groups)


def _indicator(codes: Codes, size: int) -> sparse.csr_array:
    k = len(codes)
    return sparse.csr_array((np.ones(k), codes, np.arange(k + 1)), shape=(k, size))
