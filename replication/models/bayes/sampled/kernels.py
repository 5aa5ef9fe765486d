"""What the likelihood kernels share, written for numba: plain loops, vectors in and vectors out.

1. A `c x c` correlation matrix is made from `c(c-1)/2` partial correlations in (-1, 1), each free of the others
   (Joe 2006). Row i of its Cholesky root is `L_ij = P_ij prod_{l<j} sqrt(1 - P_il^2)`, `L_ii = prod_{l<i} ...`.
2. The LKJ(eta) prior of the matrix is then a product of scaled beta densities, one a partial correlation
   (Lewandowski, Kurowicka & Joe 2009, section 2): no Jacobian is left over.
3. All that a compiled log density reads lies in one array of eight-byte words, so that one compiled function serves any
   data. Word 0 counts the words, word 1 the arrays of the priors, after which those of the data come; from word 2 on
   three words for each array tell where it begins and what its shape is.

Numba compiles a function anew for every whole number written out as an argument: positions are counted from `data_at`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = [
    "Codes",
    "codes",
    "compiled",
    "correlation_draws",
    "correlation_root",
    "data_at",
    "lkj_shapes",
    "lower_pairs",
    "matrix",
    "one",
    "packed",
    "put",
    "residuals",
    "root_gradient",
    "times",
    "vector",
]

Codes = NDArray[np.int64]


def one(value: float) -> Array:
    """A number as a vector `(1,)`."""
    vector = np.zeros(1)
    vector[0] = value
    return vector


def residuals(y: Array, X: Array, beta: Array) -> Array:
    """`y - X beta (k,)`."""
    r = y.copy()
    for i in range(y.shape[0]):
        for j in range(beta.shape[0]):
            r[i] -= X[i, j] * beta[j]
    return r


def times(X: Array, a: Array) -> Array:
    """`X' a (p,)`."""
    total = np.zeros(X.shape[1])
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            total[j] += X[i, j] * a[i]
    return total


def correlation_root(partial: Array, c: int) -> Array:
    """The lower Cholesky root `(c, c)` of the correlation matrix with `partial (c(c-1)/2,)`, row by row.

    >>> L = correlation_root(np.array([0.5, 0.0, 0.0]), 3)
    >>> (L @ L.T).round(3).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    L = np.zeros((c, c))
    at = 0
    for i in range(c):
        left = 1.0
        for j in range(i):
            L[i, j] = partial[at] * left
            left *= math.sqrt(1.0 - partial[at] ** 2)
            at += 1
        L[i, i] = left
    return L


def root_gradient(partial: Array, L: Array, dL: Array) -> Array:
    """Derivatives `(c(c-1)/2,)` by the partial correlations, from those by the root, `dL (c, c)`."""
    c = L.shape[0]
    gradient = np.zeros(partial.shape[0])
    at = 0
    for i in range(c):
        left = 1.0
        for j in range(i):
            rest = 1.0 - partial[at] ** 2
            later = 0.0
            for q in range(j + 1, i + 1):
                later += dL[i, q] * L[i, q]
            gradient[at] = dL[i, j] * left
            # At a partial correlation of 1 all later entries of the row are 0, and so is their share of the slope.
            if rest > 0.0:
                gradient[at] -= partial[at] / rest * later
            left *= math.sqrt(rest)
            at += 1
    return gradient


def lkj_shapes(c: int, eta: float) -> Array:
    """Beta shapes `(c(c-1)/2,)` of the partial correlations under LKJ(eta), in the order of `correlation_root`.

    A partial correlation given j others is `2 B - 1` with `B ~ beta(a, a)`, `a = eta + (c - 2 - j) / 2`.

    >>> lkj_shapes(3, 2.0).tolist()
    [2.5, 2.5, 2.0]
    """
    return np.array([eta + (c - 2 - j) / 2.0 for i in range(c) for j in range(i)])


def lower_pairs(c: int) -> NDArray[np.intp]:
    """The pairs `(c(c-1)/2, 2)` below the diagonal, row by row: which two variables each correlation is about."""
    return np.array([(i, j) for i in range(c) for j in range(i)], dtype=np.intp).reshape(-1, 2)


def correlation_draws(partial: Array, c: int) -> Array:
    """Correlation matrices `(..., c, c)` from draws of the partial correlations `(..., c(c-1)/2)`."""
    flat = partial.reshape(-1, partial.shape[-1])
    roots = np.array([correlation_root(one, c) for one in flat]).reshape(*partial.shape[:-1], c, c)
    return np.asarray(roots @ roots.swapaxes(-1, -2))


def data_at(words: Array) -> int:
    """The position of the first array of the data."""
    return int(words[1])


def vector(words: Array, j: int) -> Array:
    """Array j of `words` as a vector."""
    at = int(words[2 + 3 * j])
    return words[at : at + int(words[3 + 3 * j]) * int(words[4 + 3 * j])]


def matrix(words: Array, j: int) -> Array:
    """Array j of `words` as a matrix."""
    return vector(words, j).reshape((int(words[3 + 3 * j]), int(words[4 + 3 * j])))


def codes(words: Array, j: int) -> Codes:
    """Array j of `words` as whole numbers: the same bits."""
    return vector(words, j).view(np.int64)


def put(target: Array, at: int, part: Array) -> int:
    """Copy `part` into `target` from `at` on; returns where it ends."""
    for value in part:
        target[at] = value
        at += 1
    return at


def packed(prior: Sequence[Array | Codes], data: Sequence[Array | Codes]) -> Array:
    """Arrays of eight-byte numbers in one, as `vector`, `matrix` and `codes` take them out again.

    >>> words = packed([np.array([0.5, 1.0])], [np.array([3, 4])])
    >>> vector(words, 0).tolist(), codes(words, data_at(words)).tolist()
    ([0.5, 1.0], [3, 4])
    """
    arrays = [*prior, *data]
    flat = [np.ascontiguousarray(a, dtype=np.int64 if a.dtype.kind in "iu" else np.float64) for a in arrays]
    begins = 2 + 3 * len(flat) + np.cumsum([0, *(a.size for a in flat)])
    shapes = [(at, *(a.shape if a.ndim == 2 else (a.size, 1))) for at, a in zip(begins[:-1], flat, strict=True)]
    head = np.array([begins[-1], len(prior), *(n for shape in shapes for n in shape)], dtype=np.float64)
    return np.concatenate([head, *(a.ravel().view(np.float64) for a in flat)])


@lru_cache(maxsize=32)
def compiled(function: Callable[..., Any]) -> Any:
    """`function` compiled by numba, together with the functions of this package that it calls."""
    import numba

    # numba compiles no plain Python function called by name: helpers are compiled first and put in its globals.
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    ours = {n: compiled(f) for n, f in found.items() if isinstance(f, FunctionType) and _is_ours(f)}
    copy = FunctionType(function.__code__, {**function.__globals__, **ours}, function.__name__)
    # A division by zero is infinite here and no error: the sampler turns back where a density is not finite.
    return numba.njit(copy, error_model="numpy", nogil=True)


def _is_ours(function: FunctionType) -> bool:
    return function.__module__.split(".")[0] == __name__.split(".", maxsplit=1)[0]
