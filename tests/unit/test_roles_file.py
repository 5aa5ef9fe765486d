"""The contract for files of students: what is read, and what is said of a file that cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from replication.dataset.problems import Problem
from replication.dataset.roles_table import check_roles, load_roles
from replication.errors import DataError
from replication.models.bayes.sampled.roles_data import roles_data
from replication.models.bayes.sampled.roles_simulated import simulated_students

Students = list[dict[str, str]]
WORDS = ("uninvolved", "bully", "victim", "bully/victim")


def students(n: int = 12) -> Students:
    return [
        {
            "class_id": f"{i % 3}B",
            "student_id": f"s{i}",
            "role": WORDS[i % 4],
            "relationship": f"{i % 5 + 0.5}",
            "gender": "girl" if i % 2 else "boy",
            "age": "12.5",
            "ses": str(i),
            "immigrant": "yes" if i % 5 == 0 else "no",
            "peer_climate": "3",
        }
        for i in range(n)
    ]


def write(folder: Path, rows: Students, separator: str = ",") -> Path:
    path = folder / "students.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def problems(folder: Path, rows: Students) -> list[Problem]:
    table, found = check_roles(write(folder, rows))
    assert table is None
    return found


def test_a_good_file_is_read_column_by_column(tmp_path: Path) -> None:
    rows = students()
    rows[3] |= {"age": "", "gender": "", "role": "", "immigrant": ""}
    table = load_roles(write(tmp_path, rows))
    assert table.role[:4].tolist() == ["uninvolved", "bully", "victim", ""]
    assert table.girl[:3].tolist() == [0.0, 1.0, 0.0] and np.isnan(table.girl[3])
    assert np.isnan(table.age[3]) and np.isnan(table.immigrant[3])
    assert table.lines[:2] == (2, 3)


def test_other_columns_are_not_looked_at(tmp_path: Path) -> None:
    rows = [row | {"comment": "=1+1"} for row in students()]
    assert len(load_roles(write(tmp_path, rows)).role) == 12


def test_roles_come_from_the_two_questions_at_two_or_three_times_a_month(tmp_path: Path) -> None:
    pairs = [
        ("never", "once_or_twice"),
        ("monthly", "never"),
        ("once_or_twice", "weekly"),
        ("more_often", "monthly"),
        ("never", ""),
    ]
    rows = []
    for i, row in enumerate(students()):
        del row["role"]
        others, self_ = pairs[i % 5]
        rows.append(row | {"bullied_others": others, "been_bullied": self_})
    table = load_roles(write(tmp_path, rows))
    assert table.role[:5].tolist() == [*WORDS, ""]


@pytest.mark.parametrize(
    ("row", "column", "cell", "rule", "hint"),
    [
        (0, "role", "buly", "word", 'did you mean "bully"?'),
        (1, "age", "12,5", "number", 'write "12.5"'),
        (2, "age", "122", "range", ""),
        (3, "gender", "F", "word", "use one of: girl, boy"),
        (4, "class_id", "", "empty-cell", "must be filled"),
        (5, "student_id", "s1", "duplicate-id", "row 3 has it already"),
        (6, "relationship", "NA", "number", "leave the cell empty"),
        (7, "immigrant", "1", "word", "use one of: yes, no"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(
    tmp_path: Path, row: int, column: str, cell: str, rule: str, hint: str
) -> None:
    rows = students()
    rows[row][column] = cell
    (problem,) = problems(tmp_path, rows)
    assert (problem.file, problem.row, problem.column, problem.rule) == ("students.csv", row + 2, column, rule)
    assert hint in problem.hint


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    rows = students()
    rows[0]["role"], rows[4]["age"], rows[9]["gender"] = "x", "old", "x"
    with pytest.raises(DataError) as error:
        load_roles(write(tmp_path, rows))
    assert len(error.value.problems) == 3
    assert "row 6, column age" in str(error.value)


def rename(old: str, new: str) -> Callable[[Students], Students]:
    return lambda rows: [{new if k == old else k: v for k, v in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("edit", "column", "hint"),
    [
        (rename("relationship", "relationships"), "relationship", 'did you mean "relationships"?'),
        (rename("ses", "fas"), "ses", "add it"),
        (rename("role", "bullied_others"), "been_bullied", "add it"),
    ],
)
def test_a_missing_column_is_named(
    tmp_path: Path, edit: Callable[[Students], Students], column: str, hint: str
) -> None:
    missing = [p for p in problems(tmp_path, edit(students())) if p.rule == "missing-column"]
    assert [p.column for p in missing] == [column] and hint in missing[0].hint


@pytest.mark.parametrize("edit", [lambda i: "same", lambda i: f"own{i}"], ids=["one class", "a class each"])
def test_classes_must_hold_classmates(tmp_path: Path, edit: Callable[[int], str]) -> None:
    rows = [row | {"class_id": edit(i)} for i, row in enumerate(students())]
    (problem,) = problems(tmp_path, rows)
    assert problem.rule == "classes"


def test_semicolons_are_read_as_commas_are(tmp_path: Path) -> None:
    """What spreadsheets of half of Europe save; the same students come out."""
    semicolons, found = check_roles(write(tmp_path, students(), separator=";"))
    commas, _ = check_roles(write(tmp_path, students()))
    assert semicolons is not None and commas is not None
    assert semicolons.role.tolist() == commas.role.tolist()
    assert not [p for p in found if p.severity == "error"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [(b"", "empty-file"), (b"class_id,role\n", "no-rows"), ("é".encode("latin-1"), "missing-column")],
)
def test_files_that_are_no_tables(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "students.csv"
    path.write_bytes(content)
    table, found = check_roles(path)
    assert table is None and rule in [p.rule for p in found]


def test_a_checked_file_is_what_the_model_takes(tmp_path: Path) -> None:
    """Columns go from file to design by name; SIMULATED students, written and read again."""
    made = simulated_students(40, 4, np.random.default_rng(1))
    rows = [
        {
            "class_id": f"c{made['class_id'][i]:.0f}",
            "role": WORDS[i % 4],
            "gender": "girl" if made["girl"][i] else "boy",
            "immigrant": "yes" if made["immigrant"][i] else "no",
            **{name: repr(float(made[name][i])) for name in ("relationship", "age", "ses", "peer_climate")},
        }
        for i in range(40)
    ]
    table = load_roles(write(tmp_path, rows))
    read = roles_data(**{name: getattr(table, name) for name in ("role", *made)})
    direct = roles_data(role=np.array(WORDS, dtype=object)[np.arange(40) % 4], **made)
    np.testing.assert_array_equal(read.X, direct.X)
    np.testing.assert_array_equal(read.role, direct.role)
    assert read.classes == ("c0", "c1", "c2", "c3")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: found no such file"):
        load_roles(tmp_path / "nothing.csv")
