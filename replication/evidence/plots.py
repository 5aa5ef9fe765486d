"""What the report draws of a pool, as data: forest plot, samples by country, funnel; and every pooled row.

Every pooled sample is a row of its own with a name of its own; a figure of more than sixty rows is split over pages
that share one scale, so that paper and phone show every row. Of hundreds of samples the heaviest are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from replication.analysis.outcome import About, Cell, Estimate, Figure, Label, Table, of, refs
from replication.effects.correlation import back_to_r
from replication.evidence.bias_models import one_row_a_sample
from replication.evidence.bodies import recorded
from replication.evidence.estimators import centre_of
from replication.evidence.question import RHO, Evidence, sample_means
from replication.models.fit import Array, Fit
from replication.models.multilevel.results import row_sum_weights
from replication.models.probability import normal_isf
from replication.models.two_level.random_effects import fit_random_effects

__all__ = [
    "CHOICES",
    "ROWS_A_PAGE",
    "Subgroup",
    "country_figure",
    "forest_figures",
    "funnel_figure",
    "paged",
    "pooled_rows",
    "row_names",
    "sample_names",
]

# Sixty rows of twenty pixels are about one sheet of A4 at the size the PDF sets them.
ROWS_A_PAGE = 60
# Five such pages: of more samples those that weigh most are drawn, and the others as one.
MOST_DRAWN = 5 * ROWS_A_PAGE
# Characters that fit into a line of the widest label column (300 pixels at 12 pixels a character of mean width .57).
LABEL_LINE = 42

CHOICES: Mapping[str, str] = {
    "evidence": "body",
    "relationship": "relationship",
    "part_of_the_outcome": "facet",
    "informants": "informants",
    "measure_of_the_relationship": "scope",
    "country": "country",
    "school_level": "school_level",
}
"""By what a reader may choose among the pooled rows: the name of a column of `pooled_rows`, and where it is held."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The summary of a part of the samples, drawn below its rows: the name of the part, its mean and interval in r."""

    name: str
    value: float
    low: float
    high: float


def sample_names(found: Evidence) -> dict[str, str]:
    """A name for each sample id that no other sample has: its label, and its id where labels are missing or alike."""
    labels = dict(zip(found.samples.tolist(), found.rows["label"], strict=True))
    counts = Counter(labels.values())
    return {
        str(sample): f"{label} ({sample})" if label and counts[label] > 1 else str(label or sample)
        for sample, label in labels.items()
    }


# A row has seventy cells, and a preview names some thousand rows.
_NAMING = ("sample_id", "measure_a", "measure_b", "var_a", "var_b")


def row_names(found: Evidence) -> list[str]:
    """A name for each row that no other row has: the sample's, with the measures where the sample has several rows."""
    names = sample_names(found)
    several = Counter(found.samples.tolist())
    naming = [name for name in _NAMING if name in found.rows]
    rows = [dict(zip(naming, cells, strict=True)) for cells in found.cells(*naming)]
    made = [
        names[str(row["sample_id"])]
        if several[row["sample_id"]] == 1
        else f"{names[str(row['sample_id'])]}: {_pair(row)}"
        for row in rows
    ]
    counts = Counter(made)
    ids = found.rows["effect_id"]
    return [f"{name} ({row})" if counts[name] > 1 else name for name, row in zip(made, ids, strict=True)]


def _pair(row: Mapping[str, object]) -> str:
    """The measures on both sides of a row, or the variables where no measure is named."""
    sides = (str(row.get(f"measure_{side}") or row.get(f"var_{side}") or "") for side in "ab")
    return " / ".join(side for side in sides if side)


def forest_figures(
    found: Evidence,
    fit: Fit,
    main: Estimate,
    *,
    groups: Sequence[str] | None = None,
    summaries: Sequence[Subgroup] = (),
    further: tuple[float, float] | None = None,
) -> tuple[Figure, ...]:
    """A forest plot of every pooled sample, a row per sample, over as many pages as it takes; of hundreds the heaviest.

    Parameters
    ----------
    found : the pooled rows.
    fit : the multilevel fit of these rows; a sample weighs the row sums of its inverse covariance.
    main : the pooled estimate, drawn below the rows.
    groups : the part of each row `(k,)`, such as body of evidence or country; parts stand together.
    summaries : the mean of each part, drawn below its rows.
    further : the interval for the mean of a further sample; by default that of `main`.
    """
    means = sample_means(found)
    order, names = _order(means, found, groups), sample_names(found)
    half = float(normal_isf(0.025)) * np.sqrt(means.v)
    weight = _sample_weights(found, fit)
    parts = _parts(found, groups)
    columns: dict[str, list[Cell]] = {
        "label": [names[str(s)] for s in means.samples],
        "value": back_to_r(means.y).tolist(),
        "low": back_to_r(means.y - half).tolist(),
        "high": back_to_r(means.y + half).tolist(),
        "weight": weight.tolist(),
        "n": one_row_a_sample(found).rows["n"].tolist(),
        "row": [str(s) for s in means.samples],
        "cluster": [parts[str(s)] for s in means.samples],
        "level": [""] * len(means.y),
    }
    columns = {name: [column[i] for i in order] for name, column in columns.items()}
    columns, left = _heaviest(columns, means)
    _add_summaries(columns, summaries)
    low, high = further or (main.prediction_low, main.prediction_high)
    settings: dict[str, Cell] = {
        "metric": "r",
        "summary": main.value,
        "summary_low": main.low,
        "summary_high": main.high,
        "prediction_low": low,
        "prediction_high": high,
        "estimate": main.id,
        "samples": len(means.y),
        "persons": found.selection.persons,
    }
    key = f"{found.question.id}-{found.source}"
    hidden = len(next(iter(left.values()), ()))
    title = of(found.question.label, "heaviest_pooled_samples" if hidden else "every_pooled_sample")
    note = Label("forest_heaviest", {"shown": len(means.y) - hidden, "n": len(means.y)}) if hidden else ""
    pages = paged(Figure(id=f"forest-{key}", kind="forest", title=title, columns=columns, settings=settings, note=note))
    return (*pages[:-1], _with_hidden(pages[-1], left)) if hidden else pages


def _heaviest(columns: dict[str, list[Cell]], means: Evidence) -> tuple[dict[str, list[Cell]], dict[str, list[Cell]]]:
    """The rows to draw, and those that are left to the data: none, or of very many samples those that weigh less.

    What is left of a part stands behind its rows as one: the mean of these samples in a model of random effects.
    """
    weight = np.array(columns["weight"], dtype=float)
    if len(weight) <= MOST_DRAWN:
        return columns, {}
    parts = list(dict.fromkeys(columns["cluster"]))
    # Room for the line of what is left of a part, and for its mean.
    keep = np.isin(np.arange(len(weight)), np.argsort(-weight, kind="stable")[: MOST_DRAWN - 2 * len(parts)])
    place = {str(sample): i for i, sample in enumerate(means.samples)}
    rows: dict[str, list[Cell]] = {name: [] for name in columns}
    for part in parts:
        own = np.array([cluster == part for cluster in columns["cluster"]])
        rest = np.flatnonzero(own & ~keep)
        lines: list[dict[str, Cell]] = [{name: c[i] for name, c in columns.items()} for i in np.flatnonzero(own & keep)]
        if len(rest):
            lines.append(_rest(part, [place[str(columns["row"][i])] for i in rest], means, float(weight[rest].sum())))
        for name, column in rows.items():
            column += [line.get(name) for line in lines]
    return rows, {name: [column[i] for i in np.flatnonzero(~keep)] for name, column in columns.items()}


def _rest(part: Cell, at: Sequence[int], means: Evidence, weight: float) -> dict[str, Cell]:
    """One row for the samples of a part that have none of their own: their mean by REML with its interval."""
    y, v = means.y[at], means.v[at]
    fit = fit_random_effects(y, v)
    low, high = back_to_r(fit.interval()[0]).tolist()
    label = Label("further_samples", {"n": len(at)})
    return {"label": label, "value": float(back_to_r(fit.beta[0])), "low": low, "high": high, "weight": weight,
            "row": "", "cluster": part, "level": "rest"}  # fmt: skip


def _with_hidden(page: Figure, left: Mapping[str, Sequence[Cell]]) -> Figure:
    """A page whose data also hold the rows that no page draws, so that the files of a figure hold them all."""
    size = len(page.columns["label"])
    columns = {name: [*column, *left[name]] for name, column in page.columns.items()}
    return replace(page, columns={**columns, "shown": ["yes"] * size + ["no"] * len(left["label"])})


def country_figure(found: Evidence, fit: Fit, main: Estimate, further: tuple[float, float]) -> tuple[Figure, ...]:
    """A dot a pooled sample in the row of its country; none where fewer than two countries are known.

    Countries stand by the mean of their samples' correlations, samples of unknown country last: where they are from is
    not known, so they are not one place.
    """
    if len(found.countries) < 2:
        return ()
    means = sample_means(found)
    r, names, weight = back_to_r(means.y), sample_names(found), _sample_weights(found, fit)
    places = recorded(means, "country")
    own = {place: float(r[np.array(places) == place].mean()) for place in set(places) - {""}}
    known = sorted(own, key=lambda place: (-own[place], place))
    order = [i for place in (*known, "") for i in np.flatnonzero(np.array(places) == place)]
    columns: dict[str, list[Cell]] = {
        "label": [names[str(means.samples[i])] for i in order],
        "group": [places[i] or "country_not_recorded" for i in order],
        "known": ["yes" if places[i] else "no" for i in order],
        "value": [float(r[i]) for i in order],
        "weight": [float(weight[i]) for i in order],
        "new": ["yes" if means.rows["body"].iloc[i] == "open" else "no" for i in order],
        "row": [str(means.samples[i]) for i in order],
    }
    settings: dict[str, Cell] = {"metric": "r", "summary": main.value, "prediction_low": further[0],
                                 "prediction_high": further[1], "estimate": main.id, "samples": len(means.y),
                                 "persons": found.selection.persons}  # fmt: skip
    key, title = f"{found.question.id}-{found.source}", of(found.question.label, "samples_by_country")
    return (Figure(id=f"countries-{key}", kind="countries", title=title, columns=columns, settings=settings),)


def _order(means: Evidence, found: Evidence, groups: Sequence[str] | None) -> list[int]:
    """Samples by part in the order the parts first occur, then by size of the correlation."""
    parts = _parts(found, groups)
    first = {name: at for at, name in enumerate(dict.fromkeys(parts.values()))}
    # By size with the id behind it: ties would else change places between machines.
    return sorted(
        range(len(means.y)), key=lambda i: (first[parts[str(means.samples[i])]], -means.y[i], str(means.samples[i]))
    )


def _parts(found: Evidence, groups: Sequence[str] | None) -> dict[str, str]:
    names = [""] * len(found.y) if groups is None else list(groups)
    return {str(sample): part for sample, part in zip(found.samples, names, strict=True)}


def _sample_weights(found: Evidence, fit: Fit) -> Array:
    """Each sample's weight in per cent: the row sums of the inverse covariance, added over its rows."""
    # Row sums can be negative for single rows of a sample; over its rows they are what it weighs in the mean.
    weights = row_sum_weights(fit)
    return np.array([weights[found.samples == sample].sum() for sample in dict.fromkeys(found.samples.tolist())])


def _add_summaries(columns: dict[str, list[Cell]], summaries: Sequence[Subgroup]) -> None:
    """Put the mean of each part behind its last row."""
    for part in summaries:
        at = max((i for i, name in enumerate(columns["cluster"]) if name == part.name), default=-1) + 1
        if at == 0:
            continue  # a mean without rows in this figure has no place in it
        row: dict[str, Cell] = {"label": part.name, "value": part.value, "low": part.low, "high": part.high,
                                "cluster": part.name, "level": "cluster", "row": ""}  # fmt: skip
        for name, column in columns.items():
            column.insert(at, row.get(name))


def paged(figure: Figure, rows: int = ROWS_A_PAGE) -> tuple[Figure, ...]:
    """The figure, or its pages of at most `rows` rows on one scale; fewer where labels take several lines.

    >>> long = Figure(id="f", kind="forest", title="All", columns={"value": [0.1] * 130, "low": [0.0] * 130})
    >>> [(page.id, len(page.columns["value"])) for page in paged(long)]
    [('f', 43), ('f-2', 44), ('f-3', 43)]
    """
    size = len(next(iter(figure.columns.values()), ()))
    pages = _page_ranges(figure.columns.get("label", [""] * size), rows)
    if len(pages) <= 1:
        return (figure,)
    scale = _whole_scale(figure)
    return tuple(
        replace(
            figure,
            id=figure.id if number == 0 else f"{figure.id}-{number + 1}",
            title=Label("page_of", {"title": figure.title, "page": number + 1, "pages": len(pages)}),
            columns={name: [column[i] for i in page] for name, column in figure.columns.items()},
            settings={**figure.settings, **scale, "page": number + 1, "pages": len(pages)},
        )
        for number, page in enumerate(pages)
    )


def _page_ranges(labels: Sequence[Cell], rows: int) -> list[range]:
    """Which rows stand on each page: as many as fit into the height of `rows` labels of one line."""
    heights = [1.0 + 0.7 * ((-(-len(str(label or "")) // LABEL_LINE) or 1) - 1) for label in labels]  # 14 of 20 pixels
    # As few pages as hold everything, and those of like length: a last page of one row says nothing.
    count = max(1, int(np.ceil(sum(heights) / rows)))
    while True:
        pages = _even_pages(heights, count)
        if all(sum(heights[page.start : page.stop]) <= rows or len(page) == 1 for page in pages):
            return pages
        count += 1


def _even_pages(heights: Sequence[float], count: int) -> list[range]:
    """At most `count` runs of rows of like height: a row stands where its middle lies."""
    middles = np.cumsum(heights) - 0.5 * np.asarray(heights)
    owner = np.minimum((middles * count / sum(heights)).astype(int), count - 1) if heights else np.zeros(0, dtype=int)
    edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(heights)]
    return [range(first, last) for first, last in pairwise(edges)]


def _whole_scale(figure: Figure) -> dict[str, Cell]:
    """The ends of the values of the whole figure, so that its pages can be laid beside each other."""
    numbers = [x for x in figure.columns.get("value", ()) if isinstance(x, float) and np.isfinite(x)]
    return {"scale_low": min(numbers), "scale_high": max(numbers)} if numbers else {}


def funnel_figure(bodies: Sequence[Evidence], line: Mapping[str, Cell] | None) -> Figure:
    """Every sample of the bodies in one funnel on Fisher's z, open data marked; a row per sample, its se from n alone.

    Parameters
    ----------
    bodies : the published body, the open-data body, or both, in this order.
    line : `line_intercept` and `line_slope` of Egger's line of the published body and `egger_p`; None draws none.
    """
    columns: dict[str, list[Cell]] = {name: [] for name in ("label", "value", "se", "row", "new", "n")}
    for body in bodies:
        means, rows, names = sample_means(body), one_row_a_sample(body), sample_names(body)
        columns["label"] += [names[str(s)] for s in means.samples]
        columns["value"] += means.y.tolist()
        columns["se"] += np.sqrt(rows.v).tolist()
        columns["row"] += [str(s) for s in means.samples]
        columns["n"] += rows.rows["n"].tolist()
        columns["new"] += ["yes" if body.source == "open" else "no"] * len(means.y)
    first = bodies[0]
    settings: dict[str, Cell] = {"metric": "z", "center": centre_of(first)}
    if line is not None:
        settings |= line
    alone = first.source == "open"
    return Figure(
        id=f"funnel-{first.question.id}",
        kind="funnel",
        title=of(first.question.label, "funnel_of_open_data" if alone else "funnel_of_both"),
        columns=columns,
        settings=settings,
        note=OPEN_FUNNEL if alone else "funnel_note",
    )


OPEN_FUNNEL = "open_funnel_note"


def pooled_rows(found: Evidence) -> Table:
    """Every pooled row with its Fisher z and variance and what a reader may choose by, to pool a choice of them anew.

    The sign of z is turned where the pool turns it. An empty cell of a choice means that nothing is recorded.
    """
    names, sizes = sample_names(found), found.rows["n"].tolist()
    chosen, r = {name: recorded(found, column) for name, column in CHOICES.items()}, back_to_r(found.y)
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (
            str(sample), names[str(sample)], *(column[i] for column in chosen.values()),
            float(sizes[i]), float(r[i]), float(found.y[i]), float(found.v[i]), RHO,
        )
        for i, sample in enumerate(found.samples)
    )  # fmt: skip
    return Table(
        id=f"pooled-rows-{found.question.id}",
        title=of(found.question.label, "every_pooled_row"),
        columns=("sample_id", "sample", *CHOICES, "n", "r", "z", "variance_of_z", "rho"),
        rows=cells,
        kind="pooled-rows",
        about=About(found.question.id, found.question.label),
        links=refs("row", found.rows["effect_id"]),
        note="pooled_rows_note",
    )
