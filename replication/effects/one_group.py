"""Effects of a single group: a mean, its spread, a proportion, and the reliability of a scale (Cronbach's alpha).

A zero or full count leaves a log or logit without a value: `zero_counts` says what happens then.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from replication.effects.effect_size import Array, EffectSize, Flag, numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = [
    "AlphaScale",
    "ProportionScale",
    "ZeroCounts",
    "cronbach_alpha",
    "log_spread",
    "proportion",
    "single_mean",
]

# raw: x / n; log; logit; arcsine: asin sqrt p; double arcsine: Freeman & Tukey (1950), half the sum of two arcsines.
ProportionScale = Literal["raw", "log", "logit", "arcsine", "double arcsine"]

# only-zero: 1/2 to both counts of rows with a zero; none: as printed, NaN where a log has no value.
ZeroCounts = Literal["only-zero", "none"]

# raw; Hakstian & Whalen (1976): 1 - (1 - alpha)^(1/3); Bonett (2002): -log(1 - alpha).
AlphaScale = Literal["raw", "hakstian-whalen", "bonett"]


def single_mean(mean: ArrayLike, sd: ArrayLike, n: ArrayLike) -> EffectSize:
    """The mean of one group, variance `sd^2 / n`.

    >>> round(float(single_mean(10, 2, 25).variance), 6)
    0.16
    """
    m, s, k = numbers({"mean": mean, "sd": sd, "n": n})
    refuse(s < 0, "a negative standard deviation; check the printed number")
    refuse(k < 2, "fewer than 2 persons")
    return EffectSize(m, s**2 / k, "mean")


def log_spread(sd: ArrayLike, n: ArrayLike) -> EffectSize:
    """The log of a standard deviation, `log sd + 1 / (2 (n - 1))`, variance `1 / (2 (n - 1))`.

    Source: Raudenbush & Bryk (1987).

    >>> round(float(log_spread(2, 25).estimate), 6)
    0.713981
    """
    s, k = numbers({"sd": sd, "n": n})
    refuse(s <= 0, "a standard deviation that is not above 0 has no log")
    refuse(k < 2, "fewer than 2 persons")
    return EffectSize(np.log(s) + 0.5 / (k - 1.0), 0.5 / (k - 1.0), "log sd")


def proportion(
    events: ArrayLike, n: ArrayLike, scale: ProportionScale = "logit", *, zero_counts: ZeroCounts = "only-zero"
) -> EffectSize:
    """The share of a group with an event, on the scale asked for.

    Parameters
    ----------
    events : persons with the event
    n : persons
    scale : raw, variance `p (1 - p) / n`; log, `1/x - 1/n`; logit, `1/x + 1/(n - x)`; arcsine, `1 / (4 n)`; double
        arcsine (Freeman & Tukey 1950), `1 / (4 n + 2)`
    zero_counts : for raw, log and logit, which have no value or no variance at 0 or n events

    >>> round(float(proportion(12, 40).estimate), 6), round(float(proportion(12, 40).variance), 6)
    (-0.847298, 0.119048)
    """
    _check_word(scale, ProportionScale, "scale")
    _check_word(zero_counts, ZeroCounts, "zero_counts")
    x, k = numbers({"events": events, "n": n})
    refuse((x < 0) | (k < 1), "a negative count or an empty group; check the printed numbers")
    refuse(x > k, "more events than persons; check the printed numbers")
    if scale == "arcsine":
        # The arcsine has a value at 0 and n, so nothing is added to the counts.
        return EffectSize(np.arcsin(np.sqrt(x / k)), 0.25 / k, "arcsine proportion")
    if scale == "double arcsine":
        halves = np.arcsin(np.sqrt(x / (k + 1.0))) + np.arcsin(np.sqrt((x + 1.0) / (k + 1.0)))
        return EffectSize(0.5 * halves, 1.0 / (4.0 * k + 2.0), "double arcsine proportion")
    x, k, flags = _filled(x, k, zero_counts)
    # Logs of counts of 0 are wanted as infinities here: `_defined` turns them into NaN with a flag.
    with np.errstate(divide="ignore", invalid="ignore"):
        if scale == "raw":
            return EffectSize(x / k, x * (k - x) / k**3, "proportion", flags)
        if scale == "log":
            return _defined(np.log(x / k), 1.0 / x - 1.0 / k, "log proportion", flags)
        return _defined(np.log(x / (k - x)), 1.0 / x + 1.0 / (k - x), "logit proportion", flags)


def cronbach_alpha(alpha: ArrayLike, items: ArrayLike, n: ArrayLike, scale: AlphaScale = "bonett") -> EffectSize:
    """Cronbach's alpha of a scale of m items in a sample of n.

    Parameters
    ----------
    alpha : reliability, below 1
    items : number of items m, 2 or more
    n : persons
    scale : raw, variance `2 m (1 - alpha)^2 / ((m - 1) (n - 2))` (van Zyl et al. 2000); hakstian-whalen; bonett

    >>> a = cronbach_alpha(0.8, 10, 100)
    >>> round(float(a.estimate), 6), round(float(a.variance), 6)
    (1.609438, 0.022676)
    """
    _check_word(scale, AlphaScale, "scale")
    a, m, k = numbers({"alpha": alpha, "items": items, "n": n})
    # A negative alpha is possible and kept: it says that items contradict each other.
    refuse(a >= 1, "an alpha of 1 or more; check the printed number")
    refuse((m < 2) | (k < 4), "a scale of fewer than 2 items or a sample of fewer than 4 persons")
    left = 1.0 - a
    if scale == "raw":
        return EffectSize(a, 2.0 * m * left**2 / ((m - 1.0) * (k - 2.0)), "alpha")
    if scale == "hakstian-whalen":
        variance = 18.0 * m * (k - 1.0) * left ** (2.0 / 3.0) / ((m - 1.0) * (9.0 * k - 11.0) ** 2)
        return EffectSize(1.0 - np.cbrt(left), variance, "alpha, cube root")
    return EffectSize(-np.log(left), 2.0 * m / ((m - 1.0) * (k - 2.0)), "alpha, log")


def _filled(x: Array, k: Array, rule: ZeroCounts) -> tuple[Array, Array, tuple[Flag, ...]]:
    """Counts after the rule: 1/2 to events and to non-events where one of them is 0."""
    zero = (x == 0) | (x == k)
    rows = rows_where(zero)
    if rule == "none" or not rows:
        return x, k, ()
    flag = Flag("zero-cell", f"zero_counts={rule}: 0.5 added to both counts of {list_rows(rows)}", rows)
    return np.where(zero, x + 0.5, x), np.where(zero, k + 1.0, k), (flag,)


def _defined(
    y: Array, v: Array, metric: Literal["log proportion", "logit proportion"], flags: tuple[Flag, ...]
) -> EffectSize:
    """The effect, NaN and flagged where a count of 0 leaves it without a value."""
    lost = ~(np.isfinite(y) & np.isfinite(v)) & ~np.isnan(y)
    rows = rows_where(lost)
    if rows:
        flags = (*flags, Flag("undefined", f"a count of 0 or n leaves no {metric} in {list_rows(rows)}", rows))
    return EffectSize(np.where(lost, np.nan, y), np.where(lost, np.nan, v), metric, flags)


def _check_word(word: str, words: object, option: str) -> None:
    known = get_args(words)
    if word not in known:
        raise UserError(f"{option}={word!r} is not known; choose one of {', '.join(map(repr, known))}.")
