"""Stage 1 with random effects: the correlations of all studies pooled into one matrix by maximum likelihood.

The model (Cheung 2014): the correlations of study i are `mu + u_i + e_i`, `u_i ~ N(0, T)` between studies, `e_i ~ N(0,
V_i)` by sampling, over the pairs study i holds. `T` is diagonal, unrestricted or zero. Conventions are those of
metaSEM's `tssem1(method = "REM")`, so that published analyses come out; where they surprise, a note says so.

Likelihood-based intervals of pooled correlations and of their variances between studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Heterogeneity, Interval, Note
from replication.models.masem.audit import Audit
from replication.models.masem.correlations import CorrelationSet, symmetric, unknown_names
from replication.models.masem.likelihood_intervals import intervals_by_likelihood
from replication.models.masem.model_text import Jet, variable
from replication.models.masem.newton import Minimum
from replication.models.masem.random_effects_likelihood import (
    RandomEffectsLikelihood,
    SaturatedMean,
    cell_names,
    estimate_covariance,
    search_likelihood,
    tau2_cells,
    variance_components,
)
from replication.models.masem.sampling_covariance import PooledCorrelations, sampling_covariances
from replication.models.options import BoundRule, SamplingRule, Tau2Structure, check_choice
from replication.models.prepare import check_level
from replication.models.probability import chi2_sf
from replication.models.readable import Readable

__all__ = [
    "RandomPool",
    "Start",
    "fit_stage1_random",
    "heterogeneity",
    "likelihood_start",
    "pool_intervals",
    "tau2_intervals",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RandomPool(Readable):
    """Correlations pooled with random effects.

    `fit` holds the pooled correlations (names like "pos~~neg"), the variances between studies as components of the
    same names, Q and its test; `tau2 (p, p)` is T; `I2 (p,)` in per cent, by a typical sampling variance.
    """

    fit: Fit
    data: CorrelationSet = field(repr=False)
    likelihood: RandomEffectsLikelihood = field(repr=False)
    minimum: Minimum = field(repr=False)
    tau2: Array
    I2: Array
    audit: Audit

    @property
    def minus2loglik(self) -> float:
        """-2 log likelihood, with all constants."""
        return -2.0 * self.fit.loglik

    @property
    def matrix(self) -> Array:
        """The pooled correlation matrix `(v, v)`."""
        return symmetric(self.fit.beta)

    @property
    def parameters(self) -> int:
        """How many parameters were estimated: correlations, variances and covariances between studies."""
        return len(self.minimum.theta)

    @property
    def pooled(self) -> PooledCorrelations:
        """What stage 2 needs."""
        n = float(self.data.n.sum())
        return PooledCorrelations(self.data.variables, self.fit.beta, self.fit.vcov, n, self.audit, self.fit.notes)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where the search begins: means `(p,)` by n, and a moment estimate of each variance `(p,)`."""

    mean: Array
    tau2: Array


def fit_stage1_random(
    data: CorrelationSet,
    *,
    tau2: Tau2Structure = "diagonal",
    sampling: SamplingRule = "weighted",
    at_bound: BoundRule = "full-hessian",
    level: float = 0.95,
) -> RandomPool:
    """Pool correlations with random effects (stage 1 of two-stage MASEM), by maximum likelihood.

    Parameters
    ----------
    data : the studies
    tau2 : covariance between studies: "diagonal", "symmetric" (unrestricted) or "zero"
    sampling : whose correlations stand behind the sampling covariances, see `average_correlations`
    at_bound : standard errors when a variance is on its bound: "full-hessian" inverts all second derivatives, as
        metaSEM does; "held" takes that variance as known. A note gives both.
    level : of the intervals

    Raises
    ------
    ModelError
        a pair no study holds, or more parameters than correlations.

    Source: Cheung (2014), Behavior Research Methods 46, equations 6-9; I2 by Higgins & Thompson (2002), equation 9.
    """
    check_choice(tau2, Tau2Structure, "tau2")
    check_choice(at_bound, BoundRule, "at_bound")
    check_level(level)
    # The saturated mean has a parameter for each pair; nothing would hold one that no study has.
    _require_every_pair(data)
    v, notes = sampling_covariances(data, sampling)
    likelihood, few = _likelihood(data, v, tau2)
    start = likelihood_start(data, v)
    minimum = search_likelihood(likelihood, start.mean, start.tau2 if tau2 != "zero" else start.tau2[:0])
    labels = cell_names(data.pairs, likelihood.cells)
    p = len(data.pairs)
    covariance = estimate_covariance(minimum, (*data.pairs, *labels), tau2, at_bound, p)
    audit = data.audit
    fit = Fit(
        method=_method(tau2, sampling, at_bound),
        names=data.pairs,
        beta=minimum.theta[:p],
        vcov=covariance.vcov[:p, :p],
        df=np.full(p, np.inf),
        components=variance_components(labels, minimum, covariance.vcov, level),
        loglik=-0.5 * minimum.at.value,
        k=int(data.used.sum()),
        clusters=len(data.studies),
        level=level,
        heterogeneity=_homogeneity(data, v),
        notes=(*notes, *few, *covariance.notes, *_not_definite(minimum.theta[:p]), *audit.notes),
        data=data,
    )
    t = likelihood.cells.matrix(minimum.theta[p:], p)
    return RandomPool(fit, data, likelihood, minimum, t, _i_squared(data, v, sampling, np.diag(t)), audit)


def _method(tau2: Tau2Structure, sampling: SamplingRule, at_bound: BoundRule) -> dict[str, str]:
    return {
        "model": "random effects on correlations, stage 1",
        "estimator": "ML",
        "tau2": tau2,
        "sampling": sampling,
        "at_bound": at_bound,
        "test": "z",
    }


def _require_every_pair(data: CorrelationSet) -> None:
    empty = [pair for pair, count in zip(data.pairs, data.studies_per_pair, strict=True) if count == 0]
    if empty:
        raise ModelError(
            f"no study holds {', '.join(empty)}; stage 1 needs every pair. Leave a variable out with "
            "data.subset([...]), or fit the path model in one stage, which can do without.",
            partial=dict(zip(data.pairs, data.studies_per_pair.tolist(), strict=True)),
        )


def _likelihood(
    data: CorrelationSet, v: Array, structure: Tau2Structure
) -> tuple[RandomEffectsLikelihood, tuple[Note, ...]]:
    p = len(data.pairs)
    cells = tau2_cells(np.full(p, structure != "zero"), structure == "symmetric")
    if p + len(cells.a) > data.used.sum():
        raise ModelError(
            f"tau2={structure!r} needs {p + len(cells.a)} parameters, but only {int(data.used.sum())} correlations "
            "are used; take tau2='diagonal' or 'zero', or fewer variables."
        )
    # unused cells are never read again: `used` masks them in every sum
    y = np.where(data.used, data.given, 0.0)
    likelihood = RandomEffectsLikelihood(y, data.used, v, SaturatedMean(len(data.studies), p), cells)
    return likelihood, _few_studies(data) if structure != "zero" else ()


def likelihood_start(data: CorrelationSet, v: Array) -> Start:
    """Where the search for the likelihood of stage 1 begins.

    Start values: the n-weighted mean of each correlation and the moment estimate of DerSimonian & Laird of its
    variance, kept off zero. Pairs no study holds start at 0.
    """
    used = data.used
    variance = np.diagonal(v, axis1=1, axis2=2)
    w = np.where(used, 1.0 / variance, 0.0)
    y = np.where(used, data.given, 0.0)
    total = np.maximum(w.sum(axis=0), np.finfo(float).tiny)
    mean = (w * y).sum(axis=0) / total
    q = (w * np.where(used, y - mean, 0.0) ** 2).sum(axis=0)
    # DerSimonian & Laird (1986), equation 8, for every pair at once
    scale = total - (w**2).sum(axis=0) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        moment = (q - (used.sum(axis=0) - 1)) / scale
    # a start on the bound would stay there: the slope at zero variance can point either way
    typical = used.sum(axis=0) / total
    return Start(mean, np.where(moment > 0.2 * typical, moment, 0.2 * typical))


def _few_studies(data: CorrelationSet) -> tuple[Note, ...]:
    counts = data.studies_per_pair
    few = [f"{pair} ({count})" for pair, count in zip(data.pairs, counts, strict=True) if count < 3]
    if not few:
        return ()
    message = (
        f"too few studies to say how correlations vary between studies: {', '.join(few)}; lean on neither tau2 nor I2."
    )
    return (Note("few-studies", message),)


def _homogeneity(data: CorrelationSet, v: Array) -> Heterogeneity:
    """Multivariate Q: are all studies' correlations equal but for sampling? (Becker 1992)."""
    used = data.used
    both = used[:, :, None] & used[:, None, :]
    y = np.where(used, data.given, 0.0)
    # One common correlation is estimated for each pair.
    df = int(used.sum()) - used.shape[1]
    try:
        w = np.where(both, np.linalg.inv(np.where(both, v, np.eye(used.shape[1]))), 0.0)
        mean = np.linalg.solve(w.sum(axis=0), np.einsum("kij,kj->i", w, y))
    except np.linalg.LinAlgError:
        return heterogeneity(float("nan"), df)
    e = np.where(used, y - mean, 0.0)
    return heterogeneity(float(np.einsum("ki,kij,kj->", e, w, e)), df)


def heterogeneity(q: float, df: int) -> Heterogeneity:
    """Q with its p, the I2 and H2 made of it; NaN where there are no degrees of freedom or no Q."""
    if df == 0 or not np.isfinite(q):
        return Heterogeneity(q, df, float("nan"), float("nan"), float("nan"))
    # Higgins & Thompson (2002): below its expectation Q says nothing of heterogeneity
    i2 = 100.0 * (q - df) / q if q > df else 0.0
    return Heterogeneity(q, df, float(chi2_sf(q, df)), i2, q / df)


def _i_squared(data: CorrelationSet, v: Array, sampling: SamplingRule, tau2: Array) -> Array:
    """I2 `(p,)` in per cent: tau2 over tau2 plus a typical sampling variance.

    With a mean behind the sampling covariances every study has a sampling variance for every pair, and metaSEM
    counts them all; with `individual` only the studies that hold the pair.
    """
    # the published I2 of these data rest on this: metaSEM counts studies that lack the pair
    counted = data.used if sampling == "individual" else np.ones_like(data.used)
    w = np.where(counted, 1.0 / np.diagonal(v, axis1=1, axis2=2), 0.0)
    total = w.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = (counted.sum(axis=0) - 1) * total / (total**2 - (w**2).sum(axis=0))
        return np.asarray(np.clip(100.0 * tau2 / (tau2 + typical), 0.0, 100.0))


def _not_definite(r: Array) -> tuple[Note, ...]:
    smallest = float(np.linalg.eigvalsh(symmetric(r))[0])
    if smallest > 0:
        return ()
    message = f"the pooled correlation matrix is not positive definite (smallest eigenvalue {smallest:.3g})."
    return (Note("pooled-not-positive-definite", message),)


def pool_intervals(
    pool: RandomPool, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of the pooled correlations (all by default, or those called `names`)."""
    return _intervals(pool, pool.fit.names, names, 0, level)


def tau2_intervals(
    pool: RandomPool, names: Sequence[str] | None = None, *, level: float | None = None
) -> dict[str, Interval]:
    """Likelihood-based intervals of the variances and covariances between studies, by the names of the components.

    An end of a variance below 0 is 0, with the reason; a variance on its bound has no interval of this kind.
    """
    components = pool.fit.components
    found = _intervals(pool, tuple(c.name for c in components), names, len(pool.fit.names), level)
    for component in components:
        # A comma: a covariance, which may well lie below 0.
        if component.name not in found or "," in component.name:
            continue
        interval = found[component.name]
        if component.at_boundary:
            nothing = Interval(
                float("nan"), float("nan"), interval.level, interval.method, "the variance is on its bound"
            )
            found[component.name] = nothing
        elif not interval.low > 0:
            reason = "; ".join(r for r in (interval.reason, "the lower end is the bound of a variance") if r)
            found[component.name] = replace(interval, low=0.0, reason=reason)
    return found


def _intervals(
    pool: RandomPool, known: Sequence[str], names: Sequence[str] | None, start: int, level: float | None
) -> dict[str, Interval]:
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise unknown_names(unknown, known, "quantities")
    chosen = check_level(pool.fit.level if level is None else level)

    def at(theta: Array, place: int) -> Jet:
        return variable(float(theta[place]), place, len(theta))

    places = {name: start + list(known).index(name) for name in (known if names is None else names)}
    targets = {name: partial(at, place=place) for name, place in places.items()}
    return intervals_by_likelihood(pool.likelihood, targets, pool.minimum, chosen)
