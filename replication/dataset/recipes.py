"""Recipes: how a survey sample's correlations are computed from the public file (`recipes.toml`).

A recipe names columns of the file and says how they become measures. It holds no data and no code, so a new survey
needs twenty lines of TOML and no programming.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

__all__ = ["Condition", "Measure", "Recipe", "RecipeFile", "Subsample", "expand"]

_BRACES = re.compile(r"(?P<before>[^{}]*)\{(?P<first>[A-Za-z]|\d+)\.\.(?P<last>[A-Za-z]|\d+)\}(?P<after>[^{}]*)")
_LONGEST_RANGE = 200

Filled = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
Combination = Literal["mean", "sum"]
Effective = Literal["clusters", "kish", "none"]
"""clusters: from the standard error with clusters and weights; kish: from the weights alone; none: not computed."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Condition(_Record):
    """Rows to keep: those whose `column` is one of `values`, none of `not_values`, and lies from `low` to `high`."""

    column: Filled
    values: list[str | float | int] = Field(default_factory=list)
    not_values: list[str | float | int] = Field(default_factory=list)
    low: float | int | None = None
    high: float | int | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not (self.values or self.not_values) and self.low is None and self.high is None:
            raise ValueError("a condition needs values = […], not_values = […], low = … or high = …")
        return self


class Measure(_Record):
    """One measure of one construct: which columns, how they are coded and combined.

    `items` are columns (`ASBG11{A..K}` stands for eleven); `reversed` are those whose scale is turned (true: all);
    `scale` is the lowest and highest answer, everything else counts as missing. `plausible` are columns of plausible
    values, of which r is the mean. `codes` are numbers for words. `unfilled` undoes a gap filled by the file's maker:
    "median" sets values at the column's median to missing, "decimals" those with more than four decimals.
    """

    variable: Filled
    measure: Filled
    informant: str = ""
    items: list[Filled] = Field(default_factory=list)
    plausible: list[Filled] = Field(default_factory=list)
    reversed: bool | list[Filled] = False
    scale: list[float | int] = Field(default_factory=list)
    standardize: bool = False
    combine: Combination = "mean"
    at_least: float | int = 0.5
    codes: dict[str, float | int] = Field(default_factory=dict)
    missing: list[str | float | int] = Field(default_factory=list)
    unfilled: Literal["", "median", "decimals"] = ""
    only_with: list[Filled] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_columns(self) -> Measure:
        if bool(self.items) == bool(self.plausible):
            raise ValueError("a measure needs either items = […] or plausible = […]")
        expand(self.items or self.plausible)
        if self.scale and not (len(self.scale) == 2 and self.scale[0] < self.scale[1]):
            raise ValueError("scale is the lowest and the highest answer, e.g. [1, 4]")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file it is made from."""
        return expand(self.items or self.plausible)


class Subsample(_Record):
    """A part of the sample with an id of its own."""

    sample: Filled
    where: list[Condition] = Field(min_length=1)


class Recipe(_Record):
    """One sample; with `each`, one sample for each value of that column, which takes the place of {} in `sample`
    (in small letters, or as `each_as` says).

    `file` are the files in the order they are given, joined by rows (parts of one sample) or by columns. `codes` are
    numbers for the words or numbers of single columns, where columns of one measure are coded differently.
    """

    sample: Filled
    source: Filled
    file: list[Filled] = Field(min_length=1)
    join: Literal["rows", "columns"] = "rows"
    each: str = ""
    each_as: dict[str, str] = Field(default_factory=dict)
    weight: str = ""
    cluster: list[Filled] = Field(default_factory=list)
    effective: Effective = "none"
    effective_decimals: int = 0
    missing: list[str | float | int] = Field(default_factory=list)
    codes: dict[str, dict[str, float | int]] = Field(default_factory=dict)
    where: list[Condition] = Field(default_factory=list)
    measure: list[Measure] = Field(min_length=2)
    subsample: list[Subsample] = Field(default_factory=list)
    verified: Filled

    @model_validator(mode="after")
    def _can_be_computed(self) -> Recipe:
        if self.effective == "clusters" and not (self.cluster or self.weight):
            raise ValueError('effective = "clusters" needs cluster = [column] or weight = column')
        if self.effective == "kish" and not self.weight:
            raise ValueError('effective = "kish" needs weight = column')
        if bool(self.each) != ("{" in self.sample):
            raise ValueError("each = column goes with a sample such as pisa2000_{}_schools, and only then")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the file it needs, in the order of first use."""
        conditions = (*self.where, *(c for part in self.subsample for c in part.where))
        named = [self.each, self.weight, *self.cluster, *(c.column for c in conditions)]
        used = itertools.chain(named, *(m.columns for m in self.measure))
        return tuple(dict.fromkeys(name for name in used if name))


class RecipeFile(_Record):
    """`recipes.toml`."""

    recipe: list[Recipe]


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Column names with ranges written out.

    >>> expand(["ASBG10A", "ASBG11{A..C}", "PV{08..10}MATH"])
    ('ASBG10A', 'ASBG11A', 'ASBG11B', 'ASBG11C', 'PV08MATH', 'PV09MATH', 'PV10MATH')
    """
    return tuple(itertools.chain.from_iterable(_expand(name) for name in names))


def _expand(name: str) -> list[str]:
    match = _BRACES.fullmatch(name)
    if match is None:
        if "{" in name or "}" in name:
            raise ValueError(f'"{name[:60]}" has braces but no range such as {{A..K}} or {{1..5}}')
        return [name]
    first, last = match["first"], match["last"]
    if first.isdigit() != last.isdigit():
        raise ValueError(f'"{name[:60]}": a range runs from letter to letter or from number to number')
    low, high = (int(first), int(last)) if first.isdigit() else (ord(first), ord(last))
    if not low <= high < low + _LONGEST_RANGE:
        raise ValueError(f'"{name[:60]}": a range runs upwards and has at most {_LONGEST_RANGE} columns')
    parts = [str(i).zfill(len(first)) if first.isdigit() else chr(i) for i in range(low, high + 1)]
    return [f"{match['before']}{part}{match['after']}" for part in parts]
