"""Prior records as PyMC variables: the same densities the exact models integrate, in units that sample well.

A standard deviation is a hard thing to sample. On the log scale 0 is infinitely far off, and a light right tail is a
wall (`exp(-exp(2x))`). Two ways around, both exact changes of variable:

1. Where 0 is possible, half-normal, half-t and half-Cauchy are sampled with a sign, as the whole normal, t or Cauchy: 0
   is then a point like any other. The likelihoods here hold for either sign; reports take the absolute value. Measured
   on the main model: three times the effective draws of the log scale.
2. Other light tails are sampled as `log(1 + exp x)`: logarithmic near 0, straight far out.

Coefficients sampled in units of their own uncertainty: `beta = centre + root raw`.

The sampler then sees numbers near 0 with sds near 1, whatever the scale of data and moderators. The map is linear, so
the posterior is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

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
    "CoefficientSpace",
    "Spread",
    "add_coefficient_priors",
    "add_standard_deviations",
    "check_eta",
    "coefficient_priors",
    "coefficient_space",
    "correlation_partials",
    "lkj_record",
    "spread_beyond_error",
    "unsigned_correlations",
]


def coefficient_priors(priors: CoefficientPrior | Sequence[CoefficientPrior], p: int) -> tuple[CoefficientPrior, ...]:
    """One prior for each of p coefficients: the same for all, or as many as given."""
    if isinstance(priors, CoefficientPrior):
        return (priors,) * p
    if len(priors) != p:
        raise ModelError(f"{len(priors)} coefficient priors for {p} coefficients; pass one for all, or one each.")
    return tuple(priors)


def add_standard_deviations(name: str, prior: PositivePrior, size: int, start: float, *, zero_is_near: bool) -> Any:
    """`size` standard deviations with one prior, started near `start`; a `Fixed` prior gives constants.

    The variable `name` is the sd, up to its sign, also where the prior is stated on its square.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if isinstance(prior, Fixed):
        return pt.as_tensor(np.full(size, prior.value))
    if prior.on == "tau":
        if zero_is_near and isinstance(prior, HalfNormal | HalfT | HalfCauchy):
            return _signed(name, prior, size, start)
        return _quantity(name, prior, size, _inside(prior, start))
    # The prior is stated on tau2, so tau2 is the variable: no Jacobian to get wrong.
    squared = _quantity(f"{name}_squared", prior, size, _inside(prior, start) ** 2)
    return pm.Deterministic(name, pt.sqrt(squared))


def add_coefficient_priors(beta: Any, priors: Sequence[CoefficientPrior]) -> None:
    """The log prior density of the coefficients `beta (p,)`, one prior each; flat ones add nothing."""
    import pymc as pm

    kinds = {type(prior) for prior in priors} - {Flat}
    # Sorted, because sets have no order: the graph, and with it the draws, must be the same each time.
    for kind in sorted(kinds, key=lambda k: k.__name__):
        place = [j for j, prior in enumerate(priors) if type(prior) is kind]
        part = beta if len(place) == len(priors) else beta[place]
        density = pm.logp(_coefficients([priors[j] for j in place]), part)
        pm.Potential(f"prior_{kind.__name__.lower()}", density)


def correlation_partials(name: str, shapes: Array) -> Any:
    """Partial correlations in (-1, 1) with the beta `shapes` that make the matrix LKJ; none for a single variable."""
    import pymc as pm
    import pytensor.tensor as pt

    if len(shapes) == 0:
        return pt.as_tensor(np.zeros(0))
    return 2.0 * pm.Beta(name, shapes, shapes, shape=len(shapes)) - 1.0


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


def _quantity(name: str, prior: PositivePrior, n: int, start: float) -> Any:
    """The quantity the prior is stated on, tau or its square."""
    import pymc as pm

    options: dict[str, Any] = {"shape": n, "initval": np.full(n, start)}
    match prior:
        case HalfNormal(scale=s):
            # Scale 1 and a factor: log(1 + exp x) bends at 1, which should be the prior's own unit.
            quantity = pm.Deterministic(name, s * _light(pm.HalfNormal, f"{name}_unit", n, start / s, sigma=1.0))
        case Exponential(scale=s):
            quantity = pm.Deterministic(name, s * _light(pm.Exponential, f"{name}_unit", n, start / s, lam=1.0))
        case InverseGamma(shape=a, scale=b):
            # An inverse gamma has a heavy right tail; its inverse, a gamma, has a light one.
            quantity = pm.Deterministic(name, b / _light(pm.Gamma, f"{name}_unit", n, b / start, alpha=a, beta=1.0))
        case HalfT(scale=s, df=df):
            quantity = pm.HalfStudentT(name, nu=df, sigma=s, **options)
        case HalfCauchy(scale=s):
            quantity = pm.HalfCauchy(name, s, **options)
        case LogNormal(meanlog=m, sdlog=s):
            quantity = pm.LogNormal(name, m, s, **options)
        case Uniform(low=low, high=high):
            quantity = pm.Uniform(name, low, high, **options)
        case Table():
            quantity = _tabulated(name, prior, options)
        case _:
            raise ModelError(f"{prior} cannot be sampled; use a proper named distribution, or a Table of its density.")
    return quantity


def _signed(name: str, prior: HalfNormal | HalfT | HalfCauchy, n: int, start: float) -> Any:
    """The whole distribution whose half the prior is.

    In straight units for a normal whose scale is not far beyond the data's; else as `unit sinh x`: straight within the
    unit, logarithmic beyond it, where a heavy tail becomes an exponential one.
    """
    import pymc as pm

    s = prior.scale
    # A normal far wider than the data would leave all of the posterior near 0 of its unit.
    straight = isinstance(prior, HalfNormal) and s <= 20.0 * start
    transform = _stretched(s) if straight else _hyperbolic(min(s, start))
    options: dict[str, Any] = {"shape": n, "initval": np.full(n, start), "default_transform": transform}
    match prior:
        case HalfNormal():
            return pm.Normal(name, 0.0, s, **options)
        case HalfT(df=df):
            return pm.StudentT(name, nu=df, mu=0.0, sigma=s, **options)
        case HalfCauchy():
            return pm.Cauchy(name, 0.0, s, **options)


def _light(distribution: Any, name: str, n: int, start: float, **parameters: float) -> Any:
    """A positive variable of scale 1 with a light right tail, sampled as `log(1 + exp x)`."""
    from pymc.distributions.transforms import log_exp_m1

    middle = np.full(n, np.clip(start, 1e-6, 1e6))
    return distribution(name, shape=n, initval=middle, default_transform=log_exp_m1, **parameters)


@lru_cache(maxsize=1)
def _transforms() -> tuple[Any, Any]:
    """The two changes of variable as PyMC wants them: classes whose base cannot be imported before PyMC is."""
    import pytensor.tensor as pt
    from pymc.logprob.transforms import Transform

    class Stretched(Transform):  # type: ignore[misc]
        """The line in units of the prior, so that the sampler meets steps of one size."""

        name = "stretched"

        def __init__(self, unit: float) -> None:
            self.unit = unit

        def forward(self, value: Any, *inputs: Any) -> Any:
            return value / self.unit

        def backward(self, value: Any, *inputs: Any) -> Any:
            return self.unit * value

        def log_jac_det(self, value: Any, *inputs: Any) -> Any:
            return pt.zeros_like(value) + np.log(self.unit)

    class Hyperbolic(Stretched):
        """The line with far tails drawn in: `asinh` of the value in units of the prior."""

        name = "hyperbolic"

        def forward(self, value: Any, *inputs: Any) -> Any:
            return pt.arcsinh(value / self.unit)

        def backward(self, value: Any, *inputs: Any) -> Any:
            return self.unit * pt.sinh(value)

        def log_jac_det(self, value: Any, *inputs: Any) -> Any:
            # log(unit cosh x), written so that neither end overflows.
            return value + pt.softplus(-2.0 * value) + np.log(self.unit / 2.0)

    return Stretched, Hyperbolic


def _stretched(unit: float) -> Any:
    return _transforms()[0](unit)


def _hyperbolic(unit: float) -> Any:
    return _transforms()[1](unit)


def _tabulated(name: str, prior: Table, options: dict[str, Any]) -> Any:
    """Densities joined by straight lines, as a correction of the uniform on their range."""
    import pymc as pm
    import pytensor.tensor as pt

    x, d = np.array(prior.x), np.array(prior.density)
    # A uniform on the support, bent by the table: outside it log 0 would stop the sampler.
    used = np.flatnonzero(d)
    low, high = max(int(used[0]) - 1, 0), min(int(used[-1]) + 1, len(x) - 1)
    quantity = pm.Uniform(name, x[low], x[high], **options)
    i = pt.clip(pt.searchsorted(x, quantity, side="right") - 1, low, high - 1)
    slope = pt.as_tensor(np.diff(d) / np.diff(x))
    pm.Potential(f"{name}_table", pt.log(pt.as_tensor(d)[i] + slope[i] * (quantity - pt.as_tensor(x)[i])))
    return quantity


def _coefficients(priors: Sequence[CoefficientPrior]) -> Any:
    """The PyMC distribution of coefficients that have priors of one kind."""
    import pymc as pm

    centre = np.array([getattr(p, "mean", 0.0) for p in priors])
    first = priors[0]
    if isinstance(first, Normal):
        return pm.Normal.dist(centre, np.array([p.sd for p in priors if isinstance(p, Normal)]))
    scale = np.array([getattr(p, "scale", 1.0) for p in priors])
    if isinstance(first, StudentT):
        df = np.array([p.df for p in priors if isinstance(p, StudentT)])
        return pm.StudentT.dist(nu=df, mu=centre, sigma=scale)
    if isinstance(first, Cauchy):
        return pm.Cauchy.dist(centre, scale)
    raise ModelError(f"{first} cannot be sampled; use Normal, StudentT, Cauchy or Flat.")


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientSpace:
    """A point `centre (p,)` and a lower root `root (p, p)` of a rough posterior covariance, or its sds alone."""

    centre: Array
    root: Array

    def add(self, priors: Sequence[CoefficientPrior]) -> Any:
        """The coefficients `(p,)` as a PyMC variable with their priors."""
        import pymc as pm
        import pytensor.tensor as pt

        # Flat in the sampler's units: the priors are stated on beta and added there, and the map's Jacobian is
        # constant.
        raw = pm.Flat("raw", shape=len(self.centre))
        scale = np.diag(self.root)
        if np.array_equal(self.root, np.diag(scale)):  # one mean per cell: no product of matrices to compile
            beta = self.centre + scale * raw
        else:
            beta = self.centre + (pt.as_tensor(self.root) * raw).sum(axis=1)
        add_coefficient_priors(beta, priors)
        return beta

    def read(self, values: Mapping[str, Array]) -> Array:
        """Draws of the coefficients `(chains, draws, p)`."""
        return np.asarray(self.centre + values["raw"] @ self.root.T)


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
    return CoefficientSpace(covariance @ target, _units((covariance + covariance.T) / 2.0))


def _units(covariance: Array) -> Array:
    """A lower root `(p, p)` of the covariance; the sds alone where the coefficients hardly correlate."""
    sd = np.sqrt(np.diag(covariance))
    # No mix of coefficients varies by less than half of what it would uncorrelated (two of them: up to .5). The sampler
    # then gains nothing by the root (four cells and a moderator, .21: the same effective sizes without), but compiling
    # its product of matrices takes a tenth of the time of a model.
    if np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0] > 0.5:
        return np.diag(sd)
    return np.asarray(np.linalg.cholesky(covariance))


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
