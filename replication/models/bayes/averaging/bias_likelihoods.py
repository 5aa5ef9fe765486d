"""Log likelihoods times priors of the averaged models, on grids of their parameters.

Effects are turned so that positive ones are favoured. The linear family (no bias, PET, PEESE) has axes tau and slope,
with the effect integrated out; the selection family has axes effect, tau and the ratios of neighbouring publication
weights, each between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.models.bayes.averaging.bias_models import CumulativeDirichlet, WeightFunction
from replication.models.bayes.exact.model import Axis
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.record import LOG_2PI
from replication.models.fit import Array

__all__ = ["Linear", "LinearGiven", "Selection", "linear_given", "publication_weights", "selection_log"]

# Elements worked on at once.
CHUNK = 100_000
# Effects whose selection probabilities are multiplied before a log is taken; each is at least SMALLEST.
GROUP = 8
SMALLEST = 1e-35


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """`y = mu + slope * regressor + error` with variance `v + tau^2`; `effect` None holds mu at 0."""

    y: Array
    v: Array
    regressor: Array
    effect: Normal | None
    tau: Axis
    slope: Axis


@dataclass(frozen=True, slots=True, eq=False)
class LinearGiven:
    """The effect given tau and slope: `mean, variance (C, a, b)`, and the log joint density `log (C, a, b)`."""

    mean: Array
    variance: Array
    log: Array


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Normal effects seen with probabilities that depend on their p values.

    `critical (k, J - 1)` are the estimates at the steps, `place (k,)` the interval each estimate lies in (0: the
    smallest p). `effect` None holds mu at 0; `center, unit` place the axis `mu = center + unit sinh(x)`.
    """

    y: Array
    v: Array
    critical: Array
    place: Array
    function: WeightFunction
    weights: CumulativeDirichlet
    effect: Normal | None
    tau: Axis
    center: float
    unit: float


def linear_given(model: Linear, nodes: tuple[Array, ...]) -> LinearGiven:
    """The linear family on grids `tau (C, a)` by `slope (C, b)`."""
    tau, slope = model.tau.sd(nodes[0]), model.slope.sd(nodes[1])
    w = 1.0 / (model.v + tau[:, :, None] ** 2)
    total, first, second = w.sum(-1), (w * model.y).sum(-1), (w * model.regressor).sum(-1)
    mean_y, mean_x = first / total, second / total
    ey, ex = model.y - mean_y[..., None], model.regressor - mean_x[..., None]
    yy, xy, xx = ((w * a * b).sum(-1)[:, :, None] for a, b in ((ey, ey), (ex, ey), (ex, ex)))
    b = slope[:, None, :]
    rss = np.maximum(yy - 2.0 * b * xy + b * b * xx, 0.0)
    center, A = mean_y[:, :, None] - b * mean_x[:, :, None], total[:, :, None]
    if model.effect is None:
        mean, variance, quad, scale = np.zeros_like(center), np.zeros_like(center), rss + A * center**2, 0.0
    else:
        p = model.effect.sd**-2.0
        variance = 1.0 / (A + p) + np.zeros_like(center)
        mean = variance * (A * center + p * model.effect.mean)
        quad = rss + A * p / (A + p) * (center - model.effect.mean) ** 2
        scale = np.log1p(A / p)
    logdet = -np.log(w).sum(-1)[:, :, None]
    log = -0.5 * (len(model.y) * LOG_2PI + logdet + scale + quad)
    prior = model.tau.log_prior(nodes[0])[:, :, None] + model.slope.log_prior(nodes[1])[:, None, :]
    return LinearGiven(mean, variance, log + prior)


def publication_weights(ratios: tuple[Array, ...]) -> Array:
    """Weights of every interval but the first `(C, J - 1, n_1, ..., n_(J-1))` from ratios of neighbours `(C, n_j)`."""
    d = len(ratios)
    steps = [r.reshape(len(r), *(r.shape[1] if a == i else 1 for a in range(d))) for i, r in enumerate(ratios)]
    full = np.broadcast_shapes(*(s.shape for s in steps))
    stacked = np.stack([np.broadcast_to(s, full) for s in steps], axis=1)
    return np.asarray(np.cumprod(stacked, axis=1), dtype=float)


def selection_log(model: Selection, nodes: tuple[Array, ...]) -> Array:
    """The selection family on grids of effect, tau and weight ratios: `(C, n_mu, n_tau, n_1, ..., n_(J-1))`."""
    inner = int(np.prod([n.shape[1] for n in nodes], dtype=int)) * len(model.y)
    step = max(1, CHUNK // inner)
    return np.concatenate(
        [_selection_log(model, tuple(n[i : i + step] for n in nodes)) for i in range(0, len(nodes[0]), step)]
    )


def _selection_log(model: Selection, nodes: tuple[Array, ...]) -> Array:
    x, ratios = nodes[0], nodes[2:]
    mu = model.center + model.unit * np.sinh(x) if model.effect is not None else np.zeros_like(x)
    variance = model.v + model.tau.sd(nodes[1])[:, :, None] ** 2
    gap = model.y - mu[:, :, None, None]
    normal = -0.5 * ((gap**2 / variance[:, None]).sum(-1) + np.log(variance).sum(-1)[:, None] + len(model.y) * LOG_2PI)
    omega = publication_weights(ratios)
    chosen = np.array([(model.place == j + 1).sum() for j in range(omega.shape[1])])
    seen = np.einsum("j,cj...->c...", chosen, np.log(omega))
    outer = normal + _log_effect(model, x)[:, :, None] + model.tau.log_prior(nodes[1])[:, None, :]
    chance = _log_chance(model, mu, np.sqrt(variance), omega)
    prior = seen + _log_ratios(model.weights.alpha, ratios)
    return np.asarray(outer.reshape(*outer.shape, *([1] * len(ratios))) - chance + prior[:, None, None])


def _log_effect(model: Selection, x: Array) -> Array:
    """Log prior density of x, where `mu = center + unit sinh(x)`; 0 where the effect is held at 0."""
    if model.effect is None:
        return np.zeros_like(x)
    size = np.abs(x)
    log_cosh = size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)
    return np.asarray(model.effect.logpdf(model.center + model.unit * np.sinh(x)) + np.log(model.unit) + log_cosh)


def _log_ratios(alpha: float, ratios: tuple[Array, ...]) -> Array:
    """Log prior density of the ratios: independent betas, by the stick-breaking of a Dirichlet."""
    d, total = len(ratios), np.zeros(())
    for i, r in enumerate(ratios):
        a = (d - i) * alpha
        log = special.xlogy(a - 1.0, r) + special.xlog1py(alpha - 1.0, -r) - special.betaln(a, alpha)
        total = total + log.reshape(len(r), *(r.shape[1] if j == i else 1 for j in range(d)))
    return np.asarray(total)


def _log_chance(model: Selection, mu: Array, sigma: Array, omega: Array) -> Array:
    """Sum over effects of the log probability to be seen `(C, n_mu, n_tau, n_1, ...)`.

    The probability is `omega_J + sum_j (omega_j - omega_(j+1)) P(p < step_j)`: all terms positive.
    """
    C, a, b, k = len(mu), mu.shape[1], sigma.shape[1], len(model.y)
    scale, shape = sigma[:, None, :, :, None], omega.shape[2:]
    at = mu[:, :, None, None, None]
    below = special.ndtr((at - model.critical) / scale)
    if model.function.sides == "two":
        below = below + special.ndtr((-at - model.critical) / scale)
    falls = -np.diff(np.concatenate([np.ones((C, 1, *shape)), omega], axis=1), axis=1).reshape(C, omega.shape[1], -1)
    chance = below.reshape(C, a * b * k, -1) @ falls + omega[:, -1].reshape(C, 1, -1)
    chance = np.maximum(chance, SMALLEST).reshape(C, a * b, k, -1)
    logs = [np.log(np.multiply.reduce(chance[:, :, i : i + GROUP], axis=2)) for i in range(0, k, GROUP)]
    return np.asarray(sum(logs)).reshape(C, a, b, *shape)
