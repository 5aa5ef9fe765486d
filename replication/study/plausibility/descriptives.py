"""Plausibility of printed means and standard deviations: inside the scale, possible, and on the grid of whole answers.

Sources: Brown & Heathers (2017), the GRIM test; Bhatia & Davis (2000), the largest variance on a bounded scale.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from replication.dataset import Dataset
from replication.dataset.problems import nearest, shown
from replication.printed import Printed, parse_printed
from replication.study.plausibility.query import Place, Query

__all__ = ["descriptive_queries"]

_COLUMNS = ("work", "line", "sample_id", "variable", "measure", "n", "mean", "sd", "scale_low", "scale_high", "items")
_TINY = 0.04  # of the scale's range: smaller than any spread of answers seen in practice


@dataclass(frozen=True, slots=True)
class _Known:
    """What else is known: the measures of the works (only where their table is whole), and the sizes of samples."""

    measures: Mapping[str, frozenset[tuple[str, str]]]
    sizes: Mapping[str, float]


def descriptive_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about the means of these works."""
    known = _known(dataset)
    for row in dataset.columns("descriptives.csv").of_works(works).records(*_COLUMNS):
        row_id = f"{row['sample_id']} {row['variable']} {row['measure']}"
        place = Place(f"{row['work']}/descriptives.csv", row["line"], row_id)
        yield from _measure(place, row, known)
        mean = parse_printed(row["mean"]) if row["mean"] else None
        sd = parse_printed(row["sd"]) if row["sd"] else None
        unclear = list(_form(place, row, mean, sd))
        yield from unclear or _numbers(place, row, mean, sd)


def _known(dataset: Dataset) -> _Known:
    damaged = {problem.file for problem in dataset.warnings if problem.severity == "error"}
    codes: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for work, variable, measure in dataset.columns("measures.csv").rows("work", "variable", "measure"):
        # Rows with an error are missing from the table, and their measures would look unknown.
        if f"{work}/measures.csv" not in damaged:
            codes[work].add((variable, measure))
    sizes = dict(dataset.columns("samples.csv").rows("sample_id", "n"))
    return _Known({work: frozenset(found) for work, found in codes.items()}, sizes)


def _measure(place: Place, row: Mapping[str, Any], known: _Known) -> Iterator[Query]:
    """A measure that measures.csv does not have, and an n that the sample does not have."""
    codes, size = known.measures.get(row["work"]), known.sizes.get(row["sample_id"], math.nan)
    if codes is not None and (row["variable"], row["measure"]) not in codes:
        expected = f"a measure of {row['variable']} in measures.csv"
        hint = nearest(row["measure"], [code for name, code in codes if name == row["variable"]] or ["add it there"])
        yield Query.about(place, "measure", "measure-unknown", shown(row["measure"]), expected, hint)
    if row["n"] > size:
        expected = f"at most the sample's n, {size:g}"
        yield Query.about(place, "n", "n-above-sample", f"{row['n']:g}", expected, "check both numbers")


def _form(place: Place, row: Mapping[str, Any], mean: Printed | None, sd: Printed | None) -> Iterator[Query]:
    """A bound is no mean; a value in per cent is one only on a scale of per cent."""
    for column, number in (("mean", mean), ("sd", sd)):
        if number is not None and (number.bound or (number.percent and row["scale_high"] != 100)):
            expected = f"the {column} itself, on the scale of the answers"
            hint = "a bound or a per cent value belongs in the note"
            yield Query.about(place, column, "mean-form", number.text, expected, hint)


def _numbers(place: Place, row: Mapping[str, Any], mean: Printed | None, sd: Printed | None) -> Iterator[Query]:
    if mean is not None:
        yield from list(_mean(place, row, mean)) or _grim(place, row, mean)
    if sd is not None and sd.value <= 0:
        hint = "is it a dash or an empty cell, or a standard error rounded to 0?"
        yield Query.about(place, "sd", "sd-not-positive", sd.text, "a standard deviation above 0", hint)
    elif sd is not None:
        yield from _spread(place, row, mean, sd)


def _mean(place: Place, row: Mapping[str, Any], mean: Printed) -> Iterator[Query]:
    low, high = row["scale_low"], row["scale_high"]
    if mean.high < low or mean.low > high:
        expected = f"a mean from {low:g} to {high:g}"
        hint = "is it a sum score, another scale, or a slip of the decimal point?"
        yield Query.about(place, "mean", "mean-outside", mean.text, expected, hint)


def _spread(place: Place, row: Mapping[str, Any], mean: Printed | None, sd: Printed) -> Iterator[Query]:
    low, high, n = row["scale_low"], row["scale_high"], row["n"]
    if math.isnan(low) or math.isnan(high):
        return
    middle = (low + high) / 2 if mean is None else mean.value
    # The middle of the scale allows the largest spread: a mean that may lie there gets the benefit.
    if mean is not None and mean.low <= (low + high) / 2 <= mean.high:
        middle = (low + high) / 2
    # Printed sds divide by n - 1; 2 is the most that can make, for two persons.
    correction = n / (n - 1) if n > 1 else 2.0
    largest = math.sqrt(max(high - middle, 0) * max(middle - low, 0) * correction)
    if sd.low > largest and low <= middle <= high:
        expected = f"at most {largest:.2f}, the largest possible with this mean and scale"
        yield Query.about(place, "sd", "sd-too-large", sd.text, expected, "is the scale right?")
    elif 0 < sd.high < _TINY * (high - low):
        expected = f"a spread of answers from {low:g} to {high:g}"
        yield Query.about(place, "sd", "sd-is-se", sd.text, expected, "is it a standard error?")


def _grim(place: Place, row: Mapping[str, Any], mean: Printed) -> Iterator[Query]:
    """A mean of n persons with `items` whole answers each is a whole number divided by n x items."""
    n, items = row["n"], row["items"]
    if math.isnan(n) or math.isnan(items):
        return
    grain = n * items
    if grain >= 10.0**mean.decimals:
        return  # every mean of so many answers can be printed
    if math.floor(mean.high * grain + 1e-9) < math.ceil(mean.low * grain - 1e-9):
        nearest = round(mean.value * grain) / grain
        expected = f"a mean that {grain:g} whole answers can have, e.g. {nearest:.{mean.decimals}f}"
        yield Query.about(
            place, "mean", "grim", mean.text, expected, "is n or the mean mistyped, or were answers missing?"
        )
