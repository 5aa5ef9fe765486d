"""The line above a figure that says its result in numbers, by the kind of figure.

Called for every drawing. A line repeats what the columns and settings hold: an extreme, a count, a pooled value. Kinds
whose result no line can say (curves over two axes, verdicts) have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from replication.models.probability import NORMAL_95
from replication.report.figures.canvas import FigureData
from replication.report.numbers import METRIC_KINDS
from replication.report.words import Words

__all__ = ["headline"]


def headline(figure: FigureData, words: Words) -> str:
    """The result of a figure in a line; empty where it has none or its numbers are not defined."""
    line = _LINES.get(figure.kind)
    return line(figure, words) if line else ""


def _shown(figure: FigureData, words: Words, value: float | None) -> str:
    return words.numerals.show(value, figure.shown_as)


def _between(figure: FigureData, words: Words, low: float | None, high: float | None) -> str:
    return words.numerals.between(low, high, figure.shown_as)


def _pooled(figure: FigureData, words: Words) -> str:
    """The pooled value with both intervals and how many samples it rests on."""
    value, samples = figure.number("summary"), figure.number("samples")
    if value is None or samples is None:
        return ""
    ends = _between(figure, words, figure.number("summary_low"), figure.number("summary_high"))
    line = words.say("figure.headline", value=f"{_shown(figure, words, value)} {ends}".strip(), k=samples)
    further = _between(figure, words, figure.number("prediction_low"), figure.number("prediction_high"))
    return f"{line} {words.say('figure.headline_further', interval=further)}" if further else line


def _swarms(figure: FigureData, words: Words) -> str:
    """The last mean of the swarms, where it is that of all of them."""
    roles, groups = figure.texts("role"), figure.texts("group")
    # Means of groups say nothing of the whole: a line only where the last one stands for all.
    if "summary" not in roles or groups.count(groups[-1]) != 1 or roles[-1] != "summary":
        return ""
    value, low, high = (figure.numbers(name)[-1] for name in ("value", "low", "high"))
    shown = f"{_shown(figure, words, value)} {_between(figure, words, low, high)}".strip()
    return words.say("figure.headline", value=shown, k=roles.count("effect"))


def _span(figure: FigureData) -> tuple[float, float] | None:
    """The smallest and the largest value, of all pages of the figure."""
    # A figure in pages says the span of all of them, or each page would tell another result.
    whole = figure.number("scale_low"), figure.number("scale_high")
    if whole[0] is not None and whole[1] is not None:
        return whole[0], whole[1]
    values = [value for value in figure.numbers("value") if value is not None]
    return (min(values), max(values)) if values else None


def _spread(figure: FigureData, words: Words) -> str:
    """From the smallest to the largest value, beside that of the whole."""
    span = _span(figure)
    if span is None:
        return ""
    ends = {name: _shown(figure, words, end) for name, end in zip(("low", "high"), span, strict=True)}
    key = f"figure.result_{figure.kind}"
    return words.say(key, **ends, k=len(figure), summary=_shown(figure, words, figure.number("summary")))


def _funnel(figure: FigureData, words: Words) -> str:
    """The mean, and the test of asymmetry where there was one."""
    centre, p = figure.number("center"), figure.number("egger_p")
    if centre is None:
        return ""
    metric = words.term("metrics", figure.text("metric", "z"))
    line = words.say("figure.result_funnel", value=_shown(figure, words, centre), metric=metric, k=len(figure))
    return line if p is None else f"{line} {words.say('figure.result_egger', p=words.numerals.show(p, 'p'))}"


def _largest_share(figure: FigureData, words: Words) -> str:
    shares = [(share, label) for share, label in zip(figure.numbers("x"), figure.texts("label"), strict=True) if share]
    if not shares:
        return ""
    # By share; of two alike the later in the alphabet, so that the same figure says the same.
    share, label = max(shares)
    return words.say("figure.result_baujat", label=label, share=words.numerals.show(share, "percent"))


def _lowest_bin(figure: FigureData, words: Words) -> str:
    share, p = figure.numbers("observed")[0], figure.numbers("p")[0]
    if share is None or p is None:
        return ""
    return words.say("figure.result_p_curve", share=words.numerals.show(share, "share"), p=words.numerals.show(p, "p"))


def _grade(figure: FigureData, words: Words) -> str:
    grade = figure.text("certainty")
    steps = -int(sum(step or 0 for step in figure.numbers("step")))
    if grade not in ("high", "moderate", "low", "very_low"):
        return ""
    return words.say("figure.result_certainty", grade=words.say(f"figure.certainty_{grade}"), k=steps)


def _first_and_last(figure: FigureData, words: Words) -> str:
    """What was found and what is left of it."""
    rows = zip(figure.texts("role"), figure.texts("label"), figure.numbers("count"), strict=True)
    boxes = [f"{words.numerals.show(count, 'count')} {label}" for role, label, count in rows if role == "main"]
    return f"{boxes[0]} → {boxes[-1]}" if len(boxes) > 1 else ""


def _directions(figure: FigureData, words: Words) -> str:
    """How many associations point the way that is expected."""
    expected = figure.texts("expected")
    if not any(expected):
        return ""
    counts = {name: expected.count(word) for name, word in (("yes", "yes"), ("no", "no"))}
    return words.say("figure.result_directions", k=len(expected), rest=len(expected) - sum(counts.values()), **counts)


def _misses(figure: FigureData, words: Words) -> str:
    known = [distance for distance in figure.numbers("distance") if distance is not None]
    # Distances are in standard deviations: 19 of 20 should lie within 1.96.
    within = sum(abs(distance) <= NORMAL_95 for distance in known)
    return words.say("figure.result_calibration", within=within, k=len(known)) if known else ""


def _indirect(figure: FigureData, words: Words) -> str:
    """The indirect effects of a path diagram that names them."""
    parts = []
    for name in ("positive", "negative"):
        value, low, high = (figure.number(f"indirect_{name}{end}") for end in ("", "_low", "_high"))
        if value is not None:
            kind = METRIC_KINDS["beta"]
            shown = f"{words.numerals.show(value, kind)} {words.numerals.between(low, high, kind)}".strip()
            parts.append(words.say(f"figure.result_indirect_{name}", value=shown))
    return " ".join(parts)


def _countries(figure: FigureData, words: Words) -> str:
    known = {name for name, place in zip(figure.texts("group"), figure.texts("known"), strict=True) if place == "yes"}
    span = _span(figure)
    if span is None or not known:
        return ""
    low, high = (_shown(figure, words, end) for end in span)
    return words.say("figure.result_countries", k=len(known), low=low, high=high)


_LINES: Mapping[str, Callable[[FigureData, Words], str]] = {
    "forest": _pooled,
    "caterpillar": _pooled,
    "orchard": _swarms,
    "leave_one_out": _spread,
    "bias_comparison": _spread,
    "prior_sensitivity": _spread,
    "specification_curve": _spread,
    "funnel": _funnel,
    "baujat": _largest_share,
    "p_curve": _lowest_bin,
    "certainty_strip": _grade,
    "flow_diagram": _first_and_last,
    "effect_direction": _directions,
    "calibration": _misses,
    "path_diagram": _indirect,
    "countries": _countries,
}
