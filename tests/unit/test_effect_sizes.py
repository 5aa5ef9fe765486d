"""Effect sizes as a page to read: small tables, one call, the expected value as arithmetic; and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication import effects
from replication.effects.binary import (
    log_odds_ratio,
    log_risk_ratio,
    mantel_haenszel,
    peto_log_odds_ratio,
    risk_difference,
    two_by_two,
)
from replication.effects.conversions import (
    beta_to_r,
    d_from_f,
    d_from_p,
    d_from_t,
    d_to_log_odds,
    d_to_r,
    log_odds_to_d,
    log_odds_to_r,
    r_from_chi2,
    r_from_f,
    r_from_p,
    r_from_t,
    r_to_d,
    r_to_log_odds,
)
from replication.effects.correlation import (
    back_to_r,
    correct_attenuation,
    correlation,
    effective_n,
    fisher_z,
    inflate_for_clusters,
    partial_correlation,
    partial_fisher_z,
    semipartial_correlation,
)
from replication.effects.covariance import assumed_correlation_blocks, correlation_blocks, correlation_covariance
from replication.effects.effect_size import EffectSize
from replication.effects.mean_difference import small_sample_factor, standardized_mean_difference
from replication.errors import UserError

correlations = st.floats(-0.95, 0.95)


def test_scalars_and_arrays_give_the_same() -> None:
    one, many = fisher_z(0.4, 50), fisher_z([0.4, 0.4], [50, 100])
    assert one.estimate.shape == () and many.estimate.shape == (2,)
    assert float(one.estimate) == many.estimate[0] and float(one.variance) == many.variance[0]
    assert many.se.tolist() == pytest.approx([47**-0.5, 97**-0.5])


def test_a_missing_number_gives_a_missing_effect() -> None:
    assert np.isnan(fisher_z([0.4, np.nan], 50).estimate).tolist() == [False, True]
    assert np.isnan(log_odds_ratio([5, np.nan], 9, 4, 10).variance).tolist() == [False, True]
    assert log_odds_ratio([5, np.nan], 9, 4, 10).flags == ()


@given(correlations)
def test_fisher_z_and_back(r: float) -> None:
    assert float(back_to_r(fisher_z(r, 100).estimate)) == pytest.approx(r, abs=1e-12)


def test_a_partial_correlation_with_one_predictor_is_plain() -> None:
    # t of a plain correlation: r sqrt(n - 2) / sqrt(1 - r^2)
    r, n = 0.3, 40
    t = r * math.sqrt(n - 2) / math.sqrt(1 - r**2)
    for partial, plain in ((partial_correlation, correlation), (partial_fisher_z, fisher_z)):
        found, expected = partial(t, n, 1), plain(r, n)
        assert float(found.estimate) == pytest.approx(float(expected.estimate))
        assert float(found.variance) == pytest.approx(float(expected.variance))
    semi = semipartial_correlation(t, n, 1, r**2)  # alone in the model: its unique part is all of it
    assert float(semi.estimate) == pytest.approx(r)
    assert float(r_from_t(t, n).estimate) == pytest.approx(r)


def test_small_sample_factor_by_its_gamma_functions() -> None:
    for df in (2, 5, 50):
        exact = math.gamma(df / 2) / (math.sqrt(df / 2) * math.gamma((df - 1) / 2))
        assert float(small_sample_factor(df)) == pytest.approx(exact, rel=1e-12)
        assert float(small_sample_factor(df, "none")) == 1.0
    assert float(small_sample_factor(1e6)) == pytest.approx(1 - 3 / (4e6 - 1), rel=1e-10)


def test_g_is_j_times_d() -> None:
    groups = {"mean1": 1.0, "sd1": 1.0, "n1": 10, "mean2": 0.0, "sd2": 1.0, "n2": 10}
    d, g = (standardized_mean_difference(**groups, correction=c) for c in ("none", "exact"))
    assert float(d.estimate) == 1.0 and d.metric == "d" and g.metric == "g"
    assert float(d.variance) == pytest.approx(1 / 10 + 1 / 10 + 1 / 40)
    assert float(g.estimate) == pytest.approx(float(small_sample_factor(18)))


def test_one_difference_from_t_f_and_p() -> None:
    t = d_from_t(2.5, 30, 40)
    assert float(d_from_f(6.25, 30, 40, sign=1).estimate) == pytest.approx(float(t.estimate))
    assert float(d_from_f(6.25, 30, 40, sign=-1).estimate) == pytest.approx(-float(t.estimate))
    from scipy import stats

    p = 2 * stats.t.sf(2.5, 68)
    assert float(d_from_p(p, 30, 40, sign=1).estimate) == pytest.approx(float(t.estimate))
    assert float(d_from_p(p / 2, 30, 40, sign=1, sides="one-sided").estimate) == pytest.approx(float(t.estimate))


def test_one_correlation_from_t_f_p_and_chi_square() -> None:
    from scipy import stats

    t = float(r_from_t(3.0, 50).estimate)
    assert float(r_from_f(9.0, 50, sign=1).estimate) == pytest.approx(t)
    assert float(r_from_p(2 * stats.t.sf(3.0, 48), 50, sign=-1).estimate) == pytest.approx(-t)
    # phi of the table 30 10 / 10 50: (30 50 - 10 10) / sqrt(40 60 40 60)
    phi = (30 * 50 - 10 * 10) / (40 * 60)
    assert float(r_from_chi2(100 * phi**2, 100, sign=1).estimate) == pytest.approx(phi)


@given(correlations, st.integers(5, 10_000))
def test_r_and_d_are_each_other_s_inverse(r: float, n: int) -> None:
    effect = correlation(r, n)
    back = d_to_r(r_to_d(effect))
    assert float(back.estimate) == pytest.approx(r, abs=1e-12)
    assert float(back.variance) == pytest.approx(float(effect.variance), rel=1e-9)
    assert [flag.code for flag in back.flags] == ["from-r", "from-d"]


@given(st.floats(-5, 5), st.floats(1e-4, 4))
def test_d_and_log_odds_are_each_other_s_inverse(estimate: float, variance: float) -> None:
    d = EffectSize(np.array(estimate), np.array(variance), "d")
    back = log_odds_to_d(d_to_log_odds(d))
    assert float(back.estimate) == pytest.approx(estimate) and float(back.variance) == pytest.approx(variance)
    assert float(log_odds_to_r(d_to_log_odds(d)).estimate) == pytest.approx(float(d_to_r(d).estimate))


def test_variances_of_conversions_follow_the_slope() -> None:
    """The delta method by a small difference: the variance times the squared slope."""
    step = 1e-6
    for convert, value, metric in ((d_to_r, 0.7, "d"), (r_to_d, 0.4, "r"), (r_to_log_odds, 0.4, "r")):
        ends = [convert(EffectSize(np.array(value + s), np.array(0.02), metric)).estimate for s in (step, -step)]
        slope = float(ends[0] - ends[1]) / (2 * step)
        found = convert(EffectSize(np.array(value), np.array(0.02), metric)).variance  # type: ignore[arg-type]
        assert float(found) == pytest.approx(0.02 * slope**2, rel=1e-6)


def test_unequal_groups_widen_the_gap_between_d_and_r() -> None:
    d = EffectSize(np.array(0.5), np.array(0.04), "d")
    # A = (n1 + n2)^2 / (n1 n2): 4 for equal groups, 100^2 / (10 90) for 10 and 90
    assert float(d_to_r(d, 10, 90).estimate) == pytest.approx(0.5 / math.sqrt(0.25 + 100**2 / 900))


def test_a_beta_read_as_r_says_so() -> None:
    effect = beta_to_r([0.3, -0.3, 0.0, 0.7], 100)
    assert effect.estimate.tolist() == pytest.approx([0.98 * 0.3 + 0.05, -0.98 * 0.3, 0.05, 0.98 * 0.7 + 0.05])
    assert [flag.code for flag in effect.flags] == ["beta-as-r", "beta-beyond-source"]
    assert effect.flags[1].rows == (3,)
    assert "beta-as-r" in [flag.code for flag in r_to_d(beta_to_r(0.3, 100)).flags]


def test_reliability_and_clusters() -> None:
    effect = correct_attenuation(correlation([0.3, 0.7], 100), 0.64, 0.49)
    assert effect.estimate.tolist() == pytest.approx([0.3 / 0.56, 0.7 / 0.56])
    assert effect.variance[0] == pytest.approx((1 - 0.09) ** 2 / 99 / (0.64 * 0.49))
    assert effect.flags[-1].code == "beyond-one" and effect.flags[-1].rows == (1,)
    wide = inflate_for_clusters(effect, 21, 0.05)
    assert wide.variance == pytest.approx(2 * effect.variance) and float(effective_n(200, 21, 0.05)) == 100


def test_zero_cell_rules() -> None:
    cells = ([5, 0], [5, 10], [4, 2], [6, 8])
    half = two_by_two(*cells)
    assert half.a.tolist() == [5, 0.5] and half.d.tolist() == [6, 8.5]
    assert two_by_two(*cells, zero_cells="if-any").a.tolist() == [5.5, 0.5]
    assert two_by_two([5], [5], [4], [6], zero_cells="if-any").a.tolist() == [5]
    assert two_by_two([5], [5], [4], [6], zero_cells="all").a.tolist() == [5.5]
    arm = two_by_two([0], [10], [2], [28], zero_cells="treatment-arm")  # 10 of 40 and 30 of 40
    assert [arm.a[0], arm.b[0], arm.c[0], arm.d[0]] == [0.25, 10.25, 2.75, 28.75]
    out = log_odds_ratio(*cells, zero_cells="leave-out")
    assert np.isnan(out.estimate).tolist() == [False, True] and out.flags[0].rows == (1,)
    kept = log_odds_ratio(*cells, zero_cells="none")
    assert np.isnan(kept.estimate).tolist() == [False, True] and kept.flags[0].code == "undefined"


def test_tables_without_contrast_are_flagged() -> None:
    flags = log_risk_ratio([0, 5], [10, 5], [0, 4], [10, 6]).flags
    assert flags[0].code == "no-contrast" and flags[0].rows == (0,)


@given(st.tuples(*[st.integers(1, 500)] * 4))
def test_swapping_groups_or_events_turns_the_sign(cells: tuple[int, int, int, int]) -> None:
    a, b, c, d = cells
    for function in (log_odds_ratio, log_risk_ratio, risk_difference, peto_log_odds_ratio):
        there, back = function(a, b, c, d), function(c, d, a, b)
        assert float(there.estimate) == pytest.approx(-float(back.estimate), abs=1e-9)
        assert float(there.variance) == pytest.approx(float(back.variance))
    assert float(log_odds_ratio(b, a, d, c).estimate) == pytest.approx(
        -float(log_odds_ratio(a, b, c, d).estimate), abs=1e-9
    )


@given(st.tuples(*[st.integers(1, 500)] * 4))
def test_mantel_haenszel_of_one_table_is_the_table(cells: tuple[int, int, int, int]) -> None:
    for measure, function in (
        ("log odds ratio", log_odds_ratio),
        ("log risk ratio", log_risk_ratio),
        ("risk difference", risk_difference),
    ):
        pooled, single = mantel_haenszel(*cells, measure=measure), function(*cells)
        assert float(pooled.estimate) == pytest.approx(float(single.estimate), abs=1e-12)
        if measure != "risk difference":  # Sato's variance equals the binomial one in the limit only
            assert float(pooled.variance) == pytest.approx(float(single.variance))


def random_correlations(seed: int, p: int) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(size=(p, p + 2))
    S = factors @ factors.T
    return S / np.sqrt(np.outer(np.diag(S), np.diag(S)))


@given(st.integers(0, 1000), st.integers(2, 6), st.sampled_from(["r", "fisher z"]))
def test_covariances_of_correlations_form_a_covariance_matrix(seed: int, p: int, scale: str) -> None:
    R, n = random_correlations(seed, p), 80
    V = correlation_covariance(R, n, scale=scale)  # type: ignore[arg-type]
    assert np.allclose(V, V.T) and np.linalg.eigvalsh(V).min() > -1e-12
    r = R.T[np.triu_indices(p, 1)]
    expected = (1 - r**2) ** 2 / (n - 1) if scale == "r" else np.full(len(r), 1 / (n - 3))
    assert np.diag(V) == pytest.approx(expected)


def test_correlations_of_separate_variables_do_not_covary() -> None:
    R = np.eye(4)
    R[0, 1] = R[1, 0] = R[2, 3] = R[3, 2] = 0.5
    assert correlation_covariance(R, 50, [(0, 1), (2, 3)])[0, 1] == 0.0


def test_blocks_of_samples_follow_the_rows() -> None:
    blocks = correlation_blocks(
        [0.3, 0.2, 0.5],
        [60, 90, 50],
        sample=["s", "t", "s"],
        first=["a", "a", "a"],
        second=["b", "b", "c"],
        missing=0.4,
    )
    V = blocks.dense()
    R = [[1, 0.3, 0.5], [0.3, 1, 0.4], [0.5, 0.4, 1]]
    expected = correlation_covariance(R, 50, [(0, 1), (0, 2)], "fisher z")  # the smaller n of sample s
    assert V[np.ix_([0, 2], [0, 2])] == pytest.approx(expected)
    assert V[1, 1] == pytest.approx(1 / 87) and V[0, 1] == V[1, 2] == 0.0
    by_pair = correlation_blocks(
        [0.3, 0.5], [60, 50], sample=[1, 1], first=["a", "a"], second=["b", "c"], missing={frozenset("bc"): 0.4}
    )
    assert by_pair.dense() == pytest.approx(expected)


def test_assumed_correlation() -> None:
    V = assumed_correlation_blocks([0.04, 0.09, 0.01], ["x", "y", "x"], 0.8).dense()
    assert pytest.approx(np.array([[0.04, 0, 0.016], [0, 0.09, 0], [0.016, 0, 0.01]])) == V


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fisher_z([0.4, 1.2], 50), "row 1: r outside"),
        (lambda: fisher_z([0.4, -1.0], 50), "row 1: .*Fisher z"),
        (lambda: fisher_z(0.4, 3), "n below 4"),
        (lambda: correlation("a", 50), "not a number"),
        (lambda: correlation([0.1, 0.2], [10, 20, 30]), "shapes"),
        (lambda: partial_correlation(2, 5, 4), "degrees of freedom"),
        (lambda: semipartial_correlation(2, 50, 3, 30), "not per cent"),
        (lambda: semipartial_correlation(9, 50, 3, 0.1), "contradict"),
        (lambda: standardized_mean_difference(mean1=1, sd1=-1, n1=9, mean2=0, sd2=1, n2=9), "negative standard"),
        (lambda: standardized_mean_difference(mean1=1, sd1=0, n1=9, mean2=0, sd2=0, n2=9), "are 0"),
        (lambda: small_sample_factor(10, "J"), "exact, approximate, none"),  # type: ignore[arg-type]
        (lambda: log_odds_ratio(1, 2, 3, 4, zero_cells="add"), "only-zero, if-any"),  # type: ignore[arg-type]
        (lambda: log_odds_ratio(-1, 2, 3, 4), "negative count"),
        (lambda: log_odds_ratio(0, 0, 3, 4), "without persons"),
        (lambda: mantel_haenszel(1, 2, 3, 4, measure="or"), "log odds ratio, log risk"),  # type: ignore[arg-type]
        (lambda: r_from_f(-1, 50, 1), "negative"),
        (lambda: r_from_f(4, 50, 0), "sign must be 1 or -1"),
        (lambda: r_from_p(0.0, 50, 1), "exact p"),
        (lambda: r_from_p(0.7, 50, 1, sides="one-sided"), "p outside"),
        (lambda: r_from_chi2(200, 100, 1), "above n"),
        (lambda: d_to_r(correlation(0.3, 50)), "convert it first"),
        (lambda: correct_attenuation(fisher_z(0.3, 50), 0.8), "before transforming"),
        (lambda: correct_attenuation(correlation(0.3, 50), 80), "reliability outside"),
        (lambda: inflate_for_clusters(correlation(0.3, 50), 0.5, 0.1), "fewer than 1"),
        (lambda: correlation_covariance([[1, 2], [2, 1]], 50), "outside -1 to 1"),
        (lambda: correlation_covariance([[1, 0.2], [0.3, 1]], 50), "not a correlation matrix"),
        (lambda: correlation_covariance(np.eye(3), 50, [(0, 0)]), "two different"),
        (
            lambda: correlation_blocks([0.3, 0.5], 60, sample=[1, 1], first="aa", second="bc"),
            "sample 1 does not report",
        ),
        (lambda: correlation_blocks([0.3, 0.5], 60, sample=[1, 1], first="aa", second="bb"), "twice"),
        (lambda: assumed_correlation_blocks([0.1, 0.1, 0.1], "xxx", -0.9), "no covariance matrix"),
    ],
)
def test_hostile_input_is_refused_with_what_to_do(call: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("correction", ["exact", "approximate", "none"])
def test_a_corrected_difference_is_called_g_and_a_plain_one_d(correction: Any) -> None:
    change = {"mean1": 10, "sd1": 2, "mean2": 9, "n": 20, "r": 0.6, "correction": correction}
    groups = {"mean1": 10, "sd1": 2, "n1": 20, "mean2": 9, "sd2": 2.5, "n2": 25, "correction": correction}
    made = (
        effects.change_in_change_sd(**change, sd2=2.5),
        effects.change_in_raw_sd(**change),
        effects.change_in_raw_sd_heteroscedastic(**change, sd2=2.5),
        effects.standardized_mean_difference(**groups),
        effects.heteroscedastic_mean_difference(**groups),
        effects.d_from_t(2.0, 20, 25, correction),
    )
    assert {effect.metric for effect in made} == {"d" if correction == "none" else "g"}
