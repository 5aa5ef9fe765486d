"""Sampled posteriors against exact ones, importance sampling, a grid and another package; failure; repeatability.

Every model is compiled once (a few seconds each); compiled code is kept in the project's `.cache`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.priors import Fixed, HalfCauchy, HalfNormal, Normal
from replication.models.bayes.sampled.agreement import compare_with_exact
from replication.models.bayes.sampled.diagnostics import Failed, SampledPosterior
from replication.models.bayes.sampled.likelihood_op import add_likelihood, at_address, correlation_draws, lkj_shapes
from replication.models.bayes.sampled.multilevel_data import MultilevelData, multilevel_data
from replication.models.bayes.sampled.multilevel_model import (
    MultilevelPriors,
    multilevel_model,
    parameter_labels,
    sample_multilevel,
)
from replication.models.bayes.sampled.roles import RolesPriors, sample_roles
from replication.models.bayes.sampled.roles_data import CONTRASTS
from replication.models.bayes.sampled.roles_simulated import simulated_roles, simulated_truth
from replication.models.bayes.sampled.sampled_model import SampledModel, sample_model
from replication.models.bayes.sampled.sampling import Settings, compile_model, draw, load_pymc
from replication.models.bayes.sampled.selection import (
    SelectionPriors,
    sample_selection,
    selection_data,
    selection_loglik,
)
from replication.models.fit import Array
from replication.paths import cache_dir

Y = np.array([0.12, 0.30, 0.45, -0.05, 0.22, 0.31, 0.60, 0.10])
V = np.array([0.010, 0.020, 0.015, 0.030, 0.010, 0.005, 0.040, 0.020])
SAMPLE = np.array([0, 0, 1, 2, 2, 2, 3, 4])
COMPILED = cache_dir() / "compiled"
QUICK = Settings(draws=1000, tune=500, attempts=1)
TAU = HalfNormal(0.3)
YEARS = np.column_stack([np.ones(8), 2000.0 + np.arange(8.0)])
SLOPES = (Normal(0.0, 50.0), Normal(0.0, 0.5))


@dataclass(frozen=True)
class Compiled:
    """A model and its compiled code."""

    spec: SampledModel
    code: Any

    def sample(self, settings: Settings) -> SampledPosterior | Failed:
        return sample_model(self.spec, settings, compiled=self.code)


def passed(result: SampledPosterior | Failed) -> SampledPosterior:
    assert isinstance(result, SampledPosterior), getattr(result, "why", "")
    return result


def two_level_data() -> MultilevelData:
    return multilevel_data(1e-4 * Y, 1e-8 * V, structure="none", x=YEARS, names=["intercept", "year"])


@pytest.fixture(scope="module")
def two_level() -> Compiled:
    """Effects of a size of 1e-4, and a year that is far from centred."""
    load_pymc(COMPILED)
    data = two_level_data()
    spec = multilevel_model(data, MultilevelPriors(SLOPES, TAU, HalfCauchy(3e-5)), exchange=True)
    return Compiled(spec, compile_model(spec.model))


@pytest.fixture(scope="module")
def three_level() -> Compiled:
    load_pymc(COMPILED)
    data = multilevel_data(Y, V, sample=SAMPLE, structure="shared")
    spec = multilevel_model(data, MultilevelPriors(Normal(0.0, 0.5), TAU, TAU), exchange=True)
    return Compiled(spec, compile_model(spec.model))


def test_two_levels_agree_with_the_exact_posterior(two_level: Compiled) -> None:
    fit = passed(two_level.sample(replace(QUICK, draws=2000)))
    exact = exact_two_level(
        1e-4 * Y, 1e-8 * V, YEARS, tau=HalfCauchy(3e-5), coefficients=SLOPES, names=["intercept", "year"]
    )
    rows = compare_with_exact(exact, fit)
    assert len(rows) == 27  # mean, sd and seven quantiles of two coefficients and tau
    worded = parameter_labels(two_level_data(), {"intercept": "mean", "year": "year"})
    assert {p.name for p in fit.parameters} == worded.keys()
    assert [row for row in rows if not row.agrees] == []


def test_three_levels_agree_with_the_exact_posterior(three_level: Compiled) -> None:
    fit = passed(three_level.sample(replace(QUICK, draws=2000)))
    exact = exact_three_level(Y, V, SAMPLE, between=TAU, within=TAU, coefficients=Normal(0.0, 0.5))
    assert [row for row in compare_with_exact(exact, fit) if not row.agrees] == []
    worded = parameter_labels(multilevel_data(Y, V, sample=SAMPLE, structure="shared"), {"intercept": "mean"})
    assert {p.name for p in fit.parameters} == worded.keys()
    new, predicted = fit.parameter("new[intercept]"), exact.predict()
    for probability, value, mcse in new.quantiles:
        assert abs(value - float(predicted.ppf(probability))) < 4.0 * mcse


def test_different_models_are_not_compared(two_level: Compiled) -> None:
    fit = passed(two_level.sample(QUICK))
    other = exact_three_level(Y, V, SAMPLE, between=TAU, within=TAU, coefficients=Normal(0.0, 1.0))
    with pytest.raises(ModelError, match="has no between, within"):
        compare_with_exact(other, fit)


def test_the_same_seed_gives_the_same_draws_and_another_seed_others(two_level: Compiled) -> None:
    first, again = (passed(two_level.sample(QUICK)) for _ in range(2))
    other = passed(two_level.sample(replace(QUICK, seed=5)))
    np.testing.assert_array_equal(first.draws, again.draws)
    assert not np.array_equal(first.draws, other.draws)
    assert first.settings.seed == QUICK.seed


def test_a_sampler_made_to_fail_gives_reasons_and_tries_once_more(two_level: Compiled) -> None:
    result = two_level.sample(Settings(draws=20, tune=5, attempts=2))
    assert isinstance(result, Failed)
    assert "ESS" in result.why
    assert result.settings.draws == 40
    assert result.notes[-1].code == "retried" and "attempt 1 failed" in result.notes[-1].message


def test_a_fit_that_failed_once_may_pass_with_more_draws(two_level: Compiled) -> None:
    fit = passed(two_level.sample(Settings(draws=90, tune=500, attempts=4)))
    assert fit.settings.draws > 90 and fit.notes[-1].code == "retried"


def test_data_without_a_density_are_a_failure_not_a_crash(two_level: Compiled) -> None:
    with pytest.raises(ModelError, match="the sampler stopped"):
        draw(two_level.code, QUICK, {"y": np.full(8, np.nan)})
    result = sample_model(two_level.spec, QUICK, compiled=two_level.code.with_data(y=np.full(8, np.nan)))
    assert isinstance(result, Failed) and result.diagnostics is None


def test_several_cells_agree_with_weighted_draws_from_the_prior() -> None:
    """Importance sampling knows nothing of kernels, roots of matrices or Markov chains: dense normal densities."""
    y, v = Y[:6], 4.0 * V[:6]
    sample, cell = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 0, 1, 0, 1])
    covariance = np.diag(v)
    covariance[0, 1] = covariance[1, 0] = 0.5 * np.sqrt(v[0] * v[1])
    data = multilevel_data(y, covariance, sample=sample, cell=cell)
    priors = MultilevelPriors(Normal(0.2, 0.3), HalfNormal(0.3), HalfNormal(0.2), eta=1.0)
    fit = passed(sample_multilevel(data, priors, replace(QUICK, draws=2000), compile_dir=COMPILED))
    assert {p.name for p in fit.parameters} == parameter_labels(data, {"0": "positive", "1": "negative"}).keys()

    rng = np.random.default_rng(1)
    n = 200_000
    beta, between = rng.normal(0.2, 0.3, (n, 2)), np.abs(rng.normal(0.0, 0.3, (n, 2)))
    within, shapes = np.abs(rng.normal(0.0, 0.2, n)), lkj_shapes(2, 1.0)
    rho = 2.0 * rng.beta(shapes, shapes, (n, 1)) - 1.0
    G = correlation_draws(rho, 2) * between[:, :, None] * between[:, None, :]
    M = (
        covariance
        + np.where(sample[:, None] == sample, G[:, cell][:, :, cell], 0.0)
        + within[:, None, None] ** 2 * np.eye(6)
    )
    residual = y - beta[:, cell]
    inverse = np.linalg.solve(M, residual[:, :, None])[:, :, 0]
    log_weight = -0.5 * (np.einsum("nk,nk->n", residual, inverse) + np.linalg.slogdet(M)[1])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    quantities = {
        "0": beta[:, 0],
        "1": beta[:, 1],
        "between[0]": between[:, 0],
        "within": within,
        "rho[0, 1]": rho[:, 0],
    }
    for name, values in quantities.items():
        expected = weight @ values
        error = np.sqrt(weight**2 @ (values - expected) ** 2)
        found = fit.parameter(name)
        assert abs(found.mean - expected) < 4.0 * np.hypot(error, found.mcse_mean), name


def test_selection_agrees_with_a_grid() -> None:
    y, v = np.array([0.35, 0.30, 0.45, 0.10, 0.52, 0.25]), np.array([0.010, 0.020, 0.015, 0.030, 0.040, 0.012])
    data = selection_data(y, v, steps=(0.025,))
    fit = passed(
        sample_selection(
            data,
            SelectionPriors(Normal(0.0, 0.5), TAU),
            replace(QUICK, draws=2000),
            compile_dir=COMPILED,
        )
    )
    assert {p.name for p in fit.parameters} == data.parameter_labels({"intercept": "mean"}).keys()

    mu, tau, w = np.meshgrid(
        np.linspace(-1.0, 1.2, 221), np.linspace(5e-4, 1.5, 200), np.linspace(0.005, 0.995, 100), indexing="ij"
    )
    log = stats.norm.logpdf(mu, 0.0, 0.5) + TAU.logpdf(tau)
    for yi, vi in zip(y, v, strict=True):
        s = np.sqrt(vi + tau**2)
        chance = stats.norm.sf((stats.norm.isf(0.025) * np.sqrt(vi) - mu) / s)
        log += stats.norm.logpdf(yi, mu, s) - np.log(chance + w * (1.0 - chance))
        log += 0.0 if stats.norm.sf(yi / np.sqrt(vi)) <= 0.025 else np.log(w)
    density = np.exp(log - log.max())
    density /= density.sum()
    for name, values in (("intercept", mu), ("tau", tau), (data.weight_names[0], w)):
        found = fit.parameter(name)
        expected = float((density * values).sum())
        assert abs(found.mean - expected) < 4.0 * found.mcse_mean + 1e-3 * found.sd, name


def test_roles_without_class_deviations_agree_with_maximum_likelihood() -> None:
    """Wide priors, hardly any class deviation, many students: the posterior is near the estimates of statsmodels."""
    import statsmodels.api as sm

    truth = simulated_truth()
    truth.slopes[:, 0] = 0.0  # all roles common, so that likelihood and posterior are close to normal
    data = simulated_roles(truth, 1200, 30, np.random.default_rng(3))
    wide = RolesPriors(Normal(0.0, 50.0), Normal(0.0, 50.0), HalfNormal(1e-4))
    fit = passed(sample_roles(data, wide, replace(QUICK, draws=500), compile_dir=COMPILED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of its own deprecations
        likelihood = sm.MNLogit(data.role, data.X).fit(disp=False)
    assert likelihood.mle_retvals["converged"]
    for a, role in enumerate(CONTRASTS):
        for j, name in enumerate(data.names):
            found = fit.parameter(f"{role}: {name}")
            estimate, se = float(likelihood.params[j, a]), float(likelihood.bse[j, a])
            assert abs(found.mean - estimate) < 0.1 * se + 4.0 * found.mcse_mean
            assert found.sd == pytest.approx(se, rel=0.05, abs=4.0 * found.mcse_sd)


def test_a_short_calibration_of_three_levels(three_level: Compiled) -> None:
    """Values drawn from the priors lie anywhere in their posteriors with equal chance (Talts et al. 2018)."""
    rng = np.random.default_rng(20180418)
    ranks = []
    for seed in range(60):
        mean, between, within = rng.normal(0.0, 0.5), abs(rng.normal(0.0, 0.3)), abs(rng.normal(0.0, 0.3))
        effects = mean + rng.normal(0.0, between, 5)[SAMPLE] + rng.normal(0.0, within, 8)
        y: Array = rng.normal(effects, np.sqrt(V))
        found = draw(three_level.code, Settings(seed=seed, chains=2, draws=250, tune=300), {"y": y})
        shown = three_level.spec.report(found.values, rng)
        true = {"intercept": mean, "between": between, "within": within}
        ranks.append([float((shown[name] < value).mean()) for name, value in true.items()])
    for quantity in np.array(ranks).T:
        assert stats.kstest(quantity, "uniform").pvalue > 1e-3


def test_one_compiled_kernel_serves_sds_that_are_drawn_and_sds_that_are_known(three_level: Compiled) -> None:
    data = multilevel_data(Y, V, sample=SAMPLE, structure="shared")
    known = multilevel_model(data, MultilevelPriors(Normal(0.0, 0.5), Fixed(0.2), TAU))
    before = at_address.cache_info()
    known.model.compile_logp(mode="NUMBA")
    after = at_address.cache_info()
    assert after.hits > before.hits and after.misses == before.misses


def test_a_compiled_likelihood_is_that_of_the_plain_function_for_data_in_any_order_of_memory() -> None:
    """Rising cuts are a reversed view, and a design from a data frame is a column after the other."""
    load_pymc(COMPILED)
    from pytensor import function
    from pytensor.tensor import vector

    data = selection_data(Y, V, np.asfortranarray(YEARS - [0.0, 2003.5]), steps=(0.025, 0.5))
    known = [data.y, data.v, data.X, data.step, data.cuts, data.step_of]
    assert not data.cuts.flags.c_contiguous and not data.X.flags.c_contiguous
    at = [np.array([0.2, 0.01]), np.array([0.15]), np.array([0.8, 0.3])]
    parameters = [vector(name) for name in ("beta", "tau", "weight")]
    compiled = function(parameters, add_likelihood(selection_loglik, parameters, known), mode="NUMBA")
    np.testing.assert_allclose(compiled(*at), selection_loglik(*at, *known)[0], rtol=1e-12)


def test_a_model_is_compiled_without_words_for_errors_of_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as text and texts joined took three of twenty seconds; a new numba may not ask where this one does."""
    load_pymc(COMPILED)
    import numba
    import nutpie

    def assign(target: Array, source: Array) -> None:
        target[...] = source

    def compile_assignment(model: Any, **options: str) -> Any:
        function = numba.njit(assign)
        function(np.zeros(2), np.ones(2))
        return function

    monkeypatch.setattr(nutpie, "compile_pymc_model", compile_assignment)
    function = compile_model(None)
    with pytest.raises(ValueError, match=r"^cannot assign an array of another shape$"):
        function(np.zeros(2), np.zeros(3))


def test_no_compiler_and_nothing_outside_the_folder(tmp_path: Path) -> None:
    """In a process of its own: PyTensor is told before its first import."""
    code = (
        "from pathlib import Path; import os, sys\n"
        "from replication.models.bayes.sampled.sampling import load_pymc\n"
        f"load_pymc(Path({str(tmp_path / 'compiled')!r}))\n"
        "from pytensor import config; print(repr(config.cxx), config.compiledir, os.environ.get('PYTENSOR_FLAGS'))"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTENSOR_FLAGS"} | {"HOME": str(home)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    cxx, folder, flags = run.stdout.split()
    assert cxx == "''" and folder.startswith(str(tmp_path / "compiled")) and flags == "None"
    assert not (home / ".pytensor").exists()
