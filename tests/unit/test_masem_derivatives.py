"""Every analytic derivative of the MASEM estimator against finite differences of the function itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from replication.effects.covariance import correlation_covariance as effects_covariance
from replication.models.masem.correlations import symmetric
from replication.models.masem.model_text import parse_model
from replication.models.masem.newton import Objective
from replication.models.masem.osmasem import Moderation, path_means
from replication.models.masem.ram import structure
from replication.models.masem.random_effects_likelihood import (
    RandomEffectsLikelihood,
    SaturatedMean,
    _Factored,
    tau2_cells,
)
from replication.models.masem.sampling_covariance import PooledCorrelations, unit_covariance
from replication.models.masem.stage1_fixed import CommonCorrelation
from replication.models.masem.wls import WeightedLeastSquares, group

MODELS = [
    "y ~ x + z; w ~ y + x",
    "f =~ x + y + z; g =~ w + u + q; g ~ f; x ~~ w",
    "x ~ z + y; y ~ w + x; x ~~ 0*y",
    "y ~ a*x + a*z; w ~ b*y + 0.2*x; y ~~ w",
]


def gradient(objective: Objective, theta: Any, h: float = 1e-6) -> Any:
    steps = np.eye(len(theta)) * h
    return np.array(
        [(objective.evaluate(theta + s).value - objective.evaluate(theta - s).value) / (2 * h) for s in steps]
    )


def hessian(objective: Objective, theta: Any, h: float = 1e-6) -> Any:
    steps = np.eye(len(theta)) * h
    rows = [(objective.evaluate(theta + s).gradient - objective.evaluate(theta - s).gradient) / (2 * h) for s in steps]
    return np.array(rows)


def check(objective: Objective, theta: Any) -> None:
    at = objective.evaluate(theta)
    scale = np.abs(at.hessian).max()
    np.testing.assert_allclose(at.gradient, gradient(objective, theta), atol=1e-7 * scale)
    np.testing.assert_allclose(at.hessian, hessian(objective, theta), atol=1e-7 * scale)
    np.testing.assert_allclose(at.hessian, at.hessian.T, atol=1e-12 * scale)
    assert np.linalg.eigvalsh(at.expected)[0] > -1e-9 * scale


def studies(k: int = 6, v: int = 4) -> tuple[Any, Any, Any]:
    """Correlations of k studies, which of them are used, and their sampling covariances."""
    rng = np.random.default_rng(5)
    p = v * (v - 1) // 2
    y = 0.3 + 0.2 * rng.standard_normal((k, p))
    used = rng.random((k, p)) < 0.75
    covariance = unit_covariance(symmetric(np.full(p, 0.3)))
    return y, used, covariance / rng.integers(40, 300, k)[:, None, None]


@pytest.mark.parametrize("covariances", [False, True])
def test_random_effects_likelihood(covariances: bool) -> None:
    y, used, v = studies()
    cells = tau2_cells(np.ones(6, dtype=bool), covariances)
    likelihood = RandomEffectsLikelihood(y, used, v, SaturatedMean(6, 6), cells)
    tau2 = np.where(cells.a == cells.b, 0.03 + 0.005 * cells.a, 0.004)
    check(likelihood, np.concatenate([np.linspace(0.1, 0.5, 6), tau2]))


def test_random_effects_likelihood_over_the_cholesky_factor() -> None:
    y, used, v = studies()
    cells = tau2_cells(np.ones(6, dtype=bool), True)
    likelihood = RandomEffectsLikelihood(y, used, v, SaturatedMean(6, 6), cells)
    factor = np.where(cells.a == cells.b, 0.15, 0.02)
    check(_Factored(likelihood, 6, np.arange(6)), np.concatenate([np.linspace(0.1, 0.5, 6), factor]))


def test_one_stage_likelihood_with_a_moderator() -> None:
    y, used, v = studies()
    model = parse_model("c ~ a + b; d ~ c + m*a; a ~~ b")
    places = structure(model, ("a", "b", "c", "d"))
    moderated = (Moderation("ses", "m"), Moderation("ses", "a~~b"))
    means = path_means(places, moderated, {"ses": np.linspace(-1, 1, 6)}, 6)
    likelihood = RandomEffectsLikelihood(y, used, v, means, tau2_cells(np.ones(6, dtype=bool), False))
    check(likelihood, np.concatenate([np.linspace(-0.3, 0.4, means.size), np.full(6, 0.03)]))


def test_multigroup_likelihood_of_a_common_correlation_matrix() -> None:
    rng = np.random.default_rng(7)
    held = np.array([[True] * 4, [True, True, False, True], [False, True, True, True]])
    matrices = []
    for row in held:
        full = np.corrcoef(rng.standard_normal((4, 60)))
        matrices.append(np.where(row[:, None] & row[None, :], full, np.eye(4)))
    objective = CommonCorrelation(np.array(matrices), held, np.array([60.0, 90.0, 40.0]))
    check(objective, np.linspace(-0.2, 0.3, 6))


@pytest.mark.parametrize("text", MODELS)
def test_weighted_least_squares(text: str) -> None:
    model = parse_model(text)
    names = tuple(sorted(model.observed))
    p = len(names) * (len(names) - 1) // 2
    covariance = unit_covariance(symmetric(np.full(p, 0.3))) / 100
    pooled = PooledCorrelations(names, np.linspace(0.1, 0.5, p), covariance, 100)
    q = len(model.parameters)
    objective = WeightedLeastSquares((group(pooled, structure(model, names), np.eye(q)),))
    check(objective, 0.2 + 0.3 * np.sin(np.arange(q)))
    # Many points at once are each point by itself, also where the model implies nothing at one of them.
    thetas = np.array([0.2 + 0.3 * np.sin(np.arange(q)), np.full(q, np.nan), 0.1 + 0.2 * np.cos(np.arange(q))])
    for points in (thetas[[0, 2]], thetas):
        for theta, at in zip(points, objective.evaluate_each(points), strict=True):
            alone = objective.evaluate(theta)
            assert np.isfinite(alone.value) == np.isfinite(theta).all()
            for name in ("value", "gradient", "hessian", "expected"):
                np.testing.assert_allclose(getattr(at, name), getattr(alone, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("text", MODELS)
def test_implied_correlations_and_residual_variances(text: str) -> None:
    model = parse_model(text)
    places = structure(model, tuple(sorted(model.observed)))
    cells = (0.1 + 0.3 * np.cos(np.arange(len(model.cells))))[None, :]
    at = places.implied(cells)
    assert at is not None
    np.testing.assert_allclose(np.diagonal(at.m, axis1=1, axis2=2), 1.0)
    r_weights, psi_weights = np.sin(np.arange(at.r.size))[None, :], np.cos(np.arange(at.psi.size))[None, :]
    curvature = places.curvature(at, r_weights, psi_weights)[0]
    h = 1e-6
    for cell in range(len(model.cells)):
        up, down = cells.copy(), cells.copy()
        up[0, cell] += h
        down[0, cell] -= h
        above, below = places.implied(up), places.implied(down)
        assert above is not None and below is not None
        np.testing.assert_allclose(at.jacobian[0, :, cell], (above.r - below.r)[0] / (2 * h), atol=1e-8)
        np.testing.assert_allclose(at.psi_jacobian[0, :, cell], (above.psi - below.psi)[0] / (2 * h), atol=1e-8)
        slopes = [r_weights[0] @ state.jacobian[0] + psi_weights[0] @ state.psi_jacobian[0] for state in (above, below)]
        np.testing.assert_allclose(curvature[cell], (slopes[0] - slopes[1]) / (2 * h), atol=1e-7)


def test_sampling_covariance_of_correlations_is_the_inverse_information_of_a_normal_sample() -> None:
    """Olkin and Siotani's formula from the delta method on the covariance matrix of a normal sample."""
    rng = np.random.default_rng(3)
    r = np.corrcoef(rng.standard_normal((4, 30)))
    first, second = np.triu_indices(4, 1)
    cells = [(i, j) for i in range(4) for j in range(i, 4)]
    wishart = np.array([[r[i, k] * r[j, m] + r[i, m] * r[j, k] for k, m in cells] for i, j in cells])
    slopes = np.zeros((6, len(cells)))
    for p, (i, j) in enumerate(zip(first, second, strict=True)):
        slopes[p, cells.index((i, j))] = 1.0
        slopes[p, cells.index((i, i))] = slopes[p, cells.index((j, j))] = -r[i, j] / 2
    np.testing.assert_allclose(unit_covariance(r), slopes @ wishart @ slopes.T, atol=1e-14)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    np.testing.assert_allclose(unit_covariance(r), 30 * effects_covariance(r, 31, pairs), atol=1e-14)
