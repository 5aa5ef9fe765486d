"""Path diagrams: variables as boxes from cause to effect, coefficients on the arrows, covariances as dashed curves.

The flow runs from left to right on wide pages and from top to bottom on narrow ones. All geometry is done in flow
coordinates (`along` the flow, `across` it) and turned into pixels at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replication.report.figures.canvas import Canvas, FigureData, Frame, text_width, wrapped

__all__ = ["path_diagram"]

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The drawing: its canvas, direction, size of boxes, and the centre and column of each variable."""

    canvas: Canvas
    figure: FigureData
    frame: Frame
    centers: Mapping[str, _Point]
    columns: Mapping[str, int]
    box: tuple[float, float]

    @property
    def half(self) -> _Point:
        """Half a box, along and across the flow."""
        width, height = self.box
        return (width / 2, height / 2) if self.frame.wide else (height / 2, width / 2)

    def pixel(self, along: float, across: float) -> _Point:
        """The pixel of a flow coordinate."""
        return (along, across) if self.frame.wide else (across, along)


def path_diagram(figure: FigureData, frame: Frame) -> Canvas:
    """Draw the model; the figure's columns are from, to, value, low, high, kind and estimate."""
    sources, targets, kinds = figure.texts("from"), figure.texts("to"), figure.texts("kind")
    paths = [(a, b) for a, b, kind in zip(sources, targets, kinds, strict=True) if kind != "covariance"]
    names = list(dict.fromkeys([*sources, *targets]))
    columns = _columns(names, paths)
    plan = _plan(figure, frame, columns)
    for number in range(len(figure)):
        ends = sources[number], targets[number]
        if kinds[number] == "covariance":
            _covariance(plan, number, *ends)
        else:
            _arrow(plan, number, *ends)
    for name in names:
        _box(plan, name)
    return plan.canvas


def _columns(names: Sequence[str], paths: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each variable: one further than the furthest variable that points at it."""
    columns = dict.fromkeys(names, 0)
    # As many passes as variables settle any chain; loops stop at the last column instead of running for ever.
    for _ in names:
        for source, target in paths:
            columns[target] = max(columns[target], min(columns[source] + 1, len(names) - 1))
    return columns


def _plan(figure: FigureData, frame: Frame, columns: Mapping[str, int]) -> _Plan:
    names = list(columns)
    # As wide as the longest word needs: a broken word is hard to read in a box.
    longest = max(text_width(word, 12.5) for name in names for word in frame.words.term("construct", name).split())
    box = (max(136.0, longest + 14), 46.0) if frame.wide else (max(98.0, longest + 12), 44.0)
    depth = max(columns.values(), default=0) + 1
    most = max((list(columns.values()).count(c) for c in set(columns.values())), default=1)
    canvas = Canvas(frame)
    if frame.wide:
        first = 150.0
        step = (frame.width - first - (first if _joins_last(figure, columns) else 76.0)) / max(1, depth - 1)
        spread = max(250.0, 160.0 * most)
        canvas.height = spread
    else:
        # Room above the first boxes for the arc that joins them.
        first, step, spread = 40.0 + (_ARC if _joins_first(figure, columns) else 0.0), 128.0, frame.width
        canvas.height = first + 40.0 + step * (depth - 1) + (_ARC if _joins_last(figure, columns) else 0.0)
    centers = {}
    for column in sorted(set(columns.values())):
        members = [name for name in names if columns[name] == column]
        for place, name in enumerate(members):
            centers[name] = (first + step * column, spread * (place + 0.5) / len(members))
    return _Plan(canvas, figure, frame, centers, columns, box)


_ARC = 44.0


def _joins_first(figure: FigureData, columns: Mapping[str, int]) -> bool:
    """Whether a covariance joins variables of the first column."""
    pairs = zip(figure.texts("from"), figure.texts("kind"), strict=True)
    return any(kind == "covariance" and columns[source] == 0 for source, kind in pairs)


def _joins_last(figure: FigureData, columns: Mapping[str, int]) -> bool:
    """Whether a covariance joins variables of the last column, so that its curve needs room there."""
    last = max(columns.values(), default=0)
    pairs = zip(figure.texts("from"), figure.texts("kind"), strict=True)
    return last > 0 and any(kind == "covariance" and columns[source] == last for source, kind in pairs)


def _arrow(plan: _Plan, number: int, source: str, target: str) -> None:
    (a1, c1), (a2, c2) = plan.centers[source], plan.centers[target]
    start, end = (a1 + plan.half[0], c1), (a2 - plan.half[0] - 2, c2)
    control = ((start[0] + end[0]) / 2, (c1 + c2) / 2)
    # A straight arrow would run through the boxes of the columns between.
    if plan.columns[target] - plan.columns[source] > 1:
        detour = _detour(plan, source, target)
        control = (control[0], control[1] + detour)
        end = (end[0], c2 + math.copysign(0.45 * plan.half[1], detour or c1 - c2))
    p1, p2, turn = plan.pixel(*start), plan.pixel(*end), plan.pixel(*control)
    value = plan.figure.numbers("value")[number]
    css = "path strong-path" if value is not None and abs(value) >= 0.2 else "path"
    plan.canvas.curve(f"M{p1[0]:.1f} {p1[1]:.1f}Q{turn[0]:.1f} {turn[1]:.1f} {p2[0]:.1f} {p2[1]:.1f}", css)
    angle = math.atan2(p2[1] - turn[1], p2[0] - turn[0])
    head = [(p2[0] - 10 * math.cos(angle + side), p2[1] - 10 * math.sin(angle + side)) for side in (0.38, -0.38)]
    plan.canvas.path([head[0], p2, head[1]], "head", closed=True)
    # The point of a quadratic curve at its half: the control point itself lies beside the line.
    middle = ((p1[0] + 2 * turn[0] + p2[0]) / 4, (p1[1] + 2 * turn[1] + p2[1]) / 4)
    _coefficient(plan, number, middle)


def _detour(plan: _Plan, source: str, target: str) -> float:
    """How far to bend an arrow so that it passes beside the boxes of the columns it skips."""
    line = (plan.centers[source][1] + plan.centers[target][1]) / 2
    between = [
        plan.centers[name][1]
        for name, column in plan.columns.items()
        if plan.columns[source] < column < plan.columns[target]
    ]
    nearest = min(between, key=lambda across: abs(across - line))
    # Beside the box must stand the interval, which is wider than it is high.
    room = plan.half[1] + (34 if plan.frame.wide else 46) - abs(nearest - line)
    if room <= 0:
        return 0.0
    return 2 * room * (-1 if line <= nearest else 1)


def _covariance(plan: _Plan, number: int, one: str, other: str) -> None:
    """A curve on the outer side of two variables of one column, before the first column or behind the last."""
    (a1, c1), (a2, c2) = plan.centers[one], plan.centers[other]
    behind = plan.columns[one] > 0 and plan.columns[one] == max(plan.columns.values())
    side = 1 if behind else -1
    edge = max(a1, a2) + plan.half[0] if behind else min(a1, a2) - plan.half[0]
    # On phones too the curve leaves the column: between two boxes there is no room for an interval.
    start, turn, end = plan.pixel(edge, c1), plan.pixel(edge + side * 62, (c1 + c2) / 2), plan.pixel(edge, c2)
    plan.canvas.curve(
        f"M{start[0]:.1f} {start[1]:.1f}Q{turn[0]:.1f} {turn[1]:.1f} {end[0]:.1f} {end[1]:.1f}", "path covariance"
    )
    _coefficient(plan, number, plan.pixel(edge + side * 31, (c1 + c2) / 2))


def _coefficient(plan: _Plan, number: int, place: _Point) -> None:
    value, low, high = (plan.figure.numbers(name)[number] for name in ("value", "low", "high"))
    numerals, href = plan.frame.words.numerals, plan.frame.href(plan.figure.texts("estimate")[number])
    shown, interval = numerals.show(value, "r"), numerals.between(low, high, "r")
    width = max(text_width(shown, 13), text_width(interval, 10.5)) + 6
    half = width / 2
    x = min(max(place[0], half), plan.frame.width - half)
    plan.canvas.box(x - half, place[1] - 14, width, 28 if interval else 18, "plate", round_=3)
    plan.canvas.text(x, place[1] - 1, shown, "strong", "middle", href=href)
    if interval:
        plan.canvas.text(x, place[1] + 11, interval, "small", "middle", href=href)


def _box(plan: _Plan, name: str) -> None:
    x, y = plan.pixel(*plan.centers[name])
    width, height = plan.box
    plan.canvas.box(x - width / 2, y - height / 2, width, height, "node", round_=6)
    lines = wrapped(plan.frame.words.term("construct", name), width - 6, 12)
    for place, line in enumerate(lines):
        plan.canvas.text(x, y + 4 + 15 * (place - (len(lines) - 1) / 2), line, "strong", "middle")
