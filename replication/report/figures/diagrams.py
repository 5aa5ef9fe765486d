"""Figures of relations: path diagrams, effect directions, the strip of verdicts, predictions against new data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replication.report.figures.canvas import Canvas, Frame, Scale, linear, shorten, text_width
from replication.report.figures.data import FigureData

__all__ = ["VERDICT_MARKS", "calibration", "effect_direction", "path_diagram", "verdict_strip"]

VERDICT_MARKS: Mapping[str, tuple[str, str]] = {
    "DIFFERS": ("cross", "v-differs"),
    "INCONSISTENT": ("triangle", "v-inconsistent"),
    "DIFFERS_EXPLAINED": ("diamond", "v-explained"),
    "MATCH": ("dot", "v-match"),
    "CONSISTENT": ("square", "v-consistent"),
}
"""The shape and the class of a verdict's mark, in the order they are listed."""

_DIRECTIONS = {"+": ("triangle", "up"), "-": ("down", "down"), "0": ("square", "null"), "?": ("ring", "unknown")}
_NORMAL = 1.959963984540054


_Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Edge:
    """One line of a path diagram: its row in the figure and the centres it joins, with the size of the boxes."""

    number: int
    source: _Place
    target: _Place
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Plot:
    """What every part of one drawing needs."""

    canvas: Canvas
    figure: FigureData
    frame: Frame


def path_diagram(figure: FigureData, frame: Frame) -> Canvas:
    """Variables as boxes in columns from cause to effect, coefficients on the arrows, covariances as curves."""
    sources, targets, kinds = figure.texts("from"), figure.texts("to"), figure.texts("kind")
    paths = [(a, b) for a, b, k in zip(sources, targets, kinds, strict=True) if k != "covariance"]
    names = list(dict.fromkeys([*sources, *targets]))
    columns = _columns(names, paths)
    depth = max(columns.values(), default=0) + 1
    canvas = Canvas(frame)
    box_w, box_h = (132.0, 44.0) if frame.wide else (92.0, 40.0)
    tallest = max((list(columns.values()).count(c) for c in set(columns.values())), default=1)
    height = max(220.0, tallest * 120.0)
    left, right = (70.0, 10.0) if frame.wide else (38.0, 2.0)
    step = (frame.width - left - right - box_w) / max(1, depth - 1)
    centers = _centers(names, columns, left + box_w / 2, step, height)
    for number in range(len(figure)):
        covariance = kinds[number] == "covariance"
        edge = _Edge(number, centers[sources[number]], centers[targets[number]], box_w, box_h)
        (_arc if covariance else _arrow)(_Plot(canvas, figure, frame), edge)
    for name, (x, y) in centers.items():
        canvas.box(x - box_w / 2, y - box_h / 2, box_w, box_h, "node", round_=6)
        label = frame.words.term("construct", name)
        canvas.text(x, y + 4, shorten(label, box_w - 8, 12), "strong", "middle")
    canvas.height = height + 10
    return canvas


def effect_direction(figure: FigureData, frame: Frame) -> Canvas:
    """Studies by outcome: the direction each one reports, with no size, because none could be read."""
    studies, outcomes = figure.texts("label"), figure.texts("outcome")
    directions, rows = figure.texts("direction"), figure.texts("row")
    lines, columns = list(dict.fromkeys(studies)), list(dict.fromkeys(outcomes))
    left = 210.0 if frame.wide else 118.0
    step = (frame.width - left) / max(1, len(columns))
    canvas, top, pitch = Canvas(frame), 44.0, 24.0
    for number, outcome in enumerate(columns):
        middle = left + step * (number + 0.5)
        words = frame.words.term("outcome", outcome)
        for line, part in enumerate(_halves(words, step)):
            canvas.text(middle, 14 + 14 * line, shorten(part, step - 4, 12), "label", "middle")
    seen: dict[tuple[str, str], int] = {}
    for number, study in enumerate(lines):
        y = top + pitch * (number + 0.5)
        canvas.line(0, y + pitch / 2, frame.width, y + pitch / 2, "grid")
        canvas.text(0, y + 4, shorten(study, left - 12, 12), "row")
    for i in range(len(figure)):
        place = (studies[i], outcomes[i])
        shift = 15 * seen.get(place, 0)
        seen[place] = seen.get(place, 0) + 1
        shape, css = _DIRECTIONS.get(directions[i], _DIRECTIONS["?"])
        x = left + step * (columns.index(outcomes[i]) + 0.5) - 15 + shift
        y = top + pitch * (lines.index(studies[i]) + 0.5)
        tip = f"{studies[i]}: {frame.words.term('direction', directions[i])}"
        canvas.mark(x, y, 4.6, shape, f"point {css}", href=frame.href(rows[i]), tip=tip)
    bottom = top + pitch * len(lines) + 24
    _direction_legend(canvas, frame, bottom)
    canvas.height = bottom + (14 if frame.wide else 34)
    return canvas


def calibration(figure: FigureData, frame: Frame) -> Canvas:
    """How far each new sample lies from what was predicted, in standard deviations of the prediction."""
    distance, labels, rows = figure.numbers("distance"), figure.texts("label"), figure.texts("row")
    canvas, top = Canvas(frame), 10.0
    left, right = (220.0, frame.width - 60) if frame.wide else (8.0, frame.width - 8)
    pitch = 20.0 if frame.wide else 34.0
    order = sorted(range(len(figure)), key=lambda i: (distance[i] is None, distance[i] or 0.0))
    bottom = top + pitch * len(order) + 4
    reach = max(3.0, *(abs(d) for d in distance if d is not None)) if any(distance) else 3.0
    x = linear(-min(reach, 8.0), min(reach, 8.0), left, right)
    canvas.box(x(-_NORMAL), top, x(_NORMAL) - x(-_NORMAL), bottom - top, "band")
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    room = 206.0 if frame.wide else right - left - 50
    for number, i in enumerate(order):
        offset = 10.0 if frame.wide else 24.0
        y = top + pitch * number + offset
        href, value = frame.href(rows[i]), distance[i]
        shown = frame.words.numerals.show(value, "r")
        line = y + (4 if frame.wide else -10)
        canvas.text(0 if frame.wide else left, line, shorten(labels[i], room, 12), "row", href=href)
        canvas.text(frame.width if frame.wide else right, line, shown, "value", "end", href=href)
        if value is not None:
            shape, css = ("diamond", "mark new") if abs(value) > _NORMAL else ("dot", "mark effect")
            canvas.mark(x(value), y, 4.2, shape, css, href=href)
    canvas.axis(x, bottom, top, frame.words.say("figure.distance"))
    canvas.height = bottom + 40
    return canvas


def verdict_strip(figure: FigureData, frame: Frame) -> Canvas:
    """Every claim with a number of ours: how far ours lies from the printed value, in halves of its last digit's step.

    Within one step the printed digits hold; beyond it the axis is logarithmic.
    """
    works, verdicts, distance = figure.texts("label"), figure.texts("verdict"), figure.numbers("distance")
    claims, keys = figure.texts("row"), figure.texts("work")
    lines = list(dict.fromkeys(works))
    canvas, top = Canvas(frame), 30.0
    left, right = (176.0, frame.width - 14) if frame.wide else (10.0, frame.width - 10)
    pitch = 22.0 if frame.wide else 36.0
    bottom = top + pitch * len(lines) + 4
    reach = max([2.0, *(abs(_compressed(d)) for d in distance if d is not None)])
    x = linear(-reach, reach, left, right, nice=False)
    canvas.box(x(-1.0), top, x(1.0) - x(-1.0), bottom - top, "band")
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    canvas.text(x(0.0), 20, frame.words.say("figure.within"), "tick", "middle")
    for number, work in enumerate(lines):
        y = top + pitch * number + pitch / 2
        canvas.text(0 if frame.wide else left, y + (4 if frame.wide else -7), shorten(work, 168, 12), "row")
        canvas.line(left, top + pitch * (number + 1), right, top + pitch * (number + 1), "grid")
        members = [i for i, w in enumerate(works) if w == work and distance[i] is not None]
        for i, lift in zip(members, _stacked([x(_compressed(distance[i] or 0.0)) for i in members]), strict=True):
            shape, css = VERDICT_MARKS.get(verdicts[i], ("ring", "v-none"))
            tip = f"{claims[i]}: {frame.words.term('verdict', verdicts[i])}"
            place = y + (8 if not frame.wide else 0) + lift
            canvas.mark(
                x(_compressed(distance[i] or 0.0)),
                place,
                3.6,
                shape,
                f"point {css}",
                href=frame.href(claims[i]),
                tip=tip,
                data=f"{keys[i]} {verdicts[i]}",
            )
    _strip_axis(canvas, x, bottom, reach)
    canvas.height = bottom + 44
    return canvas


def _strip_axis(canvas: Canvas, scale: Scale, bottom: float, reach: float) -> None:
    frame = canvas.frame
    for power in range(int(reach)):
        for sign in (-1, 1):
            value = sign * 10**power
            canvas.text(
                scale(_compressed(value)), bottom + 14, frame.words.numerals.show(value, "tick"), "tick", "middle"
            )
    canvas.text(frame.width / 2, bottom + 32, frame.words.say("figure.steps"), "label", "middle")


def _compressed(distance: float) -> float:
    """Linear up to one step, logarithmic beyond: 1 stays 1, 10 becomes 2, 100 becomes 3."""
    return distance if abs(distance) <= 1 else math.copysign(1 + math.log10(abs(distance)), distance)


def _stacked(places: Sequence[float]) -> list[float]:
    """Small steps up and down for marks at nearly the same place."""
    taken: dict[int, int] = {}
    lifts = []
    for place in places:
        cell = round(place / 6)
        step = taken.get(cell, 0)
        taken[cell] = step + 1
        lifts.append(min(7.0, 2.2 * ((step + 1) // 2)) * (1 if step % 2 else -1))
    return lifts


def _columns(names: Sequence[str], paths: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each variable: one further than the furthest variable that points at it."""
    columns = dict.fromkeys(names, 0)
    for _ in names:
        for source, target in paths:
            columns[target] = max(columns[target], min(columns[source] + 1, len(names) - 1))
    return columns


def _centers(
    names: Sequence[str], columns: Mapping[str, int], start: float, step: float, height: float
) -> dict[str, tuple[float, float]]:
    centers = {}
    for column in sorted(set(columns.values())):
        members = [name for name in names if columns[name] == column]
        for place, name in enumerate(members):
            centers[name] = (start + step * column, height * (place + 1) / (len(members) + 1) * 1.0)
    return centers


def _arrow(plot: _Plot, edge: _Edge) -> None:
    (x1, y1), (x2, y2) = edge.source, edge.target
    if x2 - x1 > edge.width:
        x1, x2 = x1 + edge.width / 2, x2 - edge.width / 2 - 2
    else:
        side = math.copysign(edge.height / 2, y2 - y1)
        y1, y2 = y1 + side, y2 - side - math.copysign(2, side)
    bow = -0.9 * edge.height if _passes_over(edge) else 0.0
    middle = ((x1 + x2) / 2, (y1 + y2) / 2 + bow)
    value = plot.figure.numbers("value")[edge.number]
    css = "path strong-path" if value is not None and abs(value) >= 0.2 else "path"
    turn = middle[1] + bow
    plot.canvas.curve(f"M{x1:.1f} {y1:.1f}Q{middle[0]:.1f} {turn:.1f} {x2:.1f} {y2:.1f}", css)
    angle = math.atan2(y2 - turn, x2 - middle[0])
    head = [(x2 - 9 * math.cos(angle + side), y2 - 9 * math.sin(angle + side)) for side in (0.4, -0.4)]
    plot.canvas.path([head[0], (x2, y2), head[1]], "head", closed=True)
    _coefficient(plot, edge.number, *middle)


def _passes_over(edge: _Edge) -> bool:
    """Whether a straight line would run through a box between the two."""
    return abs(edge.source[1] - edge.target[1]) < 1 and edge.target[0] - edge.source[0] > 3.2 * edge.width


def _arc(plot: _Plot, edge: _Edge) -> None:
    x = min(edge.source[0], edge.target[0]) - edge.width / 2
    bow = 46 if plot.frame.wide else 34
    y1, y2 = edge.source[1], edge.target[1]
    plot.canvas.curve(f"M{x:.1f} {y1:.1f}Q{x - bow:.1f} {(y1 + y2) / 2:.1f} {x:.1f} {y2:.1f}", "path covariance")
    _coefficient(plot, edge.number, x - bow / 2 + 2, (y1 + y2) / 2)


def _coefficient(plot: _Plot, number: int, x: float, y: float) -> None:
    value, low, high = (plot.figure.numbers(name)[number] for name in ("value", "low", "high"))
    numerals, href = plot.frame.words.numerals, plot.frame.href(plot.figure.texts("estimate")[number])
    shown, interval = numerals.show(value, "r"), numerals.between(low, high, "r")
    width = max(text_width(shown, 13), text_width(interval, 10)) + 8
    plot.canvas.box(x - width / 2, y - 11, width, 27 if interval else 17, "plate", round_=3)
    plot.canvas.text(x, y + 2, shown, "strong", "middle", href=href)
    if interval:
        plot.canvas.text(x, y + 13, interval, "small", "middle", href=href)


def _halves(words: str, room: float) -> list[str]:
    if text_width(words, 12) <= room - 6 or " " not in words:
        return [words]
    pieces = words.split(" ")
    cut = min(range(1, len(pieces)), key=lambda i: abs(len(" ".join(pieces[:i])) - len(words) / 2))
    return [" ".join(pieces[:cut]), " ".join(pieces[cut:])]


def _direction_legend(canvas: Canvas, frame: Frame, y: float) -> None:
    step = frame.width / 4 if frame.wide else frame.width / 2
    for number, (word, (shape, css)) in enumerate(_DIRECTIONS.items()):
        x = 8 + step * (number if frame.wide else number % 2)
        line = y + (0 if frame.wide else 18 * (number // 2))
        canvas.mark(x, line - 4, 4.6, shape, f"point {css}")
        canvas.text(x + 12, line, shorten(frame.words.term("direction", word), step - 22, 12), "tick")
