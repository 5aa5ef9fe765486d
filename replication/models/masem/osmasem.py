"""One-stage MASEM: the path model and the differences between studies are estimated together (Jak & Cheung 2020).

The correlations of study i are `r(theta, x_i) + u_i + e_i`: what the path model implies at the study's moderators,
random effects `u_i ~ N(0, T)`, sampling error `e_i ~ N(0, V_i)`. Moderators may act on any path or covariance. Studies
with any subset of the variables take part, and a pair no study holds does no harm if the model says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Interval, Note
from replication.models.literals import SamplingRule, Tau2Structure, check_choice
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.effects import Effect, Quantities, find_effect
from replication.models.masem.expressions import Jet
from replication.models.masem.identification import require_identified
from replication.models.masem.information import covariance_of_minimum, covariance_on_edge
from replication.models.masem.intervals import likelihood_interval
from replication.models.masem.likelihood import RandomEffectsLikelihood, tau2_cells
from replication.models.masem.model_text import PathModel, check_variables, parse_model
from replication.models.masem.newton import Minimum
from replication.models.masem.path_means import Moderation, PathMeans, moderation, path_means
from replication.models.masem.ram import Implied, Structure, structure
from replication.models.masem.sampling import sampling_covariances
from replication.models.masem.search import search_likelihood
from replication.models.masem.stage1 import likelihood_start
from replication.models.masem.stage2 import improper_notes
from replication.models.masem.wls import STARTS, start_values
from replication.models.prepare import check_level

__all__ = ["OneStageFit", "fit_one_stage", "one_stage_intervals"]


@dataclass(frozen=True, slots=True, eq=False)
class OneStageFit:
    """A one-stage fit: `fit` holds paths, covariances and slopes of moderators ("enga~pos:ses"), T as components.

    `log_tau2 (p,)` and `log_tau2_se (p,)` are the variances on the log scale (as OSMASEM prints them); `effects` and
    `residuals` hold at moderators of 0.
    """

    fit: Fit
    data: CorrelationSet
    quantities: Quantities
    moderated: tuple[Moderation, ...]
    likelihood: RandomEffectsLikelihood
    minimum: Minimum
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
    chosen = moderation(parsed, moderators or {}, tuple(data.moderators))
    kept, notes = _with_moderators(data, chosen)
    kept = kept.subset([name for name in kept.variables if name in parsed.observed])
    places = structure(parsed, kept.variables)
    means = path_means(places, chosen, kept.moderators, len(kept.studies))
    names = (*places.parameters, *(one.name for one in chosen))
    _check_identified(means, kept, names)
    v, filled = sampling_covariances(kept, sampling)
    likelihood = _likelihood(kept, v, means, tau2)
    minimum = _search(likelihood, kept, v, means, parsed.latent)
    labels = (*names, *_cell_names(kept, likelihood))
    if tau2 == "symmetric":
        covariance = covariance_on_edge(minimum, "tau2 as a whole")
    else:
        covariance = covariance_of_minimum(minimum, labels)
    method = {
        "model": "path model on correlations, one stage",
        "estimator": "ML",
        "tau2": tau2,
        "sampling": sampling,
        "test": "z",
        "moderators": ", ".join(one.name for one in chosen) or "none",
        "text": parsed.text,
    }
    m = means.size
    theta = minimum.theta[:m]
    audit = data.audit
    improper = improper_notes(parsed, places, _at_zero(places, theta))
    fit = Fit(
        method=method,
        names=names,
        beta=theta,
        vcov=covariance.vcov[:m, :m],
        df=np.full(m, np.inf),
        components=_components(labels[m:], minimum, covariance.vcov, m, level),
        loglik=-0.5 * minimum.at.value,
        k=int(kept.used.sum()),
        clusters=len(kept.studies),
        level=level,
        notes=(*notes, *filled, *_empty_pairs(kept), *covariance.notes, *improper, *audit.notes),
        data=kept,
    )
    chain = np.concatenate([places.parameter, np.zeros((len(places.fixed), len(chosen)))], axis=1)
    quantities = Quantities(parsed, places, names, places.fixed, chain)
    t = likelihood.cells.matrix(minimum.theta[m:], len(kept.pairs))
    logs = _log_scale(likelihood, minimum, covariance.vcov, m)
    return OneStageFit(
        fit,
        kept,
        quantities,
        chosen,
        likelihood,
        minimum,
        t,
        logs[0],
        logs[1],
        quantities.effects(theta, fit.vcov, level),
        quantities.residual_variances(theta, fit.vcov, level),
        audit,
    )


def _with_moderators(data: CorrelationSet, chosen: Sequence[Moderation]) -> tuple[CorrelationSet, tuple[Note, ...]]:
    """The studies whose moderators are known; a note names the others."""
    known = np.ones(len(data.studies), dtype=bool)
    for name in dict.fromkeys(one.moderator for one in chosen):
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
    free = np.asarray(used.any(axis=0) & np.bool_(tau2 != "zero"))
    cells = tau2_cells(free, tau2 == "symmetric")
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
        if found[-1].converged and not latent:
            break
    if not found:
        raise ModelError(
            "the model implies no correlations at any start value (a loop of paths that feeds on itself?)."
        )
    return min(found, key=lambda one: (not one.converged, one.at.value))


def _cell_names(data: CorrelationSet, likelihood: RandomEffectsLikelihood) -> tuple[str, ...]:
    pairs, cells = data.pairs, likelihood.cells
    return tuple(pairs[a] if a == b else f"{pairs[b]}, {pairs[a]}" for a, b in zip(cells.a, cells.b, strict=True))


def _components(names: Sequence[str], minimum: Minimum, vcov: Array, m: int, level: float) -> tuple[Component, ...]:
    """Variances with intervals made on the log scale, so that they stay positive; covariances with Wald intervals."""
    crit = float(special.ndtri(0.5 + level / 2.0))
    found = []
    for i, name in enumerate(names):
        estimate, held = float(minimum.theta[m + i]), bool(minimum.held[m + i])
        variance = vcov[m + i, m + i]
        se = float(np.sqrt(variance)) if variance > 0 and not held else float("nan")
        if "," in name:
            interval = Interval(estimate - crit * se, estimate + crit * se, level, "wald")
        else:
            with np.errstate(over="ignore"):
                reach = np.exp(crit * se / estimate)
            reason = "" if np.isfinite(se) else "no standard error on the bound"
            interval = Interval(estimate / reach, estimate * reach, level, "wald, log scale", reason)
        found.append(Component(name, estimate, se, interval, held))
    return tuple(found)


def _log_scale(likelihood: RandomEffectsLikelihood, minimum: Minimum, vcov: Array, m: int) -> tuple[Array, Array]:
    """log tau2 `(p,)` and its standard error by the delta method; NaN for pairs without a variance of their own."""
    p = likelihood.used.shape[1]
    logs, ses = np.full(p, np.nan), np.full(p, np.nan)
    for i, (a, b) in enumerate(zip(likelihood.cells.a, likelihood.cells.b, strict=True)):
        if a == b:
            logs[a] = np.log(minimum.theta[m + i])
            ses[a] = np.sqrt(vcov[m + i, m + i]) / minimum.theta[m + i] if vcov[m + i, m + i] > 0 else np.nan
    return logs, ses


def _empty_pairs(data: CorrelationSet) -> tuple[Note, ...]:
    counts = data.studies_per_pair
    empty = [pair for pair, count in zip(data.pairs, counts, strict=True) if count == 0]
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
        gradient[:size], hessian[:size, :size] = inner.gradient, inner.hessian
        return Jet(inner.value, gradient, hessian)

    def of(name: str) -> Interval:
        return likelihood_interval(one.likelihood, lambda theta: target(theta, name), one.minimum, chosen)

    return {name: of(name) for name in wanted}
