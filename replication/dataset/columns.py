"""Tables as columns of plain cells: what a check reads. A data frame is made of them when somebody asks for one.

Loading pandas takes longer than reading the whole dataset, and a check needs none of it: it walks through rows. So
cells stay lists (text as `str`, numbers as `float` with NaN for an empty cell, `line` as `int`) until an analysis asks.
What is chosen of a table, put together or joined is made column by column, when a column is first looked at: of the
seventy that an effect has with its sample, a check looks at thirty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cells", "Columns", "Deferred", "Frames"]

Cells = list[Any]
Made = TypeVar("Made")


class Deferred(Mapping[str, Made]):
    """What there is of each column by name, made when it is first looked at, and the same from then on."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Made]) -> None:
        self._names = dict.fromkeys(names)
        self._make = make
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
            if len(self._made) == len(self._names):
                # Everything is made: what it was made of may go, which is a second copy of many rows.
                self._make = self._made.__getitem__
        return self._made[name]

    def keep(self, name: str, made: Made) -> None:
        """Keep another one in place of what was made."""
        self._made[name] = made

    def passed_on(self, name: str) -> Made:
        """The same, not kept where it has to be made for this: for who makes another column of it and keeps that."""
        return self._make(name) if name in self._names and name not in self._made else self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # without making it, as a mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One table: the cells of each column from top to bottom, all equally many, and the names of columns of numbers.

    >>> table = Columns({"line": [2, 3], "n": [120.0, 80.0]})
    >>> len(table), table["n"], list(table.where([False, True]).records("line"))
    (2, [120.0, 80.0], [{'line': 3}])
    """

    cells: Mapping[str, Cells]
    numbers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Columns:
        """The cells of a data frame."""
        # Kept beside the cells: a column of empty cells would not tell that it holds numbers.
        numbers = frozenset(str(name) for name, kind in frame.dtypes.items() if kind.kind == "f")
        return cls({str(name): frame[name].tolist() for name in frame.columns}, numbers)

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Tables of the same columns under each other; there is at least one."""
        # One file is the whole table: nothing to copy.
        if len(parts) == 1:
            return parts[0]
        # The pieces are not kept beside the whole: of half a million rows that would be a second table.
        whole = Deferred(parts[0].cells, lambda name: list(chain.from_iterable(part.passed_on(name) for part in parts)))
        return cls(whole, parts[0].numbers)

    def __getitem__(self, name: str) -> Cells:
        return self.cells[name]

    def __contains__(self, name: object) -> bool:
        return name in self.cells

    def __len__(self) -> int:
        return len(next(iter(self.cells.values()), ()))

    def passed_on(self, name: str) -> Cells:
        """The cells of a column, not kept here where they have to be made for this."""
        return self.cells.passed_on(name) if isinstance(self.cells, Deferred) else self.cells[name]

    def where(self, keep: Iterable[object]) -> Columns:
        """The rows of which `keep` is true, in their order."""
        kept = list(map(bool, keep))
        return self if all(kept) else self._changed(_picking(kept))

    def moved(self, keep: Iterable[object]) -> Columns:
        """As `where`, but this table does not keep the columns that are made of it for the other one."""
        pick = _picking(list(map(bool, keep)))
        return Columns(Deferred(self.cells, lambda name: pick(self.passed_on(name))), self.numbers)

    def between(self, start: int, end: int) -> Columns:
        """The rows from one place to another, the end not counted."""
        return self._changed(lambda cells: cells[start:end])

    def take(self, at: Sequence[int]) -> Columns:
        """The rows at some places, in that order."""
        return self._changed(lambda cells: [cells[i] for i in at])

    def _changed(self, change: Callable[[Cells], Cells]) -> Columns:
        return Columns(Deferred(self.cells, lambda name: change(self.cells[name])), self.numbers)

    def only(self, *names: str) -> Columns:
        """Some of the columns."""
        return Columns(Deferred(names, self.cells.__getitem__), self.numbers & frozenset(names))

    def labelled(self, name: str, label: str) -> Columns:
        """The table with a column in front that says the same in every row."""
        cells = Deferred((name, *self.cells), lambda own: [label] * len(self) if own == name else self.passed_on(own))
        return Columns(cells, self.numbers)

    def with_first(self, name: str, column: Cells) -> Columns:
        """The table with a further column in front."""
        cells = Deferred((name, *self.cells), lambda own: column if own == name else self.passed_on(own))
        return Columns(cells, self.numbers)

    def of_works(self, works: Iterable[str]) -> Columns:
        """The rows of some works."""
        return self.where(map(frozenset(works).__contains__, self.cells["work"]))

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The cells of some columns, row by row."""
        return zip(*(self.cells[name] for name in names), strict=True)

    def records(self, *names: str) -> Iterator[dict[str, Any]]:
        """The cells of some columns by name, row by row; of all columns where none is named."""
        wanted = names or tuple(self.cells)
        return (dict(zip(wanted, row, strict=True)) for row in self.rows(*wanted))

    def complete(self) -> None:
        """Make every column now, so that what they are made of is let go.

        Columns that say one and the same in all rows, a fifth of those of effects, are one list.
        """
        alike: dict[str, Cells] = {}
        for name, cells in self.cells.items():
            if isinstance(self.cells, Deferred) and cells and cells.count(cells[0]) == len(cells):
                self.cells.keep(name, alike.setdefault(repr(cells[0]), cells))

    def frame(self) -> pd.DataFrame:
        """The table as a data frame: text as objects, numbers as floats, `line` as integers."""
        import numpy as np
        import pandas as pd

        # A block of memory for each kind, and the kind is said: a series a column takes five times as long.
        kinds: dict[str, list[str]] = {"object": [], "float64": [], "int64": []}
        for name in self.cells:
            kinds["int64" if name == "line" else "float64" if name in self.numbers else "object"].append(name)
        blocks = []
        for kind, names in kinds.items():
            block = np.empty((len(names), len(self)), dtype=kind)
            for at, name in enumerate(names):
                block[at] = self.passed_on(name)
            blocks.append(pd.DataFrame(block.T, columns=pd.Index(names, dtype="str"), dtype=kind, copy=False))
        # Put in order by places: columns looked up by name take ten times as long.
        place = {name: at for at, name in enumerate(chain.from_iterable(kinds.values()))}
        return pd.concat(blocks, axis=1).take([place[name] for name in self.cells], axis=1)


def _picking(kept: Sequence[bool]) -> Callable[[Cells], Cells]:
    """What picks the rows of which `kept` is true out of a column."""
    if 4 * sum(kept) < len(kept):  # a few rows are picked faster than all are passed by
        at = list(compress(range(len(kept)), kept))
        return lambda cells: [cells[i] for i in at]
    return lambda cells: list(compress(cells, kept))


@dataclass(frozen=True, slots=True, eq=False)
class Frames(Mapping[str, "pd.DataFrame"]):
    """Tables by file name; the data frame of each is made when it is first asked for, and is the same from then on."""

    columns: Mapping[str, Columns]
    _made: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._made:
            self._made[name] = self.columns[name].frame()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)
