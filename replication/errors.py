"""Errors a user can act on: shown as one line without a traceback, and they always say what to do next."""

from __future__ import annotations

__all__ = ["DataError", "ModelError", "UserError"]


class UserError(Exception):
    """Something the user can mend. The message says what was found, what was expected and what to do."""


class DataError(UserError):
    """The dataset cannot be used as it is; every problem found travels along in `problems`."""

    def __init__(self, message: str, problems: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ModelError(UserError):
    """A model cannot be fitted to these numbers. `partial` holds what was computed before it stopped, if anything."""

    def __init__(self, message: str, partial: object | None = None) -> None:
        super().__init__(message)
        self.partial = partial
