"""Draws the figures of outcomes when a page first shows them, as SVG with their data as CSV."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from markupsafe import Markup

from replication.formulas import harmless
from replication.report.archive import LICENCE, Archive, Record, anchor
from replication.report.consulted import Log, listening, watched
from replication.report.figures import Canvas, Drawing, FigureData, draw, read_figure
from replication.report.view import View
from replication.report.words import Words
from replication.writing import gzip_packer, table_path

__all__ = ["Gallery", "Picture", "Pictures", "as_csv", "figure_files", "sheet_for", "table_file"]

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One figure as a page shows it, with the line it is cited by. Paths are those of the report."""

    outcome: str
    data: FigureData
    drawing: Drawing
    title: str
    page: str
    table: str
    note: Markup
    wide: str
    narrow: str
    cite: str

    @property
    def csv(self) -> str:
        """Where its data is handed out: its table, packed where it is long."""
        return table_path(self.table, len(self.data))


Gallery = Mapping[tuple[str, str], Picture]
"""Pictures by outcome and figure id."""


class Pictures:
    """The figures of some outcomes in one language; each is drawn once, when it is first asked for."""

    def __init__(self, archive: Archive, words: Words, outcomes: Sequence[Record]) -> None:
        self._archive, self._words = archive, words
        self._drawn: dict[tuple[str, str], tuple[Picture, Log]] = {}
        self.held = {(outcome["id"], figure["id"]): None for outcome in outcomes for figure in outcome["figures"]}

    def picture(self, outcome: str, figure: str, log: Log) -> Picture:
        """One figure; what was asked to draw it goes to the log, also when it was drawn for another page."""
        if (outcome, figure) not in self._drawn:
            # A log of its own: the picture may be drawn for one page and shown on another, which depends on the same
            # answers.
            asked = Log()
            self._drawn[outcome, figure] = self._picture(outcome, figure, asked), asked
        picture, asked = self._drawn[outcome, figure]
        log.take(asked)
        return picture

    def seen_by(self, log: Log) -> Gallery:
        """The figures as a page is given them."""
        return _Seen(self, log)

    def _picture(self, outcome: str, figure: str, log: Log) -> Picture:
        archive = watched(self._archive, log)
        language = self._words.language
        folder = "figures" if language == "en" else f"figures/{language}"
        view = View(f"{folder}/x.html", listening(self._words, archive.names, log), archive)
        found = next(item for item in archive.by_outcome[outcome]["figures"] if item["id"] == figure)
        return _picture(view, outcome, found, folder)


class _Seen(Mapping[tuple[str, str], Picture]):
    """Pictures by outcome and figure id, as one page looks at them."""

    __slots__ = ("_log", "_pictures")

    def __init__(self, pictures: Pictures, log: Log) -> None:
        self._pictures, self._log = pictures, log

    def __getitem__(self, key: tuple[str, str]) -> Picture:
        if key not in self._pictures.held:
            raise KeyError(key)
        return self._pictures.picture(*key, self._log)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pictures.held)

    def __len__(self) -> int:
        return len(self._pictures.held)


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV text: UTF-8, commas, a header row, empty cells for what is not defined.

    A cell that a spreadsheet would run begins with an apostrophe; numbers stay numbers.
    """
    return "".join(_csv_parts(columns, rows))


def _csv_parts(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The text of a table, some thousand rows at a time."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    # An empty cell is what the writer makes of None.
    lines = iter(rows)
    while part := list(islice(lines, _WRITTEN_AT_ONCE)):
        # Asked once of each text: most cells of a table say what others of it say, and hardly any is changed.
        texts = {cell for row in part for cell in row if type(cell) is str}
        changed = {cell: shown for cell in texts if (shown := harmless(cell)) != cell}
        shielded = ([changed.get(cell, cell) if type(cell) is str else cell for cell in row] for row in part)
        writer.writerows(shielded if changed else part)
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()
    yield stream.getvalue()


_WRITTEN_AT_ONCE = 5000


def table_file(path: str, columns: Sequence[str], rows: Iterable[Sequence[object]], k: int) -> tuple[str, str | bytes]:
    """A table of k rows as a file to be handed out: its path and its text, or of a long one its compressed bytes."""
    place = table_path(path, k)
    if place == path:
        return place, as_csv(columns, rows)
    # In parts, as the text of half a million rows is larger than all else that a page holds.
    packer = gzip_packer()
    parts = [packer.compress(text.encode("utf-8")) for text in _csv_parts(columns, rows)]
    return place, b"".join([*parts, packer.flush()])


def _picture(view: View, outcome: str, record: Record, folder: str) -> Picture:
    def href(name: str) -> str:
        return view.to(name, outcome) if name else ""

    figure = read_figure(record, view.words)
    stem = f"{anchor(outcome)}--{anchor(figure.id)}"
    note = view.told(record["note"]) if figure.note else Markup("")
    path = posixpath.join(folder, stem)
    named = _named(view, f"{outcome}/{figure.id}")
    origin = view.words.say("figure.origin", **named)
    return Picture(
        outcome=outcome,
        data=figure,
        drawing=draw(figure, view.words, href, origin=origin, merge=True),
        title=figure.title,
        page=f"figures/{stem}.html",
        table=f"figures/{stem}.csv",
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


def figure_files(picture: Picture, language: str) -> Iterator[tuple[str, str | bytes]]:
    """The drawings of a figure for wide and for narrow pages, with the English ones its data: paths and texts."""
    drawing, figure = picture.drawing, picture.data
    for path, canvas in ((picture.wide, drawing.wide), (picture.narrow, drawing.narrow)):
        if canvas:
            yield path, canvas.markup(drawing.alt, style=sheet_for(canvas))
    if language == "en":
        yield table_file(picture.table, list(figure.columns), figure.rows(), len(figure))


_COLOUR = re.compile(r"(--f-[a-z]+):[^;}]+;?")
"""The definition of a colour in the style sheet of drawings."""


@cache
def _sheet() -> tuple[str, ...]:
    lines = (_ASSETS / "figures.css").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("/*"))


def sheet_for(canvas: Canvas) -> str:
    """The lines of the style sheet a drawing needs: those of no class of their own, and those of its classes."""
    # Each file stands alone, so it carries its style; only the lines it needs, as there are hundreds of files.
    drawn = "".join((*canvas.behind, *canvas.parts))
    used = set(" ".join([*re.findall(r'class="([^"]*)"', drawn), *(label.css for label in canvas.labels)]).split())
    kept = "\n".join(line for line in _sheet() if _classes(line) <= used or _classes(line) & used)
    colours = set(re.findall(r"var\((--f-[a-z]+)\)", kept))
    # Of thirteen colours in three surroundings a drawing needs four or five.
    needed = _COLOUR.sub(lambda found: found[0] if found[1] in colours else "", kept)
    return f"<style>{needed}</style>"


@cache
def _classes(line: str) -> frozenset[str]:
    """The classes a line of the style sheet is about, besides the figure itself."""
    selectors = line.partition("{")[0] if not line.startswith("@media") else line
    return frozenset(re.findall(r"\.([a-z][\w-]*)", selectors)) - {"figure"}
