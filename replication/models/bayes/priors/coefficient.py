"""Priors of a pooled effect or a slope: anywhere on the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bayes.priors.record import LOG_2PI, Prior, check_parameters, log_cauchy_kernel, log_t
from replication.models.fit import Array

__all__ = ["Cauchy", "CoefficientPrior", "Flat", "Normal", "StudentT"]


@dataclass(frozen=True, slots=True)
class CoefficientPrior(Prior):
    """A prior of a pooled effect or a slope."""

    def logpdf(self, x: ArrayLike) -> Array:
        """Log density at `x`."""
        raise NotImplementedError

    def pdf(self, x: ArrayLike) -> Array:
        """Density at `x`."""
        return np.asarray(np.exp(self.logpdf(x)))

    def cdf(self, x: ArrayLike) -> Array:
        """P(coefficient <= `x`)."""
        raise NotImplementedError

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Normal(CoefficientPrior):
    """Normal with `mean` and `sd`.

    >>> round(float(Normal(0.0, 1.0).ppf(0.975)), 4)
    1.96
    """

    word: ClassVar[str] = "normal"
    mean: float
    sd: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("sd",), finite=("mean",))

    def logpdf(self, x: ArrayLike) -> Array:
        """Log density at `x`."""
        z = (np.asarray(x, dtype=float) - self.mean) / self.sd
        return np.asarray(-0.5 * (LOG_2PI + z * z) - np.log(self.sd))

    def cdf(self, x: ArrayLike) -> Array:
        """P(coefficient <= `x`)."""
        return np.asarray(special.ndtr((np.asarray(x, dtype=float) - self.mean) / self.sd))

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles."""
        return np.asarray(self.mean + self.sd * special.ndtri(np.asarray(probability, dtype=float)))


@dataclass(frozen=True, slots=True)
class StudentT(CoefficientPrior):
    """Student's t with `df` degrees of freedom, centre `mean` and `scale`.

    >>> round(float(StudentT(0.0, 1.0, df=1.0).cdf(1.0)), 6)
    0.75
    """

    word: ClassVar[str] = "t"
    mean: float
    scale: float
    df: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale", "df"), finite=("mean",))

    def logpdf(self, x: ArrayLike) -> Array:
        """Log density at `x`."""
        z = (np.asarray(x, dtype=float) - self.mean) / self.scale
        # -log(scale) is the Jacobian of the step from z to the coefficient.
        return np.asarray(log_t(z, self.df) - np.log(self.scale))

    def cdf(self, x: ArrayLike) -> Array:
        """P(coefficient <= `x`)."""
        return np.asarray(special.stdtr(self.df, (np.asarray(x, dtype=float) - self.mean) / self.scale))

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles."""
        return np.asarray(self.mean + self.scale * special.stdtrit(self.df, np.asarray(probability, dtype=float)))


@dataclass(frozen=True, slots=True)
class Cauchy(CoefficientPrior):
    """Cauchy with centre `mean` (its median; it has no mean) and `scale`.

    >>> round(float(Cauchy(0.0, 2.0).ppf(0.75)), 6)
    2.0
    """

    word: ClassVar[str] = "Cauchy"
    mean: float
    scale: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale",), finite=("mean",))

    def logpdf(self, x: ArrayLike) -> Array:
        """Log density at `x`."""
        z = (np.asarray(x, dtype=float) - self.mean) / self.scale
        return np.asarray(log_cauchy_kernel(z) - np.log(np.pi * self.scale))

    def cdf(self, x: ArrayLike) -> Array:
        """P(coefficient <= `x`)."""
        # arctan2 keeps its digits far out on the left, where 1/2 + arctan(z) / pi would round to 0.
        return np.asarray(np.arctan2(self.scale, self.mean - np.asarray(x, dtype=float)) / np.pi)

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles."""
        return np.asarray(self.mean + self.scale * np.tan(np.pi * (np.asarray(probability, dtype=float) - 0.5)))


@dataclass(frozen=True, slots=True)
class Flat(CoefficientPrior):
    """The improper density 1 everywhere: no Bayes factor and no marginal likelihood can be had with it.

    >>> float(Flat().logpdf(3.0))
    0.0
    """

    word: ClassVar[str] = "flat"
    # The constant 1 is arbitrary: any number from a ratio of marginal likelihoods would be too, so callers ask for
    # this.
    proper: ClassVar[bool] = False

    def logpdf(self, x: ArrayLike) -> Array:
        """Log density at `x`: 0."""
        return np.zeros_like(np.asarray(x, dtype=float))

    def cdf(self, x: ArrayLike) -> Array:
        """Not defined for an improper prior."""
        raise ModelError("Flat is improper: it has no probabilities. Use a Normal with a wide sd.")

    def ppf(self, probability: ArrayLike) -> Array:
        """Not defined for an improper prior."""
        raise ModelError("Flat is improper: it has no quantiles. Use a Normal with a wide sd.")
