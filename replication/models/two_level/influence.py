"""How much each study pulls on a fit: leave-one-out, cumulative, influence statistics, Baujat's plot, GOSH.

Outliers and influence as in Viechtbauer & Cheung (2010). GOSH is the fit in every subset of studies, or in a random
sample of the subsets (Olkin et al. 2012). Refits are one batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Array, Fit
from replication.models.least_squares import orthonormal
from replication.models.options import Tau2Method, TestMethod
from replication.models.prepare import EffectData, effect_data
from replication.models.readable import Readable
from replication.models.two_level.batch import BatchFits, fit_batch
from replication.models.two_level.deletion import deleted_fits, variances_at

__all__ = [
    "Baujat",
    "Gosh",
    "Influence",
    "SubsetFits",
    "baujat",
    "cumulative",
    "gosh",
    "influence",
    "leave_one_out",
    "refit_subsets",
]


# From so many effects on deletions are differences of sums over all: fewer fit faster one by one, in one batch.
MANY = 60


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SubsetFits(Readable):
    """One refit a step: `rows[i]` is the row (as passed to the fit) left out or added last at step i.

    `fits.defined[i]` is False, and its numbers NaN, where too few effects are left for the coefficients.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    fits: BatchFits
    level: float

    def interval(self, level: float | None = None) -> Array:
        """Wald intervals `(steps, p, 2)`, at the fit's own level by default."""
        return self.fits.interval(self.level if level is None else level)


def leave_one_out(fit: Fit) -> SubsetFits:
    """Refit without each effect in turn, with the estimator and test of `fit`.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> leave_one_out(fit).fits.beta[:, 0].round(6).tolist()
    [0.286775, 0.224089, 0.18, 0.267297]
    """
    data = effect_data(fit)
    return SubsetFits(fit.names, data.rows, _refit_without_each(fit), fit.level)


def cumulative(fit: Fit, order: Sequence[int] | None = None) -> SubsetFits:
    """Refit with the effects added one at a time in `order` (positions among the fitted effects; as given by default).

    A first step with as many effects as coefficients has the common-effect result; before that nothing is defined.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> cumulative(fit).fits.beta[:, 0].round(6).tolist()
    [0.1, 0.175, 0.267297, 0.22924]
    """
    data = effect_data(fit)
    k = len(data.y)
    steps = np.arange(k) if order is None else np.array(order, dtype=np.intp)
    if sorted(steps.tolist()) != list(range(k)):
        raise ModelError(f"order must hold each position from 0 to {k - 1} once; got {len(steps)} entries.")
    position = np.argsort(steps)
    counts = (position[None, :] <= np.arange(k)[:, None]).astype(float)
    return SubsetFits(fit.names, tuple(data.rows[i] for i in steps), refit_subsets(fit, counts), fit.level)


def _refit_without_each(fit: Fit) -> BatchFits:
    """Refits without each effect; of many effects by differences of sums, in time linear in their number."""
    data = effect_data(fit)
    k, method, test = len(data.y), fit.method["tau2"], cast(TestMethod, fit.method["test"])
    if k >= MANY and method in ("REML", "ML") and data.weights is None and (data.v > 0).all():
        fits = deleted_fits(data.y, data.v, data.x, restricted=method == "REML", test=test)
        if fits is not None:
            return fits
    return refit_subsets(fit, 1.0 - np.eye(k))


def refit_subsets(fit: Fit, counts: Array) -> BatchFits:
    """Refit with each effect used `counts (B, k)` times, with the estimator, test and weights of `fit`."""
    data = effect_data(fit)
    if fit.method["tau2"] == "fixed":
        raise ModelError("tau2 of this fit was held at a value; refit without holding it to leave effects out.")
    method, test = cast(Tau2Method, fit.method["tau2"]), cast(TestMethod, fit.method["test"])
    return fit_batch(data.y, data.v, data.x, counts=counts, weights=data.weights, method=method, test=test)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Influence(Readable):
    """Deletion diagnostics of the k effects, `(k,)` unless said otherwise; "deleted" means refitted without it.

    rstudent   residual from the deleted fit over its standard deviation (z scale)
    dffits     change of the fitted value in units of its standard deviation
    cook       Cook's distance: squared change of all coefficients in their covariance
    hat        leverage; sums to p
    covratio   generalised variance of the coefficients, deleted over full
    dfbetas    (k, p) change of each coefficient in standard deviations
    tau2_deleted, Q_deleted   tau2 and Cochran's Q without the effect
    weight     share in the pooled estimate, per cent; NaN with moderators
    Where the effects without one lie on the model exactly, the Knapp-Hartung scale is 0 and its measures are NaN.
    influential   by the rule of Viechtbauer & Cheung: |dffits| > 3 sqrt(p / (k - p)), Cook's distance beyond the
               median of chi-square(p), hat > 3 p / k, or any |dfbetas| > 1
    """

    rows: tuple[int, ...]
    rstudent: Array
    dffits: Array
    cook: Array
    hat: Array
    covratio: Array
    dfbetas: Array
    tau2_deleted: Array
    Q_deleted: Array
    weight: Array
    influential: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Baujat(Readable):
    """Per effect `(k,)`: its squared Pearson residual (share in heterogeneity) against its pull on its fitted value."""

    rows: tuple[int, ...]
    heterogeneity: Array
    influence: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Deletion:
    """A fit beside its k deleted refits, with weights `w (k,)`, leverages and deleted predictions `(k,)`."""

    data: EffectData
    refits: BatchFits
    tau2: float
    w: Array
    hat: Array
    fitted: Array
    predicted: Array
    prediction_variance: Array


def influence(fit: Fit) -> Influence:
    """Deletion diagnostics of every effect. Definitions carry the scale of a Knapp-Hartung fit where it has one.

    Raises `ModelError` for fits with the user's own weights, and where one effect less cannot be fitted.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], test="z")
    >>> influence(fit).rstudent.round(4).tolist()
    [-1.3874, 0.3689, 1.7354, -0.3176]
    """
    d = _delete_each(fit)
    refits = d.refits
    change = fit.beta - refits.beta
    # a Knapp-Hartung scale of 0 means a perfect fit: any distance measured in it would be infinite
    scale = np.where(refits.scale > 0, refits.scale, np.nan)
    spread = refits.tau2 + d.data.v
    dffits = (d.fitted - d.predicted) / np.sqrt(scale * d.hat * spread)
    cook = np.vecdot(change, np.linalg.solve(fit.vcov, change.T).T)
    dfbetas = change / np.sqrt(scale[:, None] * _full_data_variances(d.data, refits.tau2))
    return Influence(
        rows=d.data.rows,
        rstudent=(d.data.y - d.predicted) / np.sqrt(scale * spread + d.prediction_variance),
        dffits=dffits,
        cook=cook,
        hat=d.hat,
        covratio=np.exp(np.linalg.slogdet(refits.vcov)[1] - np.linalg.slogdet(fit.vcov)[1]),
        dfbetas=dfbetas,
        tau2_deleted=refits.tau2,
        Q_deleted=refits.Q,
        weight=100.0 * d.w / d.w.sum() if _intercept_only(d.data) else np.full(len(d.w), np.nan),
        influential=_influential(dffits, cook, d.hat, dfbetas),
    )


def baujat(fit: Fit) -> Baujat:
    """The coordinates of Baujat et al.'s (2002) plot, in the random-effects form.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], test="z")
    >>> baujat(fit).heterogeneity.round(4).tolist()
    [1.1137, 0.2003, 2.0948, 0.057]
    """
    d = _delete_each(fit)
    return Baujat(d.data.rows, d.w * (d.data.y - d.fitted) ** 2, (d.predicted - d.fitted) ** 2 / d.prediction_variance)


def _delete_each(fit: Fit) -> _Deletion:
    data = effect_data(fit)
    k, p = data.x.shape
    if data.weights is not None:
        raise ModelError("deletion diagnostics are defined for weights 1 / (v + tau2); refit without `weights`.")
    if k < p + 2:
        raise ModelError(f"with {k} effects and {p} coefficients no effect can be spared; at least {p + 2} are needed.")
    if not np.diag(fit.vcov).all():
        raise ModelError(
            "every effect lies on the fitted model, so no deletion changes it: there is nothing to diagnose."
        )
    refits = _refit_without_each(fit)
    tau2 = fit.component("tau2").estimate
    w = 1.0 / (data.v + tau2)
    # leverages as squared lengths of orthonormal rows: no inverse, so they sum to p exactly
    root = np.linalg.qr(np.sqrt(w)[:, None] * data.x)[0]
    return _Deletion(
        data,
        refits,
        tau2,
        w,
        np.vecdot(root, root),
        data.x @ fit.beta,
        np.vecdot(data.x, refits.beta),
        np.vecdot(data.x, np.matvec(refits.vcov, data.x)),
    )


def _full_data_variances(data: EffectData, tau2: Array) -> Array:
    """Diagonals `(k, p)` of `(X'WX)^-1` over all effects, at the `tau2 (k,)` of each deletion."""
    x = data.x
    k, p = x.shape
    if k >= MANY and (data.v > 0).all():
        return variances_at(data.v, x, tau2)
    basis = orthonormal(x)
    products = (basis.columns[:, :, None] * basis.columns[:, None, :]).reshape(k, p * p)
    inverse = np.linalg.inv((1.0 / (data.v + tau2[:, None]) @ products).reshape(-1, p, p))
    return np.asarray(np.vecdot(basis.to_beta @ inverse, basis.to_beta))


def _intercept_only(data: EffectData) -> bool:
    return data.x.shape[1] == 1 and bool((data.x == 1.0).all())


def _influential(dffits: Array, cook: Array, hat: Array, dfbetas: Array) -> NDArray[np.bool_]:
    k, p = dfbetas.shape
    return np.asarray(
        (np.abs(dffits) > 3.0 * np.sqrt(p / (k - p)))
        | (special.chdtr(p, cook) > 0.5)
        | (hat > 3.0 * p / k)
        | (np.abs(dfbetas) > 1.0).any(axis=1)
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gosh(Readable):
    """The fits of many subsets of the studies.

    `fits` of B subsets; `members (B, m)` says which of the m `studies` each one holds. `complete`: no subset is missing
    but those smaller than `smallest` studies; otherwise they are a random sample.
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

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])
    >>> len(gosh(fit, np.random.default_rng(1)).fits.tau2)
    11
    """
    data = effect_data(fit)
    labels = tuple(data.rows) if studies is None else tuple(studies)
    if len(labels) != fit.k:
        raise ModelError(f"studies has {len(labels)} labels but {fit.k} effects were fitted; pass one per effect.")
    names = tuple(dict.fromkeys(labels))
    least = len(fit.names) + 1 if smallest is None else smallest
    if not 1 <= least <= len(names):
        raise ModelError(
            f"no subset of {len(names)} studies holds {least} of them; choose `smallest` from 1 to {len(names)}."
        )
    # in floating point: 2 ** 2000 studies would be a very large integer
    complete = 2.0 ** len(names) - 1.0 <= subsets
    members = _all_subsets(len(names), least) if complete else _random_subsets(len(names), least, subsets, rng)
    position = {name: i for i, name in enumerate(names)}
    column = np.array([position[label] for label in labels])
    return Gosh(names, members, refit_subsets(fit, members[:, column].astype(float)), least, complete)


def _all_subsets(m: int, least: int) -> NDArray[np.bool_]:
    # the bits of the numbers 1 to 2^m - 1 are all subsets but the empty one
    members = (np.arange(1, 2**m)[:, None] >> np.arange(m)) & 1
    return np.asarray(members[members.sum(axis=1) >= least], dtype=bool)


def _random_subsets(m: int, least: int, size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Uniform over the subsets with `least` studies or more: their number first, then which."""
    sizes = np.arange(least, m + 1)
    # drawing sizes in proportion to how many subsets have them makes every subset equally likely
    weight = np.exp(_log_binomial(m, sizes) - _log_binomial(m, sizes).max())
    number = rng.choice(sizes, size=size, p=weight / weight.sum())
    # a random order per row; its first `number` studies are a uniform subset of that size
    rank = rng.random((size, m)).argsort(axis=1).argsort(axis=1)
    return np.asarray(rank < number[:, None])


def _log_binomial(m: int, sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.asarray(special.gammaln(m + 1.0) - special.gammaln(sizes + 1.0) - special.gammaln(m - sizes + 1.0))
