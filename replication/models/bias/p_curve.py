"""P-curve: does the distribution of the significant p values alone show that there is something to find?

Source: Simonsohn, Nelson & Simmons (2014a, JEP: General 143:534; 2014b, Perspectives 9:666; 2015, JEP: General
144:1146 for the half curve and Stouffer's method). If all effects are 0, significant p values are uniform on
(0, 0.05); with power they crowd near 0. Each test turns every significant result into its probability pp under a
hypothesis about power and adds up the normal quantiles of pp:

- right skew, hypothesis: no power beyond 5 %. Small pp: evidential value;
- flatness, hypothesis: 33 % power. Small pp: flatter than that, no evidential value;
- the power at which the sum is 0 is the power estimate.

Only `z = y / sqrt(v)` is known here, so studies are normal tests of noncentrality delta with two-sided p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from replication.errors import ModelError
from replication.models.bias.inputs import BiasData, bias_data
from replication.models.fit import Array, Interval, Note
from replication.models.options import Direction, check_choice
from replication.models.prepare import list_rows
from replication.models.probability import normal_isf
from replication.models.readable import Readable

__all__ = [
    "PCurve",
    "PCurveShares",
    "PCurveTest",
    "has_evidential_value",
    "is_inadequate",
    "p_curve",
    "p_curve_shares",
]

ALPHA = 0.05
# The power set against flatness, and the range of the power estimate: authors' choices.
FLAT_POWER = 1.0 / 3.0
LOWEST_POWER, HIGHEST_POWER = 0.05, 0.99


@dataclass(frozen=True, slots=True, repr=False)
class PCurveTest(Readable):
    """Stouffer's z over the full curve (p < .05) and the half curve (p < .025), their p, and the binomial p.

    The binomial test asks whether more (right skew) or fewer (flatness) p values than expected lie below .025.
    """

    z: float
    p: float
    half_z: float
    half_p: float
    binomial_p: float


@dataclass(frozen=True, slots=True, repr=False)
class PCurve(Readable):
    """Both tests, the authors' two verdicts, and the estimated average power of the significant studies.

    `k` effects, `significant` of them with p < .05 and `half` with p < .025.
    """

    k: int
    significant: int
    half: int
    right_skew: PCurveTest
    flatness: PCurveTest
    evidential_value: bool
    inadequate: bool
    power: float
    power_interval: Interval
    notes: tuple[Note, ...]


def p_curve(
    y: ArrayLike, v: ArrayLike, *, direction: Direction | None = None, level: float = 0.90, cut: float = 0.0
) -> PCurve:
    """Analyse the curve of the two-sided p values below .05.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    direction : predicted sign; significant results against it are left out with a note. None takes all
    level : of the interval for power (the authors' 0.90)
    cut : keep every pp in [cut, 1 - cut]; 2.2e-16 is what p-curve.com does to save its digits, 0 uses pp as they are

    With no significant result every number is NaN, with a note.

    Raises `ModelError` for no effects or a sampling variance of 0.

    >>> curve = p_curve([0.5, 0.42, 0.62, 0.1], [0.04, 0.01, 0.04, 0.04])
    >>> curve.significant, curve.half, round(curve.right_skew.p, 4), curve.evidential_value
    (3, 3, 0.0005, True)
    """
    if direction is not None:
        check_choice(direction, Direction, "direction")
    if not 0.0 < level < 1.0:
        raise ModelError(f"level={level!r} is not between 0 and 1; the authors use 0.90.")
    data = bias_data(y, v, fewest=1, method="p-curve")
    # Only significant results are used: whether others were published then makes no difference to the test.
    z, notes = _significant(data, direction)
    half = z[z > _critical(ALPHA / 2.0)]
    right, flat = _test(z, half, ALPHA, cut), _test(z, half, FLAT_POWER, cut)
    power, interval = _power(z, level, cut)
    return PCurve(
        k=data.k,
        significant=len(z),
        half=len(half),
        right_skew=right,
        flatness=flat,
        evidential_value=has_evidential_value(right),
        inadequate=is_inadequate(flat),
        power=power,
        power_interval=interval,
        notes=data.notes + notes,
    )


def has_evidential_value(right: PCurveTest) -> bool:
    """The authors' rule for evidential value, from the tests of right skew (Simonsohn, Simmons & Nelson 2015).

    The half curve is below .05, or the half and the full curve are both below .10.
    """
    # The half curve alone resists p-hacking that stops just below .05, so it may decide by itself.
    return right.half_p < 0.05 or (right.half_p < 0.10 and right.p < 0.10)


def is_inadequate(flat: PCurveTest) -> bool:
    """The authors' rule for evidence that is inadequate, from the tests of flatness beside 33 % power.

    The full curve is below .05, or the half curve and the binomial test are both below .10.
    """
    return flat.p < 0.05 or (flat.half_p < 0.10 and flat.binomial_p < 0.10)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PCurveShares(Readable):
    """The p-curve itself, in five ranges of p.

    The curve itself `(5,)`: upper ends `p` of the ranges .00-.01 to .04-.05, the share of significant results
    `observed` in each (NaN with none), and the shares to expect without any effect (`flat`) and with 33 % power.
    """

    p: Array
    observed: Array
    flat: Array
    low_power: Array


def p_curve_shares(y: ArrayLike, v: ArrayLike, *, direction: Direction | None = None) -> PCurveShares:
    """Shares of the significant results in each hundredth of p, beside what no effect and low power would give.

    >>> p_curve_shares([0.5, 0.42, 0.62, 0.1], [0.04, 0.01, 0.04, 0.04]).observed.round(2).tolist()
    [0.67, 0.33, 0.0, 0.0, 0.0]
    """
    z, _ = _significant(bias_data(y, v, fewest=1, method="p-curve"), direction)
    ends = np.linspace(0.01, ALPHA, 5)
    # p comes back from |z|, so rounding may lift one just above .05: it belongs to the last range.
    place = np.searchsorted(ends, np.exp(_log_tail(z, 0.0)))
    counts = np.bincount(np.minimum(place, len(ends) - 1), minlength=len(ends))
    observed = counts / len(z) if len(z) else np.full(len(ends), np.nan)
    # Power is P(p < .05), so dividing by it leaves the shares among significant results, which sum to 1.
    delta = _delta(FLAT_POWER)
    reached = np.array([np.exp(float(_log_tail(_critical(p), delta))) for p in ends]) / FLAT_POWER
    return PCurveShares(ends, observed, np.full(len(ends), 0.2), np.diff(reached, prepend=0.0))


def _significant(data: BiasData, direction: Direction | None) -> tuple[Array, tuple[Note, ...]]:
    """The `|z|` in play and notes on results that are not."""
    z = data.y / data.se
    # Significant as the paper would have called it: two-sided, whatever the direction that is asked about here.
    hit = np.abs(z) > _critical(ALPHA)
    against = hit & (z < 0 if direction == "positive" else z > 0) if direction else np.zeros(len(z), dtype=bool)
    notes = []
    if against.any():
        rows = tuple(data.effects.rows[i] for i in np.flatnonzero(against))
        notes.append(Note("against-direction", f"{list_rows(rows)} left out: significant, but not {direction}.", rows))
    used = hit & ~against
    if not used.any():
        notes.append(Note("undefined", "no significant result: there is no curve, so every number is NaN."))
    return np.abs(z[used]), tuple(notes)


def _critical(p: float) -> float:
    return float(normal_isf(p / 2.0))


def _log_tail(z: Array | float, delta: float) -> Array:
    """`log P(|Z| > z)` for Z ~ N(delta, 1)."""
    # On the log scale: studies with z of 10 or more have p values that underflow in a sum.
    return np.logaddexp(special.log_ndtr(delta - np.asarray(z)), special.log_ndtr(-delta - np.asarray(z)))


def _delta(power: float) -> float:
    """The noncentrality at which a two-sided 5 % test has this power."""
    if power <= ALPHA:
        return 0.0
    # At a noncentrality of 12 power is 1 in double precision: every power asked for lies below.
    goal = np.log(power)
    return float(optimize.brentq(lambda d: float(_log_tail(_critical(ALPHA), d)) - goal, 0.0, 12.0, xtol=1e-13))


def _stouffer(z: Array, delta: float, bound: float, cut: float) -> float:
    """Sum of normal quantiles of pp over root k; pp = P(|Z| > z given significant at `bound`) under delta.

    Quantiles come from log pp and log(1 - pp), so that neither end of the curve is cut off.
    """
    if len(z) == 0:
        return float("nan")
    tiny = np.finfo(float).tiny
    # A z on the bound has pp = 1, whose quantile is infinite: it is held just below.
    log_pp = np.minimum(_log_tail(z, delta) - float(_log_tail(_critical(bound), delta)), -tiny)
    if cut > 0.0:
        log_pp = np.clip(log_pp, np.log(cut), np.log1p(-cut))
    with np.errstate(divide="ignore"):
        upper = -special.ndtri_exp(np.log(-np.expm1(log_pp)))
    # -0.7 is about log(1/2): each half of the range takes the form that keeps its digits.
    return float(np.where(log_pp < -0.7, special.ndtri_exp(log_pp), upper).sum() / np.sqrt(len(z)))


def _test(z: Array, half: Array, power: float, cut: float) -> PCurveTest:
    """Under 5 % power (right skew) small pp count, under 33 % (flatness) large pp: p values too high."""
    delta = _delta(power)
    full_z, half_z = _stouffer(z, delta, ALPHA, cut), _stouffer(half, delta, ALPHA / 2.0, cut)
    share = float(np.exp(_log_tail(_critical(ALPHA / 2.0), delta) - _log_tail(_critical(ALPHA), delta)))
    # Right skew is told by small pp, flatness by large ones: the sign puts both into the lower tail.
    side = 1.0 if delta == 0.0 else -1.0
    if len(z) == 0:
        binomial = float("nan")
    elif delta == 0.0:
        binomial = float(special.bdtrc(len(half) - 1, len(z), share)) if len(half) else 1.0
    else:
        binomial = float(special.bdtr(len(half), len(z), share))
    p, half_p = float(special.ndtr(side * full_z)), float(special.ndtr(side * half_z))
    return PCurveTest(full_z, p, half_z, half_p, binomial)


def _power(z: Array, level: float, cut: float) -> tuple[float, Interval]:
    """The power at which Stouffer's z is 0, and the two at which it is at its normal quantiles."""
    nan = float("nan")
    if len(z) == 0:
        return nan, Interval(nan, nan, level, "p-curve", "no significant result")
    normal = float(normal_isf((1.0 - level) / 2.0))
    # Stouffer's z is standard normal at the true power, so its quantiles bound the powers that are not refuted.
    low, high = _power_at(z, -normal, cut), _power_at(z, normal, cut)
    edges = [edge for edge in (LOWEST_POWER, HIGHEST_POWER) if edge in (low, high)]
    reason = f"cut at the range of powers, {LOWEST_POWER:g} to {HIGHEST_POWER:g}" if edges else ""
    return _power_at(z, 0.0, cut), Interval(low, high, level, "p-curve", reason)


def _power_at(z: Array, goal: float, cut: float) -> float:
    """The power in [5 %, 99 %] at which Stouffer's z, which rises with power, reaches `goal`; else the nearer end."""

    def gap(delta: float) -> float:
        return _stouffer(z, delta, ALPHA, cut) - goal

    low, high = 0.0, _delta(HIGHEST_POWER)
    if gap(low) >= 0.0:
        return LOWEST_POWER
    if gap(high) <= 0.0:
        return HIGHEST_POWER
    return float(np.exp(_log_tail(_critical(ALPHA), float(optimize.brentq(gap, low, high, xtol=1e-12)))))
