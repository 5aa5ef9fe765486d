"""Which function draws which kind, and what a drawn figure consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from replication.report.figures import curves, diagrams, interval_plots, relations, scatter
from replication.report.figures.canvas import NARROW, WIDE, Canvas, FigureData, Frame, between_lines
from replication.report.figures.headlines import headline
from replication.report.figures.path_diagram import path_diagram
from replication.report.words import Words

__all__ = ["KINDS", "MOST_NAMED", "Drawing", "describe", "draw"]

_Drawer = Callable[[FigureData, Frame], Canvas]

KINDS: Mapping[str, tuple[_Drawer, tuple[str, ...]]] = {
    "forest": (interval_plots.forest, ("label", "value", "low", "high")),
    "leave_one_out": (interval_plots.leave_one_out, ("label", "value", "low", "high")),
    "bias_comparison": (interval_plots.comparison, ("label", "value", "low", "high")),
    "agreement": (interval_plots.comparison, ("label", "value", "low", "high")),
    "prior_sensitivity": (interval_plots.comparison, ("label", "value", "low", "high")),
    "funnel": (scatter.funnel, ("label", "value", "se")),
    "baujat": (scatter.baujat, ("label", "x", "y")),
    "specification_curve": (curves.specification_curve, ("value", "low", "high")),
    "density": (curves.density, ("curve", "x", "y")),
    "p_curve": (curves.p_curve, ("p", "observed")),
    "caterpillar": (interval_plots.forest, ("label", "value", "low", "high")),
    "cumulative": (interval_plots.comparison, ("label", "value", "low", "high")),
    "orchard": (relations.orchard, ("label", "group", "role", "value")),
    "countries": (relations.countries, ("label", "group", "value")),
    "relation": (relations.relation, ("label", "x", "y", "role")),
    "path_diagram": (path_diagram, ("from", "to", "value")),
    "effect_direction": (diagrams.effect_direction, ("label", "outcome", "direction")),
    "calibration": (diagrams.calibration, ("label", "distance")),
    "certainty_strip": (diagrams.certainty_strip, ("domain", "step")),
    "flow_diagram": (diagrams.flow_diagram, ("role", "label", "count")),
    "verdict_strip": (diagrams.verdict_strip, ("label", "work", "row", "verdict", "distance")),
}
"""Kind -> the drawing function and the columns it cannot do without."""


MOST_NAMED = 300
"""Points of one figure that each tell what they are and lead to their row: some 60 kB; without them a third of it."""
_CROWDS = ("orchard", "countries", "funnel", "baujat")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure drawn for wide and for narrow pages, with its text alternative. `missing` says why it is not drawn.

    Of a crowd the points are not `named`: each is drawn, and the data of the figure tell which is which.
    """

    wide: Canvas | None
    narrow: Canvas | None
    alt: str
    missing: str = ""
    named: bool = True


def draw(
    figure: FigureData,
    words: Words,
    href: Callable[[str], str],
    *,
    linked_narrow: bool = False,
    origin: str = "",
    width: float = WIDE,
) -> Drawing:
    """Draw a figure; one of an unknown kind, without rows or without a needed column comes back undrawn, with why.

    The narrow drawing is shown as an image, so it carries no links unless asked to. `origin` is the line at the foot
    that says where the figure comes from, `width` that of the wide drawing in pixels.
    """
    alt = describe(figure, words)
    missing = _missing(figure, words)
    if missing:
        return Drawing(None, None, alt, missing)
    drawer, result = KINDS[figure.kind][0], headline(figure, words)
    named = figure.kind not in _CROWDS or len(figure) <= MOST_NAMED
    narrow = drawer(figure, Frame(NARROW, words, href if linked_narrow else _nowhere, named))
    wide = drawer(figure, Frame(width, words, href, named))
    foot = " ".join(part for part in (_rests_on(figure, words), origin) if part)
    return Drawing(between_lines(wide, result, foot), between_lines(narrow, result, foot), alt, named=named)


def _rests_on(figure: FigureData, words: Words) -> str:
    """What the figure rests on, where it says so."""
    samples, persons = figure.number("samples"), figure.number("persons")
    return "" if samples is None or persons is None else words.say("figure.source", k=samples, n=persons)


def _nowhere(_name: str) -> str:
    return ""


def describe(figure: FigureData, words: Words) -> str:
    """The text alternative: what kind of figure, of how many rows, and its summary where it has one."""
    kind = words.term("figure_kinds", figure.kind)
    parts = [f"{kind}: {figure.title}.", words.say("figure.alt_rows", k=len(figure))]
    value = figure.number("summary")
    metric = figure.text("metric")
    if value is not None:
        interval = words.interval(figure.number("summary_low"), figure.number("summary_high"), metric)
        parts.append(f"{words.say('figure.summary')}: {words.metric(value, metric)} {interval}".strip() + ".")
    prediction = words.interval(figure.number("prediction_low"), figure.number("prediction_high"), metric)
    if prediction:
        parts.append(f"{words.say('figure.prediction')}: {prediction}.")
    return " ".join(parts)


def _missing(figure: FigureData, words: Words) -> str:
    if figure.kind not in KINDS:
        return words.say("figure.unknown_kind", kind=figure.kind)
    absent = [name for name in KINDS[figure.kind][1] if name not in figure.columns]
    if absent:
        return words.say("figure.absent_columns", columns=", ".join(absent))
    # Drawn anyway, its rows would pair numbers that do not belong together.
    if len({len(column) for column in figure.columns.values()}) > 1:
        return words.say("figure.ragged")
    return words.say("figure.no_rows") if len(figure) == 0 else ""
