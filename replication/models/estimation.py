"""Estimate every data set of a batch: tau2, coefficients, heterogeneity, likelihood. A single fit is a batch of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.models.fit import Array
from replication.models.literals import Tau2Method, TestMethod
from replication.models.tau2 import Tau2, estimate_tau2
from replication.models.weighted import (
    EffectSets,
    Weighted,
    coefficients,
    cross,
    log_likelihood,
    raw_effects,
    rss,
    trace_P,
    weighted_at,
    weighted_with,
)

__all__ = ["Estimates", "QStatistics", "estimate_sets", "q_statistics"]


@dataclass(frozen=True, slots=True, eq=False)
class QStatistics:
    """Cochran's `Q (B,)` with its `df`, and I2 (per cent) and H2. NaN where a variance is 0, as Q is not defined."""

    Q: Array
    df: Array
    I2: Array
    H2: Array


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Per data set: `gamma (B, p)` and its model covariance `cov (B, p, p)` on the basis, tau2, the `scale (B,)` of the

    covariance under the test, degrees of freedom `df (B,)` and log-likelihood `loglik (B,)`.
    """

    tau2: Tau2
    gamma: Array
    cov: Array
    scale: Array
    df: Array
    loglik: Array
    q: QStatistics


def estimate_sets(sets: EffectSets, method: Tau2Method, test: TestMethod) -> Estimates:
    """Fit all data sets with one estimator and one test.

    The log-likelihood is at the coefficients reported, restricted for REML. The scale of the Knapp-Hartung test is
    the residual mean square with weights `1 / (v + tau2)`, whatever the user's weights.
    """
    tau2 = estimate_tau2(sets, method)
    fit = weighted_at(sets, np.maximum(tau2.value[:, None], sets.floor))
    residual = rss(fit)
    loglik = log_likelihood(sets, fit, restricted=method == "REML")
    if method == "REML" and not (sets.counts == 1.0).all():  # else the basis has log determinant 0
        loglik = loglik + 0.5 * weighted_with(sets, np.ones_like(sets.v)).logdet
    df = np.broadcast_to((sets.k - sets.p)[:, 0], tau2.value.shape)
    solved = coefficients(sets, fit)
    gamma, cov = solved.gamma, solved.cov
    if sets.weights is not None:
        gamma, cov = _with_user_weights(sets, fit, sets.weights)
        e = sets.y - gamma @ sets.columns
        loglik = loglik - 0.5 * (np.vecdot(fit.w * e, sets.counts * e) - residual)
    return Estimates(
        tau2,
        gamma[:, 0],
        cov[:, 0],
        _scale(sets, fit, test),
        np.full(df.shape, np.inf) if test == "z" else df,
        loglik[:, 0],
        q_statistics(sets, tau2.value, method),
    )


def _with_user_weights(sets: EffectSets, fit: Weighted, weights: Array) -> tuple[Array, Array]:
    """Coefficients with the weights given, and the covariance they have when `y` varies by `1 / w`."""
    user = weighted_with(sets, np.broadcast_to(weights, fit.w.shape))
    solved = coefficients(sets, user)
    meat = cross(user, user.w / fit.w)
    return solved.gamma, solved.inverse @ meat @ solved.inverse.mT


def _scale(sets: EffectSets, fit: Weighted, test: TestMethod) -> Array:
    """Knapp & Hartung's factor on the covariance `(B,)`, the residual mean square; 1 at least for adhoc, 1 for z and t.

    Exactly 0 where all effects lie on the fitted model but for rounding.
    """
    if test not in ("knha", "adhoc"):
        return np.ones(len(fit.w))
    y = raw_effects(sets)
    rounding = (16.0 * np.finfo(float).eps) ** 2 * np.vecdot(fit.w * y, sets.counts * y)
    residual = rss(fit)
    scale = (np.where(residual <= rounding, 0.0, residual) / (sets.k - sets.p))[:, 0]
    return np.asarray(scale if test == "knha" else np.maximum(scale, 1.0))


def q_statistics(sets: EffectSets, tau2: Array, method: Tau2Method) -> QStatistics:
    """Q at tau2 = 0; I2 and H2 from `tau2 (B,)` and the typical sampling variance (Higgins & Thompson 2002).

    The typical variance is `(k - p) / tr P` at tau2 = 0. The common-effect model has no tau2: there I2 and H2 come
    from Q.
    """
    zero = sets.floor[:, 0] > 0
    common = weighted_at(sets, np.where(zero, 1.0, 0.0)[:, None])
    Q = np.where(zero, np.nan, rss(common)[:, 0])
    df = np.broadcast_to(sets.k[:, 0] - sets.p, Q.shape)
    if method == "EE":
        H2 = Q / df
        return QStatistics(Q, df, 100.0 * np.maximum(0.0, 1.0 - 1.0 / np.where(H2 > 0, H2, 1.0)), H2)
    typical = np.where(zero, np.nan, df / trace_P(sets, common)[:, 0])
    return QStatistics(Q, df, 100.0 * tau2 / (tau2 + typical), 1.0 + tau2 / typical)
