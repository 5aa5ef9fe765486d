"""Text as TOML writes it."""

from __future__ import annotations

__all__ = ["quoted"]


def quoted(text: str) -> str:
    """A string in quotes, with what TOML reads otherwise escaped.

    >>> quoted('a "word"')
    '"a \\\\"word\\\\""'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
