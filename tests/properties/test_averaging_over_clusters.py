"""Averaged models of effects in clusters against definitions: dense normal densities and probabilities of boxes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import replication as tsr
from replication.errors import ModelError
from replication.frames import bayes as bayes_frames
from replication.models.bayes.averaging.averaging import average_models
from replication.models.bayes.averaging.bias_integrals import Fineness, solve_selection
from replication.models.bayes.averaging.bias_likelihoods import (
    Linear,
    Selection,
    linear_given,
    selection_log,
    summarised,
)
from replication.models.bayes.averaging.bias_models import BiasModel, Regression, WeightFunction, bias_priors
from replication.models.bayes.averaging.clustered_effects import arrange
from replication.models.bayes.exact.model import sd_axis
from replication.models.bayes.priors import Beta, Fixed, HalfNormal, Normal

Y = np.array([0.42, 0.31, 0.05, 0.22, 0.60])
V = np.array([0.020, 0.020, 0.008, 0.015, 0.060])
CLUSTERS = np.array([0, 0, 1, 1, 2])
RHO, TAU, SHARE = 0.6, 0.3, 0.7
EFFECT = Normal(0.1, 0.5)


def covariance(rows: np.ndarray, tau: float = TAU, share: float = SHARE, rho: float = RHO) -> np.ndarray:
    """The covariance of rows of one cluster, written out."""
    se = np.sqrt(V[rows])
    within = (1 - share) * tau**2 + (1 - rho) * V[rows]
    return np.asarray(share * tau**2 + rho * np.outer(se, se) + np.diag(within))


def chance(rows: np.ndarray, mu: float, ends: np.ndarray, weights: list[float]) -> float:
    """The expectation of the product of weights: over every box of p-value intervals, its probability."""
    shape = covariance(rows)
    total = 0.0
    for boxes in product(range(len(weights)), repeat=len(rows)):
        low = np.array([ends[j + 1] for j in boxes]) * np.sqrt(V[rows])
        high = np.array([ends[j] for j in boxes]) * np.sqrt(V[rows])
        box = stats.multivariate_normal(np.full(len(rows), mu), shape, abseps=1e-10, releps=1e-10)
        total += float(np.prod([weights[j] for j in boxes])) * float(box.cdf(high, lower_limit=low))
    return total


def selection(
    function: WeightFunction, share: float = SHARE, rho: float = RHO, codes: np.ndarray = CLUSTERS
) -> Selection:
    z = -special.ndtri(np.array(function.steps) / (2 if function.sides == "two" else 1))
    size = (np.abs(Y) if function.sides == "two" else Y) / np.sqrt(V)
    place = (size[:, None] < z).sum(axis=1)
    ratios = tuple(Beta(1.0, 1.0) for _ in function.steps)
    data = arrange(Y, V, codes, rho)
    return Selection(data, np.sqrt(V)[:, None] * z, place, function, EFFECT, Fixed(TAU), Fixed(share), ratios)


def test_a_cluster_is_divided_by_the_chance_that_all_its_rows_are_seen() -> None:
    """One-sided steps; the first cluster has equal variances (one factor), the second has not (two)."""
    model = selection(WeightFunction("one", (0.025, 0.3)))
    ratios, mu = np.array([0.6, 0.5]), 0.15
    weights = [1.0, 0.6, 0.3]
    ends = np.array([40.0, *(-special.ndtri([0.025, 0.3])), -40.0])
    expected = sum(np.log(weights[place]) for place in model.place)
    for code in range(3):
        rows = np.flatnonzero(code == CLUSTERS)
        expected += stats.multivariate_normal.logpdf(Y[rows], np.full(len(rows), mu), covariance(rows))
        expected -= np.log(chance(rows, mu, ends, weights))
    point = np.array([(mu - EFFECT.mean) / EFFECT.sd, *special.ndtri(ratios)])
    expected += stats.norm.logpdf(point).sum()
    for odd in (0, 1):
        found = float(selection_log(model, point[None], odd)[0])
        # the trapezoidal rule of the shared part: 2e-5 of a cluster's chance at most
        assert found == pytest.approx(expected, abs=6e-5)


def test_without_shared_variance_clusters_do_not_matter() -> None:
    """Nothing between clusters and no correlation of errors: the model is that of independent effects."""
    points = np.array([[-1.0, 0.3, 0.2], [0.4, -0.5, 1.0]])
    for sides in ("one", "two"):
        function = WeightFunction(sides, (0.05, 0.1))
        one = selection_log(selection(function, share=0.0, rho=0.0), points, 0)
        other = selection_log(selection(function, share=0.0, rho=0.0, codes=np.arange(5)), points, 0)
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_clusters_of_one_row_know_no_share() -> None:
    """All variance between or all within: for rows alone it is the same model."""
    points = np.array([[-1.0, 0.3, 0.2], [0.4, -0.5, 1.0]])
    function = WeightFunction("two", (0.05, 0.1))
    one, other = (selection_log(selection(function, share=s, codes=np.arange(5)), points, 0) for s in (0.0, 1.0))
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("effect", [None, EFFECT])
def test_regressions_have_the_dense_normal_density(effect: Normal | None) -> None:
    data = arrange(Y, V, CLUSTERS, RHO)
    axes = [sd_axis(n, p, 1.0) for n, p in (("tau", Fixed(TAU)), ("share", Fixed(SHARE)), ("slope", HalfNormal(2.0)))]
    slope = 0.8
    x = np.arcsinh(slope)
    nodes = (np.array([[np.arcsinh(TAU)]]), np.array([[np.arcsinh(SHARE)]]), np.array([[x]]))
    given = linear_given(Linear(data, np.sqrt(V), effect, *axes), nodes)
    dense = np.zeros((5, 5))
    for code in range(3):
        rows = np.flatnonzero(code == CLUSTERS)
        dense[np.ix_(rows, rows)] = covariance(rows)
    mean = slope * np.sqrt(V) + (effect.mean if effect else 0.0)
    whole = dense + (effect.sd**2 if effect else 0.0)
    expected = stats.multivariate_normal.logpdf(Y, mean, whole) + stats.halfnorm.logpdf(slope, scale=2.0)
    assert float(given.log[0, 0, 0, 0]) == pytest.approx(expected + np.log(np.cosh(x)), rel=1e-12)


def test_doubling_the_fineness_changes_less_than_was_stated() -> None:
    data = arrange(Y, V, CLUSTERS, RHO)
    z = -special.ndtri([0.05])
    place = ((Y / np.sqrt(V))[:, None] < z).sum(axis=1)
    function, tau = WeightFunction("one", (0.05,)), HalfNormal(0.3)
    model = Selection(data, np.sqrt(V)[:, None] * z, place, function, EFFECT, tau, Beta(1.0, 1.0), (Beta(1.0, 1.0),))
    rough, fine = solve_selection(model, Fineness(1e-1)), solve_selection(model, Fineness(1e-2))
    assert abs(rough.log_mass - fine.log_mass) < rough.error + fine.error
    assert abs(rough.effect.mean - fine.effect.mean) < (rough.error + fine.error) * fine.effect.sd
    assert fine.error < 0.1
    assert 0.0 < fine.share < 1.0
    # the marginal is a distribution with the moments it states
    q = fine.effect.ppf((np.arange(2000) + 0.5) / 2000)
    assert q.mean() == pytest.approx(fine.effect.mean, abs=0.01 * fine.effect.sd)
    assert q.std() == pytest.approx(fine.effect.sd, rel=0.02)


def test_the_average_counts_a_repeated_sample_once() -> None:
    """The same five results twice, with errors all but equal, tell hardly more than once; taken as apart they would."""
    models = tuple(
        BiasModel(e, h, b, 1 / 8) for e in (False, True) for h in (False, True) for b in (None, Regression("PET"))
    )
    y, v, codes = np.tile(Y, 2), np.tile(V, 2), np.tile(np.arange(5), 2)
    priors = bias_priors("z")
    once = average_models(Y, V, priors=priors, models=models)
    twice = average_models(y, v, priors=priors, models=models, clusters=codes, correlation=0.99)
    apart = average_models(y, v, priors=priors, models=models)
    assert (twice.k, twice.clusters) == (10, 5)
    assert twice.effect_if_present is not None and once.effect_if_present is not None
    assert twice.effect_if_present.sd == pytest.approx(once.effect_if_present.sd, rel=0.1)
    assert apart.effect_if_present is not None and apart.effect_if_present.sd < 0.9 * once.effect_if_present.sd


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"correlation": 1.0}, ("correlation=1.0", "below 1")),
        ({"clusters": ["a", "a", None, "b", "b"]}, ("row 2", "label")),
        ({"clusters": ["a"]}, ("5 rows",)),
    ],
)
def test_bad_clusters_are_named(options: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        average_models(Y, V, priors=bias_priors("z"), **options)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)


def test_a_frame_hands_over_its_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a data frame by column, of a multilevel model its outermost level; rows alone have none."""
    given: list[dict[str, object]] = []
    monkeypatch.setattr(bayes_frames, "average_models", lambda y, v, **options: given.append(options))
    frame = pd.DataFrame({"yi": Y, "vi": V, "sample": list("aabbc")})
    tsr.average_over_bias(frame, clusters="sample", rho=0.6)
    tsr.average_over_bias(tsr.multilevel("yi ~ 1", frame, clusters="sample"))
    tsr.average_over_bias(frame)
    assert list(np.asarray(given[0]["clusters"])) == list("aabbc") and given[0]["correlation"] == 0.6
    assert np.asarray(given[1]["clusters"]).tolist() == [0, 0, 1, 1, 2] and given[1]["correlation"] == 0.0
    assert given[2]["clusters"] is None


@pytest.mark.parametrize(
    ("v", "kind"),
    [
        ([0.02, 0.05], "pair"),
        ([1e-6, 1.0], "pair"),
        ([0.02, 0.05, 0.01], "triple"),
        ([0.02, 0.02, 0.02], "even"),
        ([0.0001, 0.01, 1.0], "uneven"),  # a Heywood case: one factor would take more than a row has
        ([0.02, 0.05, 0.01, 0.03], "uneven"),
        ([0.02], "single"),
    ],
)
def test_what_rows_share_and_what_they_do_not_make_up_their_covariance(v: list[float], kind: str) -> None:
    """Factors and residuals of every kind of cluster, at variances from 0 to far above those of the errors."""
    from replication.models.bayes.averaging.clustered_effects import shared_part

    rho, variances = 0.6, np.array(v)
    data = arrange(np.zeros(len(v)), variances, np.zeros(len(v), dtype=np.intp), rho)
    (group,) = data.groups
    assert group.kind == kind
    at = list(product((0.0, 1e-3, 4.0, 1e8), (0.0, 0.02, 9.0)))
    shared = shared_part(data, group, *np.array(at).T)
    se = np.sqrt(variances)
    for i, (between, within) in enumerate(at):
        expected = between + rho * np.outer(se, se) + np.diag((1 - rho) * variances + within)
        found = shared.loadings[i] @ shared.loadings[i].T + np.diag(shared.sd[i] ** 2)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        # No digit of the residual variance is lost where the rows are nearly one.
        if len(v) == 2:
            exact = np.linalg.det(np.diag(1.0 / shared.sd[i] ** 2) @ expected)
            assert exact == pytest.approx(1.0 + (shared.loadings[i, :, 0] ** 2 / shared.sd[i] ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("odd", [0, 1])
def test_the_rule_of_the_shared_part_errs_by_no_more_than_it_says(odd: int) -> None:
    """Products of four chances on one normal variable, at every steepness where the number of nodes changes.

    One node less anywhere and this fails: the errors are 1e-5 at most, beyond the last such steepness 3e-5.
    """
    from replication.models.bayes.averaging.clustered_effects import FLAT, _counts, factor_rule

    rng = np.random.default_rng(8)
    at, ends, low = (
        rng.normal(0.0, 2.0, (300, 4, 1)),
        rng.normal(size=(300, 4, 1)),
        10 ** rng.uniform(-3, 0, (300, 4, 1)),
    )
    ends /= np.sqrt((ends**2).sum(axis=1, keepdims=True))
    x = np.linspace(-9.0, 9.0, 2001)
    w = np.exp(-0.5 * x**2)
    for steep, most in [*((s, 1e-5) for s in FLAT), (0.67, 3e-5), (1.0, 3e-5), (2.0, 3e-5), (4.0, 5e-5)]:
        (count,) = _counts(np.array([steep]))
        nodes, weights = factor_rule((int(count),), odd)

        def mean(points: np.ndarray, weights: np.ndarray, steep: float = steep) -> np.ndarray:
            chances = low + (1.0 - low) * special.ndtr(at + steep * ends * points)
            return np.asarray(chances.prod(axis=1) @ weights)

        assert np.abs(np.log(mean(nodes[:, 0], weights) / mean(x, w / w.sum()))).max() < most, steep


@pytest.mark.parametrize("between", [0.0, 0.002, 0.09])
def test_uneven_clusters_have_the_dense_integral_over_both_shared_variables(between: float) -> None:
    """Seven rows in two clusters, as the model is written: random effect and shared error on a grid of 241 x 241."""
    v, codes = np.array([0.02, 0.05, 0.01, 0.03, 0.2, 0.0004, 0.01]), np.array([0, 0, 0, 0, 1, 1, 1])
    steps, weights, mu, rho, within = np.array([0.025, 0.3]), np.array([1.0, 0.5, 0.1]), 0.1, 0.6, 0.004
    z, x = -special.ndtri(steps), np.linspace(-8.0, 8.0, 241)
    w = np.exp(-0.5 * x**2) / np.exp(-0.5 * x**2).sum()
    expected = 0.0
    for code in (0, 1):
        seen = np.ones((241, 241))
        for var in v[codes == code]:
            mean = mu + np.sqrt(between) * x[:, None] + np.sqrt(rho * var) * x
            tails = special.ndtr((mean[..., None] - np.sqrt(var) * z) / np.sqrt((1 - rho) * var + within))
            seen *= weights[2] + tails @ -np.diff(weights)
        expected += float(np.log(w @ seen @ w))
    tau2 = between + within
    data, ratios = arrange(np.zeros(7), v, codes, rho), (Beta(1.0, 1.0), Beta(1.0, 1.0))
    assert {group.kind for group in data.groups} == {"uneven"}
    parts = np.sqrt(v)[:, None] * z, np.full(7, 2), WeightFunction("one", (0.025, 0.3)), EFFECT
    model = Selection(data, *parts, Fixed(float(np.sqrt(tau2))), Fixed(between / tau2), ratios)
    point = np.array([[(mu - EFFECT.mean) / EFFECT.sd, *special.ndtri(weights[1:] / weights[:2])]])
    dense = np.zeros((7, 7))
    for code in (0, 1):
        own = np.flatnonzero(codes == code)
        dense[np.ix_(own, own)] = (
            between + rho * np.sqrt(np.outer(v[own], v[own])) + np.diag((1 - rho) * v[own] + within)
        )
    normal = stats.multivariate_normal.logpdf(np.zeros(7), np.full(7, mu), dense)
    whole = normal + 7 * np.log(weights[2]) + stats.norm.logpdf(point[0]).sum() - expected
    for odd in (0, 1):
        assert float(selection_log(model, point, odd)[0]) == pytest.approx(whole, abs=4e-5)


@pytest.mark.parametrize("function", [WeightFunction("one", (0.025, 0.5)), WeightFunction("two", (0.05, 0.1))])
def test_a_few_rows_stand_for_hundreds(function: WeightFunction) -> None:
    """The log density is the same to rounding where a Gauss rule over variances replaces 300 single rows."""
    rng = np.random.default_rng(4)
    v = 1.0 / rng.integers(10, 3000, 300)
    y = 0.2 + rng.normal(size=300) * np.sqrt(v + 0.03)
    z = -special.ndtri(np.array(function.steps) / (2 if function.sides == "two" else 1))
    place = ((np.abs(y) if function.sides == "two" else y)[:, None] / np.sqrt(v)[:, None] < z).sum(axis=1)
    data, ratios = arrange(y, v, np.arange(300), 0.0), (Beta(1.0, 1.0), Beta(1.0, 1.0))
    rows = Selection(
        data, np.sqrt(v)[:, None] * z, place, function, EFFECT, HalfNormal(0.5, on="tau"), Fixed(0.0), ratios
    )
    fewer = summarised(rows)
    assert fewer.singles is not None and len(fewer.singles.v) <= 64
    assert fewer.singles.times.sum() == pytest.approx(300)
    points = rng.normal(size=(50, 4))
    assert selection_log(fewer, points, 0) == pytest.approx(selection_log(rows, points, 0), abs=1e-7)


def test_rows_of_variances_too_far_apart_stand_for_themselves() -> None:
    """Where no small number of nodes gives the sums of all rows, none takes their place."""
    model = selection(WeightFunction("one", (0.05,)))
    assert summarised(model).singles is None  # one row alone
    v = 10.0 ** np.linspace(-12, 6, 40)
    data = arrange(np.sqrt(v), v, np.arange(40), 0.0)
    apart = Selection(data, np.sqrt(v)[:, None] * 1.6, model.place[:1].repeat(40), WeightFunction("one", (0.05,)),
                      EFFECT, Fixed(TAU), Fixed(0.0), (Beta(1.0, 1.0),))  # fmt: skip
    assert summarised(apart).singles is None
