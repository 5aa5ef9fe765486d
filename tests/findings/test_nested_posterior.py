"""The exact posterior of effects in samples in countries: collapse, brute force, leaving out, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bayes.exact import nested
from replication.models.bayes.exact.exact import exact_three_level
from replication.models.bayes.exact.nested import NestedPosterior, exact_nested
from replication.models.bayes.exact.one_box import enclosing_box, midpoints
from replication.models.bayes.exact.quadrature import Cells
from replication.models.bayes.joint_draws import draw_exact
from replication.models.bayes.priors import (
    Cauchy,
    Exponential,
    Fixed,
    Flat,
    HalfNormal,
    LogNormal,
    Normal,
    PositivePrior,
    Power,
    Uniform,
)
from replication.models.multilevel.structure import BlockV

TAU = HalfNormal(0.3)
RNG = np.random.default_rng(11)
SAMPLE = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4, 5])
COUNTRY = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
V = RNG.uniform(0.002, 0.02, len(SAMPLE))
Y = 0.3 + RNG.normal(0, 0.15, 4)[COUNTRY] + RNG.normal(0, 0.1, 6)[SAMPLE] + RNG.normal(0, 0.1, len(SAMPLE))
BLOCKS = BlockV.constant_correlation(V, SAMPLE, 0.6)


def fitted(y=Y, v=BLOCKS, sample=SAMPLE, country=COUNTRY, country_sd=TAU, **more) -> NestedPosterior:  # type: ignore[no-untyped-def]
    given = {"within": TAU, "between": TAU, "coefficients": Normal(0, 1), "rtol": 1e-5, **more}
    return exact_nested(y, v, sample, country, country_sd=country_sd, **given)


def test_without_country_variance_it_is_the_three_level_posterior() -> None:
    ours = fitted(country_sd=Fixed(0.0), rtol=1e-6)
    theirs = exact_three_level(Y, BLOCKS, SAMPLE, between=TAU, within=TAU, coefficients=Normal(0, 1))
    at = [0.025, 0.5, 0.975]
    assert ours.coefficient().ppf(at) == pytest.approx(theirs.coefficient().ppf(at), abs=1e-6)
    assert ours.log_marginal == pytest.approx(theirs.log_marginal, abs=1e-6)
    # the three-level prediction is of a further effect: within variance counts too
    assert ours.further_row(0.0).ppf(at) == pytest.approx(theirs.predict().ppf(at), abs=1e-5)
    sd = theirs.sd("between")
    assert ours.variance("between") == pytest.approx(sd.mean**2 + sd.sd**2, rel=1e-5)


def test_each_country_of_one_sample_leaves_only_the_sum_of_both_variances() -> None:
    """With one sample a country, a country sd of 0 and a sample sd of 0 are the same model."""
    one = fitted(sample=SAMPLE, country=SAMPLE, country_sd=Fixed(0.0))
    other = fitted(sample=SAMPLE, country=SAMPLE, between=Fixed(0.0))
    assert one.log_marginal == pytest.approx(other.log_marginal, abs=1e-6)
    assert one.coefficient().mean == pytest.approx(other.coefficient().mean, abs=1e-7)
    assert one.variance("between") == pytest.approx(other.variance("country"), rel=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_brute_force_over_the_three_sds(shared: bool) -> None:
    """Dense covariance matrices on a plain grid; no code shared. `shared`: two samples of a country share persons."""
    v = BLOCKS.dense()
    if shared:
        v[np.ix_([0, 1], [2])] = 0.3 * np.sqrt(np.outer(V[[0, 1]], V[[2]]))
        v = np.maximum(v, v.T)
    nodes, weights = np.polynomial.legendre.leggauss(32)
    grid, weight = 0.65 * (nodes + 1.0), 0.65 * weights  # sds from 0 to 1.3, more than four prior sds
    within, between, country = (g.ravel() for g in np.meshgrid(grid, grid, grid, indexing="ij"))
    same = [np.equal.outer(codes, codes).astype(float) for codes in (np.arange(len(Y)), SAMPLE, COUNTRY)]
    M = v + 1.0 + sum(sd[:, None, None] ** 2 * m for sd, m in zip((within, between, country), same, strict=True))
    solved = np.linalg.solve(M, np.broadcast_to(Y[:, None], (len(M), len(Y), 1)))[..., 0]
    log = -0.5 * (solved @ Y + np.linalg.slogdet(M)[1] + len(Y) * np.log(2 * np.pi))
    log += sum(np.log(2) + stats.norm(0, 0.3).logpdf(sd) for sd in (within, between, country))
    amount = np.exp(log) * np.einsum("i,j,k->ijk", weight, weight, weight).ravel()
    ours, total = fitted(v=v), amount.sum()
    assert ours.log_marginal == pytest.approx(np.log(total), abs=1e-4)
    # prior N(0, 1) of the mean: E(mu | sds) = 1' M^-1 y, with the prior's 1 in M
    assert ours.coefficient().mean == pytest.approx(amount @ solved.sum(axis=1) / total, abs=1e-5)
    for name, sd in (("within", within), ("between", between), ("country", country)):
        assert ours.variance(name) == pytest.approx(amount @ sd**2 / total, rel=1e-4)


@pytest.mark.parametrize("country_sd", [TAU, Fixed(0.0)])
def test_joint_draws_have_the_moments_of_the_posterior_and_its_coefficient(country_sd: PositivePrior) -> None:
    """Means of variances and of their products by the nodes; the mean by the mixture's own distribution function."""
    posterior = fitted(country_sd=country_sd)
    size = 6000
    found = draw_exact(posterior, size, np.random.default_rng(5)).values
    assert list(found) == ["within", "between", "country", "intercept"]
    assert stats.kstest(posterior.coefficient().cdf(found["intercept"]), "uniform").pvalue > 0.005
    nodes, squares = posterior.nodes, np.square(np.column_stack([found[n] for n in ("within", "between", "country")]))
    exact = np.column_stack([np.square(nodes.sds), np.square(nodes.sds[:, [0, 1]]) * np.square(nodes.sds[:, [1, 2]])])
    drawn = np.column_stack([squares, squares[:, [0, 1]] * squares[:, [1, 2]]])
    error = drawn.std(axis=0) / np.sqrt(size)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - nodes.weights @ exact), 4.0 * error + 1e-12)
    # given the sds the mean is normal: the correlation with each variance is that of its conditional means
    together = squares * found["intercept"][:, None]
    expected = nodes.weights @ (np.square(nodes.sds) * nodes.mean)
    assert np.all(np.abs(together.mean(axis=0) - expected) <= 4.0 * together.std(axis=0) / np.sqrt(size) + 1e-12)


@pytest.mark.parametrize("tau", [TAU, Exponential(5.0)], ids=["on one box", "on cells"])
def test_of_very_many_countries_layers_of_a_cell_are_the_cell(
    tau: PositivePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.column_stack([np.ones(len(Y)), np.arange(len(Y)) % 2])
    whole = fitted(x=x, within=tau, rtol=1e-3)
    monkeypatch.setattr(nested, "MOST_HELD", 1)
    layered = fitted(x=x, within=tau, rtol=1e-3)
    assert layered.log_marginal == pytest.approx(whole.log_marginal, rel=1e-12)
    for name in ("weights", "sds", "mean", "covariance"):
        assert getattr(layered.nodes, name) == pytest.approx(getattr(whole.nodes, name), rel=1e-9)


def test_leaving_out_is_fitting_without() -> None:
    labels = np.array([f"s{i}" for i in SAMPLE])
    whole = fitted(sample=labels)
    for left in (["s2"], ["s0", "s1"], ["s4"]):
        (ours,) = whole.without([left])
        keep = np.flatnonzero(~np.isin(labels, left))
        again = fitted(Y[keep], BLOCKS.take(keep), labels[keep], COUNTRY[keep])
        at = [0.025, 0.5, 0.975]
        assert ours.further_sample().ppf(at) == pytest.approx(again.further_sample().ppf(at), abs=2e-3)
        assert (ours.k, ours.samples) == (again.k, again.samples)
    with pytest.raises(ModelError, match="no sample 's9'"):
        whole.without([["s9"]])


def test_leaving_out_a_sample_far_from_all_others_is_still_fitting_without() -> None:
    y, labels = Y.copy(), np.array([f"s{i}" for i in SAMPLE])
    y[SAMPLE == 5] = 3.0
    (ours,) = fitted(y, sample=labels).without([["s5"]])
    keep = np.flatnonzero(SAMPLE != 5)
    again = fitted(Y[keep], BLOCKS.take(keep), labels[keep], COUNTRY[keep])
    at = [0.025, 0.5, 0.975]
    assert ours.further_sample().ppf(at) == pytest.approx(again.further_sample().ppf(at), abs=2e-3)


def test_a_sample_tied_by_shared_persons_leaves_with_the_other() -> None:
    v = BLOCKS.dense()
    v[0, 2] = v[2, 0] = 0.4 * np.sqrt(V[0] * V[2])
    whole = fitted(v=v, sample=np.array([f"s{i}" for i in SAMPLE]))
    (ours,) = whole.without([["s0"]])
    assert ours.samples == 4


def test_each_interval_adds_what_it_says() -> None:
    """Var(further sample) = Var(mean) + between + country; a further row adds within and its sampling variance."""
    fit = fitted()
    base = fit.coefficient().sd ** 2
    sample = base + fit.variance("between") + fit.variance("country")
    assert fit.further_sample().sd ** 2 == pytest.approx(sample, rel=1e-9)
    assert fit.further_row(0.01).sd ** 2 == pytest.approx(sample + fit.variance("within") + 0.01, rel=1e-9)
    assert fit.further_mean(4, 0.01).sd ** 2 == pytest.approx(sample + fit.variance("within") / 4 + 0.01, rel=1e-9)


def test_a_moderator_moves_what_it_should() -> None:
    half = (np.arange(len(Y)) % 2).astype(float)
    x = np.column_stack([np.ones(len(Y)), half])
    shifted = fitted(Y + 0.25 * half, x=x, coefficients=Flat(), names=("a", "gap"))
    plain = fitted(Y, x=x, coefficients=Flat(), names=("a", "gap"))
    assert shifted.coefficient("gap").mean - plain.coefficient("gap").mean == pytest.approx(0.25, abs=1e-4)
    assert shifted.contrast([1.0, 1.0]).mean == pytest.approx(
        shifted.coefficient("a").mean + shifted.coefficient("gap").mean, abs=1e-9
    )


def test_turning_every_sign_turns_the_posterior() -> None:
    at = np.array([0.025, 0.5, 0.975])
    assert fitted(-Y).coefficient().ppf(at) == pytest.approx(-fitted().coefficient().ppf(1 - at), abs=1e-5)


def test_the_stated_error_holds() -> None:
    rough, fine = fitted(rtol=1e-3), fitted(rtol=1e-7)
    assert rough.accuracy.error <= 1e-3
    at = fine.coefficient().ppf([0.025, 0.5, 0.975])
    assert rough.coefficient().cdf(at) == pytest.approx([0.025, 0.5, 0.975], abs=1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"country": np.arange(10)}, "a sample lies in two countries"),
        ({"y": Y[:5]}, "y has 5 effects, V has 10"),
        ({"country_sd": Power(0.0)}, "must be proper"),
        ({"coefficients": Cauchy(0.0, 1.0)}, "Normal or Flat"),
        ({"rtol": 1.0}, "rtol=1.0 must lie between"),
        ({"x": np.ones((10, 2))}, "columns of x depend on each other"),
        ({"v": np.full((10, 10), 0.001) + np.diag(V)}, "different countries"),
    ],
)
def test_bad_input_says_what_to_do(given: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fitted(**given)


def test_the_midpoint_rule_from_0_integrates_an_even_density_to_ten_digits() -> None:
    nodes, weights = midpoints(Cells(np.array([[0.0, 1.0]]), np.array([[7.0, 1.0]])), 14)
    assert [n.shape for n in nodes] == [(1, 14), (1, 1)]
    half = float((np.exp(-0.5 * nodes[0] ** 2) * weights[0]).sum())
    assert half == pytest.approx(np.sqrt(np.pi / 2), rel=1e-10)


def test_the_enclosing_box_holds_all_but_a_thousandth_of_the_error_allowed() -> None:
    """A narrow bell in one corner of a wide box, tilted: the box follows it, and cuts off next to nothing."""
    mean, cov = np.array([3.0, 1.4]), np.array([[0.02, 0.015], [0.015, 0.03]])
    bell = stats.multivariate_normal(mean, cov)

    def logs(nodes: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.asarray(bell.logpdf(np.stack(np.meshgrid(nodes[0][0], nodes[1][0], indexing="ij"), -1)))[None]

    whole = Cells(np.zeros((1, 2)), np.full((1, 2), 9.0))
    box = enclosing_box(logs, whole, 1e-3)
    assert box is not None
    each = stats.norm(mean, np.sqrt(np.diag(cov)))
    assert (each.cdf(box.low[0]) + each.sf(box.high[0])).sum() < 1e-6
    assert (box.high - box.low).max() < 3.0
    assert enclosing_box(lambda nodes: np.full((1, 9, 9), -np.inf), whole, 1e-3) is None


@pytest.mark.parametrize(
    "tau",
    [Uniform(0.0, 0.08), Exponential(0.05), LogNormal(np.log(0.1), 0.01, on="tau")],
    ids=["ends amid", "kink", "narrow"],
)
def test_a_prior_that_is_not_smooth_ends_within_the_error_stated(tau: PositivePrior) -> None:
    """Priors for which the midpoint rule is not made: one that ends amid the mass, one with a kink at 0, a spike."""
    rough = fitted(within=tau, between=tau, country_sd=tau, rtol=1e-3)
    fine = fitted(within=tau, between=tau, country_sd=tau, rtol=1e-6)
    assert rough.accuracy.reached
    assert abs(rough.log_marginal - fine.log_marginal) < 1e-3
    for name in ("within", "between", "country"):
        assert rough.variance(name) == pytest.approx(fine.variance(name), rel=1e-3)
    at = fine.coefficient().ppf([0.025, 0.5, 0.975])
    assert rough.coefficient().cdf(at) == pytest.approx([0.025, 0.5, 0.975], abs=1e-3)
