"""What every function of this package returns (`EffectSize`), and how it checks what it is given.

Numbers, lists and arrays become float arrays of one shape; an error names the rows that cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import UserError, list_rows

__all__ = ["Array", "EffectSize", "Flag", "Metric", "numbers", "refuse", "rows_where"]

Array = NDArray[np.float64]

Metric = Literal[
    "r",
    "fisher z",
    "partial r",
    "partial fisher z",
    "semipartial r",
    "mean difference",
    "d",
    "g",
    "log odds ratio",
    "log risk ratio",
    "risk difference",
    "arcsine risk difference",
    "phi",
    "Yule's Q",
    "Yule's Y",
    "mean",
    "mean change",
    "log sd",
    "proportion",
    "log proportion",
    "logit proportion",
    "arcsine proportion",
    "double arcsine proportion",
    "rate",
    "log rate",
    "root rate",
    "double root rate",
    "log rate ratio",
    "rate difference",
    "alpha",
    "alpha, cube root",
    "alpha, log",
    "log ratio of means",
    "log variability ratio",
    "log variation ratio",
]


@dataclass(frozen=True, slots=True)
class Flag:
    """What a reader must know about an effect. `rows` are those concerned; empty means all."""

    code: str
    message: str
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class EffectSize:
    """One effect or an array of them: `estimate` and sampling `variance` of one shape, on the scale `metric`."""

    estimate: Array
    variance: Array
    metric: Metric
    flags: tuple[Flag, ...] = ()

    @property
    def se(self) -> Array:
        """Standard errors, the roots of the variances."""
        return np.sqrt(self.variance)

    def flagged(self, *flags: Flag) -> EffectSize:
        """The same effect with more flags."""
        return replace(self, flags=(*self.flags, *flags))


def numbers(values: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
    """The values as float arrays of their common shape, in the order given.

    Raises `UserError` for something that is not a number, and for shapes that do not go together.
    """
    arrays = []
    for name, value in values.items():
        try:
            arrays.append(np.asarray(value, dtype=float))
        except (TypeError, ValueError):
            raise UserError(f"{name}={value!r} is not a number; pass numbers, NaN for a missing one.") from None
    try:
        # One n for all effects is common in papers; numpy's rules spread it and refuse what cannot be meant.
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(values, arrays, strict=True))
        raise UserError(f"shapes do not match: {shapes}; pass one value per effect, or one for all.") from None


def rows_where(condition: NDArray[np.bool_]) -> tuple[int, ...]:
    """Positions where the condition holds, in flat order."""
    return tuple(int(i) for i in np.flatnonzero(condition))


def refuse(condition: NDArray[np.bool_], problem: str) -> None:
    """Raise a `UserError` that names the rows where the condition holds, if there are any."""
    # All bad rows in one message: mending them one run at a time is what users complain of.
    rows = rows_where(np.asarray(condition))
    if rows:
        raise UserError(f"{list_rows(rows)}: {problem}.")
