"""Funnel regressions and what is read off them: Egger's test, PET, PEESE, PET-PEESE, WAAP-WLS."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bias import egger_of_fit, egger_test, fit_funnel_regression, peese, pet, pet_peese, waap_wls
from replication.models.multilevel.robust import robust
from replication.models.two_level.random_effects import fit_random_effects

RNG = np.random.default_rng(97)
K = 24
V = RNG.uniform(0.004, 0.09, K)
Y = 0.2 + 0.8 * np.sqrt(V) + RNG.normal(size=K) * np.sqrt(V + 0.01)
N = np.round(4.0 / V)
CLUSTERS = np.repeat(np.arange(8), 3)


def least_squares(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, standard errors and two-sided p of statsmodels' weighted least squares."""
    import statsmodels.api as sm

    result = sm.WLS(Y, x, weights=1.0 / V).fit()
    return result.params, result.bse, result.pvalues


@pytest.mark.parametrize(
    ("predictor", "column"),
    [("se", np.sqrt(V)), ("variance", V), ("n", N), ("inverse_n", 1 / N), ("sqrt_inverse_n", N**-0.5)],
)
def test_wls_is_weighted_least_squares(predictor: str, column: np.ndarray) -> None:
    beta, se, p = least_squares(np.column_stack([np.ones(K), column]))
    fit = fit_funnel_regression(Y, V, predictor=predictor, n=N)  # type: ignore[arg-type]
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(fit.se, se, rtol=1e-9)
    np.testing.assert_allclose(fit.p, p, rtol=1e-8)


def test_mixed_is_the_meta_regression() -> None:
    fit = fit_random_effects(Y, V, np.column_stack([np.ones(K), np.sqrt(V)]), method="PM", test="z")
    test = egger_test(Y, V, model="mixed", method="PM", test="z")
    assert (test.slope, test.se) == pytest.approx((fit.beta[1], fit.se[1]))
    assert test.p == pytest.approx(2 * stats.norm.sf(abs(fit.beta[1] / fit.se[1])))
    assert test.limit == pytest.approx(fit.beta[0])
    assert (test.limit_interval.low, test.limit_interval.high) == pytest.approx(tuple(fit.interval()[0]))


def test_egger_slope_is_the_intercept_of_the_old_regression() -> None:
    """Egger et al. regress y / se on 1 / se without weights; its intercept is our slope, its slope our limit."""
    old = stats.linregress(1.0 / np.sqrt(V), Y / np.sqrt(V))
    test = egger_test(Y, V, model="wls")
    assert (test.slope, test.se, test.limit) == pytest.approx((old.intercept, old.intercept_stderr, old.slope))


def test_with_moderators_there_is_no_single_limit() -> None:
    x = np.column_stack([np.ones(K), np.arange(K) / K])
    test = egger_test(Y, V, x, names=("intercept", "year"), model="wls")
    assert test.fit.names == ("intercept", "year", "se")
    assert np.isnan(test.limit)
    assert "alone beside the predictor" in test.limit_interval.reason


def test_sample_size_has_no_limit_at_zero() -> None:
    assert "does not go to 0" in egger_test(Y, V, predictor="n", n=N, model="wls").limit_interval.reason


@pytest.mark.parametrize("model", ["wls", "mixed"])
def test_clusters_give_the_cr2_version_of_the_same_fit(model: str) -> None:
    plain = fit_funnel_regression(Y, V, model=model)  # type: ignore[arg-type]
    expected = robust(plain, kind="CR2", clusters=CLUSTERS)
    test = egger_test(Y, V, model=model, clusters=CLUSTERS)  # type: ignore[arg-type]
    assert (test.se, test.df, test.slope) == pytest.approx((expected.se[1], expected.df[1], plain.beta[1]))


def test_egger_of_a_multilevel_fit() -> None:
    from replication.models.multilevel.multilevel import fit_multilevel

    x = np.column_stack([np.ones(K), np.sqrt(V)])
    fit = fit_multilevel(Y, V, CLUSTERS, x=x, names=("intercept", "se"))
    test = egger_of_fit(robust(fit))
    assert test.slope == pytest.approx(fit.beta[1])
    assert test.limit == pytest.approx(fit.beta[0])


def test_a_fit_without_the_predictor_is_refused() -> None:
    with pytest.raises(ModelError, match="no coefficient 'se', only intercept"):
        egger_of_fit(fit_random_effects(Y, V))


def test_pet_and_peese_are_the_two_intercepts() -> None:
    assert pet(Y, V).beta[0] == fit_funnel_regression(Y, V, predictor="se").beta[0]
    assert peese(Y, V).beta[0] == fit_funnel_regression(Y, V, predictor="variance").beta[0]


EXACT = (np.array([0.5, 0.6, 0.72, 0.81, 0.9]), np.array([0.01, 0.02, 0.03, 0.04, 0.05]))


def test_pet_peese_takes_peese_where_pet_finds_an_effect() -> None:
    result = pet_peese(*EXACT)
    assert (result.pet.p[0] < 0.10, result.chosen) == (True, "PEESE")
    assert result.estimate == result.peese.beta[0]


@pytest.mark.parametrize(("direction", "chosen"), [("positive", "PEESE"), ("negative", "PET"), (None, "PEESE")])
def test_pet_peese_heeds_the_expected_direction(direction: str | None, chosen: str) -> None:
    assert pet_peese(*EXACT, direction=direction).chosen == chosen  # type: ignore[arg-type]
    mirrored = {"positive": "negative", "negative": "positive", None: None}[direction]
    assert pet_peese(-EXACT[0], EXACT[1], direction=mirrored).chosen == chosen  # type: ignore[arg-type]


def test_pet_peese_falls_back_on_pet() -> None:
    y, v = np.array([0.1, 0.15, 0.4, 0.3, 0.8]), np.array([0.001, 0.02, 0.03, 0.06, 0.1])
    result = pet_peese(y, v, direction="positive")
    assert (result.pet.p[0] > 0.10, result.chosen) == (True, "PET")
    assert (result.estimate, result.p) == (result.pet.beta[0], result.pet.p[0])
    assert "below 0.1 and the intercept is positive" in result.rule


def test_pet_peese_with_clusters_decides_by_the_robust_test() -> None:
    result = pet_peese(Y, V, clusters=CLUSTERS)
    assert result.pet.p[0] == pytest.approx(robust(pet(Y, V), clusters=CLUSTERS).p[0])


def test_waap_by_hand() -> None:
    """Weighted mean (10, 100, 50, 2) -> threshold mean / 2.8; the two precise studies are powered."""
    y, v = np.array([0.5, 0.3, 0.34, 0.9]), np.array([0.1, 0.005, 0.01, 0.5])
    w = 1 / v
    everyone = w @ y / w.sum()
    powered = np.sqrt(v) <= everyone / 2.8
    mean = w[powered] @ y[powered] / w[powered].sum()
    dispersion = (w[powered] * (y[powered] - mean) ** 2).sum() / (powered.sum() - 1)
    result = waap_wls(y, v)
    assert (result.used, result.powered) == ("WAAP", (1, 2))
    assert result.threshold == pytest.approx(everyone / 2.8)
    assert (result.estimate, result.se) == pytest.approx((mean, np.sqrt(dispersion / w[powered].sum())))
    assert result.df == 1
    assert [note.rows for note in result.notes if note.code == "underpowered-rows"] == [(0, 3)]


def test_waap_averages_all_where_fewer_than_two_have_power() -> None:
    y, v = np.array([0.1, -0.05, 0.2]), np.array([0.1, 0.2, 0.3])
    result = waap_wls(y, v)
    assert (result.used, result.powered) == ("WLS", ())
    assert result.estimate == pytest.approx(np.average(y, weights=1 / v))
    assert [note.code for note in result.notes] == ["few-powered"]


def test_waap_keeps_the_row_numbers_of_what_was_passed() -> None:
    y, v = np.array([np.nan, 0.5, 0.3, 0.34, 0.9]), np.array([0.1, 0.1, 0.005, 0.01, 0.5])
    result = waap_wls(y, v, clusters=["z", "a", "b", "c", "d"])
    assert result.powered == (2, 3)
    assert result.notes[0].rows == (0,)
    assert result.se == pytest.approx(robust(waap_wls(y, v).fit, clusters=["z", "a", "b", "c", "d"]).se[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: egger_test([0.1, 0.2], [0.1, 0.2]), "at least 3 effects and found 2"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.04, 0.04, 0.04]), "same se"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.0, 0.04]), "row 1 with sampling variance 0"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, -0.02, 0.04]), "row 1 .*negative sampling variance"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02, 0.04], predictor="n"), "pass n"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02, 0.04], predictor="n", n=[3, 4]), "one sample size"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02, 0.04], predictor="sei"), "'se', 'variance'"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02, 0.04], model="lm"), "'wls', 'mixed'"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02]), "v has 2 values but y has 3"),
        (lambda: egger_test([0.1, 0.2, 0.4], [0.01, 0.02, 0.04], np.ones(3)), "pass the whole design as"),
        (lambda: pet_peese(Y, V, alpha=5), "alpha=5 is not between 0 and 1"),
        (lambda: pet_peese(Y, V, direction="up"), "'positive', 'negative'"),
        (lambda: waap_wls([0.1], [0.1]), "at least 2 effects"),
    ],
)
def test_errors_say_what_to_do(call: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call()  # type: ignore[operator]


def test_nan_rows_are_left_out_and_named() -> None:
    y = Y.copy()
    y[4] = np.nan
    keep = np.isfinite(y)
    for model in ("wls", "mixed"):
        test, without = egger_test(y, V, model=model), egger_test(Y[keep], V[keep], model=model)  # type: ignore[arg-type]
        assert test.statistic == pytest.approx(without.statistic)
        assert test.notes[0].rows == (4,)
