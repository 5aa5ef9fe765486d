"""Permutation tests and bootstrap intervals of random-effects models, by thousands of refits at once (`fit_batch`).

A permutation test asks no normality of true effects: under the null hypothesis moderators can be exchanged between
studies, or the sign of every effect turned. Sources: Follmann & Proschan (1999); Higgins & Thompson (2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from math import factorial
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Interval
from replication.models.multilevel.groups import group_codes
from replication.models.options import Tau2Method, TestMethod
from replication.models.prepare import check_level, effect_data
from replication.models.readable import Readable
from replication.models.two_level.batch import BatchFits, fit_batch

__all__ = ["Bootstrap", "PermutationTest", "bootstrap", "permutation_test"]

# Statistics that differ by less than this share count as equal: rounding must not decide on which side one falls.
TIE = 1e-10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PermutationTest(Readable):
    """P values `(p,)` of coefficients called `names`, and of all moderators together (`omnibus`; NaN without any).

    `exact` says that every one of the `draws` arrangements was tried, the observed one among them.
    """

    names: tuple[str, ...]
    p: Array
    omnibus: float
    draws: int
    exact: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bootstrap(Readable):
    """Coefficients `beta (B, p)` and `tau2 (B,)` of B samples of studies with replacement; `names` of coefficients."""

    names: tuple[str, ...]
    beta: Array
    tau2: Array

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """The percentile interval of a coefficient, or of `tau2`."""
        check_level(level)
        if name != "tau2" and name not in self.names:
            raise ModelError(f"no coefficient {name!r}; there are {', '.join(self.names)} and tau2.")
        values = self.tau2 if name == "tau2" else self.beta[:, self.names.index(name)]
        low, high = np.nanquantile(values, [0.5 - level / 2.0, 0.5 + level / 2.0])
        return Interval(float(low), float(high), level, "bootstrap percentiles")


def permutation_test(fit: Fit, rng: np.random.Generator, *, draws: int = 10_000) -> PermutationTest:
    """Test coefficients by exchanging moderators between effects, or the signs of effects where there are none.

    All arrangements are tried if there are no more than `draws`, else that many at random beside the observed one.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2, 0.4, 0.3], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02])
    >>> permutation_test(fit, np.random.default_rng(1)).p.tolist()
    [0.03125]
    """
    data = effect_data(fit)
    if draws < 100:
        raise ModelError(f"draws={draws} are too few for a p value; use 1,000 or more.")
    k, p = data.x.shape
    method, test = _choices(fit)
    # Without moderators there is nothing to exchange: under a mean of 0 every sign is as likely as the other.
    alone = p == 1 and np.ptp(data.x[:, 0]) == 0.0
    # 20! is far beyond any number of draws, and cheaper to know than the factorial of thousands.
    exact = (2**k if alone else factorial(min(k, 20))) <= draws
    if alone:
        signs = _signs(k, rng, draws, exact=exact)
        fits = fit_batch(signs * data.y, data.v, data.x, method=method, test=test)
    else:
        order = _orders(k, rng, draws, exact=exact)
        fits = fit_batch(data.y, data.v, data.x[order], method=method, test=test)
    return _p_values(fit, fits, exact=exact, alone=alone)


def bootstrap(
    fit: Fit, rng: np.random.Generator, *, draws: int = 10_000, clusters: ArrayLike | None = None
) -> Bootstrap:
    """Refit to samples of studies with replacement; rows that depend are drawn by `clusters (k,)`, whole.

    Samples whose design cannot carry the model are NaN.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2, 0.4, 0.3], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02])
    >>> found = bootstrap(fit, np.random.default_rng(1), draws=2000)
    >>> 0.1 < found.interval("intercept").low < 0.25
    True
    """
    data = effect_data(fit)
    codes = np.arange(len(data.y)) if clusters is None else group_codes(clusters, len(data.y), "clusters")
    if (codes < 0).any():
        raise ModelError("clusters has a row without a label; label it or leave it out of the fit.")
    m = int(codes.max()) + 1
    chosen = rng.integers(0, m, size=(draws, m))
    # How often each study was drawn is all a fit needs: one batch with counts, and no copied rows.
    times = np.stack([np.bincount(row, minlength=m) for row in chosen])
    method, test = _choices(fit)
    counts = times[:, codes].astype(float)
    fits = fit_batch(data.y, data.v, data.x, counts=counts, weights=data.weights, method=method, test=test)
    return Bootstrap(fit.names, fits.beta, fits.tau2)


def _choices(fit: Fit) -> tuple[Tau2Method, TestMethod]:
    if fit.method["tau2"] == "fixed":
        raise ModelError("tau2 of this fit was held at a value; refit without holding it.")
    return cast(Tau2Method, fit.method["tau2"]), cast(TestMethod, fit.method["test"])


def _signs(k: int, rng: np.random.Generator, draws: int, *, exact: bool) -> Array:
    """Signs `(B, k)`, the observed ones first."""
    if exact:
        return np.array(list(product((1.0, -1.0), repeat=k)))
    # The observed arrangement is one of the draws, so that no p value is 0 (Phipson & Smyth 2010).
    drawn = rng.integers(0, 2, size=(draws - 1, k)) * 2.0 - 1.0
    return np.vstack([np.ones(k), drawn])


def _orders(k: int, rng: np.random.Generator, draws: int, *, exact: bool) -> NDArray[np.intp]:
    """Arrangements `(B, k)` of rows of the design, the observed one first."""
    if exact:
        return np.array(list(permutations(range(k))), dtype=np.intp)
    drawn = rng.permuted(np.tile(np.arange(k), (draws - 1, 1)), axis=1)
    return np.vstack([np.arange(k), drawn]).astype(np.intp)


def _p_values(fit: Fit, fits: BatchFits, *, exact: bool, alone: bool) -> PermutationTest:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(fits.beta / fits.se)
    reached = z >= np.abs(fit.statistic) * (1.0 - TIE)
    # Arrangements whose model cannot be fitted count neither for nor against.
    defined = ~np.isnan(z)
    p = reached.sum(axis=0) / defined.sum(axis=0)
    others = [j for j, name in enumerate(fit.names) if name != "intercept"]
    omnibus = float("nan")
    if others and not alone:
        chi2 = _omnibus(fits.beta[:, others], fits.vcov[:, others][:, :, others])
        own = _omnibus(fit.beta[None, others], fit.vcov[np.ix_(others, others)][None])[0]
        omnibus = float((chi2 >= own * (1.0 - TIE)).sum() / (~np.isnan(chi2)).sum())
    return PermutationTest(fit.names, np.asarray(p), omnibus, len(z), exact)


def _omnibus(beta: Array, vcov: Array) -> Array:
    """Wald statistics `(B,)` of all coefficients given; NaN where a fit is not defined."""
    found = np.full(len(beta), np.nan)
    whole = np.isfinite(vcov).all(axis=(1, 2)) & np.isfinite(beta).all(axis=1)
    solved = np.linalg.solve(vcov[whole], beta[whole][:, :, None])[:, :, 0]
    found[whole] = np.einsum("bi,bi->b", beta[whole], solved)
    return found
