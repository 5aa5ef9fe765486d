"""Which function draws which kind, and what a drawn figure consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from replication.report.figures import curves, diagrams, interval_plots, relations, scatter
from replication.report.figures.canvas import NARROW, WIDE, Canvas, FigureData, Frame, between_lines
from replication.report.figures.crowds import merged
from replication.report.figures.headlines import headline
from replication.report.figures.path_diagram import path_diagram
from replication.report.words import Words

__all__ = ["KINDS", "Drawing", "describe", "draw"]

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


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure drawn for wide and for narrow pages, with its text alternative. `missing` says why it is not drawn.

    `points` is how many a crowd has whose marks stand for several of them each; 0 where each is drawn.
    """

    wide: Canvas | None
    narrow: Canvas | None
    alt: str
    missing: str = ""
    points: int = 0


def draw(
    figure: FigureData,
    words: Words,
    href: Callable[[str], str],
    *,
    linked_narrow: bool = False,
    origin: str = "",
    width: float = WIDE,
    merge: bool = False,
) -> Drawing:
    """Draw a figure; one of an unknown kind, without rows or without a needed column comes back undrawn, with why.

    The narrow drawing is shown as an image, so it carries no links unless asked to. `origin` is the line at the foot
    that says where the figure comes from, `width` that of the wide drawing in pixels. With `merge` a crowd of points is
    drawn together, as a page needs it.
    """
    alt = describe(figure, words)
    missing = _missing(figure, words)
    if missing:
        return Drawing(None, None, alt, missing)
    shown = merged(_shown(figure), words) if merge else _shown(figure)
    drawer, result = KINDS[figure.kind][0], headline(figure, words)
    narrow = drawer(shown, Frame(NARROW, words, href if linked_narrow else _nowhere))
    wide = drawer(shown, Frame(width, words, href))
    points = len(figure) if "count" in shown.columns and "count" not in figure.columns else 0
    together = words.say("figure.merged", k=points, drawn=len(shown)) if points else ""
    foot = " ".join(part for part in (together, _rests_on(figure, words), origin) if part)
    return Drawing(between_lines(wide, result, foot), between_lines(narrow, result, foot), alt, points=points)


def _shown(figure: FigureData) -> FigureData:
    """The figure without the rows of its data that have no line of their own: those where `shown` is "no"."""
    kept = [i for i, shown in enumerate(figure.texts("shown")) if shown != "no"]
    if len(kept) == len(figure):
        return figure
    return replace(figure, columns={name: [column[i] for i in kept] for name, column in figure.columns.items()})


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
