"""The commands that compute from public survey files: compute, conceptual."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replication import paths
from replication.study.command_options import Data, Out, deliver

if TYPE_CHECKING:
    from replication.dataset import Dataset
    from replication.dataset.conceptual_records import ConceptualRecord
    from replication.dataset.recipes import WholeSurvey
    from replication.study.conceptual_regressions import ConceptualEstimate
    from replication.study.microdata.whole_files import CountryResult

__all__ = ["compute", "conceptual"]


def compute(
    sample: Annotated[
        str,
        typer.Argument(help="sample_id of the survey sample, e.g. timss2019_tur_g5, or a whole cycle, e.g. pisa2018."),
    ],
    file: Annotated[
        list[Path],
        typer.Option(help="The public file you have (.sav .dta .rda .csv .parquet); again for a second one."),
    ],
    write: Annotated[bool, typer.Option("--write", help="Add the rows that are not in the dataset yet.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Withdraw stored rows that come out otherwise; the new ones take their place."),
    ] = False,
    levels: Annotated[bool, typer.Option("--levels", help="Each pair also within and between schools.")] = False,
    measures: Annotated[
        bool, typer.Option("--measures", help="Size, mean, reliability and missing share of each measure, too.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the file's text, e.g. windows-1252.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Of a whole survey: compute every country anew.")] = False,
    roles: Annotated[
        bool, typer.Option("--roles", help="Of HBSC: bullying roles per country, and what countries have in common.")
    ] = False,
    bayes: Annotated[
        str, typer.Option(help="With --roles: this country (norway) by the Bayesian multilevel model; takes minutes.")
    ] = "",
    out: Out = None,
    data: Data = None,
) -> int:
    """Recompute a survey sample's correlations from the public file, by its recipe, beside what is stored.

    The name of a whole cycle (`data/surveys/`) makes a sample per country; a stopped run goes on where it was, and
    --out writes the rows, --write enters them into the dataset, --replace also withdraws extracts of a country.
    Exit codes: 0 as stored (or new, or replaced as asked), 1 something stored comes out otherwise or not at all, or a
    country could not be computed.
    """
    from replication.dataset import readable_dataset
    from replication.errors import UserError
    from replication.study import computing
    from replication.study.microdata.whole_files import load_survey

    root = paths.dataset_of(data)
    dataset = readable_dataset(root)
    survey = load_survey(sample, root.parent / "surveys")
    if survey is not None:
        # A whole cycle is one file with a column of countries; parts of one sample are joined by its recipe.
        if len(file) != 1:
            raise UserError(f"{sample} needs one --file, with all its countries; found {len(file)}")
        if roles or bayes:
            return _sample_roles(survey, file[0], bayes) if bayes else _compute_roles(survey, file[0])
        countries = _compute_survey(dataset, survey, file[0], out, levels=levels, fresh=fresh)
        if write or replace:
            from replication.study.whole_surveys import enter_survey

            lines = enter_survey(root, survey, countries, replace=replace)
            sys.stdout.write("".join(f"{line}\n" for line in lines))
        # A country that failed must not pass for done, however many others came out.
        return 1 if not countries or any(country.problem for country in countries) else 0
    work, recipe = computing.recipe_of(dataset, sample)
    found = computing.compare_with_stored(dataset, work, recipe, file, sample, levels=levels, encoding=encoding)
    sys.stdout.write("\n".join(computing.computed_lines(found)) + "\n")
    if measures:
        from replication.study.microdata.describing import describe_recipe, described_lines

        sys.stdout.write("\n".join(described_lines(describe_recipe(recipe, file, sample))) + "\n")
    if write or replace:
        for line in computing.store_computed(root, work, found.rows, recipe, write=write, replace=replace):
            sys.stdout.write(line + "\n")
    # Pairs that no longer come out at all cannot be replaced by anything, so the code stays 1.
    lost = any(entry.stored for entry in found.lacking)
    return 0 if found.reproduced or (replace and not lost) else 1


def conceptual(
    work: Annotated[str, typer.Argument(help="Key of the cited work, e.g. marengo2021.")],
    file: Annotated[list[Path], typer.Option(help="The public file you have; again for a further one.")],
    write: Annotated[bool, typer.Option("--write", help="Add the results that are not in the dataset yet.")] = False,
    bayes: Annotated[
        float | None, typer.Option(help="Roles at this cut by the Bayesian multilevel model too: takes minutes.")
    ] = None,
    data: Data = None,
) -> int:
    """Ask a cited work's question of an open file, by its record, beside what is stored; never the work's own result.

    Exit codes: 0 as stored (or new), 1 something stored comes out otherwise.
    """
    from replication.dataset import readable_dataset
    from replication.dataset.schema import TABLES
    from replication.study.conceptual_regressions import compare_conceptual, conceptual_rows
    from replication.study.tables import add_rows
    from replication.writing import exclusive

    root = paths.dataset_of(data)
    with exclusive(root) if write else nullcontext():  # new rows are numbered after those that are stored
        dataset = readable_dataset(root)
        # Under the lock: a row added by somebody in between would get the same number.
        results = dataset.table("conceptual.csv")
        stored = results[results["work"] == work].to_dict("records")
        rows: list[dict[str, str]] = []
        differs = False
        for record, found in _asked_of_files(dataset, work, file, bayes):
            new, lines = compare_conceptual(record, found, stored)
            for line in lines:
                sys.stdout.write(line + "\n")
                differs |= line.endswith("[differs]")
            rows += conceptual_rows(work, record, new, len(stored) + len(rows) + 1, dataset.version)
        if write and rows:
            add_rows(root / work / "conceptual.csv", TABLES["conceptual.csv"], rows)
            sys.stdout.write(f"Added {len(rows)} rows to {work}/conceptual.csv.\n")
    return 1 if differs else 0


def _asked_of_files(
    dataset: Dataset, work: str, files: Sequence[Path], cut: float | None
) -> Iterator[tuple[ConceptualRecord, tuple[ConceptualEstimate, ...]]]:
    """Each record of a work that these files can answer, with what comes out; at a `cut`, by sampling too.

    Raises
    ------
    UserError
        when the work has no record, or a file is none of those that its records name.
    """
    from replication.errors import UserError
    from replication.models.bayes.sampled.sampling import Settings
    from replication.study.conceptual_regressions import compute_conceptual, sample_conceptual_roles, with_files

    # The question stands in a record and not on the command line, so that anybody can ask it again.
    records = dataset.conceptual.get(work, ())
    if not records:
        raise UserError(f"{work} has no conceptual.toml; works that have one: {', '.join(sorted(dataset.conceptual))}")
    for record, given in with_files(records, files):
        found = compute_conceptual(record, given)
        if cut is not None:
            found += sample_conceptual_roles(record, given, cut, Settings(), paths.cache_dir() / "compiled")
        yield record, found


def _compute_roles(survey: WholeSurvey, file: Path) -> int:
    """Bullying roles in every country, at the survey's cut and at the softer one, and pooled over countries."""
    from replication.errors import ModelError
    from replication.study.microdata.country_roles import pool_roles, roles_by_country

    for softer in (False, True):
        found = []
        for country in roles_by_country(survey, file, paths.cache_dir() / "surveys", softer=softer):
            found.append(country)
            said = country.problem or f"{country.n} students in {country.classes} classes, roles {country.counts}"
            sys.stdout.write(f"{country.country}, cut {country.cut:g}: {said}\n")
            # A country takes minutes: without this, a piped run would be silent for all of it.
            sys.stdout.flush()
        try:
            pooled = pool_roles(found)
        except ModelError as error:
            sys.stdout.write(f"not pooled: {error}\n")
            continue
        for p in pooled:
            spread = f"sd between {p.countries} countries {p.sd:.3f}"
            line = f"{p.contrast} against uninvolved, {p.predictor}: log odds {p.value:.3f} [{p.low:.3f}, {p.high:.3f}]"
            sys.stdout.write(f"{line}, {spread}\n")
    return 0


def _sample_roles(survey: WholeSurvey, file: Path, country: str) -> int:
    """One country's roles at both cuts by the Bayesian model, with what the sampler says of itself."""
    from replication.models.bayes.sampled.sampling import Settings
    from replication.study.microdata.country_roles import sample_country_roles

    for softer in (False, True):
        found = sample_country_roles(survey, file, paths.cache_dir() / "surveys", country, Settings(), softer=softer)
        for row in found:
            interval = f"{row.estimate:.3f} [{row.low:.3f}, {row.high:.3f}]"
            sys.stdout.write(f"{country}, cut {row.cut:g}: {row.outcome}, {row.term}: {interval}\n")
        sys.stdout.write(f"{found[0].n} students in {found[0].clusters} classes; {found[0].note}\n")
        sys.stdout.flush()
    return 0


def _compute_survey(
    dataset: Dataset, survey: WholeSurvey, file: Path, out: Path | None, *, levels: bool, fresh: bool
) -> list[CountryResult]:
    """Every country of a whole file: a line as each is done, and the rows to `out` when all are."""
    from replication.dataset.schema import TABLES
    from replication.study import computing
    from replication.study.microdata.whole_files import compute_whole
    from replication.study.tables import rows_as_csv

    rows: list[dict[str, str]] = []
    countries = []
    for found in compute_whole(survey, file, paths.cache_dir() / "surveys", levels=levels, fresh=fresh):
        countries.append(found)
        lines = computing.country_lines(dataset, found, survey.recipe, str(len(countries)))
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        rows += computing.country_rows(found, survey.recipe, dataset.version)
    if out is not None:
        deliver(rows_as_csv(TABLES["effects.csv"], rows), out, "Wrote")
    done = sum(not country.problem for country in countries)
    sys.stdout.write(f"{survey.title}: {done} of {len(countries)} countries computed, {len(rows)} correlations.\n")
    return countries
