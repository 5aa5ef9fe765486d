"""Where priors come from: a default set for correlations, a grid around it, and published results turned into priors.

The recipe for a published pool is arithmetic a reader can redo: move the estimate and its interval to the z scale, take
the standard error from the width of the interval, add the heterogeneity when the target is one setting rather than
the average. Every step is kept as a sentence beside the prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from replication.effects.correlation import to_fisher_z
from replication.errors import ModelError
from replication.models.bayes.priors.coefficient import Cauchy, CoefficientPrior, Normal
from replication.models.bayes.priors.positive import (
    Exponential,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    PositivePrior,
    Uniform,
)
from replication.models.fit import Array
from replication.models.options import PriorTarget, PublishedScale, check_choice

__all__ = [
    "InformedPrior",
    "InformedTau",
    "PriorSet",
    "correlation_priors",
    "prior_from_published",
    "sensitivity_priors",
    "tau_prior_from_published",
]


@dataclass(frozen=True, slots=True)
class PriorSet:
    """The priors of one analysis: pooled effect, slopes, and the sds of true effects.

    `tau` is the sd between effects in a two-level model; a three-level model splits it into `between` samples and
    `within` samples.
    """

    name: str
    mean: CoefficientPrior
    slope: CoefficientPrior
    tau: PositivePrior
    between: PositivePrior
    within: PositivePrior


@dataclass(frozen=True, slots=True)
class InformedPrior:
    """A normal prior made from a published pool, with every step of its making."""

    prior: Normal
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InformedTau:
    """A heterogeneity prior made from a published tau, with every step of its making."""

    prior: PositivePrior
    steps: tuple[str, ...]


def correlation_priors() -> PriorSet:
    """The default priors for Fisher's z of correlations: wide enough to move nowhere, narrow enough to be sane.

    Returns
    -------
    PriorSet
        Normal(0, 1) for the mean, Normal(0, 0.5) for slopes, half-normal(0.3) for every sd of true effects.

    >>> s = correlation_priors().tau
    >>> [round(float(q), 2) for q in s.ppf([0.5, 0.95])]
    [0.2, 0.59]
    """
    tau = HalfNormal(
        0.3,
        reason="half of the mass below tau = .20, 95 % below .59: at tau = .3 around a mean of r = .3, 95 % of true "
        "correlations lie between -.27 and .72, so larger values would leave little for a pool to say",
        source="own choice; the grid of sensitivity_priors shows what hangs on it",
    )
    mean = Normal(
        0.0,
        1.0,
        reason="95 % of the mass between r = -.96 and .96: only nearly perfect correlations are held unlikely",
        source="own choice; the mean of the prior used with bayesmeta in the pinned reference results",
    )
    slope = Normal(
        0.0,
        0.5,
        reason="a step of one unit of the moderator changes z by less than 1 with 95 % probability",
        source="own choice; scale a moderator so that one unit is a large step",
    )
    return PriorSet("correlations", mean, slope, tau, between=tau, within=tau)


def sensitivity_priors() -> tuple[PriorSet, ...]:
    """The default set and what every report shows beside it: narrow, wide, heavy-tailed, flat in a range."""
    base = correlation_priors()
    taus: dict[str, PositivePrior] = {
        "narrow_tau": HalfNormal(0.1, reason="believes in small heterogeneity: 95 % below .20"),
        "wide_tau": HalfNormal(1.0, reason="hardly any opinion about tau: 95 % below 1.96"),
        "heavy_tailed_tau": HalfCauchy(0.3, reason="median .3, lets data overrule it at any size"),
        "exponential_tau": Exponential(0.2, reason="most mass near 0, mean .2"),
        "uniform_tau": Uniform(0.0, 2.0, reason="no preference between 0 and 2"),
    }
    means: dict[str, CoefficientPrior] = {
        "sceptical_mean": Normal(0.0, 0.1, reason="expects |r| below .2 with 95 % probability"),
        "heavy_tailed_mean": Cauchy(0.0, 0.3, reason="half of the mass within |z| < .3, tails that yield to data"),
    }
    varied = [replace(base, name=name, tau=t, between=t, within=t) for name, t in taus.items()]
    return (base, *varied, *(replace(base, name=name, mean=mean) for name, mean in means.items()))


def prior_from_published(
    estimate: float,
    low: float,
    high: float,
    *,
    level: float = 0.95,
    scale: PublishedScale = "r",
    target: PriorTarget = "mean",
    tau: float = 0.0,
    weight: float = 1.0,
    source: str = "",
) -> InformedPrior:
    """Turn a published estimate and its interval into a normal prior.

    Parameters
    ----------
    estimate, low, high
        The published value and its confidence or credible interval, on the published scale.
    level
        Level of that interval.
    scale
        `"r"`: correlations, moved to Fisher's z; `"identity"`: used as they are.
    target
        `"mean"`: a prior of the same average; `"setting"`: of the mean of another setting, which differs from the
        average by the published heterogeneity.
    tau
        Published sd of true effects, on the scale of the prior; used by `target="setting"`.
    weight
        Between 0 and 1: how much of the published evidence is believed (a power prior; 0.5 doubles the variance).
    source
        Where the numbers were read.

    Returns
    -------
    InformedPrior
        The prior on the z scale (or as published) and the steps.

    Raises
    ------
    ModelError
        When the numbers are not an estimate inside its interval, or a correlation is not between -1 and 1.

    Notes
    -----
    Power prior: Ibrahim and Chen (2000).

    >>> informed = prior_from_published(-0.14, -0.17, -0.11)
    >>> round(informed.prior.mean, 4), round(informed.prior.sd, 4)
    (-0.1409, 0.0156)
    """
    if not low < high or not low <= estimate <= high:
        raise ModelError(f"expected low <= estimate <= high with low < high; found {estimate:g} [{low:g}, {high:g}].")
    _check_recipe(level, weight, tau)
    check_choice(scale, PublishedScale, "scale")
    check_choice(target, PriorTarget, "target")
    # Intervals of correlations are symmetric on Fisher's z, not on r: widths are read off there.
    centre, lower, upper = (float(x) for x in _to_prior_scale(np.array([estimate, low, high]), scale))
    crit = float(special.ndtri(0.5 + level / 2.0))
    se = (upper - lower) / (2.0 * crit)
    # The published se is of the average; one more setting differs from that average by tau as well.
    spread = tau if target == "setting" else 0.0
    sd = float(np.sqrt((se**2 + spread**2) / weight))
    steps = [f"published: {estimate:g} [{low:g}, {high:g}], {100 * level:g} % interval"]
    if scale == "r":
        steps.append(f"Fisher's z: {centre:.4f} [{lower:.4f}, {upper:.4f}]")
    steps.append(f"standard error: ({upper:.4f} - {lower:.4f}) / (2 x {crit:.4f}) = {se:.4f}")
    # The normal prior is symmetric whatever the interval was, so a reader should see where that bends the source.
    steps.extend(_asymmetry(centre, lower, upper))
    if spread > 0:
        steps.append(f"another setting: variance {se:.4f}^2 + tau^2 = {se:.4f}^2 + {tau:g}^2")
    if weight < 1:
        steps.append(f"believed to {weight:g}: variance divided by {weight:g}")
    steps.append(f"prior: normal with mean {centre:.4f} and sd {sd:.4f}")
    return InformedPrior(Normal(centre, sd, reason="; ".join(steps), source=source), tuple(steps))


def tau_prior_from_published(
    tau: float, low: float = float("nan"), high: float = float("nan"), *, level: float = 0.95, source: str = ""
) -> InformedTau:
    """Turn a published heterogeneity (sd of true effects, on the prior's scale) into a prior of tau.

    With an interval whose ends are above 0: a log-normal whose central interval it is. Without: a half-normal whose
    median is the published value.

    >>> round(tau_prior_from_published(0.2).prior.scale, 4)
    0.2965
    """
    if not tau > 0:
        raise ModelError(f"a published tau must be above 0 to make a prior; found {tau:g}. Use HalfNormal instead.")
    if np.isnan(low) and np.isnan(high):
        # No interval, no idea of its spread: a half-normal has one parameter, and one number can set it.
        half = HalfNormal(1.0)
        scale = tau / float(half.ppf(0.5))
        said = (f"published tau = {tau:g} without interval", f"half-normal with that median: scale {scale:.4f}")
        return InformedTau(HalfNormal(scale, reason="; ".join(said), source=source), said)
    if not 0 < low < high:
        raise ModelError(f"an interval of tau needs 0 < low < high; found [{low:g}, {high:g}]. Else leave it out.")
    crit = float(special.ndtri(0.5 + level / 2.0))
    # The interval alone sets the prior; the published tau need not be its geometric middle.
    centre, spread = float(np.log(low * high) / 2.0), float(np.log(high / low) / (2.0 * crit))
    said = (
        f"published tau = {tau:g} [{low:g}, {high:g}], {100 * level:g} % interval",
        f"log tau normal with mean {centre:.4f} and sd {spread:.4f}, so that the interval is its central one",
    )
    return InformedTau(LogNormal(centre, spread, on="tau", reason="; ".join(said), source=source), said)


def _to_prior_scale(values: Array, scale: PublishedScale) -> Array:
    if scale == "identity":
        return values
    if np.any(np.abs(values) >= 1):
        raise ModelError(f"correlations must lie between -1 and 1; found {values.tolist()}. Or say scale='identity'.")
    return to_fisher_z(values)


def _asymmetry(centre: float, lower: float, upper: float) -> list[str]:
    """A sentence when the estimate is far from the middle: rounding, or an interval made on another scale."""
    shift = (centre - (lower + upper) / 2.0) / ((upper - lower) / 2.0)
    # Printed to two digits, an interval is off the middle by some per cent through rounding alone.
    if abs(shift) < 0.1:
        return []
    return [f"the estimate lies {100 * abs(shift):.0f} % of the half-width off the middle; the width alone is used"]


def _check_recipe(level: float, weight: float, tau: float) -> None:
    if not 0 < level < 1 or not 0 < weight <= 1 or not tau >= 0:
        raise ModelError(f"expected 0 < level < 1, 0 < weight <= 1, tau >= 0; found {level:g}, {weight:g}, {tau:g}.")
