"""Correlations of survey data: plain, weighted, and their precision under clusters and plausible values.

All data here are simulated.
"""

from __future__ import annotations

import numpy as np
import pytest

from replication.study.microdata.correlations import correlate, kish_size


def simulated(n: int = 600, schools: int = 40, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Two variables that share a school effect, weights, and the school of each simulated student."""
    rng = np.random.default_rng(seed)
    school = rng.integers(0, schools, n)
    effect = rng.normal(size=(schools, 2)) * 0.5
    x = rng.normal(size=n)
    y = 0.4 * x + rng.normal(size=n)
    return (x + effect[school, 0])[:, None], (y + effect[school, 1])[:, None], rng.uniform(0.5, 3, n), school


def weighted_r(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(
        np.cov(np.vstack([x, y]), aweights=w)[0, 1] / np.sqrt(np.prod(np.diag(np.cov(np.vstack([x, y]), aweights=w))))
    )


def test_plain_and_weighted_r_are_numpys() -> None:
    x, y, w, _ = simulated()
    found = correlate(x, y, w)
    assert found.r == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1], abs=1e-12)
    assert found.r_weighted == pytest.approx(weighted_r(x[:, 0], y[:, 0], w), abs=1e-12)


def test_the_standard_error_is_that_of_leaving_schools_out() -> None:
    """Linearisation and delete-one-school jackknife agree to a few per cent."""
    x, y, w, school = simulated()
    found = correlate(x, y, w, school)
    left = [weighted_r(x[school != s, 0], y[school != s, 0], w[school != s]) for s in np.unique(school)]
    g = len(left)
    jackknife = np.sqrt((g - 1) / g * np.sum((np.array(left) - np.mean(left)) ** 2))
    assert found.se == pytest.approx(jackknife, rel=0.05)


def test_without_design_the_effective_n_is_near_n() -> None:
    """Independent normal data: the linearised error is the large-sample one."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 1))
    y = 0.5 * x + rng.normal(size=(20_000, 1))
    assert correlate(x, y).n_effective == pytest.approx(20_000, rel=0.03)


def test_every_student_twice_halves_the_precision() -> None:
    """A student and a copy count once: the standard error is that of the half, where plain copies would shrink it."""
    x, y, _, _ = simulated(300)
    half = correlate(x, y)
    twice = correlate(np.vstack([x, x]), np.vstack([y, y]), None, np.tile(np.arange(300), 2))
    assert twice.r == pytest.approx(half.r)
    assert twice.se == pytest.approx(half.se)
    assert correlate(np.vstack([x, x]), np.vstack([y, y])).se == pytest.approx(half.se / np.sqrt(2), rel=0.01)


def test_the_effective_n_is_never_above_n() -> None:
    x, y, _, school = simulated(300)
    assert all(correlate(a, b, None, school).n_effective <= 300 for a, b in ((x, y), (x, x + 1e-3 * y)))


def test_one_cluster_has_no_effective_n_and_says_why() -> None:
    x, y, w, school = simulated(300)
    found = correlate(x, y, w, np.zeros_like(school))
    assert np.isfinite(found.r_weighted) and np.isnan(found.n_effective)
    assert found.note == "everybody is in one cluster"


@pytest.mark.parametrize("weight", [np.nan, -1.0, 0.0])
def test_without_any_weight_there_is_neither_weighted_r_nor_effective_n(weight: float) -> None:
    x, y, w, school = simulated(300)
    found = correlate(x, y, np.full_like(w, weight), school)
    assert np.isfinite(found.r) and np.isnan(found.r_weighted) and np.isnan(found.n_effective)
    assert "weight above 0" in found.note and found.unweighted == 300


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_correlation_has_no_effective_n(sign: int) -> None:
    x = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = correlate(x, sign * x)
    assert found.r == pytest.approx(sign) and np.isnan(found.n_effective)
    assert "no standard error" in found.note


def test_equal_weights_are_no_weights() -> None:
    x, y, _, school = simulated()
    with_ones = correlate(x, y, np.full(len(x), 2.5), school)
    assert with_ones.r_weighted == pytest.approx(with_ones.r)
    assert with_ones.n_effective == pytest.approx(correlate(x, y, None, school).n_effective)


def test_plausible_values_average_and_add_their_spread() -> None:
    """r is the mean of the single r's; the variance adds (1 + 1/m) times their variance."""
    x, y, w, school = simulated()
    rng = np.random.default_rng(5)
    plausible = y + rng.normal(scale=0.5, size=(len(y), 5))
    single = [correlate(x, plausible[:, [i]], w, school) for i in range(5)]
    found = correlate(x, plausible, w, school)
    assert found.r == pytest.approx(np.mean([one.r for one in single]))
    within, between = np.mean([one.se**2 for one in single]), np.var([one.r_weighted for one in single], ddof=1)
    assert found.se == pytest.approx(np.sqrt(within + 1.2 * between))


def test_missing_answers_and_weights() -> None:
    """Rows without both answers are out; a row without a weight counts for r, not for weighted r."""
    x, y, w, _ = simulated(50)
    x[0], y[1] = np.nan, np.nan
    w[2], w[3] = np.nan, 0.0
    found = correlate(x, y, w)
    assert found.n == 48
    assert found.r == pytest.approx(np.corrcoef(x[2:, 0], y[2:, 0])[0, 1])
    assert found.r_weighted == pytest.approx(weighted_r(x[4:, 0], y[4:, 0], w[4:]))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_rows_have_no_r(n: int) -> None:
    assert np.isnan(correlate(np.arange(float(n))[:, None], np.arange(float(n))[:, None]).r)


def test_a_constant_has_no_r() -> None:
    assert np.isnan(correlate(np.ones((10, 1)), np.arange(10.0)[:, None]).r)


def test_scale_does_not_matter() -> None:
    x, y, w, school = simulated()
    a, b = correlate(x, y, w, school), correlate(1e-4 * x + 7, 1e6 * y - 1e8, 1e5 * w, school)
    assert b.r_weighted == pytest.approx(a.r_weighted, abs=1e-6)
    assert b.n_effective == pytest.approx(a.n_effective, rel=1e-4)


def test_the_effective_n_holds_in_simulation() -> None:
    """Simulated schools: intervals from n_effective hold the true r nearly as often as they say; those from n fail."""
    rng = np.random.default_rng(11)
    draws = []
    for _ in range(400):
        effect = rng.multivariate_normal([0, 0], [[0.5, 0.4], [0.4, 0.5]], 30)
        school = np.repeat(np.arange(30), 20)
        pair = effect[school] + rng.multivariate_normal([0, 0], [[1, 0.2], [0.2, 1]], 600)
        draws.append(correlate(pair[:, :1], pair[:, 1:], None, school))
    truth = 0.6 / 1.5
    z = np.arctanh([d.r for d in draws]) - np.arctanh(truth)
    half = 1.96 / np.sqrt(np.array([d.n_effective for d in draws]) - 3)
    assert np.mean(np.abs(z) <= half) > 0.9
    assert np.mean(np.abs(z) <= 1.96 / np.sqrt(597)) < 0.8


def test_kish() -> None:
    assert kish_size(np.array([1.0, 1.0, 1.0])) == 3
    assert kish_size(np.array([2.0, 0.0])) == 1
    assert np.isnan(kish_size(np.zeros(3)))
