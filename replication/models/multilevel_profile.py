"""Profile likelihood of the variances of a multilevel model, and the intervals it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Interval
from replication.models.multilevel import MultilevelData, likelihood_of
from replication.models.multilevel_likelihood import MultilevelLikelihood
from replication.models.multilevel_results import multilevel_data
from replication.models.prepare import check_level
from replication.models.probability import normal_isf
from replication.models.variance_search import climb

__all__ = ["profile_intervals", "profile_log_likelihood"]

# The search for an upper end gives up this far above the size of the data.
FAR = 1e12


def profile_intervals(fit: Fit, level: float | None = None) -> Fit:
    """The fit with a profile-likelihood interval for every variance: where `2 (l_max - l) <= chi2_1(level)`.

    The lower end is 0 where 0 is inside. Source: Hardy & Thompson (1996); for components, Viechtbauer (2010).

    >>> from replication.models.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> round(profile_intervals(fit).components[1].interval.high, 5)
    0.49511
    """
    level = check_level(fit.level if level is None else level)
    data = multilevel_data(fit)
    likelihood = likelihood_of(data)
    components = tuple(
        replace(component, interval=_interval(likelihood, data, component, index, level))
        for index, component in enumerate(fit.components)
    )
    return replace(fit, components=components)


def profile_log_likelihood(fit: Fit, component: str, values: ArrayLike) -> Array:
    """The log-likelihood `(n,)` with one variance held at each of `values (n,)`, maximised over the others."""
    names = [each.name for each in fit.components]
    if component not in names:
        raise ModelError(f"no component {component!r}; this fit has {', '.join(names)}.")
    held = np.asarray(values, dtype=float)
    if held.ndim != 1 or (held < 0).any():
        raise ModelError("values must be a vector of variances of 0 or more.")
    data = multilevel_data(fit)
    profile = _profile(likelihood_of(data), data, names.index(component))
    return np.array([profile(float(value)) for value in held])


def _profile(likelihood: MultilevelLikelihood, data: MultilevelData, index: int) -> Callable[[float], float]:
    unit = likelihood.scale**2
    allowed = np.arange(len(data.theta)) != index

    def at(value: float) -> float:
        start = data.theta / unit
        start[index] = value / unit
        return climb(likelihood, start, allowed).slope.value

    return at


def _interval(
    likelihood: MultilevelLikelihood, data: MultilevelData, component: Component, index: int, level: float
) -> Interval:
    nan = float("nan")
    if np.isnan(component.estimate):
        return Interval(nan, nan, level, "profile", "the variance is not defined; see the notes of the fit")
    profile = _profile(likelihood, data, index)
    top, estimate = profile(component.estimate), component.estimate
    critical = float(normal_isf(0.5 - level / 2.0)) ** 2

    def drop(value: float) -> float:
        return 2.0 * (top - profile(value)) - critical

    low = 0.0 if estimate == 0.0 or drop(0.0) <= 0.0 else _root(drop, 0.0, estimate)
    width, unit = max(estimate, 1e-3 * likelihood.scale**2), likelihood.scale**2
    while drop(estimate + width) < 0.0:
        width *= 2.0
        if width > FAR * unit:
            return Interval(low, nan, level, "profile", "no upper end: the likelihood stays flat however large it is")
    return Interval(low, _root(drop, estimate, estimate + width), level, "profile")


def _root(drop: Callable[[float], float], a: float, b: float) -> float:
    return float(optimize.brentq(drop, a, b, xtol=1e-12 * b, rtol=1e-11))
