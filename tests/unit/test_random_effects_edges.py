"""Few effects, no spread, huge spread, zero variances, missing rows, bad designs: a defined result or a clear error."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.fit import Fit
from replication.models.multilevel.robust import wald_test
from replication.models.prediction import blups, predict, prediction_interval
from replication.models.two_level.batch import fit_batch
from replication.models.two_level.influence import cumulative, gosh, influence, leave_one_out
from replication.models.two_level.intervals import heterogeneity_intervals, tau2_interval
from replication.models.two_level.random_effects import fit_random_effects

METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")
Y, V = [0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01]


def codes(fit: Fit) -> set[str]:
    return {note.code for note in fit.notes}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
def test_one_effect_is_the_effect_itself(method: str, test: str) -> None:
    fit = fit_random_effects([0.3], [0.04], method=method, test=test)
    assert fit.beta.tolist() == [0.3] and fit.se.round(12).tolist() == [0.2]
    assert fit.interval()[0].round(6).tolist() == [-0.091993, 0.691993]  # 0.3 -+ 1.959964 x 0.2
    assert np.isnan(fit.component("tau2").estimate) and "saturated" in codes(fit)
    assert np.isnan(prediction_interval(fit).low) and prediction_interval(fit).reason


@pytest.mark.parametrize("method", METHODS)
def test_two_effects(method: str) -> None:
    fit = fit_random_effects([0.0, 1.0], [0.1, 0.1], method=method)
    # equal variances: the mean is 1/2, its variance under knha the sample variance over 2: 0.5 / 2
    assert fit.beta[0] == pytest.approx(0.5, abs=1e-12)
    assert fit.vcov[0, 0] == pytest.approx(0.25, abs=1e-12)
    assert fit.df.tolist() == [1.0]


@pytest.mark.parametrize("method", METHODS)
def test_equal_effects_have_no_heterogeneity(method: str) -> None:
    fit = fit_random_effects([0.1] * 5, [0.01, 0.02, 0.03, 0.04, 0.05], method=method, test="knha")
    assert fit.beta[0] == pytest.approx(0.1, abs=1e-15)
    assert fit.component("tau2").estimate == 0.0
    assert fit.se.tolist() == [0.0] and "perfect-fit" in codes(fit)
    assert fit_random_effects([0.1] * 5, [0.01] * 5, method=method, test="adhoc").se[0] > 0


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("EE", "SJ")])
def test_less_spread_than_sampling_error_is_a_boundary(method: str) -> None:
    fit = fit_random_effects([0.10, 0.11, 0.12, 0.09], [0.1] * 4, method=method)
    assert fit.component("tau2").estimate == 0.0 and fit.component("tau2").at_boundary
    assert "boundary" in codes(fit)
    assert fit.heterogeneity is not None and fit.heterogeneity.I2 == 0.0 and fit.heterogeneity.H2 == 1.0


@pytest.mark.parametrize("method", ["HE", "SJ", "ML", "REML", "EB", "PM", "PMM"])
def test_huge_heterogeneity_leaves_only_the_spread_of_the_effects(method: str) -> None:
    y = np.array([-3e4, 1e4, 2e4, 5e3, -1e4])
    fit = fit_random_effects(y, [1e-6, 2e-6, 3e-6, 1e-6, 1e-6], method=method)
    divisor = {"ML": 5.0, "PMM": 3.356694}.get(method, 4.0)  # 3.356694 is the median of chi-square(4)
    assert fit.component("tau2").estimate == pytest.approx(((y - y.mean()) ** 2).sum() / divisor, rel=1e-6)
    assert fit.beta[0] == pytest.approx(y.mean(), rel=1e-6)
    q = fit.heterogeneity
    assert q is not None and abs(q.I2 - 100.0) < 1e-6


@pytest.mark.parametrize("method", [m for m in METHODS if m != "SJ"])  # SJ overshoots where tau2 is near v
def test_many_effects_find_the_truth(method: str) -> None:
    rng = np.random.default_rng(2000)
    v = rng.uniform(0.01, 0.1, 2000)
    fit = fit_random_effects(0.3 + rng.normal(size=2000) * np.sqrt(v + 0.05), v, method=method)
    assert abs(fit.beta[0] - 0.3) < 5 * fit.se[0] and "not-converged" not in codes(fit)
    assert method == "EE" or fit.component("tau2").estimate == pytest.approx(0.05, abs=0.01)


def test_a_scaled_common_effect_says_so() -> None:
    assert "scaled-common-effect" in codes(fit_random_effects(Y, V, method="EE"))
    assert codes(fit_random_effects(Y, V, method="EE", test="z")) == set()


def test_missing_rows_are_left_out_and_named() -> None:
    fit = fit_random_effects([0.1, np.nan, 0.3, 0.5, 0.2], [0.01, 0.01, 0.02, 0.03, np.nan])
    assert fit.k == 3 and fit.data.rows == (0, 2, 3)
    note = next(note for note in fit.notes if note.code == "excluded-rows")
    assert note.rows == (1, 4) and "rows 1 and 4" in note.message
    same = fit_random_effects([0.1, 0.3, 0.5], [0.01, 0.02, 0.03])
    assert fit.beta.tolist() == same.beta.tolist()
    x = [[1, 1], [1, np.nan], [1, 3], [1, 4]]
    assert fit_random_effects(Y, V, x).data.rows == (0, 2, 3)


@pytest.mark.parametrize("method", ["EE", "DL", "HS", "HSk"])
def test_a_zero_variance_is_refused_where_it_would_weigh_infinitely(method: str) -> None:
    with pytest.raises(ModelError, match=r"row 1 .*REML"):
        fit_random_effects(Y, [0.01, 0.0, 0.03, 0.01], method=method)


@pytest.mark.parametrize("method", ["HE", "SJ", "REML", "EB", "PM", "PMM"])
def test_a_zero_variance_is_the_limit_of_small_ones(method: str) -> None:
    y, v = [-1.0, 0.3, 2.5, 0.2, -2.0], [0.01, 0.0, 0.03, 0.01, 0.02]
    fit = fit_random_effects(y, v, method=method)
    near = fit_random_effects(y, np.maximum(v, 1e-12), method=method)
    assert fit.component("tau2").estimate == pytest.approx(near.component("tau2").estimate, rel=1e-9)
    assert fit.beta[0] == pytest.approx(near.beta[0], rel=1e-9)
    assert "zero-variance" in codes(fit) and fit.heterogeneity is not None and np.isnan(fit.heterogeneity.I2)


def test_zero_variance_without_heterogeneity_has_no_weights() -> None:
    with pytest.raises(ModelError, match=r"row 0 .*infinite"):
        fit_random_effects([0.1, 0.1, 0.11], [0.0, 0.1, 0.1])


def test_collinear_columns_are_named() -> None:
    x = np.column_stack([np.ones(4), [1, 2, 3, 4], [3, 5, 7, 9]])
    with pytest.raises(ModelError, match="'c' is a combination of 'a', 'b'"):
        fit_random_effects(Y, V, x, names=["a", "b", "c"])
    with pytest.raises(ModelError, match="'b' is all zeros"):
        fit_random_effects(Y, V, np.column_stack([np.ones(4), np.zeros(4)]), names=["a", "b"])
    with pytest.raises(ModelError, match="only 2 effects"):
        fit_random_effects(Y[:2], V[:2], x[:2], names=["a", "b", "c"])


def test_columns_of_different_scale_are_not_collinear() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(30), 1e6 + rng.normal(size=30), 1e-8 * rng.normal(size=30)])
    fit = fit_random_effects(rng.normal(size=30), rng.uniform(0.1, 1, 30), x)
    centred = x - [0, 1e6, 0]
    again = fit_random_effects(fit.data.y, fit.data.v, centred)
    assert fit.beta[1:] == pytest.approx(again.beta[1:], rel=1e-8)


def exact_common_effect(y: list[float], v: list[float], x: list[list[float]]) -> tuple[list[Fraction], Fraction]:
    """Weighted least squares in rational numbers: coefficients and Q, without any rounding."""
    Y, W, X = [Fraction(a) for a in y], [1 / Fraction(a) for a in v], [[Fraction(a) for a in row] for row in x]
    p = len(X[0])
    A = [[sum(w * r[a] * r[b] for w, r in zip(W, X, strict=True)) for b in range(p)] for a in range(p)]
    A = [[*row, sum(w * r[a] * t for w, r, t in zip(W, X, Y, strict=True))] for a, row in enumerate(A)]
    for i in range(p):
        A[i] = [a / A[i][i] for a in A[i]]
        A = [row if j == i else [a - row[i] * b for a, b in zip(row, A[i], strict=True)] for j, row in enumerate(A)]
    beta = [row[-1] for row in A]
    fitted = [sum(a * b for a, b in zip(row, beta, strict=True)) for row in X]
    return beta, sum(w * (a - b) ** 2 for w, a, b in zip(W, Y, fitted, strict=True))


@pytest.mark.parametrize("ratio", [1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("centre", [0.0, 2000.0])
def test_unequal_weights_and_a_far_moderator_lose_few_digits(ratio: float, centre: float) -> None:
    rng = np.random.default_rng(3)
    v = rng.uniform(0.5, 1.0, 12)
    v[0] /= ratio
    x = np.column_stack([np.ones(12), centre + rng.normal(size=12)])
    y = rng.normal(size=12)
    beta, Q = exact_common_effect(y.tolist(), v.tolist(), x.tolist())
    fit = fit_random_effects(y, v, x, method="EE", test="z")
    assert fit.heterogeneity is not None
    assert abs(Fraction(fit.heterogeneity.Q) / Q - 1) < 1e-10
    assert all(abs(Fraction(float(b)) / exact - 1) < 1e-10 for b, exact in zip(fit.beta, beta, strict=True))


def exact_projection(v: list[float]) -> list[list[Fraction]]:
    """P at tau2 = 0 for an intercept alone, in rational numbers."""
    w = [1 / Fraction(a) for a in v]
    return [[a * (i == j) - a * b / sum(w) for j, b in enumerate(w)] for i, a in enumerate(w)]


@pytest.mark.parametrize(("ratio", "digits"), [(1e3, 1e-10), (1e6, 1e-9), (1e9, 1e-6)])
def test_traces_of_unequal_weights_lose_few_digits(ratio: float, digits: float) -> None:
    rng = np.random.default_rng(4)
    v = rng.uniform(0.5, 1.0, 8)
    v[3] /= ratio
    fit = fit_random_effects(3.0 * rng.normal(size=8), v, method="DL")
    P, tau2 = exact_projection(v.tolist()), Fraction(fit.component("tau2").estimate)
    spread = [Fraction(a) + tau2 for a in v.tolist()]
    trace = sum(P[i][i] for i in range(8))
    square = sum(P[i][j] ** 2 * spread[i] * spread[j] for i in range(8) for j in range(8))
    assert fit.component("tau2").se == pytest.approx(float(2 * square) ** 0.5 / float(trace), rel=digits)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [0.1, np.inf, 0.5, 0.2]}, "row 1 with an infinite"),
        ({"v": [0.01, -0.02, 0.03, -0.01]}, "rows 1 and 3 with a negative sampling variance"),
        ({"v": [0.01, 0.02]}, "v has 2 values but y has 4"),
        ({"y": [[0.1, 0.2]]}, "shape"),
        ({"y": ["a", "b", "c", "d"]}, "not a number"),
        ({"y": [np.nan] * 4}, "no effect is left"),
        ({"x": [1, 2, 3, 4]}, "whole design"),
        ({"x": np.ones((4, 2)), "names": ["a", "a"]}, "2 different names"),
        ({"method": "REMl"}, "'REML'"),
        ({"test": "KH"}, "'knha'"),
        ({"level": 95}, "between 0 and 1"),
        ({"weights": [1, 1, -1, 1]}, "row 2 with a negative or infinite weight"),
        ({"weights": [0, 0, 0, 0]}, "positive weight alone"),
    ],
)
def test_hostile_input_is_refused_with_what_to_do(change: dict[str, object], words: str) -> None:
    arguments = {"y": Y, "v": V} | change
    with pytest.raises(ModelError, match=words):
        fit_random_effects(**arguments)  # type: ignore[arg-type]


def test_user_weights_leave_tau2_alone() -> None:
    plain, weighted = fit_random_effects(Y, V), fit_random_effects(Y, V, weights=[1, 1, 1, 1])
    assert weighted.beta[0] == pytest.approx(np.mean(Y), rel=1e-12)
    assert weighted.component("tau2").estimate == plain.component("tau2").estimate
    spread = np.array(V) + plain.component("tau2").estimate
    scale = fit_random_effects(Y, V, test="knha").vcov[0, 0] / fit_random_effects(Y, V, test="z").vcov[0, 0]
    assert weighted.vcov[0, 0] == pytest.approx(scale * spread.sum() / 16, rel=1e-12)


def test_optimal_weights_given_by_hand_change_nothing() -> None:
    plain = fit_random_effects(Y, V)
    again = fit_random_effects(Y, V, weights=1 / (np.array(V) + plain.component("tau2").estimate))
    assert again.beta == pytest.approx(plain.beta, rel=1e-12) and again.vcov == pytest.approx(plain.vcov, rel=1e-12)
    assert again.loglik == pytest.approx(plain.loglik, rel=1e-12)


def test_wald_test_of_some_coefficients() -> None:
    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(20), rng.normal(size=(20, 2))])
    fit = fit_random_effects(rng.normal(size=20), np.full(20, 0.3), x, names=["intercept", "a", "b"])
    one = wald_test(fit, ["a"])
    assert one.statistic == pytest.approx(fit.statistic[1] ** 2) and one.p == pytest.approx(fit.p[1])
    assert wald_test(fit).names == ("a", "b") and wald_test(fit).method == "F" and wald_test(fit).df_den == 17
    with pytest.raises(ModelError, match="intercept, a, b"):
        wald_test(fit, ["c"])


def test_prediction_needs_moderators_where_the_model_has_them() -> None:
    fit = fit_random_effects(Y, V, [[1, 0], [1, 1], [1, 2], [1, 4]])
    with pytest.raises(ModelError, match="x_new"):
        prediction_interval(fit)
    with pytest.raises(ModelError, match=r"\(n, 2\)"):
        predict(fit, [[1.0]])
    assert prediction_interval(fit_random_effects(Y, V, method="EE", test="z")).reason


def test_intervals_for_tau2_say_when_there_is_none() -> None:
    assert tau2_interval(fit_random_effects(Y, V, method="EE")).reason
    with pytest.raises(ModelError, match="ML or REML"):
        tau2_interval(fit_random_effects(Y, V, method="DL"), "profile")
    with pytest.raises(ModelError, match="'qprofile', 'profile', 'wald'"):
        tau2_interval(fit_random_effects(Y, V), "score")  # type: ignore[arg-type]
    wald = tau2_interval(fit_random_effects(Y, V), "wald")
    assert wald.low == 0.0 < wald.high


def test_heterogeneity_intervals_and_riley_s_prediction_interval() -> None:
    # metafor 3.8: confint(rma(y, v)) and predict(rma(y, v), pi.type = "riley") run to convergence
    fit = fit_random_effects(Y, V, test="z")
    found = heterogeneity_intervals(fit)
    ends = [found.tau2.high, found.tau.high, found.I2.high, found.H2.high]
    assert ends == pytest.approx([0.38391381, 0.61960778, 96.23978921, 26.59425377], rel=1e-7)
    assert [found.tau2.low, found.tau.low, found.I2.low, found.H2.low] == [0, 0, 0, 1]
    riley = prediction_interval(fit, method="riley")
    assert [riley.low, riley.high] == pytest.approx([-0.1999287407, 0.6584085713], rel=1e-8)
    few = prediction_interval(fit_random_effects(Y[:2], V[:2]), method="riley")
    assert np.isnan(few.low) and "degrees of freedom" in few.reason


def test_leave_one_out_refits() -> None:
    fit = fit_random_effects(Y, V, weights=[1, 2, 3, 4])
    out = leave_one_out(fit)
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        single = fit_random_effects(np.array(Y)[rest], np.array(V)[rest], weights=np.array([1, 2, 3, 4])[rest])
        assert out.fits.beta[i] == pytest.approx(single.beta, rel=1e-12)
        assert out.interval()[i] == pytest.approx(single.interval(), rel=1e-9)


def test_cumulative_ends_at_the_whole() -> None:
    fit = fit_random_effects([np.nan, *Y], [0.1, *V])
    grown = cumulative(fit, order=[3, 1, 0, 2])
    assert grown.rows == (4, 2, 1, 3)
    assert grown.fits.k.tolist() == [1, 2, 3, 4] and grown.fits.defined.all()
    assert grown.fits.beta[0] == pytest.approx([0.2]) and grown.fits.beta[-1] == pytest.approx(fit.beta, rel=1e-12)
    with pytest.raises(ModelError, match="each position"):
        cumulative(fit, order=[0, 0, 1, 2])


def test_diagnostics_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ModelError, match="refit without"):
        influence(fit_random_effects(Y, V, weights=[1, 2, 3, 4]))
    with pytest.raises(ModelError, match="at least 3"):
        influence(fit_random_effects(Y[:2], V[:2]))
    with pytest.raises(ModelError, match="fit_random_effects"):
        blups(
            Fit(method={}, names=("a",), beta=np.ones(1), vcov=np.eye(1), df=np.ones(1), components=(), loglik=0.0, k=1)
        )


def test_blups_lie_between_effect_and_mean() -> None:
    fit = fit_random_effects(Y, V)
    effect = blups(fit).effect
    assert ((effect - fit.beta[0]) * (np.array(Y) - effect) >= 0).all()
    none = blups(fit_random_effects([0.1, 0.11, 0.12], [0.1] * 3))
    assert none.effect == pytest.approx([0.11] * 3)


def test_gosh_holds_every_subset_or_a_sample_of_them() -> None:
    fit = fit_random_effects(Y, V)
    whole = gosh(fit, np.random.default_rng(1))
    assert whole.complete and len(whole.members) == 11  # 6 pairs, 4 triples, the whole
    for members, beta in zip(whole.members, whole.fits.beta[:, 0], strict=True):
        single = fit_random_effects(np.array(Y)[members], np.array(V)[members])
        assert beta == pytest.approx(single.beta[0], rel=1e-12)
    rng = np.random.default_rng(5)
    y, v = rng.normal(size=20), np.full(20, 0.1)
    sample = gosh(fit_random_effects(y, v), rng, subsets=500)
    assert not sample.complete and sample.members.shape == (500, 20)
    assert sample.members.sum(axis=1).mean() == pytest.approx(10, abs=0.5)


def test_gosh_keeps_the_effects_of_a_study_together() -> None:
    fit = fit_random_effects(Y, V)
    result = gosh(fit, np.random.default_rng(1), studies=["a", "a", "b", "c"], smallest=2)
    assert result.studies == ("a", "b", "c") and len(result.members) == 4
    assert set(result.fits.k.tolist()) == {2, 3, 4}
    with pytest.raises(ModelError, match="2 labels"):
        gosh(fit, np.random.default_rng(1), studies=["a", "b"])
    with pytest.raises(ModelError, match="smallest"):
        gosh(fit, np.random.default_rng(1), smallest=9)


def test_batch_of_unequal_data_sets() -> None:
    y = [[0.1, 0.3, 0.5, 0.2], [0.1, np.nan, 0.4, np.nan], [np.nan, np.nan, 0.7, np.nan], [np.nan] * 4]
    fits = fit_batch(y, V)
    assert fits.k.tolist() == [4, 2, 1, 0] and fits.defined.tolist() == [True, True, True, False]
    assert fits.beta[0] == pytest.approx(fit_random_effects(Y, V).beta)
    assert fits.beta[1] == pytest.approx(fit_random_effects([0.1, 0.4], [0.01, 0.03]).beta)
    assert fits.beta[2] == pytest.approx([0.7]) and np.isnan(fits.tau2[2])
    assert np.isnan(fits.beta[3]).all() and np.isnan(fits.p[3]).all() and np.isnan(fits.interval()[3]).all()


def test_batch_loses_rank_in_some_subsets_only() -> None:
    x = [[1, 0], [1, 0], [1, 0], [1, 1]]
    fits = fit_batch(Y, V, x, counts=[[1, 1, 1, 1], [1, 1, 1, 0]])
    assert fits.defined.tolist() == [True, False]


def test_batch_design_by_set() -> None:
    rng = np.random.default_rng(1)
    y, v, x = rng.normal(size=(5, 12)), rng.uniform(0.1, 1, (5, 12)), rng.normal(size=(5, 12, 2))
    x[..., 0] = 1.0
    x[4, :, 1] = 3.0
    fits = fit_batch(y, v, x, workers=1)
    for b in range(4):
        assert fits.beta[b] == pytest.approx(fit_random_effects(y[b], v[b], x[b]).beta, rel=1e-10)
    assert fits.defined.tolist() == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": [0.01, 0.02]}, "do not fit together"),
        ({"y": np.ones((2, 4)), "counts": np.ones((3, 4))}, "unequal numbers"),
        ({"y": [np.inf, 1, 2, 3]}, "infinite"),
        ({"v": [0.1, 0.1, -0.1, 0.1]}, "row 2 with a negative"),
        ({"counts": [[1, 1, 1, -1]]}, "counts must be"),
        ({"v": [0.1, 0.1, 0.0, 0.1], "method": "DL"}, "weigh infinitely"),
        ({"method": "X"}, "'REML'"),
    ],
)
def test_batch_refuses_hostile_input(change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        fit_batch(**({"y": Y, "v": V} | change))  # type: ignore[arg-type]


def test_batch_does_not_depend_on_workers() -> None:
    rng = np.random.default_rng(1)
    y, v = rng.normal(size=(2000, 10)), rng.uniform(0.1, 1, (2000, 10))
    one, two = fit_batch(y, v, workers=1), fit_batch(y, v, workers=2)
    assert (one.tau2 == two.tau2).all() and (one.beta == two.beta).all()


def test_a_square_design_with_one_exact_effect_has_no_likelihood() -> None:
    """Its density at the fitted value has no bound; the coefficients are there all the same."""
    fit = fit_random_effects([0.3, 0.5], [0.0, 0.01], np.eye(2), names=["a", "b"])
    assert fit.beta.tolist() == [0.3, 0.5] and np.isnan(fit.loglik)
    assert np.isfinite(fit_random_effects([0.3, 0.5], [0.02, 0.01], np.eye(2), names=["a", "b"]).loglik)


def test_equal_effects_leave_sidik_and_jonkman_nothing_to_scale() -> None:
    tau2 = fit_random_effects([0.3, 0.3, 0.3], [0.01, 0.02, 0.03], method="SJ").component("tau2")
    assert (tau2.estimate, tau2.se) == (0.0, 0.0)


def test_infinite_effects_of_both_signs_are_named_and_huge_ones_fitted() -> None:
    """A sum stands in for the look at every number: infinite ones cancel in it. Huge ones go the long way."""
    with pytest.raises(ModelError, match="with an infinite value") as refused:
        fit_random_effects([np.inf, 0.1, -np.inf], [0.1, 0.1, 0.1])
    assert "0" in str(refused.value) and "2" in str(refused.value)
    huge = fit_random_effects([1e150, 3e150, 2e150], [1.0, 1.0, 1.0], method="EE", test="z")
    assert huge.beta[0] == pytest.approx(2e150)
