"""What released versions hold: `released.csv` lists every file and row of them, so that none can vanish unsaid.

A row that was wrong is withdrawn (`until`) and stays; a file that was released stays. Whoever deletes one takes it out
of every earlier version, too, and no other check would see it: a dataset without its explanations is as sound as one
that never had any. The list is made by `study codebook`, from the rows that had entered by the last release; it is
about the data and no part of them, so the dataset's digest leaves it out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from replication.dataset.columns import Columns
from replication.dataset.model import Dataset
from replication.dataset.problems import Problem, shown
from replication.dataset.row_versions import version_numbers
from replication.dataset.schema import TABLES

__all__ = ["RELEASED", "check_released", "released_text"]

RELEASED = "released.csv"
_HEADER = ("file", "row")
_SHARED = ("references.bib", "vocabulary.toml", "traps.toml", "article/statements.toml", "article/corrections.toml")


def released_text(dataset: Dataset, root: Path, version: str) -> str:
    """The list for the dataset as it stands: files first (their row is empty), then the ids of rows.

    Parameters
    ----------
    dataset : as loaded, with its withdrawn rows.
    root : its folder.
    version : the dataset's version at the last release.
    """
    at = version_numbers(version)
    works = [key for key, work in dataset.works.items() if version_numbers(work.since) <= at]
    files = [f"{key}/{path.name}" for key in works for path in (root / key).iterdir() if _counts(path)]
    kept = [name for name in _SHARED if (root / name).exists()]
    lines = [(name, "") for name in sorted({*files, *kept})]
    rows: list[tuple[str, str]] = []
    for name, table in TABLES.items():
        for held in (dataset.columns(name), dataset.columns(name, withdrawn=True)):
            entered = held.where(version_numbers(since) <= at for since in held["since"])
            rows += _rows(entered, name, table.id)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([_HEADER, *lines, *sorted(set(rows))])
    return stream.getvalue()


def check_released(
    root: Path, tables: Mapping[str, Mapping[str, Columns]], asked: Iterable[str] | None
) -> Iterator[Problem]:
    """Files and rows of released versions that are no longer there; nothing where no list is kept.

    Parameters
    ----------
    root : the dataset's folder.
    tables : every readable table by kind and file.
    asked : the works to check; None for all.
    """
    path = root / RELEASED
    if not path.is_file():
        return
    present = {file: set(_ids(own, TABLES[name].id)) for name, found in tables.items() for file, own in found.items()}
    wanted = None if asked is None else set(asked)
    for cells in csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"))):
        if len(cells) != len(_HEADER) or tuple(cells) == _HEADER:
            continue
        file, row = cells
        if wanted is not None and file.partition("/")[0] not in wanted:
            continue
        if not row and not (root / file).exists():
            hint = "restore it from version control"
            yield Problem(file, 0, "", "lost-file", "no such file", "every file of a released version", hint)
        # A file that cannot be read has no ids to look for; its own problem is enough.
        elif row and file in present and row not in present[file]:
            expected = f"the row {shown(row)} of a released version"
            hint = "restore it; a row that is wrong is withdrawn (until), never deleted or renamed"
            yield Problem(file, 0, "", "lost-row", "no such row", expected, hint)


def _counts(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _rows(table: Columns, name: str, ids: tuple[str, ...]) -> list[tuple[str, str]]:
    own = "work" in table and name not in ("screened.csv", "leads.csv")
    files = [f"{work}/{name}" for work in table["work"]] if own else [name] * len(table)
    return list(zip(files, _ids(table, ids), strict=True))


def _ids(table: Columns, ids: tuple[str, ...]) -> list[str]:
    return [" ".join(parts) for parts in table.rows(*ids)]
