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
from scipy import sparse

from replication.errors import ModelError
from replication.models.fit import Array, Component, ComponentKind, Fit, Heterogeneity, Note
from replication.models.least_squares import orthonormal
from replication.models.multilevel.groups import (
    Codes,
    Labels,
    factor_arrays,
    group_codes,
    rows_by_size,
)
from replication.models.multilevel.multivariate_search import Batch, Problem, highest, inside, same_group, spread_out
from replication.models.multilevel.outcome_covariance import IN_TIME, OutcomeCovariance, outcome_covariance
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.options import LikelihoodMethod, NormalTest, OutcomeStructure, check_choice
from replication.models.prepare import EffectData, check_level, list_rows, prepare_effects
from replication.models.probability import chi2_sf

__all__ = ["KnownCorrelation", "MultivariateData", "fit_multivariate"]


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
        total = self.V.sub_blocks(rows) + spread_out(self.G, inner) * same_group(outer)
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
        return same_group(codes).astype(float) if self.known is None else spread_out(self.known, codes)


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
    phi, converged = highest(problem)
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
    # All groupings at once: a row without any one of its labels belongs to no block.
    labels = {**factor_arrays(factors, k), **(factor_arrays(levels, k) if levels else {})}
    lost = covariance.missing()
    for name, values in labels.items():
        lost = lost | (group_codes(values, k, name) < 0)
    # A row without an outcome or a study is lost as one without a variance is: one list of excluded rows comes back.
    effects, notes = prepare_effects(y, np.where(lost, np.nan, covariance.variances), x, names)
    # With G singular, as at its boundary, a variance of 0 would leave the covariance of y without an inverse.
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
    # Numbered anew, as studies may have gone with the rows that were lost.
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
            # rho to the power of a fraction is not defined for the negative rho that AR allows.
            raise ModelError(f"structure={structure!r} needs whole steps of time; use CAR for times such as {at[0]:g}.")
        # Outcomes in the order of time, so that neighbours in G are neighbours in time.
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


def _problem(data: MultivariateData, *, restricted: bool) -> Problem:
    e = data.effects
    basis = orthonormal(e.x)
    # The search runs on residuals of ordinary least squares in units of their own size: G is near 1 whatever y is.
    start = e.y @ basis.columns
    residual = e.y - basis.columns @ start
    scale = float(np.sqrt(np.mean(residual**2) + np.median(e.v)))
    batches = []
    for rows in rows_by_size(_blocks(data)):
        K = tuple(level.correlation(rows) for level in data.levels)
        V = data.V.sub_blocks(rows) / scale**2
        same = same_group(data.outer[rows])
        batches.append(Batch(residual[rows] / scale, basis.columns[rows], V, same, data.inner[rows], K))
    return Problem(tuple(batches), data.outcomes, basis, start, scale, restricted, len(e.y))


def _blocks(data: MultivariateData) -> Codes:
    """Rows that a study, a sampling covariance or a level ties to each other, directly or through others."""
    k = len(data.effects.y)
    if any(level.known is not None for level in data.levels):
        # A known correlation of groups (a phylogeny, distances) ties every row to every other.
        return np.zeros(k, dtype=np.intp)
    ties = [data.outer, *(level.codes for level in data.levels)]
    if data.V.codes is not None:
        ties.append(data.V.codes)
    rows = np.arange(k)
    first = [np.unique(codes, return_index=True, return_inverse=True) for codes in ties]
    # Each row is tied to the first of its group alone: k edges a factor, where all pairs would grow with the square.
    ends = np.concatenate([index[inverse] for _, index, inverse in first])
    graph = sparse.coo_array((np.ones(len(ends)), (np.tile(rows, len(ties)), ends)), shape=(k, k))
    return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], dtype=np.intp)


def _finish(
    data: MultivariateData,
    problem: Problem,
    phi: Array,
    converged: bool,
    notes: tuple[Note, ...],
    options: _Options,
) -> Fit:
    """The fit at the highest point `phi` of the likelihood, back in the units of y."""
    solved, L = problem.solve(phi), problem.levels
    G = np.real(data.outcomes.matrix(phi[L:])) * problem.scale**2
    theta = phi[:L] * problem.scale**2
    components = _components(data, problem, phi)
    k, p = data.effects.x.shape
    T = problem.basis.to_beta
    return Fit(
        method={
            "model": "multivariate",
            "estimator": options.method,
            "test": options.test if k > p else "z",
            "structure": data.outcomes.structure,
            **data.V.choice,
            "vcov": "model",
        },
        names=data.effects.names,
        beta=T @ (problem.start + problem.scale * np.real(solved.gamma)),
        vcov=problem.scale**2 * T @ np.real(solved.M) @ T.T,
        df=np.full(p, float(k - p) if options.test == "t" and k > p else np.inf),
        components=components,
        loglik=solved.value,
        k=k,
        clusters=int(data.outer.max()) + 1,
        level=options.level,
        heterogeneity=_heterogeneity(problem, k - p),
        notes=(*notes, *_notes(components, converged, data)),
        data=replace(data, theta=theta, G=np.asarray(G), parameters=len(phi)),
    )


def _components(data: MultivariateData, problem: Problem, phi: Array) -> tuple[Component, ...]:
    """Every variance and correlation at `phi` with its standard error, in the units of y."""
    free = inside(problem, phi)
    # At an end of its range a parameter has no curvature to invert: it is left out, and those beside it keep theirs.
    se = np.full(len(phi), np.nan)
    # Every parameter at an end: there is no direction left in which to take a curvature.
    if len(free):
        se[free] = _standard_errors(problem.information(phi, free))
    variances = (*(level.name for level in data.levels), *data.outcomes.variances)
    # The search ran on y / scale: variances go back by its square, correlations have no unit.
    of_kind: tuple[tuple[ComponentKind, float, tuple[str, ...]], ...] = (
        ("variance", problem.scale**2, variances),
        ("correlation", 1.0, data.outcomes.correlations),
    )
    named = [(name, kind, unit) for kind, unit, names in of_kind for name in names]
    return tuple(
        Component(name, float(phi[i] * unit), float(se[i] * unit), at_boundary=i not in free, kind=kind)
        for i, (name, kind, unit) in enumerate(named)
    )


def _standard_errors(information: Array) -> Array:
    """Roots of the diagonal of the inverse; NaN where the likelihood has no peak in some direction."""
    if np.linalg.eigvalsh(information)[0] <= 0:  # an inverse would have negative variances on its diagonal
        return np.full(len(information), np.nan)
    return np.sqrt(np.diag(np.linalg.inv(information)))


def _heterogeneity(problem: Problem, df: int) -> Heterogeneity:
    """Q with all variances 0; I2 and H2 are not defined for several outcomes at once."""
    nan = float("nan")
    if df == 0:
        return Heterogeneity(0.0, 0, nan, nan, nan)
    count = problem.outcomes.count
    # Where all variances are 0 the correlations say nothing; 0 is in the range of every structure.
    rho = np.zeros(len(problem.outcomes.correlations))
    Q = problem.solve(np.concatenate([np.zeros(problem.levels + count), rho])).rss
    return Heterogeneity(Q, df, float(chi2_sf(Q, df)), nan, nan)


def _notes(components: tuple[Component, ...], converged: bool, data: MultivariateData) -> tuple[Note, ...]:
    edge = {part.name for part in components if part.at_boundary}
    notes = [
        Note("boundary", f"{name} is estimated at an end of its range; the standard errors of others leave it there.")
        for name in sorted(edge)
    ]
    if not edge and any(np.isnan(part.se) for part in components):
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
    # Studies by outcomes, 1 where a study has it: the product with itself counts studies that have both.
    there = np.zeros((studies, q))
    there[data.outer, data.inner] = 1.0
    together = there.T @ there
    for i in range(q):
        for j in range(i):
            if together[i, j] == 0:
                return f"{data.outcomes.names[j]} and {data.outcomes.names[i]}"
    return ""
