"""Selection models: the chance of being published depends on the p value (by steps, smoothly) or on the effect.

Steps: Iyengar & Greenhouse (1988), Hedges (1992), Vevea & Hedges (1995, Psychometrika 60:419); with weights fixed in
advance, Vevea & Woods (2005, Psychological Methods 10:428). One step with random effects is the three-parameter
selection model (McShane et al. 2016).

Beta: Citkowicz & Vevea (2017, Psychological Methods 22:28): `w(p) = p^(delta1 - 1) (1 - p)^(delta2 - 1)`, with p kept
within [1e-5, 1 - 1e-5] because w is infinite at an end whose shape is below 1. Shapes of 1 mean no selection.

Smooth functions of one parameter (Preston, Ashby & Smyth 2004, Biometrics 60:1): half-normal `exp(-delta p^2)`,
negative exponential `exp(-delta p)`, logistic `2 / (1 + exp(delta p))`, power `(1 - p)^delta`; delta of 0 means no
selection. Negative exponential power, `exp(-delta1 p^(1 / delta2))` as metafor defines it, holds two of these: the
half-normal (delta2 = 1/2) and the negative exponential (delta2 = 1).

Truncated: the chance depends on the effect itself, 1 above a cut and less below it (Rust, Lehmann & Farley 1990,
Journal of Marketing Research 27:220; Formann 2008, Contemporary Clinical Trials 29:732, whose weight below is 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.errors import ModelError, list_rows
from replication.labels import Label
from replication.models.bias.selection_fit import (
    Selection,
    SelectionFit,
    SelectionSetup,
    fit_selection,
    selection_setup,
)
from replication.models.bias.selection_likelihood import Atoms, EtaRange
from replication.models.fit import Array, Note
from replication.models.options import (
    Direction,
    EmptyStep,
    SelectionSides,
    SelectionTau2,
    SmoothSelection,
    check_choice,
)
from replication.models.probability import normal_isf

__all__ = ["fit_beta_selection", "fit_smooth_selection", "fit_step_selection", "fit_truncated_selection"]

# A weight of e^30 belongs to a likelihood without a top.
LARGEST_LOG_WEIGHT = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Intervals `(a[j], a[j + 1]]` of p from `edges (J + 1,)`, and the interval `cell (k,)` each p value is in.

    Those of rows that are `counted (k,)`, as they had to pass the selection, say how much of it there is.
    """

    edges: Array
    cell: NDArray[np.intp]
    counted: NDArray[np.bool_]

    @property
    def counts(self) -> NDArray[np.intp]:
        """p values per interval `(J,)`."""
        return np.bincount(self.cell[self.counted], minlength=len(self.edges) - 1)

    @property
    def names(self) -> tuple[str, ...]:
        """Intervals in words."""
        return self.named(np.ones(len(self.edges) - 1, dtype=bool))

    def named(self, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
        """The chosen intervals in words."""
        pairs = zip(self.edges[:-1][chosen], self.edges[1:][chosen], strict=True)
        return tuple(f"p in ({low:g}, {high:g}]" for low, high in pairs)


def fit_step_selection(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    steps: Sequence[float] = (0.025,),
    direction: Direction = "positive",
    sides: SelectionSides = "one",
    weights: Sequence[float] | None = None,
    tau2: SelectionTau2 = "ML",
    empty: EmptyStep = "error",
    selected: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> SelectionFit:
    """Fit by maximum likelihood the effects before selection together with the weights of the steps.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    x : (k, p) whole design, intercept included; None fits an intercept only
    steps : ascending p values at which the chance of publication may change; 1 is added at the end. For one-sided p,
        0.025 is where a two-sided test at 5 % turns significant in the expected direction
    direction : sign of the effects that one-sided p values favour
    sides : "one" or "two": which p values decide on publication
    weights : (steps + 1,) fixed weights, instead of estimates relative to the first interval
    tau2 : "ML", or "EE" for a model without heterogeneity
    empty : the likelihood of an interval without p values is highest at weight 0: "error", "zero" to take that edge as
        the estimate, or "merge" the interval with its neighbour; both with a note
    selected : (k,) True for rows that had to pass the selection, False for rows that are there whatever they found
        (registered reports, data computed from public files)
    names, level : as in `fit_random_effects`

    Returns a `SelectionFit`; its `selection` has a weight for each interval, the first fixed at 1.

    Raises `ModelError` for steps out of order, empty intervals, and what `fit_random_effects` refuses.

    >>> y, v = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8], [0.04, 0.05, 0.03, 0.02, 0.02, 0.06]
    >>> result = fit_step_selection(y, v, weights=[1.0, 0.5])
    >>> round(float(result.unadjusted.beta[0]), 4), round(float(result.fit.beta[0]), 4)
    (0.3515, 0.2718)
    """
    check_choice(sides, SelectionSides, "sides")
    check_choice(empty, EmptyStep, "empty")
    setup = selection_setup(y, v, x, names, direction=direction, tau2=tau2, level=level, selected=selected)
    p_values = special.ndtr(-setup.z) if sides == "one" else 2.0 * special.ndtr(-np.abs(setup.z))
    counted = setup.among_selected(np.ones(len(p_values), dtype=bool))
    placed = _place(p_values, _check_steps(steps), counted)
    notes: tuple[Note, ...] = ()
    if weights is None and not placed.counts.all():
        placed, notes = _treat_empty(placed, p_values, empty)
    return fit_selection(setup, _selection(placed, sides, weights, notes))


def _selection(
    placed: _Steps, sides: SelectionSides, weights: Sequence[float] | None, notes: tuple[Note, ...]
) -> Selection:
    d = len(placed.counts)
    estimated = np.full(d, weights is None)
    # Only ratios of weights can be told, so the first is the unit.
    estimated[0] = False
    zero = estimated & (placed.counts == 0)
    return Selection(
        choices={
            "selection": "step",
            "steps": ", ".join(f"{edge:g}" for edge in placed.edges[1:]),
            "sides": sides,
            "weights": "estimated" if weights is None else "fixed",
        },
        names=placed.names,
        counts=tuple(int(count) for count in placed.counts),
        observed=np.eye(d)[placed.cell],
        atoms=_atoms(placed.edges, sides, ~zero),
        starts=_starts(weights, d),
        eta_range=EtaRange(-np.inf, LARGEST_LOG_WEIGHT),
        log_link=True,
        estimated=estimated,
        zero=zero,
        notes=notes,
    )


def _starts(weights: Sequence[float] | None, d: int) -> list[Array]:
    """Log weights to start from: no selection, weights falling or rising after the first; or the fixed ones."""
    if weights is not None:
        return [np.log(_check_weights(weights, d))]
    # The likelihood can have several peaks, from hardly any selection to a strong one: look from either side.
    return [np.asarray(shift * (np.arange(d) > 0)) for shift in (0.0, -1.5, 1.0)]


def _check_steps(steps: Sequence[float]) -> Array:
    edges = np.array([0.0, *(step for step in steps if step != 1.0), 1.0])
    if len(edges) < 3 or not (np.diff(edges) > 0).all():
        raise ModelError(f"steps={tuple(steps)!r} are not ascending p values between 0 and 1; write (0.025, 0.5), say.")
    return edges


def _check_weights(weights: Sequence[float], d: int) -> Array:
    values = np.asarray(weights, dtype=float)
    if values.shape != (d,) or not (np.isfinite(values) & (values > 0)).all():
        raise ModelError(f"weights={tuple(weights)!r} must be {d} numbers above 0, one an interval of p.")
    return values


def _place(p_values: Array, edges: Array, counted: NDArray[np.bool_]) -> _Steps:
    # `left` puts a p value equal to a step into the interval below it: p = .025 counts as significant.
    return _Steps(edges, np.searchsorted(edges[1:-1], p_values, side="left"), counted)


def _treat_empty(placed: _Steps, p_values: Array, empty: EmptyStep) -> tuple[_Steps, tuple[Note, ...]]:
    """Steps that can be fitted although intervals hold no p value, with a note; an error where there are none."""
    missing = placed.counts == 0
    found = f"no {' and '.join(placed.named(missing))} among {int(placed.counted.sum())} effects"
    several = bool((~missing).sum() > 1)
    # The first interval cannot have weight 0: all others are measured in it.
    if empty == "zero" and not missing[0]:
        return placed, ()
    if empty == "merge" and several:
        kept = np.flatnonzero(~missing)
        edges = np.concatenate([[0.0], placed.edges[kept[:-1] + 1], [1.0]])
        merged = _place(p_values, edges, placed.counted)
        return merged, (Note("merged-steps", f"{found}: merged into {', '.join(merged.names)}."),)
    options = [
        *(["leave out a step", "pass empty='merge'"] if several else ["choose another step or direction"]),
        *([] if missing[0] else ["pass empty='zero'"]),
        "fix the weights",
    ]
    first = int(np.flatnonzero(missing)[0])
    label = Label("no_p_value_in", {"low": float(placed.edges[first]), "high": float(placed.edges[first + 1])})
    advice = f"{', '.join(options[:-1])} or {options[-1]}"
    raise ModelError(f"{found}, so its weight cannot be estimated: {advice}.", label=label)


def _atoms(edges: Array, sides: SelectionSides, kept: NDArray[np.bool_]) -> Atoms:
    """Cells of z for the intervals of p that are `kept`; a two-sided interval has a cell on either side of 0."""
    # Small p is large z, so the ends change places.
    p = edges if sides == "one" else edges / 2.0
    high, low = normal_isf(p[:-1]), normal_isf(p[1:])
    low, high, T = low[kept], high[kept], np.eye(len(low))[kept]
    if sides == "two":
        low, high, T = np.append(low, -high), np.append(high, -low), np.vstack([T, T])
    none = np.empty(0)
    return Atoms(low, high, none, none, T)


SMALLEST_P = 1e-5
# Shapes are above 0; a search that takes one beyond 100 follows a ridge without a top.
SMALLEST_SHAPE, LARGEST_SHAPE = 1e-5, 100.0
# Gauss-Legendre nodes over z in [-4.27, 4.27]: for shapes up to 50 log A is off by less than 1e-12 (600 nodes beside).
NODES = 160


def fit_beta_selection(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    direction: Direction = "positive",
    shapes: tuple[float, float] | None = None,
    tau2: SelectionTau2 = "ML",
    selected: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> SelectionFit:
    """Fit by maximum likelihood the effects before selection together with the two shapes.

    Parameters
    ----------
    y, v : (k,) effects and sampling variances
    x : (k, p) whole design, intercept included; None fits an intercept only
    direction : sign of the effects that small p values stand for
    shapes : fixed (delta1, delta2), instead of estimates
    tau2 : "ML", or "EE" for a model without heterogeneity
    selected : as in `fit_step_selection`
    names, level : as in `fit_random_effects`

    Returns a `SelectionFit`; its `selection` are "delta1" and "delta2".

    Raises `ModelError` for shapes not above 0 and what `fit_random_effects` refuses.

    >>> y, v = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8], [0.04, 0.05, 0.03, 0.02, 0.02, 0.06]
    >>> result = fit_beta_selection(y, v, shapes=(1.0, 2.0))
    >>> round(float(result.unadjusted.beta[0]), 4), round(float(result.fit.beta[0]), 4)
    (0.3515, 0.1676)
    """
    if shapes is not None and not (len(shapes) == 2 and all(np.isfinite(s) and s > 0 for s in shapes)):
        raise ModelError(f"shapes={shapes!r} must be two numbers above 0; (1, 1) is no selection.")
    setup = selection_setup(y, v, x, names, direction=direction, tau2=tau2, level=level, selected=selected)
    return fit_selection(setup, _beta_parameters(setup, shapes))


def _beta_parameters(setup: SelectionSetup, shapes: tuple[float, float] | None) -> Selection:
    edge = float(-special.ndtri(SMALLEST_P))
    # Clipped here as in the atoms: an effect must be weighed by the same w that its normaliser integrates.
    clipped = np.clip(setup.z, -edge, edge)
    # No selection, a weight that is steep at small p, and one that falls over the whole range.
    guesses = [(1.0, 1.0), (0.6, 1.5), (1.0, 3.0)] if shapes is None else [shapes]
    return Selection(
        choices={"selection": "beta", "sides": "one", "shapes": "estimated" if shapes is None else "fixed"},
        names=("delta1", "delta2"),
        counts=(None, None),
        observed=_features(clipped),
        atoms=_beta_atoms(edge),
        starts=[np.asarray(guess) - 1.0 for guess in guesses],
        eta_range=EtaRange(SMALLEST_SHAPE - 1.0, LARGEST_SHAPE - 1.0),
        log_link=False,
        estimated=np.full(2, shapes is None),
        zero=np.zeros(2, dtype=bool),
        notes=_clip_notes(setup, clipped),
    )


def _features(z: Array) -> Array:
    """`(log p, log(1 - p))` of the one-sided p of z."""
    return np.column_stack([special.log_ndtr(-z), special.log_ndtr(z)])


def _beta_atoms(edge: float) -> Atoms:
    """Both tails, where w is constant, as cells, and a Gauss-Legendre rule between them."""
    nodes, steps = np.polynomial.legendre.leggauss(NODES)
    nodes, steps = edge * nodes, edge * steps
    ends = np.array([-edge, edge])
    features = _features(np.concatenate([ends, nodes]))
    return Atoms(np.array([-np.inf, edge]), np.array([-edge, np.inf]), nodes, steps, features)


def _clip_notes(setup: SelectionSetup, clipped: Array) -> tuple[Note, ...]:
    rows = tuple(setup.data.effects.rows[i] for i in np.flatnonzero(clipped != setup.z))
    if not rows:
        return ()
    message = f"{len(rows)} p values beyond {SMALLEST_P:g} or 1 - {SMALLEST_P:g} count as lying there."
    return (Note("clipped-p", message, rows),)


# The exponential of a power of p still changes where p is tiny: to the right its tail begins where p leaves the floats.
POWER_EDGE, POWER_NODES = 37.0, 400
SMALLEST_POWER = 0.01

# Where the tails of z begin in which a smooth weight no longer changes in double precision, the quadrature between
# them, and the delta beyond which a search follows a ridge.
SMOOTH_EDGE, SMOOTH_NODES, LARGEST_DELTA = 8.0, 240, 100.0


def fit_smooth_selection(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    shape: SmoothSelection,
    direction: Direction = "positive",
    delta: float | tuple[float, float] | None = None,
    imprecision: ArrayLike | None = None,
    tau2: SelectionTau2 = "ML",
    selected: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> SelectionFit:
    """Fit by maximum likelihood the effects before selection together with the parameter of a smooth function.

    Parameters
    ----------
    y, v, x, names, level : as in `fit_beta_selection`
    shape : half-normal, negative exponential, logistic, power or negative exponential power
    direction : sign of the effects that small p values stand for
    delta : a fixed value of 0 or more, instead of an estimate; two of them, the second above 0, for the last shape
    imprecision : (k,) standard errors, variances or 1 / n: selection presses on each row in proportion, delta being
        that of the least precise row
    tau2 : "ML", or "EE" for a model without heterogeneity
    selected : as in `fit_step_selection`

    Returns a `SelectionFit`; its `selection` is "delta", or "delta1" and "delta2". A first estimate of 0, no selection,
    is an edge of its range, where a delta2 means nothing: it is NaN, with a note. For the same reason the test of no
    selection with two parameters has only about its chi-square distribution.

    >>> y, v = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8], [0.04, 0.05, 0.03, 0.02, 0.02, 0.06]
    >>> result = fit_smooth_selection(y, v, shape="power", delta=1.0)
    >>> round(float(result.unadjusted.beta[0]), 4), round(float(result.fit.beta[0]), 4)
    (0.3515, 0.1676)
    """
    check_choice(shape, SmoothSelection, "shape")
    fixed = None if delta is None else _check_delta(shape, delta)
    setup = selection_setup(
        y, v, x, names, direction=direction, tau2=tau2, level=level, selected=selected, imprecision=imprecision
    )
    if shape == "negative exponential power":
        return _without_idle_power(fit_selection(setup, _power_parameters(setup, fixed)))
    return fit_selection(setup, _smooth_parameter(setup, shape, fixed))


def _check_delta(shape: SmoothSelection, delta: float | tuple[float, float]) -> Array:
    values = np.atleast_1d(np.asarray(delta, dtype=float))
    if shape == "negative exponential power":
        if values.shape != (2,) or not (np.isfinite(values).all() and values[0] >= 0 and values[1] >= SMALLEST_POWER):
            raise ModelError(
                f"delta={delta!r} must be two numbers, the first of 0 or more (0 is no selection), the second of "
                f"{SMALLEST_POWER:g} or more; write (2.0, 1.0), say."
            )
    elif values.shape != (1,) or not (np.isfinite(values[0]) and values[0] >= 0):
        raise ModelError(f"delta={delta!r} must be a number of 0 or more; 0 is no selection.")
    return values


def _smooth_parameter(setup: SelectionSetup, shape: SmoothSelection, delta: Array | None) -> Selection:
    edge = SMOOTH_EDGE
    return Selection(
        choices={"selection": shape, "sides": "one", "delta": "estimated" if delta is None else "fixed"},
        names=("delta",),
        counts=(None,),
        observed=_smooth_features(np.clip(setup.z, -edge, edge), shape),
        atoms=_smooth_atoms(-edge, edge, SMOOTH_NODES, shape),
        # 0 comes last: it is the edge of the range, and the search for tau2 = 0 starts from the first.
        starts=[np.array([d]) for d in (0.5, 3.0, 0.0)] if delta is None else [delta],
        eta_range=EtaRange(0.0, LARGEST_DELTA),
        log_link=False,
        estimated=np.array([delta is None]),
        zero=np.zeros(1, dtype=bool),
        base=0.0,
        form="logistic" if shape == "logistic" else "log-linear",
    )


def _power_parameters(setup: SelectionSetup, delta: Array | None) -> Selection:
    shape: SmoothSelection = "negative exponential power"
    # A power near the negative exponential's, one that falls steeply where p is small, one that falls late.
    starts = [np.array(at) for at in ((0.5, 1.0), (3.0, 1.0), (3.0, 4.0), (3.0, 0.3), (0.0, 1.0))]
    return Selection(
        choices={"selection": shape, "sides": "one", "delta": "estimated" if delta is None else "fixed"},
        names=("delta1", "delta2"),
        counts=(None, None),
        observed=_smooth_features(np.clip(setup.z, -SMOOTH_EDGE, POWER_EDGE), shape),
        atoms=_smooth_atoms(-SMOOTH_EDGE, POWER_EDGE, POWER_NODES, shape),
        starts=starts if delta is None else [delta],
        eta_range=EtaRange((0.0, SMALLEST_POWER), LARGEST_DELTA, nested=True),
        log_link=False,
        estimated=np.full(2, delta is None),
        zero=np.zeros(2, dtype=bool),
        base=0.0,
        form="power of p",
    )


def _without_idle_power(found: SelectionFit) -> SelectionFit:
    """The fit, with a delta2 of NaN and a note where delta1 is estimated as 0."""
    first, second = found.selection
    if first.fixed or first.estimate > 0.0 or np.isnan(first.estimate):
        return found
    message = "delta1 is estimated as 0, which is no selection: there delta2 changes nothing and has no estimate."
    fit = replace(found.fit, notes=(*found.fit.notes, Note("idle-delta2", message)))
    return replace(found, fit=fit, selection=(first, replace(second, estimate=float("nan"))))


def _smooth_atoms(low: float, high: float, number: int, shape: SmoothSelection) -> Atoms:
    """Both tails as cells, and a Gauss-Legendre rule between them."""
    nodes, steps = np.polynomial.legendre.leggauss(number)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    nodes = middle + half * nodes
    features = _smooth_features(np.concatenate([[low, high], nodes]), shape)
    return Atoms(np.array([-np.inf, high]), np.array([low, np.inf]), nodes, half * steps, features)


def _smooth_features(z: Array, shape: SmoothSelection) -> Array:
    """The log weight at delta = 1 of the one-sided p of z `(n, 1)`; log weights are delta times it.

    The logistic weight is no such multiple, nor that of a power of p: their features are p itself and `(log p, 1)`, and
    the likelihood knows their form.
    """
    p = special.ndtr(-z)
    if shape == "negative exponential power":
        return np.column_stack([special.log_ndtr(-z), np.ones(len(z))])
    log_weight = {
        "half-normal": -(p**2),
        "negative exponential": -p,
        "power": special.log_ndtr(z),
        "logistic": p,
    }[shape]
    return np.asarray(log_weight)[:, None]


def fit_truncated_selection(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    cut: float | None = 0.0,
    weight: float | None = None,
    direction: Direction = "positive",
    tau2: SelectionTau2 = "ML",
    selected: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> SelectionFit:
    """Fit by maximum likelihood the effects before selection together with the weight of effects up to a cut.

    Parameters
    ----------
    y, v, x, names, level : as in `fit_step_selection`
    cut : effects beyond it, in the favoured direction, are seen with weight 1; those at it or short of it with less.
        None takes the cut whose likelihood is highest, among the effects themselves
    weight : a fixed weight of 0 or more, instead of an estimate; 0 is the truncated normal distribution
    direction : sign of the effects that are favoured
    tau2 : "ML", or "EE" for a model without heterogeneity
    selected : as in `fit_step_selection`

    Returns a `SelectionFit`; its `selection` has the weights beyond the cut (1, fixed) and up to it. A cut of 0 is the
    step model with its step at a one-sided p of .5.

    Raises `ModelError` where no effect lies on one of the sides, since its weight is then 0 or without end.

    The likelihood jumps where a cut passes an effect, and in between it rises towards the effect above while the weight
    is below 1, towards the one below while it is above 1. So its top lies at an effect, has no curvature, and the test
    of no selection no chi-square distribution: an estimated cut has no standard error, and `lrt_p` is NaN, with a note.

    >>> y, v = [0.1, 0.6, 0.5, -0.1, 0.4, 0.8], [0.04, 0.05, 0.03, 0.02, 0.02, 0.06]
    >>> result = fit_truncated_selection(y, v, cut=0.2, weight=0.5)
    >>> round(float(result.unadjusted.beta[0]), 4), round(float(result.fit.beta[0]), 4)
    (0.3515, 0.2787)
    """
    if cut is not None and not np.isfinite(cut):
        raise ModelError(f"cut={cut!r} must be a number on the scale of the effects; 0 parts positive from negative.")
    if weight is not None and not (np.isfinite(weight) and weight >= 0):
        raise ModelError(f"weight={weight!r} must be a number of 0 or more; 1 is no selection.")
    setup = selection_setup(y, v, x, names, direction=direction, tau2=tau2, level=level, selected=selected)
    if cut is None:
        return _best_cut(setup, weight)
    short = setup.sign * setup.data.y <= setup.sign * cut
    _check_sides(setup, setup.among_selected(short), setup.among_selected(~short), cut, weight)
    return fit_selection(setup, _cut_weight(setup, short, cut, weight))


def _best_cut(setup: SelectionSetup, weight: float | None) -> SelectionFit:
    """The fit with the cut of highest likelihood, at an effect: that effect and all short of it, or all short alone."""
    if weight == 0.0:
        raise ModelError("cut=None cannot go with weight=0: the likelihood rises with the cut up to the lowest effect.")
    y = setup.sign * setup.data.y
    best: SelectionFit | None = None
    for edge in np.unique(y):
        for short in (y <= edge, y < edge):
            sides = setup.among_selected(short), setup.among_selected(~short)
            if not (sides[0].any() and sides[1].any()):
                continue
            found = fit_selection(setup, _cut_weight(setup, short, float(setup.sign * edge), weight))
            # One that found no maximum has a likelihood of NaN, and is higher than nothing.
            if np.isfinite(found.fit.loglik) and (best is None or found.fit.loglik > best.fit.loglik):
                best = found
    if best is None:
        raise ModelError("no cut has a likelihood with a maximum; pass a cut, or fix the weight.")
    message = (
        f"the cut {best.fit.method['cut']} is estimated: it has no standard error, the test of selection no p, "
        "and intervals take it for known."
    )
    fit = replace(best.fit, method={**best.fit.method, "cut": f"{best.fit.method['cut']}, estimated"})
    fit = replace(fit, notes=(*fit.notes, Note("estimated-cut", message)))
    return replace(best, fit=fit, lrt_df=best.lrt_df + 1, lrt_p=float("nan"))


def _check_sides(
    setup: SelectionSetup, short: NDArray[np.bool_], beyond: NDArray[np.bool_], cut: float, weight: float | None
) -> None:
    """Refuse a cut without effects that had to pass the selection on one of its sides."""
    side = "above" if setup.sign > 0 else "below"
    if not beyond.any():
        raise ModelError(f"no effect lies {side} cut={cut:g}, against which the others are weighed; take another cut.")
    if weight is None and not short.any():
        raise ModelError(
            f"every effect lies {side} cut={cut:g}, so the weight of the others cannot be estimated: pass weight=0 "
            "for the truncated normal distribution, or another cut."
        )
    if weight == 0.0 and short.any():
        rows = list_rows([setup.data.effects.rows[i] for i in np.flatnonzero(short)])
        raise ModelError(f"weight=0 says that effects not {side} cut={cut:g} are never seen, but {rows} are there.")


def _cut_weight(setup: SelectionSetup, short: NDArray[np.bool_], cut: float, weight: float | None) -> Selection:
    # The search works in units of `scale` with the favoured direction up, and so does the cut.
    edge = setup.sign * cut / setup.scale
    seen = np.array([True, weight != 0.0])
    none = np.empty(0)
    low, high = np.array([edge, -np.inf]), np.array([np.inf, edge])
    beyond, up_to = (">", "<=") if setup.sign > 0 else ("<", ">=")
    return Selection(
        choices={
            "selection": "truncated",
            "cut": f"{cut:g}",
            "weights": "estimated" if weight is None else "fixed",
        },
        names=(f"effect {beyond} {cut:g}", f"effect {up_to} {cut:g}"),
        counts=(int(setup.among_selected(~short).sum()), int(setup.among_selected(short).sum())),
        observed=np.eye(2)[short.astype(int)],
        atoms=Atoms(low[seen], high[seen], none, none, np.eye(2)[seen], of_effects=True),
        starts=[np.array([0.0, shift]) for shift in ((0.0, -1.5, 1.0) if weight is None else (np.log(weight or 1.0),))],
        eta_range=EtaRange(-np.inf, LARGEST_LOG_WEIGHT),
        log_link=True,
        estimated=np.array([False, weight is None]),
        zero=~seen,
    )
