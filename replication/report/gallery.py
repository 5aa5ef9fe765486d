"""Draws the figures of outcomes, writes them as SVG with their data as CSV, and hands out what pages show."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

from replication.formulas import harmless
from replication.report.archive import LICENCE, Archive, Record, anchor
from replication.report.figures import Canvas, Drawing, FigureData, draw, read_figure
from replication.report.view import View
from replication.report.words import Words

__all__ = ["SPOKEN", "Gallery", "Picture", "as_csv", "draw_gallery", "sheet_for"]

SPOKEN = ("label", "group", "curve", "cluster")
"""The columns of a figure whose words are in the language of its page; the others hold keys that drawing reads."""
_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One figure as a page shows it, with the line it is cited by. Paths are those of the report."""

    outcome: str
    data: FigureData
    drawing: Drawing
    title: str
    page: str
    csv: str
    note: Markup
    wide: str
    narrow: str
    cite: str


Gallery = Mapping[tuple[str, str], Picture]
"""Pictures by outcome and figure id."""


def draw_gallery(
    archive: Archive, words: Words, outcomes: Sequence[Record], write: Callable[[str, str], None]
) -> Gallery:
    """Draw every figure of the outcomes in one language and write its files."""
    folder = "figures" if words.language == "en" else f"figures/{words.language}"
    view = View(f"{folder}/x.html", words, archive)
    pictures: dict[tuple[str, str], Picture] = {}
    for outcome in outcomes:
        for figure in outcome["figures"]:
            picture = _picture(view, outcome["id"], read_figure(figure), folder)
            pictures[outcome["id"], picture.data.id] = picture
            _write_files(picture, write, words)
    return pictures


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as CSV text: UTF-8, commas, a header row, empty cells for what is not defined.

    A cell that a spreadsheet would run begins with an apostrophe; numbers stay numbers.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return stream.getvalue()


def _plain(cell: object) -> object:
    return "" if cell is None else harmless(cell) if isinstance(cell, str) else cell


def _picture(view: View, outcome: str, figure: FigureData, folder: str) -> Picture:
    def href(name: str) -> str:
        return view.to(name, outcome) if name else ""

    stem = f"{anchor(outcome)}--{anchor(figure.id)}"
    note = view.told(figure.note) if figure.note else Markup("")
    figure = _translated(figure, view.words)
    path = posixpath.join(folder, stem)
    named = _named(view, f"{outcome}/{figure.id}")
    origin = view.words.say("figure.origin", **named)
    return Picture(
        outcome=outcome,
        data=figure,
        drawing=draw(figure, view.words, href, origin=origin),
        title=figure.title,
        page=f"figures/{stem}.html",
        csv=f"figures/{stem}.csv",
        note=note,
        wide=f"{path}.svg",
        narrow=f"{path}-narrow.svg",
        cite=view.words.say("figure.cite", title=figure.title, **named),
    )


def _named(view: View, place: str) -> dict[str, str]:
    """What a figure is called by where it is cited: the report, its version, the version of the data, its place."""
    version = str(view.archive.run.get("release", "")) or view.words.say("site.unreleased")
    name, data = view.words.say("site.name"), view.archive.dataset.version
    return {"name": name, "version": version, "data": data, "place": place, "licence": LICENCE["data"]}


def _translated(figure: FigureData, words: Words) -> FigureData:
    """The figure with its title and labels in the language, where the language has them, and works cited by name."""
    shown = {
        name: [words.title(cell) if isinstance(cell, str) else cell for cell in column] if name in SPOKEN else column
        for name, column in figure.columns.items()
    }
    title, note = words.title(figure.title), words.title(figure.note)
    return FigureData(figure.id, figure.kind, title, note, shown, figure.settings, figure.section)


def _write_files(picture: Picture, write: Callable[[str, str], None], words: Words) -> None:
    drawing, figure = picture.drawing, picture.data
    for path, canvas in ((picture.wide, drawing.wide), (picture.narrow, drawing.narrow)):
        if canvas:
            write(path, canvas.markup(drawing.alt, style=sheet_for(canvas)))
    if words.language == "en":
        write(picture.csv, as_csv(list(figure.columns), [list(row.values()) for row in figure.rows()]))


@cache
def _sheet() -> tuple[str, ...]:
    return tuple((_ASSETS / "figures.css").read_text(encoding="utf-8").splitlines())


def sheet_for(canvas: Canvas) -> str:
    """The lines of the style sheet a drawing needs: those of no class of their own, and those of its classes."""
    # Each file stands alone, so it carries its style; only the lines it needs, as there are hundreds of files.
    drawn = "".join((*canvas.behind, *canvas.parts))
    used = set(" ".join([*re.findall(r'class="([^"]*)"', drawn), *(label.css for label in canvas.labels)]).split())
    kept = [line for line in _sheet() if _classes(line) <= used or _classes(line) & used]
    return "<style>" + "\n".join(kept) + "</style>"


@cache
def _classes(line: str) -> frozenset[str]:
    """The classes a line of the style sheet is about, besides the figure itself."""
    selectors = line.partition("{")[0] if not line.startswith("@media") else line
    return frozenset(re.findall(r"\.([a-z][\w-]*)", selectors)) - {"figure"}
