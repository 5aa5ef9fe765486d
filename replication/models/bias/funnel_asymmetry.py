"""Do less precise studies have larger effects? Egger's regression and Begg & Mazumdar's rank test.

The regression is the one model under Egger's test, PET and PEESE. Its predictor is what the effects are suspected to
depend on: their standard error (Egger, PET), their variance (PEESE), or a function of sample size. With `model="wls"`
the residual variance is `phi v_i` with phi estimated (least squares with weights `1 / v`, t tests); with
`model="mixed"` it is `tau2 + v_i`.

Sources: Egger et al. (1997, BMJ 315:629) for `model="wls"`, Sterne & Egger (2005) for `model="mixed"`; with dependent
effects, Rodgers & Pustejovsky (2021, Psychological Methods 26:141): the same coefficient of a multilevel model with
robust variance, read by `egger_of_fit`. Rank test: Begg & Mazumdar (1994, Biometrics 50:1088); effects are centred at
the common-effect mean and divided by the standard error of that difference; the statistic is Kendall's tau.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bias.inputs import bias_data, cluster_robust, without_perfect_fit
from replication.models.fit import Array, Fit, Interval, Note
from replication.models.options import FunnelModel, FunnelPredictor, Tau2Method, TestMethod, check_choice
from replication.models.readable import Readable
from replication.models.two_level.random_effects import fit_random_effects

__all__ = [
    "EggerTest",
    "RankTest",
    "egger_of_fit",
    "egger_test",
    "fit_funnel_regression",
    "fit_weighted_least_squares",
    "rank_test",
    "refuse_equal",
]


def fit_weighted_least_squares(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> Fit:
    """Least squares with weights `1 / v` and t tests: the common-effect fit with its covariance times phi.

    `y, v (k,)` effects and sampling variances, `x (k, p)` the design (None: an intercept). This is the unrestricted
    weighted least squares of Stanley & Doucouliagos (2015, Statistics in Medicine 34:2116).

    >>> fit = fit_weighted_least_squares([0.2, 0.6], [0.1, 0.1])
    >>> round(float(fit.beta[0]), 6), round(float(fit.se[0]), 6), float(fit.df[0])
    (0.4, 0.2, 1.0)
    """
    # Knapp-Hartung on a common-effect fit scales its covariance by Q / (k - p): that is the dispersion phi of WLS.
    fit = fit_random_effects(y, v, x, method="EE", test="knha", names=names, level=level)
    notes = tuple(note for note in fit.notes if note.code != "scaled-common-effect")  # it is the model here
    return replace(fit, method={**fit.method, "model": "wls"}, notes=notes)


# Predictors closer together than this share of their size cannot carry a slope.
SAME = 1e-8


def fit_funnel_regression(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    predictor: FunnelPredictor = "se",
    model: FunnelModel = "wls",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    n: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Fit:
    """Regress `y` on a measure of imprecision, with an intercept or the design `x` beside it.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    x : (k, p) design before the predictor joins it, intercept included; None is the intercept alone
    predictor : "se", "variance", or "n", "inverse_n", "sqrt_inverse_n" of the sample sizes `n (k,)`
    model : "wls" (one dispersion, as Egger et al. 1997) or "mixed" (random effects, as Sterne & Egger 2005)
    method, test : for "mixed", as in `fit_random_effects`
    clusters : (k,) labels; with them the covariance is CR2 with Satterthwaite df (Pustejovsky & Tipton 2018)

    Returns the `Fit` whose last coefficient bears the predictor's name.

    Raises `ModelError` for fewer effects than coefficients plus one, equal predictors, or missing `n`.

    >>> fit = fit_funnel_regression([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.01, 0.0225])
    >>> fit.names, round(float(fit.beta[1]), 4)
    (('intercept', 'se'), 1.3333)
    """
    check_choice(predictor, FunnelPredictor, "predictor")
    check_choice(model, FunnelModel, "model")
    effects = bias_data(y, v, x, names, fewest=1, method="a funnel regression").effects
    column = _predictor(predictor, np.asarray(v, dtype=float), n)
    # Only complete rows count: two standard errors may differ by nothing but a row that is left out.
    refuse_equal(column[list(effects.rows)], predictor)
    labels = (*effects.names, predictor)
    design = np.column_stack([np.ones(len(column)) if x is None else x, column])
    bias_data(y, v, design, labels, fewest=len(labels) + 1, method=f"a regression on {' and '.join(labels)}")
    if model == "wls":
        fit = fit_weighted_least_squares(y, v, design, names=labels, level=level)
    else:
        fit = fit_random_effects(y, v, design, method=method, test=test, names=labels, level=level)
    fit = replace(fit, method={**fit.method, "model": model, "predictor": predictor})
    if clusters is not None:
        fit = cluster_robust(fit, clusters)
    # A z test takes its standard error from v and tau2, which a perfect fit leaves intact.
    from_residuals = model == "wls" or test in ("knha", "adhoc") or clusters is not None
    return without_perfect_fit(fit, y, design) if from_residuals else fit


def _predictor(predictor: FunnelPredictor, v: Array, n: ArrayLike | None) -> Array:
    if predictor == "variance":
        return v
    if predictor == "se":
        return np.sqrt(v)
    if n is None:
        raise ModelError(f"predictor={predictor!r} needs the sample sizes; pass n, one per effect.")
    sizes = np.asarray(n, dtype=float)
    if sizes.shape != v.shape or (sizes <= 0).any():
        raise ModelError("n must hold one sample size above 0 an effect; use NaN to leave a row out.")
    return np.asarray({"n": sizes, "inverse_n": 1.0 / sizes, "sqrt_inverse_n": 1.0 / np.sqrt(sizes)}[predictor])


def refuse_equal(column: Array, predictor: str) -> None:
    """Raise a `ModelError` where a predictor is the same for every effect, so that no slope can be told."""
    if np.nanmax(column) - np.nanmin(column) <= SAME * np.nanmax(column):
        raise ModelError(
            f"every effect has the same {predictor}: whether effects depend on it cannot be told; "
            "report the test as not possible here."
        )


# Predictors that go to 0 as studies grow, so that the intercept is the effect in an infinitely large study.
VANISHING = ("se", "variance", "inverse_n", "sqrt_inverse_n")


@dataclass(frozen=True, slots=True, repr=False)
class EggerTest(Readable):
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
    # With moderators the limit depends on their values, so there is one for each setting and none for the whole.
    if set(fit.names) != {"intercept", fit.names[j]}:
        reason = "one number only with the coefficient 'intercept' alone beside the predictor"
        return nan, Interval(nan, nan, fit.level, "wald", reason)
    low, high = fit.interval()[1 - j]
    return float(fit.beta[1 - j]), Interval(float(low), float(high), fit.level, "wald")


@dataclass(frozen=True, slots=True, repr=False)
class RankTest(Readable):
    """Kendall's `tau` with its two-sided `p`, exact without ties and normal (tie-corrected) with them."""

    tau: float
    p: float
    exact: bool
    k: int
    notes: tuple[Note, ...]


def rank_test(y: ArrayLike, v: ArrayLike) -> RankTest:
    """Test funnel-plot asymmetry by Kendall's rank correlation of standardised effects and variances.

    `y, v (k,)` effects and sampling variances. The p value is exact where neither has ties; else it is the normal
    approximation with the variance corrected for ties and no continuity correction. Where all variances (or all
    standardised effects) are equal, tau and p are NaN with a note.

    Raises `ModelError` for fewer than two effects or a sampling variance of 0.

    >>> test = rank_test([0.1, 0.3, 0.8, 0.5], [0.01, 0.02, 0.04, 0.09])
    >>> round(test.tau, 6), round(test.p, 6), test.exact
    (0.666667, 0.333333, True)
    """
    data = bias_data(y, v, fewest=2, method="the rank test")
    standardised = _standardise(data.y, data.v)
    ties = {name: _tied(values) for name, values in (("effects", standardised), ("variances", data.v))}
    constant = [name for name, values in (("effects", standardised), ("variances", data.v)) if np.ptp(values) == 0]
    if constant:
        message = f"all {' and '.join(constant)} are equal: there are no ranks to correlate, so tau is NaN."
        return RankTest(float("nan"), float("nan"), False, data.k, (*data.notes, Note("undefined", message)))
    # The exact law of Kendall's tau counts permutations of distinct ranks; it does not hold with ties.
    exact = not any(ties.values())
    tau, p = _kendall(standardised, data.v)
    return RankTest(tau, p, exact, data.k, data.notes + _tie_notes(ties))


def _kendall(a: Array, b: Array) -> tuple[float, float]:
    """Kendall's tau-b of `a` and `b` `(k,)`, neither constant, and its two-sided p (Kendall 1970, chapters 3 to 5).

    scipy.stats gives the same numbers; loading it takes longer than everything else a finding asks of it.

    >>> tau, p = _kendall(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 1.0, 4.0, 3.0, 5.0]))
    >>> round(tau, 6), round(p, 6)
    (0.6, 0.233333)
    """
    k = len(a)
    score = sum(float(np.sign(a[i] - a[:i]) @ np.sign(b[i] - b[:i])) for i in range(1, k))
    pairs = k * (k - 1) / 2
    s, t = (np.unique(values, return_counts=True)[1].astype(float) for values in (a, b))
    tied = [float((n * (n - 1)).sum()) / 2 for n in (s, t)]
    tau = score / np.sqrt((pairs - tied[0]) * (pairs - tied[1]))
    if not any(tied):
        return float(tau), _exact_p(k, round((pairs - abs(score)) / 2))
    plain = sum(float((n * (n - 1) * (2 * n + 5)).sum()) for n in (s, t))
    three = float((s * (s - 1) * (s - 2)).sum()) * float((t * (t - 1) * (t - 2)).sum())
    variance = (k * (k - 1) * (2 * k + 5) - plain) / 18 + tied[0] * tied[1] / pairs
    variance += three / (18 * pairs * (k - 2))
    return float(tau), float(2.0 * special.ndtr(-abs(score) / np.sqrt(variance)))


def _exact_p(k: int, fewer: int) -> float:
    """Twice the share of the orders of k things with at most `fewer` inversions, no more than 1."""
    shares = np.zeros(fewer + 1)
    shares[0] = 1.0
    for n in range(2, k + 1):
        # The n-th thing stands before 0 .. n - 1 of the others, each as likely.
        sums = np.cumsum(shares)
        sums[n:] -= sums[:-n].copy()
        shares = sums / n
    return min(1.0, 2.0 * float(shares.sum()))


def _standardise(y: Array, v: Array) -> Array:
    """Centre at the common-effect mean and divide by the standard error of the difference, `v_i - 1 / sum(1 / v)`."""
    w = 1.0 / v
    mean = w @ y / w.sum()
    # An effect is part of its own mean: their covariance makes the variance of the difference v - 1 / W, not a sum.
    return np.asarray((y - mean) / np.sqrt(v - 1.0 / w.sum()))


def _tied(values: Array) -> bool:
    return len(np.unique(values)) < len(values)


def _tie_notes(ties: dict[str, bool]) -> tuple[Note, ...]:
    tied = [name for name, has in ties.items() if has]
    if not tied:
        return ()
    return (Note("ties", f"ties among the {' and the '.join(tied)}: p is the tie-corrected normal approximation."),)
