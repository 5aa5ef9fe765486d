"""The selection likelihood against brute force: integrals by quadrature, derivatives by differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from replication.models.bias.selection_likelihood import Atoms, SelectionLikelihood
from replication.models.bias.selection_models import SMALLEST_P, _features
from replication.models.bias.selection_models import _atoms as step_atoms
from replication.models.bias.selection_models import _beta_atoms as beta_atoms
from replication.models.fit import Array

Y = np.array([0.9, -0.1, 0.3, 0.05, 1.4])
V = np.array([0.04, 0.25, 0.01, 0.09, 0.5])
X = np.column_stack([np.ones(5), [0.0, 1.0, 0.5, 2.0, -1.0]])
EDGES = np.array([0.0, 0.025, 0.2, 0.5, 1.0])
ONE_SIDED = stats.norm.sf(Y / np.sqrt(V))
TWO_SIDED = 2.0 * stats.norm.sf(np.abs(Y) / np.sqrt(V))
STEP = np.array([0.3, 0.15, 0.08, 0.0, -0.4, -1.1, 0.3])  # two coefficients, tau2, log weights
BETA = np.array([0.3, 0.15, 0.08, -0.25, 1.3])


def step_model(sides: str) -> SelectionLikelihood:
    p = ONE_SIDED if sides == "one" else TWO_SIDED
    cell = np.searchsorted(EDGES[1:-1], p)
    return SelectionLikelihood(Y, V, X, np.eye(4)[cell], step_atoms(EDGES, sides, np.ones(4, dtype=bool)))  # type: ignore[arg-type]


def beta_model() -> SelectionLikelihood:
    edge = stats.norm.isf(SMALLEST_P)
    return SelectionLikelihood(Y, V, X, _features(np.clip(Y / np.sqrt(V), -edge, edge)), beta_atoms(edge))


LOGISTIC = np.array([0.3, 0.15, 0.08, 1.7])
TRUNCATED = np.array([0.3, 0.15, 0.08, 0.0, -0.6])


def logistic_model() -> SelectionLikelihood:
    """The one form whose log weight bends in its parameter: the second derivatives must carry the bend."""
    nodes, steps = np.polynomial.legendre.leggauss(240)
    p = stats.norm.sf(np.concatenate([[-8.0, 8.0], 8.0 * nodes]))[:, None]
    atoms = Atoms(np.array([-np.inf, 8.0]), np.array([-8.0, np.inf]), 8.0 * nodes, 8.0 * steps, p)
    return SelectionLikelihood(Y, V, X, ONE_SIDED[:, None], atoms, "logistic")


def truncated_model() -> SelectionLikelihood:
    """Cells of effects, alike for all studies."""
    none = np.empty(0)
    atoms = Atoms(np.array([0.1, -np.inf]), np.array([np.inf, 0.1]), none, none, np.eye(2), of_effects=True)
    return SelectionLikelihood(Y, V, X, np.eye(2)[(Y <= 0.1).astype(int)], atoms)


MODELS = [
    pytest.param(step_model("one"), STEP, id="step, one-sided"),
    pytest.param(step_model("two"), STEP, id="step, two-sided"),
    pytest.param(beta_model(), BETA, id="beta"),
    pytest.param(logistic_model(), LOGISTIC, id="logistic"),
    pytest.param(truncated_model(), TRUNCATED, id="truncated"),
]


def step_weight(z: float, sides: str) -> float:
    p = stats.norm.sf(z) if sides == "one" else 2.0 * stats.norm.sf(abs(z))
    return float(np.exp(STEP[3 + np.searchsorted(EDGES[1:-1], p)]))


def beta_weight(z: float) -> float:
    p = np.clip(stats.norm.sf(z), SMALLEST_P, 1.0 - SMALLEST_P)
    return float(p ** BETA[3] * (1.0 - p) ** BETA[4])


def brute_integral(weight: object, i: int, theta: Array) -> float:
    """The integral of w(p(y)) N(y; mu, s2) over y, in pieces between the places where w jumps or bends."""
    mu, s, se = X[i] @ theta[:2], np.sqrt(theta[2] + V[i]), np.sqrt(V[i])
    inner = EDGES[1:-1]
    breaks = stats.norm.isf([SMALLEST_P, 1.0 - SMALLEST_P, *inner, *(inner / 2), *(1 - inner / 2)])
    ends = np.unique(np.clip([*(breaks * se), 0.0, mu, mu - 12 * s, mu + 12 * s], mu - 12 * s, mu + 12 * s))
    pieces = [
        integrate.quad(lambda y: weight(y / se) * stats.norm.pdf(y, mu, s), low, high, epsabs=1e-14, epsrel=1e-12)[0]  # type: ignore[operator]
        for low, high in pairwise(ends)
    ]
    return float(np.sum(pieces))


@pytest.mark.parametrize("sides", ["one", "two"])
def test_step_normaliser_is_the_integral(sides: str) -> None:
    found = np.exp(step_model(sides).log_normaliser(STEP))
    expected = [brute_integral(lambda z: step_weight(z, sides), i, STEP) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_beta_normaliser_is_the_integral() -> None:
    found = np.exp(beta_model().log_normaliser(BETA))
    expected = [brute_integral(beta_weight, i, BETA) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize(
    "theta",
    [
        [0.0, 0.0, 0.0, -0.9999, 0.5],
        [3.0, 0.0, 0.0, -0.5, 80.0],
        [-2.0, 0.0, 5.0, 8.0, -0.99],
        [0.1, 0.0, 100.0, 0.2, 2.0],
    ],
)
def test_beta_quadrature_holds_at_extremes(theta: list[float]) -> None:
    at = np.array(theta)

    def weight(z: float) -> float:
        p = np.clip(stats.norm.sf(z), SMALLEST_P, 1.0 - SMALLEST_P)
        return float(p ** at[3] * (1.0 - p) ** at[4])

    found = np.exp(beta_model().log_normaliser(at))
    np.testing.assert_allclose(found, [brute_integral(weight, i, at) for i in range(5)], rtol=1e-9)


@pytest.mark.parametrize("sides", ["one", "two"])
def test_the_density_of_a_seen_effect_integrates_to_one(sides: str) -> None:
    """exp of the log-likelihood of a single effect, as a function of that effect, is a density."""

    inner, every = EDGES[1:-1], np.ones(4, dtype=bool)
    atoms = step_atoms(EDGES, sides, every)  # type: ignore[arg-type]

    def density(y: float) -> float:
        p = stats.norm.sf(y / 0.3) if sides == "one" else 2.0 * stats.norm.sf(abs(y) / 0.3)
        observed = np.eye(4)[np.searchsorted(inner, [p])]
        model = SelectionLikelihood(np.array([y]), np.array([0.09]), np.ones((1, 1)), observed, atoms)
        return float(np.exp(model.derivatives(np.array([0.2, 0.05, *STEP[3:]])).value))

    jumps = 0.3 * stats.norm.isf([*inner, *(inner / 2), *(1 - inner / 2)])
    total = sum(integrate.quad(density, a, b, epsabs=1e-10)[0] for a, b in pairwise(np.unique([-3.0, *jumps, 3.0])))
    assert total == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(("model", "theta"), MODELS)
def test_gradient_is_the_slope_of_the_value(model: SelectionLikelihood, theta: Array) -> None:
    h = 1e-5
    slopes = [
        (model.derivatives(theta + h * e).value - model.derivatives(theta - h * e).value) / (2 * h)
        for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(model.derivatives(theta).gradient, slopes, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("model", "theta"), MODELS)
def test_hessian_is_the_slope_of_the_gradient(model: SelectionLikelihood, theta: Array) -> None:
    h = 1e-5
    slopes = [
        (model.derivatives(theta + h * e).gradient - model.derivatives(theta - h * e).gradient) / (2 * h)
        for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(model.derivatives(theta).hessian, slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("model", "theta"), MODELS)
def test_hessian_is_symmetric(model: SelectionLikelihood, theta: Array) -> None:
    hessian = model.derivatives(theta).hessian
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)


@pytest.mark.parametrize(("model", "theta"), MODELS)
def test_without_selection_it_is_the_normal_likelihood(model: SelectionLikelihood, theta: Array) -> None:
    plain = np.concatenate([theta[:3], np.zeros(len(theta) - 3)])
    expected = stats.norm.logpdf(Y, X @ theta[:2], np.sqrt(theta[2] + V)).sum()
    assert model.derivatives(plain).value == pytest.approx(expected, abs=1e-11)


def test_far_tails_keep_their_digits() -> None:
    """A mean 30 standard errors into a tail leaves a probability near 1e-198 in the other cell, not 0."""
    model = SelectionLikelihood(
        np.array([0.0]), np.array([1.0]), np.ones((1, 1)), np.array([[1.0, 0.0]]),
        step_atoms(np.array([0.0, 0.5, 1.0]), "one", np.array([True, False])),
    )  # fmt: skip
    found = model.log_normaliser(np.array([-30.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, stats.norm.logsf(30.0), rtol=1e-12)
