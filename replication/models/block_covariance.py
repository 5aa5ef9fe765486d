"""Known sampling covariances of dependent effects: block-diagonal, one block a cluster.

Two ideas:

1. A block is stored by what it rests on: variances alone, variances with one assumed correlation `rho` inside a
   cluster (`V_ij = rho sqrt(v_i v_j)`, k numbers in all), or given dense blocks. The `k x k` matrix is never built.
2. Rows keep the caller's order; `codes (k,)` says which block a row is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from replication.errors import ModelError
from replication.models.arrays import as_numbers
from replication.models.fit import Array
from replication.models.grouping import Codes, group_codes, rows_by_size
from replication.models.prepare import list_rows

__all__ = ["BlockV", "GivenBlocks", "as_block_v"]


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
        largest = int(np.bincount(codes).max(initial=1))
        low = -1.0 / (largest - 1) if largest > 1 else -1.0
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
        codes = sparse.csgraph.connected_components(sparse.csr_array(V != 0.0), directed=False)[1]
        if codes.max(initial=-1) + 1 == len(V):
            return cls.diagonal(np.diag(V))
        members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
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
    def description(self) -> str:
        """What the covariances rest on, in words."""
        if self.is_diagonal:
            return "diagonal"
        return f"constant correlation {self.rho:g}" if self.given is None else "given blocks"

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
            root = np.sqrt(v)
            shared = np.where(same, self.rho * root[:, :, None] * root[:, None, :], 0.0)
            return np.asarray(shared + (1.0 - self.rho) * diagonal)
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
        raise ModelError(f"variances must be one number a row; found an array of shape {array.shape}.")
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
