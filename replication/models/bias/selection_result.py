"""From a peak of a selection likelihood to what a reader sees: the `Fit`, the selection parameters, the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.models.bias.selection_search import Peak, highest_peak
from replication.models.bias.selection_setup import Selection, SelectionSetup
from replication.models.fit import Array, Component, Fit, Interval, Note
from replication.models.probability import normal_isf

__all__ = ["SelectionFit", "SelectionParameter", "fit_selection"]

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
class SelectionFit:
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

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes of the adjusted fit."""
        return self.fit.notes


def fit_selection(setup: SelectionSetup, selection: Selection) -> SelectionFit:
    """Maximise, and put the peak on the scale of the data.

    Without convergence every number is NaN and a note says where the search stopped.
    """
    setup.require_enough(selection)
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
    )


def _natural(setup: SelectionSetup, selection: Selection, peak: Peak) -> tuple[Array, Array]:
    """Parameters and their covariance on the scale of the data: the map is linear but for `delta = exp(eta)`."""
    p, m = len(setup.data.effects.names), len(peak.theta)
    vcov = np.full((m, m), np.nan)
    if not peak.converged:
        return np.full(m, np.nan), vcov
    eta = peak.theta[p + 1 :]
    delta = np.where(selection.zero, 0.0, np.exp(eta)) if selection.log_link else 1.0 + eta
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
    return tuple(notes)


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
