"""The record every function of this package returns: estimate, sampling variance, metric, flags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "EffectSize", "Flag", "Metric"]

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
