"""Location-scale models: moderators of the mean and of the heterogeneity.

    y_i = x_i' beta + u_i + e_i,   u_i ~ N(0, tau2_i),   log tau2_i = z_i' alpha,   e_i ~ N(0, v_i)

With one constant column in z this is the random-effects model. Source: Viechtbauer & López-López (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Heterogeneity, Note
from replication.models.least_squares import Basis, orthonormal
from replication.models.multilevel.groups import Numbers
from replication.models.options import LikelihoodMethod, NormalTest, check_choice
from replication.models.prepare import EffectData, check_level, check_rank, prepare_effects
from replication.models.probability import chi2_sf
from replication.models.readable import Readable

__all__ = ["LocationScaleData", "LocationScaleFit", "fit_location_scale"]

# An imaginary step this small leaves the real part as it is: second derivatives are exact.
STEP = 1e-30
# tau2 this far below the sampling variances (log scale) is 0 for the data: alpha then has no end.
FAR = 25.0
# The search ends when the gradient, on data of size 1, is below SETTLED; NEWTON steps bring it to rounding.
SETTLED, NEWTON, DONE = 1e-6, 20, 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class LocationScaleData:
    """What a location-scale model was fitted to: `effects`, the scale design `z (k, q)`, and each row's `tau2 (k,)`."""

    effects: EffectData
    z: Array
    tau2: Array
    parameters: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LocationScaleFit(Readable):
    """The mean (`fit`) and the log of tau2 (`scale`), each with coefficients, covariance and tests."""

    fit: Fit
    scale: Fit

    @property
    def tau2(self) -> Array:
        """The variance of true effects of each row used `(k,)`."""
        data = self.fit.data
        assert isinstance(data, LocationScaleData)
        return data.tau2


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The profile likelihood of alpha on data of size 1: `y, v (k,)`, orthonormal `x (k, p)`, `z (k, q)`."""

    y: Array
    v: Array
    x: Array
    z: Array
    restricted: bool

    def solve(self, alpha: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Coefficients, their covariance, weights, and the slope of the log-likelihood in alpha."""
        tau2 = np.exp(self.z @ alpha)
        w = 1.0 / (self.v + tau2)
        M = np.linalg.inv((self.x * w[:, None]).T @ self.x)
        gamma = M @ (self.x.T @ (w * self.y))
        Py = w * (self.y - self.x @ gamma)
        # REML alone: what the coefficients take up of each row.
        leverage = np.einsum("kp,pq,kq->k", self.x, M, self.x) if self.restricted else 0.0
        diagonal = w - w * w * leverage
        return gamma, M, w, self.z.T @ (0.5 * tau2 * (Py * Py - diagonal))

    def value(self, alpha: Array) -> float:
        """The log-likelihood on data of size 1."""
        gamma, M, w, _ = self.solve(alpha)
        residual = self.y - self.x @ gamma
        k, p = self.x.shape
        df = k - p if self.restricted else k
        twice = -np.log(w).sum() + (w * residual**2).sum() + df * np.log(2.0 * np.pi)
        if self.restricted:
            twice -= np.linalg.slogdet(M)[1]
        return -0.5 * float(twice)

    def descend(self, alpha: Array) -> tuple[float, Array]:
        """Minus the log-likelihood and its slope; infinite where tau2 overflows."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                value, slope = self.value(alpha), self.solve(alpha)[3]
            except np.linalg.LinAlgError:
                return np.inf, np.zeros_like(alpha)
        # A line search steps back from infinity, where an exception would end it.
        return (-value, -slope) if np.isfinite(value) and np.isfinite(slope).all() else (np.inf, np.zeros_like(alpha))

    def information(self, alpha: Array) -> Array:
        """Minus the second derivatives of the log-likelihood in alpha."""
        rows = [-self.solve(alpha + 1j * STEP * row)[3].imag / STEP for row in np.eye(len(alpha))]
        found = np.array(rows)
        # Symmetric but for rounding, which eigenvalues and inverse would carry on.
        return np.asarray((found + found.T) / 2.0)


def fit_location_scale(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None,
    z: ArrayLike,
    *,
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    level: float = 0.95,
    names: Sequence[str] | None = None,
    scale_names: Sequence[str] | None = None,
) -> LocationScaleFit:
    """Fit moderators of the mean and of the heterogeneity together.

    Parameters
    ----------
    y, v : (k,) effects and their sampling variances
    x : (k, p) whole design of the mean, intercept column included; None fits an intercept only
    z : (k, q) whole design of log tau2, intercept column included
    method : REML or ML
    test : z, or t with k - p (mean) and k - q (scale) degrees of freedom
    names, scale_names : of the columns

    Raises `ModelError` when the numbers cannot carry the model; the message names the rows or columns.

    >>> y, v = [0.1, 0.9, -0.4, 0.2, 0.3, 0.25, 0.1, 0.7], [0.02] * 8
    >>> z = [[1, 0]] * 4 + [[1, 1]] * 4
    >>> found = fit_location_scale(y, v, None, z, scale_names=["intercept", "b"])
    >>> found.scale.beta.round(3).tolist()
    [-1.517, -1.643]
    """
    check_choice(method, LikelihoodMethod, "method")
    check_choice(test, NormalTest, "test")
    check_level(level)
    effects, scale, notes = _prepare(y, v, x, z, names, scale_names)
    basis = orthonormal(effects.x)
    start = effects.y @ basis.columns
    residual = effects.y - basis.columns @ start
    size = float(np.sqrt(np.mean(residual**2) + np.median(effects.v)))
    problem = _Problem(residual / size, effects.v / size**2, basis.columns, scale.x, method == "REML")
    alpha, converged = _highest(problem)
    found = _Found(effects, scale, basis, start, size, alpha)
    return _finish(problem, found, (*notes, *_notes(problem, alpha, converged)), (method, test, level))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    effects: EffectData
    scale: EffectData
    basis: Basis
    start: Array
    size: float
    alpha: Array


def _prepare(
    y: ArrayLike,
    v: ArrayLike,
    x: ArrayLike | None,
    z: ArrayLike,
    names: Sequence[str] | None,
    scale_names: Sequence[str] | None,
) -> tuple[EffectData, EffectData, tuple[Note, ...]]:
    """Rows that are whole in both designs; `scale` is the same rows with z in place of x."""
    whole = np.asarray(z, dtype=float)
    if whole.ndim != 2 or len(whole) != len(np.atleast_1d(np.asarray(y))):
        raise ModelError(f"z has shape {whole.shape}; pass the whole scale design, a row an effect.")
    lost = np.isnan(whole).any(axis=1)
    effects, notes = prepare_effects(np.where(lost, np.nan, np.asarray(y, dtype=float)), v, x, names)
    # log tau2 may run to minus infinity, and that row would then have infinite weight.
    if (effects.v == 0).any():
        raise ModelError("a sampling variance is 0; correct it or leave the row out of a location-scale model.")
    kept = whole[list(effects.rows)]
    labels = tuple(scale_names) if scale_names is not None else tuple(f"z{j}" for j in range(kept.shape[1]))
    check_rank(kept, labels)
    if len(effects.y) <= effects.x.shape[1] + kept.shape[1]:
        raise ModelError(
            f"{len(effects.y)} effects are too few for {effects.x.shape[1]} + {kept.shape[1]} coefficients."
        )
    return effects, replace(effects, x=kept, names=labels), notes


def _highest(problem: _Problem) -> tuple[Array, bool]:
    """Alpha at the highest peak reached from a flat scale, large and small, brought to the last digits."""
    # A scale that is the same in all rows, whichever columns of z make up the constant.
    flat = np.linalg.lstsq(problem.z, np.ones(len(problem.z)))[0]
    best: optimize.OptimizeResult | None = None
    # On data of size 1 true effects make up about a third, or next to nothing: the likelihood may peak at either.
    for height in (-1.0, -3.0):
        found = optimize.minimize(problem.descend, height * flat, jac=True, method="BFGS", options={"gtol": 1e-7})
        if best is None or found.fun < best.fun - 1e-10:
            best = found
    assert best is not None
    alpha = np.asarray(best.x, dtype=float)
    for _ in range(NEWTON):
        try:
            step = np.linalg.solve(problem.information(alpha), problem.solve(alpha)[3])
        except np.linalg.LinAlgError:
            break
        # Newton goes to any point of slope 0; a step that lowers the likelihood leads to a saddle. NaN stops here
        # too.
        if not problem.value(alpha + step) >= problem.value(alpha) - 1e-12:
            break
        alpha = alpha + step
        if np.abs(step).max() < DONE:
            return alpha, True
    return alpha, bool(np.abs(problem.solve(alpha)[3]).max() < SETTLED)


def _notes(problem: _Problem, alpha: Array, converged: bool) -> tuple[Note, ...]:
    notes = []
    low = (problem.z @ alpha - np.log(problem.v)).min()
    if low < -FAR:
        message = "tau2 of some rows is 0 for the data, so the scale has no end there; use fewer scale moderators."
        notes.append(Note("boundary", message))
    if not converged:
        notes.append(Note("not-converged", "the search for the scale did not settle; use fewer scale moderators."))
    return tuple(notes)


def _finish(
    problem: _Problem, found: _Found, notes: tuple[Note, ...], options: tuple[LikelihoodMethod, NormalTest, float]
) -> LocationScaleFit:
    method, test, level = options
    gamma, M, _, _ = problem.solve(found.alpha)
    k, p, q = len(problem.y), problem.x.shape[1], problem.z.shape[1]
    T, size = found.basis.to_beta, found.size
    # back on the scale of the data log tau2 of every row moves by log(size^2): a constant column of z takes that up
    shift = np.linalg.lstsq(problem.z, np.full(k, 2.0 * np.log(size)))[0]
    tau2 = np.exp(problem.z @ found.alpha) * size**2
    df = problem.x.shape[0] - p if method == "REML" else k
    choices = {"model": "location-scale", "estimator": method, "test": test, "V": "diagonal", "vcov": "model"}
    data = LocationScaleData(found.effects, problem.z, np.asarray(tau2), q)
    fit = Fit(
        method=choices,
        names=found.effects.names,
        beta=T @ (found.start + size * gamma),
        vcov=size**2 * T @ M @ T.T,
        df=np.full(p, float(k - p) if test == "t" else np.inf),
        components=(Component("mean tau2", float(tau2.mean())),),
        # The density of y, not of y / size: a unit of y changes the likelihood by a constant.
        loglik=problem.value(found.alpha) - df * float(np.log(size)),
        k=k,
        level=level,
        heterogeneity=_heterogeneity(problem),
        notes=notes,
        data=data,
    )
    scale = Fit(
        method=choices,
        names=found.scale.names,
        beta=found.alpha + shift,
        vcov=_inverse(problem.information(found.alpha)),
        df=np.full(q, float(k - q) if test == "t" else np.inf),
        components=(),
        loglik=fit.loglik,
        k=k,
        level=level,
        data=data,
    )
    return LocationScaleFit(fit, scale)


def _inverse(information: Array) -> Array:
    """The covariance; NaN where the likelihood has no peak in some direction."""
    if np.linalg.eigvalsh(information)[0] <= 0:
        return np.full_like(information, np.nan)
    return np.asarray(np.linalg.inv(information))


def _heterogeneity(problem: _Problem) -> Heterogeneity:
    """Q with tau2 of all rows 0; I2 and H2 differ between rows and are not defined."""
    w = 1.0 / problem.v
    gamma = np.linalg.solve((problem.x * w[:, None]).T @ problem.x, problem.x.T @ (w * problem.y))
    Q = float((w * (problem.y - problem.x @ gamma) ** 2).sum())
    df = len(problem.y) - problem.x.shape[1]
    return Heterogeneity(Q, df, float(chi2_sf(Q, df)), float("nan"), float("nan"))
