"""Figures of judgements: effect directions, verdicts, predictions against new data, certainty, the flow of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replication.models.probability import NORMAL_95
from replication.report.figures.canvas import Canvas, FigureData, Frame, Scale, halves, keys, linear, shorten, wrapped

__all__ = ["VERDICT_MARKS", "calibration", "certainty_strip", "effect_direction", "flow_diagram", "verdict_strip"]

VERDICT_MARKS: Mapping[str, tuple[str, str]] = {
    "DIFFERS": ("cross", "v-differs"),
    "INCONSISTENT": ("triangle", "v-inconsistent"),
    "DIFFERS_EXPLAINED": ("diamond", "v-explained"),
    "MATCH": ("dot", "v-match"),
    "CONSISTENT": ("square", "v-consistent"),
}
"""The shape and the class of a verdict's mark, in the order they are listed."""

_DIRECTIONS = {"+": ("triangle", "up"), "-": ("down", "down"), "0": ("square", "null"), "?": ("ring", "unknown")}


def effect_direction(figure: FigureData, frame: Frame) -> Canvas:
    """Associations by outcome: the direction each one reports, with no size, because none could be read."""
    labels, outcomes = figure.texts("label"), figure.texts("outcome")
    directions, rows = figure.texts("direction"), figure.texts("row")
    # Outcomes nobody reports get no column.
    columns = list(dict.fromkeys(outcomes))
    left = (420.0 if len(columns) < 4 else 340.0) if frame.wide else 0.0
    step = (frame.width - left) / max(1, len(columns))
    canvas, y, group = Canvas(frame), 40.0, ""
    for number, outcome in enumerate(columns):
        for line, part in enumerate(halves(frame.words.term("outcome", outcome), step - 6, 11)):
            canvas.text(left + step * (number + 0.5), 12 + 13 * line, part, "label", "middle")
    for i in range(len(figure)):
        work, _, association = labels[i].rpartition(": ")
        if work != group:
            group = work
            canvas.text(0, y + 14, shorten(work, frame.width, 12), "strong")
            y += 24
        canvas.text(0, y + 12, shorten(association, (left or frame.width) - 14, 12), "row", href=frame.href(rows[i]))
        shape, css = _DIRECTIONS.get(directions[i], _DIRECTIONS["?"])
        tip = f"{labels[i]}: {frame.words.term('direction', directions[i])}"
        place = (left + step * (columns.index(outcomes[i]) + 0.5), y + (8 if frame.wide else 24))
        canvas.mark(*place, 4.8, shape, f"point {css}", href=frame.href(rows[i]), tip=tip)
        y += 22 if frame.wide else 38
        canvas.line(0, y - 2, frame.width, y - 2, "grid")
    _direction_legend(canvas, frame, y + 24)
    canvas.height = y + (36 if frame.wide else 56)
    return canvas


def calibration(figure: FigureData, frame: Frame) -> Canvas:
    """How far each new sample lies from what was predicted, in standard deviations of the prediction."""
    distance, labels, rows = figure.numbers("distance"), figure.texts("label"), figure.texts("row")
    canvas, top = Canvas(frame), 10.0
    left, right = (300.0, frame.width - 60) if frame.wide else (18.0, frame.width - 18)
    pitch = 20.0 if frame.wide else 34.0
    order = sorted(range(len(figure)), key=lambda i: (distance[i] is None, distance[i] or 0.0))
    bottom = top + pitch * len(order) + 4
    # At least 3: close predictions must look close, and not fill the width.
    reach = max(3.0, *(abs(d) for d in distance if d is not None)) if any(distance) else 3.0
    # At most 8: one far miss would press all others into a line; it is drawn at the edge with its number.
    x = linear(-min(reach, 8.0), min(reach, 8.0), left, right)
    canvas.box(x(-NORMAL_95), top, x(NORMAL_95) - x(-NORMAL_95), bottom - top, "band")
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    room = 288.0 if frame.wide else right - left - 50
    for number, i in enumerate(order):
        offset = 10.0 if frame.wide else 24.0
        y = top + pitch * number + offset
        href, value = frame.href(rows[i]), distance[i]
        shown = frame.words.numerals.show(value, "r")
        line = y + (4 if frame.wide else -10)
        canvas.text(0, line, shorten(labels[i], room, 12), "row", href=href)
        canvas.text(frame.width, line, shown, "value", "end")
        if value is not None:
            shape, css = ("diamond", "mark new") if abs(value) > NORMAL_95 else ("dot", "mark effect")
            canvas.mark(x(value), y, 4.2, shape, css)
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
    left, right = (176.0, frame.width - 14) if frame.wide else (18.0, frame.width - 18)
    pitch = 22.0 if frame.wide else 36.0
    bottom = top + pitch * len(lines) + 4
    reach = max([2.0, *(abs(_compressed(d)) for d in distance if d is not None)])
    x = linear(-reach, reach, left, right, nice=False)
    canvas.box(x(-1.0), top, x(1.0) - x(-1.0), bottom - top, "band")
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    canvas.text(x(0.0), 20, frame.words.say("figure.within"), "tick", "middle")
    for number, work in enumerate(lines):
        y = top + pitch * number + pitch / 2
        canvas.text(0, y + (4 if frame.wide else -7), shorten(work, 168, 12), "row")
        canvas.line(left, top + pitch * (number + 1), right, top + pitch * (number + 1), "grid")
        members = [i for i, w in enumerate(works) if w == work and distance[i] is not None]
        for i, lift in zip(members, _stacked([x(_compressed(distance[i] or 0.0)) for i in members]), strict=True):
            shape, css = VERDICT_MARKS.get(verdicts[i], ("ring", "v-none"))
            tip = claims[i]
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
        # 6 pixels: less than a mark is wide, so that neighbours overlap a little and never hide each other.
        cell = round(place / 6)
        step = taken.get(cell, 0)
        taken[cell] = step + 1
        lifts.append(min(7.0, 2.2 * ((step + 1) // 2)) * (1 if step % 2 else -1))
    return lifts


def _direction_legend(canvas: Canvas, frame: Frame, y: float) -> None:
    step = frame.width / 4 if frame.wide else frame.width / 2
    for number, (word, (shape, css)) in enumerate(_DIRECTIONS.items()):
        x = 8 + step * (number if frame.wide else number % 2)
        line = y + (0 if frame.wide else 18 * (number // 2))
        canvas.mark(x, line - 4, 4.6, shape, f"point {css}")
        canvas.text(x + 12, line, shorten(frame.words.term("direction", word), step - 22, 12), "tick")


_LEVELS = ("very_low", "low", "moderate", "high")


def certainty_strip(figure: FigureData, frame: Frame) -> Canvas:
    """How certainty came about: where it starts, the steps down domain by domain, and where it ends."""
    canvas, words, y = Canvas(frame), frame.words, 6.0
    left = 210.0 if frame.wide else 0.0
    start = int(figure.number("start") or len(_LEVELS))
    y = _level_row(canvas, y, left, words.say("figure.certainty_start"), start)
    for domain, step, reason in zip(
        figure.texts("domain"), figure.numbers("step"), figure.texts("reason"), strict=True
    ):
        y = _domain_row(canvas, y, left, domain, int(step or 0), reason)
        canvas.line(0, y - 3, frame.width, y - 3, "grid")
    end = figure.text("certainty")
    steps = int(sum(step or 0 for step in figure.numbers("step")))
    reached = _LEVELS.index(end) + 1 if end in _LEVELS else max(1, start + steps)
    y = _level_row(canvas, y + 4, left, words.say("figure.certainty_end"), reached)
    canvas.height = keys(canvas, y + 4, [
        ("dot", "point up", words.say("figure.certainty_kept")),
        ("ring", "point unknown", words.say("figure.certainty_lost")),
        ("down", "point down", words.say("figure.certainty_step")),
    ])  # fmt: skip
    return canvas


def _level_row(canvas: Canvas, y: float, left: float, title: str, level: int) -> float:
    """A title and four circles, as many filled as the level counts, with the word for it."""
    wide = left > 0
    canvas.text(0, y + 12, title, "strong")
    line = y + 8 if wide else y + 26
    for number in range(len(_LEVELS)):
        shape, css = ("dot", "point up") if number < level else ("ring", "point unknown")
        canvas.mark(left + 8 + 18 * number, line, 6, shape, css)
    word = canvas.frame.words.say(f"figure.certainty_{_LEVELS[min(max(level, 1), len(_LEVELS)) - 1]}")
    canvas.text(left + 84, line + 4, word, "strong")
    return line + 18


def _domain_row(canvas: Canvas, y: float, left: float, domain: str, step: int, reason: str) -> float:
    """A domain with a triangle for each step down, and why; the text takes the lines it needs."""
    words, wide = canvas.frame.words, left > 0
    canvas.text(0, y + 12, words.title(domain), "row")
    line = y if wide else y + 17
    for number in range(-step):
        canvas.mark(left + 8 + 18 * number, line + 8, 5, "down", "point down")
    if not step:
        canvas.text(left + 8, line + 12, "0", "tick", "middle")
    start = left + 50
    for part in wrapped(words.title(reason), canvas.width - start, 11):
        canvas.text(start, line + 12, part, "tick")
        line += 14
    return max(line, y + 14) + 8


def flow_diagram(figure: FigureData, frame: Frame) -> Canvas:
    """What was identified, what left and why, and what is pooled: a box a stage, at its side a box of what left."""
    canvas, y, start = Canvas(frame), 4.0, 4.0
    width = 300.0 if frame.wide else frame.width - 4
    stages = _stages(figure)
    for number, (main, out) in enumerate(stages):
        if number:
            _down(canvas, 2 + width / 2 if frame.wide else 12, start, y + 18)
            y += 20
        top, y = y, _flow_box(canvas, 2, y, width, [main], "node")
        start = y
        if out and frame.wide:
            middle, side = (top + y) / 2, width + 46
            canvas.line(width + 2, middle, side - 2, middle, "path")
            canvas.path([(side - 8, middle - 4), (side - 2, middle), (side - 8, middle + 4)], "head", closed=True)
            y = max(y, _flow_box(canvas, side, top, frame.width - side - 2, out, "flow-out"))
        elif out:
            y = _flow_box(canvas, 26, y + 8, width - 26, out, "flow-out")
    canvas.height = y + 6
    return canvas


def _down(canvas: Canvas, x: float, start: float, end: float) -> None:
    """An arrow from the foot of a box to the next one."""
    canvas.line(x, start, x, end, "path")
    canvas.path([(x - 4, end - 6), (x, end), (x + 4, end - 6)], "head", closed=True)


_Entry = tuple[str, float | None]


def _stages(figure: FigureData) -> list[tuple[_Entry, list[_Entry]]]:
    """Each main box with what left after it; entries that leave before any main box open a stage of their own."""
    stages: list[tuple[_Entry, list[_Entry]]] = []
    for role, label, count in zip(figure.texts("role"), figure.texts("label"), figure.numbers("count"), strict=True):
        if role == "out" and stages:
            stages[-1][1].append((label, count))
        else:
            stages.append(((label, count), []))
    return stages


def _flow_box(canvas: Canvas, x: float, y: float, width: float, entries: Sequence[_Entry], css: str) -> float:
    """A box with a line or more for each entry, its count in front; returns the height below it."""
    words = canvas.frame.words
    texts = [f"{words.numerals.show(count, 'count')} {words.title(label)}" for label, count in entries]
    lines = [line for text in texts for line in wrapped(text, width - 20, 12)]
    height = 14.0 + 15.0 * len(lines)
    canvas.box(x, y, width, height, css, round_=4)
    for number, line in enumerate(lines):
        canvas.text(x + 10, y + 18 + 15 * number, line, "row")
    return y + height
