"""Draws the figures of outcomes, writes them as SVG with their data as CSV, and hands out what pages show."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.report.archive import Archive, Record, anchor
from replication.report.figures import Drawing, FigureData, draw, read_figure
from replication.report.view import View
from replication.report.words import Words

__all__ = ["Gallery", "Picture", "as_csv", "draw_gallery"]

_SPOKEN = ("label", "group", "curve", "cluster")
_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One figure as a page shows it. Paths are those of the report; `missing` says why there is no drawing."""

    outcome: str
    data: FigureData
    drawing: Drawing
    title: str
    page: str
    csv: str
    wide: str
    narrow: str


Gallery = Mapping[tuple[str, str], Picture]
"""Pictures by outcome and figure id."""


def draw_gallery(
    archive: Archive, words: Words, outcomes: Sequence[Record], write: Callable[[str, str], None]
) -> Gallery:
    """Draw every figure of the outcomes in one language and write its files."""
    folder = "figures" if words.language == "en" else f"figures/{words.language}"
    view = View(f"{folder}/x.html", words, archive)
    style = f"<style>{(_ASSETS / 'figures.css').read_text(encoding='utf-8')}</style>"
    pictures: dict[tuple[str, str], Picture] = {}
    for outcome in outcomes:
        for figure in outcome["figures"]:
            picture = _picture(view, outcome["id"], read_figure(figure), folder)
            pictures[outcome["id"], picture.data.id] = picture
            _write_files(picture, style, write, words)
    return pictures


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV text: UTF-8, commas, a header row, empty cells for what is not defined."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return stream.getvalue()


def _picture(view: View, outcome: str, figure: FigureData, folder: str) -> Picture:
    def href(name: str) -> str:
        return view.to(name, outcome) if name else ""

    stem = f"{anchor(outcome)}--{anchor(figure.id)}"
    figure = _translated(figure, view.words)
    path = posixpath.join(folder, stem)
    return Picture(
        outcome=outcome,
        data=figure,
        drawing=draw(figure, view.words, href),
        title=figure.title,
        page=f"figures/{stem}.html",
        csv=f"figures/{stem}.csv",
        wide=f"{path}.svg",
        narrow=f"{path}-narrow.svg",
    )


def _translated(figure: FigureData, words: Words) -> FigureData:
    """The figure with its title and labels in the language, where the language has them."""
    if words.language == "en":
        return figure
    shown = {
        name: [words.title(cell) if isinstance(cell, str) else cell for cell in column] if name in _SPOKEN else column
        for name, column in figure.columns.items()
    }
    title, note = words.title(figure.title), words.title(figure.note)
    return FigureData(figure.id, figure.kind, title, note, shown, figure.settings)


def _write_files(picture: Picture, style: str, write: Callable[[str, str], None], words: Words) -> None:
    drawing, figure = picture.drawing, picture.data
    if drawing.wide and drawing.narrow:
        write(picture.wide, drawing.wide.markup(drawing.alt, style=style))
        write(picture.narrow, drawing.narrow.markup(drawing.alt, style=style))
    if words.language == "en":
        write(picture.csv, as_csv(list(figure.columns), [list(row.values()) for row in figure.rows()]))
