"""One box that holds a posterior of few standard deviations, and the midpoint rule on it.

Called by the nested model. Two ideas:

1. A likelihood of standard deviations is an even function of each, and so are half-normal, half-Cauchy and flat
   priors. On an even function that dies out, the midpoint rule from 0 converges as fast as on a whole period: twice
   the nodes square the error. A dozen nodes an axis do what many cells of a Gauss-Legendre rule are needed for.
2. Where that does not hold (a prior with a kink at 0, or one that ends amid the mass) two rules of the family differ by
   about the error of the finer one. So their difference says whether the rule will do, and cells are cut where not.

Source: Trefethen and Weideman (2014), The exponentially convergent trapezoidal rule, SIAM Review 56, theorem 5.1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from replication.models.bayes.exact.quadrature import Cells
from replication.models.fit import Array

__all__ = ["enclosing_box", "midpoints"]

# Nodes an axis of the grids by which a box is found.
LOOK = 9
# Logs below the peak, besides those of the error allowed, at which a density is cut off: what is beyond, in three
# dimensions, stays a thousandth of that error.
BEYOND = 11.0
# A box that a look leaves at more than this part of its width has settled; most do in two looks, none needs a dozen.
SETTLED, LOOKS = 0.75, 12


def midpoints(cells: Cells, n: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Nodes in the middle of n equal parts of every axis and their weights, shaped as those of `grid_nodes`."""
    step = (cells.high - cells.low) / n
    nodes, weights = [], []
    for axis, free in enumerate(cells.free):
        low, h = cells.low[:, axis, None], step[:, axis, None]
        nodes.append(low + h * (np.arange(n) + 0.5) if free else low)
        weights.append(np.broadcast_to(h, (len(h), n)) if free else np.ones_like(low))
    return tuple(nodes), tuple(weights)


def enclosing_box(log_density: Callable[[tuple[Array, ...]], Array], whole: Cells, rtol: float) -> Cells | None:
    """The box inside `whole` beyond which the density is negligible; None where looking closer does not settle.

    Parameters
    ----------
    log_density : logs `(1, n_1, ..., n_d)` at node arrays `(1, n_a)` of each axis
    whole : one cell
    rtol : error allowed of an integral, relative

    Each look keeps the nodes that are not far below the highest, and their neighbours: what lies between a node that
    counts and one that does not stays inside.
    """
    low, high = whole.low[0].copy(), whole.high[0].copy()
    for _ in range(LOOKS):
        nodes = midpoints(Cells(low[None], high[None]), LOOK)[0]
        logs = log_density(nodes)[0]
        if not np.isfinite(logs.max()):
            return None
        counts = logs > logs.max() - BEYOND + np.log(rtol)
        left = 1.0
        for axis, free in enumerate(whole.free):
            if not free:
                continue
            inside = np.flatnonzero(counts.any(axis=tuple(a for a in range(logs.ndim) if a != axis)))
            edges = np.concatenate([low[axis, None], nodes[axis][0], high[axis, None]])
            # `edges` is one longer on the left: the neighbour before the first, and the one after the last
            ends = edges[inside[0]], edges[inside[-1] + 2]
            left = min(left, (ends[1] - ends[0]) / (high[axis] - low[axis]))
            low[axis], high[axis] = ends
        if left > SETTLED:
            return Cells(low[None], high[None])
    return None
