"""A whole survey file entered into the dataset: a sample per country, and the extracts whose place they take.

A country may be held already. Where the same persons are held, its rows are compared, and what comes out otherwise is
replaced. Where a part of them is held (an extract), the part is withdrawn and names the whole as its successor: the
same persons never count twice. Nothing is written before all of it can be.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from replication.dataset import Dataset, readable_dataset
from replication.dataset.countries import country_letters, english_name, held_names, territory
from replication.dataset.recipes import Recipe, WholeSurvey
from replication.dataset.schema import TABLES
from replication.errors import UserError
from replication.study.bibtex import Entry, entry_text
from replication.study.computing import compare_rows, country_rows, ids_in_use, replaced_rows, rows_to_add
from replication.study.microdata.describing import Described
from replication.study.microdata.whole_files import CountryResult
from replication.study.new import next_version
from replication.study.tables import read_rows, rows_as_csv
from replication.study.templates import record_template
from replication.writing import exclusive, write_together

__all__ = ["country_name", "enter_survey"]

_Rows = list[dict[str, str]]


@dataclass(slots=True)
class _Entering:
    """The tables of the dataset that change, by folder and name, read once and written together at the end."""

    root: Path
    dataset: Dataset
    survey: WholeSurvey
    taken: set[str]
    tables: dict[str, _Rows] = field(default_factory=dict)

    @property
    def coming(self) -> str:
        """The version in which what is entered will be released."""
        return next_version(self.dataset.version)

    def table(self, work: str, name: str) -> _Rows:
        """The rows of a work's table, to be changed in place."""
        at = f"{work}/{name}"
        if at not in self.tables:
            self.tables[at] = read_rows(self.root / work / name, TABLES[name])
        return self.tables[at]

    def texts(self) -> dict[str, str]:
        """Every changed file by its place below the dataset's folder."""
        texts = {at: rows_as_csv(TABLES[at.partition("/")[2]], rows) for at, rows in self.tables.items() if rows}
        # Countries that are all held elsewhere need no folder of the survey.
        new = f"{self.survey.key}/samples.csv" in texts and self.survey.key not in self.dataset.works
        return texts | (_new_folder(self) if new else {})


def enter_survey(root: Path, survey: WholeSurvey, found: Sequence[CountryResult], *, replace: bool) -> list[str]:
    """Write what was computed of a whole file into the dataset; a line for each country says what became of it.

    Parameters
    ----------
    root : the dataset's folder; it is read under its lock, since somebody may have entered something meanwhile.
    found : the countries; those with a problem are passed over, which their own line says.
    replace : withdraw what comes out otherwise, and extracts of a country that is now whole.

    Raises
    ------
    UserError
        when a measure is described nowhere; nothing is written then.
    """
    if not (survey.author and survey.cycle):
        raise UserError(f"surveys/{survey.key}.toml: found no author or no cycle; give both to enter it")
    lines = []
    with exclusive(root):
        dataset = readable_dataset(root)
        entering = _Entering(root, dataset, survey, ids_in_use(dataset))
        for country in found:
            if country.problem or not any(np.isfinite(row.r) for row in country.rows):
                continue
            lines.append(f"{country.sample}: {_enter(entering, country, replace=replace)}")
        write_together(root, entering.texts())
    return lines


def country_name(dataset: Dataset, survey: WholeSurvey, value: str) -> str:
    """A country's name as the dataset writes it already, else its English name, else the file's own word for it.

    One spelling for one country: samples of a country are clustered by its name.
    """
    land = territory(country_letters(value))
    if land:
        return held_names(dataset.samples["country"]).get(land) or english_name(land)
    word = survey.recipe.each_as.get(value, value).replace("-", " ")
    return " ".join(part if part == "of" else part.capitalize() for part in word.split()) if word.islower() else word


def _enter(entering: _Entering, country: CountryResult, *, replace: bool) -> str:
    """Enter one country, and say how."""
    dataset, survey = entering.dataset, entering.survey
    samples = dataset.samples.set_index("sample_id")
    extract = survey.extracts.get(country.value, country.sample)
    if extract not in samples.index:
        # The extract was withdrawn by an earlier run, so the country itself is what is held now.
        extract = country.sample
    if extract not in samples.index:
        return _enter_new(entering, country, country.sample)
    held = samples.loc[extract]
    if extract == country.sample and held["n"] == country.persons:
        return _compare_held(entering, country, str(held["work"]), replace=replace)
    if not replace:
        return f"{held['n']:g} of its {country.persons} persons are in the dataset as {extract}; --replace to exchange"
    whole = country.sample if country.sample not in entering.taken else f"{country.sample}_whole"
    said = _enter_new(entering, country, whole)
    gone = _withdraw(entering, str(held["work"]), extract, whole)
    return f"{said}; {gone} rows of the extract {extract} withdrawn"


def _compare_held(entering: _Entering, country: CountryResult, work: str, *, replace: bool) -> str:
    """The same persons are held: what comes out otherwise is replaced where that is asked, new pairs are added."""
    dataset, recipe = entering.dataset, entering.survey.recipe
    compared = compare_rows(dataset, work, country.rows, recipe).rows
    differ = sum(bool(entry.differs) for entry in compared)
    rows = entering.table(work, "effects.csv")
    if replace:
        rows[:] = replaced_rows(rows, compared, recipe, dataset.version, entering.taken)
    new = rows_to_add(dataset, work, compared, recipe, entering.taken)
    rows += new
    _describe(entering, work, new)
    same = sum(bool(entry.stored) and not entry.differs for entry in compared)
    return f"{same} rows as stored, {differ} otherwise{' and replaced' if replace and differ else ''}, {len(new)} added"


def _enter_new(entering: _Entering, country: CountryResult, sample: str) -> str:
    """A sample of its own in the survey's folder."""
    survey, key = entering.survey, entering.survey.key
    name = country_name(entering.dataset, survey, country.value)
    entering.table(key, "samples.csv").append(
        {
            "sample_id": sample,
            "label": f"{survey.title.partition(',')[0]} {name}" + (f", grade {survey.grade}" if survey.grade else ""),
            "n": str(country.persons),
            "unit": "student",
            "country": name,
            "cycle": survey.cycle,
            "grade": survey.grade,
            "schools": str(country.schools) if country.schools and survey.recipe.cluster_unit == "school" else "",
            "publication_status": "open data",
            "sampling": "whole file",
            "source": survey.recipe.source,
            "since": entering.coming,
            "note": "; ".join(country.notes),
        }
    )
    entering.taken.add(sample)
    named = dataclasses.replace(country, rows=tuple(dataclasses.replace(row, sample=sample) for row in country.rows))
    rows = country_rows(named, survey.recipe, entering.dataset.version, entering.taken)
    entering.table(key, "effects.csv").extend(rows)
    entering.table(key, "descriptives.csv").extend(_descriptives(country.measures, sample, survey.recipe, entering))
    _describe(entering, key, rows)
    return f"{len(rows)} rows of {country.persons} persons entered in {key}"


def _withdraw(entering: _Entering, work: str, extract: str, whole: str) -> int:
    """Withdraw an extract, its parts and their rows; each names what took its place, where something did."""
    samples = entering.table(work, "samples.csv")
    gone = {extract, *(row["sample_id"] for row in samples if row.get("subgroup_of") == extract)}
    samples[:] = _ended(samples, gone, "sample_id", {extract: whole}, entering.coming)
    key = entering.survey.key
    successors = {
        _pair(row): row["effect_id"] for row in entering.table(key, "effects.csv") if row["sample_id"] == whole
    }
    rows = entering.table(work, "effects.csv")
    ending = [row for row in rows if row["sample_id"] in gone and not row.get("until")]
    by_id = {row["effect_id"]: successors.get(_pair(row), "") for row in ending if row["sample_id"] == extract}
    rows[:] = _ended(rows, {row["effect_id"] for row in ending}, "effect_id", by_id, entering.coming)
    return len(ending)


def _ended(rows: _Rows, gone: set[str], key: str, successors: Mapping[str, str], coming: str) -> _Rows:
    """The rows with those of `gone` ended in the coming version; one that no release holds yet simply goes."""
    after = []
    for row in rows:
        if row[key] not in gone or row.get("until"):
            after.append(row)
        elif row["since"] != coming:
            after.append({**row, "until": coming, "replaced_by": successors.get(row[key], "")})
    return after


def _pair(row: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    # students as they come have no unit in a computed row and "student" in older ones
    unit = "" if row.get("unit", "") == "student" else row.get("unit", "")
    return unit, frozenset(((row["var_a"], row["measure_a"]), (row["var_b"], row["measure_b"])))


def _descriptives(
    found: Iterable[Described], sample: str, recipe: Recipe, entering: _Entering
) -> Iterator[dict[str, str]]:
    scales = {measure.measure: measure.scale for measure in recipe.measure}
    for row in found:
        if not row.n:
            continue
        known = np.isfinite(row.alpha)
        low, high = scales.get(row.measure) or ("", "")
        yield {
            "sample_id": sample,
            "variable": row.variable,
            "measure": row.measure,
            "n": str(row.n),
            "mean": f"{row.mean:.3f}",
            "sd": f"{row.sd:.3f}" if np.isfinite(row.sd) else "",
            "scale_low": str(low) if high != 99 else "",  # 0 to 99 keeps codes out of an index; it is no scale
            "scale_high": str(high) if high != 99 else "",
            "reliability": f"{row.alpha:.3f}" if known else "",
            "missing_pct": f"{row.missing_pct:.1f}",
            "source": recipe.source,
            "reading": "computed",
            "since": entering.coming,
            "note": f"alpha over the persons with all {row.items} answers, unweighted" if known else "",
        }


def _describe(entering: _Entering, work: str, rows: Iterable[Mapping[str, str]]) -> None:
    """Add to a work's `measures.csv` what its new rows name and it does not explain yet."""
    measures = entering.table(work, "measures.csv")
    known = {(row["variable"], row["measure"]) for row in measures}
    named = {(row[f"var_{side}"], row[f"measure_{side}"]) for row in rows for side in "ab"}
    for variable, measure in sorted(named - known):
        words = _words(entering, variable, measure)
        measures.append({"variable": variable, "measure": measure, **words, "since": entering.coming})


def _words(entering: _Entering, variable: str, measure: str) -> dict[str, str]:
    """What a measure is: by the survey's own record, else as every folder that has it describes it."""
    for record in entering.survey.described:
        if (record.variable, record.measure) == (variable, measure):
            return {name: getattr(record, name) for name in ("form", "facet", "scope", "items")}
    table = entering.dataset.measures
    held = table[(table["variable"] == variable) & (table["measure"] == measure)]
    if len(set(zip(held["form"], held["facet"], held["scope"], strict=True))) != 1:
        raise UserError(
            f"surveys/{entering.survey.key}.toml: {variable} ({measure}) is described by {len(held)} folders, "
            f"expected one description; add it as [[described]] with form, facet, scope and items"
        )
    # The folder of the same cycle, where there is one: its items are this file's.
    own = held[held["work"].str.startswith(entering.survey.key[:8])]
    first = (own if len(own) else held).iloc[0]
    return {name: str(first[name]) for name in ("form", "facet", "scope", "items")}


def _new_folder(entering: _Entering) -> dict[str, str]:
    """The record, notes and bibliography of a survey that has no folder yet."""
    survey = entering.survey
    about = f"{survey.title}: student correlations computed from the public file of all countries"
    design = f"Correlations computed for this project from a public-use file: {survey.recipe.source}."
    fields = {"kind": "survey", "role": "survey", "setting": "school", "quantitative": "yes", "design": design}
    note = "computed for this project"
    entry = Entry("misc", {"author": f"{{{survey.author}}}", "title": about, "year": survey.cycle, "note": note})
    bibliography = (entering.root / "references.bib").read_text(encoding="utf-8").rstrip()
    recipe = f"surveys/{survey.key}.toml"
    record = (entering.root.parent / recipe).read_text(encoding="utf-8")
    return {
        f"{survey.key}/work.toml": record_template(survey.key, fields, entering.coming, entering.dataset.vocabulary),
        f"{survey.key}/recipes.toml": _own_recipe(record),
        f"{survey.key}/NOTES.md": f"# {survey.key}\n\n{about}, by the recipe {recipe}.\n\nThe file: {survey.where}.\n",
        "references.bib": f"{bibliography}\n\n{entry_text(survey.key, entry)}",
    }


def _own_recipe(record: str) -> str:
    """The recipe of a survey's record as a folder keeps it, so that its rows can be computed again from there."""
    # Tables of TOML begin with a bracket at the start of a line; those of the recipe carry its name.
    tables = re.split(r"(?m)^(?=\[)", record)
    own = [table for table in tables if re.match(r"\[\[?recipe[.\]]", table)]
    schema = "#:schema ../../schemas/recipes.schema.json\n"
    return schema + "".join(own).replace("[recipe]", "[[recipe]]", 1).rstrip() + "\n"
