"""A recipe applied to a file: every pair of measures of different constructs, for the sample and its parts.

A row is one correlation at one unit: of students as they come, of students compared with those of their own school, or
of schools. What is asked of a pair is in `_Survey`, which holds one file, coded once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from replication.dataset.problems import nearest
from replication.dataset.recipes import Measure, Recipe
from replication.errors import UserError
from replication.models.fit import Array
from replication.study.microdata.coding import Coded, Mask, code_sample, keep_rows
from replication.study.microdata.correlations import Correlated, concordance, correlate, kish_size
from replication.study.microdata.design import Groups, SurveyDesign, survey_design, survey_weights
from replication.study.microdata.design_correlations import DesignCorrelation, correlate_by_design
from replication.study.microdata.levels import SchoolLevels, school_levels
from replication.study.microdata.questions import ask_about_samples, each_person_once
from replication.study.microdata.survey_files import read_columns

__all__ = ["Computed", "ComputedRow", "compute_frame", "compute_recipe", "find_recipe", "samples_in"]


@dataclass(frozen=True, slots=True)
class ComputedRow:
    """One correlation of one sample; `note` says what is not defined and who does not count.

    `unit` is empty where one case is what the sample's unit says. A row of students within schools holds what was found
    of the pair's levels: intraclass correlations and the contextual effect, with its standard error.
    """

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
    df: float = np.nan
    n_effective_unweighted: float = np.nan
    unit: str = ""
    clusters: int = 0
    icc_a: float = np.nan
    icc_b: float = np.nan
    contextual: float = np.nan
    contextual_se: float = np.nan
    concordant: float = np.nan
    tied: float = np.nan
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Computed:
    """The rows a recipe gives from a file, and what a reader must know about how the file was read."""

    rows: tuple[ComputedRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Survey:
    """One file, coded: measures of n persons, weights (NaN: none), the design, and the recipe they were made by."""

    recipe: Recipe
    frame: pd.DataFrame
    measures: tuple[Coded, ...]
    weights: Array | None
    design: SurveyDesign

    def part(self, rows: Mask) -> _Survey:
        """The survey of a sample that was drawn by itself."""
        weights = None if self.weights is None else self.weights[rows]
        measures = tuple(replace(m, values=m.values[rows]) for m in self.measures)
        frame = self.frame[rows].reset_index(drop=True)
        return _Survey(self.recipe, frame, measures, weights, self.design.part(rows))


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


def compute_recipe(
    recipe: Recipe, paths: Sequence[Path], sample: str = "", *, levels: bool = False, encoding: str = ""
) -> Computed:
    """Every correlation the recipe gives, or those of one of its samples; `levels`: also within and between schools.

    Raises
    ------
    UserError
        when the files do not fit the recipe or give no correlation at all; the message says what is missing.
    """
    if len(paths) != len(recipe.file):
        listed = "; ".join(recipe.file)
        raise UserError(f"the recipe of {recipe.sample} needs {len(recipe.file)} file(s), in this order: {listed}")
    table = read_columns(paths, recipe.columns, recipe.join, encoding)
    found = compute_frame(recipe, table.frame, " and ".join(path.name for path in paths), sample, levels=levels)
    return Computed(found.rows, (*table.notes, *found.notes))


def compute_frame(
    recipe: Recipe, frame: pd.DataFrame, files: str, sample: str = "", *, levels: bool = False
) -> Computed:
    """Every correlation of persons already read; `files` names where they come from, for messages."""
    # Before coding: a person who counts twice makes every correlation look more certain.
    once, note = each_person_once(frame, recipe, files)
    survey = _coded(recipe, frame[once].reset_index(drop=True), files)
    rows = tuple(
        row for name, part, among in _samples(survey, sample) for row in _rows_of(name, part, among, levels=levels)
    )
    if not rows:
        raise UserError(f"the file has no rows for {sample or recipe.sample}; is it the right file?")
    if not any(np.isfinite(row.r) for row in rows):
        raise UserError(
            f"{files} gives no correlation of {sample or recipe.sample}: of {rows[0].measure_a} with "
            f"{rows[0].measure_b}, {rows[0].note}; is it the whole file the recipe names ({'; '.join(recipe.file)})?"
        )
    return Computed(rows, (f"{files}: {note}",) if note else ())


def _coded(recipe: Recipe, frame: pd.DataFrame, files: str) -> _Survey:
    keep = _kept(frame, recipe, files)
    # On the kept rows only: standardised items must have their mean over the sample, not over the file.
    measures = code_sample(frame, recipe, keep)
    frame = frame[keep].reset_index(drop=True)
    weights = survey_weights(frame, recipe, files)
    return _Survey(recipe, frame, measures, weights, survey_design(frame, recipe, files))


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


def samples_in(frame: pd.DataFrame, recipe: Recipe) -> Iterator[tuple[str, Mask]]:
    """Each sample's id and its rows: one a value of `each`, or the whole and its parts."""
    if recipe.each:
        # a number of a country, read as a decimal number
        values = frame[recipe.each].astype(str).str.strip().str.replace(r"\.0$", "", regex=True)
        ask_about_samples(recipe, sorted(set(values)))
        for value in sorted(set(values)):
            name = recipe.sample_of(value)
            yield name, (values == value).to_numpy()
        return
    yield recipe.sample, np.ones(len(frame), dtype=bool)
    for part in recipe.subsample:
        yield part.sample, keep_rows(frame, part.where)


def _samples(survey: _Survey, sample: str) -> Iterator[tuple[str, _Survey, Mask]]:
    """Each sample asked for: its id, the survey it was drawn in, and its rows there.

    A value of `each` (a country) was drawn by itself; a part of a sample (girls) keeps the design of the whole, because
    schools were drawn, not schools of girls.
    """
    for name, rows in samples_in(survey.frame, survey.recipe):
        if sample not in ("", name, survey.recipe.sample):
            continue
        if survey.recipe.each:
            part = survey.part(rows)
            yield name, part, np.ones(len(part.frame), dtype=bool)
        else:
            yield name, survey, rows


def _value_of(recipe: Recipe, sample: str) -> str | None:
    before, _, after = recipe.sample.partition("{}")
    # Something must stand in the place of {}: before and after alone name no sample.
    fits = sample.startswith(before) and sample.endswith(after) and len(sample) > len(before) + len(after)
    return sample[len(before) : len(sample) - len(after)] if fits else None


def _rows_of(sample: str, survey: _Survey, among: Mask, *, levels: bool) -> Iterator[ComputedRow]:
    """A row per pair; with `levels` and schools in the file two more, within and between them (whole samples only).

    A part of a sample (girls) would never enter a pool beside its whole, so its levels are not asked for.
    """
    apart = levels and bool(survey.recipe.cluster) and bool(among.all())
    for (a, asked_a), (b, asked_b) in itertools.combinations(
        zip(survey.measures, survey.recipe.measure, strict=True), 2
    ):
        # Two measures of one construct say how reliable it is, and nothing of how it goes with another.
        if a.variable == b.variable or not _in_scope(a, b):
            continue
        paired = bool(asked_a.scaled_with) and asked_a.scaled_with == asked_b.scaled_with
        flags = ("attenuated",) if _draws_apart(asked_a, asked_b) and not paired else ()
        sides = ComputedRow(
            sample, a.variable, a.measure, b.variable, b.measure, np.nan, np.nan, 0, np.nan, a.informant, b.informant,
            flags=flags,
        )  # fmt: skip
        plain = _plain_row(sides, a.values, b.values, survey, among, by_index=paired)
        yield plain if asked_a.plausible or asked_b.plausible else _with_pairs(plain, a.values, b.values, survey, among)
        if apart:
            yield from _level_rows(sides, a.values, b.values, survey, among)


def _draws_apart(a: Measure, b: Measure) -> bool:
    """Whether both sides are plausible values: drawn apart, their errors hide a part of the correlation."""
    return bool(a.plausible) and bool(b.plausible)


def _plain_row(sides: ComputedRow, x: Array, y: Array, survey: _Survey, among: Mask, *, by_index: bool) -> ComputedRow:
    recipe = survey.recipe
    if recipe.effective == "design":
        found = correlate_by_design(x, y, survey.design, among, by_index=by_index)
        return replace(
            sides,
            r=found.r,
            r_weighted=found.r_weighted,
            n=found.n,
            n_effective=found.n_effective,
            note=_note(found, recipe),
            df=found.df,
            n_effective_unweighted=found.n_effective_unweighted,
        )
    weights = None if survey.weights is None else survey.weights[among]
    clusters = None if survey.design.clusters is None else survey.design.clusters[among]
    earlier = correlate(x[among], y[among], weights, clusters)
    effective = _effective(earlier, x[among], y[among], weights, recipe)
    numbers = {"r": earlier.r, "r_weighted": earlier.r_weighted, "n": earlier.n}
    return replace(sides, **numbers, n_effective=effective, note=_note(earlier, recipe))  # type: ignore[arg-type]


def _with_pairs(row: ComputedRow, x: Array, y: Array, survey: _Survey, among: Mask) -> ComputedRow:
    """The row with its shares of pairs, which a test of plausible values has not: nobody's own score is in the file."""
    if not np.isfinite(row.r):
        return row
    weights = None if survey.weights is None else survey.weights[among]
    concordant, tied = concordance(x[among, 0], y[among, 0], weights)
    return replace(row, concordant=concordant, tied=tied)


def _level_rows(sides: ComputedRow, x: Array, y: Array, survey: _Survey, among: Mask) -> Iterator[ComputedRow]:
    """The pair within and between schools; why there is no figure between stands in the note of the row within."""
    unit = survey.recipe.cluster_unit
    clusters: Groups = survey.design.clusters  # type: ignore[assignment]  # asked for only where there are schools
    found = school_levels(x, y, clusters, among, unit=unit)
    shared = replace(sides, r_weighted=np.nan, clusters=found.schools)
    within = replace(
        shared,
        unit=f"student within {unit}",
        r=found.within.r,
        n=found.persons,
        n_effective=found.within.n_effective,
        df=found.within.df,
        icc_a=found.icc_x,
        icc_b=found.icc_y,
        contextual=found.contextual,
        contextual_se=found.contextual_se,
        note=_withheld(found, unit),
    )
    between = replace(shared, unit=f"{unit} mean", r=found.between.r, n=found.schools, note=found.withheld)
    yield within
    yield replace(between, n_effective=found.between.n_effective, df=found.between.df)


def _withheld(found: SchoolLevels, unit: str) -> str:
    if not found.withheld or not np.isfinite(found.within.r):
        return found.withheld
    return f"{unit} mean withheld: {found.withheld}"


def _note(found: Correlated | DesignCorrelation, recipe: Recipe) -> str:
    """What a reader must know: why r, weighted r or n_effective is empty, and who has no weight."""
    if not np.isfinite(found.r):
        return found.note
    parts = []
    unweighable = bool(recipe.weight) and not np.isfinite(found.r_weighted)
    if found.note and (unweighable or recipe.effective in ("design", "clusters")):
        empty = "weighted r and n_effective" if unweighable else "n_effective"
        parts.append(f"no {empty}: {found.note}")
    if found.unweighted:
        parts.append(f"{found.unweighted} persons without a weight count for r only")
    return "; ".join(parts)


def _in_scope(a: Coded, b: Coded) -> bool:
    return all(not m.only_with or other.measure in m.only_with for m, other in ((a, b), (b, a)))


def _effective(found: Correlated, x: Array, y: Array, weights: Array | None, recipe: Recipe) -> float:
    if recipe.effective == "clusters":
        return found.n_effective
    if recipe.effective == "kish" and weights is not None and np.isfinite(found.r):
        complete = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1) & np.isfinite(weights)
        return kish_size(weights[complete])
    return float("nan")
