"""Where each effect size ends: the last possible value passes, the first impossible one is refused; what is flagged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replication import effects
from replication.effects import latent
from replication.effects.correlation import correlation, n_for_variance, partial_from_correlations
from replication.effects.covariance import assumed_correlation_blocks, correlation_covariance
from replication.effects.dependence import ComparedGroups, aggregate, dependent_blocks
from replication.effects.effect_size import EffectSize
from replication.effects.printed_summaries import from_interval, mean_from_quantiles
from replication.errors import UserError

GROUPS = {"mean1": 5.0, "sd1": 1.0, "n1": 9, "mean2": 4.0, "sd2": 1.0, "n2": 9}
TWICE = {"mean1": 5.0, "sd1": 1.0, "mean2": 4.0, "sd2": 1.0, "n": 9, "r": 0.5}


def groups(function: Callable[..., EffectSize], name: str) -> Callable[[float], EffectSize]:
    """The function of two groups with one of the printed numbers left open."""
    return lambda value: function(**GROUPS | {name: value})


def twice(function: Callable[..., EffectSize], name: str) -> Callable[[float], EffectSize]:
    """The function of one group measured twice with one of the printed numbers left open."""
    return lambda value: function(**TWICE | {name: value})


def cells(at: int, *, function: Callable[..., EffectSize] = effects.log_odds_ratio) -> Callable[[float], EffectSize]:
    """The function of a table of 3s with one cell left open."""
    return lambda value: function(*(value if i == at else 3.0 for i in range(4)))


@pytest.mark.parametrize(
    ("call", "allowed", "refused"),
    [
        (effects.small_sample_factor, 2, 1.9),
        # correlations
        (lambda n: correlation(0.3, n), 2, 1),
        (lambda n: effects.fisher_z(0.3, n), 4, 3),
        (lambda r: correlation(r, 20), 1.0, 1.01),
        (lambda r: effects.fisher_z(r, 20), 0.99, 1.0),
        (lambda n: effects.partial_correlation(2.0, n, 3), 5, 4),
        (lambda m: effects.partial_correlation(2.0, 20, m), 1, 0.9),
        (lambda n: effects.partial_fisher_z(2.0, n, 3), 6, 5),
        (lambda n: effects.semipartial_correlation(1.0, n, 3, 0.9), 5, 4),
        (lambda r2: effects.semipartial_correlation(0.0, 50, 3, r2), 0.0, -0.01),
        (lambda r2: effects.semipartial_correlation(0.0, 50, 3, r2), 0.99, 1.0),
        # t^2 (1 - R2) / (n - m - 1) is the unique part: here t^2 .5 / 50, above R2 from t^2 = 50 on
        (lambda t: effects.semipartial_correlation(t, 53, 2, 0.5), math.sqrt(50), math.sqrt(50.001)),
        (lambda p: partial_from_correlations(np.eye(p)), 2, 1),
        (lambda r: partial_from_correlations([[1, r], [r, 1]]), 0.99, 1.0),
        (lambda d: partial_from_correlations([[1, 0.2], [0.2, d]]), 1.0, 1.1),
        # converted
        (lambda n: effects.d_to_r(effects.d_from_t(2.0, 9, 9), n, 4), 0.1, 0),
        (lambda n: effects.d_to_r(effects.d_from_t(2.0, 9, 9), 4, n), 0.1, 0),
        (lambda r: effects.r_to_d(EffectSize(np.array(r), np.array(0.1), "r")), -0.99, -1.0),
        (lambda n: effects.beta_to_r(0.2, n), 2, 1),
        (lambda b: effects.beta_to_r(b, 20), 0.95 / 0.98, 0.951 / 0.98),
        (lambda n: effects.r_from_t(2.0, n), 3, 2),
        (lambda f: effects.r_from_f(f, 20, 1), 0.0, -0.1),
        (lambda c: effects.r_from_chi2(c, 20, 1), 20.0, 20.1),
        (lambda c: effects.r_from_chi2(c, 20, 1), 0.0, -0.1),
        (lambda n: effects.r_from_p(0.1, n, 1), 3, 2),
        (lambda p: effects.r_from_p(p, 20, 1), 1.0, 1.01),
        (lambda p: effects.r_from_p(p, 20, 1), 1e-9, 0.0),
        (lambda p: effects.r_from_p(p, 20, 1, sides="one-sided"), 0.5, 0.51),
        (lambda sign: effects.r_from_p(0.1, 20, sign), -1.0, 0.5),
        (lambda n: effects.d_from_t(2.0, n, 3), 1, 0.9),
        (lambda n: effects.d_from_t(2.0, 3, n), 1, 0.9),
        (lambda n: effects.d_from_t(2.0, n, 1, "none"), 3, 2),
        (lambda n: effects.d_from_p(0.1, n, 1, 1, correction="none"), 3, 2),
        # two groups
        *((groups(effects.standardized_mean_difference, name), 2, 1.9) for name in ("n1", "n2")),
        *((groups(effects.standardized_mean_difference, name), 0.0, -0.1) for name in ("sd1", "sd2")),
        (lambda sd: effects.standardized_mean_difference(**GROUPS | {"sd1": 0, "sd2": sd}), 0.1, 0),
        (lambda sd: effects.heteroscedastic_mean_difference(**GROUPS | {"sd1": 0, "sd2": sd}), 0.1, 0),
        *((groups(effects.log_ratio_of_means, name), 0.1, 0.0) for name in ("mean1", "mean2")),
        *((groups(effects.log_ratio_of_means, name), 0.0, -0.1) for name in ("sd1", "sd2")),
        *((groups(effects.log_ratio_of_means, name), 2, 1.9) for name in ("n1", "n2")),
        *((groups(effects.log_variation_ratio, name), 0.1, 0.0) for name in ("mean1", "mean2", "sd1", "sd2")),
        *((groups(effects.log_variation_ratio, name), 2, 1.9) for name in ("n1", "n2")),
        (lambda n: effects.log_variability_ratio(sd1=1, n1=n, sd2=1, n2=9), 2, 1.9),
        (lambda n: effects.log_variability_ratio(sd1=1, n1=9, sd2=1, n2=n), 2, 1.9),
        (lambda sd: effects.log_variability_ratio(sd1=sd, n1=9, sd2=1, n2=9), 0.1, 0.0),
        (lambda sd: effects.log_variability_ratio(sd1=1, n1=9, sd2=sd, n2=9), 0.1, 0.0),
        # one group twice
        *((twice(effects.mean_change, name), 0.0, -0.1) for name in ("sd1", "sd2")),
        (twice(effects.mean_change, "n"), 3, 2.9),
        *((twice(effects.mean_change, "r"), end, 1.01 * end) for end in (-1.0, 1.0)),
        (twice(effects.change_in_change_sd, "r"), 0.99, 1.0),
        (twice(effects.change_in_raw_sd_heteroscedastic, "sd1"), 0.1, 0.0),
        (lambda sd: effects.change_in_raw_sd(mean1=5, sd1=sd, mean2=4, n=9, r=0.5), 0.1, 0.0),
        # tables
        *((cells(at), 0, -1) for at in range(4)),
        *((cells(at, function=lambda a, b, c, d: effects.risk_difference(a, b * 0, c, d)), 1, 0) for at in (0,)),
        *((cells(at, function=lambda a, b, c, d: effects.risk_difference(a, b, c, d * 0)), 1, 0) for at in (2,)),
        # one group
        (lambda n: effects.single_mean(3.0, 1.0, n), 2, 1.9),
        (lambda sd: effects.single_mean(3.0, sd, 20), 0.0, -0.1),
        (lambda n: effects.log_spread(1.0, n), 2, 1.9),
        (lambda sd: effects.log_spread(sd, 20), 0.1, 0.0),
        (lambda n: effects.cronbach_alpha(0.8, 5, n), 4, 3.9),
        (lambda m: effects.cronbach_alpha(0.8, m, 50), 2, 1.9),
        (lambda a: effects.cronbach_alpha(a, 5, 50), 0.99, 1.0),
        (lambda x: effects.proportion(x, 20, zero_counts="only-zero"), 20, 21),
        (lambda x: effects.proportion(x, 20), 0, -1),
        (lambda n: effects.proportion(0, n), 1, 0.9),
        (lambda x: effects.incidence_rate(x, 10.0), 0, -1),
        (lambda t: effects.incidence_rate(3, t), 0.1, 0.0),
        (lambda t: effects.rate_ratio(3, 1.0, 4, t), 0.1, 0.0),
        (lambda t: effects.rate_ratio(3, t, 4, 1.0), 0.1, 0.0),
        (lambda x: effects.rate_difference(x, 1.0, 4, 1.0), 0, -1),
        (lambda x: effects.rate_difference(4, 1.0, x, 1.0), 0, -1),
        # clusters and reliability
        (lambda m: effects.design_effect(m, 0.1), 1, 0.9),
        (lambda icc: effects.design_effect(20, icc), 1.0, 1.01),
        (lambda icc: effects.design_effect(20, icc), 0.0, -0.01),
        *((lambda rel, at=at: effects.correct_attenuation(correlation(0.3, 50), **{at: rel}), 1.0, 1.01)
          for at in ("reliability_x", "reliability_y")),
        *((lambda rel, at=at: effects.correct_attenuation(correlation(0.3, 50), **{at: rel}), 0.01, 0.0)
          for at in ("reliability_x", "reliability_y")),
        (lambda rel: effects.correct_attenuation(effects.d_from_t(2.0, 9, 9), rel, 0.8), 1.0, 0.99),
        # behind what was cut or ranked
        (lambda n: latent.biserial_from_t(0.1, n, 3), 1, 0.9),
        (lambda n: latent.biserial_from_t(0.1, 3, n), 1, 0.9),
        (lambda n: latent.biserial_from_t(0.1, n, 1), 3, 2),
        # equal groups: r sqrt(pq) / f = r (1/2) sqrt(2 pi), which is 1 at r = .79788
        (lambda r: latent.biserial(r, 50, 50), 0.7978, 0.7979),
        (lambda r: latent.biserial(r, 50, 50), -0.7978, -0.7979),
        (lambda r: latent.r_from_rho(r, 20), 0.99, 1.0),
        (lambda n: latent.r_from_rho(0.3, n), 4, 3.9),
        (lambda r: latent.r_from_tau(r, 20), -0.99, -1.0),
        (lambda n: latent.r_from_tau(0.3, n), 5, 4.9),
        (lambda se: latent.r_from_logistic_slope(0.3, se, 1.0), 0.1, 0.0),
        (lambda sd: latent.r_from_logistic_slope(0.3, 0.1, sd), 0.1, 0.0),
        *((cells(at, function=latent.tetrachoric), 0.1, 0.0) for at in range(4)),
        *((cells(at, function=latent.tetrachoric), 1e6, np.inf) for at in range(4)),
        # covariances
        (lambda n: correlation_covariance(np.eye(2), n), 2, 1.9),
        (lambda n: correlation_covariance(np.eye(2), n, scale="fisher z"), 4, 3.9),
        (lambda r: correlation_covariance([[1, r], [r, 1]], 20), 1.0, 1.0 + 1e-9),
        (lambda r: correlation_covariance([[1, r], [r, 1]], 20), -1.0, -1.0 - 1e-9),
        (lambda i: correlation_covariance(np.eye(3), 20, [(0, i)]), 2, 3),
        (lambda i: correlation_covariance(np.eye(3), 20, [(i, 1)]), 0, -1),
        (lambda rho: assumed_correlation_blocks([0.1] * 3, "xxx", rho), -0.5, -0.51),
        (lambda rho: assumed_correlation_blocks([0.1] * 3, "xxx", rho), 1.0, 1.01),
        (lambda rho: assumed_correlation_blocks([0.1] * 3, "xyz", rho), -1.0, -1.01),
        (lambda v: assumed_correlation_blocks([0.1, v], "xx", 0.5), 0.0, -0.1),
        (lambda v: dependent_blocks([0.1, v], "xx"), 0.0, -0.1),
        (lambda rho: dependent_blocks([0.1] * 3, "xxx", rho=rho), -0.5, -0.51),
        (lambda phi: dependent_blocks([0.1] * 2, "xx", time=[1, 2], phi=phi), 1.0, 1.01),
        (lambda phi: dependent_blocks([0.1] * 2, "xx", time=[1, 2], phi=phi), 0.0, -0.01),
        (lambda n: ComparedGroups("a", "b", [n], [3]).correlations(), 0.1, 0.0),
        (lambda n: ComparedGroups("a", "b", [3], [n]).correlations(), 0.1, 0.0),
        # what papers print
        (lambda q: mean_from_quantiles(45, median=9, q1=q, q3=14), 9, 9.1),
        (lambda q: mean_from_quantiles(45, minimum=q, q3=14), 14, 14.1),
        (lambda low: from_interval(0.3, "d", low=low, high=0.6), 0.3, 0.31),
        (lambda high: from_interval(0.3, "d", low=0.1, high=high), 0.3, 0.29),
        (lambda p: from_interval(0.3, "d", p=p), 0.99, 1.01),
        (lambda p: from_interval(0.3, "d", p=p), 1e-9, 0.0),
        (lambda level: from_interval(0.3, "d", low=0.1, high=0.5, level=level), 0.999, 1.0),
        (lambda level: from_interval(0.3, "d", low=0.1, high=0.5, level=level), 0.001, 0.0),
        (lambda ratio: from_interval(ratio, "log odds ratio", z=2.0), 0.1, 0.0),
        (lambda r: from_interval(r, "fisher z", z=2.0), 0.99, 1.0),
        (lambda y: from_interval(y, "d", z=2.0), 0.1, 0.0),
    ],
)  # fmt: skip
def test_the_last_possible_value_passes_and_the_first_impossible_one_is_refused(
    call: Callable[[float], object], allowed: float, refused: float
) -> None:
    call(allowed)
    with pytest.raises(UserError):
        call(refused)


@pytest.mark.parametrize(
    "call",
    [
        lambda: effects.proportion(3, 20, "log-it"),  # type: ignore[arg-type]
        lambda: effects.proportion(3, 20, zero_counts="drop"),  # type: ignore[arg-type]
        lambda: effects.incidence_rate(3, 20, "cube root"),  # type: ignore[arg-type]
        lambda: effects.cronbach_alpha(0.8, 5, 50, "fisher"),  # type: ignore[arg-type]
        lambda: effects.r_from_p(0.1, 20, 1, sides="both"),  # type: ignore[arg-type]
        lambda: correlation_covariance(np.eye(2), 20, scale="z"),  # type: ignore[arg-type]
        lambda: mean_from_quantiles(45, median=9, q1=5, q3=14, skewed="drop"),  # type: ignore[arg-type]
        lambda: assumed_correlation_blocks([0.1, 0.1], "x", 0.5),
        lambda: dependent_blocks([0.1, 0.1], "x"),
        lambda: dependent_blocks([0.1, 0.1], "xx", time=[1, 2]),
        lambda: partial_from_correlations([[1, 0.2], [0.3, 1]]),
        lambda: partial_from_correlations([1, 0.2]),
        lambda: partial_from_correlations([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]),
        lambda: aggregate([0.1, np.nan], dependent_blocks([0.1, 0.1], "xx", rho=0.5), "xx"),
        lambda: aggregate([0.1, 0.2], dependent_blocks([0.1, 0.1], "xx", rho=1.0), "xx"),
    ],
)
def test_an_unknown_word_or_a_contradiction_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(UserError):
        call()


def test_flags_name_the_rows_they_are_about_and_no_others() -> None:
    """One row of three has the trouble; the flag names it, and two good rows have none."""
    table = {"a": [5, 0, 6], "b": [5, 9, 6], "c": [5, 4, 6], "d": [5, 4, 6]}
    found = [
        (effects.log_odds_ratio(**table), "zero-cell"),
        (effects.log_odds_ratio(**table, zero_cells="none"), "undefined"),
        (effects.log_risk_ratio([5, 0, 6], 5, [5, 0, 6], 5), "no-contrast"),
        (effects.risk_difference([5, 5, 6], [5, 0, 6], 5, [5, 0, 6]), "no-contrast"),
        (effects.proportion([5, 0, 6], 20), "zero-cell"),
        (effects.proportion([5, 20, 6], 20), "zero-cell"),
        (effects.proportion([5, 0, 6], 20, zero_counts="none"), "undefined"),
        (effects.incidence_rate([5, 0, 6], 20), "zero-cell"),
        (effects.rate_ratio([5, 0, 6], 20, 3, 20), "zero-cell"),
        (effects.rate_difference(5, 20, [3, 0, 3], 20), "zero-cell"),
        (effects.beta_to_r([0.5, 0.51, -0.5], 20), "beta-beyond-source"),
        (effects.correct_attenuation(correlation([0.4, 0.6, -0.5], 20), 0.25), "beyond-one"),
        (from_interval([0.3, 0.3, 0.3], "d", low=[0.1, 0.1, 0.1], high=[0.5, 0.6, 0.5]), "not-centred"),
        (mean_from_quantiles([45, 4, 45], median=9, q1=5, q3=14), "few"),
        (mean_from_quantiles(45, median=[9, 5.5, 9], q1=5, q3=14), "skewed"),
    ]
    for effect, code in found:
        flag = next(flag for flag in effect.flags if flag.code == code)
        assert flag.rows == (1,) and ("row 1" in flag.message or code == "few"), code


def test_rules_for_empty_cells_add_what_they_say() -> None:
    assert effects.proportion([0, 5], 20).estimate.tolist() == pytest.approx([math.log(0.5 / 20.5), math.log(5 / 15)])
    assert effects.proportion(20, 20, "raw").variance == pytest.approx(20.5 * 0.5 / 21**3)
    assert np.isnan(effects.proportion([0, np.nan], 20, "log", zero_counts="none").estimate).all()
    assert effects.rate_ratio([0, 4], 10, [3, 3], 20).variance.tolist() == pytest.approx(
        [1 / 0.5 + 1 / 3.5, 1 / 4 + 1 / 3]
    )
    assert effects.incidence_rate(0, 10, "raw").estimate == 0.05
    assert effects.rate_difference(0, 10, 0, 10).variance == pytest.approx(2 * 0.5 / 100)
    # the half of a table goes to all four cells, and only where there is an empty one
    tables = effects.two_by_two([0, 1], [3, 3], [3, 3], [3, 3])
    assert [cell.tolist() for cell in (tables.a, tables.b, tables.c, tables.d)] == [[0.5, 1], *[[3.5, 3]] * 3]


def test_five_persons_are_enough_for_quantiles_and_four_are_not() -> None:
    assert np.isfinite(mean_from_quantiles([5, 4], median=9, q1=5, q3=13).mean).tolist() == [True, False]


def test_the_n_behind_a_variance_is_the_effective_one_above_a_least() -> None:
    found = n_for_variance([100.0] * 4, [np.nan, 3.0, 3.1, 400.0], least=3.0)
    assert found.tolist() == [100.0, 100.0, 3.1, 400.0]


def test_a_missing_number_stays_missing_everywhere() -> None:
    """NaN in one place gives NaN in that row and nothing else; it is never counted as an empty cell."""
    made: list[Any] = [
        effects.d_from_t([2.0, np.nan], 9, 9),
        effects.r_from_p([0.1, np.nan], 20, 1),
        effects.r_from_f([4.0, np.nan], 20, 1),
        effects.beta_to_r([0.2, np.nan], 20),
        effects.log_ratio_of_means(**GROUPS | {"mean1": [5.0, np.nan]}),
        effects.proportion([5, np.nan], 20),
        effects.rate_ratio([5, np.nan], 20, 4, 20),
        effects.semipartial_correlation([1.0, np.nan], 50, 3, 0.3),
        from_interval([0.3, np.nan], "d", low=0.1, high=0.5),
        latent.tetrachoric([5, np.nan], 4, 4, 5),
    ]
    for effect in made:
        assert np.isnan(effect.estimate).tolist() == np.isnan(effect.variance).tolist() == [False, True]
        assert all(1 not in flag.rows for flag in effect.flags)


def test_groups_that_two_comparisons_share_correlate_them_by_their_part() -> None:
    """A control group of 20 shared by two comparisons with 20 and 60: its part is 1/2 in one, 3/4 in the other."""
    shared = ComparedGroups(["a", "b", "c"], ["control", "control", "other"], [20, 60, 5], [20, 20, 5])
    R = shared.correlations()
    assert np.diag(R) == pytest.approx([1.0] * 3)
    assert R[0, 1] == pytest.approx(math.sqrt(20 / 40 * 60 / 80)) and R[0, 2] == R[1, 2] == 0.0
    turned = ComparedGroups(["a", "control"], ["control", "b"], [20, 20], [20, 60]).correlations()
    assert turned[0, 1] == pytest.approx(-math.sqrt(20 / 40 * 60 / 80))


def test_kinds_occasions_and_clusters_multiply() -> None:
    V = dependent_blocks(
        [0.04, 0.09, 0.01, 0.25], "xxxy", rho=0.8, kind=["k", "k", "m", "k"], rho_other=0.5, time=[1, 3, 3, 1], phi=0.9
    ).dense()
    assert V[0, 1] == pytest.approx(0.8 * 0.9**2 * 0.2 * 0.3) and V[1, 2] == pytest.approx(0.5 * 0.3 * 0.1)
    assert V[0, 2] == pytest.approx(0.5 * 0.9**2 * 0.2 * 0.1) and V[:3, 3].tolist() == [0.0] * 3
    same = dependent_blocks([0.04, 0.09], "xx", rho=0.8, kind=["k", "m"]).dense()
    assert same[0, 1] == pytest.approx(0.8 * 0.2 * 0.3)  # without a second rho all kinds share the first


def test_one_effect_for_a_cluster_is_the_best_mean_or_the_plain_one() -> None:
    blocks = dependent_blocks([0.04, 0.16, 0.09], "xxy", rho=0.5)
    plain = aggregate([0.2, 0.4, 0.1], blocks, "xxy", weighted=False)
    assert plain.estimate.tolist() == pytest.approx([0.3, 0.1]) and plain.count.tolist() == [2, 1]
    assert plain.variance.tolist() == pytest.approx([(0.04 + 0.16 + 2 * 0.04) / 4, 0.09])
    best = aggregate([0.2, 0.4, 0.1], blocks, "xxy")
    # weights V^-1 1 with V = [.04 .04; .04 .16]: all on the first effect
    assert best.estimate.tolist() == pytest.approx([0.2, 0.1]) and best.variance.tolist() == pytest.approx([0.04, 0.09])
    assert best.labels == ("x", "y")


def test_variances_behind_ranks_and_slopes_follow_the_slope_of_the_curve() -> None:
    """The delta method by a small difference, from the variances printed in Bonett & Wright (2000): on Fisher's z."""
    step = 1e-6
    for value, n in ((0.31, 120), (-0.6, 40)):
        for function, of_z in (
            (latent.r_from_rho, (1 + value**2 / 2) / (n - 3)),
            (latent.r_from_tau, 0.437 / (n - 4)),
        ):
            ends = [function(np.tanh(np.arctanh(value) + s), n).estimate for s in (step, -step)]
            slope = float(ends[0] - ends[1]) / (2 * step)
            assert float(function(value, n).variance) == pytest.approx(of_z * slope**2, rel=1e-7)
    ends = [latent.r_from_logistic_slope(0.5 + s, 0.1, 1.2).estimate for s in (step, -step)]
    slope = float(ends[0] - ends[1]) / (2 * step)
    assert float(latent.r_from_logistic_slope(0.5, 0.1, 1.2).variance) == pytest.approx(0.1**2 * slope**2, rel=1e-7)
