"""Figures of points: funnel, Baujat, GOSH and orchard."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replication.report.figures.canvas import (
    Canvas,
    FigureData,
    Frame,
    Label,
    Scale,
    extent,
    linear,
    shorten,
    text_width,
)

__all__ = ["baujat", "funnel", "gosh", "orchard"]

_CONTOURS = ((2.575829303548901, "contour-a"), (1.959963984540054, "contour-b"), (1.6448536269514722, "contour-c"))
_P_RANGES: Mapping[str, tuple[float, float | None]] = {
    "contour-a": (0.01, 0.05),
    "contour-b": (0.05, 0.1),
    "contour-c": (0.1, None),
}
_DENSITY_STEPS = 6
_Point = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class _Plot:
    """What every part of one drawing needs."""

    canvas: Canvas
    figure: FigureData
    frame: Frame
    x: Scale
    y: Scale


def funnel(figure: FigureData, frame: Frame) -> Canvas:
    """Effects against their standard errors, with the regions of p below .10, .05 and .01 around the reference."""
    value, se = figure.numbers("value"), figure.numbers("se")
    center, reference = figure.number("center"), figure.number("reference") or 0.0
    canvas, top, left, right = Canvas(frame), 12.0, 52.0, frame.width - 12
    bottom = top + (340 if frame.wide else 300)
    largest = extent(se, include=[0.0])[1] * 1.04 or 1.0
    low, high = extent(value, include=[reference, center if center is not None else reference])
    reach = max(1.2 * largest, (high - low) * 0.08)
    x = linear(low - reach, high + reach, left, right, ticks=7 if frame.wide else 5)
    y = linear(0.0, largest, top, bottom, ticks=5)
    canvas.box(left, top, right - left, bottom - top, "field")
    _contours(canvas, x, y, reference)
    if center is not None:
        canvas.line(x(center), top, x(center), bottom, "middle")
        _ray(_Plot(canvas, figure, frame, x, y), center, 1.959963984540054, largest)
    _egger(canvas, figure, x, y)
    _points(_Plot(canvas, figure, frame, x, y), list(zip(value, se, strict=True)))
    _left_axis(canvas, y, left, frame.words.say("figure.se"), frame)
    canvas.axis(x, bottom, bottom, frame.words.term("metrics", figure.text("metric", "z")))
    entries = [(css, _p_range(frame, *ends)) for css, ends in _P_RANGES.items()]
    canvas.height = _legend(canvas, frame, bottom + 48, entries)
    return canvas


def baujat(figure: FigureData, frame: Frame) -> Canvas:
    """Each row's share of the heterogeneity against its influence on the pooled value."""
    xs, ys = figure.numbers("x"), figure.numbers("y")
    canvas, top, left, right = Canvas(frame), 12.0, 58.0, frame.width - 16
    bottom = top + 300
    x = linear(0.0, extent(xs, include=[0.0])[1] * 1.05, left, right)
    y = linear(0.0, extent(ys, include=[0.0])[1] * 1.05, bottom, top, ticks=5)
    canvas.box(left, top, right - left, bottom - top, "field")
    points = list(zip(xs, ys, strict=True))
    plot = _Plot(canvas, figure, frame, x, y)
    _points(plot, points)
    _name_the_far_ones(plot, points)
    _left_axis(canvas, y, left, frame.words.say("figure.baujat_y"), frame)
    canvas.axis(x, bottom, bottom, frame.words.say("figure.baujat_x"))
    canvas.height = bottom + 40
    return canvas


def gosh(figure: FigureData, frame: Frame) -> Canvas:
    """Pooled values of many subsets against their heterogeneity, counted in cells; subsets with a named row apart."""
    xs, ys = figure.numbers("value"), figure.numbers("heterogeneity")
    canvas, top, left, right = Canvas(frame), 12.0, 58.0, frame.width - 16
    bottom = top + 320
    x = linear(*extent(xs), left, right)
    y = linear(*extent(ys), bottom, top, ticks=5)
    canvas.box(left, top, right - left, bottom - top, "field")
    inside = figure.flags("includes") if "includes" in figure.columns else [False] * len(figure)
    for group, css in ((False, "density"), (True, "density-new")):
        points = [(a, b) for a, b, i in zip(xs, ys, inside, strict=True) if i is group]
        _cells(canvas, points, x, y, css)
    _left_axis(canvas, y, left, frame.words.term("metrics", figure.text("y_metric", "I2")), frame)
    canvas.axis(x, bottom, bottom, frame.words.term("metrics", figure.text("metric", "r")))
    canvas.height = bottom + 40
    if figure.text("focus"):
        names = [("density-new-3", frame.words.say("figure.with")), ("density-3", frame.words.say("figure.without"))]
        entries = [(css, f"{name} {figure.text('focus')}") for css, name in names]
        canvas.height = _legend(canvas, frame, bottom + 48, entries)
    return canvas


def orchard(figure: FigureData, frame: Frame) -> Canvas:
    """Groups of effects as swarms sized by precision, each with its summary, interval and prediction interval."""
    roles, groups, values = figure.texts("role"), figure.texts("group"), figure.numbers("value")
    names = list(dict.fromkeys(groups))
    weights = figure.numbers("weight")
    canvas, left, right, top = Canvas(frame), 12.0, frame.width - 12, 8.0
    ends = [figure.numbers(n) for n in ("low", "high", "prediction_low", "prediction_high")]
    x = linear(*extent(values, *ends, include=[figure.number("reference") or 0.0]), left, right)
    pitch = 84.0
    bottom = top + pitch * len(names)
    if x.holds(0.0):
        canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    heaviest = max((w for w in weights if w is not None), default=1.0) or 1.0
    for number, name in enumerate(names):
        y = top + pitch * number
        canvas.text(left, y + 14, shorten(name, frame.width - 24, 12), "strong")
        members = [i for i, g in enumerate(groups) if g == name and roles[i] != "summary" and values[i] is not None]
        for i, lift in zip(members, _swarm([x(values[i] or 0.0) for i in members]), strict=True):
            radius = 1.6 + 3.2 * ((weights[i] or 0.0) / heaviest) ** 0.5
            tip = f"{figure.texts('label')[i]}: {frame.words.metric(values[i], figure.text('metric'))}"
            href = frame.href(figure.texts("row")[i])
            canvas.dot(x(values[i] or 0.0), y + 48 + lift, radius, "point effect", href=href, tip=tip)
        for i in (i for i, g in enumerate(groups) if g == name and roles[i] == "summary"):
            _orchard_summary(canvas, x, y + 62, values[i], [end[i] for end in ends])
    canvas.axis(x, bottom, bottom, frame.words.term("metrics", figure.text("metric", "r")))
    canvas.height = bottom + 40
    return canvas


def _orchard_summary(canvas: Canvas, x: Scale, y: float, value: float | None, ends: Sequence[float | None]) -> None:
    low, high, prediction_low, prediction_high = ends
    if prediction_low is not None and prediction_high is not None:
        canvas.line(x(prediction_low), y, x(prediction_high), y, "interval")
    if low is not None and high is not None:
        canvas.box(x(low), y - 3, x(high) - x(low), 6, "summary", round_=3)
    if value is not None:
        canvas.mark(x(value), y, 6, "diamond", "summary")


def _swarm(places: Sequence[float]) -> list[float]:
    """A height above the line for each point, so that points at nearly the same place do not hide each other."""
    taken: Counter[int] = Counter()
    lifts = []
    for place in places:
        cell = round(place / 7)
        step = taken[cell]
        taken[cell] += 1
        lifts.append(-min(28.0, 5.0 * step))
    return lifts


def _points(plot: _Plot, points: Sequence[_Point]) -> None:
    figure, frame = plot.figure, plot.frame
    labels, rows = figure.texts("label"), figure.texts("row")
    new, imputed = figure.flags("new"), figure.flags("imputed")
    for i, (a, b) in enumerate(points):
        if a is None or b is None:
            continue
        css, shape = ("point new", "triangle") if new[i] else ("point effect", "dot")
        if imputed[i]:
            css, shape = "point imputed", "dot"
        tip = f"{labels[i]}: {frame.words.number(a)}; {frame.words.number(b)}"
        plot.canvas.mark(plot.x(a), plot.y(b), 4.2, shape, css, href=frame.href(rows[i]), tip=tip)


def _name_the_far_ones(plot: _Plot, points: Sequence[_Point]) -> None:
    """Names beside the points that stand out most; names that would overlap are left to the table."""
    x, y, labels = plot.x, plot.y, plot.figure.texts("label")
    placed: list[tuple[float, float]] = []
    defined = [(a, b, labels[i]) for i, (a, b) in enumerate(points) if a is not None and b is not None]
    for a, b, label in sorted(defined, key=lambda p: -((x(p[0]) - x.start) ** 2 + (y.start - y(p[1])) ** 2))[:6]:
        px, py = x(a), y(b)
        if any(abs(py - qy) < 13 and abs(px - qx) < 110 for qx, qy in placed):
            continue
        placed.append((px, py))
        name = shorten(label, 130, 12)
        beyond = px + 10 + text_width(name, 12) > x.end
        plot.canvas.text(px + (-8 if beyond else 8), py + 4, name, "row", "end" if beyond else "")


def _cells(canvas: Canvas, points: Sequence[tuple[float | None, float | None]], x: Scale, y: Scale, css: str) -> None:
    side = 5.0
    counts = Counter((int(x(a) // side), int(y(b) // side)) for a, b in points if a is not None and b is not None)
    most = max(counts.values(), default=1)
    for (column, row), count in sorted(counts.items()):
        step = 1 + min(_DENSITY_STEPS - 1, int(_DENSITY_STEPS * math.log1p(count) / math.log1p(most) - 1e-9))
        canvas.box(column * side, row * side, side, side, f"{css}-{step}")


def _contours(canvas: Canvas, x: Scale, y: Scale, at: float) -> None:
    largest = y.high
    for width, css in _CONTOURS:
        reach = width * largest
        points = [(x(at), y(0.0))]
        for end in (at + reach, at - reach):
            edge = min(max(end, x.low), x.high)
            crossing = abs(edge - at) / width
            points += [(x(edge), y(crossing)), (x(edge), y(largest))]
        right_edge, right_corner, left_edge, left_corner = points[1:]
        canvas.path([points[0], right_edge, right_corner, left_corner, left_edge], css, closed=True)


def _p_range(frame: Frame, low: float, high: float | None) -> str:
    """The range of p a contour stands for, as numbers of the language."""
    show = frame.words.numerals.show
    return f"p > {show(low, 'tick')}" if high is None else f"{show(low, 'tick')} < p < {show(high, 'tick')}"


def _ray(plot: _Plot, at: float, width: float, largest: float) -> None:
    canvas, x, y = plot.canvas, plot.x, plot.y
    for side in (-1, 1):
        edge = min(max(at + side * width * largest, x.low), x.high)
        canvas.line(x(at), y(0.0), x(edge), y(abs(edge - at) / width), "guide")


def _egger(canvas: Canvas, figure: FigureData, x: Scale, y: Scale) -> None:
    intercept, slope = figure.number("line_intercept"), figure.number("line_slope")
    if intercept is not None and slope is not None:
        canvas.line(x(intercept), y(0.0), x(intercept + slope * y.high), y(y.high), "regression")


def _left_axis(canvas: Canvas, y: Scale, left: float, label: str, frame: Frame) -> None:
    for tick in y.ticks:
        canvas.text(left - 6, y(tick) + 4, frame.words.numerals.show(tick, "tick"), "tick", "end")
        canvas.line(left - 3, y(tick), left, y(tick), "axis")
    middle = (y.start + y.end) / 2
    canvas.labels.append(Label(12, middle, label, "label", "middle", turned=True))


def _legend(canvas: Canvas, frame: Frame, y: float, entries: Sequence[tuple[str, str]]) -> float:
    """Swatches with their names, beside each other where there is room; returns the height below them."""
    step = (frame.width - 60) / len(entries) if frame.wide else 0.0
    for number, (css, name) in enumerate(entries):
        line = y if frame.wide else y + 18 * number
        canvas.box(52 + step * number, line - 9, 12, 10, f"{css} swatch")
        canvas.text(70 + step * number, line, shorten(name, (step or frame.width - 60) - 22, 11), "tick")
    return y + 14 + (0 if frame.wide else 18 * (len(entries) - 1))
