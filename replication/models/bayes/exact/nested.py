"""Exact Bayesian meta-analysis of effects within samples within countries, by quadrature over three variances.

    y = X beta + U c + Z b + w + e,   c ~ N(0, country^2),  b ~ N(0, between^2),  w ~ N(0, within^2),  e ~ N(0, V)

Two ideas:

1. Country and sample effects load on the same column of ones, so each level is one more rank-one update of the same
   few sums over rows (ones, the columns of X, y): what is kept per node is a matrix of p + 2 rows, whatever k is.
2. Given the three standard deviations everything is normal. So every answer (the mean, the mean of a further sample,
   one further correlation) is a mixture of normals over the nodes, and its quantiles are those of the posterior.

Where no country is known there is no country level: `country=Fixed(0.0)`. The model is then `exact_three_level`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.bayes.exact.integration import Accuracy
from replication.models.bayes.exact.marginals import Marginal, NormalMixture
from replication.models.bayes.exact.model import Axis, sd_axis
from replication.models.bayes.exact.one_box import enclosing_box, midpoints
from replication.models.bayes.exact.quadrature import Cells, adapt, box_cells, grid_nodes
from replication.models.bayes.priors.coefficient import CoefficientPrior, Flat, Normal
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.bayes.priors.record import LOG_2PI, Prior
from replication.models.fit import Array, Note
from replication.models.multilevel.groups import Codes, group_codes, refines, rows_by_size
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.prepare import as_numbers, check_level, prepare_effects
from replication.models.readable import Readable

__all__ = ["NestedPosterior", "exact_nested"]

SDS = ("within", "between", "country")
# Nodes and weights of every axis, `(C, n)` each.
_Rule = tuple[tuple[Array, ...], tuple[Array, ...]]
# Nodes an axis where cells are found and where they are used. Measured on the body of most rows (113 in 48 samples in
# 35 countries) at rtol 1e-3: seven and ten need 59 cells and are off by 1e-5; six and nine need 228, off by 2e-5.
RULE = (7, 10)
# Nodes an axis of the midpoint rules on one box, each beside the one before until two agree. Measured on the 110
# posteriors of the report at rtol 1e-3: the second does for 102 of them and is off by 2e-5 in a variance of nine of
# ten, by 3e-4 at most (under an exponential prior).
ON_BOX = (12, 17, 24)
# How far below `rtol` the tails of cells must lie, in turn, until the two rules agree.
TIGHTNESS = (1e1, 1.0, 1e-1, 1e-2, 1e-3)
# Nodes an axis of a cell where samples are left out one by one: dozens of posteriors, each to three digits. On one box
# the fewest of `ON_BOX` do (7e-5 in the ends of predictions).
THIN = 4
# Numbers worked on at once: arrays that stay in the processor's cache.
MOST = 100_000
# Numbers held of one kind until all cells that share them are done: 32 MB.
MOST_HELD = 4_000_000
# Groups of a country that are added up together with those of other countries.
FEW_GROUPS = 8
# Nodes that carry less than this part of the error asked for are left out of mixtures: some ten thousand of them
# together stay below it.
PRUNE = 1e-6
# A cell with less than this share by the coarser rule is left out of the finer one: its nodes would all be pruned.
EMPTY = 1e-14
# Left-out posteriors with more than this share on nodes that seldom count in the whole one have strayed from the cells.
SELDOM, STRAYED = 1e-6, 0.01
# Standard deviations this many sampling sds large leave ten digits in the sums; priors of correlations end before.
FARTHEST = 1e4
CHECKED = np.array([0.025, 0.5, 0.975])


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Rows tied by V, rotated so that V is diagonal: `lam (n,)`, and the columns `[U, X, y]` turned `(n, s + p + 1)`.

    Where the first column of X is the intercept it is left out: the columns of U add up to it. `s` samples have rows
    here (one, unless surveys share persons): `members` are their numbers, in order of label; `country` is the number of
    their country.
    """

    lam: Array
    columns: Array
    s: int
    country: int
    members: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    groups: tuple[_Group, ...]
    countries: int
    samples: int
    axes: tuple[Axis, Axis, Axis]
    precision: Array
    prior_mean: Array
    flat: int
    start: Array
    k: int
    intercept: bool

    @property
    def columns(self) -> int:
        """How many columns are summed: `[1, X, y]`, the intercept once."""
        return len(self.start) + (1 if self.intercept else 2)

    @property
    def wanted(self) -> tuple[int, Codes, Codes]:
        """Of the pairs of these columns the first of those of `[X, y]`, and both columns of each `(m,)`."""
        first = 0 if self.intercept else self.columns
        i, j = _upper(self.columns)
        return first, i[first:], j[first:]


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """The posterior as weighted normal models, one per node of the three sds.

    `weights (N,)`, `sds (N, 3)` in the order of `SDS`, `mean (N, p)`, `covariance (N, p, p)`.
    """

    weights: Array
    sds: Array
    mean: Array
    covariance: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class NestedPosterior(Readable):
    """A posterior by quadrature. `names` are the coefficients, `priors` those of every parameter.

    `k` effects in `samples` samples in `countries` countries. All answers are on the scale of y.
    """

    names: tuple[str, ...]
    priors: Mapping[str, Prior]
    k: int
    samples: int
    countries: int
    level: float
    log_marginal: float
    accuracy: Accuracy
    notes: tuple[Note, ...]
    labels: tuple[str, ...] = field(repr=False)
    nodes: _Nodes = field(repr=False)
    data: _Data = field(repr=False)
    thin: _Rule = field(repr=False)

    def coefficient(self, name: str | None = None) -> Marginal:
        """The posterior of one coefficient (the first by default)."""
        return self.contrast(np.eye(len(self.names))[self._position(name)])

    def contrast(self, c: ArrayLike) -> Marginal:
        """The posterior of the combination `c @ beta` of the p coefficients."""
        return self._mixture(self._row(c), np.zeros(len(self.nodes.weights)))

    def further_sample(self, at: ArrayLike | None = None) -> Marginal:
        """The mean true effect, over measures, of a further sample in a further country: adds between + country."""
        return self._mixture(self._row(at), np.square(self.nodes.sds[:, 1:]).sum(axis=1))

    def further_row(self, variance: float, at: ArrayLike | None = None) -> Marginal:
        """One printed effect of a further study, with that sampling `variance`: adds the within part as well."""
        return self._mixture(self._row(at), np.square(self.nodes.sds).sum(axis=1) + variance)

    def further_mean(self, rows: int, variance: float, at: ArrayLike | None = None) -> Marginal:
        """The mean of `rows` effects of a further sample, its sampling `variance` known: within / rows is added."""
        spread = np.square(self.nodes.sds[:, 1:]).sum(axis=1) + np.square(self.nodes.sds[:, 0]) / rows
        return self._mixture(self._row(at), spread + variance)

    def without(self, sets: Sequence[Collection[str]]) -> tuple[NestedPosterior, ...]:
        """The posterior without each set of samples (labels) in turn, at the nodes already found.

        Leaving a sample out changes the density at every node by a closed form. Where that moves the posterior beyond
        the nodes (a sample far from all others), it is integrated anew. Samples tied to a left-out one by V go with it:
        their errors are known to be related.
        """
        position = {label: i for i, label in enumerate(self.labels)}
        unknown = [label for labels in sets for label in labels if label not in position]
        if unknown:
            raise ModelError(f"no sample {unknown[0]!r} in this posterior.")
        nodes = _weighted(self.data, self.thin, self.accuracy.asked)[0]
        numbers = [{position[label] for label in labels} for labels in sets]
        found = _left_out(self.data, nodes, numbers, self.accuracy.asked)
        return tuple(replace(self, nodes=rest, k=k, samples=m, log_marginal=float("nan")) for rest, k, m in found)

    def given(self, nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
        """Log density of the sds on the axes of integration, and mean and covariance of the coefficients given them.

        `nodes` are positions `(C, n)` on each of the three axes; the results lie on their grids `(C, n, n, n)`.
        """
        return _at(self.data, nodes)

    def variance(self, name: str) -> float:
        """The posterior mean of one variance (the square of `within`, `between` or `country`)."""
        return float(self.nodes.weights @ np.square(self.nodes.sds[:, SDS.index(name)]))

    def _mixture(self, c: Array, extra: Array) -> Marginal:
        nodes = self.nodes
        centers = nodes.mean @ c
        variances = np.einsum("i,nij,j->n", c, nodes.covariance, c) + extra
        mean = float(nodes.weights @ centers)
        sd = float(np.sqrt(nodes.weights @ (variances + np.square(centers - mean))))
        return NormalMixture(mean=mean, sd=sd, weights=nodes.weights, centers=centers, sds=np.sqrt(variances))

    def _row(self, at: ArrayLike | None) -> Array:
        p = len(self.names)
        if at is None and p > 1:
            raise ModelError(f"say for which moderators: {p} numbers, one for each of {', '.join(self.names)}.")
        row = np.ones(1) if at is None else as_numbers(at, "at")
        if row.shape != (p,):
            raise ModelError(f"expected {p} numbers, one for each of {', '.join(self.names)}; found {row.shape}.")
        return row

    def _position(self, name: str | None) -> int:
        if name is not None and name not in self.names:
            raise ModelError(f"no coefficient {name!r}; this model has {', '.join(self.names)}.")
        return 0 if name is None else self.names.index(name)


def exact_nested(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    sample: ArrayLike,
    country: ArrayLike,
    x: ArrayLike | None = None,
    *,
    within: PositivePrior,
    between: PositivePrior,
    country_sd: PositivePrior,
    coefficients: CoefficientPrior | Sequence[CoefficientPrior],
    names: Sequence[str] | None = None,
    level: float = 0.95,
    rtol: float = 1e-4,
) -> NestedPosterior:
    """The posterior of effects within samples within countries, with or without moderators.

    Parameters
    ----------
    y : (k,) effects
    V : (k,) sampling variances, a `BlockV` or a full (k, k) matrix; covariances within a country only
    sample, country : (k,) labels; each sample lies in one country. A sample of unknown country is a country of its own
    x : (k, p) whole design, intercept column included; None fits an intercept only
    within, between, country_sd : priors of the three standard deviations, in the units of y; `Fixed(0.0)` leaves a
        level out
    coefficients : a Normal or Flat prior of every coefficient, or one each
    rtol : numerical error allowed, relative; the one reached is `accuracy`

    Raises
    ------
    ModelError
        When a sample lies in two countries, V ties countries, or the numbers cannot carry the model.

    Notes
    -----
    The hierarchical effects model of Pustejovsky and Tipton (2022) with one more level; the integration of Röver
    (2020) in three dimensions.

    >>> from replication.models.bayes.priors import HalfNormal, Normal
    >>> tau = HalfNormal(0.3)
    >>> y, v = [0.1, 0.3, 0.5, 0.2], [0.01, 0.01, 0.01, 0.02]
    >>> fit = exact_nested(y, v, ["a", "a", "b", "c"], ["N", "N", "N", "S"], within=tau, between=tau, country_sd=tau,
    ...                    coefficients=Normal(0, 1))
    >>> round(fit.coefficient().mean, 3)
    0.265
    """
    check_level(level)
    priors = _priors(within, between, country_sd)
    data, own, notes = _prepare(y, V, sample, country, x, priors, coefficients)
    p = len(data.start)
    labels = tuple(names) if names is not None else ("intercept",) if p == 1 else tuple(f"x{j}" for j in range(p))
    if len(labels) != p or len(set(labels)) != p:
        raise ModelError(f"names={labels!r} does not name the {p} columns of the design; pass {p} different names.")
    nodes, thin, log_mass, accuracy = _integrate(data, rtol)
    each = _each(coefficients, p)
    held: dict[str, Prior] = dict(zip((*SDS, *labels), (*priors, *each), strict=True))
    if not accuracy.reached:
        text = f"numerical error {accuracy.error:.1g} in {accuracy.worst}, more than the {accuracy.asked:.1g} asked for"
        notes = (*notes, Note("accuracy", text))
    return NestedPosterior(
        names=labels, priors=held, k=data.k, samples=data.samples, countries=data.countries, level=level,
        log_marginal=log_mass, accuracy=accuracy, notes=notes, labels=own, nodes=nodes, data=data, thin=thin,
    )  # fmt: skip


def _priors(*priors: PositivePrior) -> tuple[PositivePrior, ...]:
    for prior in priors:
        if not isinstance(prior, PositivePrior) or not prior.proper:
            raise ModelError(f"the prior of a standard deviation must be proper, such as HalfNormal; found {prior!r}.")
    return priors


def _axis(name: str, prior: PositivePrior, unit: float) -> Axis:
    """The axis of a standard deviation, ended where its prior holds no more than 1e-13 or sums would lose digits."""
    axis = sd_axis(name, prior, unit)
    if isinstance(prior, Fixed):
        return axis
    top = float(np.arcsinh(min(float(prior.ppf(1.0 - 1e-13)), FARTHEST * unit) / unit))
    return Axis(name, prior, unit, np.append(axis.edges[axis.edges < top], top))


def _each(given: CoefficientPrior | Sequence[CoefficientPrior], p: int) -> tuple[CoefficientPrior, ...]:
    each = tuple(given) if isinstance(given, Sequence) else (given,) * p
    wrong = [prior for prior in each if not isinstance(prior, Normal | Flat)]
    if wrong or len(each) != p:
        raise ModelError(f"pass a Normal or Flat prior for each of the {p} coefficients; found {each!r}.")
    return each


def _prepare(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    sample: ArrayLike,
    country: ArrayLike,
    x: ArrayLike | None,
    priors: tuple[PositivePrior, ...],
    coefficients: CoefficientPrior | Sequence[CoefficientPrior],
) -> tuple[_Data, tuple[str, ...], tuple[Note, ...]]:
    values, covariance = np.atleast_1d(as_numbers(y, "y")), as_block_v(V)
    k = len(values)
    if covariance.k != k:
        raise ModelError(f"y has {k} effects, V has {covariance.k}; pass as many.")
    design = np.ones((k, 1)) if x is None else as_numbers(x, "x")
    if design.ndim != 2 or len(design) != k:
        raise ModelError(f"x has shape {design.shape}; pass the whole design as ({k}, p), a row an effect.")
    codes = [group_codes(labels, k, name) for labels, name in ((sample, "sample"), (country, "country"))]
    missing = covariance.missing() | np.isnan(design).any(axis=1) | (np.stack(codes) < 0).any(axis=0)
    effects, notes = prepare_effects(np.where(missing, np.nan, values), covariance.variances)
    kept = np.array(effects.rows)
    samples, countries = (np.unique(c[kept], return_inverse=True)[1].astype(np.intp) for c in codes)
    if not refines(samples, countries):
        raise ModelError("a sample lies in two countries; give its rows one country, or each country a sample.")
    covariance, design = covariance.take(kept), design[kept]
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ModelError("columns of x depend on each other; leave one out.")
    each = _each(coefficients, design.shape[1])
    root = 1.0 / np.sqrt(effects.v + 1e-12)
    start = np.linalg.lstsq(design * root[:, None], effects.y * root, rcond=None)[0]
    proper = np.array([isinstance(prior, Normal) for prior in each])
    precision = np.array([prior.sd**-2.0 if isinstance(prior, Normal) else 0.0 for prior in each])
    mean = np.array([prior.mean if isinstance(prior, Normal) else 0.0 for prior in each])
    # The column of an intercept is the one that levels load on: summed once, it halves the pairs of a mean.
    intercept = bool((design[:, 0] == 1.0).all())
    own_columns = design[:, 1:] if intercept else design
    groups = _groups(effects.y - design @ start, covariance, own_columns, samples, countries)
    unit = float(np.sqrt(np.median(effects.v)))
    axes = [_axis(name, prior, unit) for name, prior in zip(SDS, priors, strict=True)]
    data = _Data(
        groups, int(countries.max()) + 1, int(samples.max()) + 1, (axes[0], axes[1], axes[2]), np.diag(precision),
        np.where(proper, mean - start, 0.0), int((~proper).sum()), start, len(kept), intercept,
    )  # fmt: skip
    first = np.unique(samples, return_index=True)[1]
    own = tuple(str(np.asarray(sample, dtype=object)[kept][i]) for i in first)
    return data, own, notes


def _groups(y: Array, V: BlockV, x: Array, sample: Codes, country: Codes) -> tuple[_Group, ...]:
    """Rows tied by a sample or by V, each set turned onto the eigenvectors of its block of V."""
    tied, made = _tied(sample, V), {}
    # Sets of as many rows are one stack of blocks: most samples have a row or two.
    for rows in rows_by_size(tied):
        if (country[rows] != country[rows[:, :1]]).any():
            raise ModelError("V has covariances between effects of different countries; that is no nested model.")
        lam, turn = np.linalg.eigh(V.sub_blocks(rows))
        if (lam[:, 0] < -1e-10 * np.maximum(lam[:, -1], 0.0)).any():
            raise ModelError(
                "the sampling covariance of a sample is not positive semidefinite; check its correlations."
            )
        back = np.swapaxes(turn, 1, 2)
        rest = back @ np.concatenate([x[rows], y[rows][:, :, None]], axis=2)
        lam = np.maximum(lam, 0.0)
        # The column of ones of a sample, turned; most sets of rows are one sample.
        columns = np.concatenate([back.sum(axis=2)[:, :, None], rest], axis=2)
        first = rows[:, 0]
        one = (sample[rows] == sample[first][:, None]).all(axis=1).tolist()
        places = zip(tied[first].tolist(), country[first].tolist(), sample[first].tolist(), strict=True)
        for g, (place, where, name) in enumerate(places):
            if one[g]:
                made[place] = _Group(lam[g], columns[g], 1, where, frozenset((name,)))
                continue
            own = sorted(set(sample[rows[g]].tolist()))
            several = np.column_stack([back[g] @ np.equal.outer(sample[rows[g]], own), rest[g]])
            made[place] = _Group(lam[g], several, len(own), where, frozenset(own))
    return tuple(sorted((made[g] for g in sorted(made)), key=lambda group: group.country))


def _tied(sample: Codes, V: BlockV) -> Codes:
    """The finest partition that both samples and blocks of V refine."""
    if V.is_diagonal or V.codes is None or refines(V.codes, sample):
        return sample
    from scipy import sparse

    k = len(sample)
    links = sparse.coo_array(
        (np.ones(2 * k), (np.tile(np.arange(k), 2), np.concatenate([k + sample, 2 * k + V.codes]))),
        shape=(3 * k, 3 * k),
    )
    parts = sparse.csgraph.connected_components(links.tocsr(), directed=False)[1][:k]
    return np.unique(parts, return_inverse=True)[1].astype(np.intp)


def _integrate(data: _Data, rtol: float) -> tuple[_Nodes, _Rule, float, Accuracy]:
    """Nodes that carry the posterior, fewer of them for posteriors near it, the log of the whole mass, the error."""
    if not 1e-8 <= rtol <= 1e-2:
        raise ModelError(f"rtol={rtol!r} must lie between 1e-8 and 1e-2; 1e-4 is the default.")
    whole = Cells(*(np.array([[axis.edges[end] for axis in data.axes]]) for end in (0, -1)))
    if not any(whole.free):
        rule = grid_nodes(whole, 1)
        nodes, mass, _ = _weighted(data, rule, rtol)
        return nodes, rule, mass, Accuracy(rtol, 1e-12, "rounding", 1, 1)
    return _on_one_box(data, whole, rtol) or _on_cells(data, rtol)


def _on_one_box(data: _Data, whole: Cells, rtol: float) -> tuple[_Nodes, _Rule, float, Accuracy] | None:
    """By the midpoint rule on one box; None where two of them do not agree to `rtol`."""
    box = enclosing_box(lambda nodes: _at(data, nodes)[0], whole, rtol)
    if box is None:
        return None
    thin = midpoints(box, ON_BOX[0])
    coarse, rough, _ = _weighted(data, thin, rtol)
    for n in ON_BOX[1:]:
        fine, mass, _ = _weighted(data, midpoints(box, n), rtol)
        accuracy = Accuracy(rtol, *_error((fine, mass), (coarse, rough)), 1, n ** sum(box.free))
        if accuracy.reached:
            return fine, thin, mass, accuracy
        coarse, rough = fine, mass
    return None


def _on_cells(data: _Data, rtol: float) -> tuple[_Nodes, _Rule, float, Accuracy]:
    """By cells that are cut until two Gauss-Legendre rules agree: for densities that are not smooth."""
    cells = box_cells(tuple(axis.edges for axis in data.axes))
    few, more = RULE
    seen = _Seen(data)
    for tightness in TIGHTNESS:
        grid = adapt(seen.logs, cells, tightness * rtol, n=few)
        coarse, rough, shares = _weighted(data, grid_nodes(grid.cells, few), rtol, seen)
        held = shares > EMPTY
        rule = grid_nodes(Cells(grid.cells.low[held], grid.cells.high[held]), more)
        fine, mass, _ = _weighted(data, rule, rtol)
        points = int(held.sum()) * more ** sum(cells.free)
        accuracy = Accuracy(rtol, *_error((fine, mass), (coarse, rough)), len(grid.cells.low), points)
        if accuracy.reached or not grid.complete:
            break
        cells = grid.cells
    return fine, grid_nodes(grid.cells, THIN), mass, accuracy


def _error(fine: tuple[_Nodes, float], coarse: tuple[_Nodes, float]) -> tuple[float, str]:
    """The largest difference of two rules, in moments, probabilities and log mass, and what it is in."""
    return max(_differences(fine[0], coarse[0]), (abs(fine[1] - coarse[1]), "marginal likelihood"))


class _Seen:
    """What was computed of each cell, to be read again: the cells that are kept have been looked at before."""

    def __init__(self, data: _Data) -> None:
        self._data = data
        self._cells: dict[bytes, tuple[Array, Array, Array]] = {}

    def logs(self, nodes: tuple[Array, ...]) -> Array:
        """The log posterior density at the nodes `(C, 1, a, b, c)`, as `adapt` asks for it."""
        return self.at(nodes)[0][:, None]

    def at(self, nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
        """As `_at`."""
        keys = [row.tobytes() for row in np.concatenate(nodes, axis=1)]
        new = [i for i, key in enumerate(keys) if key not in self._cells]
        if new:
            found = _at(self._data, tuple(axis[new] for axis in nodes))
            self._cells |= {keys[i]: each for i, each in zip(new, zip(*found, strict=True), strict=True)}
        log, mean, covariance = zip(*(self._cells[key] for key in keys), strict=True)
        return np.stack(log), np.stack(mean), np.stack(covariance)


def _at(data: _Data, nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """Log density `(C, a, b, c)`, and mean and covariance of the coefficients given the sds."""
    if all(axis.shape[1] == 1 for axis in nodes):
        return _at_points(data, nodes)
    a, b, c = (axis.shape[1] for axis in nodes)
    if a > 1 and a * b * c * data.countries > MOST_HELD:
        return _at_layers(data, nodes)
    # Cells halved along one axis share their nodes on the others: sums below the countries are taken once a pair.
    pairs = np.concatenate(nodes[:2], axis=1)
    which = np.arange(len(pairs))
    if a * b > 1 and len(pairs) > 1:  # single points seldom share one
        pairs, which = np.unique(pairs, axis=0, return_inverse=True)
        which = which.ravel()
    # As many pairs at a time as their sums fit in memory: those of thousands of countries are hundreds of megabytes.
    held = max(1, MOST_HELD // (a * b * len(data.groups) * len(data.wanted[1])))
    found, places = [], []
    for start in range(0, len(pairs), held):
        here = np.flatnonzero((which >= start) & (which < start + held))
        below = _below_pairs(data, pairs[start : start + held], a)
        step = max(1, MOST // (a * b * c * below.load.shape[-1]))
        found += [
            _with_countries(data, below, which[cells] - start, tuple(n[cells] for n in nodes))
            for cells in (here[i : i + step] for i in range(0, len(here), step))
        ]
        places.append(here)
    back = np.argsort(np.concatenate(places))
    return tuple(np.concatenate(each)[back] for each in zip(*found, strict=True))  # type: ignore[return-value]


def _at_layers(data: _Data, nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """As `_at`, each cell as its layers along the first axis: of thousands of countries one fits in memory."""
    cells, a = nodes[0].shape
    found = _at(data, (nodes[0].reshape(-1, 1), *(np.repeat(axis, a, axis=0) for axis in nodes[1:])))
    log, mean, covariance = (each.reshape(cells, a, *each.shape[2:]) for each in found)
    return log, mean, covariance


def _below_pairs(data: _Data, pairs: Array, a: int) -> _Below:
    """The sums of every country at `pairs (P, a + b)` of nodes of the two lower axes."""
    step = max(1, MOST // (a * (pairs.shape[1] - a) * len(data.groups) * data.columns))
    blocks = [
        _below_countries(data, pairs[i : i + step, :a], pairs[i : i + step, a:]) for i in range(0, len(pairs), step)
    ]
    return _Below(*(np.concatenate(each) for each in zip(*blocks, strict=True)))


def _at_points(data: _Data, nodes: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """As `_at`, for cells of one node each: points last, where products of small matrices would be made one by one."""
    sds = np.concatenate([axis.sd(x) for axis, x in zip(data.axes, nodes, strict=True)], axis=1)
    step = max(1, MOST // (len(data.groups) * data.columns))
    found = []
    for here in (sds[i : i + step] for i in range(0, len(sds), step)):
        sums, logs, home = _sums_at(data, here)
        total, logdet = _country_parts(data, _by_country(sums, home), np.square(here[:, 2]))
        found.append(_at_nodes(data, total, logdet.sum(axis=0) + logs.sum(axis=0), data.k))
    log, mean, covariance = (np.concatenate(each)[:, None, None, None] for each in zip(*found, strict=True))
    for axis, x in zip(data.axes, nodes, strict=True):
        log = log + axis.log_prior(x)[:, :, None, None]
    return log, mean, covariance


def _sums_at(data: _Data, sds: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """`_group_sums` at points `sds (N, 3)`: `(e, G, N)` and `(G, N)`; and the country of each group `(G,)`."""
    sums, logs = _group_sums(data.groups, sds[:, :1], sds[:, 1:2])
    return sums[..., 0, 0], logs[..., 0, 0], np.array([group.country for group in data.groups])


class _Below(NamedTuple):
    """What countries hold at pairs of the two lower sds, on arrays `(P, a, b, ...)`.

    `load (..., g)` is the sum of their column of ones with itself, `products (..., g, m)` those of its sums with two
    of the columns `[X, y]`, `total (..., m)` the sums of those two over all countries, `logdet (...)`. The m pairs of
    columns are those of an upper triangle.
    """

    load: Array
    products: Array
    total: Array
    logdet: Array


def _below_countries(data: _Data, within: Array, between: Array) -> _Below:
    """The sums of every country at the nodes `within (P, a)` and `between (P, b)` of two axes."""
    sums, logs = _group_sums(data.groups, data.axes[0].sd(within), data.axes[1].sd(between))
    home = np.array([group.country for group in data.groups])
    first, i, j = data.wanted
    ones, total = _by_country(sums[: data.columns], home), sums[first:].sum(axis=1)
    # countries last: what follows are products of small matrices, each from one place in memory
    load = np.ascontiguousarray(np.moveaxis(ones[0], 0, -1))
    products = np.ascontiguousarray(np.moveaxis(ones[i] * ones[j], (0, 1), (-1, -2)))
    return _Below(load, products, np.moveaxis(total, 0, -1), logs.sum(axis=0))


def _by_country(sums: Array, home: NDArray[np.intp]) -> Array:
    """Sums `(e, g, ...)` over the groups `(e, G, ...)` of each country; `home (G,)` in ascending order."""
    starts = np.flatnonzero(np.diff(home, prepend=-1))
    sizes = np.diff(starts, append=len(home))
    total = sums[:, starts]
    # Most countries have one group or two: a few additions of whole arrays, where reduceat would stride through them.
    several = np.flatnonzero((sizes > 1) & (sizes <= FEW_GROUPS))
    for more in range(1, int(sizes[several].max(initial=1))):
        longer = several[sizes[several] > more]
        total[:, longer] += sums[:, starts[longer] + more]
    # One by one where they have many, or the country with most groups says how often all are gone through.
    for at in np.flatnonzero(sizes > FEW_GROUPS):
        total[:, at] = sums[:, starts[at] : starts[at] + sizes[at]].sum(axis=1)
    return np.asarray(total)


def _with_countries(
    data: _Data, below: _Below, which: NDArray[np.intp], nodes: tuple[Array, ...]
) -> tuple[Array, Array, Array]:
    """As `_at`, for the cells whose sums below the countries are those of the pairs `which (C,)`."""
    tau2 = np.square(data.axes[2].sd(nodes[2]))[:, None, None, :, None]
    # In place: these arrays are the largest of an integral, and new memory costs more than what is done with it.
    grown = tau2 * below.load[which][..., None, :]
    grown += 1.0
    # einsum sums along short rows in half the time of sum.
    logdet = below.logdet[which][..., None] + np.einsum("...g->...", np.log(grown))
    shares = np.divide(tau2, grown, out=grown)
    total = below.total[which][..., None, :] - shares @ below.products[which]
    log, mean, covariance = _given(data, _full(total, len(data.start) + 1), logdet, data.k)
    for i, (axis, x) in enumerate(zip(data.axes, nodes, strict=True)):
        log = log + axis.log_prior(x).reshape([len(x), *(x.shape[1] if j == i else 1 for j in range(3))])
    return log, mean, covariance


def _full(triangle: Array, n: int) -> Array:
    """Symmetric matrices `(..., n, n)` from their upper triangles `(..., m)`."""
    return np.asarray(triangle[..., _mirrored(n)])


# numpy looks for a triangle in the whole square each time, and an integral asks some hundred times.
@cache
def _upper(n: int) -> tuple[Codes, Codes]:
    """Rows and columns of the cells of an upper triangle."""
    return np.triu_indices(n)


@cache
def _mirrored(n: int) -> Codes:
    """For each cell of a symmetric matrix `(n, n)` its place in the upper triangle."""
    place = np.zeros((n, n), dtype=np.intp)
    place[_upper(n)] = np.arange(n * (n + 1) // 2)
    return np.maximum(place, place.T)


def _group_sums(groups: tuple[_Group, ...], within: Array, between: Array) -> tuple[Array, Array]:
    """`[1, X, y]' M^-1 [1, X, y]` of every group with its sample effects, and log |M| `(G, P, a, b)`.

    The sums are upper triangles `(e, G, P, a, b)`, those with the column of ones first. `within (P, a)` and `between
    (P, b)` are standard deviations.
    """
    alone, several = _by_samples(groups)
    if not several:
        return _one_sample_sums(alone, within, between)
    i, j = _upper(groups[0].columns.shape[1] - groups[0].s + 1)
    shape = (len(groups), *within.shape, between.shape[1])
    sums, logs = np.empty((len(i), *shape)), np.empty(shape)
    if alone:
        at = [n for n in range(len(groups)) if n not in several]
        sums[:, at], logs[at] = _one_sample_sums(alone, within, between)
    for n in several:
        found, logs[n] = _sample_sums(groups[n], within, between)
        sums[:, n] = np.moveaxis(found[..., i, j], -1, 0)
    return sums, logs


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Groups of one sample with as many rows: their places `at (g,)`, `lam (g, n, 1)` and products `(g, e, n)`.

    The products are those of pairs of columns, an upper triangle.
    """

    at: Codes
    lam: Array
    products: Array


# Asked for at every set of nodes of an integral, a dozen times in a row.
@lru_cache(maxsize=4)
def _by_samples(groups: tuple[_Group, ...]) -> tuple[tuple[_Stack, ...], tuple[int, ...]]:
    """Groups of one sample in stacks, and the places of the groups of several samples."""
    alone = [group for group in groups if group.s == 1]
    sizes = np.array([len(group.lam) for group in alone], dtype=np.intp)
    stacks = []
    for n in np.unique(sizes):
        at = np.flatnonzero(sizes == n)
        columns = np.stack([alone[g].columns for g in at])
        i, j = _upper(columns.shape[2])
        products = np.ascontiguousarray(np.swapaxes(columns[:, :, i] * columns[:, :, j], 1, 2))
        stacks.append(_Stack(at, np.stack([alone[g].lam for g in at])[:, :, None], products))
    return tuple(stacks), tuple(n for n, group in enumerate(groups) if group.s > 1)


def _one_sample_sums(stacks: Sequence[_Stack], within: Array, between: Array) -> tuple[Array, Array]:
    """`_group_sums` of groups of one sample each, all at once: one update of rank one a group."""
    e, many = stacks[0].products.shape[1], sum(len(stack.at) for stack in stacks)
    tau2_within = np.square(within).ravel()
    plain, logs = np.empty((e, many, within.size)), np.empty((many, within.size))
    # Groups of as many rows are one stack of matrix products, which reads each 1 / d once for all pairs of columns.
    for stack in stacks:
        d = stack.lam + tau2_within
        logs[stack.at] = np.log(d).sum(axis=1)
        plain[:, stack.at] = np.swapaxes(stack.products @ np.divide(1.0, d, out=d), 0, 1)
    plain, logs = plain.reshape(e, many, *within.shape, 1), logs.reshape(many, *within.shape, 1)
    tau2 = np.square(between)[:, None, :]
    grown = 1.0 + tau2 * plain[0]
    q = _columns_of(e)
    i, j = (index[q:] for index in _upper(q))
    sums = np.empty((e, *grown.shape))
    np.divide(plain[:q], grown, out=sums[:q])
    np.subtract(plain[q:], tau2 * sums[i] * plain[j], out=sums[q:])
    return sums, logs + np.log(grown)


def _columns_of(e: int) -> int:
    """How many columns have `e` pairs: e = q (q + 1) / 2."""
    return int(np.sqrt(2 * e))


def _sample_sums(group: _Group, within: Array, between: Array) -> tuple[Array, Array]:
    """Sums `[1, X, y]' M^-1 [1, X, y]` `(P, a, b, q, q)` of a group of several samples, and log |M|."""
    C, a, n = *within.shape, len(group.lam)
    d = group.lam + np.square(within)[..., None]
    full = (group.columns[:, :, None] * group.columns[:, None, :]).reshape(n, -1)
    q, s = group.columns.shape[1], group.s
    G = ((1.0 / d).reshape(C * a, n) @ full).reshape(C, a, 1, q, q)
    tau2 = np.square(between)[:, None, :, None, None]
    load = G[..., :s, :]
    inner = np.eye(s) + tau2 * load[..., :s]
    G = G - tau2 * np.swapaxes(load, -1, -2) @ _solve(inner, load)
    logdet = np.log(d).sum(axis=-1)[..., None] + np.linalg.slogdet(inner)[1]
    ones = np.eye(q)[s - 1 :]
    ones[0, :s] = 1.0  # the country's column of ones is the sum of its samples' columns
    return np.asarray(ones @ G @ ones.T), logdet


def _solve(inner: Array, load: Array) -> Array:
    shape = np.broadcast_shapes(inner.shape[:-2], load.shape[:-2])
    return np.linalg.solve(
        np.broadcast_to(inner, shape + inner.shape[-2:]), np.broadcast_to(load, shape + load.shape[-2:])
    )


def _given(data: _Data, total: Array, logdet: Array, k: int) -> tuple[Array, Array, Array]:
    """Bayes' rule for the coefficients given the sds: log density of y, and their mean and covariance."""
    A = total[..., :-1, :-1] + data.precision
    right = total[..., :-1, -1] + data.precision @ data.prior_mean
    if A.shape[-1] == 1:
        covariance, logA = 1.0 / A, np.log(A[..., 0, 0])
        mean = covariance[..., 0] * right
    else:
        covariance, logA = np.asarray(np.linalg.inv(A), dtype=float), np.linalg.slogdet(A)[1]
        mean = (covariance @ right[..., None])[..., 0]
    known = np.diag(data.precision)
    own = np.log(known[known > 0]).sum()
    quad = total[..., -1, -1] + data.prior_mean @ data.precision @ data.prior_mean - (right * mean).sum(axis=-1)
    log: Array = -0.5 * ((k - data.flat) * LOG_2PI + logdet + logA - own + quad)
    return log, mean + data.start, covariance


def _weighted(data: _Data, rule: _Rule, rtol: float, seen: _Seen | None = None) -> tuple[_Nodes, float, Array]:
    """The nodes of all cells with their weights, the log of the whole mass, and each cell's share of it `(C,)`."""
    nodes, weights = rule
    log, mean, covariance = _at(data, nodes) if seen is None else seen.at(nodes)
    amount = np.exp(log - log.max())
    for i, w in enumerate(weights):
        shape = [len(w), 1, 1, 1]
        shape[1 + i] = w.shape[1]
        amount = amount * w.reshape(shape)
    total = float(amount.sum())
    sds = [
        np.broadcast_to(axis.sd(x).reshape([len(x)] + [x.shape[1] if j == i else 1 for j in range(3)]), amount.shape)
        for i, (axis, x) in enumerate(zip(data.axes, nodes, strict=True))
    ]
    share = amount.ravel() / total
    keep = share > PRUNE * rtol
    p = len(data.start)
    found = _Nodes(
        share[keep] / share[keep].sum(),
        np.stack([s.ravel()[keep] for s in sds], axis=1),
        mean.reshape(-1, p)[keep],
        covariance.reshape(-1, p, p)[keep],
    )
    return found, float(log.max() + np.log(total)), amount.sum(axis=(1, 2, 3)) / total


def _left_out(data: _Data, nodes: _Nodes, sets: Sequence[set[int]], rtol: float) -> list[tuple[_Nodes, int, int]]:
    """New weights, means and covariances of the nodes without each set of samples; rows and samples that are left."""
    gone = [np.array([bool(group.members & left) for group in data.groups]) for left in sets]
    rows = [data.k - sum(len(g.lam) for g, out in zip(data.groups, each, strict=True) if out) for each in gone]
    # As many nodes at a time as fit in memory what thousands of groups have at each.
    step = max(1, MOST_HELD // (len(data.groups) * len(data.wanted[1])))
    pieces = [_without_each(data, nodes.sds[i : i + step], gone, rows) for i in range(0, len(nodes.sds), step)]
    before = np.concatenate([piece[0] for piece in pieces])
    found = []
    for at, (each, k) in enumerate(zip(gone, rows, strict=True)):
        log, mean, covariance = map(np.concatenate, zip(*(piece[1][at] for piece in pieces), strict=True))
        shift = log - before
        weights = nodes.weights * np.exp(shift - shift.max())
        m = data.samples - sum(g.s for g, out in zip(data.groups, each, strict=True) if out)
        weights /= weights.sum()
        if weights[nodes.weights < SELDOM].sum() > STRAYED:
            rest_of = replace(data, groups=tuple(g for g, out in zip(data.groups, each, strict=True) if not out), k=k)
            found.append((_integrate(rest_of, max(rtol, 1e-3))[0], k, m))
        else:
            found.append((_Nodes(weights, nodes.sds, mean, covariance), k, m))
    return found


def _without_each(
    data: _Data, sds: Array, gone: Sequence[NDArray[np.bool_]], rows: Sequence[int]
) -> tuple[Array, list[tuple[Array, Array, Array]]]:
    """The log density at `sds (N, 3)`; and that, the mean and covariance without the groups of each of `gone (G,)`.

    `rows` are how many each leaves.
    """
    sums, logs, home = _sums_at(data, sds)
    tau2 = np.square(sds[:, 2])
    starts = np.flatnonzero(np.diff(home, prepend=-1))
    total, logdet = _country_parts(data, _by_country(sums, home), tau2)
    before = _at_nodes(data, total, logdet.sum(axis=0) + logs.sum(axis=0), data.k)[0]
    found = []
    for each, k in zip(gone, rows, strict=True):
        # Countries that lose nothing keep their parts; the others are summed anew from what they keep.
        whole = ~np.isin(home[starts], home[each])
        kept = np.flatnonzero(np.isin(home, home[each]) & ~each)
        parts = [total[:, whole].sum(axis=1, keepdims=True)]
        logdets = logdet[whole].sum(axis=0) + logs[~each].sum(axis=0)
        if len(kept):
            changed, logs_changed = _country_parts(data, _by_country(sums[:, kept], home[kept]), tau2)
            parts.append(changed)
            logdets = logdets + logs_changed.sum(axis=0)
        found.append(_at_nodes(data, np.concatenate(parts, axis=1), logdets, k))
    return before, found


def _country_parts(data: _Data, sums: Array, tau2: Array) -> tuple[Array, Array]:
    """What each country gives to the sums of `[X, y]` `(m, g, N)` and to the log determinant `(g, N)`."""
    first, i, j = data.wanted
    grown = 1.0 + tau2 * sums[0]
    return sums[first:] - tau2 / grown * sums[i] * sums[j], np.log(grown)


def _at_nodes(data: _Data, parts: Array, logdet: Array, k: int) -> tuple[Array, Array, Array]:
    """Log density, mean and covariance at each node from the parts of all countries `(m, g, N)`."""
    return _given(data, _full(parts.sum(axis=1).T, len(data.start) + 1), logdet, k)


def _differences(fine: _Nodes, coarse: _Nodes) -> tuple[float, str]:
    """Largest relative difference of two rules in moments of the sds and in probabilities of the coefficients."""
    found = []
    for i, name in enumerate(SDS):
        means = [float(nodes.weights @ np.square(nodes.sds[:, i])) for nodes in (fine, coarse)]
        found.append((abs(means[0] - means[1]) / max(means[0], 1e-300), f"variance {name}"))
    for j in range(fine.mean.shape[1]):
        parts = [
            NormalMixture(mean=0.0, sd=0.0, weights=n.weights, centers=n.mean[:, j], sds=np.sqrt(n.covariance[:, j, j]))
            for n in (fine, coarse)
        ]
        at = parts[0].ppf(CHECKED)
        found.append((float(np.abs(parts[1].cdf(at) - CHECKED).max()), f"coefficient {j}"))
    return max(found)
