"""Where the two-level models end and what they say there: degrees of freedom, notes, intervals, rules."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models import fit_counts, study_counts
from replication.models.fit import Fit, Interval
from replication.models.least_squares import orthonormal, single_set
from replication.models.two_level.batch import fit_batch
from replication.models.two_level.count_models import CountModel, CountsData
from replication.models.two_level.influence import baujat, cumulative, gosh, influence, leave_one_out
from replication.models.two_level.intervals import heterogeneity_intervals, tau2_interval
from replication.models.two_level.location_scale import fit_location_scale
from replication.models.two_level.random_effects import fit_random_effects
from replication.models.two_level.resampling import Bootstrap, bootstrap, permutation_test
from replication.models.two_level.tau2 import _balance_and_slope_at, _balance_at

Y, V = np.array([0.1, 0.3, 0.5, 0.2]), np.array([0.01, 0.02, 0.03, 0.01])
Y9 = np.array([0.1, 0.9, -0.4, 0.2, 0.3, 0.25, 0.1, 0.7, 0.4])
V9 = np.array([0.02, 0.05, 0.02, 0.03, 0.04, 0.02, 0.03, 0.06, 0.02])
GROUP = np.array([0.0] * 4 + [1.0] * 5)
X9 = np.column_stack([np.ones(9), np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5])])
Z9 = np.column_stack([np.ones(9), GROUP])


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def notes(fit: Fit) -> dict[str, str]:
    return {note.code: note.message for note in fit.notes}


@pytest.mark.parametrize(
    ("call", "allowed", "refused"),
    [
        (lambda k: influence(fit_random_effects(Y[:k], V[:k])), 3, 2),
        (lambda k: influence(fit_random_effects(Y9[:k], V9[:k], X9[:k])), 4, 3),
        (lambda k: baujat(fit_random_effects(Y[:k], V[:k])), 3, 2),
        (lambda least: gosh(fit_random_effects(Y, V), rng(), smallest=least), 1, 0),
        (lambda least: gosh(fit_random_effects(Y, V), rng(), smallest=least), 4, 5),
        (lambda draws: permutation_test(fit_random_effects(Y, V), rng(), draws=draws), 100, 99),
        (lambda tau2: fit_random_effects(Y, V, tau2=tau2), 0.0, -0.01),
        (lambda tau2: fit_random_effects(Y, V, tau2=tau2), 1e6, np.inf),
        (lambda level: fit_random_effects(Y, V, level=level), 0.001, 0.0),
        (lambda level: fit_random_effects(Y, V, level=level), 0.999, 1.0),
        (lambda k: fit_location_scale(Y9[:k], V9[:k], None, np.ones((k, 1))), 3, 2),
        (lambda v: fit_location_scale(Y9, [v, *V9[1:]], None, np.ones((9, 1))), 0.001, 0.0),
        (lambda v: fit_batch(Y, [v, *V[1:]], method="DL"), 1e-9, 0.0),
        (lambda v: fit_batch(Y, [v, *V[1:]]), 0.0, -0.01),
        (lambda c: fit_batch(Y, V, counts=[c, 1, 1, 1]), 0.0, -1.0),
        (lambda c: fit_batch(Y, V, counts=[c, 1, 1, 1]), 1.0, np.inf),
        (lambda w: fit_batch(Y, V, weights=[w, 1, 1, 1]), 0.0, -1.0),
        (lambda a: study_counts("OR", [a], [1], [1], [1]), 0, -1),
        (lambda d: study_counts("OR", [1], [1], [1], [d]), 2, 2.5),
        (lambda t: study_counts("IRR", [1], [1], [1], [t]), 0.1, 0.0),
        (lambda t: study_counts("IRLN", [1], [t]), 0.1, np.inf),
        (lambda x: study_counts("PLO", [x], [7]), 7, 8),
    ],
)
def test_the_last_possible_value_passes_and_the_first_impossible_one_is_refused(
    call: Callable[[float], object], allowed: float, refused: float
) -> None:
    call(allowed)
    with pytest.raises(ModelError):
        call(refused)


# --- one fit ---------------------------------------------------------------------------------------------------------


def test_a_variance_that_is_held_is_neither_estimated_nor_explained() -> None:
    held = fit_random_effects(Y9, V9, X9, tau2=0.1)
    component = held.component("tau2")
    assert component.estimate == 0.1 and component.interval is None and np.isnan(component.se)
    assert held.heterogeneity is not None and np.isnan(held.heterogeneity.R2) and held.method["tau2"] == "fixed"
    w = 1 / (V9 + 0.1)
    assert held.beta == pytest.approx(np.linalg.solve(X9.T * w @ X9, X9.T @ (w * Y9)))
    assert notes(held) == {} and tau2_interval(held).reason


@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
def test_one_effect_under_a_held_variance_has_a_normal_test(test: str) -> None:
    """Nothing is left to scale an error by, and nothing needs to be: the variance is known, v + tau2."""
    fit = fit_random_effects([0.3], [0.03], tau2=0.01, test=test)  # type: ignore[arg-type]
    assert fit.interval()[0] == pytest.approx([0.3 - 1.959964 * 0.2, 0.3 + 1.959964 * 0.2], abs=1e-6)
    assert fit.heterogeneity is not None and np.isnan([fit.heterogeneity.I2, fit.heterogeneity.H2]).all()
    assert fit.method["test"] == "z" and set(notes(fit)) == (set() if test == "z" else {"saturated"})


def test_r2_is_the_share_of_the_variance_without_moderators() -> None:
    rows = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    y = Y9 + 0.2 * rows
    x = np.column_stack([np.ones(9), rows])
    for method in ("REML", "DL"):
        fit, null = (fit_random_effects(y, V9, design, method=method) for design in (x, None))  # type: ignore[arg-type]
        ours, whole = fit.component("tau2").estimate, null.component("tau2").estimate
        assert fit.heterogeneity is not None and 0 < ours < whole
        share = 100 * (whole - ours) / whole
        assert share == pytest.approx(fit.heterogeneity.R2)
    halves = np.column_stack([1 - GROUP, GROUP])  # no column of ones, but ones are in its span
    slopes = np.column_stack([rows, rows**2])
    for design, defined in ((halves, True), (slopes, False), (x, True)):
        found = fit_random_effects(y, V9, design)
        assert found.heterogeneity is not None and np.isfinite(found.heterogeneity.R2) == defined
        assert ("r2-undefined" in notes(found)) is not defined
    spread = fit_random_effects(Y9[::-1], V9, X9)  # a moderator that explains nothing: cut at 0, not below
    assert spread.heterogeneity is not None and 0 <= spread.heterogeneity.R2 < 50


def test_notes_say_what_happened_and_nothing_else() -> None:
    assert notes(fit_random_effects(Y9, V9)) == {}
    assert set(notes(fit_random_effects([0.1, 0.11, 0.12], [0.1] * 3))) == {"boundary"}
    assert set(notes(fit_random_effects([0.1, 0.11, 0.12], [0.1] * 3, method="EE", test="z"))) == set()
    assert "1 effect for" in notes(fit_random_effects([0.1], [0.1]))["saturated"]
    assert "2 effects for" in notes(fit_random_effects([0.1, 0.2], [0.1, 0.2], np.eye(2)))["saturated"]
    v, y = np.repeat([1e-5, 0.05], [4, 8]), np.repeat([0.0, 1.0], [4, 8]) * np.resize([-0.45, 0.45], 12)
    found = fit_random_effects(y + np.resize([-1e-3, 1e-3], 12), v)
    assert "2 peaks" in notes(found)["several-peaks"]
    scale = fit_random_effects(Y9, V9, method="EE", test="t")
    assert "scaled-common-effect" not in notes(scale)


def test_one_effect_has_the_density_of_its_own_mean() -> None:
    fit = fit_random_effects([0.3], [0.04])
    assert fit.loglik == pytest.approx(stats.norm.logpdf(0.0, scale=0.2))
    two = fit_random_effects([0.3, 0.5], [0.04, 0.01], [[1, 0], [1, 2]])
    assert two.loglik == pytest.approx(stats.norm.logpdf(0.0, scale=0.2) + stats.norm.logpdf(0.0, scale=0.1))
    assert two.beta == pytest.approx([0.3, 0.1]) and two.vcov[1, 1] == pytest.approx((0.04 + 0.01) / 4)
    q = fit.heterogeneity
    assert q is not None and (q.Q, q.df) == (0.0, 0) and np.isnan([q.p, q.I2, q.H2]).all()


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("x", [None, X9])
def test_the_slope_of_the_search_is_that_of_its_balance(restricted: bool, x: np.ndarray | None) -> None:
    """Newton steps along a wrong slope end at the same tau2, only later: nothing else would notice."""
    sets = single_set(Y9, V9, orthonormal(np.ones((9, 1)) if x is None else x))
    for at in (0.01, 0.1, 1.0):
        h = 1e-5 * at
        below, above = (_balance_at(sets, np.array([[t]]), restricted=restricted)[0, 0] for t in (at - h, at + h))
        value, slope = (part[0, 0] for part in _balance_and_slope_at(sets, np.array([[at]]), restricted=restricted))
        assert value == pytest.approx((below + above) / 2, rel=1e-6)
        assert slope == pytest.approx((above - below) / (2 * h), rel=1e-6)


# --- intervals -------------------------------------------------------------------------------------------------------


def test_walds_interval_is_the_estimate_and_its_error_cut_at_zero() -> None:
    fit = fit_random_effects(Y9, V9)
    component = fit.component("tau2")
    for level, z in ((0.95, 1.959964), (0.8, 1.281552)):
        found = tau2_interval(fit, "wald", level)
        assert found.high == pytest.approx(component.estimate + z * component.se, rel=1e-6)
        assert found.low == pytest.approx(max(0.0, component.estimate - z * component.se), abs=1e-6)
        assert (found.level, found.method) == (level, "wald")
    assert tau2_interval(fit, "wald", 0.2).low > 0


def test_the_ends_are_carried_to_all_four_scales() -> None:
    fit = fit_random_effects(Y9, V9, X9, level=0.8)
    found, tau2 = heterogeneity_intervals(fit), tau2_interval(fit)
    w = 1 / V9
    P = np.diag(w) - (w[:, None] * X9) @ np.linalg.solve(X9.T * w @ X9, X9.T * w)
    typical = 7 / np.trace(P)
    for interval, carry in (
        (found.tau2, lambda t: t),
        (found.tau, np.sqrt),
        (found.I2, lambda t: 100 * t / (t + typical)),
        (found.H2, lambda t: 1 + t / typical),
    ):
        assert (interval.low, interval.high) == pytest.approx((carry(tau2.low), carry(tau2.high)))
        assert interval.level == 0.8
    exact = heterogeneity_intervals(fit_random_effects(Y9, [0.0, *V9[1:]]))
    assert np.isnan([exact.I2.high, exact.H2.high]).all() and exact.tau2.high > 0
    assert heterogeneity_intervals(fit_random_effects(Y9, V9, method="EE")).I2.reason


def test_effects_closer_than_chance_have_an_empty_interval() -> None:
    fit = fit_random_effects(0.3 + 1e-4 * np.arange(9), V9)
    found = tau2_interval(fit)
    assert np.isnan([found.low, found.high]).all() and found.reason.startswith("empty")
    assert tau2_interval(fit, level=1 - 1e-12).reason.startswith("empty")
    assert not tau2_interval(fit_random_effects(0.3 + 0.1 * np.arange(9), V9)).reason


# --- without an effect, in subsets, in samples -----------------------------------------------------------------------


def test_an_effect_is_influential_by_any_of_four_rules() -> None:
    """On 60 data sets, so that each rule decides alone somewhere: dffits, Cook's distance, leverage, dfbetas."""
    deciding = np.zeros(4, dtype=int)
    for seed in range(60):
        draw = np.random.default_rng(seed)
        v = np.exp(draw.normal(-3, 1.2, 10))
        p = 1 + seed % 2
        x = np.column_stack([np.ones(10), draw.exponential(size=10) ** 2])[:, :p]
        found = influence(fit_random_effects(draw.normal(size=10) * np.sqrt(v + 0.05), v, x, test="z"))
        rules = np.array(
            [
                np.abs(found.dffits) > 3 * np.sqrt(p / (10 - p)),
                found.cook > stats.chi2.median(p),
                found.hat > 3 * p / 10,
                np.abs(found.dfbetas).max(axis=1) > 1,
            ]
        )
        assert (found.influential == rules.any(axis=0)).all()
        deciding += (rules & (rules.sum(axis=0) == 1)).sum(axis=1)
        assert np.isnan(found.weight).all() == (p == 2) and (p == 2 or found.weight.sum() == pytest.approx(100))
    assert (deciding[1:] > 0).all()  # dffits alone never: it is one of the dfbetas without moderators


def test_baujats_coordinates_by_hand() -> None:
    fit = fit_random_effects(Y9, V9, test="z")
    w = 1 / (V9 + fit.component("tau2").estimate)
    without = [fit_random_effects(np.delete(Y9, i), np.delete(V9, i), test="z") for i in range(9)]
    moved = np.array([(f.beta[0] - fit.beta[0]) ** 2 / f.vcov[0, 0] for f in without])
    found = baujat(fit)
    assert found.heterogeneity == pytest.approx(w * (Y9 - fit.beta[0]) ** 2)
    assert found.influence == pytest.approx(moved, rel=1e-6)


def test_rows_with_a_negative_variance_are_named_once_for_all_sets() -> None:
    with pytest.raises(ModelError, match="rows 1 and 3 with a negative sampling variance"):
        fit_batch(Y, [[0.01, 0.02, 0.03, 0.01], [0.01, 0.02, 0.03, -0.01], [0.01, -0.02, 0.03, -0.01]])


def test_gaps_in_many_sets_far_from_zero_cost_no_digits() -> None:
    """2,000 sets around a million, a different row missing in each: every one the single fit of what it has."""
    y, v = 1e6 + 0.1 * rng().normal(size=(2000, 6)), np.array([0.01, 0.02, 0.03, 0.01, 0.02, 0.05])
    gap = np.arange(2000) % 6
    y[np.arange(2000), gap] = np.nan
    fits = fit_batch(y, v)
    for b in (0, 777, 1999):
        single = fit_random_effects(np.delete(y[b], gap[b]) - 1e6, np.delete(v, gap[b]))
        assert single.heterogeneity is not None
        assert fits.tau2[b] == pytest.approx(single.component("tau2").estimate, rel=1e-9, abs=1e-12)
        assert fits.Q[b] == pytest.approx(single.heterogeneity.Q, rel=1e-9)
        assert fits.beta[b, 0] - 1e6 == pytest.approx(single.beta[0], abs=1e-9)


def test_refits_keep_level_names_and_order() -> None:
    fit = fit_random_effects(Y9, V9, level=0.8, names=["mean"])
    for found in (leave_one_out(fit), cumulative(fit, list(range(8, -1, -1)))):
        assert found.names == ("mean",)
        half = stats.t.ppf(0.9, found.fits.df[-1]) * found.fits.se[-1, 0]
        assert found.interval()[-1, 0] == pytest.approx(found.fits.beta[-1, 0] + np.array([-half, half]), rel=1e-9)
    assert cumulative(fit, list(range(8, -1, -1))).rows == tuple(range(8, -1, -1))


def test_all_subsets_are_tried_when_there_are_few_enough_and_any_is_as_likely_when_not() -> None:
    fit = fit_random_effects(Y9[:5], V9[:5])
    whole, drawn = (gosh(fit, rng(), subsets=n) for n in (31, 30))
    assert whole.complete and len(whole.members) == 26 and whole.smallest == 2  # 31 less five of one study
    assert not drawn.complete and len(drawn.members) == 30
    usual = gosh(fit_random_effects(np.resize(Y9, 14), np.resize(V9, 14)), rng())
    assert not usual.complete and len(usual.members) == 10_000  # of 16,383
    many = gosh(fit_random_effects(np.resize(Y9, 14), np.resize(V9, 14)), rng(), subsets=4000, smallest=4)
    sizes = many.members.sum(axis=1)
    expected = np.array([comb(14, s) for s in range(4, 15)], dtype=float)
    observed = np.bincount(sizes, minlength=15)[4:15]
    rare = expected / expected.sum() * 4000 < 5
    assert sizes.min() >= 4 and observed[rare].sum() < 20
    assert (
        stats.chisquare(observed[~rare], expected[~rare] / expected[~rare].sum() * observed[~rare].sum()).pvalue > 1e-4
    )
    assert stats.chisquare(many.members.sum(axis=0)).pvalue > 1e-4  # and no study more often than another


def test_every_arrangement_is_tried_when_there_are_few_enough() -> None:
    plain, moderated = fit_random_effects(Y9[:7], V9[:7]), fit_random_effects(Y9[:5], V9[:5], X9[:5])
    for fit, number in ((plain, 2**7), (moderated, 120)):
        exact, drawn = (permutation_test(fit, rng(), draws=n) for n in (number, number - 1))
        assert exact.exact and exact.draws == number
        assert not drawn.exact and drawn.draws == number - 1 and (drawn.p >= 1 / drawn.draws).all()
    assert np.isnan(permutation_test(plain, rng()).omnibus) and np.isfinite(permutation_test(moderated, rng()).omnibus)
    twice = fit_random_effects(Y9[:7], V9[:7], np.full((7, 1), 2.0))
    assert permutation_test(twice, rng()).p == pytest.approx(permutation_test(plain, rng()).p)


def test_drawn_signs_come_near_all_of_them() -> None:
    fit = fit_random_effects(Y9, V9 * 4)
    exact, drawn = (permutation_test(fit, rng(), draws=n).p[0] for n in (512, 511))
    many = np.mean([permutation_test(fit, np.random.default_rng(i), draws=511).p[0] for i in range(8)])
    assert 0.01 < exact < 0.3 and many == pytest.approx(exact, abs=4 * np.sqrt(exact / 4088)) and drawn != exact


def test_the_observed_arrangement_counts_and_ties_do() -> None:
    """Six equal effects: only the two arrangements with all signs alike reach the statistic."""
    fit = fit_random_effects([0.3, 0.4, 0.5, 0.3, 0.4, 0.5, 0.35], [0.02] * 7, test="z")
    assert permutation_test(fit, rng()).p[0] == 2 / 128
    x = np.column_stack([np.ones(5), [0, 0, 0, 1, 1]])
    found = permutation_test(
        fit_random_effects([0.1, 0.2, 0.15, 0.7, 0.8], [0.02] * 5, x, names=["intercept", "g"]), rng()
    )
    # of ten ways to choose the group of two one is observed and none is its mirror
    assert found.p[1] == pytest.approx(12 / 120) and found.omnibus == pytest.approx(found.p[1])


def test_percentiles_of_a_bootstrap() -> None:
    values = np.arange(101.0)
    found = Bootstrap(("a", "b"), np.column_stack([values, -values]), values / 100)
    assert found.interval("b", 0.9) == Interval(-95.0, -5.0, 0.9, "bootstrap percentiles")
    assert (found.interval("a").low, found.interval("tau2", 0.5).high) == pytest.approx((2.5, 0.75))
    with pytest.raises(ModelError, match="clusters has a row without a label"):
        bootstrap(fit_random_effects(Y, V), rng(), draws=10, clusters=["a", None, "b", "c"])
    weighted = bootstrap(fit_random_effects(Y, V, weights=[1, 0, 0, 0]), rng(), draws=50)
    kept = weighted.beta[np.isfinite(weighted.beta)]
    assert len(kept) and kept == pytest.approx(np.full(len(kept), 0.1))


# --- location and scale, counts --------------------------------------------------------------------------------------


def test_degrees_of_freedom_q_and_rows_of_a_location_scale_model() -> None:
    z, t = (fit_location_scale(Y9, V9, X9, np.column_stack([Z9, X9[:, 1]]), test=test) for test in ("z", "t"))  # type: ignore[arg-type]
    assert t.fit.df.tolist() == [7.0, 7.0] and t.scale.df.tolist() == [6.0] * 3
    assert np.isinf([*z.fit.df, *z.scale.df]).all()
    plain = fit_random_effects(Y9, V9, X9).heterogeneity
    assert plain is not None and z.fit.heterogeneity is not None
    assert (z.fit.heterogeneity.Q, z.fit.heterogeneity.df) == pytest.approx((plain.Q, plain.df))
    assert z.fit.heterogeneity.p == pytest.approx(plain.p) and np.isnan(z.fit.heterogeneity.I2)
    simple = fit_location_scale(Y9, V9, None, Z9)
    assert simple.tau2 == pytest.approx(np.exp(Z9 @ simple.scale.beta))
    assert simple.fit.component("mean tau2").estimate == pytest.approx(simple.tau2.mean())
    assert simple.scale.names == ("z0", "z1") and simple.fit.k == 9


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_the_error_of_a_constant_scale_is_the_curve_of_its_likelihood(method: str) -> None:
    """Second differences in log tau2 of the likelihood with tau2 held; none of it is the model's own code."""
    found = fit_location_scale(Y9, V9, X9, np.ones((9, 1)), method=method)  # type: ignore[arg-type]
    at, h = float(found.scale.beta[0]), 1e-3

    def height(log_tau2: float) -> float:
        held = fit_random_effects(Y9, V9, X9, method=method, test="z", tau2=float(np.exp(log_tau2)))  # type: ignore[arg-type]
        return held.loglik

    assert found.fit.loglik == pytest.approx(height(at), abs=1e-9)
    assert height(at) > max(height(at + h), height(at - h))
    curve = (height(at + h) - 2 * height(at) + height(at - h)) / h**2
    assert found.scale.se[0] == pytest.approx((-curve) ** -0.5, rel=1e-4)


def test_a_group_without_spread_has_no_end_of_the_scale_and_a_row_lost_is_lost_on_both_sides() -> None:
    y = np.where(GROUP == 0, Y9, 0.3)
    assert "boundary" in notes(fit_location_scale(y, V9, None, Z9).fit)
    lost = Z9.copy()
    lost[2, 1] = np.nan
    y, v, z = (np.delete(a, 2, axis=0) for a in (Y9, V9, Z9))
    found, same = fit_location_scale(Y9, V9, None, lost), fit_location_scale(y, v, None, z)
    assert found.scale.beta == pytest.approx(same.scale.beta) and found.fit.k == 8


ALIKE = ([10, 11, 9, 10], [90, 89, 91, 90], [20, 21, 19, 20], [80, 79, 81, 80])
APART = ([3, 17, 2, 12], [36, 7, 26, 20], [6, 4, 2, 28], [34, 25, 18, 12])


def test_counts_without_heterogeneity_say_so() -> None:
    found = fit_counts(study_counts("OR", *ALIKE), model="fixed baselines")
    common = fit_counts(study_counts("OR", *ALIKE), model="fixed baselines", heterogeneity=False)
    component = found.components[0]
    assert set(notes(found)) == {"boundary"} and component.at_boundary and np.isnan(component.se)
    assert component.estimate == pytest.approx(0.0, abs=1e-8) and common.components[0].estimate == 0.0
    assert found.beta == pytest.approx(common.beta, abs=1e-6) and found.se == pytest.approx(common.se, rel=1e-5)
    assert common.method["tau2"] == "EE" and "tau2" not in found.method and notes(common) == {}
    assert [f.data.parameters for f in (found, common)] == [5, 4]  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["conditional", "fixed baselines"])
def test_events_of_all_persons_are_the_mirror_of_events_of_none(model: CountModel) -> None:
    a, b, c, d = APART
    some = ([0, *a[1:]], [36, *b[1:]], c, d)
    none, everybody = (
        fit_counts(study_counts("OR", *cells), model=model, heterogeneity=False)
        for cells in (some, (some[1], some[0], d, c))
    )
    assert everybody.beta == pytest.approx(-none.beta, abs=1e-8) and everybody.se == pytest.approx(none.se, rel=1e-6)
    assert everybody.loglik == pytest.approx(none.loglik, abs=1e-8) and notes(everybody) == notes(none) == {}


def test_a_search_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.models.two_level.count_models.STEPS", 1)
    short = fit_counts(study_counts("OR", *APART), heterogeneity=False)
    assert set(notes(short)) == {"not-converged"}
    monkeypatch.setattr("replication.models.two_level.count_models.STEPS", 20)
    assert notes(fit_counts(study_counts("OR", *APART), heterogeneity=False)) == {}


def test_what_was_estimated_beside_the_coefficients_is_counted() -> None:
    counts = study_counts("OR", *APART)
    for model, number in (("conditional", 1), ("approximate", 1), ("fixed baselines", 5), ("random baselines", 3)):
        data = fit_counts(counts, model=model).data  # type: ignore[arg-type]
        assert isinstance(data, CountsData) and data.parameters == number
        assert np.isfinite(data.baseline_mean) == np.isfinite(data.baseline_variance) == (model == "random baselines")
        assert [column.tolist() for column in data.counts.columns] == [list(map(float, column)) for column in APART]
    with pytest.raises(ModelError, match="is for odds ratios of rare events"):
        fit_counts(study_counts("PLO", [3], [9]), model="approximate")


def test_degrees_of_freedom_and_the_test_of_one_effect_for_all() -> None:
    x = np.column_stack([np.ones(4), [0.0, 1, 0, 1]])
    found = fit_counts(study_counts("OR", *APART), x, model="fixed baselines", test="t", level=0.9)
    assert found.df.tolist() == [2.0, 2.0] and found.level == 0.9 and found.k == 4
    q = found.heterogeneity
    assert q is not None and q.df == 2 and q.p == pytest.approx(stats.chi2.sf(q.Q, 2))
    plain = fit_counts(study_counts("OR", *APART), model="fixed baselines").heterogeneity
    a, b, c, d = (np.array(cells, dtype=float) for cells in APART)
    # two binomials a study: with an effect of its own each share is the observed one
    free = sum(stats.binom.logpmf(x, x + r, x / (x + r)).sum() for x, r in ((a, b), (c, d)))
    common = fit_counts(study_counts("OR", *APART), model="fixed baselines", heterogeneity=False)
    expected = 2 * (free - common.loglik)
    assert plain is not None and (plain.Q, plain.df) == pytest.approx((expected, 3), rel=1e-6)
    assert np.isinf(fit_counts(study_counts("PLO", a, a + b)).df).all()


def test_studies_without_events_are_silent_and_one_group_is_not() -> None:
    rates = study_counts("IRR", [3, 0, 5, 9], [10, 9, 20, 30], [6, 0, 4, 5], [12, 8, 15, 31])
    found = fit_counts(rates)
    assert found.k == 3 and [n.rows for n in found.notes if n.code == "excluded-rows"] == [(1,)]
    full = fit_counts(study_counts("OR", [3, 9, 5, 9], [10, 0, 20, 30], [6, 7, 4, 5], [12, 0, 15, 31]))
    assert full.k == 3 and [n.rows for n in full.notes if n.code == "excluded-rows"] == [(1,)]
    # a single event tells something, and so does a single person without one
    assert fit_counts(study_counts("OR", [3, 1, 5, 9], [10, 9, 20, 30], [6, 0, 4, 5], [12, 8, 15, 31])).k == 4
    assert fit_counts(study_counts("OR", [3, 9, 5, 9], [10, 0, 20, 30], [6, 7, 4, 5], [12, 1, 15, 31])).k == 4
    assert fit_counts(study_counts("IRR", [3, 0, 5, 9], [10, 9, 20, 30], [6, 1, 4, 5], [12, 8, 15, 31])).k == 4
    assert fit_counts(study_counts("PLO", [0, 3, 5], [9, 10, 20])).k == 3
    assert fit_counts(study_counts("IRLN", [0, 3, 5], [9, 10, 20])).k == 3
