"""Henmi & Copas: moments of Q given the mean by simulation, collapse without heterogeneity, scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bias import henmi_copas
from replication.models.bias.henmi_copas import _miss, _pivot
from replication.models.two_level.random_effects import fit_random_effects

Y = np.array([0.12, 0.35, 0.28, 0.61, -0.2, 0.44, 0.9])
V = np.array([0.01, 0.03, 0.02, 0.08, 0.015, 0.05, 0.12])


def simulated(tau2: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """`U` and Cochran's Q of `n` sets of effects with true mean 0."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=(n, 7)) * np.sqrt(V + tau2)
    w = 1 / V
    mean = y @ w / w.sum()
    u = mean / np.sqrt((w.sum() + tau2 * (w * w).sum()) / w.sum() ** 2)
    return u, ((y - mean[:, None]) ** 2 @ w)


def line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope with their robust standard errors."""
    X = np.column_stack([np.ones(len(x)), x])
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ X.T @ y
    return beta, np.sqrt(np.diag(bread @ (X.T * (y - X @ beta) ** 2) @ X @ bread))


def test_moments_of_q_given_u_are_those_of_the_simulation() -> None:
    u, q = simulated(0.06, 400_000)
    pivot = _pivot(1 / V, V, 0.06)
    mean, se = line(u * u, q)
    np.testing.assert_array_less(np.abs(mean - [pivot.m0, pivot.m2]), 4 * se)
    variance, se = line(u * u, (q - pivot.m0 - pivot.m2 * u * u) ** 2)
    np.testing.assert_array_less(np.abs(variance - [pivot.s0, pivot.s2]), 4 * se)


@pytest.mark.parametrize("t", [1.7, 2.2, 3.0])
def test_the_chance_to_miss_is_that_of_the_simulation(t: float) -> None:
    """The gamma in place of the true law of Q costs less than half a percentage point here."""
    tau2, n = 0.06, 400_000
    u, q = simulated(tau2, n)
    w = 1 / V
    dl = np.maximum(0.0, (q - 6) / (w.sum() - (w * w).sum() / w.sum()))
    v_true, v_hat = ((w.sum() + t2 * (w * w).sum()) / w.sum() ** 2 for t2 in (tau2, dl))
    missed = (np.abs(u) * np.sqrt(v_true) > t * np.sqrt(v_hat)).mean()
    assert _miss(t, _pivot(w, V, tau2)) == pytest.approx(missed, abs=0.005)


def test_estimate_and_se_by_hand() -> None:
    w = 1 / V
    result = henmi_copas(Y, V)
    dl = fit_random_effects(Y, V, method="DL").component("tau2").estimate
    assert result.tau2 == pytest.approx(dl)
    assert result.estimate == pytest.approx(w @ Y / w.sum())
    assert result.se == pytest.approx(np.sqrt(((w * w) @ (V + dl)) / w.sum() ** 2))
    assert result.interval.high - result.estimate == pytest.approx(result.multiple * result.se)


def test_without_heterogeneity_the_chance_to_miss_is_spread_over_q() -> None:
    """At tau2 = 0, Q is chi-square and independent of U: the miss is an expectation over it."""
    pivot, t = _pivot(1 / V, V, 0.0), 1.9
    assert (pivot.m0, pivot.m2, pivot.s0, pivot.s2) == pytest.approx((6.0, 0.0, 12.0, 0.0), abs=1e-9)
    w = 1 / V
    q = stats.chi2.ppf((np.arange(200_000) + 0.5) / 200_000, 6)
    tau2 = np.maximum(0.0, (q - 6) / (w.sum() - (w * w).sum() / w.sum()))
    expected = 2 * stats.norm.sf(t * np.sqrt((w.sum() + tau2 * (w * w).sum()) / w.sum())).mean()
    assert _miss(t, pivot) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_it_moves_with_the_scale(scale: float) -> None:
    one, other = henmi_copas(Y, V), henmi_copas(scale * Y, scale**2 * V)
    assert other.multiple == pytest.approx(one.multiple, rel=1e-9)
    assert (other.interval.low, other.tau2) == pytest.approx((scale * one.interval.low, scale**2 * one.tau2))


def test_higher_levels_are_wider() -> None:
    widths = [henmi_copas(Y, V, level=level).multiple for level in (0.5, 0.8, 0.95, 0.99, 0.999)]
    assert np.all(np.diff(widths) > 0)


@pytest.mark.parametrize("spread", [0.0, 0.1, 10.0, 1e3])
def test_two_effects_have_an_interval(spread: float) -> None:
    result = henmi_copas([0.1, 0.1 + spread], [0.01, 0.03])
    assert result.interval.low < result.estimate < result.interval.high


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ModelError, match="at least 2 effects"):
        henmi_copas([0.1], [0.1])
    with pytest.raises(ModelError, match="a 95 % interval"):
        henmi_copas(Y, V, level=95)
