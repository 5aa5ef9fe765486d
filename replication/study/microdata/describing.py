"""What a survey sample's measures are like: size, mean, spread, reliability and how many answers are missing.

These are the objective features that an appraisal of a sample rests on. They need the same columns as the
correlations, and for an index that the survey's makers computed also the answers behind it (`scale_items`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from replication.dataset.recipes import Measure, Recipe, expand
from replication.errors import UserError
from replication.models.fit import Array
from replication.study.microdata.applied_recipes import samples_in
from replication.study.microdata.coding import Coded, Mask, code_sample, keep_rows, numbers_of
from replication.study.microdata.questions import ask_about_codes
from replication.study.microdata.survey_files import read_columns

_SAME_SCALE = 0.95  # rank correlation of an index with the sum of its items; the lowest seen of a right list is .968

__all__ = [
    "Described",
    "coefficient_alpha",
    "describe_frame",
    "describe_recipe",
    "described_columns",
    "described_lines",
]


@dataclass(frozen=True, slots=True)
class Described:
    """One measure in one sample, unweighted, with the per cent of the sample that has no value.

    `alpha` is NaN for one item or a test; `items` is the number of answers behind it.
    """

    sample: str
    variable: str
    measure: str
    n: int
    mean: float
    sd: float
    missing_pct: float
    alpha: float = float("nan")
    items: int = 0


def describe_recipe(recipe: Recipe, paths: Sequence[Path], sample: str = "") -> tuple[Described, ...]:
    """Every measure of the recipe's samples, or of one of them.

    The numbers are unweighted, as the reliability of a scale is a property of the answers that were given.

    Raises
    ------
    UserError
        when a file cannot be read or lacks a column.
    """
    return describe_frame(recipe, read_columns(paths, described_columns(recipe), recipe.join).frame, sample)


def described_columns(recipe: Recipe) -> tuple[str, ...]:
    """The columns of the recipe and the answers behind its indices, which only their reliability needs."""
    behind = (column for measure in recipe.measure for column in expand(measure.scale_items))
    return tuple(dict.fromkeys((*recipe.columns, *behind)))


def describe_frame(recipe: Recipe, frame: pd.DataFrame, sample: str = "") -> tuple[Described, ...]:
    """Every measure of persons already read."""
    keep = keep_rows(frame, recipe.where)
    coded = code_sample(frame, recipe, keep)
    answers = [_answers(frame, measure, recipe)[keep] for measure in recipe.measure]
    frame = frame[keep].reset_index(drop=True)
    return tuple(
        _described(name, mask, values, items)
        for name, mask in samples_in(frame, recipe)
        if sample in ("", name, recipe.sample)
        for values, items in zip(coded, answers, strict=True)
    )


def coefficient_alpha(items: Array) -> float:
    """Cronbach's alpha of answers `(n, k)`, over the persons who gave all of them; NaN below two items or persons.

    `k / (k - 1) * (1 - sum of item variances / variance of the sum)` (Cronbach 1951, eq. 2).

    >>> round(coefficient_alpha(np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 4.0], [4.0, 4.0]])), 4)
    0.9412
    """
    complete = items[np.isfinite(items).all(axis=1)]
    k = items.shape[1]
    if k < 2 or len(complete) < 2:
        return float("nan")
    covariance = np.cov(complete, rowvar=False)
    total = float(covariance.sum())
    return k / (k - 1) * (1.0 - float(np.trace(covariance)) / total) if total > 0 else float("nan")


def _answers(frame: pd.DataFrame, measure: Measure, recipe: Recipe) -> Array:
    """The single answers behind a measure `(n, k)`; none for a test.

    Items that run against the rest are turned: they enter a scale turned, and alpha is of the scale.
    """
    columns = expand(measure.scale_items) or (measure.columns if len(measure.columns) > 1 else ())
    if measure.plausible or not columns:
        return np.empty((len(frame), 0))
    missing = (*recipe.missing, *measure.missing)
    items = np.column_stack(
        [numbers_of(frame[name], recipe.codes.get(name, measure.codes), missing) for name in columns]
    )
    if measure.scale_items:
        # A code for no answer left in one item would make the alpha of a scale that nobody computed.
        for name, column in zip(columns, items.T, strict=True):
            ask_about_codes(name, column, measure.measure)
    if measure.scale and not measure.scale_items:  # the scale of an index says nothing of the answers behind it
        with np.errstate(invalid="ignore"):
            items = np.where((items >= measure.scale[0]) & (items <= measure.scale[1]), items, np.nan)
    return items * _directions(items)


def _directions(items: Array) -> Array:
    """+1 or -1 for each item `(k,)`: its sign on the first principal axis of the items' correlations."""
    complete = items[np.isfinite(items).all(axis=1)]
    if len(complete) < 2 or not (np.ptp(complete, axis=0) > 0).all():
        return np.ones(items.shape[1])
    # The first axis is what the items share; turned items load on it with the other sign.
    axis = np.linalg.eigh(np.corrcoef(complete, rowvar=False))[1][:, -1]
    return np.where(axis * np.sign(axis.sum() or 1.0) < 0, -1.0, 1.0)


def _described(sample: str, keep: Mask, coded: Coded, items: Array) -> Described:
    values = coded.values[keep]
    _check_same_scale(coded, values, items[keep])
    held = values[np.isfinite(values).all(axis=1)]
    n, persons = len(held), int(keep.sum())
    # Plausible values count alike: the mean of all is the mean of their means.
    mean = float(held.mean()) if n else np.nan
    sd = float(held.std(axis=0, ddof=1).mean()) if n > 1 else np.nan
    missing = 100.0 * (persons - n) / persons if persons else np.nan
    numbers = (n, mean, sd, missing, coefficient_alpha(items[keep]), items.shape[1])
    return Described(sample, coded.variable, coded.measure, *numbers)


def _check_same_scale(coded: Coded, values: Array, items: Array) -> None:
    """The answers named are those the index is made of: an index runs with the sum of its items.

    Item batteries stand side by side in a questionnaire, and a wrong one has an alpha too: it would be stored as
    the reliability of another scale.
    """
    from scipy.stats import spearmanr

    if items.shape[1] < 2 or values.shape[1] != 1:
        return
    complete = np.isfinite(items).all(axis=1) & np.isfinite(values[:, 0])
    if complete.sum() < 3 or not np.ptp(values[complete, 0]) > 0:
        return
    rank = abs(float(spearmanr(values[complete, 0], items[complete].sum(axis=1)).statistic))
    if rank < _SAME_SCALE:
        raise UserError(
            f"{coded.measure}: the answers behind it correlate {rank:.2f} with it by rank; expected {_SAME_SCALE} or "
            f"more; name the items of this index under scale_items"
        )


def described_lines(found: Sequence[Described]) -> Iterator[str]:
    """A line per measure, as `study compute` prints it."""
    for row in found:
        alpha = f", alpha {row.alpha:.3f} of {row.items} items" if np.isfinite(row.alpha) else ""
        yield (
            f"{row.sample}: {row.variable} ({row.measure}): n {row.n}, missing {row.missing_pct:.1f} per cent, "
            f"mean {row.mean:.4g}, sd {row.sd:.4g}{alpha}"
        )
