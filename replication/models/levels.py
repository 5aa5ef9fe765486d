"""The levels of a multilevel model: which rows share a random effect, and which levels can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Note
from replication.models.grouping import Codes, first_rows, group_codes, refines
from replication.models.literals import LevelStructure

__all__ = ["Labels", "Level", "build_levels", "factor_arrays", "merge_confounded", "unidentified"]

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
        twin = next((i for i, m in enumerate(merged) if m.size == level.size and refines(m.codes, level.codes)), None)
        if twin is None:
            merged.append(level)
            continue
        first = merged[twin]
        name = first.name if level.name == rows else f"{first.name}+{level.name}"
        merged[twin] = Level(name, first.codes, first.size, first.parts)
        message = (
            f"{first.name} and {level.name} group the rows in the same way: only the sum of their variances is "
            f"defined; it is the component {name!r}."
        )
        notes.append(Note("confounded", message))
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
