"""Several outcomes (or occasions) at once: correlated true effects within studies, with known sampling covariance.

    y = X beta + u + sum_l Z_l w_l + e,   Cov(u of one study) = G by outcome,   w_l ~ N(0, theta_l R_l),   e ~ N(0, V)

G has one of the structures of `outcome_covariance`; further levels have independent groups (R_l = I), or groups whose
correlation R_l is known: a phylogeny, a pedigree. Rows that nothing ties stand in blocks of their own, and blocks of
one size are inverted together. Sources: Raudenbush, Becker & Kalaian (1988); van Houwelingen, Arends & Stijnen (2002);
Lajeunesse (2009) for phylogenies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse

from replication.errors import ModelError
from replication.models.fit import Array, Component, Fit, Heterogeneity, Note
from replication.models.least_squares import Basis, orthonormal
from replication.models.multilevel.groups import (
    Codes,
    Labels,
    Numbers,
    factor_arrays,
    group_codes,
    group_sum,
    rows_by_size,
)
from replication.models.multilevel.outcome_covariance import IN_TIME, OutcomeCovariance, outcome_covariance
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.options import LikelihoodMethod, NormalTest, OutcomeStructure, check_choice
from replication.models.prepare import EffectData, check_level, list_rows, prepare_effects
from replication.models.probability import chi2_sf

__all__ = ["KnownCorrelation", "MultivariateData", "fit_multivariate"]

# An imaginary step this small leaves the real part as it is: derivatives are exact.
STEP = 1e-30
# Relative size of a variance, and distance of a correlation from an end, at which they count as being on it.
ON_EDGE, FULL = 1e-9, 1e-6
# Every start is followed until the gradient, on data of size 1, is below ROUGH; from the best one Newton steps (POLISH
# of them at most) go on until none moves by DONE. Without them the search must bring the gradient below SETTLED.
ROUGH, SETTLED, DONE, POLISH = 1e-2, 1e-6, 1e-12, 12
STARTS = (0.5, -0.3, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class KnownCorrelation:
    """Correlations `matrix (m, m)` of the groups of a level, by `labels (m,)`: of species, of families."""

    labels: tuple[str, ...]
    matrix: Array


@dataclass(frozen=True, slots=True, eq=False)
class MultivariateData:
    """What a multivariate model was fitted to, and its parameters.

    `inner, outer (k,)` number outcome and study of each row; `levels` are further groupings with their variances
    `theta`; `G (q, q)` is the covariance of true effects; `parameters` counts all variances and correlations.
    """

    effects: EffectData
    V: BlockV
    inner: Codes
    outer: Codes
    outcomes: OutcomeCovariance
    levels: tuple[_Level, ...]
    theta: Array
    G: Array
    parameters: int

    def covariance(self, rows: NDArray[np.intp]) -> Array:
        """Dense marginal covariances `(b, n, n)` of b sets of n rows each."""
        inner, outer = self.inner[rows], self.outer[rows]
        total = self.V.sub_blocks(rows) + _spread(self.G, inner) * _same(outer)
        for level, variance in zip(self.levels, self.theta, strict=True):
            total = total + variance * level.correlation(rows)
        return np.asarray(total)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """Groups `codes (k,)` of one level; `known (m, m)` is their correlation, None where they are independent."""

    name: str
    codes: Codes
    known: Array | None

    def correlation(self, rows: NDArray[np.intp]) -> Array:
        codes = self.codes[rows]
        return _same(codes).astype(float) if self.known is None else _spread(self.known, codes)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """b blocks of n rows: `y (b, n)`, `x (b, n, p)`, `V (b, n, n)`, `same` study, `inner` outcome, levels' `K`."""

    y: Array
    x: Array
    V: Array
    same: NDArray[np.bool_]
    inner: Codes
    K: tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """At given parameters: coefficients, their covariance, log-likelihood and its slope in natural parameters."""

    gamma: Numbers
    M: Numbers
    value: float
    slope: Numbers
    rss: float


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The likelihood on data of size 1; natural parameters are the levels' variances, then those of `outcomes`."""

    batches: tuple[_Batch, ...]
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

    def solve(self, phi: Numbers) -> _Solved:
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
        return _Solved(gamma, M, value, everything, float(np.real(rss)))

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


def fit_multivariate(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    outcome: ArrayLike,
    study: ArrayLike,
    x: ArrayLike | None = None,
    *,
    structure: OutcomeStructure = "UN",
    times: Mapping[str, float] | None = None,
    levels: Mapping[str, ArrayLike] | None = None,
    known: Mapping[str, KnownCorrelation] | None = None,
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    level: float = 0.95,
    names: Sequence[str] | None = None,
) -> Fit:
    """Fit a multivariate random-effects model.

    Parameters
    ----------
    y : (k,) effects
    V : (k,) sampling variances, a `BlockV`, or a full (k, k) covariance matrix; outcomes of one study usually covary
    outcome : (k,) labels of outcomes or occasions
    study : (k,) labels of studies; true effects of different studies are independent
    x : (k, p) whole design; None fits one mean for all outcomes (usually each has its own: columns of 0 and 1)
    structure : of G: UN, CS, HCS, ID, DIAG, AR, HAR or CAR
    times : time of each outcome, for AR, HAR and CAR; by default the labels are read as numbers
    levels : further groupings by name, each with a variance of its own
    known : correlation of the groups of a level, by its name
    method : REML or ML
    test : z, or t with k - p degrees of freedom

    Returns a `Fit` with a component for each variance and correlation (called rho); its `data` is a
    `MultivariateData`, whose `G` is the covariance of true effects.

    Raises `ModelError` when the numbers cannot carry the model; the message names the rows.

    >>> y, v = [0.4, 0.1, 0.5, 0.3, 0.2, 0.0, 0.6, 0.4], [0.02] * 8
    >>> outcome, study = ["a", "b"] * 4, [1, 1, 2, 2, 3, 3, 4, 4]
    >>> fit = fit_multivariate(y, v, outcome, study, [[1, 0], [0, 1]] * 4, names=["a", "b"], structure="CS")
    >>> [(c.name, round(c.estimate, 4)) for c in fit.components]
    [('tau2', 0.0206), ('rho', 1.0)]
    """
    check_choice(method, LikelihoodMethod, "method")
    check_choice(test, NormalTest, "test")
    check_choice(structure, OutcomeStructure, "structure")
    data, notes = _prepare(y, V, {"outcome": outcome, "study": study}, levels, known, x, names, structure, times)
    problem = _problem(data, restricted=method == "REML")
    phi, converged = _highest(problem, data)
    return _finish(data, problem, phi, converged, notes, _Options(method, test, check_level(level)))


@dataclass(frozen=True, slots=True)
class _Options:
    method: LikelihoodMethod
    test: NormalTest
    level: float


def _prepare(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    factors: Mapping[str, ArrayLike],
    levels: Mapping[str, ArrayLike] | None,
    known: Mapping[str, KnownCorrelation] | None,
    x: ArrayLike | None,
    names: Sequence[str] | None,
    structure: OutcomeStructure,
    times: Mapping[str, float] | None,
) -> tuple[MultivariateData, tuple[Note, ...]]:
    """Whole rows only, groups by number, and the structure of G over the outcomes that are left."""
    k, covariance = len(np.atleast_1d(np.asarray(y))), as_block_v(V)
    if covariance.k != k:
        raise ModelError(f"V is for {covariance.k} effects but y has {k}; pass one variance an effect.")
    labels = {**factor_arrays(factors, k), **(factor_arrays(levels, k) if levels else {})}
    lost = covariance.missing()
    for name, values in labels.items():
        lost = lost | (group_codes(values, k, name) < 0)
    effects, notes = prepare_effects(y, np.where(lost, np.nan, covariance.variances), x, names)
    zero = [effects.rows[i] for i in np.flatnonzero(effects.v == 0)]
    if zero:
        raise ModelError(f"{list_rows(zero)} with sampling variance 0; correct the variance or leave the rows out.")
    kept = np.asarray(effects.rows, dtype=np.intp)
    held = {name: values[kept] for name, values in labels.items()}
    outcomes, inner = _outcomes(held["outcome"], structure, times)
    further = tuple(_level(name, held[name], (known or {}).get(name)) for name in levels or {})
    unknown = [name for name in known or {} if name not in (levels or {})]
    if unknown:
        raise ModelError(f"known names the level {unknown[0]!r}, which levels does not have; pass its labels there.")
    outer = group_codes(held["study"], len(kept), "study")
    V_kept = covariance.take(kept) if len(kept) < k else covariance
    empty = np.zeros(len(further))
    q = len(outcomes.names)
    data = MultivariateData(effects, V_kept, inner, outer, outcomes, further, empty, np.zeros((q, q)), 0)
    return data, notes


def _outcomes(
    labels: Labels, structure: OutcomeStructure, times: Mapping[str, float] | None
) -> tuple[OutcomeCovariance, Codes]:
    names = tuple(dict.fromkeys(str(label) for label in labels))
    at = None
    if structure in IN_TIME:
        given = times or {}
        try:
            at = np.array([float(given.get(name, name)) for name in names])
        except ValueError:
            raise ModelError(
                f"structure={structure!r} needs the time of every outcome; {names!r} are no numbers, so pass times."
            ) from None
        if structure != "CAR" and (at % 1.0).any():
            raise ModelError(f"structure={structure!r} needs whole steps of time; use CAR for times such as {at[0]:g}.")
        order = np.argsort(at)
        names, at = tuple(names[i] for i in order), at[order]
    place = {name: i for i, name in enumerate(names)}
    return outcome_covariance(structure, names, at), np.array([place[str(label)] for label in labels], dtype=np.intp)


def _level(name: str, labels: Labels, known: KnownCorrelation | None) -> _Level:
    if known is None:
        return _Level(name, group_codes(labels, len(labels), name), None)
    R = np.asarray(known.matrix, dtype=float)
    m = len(known.labels)
    if R.shape != (m, m) or not np.allclose(R, R.T) or not np.allclose(np.diag(R), 1.0):
        raise ModelError(f"known[{name!r}] is not a correlation matrix of its {m} labels: square, symmetric, 1 inside.")
    place = {str(label): i for i, label in enumerate(known.labels)}
    absent = sorted({str(label) for label in labels} - set(place))
    if absent:
        raise ModelError(f"known[{name!r}] has no row for {', '.join(absent[:5])}; add it, or leave the rows out.")
    return _Level(name, np.array([place[str(label)] for label in labels], dtype=np.intp), R)


def _problem(data: MultivariateData, *, restricted: bool) -> _Problem:
    e = data.effects
    basis = orthonormal(e.x)
    start = e.y @ basis.columns
    residual = e.y - basis.columns @ start
    scale = float(np.sqrt(np.mean(residual**2) + np.median(e.v)))
    batches = []
    for rows in rows_by_size(_blocks(data)):
        K = tuple(level.correlation(rows) for level in data.levels)
        V = data.V.sub_blocks(rows) / scale**2
        same = _same(data.outer[rows])
        batches.append(_Batch(residual[rows] / scale, basis.columns[rows], V, same, data.inner[rows], K))
    return _Problem(tuple(batches), data.outcomes, basis, start, scale, restricted, len(e.y))


def _blocks(data: MultivariateData) -> Codes:
    """Rows that a study, a sampling covariance or a level ties to each other, directly or through others."""
    k = len(data.effects.y)
    if any(level.known is not None for level in data.levels):
        return np.zeros(k, dtype=np.intp)
    ties = [data.outer, *(level.codes for level in data.levels)]
    if data.V.codes is not None:
        ties.append(data.V.codes)
    rows = np.arange(k)
    first = [np.unique(codes, return_index=True, return_inverse=True) for codes in ties]
    ends = np.concatenate([index[inverse] for _, index, inverse in first])
    graph = sparse.coo_array((np.ones(len(ends)), (np.tile(rows, len(ties)), ends)), shape=(k, k))
    return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], dtype=np.intp)


def _highest(problem: _Problem, data: MultivariateData) -> tuple[Array, bool]:
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


def _search(problem: _Problem, start: Array, gradient: float) -> optimize.OptimizeResult:
    return optimize.minimize(problem.descend, start, jac=True, method="BFGS", options={"gtol": gradient})


def _polished(problem: _Problem, psi: Array) -> tuple[Array, NDArray[np.intp] | None]:
    """Natural parameters after Newton steps, and the free ones; None unless the steps settled within the range."""
    phi = np.asarray(problem.natural(psi), dtype=float)
    free = _inside(problem, phi)
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


def _newton(problem: _Problem, phi: Array, here: _Solved, free: NDArray[np.intp]) -> tuple[Array, _Solved] | None:
    """One Newton step in natural parameters from `phi`, solved `here`; None where it no longer climbs or leaves."""
    try:
        step = np.zeros_like(phi)
        step[free] = np.linalg.solve(problem.information(phi, free), np.real(here.slope[free]))
        if len(_inside(problem, phi + step)) < len(free):
            return None  # before anything is computed there: a variance below zero has no root
        ahead = problem.solve(phi + step)
    except np.linalg.LinAlgError:
        return None
    if not ahead.value >= here.value - 1e-12 * (abs(here.value) + 1):
        return None
    return (phi + step, ahead) if np.abs(step).max() > 1e-15 else None


def _spreads(problem: _Problem) -> Array:
    """Rough variances `(q,)` of true effects by outcome: mean squares beyond the sampling variances, at least a bit."""
    q = problem.outcomes.q
    sums, counts = np.zeros(q), np.zeros(q)
    for batch in problem.batches:
        excess = batch.y**2 - np.diagonal(batch.V, axis1=1, axis2=2)
        np.add.at(sums, batch.inner, excess)
        np.add.at(counts, batch.inner, 1.0)
    return np.asarray(np.maximum(sums / np.maximum(counts, 1.0), 0.05))


def _inside(problem: _Problem, phi: Array) -> NDArray[np.intp]:
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


def _finish(
    data: MultivariateData,
    problem: _Problem,
    phi: Array,
    converged: bool,
    notes: tuple[Note, ...],
    options: _Options,
) -> Fit:
    solved = problem.solve(phi)
    free, L = _inside(problem, phi), problem.levels
    parts = (*(level.name for level in data.levels), *data.outcomes.variances, *data.outcomes.correlations)
    size = np.array([problem.scale**2] * (L + data.outcomes.count) + [1.0] * len(data.outcomes.correlations))
    se = np.full(len(phi), np.nan)
    if len(free):
        se[free] = _standard_errors(problem.information(phi, free))
    G = np.real(data.outcomes.matrix(phi[L:])) * problem.scale**2
    theta = phi[:L] * problem.scale**2
    fitted = replace(data, theta=theta, G=np.asarray(G), parameters=len(phi))
    k, p = data.effects.x.shape
    T = problem.basis.to_beta
    edge = {parts[i] for i in set(range(len(phi))) - set(free.tolist())}
    return Fit(
        method={
            "model": "multivariate",
            "estimator": options.method,
            "test": options.test if k > p else "z",
            "structure": data.outcomes.structure,
            "V": data.V.description,
            "vcov": "model",
        },
        names=data.effects.names,
        beta=T @ (problem.start + problem.scale * np.real(solved.gamma)),
        vcov=problem.scale**2 * T @ np.real(solved.M) @ T.T,
        df=np.full(p, float(k - p) if options.test == "t" and k > p else np.inf),
        components=tuple(
            Component(name, float(value), float(error), at_boundary=name in edge)
            for name, value, error in zip(parts, phi * size, se * size, strict=True)
        ),
        loglik=solved.value,
        k=k,
        clusters=int(data.outer.max()) + 1,
        level=options.level,
        heterogeneity=_heterogeneity(problem, k - p),
        notes=(*notes, *_notes(edge, se, converged, data)),
        data=fitted,
    )


def _standard_errors(information: Array) -> Array:
    """Roots of the diagonal of the inverse; NaN where the likelihood has no peak in some direction."""
    if np.linalg.eigvalsh(information)[0] <= 0:
        return np.full(len(information), np.nan)
    return np.sqrt(np.diag(np.linalg.inv(information)))


def _heterogeneity(problem: _Problem, df: int) -> Heterogeneity:
    """Q with all variances 0; I2 and H2 are not defined for several outcomes at once."""
    nan = float("nan")
    if df == 0:
        return Heterogeneity(0.0, 0, nan, nan, nan)
    count = problem.outcomes.count
    rho = np.zeros(len(problem.outcomes.correlations))
    Q = problem.solve(np.concatenate([np.zeros(problem.levels + count), rho])).rss
    return Heterogeneity(Q, df, float(chi2_sf(Q, df)), nan, nan)


def _notes(edge: set[str], se: Array, converged: bool, data: MultivariateData) -> tuple[Note, ...]:
    notes = [
        Note("boundary", f"{name} is estimated at an end of its range; the standard errors of others leave it there.")
        for name in sorted(edge)
    ]
    if not edge and np.isnan(se).any():
        notes.append(
            Note("flat", "the likelihood is flat around its peak: other variances and correlations fit as well.")
        )
    if not converged:
        notes.append(Note("not-converged", "the search for G did not settle; try a structure with fewer parameters."))
    alone = _never_together(data)
    if alone and data.outcomes.structure == "UN":
        notes.append(Note("not-identified", f"no study has both {alone}: their correlation rests on nothing."))
    return tuple(notes)


def _never_together(data: MultivariateData) -> str:
    """The first pair of outcomes that no study has together, in words; empty where there is none."""
    q, studies = data.outcomes.q, int(data.outer.max()) + 1
    there = np.zeros((studies, q))
    there[data.outer, data.inner] = 1.0
    together = there.T @ there
    for i in range(q):
        for j in range(i):
            if together[i, j] == 0:
                return f"{data.outcomes.names[j]} and {data.outcomes.names[i]}"
    return ""


def _total(batch: _Batch, theta: Numbers, G: Numbers) -> Numbers:
    total = batch.V + np.where(batch.same, _spread(G, batch.inner), 0.0)
    for variance, K in zip(theta, batch.K, strict=True):
        total = total + variance * K
    return total


def _spread(matrix: Numbers, codes: Codes) -> Numbers:
    return matrix[codes[:, :, None], codes[:, None, :]]


def _same(codes: Codes) -> NDArray[np.bool_]:
    return np.asarray(codes[:, :, None] == codes[:, None, :], dtype=bool)
