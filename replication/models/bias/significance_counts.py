"""Methods that count significant results: the test of excess significance, and fail-safe N.

Excess significance: Ioannidis & Trikalinos (2007, Clinical Trials 4:245); the exact test is Francis (2013, Journal of
Mathematical Psychology 57:153). The power of each study at an assumed true effect (with tau2 > 0 the average power over
the distribution of effects) gives the expected number of significant results, to be set beside the observed one.

Fail-safe N is history, not evidence, kept because older syntheses print it. It assumes that hidden studies average
exactly zero and says nothing on heterogeneity or on whether studies are hidden (Becker 2005; Scargle 2000), so every
result carries a note to that end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from replication.errors import ModelError
from replication.models.bias.inputs import bias_data
from replication.models.fit import Array, Note
from replication.models.options import Alternative, FailSafeKind, Tau2Method, check_choice
from replication.models.probability import normal_isf
from replication.models.readable import Readable
from replication.models.two_level.random_effects import fit_random_effects

__all__ = [
    "ExcessSignificance",
    "FailSafe",
    "excess_significance",
    "fail_safe_general",
    "fail_safe_orwin",
    "fail_safe_rosenberg",
    "fail_safe_rosenthal",
]


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """The studies' own tests: standard errors `se (k,)`, null effect, alternative and level."""

    se: Array
    null: float
    alternative: Alternative
    alpha: float

    @property
    def critical(self) -> float:
        """The z beyond which a result is significant."""
        return float(normal_isf(self.alpha / 2.0 if self.alternative == "two-sided" else self.alpha))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExcessSignificance(Readable):
    """Observed and expected number of significant studies, and three one-sided tests that the first is larger.

    `p_exact` sums the distribution of the count with each study's own power (Poisson binomial), `p_binomial` uses the
    mean power, `p_chi2` is the approximation of the 2007 paper. `power (k,)` per study; `significant` are rows;
    `limit` is the true effect, from the null towards the assumed one, at which `p_exact` equals `limit_alpha`.
    """

    observed: int
    expected: float
    power: Array
    significant: tuple[int, ...]
    p_exact: float
    p_binomial: float
    p_chi2: float
    effect: float
    tau2: float
    limit: float
    limit_alpha: float
    k: int
    notes: tuple[Note, ...]

    @property
    def ratio(self) -> float:
        """Observed over expected."""
        return self.observed / self.expected


def excess_significance(
    y: ArrayLike,
    v: ArrayLike,
    *,
    effect: float | None = None,
    tau2: float = 0.0,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    limit_alpha: float = 0.10,
) -> ExcessSignificance:
    """Compare the number of significant studies with the number expected from their power.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    effect, tau2 : mean and variance of the true effects; None is the common-effect mean
    null : effect under the studies' null hypothesis
    alternative, alpha : of the studies' tests: "two-sided", "positive" or "negative"
    limit_alpha : level at which the limit estimate is sought (the authors' 0.10)

    Raises `ModelError` for no effects, a sampling variance of 0, or a level outside (0, 1).

    >>> result = excess_significance([0.4, 0.5, 0.3], [0.04, 0.04, 0.02], effect=0.2)
    >>> result.observed, round(result.expected, 4), round(result.p_exact, 4)
    (3, 0.6331, 0.0085)
    """
    check_choice(alternative, Alternative, "alternative")
    data = bias_data(y, v, fewest=1, method="the test of excess significance")
    if not (0.0 < alpha < 1.0 and 0.0 < limit_alpha < 1.0) or tau2 < 0.0:
        raise ModelError(f"alpha={alpha!r}, limit_alpha={limit_alpha!r} must be in (0, 1) and tau2={tau2!r} 0 or more.")
    # The common-effect mean: large studies, least moved by selection, weigh most.
    theta = float(np.average(data.y, weights=1.0 / data.v)) if effect is None else float(effect)
    tests = _Tests(data.se, null, alternative, alpha)
    power = _power(tests, theta, tau2)
    significant = _significant(data.y, tests)
    observed, expected = int(significant.sum()), float(power.sum())

    def p_at(value: float) -> float:
        return _upper_tail(_power(tests, value, tau2), observed)

    limit, notes = _limit(p_at, tests, theta, limit_alpha)
    return ExcessSignificance(
        observed=observed,
        expected=expected,
        power=power,
        significant=tuple(data.effects.rows[i] for i in np.flatnonzero(significant)),
        p_exact=_upper_tail(power, observed),
        p_binomial=_at_least(observed, data.k, expected / data.k),
        p_chi2=_chi2(observed, expected, data.k),
        effect=theta,
        tau2=tau2,
        limit=limit,
        limit_alpha=limit_alpha,
        k=data.k,
        notes=data.notes + notes,
    )


def _significant(y: Array, tests: _Tests) -> NDArray[np.bool_]:
    # By each study's own error, without tau2: that is how its authors judged it.
    z = (y - tests.null) / tests.se
    signed = {"two-sided": np.abs(z), "positive": z, "negative": -z}[tests.alternative]
    return np.asarray(signed >= tests.critical)


def _power(tests: _Tests, effect: float, tau2: float) -> Array:
    """Chance that each study is significant when `y ~ N(effect, v + tau2)`."""
    # The bar is set by the study's own standard error, while the result scatters by tau2 as well.
    sd = np.sqrt(tests.se**2 + tau2)
    upper = special.ndtr((effect - tests.null - tests.critical * tests.se) / sd)
    lower = special.ndtr((tests.null - effect - tests.critical * tests.se) / sd)
    return np.asarray({"two-sided": upper + lower, "positive": upper, "negative": lower}[tests.alternative])


def _upper_tail(power: Array, observed: int) -> float:
    """P(count >= observed) when study i is significant with chance `power[i]`: the count's law, one study at a time."""
    law = np.zeros(len(power) + 1)
    law[0] = 1.0
    # Adding study by study is exact and takes k^2 steps; a normal approximation fails for few studies.
    for chance in power:
        law[1:] = law[1:] * (1.0 - chance) + law[:-1] * chance
        law[0] *= 1.0 - chance
    return float(min(1.0, law[observed:].sum()))


def _chi2(observed: int, expected: float, k: int) -> float:
    """One-sided: the signed root of Pearson's chi-square with 1 df as a normal deviate."""
    if not 0.0 < expected < k:
        return float("nan")
    statistic = (observed - expected) ** 2 / expected + (observed - expected) ** 2 / (k - expected)
    return float(special.ndtr(-np.sign(observed - expected) * np.sqrt(statistic)))


def _limit(
    p_at: Callable[[float], float], tests: _Tests, effect: float, level: float
) -> tuple[float, tuple[Note, ...]]:
    """The true effect at which the exact p rises to `level`, on the side the tests look to."""
    if p_at(tests.null) > level:
        message = f"the exact p is above {level:g} even if the true effect is the null: no limit estimate, NaN."
        return float("nan"), (Note("no-limit", message),)
    # A two-sided test gains power on both sides of the null: look on the side of the assumed effect.
    up = effect >= tests.null if tests.alternative == "two-sided" else tests.alternative == "positive"
    step = float(np.median(tests.se)) * (1.0 if up else -1.0)
    # Power, and so p, rises without end away from the null: doubling must pass the level.
    while p_at(tests.null + step) <= level:
        step *= 2.0
    # As a share of the way, so that the tolerance is relative to the distance and not to the unit of y.
    share = optimize.brentq(lambda t: p_at(tests.null + t * step) - level, 0.0, 1.0, xtol=1e-14)
    return tests.null + float(share) * step, ()


def _at_least(count: int, k: int, share: float) -> float:
    """The binomial probability of `count` or more of k."""
    return float(special.bdtrc(count - 1, k, share)) if count > 0 else 1.0


HISTORY = Note("history", "fail-safe N is reported for comparison with older work; it is no test of publication bias.")


@dataclass(frozen=True, slots=True, repr=False)
class FailSafe(Readable):
    """`n` hidden studies of mean effect 0 bring the pooled p to `alpha`, or (Orwin, General) the mean to `target`.

    `mean` is the average effect the count rests on and `p` the pooled p value; NaN where the method has none.
    """

    kind: FailSafeKind
    n: int
    k: int
    mean: float
    p: float
    alpha: float
    target: float
    notes: tuple[Note, ...]


def fail_safe_rosenthal(y: ArrayLike, v: ArrayLike, *, alpha: float = 0.05) -> FailSafe:
    """Studies with z = 0 that raise Stouffer's one-sided p to `alpha` (Rosenthal 1979, Psych. Bull. 86:638).

    `y, v (k,)` effects and sampling variances; `k (Z / z_alpha)^2 - k` rounded up, at least 0.

    >>> fail_safe_rosenthal([0.2, 0.4, 0.6], [0.01, 0.04, 0.04]).n
    16
    """
    data = bias_data(y, v, fewest=1, method="fail-safe N")
    # One-sided in the direction found: his formula looks at the size of the combined z alone.
    stouffer = abs(float((data.y / data.se).sum())) / np.sqrt(data.k)
    n = data.k * (stouffer / _quantile(alpha)) ** 2 - data.k
    nan = float("nan")
    p = float(special.ndtr(-stouffer))
    return FailSafe("Rosenthal", _up(n), data.k, nan, p, alpha, nan, (*data.notes, HISTORY))


def fail_safe_orwin(y: ArrayLike, v: ArrayLike | None = None, *, target: float | None = None) -> FailSafe:
    """Studies of effect 0 that bring the mean effect down to `target`, half of it by default (Orwin 1983).

    `y (k,)` effects; `v (k,)` variances to weight the mean by `1 / v` (None: plain mean, as Orwin).

    >>> fail_safe_orwin([0.2, 0.4, 0.6], target=0.1).n
    9
    """
    # Orwin counts studies and not precision, so equal variances stand in where none are given.
    effects = np.asarray(y, dtype=float)
    data = bias_data(effects, np.ones(effects.shape) if v is None else v, fewest=1, method="fail-safe N")
    mean = float(np.average(data.y, weights=1.0 / data.v))
    goal = mean / 2.0 if target is None else float(target)
    if goal == 0.0 or goal * mean < 0.0:
        raise ModelError(f"target={goal!r} must lie on the side of the mean effect ({mean:.4g}) and not be 0.")
    nan = float("nan")
    return FailSafe("Orwin", _up(data.k * (mean - goal) / goal), data.k, mean, nan, nan, goal, (*data.notes, HISTORY))


def fail_safe_rosenberg(y: ArrayLike, v: ArrayLike, *, alpha: float = 0.05) -> FailSafe:
    """Average-weight studies of effect 0 that raise the common-effect two-sided p to `alpha` (Rosenberg 2005).

    `y, v (k,)` effects and sampling variances. Source: Evolution 59:464.

    >>> fail_safe_rosenberg([0.2, 0.4, 0.6], [0.01, 0.04, 0.04]).n
    8
    """
    data = bias_data(y, v, fewest=1, method="fail-safe N")
    # Hidden studies get the mean weight of those seen: there is no better guess of their size.
    w = 1.0 / data.v
    total = float(w @ data.y)
    n = data.k * ((total / _quantile(alpha / 2.0)) ** 2 - w.sum()) / w.sum()
    p = float(2.0 * special.ndtr(-abs(total) / np.sqrt(w.sum())))
    nan = float("nan")
    return FailSafe("Rosenberg", _up(n), data.k, total / float(w.sum()), p, alpha, nan, (*data.notes, HISTORY))


# Hidden studies beyond which counting stops: no literature has as many.
MOST_HIDDEN = 10_000_000


def fail_safe_general(
    y: ArrayLike,
    v: ArrayLike,
    *,
    method: Tau2Method = "REML",
    alpha: float = 0.05,
    target: float | None = None,
) -> FailSafe:
    """Studies averaging 0 that raise the two-sided p of a random-effects mean to `alpha`, or bring it to `target`.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    method : estimator of tau2; EE gives Rosenberg's number, or Orwin's with weights
    alpha, target : p value to reach, or with `target` the mean to reach

    The hidden studies have the harmonic mean of `v` as variance, and their true effects vary as those seen do; the mean
    of all moves, and tau2 grows by the distance of the two groups (Viechtbauer 2024, Annual Meeting of the Society for
    Research Synthesis Methodology; the closed form, without fitting the model anew).

    >>> fail_safe_general([0.2, 0.4, 0.6], [0.01, 0.04, 0.04], method="EE").n
    8
    """
    check_choice(method, Tau2Method, "method")
    data = bias_data(y, v, fewest=2, method="fail-safe N")
    fit = fit_random_effects(data.y, data.v, method=method, test="z")
    mean, p = float(fit.beta[0]), float(fit.p[0])
    drawer = _Drawer(data.y, data.v, mean, fit.component("tau2").estimate, method == "EE")
    if target is None:
        _quantile(alpha / 2.0)
        n = _smallest(lambda hidden: drawer.pooled(hidden)[1] >= alpha)
    else:
        if target == 0.0 or target * mean < 0.0:
            raise ModelError(f"target={target!r} must lie on the side of the mean effect ({mean:.4g}) and not be 0.")
        n = _smallest(lambda hidden: abs(drawer.pooled(hidden)[0]) <= abs(target))
    far = (Note("many", f"not even {n:,} hidden studies suffice."),) if n == MOST_HIDDEN else ()
    goal = float("nan") if target is None else float(target)
    return FailSafe("General", n, data.k, mean, p, alpha, goal, (*data.notes, *far, HISTORY))


@dataclass(frozen=True, slots=True, eq=False)
class _Drawer:
    """Studies seen, with their random-effects mean and tau2, beside a number of hidden ones that average 0."""

    y: Array
    v: Array
    mean: float
    tau2: float
    common: bool

    def pooled(self, hidden: int) -> tuple[float, float]:
        """Mean and two-sided p of all studies."""
        k, tau2 = len(self.y), self.tau2
        if hidden and not self.common:
            # Two groups of true effects around their common mean: the spread within, and the squared distances to it.
            middle = k * self.mean / (k + hidden)
            within = (k - 1 + hidden - 1) * self.tau2
            apart = k * (self.mean - middle) ** 2 + hidden * middle**2
            tau2 = (within + apart) / (k + hidden - 1)
        # The harmonic mean of v is the variance of a study of average weight.
        typical = 1.0 / float(np.mean(1.0 / self.v))
        w = 1.0 / (self.v + tau2)
        total = float(w.sum()) + hidden / (typical + tau2)
        mean = float(w @ self.y) / total
        return mean, float(2.0 * special.ndtr(-abs(mean) * np.sqrt(total)))


def _smallest(reached: Callable[[int], bool]) -> int:
    """The smallest number of hidden studies at which a condition holds that holds from there on."""
    if reached(0):
        return 0
    low, high = 0, 1
    while not reached(high):
        if high >= MOST_HIDDEN:
            return MOST_HIDDEN
        # Doubling, then halving: thousands of hidden studies take a dozen trials.
        low, high = high, min(2 * high, MOST_HIDDEN)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _quantile(tail: float) -> float:
    if not 0.0 < tail < 0.5:
        raise ModelError(f"a tail probability of {tail!r} leaves no test; pass alpha=0.05 or another small level.")
    return float(normal_isf(tail))


def _up(n: float) -> int:
    """Rounded up to whole studies, at least 0; what rounding noise lifts above a whole number does not count."""
    whole = round(n)
    return max(0, whole if abs(n - whole) <= 1e-9 * max(1.0, abs(n)) else int(np.ceil(n)))
