"""The matrix in the middle of Woodbury's identity for crossed factors: `R = T (I + C T)^-1` over their r levels.

Called by `inverse`. `C (r, r)` says which levels meet in a cluster of the chain, and `T` is the diagonal of their
variances. Three ways, by size:

1. few levels: a plain inverse, also of complex variances;
2. many levels in blocks that share no cluster: the same block by block, stored sparse;
3. many levels that are tied to each other: with `D = T^1/2`, the matrix `S = I + D C D` is symmetric and positive, so
   its Cholesky factor gives the determinant and products with R, and its inverse is made only when a trace asks. Where
   levels meet at random S fills up whatever their order, so a sparse factor would be a dense one, only slower.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, lapack

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.multilevel.groups import Codes, Numbers, rows_by_size

__all__ = ["CholeskyCore", "Core", "Matrix", "PlainCore", "core_of", "is_large", "say_cost"]

# Dense while small, sparse beyond.
Matrix = NDArray[Any] | sparse.csr_array | sparse.csc_array

# Tied levels from which on R has a Cholesky factor instead of a plain inverse: complex steps through the latter, which
# exact second derivatives need, would take seconds each.
LARGE = 600
# What a step of the search costs: about r^3 operations, so many a second on one core, in so many steps; seconds that
# are worth a warning, and bytes that are refused.
SPEED, STEPS, LONG, MOST_BYTES = 4e10, 4, 30.0, 8e9


@dataclass(frozen=True, slots=True, eq=False)
class PlainCore:
    """R itself, dense or sparse, with the log determinant of `I + C T`."""

    R: Matrix
    log_determinant: float

    def times(self, columns: Numbers) -> Numbers:
        """`R b` for `columns (r, c)`."""
        return np.asarray(self.R @ columns)

    def total(self, products: Matrix) -> Numbers:
        """The sum of all entries of R times those of `products (r, r)`."""
        return np.asarray(_entry_products(self.R, products).sum())

    def quadratic(self, F: Matrix) -> Numbers:
        """The diagonal of `F R F'` for `F (m, r)`."""
        return np.asarray(_entry_products(F @ self.R, F).sum(axis=1)).ravel()


@dataclass(frozen=True, eq=False)
class CholeskyCore:
    """R through the Cholesky factor of `S = I + D C D`, `D = diag(root)`; the inverse of S is made when needed."""

    C: sparse.csr_array
    root: Array
    factor: Array

    @property
    def log_determinant(self) -> float:
        """The log determinant of `I + C T`."""
        return 2.0 * float(np.log(np.diag(self.factor)).sum())

    @cached_property
    def inverse(self) -> Array:
        """The inverse of S, its lower triangle alone."""
        inverse, failed = lapack.dpotri(self.factor, lower=1)
        if failed:
            raise np.linalg.LinAlgError("the crossed factors leave a singular matrix")
        return np.asarray(inverse)

    def times(self, columns: Numbers) -> Numbers:
        """`R b` for `columns (r, c)`."""
        scaled = self.root[:, None] * columns
        return np.asarray(self.root[:, None] * cho_solve((self.factor, True), scaled, check_finite=False))

    def total(self, products: Matrix) -> Numbers:
        """The sum of all entries of R times those of `products (r, r)`."""
        entries = sparse.coo_array(products)
        i, j = entries.coords
        return np.asarray((entries.data * self.root[i] * self.root[j] * self._inverse_at(i, j)).sum())

    def quadratic(self, F: Matrix) -> Numbers:
        """The diagonal of `F R F'` for `F (m, r)`."""
        scaled = sparse.csr_array(F @ sparse.diags_array(self.root))
        parts = []
        for start in range(0, scaled.shape[0], 1024):
            rows = scaled[start : start + 1024].toarray()
            half = lapack.dtrtrs(self.factor, rows.T, lower=1)[0]
            parts.append((half**2).sum(axis=0))
        return np.concatenate(parts)

    def own_diagonal(self, own: Codes) -> Array:
        """The diagonal of `C - C R C` at the levels `own`, which have a variance above 0.

        It is `(1 - diag S^-1) / t`, and `C S^-1` with its columns scaled: the first loses its digits where t is small,
        the second where it is large.
        """
        t = self.root[own] ** 2
        plain = (1.0 - np.diag(self.inverse)[own]) / t
        entries = sparse.coo_array(self.C)
        i, j = entries.coords
        products = entries.data * self._inverse_at(i, j) * self.root[j]
        sums = np.bincount(i, weights=products, minlength=len(self.root))[own] / self.root[own]
        return np.where(t * self.C.diagonal()[own] > 1.0, plain, sums)

    def _inverse_at(self, i: NDArray[np.integer], j: NDArray[np.integer]) -> Array:
        return np.asarray(self.inverse[np.maximum(i, j), np.minimum(i, j)])


Core = PlainCore | CholeskyCore


def is_large(block: Codes) -> bool:
    """Whether so many levels are tied to each other, by their `block (r,)`, that R needs a Cholesky factor."""
    return bool(np.bincount(block).max(initial=0) > LARGE)


def say_cost(block: Codes) -> None:
    """Warn, before any work, of a fit that will take long; refuse one whose matrices no memory holds.

    `block (r,)` numbers the blocks of tied levels.
    """
    r = len(block)
    if not is_large(block):
        return
    if 24.0 * r**2 > MOST_BYTES:
        raise ModelError(
            f"the crossed factors have {r:,} levels tied to each other, which takes {24.0 * r**2 / 1e9:.0f} GB; leave "
            "out the factor with the most levels, nest it, or fit parts of the data."
        )
    seconds = STEPS * float(r) ** 3 / SPEED
    if seconds > LONG:
        message = f"{r:,} crossed levels are tied to each other: about {seconds:.0f} s on one core."
        warnings.warn(message, UserWarning, stacklevel=2)


def core_of(C: Matrix, block: Codes, variances: Numbers) -> Core:
    """R at the `variances (r,)` of the crossed levels, whose tied ones `block (r,)` numbers."""
    if is_large(block) and not variances.any():
        # without crossed variances (Q, the typical variance) nothing is taken off the chain's inverse
        return PlainCore(sparse.csr_array(C.shape), 0.0)
    if is_large(block) and not np.iscomplexobj(variances):
        return _cholesky_core(sparse.csr_array(C), np.sqrt(variances))
    if isinstance(C, np.ndarray):
        middle = np.eye(len(variances)) + C * variances
        return PlainCore(variances[:, None] * np.linalg.inv(middle), float(np.linalg.slogdet(middle)[1]))
    return _block_core(sparse.csr_array(C), block, variances)


def _cholesky_core(C: sparse.csr_array, root: Array) -> CholeskyCore:
    entries = sparse.coo_array(C)
    i, j = entries.coords
    S = np.zeros(C.shape, order="F")
    S[i, j] = entries.data * root[i] * root[j]
    S[np.diag_indices(len(root))] += 1.0
    factor = cho_factor(S, lower=True, overwrite_a=True, check_finite=False)[0]
    return CholeskyCore(C, root, np.asarray(factor))


def _block_core(C: sparse.csr_array, block: Codes, variances: Numbers) -> PlainCore:
    """Block by block."""
    r = len(block)
    log_determinant = 0.0
    entries: list[Numbers] = []
    rows: list[Codes] = []
    columns: list[Codes] = []
    for index in rows_by_size(block):
        n = index.shape[1]
        t = variances[index]
        middle = np.eye(n) + _sub_matrices(C, index) * t[:, None, :]
        log_determinant += float(np.linalg.slogdet(middle)[1].sum())
        entries.append((t[:, :, None] * np.linalg.inv(middle)).ravel())
        rows.append(np.repeat(index, n, axis=1).ravel())
        columns.append(np.tile(index, (1, n)).ravel())
    position = (np.concatenate(rows), np.concatenate(columns))
    R = sparse.csr_array((np.concatenate(entries), position), shape=(r, r))
    return PlainCore(R, log_determinant)


def _sub_matrices(C: sparse.csr_array, index: Codes) -> Numbers:
    """The diagonal blocks `(b, n, n)` of C at `index (b, n)`."""
    b, n = index.shape
    if b == 1:
        return np.asarray(C[index[0]][:, index[0]].toarray())[None]
    place = np.full(C.shape[0], -1)
    place[index.ravel()] = np.arange(index.size)
    entries = sparse.coo_array(C)
    i, j = place[entries.coords[0]], place[entries.coords[1]]
    inside = (i >= 0) & (j >= 0)
    blocks = np.zeros((b, n, n), dtype=C.dtype)
    blocks[i[inside] // n, i[inside] % n, j[inside] % n] = entries.data[inside]
    return blocks


def _entry_products(a: Matrix, b: Matrix) -> Matrix:
    return a * b if isinstance(a, np.ndarray) else sparse.csr_array(a.multiply(b))
