"""Points over two axes with curves and a band: meta-regression, radial, quantile and GOSH plots, p-value functions.

One drawing serves them all, because they differ in what is computed and not in what is drawn. Swarms of effects by
group (orchard) and by country stand beside it. The library draws these (`replication.frames.plots`) but for the
countries; a finding's page opens with an orchard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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

__all__ = ["countries", "orchard", "relation"]

_STYLES = ("curve-a", "curve-b", "curve-c", "curve-d", "curve-e", "curve-f")


def relation(figure: FigureData, frame: Frame) -> Canvas:
    """Points sized by weight, lines by name, thin lines without one, and the band between "low" and "high"."""
    xs, ys, roles = figure.numbers("x"), figure.numbers("y"), figure.texts("role")
    canvas, top, left, right = Canvas(frame), 12.0, 58.0, frame.width - 16
    bottom = top + (320 if frame.wide else 280)
    x = linear(*_range(xs), left, right, ticks=7 if frame.wide else 5)
    y_low, y_high = figure.number("y_low"), figure.number("y_high")
    # A figure whose axis has ends of its own (a probability) is not cut to its data.
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
    canvas.side_axis(y, left, figure.text("y_label"))
    foot = canvas.axis(x, bottom, bottom, figure.text("x_label"))
    names = list(dict.fromkeys(figure.texts("label")[i] for i, role in enumerate(roles) if role == "line"))
    entries = [("line", _STYLES[number % len(_STYLES)], name) for number, name in enumerate(names)]
    canvas.height = keys(canvas, foot, entries) if len(names) > 1 else foot
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
    # Areas are compared, so the radius grows with the root of the weight.
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
    canvas, left, right, top = Canvas(frame), 20.0, frame.width - 20, 4.0
    ends = [figure.numbers(n) for n in ("low", "high", "prediction_low", "prediction_high")]
    x = linear(*extent(values, *ends, include=[figure.number("reference") or 0.0]), left, right)
    marks = {"means": False, "further": False}
    bottom = top
    for name in dict.fromkeys(groups):
        members = [i for i, g in enumerate(groups) if g == name and roles[i] != "summary" and values[i] is not None]
        means = [i for i, g in enumerate(groups) if g == name and roles[i] == "summary" and values[i] is not None]
        lifts = _swarm([x(values[i] or 0.0) for i in members])
        # A group is as high as its swarm: one without effects of its own takes no empty room.
        middle = _orchard_name(canvas, figure, name, means, bottom + 14) + 12 - min(lifts, default=-4.0)
        _orchard_effects(canvas, figure, x, middle, members, lifts)
        for i in means:
            _orchard_summary(canvas, x, middle + 14, values[i], [end[i] for end in ends])
            marks |= {"means": True, "further": marks["further"] or ends[2][i] is not None}
        bottom = middle + 28
    if x.holds(0.0):
        canvas.behind.append(f'<path d="M{x(0.0):.1f} {top:.1f}V{bottom:.1f}" class="zero"/>')
    metric = frame.words.term("metrics", figure.text("metric", "r"))
    foot = canvas.axis(x, bottom, top, metric, decimals=figure.decimals)
    canvas.height = keys(canvas, foot, _orchard_keys(frame, **marks))
    return canvas


def _orchard_keys(frame: Frame, means: bool, further: bool) -> list[tuple[str, str, str]]:
    """What the marks are: only those that are drawn."""
    entries = [("dot", "point effect", frame.words.say("figure.key_effect"))]
    if means:
        entries += [("diamond", "summary", frame.words.say("figure.key_mean"))]
    if further:
        entries += [("line", "interval", frame.words.say("figure.key_further"))]
    return entries


def _orchard_name(canvas: Canvas, figure: FigureData, name: str, means: Sequence[int], y: float) -> float:
    """The name of a group, and at the right end its mean with the interval in digits; returns where the name ends."""
    show, kind, shown = canvas.frame.words.numerals, figure.shown_as, ""
    for i in means[:1]:
        ends = show.between(figure.numbers("low")[i], figure.numbers("high")[i], kind)
        shown = f"{show.show(figure.numbers('value')[i], kind)} {ends}".strip()
        href = canvas.frame.href(figure.texts("row")[i])
        canvas.text(canvas.width - 12, y, shown, "value", "end", href=href)
    lines = wrapped(name, canvas.width - 40 - 1.1 * text_width(shown, 12), 13)
    for number, line in enumerate(lines):
        canvas.text(12, y + 14 * number, line, "strong")
    return y + 14 * (len(lines) - 1)


def _orchard_effects(
    canvas: Canvas, figure: FigureData, x: Scale, y: float, members: Sequence[int], lifts: Sequence[float]
) -> None:
    values, weights, words = figure.numbers("value"), figure.numbers("weight"), canvas.frame.words
    labels, rows = figure.texts("label"), figure.texts("row")
    heaviest = max((w for w in weights if w is not None), default=1.0) or 1.0
    for i, lift in zip(members, lifts, strict=True):
        radius = 1.6 + 3.2 * ((weights[i] or 0.0) / heaviest) ** 0.5
        tip = f"{labels[i]}: {words.metric(values[i], figure.text('metric'))}"
        href = canvas.frame.href(rows[i])
        canvas.dot(x(values[i] or 0.0), y + lift, radius, "point effect", href=href, tip=tip)


def _orchard_summary(canvas: Canvas, x: Scale, y: float, value: float | None, ends: Sequence[float | None]) -> None:
    low, high, prediction_low, prediction_high = ends
    if prediction_low is not None and prediction_high is not None:
        canvas.line(x(prediction_low), y, x(prediction_high), y, "interval")
    if low is not None and high is not None:
        canvas.box(x(low), y - 3, x(high) - x(low), 6, "summary", round_=3)
    if value is not None:
        canvas.mark(x(value), y, 5, "diamond", "summary")


def countries(figure: FigureData, frame: Frame) -> Canvas:
    """A row a country with a dot a sample, as large as its weight; through all rows the pooled mean and its reach."""
    groups, values = figure.texts("group"), figure.numbers("value")
    canvas, top = Canvas(frame), 6.0
    left, right = (190.0, frame.width - 96) if frame.wide else (18.0, frame.width - 18)
    ends = [figure.number(name) for name in ("summary", "prediction_low", "prediction_high")]
    x = linear(*extent(values, ends, include=[figure.number("reference") or 0.0]), left, right)
    bottom = top
    for name in dict.fromkeys(groups):
        members = [i for i, group in enumerate(groups) if group == name and values[i] is not None]
        bottom = _country_row(canvas, figure, x, bottom, name, members)
    _country_whole(canvas, figure, x, top, bottom)
    metric = frame.words.term("metrics", figure.text("metric", "r"))
    foot = canvas.axis(x, bottom, top, metric, decimals=figure.decimals)
    say = frame.words.say
    entries = [
        ("dot", "point effect", say("figure.mark_published")),
        ("triangle", "point new", say("figure.mark_open")),
    ]
    drawn = [entry for entry, new in zip(entries, (False, True), strict=True) if new in figure.flags("new")]
    if ends[0] is not None:
        drawn.append(("line", "middle", say("figure.mark_pooled")))
    if ends[1] is not None:
        drawn.append(("box", "band swatch", say("figure.mark_further")))
    canvas.height = keys(canvas, foot, drawn)
    return canvas


def _country_row(canvas: Canvas, figure: FigureData, x: Scale, top: float, name: str, members: Sequence[int]) -> float:
    """The name of a country, its samples as marks, and how many they are; returns the height below."""
    words, wide, values = canvas.frame.words, canvas.frame.wide, figure.numbers("value")
    lifts = _swarm([x(values[i] or 0.0) for i in members])
    lines = wrapped(name, 178 if wide else canvas.width - 100, 12)
    label = 14.0 * len(lines)
    line = top + (max(14.0 - min(lifts, default=0.0), 7 + label / 2) if wide else label + 12 - min(lifts, default=0.0))
    first = line + 4 - label / 2 + 7 if wide else top + 12
    for number, part in enumerate(lines):
        canvas.text(0, first + 14 * number, part, "row")
    counts = figure.numbers("count")
    samples = sum(1 if counts[i] is None else int(counts[i] or 0) for i in members)
    counted = words.say("figure.samples_one" if samples == 1 else "figure.samples", k=samples)
    canvas.text(canvas.width, first, counted, "tick", "end")
    weights, new = figure.numbers("weight"), figure.flags("new")
    labels, rows = figure.texts("label"), figure.texts("row")
    heaviest = max((w for w in weights if w is not None), default=1.0) or 1.0
    for i, lift in zip(members, lifts, strict=True):
        size = 2.4 + 3.2 * ((weights[i] or 0.0) / heaviest) ** 0.5
        tip = f"{labels[i]}: {words.numerals.show(values[i], figure.shown_as)}"
        shape, css = ("triangle", "point new") if new[i] else ("dot", "point effect")
        href = canvas.frame.href(rows[i])
        canvas.mark(x(values[i] or 0.0), line + lift, size, shape, css, href=href, tip=tip)
    below = max(line + 9, first + 14 * (len(lines) - 1) + 6)
    canvas.behind.append(f'<path d="M0 {below:.1f}H{canvas.width:.1f}" class="grid"/>')
    return below


def _country_whole(canvas: Canvas, figure: FigureData, x: Scale, top: float, bottom: float) -> None:
    """The pooled mean as a line, where a further sample is expected as a band, and the line of no association."""
    low, high = figure.number("prediction_low"), figure.number("prediction_high")
    if low is not None and high is not None:
        area = f'x="{x(low):.1f}" y="{top:.1f}" width="{x(high) - x(low):.1f}" height="{bottom - top:.1f}"'
        canvas.behind.insert(0, f'<rect {area} class="band"/>')
    for value, css in ((figure.number("summary"), "middle"), (0.0, "zero")):
        if value is not None and x.holds(value):
            canvas.behind.append(f'<path d="M{x(value):.1f} {top:.1f}V{bottom:.1f}" class="{css}"/>')


def _swarm(places: Sequence[float]) -> list[float]:
    """A height above the line for each point, so that points at nearly the same place do not hide each other."""
    taken: Counter[int] = Counter()
    lifts = []
    for place in places:
        # About the width of a point, so that neighbours in one cell would touch.
        cell = round(place / 7)
        step = taken[cell]
        taken[cell] += 1
        # Upwards only: below the swarm stand the summary and its interval.
        lifts.append(-min(28.0, 5.0 * step))
    return lifts
