"""Model averaging over publication bias: how likely are effect, heterogeneity and bias, and what is the effect then?

No single correction for bias is right for every literature, so 36 models are weighed by how well they predict the data
(Bartoš et al. 2023). Every marginal likelihood is an integral by quadrature with a stated error, none is sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bayes.averaging.bias_integrals import BiasSolution, solve_linear, solve_selection
from replication.models.bayes.averaging.bias_likelihoods import Linear, Selection
from replication.models.bayes.averaging.bias_models import (
    BiasModel,
    BiasPriors,
    Regression,
    WeightFunction,
    psma_models,
)
from replication.models.bayes.exact.marginals import Blend, Marginal
from replication.models.bayes.exact.model import sd_axis
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.positive import Fixed
from replication.models.bayes.priors.record import PriorRecord
from replication.models.fit import Array, Interval, Note
from replication.models.options import Direction, check_choice
from replication.models.prepare import EffectData, check_level, list_rows, prepare_effects

__all__ = ["Averaged", "AveragedEstimate", "AveragedModel", "AveragedSummary", "Inclusion", "average_models"]

# How finely cells are resolved at first, and how often tenfold finer where a model's error still counts.
FIRST, ATTEMPTS = 1e-3, 3
# A numerical error of probabilities above which averages are refused, not noted.
USELESS = 0.05
# Up to this many effects neither heterogeneity nor bias can show in the data: one effect tells nothing of the spread
# of others, two nothing of a trend, so every probability of a model is close to its prior.
FEW = 2


@dataclass(frozen=True, slots=True)
class AveragedModel:
    """One model in the average.

    One model in the average: its parts, prior and posterior probability, log marginal likelihood with its error, mean
    effect, mean tau, and the posterior mean weights of its p-value intervals (the smallest p first).
    """

    label: str
    effect: bool
    heterogeneity: bool
    bias: str
    prior: float
    posterior: float
    log_marginal: float
    error: float
    mean_effect: float
    mean_tau: float
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
    direction: str
    priors: dict[str, PriorRecord]
    models: tuple[AveragedModel, ...]
    inclusion: tuple[Inclusion, ...]
    estimates: tuple[AveragedEstimate, ...]
    error: float
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """Models weighed by their posterior probabilities.

    `effect` and `tau` average over all models, with mass at 0 from those without; `effect_if_present` and
    `tau_if_present` only over models that have them (None where no model does). `error` is the numerical error of
    posterior probabilities and averages.
    """

    k: int
    direction: Direction
    level: float
    priors: BiasPriors
    models: tuple[AveragedModel, ...]
    inclusion: tuple[Inclusion, ...]
    effect: Marginal
    effect_if_present: Marginal | None
    tau: Marginal
    tau_if_present: Marginal | None
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
            self.direction,
            self.priors.records(),
            self.models,
            self.inclusion,
            estimates,
            self.error,
            self.notes,
        )


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
        When the numbers cannot carry the models (the message names the rows), or are too many to integrate over:
        time grows with the effects, 3 s for 26, about a minute for 400.

    Notes
    -----
    Bartoš, Maier, Wagenmakers, Doucouliagos and Stanley (2023); the step selection likelihood is that of Vevea and
    Hedges (1995).

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
    chosen = models if models is not None else psma_models()
    if not chosen or not all(m.probability > 0 for m in chosen):
        raise ModelError("average_models needs at least one model, each with a prior probability above 0.")
    weighed = _refined(data, priors, chosen, direction=direction, rtol=rtol)
    error = float(sum(p * s.error for p, s in zip(weighed.posterior, weighed.solutions, strict=True)))
    if error > USELESS:
        raise ModelError(
            f"with {len(data.y)} effects the averages could not be computed (numerical error {error:.1g}); use "
            "fit_step_selection, or fewer models."
        )
    if len(data.y) <= FEW:
        message = (
            f"{len(data.y)} {'effect' if len(data.y) == 1 else 'effects'}: the priors decide the averages and the "
            "probabilities of models, not the data."
        )
        notes = (*notes, Note("priors-decide", message))
    if error > rtol:
        notes = (*notes, Note("accuracy", f"numerical error {error:.1g}; {rtol:.1g} was asked for."))
    sign = 1.0 if direction == "positive" else -1.0
    return Averaged(
        len(data.y),
        direction,
        level,
        priors,
        tuple(_row(weighed, i, sign) for i in range(len(chosen))),
        tuple(_inclusion(weighed, name, has) for name, has in _components()),
        _blend(weighed, lambda s: s.effect, lambda _: True, sign) or weighed.solutions[0].effect,
        _blend(weighed, lambda s: s.effect, lambda m: m.effect, sign),
        _blend(weighed, lambda s: s.tau, lambda _: True, 1.0) or weighed.solutions[0].tau,
        _blend(weighed, lambda s: s.tau, lambda m: m.heterogeneity, 1.0),
        error,
        notes,
    )


def _refined(
    data: EffectData, priors: BiasPriors, models: tuple[BiasModel, ...], *, direction: Direction, rtol: float
) -> _Weighed:
    """Solve every model; where its error times its posterior probability is too large, again with finer cells."""
    solutions = [_solve(data, priors, m, direction, FIRST) for m in models]
    for attempt in range(1, ATTEMPTS):
        weighed = _weigh(models, solutions)
        shares = [p * s.error for p, s in zip(weighed.posterior, solutions, strict=True)]
        if sum(shares) <= rtol:
            break
        # only models that carry weight are computed again: an error in an impossible model costs nothing
        for i in np.flatnonzero(np.array(shares) > rtol / len(models)):
            solutions[i] = _solve(data, priors, models[i], direction, FIRST * 0.1**attempt)
    return _weigh(models, solutions)


def _weigh(models: tuple[BiasModel, ...], solutions: list[BiasSolution]) -> _Weighed:
    logs = np.array([np.log(m.probability) + s.log_mass for m, s in zip(models, solutions, strict=True)])
    return _Weighed(models, tuple(solutions), logs, np.exp(logs - special.logsumexp(logs)))


def _solve(data: EffectData, priors: BiasPriors, model: BiasModel, direction: Direction, rtol: float) -> BiasSolution:
    sign = 1.0 if direction == "positive" else -1.0
    # bias towards negative results is bias towards positive ones of the mirrored data
    turned = EffectData(sign * data.y, data.v, data.x, data.names, data.rows)
    effect = Normal(sign * priors.effect.mean, priors.effect.sd) if model.effect else None
    if isinstance(model.bias, WeightFunction):
        return solve_selection(_selection(turned, priors, model, model.bias, effect), rtol)
    return solve_linear(_linear(turned, priors, model, model.bias, effect), rtol)


def _linear(
    data: EffectData, priors: BiasPriors, model: BiasModel, bias: Regression | None, effect: Normal | None
) -> Linear:
    unit = float(np.sqrt(np.median(data.v)))
    tau = sd_axis("tau", priors.tau if model.heterogeneity else Fixed(0.0), unit)
    if bias is None:
        return Linear(data.y, data.v, np.zeros_like(data.y), effect, tau, sd_axis("slope", Fixed(0.0), 1.0))
    # PET regresses on the standard error, PEESE on its square; the unit keeps both slopes near 1
    pet = bias.on == "PET"
    slope = sd_axis(bias.on, priors.pet if pet else priors.peese, 1.0 if pet else 1.0 / unit)
    return Linear(data.y, data.v, np.sqrt(data.v) if pet else data.v, effect, tau, slope)


def _selection(
    data: EffectData, priors: BiasPriors, model: BiasModel, bias: WeightFunction, effect: Normal | None
) -> Selection:
    se, steps = np.sqrt(data.v), np.array(bias.steps)
    two = bias.sides == "two"
    z = -special.ndtri(steps / 2.0 if two else steps)
    size = (np.abs(data.y) if two else data.y) / se
    unit = float(np.median(se))
    return Selection(
        y=data.y,
        v=data.v,
        critical=se[:, None] * z,
        place=(size[:, None] < z).sum(axis=1),
        function=bias,
        weights=priors.weights,
        effect=effect,
        tau=sd_axis("tau", priors.tau if model.heterogeneity else Fixed(0.0), unit),
        # where the effect is likely to be: quadrature over it starts there
        center=float((data.y / data.v).sum() / (1.0 / data.v).sum()),
        unit=unit,
    )


def _components() -> tuple[tuple[str, Callable[[BiasModel], bool]], ...]:
    return (
        ("effect", lambda m: m.effect),
        ("heterogeneity", lambda m: m.heterogeneity),
        ("bias", lambda m: m.bias is not None),
        ("publication weights", lambda m: isinstance(m.bias, WeightFunction)),
        ("PET or PEESE", lambda m: isinstance(m.bias, Regression)),
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


def _row(weighed: _Weighed, i: int, sign: float) -> AveragedModel:
    model, solution = weighed.models[i], weighed.solutions[i]
    return AveragedModel(
        label=model.label,
        effect=model.effect,
        heterogeneity=model.heterogeneity,
        bias="none" if model.bias is None else model.bias.label,
        prior=model.probability,
        posterior=float(weighed.posterior[i]),
        log_marginal=solution.log_mass,
        error=solution.error,
        mean_effect=sign * solution.effect.mean,
        mean_tau=solution.tau.mean,
        weights=solution.weights,
    )


def _estimate(name: str, marginal: Marginal, level: float) -> AveragedEstimate:
    low, middle, high = (float(q) for q in marginal.ppf([0.5 - level / 2.0, 0.5, 0.5 + level / 2.0]))
    zero = marginal.probability_of_points if isinstance(marginal, Blend) else 0.0
    central = Interval(low, high, level, "central")
    return AveragedEstimate(name, marginal.mean, marginal.sd, middle, central, zero, marginal.reason)
