"""Whole international files: one recipe, a sample per country, computed a country at a time within bounded memory.

A file that is not Parquet is made so once, in the cache, with the columns the recipe needs: SPSS in stretches of rows,
text by Polars as a stream. Countries are then loaded in batches that fit into memory, and each is computed by itself as
an extract of it would be. What was computed is kept beside the converted file, so that a stopped run goes on where it
was; a country that cannot be computed is a line, and the others are still computed.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from replication.dataset.recipes import Measure, Recipe, WholeSurvey, expand
from replication.digests import digest_of
from replication.errors import UserError, first_fault
from replication.study.microdata.applied_recipes import ComputedRow, compute_frame
from replication.study.microdata.describing import Described, describe_frame, described_columns
from replication.study.microdata.survey_files import OLD_ENCODING, present_columns, text_format
from replication.writing import write_atomic

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = [
    "CountryResult",
    "compute_whole",
    "country_frames",
    "load_survey",
    "parquet_of",
]

_BATCH_BYTES = 120_000_000
"""Of numbers loaded at once. Polars holds several times that while it filters: 600,000 simulated students in 80
countries took 1.8 GB with 500 MB, and take 0.65 GB with this, no slower."""
_FORM = "2"  # of kept results: raised when their fields change, so that older ones are computed anew
_ROWS_AT_ONCE = 50_000  # of an SPSS file: some 50 MB of the columns a recipe needs


@dataclass(frozen=True, slots=True)
class CountryResult:
    """What was computed of one country of a whole file, or why nothing was.

    Its sample, persons and schools in the file, rows, what its measures are like, notes; `kept` was computed earlier.
    """

    sample: str
    value: str
    persons: int
    schools: int = 0
    rows: tuple[ComputedRow, ...] = ()
    measures: tuple[Described, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    kept: bool = False


def load_survey(key: str, folder: Path) -> WholeSurvey | None:
    """The survey cycle of that name, or None where no file of the folder has it; UserError where the file is wrong."""
    path = folder / f"{key}.toml"
    # The key comes from the command line: only plain names become paths.
    if not re.fullmatch(r"[a-z0-9]+", key) or not path.is_file():
        return None
    try:
        return WholeSurvey.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UserError(first_fault(path.name, error)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path.name} cannot be read: {error}; restore it from the repository") from None


def compute_whole(
    survey: WholeSurvey, path: Path, cache: Path, *, levels: bool = False, fresh: bool = False
) -> Iterator[CountryResult]:
    """Every country of a whole file, as it is computed.

    Parameters
    ----------
    survey : its recipe, and the counts by which its file is known.
    path : the file as it was downloaded, or its Parquet.
    cache : a folder for the converted file and the results so far.
    levels : each pair also within and between schools.
    fresh : compute everything anew.

    Raises
    ------
    UserError
        when the file cannot be read or lacks the column of the countries or the weights.
    """
    recipe = survey.recipe
    table = parquet_of(path, described_columns(recipe), cache)
    names = _names_in(table, recipe, path)
    results = table.parent / f"{digest_of(recipe.model_dump_json(), str(levels), _FORM)[:16]}.results"
    if fresh:
        shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True, exist_ok=True)
    counts = _counts(table, names[recipe.each])
    _right_file(survey, counts, path)
    nowhere = counts.pop("", 0)
    if nowhere:
        yield CountryResult("", "", nowhere, problem=f"are in no country (column {recipe.each} is empty)")
    todo = {value: count for value, count in counts.items() if not _kept_at(results, value).is_file()}
    for value in counts:
        if value not in todo:
            yield _read_kept(_kept_at(results, value))
    for batch in _batches(todo, len(names)):
        for found in _computed(recipe, table, names, batch, path.name, levels=levels):
            if not found.problem:  # a country that failed is tried again by the next run
                write_atomic(_kept_at(results, found.value), json.dumps(asdict(found)))
            yield found


def country_frames(recipe: Recipe, path: Path, cache: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The persons of each country, by its sample's id, with the columns of the recipe that the file has."""
    table = parquet_of(path, described_columns(recipe), cache)
    names = _names_in(table, recipe, path)
    counts = _counts(table, names[recipe.each])
    counts.pop("", None)
    for batch in _batches(counts, len(names)):
        loaded = _loaded(recipe, table, names, batch)
        for value in batch:
            sample = recipe.sample_of(value)
            # pop: a country's rows leave the memory before the next one is converted.
            yield sample, loaded.pop(value).to_pandas()


def parquet_of(path: Path, columns: Sequence[str], cache: Path) -> Path:
    """The file as Parquet with the columns needed: itself, or converted once into the cache.

    The cache is known by the file's name, size and date and by the columns, so that a newer download is converted anew.
    """
    if not path.is_file():
        raise UserError(f"no file {path}; check the path after --file")
    about = path.stat()
    folder = cache / digest_of(path.name, str(about.st_size), str(about.st_mtime_ns), *sorted(columns))[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        link = folder / "source.parquet"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
        return link
    done = folder / "columns.parquet"
    if not done.is_file():
        converters = {".sav": _from_spss, ".zsav": _from_spss, ".csv": _from_text, ".tsv": _from_text}
        convert = converters.get(path.suffix.lower())
        if convert is None:
            raise UserError(f"{path.name}: a whole file should end in .parquet, {', '.join(converters)}")
        half = folder / "columns.part"
        convert(path, columns, half)
        # Renamed when whole: a stopped conversion would otherwise pass for a finished one.
        half.replace(done)
    return done


def _from_spss(path: Path, columns: Sequence[str], target: Path) -> None:
    """An SPSS file in stretches of rows, each a row group; text columns stay text."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyreadstat

    encoding: str | None = None
    try:
        _, meta = pyreadstat.read_sav(str(path), metadataonly=True)
    except pyreadstat.ReadstatError as error:
        if "encoding" not in str(error):
            raise UserError(f"{path.name} cannot be read as {path.suffix} ({error}); download it again") from error
        encoding = OLD_ENCODING
        _, meta = pyreadstat.read_sav(str(path), metadataonly=True, encoding=encoding)
    wanted = present_columns(meta.column_names, columns)
    text = {name for name in wanted if meta.readstat_variable_types[name] == "string"}
    schema = pa.schema([(name, pa.string() if name in text else pa.float64()) for name in wanted])
    stretches = pyreadstat.read_file_in_chunks(
        pyreadstat.read_sav, str(path), chunksize=_ROWS_AT_ONCE, usecols=wanted, encoding=encoding
    )
    with pq.ParquetWriter(target, schema) as writer:
        for frame, _ in stretches:
            writer.write_table(pa.Table.from_pandas(frame[wanted], schema=schema, preserve_index=False))


def _from_text(path: Path, columns: Sequence[str], target: Path) -> None:
    """A table of text as a stream: cells are read as text, and a column that is numbers throughout becomes numbers."""
    import polars as pl

    separator, decimal, kind = text_format(path)
    if kind != "utf-8-sig":
        raise UserError(f"{path.name}: text is not UTF-8; save it so, or take the .sav file")
    # Types guessed from the first rows break where a code turns up in row 400 000.
    lazy = pl.scan_csv(path, separator=separator, infer_schema=False)
    wanted = present_columns(lazy.collect_schema().names(), columns)
    lazy = lazy.select(pl.col(wanted).str.strip_chars().replace("", None))
    if decimal == ",":
        lazy = lazy.with_columns(pl.col(wanted).str.replace(",", ".", literal=True))
    numbers = pl.col(wanted).cast(pl.Float64, strict=False)
    lost = lazy.select((pl.col(wanted).is_not_null() & numbers.is_null()).sum()).collect(engine="streaming").row(0)
    numeric = [name for name, count in zip(wanted, lost, strict=True) if count == 0]
    lazy.with_columns(pl.col(numeric).cast(pl.Float64)).sink_parquet(target)


def _names_in(table: Path, recipe: Recipe, path: Path) -> dict[str, str]:
    """The file's own name of every column it has; UserError without those no country can do without."""
    import polars as pl

    held = {name.casefold(): name for name in pl.scan_parquet(table).collect_schema().names()}
    names = {column: held[column.casefold()] for column in described_columns(recipe) if column.casefold() in held}
    needed = [recipe.each, *([recipe.weight] if recipe.weight else [])]
    lacking = [column for column in needed if column not in names]
    if lacking:
        raise UserError(
            f"{path.name} has no column {', '.join(lacking)}; is it the student file of the cycle ({recipe.source})?"
        )
    return names


def _right_file(survey: WholeSurvey, counts: dict[str, int], path: Path) -> None:
    """UserError where most countries have not the persons the codebook counts: another edition, or another file."""
    known = {value: count for value, count in counts.items() if value in survey.persons}
    right = sum(survey.persons[value] == count for value, count in known.items())
    if survey.persons and 2 * right <= len(known):
        shown = next(iter(known), "")
        example = f" (of {shown}: {known[shown]}, expected {survey.persons[shown]})" if shown else ""
        raise UserError(
            f"{path.name}: found {right} of {len(counts)} countries with the persons of the codebook{example}; "
            f"expected the file of {survey.title}; {survey.where}"
        )


def _counts(table: Path, column: str) -> dict[str, int]:
    """Persons by country, in the order of the countries' names."""
    import polars as pl

    value = _country(column).fill_null("").replace("NaN", "").alias("value")
    counted = pl.scan_parquet(table).group_by(value).len().collect(engine="streaming")
    return dict(sorted(counted.iter_rows()))


def _country(column: str) -> pl.Expr:
    """The country as text: codes that are whole numbers without a decimal point."""
    import polars as pl

    text = pl.col(column).cast(pl.String).str.strip_chars()
    return text.str.replace(r"\.0$", "")


def _batches(todo: dict[str, int], columns: int) -> Iterator[list[str]]:
    batch: list[str] = []
    held = 0
    for value, count in todo.items():
        size = count * columns * 8
        if batch and held + size > _BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(value)
        held += size
    if batch:
        yield batch


def _computed(
    recipe: Recipe, table: Path, names: dict[str, str], batch: list[str], file: str, *, levels: bool
) -> Iterator[CountryResult]:
    loaded = _loaded(recipe, table, names, batch)
    for value in batch:
        yield _one_country(recipe, value, loaded.pop(value), file, levels=levels)


def _loaded(recipe: Recipe, table: Path, names: dict[str, str], batch: list[str]) -> dict[str, pl.DataFrame]:
    """The countries of a batch, each a table under the recipe's names."""
    import polars as pl

    chosen = [pl.col(name).alias(column) for column, name in names.items()]
    country = _country(names[recipe.each])
    lazy = pl.scan_parquet(table).filter(country.is_in(batch)).select([*chosen, country.alias("__country")])
    parts = lazy.collect(engine="streaming").partition_by("__country", as_dict=True, include_key=False)
    return {str(next(iter(key))): part for key, part in parts.items()}


def _one_country(recipe: Recipe, value: str, frame: pl.DataFrame, file: str, *, levels: bool) -> CountryResult:
    """One country, computed as its extract would be; measures whose columns it lacks or left empty are noted."""
    sample = recipe.sample_of(value)
    empty = {name for name in frame.columns if frame[name].null_count() == len(frame)}
    held = [_answerable(m, frame, empty) for m in recipe.measure if _held(m.columns, frame, empty)]
    lacking = [m.measure for m in recipe.measure if m.measure not in {h.measure for h in held}]
    notes = (f"not asked in this country: {', '.join(lacking)}",) if lacking else ()
    schools = frame.select(recipe.cluster).n_unique() if _held(recipe.cluster, frame, empty) and recipe.cluster else 0
    if len({measure.variable for measure in held}) < 2:
        problem = f"two measures are needed; {'; '.join(notes)}"
        return CountryResult(sample, value, len(frame), schools, notes=notes, problem=problem)
    one = recipe.model_copy(update={"sample": sample, "each": "", "each_as": {}, "measure": held})
    persons = frame.to_pandas()
    try:
        found = compute_frame(one, persons, f"{file}, {value}", levels=levels)
        measures = describe_frame(one, persons)
    except UserError as error:
        return CountryResult(sample, value, len(frame), schools, notes=notes, problem=str(error))
    return CountryResult(sample, value, len(frame), schools, found.rows, measures, (*notes, *found.notes))


def _held(columns: Sequence[str], frame: pl.DataFrame, empty: set[str]) -> bool:
    return all(column in frame.columns and column not in empty for column in columns)


def _answerable(measure: Measure, frame: pl.DataFrame, empty: set[str]) -> Measure:
    """The measure without the answers behind it where the country has not all of them: its alpha is then unknown."""
    if _held(expand(measure.scale_items), frame, empty):
        return measure
    return measure.model_copy(update={"scale_items": []})


def _kept_at(results: Path, value: str) -> Path:
    return results / f"{digest_of(value)[:16]}.json"


def _read_kept(path: Path) -> CountryResult:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(ComputedRow(**{**row, "flags": tuple(row["flags"])}) for row in record["rows"])
    measures = tuple(Described(**measure) for measure in record["measures"])
    about = (record["sample"], record["value"], record["persons"], record["schools"])
    return CountryResult(*about, rows, measures, tuple(record["notes"]), kept=True)
