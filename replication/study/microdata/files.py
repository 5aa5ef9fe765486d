"""Survey files as users have them (.sav, .dta, .rda, .csv) -> the columns a recipe needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from replication.dataset.problems import nearest, shown
from replication.errors import UserError
from replication.study.microdata.rdata import read_saved_tables

__all__ = ["read_columns"]

_CLOSEST = 6
_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}


def read_columns(paths: Sequence[Path], columns: Sequence[str], join: Literal["rows", "columns"]) -> pd.DataFrame:
    """The named columns of one file, or of several put under each other (rows) or beside each other (columns).

    Column names may differ in upper and lower case from the file's.

    Raises
    ------
    UserError
        when a file cannot be read or lacks a column; the message names both.
    """
    frames = [_read(path, columns) for path in paths]
    if join == "columns":
        return _beside(frames, paths, columns)
    return pd.concat(
        [_chosen(frame, columns, path) for frame, path in zip(frames, paths, strict=True)], ignore_index=True
    )


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
        else:
            lacking.append(column)
    if lacking:
        hint = nearest(lacking[0], [str(name) for name in frame.columns][:2000])
        listed = ", ".join(lacking[:_CLOSEST]) + (", …" if len(lacking) > _CLOSEST else "")
        raise UserError(f"{path.name} has no column {listed} (is it the file the recipe names?): {hint}")
    return pd.DataFrame(chosen).reset_index(drop=True)


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    readers: dict[str, Callable[[Path, Sequence[str]], pd.DataFrame]] = {
        ".sav": _read_spss,
        ".zsav": _read_spss,
        ".dta": _read_stata,
        ".rda": _read_r,
        ".rdata": _read_r,
        ".rds": _read_r,
        ".csv": _read_text,
        ".tsv": _read_text,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path.name}: the name should end in one of {', '.join(readers)}")
    if not path.is_file():
        raise UserError(f"no file {path}; check the path after --file")
    try:
        return reader(path, columns)
    except UserError:
        raise
    except Exception as error:  # each library has its own errors for a damaged file
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise UserError(f"{path.name} cannot be read as {path.suffix} ({reason}); download it again") from error


def _read_spss(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pyreadstat

    _, meta = pyreadstat.read_sav(str(path), metadataonly=True)
    frame, _ = pyreadstat.read_sav(str(path), usecols=_present(meta.column_names, columns))
    return pd.DataFrame(frame)


def _read_stata(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pyreadstat

    _, meta = pyreadstat.read_dta(str(path), metadataonly=True)
    frame, _ = pyreadstat.read_dta(str(path), usecols=_present(meta.column_names, columns))
    return pd.DataFrame(frame)


def _present(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The file's own names of the wanted columns; the first ones when none is there, so that the message can help."""
    wanted = {column.casefold() for column in columns}
    return [name for name in names if name.casefold() in wanted] or list(names)[:_CLOSEST]


def _read_r(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The table of the file that has most of the wanted columns."""
    import pyreadr

    wanted = {column.casefold() for column in columns}
    try:
        tables = [frame for frame in pyreadr.read_r(str(path)).values() if isinstance(frame, pd.DataFrame)]
    except UnicodeDecodeError:
        tables = read_saved_tables(path)
    if not tables:
        raise UserError(f"{path.name} holds no table")
    best: pd.DataFrame = max(tables, key=lambda t: len(wanted & {str(name).casefold() for name in t.columns}))
    return best


def _read_text(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    names = [str(name) for name in pd.read_csv(path, sep=separator, nrows=0).columns]
    if len(names) == 1:
        _refuse_separator(path, names[0], separator)
    return pd.read_csv(path, sep=separator, usecols=_present(names, columns), low_memory=False)


def _refuse_separator(path: Path, first: str, separator: str) -> None:
    """A first line that is one cell with another mark in it is separated by that mark."""
    for mark, name in _SEPARATORS.items():
        if mark != separator and mark in first:
            raise UserError(
                f"{path.name} looks {name}-separated: found {shown(first)} as its only column; expected "
                f"{_SEPARATORS[separator]}-separated columns; save it so (in a spreadsheet: CSV UTF-8, comma delimited)"
            )
