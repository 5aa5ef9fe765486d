"""From a peak of a selection likelihood to what a reader sees: the `Fit`, the selection parameters, the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from replication.errors import ModelError
from replication.models.bias.inputs import BiasData
from replication.models.bias.selection_likelihood import SelectionLikelihood
from replication.models.bias.selection_search import Peak
from replication.models.fit import Array, Component, Fit, Interval, Note
from replication.models.weighted import Basis

__all__ = ["SelectionFit", "SelectionModel", "SelectionParameter", "selection_fit"]

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


@dataclass(frozen=True, slots=True, eq=False)
class SelectionModel:
    """What is maximised and how to read it.

    In `likelihood` the effects are divided by `scale`, turned by `sign`, and the design is `basis`. A selection
    parameter named in `names (d,)` is `exp(eta)` if `log_link` (weights of steps, with `counts` of p values), else
    `1 + eta` (shapes). `free (p + 1 + d,)` marks what is estimated of coefficients, tau2 and selection.
    """

    data: BiasData
    unadjusted: Fit
    likelihood: SelectionLikelihood
    basis: Basis
    scale: float
    sign: float
    names: tuple[str, ...]
    counts: tuple[int | None, ...]
    log_link: bool
    free: NDArray[np.bool_]
    choices: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse fewer effects than parameters."""
        if self.data.k < self.free.sum():
            raise ModelError(
                f"{self.data.k} effects for {int(self.free.sum())} parameters; use fewer selection parameters, "
                "fix them, or take tau2='EE'."
            )


def selection_fit(model: SelectionModel, peak: Peak, notes: tuple[Note, ...] = ()) -> SelectionFit:
    """Put a peak on the scale of the data. Without convergence every number is NaN and a note says where it stopped."""
    p = len(model.data.effects.names)
    theta, vcov = _natural(model, peak)
    loglik = peak.value - model.data.k * float(np.log(model.scale)) if peak.converged else NAN
    fit = Fit(
        method=model.choices,
        names=model.data.effects.names,
        beta=theta[:p],
        vcov=vcov[:p, :p],
        df=np.full(p, np.inf),
        components=(_tau2(model, float(theta[p]), float(vcov[p, p])),),
        loglik=loglik,
        k=model.data.k,
        level=model.unadjusted.level,
        notes=model.data.notes + notes + _notes(model, peak),
        data=model.data.effects,
    )
    estimated = int(model.free[p + 1 :].sum())
    lrt = float(np.maximum(0.0, 2.0 * (loglik - model.unadjusted.loglik))) if estimated else NAN  # NaN stays NaN
    return SelectionFit(
        fit=fit,
        selection=_selection(model, theta[p + 1 :], np.sqrt(np.diag(vcov)[p + 1 :])),
        unadjusted=model.unadjusted,
        lrt=lrt,
        lrt_df=estimated,
        lrt_p=float(special.chdtrc(estimated, lrt)) if estimated else NAN,
        parameters=(*fit.names, "tau2", *model.names),
        vcov=vcov,
    )


def _natural(model: SelectionModel, peak: Peak) -> tuple[Array, Array]:
    """Parameters and their covariance on the scale of the data: the map is linear but for `delta = exp(eta)`."""
    p, m = model.likelihood.x.shape[1], len(peak.theta)
    vcov = np.full((m, m), np.nan)
    if not peak.converged:
        return np.full(m, np.nan), vcov
    eta = peak.theta[p + 1 :]
    delta = np.exp(eta) if model.log_link else 1.0 + eta
    jacobian = np.zeros((m, m))
    jacobian[:p, :p] = model.sign * model.scale * model.basis.to_beta
    jacobian[p, p] = model.scale**2
    jacobian[range(p + 1, m), range(p + 1, m)] = delta if model.log_link else 1.0
    inner = jacobian[np.ix_(peak.free, peak.free)]
    vcov[np.ix_(peak.free, peak.free)] = inner @ peak.covariance @ inner.T
    return np.concatenate([jacobian[: p + 1, : p + 1] @ peak.theta[: p + 1], delta]), vcov


def _tau2(model: SelectionModel, estimate: float, variance: float) -> Component:
    if model.choices["tau2"] == "EE":
        return Component("tau2", 0.0)
    return Component("tau2", estimate, float(np.sqrt(variance)), at_boundary=estimate == 0.0)


def _selection(model: SelectionModel, delta: Array, se: Array) -> tuple[SelectionParameter, ...]:
    level = model.unadjusted.level
    free = model.free[len(model.free) - len(delta) :]
    rows = zip(model.names, delta, se, free, model.counts, strict=True)
    return tuple(
        SelectionParameter(name, float(d), float(s), _log_wald(float(d), float(s), level), not is_free, count)
        for name, d, s, is_free, count in rows
    )


def _log_wald(estimate: float, se: float, level: float) -> Interval:
    """A Wald interval for `log(estimate)`, turned back: it stays above 0."""
    if not np.isfinite(se):
        return Interval(NAN, NAN, level, "wald-log", "no standard error: not estimated, or at an edge of its range")
    factor = float(np.exp(stats.norm.isf((1.0 - level) / 2.0) * se / estimate))
    return Interval(estimate / factor, estimate * factor, level, "wald-log")


def _notes(model: SelectionModel, peak: Peak) -> tuple[Note, ...]:
    if not peak.converged:
        message = (
            f"no maximum of the likelihood was found (it stopped at {peak.value:.6g} on the scale used inside): "
            "every estimate is NaN; use fewer selection parameters or fixed weights."
        )
        return (Note("not-converged", message),)
    notes = []
    p = model.likelihood.x.shape[1]
    if model.free[p] and not peak.free[p]:
        notes.append(Note("boundary", "tau2 is estimated as 0, the edge of its range; it has no standard error."))
    edges = [name for name, held in zip(model.names, (model.free & ~peak.free)[p + 1 :], strict=True) if held]
    if edges:
        message = f"{' and '.join(edges)}: at the edge of the range, taken as known, without standard error."
        notes.append(Note("boundary", message))
    if peak.others:
        notes.append(_peaks_note(model, peak))
    if peak.beyond:
        message = (
            f"from another start the likelihood rose {peak.beyond:.2g} above the peak reported without settling: "
            "the data do not tell strong selection from a distant mean; read the estimate with care."
        )
        notes.append(Note("ridge", message))
    return tuple(notes)


def _peaks_note(model: SelectionModel, peak: Peak) -> Note:
    """Names the next peak, which another program may report."""
    following = peak.others[0]
    theta = _natural(model, following)[0]
    p = len(model.data.effects.names)
    values = ", ".join(f"{name} = {value:.4g}" for name, value in zip(model.data.effects.names, theta[:p], strict=True))
    message = (
        f"the likelihood has {len(peak.others) + 1} peaks; the highest is reported. The next, lower by "
        f"{peak.value - following.value:.3g}, is at {values}, tau2 = {theta[p]:.4g}."
    )
    return Note("several-peaks", message)
