"""The sampling design of a survey, as its manual describes it: weights, replicate weights, strata and schools.

Three ideas carry this module. A design belongs to the whole sample: persons without an answer stay in it with a weight
of zero, so that a school where nobody answered still counts as a school drawn (domain estimation). Where the file has
replicate weights, or the zones to make them from, they are the variance the survey's manual asks for; otherwise the
squared sums of schools around their stratum's mean are (Taylor linearisation). Both give the variance of Fisher's z,
because r's own distribution is skewed and plausible values are combined on a scale where errors are near normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.dataset.problems import shown
from replication.dataset.recipes import Recipe, ReplicateMethod, ReplicateWeights
from replication.errors import UserError
from replication.models.fit import Array

__all__ = [
    "Groups",
    "SurveyDesign",
    "jackknife_weights",
    "replicate_factor",
    "survey_design",
    "survey_weights",
    "taylor_variance",
]

Groups = NDArray[np.intp]
"""Numbers of clusters or strata `(n,)`."""

_RANK_TOLERANCE = 1e-5  # the one of R's survey package, whose degrees of freedom ours are compared with


@dataclass(frozen=True, slots=True, eq=False)
class SurveyDesign:
    """How n persons were sampled.

    `weights (n,)` are 0 for a person without one, None for a file without weights. `clusters (n,)` are the schools and
    `strata (n,)` their strata, None where the file has none. `replicates (n, R)` are replicate weights; the squared
    deviations of the R estimates from the full one, summed and multiplied by `factor`, are the variance.
    """

    weights: Array | None = None
    clusters: Groups | None = None
    strata: Groups | None = None
    replicates: Array | None = None
    factor: float = 1.0
    df: float = float("inf")

    def part(self, rows: NDArray[np.bool_]) -> SurveyDesign:
        """The design of a sample that was drawn by itself, such as a country of an international file."""
        kept = (None if a is None else a[rows] for a in (self.weights, self.clusters, self.strata, self.replicates))
        weights, clusters, strata, replicates = kept
        return _with_df(SurveyDesign(weights, clusters, strata, replicates, self.factor))  # type: ignore[arg-type]


def survey_design(frame: pd.DataFrame, recipe: Recipe, files: str) -> SurveyDesign:
    """The design a recipe names, from the columns of its file.

    Raises
    ------
    UserError
        when a weight, replicate weight or half is none; the message names file, column and what was found.
    """
    weights = survey_weights(frame, recipe, files)
    replicates, factor = None, 1.0
    if recipe.replicate_weights is not None and weights is not None:
        replicates = _replicates(frame, recipe.replicate_weights, weights, files)
        factor = replicate_factor(recipe.replicate_weights.method, replicates.shape[1], recipe.replicate_weights.fay)
    clusters = _numbered(frame, recipe.cluster) if recipe.cluster else None
    strata = _numbered(frame, recipe.strata) if recipe.strata else None
    filled = None if weights is None else np.nan_to_num(weights)
    return _with_df(SurveyDesign(filled, clusters, strata, replicates, factor))


def survey_weights(frame: pd.DataFrame, recipe: Recipe, files: str) -> Array | None:
    """The weight of each person `(n,)`, NaN where there is none; None where the recipe names no weight.

    A negative number among the recipe's missing codes counts as no weight.

    Parameters
    ----------
    frame : the persons of the sample.
    recipe : which column holds the weights.
    files : the names of the files, for messages.

    Raises
    ------
    UserError
        when a cell is no number of 0 or more, or nobody has a weight above 0.
    """
    if not recipe.weight:
        return None
    cells = frame[recipe.weight].astype(object)
    weights = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    absent = [float(code) for code in recipe.missing if not isinstance(code, str) and code < 0]
    coded = np.isin(weights, absent)
    # An empty cell is a person without a weight; any other text is a sign of the wrong column.
    blank = cells.isna() | cells.astype(str).str.strip().isin(["", *map(str, recipe.missing)])
    stray = (np.isnan(weights) & ~blank.to_numpy()) | ((weights < 0) & ~coded) | np.isinf(weights)
    place = f"{files}, column {recipe.weight}"
    if stray.any():
        raise UserError(
            f"{place}: found {shown(cells[stray].iloc[0])}; expected a weight, a number of 0 or more; is it the column "
            f"of the weights? (a code for no answer goes under missing in the recipe)"
        )
    if not (weights > 0).any():
        raise UserError(f"{place}: found no weight above 0; expected one a person; take the file that has the weights")
    return np.where(coded, np.nan, weights)


def replicate_factor(method: ReplicateMethod, count: int, fay: float = 0.5) -> float:
    """What the sum of squared deviations of `count` replicate estimates is multiplied by.

    Sources: OECD (2009), PISA Data Analysis Manual, ch. 4 (Fay's factor .5, 80 replicates: 1/20); IEA user guides of
    ICCS (one jackknife replicate a zone: the plain sum) and of TIMSS and PIRLS (two a zone: half the sum).

    >>> replicate_factor("fay", 80), replicate_factor("jackknife", 75), replicate_factor("jackknife_both", 150)
    (0.05, 1.0, 0.5)
    """
    if method == "fay":
        return 1.0 / (count * (1.0 - fay) ** 2)
    if method == "brr":
        return 1.0 / count
    return 0.5 if method == "jackknife_both" else 1.0


def jackknife_weights(weights: Array, zone: Groups, half: NDArray[np.bool_], *, both: bool) -> Array:
    """Replicate weights of the paired jackknife `(n, zones)`, or `(n, 2 zones)` with `both`.

    In its zone's replicate the first half of a zone counts double and the other not at all; `both` adds the reverse.

    >>> jackknife_weights(np.ones(4), np.array([0, 0, 1, 1]), np.array([True, False, True, False]), both=False).T
    array([[2., 0., 1., 1.],
           [1., 1., 2., 0.]])
    """
    zones = int(zone.max()) + 1
    inside = zone[:, None] == np.arange(zones)
    doubled = np.where(inside, 2.0 * half[:, None], 1.0)
    if both:
        doubled = np.hstack([doubled, np.where(inside, 2.0 * ~half[:, None], 1.0)])
    return np.asarray(weights[:, None] * doubled)


def taylor_variance(scores: Array, design: SurveyDesign) -> Array:
    """The variance of m estimates `(m,)` from their linearised scores `(n, m)` over schools within strata.

    Schools are taken as drawn with replacement within strata (the usual approximation, on the safe side). A stratum
    with one school has no spread of its own: its school is set against the mean of all (as R's survey package does
    with `lonely.psu = "adjust"`). NaN with a single school.

    Source: Wolter (2007), Introduction to Variance Estimation, ch. 6; Lumley (2010), Complex Surveys, ch. 2.
    """
    # Persons without an answer stay in: their school was drawn. Those without a weight were not.
    drawn = np.ones(len(scores), dtype=bool) if design.weights is None else design.weights > 0
    clusters = np.arange(len(scores)) if design.clusters is None else design.clusters
    strata = np.zeros(len(scores), dtype=np.intp) if design.strata is None else design.strata
    coded = strata[drawn] * (clusters.max(initial=0) + 1) + clusters[drawn]  # one number is sorted faster than two
    _, first, unit = np.unique(coded, return_index=True, return_inverse=True)
    schools = len(first)
    if schools < 2:
        return np.full(scores.shape[1], np.nan)
    sums = np.column_stack([np.bincount(unit, weights=column, minlength=schools) for column in scores[drawn].T])
    stratum = np.unique(strata[drawn][first], return_inverse=True)[1]
    size = np.bincount(stratum)[stratum].astype(float)
    means = np.column_stack([np.bincount(stratum, weights=column) for column in sums.T])[stratum] / size[:, None]
    lonely = size == 1
    centred = sums - np.where(lonely[:, None], sums.mean(axis=0), means)
    scale = np.where(lonely, 1.0, size / np.maximum(size - 1.0, 1.0))
    return np.asarray(scale @ centred**2)


def _with_df(design: SurveyDesign) -> SurveyDesign:
    """The same design with its degrees of freedom: of the replicates their rank less one, else schools less strata."""
    if design.replicates is not None:
        # Replicates can repeat each other: their number would promise more than they know.
        df = float(np.linalg.matrix_rank(_gram_root(design.replicates), tol=_RANK_TOLERANCE) - 1)
    elif design.clusters is not None:
        drawn = slice(None) if design.weights is None else design.weights > 0
        strata = np.zeros(len(design.clusters), dtype=np.intp) if design.strata is None else design.strata
        schools = np.unique(strata[drawn] * (design.clusters.max(initial=0) + 1) + design.clusters[drawn])
        df = float(len(schools) - len(np.unique(strata[drawn])))
    else:
        df = float("inf")
    return SurveyDesign(design.weights, design.clusters, design.strata, design.replicates, design.factor, df)


def _gram_root(replicates: Array) -> Array:
    """A matrix `(R, R)` of the same rank as the replicate weights, so that no large matrix is decomposed."""
    scaled = replicates / np.sqrt((replicates**2).sum(axis=0))
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray(np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T)


def _numbered(frame: pd.DataFrame, columns: list[str]) -> Groups:
    return np.asarray(frame.groupby(list(columns), sort=False, dropna=False).ngroup(), dtype=np.intp)


def _replicates(frame: pd.DataFrame, record: ReplicateWeights, weights: Array, files: str) -> Array:
    """The file's replicate weights, or those made from its zones and halves; 0 for a person without a weight."""
    weighted = np.nan_to_num(weights) > 0
    if record.columns:
        cells = np.column_stack([_cells(frame, name, weighted, files) for name in record.names])
        return np.where(weighted[:, None], cells, 0.0)
    zone = _cells(frame, record.zone, weighted, files)
    half = _cells(frame, record.half, weighted, files)
    stray = weighted & ~np.isin(half, (0.0, 1.0))
    if stray.any():
        raise UserError(
            f"{files}, column {record.half}: found {half[stray][0]:g}; expected 0 or 1, the half of the person's zone; "
            f"is it the column of the jackknife halves?"
        )
    # Unweighted persons may have any zone; put into one that exists they add no replicate.
    numbers = np.unique(np.where(weighted, zone, zone[weighted][0]), return_inverse=True)[1]
    both = record.method == "jackknife_both"
    return jackknife_weights(np.nan_to_num(weights), numbers, half == 1.0, both=both)


def _cells(frame: pd.DataFrame, name: str, weighted: NDArray[np.bool_], files: str) -> Array:
    """A column of numbers of 0 or more; every weighted person needs one."""
    numbers = pd.to_numeric(frame[name].astype(object), errors="coerce").to_numpy(float)
    bad = weighted & ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        found = shown(frame[name][bad].iloc[0])
        raise UserError(
            f"{files}, column {name}: found {found} for a person with a weight; expected a number of 0 or more; "
            f"take the file that has the replicate weights whole, or leave replicate_weights out of the recipe"
        )
    return np.where(weighted, numbers, 0.0)
