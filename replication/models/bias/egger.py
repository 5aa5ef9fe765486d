"""Egger's regression test for funnel-plot asymmetry: do less precise studies have larger effects?

Sources: Egger et al. (1997, BMJ 315:629) for `model="wls"`, Sterne & Egger (2005) for `model="mixed"`; with dependent
effects, Rodgers & Pustejovsky (2021, Psychological Methods 26:141): the same coefficient of a multilevel model with
robust variance, read by `egger_of_fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bias.funnel_regression import fit_funnel_regression
from replication.models.fit import Fit, Interval, Note
from replication.models.literals import FunnelModel, FunnelPredictor, Tau2Method, TestMethod

__all__ = ["EggerTest", "egger_of_fit", "egger_test"]

# Predictors that go to 0 as studies grow, so that the intercept is the effect in an infinitely large study.
VANISHING = ("se", "variance", "inverse_n", "sqrt_inverse_n")


@dataclass(frozen=True, slots=True)
class EggerTest:
    """The slope on the predictor with its test, and the effect expected as the predictor goes to 0 (`limit`)."""

    predictor: str
    slope: float
    se: float
    statistic: float
    df: float
    p: float
    limit: float
    limit_interval: Interval
    fit: Fit

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes of the regression behind the test."""
        return self.fit.notes


def egger_test(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    predictor: FunnelPredictor = "se",
    model: FunnelModel = "mixed",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    n: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> EggerTest:
    """Test whether effects depend on their imprecision; arguments as in `fit_funnel_regression`.

    `model="wls"` is the classical test, `model="mixed"` with `test="z"` its random-effects version.

    Raises `ModelError` for fewer than three effects or equal predictors.

    >>> test = egger_test([0.5, 0.3, 0.2, 0.25, 0.6], [0.09, 0.04, 0.01, 0.0225, 0.08], model="wls")
    >>> round(test.statistic, 4), test.df, round(test.limit, 4)
    (5.0815, 3.0, 0.0186)
    """
    fit = fit_funnel_regression(
        y,
        v,
        x,
        predictor=predictor,
        model=model,
        method=method,
        test=test,
        n=n,
        names=names,
        clusters=clusters,
        level=level,
    )
    return egger_of_fit(fit, predictor)


def egger_of_fit(fit: Fit, predictor: str = "se") -> EggerTest:
    """Read Egger's test off any fit that has the predictor among its coefficients: multilevel, robust, with moderators.

    >>> fit = fit_funnel_regression([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.01, 0.0225])
    >>> round(egger_of_fit(fit).slope, 4)
    1.3333
    """
    if predictor not in fit.names:
        raise ModelError(f"the fit has no coefficient {predictor!r}, only {', '.join(fit.names)}; name its predictor.")
    j = fit.names.index(predictor)
    limit, interval = _limit(fit, j)
    return EggerTest(
        predictor=predictor,
        slope=float(fit.beta[j]),
        se=float(fit.se[j]),
        statistic=float(fit.statistic[j]),
        df=float(fit.df[j]),
        p=float(fit.p[j]),
        limit=limit,
        limit_interval=interval,
        fit=fit,
    )


def _limit(fit: Fit, j: int) -> tuple[float, Interval]:
    """The intercept, where it is the effect of an infinitely large study."""
    nan = float("nan")
    if fit.names[j] not in VANISHING:
        return nan, Interval(nan, nan, fit.level, "wald", f"{fit.names[j]} does not go to 0 in large studies")
    if set(fit.names) != {"intercept", fit.names[j]}:
        reason = "one number only with the coefficient 'intercept' alone beside the predictor"
        return nan, Interval(nan, nan, fit.level, "wald", reason)
    low, high = fit.interval()[1 - j]
    return float(fit.beta[1 - j]), Interval(float(low), float(high), fit.level, "wald")
