"""How much each effect pulls on the fit: outliers and influence (Viechtbauer & Cheung 2010), and Baujat's plot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.errors import ModelError
from replication.models.batch import BatchFits
from replication.models.deletion import refit_subsets
from replication.models.fit import Array, Fit
from replication.models.prepare import EffectData, effect_data
from replication.models.weighted import orthonormal

__all__ = ["Baujat", "Influence", "baujat", "influence"]


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
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


@dataclass(frozen=True, slots=True, eq=False)
class Baujat:
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

    >>> from replication.models.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], test="z")
    >>> influence(fit).rstudent.round(4).tolist()
    [-1.3874, 0.3689, 1.7354, -0.3176]
    """
    d = _delete_each(fit)
    x, refits = d.data.x, d.refits
    change = fit.beta - refits.beta
    scale = np.where(refits.scale > 0, refits.scale, np.nan)
    spread = refits.tau2 + d.data.v
    dffits = (d.fitted - d.predicted) / np.sqrt(scale * d.hat * spread)
    cook = np.vecdot(change, np.linalg.solve(fit.vcov, change.T).T)
    dfbetas = change / np.sqrt(scale[:, None] * _full_data_variances(x, 1.0 / (d.data.v + refits.tau2[:, None])))
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

    >>> from replication.models.random_effects import fit_random_effects
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
    refits = refit_subsets(fit, 1.0 - np.eye(k))
    tau2 = fit.component("tau2").estimate
    w = 1.0 / (data.v + tau2)
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


def _full_data_variances(x: Array, w: Array) -> Array:
    """Diagonals `(k, p)` of `(X'WX)^-1` over all effects, for each row of weights `w (k, k)`."""
    k, p = x.shape
    basis = orthonormal(x)
    products = (basis.columns[:, :, None] * basis.columns[:, None, :]).reshape(k, p * p)
    inverse = np.linalg.inv((w @ products).reshape(-1, p, p))
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
