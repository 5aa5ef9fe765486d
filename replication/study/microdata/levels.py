"""What lies within schools and what between them: one correlation taken apart by analysis of variance.

The covariance of two measures has a part within schools, S_W, pooled over schools, and a part between them,
(S_B - S_W) / n0, where S_B is the mean square between schools and n0 their size (Snedecor's, for unequal schools). The
raw school means would mix the two: a mean of twenty students still holds a twentieth of the differences among them.
Dividing their correlation by reliabilities is wrong here, because the errors of the two means come from the same
students and go together.

Standard errors leave out one school at a time (jackknife), on Fisher's z; all of it runs on sums a school, so that
leaving one out is a subtraction. No weights: those of a public file are a student's, and what part of them is the
school's is not in it (Asparouhov 2006), so the figures describe the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.effects.correlation import n_of_fisher_z_variance, to_fisher_z
from replication.models.fit import Array
from replication.study.microdata.design import Groups
from replication.study.microdata.design_correlations import Combined, combine_plausible, too_little

__all__ = ["Level", "SchoolLevels", "school_levels"]

# Under an ICC of .02 the between covariance is a small difference of large numbers; with fewer than 50 schools its
# correlation is biased and its jackknife unreliable (Maas & Hox 2005 found so for variances between groups).
_SMALLEST_ICC = 0.02
_FEWEST_SCHOOLS = 50
_LEAST_WITHIN = 4


@dataclass(frozen=True, slots=True)
class Level:
    """A correlation at one level with the n of a simple random sample as precise on Fisher's z; NaN where withheld."""

    r: float
    n_effective: float
    df: float


@dataclass(frozen=True, slots=True)
class SchoolLevels:
    """A pair within and between schools.

    `persons` and `schools` are those with both answers. `contextual` is the slope between less the slope within, of y
    on x, both in total standard deviations: how much more a school's mean goes with y than the student's own x does.
    `withheld` says why there is no figure between schools (or, where r is NaN within, none at all); "" where there is.
    """

    persons: int
    schools: int
    icc_x: float
    icc_y: float
    within: Level
    between: Level
    contextual: float
    contextual_se: float
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Covariances within and between, `(…, m)` each: x with x, y with y, x with y."""

    within: tuple[Array, Array, Array]
    between: tuple[Array, Array, Array]


_NOTHING = Level(np.nan, np.nan, np.nan)


def school_levels(
    x: Array, y: Array, schools: Groups, among: NDArray[np.bool_] | None = None, *, unit: str = "school"
) -> SchoolLevels:
    """Two measures within and between schools.

    Parameters
    ----------
    x, y : (n, 1), or (n, m) for plausible values on one side; NaN is missing. Persons with both are used.
    schools : (n,) their numbers.
    among : (n,) the persons that are asked about; None: all.
    unit : what a cluster is, for the reasons given.

    Sources: Snijders & Bosker (2012), Multilevel Analysis, ch. 3; Wolter (2007), ch. 4.
    """
    complete = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    complete = complete if among is None else complete & among
    x, y = x[complete], y[complete]
    persons, count = len(x), len(np.unique(schools[complete]))
    reason = too_little(x, y) or _too_few(persons, count, unit)
    if reason:
        return SchoolLevels(persons, count, np.nan, np.nan, _NOTHING, _NOTHING, np.nan, np.nan, reason)
    sizes, sums = _sums(x, y, schools[complete])
    full = _parts(sizes.sum(), count, (sizes**2).sum(), sums.sum(axis=0), _products(sizes, sums).sum(axis=0))
    left = _left_out(sizes, sums)
    icc_x, icc_y = (float(_icc(full, side).mean()) for side in (0, 1))
    within = _level(_correlation(full.within), _correlation(left.within), persons)
    withheld = _withheld(full, left, count, (icc_x, icc_y), unit)
    between = _NOTHING if withheld else _level(_correlation(full.between), _correlation(left.between), count)
    context = _jackknife(_contextual(full), _contextual(left)) if icc_x >= _SMALLEST_ICC else None
    effect, se = (np.nan, np.nan) if context is None else (context.estimate, float(np.sqrt(context.variance)))
    return SchoolLevels(persons, count, icc_x, icc_y, within, between, effect, se, withheld)


def _sums(x: Array, y: Array, schools: Groups) -> tuple[Array, Array]:
    """Sizes `(J,)`, sums of x, y, xx, yy, xy a school `(J, 5, m)`, about the means so that no digits are lost."""
    numbers = np.unique(schools, return_inverse=True)[1]
    x, y = np.broadcast_arrays(x - x.mean(axis=0), y - y.mean(axis=0))
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers)
    # reduceat on sorted rows: one pass, where a bincount for each column would be five times m.
    starts = np.cumsum(sizes) - sizes
    stacked = np.stack([x, y, x * x, y * y, x * y], axis=1)[order]
    return sizes.astype(float), np.add.reduceat(stacked, starts, axis=0)


def _products(sizes: Array, sums: Array) -> Array:
    """Products of the school's sums over its size `(J, 3, m)`: of x with x, y with y, x with y."""
    sx, sy = sums[:, 0], sums[:, 1]
    return np.stack([sx * sx, sy * sy, sx * sy], axis=1) / sizes[:, None, None]


def _parts(n: Array, j: Array | int, squares: Array, sums: Array, products: Array) -> _Parts:
    """Mean squares within, and the between part (S_B - S_W) / n0, from sums over schools `(…, 5, m)`, `(…, 3, m)`."""
    n, j, squares = (np.asarray(a)[..., None] for a in (n, j, squares))
    # Snedecor's n0: the size at which the mean squares of unequal schools have their expectations.
    size = (n - squares / n) / (j - 1.0)
    sx, sy = sums[..., 0, :], sums[..., 1, :]
    totals = (sx * sx / n, sy * sy / n, sx * sy / n)
    within = [(sums[..., 2 + i, :] - products[..., i, :]) / (n - j) for i in range(3)]
    squared = [(products[..., i, :] - totals[i]) / (j - 1.0) for i in range(3)]
    between = [(b - w) / size for b, w in zip(squared, within, strict=True)]
    return _Parts((within[0], within[1], within[2]), (between[0], between[1], between[2]))


def _left_out(sizes: Array, sums: Array) -> _Parts:
    """The parts without each school in turn `(J, m)`."""
    products = _products(sizes, sums)
    n, squares = sizes.sum() - sizes, (sizes**2).sum() - sizes**2
    return _parts(n, len(sizes) - 1, squares, sums.sum(axis=0) - sums, products.sum(axis=0) - products)


def _correlation(parts: tuple[Array, Array, Array]) -> Array:
    """Beyond -1 and 1, or NaN, where a between variance is nearly or below zero: the caller withholds it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(parts[2] / np.sqrt(parts[0] * parts[1]))


def _icc(parts: _Parts, side: int) -> Array:
    return parts.between[side] / (parts.between[side] + parts.within[side])


def _contextual(parts: _Parts) -> Array:
    """Slope between less slope within, of y on x, in total standard deviations."""
    x, y = (parts.within[side] + parts.between[side] for side in (0, 1))
    slopes = parts.between[2] / parts.between[0] - parts.within[2] / parts.within[0]
    return np.asarray(slopes * np.sqrt(x / y))


def _level(full: Array, left: Array, n: int) -> Level:
    """One level with its effective n, at most its n: schools cannot make a sample better than a simple one."""
    combined = _jackknife(to_fisher_z(full), to_fisher_z(left))
    return Level(float(full.mean()), min(float(n_of_fisher_z_variance(combined.variance)), float(n)), combined.df)


def _jackknife(full: Array, left: Array) -> Combined:
    """The estimate over plausible values with the delete-one-school variance `(J - 1) / J` times the squared sum."""
    j = len(left)
    variances = (j - 1.0) / j * ((left - left.mean(axis=0)) ** 2).sum(axis=0)
    return combine_plausible(full, variances, j - 1.0)


def _too_few(persons: int, schools: int, unit: str) -> str:
    plural = "classes" if unit == "class" else f"{unit}s"
    if schools < 2:
        return f"everybody is in one {unit}"
    if persons - schools < _LEAST_WITHIN:
        return f"{persons} persons in {schools} {plural} leave nothing to compare within a {unit}"
    return ""


def _withheld(full: _Parts, left: _Parts, schools: int, iccs: tuple[float, float], unit: str) -> str:
    """Why no correlation between schools is given; "" where it is."""
    plural = "classes" if unit == "class" else f"{unit}s"
    if schools < _FEWEST_SCHOOLS:
        return f"{schools} {plural}, and {_FEWEST_SCHOOLS} are needed between {plural}"
    if min(iccs) < _SMALLEST_ICC:
        return f"{plural} hardly differ: an intraclass correlation of {min(iccs):.4f} is under {_SMALLEST_ICC}"
    r = np.concatenate([_correlation(full.between).ravel(), _correlation(left.between).ravel()])
    # Also without any one school: where leaving one out breaks the estimate, its jackknife means nothing.
    if not (np.abs(r) < 1.0).all():  # NaN counts as outside, too
        return f"the correlation between {plural} leaves the range from -1 to 1"
    return ""
