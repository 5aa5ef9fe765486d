"""Fits with effects left out or added one at a time: leave-one-out and cumulative meta-analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from replication.errors import ModelError
from replication.models.batch import BatchFits, fit_batch
from replication.models.fit import Array, Fit
from replication.models.literals import Tau2Method, TestMethod
from replication.models.prepare import effect_data

__all__ = ["SubsetFits", "cumulative", "leave_one_out", "refit_subsets"]


@dataclass(frozen=True, slots=True, eq=False)
class SubsetFits:
    """One refit a step: `rows[i]` is the row (as passed to the fit) left out or added last at step i.

    `fits.defined[i]` is False, and its numbers NaN, where too few effects are left for the coefficients.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    fits: BatchFits
    level: float

    def interval(self, level: float | None = None) -> Array:
        """Wald intervals `(steps, p, 2)`, at the fit's own level by default."""
        return self.fits.interval(self.level if level is None else level)


def leave_one_out(fit: Fit) -> SubsetFits:
    """Refit without each effect in turn, with the estimator and test of `fit`.

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> leave_one_out(fit).fits.beta[:, 0].round(6).tolist()
    [0.286775, 0.224089, 0.18, 0.267297]
    """
    data = effect_data(fit)
    return SubsetFits(fit.names, data.rows, refit_subsets(fit, 1.0 - np.eye(len(data.y))), fit.level)


def cumulative(fit: Fit, order: Sequence[int] | None = None) -> SubsetFits:
    """Refit with the effects added one at a time in `order` (positions among the fitted effects; as given by default).

    A first step with as many effects as coefficients has the common-effect result; before that nothing is defined.

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> cumulative(fit).fits.beta[:, 0].round(6).tolist()
    [0.1, 0.175, 0.267297, 0.22924]
    """
    data = effect_data(fit)
    k = len(data.y)
    steps = np.arange(k) if order is None else np.array(order, dtype=np.intp)
    if sorted(steps.tolist()) != list(range(k)):
        raise ModelError(f"order must hold each position from 0 to {k - 1} once; got {len(steps)} entries.")
    position = np.argsort(steps)
    counts = (position[None, :] <= np.arange(k)[:, None]).astype(float)
    return SubsetFits(fit.names, tuple(data.rows[i] for i in steps), refit_subsets(fit, counts), fit.level)


def refit_subsets(fit: Fit, counts: Array) -> BatchFits:
    """Refit with each effect used `counts (B, k)` times, with the estimator, test and weights of `fit`."""
    data = effect_data(fit)
    method, test = cast(Tau2Method, fit.method["tau2"]), cast(TestMethod, fit.method["test"])
    return fit_batch(data.y, data.v, data.x, counts=counts, weights=data.weights, method=method, test=test)
