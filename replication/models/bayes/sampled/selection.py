"""Log-likelihood of a random-effects selection model with step weights, and its gradient.

A result is published with a probability that depends on its p value alone, by steps. Cut on the z scale, the line falls
into intervals of equal weight; a published effect has the density `w N(y; mu, s^2) / A`, `s^2 = v + tau^2`, with
`A = sum_b w_b P_b` the chance that a study of this precision is published (Hedges 1992; Vevea & Hedges 1995).

Functions here are written for numba: plain loops over vectors.

A random-effects selection model: what the effects would be without the preference for significant results.

Steps of the p value, one-sided towards the expected sign or two-sided, have publication weights relative to the most
significant one. Effects are taken to be independent: use one per sample, or an average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.errors import ModelError
from replication.labels import Label, Text
from replication.models.bayes.averaging.bias_models import CumulativeDirichlet
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.bayes.sampled.diagnostics import Failed, SampledPosterior
from replication.models.bayes.sampled.likelihood_op import add_likelihood, one, residuals, times
from replication.models.bayes.sampled.pymc_priors import (
    CoefficientSpace,
    add_standard_deviations,
    coefficient_priors,
    coefficient_space,
    spread_beyond_error,
)
from replication.models.bayes.sampled.sampled_model import SampledModel, sample_model
from replication.models.bayes.sampled.sampling import Settings, load_pymc
from replication.models.fit import Array, Note
from replication.models.options import SelectionSides, check_choice
from replication.models.prepare import as_numbers, prepare_effects

__all__ = [
    "SelectionData",
    "SelectionPriors",
    "falling_weights",
    "sample_selection",
    "selection_data",
    "selection_loglik",
    "selection_model",
]

Codes = NDArray[np.int64]

ROOT2 = math.sqrt(2.0)
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
ROOT_2PI = math.sqrt(2.0 * math.pi)


def selection_loglik(
    beta: Array, tau: Array, weight: Array, y: Array, v: Array, X: Array, step: Codes, cuts: Array, step_of: Codes
) -> tuple[Array, Array, Array, Array]:
    """Log-likelihood `(1,)` and its derivatives by `beta (p,)`, `tau (1,)` and `weight (J,)`.

    The most significant step has weight 1, step j the weight `weight[j - 1]`. `step (k,)` is the step of each effect;
    `cuts (B,)` are rising z values and `step_of (B + 1,)` the step of the interval below each and above the last.
    """
    loglik, dtau = 0.0, 0.0
    r, by_effect, dweight = residuals(y, X, beta), np.zeros(y.shape[0]), np.zeros(weight.shape[0])
    chance = np.zeros(weight.shape[0] + 1)
    for i in range(y.shape[0]):
        s = math.sqrt(v[i] + tau[0] ** 2)
        # Vevea and Hedges (1995): the density of a seen effect is divided by the chance A of being seen.
        A, by_mu, by_s = published_chance(chance, y[i] - r[i], s, math.sqrt(v[i]), weight, cuts, step_of)
        z = r[i] / s
        loglik -= HALF_LOG_2PI + math.log(s) + 0.5 * z * z + math.log(A)
        if step[i] > 0:
            loglik += math.log(weight[step[i] - 1])
            dweight[step[i] - 1] += 1.0 / weight[step[i] - 1]
        for j in range(weight.shape[0]):
            dweight[j] -= chance[j + 1] / A
        by_effect[i] = z / s - by_mu / A
        dtau += ((z * z - 1.0) / s - by_s / A) * tau[0] / s
    return one(loglik), times(X, by_effect), one(dtau), dweight


def published_chance(
    chance: Array, mu: float, s: float, se: float, weight: Array, cuts: Array, step_of: Codes
) -> tuple[float, float, float]:
    """A and its derivatives by `mu` and `s`; the probability of each step goes into `chance`."""
    chance[:] = 0.0
    A, by_mu, by_s = 0.0, 0.0, 0.0
    # Minus infinity, where the first interval begins: the normal and its moments are 0 there.
    below, density_below, moment_below = 0.0, 0.0, 0.0
    for b in range(step_of.shape[0]):
        above, density, moment = 1.0, 0.0, 0.0
        if b < cuts.shape[0]:
            z = (cuts[b] * se - mu) / s
            # erfc keeps the digits of small tails, which 1 - erf would lose.
            above = 0.5 * math.erfc(-z / ROOT2)
            density = math.exp(-0.5 * z * z) / ROOT_2PI
            moment = z * density
        w = 1.0
        if step_of[b] > 0:
            w = weight[step_of[b] - 1]
        chance[step_of[b]] += above - below
        A += w * (above - below)
        by_mu -= w * (density - density_below) / s
        by_s -= w * (moment - moment_below) / s
        below, density_below, moment_below = above, density, moment
    return A, by_mu, by_s


def falling_weights() -> CumulativeDirichlet:
    """The default prior of publication weights: they never rise with p; with one step, uniform."""
    reason = "significant results are at least as likely to be published as others; otherwise nothing is known"
    return CumulativeDirichlet(1.0, reason, "Maier, Bartoš & Wagenmakers (2023)")


@dataclass(frozen=True, slots=True)
class SelectionPriors:
    """Priors of the coefficients (one for all, or one each), of tau, and of the weights.

    Weights fall with p (the default), or each has the same positive prior, relative to the most significant step.
    """

    coefficients: CoefficientPrior | Sequence[CoefficientPrior]
    tau: PositivePrior
    weights: CumulativeDirichlet | PositivePrior = field(default_factory=falling_weights)


@dataclass(frozen=True, slots=True, eq=False)
class SelectionData:
    """`y, v (k,)`, design `X (k, p)` with `names`; `step (k,)` of each effect among `steps`, cuts on the z scale."""

    y: Array
    v: Array
    X: Array
    names: tuple[str, ...]
    steps: tuple[float, ...]
    sides: SelectionSides
    step: NDArray[np.int64]
    cuts: Array
    step_of: NDArray[np.int64]
    rows: tuple[int, ...]
    notes: tuple[Note, ...]

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The weights by the p values they are about."""
        ends = (*self.steps, 1.0)
        return tuple(f"weight[{low:g} < p <= {high:g}]" for low, high in pairwise(ends))

    def parameter_labels(self, coefficients: Mapping[str, Text]) -> dict[str, Text]:
        """What each parameter of the posterior is, by its name, for reports; `coefficients` words the design's."""
        ends = pairwise((*self.steps, 1.0))
        weights = [Label("publication_weight_of", {"low": low, "high": high}) for low, high in ends]
        own: dict[str, Text] = {"tau": "sd_of_true_effects", "new": "true_effect_in_a_new_study"}
        return {**coefficients, **own, **dict(zip(self.weight_names, weights, strict=True))}


def selection_data(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    steps: Sequence[float] = (0.025,),
    sides: SelectionSides = "one",
    expected_sign: int = 1,
) -> SelectionData:
    """Check the data of a selection model and find the step of each effect.

    Parameters
    ----------
    y, v
        Effects `(k,)` and sampling variances `(k,)`, above 0.
    x, names
        A design `(k, p)`; an intercept by default.
    steps
        Rising p values where the weight changes. One-sided .025 is two-sided .05 in the expected direction.
    sides
        `"one"`: p of the expected sign; `"two"`: p of either sign.
    expected_sign
        1 or -1, the sign that is expected (and published): -1 for conflict with engagement, say.

    >>> data = selection_data([0.5, 0.1], [0.01, 0.01], steps=(0.025,))
    >>> data.step.tolist(), data.weight_names
    ([0, 1], ('weight[0.025 < p <= 1]',))
    """
    check_choice(sides, SelectionSides, "sides")
    _check_steps(steps, expected_sign)
    data, notes = prepare_effects(y, v, x, names)
    if np.any(data.v <= 0):
        raise ModelError("a selection model needs sampling variances above 0: without one there is no p value.")
    z = data.y / np.sqrt(data.v) * (1 if sides == "two" else expected_sign)
    # From the tail, so that the p of a large z is small and not 0.
    p = 2.0 * special.ndtr(-np.abs(z)) if sides == "two" else special.ndtr(-z)
    step = np.searchsorted(np.array(steps), p, side="left")
    cuts, step_of = _cuts(np.array(steps), sides, expected_sign)
    empty = sorted(set(range(len(steps) + 1)) - set(step.tolist()))
    if empty:
        ends = (0.0, *steps, 1.0)
        ranges = ", ".join(f"({ends[j]:g}, {ends[j + 1]:g}]" for j in empty)
        notes = (*notes, Note("empty-step", f"no p value in {ranges}: what the model says there rests on the prior."))
    return SelectionData(
        data.y, data.v, data.x, data.names, tuple(map(float, steps)), sides, step, cuts, step_of, data.rows, notes
    )


def sample_selection(
    data: SelectionData,
    priors: SelectionPriors,
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    compile_dir: Path | None = None,
) -> SampledPosterior | Failed:
    """The posterior of coefficients, `tau`, weights and the effect in a new study (`new`), or why there is none.

    Notes
    -----
    Model: Hedges (1992), Vevea & Hedges (1995); Bayesian: Maier, Bartoš & Wagenmakers (2023).
    """
    load_pymc(compile_dir)
    return sample_model(selection_model(data, priors), settings)


def selection_model(data: SelectionData, priors: SelectionPriors, *, exchange: bool = False) -> SampledModel:
    """The PyMC model of `data` under `priors`, not yet compiled; with `exchange` `y` and `step` can be exchanged."""
    import pymc as pm

    coefficients = coefficient_priors(priors.coefficients, len(data.names))
    spread = spread_beyond_error(data.y, data.v, data.X)
    space = coefficient_space(data.y, data.v + spread.sd**2, data.X, coefficients)
    with pm.Model(check_bounds=False) as model:
        beta = space.add(coefficients)
        # Started and scaled by the spread beyond sampling error, so that the sampler's first steps have the right size.
        tau = add_standard_deviations("tau", priors.tau, 1, spread.sd, zero_is_near=spread.zero_is_near)
        weight = _add_weights(priors.weights, len(data.steps))
        pm.Potential("loglik", add_likelihood(selection_loglik, [beta, tau, weight], _inputs(data, exchange)))
    used = {name: prior.record() for name, prior in zip(data.names, coefficients, strict=True)}
    used |= {"tau": priors.tau.record(), "weights": priors.weights.record()}
    method = {
        "steps": ", ".join(f"{step:g}" for step in data.steps),
        "sides": data.sides,
        "weights": "never rise with p" if isinstance(priors.weights, CumulativeDirichlet) else "free of each other",
        "sampler": "NUTS (nutpie)",
    }
    return SampledModel("selection", model, _Report(data, priors, space).quantities, method, used, data.notes)


def _check_steps(steps: Sequence[float], expected_sign: int) -> None:
    values = as_numbers(steps, "steps")
    if values.ndim != 1 or len(values) == 0 or np.any(np.diff([0.0, *values, 1.0]) <= 0):
        raise ModelError(f"steps={tuple(steps)!r}: expected p values that rise between 0 and 1, such as (0.025, 0.5).")
    if expected_sign not in (-1, 1):
        raise ModelError(f"expected_sign={expected_sign!r}: expected 1 or -1.")


def _cuts(steps: Array, sides: SelectionSides, expected_sign: int) -> tuple[Array, NDArray[np.int64]]:
    """The steps on the z scale, rising, and the step of each interval between them."""
    z = -special.ndtri(steps / (2.0 if sides == "two" else 1.0))
    index = np.arange(len(steps) + 1)
    if sides == "two":
        # Two-sided steps stand on both sides of zero: a small p lies at either end, a large one in the middle.
        return np.concatenate([-z, z[::-1]]), np.concatenate([index, index[-2::-1]])
    return (z[::-1], index[::-1].copy()) if expected_sign == 1 else (-z, index)


def _add_weights(prior: CumulativeDirichlet | PositivePrior, n: int) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    if isinstance(prior, PositivePrior):
        return add_standard_deviations("weight", prior, n, 0.5, zero_is_near=False)
    # A Dirichlet as a product of betas (stick breaking): the sampler gets independent ratios in place of a simplex.
    left = prior.alpha * np.arange(n, 0, -1.0)
    ratio = pm.Beta("ratio", left, np.full(n, prior.alpha), shape=n)
    return pt.cumprod(ratio)


def _inputs(data: SelectionData, exchange: bool) -> list[Any]:
    """The data as the kernel takes them; shared only where others shall need no new compilation, which takes longer."""
    from pytensor import shared

    y: Any = data.y
    step: Any = data.step
    if exchange:
        y = shared(data.y, name="y", shape=data.y.shape)
        step = shared(data.step, name="step", shape=data.step.shape)
    return [y, data.v, data.X, step, data.cuts, data.step_of]


@dataclass(frozen=True, slots=True, eq=False)
class _Report:
    """From draws of the sampled variables to the quantities shown."""

    data: SelectionData
    priors: SelectionPriors
    space: CoefficientSpace

    def quantities(self, values: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        beta = self.space.read(values)
        shown = {name: beta[..., j] for j, name in enumerate(self.data.names)}
        tau = np.zeros(beta.shape[:2])
        if isinstance(self.priors.tau, Fixed):
            tau += self.priors.tau.value
        else:
            tau = shown["tau"] = np.abs(values["tau"][..., 0])
        weight = values["weight"] if "weight" in values else np.asarray(np.cumprod(values["ratio"], axis=-1))
        shown |= {name: weight[..., j] for j, name in enumerate(self.data.weight_names)}
        if self.data.names == ("intercept",):
            shown["new"] = rng.normal(beta[..., 0], tau)
        return shown
