"""Drawings as a browser sets them: no text over another or beyond the edge, rows told apart, a PNG that holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import replication
from replication.analysis import Figure, plain
from replication.report.figures import draw, read_figure
from replication.report.words import load_words

pytestmark = pytest.mark.browser

SHEET = (Path(replication.__file__).parent / "report" / "assets" / "figures.css").read_text(encoding="utf-8")
MEASURE = """() => [...document.querySelectorAll('svg')].map(svg => [svg.id, svg.viewBox.baseVal.width,
  [...svg.querySelectorAll('text')].map(text => {
    const box = text.getBoundingClientRect(), home = svg.getBoundingClientRect();
    return [text.textContent, box.left - home.left, box.top - home.top, box.right - home.left, box.bottom - home.top];
  })])"""
TOUCHING = 2.0  # pixels in both directions: the boxes of letters are higher than the letters
SURVEYS = [f"A survey of relationships in the schools of a large city, wave {n}" for n in ("one", "two", "three")]


def real_cases() -> list[Figure]:
    """What has collided before: a path diagram with a covariance, near values, labels that differ at their end."""
    ends = {"low": [-0.321, -0.28, 0.11, -0.17, 0.0, 0.16], "high": [-0.19, -0.13, 0.2, -0.08, 0.08, 0.26]}
    path = {
        "from": ["positive", "negative", "engagement", "negative", "positive", "positive"],
        "to": ["negative", "engagement", "achievement", "achievement", "achievement", "engagement"],
        "value": [-0.253, -0.21, 0.16, -0.12, 0.04, 0.21],
        **ends,
        "kind": ["covariance", "path", "path", "path", "path", "path"],
        "estimate": [""] * 6,
    }
    near = {"label": SURVEYS, "value": [0.297, 0.298, 0.299], "low": [0.2, 0.2, 0.2], "high": [0.4, 0.4, 0.4]}
    whole = {"metric": "r", "summary": 0.298, "summary_low": 0.25, "summary_high": 0.35, "samples": 3, "persons": 900.0}
    directions = {
        "label": [f"A work: {name}" for name in SURVEYS],
        "outcome": ["bullying_perpetration", "peer_victimization", "bullying_other"],
        "direction": ["+", "-", "?"],
        "wanted": ["no", "yes", ""],
        "expected": ["no", "yes", "not stated"],
        "row": [""] * 3,
    }
    points = {"label": SURVEYS, "x": [7.0, 6.6, 0.2], "y": [0.02, 0.02, 0.5], "row": [""] * 3}
    return [
        Figure(id="path", kind="path_diagram", title="p", columns=path),
        Figure(id="forest", kind="forest", title="f", columns=near, settings=whole),
        Figure(id="out", kind="leave_one_out", title="l", columns=near, settings=whole),
        Figure(id="directions", kind="effect_direction", title="d", columns=directions),
        Figure(id="baujat", kind="baujat", title="b", columns=points),
    ]


def page_of(cases: Sequence[Figure], language: str) -> str:
    """All drawings of the figures on one page, wide and narrow."""
    words, parts = load_words(language), []
    for figure in cases:
        drawing = draw(read_figure(plain(figure), words), words, lambda _name: "", origin="Source: a test; CC BY 4.0.")  # type: ignore[arg-type]
        for canvas in (drawing.wide, drawing.narrow):
            assert canvas is not None, drawing.missing
            drawn = canvas.markup(figure.title, inline=True)
            name, size = f"{figure.kind}-{canvas.width:.0f}", f'width="{canvas.width}" height="{canvas.height}"'
            parts.append(drawn.replace("<svg ", f'<svg id="{name}" {size} ', 1))
    return f"<style>{SHEET}</style>" + "".join(f"<p>{part}</p>" for part in parts)


def collisions(texts: Sequence[Sequence[Any]]) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than a touch."""
    found = []
    for (one, left, top, right, bottom), (other, left2, top2, right2, bottom2) in combinations(texts, 2):
        across = min(right, right2) - max(left, left2)
        down = min(bottom, bottom2) - max(top, top2)
        if across > TOUCHING and down > TOUCHING + 1.5:
            found.append((one, other))
    return found


@pytest.mark.parametrize("language", ["en", "nb"])
def test_no_text_of_a_drawing_lies_over_another_or_beyond_its_edge(
    chromium: Any, figures: Sequence[Figure], language: str
) -> None:
    page = chromium.new_page(viewport={"width": 800, "height": 800})
    page.set_content(page_of([*figures[:-1], *real_cases()], language))
    measured = page.evaluate(MEASURE)
    page.close()
    assert len(measured) == 2 * (len(figures) - 1 + len(real_cases()))
    over = {name: found for name, _, texts in measured if (found := collisions(texts))}
    beyond = {
        name: found
        for name, width, texts in measured
        if (found := [text for text, left, _, right, _ in texts if left < -3 or right > width + 3])
    }
    assert over == {}
    assert beyond == {}


def test_a_collision_would_be_seen() -> None:
    """The measure itself: boxes side by side pass, boxes over each other do not."""
    side = [("a", 0, 0, 10, 12), ("b", 11, 0, 20, 12), ("c", 0, 12, 10, 24)]
    assert collisions(side) == []
    assert collisions([*side, ("d", 5, 4, 15, 16)]) != []


def test_rows_that_end_differently_are_told_apart_in_every_kind(figures: Sequence[Figure]) -> None:
    """No kind that writes names cuts them: cut in the same place two would look alike."""
    words = load_words("en")
    for figure in (*figures[:-1], *real_cases()):
        named = next((name for name in ("label", "group", "curve") if name in figure.columns), "")
        if not named or figure.kind in ("funnel", "relation", "baujat", "orchard", "countries", "verdict_strip"):
            continue  # these name their marks in tips, or only the farthest
        rows = len(figure.columns[named])
        long = [f"{SURVEYS[0]} and of some of the schools around it, part {i}" for i in range(rows)]
        columns = {**figure.columns, named: [f"W: {x}" for x in long] if figure.kind == "effect_direction" else long}
        changed = Figure(id="x", kind=figure.kind, title="x", columns=columns, settings=figure.settings)
        drawing = draw(read_figure(plain(changed), words), words, lambda _name: "")  # type: ignore[arg-type]
        for canvas in (drawing.wide, drawing.narrow):
            assert canvas is not None
            text = " ".join(label.words for label in canvas.labels)
            levels = figure.columns.get("level", [""] * rows)
            shown = [i for i in range(rows) if levels[i] != "cluster"]
            assert all(f"part {i}" in text for i in shown) and "…" not in text, figure.kind


def test_a_drawing_is_saved_as_png_by_the_browser(chromium: Any, small: Any) -> None:
    page = chromium.new_context(accept_downloads=True).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"file://{small.folder}/figures/engagement--new-forest.html")
    with page.expect_download() as download:
        page.click("[data-png] button")
    head = download.value.path().read_bytes()[:24]
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    drawn = [float(x) for x in page.get_attribute("figure.only-wide svg", "viewBox").split()[2:]]
    assert head[1:4] == b"PNG" and download.value.suggested_filename == "figures-engagement--new-forest.png"
    assert (width, height) == (math.floor(3 * drawn[0]), math.floor(3 * drawn[1])) and said == []
    assert "Cite this figure" in page.inner_text("#cite") and "dataset 1.0.0" in page.inner_text("#cite")
    page.context.close()


def test_the_same_figure_gives_the_same_bytes(figures: Sequence[Figure]) -> None:
    assert page_of(figures[:-1], "nb") == page_of(figures[:-1], "nb")
