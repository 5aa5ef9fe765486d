"""What a survey file leaves open, asked before anything is computed: codes that may stand for no answer, persons twice.

Each question was met in public reports of people who use such files. A number that could be an answer or a code, and a
row that could be a person or a copy, are never decided here: the recipe says which it is (`scale`, `missing`, `id`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.models.fit import Array

__all__ = ["ask_about_codes", "ask_about_samples", "each_person_once", "standing_apart"]

# Codes as survey agencies print them: negative, or 7 to 9 repeated (8, 99, 997 to 999, 9999999).
_CODE = re.compile(r"-\d+|[7-9]|9+[5-9]|7{2,}|8{2,}")
_BEYOND_DOUBT = 10.0  # times the range of all other values: no scale of answers or scores reaches so far
_FEWEST_ANSWERS = 20  # of fewer the range of the others is chance
_MOST_CODES = 6
_FEWEST_COPIED = 20


def ask_about_codes(column: str, numbers: Array, measure: str) -> None:
    """Raise UserError where a column without a declared scale holds values that may stand for no answer.

    Parameters
    ----------
    column, measure : names, for the message.
    numbers : (n,) the column after the recipe's missing codes are out; NaN is missing.
    """
    answers = numbers[np.isfinite(numbers)]
    apart = standing_apart(answers) if len(answers) >= _FEWEST_ANSWERS else ()
    if not apart:
        return
    count = int(np.isin(answers, apart).sum())
    others = answers[~np.isin(answers, apart)]
    codes = ", ".join(_printed(value) for value in apart)
    low, high = _printed(others.min()), _printed(others.max())
    raise UserError(
        f"column {column}: found {codes} in {count} of {len(answers)} answers, apart from all others, which lie from "
        f"{low} to {high}; expected answers on one scale; if it stands for no answer, give the "
        f"measure {measure} scale = [{low}, {high}] (or missing = [{codes}]) in the recipe, and "
        f"else a scale that holds it"
    )


def standing_apart(numbers: Array) -> tuple[float, ...]:
    """Values that stand apart from all others by the range of these, and look like codes; or by ten ranges.

    >>> standing_apart(np.array([1.0, 2.0, 3.0, 4.0, -99.0]))
    (-99.0,)
    >>> standing_apart(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    ()
    """
    values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    return (*_end_apart(values, counts, above=False), *_end_apart(values, counts, above=True))


def each_person_once(frame: pd.DataFrame, recipe: Recipe, files: str) -> tuple[NDArray[np.bool_], str]:
    """Which rows count `(n,)`, and a note on those that do not; a UserError where it cannot be told.

    With an `id` in the recipe a row that repeats a person counts once. Without one the file is only looked at for
    copies: rows that repeat earlier rows in the same order.
    """
    if recipe.id:
        return _by_id(frame, recipe, files)
    found = _copied(frame)
    if found:
        first, size = found
        raise UserError(
            f"{files}: found rows {first + 1} to {first + size} repeat earlier rows in the same order; expected each "
            f"person once; take the file once, or name the column of the persons as id = […] in the recipe"
        )
    return np.ones(len(frame), dtype=bool), ""


def ask_about_samples(recipe: Recipe, values: Sequence[str]) -> None:
    """Raise UserError where two values of the column that tells samples apart would give one sample."""
    made: dict[str, str] = {}
    for value in values:
        name = recipe.sample_of(value)
        if name in made:
            raise UserError(
                f'column {recipe.each}: found "{made[name]}" and "{value}", which both give the sample '
                f"{name}; expected one value a sample; tell them apart under each_as"
            )
        made[name] = value


def _printed(value: float) -> str:
    """As a person writes it into the recipe: 9999999, never 1e+07."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


def _end_apart(values: Array, counts: NDArray[np.intp], *, above: bool) -> tuple[float, ...]:
    """The sorted values at one end that stand apart from all others; of those the most."""
    for cut in range(min(len(values) - 2, _MOST_CODES), 0, -1):  # of fewer than two others the range says nothing
        ends, rest = (values[-cut:], values[:-cut]) if above else (values[:cut], values[cut:])
        few = 2 * counts[-cut:].sum() <= counts.sum() if above else 2 * counts[:cut].sum() <= counts.sum()
        gap, spread = (ends[0] - rest[-1] if above else rest[0] - ends[-1]), np.ptp(rest)
        coded = all(value.is_integer() and _CODE.fullmatch(f"{value:.0f}") for value in ends)
        if few and gap >= spread and (coded or gap > _BEYOND_DOUBT * spread):
            return tuple(ends.tolist())
    return ()


def _by_id(frame: pd.DataFrame, recipe: Recipe, files: str) -> tuple[NDArray[np.bool_], str]:
    again = frame.duplicated(subset=recipe.id).to_numpy()
    if not again.any():
        return ~again, ""
    other = again & ~frame.duplicated().to_numpy()
    columns = ", ".join(recipe.id)
    if other.any():
        who = ", ".join(str(cell) for cell in frame.loc[other, recipe.id].iloc[0])
        raise UserError(
            f"{files}, column {columns}: found {who} twice with different answers; expected each person once; is it "
            f"the column of the persons (a class's or a country's numbers start anew: name those columns too)?"
        )
    return ~again, f"{int(again.sum())} rows repeat a person ({columns}) and count once"


def _copied(frame: pd.DataFrame) -> tuple[int, int] | None:
    """First row and length of a stretch that repeats earlier rows in their order; None where there is none.

    Persons with the same few answers are common, in the same order they are not: a copied stretch keeps one distance
    between each row and its model over many rows, and these rows differ among themselves.
    """
    # A copied stretch needs its model beside it.
    if len(frame) < 2 * _FEWEST_COPIED:
        return None
    # Hashes: comparing whole rows of a survey with each other would take minutes.
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    order = np.argsort(rows, kind="stable")
    same = rows[order][1:] == rows[order][:-1]
    before = np.full(len(rows), -1)
    before[order[1:][same]] = order[:-1][same]
    distance = np.where(before >= 0, np.arange(len(rows)) - before, 0)
    edges = np.flatnonzero(np.diff(distance)) + 1
    for start, stop in zip([0, *edges], [*edges, len(rows)], strict=True):
        if distance[start] and stop - start >= _FEWEST_COPIED and len(set(rows[start:stop])) >= _FEWEST_COPIED:
            return int(start), int(stop - start)
    return None
