"""Seeded simulations: do intervals cover as often as they say, and are estimators as biased as the literature says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats

from replication.effects.covariance import correlation_covariance
from replication.models.least_squares import effect_sets
from replication.models.two_level.batch import BatchFits, fit_batch
from replication.models.two_level.tau2 import solve_q

pytestmark = pytest.mark.simulation

SETS = 20_000
# Three Monte Carlo standard errors of a coverage of 95 % over 20,000 sets.
MARGIN = 3 * (0.95 * 0.05 / SETS) ** 0.5


@dataclass(frozen=True)
class Simulated:
    """B data sets of k Fisher z about 0.3, n from 30 to 300 persons."""

    y: np.ndarray
    v: np.ndarray
    tau2: float


def simulate(k: int, tau2: float, seed: int) -> Simulated:
    rng = np.random.default_rng(seed)
    v = 1.0 / (rng.integers(30, 300, (SETS, k)) - 3.0)
    return Simulated(0.3 + rng.normal(size=(SETS, k)) * np.sqrt(v + tau2), v, tau2)


def coverage(fits: BatchFits, truth: float = 0.3) -> float:
    low, high = fits.interval()[:, 0].T
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("k", [5, 10, 26])
@pytest.mark.parametrize("tau2", [0.01, 0.04])
def test_knapp_hartung_keeps_its_level_and_z_does_not(k: int, tau2: float) -> None:
    data = simulate(k, tau2, seed=k)
    knha = coverage(fit_batch(data.y, data.v, test="knha"))
    assert abs(knha - 0.95) < 0.01
    if k <= 10:
        assert coverage(fit_batch(data.y, data.v, test="z")) < 0.94
    assert coverage(fit_batch(data.y, data.v, test="adhoc")) >= knha


def test_q_profile_interval_is_exact() -> None:
    data = simulate(10, 0.02, seed=1)
    sets = effect_sets(data.y, data.v, np.full((1, 10, 1), 10**-0.5))
    quantiles = np.tile(special.chdtri(9.0, np.array([0.025, 0.975])), (SETS, 1))
    low, high = solve_q(sets, quantiles).value.T
    assert abs(float(((low <= 0.02) & (high >= 0.02)).mean()) - 0.95) < MARGIN


@pytest.mark.parametrize("method", ["REML", "DL", "PM", "HE"])
def test_tau2_is_nearly_unbiased(method: str) -> None:
    data = simulate(26, 0.04, seed=2)
    tau2 = fit_batch(data.y, data.v, method=method).tau2  # type: ignore[arg-type]
    assert abs(tau2.mean() / 0.04 - 1.0) < 0.02


def test_maximum_likelihood_is_biased_by_about_one_in_k() -> None:
    data = simulate(10, 0.04, seed=3)
    ratio = fit_batch(data.y, data.v, method="ML").tau2.mean() / 0.04
    assert 0.82 < ratio < 0.92


def test_prediction_interval_covers_a_new_effect() -> None:
    data = simulate(26, 0.04, seed=4)
    fits = fit_batch(data.y, data.v)
    half = stats.t.ppf(0.975, 25) * np.sqrt(fits.tau2 + fits.vcov[:, 0, 0])
    new = 0.3 + np.random.default_rng(5).normal(size=SETS) * 0.2
    assert abs(float((np.abs(new - fits.beta[:, 0]) <= half).mean()) - 0.95) < 0.015


def test_a_moderator_without_effect_is_found_five_times_in_a_hundred() -> None:
    data = simulate(15, 0.03, seed=6)
    x = np.column_stack([np.ones(15), np.linspace(-1, 1, 15)])
    assert abs(float((fit_batch(data.y, data.v, x).p[:, 1] < 0.05).mean()) - 0.05) < 0.01


def test_q_follows_chi_square_without_heterogeneity() -> None:
    data = simulate(10, 0.0, seed=7)
    p = stats.chi2.sf(fit_batch(data.y, data.v, method="EE", test="z").Q, 9)
    assert abs(float((p < 0.1).mean()) - 0.1) < 3 * (0.09 / SETS) ** 0.5


def test_dependent_correlations_covary_as_the_formula_says() -> None:
    R = np.array([[1.0, 0.5, 0.3, 0.2], [0.5, 1.0, 0.4, -0.1], [0.3, 0.4, 1.0, 0.35], [0.2, -0.1, 0.35, 1.0]])
    n, factor, rng = 200, np.linalg.cholesky(R), np.random.default_rng(8)
    below = np.tril_indices(4, -1)
    order = np.lexsort((below[0], below[1]))
    drawn = np.empty((SETS, 6))
    for b in range(SETS):
        drawn[b] = np.corrcoef(factor @ rng.normal(size=(4, n)))[below][order]
    found, expected = np.cov(drawn.T), correlation_covariance(R, n)
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((found - expected) / spread).max() < 0.03
    z = np.cov(np.arctanh(drawn).T)
    assert np.abs((z - correlation_covariance(R, n, scale="fisher z")) * (n - 3)).max() < 0.03
