"""Can the parameters be told apart at all? Asked before fitting, by the rank of the first derivatives.

A parameter is not identified when moving it (perhaps with others) moves no correlation. That is seen at points chosen
away from any symmetry; a model that is identified has full rank at almost all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array

__all__ = ["require_identified"]

# Singular values below this share of the largest (columns scaled to one) count as zero.
RANK = 1e-9
POINTS = 4


def require_identified(
    jacobian: Callable[[Array], Array | None], names: Sequence[str], what: str = "correlations"
) -> None:
    """Raise a `ModelError` that names the parameters which cannot be told apart.

    `jacobian` gives first derivatives `(rows, q)` at parameters `(q,)`, or None where there are none.
    """
    size = len(names)
    best, culprits = -1, np.ones(size, dtype=bool)
    rows = 0
    for point in range(POINTS):
        derivatives = jacobian(_point(size, point))
        if derivatives is None or not np.isfinite(derivatives).all():
            continue
        rows = len(derivatives)
        rank, blind = _rank(derivatives)
        if rank == size:
            return
        if rank > best:
            best, culprits = rank, blind
    listed = ", ".join(name for name, on in zip(names, culprits, strict=True) if on)
    reason = f"{size} parameters for {rows} {what}" if size > rows else f"no change of {what} tells them apart"
    raise ModelError(
        f"the model is not identified: {reason}. Affected: {listed}. Fix one of them (0*x), make some equal (same "
        "label) or leave a path out."
    )


def _point(size: int, index: int) -> Array:
    """A point between .1 and .5, spread by the fractional parts of multiples of the golden ratio, signs mixed."""
    steps = np.modf((np.arange(1, size + 1) + 17.0 * index) * 0.6180339887498949)[0]
    sign = np.where(np.modf((np.arange(1, size + 1) + 5.0 * index) * 0.7548776662466927)[0] < 0.3, -1.0, 1.0)
    return np.asarray(sign * (0.1 + 0.4 * steps))


def _rank(derivatives: Array) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The rank, and which columns take part in the directions that change nothing."""
    length = np.sqrt((derivatives**2).sum(axis=0))
    still = length <= 1e-12 * max(float(length.max(initial=0.0)), 1e-300)
    scaled = derivatives / np.where(still, 1.0, length)
    values, directions = np.linalg.svd(np.linalg.qr(scaled, mode="r"), full_matrices=True)[1:]
    padded = np.zeros(scaled.shape[1])
    padded[: len(values)] = values
    null = directions[padded <= RANK * max(float(padded.max(initial=0.0)), 1e-300)]
    blind = still | (np.abs(null) > 1e-6).any(axis=0)
    return scaled.shape[1] - len(null), blind
