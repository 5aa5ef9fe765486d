"""Survey files as users have them (.sav, .dta, .rda, .csv, .parquet) -> the columns a recipe needs.

What a file leaves open is said, never settled in silence: text that is not in the declared encoding is read again as
Windows-1252 with a note, a table whose cells are separated by semicolons is read with decimal commas with a note, and
of two tables that both could be meant neither is taken.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from replication.dataset.problems import nearest, shown
from replication.errors import UserError
from replication.study.microdata.r_files import read_saved_tables

__all__ = ["OLD_ENCODING", "SurveyTable", "present_columns", "read_columns", "text_format"]

OLD_ENCODING = "windows-1252"
"""What Western files of before UTF-8 are nearly always in; it differs from Latin-1 only in marks Latin-1 lacks."""

_CLOSEST = 6
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True, eq=False)
class SurveyTable:
    """The columns asked for, a row per person, and what a reader must know about how they were read."""

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_columns(
    paths: Sequence[Path], columns: Sequence[str], join: Literal["rows", "columns"] = "rows", encoding: str = ""
) -> SurveyTable:
    """The named columns of one file, or of several put under each other (rows) or beside each other (columns).

    Column names may differ in upper and lower case from the file's. Without `encoding` the file's own is tried first.

    Raises
    ------
    UserError
        when a file cannot be read, lacks a column or can be read in two ways; the message names it.
    """
    tables = [_read(path, columns, encoding) for path in paths]
    notes = tuple(f"{path.name}: {note}" for path, table in zip(paths, tables, strict=True) for note in table.notes)
    frames = [table.frame for table in tables]
    if join == "columns":
        return SurveyTable(_beside(frames, paths, columns), notes)
    # Before joining, so that files whose columns differ in case fall together under one name.
    chosen = [_chosen(frame, columns, path) for frame, path in zip(frames, paths, strict=True)]
    return SurveyTable(pd.concat(chosen, ignore_index=True) if len(chosen) > 1 else chosen[0], notes)


def _beside(frames: Sequence[pd.DataFrame], paths: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    sizes = {len(frame) for frame in frames}
    if len(sizes) > 1:
        names = ", ".join(f"{path.name} has {len(frame)}" for path, frame in zip(paths, frames, strict=True))
        raise UserError(
            f"files that stand beside each other need the same rows, but {names}; take the same version of both"
        )
    joined = pd.concat([frame.reset_index(drop=True) for frame in frames], axis=1)
    return _chosen(joined.loc[:, ~joined.columns.duplicated()], columns, paths[0])


def _chosen(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """The columns under the recipe's names."""
    folded: dict[str, list[str]] = {}
    for name in frame.columns:
        folded.setdefault(str(name).casefold(), []).append(name)
    chosen, lacking = {}, []
    for column in columns:
        same = folded.get(column.casefold(), [])
        if column in frame.columns:
            chosen[column] = frame[column]
        elif len(same) == 1:
            chosen[column] = frame[same[0]]
        elif same:
            listed = ", ".join(str(name) for name in same)
            raise UserError(
                f"{path.name}: found columns {listed} for {column}; expected one; write it as the file does"
            )
        else:
            lacking.append(column)
    if lacking:
        hint = nearest(lacking[0], [str(name) for name in frame.columns][:2000])
        listed = ", ".join(lacking[:_CLOSEST]) + (", …" if len(lacking) > _CLOSEST else "")
        raise UserError(f"{path.name} has no column {listed} (is it the file the recipe names?): {hint}")
    return pd.DataFrame(chosen).reset_index(drop=True)


def _read(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    readers: dict[str, Callable[[Path, Sequence[str], str], SurveyTable]] = {
        ".sav": _read_spss,
        ".zsav": _read_spss,
        ".dta": _read_stata,
        ".rda": _read_r,
        ".rdata": _read_r,
        ".rds": _read_r,
        ".csv": _read_text,
        ".tsv": _read_text,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path.name}: the name should end in one of {', '.join(readers)}")
    if not path.is_file():
        raise UserError(f"no file {path}; check the path after --file")
    try:
        return reader(path, columns, encoding)
    except UserError:
        raise
    except LookupError as error:
        if encoding:
            raise UserError(f"no encoding is called {shown(encoding)}; use a name such as {OLD_ENCODING}") from error
        raise _unreadable(path, error) from error
    except Exception as error:  # each library has its own errors for a damaged file
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
    return UserError(f"{path.name} cannot be read as {path.suffix} ({reason}); download it again")


def _read_spss(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    import pyreadstat

    return _read_labelled(pyreadstat.read_sav, path, columns, encoding)


def _read_stata(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    import pyreadstat

    return _read_labelled(pyreadstat.read_dta, path, columns, encoding)


def _read_labelled(
    read: Callable[..., tuple[pd.DataFrame, object]], path: Path, columns: Sequence[str], encoding: str
) -> SurveyTable:
    """A file of SPSS or Stata, in its own encoding, else in the old one."""

    def table(encoding: str | None) -> pd.DataFrame:
        _, meta = read(str(path), metadataonly=True, encoding=encoding)
        names: Sequence[str] = meta.column_names  # type: ignore[attr-defined]
        frame, _ = read(str(path), usecols=present_columns(names, columns), encoding=encoding)
        return pd.DataFrame(frame)

    try:
        return SurveyTable(table(encoding or None))
    except Exception as error:  # the library's own class, without a kind for encodings
        if encoding or "encoding" not in str(error):
            raise
        return SurveyTable(table(OLD_ENCODING), (_read_again(),))


def _read_again() -> str:
    return f"text is not in the encoding the file declares; read as {OLD_ENCODING} (--encoding names another)"


def present_columns(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The file's own names of the wanted columns; the first ones when none is there, so that the message can help."""
    wanted = {column.casefold() for column in columns}
    return [name for name in names if name.casefold() in wanted] or list(names)[:_CLOSEST]


def _read_r(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    """The one table of an R file that has the wanted columns; where several have them, none is guessed."""
    del encoding  # R marks the encoding of every text by itself
    tables = _r_tables(path)
    if not tables:
        raise UserError(f"{path.name} holds no table")
    wanted = {column.casefold() for column in columns}
    held = [len(wanted & {str(name).casefold() for name in table.columns}) for table in tables]
    whole = [table for table, count in zip(tables, held, strict=True) if count == len(wanted)]
    if len(whole) > 1:
        sizes = " and ".join(f"{len(table)}" for table in whole)
        raise UserError(
            f"{path.name}: found {len(whole)} tables with all columns of the recipe ({sizes} rows); expected one; "
            f"save the one that is meant to a file of its own"
        )
    return SurveyTable(tables[held.index(max(held))])


def _r_tables(path: Path) -> list[pd.DataFrame]:
    """Every table of an R file: by our own reader, several times faster on long columns of text, else by rdata."""
    try:
        tables = read_saved_tables(path)
    except UserError as error:
        if "of type" not in str(error):  # a kind of vector it does not know, not a damaged file
            raise
        tables = []
    return tables or _by_rdata(path)


def _by_rdata(path: Path) -> list[pd.DataFrame]:
    """Data frames and matrices with named columns, by the package rdata."""
    import rdata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it names classes of labels it does not know; values stay
        found = rdata.read_rds(path) if path.suffix.lower() == ".rds" else rdata.read_rda(path)
    objects = list(found.values()) if isinstance(found, dict) else [found]
    matrices = [item.to_pandas() for item in objects if getattr(item, "ndim", 0) == 2 and hasattr(item, "to_pandas")]
    return [item for item in (*objects, *matrices) if isinstance(item, pd.DataFrame)]


def _read_text(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    """A table of text: its separator from the first line; semicolons go with decimal commas, and both are said."""
    kind, notes = _encoding_of(path, encoding)
    separator, decimal, first = _separator_of(path, kind)
    names = next(csv.reader([first], delimiter=separator), [])
    if separator != "," and path.suffix.lower() == ".csv":
        commas = " with decimal commas" if decimal == "," else ""
        notes = (*notes, f"cells are separated by a {_SEPARATORS[separator]}; read so{commas}")
    frame = pd.read_csv(
        path, sep=separator, decimal=decimal, encoding=kind, usecols=present_columns(names, columns), low_memory=False
    )
    return SurveyTable(frame, notes)


def text_format(path: Path) -> tuple[str, str, str]:
    """Separator, decimal mark and encoding of a table of text."""
    kind, _ = _encoding_of(path, "")
    separator, decimal, _ = _separator_of(path, kind)
    return separator, decimal, kind


def _separator_of(path: Path, encoding: str) -> tuple[str, str, str]:
    """Separator, decimal mark and the first line: semicolons go with decimal commas."""
    with path.open(encoding=encoding, newline="") as stream:
        first = stream.readline()
    # By the header line: names of columns hold no commas, answers do.
    separator = "\t" if path.suffix.lower() == ".tsv" else max(_SEPARATORS, key=first.count)
    return separator, "," if separator == ";" else ".", first


def _encoding_of(path: Path, encoding: str) -> tuple[str, tuple[str, ...]]:
    """The encoding to read a text file in: the one asked for, else UTF-8 where the whole file is, else the old one."""
    if encoding:
        return encoding, ()
    try:
        with path.open(encoding="utf-8-sig") as stream:
            while stream.read(1 << 20):
                pass
    except UnicodeDecodeError:
        # Windows-1252 would read any bytes; a NUL says that this is no text at all.
        if b"\0" in path.read_bytes()[:4096]:
            raise
        return OLD_ENCODING, (_read_again(),)
    return "utf-8-sig", ()


def _read_parquet(path: Path, columns: Sequence[str], encoding: str) -> SurveyTable:
    import polars as pl

    del encoding  # Parquet is UTF-8 by definition
    lazy = pl.scan_parquet(path)
    names = lazy.collect_schema().names()
    return SurveyTable(lazy.select(present_columns(names, columns)).collect().to_pandas())
