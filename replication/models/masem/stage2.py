"""Stage 2: a path or factor model on pooled correlations, by weighted least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from replication.models.fit import Array, Fit, Interval, Note
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import symmetric
from replication.models.masem.effects import Effect, Quantities, find_effect
from replication.models.masem.fit_indices import FitIndices, Misfit, Rmsea, fit_indices, srmr
from replication.models.masem.likelihood_intervals import intervals_by_likelihood
from replication.models.masem.model_text import PathModel, check_variables, parse_model
from replication.models.masem.newton import Minimum, covariance_of_minimum
from replication.models.masem.ram import Implied, Structure, require_identified, structure
from replication.models.masem.sampling_covariance import PooledCorrelations
from replication.models.masem.stage1 import RandomPool
from replication.models.masem.stage1_fixed import FixedPool
from replication.models.masem.wls import STARTS, WeightedLeastSquares, best_minimum, group, start_values
from replication.models.prepare import check_level
from replication.models.readable import Readable

__all__ = ["PathFit", "Pool", "fit_stage2", "improper_notes", "likelihood_intervals", "pooled_for", "read_model"]

Pool = PooledCorrelations | RandomPool | FixedPool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PathFit(Readable):
    """A path model on pooled correlations.

    `fit` holds the free parameters, `effects` the named expressions, `residuals` the residual variances of explained
    variables ("enga~~enga"), `indices` the fit; `implied (v, v)` are the correlations the model implies.
    """

    fit: Fit
    quantities: Quantities = field(repr=False)
    pooled: PooledCorrelations = field(repr=False)
    objective: WeightedLeastSquares = field(repr=False)
    minimum: Minimum = field(repr=False)
    indices: FitIndices
    effects: tuple[Effect, ...]
    residuals: tuple[Effect, ...]
    implied: Array

    @property
    def audit(self) -> Audit:
        """The audit of the correlations behind the model."""
        return self.pooled.audit

    def effect(self, name: str) -> Effect:
        """The named expression, or residual variance, called `name`."""
        return find_effect((*self.effects, *self.residuals), name)


def fit_stage2(pool: Pool, model: str | PathModel, *, level: float = 0.95) -> PathFit:
    """Fit a path or factor model to pooled correlations (stage 2 of two-stage MASEM).

    Parameters
    ----------
    pool : a stage 1 fit, or pooled correlations from elsewhere (`pooled_correlations`)
    model : text as described in `model_text`, or a parsed model; variables it does not name stay out
    level : of the Wald intervals

    Raises
    ------
    ModelError
        a variable that is not in the data, a model that is not identified (it names the paths), or pooled
        correlations without a proper covariance.

    Source: Cheung & Chan (2005); correlation structure with residual variances as functions of the paths (Cheung
    2015, chapter 7); standard errors by the observed second derivatives.

    >>> import numpy as np
    >>> from replication.models.masem.sampling_covariance import pooled_correlations
    >>> pool = pooled_correlations(["x", "m", "y"], [0.3, 0.2, 0.4], np.diag([0.01, 0.02, 0.01]), 200)
    >>> paths = fit_stage2(pool, "m ~ a*x; y ~ b*m + x; ind := a*b")
    >>> round(paths.effect("ind").estimate, 4)  # 0.3 * (0.4 - 0.3 * 0.2) / (1 - 0.3 ** 2)
    0.1121
    """
    check_level(level)
    parsed, pooled = read_model(model, pool)
    places = structure(parsed, pooled.variables)
    names = parsed.parameters
    # Asked before the search: what is not identified has minima everywhere, and any of them looks like a result.
    require_identified(lambda theta: _jacobian(places, theta), names)
    objective = WeightedLeastSquares((group(pooled, places, np.eye(len(names))),))
    minimum = best_minimum(objective, [start_values(places, parsed.latent, values) for values in STARTS], parsed.latent)
    return _describe(parsed, objective, minimum, level)


def _describe(model: PathModel, objective: WeightedLeastSquares, minimum: Minimum, level: float) -> PathFit:
    """The path fit of a minimum: estimates, effects, fit indices, notes."""
    only = objective.groups[0]
    places, pooled, names = only.structure, only.pooled, model.parameters
    covariance = covariance_of_minimum(minimum, names)
    at = only.implied(minimum.theta[None])
    assert at is not None, "the minimum lies where the model is defined"
    quantities = Quantities(model, places, names, places.fixed, places.parameter)
    fit = Fit(
        method={
            "model": "path_model_second_stage",
            "estimator": "WLS",
            "test": "z",
            "text": model.text,
        },
        names=names,
        beta=minimum.theta,
        vcov=covariance.vcov,
        df=np.full(len(names), np.inf),
        components=(),
        loglik=float("nan"),
        k=len(pooled.r),
        level=level,
        notes=(*pooled.notes, *covariance.notes, *improper_notes(model, places, at)),
        data=pooled,
    )
    return PathFit(
        fit=fit,
        quantities=quantities,
        pooled=pooled,
        objective=objective,
        minimum=minimum,
        indices=_indices(pooled, minimum, at, only.u),
        effects=quantities.effects(minimum.theta, covariance.vcov, level),
        residuals=quantities.residual_variances(minimum.theta, covariance.vcov, level),
        implied=symmetric(at.r[0]),
    )


def read_model(model: str | PathModel, pool: Pool) -> tuple[PathModel, PooledCorrelations]:
    """The parsed model and the pooled correlations of just its variables, in the order of the data."""
    parsed = parse_model(model) if isinstance(model, str) else model
    return parsed, pooled_for(parsed, pool)


def pooled_for(model: PathModel, pool: Pool) -> PooledCorrelations:
    """The pooled correlations of just the variables of `model`, in the order of the data."""
    pooled = pool if isinstance(pool, PooledCorrelations) else pool.pooled
    check_variables(model, pooled.variables)
    return pooled.subset([name for name in pooled.variables if name in model.observed])


def _jacobian(places: Structure, theta: Array) -> Array | None:
    at = places.implied(places.cells_at(theta))
    return None if at is None else at.jacobian[0] @ places.parameter


def _indices(pooled: PooledCorrelations, minimum: Minimum, at: Implied, u: Array) -> FitIndices:
    """As metaSEM: RMSEA by n - 1, its interval from the 5 % and 95 % points."""
    p = len(pooled.r)
    # metaSEM's convention; its "95 %" interval is a 90 % one, and the report says so
    how = Rmsea(divisor=pooled.n - 1, interval_divisor=pooled.n - 1)
    # With all correlations at 0 the residuals are the pooled correlations themselves.
    baseline = float(pooled.r @ u @ pooled.r)
    residual = srmr(pooled.r, at.r[0])
    return fit_indices(Misfit(pooled.n, minimum.at.value, p - len(minimum.theta), baseline, p, residual), how)


def improper_notes(model: PathModel, places: Structure, at: Implied) -> tuple[Note, ...]:
    """A note on variances below zero: the estimates are then no model of real variables."""
    bad = [
        f"{name} ({at.psi[0, i]:.3g})"
        for i, name in enumerate(places.variables)
        if name in model.explained and at.psi[0, i] < 0
    ]
    if not bad:
        return ()
    message = f"the residual variance of {', '.join(bad)} is negative (a Heywood case); do not interpret the estimates."
    return (Note("improper", message),)


def likelihood_intervals(
    path_fit: PathFit, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of parameters, residual variances and named expressions.

    Parameters
    ----------
    path_fit : a stage 2 fit
    names : which quantities; all by default
    level : the fit's own by default
    """
    wanted = path_fit.quantities.select(names)
    chosen = check_level(path_fit.fit.level if level is None else level)
    targets = {name: partial(path_fit.quantities.at, name=name) for name in wanted}
    objective = path_fit.objective
    return intervals_by_likelihood(objective, targets, path_fit.minimum, chosen, objective.evaluate_each)
