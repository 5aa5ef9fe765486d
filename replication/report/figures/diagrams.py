"""Figures of judgements: effect directions, verdicts, predictions against new data, certainty, the flow of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replication.models.probability import NORMAL_95
from replication.report.figures.canvas import Canvas, FigureData, Frame, Scale, keys, linear, wrapped

__all__ = ["VERDICT_MARKS", "calibration", "certainty_strip", "effect_direction", "flow_diagram", "verdict_strip"]

VERDICT_MARKS: Mapping[str, tuple[str, str]] = {
    "DIFFERS": ("cross", "v-differs"),
    "INCONSISTENT": ("triangle", "v-inconsistent"),
    "DIFFERS_EXPLAINED": ("diamond", "v-explained"),
    "MATCH": ("dot", "v-match"),
    "CONSISTENT": ("square", "v-consistent"),
}
"""The shape and the class of a verdict's mark, in the order they are listed."""

_DIRECTIONS = {"+": "triangle", "-": "down", "0": "square", "?": "ring"}
# By what the direction means and not by its sign: more bullying is never the blue of what one wants.
_WANTED = {"yes": "up", "no": "down", "": "null"}


def effect_direction(figure: FigureData, frame: Frame) -> Canvas:
    """Associations by outcome: the direction each one reports, with no size, because none could be read.

    The shape is the sign, the colour whether one wants that direction of this outcome.
    """
    labels, columns = figure.texts("label"), list(dict.fromkeys(figure.texts("outcome")))
    # Outcomes nobody reports get no column.
    left = (420.0 if len(columns) < 4 else 340.0) if frame.wide else 0.0
    step = (frame.width - left) / max(1, len(columns))
    canvas, group = Canvas(frame), ""
    y = 14.0
    for number, outcome in enumerate(columns):
        lines = wrapped(frame.words.term("outcome", outcome), step - 6, 11)
        for line, part in enumerate(lines):
            canvas.text(left + step * (number + 0.5), 12 + 13 * line, part, "label", "middle")
        y = max(y, 14.0 + 13 * len(lines))
    for i in range(len(figure)):
        work, _, association = labels[i].rpartition(": ")
        if work != group:
            group = work
            for name in wrapped(work, frame.width, 12):
                y += 14
                canvas.text(0, y, name, "strong")
            y += 8
        place = left + step * (columns.index(figure.texts("outcome")[i]) + 0.5)
        y = _direction_row(canvas, figure, i, association, y, left, place)
    canvas.height = keys(canvas, y + 10, _direction_keys(figure, frame))
    return canvas


def _direction_row(
    canvas: Canvas, figure: FigureData, i: int, association: str, y: float, left: float, place: float
) -> float:
    """One association and its mark, beside it on wide pages and below it on narrow ones; returns the height below."""
    frame, direction = canvas.frame, figure.texts("direction")[i]
    href = frame.href(figure.texts("row")[i])
    lines = wrapped(association, (left or frame.width) - 14, 12)
    for number, line in enumerate(lines):
        canvas.text(0, y + 12 + 14 * number, line, "row", href=href)
    shape, css = _direction_look(direction, figure.texts("wanted")[i])
    tip = f"{figure.texts('label')[i]}: {frame.words.term('direction', direction)}"
    end = y + 14 * len(lines)
    canvas.mark(place, y + 8 if frame.wide else end + 10, 4.8, shape, f"point {css}", href=href, tip=tip)
    end += 8 if frame.wide else 24
    canvas.line(0, end - 2, frame.width, end - 2, "grid")
    return end


def _direction_look(direction: str, wanted: str) -> tuple[str, str]:
    """Shape and class of the mark of a direction; one that is not stated is an empty ring."""
    shape = _DIRECTIONS.get(direction, "ring")
    return shape, "unknown" if shape == "ring" else _WANTED.get(wanted, "null")


def _direction_keys(figure: FigureData, frame: Frame) -> list[tuple[str, str, str]]:
    """What shapes and colours mean; only those that are drawn."""
    words = frame.words
    drawn = set(zip(figure.texts("direction"), figure.texts("wanted"), strict=True))
    entries = []
    order = [*_DIRECTIONS, *sorted({direction for direction, _ in drawn} - set(_DIRECTIONS))]
    for direction, wanted in sorted(drawn, key=lambda pair: (order.index(pair[0]), pair[1])):
        shape, css = _direction_look(direction, wanted)
        aside = f" ({words.say(f'figure.wanted_{wanted}')})" if wanted in ("yes", "no") else ""
        entries.append((shape, f"point {css}", words.term("direction", direction) + aside))
    return entries


def calibration(figure: FigureData, frame: Frame) -> Canvas:
    """How far each new sample lies from what was predicted, in standard deviations of the prediction."""
    distance, labels, rows = figure.numbers("distance"), figure.texts("label"), figure.texts("row")
    canvas, top = Canvas(frame), 10.0
    left, right = (300.0, frame.width - 60) if frame.wide else (18.0, frame.width - 18)
    room = 288.0 if frame.wide else right - left - 50
    order = sorted(range(len(figure)), key=lambda i: (distance[i] is None, distance[i] or 0.0))
    names = [wrapped(labels[i], room, 12) for i in order]
    heights = [(20.0 if frame.wide else 34.0) + 14.0 * (len(lines) - 1) for lines in names]
    bottom = top + sum(heights) + 4
    # At least 3: close predictions must look close, and not fill the width.
    reach = max(3.0, *(abs(d) for d in distance if d is not None)) if any(distance) else 3.0
    # At most 8: one far miss would press all others into a line; it is drawn at the edge with its number.
    x = linear(-min(reach, 8.0), min(reach, 8.0), left, right)
    canvas.box(x(-NORMAL_95), top, x(NORMAL_95) - x(-NORMAL_95), bottom - top, "band")
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    y = top
    for i, lines, height in zip(order, names, heights, strict=True):
        value = distance[i]
        for number, line in enumerate(lines):
            canvas.text(0, y + 14 + 14 * number, line, "row", href=frame.href(rows[i]))
        canvas.text(frame.width, y + 14, frame.words.numerals.show(value, "r"), "value", "end")
        if value is not None:
            shape, css = ("diamond", "mark new") if abs(value) > NORMAL_95 else ("dot", "mark effect")
            canvas.mark(x(value), y + (height / 2 if frame.wide else height - 10), 4.2, shape, css)
        y += height
    foot = canvas.axis(x, bottom, top, frame.words.say("figure.distance"), decimals=2)
    say = frame.words.say
    canvas.height = keys(canvas, foot, [
        ("box", "band swatch", say("figure.mark_within")),
        ("dot", "mark effect", say("figure.mark_hit")),
        ("diamond", "mark new", say("figure.mark_miss")),
    ])  # fmt: skip
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
        names = wrapped(work, 168 if frame.wide else frame.width, 12)
        for line, part in enumerate(names):  # two lines at most: the names of works are short citations
            canvas.text(0, y + (4 if frame.wide else -7) + 11 * (line - (len(names) - 1) / 2), part, "row")
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
    wide = left > 0
    names = wrapped(domain, left - 14 if wide else canvas.width, 12)
    for number, part in enumerate(names):
        canvas.text(0, y + 12 + 14 * number, part, "row")
    foot = y + 14.0 * len(names)
    line = y if wide else foot + 3
    for number in range(min(-step, len(_LEVELS))):  # more steps than levels cannot be taken
        canvas.mark(left + 8 + 18 * number, line + 8, 5, "down", "point down")
    if not step:
        canvas.text(left + 8, line + 12, "0", "tick", "middle")
    start = left + 50
    for part in wrapped(reason, canvas.width - start, 11):
        canvas.text(start, line + 12, part, "tick")
        line += 14
    return max(line, foot) + 8


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
    texts = [f"{words.numerals.show(count, 'count')} {label}" for label, count in entries]
    lines = [line for text in texts for line in wrapped(text, width - 20, 12)]
    height = 14.0 + 15.0 * len(lines)
    canvas.box(x, y, width, height, css, round_=4)
    for number, line in enumerate(lines):
        canvas.text(x + 10, y + 18 + 15 * number, line, "row")
    return y + height
