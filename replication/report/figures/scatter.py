"""Figures of points: the contour-enhanced funnel and Baujat's plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from replication.models.probability import NORMAL_95
from replication.report.figures.canvas import (
    Canvas,
    FigureData,
    Frame,
    Scale,
    extent,
    keys,
    linear,
    text_width,
    wrapped,
)

__all__ = ["baujat", "funnel"]

# p levels of the contours (Peters et al. 2008), two-sided.
_LEVELS = ((0.01, "contour-a"), (0.05, "contour-b"), (0.1, "contour-c"))
_P_RANGES: Mapping[str, tuple[float, float | None]] = {
    "field": (0.0, 0.01),
    "contour-a": (0.01, 0.05),
    "contour-b": (0.05, 0.1),
    "contour-c": (0.1, None),
}
_Point = tuple[float | None, float | None]


@cache
def _contour_widths() -> tuple[tuple[float, str], ...]:
    # Python's own quantile, right to the last digits: each process that draws would load scipy for these three, .3 s.
    return tuple((NormalDist().inv_cdf(1 - p / 2), name) for p, name in _LEVELS)


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
    # From 0 on, where an endlessly large study would stand: the funnel must have its tip.
    largest = extent(se, include=[0.0])[1] * 1.04 or 1.0
    low, high = extent(value, include=[reference, center if center is not None else reference])
    reach = max(1.2 * largest, (high - low) * 0.08)
    x = linear(low - reach, high + reach, left, right, ticks=7 if frame.wide else 5)
    y = linear(0.0, largest, top, bottom, ticks=5)
    canvas.box(left, top, right - left, bottom - top, "field")
    _contours(canvas, x, y, reference)
    if center is not None:
        canvas.line(x(center), top, x(center), bottom, "middle")
        _ray(_Plot(canvas, figure, frame, x, y), center, NORMAL_95, largest)
    _egger(canvas, figure, x, y)
    _points(_Plot(canvas, figure, frame, x, y), list(zip(value, se, strict=True)))
    canvas.side_axis(y, left, frame.words.say("figure.se"))
    metric = frame.words.term("metrics", figure.text("metric", "z"))
    foot = canvas.axis(x, bottom, bottom, metric, decimals=figure.decimals)
    canvas.height = keys(canvas, foot, _funnel_keys(figure, frame))
    return canvas


def _funnel_keys(figure: FigureData, frame: Frame) -> list[tuple[str, str, str]]:
    """What the marks, lines and shades are; of the marks and lines only those that are drawn."""
    say, new = frame.words.say, figure.flags("new")
    entries = []
    if not all(new):
        entries.append(("dot", "point effect", say("figure.mark_published" if any(new) else "figure.mark_sample")))
    if any(new):
        entries.append(("triangle", "point new", say("figure.mark_open")))
    if any(figure.flags("imputed")):
        entries.append(("dot", "point imputed", say("figure.mark_imputed")))
    if figure.number("center") is not None:
        entries.append(("line", "middle", say("figure.mark_center")))
    if figure.number("line_slope") is not None:
        entries.append(("line", "regression", say("figure.mark_egger")))
    return [*entries, *(("box", f"{css} swatch", _p_range(frame, *ends)) for css, ends in _P_RANGES.items())]


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
    canvas.side_axis(y, left, frame.words.say("figure.baujat_y"))
    foot = canvas.axis(x, bottom, bottom, frame.words.say("figure.baujat_x"))
    canvas.height = foot
    return canvas


def _points(plot: _Plot, points: Sequence[_Point]) -> None:
    figure, frame = plot.figure, plot.frame
    labels, rows = figure.texts("label"), figure.texts("row")
    new, imputed, counts = figure.flags("new"), figure.flags("imputed"), figure.numbers("count")
    most = max((count for count in counts if count is not None), default=1.0)
    for i, (a, b) in enumerate(points):
        if a is None or b is None:
            continue
        css, shape = ("point new", "triangle") if new[i] else ("point effect", "dot")
        if imputed[i]:
            css, shape = "point imputed", "dot"
        tip = f"{labels[i]}: {frame.words.number(a)}; {frame.words.number(b)}"
        count = counts[i]
        # Where marks stand for several points each their areas are compared.
        size = 4.2 if count is None else 2.4 + 7.0 * (count / most) ** 0.5
        plot.canvas.mark(plot.x(a), plot.y(b), size, shape, css, href=frame.href(rows[i]), tip=tip)


def _name_the_far_ones(plot: _Plot, points: Sequence[_Point]) -> None:
    """Names beside the points that stand out most; names that would overlap are left to the table.

    A name takes the lines it needs: cut names of different samples could look alike.
    """
    x, y, labels = plot.x, plot.y, plot.figure.texts("label")
    placed: list[tuple[float, float, float, float]] = []
    defined = [(a, b, labels[i]) for i, (a, b) in enumerate(points) if a is not None and b is not None]
    for a, b, label in sorted(defined, key=lambda p: -((x(p[0]) - x.start) ** 2 + (y.start - y(p[1])) ** 2))[:6]:
        lines = wrapped(label, 150, 12)
        width = max(text_width(line, 12) for line in lines)
        beyond = x(a) + 10 + width > x.end
        left = x(a) - 8 - width if beyond else x(a) + 8
        top = min(y(b), y.start - 14.0 * (len(lines) - 1) - 6) + 4
        box = (left, left + width, top - 12, top + 14.0 * (len(lines) - 1))
        # A name over another mark could be read as that mark's.
        marks = [(x(c) - 5, x(c) + 5, y(d) - 5, y(d) + 5) for c, d, other in defined if other != label]
        if left < x.start or any(_overlap(box, other) for other in (*placed, *marks)):
            continue
        placed.append(box)
        for number, line in enumerate(lines):
            end = (left + width, "end") if beyond else (left, "")
            plot.canvas.text(end[0], top + 14.0 * number, line, "row", end[1])


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Whether two boxes (left, right, top, bottom) share a place."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _contours(canvas: Canvas, x: Scale, y: Scale, at: float) -> None:
    largest = y.high
    for width, css in _contour_widths():
        reach = width * largest
        points = [(x(at), y(0.0))]
        for end in (at + reach, at - reach):
            # Cut where the line leaves the frame, at the height it leaves it: clamped alone it would change its slope.
            edge = min(max(end, x.low), x.high)
            crossing = abs(edge - at) / width
            points += [(x(edge), y(crossing)), (x(edge), y(largest))]
        right_edge, right_corner, left_edge, left_corner = points[1:]
        canvas.path([points[0], right_edge, right_corner, left_corner, left_edge], css, closed=True)


def _p_range(frame: Frame, low: float, high: float | None) -> str:
    """The range of p a contour stands for, as numbers of the language."""
    show = frame.words.numerals.show
    if high is None:
        return f"p > {show(low, 'tick')}"
    return f"{show(low, 'tick')} < p < {show(high, 'tick')}" if low else f"p < {show(high, 'tick')}"


def _ray(plot: _Plot, at: float, width: float, largest: float) -> None:
    canvas, x, y = plot.canvas, plot.x, plot.y
    for side in (-1, 1):
        edge = min(max(at + side * width * largest, x.low), x.high)
        canvas.line(x(at), y(0.0), x(edge), y(abs(edge - at) / width), "guide")


def _egger(canvas: Canvas, figure: FigureData, x: Scale, y: Scale) -> None:
    intercept, slope = figure.number("line_intercept"), figure.number("line_slope")
    if intercept is not None and slope is not None:
        canvas.line(x(intercept), y(0.0), x(intercept + slope * y.high), y(y.high), "regression")
