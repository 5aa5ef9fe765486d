"""A survey's weights from a column of its file, or a plain reason why the column holds none.

A recipe applied to a file: every pair of measures of different constructs, for the sample and its parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from replication.dataset.problems import nearest, shown
from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.models.fit import Array
from replication.study.microdata.coding import Coded, Mask, code_sample, keep_rows
from replication.study.microdata.correlations import Correlated, Groups, correlate, kish_size
from replication.study.microdata.files import read_columns

__all__ = ["ComputedRow", "compute_recipe", "find_recipe", "survey_weights"]


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


@dataclass(frozen=True, slots=True)
class ComputedRow:
    """One correlation of one sample; `note` says what is not defined and who does not count."""

    sample: str
    var_a: str
    measure_a: str
    var_b: str
    measure_b: str
    r: float
    r_weighted: float
    n: int
    n_effective: float
    informant_a: str = ""
    informant_b: str = ""
    note: str = ""


def find_recipe(recipes: Sequence[Recipe], sample: str) -> Recipe:
    """The recipe that makes a sample: its own, that of the sample it is a part of, or one for many samples.

    Raises
    ------
    UserError
        when no recipe makes it; the message names the nearest sample that has one.
    """
    for recipe in recipes:
        parts = (recipe.sample, *(part.sample for part in recipe.subsample))
        if sample in parts or (recipe.each and _value_of(recipe, sample) is not None):
            return recipe
    known = [name for recipe in recipes for name in (recipe.sample, *(p.sample for p in recipe.subsample))]
    raise UserError(f'no recipe for the sample "{sample}": {nearest(sample, known)}')


def compute_recipe(recipe: Recipe, paths: Sequence[Path], sample: str = "") -> tuple[ComputedRow, ...]:
    """Every correlation the recipe gives, or those of one of its samples.

    Raises
    ------
    UserError
        when the files do not fit the recipe or give no correlation at all; the message says what is missing.
    """
    if len(paths) != len(recipe.file):
        listed = "; ".join(recipe.file)
        raise UserError(f"the recipe of {recipe.sample} needs {len(recipe.file)} file(s), in this order: {listed}")
    frame = read_columns(paths, recipe.columns, recipe.join)
    keep = _kept(frame, recipe, _names(paths))
    measures = code_sample(frame, recipe, keep)
    frame = frame[keep].reset_index(drop=True)
    weights = survey_weights(frame, recipe, _names(paths))
    rows = [
        row
        for name, keep in _samples(frame, recipe)
        if sample in ("", name, recipe.sample)
        for row in _pairs(name, keep, measures, frame, weights, recipe)
    ]
    if not rows:
        raise UserError(f"the file has no rows for {sample or recipe.sample}; is it the right file?")
    if not any(np.isfinite(row.r) for row in rows):
        raise UserError(
            f"{_names(paths)} gives no correlation of {sample or recipe.sample}: of {rows[0].measure_a} with "
            f"{rows[0].measure_b}, {rows[0].note}; is it the whole file the recipe names ({'; '.join(recipe.file)})?"
        )
    return tuple(rows)


def _names(paths: Sequence[Path]) -> str:
    return " and ".join(path.name for path in paths)


def _kept(frame: pd.DataFrame, recipe: Recipe, files: str) -> Mask:
    """The rows the recipe's conditions keep; a UserError where there are none."""
    asked = f"is it the whole file the recipe names ({'; '.join(recipe.file)})?"
    if len(frame) == 0:
        raise UserError(f"{files}: found a header and no rows; expected a row a person; {asked}")
    keep = keep_rows(frame, recipe.where)
    if not keep.any():
        columns = ", ".join(condition.column for condition in recipe.where)
        raise UserError(f"{files}: none of {len(frame)} rows fulfils the recipe's where (column {columns}); {asked}")
    return keep


def _samples(frame: pd.DataFrame, recipe: Recipe) -> Iterator[tuple[str, Mask]]:
    """Each sample's id and its rows: the whole, one a value of `each`, and the parts."""
    if recipe.each:
        values = frame[recipe.each].astype(str).str.strip()
        for value in sorted(set(values)):
            name = recipe.each_as.get(value, value.casefold())
            yield recipe.sample.replace("{}", name), (values == value).to_numpy()
        return
    yield recipe.sample, np.ones(len(frame), dtype=bool)
    for part in recipe.subsample:
        yield part.sample, keep_rows(frame, part.where)


def _value_of(recipe: Recipe, sample: str) -> str | None:
    before, _, after = recipe.sample.partition("{}")
    fits = sample.startswith(before) and sample.endswith(after) and len(sample) > len(before) + len(after)
    return sample[len(before) : len(sample) - len(after)] if fits else None


def _pairs(
    sample: str, keep: Mask, measures: Sequence[Coded], frame: pd.DataFrame, survey: Array | None, recipe: Recipe
) -> Iterator[ComputedRow]:
    weights = None if survey is None else survey[keep]
    clusters = _clusters(frame.loc[keep], recipe.cluster) if recipe.cluster else None
    for a, b in itertools.combinations(measures, 2):
        if a.variable == b.variable or not _asked(a, b):
            continue
        x, y = a.values[keep], b.values[keep]
        found = correlate(x, y, weights, clusters)
        effective = _effective(found, x, y, weights, recipe)
        sides = (sample, a.variable, a.measure, b.variable, b.measure)
        numbers = (found.r, found.r_weighted, found.n, effective)
        yield ComputedRow(*sides, *numbers, a.informant, b.informant, _note(found, recipe))


def _note(found: Correlated, recipe: Recipe) -> str:
    """What a reader must know: why r, weighted r or n_effective is empty, and who has no weight."""
    if not np.isfinite(found.r):
        return found.note
    parts = []
    unweighable = bool(recipe.weight) and not np.isfinite(found.r_weighted)
    if found.note and (unweighable or recipe.effective == "clusters"):
        empty = "weighted r and n_effective" if unweighable else "n_effective"
        parts.append(f"no {empty}: {found.note}")
    if found.unweighted:
        parts.append(f"{found.unweighted} persons without a weight count for r only")
    return "; ".join(parts)


def _asked(a: Coded, b: Coded) -> bool:
    return all(not m.only_with or other.measure in m.only_with for m, other in ((a, b), (b, a)))


def _clusters(frame: pd.DataFrame, columns: Sequence[str]) -> Groups:
    return np.asarray(frame.groupby(list(columns), sort=False, dropna=False).ngroup(), dtype=np.intp)


def _effective(found: Correlated, x: Array, y: Array, weights: Array | None, recipe: Recipe) -> float:
    if recipe.effective == "clusters":
        return found.n_effective
    if recipe.effective == "kish" and weights is not None and np.isfinite(found.r):
        complete = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1) & np.isfinite(weights)
        return kish_size(weights[complete])
    return float("nan")
