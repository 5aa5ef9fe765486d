"""Bias methods on studies whose selection is known: what they should recover, and how often they raise false alarm.

Every threshold is the nominal value with three Monte Carlo standard errors, or a stated bias.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from replication.models.bias import (
    egger_test,
    excess_significance,
    fit_beta_selection,
    fit_step_selection,
    henmi_copas,
    p_curve,
    pet_peese,
    rank_test,
    trim_fill,
    waap_wls,
)
from replication.models.fit import Array

pytestmark = pytest.mark.simulation
SEED = 20260


def studies(rng: np.random.Generator, k: int, mean: float, tau: float, weight: float = 1.0) -> tuple[Array, Array]:
    """`k` published studies: results without one-sided significance at .025 appear with chance `weight`."""
    y, v = np.empty(0), np.empty(0)
    while len(y) < k:
        se = rng.uniform(0.05, 0.35, 2 * k)
        effect = mean + tau * rng.normal(size=2 * k) + se * rng.normal(size=2 * k)
        seen = (effect / se > stats.norm.isf(0.025)) | (rng.uniform(size=2 * k) < weight)
        y, v = np.append(y, effect[seen]), np.append(v, se[seen] ** 2)
    return y[:k], v[:k]


def runs(n: int, k: int, mean: float, tau: float, weight: float = 1.0) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng([SEED, n, k, int(1000 * mean), int(1000 * tau), int(1000 * weight)])
    return (studies(rng, k, mean, tau, weight) for _ in range(n))


def band(p: float, n: int) -> float:
    return 3.0 * np.sqrt(p * (1.0 - p) / n)


def test_step_model_recovers_mean_tau_and_weight() -> None:
    fits = [fit_step_selection(y, v) for y, v in runs(150, 200, 0.2, 0.15, 0.3)]
    means = np.array([fit.fit.beta[0] for fit in fits])
    tau = np.sqrt([fit.fit.component("tau2").estimate for fit in fits])
    weights = np.log([fit.selection[1].estimate for fit in fits])
    assert means.mean() == pytest.approx(0.2, abs=0.015)
    assert tau.mean() == pytest.approx(0.15, abs=0.015)
    assert np.median(weights) == pytest.approx(np.log(0.3), abs=0.15)
    unadjusted = np.array([fit.unadjusted.beta[0] for fit in fits])
    assert unadjusted.mean() > 0.25


def test_step_model_intervals_cover() -> None:
    n, covered_mean, covered_weight = 300, 0, 0
    for y, v in runs(n, 150, 0.2, 0.15, 0.3):
        fit = fit_step_selection(y, v)
        low, high = fit.fit.interval()[0]
        covered_mean += low <= 0.2 <= high
        covered_weight += fit.selection[1].interval.low <= 0.3 <= fit.selection[1].interval.high
    assert covered_mean / n == pytest.approx(0.95, abs=0.02 + band(0.95, n))
    assert covered_weight / n == pytest.approx(0.95, abs=0.02 + band(0.95, n))


def test_likelihood_ratio_keeps_its_level_without_selection() -> None:
    n = 400
    p = [fit_step_selection(y, v).lrt_p for y, v in runs(n, 100, 0.2, 0.1)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.01 + band(0.05, n))


def test_beta_model_recovers_a_mean_selected_by_its_own_weight() -> None:
    rng, means = np.random.default_rng(SEED), []
    for _ in range(60):
        se = rng.uniform(0.05, 0.35, 3000)
        y = 0.2 + 0.1 * rng.normal(size=3000) + se * rng.normal(size=3000)
        p = np.clip(stats.norm.sf(y / se), 1e-5, 1 - 1e-5)
        chosen = np.flatnonzero(rng.uniform(size=3000) < (1 - p) ** 2)[:250]
        means.append(fit_beta_selection(y[chosen], se[chosen] ** 2).fit.beta[0])
    assert np.mean(means) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("k", [10, 40])
def test_asymmetry_tests_keep_their_level(k: int) -> None:
    n = 1000
    p = np.array([
        (egger_test(y, v, model="wls").p, egger_test(y, v, model="mixed").p, rank_test(y, v).p)
        for y, v in runs(n, k, 0.2, 0.0)
    ])  # fmt: skip
    assert (p < 0.05).mean(axis=0)[:2] == pytest.approx([0.05, 0.05], abs=0.01 + band(0.05, n))
    assert (p[:, 2] < 0.05).mean() <= 0.05 + band(0.05, n)


def test_asymmetry_tests_see_strong_selection() -> None:
    p = np.array([(egger_test(y, v).p, rank_test(y, v).p) for y, v in runs(200, 60, 0.1, 0.05, 0.1)])
    assert ((p < 0.05).mean(axis=0) > 5 * 0.05).all()


def test_adjusted_estimates_are_nearer_the_truth_than_the_pool() -> None:
    rows = [
        (pet_peese(y, v, direction="positive").estimate, waap_wls(y, v).estimate, fit_step_selection(y, v).fit.beta[0],
         trim_fill(y, v, side="left", method="REML").fit.beta[0], np.average(y, weights=1 / v), y.mean())
        for y, v in runs(150, 60, 0.2, 0.05, 0.1)
    ]  # fmt: skip
    away = np.abs(np.mean(rows, axis=0) - 0.2)
    assert (away[:4] < away[5]).all()
    assert away[0] < 0.05
    assert away[2] < 0.03


def test_henmi_copas_covers_under_selection_where_the_pool_does_not() -> None:
    n, hits = 400, np.zeros(2)
    from replication.models.two_level.random_effects import fit_random_effects

    for y, v in runs(n, 25, 0.2, 0.1, 0.3):
        interval, pooled = henmi_copas(y, v).interval, fit_random_effects(y, v, method="DL", test="z").interval()[0]
        hits += [interval.low <= 0.2 <= interval.high, pooled[0] <= 0.2 <= pooled[1]]
    assert hits[0] / n > hits[1] / n + 0.1


def test_henmi_copas_keeps_its_level_without_selection() -> None:
    n = 1000
    covered = 0
    for y, v in runs(n, 20, 0.2, 0.1):
        interval = henmi_copas(y, v).interval
        covered += interval.low <= 0.2 <= interval.high
    assert covered / n == pytest.approx(0.95, abs=0.02 + band(0.95, n))


def test_p_curve_recovers_the_power_of_the_significant_studies() -> None:
    """All studies have noncentrality 2.2; selection on significance does not touch the curve."""
    rng, estimates, covered, n = np.random.default_rng(SEED), [], 0, 300
    truth = stats.norm.sf(stats.norm.isf(0.025) - 2.2)
    for _ in range(n):
        z = 2.2 + rng.normal(size=200)
        curve = p_curve(z, np.ones(200))
        estimates.append(curve.power)
        covered += curve.power_interval.low <= truth <= curve.power_interval.high
    assert np.mean(estimates) == pytest.approx(truth, abs=0.02)
    assert covered / n == pytest.approx(0.90, abs=band(0.90, n))


def test_p_curve_keeps_its_level_without_effects() -> None:
    rng, n = np.random.default_rng(SEED), 800
    p = []
    for _ in range(n):
        z = stats.norm.isf(rng.uniform(size=20) * 0.025)
        curve = p_curve(z, np.ones(20))
        p.append((curve.right_skew.p, curve.right_skew.half_p))
    assert (np.array(p) < 0.05).mean(axis=0) == pytest.approx([0.05, 0.05], abs=band(0.05, n))


def test_excess_significance_keeps_its_level_at_the_true_effect() -> None:
    n = 800
    tests = [excess_significance(y, v, effect=0.2, tau2=0.01) for y, v in runs(n, 30, 0.2, 0.1)]
    assert np.mean([test.p_exact < 0.1 for test in tests]) <= 0.1 + band(0.1, n)
    selected = [excess_significance(y, v, effect=0.2, tau2=0.01) for y, v in runs(100, 30, 0.2, 0.1, 0.2)]
    assert np.mean([test.p_exact < 0.1 for test in selected]) > 0.8
