"""Columns of a survey file -> measures, as a recipe says: numbers for words, missing codes, turned scales, composites.

Every measure runs so that more is more of the named construct. What is missing is NaN and never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.dataset.problems import shown
from replication.dataset.recipes import Condition, Measure, Recipe, expand
from replication.errors import UserError
from replication.models.fit import Array
from replication.study.microdata.questions import ask_about_codes

__all__ = ["Coded", "Mask", "code_sample", "keep_rows", "numbers_of"]

Mask = NDArray[np.bool_]
"""Which rows are meant `(n,)`."""

_LABELLED = re.compile(r"\((-?\d+(?:\.\d+)?)\)\s.*", re.DOTALL)  # "(3) (3) Somewhat": archives print codes this way
_FILE_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """One measure of n persons: one column `(n, 1)`, or one a plausible value `(n, m)`."""

    variable: str
    measure: str
    values: Array
    informant: str = ""
    only_with: tuple[str, ...] = ()


def code_sample(frame: pd.DataFrame, recipe: Recipe, keep: Mask) -> tuple[Coded, ...]:
    """Every measure of a recipe, from the columns of its file, for the rows to keep; standardised among them."""
    return tuple(_code(frame, measure, recipe, keep) for measure in recipe.measure)


def keep_rows(frame: pd.DataFrame, conditions: Sequence[Condition]) -> Mask:
    """Which rows fulfil every condition `(n,)`."""
    keep = np.ones(len(frame), dtype=bool)
    for condition in conditions:
        cells = frame[condition.column]
        if condition.values:
            keep &= _is_one_of(cells, condition.values)
        if condition.not_values:
            keep &= ~_is_one_of(cells, condition.not_values)
        if condition.low is not None or condition.high is not None:
            numbers = numbers_of(cells, {}, ())
            low = -np.inf if condition.low is None else condition.low
            high = np.inf if condition.high is None else condition.high
            with np.errstate(invalid="ignore"):
                keep &= (numbers >= low) & (numbers <= high)
    return keep


def _code(frame: pd.DataFrame, measure: Measure, recipe: Recipe, keep: Mask) -> Coded:
    missing = (*recipe.missing, *measure.missing)
    columns = [numbers_of(frame[name], recipe.codes.get(name, measure.codes), missing) for name in measure.columns]
    for name, column in zip(measure.columns, columns, strict=True):
        if not measure.scale:  # outside a declared scale everything is missing, and nothing is left to ask
            ask_about_codes(name, column[keep], measure.measure)
    columns = [_unfilled(column, measure)[keep] for column in columns]
    values = np.column_stack(columns) if measure.plausible else _combined(_turned(columns, measure), measure)[:, None]
    return Coded(measure.variable, measure.measure, values, measure.informant, tuple(measure.only_with))


def numbers_of(cells: pd.Series, codes: dict[str, float | int], missing: Sequence[str | float]) -> Array:
    """A column as numbers: words by `codes`, "(3) …" by the number in brackets, missing codes as NaN."""
    if pd.api.types.is_numeric_dtype(cells):
        numbers = cells.to_numpy(dtype=float, na_value=np.nan)
        absent = [float(code) for code in missing if not isinstance(code, str)]
        # Codes written as text in the recipe are words of labelled columns and mean nothing among numbers.
        # R's NA is a NaN of another kind, which warns wherever it is reckoned with: here it becomes the common one.
        numbers = np.where(np.isin(numbers, absent) | np.isnan(numbers), np.nan, numbers)
        return _recoded(numbers, codes, str(cells.name)) if codes else numbers
    words = {str(code).casefold() for code in missing}
    # Each different text once: columns of labels have five answers and half a million rows.
    found = {cell: _number(cell, codes, words, str(cells.name)) for cell in cells.dropna().unique()}
    return cells.astype(object).map(found).to_numpy(dtype=float)


def _recoded(numbers: Array, codes: dict[str, float | int], column: str) -> Array:
    """The file's numbers by the recipe's; one the recipe does not know is no silent gap."""
    try:
        known = {float(word): float(number) for word, number in codes.items()}
    except ValueError:
        raise UserError(f"column {column} holds numbers, but the recipe's codes give words; take them out") from None
    stray = set(numbers[np.isfinite(numbers)]) - set(known)
    if stray:
        raise UserError(
            f"column {column} holds {min(stray):g}, and the recipe has no number for it; "
            f"add it under codes, or under missing if it stands for no answer"
        )
    return np.array([known.get(number, np.nan) for number in numbers])


def _number(cell: object, codes: dict[str, float | int], absent: set[str], column: str) -> float:
    text = str(cell).strip()
    if text == "" or text.casefold() in absent:
        return np.nan
    if text in codes:
        return float(codes[text])
    labelled = _LABELLED.fullmatch(text)
    try:
        return float(labelled[1] if labelled else text)
    except ValueError:
        raise UserError(
            f"column {column} holds {shown(text)}, and the recipe has no number for it; "
            f"add it under codes, or under missing if it stands for no answer"
        ) from None


def _unfilled(column: Array, measure: Measure) -> Array:
    """Without the values the file's maker filled in, where they can be told."""
    if measure.unfilled == "median" and np.isfinite(column).any():
        return np.where(column == np.nanmedian(column), np.nan, column)
    if measure.unfilled == "decimals":
        return np.where(np.abs(column - np.round(column, _FILE_DECIMALS)) > 1e-9, np.nan, column)
    return column


def _turned(columns: Sequence[Array], measure: Measure) -> list[Array]:
    """Items on one direction: answers outside the scale missing, reversed items turned, standardised if asked."""
    turn = measure.columns if measure.reversed is True else expand(measure.reversed or [])
    stray = set(turn) - set(measure.columns)
    if stray:
        raise UserError(f"{measure.measure}: {', '.join(sorted(stray))} is reversed but not among its items")
    low, high = (measure.scale[0], measure.scale[1]) if measure.scale else (-np.inf, np.inf)
    turned = []
    for name, column in zip(measure.columns, columns, strict=True):
        with np.errstate(invalid="ignore"):
            valid = np.where((column >= low) & (column <= high), column, np.nan)
        if name in turn:
            # Turned within its scale it keeps the range, so that means over items stay on it.
            valid = (low + high if measure.scale else 0.0) - valid
        turned.append(_standardised(valid) if measure.standardize else valid)
    return turned


def _standardised(column: Array) -> Array:
    """Mean 0 and standard deviation 1 over the answers; without any spread there is nothing to standardise: NaN."""
    answers = column[np.isfinite(column)]
    if len(answers) < 2 or np.ptp(answers) == 0:
        return np.full_like(column, np.nan)
    scaled: Array = (column - answers.mean()) / answers.std(ddof=1)
    return scaled


def _combined(columns: Sequence[Array], measure: Measure) -> Array:
    """Mean or sum of the answered items, where enough of them are answered."""
    items = np.column_stack(columns)
    answered = np.isfinite(items).sum(axis=1)
    # At least one answer: with none the mean would be 0 / 0, and the sum 0 would pass for an answer.
    enough = answered >= max(1.0, measure.at_least * items.shape[1])
    total = np.nansum(items, axis=1)
    value = total / np.maximum(answered, 1) if measure.combine == "mean" else total
    return np.where(enough, value, np.nan)


def _is_one_of(cells: pd.Series, values: Sequence[str | float]) -> Mask:
    words = {str(value) for value in values}
    numbers = {float(value) for value in values if not isinstance(value, str)}
    if pd.api.types.is_numeric_dtype(cells):
        return np.isin(cells.to_numpy(dtype=float, na_value=np.nan), sorted(numbers))
    return cells.astype(str).isin(words).to_numpy() | _labelled_as(cells, numbers)


def _labelled_as(cells: pd.Series, numbers: set[float]) -> Mask:
    matches = {cell: _LABELLED.fullmatch(str(cell)) for cell in cells.dropna().unique()}
    held = [cell for cell, match in matches.items() if match and float(match[1]) in numbers]
    return cells.isin(held).to_numpy()
