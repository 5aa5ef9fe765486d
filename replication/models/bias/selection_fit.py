"""What a selection model starts from and what a reader sees of it: setup, weight function, fit, parameters, test.

`SelectionSetup` (effects on a common scale) is the same for every weight function; `Selection` is all that step and
beta models differ in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.errors import ModelError, list_rows
from replication.models.bias.inputs import BiasData, bias_data
from replication.models.bias.selection_likelihood import (
    Atoms,
    EtaRange,
    Peak,
    SelectionLikelihood,
    WeightForm,
    highest_peak,
)
from replication.models.fit import Array, Component, Fit, Interval, Note
from replication.models.least_squares import Basis, orthonormal
from replication.models.options import Direction, SelectionTau2, check_choice
from replication.models.prepare import as_numbers
from replication.models.probability import normal_isf
from replication.models.readable import Readable
from replication.models.two_level.random_effects import fit_random_effects

__all__ = [
    "Selection",
    "SelectionFit",
    "SelectionParameter",
    "SelectionSearch",
    "SelectionSetup",
    "fit_selection",
    "selection_setup",
]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A weight function with d parameters eta, for k effects.

    `observed (k, d)` and `atoms` are what the likelihood needs, `starts` the eta to search from within `eta_range`.
    A parameter named in `names` is `exp(eta)` if `log_link` (weights of steps, with `counts` of p values), else
    `base + eta` (shapes, of base 1; the one parameter of smooth functions, of base 0). Those marked in
    `estimated (d,)` are estimated, among them those in `zero (d,)` as exactly 0.
    """

    choices: Mapping[str, str]
    names: tuple[str, ...]
    counts: tuple[int | None, ...]
    observed: Array
    atoms: Atoms
    starts: Sequence[Array]
    eta_range: EtaRange
    log_link: bool
    estimated: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    notes: tuple[Note, ...] = ()
    base: float = 1.0
    form: WeightForm = "log-linear"


@dataclass(frozen=True, slots=True, eq=False)
class SelectionSetup:
    """Effects ready for a selection likelihood, in units of `scale`, about the sd of an effect around the mean.

    `z (k,)` are the studies' own test statistics, positive in the favoured direction. `selected (k,)` are the rows that
    had to pass the selection, None for all; `pull (k,)` says how hard it pressed on each, None for the same on all.
    """

    data: BiasData
    unadjusted: Fit
    basis: Basis
    scale: float
    sign: float
    z: Array
    choices: Mapping[str, str]
    selected: NDArray[np.bool_] | None = None
    pull: Array | None = None

    @property
    def heterogeneous(self) -> bool:
        """Whether tau2 is estimated."""
        return self.choices["tau2"] == "ML"

    def likelihood(self, selection: Selection) -> SelectionLikelihood:
        """The likelihood of these effects under a selection."""
        y, v = self.sign * self.data.y / self.scale, self.data.v / self.scale**2
        x = self.basis.columns
        return SelectionLikelihood(
            y, v, x, selection.observed, selection.atoms, selection.form, self.selected, self.pull
        )

    def among_selected(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of the `chosen (k,)` rows that had to pass the selection."""
        return chosen if self.selected is None else chosen & self.selected

    def free(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of `(beta, tau2, eta)` are estimated when `chosen (d,)` of the selection parameters are."""
        return np.array([True] * len(self.data.effects.names) + [self.heterogeneous, *chosen])

    def starts(self, selection: Selection) -> Array:
        """One start for each eta: the fit without selection, and more heterogeneity further from it."""
        # The unadjusted fit is in the unit and direction of the data, the search in those of this setup.
        gamma = np.linalg.solve(self.basis.to_beta, self.sign * self.unadjusted.beta / self.scale)
        # The search runs over log tau2, which cannot start at 0.
        tau2 = self.unadjusted.component("tau2").estimate + 0.05 * float(np.median(self.data.v))
        tau2 *= self.heterogeneous / self.scale**2
        return np.array([[*gamma, tau2 * (1.0 + j), *eta] for j, eta in enumerate(selection.starts)])

    def require_enough(self, selection: Selection) -> None:
        """Refuse fewer effects than parameters."""
        parameters = int(self.free(selection.estimated).sum())
        # Fewer effects than parameters: the likelihood has a ridge or no top, and any number found is an accident.
        if self.data.k < parameters:
            raise ModelError(
                f"{self.data.k} effects for {parameters} parameters; use fewer selection parameters, fix them, or "
                "take tau2='EE'."
            )


def selection_setup(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None,
    names: Sequence[str] | None,
    *,
    direction: Direction,
    tau2: SelectionTau2,
    level: float,
    selected: ArrayLike | None = None,
    imprecision: ArrayLike | None = None,
) -> SelectionSetup:
    """Check the effects and fit the model without selection; `selected` and `imprecision` are of all rows passed."""
    check_choice(direction, Direction, "direction")
    check_choice(tau2, SelectionTau2, "tau2")
    p = 1 if x is None else np.shape(x)[-1]
    data = bias_data(y, v, x, names, fewest=p + 1, method="a selection model")
    effects = data.effects
    unadjusted = fit_random_effects(
        effects.y, effects.v, effects.x, method=tau2, test="z", level=level, names=effects.names
    )
    sign = 1.0 if direction == "positive" else -1.0
    # Step lengths and tolerances of the search then mean the same for correlations, log odds and raw scores.
    scale = float(np.sqrt(np.median(data.v) + unadjusted.component("tau2").estimate))
    choices = {"tau2": tau2, "test": "z", "direction": direction}
    rows = list(effects.rows)
    chosen = None if selected is None else _chosen(selected, len(np.atleast_1d(y)))[rows]
    pull = None if imprecision is None else _pull(imprecision, len(np.atleast_1d(y)), rows)
    if chosen is not None:
        if not chosen.any():
            raise ModelError("selected: no row with an effect had to pass the selection; mark at least one True.")
        choices["selected rows"] = f"{int(chosen.sum())} of {data.k}"
    if pull is not None:
        choices["imprecision"] = "selection presses on rows in proportion to it"
    z = sign * data.y / data.se
    return SelectionSetup(data, unadjusted, _basis(effects.x), scale, sign, z, choices, chosen, pull)


def _chosen(selected: ArrayLike, k: int) -> NDArray[np.bool_]:
    """Which of the k rows passed had to pass the selection."""
    values = np.asarray(selected)
    if values.shape != (k,) or values.dtype != bool:
        raise ModelError(f"selected must be {k} values True or False, one a row; found {values.dtype} {values.shape}.")
    return values


def _pull(imprecision: ArrayLike, k: int, rows: list[int]) -> Array:
    """Imprecision of the rows that are used, relative to the largest: delta then is that of the least precise row."""
    values = as_numbers(imprecision, "imprecision")
    if values.shape != (k,):
        raise ModelError(f"imprecision has {values.size} values, y has {k}; pass one a row, such as standard errors.")
    wrong = [i for i in rows if not (np.isfinite(values[i]) and values[i] > 0)]
    if wrong:
        raise ModelError(
            f"imprecision: {list_rows(wrong)} not above 0 (found {values[wrong[0]]:g}); pass standard errors, "
            "variances or 1 / n."
        )
    return np.asarray(values[rows] / values[rows].max())


def _basis(x: Array) -> Basis:
    """Orthogonal columns of mean square 1, so that a coefficient of 1 is one unit of the effects."""
    basis = orthonormal(x)
    root = float(np.sqrt(len(x)))
    return Basis(basis.columns * root, basis.to_beta * root)


NAN = float("nan")


@dataclass(frozen=True, slots=True)
class SelectionParameter:
    """A weight of a step (relative to the first) or a shape of the beta function, with its standard error.

    `interval` is Wald's on the log scale. `observed` counts the p values in a step. A `fixed` one was not estimated.
    """

    name: str
    estimate: float
    se: float
    interval: Interval
    fixed: bool
    observed: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SelectionSearch:
    """What was maximised and where its peak is, so that intervals can be searched for later."""

    setup: SelectionSetup
    selection: Selection
    peak: Peak


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SelectionFit(Readable):
    """The effects as they were before selection (`fit`), the selection, and the model without it (`unadjusted`).

    `lrt` with `lrt_df` and `lrt_p` tests "no selection"; NaN where nothing of the selection was estimated. `vcov` is
    the covariance of `parameters`: coefficients, tau2, selection; NaN rows belong to what was held.
    """

    fit: Fit
    selection: tuple[SelectionParameter, ...]
    unadjusted: Fit
    lrt: float
    lrt_df: int
    lrt_p: float
    parameters: tuple[str, ...]
    vcov: Array
    search: SelectionSearch = field(repr=False)

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes of the adjusted fit."""
        return self.fit.notes


def fit_selection(setup: SelectionSetup, selection: Selection) -> SelectionFit:
    """Maximise, and put the peak on the scale of the data.

    Without convergence every number is NaN and a note says where the search stopped.
    """
    setup.require_enough(selection)
    # A weight estimated as 0 counts as a parameter of the test but has no log to search over.
    searched = setup.free(selection.estimated & ~selection.zero)
    peak = highest_peak(setup.likelihood(selection), setup.starts(selection), searched, selection.eta_range)
    p = len(setup.data.effects.names)
    theta, vcov = _natural(setup, selection, peak)
    fit = Fit(
        method={**setup.choices, **selection.choices},
        names=setup.data.effects.names,
        beta=theta[:p],
        vcov=vcov[:p, :p],
        df=np.full(p, np.inf),
        components=(_tau2(setup, float(theta[p]), float(vcov[p, p])),),
        # Densities shrink with the unit: without this term the value would not compare with the unadjusted fit's.
        loglik=peak.value - setup.data.k * float(np.log(setup.scale)) if peak.converged else NAN,
        k=setup.data.k,
        level=setup.unadjusted.level,
        notes=setup.data.notes + selection.notes + _notes(setup, selection, peak),
        data=setup.data.effects,
    )
    estimated = int(selection.estimated.sum())
    lrt = float(np.maximum(0.0, 2.0 * (fit.loglik - setup.unadjusted.loglik))) if estimated else NAN  # NaN stays NaN
    return SelectionFit(
        fit=fit,
        selection=_parameters(selection, theta[p + 1 :], np.sqrt(np.diag(vcov)[p + 1 :]), fit.level),
        unadjusted=setup.unadjusted,
        lrt=lrt,
        lrt_df=estimated,
        lrt_p=float(special.chdtrc(estimated, lrt)) if estimated else NAN,
        parameters=(*fit.names, "tau2", *selection.names),
        vcov=vcov,
        search=SelectionSearch(setup, selection, peak),
    )


def _natural(setup: SelectionSetup, selection: Selection, peak: Peak) -> tuple[Array, Array]:
    """Parameters and their covariance on the scale of the data: the map is linear but for `delta = exp(eta)`."""
    p, m = len(setup.data.effects.names), len(peak.theta)
    vcov = np.full((m, m), np.nan)
    if not peak.converged:
        return np.full(m, np.nan), vcov
    eta = peak.theta[p + 1 :]
    # d exp(eta) / d eta is the weight itself, which is why delta stands in the Jacobian below.
    delta = np.where(selection.zero, 0.0, np.exp(eta)) if selection.log_link else selection.base + eta
    jacobian = np.zeros((m, m))
    jacobian[:p, :p] = setup.sign * setup.scale * setup.basis.to_beta
    jacobian[p, p] = setup.scale**2
    jacobian[range(p + 1, m), range(p + 1, m)] = delta if selection.log_link else 1.0
    inner = jacobian[np.ix_(peak.free, peak.free)]
    vcov[np.ix_(peak.free, peak.free)] = inner @ peak.covariance @ inner.T
    return np.concatenate([jacobian[: p + 1, : p + 1] @ peak.theta[: p + 1], delta]), vcov


def _tau2(setup: SelectionSetup, estimate: float, variance: float) -> Component:
    if not setup.heterogeneous:
        return Component("tau2", 0.0)
    # The search sets tau2 to exactly 0 on the edge, so equality is a safe test.
    return Component("tau2", estimate, float(np.sqrt(variance)), at_boundary=estimate == 0.0)


def _parameters(selection: Selection, delta: Array, se: Array, level: float) -> tuple[SelectionParameter, ...]:
    rows = zip(selection.names, delta, se, selection.estimated, selection.counts, strict=True)
    return tuple(
        SelectionParameter(name, float(d), float(s), _log_wald(float(d), float(s), level), not estimated, count)
        for name, d, s, estimated, count in rows
    )


def _log_wald(estimate: float, se: float, level: float) -> Interval:
    """A Wald interval for `log(estimate)`, turned back: it stays above 0."""
    if not np.isfinite(se):
        return Interval(NAN, NAN, level, "wald-log", "no standard error: not estimated, or at an edge of its range")
    # The delta method: the standard error of log(estimate) is se / estimate.
    with np.errstate(over="ignore"):  # an estimate the data hardly know has an interval without end
        factor = float(np.exp(normal_isf((1.0 - level) / 2.0) * se / estimate))
    return Interval(estimate / factor, estimate * factor, level, "wald-log")


def _notes(setup: SelectionSetup, selection: Selection, peak: Peak) -> tuple[Note, ...]:
    if not peak.converged:
        message = (
            f"no maximum of the likelihood was found (it stopped at {peak.value:.6g} on the scale used inside): "
            "every estimate is NaN; use fewer selection parameters or fixed weights."
        )
        return (Note("not-converged", message),)
    notes = _edge_notes(setup, selection, peak)
    if peak.others:
        notes.append(_peaks_note(setup, selection, peak))
    if peak.beyond:
        message = (
            f"from another start the likelihood rose {peak.beyond:.2g} above the peak reported without settling: "
            "the data do not tell strong selection from a distant mean; read the estimate with care."
        )
        notes.append(Note("ridge", message))
    return (*notes, *_outside_notes(setup, selection, peak))


def _outside_notes(setup: SelectionSetup, selection: Selection, peak: Peak) -> tuple[Note, ...]:
    """A mean beyond every effect seen rests on the assumed weights alone; nothing in the data can contradict it."""
    x, y = setup.data.effects.x, setup.data.y
    # With moderators there are many means, and none of them need lie among the effects.
    if x.shape[1] > 1 or np.ptp(x) > 0:
        return ()
    mean = float(_natural(setup, selection, peak)[0][0]) * float(x[0, 0])
    low, high = float(y.min()), float(y.max())
    if low <= mean <= high:
        return ()
    message = (
        f"the mean {mean:.4g} lies outside the effects observed, {low:.4g} to {high:.4g}: it is extrapolated from the "
        "assumed selection alone; do not read it as an estimate."
    )
    return (Note("outside-data", message),)


def _edge_notes(setup: SelectionSetup, selection: Selection, peak: Peak) -> list[Note]:
    notes = []
    held = setup.free(selection.estimated) & ~peak.free
    d = len(selection.names)
    if held[-d - 1]:
        notes.append(Note("boundary", "tau2 is estimated as 0, the edge of its range; it has no standard error."))
    edges = [name for name, at_edge in zip(selection.names, held[-d:], strict=True) if at_edge]
    if edges:
        message = f"{' and '.join(edges)}: at the edge of the range, taken as known, without standard error."
        notes.append(Note("boundary", message))
    return notes


def _peaks_note(setup: SelectionSetup, selection: Selection, peak: Peak) -> Note:
    """Names the next peak, which another program may report."""
    following = peak.others[0]
    theta, _ = _natural(setup, selection, following)
    names = (*setup.data.effects.names, "tau2")
    values = ", ".join(f"{name} = {value:.4g}" for name, value in zip(names, theta, strict=False))
    message = (
        f"the likelihood has {len(peak.others) + 1} peaks; the highest is reported. The next, lower by "
        f"{peak.value - following.value:.3g}, is at {values}."
    )
    return Note("several-peaks", message)
