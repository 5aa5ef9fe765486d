"""Small loops the likelihood kernels share, written for numba: vectors in, vectors out."""

from __future__ import annotations

import numpy as np

from replication.models.fit import Array

__all__ = ["one", "residuals", "times"]


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
