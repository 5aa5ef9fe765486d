"""Estimates with intervals, a row each: forest plot, leave-one-out and comparisons; and the specification curve.

On a wide page a row is label, plot, numbers; on a narrow one the label and numbers stand above the plot. A label that
is too long for its place takes as many lines as it needs: cut labels of different samples could look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from replication.report.figures.canvas import (
    Canvas,
    FigureData,
    Frame,
    Scale,
    extent,
    keys,
    linear,
    shorten,
    text_width,
    wrapped,
)

__all__ = ["comparison", "forest", "leave_one_out", "specification_curve"]

_SIZE = 12.0
_LINE_HEIGHT = 14.0
_NUMBERS = 168.0  # room for an estimate with its interval
_WEIGHT = 48.0  # and for a weight in per cent
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
    """Where the plot stands, and how many lines the label of a row takes."""

    left: float
    right: float
    wide: bool
    width: float

    @classmethod
    def of(cls, frame: Frame, rows: Sequence[_Row]) -> _Layout:
        """Labels left, numbers right on wide pages; both above the plot on narrow ones."""
        if not frame.wide:
            return cls(18, frame.width - 18, False, frame.width)
        # Headings run over the whole width: they must not make the column of labels wide.
        longest = max((text_width(row.label, _SIZE) for row in rows if not row.heading), default=0.0)
        room = _NUMBERS + (_WEIGHT if any(row.extra for row in rows) else 0.0)
        return cls(min(max(longest + 16, 152.0), 300.0), frame.width - room, True, frame.width)

    def lines(self, row: _Row) -> list[str]:
        """The label on as many lines as it needs."""
        if row.heading:
            return wrapped(row.label, self.width, _SIZE)
        beside = self.left - 10 if self.wide else self.width - 12 - text_width(row.text, _SIZE)
        return wrapped(row.label, beside, _SIZE)

    def height(self, row: _Row) -> float:
        """The height of a row: that of one line, and what further lines of its label add."""
        return (20.0 if self.wide or row.heading else 34.0) + _LINE_HEIGHT * (len(self.lines(row)) - 1)

    def middle(self, row: _Row) -> float:
        """How far below the top of a row its interval stands: in the middle, or below the label on narrow pages."""
        return self.height(row) / 2 if self.wide or row.heading else self.height(row) - 10.0


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
    """Every pooled sample with its interval, marks as large as their weight; means of parts and of all as diamonds.

    On top stands what the figure says, in numbers; at the foot what each mark is and what the figure rests on.
    """
    rows = _clustered(_effect_rows(figure, frame), figure.texts("cluster"))
    plot = _plot(figure, frame, rows)
    top = _headline(plot, 14.0) + (16 if frame.wide else 4)
    if frame.wide:
        _column_heads(plot, top - 6, any(row.extra for row in rows))
    # Heights are summed before anything is drawn: lines that run behind all rows are drawn first.
    bottom = top + sum(plot.layout.height(row) for row in rows) + 6
    _reference(plot, top, bottom + 50)
    _pooled_line(plot, top, bottom + 14)
    _draw_rows(plot, rows, top)
    plot.canvas.line(0, bottom, frame.width, bottom, "rule")
    _finish(plot, top, _summary(plot, bottom + 4))
    _legend(plot, rows)
    _source(plot)
    return plot.canvas


def leave_one_out(figure: FigureData, frame: Frame) -> Canvas:
    """The summary with each row left out in turn, over the band of the whole."""
    return comparison(figure, frame)


def comparison(figure: FigureData, frame: Frame) -> Canvas:
    """Several answers to one question, an interval each, in their groups, over the band of the whole."""
    rows = _clustered(_effect_rows(figure, frame, "dot"), figure.texts("group"))
    plot = _plot(figure, frame, rows)
    top = 8.0
    bottom = top + 6 + sum(plot.layout.height(row) for row in rows)
    _reference(plot, top, bottom)
    banded = _band(plot, top, bottom)
    _draw_rows(plot, rows, top)
    _finish(plot, top, bottom)
    if banded:
        words = frame.words.say(f"figure.band_{figure.kind}")
        plot.canvas.height = keys(plot.canvas, plot.canvas.height + 8, [("box", "band swatch", words)])
    return plot.canvas


def _plot(figure: FigureData, frame: Frame, rows: Sequence[_Row]) -> _Plot:
    layout = _Layout.of(frame, rows)
    return _Plot(Canvas(frame), figure, frame, layout, _scale(figure, rows, layout.left, layout.right))


def _finish(plot: _Plot, top: float, bottom: float) -> None:
    """The axis below everything."""
    label = plot.figure.text("x_label") or plot.frame.words.term("metrics", plot.figure.text("metric", "estimate"))
    plot.canvas.axis(plot.scale, bottom, top, label)
    plot.canvas.height = bottom + 40


def _headline(plot: _Plot, y: float) -> float:
    """What the figure says: the pooled value with both intervals and how much it rests on; returns the height below."""
    figure, words = plot.figure, plot.frame.words
    value, low, high, lower, upper = (figure.number(name) for name in _SUMMARY)
    samples = figure.number("samples")
    if value is None or samples is None:
        return 8.0
    pooled = _in_numbers(plot.frame, plot.metric, value, (low, high))
    parts = [words.say("figure.headline", value=pooled, k=samples)]
    if lower is not None and upper is not None:
        parts.append(words.say("figure.headline_further", interval=words.interval(lower, upper, plot.metric)))
    for line in wrapped(" ".join(parts), plot.frame.width, 13):
        plot.canvas.text(0, y, line, "strong")
        y += 16
    return y


def _legend(plot: _Plot, rows: Sequence[_Row]) -> None:
    """What each mark of a forest plot is; only marks that are drawn."""
    say, drawn = plot.frame.words.say, {row.css for row in rows}
    parts = any(row.shape == "diamond" for row in rows)
    entries = [("square", "mark effect", say("figure.mark_sample"))] if "mark effect" in drawn else []
    if "mark new" in drawn:
        entries.append(("triangle", "mark new", say("figure.mark_new")))
    if parts:
        entries.append(("diamond", "mark effect", say("figure.mark_part")))
    if plot.figure.number("summary") is not None:
        entries.append(("diamond", "summary", say("figure.mark_pooled")))
    if plot.figure.number("prediction_low") is not None:
        entries.append(("box", "prediction", say("figure.mark_further")))
    if entries:
        plot.canvas.height = keys(plot.canvas, plot.canvas.height + 10, entries)


def _source(plot: _Plot) -> None:
    """The line that says what the figure rests on."""
    samples, persons = plot.figure.number("samples"), plot.figure.number("persons")
    if samples is None or persons is None:
        return
    line = plot.frame.words.say("figure.source", k=samples, n=persons)
    y = plot.canvas.height + 6
    for part in wrapped(line, plot.frame.width, 10):
        y += 12
        plot.canvas.text(0, y, part, "small")
    plot.canvas.height = y + 6


def _effect_rows(figure: FigureData, frame: Frame, shape: str = "square") -> list[_Row]:
    value, low, high = (figure.numbers(name) for name in ("value", "low", "high"))
    weight, labels, levels = figure.numbers("weight"), figure.texts("label"), figure.texts("level")
    new, shown = figure.flags("new"), figure.texts("shown")
    heaviest = max((w for w in weight if w is not None), default=0.0) or 1.0
    rows = []
    for i in range(len(figure)):
        share = weight[i]
        # The root: the eye compares areas, and an area grows with the square of the side.
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
        # A heading over one row of the same name would say it twice.
        if cluster and (len(members) > 1 or cluster != members[0].label):
            result.append(_Row(cluster, None, None, None, heading=True))
        result += members
    return result


def _draw_rows(plot: _Plot, rows: Sequence[_Row], top: float) -> None:
    layout = plot.layout
    for row in rows:
        y = top + layout.middle(row)
        if row.heading:
            for number, line in enumerate(layout.lines(row)):
                plot.canvas.text(0, top + 14 + _LINE_HEIGHT * number, line, "strong")
        else:
            _numbers(plot, row, top, y)
            _interval(plot, row, y)
            if row.value is not None:
                plot.canvas.mark(plot.scale(row.value), y, row.size, row.shape, row.css)
        top += layout.height(row)


def _numbers(plot: _Plot, row: _Row, top: float, y: float) -> None:
    """The label and the numbers of a row: beside the plot when there is room, else above it."""
    canvas, layout = plot.canvas, plot.layout
    lines = layout.lines(row)
    first = y + 4 - _LINE_HEIGHT * (len(lines) - 1) / 2 if layout.wide else top + 14
    for number, line in enumerate(lines):
        canvas.text(0, first + _LINE_HEIGHT * number, line, "row", href=row.href)
    if not layout.wide:
        canvas.text(plot.frame.width, first, row.text, "value", "end")
        return
    canvas.text(layout.right + _NUMBERS - 4, y + 4, row.text, "value", "end")
    if row.extra:
        canvas.text(plot.frame.width, y + 4, row.extra, "tick", "end")


def _interval(plot: _Plot, row: _Row, y: float) -> None:
    """The interval as a line; an arrow head where it runs off the scale."""
    if row.low is None or row.high is None:
        return
    scale = plot.scale
    plot.canvas.line(scale(row.low), y, scale(row.high), y, "interval")
    # Cut off without a sign, an endless interval would look like a short one.
    for end, beyond, step in ((row.low, row.low < scale.low, 5), (row.high, row.high > scale.high, -5)):
        if beyond:
            x = scale(end)
            plot.canvas.path([(x + step, y - 4), (x, y), (x + step, y + 4)], "interval")


def _summary(plot: _Plot, top: float) -> float:
    """The diamond and the interval for a further sample; returns the height at which the axis stands."""
    value, low, high, lower, upper = (plot.figure.number(name) for name in _SUMMARY)
    if value is None:
        return top + 14
    words, scale, href = plot.frame.words, plot.scale, plot.frame.href(plot.figure.text("estimate"))
    shown = _in_numbers(plot.frame, plot.metric, value, (low, high))
    row = _Row(words.say("figure.summary"), value, low, high, href=href, text=shown)
    y = top + plot.layout.middle(row)
    _numbers(plot, row, top, y)
    # Without an interval the diamond shrinks to a point and is still seen.
    ends = scale(value if low is None else low), scale(value if high is None else high)
    plot.canvas.diamond(ends[0], scale(value), ends[1], y)
    if lower is not None and upper is not None:
        top += plot.layout.height(row)
        shown = _in_numbers(plot.frame, plot.metric, None, (lower, upper))
        row = _Row(words.say("figure.further"), None, lower, upper, href=href, text=shown)
        y = top + plot.layout.middle(row)
        _numbers(plot, row, top, y)
        plot.canvas.box(scale(lower), y - 3, scale(upper) - scale(lower), 6, "prediction", round_=3)
    return top + plot.layout.height(row) + 8


def _column_heads(plot: _Plot, y: float, weights: bool) -> None:
    words, right = plot.frame.words, plot.layout.right + _NUMBERS - 4
    plot.canvas.text(right, y, words.say("figure.estimate_interval"), "tick", "end")
    if weights:
        plot.canvas.text(plot.frame.width, y, words.say("figure.weight"), "tick", "end")


def _scale(figure: FigureData, rows: Sequence[_Row], left: float, right: float) -> Scale:
    """A scale that holds the estimates, the reference and the prediction interval, and the intervals within reason.

    The pages of one figure share their ends by `scale_low` and `scale_high`.
    """
    values = [row.value for row in rows]
    settings = [figure.number(name) for name in (*_SUMMARY, "scale_low", "scale_high")]
    reference = figure.number("reference")
    core_low, core_high = extent(values, settings, include=[reference if reference is not None else 0.0])
    low, high = extent([row.low for row in rows], [row.high for row in rows], include=[core_low, core_high])
    # One tiny study with an endless interval must not press all others together: it gets an arrow head.
    reach = 0.75 * (core_high - core_low) or abs(core_high) or 1.0
    low, high = max(low, core_low - reach), min(high, core_high + reach)
    if figure.number("pages") is not None:
        low, high = core_low - 0.25 * reach, core_high + 0.25 * reach  # not that of the intervals of this page alone
    # No correlation lies beyond 1, so no tick should.
    if figure.text("metric") == "r":
        low, high = max(low, -1.0), min(high, 1.0)
    return linear(low, high, left, right, ticks=6 if right - left > 250 else 5)


def _reference(plot: _Plot, top: float, bottom: float) -> None:
    reference = plot.figure.number("reference")
    at = 0.0 if reference is None else reference
    if plot.scale.holds(at):
        plot.canvas.line(plot.scale(at), top, plot.scale(at), bottom, "zero")


def _pooled_line(plot: _Plot, top: float, bottom: float) -> None:
    """The pooled value through all rows."""
    value = plot.figure.number("summary")
    if value is not None:
        plot.canvas.line(plot.scale(value), top, plot.scale(value), bottom, "middle")


def _band(plot: _Plot, top: float, bottom: float) -> bool:
    """The interval of the whole behind the rows, and its value as a line; whether there is one."""
    low, high = (plot.figure.number(name) for name in _SUMMARY[1:3])
    scale = plot.scale
    if low is not None and high is not None:
        plot.canvas.box(scale(low), top, scale(high) - scale(low), bottom - top, "band")
    _pooled_line(plot, top, bottom)
    return low is not None and high is not None


def _href(figure: FigureData, frame: Frame, number: int) -> str:
    """Where a row leads: to the row it is, or to the estimate behind it."""
    names = (figure.texts(name)[number] for name in ("row", "estimate"))
    return next((frame.href(name) for name in names if name), "")


_DRAWN = ("value", "low", "high", "row", "adjusted")
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
    adjusted = figure.flags("adjusted")
    for number, members in enumerate(columns):
        _bar(canvas, y, left + step * (number + 0.5), [[each[i] for i in members] for each in (value, low, high)])
    for number, members in enumerate(columns):  # above the bars: what the models of bias give there
        found = sorted(v for i in members if adjusted[i] and (v := value[i]) is not None)
        if found:
            canvas.mark(left + step * (number + 0.5), y(found[len(found) // 2]), 3.2, "triangle", "point new")
    summary = figure.number("summary")
    if summary is not None:
        canvas.line(left, y(summary), right, y(summary), "middle")
    for tick in y.ticks:
        canvas.text(left - 6, y(tick) + 4, frame.words.numerals.show(tick, "tick"), "tick", "end")
    canvas.text(12, top + 12, frame.words.term("metrics", figure.text("metric", "r")), "label")
    canvas.height = _choices(canvas, figure, columns, left, step, top + _TALL + 12) + 6
    if any(adjusted):
        entries = [("triangle", "point new", frame.words.say("figure.mark_adjusted"))]
        canvas.height = keys(canvas, canvas.height + 4, entries)
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
        # The middle one and not the mean: every mark is then a model that was run.
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
    # Rounded up: an option chosen once must not be shown as never chosen.
    shades = [min(_STEPS, int(share * _STEPS + 0.999)) for share in shares]
    start = 0
    for end in range(1, len(shades) + 1):
        if end == len(shades) or shades[end] != shades[start]:
            if shades[start]:
                canvas.box(left + step * start, y, step * (end - start), 9, f"density-{shades[start]}")
            start = end
