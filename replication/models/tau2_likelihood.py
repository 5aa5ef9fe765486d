"""The peaks of the (restricted) likelihood in tau2, for many data sets at once.

The profile may have several peaks. Every fall of the score through zero on a grid over a proven range, and tau2 = 0
where the score falls already there, is a candidate; the highest wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.roots import Roots, falling_roots
from replication.models.weighted import (
    EffectSets,
    Weighted,
    log_likelihood,
    quadratic_PP,
    quadratic_PPP,
    sum_of_squares,
    take,
    trace_P,
    trace_PP,
    weighted_at,
)

__all__ = ["Peaks", "highest_peaks", "information", "likelihood_score", "search_grid"]

# Spacing of the search grid in log(tau2 + v_min). Every term of the score changes on a scale of 1 or more there.
GRID_STEP = 0.5

# Numbers in one temporary array: 32 MB.
LARGEST = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The tau2 of the highest peak per data set `(B,)`, whether its search settled, and how many peaks there are."""

    value: Array
    converged: NDArray[np.bool_]
    number: NDArray[np.intp]


def likelihood_score(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Derivative `(B, G)` of the (restricted) log-likelihood in tau2: `(y'PPy - tr P) / 2`, with `tr W` for ML."""
    return np.asarray(0.5 * (quadratic_PP(fit) - _trace(sets, fit, restricted=restricted)))


def information(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """Twice the expected information `(B, G)`: `tr PP`, with `tr WW` for ML."""
    return trace_PP(sets, fit) if restricted else np.asarray(np.vecdot(fit.w * fit.w, sets.counts))


def _trace(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    return trace_P(sets, fit) if restricted else np.asarray(np.vecdot(fit.w, sets.counts))


def _balance(sets: EffectSets, fit: Weighted, *, restricted: bool) -> Array:
    """`1 - tr P / y'PPy`: zero with the score and of its sign, but nearly linear in tau2."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 - _trace(sets, fit, restricted=restricted) / quadratic_PP(fit))


def _balance_and_slope(sets: EffectSets, fit: Weighted, *, restricted: bool) -> tuple[Array, Array]:
    square, trace = quadratic_PP(fit), _trace(sets, fit, restricted=restricted)
    rise = information(sets, fit, restricted=restricted) * square - 2.0 * trace * quadratic_PPP(fit)
    return 1.0 - trace / square, rise / square**2


def search_grid(sets: EffectSets) -> Array:
    """Trial values `(B, G)`, even in log(tau2 + v_min), up to where the score is proven negative.

    With s2 the residual mean square and x = tau2 + v_min, the score is below zero once x^2 > s2 (x + v_max - v_min).
    """
    s2 = sum_of_squares(sets) / (sets.k - sets.p)
    spread = sets.v.max(-1) - sets.offset
    low = sets.offset + sets.floor
    bound = 0.5 * (s2 + np.sqrt(s2 * (s2 + 4.0 * np.maximum(spread, 0.0))))
    width = np.log(np.maximum(1.01 * bound, low) / low)
    cells = max(4, int(width.max() / GRID_STEP) + 1)
    grid = np.maximum(low * np.exp(width * (np.arange(cells + 1) / cells)) - sets.offset, sets.floor)
    grid[:, 0] = np.broadcast_to(sets.floor, (len(grid), 1))[:, 0]
    return np.asarray(grid)


def highest_peaks(sets: EffectSets, *, restricted: bool) -> Peaks:
    """The tau2 that maximises the likelihood of each data set."""
    grid = search_grid(sets)
    balance = _on_grid(sets, grid, restricted=restricted)
    size = len(balance)
    index, cell = np.nonzero((balance[:, :-1] > 0) & (balance[:, 1:] <= 0))
    ends = index[:, None], np.stack([cell, cell + 1], axis=-1)
    inner = _climb(sets, index, grid[ends], balance[ends], restricted=restricted)
    at_floor = np.nonzero(balance[:, 0] <= 0)[0]
    owner = np.concatenate([at_floor, index])
    value = np.concatenate([grid[at_floor, 0], inner.value])
    converged = np.concatenate([np.ones(len(at_floor), dtype=bool), inner.converged])
    number = np.bincount(owner, minlength=size)
    best = _highest(sets, owner, value, size, restricted=restricted) if (number > 1).any() else np.argsort(owner)
    return Peaks(value[best], converged[best], number)


def _on_grid(sets: EffectSets, grid: Array, *, restricted: bool) -> Array:
    """The balance at all trial values `(B, G)`, some columns at a time where the arrays would be large."""
    step = max(1, LARGEST // (sets.size * sets.y.shape[-1]))
    parts = [grid[:, i : i + step] for i in range(0, grid.shape[1], step)]
    return np.concatenate([_balance(sets, weighted_at(sets, part), restricted=restricted) for part in parts], axis=1)


def _climb(sets: EffectSets, index: NDArray[np.intp], ends: Array, balance: Array, *, restricted: bool) -> Roots:
    """The peak between the two `ends (N, 2)` of the data sets at `index (N,)`, from where a line puts it."""
    if len(index) == 0:
        return Roots(np.zeros(0), np.zeros(0, dtype=bool))
    chosen = take(sets, index)

    def function(tau2: Array) -> tuple[Array, Array]:
        return _balance_and_slope(chosen, weighted_at(chosen, tau2), restricted=restricted)

    low, high = ends[:, :1], ends[:, 1:]
    start = low + (high - low) * balance[:, :1] / (balance[:, :1] - balance[:, 1:])
    roots = falling_roots(function, low, high, offset=chosen.offset, start=start)
    return Roots(roots.value[:, 0], roots.converged[:, 0])


def _highest(
    sets: EffectSets, owner: NDArray[np.intp], value: Array, size: int, *, restricted: bool
) -> NDArray[np.intp]:
    """Position of each set's candidate with the greatest likelihood."""
    chosen = take(sets, owner)
    height = log_likelihood(chosen, weighted_at(chosen, value[:, None]), restricted=restricted)[:, 0]
    order = np.lexsort((-height, owner))
    return order[np.searchsorted(owner[order], np.arange(size))]
