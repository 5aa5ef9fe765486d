"""Figures of curves: prior and posterior densities, and the p-curve."""

from __future__ import annotations

from collections.abc import Sequence

from replication.report.figures.canvas import Canvas, FigureData, Frame, Scale, extent, linear, shorten

__all__ = ["density", "p_curve"]

_STYLES = ("curve-a", "curve-b", "curve-c", "curve-d", "curve-e", "curve-f")


def density(figure: FigureData, frame: Frame) -> Canvas:
    """Densities over one axis, each curve with its own line style and its name beside its peak."""
    # In the order of the data: prior before posterior, as the analysis says them.
    names = list(dict.fromkeys(figure.texts("curve")))
    xs, ys, curve = figure.numbers("x"), figure.numbers("y"), figure.texts("curve")
    canvas, top, left, right = Canvas(frame), 12.0, 12.0, frame.width - 12
    legend = 18.0 * len(names)
    bottom = top + legend + (240 if frame.wide else 220)
    x = linear(*extent(xs), left, right, nice=False)
    # Densities have no unit worth reading: the axis is left out, and 5 % of room keeps the peak off the frame.
    y = linear(0.0, extent(ys, include=[0.0])[1] * 1.05, bottom, top + legend, nice=False)
    low, high = figure.number("low"), figure.number("high")
    if low is not None and high is not None:
        canvas.box(x(low), top + legend, x(high) - x(low), bottom - top - legend, "band")
    for number, name in enumerate(names):
        points = [
            (x(a), y(b)) for a, b, c in zip(xs, ys, curve, strict=True) if c == name and a is not None and b is not None
        ]
        css = _STYLES[number % len(_STYLES)]
        canvas.path(points, css) if points else None
        canvas.line(left, top + 18 * number + 2, left + 26, top + 18 * number + 2, css)
        canvas.text(left + 34, top + 18 * number + 6, shorten(name, right - left - 40, 12), "row")
    canvas.axis(x, bottom, top + legend, frame.words.term("metrics", figure.text("metric", "r")))
    canvas.height = bottom + 40
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
        canvas.text(left - 6, y(tick) + 4, frame.words.numerals.show(tick, "tick"), "tick", "end")
    for number, (name, column) in enumerate(columns.items()):
        points = _defined(xs, column, x, y)
        canvas.path(points, _STYLES[number]) if points else None
        # Only what was counted gets marks; the other two curves are expectations.
        for px, py in points if name == "observed" else ():
            canvas.dot(px, py, 4, "mark effect")
        canvas.line(left, bottom + 46 + 18 * number, left + 26, bottom + 46 + 18 * number, _STYLES[number])
        canvas.text(left + 34, bottom + 50 + 18 * number, frame.words.say(f"figure.p_{name}"), "row")
    canvas.axis(x, bottom, bottom, frame.words.term("metrics", "p"))
    canvas.height = bottom + 48 + 18 * len(columns)
    return canvas


def _defined(xs: Sequence[float | None], ys: Sequence[float | None], x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(a), y(b)) for a, b in zip(xs, ys, strict=True) if a is not None and b is not None]
