"""From what a user passes to what a model needs: arrays of checked shape, complete rows, a design of full rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError, list_rows
from replication.models.fit import Array, Fit, Note
from replication.models.least_squares import COLLINEAR

__all__ = [
    "EffectData",
    "as_numbers",
    "check_level",
    "check_rank",
    "effect_data",
    "is_number",
    "list_rows",
    "prepare_effects",
]


def as_numbers(values: ArrayLike, name: str) -> Array:
    """A copy as floats; masked entries become NaN. A `ModelError` names what holds no real numbers.

    >>> as_numbers(np.ma.masked_equal([1, 2], 2), "y").tolist()
    [1.0, nan]
    """
    try:
        if np.ma.isMaskedArray(values):
            values = np.ma.filled(np.ma.asarray(values).astype(float), np.nan)
        if np.iscomplexobj(values):
            raise TypeError("complex numbers")
        return np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{name} holds something not a number ({error}); pass one number per effect.") from None


def is_number(value: object) -> bool:
    """Whether a value is one real number, numpy's among them."""
    return isinstance(value, int | float | np.integer | np.floating)


@dataclass(frozen=True, slots=True, eq=False)
class EffectData:
    """What a two-level model was fitted to: `y, v (k,)`, design `x (k, p)`, user `weights (k,)` if any.

    `rows` are the positions of the k effects in the arrays as they were passed.
    """

    y: Array
    v: Array
    x: Array
    names: tuple[str, ...]
    rows: tuple[int, ...]
    weights: Array | None = None


# Models square effects and weights: beyond this the squares leave the range of floats.
FAR = 1e150


def prepare_effects(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
) -> tuple[EffectData, tuple[Note, ...]]:
    """Check the input, leave out rows with a NaN (with a note that names them) and make sure the design has full rank.

    Raises `ModelError` for unequal lengths, infinite or negative values, no rows left, or collinear columns.
    """
    effects = _vector(y, "y", None)
    k = len(effects)
    variances = _vector(v, "v", k)
    design = np.ones((k, 1)) if x is None else _matrix(x, k)
    columns = None if names is not None else getattr(x, "columns", None)  # a data frame names its own
    labels = _labels(names if columns is None else [str(name) for name in columns], design)
    user = None if weights is None else _vector(weights, "weights", k)
    data = EffectData(effects, variances, design, labels, tuple(range(k)), user)
    notes: tuple[Note, ...] = ()
    if not _plainly_sound(data):
        data, notes = _complete(data)
        _check_values(data)
    check_rank(data.x, data.names)
    if columns is not None:
        notes += _intercept_note(data)
    if user is not None:
        _check_weights(data)
    return data, notes


def effect_data(fit: Fit) -> EffectData:
    """The data of a fit by `fit_random_effects`, or a `ModelError` for a fit of another model."""
    if not isinstance(fit.data, EffectData):
        raise ModelError(
            "this needs a fit by fit_random_effects; the fit given is of another model. For a multilevel fit use "
            "leave_one_cluster_out or cluster_influence, which leave out whole clusters."
        )
    return fit.data


def check_level(level: float) -> float:
    """The confidence level itself, or a `ModelError` unless it lies between 0 and 1."""
    if not is_number(level) or not 0.0 < level < 1.0:
        raise ModelError(f"level={level!r} is not between 0 and 1; write 0.95 for a 95 % interval.")
    return float(level)


def _vector(values: ArrayLike, name: str, length: int | None) -> Array:
    vector = as_numbers(values, name)
    if vector.ndim != 1:
        raise ModelError(f"{name} has shape {vector.shape}; pass a vector with one number per effect.")
    if length is not None and len(vector) != length:
        raise ModelError(f"{name} has {len(vector)} values but y has {length}; pass one value per effect.")
    return vector


def _matrix(x: ArrayLike, k: int) -> Array:
    matrix = as_numbers(x, "x")
    if matrix.ndim != 2 or len(matrix) != k or matrix.shape[1] == 0:
        raise ModelError(
            f"x has shape {matrix.shape}; pass the whole design as ({k}, p), a row per effect, "
            "with a column of ones if the model has an intercept."
        )
    return matrix


def _labels(names: Sequence[str] | None, x: Array) -> tuple[str, ...]:
    """The names given, or `intercept` for a column of ones and x0, x1, ... by position for the others."""
    p = x.shape[1]
    if names is None:
        constant = next((j for j in range(p) if (x[:, j] == 1.0).all()), None)
        return tuple("intercept" if j == constant else f"x{j}" for j in range(p))
    labels = tuple(names)
    if len(labels) != p or len(set(labels)) != p:
        raise ModelError(f"names={labels!r} does not name the {p} columns of the design; pass {p} different names.")
    return labels


def _plainly_sound(data: EffectData) -> bool:
    """Whether every number has a square and no variance is negative; where not, or in doubt, masks tell the rows.

    Sums in place of masks, as a single fit has little else to do.
    """
    if not len(data.y):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(data.y @ data.y) + float(data.v @ data.v) + float(np.vdot(data.x, data.x))
        if data.weights is not None:
            total += float(data.weights.sum())
    least = float(data.v.min())
    return math.isfinite(total) and (least == 0.0 or least >= 1.0 / FAR)


def _complete(data: EffectData) -> tuple[EffectData, tuple[Note, ...]]:
    """The rows without a NaN, and a note of the others."""
    y, v, x, weights = data.y, data.v, data.x, data.weights
    missing = np.isnan(y) | np.isnan(v) | np.isnan(x).any(axis=1)
    if weights is not None:
        missing |= np.isnan(weights)
    if missing.all():
        raise ModelError(
            f"no effect is left: of {len(y)} rows every one has a missing value; pass at least one whole row."
        )
    rows = tuple(np.flatnonzero(missing).tolist())
    if not rows:  # infinite values, negative variances, sums that overflowed
        return data, ()
    kept = ~missing
    used = tuple(np.flatnonzero(kept).tolist())
    whole = EffectData(y[kept], v[kept], x[kept], data.names, used, None if weights is None else weights[kept])
    return whole, (Note("excluded-rows", f"{list_rows(rows)} left out: a value is missing (NaN).", rows),)


def _intercept_note(data: EffectData) -> tuple[Note, ...]:
    """A note where the columns of a data frame were taken for the whole design and no intercept is among them."""
    ones = np.ones(len(data.x))
    if np.abs(data.x @ np.linalg.lstsq(data.x, ones)[0] - 1.0).max() < COLLINEAR:
        return ()
    message = (
        f"the data frame has no column of ones, so the model has no intercept: only {', '.join(data.names)}. Add one, "
        "or write a formula: replication.random_effects('yi ~ ...', data)."
    )
    return (Note("no-intercept", message),)


def _check_values(data: EffectData) -> None:
    finite = np.isfinite(data.y) & np.isfinite(data.v) & np.isfinite(data.x).all(axis=1)
    _refuse(data, ~finite, "with an infinite value; correct it, or make it NaN to leave the row out")
    _refuse(data, data.v < 0, "with a negative sampling variance; pass variances (squared standard errors)")
    wide = (np.abs(data.y) > FAR) | (data.v > FAR) | (np.abs(data.x) > FAR).any(axis=1)
    wide |= (data.v > 0) & (data.v < 1 / FAR)
    limits = f"a number beyond {FAR:g} or a variance below {1 / FAR:g}"
    _refuse(data, wide, f"with {limits}, whose squares are no numbers; correct it, or check the units")


def _refuse(data: EffectData, bad: NDArray[np.bool_], problem: str) -> None:
    if bad.any():
        rows = [data.rows[i] for i in np.flatnonzero(bad)]
        raise ModelError(f"{list_rows(rows)} {problem}.")


def _check_weights(data: EffectData) -> None:
    weights = data.weights if data.weights is not None else np.ones(len(data.y))
    bad = ~np.isfinite(weights) | (weights < 0)
    _refuse(data, bad, "with a negative or infinite weight; pass weights of 0 or more")
    try:
        check_rank(data.x[weights > 0], data.names)
    except ModelError as error:
        raise ModelError(f"with the rows of positive weight alone: {error}") from None


def check_rank(x: Array, names: Sequence[str]) -> None:
    """Raise a `ModelError` that names the columns of `x (k, p)` whose effects cannot be told apart."""
    k, p = x.shape
    if p > k:
        raise ModelError(f"{p} coefficients ({', '.join(names)}) but only {k} effects; use fewer moderators.")
    lengths = np.sqrt((x * x).sum(axis=0))
    if p == 1 and lengths[0] > 0:  # a mean alone, most fits there are: a factorisation would take a sixth of its time
        return
    scaled = x / np.where(lengths > 0, lengths, 1.0)
    # what is left of each column after those before it, all at once; a column of zeros has nothing left either
    left = np.abs(np.diagonal(np.linalg.qr(scaled, mode="r")))
    for j in np.flatnonzero((left < COLLINEAR) | (lengths == 0)).tolist():
        if lengths[j] == 0:
            raise ModelError(f"column {names[j]!r} is all zeros; leave it out.")
        _check_column(scaled, j, names)


def _check_column(x: Array, j: int, names: Sequence[str]) -> None:
    share = np.linalg.lstsq(x[:, :j], x[:, j])[0]
    if np.linalg.norm(x[:, j] - x[:, :j] @ share) >= COLLINEAR:
        return
    others = [repr(names[i]) for i in range(j) if abs(share[i]) > 1e-8]
    raise ModelError(
        f"column {names[j]!r} is a combination of {', '.join(others)}: their effects cannot be told apart; "
        "leave one of them out."
    )
