"""The likelihood of multilevel models: against dense algebra, finite differences, and changes of units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replication.models.multilevel.crossed_core as cores
import replication.models.multilevel.structure as structures
from replication.models.fit import Fit
from replication.models.multilevel.inverse import component_diagonal
from replication.models.multilevel.likelihood import MultilevelLikelihood
from replication.models.multilevel.multilevel import MultilevelData, fit_multilevel, likelihood_of
from replication.models.multilevel.structure import BlockV
from tests.tolerances import CONVERGED, SAME, Tolerance, assert_close

DIFFERENCES = Tolerance(1e-5, 1e-5, "central differences of a likelihood of size 100 are good to 1e-6", 3e-6)

TRACES = Tolerance(1e-8, 1e-11, "traces are differences: both ways lose digits where a variance is large", 4e-10)


@dataclass(frozen=True)
class Case:
    y: np.ndarray
    V: BlockV
    x: np.ndarray
    factors: dict[str, np.ndarray]
    options: dict[str, str | None]

    def fit(self) -> Fit:
        return fit_multilevel(self.y, self.V, self.factors, self.x, **self.options)  # type: ignore[arg-type]


def random_case(seed: int) -> Case:
    """Any combination of nested or crossed factors, ML or REML, diagonal, assumed-correlation or given-block V."""
    rng = np.random.default_rng(seed)
    k, p, factors = rng.integers(12, 30), rng.integers(1, 4), rng.integers(1, 4)
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    labels = {f"f{i}": rng.integers(0, rng.integers(3, 9), k) for i in range(factors)}
    v = rng.uniform(0.1, 1.0, k)
    blocks = labels["f0"] if rng.random() < 0.5 else rng.integers(0, 6, k)
    V = BlockV.diagonal(v)
    if seed % 3:
        V = BlockV.constant_correlation(v, blocks, float(rng.uniform(-0.02, 0.9)))
    if seed % 3 == 2:
        noise = 0.3 * rng.normal(size=(k, k + 2))
        V = BlockV.from_matrix(V.dense() + np.equal.outer(blocks, blocks) * (noise @ noise.T / k))
    y = rng.normal(size=k) + rng.normal(size=9)[labels["f0"]] + 3.0
    options = {
        "method": str(rng.choice(["ML", "REML"])),
        "structure": str(rng.choice(["nested", "crossed"])),
        "rows": None if rng.random() < 0.3 else "effect",
    }
    return Case(y, V, x, labels, options)


def dense_loglik(case: Case, data: MultilevelData, theta: np.ndarray) -> float:
    """The textbook formula with full matrices."""
    X, y, (k, p) = case.x, case.y, case.x.shape
    M = case.V.dense() + sum(
        t * np.equal.outer(level.codes, level.codes) for t, level in zip(theta, data.levels, strict=True)
    )
    W = np.linalg.inv(M)
    A = X.T @ W @ X
    r = y - X @ np.linalg.solve(A, X.T @ W @ y)
    log_det = [np.linalg.slogdet(matrix)[1] for matrix in (M, A, X.T @ X)]
    if data.options.method == "ML":
        return float(-0.5 * (log_det[0] + r @ W @ r + k * np.log(2 * np.pi)))
    return float(-0.5 * (log_det[0] + log_det[1] - log_det[2] + r @ W @ r + (k - p) * np.log(2 * np.pi)))


def setting(seed: int) -> tuple[Case, MultilevelData, MultilevelLikelihood, np.ndarray]:
    case = random_case(seed)
    data = case.fit().data
    assert isinstance(data, MultilevelData)
    likelihood = likelihood_of(data)
    return case, data, likelihood, np.random.default_rng(seed).uniform(0.05, 1.0, len(data.levels))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("large", [False, True])
def test_block_likelihood_is_the_dense_one(seed: int, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:  # the ways taken with many rows: pieces between clusters, sparse crossed columns
        monkeypatch.setattr(structures, "PIECE", 5)
        monkeypatch.setattr(structures, "DENSE", 0)
    case, data, likelihood, theta = setting(seed)
    for variances in (theta, np.zeros_like(theta), data.theta / likelihood.scale**2):
        solution = likelihood.solve(variances)
        expected = dense_loglik(case, data, variances * likelihood.scale**2)
        assert_close(likelihood.value(solution), expected, SAME)


@pytest.mark.parametrize("seed", range(15))
def test_gradient_and_information_are_the_slopes_of_the_likelihood(seed: int) -> None:
    _, _, likelihood, theta = setting(seed)
    steps = 1e-5 * np.eye(len(theta))
    up = [likelihood.slope(theta + step) for step in steps]
    down = [likelihood.slope(theta - step) for step in steps]
    gradient = [(a.value - b.value) / 2e-5 for a, b in zip(up, down, strict=True)]
    curvature = [(b.gradient - a.gradient) / 2e-5 for a, b in zip(up, down, strict=True)]
    assert_close(likelihood.slope(theta).gradient, gradient, DIFFERENCES)
    assert_close(likelihood.observed_information(theta, np.arange(len(theta))), curvature, DIFFERENCES)


CROSSED = [seed for seed in range(40) if random_case(seed).options["structure"] == "crossed"][:12]


@pytest.mark.parametrize("seed", CROSSED)
def test_many_crossed_levels_have_the_same_slopes_and_diagonals(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces and diagonals through the Cholesky factor are those through plain inverses, also at variances of 0."""
    _, data, plain, theta = setting(seed)
    if plain.structure.crossed is None:
        return
    monkeypatch.setattr(structures, "DENSE", 0)
    monkeypatch.setattr(cores, "LARGE", 0)
    tied = likelihood_of(data)
    for variances in (theta, 1e-7 * theta, 30.0 * theta, theta * (np.arange(len(theta)) != seed % len(theta))):
        monkeypatch.setattr(cores, "LARGE", 0)
        ours = tied.slope(variances)
        diagonals = [component_diagonal(tied.solve(variances).inverse, c) for c in range(len(theta))]
        monkeypatch.setattr(cores, "LARGE", 600)
        theirs, inverse = plain.slope(variances), plain.solve(variances).inverse
        assert_close([ours.value, *ours.gradient], [theirs.value, *theirs.gradient], TRACES)
        for c, diagonal in enumerate(diagonals):
            assert_close(diagonal, component_diagonal(inverse, c), TRACES)


@pytest.mark.parametrize("seed", range(24))
def test_the_peak_is_a_peak(seed: int) -> None:
    """At the estimate the score is 0, or points below 0 at the edge; no other start found by chance is higher."""
    case = random_case(seed)
    fit = case.fit()
    data = fit.data
    assert isinstance(data, MultilevelData) and not any(note.code == "not-converged" for note in fit.notes)
    likelihood = likelihood_of(data)
    slope = likelihood.slope(data.theta / likelihood.scale**2)
    inside = slope.theta > 0
    assert np.abs(slope.gradient[inside] * slope.theta[inside]).max(initial=0.0) < 1e-8
    assert slope.gradient[~inside].max(initial=-1.0) < 1e-8
    elsewhere = np.random.default_rng(seed).exponential(size=(20, len(slope.theta)))
    assert max(likelihood.slope(theta).value for theta in elsewhere) <= fit.loglik


@given(
    seed=st.integers(0, 10_000),
    factor=st.sampled_from([1e-4, -1.0, 0.3, 1e4]),
    shift=st.sampled_from([0.0, -7.0, 1e3]),
    data=st.data(),
)
@settings(max_examples=15, deadline=None)
def test_units_signs_and_order_do_not_matter(seed: int, factor: float, shift: float, data: st.DataObject) -> None:
    case = random_case(seed)
    fit = case.fit()
    order = np.array(data.draw(st.permutations(range(fit.k))))
    turned = Case(
        factor * (case.y + shift)[order],
        case.V.scaled(factor**2).take(order),
        case.x[order],
        {name: np.array([f"group {label}" for label in labels[order]]) for name, labels in case.factors.items()},
        case.options,
    ).fit()
    expected = factor * (fit.beta + np.eye(len(fit.beta))[0] * shift)
    close = Tolerance(1e-7, 1e-7, "a shift of 1e3 costs three digits of y", 2e-9)
    assert_close(turned.beta, expected, close)
    assert_close(turned.se, abs(factor) * fit.se, close)
    assert_close([c.estimate for c in turned.components], [factor**2 * c.estimate for c in fit.components], close)
    df = fit.k - (len(fit.beta) if case.options["method"] == "REML" else 0)
    assert_close(turned.loglik, fit.loglik - df * np.log(abs(factor)), close)


@pytest.mark.parametrize("seed", range(12))
def test_another_basis_of_the_design_gives_the_same_fit(seed: int) -> None:
    case = random_case(seed)
    p = case.x.shape[1]
    turn = np.triu(np.random.default_rng(seed).normal(size=(p, p))) + 3.0 * np.eye(p)
    fit, turned = case.fit(), Case(case.y, case.V, case.x @ turn, case.factors, case.options).fit()
    assert_close(turn @ turned.beta, fit.beta, CONVERGED)
    assert_close([c.estimate for c in turned.components], [c.estimate for c in fit.components], CONVERGED)
    assert_close(turned.loglik, fit.loglik, CONVERGED)
