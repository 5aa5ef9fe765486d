"""Cluster-robust inference: standard errors and tests that hold when the working model of the dependence is wrong.

`robust` turns a fit into one with a CR covariance; `fit_che` is the correlated and hierarchical effects model
(Pustejovsky & Tipton 2022) made robust; `wald_test` tests combinations of coefficients of any fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Note
from replication.models.multilevel.groups import Codes, build_levels, factor_arrays, group_codes
from replication.models.multilevel.moments import (
    ClusterMoments,
    cluster_moments,
    expected_covariance,
    moments_of_each,
    satterthwaite_df,
    true_covariance,
    weighted_coefficients,
    wishart_df,
)
from replication.models.multilevel.multilevel import MultilevelData, fit_multilevel
from replication.models.multilevel.multivariate import MultivariateData
from replication.models.multilevel.structure import BlockV
from replication.models.multilevel.working_model import WorkingModel, cluster_codes, take_weights, working_model
from replication.models.options import LikelihoodMethod, RobustDf, RobustKind, check_choice
from replication.models.probability import chi2_sf, f_sf
from replication.models.readable import Readable

__all__ = [
    "RobustData",
    "WaldTest",
    "before_robust",
    "contrast_df",
    "fit_che",
    "reweight",
    "robust",
    "robust_each",
    "wald_test",
]

# Expected share of the true variance below which a robust variance is none (NONE; LITTLE for CR2, which should reach
# all of it), and below which a CR2 variance gets a note.
NONE, LITTLE, ENOUGH = 0.01, 0.1, 0.99

# A correlation matrix of constraints with a smaller eigenvalue has lost rank.
LOW_RANK = 1e-12

# Numbers in the covariance blocks of refits that are made robust together.
TOGETHER = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class RobustData:
    """What a robust fit was made from: the fit before, cluster numbers `codes (k,)`, choices, weights, moments."""

    before: Fit
    codes: Codes
    kind: RobustKind
    df: RobustDf
    weights: Array | None
    moments: ClusterMoments


@dataclass(frozen=True, slots=True, repr=False)
class WaldTest(Readable):
    """The test that q combinations of coefficients are all at their null values.

    `statistic` is chi-square distributed where `df_den` is infinite (`df_num = q`), else F. NaN: see `reason`.
    `names` are the coefficients tested, empty where combinations were given as rows.
    """

    statistic: float
    df_num: int
    df_den: float
    p: float
    method: str
    reason: str = ""
    names: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The distribution of the statistic: chi2 or F."""
        return "chi2" if np.isinf(self.df_den) else "F"


def reweight(fit: Fit, weights: ArrayLike) -> Fit:
    """The same multilevel model with coefficients in the weights given, and the covariance they have under the model.

    Parameters
    ----------
    fit : a fit of `fit_multilevel` or `fit_multivariate`; its variances stay as they were estimated
    weights : (k,) weights of the effects used, 0 or more, or the whole matrix `W (k, k)`, symmetric

    `beta = (X'WX)^-1 X'Wy` with covariance `(X'WX)^-1 X'W Phi W X (X'WX)^-1`, `Phi` the covariance of the effects in
    the model. `loglik` is that of these coefficients, which are not the model's best. `robust` keeps the weights.

    Raises `ModelError` for a fit of another kind and weights that are negative (a matrix that is not positive
    semi-definite) or too many.

    >>> y, v = [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]
    >>> equal = reweight(fit_multilevel(y, v, [1, 1, 2, 2, 3, 3]), [1, 1, 1, 1, 1, 1])
    >>> round(float(equal.beta[0]), 6), round(float(equal.se[0]), 6)
    (0.4, 0.170448)
    """
    data = fit.data
    if not isinstance(data, MultilevelData | MultivariateData):
        raise ModelError("reweight needs a fit of fit_multilevel or fit_multivariate, as it came from there.")
    given = replace(data, effects=replace(data.effects, weights=working_model(fit, weights).weights))
    model = working_model(replace(fit, data=given))
    # Crossed factors tie every row to every other, as a matrix of weights may: one cluster holds them all.
    codes = np.zeros(fit.k, dtype=np.intp) if model.clusters is None else model.clusters
    beta, vcov = weighted_coefficients(model, codes)
    apart = beta - fit.beta
    return replace(
        fit,
        method={**fit.method, "weights": "as given"},
        beta=beta,
        vcov=vcov,
        # The likelihood is quadratic in the coefficients around its best, with the inverse of their covariance.
        loglik=fit.loglik - 0.5 * float(apart @ np.linalg.solve(fit.vcov, apart)),
        data=given,
    )


def robust(
    fit: Fit,
    kind: RobustKind = "CR2",
    clusters: ArrayLike | None = None,
    *,
    df: RobustDf = "satterthwaite",
    weights: ArrayLike | None = None,
) -> Fit:
    """The same model with a cluster-robust covariance and t tests.

    Parameters
    ----------
    fit : a fit of `fit_random_effects` or `fit_multilevel`; it is the working model
    kind : CR2, unbiased under the working model and the one to use with few clusters (Tipton 2015); CR0 unadjusted;
        CR1 = CR0 m / (m - 1); CR1p = CR0 m / (m - p), what metafor's `robust` gives; CR1S = CR0 m (k - 1) /
        ((m - 1) (k - p))
    clusters : (k,) labels of independent groups, for the effects used or all rows passed. By default the outermost
        level of a multilevel fit, single rows of a random-effects fit
    df : satterthwaite, per coefficient, under the working model; or clusters, m - p for all
    weights : (k,) weights for the coefficients, or a matrix of them, instead of the fit's own

    Raises `ModelError` for fewer than two clusters or clusters that the working model ties together.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> y, v = [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]
    >>> cr2 = robust(fit_multilevel(y, v, [1, 1, 2, 2, 3, 3]))
    >>> round(float(cr2.se[0]), 6), round(float(cr2.df[0]), 4)
    (0.167743, 1.9998)
    """
    check_choice(kind, RobustKind, "kind")
    check_choice(df, RobustDf, "df")
    model = working_model(fit, weights)
    codes = cluster_codes(model, clusters)
    given = None if weights is None else model.weights
    return _robust(fit, RobustData(fit, codes, kind, df, given, cluster_moments(model, codes, kind)))


def robust_each(
    fits: Sequence[Fit | ModelError], like: RobustData, sets: Sequence[NDArray[np.intp]]
) -> tuple[Fit | ModelError, ...]:
    """Refits on sets of rows, each made robust as `like` is on all rows; the error where a fit or this cannot be.

    Each is what `robust` gives; their clusters are worked on together.
    """
    made: dict[int, tuple[Fit, WorkingModel, Codes, Array | None]] = {}
    failed: dict[int, ModelError] = {}
    for i, (fit, rows) in enumerate(zip(fits, sets, strict=True)):
        weights = None if like.weights is None else take_weights(like.weights, rows)
        try:
            if isinstance(fit, ModelError):
                raise fit
            model = working_model(fit, weights)
            made[i] = fit, model, cluster_codes(model, like.codes[rows]), weights
        except ModelError as error:
            failed[i] = error
    # As many at once as their blocks fit in memory, each taken for as large as that of the largest cluster.
    size = max(1, TOGETHER // (len(like.codes) * int(np.bincount(like.codes).max())))
    found: dict[int, Fit] = {}
    for part in (list(made.items())[at : at + size] for at in range(0, len(made), size)):
        moments = moments_of_each(
            [model for _, (_, model, _, _) in part], [own for _, (_, _, own, _) in part], like.kind
        )
        for (i, (fit, _, codes, weights)), each in zip(part, moments, strict=True):
            found[i] = _robust(fit, RobustData(fit, codes, like.kind, like.df, weights, each))
    return tuple(found[i] if i in found else failed[i] for i in range(len(fits)))


def _robust(fit: Fit, data: RobustData) -> Fit:
    """The fit with the robust covariance that its moments give."""
    moments = data.moments
    vcov, notes = _without_empty(fit, moments, data.kind)
    m, p = int(data.codes.max()) + 1, len(fit.names)
    reweighted = {} if data.weights is None else {"weights": "as given"}
    return replace(
        fit,
        method={**fit.method, **reweighted, "vcov": data.kind, "test": "t", "df": data.df},
        beta=moments.to_beta @ moments.gamma,
        vcov=vcov,
        df=_degrees_of_freedom(moments, vcov, data.df),
        clusters=m,
        notes=fit.notes + notes + _few_clusters(m, p),
        data=data,
    )


def before_robust(fit: Fit) -> Fit:
    """The model's own fit behind a robust one, however often inference was made anew; the fit itself otherwise."""
    while isinstance(fit.data, RobustData):
        fit = fit.data.before
    return fit


def contrast_df(fit: Fit, C: ArrayLike) -> Array:
    """Degrees of freedom `(q,)` of the combinations `C beta`, `C (q, p)`: for predictions and comparisons.

    Satterthwaite's for a robust fit; otherwise those of the fit's own tests.
    """
    rows = np.atleast_2d(np.asarray(C, dtype=float))
    data = fit.data
    if isinstance(data, RobustData) and data.df == "satterthwaite":
        return satterthwaite_df(data.moments, rows)
    return np.full(len(rows), float(fit.df.min()))


def wald_test(
    fit: Fit, constraints: ArrayLike | Sequence[str] | None = None, values: ArrayLike | None = None
) -> WaldTest:
    """Test that `constraints @ beta = values`.

    Parameters
    ----------
    constraints : (q, p) combinations, or names of coefficients; by default all but the intercept (the intercept
        itself where there is nothing else)
    values : (q,) null values, 0 by default

    CR fits with Satterthwaite df get the approximate Hotelling test HTZ (Tipton & Pustejovsky 2015; F with eta - q + 1
    degrees of freedom), with `df="clusters"` F with m - p; other fits chi-square for z tests and F for t tests.

    >>> from replication.models.multilevel.multilevel import fit_multilevel
    >>> y, v = [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]
    >>> round(wald_test(fit_multilevel(y, v, [1, 1, 2, 2, 3, 3])).statistic, 6)
    5.799443
    """
    C, names = _constraints(fit, constraints)
    return replace(_wald_of_constraints(fit, C, values), names=names)


def _wald_of_constraints(fit: Fit, C: Array, values: ArrayLike | None) -> WaldTest:
    gap = C @ fit.beta - (0.0 if values is None else np.asarray(values, dtype=float))
    if gap.shape != (len(C),):
        raise ModelError(f"values must be {len(C)} numbers, one per constraint.")
    V = C @ fit.vcov @ C.T
    if not np.isfinite(V).all():
        return _undefined(len(C), "the covariance of these coefficients is not defined; see the notes of the fit")
    scale = np.sqrt(np.diag(V))
    # Scaled to a diagonal of 1: the rank must not depend on the units of the constraints.
    if not scale.all() or np.linalg.eigvalsh(V / np.outer(scale, scale))[0] < LOW_RANK:
        return _undefined(len(C), "the covariance of the constraints has too low a rank (few clusters); test fewer")
    z = gap / scale
    return _wald(fit, C / scale[:, None], float(z @ np.linalg.solve(V / np.outer(scale, scale), z)))


def _undefined(q: int, reason: str) -> WaldTest:
    nan = float("nan")
    return WaldTest(nan, q, nan, nan, "none", reason)


def _wald(fit: Fit, C: Array, Q: float) -> WaldTest:
    q = len(C)
    data = fit.data
    if isinstance(data, RobustData) and data.df == "satterthwaite":
        # Hotelling's T2 with the small-sample degrees of freedom of Tipton & Pustejovsky (2015).
        eta = wishart_df(data.moments, C)
        df = eta - q + 1.0
        if not df > 0:
            reason = f"only {eta:.3g} Wishart degrees of freedom for {q} constraints; test fewer at a time"
            return WaldTest(float("nan"), q, df, float("nan"), "HTZ", reason)
        F = Q * df / (eta * q)
        return WaldTest(F, q, df, float(f_sf(F, q, df)), "HTZ")
    df = float(fit.df.min())
    # Infinite degrees of freedom: chi-square and F agree, and chi-square is what tables of z tests print.
    if np.isinf(df):
        return WaldTest(Q, q, df, float(chi2_sf(Q, q)), "chi-square")
    return WaldTest(Q / q, q, df, float(f_sf(Q / q, q, df)), "F")


def _constraints(fit: Fit, constraints: ArrayLike | Sequence[str] | None) -> tuple[Array, tuple[str, ...]]:
    """The rows `C (q, p)` to test and, where they are coefficients, their names."""
    p = len(fit.names)
    names = _coefficients(fit, constraints)
    if names:
        return np.eye(p)[[fit.names.index(name) for name in names]], names
    C = np.atleast_2d(np.asarray(constraints, dtype=float))
    if C.ndim != 2 or C.shape[1] != p or np.linalg.matrix_rank(C) < len(C):
        raise ModelError(f"constraints must be (q, {p}) independent rows for {', '.join(fit.names)}; found {C.shape}.")
    return C, ()


def _coefficients(fit: Fit, constraints: ArrayLike | Sequence[str] | None) -> tuple[str, ...]:
    """The coefficients asked for by name, or by default; empty where rows are given."""
    if constraints is None:
        return fit.names[1:] if len(fit.names) > 1 and _has_intercept(fit) else fit.names
    if isinstance(constraints, str):
        constraints = [constraints]
    if not (isinstance(constraints, Sequence) and constraints and isinstance(constraints[0], str)):
        return ()
    unknown = [name for name in constraints if name not in fit.names]
    if unknown:
        raise ModelError(f"no coefficient {unknown[0]!r}; this fit has {', '.join(fit.names)}.")
    return tuple(str(name) for name in constraints)


def _has_intercept(fit: Fit) -> bool:
    data = before_robust(fit).data
    x = getattr(getattr(data, "effects", data), "x", None)
    return x is not None and bool((x[:, 0] == x[0, 0]).all())


def _degrees_of_freedom(moments: ClusterMoments, vcov: Array, df: RobustDf) -> Array:
    p = len(vcov)
    # Clusters less coefficients: the usual choice where Satterthwaite is not asked for.
    residual = float(len(moments.scores) - p)
    values = satterthwaite_df(moments, np.eye(p)) if df == "satterthwaite" else np.full(p, residual)
    return np.where(np.isnan(np.diag(vcov)) | (values <= 0), np.nan, values)


def _without_empty(fit: Fit, moments: ClusterMoments, kind: RobustKind) -> tuple[Array, tuple[Note, ...]]:
    """The robust covariance, NaN for coefficients that single clusters determine, with notes.

    What clusters can say about a coefficient is the expected robust variance beside the true one, under the working
    model. CR2 makes them equal unless the coefficients take up whole directions of a cluster.
    """
    vcov = moments.vcov
    every = np.eye(len(vcov))
    # How much of the true variance the sandwich is expected to find if the working model holds.
    share = np.diag(expected_covariance(moments, every)) / np.diag(true_covariance(moments))
    empty = share < (LITTLE if kind == "CR2" else NONE)
    short = (share < ENOUGH) & ~empty if kind == "CR2" else np.zeros_like(empty)
    vcov[empty] = vcov[:, empty] = np.nan
    notes = []
    if empty.any():
        names = ", ".join(name for name, none in zip(fit.names, empty, strict=True) if none)
        message = f"{names}: determined by single clusters, so clusters say nothing about the error; no standard error."
        notes.append(Note("single-cluster", message))
    for name, part in zip(np.array(fit.names)[short], share[short], strict=True):
        message = (
            f"{name}: single clusters determine it in part; the CR2 variance is expected to be {100 * part:.0f} % of "
            "the true one."
        )
        notes.append(Note("single-cluster", message))
    return vcov, tuple(notes)


def _few_clusters(m: int, p: int) -> tuple[Note, ...]:
    if m > p:
        return ()
    return (Note("few-clusters", f"{m} clusters for {p} coefficients: joint tests of all of them are not defined."),)


def fit_che(
    y: ArrayLike,
    v: ArrayLike,
    clusters: Mapping[str, ArrayLike] | ArrayLike,
    rho: float,
    x: ArrayLike | None = None,
    *,
    method: LikelihoodMethod = "REML",
    level: float = 0.95,
    names: Sequence[str] | None = None,
) -> Fit:
    """Effects of one sample share an assumed correlation `rho` of their sampling errors and a random effect; CR2 tests.

    Parameters
    ----------
    y, v : (k,) effects and their sampling variances
    clusters : (k,) labels, outermost first; sampling errors correlate within the innermost, the clusters of the robust
        covariance are the outermost
    rho : assumed correlation of sampling errors; nobody knows it, so compare several (0.4, 0.6, 0.8)
    x, method, level, names : as in `fit_multilevel`

    Source: Pustejovsky & Tipton (2022).

    >>> y, v = [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]
    >>> fit = fit_che(y, v, [1, 1, 2, 2, 3, 3], rho=0.6)
    >>> round(float(fit.beta[0]), 6), round(float(fit.se[0]), 6)
    (0.409056, 0.16808)
    """
    V = BlockV.constant_correlation(v, _samples(clusters, len(np.atleast_1d(np.asarray(y)))), rho)
    return robust(fit_multilevel(y, V, clusters, x, method=method, level=level, names=names), "CR2")


def _samples(clusters: Mapping[str, ArrayLike] | ArrayLike, k: int) -> Codes:
    """Numbers of the innermost groups within their parents; a row without a label, left out later, is on its own."""
    codes = {name: group_codes(labels, k, name) for name, labels in factor_arrays(clusters, k).items()}
    missing = np.any([part < 0 for part in codes.values()], axis=0)
    innermost = build_levels(codes, k, "nested", None)[-1].codes
    return np.where(missing, k + np.arange(k), innermost)
