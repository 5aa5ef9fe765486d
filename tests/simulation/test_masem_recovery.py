"""Seeded simulations of MASEM: are true paths and variances recovered, and do intervals cover as often as they say?

Studies are simulated from the model itself: correlations of study i drawn around their mean with a variance between
studies, then a normal sample of n persons. Means over the simulations must lie within four Monte Carlo standard errors
plus the small-sample bias of a correlation (order 1 / n).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    correlations_from_matrices,
    fit_one_stage,
    fit_stage1_random,
    fit_stage2,
    likelihood_intervals,
    likelihood_ratio_test,
)

pytestmark = pytest.mark.simulation

NAMES = ("x", "m", "y")
A, B, C, TAU2, SLOPE = 0.4, 0.3, 0.2, 0.01, 0.1
MODEL = "m ~ a*x; y ~ b*m + c*x; ind := a*b"
RUNS = 300


def mean_matrix(a: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    xy = C + a * B
    return np.array([[1, a, xy], [a, 1, B + C * a], [xy, B + C * a, 1]])


def simulated(rng: np.random.Generator, k: int, slope: float = 0.0) -> CorrelationSet:
    """k studies of 80 to 400 persons; one in five lacks m; path a moves with a standard normal moderator."""
    moderator = rng.standard_normal(k)
    matrices, sizes = [], rng.integers(80, 400, k)
    for i in range(k):
        noise = np.triu(rng.normal(0.0, np.sqrt(TAU2), (3, 3)), 1)
        matrix = mean_matrix(A + slope * moderator[i]) + noise + noise.T
        found = np.corrcoef(rng.multivariate_normal(np.zeros(3), matrix, size=sizes[i]).T)
        if rng.random() < 0.2:
            found[1, :] = found[:, 1] = np.nan
        matrices.append(LabelledMatrix(NAMES, found))
    return correlations_from_matrices(matrices, sizes.tolist(), moderators={"z": moderator.tolist()})


def near(values: Any, truth: float, slack: float) -> bool:
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return abs(mean - truth) < 4 * error + slack


def test_two_stages_recover_paths_variances_and_cover_the_indirect_effect() -> None:
    rng = np.random.default_rng(20180607)
    paths, tau2, inside, wald_inside = [], [], 0, 0
    for _ in range(RUNS):
        pool = fit_stage1_random(simulated(rng, 25))
        fit = fit_stage2(pool, MODEL)
        paths.append(fit.fit.beta)
        tau2.append(np.diag(pool.tau2))
        interval = likelihood_intervals(fit, ["ind"])["ind"]
        inside += interval.low <= A * B <= interval.high
        wald = fit.effect("ind").interval
        wald_inside += wald.low <= A * B <= wald.high
    for i, truth in enumerate((A, B, C)):
        assert near(np.array(paths)[:, i], truth, 0.004)
    assert near(np.array(tau2).mean(axis=1), TAU2 * 24 / 25, 0.0006)
    assert 0.90 < inside / RUNS < 0.98
    assert 0.90 < wald_inside / RUNS < 0.98


def test_one_stage_recovers_the_slope_of_a_moderator_and_keeps_its_level() -> None:
    rng = np.random.default_rng(20200521)
    slopes, covered, rejected = [], 0, 0
    for _ in range(RUNS):
        moving, still = simulated(rng, 30, SLOPE), simulated(rng, 30)
        fit = fit_one_stage(moving, MODEL, moderators={"z": ["a"]})
        i = fit.fit.names.index("a:z")
        slopes.append(fit.fit.beta[i])
        low, high = fit.fit.interval()[i]
        covered += low <= SLOPE <= high
        test = likelihood_ratio_test(fit_one_stage(still, MODEL), fit_one_stage(still, MODEL, moderators={"z": ["a"]}))
        rejected += test.p < 0.05
    assert near(slopes, SLOPE, 0.003)
    assert 0.89 < covered / RUNS < 0.98
    assert 0.02 < rejected / RUNS < 0.11


def test_chi_square_of_a_true_model_has_its_degrees_of_freedom() -> None:
    """Full mediation is true when c = 0: chi-square with one degree of freedom has mean 1."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(RUNS):
        sizes = rng.integers(100, 400, 25)
        matrices = []
        for n in sizes:
            noise = np.triu(rng.normal(0.0, np.sqrt(TAU2), (3, 3)), 1)
            matrix = np.array([[1, A, A * B], [A, 1, B], [A * B, B, 1]]) + noise + noise.T
            matrices.append(LabelledMatrix(NAMES, np.corrcoef(rng.multivariate_normal(np.zeros(3), matrix, size=n).T)))
        pool = fit_stage1_random(correlations_from_matrices(matrices, sizes.tolist()))
        found.append(fit_stage2(pool, "m ~ x; y ~ m").indices.chi2)
    assert near(found, 1.0, 0.15)
