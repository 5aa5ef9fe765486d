"""What must hold for any data: defining equations, equivariance under shift, scale, sign and order, the global peak."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from replication.errors import ModelError
from replication.models import least_squares
from replication.models.fit import Fit
from replication.models.least_squares import (
    orthonormal,
    quadratic_PP,
    quadratic_PPP,
    rss,
    single_set,
    trace_P,
    trace_PP,
    weighted_at,
)
from replication.models.prediction import predict
from replication.models.two_level.batch import fit_batch
from replication.models.two_level.influence import leave_one_out
from replication.models.two_level.intervals import tau2_interval
from replication.models.two_level.random_effects import fit_random_effects
from replication.models.two_level.tau2 import highest_peaks, solve_q
from tests.tolerances import CONVERGED, SAME, assert_close

METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM")


@dataclass(frozen=True)
class Data:
    y: np.ndarray
    v: np.ndarray
    x: np.ndarray


@st.composite
def data_sets(draw: st.DrawFn, moderators: bool = True) -> Data:
    """k from 3 to 40, variances over up to four powers of ten, heterogeneity from none to a hundred times v."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.integers(1, 3)) if moderators else 1
    k = draw(st.integers(p + 2, 40))
    v = 10.0 ** rng.uniform(-1.0 - draw(st.floats(0.0, 3.0)), -1.0, k)
    tau2 = draw(st.sampled_from([0.0, 0.01, 0.1, 1.0, 10.0]))
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    return Data(x @ rng.normal(size=p) + rng.normal(size=k) * np.sqrt(v + tau2), v, x)


def projection(data: Data, tau2: float) -> np.ndarray:
    """P of the literature, built in full."""
    W = np.diag(1.0 / (data.v + tau2))
    return W - W @ data.x @ np.linalg.solve(data.x.T @ W @ data.x, data.x.T @ W)


def log_likelihood(data: Data, tau2: float, restricted: bool) -> float:
    """The multivariate normal density of y at its best mean; for REML, of error contrasts (a null-space basis)."""
    S = np.diag(data.v + tau2)
    if restricted:
        K = np.linalg.qr(data.x, mode="complete")[0][:, data.x.shape[1] :]
        return float(stats.multivariate_normal(cov=K.T @ S @ K).logpdf(K.T @ data.y))
    W = np.linalg.inv(S)
    mean = data.x @ np.linalg.solve(data.x.T @ W @ data.x, data.x.T @ W @ data.y)
    return float(stats.multivariate_normal(mean=mean, cov=S).logpdf(data.y))


def numbers(fit: Fit) -> np.ndarray:
    q = fit.heterogeneity
    assert q is not None
    return np.array([*fit.beta, *fit.se, *fit.interval().ravel(), fit.component("tau2").estimate, q.Q, q.I2, q.H2])


@given(data_sets())
@settings(max_examples=40, deadline=None)
def test_score_is_zero_at_an_inner_estimate_and_negative_at_a_boundary(data: Data) -> None:
    for method in ("ML", "REML"):
        tau2 = fit_random_effects(data.y, data.v, data.x, method=method).component("tau2").estimate
        P = projection(data, tau2)
        trace = np.trace(P) if method == "REML" else np.sum(1.0 / (data.v + tau2))
        score = data.y @ P @ P @ data.y - trace
        assert abs(score) < 1e-7 * trace if tau2 > 0 else score <= 1e-7 * trace


@given(data_sets())
@settings(max_examples=40, deadline=None)
def test_loglik_is_the_normal_density(data: Data) -> None:
    for method, restricted in (("ML", False), ("REML", True), ("DL", False)):
        fit = fit_random_effects(data.y, data.v, data.x, method=method)
        expected = log_likelihood(data, fit.component("tau2").estimate, restricted)
        assert abs(fit.loglik - expected) < 1e-8 * max(1.0, abs(expected))


@given(data_sets())
@settings(max_examples=12, deadline=None)
def test_no_other_tau2_is_more_likely(data: Data) -> None:
    trial = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 200)])
    for method, restricted in (("ML", False), ("REML", True)):
        fit = fit_random_effects(data.y, data.v, data.x, method=method)
        best = log_likelihood(data, fit.component("tau2").estimate, restricted)
        assert best >= max(log_likelihood(data, t, restricted) for t in trial) - 1e-9


@given(data_sets())
@settings(max_examples=40, deadline=None)
def test_paule_mandel_family_solves_its_equation(data: Data) -> None:
    df = len(data.y) - data.x.shape[1]
    for method, target in (("PM", df), ("EB", df), ("PMM", stats.chi2.median(df))):
        tau2 = fit_random_effects(data.y, data.v, data.x, method=method).component("tau2").estimate
        Q = data.y @ projection(data, tau2) @ data.y
        assert abs(Q - target) < 1e-8 * target if tau2 > 0 else target * (1 + 1e-8) >= Q


@given(data_sets(), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
@settings(max_examples=40, deadline=None)
def test_q_profile_ends_solve_their_equations(data: Data, level: float) -> None:
    interval = tau2_interval(fit_random_effects(data.y, data.v, data.x), level=level)
    df, tail = len(data.y) - data.x.shape[1], 0.5 * (1 - level)
    Q0 = data.y @ projection(data, 0.0) @ data.y
    upper, lower = stats.chi2.isf(tail, df), stats.chi2.ppf(tail, df)
    if lower > Q0:
        assert np.isnan(interval.low) and np.isnan(interval.high) and interval.reason
        return
    for end, quantile in ((interval.low, upper), (interval.high, lower)):
        Q = data.y @ projection(data, end) @ data.y
        assert abs(Q - quantile) < 1e-8 * quantile if end > 0 else quantile * (1 + 1e-8) >= Q0


@given(data_sets(), st.sampled_from(["ML", "REML"]))
@settings(max_examples=30, deadline=None)
def test_profile_likelihood_ends_drop_by_half_the_quantile(data: Data, method: str) -> None:
    fit = fit_random_effects(data.y, data.v, data.x, method=method)
    interval = tau2_interval(fit, "profile")
    cut = fit.loglik - 0.5 * stats.chi2.ppf(0.95, 1)
    restricted = method == "REML"
    assert interval.low <= fit.component("tau2").estimate <= interval.high
    assert abs(log_likelihood(data, interval.high, restricted) - cut) < 1e-7
    at_low = log_likelihood(data, interval.low, restricted)
    assert abs(at_low - cut) < 1e-7 if interval.low > 0 else at_low >= cut - 1e-7


@given(data_sets(), st.sampled_from(METHODS), st.floats(-6, 6), st.booleans())
@settings(max_examples=50, deadline=None)
def test_scale_and_sign(data: Data, method: str, power: float, flip: bool) -> None:
    factor = 10.0**power * (-1 if flip else 1)
    fit = fit_random_effects(data.y, data.v, data.x, method=method)
    scaled = fit_random_effects(factor * data.y, factor**2 * data.v, data.x, method=method)
    assert_close(scaled.beta, factor * fit.beta, CONVERGED)
    assert_close(scaled.vcov, factor**2 * fit.vcov, CONVERGED)
    assert_close(scaled.component("tau2").estimate, factor**2 * fit.component("tau2").estimate, CONVERGED)
    q, s = fit.heterogeneity, scaled.heterogeneity
    assert q and s
    assert_close([s.Q, s.I2, s.H2], [q.Q, q.I2, q.H2], CONVERGED)


@given(data_sets(), st.sampled_from(METHODS), st.floats(-1e3, 1e3))
@settings(max_examples=40, deadline=None)
def test_shift_moves_the_intercept_alone(data: Data, method: str, shift: float) -> None:
    fit = fit_random_effects(data.y, data.v, data.x, method=method)
    moved = fit_random_effects(data.y + shift, data.v, data.x, method=method)
    scale = 1e-11 * (1.0 + abs(shift))
    assert np.abs(moved.beta - fit.beta - shift * (np.arange(data.x.shape[1]) == 0)).max() < scale
    tau2 = fit.component("tau2").estimate
    assert abs(moved.component("tau2").estimate - tau2) < 100 * scale * (1 + tau2)


@given(data_sets(), st.sampled_from(METHODS))
@settings(max_examples=40, deadline=None)
def test_row_order_does_not_matter(data: Data, method: str) -> None:
    order = np.random.default_rng(len(data.y)).permutation(len(data.y))
    fit = fit_random_effects(data.y, data.v, data.x, method=method)
    shuffled = fit_random_effects(data.y[order], data.v[order], data.x[order], method=method)
    assert_close(numbers(shuffled), numbers(fit), CONVERGED)


@given(data_sets(), st.sampled_from(METHODS))
@settings(max_examples=40, deadline=None)
def test_another_basis_of_the_design_gives_the_same_model(data: Data, method: str) -> None:
    p = data.x.shape[1]
    turn = np.triu(np.ones((p, p))) * np.where(np.eye(p) == 1, 1.0, 7.0)
    fit = fit_random_effects(data.y, data.v, data.x, method=method)
    turned = fit_random_effects(data.y, data.v, data.x @ turn, method=method)
    assert_close(turn @ turned.beta, fit.beta, CONVERGED)
    assert_close(turn @ turned.vcov @ turn.T, fit.vcov, CONVERGED)
    assert_close(predict(turned, data.x @ turn).interval, predict(fit, data.x).interval, CONVERGED)


@given(data_sets(moderators=False))
@settings(max_examples=40, deadline=None)
def test_tests_agree_in_all_but_scale(data: Data) -> None:
    fits = {test: fit_random_effects(data.y, data.v, test=test) for test in ("z", "t", "knha", "adhoc")}
    w = 1.0 / (data.v + fits["z"].component("tau2").estimate)
    mean = np.sum(w * data.y) / np.sum(w)
    scale = np.sum(w * (data.y - mean) ** 2) / (len(data.y) - 1)
    assert_close(fits["z"].beta[0], mean, SAME)
    assert_close(fits["z"].vcov[0, 0], 1.0 / np.sum(w), SAME)
    assert_close(fits["t"].vcov, fits["z"].vcov, SAME)
    assert_close(fits["knha"].vcov, scale * fits["z"].vcov, SAME)
    assert_close(fits["adhoc"].vcov, max(scale, 1.0) * fits["z"].vcov, SAME)
    assert fits["z"].df[0] == np.inf and all(fits[test].df[0] == len(data.y) - 1 for test in ("t", "knha", "adhoc"))


@given(data_sets(), st.sampled_from(METHODS), st.sampled_from(["z", "t", "knha", "adhoc"]))
@settings(max_examples=40, deadline=None)
def test_a_batch_is_single_fits_side_by_side(data: Data, method: str, test: str) -> None:
    k = len(data.y)
    counts = np.random.default_rng(k).integers(0, 3, (5, k)).astype(float)
    fits = fit_batch(data.y, data.v, data.x, counts=counts, method=method, test=test)
    for b, times in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(k), times)
        if not fits.defined[b] or np.count_nonzero(times) <= data.x.shape[1]:
            continue  # so few different studies are fitted exactly: what is left of them is rounding
        fit = fit_random_effects(data.y[rows], data.v[rows], data.x[rows], method=method, test=test)
        q = fit.heterogeneity
        assert q is not None
        assert_close(fits.beta[b], fit.beta, SAME)
        assert_close(fits.vcov[b], fit.vcov, SAME)
        found = [fits.tau2[b], fits.Q[b], fits.I2[b], fits.H2[b], fits.loglik[b]]
        assert_close(found, [fit.component("tau2").estimate, q.Q, q.I2, q.H2, fit.loglik], SAME)
        assert_close(fits.p[b], fit.p, CONVERGED)


@pytest.mark.parametrize("case", ["plain", "several peaks", "ties", "resampled", "a moderator alone"])
def test_many_sets_that_share_variances_are_single_fits(case: str) -> None:
    """They are searched on one grid, by products of arrays; ties leave such products no digits."""
    rng = np.random.default_rng(5)
    v = 10.0 ** rng.uniform(-4, 3 if case == "several peaks" else -2, 9)
    y = 0.3 + rng.normal(size=(40, 9)) * np.sqrt(v + 0.01)
    x = np.linspace(1, 2, 9)[:, None] if case == "a moderator alone" else None
    counts = rng.multinomial(9, np.full(9, 1 / 9), 40) if case == "resampled" else np.ones((40, 9), dtype=int)
    if case == "ties":
        y[::7] = 0.7
    several = 0
    fits = fit_batch(y, v, x, counts=counts)
    for b, times in enumerate(counts):
        rows = np.repeat(np.arange(9), times)
        fit = fit_random_effects(y[b, rows], v[rows], None if x is None else x[rows])
        assert_close([fits.tau2[b], fits.loglik[b]], [fit.component("tau2").estimate, fit.loglik], SAME)
        assert_close(fits.beta[b], fit.beta, SAME)
        assert_close(fits.vcov[b], fit.vcov, SAME)
        several += any(note.code == "several-peaks" for note in fit.notes)
    assert (several > 0) == (case == "several peaks")


@pytest.mark.parametrize("seed", range(12))
def test_one_mean_alone_takes_another_road_to_the_same_numbers(seed: int) -> None:
    """Sums by products of arrays for one data set beside the kernel of batches: estimates, roots of Q, every sum."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 30))
    v = rng.uniform(0.01, 0.9, k)
    y = rng.uniform(-5, 5) + rng.normal(size=k) * np.sqrt(v + rng.choice([0.0, 0.5, 5.0]))
    x = np.ones((k, 1)) if seed % 3 else rng.uniform(0.5, 2.0, (k, 1))
    quick = single_set(y, v, orthonormal(x))
    assert quick.alone is not None
    slow = replace(quick, alone=None)
    for restricted in (True, False):
        found, known = (highest_peaks(sets, restricted=restricted) for sets in (quick, slow))
        assert found.number == known.number and found.converged == known.converged
        assert_close(found.value, known.value, SAME)
    target = np.array([[0.3 * k, 0.7 * k, 1.5 * k]])
    assert_close(solve_q(quick, target).value, solve_q(slow, target).value, SAME)
    sums, fit = quick.alone.at([0.3])[0], weighted_at(slow, np.array([[0.3]]))
    general = [rss(fit), quadratic_PP(fit), quadratic_PPP(fit), trace_P(slow, fit), trace_PP(slow, fit)]
    assert_close([sums.rss, sums.PP, sums.PPP, sums.trace_p, sums.trace_pp], np.ravel(general), SAME)


@pytest.mark.parametrize(
    ("y", "v"),
    [([0.1, 0.2, 0.4], [0.01, 0.01, 1.1]), ([0.1, 0.1, 0.1], [1.0] * 3), ([0.1, 0.2], [0.0, 0.1]), ([0.1], [0.1])],
)
def test_where_sums_by_products_would_lose_digits_the_kernel_of_batches_is_used(y: list[float], v: list[float]) -> None:
    assert single_set(np.array(y), np.array(v), orthonormal(np.ones((len(y), 1)))).alone is None


@pytest.mark.parametrize("method", ["DL", "HS"])
def test_sets_that_share_weights_of_many_magnitudes_are_single_fits(method: str) -> None:
    """One weight dwarfs the others, so that its traces are summed by pairs: of one basis for all sets."""
    rng = np.random.default_rng(2)
    v = 10.0 ** np.array([-9.0, -1.0, -0.5, 0.0])
    y = rng.normal(size=(6, 4)) * np.sqrt(v + 0.2)
    fits = fit_batch(y, v, method=method)
    singles = [fit_random_effects(row, v, method=method).component("tau2") for row in y]
    assert_close(fits.tau2, [single.estimate for single in singles], SAME)
    assert_close(fits.tau2_se, [single.se for single in singles], SAME)


def hostile(rng: np.random.Generator) -> Data:
    """Few rows, huge or tiny or equal or zero variances, ties, far-off means, badly scaled moderators."""
    k, p = int(rng.integers(1, 12)), int(rng.integers(1, 4))
    v = 10.0 ** rng.uniform(rng.uniform(-12, 0), rng.uniform(0, 8), k)
    v = v if rng.random() < 0.5 else np.full(k, v[0])
    v[rng.integers(k)] *= rng.random() > 0.1
    y = rng.choice([0.0, 1.0, 1e6]) + rng.normal(size=k) * 10.0 ** rng.uniform(-12, 8)
    y = rng.choice([y, np.full(k, y[0]), np.round(y)], p=[0.8, 0.1, 0.1])
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1)) * 10.0 ** rng.uniform(-6, 6)])
    return Data(y, v, x)


@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS), st.sampled_from(["z", "t", "knha", "adhoc"]))
@settings(max_examples=200, deadline=None)
def test_anything_gives_finite_numbers_or_a_clear_error(seed: int, method: str, test: str) -> None:
    data = hostile(np.random.default_rng(seed))
    try:
        fit = fit_random_effects(data.y, data.v, data.x, method=method, test=test)
    except ModelError as error:
        assert str(error).endswith(".")
        return
    assert np.isfinite(fit.beta).all() and np.isfinite(fit.vcov).all()
    assert "not-converged" not in {note.code for note in fit.notes}
    assert predict(fit, data.x).interval.shape == (len(data.y), 2)
    if (data.v > 0).all():
        assert leave_one_out(fit).fits.k.tolist() == [len(data.y) - 1] * len(data.y)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_the_highest_of_several_peaks_is_found(method: str) -> None:
    """Variances over seven powers of ten, where the likelihood often has two or three peaks, against a dense search."""
    rng = np.random.default_rng(20)
    several = 0
    for _ in range(300):
        k = int(rng.integers(3, 10))
        v = 10.0 ** rng.uniform(-6, 1, k)
        y = rng.normal(size=k) * np.sqrt(v + 10.0 ** rng.uniform(-6, 1))
        fit = fit_random_effects(y, v, method=method)
        w = 1.0 / (v + np.concatenate([[0.0], np.geomspace(1e-8, 1e3, 5000)])[:, None])
        mean = (w @ y) / w.sum(1)
        heights = 0.5 * (np.log(w).sum(1) - (w * (y - mean[:, None]) ** 2).sum(1) - k * np.log(2 * np.pi))
        if method == "REML":
            heights += 0.5 * (np.log(2 * np.pi) + np.log(k) - np.log(w.sum(1)))
        assert fit.loglik >= heights.max() - 1e-9
        several += any(note.code == "several-peaks" for note in fit.notes)
    assert several >= (10 if method == "ML" else 2)


@pytest.mark.parametrize("spread", [1.0, 1e4, 1e9])
@pytest.mark.parametrize("p", [8, 20])
def test_many_coefficients_take_matrices_and_give_the_same(
    p: int, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One vector per coefficient, Cholesky factors, or (under weights this unequal) Householder: one fit."""
    rng = np.random.default_rng(p)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, p - 1))])
    v = 0.01 * spread ** rng.uniform(size=60)
    y = x @ rng.normal(size=p) + rng.normal(size=60) * np.sqrt(v + 0.05)
    many = fit_random_effects(y, v, x)
    monkeypatch.setattr(least_squares, "MANY", p + 1)
    few = fit_random_effects(y, v, x)
    monkeypatch.setattr(least_squares, "MANY", 2)
    monkeypatch.setattr(least_squares, "LOST", -1.0)
    reflected = fit_random_effects(y, v, x)
    for other in (few, reflected):
        assert_close(many.beta, other.beta, SAME)
        assert_close(many.vcov, other.vcov, SAME)
        assert_close(many.loglik, other.loglik, SAME)
        assert_close(many.component("tau2").estimate, other.component("tau2").estimate, SAME)
