"""Log-likelihood of the multilevel multinomial logit, and its gradient.

Student i of class j has role c with log odds `eta_c = x_i' b_c + u_jc` against the reference, whose eta is 0. The class
deviations are `u_j = diag(sd) L raw_j`, with `raw` standard normal: sampled in units of their own sd (non-centred), as
a class holds few students with each role.

Functions here are written for numba: plain loops over vectors.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from replication.models.bayes.correlation_root import correlation_root, root_gradient
from replication.models.bayes.kernel_loops import one
from replication.models.fit import Array

__all__ = ["roles_loglik"]

Codes = NDArray[np.int64]


def roles_loglik(
    slopes: Array, sd: Array, partial: Array, raw: Array, X: Array, group: Codes, role: Codes
) -> tuple[Array, Array, Array, Array, Array]:
    """Log-likelihood `(1,)` and derivatives by `slopes (3 p,)`, `sd (3,)`, `partial (3,)` and `raw (3 m,)`.

    `slopes` holds the p coefficients of the first contrast, then those of the next; `raw` the deviations of the first
    class, then of the next. `X (n, p)`, class codes `group (n,)`, `role (n,)` with 0 the reference.
    """
    c, p, m = sd.shape[0], X.shape[1], raw.shape[0] // sd.shape[0]
    L = correlation_root(partial, c)
    u = deviations(L, raw, m)
    loglik, dslopes, du = 0.0, np.zeros(slopes.shape[0]), np.zeros((m, c))
    eta = np.zeros(c)
    for i in range(X.shape[0]):
        j = group[i]
        for a in range(c):
            eta[a] = sd[a] * u[j, a]
            for q in range(p):
                eta[a] += X[i, q] * slopes[a * p + q]
        if role[i] > 0:
            loglik += eta[role[i] - 1]
        loglik -= log_sum(eta)
        if role[i] > 0:
            eta[role[i] - 1] += 1.0
        for a in range(c):
            du[j, a] += eta[a]
            for q in range(p):
                dslopes[a * p + q] += eta[a] * X[i, q]
    dsd, dL, draw = split_deviations(L, sd, raw, u, du)
    return one(loglik), dslopes, dsd, root_gradient(partial, L, dL), draw


def deviations(L: Array, raw: Array, m: int) -> Array:
    """`L raw_j (m, c)`: correlated deviations of each class, in units of their sds."""
    c = L.shape[0]
    u = np.zeros((m, c))
    for j in range(m):
        for a in range(c):
            for q in range(a + 1):
                u[j, a] += L[a, q] * raw[j * c + q]
    return u


def log_sum(eta: Array) -> float:
    """`log(1 + sum exp eta)`; `eta` becomes minus the probabilities."""
    top = 0.0
    for a in range(eta.shape[0]):
        top = max(top, eta[a])
    total = math.exp(-top)
    for a in range(eta.shape[0]):
        eta[a] = math.exp(eta[a] - top)
        total += eta[a]
    for a in range(eta.shape[0]):
        eta[a] = -eta[a] / total
    return top + math.log(total)


def split_deviations(L: Array, sd: Array, raw: Array, u: Array, du: Array) -> tuple[Array, Array, Array]:
    """From the derivatives by the deviations `du (m, c)` to those by `sd (c,)`, root `L (c, c)` and `raw (3 m,)`."""
    m, c = du.shape
    dsd, dL, draw = np.zeros(c), np.zeros((c, c)), np.zeros(raw.shape[0])
    for j in range(m):
        for a in range(c):
            dsd[a] += du[j, a] * u[j, a]
            scaled = du[j, a] * sd[a]
            for q in range(a + 1):
                dL[a, q] += scaled * raw[j * c + q]
                draw[j * c + q] += scaled * L[a, q]
    return dsd, dL, draw
