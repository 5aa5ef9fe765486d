"""What a multilevel fit says beyond its coefficients: weights, shares of variance, effects of clusters, profiles.

The profile likelihood of a variance gives its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Interval
from replication.models.multilevel.groups import group_codes
from replication.models.multilevel.inverse import component_diagonal, component_groups, component_sums
from replication.models.multilevel.likelihood import MultilevelLikelihood
from replication.models.multilevel.multilevel import MultilevelData, likelihood_of, refit_each, typical_variance
from replication.models.multilevel.robust import RobustData, before_robust, robust_each
from replication.models.multilevel.structure import rotate, rotate_back
from replication.models.multilevel.variance_search import climb
from replication.models.prepare import check_level
from replication.models.probability import normal_isf

__all__ = [
    "ClusterEffects",
    "LeftOut",
    "VarianceShares",
    "cluster_effects",
    "leave_one_cluster_out",
    "multilevel_data",
    "profile_intervals",
    "profile_log_likelihood",
    "row_sum_weights",
    "variance_shares",
]


@dataclass(frozen=True, slots=True, eq=False)
class VarianceShares:
    """I2 by level, in per cent of the total variance: `percent (q,)` for the levels `names`, `sampling` for the rest.

    `total` is the usual I2, `typical_variance` the sampling variance they are set against.
    """

    names: tuple[str, ...]
    percent: Array
    sampling: float
    total: float
    typical_variance: float


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEffects:
    """Predicted random effects (BLUPs) of one level: `labels`, `estimate (m,)` and prediction error `se (m,)`."""

    level: str
    labels: tuple[str, ...]
    estimate: Array
    se: Array


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The fit without one cluster; None, with the reason, where the rest cannot carry the model."""

    label: str
    fit: Fit | None
    reason: str = ""


def multilevel_data(fit: Fit) -> MultilevelData:
    """The data of a multilevel fit, robust or not; a `ModelError` for other fits."""
    data = before_robust(fit).data
    if not isinstance(data, MultilevelData):
        raise ModelError("this needs a fit of fit_multilevel (robust or not).")
    return data


def row_sum_weights(fit: Fit) -> Array:
    """The weight `(k,)`, in per cent, of each effect in the pooled mean: the row sums of `M^-1`, or the weights given.

    With dependent effects a weight can be negative. Only for a model without moderators.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> row_sum_weights(fit).round(4).tolist()
    [20.0419, 16.404, 14.6379, 21.1302, 27.786]
    """
    data = multilevel_data(fit)
    x = data.effects.x
    # With moderators the pooled quantity depends on where one looks, and so would the weights.
    if x.shape[1] != 1 or not (x == x[0]).all():
        raise ModelError("row-sum weights belong to a model with an intercept only; this one has moderators.")
    if (given := data.effects.weights) is not None:
        # Weights that were given are those the mean was made with, whatever the variances say.
        sums = given if given.ndim == 1 else given.sum(axis=1)
        return np.asarray(100.0 * sums / sums.sum())
    likelihood = likelihood_of(data)
    inverse = likelihood.solve(data.theta / likelihood.scale**2).inverse
    rows = rotate_back(likelihood.structure, inverse.apply(rotate(likelihood.structure, np.ones(fit.k))[None])[0])
    return np.asarray(100.0 * rows / rows.sum())


def variance_shares(fit: Fit) -> VarianceShares:
    """I2 by level: each variance in per cent of the sum of all and the typical sampling variance.

    Source: Cheung (2014); the typical variance as in Higgins & Thompson (2002), in a form that also covers moderators
    and covariances.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> variance_shares(fit).percent.round(4).tolist()
    [58.7799, 28.4866]
    """
    data = multilevel_data(fit)
    typical = typical_variance(likelihood_of(data))
    variances = np.array([component.estimate for component in fit.components])
    # Percentages of one total, so that levels can be compared with each other and with sampling error.
    share = 100.0 / (variances.sum() + typical)
    names = tuple(component.name for component in fit.components)
    return VarianceShares(names, variances * share, float(typical * share), float(variances.sum() * share), typical)


def cluster_effects(fit: Fit, level: str | None = None) -> ClusterEffects:
    """Best linear unbiased predictions of the random effects of one level, by default the outermost.

    `se` is the root of the prediction error variance, with the uncertainty of the coefficients (Harville 1977).

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> cluster_effects(fit).estimate.round(6).tolist()
    [-0.147618, 0.254492, -0.106874]
    """
    data = multilevel_data(fit)
    names = [each.name for each in data.levels]
    wanted = names[0] if level is None else level
    if wanted not in names:
        raise ModelError(f"no level {wanted!r}; this fit has {', '.join(names)}.")
    index = names.index(wanted)
    chosen = data.levels[index]
    likelihood = likelihood_of(data)
    structure, scale = likelihood.structure, likelihood.scale
    if index == structure.row and structure.rotation is not None:
        raise ModelError("effects of single rows are not available with given blocks of V; name another level.")
    # In the units of the search, as its solution is; the effects go back to those of y at the end.
    variance = float(data.theta[index]) / scale**2
    solution = likelihood.solve(data.theta / scale**2)
    sums = component_sums(structure, index, solution.Py)
    # Coefficients are estimated too: without this term the errors of few clusters come out too small.
    F = np.stack([component_sums(structure, index, row) for row in solution.Wx])
    spread = component_diagonal(solution.inverse, index) - np.einsum("am,ab,bm->m", F, solution.M, F)
    # Rounding can leave a variance just below 0 where a group is known almost exactly.
    error = np.maximum(variance - variance**2 * spread.real, 0.0)
    estimate, se = np.empty(chosen.size), np.empty(chosen.size)
    groups = component_groups(structure, chosen)
    estimate[groups], se[groups] = scale * variance * sums.real, scale * np.sqrt(error)
    return ClusterEffects(wanted, chosen.labels, estimate, se)


def leave_one_cluster_out(
    fit: Fit, clusters: ArrayLike | None = None, *, only: Collection[str] | None = None
) -> tuple[LeftOut, ...]:
    """The same model without each cluster in turn; a robust fit is made robust again.

    `clusters (k,)` labels the effects used; by default the outermost level. With `only` just the clusters of these
    labels are left out, which `cluster_pull` helps to choose: each takes a fit of all other rows.
    """
    data = multilevel_data(fit)
    if clusters is None:
        codes, labels = data.levels[0].codes, data.levels[0].labels
    else:
        codes = group_codes(clusters, fit.k, "clusters")
        # A label for each code: the first row that has it.
        first = np.unique(codes, return_index=True)[1]
        labels = tuple(str(np.asarray(clusters)[i]) for i in first)
    chosen = [c for c, label in enumerate(labels) if only is None or label in only]
    sets = [np.flatnonzero(codes != c) for c in chosen]
    found: tuple[Fit | ModelError, ...] = refit_each(data, sets)
    if isinstance(fit.data, RobustData):
        found = robust_each(found, fit.data, sets)
    return tuple(
        LeftOut(label, None, str(rest)) if isinstance(rest, ModelError) else LeftOut(label, rest)
        for label, rest in zip((labels[c] for c in chosen), found, strict=True)
    )


# The search for an upper end gives up this far above the size of the data.
FAR = 1e12


def profile_intervals(fit: Fit, level: float | None = None) -> Fit:
    """The fit with a profile-likelihood interval for every variance: where `2 (l_max - l) <= chi2_1(level)`.

    The lower end is 0 where 0 is inside. Source: Hardy & Thompson (1996); for components, Viechtbauer (2010).

    >>> from replication.models.multilevel.multilevel import fit_multilevel
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
        # The other variances start from their estimates: near the top they move little.
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

    # The likelihood has not fallen by the critical amount at 0: the interval ends there.
    low = 0.0 if estimate == 0.0 or drop(0.0) <= 0.0 else _root(drop, 0.0, estimate)
    width, unit = max(estimate, 1e-3 * likelihood.scale**2), likelihood.scale**2
    # Doubled until the end is bracketed: the curve can be flat over many powers of ten.
    while drop(estimate + width) < 0.0:
        width *= 2.0
        if width > FAR * unit:
            return Interval(low, nan, level, "profile", "no upper end: the likelihood stays flat however large it is")
    return Interval(low, _root(drop, estimate, estimate + width), level, "profile")


def _root(drop: Callable[[float], float], a: float, b: float) -> float:
    # Tolerances relative to the upper end, as variances may be 1e-8 or 1e8.
    return float(optimize.brentq(drop, a, b, xtol=1e-12 * b, rtol=1e-11))
