"""`datapackage.json`: what every table and column is, by the Frictionless Data Package standard (v1).

Everything comes from the codebook (`dataset/columns.py`), so the description cannot drift from the checks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from replication.dataset import Dataset
from replication.dataset.problems import nearest
from replication.dataset.schema import TABLES, Column, Table, Vocabulary
from replication.errors import UserError, first_fault

__all__ = ["About", "describe_package", "read_about", "table_columns"]

_TYPES = {"number": "number", "integer": "integer"}
_KEY = r"[A-Za-z][A-Za-z0-9_.-]{0,79}"
_VERSION = r"\d{1,4}\.\d{1,4}\.\d{1,4}"
# Leads are works that nobody holds yet, so no row of them belongs to a work.
_NO_WORK = ("leads.csv",)
_FOREIGN = {"effects.csv": ("sample_id",), "descriptives.csv": ("sample_id",)}
_LICENCE = {
    "name": "CC-BY-4.0",
    "title": "Creative Commons Attribution 4.0",
    "path": "https://creativecommons.org/licenses/by/4.0/",
}


class About(BaseModel):
    """What a project says of its dataset in `analyses/export/about.toml`; of one that says nothing, what is certain.

    `matrix` are the variables of the stacked matrices, in the order of their columns; none means every construct.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]+$")] = "dataset"
    title: str = "Published numbers and the data behind them"
    warning: str = "Correlations of different units (persons, groups) are different quantities and must not be pooled."
    matrix: tuple[str, ...] = ()


def read_about(path: Path, vocabulary: Vocabulary) -> About:
    """What `about.toml` says; raises UserError with the file and the field where it says something unknown."""
    # A project need not say anything of itself: what is certain of any dataset stands in its place.
    if not path.exists():
        return About()
    try:
        about = About.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UserError(first_fault(str(path), error)) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    for name in about.matrix:
        if name not in vocabulary.constructs:
            raise UserError(f'{path}: matrix names "{name}": {nearest(name, vocabulary.constructs)}')
    return about


def describe_package(dataset: Dataset, tables: Sequence[str], about: About) -> dict[str, object]:
    """The descriptor of the package with these tables, each as CSV and as Parquet."""
    resources: list[dict[str, object]] = [_works(dataset)]
    resources += [_resource(dataset, TABLES[name]) for name in tables]
    return {
        "profile": "tabular-data-package",
        "name": about.name,
        "title": about.title,
        "version": dataset.version,
        "description": "Effects, samples, measures and printed results, each with the place where it was read. "
        + about.warning,
        "licenses": [_LICENCE],
        "sources": [_source(dataset, key) for key in sorted(dataset.works)],
        "resources": resources,
    }


def table_columns(table: Table) -> tuple[str, ...]:
    """The columns of an exported table: the work, then those of the codebook."""
    names = tuple(table.by_name)
    return names if table.name in _NO_WORK or "work" in names else ("work", *names)


def _resource(dataset: Dataset, table: Table) -> dict[str, object]:
    name = table.name.removesuffix(".csv")
    fields = [_work_field()] if table_columns(table)[0] == "work" else []
    fields += [_field(column, dataset) for column in table.columns]
    # An empty cell is declared missing, so that no reader takes it for zero or for text.
    schema: dict[str, object] = {"fields": fields, "primaryKey": _primary_key(table), "missingValues": [""]}
    keys = (
        [_foreign("work", "works", "key")] if table_columns(table)[0] == "work" or table.name == "screened.csv" else []
    )
    keys += [_foreign(column, "samples", "sample_id") for column in _FOREIGN.get(table.name, ())]
    if keys:
        schema["foreignKeys"] = keys
    return {
        "profile": "tabular-data-resource",
        "name": name,
        "path": f"data/{table.name}",
        "title": table.meaning,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": schema,
        "parquet": f"data/{name}.parquet",
    }


def _works(dataset: Dataset) -> dict[str, object]:
    fields: list[dict[str, object]] = [
        {
            "name": "key",
            "type": "string",
            "description": "first author and year",
            "constraints": {"required": True, "unique": True},
        }
    ]
    fields += [
        _words(name, f"{name} of the work", name, dataset) for name in ("kind", "role", "setting", "quantitative")
    ]
    fields += [
        {"name": name, "type": "string"} for name in ("title", "authors", "year", "venue", "doi", "design", "missing")
    ]
    return {
        "profile": "tabular-data-resource",
        "name": "works",
        "path": "data/works.csv",
        "title": "One work a row.",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": {"fields": fields, "primaryKey": "key", "missingValues": [""]},
        "parquet": "data/works.parquet",
    }


def _field(column: Column, dataset: Dataset) -> dict[str, object]:
    if column.kind == "word":
        return _words(column.name, column.meaning, column.vocabulary, dataset, required=column.required)
    constraints: dict[str, object] = {"required": True} if column.required else {}
    if column.kind == "key":
        constraints["pattern"] = _KEY
    elif column.kind == "version":
        constraints["pattern"] = _VERSION
    if column.low is not None:
        # Frictionless refuses a decimal bound on a column of whole numbers.
        constraints["minimum"] = int(column.low) if column.kind == "integer" else column.low
    if column.high is not None:
        constraints["maximum"] = int(column.high) if column.kind == "integer" else column.high
    field: dict[str, object] = {
        "name": column.name,
        "type": _TYPES.get(column.kind, "string"),
        "description": column.meaning,
    }
    return field | ({"constraints": constraints} if constraints else {})


def _words(name: str, meaning: str, words: str, dataset: Dataset, *, required: bool = False) -> dict[str, object]:
    listed = dataset.vocabulary.lists[words]
    constraints: dict[str, object] = {"enum": list(listed)}
    if required:
        constraints["required"] = True
    text = "; ".join(f"{word}: {explained}" for word, explained in listed.items())
    return {"name": name, "type": "string", "description": f"{meaning}. {text}", "constraints": constraints}


def _work_field() -> dict[str, object]:
    return {"name": "work", "type": "string", "description": "key of the work", "constraints": {"required": True}}


def _primary_key(table: Table) -> list[str]:
    own = list(table.id)
    # Ids of several columns are unique within a work and may repeat in another one.
    return own if len(own) == 1 else ["work", *own]


def _foreign(column: str, resource: str, field: str) -> dict[str, object]:
    return {"fields": column, "reference": {"resource": resource, "fields": field}}


def _source(dataset: Dataset, key: str) -> Mapping[str, str]:
    reference = dataset.references[key]
    address = {"path": f"https://doi.org/{reference.doi}"} if reference.doi else {}
    return {"title": f"{reference.short}: {reference.title}" if reference.title else key, **address}
