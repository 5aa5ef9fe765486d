"""Log-likelihood of the multivariate multilevel model with effects integrated out, and its gradient.

Two ideas:

1. Given the standard deviations everything is normal, so the effects need no sampling: block by block,
   `y ~ N(X beta, M)` with `M = V + G[slot, slot]` (same sample) `+ tau_e^2 I` and `G = diag(tau) L L' diag(tau)`.
2. The gradient is written out: `dl/dM = (a a' - M^-1) / 2`, `a = M^-1 (y - X beta)`. One pass gives both.

Functions here are written for numba, as plain loops over vectors. Measured on 85 effects in 45 samples with one and the
same sampler: 12 times as many effective draws a second as with sampled (non-centred) effects. Time grows with the cube
of the effects in a block.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replication.models.bayes.sampled.likelihood_op import correlation_root, one, residuals, root_gradient, times
from replication.models.fit import Array

__all__ = ["multilevel_loglik"]

Codes = NDArray[np.int64]


def multilevel_loglik(
    beta: Array,
    tau: Array,
    partial: Array,
    tau_effect: Array,
    y: Array,
    X: Array,
    V: Array,
    start: Codes,
    sample: Codes,
    slot: Codes,
) -> tuple[Array, Array, Array, Array, Array]:
    """Log-likelihood `(1,)` and its derivatives by `beta (p,)`, `tau (c,)`, `partial (c(c-1)/2,)`, `tau_effect (1,)`.

    Rows are sorted by block: block b holds the rows `start[b]` to `start[b + 1]`, and `V` its dense sampling
    covariances, block after block, each row by row. Rows of one `sample` share a random effect for each `slot`.
    """
    c = tau.shape[0]
    L = correlation_root(partial, c)
    G = outer_covariance(tau, L)
    noise = tau_effect[0] ** 2
    a = residuals(y, X, beta)
    # The first of `start` is 0; written as 0, numba would compile `fill_block` twice, once for the literal.
    dG, loglik, dnoise, at = np.zeros((c, c)), -0.5 * y.shape[0] * np.log(2.0 * np.pi), 0.0, start[0]
    # Allocated once and used for all blocks: the kernel runs at every step of every trajectory.
    M, W = scratch(start), scratch(start)
    for b in range(start.shape[0] - 1):
        first, n = start[b], start[b + 1] - start[b]
        fill_block(M, V, at, first, n, G, noise, sample, slot)
        at += n * n
        logdet = invert_root(M, W, n)
        loglik -= 0.5 * (logdet + solve_block(W, a, first, n))
        dnoise += add_gradient(dG, W, a, first, n, sample, slot)
    dtau, dL = split_gradient(tau, L, dG)
    return one(loglik), times(X, a), dtau, root_gradient(partial, L, dL), one(2.0 * tau_effect[0] * dnoise)


def scratch(start: Codes) -> Array:
    """An empty matrix as wide as the largest block."""
    widest = 0
    for b in range(start.shape[0] - 1):
        widest = max(widest, start[b + 1] - start[b])
    return np.zeros((widest, widest))


def outer_covariance(tau: Array, L: Array) -> Array:
    """`diag(tau) L L' diag(tau)`."""
    c = tau.shape[0]
    G = np.zeros((c, c))
    for i in range(c):
        for j in range(i + 1):
            shared = 0.0
            for q in range(j + 1):
                shared += L[i, q] * L[j, q]
            G[i, j] = G[j, i] = tau[i] * tau[j] * shared
    return G


def fill_block(
    M: Array, V: Array, at: int, first: int, n: int, G: Array, noise: float, sample: Codes, slot: Codes
) -> None:
    """The lower triangle of the marginal covariance of one block, into `M`."""
    for i in range(n):
        for j in range(i + 1):
            M[i, j] = V[at + i * n + j]
            if sample[first + i] == sample[first + j]:
                M[i, j] += G[slot[first + i], slot[first + j]]
        M[i, i] += noise


def invert_root(M: Array, W: Array, n: int) -> float:
    """`W = L^-1` for `M = L L'`; returns `log det M`, NaN where M is no covariance matrix. `M` is overwritten by L."""
    logdet = 0.0
    for j in range(n):
        for q in range(j):
            M[j, j] -= M[j, q] ** 2
        # NaN as the log-likelihood makes the sampler call the step divergent and turn back.
        if not M[j, j] > 0.0:
            return np.nan
        logdet += np.log(M[j, j])
        M[j, j] = np.sqrt(M[j, j])
        for i in range(j + 1, n):
            for q in range(j):
                M[i, j] -= M[i, q] * M[j, q]
            M[i, j] /= M[j, j]
    for j in range(n):
        W[j, j] = 1.0 / M[j, j]
        for i in range(j + 1, n):
            W[i, j] = 0.0
            for q in range(j, i):
                W[i, j] -= M[i, q] * W[q, j]
            W[i, j] /= M[i, i]
    return logdet


def solve_block(W: Array, a: Array, first: int, n: int) -> float:
    """Residuals in `a` become `M^-1 r`; returns `r' M^-1 r`."""
    square = 0.0
    # From the last row up: row i needs only the entries before it, so `a` can be overwritten in place.
    for i in range(n - 1, -1, -1):
        total = 0.0
        for q in range(i + 1):
            total += W[i, q] * a[first + q]
        a[first + i] = total
        square += total * total
    for i in range(n):
        total = 0.0
        for q in range(i, n):
            total += W[q, i] * a[first + q]
        a[first + i] = total
    return square


def add_gradient(dG: Array, W: Array, a: Array, first: int, n: int, sample: Codes, slot: Codes) -> float:
    """Add one block's `dl/dM` to `dG`; returns its trace, the derivative by `tau_effect^2`."""
    trace = 0.0
    for i in range(n):
        for j in range(i + 1):
            inverse = 0.0
            for q in range(i, n):
                inverse += W[q, i] * W[q, j]
            d = 0.5 * (a[first + i] * a[first + j] - inverse)
            if i == j:
                trace += d
            if sample[first + i] == sample[first + j]:
                dG[slot[first + i], slot[first + j]] += d
                if i != j:
                    # Only the lower triangle of M is walked; the entry above the diagonal has the same derivative.
                    dG[slot[first + j], slot[first + i]] += d
    return trace


def split_gradient(tau: Array, L: Array, dG: Array) -> tuple[Array, Array]:
    """From the derivative by G (symmetric) to those by `tau (c,)` and by the root `L (c, c)`."""
    c = tau.shape[0]
    dtau, dL = np.zeros(c), np.zeros((c, c))
    for i in range(c):
        for j in range(i + 1):
            total = 0.0
            for q in range(c):
                if q >= j:
                    total += 2.0 * dG[i, q] * tau[q] * L[q, j]
            dtau[i] += total * L[i, j]
            dL[i, j] = total * tau[i]
    return dtau, dL
