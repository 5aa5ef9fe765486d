"""From what a user passes to `fit_batch` to data sets the kernel can take: shapes, absent rows, rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.prepare import list_rows
from replication.models.weighted import EffectSets, effect_sets, stacked_orthonormal

__all__ = ["Batch", "prepare_batch"]

# Rows in use whose share in the orthonormal design has a smaller eigenvalue than this have lost its rank.
RANK = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The data sets, the way from their basis to coefficients `to_beta (B or 1, p, p)`, which can be fitted, and

    which are saturated: as many effects as coefficients.
    """

    sets: EffectSets
    to_beta: Array
    defined: NDArray[np.bool_]
    saturated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    """As `(B or 1, k)`, `x` as `(B or 1, k, p)`; absent rows are NaN in any of them."""

    y: Array
    v: Array
    x: Array
    counts: Array
    weights: Array | None


def prepare_batch(
    y: ArrayLike, v: ArrayLike, x: ArrayLike | None, counts: ArrayLike | None, weights: ArrayLike | None
) -> Batch:
    """Check shapes and values; count absent rows 0 times and fill them with harmless numbers."""
    effects = _rows(y)
    k = effects.shape[-1]
    design = np.ones((1, k, 1)) if x is None else np.array(x, dtype=float)
    arrays = _Arrays(
        effects,
        _rows(v),
        design[None] if design.ndim == 2 else design,
        np.ones((1, k)) if counts is None else _rows(counts),
        None if weights is None else _rows(weights),
    )
    size = _common_size(arrays)
    arrays = _without_absent(arrays)
    _check_numbers(arrays)
    basis, full_rank = stacked_orthonormal(arrays.x)
    sets = effect_sets(arrays.y, arrays.v, basis.columns, arrays.counts, arrays.weights)
    spanned, spare = full_rank & _spanned(sets), sets.k[:, 0] - sets.p
    defined, saturated = np.broadcast_arrays(spanned & (spare > 0), spanned & (spare == 0), np.empty(size))[:2]
    return Batch(sets, basis.to_beta, defined, saturated)


def _rows(values: ArrayLike) -> Array:
    return np.atleast_2d(np.array(values, dtype=float))


def _common_size(arrays: _Arrays) -> int:
    """The number of data sets B, or a `ModelError` where the shapes do not fit together."""
    flat = [arrays.y, arrays.v, arrays.counts] + ([] if arrays.weights is None else [arrays.weights])
    k = arrays.y.shape[-1]
    shapes = f"y, v, counts, weights {[a.shape for a in flat]} and x {arrays.x.shape}"
    if arrays.x.ndim != 3 or arrays.x.shape[1] != k or any(a.ndim != 2 or a.shape[1] != k for a in flat):
        raise ModelError(
            f"the shapes do not fit together: {shapes}; pass (k,) or (B, k), and x as (k, p) or (B, k, p)."
        )
    sizes = {len(a) for a in (*flat, arrays.x)} - {1}
    if len(sizes) > 1:
        raise ModelError(f"unequal numbers of data sets: {shapes}; each is B long, or 1 to be shared.")
    return sizes.pop() if sizes else 1


def _without_absent(arrays: _Arrays) -> _Arrays:
    absent = np.isnan(arrays.y) | np.isnan(arrays.v) | np.isnan(arrays.x).any(-1)
    if arrays.weights is not None:
        absent = absent | np.isnan(arrays.weights)
    if not absent.any():
        return arrays
    y = np.where(absent, np.nan, arrays.y)
    present = np.maximum((~absent).sum(-1, keepdims=True), 1)
    return _Arrays(
        np.where(absent, np.nansum(y, axis=-1, keepdims=True) / present, y),
        np.where(absent, 1.0, arrays.v),
        np.where(absent[..., None], 0.0, arrays.x),
        np.where(absent, 0.0, arrays.counts),
        None if arrays.weights is None else np.where(absent, 0.0, arrays.weights),
    )


def _check_numbers(arrays: _Arrays) -> None:
    if not all(np.isfinite(a).all() for a in (arrays.y, arrays.v, arrays.x)):
        raise ModelError("y, v or x holds an infinite value; correct it, or make it NaN to leave the row out.")
    if (arrays.v < 0).any():
        rows = np.unique(np.argwhere(arrays.v < 0)[:, 1]).tolist()
        raise ModelError(f"{list_rows(rows)} with a negative sampling variance; pass squared standard errors.")
    for name, a in (("counts", arrays.counts), ("weights", arrays.weights)):
        if a is not None and not (np.isfinite(a) & (a >= 0)).all():
            raise ModelError(f"{name} must be finite and 0 or more.")


def _spanned(sets: EffectSets) -> NDArray[np.bool_]:
    """Whether the rows in use (with a positive weight) still tell all columns apart `(B,)`."""
    used = (sets.counts > 0) if sets.weights is None else (sets.counts > 0) & (sets.weights > 0)
    rows = used * sets.columns
    gram = rows @ rows.mT
    return np.asarray(np.linalg.eigvalsh(gram)[..., 0] > RANK if sets.p > 1 else gram[..., 0, 0] > 0)
