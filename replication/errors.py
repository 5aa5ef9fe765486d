"""Errors a user can act on: shown as one line without a traceback, and they always say what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from replication.labels import Label

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["DataError", "ModelError", "UserError", "first_fault", "list_rows"]


class UserError(Exception):
    """Something the user can mend. The message says what was found, what was expected and what to do."""


class DataError(UserError):
    """The dataset cannot be used as it is; every problem found travels along in `problems`."""

    def __init__(self, message: str, problems: tuple[object, ...] = ()) -> None:
        # The message alone goes to Exception, so that str(error) is what a user reads.
        super().__init__(message)
        self.problems = problems


class ModelError(UserError):
    """A model cannot be fitted to these numbers. `partial` holds what was computed before it stopped, if anything.

    `text` is what a report shows, which words it in its language: a label, or the English message where there is none.
    """

    def __init__(self, message: str, partial: object | None = None, *, label: Label | None = None) -> None:
        super().__init__(message)
        self.partial = partial
        self.text = label or message


def first_fault(file: str, error: ValidationError) -> str:
    """The first place where a file of settings does not fit its model, as a line for who has to mend it."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{file}, {place}: {first['msg']}; found {first['input']!r}. Mend the file."


def list_rows(rows: Sequence[int], most: int = 10) -> str:
    """Rows for a message, counted from 0; long lists are cut with their number.

    >>> list_rows([3, 5, 9])
    'rows 3, 5 and 9'
    """
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > most:
        return f"rows {', '.join(map(str, rows[:most]))} and {len(rows) - most} more"
    return f"rows {', '.join(map(str, rows[:-1]))} and {rows[-1]}"
