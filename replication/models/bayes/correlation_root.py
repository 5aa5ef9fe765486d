"""A correlation matrix from independent numbers, with its gradient: plain loops that numba compiles.

Two ideas:

1. A `c x c` correlation matrix is made from `c(c-1)/2` partial correlations in (-1, 1), each free of the others
   (Joe 2006). Row i of its Cholesky root is `L_ij = P_ij prod_{l<j} sqrt(1 - P_il^2)`, `L_ii = prod_{l<i} ...`.
2. The LKJ(eta) prior of the matrix is then a product of scaled beta densities, one a partial correlation
   (Lewandowski, Kurowicka & Joe 2009, section 2): no Jacobian is left over.

Functions here are written for numba: no imports, no allocation that is not needed, vectors in and out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = ["correlation_draws", "correlation_root", "lkj_shapes", "lower_pairs", "root_gradient"]


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
            left *= np.sqrt(1.0 - partial[at] ** 2)
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
            if rest > 0.0:
                gradient[at] -= partial[at] / rest * later
            left *= np.sqrt(rest)
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
