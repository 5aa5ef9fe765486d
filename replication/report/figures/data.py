"""A figure of an outcome, read safely: columns of equal length, numbers that may be missing, settings by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replication.report.numbers import is_number

__all__ = ["FigureData", "read_figure"]


@dataclass(frozen=True, slots=True)
class FigureData:
    """The figure as the report sees it. `note` and `title` are text of the analysis."""

    id: str
    kind: str
    title: str
    note: str
    columns: Mapping[str, Sequence[Any]]
    settings: Mapping[str, Any]

    def __len__(self) -> int:
        return min((len(column) for column in self.columns.values()), default=0)

    def numbers(self, name: str) -> list[float | None]:
        """A column as numbers; what is none becomes None."""
        column = self.columns.get(name)
        if column is None:
            return [None] * len(self)
        return [_number(cell) for cell in column]

    def texts(self, name: str) -> list[str]:
        """A column as text; an empty text where there is nothing."""
        column = self.columns.get(name)
        return [""] * len(self) if column is None else ["" if cell is None else str(cell) for cell in column]

    def flags(self, name: str) -> list[bool]:
        """A column as yes or no."""
        return [cell is True or cell in ("yes", "new", 1) for cell in self.columns.get(name, [False] * len(self))]

    def number(self, name: str) -> float | None:
        """A setting as a number."""
        return _number(self.settings.get(name))

    def text(self, name: str, default: str = "") -> str:
        """A setting as text."""
        value = self.settings.get(name)
        return default if value is None else str(value)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The figure's data row by row."""
        for number in range(len(self)):
            yield {name: column[number] for name, column in self.columns.items()}


def read_figure(figure: Mapping[str, Any]) -> FigureData:
    """A figure as stored in an outcome."""
    columns = {str(k): v for k, v in figure["columns"].items()}
    return FigureData(
        figure["id"], figure["kind"], figure["title"], figure.get("note", ""), columns, figure["settings"]
    )


def _number(cell: object) -> float | None:
    if isinstance(cell, int | float) and is_number(cell) and math.isfinite(cell):
        return float(cell)
    return None
