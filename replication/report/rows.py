"""Rows of a table of the dataset as pages read them: made of its columns when they are looked at, and not kept.

A record a row takes 2.3 kB, its share of the columns a fifth of that; and most pages look at the rows of one work.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, overload

from replication.dataset.columns import Columns
from replication.digests import digest_of_each, packed

__all__ = ["Rows", "plain_cell", "rows_by_work"]

_TOGETHER = 1000  # rows made at once: a column is looked up once for all of them


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rows(Sequence[Mapping[str, Any]]):
    """The rows of a `table` at some places, each a record with plain cells.

    >>> rows = Rows(Columns({"work": ["a", "b", "b"], "n": [120.0, 80.0, math.nan]}), range(1, 3))
    >>> list(rows), rows[0]["n"], rows.column("n")
    ([{'work': 'b', 'n': 80}, {'work': 'b', 'n': None}], 80, [80, None])
    """

    table: Columns
    at: Sequence[int]

    @classmethod
    def together(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of several parts of one table under each other.

        >>> table = Columns({"n": [1, 2, 3]})
        >>> Rows.together([Rows(table, range(2, 3)), Rows(table, range(2))]).column("n")
        [3, 1, 2]
        """
        table = parts[0].table if parts else Columns({})
        at = [part.at for part in parts]
        if at and all(isinstance(one, range) for one in at) and all(one[-1] + 1 == two[0] for one, two in pairwise(at)):
            return cls(table, range(at[0][0], at[-1][-1] + 1))
        return cls(table, list(chain.from_iterable(at)))

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Rows:
        if isinstance(place, slice):
            return Rows(self.table, self.at[place])
        return next(iter(Rows(self.table, [self.at[place]])))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = tuple(self.table.cells)
        return (dict(zip(names, cells, strict=True)) for cells in self.cells(names))

    def __repr__(self) -> str:
        # For whoever asks whether two are the same: they are if what they hold is.
        cells = (part for name in self.table.cells for part in (name, packed(self._raw(name))))
        return f"{len(self)} rows {digest_of_each(cells)}"

    def cells(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The cells of some columns, row by row."""
        for start in range(0, len(self.at), _TOGETHER):
            part = self[start : start + _TOGETHER]
            yield from zip(*map(part.column, names), strict=True)

    def column(self, name: str) -> list[Any]:
        """The cells of one column."""
        return _plain_cells(self._raw(name))

    def pick(self, places: Sequence[int]) -> Rows:
        """Those at some places among these."""
        return Rows(self.table, [self.at[place] for place in places])

    def _raw(self, name: str) -> list[Any]:
        if not self.at:
            return []
        column = self.table[name]
        # Rows that lie together, as those of a work do, are one slice.
        together = isinstance(self.at, range) and self.at.step == 1
        return list(column[self.at[0] : self.at[-1] + 1] if together else map(column.__getitem__, self.at))


def rows_by_work(table: Columns) -> dict[str, Rows]:
    """The rows of a table by work, in order; those of a table without works stand under one empty name."""
    if "work" not in table:
        return {"": Rows(table, range(len(table)))} if len(table) else {}
    found: dict[str, list[int]] = {}
    for place, work in enumerate(table["work"]):
        found.setdefault(work, []).append(place)
    return {work: Rows(table, _range_of(places)) for work, places in found.items()}


def _range_of(places: Sequence[int]) -> Sequence[int]:
    """The same places in no space, where they lie together as those of a work do."""
    lie_together = places[-1] - places[0] == len(places) - 1
    return range(places[0], places[-1] + 1) if lie_together else places


def plain_cell(value: object) -> Any:
    """A cell of a table as text, number or None; NaN is None."""
    if isinstance(value, str):
        return value
    if value is None or value != value:  # noqa: PLR0124 - NaN and NA differ from themselves
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value


def _plain_cells(cells: Sequence[Any]) -> list[Any]:
    # Most cells are text as they stand, and a number that stands in many rows is held once.
    known: dict[Any, Any] = {}
    return [
        cell if type(cell) is str else known[cell] if cell in known else known.setdefault(cell, plain_cell(cell))
        for cell in cells
    ]
