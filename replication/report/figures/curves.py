"""Figures of curves: prior and posterior densities, the p-curve, and every specification in order of its value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from replication.report.figures.canvas import Canvas, FigureData, Frame, Scale, extent, keys, linear, wrapped
from replication.report.figures.crowds import MOST_POINTS

__all__ = ["density", "p_curve", "specification_curve"]

_STYLES = ("curve-a", "curve-b", "curve-c", "curve-d", "curve-e", "curve-f")


def density(figure: FigureData, frame: Frame) -> Canvas:
    """Densities over one axis, each curve with its own line style, named in the legend."""
    # In the order of the data: prior before posterior, as the analysis says them.
    names = list(dict.fromkeys(figure.texts("curve")))
    xs, ys, curve = figure.numbers("x"), figure.numbers("y"), figure.texts("curve")
    canvas, top, left, right = Canvas(frame), 12.0, 12.0, frame.width - 12
    bottom = top + (240 if frame.wide else 220)
    x = linear(*extent(xs), left, right, nice=False)
    # Densities have no unit worth reading: the axis is left out, and 5 % of room keeps the peak off the frame.
    y = linear(0.0, extent(ys, include=[0.0])[1] * 1.05, bottom, top, nice=False)
    low, high = figure.number("low"), figure.number("high")
    if low is not None and high is not None:
        canvas.box(x(low), top, x(high) - x(low), bottom - top, "band")
    for number, name in enumerate(names):
        points = [
            (x(a), y(b)) for a, b, c in zip(xs, ys, curve, strict=True) if c == name and a is not None and b is not None
        ]
        css = _STYLES[number % len(_STYLES)]
        canvas.path(points, css) if points else None
    entries = [("line", _STYLES[number % len(_STYLES)], name) for number, name in enumerate(names)]
    if low is not None and high is not None:
        entries.append(("box", "band swatch", frame.words.say("figure.mark_shaded")))
    metric = frame.words.term("metrics", figure.text("metric", "r"))
    foot = canvas.axis(x, bottom, top, metric, decimals=figure.decimals)
    canvas.height = keys(canvas, foot, entries)
    return canvas


def p_curve(figure: FigureData, frame: Frame) -> Canvas:
    """The share of significant results in each range of p, beside what no effect and low power would give."""
    xs = figure.numbers("p")
    canvas, top, left, right = Canvas(frame), 12.0, 52.0, frame.width - 16
    bottom = top + 260
    known = ("observed", "flat", "low_power")
    columns = {name: figure.numbers(name) for name in known if name in figure.columns}
    x = linear(0.0, extent(xs, include=[0.05])[1], left, right, ticks=5)
    y = linear(0.0, extent(*columns.values(), include=[0.0])[1] * 1.1, bottom, top, ticks=5)
    for tick in y.ticks:
        canvas.line(left, y(tick), right, y(tick), "grid")
    canvas.side_axis(y, left, frame.words.say("figure.p_share"))
    for number, (name, column) in enumerate(columns.items()):
        points = _defined(xs, column, x, y)
        canvas.path(points, _STYLES[number]) if points else None
        # Only what was counted gets marks; the other two curves are expectations.
        for px, py in points if name == "observed" else ():
            canvas.dot(px, py, 4, "mark effect")
    foot = canvas.axis(x, bottom, bottom, frame.words.term("metrics", "p"))
    entries = [("line", _STYLES[number], frame.words.say(f"figure.p_{name}")) for number, name in enumerate(columns)]
    canvas.height = keys(canvas, foot, entries)
    return canvas


def _defined(xs: Sequence[float | None], ys: Sequence[float | None], x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(a), y(b)) for a, b in zip(xs, ys, strict=True) if a is not None and b is not None]


_DRAWN = ("value", "low", "high", "row", "adjusted")
_TALL, _LINE = 180.0, 15.0
_STEPS = 6


def specification_curve(figure: FigureData, frame: Frame) -> Canvas:
    """Values with the reach of their intervals; below, a line an option, the darker the more of them chose it there.

    Neighbouring specifications share a column of the drawing: its mark is the middle one, its bar reaches from the
    lowest to the highest end of their intervals.
    """
    canvas, top, left, right = Canvas(frame), 12.0, 176.0 if frame.wide else 118.0, frame.width - 10
    adjusted = figure.flags("adjusted")
    columns = _few_enough(figure.numbers("value"), adjusted, 90 if frame.wide else 36)
    value, low, high = (figure.numbers(name) for name in ("value", "low", "high"))
    y = linear(*extent(value, low, high, include=[figure.number("reference") or 0.0]), top + _TALL, top, ticks=5)
    step = (right - left) / len(columns)
    canvas.box(left, top, right - left, _TALL, "field")
    if y.holds(0.0):
        canvas.line(left, y(0.0), right, y(0.0), "zero")
    for number, members in enumerate(columns):
        _bar(canvas, y, left + step * (number + 0.5), [each[members] for each in (value, low, high)])
    for number, members in enumerate(columns):  # above the bars: what the models of bias give there
        there = zip(value[members], adjusted[members], strict=True)
        found = sorted(v for v, of_bias in there if of_bias and v is not None)
        if found:
            canvas.mark(left + step * (number + 0.5), y(found[len(found) // 2]), 3.2, "triangle", "point new")
    summary = figure.number("summary")
    if summary is not None:
        canvas.line(left, y(summary), right, y(summary), "middle")
    canvas.side_axis(y, left, frame.words.term("metrics", figure.text("metric", "r")), decimals=figure.decimals)
    canvas.text((left + right) / 2, top + _TALL + 15, frame.words.say("figure.specifications"), "label", "middle")
    bottom = _choices(canvas, figure, columns, left, step, top + _TALL + 22)
    canvas.height = keys(canvas, bottom + 10, _specification_keys(frame, summary is not None, any(adjusted)))
    return canvas


def _specification_keys(frame: Frame, median: bool, adjusted: bool) -> list[tuple[str, str, str]]:
    """What the marks are: only those that are drawn."""
    say = frame.words.say
    entries = [("dot", "point effect", say("figure.mark_middle")), ("line", "interval thin", say("figure.mark_reach"))]
    if adjusted:
        entries.append(("triangle", "point new", say("figure.mark_adjusted")))
    if median:
        entries.append(("line", "middle", say("figure.mark_median")))
    return [*entries, ("box", "density-6", say("figure.mark_all")), ("box", "density-2", say("figure.mark_some"))]


def _few_enough(value: Sequence[float | None], adjusted: Sequence[bool], most: int) -> list[slice]:
    """The columns of a curve, at most `most` and as many as have a figure's number of marks."""
    of_bias = [drawn and v is not None for v, drawn in zip(value, adjusted, strict=True)]
    for count in range(most, 1, -1):
        columns = _columns(len(value), count)
        above = sum(any(of_bias[members]) for members in columns)
        if len(columns) + above <= MOST_POINTS:
            break
    return columns


def _columns(size: int, most: int) -> list[slice]:
    """The rows in order, cut into at most `most` parts of nearly equal size."""
    count = min(size, most)
    edges = [round(size * i / count) for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _bar(canvas: Canvas, y: Scale, x: float, found: Sequence[Sequence[float | None]]) -> None:
    value, low, high = ([number for number in column if number is not None] for column in found)
    if low and high:
        canvas.line(x, y(min(low)), x, y(max(high)), "interval thin")
    if value:
        # The middle one and not the mean: every mark is then a model that was run.
        canvas.dot(x, y(sorted(value)[len(value) // 2]), 2.2, "point effect")


def _choices(canvas: Canvas, figure: FigureData, columns: Sequence[slice], left: float, step: float, y: float) -> float:
    """A heading a choice and a line an option; returns the height below them."""
    for name in (name for name in figure.columns if name not in _DRAWN):
        cells = figure.texts(name)
        options = list(dict.fromkeys(cells))
        if len(options) < 2:
            continue
        counts = [Counter(cells[members]) for members in columns]
        y += _LINE
        canvas.text(12, y, canvas.frame.words.label(name), "strong")
        for option in options:
            y += _LINE
            shares = [found[option] / found.total() for found in counts]
            _shades(canvas, shares, left, step, y - 10)
            for number, line in enumerate(wrapped(canvas.frame.words.label(option), left - 26, 11)):
                y += 12.0 if number else 0.0
                canvas.text(20, y, line, "tick")
        y += 4
    return y


def _shades(canvas: Canvas, shares: Sequence[float], left: float, step: float, y: float) -> None:
    """One box a run of columns with the same share; those of a share are one shape, as a figure has thousands."""
    # Rounded up: an option chosen once must not be shown as never chosen.
    shades = [min(_STEPS, int(share * _STEPS + 0.999)) for share in shares]
    runs: dict[int, list[tuple[float, float]]] = {}
    start = 0
    for end in range(1, len(shades) + 1):
        if end == len(shades) or shades[end] != shades[start]:
            runs.setdefault(shades[start], []).append((left + step * start, left + step * end))
            start = end
    for shade, spans in runs.items():
        if shade:
            canvas.strips(spans, y, 9, f"density-{shade}")
