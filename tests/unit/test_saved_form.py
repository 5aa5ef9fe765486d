"""The saved file of the form, as a stranger may hand it in: every fault is a line, nothing is read that is no text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replication.errors import UserError
from replication.study.saved_form import FORMAT, read_saved


def saved(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "smith2024.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"text"', "[" * 100_000, {"format": "replication-study-0"}, {"work": {}}, "\x00", "{'a': 1}"],
)
def test_another_file_is_refused_in_a_line(tmp_path: Path, content: object) -> None:
    with pytest.raises(UserError, match="save it from the form again") as error:
        read_saved(saved(tmp_path, content))
    assert "\n" not in str(error.value)


def test_what_is_no_text_of_a_known_column_is_a_problem_at_its_place(tmp_path: Path) -> None:
    tables = {
        "effects": [{"value": ".3", "n": 118, "colour": "red"}, "a row", {}, {"value": " .4 \n "}],
        "effect": [{"value": ".3"}],
        "samples": {"sample_id": "x"},
    }
    read = read_saved(saved(tmp_path, {"format": FORMAT, "work": {"key": "smith2024", "pages": "1"}, "tables": tables}))
    assert {(p.file, p.row, p.column, p.rule) for p in read.problems} == {
        ("smith2024.json, sheet work", 0, "pages", "unknown-column"),
        ("smith2024.json, sheet effects", 1, "n", "not-text"),
        ("smith2024.json, sheet effects", 1, "colour", "unknown-column"),
        ("smith2024.json, sheet effects", 2, "", "not-a-row"),
        ("smith2024.json", 0, "", "unknown-sheet"),
    }
    effects = read.tables["effects.csv"]
    assert [row["value"] for row in effects.rows] == [".3", ".4"] and effects.lines == (1, 4)
    assert all(str(problem).isprintable() for problem in read.problems)
