"""Crowds of points: those that lie about together become one mark, as large as their number or what they weigh.

Called where a figure is drawn for a report. Thousands of points would hide each other, and a page that names each of
them grows without end; the data of the figure still tell every one. Nothing is computed here but where a mark stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from replication.report.figures.canvas import FigureData
from replication.report.words import Words

__all__ = ["CROWDS", "MOST_POINTS", "merged"]

CROWDS: Mapping[str, tuple[str, ...]] = {
    "orchard": ("value",),
    "countries": ("value",),
    "funnel": ("value", "se"),
    "baujat": ("x", "y"),
}
"""Kind of figure -> the columns that say where a point stands."""

MOST_POINTS = 116
"""Points that are drawn one by one, each with its name and a link to its row, and marks that stand for more of them:
with those of the key no more than 120."""

# Points are merged among those that look alike and stand in one row.
_APART = ("group", "role", "new", "imputed", "known")
# Cells an axis is cut into, from fine to coarse: the finest is taken whose marks are not too many.
_CUTS = (60, 45, 35, 28, 22, 18, 14, 11, 9, 7, 5, 4, 3, 2)


def merged(figure: FigureData, words: Words) -> FigureData:
    """The figure with a row a mark: its place the mean of its points, its `count` their number, its weight their sum.

    A figure of few points, or of none of the kinds that have crowds, comes back as it is. What is a group's own, such
    as its mean, is no point and stays.
    """
    if figure.kind not in CROWDS or len(figure) <= MOST_POINTS:
        return figure
    axes = [figure.numbers(name) for name in CROWDS[figure.kind]]
    looks = list(zip(*(figure.texts(name) for name in _APART), strict=True))
    # A point that has no place is not drawn, alone or with others.
    points = [i for i in range(len(figure)) if all(axis[i] is not None for axis in axes)]
    own = [i for i in points if looks[i][1] == "summary"]
    cells: list[list[int]] = []
    for cuts in _CUTS:
        cells = _cells([i for i in points if looks[i][1] != "summary"], axes, looks, cuts)
        if len(own) + len(cells) <= MOST_POINTS:
            break
    return _drawn(figure, words, [*([i] for i in own), *cells])


def _cells(
    points: Sequence[int], axes: Sequence[Sequence[float | None]], looks: Sequence[tuple[str, ...]], cuts: int
) -> list[list[int]]:
    """The points of each cell of a grid and each look, in the order in which they first come."""
    found: dict[tuple[object, ...], list[int]] = {}
    ends = [(min(axis[i] or 0.0 for i in points), max(axis[i] or 0.0 for i in points)) for axis in axes]
    for i in points:
        places = (
            ((axis[i] or 0.0) - low) / ((high - low) or 1.0) for axis, (low, high) in zip(axes, ends, strict=True)
        )
        found.setdefault((*looks[i], *(min(int(cuts * place), cuts - 1) for place in places)), []).append(i)
    return list(found.values())


def _drawn(figure: FigureData, words: Words, cells: Sequence[Sequence[int]]) -> FigureData:
    """The columns of the figure, a row for the points of each cell."""
    columns: dict[str, list[Any]] = {
        name: [column[cell[0]] for cell in cells] for name, column in figure.columns.items()
    }
    for name in CROWDS[figure.kind]:
        places = figure.numbers(name)
        columns[name] = [sum(places[i] or 0.0 for i in cell) / len(cell) for cell in cells]
    if "weight" in columns:
        weights = figure.numbers("weight")
        columns["weight"] = [sum(weights[i] or 0.0 for i in cell) for cell in cells]
    columns["count"] = [len(cell) for cell in cells]
    for at, cell in enumerate(cells):
        if len(cell) > 1:
            columns["label"][at] = words.say("figure.samples", k=len(cell))
            # Many rows stand behind it, and no one of them is the mark's.
            if "row" in columns:
                columns["row"][at] = ""
    return replace(figure, columns=columns)
