"""Every figure is drawn for wide and narrow pages, survives what outcomes may hold, and says in words what it shows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from replication.analysis import Figure, plain
from replication.report.figures import KINDS, draw, read_figure
from replication.report.figures.crowds import CROWDS, MOST_POINTS, merged
from replication.report.words import load_words

WORDS = load_words("en")


def drawn(figure: Figure, *, merge: bool = False) -> Any:
    data = plain(figure)
    assert isinstance(data, dict)
    return draw(read_figure(data, WORDS), WORDS, lambda name: f"#{name}", merge=merge)


def numbers(canvas: Any) -> list[float]:
    """All coordinates of a drawing."""
    text = "".join((*canvas.behind, *canvas.parts))
    places = re.findall(r'(?:d|cx|cy|x|y|width|height|r)="([^"]*)"', text)
    return [float(n) for place in places for n in re.findall(r"-?\d+\.?\d*", place)]


def test_there_is_a_figure_of_every_kind(figures: Sequence[Figure]) -> None:
    assert {figure.kind for figure in figures} - {"sculpture"} == set(KINDS)


def test_every_kind_is_drawn_twice_as_good_xml(figures: Sequence[Figure]) -> None:
    for figure in figures[:-1]:
        drawing = drawn(figure)
        assert not drawing.missing, figure.kind
        for canvas in (drawing.wide, drawing.narrow):
            root = ET.fromstring(canvas.markup("title", style="<style></style>"))
            assert root.get("role") == "img" and root[0].tag.endswith("title")
            ET.fromstring(canvas.markup("title", inline=True))
            assert canvas.height > 60, figure.kind
            assert all(math.isfinite(n) for n in numbers(canvas)), figure.kind
            for label in canvas.labels:
                assert -2 <= label.x <= canvas.width + 2 and 0 <= label.y <= canvas.height, (figure.kind, label)


def test_text_stays_legible_on_a_phone(figures: Sequence[Figure]) -> None:
    for figure in figures[:-1]:
        assert drawn(figure).narrow.width <= 340, figure.kind  # drawn at its own size: nothing is scaled down


@pytest.mark.parametrize("kind", sorted(CROWDS))
def test_points_of_a_crowd_that_lie_together_are_one_mark_and_all_are_counted(
    figures: Sequence[Figure], kind: str
) -> None:
    """Five thousand named and linked points would make a page of a megabyte."""
    figure = next(figure for figure in figures if figure.kind == kind)
    point = {name: column[0] for name, column in figure.columns.items()}
    rng = np.random.default_rng(1)

    def of(k: int) -> Figure:
        columns: dict[str, list[Any]] = {name: [cell] * k for name, cell in point.items()}
        columns |= {name: rng.uniform(0.0, 0.5, k).tolist() for name in CROWDS[kind]}
        columns["row"] = [f"row-{i}" for i in range(k)]
        return replace(figure, columns=columns)

    few = drawn(of(MOST_POINTS), merge=True)
    assert few.points == 0 and few.wide.markup("x").count("<a href=") >= MOST_POINTS
    crowd = of(5000)
    assert drawn(crowd).points == 0, "who draws for himself gets every point"
    many = drawn(crowd, merge=True)
    text = many.wide.markup("x")
    assert marks(text) <= 120 and marks(few.wide.markup("x")) <= 120
    assert many.points == 5000 and len(text) < 60_000
    foot = " ".join(label.words for label in many.narrow.labels).replace("\xa0", " ")
    assert re.search(r"5,000 points are drawn as \d+ marks", foot)
    one = merged(read_figure(plain(crowd), WORDS), WORDS)  # type: ignore[arg-type]
    counts = [int(str(count)) for count in one.columns["count"]]
    assert sum(counts) == 5000 and MOST_POINTS / 4 < len(one) <= MOST_POINTS
    for name in CROWDS[kind]:
        whole = np.average(one.numbers(name), weights=counts)  # type: ignore[arg-type]
        assert whole == pytest.approx(np.mean(crowd.columns[name])), "the middle of all points stays where it is"  # type: ignore[arg-type]
    assert all(count == 1 or not row for count, row in zip(counts, one.texts("row"), strict=True))


def test_a_curve_has_as_many_columns_as_leave_it_few_marks(figures: Sequence[Figure]) -> None:
    """Where models of bias stand in every column a mark lies above each."""
    curve = next(figure for figure in figures if figure.kind == "specification_curve")
    columns = {name: [column[0]] * 1728 for name, column in curve.columns.items()}
    columns |= {"value": np.linspace(0.1, 0.4, 1728).tolist(), "adjusted": [i % 2 > 0 for i in range(1728)]}
    assert 100 < marks(drawn(replace(curve, columns=columns)).wide.markup("x")) <= 120
    plain = drawn(replace(curve, columns={**columns, "adjusted": [False] * 1728}))
    assert 90 <= marks(plain.wide.markup("x")) <= 92, "as many columns as there is room for"


def marks(drawing: str) -> int:
    """Points and estimates of a drawing, as `benchmarks.growth` counts them."""
    return len(re.findall(r'<(?:circle|path|rect|polygon)[^>]* class="(?:point|mark)\b', drawing))


def test_an_unknown_kind_becomes_a_table_that_says_so(figures: Sequence[Figure], small: Any) -> None:
    drawing = drawn(figures[-1])
    assert drawing.wide is None and "sculpture" in drawing.missing
    page = small.text("figures/engagement--new-sculpture.html")
    assert "cannot draw a figure of the kind" in page and "<table" in page


@pytest.mark.parametrize(
    "change", ["no rows", "a column too few", "ragged columns", "nothing defined", "one row", "huge", "tiny"]
)
def test_odd_data_is_drawn_or_explained_never_an_error(figures: Sequence[Figure], change: str) -> None:
    for figure in figures[:-1]:
        drawing = drawn(odd(figure, change))
        if change in ("no rows", "a column too few", "ragged columns"):
            assert drawing.missing and drawing.wide is None, figure.kind
        else:
            assert drawing.wide is not None and all(math.isfinite(n) for n in numbers(drawing.wide)), figure.kind
        assert drawing.alt


def odd(figure: Figure, change: str) -> Figure:
    columns = {name: list(column) for name, column in figure.columns.items()}
    needed = KINDS[figure.kind][1]
    if change == "no rows":
        columns = {name: [] for name in columns}
    elif change == "a column too few":
        del columns[needed[-1]]
    elif change == "ragged columns":
        columns[needed[0]] = columns[needed[0]][:-1] if len(columns) > 1 else columns[needed[0]]
    elif change == "nothing defined":
        columns = {n: [None if isinstance(c, float) else c for c in column] for n, column in columns.items()}
    elif change == "one row":
        columns = {name: column[:1] for name, column in columns.items()}
    else:
        factor = 1e6 if change == "huge" else 1e-9
        columns = {n: [c * factor if isinstance(c, float) else c for c in column] for n, column in columns.items()}
    return replace(figure, columns=columns)


def test_the_text_alternative_holds_the_summary(figures: Sequence[Figure]) -> None:
    alt = drawn(figures[0]).alt
    assert "Forest plot" in alt and "0.220 [0.100, 0.350]" in alt and "[−0.300, 0.700]" in alt


def test_marks_of_verdicts_and_rows_are_links(figures: Sequence[Figure]) -> None:
    by_kind = {figure.kind: figure for figure in figures}
    for kind in ("forest", "funnel", "verdict_strip", "effect_direction", "calibration"):
        assert "<a href=" in drawn(by_kind[kind]).wide.markup("", inline=True), kind


def test_colour_is_never_the_only_sign(figures: Sequence[Figure]) -> None:
    strip = next(figure for figure in figures if figure.kind == "verdict_strip")
    shapes = re.findall(r'<path d="([^"]*)" class="point v-', "".join(drawn(strip).wide.parts))
    assert len({re.sub(r"[\d.\- ]", "", shape) for shape in shapes}) == len(shapes) == 3


def test_a_drawing_of_its_own_defines_each_colour_it_needs_on_screen_in_the_dark_and_on_paper(small: Any) -> None:
    files = sorted((small.folder / "figures").glob("*.svg"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        needed = set(re.findall(r"var\((--f-[a-z]+)\)", text))
        assert needed, path.name
        for colour in needed:
            assert len(re.findall(rf"{colour}:", text)) == 3, (path.name, colour)
        assert set(re.findall(r"(--f-[a-z]+):", text)) == needed, path.name
    assert len(files) > 20


def test_a_share_of_specifications_is_one_shape_with_a_box_for_each_run() -> None:
    """Options a, b and c of twelve specifications: runs as arithmetic in the drawing's own pixels."""
    chosen = ["a"] * 2 + ["b"] * 3 + ["a"] * 4 + ["c"] * 3
    columns = {"value": [0.1 * i for i in range(12)], "low": [0.0] * 12, "high": [1.5] * 12, "option": chosen}
    figure = Figure(id="s", kind="specification_curve", title="s", columns=columns)
    drawing = draw(read_figure(plain(figure), load_words("en")), load_words("en"), lambda _name: "")  # type: ignore[arg-type]
    shapes = [part for part in drawing.wide.parts if 'class="density-6"' in part and part.startswith("<path")]  # type: ignore[union-attr]
    left, step = 176.0, (720.0 - 10.0 - 176.0) / 12
    ends = [[float(x) for x in re.findall(r"[MH]([\d.]+)", shape)] for shape in shapes]
    runs = [[(0, 2), (5, 9)], [(2, 5)], [(9, 12)]]
    for found, spans in zip(ends, runs, strict=True):
        wanted = [x for start, end in spans for x in (start, end, start)]
        assert found == pytest.approx([left + step * x for x in wanted], abs=0.051)


def test_every_figure_has_its_data_as_a_file(small: Any) -> None:
    for outcome in small.outcomes:
        for figure in outcome["figures"]:
            lines = small.text(f"figures/{outcome['id']}--{figure['id']}.csv").splitlines()
            assert lines[0] == ",".join(figure["columns"]) and len(lines) > 1
