"""Joint draws of exact posteriors have the posterior's own distribution, and arviz takes and saves them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import replication as tsr
from analyses.shared import sampled
from replication.analysis import Context
from replication.digests import folder_digest, python_digest
from replication.errors import ModelError
from replication.models.bayes import (
    ExactPosterior,
    Fixed,
    HalfNormal,
    Normal,
    StudentT,
    draw_exact,
    exact_three_level,
    exact_two_level,
    inference_data,
)
from replication.models.bayes.joint_draws import JointDraws
from replication.models.bayes.sampled.diagnostics import SampledPosterior
from replication.provenance import Cache

RNG = np.random.default_rng(3)
K = 24
V = RNG.uniform(0.01, 0.05, K)
Y = RNG.normal(0.2, np.sqrt(V + 0.04))
X = np.column_stack([np.ones(K), 2.0 + RNG.normal(size=K)])
CLUSTER = np.repeat(np.arange(8), 3)
TAU, MEAN = HalfNormal(0.3), Normal(0.0, 1.0)


@cache
def posterior(kind: str) -> ExactPosterior:
    if kind == "three levels":
        return exact_three_level(Y, V, CLUSTER, between=TAU, within=TAU, coefficients=[MEAN])
    if kind == "t prior":
        return exact_two_level(Y, V, tau=TAU, coefficients=[StudentT(0.0, 0.1, 4.0)])
    if kind == "fixed tau":
        return exact_two_level(Y, V, tau=Fixed(0.2), coefficients=[MEAN])
    return exact_two_level(Y, V, X, tau=TAU, coefficients=[MEAN, MEAN])


@cache
def drawn(kind: str) -> JointDraws:
    return draw_exact(posterior(kind), 8000, np.random.default_rng(1))


@pytest.mark.parametrize("kind", ["moderator", "three levels", "t prior", "fixed tau"])
def test_every_marginal_is_the_exact_one(kind: str) -> None:
    found, exact = drawn(kind).values, posterior(kind)
    assert set(found) == {*exact.sds, *exact.names}
    for name, values in found.items():
        marginal = exact.sd(name) if name in exact.sds else exact.coefficient(name)
        assert stats.kstest(marginal.cdf(values), "uniform").pvalue > 0.005, name


def test_a_proposal_of_two_nodes_a_cell_draws_the_same_distribution() -> None:
    """What is proposed is flat around each node, here over half a cell; rejection alone makes it the posterior."""
    exact = posterior("moderator")
    solution = replace(exact.solution, series=tuple(series[:, :2] for series in exact.solution.series))
    found = draw_exact(replace(exact, solution=solution), 8000, np.random.default_rng(1))
    for name, marginal in (("tau", exact.sd("tau")), ("x0", exact.coefficient("x0"))):
        assert stats.kstest(marginal.cdf(found.values[name]), "uniform").pvalue > 0.005
    assert found.kept < 0.7


def test_sds_trade_variance_for_each_other_as_the_posterior_says() -> None:
    """Their correlation, and the chance of a corner, by a fine grid of the exact joint density."""
    found, exact = drawn("three levels").values, posterior("three levels")
    grid = np.linspace(0.0005, 0.8, 240)
    within, between = np.meshgrid(grid, grid, indexing="ij")
    p = np.exp(exact.log_density(within, between))
    p /= p.sum()
    means = [(p * axis).sum() for axis in (within, between)]
    product = (p * (within - means[0]) * (between - means[1])).sum()
    spread = [np.sqrt((p * (axis - mean) ** 2).sum()) for axis, mean in zip((within, between), means, strict=True)]
    expected = product / (spread[0] * spread[1])
    assert np.corrcoef(found["within"], found["between"])[0, 1] == pytest.approx(expected, abs=0.03)
    corner = (within < 0.2) & (between < 0.1)
    share = float(((found["within"] < 0.2) & (found["between"] < 0.1)).mean())
    assert share == pytest.approx(p[corner].sum(), abs=4 * np.sqrt(share * (1 - share) / 8000))


def test_coefficients_depend_on_tau_and_on_each_other() -> None:
    """Given tau they are normal: standardised by the mean and covariance at the tau drawn, nothing is left."""
    found, exact = drawn("moderator").values, posterior("moderator")
    left = []
    for tau, beta in zip(found["tau"][:2000], np.column_stack([found[n] for n in exact.names])[:2000], strict=True):
        precision = X.T @ (X / (V + tau**2)[:, None]) + np.eye(2)
        center = np.linalg.solve(precision, X.T @ (Y / (V + tau**2)))
        left.append(np.linalg.cholesky(precision).T @ (beta - center))
    standard = np.array(left)
    assert stats.kstest(standard.ravel(), "norm").pvalue > 0.005
    np.testing.assert_allclose(np.corrcoef(standard.T, found["tau"][:2000]), np.eye(3), atol=0.08)


def test_the_same_seed_draws_the_same_and_none_are_refused() -> None:
    one, two = (draw_exact(posterior("moderator"), 50, np.random.default_rng(7)).values["tau"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ModelError, match="1 or more"):
        draw_exact(posterior("moderator"), 0, np.random.default_rng(7))


def test_arviz_summarises_saves_and_reads_them(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # arviz announces its next version
        import arviz

        data = pd.DataFrame({"yi": Y, "vi": V})
        found = tsr.posterior("yi ~ 1", data)
        saved = found.to_inference_data(draws=500, seed=5)
        table = arviz.summary(saved)
        saved.to_netcdf(str(tmp_path / "posterior.nc"))
        again = arviz.from_netcdf(str(tmp_path / "posterior.nc"))
    exact = found.tidy().set_index("term")
    for name in ("tau", "intercept"):
        assert table.loc[name, "mean"] == pytest.approx(exact.loc[name, "mean"], abs=0.01)
        assert table.loc[name, "r_hat"] <= 1.01 and table.loc[name, "ess_bulk"] > 1500
        np.testing.assert_array_equal(again.posterior[name], saved.posterior[name])
    assert again.posterior.attrs["seed"] == 5 and again.posterior.attrs["numerical_error"] < 1e-3
    np.testing.assert_array_equal(saved.observed_data["effect"], Y)


@cache
def made_up() -> SampledPosterior:
    """Two quantities "sampled" in four chains, as a sampler that passed its gate returns them."""
    from replication.models.bayes.sampled.diagnostics import Gate, diagnose, judge
    from replication.models.bayes.sampled.sampling import Draws, Settings

    values = np.random.default_rng(2).normal(size=(4, 500, 2))
    parameters = tuple(diagnose(name, values[:, :, i]) for i, name in enumerate(("mean", "tau")))
    draws = Draws({"mean": values[:, :, 0]}, values[:, :, 0], 0, 0)
    record = judge(parameters, draws, Gate())
    prior = {"tau": TAU.record()}
    return SampledPosterior("made up", {"link": "none"}, parameters, record, Settings(seed=9), prior, (), values)


def test_a_sampled_posterior_comes_with_its_own_chains() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = inference_data(made_up())
    np.testing.assert_array_equal(found.posterior["tau"], made_up().draws[:, :, 1])
    assert found.posterior.attrs["seed"] == 9 and found.posterior.attrs["link"] == "none"


def test_an_analysis_saves_every_draw_of_a_sampled_posterior_and_draws_anew_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept by content comes back the same; the content includes the code of the Bayesian models."""
    asked = []

    def sample(settings: object, folder: Path) -> SampledPosterior:
        asked.append(settings)
        return made_up()

    context = Context(tsr.load_dataset(), store=Cache(tmp_path))
    titled = [sampled.Asked("made-up", title, {}) for title in ("mean", "median")]
    fits = [sampled._draw(context, one, (Y,), sample) for one in titled]
    assert len(asked) == 1 and fits[0].draws is not None and fits[0].draws.id == "made-up"
    for fit in fits:
        assert fit.draws is not None and fit.draws.chains == 4
        np.testing.assert_allclose(fit.draws.columns["tau"], made_up().draws[:, :, 1].ravel(), rtol=1e-5)
    assert fits[0].draws.method["prior of tau"] == "half-normal {'scale': 0.3}"
    monkeypatch.setattr(sampled, "python_digest", lambda folder: f"other code in {folder.name}")
    sampled._draw(context, titled[0], (Y,), sample)
    assert len(asked) == 2
    assert sampled._code() == "other code in bayes"


@pytest.mark.parametrize("digest", [folder_digest, python_digest])
def test_code_that_is_not_there_has_no_digest(digest: Callable[[Path], str]) -> None:
    """A digest of nothing is the same for ever: draws of other code would pass for those of today."""
    with pytest.raises(FileNotFoundError):
        digest(Path("nowhere"))
