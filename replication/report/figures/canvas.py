"""SVG by hand: a canvas that escapes everything, scales with readable ticks, and the columns of a figure read safely.

Colours and fonts are classes of `assets/figures.css`, so one drawing serves screen, dark mode and paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any

from replication.report.numbers import METRIC_KINDS, is_number
from replication.report.words import Words

__all__ = [
    "NARROW",
    "WIDE",
    "Canvas",
    "FigureData",
    "Frame",
    "Label",
    "Scale",
    "between_lines",
    "extent",
    "keys",
    "linear",
    "read_figure",
    "text_width",
    "wrapped",
]


@dataclass(frozen=True, slots=True)
class FigureData:
    """The figure as the report sees it. `note` and `title` are text of the analysis, `section` its place on a page."""

    id: str
    kind: str
    title: str
    note: str
    columns: Mapping[str, Sequence[Any]]
    settings: Mapping[str, Any]
    section: str = ""

    def __len__(self) -> int:
        return min((len(column) for column in self.columns.values()), default=0)

    def numbers(self, name: str) -> list[float | None]:
        """A column as numbers; what is none becomes None."""
        column = self.columns.get(name)
        if column is None:
            return [None] * len(self)
        return [_number(cell) for cell in column]

    def texts(self, name: str) -> list[str]:
        """A column as text; an empty text where there is nothing."""
        column = self.columns.get(name)
        return [""] * len(self) if column is None else ["" if cell is None else str(cell) for cell in column]

    def flags(self, name: str) -> list[bool]:
        """A column as yes or no."""
        return [cell is True or cell in ("yes", "new", 1) for cell in self.columns.get(name, [False] * len(self))]

    def number(self, name: str) -> float | None:
        """A setting as a number."""
        return _number(self.settings.get(name))

    def text(self, name: str, default: str = "") -> str:
        """A setting as text."""
        value = self.settings.get(name)
        return default if value is None else str(value)

    @property
    def shown_as(self) -> str:
        """The kind of number of the values: two decimals of a correlation and its like, three where it is compared."""
        kind = METRIC_KINDS.get(self.text("metric"), "measure")
        return "r" if kind == "fine" and self.kind not in _COMPARED else kind

    @property
    def decimals(self) -> int:
        """The decimals of labels, which the ticks of the axis share; 0 where each number has digits of its own."""
        return {"r": 2, "fine": 3}.get(self.shown_as, 0)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The figure's data row by row, the cells in the order of the columns."""
        return zip(*self.columns.values(), strict=False)


# Rows of these differ in the third decimal, and that is what they are drawn for.
_COMPARED = ("leave_one_out", "cumulative", "prior_sensitivity")


SPOKEN = ("label", "group", "curve", "cluster", "domain", "reason")
"""Columns whose cells are names and labels; those of the others are numbers, ids and set words of the drawing."""


def read_figure(figure: Mapping[str, Any], words: Words) -> FigureData:
    """A figure as stored in an outcome, with its title and labels in the language."""
    columns = {
        str(name): [words.label(cell) if isinstance(cell, str | Mapping) else cell for cell in column]
        if name in SPOKEN
        else column
        for name, column in figure["columns"].items()
    }
    title, note = words.label(figure["title"]), words.label(figure.get("note", ""))
    return FigureData(figure["id"], figure["kind"], title, note, columns, figure["settings"], figure.get("section", ""))


def _number(cell: object) -> float | None:
    # True is an int to Python, and a 1 in the drawing to the reader.
    return float(cell) if is_number(cell) and math.isfinite(cell) else None  # type: ignore[arg-type]


WIDE, NARROW = 720.0, 340.0
_CHARACTER = 0.57  # mean width of a character of a sans serif face, in em


@dataclass(frozen=True, slots=True)
class Frame:
    """What a figure is drawn for: its width in pixels, the words, and where ids lead (empty: nowhere)."""

    width: float
    words: Words
    href: Callable[[str], str]

    @property
    def wide(self) -> bool:
        """Whether there is room for columns of numbers beside the plot."""
        return self.width > 500


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of values to pixels, with the ticks to draw."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The pixel of a value; values beyond the ends are drawn at the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether the value lies on the scale."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text of a drawing; `turned` reads upwards."""

    x: float
    y: float
    words: str
    css: str = ""
    anchor: str = ""
    href: str = ""
    turned: bool = False

    def svg(self) -> str:
        """The text as SVG, linked where it leads somewhere."""
        anchor = f' text-anchor="{self.anchor}"' if self.anchor else ""
        x, y = _n(self.x), _n(self.y)
        place = f' transform="translate({x} {y}) rotate(-90)"' if self.turned else f' x="{x}" y="{y}"'
        return _linked(f"<text{place}{_css(self.css)}{anchor}>{escape(self.words)}</text>", self.href)


@dataclass(slots=True)
class Canvas:
    """A drawing: shapes in order with `behind` before them and labels above; `height` grows as the figure does.

    `foot` is where its horizontal axis stands, from the line to the last of its words: each part of a drawing that is
    cut for paper shows it again.
    """

    frame: Frame
    height: float = 0.0
    parts: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    foot: tuple[float, float] | None = None

    @property
    def width(self) -> float:
        """The width drawn for."""
        return self.frame.width

    def text(self, x: float, y: float, words: object, css: str = "", anchor: str = "", *, href: str = "") -> None:
        """One line of text, linked when `href` is given."""
        self.labels.append(Label(x, y, str(words), css, anchor, href))

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        to = f"V{_n(y2)}" if x1 == x2 else f"H{_n(x2)}" if y1 == y2 else f"L{_n(x2)} {_n(y2)}"
        self.parts.append(f'<path d="M{_n(x1)} {_n(y1)}{to}"{_css(css)}/>')

    def path(self, points: Iterable[tuple[float, float]], css: str, *, closed: bool = False) -> None:
        """A line through points, closed to an area on request."""
        steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self.parts.append(f'<path d="M{steps}{"Z" if closed else ""}"{_css(css)}/>')

    def curve(self, command: str, css: str) -> None:
        """A path given by its commands (digits and letters only come from the drawing code)."""
        self.parts.append(f'<path d="{escape(command)}"{_css(css)}/>')

    def box(self, x: float, y: float, width: float, height: float, css: str, *, round_: float = 0) -> None:
        """A rectangle."""
        corner = f' rx="{_n(round_)}"' if round_ else ""
        size = f'width="{_n(max(width, 0))}" height="{_n(max(height, 0))}"'
        self.parts.append(f'<rect x="{_n(x)}" y="{_n(y)}" {size}{corner}{_css(css)}/>')

    def strips(self, spans: Sequence[tuple[float, float]], y: float, height: float, css: str) -> None:
        """Boxes of one look that stand in a line, each from where it starts to where it ends, as one shape."""
        drawn = "".join(f"M{_n(a)} {_n(y)}H{_n(b)}v{_n(height)}H{_n(a)}z" for a, b in spans)
        self.parts.append(f'<path d="{drawn}"{_css(css)}/>')

    def dot(self, x: float, y: float, radius: float, css: str, *, href: str = "", tip: str = "") -> None:
        """A point; with `tip` it says what it is when pointed at or focused."""
        shape = f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"{_css(css)}'
        shape += f">{_tip(tip)}</circle>" if tip else "/>"
        self.parts.append(_linked(shape, href))

    def mark(
        self, x: float, y: float, size: float, shape: str, css: str, *, href: str = "", tip: str = "", data: str = ""
    ) -> None:
        """A mark told apart by shape as well as colour: dot, diamond, triangle, square, cross or ring."""
        extra = f' data-key="{escape(data)}"' if data else ""
        drawn = f'<path d="{_outline(shape, x, y, size)}"{_css(css)}{"" if href else extra}'
        drawn += f">{_tip(tip)}</path>" if tip else "/>"
        self.parts.append(_linked(drawn, href, extra))

    def diamond(self, low: float, middle: float, high: float, y: float, css: str = "summary") -> None:
        """A mean: as wide as its interval, highest at the estimate."""
        self.path([(low, y), (middle, y - 6), (high, y), (middle, y + 6)], css, closed=True)

    def axis(self, scale: Scale, y: float, top: float, label: str, *, decimals: int = 0) -> float:
        """A horizontal axis with grid, ticks, numbers of at least so many decimals and a label; returns its foot."""
        for tick, shown in zip(scale.ticks, self._ticks(scale, decimals), strict=True):
            self.behind.append(f'<path d="M{_n(scale(tick))} {_n(top)}V{_n(y)}" class="grid"/>')
            self.text(scale(tick), y + 14, shown, "tick", "middle")
        self.line(scale.start, y, scale.end, y, "axis")
        lines = wrapped(label, self.width, 11)
        for number, line in enumerate(lines):
            self.text((scale.start + scale.end) / 2, y + 30 + 13 * number, line, "label", "middle")
        self.foot = (y - 1.0, y + 23.0 + 13.0 * len(lines))
        return y + 29.0 + 13.0 * len(lines)

    def side_axis(self, scale: Scale, x: float, label: str = "", *, decimals: int = 0) -> None:
        """A vertical axis at the left of the plot; its label reads upwards."""
        for tick, shown in zip(scale.ticks, self._ticks(scale, decimals), strict=True):
            self.text(x - 6, scale(tick) + 4, shown, "tick", "end")
            self.line(x - 3, scale(tick), x, scale(tick), "axis")
        if label:
            self.labels.append(Label(12, (scale.start + scale.end) / 2, label, "label", "middle", turned=True))

    def _ticks(self, scale: Scale, decimals: int) -> list[str]:
        """The numbers at the ticks, all with as many decimals as the finest needs."""
        needed = max((len(f"{tick:.10g}".partition(".")[2]) for tick in scale.ticks), default=0)
        show = self.frame.words.numerals
        if any("e" in f"{tick:.10g}" for tick in scale.ticks):
            return [show.show(tick, "tick") for tick in scale.ticks]
        return [show.fixed(tick, max(needed, decimals)) for tick in scale.ticks]

    def markup(self, title: str, *, inline: bool = False, style: str = "", labels: bool = True) -> str:
        """The finished SVG: a part of a page (`inline`), or a file of its own with its style; with or without text."""
        head = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        texts = [label.svg() for label in self.labels] if labels else []
        body = "".join((*self.behind, *self.parts, *texts))
        if inline:
            return f'<svg class="figure" {head} role="group" aria-label="{escape(title)}">{body}</svg>'
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        space = 'xmlns="http://www.w3.org/2000/svg" class="figure"'
        return f'<svg {space} {head} {size} role="img"><title>{escape(title)}</title>{style}{body}</svg>\n'


def between_lines(canvas: Canvas, head: str, foot: str) -> Canvas:
    """The drawing below a line with its result and above one with where it comes from; either may be empty."""
    above = wrapped(head, canvas.width, 14.5) if head else []  # bold letters of 13 pixels are as wide as plain of 14.5
    below = wrapped(foot, canvas.width, 10) if foot else []
    shift = 17.0 * len(above) + 6.0 if above else 0.0
    moved = f'<g transform="translate(0 {_n(shift)})">'
    end = canvas.height + shift
    labels = [Label(0, 13 + 17.0 * i, line, "strong result") for i, line in enumerate(above)]
    labels += [
        Label(one.x, one.y + shift, one.words, one.css, one.anchor, one.href, one.turned) for one in canvas.labels
    ]
    labels += [Label(0, end + 8 + 12.0 * i, line, "small") for i, line in enumerate(below)]
    parts = [moved, *canvas.behind, *canvas.parts, "</g>"] if above else [*canvas.behind, *canvas.parts]
    axis = (canvas.foot[0] + shift, canvas.foot[1] + shift) if canvas.foot else None
    return Canvas(canvas.frame, end + 12.0 * len(below) + (2.0 if below else 0.0), parts, [], labels, axis)


def linear(low: float, high: float, start: float, end: float, *, ticks: int = 6, nice: bool = True) -> Scale:
    """A scale over `low` to `high` with about `ticks` round ticks; widened to round ends when `nice`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    # Equal values would make a scale of no width, and a division by 0 for every point.
    if high - low <= abs(high) * 1e-9:
        pad = abs(high) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / ticks)
    if nice:
        # 1e-9: 0.3 / 0.1 is 2.9999999999999996, and the scale would begin a step early.
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return Scale(low, high, start, end, tuple(round(i * step, 12) for i in range(first, last + 1)))


def extent(*groups: Sequence[float | None], include: Sequence[float] = ()) -> tuple[float, float]:
    """The smallest and largest defined number of several columns."""
    numbers = [x for group in groups for x in group if x is not None and math.isfinite(x)] + list(include)
    return (min(numbers), max(numbers)) if numbers else (0.0, 1.0)


def wrapped(words: str, width: float, size: float) -> list[str]:
    """The whole text on as many lines of `width` pixels as it needs; a word longer than a line is broken.

    >>> wrapped("one sample of many", 60, 12)
    ['one', 'sample', 'of many']
    """
    room = max(4, int(width / (size * _CHARACTER)))
    if len(words) <= room and words[:1] != " ":  # nearly every label of a row
        return [words]
    lines = [""]
    for word in words.split(" "):
        pieces = [word[at : at + room] for at in range(0, len(word), room)] or [""]
        for number, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}" if lines[-1] and number == 0 else lines[-1] + piece
            if len(joined) <= room and (number == 0 or not lines[-1]):
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines


def keys(canvas: Canvas, y: float, entries: Sequence[tuple[str, str, str]]) -> float:
    """The legend: each entry a mark (a shape, "box" or "line"), its class and its words; returns the height below.

    Entries stand beside each other as long as there is room.
    """
    x, line = 0.0, y + 8
    for shape, css, words in entries:
        room = 28 if shape == "line" else 20  # the dashes of a line need some length to be told apart
        parts = wrapped(words, canvas.width - room - 2, 11)
        needed = room + 2 + max(text_width(part, 11) for part in parts) + 14
        if x and x + needed > canvas.width:
            x, line = 0.0, line + 17
        if shape == "box":
            canvas.box(x, line - 9, 14, 10, css)
        elif shape == "line":
            canvas.line(x, line - 4, x + 22, line - 4, css)
        else:
            canvas.mark(x + 7, line - 4, 4.5, shape, css)
        for number, part in enumerate(parts):
            canvas.text(x + room, line + 13 * number, part, "tick")
        x, line = x + needed, line + 13 * (len(parts) - 1)
    return line + 10


def text_width(words: str, size: float) -> float:
    """About how wide a text is, in pixels."""
    return len(words) * size * _CHARACTER


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))


def _n(number: float) -> str:
    """A coordinate with one decimal at most: small files, the same on every machine."""
    # A tenth of a pixel is below what a screen shows, and no rounding of a platform's libraries reaches it.
    text = f"{number:.1f}"
    return text[:-2] if text[-1] == "0" else text


@cache  # a few dozen classes, on each of a hundred thousand shapes
def _css(css: str) -> str:
    return f' class="{escape(css)}"' if css else ""


def _tip(tip: str) -> str:
    return f"<title>{escape(tip)}</title>" if tip else ""


def _linked(shape: str, href: str, extra: str = "") -> str:
    return f'<a href="{escape(href)}"{extra}>{shape}</a>' if href else shape


def _outline(shape: str, x: float, y: float, s: float) -> str:
    if shape == "diamond":
        points = [(x, y - s * 1.25), (x + s * 1.25, y), (x, y + s * 1.25), (x - s * 1.25, y)]
    elif shape == "triangle":
        points = [(x, y - s * 1.15), (x + s * 1.1, y + s * 0.85), (x - s * 1.1, y + s * 0.85)]
    elif shape == "down":
        points = [(x, y + s * 1.15), (x + s * 1.1, y - s * 0.85), (x - s * 1.1, y - s * 0.85)]
    elif shape == "square":
        return f"M{_n(x - s)} {_n(y - s)}H{_n(x + s)}V{_n(y + s)}H{_n(x - s)}Z"
    elif shape == "cross":
        return f"M{_n(x - s)} {_n(y - s)}L{_n(x + s)} {_n(y + s)}M{_n(x - s)} {_n(y + s)}L{_n(x + s)} {_n(y - s)}"
    else:
        arc = f"a{_n(s)} {_n(s)} 0 1 0 "
        return f"M{_n(x - s)} {_n(y)}{arc}{_n(2 * s)} 0{arc}{_n(-2 * s)} 0Z"
    return "M" + "L".join(f"{_n(px)} {_n(py)}" for px, py in points) + "Z"
