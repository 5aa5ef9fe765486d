"""GOSH: the fit in every subset of studies, or in a random sample of the subsets (Olkin et al. 2012)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.errors import ModelError
from replication.models.batch import BatchFits
from replication.models.deletion import refit_subsets
from replication.models.fit import Fit
from replication.models.prepare import effect_data

__all__ = ["Gosh", "gosh"]


@dataclass(frozen=True, slots=True, eq=False)
class Gosh:
    """`fits` of B subsets; `members (B, m)` says which of the m `studies` each one holds. `complete`: no subset is

    missing but those smaller than `smallest` studies; otherwise they are a random sample.
    """

    studies: tuple[Hashable, ...]
    members: NDArray[np.bool_]
    fits: BatchFits
    smallest: int
    complete: bool


def gosh(
    fit: Fit,
    rng: np.random.Generator,
    *,
    studies: Sequence[Hashable] | None = None,
    subsets: int = 10_000,
    smallest: int | None = None,
) -> Gosh:
    """Refit in all subsets of studies if there are no more than `subsets`, else in that many drawn at random.

    Parameters
    ----------
    fit : from `fit_random_effects`
    rng : draws the subsets, each as likely as any other
    studies : (k,) study of each fitted effect, so that a study's effects stay together; None: each its own
    subsets : how many to fit at most
    smallest : least number of studies in a subset, by default one more than there are coefficients

    Raises `ModelError` when no subset is large enough.

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> len(gosh(fit, np.random.default_rng(1)).fits.tau2)
    11
    """
    data = effect_data(fit)
    labels = tuple(data.rows) if studies is None else tuple(studies)
    if len(labels) != fit.k:
        raise ModelError(f"studies has {len(labels)} labels but {fit.k} effects were fitted; pass one an effect.")
    names = tuple(dict.fromkeys(labels))
    least = len(fit.names) + 1 if smallest is None else smallest
    if not 1 <= least <= len(names):
        raise ModelError(
            f"no subset of {len(names)} studies holds {least} of them; choose `smallest` from 1 to {len(names)}."
        )
    complete = 2.0 ** len(names) - 1.0 <= subsets
    members = _all_subsets(len(names), least) if complete else _random_subsets(len(names), least, subsets, rng)
    position = {name: i for i, name in enumerate(names)}
    column = np.array([position[label] for label in labels])
    return Gosh(names, members, refit_subsets(fit, members[:, column].astype(float)), least, complete)


def _all_subsets(m: int, least: int) -> NDArray[np.bool_]:
    members = (np.arange(1, 2**m)[:, None] >> np.arange(m)) & 1
    return np.asarray(members[members.sum(axis=1) >= least], dtype=bool)


def _random_subsets(m: int, least: int, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Uniform over the subsets with `least` studies or more: their number first, then which."""
    sizes = np.arange(least, m + 1)
    weight = np.exp(_log_binomial(m, sizes) - _log_binomial(m, sizes).max())
    number = rng.choice(sizes, size=size, p=weight / weight.sum())
    rank = rng.random((size, m)).argsort(axis=1).argsort(axis=1)
    return np.asarray(rank < number[:, None])


def _log_binomial(m: int, sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.asarray(special.gammaln(m + 1.0) - special.gammaln(sizes + 1.0) - special.gammaln(m - sizes + 1.0))
