"""Prior records as the sampler meets them: the same densities the exact models integrate, in units that sample well.

The sampler moves numbers `u` on the whole line. The value of a parameter is a `Link` of its u, and the log density of u
is that of the prior at the value plus the log of the link's slope; constants are left out, as no draw depends on them.

A standard deviation is a hard thing to sample. On the log scale 0 is infinitely far off, and a light right tail is a
wall (`exp(-exp(2x))`). Two ways around, both exact changes of variable:

1. Where 0 is possible, half-normal, half-t and half-Cauchy are sampled with a sign, as the whole normal, t or Cauchy: 0
   is then a point like any other. The likelihoods here hold for either sign; reports take the absolute value. Measured
   on the main model: three times the effective draws of the log scale.
2. Other light tails are sampled as `log(1 + exp u)`: logarithmic near 0, straight far out.

Coefficients are sampled in units of their own uncertainty: `beta = centre + root u`. The sampler then sees numbers near
0 with sds near 1, whatever the scale of data and moderators. The map is linear, so the posterior is unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.bayes.priors.coefficient import Cauchy, CoefficientPrior, Flat, Normal, StudentT
from replication.models.bayes.priors.positive import (
    Exponential,
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    LogNormal,
    PositivePrior,
    Table,
    Uniform,
)
from replication.models.bayes.priors.record import PriorRecord
from replication.models.fit import Array

__all__ = [
    "Block",
    "CoefficientSpace",
    "Density",
    "Link",
    "Spread",
    "beta_ratios",
    "check_eta",
    "coefficient_block",
    "coefficient_priors",
    "coefficient_space",
    "correlation_partials",
    "lkj_record",
    "prior_at",
    "sd_block",
    "spread_beyond_error",
    "standard_normals",
    "unsigned_correlations",
]

Codes = NDArray[np.int64]

# Links and densities by number, as kernels know no strings.
LINEAR, SINH, EXP, SOFTPLUS, INVERSE_SOFTPLUS, LOGIT, KNOWN = range(7)
FLAT, NORMAL, STUDENT_T, EXPONENTIAL, INVERSE_GAMMA, LOG_NORMAL, TABLE = range(7)


def prior_at(
    u: Array, links: Codes, densities: Codes, numbers: Array, table: Array, centre: Array, root: Array
) -> tuple[Array, Array, float, Array]:
    """Values and slopes `(n,)` of the links at `u (d,)`, the log prior density of u, and its gradient `(n,)`.

    The first p are coefficients, whose values are `centre + root u`: their part of the gradient is by the value and not
    by u, so that `root'` need be applied only once, to it and the likelihood's together. A row of `numbers (n, 8)`
    holds four numbers of the link, three of the density, and whether both are those of the square of the value;
    `table (2, m)` points and densities of all tables, one after the other. Known values, of which u has no number, have
    a slope and a gradient of 0.
    """
    n, p, at = links.shape[0], centre.shape[0], 0
    values, slopes, log, gradient = np.zeros(n), np.zeros(n), 0.0, np.zeros(n)
    for i in range(n):
        if links[i] == KNOWN:
            values[i] = numbers[i, 0]
            continue
        if i < p:
            x, slope, stretched, by_u = centre[i], 1.0, 0.0, 0.0
            for j in range(i + 1):
                x += root[i, j] * u[j]
        else:
            x, slope, stretched, by_u = linked(u[at], links[i], numbers[i])
        at += 1
        density, by_x = density_at(x, densities[i], numbers[i], table)
        log += density + stretched
        gradient[i] = by_x * slope + by_u
        values[i], slopes[i] = x, slope
        if numbers[i, 7] > 0.0:
            values[i] = math.sqrt(x)
            slopes[i] = slope / (2.0 * values[i])
    return values, slopes, log, gradient


def linked(u: float, link: int, numbers: Array) -> tuple[float, float, float, float]:
    """The value at `u`, its slope, the log of the slope, and the derivative of that log.

    To the log of the logit's slope those of a beta density are added, at numbers 2 and 3: apart they would be lost in
    rounding near the ends.
    """
    unit = numbers[0]
    # exp of the negative size alone: nothing here overflows but what is meant to, values far out of range.
    small = math.exp(-abs(u))
    upper = 1.0 / (1.0 + small) if u >= 0.0 else small / (1.0 + small)
    if link == SINH:
        return unit * math.sinh(u), unit * math.cosh(u), abs(u) + math.log1p(small * small), math.tanh(u)
    if link == EXP:
        return unit * math.exp(u), unit * math.exp(u), u, 1.0
    if link == LOGIT:
        low, width, a, b = numbers[0], numbers[1], numbers[2], numbers[3]
        log_upper, log_lower = min(u, 0.0) - math.log1p(small), min(-u, 0.0) - math.log1p(small)
        slope = width * upper * (1.0 - upper)
        return low + width * upper, slope, a * log_upper + b * log_lower, a * (1.0 - upper) - b * upper
    log_upper = min(u, 0.0) - math.log1p(small)
    soft = max(u, 0.0) + math.log1p(small)
    if link == SOFTPLUS:
        return unit * soft, unit * upper, log_upper, 1.0 - upper
    if link == INVERSE_SOFTPLUS:
        value = unit / soft
        return value, -value * upper / soft, log_upper - 2.0 * math.log(soft), 1.0 - upper - 2.0 * upper / soft
    return unit * u, unit, 0.0, 0.0


def density_at(x: float, density: int, numbers: Array, table: Array) -> tuple[float, float]:
    """The log of a prior's density at `x`, up to a constant, and its derivative."""
    a, b, c = numbers[4], numbers[5], numbers[6]
    log, slope = 0.0, 0.0
    if density == NORMAL:
        z = (x - a) / b
        log, slope = -0.5 * z * z, -z / b
    elif density == STUDENT_T:
        z = (x - a) / b
        log, slope = -0.5 * (c + 1.0) * math.log1p(z * z / c), -(c + 1.0) * z / (b * (c + z * z))
    elif density == EXPONENTIAL:
        log, slope = -x / b, -1.0 / b
    elif density == INVERSE_GAMMA:
        log, slope = -(a + 1.0) * math.log(x) - b / x, (b / x - a - 1.0) / x
    elif density == LOG_NORMAL:
        z = (math.log(x) - a) / b
        log, slope = -0.5 * z * z - math.log(x), -(z / b + 1.0) / x
    elif density == TABLE:
        at = int(a)
        while at < int(b) and table[0, at + 1] <= x:
            at += 1
        steepness = (table[1, at + 1] - table[1, at]) / (table[0, at + 1] - table[0, at])
        height = table[1, at] + steepness * (x - table[0, at])
        log, slope = math.log(height), steepness / height
    return log, slope


@dataclass(frozen=True, slots=True)
class Link:
    """How the value of a parameter follows from the number the sampler moves: the kind of function, and its numbers."""

    kind: int = LINEAR
    numbers: tuple[float, ...] = (1.0,)

    def inverse(self, value: float) -> float:
        """The u of a value inside the range.

        >>> round(Link(SOFTPLUS, (2.0,)).inverse(2.0 * math.log(2.0)), 12)
        0.0
        """
        if self.kind == LOGIT:
            low, width, *_ = self.numbers
            return math.log(value - low) - math.log(low + width - value)
        x = value / self.numbers[0]
        if self.kind == EXP:
            return math.log(x)
        if self.kind in (LINEAR, SINH):
            return x if self.kind == LINEAR else math.asinh(x)
        # Held where exp and log of the softplus keep their digits.
        soft = min(max(x if self.kind == SOFTPLUS else 1.0 / x, 1e-6), 1e6)
        return soft + math.log(-math.expm1(-soft))


@dataclass(frozen=True, slots=True)
class Density:
    """The density of a prior: its kind and its numbers, or a table of it."""

    kind: int = FLAT
    numbers: tuple[float, ...] = (0.0, 1.0)
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Parameters of one name that a likelihood takes together: link, density and start (a number u) of each.

    Where `squared`, link and density are those of the square. Of known values only links are given, and no start.
    """

    name: str
    links: tuple[Link, ...]
    densities: tuple[Density, ...]
    start: tuple[float, ...] = ()
    squared: bool = False

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.links)


def coefficient_priors(priors: CoefficientPrior | Sequence[CoefficientPrior], p: int) -> tuple[CoefficientPrior, ...]:
    """One prior for each of p coefficients: the same for all, or as many as given."""
    if isinstance(priors, CoefficientPrior):
        return (priors,) * p
    if len(priors) != p:
        raise ModelError(f"{len(priors)} coefficient priors for {p} coefficients; pass one for all, or one each.")
    return tuple(priors)


def coefficient_block(space: CoefficientSpace, priors: Sequence[CoefficientPrior]) -> Block:
    """The coefficients, called `beta`, one prior each; they start at the centre of their space."""
    p = len(space.centre)
    return Block("beta", (Link(),) * p, tuple(map(_density_of_coefficient, priors)), (0.0,) * p)


def _density_of_coefficient(prior: CoefficientPrior) -> Density:
    match prior:
        case Normal(mean=m, sd=s):
            return Density(NORMAL, (m, s))
        case StudentT(mean=m, scale=s, df=df):
            return Density(STUDENT_T, (m, s, df))
        case Cauchy(mean=m, scale=s):
            return Density(STUDENT_T, (m, s, 1.0))
        case Flat():
            return Density()
    raise ModelError(f"{prior} cannot be sampled; use Normal, StudentT, Cauchy or Flat.")


def sd_block(name: str, prior: PositivePrior, size: int, start: float, *, zero_is_near: bool) -> Block:
    """`size` standard deviations with one prior, started near `start`; known where the prior is `Fixed`.

    The value is the sd, up to its sign, also where the prior is stated on its square.
    """
    if isinstance(prior, Fixed):
        return Block(name, (Link(KNOWN, (prior.value,)),) * size, (Density(),) * size)
    squared = prior.on != "tau"
    if zero_is_near and not squared and isinstance(prior, HalfNormal | HalfT | HalfCauchy):
        link, density, first = _signed_link(prior, start), _whole(prior), start
    else:
        # Stated on tau2, tau2 is what has the link: no Jacobian of the square to get wrong.
        link, density = _positive(prior)
        first = _inside(prior, start) ** (2 if squared else 1)
    return Block(name, (link,) * size, (density,) * size, (link.inverse(first),) * size, squared)


def _signed_link(prior: HalfNormal | HalfT | HalfCauchy, start: float) -> Link:
    """In straight units for a normal whose scale is not far beyond the data's; else `unit sinh u`.

    The latter is straight within the unit and logarithmic beyond it, where a heavy tail becomes an exponential one.
    """
    # A normal far wider than the data would leave all of the posterior near 0 of its unit.
    straight = isinstance(prior, HalfNormal) and prior.scale <= 20.0 * start
    return Link(LINEAR, (prior.scale,)) if straight else Link(SINH, (min(prior.scale, start),))


def _whole(prior: HalfNormal | HalfT | HalfCauchy) -> Density:
    """The whole distribution whose half the prior is; on the positive side both differ by a constant."""
    match prior:
        case HalfNormal(scale=s):
            return Density(NORMAL, (0.0, s))
        case HalfT(scale=s, df=df):
            return Density(STUDENT_T, (0.0, s, df))
        case HalfCauchy(scale=s):
            return Density(STUDENT_T, (0.0, s, 1.0))


def _positive(prior: PositivePrior) -> tuple[Link, Density]:
    """Link and density of the quantity a prior is stated on, tau or its square."""
    match prior:
        case HalfNormal(scale=s):
            # In units of its own: log(1 + exp u) bends at 1.
            return Link(SOFTPLUS, (s,)), _whole(prior)
        case Exponential(scale=s):
            return Link(SOFTPLUS, (s,)), Density(EXPONENTIAL, (0.0, s))
        case InverseGamma(shape=a, scale=b):
            # An inverse gamma has a heavy right tail; its inverse, a gamma, has a light one.
            return Link(INVERSE_SOFTPLUS, (b,)), Density(INVERSE_GAMMA, (a, b))
        case HalfT(scale=s) | HalfCauchy(scale=s):
            return Link(EXP, (s,)), _whole(prior)
        case LogNormal(meanlog=m, sdlog=s):
            return Link(EXP, (math.exp(m),)), Density(LOG_NORMAL, (m, s))
    return _bounded(prior)


def _bounded(prior: PositivePrior) -> tuple[Link, Density]:
    """The same of a quantity with two ends."""
    match prior:
        case Uniform(low=low, high=high):
            return Link(LOGIT, (low, high - low, 1.0, 1.0)), Density()
        case Table(x=x, density=d):
            # Outside its support log 0 would stop the sampler.
            used = np.flatnonzero(d)
            low, high = x[max(int(used[0]) - 1, 0)], x[min(int(used[-1]) + 1, len(x) - 1)]
            return Link(LOGIT, (low, high - low, 1.0, 1.0)), Density(TABLE, (), prior)
    raise ModelError(f"{prior} cannot be sampled; use a proper named distribution, or a Table of its density.")


def correlation_partials(name: str, shapes: Array) -> Block:
    """Partial correlations in (-1, 1) with the beta `shapes` that make the matrix LKJ; none for a single variable."""
    links = tuple(Link(LOGIT, (-1.0, 2.0, a, a)) for a in shapes.tolist())
    return Block(name, links, (Density(),) * len(links), (0.0,) * len(links))


def beta_ratios(name: str, a: Array, b: Array) -> Block:
    """Numbers in (0, 1), each with a beta prior of shapes `a` and `b`, started at their means."""
    links = tuple(Link(LOGIT, (0.0, 1.0, *shapes)) for shapes in zip(a.tolist(), b.tolist(), strict=True))
    start = tuple(math.log(first) - math.log(second) for *_, first, second in (link.numbers for link in links))
    return Block(name, links, (Density(),) * len(links), start)


def standard_normals(name: str, size: int) -> Block:
    """Independent standard normal numbers."""
    return Block(name, (Link(),) * size, (Density(NORMAL, (0.0, 1.0)),) * size, (0.0,) * size)


def check_eta(eta: float) -> None:
    """Raise a `ModelError` unless `eta` can be the parameter of an LKJ prior."""
    if not (np.isfinite(eta) and eta > 0):
        raise ModelError(f"eta={eta!r} of the LKJ prior must be above 0; 1 is flat, 2 leans to no correlation.")


def lkj_record(eta: float) -> PriorRecord:
    """The LKJ prior of a correlation matrix as plain data."""
    reason = "1 is flat over correlation matrices; more leans to no correlation"
    return PriorRecord("LKJ", {"eta": eta}, "correlation", True, reason, "Lewandowski, Kurowicka & Joe (2009)")


def unsigned_correlations(sds: Array, rho: Array) -> Array:
    """The correlations `(..., c, c)` that go with the absolute values of `sds (..., c)`.

    The covariance `sd_i sd_j rho_ij` is the same when a sign moves from an sd to its correlations.

    >>> unsigned_correlations(np.array([-1.0, 2.0]), np.array([[1.0, 0.5], [0.5, 1.0]])).tolist()
    [[1.0, -0.5], [-0.5, 1.0]]
    """
    sign = np.where(sds < 0.0, -1.0, 1.0)
    return np.asarray(rho * sign[..., :, None] * sign[..., None, :])


def _inside(prior: PositivePrior, start: float) -> float:
    """A start for tau inside the support, away from its ends."""
    low, high = prior.support()
    if np.isfinite(high):
        # At an end the transform is infinite and the first step would be too.
        return float(np.clip(start, low + 0.05 * (high - low), high - 0.05 * (high - low)))
    return max(start, low + np.finfo(float).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientSpace:
    """A point `centre (p,)` and a lower root `root (p, p)` of a rough posterior covariance."""

    centre: Array
    root: Array


def coefficient_space(y: Array, variance: Array, X: Array, priors: Sequence[CoefficientPrior]) -> CoefficientSpace:
    """Weighted least squares with `variance (k,)` (sampling error and heterogeneity), and normal priors as data."""
    weighted = X / variance[:, None]
    precision = weighted.T @ X
    target = weighted.T @ y
    # A normal prior is one more observation of its coefficient; heavy tails have no such form and are left out.
    for j, prior in enumerate(priors):
        if isinstance(prior, Normal):
            precision[j, j] += prior.sd**-2
            target[j] += prior.mean * prior.sd**-2
    covariance = np.linalg.inv(precision)
    return CoefficientSpace(covariance @ target, np.asarray(np.linalg.cholesky((covariance + covariance.T) / 2.0)))


@dataclass(frozen=True, slots=True)
class Spread:
    """A rough sd of true effects, and whether a model without any is anywhere near possible."""

    sd: float
    zero_is_near: bool


def spread_beyond_error(y: Array, v: Array, X: Array) -> Spread:
    """Method of moments on least-squares residuals; `sd` is never below half of the sampling errors.

    Zero is near unless the sd is over ten times the sampling error of all but as many effects as there are
    coefficients: there the log density at sd 0 is lower by hundreds, a wall that a sampler must not run into.
    """
    k, p = X.shape
    residual = y - X @ np.linalg.lstsq(X, y)[0]
    excess = float(residual @ residual) / max(k - p, 1) - float(v.mean())
    # Often the moment estimate is below 0; half a sampling error is a unit the sampler can work in.
    sd = float(np.sqrt(max(excess, 0.25 * float(v.mean()), np.finfo(float).tiny)))
    return Spread(sd, bool(sd**2 <= 100.0 * np.sort(v)[min(p, k - 1)]))
