"""Points over two axes with curves and a band: meta-regression, radial, quantile and GOSH plots, p-value functions.

One drawing serves them all, because they differ in what is computed and not in what is drawn. Swarms of effects by
group (orchard) stand beside it. The library draws all of these (`replication.frames.plots`); a finding's page opens
with an orchard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from replication.report.figures.canvas import (
    Canvas,
    FigureData,
    Frame,
    Label,
    Scale,
    extent,
    keys,
    linear,
    shorten,
    text_width,
)

__all__ = ["orchard", "relation"]

_STYLES = ("curve-a", "curve-b", "curve-c", "curve-d", "curve-e", "curve-f")


def relation(figure: FigureData, frame: Frame) -> Canvas:
    """Points sized by weight, lines by name, thin lines without one, and the band between "low" and "high"."""
    xs, ys, roles = figure.numbers("x"), figure.numbers("y"), figure.texts("role")
    canvas, top, left, right = Canvas(frame), 12.0, 58.0, frame.width - 16
    bottom = top + (320 if frame.wide else 280)
    x = linear(*_range(xs), left, right, ticks=7 if frame.wide else 5)
    y_low, y_high = figure.number("y_low"), figure.number("y_high")
    reach = _range(ys) if y_low is None or y_high is None else (y_low, y_high)
    y = linear(*reach, bottom, top, ticks=5)
    canvas.box(left, top, right - left, bottom - top, "field")
    low, high = (_curve(figure, role, x, y) for role in ("low", "high"))
    if low and high:
        # Along the lower edge and back along the upper one: the outline of the band.
        canvas.path([*low, *reversed(high)], "band", closed=True)
    if y.holds(0.0):
        canvas.line(left, y(0.0), right, y(0.0), "zero")
    thin = dict.fromkeys(name for name, role in zip(figure.texts("label"), roles, strict=True) if role == "thin")
    for name in thin:
        canvas.path(_curve(figure, "thin", x, y, name), "interval thin")
    _lines(canvas, figure, x, y)
    _points(canvas, figure, frame, x, y)
    for tick in y.ticks:
        canvas.text(left - 6, y(tick) + 4, frame.words.numerals.show(tick, "tick"), "tick", "end")
        canvas.line(left - 3, y(tick), left, y(tick), "axis")
    canvas.labels.append(Label(12, (top + bottom) / 2, figure.text("y_label"), "label", "middle", turned=True))
    canvas.axis(x, bottom, bottom, figure.text("x_label"))
    names = list(dict.fromkeys(figure.texts("label")[i] for i, role in enumerate(roles) if role == "line"))
    for number, name in enumerate(names if len(names) > 1 else ()):
        at = bottom + 46 + 18 * number
        canvas.line(left, at, left + 26, at, _STYLES[number % len(_STYLES)])
        canvas.text(left + 34, at + 4, name, "row")
    canvas.height = bottom + 48 + (18 * len(names) if len(names) > 1 else 0)
    return canvas


def _range(values: list[float | None]) -> tuple[float, float]:
    """From the smallest to the largest number with a margin, so that no mark is cut by the frame."""
    low, high = extent(values)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _curve(figure: FigureData, role: str, x: Scale, y: Scale, name: str | None = None) -> list[tuple[float, float]]:
    columns = zip(figure.numbers("x"), figure.numbers("y"), figure.texts("role"), figure.texts("label"), strict=True)
    return [
        (x(a), y(b))
        for a, b, r, label in columns
        if r == role and a is not None and b is not None and (name is None or label == name)
    ]


def _lines(canvas: Canvas, figure: FigureData, x: Scale, y: Scale) -> None:
    roles, labels = figure.texts("role"), figure.texts("label")
    names = dict.fromkeys(labels[i] for i, role in enumerate(roles) if role == "line")
    for number, name in enumerate(names):
        canvas.path(_curve(figure, "line", x, y, name), _STYLES[number % len(_STYLES)])


def _points(canvas: Canvas, figure: FigureData, frame: Frame, x: Scale, y: Scale) -> None:
    xs, ys, weights = figure.numbers("x"), figure.numbers("y"), figure.numbers("weight")
    heaviest = max((w for w in weights if w is not None), default=0.0) or 1.0
    for i, role in enumerate(figure.texts("role")):
        a, b, weight = xs[i], ys[i], weights[i]
        if role != "point" or a is None or b is None:
            continue
        size = 4.0 if weight is None else 2.0 + 9.0 * (weight / heaviest) ** 0.5
        tip = f"{figure.texts('label')[i]}: {frame.words.number(a)}; {frame.words.number(b)}"
        canvas.mark(x(a), y(b), size, "dot", "point effect", tip=tip)


def orchard(figure: FigureData, frame: Frame) -> Canvas:
    """Groups of effects as swarms sized by precision, each with its mean, interval and prediction interval."""
    roles, groups, values = figure.texts("role"), figure.texts("group"), figure.numbers("value")
    canvas, left, right, top = Canvas(frame), 12.0, frame.width - 12, 4.0
    ends = [figure.numbers(n) for n in ("low", "high", "prediction_low", "prediction_high")]
    x = linear(*extent(values, *ends, include=[figure.number("reference") or 0.0]), left, right)
    marks = {"means": False, "further": False}
    bottom = top
    for name in dict.fromkeys(groups):
        members = [i for i, g in enumerate(groups) if g == name and roles[i] != "summary" and values[i] is not None]
        means = [i for i, g in enumerate(groups) if g == name and roles[i] == "summary" and values[i] is not None]
        lifts = _swarm([x(values[i] or 0.0) for i in members])
        # A group is as high as its swarm: one without effects of its own takes no empty room.
        middle = bottom + 26 - min(lifts, default=-4.0)
        _orchard_name(canvas, figure, name, means, bottom + 14)
        _orchard_effects(canvas, figure, x, middle, members, lifts)
        for i in means:
            _orchard_summary(canvas, x, middle + 14, values[i], [end[i] for end in ends])
            marks |= {"means": True, "further": marks["further"] or ends[2][i] is not None}
        bottom = middle + 28
    if x.holds(0.0):
        canvas.behind.append(f'<path d="M{x(0.0):.1f} {top:.1f}V{bottom:.1f}" class="zero"/>')
    canvas.axis(x, bottom, top, frame.words.term("metrics", figure.text("metric", "r")))
    canvas.height = keys(canvas, bottom + 42, _orchard_keys(frame, **marks))
    return canvas


def _orchard_keys(frame: Frame, means: bool, further: bool) -> list[tuple[str, str, str]]:
    """What the marks are: only those that are drawn."""
    entries = [("dot", "point effect", frame.words.say("figure.key_effect"))]
    if means:
        entries += [("diamond", "summary", frame.words.say("figure.key_mean"))]
    if further:
        entries += [("line", "interval", frame.words.say("figure.key_further"))]
    return entries


def _orchard_name(canvas: Canvas, figure: FigureData, name: str, means: Sequence[int], y: float) -> None:
    """The name of a group, and at the right end its mean with the interval in digits."""
    words, metric, shown = canvas.frame.words, figure.text("metric", "r"), ""
    for i in means[:1]:
        ends = words.interval(figure.numbers("low")[i], figure.numbers("high")[i], metric)
        shown = f"{words.metric(figure.numbers('value')[i], metric)} {ends}".strip()
        href = canvas.frame.href(figure.texts("row")[i])
        canvas.text(canvas.width - 12, y, shown, "value", "end", href=href)
    canvas.text(12, y, shorten(name, canvas.width - 36 - text_width(shown, 12), 12), "strong")


def _orchard_effects(
    canvas: Canvas, figure: FigureData, x: Scale, y: float, members: Sequence[int], lifts: Sequence[float]
) -> None:
    values, weights, words = figure.numbers("value"), figure.numbers("weight"), canvas.frame.words
    heaviest = max((w for w in weights if w is not None), default=1.0) or 1.0
    for i, lift in zip(members, lifts, strict=True):
        radius = 1.6 + 3.2 * ((weights[i] or 0.0) / heaviest) ** 0.5
        tip = f"{figure.texts('label')[i]}: {words.metric(values[i], figure.text('metric'))}"
        href = canvas.frame.href(figure.texts("row")[i])
        canvas.dot(x(values[i] or 0.0), y + lift, radius, "point effect", href=href, tip=tip)


def _orchard_summary(canvas: Canvas, x: Scale, y: float, value: float | None, ends: Sequence[float | None]) -> None:
    low, high, prediction_low, prediction_high = ends
    if prediction_low is not None and prediction_high is not None:
        canvas.line(x(prediction_low), y, x(prediction_high), y, "interval")
    if low is not None and high is not None:
        canvas.box(x(low), y - 3, x(high) - x(low), 6, "summary", round_=3)
    if value is not None:
        canvas.mark(x(value), y, 5, "diamond", "summary")


def _swarm(places: Sequence[float]) -> list[float]:
    """A height above the line for each point, so that points at nearly the same place do not hide each other."""
    taken: Counter[int] = Counter()
    lifts = []
    for place in places:
        cell = round(place / 7)
        step = taken[cell]
        taken[cell] += 1
        # Upwards only: below the swarm stand the summary and its interval.
        lifts.append(-min(28.0, 5.0 * step))
    return lifts
