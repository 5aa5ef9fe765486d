"""Expected correlations of every study under a path model whose parameters may depend on study-level moderators.

The cell values of study i are `fixed + sum_q map_iq theta_q`: a moderated parameter has an intercept and a slope, and
the slope enters the cells of study i multiplied by its moderator.

One-stage MASEM: the path model and the differences between studies are estimated together (Jak & Cheung 2020).

The correlations of study i are `r(theta, x_i) + u_i + e_i`: what the path model implies at the study's moderators,
random effects `u_i ~ N(0, T)`, sampling error `e_i ~ N(0, V_i)`. Moderators may act on any path or covariance. Studies
with any subset of the variables take part, and a pair no study holds does no harm if the model says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Interval, Note
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import CorrelationSet, unknown_names
from replication.models.masem.effects import Effect, Quantities, find_effect
from replication.models.masem.likelihood_intervals import intervals_by_likelihood
from replication.models.masem.model_text import Jet, PathModel, check_variables, parse_model
from replication.models.masem.newton import Minimum
from replication.models.masem.ram import Implied, Structure, require_identified, structure
from replication.models.masem.random_effects_likelihood import (
    Mean,
    RandomEffectsLikelihood,
    cell_names,
    estimate_covariance,
    log_tau2,
    search_likelihood,
    tau2_cells,
    variance_components,
)
from replication.models.masem.sampling_covariance import sampling_covariances
from replication.models.masem.stage1 import likelihood_start
from replication.models.masem.stage2 import improper_notes
from replication.models.masem.wls import STARTS, start_values
from replication.models.options import SamplingRule, Tau2Structure, check_choice
from replication.models.prepare import check_level
from replication.models.readable import Readable

__all__ = ["Moderation", "OneStageFit", "PathMeans", "fit_one_stage", "moderation", "one_stage_intervals", "path_means"]


@dataclass(frozen=True, slots=True, eq=False)
class PathMeans:
    """Implied correlations of k studies: `chain (k, cells, m)` maps the m parameters to the cells of each study.

    Without moderators all studies have the same cells, and `chain (1, cells, m)` serves all of them.
    """

    structure: Structure
    chain: Array
    k: int

    @property
    def size(self) -> int:
        return int(self.chain.shape[2])

    def implied(self, theta: Array) -> Implied | None:
        return self.structure.implied(self.structure.fixed + self.chain @ theta)

    def mean(self, theta: Array) -> Mean | None:
        at = self.implied(theta)
        if at is None or not np.isfinite(at.r).all():
            return None
        # Chain rule: cells by what they imply, parameters and slopes by the cells they enter.
        jacobian = np.matmul(at.jacobian, self.chain)
        return Mean(
            np.broadcast_to(at.r, (self.k, *at.r.shape[1:])),
            np.broadcast_to(jacobian, (self.k, *jacobian.shape[1:])),
            partial(self._curvature, at),
        )

    def _curvature(self, at: Implied, weights: Array) -> Array:
        # It is linear in the weights: where all studies imply the same, those of all add up.
        own = weights if len(at.r) == len(weights) else weights.sum(axis=0, keepdims=True)
        second = self.structure.curvature(at, own)
        return np.asarray((self.chain.mT @ second @ self.chain).sum(axis=0))


@dataclass(frozen=True, slots=True)
class Moderation:
    """Which moderator acts on which parameter; the slope is called "enga~pos:ses"."""

    moderator: str
    parameter: str

    @property
    def name(self) -> str:
        return f"{self.parameter}:{self.moderator}"


def moderation(
    model: PathModel, moderators: Mapping[str, str | Sequence[str]], known: Sequence[str]
) -> tuple[Moderation, ...]:
    """What `moderators` asks for: for each one the parameters it acts on, or "paths", "covariances" or "all".

    Raises `ModelError` for a moderator the data do not hold or a parameter the model does not have.
    """
    groups = {
        "paths": tuple(dict.fromkeys(c.parameter for c in model.cells if c.parameter and not c.covariance)),
        "covariances": tuple(dict.fromkeys(c.parameter for c in model.cells if c.parameter and c.covariance)),
        "all": model.parameters,
    }
    found = []
    for moderator, asked in moderators.items():
        if moderator not in known:
            raise (
                unknown_names([moderator], known, "moderators")
                if known
                else ModelError(
                    f"the data hold no moderators, so {moderator!r} is not known; add it with data.with_moderators."
                )
            )
        wanted = (
            groups[asked]
            if isinstance(asked, str) and asked in groups
            else [asked]
            if isinstance(asked, str)
            else asked
        )
        unknown = [name for name in wanted if name not in model.parameters]
        if unknown:
            raise unknown_names(unknown, (*model.parameters, *groups), f"parameters for moderator {moderator!r}")
        found += [Moderation(moderator, name) for name in wanted]
    return tuple(found)


def path_means(structure: Structure, moderated: Sequence[Moderation], values: Mapping[str, Array], k: int) -> PathMeans:
    """The means of k studies, given each moderator's `values (k,)`."""
    base = structure.parameter
    slopes = [
        values[one.moderator][:, None] * base[:, structure.parameters.index(one.parameter)][None, :]
        for one in moderated
    ]
    if not slopes:
        return PathMeans(structure, base[None], k)
    # a slope enters a study's cells times its moderator, so the same base serves all studies
    columns = [np.broadcast_to(base, (k, *base.shape)), *(slope[:, :, None] for slope in slopes)]
    return PathMeans(structure, np.concatenate(columns, axis=2), k)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OneStageFit(Readable):
    """A one-stage fit: `fit` holds paths, covariances and slopes of moderators ("enga~pos:ses"), T as components.

    `log_tau2 (p,)` and `log_tau2_se (p,)` are the variances on the log scale (as OSMASEM prints them); `effects` and
    `residuals` hold at moderators of 0.
    """

    fit: Fit
    data: CorrelationSet = field(repr=False)
    quantities: Quantities = field(repr=False)
    moderated: tuple[Moderation, ...]
    likelihood: RandomEffectsLikelihood = field(repr=False)
    minimum: Minimum = field(repr=False)
    tau2: Array
    log_tau2: Array
    log_tau2_se: Array
    effects: tuple[Effect, ...]
    residuals: tuple[Effect, ...]
    audit: Audit

    @property
    def minus2loglik(self) -> float:
        """-2 log likelihood, with all constants."""
        return -2.0 * self.fit.loglik

    @property
    def parameters(self) -> int:
        """How many parameters were estimated, T included."""
        return len(self.minimum.theta)

    @property
    def aic(self) -> float:
        """-2 log likelihood plus twice the number of parameters."""
        return self.minus2loglik + 2.0 * self.parameters

    def effect(self, name: str) -> Effect:
        """The named expression, or residual variance, called `name`."""
        return find_effect((*self.effects, *self.residuals), name)


def fit_one_stage(
    data: CorrelationSet,
    model: str | PathModel,
    *,
    moderators: Mapping[str, str | Sequence[str]] | None = None,
    tau2: Tau2Structure = "diagonal",
    sampling: SamplingRule = "weighted",
    level: float = 0.95,
) -> OneStageFit:
    """Fit a path or factor model to the correlations of all studies in one stage.

    Parameters
    ----------
    data : the studies, with moderators if any are used
    model : text as described in `model_text`, or a parsed model
    moderators : by name, the parameters each acts on (names or labels), or "paths", "covariances" or "all".
        Use them centred or standardized: paths, effects and residual variances are those at a moderator of 0.
    tau2 : covariance between studies: "diagonal", "symmetric" or "zero"
    sampling : whose correlations stand behind the sampling covariances
    level : of the intervals

    Raises
    ------
    ModelError
        an unknown variable, moderator or parameter, or a model that is not identified.

    Source: Jak & Cheung (2020), Psychological Methods 25; standard errors by the observed information, a variance on
    its bound taken as known.
    """
    check_choice(tau2, Tau2Structure, "tau2")
    check_level(level)
    parsed = parse_model(model) if isinstance(model, str) else model
    check_variables(parsed, data.variables)
    setup = _set_up(data, parsed, moderation(parsed, moderators or {}, tuple(data.moderators)))
    v, filled = sampling_covariances(setup.data, sampling)
    likelihood = _likelihood(setup.data, v, setup.means, tau2)
    minimum = _search(likelihood, setup.data, v, setup.means, parsed.latent)
    described = _describe(setup, likelihood, minimum, tau2, level)
    # Of all the data passed: what the model leaves out is part of the story.
    audit = data.audit
    fit = replace(
        described.fit,
        method={**described.fit.method, "tau2": tau2, "sampling": sampling},
        notes=(*filled, *described.fit.notes, *audit.notes),
    )
    return replace(described, fit=fit, audit=audit)


@dataclass(frozen=True, slots=True, eq=False)
class _Setup:
    """What is fitted: the studies and variables that take part, the model, its moderators and parameter names."""

    data: CorrelationSet
    model: PathModel
    moderated: tuple[Moderation, ...]
    means: PathMeans
    names: tuple[str, ...]
    notes: tuple[Note, ...]


def _set_up(data: CorrelationSet, model: PathModel, chosen: tuple[Moderation, ...]) -> _Setup:
    # Studies go first, variables second: which pairs are empty depends on the studies that are left.
    kept, notes = _with_moderators(data, chosen)
    kept = kept.subset([name for name in kept.variables if name in model.observed])
    places = structure(model, kept.variables)
    means = path_means(places, chosen, kept.moderators, len(kept.studies))
    names = (*places.parameters, *(one.name for one in chosen))
    _check_identified(means, kept, names)
    return _Setup(kept, model, chosen, means, names, (*notes, *_empty_pairs(kept)))


def _describe(
    setup: _Setup, likelihood: RandomEffectsLikelihood, minimum: Minimum, tau2: Tau2Structure, level: float
) -> OneStageFit:
    """The one-stage fit of a minimum: estimates, variances, effects, notes."""
    data, places, m = setup.data, setup.means.structure, setup.means.size
    labels = cell_names(data.pairs, likelihood.cells)
    covariance = estimate_covariance(minimum, (*setup.names, *labels), tau2)
    theta, vcov = minimum.theta[:m], covariance.vcov[:m, :m]
    fit = Fit(
        method=_method(setup),
        names=setup.names,
        beta=theta,
        vcov=vcov,
        df=np.full(m, np.inf),
        components=variance_components(labels, minimum, covariance.vcov, level, log_scale=True),
        loglik=-0.5 * minimum.at.value,
        k=int(data.used.sum()),
        clusters=len(data.studies),
        level=level,
        notes=(*setup.notes, *covariance.notes, *improper_notes(setup.model, places, _at_zero(places, theta))),
        data=data,
    )
    logs = log_tau2(likelihood.cells, minimum, covariance.vcov, len(data.pairs))
    quantities = Quantities(setup.model, places, setup.names, places.fixed, _chain_at_zero(places, m))
    return OneStageFit(
        fit=fit,
        data=data,
        quantities=quantities,
        moderated=setup.moderated,
        likelihood=likelihood,
        minimum=minimum,
        tau2=likelihood.cells.matrix(minimum.theta[m:], len(data.pairs)),
        log_tau2=logs.estimate,
        log_tau2_se=logs.se,
        effects=quantities.effects(theta, vcov, level),
        residuals=quantities.residual_variances(theta, vcov, level),
        audit=Audit(),
    )


def _method(setup: _Setup) -> dict[str, str]:
    return {
        "model": "path_model_one_stage",
        "estimator": "ML",
        "test": "z",
        "moderators": ", ".join(one.name for one in setup.moderated) or "none",
        "text": setup.model.text,
    }


def _chain_at_zero(places: Structure, size: int) -> Array:
    """How cells move with all parameters `(cells, m)` at moderators of 0: slopes move nothing."""
    chain = np.zeros((len(places.fixed), size))
    chain[:, : len(places.parameters)] = places.parameter
    return chain


def _with_moderators(data: CorrelationSet, chosen: Sequence[Moderation]) -> tuple[CorrelationSet, tuple[Note, ...]]:
    """The studies whose moderators are known; a note names the others."""
    known = np.ones(len(data.studies), dtype=bool)
    for name in dict.fromkeys(one.moderator for one in chosen):
        # Maximum likelihood has no value of a moderator to fill in: a study without one cannot say what its paths
        # are.
        known &= np.isfinite(data.moderators[name])
    if known.all():
        return data, ()
    if not known.any():
        raise ModelError("no study has a value for every moderator asked for; use fewer moderators.")
    lost = [study for study, on in zip(data.studies, known, strict=True) if not on]
    rows = tuple(sorted(int(row) for row in data.rows[~known].ravel() if row >= 0))
    message = f"{len(lost)} studies lack a moderator and are left out: {', '.join(lost)}."
    return data.select(known), (Note("excluded-rows", message, rows),)


def _check_identified(means: PathMeans, data: CorrelationSet, names: Sequence[str]) -> None:
    """Full rank over the correlations that are there, at the moderators the studies have."""
    used = data.used

    def derivatives(theta: Array) -> Array | None:
        mean = means.mean(theta)
        return None if mean is None or mean.jacobian is None else mean.jacobian[used]

    require_identified(derivatives, names, "correlations of the studies")


def _likelihood(data: CorrelationSet, v: Array, means: PathMeans, tau2: Tau2Structure) -> RandomEffectsLikelihood:
    used = data.used
    # A pair nobody holds has no variance to estimate, and its cell of T would make the Hessian singular.
    free = np.asarray(used.any(axis=0) & np.bool_(tau2 != "zero"))
    cells = tau2_cells(free, tau2 == "symmetric")
    # More parameters than numbers are never identified; said before a search that could not end.
    if means.size + len(cells.a) > used.sum():
        raise ModelError(
            f"tau2={tau2!r} and the model need {means.size + len(cells.a)} parameters, but only {int(used.sum())} "
            "correlations are used; take tau2='diagonal' or 'zero', or a smaller model."
        )
    return RandomEffectsLikelihood(np.where(used, data.given, 0.0), used, v, means, cells)


def _search(
    likelihood: RandomEffectsLikelihood, data: CorrelationSet, v: Array, means: PathMeans, latent: Sequence[str]
) -> Minimum:
    """The lowest minimum from several starts; without factors the first that settles will do."""
    cells = likelihood.cells
    variances = likelihood_start(data, v).tau2[cells.a[cells.a == cells.b]]
    found: list[Minimum] = []
    for values in STARTS:
        theta = np.zeros(means.size)
        theta[: len(means.structure.parameters)] = start_values(means.structure, latent, values)
        if means.mean(theta) is None:
            continue
        found.append(search_likelihood(likelihood, theta, variances))
        # Factor models can have several valleys; without factors there is one in practice.
        if found[-1].converged and not latent:
            break
    if not found:
        raise ModelError(
            "the model implies no correlations at any start value (a loop of paths that feeds on itself?)."
        )
    # A lower value that did not settle is no minimum: those that did go first.
    return min(found, key=lambda one: (not one.converged, one.at.value))


def _empty_pairs(data: CorrelationSet) -> tuple[Note, ...]:
    counts = data.studies_per_pair
    empty = [pair for pair, count in zip(data.pairs, counts, strict=True) if count == 0]
    # Of one or two studies a variance between studies is a guess, though the likelihood gives a number.
    few = [f"{pair} ({count})" for pair, count in zip(data.pairs, counts, strict=True) if 0 < count < 3]
    notes = []
    if empty:
        message = f"no study holds {', '.join(empty)}; what the model says of them rests on the other pairs alone."
        notes.append(Note("empty-pairs", message))
    if few:
        message = f"too few studies to say how correlations vary between studies: {', '.join(few)}."
        notes.append(Note("few-studies", message))
    return tuple(notes)


def _at_zero(places: Structure, theta: Array) -> Implied:
    """What the model implies at moderators of 0."""
    at = places.implied(places.cells_at(theta[: len(places.parameters)]))
    if at is None:
        raise ModelError("the model implies no correlations at moderators of 0; centre the moderators.")
    return at


def one_stage_intervals(
    one: OneStageFit, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of parameters, slopes, residual variances and named expressions (all by default)."""
    wanted = one.quantities.select(names)
    chosen = check_level(one.fit.level if level is None else level)
    size = len(one.fit.names)

    def target(theta: Array, name: str) -> Jet:
        inner = one.quantities.at(theta[:size], name)
        gradient, hessian = np.zeros(len(theta)), np.zeros((len(theta), len(theta)))
        # Effects are functions of the paths alone; the search runs over the variances as well.
        gradient[:size], hessian[:size, :size] = inner.gradient, inner.hessian
        return Jet(inner.value, gradient, hessian)

    targets = {name: partial(target, name=name) for name in wanted}
    return intervals_by_likelihood(one.likelihood, targets, one.minimum, chosen)
