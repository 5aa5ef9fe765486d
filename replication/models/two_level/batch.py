"""Many random-effects fits at once: many data sets, or many subsets and resamplings of one.

The same kernel as the single fit, with the data sets along the first axis, worked through in pieces that fit the
processor's cache and shared among its cores. For simulation, bootstrap, GOSH, leave-one-out and the multiverse. The
first part of the file turns what a user passes into such sets: shapes, absent rows, rank.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.least_squares import EffectSets, effect_sets, stacked_orthonormal, take
from replication.models.options import Tau2Method, TestMethod, check_choice
from replication.models.prepare import list_rows
from replication.models.probability import t_ppf, t_sf
from replication.models.readable import Readable
from replication.models.two_level.random_effects import Estimates, estimate_sets
from replication.models.two_level.tau2 import INVERSE_VARIANCE

__all__ = ["Batch", "BatchFits", "fit_batch", "prepare_batch"]

# Rows in use whose share in the orthonormal design has a smaller eigenvalue than this have lost its rank.
RANK = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Many data sets, ready for the kernel.

    The data sets, the way from their basis to coefficients `to_beta (B or 1, p, p)`, which can be fitted, and which are
    saturated: as many effects as coefficients.
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
    design = np.ones((1, k, 1)) if x is None else np.asarray(x, dtype=float)
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
    return np.atleast_2d(np.asarray(values, dtype=float))


def _common_size(arrays: _Arrays) -> int:
    """The number of data sets B, or a `ModelError` where the shapes do not fit together."""
    flat = [arrays.y, arrays.v, arrays.counts] + ([] if arrays.weights is None else [arrays.weights])
    k = arrays.y.shape[-1]
    shapes = f"y, v, counts, weights {[a.shape for a in flat]} and x {arrays.x.shape}"
    if arrays.x.ndim != 3 or arrays.x.shape[1] != k or any(a.ndim != 2 or a.shape[1] != k for a in flat):
        raise ModelError(
            f"the shapes do not fit together: {shapes}; pass (k,) or (B, k), and x as (k, p) or (B, k, p)."
        )
    # one set shared by all stays one array: 10,000 bootstrap counts over the same y need no copies of it
    sizes = {len(a) for a in (*flat, arrays.x)} - {1}
    if len(sizes) > 1:
        raise ModelError(f"unequal numbers of data sets: {shapes}; each is B long, or 1 to be shared.")
    return sizes.pop() if sizes else 1


def _without_absent(arrays: _Arrays) -> _Arrays:
    # an absent row stays in the array with count 0: sets of unequal size go through one kernel
    absent = np.isnan(arrays.y) | np.isnan(arrays.v) | np.isnan(arrays.x).any(-1)
    if arrays.weights is not None:
        absent = absent | np.isnan(arrays.weights)
    if not absent.any():
        return arrays
    y = np.where(absent, np.nan, arrays.y)
    present = np.maximum((~absent).sum(-1, keepdims=True), 1)
    return _Arrays(
        # the mean of what is there: a filler that moves no centred sum by rounding
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


# Data sets in a piece times effects: arrays of a quarter megabyte (measured best among 8,000 to 60,000).
PIECE = 30_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchFits(Readable):
    """B fits side by side: `beta (B, p)`, `vcov (B, p, p)`, all others `(B,)`.

    `k` rows were used; `scale` is the test's factor in `vcov`; `df` belongs to the t tests (`inf` means normal). A set
    that cannot be fitted (fewer effects than coefficients, a design that has lost its rank, variances of 0 with a tau2
    of 0) is NaN throughout and False in `defined`. With as many effects as coefficients, most often a single one,
    the common-effect result stands, its tau2 NaN.
    """

    beta: Array
    vcov: Array
    tau2: Array
    tau2_se: Array
    Q: Array
    I2: Array
    H2: Array
    loglik: Array
    scale: Array
    df: Array
    k: Array
    defined: NDArray[np.bool_]
    converged: NDArray[np.bool_]

    @property
    def se(self) -> Array:
        """Standard errors `(B, p)`."""
        return np.sqrt(np.diagonal(self.vcov, axis1=1, axis2=2))

    @property
    def p(self) -> Array:
        """Two-sided p values `(B, p)`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2.0 * t_sf(np.abs(self.beta / self.se), self.df[:, None]))

    def interval(self, level: float = 0.95) -> Array:
        """Wald intervals `(B, p, 2)`."""
        half = np.asarray(t_ppf(0.5 + 0.5 * level, self.df))[:, None] * self.se
        return np.stack([self.beta - half, self.beta + half], axis=-1)


def fit_batch(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    counts: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    workers: int | None = None,
) -> BatchFits:
    """Fit B data sets, each as `fit_random_effects` would, to within rounding.

    Parameters
    ----------
    y, v : (B, k), or (k,) for data shared by all sets; NaN marks a row a set does not have (data sets of unequal k)
    x : (k, p) design shared by all sets or (B, k, p); None fits an intercept only
    counts : (B, k) how often each row is used: 0 leaves it out, 2 uses it twice (bootstrap); None uses each once
    weights : (k,) or (B, k) to use for the coefficients instead of `1 / (v + tau2)`
    method, test : as in `fit_random_effects`
    workers : threads; None uses every core. The numbers do not depend on it

    Raises `ModelError` for shapes that do not fit together, infinite values, and variances that are not positive.

    >>> fits = fit_batch([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], counts=[[1, 1, 1, 1], [1, 1, 1, 0]])
    >>> fits.tau2.round(6).tolist()
    [0.004997, 0.021573]
    """
    check_choice(method, Tau2Method, "method")
    check_choice(test, TestMethod, "test")
    batch = prepare_batch(y, v, x, counts, weights)
    _refuse_zero_variances(batch.sets, method)
    step = max(1, PIECE // batch.sets.y.shape[-1])
    rows = np.flatnonzero(batch.defined)
    pieces = [rows[i : i + step] for i in range(0, len(rows), step)]

    def fit(index: NDArray[np.intp]) -> BatchFits:
        return _fit_piece(take(batch.sets, index), _pick(batch.to_beta, index), method, test)

    # threads, not processes: numpy lets go of the interpreter inside the kernel; one piece needs none
    if len(pieces) == 1:
        parts = [fit(pieces[0])]
    else:
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            parts = list(pool.map(fit, pieces))
    if len(saturated := np.flatnonzero(batch.saturated)):
        pieces.append(saturated)
        parts.append(_fit_saturated(take(batch.sets, saturated), _pick(batch.to_beta, saturated)))
    return _assemble(batch, pieces, parts)


def _pick(array: Array, index: NDArray[np.intp]) -> Array:
    return array if len(array) == 1 else array[index]


def _fit_piece(sets: EffectSets, to_beta: Array, method: Tau2Method, test: TestMethod) -> BatchFits:
    e: Estimates = estimate_sets(sets, method, test)
    return BatchFits(
        beta=np.asarray(np.matvec(to_beta, sets.start + e.gamma)),
        vcov=e.scale[:, None, None] * (to_beta @ e.cov @ to_beta.mT),
        tau2=e.tau2.value,
        tau2_se=e.tau2.se,
        Q=e.q.Q,
        I2=e.q.I2,
        H2=e.q.H2,
        loglik=e.loglik,
        scale=e.scale,
        df=e.df,
        k=e.q.df + sets.p,
        # a row without sampling variance takes all the weight when tau2 sinks to its floor
        defined=(sets.floor[:, 0] == 0) | (e.tau2.value > sets.floor[:, 0]),
        converged=e.tau2.converged,
    )


def _fit_saturated(sets: EffectSets, to_beta: Array) -> BatchFits:
    """As many effects as coefficients: the common-effect result with z tests; tau2, I2 and H2 are not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # with no residual left there is no tau2 to estimate and no t test to make
        fits = _fit_piece(sets, to_beta, "EE", "z")
    nan = np.full(len(fits.tau2), np.nan)
    return replace(fits, tau2=nan, Q=np.zeros(len(nan)), I2=nan, H2=nan, defined=sets.floor[:, 0] == 0)


def _assemble(batch: Batch, pieces: list[NDArray[np.intp]], parts: list[BatchFits]) -> BatchFits:
    """The pieces in their places; NaN (False) for sets that are not defined."""
    size, p = len(batch.defined), batch.sets.p
    shapes = {"beta": (size, p), "vcov": (size, p, p)}
    columns = {column.name: np.full(shapes.get(column.name, (size,)), np.nan) for column in fields(BatchFits)}
    for index, part in zip(pieces, parts, strict=True):
        for name, whole in columns.items():
            given = getattr(part, name)
            whole[index] = given if part.defined.all() else np.where(_like(part.defined, whole), given, np.nan)
    columns["k"] = np.broadcast_to(batch.sets.k[:, 0], (size,))
    for flag in ("defined", "converged"):
        columns[flag] = columns[flag] == 1.0
    return BatchFits(**columns)


def _like(flags: NDArray[np.bool_], whole: Array) -> NDArray[np.bool_]:
    return flags.reshape(-1, *[1] * (whole.ndim - 1))


def _refuse_zero_variances(sets: EffectSets, method: Tau2Method) -> None:
    if method in INVERSE_VARIANCE and (sets.floor > 0).any():
        raise ModelError(
            f"{int((sets.floor > 0).sum())} data sets have a sampling variance of 0, which {method} would weigh "
            "infinitely; correct it, leave the rows out, or use REML, PM, SJ or HE."
        )
