"""Many random-effects fits at once: many data sets, or many subsets and resamplings of one.

The same kernel as the single fit, with the data sets along the first axis, worked through in pieces that fit the
processor's cache and shared among its cores. For simulation, bootstrap, GOSH, leave-one-out and the multiverse.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from replication.errors import ModelError
from replication.models.estimation import Estimates, estimate_sets
from replication.models.fit import Array
from replication.models.literals import Tau2Method, TestMethod, check_choice
from replication.models.prepare import list_rows
from replication.models.weighted import EffectSets, effect_sets, moments, stacked_orthonormal, take

__all__ = ["BatchFits", "fit_batch"]

# Data sets in a piece times effects: temporary arrays of about a megabyte (measured best among 1,000 to 64,000).
PIECE = 8_000

# Rows in use whose share in the orthonormal design has a smaller eigenvalue than this have lost its rank.
RANK = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class BatchFits:
    """B fits side by side: `beta (B, p)`, `vcov (B, p, p)`, all others `(B,)`.

    `k` rows were used; `df` belongs to the t tests (`inf` means normal). A set that cannot be fitted (no more effects
    than coefficients, or a design that has lost its rank) is NaN throughout and False in `defined`.
    """

    beta: Array
    vcov: Array
    tau2: Array
    tau2_se: Array
    Q: Array
    I2: Array
    H2: Array
    loglik: Array
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
            return np.asarray(2.0 * stats.t.sf(np.abs(self.beta / self.se), self.df[:, None]))

    def interval(self, level: float = 0.95) -> Array:
        """Wald intervals `(B, p, 2)`."""
        half = np.asarray(stats.t.ppf(0.5 + 0.5 * level, self.df))[:, None] * self.se
        return np.stack([self.beta - half, self.beta + half], axis=-1)


def fit_batch(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None = None,
    *,
    counts: ArrayLike | None = None,
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
    method, test : as in `fit_random_effects`
    workers : threads; None uses every core. The numbers do not depend on it

    Raises `ModelError` for shapes that do not fit together, infinite values, and variances that are not positive.

    >>> fits = fit_batch([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], counts=[[1, 1, 1, 1], [1, 1, 1, 0]])
    >>> fits.tau2.round(6).tolist()
    [0.004997, 0.021573]
    """
    check_choice(method, Tau2Method, "method")
    check_choice(test, TestMethod, "test")
    batch = _prepare(y, v, x, counts)
    chosen = np.flatnonzero(batch.defined)
    step = max(1, PIECE // batch.sets.y.shape[-1])
    pieces = [chosen[i : i + step] for i in range(0, len(chosen), step)]

    def fit(index: NDArray[np.intp]) -> BatchFits:
        return _fit_piece(take(batch.sets, index), _pick(batch.to_beta, index), method, test)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        parts = list(pool.map(fit, pieces))
    return _assemble(batch, chosen, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    sets: EffectSets
    to_beta: Array
    defined: NDArray[np.bool_]


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
        df=e.df,
        k=e.q.df + sets.p,
        defined=np.ones(len(e.df), dtype=bool),
        converged=e.tau2.converged,
    )


def _assemble(batch: _Batch, chosen: NDArray[np.intp], parts: list[BatchFits]) -> BatchFits:
    """The pieces in their places; NaN (False) for sets that are not defined."""
    size, p = len(batch.defined), batch.sets.p
    empty = {"beta": (size, p), "vcov": (size, p, p)}
    columns = {}
    for column in fields(BatchFits):
        whole = np.full(empty.get(column.name, (size,)), np.nan)
        if parts:
            whole[chosen] = np.concatenate([getattr(part, column.name) for part in parts])
        columns[column.name] = whole
    columns["k"] = np.broadcast_to(batch.sets.k[:, 0], (size,))
    return BatchFits(**columns | {name: columns[name] == 1.0 for name in ("defined", "converged")})


def _prepare(y: ArrayLike, v: ArrayLike, x: ArrayLike | None, counts: ArrayLike | None) -> _Batch:
    """The data sets with absent rows counted 0 and filled with harmless numbers, and which of them can be fitted."""
    effects, variances = np.atleast_2d(np.array(y, dtype=float)), np.atleast_2d(np.array(v, dtype=float))
    k = effects.shape[-1]
    times = np.ones((1, k)) if counts is None else np.atleast_2d(np.array(counts, dtype=float))
    design = np.ones((1, k, 1)) if x is None else np.array(x, dtype=float)
    design = design[None] if design.ndim == 2 else design
    size = _common_size(effects, variances, times, design)
    absent = np.isnan(effects) | np.isnan(variances) | np.isnan(design).any(-1)
    if absent.any():
        times = np.where(absent, 0.0, times)
        effects, variances = np.where(absent, 0.0, effects), np.where(absent, 1.0, variances)
        design = np.where(absent[..., None], 0.0, design)
    _check_numbers(effects, variances, times, design)
    basis, full_rank = stacked_orthonormal(design)
    sets = effect_sets(effects, variances, basis.columns, times)
    defined = np.broadcast_to(full_rank & (sets.k[:, 0] > sets.p) & _spanned(sets), (size,))
    return _Batch(sets, basis.to_beta, defined)


def _common_size(effects: Array, variances: Array, times: Array, design: Array) -> int:
    """The number of data sets B, or a `ModelError` where the shapes do not fit together."""
    k = effects.shape[-1]
    shapes = f"y {effects.shape}, v {variances.shape}, counts {times.shape}, x {design.shape}"
    if design.ndim != 3 or any(a.ndim != 2 or a.shape[1] != k for a in (effects, variances, times, design[..., 0])):
        raise ModelError(
            f"the shapes do not fit together: {shapes}; y, v and counts are (B, k), x is (k, p) or (B, k, p)."
        )
    sizes = {len(a) for a in (effects, variances, times, design)} - {1}
    if len(sizes) > 1:
        raise ModelError(f"unequal numbers of data sets: {shapes}; each is B long, or 1 to be shared.")
    return sizes.pop() if sizes else 1


def _check_numbers(effects: Array, variances: Array, times: Array, design: Array) -> None:
    if not (np.isfinite(effects).all() and np.isfinite(variances).all() and np.isfinite(design).all()):
        raise ModelError("y, v or x holds an infinite value; correct it, or make it NaN to leave the row out.")
    if (variances <= 0).any():
        rows = np.unique(np.argwhere(variances <= 0)[:, 1]).tolist()
        raise ModelError(f"{list_rows(rows)} with a sampling variance that is not positive; pass v > 0.")
    if not (np.isfinite(times) & (times >= 0)).all():
        raise ModelError("counts must be 0 or more: how often each row is used.")


def _spanned(sets: EffectSets) -> NDArray[np.bool_]:
    """Whether the rows in use still tell all columns apart `(B,)`."""
    gram = moments(sets, (sets.counts > 0).astype(float))[:, 0]
    return np.asarray(np.linalg.eigvalsh(gram)[..., 0] > RANK if sets.p > 1 else gram[..., 0, 0] > 0)
