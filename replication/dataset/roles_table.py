"""Students' bullying roles from a file of one's own: the contract for HBSC-like micro-data, checked cell by cell.

No micro-data are shipped. A user points to a CSV file with the columns of `ROLES`, one student a row; other columns are
not looked at. The role is given in `role`, or made from the two frequency questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.dataset.cells import check_cells, stack, typed_rows
from replication.dataset.problems import Problem, format_problems, nearest
from replication.dataset.reading import RawTable, read_table
from replication.dataset.schema import Table, Vocabulary, number, text, word
from replication.errors import DataError

__all__ = ["ROLES", "ROLES_WORDS", "RolesTable", "check_roles", "load_roles"]

_ROLE_WORDS = {
    "uninvolved": "neither bullies nor is bullied",
    "bully": "bullies others, is not bullied",
    "victim": "is bullied, does not bully",
    "bully/victim": "both",
}

# Two or three times a month or more counts as involved: the cut of Solberg & Olweus (2003).
_FREQUENCY_WORDS = {
    "never": "not in the past couple of months",
    "once_or_twice": "once or twice",
    "monthly": "two or three times a month",
    "weekly": "about once a week",
    "more_often": "several times a week",
}
_INVOLVED = ("monthly", "weekly", "more_often")

ROLES_WORDS = Vocabulary(
    {
        "role": _ROLE_WORDS,
        "frequency": _FREQUENCY_WORDS,
        "gender": {"girl": "girl", "boy": "boy"},
        "yes_no": {"yes": "yes", "no": "no"},
    },
    {},
)

ROLES = Table(
    "a file of students",
    "One student a row, for the model of bullying roles. An empty cell means not known, never zero.",
    ("student_id",),
    (
        text("class_id", "the student's class, one id across all schools", required=True),
        text("student_id", "an id of the student, each once; may be left out"),
        word("role", "the bullying role; or leave the column out and give both questions", "role"),
        word("bullied_others", "how often the student took part in bullying others", "frequency"),
        word("been_bullied", "how often the student was bullied", "frequency"),
        number("relationship", "quality of the relationship with the teacher(s), more is better", -1e6, 1e6),
        word("gender", "girl or boy", "gender"),
        number("age", "age in years", 4.0, 25.0),
        number("ses", "socioeconomic status of the family, more is higher", -1e6, 1e6),
        word("immigrant", "immigrant background", "yes_no"),
        number("peer_climate", "the student's rating of the climate among classmates, more is better", -1e6, 1e6),
    ),
)

_NEEDED = ("class_id", "relationship", "gender", "age", "ses", "immigrant", "peer_climate")
_QUESTIONS = ("bullied_others", "been_bullied")


@dataclass(frozen=True, slots=True, eq=False)
class RolesTable:
    """Checked students, column by column `(n,)`: words as text (empty: unknown), numbers and flags (NaN: unknown).

    The names are those `roles_data` takes; `lines (n,)` are the rows of the file.
    """

    file: str
    lines: tuple[int, ...]
    role: NDArray[np.object_]
    class_id: NDArray[np.object_]
    relationship: NDArray[np.float64]
    girl: NDArray[np.float64]
    age: NDArray[np.float64]
    ses: NDArray[np.float64]
    immigrant: NDArray[np.float64]
    peer_climate: NDArray[np.float64]


def load_roles(path: Path) -> RolesTable:
    """Read and check a file of students.

    Raises
    ------
    DataError
        With every problem found: file, row, column, what was found, what was expected, what to do.
    """
    table, problems = check_roles(path)
    if table is None:
        raise DataError(f"{path.name} cannot be used:\n{format_problems(problems, limit=20)}", tuple(problems))
    return table


def check_roles(path: Path) -> tuple[RolesTable | None, list[Problem]]:
    """The table, or None, and every problem; warnings alone do not stand in the way."""
    if not path.exists():
        hint = "check the path given with --data"
        return None, [Problem(path.name, 0, "", "no-file", "no such file", "a CSV file", hint)]
    raw, found = read_table(path, path.name, ROLES)
    # A file of one's own may hold anything else beside, and which columns it needs hangs on the role.
    problems = [p for p in found if p.rule not in ("unknown-column", "missing-column")]
    if raw is None or any(p.rule == "separator" for p in problems):
        return None, problems
    problems += _missing_columns(raw)
    stacked = stack([raw], ROLES)
    problems += check_cells(stacked, ROLES_WORDS)
    if any(p.severity == "error" for p in problems):
        return None, sorted(problems)
    frame = typed_rows(stacked).frame()
    # After the cells, as classes of misread cells would be counted wrong.
    problems += _unused_classes(raw.file, frame)
    if any(p.severity == "error" for p in problems):
        return None, sorted(problems)
    return _table(raw, frame), problems


def _missing_columns(raw: RawTable) -> list[Problem]:
    needed = [*_NEEDED, *(() if "role" in raw.header else _QUESTIONS)]
    known = ROLES.by_name
    problems = []
    for name in needed:
        if name not in raw.header:
            close = nearest(name, raw.header)
            hint = (
                f"rename your column ({close})"
                if close.startswith("did you mean")
                else f"add it: {known[name].meaning}"
            )
            problems.append(Problem(raw.file, 1, name, "missing-column", "no such column", f"the column {name}", hint))
    return problems


def _unused_classes(file: str, frame: pd.DataFrame) -> list[Problem]:
    """One class id for everybody, or one a student, is a column that was misread."""
    n, classes = len(frame), frame["class_id"].nunique()
    # Equal on either end: a constant column, or a column of student numbers.
    if 1 < classes < n:
        return []
    found = "one class for all students" if classes <= 1 else "as many classes as students"
    hint = "the model compares classmates: give each class its own id, the same for its students"
    return [Problem(file, 0, "class_id", "classes", found, "at least two classes, with several students", hint)]


def _table(raw: RawTable, frame: pd.DataFrame) -> RolesTable:
    def numbers(name: str) -> NDArray[np.float64]:
        return frame[name].to_numpy(dtype=float)

    def flag(name: str, yes: str) -> NDArray[np.float64]:
        words = frame[name]
        # An empty cell is not known; taken for "no" it would make a group of those who did not answer.
        return np.where(words == "", np.nan, (words == yes).astype(float))

    return RolesTable(
        raw.file,
        tuple(frame["line"].tolist()),
        _roles(frame, from_questions="role" not in raw.header),
        frame["class_id"].to_numpy(dtype=object),
        numbers("relationship"),
        flag("gender", "girl"),
        numbers("age"),
        numbers("ses"),
        flag("immigrant", "yes"),
        numbers("peer_climate"),
    )


def _roles(frame: pd.DataFrame, *, from_questions: bool) -> NDArray[np.object_]:
    """The role as given, or from both questions; empty where one of them is."""
    if not from_questions:
        return frame["role"].to_numpy(dtype=object)
    answers: list[tuple[Any, Any]] = list(zip(frame["bullied_others"], frame["been_bullied"], strict=True))
    named = {
        (False, False): "uninvolved",
        (True, False): "bully",
        (False, True): "victim",
        (True, True): "bully/victim",
    }
    return np.array(
        ["" if "" in pair else named[pair[0] in _INVOLVED, pair[1] in _INVOLVED] for pair in answers], dtype=object
    )
