"""The likelihood of a multivariate model on blocks of rows, and the search for its highest point.

`multivariate` lays the rows out and says what was found. Here every block of one size is inverted together, on data of
size 1, and derivatives are read off imaginary steps, so that the last Newton steps have all their digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from replication.models.fit import Array
from replication.models.least_squares import Basis
from replication.models.multilevel.groups import Codes, Numbers, group_sum
from replication.models.multilevel.outcome_covariance import OutcomeCovariance

__all__ = ["Batch", "Problem", "Solved", "highest", "inside", "same_group", "spread_out"]

# An imaginary step this small leaves the real part as it is: derivatives are exact.
STEP = 1e-30
# Relative size of a variance, and distance of a correlation from an end, at which they count as being on it.
ON_EDGE, FULL = 1e-9, 1e-6
# Every start is followed until the gradient, on data of size 1, is below ROUGH; from the best one Newton steps (POLISH
# of them at most) go on until none moves by DONE, as each squares the error. Without them the search must bring the
# gradient below SETTLED.
ROUGH, SETTLED, DONE, POLISH = 1e-2, 1e-6, 1e-8, 12
STARTS = (0.5, -0.3, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """b blocks of n rows: `y (b, n)`, `x (b, n, p)`, `V (b, n, n)`, `same` study, `inner` outcome, levels' `K`."""

    y: Array
    x: Array
    V: Array
    same: NDArray[np.bool_]
    inner: Codes
    K: tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """At given parameters: coefficients, their covariance, log-likelihood and its slope in natural parameters."""

    gamma: Numbers
    M: Numbers
    value: float
    slope: Numbers
    rss: float


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """The likelihood on data of size 1; natural parameters are the levels' variances, then those of `outcomes`."""

    batches: tuple[Batch, ...]
    outcomes: OutcomeCovariance
    basis: Basis
    start: Array
    scale: float
    restricted: bool
    k: int

    @property
    def levels(self) -> int:
        return len(self.batches[0].K)

    def natural(self, psi: Numbers) -> Numbers:
        """Natural parameters of free ones: squares of the roots of level variances, then those of G."""
        return np.concatenate([psi[..., : self.levels] ** 2, self.outcomes.natural(psi[..., self.levels :])], axis=-1)

    def solve(self, phi: Numbers) -> Solved:
        """Generalised least squares, likelihood and slope at natural parameters `phi`."""
        L = self.levels
        G = self.outcomes.matrix(phi[L:])
        inverses = [np.linalg.inv(_total(batch, phi[:L], G)) for batch in self.batches]
        Wx = [A @ batch.x for A, batch in zip(inverses, self.batches, strict=True)]
        information = sum(np.einsum("bnp,bnq->pq", b.x, w) for b, w in zip(self.batches, Wx, strict=True))
        M = np.linalg.inv(information)
        gamma = M @ sum(np.einsum("bnp,bn->p", w, b.y) for b, w in zip(self.batches, Wx, strict=True))
        rss, slope, pairs, logdet = 0.0 + 0.0 * phi.sum(), [0.0] * L, np.zeros_like(G), 0.0
        for batch, A, w in zip(self.batches, inverses, Wx, strict=True):
            residual = batch.y - batch.x @ gamma
            Py = np.einsum("bij,bj->bi", A, residual)
            rss = rss + (residual * Py).sum()
            P = A - w @ M @ w.mT if self.restricted else A
            # half of (Py)(Py)' - P: the slope of the log-likelihood in every entry of the covariance
            T = 0.5 * (Py[:, :, None] * Py[:, None, :] - P)
            slope = [s + (T * K).sum() for s, K in zip(slope, batch.K, strict=True)]
            cells = (batch.inner[:, :, None] * len(G) + batch.inner[:, None, :]).ravel()
            pairs = pairs + group_sum(np.where(batch.same, T, 0.0).ravel(), cells, G.size).reshape(G.shape)
            logdet -= float(np.linalg.slogdet(A)[1].sum())
        everything = np.concatenate([np.array(slope), np.einsum("ij,mij->m", pairs, self._outcome_slopes(phi[L:]))])
        value = self._value(logdet, float(np.real(rss)), information)
        return Solved(gamma, M, value, everything, float(np.real(rss)))

    def _outcome_slopes(self, phi: Numbers) -> Numbers:
        """Derivatives `(m, q, q)` of G in its natural parameters, with their change along an imaginary step."""
        steps = np.eye(len(phi)) * 1j * STEP
        here = self.outcomes.matrix(phi.real + steps).imag / STEP
        if not (np.iscomplexobj(phi) and phi.imag.any()):
            return here
        # the imaginary step is in use, so the second derivative is a difference of exact first ones
        h = 1e-6
        along = h * phi.imag / STEP
        ahead, behind = (self.outcomes.matrix(phi.real + s * along + steps).imag / STEP for s in (1.0, -1.0))
        return np.asarray(here + 1j * STEP * (ahead - behind) / (2.0 * h))

    def _value(self, logdet: float, rss: float, information: Numbers) -> float:
        p = len(information)
        df = self.k - p if self.restricted else self.k
        twice = logdet + rss + df * np.log(2.0 * np.pi * self.scale**2)
        if self.restricted:
            twice += float(np.linalg.slogdet(information)[1])
        return -0.5 * float(twice)

    def descend(self, psi: Array) -> tuple[float, Array]:
        """Minus the log-likelihood and its slope in the free parameters, for the search."""
        phi = self.natural(psi)
        try:
            solved = self.solve(phi)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(psi)
        jacobian = self.natural(psi + np.eye(len(psi)) * 1j * STEP).imag / STEP
        slope = np.nan_to_num(jacobian @ solved.slope)
        return (-solved.value, -slope) if np.isfinite(solved.value) else (np.inf, np.zeros_like(psi))

    def information(self, phi: Array, free: NDArray[np.intp]) -> Array:
        """Minus the second derivatives of the log-likelihood in the natural parameters `free`."""
        rows = [-self.solve(phi + 1j * STEP * np.eye(len(phi))[j]).slope[free].imag / STEP for j in free]
        found = np.array(rows)
        return np.asarray((found + found.T) / 2.0)


def highest(problem: Problem) -> tuple[Array, bool]:
    """Natural parameters of the peak reached from the best of a few correlations, brought to the last digits."""
    starts = [
        np.concatenate([np.full(problem.levels, 0.3), problem.outcomes.start(_spreads(problem), rho)])
        for rho in (STARTS if problem.outcomes.correlations else STARTS[:1])
    ]
    # the best start usually leads inside; only where it ends at an edge are the others followed as well
    starts.sort(key=lambda start: problem.descend(start)[0])
    best = _search(problem, starts[0], ROUGH)
    phi, free = _polished(problem, best.x)
    if free is None:
        ends = [_search(problem, start, SETTLED * 0.01) for start in (best.x, *starts[1:])]
        best = min(ends, key=lambda found: float(found.fun))
        phi, free = _polished(problem, best.x)
    return phi, free is not None or bool(np.abs(best.jac).max() < SETTLED)


def _search(problem: Problem, start: Array, gradient: float) -> optimize.OptimizeResult:
    return optimize.minimize(
        problem.descend, start, jac=True, method="L-BFGS-B", options={"gtol": gradient, "ftol": 0.0}
    )


def _polished(problem: Problem, psi: Array) -> tuple[Array, NDArray[np.intp] | None]:
    """Natural parameters after Newton steps, and the free ones; None unless the steps settled within the range."""
    phi = np.asarray(problem.natural(psi), dtype=float)
    free = inside(problem, phi)
    if len(free) < len(phi):
        return phi, None
    here, solved = phi, problem.solve(phi)
    for _ in range(POLISH):
        ahead = _newton(problem, here, solved, free)
        if ahead is None:
            break
        moved, (here, solved) = float(np.abs(ahead[0] - here).max()), ahead
        if moved < DONE:
            return here, free
    slope = np.abs(np.real(solved.slope)).max()
    return (here, free) if slope < SETTLED else (phi, None)


def _newton(problem: Problem, phi: Array, here: Solved, free: NDArray[np.intp]) -> tuple[Array, Solved] | None:
    """One Newton step in natural parameters from `phi`, solved `here`; None where it no longer climbs or leaves."""
    try:
        step = np.zeros_like(phi)
        step[free] = np.linalg.solve(problem.information(phi, free), np.real(here.slope[free]))
        if len(inside(problem, phi + step)) < len(free):
            return None  # before anything is computed there: a variance below zero has no root
        ahead = problem.solve(phi + step)
    except np.linalg.LinAlgError:
        return None
    if not ahead.value >= here.value - 1e-12 * (abs(here.value) + 1):
        return None
    return (phi + step, ahead) if np.abs(step).max() > 1e-15 else None


def _spreads(problem: Problem) -> Array:
    """Rough variances `(q,)` of true effects by outcome: mean squares beyond the sampling variances, at least a bit."""
    q = problem.outcomes.q
    sums, counts = np.zeros(q), np.zeros(q)
    for batch in problem.batches:
        excess = batch.y**2 - np.diagonal(batch.V, axis1=1, axis2=2)
        np.add.at(sums, batch.inner, excess)
        np.add.at(counts, batch.inner, 1.0)
    return np.asarray(np.maximum(sums / np.maximum(counts, 1.0), 0.05))


def inside(problem: Problem, phi: Array) -> NDArray[np.intp]:
    """Positions of natural parameters that are not at an end of their range."""
    variances = problem.levels + problem.outcomes.count
    low = problem.outcomes.lowest
    rho = phi[variances:]
    apart = np.concatenate([phi[:variances] > ON_EDGE, (rho > low + FULL) & (rho < 1.0 - FULL)])
    if problem.outcomes.q > 2 and apart.all():  # only then is there a G whose eigenvalues can be asked for
        G = problem.outcomes.matrix(phi[problem.levels :])
        if np.linalg.eigvalsh(G)[0] < ON_EDGE * np.trace(G):
            apart[variances:] = False
    return np.flatnonzero(apart)


def _total(batch: Batch, theta: Numbers, G: Numbers) -> Numbers:
    """Marginal covariances `(b, n, n)` at variances `theta` of the levels and covariance `G` of the outcomes."""
    total = batch.V + np.where(batch.same, spread_out(G, batch.inner), 0.0)
    for variance, K in zip(theta, batch.K, strict=True):
        total = total + variance * K
    return total


def spread_out(matrix: Numbers, codes: Codes) -> Numbers:
    """The entries of a matrix by group for every two rows of a block `(b, n, n)`, from codes `(b, n)`."""
    return matrix[codes[:, :, None], codes[:, None, :]]


def same_group(codes: Codes) -> NDArray[np.bool_]:
    """Whether two rows of a block are of one group `(b, n, n)`, from codes `(b, n)`."""
    return np.asarray(codes[:, :, None] == codes[:, None, :], dtype=bool)
