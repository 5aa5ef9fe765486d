"""A correlation matrix as rows of a work's tables: ids, the sample and its n, checked by the dataset's own rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Dataset
from replication.dataset.cells import check_cells, stack
from replication.dataset.problems import nearest
from replication.dataset.reading import RawTable
from replication.dataset.schema import TABLES
from replication.errors import UserError
from replication.study.checking import work_folder
from replication.study.matrix import Matrix, Variable, descriptive_rows, effect_rows
from replication.study.new import next_version
from replication.study.tables import read_rows, with_rows
from replication.writing import write_together

__all__ = ["MatrixPlace", "MatrixRows", "matrix_rows", "write_matrix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixPlace:
    """Where a matrix belongs, and what all its rows have in common; an empty sample or n is taken from the work."""

    work: str
    sample: str
    n: str
    design: str
    source: str
    locator: str
    reading: str


@dataclass(frozen=True, slots=True)
class MatrixRows:
    """The rows a matrix gives, by table."""

    effects: tuple[Mapping[str, str], ...]
    descriptives: tuple[Mapping[str, str], ...]


def matrix_rows(
    root: Path, dataset: Dataset, place: MatrixPlace, matrix: Matrix, variables: Sequence[Variable | None]
) -> MatrixRows:
    """The rows of a matrix, each with an id that is free in its work.

    Raises
    ------
    UserError
        when there is no such work or sample, no n, no pair to keep, or a cell that the dataset's check would refuse.
    """
    folder = work_folder(root, place.work)
    sample, size = _sample(folder, place.sample)
    n = place.n or size
    # A correlation without its n has no variance: it could never be pooled.
    if not n:
        raise UserError(f"samples.csv has no n for {sample}; give the persons behind the correlations with --n")
    since = next_version(dataset.version)
    shared = {"sample_id": sample, "source": place.source, "locator": place.locator, "reading": place.reading}
    shared |= {"since": since}
    effects = effect_rows(matrix, variables, shared | {"n": n, "design": place.design}, dataset.vocabulary)
    if not effects:
        raise UserError("fewer than two variables are kept, so there is no pair; name at least two with --variables")
    for row, name in zip(effects, _free_ids(folder, place.work), strict=False):
        row["effect_id"] = name
    means = descriptive_rows(matrix, variables, {**shared, "n": n})
    _refuse_bad(dataset, "effects.csv", effects)
    _refuse_bad(dataset, "descriptives.csv", means)
    return MatrixRows(tuple(effects), tuple(means))


def write_matrix(root: Path, place: MatrixPlace, rows: MatrixRows) -> None:
    """Add the rows to the work's tables, to both or to none; descriptives that stand there already stay as they are.

    Called by who holds the dataset's lock, since the rows were given ids that were free.
    """
    folder = work_folder(root, place.work)
    texts = {"effects.csv": with_rows(folder / "effects.csv", TABLES["effects.csv"], rows.effects)}
    path, table = folder / "descriptives.csv", TABLES["descriptives.csv"]
    # What a person entered of a mean may be fuller than what the matrix prints: it stays.
    present = {tuple(row.get(name, "") for name in table.id) for row in read_rows(path, table)}
    fresh = [row for row in rows.descriptives if tuple(row.get(name, "") for name in table.id) not in present]
    if fresh:
        texts["descriptives.csv"] = with_rows(path, table, fresh)
    write_together(root, {f"{place.work}/{name}": text for name, text in texts.items()})


def _sample(folder: Path, wanted: str) -> tuple[str, str]:
    """The sample meant and its n."""
    sizes = {row["sample_id"]: row.get("n", "") for row in read_rows(folder / "samples.csv", TABLES["samples.csv"])}
    # Only where there is one sample is there nothing to guess.
    name = wanted or (next(iter(sizes)) if len(sizes) == 1 else "")
    if name not in sizes:
        hint = nearest(name, sizes) if sizes else f"enter it in {folder.name}/samples.csv first"
        raise UserError(f'no sample "{name}" in {folder.name}: {hint} (--sample)')
    return name, sizes[name]


def _free_ids(folder: Path, work: str) -> Iterator[str]:
    taken = {row["effect_id"] for row in read_rows(folder / "effects.csv", TABLES["effects.csv"])}
    return (name for i in range(1, 100_000) if (name := f"{work}-{i:03d}") not in taken)


def _refuse_bad(dataset: Dataset, table: str, rows: Sequence[Mapping[str, str]]) -> None:
    """What the dataset's check would refuse is never written."""
    header = tuple(TABLES[table].by_name)
    cells = tuple(tuple(row.get(name, "") for name in header) for row in rows)
    raw = RawTable(table, header, cells, tuple(range(1, len(cells) + 1)))
    for problem in check_cells(stack([raw], TABLES[table]), dataset.vocabulary):
        hint = f" → {problem.hint}" if problem.hint else ""
        raise UserError(f"found {problem.found} for {problem.column}; expected {problem.expected}{hint}")
