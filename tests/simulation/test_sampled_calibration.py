"""Simulation-based calibration of the sampled models (Talts et al. 2018): values from the prior, data given them.

If model, sampler and prior agree, the share of draws below the true value is uniform on (0, 1); Kolmogorov-Smirnov at
p > 1e-4. Each model is compiled once and drawn again for every simulated data set. About ten minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from replication.models.bayes.priors import HalfCauchy, HalfNormal, Normal
from replication.models.bayes.sampled.likelihood_op import correlation_root, lkj_shapes
from replication.models.bayes.sampled.multilevel_data import multilevel_data
from replication.models.bayes.sampled.multilevel_model import MultilevelPriors, multilevel_model
from replication.models.bayes.sampled.roles import RolesPriors, probabilities, roles_model, sample_roles
from replication.models.bayes.sampled.roles_data import CONTRASTS
from replication.models.bayes.sampled.roles_simulated import simulated_roles, simulated_truth
from replication.models.bayes.sampled.sampled_model import SampledModel
from replication.models.bayes.sampled.sampling import Settings, compile_model, draw, load_pymc
from replication.models.bayes.sampled.selection import SelectionPriors, selection_data, selection_model
from replication.models.fit import Array
from replication.paths import cache_dir

pytestmark = pytest.mark.simulation

COMPILED = cache_dir() / "compiled"
QUICK = Settings(chains=2, draws=400, tune=400)
SAMPLE = np.repeat(np.arange(8), 2)
CELL = np.tile([0, 1], 8)
V = np.tile([0.01, 0.02, 0.04, 0.015], 4)


@dataclass(frozen=True)
class Simulated:
    """A simulated data set: the true values by the names of the posterior, and the data to exchange."""

    truth: dict[str, float]
    data: dict[str, Array]


def ranks(
    spec: SampledModel, simulate: Callable[[np.random.Generator], Simulated], sets: int, seed: int
) -> dict[str, Array]:
    """For each quantity, the shares `(sets,)` of draws below its true value."""
    compiled: Any = compile_model(spec.model)
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for number in range(sets):
        simulated = simulate(rng)
        draws = draw(compiled, replace(QUICK, seed=number), simulated.data)
        shown = spec.report(draws.values, rng)
        for name, value in simulated.truth.items():
            found.setdefault(name, []).append(float((shown[name] < value).mean()))
    return {name: np.array(values) for name, values in found.items()}


def assert_uniform(found: dict[str, Array]) -> None:
    p = {name: float(stats.kstest(values, "uniform").pvalue) for name, values in found.items()}
    assert min(p.values()) > 1e-4, p


@pytest.fixture(autouse=True)
def _pymc() -> None:
    load_pymc(COMPILED)


def cells(rng: np.random.Generator, spread: float = 1.0) -> Simulated:
    """Two cells in eight samples. `spread` multiplies the sds between samples without telling the model."""
    means, between, within = rng.normal(0.0, 0.5, 2), np.abs(rng.normal(0.0, 0.3, 2)), abs(rng.normal(0.0, 0.2))
    partial = 2.0 * rng.beta(lkj_shapes(2, 2.0), lkj_shapes(2, 2.0)) - 1.0
    u = rng.normal(size=(8, 2)) @ correlation_root(partial, 2).T * between * spread
    y = rng.normal(means[CELL] + u[SAMPLE, CELL] + rng.normal(0.0, within, 16), np.sqrt(V))
    truth = {"0": means[0], "1": means[1], "between[0]": between[0], "between[1]": between[1], "within": within}
    return Simulated(truth | {"rho[0, 1]": partial[0], "total[0]": np.hypot(between[0], within)}, {"y": y})


def cell_model() -> SampledModel:
    rows = multilevel_data(np.zeros(16) + 0.1 * CELL, V, sample=SAMPLE, cell=CELL)
    return multilevel_model(rows, MultilevelPriors(Normal(0.0, 0.5), HalfNormal(0.3), HalfNormal(0.2)), exchange=True)


def test_several_cells() -> None:
    assert_uniform(ranks(cell_model(), cells, 300, 1))


def test_the_calibration_sees_a_wrong_model() -> None:
    found = ranks(cell_model(), lambda rng: cells(rng, spread=1.5), 150, 2)
    with pytest.raises(AssertionError):
        assert_uniform(found)


def test_two_levels_with_heavy_tails() -> None:
    v = np.array([0.01, 0.02, 0.04, 0.015, 0.03, 0.01])

    def simulate(rng: np.random.Generator) -> Simulated:
        mean, tau = rng.normal(0.0, 0.5), abs(0.3 * rng.standard_cauchy())
        y = rng.normal(rng.normal(mean, tau, 6), np.sqrt(v))
        return Simulated({"intercept": mean, "tau": tau, "new[intercept]": rng.normal(mean, tau)}, {"y": y})

    rows = multilevel_data(np.linspace(-0.2, 0.3, 6), v, structure="none")
    spec = multilevel_model(rows, MultilevelPriors(Normal(0.0, 0.5), HalfNormal(0.3), HalfCauchy(0.3)), exchange=True)
    assert_uniform(ranks(spec, simulate, 300, 3))


@pytest.mark.parametrize(("sides", "steps"), [("one", (0.025, 0.5)), ("two", (0.05,))])
def test_selection(sides: str, steps: tuple[float, ...]) -> None:
    v = np.linspace(0.005, 0.05, 15)

    def simulate(rng: np.random.Generator) -> Simulated:
        mean, tau = rng.normal(0.2, 0.3), abs(rng.normal(0.0, 0.2))
        weights = np.concatenate([[1.0], np.sort(rng.uniform(size=len(steps)))[::-1]])
        y, step = np.zeros(15), np.zeros(15, dtype=np.int64)
        for i, variance in enumerate(v):
            published = False
            while not published:
                y[i] = rng.normal(mean, np.sqrt(variance + tau**2))
                z = y[i] / np.sqrt(variance)
                p = 2.0 * stats.norm.sf(abs(z)) if sides == "two" else stats.norm.sf(z)
                step[i] = np.searchsorted(steps, p)
                published = rng.random() < weights[step[i]]
        truth = {"intercept": mean, "tau": tau} | dict(zip(data.weight_names, weights[1:].tolist(), strict=True))
        return Simulated(truth, {"y": y, "step": step})

    data = selection_data(np.linspace(0.0, 0.4, 15), v, steps=steps, sides=sides)  # type: ignore[arg-type]
    assert_uniform(
        ranks(
            selection_model(data, SelectionPriors(Normal(0.2, 0.3), HalfNormal(0.2)), exchange=True),
            simulate,
            300,
            4,
        )
    )


def test_roles() -> None:
    rng = np.random.default_rng(5)
    data = simulated_roles(simulated_truth(), 400, 20, rng)
    priors = RolesPriors(Normal(-1.0, 0.5), Normal(0.0, 0.5), HalfNormal(0.5))

    def simulate(rng: np.random.Generator) -> Simulated:
        slopes = rng.normal(0.0, 0.5, (3, 9))
        slopes[:, 0] -= 1.0
        sd = np.abs(rng.normal(0.0, 0.5, 3))
        partial = 2.0 * rng.beta(lkj_shapes(3, 2.0), lkj_shapes(3, 2.0)) - 1.0
        u = rng.normal(size=(20, 3)) @ correlation_root(partial, 3).T * sd
        chances = probabilities(data.X @ slopes.T + u[data.group])
        role = (rng.random(400)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1)
        truth = {f"{r}: {n}": slopes[a, j] for a, r in enumerate(CONTRASTS) for j, n in enumerate(data.names)}
        truth |= {f"class sd[{r}]": sd[a] for a, r in enumerate(CONTRASTS)} | {"rho[bully, victim]": partial[0]}
        return Simulated(truth, {"role": np.minimum(role, 3).astype(np.int64)})

    assert_uniform(ranks(roles_model(data, priors, exchange=True), simulate, 100, 6))


def test_simulated_roles_are_recovered() -> None:
    """Ten simulated studies: about 95 % of the 300 stated values lie in their 95 % interval."""
    truth = simulated_truth()
    covered = []
    for seed in range(10):
        data = simulated_roles(truth, 1000, 60, np.random.default_rng(seed))
        fit = sample_roles(data, None, Settings(seed=seed), compile_dir=COMPILED)
        for name, value in truth.named().items():
            parameter = fit.parameter(name)  # type: ignore[union-attr]  # a failed fit has none: the test then fails
            covered.append(parameter.quantile(0.025) <= value <= parameter.quantile(0.975))
    assert len(covered) == 300
    assert 0.90 <= np.mean(covered) <= 0.985
