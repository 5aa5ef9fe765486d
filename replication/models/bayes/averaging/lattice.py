"""Integrals of a smooth density over one to six parameters, by sums over two interleaved lattices.

Called by `bias_integrals`. Three ideas:

1. The sum of a smooth, fast-falling density over an even lattice is its integral up to `exp(-2 pi^2 / h^2)`, h in
   standard deviations (the trapezoidal rule; Trefethen & Weideman 2014, SIAM Review 56:385). It needs no cells, and
   one lattice holds for any number of parameters.
2. The lattice is laid along the density: the first `aligned` axes stay axes, so that their marginal densities come as
   sums over planes; the others are turned and shifted to where the density lies given the first.
3. A second lattice, moved by half a step along every axis, is an independent answer. The difference of both is the
   stated error; their mean is better by far, since most of what one misses the other has with the opposite sign.

Points are found by growth from the peaks, never by a box: a point is kept while it lies less than `cut` below the peak.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array

__all__ = ["LatticeSum", "Layout", "lattice_sums", "unseen_share"]

# Logs at points `(N, d)` of lattice 0 or 1: the density first, then what else must be covered, `(h, N)`.
LogDensities = Callable[[Array, int], Array]

# Points of the prior where the search for peaks starts, and how far apart (in scores) two searches must begin.
STARTS, APART = 96, 1.0
# Newton steps towards a peak: the lattice only needs to lie well, so a gain below ENOUGH is no reason to go on.
NEWTON, ENOUGH = 40, 1e-2
# The longest Newton step in scores, and the shares of it that are tried.
LONGEST, SHARES = 2.0, 0.5 ** np.arange(12)
# Curvatures below this are taken as this: a prior score alone has 1, and steps must not run away along a ridge.
FLATTEST = 0.25
# The lattice on which the widths of the density are measured: its step, how far it reaches below the peak, and what a
# step may be changed by.
ROUGH, LOW, WIDTHS = 1.4, 6.0, (0.3, 1.0)
# The power of a Fourier transform that is left at twice the frequency.
OCTAVE = 2.0**1.5
# How far below the cut a place may lie and still be handed to the next plane.
BELOW = 3.0
# Integer coordinates are packed into one number of this many bits, shared out over the axes.
BITS = 60


@dataclass(frozen=True, slots=True, eq=False)
class LatticeSum:
    """One lattice: its `points (N, d)`, integer `places (N, d)` along it, `logs (N,)` and the log volume of a cell.

    `steps (d, d)` moves by one place; odd places belong to the second lattice.
    """

    points: Array
    places: NDArray[np.int64]
    logs: Array
    log_cell: float
    steps: Array

    @property
    def log_mass(self) -> float:
        """Log of the integral."""
        return float(special.logsumexp(self.logs)) + self.log_cell


@dataclass(frozen=True, slots=True)
class Layout:
    """How axes are used: the first `aligned` (at most two) keep their direction, for their marginal densities.

    Points that are equal in the first `planes` axes share what is costly to compute.
    """

    aligned: int
    planes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Where the lattice lies: the peak `center (d,)`, and `steps (d, d)` of one standard deviation along the density.

    Steps are lower triangular: an axis is moved by those before it, never by those after.
    """

    center: Array
    steps: Array
    planes: int

    def points(self, places: NDArray[np.int64], h: float) -> Array:
        """The points at `places (N, d)`, counted in half steps."""
        # Column by column, not by a matrix product: equal places must give equal numbers, for they are looked up.
        scaled = places * (h / 2.0)
        columns = [
            c + sum(scaled[:, j] * row[j] for j in range(i + 1))
            for i, (c, row) in enumerate(zip(self.center, self.steps, strict=True))
        ]
        return np.stack(columns, axis=1)


def lattice_sums(
    densities: LogDensities, starts: Array, layout: Layout, h: float, cut: float, most: int
) -> tuple[LatticeSum, LatticeSum]:
    """Two interleaved sums over the density, with step `h` in its standard deviations.

    Parameters
    ----------
    densities : logs of the density and of what else must be covered, `(h, N)` at points `(N, d)`, for lattice 0 or 1
    starts : (n, d) points from which peaks are sought, beside a spread of the standard normal
    layout : which axes keep their direction, and which share what is costly
    cut : how far below their highest value logs may lie before growth stops
    most : points of one lattice beyond which a `ModelError` is raised

    Raises
    ------
    ModelError
        where the density has no finite peak, or needs more points than `most`.
    """
    peaks = _peaks(lambda x: densities(x, 0)[0], starts)
    frame = _frame(lambda x: densities(x, 0)[0], peaks[0], layout)
    frame = _measured(densities, frame, peaks[:1], most)
    return tuple(_grow(densities, frame, peaks, h, cut, most, odd) for odd in (0, 1))  # type: ignore[return-value]


def unseen_share(lattices: tuple[LatticeSum, LatticeSum]) -> float:
    """What both lattices miss together and their difference cannot show: waves that run across two axes at once.

    Sums with signs that change across two axes are the density's Fourier transform at half such a wave's frequency. The
    wave itself holds its power OCTAVE: the fourth of a normal density, the second of one whose transform falls
    exponentially; between both lies what is assumed here.
    """
    top = max(float(one.logs.max()) for one in lattices)
    even, odd, mass = np.zeros(()), np.zeros(()), 0.0
    for lattice, one in enumerate(lattices):
        amounts = np.exp(one.logs - top)
        mass += float(amounts.sum())
        # the sign of a sum or difference of two places is the product of their own, turned on the odd lattice
        signs = 1.0 - (one.places & 2)
        product = (signs * amounts[:, None]).T @ signs
        even, odd = even + product, odd + (-product if lattice else product)
    waves = np.abs(np.stack([odd, even])) / mass
    return float(2.0 * (np.tril(waves, -1) ** OCTAVE).sum())


def _spread(n: int, d: int) -> Array:
    """Standard normal scores of `n` evenly spread points `(n, d)`: multiples of irrational numbers, no drawing."""
    # the root of x^(d+1) = x + 1 generalises the golden ratio (Roberts 2018): no two axes fall in step
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (d + 1.0))
    return np.asarray(special.ndtri((0.5 + np.arange(1, n + 1)[:, None] * root ** -np.arange(1.0, d + 1.0)) % 1.0))


def _peaks(log: Callable[[Array], Array], starts: Array) -> Array:
    """Peaks of the density, the highest first `(n, d)`: Newton from the two best starts that lie apart."""
    tried = np.concatenate([starts, _spread(STARTS, starts.shape[1])])
    heights = log(tried)
    if not np.isfinite(heights).any():
        raise ModelError("no value of the parameters gives these effects a probability; check units of y and v.")
    order = np.argsort(-np.where(np.isfinite(heights), heights, -np.inf))
    first = tried[order[0]]
    apart = [i for i in order[1:] if np.abs(tried[i] - first).max() > APART and np.isfinite(heights[i])]
    ends = [_climb(log, tried[i]) for i in (order[0], *apart[:1])]
    ends.sort(key=lambda end: -end[1])
    return np.array([end for end, _ in ends])


def _climb(log: Callable[[Array], Array], x: Array) -> tuple[Array, float]:
    scale = np.full(len(x), 0.02)
    height = float(log(x[None])[0])
    for _ in range(NEWTON):
        gradient, hessian = _curvature(log, x, scale)
        curvature, axes = np.linalg.eigh(-hessian)
        size = np.maximum(np.abs(curvature), FLATTEST)
        scale = np.clip(0.1 / np.sqrt(np.maximum(np.diag(axes * size @ axes.T), FLATTEST)), 1e-7, 0.1)
        step = axes @ ((axes.T @ gradient) / size)
        step *= min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-300))
        tried = x + SHARES[:, None] * step
        heights = log(tried)
        best = int(np.argmax(np.where(np.isfinite(heights), heights, -np.inf)))
        gain = float(heights[best]) - height
        if not gain > 0:
            break
        x, height = tried[best], float(heights[best])
        if gain < ENOUGH:
            break
    return x, height


def _curvature(log: Callable[[Array], Array], x: Array, scale: Array) -> tuple[Array, Array]:
    """Gradient `(d,)` and Hessian `(d, d)` by differences over steps `scale (d,)`, in one call."""
    d = len(x)
    unit = np.diag(scale)
    pairs = [(i, j) for i in range(d) for j in range(i)]
    moves = [*unit, *-unit, *(s * (unit[i] + unit[j]) for i, j in pairs for s in (1.0, -1.0))]
    values = log(np.array([np.zeros(d), *moves]) + x)
    # a side where the density is 0 has no slope to follow; the other one decides
    values = np.where(np.isfinite(values), values, values[0] - 1e3)
    here, up, down = values[0], values[1 : d + 1], values[d + 1 : 2 * d + 1]
    hessian = np.diag((up + down - 2.0 * here) / scale**2)
    for n, (i, j) in enumerate(pairs):
        both = values[2 * d + 1 + 2 * n : 2 * d + 3 + 2 * n].sum() - 2.0 * here
        along = hessian[i, i] * scale[i] ** 2 + hessian[j, j] * scale[j] ** 2
        hessian[i, j] = hessian[j, i] = (both - along) / (2.0 * scale[i] * scale[j])
    return (up - down) / (2.0 * scale), hessian


def _frame(log: Callable[[Array], Array], peak: Array, layout: Layout) -> _Frame:
    """Steps along the density at its peak: the aligned axes by their width given the rest integrated out."""
    scale = np.full(len(peak), 0.02)
    for _ in range(2):
        hessian = _curvature(log, peak, scale)[1]
        curvature, axes = np.linalg.eigh(-hessian)
        precision = (axes * np.maximum(np.abs(curvature), FLATTEST)) @ axes.T
        # the second round takes its differences over a good part of a standard deviation, where noise cannot show
        scale = np.clip(0.25 / np.sqrt(np.diag(precision)), 1e-7, 0.25)
    a, steps = layout.aligned, np.zeros((len(peak), len(peak)))
    inner = precision[a:, a:]
    shift = np.linalg.solve(inner, precision[a:, :a]) if len(inner) else np.zeros((0, a))
    given = precision[:a, :a] - precision[:a, a:] @ shift
    outer = 1.0 / np.sqrt(np.diag(given))
    if a == 2:
        # Two axes that may not be turned: waves across both are longer where they correlate, and steps must be shorter.
        outer /= np.sqrt(1.0 + abs(given[0, 1]) * outer[0] * outer[1])
    steps[:a, :a] = np.diag(outer)
    steps[a:, :a] = -shift * outer
    steps[a:, a:] = np.linalg.cholesky(np.linalg.inv(inner)) if len(inner) else 0.0
    return _Frame(peak, steps, layout.planes)


def _measured(densities: LogDensities, frame: _Frame, peak: Array, most: int) -> _Frame:
    """The frame with every step as long as the density's own waves allow, not as its curvature at the peak suggests.

    On a rough lattice around the peak the sum with changing signs along an axis is the density's Fourier transform at
    the shortest wave the lattice carries (its real part on one lattice, its imaginary part on the other). A normal
    density of width w in units of the step has `2 exp(-pi^2 w^2 / (2 h^2))` there, from which w follows.
    """
    rough = [_grow(densities, frame, peak, ROUGH, LOW, most, odd) for odd in (0, 1)]
    waves = np.zeros(len(frame.center), dtype=complex)
    for one, part in zip(rough, (1.0, 1j), strict=True):
        amounts = np.exp(one.logs - one.logs.max())
        signs = 1.0 - 2.0 * ((one.places // 2) % 2)
        waves += part * (amounts @ signs) / amounts.sum()
    seen = np.clip(np.abs(waves), 1e-12, 1.9)
    width = ROUGH / np.pi * np.sqrt(2.0 * np.log(2.0 / seen))
    return replace(frame, steps=frame.steps * np.clip(width, *WIDTHS))


def _grow(
    densities: LogDensities, frame: _Frame, peaks: Array, h: float, cut: float, most: int, odd: int
) -> LatticeSum:
    """All lattice points within `cut` of the peak, and their neighbours; every place is even (odd 0) or odd (1)."""
    d = len(frame.center)
    near = np.linalg.solve(frame.steps, (peaks - frame.center).T).T / (h / 2.0)
    wave = np.unique(2 * np.rint((near - odd) / 2.0).astype(np.int64) + odd, axis=0)
    moves = 2 * np.concatenate([np.eye(d, dtype=np.int64), -np.eye(d, dtype=np.int64)])
    known, places, logs = np.zeros(0, dtype=np.int64), np.zeros((0, d), dtype=np.int64), np.zeros((0, 0))
    while len(wave):
        if len(places) + len(wave) > most or np.abs(wave).max() >= _middle(d) - 2:
            raise ModelError(f"more than {most:,} points are needed to integrate over {d} parameters.")
        values = densities(frame.points(wave, h), odd)
        places = np.concatenate([places, wave])
        logs = np.concatenate([logs.reshape(len(values), -1), values], axis=1)
        known = np.sort(np.concatenate([known, _packed(wave)]))
        # any function whose integral is wanted keeps a point alive: moments may hang on tails the density forgot
        depth = (values - logs.max(axis=1, keepdims=True)).max(axis=0)
        wave = _unpacked(_new_codes(_packed(_neighbours(wave, depth, moves, cut, frame.planes)), known), d)
    log_cell = float(np.log(np.abs(np.diag(frame.steps))).sum()) + d * float(np.log(h))
    return LatticeSum(frame.points(places, h), places, logs[0], log_cell, frame.steps * (h / 2.0))


def _neighbours(
    wave: NDArray[np.int64], depth: Array, moves: NDArray[np.int64], cut: float, planes: int
) -> NDArray[np.int64]:
    """Where to look next: beside every place that is not too deep below the peak.

    Points of a plane (equal in the first `planes` axes) are cheap once its first is paid for, so a plane hands on its
    shallower dead places too, to be met by the next plane all at once.
    """
    d, alive = wave.shape[1], depth > -cut
    codes = _packed(wave[:, :planes])
    handed = (depth > -cut - BELOW) & np.isin(codes, codes[alive])
    across = (moves[:, :planes] != 0).any(axis=1)
    within = (wave[alive][:, None, :] + moves[~across]).reshape(-1, d)
    return np.concatenate([within, (wave[handed][:, None, :] + moves[across]).reshape(-1, d)])


def _new_codes(codes: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct `codes` not among the `known`, which are sorted; by sorting, which costs less than hashing."""
    codes = np.sort(codes)
    codes = codes[np.append(True, codes[1:] != codes[:-1])[: len(codes)]]
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.asarray(codes[known[at] != codes])


def _packed(places: NDArray[np.int64]) -> NDArray[np.int64]:
    code, bits = np.zeros(len(places), dtype=np.int64), BITS // max(places.shape[1], 1)
    for column in places.T:
        code = (code << bits) + (column + (1 << bits - 1))
    return code


def _middle(d: int) -> int:
    """Places further out than this along one of `d` axes do not fit into a code."""
    return 1 << BITS // d - 1


def _unpacked(codes: NDArray[np.int64], d: int) -> NDArray[np.int64]:
    bits = BITS // d
    shifts = bits * np.arange(d - 1, -1, -1)
    return np.asarray(((codes[:, None] >> shifts) & ((1 << bits) - 1)) - _middle(d))
