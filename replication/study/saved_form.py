"""The file that the form in the browser saves -> a `Submission`. Like any file of a stranger it is weighed first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from replication.dataset import Problem
from replication.dataset.problems import nearest, shown
from replication.dataset.schema import TABLES
from replication.errors import UserError
from replication.study.submission import RECORD_FIELDS, SHEETS, Rows, Submission, sheet_name

__all__ = ["FORMAT", "read_saved"]

FORMAT = "replication-study-1"
"""What the file says it is; a later form with other fields says another number."""
_LARGEST = 10_000_000


def read_saved(path: Path) -> Submission:
    """The study in a saved file of the form; row 1 of a table is its first one.

    Raises
    ------
    UserError
        when it is not such a file; a single cell that is wrong is a problem of the submission.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path.name} has more than {_LARGEST // 10**6} MB; expected a file the form has saved")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path.name} is no file of the form ({str(error)[:100]}); save it from the form again"
        ) from None
    # Any JSON file parses; only the form's own says what it is.
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(
            f'{path.name} is no file of this form (its "format" is not {FORMAT}); save it from the form again'
        )
    problems: list[Problem] = []
    record = _texts(content.get("work"), sheet_name(path.name, "work"), 0, RECORD_FIELDS, problems)
    tables = {}
    listed = content.get("tables")
    for name, rows in (listed if isinstance(listed, dict) else {}).items():
        if name not in SHEETS or not isinstance(rows, list):
            hint = nearest(name, SHEETS)
            problems.append(Problem(path.name, 0, "", "unknown-sheet", shown(name), "a table of the form", hint))
            continue
        table = SHEETS[name]
        place = sheet_name(path.name, table)
        cells = [_texts(row, place, i, TABLES[table].by_name, problems) for i, row in enumerate(rows, 1)]
        numbered = [(i, row) for i, row in enumerate(cells, 1) if any(row.values())]
        tables[table] = Rows(tuple(row for _, row in numbered), tuple(i for i, _ in numbered))
    return Submission(path.name, record, tables, tuple(problems))


def _texts(row: object, place: str, line: int, known: Mapping[str, object], problems: list[Problem]) -> dict[str, str]:
    """The cells of a row that are texts of known columns; what else is there is a problem."""
    if not isinstance(row, dict):
        problems.append(Problem(place, line, "", "not-a-row", shown(row), "fields and their text", "save it again"))
        return {}
    texts = {}
    for name, cell in row.items():
        if name not in known:
            problems.append(Problem(place, line, name, "unknown-column", shown(name), "a field", nearest(name, known)))
        elif not isinstance(cell, str):
            problems.append(Problem(place, line, name, "not-text", shown(cell), "text in quotes", "save it again"))
        else:
            texts[name] = " ".join(cell.split())
    return texts
