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

from replication.dataset.countries import country_letters

__all__ = [
    "ClusterUnit",
    "Condition",
    "DescribedMeasure",
    "Filled",
    "Measure",
    "Recipe",
    "RecipeFile",
    "ReplicateMethod",
    "ReplicateWeights",
    "RoleQuestions",
    "StrictRecord",
    "Subsample",
    "WholeSurvey",
    "expand",
    "of_levels",
]

_BRACES = re.compile(r"(?P<before>[^{}]*)\{(?P<first>[A-Za-z]|\d+)\.\.(?P<last>[A-Za-z]|\d+)\}(?P<after>[^{}]*)")
# PISA has 80 replicate weights: a range this long is a slip.
_LONGEST_RANGE = 200

Filled = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
Combination = Literal["mean", "sum"]
Effective = Literal["design", "clusters", "kish", "none"]
"""design: 1 / Var(z) + 3, as the survey's manual has the variance; clusters: as in dataset version 1.0.0, from schools
and weights on r, at most n, without strata; kish: from the weights alone; none: not computed."""
ClusterUnit = Literal["school", "class"]
ReplicateMethod = Literal["fay", "brr", "jackknife", "jackknife_both"]
"""fay: balanced half-samples with Fay's factor (PISA); brr: without it; jackknife: one replicate a zone, the plain sum
(ICCS, TIMSS to 2011); jackknife_both: two a zone, half the sum (TIMSS and PIRLS since 2015)."""


_LEVEL_UNITS = tuple(f"{unit} mean" for unit in ("school", "class")) + tuple(
    f"student within {unit}" for unit in ("school", "class")
)


def of_levels(unit: str) -> bool:
    """Whether a row of this unit is a part of a correlation, within or between schools or classes.

    >>> of_levels("student within school"), of_levels("school mean"), of_levels("student"), of_levels("school")
    (True, True, False, False)
    """
    return unit in _LEVEL_UNITS


class StrictRecord(BaseModel):
    """A frozen record of exactly its fields, without conversions."""

    # strict: pydantic would otherwise turn "1" into 1 and a mistyped cell into a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Condition(StrictRecord):
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


class Measure(StrictRecord):
    """One measure of one construct: which columns, how they are coded and combined.

    `items` are columns (`ASBG11{A..K}` stands for eleven); `reversed` are those whose scale is turned (true: all);
    `scale` is the lowest and highest answer, everything else counts as missing. `plausible` are columns of plausible
    values, of which r is the mean. `codes` are numbers for words. `unfilled` undoes a gap filled by the file's maker:
    "median" sets values at the column's median to missing, "decimals" those with more than four decimals. Two sets of
    plausible values with the same `scaled_with` were drawn from one joint scaling and are paired by their index.
    `scale_items` are the answers behind an index that the file's makers computed: only its reliability needs them.
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
    scaled_with: str = ""
    scale_items: list[Filled] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_columns(self) -> Measure:
        # Both would leave open which of them r is of.
        if bool(self.items) == bool(self.plausible):
            raise ValueError("a measure needs either items = […] or plausible = […]")
        expand(self.items or self.plausible)
        expand(self.scale_items)
        if self.scale and not (len(self.scale) == 2 and self.scale[0] < self.scale[1]):
            raise ValueError("scale is the lowest and the highest answer, e.g. [1, 4]")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file it is made from."""
        return expand(self.items or self.plausible)


class ReplicateWeights(StrictRecord):
    """Replicate weights: the `columns` that hold them, or the `zone` and `half` (0 or 1) they are made from.

    `fay` is Fay's factor, for the method of that name.
    """

    method: ReplicateMethod
    columns: list[Filled] = Field(default_factory=list)
    zone: str = ""
    half: str = ""
    fay: float = Field(default=0.5, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _can_be_made(self) -> ReplicateWeights:
        zones = bool(self.zone and self.half)
        if bool(self.columns) == zones or bool(self.zone) != bool(self.half):
            raise ValueError('replicate_weights needs either columns = ["W_FSTR{1..80}"] or zone = … and half = …')
        # Half-samples need a Hadamard matrix that the survey chose; zones and halves alone do not say which.
        if zones and not self.method.startswith("jackknife"):
            raise ValueError('zone and half make jackknife weights: method = "jackknife" or "jackknife_both"')
        expand(self.columns)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every column of the file it needs."""
        return expand(self.columns) if self.columns else (self.zone, self.half)


class Subsample(StrictRecord):
    """A part of the sample with an id of its own."""

    sample: Filled
    where: list[Condition] = Field(min_length=1)


class Recipe(StrictRecord):
    """How the correlations of one sample are computed from its file.

    One sample; with `each`, one sample for each value of that column, which takes the place of {} in `sample` (in small
    letters, a country's number as its letters, or as `each_as` says).

    `file` are the files in the order they are given, joined by rows (parts of one sample) or by columns. `id` are the
    columns that together name a person, who then counts once. `codes` are numbers for the words or numbers of single
    columns, where columns of one measure are coded differently.
    """

    sample: Filled
    source: Filled
    file: list[Filled] = Field(min_length=1)
    join: Literal["rows", "columns"] = "rows"
    each: str = ""
    each_as: dict[str, str] = Field(default_factory=dict)
    id: list[Filled] = Field(default_factory=list)
    weight: str = ""
    cluster: list[Filled] = Field(default_factory=list)
    cluster_unit: ClusterUnit = "school"
    strata: list[Filled] = Field(default_factory=list)
    replicate_weights: ReplicateWeights | None = None
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
        if self.effective == "design" and not (self.cluster or self.weight):
            raise ValueError('effective = "design" needs cluster = [column] or weight = column')
        if self.replicate_weights is not None and not (self.weight and self.effective == "design"):
            raise ValueError('replicate_weights go with weight = column and effective = "design"')
        # Strata narrow the variance between clusters: without clusters or a variance they would be dropped unsaid.
        if self.strata and not (self.cluster and self.effective == "design"):
            raise ValueError('strata go with cluster = [column] and effective = "design"')
        if self.effective == "kish" and not self.weight:
            raise ValueError('effective = "kish" needs weight = column')
        # Otherwise all values of the column would get one id, or none a place for theirs.
        if bool(self.each) != ("{" in self.sample):
            raise ValueError("each = column goes with a sample such as pisa2000_{}_schools, and only then")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the file it needs, in the order of first use."""
        conditions = (*self.where, *(c for part in self.subsample for c in part.where))
        replicates = self.replicate_weights.names if self.replicate_weights is not None else ()
        design = (self.weight, *self.cluster, *self.strata, *replicates)
        named = [self.each, *self.id, *design, *(c.column for c in conditions)]
        used = itertools.chain(named, *(m.columns for m in self.measure))
        return tuple(dict.fromkeys(name for name in used if name))

    def sample_of(self, value: str) -> str:
        """The id of the sample for a value of `each`: by `each_as`, a numeric code's letters, or the value itself."""
        word = (country_letters(value) if value.isdigit() else "") or value
        return self.sample.replace("{}", self.each_as.get(value) or word.casefold())


class RoleQuestions(StrictRecord):
    """Which measures of a recipe give bullying roles: `bullies` and `bullied` at or above `cut` (`softer` beside it).

    `relationship` is taken as distance from the class mean and as that mean, `climate` as the class mean.
    """

    bullies: Filled
    bullied: Filled
    relationship: Filled
    climate: Filled
    cut: float | int
    softer: float | int
    reason: Filled

    @model_validator(mode="after")
    def _softer_is_lower(self) -> RoleQuestions:
        # Equal cuts would show the same analysis twice and call it robust.
        if not self.softer < self.cut:
            raise ValueError("softer is a lower cut than cut")
        return self


class DescribedMeasure(StrictRecord):
    """What a measure's code stands for, in the words of `measures.csv`."""

    variable: Filled
    measure: Filled
    form: Filled
    facet: str = ""
    scope: str = ""
    items: Filled


class WholeSurvey(StrictRecord):
    """A survey cycle with all its countries: `key` names it, `where` says how a person gets it.

    `author` (who published it) and `cycle` (its year) are needed to enter it into the dataset. `persons` are the counts
    its codebook gives by country, by which the file is known to be the right one. `extracts`
    are samples of the dataset that hold some of a country's persons, by the country's value in the file: the whole
    country takes their place. `described` are measures that no folder of the dataset describes yet.
    """

    key: Filled
    title: Filled
    author: str = ""
    cycle: str = ""
    grade: str = ""
    where: Filled
    recipe: Recipe
    roles: RoleQuestions | None = None
    persons: dict[str, int] = Field(default_factory=dict)
    extracts: dict[str, Filled] = Field(default_factory=dict)
    described: list[DescribedMeasure] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_countries(self) -> WholeSurvey:
        if not self.recipe.each:
            raise ValueError("the recipe of a whole survey needs each = the column of the countries")
        if self.roles is not None:
            named = (self.roles.bullies, self.roles.bullied, self.roles.relationship, self.roles.climate)
            lacking = set(named) - {measure.measure for measure in self.recipe.measure}
            # Roles are set against the mean of the class, so there must be classes.
            if lacking or not self.recipe.cluster:
                raise ValueError(f"roles need classes (cluster) and the measures {', '.join(sorted(lacking))}")
        return self


class RecipeFile(StrictRecord):
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
    # A slip such as {1..10000000} would fill the memory before any column is looked for.
    if not low <= high < low + _LONGEST_RANGE:
        raise ValueError(f'"{name[:60]}": a range runs upwards and has at most {_LONGEST_RANGE} columns')
    # PV{08..10}: leading zeros belong to the columns' names.
    parts = [str(i).zfill(len(first)) if first.isdigit() else chr(i) for i in range(low, high + 1)]
    return [f"{match['before']}{part}{match['after']}" for part in parts]
