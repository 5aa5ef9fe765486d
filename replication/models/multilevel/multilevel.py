"""Multilevel meta-analysis: effects nested in clusters, or under crossed factors, with known sampling covariance.

    y = X beta + sum_l Z_l u_l + e,   u_l ~ N(0, theta_l I),   e ~ N(0, V)

The three-level model (Konstantopoulos 2011; Cheung 2014; Van den Noortgate et al. 2013) has the levels cluster and
effect. Variances are estimated by REML or ML; cost grows linearly with the rows when the levels are nested and V is
diagonal or has an assumed correlation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.errors import ModelError
from replication.labels import Label
from replication.models.fit import Array, Component, Fit, Heterogeneity, Note
from replication.models.multilevel.crossed_core import say_cost
from replication.models.multilevel.groups import (
    Labels,
    Level,
    build_levels,
    factor_arrays,
    group_codes,
    merge_confounded,
    moment_variances,
    unidentified,
)
from replication.models.multilevel.likelihood import MultilevelLikelihood, Solution, multilevel_likelihood
from replication.models.multilevel.nested_newton import NestedPeaks, climb_all, climb_from, climb_near, nested_rows
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.multilevel.variance_search import Peak, climb
from replication.models.options import LevelStructure, LikelihoodMethod, NormalTest, check_choice
from replication.models.prepare import EffectData, check_level, list_rows, prepare_effects

__all__ = [
    "MultilevelData",
    "MultilevelOptions",
    "fit_multilevel",
    "likelihood_of",
    "refit",
    "refit_each",
    "typical_variance",
]

# Below this many rows times levels every corner of the variance space is tried as a start, not only the middle.
MANY = 20_000

# Up to this many rows times levels searches are made together: beyond, the numbers cost more than the interpreter.
FEW = 3_000

# Newton's step, relative to the variances, below which a point is a peak: estimates agree by two digits more than any
# comparison with another program asks.
SETTLED = 1e-11

# Smallest eigenvalue of the information, scaled to a diagonal of 1, at which variances still have standard errors.
FLAT = 1e-8

# Share of the heterogeneity that a start "in one level alone" leaves to each of the others.
ASIDE = 0.1

# Relative error of the inverse covariance above which a fit carries a note.
UNSAFE = 1e-7


@dataclass(frozen=True, slots=True)
class MultilevelOptions:
    """The choices of a multilevel fit; see `fit_multilevel`."""

    method: LikelihoodMethod = "REML"
    test: NormalTest = "z"
    structure: LevelStructure = "nested"
    rows: str | None = "effect"
    level: float = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class MultilevelData:
    """What a multilevel model was fitted to.

    What a multilevel model was fitted to: `effects` (y, v, x, rows kept), covariance `V`, the label arrays `factors`,
    the `levels` with a component each, their variances `theta (q,)` (0 where not defined), `options`.
    """

    effects: EffectData
    V: BlockV
    factors: Mapping[str, Labels]
    levels: tuple[Level, ...]
    theta: Array
    options: MultilevelOptions


@dataclass(frozen=True, slots=True, eq=False)
class _Estimate:
    likelihood: MultilevelLikelihood
    peak: Peak
    solution: Solution
    defined: NDArray[np.bool_]
    se: Array
    inversion_error: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Settled(Peak):
    """A peak with the solution there: what a fit says of it is asked of the same."""

    solution: Solution


@dataclass(frozen=True, slots=True, eq=False)
class _Guess:
    """Variances `theta (q,)` to begin at; with the `information (q, q)` there, where they may be the peak itself."""

    theta: Array
    information: Array | None = None

    def in_units_of(self, unit: float) -> _Guess:
        """The same in other units of variance."""
        return _Guess(self.theta / unit, None if self.information is None else self.information * unit**2)


def fit_multilevel(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    clusters: Mapping[str, ArrayLike] | ArrayLike,
    x: ArrayLike | None = None,
    *,
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    structure: LevelStructure = "nested",
    rows: str | None = "effect",
    level: float = 0.95,
    names: Sequence[str] | None = None,
    near: ArrayLike | None = None,
) -> Fit:
    """Fit a multilevel meta-analysis or meta-regression.

    Parameters
    ----------
    y : (k,) effects
    V : (k,) sampling variances, a `BlockV`, or a full (k, k) covariance matrix
    clusters : (k,) labels by factor name, outermost first: `{"study": study}` or `{"country": c, "study": s}`; a bare
        array is called `cluster`
    x : (k, p) whole design, intercept column included; None fits an intercept only
    method : REML or ML
    test : z, or t with k - p degrees of freedom
    structure : nested reads a label within its parents' labels (study 1 of Norway is not study 1 of Spain); crossed
        takes every factor as it is
    rows : name of the innermost level, one group a row; None leaves it out
    level : confidence level
    names : names of the p coefficients
    near : variances of the components, outermost first, that should be close (those of a fit to nearly the same
        effects); a search that begins there takes half the time

    Returns a `Fit` with a component per level; its `data` is a `MultilevelData`. A variance on 0, levels that cannot
    be told apart and rows left out are notes.

    Raises `ModelError` when the numbers cannot carry the model; the message names the rows or columns.

    >>> fit = fit_multilevel([0.1, 0.3, 0.5, 0.9, 0.2], [0.01, 0.02, 0.03, 0.01, 0.02], [1, 1, 2, 2, 3])
    >>> [(c.name, round(c.estimate, 6)) for c in fit.components]
    [('cluster', 0.072411), ('effect', 0.035093)]
    """
    check_choice(method, LikelihoodMethod, "method")
    check_choice(test, NormalTest, "test")
    check_choice(structure, LevelStructure, "structure")
    options = MultilevelOptions(method, test, structure, rows, check_level(level))
    covariance = as_block_v(V)
    k = len(np.atleast_1d(np.asarray(y)))
    factors = factor_arrays(clusters, k)
    # a row without label or covariance leaves the same way as one without variance: listed, not lost
    usable = np.where(_unusable(covariance, factors, k), np.nan, covariance.variances)
    effects, notes = prepare_effects(y, usable, x, names)
    kept = np.asarray(effects.rows, dtype=np.intp)
    _refuse_zero_variances(effects)
    if len(kept) < k:
        covariance = covariance.take(kept)
        factors = {name: labels[kept] for name, labels in factors.items()}
    begin = None if near is None else _Guess(np.asarray(near, dtype=float))
    # The variance of a level that could not be told apart is NaN: nothing begins there.
    if begin is not None and not np.isfinite(begin.theta).all():
        begin = None
    return _fit(effects, covariance, factors, options, notes, begin)


def refit(data: MultilevelData, rows: NDArray[np.intp]) -> Fit:
    """The same model on the effects at `rows` only (positions among the effects that were used).

    The search begins at the variances of the whole fit; see `_highest`. Several such fits: `refit_each`.
    """
    # leaving a few rows out moves variances little, so the whole fit's are a good start
    return _refit(data, rows, _Guess(data.theta))


def refit_each(data: MultilevelData, sets: Sequence[NDArray[np.intp]]) -> tuple[Fit | ModelError, ...]:
    """The same model on the effects of each set of rows in turn, each as `refit` gives it; the error where none can be.

    The variances of all are searched for together, which takes about the time of one fit.
    """
    return tuple(_or_error(data, rows, near) for rows, near in zip(sets, _guesses(data, sets), strict=True))


def _or_error(data: MultilevelData, rows: NDArray[np.intp], near: _Guess) -> Fit | ModelError:
    try:
        return _refit(data, rows, near)
    except ModelError as error:
        return error


def _refit(data: MultilevelData, rows: NDArray[np.intp], near: _Guess) -> Fit:
    e = data.effects
    checked, _ = prepare_effects(e.y[rows], e.v[rows], e.x[rows], e.names)
    effects = replace(checked, rows=tuple(map(e.rows.__getitem__, rows.tolist())))
    factors = {name: labels[rows] for name, labels in data.factors.items()}
    fit = _fit(effects, data.V.take(rows), factors, data.options, (), near=near)
    if e.weights is None:
        return fit
    # `robust` is made of this module's fits, so it is known only here.
    from replication.models.multilevel.robust import reweight
    from replication.models.multilevel.working_model import take_weights

    return reweight(fit, take_weights(e.weights, rows))


def _guesses(data: MultilevelData, sets: Sequence[NDArray[np.intp]]) -> list[_Guess]:
    """Where the variances of each refit are sought: at its peak, if all could be climbed together."""
    likelihood, k = likelihood_of(data), len(data.effects.y)
    defined = np.array([not unidentified(level, likelihood.basis.columns) for level in data.levels])
    if k * len(defined) > FEW or not defined.all() or not len(sets):
        return [_Guess(data.theta)] * len(sets)
    present = np.zeros((len(sets), k))
    for at, chosen in enumerate(sets):
        present[at, chosen] = 1.0
    rows = nested_rows(likelihood, turned=data.V.codes is None or _in_whole(present, data.V.codes))
    # given blocks of V mix their rows: what is left out of them cannot be told apart any more
    if rows is None or likelihood.structure.rotation is not None:
        return [_Guess(data.theta)] * len(sets)
    unit = likelihood.scale**2
    found = climb_from(rows, data.theta / unit, np.array(_starts(likelihood, defined)), present)
    return [
        _Guess(theta * unit, information / unit**2) if converged else _Guess(data.theta)
        for theta, information, converged in zip(found.theta, found.information, found.converged, strict=True)
    ]


def _in_whole(present: Array, codes: NDArray[np.intp]) -> bool:
    """Whether of each group of rows all count in a set `present (F, k)`, or none."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    counts = np.add.reduceat(present[:, order], starts, axis=1)
    return bool(((counts == 0.0) | (counts == np.diff(starts, append=len(order)))).all())


def likelihood_of(data: MultilevelData) -> MultilevelLikelihood:
    """The likelihood that was maximised, over the variances of `data.levels` in units of its `scale` squared."""
    return multilevel_likelihood(
        data.effects.y, data.effects.x, data.V, data.levels, restricted=data.options.method == "REML"
    )


def _unusable(V: BlockV, factors: Mapping[str, Labels], k: int) -> NDArray[np.bool_]:
    if V.k != k:
        raise ModelError(f"V is for {V.k} effects but y has {k}; pass one variance an effect.")
    missing = V.missing()
    for name, labels in factors.items():
        missing = missing | (group_codes(labels, k, name) < 0)
    return missing


def _refuse_zero_variances(effects: EffectData) -> None:
    zero = [effects.rows[i] for i in np.flatnonzero(effects.v == 0)]
    if zero:
        raise ModelError(
            f"{list_rows(zero)} with sampling variance 0; correct the variance or leave the rows out (a random-effects "
            "model without levels, fit_random_effects, can carry them)."
        )


def _fit(
    effects: EffectData,
    V: BlockV,
    factors: Mapping[str, Labels],
    options: MultilevelOptions,
    notes: tuple[Note, ...],
    near: _Guess | None = None,
) -> Fit:
    k, p = effects.x.shape
    levels, confounded = merge_confounded(build_levels(factors, k, options.structure, options.rows), options.rows)
    data = MultilevelData(effects, V, factors, levels, np.zeros(len(levels)), options)
    try:
        estimate = _estimate(data, near)
    except np.linalg.LinAlgError:
        raise ModelError(
            "the covariance matrix cannot be inverted: effects differ far more than their sampling variances allow; "
            "check the units of V, or include the level of single rows (rows='effect')."
        ) from None
    # the search ran in units of the data's own spread; from here on everything is on the scale of y
    theta = estimate.peak.slope.theta * estimate.likelihood.scale**2
    data = MultilevelData(effects, V, factors, levels, theta, options)
    T, scale = estimate.likelihood.basis.to_beta, estimate.likelihood.scale
    # k = p leaves no residual: a t test would have no degrees of freedom, so z is kept and said
    df = float(k - p) if options.test == "t" and k > p else np.inf
    return Fit(
        method={
            "model": "multilevel",
            "estimator": options.method,
            "test": options.test if k > p else "z",
            "structure": options.structure,
            **V.choice,
            "vcov": "model",
        },
        names=effects.names,
        beta=T @ (estimate.likelihood.start + scale * estimate.solution.gamma),
        vcov=scale**2 * T @ estimate.solution.M @ T.T,
        df=np.full(p, df),
        components=tuple(_component(level, i, theta, estimate) for i, level in enumerate(levels)),
        loglik=estimate.peak.slope.value,
        k=k,
        clusters=levels[0].size,
        level=options.level,
        heterogeneity=_heterogeneity(estimate, theta, k - p),
        notes=notes + confounded + _notes(levels, theta, estimate),
        data=data,
    )


def _estimate(data: MultilevelData, near: _Guess | None) -> _Estimate:
    likelihood = likelihood_of(data)
    if likelihood.structure.crossed is not None:
        say_cost(likelihood.structure.crossed.block)
    defined = np.array([not unidentified(level, likelihood.basis.columns) for level in data.levels])
    # a level may be gone (all of its groups single) once rows are left out
    guess = near.in_units_of(likelihood.scale**2) if near is not None and len(near.theta) == len(defined) else None
    known = None
    if guess is not None and guess.information is not None and defined.all():
        known = _peak_at(likelihood, guess.theta, guess.information, defined)
    peak = known or _highest(data, likelihood, defined, None if guess is None else guess.theta)
    theta = peak.slope.theta
    free = np.flatnonzero(defined & (theta > 0))
    se = np.full(len(theta), np.nan)
    if len(free):
        if peak.observed is not None:
            information = peak.observed[np.ix_(free, free)]
        elif likelihood.costly:
            information = peak.slope.information[np.ix_(free, free)]  # the average one
        else:
            information = likelihood.observed_information(theta, free)
        se[free] = _standard_errors(information) * likelihood.scale**2
    solution = peak.solution if isinstance(peak, _Settled) else likelihood.solve(theta)
    return _Estimate(likelihood, peak, solution, defined, se, likelihood.inversion_error(theta, solution))


def _standard_errors(information: Array) -> Array:
    """From the observed information `(q, q)`; NaN where the likelihood has no peak or is flat in some direction."""
    diagonal = np.diag(information)
    if (diagonal <= 0).any() or np.linalg.eigvalsh(information / np.sqrt(np.outer(diagonal, diagonal)))[0] < FLAT:
        return np.full(len(information), np.nan)
    return np.sqrt(np.diag(np.linalg.inv(information)))


def _highest(
    data: MultilevelData, likelihood: MultilevelLikelihood, defined: NDArray[np.bool_], guess: Array | None
) -> Peak:
    """The highest peak from several starts: all levels alike, then each level alone, where that is cheap.

    Where a step takes seconds there is one start, close to the peak: the variances by moments.

    With a `guess (q,)` that search is spared, if it leads to a peak within the range of all variances that is higher
    than every start.
    """
    starts = _starts(likelihood, defined)
    if likelihood.costly:
        return climb(likelihood, np.where(defined, _moment_start(data, likelihood), 0.0), defined, near=True)
    # Few rows: what a search takes is the interpreter's time, so all go together.
    few = len(data.effects.y) * len(defined) <= FEW
    rows = nested_rows(likelihood, turned=few) if guess is not None or few else None
    if rows is not None:
        if guess is not None and defined.all():
            found = climb_near(rows, guess, np.array(starts))
        else:
            found = climb_all(rows, np.array(starts), defined)
        peak = _confirmed(likelihood, found, defined)
        if peak is not None:
            return peak
    if guess is not None:
        near = climb(likelihood, np.where(defined, guess, 0.0), defined, near=True)
        # a peak on an edge may hide a higher one inside, so only an inner one is trusted from one start
        within = near.converged and bool((near.slope.theta[defined] > 0).all())
        if within and all(likelihood.value(likelihood.solve(start)) <= near.slope.value for start in starts):
            return near
    best = climb(likelihood, starts[0], defined)
    on_edge = bool((best.slope.theta[defined] == 0).any())
    # two levels can trade variance for each other: the profile may have one peak per level
    if defined.sum() > 1 and (len(data.effects.y) * len(defined) <= MANY or on_edge or not best.converged):
        for start in starts[1:]:
            other = climb(likelihood, start, defined)
            # equal peaks are one peak reached twice; the first is kept, so results do not flip by rounding
            if other.slope.value > best.slope.value + 1e-9 * (abs(best.slope.value) + 1.0):
                best = other
    return best


def _confirmed(likelihood: MultilevelLikelihood, found: NestedPeaks, defined: NDArray[np.bool_]) -> Peak | None:
    """The highest of the peaks found together, if the likelihood itself has its peak there; None otherwise."""
    best = 0
    for i in range(1, len(found.value)):
        # Equal peaks are one peak reached twice; see `_highest`.
        if not found.value[i] <= found.value[best] + 1e-9 * (abs(found.value[best]) + 1.0):
            best = i
    if not found.converged[best] or not defined.any():
        return None
    return _peak_at(likelihood, found.theta[best], found.information[best], defined)


def _peak_at(
    likelihood: MultilevelLikelihood, theta: Array, information: Array, defined: NDArray[np.bool_]
) -> Peak | None:
    """The peak at `theta (q,)`, if Newton's step from there is negligible; None where there is none.

    `information (q, q)` is the observed one there.
    """
    solution = likelihood.solve(theta)
    here = likelihood.slope_at(theta, solution, information)
    free = np.flatnonzero(defined & ((theta > 0.0) | (here.gradient > 0.0)))
    peak = _Settled(here, True, 1, information, solution=solution)
    if not len(free):
        return peak
    block = information[np.ix_(free, free)]
    if not np.isfinite(block).all() or np.linalg.eigvalsh(block)[0] <= 0.0:
        return None
    step = np.linalg.solve(block, here.gradient[free]) / (theta[free] + 1e-3 * likelihood.unit)
    return peak if float(np.abs(step).max()) < SETTLED else None


def _moment_start(data: MultilevelData, likelihood: MultilevelLikelihood) -> Array:
    """Variances by moments in the units of the likelihood, none at 0, an edge the search would first have to leave."""
    residual = (data.effects.y - data.effects.x @ likelihood.basis.to_beta @ likelihood.start) / likelihood.scale
    found = moment_variances(residual, data.V.variances / likelihood.scale**2, data.levels)
    return np.asarray(np.maximum(found, 0.01 * likelihood.excess))


def _starts(likelihood: MultilevelLikelihood, defined: NDArray[np.bool_]) -> list[Array]:
    """Variances `(q,)` to start from: all levels alike, then each level alone."""
    q = len(defined)
    # Nearly all heterogeneity in one level: the corner from which its own peak is reached. In the corner itself other
    # variances are 0, and each Newton step from there makes them only half as large again.
    little = np.where(defined, ASIDE * likelihood.excess, 0.0)
    alone = [np.where(np.arange(q) == level, likelihood.excess, little) for level in np.flatnonzero(defined)]
    return [np.where(defined, likelihood.excess / q, 0.0), *alone]


def _component(level: Level, index: int, theta: Array, estimate: _Estimate) -> Component:
    if not estimate.defined[index]:
        return Component(level.name, float("nan"))
    value = float(theta[index])
    return Component(level.name, value, float(estimate.se[index]), at_boundary=value == 0.0)


def _heterogeneity(estimate: _Estimate, theta: Array, df: int) -> Heterogeneity:
    """Q at all variances 0; I2 and H2 against the typical sampling variance (Higgins & Thompson 2002)."""
    nan = float("nan")
    if df == 0:
        return Heterogeneity(0.0, 0, nan, nan, nan)
    at_zero = estimate.likelihood.solve(np.zeros(len(theta)))
    Q, total = at_zero.rss, float(theta.sum()) if estimate.defined.all() else nan
    typical = typical_variance(estimate.likelihood, at_zero)
    return Heterogeneity(Q, df, float(special.chdtrc(df, Q)), 100.0 * total / (total + typical), 1.0 + total / typical)


def typical_variance(likelihood: MultilevelLikelihood, at_zero: Solution | None = None) -> float:
    """The typical sampling variance `(k - p) / tr P` at variances 0, on the scale of the data; NaN if k = p.

    `at_zero` is the solution there, where it is at hand.
    """
    k, p = len(likelihood.y), len(likelihood.x)
    if k == p:
        return float("nan")
    if at_zero is None:
        at_zero = likelihood.solve(np.zeros(likelihood.structure.components))
    return float((k - p) * likelihood.scale**2 / likelihood.residual_trace(at_zero, -1).real)


def _notes(levels: tuple[Level, ...], theta: Array, estimate: _Estimate) -> tuple[Note, ...]:
    notes = []
    for i, level in enumerate(levels):
        if not estimate.defined[i]:
            message = (
                f"{level.name}: {level.size} group{'s' * (level.size > 1)}, all taken up by the coefficients; its "
                "variance is not defined, and standard errors do not include it."
            )
            notes.append(Note("not-identified", message))
        elif theta[i] == 0.0:
            message = f"the variance of {level.name} is estimated as 0, the edge of its range."
            notes.append(Note("boundary", message, label=Label("note_variance_zero", {"level": level.name})))
        elif np.isnan(estimate.se[i]):
            message = f"the likelihood is flat around the variance of {level.name}: other values fit as well."
            notes.append(Note("flat", message))
    if estimate.likelihood.costly:
        message = "many crossed levels: standard errors of variances are those of the average information."
        notes.append(Note("average-information", message))
    # an answer with few right digits is still given, with the reason, rather than refused
    if estimate.inversion_error > UNSAFE:
        message = (
            "the variances dwarf the sampling variances so much that few digits are right; check the units of V, or "
            "include the level of single rows (rows='effect')."
        )
        notes.append(Note("ill-conditioned", message))
    if not estimate.peak.converged:
        message = f"the search for the variances did not settle in {estimate.peak.steps} steps; compare ML and REML."
        notes.append(Note("not-converged", message))
    return tuple(notes)
