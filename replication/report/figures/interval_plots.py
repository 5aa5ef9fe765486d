"""Estimates with intervals, a row each: forest plot, leave-one-out and comparisons.

On a wide page a row is label, plot, numbers; on a narrow one the label and numbers stand above the plot. A label that
is too long for its place takes as many lines as it needs: cut labels of different samples could look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

__all__ = ["comparison", "forest", "leave_one_out"]

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

    def in_numbers(self, value: float | None, low: float | None, high: float | None) -> str:
        """An estimate with its interval, in the decimals of the figure."""
        return _in_numbers(self.figure, self.frame, value, (low, high))


def forest(figure: FigureData, frame: Frame) -> Canvas:
    """Every pooled sample with its interval, marks as large as their weight; means of parts and of all as diamonds.

    At the foot stands what each mark is.
    """
    rows = _clustered(_effect_rows(figure, frame), figure.texts("cluster"))
    plot = _plot(figure, frame, rows)
    top = 20.0 if frame.wide else 4.0
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
    entries = _marks(plot, rows)
    if banded:
        entries.append(("box", "band swatch", frame.words.say(f"figure.band_{figure.kind}")))
    plot.canvas.height = keys(plot.canvas, plot.canvas.height + 8, entries)
    return plot.canvas


def _marks(plot: _Plot, rows: Sequence[_Row]) -> list[tuple[str, str, str]]:
    """What the marks of a comparison are: only those that are drawn."""
    say, drawn = plot.frame.words.say, {row.css for row in rows}
    named = (
        ("dot", "mark effect", "mark_ours"),
        ("square", "mark printed", "mark_printed"),
        ("triangle", "mark new", "mark_new"),
    )
    return [(shape, css, say(f"figure.{key}")) for shape, css, key in named if css in drawn]


def _plot(figure: FigureData, frame: Frame, rows: Sequence[_Row]) -> _Plot:
    layout = _Layout.of(frame, rows)
    return _Plot(Canvas(frame), figure, frame, layout, _scale(figure, rows, layout.left, layout.right))


def _finish(plot: _Plot, top: float, bottom: float) -> None:
    """The axis below everything."""
    label = plot.figure.text("x_label") or plot.frame.words.term("metrics", plot.figure.text("metric", "estimate"))
    foot = plot.canvas.axis(plot.scale, bottom, top, label, decimals=plot.figure.decimals)
    plot.canvas.height = foot


def _legend(plot: _Plot, rows: Sequence[_Row]) -> None:
    """What each mark of a forest plot is; only marks that are drawn."""
    say, drawn = plot.frame.words.say, {row.css for row in rows}
    parts = any(row.shape == "diamond" for row in rows)
    entries = [("square", "mark effect", say("figure.mark_sample"))] if "mark effect" in drawn else []
    if "mark new" in drawn:
        entries.append(("triangle", "mark new", say("figure.mark_new")))
    if parts:
        entries.append(("diamond", "mark part", say("figure.mark_part")))
    if plot.figure.number("summary") is not None:
        entries.append(("diamond", "summary", say("figure.mark_pooled")))
    if plot.figure.number("prediction_low") is not None:
        entries.append(("box", "prediction", say("figure.mark_further")))
    if entries:
        plot.canvas.height = keys(plot.canvas, plot.canvas.height + 10, entries)


def _effect_rows(figure: FigureData, frame: Frame, shape: str = "square") -> list[_Row]:
    value, low, high = (figure.numbers(name) for name in ("value", "low", "high"))
    weight, labels, levels = figure.numbers("weight"), figure.texts("label"), figure.texts("level")
    new = figure.flags("new")
    heaviest = max((w for w in weight if w is not None), default=0.0) or 1.0
    rows = []
    for i in range(len(figure)):
        share = weight[i]
        # The root: the eye compares areas, and an area grows with the square of the side.
        size = 3.8 if share is None else 2.0 + 4.5 * (share / heaviest) ** 0.5
        css, mark = _look(levels[i], new[i], shape)
        extra = "" if share is None else frame.words.numerals.show(share, "percent")
        numbers = _in_numbers(figure, frame, value[i], (low[i], high[i]))
        label = frame.words.say("figure.part_mean") if levels[i] == "cluster" else labels[i]
        rows.append(
            _Row(label, value[i], low[i], high[i], css, mark, size, _href(figure, frame, i), extra, text=numbers)
        )
    return rows


def _look(level: str, new: bool, shape: str) -> tuple[str, str]:
    """Class and shape of a mark: the mean of a cluster or its rest, a printed number, a row added since, or another."""
    if level in ("cluster", "rest"):
        return "mark part", "diamond"
    if level == "printed":
        return "mark printed", "square"
    return ("mark new", "triangle") if new else ("mark effect", shape)


def _in_numbers(figure: FigureData, frame: Frame, value: float | None, ends: tuple[float | None, float | None]) -> str:
    show, kind = frame.words.numerals, figure.shown_as
    shown = "" if value is None else show.show(value, kind)
    return f"{shown} {show.between(*ends, kind)}".strip()


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
            if row.css == "mark part" and row.value is not None and row.low is not None and row.high is not None:
                low, middle, high = (plot.scale(end) for end in (row.low, row.value, row.high))
                plot.canvas.diamond(low, middle, high, y, css="mark part")
                top += layout.height(row)
                continue
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
    shown = plot.in_numbers(value, low, high)
    row = _Row(words.say("figure.summary"), value, low, high, href=href, text=shown)
    y = top + plot.layout.middle(row)
    _numbers(plot, row, top, y)
    # Without an interval the diamond shrinks to a point and is still seen.
    ends = scale(value if low is None else low), scale(value if high is None else high)
    plot.canvas.diamond(ends[0], scale(value), ends[1], y)
    if lower is not None and upper is not None:
        top += plot.layout.height(row)
        shown = plot.in_numbers(None, lower, upper)
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
