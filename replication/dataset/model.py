"""The dataset as an analysis sees it: frozen tables, records and a digest. Nothing here reads files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from replication.dataset.cells import VERSION
from replication.dataset.columns import Columns, Frames
from replication.dataset.conceptual_records import ConceptualRecord
from replication.dataset.problems import Problem, nearest
from replication.dataset.recipes import Recipe
from replication.dataset.records import (
    Article,
    Correction,
    Explanation,
    PacketFile,
    RecordedAnswer,
    Reference,
    Statement,
    Trap,
    Work,
)
from replication.dataset.row_versions import version_numbers
from replication.dataset.schema import TABLES, Vocabulary
from replication.dataset.successors import Successors
from replication.digests import digest_of
from replication.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "kept_with"]

Record = TypeVar("Record")
Made = TypeVar("Made")
Others = ParamSpec("Others")


class _Keeping(Protocol):
    @property
    def kept(self) -> dict[Any, Any]: ...


First = TypeVar("First", bound=_Keeping)


def kept_with(function: Callable[Concatenate[First, Others], Made]) -> Callable[Concatenate[First, Others], Made]:
    """What a function makes of its first argument is kept with that, and goes when it goes.

    A cache of the function's own would hold the rows of one analysis while the next has others.
    """

    @wraps(function)
    def known(first: First, /, *others: Others.args, **named: Others.kwargs) -> Made:
        place = (function, others, *named.items())
        if place not in first.kept:
            first.kept[place] = function(first, *others, **named)
        made: Made = first.kept[place]
        return made

    return known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Everything under `data/references`, checked.

    Tables are handed out as copies (copy-on-write, so they cost nothing): changing one changes no dataset. Every table
    has a `work` column; `effects` carries the columns of its sample too (`unit`, `country`, `ses`, ...). Rows that were
    withdrawn or replaced are in `withdrawn`; only `as_of` brings them back. `notes` are those of the works, by key,
    `common_notes` those about several of them, by the name of their file.
    """

    version: str
    digest: str
    vocabulary: Vocabulary
    works: Mapping[str, Work]
    references: Mapping[str, Reference]
    article: Article | None
    statements: tuple[Statement, ...]
    corrections: tuple[Correction, ...]
    explanations: tuple[Explanation, ...]
    traps: tuple[Trap, ...]
    notes: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()
    recipes: Mapping[str, tuple[Recipe, ...]] = field(default_factory=dict)
    answers: Mapping[str, tuple[RecordedAnswer, ...]] = field(default_factory=dict)
    conceptual: Mapping[str, tuple[ConceptualRecord, ...]] = field(default_factory=dict)
    packets: Mapping[str, PacketFile] = field(default_factory=dict)
    common_notes: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame]
    withdrawn: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    kept: dict[Any, Any] = field(default_factory=dict, init=False)
    """What was made of it and is asked for again; see `kept_with`."""

    def __repr__(self) -> str:
        return f"Dataset(version={self.version!r}, digest={self.digest[:12]!r}, {len(self.works)} works)"

    def table(self, name: str) -> pd.DataFrame:
        """One table by file name, e.g. "claims.csv"."""
        # Shallow is enough: pandas copies on write.
        return self.tables[name].copy(deep=False)

    def columns(self, name: str, *, withdrawn: bool = False) -> Columns:
        """One table as columns of plain cells, for who walks through rows; empty where nothing was withdrawn."""
        tables = self.withdrawn if withdrawn else self.tables
        if isinstance(tables, Frames):
            return tables.columns[name]
        return Columns.of(tables[name] if name in tables else self.tables[name].iloc[:0])

    def complete(self) -> None:
        """Make the columns of every table now; the text of the files, which they are made of, is let go then."""
        for tables in (self.tables, self.withdrawn):
            for table in tables.columns.values() if isinstance(tables, Frames) else ():
                table.complete()

    @property
    def effects(self) -> pd.DataFrame:
        """All effect rows with the columns of their sample."""
        return self.table("effects.csv")

    @property
    def samples(self) -> pd.DataFrame:
        """All samples."""
        return self.table("samples.csv")

    @property
    def claims(self) -> pd.DataFrame:
        """All printed numbers."""
        return self.table("claims.csv")

    @property
    def measures(self) -> pd.DataFrame:
        """What the measure codes stand for."""
        return self.table("measures.csv")

    @property
    def directions(self) -> pd.DataFrame:
        """The direction-only rows."""
        return self.table("directions.csv")

    def work(self, key: str) -> Work:
        """One work by key."""
        if key not in self.works:
            raise DataError(f'no work "{key}" in the dataset; its folder would be data/references/{key}')
        return self.works[key]

    def cited(self) -> tuple[str, ...]:
        """The keys of the works the article lists, in the order of its list."""
        return tuple(key for key in self.references if key in self.works and self.works[key].role == "cited")

    def living(self, table: str, row: str) -> str | None:
        """The id that stands for a row in this version: its own, its successor's, or of whom it took the place.

        Parameters
        ----------
        table : a table whose rows have one id, e.g. "claims.csv".
        row : an id of any version. None comes back where nothing stands for it here.
        """
        # The last part of an id names the row; those before it say where it belongs.
        column = TABLES[table].id[-1]
        known = Successors.of(self.columns(table, withdrawn=True), column)
        return known.living(row, set(self.tables[table][column]))

    def without(self, *works: str) -> Dataset:
        """The dataset as if these works had never been added.

        Raises
        ------
        DataError
            when one of them is not in it.
        """
        for key in works:
            self.work(key)
        tables = {
            name: _rows(table, ~table["work"].isin(works)) for name, table in self.tables.items() if "work" in table
        }
        kept = self.works.keys() - set(works)
        return self._with({**self.tables, **tables}, kept, f"without {' '.join(sorted(works))}")

    def as_of(self, version: str) -> Dataset:
        """The dataset as it stood at a version: rows that had entered by then and had not been withdrawn.

        Raises
        ------
        DataError
            when no row had entered by then, or the version is still to come.
        """
        at = _numbers(version)
        if at > _numbers(self.version):
            raise DataError(f"there is no version {version} yet; today the dataset is {self.version}")
        tables = {}
        for name, live in self.tables.items():
            gone = self.withdrawn.get(name)
            # In the files' order: sums of floats depend on it in their last digits.
            rows = live if gone is None or gone.empty else _as_in_the_files(_together(live, gone))
            tables[name] = _rows(rows, _counts_at(rows, at))
        if all(table.empty for table in tables.values()):
            raise DataError(f"no row had entered the dataset by version {version}; today it is {self.version}")
        kept = {key for key, work in self.works.items() if _numbers(work.since) <= at}
        return replace(self._with(tables, kept, f"as of {version}"), version=version)

    def as_published(self, work: str) -> Dataset:
        """The dataset with the effects alone that a published analysis used, by the column `used_in`.

        Raises
        ------
        DataError
            when no row names that work.
        """
        used = [cell.split(";") for cell in self.tables["effects.csv"]["used_in"]]
        known = sorted({name for names in used for name in names if name})
        if work not in known:
            raise DataError(f'no row of the dataset was used in "{work}": {nearest(work, known)}')
        effects = _rows(self.tables["effects.csv"], [work in names for names in used])
        return self._with({**self.tables, "effects.csv": effects}, self.works.keys(), f"as published in {work}")

    def with_effects(self, ids: Collection[str], further: pd.DataFrame | None = None) -> Dataset:
        """The dataset with some of its effects only, and with further rows of the same form (withdrawn ones)."""
        effects = self.tables["effects.csv"]
        kept = _rows(effects, effects["effect_id"].isin(list(ids)))
        if further is not None and len(further):
            kept = _together(kept, further)
        # Sorted: the same rows in another order are the same dataset.
        name = f"effects {digest_of(*sorted(kept['effect_id']))}"
        return self._with({**self.tables, "effects.csv": kept}, self.works.keys(), name)

    def _with(self, tables: Mapping[str, pd.DataFrame], works: Collection[str], name: str) -> Dataset:
        """This dataset with other rows and only these works; its digest says how it came about."""
        return replace(
            self,
            digest=digest_of(self.digest, name),
            works=_only(self.works, works),
            references=_only(self.references, works),
            notes=_only(self.notes, works),
            recipes=_only(self.recipes, works),
            conceptual=_only(self.conceptual, works),
            packets=_only(self.packets, works),
            answers=_only(self.answers, works),
            tables=MappingProxyType(dict(tables)),
        )


def _only(records: Mapping[str, Record], keys: Collection[str]) -> Mapping[str, Record]:
    return MappingProxyType({key: record for key, record in records.items() if key in keys})


def _as_in_the_files(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of their files, so that an earlier version comes out as it did then, to the last digit."""
    files = ["work", "line"] if rows["work"].ne("").any() and "screen" not in rows else ["line"]
    return rows.sort_values(files, kind="stable", ignore_index=True)


def _together(*tables: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd  # here, as a dataset that is only checked makes no data frame

    return pd.concat(tables, ignore_index=True)


def _rows(table: pd.DataFrame, keep: pd.Series[bool] | list[bool]) -> pd.DataFrame:
    return table[keep].reset_index(drop=True)


def _counts_at(rows: pd.DataFrame, at: tuple[int, ...]) -> pd.Series[bool]:
    """Whether each row had entered by a version and not yet been withdrawn."""
    entered = rows["since"].map({text: _numbers(text) <= at for text in rows["since"].unique()})
    if "until" not in rows:
        return entered.astype(bool)
    left = rows["until"].map({text: bool(text) and _numbers(text) <= at for text in rows["until"].unique()})
    return entered.astype(bool) & ~left.astype(bool)


def _numbers(version: str) -> tuple[int, ...]:
    if not VERSION.fullmatch(version):
        raise DataError(f'"{version[:40]}" is not a version; write it as 1.0.0')
    return version_numbers(version)
