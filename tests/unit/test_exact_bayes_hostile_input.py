"""Awkward data and priors: an answer with its reasons, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.summaries import summarize
from replication.models.bayes.priors import (
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
    Uniform,
)

TAU, MEAN = HalfNormal(0.3), Normal(0.0, 1.0)
Y, V = [0.3, 0.1, 0.6, 0.2], [0.01, 0.02, 0.01, 0.03]


def two(y: object = Y, v: object = V, **options: object) -> ExactPosterior:
    return exact_two_level(y, v, **({"tau": TAU, "coefficients": MEAN} | options))


def three(**options: object) -> ExactPosterior:
    given = {"between": TAU, "within": TAU, "coefficients": MEAN} | options
    return exact_three_level(Y, given.pop("V", V), list(given.pop("cluster", "aabb")), **given)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: two([0.3, 0.5], [0.01, 0.02], tau=Power(0.0), coefficients=Flat()), ("improper", "HalfNormal")),
        (lambda: two(tau=Power(-1.0), coefficients=Flat()), ("near 0", "exponent above -1")),
        (lambda: two(tau=Power(2.0), coefficients=Flat()), ("improper", "more effects")),
        (lambda: three(between=Power(0.0), coefficients=Flat()), ("between sd is improper",)),
        (lambda: two([0.3], [0.01], x=[[1.0, 2.0]], coefficients=Flat()), ("x0, x1", "flat prior", "Normal")),
        (lambda: two(v=[0.0, 0.02, 0.01, 0.03], tau=Fixed(0.0)), ("rows 0", "variance 0")),
        (lambda: two([0.3, 0.3, 0.1], [0.0, 0.0, 0.1]), ("rows 0, 1", "improper at tau = 0")),
        (lambda: two(v=[0.1, -0.1, 0.1, 0.1]), ("row 1", "negative")),
        (lambda: two([0.3, np.inf, 0.1, 0.1]), ("row 1", "infinite")),
        (lambda: two([np.nan] * 4), ("no effect is left",)),
        (lambda: two(v=[0.01]), ("4 effects", "has 1")),
        (lambda: two(x=[[1.0, 0.0]]), ("(4, p)",)),
        (lambda: two(x=[[1.0], [np.inf], [1.0], [1.0]]), ("infinite",)),
        (lambda: two(coefficients=[MEAN, MEAN]), ("2 priors", "intercept")),
        (lambda: two(names=["a", "b"]), ("1 columns",)),
        (lambda: two(rtol=0.5), ("rtol",)),
        (lambda: two(level=95.0), ("level",)),
        (lambda: three(V=np.eye(4) * 0.02 + 0.01), ("different clusters",)),
        (lambda: three(cluster="abc"), ("label",)),
        (
            lambda: two(v=[[0.01, 0.02, 0, 0], [0.02, 0.01, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
            ("not positive", "0 and 1"),
        ),
        (lambda: two().coefficient("slope"), ("no coefficient 'slope'", "intercept")),
        (lambda: two().sd("between"), ("tau",)),
        (lambda: two(x=np.eye(4)).predict(), ("`at` needs 4 numbers",)),
        (lambda: two(x=np.eye(4)).average([1.0]), ("`at` needs 4 numbers",)),
        (lambda: two().effect(9), ("row 9",)),
        (lambda: two(coefficients=StudentT(0.0, 1.0, df=3.0)).log_density(0.1), ("Normal",)),
        (lambda: two(x=np.eye(4), coefficients=StudentT(0.0, 1.0, df=3.0)), ("5 sds", "Normal")),
    ],
)
def test_errors_say_what_was_found_and_what_to_do(make: Callable[[], object], words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_rows_with_a_missing_value_are_left_out_and_named() -> None:
    x = [[1.0], [1.0], [np.nan], [1.0], [1.0]]
    fit = exact_two_level([0.3, np.nan, 0.4, 0.6, 0.2], [0.01, 0.02, 0.02, 0.01, 0.03], x, tau=TAU, coefficients=MEAN)
    assert [note.rows for note in fit.notes if note.code == "excluded-rows"] == [(1, 2)]
    assert fit.effects().rows == (0, 3, 4)
    rest = exact_two_level([0.3, 0.6, 0.2], [0.01, 0.01, 0.03], tau=TAU, coefficients=MEAN)
    assert fit.coefficient().mean == pytest.approx(rest.coefficient().mean, rel=1e-12)


def test_a_missing_label_leaves_its_row_out() -> None:
    fit = exact_three_level(Y, V, ["a", "a", None, "b"], between=TAU, within=TAU, coefficients=MEAN)
    assert (fit.k, fit.clusters) == (3, 2)


@pytest.mark.parametrize(
    ("k", "tau", "mean", "sd"),
    [
        (1, HalfCauchy(0.3), False, False),
        (2, HalfCauchy(0.3), True, False),
        (3, HalfCauchy(0.3), True, True),
        (3, Power(0.0), False, False),
        (4, Power(0.0), True, False),
        (1, HalfNormal(0.3), True, True),
    ],
)
def test_moments_that_do_not_exist_are_nan_with_a_reason(k: int, tau: PositivePrior, mean: bool, sd: bool) -> None:
    """Under a flat mean, tau's posterior falls as tau^-(prior index + k): 1 for a half-Cauchy, -1 for a flat prior."""
    fit = two(Y[:k], V[:k], tau=tau, coefficients=Flat())
    for marginal in (fit.sd(), fit.coefficient(), fit.predict()):
        assert (np.isfinite(marginal.mean), np.isfinite(marginal.sd)) == (mean, sd)
        assert bool(marginal.reason) == (not sd)
        s = summarize(marginal, "")
        assert s.central.low < s.median < s.central.high
        assert s.shortest.high - s.shortest.low <= (s.central.high - s.central.low) * (1 + 1e-9)


def test_undefined_bayes_factors_are_nan_with_a_reason() -> None:
    fit = two(tau=Power(0.0), coefficients=Flat())
    assert np.isnan(fit.log_marginal)
    assert "power" in fit.improper
    for factor in (fit.bayes_factor(), fit.bayes_factor_sd()):
        assert np.isnan(factor.log10)
        assert "improper" in factor.reason
    flat_mean = two(coefficients=Flat())
    assert np.isfinite(flat_mean.bayes_factor_sd().log10)
    zero = two(v=[0.0, 0.02, 0.01, 0.03])
    assert "rows 0" in zero.bayes_factor_sd().reason


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4, 1e8])
def test_any_unit_of_measurement(scale: float) -> None:
    y, v = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18]) ** 2
    one = two(y, v, tau=HalfCauchy(25.0), coefficients=Normal(0.0, 50.0))
    other = two(y * scale, v * scale**2, tau=HalfCauchy(25.0 * scale), coefficients=Normal(0.0, 50.0 * scale))
    assert other.coefficient().mean / scale == pytest.approx(one.coefficient().mean, rel=1e-9)
    assert other.sd().sd / scale == pytest.approx(one.sd().sd, rel=1e-9)
    assert other.log_marginal + 8 * np.log(scale) == pytest.approx(one.log_marginal, abs=1e-9)
    assert other.bayes_factor().log10 == pytest.approx(one.bayes_factor().log10, abs=1e-8)
    np.testing.assert_allclose(other.predict().ppf([0.1, 0.9]) / scale, one.predict().ppf([0.1, 0.9]), rtol=1e-8)


@pytest.mark.parametrize("shift", [-1e6, 7.0, 1e6])
def test_a_shift_moves_the_mean_alone(shift: float) -> None:
    one, other = two(coefficients=Flat()), two(np.array(Y) + shift, coefficients=Flat())
    assert other.coefficient().mean - shift == pytest.approx(one.coefficient().mean, abs=1e-9 + 1e-15 * abs(shift))
    assert other.sd().mean == pytest.approx(one.sd().mean, rel=1e-8)
    assert other.summary().quantities[1].shortest.low - shift == pytest.approx(
        one.summary().quantities[1].shortest.low, abs=1e-8
    )


AWKWARD: dict[str, Callable[[], ExactPosterior]] = {
    "identical effects": lambda: two([0.3] * 6, [0.01] * 6),
    "one zero variance": lambda: two(v=[0.0, 0.02, 0.01, 0.03]),
    "one effect without variance": lambda: two([0.3], [0.0]),
    "all zero variances": lambda: two(v=[0.0] * 4),
    "nearly zero variance": lambda: two(v=[1e-20, 0.02, 0.01, 0.03]),
    "variances over 22 powers of ten": lambda: two(v=[1e-12, 1e-2, 1e4, 1e10]),
    "prior far from the data": lambda: two([30.0, 50.0, -12.0], [1e-4] * 3, tau=HalfNormal(0.01)),
    "very wide priors": lambda: two(tau=HalfCauchy(1e6), coefficients=Normal(0.0, 1e6)),
    "very vague inverse gamma": lambda: two(tau=InverseGamma(1e-3, 1e-3, on="tau2")),
    "log-normal over 26 powers of ten": lambda: two(tau=LogNormal(0.0, 30.0, on="tau2")),
    "needle": lambda: two(tau=LogNormal(-0.3, 1e-5, on="tau")),
    "far uniform": lambda: two(tau=Uniform(5.0, 6.0)),
    "tiny uniform": lambda: two(tau=Uniform(0.0, 1e-9)),
    "tails like x^-1.2": lambda: two(Y[:2], V[:2], tau=HalfT(0.3, df=0.2), coefficients=Flat()),
    "root prior": lambda: two(tau=Power(-0.5), coefficients=Flat()),
    "flat on tau2": lambda: two(tau=Power(0.0, on="tau2"), coefficients=Flat()),
    "more coefficients than effects": lambda: two(x=np.vander(np.arange(4.0), 6)),
    "collinear design": lambda: two(x=[[1.0, 2.0]] * 4),
    "column of zeros": lambda: two(x=[[1.0, 0.0]] * 4),
    "one cluster": lambda: three(cluster="aaaa"),
    "a cluster each": lambda: three(cluster="abcd"),
    "both sds half-Cauchy": lambda: three(between=HalfCauchy(0.3), within=HalfCauchy(0.3)),
    "both sds flat": lambda: exact_three_level(
        np.arange(8.0), [0.1] * 8, list("aabbccdd"), between=Power(0.0), within=Power(0.0), coefficients=Flat()
    ),
    "perfectly correlated errors": lambda: three(V=np.kron(np.eye(2), np.full((2, 2), 0.02))),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_cases_reach_the_accuracy_asked_for(case: str) -> None:
    fit = AWKWARD[case]()
    assert fit.accuracy.reached
    for q in fit.summary().quantities:
        assert np.isfinite([q.median, q.mode, q.central.low, q.central.high, q.shortest.low, q.shortest.high]).all()
        assert q.central.low <= q.median <= q.central.high
    assert np.isfinite(fit.effects().mean).all()
    assert (fit.effects().sd >= 0).all()


def test_an_accuracy_that_cannot_be_reached_is_a_note() -> None:
    """Tails like tau^-1.01 leave a share beyond any number a computer has."""
    fit = two(Y[:1], V[:1], tau=HalfT(0.3, df=0.01), coefficients=Flat())
    assert not fit.accuracy.reached
    assert [note.code for note in fit.notes if note.code == "accuracy"] == ["accuracy"]


def test_singleton_clusters_are_told() -> None:
    assert any(note.code == "confounded" for note in three(cluster="abcd").notes)
    assert not three().notes


def test_many_effects_with_a_needle_of_a_posterior() -> None:
    """20,000 effects: the posterior of tau is a needle, found and resolved."""
    rng = np.random.default_rng(20110811)
    y = rng.normal(0.3, np.hypot(0.17, 0.1), 20_000)
    fit = two(y, np.full(20_000, 0.01), tau=HalfCauchy(0.3))
    tau2 = y.var() - 0.01
    assert fit.accuracy.reached
    assert fit.sd().mean == pytest.approx(np.sqrt(tau2), abs=3e-4)
    assert fit.coefficient().mean == pytest.approx(y.mean(), rel=1e-4)
    assert fit.coefficient().sd == pytest.approx(np.sqrt((tau2 + 0.01) / 20_000), rel=1e-3)
