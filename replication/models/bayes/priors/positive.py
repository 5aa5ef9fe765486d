"""Priors of a standard deviation tau >= 0, or of any quantity that cannot be negative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from replication.errors import ModelError
from replication.models.bayes.priors.record import LOG_2PI, Prior, check_parameters, log_cauchy_kernel, log_t
from replication.models.fit import Array
from replication.models.options import PriorScale
from replication.models.prepare import as_numbers

__all__ = [
    "Beta",
    "Exponential",
    "Fixed",
    "HalfCauchy",
    "HalfNormal",
    "HalfT",
    "InverseGamma",
    "LogNormal",
    "PositivePrior",
    "Power",
    "Table",
    "Uniform",
]


@dataclass(frozen=True, slots=True)
class PositivePrior(Prior):
    """A prior of a standard deviation tau; the density is stated on tau or, with `on="tau2"`, on tau squared.

    Subclasses give the density, both tails and the quantile of the stated quantity q; this class moves them to tau.
    """

    # A prior flat on tau is not flat on tau2: published priors name their scale, and so must these.
    on: PriorScale = field(default="tau", kw_only=True)

    def logpdf(self, tau: ArrayLike) -> Array:
        """Log density of tau; `-inf` outside the support."""
        t = np.asarray(tau, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # 2 tau is the Jacobian of tau2 = tau^2.
            value = self._log(t) if self.on == "tau" else self._log(t * t) + np.log(2.0 * t)
        # NaN comes from inf - inf at 0 and at infinity, where no density here has any mass.
        return np.where((t < 0) | np.isnan(value), -np.inf, value)

    def pdf(self, tau: ArrayLike) -> Array:
        """Density of tau."""
        return np.asarray(np.exp(self.logpdf(tau)))

    def cdf(self, tau: ArrayLike) -> Array:
        """P(tau <= `tau`)."""
        return self._tail(tau, upper=False)

    def sf(self, tau: ArrayLike) -> Array:
        """P(tau > `tau`), accurate far out."""
        return self._tail(tau, upper=True)

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles of tau."""
        self._need_proper("quantiles")
        q = np.asarray(self._ppf(np.asarray(probability, dtype=float)))
        return q if self.on == "tau" else np.sqrt(q)

    def isf(self, probability: ArrayLike) -> Array:
        """The tau that is exceeded with this probability, accurate where `ppf(1 - probability)` is not."""
        self._need_proper("quantiles")
        q = np.asarray(self._isf(np.asarray(probability, dtype=float)))
        return q if self.on == "tau" else np.sqrt(q)

    @property
    def tail_index(self) -> float:
        """Moments of tau of an order below this exist; infinite for light tails."""
        # A tail of tau2 like q^(-a) is one of tau like t^(-2a).
        return self._tail_index() * (1.0 if self.on == "tau" else 2.0)

    def support(self) -> tuple[float, float]:
        """The ends of the range where tau can lie."""
        low, high = self._support()
        return (low, high) if self.on == "tau" else (float(np.sqrt(low)), float(np.sqrt(high)))

    def knots(self) -> tuple[float, ...]:
        """Points inside the support where the density of tau has a kink or a jump."""
        return tuple(float(k if self.on == "tau" else np.sqrt(k)) for k in self._knots())

    def _tail(self, tau: ArrayLike, *, upper: bool) -> Array:
        self._need_proper("probabilities")
        t = np.maximum(np.asarray(tau, dtype=float), 0.0)
        q = t if self.on == "tau" else t * t
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self._sf(q) if upper else self._cdf(q))

    def _need_proper(self, what: str) -> None:
        if not self.proper:
            raise ModelError(f"{self} is improper: it has no {what}. Use a proper prior, such as HalfNormal.")

    def _log(self, q: Array) -> Array:
        raise NotImplementedError

    def _cdf(self, q: Array) -> Array:
        raise NotImplementedError

    def _sf(self, q: Array) -> Array:
        return np.asarray(1.0 - self._cdf(q))

    def _ppf(self, p: Array) -> Array:
        raise NotImplementedError

    def _isf(self, p: Array) -> Array:
        # Right where the support ends: 1 - p then loses nothing that matters. Priors with a tail have their own.
        return np.asarray(self._ppf(1.0 - p))

    def _tail_index(self) -> float:
        return float("inf")

    def _support(self) -> tuple[float, float]:
        return 0.0, float("inf")

    def _knots(self) -> tuple[float, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class HalfNormal(PositivePrior):
    """The positive half of a normal with sd `scale`; its median is 0.674 `scale`.

    >>> round(float(HalfNormal(0.3).ppf(0.5)), 4)
    0.2023
    """

    word: ClassVar[str] = "half-normal"
    scale: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale",))

    def _log(self, q: Array) -> Array:
        return np.asarray(0.5 * np.log(2.0 / np.pi) - np.log(self.scale) - 0.5 * (q / self.scale) ** 2)

    def _cdf(self, q: Array) -> Array:
        return np.asarray(special.erf(q / self.scale / np.sqrt(2.0)))

    def _sf(self, q: Array) -> Array:
        # 1 - erf is 0 beyond 8 sds; erfc goes on to 37.
        return np.asarray(special.erfc(q / self.scale / np.sqrt(2.0)))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.scale * np.sqrt(2.0) * special.erfinv(p))

    def _isf(self, p: Array) -> Array:
        return np.asarray(self.scale * np.sqrt(2.0) * special.erfcinv(p))


@dataclass(frozen=True, slots=True)
class HalfT(PositivePrior):
    """The positive half of Student's t with `df` degrees of freedom, times `scale` (Gelman 2006).

    >>> round(float(HalfT(1.0, df=1.0).ppf(0.5)), 6)
    1.0
    """

    word: ClassVar[str] = "half-t"
    scale: float
    df: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale", "df"))

    def _log(self, q: Array) -> Array:
        return np.asarray(np.log(2.0) + log_t(q / self.scale, self.df) - np.log(self.scale))

    def _cdf(self, q: Array) -> Array:
        return np.asarray(special.betainc(0.5, self.df / 2.0, 1.0 / (1.0 + self.df * (self.scale / q) ** 2)))

    def _sf(self, q: Array) -> Array:
        return np.asarray(special.betainc(self.df / 2.0, 0.5, 1.0 / (1.0 + (q / self.scale) ** 2 / self.df)))

    def _ppf(self, p: Array) -> Array:
        # Each inverse loses its digits at one end, so the one near its own 0 is used.
        tail = special.betaincinv(self.df / 2.0, 0.5, 1.0 - p)
        head = special.betaincinv(0.5, self.df / 2.0, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(head < 0.5, head / (1.0 - head), (1.0 - tail) / tail)
        return np.asarray(self.scale * np.sqrt(self.df * ratio))

    def _isf(self, p: Array) -> Array:
        tail = special.betaincinv(self.df / 2.0, 0.5, p)
        with np.errstate(divide="ignore"):
            # beyond the median the tail is the small number with all its digits
            return np.where(p < 0.5, self.scale * np.sqrt(self.df * (1.0 - tail) / tail), self._ppf(1.0 - p))

    def _tail_index(self) -> float:
        return self.df


@dataclass(frozen=True, slots=True)
class HalfCauchy(PositivePrior):
    """The positive half of a Cauchy; its median is `scale`, its mean does not exist.

    >>> float(HalfCauchy(0.3).cdf(0.3))
    0.5
    """

    word: ClassVar[str] = "half-Cauchy"
    scale: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale",))

    def _log(self, q: Array) -> Array:
        return np.asarray(np.log(2.0 / (np.pi * self.scale)) + log_cauchy_kernel(q / self.scale))

    def _cdf(self, q: Array) -> Array:
        return np.asarray(2.0 / np.pi * np.arctan(q / self.scale))

    def _sf(self, q: Array) -> Array:
        # arctan2 with the arguments turned is the complement, without a subtraction from 1.
        return np.asarray(2.0 / np.pi * np.arctan2(self.scale, q))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.scale / np.tan(0.5 * np.pi * (1.0 - p)))

    def _isf(self, p: Array) -> Array:
        return np.asarray(self.scale / np.tan(0.5 * np.pi * p))

    def _tail_index(self) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Exponential(PositivePrior):
    """Exponential with mean `scale` (rate `1 / scale`).

    >>> round(float(Exponential(0.5).sf(0.5)), 4)
    0.3679
    """

    word: ClassVar[str] = "exponential"
    scale: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("scale",))

    def _log(self, q: Array) -> Array:
        return np.asarray(-np.log(self.scale) - q / self.scale)

    def _cdf(self, q: Array) -> Array:
        # expm1 and log1p keep the digits near 0 that 1 - exp and log(1 - p) lose.
        return np.asarray(-np.expm1(-q / self.scale))

    def _sf(self, q: Array) -> Array:
        return np.asarray(np.exp(-q / self.scale))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(-self.scale * np.log1p(-p))

    def _isf(self, p: Array) -> Array:
        return np.asarray(-self.scale * np.log(p))


@dataclass(frozen=True, slots=True)
class Uniform(PositivePrior):
    """Uniform between `low` and `high`.

    >>> float(Uniform(0.0, 2.0).cdf(0.5))
    0.25
    """

    word: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("high",))
        if not 0 <= self.low < self.high:
            raise ModelError(f"Uniform needs 0 <= low < high; found low={self.low:g}, high={self.high:g}.")

    def _log(self, q: Array) -> Array:
        return np.where((q >= self.low) & (q <= self.high), -np.log(self.high - self.low), -np.inf)

    def _cdf(self, q: Array) -> Array:
        return np.clip((q - self.low) / (self.high - self.low), 0.0, 1.0)

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.low + p * (self.high - self.low))

    def _support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Beta(PositivePrior):
    """Beta with parameters `a` and `b`, of a share between 0 and 1; uniform where both are 1.

    >>> round(float(Beta(2.0, 1.0).ppf(0.25)), 12)
    0.5
    """

    word: ClassVar[str] = "beta"
    a: float
    b: float

    def __post_init__(self) -> None:
        check_parameters(self, positive=("a", "b"))

    def _log(self, q: Array) -> Array:
        inside = np.clip(q, 0.0, 1.0)
        log = special.xlogy(self.a - 1.0, inside) + special.xlog1py(self.b - 1.0, -inside)
        return np.where((q >= 0) & (q <= 1), log - special.betaln(self.a, self.b), -np.inf)

    def _cdf(self, q: Array) -> Array:
        return np.asarray(special.betainc(self.a, self.b, np.clip(q, 0.0, 1.0)))

    def _sf(self, q: Array) -> Array:
        return np.asarray(special.betaincc(self.a, self.b, np.clip(q, 0.0, 1.0)))

    def _ppf(self, p: Array) -> Array:
        # The power is the quantile itself where b is 1, many times quicker than the general inverse.
        return np.asarray(p ** (1.0 / self.a) if self.b == 1.0 else special.betaincinv(self.a, self.b, p))

    def _isf(self, p: Array) -> Array:
        return np.asarray(self._ppf(1.0 - p) if self.b == 1.0 else special.betainccinv(self.a, self.b, p))

    def _support(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, slots=True)
class InverseGamma(PositivePrior):
    """Inverse gamma with density proportional to `q^(-shape-1) exp(-scale / q)`; say whether q is tau or tau2.

    >>> round(float(InverseGamma(1.0, 0.15, on="tau").cdf(0.15)), 4)
    0.3679
    """

    word: ClassVar[str] = "inverse-gamma"
    shape: float
    scale: float
    on: PriorScale = field(kw_only=True)

    def __post_init__(self) -> None:
        check_parameters(self, positive=("shape", "scale"))

    def _log(self, q: Array) -> Array:
        a, b = self.shape, self.scale
        return np.asarray(a * np.log(b) - special.gammaln(a) - (a + 1.0) * np.log(q) - b / q)

    def _cdf(self, q: Array) -> Array:
        # 1 / q is gamma, so its upper tail is the lower one of q.
        return np.asarray(special.gammaincc(self.shape, self.scale / q))

    def _sf(self, q: Array) -> Array:
        return np.asarray(special.gammainc(self.shape, self.scale / q))

    def _ppf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            # 1 / q is exponential for a shape of 1, the default of averages: a log, not a search
            if self.shape == 1.0:
                return np.asarray(self.scale / -np.log(p))
            return np.asarray(self.scale / special.gammainccinv(self.shape, p))

    def _isf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            if self.shape == 1.0:
                return np.asarray(self.scale / -np.log1p(-p))
            return np.asarray(self.scale / special.gammaincinv(self.shape, p))

    def _tail_index(self) -> float:
        return self.shape


@dataclass(frozen=True, slots=True)
class LogNormal(PositivePrior):
    """`log q` normal with mean `meanlog` and sd `sdlog`; say whether q is tau or tau2 (Turner et al. 2012: tau2).

    >>> round(float(LogNormal(-2.0, 1.0, on="tau2").ppf(0.5)), 4)
    0.3679
    """

    word: ClassVar[str] = "log-normal"
    meanlog: float
    sdlog: float
    on: PriorScale = field(kw_only=True)

    def __post_init__(self) -> None:
        check_parameters(self, positive=("sdlog",), finite=("meanlog",))

    def _log(self, q: Array) -> Array:
        z = self._z(q)
        return np.where(q > 0, -0.5 * (LOG_2PI + z * z) - np.log(self.sdlog) - np.log(q), -np.inf)

    def _cdf(self, q: Array) -> Array:
        return np.asarray(special.ndtr(self._z(q)))

    def _sf(self, q: Array) -> Array:
        return np.asarray(special.ndtr(-self._z(q)))

    def _z(self, q: Array) -> Array:
        return np.asarray((np.log(q) - self.meanlog) / self.sdlog)

    def _ppf(self, p: Array) -> Array:
        return np.asarray(np.exp(self.meanlog + self.sdlog * special.ndtri(p)))

    def _isf(self, p: Array) -> Array:
        return np.asarray(np.exp(self.meanlog - self.sdlog * special.ndtri(p)))


@dataclass(frozen=True, slots=True)
class Table(PositivePrior):
    """A table of densities at rising points `x`, joined by straight lines and scaled to area 1; 0 outside.

    >>> float(Table((0.0, 1.0, 2.0), (0.0, 7.0, 0.0)).cdf(1.0))
    0.5
    """

    word: ClassVar[str] = "table"
    x: tuple[float, ...]
    density: tuple[float, ...]

    def __post_init__(self) -> None:
        x, d = as_numbers(self.x, "the table's x"), as_numbers(self.density, "the table's density")
        if x.ndim != 1 or x.shape != d.shape or len(x) < 2 or not np.all(np.isfinite(x) & np.isfinite(d)):
            raise ModelError("Table needs two or more finite points x and as many finite densities.")
        if x[0] < 0 or np.any(np.diff(x) <= 0) or np.any(d < 0) or not np.any(d > 0):
            raise ModelError("Table needs points x that rise from 0 or above, and densities >= 0 that are not all 0.")
        object.__setattr__(self, "x", tuple(x.tolist()))
        # By the largest first: densities near the smallest float would make the area underflow.
        d = d / d.max()
        object.__setattr__(self, "density", tuple((d / np.trapezoid(d, x)).tolist()))

    def _log(self, q: Array) -> Array:
        return np.log(np.interp(q, self.x, self.density, left=0.0, right=0.0))

    def _steps(self) -> Array:
        x, d = np.asarray(self.x), np.asarray(self.density)
        return np.concatenate([[0.0], np.cumsum(np.diff(x) * (d[1:] + d[:-1]) / 2.0)])

    def _cdf(self, q: Array) -> Array:
        x, d, below = np.asarray(self.x), np.asarray(self.density), self._steps()
        inside = np.clip(q, x[0], x[-1])
        i = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, len(x) - 2)
        return np.asarray(below[i] + (inside - x[i]) * (d[i] + np.interp(inside, x, d)) / 2.0)

    def _ppf(self, p: Array) -> Array:
        x, d, below = np.asarray(self.x), np.asarray(self.density), self._steps()
        i = np.clip(np.searchsorted(below, p, side="right") - 1, 0, len(x) - 2)
        rest, slope = p - below[i], (d[i + 1] - d[i]) / (x[i + 1] - x[i])
        # The area under a straight line is quadratic; this form of its root holds for a slope of 0 and loses no digits.
        root = np.sqrt(np.maximum(d[i] ** 2 + 2.0 * slope * rest, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(rest > 0, 2.0 * rest / (d[i] + root), 0.0)
        return np.asarray(x[i] + step)

    def _support(self) -> tuple[float, float]:
        # The line from a point with density to a neighbour without still has mass, so the support reaches one point on.
        used = np.flatnonzero(self.density)
        return self.x[max(int(used[0]) - 1, 0)], self.x[min(int(used[-1]) + 1, len(self.x) - 1)]

    def _knots(self) -> tuple[float, ...]:
        low, high = self._support()
        return tuple(x for x in self.x if low < x < high)


@dataclass(frozen=True, slots=True)
class Power(PositivePrior):
    """The improper density `q^exponent`: 0 is flat on q; -1 (flat on log q) never gives a proper posterior.

    >>> Power(0.0).proper
    False
    """

    word: ClassVar[str] = "power"
    proper: ClassVar[bool] = False
    exponent: float

    def __post_init__(self) -> None:
        check_parameters(self, finite=("exponent",))

    def _log(self, q: Array) -> Array:
        # xlogy: 0 log 0 is 0, so the flat prior has density 1 at tau = 0 too.
        return np.asarray(special.xlogy(self.exponent, q))

    def _tail_index(self) -> float:
        # As if q^exponent were the tail of a proper density: what the likelihood must add is then seen in one number.
        return -(self.exponent + 1.0)


@dataclass(frozen=True, slots=True)
class Fixed(PositivePrior):
    """All mass on one known value; `Fixed(0.0)` is the model without this variation.

    >>> float(Fixed(0.2).cdf(0.1))
    0.0
    """

    word: ClassVar[str] = "fixed"
    value: float

    def __post_init__(self) -> None:
        check_parameters(self, finite=("value",))
        if self.value < 0:
            raise ModelError(f"Fixed needs a value >= 0; found {self.value:g}.")

    def _log(self, q: Array) -> Array:
        return np.where(q == self.value, np.inf, -np.inf)

    def _cdf(self, q: Array) -> Array:
        return np.where(q >= self.value, 1.0, 0.0)

    def _ppf(self, p: Array) -> Array:
        return np.full(p.shape, self.value)

    def _support(self) -> tuple[float, float]:
        return self.value, self.value
