"""Tables as columns of plain cells: what a check reads. A data frame is made of them when somebody asks for one.

Loading pandas takes longer than reading the whole dataset, and a check needs none of it: it walks through rows. So
cells stay lists (text as `str`, numbers as `float` with NaN for an empty cell, `line` as `int`) until an analysis asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "Frames"]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One table: the cells of each column from top to bottom, all equally many, and the names of columns of numbers.

    >>> table = Columns({"line": [2, 3], "n": [120.0, 80.0]})
    >>> len(table), table["n"], list(table.where([False, True]).records("line"))
    (2, [120.0, 80.0], [{'line': 3}])
    """

    cells: Mapping[str, list[Any]]
    numbers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Columns:
        """The cells of a data frame."""
        numbers = frozenset(str(name) for name, kind in frame.dtypes.items() if kind.kind == "f")
        return cls({str(name): frame[name].tolist() for name in frame.columns}, numbers)

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Tables of the same columns under each other; there is at least one."""
        whole = {name: list(chain.from_iterable(part.cells[name] for part in parts)) for name in parts[0].cells}
        return cls(whole, parts[0].numbers)

    def __getitem__(self, name: str) -> list[Any]:
        return self.cells[name]

    def __contains__(self, name: object) -> bool:
        return name in self.cells

    def __len__(self) -> int:
        return len(next(iter(self.cells.values()), ()))

    def where(self, keep: Iterable[object]) -> Columns:
        """The rows of which `keep` is true, in their order."""
        kept = [bool(one) for one in keep]
        if all(kept):
            return self
        return Columns({name: list(compress(cells, kept)) for name, cells in self.cells.items()}, self.numbers)

    def between(self, start: int, end: int) -> Columns:
        """The rows from one place to another, the end not counted."""
        return Columns({name: cells[start:end] for name, cells in self.cells.items()}, self.numbers)

    def take(self, at: Sequence[int]) -> Columns:
        """The rows at some places, in that order."""
        return Columns({name: [cells[i] for i in at] for name, cells in self.cells.items()}, self.numbers)

    def only(self, *names: str) -> Columns:
        """Some of the columns: rows are then chosen among in a fraction of the time."""
        return Columns({name: self.cells[name] for name in names}, self.numbers & frozenset(names))

    def of_works(self, works: Iterable[str]) -> Columns:
        """The rows of some works."""
        wanted = frozenset(works)
        return self.where(work in wanted for work in self.cells["work"])

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The cells of some columns, row by row."""
        return zip(*(self.cells[name] for name in names), strict=True)

    def records(self, *names: str) -> Iterator[dict[str, Any]]:
        """The cells of some columns by name, row by row; of all columns where none is named."""
        wanted = names or tuple(self.cells)
        return (dict(zip(wanted, row, strict=True)) for row in self.rows(*wanted))

    def frame(self) -> pd.DataFrame:
        """The table as a data frame: text as objects, numbers as floats, `line` as integers."""
        import pandas as pd

        kinds = {"line": "int64", **dict.fromkeys(self.numbers, "float64")}
        # The kind of each is said: of a table without rows nothing could be told from the cells.
        series = {name: pd.Series(cells, dtype=kinds.get(name, "object")) for name, cells in self.cells.items()}
        return pd.DataFrame(series)


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
