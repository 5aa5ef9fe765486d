"""Log-likelihood of a random-effects selection model with step weights, and its gradient.

A result is published with a probability that depends on its p value alone, by steps. Cut on the z scale, the line falls
into intervals of equal weight; a published effect has the density `w N(y; mu, s^2) / A`, `s^2 = v + tau^2`, with
`A = sum_b w_b P_b` the chance that a study of this precision is published (Hedges 1992; Vevea & Hedges 1995).

Functions here are written for numba: plain loops over vectors.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from replication.models.bayes.kernel_loops import one, residuals, times
from replication.models.fit import Array

__all__ = ["selection_loglik"]

Codes = NDArray[np.int64]

ROOT2 = math.sqrt(2.0)
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
ROOT_2PI = math.sqrt(2.0 * math.pi)


def selection_loglik(
    beta: Array, tau: Array, weight: Array, y: Array, v: Array, X: Array, step: Codes, cuts: Array, step_of: Codes
) -> tuple[Array, Array, Array, Array]:
    """Log-likelihood `(1,)` and its derivatives by `beta (p,)`, `tau (1,)` and `weight (J,)`.

    The most significant step has weight 1, step j the weight `weight[j - 1]`. `step (k,)` is the step of each effect;
    `cuts (B,)` are rising z values and `step_of (B + 1,)` the step of the interval below each and above the last.
    """
    loglik, dtau = 0.0, 0.0
    r, by_effect, dweight = residuals(y, X, beta), np.zeros(y.shape[0]), np.zeros(weight.shape[0])
    chance = np.zeros(weight.shape[0] + 1)
    for i in range(y.shape[0]):
        s = math.sqrt(v[i] + tau[0] ** 2)
        A, by_mu, by_s = published_chance(chance, y[i] - r[i], s, math.sqrt(v[i]), weight, cuts, step_of)
        z = r[i] / s
        loglik -= HALF_LOG_2PI + math.log(s) + 0.5 * z * z + math.log(A)
        if step[i] > 0:
            loglik += math.log(weight[step[i] - 1])
            dweight[step[i] - 1] += 1.0 / weight[step[i] - 1]
        for j in range(weight.shape[0]):
            dweight[j] -= chance[j + 1] / A
        by_effect[i] = z / s - by_mu / A
        dtau += ((z * z - 1.0) / s - by_s / A) * tau[0] / s
    return one(loglik), times(X, by_effect), one(dtau), dweight


def published_chance(
    chance: Array, mu: float, s: float, se: float, weight: Array, cuts: Array, step_of: Codes
) -> tuple[float, float, float]:
    """A and its derivatives by `mu` and `s`; the probability of each step goes into `chance`."""
    chance[:] = 0.0
    A, by_mu, by_s = 0.0, 0.0, 0.0
    below, density_below, moment_below = 0.0, 0.0, 0.0
    for b in range(step_of.shape[0]):
        above, density, moment = 1.0, 0.0, 0.0
        if b < cuts.shape[0]:
            z = (cuts[b] * se - mu) / s
            above = 0.5 * math.erfc(-z / ROOT2)
            density = math.exp(-0.5 * z * z) / ROOT_2PI
            moment = z * density
        w = 1.0
        if step_of[b] > 0:
            w = weight[step_of[b] - 1]
        chance[step_of[b]] += above - below
        A += w * (above - below)
        by_mu -= w * (density - density_below) / s
        by_s -= w * (moment - moment_below) / s
        below, density_below, moment_below = above, density, moment
    return A, by_mu, by_s
