"""The densities that are sampled are those of the prior records the exact models integrate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

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
from replication.models.bayes.sampled.kernels import lkj_shapes
from replication.models.bayes.sampled.log_density import LogDensity
from replication.models.bayes.sampled.sampled_priors import (
    Block,
    CoefficientSpace,
    beta_ratios,
    coefficient_block,
    coefficient_priors,
    correlation_partials,
    prior_at,
    sd_block,
    standard_normals,
)
from replication.models.fit import Array

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


NOWHERE = CoefficientSpace(np.zeros(0), np.zeros((0, 0)))
U = (-3.0, -0.7, 0.2, 1.1, 2.5)


def prior_of(block: Block, u: Array, space: CoefficientSpace = NOWHERE) -> tuple[Array, Array, float, Array]:
    """Values, slopes, log density and gradient of one block, by the plain functions that are compiled elsewhere."""
    return prior_at(u, *LogDensity(lambda *_: 0.0, (block,), space, {}).prior_arrays()[:-1])


def density_of(block: Block, u: float) -> tuple[float, float, float, float]:
    """The same of a block of one number."""
    values, slopes, log, gradient = prior_of(block, np.array([u]))
    return float(values[0]), float(slopes[0]), log, float(gradient[0])


@pytest.mark.parametrize("near", [True, False], ids=["zero near", "zero far"])
@pytest.mark.parametrize("prior", [*TAUS, HalfNormal(30.0), HalfT(30.0, df=4.0)], ids=str)
def test_standard_deviations(prior: PositivePrior, near: bool) -> None:
    """Sampled is a function of tau (`|d tau / d u|`), or of tau with a sign; constants are left out."""
    block = sd_block("tau", prior, 1, 0.3, zero_is_near=near)
    left_out = []
    for u in U:
        tau, slope, log, _ = density_of(block, u)
        expected = float(prior.logpdf(abs(tau))) + float(np.log(abs(slope)))
        if np.isfinite(expected):
            left_out.append(log - expected)
    assert len(left_out) >= 3 and np.ptp(left_out) < 1e-12
    assert abs(density_of(block, block.start[0])[0]) == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize("near", [True, False], ids=["zero near", "zero far"])
@pytest.mark.parametrize("prior", TAUS, ids=str)
def test_slopes_and_gradients(prior: PositivePrior, near: bool) -> None:
    block, step = sd_block("tau", prior, 1, 0.3, zero_is_near=near), 1e-6
    for u in (*U, block.start[0]):
        (up, _, log_up, _), (down, _, log_down, _) = density_of(block, u + step), density_of(block, u - step)
        _, slope, log, gradient = density_of(block, u)
        if np.isfinite(log):
            assert slope == pytest.approx((up - down) / (2.0 * step), rel=1e-6, abs=1e-8)
            assert gradient == pytest.approx((log_up - log_down) / (2.0 * step), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("near", [True, False], ids=["zero near", "zero far"])
@pytest.mark.parametrize(
    "prior", [HalfNormal(0.3), HalfCauchy(0.3), HalfT(30.0, df=4.0), InverseGamma(2.0, 0.1, on="tau")], ids=str
)
def test_the_share_below_a_value_is_the_prior_s(prior: PositivePrior, near: bool) -> None:
    """Over all of the line, in straight units, under the hyperbolic sine, on the log scale and the softplus."""
    block = sd_block("tau", prior, 1, 0.1, zero_is_near=near)
    grid = np.linspace(-60.0, 60.0, 12_001)
    found = [density_of(block, u) for u in grid]
    density = np.exp([log for _, _, log, _ in found])
    below = np.array([abs(tau) < 0.25 for tau, *_ in found])
    share = integrate.trapezoid(density * below, grid) / integrate.trapezoid(density, grid)
    # The grid's step at the value of .25 is what is left of an error.
    assert share == pytest.approx(float(prior.cdf(0.25)), abs=0.005)


@pytest.mark.parametrize("u", [-800.0, -40.0, 40.0, 800.0])
def test_far_out_nothing_overflows_but_what_must(u: float) -> None:
    for block in (
        sd_block("tau", HalfNormal(0.3), 1, 0.3, zero_is_near=False),
        sd_block("tau", Uniform(0.0, 2.0), 1, 0.3, zero_is_near=False),
        correlation_partials("partial", lkj_shapes(2, 2.0)),
        standard_normals("raw", 1),
    ):
        _, _, log, gradient = density_of(block, u)
        assert np.isfinite(log) and np.isfinite(gradient)


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
    """Values are `centre + root u`, and their gradient is by the value."""
    space = CoefficientSpace(np.array([0.1, -0.2, 1.0]), np.array([[0.5, 0.0, 0.0], [0.1, 0.3, 0.0], [-0.2, 0.4, 2.0]]))
    block, left_out = coefficient_block(space, priors), []
    for u in (np.array([0.3, -0.2, 1.1]), np.array([-1.0, 2.0, 0.4])):
        values, _, log, gradient = prior_of(block, u, space)
        np.testing.assert_allclose(values, space.centre + space.root @ u, rtol=1e-14)
        left_out.append(log - sum(float(prior.logpdf(b)) for prior, b in zip(priors, values, strict=True)))
        for prior, b, slope in zip(priors, values, gradient, strict=True):
            expected = (float(prior.logpdf(b + 1e-6)) - float(prior.logpdf(b - 1e-6))) / 2e-6
            assert slope == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert np.ptp(left_out) < 1e-12


def test_partial_correlations_and_ratios_are_beta() -> None:
    """Of `(partial + 1) / 2` the shapes are those of LKJ; ratios have their own two, and start at their means."""
    for block, low, width, (a, b) in (
        (correlation_partials("partial", np.array([2.5])), -1.0, 2.0, (2.5, 2.5)),
        (beta_ratios("ratio", np.array([3.0]), np.array([1.5])), 0.0, 1.0, (3.0, 1.5)),
    ):
        left_out = []
        for u in U:
            value, slope, log, gradient = density_of(block, u)
            left_out.append(log - stats.beta.logpdf((value - low) / width, a, b) - np.log(slope))
            up, down = density_of(block, u + 1e-6)[2], density_of(block, u - 1e-6)[2]
            assert gradient == pytest.approx((up - down) / 2e-6, rel=1e-6, abs=1e-8)
        assert np.ptp(left_out) < 1e-12
        assert density_of(block, block.start[0])[0] == pytest.approx(low + width * a / (a + b), rel=1e-12)


def test_a_fixed_sd_is_known_and_not_sampled() -> None:
    block = sd_block("tau", Fixed(0.2), 3, 0.3, zero_is_near=True)
    values, slopes, log, gradient = prior_of(block, np.zeros(0))
    assert values.tolist() == [0.2] * 3 and block.start == ()
    assert slopes.tolist() == gradient.tolist() == [0.0] * 3 and log == 0.0


def test_an_improper_prior_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be sampled"):
        sd_block("tau", Power(0.0), 1, 0.3, zero_is_near=True)


def test_coefficient_priors_are_one_for_all_or_one_each() -> None:
    assert coefficient_priors(Flat(), 2) == (Flat(), Flat())
    with pytest.raises(ModelError, match="3 coefficient priors for 2 coefficients"):
        coefficient_priors([Flat()] * 3, 2)
