"""From a formula and a data frame to effects, variances and a named design, with every row accounted for.

Called by `frames.models`. Rows keep their place: what is missing becomes NaN in arrays of the length of the data
frame, so that every message of the models counts rows as the reader of the data frame does (from 0).
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError

if TYPE_CHECKING:
    from formulaic import Formula, ModelMatrix, ModelSpec

__all__ = [
    "INTERCEPT",
    "Column",
    "Design",
    "Dropped",
    "column",
    "make_design",
    "nearest",
    "new_rows",
    "number_column",
    "require_frame",
]

# A column of the data by name, or values for its rows.
Column = str | ArrayLike

# Formulaic writes `Intercept`; the models and their tests call it this.
INTERCEPT = "intercept"

# Escape sequences with which formulaic colours the place of a syntax error.
_COLOURS = re.compile(r"[⧛\x1b]\[[0-9;]*m|⧛|⧚")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that could not be used: its position (from 0), its label, and the columns without a value."""

    row: int
    label: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The n rows of `frame` as a model needs them: `y (n,)`, whole design `x (n, p)` with `names`, `labels`.

    `y` and `x` are NaN in rows that are `dropped`; `terms` says which columns belong to a term of the formula.
    """

    formula: str
    response: str
    frame: pd.DataFrame
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    terms: Mapping[str, tuple[int, ...]]
    coded: ModelSpec | None

    @property
    def spec(self) -> ModelSpec:
        """What rebuilds the design for new rows; columns of plain numbers leave nothing to remember."""
        rhs = _parts(self.formula)[1]
        return self.coded or _coded(rhs, self.frame.iloc[np.flatnonzero(~np.isnan(self.x).any(axis=1))]).model_spec

    @property
    def has_intercept(self) -> bool:
        """Whether a column of ones is in the model."""
        return INTERCEPT in self.names


def make_design(
    formula: str, data: pd.DataFrame, *, needed: Mapping[str, Column] | None = None, labels: Column | None = None
) -> Design:
    """The design that `formula` (such as `"yi ~ age + C(country)"`) asks of `data`.

    Parameters
    ----------
    formula : effect, then moderators; `"yi ~ 1"` or `"yi"` for a mean, `"yi ~ 0 + group"` without intercept
    data : one row per effect
    needed : further columns a row must have (variances, clusters), by the name used in messages
    labels : column with a label per row; by default the index where it is not just 0, 1, 2, ...

    Raises
    ------
    ModelError
        For a column that is not there (the nearest one is named), a formula that cannot be read, or no row left.
    """
    response, rhs = _parts(formula)
    y = number_column(data, response, "formula")
    missing = _without_values(rhs, data, {response: np.isnan(y)}, needed or {})
    lost = np.any(list(missing.values()), axis=0)
    # Before the design is made: formulaic's error on an empty frame would not say why it is empty.
    if len(data) == 0 or lost.all():
        raise ModelError(
            f"no row is left: of {len(data)} rows every one lacks a value in {', '.join(missing)}; "
            "pass at least one whole row."
        )
    names = _labels(data, labels)
    kept = np.flatnonzero(~lost)
    rows = data.iloc[kept] if len(kept) < len(data) else data
    made = _plain_numbers(rhs, rows) or _by_formulaic(rhs, rows)
    # At full length: row numbers in messages are then those of the data frame.
    x = np.full((len(data), made.x.shape[1]), np.nan)
    x[kept] = made.x
    # A transformation may be undefined where the column is not, as the log of 0 is.
    undefined = ~lost & np.isnan(x).any(axis=1)
    missing[f"a number for {rhs}"] = undefined
    lost |= undefined
    dropped = tuple(
        Dropped(int(i), names[i], tuple(name for name, gone in missing.items() if gone[i]))
        for i in np.flatnonzero(lost)
    )
    y = np.where(lost, np.nan, y)
    return Design(formula, response, data, y, x, made.names, names, dropped, made.terms, made.coded)


def _without_values(
    rhs: str, data: pd.DataFrame, response: Mapping[str, NDArray[np.bool_]], needed: Mapping[str, Column]
) -> dict[str, NDArray[np.bool_]]:
    """Which rows lack each column that the model needs, by the name a message gives it."""
    used = _variables(rhs, data)
    for name in used:
        _refuse_numbers_as_text(rhs, name, data[name])
    # By name, so that a row that is left out is told which of its cells was empty.
    missing = {name: _missing(data[name]) for name in used} | dict(response)
    for name, values in needed.items():
        label = values if isinstance(values, str) else name
        missing[label] = _missing(pd.Series(column(data, values, name)))
    return missing


def new_rows(design: Design, data: pd.DataFrame) -> NDArray[np.float64]:
    """Design rows `(n, p)` of new data, coded as the data of the fit were (levels, splines, scales).

    Raises `ModelError` for columns that are missing and levels the fit has never seen.
    """
    for name in sorted(map(str, design.spec.required_variables)):
        _known_levels(design, name, column(data, name, "newdata"))
    with warnings.catch_warnings():
        # formulaic only warns of levels it does not know and codes them as the reference: a wrong prediction.
        warnings.simplefilter("error")
        try:
            matrix = design.spec.get_model_matrix(_plain_columns(data), na_action="ignore")
        except Warning as problem:
            raise ModelError(f"newdata: {_plain(problem)}; use levels that the fit has seen.") from None
        except Exception as problem:  # formulaic raises its own and whatever a user's function raises
            raise ModelError(f"newdata does not go with {design.formula!r}: {_plain(problem)}") from None
    x = np.asarray(matrix, dtype=float)
    endless = np.flatnonzero(np.isinf(x).any(axis=1))
    if len(endless):
        raise ModelError(f"newdata, row {int(endless[0])}: a moderator is infinite; pass numbers.")
    return x


def column(data: pd.DataFrame, values: Column, argument: str) -> Any:
    """The values `(n,)` of a column by its name, or the values passed, checked for their length.

    Raises `ModelError` that names the argument and the nearest column.

    >>> column(pd.DataFrame({"vi": [0.1]}), "v", "v")
    Traceback (most recent call last):
    ...
    replication.errors.ModelError: v: no column 'v'; did you mean 'vi'? The data have vi.
    """
    require_frame(data)
    if isinstance(values, str):
        if values not in data.columns:
            raise ModelError(f"{argument}: no column {values!r}{nearest(values, map(str, data.columns))}")
        if not isinstance(data[values], pd.Series):
            raise ModelError(f"{argument}: {data[values].shape[1]} columns are called {values!r}; rename all but one.")
        return data[values]
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != len(data):
        raise ModelError(
            f"{argument} has {array.size} values but the data {len(data)} rows; pass one per row, or a column's name."
        )
    return array


def require_frame(data: object, argument: str = "data") -> None:
    """Raise a `ModelError` for anything but a pandas data frame, with what to pass.

    Frames of other libraries look alike, but have no index and other words for what is missing.
    """
    if isinstance(data, pd.DataFrame):
        return
    how = "its to_pandas()" if hasattr(data, "to_pandas") else "a pandas data frame with one row per effect"
    kind = f"{type(data).__module__.partition('.')[0]} {type(data).__name__}".removeprefix("builtins ")
    raise ModelError(f"{argument} is a {kind}; pass {how}.")


def number_column(data: pd.DataFrame, values: Column, argument: str, *, finite: bool = False) -> NDArray[np.float64]:
    """The values `(n,)` of a column, or those passed, as floats with NaN where there is none.

    Raises `ModelError` that names the column and the row of what is no number, or (`finite`) is infinite.

    >>> number_column(pd.DataFrame({"vi": [0.1, "n/a"]}), "vi", "v")
    Traceback (most recent call last):
    ...
    replication.errors.ModelError: column 'vi', row 1: 'n/a' is not a number; correct it.
    """
    name = values if isinstance(values, str) else argument
    found = _numbers(column(data, values, argument), name)
    if finite and np.isinf(found).any():
        row = int(np.flatnonzero(np.isinf(found))[0])
        raise ModelError(f"column {name!r}, row {row}: infinite; correct it, or leave the cell empty.")
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, and all of them (the first 20)."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    rest = f" and {len(words) - 20} more" if len(words) > 20 else ""
    return f"{hint} The data have {', '.join(words[:20])}{rest}."


def _known_levels(design: Design, name: str, values: pd.Series[Any]) -> None:
    """Raise a `ModelError` for a level of a category that the fit has not seen; formulaic would make it a reference."""
    if pd.api.types.is_numeric_dtype(values):
        return
    if pd.api.types.is_numeric_dtype(design.frame[name]):
        _numbers(values, name)  # names the row of what is no number
        return
    kept = ~np.isnan(design.y)
    seen = {str(value) for value in design.frame[name][kept].unique()}
    new = sorted({str(value) for value in values.dropna()} - seen)
    if new:
        raise ModelError(
            f"newdata: {name} {new[0]!r} is not in the data of the fit, which have {', '.join(sorted(seen))}."
        )


def _parts(formula: str) -> tuple[str, str]:
    """Response and right-hand side; the right-hand side is an intercept where nothing is said."""
    if not isinstance(formula, str):
        raise ModelError(
            f"formula is a {type(formula).__name__}; write 'yi ~ age', or use replication.models.fit_random_effects "
            "for arrays."
        )
    left, tilde, right = formula.partition("~")
    # "~ age" is short for the column that effect_sizes makes.
    response = left.strip() or "yi"
    if "~" in right:
        raise ModelError(f"formula {formula!r} has two ~; write 'yi ~ age + C(country)'.")
    return response, right.strip() if tilde and right.strip() else "1"


@lru_cache(maxsize=256)
def _parsed(rhs: str) -> Formula:
    """The parsed right-hand side; parsing is half the time of a small model, and people fit a formula many times."""
    from formulaic import Formula
    from formulaic.errors import FormulaSyntaxError

    try:
        return Formula(rhs)
    except FormulaSyntaxError as problem:
        raise ModelError(f"formula: {rhs!r} cannot be read: {_plain(problem)}") from None


def _variables(rhs: str, data: pd.DataFrame) -> Sequence[str]:
    """The columns a right-hand side uses, in the order of the data."""
    wanted = {str(name) for name in _parsed(rhs).required_variables}
    # Checked here, where the nearest column can be named; formulaic's own message cannot.
    for name in sorted(wanted):
        column(data, name, "formula")
    return [str(name) for name in data.columns if str(name) in wanted]


def _refuse_numbers_as_text(rhs: str, name: str, values: pd.Series[Any]) -> None:
    """Raise a `ModelError` for a column of numbers that was read as text, unless the formula calls it a category.

    One cell such as 'n/a' makes a whole column text, and each of its numbers a category of its own, without a word.
    """
    if pd.api.types.is_numeric_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return
    # C(age) and C(age, Treatment(...)) say that the values are names.
    if re.search(rf"\bC\(\s*{re.escape(name)}\s*[,)]", rhs):
        return
    # As objects: of Arrow's texts `to_numeric` makes no numbers and no gaps.
    read, there = pd.to_numeric(values.astype(object), errors="coerce"), values.notna()
    if read.notna().sum() <= 0.5 * there.sum():
        return
    bad = np.flatnonzero(read.isna() & there)
    where = f"row {int(bad[0])}: {values.iloc[int(bad[0])]!r} is not a number" if len(bad) else "numbers held as text"
    raise ModelError(
        f"column {name!r}, {where}, so every value would be a category; correct it (pd.to_numeric), or write C({name})."
    )


class _Columns(NamedTuple):
    """The columns `x (n, p)` of a right-hand side, their names and terms, and how new rows are coded, if they are."""

    x: NDArray[np.float64]
    names: tuple[str, ...]
    terms: dict[str, tuple[int, ...]]
    coded: ModelSpec | None


def _by_formulaic(rhs: str, data: pd.DataFrame) -> _Columns:
    made = _coded(rhs, data)
    spec = made.model_spec
    names = tuple(INTERCEPT if name == "Intercept" else str(name) for name in spec.column_names)
    terms = {_term_name(term): tuple(int(i) for i in at) for term, at in spec.term_indices.items()}
    return _Columns(np.asarray(made, dtype=float), names, terms, spec)


def _term_name(term: object) -> str:
    return INTERCEPT if str(term) == "1" else str(term)


def _plain_numbers(rhs: str, data: pd.DataFrame) -> _Columns | None:
    """The columns of a design of plain numbers and their products; None where formulaic has something to code.

    Formulaic takes a millisecond for what is one line here, and most meta-regressions are of this kind.
    """
    terms = _parsed(rhs)
    x = np.ones((len(data), len(terms)))
    for at, term in enumerate(terms):
        for factor in term.factors:
            if factor.eval_method.value == "lookup" and factor.expr in data.columns:
                values = data[factor.expr]
                if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "fiu":
                    return None
                x[:, at] *= values.to_numpy()
            elif factor.expr != "1":
                return None
    names = tuple(map(_term_name, terms))
    return _Columns(x, names, {name: (at,) for at, name in enumerate(names)}, None)


def _coded(rhs: str, data: pd.DataFrame) -> ModelMatrix:
    """Formulaic's model matrix of `data`, which holds the coding for new rows."""
    # A level that no kept row has would give a column of zeros.
    unused = {
        str(name): data.iloc[:, i].cat.remove_unused_categories()
        for i, (name, dtype) in enumerate(zip(data.columns, data.dtypes.tolist(), strict=True))
        if isinstance(dtype, pd.CategoricalDtype)
    }
    data = data.assign(**unused) if unused else data  # `assign` copies the frame, which costs as much as a mean
    try:
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # log of a negative number: the row is dropped and listed
            return _parsed(rhs).get_model_matrix(_plain_columns(data), na_action="ignore")
    except Exception as problem:  # formulaic raises its own and whatever a user's function raises
        raise ModelError(f"formula: {rhs!r} cannot be computed: {_plain(problem)}") from None


def _plain_columns(data: pd.DataFrame) -> pd.DataFrame:
    """The data as formulaic reads them: it takes nullable and Arrow's columns of text for columns of numbers."""
    texts = {
        str(name): data.iloc[:, i].astype(object)
        for i, (name, dtype) in enumerate(zip(data.columns, data.dtypes.tolist(), strict=True))
        if isinstance(dtype, pd.ArrowDtype | pd.StringDtype)
        and pd.api.types.is_string_dtype(dtype)
        and dtype.na_value is pd.NA
    }
    return data.assign(**texts) if texts else data


def _labels(data: pd.DataFrame, labels: Column | None) -> tuple[str, ...]:
    if labels is not None:
        return tuple(str(value) for value in column(data, labels, "labels"))
    # 0, 1, 2 as labels would read like effects in a table: they become "row 0".
    if isinstance(data.index, pd.RangeIndex):
        return tuple(f"row {i}" for i in range(len(data)))
    return tuple(" ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in data.index)


def _missing(values: pd.Series[Any]) -> NDArray[np.bool_]:
    return np.asarray(values.isna(), dtype=bool)


def _numbers(values: object, name: str) -> NDArray[np.float64]:
    """A column as floats; a cell with text, or a number longer than any float, is named by its row."""
    series = pd.Series(values)
    try:
        if not pd.api.types.is_numeric_dtype(series):
            read = pd.to_numeric(series.astype(object), errors="coerce")
            bad = np.flatnonzero(read.isna() & series.notna())
            if len(bad):
                row = int(bad[0])
                raise ModelError(f"column {name!r}, row {row}: {series.iloc[row]!r} is not a number; correct it.")
            series = read
        return series.to_numpy(dtype=float, na_value=np.nan)
    except OverflowError:  # Python's whole numbers have no end
        row = next(i for i, cell in enumerate(series) if isinstance(cell, int) and abs(cell) > sys.float_info.max)
        found = f"a number of {len(str(series.iloc[row]))} digits"
        raise ModelError(f"column {name!r}, row {row}: {found}; correct it.") from None


def _plain(problem: BaseException) -> str:
    """A message of formulaic in one line without colours."""
    return " ".join(_COLOURS.sub("", str(problem)).split())
