"""The same path model in several groups of studies: are its paths equal? (Jak & Cheung 2018)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Interval
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import unknown_names
from replication.models.masem.effects import Effect, Quantities, find_effect
from replication.models.masem.fit_indices import (
    ChiSquareTest,
    FitIndices,
    Misfit,
    Rmsea,
    chi_square_test,
    fit_indices,
    srmr,
)
from replication.models.masem.likelihood_intervals import intervals_by_likelihood
from replication.models.masem.model_text import PathModel, parse_model
from replication.models.masem.newton import Minimum, covariance_of_minimum
from replication.models.masem.ram import Implied, require_identified, structure
from replication.models.masem.stage2 import Pool, improper_notes, pooled_for
from replication.models.masem.wls import STARTS, Group, WeightedLeastSquares, best_minimum, group, start_values
from replication.models.prepare import check_level
from replication.models.readable import Readable

__all__ = ["GroupFit", "equality_test", "fit_groups", "group_intervals"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroupFit(Readable):
    """A path model in several groups: parameters that are equal keep their name, others are called "name[group]".

    `effects` and `residuals` are called "name[group]" too.
    """

    fit: Fit
    groups: tuple[str, ...]
    equal: tuple[str, ...]
    objective: WeightedLeastSquares = field(repr=False)
    minimum: Minimum = field(repr=False)
    quantities: Mapping[str, Quantities] = field(repr=False)
    indices: FitIndices
    effects: tuple[Effect, ...]
    residuals: tuple[Effect, ...]

    @property
    def audit(self) -> Audit:
        """The audits of all groups, one after the other."""
        return Audit(tuple(entry for one in self.objective.groups for entry in one.pooled.audit))

    def effect(self, name: str) -> Effect:
        """The quantity called `name`, such as "ind[low]"."""
        return find_effect((*self.effects, *self.residuals), name)


def fit_groups(
    pools: Mapping[str, Pool], model: str | PathModel, *, equal: str | Sequence[str] = "none", level: float = 0.95
) -> GroupFit:
    """Fit one path model to several groups at once, with some of its parameters equal.

    Parameters
    ----------
    pools : stage 1 of each group, by name
    model : text as described in `model_text`
    equal : names of parameters that are the same in all groups, or "none", "paths" (arrows), "all"
    level : of the Wald intervals

    Raises
    ------
    ModelError
        fewer than two groups, an unknown parameter, or what `fit_stage2` refuses.

    Source: Jak & Cheung (2018), Behavior Research Methods 50, whose fit indices these are: RMSEA times the root of the
    number of groups with a 95 % interval, SRMR weighted by n - 1, AIC and BIC that count the
    variances too.
    """
    check_level(level)
    if len(pools) < 2:
        raise ModelError(f"{len(pools)} group given; a comparison needs at least two.")
    parsed = parse_model(model) if isinstance(model, str) else model
    shared = _shared(parsed, equal)
    names, selects = _parameter_maps(parsed.parameters, shared, tuple(pools))
    groups = tuple(_group(parsed, pool, selects[name]) for name, pool in pools.items())
    # All groups together: equal parameters may identify in one group what it could not by itself.
    require_identified(lambda theta: _jacobian(groups, theta), names)
    objective = WeightedLeastSquares(groups)
    starts = [_start(groups, parsed.latent, values, len(names)) for values in STARTS]
    minimum = best_minimum(objective, starts, parsed.latent)
    quantities = {
        name: _aliases(parsed, Quantities(parsed, one.structure, names, one.structure.fixed, one.chain), selects[name])
        for name, one in zip(pools, groups, strict=True)
    }
    return _describe(_GroupModel(parsed, tuple(pools), shared, names, quantities), objective, minimum, level)


@dataclass(frozen=True, slots=True, eq=False)
class _GroupModel:
    """A model in groups: which parameters are equal, the names of all, and the quantities of each group."""

    model: PathModel
    groups: tuple[str, ...]
    equal: tuple[str, ...]
    names: tuple[str, ...]
    quantities: Mapping[str, Quantities]


def _describe(grouped: _GroupModel, objective: WeightedLeastSquares, minimum: Minimum, level: float) -> GroupFit:
    """The multigroup fit of a minimum: estimates by group, fit indices, notes."""
    groups, names = objective.groups, grouped.names
    covariance = covariance_of_minimum(minimum, names)
    states = [_implied(one, minimum.theta) for one in groups]
    notes = [note for one in groups for note in one.pooled.notes]
    notes += covariance.notes
    for one, at in zip(groups, states, strict=True):
        notes += improper_notes(grouped.model, one.structure, at)
    # Weighted least squares minimises a distance, which is no likelihood: loglik is not defined.
    method = {"model": "path model in groups, stage 2", "estimator": "WLS", "test": "z"}
    fit = Fit(
        method={**method, "equal": ", ".join(grouped.equal) or "none", "text": grouped.model.text},
        names=names,
        beta=minimum.theta,
        vcov=covariance.vcov,
        df=np.full(len(names), np.inf),
        components=(),
        loglik=float("nan"),
        k=sum(len(one.pooled.r) for one in groups),
        clusters=len(groups),
        level=level,
        notes=tuple(notes),
        data=dict(zip(grouped.groups, (one.pooled for one in groups), strict=True)),
    )
    theta, vcov = minimum.theta, covariance.vcov
    return GroupFit(
        fit=fit,
        groups=grouped.groups,
        equal=grouped.equal,
        objective=objective,
        minimum=minimum,
        quantities=grouped.quantities,
        indices=_indices(groups, states, minimum),
        effects=_by_group({n: q.effects(theta, vcov, level) for n, q in grouped.quantities.items()}),
        residuals=_by_group({n: q.residual_variances(theta, vcov, level) for n, q in grouped.quantities.items()}),
    )


def _shared(model: PathModel, equal: str | Sequence[str]) -> tuple[str, ...]:
    sets = {
        "none": (),
        "all": model.parameters,
        "paths": tuple(dict.fromkeys(c.parameter for c in model.cells if c.parameter and not c.covariance)),
    }
    if isinstance(equal, str) and equal in sets:
        return sets[equal]
    wanted = (equal,) if isinstance(equal, str) else tuple(equal)
    unknown = [name for name in wanted if name not in model.parameters]
    if unknown:
        raise unknown_names(unknown, (*model.parameters, *sets), "equal parameters")
    return wanted


def _parameter_maps(
    parameters: Sequence[str], shared: Sequence[str], groups: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Names of all parameters, and for each group which of them are its own `(own q, all q)`."""
    own = {g: tuple(name if name in shared else f"{name}[{g}]" for name in parameters) for g in groups}
    # A shared parameter keeps one name in all groups, so it falls together here.
    names = tuple(dict.fromkeys(name for g in groups for name in own[g]))
    selects = {g: np.array([[float(name == n) for n in names] for name in own[g]]) for g in groups}
    return names, selects


def _group(model: PathModel, pool: Pool, select: Array) -> Group:
    pooled = pooled_for(model, pool)
    return group(pooled, structure(model, pooled.variables), select)


def _implied(one: Group, theta: Array) -> Implied:
    at = one.implied(theta[None])
    assert at is not None, "the minimum lies where the model is defined"
    return at


def _jacobian(groups: Sequence[Group], theta: Array) -> Array | None:
    states = [one.implied(theta[None]) for one in groups]
    if any(at is None for at in states):
        return None
    return np.concatenate(
        [at.jacobian[0] @ one.chain for one, at in zip(groups, states, strict=True) if at is not None]
    )


def _start(groups: Sequence[Group], latent: Sequence[str], values: tuple[float, float, float], size: int) -> Array:
    start = np.zeros(size)
    for one in groups:
        # Starts are 0 or above: a shared parameter takes the start of whichever group has one.
        start = np.maximum(start, one.select.T @ start_values(one.structure, latent, values))
    return start


def _aliases(model: PathModel, quantities: Quantities, select: Array) -> Quantities:
    """The quantities of one group under the names the text gives: parameter "a" stands for "a" or "a[group]"."""
    own = {quantities.names[int(np.argmax(row))]: name for name, row in zip(model.parameters, select, strict=True)}
    return replace(quantities, names=tuple(own.get(name, name) for name in quantities.names))


def _by_group(effects: Mapping[str, Sequence[Effect]]) -> tuple[Effect, ...]:
    return tuple(replace(effect, name=f"{effect.name}[{name}]") for name, found in effects.items() for effect in found)


def _indices(groups: Sequence[Group], states: Sequence[Implied], minimum: Minimum) -> FitIndices:
    n = np.array([one.pooled.n for one in groups])
    total, count = float(n.sum()), len(groups)
    cells = sum(len(one.pooled.r) for one in groups)
    variables = sum(len(one.pooled.variables) for one in groups)
    # The model of no correlations at all: the distance of every group's correlations from 0.
    baseline = float(sum(one.pooled.r @ one.u @ one.pooled.r for one in groups))
    squares = np.array([srmr(one.pooled.r, at.r[0]) ** 2 for one, at in zip(groups, states, strict=True)])
    residual = float(np.sqrt((n - 1) @ squares / (total - count)))
    df = cells - len(minimum.theta)
    # The two divisors differ because they do in the published analysis (Jak & Cheung 2018).
    how = Rmsea(divisor=total - 1, interval_divisor=total, groups=count, level=0.95)
    found = fit_indices(Misfit(total, minimum.at.value, df, baseline, cells, residual), how)
    # Variances of the variables count too, as programs for covariances count them.
    parameters = cells + variables - df
    return replace(
        found,
        aic=minimum.at.value + 2.0 * parameters,
        bic=minimum.at.value + float(np.log(total)) * parameters,
    )


def equality_test(free: GroupFit, constrained: GroupFit) -> ChiSquareTest:
    """Chi-square difference test of the parameters that are equal in `constrained` and free in `free`."""
    df = constrained.indices.df - free.indices.df
    if free.groups != constrained.groups or df <= 0:
        raise ModelError(
            "the constrained model must have the same groups and fewer parameters than the free one; pass "
            "the free one first."
        )
    return chi_square_test(constrained.indices.chi2 - free.indices.chi2, df)


def group_intervals(
    fitted: GroupFit, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of parameters, and of effects and residual variances called "name[group]"."""
    chosen = check_level(fitted.fit.level if level is None else level)
    places = {name: (fitted.groups[0], name) for name in fitted.equal}
    for group_name, quantities in fitted.quantities.items():
        # Names with a group in them are those of other groups, which are parameters here as well.
        own = {n for n in quantities.every if n not in fitted.equal and "[" not in n}
        places |= {f"{name}[{group_name}]": (group_name, name) for name in quantities.every if name in own}
    unknown = [name for name in names or () if name not in places]
    if unknown:
        raise unknown_names(unknown, tuple(places), "quantities")
    wanted = {name: places[name] for name in (places if names is None else names)}
    targets = {name: partial(fitted.quantities[where].at, name=inner) for name, (where, inner) in wanted.items()}
    objective = fitted.objective
    return intervals_by_likelihood(objective, targets, fitted.minimum, chosen, objective.evaluate_each)
