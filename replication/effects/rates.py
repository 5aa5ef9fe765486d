"""Events over time: the rate of one group, and the ratio and difference of two.

`time` is the total exposure of a group (person-years), in one unit for all.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.effects.effect_size import Array, EffectSize, Flag, numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = ["RateScale", "incidence_rate", "rate_difference", "rate_ratio"]

# raw: x / t; log; square root; freeman-tukey: half of sqrt(x / t) + sqrt((x + 1) / t) (Freeman & Tukey 1950).
RateScale = Literal["raw", "log", "square root", "freeman-tukey"]


def incidence_rate(events: ArrayLike, time: ArrayLike, scale: RateScale = "log") -> EffectSize:
    """Events over time in one group; 1/2 is added to a count of 0 on the raw and log scales, flagged.

    Variances: raw `x / t^2`, log `1 / x`, the two roots `1 / (4 t)`.

    >>> round(float(incidence_rate(12, 400).estimate), 6), round(float(incidence_rate(12, 400).variance), 6)
    (-3.506558, 0.083333)
    """
    if scale not in get_args(RateScale):
        raise UserError(f"scale={scale!r} is not known; choose one of {', '.join(map(repr, get_args(RateScale)))}.")
    x, t = _checked({"events": events, "time": time})
    if scale == "square root":
        return EffectSize(np.sqrt(x / t), 0.25 / t, "root rate")
    if scale == "freeman-tukey":
        return EffectSize(0.5 * (np.sqrt(x / t) + np.sqrt((x + 1.0) / t)), 0.25 / t, "double root rate")
    # The root scales above need no such help: their variance does not depend on the count.
    x, flags = _filled(x, x == 0)
    if scale == "raw":
        return EffectSize(x / t, x / t**2, "rate", flags)
    return EffectSize(np.log(x / t), 1.0 / x, "log rate", flags)


def rate_ratio(events1: ArrayLike, time1: ArrayLike, events2: ArrayLike, time2: ArrayLike) -> EffectSize:
    """Log ratio of two rates, variance `1/x1 + 1/x2`; 1/2 is added to both counts where one is 0, flagged.

    Source: Rothman et al. (2008), ch. 14.

    >>> round(float(rate_ratio(12, 400, 20, 380).estimate), 6)
    -0.562119
    """
    x1, t1, x2, t2 = _two(events1, time1, events2, time2)
    zero = (x1 == 0) | (x2 == 0)
    # Both groups get the half, or the ratio would move towards the group that got it.
    x1, flags = _filled(x1, zero)
    x2, _ = _filled(x2, zero)
    return EffectSize(np.log(x1 / t1) - np.log(x2 / t2), 1.0 / x1 + 1.0 / x2, "log rate ratio", flags)


def rate_difference(events1: ArrayLike, time1: ArrayLike, events2: ArrayLike, time2: ArrayLike) -> EffectSize:
    """Difference of two rates, variance `x1/t1^2 + x2/t2^2`; 1/2 is added to both counts where one is 0, flagged.

    >>> round(float(rate_difference(12, 400, 20, 380).estimate), 6)
    -0.022632
    """
    x1, t1, x2, t2 = _two(events1, time1, events2, time2)
    zero = (x1 == 0) | (x2 == 0)
    # A difference has a value without the half, but its variance would claim that nothing is left to chance.
    x1, flags = _filled(x1, zero)
    x2, _ = _filled(x2, zero)
    return EffectSize(x1 / t1 - x2 / t2, x1 / t1**2 + x2 / t2**2, "rate difference", flags)


def _two(events1: ArrayLike, time1: ArrayLike, events2: ArrayLike, time2: ArrayLike) -> tuple[Array, ...]:
    values = numbers({"events1": events1, "time1": time1, "events2": events2, "time2": time2})
    _refuse(values[0], values[1])
    _refuse(values[2], values[3])
    return values


def _checked(values: dict[str, ArrayLike]) -> tuple[Array, ...]:
    found = numbers(values)
    _refuse(found[0], found[1])
    return found


def _refuse(x: Array, t: Array) -> None:
    refuse(x < 0, "a negative count; check the printed number")
    refuse(t <= 0, "an exposure time that is not above 0")


def _filled(x: Array, zero: NDArray[np.bool_]) -> tuple[Array, tuple[Flag, ...]]:
    rows = rows_where(zero)
    flag = Flag("zero-cell", f"0.5 added to the count of {list_rows(rows)}", rows) if rows else None
    return np.where(zero, x + 0.5, x), (flag,) if flag else ()
