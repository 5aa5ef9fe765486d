"""Adaptive quadrature of a positive function given by its log, in one to a few dimensions.

Three ideas:

1. The domain is cut into cells (boxes). On each, the function is taken at the nodes of a product Gauss-Legendre rule,
   which is at once a quadrature rule and an interpolating polynomial: marginal densities come for free.
2. A cell is resolved when the last Legendre coefficients along every axis are negligible against the whole integral;
   else it is halved along the worst axis. A cell whose logs have a peak between its nodes is not resolved either.
3. Several functions (say the density and the density times tau2) are resolved at once, so that moments are as exact
   as probabilities. A fixed axis has one node and is never cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array

__all__ = [
    "Cells",
    "Grid",
    "Rule",
    "adapt",
    "along",
    "box_cells",
    "gauss_rule",
    "grid_nodes",
    "legendre_rule",
    "log_sum",
    "narrow",
    "series_along",
]

# Evaluate cells (C, d) at node arrays, one (C, n_a) per axis; returns logs (C, h, n_1, ..., n_d) of h functions.
LogFunctions = Callable[[tuple[Array, ...]], Array]

NODES = 10
# A region whose logs lie this far below the peak cannot matter: exp(-60) is 1e-26.
NEGLIGIBLE = 60.0
# Logs at neighbouring nodes suggest a peak between them; above this height (in logs) the cell is cut.
HIDDEN = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Gauss-Legendre `nodes (n,)` and `weights (n,)` on [-1, 1]; `coefficients (n, n)` maps values to the series."""

    nodes: Array
    weights: Array
    coefficients: Array


def gauss_rule(values: Array, n: int) -> tuple[Array, Array]:
    """Nodes and weights `(n,)` whose weighted sum is that over `values (k,)`, for polynomials of degree 2 n - 1.

    The Gauss rule of a discrete measure, by Lanczos' steps on it (Golub & Welsch 1969); fewer nodes where there are
    fewer distinct values. A sum over hundreds of rows of a smooth function costs a dozen evaluations.

    >>> nodes, weights = gauss_rule(np.arange(100.0), 4)
    >>> round(float(weights @ nodes**7) / float((np.arange(100.0) ** 7).sum()), 12)
    1.0
    """
    basis = [np.full(len(values), len(values) ** -0.5)]
    diagonal, beside = [], []
    while True:
        step = values * basis[-1]
        diagonal.append(float(step @ basis[-1]))
        for _ in range(2):  # cleared twice, the basis stays orthogonal to rounding
            step = step - np.array(basis).T @ (np.array(basis) @ step)
        length = float(np.sqrt(step @ step))
        if len(diagonal) == n or length <= 1e-12 * float(np.abs(values).max()):
            break
        beside.append(length)
        basis.append(step / length)
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return nodes, len(values) * vectors[0] ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Boxes `low, high (C, d)`; an axis with `low == high` is fixed."""

    low: Array
    high: Array

    @property
    def free(self) -> tuple[bool, ...]:
        """Which axes vary."""
        return tuple(bool(f) for f in np.any(self.high > self.low, axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Resolved cells. `error` is the largest unresolved share of an integral; `complete` is False at the work limit."""

    cells: Cells
    error: float
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """What is known of each cell of the quadrature.

    Per cell: the logs' `peak (C, h)`, the log integral `mass (C, h)`, the log of the unresolved tail per axis `tail (C,
    h, d)`, and the height of a peak hidden between nodes `hidden (C, d)` of the first function.
    """

    peak: Array
    mass: Array
    tail: Array
    hidden: Array


@cache
def legendre_rule(n: int) -> Rule:
    """The Gauss-Legendre rule with `n` nodes.

    >>> round(float(legendre_rule(3).weights.sum()), 12)
    2.0
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    basis = np.polynomial.legendre.legvander(nodes, n - 1)
    return Rule(nodes, weights, (np.arange(n) + 0.5)[:, None] * (basis * weights[:, None]).T)


def box_cells(edges: tuple[Array, ...]) -> Cells:
    """All boxes between the edges of each axis; an axis with a single edge is fixed."""
    lows = [e if len(e) == 1 else e[:-1] for e in edges]
    highs = [e if len(e) == 1 else e[1:] for e in edges]
    low, high = (np.stack([g.ravel() for g in np.meshgrid(*ends, indexing="ij")], axis=1) for ends in (lows, highs))
    return Cells(low, high)


def grid_nodes(cells: Cells, n: int = NODES) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Node positions and weights of every axis, each `(C, n)`, or `(C, 1)` with weight 1 on a fixed axis."""
    rule, half = legendre_rule(n), (cells.high - cells.low) / 2.0
    middle = (cells.high + cells.low) / 2.0
    nodes, weights = [], []
    for axis, free in enumerate(cells.free):
        h, m = half[:, axis, None], middle[:, axis, None]
        nodes.append(m + h * rule.nodes if free else m)
        weights.append(h * rule.weights if free else np.ones_like(m))
    return tuple(nodes), tuple(weights)


def along(values: Array, axis: int, d: int) -> Array:
    """Per-cell values `(C, n)` of one axis, shaped to broadcast over `(C, n_1, ..., n_d)`."""
    return values.reshape(len(values), *(values.shape[1] if a == axis else 1 for a in range(d)))


def series_along(density: Array, weights: tuple[Array, ...], axis: int) -> Array:
    """Legendre series along `axis` of the density with the other axes integrated out `(C, n)`."""
    d = len(weights)
    for i, w in enumerate(weights):
        if i != axis:
            density = density * along(w, i, d)
    values = density.sum(axis=tuple(1 + i for i in range(d) if i != axis))
    return np.asarray(values @ legendre_rule(values.shape[1]).coefficients.T)


def narrow(cells: Cells, width: float) -> Cells:
    """Halve cells until none is wider than `width` along any axis."""
    for axis in range(cells.low.shape[1]):
        while np.any(cut := cells.high[:, axis] - cells.low[:, axis] > width):
            pieces = _halve(cells, cut, np.full(len(cut), axis))
            cells = Cells(
                np.concatenate([cells.low[~cut], pieces.low]), np.concatenate([cells.high[~cut], pieces.high])
            )
    return cells


def log_sum(logs: Array) -> Array:
    """`log sum exp` over the first axis, `-inf` where all are."""
    peak = logs.max(axis=0)
    # a cell without any mass has no finite peak to scale by
    safe = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(np.exp(logs - safe).sum(axis=0)))


def adapt(functions: LogFunctions, start: Cells, rtol: float, max_points: int = 4_000_000, n: int = NODES) -> Grid:
    """Cut `start` until every function is resolved to `rtol` of its integral on every cell, with n nodes an axis.

    Returns the cells; `complete` is False when `max_points` evaluations did not suffice, with `error` as it then stood.
    """
    cells, scores, used = start, _score(functions, start, n), _points(start, n)
    while True:
        excess, hidden = _excess(scores, rtol)
        # a hidden peak goes before a poor fit: what is not seen cannot be resolved
        axis = np.argmax(np.where(hidden > 0, hidden + 1e9, excess), axis=1)
        wide = _wide(cells, axis)
        cut = ((excess.max(axis=1) > 0) | (hidden.max(axis=1) > 0)) & wide
        if not cut.any() or used > max_points:
            return Grid(*_drop(cells, scores), complete=not cut.any())
        pieces = _halve(cells, cut, axis)
        used += _points(pieces, n)
        cells = Cells(np.concatenate([cells.low[~cut], pieces.low]), np.concatenate([cells.high[~cut], pieces.high]))
        scores = _join(scores, ~cut, _score(functions, pieces, n))


def _points(cells: Cells, n: int) -> int:
    return int(len(cells.low) * n ** sum(cells.free))


def _wide(cells: Cells, axis: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether a cell can still be halved along the axis chosen for it."""
    rows = np.arange(len(axis))
    low, high = cells.low[rows, axis], cells.high[rows, axis]
    return np.asarray(high - low > 1e-13 * np.maximum(1e-30, np.maximum(np.abs(low), np.abs(high))))


def _halve(cells: Cells, cut: NDArray[np.bool_], axis: NDArray[np.intp]) -> Cells:
    low, high, chosen = cells.low[cut], cells.high[cut], axis[cut]
    rows = np.arange(len(chosen))
    middle = (low[rows, chosen] + high[rows, chosen]) / 2.0
    left, right = high.copy(), low.copy()
    left[rows, chosen] = right[rows, chosen] = middle
    return Cells(np.concatenate([low, right]), np.concatenate([left, high]))


def _join(old: _Scores, keep: NDArray[np.bool_], new: _Scores) -> _Scores:
    names = ("peak", "mass", "tail", "hidden")
    return _Scores(*(np.concatenate([getattr(old, n)[keep], getattr(new, n)]) for n in names))


def _excess(scores: _Scores, rtol: float) -> tuple[Array, Array]:
    """How far (in logs) the unresolved tail and hidden peaks lie above what may be neglected, `(C, d)` each."""
    total = log_sum(scores.mass)
    peak = scores.peak[:, 0].max()
    # logs near 1e4 carry errors of 1e-12 themselves: asking for more would cut for ever
    noise = 16.0 * np.finfo(float).eps * abs(float(peak)) if np.isfinite(peak) else 0.0
    excess = (scores.tail - (total[:, None] + np.log(rtol + noise))).max(axis=1)
    # A corner is out of reach of every line of nodes, so heights add up; and they are estimates, so half is added.
    matters = scores.peak[:, :1] + 1.5 * scores.hidden.sum(axis=1, keepdims=True) > peak - NEGLIGIBLE
    return excess, np.where(matters & (scores.hidden > HIDDEN), scores.hidden, 0.0)


def _drop(cells: Cells, scores: _Scores) -> tuple[Cells, float]:
    """Without the cells that carry nothing of any function; and the unresolved share that remains."""
    total = log_sum(scores.mass)
    # cells are kept if any function needs them: a moment's mass lies elsewhere than probability's
    keep = (scores.mass > total - NEGLIGIBLE).any(axis=1)
    error = float(np.exp((log_sum(scores.tail.max(axis=2)) - total).max())) if keep.any() else float("nan")
    return Cells(cells.low[keep], cells.high[keep]), error


def _score(functions: LogFunctions, cells: Cells, n: int) -> _Scores:
    nodes, weights = grid_nodes(cells, n)
    logs = functions(nodes)
    d = len(nodes)
    inner = tuple(range(2, 2 + d))
    peak = logs.max(axis=inner)
    safe = np.where(np.isfinite(peak), peak, 0.0)
    values = np.exp(logs - safe.reshape(*peak.shape, *([1] * d)))
    tail = np.full((*peak.shape, d), -np.inf)
    hidden = np.zeros((len(peak), d))
    for axis in range(d):
        if cells.free[axis]:
            tail[:, :, axis] = safe + _log(_tail(values, weights, axis))
            hidden[:, axis] = _hidden_peak(
                logs[:, 0], nodes[axis], np.stack([cells.low[:, axis], cells.high[:, axis]], 1), axis
            )
    return _Scores(peak, safe + _log(_integrate(values, weights)), tail, hidden)


def _log(values: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _integrate(values: Array, weights: tuple[Array, ...]) -> Array:
    """Product rule over all inner axes: `(C, h, n_1, ..., n_d)` to `(C, h)`."""
    for w in reversed(weights):
        shape = (len(w), *([1] * (values.ndim - 2)), w.shape[1])
        values = (values * w.reshape(shape)).sum(axis=-1)
    return values


def _tail(values: Array, weights: tuple[Array, ...], axis: int) -> Array:
    """Integral over the other axes of the last two Legendre coefficients along `axis`, times its width `(C, h)`."""
    n = values.shape[2 + axis]
    last = np.moveaxis(np.abs(np.moveaxis(values, 2 + axis, -1) @ legendre_rule(n).coefficients[-2:].T), -1, 0).max(
        axis=0
    )
    others = tuple(w for a, w in enumerate(weights) if a != axis)
    return np.asarray(_integrate(last, others) * weights[axis].sum(axis=1)[:, None])


def _hidden_peak(logs: Array, nodes: Array, edges: Array, axis: int) -> Array:
    """How far parabolas through three neighbouring nodes rise above every node of the cell `(C,)`.

    Between nodes where the middle one is the highest, and up to the cell's `edges (C, 2)` where the last one is.
    """
    y = np.moveaxis(logs, 1 + axis, -1)
    shape = (len(nodes), *([1] * (y.ndim - 2)), -1)
    x, ends = nodes.reshape(shape), edges.reshape(shape)
    left, right = x[..., 1:-1] - x[..., :-2], x[..., 2:] - x[..., 1:-1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rise, fall = (y[..., 1:-1] - y[..., :-2]) / left, (y[..., 1:-1] - y[..., 2:]) / right
        curve = (rise + fall) / (left + right)
        slope = (rise * right - fall * left) / (left + right)
        inside = np.where((rise > 0) & (fall > 0), slope**2 / (4.0 * curve), 0.0) + y[..., 1:-1]
        first = _rise_to_edge(
            -slope[..., 0] + 2.0 * curve[..., 0] * -left[..., 0], curve[..., 0], x[..., 0] - ends[..., 0]
        )
        last = _rise_to_edge(
            slope[..., -1] - 2.0 * curve[..., -1] * right[..., -1], curve[..., -1], ends[..., 1] - x[..., -1]
        )
        heights = np.concatenate([inside, (y[..., 0] + first)[..., None], (y[..., -1] + last)[..., None]], axis=-1)
    inner = tuple(range(1, y.ndim))
    highest, level = np.where(np.isfinite(heights), heights, -np.inf).max(axis=inner), logs.max(axis=inner)
    return np.asarray(np.where(highest > level, highest, level) - np.where(np.isfinite(level), level, 0.0))


def _rise_to_edge(slope: Array, curve: Array, distance: Array) -> Array:
    """Largest rise of `slope s - curve s^2` for s between 0 and `distance`, 0 where it falls."""
    at = np.where(curve > 0, np.minimum(slope / (2.0 * curve), distance), distance)
    return np.asarray(np.where(slope > 0, slope * at - curve * at**2, 0.0))
