"""Rank test, trim and fill, fail-safe N and excess significance against brute force and arithmetic."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bias import (
    excess_significance,
    fail_safe_orwin,
    fail_safe_rosenberg,
    fail_safe_rosenthal,
    rank_test,
    trim_fill,
)
from replication.models.two_level.random_effects import fit_random_effects

Y = np.array([0.12, 0.35, 0.28, 0.61, 0.05, 0.44, 0.9])
V = np.array([0.01, 0.03, 0.02, 0.08, 0.015, 0.05, 0.12])


# Rank test


def score(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's count of agreeing less disagreeing pairs."""
    return float(np.triu(np.sign(np.subtract.outer(a, a)) * np.sign(np.subtract.outer(b, b)), 1).sum())


def standardised(y: np.ndarray, v: np.ndarray) -> np.ndarray:
    w = 1 / v
    return (y - w @ y / w.sum()) / np.sqrt(v - 1 / w.sum())


def test_rank_p_counts_permutations() -> None:
    y, v = Y[:6], V[:6]
    z = standardised(y, v)
    observed = score(z, v)
    counts = np.array([score(z, np.array(order)) for order in permutations(v)])
    test = rank_test(y, v)
    assert test.exact
    assert test.tau == pytest.approx(observed / 15)
    assert test.p == pytest.approx(min(1.0, 2 * min((counts >= observed).mean(), (counts <= observed).mean())))


def test_rank_p_with_ties_uses_the_corrected_normal() -> None:
    v = np.array([0.01, 0.03, 0.03, 0.08, 0.01, 0.01, 0.12])
    z, k = standardised(Y, v), 7
    sizes = np.array([3, 2])
    variance = (k * (k - 1) * (2 * k + 5) - (sizes * (sizes - 1) * (2 * sizes + 5)).sum()) / 18
    test = rank_test(Y, v)
    assert not test.exact
    assert test.p == pytest.approx(2 * stats.norm.sf(abs(score(z, v)) / np.sqrt(variance)))
    assert [note.code for note in test.notes] == ["ties"]


def test_rank_test_without_any_order_is_undefined() -> None:
    test = rank_test(Y, np.full(7, 0.02))
    assert np.isnan([test.tau, test.p]).all()
    assert [note.code for note in test.notes] == ["undefined"]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [5, 34, 120])
def test_rank_test_is_that_of_scipy(k: int, ties: bool) -> None:
    rng = np.random.default_rng(k)
    v = rng.choice([0.01, 0.02, 0.03, 0.05], k) if ties else rng.uniform(0.01, 0.05, k)
    y = rng.normal(size=k) + 20 * v
    test, own = rank_test(y, v), stats.kendalltau(standardised(y, v), v, method="asymptotic" if ties else "exact")
    assert test.exact is not ties
    assert (test.tau, test.p) == (pytest.approx(own.statistic, rel=1e-12), pytest.approx(own.pvalue, rel=1e-10))


def test_rank_test_of_two() -> None:
    assert (rank_test([0.1, 0.5], [0.01, 0.02]).tau, rank_test([0.1, 0.5], [0.01, 0.02]).p) == (1.0, 1.0)


# Trim and fill

SYMMETRIC = (np.array([-0.2, -0.1, 0.0, 0.1, 0.2]), np.array([0.05, 0.02, 0.01, 0.02, 0.05]))


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_symmetric_funnel_misses_nothing(estimator: str, side: str) -> None:
    result = trim_fill(*SYMMETRIC, estimator=estimator, side=side)  # type: ignore[arg-type]
    assert (result.k0, len(result.filled_y)) == (0, 0)
    assert result.fit is result.observed


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
def test_rounding_decides_neither_the_count_nor_the_side(estimator: str) -> None:
    """A shift moves the last bits of the mean, at which one effect lies, and from which two pairs are as far."""
    y, v = SYMMETRIC
    for shift in np.random.default_rng(1).uniform(-3, 3, 40):
        result = trim_fill(y + shift, v, estimator=estimator)  # type: ignore[arg-type]
        assert (result.k0, result.side) == (0, "left")


def test_equal_effects_miss_nothing() -> None:
    assert trim_fill(np.full(5, 0.3), V[:5], estimator="R0", side="left").k0 == 0


def test_what_was_cut_from_a_symmetric_funnel_is_put_back() -> None:
    """Nine effects in a symmetric funnel, common-effect mean 0; the two lowest are missing."""
    y = np.array([-0.05, -0.03, -0.01, 0.0, 0.01, 0.03, 0.05, 0.6, 0.7])
    v = np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 10.0, 12.0])
    result = trim_fill(y, v, estimator="L0", side="left", method="EE", test="z")
    assert (result.k0, result.mirrored) == (2, (7, 8))
    np.testing.assert_allclose(result.filled_y, [-0.6, -0.7], atol=1e-12)
    np.testing.assert_allclose(result.filled_v, [10.0, 12.0])
    assert result.fit.beta[0] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(result.p)


def test_r0_is_the_run_on_the_right_less_one() -> None:
    """Three effects lie further above the mean than any below: R0 = 2, and chance gives such a run with 0.5^3."""
    y = np.array([-0.05, -0.03, -0.01, 0.0, 0.01, 0.03, 0.05, 0.5, 0.6, 0.7])
    v = np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 10.0, 10.0, 10.0])
    result = trim_fill(y, v, estimator="R0", side="left", method="EE", test="z")
    assert (result.k0, result.p, result.k0_se) == (2, 0.125, pytest.approx(np.sqrt(6.0)))


def test_filled_effects_mirror_the_extreme_ones_at_the_trimmed_mean() -> None:
    result = trim_fill(Y, V, side="left", method="DL")
    assert result.k0 > 0
    kept = np.sort(np.argsort(Y)[: 7 - result.k0])
    mean = fit_random_effects(Y[kept], V[kept], method="DL").beta[0]
    np.testing.assert_allclose(result.filled_y, 2 * mean - Y[list(result.mirrored)])
    again = fit_random_effects(np.append(Y, result.filled_y), np.append(V, result.filled_v), method="DL")
    assert result.fit.beta[0] == pytest.approx(again.beta[0])


def test_the_side_follows_eggers_slope() -> None:
    assert trim_fill(Y, V).side == "left"
    assert trim_fill(-Y, V).side == "right"


def test_rows_in_the_result_are_those_passed() -> None:
    y, v = np.insert(Y, 0, np.nan), np.insert(V, 0, 0.02)
    result = trim_fill(y, v, side="left", method="DL")
    assert result.mirrored == tuple(row + 1 for row in trim_fill(Y, V, side="left", method="DL").mirrored)
    assert result.notes[0].rows == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trim_fill(Y, np.full(7, 0.02)), "Pass side='left' or 'right'"),
        (lambda: trim_fill(Y[:2], V[:2]), "Pass side='left' or 'right'"),
        (lambda: trim_fill(Y[:1], V[:1], side="left"), "at least 2 effects"),
        (lambda: trim_fill(Y, V, estimator="L1"), "'L0', 'R0', 'Q0'"),
        (lambda: trim_fill(Y, V, side="up"), "'left', 'right'"),
        (lambda: rank_test(Y[:1], V[:1]), "at least 2 effects"),
        (lambda: rank_test(Y, np.append(V[:6], 0.0)), "row 6 with sampling variance 0"),
        (lambda: fail_safe_rosenthal(Y, V, alpha=0.7), "alpha=0.05"),
        (lambda: fail_safe_orwin(Y, target=0.0), "not be 0"),
        (lambda: fail_safe_orwin(Y, target=-0.1), "on the side of the mean"),
        (lambda: excess_significance(Y, V, alpha=1.0), r"must be in \(0, 1\)"),
        (lambda: excess_significance(Y, V, tau2=-1.0), "0 or more"),
        (lambda: excess_significance(Y, V, alternative="greater"), "'positive', 'negative', 'two-sided'"),
    ],
)
def test_errors_say_what_to_do(call: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("side", ["left", "right"])
def test_two_effects_have_a_result(side: str) -> None:
    assert trim_fill(Y[:2], V[:2], side=side).k0 in (0, 1)  # type: ignore[arg-type]


def test_steps_that_go_in_a_circle_give_no_number() -> None:
    """Random-effects weights can move the mean back when an effect is trimmed; metafor 3.8 stops here too."""
    y = [0.43, -0.2, -0.13, 0.1, -0.35, -0.13, 0.14, 0.39, 0.01, 0.24, -1.33, 0.4, -0.51, -1.11, 0.24, 0.19, -0.26,
         -0.68, 0.01, 0.0, 1.23, 0.21, 0.06, 0.89, -0.11]  # fmt: skip
    v = [0.0497, 0.5239, 0.2799, 0.0098, 0.1574, 0.1914, 0.0242, 0.4416, 0.0134, 0.1293, 0.2218, 0.1557, 0.2843, 0.4455,
         0.7425, 0.0701, 0.3458, 0.3974, 0.0742, 0.0011, 0.769, 0.0769, 0.0848, 0.6468, 0.2827]  # fmt: skip
    with pytest.raises(ModelError, match=r"goes in a circle \(k0 = 1, 0, 1, 0"):
        trim_fill(y, v, side="right", method="DL")


# Fail-safe N


def test_rosenthal_brings_the_pooled_test_to_alpha() -> None:
    """With n more z of 0, Stouffer's z is at the quantile; with one fewer it is not."""
    n = fail_safe_rosenthal(Y, V).n
    total = (Y / np.sqrt(V)).sum()
    assert total / np.sqrt(7 + n) <= stats.norm.isf(0.05) < total / np.sqrt(7 + n - 1)


def test_rosenberg_brings_the_weighted_test_to_alpha() -> None:
    n, w = fail_safe_rosenberg(Y, V).n, 1 / V
    z = [w @ Y / np.sqrt(w.sum() + more * w.mean()) for more in (n, n - 1)]
    assert z[0] <= stats.norm.isf(0.025) < z[1]


def test_orwin_brings_the_mean_to_the_target() -> None:
    plain = fail_safe_orwin([0.2, 0.4, 0.6], target=0.1)
    assert (plain.n, plain.mean) == (9, pytest.approx(0.4))
    weighted = fail_safe_orwin([0.2, 0.4, 0.6], [0.01, 0.02, 0.02], target=0.1)
    assert weighted.mean == pytest.approx((100 * 0.2 + 50 * 0.4 + 50 * 0.6) / 200)
    assert weighted.n == 8  # 3 (0.35 - 0.1) / 0.1 = 7.5, rounded up
    assert fail_safe_orwin([-0.2, -0.4]).n == 2


def test_insignificant_effects_need_no_hidden_ones() -> None:
    assert fail_safe_rosenthal([0.1, -0.1], [0.1, 0.1]).n == 0


def test_fail_safe_n_is_marked_as_history() -> None:
    for result in (fail_safe_rosenthal(Y, V), fail_safe_orwin(Y), fail_safe_rosenberg(Y, V)):
        assert result.notes[-1].code == "history"


# Excess significance


def test_the_exact_p_counts_all_outcomes() -> None:
    result = excess_significance(Y, V, effect=0.3)
    outcomes = np.array(list(product([0, 1], repeat=7)))
    chances = np.where(outcomes, result.power, 1 - result.power).prod(axis=1)
    assert result.p_exact == pytest.approx(chances[outcomes.sum(axis=1) >= result.observed].sum())


@pytest.mark.parametrize("alternative", ["two-sided", "positive", "negative"])
def test_power_is_the_share_of_simulated_studies(alternative: str) -> None:
    result = excess_significance(Y, V, effect=0.25, tau2=0.03, null=0.1, alternative=alternative)  # type: ignore[arg-type]
    rng = np.random.default_rng(7)
    z = (0.25 - 0.1 + rng.normal(size=(400_000, 7)) * np.sqrt(V + 0.03)) / np.sqrt(V)
    signed = {"two-sided": np.abs(z), "positive": z, "negative": -z}[alternative]
    share = (signed > stats.norm.isf(0.025 if alternative == "two-sided" else 0.05)).mean(axis=0)
    np.testing.assert_allclose(result.power, share, atol=4 * 0.5 / np.sqrt(400_000))


def test_expected_and_simple_tests_by_hand() -> None:
    result = excess_significance(Y, V, effect=0.3)
    expected = result.power.sum()
    x2 = (result.observed - expected) ** 2 * (1 / expected + 1 / (7 - expected))
    sign = np.sign(result.observed - expected)
    assert result.expected == pytest.approx(expected)
    assert result.ratio == pytest.approx(result.observed / expected)
    assert result.p_chi2 == pytest.approx(stats.norm.sf(sign * np.sqrt(x2)))
    assert result.p_binomial == pytest.approx(
        stats.binomtest(result.observed, 7, expected / 7, alternative="greater").pvalue
    )


def test_the_limit_estimate_has_p_at_its_level() -> None:
    y, v = np.array([0.5, 0.6, 0.45, 0.7, 0.55]), np.array([0.05, 0.07, 0.04, 0.1, 0.06])
    result = excess_significance(y, v, effect=0.3)
    assert result.p_exact < 0.1
    assert excess_significance(y, v, effect=result.limit).p_exact == pytest.approx(0.1, abs=1e-9)
    mirrored = excess_significance(-y, v, effect=-0.3)
    assert mirrored.limit == pytest.approx(-result.limit)


def test_no_limit_where_even_the_null_explains_the_count() -> None:
    result = excess_significance([0.1, 0.2], [0.1, 0.1])
    assert np.isnan(result.limit)
    assert [note.code for note in result.notes] == ["no-limit"]
    assert result.p_exact == 1.0


def test_significant_rows_are_those_passed() -> None:
    result = excess_significance(np.insert(Y, 0, np.nan), np.insert(V, 0, 0.1))
    z = np.insert(Y, 0, 0.0) / np.sqrt(np.insert(V, 0, 0.1))
    assert result.significant == tuple(np.flatnonzero(np.abs(z) > 1.96))
