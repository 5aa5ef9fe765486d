"""The random-effects model and meta-regression: `y_i = x_i' beta + u_i + e_i`, `u_i ~ N(0, tau2)`, `e_i ~ N(0, v_i)`.

Steps, each its own function: estimate tau2 (`tau2.py`), weigh by `1 / (v + tau2)` (`least_squares.py`), scale the
covariance by the test asked for (Knapp & Hartung 2003 among them), and describe the heterogeneity. The common-effect
model is the case tau2 = 0. A single fit is a batch of one: `estimate_sets` serves both. One mean of one data set takes
its numbers from the sums of `OneMean`, in a third of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.labels import Label
from replication.models.fit import Array, Component, Fit, Heterogeneity, Note
from replication.models.least_squares import (
    Basis,
    EffectSets,
    OneMean,
    Weighted,
    coefficients,
    cross,
    log_likelihood,
    orthonormal,
    raw_effects,
    rss,
    single_set,
    trace_P,
    weighted_at,
    weighted_with,
)
from replication.models.options import Tau2Method, TestMethod, check_choice
from replication.models.prepare import EffectData, check_level, is_number, list_rows, prepare_effects
from replication.models.two_level.intervals import q_profile
from replication.models.two_level.tau2 import INVERSE_VARIANCE, Tau2, estimate_tau2

__all__ = ["Estimates", "QStatistics", "estimate_sets", "fit_random_effects", "mean_effect", "q_statistics"]

LOG_2PI = math.log(2.0 * math.pi)
# Squares this small beside those they come from are rounding.
DUST = (16.0 * float(np.finfo(float).eps)) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class QStatistics:
    """Cochran's `Q (B,)` with its `df`, and I2 (per cent) and H2. NaN where a variance is 0, as Q is not defined."""

    Q: Array
    df: Array
    I2: Array
    H2: Array


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """What is estimated of each data set of a batch.

    Per data set: `gamma (B, p)` and its model covariance `cov (B, p, p)` on the basis, tau2, the `scale (B,)` of the
    covariance under the test, degrees of freedom `df (B,)` and log-likelihood `loglik (B,)`.
    """

    tau2: Tau2
    gamma: Array
    cov: Array
    scale: Array
    df: Array
    loglik: Array
    q: QStatistics


def estimate_sets(sets: EffectSets, method: Tau2Method, test: TestMethod, held: float | None = None) -> Estimates:
    """Fit all data sets with one estimator and one test, or with tau2 `held` at a value.

    The log-likelihood is at the coefficients reported, restricted for REML. The scale of the Knapp-Hartung test is
    the residual mean square with weights `1 / (v + tau2)`, whatever the user's weights.
    """
    tau2 = estimate_tau2(sets, method, held)
    if sets.alone is not None and sets.weights is None:
        single = _estimate_single(sets, sets.alone, tau2, method, test)
        if single is not None:
            return single
    fit = tau2.fit or weighted_at(sets, np.maximum(tau2.value[:, None], sets.floor))
    residual = rss(fit)
    loglik = log_likelihood(sets, fit, restricted=method == "REML")
    if method == "REML" and not (sets.counts == 1.0).all():  # else the basis has log determinant 0
        loglik = loglik + 0.5 * weighted_with(sets, np.ones_like(sets.v)).logdet
    df = np.broadcast_to((sets.k - sets.p)[:, 0], tau2.value.shape)
    solved = coefficients(sets, fit)
    gamma, cov = solved.gamma, solved.cov
    if sets.weights is not None:
        gamma, cov = _with_user_weights(sets, fit, sets.weights)
        # the likelihood is that of the coefficients reported, which are not its best with foreign weights
        e = sets.y - gamma @ sets.columns
        loglik = loglik - 0.5 * (np.vecdot(fit.w * e, sets.counts * e) - residual)
    return Estimates(
        tau2,
        gamma[:, 0],
        cov[:, 0],
        _scale(sets, fit, test),
        np.full(df.shape, np.inf) if test == "z" else df,
        loglik[:, 0],
        q_statistics(sets, tau2.value, method),
    )


def _estimate_single(
    sets: EffectSets, one: OneMean, tau2: Tau2, method: Tau2Method, test: TestMethod
) -> Estimates | None:
    """The same of one data set with one coefficient; None where its residuals may be nothing but rounding."""
    value, (k, df) = float(tau2.value[0]), (len(one.v), len(one.v) - 1)
    at, zero = one.at([value, 0.0])
    start = float(sets.start[0, 0])
    # the bound of `_scale`, below which it takes a closer look
    if not at.rss > 2.0 * DUST * (at.square + start * start * at.trace):
        return None
    restricted = method == "REML"
    spread = float(np.log(one.v + value).sum()) + at.rss + (math.log(at.information) if restricted else 0.0)
    scale = at.rss / df if test in ("knha", "adhoc") else 1.0
    if method == "EE":
        H2 = zero.rss / df
        I2 = 100.0 * max(0.0, 1.0 - 1.0 / H2)
    else:
        typical = df / zero.trace_p
        H2, I2 = 1.0 + value / typical, 100.0 * value / (value + typical)
    return Estimates(
        tau2,
        np.array([[at.gamma]]),
        np.array([[[1.0 / at.information]]]),
        np.array([max(scale, 1.0) if test == "adhoc" else scale]),
        np.array([math.inf if test == "z" else float(df)]),
        np.array([-0.5 * ((df if restricted else k) * LOG_2PI + spread)]),
        QStatistics(np.array([zero.rss]), np.array([float(df)]), np.array([I2]), np.array([H2])),
    )


def _with_user_weights(sets: EffectSets, fit: Weighted, weights: Array) -> tuple[Array, Array]:
    """Coefficients with the weights given, and the covariance they have when `y` varies by `1 / w`."""
    user = weighted_with(sets, np.broadcast_to(weights, fit.w.shape))
    solved = coefficients(sets, user)
    meat = cross(user, user.w / fit.w)
    return solved.gamma, solved.inverse @ meat @ solved.inverse.mT


def _scale(sets: EffectSets, fit: Weighted, test: TestMethod) -> Array:
    """Knapp & Hartung's factor on the covariance `(B,)`, the residual mean square; 1 at least for adhoc, 1 for z and t.

    Exactly 0 where all effects lie on the fitted model but for rounding.
    """
    if test not in ("knha", "adhoc"):
        return np.ones(len(fit.w))
    # equal effects leave dust, not zero: p values made of it would look overwhelming
    residual, dust = rss(fit), DUST
    start = np.vecdot(sets.start, sets.start)[:, None]
    # no less than the sum with `raw_effects` below, and cheap: rows of orthonormal columns are no longer than 1
    most = 2.0 * dust * (np.vecdot(fit.z, fit.z) + start * np.vecdot(fit.w, sets.counts))
    rounding = np.zeros(())
    if not (residual > most).all():
        y = raw_effects(sets)
        rounding = dust * np.vecdot(fit.w * y, sets.counts * y)
    scale = (np.where(residual <= rounding, 0.0, residual) / (sets.k - sets.p))[:, 0]
    return np.asarray(scale if test == "knha" else np.maximum(scale, 1.0))


def q_statistics(sets: EffectSets, tau2: Array, method: Tau2Method) -> QStatistics:
    """Q at tau2 = 0; I2 and H2 from `tau2 (B,)` and the typical sampling variance (Higgins & Thompson 2002).

    The typical variance is `(k - p) / tr P` at tau2 = 0. The common-effect model has no tau2: there I2 and H2 come
    from Q.
    """
    zero = sets.floor[:, 0] > 0
    # one tau2 for all sets: where they share variances the weights are computed once
    common = weighted_at(sets, np.where(zero, 1.0, 0.0)[:, None] if zero.any() else np.zeros((1, 1)))
    Q = np.where(zero, np.nan, rss(common)[:, 0])
    df = np.broadcast_to(sets.k[:, 0] - sets.p, Q.shape)
    # without tau2 the classical definitions from Q are the only ones (Higgins & Thompson 2002)
    if method == "EE":
        H2 = Q / df
        return QStatistics(Q, df, 100.0 * np.maximum(0.0, 1.0 - 1.0 / np.where(H2 > 0, H2, 1.0)), H2)
    # As many coefficients as effects leave no P: its trace is 0 but for rounding.
    undefined = zero | (df == 0)
    typical = np.where(undefined, np.nan, df / np.where(undefined, 1.0, trace_P(sets, common)[:, 0]))
    return QStatistics(Q, df, 100.0 * tau2 / (tau2 + typical), 1.0 + tau2 / typical)


@dataclass(frozen=True, slots=True)
class _Choices:
    tau2: Tau2Method
    test: TestMethod
    level: float
    held: float | None = None


def fit_random_effects(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    level: float = 0.95,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    tau2: float | None = None,
) -> Fit:
    """Fit a random-effects, common-effect (`method="EE"`) or meta-regression model.

    Parameters
    ----------
    y, v : (k,) effects and their sampling variances, on one scale
    x : (k, p) whole design, intercept column included; None fits an intercept only
    method : estimator of tau2. REML has the least bias of the common ones (Viechtbauer 2005)
    test : z, t, knha (Knapp & Hartung 2003) or adhoc (knha, never narrower than t). knha keeps its level at small k
        (IntHout et al. 2014)
    level : confidence level
    names : names of the p coefficients
    weights : (k,) weights to use for the coefficients instead of `1 / (v + tau2)`
    tau2 : a value to hold the variance at instead of estimating it (from another source, or for a sensitivity analysis)

    Returns a `Fit` with the component "tau2"; its `data` is an `EffectData`.

    Raises `ModelError` when the numbers cannot carry the model; the message names the rows or columns.

    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="DL", test="z")
    >>> round(float(fit.beta[0]), 6), round(fit.component("tau2").estimate, 6)
    (0.232723, 0.007059)
    """
    check_choice(method, Tau2Method, "method")
    check_choice(test, TestMethod, "test")
    data, notes = prepare_effects(y, v, x, names, weights)
    if tau2 is not None and not (is_number(tau2) and 0.0 <= tau2 < np.inf):
        raise ModelError(f"tau2={tau2!r} is not a variance; pass a finite number of 0 or more.")
    choices = _Choices(method, test, check_level(level), None if tau2 is None else float(tau2))
    if len(data.y) == data.x.shape[1]:
        if choices.held is None:
            return _saturated(data, choices, notes)
        # No residual is left for a t test or a scale; a variance that is known needs neither.
        choices, notes = replace(choices, test="z"), (*notes, *_known_variance_notes(choices))
    return _fit(data, choices, notes)


def mean_effect(y: Array, v: Array, method: Tau2Method) -> float:
    """The mean that `fit_random_effects` gives, alone: the interval of tau2 takes as long as the fit.

    >>> round(mean_effect(np.array([0.1, 0.3, 0.5, 0.2]), np.array([0.01, 0.02, 0.03, 0.01]), "DL"), 6)
    0.232723
    """
    if len(y) == 1:
        return float(fit_random_effects(y, v, method=method).beta[0])
    data, _ = prepare_effects(y, v)
    return float(_estimated(data, orthonormal(data.x), method, "z")[2][0])


def _estimated(
    data: EffectData, basis: Basis, method: Tau2Method, test: TestMethod, held: float | None = None
) -> tuple[EffectSets, Estimates, Array]:
    """The effects as one set, what is estimated of it, and the coefficients `(p,)`."""
    sets = single_set(data.y, data.v, basis, data.weights)
    estimates = estimate_sets(sets, method, test, held)
    _refuse_infinite_weights(data, sets, estimates.tau2)
    return sets, estimates, basis.to_beta @ (sets.start[0] + estimates.gamma[0])


def _fit(data: EffectData, choices: _Choices, notes: tuple[Note, ...]) -> Fit:
    basis = orthonormal(data.x)
    notes += _zero_variance_notes(data, choices.tau2)
    sets, estimates, beta = _estimated(data, basis, choices.tau2, choices.test, choices.held)
    T = basis.to_beta
    scale = float(estimates.scale[0])
    heterogeneity = _heterogeneity(data, basis, estimates, choices.tau2)
    if choices.held is not None:
        heterogeneity = replace(heterogeneity, R2=float("nan"))
    component = _component(sets, estimates.tau2, choices)
    notes += _interval_notes(component)
    return Fit(
        method={
            "tau2": choices.tau2 if choices.held is None else "fixed",
            "test": choices.test,
            "weights": "1/(v+tau2)" if data.weights is None else "as given",
        },
        names=data.names,
        beta=beta,
        vcov=scale * (T @ estimates.cov[0] @ T.T),
        df=np.full(len(data.names), estimates.df[0], dtype=float),
        components=(component,),
        loglik=float(estimates.loglik[0]),
        k=len(data.y),
        level=choices.level,
        heterogeneity=heterogeneity,
        notes=notes + _fit_notes(data, estimates.tau2, scale, heterogeneity, choices),
        data=data,
    )


def _component(sets: EffectSets, tau2: Tau2, choices: _Choices) -> Component:
    value = float(tau2.value[0])
    if choices.held is not None:
        return Component("tau2", choices.held)
    if choices.tau2 == "EE":
        return Component("tau2", 0.0)
    return Component("tau2", value, float(tau2.se[0]), q_profile(sets, choices.level), at_boundary=value == 0.0)


def _heterogeneity(data: EffectData, basis: Basis, estimates: Estimates, method: Tau2Method) -> Heterogeneity:
    q, tau2 = estimates.q, float(estimates.tau2.value[0])
    Q, df = float(q.Q[0]), int(q.df[0])
    R2 = float("nan") if method == "EE" else _r2(data, basis, tau2, method)
    return Heterogeneity(Q, df, float(special.chdtrc(df, Q)), float(q.I2[0]), float(q.H2[0]), R2)


def _r2(data: EffectData, basis: Basis, tau2: float, method: Tau2Method) -> float:
    """Per cent of the tau2 without moderators that they account for (Raudenbush 2009); NaN without an intercept."""
    k, p = data.x.shape
    ones = np.ones(k)
    if p == 1 or np.abs(ones - basis.columns @ (basis.columns.T @ ones)).max() > 1e-8:
        return float("nan")
    # the same estimator on both sides: R2 of mixed estimators can leave 0 to 100
    alone = single_set(data.y, data.v, orthonormal(ones[:, None]), data.weights)
    null = float(estimate_tau2(alone, method).value[0])
    return max(0.0, 100.0 * (null - tau2) / null) if null > 0 else float("nan")


def _saturated(data: EffectData, choices: _Choices, notes: tuple[Note, ...]) -> Fit:
    """As many coefficients as effects (a single study, most often): the common-effect result, tau2 not defined."""
    if (data.v == 0).all():
        raise ModelError("the only effects have sampling variance 0: nothing can be estimated; pass their variances.")
    k = len(data.y)
    # as many coefficients as effects: the design is square and solves exactly
    T = np.linalg.inv(data.x)
    message = (
        f"{k} effect{'s' * (k > 1)} for as many coefficients: tau2 cannot be estimated; common-effect result, z test."
    )
    nan = float("nan")
    beta = T @ data.y
    return Fit(
        method={"tau2": "EE", "test": "z", "weights": "1/v"},
        names=data.names,
        beta=beta,
        vcov=(T * data.v) @ T.T,
        df=np.full(k, np.inf),
        components=(Component("tau2", nan),),
        loglik=nan if (data.v == 0).any() else -0.5 * float(np.log(2.0 * np.pi * data.v).sum()),
        k=k,
        level=choices.level,
        heterogeneity=Heterogeneity(0.0, 0, nan, nan, nan),
        notes=(*notes, Note("saturated", message, label=Label("note_saturated", {"k": k}))),
        data=data,
    )


def _known_variance_notes(choices: _Choices) -> tuple[Note, ...]:
    if choices.test == "z":
        return ()
    return (Note("saturated", f"as many effects as coefficients leave nothing for the {choices.test} test: z test."),)


def _interval_notes(component: Component) -> tuple[Note, ...]:
    """Says where tau2 lies outside its own interval: the estimator weighs the effects otherwise than the Q-profile."""
    if component.interval is None:
        return ()
    low, high, tau2 = component.interval.low, component.interval.high, component.estimate
    if low <= tau2 <= high or not all(map(math.isfinite, (low, high, tau2))):
        return ()
    message = (
        f"tau2 is estimated as {tau2:.4g}, outside its Q-profile interval of {low:.4g} to {high:.4g}: the estimator "
        "and the interval weigh these effects very differently; look for variances that are 0 or far from the others."
    )
    return (Note("tau2-outside-interval", message),)


def _zero_variance_notes(data: EffectData, method: Tau2Method) -> tuple[Note, ...]:
    if data.v.all():
        return ()
    rows = tuple(data.rows[i] for i in np.flatnonzero(data.v == 0))
    if method in INVERSE_VARIANCE:
        raise ModelError(
            f"{list_rows(rows)} with sampling variance 0, which {method} would weigh infinitely; "
            "correct the variance, leave the rows out, or use REML, PM, SJ or HE."
        )
    return (Note("zero-variance", f"{list_rows(rows)} with sampling variance 0: Q, I2 and H2 are not defined.", rows),)


def _refuse_infinite_weights(data: EffectData, sets: EffectSets, tau2: Tau2) -> None:
    if sets.floor[0, 0] > 0 and tau2.value[0] <= sets.floor[0, 0]:
        rows = [data.rows[i] for i in np.flatnonzero(data.v == 0)]
        raise ModelError(
            f"{list_rows(rows)} with sampling variance 0 and tau2 estimated as 0: the weights are infinite; "
            "correct the variances or leave the rows out."
        )


def _fit_notes(
    data: EffectData, tau2: Tau2, scale: float, heterogeneity: Heterogeneity, choices: _Choices
) -> tuple[Note, ...]:
    """What a reader must know; of a tau2 that was held there is nothing to say but its scale."""
    if choices.held is not None:
        return _scale_notes(scale, choices)
    estimated = _tau2_notes(tau2, choices.tau2) + _scale_notes(scale, choices)
    return estimated + _r2_notes(data, heterogeneity, choices.tau2)


def _tau2_notes(tau2: Tau2, method: Tau2Method) -> tuple[Note, ...]:
    notes = []
    if method != "EE" and tau2.value[0] == 0.0:
        message = "tau2 is estimated as 0, the edge of its range; its se is not to be trusted."
        notes.append(Note("boundary", message, label=Label("note_tau2_zero")))
    if not tau2.converged[0]:
        notes.append(Note("not-converged", f"tau2 by {method} did not settle; compare another estimator."))
    if tau2.peaks[0] > 1:
        notes.append(
            Note("several-peaks", f"the likelihood has {tau2.peaks[0]} peaks in tau2; the highest is reported.")
        )
    return tuple(notes)


def _r2_notes(data: EffectData, heterogeneity: Heterogeneity, method: Tau2Method) -> tuple[Note, ...]:
    if method == "EE" or len(data.names) == 1 or not np.isnan(heterogeneity.R2):
        return ()
    reason = "the design has no intercept, or tau2 is 0 without moderators already: nothing to account for."
    return (Note("r2-undefined", f"R2 is not defined: {reason}"),)


def _scale_notes(scale: float, choices: _Choices) -> tuple[Note, ...]:
    if scale == 0.0:
        message = "every effect lies on the fitted model: the Knapp-Hartung scale is 0 and intervals have no width."
        return (Note("perfect-fit", message),)
    if choices.tau2 == "EE" and scale != 1.0:
        message = (
            f"the {choices.test} test multiplies the common-effect variance by {scale:.3g}; test='z' leaves it alone."
        )
        return (Note("scaled-common-effect", message),)
    return ()
