"""Estimates with intervals, a row each: forest, leave-one-out, cumulative, caterpillar and comparisons.

On a wide page a row is label, plot, numbers; on a narrow one the label and numbers stand above the plot.

The specification curve: many specifications sorted by their value, and below them what each of them chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from replication.report.figures.canvas import Canvas, FigureData, Frame, Scale, extent, linear, shorten, text_width

__all__ = ["caterpillar", "comparison", "cumulative", "forest", "leave_one_out", "specification_curve"]

_SIZE = 12.0
_CLOSE = 7.0  # rows closer than this are drawn thin
_NUMBERS = 168.0  # room for an estimate with its interval
_SUMMARY = ("summary", "summary_low", "summary_high", "prediction_low", "prediction_high")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the figure. `size` is the half-width of the mark; a heading has no numbers."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    css: str = "effect"
    shape: str = "square"
    size: float = 4.0
    href: str = ""
    extra: str = ""
    heading: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the plot stands and how high a row is."""

    left: float
    right: float
    row: float
    offset: float
    numbers: bool = True

    @classmethod
    def of(cls, frame: Frame, rows: Sequence[_Row]) -> _Layout:
        """Labels left, numbers right on wide pages; both above the plot on narrow ones."""
        if not frame.wide:
            return cls(18, frame.width - 18, 34, 24)
        longest = max((text_width(row.label, _SIZE) for row in rows if not row.heading), default=0.0)
        weights = any(row.extra for row in rows)
        return cls(min(max(longest + 16, 152.0), 300.0), frame.width - (_NUMBERS + 48 if weights else _NUMBERS), 20, 10)


@dataclass(frozen=True, slots=True)
class _Plot:
    """What every part of one drawing needs."""

    canvas: Canvas
    figure: FigureData
    frame: Frame
    layout: _Layout
    scale: Scale

    @property
    def metric(self) -> str:
        """The unit of the values."""
        return self.figure.text("metric")


def forest(figure: FigureData, frame: Frame) -> Canvas:
    """Effects with intervals, marks as large as their weight; the summary as a diamond, its prediction below."""
    rows = _clustered(_effect_rows(figure, frame), figure.texts("cluster"))
    plot = _plot(figure, frame, rows, _Layout.of(frame, rows))
    top = 8.0 + (16 if frame.wide else 0)
    bottom = top + plot.layout.row * len(rows) + 6
    if frame.wide:
        _column_heads(plot, any(row.extra for row in rows))
    _reference(plot, top, bottom + 50)
    _draw_rows(plot, rows, top)
    plot.canvas.line(0, bottom, frame.width, bottom, "rule")
    return _finish(plot, top, _summary(plot, bottom + plot.layout.offset + 4))


def caterpillar(figure: FigureData, frame: Frame) -> Canvas:
    """The effects in order of size, close together, with the summary below."""
    rows = sorted(_effect_rows(figure, frame), key=lambda row: (row.value is None, row.value or 0.0))
    pitch = min(14.0, max(2.2, 520 / max(1, len(rows))))
    plot = _plot(figure, frame, rows, _Layout(18, frame.width - 18, 34, 24, numbers=False))
    top, bottom = 10.0, 18.0 + pitch * len(rows)
    _reference(plot, top, bottom)
    _band(plot, top, bottom)
    for number, row in enumerate(rows):
        y = top + pitch * (number + 0.5)
        _interval(plot, row, y, "interval thin" if pitch < _CLOSE else "interval")
        if row.value is not None:
            tip = f"{row.label}: {frame.words.metric(row.value, plot.metric)}"
            plot.canvas.dot(plot.scale(row.value), y, min(3.0, pitch * 0.45), row.css, href=row.href, tip=tip)
    return _finish(plot, top, _summary(plot, bottom + 14))


def leave_one_out(figure: FigureData, frame: Frame) -> Canvas:
    """The summary with each row left out in turn, over the band of the whole."""
    return comparison(figure, frame)


def cumulative(figure: FigureData, frame: Frame) -> Canvas:
    """The summary as rows are added in order."""
    return comparison(figure, frame)


def comparison(figure: FigureData, frame: Frame) -> Canvas:
    """Several answers to one question, an interval each, grouped where they have a group."""
    rows = _clustered(_effect_rows(figure, frame, "dot"), figure.texts("group"))
    plot = _plot(figure, frame, rows, _Layout.of(frame, rows))
    top, bottom = 8.0, 14.0 + plot.layout.row * len(rows)
    _reference(plot, top, bottom)
    _band(plot, top, bottom)
    _draw_rows(plot, rows, top)
    return _finish(plot, top, bottom)


def _plot(figure: FigureData, frame: Frame, rows: Sequence[_Row], layout: _Layout) -> _Plot:
    return _Plot(Canvas(frame), figure, frame, layout, _scale(figure, rows, layout.left, layout.right))


def _finish(plot: _Plot, top: float, bottom: float) -> Canvas:
    """The axis below everything."""
    label = plot.figure.text("x_label") or plot.frame.words.term("metrics", plot.figure.text("metric", "estimate"))
    plot.canvas.axis(plot.scale, bottom, top, label)
    plot.canvas.height = bottom + 40
    return plot.canvas


def _effect_rows(figure: FigureData, frame: Frame, shape: str = "square") -> list[_Row]:
    value, low, high = (figure.numbers(name) for name in ("value", "low", "high"))
    weight, labels, levels = figure.numbers("weight"), figure.texts("label"), figure.texts("level")
    new, shown = figure.flags("new"), figure.texts("shown")
    heaviest = max((w for w in weight if w is not None), default=0.0) or 1.0
    rows = []
    for i in range(len(figure)):
        share = weight[i]
        size = 3.8 if share is None else 2.0 + 4.5 * (share / heaviest) ** 0.5
        css, mark = _look(levels[i], new[i], shape)
        extra = "" if share is None else frame.words.numerals.show(share, "percent")
        numbers = shown[i] or _in_numbers(frame, figure.text("metric"), value[i], (low[i], high[i]))
        rows.append(
            _Row(labels[i], value[i], low[i], high[i], css, mark, size, _href(figure, frame, i), extra, text=numbers)
        )
    return rows


def _look(level: str, new: bool, shape: str) -> tuple[str, str]:
    """Class and shape of a mark: a cluster's mean, a printed number, a row added since, or a row like the others."""
    if level == "cluster":
        return "mark effect", "diamond"
    if level == "printed":
        return "mark printed", "square"
    return ("mark new", "triangle") if new else ("mark effect", shape)


def _in_numbers(frame: Frame, metric: str, value: float | None, ends: tuple[float | None, float | None]) -> str:
    shown = "" if value is None else frame.words.metric(value, metric)
    return f"{shown} {frame.words.interval(*ends, metric)}".strip()


def _clustered(rows: Sequence[_Row], clusters: Sequence[str]) -> list[_Row]:
    """The rows with a heading before each cluster of more than one row; rows of a cluster stand together."""
    if not any(clusters):
        return list(rows)
    found: dict[str, list[_Row]] = {}
    for row, cluster in zip(rows, clusters, strict=True):
        found.setdefault(cluster, []).append(row)
    result: list[_Row] = []
    for cluster, members in found.items():
        if cluster and (len(members) > 1 or cluster != members[0].label):
            result.append(_Row(cluster, None, None, None, heading=True))
        result += members
    return result


def _draw_rows(plot: _Plot, rows: Sequence[_Row], top: float) -> None:
    layout, frame = plot.layout, plot.frame
    for number, row in enumerate(rows):
        y = top + layout.row * number + layout.offset
        if row.heading:
            plot.canvas.text(0, y + 4, shorten(row.label, frame.width, _SIZE), "strong")
            continue
        _numbers(plot, row, y)
        _interval(plot, row, y)
        if row.value is not None:
            plot.canvas.mark(plot.scale(row.value), y, row.size, row.shape, row.css)


def _numbers(plot: _Plot, row: _Row, y: float) -> None:
    """The label and the numbers of a row: beside the plot when there is room, else above it."""
    if not plot.layout.numbers:
        return
    canvas, layout, text = plot.canvas, plot.layout, row.text
    if plot.frame.wide:
        canvas.text(0, y + 4, shorten(row.label, layout.left - 10, _SIZE), "row", href=row.href)
        canvas.text(layout.right + _NUMBERS - 4, y + 4, text, "value", "end")
        if row.extra:
            canvas.text(plot.frame.width, y + 4, row.extra, "tick", "end")
        return
    room = plot.frame.width - 10 - len(text) * _SIZE * 0.56
    canvas.text(0, y - 10, shorten(row.label, room, _SIZE), "row", href=row.href)
    canvas.text(plot.frame.width, y - 10, text, "value", "end")


def _interval(plot: _Plot, row: _Row, y: float, css: str = "interval") -> None:
    """The interval as a line; an arrow head where it runs off the scale."""
    if row.low is None or row.high is None:
        return
    scale = plot.scale
    plot.canvas.line(scale(row.low), y, scale(row.high), y, css)
    for end, beyond, step in ((row.low, row.low < scale.low, 5), (row.high, row.high > scale.high, -5)):
        if beyond:
            x = scale(end)
            plot.canvas.path([(x + step, y - 4), (x, y), (x + step, y + 4)], "interval")


def _summary(plot: _Plot, y: float) -> float:
    """The diamond and the prediction interval; returns the height at which the axis stands."""
    value, low, high, lower, upper = (plot.figure.number(name) for name in _SUMMARY)
    if value is None:
        return y
    words, scale, href = plot.frame.words, plot.scale, plot.frame.href(plot.figure.text("estimate"))
    shown = _in_numbers(plot.frame, plot.metric, value, (low, high))
    _numbers(plot, _Row(words.say("figure.summary"), value, low, high, href=href, text=shown), y)
    ends = scale(value if low is None else low), scale(value if high is None else high)
    plot.canvas.diamond(ends[0], scale(value), ends[1], y)
    if lower is not None and upper is not None:
        y += plot.layout.row if plot.layout.numbers else 14
        shown = _in_numbers(plot.frame, plot.metric, None, (lower, upper))
        _numbers(plot, _Row(words.say("figure.prediction"), None, lower, upper, href=href, text=shown), y)
        plot.canvas.box(scale(lower), y - 3, scale(upper) - scale(lower), 6, "prediction", round_=3)
    return y + 18


def _column_heads(plot: _Plot, weights: bool) -> None:
    words, right = plot.frame.words, plot.layout.right + _NUMBERS - 4
    plot.canvas.text(right, 12, words.say("figure.estimate_interval"), "tick", "end")
    if weights:
        plot.canvas.text(plot.frame.width, 12, words.say("figure.weight"), "tick", "end")


def _scale(figure: FigureData, rows: Sequence[_Row], left: float, right: float) -> Scale:
    """A scale that holds the estimates, the reference and the prediction interval, and the intervals within reason."""
    values = [row.value for row in rows]
    settings = [figure.number(name) for name in _SUMMARY]
    reference = figure.number("reference")
    core_low, core_high = extent(values, settings, include=[reference if reference is not None else 0.0])
    low, high = extent([row.low for row in rows], [row.high for row in rows], include=[core_low, core_high])
    reach = 0.75 * (core_high - core_low) or abs(core_high) or 1.0
    low, high = max(low, core_low - reach), min(high, core_high + reach)
    if figure.text("metric") == "r":
        low, high = max(low, -1.0), min(high, 1.0)
    return linear(low, high, left, right, ticks=6 if right - left > 250 else 5)


def _reference(plot: _Plot, top: float, bottom: float) -> None:
    reference = plot.figure.number("reference")
    at = 0.0 if reference is None else reference
    if plot.scale.holds(at):
        plot.canvas.line(plot.scale(at), top, plot.scale(at), bottom, "zero")


def _band(plot: _Plot, top: float, bottom: float) -> None:
    value, low, high = (plot.figure.number(name) for name in _SUMMARY[:3])
    scale = plot.scale
    if low is not None and high is not None:
        plot.canvas.box(scale(low), top, scale(high) - scale(low), bottom - top, "band")
    if value is not None:
        plot.canvas.line(scale(value), top, scale(value), bottom, "middle")


def _href(figure: FigureData, frame: Frame, number: int) -> str:
    """Where a row leads: to the row it is, or to the estimate behind it."""
    names = (figure.texts(name)[number] for name in ("row", "estimate"))
    return next((frame.href(name) for name in names if name), "")


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
