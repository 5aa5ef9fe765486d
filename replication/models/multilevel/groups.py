"""Which rows share a random effect: labels to codes, sums within groups, and the levels of a multilevel model.

Long sums are made without BLAS: its threads cost more than they give on a few columns, the more so on a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.labels import Label
from replication.models.fit import Array, Note
from replication.models.options import LevelStructure

__all__ = [
    "Codes",
    "Labels",
    "Level",
    "Numbers",
    "build_levels",
    "factor_arrays",
    "first_rows",
    "group_codes",
    "group_sum",
    "inner",
    "merge_confounded",
    "moment_variances",
    "refines",
    "rows_by_group",
    "rows_by_size",
    "unidentified",
]

# Group numbers of rows, 0 .. m - 1; -1 where the label is missing.
Codes = NDArray[np.intp]

# Real numbers, or complex ones on the way to a complex-step derivative.
Numbers = NDArray[Any]


def group_codes(labels: ArrayLike, k: int, name: str) -> Codes:
    """Numbers `(k,)` of the groups in order of appearance; -1 where a label is missing (None or NaN).

    >>> group_codes(["b", "a", "b"], 3, "study").tolist()
    [0, 1, 0]
    """
    import pandas as pd

    values = np.asarray(labels)
    if values.dtype.kind in "US":
        values = values.astype(object)
    if values.shape != (k,):
        raise ModelError(f"{name}: expected one label for each of the {k} rows, found shape {values.shape}.")
    return np.asarray(pd.factorize(values)[0], dtype=np.intp)


def group_sum(values: Numbers, codes: Codes, size: int) -> Numbers:
    """Sums `(m,)` of `values (k,)` within groups; complex values keep their imaginary part."""
    # bincount takes real weights only, and derivatives come in by imaginary steps.
    if np.iscomplexobj(values):
        return group_sum(values.real, codes, size) + 1j * group_sum(values.imag, codes, size)
    return np.bincount(codes, weights=values, minlength=size)


def inner(a: Numbers, b: Numbers) -> Numbers:
    """Inner products `(i, j)` of the rows of `a (i, k)` with those of `b (j, k)`.

    >>> inner(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """
    return np.asarray(np.einsum("ik,jk->ij", a, b))


def first_rows(codes: Codes, size: int) -> Codes:
    """The first row `(m,)` of each group."""
    first = np.zeros(size, dtype=np.intp)
    # Written from the last row to the first, so that the first of each group is what stays.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def refines(fine: Codes, coarse: Codes) -> bool:
    """Whether every group of `fine` lies within one group of `coarse`."""
    first = first_rows(fine, int(fine.max(initial=-1)) + 1)
    return bool(np.array_equal(coarse[first][fine], coarse))


def rows_by_group(codes: Codes) -> list[Codes]:
    """Row numbers `(n,)` of each group.

    >>> [rows.tolist() for rows in rows_by_group(np.array([1, 0, 1]))]
    [[1], [0, 2]]
    """
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])


def rows_by_size(codes: Codes, limit: int = 500_000) -> list[Codes]:
    """Row numbers `(b, n)` of b groups with n rows each: all groups, cut so that `b n^2` stays near `limit`."""
    sizes = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    batches: list[Codes] = []
    for n in sorted({*sizes.tolist()} - {0}):
        groups = np.flatnonzero(sizes == n)
        index = order[starts[groups][:, None] + np.arange(n)]
        # A group of n rows becomes n x n numbers: many large ones at once would not fit.
        pieces = -(-len(groups) * n**2 // limit)
        batches += [index] if pieces == 1 else [batch for batch in np.array_split(index, pieces) if len(batch)]
    return batches


Labels = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One variance component: rows with the same code share a random effect.

    `codes (k,)` run from 0 to `size - 1`; `parts` are the label arrays `(k,)` that make up a group's name, outermost
    first.
    """

    name: str
    codes: Codes
    size: int
    parts: tuple[Labels, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each group, as `outer/inner` where the level is nested."""
        first = first_rows(self.codes, self.size)
        return tuple("/".join(map(str, row)) for row in zip(*(part[first] for part in self.parts), strict=True))


def factor_arrays(clusters: Mapping[str, ArrayLike] | ArrayLike, k: int) -> dict[str, Labels]:
    """The label arrays by name; a bare array is called `cluster`. Raises `ModelError` for a wrong length."""
    named = clusters if isinstance(clusters, Mapping) else {"cluster": clusters}
    arrays = {}
    for name, labels in named.items():
        array = np.asarray(labels)
        if array.shape != (k,):
            raise ModelError(f"{name} has shape {array.shape}; pass one label for each of the {k} effects.")
        arrays[str(name)] = array.astype(object) if array.dtype.kind in "US" else array
    return arrays


def build_levels(factors: Mapping[str, Labels], k: int, structure: LevelStructure, rows: str | None) -> list[Level]:
    """The levels, outermost first. Nested: a label counts within its parents. `rows` names the level of single rows."""
    levels: list[Level] = []
    for name, labels in factors.items():
        codes = group_codes(labels, k, name)
        parts: tuple[Labels, ...] = (labels,)
        if structure == "nested" and levels:
            # A number for every pair of parent and own label: "class 1" of two schools are two classes.
            codes = group_codes(levels[-1].codes * (int(codes.max(initial=0)) + 1) + codes, k, name)
            parts = (*levels[-1].parts, labels)
        levels.append(Level(name, codes, int(codes.max(initial=-1)) + 1, parts))
    if rows is not None and rows not in factors:
        levels.append(_single_rows(rows, levels[-1].parts if structure == "nested" and levels else (), k))
    if not levels:
        raise ModelError("no level is left: name at least one factor in clusters, or keep rows='effect'.")
    return levels


def _single_rows(name: str, outer: tuple[Labels, ...], k: int) -> Level:
    own = np.arange(k)
    return Level(name, own, k, (*outer, own))


def merge_confounded(levels: Sequence[Level], rows: str | None = None) -> tuple[tuple[Level, ...], tuple[Note, ...]]:
    """Levels that group the rows in the same way become one, with a note: only the sum of their variances is defined.

    One effect in every cluster is the usual case: the three-level model is then the two-level one. The level of
    single `rows` gives way to a level that the user named.
    """
    merged: list[Level] = []
    notes: list[Note] = []
    for level in levels:
        duplicate = next(
            (i for i, m in enumerate(merged) if m.size == level.size and refines(m.codes, level.codes)), None
        )
        if duplicate is None:
            merged.append(level)
            continue
        first = merged[duplicate]
        name = first.name if level.name == rows else f"{first.name}+{level.name}"
        merged[duplicate] = Level(name, first.codes, first.size, first.parts)
        message = (
            f"{first.name} and {level.name} group the rows in the same way: only the sum of their variances is "
            f"defined; it is the component {name!r}."
        )
        told = {"first": first.name, "second": level.name, "component": name}
        notes.append(Note("confounded", message, label=Label("note_same_groups", told)))
    return tuple(merged), tuple(notes)


def unidentified(level: Level, basis: Array) -> bool:
    """Whether the coefficients take up the whole level (a single cluster, say), so that its variance has no estimate.

    `basis (k, p)` are orthonormal columns of the design.
    """
    if level.size > basis.shape[1]:
        return False
    Z = np.equal.outer(level.codes, np.arange(level.size)).astype(float)
    rest = Z - basis @ (basis.T @ Z)
    return bool((np.square(rest).sum(0) <= 1e-16 * np.square(Z).sum(0)).all())


def moment_variances(residual: Array, v: Array, levels: Sequence[Level]) -> Array:
    """Variances `(q,)` of all levels by moments, in O(k) steps: they may be below 0, and serve as a start.

    Sums of squares of `residual (k,)` within the groups of every level, and in all, are set equal to what they are
    expected to be beside sampling variances `v (k,)`, as Gao & Owen (2017, Electronic Journal of Statistics 11:1235)
    do for crossed effects.
    """
    k = len(residual)
    groupings = [level.codes for level in levels if level.size < k] + [np.zeros(k, dtype=np.intp)]
    expected, found = np.empty((len(groupings), len(levels))), np.empty(len(groupings))
    for i, codes in enumerate(groupings):
        size = np.bincount(codes)
        means = np.bincount(codes, weights=residual) / size
        found[i] = np.square(residual - means[codes]).sum() - (v * (1.0 - 1.0 / size[codes])).sum()
        for j, level in enumerate(levels):
            # How many rows two groups share, counted without a table of groups by groups.
            pairs, shared = np.unique(codes * level.size + level.codes, return_counts=True)
            expected[i, j] = k - (shared**2.0 / size[pairs // level.size]).sum()
    return np.asarray(np.linalg.lstsq(expected, found, rcond=None)[0])
