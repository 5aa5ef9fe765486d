"""The specification curve: many specifications sorted by their value, and below them what each of them chose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from replication.report.figures.canvas import Canvas, Frame, Scale, extent, linear, shorten
from replication.report.figures.data import FigureData

__all__ = ["specification_curve"]

_DRAWN = ("value", "low", "high", "row")
_TALL, _LINE = 180.0, 15.0
_STEPS = 6


def specification_curve(figure: FigureData, frame: Frame) -> Canvas:
    """Values with the reach of their intervals; below, a line an option, the darker the more of them chose it there.

    Neighbouring specifications share a column of the drawing: its mark is the middle one, its bar reaches from the
    lowest to the highest end of their intervals.
    """
    canvas, top, left, right = Canvas(frame), 12.0, 176.0 if frame.wide else 118.0, frame.width - 10
    columns = _columns(len(figure), 90 if frame.wide else 36)
    value, low, high = (figure.numbers(name) for name in ("value", "low", "high"))
    y = linear(*extent(value, low, high, include=[figure.number("reference") or 0.0]), top + _TALL, top, ticks=5)
    step = (right - left) / len(columns)
    canvas.box(left, top, right - left, _TALL, "field")
    if y.holds(0.0):
        canvas.line(left, y(0.0), right, y(0.0), "zero")
    for number, members in enumerate(columns):
        _bar(canvas, y, left + step * (number + 0.5), [[each[i] for i in members] for each in (value, low, high)])
    summary = figure.number("summary")
    if summary is not None:
        canvas.line(left, y(summary), right, y(summary), "middle")
    for tick in y.ticks:
        canvas.text(left - 6, y(tick) + 4, frame.words.numerals.show(tick, "tick"), "tick", "end")
    canvas.text(12, top + 12, frame.words.term("metrics", figure.text("metric", "r")), "label")
    canvas.height = _choices(canvas, figure, columns, left, step, top + _TALL + 12) + 6
    return canvas


def _columns(size: int, most: int) -> list[range]:
    """The rows in order, cut into at most `most` parts of nearly equal size."""
    count = min(size, most)
    edges = [round(size * i / count) for i in range(count + 1)]
    return [range(a, b) for a, b in pairwise(edges)]


def _bar(canvas: Canvas, y: Scale, x: float, found: Sequence[Sequence[float | None]]) -> None:
    value, low, high = ([number for number in column if number is not None] for column in found)
    if low and high:
        canvas.line(x, y(min(low)), x, y(max(high)), "interval thin")
    if value:
        canvas.dot(x, y(sorted(value)[len(value) // 2]), 2.2, "point effect")


def _choices(canvas: Canvas, figure: FigureData, columns: Sequence[range], left: float, step: float, y: float) -> float:
    """A heading a choice and a line an option; returns the height below them."""
    for name in (name for name in figure.columns if name not in _DRAWN):
        cells = figure.texts(name)
        options = list(dict.fromkeys(cells))
        if len(options) < 2:
            continue
        y += _LINE
        canvas.text(12, y, shorten(canvas.frame.words.title(name), left - 16, 12), "strong")
        for option in options:
            y += _LINE
            canvas.text(20, y, shorten(canvas.frame.words.title(option), left - 26, 11), "tick")
            _shades(canvas, [sum(cells[i] == option for i in members) / len(members) for members in columns],
                    left, step, y - 10)  # fmt: skip
        y += 4
    return y


def _shades(canvas: Canvas, shares: Sequence[float], left: float, step: float, y: float) -> None:
    """One box a run of columns with the same share."""
    shades = [min(_STEPS, int(share * _STEPS + 0.999)) for share in shares]
    start = 0
    for end in range(1, len(shades) + 1):
        if end == len(shades) or shades[end] != shades[start]:
            if shades[start]:
                canvas.box(left + step * start, y, step * (end - start), 9, f"density-{shades[start]}")
            start = end
