"""What is generated from the code is up to date, and editors' schemas accept what the loader accepts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from replication import paths
from replication.dataset import Dataset
from replication.dataset.schema import TABLES
from replication.study.codebook import FILES, codebook, schema_files
from replication.study.form import FORM_FILE, form_html
from replication.study.workbook_picture import PICTURE_FILE, workbook_svg

ROOT = paths.data_dir()
NAMES = {name: f"{name}.toml" for name in FILES}


def test_the_codebook_is_not_stale(dataset: Dataset) -> None:
    stored = (ROOT / "README.md").read_text(encoding="utf-8")
    assert stored == codebook(dataset.vocabulary), "run: python -m replication.study codebook"


def test_the_schemas_are_not_stale(dataset: Dataset) -> None:
    for name, text in schema_files(dataset.vocabulary).items():
        stored = (ROOT.parent / "schemas" / name).read_text(encoding="utf-8")
        assert stored == text, f"{name}: run: python -m replication.study codebook"


def test_the_form_is_not_stale(dataset: Dataset) -> None:
    stored = (ROOT.parent / FORM_FILE).read_text(encoding="utf-8")
    assert stored == form_html(dataset.vocabulary), "run: python -m replication.study codebook"
    picture = (ROOT.parent / PICTURE_FILE).read_text(encoding="utf-8")
    assert picture == workbook_svg(dataset.vocabulary), "run: python -m replication.study codebook"


def test_the_codebook_names_every_column_and_word(dataset: Dataset) -> None:
    text = codebook(dataset.vocabulary)
    for table in TABLES.values():
        for column in table.columns:
            assert f"| `{column.name}` |" in text
    for words in dataset.vocabulary.lists.values():
        assert all(f"| `{word}` |" in text for word in words)


@pytest.mark.parametrize("name", FILES)
def test_every_record_of_the_dataset_fits_its_schema(name: str) -> None:
    schema = json.loads((ROOT.parent / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    files = sorted(ROOT.rglob(NAMES[name]))
    if name != "explanations":
        assert files
    for path in files:
        if name == "corrections" or path.parent.name != "notes":
            errors = [error.message for error in validator.iter_errors(tomllib.loads(path.read_text(encoding="utf-8")))]
            assert errors == [], path


def test_a_schema_refuses_what_the_loader_refuses() -> None:
    schema = json.loads((ROOT.parent / "schemas" / "work.schema.json").read_text(encoding="utf-8"))
    record = tomllib.loads((ROOT / "roorda2011" / "work.toml").read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid(record)
    for change in ({"role": "citd"}, {"key": "Roorda 2011"}, {"rolle": "x"}, {"kind": 3}):
        assert not validator.is_valid(record | change)


def test_every_toml_file_of_the_dataset_has_a_schema_for_editors() -> None:
    rules = tomllib.loads((paths.project_root() / ".taplo.toml").read_text(encoding="utf-8"))["rule"]
    for rule in rules:
        assert (paths.project_root() / rule["schema"]["path"]).is_file()
    patterns = [pattern for rule in rules for pattern in rule["include"]]
    for path in ROOT.rglob("*.toml"):
        if path.name == "vocabulary.toml" or (path.parent.name == "article" and path.name == "corrections.toml"):
            continue
        relative = path.relative_to(paths.project_root())
        assert any(Path(relative).match(pattern) for pattern in patterns), relative
