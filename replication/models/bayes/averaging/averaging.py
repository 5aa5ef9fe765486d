"""Model averaging over publication bias: how likely are effect, heterogeneity and bias, and what is the effect then?

No single correction for bias is right for every literature, so 36 models are weighed by how well they predict the data
(Bartoš et al. 2023). Every marginal likelihood is an integral by quadrature with a stated error, none is sampled.
Effects may come in clusters (several of one sample): heterogeneity is then split into a part between clusters and one
within them, and rows are selected one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.errors import ModelError
from replication.labels import Label
from replication.models.bayes.averaging.bias_integrals import (
    FINER,
    TWICE,
    BiasSolution,
    Fineness,
    difference,
    rounding,
    solve_linear,
    solve_selection,
)
from replication.models.bayes.averaging.bias_likelihoods import (
    Linear,
    Selection,
    summarised,
)
from replication.models.bayes.averaging.bias_models import (
    BiasModel,
    BiasPriors,
    Regression,
    WeightFunction,
    psma_models,
)
from replication.models.bayes.averaging.clustered_effects import ClusteredEffects, arrange
from replication.models.bayes.exact.marginals import Blend, Marginal
from replication.models.bayes.exact.model import sd_axis
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Beta, Fixed, PositivePrior
from replication.models.bayes.priors.record import PriorRecord
from replication.models.fit import Array, Interval, Note
from replication.models.multilevel.groups import group_codes
from replication.models.options import Direction, check_choice
from replication.models.prepare import EffectData, check_level, is_number, list_rows, prepare_effects
from replication.models.readable import Readable, in_columns

__all__ = ["Averaged", "AveragedEstimate", "AveragedModel", "AveragedSummary", "Inclusion", "average_models"]

# How often a model is solved anew on a finer lattice where its error still counts.
ATTEMPTS = 4
# How fine the first lattice is. At 0 its error is about the one asked for, and some models are beyond what is stated of
# them; at 1 it is a tenth of that, for four times the points, which cost little unless effects are clustered.
FIRST, FIRST_OF_CLUSTERS = 1, 0
# The part of what a lattice says of itself below which its difference from a rougher one is not believed.
CHANCE = 0.01
# Models solved at once; and points from which on a model is not solved anew: its error stands as it is.
WORKERS, MOST_POINTS = 2, 120_000
# A numerical error of probabilities above which averages are refused, not noted.
USELESS = 0.05
# Up to this many effects neither heterogeneity nor bias can show in the data: one effect tells nothing of the spread
# of others, two nothing of a trend, so every probability of a model is close to its prior.
FEW = 2


@dataclass(frozen=True, slots=True)
class AveragedModel:
    """One model in the average.

    One model in the average: its parts, prior and posterior probability, log marginal likelihood with its error, mean
    effect, mean tau, the mean share of tau2 between clusters (NaN where there are none), and the posterior mean weights
    of its p-value intervals (the smallest p first). `label` names it in English, `text` is the same for a report.
    """

    label: str
    text: Label
    effect: bool
    heterogeneity: bool
    bias: str
    prior: float
    posterior: float
    log_marginal: float
    error: float
    mean_effect: float
    mean_tau: float
    mean_share: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Evidence for a component: prior and posterior probability that it is there, `log10` of its Bayes factor."""

    component: str
    prior: float
    posterior: float
    log10: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AveragedEstimate:
    """A quantity averaged over models. `probability_zero` is the mass at exactly 0, of the models without it."""

    name: str
    mean: float
    sd: float
    median: float
    central: Interval
    probability_zero: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AveragedSummary:
    """The average as plain data for a report."""

    k: int
    clusters: int
    direction: str
    priors: dict[str, PriorRecord]
    models: tuple[AveragedModel, ...]
    inclusion: tuple[Inclusion, ...]
    estimates: tuple[AveragedEstimate, ...]
    error: float
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Averaged(Readable):
    """Models weighed by their posterior probabilities.

    `effect` and `tau` average over all models, with mass at 0 from those without; `effect_if_present` and
    `tau_if_present` only over models that have them (None where no model does). `share_if_present` is the mean
    share of tau2 between clusters, NaN where every cluster has one effect. `error` is the numerical error of posterior
    probabilities and averages.
    """

    k: int
    clusters: int
    direction: Direction
    level: float
    priors: BiasPriors
    models: tuple[AveragedModel, ...]
    inclusion: tuple[Inclusion, ...]
    effect: Marginal
    effect_if_present: Marginal | None
    tau: Marginal
    tau_if_present: Marginal | None
    share_if_present: float
    error: float
    notes: tuple[Note, ...]

    def summary(self) -> AveragedSummary:
        """Everything a report prints, as plain data."""
        named = (
            ("effect", self.effect),
            ("effect, if there is one", self.effect_if_present),
            ("tau", self.tau),
            ("tau, if there is any", self.tau_if_present),
        )
        estimates = tuple(_estimate(name, m, self.level) for name, m in named if m is not None)
        return AveragedSummary(
            self.k,
            self.clusters,
            self.direction,
            self.priors.records(),
            self.models,
            self.inclusion,
            estimates,
            self.error,
            self.notes,
        )

    def _lines(self, depth: int) -> Iterator[str]:
        shown = self.summary()
        yield f"k = {self.k}; {self.clusters} clusters; {len(self.models)} models; direction {self.direction}"
        rows = [("averaged", "mean", "sd", "median", f"{100 * self.level:g} % interval")]
        for e in shown.estimates:
            ends = f"[{e.central.low:.4f}, {e.central.high:.4f}]"
            rows.append((e.name, f"{e.mean:.4f}", f"{e.sd:.4f}", f"{e.median:.4f}", ends))
        yield from in_columns(rows)
        odds = [("probability of", "before", "after", "log10 BF")]
        odds += [(i.component, f"{i.prior:.3f}", f"{i.posterior:.3f}", f"{i.log10:.2f}") for i in self.inclusion]
        yield from in_columns(odds)
        yield f"numerical error {self.error:.1g}"
        yield from (f"note, {note.code}: {note.message}" for note in self.notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """Models, their solutions, log prior probabilities times marginal likelihoods, and posterior probabilities."""

    models: tuple[BiasModel, ...]
    solutions: tuple[BiasSolution, ...]
    logs: Array
    posterior: Array


def average_models(
    y: ArrayLike,
    v: ArrayLike,
    *,
    priors: BiasPriors,
    clusters: ArrayLike | None = None,
    correlation: float = 0.0,
    models: tuple[BiasModel, ...] | None = None,
    direction: Direction = "positive",
    level: float = 0.95,
    rtol: float = 1e-3,
) -> Averaged:
    """Average over models of effect, heterogeneity and publication bias.

    Parameters
    ----------
    y : (k,) effects
    v : (k,) sampling variances, all above 0
    priors : such as `bias_priors("z")` for Fisher's z of correlations
    clusters : (k,) labels of what effects come from, such as samples; by default every effect is its own
    correlation : of the sampling errors within a cluster, from 0 to below 1
    models : the models with their prior probabilities; the 36 of `psma_models` by default
    direction : the sign that bias favours: that of the effects one expects
    level : level of intervals
    rtol : numerical error allowed in probabilities and averages

    Returns
    -------
    Averaged
        Every model's marginal likelihood, inclusion Bayes factors, averaged posteriors and the numerical error.

    Raises
    ------
    ModelError
        When the numbers cannot carry the models (the message names the rows), or are too many to integrate over.

    Notes
    -----
    Bartoš, Maier, Wagenmakers, Doucouliagos and Stanley (2023); the step selection likelihood is that of Vevea and
    Hedges (1995). With clusters every row is selected by its own p value, given the others of its cluster: the density
    of a cluster is divided by the chance that all its rows are seen together. That whole studies are selected, on the
    mean of their rows, is the same function on one mean a study.

    >>> from replication.models.bayes.averaging.bias_models import bias_priors
    >>> found = average_models([0.4, 0.3, 0.5, 0.2], [0.02, 0.01, 0.03, 0.01], priors=bias_priors("z"))
    >>> [(i.component, round(i.posterior, 3)) for i in found.inclusion[:3]]
    [('effect', 0.679), ('heterogeneity', 0.398), ('bias', 0.806)]
    """
    check_choice(direction, Direction, "direction")
    check_level(level)
    data, notes = prepare_effects(y, v)
    if np.any(data.v <= 0):
        rows = list_rows([data.rows[i] for i in np.flatnonzero(data.v <= 0)])
        raise ModelError(f"{rows} have sampling variance 0, so no p value; give their variances or leave them out.")
    codes = _codes(clusters, np.size(y), data, correlation)
    chosen = models if models is not None else psma_models()
    if not chosen or not all(m.probability > 0 for m in chosen):
        raise ModelError("average_models needs at least one model, each with a prior probability above 0.")
    # Models of selection expect positive effects: others are turned before and turned back after.
    sign = 1.0 if direction == "positive" else -1.0
    task = _task(data, codes, correlation, priors, sign)
    weighed = _refined(task, chosen, rtol)
    error = float(sum(p * s.error for p, s in zip(weighed.posterior, weighed.solutions, strict=True)))
    if error > USELESS:
        raise ModelError(
            f"with {len(data.y)} effects the averages could not be computed (numerical error {error:.1g}); use "
            "fit_step_selection, or fewer models."
        )
    return Averaged(
        len(data.y),
        len(task.data.starts),
        direction,
        level,
        priors,
        tuple(_row(weighed, i, sign) for i in range(len(chosen))),
        tuple(_inclusion(weighed, name, has) for name, has in _components()),
        _blend(weighed, lambda s: s.effect, lambda _: True, sign) or weighed.solutions[0].effect,
        _blend(weighed, lambda s: s.effect, lambda m: m.effect, sign),
        _blend(weighed, lambda s: s.tau, lambda _: True, 1.0) or weighed.solutions[0].tau,
        _blend(weighed, lambda s: s.tau, lambda m: m.heterogeneity, 1.0),
        _share(weighed),
        error,
        (*notes, *_average_notes(len(data.y), error, rtol)),
    )


def _average_notes(k: int, error: float, rtol: float) -> Iterator[Note]:
    """What a reader must know of an average: that the priors decide it, or that it is less exact than was asked."""
    if k <= FEW:
        message = (
            f"{k} {'effect' if k == 1 else 'effects'}: the priors decide the averages and the "
            "probabilities of models, not the data."
        )
        yield Note("priors-decide", message, label=Label("note_priors_decide", {"k": k}))
    if error > rtol:
        said = Label("note_accuracy", {"error": error, "asked": rtol})
        yield Note("accuracy", f"numerical error {error:.1g}; {rtol:.1g} was asked for.", label=said)


def _refined(task: _Task, models: tuple[BiasModel, ...], rtol: float) -> _Weighed:
    """Solve every model; where its error times its posterior probability is too large, again on a finer lattice."""
    # a model that is unlikely beforehand may be in error by as much more
    whole = sum(m.probability for m in models)
    asked = [rtol * whole / (len(models) * m.probability) for m in models]
    # numpy leaves Python's lock while it computes, so two models share two cores
    with ThreadPoolExecutor(WORKERS) as pool:
        solutions = list(pool.map(lambda m, r: _checked(task, m, r), models, asked))
        for attempt in range(task.first + 1, ATTEMPTS):
            weighed = _weigh(models, solutions)
            shares = [p * s.error for p, s in zip(weighed.posterior, solutions, strict=True)]
            if sum(shares) <= rtol:
                break
            # only models that carry weight are computed again: an error in an impossible model costs nothing
            order = np.argsort(shares)
            poor = order[np.cumsum(np.array(shares)[order]) > rtol / 2.0].tolist()
            poor = [i for i in poor if solutions[i].points <= MOST_POINTS]
            finer = [Fineness(asked[i], attempt) for i in poor]
            again = list(pool.map(lambda i, f: _solve(task, models[i], f), poor, finer))
            for i, solution in zip(poor, again, strict=True):
                solutions[i] = _compared(solution, solutions[i])
    return _weigh(models, solutions)


def _checked(task: _Task, model: BiasModel, rtol: float) -> BiasSolution:
    """One model solved; one of selection on a rougher lattice, too: that costs little and tells what is missed."""
    if not isinstance(model.bias, WeightFunction):
        return _solve(task, model, Fineness(rtol))
    fine, rough = Fineness(rtol, task.first), Fineness(rtol, task.first - 1)
    return _compared(_solve(task, model, fine), _solve(task, model, rough))


def _compared(fine: BiasSolution, rough: BiasSolution) -> BiasSolution:
    """The fine solution with the smallest of the bounds: what a lattice says of itself is the most cautious one.

    The difference of both is the error of the rough one. What the fine one misses are waves `1 / FINER` times as
    short, in whatever direction, of which a smooth density holds exponentially less.
    """
    apart = difference(fine, rough)
    # both can lie beside the truth by chance, so no difference is believed below a part of what the fine one says
    least = max(CHANCE * fine.error, rounding(fine))
    return replace(fine, error=min(fine.error, max(least, min(apart, TWICE * apart ** (1.0 / FINER)))))


def _weigh(models: tuple[BiasModel, ...], solutions: list[BiasSolution]) -> _Weighed:
    logs = np.array([np.log(m.probability) + s.log_mass for m, s in zip(models, solutions, strict=True)])
    return _Weighed(models, tuple(solutions), logs, np.exp(logs - special.logsumexp(logs)))


def _codes(clusters: ArrayLike | None, given: int, data: EffectData, correlation: float) -> NDArray[np.intp]:
    """The cluster of every effect that is used, counted from 0."""
    if not (is_number(correlation) and 0.0 <= correlation < 1.0):
        raise ModelError(f"correlation={correlation!r} must be from 0 to below 1, such as 0.6.")
    if clusters is None:
        return np.arange(len(data.y))
    codes = group_codes(clusters, given, "clusters")[list(data.rows)]
    if (codes < 0).any():
        rows = list_rows([data.rows[i] for i in np.flatnonzero(codes < 0)])
        raise ModelError(f"clusters has no label in {rows}; label the rows or leave them out.")
    return codes


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """The effects, turned so that bias favours positive ones, and the priors with that of the effect turned."""

    data: ClusteredEffects
    priors: BiasPriors
    effect: Normal

    @property
    def first(self) -> int:
        """How fine the first lattice is."""
        return FIRST_OF_CLUSTERS if self.data.clustered else FIRST


def _task(data: EffectData, clusters: NDArray[np.intp], correlation: float, priors: BiasPriors, sign: float) -> _Task:
    effect = Normal(sign * priors.effect.mean, priors.effect.sd)
    return _Task(arrange(sign * data.y, data.v, clusters, correlation), priors, effect)


def _solve(task: _Task, model: BiasModel, fine: Fineness) -> BiasSolution:
    data, none = task.data, Fixed(0.0)
    slope: PositivePrior
    tau = task.priors.tau if model.heterogeneity else none
    # where every cluster is one effect nothing tells between from within: the share would only widen the integral
    share = task.priors.share if model.heterogeneity and data.clustered else none
    effect = task.effect if model.effect else None
    if isinstance(model.bias, WeightFunction):
        alpha, n = task.priors.weights.alpha, len(model.bias.steps)
        # the stick-breaking of a symmetric Dirichlet: ratios of neighbouring weights are independent betas
        ratios = tuple(Beta((n - i) * alpha, alpha) for i in range(n))
        critical, place = _places(data, model.bias)
        selection = Selection(data, critical, place, model.bias, effect, tau, share, ratios)
        return solve_selection(summarised(selection), fine)
    # PET regresses on the standard error, PEESE on its square; the unit keeps both slopes near 1
    unit = float(np.sqrt(np.median(data.v)))
    on, slope, scale = np.zeros(data.k), none, 1.0
    if model.bias is not None:
        pet = model.bias.on == "PET"
        on, slope, scale = (np.sqrt(data.v), task.priors.pet, 1.0) if pet else (data.v, task.priors.peese, 1.0 / unit)
    axes = sd_axis("tau", tau, unit), sd_axis("share", share, 1.0), sd_axis("slope", slope, scale)
    return solve_linear(Linear(data, on, effect, *axes), fine)


def _places(data: ClusteredEffects, function: WeightFunction) -> tuple[Array, NDArray[np.intp]]:
    """The estimates at the steps `(k, J - 1)`, and the interval each estimate lies in `(k,)`."""
    se, steps = np.sqrt(data.v), np.array(function.steps)
    two = function.sides == "two"
    z = -special.ndtri(steps / 2.0 if two else steps)
    size = (np.abs(data.y) if two else data.y) / se
    return se[:, None] * z, (size[:, None] < z).sum(axis=1)


def _components() -> tuple[tuple[str, Callable[[BiasModel], bool]], ...]:
    return (
        ("effect", lambda m: m.effect),
        ("heterogeneity", lambda m: m.heterogeneity),
        ("bias", lambda m: m.bias is not None),
        ("publication_weights", lambda m: isinstance(m.bias, WeightFunction)),
        ("pet_or_peese", lambda m: isinstance(m.bias, Regression)),
    )


def _inclusion(weighed: _Weighed, name: str, has: Callable[[BiasModel], bool]) -> Inclusion:
    """Posterior odds over prior odds of the models that have the component."""
    there = np.array([has(m) for m in weighed.models])
    chances = np.array([m.probability for m in weighed.models])
    prior = float(chances[there].sum() / chances.sum())
    posterior = float(weighed.posterior[there].sum())
    if there.all() or not there.any():
        which = "every" if there.all() else "no"
        return Inclusion(name, prior, posterior, float("nan"), f"{which} model has it, so there is nothing to compare")
    # in logs: a model's share can be 1e-300 and its Bayes factor still have digits
    odds = special.logsumexp(weighed.logs[there]) - special.logsumexp(weighed.logs[~there])
    log = odds - np.log(chances[there].sum()) + np.log(chances[~there].sum())
    return Inclusion(name, prior, posterior, float(log / np.log(10.0)))


def _blend(
    weighed: _Weighed, part: Callable[[BiasSolution], Marginal], has: Callable[[BiasModel], bool], sign: float
) -> Marginal | None:
    there = [i for i, m in enumerate(weighed.models) if has(m)]
    if not there:
        return None
    logs = weighed.logs[there]
    weights = np.exp(logs - special.logsumexp(logs))
    parts = tuple(part(weighed.solutions[i]) for i in there)
    means, sds = np.array([p.mean for p in parts]), np.array([p.sd for p in parts])
    mean = float((weights * means).sum())
    sd = float(np.sqrt((weights * (sds**2 + (means - mean) ** 2)).sum()))
    reason = next((p.reason for p in parts if not np.isfinite(p.sd)), "")
    return Blend(mean=sign * mean, sd=sd, reason=reason, weights=weights, parts=parts, sign=sign)


def _share(weighed: _Weighed) -> float:
    """The share of tau2 between clusters, averaged over the models that have one."""
    shares = np.array([s.share for s in weighed.solutions])
    there = np.isfinite(shares)
    return (
        float(np.average(shares[there], weights=np.exp(weighed.logs[there] - weighed.logs[there].max())))
        if there.any()
        else float("nan")
    )


def _row(weighed: _Weighed, i: int, sign: float) -> AveragedModel:
    model, solution = weighed.models[i], weighed.solutions[i]
    return AveragedModel(
        label=model.label,
        text=model.text,
        effect=model.effect,
        heterogeneity=model.heterogeneity,
        bias="none" if model.bias is None else model.bias.label,
        prior=model.probability,
        posterior=float(weighed.posterior[i]),
        log_marginal=solution.log_mass,
        error=solution.error,
        mean_effect=sign * solution.effect.mean,
        mean_tau=solution.tau.mean,
        mean_share=solution.share,
        weights=solution.weights,
    )


def _estimate(name: str, marginal: Marginal, level: float) -> AveragedEstimate:
    low, middle, high = (float(q) for q in marginal.ppf([0.5 - level / 2.0, 0.5, 0.5 + level / 2.0]))
    zero = marginal.probability_of_points if isinstance(marginal, Blend) else 0.0
    central = Interval(low, high, level, "central")
    return AveragedEstimate(name, marginal.mean, marginal.sd, middle, central, zero, marginal.reason)
