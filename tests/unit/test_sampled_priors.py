"""The densities PyMC samples are those of the prior records the exact models integrate."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from replication.errors import ModelError
from replication.models.bayes.priors import (
    Cauchy,
    CoefficientPrior,
    Exponential,
    Fixed,
    Flat,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
    Normal,
    PositivePrior,
    Power,
    StudentT,
    Table,
    Uniform,
)
from replication.models.bayes.sampled.pymc_priors import (
    add_coefficient_priors,
    add_standard_deviations,
    coefficient_priors,
    coefficient_space,
)
from replication.models.bayes.sampled.sampling import load_pymc
from replication.models.fit import Array
from replication.paths import cache_dir

TAUS: list[PositivePrior] = [
    HalfNormal(0.3),
    HalfNormal(0.3, on="tau2"),
    HalfT(0.3, df=4.0),
    HalfCauchy(0.3),
    Exponential(0.2),
    Uniform(0.0, 2.0),
    Uniform(0.05, 1.0, on="tau2"),
    InverseGamma(1.0, 0.15, on="tau"),
    InverseGamma(2.0, 0.1, on="tau2"),
    LogNormal(-2.0, 1.0, on="tau2"),
    Table((0.0, 0.2, 0.6, 1.0, 3.0), (1.0, 3.0, 2.0, 0.0, 0.0)),
]


@pytest.fixture(autouse=True)
def _pymc() -> None:
    load_pymc(cache_dir() / "compiled")


def log_density(model: Any) -> Callable[[Array], float]:
    """The log density of a model's only variable, at values of that variable."""
    from pytensor.tensor import as_tensor

    (variable,) = model.free_RVs
    function = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    forward = model.rvs_to_transforms[variable]

    def at(values: Array) -> float:
        point = values if forward is None else as_tensor(forward.forward(values, *variable.owner.inputs)).eval()
        return float(function({model.rvs_to_values[variable].name: np.asarray(point)}))

    return at


@pytest.mark.parametrize("near", [True, False], ids=["zero near", "zero far"])
@pytest.mark.parametrize("prior", TAUS, ids=str)
def test_standard_deviations(prior: PositivePrior, near: bool) -> None:
    """Sampled is tau, tau with a sign (half the density on each side), or a function u of it (`|d tau / d u|`)."""
    import pymc as pm
    from pytensor import function

    with pm.Model() as model:
        tau = add_standard_deviations("tau", prior, 2, 0.3, zero_is_near=near)
    assert model["tau"] is tau
    at, tau_of = log_density(model), function([model.free_RVs[0]], tau, mode="FAST_COMPILE")
    whole = {"NormalRV", "StudentTRV", "CauchyRV"}
    signs = (1.0, -1.0) if type(model.free_RVs[0].owner.op).__name__ in whole else (1.0,)
    for u in (np.array([0.3, 0.55]), np.array([0.8, 0.25])):
        for sign in signs:
            slope = (tau_of(sign * u * (1.0 + 1e-6)) - tau_of(sign * u * (1.0 - 1e-6))) / (2e-6 * u)
            half = prior.logpdf(np.abs(tau_of(sign * u))) - np.log(len(signs)) + np.log(np.abs(slope))
            assert at(sign * u) == pytest.approx(float(half.sum()), abs=1e-8)


@pytest.mark.parametrize(
    "priors",
    [
        (Normal(0.1, 0.4), Normal(-1.0, 2.0), Normal(0.0, 1.0)),
        (Normal(0.1, 0.4), Cauchy(0.2, 0.3), StudentT(0.0, 0.5, df=3.0)),
        (Flat(), Normal(0.0, 1.0), Flat()),
    ],
    ids=["normal", "mixed", "partly flat"],
)
def test_coefficients(priors: tuple[CoefficientPrior, ...]) -> None:
    import pymc as pm

    with pm.Model() as model:
        add_coefficient_priors(pm.Flat("beta", shape=3), priors)
    at = log_density(model)
    beta = np.array([0.3, -0.2, 1.1])
    expected = sum(float(prior.logpdf(b)) for prior, b in zip(priors, beta, strict=True))
    assert at(beta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("prior", [HalfNormal(0.3), HalfNormal(30.0), HalfCauchy(0.3), HalfT(30.0, df=4.0)], ids=str)
@pytest.mark.parametrize("near", [True, False], ids=["zero near", "zero far"])
def test_the_units_the_sampler_sees_leave_the_density_as_it_is(prior: PositivePrior, near: bool) -> None:
    """The transformed density integrates to 1, in straight units and under the hyperbolic sine."""
    import pymc as pm

    with pm.Model() as model:
        add_standard_deviations("tau", prior, 1, 0.1, zero_is_near=near)
    function = model.compile_logp(mode="FAST_COMPILE")
    (value,) = model.value_vars

    def density(x: float) -> float:
        return math.exp(float(function({value.name: np.array([x])})))

    # Peaks stand anywhere near 0 and tails are long: pieces an adaptive rule does not step over.
    ends = [-60.0, -10.0, -3.0, 0.0, 3.0, 10.0, 60.0]
    pieces = [integrate.quad(density, *piece, epsabs=1e-9, limit=400)[0] for piece in pairwise(ends)]
    assert sum(pieces) == pytest.approx(1.0, rel=1e-6)


def test_a_fixed_sd_is_a_constant() -> None:
    import pymc as pm

    with pm.Model() as model:
        tau = add_standard_deviations("tau", Fixed(0.2), 3, 0.3, zero_is_near=True)
    assert tau.eval().tolist() == [0.2] * 3 and model.free_RVs == []


def test_an_improper_prior_is_refused() -> None:
    import pymc as pm

    with pm.Model(), pytest.raises(ModelError, match="cannot be sampled"):
        add_standard_deviations("tau", Power(0.0), 1, 0.3, zero_is_near=True)


def test_coefficient_priors_are_one_for_all_or_one_each() -> None:
    assert coefficient_priors(Flat(), 2) == (Flat(), Flat())
    with pytest.raises(ModelError, match="3 coefficient priors for 2 coefficients"):
        coefficient_priors([Flat()] * 3, 2)


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0], ids=["uncorrelated", "weakly", "strongly"])
def test_the_sampler_has_the_units_of_a_weighted_regression(shift: float) -> None:
    """A root of the inverse of `X' W X`, and its sds alone where intercept and slope correlate by less than a half."""
    v = np.array([0.01, 0.02, 0.02, 0.01])
    X = np.column_stack([np.ones(4), np.array([-1.0, -1.0, 1.0, 1.0]) + shift])
    space = coefficient_space(X @ [0.2, 0.1], v, X, (Flat(), Flat()))
    covariance = np.linalg.inv(X.T @ np.diag(1.0 / v) @ X)
    known = covariance if shift == 2.0 else np.diag(np.diag(covariance))
    np.testing.assert_allclose(space.root @ space.root.T, known, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(space.centre, [0.2, 0.1])
