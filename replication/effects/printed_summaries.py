"""Effects from what papers print in their place: medians with quartiles or a range, an estimate with its interval.

Quantiles give a mean and a standard deviation under normality: Luo et al. (2016, Statistical Methods in Medical
Research 27:1785) for the mean, Wan et al. (2014, BMC Medical Research Methodology 14:135) and Shi et al. (2020,
Research Synthesis Methods 11:641) for the sd, Shi et al. (2023, Statistical Methods in Medical Research 32:1338) for
the test that the data are too skewed for it. An estimate with a Wald interval, z or p gives back its variance.

Of quantities above 0 that are skewed, the logs are taken for normal: Shi et al. (2020, Statistics and Its Interface
13:519) for mean and sd behind quantiles of a log-normal distribution, without the bias of turning them back.

Three quantiles know less of a mean than all persons do: its variance here is that of the combination of order
statistics (David & Johnson 1954, Biometrika 41:228), 1.1 to 1.5 times `sd^2 / n`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from replication.effects.correlation import to_fisher_z
from replication.effects.effect_size import Array, EffectSize, Flag, Metric, numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = ["MeanFromQuantiles", "PrintedScale", "QuantilesOf", "Skewed", "from_interval", "mean_from_quantiles"]

NAN = float("nan")

# Rows whose quantiles show skewness beyond chance: without a mean, or with the one normality would give, flagged.
Skewed = Literal["exclude", "keep"]

# What the data behind printed quantiles are taken for.
QuantilesOf = Literal["normal", "log-normal"]

# The formulas of the sources begin here.
FEWEST = 5


@dataclass(frozen=True, slots=True, eq=False)
class MeanFromQuantiles:
    """Estimated `mean`, `sd` and sampling `variance` of the mean, with the test of skewness: beyond `critical` at 5 %.

    All of one shape; NaN where the numbers printed do not suffice.
    """

    mean: Array
    sd: Array
    variance: Array
    skewness: Array
    critical: Array
    flags: tuple[Flag, ...]


def mean_from_quantiles(
    n: ArrayLike,
    *,
    median: ArrayLike = NAN,
    q1: ArrayLike = NAN,
    q3: ArrayLike = NAN,
    minimum: ArrayLike = NAN,
    maximum: ArrayLike = NAN,
    skewed: Skewed = "exclude",
    distribution: QuantilesOf = "normal",
) -> MeanFromQuantiles:
    """Mean and sd behind a median with quartiles, with the range, or with both, as of a normal distribution.

    Parameters
    ----------
    n : persons; rows with fewer than 5 get none
    median, q1, q3, minimum, maximum : what was printed; NaN for the rest. Quartiles or a range without a median give
        an sd only
    skewed : what rows get whose quantiles show skewness beyond chance
    distribution : "log-normal" takes the logs for normal, asks of them whether they are skewed, and gives mean and
        sd of the quantity itself

    Raises `UserError` for quantiles out of order, and for those of a log-normal distribution that are not above 0.

    >>> found = mean_from_quantiles(45, median=9, q1=5, q3=14)
    >>> round(float(found.mean), 4), round(float(found.sd), 4), round(float(found.variance), 4)
    (9.3543, 6.8922, 1.2149)
    """
    if skewed not in get_args(Skewed):
        raise UserError(f"skewed={skewed!r} is not known; choose one of {', '.join(map(repr, get_args(Skewed)))}.")
    given = {"n": n, "minimum": minimum, "q1": q1, "median": median, "q3": q3, "maximum": maximum}
    if distribution not in get_args(QuantilesOf):
        known = ", ".join(map(repr, get_args(QuantilesOf)))
        raise UserError(f"distribution={distribution!r} is not known; choose one of {known}.")
    k, *five = numbers(given)
    quantiles = np.array(five)
    _refuse_disorder(quantiles)
    if distribution == "log-normal":
        refuse(
            np.asarray((quantiles <= 0.0).any(axis=0)),
            "a quantile that is not above 0 has no log; pass distribution='normal'",
        )
        quantiles = np.log(quantiles)
    enough = k >= FEWEST
    # Logs and roots of the formulas have no value at small n; those rows are emptied below.
    size = np.where(enough, k, NAN)
    low, q_low, _, q_high, high = quantiles
    by_range, by_quartiles = np.isfinite(high - low), np.isfinite(q_high - q_low)
    weights = _weights(size, by_range, by_quartiles)
    # A quantile of weight 0 was not printed: it must not turn the sum into NaN.
    sd_weights = _sd_weights(size, by_range, by_quartiles)
    mean, sd = (np.where(w == 0.0, 0.0, w * quantiles).sum(axis=0) for w in (weights, sd_weights))
    mean, sd = (np.where(by_range | by_quartiles, found, NAN) for found in (mean, sd))
    skewness, critical = _skewness(quantiles, size, by_range, by_quartiles)
    with np.errstate(invalid="ignore"):
        is_skewed = skewness >= critical
    flags = _quantile_flags(sd, is_skewed, ~enough & np.isfinite(k), skewed, distribution)
    if skewed == "exclude":
        mean, sd = np.where(is_skewed, NAN, mean), np.where(is_skewed, NAN, sd)
    variance = np.where(np.isnan(mean), NAN, sd**2 * _variance_of(weights, size))
    if distribution == "log-normal":
        mean, sd, variance = _from_logs(mean, sd, size, by_range, by_quartiles)
    return MeanFromQuantiles(mean, sd, variance, skewness, critical, flags)


def _refuse_disorder(quantiles: Array) -> None:
    """Every printed quantile must be at least the one before it that was printed."""
    running = np.fmax.accumulate(quantiles, axis=0)
    with np.errstate(invalid="ignore"):
        bad = (quantiles[1:] < running[:-1]).any(axis=0)
    refuse(np.asarray(bad), "minimum, q1, median, q3 and maximum are not in this order; check the printed numbers")


def _weights(n: Array, by_range: NDArray[np.bool_], by_quartiles: NDArray[np.bool_]) -> Array:
    """Weights `(5, ...)` of the five quantiles in the mean: Luo et al. (2016), eqs. 7, 11 and 15."""
    both = by_range & by_quartiles
    outer = np.where(both, 2.2 / (2.2 + n**0.75), np.where(by_range, 4.0 / (4.0 + n**0.75), 0.0))
    inner = np.where(both, 0.7 - 0.72 / n**0.55, np.where(by_quartiles, 0.7 + 0.39 / n, 0.0))
    return np.array([outer / 2.0, inner / 2.0, 1.0 - outer - inner, inner / 2.0, outer / 2.0])


def _sd_weights(n: Array, by_range: NDArray[np.bool_], by_quartiles: NDArray[np.bool_]) -> Array:
    """Weights `(5, ...)` of the five quantiles in the sd.

    Wan et al. (2014), eqs. 9 and 16, from the range and from the quartiles; Shi et al. (2020), eq. 10, from both.
    """
    share = np.where(by_range & by_quartiles, 1.0 / (1.0 + 0.07 * n**0.6), np.where(by_range, 1.0, 0.0))
    wide = share / (2.0 * scipy.special.ndtri((n - 0.375) / (n + 0.25)))
    narrow = (1.0 - share) / (2.0 * scipy.special.ndtri((0.75 * n - 0.125) / (n + 0.25)))
    return np.array([-wide, -narrow, np.zeros_like(wide), narrow, wide])


def _from_logs(
    mean: Array, sd: Array, n: Array, by_range: NDArray[np.bool_], by_quartiles: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Mean, sd and variance of the mean of a quantity whose logs have these: Shi et al. (2020).

    The square and fourth power of the sd are freed of bias, then the expectation of `exp(c mean + e sd^2)`, which is
    `1 + c^2 a sd^2 / n + (2 e)^2 b sd^4 / n` times too large. Constants as in metafor's `conv.fivenum`.
    The variance is that of `exp(mean + sd^2 / 2)` by the delta method: an even and an odd sum do not correlate.
    """
    both, log = by_range & by_quartiles, np.log(n)

    def by_kind(all_five: Array | float, ends: Array | float, quartiles: Array | float) -> Array:
        return np.asarray(np.where(both, all_five, np.where(by_range, ends, quartiles)))

    square = sd**2 / by_kind(1.0 + 0.28 / log**2, 1.01 + 0.25 / log**2, 1.0 + 1.58 / n)
    fourth = sd**4 / by_kind(1.0 + 3.93 / n, 1.0 + 2.23 / log**2, 1.0 + 19.2 / n**1.2)
    a, b = by_kind(0.405, 0.565, 0.57), by_kind(0.315, 0.37, 0.75)

    def expected(c: float, e: float) -> Array:
        bias = 1.0 + (c**2 * a * square + (2.0 * e) ** 2 * b * fourth) / n
        return np.asarray(np.exp(c * mean + e * square) / bias)

    turned = expected(1.0, 0.5)
    spread = np.sqrt(np.maximum(expected(2.0, 2.0) - expected(2.0, 1.0), 0.0))
    of_mean, of_sd = (_variance_of(w(n, by_range, by_quartiles), n) for w in (_weights, _sd_weights))
    return turned, spread, turned**2 * (square * of_mean + fourth * of_sd)


def _skewness(
    quantiles: Array, n: Array, by_range: NDArray[np.bool_], by_quartiles: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """How far the median lies from the middle, and the value of that at which it is significant: Shi et al. (2023)."""
    low, q_low, middle, q_high, high = quantiles
    with np.errstate(divide="ignore", invalid="ignore"):
        outer = np.abs(low + high - 2.0 * middle) / (high - low)
        inner = np.abs(q_low + q_high - 2.0 * middle) / (q_high - q_low)
        joint = np.fmax(2.65 * np.log(0.6 * n) / np.sqrt(n) * outer, inner)
    both = by_range & by_quartiles
    critical = np.where(
        both,
        3.0 / np.sqrt(n) - 40.0 / n**3,
        np.where(by_range, 1.0 / np.log(n + 9.0) + 2.5 / (n + 1.0), 2.65 / np.sqrt(n) - 6.0 / n**2),
    )
    return np.where(both, joint, np.where(by_range, outer, inner)), critical


def _variance_of(weights: Array, n: Array) -> Array:
    """Variance of the weighted quantiles of n standard normal variables, by the expansion to order `(n + 2)^-2`.

    Within 4 % of simulated variances from n = 9 on. Source: David & Johnson (1954).
    """
    p = np.stack(np.broadcast_arrays(1.0 / (n + 1.0), 0.25, 0.5, 0.75, n / (n + 1.0)), axis=-1)
    q = 1.0 - p
    u = scipy.special.ndtri(p)
    # Derivatives of the normal quantile function.
    first = np.sqrt(2.0 * np.pi) * np.exp(0.5 * u**2)
    second, third = u * first**2, (1.0 + 2.0 * u**2) * first**3
    bend = (q - p) * second + 0.5 * p * q * third
    a = np.moveaxis(weights, 0, -1)
    # p of the lower and q of the higher of two quantiles: the smaller of both p and of both q.
    common = np.minimum(p[..., :, None], p[..., None, :]) * np.minimum(q[..., :, None], q[..., None, :])

    def total(left: Array, right: Array, times: Array) -> Array:
        return np.asarray(np.einsum("...i,...ij,...j->...", a * left, times, a * right))

    lead = total(first, first, common) / (n + 2.0)
    rest = 2.0 * total(bend, first, common) + 0.5 * total(second, second, common**2)
    return np.asarray(lead + rest / (n + 2.0) ** 2)


def _quantile_flags(
    sd: Array, is_skewed: NDArray[np.bool_], few: NDArray[np.bool_], skewed: Skewed, distribution: QuantilesOf
) -> tuple[Flag, ...]:
    made = rows_where(np.isfinite(sd) & ~(is_skewed & (skewed == "exclude")))
    flags = [Flag("from-quantiles", f"mean and sd estimated from quantiles, as of a {distribution} distribution", made)]
    rows = rows_where(is_skewed)
    what = "no mean estimated" if skewed == "exclude" else "estimated all the same"
    if rows:
        message = f"quantiles skewed beyond chance in {list_rows(rows)}: {what} (skewed={skewed!r})"
        flags.append(Flag("skewed", message, rows))
    if rows_where(few):
        flags.append(Flag("few", f"fewer than {FEWEST} persons: no mean estimated", rows_where(few)))
    return tuple(flag for flag in flags if flag.rows)


# The scale on which an estimate is printed where that is not the scale on which effects are pooled.
PrintedScale = Literal["ratio", "r", "same"]

_SCALES: Mapping[Metric, PrintedScale] = {
    "log odds ratio": "ratio",
    "log risk ratio": "ratio",
    "log rate ratio": "ratio",
    "log ratio of means": "ratio",
    "fisher z": "r",
}

# Shares of the interval below the estimate that rounding and Wald's formula account for; beyond, a row is flagged.
CENTRED = (0.45, 0.55)


def from_interval(
    estimate: ArrayLike,
    metric: Metric,
    *,
    low: ArrayLike = NAN,
    high: ArrayLike = NAN,
    z: ArrayLike = NAN,
    p: ArrayLike = NAN,
    level: ArrayLike = 0.95,
) -> EffectSize:
    """An effect with the variance that its Wald interval, test statistic or p value implies.

    Parameters
    ----------
    estimate : as printed: a ratio for the log metrics, a correlation for Fisher's z, else the effect itself
    metric : of the result
    low, high : ends of the interval, on the scale of the estimate; `((high - low) / (2 z))^2` on that of the metric.
        One end alone gives its distance to the estimate
    z, p : test statistic or two-sided p, where a row has no interval; `(effect / z)^2`
    level : of the interval

    Rows whose estimate lies far from the middle of its interval are flagged: it was made otherwise or on another scale.

    >>> odds = from_interval([1.37, 0.64], "log odds ratio", low=[1.03, float("nan")], high=[1.82, 1.22])
    >>> odds.estimate.round(4).tolist(), odds.variance.round(4).tolist()
    ([0.3148, -0.4463], [0.0211, 0.1083])
    """
    given = {"estimate": estimate, "low": low, "high": high, "z": z, "p": p, "level": level}
    printed, below, above, statistic, tail, confidence = numbers(given)
    refuse((below > printed) | (above < printed), "the estimate lies outside its interval; check the printed numbers")
    refuse((tail <= 0.0) | (tail > 1.0), "p outside 0 to 1; pass an exact p above 0, or the interval")
    refuse((confidence <= 0.0) | (confidence >= 1.0), "level outside 0 to 1; 95 % is 0.95")
    y, lower, upper = (_on_scale(values, _SCALES.get(metric, "same")) for values in (printed, below, above))
    half = -scipy.special.ndtri((1.0 - confidence) / 2.0)
    test = np.where(np.isfinite(statistic), statistic, -scipy.special.ndtri(tail / 2.0))
    with np.errstate(divide="ignore"):
        # The first that is there: the whole interval, its upper or lower half, the test.
        choices = [(upper - lower) / (2.0 * half), (upper - y) / half, (y - lower) / half, np.abs(y / test)]
    se = choices[0]
    for other in choices[1:]:
        se = np.where(np.isfinite(se), se, other)
    refuse(np.isinf(se) | (se == 0.0), "an interval or test that leaves no standard error; check the printed numbers")
    return EffectSize(y, np.where(np.isnan(y), NAN, se**2), metric, _interval_flags(y, lower, upper, se))


def _on_scale(values: Array, scale: PrintedScale) -> Array:
    if scale == "ratio":
        refuse(values <= 0.0, "a ratio that is not above 0 has no log; pass ratios as printed, not their logs")
        return np.asarray(np.log(values))
    if scale == "r":
        refuse(np.abs(values) >= 1.0, "a correlation of 1 or -1 or beyond has no Fisher z")
        return to_fisher_z(values)
    return values


def _interval_flags(y: Array, lower: Array, upper: Array, se: Array) -> tuple[Flag, ...]:
    made = rows_where(np.isfinite(y) & np.isfinite(se))
    flags = [Flag("from-interval", "variance computed back from a printed interval or test", made)] if made else []
    share = (y - lower) / (upper - lower)
    rows = rows_where((share < CENTRED[0]) | (share > CENTRED[1]))
    if rows:
        message = f"the estimate is not in the middle of its interval in {list_rows(rows)}: made otherwise, or rounded"
        flags.append(Flag("not-centred", message, rows))
    return tuple(flags)
