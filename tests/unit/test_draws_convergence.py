"""R-hat, effective sizes and Monte Carlo errors: against theory, and on draws that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from replication.models.bayes.sampled.diagnostics import convergence, ess_mean, mcse_quantile
from replication.models.fit import Array


def autoregressive(phi: float, draws: int, seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(size=(4, draws))
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=1))


def test_effective_size_of_an_autoregressive_chain() -> None:
    """Theory: n (1 - phi) / (1 + phi)."""
    x = autoregressive(0.5, 50_000, seed=8)
    assert ess_mean(x) == pytest.approx(200_000 / 3.0, rel=0.05)


def test_errors_of_independent_draws() -> None:
    """Theory for a standard normal: mean 1 / sqrt(n), sd 1 / sqrt(2 n), median sqrt(pi / 2 n)."""
    x = np.random.default_rng(9).normal(size=(4, 25_000))
    found = convergence(x)
    assert found.mcse_mean == pytest.approx(1.0 / np.sqrt(x.size), rel=0.05)
    assert found.mcse_sd == pytest.approx(1.0 / np.sqrt(2.0 * x.size), rel=0.05)
    assert mcse_quantile(x, 0.5) == pytest.approx(np.sqrt(np.pi / 2.0 / x.size), rel=0.1)


def test_chains_in_different_places_are_seen() -> None:
    x = np.random.default_rng(10).normal(size=(4, 500))
    x[0] += 2.0
    assert convergence(x).rhat > 1.1


def test_chains_of_different_spread_are_seen() -> None:
    x = np.random.default_rng(11).normal(size=(4, 500))
    x[0] *= 4.0
    assert convergence(x).rhat > 1.05


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_draws_that_never_move_have_no_convergence(value: float) -> None:
    found = convergence(np.full((4, 100), value))
    assert np.isnan(found.rhat) and np.isnan(found.ess_bulk)
