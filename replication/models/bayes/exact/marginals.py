"""One-dimensional posteriors: a mixture of normals (effects), or polynomial panels (standard deviations).

Both answer the same questions (`Marginal`); what a distribution does not have (a mean under tails too heavy) is NaN,
with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy import special

from replication.models.bayes.exact.quadrature import legendre_rule
from replication.models.fit import Array
from replication.models.readable import Readable

__all__ = ["Blend", "Marginal", "NormalMixture", "PanelDensity", "Point", "panel_density"]

# Normals taken at once: arrays that stay in the processor's cache are twice as fast.
CHUNK = 50_000
FEW = 8_000
# A step towards a quantile this short, beside the narrowest normal, is the last: its fourth power is below rounding.
CLOSE = 1e-4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Marginal(Readable):
    """A one-dimensional distribution. `mean` or `sd` is NaN where it does not exist, and `reason` says why."""

    mean: float
    sd: float
    reason: str = ""
    support: tuple[float, float] = field(default=(-np.inf, np.inf))

    def pdf(self, x: ArrayLike) -> Array:
        """Density at `x`."""
        raise NotImplementedError

    def slope(self, x: ArrayLike) -> Array:
        """Derivative of the density at `x`."""
        raise NotImplementedError

    def cdf(self, x: ArrayLike) -> Array:
        """P(X <= `x`)."""
        raise NotImplementedError

    def sf(self, x: ArrayLike) -> Array:
        """P(X > `x`), accurate far out."""
        raise NotImplementedError

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Point(Marginal):
    """All mass on `mean`, where a quantity is known or fixed: no density, intervals of width 0."""

    def pdf(self, x: ArrayLike) -> Array:
        """Infinite at the point, 0 elsewhere."""
        return np.where(np.asarray(x, dtype=float) == self.mean, np.inf, 0.0)

    def slope(self, x: ArrayLike) -> Array:
        """Not defined: NaN."""
        return np.full(np.shape(x), np.nan)

    def cdf(self, x: ArrayLike) -> Array:
        """A step from 0 to 1."""
        return np.where(np.asarray(x, dtype=float) >= self.mean, 1.0, 0.0)

    def sf(self, x: ArrayLike) -> Array:
        """A step from 1 to 0."""
        return 1.0 - self.cdf(x)

    def ppf(self, probability: ArrayLike) -> Array:
        """The point, whatever the probability."""
        return np.full(np.shape(probability), self.mean)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class NormalMixture(Marginal):
    """Normals with `centers (N,)` and `sds (N,)`, mixed with `weights (N,)` that sum to 1."""

    weights: Array
    centers: Array
    sds: Array

    def pdf(self, x: ArrayLike) -> Array:
        """Density at `x`."""
        return self._sum(x, lambda z: np.exp(-0.5 * z * z), self.weights / self.sds / np.sqrt(2.0 * np.pi))

    def slope(self, x: ArrayLike) -> Array:
        """Derivative of the density at `x`."""
        return self._sum(x, lambda z: -z * np.exp(-0.5 * z * z), self.weights / self.sds**2 / np.sqrt(2.0 * np.pi))

    def cdf(self, x: ArrayLike) -> Array:
        """P(X <= `x`)."""
        return self._sum(x, special.ndtr, self.weights)

    def sf(self, x: ArrayLike) -> Array:
        """P(X > `x`), accurate far out."""
        return self._sum(x, lambda z: special.ndtr(-z), self.weights)

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles, by Householder steps kept inside the range of the components' own quantiles.

        The smaller tail is matched, so a quantile far out keeps its digits.
        """
        p = np.atleast_1d(np.asarray(probability, dtype=float))
        tail, side = np.minimum(p, 1.0 - p), np.where(p > 0.5, -1.0, 1.0)
        # the quantile of a mixture lies between those of its parts: a bracket for free
        own = self.centers + special.ndtri(p)[:, None] * self.sds
        # their mean is a start near enough, and spares the sorting that their median would take
        low, high, x = own.min(axis=1), own.max(axis=1), own @ self.weights
        todo, close = np.arange(len(p)), CLOSE * float(self.sds.min())
        for turn in range(200):
            here = x[todo]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                mass, density, slope, bend = self._tail(here, side[todo])
                gap = side[todo] * (mass - tail[todo])
                low[todo], high[todo] = np.where(gap <= 0, here, low[todo]), np.where(gap >= 0, here, high[todo])
                newton = gap / density
                # Householder's correction where it is small, by the second and third derivatives; elsewhere Halley's by
                # the second alone, kept from turning the step round far out
                turned, bent = newton * slope / density, newton**2 * bend / density
                step = np.where(
                    np.abs(turned) + np.abs(bent) < 0.5,
                    newton * (1.0 - 0.5 * turned) / (1.0 - turned + bent / 6.0),
                    newton / np.maximum(1.0 - 0.5 * turned, 0.5),
                )
            open_ = (np.abs(gap) > 1e-12 * tail[todo]) & (high[todo] > low[todo])
            new = here - step
            # A step out of the bracket is replaced by a bisection, and so is every second one where a handful did not
            # suffice (between narrow normals far apart steps are short): no start can fail.
            within = (new > low[todo]) & (new < high[todo]) & (turn < 6 or turn % 2 == 0)
            x[todo] = np.where(open_, np.where(within, new, (low[todo] + high[todo]) / 2.0), here)
            todo = todo[open_ & ~(within & (np.abs(newton) < close))]
            if not len(todo):
                break
        return x.reshape(np.shape(probability))

    def _tail(self, x: Array, side: Array) -> tuple[Array, Array, Array, Array]:
        """At each `x (Q,)`: the mass below it (side 1) or above it (side -1), the density, its slope and curvature."""
        found = np.empty((4, len(x)))
        rates = 1.0 / self.sds
        heights = self.weights * rates / np.sqrt(2.0 * np.pi)
        # all quantiles of few normals at once; for many, as many as stay in the cache
        step = max(1, FEW // len(rates))
        for i in range(0, len(x), step):
            here = slice(i, i + step)
            z = (x[here, None] - self.centers) * rates
            found[0, here] = special.ndtr(side[here, None] * z) @ self.weights
            squares = z * z
            curve = np.exp(-0.5 * squares) * heights
            found[1, here] = curve.sum(axis=1)
            curve *= rates
            found[2, here] = -np.einsum("qn,qn->q", curve, z)
            found[3, here] = ((squares - 1.0) * curve) @ rates
        return found[0], found[1], found[2], found[3]

    def _sum(self, x: ArrayLike, shape: Callable[[Array], Array], amounts: Array) -> Array:
        points = np.asarray(x, dtype=float)
        flat = points.ravel()
        step = max(1, CHUNK // max(1, len(self.centers)))
        parts = [
            np.einsum("qn,n->q", shape((flat[i : i + step, None] - self.centers) / self.sds), amounts)
            for i in range(0, len(flat), step)
        ]
        return np.asarray(np.concatenate(parts) if parts else flat).reshape(points.shape)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Blend(Marginal):
    """A mixture of distributions.

    Distributions `parts` mixed with `weights (N,)`, all mirrored where `sign` is -1. Points are jumps of the cdf; `pdf`
    and `slope` are those of the continuous rest.
    """

    weights: Array
    parts: tuple[Marginal, ...]
    sign: float = 1.0

    @property
    def probability_of_points(self) -> float:
        """Mass of the parts that are points."""
        return float(sum(w for w, part in zip(self.weights, self.parts, strict=True) if isinstance(part, Point)))

    def pdf(self, x: ArrayLike) -> Array:
        """Density of the continuous part at `x`."""
        return self._sum(lambda part, at: np.zeros_like(at) if isinstance(part, Point) else part.pdf(at), x)

    def slope(self, x: ArrayLike) -> Array:
        """Derivative of the density of the continuous part at `x`."""
        return self.sign * self._sum(
            lambda part, at: np.zeros_like(at) if isinstance(part, Point) else part.slope(at), x
        )

    def cdf(self, x: ArrayLike) -> Array:
        """P(X <= `x`)."""
        return self._sum(lambda part, at: part.cdf(at) if self.sign > 0 else _from(part, at), x)

    def sf(self, x: ArrayLike) -> Array:
        """P(X > `x`)."""
        return self._sum(lambda part, at: part.sf(at) if self.sign > 0 else 1.0 - _from(part, at), x)

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles: the smallest x with P(X <= x) at least the probability, by bisection."""
        p = np.asarray(probability, dtype=float)
        inner = p if self.sign > 0 else 1.0 - p
        ends = self.sign * np.stack([part.ppf(inner) for part in self.parts])
        low, high = ends.min(axis=0), ends.max(axis=0)
        low = low - 1e-12 * np.maximum(high - low, np.abs(low))
        # 60 halvings leave 1e-18 of the bracket: bisection, since a jump of the cdf has no derivative
        for _ in range(60):
            middle = (low + high) / 2.0
            reached = self.cdf(middle) >= p
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return self._at_points(high, p)

    def _at_points(self, x: Array, p: Array) -> Array:
        """Quantiles that lie on a point, moved onto it."""
        for place in {self.sign * part.mean for part in self.parts if isinstance(part, Point)}:
            here = [isinstance(q, Point) and self.sign * q.mean == place for q in self.parts]
            mass, reached = self.weights[here].sum(), self.cdf(place)
            x = np.where((p <= reached) & (p > reached - mass), place, x)
        return np.asarray(x)

    def _sum(self, value: Callable[[Marginal, Array], Array], x: ArrayLike) -> Array:
        at = self.sign * np.asarray(x, dtype=float)
        return np.asarray(sum(w * value(part, at) for w, part in zip(self.weights, self.parts, strict=True)))


def _from(part: Marginal, x: Array) -> Array:
    """P(X >= `x`), points included."""
    return np.where(x <= part.mean, 1.0, 0.0) if isinstance(part, Point) else part.sf(x)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class PanelDensity(Marginal):
    """A density of `tau = shift + scale sinh(x)`: on panels `[low, high]` of x, its Legendre `series (P, n)`.

    `integral (P, n + 1)` is the series of its integral, `below (P,)` and `above (P,)` the probabilities on either side.
    """

    shift: float
    scale: float
    low: Array
    high: Array
    series: Array
    integral: Array
    below: Array
    above: Array

    def pdf(self, x: ArrayLike) -> Array:
        """Density of tau."""
        at, i, t, inside = self._locate(x)
        return np.where(inside, _evaluate(self.series, i, t), 0.0) / (self.scale * np.cosh(at))

    def slope(self, x: ArrayLike) -> Array:
        """Derivative of the density of tau."""
        at, i, t, inside = self._locate(x)
        f, rise = (
            _evaluate(self.series, i, t),
            _evaluate(np.asarray(legendre.legder(self.series, axis=1), dtype=float), i, t),
        )
        steep = rise * 2.0 / (self.high - self.low)[i] - f * np.tanh(at)
        return np.where(inside, steep, 0.0) / (self.scale * np.cosh(at)) ** 2

    def cdf(self, x: ArrayLike) -> Array:
        """P(tau <= `x`)."""
        at, i, t, _ = self._locate(x)
        return np.where(at <= self.low[0], 0.0, np.clip(self.below[i] + self._area(i, t), 0.0, 1.0))

    def sf(self, x: ArrayLike) -> Array:
        """P(tau > `x`), accurate far out."""
        _, i, t, _ = self._locate(x)
        return np.clip(self.above[i] + self._area(i, np.ones_like(t)) - self._area(i, t), 0.0, 1.0)

    def ppf(self, probability: ArrayLike) -> Array:
        """Quantiles, by bisection and Newton steps on the panel that holds them."""
        p = np.asarray(probability, dtype=float)
        i = np.clip(np.searchsorted(self.below, p, side="right") - 1, 0, len(self.low) - 1)
        half = (self.high - self.low)[i] / 2.0
        low, high = np.full(p.shape, -1.0), np.ones(p.shape)
        t = np.zeros(p.shape)
        for _ in range(100):
            gap = self.below[i] + self._area(i, t) - p
            low, high = np.where(gap <= 0, t, low), np.where(gap >= 0, t, high)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                new = t - gap / (_evaluate(self.series, i, t) * half)
            new = np.where((new > low) & (new < high), new, (low + high) / 2.0)
            moved, t = np.abs(new - t), new
            if np.all((moved <= 1e-14) | (high <= low)):
                break
        found = self.shift + self.scale * np.sinh(self.low[i] + half * (t + 1.0))
        return np.where((p >= 0.0) & (p <= 1.0), found, np.nan)

    def _area(self, i: NDArray[np.intp], t: Array) -> Array:
        """Probability on panel `i` left of `t` in [-1, 1]."""
        return _evaluate(self.integral, i, t) * (self.high - self.low)[i] / 2.0

    def _locate(self, tau: ArrayLike) -> tuple[Array, NDArray[np.intp], Array, NDArray[np.bool_]]:
        """`x` of tau, its panel, its place in [-1, 1] and whether it lies on a panel at all."""
        at = np.arcsinh((np.asarray(tau, dtype=float) - self.shift) / self.scale)
        i = np.clip(np.searchsorted(self.low, at, side="right") - 1, 0, len(self.low) - 1)
        t = (2.0 * at - self.low[i] - self.high[i]) / (self.high[i] - self.low[i])
        return at, i, np.clip(t, -1.0, 1.0), np.abs(t) <= 1.0


def _evaluate(series: Array, i: NDArray[np.intp], t: Array) -> Array:
    """Legendre series of panel `i` at `t`, elementwise."""
    terms = legendre.legvander(t, series.shape[1] - 1) * series[i]
    return np.asarray(terms.sum(axis=-1)).reshape(np.broadcast_shapes(np.shape(i), np.shape(t)))


def panel_density(
    low: Array,
    high: Array,
    series: Array,
    scale: float,
    *,
    mean: float,
    sd: float,
    reason: str = "",
    shift: float = 0.0,
) -> PanelDensity:
    """Add up densities given on intervals that may overlap: `low, high (C,)` of x, Legendre `series (C, n)`.

    The result has the panels between all the ends, scaled to area 1.
    """
    # cells of several dimensions overlap once projected on one axis; their ends cut them into panels
    edges = np.unique(np.concatenate([low, high]))
    values = _resample(edges, low, high, series)
    used = values.any(axis=1)
    left, right = edges[:-1][used], edges[1:][used]
    pieces = values[used] @ legendre_rule(series.shape[1]).coefficients.T
    mass = pieces[:, 0] * (right - left)
    total = mass.sum()
    below = np.concatenate([[0.0], np.cumsum(mass)[:-1]]) / total
    above = np.concatenate([np.cumsum(mass[::-1])[::-1][1:], [0.0]]) / total
    pieces = pieces / total
    ends = (float(shift + scale * np.sinh(left[0])), float(shift + scale * np.sinh(right[-1])))
    return PanelDensity(
        mean=mean, sd=sd, reason=reason, support=ends, shift=shift, scale=scale, low=left, high=right, series=pieces,
        integral=legendre.legint(pieces, lbnd=-1, axis=1),
        below=below, above=above,
    )  # fmt: skip


def _resample(edges: Array, low: Array, high: Array, series: Array) -> Array:
    """Sum of all series at the Gauss-Legendre nodes of every interval between neighbouring edges `(U, n)`."""
    n = series.shape[1]
    nodes = legendre_rule(n).nodes
    first, last = np.searchsorted(edges, low), np.searchsorted(edges, high)
    count = last - first
    cell = np.repeat(np.arange(len(low)), count)
    piece = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count) + first[cell]
    x = (edges[piece] + edges[piece + 1])[:, None] / 2.0 + (edges[piece + 1] - edges[piece])[:, None] / 2.0 * nodes
    t = (2.0 * x - (low + high)[cell, None]) / (high - low)[cell, None]
    values = np.zeros((len(edges) - 1, n))
    np.add.at(values, piece, _evaluate(series, cell[:, None], t))
    return values
