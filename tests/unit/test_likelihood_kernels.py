"""Kernels against brute force: densities from scipy, integrals on a grid, gradients by differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from replication.models.bayes.sampled.likelihood_op import correlation_draws, correlation_root, lkj_shapes, lower_pairs
from replication.models.bayes.sampled.multilevel_kernel import multilevel_loglik
from replication.models.bayes.sampled.roles import roles_loglik
from replication.models.bayes.sampled.selection import selection_data, selection_loglik
from replication.models.fit import Array

START = np.array([0, 1, 4, 6, 9])
SAMPLE = np.array([0, 1, 1, 2, 3, 3, 4, 4, 4])
SLOT = np.array([0, 1, 0, 2, 1, 2, 2, 2, 0])


def assert_gradient(function: Callable[[list[Array]], float], at: Sequence[Array], found: Sequence[Array]) -> None:
    """Central differences with a step of 1e-6 are good to about 1e-8 here."""
    for part, gradient in enumerate(found):
        for j in range(len(at[part])):
            up, down = [a.copy() for a in at], [a.copy() for a in at]
            up[part][j] += 1e-6
            down[part][j] -= 1e-6
            assert gradient[j] == pytest.approx((function(up) - function(down)) / 2e-6, rel=1e-6, abs=1e-7)


def blocks(rng: np.random.Generator) -> list[Array]:
    squares = [rng.normal(size=(n, n)) for n in np.diff(START)]
    return [a @ a.T + np.eye(len(a)) for a in squares]


def dense_covariance(parts: list[Array], tau: Array, partial: Array, within: float) -> Array:
    root = correlation_root(partial, 3)
    G = np.diag(tau) @ root @ root.T @ np.diag(tau)
    M = within**2 * np.eye(9)
    for b, part in enumerate(parts):
        M[START[b] : START[b + 1], START[b] : START[b + 1]] += part
    return M + np.where(SAMPLE[:, None] == SAMPLE, G[np.ix_(SLOT, SLOT)], 0.0)


def test_multilevel_likelihood_is_one_dense_normal_density() -> None:
    rng = np.random.default_rng(1)
    parts = blocks(rng)
    y, X = rng.normal(size=9), rng.normal(size=(9, 2))
    at = [rng.normal(size=2), np.array([0.3, 0.7, 1.2]), np.array([0.5, -0.3, 0.8]), np.array([0.4])]

    def brute(a: list[Array]) -> float:
        return float(stats.multivariate_normal.logpdf(y, X @ a[0], dense_covariance(parts, a[1], a[2], a[3][0])))

    V = np.concatenate([part.ravel() for part in parts])
    loglik, *gradient = multilevel_loglik(*at, y, X, V, START, SAMPLE, SLOT)
    assert loglik[0] == pytest.approx(brute(at), rel=1e-12)
    assert_gradient(brute, at, gradient)


def test_multilevel_likelihood_is_not_a_number_where_the_covariance_is_none() -> None:
    y, one = np.zeros(2), np.ones((2, 1))
    V = np.array([1.0, 2.0, 2.0, 1.0])  # a "correlation" of 2
    codes = np.zeros(2, dtype=np.int64)
    zero = np.zeros(1)
    loglik, *_ = multilevel_loglik(zero, zero, np.zeros(0), zero, y, one, V, np.array([0, 2]), codes, codes)
    assert np.isnan(loglik[0])


@pytest.mark.parametrize(
    ("sides", "sign", "steps"), [("one", 1, (0.025, 0.5)), ("two", 1, (0.05, 0.3)), ("one", -1, (0.05,))]
)
def test_selection_likelihood_is_a_weighted_density_of_area_one(
    sides: str, sign: int, steps: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(2)
    y, v, X = rng.normal(0.3, 0.3, 8), rng.uniform(0.01, 0.2, 8), np.column_stack([np.ones(8), rng.normal(size=8)])
    data = selection_data(y, v, X, steps=steps, sides=sides, expected_sign=sign)  # type: ignore[arg-type]
    at = [np.array([0.2, 0.1]), np.array([0.25]), np.linspace(0.6, 0.3, len(steps))]

    def weight(x: Array, se: float, weights: Array) -> Array:
        p = 2.0 * stats.norm.sf(np.abs(x / se)) if sides == "two" else stats.norm.sf(sign * x / se)
        return np.concatenate([[1.0], weights])[np.searchsorted(steps, p)]

    def brute(a: list[Array]) -> float:
        total = 0.0
        for yi, vi, row in zip(y, v, X, strict=True):
            density = stats.norm(row @ a[0], np.sqrt(vi + a[1][0] ** 2))
            z = stats.norm.isf(np.array(steps) / (2.0 if sides == "two" else 1.0)) * np.sqrt(vi)
            cuts = np.sort(
                np.concatenate([[-np.inf, np.inf], -z, z] if sides == "two" else [[-np.inf, np.inf], sign * z])
            )
            inside = [np.mean(np.clip([low, high], -50.0, 50.0)) for low, high in pairwise(cuts)]
            area = np.diff(density.cdf(cuts)) @ weight(np.array(inside), np.sqrt(vi), a[2])
            total += float(np.log(weight(np.array([yi]), np.sqrt(vi), a[2])[0] / area)) + float(density.logpdf(yi))
        return total

    inputs = (data.y, data.v, data.X, data.step, data.cuts, data.step_of)
    loglik, *gradient = selection_loglik(*at, *inputs)
    assert loglik[0] == pytest.approx(brute(at), rel=1e-12)
    assert_gradient(brute, at, gradient)


def test_equal_weights_are_the_plain_random_effects_model() -> None:
    y, v = np.array([0.5, 0.1, -0.2]), np.array([0.01, 0.04, 0.02])
    data = selection_data(y, v, steps=(0.025, 0.5))
    loglik, *_ = selection_loglik(
        np.array([0.2]), np.array([0.3]), np.ones(2), y, v, data.X, data.step, data.cuts, data.step_of
    )
    assert loglik[0] == pytest.approx(stats.norm.logpdf(y, 0.2, np.sqrt(v + 0.09)).sum(), rel=1e-12)


def test_selection_likelihood_far_out_is_finite() -> None:
    y, v = np.array([5.0, 4.0]), np.array([1e-4, 1e-4])
    data = selection_data(y, v, steps=(0.025, 0.5))
    inputs = (data.y, data.v, data.X, data.step, data.cuts, data.step_of)
    out = selection_loglik(np.array([-5.0]), np.array([1e-8]), np.array([1e-8, 1e-9]), *inputs)
    assert all(np.isfinite(part).all() for part in out)


def test_roles_likelihood_is_a_softmax() -> None:
    rng = np.random.default_rng(3)
    n, p, m = 40, 3, 5
    X, group, role = rng.normal(size=(n, p)), rng.integers(0, m, n), rng.integers(0, 4, n)
    at = [rng.normal(size=3 * p), np.array([0.4, 0.9, 1.3]), np.array([0.3, -0.5, 0.7]), rng.normal(size=3 * m)]

    def brute(a: list[Array]) -> float:
        u = a[3].reshape(m, 3) @ correlation_root(a[2], 3).T * a[1]
        eta = np.column_stack([np.zeros(n), X @ a[0].reshape(3, p).T + u[group]])
        return float((eta[np.arange(n), role] - np.log(np.exp(eta).sum(axis=1))).sum())

    loglik, *gradient = roles_loglik(*at, X, group, role)
    assert loglik[0] == pytest.approx(brute(at), rel=1e-12)
    assert_gradient(brute, at, gradient)


def test_roles_likelihood_does_not_overflow() -> None:
    X, role = np.array([[1.0], [1.0]]), np.array([1, 0])
    zero = np.zeros(1, dtype=np.int64)
    loglik, *_ = roles_loglik(
        np.array([800.0, 0.0, 0.0]), np.zeros(3), np.zeros(3), np.zeros(3), X, np.repeat(zero, 2), role
    )
    assert loglik[0] == pytest.approx(-800.0)


def test_partial_correlations_make_the_lkj_distribution() -> None:
    """Under LKJ(eta) every single correlation is beta(eta + c / 2 - 1) on (-1, 1), whichever the pair."""
    rng = np.random.default_rng(4)
    shapes = lkj_shapes(4, 1.5)
    matrices = correlation_draws(2.0 * rng.beta(shapes, shapes, size=(4000, len(shapes))) - 1.0, 4)
    assert np.linalg.eigvalsh(matrices).min() > 0.0
    for i, j in lower_pairs(4):
        marginal = stats.beta(2.5, 2.5, loc=-1.0, scale=2.0)
        assert stats.kstest(matrices[:, i, j], marginal.cdf).pvalue > 1e-3
