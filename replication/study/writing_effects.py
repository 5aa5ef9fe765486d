"""A converted correlation as a row of a work's `effects.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Dataset, check_dataset
from replication.dataset.cells import check_cells, stack
from replication.dataset.problems import nearest
from replication.dataset.reading import RawTable
from replication.dataset.schema import TABLES
from replication.errors import DataError, UserError
from replication.study.checking import work_folder
from replication.study.converting import Converted
from replication.study.new import next_version
from replication.study.tables import add_rows, read_rows
from replication.writing import exclusive

__all__ = ["EffectPlace", "write_effect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectPlace:
    """Where the row belongs: work, sample, the two constructs, and where it was read."""

    work: str
    sample: str
    a: str
    b: str
    locator: str
    reading: str


def write_effect(root: Path, place: EffectPlace, converted: Converted) -> str:
    """Add the row and return its id.

    Raises
    ------
    UserError
        when the work or sample does not exist, a word is not known or a cell cannot be; nothing is written then.
    """
    with exclusive(root):  # the next free id is read and used before anybody else can
        return _written(root, place, converted)


def _written(root: Path, place: EffectPlace, converted: Converted) -> str:
    folder = work_folder(root, place.work)
    dataset = check_dataset(root, [place.work]).readable
    if dataset is None:
        raise DataError("the dataset cannot be read; run: python -m replication.study check")
    samples = {row["sample_id"] for row in read_rows(folder / "samples.csv", TABLES["samples.csv"])}
    if place.sample not in samples:
        hint = nearest(place.sample, samples) if samples else f"enter it in {place.work}/samples.csv first"
        raise UserError(f'no sample "{place.sample}" in {place.work}: {hint} (--sample)')
    _check_words(dataset, place)
    path = folder / "effects.csv"
    present = {row["effect_id"] for row in read_rows(path, TABLES["effects.csv"])}
    name = next(f"{place.work}-{i:03d}" for i in range(1, 10_000) if f"{place.work}-{i:03d}" not in present)
    cells = converted.cells()
    flags = [*filter(None, cells.get("flags", "").split(";")), dataset.vocabulary.pair_flag(place.a, place.b)]
    row = {
        "effect_id": name,
        "sample_id": place.sample,
        "var_a": place.a,
        "var_b": place.b,
        **cells,
        "flags": ";".join(filter(None, flags)),
        "locator": place.locator,
        "reading": place.reading,
        "since": next_version(dataset.version),
    }
    _check_cells(dataset, row)
    add_rows(path, TABLES["effects.csv"], [row])
    return name


def _check_cells(dataset: Dataset, row: dict[str, str]) -> None:
    """The row by the rules of the dataset's own check: what it would refuse is never written."""
    raw = RawTable("effects.csv", tuple(row), (tuple(row.values()),), (1,))
    for problem in check_cells(stack([raw], TABLES["effects.csv"]), dataset.vocabulary):
        hint = f" → {problem.hint}" if problem.hint else ""
        raise UserError(f"found {problem.found} for {problem.column}; expected {problem.expected}{hint}")


def _check_words(dataset: Dataset, place: EffectPlace) -> None:
    wanted = (("--a", "construct", place.a), ("--b", "construct", place.b), ("--reading", "reading", place.reading))
    for option, words, word in wanted:
        known = dataset.vocabulary.words(words)
        if word not in known:
            raise UserError(f'{option} "{word}": {nearest(word, known)}')
