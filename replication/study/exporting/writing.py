"""Writing the export: a whole folder or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from replication import paths
from replication.dataset import Dataset
from replication.dataset.schema import TABLES
from replication.study.exporting.layouts import cell_text, csv_text, long_table, matrix_table
from replication.study.exporting.package import About, describe_package, read_about, table_columns
from replication.writing import exclusive, replace_folder

__all__ = ["Exported", "export_dataset"]

_WORK_FIELDS = ("kind", "role", "setting", "quantitative")
_README = """\
# {title}: data package {version}

- `datapackage.json` describes every table and column (Frictionless); `data/` holds them as CSV and Parquet.
- `metafor_long.csv`: one effect a row with Fisher's z (`yi`) and its variance (`vi`).
- `metasem_matrices.csv`: one correlation matrix a sample, stacked.
{script}
An empty cell means unknown, never zero. {warning} In the CSV files
text that a spreadsheet would run as a formula begins with an apostrophe; the Parquet files hold it as it is.

Licence: CC BY 4.0. Cite the works themselves beside this compilation (`references.bib`).
"""
_OF_THE_SCRIPT = "- `models.R`: repeats the main models in R from these files.\n"


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the export lies and how many rows each table has."""

    folder: Path
    rows: dict[str, int]


def export_dataset(dataset: Dataset, folder: Path, bibliography: Path) -> Exported:
    """Write the package to `folder`, which takes the place of an earlier export there.

    The project says what it is called, and which models a script in R repeats, under `analyses/export`.

    Raises
    ------
    UserError
        when the folder holds something else than an export.
    """
    tables = {name: _table(dataset, name) for name in TABLES}
    # An empty table would promise data that nobody has entered.
    present = [name for name, table in tables.items() if len(table)]
    about, script = read_about(paths.analyses_dir() / "export" / "about.toml", dataset.vocabulary), _script()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The lock stands beside the folder, which is exchanged as a whole.
    lock = exclusive(folder.parent, f".{folder.name}.lock")
    with lock, replace_folder(folder, "datapackage.json") as building:
        (building / "data").mkdir()
        works = _works(dataset)
        _write_table(building / "data", "works", works)
        for name in present:
            closed = [column.name for column in TABLES[name].columns if column.kind == "word"]
            _write_table(building / "data", name.removesuffix(".csv"), tables[name], closed)
        _write(building / "metafor_long.csv", _csv(long_table(dataset)))
        # The order of the columns is the project's to say: scripts in R name variables by it.
        variables = about.matrix or tuple(dataset.vocabulary.constructs)
        _write(building / "metasem_matrices.csv", _csv(matrix_table(dataset, variables)))
        if script:
            _write(building / "models.R", script)
        _write(building / "README.md", _readme(dataset, about, script=bool(script)))
        _write(building / "references.bib", bibliography.read_text(encoding="utf-8"))
        descriptor = json.dumps(describe_package(dataset, present, about), ensure_ascii=False, indent=1)
        _write(building / "datapackage.json", descriptor + "\n")
    rows = {"works": len(works), **{name.removesuffix(".csv"): len(tables[name]) for name in present}}
    return Exported(folder, rows)


def _script() -> str:
    """The project's `models.R`; empty where it has none."""
    path = paths.analyses_dir() / "export" / "models.R"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _readme(dataset: Dataset, about: About, *, script: bool) -> str:
    line = _OF_THE_SCRIPT if script else ""
    return _README.format(title=about.title, version=dataset.version, warning=about.warning, script=line)


def _table(dataset: Dataset, name: str) -> pd.DataFrame:
    """One table with the columns of the codebook; numbers as stored, text as text."""
    table = dataset.table(name)
    return table[[column for column in table_columns(TABLES[name]) if column in table]]


def _works(dataset: Dataset) -> pd.DataFrame:
    rows = []
    for key in sorted(dataset.works):
        work, reference = dataset.works[key], dataset.references[key]
        record = {"key": key, **{name: getattr(work, name) for name in _WORK_FIELDS}}
        record |= {"title": reference.title, "authors": "; ".join(reference.authors), "year": reference.year}
        record |= {"venue": reference.venue, "doi": reference.doi, "design": work.design, "missing": work.missing}
        rows.append(record)
    return pd.DataFrame(rows)


def _write_table(folder: Path, name: str, table: pd.DataFrame, closed: Sequence[str] = ()) -> None:
    _write(folder / f"{name}.csv", _csv(table, closed))
    table.to_parquet(folder / f"{name}.parquet", index=False)


def _csv(table: pd.DataFrame, closed: Sequence[str] = ()) -> str:
    """A table as CSV; columns of a closed vocabulary are our own words and stay as they are."""
    columns = [
        table[name].tolist() if name in closed else [cell_text(cell) for cell in table[name].tolist()]
        for name in table.columns
    ]
    return csv_text([str(name) for name in table.columns], zip(*columns, strict=True))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
