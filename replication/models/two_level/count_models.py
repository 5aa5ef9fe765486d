"""Generalised linear mixed models of counts: odds ratios, rate ratios, proportions and rates without a normal step.

    theta_i = x_i' beta + u_i,   u_i ~ N(0, tau2),   counts_i | theta_i ~ binomial, Poisson or hypergeometric

Called by `replication.glmm`. Three ideas:

1. The effect of a study is integrated out by adaptive Gauss-Hermite quadrature, for all studies at once; derivatives of
   the marginal likelihood are posterior means and covariances of the derivatives in `count_likelihoods` (Louis 1982).
2. Newton steps on (beta, tau) with exact second derivatives. Where every study has a baseline of its own, these are
   profiled out by a Schur complement, so the cost grows linearly with studies.
3. tau and not tau2 is searched for: the likelihood is even in tau, so tau = 0 is a stationary point like any other and
   no border has to be guarded.

Sources: Stijnen, Hamza & Özdemir (2010); Jackson, Law, Stijnen, Viechtbauer & White (2018), models 2 to 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError, list_rows
from replication.models.fit import Array, Component, Fit, Heterogeneity, Note
from replication.models.options import CountMeasure, CountModel, NormalTest, check_choice
from replication.models.prepare import EffectData, as_numbers, check_level, prepare_effects
from replication.models.probability import chi2_sf
from replication.models.two_level.count_likelihoods import (
    Binomial,
    Hypergeometric,
    Likelihood,
    Poisson,
    Terms,
    TwoBinomials,
    TwoPoissons,
)

__all__ = ["COUNT_COLUMNS", "CountsData", "StudyCounts", "fit_counts", "study_counts"]

POINTS = 31
"""Points of quadrature: twice as many change no digit below 1e-9 on data with counts of 0 (tested)."""
POINTS_TWICE = 21
STEPS, DONE = 100, 1e-18
"""Newton steps at most, and the decrement g' H^-1 g at which they end: a step of 1e-9 standard errors."""
FLAT = 1e-7
"""Information per study below which the likelihood has no peak: estimates then run away, as with no event at all."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyCounts:
    """Counts of k studies: `names` of the columns and `columns (k,)` each, the measure they are for."""

    measure: CountMeasure
    columns: tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CountsData:
    """What a model of counts was fitted to: `effects` (rows, design, the plain effect sizes) and the counts used.

    `baseline_mean` and `baseline_variance` are those of the baselines where they are drawn, NaN otherwise; `parameters`
    counts what was estimated besides the coefficients.
    """

    effects: EffectData
    counts: StudyCounts
    baseline_mean: float
    baseline_variance: float
    parameters: int


COUNT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "OR": ("a", "b", "c", "d"),
    "IRR": ("events1", "time1", "events2", "time2"),
    "PLO": ("events", "n"),
    "IRLN": ("events", "time"),
}


def study_counts(measure: CountMeasure, *columns: ArrayLike) -> StudyCounts:
    """The counts of studies, checked; rows with a missing cell stay, as NaN.

    Columns: OR events and non-events of group 1, then of group 2; IRR events and time; PLO events and n; IRLN events
    and time.

    Raises `ModelError` for counts that are negative or no whole numbers, times that are not positive, events over n.
    """
    check_choice(measure, CountMeasure, "measure")
    names = COUNT_COLUMNS[measure]
    if len(columns) != len(names):
        raise ModelError(f"{measure} needs {', '.join(names)}; {len(columns)} columns were given.")
    arrays = tuple(as_numbers(column, name) for column, name in zip(columns, names, strict=True))
    for name, values in zip(names, arrays, strict=True):
        if values.shape != arrays[0].shape or values.ndim != 1:
            raise ModelError(f"{name} has shape {values.shape}; pass one value per study.")
        timed = name.startswith("time")
        with np.errstate(invalid="ignore"):
            bad = (values <= 0) | np.isinf(values) if timed else (values < 0) | (values != np.floor(values))
        bad &= ~np.isnan(values)
        if bad.any():
            wanted = "times above 0" if timed else "whole numbers of 0 or more"
            raise ModelError(f"{name}, {list_rows(np.flatnonzero(bad).tolist())}: expected {wanted}; correct them.")
    if measure == "PLO" and (arrays[0] > arrays[1]).any():
        raise ModelError(f"{list_rows(np.flatnonzero(arrays[0] > arrays[1]).tolist())}: more events than persons.")
    return StudyCounts(measure, arrays)


def fit_counts(
    counts: StudyCounts,
    x: ArrayLike | None = None,
    *,
    model: CountModel = "conditional",
    heterogeneity: bool = True,
    test: NormalTest = "z",
    level: float = 0.95,
    names: Sequence[str] | None = None,
) -> Fit:
    """Fit a generalised linear mixed model of counts by maximum likelihood.

    Parameters
    ----------
    counts : of the k studies, by `study_counts`
    x : (k, p) whole design, intercept included; None fits one mean effect
    model : of two groups ("OR", "IRR"); one group ("PLO", "IRLN") has only one model and ignores it
    heterogeneity : False fits one common effect, tau2 = 0
    test : z, or t with k - p degrees of freedom

    Studies without any event, or with nothing but events, say nothing of an odds ratio: they are left out with a note.
    `heterogeneity` of the fit is the likelihood-ratio test of tau2 = 0 against an effect for each study (its Q is that
    statistic).

    Raises `ModelError` when the counts cannot carry the model.

    >>> counts = study_counts("OR", [3, 7, 5, 102], [36, 7, 6, 20], [3, 14, 11, 28], [44, 15, 18, 32])
    >>> found = fit_counts(counts, model="conditional")
    >>> round(float(found.beta[0]), 3), round(found.components[0].estimate, 3)
    (0.784, 0.368)
    """
    check_choice(model, CountModel, "model")
    check_choice(test, NormalTest, "test")
    check_level(level)
    _check_model(counts.measure, model)
    effects, notes, likelihood, used = _prepare(counts, x, model, names)
    one_group = counts.measure in ("PLO", "IRLN")
    baselines: CountModel = "conditional" if one_group else model
    problem = _Problem(likelihood, effects.x, baselines, effects.y[:, None])
    null = problem.highest(free_tau=False)
    found = problem.highest(free_tau=True, start=null) if heterogeneity else null
    saturated = problem.saturated()
    return _finish(problem, found, null, (effects, used, notes), (model, one_group, test, level), saturated)


def _check_model(measure: str, model: CountModel) -> None:
    if model == "approximate" and measure != "OR":
        raise ModelError('model="approximate" is for odds ratios of rare events; use model="conditional".')


def _prepare(
    counts: StudyCounts, x: ArrayLike | None, model: CountModel, names: Sequence[str] | None
) -> tuple[EffectData, tuple[Note, ...], Likelihood, StudyCounts]:
    """The studies that say something, their likelihood, and starting values: effects with 1/2 added to the counts."""
    columns = [column.copy() for column in counts.columns]
    silent = _silent(counts)
    for column in columns:
        column[silent] = np.nan
    start = _plain_effects(counts.measure, columns)
    effects, notes = prepare_effects(start, np.where(np.isnan(start), np.nan, 1.0), x, names)
    if silent.any():
        rows = tuple(np.flatnonzero(silent).tolist())
        told = f"{list_rows(rows)} left out: without an event, or with nothing else, a study does not tell its effect."
        # The row is missing by this rule and not by an empty cell: one note, the true one.
        others = tuple(r for note in notes for r in note.rows if r not in rows and note.code == "excluded-rows")
        notes = tuple(n for n in notes if n.code != "excluded-rows")
        if others:
            notes += (Note("excluded-rows", f"{list_rows(others)} left out: a value is missing (NaN).", others),)
        notes += (Note("excluded-rows", told, rows),)
    kept = [column[list(effects.rows)][:, None] for column in columns]
    used = StudyCounts(counts.measure, tuple(column[:, 0] for column in kept))
    return effects, notes, _likelihood(counts.measure, kept, model), used


def _silent(counts: StudyCounts) -> Array:
    """Studies that hold no information on a ratio of two groups."""
    c = counts.columns
    if counts.measure == "OR":
        return np.asarray((c[0] + c[2] == 0) | (c[1] + c[3] == 0))
    if counts.measure == "IRR":
        return np.asarray(c[0] + c[2] == 0)
    return np.zeros(len(c[0]), dtype=bool)


def _plain_effects(measure: str, c: Sequence[Array]) -> Array:
    """Effect sizes with 1/2 added everywhere: where the search begins, and nothing else."""
    if measure == "OR":
        a, b, e, d = (column + 0.5 for column in c)
        return np.asarray(np.log(a * d / (b * e)))
    if measure == "IRR":
        return np.asarray(np.log((c[0] + 0.5) / c[1]) - np.log((c[2] + 0.5) / c[3]))
    if measure == "PLO":
        return np.asarray(np.log((c[0] + 0.5) / (c[1] - c[0] + 0.5)))
    return np.asarray(np.log((c[0] + 0.5) / c[1]))


def _likelihood(measure: str, c: Sequence[Array], model: CountModel) -> Likelihood:
    if measure == "PLO":
        return Binomial(c[0], c[1], np.zeros_like(c[0]))
    if measure == "IRLN":
        return Poisson(c[0], np.log(c[1]))
    return _of_rates(c, model) if measure == "IRR" else _of_odds(c, model)


def _of_rates(c: Sequence[Array], model: CountModel) -> Likelihood:
    if model == "conditional":  # given their total, events of group 1 are binomial
        return Binomial(c[0], c[0] + c[2], np.log(c[1] / c[3]))
    return TwoPoissons(*c)


def _of_odds(c: Sequence[Array], model: CountModel) -> Likelihood:
    n1, n2 = c[0] + c[1], c[2] + c[3]
    if model == "conditional":
        return Hypergeometric.of_table(c[0], n1, c[2], n2)
    if model == "approximate":  # rare events: both groups' totals act as times
        return Binomial(c[0], c[0] + c[2], np.log(n1 / n2))
    return TwoBinomials(c[0], n1, c[2], n2)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Where the search stands: `beta (p,)`, `tau`, baselines `alpha (k, 1)`, their `spread` where they are drawn."""

    beta: Array
    tau: float
    alpha: Array
    spread: float


@dataclass(frozen=True, slots=True, eq=False)
class _Slopes:
    """Log-likelihoods `value (k,)` and derivatives in (eta, tau, alpha, spread): `first (k, 4)`, `second (k, 4, 4)`."""

    value: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    point: _Point
    loglik: float
    information: Array
    settled: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The marginal likelihood: counts of k studies, design `x (k, p)`, what is known of baselines, first effects."""

    likelihood: Likelihood
    x: Array
    model: CountModel
    start: Array

    def highest(self, *, free_tau: bool, start: _Found | None = None) -> _Found:
        """The peak, by Newton steps that never go down."""
        point = self._begin(free_tau, start)
        slopes = self.slopes(point, free_tau)
        settled = False
        for _ in range(STEPS):
            gradient, information, split = self._system(slopes, free_tau)
            step = _uphill(information, gradient)
            moved, after = self._climb(point, slopes, split.spread(step), free_tau)
            stuck = moved is point
            point, slopes = moved, after
            decrement = float(np.abs(gradient @ step))
            if stuck or decrement < DONE:
                settled = decrement < np.sqrt(DONE)
                break
        _, information, _ = self._system(slopes, free_tau)
        return _Found(point, float(slopes.value.sum()), information, settled)

    def saturated(self) -> float:
        """The log-likelihood with an effect for each study: the peak of each, without a distribution of effects."""
        alone = _Problem(self.likelihood, np.eye(len(self.x)), self.model, self.start)
        # Of a study with an empty cell the effect runs away; its likelihood has a limit, which fifty steps reach.
        return alone.highest(free_tau=False).loglik

    def slopes(self, at: _Point, free_tau: bool) -> _Slopes:
        """Value and derivatives of every study's marginal log-likelihood."""
        eta = (self.x @ at.beta)[:, None]
        drawn = self.model == "random baselines"
        if not free_tau and not drawn:
            return _plain(self.likelihood.at(eta, at.alpha))
        z, w, weight = _nodes(self.likelihood, eta, at, free_tau=free_tau, drawn=drawn)
        terms = self.likelihood.at(eta + at.tau * z, at.alpha + at.spread * w)
        logs = terms.value - 0.5 * (z * z + w * w) + weight
        top = logs.max(axis=1, keepdims=True)
        share = np.exp(logs - top)
        total = share.sum(axis=1, keepdims=True)
        return _louis(terms, share / total, (z, w), np.log(total[:, 0]) + top[:, 0])

    def _baselines(self) -> bool:
        return self.model in ("fixed baselines", "random baselines")

    def _begin(self, free_tau: bool, start: _Found | None) -> _Point:
        k = len(self.x)
        if start is not None:
            spread = float(np.std(self.start - self.x @ np.linalg.lstsq(self.x, self.start)[0]))
            at = start.point
            return _Point(at.beta, max(spread, 0.1), at.alpha, at.spread)
        beta = np.asarray(np.linalg.lstsq(self.x, self.start[:, 0])[0], dtype=float)
        alpha = np.zeros((k, 1))
        if self._baselines():
            alpha = _baseline_start(self.likelihood)
        drawn = self.model == "random baselines"
        spread = max(float(alpha.std()), 0.1) if drawn else 0.0
        return _Point(beta, 0.0, np.full((k, 1), alpha.mean()) if drawn else alpha, spread)

    def _system(self, s: _Slopes, free_tau: bool) -> tuple[Array, Array, _Split]:
        """Gradient and information in the parameters searched for, a study's own baseline profiled out."""
        p = self.x.shape[1]
        drawn = self.model == "random baselines"
        columns = [*((0, self.x[:, j]) for j in range(p))]
        ones = np.ones(len(self.x))
        columns += [(1, ones)] if free_tau else []
        columns += [(2, ones), (3, ones)] if drawn else []
        which = [c for c, _ in columns]
        design = np.column_stack([values for _, values in columns])
        gradient = (s.first[:, which] * design).sum(axis=0)
        second = np.einsum("kij,ki,kj->ij", s.second[:, which][:, :, which], design, design)
        split = _Split(p, free_tau, drawn, None, None, None)
        if self.model == "fixed baselines":
            across = s.second[:, which, 2] * design
            own, slope = s.second[:, 2, 2], s.first[:, 2]
            second = second - np.einsum("ki,kj,k->ij", across, across, 1.0 / own)
            gradient = gradient - across.T @ (slope / own)
            split = _Split(p, free_tau, drawn, across, own, slope)
        return gradient, -second, split

    def _climb(self, at: _Point, before: _Slopes, step: _Point, free_tau: bool) -> tuple[_Point, _Slopes]:
        """The step, halved until it does not go down; the place itself where no step goes up."""
        base, share = float(before.value.sum()), 1.0
        for _ in range(40):
            moved = _Point(
                at.beta + share * step.beta,
                abs(at.tau + share * step.tau),
                at.alpha + share * step.alpha,
                abs(at.spread + share * step.spread),
            )
            with np.errstate(over="ignore", invalid="ignore"):
                after = self.slopes(moved, free_tau)
            if float(after.value.sum()) >= base - 1e-13 * abs(base):  # equal, but for rounding
                return moved, after
            share *= 0.5
        return at, before


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """How a step in the parameters searched for becomes one in all: `across (k, q)`, `own (k,)`, `slope (k,)`."""

    p: int
    free_tau: bool
    drawn: bool
    across: Array | None
    own: Array | None
    slope: Array | None

    def spread(self, step: Array) -> _Point:
        """The step by its parts; each study's own baseline follows from its row of the system."""
        rest = list(step[self.p :])
        tau = float(rest.pop(0)) if self.free_tau else 0.0
        alpha: Array = np.zeros((1, 1))
        spread = 0.0
        if self.drawn:
            alpha, spread = np.full((1, 1), rest[0]), float(rest[1])
        if self.across is not None and self.own is not None and self.slope is not None:
            alpha = (-(self.slope + self.across @ step) / self.own)[:, None]
        return _Point(step[: self.p], tau, alpha, spread)


def _plain(terms: Terms) -> _Slopes:
    """Without anything integrated out: one point a study."""
    k = len(terms.value)
    first, second = np.zeros((k, 4)), np.zeros((k, 4, 4))
    first[:, 0], first[:, 2] = terms.d_theta[:, 0], terms.d_alpha[:, 0]
    second[:, 0, 0], second[:, 2, 2] = terms.tt[:, 0], terms.aa[:, 0]
    second[:, 0, 2] = second[:, 2, 0] = terms.ta[:, 0]
    return _Slopes(terms.value[:, 0], first, second)


def _louis(terms: Terms, share: Array, nodes: tuple[Array, Array], value: Array) -> _Slopes:
    """Derivatives of the log of an integral: E[H + g g'] - E[g] E[g]' under the posterior of what is integrated out."""
    z, w = nodes
    one = np.ones_like(z)
    by = (one, z, one, w)  # theta = eta + tau z, alpha = alpha + spread w
    slope = (terms.d_theta, terms.d_theta, terms.d_alpha, terms.d_alpha)
    g = np.stack([d * b for d, b in zip(slope, by, strict=True)], axis=2)
    first = np.einsum("kq,kqi->ki", share, g)
    second = np.einsum("kq,kqi,kqj->kij", share, g, g) - first[:, :, None] * first[:, None, :]
    curves = {(0, 0): terms.tt, (0, 1): terms.ta, (1, 1): terms.aa}
    for i in range(4):
        for j in range(4):
            curve = curves[(min(i, j) // 2, max(i, j) // 2)]
            second[:, i, j] += (share * curve * by[i] * by[j]).sum(axis=1)
    return _Slopes(value, first, second)


def _nodes(
    likelihood: Likelihood, eta: Array, at: _Point, *, free_tau: bool, drawn: bool
) -> tuple[Array, Array, Array]:
    """Points `z, w (k, Q)` and log weights of the quadrature, each study's around the peak of what is integrated."""
    first, first_weight = _hermite(POINTS_TWICE if drawn else POINTS) if free_tau else _hermite(1)
    second, second_weight = _hermite(POINTS_TWICE) if drawn else _hermite(1)
    mode, L = _peaks(likelihood, eta, at)
    grid = np.array([(a, b) for a in first for b in second])
    log_weight = np.array([np.log(a) + np.log(b) for a in first_weight for b in second_weight]) + (grid**2).sum(axis=1)
    # points of the precision L L': mode + sqrt(2) L'^-1 grid, L lower triangular
    w = np.sqrt(2.0) * grid[:, 1] / L[:, 2:3]
    z = (np.sqrt(2.0) * grid[:, 0] - L[:, 1:2] * w) / L[:, 0:1]
    constant = np.log(2.0) - np.log(2.0 * np.pi) - np.log(L[:, 0:1] * L[:, 2:3])
    return mode[:, 0:1] + z, mode[:, 1:2] + w, constant + log_weight


def _hermite(points: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite.hermgauss(points)
    return np.asarray(nodes), np.asarray(weights)


def _peaks(likelihood: Likelihood, eta: Array, at: _Point) -> tuple[Array, Array]:
    """The peak `(k, 2)` of each study's integrand in standard normal z, w, and its curvature as `L (k, 3)`."""
    k = len(eta)
    mode = np.zeros((k, 2))
    scale = np.array([at.tau, at.spread])
    for _ in range(STEPS):
        terms = likelihood.at(eta + at.tau * mode[:, :1], at.alpha + at.spread * mode[:, 1:])
        slope = scale * np.column_stack([terms.d_theta[:, 0], terms.d_alpha[:, 0]]) - mode
        a, b, c = _curvature(terms, scale)
        # the log of a concave likelihood and a normal: one peak, and Newton steps of bounded length find it
        det = a * c - b * b
        step = np.column_stack([c * slope[:, 0] - b * slope[:, 1], a * slope[:, 1] - b * slope[:, 0]]) / det[:, None]
        mode = mode + np.clip(step, -3.0, 3.0)
        if np.abs(step).max() < 1e-9:
            break
    a, b, c = _curvature(likelihood.at(eta + at.tau * mode[:, :1], at.alpha + at.spread * mode[:, 1:]), scale)
    low = np.sqrt(a)
    return mode, np.column_stack([low, b / low, np.sqrt(c - b * b / a)])


def _curvature(terms: Terms, scale: Array) -> tuple[Array, Array, Array]:
    """The precision matrix of the integrand's normal approximation, entries 11, 12 and 22 `(k,)` each."""
    a = 1.0 - scale[0] ** 2 * terms.tt[:, 0]
    b = -scale[0] * scale[1] * terms.ta[:, 0]
    return a, b, 1.0 - scale[1] ** 2 * terms.aa[:, 0]


def _baseline_start(likelihood: Likelihood) -> Array:
    """Each study's mean of the two groups' logits or log rates, with 1/2 added to the counts."""
    if isinstance(likelihood, TwoBinomials):
        logits = (
            np.log((x + 0.5) / (n - x + 0.5))
            for x, n in ((likelihood.x1, likelihood.n1), (likelihood.x2, likelihood.n2))
        )
        return np.asarray(0.5 * sum(logits))
    assert isinstance(likelihood, TwoPoissons)
    rates = (np.log((x + 0.5) / t) for x, t in ((likelihood.x1, likelihood.t1), (likelihood.x2, likelihood.t2)))
    return np.asarray(0.5 * sum(rates))


def _uphill(information: Array, gradient: Array) -> Array:
    """The Newton step; where the likelihood is not concave yet, along the same axes but upwards."""
    values, vectors = np.linalg.eigh(information)
    steep = np.maximum(np.abs(values), 1e-8 * max(1.0, float(np.abs(values).max())))
    return np.asarray(vectors @ ((vectors.T @ gradient) / steep))


def _finish(
    problem: _Problem,
    found: _Found,
    null: _Found,
    prepared: tuple[EffectData, StudyCounts, tuple[Note, ...]],
    options: tuple[CountModel, bool, NormalTest, float],
    saturated: float,
) -> Fit:
    effects, used, notes = prepared
    model, one_group, test, level = options
    k, p = problem.x.shape
    covariance = _inverse(found.information)
    free = found is not null
    tau2 = found.point.tau**2
    at_zero = free and found.point.tau < 1e-4
    # The delta method: tau is estimated, and tau2 is its square.
    se = 2.0 * found.point.tau * float(np.sqrt(covariance[p, p])) if free and not at_zero else float("nan")
    components = (Component("tau2", tau2, se, at_boundary=at_zero),)
    if at_zero:
        # At the edge the curvature in tau says nothing, and would spoil the other standard errors.
        covariance[:p, :p] = _inverse(np.delete(np.delete(found.information, p, 0), p, 1))[:p, :p]
    Q = max(0.0, 2.0 * (saturated - null.loglik))
    return Fit(
        method={
            "model": f"GLMM of counts ({used.measure}{'' if one_group else f', {model}'})", "estimator": "ML",
            **({} if free else {"tau2": "EE"}), "test": test, "V": "likelihood of the counts", "vcov": "model",
        },
        names=effects.names,
        beta=found.point.beta,
        vcov=covariance[:p, :p],
        df=np.full(p, float(k - p) if test == "t" else np.inf),
        components=components,
        loglik=found.loglik,
        k=k,
        level=level,
        heterogeneity=Heterogeneity(Q, k - p, float(chi2_sf(Q, k - p)), float("nan"), float("nan")),
        notes=(*notes, *_search_notes(problem, found, at_zero)),
        data=_counts_data(problem, found, (effects, used), int(free)),
    )  # fmt: skip


def _search_notes(problem: _Problem, found: _Found, at_zero: bool) -> Iterator[Note]:
    """What a reader must know of where the search ended: on the boundary, on a flat likelihood, or nowhere yet."""
    p = problem.x.shape[1]
    if at_zero:
        yield Note("boundary", "tau2 is estimated at its boundary, 0: its standard error is not defined.")
    # Information relative to the design, so that the scale of a moderator does not decide what counts as flat.
    flat = np.linalg.eigvals(np.linalg.solve(problem.x.T @ problem.x, found.information[:p, :p])).real
    if not flat.min() > FLAT:
        yield Note("no-peak", "the counts set no end to an estimate (no events, or nothing else): do not use it.")
    if not found.settled:
        yield Note("not-converged", "the search did not settle; leave out studies without events, or moderators.")


def _counts_data(problem: _Problem, found: _Found, given: tuple[EffectData, StudyCounts], free: int) -> CountsData:
    """What the model was fitted to, the baselines where they were drawn, and how many parameters beside `beta`."""
    drawn = (float("nan"), float("nan"))
    if problem.model == "random baselines":
        drawn = (float(found.point.alpha[0, 0]), found.point.spread**2)
    baselines = {"fixed baselines": problem.x.shape[0], "random baselines": 2}
    return CountsData(*given, *drawn, free + baselines.get(problem.model, 0))


def _inverse(information: Array) -> Array:
    """The covariance; NaN where the likelihood has no peak in some direction."""
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        return np.full_like(information, np.nan)
    return np.asarray(np.linalg.inv(information))
